/* SPDX-License-Identifier: Apache-2.0
 * Thousands of random sequences of messages, valid and not. The seed of a failure is printed; RINGWALL_SEED runs it alone. */
#include <stdio.h>
#include <stdlib.h>

#include "drive.h"

#define STEPS 600
#define LONGEST_US 15000000

static struct drive drive;

static void whatever_comes_nothing_is_left(void **state)
{
	static const char *const encryptions[] = {"none", "offered", "none", "none", "required"};
	static const char *const extras[] = {"", "", "", "    authentication: local\n"};
	const char *wanted = getenv("RINGWALL_SEED");
	uint64_t end = clock_monotonic_us() + LONGEST_US, seed = wanted ? strtoull(wanted, NULL, 10) : 1;

	(void)state;
	for (; clock_monotonic_us() < end; seed++) {
		drive.seed = seed * 0x9e3779b97f4a7c15u;
		drive.bytes = NULL;
		if (wanted)
			print_message("seed %llu\n", (unsigned long long)seed);
		fprintf(stderr, "\rseed %llu ", (unsigned long long)seed);
		drive.keeps = seed % 3 != 0;
		drive_start(&drive, extras[seed % 4], encryptions[seed / 4 % 5]);
		for (int i = 0; i < STEPS; i++)
			drive_step(&drive);
		drive_stop(&drive);
		if (wanted)
			break;
	}
	fprintf(stderr,
		"%llu messages came, %llu of them requests; %llu calls were answered, %llu bindings made; the gateway "
		"died %llu times\n",
		(unsigned long long)drive.received, (unsigned long long)drive.requests,
		(unsigned long long)drive.answered, (unsigned long long)drive.registered,
		(unsigned long long)drive.deaths);
	fprintf(stderr, "%llu sessions refreshed, %llu expired; %llu descriptions crossed out of multiparts\n",
		(unsigned long long)drive.refreshed, (unsigned long long)drive.expired,
		(unsigned long long)drive.unwrapped);
	/* Chance that led nowhere would test nothing. */
	assert_true(wanted ||
		    (drive.requests > 500 && drive.answered > 30 && drive.registered > 10 && drive.subscribed > 30 &&
		     drive.refreshed > 10 && drive.expired > 0 && drive.unwrapped > 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_comes_nothing_is_left)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
