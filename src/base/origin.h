/* SPDX-License-Identifier: Apache-2.0
 * Web origins (RFC 6454): where a page that opens a connection came from. */
#ifndef RINGWALL_BASE_ORIGIN_H
#define RINGWALL_BASE_ORIGIN_H

#include "base/span.h"

#define ORIGIN_MAXIMUM_BYTES 300

struct origin {
	bool secure;      /* https, else http */
	struct span host; /* a name, an IPv4 address, or an IPv6 address in brackets; in the text that was parsed */
	uint16_t port;    /* that of the scheme where none is written */
};

/* "https://phone.example.org", "http://127.0.0.1:8080": scheme, host and port alone. "null" is none of them. Returns 0 or
 * -EINVAL. */
int origin_parse(struct span text, struct origin *out);

/* Scheme, host (letters in either case) and port are the same (RFC 6454 section 5). */
bool origin_equal(const struct origin *a, const struct origin *b);

#endif
