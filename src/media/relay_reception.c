/* SPDX-License-Identifier: Apache-2.0
 * Loss and jitter of what a peer sends (RFC 3550 appendices A.1, A.3 and A.8). */
#include "media/relay_private.h"

#define CLOCK_RATE 8000
#define LEAP_MAXIMUM 3000 /* packets missing at once; beyond, the source has started its numbers anew */

static uint64_t lost(const struct relay_reception *reception)
{
	/* Doubled packets can outnumber the missing ones. */
	uint64_t now = reception->expected > reception->received ? reception->expected - reception->received : 0;
	return reception->lost_before + now;
}

static void start(struct relay_reception *reception, const struct rtp_header *header, uint32_t transit)
{
	*reception = (struct relay_reception){
		.started = true,
		.highest = header->sequence,
		.ssrc = header->ssrc,
		.transit = transit,
		.expected = 1,
		.lost_before = lost(reception),
	};
}

static void count_jitter(struct relay_reception *reception, uint32_t transit)
{
	int32_t difference = (int32_t)(transit - reception->transit);
	reception->transit = transit;
	uint32_t size = difference < 0 ? 0u - (uint32_t)difference : (uint32_t)difference;
	if (size > CLOCK_RATE)
		return; /* a timestamp that leapt says nothing about the network */
	reception->jitter_16 += size - ((reception->jitter_16 + 8) >> 4);
}

void relay_reception_tell(const struct relay_reception *reception, struct media_side_counters *counters)
{
	counter_set(&counters->lost, lost(reception));
	uint32_t jitter_us = (reception->jitter_16 >> 4) * (1000000 / CLOCK_RATE);
	__atomic_store_n(&counters->jitter_us, jitter_us, __ATOMIC_RELAXED);
}

void relay_reception_count(struct relay_reception *reception, const struct rtp_header *header, uint64_t now_us,
			   struct media_side_counters *counters)
{
	uint32_t transit = (uint32_t)(now_us * CLOCK_RATE / 1000000) - header->timestamp;
	uint16_t step = (uint16_t)(header->sequence - reception->highest);
	bool is_late = step >= 0x8000;

	if (!reception->started || reception->ssrc != header->ssrc ||
	    (is_late ? (uint16_t)-step : step) > LEAP_MAXIMUM) {
		start(reception, header, transit);
	} else {
		if (!is_late) {
			reception->expected += step;
			reception->highest = header->sequence;
		}
		count_jitter(reception, transit);
	}
	reception->received++;
	relay_reception_tell(reception, counters);
}

bool relay_reception_is_newest(const struct relay_reception *reception, const struct rtp_header *header)
{
	return !reception->started || reception->ssrc != header->ssrc ||
	       (int16_t)(header->sequence - reception->highest) > 0;
}
