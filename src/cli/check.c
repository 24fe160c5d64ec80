/* SPDX-License-Identifier: Apache-2.0
 * `check` and `run`: the configuration before and in use. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"

int run_command(const struct arguments *arguments)
{
	return keeper_run(arguments->configuration);
}

static int explain(const char *key)
{
	char *text = memory_alloc(CONFIG_REFERENCE_BYTES);
	struct buffer out;
	int error;

	if (!text)
		return complain(EXIT_FAILED, "no memory");
	out = buffer_over(text, CONFIG_REFERENCE_BYTES);
	error = config_explain(key, &out);
	if (error)
		complain(0, "there is no key %s", key);
	fputs(buffer_text(&out), error ? stderr : stdout);
	memory_free(text);
	return error ? EXIT_FAILED : EXIT_GOOD;
}

static int reference(void)
{
	char *text = memory_alloc(CONFIG_REFERENCE_BYTES);
	struct buffer out;

	if (!text)
		return complain(EXIT_FAILED, "no memory");
	out = buffer_over(text, CONFIG_REFERENCE_BYTES);
	config_reference(&out);
	fputs(buffer_text(&out), stdout);
	memory_free(text);
	return out.overflow ? EXIT_FAILED : EXIT_GOOD;
}

static int example(void)
{
	char text[CONFIG_EMBEDDED_BYTES];
	struct buffer out = BUFFER_OVER(text);
	struct address address;

	address_parse(SPAN("203.0.113.7"), &address);
	config_embedded(&out, &address, NULL, "/var/lib/ringwall");
	fputs(buffer_text(&out), stdout);
	return EXIT_GOOD;
}

static json_t *texts_json(const struct config_errors *errors, uint32_t count,
			  const char *(*text)(const struct config_errors *errors, uint32_t index))
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(text(errors, i)));
	return array;
}

/* `error` is 0 or why there is no configuration. */
static void result_print(const struct arguments *arguments, const struct configuration *configuration,
			 const struct config_errors *errors, int error)
{
	uint32_t count = config_errors_count(errors), notes = config_notes_count(errors);

	if (arguments->json) {
		json_t *answer = json_pack("{s:b, s:s, s:o, s:o}", "valid", !error, "file", configuration->path,
					   "errors", texts_json(errors, count, config_errors_text), "notes",
					   texts_json(errors, notes, config_notes_text));

		json_print(answer);
		json_decref(answer);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		fprintf(stderr, "%s\n", config_errors_text(errors, i));
	for (uint32_t i = 0; i < notes; i++)
		fprintf(stderr, "note: %s\n", config_notes_text(errors, i));
	if (error && count == 0)
		fprintf(stderr, "%s: the file cannot be read: %s\n", configuration->path, strerror(-error));
	else if (error)
		fprintf(stderr, "%u error%s.\n", count, count == 1 ? "" : "s");
	else
		printf("%s is good: %u zones, %u routes.\n", configuration->path, configuration->config->zone_count,
		       configuration->config->route_count);
}

int check_command(const struct arguments *arguments)
{
	struct configuration configuration;
	struct config_errors *errors;
	int error;

	if (arguments->explain)
		return explain(arguments->explain);
	if (arguments->reference)
		return reference();
	if (arguments->example)
		return example();
	errors = config_errors_new();
	if (!errors)
		return complain(EXIT_FAILED, "no memory");
	error = configuration_inspect(arguments->configuration, certificates_inspect, errors, &configuration);
	result_print(arguments, &configuration, errors, error);
	configuration_clear(&configuration);
	config_errors_free(errors);
	return error ? EXIT_FAILED : EXIT_GOOD;
}
