/* SPDX-License-Identifier: Apache-2.0
 * Timers: each fires once, in order, neither early nor late, whatever callbacks do to the wheel. */
#include "base/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"

struct probe {
	struct timer timer;
	struct timer_wheel *wheel;
	struct probe *other;
	uint64_t restart_ms;
	int fired, order;
	bool restarts;
};

static int fired_in_all;

static void count(void *context)
{
	struct probe *probe = context;

	assert_false(timer_is_running(&probe->timer));
	probe->fired++;
	probe->order = ++fired_in_all;
	if (probe->restarts)
		timer_start(probe->wheel, &probe->timer, probe->restart_ms);
}

static struct probe probe_on(struct timer_wheel *wheel)
{
	struct probe probe = {.wheel = wheel, .timer.fire = count};

	return probe;
}

static void start(struct probe *probe, uint64_t delay_ms)
{
	probe->timer.context = probe;
	timer_start(probe->wheel, &probe->timer, delay_ms);
}

/* Delays around every border between levels, at starting times of every alignment. */
static void test_fires_neither_early_nor_late(void **state)
{
	static const uint64_t starts[] = {0, 1, 63, 64, 4095, 4096, 262143, 123456789, UINT64_C(1) << 41};

	(void)state;
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (int bits = 0; bits < 45; bits++) {
			for (int step = -1; step <= 1; step++) {
				uint64_t delay = (UINT64_C(1) << bits) + (uint64_t)(int64_t)step;
				struct timer_wheel *wheel = timer_wheel_new(starts[s] * 1000);
				struct probe probe = probe_on(wheel);

				if (delay == 0)
					delay = 1;
				start(&probe, delay);
				assert_true(timer_is_running(&probe.timer));
				assert_true(timer_wheel_wait_ms(wheel, UINT64_MAX) <= delay);
				timer_wheel_advance(wheel, (starts[s] + delay) * 1000 - 1);
				assert_int_equal(probe.fired, 0);
				timer_wheel_advance(wheel, (starts[s] + delay) * 1000);
				assert_int_equal(probe.fired, 1);
				timer_wheel_advance(wheel, (starts[s] + delay * 2 + 100000) * 1000);
				assert_int_equal(probe.fired, 1);
				timer_wheel_free(wheel);
			}
		}
	}
}

static void test_parts_of_a_millisecond_are_not_cut_off(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(1999);
	struct probe probe = probe_on(wheel);

	(void)state;
	start(&probe, 1);
	timer_wheel_advance(wheel, 2998);
	assert_int_equal(probe.fired, 0);
	timer_wheel_advance(wheel, 3000);
	assert_int_equal(probe.fired, 1);
	timer_wheel_free(wheel);
}

static void test_without_delay_fires_at_the_next_advance(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(1500);
	struct probe probe = probe_on(wheel);

	(void)state;
	start(&probe, 0);
	assert_int_equal(timer_wheel_wait_ms(wheel, 1000), 0);
	timer_wheel_advance(wheel, 1500);
	assert_int_equal(probe.fired, 1);
	start(&probe, 0);
	timer_stop(wheel, &probe.timer);
	timer_wheel_advance(wheel, 1600);
	assert_int_equal(probe.fired, 1);
	timer_wheel_free(wheel);
}

static void test_restarting_itself_ends_the_advance(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct probe now = probe_on(wheel), later = probe_on(wheel);

	(void)state;
	now.restarts = later.restarts = true;
	later.restart_ms = 5;
	start(&now, 0);
	start(&later, 5);
	for (int i = 1; i <= 10; i++) {
		timer_wheel_advance(wheel, (uint64_t)i * 5000);
		assert_int_equal(now.fired, i);
		assert_int_equal(later.fired, i);
	}
	/* A long sleep makes up for nothing: the delay counts from the time given. */
	timer_wheel_advance(wheel, 5000000);
	assert_int_equal(later.fired, 11);
	timer_wheel_free(wheel);
}

