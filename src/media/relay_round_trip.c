/* SPDX-License-Identifier: Apache-2.0
 * How far away a peer is: the time from a sender report that went to it to its reception report on that, less what it says it kept it
 * (RFC 3550 section 6.4.1). What it says is shown, and decides nothing. */
#include "media/relay_private.h"

#include "media/rtp_private.h"

#define SENDER_REPORT 200
#define RECEIVER_REPORT 201
#define SENDER_BYTES 28 /* up to the report blocks */
#define RECEIVER_BYTES 8
#define BLOCK_BYTES 24
#define LONGEST_US 10000000 /* beyond, somebody is wrong */

static void block_take(struct relay_side *side, const uint8_t *block, uint64_t now_us)
{
	const struct relay_round_trip *sent = &side->round_trip;
	uint32_t stamp = read_u32(block + 16);
	uint64_t kept_us = (uint64_t)read_u32(block + 20) * 1000000 >> 16;

	for (int i = 0; i < RELAY_REPORTS; i++) {
		uint64_t passed_us = now_us - sent->sent_us[i];

		if (stamp && sent->stamps[i] == stamp && passed_us >= kept_us && passed_us - kept_us <= LONGEST_US)
			__atomic_store_n(&side->counters.round_trip_us, (uint32_t)(passed_us - kept_us),
					 __ATOMIC_RELAXED);
	}
}

/* Visits the reports of a compound whose lengths and counts were checked. */
#define REPORTS_EACH(part, packet, length) \
	for (const uint8_t *part = (packet); part < (packet) + (length); part += 4 + 4u * read_u16(part + 2))

void relay_round_trip_from(struct relay_side *side, const uint8_t *packet, size_t length, uint64_t now_us)
{
	REPORTS_EACH(part, packet, length)
	{
		const uint8_t *block = part + (part[1] == SENDER_REPORT ? SENDER_BYTES : RECEIVER_BYTES);

		if (part[1] != SENDER_REPORT && part[1] != RECEIVER_REPORT)
			continue;
		for (int left = part[0] & 31; left; left--, block += BLOCK_BYTES)
			block_take(side, block, now_us);
	}
}

void relay_round_trip_to(struct relay_side *side, const uint8_t *packet, size_t length, uint64_t now_us)
{
	struct relay_round_trip *sent = &side->round_trip;

	REPORTS_EACH(part, packet, length)
	{
		if (part[1] != SENDER_REPORT)
			continue;
		sent->stamps[sent->next] = read_u32(part + 10);
		sent->sent_us[sent->next] = now_us;
		sent->next = (sent->next + 1) % RELAY_REPORTS;
	}
}
