/* SPDX-License-Identifier: Apache-2.0
 * Buffers: what is written is whole or noted as an overflow, and never past the end. */
#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void put_all(struct buffer *buffer)
{
	buffer_put_text(buffer, "a=");
	buffer_put_uint(buffer, 18446744073709551615U);
	buffer_put_byte(buffer, ' ');
	buffer_put_hex(buffer, "\x00\x7f\xff", 3);
	buffer_put_span(buffer, SPAN(" span "));
	buffer_printf(buffer, "%d-%s", -5, "x");
	buffer_put(buffer, NULL, 0);
	buffer_put_text(buffer, NULL);
	buffer_put_span(buffer, SPAN_EMPTY);
	buffer_put_uint(buffer, 0);
}

#define ALL "a=18446744073709551615 007fff span -5-x0"

static void test_writes_one_after_the_other(void **state)
{
	char bytes[100];
	struct buffer buffer = BUFFER_OVER(bytes);

	(void)state;
	put_all(&buffer);
	assert_false(buffer.overflow);
	assert_int_equal(buffer_span(&buffer).length, strlen(ALL));
	assert_string_equal(buffer_text(&buffer), ALL);
	assert_int_equal(buffer.length, strlen(ALL));
}

/* Every capacity, in heap memory of exactly that size so that a byte too many is seen. */
static void test_every_capacity(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity <= strlen(ALL) + 2; capacity++) {
		char *bytes = malloc(capacity ? capacity : 1);
		struct buffer buffer = buffer_over(bytes, capacity);

		put_all(&buffer);
		assert_true(buffer.length <= capacity);
		assert_int_equal(buffer.overflow, capacity < strlen(ALL));
		if (buffer.overflow)
			assert_int_equal(buffer_span(&buffer).length, 0);
		else
			assert_memory_equal(buffer_span(&buffer).data, ALL, strlen(ALL));
		if (capacity)
			assert_true(strlen(buffer_text(&buffer)) < capacity);
		else
			assert_string_equal(buffer_text(&buffer), "");
		free(bytes);
	}
}

static void test_nothing_is_taken_after_an_overflow(void **state)
{
	char bytes[4];
	struct buffer buffer = BUFFER_OVER(bytes);

	(void)state;
	buffer_put_text(&buffer, "ab");
	buffer_put_text(&buffer, "long");
	assert_true(buffer.overflow);
	buffer_put_byte(&buffer, 'c');
	buffer_printf(&buffer, "d");
	buffer_put_hex(&buffer, "e", 1);
	assert_int_equal(buffer.length, 2);
	assert_string_equal(buffer_text(&buffer), "ab");
}

static void test_text_of_a_full_buffer_gives_up_its_last_byte(void **state)
{
	char bytes[4];
	struct buffer buffer = BUFFER_OVER(bytes);

	(void)state;
	buffer_put_text(&buffer, "abcd");
	assert_false(buffer.overflow);
	assert_string_equal(buffer_text(&buffer), "abc");
	assert_true(buffer.overflow);
}

static void test_printf_needs_room_for_its_nul(void **state)
{
	char bytes[4];
	struct buffer exact = BUFFER_OVER(bytes);
	struct buffer fits = BUFFER_OVER(bytes);

	(void)state;
	buffer_printf(&exact, "abcd");
	assert_true(exact.overflow);
	buffer_printf(&fits, "abc");
	assert_false(fits.overflow);
	assert_int_equal(fits.length, 3);
}

static void test_huge_lengths_do_not_wrap(void **state)
{
	char bytes[8];
	struct buffer buffer = BUFFER_OVER(bytes);
	struct buffer hex = BUFFER_OVER(bytes);
	volatile size_t endless = SIZE_MAX; /* as a constant, the compiler refuses it */

	(void)state;
	buffer_put_byte(&buffer, 'a');
	buffer_put(&buffer, "x", endless);
	assert_true(buffer.overflow);
	buffer_put_hex(&hex, "x", SIZE_MAX / 2 + 2);
	assert_true(hex.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes_one_after_the_other),
		cmocka_unit_test(test_every_capacity),
		cmocka_unit_test(test_nothing_is_taken_after_an_overflow),
		cmocka_unit_test(test_text_of_a_full_buffer_gives_up_its_last_byte),
		cmocka_unit_test(test_printf_needs_room_for_its_nul),
		cmocka_unit_test(test_huge_lengths_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
