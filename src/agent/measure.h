/* SPDX-License-Identifier: Apache-2.0
 * Private to the test call: what is heard against what was said. */
#ifndef RINGWALL_AGENT_MEASURE_H
#define RINGWALL_AGENT_MEASURE_H

#include "agent/sound.h"

#define MEASURE_TONE_HZ 440

struct measure {
	uint32_t seed; /* of the signal */
	uint32_t frames_maximum, frames_sent;
	uint64_t *sent_us; /* of each frame */
	bool *heard;       /* whether it came back */

	uint64_t packets, matched, tones;
	uint64_t position; /* sample of the signal that is expected next */
	uint32_t searches;
	uint32_t first_heard, last_heard; /* frames */
	double round_trip_sum_us;

	uint16_t sequence_first, sequence_last;
	uint32_t cycles; /* of the sequence numbers */
	uint64_t last_arrival_us;
	uint32_t last_timestamp;
	double jitter; /* in samples */
};

/* Returns 0 or -ENOMEM. */
int measure_start(struct measure *measure, uint32_t frames_maximum, uint32_t seed);
void measure_stop(struct measure *measure);

/* The next frame to send, encoded; false when all are sent. */
bool measure_frame(struct measure *measure, uint8_t payload_type, uint64_t now_us, uint8_t frame[SOUND_FRAME]);

/* A packet that was heard. */
void measure_packet(struct measure *measure, const struct rtp_header *header, const uint8_t *payload, uint64_t now_us);

bool measure_is_echo(const struct measure *measure); /* four of five packets were ours */
bool measure_is_tone(const struct measure *measure);
double measure_loss_percent(const struct measure *measure);
double measure_jitter_ms(const struct measure *measure);
double measure_round_trip_ms(const struct measure *measure);

#endif
