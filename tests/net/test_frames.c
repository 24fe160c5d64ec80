/* SPDX-License-Identifier: Apache-2.0
 * Frames of a WebSocket's client: messages whole and in fragments, however they are cut, and what is wrong with others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/frames.h"

#define LIMIT 70000

static char wire[2 * LIMIT];
static struct buffer out;

static void start(void)
{
	out = BUFFER_OVER(wire);
}

/* A masked frame whose header says `length` bytes, and has `payload`. */
static void put_header(uint8_t first, uint64_t length, bool masked)
{
	int bytes = length < 126 ? 0 : length <= 65535 ? 2 : 8;

	buffer_put_byte(&out, (char)first);
	buffer_put_byte(&out, (char)((masked ? 0x80 : 0) | (!bytes ? length : bytes == 2 ? 126 : 127)));
	while (bytes--)
		buffer_put_byte(&out, (char)(length >> (8 * bytes)));
	if (masked)
		buffer_put(&out, "\x11\x92\x33\xf4", 4);
}

static void put(uint8_t first, struct span payload)
{
	put_header(first, payload.length, true);
	for (size_t i = 0; i < payload.length; i++)
		buffer_put_byte(&out, (char)(payload.data[i] ^ "\x11\x92\x33\xf4"[i % 4]));
}

struct heard {
	int messages, pings, pongs, closes, wrong;
	uint16_t code;
	char last[LIMIT];
	size_t length;
};

static void listen_to(struct net_frames *frames, struct span bytes, struct heard *heard)
{
	enum net_frames_event event;
	struct span payload = SPAN_EMPTY;

	net_frames_give(frames, bytes);
	while ((event = net_frames_next(frames, &payload, &heard->code)) != NET_FRAMES_MORE) {
		heard->messages += event == NET_FRAMES_MESSAGE;
		heard->pings += event == NET_FRAMES_PING;
		heard->pongs += event == NET_FRAMES_PONG;
		heard->closes += event == NET_FRAMES_CLOSE;
		heard->wrong += event == NET_FRAMES_WRONG;
		if (event == NET_FRAMES_WRONG || event == NET_FRAMES_CLOSE)
			break;
		assert_true(payload.length <= sizeof(heard->last));
		if (payload.length)
			memcpy(heard->last, payload.data, payload.length);
		heard->length = payload.length;
	}
}

/* Hears what is in `wire`, `step` bytes at a time, each in memory of its own. */
static void hear(struct heard *heard, size_t limit, size_t step)
{
	struct net_frames *frames = net_frames_new(limit);

	memset(heard, 0, sizeof(*heard));
	assert_non_null(frames);
	for (size_t at = 0; at < out.length && !heard->wrong && !heard->closes; at += step) {
		size_t length = step < out.length - at ? step : out.length - at;
		char *piece = malloc(length);

		memcpy(piece, wire + at, length);
		listen_to(frames, (struct span){piece, length}, heard);
		free(piece);
	}
	if (!heard->wrong && !heard->closes)
		assert_false(net_frames_midway(frames));
	net_frames_free(frames);
}

static void test_messages_in_any_pieces(void **state)
{
	static const size_t steps[] = {1, 2, 3, 7, 4096, sizeof(wire)};
	static char large[66000];
	struct heard heard;

	(void)state;
	memset(large, 'x', sizeof(large));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		start();
		put(0x82, SPAN("binary \xff"));
		put(0x89, SPAN("ping"));
		put(0x01, SPAN("one, "));
		put(0x8a, SPAN_EMPTY); /* between fragments */
		put(0x00, SPAN_EMPTY);
		put(0x80, SPAN("two"));
		hear(&heard, LIMIT, steps[i]);
		assert_int_equal(heard.messages, 2);
		assert_int_equal(heard.pings, 1);
		assert_int_equal(heard.pongs, 1);
		assert_int_equal(heard.length, 8);
		assert_memory_equal(heard.last, "one, two", 8);
		put(0x81, (struct span){large, 300});
		put(0x81, (struct span){large, sizeof(large)});
		hear(&heard, LIMIT, steps[i]);
		assert_int_equal(heard.messages, 4);
		assert_int_equal(heard.length, sizeof(large));
		assert_memory_equal(heard.last, large, sizeof(large));
		put(0x81, SPAN_EMPTY);
		put(0x88, SPAN("\x03\xe8"
			       "bye"));
		hear(&heard, LIMIT, steps[i]);
		assert_int_equal(heard.messages, 5);
		assert_int_equal(heard.closes, 1);
		assert_int_equal(heard.code, 1000);
	}
}