static void test_stop_and_restart(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct probe probe = probe_on(wheel);

	(void)state;
	timer_stop(wheel, &probe.timer);
	start(&probe, 10);
	start(&probe, 100); /* moves it */
	timer_wheel_advance(wheel, 50000);
	assert_int_equal(probe.fired, 0);
	timer_stop(wheel, &probe.timer);
	timer_stop(wheel, &probe.timer);
	assert_false(timer_is_running(&probe.timer));
	assert_int_equal(timer_wheel_wait_ms(wheel, 777), 777);
	timer_wheel_advance(wheel, 500000);
	assert_int_equal(probe.fired, 0);
	timer_wheel_free(wheel);
}

static void test_time_does_not_go_backwards(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(1000000);
	struct probe probe = probe_on(wheel);

	(void)state;
	timer_wheel_advance(wheel, 5);
	start(&probe, 10);
	timer_wheel_advance(wheel, 1009000);
	assert_int_equal(probe.fired, 0);
	timer_wheel_advance(wheel, 1010000);
	assert_int_equal(probe.fired, 1);
	timer_wheel_free(wheel);
}

static void test_equal_times_fire_in_the_order_of_starting(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct probe probes[20];

	(void)state;
	fired_in_all = 0;
	for (int i = 0; i < 20; i++) {
		probes[i] = probe_on(wheel);
		start(&probes[i], 5000);
	}
	timer_wheel_advance(wheel, 60000000);
	for (int i = 0; i < 20; i++)
		assert_int_equal(probes[i].order, i + 1);
	timer_wheel_free(wheel);
}

static void test_an_endless_delay_is_cut(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(UINT64_MAX / 2);
	struct probe probe = probe_on(wheel);

	(void)state;
	start(&probe, UINT64_MAX);
	assert_int_equal(timer_wheel_wait_ms(wheel, 5000), 5000);
	timer_wheel_advance(wheel, UINT64_MAX);
	assert_true(probe.fired <= 1);
	timer_wheel_free(wheel);
}

static void stop_other(void *context)
{
	struct probe *probe = context;

	probe->fired++;
	timer_stop(probe->wheel, &probe->other->timer);
	timer_wheel_advance(probe->wheel, UINT64_MAX); /* from within: no effect */
}

static void test_a_callback_stops_one_due_at_the_same_time(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct probe a = probe_on(wheel), b = probe_on(wheel), far = probe_on(wheel);

	(void)state;
	a.other = &b;
	b.other = &a;
	a.timer.fire = b.timer.fire = stop_other;
	start(&a, 70);
	start(&b, 70);
	start(&far, 1000000);
	timer_wheel_advance(wheel, 70000);
	assert_int_equal(a.fired, 1);
	assert_int_equal(b.fired, 0);
	assert_int_equal(far.fired, 0);
	timer_wheel_free(wheel);
}

static void free_owner_and_other(void *context)
{
	struct probe *probe = context;

	timer_stop(probe->wheel, &probe->other->timer);
	free(probe->other);
	free(probe);
	fired_in_all++;
}

static void test_a_callback_frees_its_owner(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct probe *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));

	(void)state;
	fired_in_all = 0;
	*a = probe_on(wheel);
	*b = probe_on(wheel);
	a->other = b;
	b->other = a;
	a->timer.fire = b->timer.fire = free_owner_and_other;
	start(a, 10);
	start(b, 10);
	timer_wheel_advance(wheel, 20000);
	assert_int_equal(fired_in_all, 1);
	timer_wheel_free(wheel);
}

/* Against a plain list: thousands of random starts, stops and steps of time. */
#define MANY 300

static void test_random_against_a_model(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	static struct probe probes[MANY];
	uint64_t due[MANY] = {0}, now = 0, seed = 3;
	int expected[MANY] = {0};
	struct random_source random = random_seeded(&seed);

	(void)state;
	for (int i = 0; i < MANY; i++)
		probes[i] = probe_on(wheel);
	for (int round = 0; round < 50000; round++) {
		int which = (int)(random_u64(random) % MANY);

		switch (random_u64(random) % 4) {
		case 0:
		case 1:
			due[which] = 1 + (random_u64(random) >> (40 + random_u64(random) % 24));
			start(&probes[which], due[which]);
			due[which] += now;
			break;
		case 2:
			timer_stop(wheel, &probes[which].timer);
			due[which] = 0;
			break;
		default:
			now += random_u64(random) >> (44 + random_u64(random) % 20);
			timer_wheel_advance(wheel, now * 1000);
		}
		for (int i = 0; i < MANY && round % 16 == 0; i++) {
			if (due[i] && due[i] <= now) {
				due[i] = 0;
				expected[i] = -1;
			}
			assert_int_equal(timer_is_running(&probes[i].timer), due[i] != 0);
			if (expected[i] == -1) {
				assert_true(probes[i].fired >= 1);
				expected[i] = 0;
			}
		}
	}
	timer_wheel_free(wheel);
}

