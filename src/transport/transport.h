/* SPDX-License-Identifier: Apache-2.0
 * The SIP transport layer (RFC 3261 section 18): SIP messages over net's flows. Joins `net` and `sip` for
 * whoever speaks SIP: the gateway's calls, the test PBX, the test caller. Frames streams, answers
 * keep-alives (RFC 5626 section 3.5.1 CRLF, section 3.5.2 STUN), checks and counts rejects. Single-threaded. */
#ifndef RINGWALL_TRANSPORT_TRANSPORT_H
#define RINGWALL_TRANSPORT_TRANSPORT_H

#include "net/net.h"
#include "sip/sip.h"

struct transport_layer;

struct transport_callbacks {
	/* Whether a source may talk to this zone at all (peers-only zones, THREATS N7); asked first, for every datagram,
	 * and for a connection when it opens and for what it sends. NULL: all may. */
	bool (*admit)(void *context, const struct flow *flow);
	/* Whether a datagram's source is a configured peer, or else one that answers need not be measured for (THREATS N4). NULL:
	 * none is. */
	bool (*known)(void *context, const struct flow *flow);
	/* A request, before anything is kept of it. False: it is left without an answer. NULL: all are taken. */
	bool (*screen)(void *context, const struct flow *flow, const struct sip_message *request);
	/* What came was refused before it was a message; a connection ended for that reason, whether it was ever used or not. May be
	 * NULL. */
	void (*rejected)(void *context, const struct flow *flow, enum sip_reject reason);
	void (*ended)(void *context, const struct flow *flow, enum net_close_reason reason);
	/* A message is about to leave: what it says is settled. May be NULL. */
	void (*sending)(void *context);
	/* A stream that was used is gone; transport_close_reason says why. May be NULL. */
	void (*closed)(void *context, const struct flow *flow);
	/* The transaction user's; `send` and `send_context` are filled in by the layer. */
	struct sip_transaction_callbacks transactions;
	void *context; /* of all but the transaction user's */
};

struct transport_settings {
	struct sip_limits sip;
	struct sip_transaction_limits transactions;
	struct net_limits net;
	uint32_t proofs; /* addresses remembered as proven */
};

/* NULL when memory is short. `loop` and `wheel` outlive the layer; the layer drives neither clock. */
struct transport_layer *transport_new(struct event_base *loop, struct timer_wheel *wheel,
				      const struct transport_settings *settings,
				      const struct transport_callbacks *callbacks, struct random_source random);
void transport_free(struct transport_layer *layer); /* NULL is allowed */

struct net *transport_net(struct transport_layer *layer); /* for listeners and TLS */
struct sip_transactions *transport_transactions(struct transport_layer *layer);

/* Sends outside any transaction: the ACK of a 2xx. Returns as net_send. */
int transport_send(struct transport_layer *layer, const struct flow *flow, struct span bytes);

/* Writes the value of a Via header, "SIP/2.0/TLS host:port;rport;branch=…", for requests on `flow`. `sent_by`, with its
 * port, overrides the flow's local address when not empty (a name the certificate holds). */
void transport_write_via(struct buffer *out, const struct flow *flow, struct span sent_by, const char *branch);

/* The UDP source of `flow` showed that its address is not forged: it returned what was sent to it, or is registered. For so long it
 * is answered whatever it asks; others are sent no more than they sent themselves, but for a little (sources.h). No effect for
 * streams. */
void transport_source_prove(struct transport_layer *layer, const struct flow *flow, uint32_t lifetime_s);

bool transport_source_is_proven(const struct transport_layer *layer, const struct flow *flow);

/* How many answers were not sent for that. */
uint64_t transport_answers_withheld(const struct transport_layer *layer);

/* Of the stream that `closed` tells of, or told of last. */
enum net_close_reason transport_close_reason(const struct transport_layer *layer);

/* How often each reject reason came; SIP_REJECT_COUNT numbers. */
const uint64_t *transport_rejects(const struct transport_layer *layer);

#endif
