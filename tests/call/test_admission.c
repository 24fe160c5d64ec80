/* SPDX-License-Identifier: Apache-2.0
 * Admission under a clock of its own: storms of phones that do as they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "call/admission.h"

#define SECOND 1000000u
#define START (1000ull * SECOND)

static const struct admission_load calm;

static void who_comes_at_the_rate_is_never_sent_away(void **state)
{
	struct admission admission = {0};

	(void)state;
	for (uint64_t i = 0; i < 60 * 500; i++)
		assert_int_equal(
			admission_ask(&admission, 500, ADMISSION_UNKNOWN, false, &calm, START + i * SECOND / 500, 7),
			0);
}

/* Phones of three classes come at once, and again when told. What is seen: when the last of each class was admitted. */
struct storm {
	uint32_t rate, counts[ADMISSION_CLASS_COUNT], last_s[ADMISSION_CLASS_COUNT];
	uint32_t asked, admitted, busiest_s; /* admitted within one second, after the first burst */
};

static void storm_run(struct storm *storm)
{
	struct admission admission = {0};
	uint32_t total = 0, *next_s;
	uint8_t *class;

	for (int i = 0; i < ADMISSION_CLASS_COUNT; i++)
		total += storm->counts[i];
	next_s = calloc(total, sizeof(*next_s));
	class = calloc(total, 1);
	for (uint32_t i = 0, left[ADMISSION_CLASS_COUNT] = {0}; i < total; i++) {
		/* Well mixed. */
		class[i] = (uint8_t)(i % ADMISSION_CLASS_COUNT);
		while (left[class[i]] == storm->counts[class[i]])
			class[i] = (uint8_t)((class[i] + 1) % ADMISSION_CLASS_COUNT);
		left[class[i]]++;
	}
	for (uint32_t second = 0; storm->admitted < total && second < 4000; second++) {
		uint32_t within = 0;

		for (uint32_t i = 0; i < total; i++) {
			uint32_t wait_s;

			if (next_s[i] != second)
				continue;
			storm->asked++;
			wait_s = admission_ask(&admission, storm->rate, class[i], false, &calm,
					       START + (uint64_t)second * SECOND + i * (SECOND / total),
					       i * 2654435761u);
			next_s[i] = wait_s ? second + wait_s : UINT32_MAX;
			if (wait_s)
				continue;
			within++;
			storm->admitted++;
			storm->last_s[class[i]] = second;
		}
		if (second > 2 && within > storm->busiest_s)
			storm->busiest_s = within;
	}
	free(next_s);
	free(class);
}

static void phones_that_come_back_at_once_are_paced(void **state)
{
	struct storm storm = {.rate = 500, .counts = {1000, 9000, 5000}};

	(void)state;
	storm_run(&storm);
	assert_int_equal(storm.admitted, 15000);
	assert_true(storm.last_s[ADMISSION_URGENT] <= 4);
	assert_true(storm.last_s[ADMISSION_URGENT] < storm.last_s[ADMISSION_KNOWN]);
	assert_true(storm.last_s[ADMISSION_KNOWN] < storm.last_s[ADMISSION_UNKNOWN]);
	assert_true(storm.last_s[ADMISSION_UNKNOWN] <= 15000 / 500 + 10);
	assert_true(storm.busiest_s <= 3 * 500); /* what comes in a second, and what the two before left */
	/* They come as often as they must, and not much more: each answer is work too. */
	assert_true(storm.asked < 3 * 15000);
}

static void a_hundred_thousand_phones_are_paced(void **state)
{
	struct storm storm = {.rate = 500, .counts = {0, 100000, 0}};

	(void)state;
	storm_run(&storm);
	assert_int_equal(storm.admitted, 100000);
	assert_true(storm.last_s[ADMISSION_KNOWN] <= 100000 / 500 + 20);
	assert_true(storm.asked < 3 * 100000);
}

