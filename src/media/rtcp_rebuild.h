/* SPDX-License-Identifier: Apache-2.0
 * RTCP built anew (RFC 3550 section 6): what reaches a peer was written here, from parts that were understood. */
#ifndef RINGWALL_MEDIA_RTCP_REBUILD_H
#define RINGWALL_MEDIA_RTCP_REBUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

/* The last SSRCs that a side's RTP had, newest last. */
#define RTCP_SOURCES 8
struct rtcp_sources {
	uint32_t ssrcs[RTCP_SOURCES];
	uint8_t count, next;
};
/* Adds one; the oldest goes when they are too many. No effect when it is there. */
void rtcp_source_add(struct rtcp_sources *sources, uint32_t ssrc);
bool rtcp_source_knows(const struct rtcp_sources *sources, uint32_t ssrc);

/* What the sender of a compound may speak of. */
struct rtcp_view {
	const struct rtcp_sources *own;   /* what it sends itself */
	const struct rtcp_sources *heard; /* what was sent to it */
	/* Of the last of `heard`: what was sent so far. A report that says more than this is false. `expected` 0: not known. */
	uint32_t ssrc;
	uint16_t highest;
	uint64_t expected;
	bool is_proven; /* its tag was verified */
	const uint8_t *
		name_key; /* HASH_KEY_BYTES, for canonical names: the same name is the same word in all streams of a call */
};

/* Parts and blocks that were left out. */
struct rtcp_refused {
	uint32_t
		reports; /* of or about sources that the side in question does not have, or with counts that cannot be */
	uint32_t byes;   /* unproven, or of a source that the sender does not have */
	uint32_t parts;  /* of types and formats that are not let through */
};

/* Writes to `out` what may pass of a compound that rtcp_check found good. SR and RR keep their known blocks; an SR of a source that
 * the sender does not have becomes an RR, unless nothing was seen of the sender yet; SDES has the CNAME alone,
 * as 16 letters of a keyed hash; BYE has no reason; APP is left out; of XR and feedback pass the types of a table.
 * Returns the length; 0 when `capacity` is too small or the compound has too many parts. */
size_t rtcp_rebuild(const uint8_t *packet, size_t length, const struct rtcp_view *view, uint8_t *out, size_t capacity,
		    struct rtcp_refused *refused);

#endif
