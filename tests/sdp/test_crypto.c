/* SPDX-License-Identifier: Apache-2.0
 * The crypto attribute (RFC 4568) and the suites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "samples.h"
#include "sdp/sdp.h"

static char room[16384];
static struct sdp_session session;

static enum sdp_reject parse(const char *crypto_lines)
{
	static char text[8192];
	struct arena arena = arena_over(room, sizeof(room));

	snprintf(text, sizeof(text),
		 "v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4 RTP/SAVP 0\r\n%s",
		 crypto_lines);
	return sdp_parse(span_from(text), &arena, &session);
}

#define LINE(rest) "a=crypto:" rest "\r\n"
#define CM80 "AES_CM_128_HMAC_SHA1_80 inline:"

static void check_count(const char *lines, uint8_t count)
{
	assert_int_equal(parse(lines), SDP_OK);
	assert_int_equal(session.streams[0].crypto_count, count);
}

static void suites_have_names_and_sizes(void **state)
{
	(void)state;
	static const uint8_t bytes[SDP_SUITE_COUNT] = {0, 30, 30, 46, 46, 28, 44};

	for (int suite = 0; suite < SDP_SUITE_COUNT; suite++) {
		assert_int_equal(sdp_suite_key_bytes((enum sdp_suite)suite), bytes[suite]);
		assert_int_equal(sdp_suite_parse(span_from(sdp_suite_name((enum sdp_suite)suite))), suite);
	}
	assert_int_equal(sdp_suite_parse(SPAN("NULL_HMAC_SHA1_80")), SDP_SUITE_NONE);
	assert_int_equal(sdp_suite_parse(SPAN("aes_cm_128_hmac_sha1_80")), SDP_SUITE_NONE);
	assert_int_equal(sdp_suite_key_bytes(SDP_SUITE_COUNT), 0);
	assert_string_equal(sdp_suite_name(SDP_SUITE_COUNT), "");
}

static void keys_with_and_without_padding(void **state)
{
	(void)state;
	check_count(LINE("1 AES_256_CM_HMAC_SHA1_80 inline:" KEY_46)
			    LINE("2 AES_256_CM_HMAC_SHA1_32 inline:" KEY_46 "=="),
		    2);
	assert_memory_equal(session.streams[0].cryptos[0].key, session.streams[0].cryptos[1].key, 46);
	assert_int_equal(session.streams[0].cryptos[0].key[0], 1);
	assert_int_equal(session.streams[0].cryptos[0].key[45], 46);
	check_count(LINE("7 AEAD_AES_128_GCM inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHA=="), 1);
	assert_int_equal(session.streams[0].cryptos[0].key[27], 28);
	check_count(LINE("7 AEAD_AES_256_GCM inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKyw="), 1);
	assert_int_equal(session.streams[0].cryptos[0].key[43], 44);
}

static void lines_not_for_us_are_passed_over(void **state)
{
	(void)state;
	check_count(LINE("1 AES_192_CM_HMAC_SHA1_80 inline:whatever"), 0);
	check_count(LINE("1 F8_128_HMAC_SHA1_80 inline:x"), 0);
	check_count(LINE("1 " CM80 KEY_30 "|2^20|1:4"), 0);
	check_count(LINE("1 " CM80 KEY_30 "|1:4"), 0);
	check_count(LINE("1 " CM80 KEY_30 ";inline:" KEY_30), 0);
	check_count(LINE("1 " CM80 KEY_30 " KDR=1"), 0);
	check_count(LINE("1 " CM80 KEY_30 " UNAUTHENTICATED_SRTP"), 0);
	/* and the one after them is found, under its own tag */
	check_count(LINE("1 " CM80 KEY_30 "|1:4") LINE("2 " CM80 KEY_30 "|2^31"), 1);
	assert_int_equal(session.streams[0].cryptos[0].tag, 2);
	check_count(LINE("999999999 " CM80 KEY_30 "|1048576"), 1);
	assert_int_equal(session.streams[0].cryptos[0].tag, 999999999);
}

static void malformed_lines_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		LINE(""),
		LINE("1"),
		LINE("1 AES_CM_128_HMAC_SHA1_80"),
		LINE("x " CM80 KEY_30),
		LINE("1234567890 " CM80 KEY_30),
		LINE("1 AES_CM_128_HMAC_SHA1_80 " KEY_30),
		LINE("1 " CM80),
		LINE("1 " CM80 "AQID"),
		LINE("1 " CM80 KEY_30 "AAAA"),
		LINE("1 " CM80 KEY_46 "=="),
		LINE("1 " CM80 "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0-"),
		LINE("1 AES_256_CM_HMAC_SHA1_80 inline:" KEY_46 "="),
		LINE("1 AES_256_CM_HMAC_SHA1_80 inline:" KEY_46 "=x"),
		/* the last digit has bits that belong to no byte */
		LINE("1 AES_256_CM_HMAC_SHA1_80 inline:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLh"),
		LINE("1 " CM80 KEY_30 "|"),
		LINE("1 " CM80 KEY_30 "|2^"),
		LINE("1 " CM80 KEY_30 "|2^49"),
		LINE("1 " CM80 KEY_30 "|0"),
		LINE("1 " CM80 KEY_30 "|2^20|"),
		LINE("1 " CM80 KEY_30 "|x|1:4"),
		LINE("1 " CM80 KEY_30) LINE("1 " CM80 KEY_30),
		LINE("1 " CM80 KEY_30) LINE("01 " CM80 KEY_30),
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]) != SDP_REJECT_VALUE)
			fail_msg("accepted: %s", bad[i]);
}

static void at_most_eight_lines(void **state)
{
	(void)state;
	char lines[2048];
	size_t length = 0;

	for (int i = 1; i <= SDP_CRYPTOS_MAXIMUM; i++)
		length += (size_t)sprintf(lines + length, LINE("%d " CM80 KEY_30), i);
	check_count(lines, SDP_CRYPTOS_MAXIMUM);
	sprintf(lines + length, LINE("9 " CM80 KEY_30));
	assert_int_equal(parse(lines), SDP_REJECT_TOO_MANY);
}

/* Keys at session level are not RFC 4568's and give none. */
static void session_level_keys_count_for_nothing(void **state)
{
	(void)state;
	struct arena arena = arena_over(room, sizeof(room));
	static const char text[] = "v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" LINE(
		"1 " CM80 KEY_30) "m=audio 4 RTP/SAVP 0\r\n";

	assert_int_equal(sdp_parse(span_from(text), &arena, &session), SDP_OK);
	assert_int_equal(session.streams[0].crypto_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suites_have_names_and_sizes),
		cmocka_unit_test(keys_with_and_without_padding),
		cmocka_unit_test(lines_not_for_us_are_passed_over),
		cmocka_unit_test(malformed_lines_are_refused),
		cmocka_unit_test(at_most_eight_lines),
		cmocka_unit_test(session_level_keys_count_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