static void strangers_take_nothing_from_those_who_are_known(void **state)
{
	struct admission admission = {0};
	uint32_t refused = 0;

	(void)state;
	/* Ten seconds of a flood, and among it phones at half of the rate. */
	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t now_us = START + i * 100;

		admission_ask(&admission, 500, ADMISSION_UNKNOWN, false, &calm, now_us, 1);
		if (i % 40 == 0)
			refused += admission_ask(&admission, 500, ADMISSION_KNOWN, false, &calm, now_us, 1) != 0;
	}
	assert_int_equal(refused, 0);
}

static void who_was_challenged_goes_on(void **state)
{
	struct admission admission = {0};
	uint32_t admitted = 0;

	(void)state;
	while (!admission_ask(&admission, 100, ADMISSION_UNKNOWN, false, &calm, START, 1))
		admitted++;
	assert_int_equal(admitted, 100);
	for (uint32_t i = 0; i < admitted; i++)
		assert_int_equal(admission_ask(&admission, 100, ADMISSION_UNKNOWN, true, &calm, START, 1), 0);
	/* But whoever pretends that he was takes no more than that bucket holds. */
	for (uint32_t i = 0; i < 100; i++)
		admission_ask(&admission, 100, ADMISSION_UNKNOWN, true, &calm, START, 1);
	assert_int_not_equal(admission_ask(&admission, 100, ADMISSION_UNKNOWN, true, &calm, START, 1), 0);
	assert_int_equal(admission_ask(&admission, 100, ADMISSION_KNOWN, false, &calm, START, 1), 0);
}

static void a_registrar_that_is_behind_is_given_no_more(void **state)
{
	const struct admission_load behind = {.pending = 401}, late = {.lag_us = 600000};
	struct admission admission = {0};

	(void)state;
	assert_int_equal(admission_ask(&admission, 100, ADMISSION_KNOWN, false, &behind, START, 1), 1);
	assert_int_equal(admission_ask(&admission, 100, ADMISSION_KNOWN, false, &late, START, 1), 2);
	assert_int_equal(admission_ask(&admission, 100, ADMISSION_KNOWN, false, &calm, START, 1), 0);
	assert_int_equal(admission_ask(&admission, 100, ADMISSION_UNKNOWN, true, &behind, START, 1), 0);
}

static void nobody_is_sent_away_for_ever(void **state)
{
	struct admission admission = {0};
	uint32_t shortest = UINT32_MAX, longest = 0;

	(void)state;
	for (uint32_t i = 0; i < 50000; i++) {
		uint32_t wait_s = admission_ask(&admission, 1, ADMISSION_UNKNOWN, false, &calm, START, i * 2654435761u);

		assert_true(wait_s <= ADMISSION_LONGEST_S);
		if (i > 2000) {
			shortest = wait_s < shortest ? wait_s : shortest;
			longest = wait_s > longest ? wait_s : longest;
		}
	}
	assert_true(shortest < ADMISSION_LONGEST_S * 6 / 10 && longest > ADMISSION_LONGEST_S * 9 / 10);
	/* Another rate, after a reload, and a long time without anybody. */
	assert_int_equal(admission_ask(&admission, 1000, ADMISSION_UNKNOWN, false, &calm, START + 7200ull * SECOND, 1),
			 0);
	assert_int_equal(admission_ask(&admission, 2, ADMISSION_UNKNOWN, false, &calm, START + 7200ull * SECOND, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_comes_at_the_rate_is_never_sent_away),
		cmocka_unit_test(phones_that_come_back_at_once_are_paced),
		cmocka_unit_test(a_hundred_thousand_phones_are_paced),
		cmocka_unit_test(strangers_take_nothing_from_those_who_are_known),
		cmocka_unit_test(who_was_challenged_goes_on),
		cmocka_unit_test(a_registrar_that_is_behind_is_given_no_more),
		cmocka_unit_test(nobody_is_sent_away_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
