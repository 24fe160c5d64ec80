/* SPDX-License-Identifier: Apache-2.0
 * The table itself: complete, in agreement with what others number alike, and all of it in the reference. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "config/keys.h"
#include "config/values.h"
#include "sdp/sdp.h"

static char page[CONFIG_REFERENCE_BYTES];

static bool is_section(const struct config_key *key)
{
	return key->type == KEY_SECTION || key->type == KEY_SECTIONS;
}

static void every_key_is_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		char data[400];
		struct buffer expected = BUFFER_OVER(data);

		assert_ptr_equal(keys_find(span_from(key->path)), key); /* once, too */
		assert_non_null(key->help);
		assert_true(strlen(key->help) > 10 && key->help[strlen(key->help) - 1] == '.');
		keys_write_expected(&expected, key);
		assert_true(expected.length && !expected.overflow);
		if (!is_section(key) && !(key->flags & KEY_MANDATORY) && !key->fallback && !key->fallback_words)
			fail_msg("%s has no default and is not mandatory", key->path);
		assert_true(key->minimum <= key->maximum);
	}
}

/* Reads the default as if it had been written. */
static void read_default(const struct config_key *key, const char *fallback)
{
	union {
		struct config config;
		struct config_zone zone;
		struct config_route route;
	} *record = memory_alloc(sizeof(*record));
	struct config_errors *errors = config_errors_new();
	struct config *config = memory_alloc(sizeof(*config));
	struct reader reader = {.config = config, .errors = errors, .file = "table"};

	value_read_fallback(&reader, key, fallback, 1, record);
	if (config_errors_count(errors))
		fail_msg("%s", config_errors_text(errors, 0));
	if (key->type == KEY_NUMBERS) {
		for (char **number = record->config.site.emergency; *number; number++)
			memory_free(*number);
		memory_free(record->config.site.emergency);
	} else if (key->type == KEY_USER) {
		memory_free(record->config.user);
	}
	memory_free(record);
	memory_free(config);
	config_errors_free(errors);
}

static void every_default_is_in_range(void **state)
{
	uint32_t read = 0;

	(void)state;
	for (size_t i = 0; i < config_keys_count; i++) {
		const char *defaults[] = {config_keys[i].fallback, config_keys[i].fallback_core,
					  config_keys[i].fallback_trunk};

		for (size_t j = 0; j < 3; j++) {
			if (defaults[j])
				read_default(&config_keys[i], defaults[j]);
			read += defaults[j] != NULL;
		}
	}
	assert_true(read > 30);
}

static void suites_have_the_numbers_of_sdp(void **state)
{
	static const char *const names[] = {
#define X(name, text, key, salt, tag) [name] = (text),
		SDP_SUITES(X)
#undef X
	};

	(void)state;
	for (int i = 0; i < SDP_SUITE_COUNT; i++)
		assert_string_equal(words_suites[i], names[i]);
	assert_null(words_suites[SDP_SUITE_COUNT]);
}

static void words_have_the_numbers_of_their_enums(void **state)
{
	enum log_level level;

	(void)state;
	assert_string_equal(words_zone_kind[ZONE_TRUNK], "trunk");
	assert_string_equal(zone_kind_name(ZONE_ACCESS), "access");
	assert_string_equal(words_authentication[AUTHENTICATION_LOCAL], "local");
	assert_string_equal(zone_encryption_name(ENCRYPTION_REQUIRED), "required");
	assert_string_equal(words_risks[RISK_UNAUTHENTICATED_CALLS], "unauthenticated_calls");
	assert_string_equal(words_when[ROUTE_REGISTERED], "registered");
	for (int i = 0; words_log_level[i]; i++) {
		assert_int_equal(log_level_parse(span_from(words_log_level[i]), &level), 0);
		assert_int_equal(level, i);
	}
}

static void reference_covers_every_key(void **state)
{
	struct buffer out = BUFFER_OVER(page);
	const char *at;

	(void)state;
	config_reference(&out);
	assert_false(out.overflow);
	at = buffer_text(&out);
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];
		char line[128];

		snprintf(line, sizeof(line), is_section(key) ? "\n## %s\n" : "\n| `%s` |",
			 is_section(key) ? key->path : keys_name(key));
		if (!strstr(at, line) || !strstr(at, key->help))
			fail_msg("%s is not in the reference", key->path);
	}
	assert_non_null(strstr(at, "accept_risks"));
	assert_non_null(strstr(at, "## Combinations that are errors\n\n- "));
}

static void page_in_docs_is_the_reference(void **state)
{
	static char written[CONFIG_REFERENCE_BYTES];
	struct buffer out = BUFFER_OVER(page);
	FILE *file = fopen(DOCS "/configuration.md", "r");
	size_t length;

	(void)state;
	assert_non_null(file);
	length = fread(written, 1, sizeof(written) - 1, file);
	fclose(file);
	written[length] = '\0';
	config_reference(&out);
	if (strcmp(written, buffer_text(&out)) != 0)
		fail_msg("docs/configuration.md is not what the table says; write it again: "
			 "BUILD/tests/config/print_reference "
			 "> docs/configuration.md");
}

static void one_key_is_explained(void **state)
{
	struct buffer out = BUFFER_OVER(page);

	(void)state;
	assert_int_equal(config_explain("zones.media.encryption", &out), 0);
	assert_non_null(strstr(buffer_text(&out), "zones.media.encryption\n  `required`: SRTP"));
	assert_non_null(strstr(page, "takes:   none, offered or required\n"));
	assert_non_null(strstr(page, "default: required; core none; trunk required\n"));
	assert_null(strstr(page, "zones.media.suites"));
}

static void a_prefix_explains_its_section(void **state)
{
	struct buffer out = BUFFER_OVER(page);

	(void)state;
	assert_int_equal(config_explain("calls", &out), 0);
	assert_non_null(strstr(buffer_text(&out), "calls.ring_timeout\n"));
	assert_non_null(strstr(page, "takes:   a duration from 10s to 10m"));
	assert_non_null(strstr(page, "calls.maximum_duration\n"));
	assert_null(strstr(page, "limits.calls"));

	out = buffer_over(page, sizeof(page));
	assert_int_equal(config_explain("", &out), 0);
	assert_non_null(strstr(buffer_text(&out), "log.level\n"));
	assert_false(out.overflow);
}

static void a_wrong_key_is_suggested_right(void **state)
{
	static const struct {
		const char *key, *says;
	} wrong[] = {
		{"zones.media.encription", "did you mean zones.media.encryption?\n"},
		{"limit", "did you mean limits?\n"},
		{"ring_timeout", "did you mean calls.ring_timeout?\n"},
		{"zones.bananas", ""},
		{"no.such.section.at.all.and.much.longer.than.any.prefix.of.the.table.could.be", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct buffer out = BUFFER_OVER(page);

		assert_int_equal(config_explain(wrong[i].key, &out), -ENOENT);
		assert_string_equal(buffer_text(&out), wrong[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_described),
		cmocka_unit_test(every_default_is_in_range),
		cmocka_unit_test(suites_have_the_numbers_of_sdp),
		cmocka_unit_test(words_have_the_numbers_of_their_enums),
		cmocka_unit_test(reference_covers_every_key),
		cmocka_unit_test(page_in_docs_is_the_reference),
		cmocka_unit_test(one_key_is_explained),
		cmocka_unit_test(a_prefix_explains_its_section),
		cmocka_unit_test(a_wrong_key_is_suggested_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
