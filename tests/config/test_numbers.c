/* SPDX-License-Identifier: Apache-2.0
 * Patterns of numbers, hours, the choice of a route, rewriting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

static void patterns_match_from_the_front(void **state)
{
	static const struct {
		const char *pattern, *number;
		bool matches;
	} rows[] = {
		{"+44", "+441632960083", true},
		{"+44", "+4", false},
		{"+44", "44", false},
		{"00", "0044", true},
		{"999$", "999", true},
		{"999$", "9990", false},
		{"999$", "99", false},
		{"0[1-3]x", "021", true},
		{"0[1-3]x", "041", false},
		{"0[1-3]x$", "0211", false},
		{"[257]", "5", true},
		{"[257]", "6", false},
		{"[2-46]", "6", true},
		{"[2-46]", "5", false},
		{"*98#", "*98#1", true},
		{"x", "", false},
		{"x", "alice", false},
		{"$", "", true},
		{"+x", "+1", true},
		{"xxxx$", "1001", true},
		{"xxxx$", "100a", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (config_pattern_matches(rows[i].pattern, span_from(rows[i].number)) != rows[i].matches)
			fail_msg("%s, %s", rows[i].pattern, rows[i].number);
}

static void what_is_no_pattern(void **state)
{
	static const char *const wrong[] = {"", "a", "[", "[]", "[1", "[3-1]", "[-1]", "[1-]", "1$2", "1 2", "[1[2]]"};
	static const char *const right[] = {"$", "+", "x", "[1-39]$", "*#"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (config_pattern_is_valid(wrong[i]))
			fail_msg("%s", wrong[i]);
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++)
		assert_true(config_pattern_is_valid(right[i]));
}

static void hours_are_read_strictly(void **state)
{
	static const char *const wrong[] = {"",
					    "Mon-",
					    "Fry",
					    "08:00",
					    "08:00-",
					    "8:00-18:00",
					    "08:60-09:00",
					    "08:00-24:01",
					    "Mon 08:00-08:00",
					    "Mon,",
					    "08:00-18:00x",
					    "Mon-Fri-Sun"};
	struct config_hours hours;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (!config_hours_parse(span_from(wrong[i]), &hours))
			fail_msg("%s", wrong[i]);
	assert_int_equal(config_hours_parse(SPAN("Mon-Fri 08:00-18:00"), &hours), 0);
	assert_int_equal(hours.days, 0x3e);
	assert_int_equal(hours.from, 480);
	assert_int_equal(hours.until, 1080);
	assert_int_equal(config_hours_parse(SPAN("Sat-Mon"), &hours), 0);
	assert_int_equal(hours.days, 0x43);
	assert_int_equal(config_hours_parse(SPAN("22:00-06:00"), &hours), 0);
	assert_int_equal(hours.days, 0x7f);
}

static struct config *parse(const char *routes)
{
	static char yaml[8192];
	struct config_errors *errors = config_errors_new();
	struct config *config;

	snprintf(yaml, sizeof(yaml),
		 "site: {domain: voip.example.org, emergency: [\"112\", \"999\"]}\nstate_directory: /tmp\nzones:\n"
		 "  - {name: pbx, kind: core, listen: [\"udp:127.0.0.1:5060\"], peers: [\"sip:127.0.0.2\"],"
		 " media: {ports: \"20000-20999\"}}\n"
		 "  - {name: one, kind: trunk, listen: [\"udp:127.0.0.1:5061\"], peers: [\"sip:127.0.0.3\"],"
		 " media: {ports: \"20000-20999\", encryption: none}}\n"
		 "  - {name: two, kind: trunk, listen: [\"udp:127.0.0.1:5062\"], peers: [\"sip:127.0.0.4\"],"
		 " media: {ports: \"20000-20999\", encryption: none}}\n%s",
		 routes);
	config = config_parse(span_from(yaml), "test.yaml", false, errors);
	if (!config)
		print_error("%s\n", config_errors_text(errors, 0));
	config_errors_free(errors);
	return config;
}

static int route_of(const struct config *config, const char *called, const char *caller, int weekday, int hour)
{
	struct config_question question = {.from = 0,
					   .called = span_from(called),
					   .caller = span_from(caller),
					   .now = {.tm_wday = weekday, .tm_hour = hour}};

	return config_route_next(config, &question, 0);
}

static void the_first_route_that_fits(void **state)
{
	struct config *config =
		parse("routes:\n"
		      "  - {from: pbx, to: one, number: [\"+44\", \"0\"], time: \"Mon-Fri 08:00-18:00\"}\n"
		      "  - {from: pbx, to: two, number: \"+44\", time: [\"Fri 22:00-06:00\"]}\n"
		      "  - {from: pbx, to: two, caller: \"10\"}\n"
		      "  - {from: one, to: pbx}\n");

	(void)state;
	assert_non_null(config);
	assert_int_equal(route_of(config, "+441", "2000", 1, 9), 0);
	assert_int_equal(route_of(config, "01", "2000", 5, 17), 0);
	assert_true(route_of(config, "01", "2000", 5, 18) < 0);
	assert_true(route_of(config, "01", "2000", 0, 9) < 0);
	assert_int_equal(route_of(config, "+441", "2000", 5, 23), 1);
	assert_int_equal(route_of(config, "+441", "2000", 6, 5), 1); /* what began on Friday */
	assert_true(route_of(config, "+441", "2000", 6, 6) < 0);
	assert_true(route_of(config, "+441", "2000", 6, 23) < 0);
	assert_int_equal(route_of(config, "whoever", "1001", 0, 0), 2);
	config_free(config);
}

