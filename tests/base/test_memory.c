/* SPDX-License-Identifier: Apache-2.0
 * Memory: allocations that fail when told to, arenas that never grow, pools that keep their count. */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_zero(const void *block, size_t length)
{
	const unsigned char *bytes = block;

	for (size_t i = 0; i < length; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

static void test_alloc_is_zeroed(void **state)
{
	char *block = memory_alloc(1000);

	(void)state;
	assert_non_null(block);
	assert_true(is_zero(block, 1000));
	memset(block, 1, 1000);
	block = memory_realloc(block, 2000);
	assert_non_null(block);
	assert_int_equal(block[999], 1);
	memory_free_secret(block, 2000);
	memory_free(NULL);
	memory_free_secret(NULL, 10);
}

/* Also where another block lay before, small or large. */
static void test_alloc_is_zeroed_again(void **state)
{
	(void)state;
	for (size_t size = 1; size < 3000; size += size < 1100 ? 1 : 37) {
		char *block = memory_alloc(size);

		assert_non_null(block);
		memset(block, 0xff, size);
		memory_free(block);
		block = memory_alloc(size);
		assert_non_null(block);
		assert_true(is_zero(block, size));
		memory_free(block);
	}
}

static void test_no_bytes_is_not_a_failure(void **state)
{
	void *block = memory_alloc(0);

	(void)state;
	assert_non_null(block);
	block = memory_realloc(block, 0);
	assert_non_null(block);
	memory_free(block);
}

static void test_fail_after_fails_once(void **state)
{
	void *blocks[3];

	(void)state;
	memory_fail_after(1);
	blocks[0] = memory_alloc(1);
	blocks[1] = memory_alloc(1);
	blocks[2] = memory_alloc(1);
	assert_non_null(blocks[0]);
	assert_null(blocks[1]);
	assert_non_null(blocks[2]);
	memory_fail_after(0);
	assert_null(memory_realloc(blocks[0], 100)); /* the old block is still good */
	memset(blocks[0], 0, 1);
	memory_fail_after(5);
	memory_fail_after(-1);
	for (int i = 0; i < 10; i++) {
		blocks[2] = memory_realloc(blocks[2], 10);
		assert_non_null(blocks[2]);
	}
	memory_free(blocks[0]);
	memory_free(blocks[2]);
}

static void test_copy_text(void **state)
{
	char *copy = memory_copy_text(span_slice(SPAN("abcdef"), 1, 3));

	(void)state;
	assert_string_equal(copy, "bcd");
	memory_free(copy);
	copy = memory_copy_text(SPAN_EMPTY);
	assert_string_equal(copy, "");
	memory_free(copy);
	memory_fail_after(0);
	assert_null(memory_copy_text(SPAN("abc")));
	memory_fail_after(-1);
}

static void test_wipe(void **state)
{
	char secret[16];

	(void)state;
	memset(secret, 'x', sizeof(secret));
	memory_wipe(secret, sizeof(secret) - 1);
	assert_true(is_zero(secret, sizeof(secret) - 1));
	assert_int_equal(secret[15], 'x');
	memory_wipe(NULL, 0);
}

static void test_arena_aligns_and_zeroes(void **state)
{
	char bytes[256];
	struct arena arena;

	(void)state;
	for (size_t shift = 0; shift < 16; shift++) {
		memset(bytes, 'x', sizeof(bytes));
		arena = arena_over(bytes + shift, sizeof(bytes) - shift);
		assert_non_null(arena_alloc(&arena, 1));
		for (int i = 0; i < 5; i++) {
			char *block = arena_alloc(&arena, 17);

			assert_non_null(block);
			assert_int_equal((uintptr_t)block % _Alignof(max_align_t), 0);
			assert_true(is_zero(block, 17));
			assert_true(block >= bytes + shift && block + 17 <= bytes + sizeof(bytes));
		}
	}
}

static void test_arena_is_bounded(void **state)
{
	_Alignas(max_align_t) char bytes[64];
	struct arena arena = arena_over(bytes, sizeof(bytes));
	struct arena none = arena_over(NULL, 0);

	(void)state;
	assert_non_null(arena_alloc(&arena, 64));
	assert_null(arena_alloc(&arena, 1));
	assert_int_equal(arena.used, 64);
	arena_reset(&arena);
	assert_null(arena_alloc(&arena, 65));
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_non_null(arena_alloc(&arena, 1));
	assert_null(arena_alloc(&arena, SIZE_MAX - 8));
	assert_null(arena_alloc(&none, 1));
}

static void test_arena_copy(void **state)
{
	char bytes[8];
	struct arena arena = arena_over(bytes, sizeof(bytes));
	bool failed = false;
	struct span copy;

	(void)state;
	copy = arena_copy(&arena, SPAN("abcde"), &failed);
	assert_true(span_equal(copy, SPAN("abcde")));
	copy = arena_copy(&arena, SPAN("fgh"), NULL); /* text is packed: no byte is lost between */
	assert_true(span_equal(copy, SPAN("fgh")));
	assert_false(failed);
	copy = arena_copy(&arena, SPAN("i"), &failed);
	assert_int_equal(copy.length, 0);
	assert_true(failed);
	assert_int_equal(arena_copy(&arena, SPAN("i"), NULL).length, 0);
	failed = false;
	assert_non_null(arena_copy(&arena, SPAN(""), &failed).data); /* empty but there */
	assert_null(arena_copy(&arena, SPAN_EMPTY, &failed).data);
	assert_false(failed);
}

static void test_pool_counts_and_zeroes(void **state)
{
	struct pool *pool = pool_new(40, 100);
	char *objects[100];

	(void)state;
	assert_non_null(pool);
	assert_int_equal(pool_maximum(pool), 100);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			objects[i] = pool_take(pool);
			assert_non_null(objects[i]);
			assert_true(is_zero(objects[i], 40));
			assert_int_equal((uintptr_t)objects[i] % _Alignof(max_align_t), 0);
			memset(objects[i], i + 1, 40);
		}
		assert_int_equal(pool_alive(pool), 100);
		assert_null(pool_take(pool));
		for (int i = 0; i < 100; i++) {
			for (int k = 0; k < 40; k++)
				assert_int_equal(objects[i][k], i + 1); /* none lies over another */
			pool_give(pool, objects[i]);
		}
		assert_int_equal(pool_alive(pool), 0);
	}
	pool_give(pool, NULL);
	assert_int_equal(pool_alive(pool), 0);
	pool_free(pool);
	pool_free(NULL);
}

