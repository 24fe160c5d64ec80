/* SPDX-License-Identifier: Apache-2.0
 * The log: one line an event whatever stands in it, and strangers cannot fill it. */
#include "base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char written[20000];
static int saved_stderr = -1;
static FILE *file;

static void capture_start(void)
{
	file = tmpfile();
	assert_non_null(file);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
}

/* Returns what was logged since capture_start. */
static const char *capture_end(void)
{
	size_t length;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	rewind(file);
	length = fread(written, 1, sizeof(written) - 1, file);
	written[length] = '\0';
	fclose(file);
	return written;
}

static int lines_of(const char *text)
{
	int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

static void test_a_line_has_time_level_role_and_area(void **state)
{
	int year, month, day, hour, minute, second, ms, end = 0;

	(void)state;
	log_setup("gate", LOG_INFO);
	capture_start();
	errno = 77;
	log_write(LOG_INFO, "call", "ended cause=%d", 16);
	assert_int_equal(errno, 77);
	capture_end();
	assert_int_equal(sscanf(written, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute, &second,
				&ms, &end),
			 7);
	assert_int_equal(end, 24);
	assert_string_equal(written + end, " info gate call: ended cause=16\n");
}

static void test_levels(void **state)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
	enum log_level level;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(log_level_parse(span_from(names[i]), &level), 0);
		assert_int_equal(level, i);
		log_setup("gate", level);
		capture_start();
		for (int k = 0; k < 5; k++) {
			assert_int_equal(log_wants((enum log_level)k), k <= i);
			log_write((enum log_level)k, "test", "x");
		}
		assert_int_equal(lines_of(capture_end()), i + 1);
	}
	assert_int_equal(log_level_parse(SPAN("loud"), &level), -EINVAL);
	assert_int_equal(log_level_parse(SPAN_EMPTY, &level), -EINVAL);
}

static void test_nothing_from_outside_forges_a_line(void **state)
{
	(void)state;
	log_setup("gate", LOG_INFO);
	capture_start();
	log_write(LOG_INFO, "sip", "from=%s", "a\r\n2025 error\x1b[2J\t\x7f\xc3\xa9\\x0a");
	capture_end();
	assert_int_equal(lines_of(written), 1);
	assert_non_null(strstr(written, "from=a\\x0d\\x0a2025 error\\x1b[2J\\x09\\x7f\\xc3\\xa9\\\\x0a\n"));
}

static void test_a_line_is_cut_at_1000_bytes(void **state)
{
	char text[3000];

	(void)state;
	log_setup("gate", LOG_INFO);
	for (int fill = 0; fill < 2; fill++) {
		memset(text, fill ? '\n' : 'x', sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		capture_start();
		log_write(LOG_INFO, "test", "%s", text);
		capture_end();
		assert_int_equal(lines_of(written), 1);
		assert_in_range(strlen(written), 990, 1000);
		assert_int_equal(written[strlen(written) - 1], '\n');
	}
}

static void test_limited_lines_are_counted(void **state)
{
	struct log_limit limit = {0};

	(void)state;
	log_setup("gate", LOG_INFO);
	capture_start();
	for (int i = 0; i < 25; i++)
		log_limited(&limit, LOG_INFO, "net", "odd packet %d", i);
	capture_end();
	assert_int_equal(lines_of(written), LOG_BURST);
	assert_int_equal(limit.left_out, 15);

	/* A minute later. */
	limit.window_start_us -= 60000000;
	capture_start();
	log_limited(&limit, LOG_INFO, "net", "odd packet");
	log_limited(&limit, LOG_INFO, "net", "odd packet");
	capture_end();
	assert_int_equal(lines_of(written), 3);
	assert_non_null(strstr(written, "net: 15 lines like the next were left out\n"));

	/* What is not wanted does not count. */
	capture_start();
	for (int i = 0; i < 25; i++)
		log_limited(&limit, LOG_DEBUG, "net", "detail %d", i);
	assert_int_equal(lines_of(capture_end()), 0);
	assert_int_equal(limit.left_out, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_has_time_level_role_and_area),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_nothing_from_outside_forges_a_line),
		cmocka_unit_test(test_a_line_is_cut_at_1000_bytes),
		cmocka_unit_test(test_limited_lines_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
