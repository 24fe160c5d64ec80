/* SPDX-License-Identifier: Apache-2.0
 * STUN (RFC 8489): keep-alives on the SIP port (RFC 5626 section 3.5.2), and the checks of ICE (RFC 8445) on media ports, answered
 * without state. Bytes in, bytes out. */
#ifndef RINGWALL_BASE_STUN_H
#define RINGWALL_BASE_STUN_H

#include "base/address.h"

/* An answer is never larger than its request by more than the mapped address that was asked for
 * (THREATS N4). */
#define STUN_ANSWER_MARGIN 24

/* Whether a datagram is STUN and nothing else: two zero bits first, and the magic cookie. */
bool stun_is(struct span bytes);

enum stun_result {
	STUN_ANSWER,    /* `out` holds it */
	STUN_REFUSAL,   /* the same, but it is an error: only of checks */
	STUN_SILENCE,   /* well-formed, and not to be answered: an indication, a response, another method */
	STUN_MALFORMED, /* lengths that do not fit, or a FINGERPRINT that is wrong */
	STUN_FORGED,    /* a check that is not for us, or without the right password */
};

/* Answers a Binding request that came from `source`: with XOR-MAPPED-ADDRESS, or 420 when it has attributes that must be
 * understood and are not; with FINGERPRINT when the request had one. */
enum stun_result stun_answer(struct span request, const struct address *source, struct buffer *out);

/* Whose checks are answered, with the password's HMAC-SHA1 over some bytes, which is the caller's to make; false: it cannot. */
#define STUN_INTEGRITY_BYTES 20
#define STUN_CHECK_MAXIMUM 548 /* bytes of a request: RFC 8489 section 6.1 */
struct stun_agent {
	struct span ufrag; /* ours */
	bool (*sign)(const void *context, struct span bytes, uint8_t integrity[STUN_INTEGRITY_BYTES]);
	const void *context;
};

/* Answers a connectivity check as a lite agent (RFC 8445 section 7.3): STUN_ANSWER, *nominates saying whether the peer chose this way;
 * STUN_REFUSAL: 420, or 487 for a peer that takes itself for the controlled one. Whoever does not know our password hears nothing. */
enum stun_result stun_check(const struct stun_agent *agent, struct span request, const struct address *source,
			    struct buffer *out, bool *nominates);

#endif
