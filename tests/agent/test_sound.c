/* SPDX-License-Identifier: Apache-2.0
 * G.711 against ITU-T's values, the test signal found again, loss and jitter measured. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

#include "agent/measure.h"

/* ITU-T G.711 tables 1 and 2: ends of the range, and codes of silence. */
static void codec_has_the_values_of_g_711(void **state)
{
	(void)state;
	assert_int_equal(sound_encode(SOUND_PCMU, 0), 0xff);
	assert_int_equal(sound_encode(SOUND_PCMU, 32767), 0x80);
	assert_int_equal(sound_encode(SOUND_PCMU, -32768), 0x00);
	assert_int_equal(sound_decode(SOUND_PCMU, 0x80), 32124);
	assert_int_equal(sound_decode(SOUND_PCMU, 0x00), -32124);
	assert_int_equal(sound_encode(SOUND_PCMA, 0), 0xd5);
	assert_int_equal(sound_encode(SOUND_PCMA, 32767), 0xaa);
	assert_int_equal(sound_encode(SOUND_PCMA, -32768), 0x2a);
	assert_int_equal(sound_decode(SOUND_PCMA, 0xaa), 32256);
	assert_int_equal(sound_decode(SOUND_PCMA, 0xd5), 8);
}

static void codec_gives_back_its_own_values(void **state)
{
	static const uint8_t types[] = {SOUND_PCMU, SOUND_PCMA};

	(void)state;
	for (size_t t = 0; t < sizeof(types); t++) {
		for (int code = 0; code < 256; code++) {
			int16_t sample = sound_decode(types[t], (uint8_t)code);

			if (sample) /* mu-law has two zeros */
				assert_int_equal(sound_encode(types[t], sample), code);
		}
		for (int sample = -32000; sample <= 32000; sample += 7) {
			int error = abs(sound_decode(types[t], sound_encode(types[t], (int16_t)sample)) - sample);

			assert_true(error <= abs(sample) / 16 + 16); /* 38 dB: half a step */
		}
	}
}

static void tone_is_told_from_noise(void **state)
{
	int16_t tone[SOUND_FRAME], noise[SOUND_FRAME];

	(void)state;
	for (int i = 0; i < SOUND_FRAME; i++) {
		tone[i] = sound_tone(440, 12345 + (uint64_t)i);
		noise[i] = sound_signal(1, (uint64_t)i);
	}
	assert_true(sound_tone_share(tone, SOUND_FRAME, 440) > 0.95);
	assert_true(sound_tone_share(noise, SOUND_FRAME, 440) < 0.3);
	assert_true(sound_tone_share(tone, SOUND_FRAME, 1000) < 0.3);
	memset(tone, 0, sizeof(tone));
	assert_true(sound_tone_share(tone, SOUND_FRAME, 440) == 0);
}

/* Sends 100 frames, and hears them `delay_ms` later, cut at `offset` samples, without every `lose`th. */
static struct measure echo(uint32_t delay_ms, uint32_t offset, uint32_t lose, uint8_t payload_type)
{
	uint8_t sound[100 * SOUND_FRAME];
	struct measure measure;
	uint64_t now_us = 1000000;

	assert_int_equal(measure_start(&measure, 100, 42), 0);
	for (uint32_t sent = 0, heard = 0; heard < 99; now_us += 1000) {
		uint32_t ms = (uint32_t)(now_us / 1000 - 1000);

		if (ms % 20 == 0 && sent < 100)
			assert_true(measure_frame(&measure, payload_type, now_us, sound + SOUND_FRAME * sent++));
		if (ms < delay_ms + 20 || (ms - delay_ms) % 20)
			continue;
		if (!lose || heard % lose != 7) {
			struct rtp_header header = {.payload_type = payload_type,
						    .sequence = (uint16_t)(65500 + heard),
						    .timestamp = heard * SOUND_FRAME,
						    .payload_length = SOUND_FRAME};

			measure_packet(&measure, &header, sound + heard * SOUND_FRAME + offset, now_us);
		}
		heard++;
	}
	return measure;
}

static void echo_is_found(void **state)
{
	struct measure measure = echo(40, 0, 0, SOUND_PCMU);

	(void)state;
	assert_true(measure_is_echo(&measure));
	assert_false(measure_is_tone(&measure));
	assert_int_equal(measure.matched, 99);
	assert_true(measure_loss_percent(&measure) == 0);
	assert_true(measure_round_trip_ms(&measure) > 59 && measure_round_trip_ms(&measure) < 61);
	assert_true(measure_jitter_ms(&measure) < 0.01);
	measure_stop(&measure);
}

static void echo_is_found_when_frames_are_cut_anew(void **state)
{
	struct measure measure = echo(400, 77, 0, SOUND_PCMA);

	(void)state;
	assert_true(measure_is_echo(&measure));
	assert_int_equal(measure.matched, 99);
	assert_int_equal(measure.searches, 1);
	measure_stop(&measure);
}

static void lost_packets_are_counted(void **state)
{
	struct measure measure = echo(40, 0, 10, SOUND_PCMU);

	(void)state;
	assert_true(measure_is_echo(&measure));
	assert_true(measure_loss_percent(&measure) > 9 && measure_loss_percent(&measure) < 11);
	measure_stop(&measure);
}

static void other_sound_is_no_echo(void **state)
{
	struct measure measure;
	uint8_t frame[SOUND_FRAME], strange[SOUND_FRAME];

	(void)state;
	assert_int_equal(measure_start(&measure, 100, 1), 0);
	for (uint32_t i = 0; i < 60; i++) {
		struct rtp_header header = {.sequence = (uint16_t)(i * 2), .payload_length = SOUND_FRAME};

		measure_frame(&measure, SOUND_PCMU, i * 20000, frame);
		for (int s = 0; s < SOUND_FRAME; s++)
			strange[s] = sound_encode(SOUND_PCMU, sound_signal(2, i * SOUND_FRAME + (uint64_t)s));
		measure_packet(&measure, &header, strange, i * 20000);
	}
	assert_false(measure_is_echo(&measure));
	assert_false(measure_is_tone(&measure));
	assert_true(measure_loss_percent(&measure) > 49 && measure_loss_percent(&measure) < 51); /* by numbers */
	measure_stop(&measure);
	assert_int_equal(measure_start(&measure, 1, 1), 0);
	assert_true(measure_loss_percent(&measure) == 100);
	measure_stop(&measure);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codec_has_the_values_of_g_711),
		cmocka_unit_test(codec_gives_back_its_own_values),
		cmocka_unit_test(tone_is_told_from_noise),
		cmocka_unit_test(echo_is_found),
		cmocka_unit_test(echo_is_found_when_frames_are_cut_anew),
		cmocka_unit_test(lost_packets_are_counted),
		cmocka_unit_test(other_sound_is_no_echo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
