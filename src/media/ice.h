/* SPDX-License-Identifier: Apache-2.0
 * A side's end of ICE (RFC 8445), as its lite agent: answers checks that know our password, and remembers whence they came. Private to
 * media. One thread. */
#ifndef RINGWALL_MEDIA_ICE_H
#define RINGWALL_MEDIA_ICE_H

#include "base/buffer.h"
#include "media/budget.h"

#define ICE_WAYS 8 /* addresses of a peer that are remembered; the one that was silent longest goes */
#define ICE_ANSWER_MAXIMUM 256

struct ice_way {
	struct address address; /* of the peer, as it is seen here */
	uint64_t checked_us;
};

struct ice {
	struct media_ice ours;
	struct media_ice
		before; /* those before the last restart, by which the peer may still send and check; empty: none */
	struct ice_way ways[ICE_WAYS];
	bool is_nominated; /* the peer has chosen */
	struct budget budget;
};

/* Credentials; others than those of before are a restart (RFC 8445 section 9): the peer may choose anew. What it found by the old ones stays good
 * until the next restart, as it goes on with it until it has found better; browsers begin checks by the old ones even from new ports. */
void ice_set(struct ice *ice, const struct media_ice *ours);

/* Whether the address has passed a check. */
bool ice_knows(const struct ice *ice, const struct address *address);

enum ice_result {
	ICE_CHECKED,   /* the source is a way to the peer; `out` answers it */
	ICE_NOMINATED, /* and the peer has chosen it */
	ICE_REFUSED,   /* `out` says why */
	ICE_SILENCE,   /* it asks for nothing */
	ICE_DROPPED,   /* malformed, forged, or too many */
};
/* One STUN message that came from `source`; `out` holds ICE_ANSWER_MAXIMUM bytes. */
enum ice_result ice_check(struct ice *ice, struct span message, const struct address *source, uint64_t now_us,
			  struct buffer *out);

#endif