static void test_midway(void **state)
{
	struct net_frames *frames = net_frames_new(LIMIT);
	static struct heard heard;

	(void)state;
	start();
	put(0x01, SPAN("begun"));
	assert_false(net_frames_midway(frames));
	for (size_t i = 0; i < out.length; i++) {
		listen_to(frames, (struct span){wire + i, 1}, &heard);
		assert_true(net_frames_midway(frames));
	}
	start();
	put(0x89, SPAN("ping")); /* does not end it */
	listen_to(frames, buffer_span(&out), &heard);
	assert_true(net_frames_midway(frames));
	start();
	put(0x80, SPAN_EMPTY);
	listen_to(frames, buffer_span(&out), &heard);
	assert_false(net_frames_midway(frames));
	assert_int_equal(heard.messages, 1);
	net_frames_free(frames);
}

static void expect_wrong(uint16_t code, size_t limit)
{
	static const size_t steps[] = {1, sizeof(wire)};
	struct heard heard;

	for (size_t i = 0; i < 2; i++) {
		hear(&heard, limit, steps[i]);
		assert_int_equal(heard.wrong, 1);
		assert_int_equal(heard.code, code);
		assert_int_equal(heard.messages, 0);
	}
}

static void test_what_is_wrong(void **state)
{
	static const uint8_t opcodes[] = {0x83, 0x87, 0x8b, 0x8f, 0x91, 0xa1, 0xc1, 0x80, 0x00};

	(void)state;
	start();
	put_header(0x81, 1, false); /* not masked */
	buffer_put_byte(&out, 'a');
	expect_wrong(1002, LIMIT);
	for (size_t i = 0; i < sizeof(opcodes); i++) { /* unknown, reserved bits, nothing to continue */
		start();
		put(opcodes[i], SPAN("a"));
		expect_wrong(1002, LIMIT);
	}
	start();
	put(0x01, SPAN("a"));
	put(0x81, SPAN("b")); /* a message within a message */
	expect_wrong(1002, LIMIT);
	start();
	put(0x09, SPAN("a")); /* a control frame in fragments */
	expect_wrong(1002, LIMIT);
	start();
	put_header(0x89, 126, true); /* and one that is too long */
	expect_wrong(1002, LIMIT);
	start();
	buffer_put(&out,
		   "\x81\xfe\x00\x05"
		   "maskhello",
		   13); /* a length that is longer than it need be */
	expect_wrong(1002, LIMIT);
	start();
	buffer_put(&out, "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00mask", 14);
	buffer_put_byte(&out, 'a');
	expect_wrong(1002, LIMIT);
}

static void test_a_message_is_bounded(void **state)
{
	struct heard heard;

	(void)state;
	start();
	put(0x81, SPAN("0123456789"));
	hear(&heard, 10, 1);
	assert_int_equal(heard.messages, 1);
	expect_wrong(1009, 9);
	start();
	for (int i = 0; i < 11; i++)
		put(i ? 0x00 : 0x02, SPAN("a"));
	expect_wrong(1009, 10);
	start(); /* nothing is set aside for what was only announced */
	put_header(0x82, UINT64_MAX / 2, true);
	buffer_put_byte(&out, 'a');
	expect_wrong(1009, LIMIT);
}

