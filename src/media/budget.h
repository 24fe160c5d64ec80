/* SPDX-License-Identifier: Apache-2.0
 * Packets held against what was agreed: payload types, sizes, rates (THREATS M4). A virtual clock is moved on by what each packet costs
 * at the agreed pace; who is too far ahead of real time waits. In the header, as every packet passes here. */
#ifndef RINGWALL_MEDIA_BUDGET_H
#define RINGWALL_MEDIA_BUDGET_H

#include "media/media.h"

/* How far ahead one may be: what a network lets loose after it stood still for ten seconds takes half of it. */
#define BUDGET_AHEAD_NS UINT64_C(8000000000)

/* Set before it is used. */
struct budget {
	uint32_t packet_ns, byte_ns; /* what one costs */
	uint32_t packet_bytes;       /* the largest */
	uint64_t until_ns;           /* the clock */
	uint8_t types[16];
};

/* As agreed now; how far ahead the side is stays. */
void budget_set(struct budget *budget, const struct media_budget *agreed);

/* Whether RTP may have it: agreed, or nothing was told of types. */
static inline bool budget_has_type(const struct budget *budget, uint8_t type)
{
	return budget->types[type / 8] >> type % 8 & 1;
}

/* Whether a packet of `length` bytes at `now_us` keeps to it; only then it is counted. MEDIA_DROP_COUNT, or the reason to drop
 * it: SIZE or RATE. */
static inline enum media_drop budget_take(struct budget *budget, size_t length, uint64_t now_us)
{
	uint64_t now_ns = now_us * 1000, until_ns = budget->until_ns > now_ns ? budget->until_ns : now_ns;

	if (length > budget->packet_bytes)
		return MEDIA_DROP_SIZE;
	until_ns += budget->packet_ns + length * budget->byte_ns;
	if (until_ns - now_ns > BUDGET_AHEAD_NS)
		return MEDIA_DROP_RATE;
	budget->until_ns = until_ns;
	return MEDIA_DROP_COUNT;
}

#endif
