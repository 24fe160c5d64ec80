/* SPDX-License-Identifier: Apache-2.0
 * Finds the test signal again in what comes back, at whatever offset, and measures loss, jitter (RFC 3550 section 6.4.1) and
 * the time that it took. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "agent/measure.h"
#include "base/memory.h"

#define SAMPLES_MAXIMUM 480
#define ALIKE 0.8           /* correlation; twice through G.711 it is above 0.99 */
#define LOOK_BACK 200       /* frames: an echo of up to 4 s */
#define SEARCHES_MAXIMUM 50 /* sample by sample, each some 10 ms of work */

int measure_start(struct measure *measure, uint32_t frames_maximum, uint32_t seed)
{
	memset(measure, 0, sizeof(*measure));
	measure->seed = seed;
	measure->frames_maximum = frames_maximum;
	measure->sent_us = memory_alloc(sizeof(*measure->sent_us) * (frames_maximum + 1));
	measure->heard = memory_alloc(sizeof(*measure->heard) * (frames_maximum + 1));
	if (measure->sent_us && measure->heard)
		return 0;
	measure_stop(measure);
	return -ENOMEM;
}

void measure_stop(struct measure *measure)
{
	memory_free(measure->sent_us);
	memory_free(measure->heard);
	measure->sent_us = NULL;
	measure->heard = NULL;
}

bool measure_frame(struct measure *measure, uint8_t payload_type, uint64_t now_us, uint8_t frame[SOUND_FRAME])
{
	uint64_t first = (uint64_t)measure->frames_sent * SOUND_FRAME;

	if (measure->frames_sent >= measure->frames_maximum)
		return false;
	for (int i = 0; i < SOUND_FRAME; i++)
		frame[i] = sound_encode(payload_type, sound_signal(measure->seed, first + (uint64_t)i));
	measure->sent_us[measure->frames_sent++] = now_us;
	return true;
}

/* ---- Finding ------------------------------------------------------------------------------- */

static bool matches_at(const struct measure *measure, const int16_t *samples, size_t count, uint64_t position)
{
	int16_t expected[SAMPLES_MAXIMUM];

	if (position + count > (uint64_t)measure->frames_sent * SOUND_FRAME)
		return false;
	for (size_t i = 0; i < count; i++)
		expected[i] = sound_signal(measure->seed, position + i);
	return sound_correlation(samples, expected, count) > ALIKE;
}

/* Sample by sample, for who cuts frames anew: over a copy of the signal, so that it is made once. */
static bool search(struct measure *measure, const int16_t *samples, size_t count, uint64_t first, uint64_t *position)
{
	uint64_t end = (uint64_t)measure->frames_sent * SOUND_FRAME;
	size_t length = (size_t)(end - first);
	int16_t *signal;
	bool found = false;

	if (measure->searches++ >= SEARCHES_MAXIMUM || length < count)
		return false;
	signal = memory_alloc(length * sizeof(*signal));
	if (!signal)
		return false;
	for (size_t i = 0; i < length; i++)
		signal[i] = sound_signal(measure->seed, first + i);
	for (size_t at = length - count + 1; at-- > 0 && !found;) {
		found = sound_correlation(samples, signal + at, count) > ALIKE;
		*position = first + at;
	}
	memory_free(signal);
	return found;
}

/* Where expected; else at a frame's start; else anywhere. */
static bool find(struct measure *measure, const int16_t *samples, size_t count, uint64_t *position)
{
	uint32_t sent = measure->frames_sent, oldest = sent > LOOK_BACK ? sent - LOOK_BACK : 0;

	*position = measure->position;
	if (matches_at(measure, samples, count, *position))
		return true;
	for (uint32_t frame = sent; frame-- > oldest;) {
		*position = (uint64_t)frame * SOUND_FRAME;
		if (matches_at(measure, samples, count, *position))
			return true;
	}
	return search(measure, samples, count, (uint64_t)oldest * SOUND_FRAME, position);
}

static void echo_note(struct measure *measure, uint64_t position, size_t count, uint64_t now_us)
{
	uint32_t first = (uint32_t)(position / SOUND_FRAME), last = (uint32_t)((position + count - 1) / SOUND_FRAME);

	if (!measure->matched)
		measure->first_heard = first;
	if (first < measure->first_heard)
		measure->first_heard = first;
	if (last > measure->last_heard)
		measure->last_heard = last;
	for (uint32_t frame = first; frame <= last; frame++)
		measure->heard[frame] = true;
	measure->matched++;
	measure->position = position + count;
	measure->round_trip_sum_us += (double)(now_us - measure->sent_us[last]);
}

/* ---- Packets ------------------------------------------------------------------------------- */

static void arrival_note(struct measure *measure, const struct rtp_header *header, uint64_t now_us)
{
	double difference;

	if (!measure->packets) {
		measure->sequence_first = measure->sequence_last = header->sequence;
	} else {
		difference = (double)(now_us - measure->last_arrival_us) * SOUND_RATE / 1e6 -
			     (double)(int32_t)(header->timestamp - measure->last_timestamp);
		measure->jitter += (fabs(difference) - measure->jitter) / 16;
	}
	if ((int16_t)(header->sequence - measure->sequence_last) > 0) {
		measure->cycles += header->sequence < measure->sequence_last;
		measure->sequence_last = header->sequence;
	}
	measure->last_arrival_us = now_us;
	measure->last_timestamp = header->timestamp;
	measure->packets++;
}

void measure_packet(struct measure *measure, const struct rtp_header *header, const uint8_t *payload, uint64_t now_us)
{
	int16_t samples[SAMPLES_MAXIMUM];
	size_t count = header->payload_length < SAMPLES_MAXIMUM ? header->payload_length : SAMPLES_MAXIMUM;
	uint64_t position;

	if ((header->payload_type != SOUND_PCMU && header->payload_type != SOUND_PCMA) || count < SOUND_FRAME / 4)
		return;
	arrival_note(measure, header, now_us);
	for (size_t i = 0; i < count; i++)
		samples[i] = sound_decode(header->payload_type, payload[i]);
	if (sound_tone_share(samples, count, MEASURE_TONE_HZ) > ALIKE)
		measure->tones++;
	else if (find(measure, samples, count, &position))
		echo_note(measure, position, count, now_us);
}

/* ---- Results ------------------------------------------------------------------------------- */

bool measure_is_echo(const struct measure *measure)
{
	return measure->matched && measure->matched * 5 >= measure->packets * 4;
}

bool measure_is_tone(const struct measure *measure)
{
	return measure->tones && measure->tones * 5 >= measure->packets * 4;
}

/* Of an echo, both ways: frames that did not come back between the first and the last that did. Else the way
 * to us: gaps in the sequence numbers. */
double measure_loss_percent(const struct measure *measure)
{
	uint64_t expected = ((uint64_t)measure->cycles << 16) + measure->sequence_last - measure->sequence_first + 1;
	uint64_t heard = measure->packets;

	if (!measure->packets)
		return 100;
	if (measure_is_echo(measure)) {
		expected = measure->last_heard - measure->first_heard + 1;
		heard = 0;
		for (uint32_t i = measure->first_heard; i <= measure->last_heard; i++)
			heard += measure->heard[i];
	}
	return heard >= expected ? 0 : 100.0 * (double)(expected - heard) / (double)expected;
}

double measure_jitter_ms(const struct measure *measure)
{
	return measure->jitter * 1000 / SOUND_RATE;
}

double measure_round_trip_ms(const struct measure *measure)
{
	return measure->matched ? measure->round_trip_sum_us / (double)measure->matched / 1000 : 0;
}