static void test_text_is_utf8(void **state)
{
	static const char *const good[] = {"",
					   "a",
					   "caf\xc3\xa9",
					   "\xe2\x82\xac",
					   "\xed\x9f\xbf",
					   "\xf0\x90\x80\x80",
					   "\xf4\x8f\xbf\xbf",
					   "\xe0\xa0\x80"};
	static const char *const bad[] = {"\x80",
					  "\xc0\xaf",
					  "\xc1\xbf",
					  "\xc3",
					  "\xe0\x9f\xbf",
					  "\xed\xa0\x80",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "\xe2\x82",
					  "\xe2\x82z",
					  "\xff"};
	struct heard heard;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(net_text_is_utf8(span_from(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(net_text_is_utf8(span_from(bad[i])));
		start();
		put(0x81, span_from(bad[i]));
		expect_wrong(1007, LIMIT);
	}
	start(); /* a character may be cut by fragments */
	put(0x01, SPAN("\xe2"));
	put(0x80, SPAN("\x82\xac"));
	hear(&heard, LIMIT, 1);
	assert_int_equal(heard.messages, 1);
}

static void test_close_codes(void **state)
{
	static const struct {
		struct span payload;
		bool good;
		uint16_t code;
	} cases[] = {
		{SPAN_INIT(""), true, 1005},          {SPAN_INIT("\x03\xe9"), true, 1001},
		{SPAN_INIT("\x0f\xa0"), true, 4000},  {SPAN_INIT("\x03"), false, 1002},
		{SPAN_INIT("\x03\xed"), false, 1002}, /* 1005 is never sent */
		{SPAN_INIT("\x03\xee"), false, 1002}, {SPAN_INIT("\x03\xe7"), false, 1002},
		{SPAN_INIT("\x13\x88"), false, 1002}, {SPAN_INIT("\x03\xe8\xff"), false, 1007},
	};
	struct heard heard;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		start();
		put(0x88, cases[i].payload);
		hear(&heard, LIMIT, 1);
		assert_int_equal(heard.closes, cases[i].good);
		assert_int_equal(heard.wrong, !cases[i].good);
		assert_int_equal(heard.code, cases[i].code);
	}
}

static void test_headers_of_ours(void **state)
{
	char text[NET_FRAME_HEADER_BYTES];
	struct buffer header = BUFFER_OVER(text);

	(void)state;
	net_frames_write_header(&header, NET_OPCODE_TEXT, 125);
	assert_int_equal(header.length, 2);
	assert_memory_equal(text, "\x81\x7d", 2);
	header = BUFFER_OVER(text);
	net_frames_write_header(&header, NET_OPCODE_BINARY, 65535);
	assert_int_equal(header.length, 4);
	assert_memory_equal(text, "\x82\x7e\xff\xff", 4);
	header = BUFFER_OVER(text);
	net_frames_write_header(&header, NET_OPCODE_TEXT, 65536);
	assert_int_equal(header.length, 10);
	assert_memory_equal(text, "\x81\x7f\0\0\0\0\0\x01\0\0", 10);
}

static void test_every_allocation_may_fail(void **state)
{
	static struct heard heard;
	bool done = false;

	(void)state;
	start();
	put(0x01, SPAN("one, "));
	put(0x80, SPAN("two"));
	for (long i = 0; !done; i++) {
		struct net_frames *frames;

		memset(&heard, 0, sizeof(heard));
		memory_fail_after(i);
		frames = net_frames_new(LIMIT);
		if (frames)
			listen_to(frames, buffer_span(&out), &heard);
		memory_fail_after(-1);
		done = heard.messages;
		if (frames && !done)
			assert_int_equal(heard.code, 1011);
		net_frames_free(frames);
		assert_true(i < 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_in_any_pieces), cmocka_unit_test(test_midway),
		cmocka_unit_test(test_what_is_wrong),          cmocka_unit_test(test_a_message_is_bounded),
		cmocka_unit_test(test_text_is_utf8),           cmocka_unit_test(test_close_codes),
		cmocka_unit_test(test_headers_of_ours),        cmocka_unit_test(test_every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
