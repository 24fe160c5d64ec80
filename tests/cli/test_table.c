/* SPDX-License-Identifier: Apache-2.0
 * What the commands print of what came from elsewhere: columns stay columns, and nothing speaks to the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* What a table of one column with one cell prints below its headline. */
static const char *printed(const char *cell)
{
	static const char *const headline[] = {"A"};
	static char text[1000];
	struct text_table *table = text_table_new(headline, 1);
	int kept = dup(STDOUT_FILENO);
	FILE *file = tmpfile();
	size_t length;

	text_table_cell(table, "%s", cell);
	fflush(stdout);
	assert_true(file && dup2(fileno(file), STDOUT_FILENO) >= 0);
	text_table_print(table, "");
	fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	rewind(file);
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = 0;
	fclose(file);
	assert_true(!strncmp(text, "A\n", 2) && text[length - 1] == '\n');
	text[length - 1] = 0;
	return text + 2;
}

static void cells_hold_no_escapes_and_no_lines(void **state)
{
	char longest[1000];

	(void)state;
	assert_string_equal(printed("1001"), "1001");
	assert_string_equal(printed("a\x1b[2J\x1b]0;title\x07"), "a?[2J?]0;title?");
	assert_string_equal(printed("a\r\nb\tc\x7f"), "a??b?c?");
	assert_string_equal(printed("\xc2\x9b"
				    "31m\xc3\xa9"),
			    "??31m??"); /* U+009B is CSI */
	memset(longest, '\n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_in_range(strspn(printed(longest), "?"), 100, 200);
}

static void texts_keep_their_lines_alone(void **state)
{
	char text[] = "one\ntwo\r\x1b[1m\xc2\x9b"
		      "0m\xc3\xa9\x7f\xc2";

	(void)state;
	assert_string_equal(text_tame(text), "one\ntwo??[1m??0m\xc3\xa9?\xc2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cells_hold_no_escapes_and_no_lines),
		cmocka_unit_test(texts_keep_their_lines_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
