/* SPDX-License-Identifier: Apache-2.0
 * Agents: a small PBX for newcomers, demonstrations and tests, and a caller that measures. Both are ordinary SIP user agents on
 * the transport layer, and talk to the gateway as strangers would. */
#ifndef RINGWALL_AGENT_AGENT_H
#define RINGWALL_AGENT_AGENT_H

#include "transport/transport.h"

struct testpbx_settings {
	struct address listen;        /* UDP and TCP */
	struct address media_address; /* port 0 */
	uint16_t port_low, port_high;
	const char *realm;           /* challenged for registrations and calls; NULL: no authentication */
	const char *user, *password; /* the one account when realm is set; any account without */
};

/* A registrar; 600 echoes what it hears, 601 plays a 440 Hz tone (PCMU, PCMA), 602 and 603 transfer their caller, 604 redirects,
 * 605 and 606 fill and empty the mailbox that subscribers hear of (testpbx.c has the table). Other numbers ring the registered
 * contacts of that user, as a back-to-back agent without media that carries out transfers itself. Runs until `loop` ends.
 * Returns NULL with the reason in `error`. */
struct testpbx;
struct testpbx *testpbx_new(struct event_base *loop, const struct testpbx_settings *settings, char *error,
			    size_t error_capacity);
void testpbx_free(struct testpbx *pbx);

struct testcall_settings {
	const char *target;          /* sip: or sips: URI to call */
	const char *user, *password; /* NULL: neither registers nor answers challenges */
	const char *proxy;           /* host:port to send to instead of the target's; NULL: none */
	enum transport transport;
	struct address local_address; /* port 0: any; family NONE: the kernel's choice */
	bool encrypt;                 /* offer SDES; default with TLS */
	bool verify;                  /* the server's certificate */
	const char *authorities;      /* path of PEM, or NULL */
	bool register_first;
	uint32_t duration_ms; /* of sound */
	uint32_t timeout_ms;  /* for the whole */
};

struct testcall_result {
	bool registered, answered, encrypted, passed;
	const char *suite; /* or "none" */
	const char *codec;
	uint32_t register_ms, setup_ms; /* INVITE to 200 */
	uint32_t packets_sent, packets_received;
	double loss_percent, jitter_ms, round_trip_ms;
	bool audio_matches; /* what came back correlates with what was sent, or is the expected tone */
	uint16_t status;    /* last final SIP status */
	char failure[200];  /* one sentence, when not passed */
};

/* Runs the whole test call on its own loop. Returns 0 when `result` is filled in, else a negative error. */
int testcall_run(const struct testcall_settings *settings, struct testcall_result *result);

#endif
