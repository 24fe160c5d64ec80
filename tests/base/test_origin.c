/* SPDX-License-Identifier: Apache-2.0
 * Web origins: what is one, and which are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/origin.h"

static void test_what_is_an_origin(void **state)
{
	static const char *const good[] = {"https://a.example", "http://a.example:8080", "https://[2001:db8::1]:8443",
					   "https://[::1]", "http://127.0.0.1:1"};
	static const char *const bad[] = {"",
					  "null",
					  "*",
					  "a.example",
					  "https://",
					  "https://:80",
					  "HTTPS://a.example",
					  "ftp://a.example",
					  "https://a.example/",
					  "https://a.example/x",
					  "https://a.example:",
					  "https://a.example:0",
					  "https://a.example:65536",
					  "https://a.example:8x",
					  "https://user@a.example",
					  "https://a.example https://b.example",
					  "https://a\xc3\xa9.example",
					  "https://[::1",
					  "https://[127.0.0.1]",
					  "https://[::1]x",
					  "https://2001:db8::1"};
	struct origin origin;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(origin_parse(span_from(good[i]), &origin), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!origin_parse(span_from(bad[i]), &origin))
			fail_msg("taken: %s", bad[i]);
}

static bool same(const char *a, const char *b)
{
	struct origin one, other;

	assert_int_equal(origin_parse(span_from(a), &one), 0);
	assert_int_equal(origin_parse(span_from(b), &other), 0);
	return origin_equal(&one, &other);
}

static void test_which_are_the_same(void **state)
{
	(void)state;
	assert_true(same("https://a.example", "https://A.Example:443"));
	assert_true(same("http://a.example:80", "http://a.example"));
	assert_false(same("http://a.example", "https://a.example"));
	assert_false(same("https://a.example", "https://a.example:8443"));
	assert_false(same("https://a.example", "https://b.a.example"));
	assert_false(same("http://a.example:443", "https://a.example"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_an_origin),
		cmocka_unit_test(test_which_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
