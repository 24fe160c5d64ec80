/* SPDX-License-Identifier: Apache-2.0
 * Time and chance: never backwards; never the same twice, not even in a child; repeatable when seeded. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void test_monotonic_moves_on(void **state)
{
	uint64_t first = clock_monotonic_us(), last = first;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_monotonic_us();

		assert_true(now >= last);
		last = now;
	}
	usleep(2000);
	assert_true(clock_monotonic_us() - first >= 2000);
}

static void test_wall_is_the_time_of_day(void **state)
{
	int64_t difference = clock_wall_s() - time(NULL);

	(void)state;
	assert_true(difference >= -1 && difference <= 1);
}

static void test_system_does_not_repeat(void **state)
{
	uint64_t seen[2000];
	struct random_source source = random_system();

	(void)state;
	for (size_t i = 0; i < 2000; i++) {
		seen[i] = random_u64(source);
		for (size_t k = 0; k < i; k++)
			assert_true(seen[k] != seen[i]);
	}
}

/* Every length around the size of what is fetched ahead; nothing written past it. */
static void test_system_fills_any_length(void **state)
{
	struct random_source source = random_system();

	(void)state;
	for (size_t length = 0; length < 1100; length += length < 8 ? 1 : 7) {
		unsigned char *bytes = calloc(1, length + 1);
		size_t zeros = 0;

		random_fill(source, bytes, length);
		assert_int_equal(bytes[length], 0);
		for (size_t i = 0; i < length; i++)
			zeros += bytes[i] == 0;
		if (length >= 16)
			assert_true(zeros < length / 4 + 4);
		free(bytes);
	}
}

static void test_a_child_gets_other_bytes(void **state)
{
	struct random_source source = random_system();
	uint64_t mine, theirs = 0;
	int pipes[2], status;
	pid_t child;

	(void)state;
	random_u64(source); /* some are fetched ahead now */
	assert_int_equal(pipe(pipes), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		theirs = random_u64(source);
		_exit(write(pipes[1], &theirs, sizeof(theirs)) != sizeof(theirs));
	}
	mine = random_u64(source);
	assert_int_equal(read(pipes[0], &theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(mine != theirs);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_seeded_repeats(void **state)
{
	uint64_t a = 42, b = 42, c = 43;
	unsigned char x[37], y[37], z[37];

	(void)state;
	random_fill(random_seeded(&a), x, sizeof(x));
	random_fill(random_seeded(&b), y, sizeof(y));
	random_fill(random_seeded(&c), z, sizeof(z));
	assert_memory_equal(x, y, sizeof(x));
	assert_memory_not_equal(x, z, sizeof(x));
	assert_true(random_u64(random_seeded(&a)) == random_u64(random_seeded(&b)));
}

/* The first outputs for seed 1234567, as published with SplitMix64. */
static void test_seeded_is_splitmix(void **state)
{
	uint64_t seed = 1234567;

	(void)state;
	assert_true(random_u64(random_seeded(&seed)) == 6457827717110365317U);
	assert_true(random_u64(random_seeded(&seed)) == 3203168211198807973U);
}

static void test_token(void **state)
{
	unsigned counts[128] = {0};
	uint64_t seed = 7;
	char out[101];

	(void)state;
	for (size_t length = 0; length <= 100; length++) {
		memset(out, '!', sizeof(out));
		random_token(random_system(), out, length);
		assert_int_equal(strlen(out), length);
		assert_int_equal(strspn(out, "abcdefghijklmnopqrstuvwxyz0123456789"), length);
	}
	for (int i = 0; i < 3600; i++) {
		random_token(random_seeded(&seed), out, 100);
		for (int k = 0; k < 100; k++)
			counts[(int)out[k]]++;
	}
	/* 10,000 of each are expected; five standard deviations are 500. */
	for (const char *letter = "abcdefghijklmnopqrstuvwxyz0123456789"; *letter; letter++)
		assert_in_range(counts[(int)*letter], 9500, 10500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_monotonic_moves_on),       cmocka_unit_test(test_wall_is_the_time_of_day),
		cmocka_unit_test(test_system_does_not_repeat),   cmocka_unit_test(test_system_fills_any_length),
		cmocka_unit_test(test_a_child_gets_other_bytes), cmocka_unit_test(test_seeded_repeats),
		cmocka_unit_test(test_seeded_is_splitmix),       cmocka_unit_test(test_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
