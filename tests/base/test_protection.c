/* SPDX-License-Identifier: Apache-2.0
 * Controls and prefixes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/protection.h"

static void test_defaults(void **state)
{
	struct protection protection;

	(void)state;
	protection_default(&protection);
	for (int i = 0; i < CONTROL_COUNT; i++) {
		assert_true(protection.controls[i].threshold > 0);
		assert_true(protection.controls[i].verdict > ACTION_OFF &&
			    protection.controls[i].verdict < ACTION_COUNT);
		assert_false(protection.controls[i].dry_run);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(protection_control_name((enum protection_control)i),
						protection_control_name((enum protection_control)k));
	}
	assert_false(protection.dry_run);
	assert_string_equal(protection_action_name(ACTION_BLOCK), "block");
	assert_string_equal(protection_action_name(ACTION_COUNT), "?");
	assert_string_equal(protection_control_name(CONTROL_COUNT), "?");
}

static void test_prefixes_parse(void **state)
{
	static const char *const good[] = {
		"192.0.2.7",  "192.0.2.0/24",  "0.0.0.0/0", "192.0.2.7/32",   "192.0.2.128/25",
		"2001:db8::", "2001:db8::/32", "::/0",      "2001:db8::1/128"};
	static const char *const bad[] = {"",
					  "/",
					  "192.0.2.7/24",
					  "192.0.2.0/33",
					  "192.0.2.0/-1",
					  "192.0.2.0/",
					  "192.0.2.0:5/24",
					  "2001:db8::/16",
					  "::/129",
					  "a/8",
					  "192.0.2.1/25 "};
	struct protection_prefix prefix;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(protection_prefix_parse(span_from(good[i]), &prefix), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(protection_prefix_parse(span_from(bad[i]), &prefix), -EINVAL);
}

static void test_prefixes_meet(void **state)
{
	static const struct {
		const char *a, *b;
		bool meet;
	} rows[] = {
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.6", false},
		{"192.0.2.0/24", "192.0.2.255", true},
		{"192.0.2.0/25", "192.0.2.128", false},
		{"192.0.2.128/25", "192.0.2.129", true},
		{"0.0.0.0/0", "8.8.8.8", true},
		{"0.0.0.0/0", "::1", false},
		{"192.0.0.0/16", "192.0.2.0/24", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
		{"2001:db8::/33", "2001:db8:7fff::/48", true},
	};
	struct protection_prefix a, b;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(protection_prefix_parse(span_from(rows[i].a), &a), 0);
		assert_int_equal(protection_prefix_parse(span_from(rows[i].b), &b), 0);
		assert_int_equal(protection_prefixes_meet(&a, &b), rows[i].meet);
		assert_int_equal(protection_prefixes_meet(&b, &a), rows[i].meet);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_prefixes_parse),
		cmocka_unit_test(test_prefixes_meet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
