/* SPDX-License-Identifier: Apache-2.0
 * Loss and jitter of what a peer sends (RFC 3550 appendices A.1, A.3 and A.8), the latter by the clock of the payload type. */
#include "media/relay_private.h"

#define LEAP_MAXIMUM 3000 /* packets missing at once; beyond, the source has started its numbers anew */

static uint64_t lost(const struct relay_reception *reception)
{
	/* Doubled packets can outnumber the missing ones. */
	uint64_t now = reception->expected > reception->received ? reception->expected - reception->received : 0;
	return reception->lost_before + now;
}

static uint32_t transit_of(const struct relay_reception *reception, const struct rtp_header *header, uint64_t now_us)
{
	return (uint32_t)(now_us * reception->clock_rate / 1000000) - header->timestamp;
}

static void start(struct relay_reception *reception, const struct rtp_header *header, uint32_t clock_rate,
		  uint64_t now_us)
{
	*reception = (struct relay_reception){
		.started = true,
		.payload_type = header->payload_type,
		.clock_rate = clock_rate,
		.highest = header->sequence,
		.ssrc = header->ssrc,
		.expected = 1,
		.lost_before = lost(reception),
	};
	reception->transit = transit_of(reception, header, now_us);
}

/* From here on timestamps count by another clock: what was measured stays, and the next step says nothing (RFC 7160 section 3). */
static void change_type(struct relay_reception *reception, const struct rtp_header *header, uint32_t clock_rate,
			uint64_t now_us)
{
	reception->payload_type = header->payload_type;
	if (reception->clock_rate == clock_rate)
		return;
	if (reception->clock_rate)
		reception->jitter_16 = (uint32_t)((uint64_t)reception->jitter_16 * clock_rate / reception->clock_rate);
	reception->clock_rate = clock_rate;
	reception->transit = transit_of(reception, header, now_us);
}

static void count_jitter(struct relay_reception *reception, uint32_t transit)
{
	int32_t difference = (int32_t)(transit - reception->transit);
	reception->transit = transit;
	uint32_t size = difference < 0 ? 0u - (uint32_t)difference : (uint32_t)difference;
	if (size > reception->clock_rate)
		return; /* a timestamp that leapt says nothing about the network */
	reception->jitter_16 += size - ((reception->jitter_16 + 8) >> 4);
}

void relay_reception_tell(const struct relay_reception *reception, struct media_side_counters *counters)
{
	counter_set(&counters->lost, lost(reception));
	uint64_t jitter_us = 0;
	if (reception->clock_rate)
		jitter_us = (uint64_t)(reception->jitter_16 >> 4) * 1000000 / reception->clock_rate;
	__atomic_store_n(&counters->jitter_us, (uint32_t)jitter_us, __ATOMIC_RELAXED);
}

void relay_reception_count(struct relay_reception *reception, const struct rtp_header *header, const uint8_t *clocks,
			   uint64_t now_us, struct media_side_counters *counters)
{
	uint16_t step = (uint16_t)(header->sequence - reception->highest);
	bool is_late = step >= 0x8000;

	if (!reception->started || reception->ssrc != header->ssrc ||
	    (is_late ? (uint16_t)-step : step) > LEAP_MAXIMUM) {
		start(reception, header, media_clock_rate(clocks[header->payload_type]), now_us);
	} else {
		if (reception->payload_type != header->payload_type)
			change_type(reception, header, media_clock_rate(clocks[header->payload_type]), now_us);
		if (!is_late) {
			reception->expected += step;
			reception->highest = header->sequence;
		}
		count_jitter(reception, transit_of(reception, header, now_us));
	}
	reception->received++;
	relay_reception_tell(reception, counters);
}

bool relay_reception_is_newest(const struct relay_reception *reception, const struct rtp_header *header)
{
	return !reception->started || reception->ssrc != header->ssrc ||
	       (int16_t)(header->sequence - reception->highest) > 0;
}