static void test_pool_reuses_before_it_grows(void **state)
{
	struct pool *pool = pool_new(5000, 0);
	void *object = pool_take(pool);

	(void)state;
	assert_non_null(object);
	memory_fail_after(0);
	for (int i = 0; i < 1000; i++) {
		pool_give(pool, object);
		object = pool_take(pool);
		assert_non_null(object);
	}
	memory_fail_after(-1);
	pool_free(pool);
}

static void test_pool_without_maximum_takes_many(void **state)
{
	struct pool *pool = pool_new(1, 0);

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_non_null(pool_take(pool));
	assert_int_equal(pool_alive(pool), 10000);
	assert_int_equal(pool_maximum(pool), 0);
	pool_free(pool); /* with all of them alive */
}

static void test_pool_when_memory_is_short(void **state)
{
	struct pool *pool;
	void *object;

	(void)state;
	memory_fail_after(0);
	assert_null(pool_new(16, 4));
	assert_null(pool_new(SIZE_MAX, 4));
	memory_fail_after(-1);
	pool = pool_new(16, 4);
	memory_fail_after(0);
	assert_null(pool_take(pool));
	assert_int_equal(pool_alive(pool), 0);
	object = pool_take(pool);
	assert_non_null(object);
	pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc_is_zeroed),
		cmocka_unit_test(test_alloc_is_zeroed_again),
		cmocka_unit_test(test_no_bytes_is_not_a_failure),
		cmocka_unit_test(test_fail_after_fails_once),
		cmocka_unit_test(test_copy_text),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_arena_aligns_and_zeroes),
		cmocka_unit_test(test_arena_is_bounded),
		cmocka_unit_test(test_arena_copy),
		cmocka_unit_test(test_pool_counts_and_zeroes),
		cmocka_unit_test(test_pool_reuses_before_it_grows),
		cmocka_unit_test(test_pool_without_maximum_takes_many),
		cmocka_unit_test(test_pool_when_memory_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
