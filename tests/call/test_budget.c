/* SPDX-License-Identifier: Apache-2.0
 * What media is told that a stream may need (THREATS M4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "call/budget.h"

static bool extend(struct media_budget *budget, const char *lines)
{
	char text[1000];
	static uint64_t memory[8192];
	struct arena arena = arena_over(memory, sizeof(memory));
	struct sdp_session session;

	snprintf(text, sizeof(text), "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n%s",
		 lines);
	assert_int_equal(sdp_parse(span_from(text), &arena, &session), SDP_OK);
	return budget_extend(budget, &session.streams[0]);
}

static bool has(const struct media_budget *budget, int type)
{
	return budget->payload_types[type / 8] >> type % 8 & 1;
}

static void sound_has_its_types_and_a_margin(void **state)
{
	struct media_budget budget = {0}, before;

	(void)state;
	assert_true(extend(&budget, "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"));
	for (int type = 0; type < 128; type++)
		assert_int_equal(has(&budget, type), type == 0 || type == 13 || type == 101);
	assert_in_range(budget.packets_per_s, 150, 500);
	assert_in_range(budget.kbps, 200, 500);
	assert_true(budget.packet_bytes >= 1640);
	/* The same again adds nothing; an offer of more does, and nothing is taken back. */
	assert_false(extend(&budget, "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"));
	before = budget;
	assert_true(extend(&budget, "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=ptime:5\r\n"));
	assert_true(has(&budget, 0) && has(&budget, 96));
	assert_true(budget.packets_per_s > before.packets_per_s && budget.kbps > before.kbps + 512);
	assert_true(extend(&budget, "m=audio 4000 RTP/AVP 18\r\n"));
	assert_true(has(&budget, 18));
}

static void pictures_follow_the_bandwidth(void **state)
{
	struct media_budget none = {0}, said = {0}, little = {0}, vast = {0};

	(void)state;
	assert_true(extend(&none, "m=video 4000 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\n"));
	assert_true(extend(&said, "m=video 4000 RTP/AVP 97\r\nb=AS:2000\r\na=rtpmap:97 VP8/90000\r\n"));
	assert_true(extend(&little, "m=video 4000 RTP/AVP 97\r\nb=AS:64\r\na=rtpmap:97 VP8/90000\r\n"));
	assert_true(extend(&vast, "m=video 4000 RTP/AVP 97\r\nb=AS:10000000\r\na=rtpmap:97 VP8/90000\r\n"));
	assert_int_equal(vast.kbps, 50000); /* nobody lifts his own limit */
	assert_int_equal(none.kbps, 20000);
	assert_int_equal(said.kbps, 8000);
	assert_int_equal(little.kbps, 4000);
	assert_false(has(&said, 13));
}

static void refused_and_foreign_streams_have_none(void **state)
{
	static const struct media_budget nothing;
	struct media_budget budget = {0};

	(void)state;
	assert_false(extend(&budget, "m=audio 0 RTP/AVP 0\r\n"));
	assert_false(extend(&budget, "m=image 4000 udptl t38\r\n"));
	assert_memory_equal(&budget, &nothing, sizeof(budget));
}

static void learn(uint8_t *clocks, const char *lines, bool changes)
{
	char text[1000];
	static uint64_t memory[8192];
	struct arena arena = arena_over(memory, sizeof(memory));
	struct sdp_session session;

	snprintf(text, sizeof(text), "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n%s",
		 lines);
	assert_int_equal(sdp_parse(span_from(text), &arena, &session), SDP_OK);
	assert_true(clocks_learn(clocks, &session.streams[0]) == changes);
}

static void clocks_are_what_the_description_says(void **state)
{
	static const char sound[] = "m=audio 4000 RTP/AVP 9 0 96 97 98 101 102\r\na=rtpmap:96 opus/48000/2\r\n"
				    "a=rtpmap:97 speex/16000\r\na=rtpmap:98 odd/12345\r\n"
				    "a=rtpmap:101 telephone-event/8000\r\n";
	uint8_t clocks[MEDIA_TYPES] = {0};

	(void)state;
	learn(clocks, sound, true);
	learn(clocks, sound, false);
	assert_int_equal(media_clock_rate(clocks[0]), 8000);
	assert_int_equal(media_clock_rate(clocks[9]), 8000); /* RFC 3551 section 4.5.2 */
	assert_int_equal(media_clock_rate(clocks[13]), 8000);
	assert_int_equal(media_clock_rate(clocks[96]), 48000);
	assert_int_equal(media_clock_rate(clocks[97]), 16000);
	assert_int_equal(media_clock_rate(clocks[98]), 0);
	assert_int_equal(media_clock_rate(clocks[101]), 8000);
	assert_int_equal(media_clock_rate(clocks[102]), 0);
	learn(clocks, "m=video 4000 RTP/AVP 97 31\r\na=rtpmap:97 VP8/90000\r\n", true);
	assert_int_equal(media_clock_rate(clocks[97]), 90000);
	assert_int_equal(media_clock_rate(clocks[31]), 90000);
	learn(clocks, "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000\r\n", false);
	assert_int_equal(media_clock_rate(255), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_has_its_types_and_a_margin),
		cmocka_unit_test(pictures_follow_the_bandwidth),
		cmocka_unit_test(refused_and_foreign_streams_have_none),
		cmocka_unit_test(clocks_are_what_the_description_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
