/* SPDX-License-Identifier: Apache-2.0
 * STUN keep-alives on the SIP port: right answers, wrong lengths, bounded size. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "base/stun.h"

#define HEADER "\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
#define BARE "\x00\x01\x00\x00" HEADER

/* RFC 5769 section 2.1, an independent witness of the FINGERPRINT. */
static const char rfc_request[] = "\x00\x01\x00\x58" HEADER "\x80\x22\x00\x10STUN test client"
				  "\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36"
				  "\x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20"
				  "\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49"
				  "\xc1\xb5\x71\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

struct answer {
	enum stun_result result;
	char bytes[256];
	size_t length;
};

static struct answer ask(const char *bytes, size_t length, const char *source)
{
	struct answer answer = {0};
	struct buffer out = BUFFER_OVER(answer.bytes);
	struct address address;

	assert_int_equal(address_parse(span_from(source), &address), 0);
	answer.result = stun_answer((struct span){bytes, length}, &address, &out);
	answer.length = out.length;
	return answer;
}

static void mapped_address_of_rfc_5769(void **state)
{
	struct answer answer = ask(BARE, 20, "192.0.2.1:32853");

	(void)state;
	assert_int_equal(answer.result, STUN_ANSWER);
	assert_int_equal(answer.length, 32);
	assert_memory_equal(answer.bytes, "\x01\x01\x00\x0c" HEADER "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43",
			    32);
}

static void mapped_address_of_rfc_5769_ipv6(void **state)
{
	struct answer answer = ask(BARE, 20, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");

	(void)state;
	assert_int_equal(answer.result, STUN_ANSWER);
	assert_int_equal(answer.length, 44);
	assert_memory_equal(answer.bytes + 20,
			    "\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2"
			    "\xb9\xd9",
			    24);
}

static void attributes_that_must_be_understood_are_refused(void **state)
{
	struct answer answer = ask(rfc_request, sizeof(rfc_request) - 1, "192.0.2.1:32853");

	(void)state;
	assert_int_equal(answer.result, STUN_ANSWER);
	assert_memory_equal(answer.bytes, "\x01\x11\x00\x1c" HEADER, 20);
	assert_memory_equal(answer.bytes + 20, "\x00\x09\x00\x04\x00\x00\x04\x14", 8); /* 420 */
	assert_memory_equal(answer.bytes + 28, "\x00\x0a\x00\x06\x00\x24\x00\x06\x00\x08\x00\x00", 12);
	assert_memory_equal(answer.bytes + 40, "\x80\x28\x00\x04", 4);
}

static void fingerprint_is_checked_and_given_back(void **state)
{
	char request[] = "\x00\x01\x00\x08" HEADER "\x80\x28\x00\x04\x00\x00\x00\x00";
	char again[256];
	struct answer answer;
	int right = 0;

	(void)state;
	answer = ask(request, 28, "192.0.2.1:32853");
	assert_int_equal(answer.result, STUN_MALFORMED);

	/* The answer's own FINGERPRINT holds: asked back as a request it is only not one. */
	memcpy(again, rfc_request, sizeof(rfc_request));
	answer = ask(again, sizeof(rfc_request) - 1, "192.0.2.1:32853");
	right = ask(answer.bytes, answer.length, "192.0.2.1:32853").result;
	assert_int_equal(right, STUN_SILENCE);
	answer.bytes[30] ^= 1;
	assert_int_equal(ask(answer.bytes, answer.length, "192.0.2.1:1").result, STUN_MALFORMED);

	for (size_t i = 8; i < sizeof(rfc_request) - 9; i++) { /* any byte before it, changed, breaks it */
		memcpy(again, rfc_request, sizeof(rfc_request));
		again[i] ^= 0x10;
		assert_int_equal(ask(again, sizeof(rfc_request) - 1, "192.0.2.1:1").result, STUN_MALFORMED);
	}
}

static void lengths_must_fit(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} bad[] = {
		{"\x00\x01\x00\x04" HEADER, 20},
		{"\x00\x01\x00\x00" HEADER "\x80\x22\x00\x00", 24},
		{"\x00\x01\x00\x04" HEADER "\x80\x22\x00\x04", 24},
		{"\x00\x01\x00\x04" HEADER "\x80\x22\xff\xff", 24},
		{"\x00\x01\x00\x04" HEADER "\x80\x22\xff\xfd", 24},
		{"\x00\x01\x00\x03" HEADER "\x80\x22\x00", 23},
		{"\x00\x01\x00\x08" HEADER "\x80\x22\x00\x05\x01\x01\x01\x01", 28},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ask(bad[i].bytes, bad[i].length, "192.0.2.1:1").result, STUN_MALFORMED);
	for (size_t length = 0; length < sizeof(rfc_request) - 1; length++) {
		char copy[sizeof(rfc_request)]; /* at the end of its memory, for the sanitizer */

		memcpy(copy + sizeof(copy) - length, rfc_request, length);
		assert_int_equal(ask(copy + sizeof(copy) - length, length, "192.0.2.1:1").result, STUN_MALFORMED);
	}
}

static void other_messages_are_met_with_silence(void **state)
{
	(void)state;
	assert_int_equal(ask("\x00\x11\x00\x00" HEADER, 20, "192.0.2.1:1").result, STUN_SILENCE); /* indication */
	assert_int_equal(ask("\x01\x01\x00\x00" HEADER, 20, "192.0.2.1:1").result, STUN_SILENCE); /* response */
	assert_int_equal(ask("\x00\x03\x00\x00" HEADER, 20, "192.0.2.1:1").result, STUN_SILENCE); /* Allocate */
	assert_false(stun_is(SPAN("OPTIONS sip:a@b SIP/2.0\r\n")));
	assert_false(stun_is((struct span){"\x00\x01\x00\x00\x21\x12\xa4\x43" HEADER, 20}));
	assert_false(stun_is((struct span){BARE, 19}));
	assert_true(stun_is((struct span){BARE, 20}));
}

/* N4: a request full of unknown attributes brings no larger answer. */
static void answer_is_bounded(void **state)
{
	char request[20 + 64 * 4];

	(void)state;
	memcpy(request, BARE, 20);
	for (size_t count = 1; count <= 64; count++) {
		struct answer answer;

		request[3] = (char)(count * 4);
		request[2] = (char)(count * 4 >> 8);
		memcpy(request + 20 + (count - 1) * 4, "\x7f\xff\x00\x00", 4);
		answer = ask(request, 20 + count * 4, "192.0.2.1:1");
		assert_int_equal(answer.result, STUN_ANSWER);
		assert_true(answer.length <= 20 + count * 4 + STUN_ANSWER_MARGIN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapped_address_of_rfc_5769),
		cmocka_unit_test(mapped_address_of_rfc_5769_ipv6),
		cmocka_unit_test(attributes_that_must_be_understood_are_refused),
		cmocka_unit_test(fingerprint_is_checked_and_given_back),
		cmocka_unit_test(lengths_must_fit),
		cmocka_unit_test(other_messages_are_met_with_silence),
		cmocka_unit_test(answer_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
