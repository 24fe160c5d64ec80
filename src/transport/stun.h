/* SPDX-License-Identifier: Apache-2.0
 * Private to src/transport: STUN keep-alives on the SIP port (RFC 5626 section 3.5.2, RFC 8489). */
#ifndef RINGWALL_TRANSPORT_STUN_H
#define RINGWALL_TRANSPORT_STUN_H

#include "base/address.h"

/* An answer is never larger than its request by more than the mapped address that was asked for
 * (THREATS N4). */
#define STUN_ANSWER_MARGIN 24

/* Whether a datagram is STUN and not SIP: two zero bits first, and the magic cookie. */
bool stun_is(struct span bytes);

enum stun_result {
	STUN_ANSWER,    /* `out` holds it */
	STUN_SILENCE,   /* well-formed, and not to be answered: an indication, a response, another method */
	STUN_MALFORMED, /* lengths that do not fit, or a FINGERPRINT that is wrong */
};

/* Answers a Binding request that came from `source`: with XOR-MAPPED-ADDRESS, or 420 when it has attributes that must be
 * understood and are not; with FINGERPRINT when the request had one. */
enum stun_result stun_answer(struct span request, const struct address *source, struct buffer *out);

#endif
