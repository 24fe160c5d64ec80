/* SPDX-License-Identifier: Apache-2.0
 * Spans: cutting, comparing and reading numbers stay within what they are given. */
#include "base/span.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.length, strlen(text));
	assert_memory_equal(span.data, text, strlen(text));
}

static void test_from(void **state)
{
	(void)state;
	assert_span(span_from("abc"), "abc");
	assert_int_equal(span_from("").length, 0);
	assert_int_equal(span_from(NULL).length, 0);
	assert_span(SPAN("literal"), "literal");
}

static void test_slice_cuts_to_what_is_there(void **state)
{
	struct span text = SPAN("abcdef");

	(void)state;
	assert_span(span_slice(text, 0, 6), "abcdef");
	assert_span(span_slice(text, 2, 3), "cde");
	assert_span(span_slice(text, 4, 100), "ef");
	assert_span(span_slice(text, 1, SIZE_MAX), "bcdef");
	assert_int_equal(span_slice(text, 6, 1).length, 0);
	assert_ptr_equal(span_slice(text, 6, 1).data, text.data + 6);
	assert_ptr_equal(span_slice(text, SIZE_MAX, SIZE_MAX).data, text.data + 6);
	assert_int_equal(span_slice(text, 3, 0).length, 0);
	assert_null(span_slice(SPAN_EMPTY, 1, 1).data);
}

static void test_equal(void **state)
{
	(void)state;
	assert_true(span_equal(SPAN("abc"), SPAN("abc")));
	assert_false(span_equal(SPAN("abc"), SPAN("abC")));
	assert_false(span_equal(SPAN("abc"), SPAN("abcd")));
	assert_true(span_equal(SPAN_EMPTY, SPAN("")));
	assert_true(span_equal((struct span){"a\0b", 3}, (struct span){"a\0b", 3}));
	assert_false(span_equal((struct span){"a\0b", 3}, (struct span){"a\0c", 3}));
}

static void test_nocase_folds_ascii_letters_alone(void **state)
{
	(void)state;
	assert_true(span_equal_nocase(SPAN("Call-ID"), SPAN("cALL-id")));
	assert_true(span_equal_nocase(SPAN_EMPTY, SPAN_EMPTY));
	assert_false(span_equal_nocase(SPAN("via"), SPAN("vi")));
	/* Neighbours of the letters that differ in the same bit. */
	assert_false(span_equal_nocase(SPAN("@"), SPAN("`")));
	assert_false(span_equal_nocase(SPAN("["), SPAN("{")));
	assert_false(span_equal_nocase(SPAN("\xc1"), SPAN("\xe1")));
	assert_true(span_equal_nocase(SPAN("AZaz"), SPAN("azAZ")));
	assert_true(span_is(SPAN("TLS"), "tls"));
	assert_false(span_is(SPAN("TLS"), "tl"));
	assert_true(span_is(SPAN_EMPTY, ""));
}

static void test_starts_with_and_index(void **state)
{
	(void)state;
	assert_true(span_starts_with(SPAN("sip:alice"), SPAN("sip:")));
	assert_true(span_starts_with(SPAN("sip:"), SPAN_EMPTY));
	assert_false(span_starts_with(SPAN("si"), SPAN("sip:")));
	assert_false(span_starts_with(SPAN("sips:"), SPAN("sip:")));
	assert_int_equal(span_index(SPAN("a:b:c"), ':'), 1);
	assert_int_equal(span_index(SPAN("abc"), ':'), -1);
	assert_int_equal(span_index(SPAN_EMPTY, 'a'), -1);
	assert_int_equal(span_index((struct span){"ab\0c", 4}, '\0'), 2);
	assert_int_equal(span_index(span_slice(SPAN("ab:"), 0, 2), ':'), -1);
}

static void test_trim(void **state)
{
	(void)state;
	assert_span(span_trim(SPAN(" \t a b\t ")), "a b");
	assert_span(span_trim(SPAN("a")), "a");
	assert_int_equal(span_trim(SPAN(" \t ")).length, 0);
	assert_int_equal(span_trim(SPAN_EMPTY).length, 0);
	assert_span(span_trim(SPAN("\r\n")), "\r\n");
}

static void test_to_uint_accepts(void **state)
{
	static const struct {
		const char *text;
		uint64_t maximum, value;
	} rows[] = {
		{"0", 0, 0},
		{"7", 9, 7},
		{"007", 9, 7},
		{"65535", 65535, 65535},
		{"18446744073709551615", UINT64_MAX, UINT64_MAX},
		{"000000000000000000000000000001", 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t value = 12345;

		assert_int_equal(span_to_uint(span_from(rows[i].text), rows[i].maximum, &value), 0);
		assert_true(value == rows[i].value);
	}
}

static void test_to_uint_refuses(void **state)
{
	static const struct {
		const char *text;
		uint64_t maximum;
	} rows[] = {
		{"", 9},
		{" 1", 9},
		{"1 ", 9},
		{"+1", 9},
		{"-1", UINT64_MAX},
		{"0x1", 9},
		{"1.0", 9},
		{"10", 9},
		{"65536", 65535},
		{"18446744073709551616", UINT64_MAX},
		{"18446744073709551625", UINT64_MAX},
		{"99999999999999999999999999999", UINT64_MAX},
		{"/", 9},
		{":", 9},
		{"\xb1", 9},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t value = 12345;

		assert_int_equal(span_to_uint(span_from(rows[i].text), rows[i].maximum, &value), -EINVAL);
		assert_int_equal(value, 12345);
	}
}

static void test_copy(void **state)
{
	char out[4] = "???";

	(void)state;
	assert_int_equal(span_copy(SPAN("abc"), out, sizeof(out)), 0);
	assert_string_equal(out, "abc");
	assert_int_equal(span_copy(SPAN("abcd"), out, sizeof(out)), -ENOSPC);
	assert_string_equal(out, "");
	assert_int_equal(span_copy(SPAN_EMPTY, out, 1), 0);
	assert_string_equal(out, "");
	assert_int_equal(span_copy(SPAN_EMPTY, out, 0), -ENOSPC);
}

static void test_constant_time_equal(void **state)
{
	unsigned char a[32], b[32];

	(void)state;
	memset(a, 0x5a, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_true(bytes_equal_constant_time(a, b, sizeof(a)));
	assert_true(bytes_equal_constant_time(a, b, 0));
	for (size_t i = 0; i < sizeof(a); i++) {
		for (int bit = 0; bit < 8; bit++) {
			b[i] ^= (unsigned char)(1 << bit);
			assert_false(bytes_equal_constant_time(a, b, sizeof(a)));
			b[i] ^= (unsigned char)(1 << bit);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_slice_cuts_to_what_is_there),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_nocase_folds_ascii_letters_alone),
		cmocka_unit_test(test_starts_with_and_index),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_to_uint_accepts),
		cmocka_unit_test(test_to_uint_refuses),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_constant_time_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
