/* SPDX-License-Identifier: Apache-2.0
 * Streams, and sweeps: messages in pieces, cut, with bits turned, and with little memory. */
#include "message_fixture.h"

/* Every shorter piece of a sound message asks for more, and the whole is the same as at once. */
static void test_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOUND_COUNT; i++) {
		size_t length = strlen(sound_texts[i]);

		for (size_t cut = 0; cut < length; cut++) {
			struct parsed parsed = parse((struct span){sound_texts[i], cut}, true);

			assert_int_equal(parsed.reject, SIP_NEED_MORE);
			assert_int_equal(parsed.consumed, 0);
			parsed_free(&parsed);
		}
		for (int is_stream = 0; is_stream < 2; is_stream++) {
			struct parsed parsed = parse(span_from(sound_texts[i]), is_stream);

			assert_int_equal(parsed.reject, SIP_OK);
			assert_int_equal(parsed.consumed, length);
			check_sound(&parsed, length);
			parsed_free(&parsed);
		}
	}
}

static void test_messages_follow_one_another(void **state)
{
	char text[8192];
	struct buffer out = BUFFER_OVER(text);
	struct span rest;

	(void)state;
	for (size_t i = 0; i < SOUND_COUNT; i++) {
		buffer_put_text(&out, "\r\n\r\n"); /* keep-alives between them */
		buffer_put_text(&out, sound_texts[i]);
	}
	buffer_put_text(&out, "\r\n\r");
	rest = buffer_span(&out);
	for (size_t i = 0; i < SOUND_COUNT; i++) {
		struct parsed parsed = parse(rest, true);

		assert_int_equal(parsed.reject, SIP_OK);
		assert_int_equal(parsed.message.bytes.length, strlen(sound_texts[i]));
		assert_int_equal(parsed.consumed, strlen(sound_texts[i]) + 4);
		rest = span_slice(rest, parsed.consumed, SIZE_MAX);
		parsed_free(&parsed);
	}
	struct parsed parsed = parse(rest, true);
	assert_int_equal(parsed.reject, SIP_NEED_MORE);
	assert_int_equal(parsed.consumed, 2);
	parsed_free(&parsed);
}

#define HEAD \
	"OPTIONS sip:pbx.example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx\r\n" \
	"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"

/* After a reject, consumed_bytes is the end of the message only where that end is certain. */
static void test_framing(void **state)
{
	static const struct {
		const char *text, *next;
		enum sip_reject reject;
		bool sound;
	} rows[] = {
		{HEAD "Content-Length: 2\r\n\r\nab", "next", SIP_OK, true},
		{HEAD "Expires: x\r\nContent-Length: 2\r\n\r\nab", "next", SIP_REJECT_HEADER_VALUE, true},
		{HEAD "\r\n", "next", SIP_REJECT_CONTENT_LENGTH, false},
		{HEAD "Content-Length: 2\r\nl: 3\r\n\r\nabc", "next", SIP_REJECT_HEADER_DUPLICATE, false},
		{HEAD "Expires: x\r\nl: 2\r\nl: 3\r\n\r\nabc", "next", SIP_REJECT_HEADER_VALUE, false},
		{HEAD "l: -2\r\n\r\n", "next", SIP_REJECT_CONTENT_LENGTH, false},
		{HEAD "l: 61441\r\n\r\n", "next", SIP_REJECT_TOO_LARGE, false},
		{HEAD "l: 4294967295\r\n\r\n", "next", SIP_REJECT_TOO_LARGE, false},
		{HEAD "l: 99999999999999999999\r\n\r\n", "next", SIP_REJECT_CONTENT_LENGTH, false},
		{HEAD "l\x01: 2\r\nl: 0\r\n\r\n", "next", SIP_REJECT_BYTE, false},
		{HEAD "l\r\n : 2\r\nl: 0\r\n\r\n", "next", SIP_REJECT_HEADER, false},
		{HEAD "l:\r\n 2\r\n\r\nab", "next", SIP_OK, true},
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buffer out = BUFFER_OVER(text);
		struct parsed parsed;

		buffer_put_text(&out, rows[i].text);
		buffer_put_text(&out, rows[i].next);
		parsed = parse(buffer_span(&out), true);
		assert_int_equal(parsed.reject, rows[i].reject);
		assert_int_equal(parsed.consumed, rows[i].sound ? strlen(rows[i].text) : out.length);
		parsed_free(&parsed);
	}
}

static void check_refused(const char *text, size_t length, enum sip_reject reject)
{
	struct parsed parsed = parse((struct span){text, length}, true);

	assert_int_equal(parsed.reject, reject);
	assert_int_equal(parsed.consumed, reject == SIP_NEED_MORE ? 0 : length);
	parsed_free(&parsed);
}

