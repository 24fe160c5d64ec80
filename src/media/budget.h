/* SPDX-License-Identifier: Apache-2.0
 * Packets held against what was agreed: payload types, sizes, rates (THREATS M4). */
#ifndef RINGWALL_MEDIA_BUDGET_H
#define RINGWALL_MEDIA_BUDGET_H

#include "media/media.h"

/* Two leaky buckets: how far ahead of its pace a side is, in packets and in bytes. All zeros: no limit. */
struct budget {
	uint32_t packet_ns, byte_ps; /* what one costs; 0: nothing */
	uint32_t packet_bytes;       /* the largest; 0: any */
	bool has_types;
	uint8_t types[16];
	uint64_t packets_until_ns, bytes_until_ns; /* the pace has come so far */
};

/* As agreed now; how far ahead the side is stays. */
void budget_set(struct budget *budget, const struct media_budget *agreed);

/* Whether a packet of `length` bytes at `now_us` keeps to it; only then it is counted. MEDIA_DROP_COUNT, or the reason to drop
 * it: SIZE or RATE. */
enum media_drop budget_take(struct budget *budget, size_t length, uint64_t now_us);

/* Whether RTP may have it: agreed, or nothing was told of types. */
bool budget_has_type(const struct budget *budget, uint8_t payload_type);

#endif
