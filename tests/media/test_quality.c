/* SPDX-License-Identifier: Apache-2.0
 * What is known of how a call sounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay_kit.h"

static void assert_near(double value, double wanted, double margin)
{
	assert_float_equal((float)value, (float)wanted, (float)margin);
}

/* What others publish: G.107 annex B for the scores; for losses Ie,eff = Ie + (95 - Ie) * Ppl / (Ppl + Bpl). */
static void scores_are_those_of_the_recommendation(void **state)
{
	static const struct {
		double rating, opinion;
	} published[] = {{93.2, 4.41}, {90, 4.34}, {80, 4.03}, {70, 3.60}, {60, 3.10}, {50, 2.58}, {0, 1}, {100, 4.5}};

	(void)state;
	for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++)
		assert_near(media_quality_opinion(published[i].rating), published[i].opinion, 0.01);
	for (double rating = -10; rating < 110; rating += 0.5)
		assert_true(media_quality_opinion(rating) >= 1 && media_quality_opinion(rating) <= 4.5);
}

static double rating_of(const char *codec, uint64_t received, uint64_t lost, uint32_t jitter_us, uint32_t round_trip_us)
{
	const struct media_quality quality = {codec, received, lost, jitter_us, round_trip_us};

	return media_quality_rating(&quality);
}

static void codecs_loss_and_delay_cost(void **state)
{
	double good = rating_of("PCMU/8000", 1000, 0, 0, 0);

	(void)state;
	assert_near(good, 93.2 - 0.024 * 30, 0.001);
	assert_near(good - rating_of("g729/8000", 1000, 0, 0, 0), 11, 0.001);
	assert_near(good - rating_of("PCMA/8000", 980, 20, 0, 0), 95 * 2 / (2 + 25.1), 0.001);
	assert_near(good - rating_of("G729", 980, 20, 0, 0), 11 + 84 * 2 / (2 + 19.0), 0.001);
	/* 100 ms each way are hardly noticed, 300 ms are. */
	assert_near(good - rating_of("PCMU", 1000, 0, 0, 200000), 2.4, 0.001);
	assert_near(good - rating_of("PCMU", 1000, 0, 0, 600000), 7.2 + 0.11 * (330 - 177.3), 0.001);
	assert_near(good - rating_of("PCMU", 1000, 0, 20000, 0), 0.024 * 40, 0.001);
	assert_near(rating_of("opus/48000/2", 1000, 0, 0, 0), good, 0.001);
	assert_near(rating_of("", 0, 0, 0, 0), good, 0.001);
	assert_true(rating_of("GSM-EFR", 0, 1000, UINT32_MAX, UINT32_MAX) == 0);
}

static void word_write(uint8_t *at, uint32_t word)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(word >> (24 - 8 * i));
}

/* A report of `type`: SR (200) with the NTP timestamp in whose middle `stamp` stands, or RR (201) on that, kept for so long. */
static size_t report_make(uint8_t packet[52], uint8_t type, uint32_t stamp, uint32_t kept_ms)
{
	size_t length = type == 200 ? 28 : 32;

	memset(packet, 0, 52);
	packet[0] = (uint8_t)(0x80 | (type == 201));
	packet[1] = type;
	packet[3] = (uint8_t)(length / 4 - 1);
	packet[7] = type == 200 ? 1 : 2; /* as its RTP has it */
	if (type == 200) {
		word_write(packet + 10, stamp);
	} else {
		word_write(packet + 24, stamp);
		word_write(packet + 28, (uint32_t)((uint64_t)kept_ms * 65536 / 1000));
	}
	return length;
}

static void a_report_on_a_report_tells_the_round_trip(void **state)
{
	(void)state;
	uint8_t packet[52];
	struct kit_call call;
	struct address from;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	kit_call_set(&call);
	kit_call_send(&call, 0);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	struct address local[2] = {kit_local(&call, 0, true), kit_local(&call, 1, true)};
	kit_send(call.rtcp[0], &local[0], packet, report_make(packet, 200, 0x12345678, 0));
	assert_true(kit_receive(call.rtcp[1], packet, &from, WAIT_MS) > 0);
	usleep(60000);
	/* About something that was never sent, and kept for longer than it was away: nothing is known by that. */
	kit_send(call.rtcp[1], &local[1], packet, report_make(packet, 201, 0x12345679, 0));
	kit_send(call.rtcp[1], &local[1], packet, report_make(packet, 201, 0x12345678, 60000));
	usleep(20000);
	assert_int_equal(kit_counters(&call, 1).round_trip_us, 0);
	kit_send(call.rtcp[1], &local[1], packet, report_make(packet, 201, 0x12345678, 50));
	usleep(20000);
	assert_in_range(kit_counters(&call, 1).round_trip_us, 1, 2000000);
	assert_int_equal(kit_counters(&call, 0).round_trip_us, 0);
	kit_call_free(&call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scores_are_those_of_the_recommendation),
		cmocka_unit_test(codecs_loss_and_delay_cost),
		cmocka_unit_test_setup_teardown(a_report_on_a_report_tells_the_round_trip, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