static void test_garbage_on_a_stream_is_refused_early(void **state)
{
	static char text[70000];

	(void)state;
	check_refused("GET / HTTP/1.1\r\n", 16, SIP_REJECT_NOT_SIP);
	check_refused("\x16\x03\x01", 3, SIP_REJECT_NOT_SIP); /* a TLS greeting */
	memset(text, 'A', sizeof(text));
	check_refused(text, 8192, SIP_NEED_MORE);
	check_refused(text, 8193, SIP_REJECT_LINE_TOO_LONG);
	/* a header section without an end: of many lines, of long ones, of a long one */
	memcpy(text, HEAD, strlen(HEAD));
	for (size_t i = strlen(HEAD); i + 5 < sizeof(text); i += 5)
		memcpy(text + i, "A:b\r\n", 5);
	check_refused(text, 5000, SIP_NEED_MORE);
	check_refused(text, 6000, SIP_REJECT_HEADERS_TOO_MANY);
	for (size_t i = strlen(HEAD); i + 5 < sizeof(text); i += 5)
		memcpy(text + i, i % 5000 < 5 ? "A:b\r\n" : "A:bcd", 5);
	check_refused(text, 65535, SIP_NEED_MORE);
	check_refused(text, 65536, SIP_REJECT_TOO_LARGE);
	memset(text + strlen(HEAD), 'A', sizeof(text) - strlen(HEAD));
	check_refused(text, strlen(HEAD) + 8192, SIP_NEED_MORE);
	check_refused(text, strlen(HEAD) + 8193, SIP_REJECT_LINE_TOO_LONG);
}

static void test_datagram_surplus_is_cut_off(void **state)
{
	struct parsed parsed = parse_text(HEAD "Content-Length: 0\r\n\r\nINVITE sip:b@example.com SIP/2.0\r\n\r\n");

	(void)state;
	assert_int_equal(parsed.reject, SIP_OK);
	assert_int_equal(parsed.message.body.length, 0);
	assert_span(parsed.message.bytes, HEAD "Content-Length: 0\r\n\r\n");
	parsed_free(&parsed);
	parsed = parse_text(HEAD "\r\nall of it");
	assert_int_equal(parsed.reject, SIP_OK);
	assert_span(parsed.message.body, "all of it");
	parsed_free(&parsed);
	parsed = parse_text(HEAD);
	assert_int_equal(parsed.reject, SIP_REJECT_HEADER); /* no empty line */
	parsed_free(&parsed);
	parsed = parse_text("");
	assert_int_equal(parsed.reject, SIP_REJECT_NOT_SIP);
	parsed_free(&parsed);
}

static void test_truncation_and_turned_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOUND_COUNT; i++) {
		size_t length = strlen(sound_texts[i]);
		char *copy = malloc(length);

		assert_non_null(copy);
		for (size_t cut = 0; cut < length; cut++) {
			struct parsed parsed = parse((struct span){sound_texts[i], cut}, false);

			check_sound(&parsed, cut);
			parsed_free(&parsed);
		}
		for (size_t bit = 0; bit < length * 8; bit++) {
			memcpy(copy, sound_texts[i], length);
			copy[bit / 8] ^= (char)(1 << (bit % 8));
			for (int is_stream = 0; is_stream < 2; is_stream++) {
				struct parsed parsed = parse((struct span){copy, length}, is_stream);

				check_sound(&parsed, length);
				parsed_free(&parsed);
			}
		}
		free(copy);
	}
}

/* Any capacity is enough or is refused, and enough is no more than one header needs each. */
static void test_every_arena_capacity(void **state)
{
	(void)state;
	for (size_t i = 0; i < SOUND_COUNT; i++) {
		size_t needed = 0;

		for (size_t capacity = 0; capacity < 2048; capacity++) {
			struct parsed parsed =
				parse_limited(span_from(sound_texts[i]), false, &sip_limits_default, capacity);

			assert_true(parsed.reject == SIP_OK || parsed.reject == SIP_REJECT_MEMORY);
			if (parsed.reject == SIP_OK && !needed)
				needed = capacity;
			assert_true(parsed.reject == SIP_OK || !needed);
			assert_true(parsed.reject == SIP_OK || !sip_message_is_answerable(&parsed.message));
			parsed_free(&parsed);
		}
		assert_in_range(needed, 1, 20 * sizeof(struct sip_header));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_messages_follow_one_another),
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_garbage_on_a_stream_is_refused_early),
		cmocka_unit_test(test_datagram_surplus_is_cut_off),
		cmocka_unit_test(test_truncation_and_turned_bits),
		cmocka_unit_test(test_every_arena_capacity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