static void zones_in_the_order_of_their_shares(void **state)
{
	struct config *config = parse("routes:\n"
				      "  - {from: pbx, to: [one, two], share: [2, 1], number: \"1\"}\n"
				      "  - {from: pbx, to: [two, one]}\n");
	uint8_t zones[CONFIG_ROUTE_ZONES_MAXIMUM];
	unsigned first_is_two = 0;

	(void)state;
	assert_non_null(config);
	for (uint64_t chance = 0; chance < 30; chance++) {
		assert_int_equal(config_route_zones(&config->routes[0], chance, zones), 2);
		assert_true(zones[0] != zones[1]);
		first_is_two += zones[0] == 2;
		assert_int_equal(config_route_zones(&config->routes[1], chance, zones), 2);
		assert_true(zones[0] == 2 && zones[1] == 1);
	}
	assert_int_equal(first_is_two, 10);
	config_free(config);
}

static const char *rewritten(const struct config *config, uint8_t zone, enum config_direction direction,
			     enum config_party party, const char *number)
{
	static char text[64];

	return config_rewrite(config, zone, direction, party, span_from(number), text, sizeof(text)) ? text
												     : "as it was";
}

static void numbers_are_rewritten_by_the_first_row(void **state)
{
	struct config *config = parse("routes: [{from: pbx, to: one}]\n"
				      "rewrite:\n"
				      "  - {zone: one, match: \"00\", strip: 2, prepend: \"+\"}\n"
				      "  - {zone: one, match: \"0\", strip: 1, prepend: \"+44\"}\n"
				      "  - {zone: one, number: caller, match: \"xxxx$\", prepend: \"+441632960\"}\n"
				      "  - {zone: one, direction: in, match: \"+441632960xxxx$\", strip: 10}\n"
				      "  - {zone: two, match: \"112$\", strip: 3, prepend: \"999\"}\n"
				      "  - {zone: two, match: \"9\", strip: 1}\n"
				      "  - {zone: two, match: \"5$\", strip: 9}\n");

	(void)state;
	assert_non_null(config);
	assert_string_equal(rewritten(config, 1, DIRECTION_OUT, PARTY_CALLED, "0033123"), "+33123");
	assert_string_equal(rewritten(config, 1, DIRECTION_OUT, PARTY_CALLED, "0123"), "+44123");
	assert_string_equal(rewritten(config, 1, DIRECTION_OUT, PARTY_CALLER, "1001"), "+4416329601001");
	assert_string_equal(rewritten(config, 1, DIRECTION_IN, PARTY_CALLED, "+4416329601001"), "1001");
	assert_string_equal(rewritten(config, 1, DIRECTION_IN, PARTY_CALLED, "0123"), "as it was");
	assert_string_equal(rewritten(config, 1, DIRECTION_OUT, PARTY_CALLED, "alice"), "as it was");
	/* Emergency numbers: only by a row that names them whole. */
	assert_string_equal(rewritten(config, 2, DIRECTION_OUT, PARTY_CALLED, "112"), "999");
	assert_string_equal(rewritten(config, 2, DIRECTION_OUT, PARTY_CALLED, "999"), "as it was");
	assert_string_equal(rewritten(config, 2, DIRECTION_OUT, PARTY_CALLED, "998"), "98");
	/* Nothing is left of it: it stays. */
	assert_string_equal(rewritten(config, 2, DIRECTION_OUT, PARTY_CALLED, "5"), "as it was");
	config_free(config);
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const char *const wrong[] = {
		"routes: [{from: pbx, to: [one, one]}]\n",
		"routes: [{from: pbx, to: [one, tow]}]\n",
		"routes: [{from: pbx, to: []}]\n",
		"routes: [{from: pbx, to: [one, two], share: [1, 2, 3]}]\n",
		"routes: [{from: pbx, to: one, share: [1, 2]}]\n",
		"routes: [{from: pbx, to: one, number: \"abc\"}]\n",
		"routes: [{from: pbx, to: one, time: \"noon\"}]\n",
		"routes: [{from: pbx, to: one}, {from: pbx, to: two, number: \"1\"}]\n", /* never reached */
		"rewrite: [{zone: one, match: \"[\"}]\n",
		"rewrite: [{zone: one, match: \"1\", prepend: \"a\"}]\n",
		"rewrite: [{match: \"1\"}]\n",
		"rewrite: [{zone: one, match: \"1\", direction: up}]\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct config *config = parse(wrong[i]);

		if (config)
			fail_msg("%s", wrong[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_from_the_front),
		cmocka_unit_test(what_is_no_pattern),
		cmocka_unit_test(hours_are_read_strictly),
		cmocka_unit_test(the_first_route_that_fits),
		cmocka_unit_test(zones_in_the_order_of_their_shares),
		cmocka_unit_test(numbers_are_rewritten_by_the_first_row),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