static uint64_t last_due_ms;

static void check_order(void *context)
{
	struct probe *probe = context;

	assert_true(probe->timer.due_ms >= last_due_ms);
	last_due_ms = probe->timer.due_ms;
	fired_in_all++;
}

static void test_order_of_time_over_long_sleeps(void **state)
{
	static struct probe probes[5000];
	uint64_t seed = 11;
	struct random_source random = random_seeded(&seed);
	struct timer_wheel *wheel = timer_wheel_new(987654321);

	(void)state;
	fired_in_all = 0;
	last_due_ms = 0;
	for (int i = 0; i < 5000; i++) {
		probes[i] = probe_on(wheel);
		probes[i].timer.fire = check_order;
		start(&probes[i], random_u64(random) % 3600000);
	}
	timer_wheel_advance(wheel, 987654321 + UINT64_C(1800000000));
	assert_in_range(fired_in_all, 2000, 3000);
	timer_wheel_advance(wheel, 987654321 + UINT64_C(3600001000));
	assert_int_equal(fired_in_all, 5000);
	timer_wheel_free(wheel);
}

/* Sleeping as long as the wheel says reaches every timer on time, in few steps. */
static void test_waiting_as_told(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct probe probe = probe_on(wheel);
	uint64_t now_ms = 0;
	int steps = 0;

	(void)state;
	start(&probe, 3599999);
	while (!probe.fired && steps++ < 100) {
		now_ms += timer_wheel_wait_ms(wheel, 86400000);
		timer_wheel_advance(wheel, now_ms * 1000);
	}
	assert_int_equal(now_ms, 3599999);
	assert_true(steps < 6);
	timer_wheel_free(wheel);
}

/* The time slept through without timers does not count. */
static void test_waiting_after_an_idle_time(void **state)
{
	struct timer_wheel *wheel = timer_wheel_new(0);
	struct probe probe = probe_on(wheel);

	(void)state;
	for (uint64_t now_ms = 100; now_ms < 10000000; now_ms = now_ms * 3 + 1) {
		timer_wheel_advance(wheel, now_ms * 1000);
		start(&probe, 50);
		assert_in_range(timer_wheel_wait_ms(wheel, 60000), 1, 50);
		timer_stop(wheel, &probe.timer);
	}
	timer_wheel_free(wheel);
}

static void test_memory_short(void **state)
{
	(void)state;
	memory_fail_after(0);
	assert_null(timer_wheel_new(0));
	memory_fail_after(-1);
	timer_wheel_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fires_neither_early_nor_late),
		cmocka_unit_test(test_parts_of_a_millisecond_are_not_cut_off),
		cmocka_unit_test(test_without_delay_fires_at_the_next_advance),
		cmocka_unit_test(test_restarting_itself_ends_the_advance),
		cmocka_unit_test(test_stop_and_restart),
		cmocka_unit_test(test_time_does_not_go_backwards),
		cmocka_unit_test(test_equal_times_fire_in_the_order_of_starting),
		cmocka_unit_test(test_an_endless_delay_is_cut),
		cmocka_unit_test(test_a_callback_stops_one_due_at_the_same_time),
		cmocka_unit_test(test_a_callback_frees_its_owner),
		cmocka_unit_test(test_random_against_a_model),
		cmocka_unit_test(test_order_of_time_over_long_sleeps),
		cmocka_unit_test(test_waiting_as_told),
		cmocka_unit_test(test_waiting_after_an_idle_time),
		cmocka_unit_test(test_memory_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
