/* SPDX-License-Identifier: Apache-2.0
 * YAML that is none, that hides something, or that is meant to exhaust: refused with its line; and every beginning of a good file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "config/config.h"
#include "config/document.h"

struct refused {
	const char *text;
	const char *begins, *contains;
};

static const struct refused rows[] = {
	{"site: {domain: a\nzones: 5\n", "2: yaml: did not find expected ',' or '}'", "check indentation"},
	{"site:\n\tdomain: a\n", "2: yaml: found character that cannot start any token", "spaces, not tabs"},
	{"site:\n  domain: a\n zones: 5\n", "3: yaml: did not find expected key", "check indentation"},
	{"a: \"b\n", "2: yaml: found unexpected end of stream", "quotes"},
	{"a: b\n---\nc: d\n", "3: yaml: a second document begins here", "remove the ---"},
	{"a: [5]\nb: \"x\xff\"\n", "2: yaml: invalid leading UTF-8 octet", "UTF-8"},
	{"? [a]\n: b\n", "1: yaml: a key must be a name", "not a list"},
	{"a: [[[[[[[[[1]]]]]]]]]\n", "1: yaml: nested too deeply", NULL},
};

static struct config_errors *errors;

static int set_up(void **state)
{
	(void)state;
	errors = config_errors_new();
	return errors ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	config_errors_free(errors);
	return 0;
}

static void assert_error(uint32_t index, const char *begins, const char *contains)
{
	const char *text = config_errors_text(errors, index);
	char whole[256];

	snprintf(whole, sizeof(whole), "x.yaml:%s", begins);
	if (strncmp(text, whole, strlen(whole)) != 0 || (contains && !strstr(text, contains)))
		fail_msg("error is \"%s\", not \"%s…%s\"", text, whole, contains ? contains : "");
}

static void what_is_no_document_ends_the_reading(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_errors *kept = errors;

		errors = config_errors_new();
		assert_null(document_parse(span_from(rows[i].text), "x.yaml", errors));
		assert_int_equal(config_errors_count(errors), 1);
		assert_error(0, rows[i].begins, rows[i].contains);
		config_errors_free(errors);
		errors = kept;
	}
}

/* What is refused in one value does not hide the faults of the next. */
static void hidden_meanings_are_refused_each(void **state)
{
	static const char text[] = "a: &x [1]\n"
				   "b: *x\n"
				   "c: !!int 5\n"
				   "d: \"two\\nlines\"\n"
				   "e: \"\\e[31m\"\n"
				   "f: \"\\x9b\"\n"
				   "g: !t {h: &y i}\n";
	struct node *root = document_parse(span_from(text), "x.yaml", errors);

	(void)state;
	assert_non_null(root);
	assert_int_equal(config_errors_count(errors), 8);
	assert_error(0, "1: yaml: anchors and aliases", "write the value again");
	assert_error(1, "2: yaml: anchors and aliases", "write the value again");
	assert_error(2, "3: yaml: tags", "leave it out");
	assert_error(3, "4: yaml: control characters", "one line");
	assert_error(4, "5: yaml: control characters", "one line");
	assert_error(5, "6: yaml: control characters", "one line");
	node_free(root);
	assert_null(config_parse(span_from(text), "x.yaml", false, errors));
}

static void billion_laughs_stay_few(void **state)
{
	static const char text[] = "a: &a [x, x, x, x, x, x, x, x, x]\n"
				   "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
				   "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
				   "d: [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n";
	struct node *root = document_parse(span_from(text), "x.yaml", errors);

	(void)state;
	assert_int_equal(config_errors_count(errors), 3 + 27);
	node_free(root);
}

static void sizes_are_bounded(void **state)
{
	const size_t size = DOCUMENT_BYTES_MAXIMUM + 1;
	char *text = memory_alloc(size);

	(void)state;
	memset(text, '#', size);
	assert_null(config_parse((struct span){text, size}, "x.yaml", false, errors));
	assert_error(0, "1: yaml: the file is longer than 1 MiB", NULL);

	memset(text, ',', size - 1);
	text[0] = '[';
	for (size_t i = 1; i < size - 1; i += 2)
		text[i] = '1';
	assert_null(document_parse((struct span){text, size - 1}, "x.yaml", errors));
	assert_error(1, "1: yaml: too many values", NULL);

	memset(text, '[', size - 1);
	assert_null(document_parse((struct span){text, size - 1}, "x.yaml", errors));
	assert_error(2, "1: yaml: nested too deeply", NULL);

	for (size_t i = 0; i < 100; i++)
		memcpy(text + i * 6, "a: 1\n\n", 6);
	assert_null(document_parse((struct span){text, 600}, "x.yaml", errors));
	assert_error(3, "129: yaml: too many keys", NULL);
	memory_free(text);
}

static void nul_bytes_are_refused(void **state)
{
	static const char raw[] = "site:\n  domain: a\0b\n";

	(void)state;
	assert_null(config_parse((struct span){raw, sizeof(raw) - 1}, "x.yaml", false, errors));
	assert_error(0, "2: yaml: a NUL byte", "plain UTF-8");
	assert_null(config_parse(SPAN("a: \"\\0\"\n"), "x.yaml", false, errors));
	assert_error(0, "1: yaml: control characters", "one line"); /* before that of line 2 */
}

static void nothing_is_an_empty_map(void **state)
{
	static const struct span texts[] = {SPAN_INIT(""), {NULL, 0}, SPAN_INIT("# only words\n")};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct node *root = document_parse(texts[i], "x.yaml", errors);

		assert_int_equal(root->kind, NODE_MAP);
		assert_int_equal(root->count, 0);
		node_free(root);
	}
	assert_int_equal(config_errors_count(errors), 0);
	assert_null(config_parse(SPAN_EMPTY, "x.yaml", false, errors));
	assert_error(0, "1: site.domain: is missing", NULL);
	assert_error(1, "1: zones: is missing", NULL);
}

static void lines_are_those_of_the_keys(void **state)
{
	struct node *root = document_parse(SPAN("\n# words\na:\n  b:\n    - c\n    -\n      - d\n"), "x.yaml", errors);

	(void)state;
	assert_int_equal(node_at(root, "a")->line, 3);
	assert_int_equal(node_at(root, "a.b")->line, 4);
	assert_int_equal(node_item(node_at(root, "a.b"), 0)->line, 5);
	assert_null(node_at(root, "a.c"));
	assert_null(node_at(root, "a.b.c"));
	assert_null(node_item(node_at(root, "a.b"), 2));
	node_free(root);
}

/* Every beginning of a good file is either good or refused with a reason; never a crash or a leak. */
static void every_beginning_is_judged(void **state)
{
	char text[CONFIG_EMBEDDED_BYTES];
	struct buffer out = BUFFER_OVER(text);
	struct address address;

	(void)state;
	address_parse_ip(SPAN("192.0.2.1"), &address);
	config_embedded(&out, &address, &address, "/tmp/state");
	for (size_t length = 0; length < out.length; length++) {
		struct config_errors *own = config_errors_new();
		struct config *config = config_parse((struct span){text, length}, "x.yaml", false, own);

		assert_int_equal(config == NULL, config_errors_count(own) > 0);
		config_free(config);
		config_errors_free(own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_no_document_ends_the_reading, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hidden_meanings_are_refused_each, set_up, tear_down),
		cmocka_unit_test_setup_teardown(billion_laughs_stay_few, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sizes_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nul_bytes_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_an_empty_map, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lines_are_those_of_the_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_beginning_is_judged, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
