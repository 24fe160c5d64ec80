/* SPDX-License-Identifier: Apache-2.0
 * The gateway as a client of a provider: what trunk.c (registering) and credentials.c (answering challenges) share. */
#ifndef RINGWALL_CALL_TRUNK_H
#define RINGWALL_CALL_TRUNK_H

#include "call/peers.h"

#define TRUNK_TEXT_CAPACITY 129 /* login, realm, password: as the configuration allows, and NUL */
#define TRUNK_ANSWERS_MAXIMUM 2 /* to challenges to one request (CVE-2020-28242: a nonce that changes forever) */

/* The last challenge that was taken, for the credentials of later requests. */
struct challenge {
	bool is_set, is_proxy, has_qop, has_opaque;
	uint8_t algorithm; /* enum sip_digest_algorithm */
	uint32_t count;    /* nc */
	char nonce[512], opaque[256];
};

enum trunk_state { TRUNK_STARTING, TRUNK_REGISTERED, TRUNK_FAILED };

/* One zone's account. Holds the password: freed with memory_free_secret. */
struct trunk {
	struct gateway *gateway;
	uint8_t zone;
	uint8_t state; /* enum trunk_state */
	char *account; /* what it was made from: another account is another trunk */
	char login[TRUNK_TEXT_CAPACITY], password[TRUNK_TEXT_CAPACITY];
	char realm[TRUNK_TEXT_CAPACITY]; /* the only one that is answered; "": not known yet */
	uint8_t digest;                  /* enum register_digest */
	bool sha256_seen;
	struct challenge challenges[2]; /* to REGISTER, to other requests: they may come from different servers */
	const char *refusal;            /* why the last challenge was not answered; NULL: it was */
	struct log_limit refused_limit;

	char call_id[TAG_LENGTH + 1], tag[TAG_LENGTH + 1];
	uint32_t cseq, expires_s, failures, losses;
	struct flow flow; /* of the last REGISTER */
	struct own_request *request;
	char *service_route; /* RFC 3608; as a Route value, or NULL */
	bool brief_seen;     /* 423 came for this registration already */
	struct tried tried;  /* the servers that this registration was asked of */
	struct timer next, expiry, patience;
	uint64_t connected_us;                       /* when flow's connection was first used */
	uint64_t registered_us, expires_us, next_us; /* monotonic, for showing */
	uint16_t failure_status;
	char failure[160]; /* in plain words; "": none */
};

static inline struct challenge *trunk_challenge(struct trunk *trunk, enum sip_method method)
{
	return &trunk->challenges[method == SIP_REGISTER ? 0 : 1];
}

#endif
