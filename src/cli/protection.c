/* SPDX-License-Identifier: Apache-2.0
 * The commands that show and undo what the gateway does about attackers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* "block", "block (dry run)" */
static void action_cell(struct text_table *table, const json_t *row)
{
	const char *aside = json_is_true(json_object_get(row, "never"))     ? " (not done: never)"
			    : json_is_true(json_object_get(row, "dry_run")) ? " (dry run)"
									    : "";

	text_table_cell(table, "%s%s", text_of(row, "action"), aside);
}

static void reason_cell(struct text_table *table, const json_t *row)
{
	const char *given = text_of(row, "reason");

	if (*given) {
		text_table_cell(table, "%s; %lld packets dropped", given, number_of(row, "dropped"));
		return;
	}
	text_table_cell(table, "%s: %s, %lld of %lld", text_of(row, "control"), text_of(row, "evidence"),
			number_of(row, "sum"), number_of(row, "threshold"));
}

static void bans_print(const json_t *answer)
{
	static const char *const headline[] = {"WHO", "WHAT IT IS", "ACTION", "FOR", "BECAUSE OF"};
	struct text_table *table = text_table_new(headline, 5);
	const json_t *row;
	char left[32];
	size_t i;

	json_array_foreach(json_object_get(answer, "bans"), i, row)
	{
		text_table_cell(table, "%s", text_of(row, "who"));
		text_table_cell(table, "%s", text_of(row, "kind"));
		action_cell(table, row);
		text_table_cell(table, "%s",
				json_is_true(json_object_get(row, "for_good"))
					? "for good"
					: duration_text(number_of(row, "left_s"), left));
		reason_cell(table, row);
	}
	text_table_print(table, "Nothing is held against anybody.");
}

int bans_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s}", "command", "bans"), bans_print);
}

static void events_print(const json_t *answer)
{
	static const char *const headline[] = {"TIME", "WHAT", "WHO", "ACTION", "BECAUSE OF"};
	struct text_table *table = text_table_new(headline, 5);
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(answer, "events"), i, row)
	{
		text_table_cell(table, "%s", text_of(row, "time"));
		text_table_cell(table, "%s", text_of(row, "what"));
		text_table_cell(table, "%s", text_of(row, "who"));
		action_cell(table, row);
		reason_cell(table, row);
	}
	text_table_print(table, "Nothing has happened yet.");
}

int events_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s}", "command", "events"), events_print);
}

static void subject_print(const json_t *row)
{
	const json_t *verdict = json_object_get(row, "verdict"), *reason;
	char duration[32];
	size_t i;

	printf("%s (%s)%s\n", text_of(row, "who"), text_of(row, "kind"),
	       json_is_true(json_object_get(row, "known")) ? ": somebody has registered or called well from there"
							   : "");
	if (verdict)
		printf("  now: %s for %s more, by %s\n", text_of(verdict, "action"),
		       duration_text(number_of(verdict, "left_s"), duration), text_of(verdict, "control"));
	json_array_foreach(json_object_get(row, "reasons"), i, reason)
		printf("  %-20s weight %.1f, last %s ago\n", text_of(reason, "evidence"),
		       json_real_value(json_object_get(reason, "weight")),
		       duration_text(number_of(reason, "ago_s"), duration));
}

static void why_print(const json_t *answer)
{
	const json_t *rows = json_object_get(answer, "why"), *row;
	size_t i;

	if (!json_array_size(rows))
		printf("Nothing is remembered of it.\n");
	json_array_foreach(rows, i, row) subject_print(row);
}

int why_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s, s:s}", "command", "why", "who", arguments->words[0]),
			     why_print);
}

static void unban_print(const json_t *answer)
{
	printf("Taken back: %lld.\n", number_of(answer, "taken_back"));
}

int unban_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s, s:s}", "command", "unban", "who", arguments->words[0]),
			     unban_print);
}

/* "90", "15m", "2h", "1d". -1: it is none. */
static long long seconds_of(const char *text)
{
	static const struct {
		const char *unit;
		long long seconds;
	} units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	char *end = NULL;
	long long number = strtoll(text, &end, 10);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (end != text && number > 0 && number < 100000 && !strcmp(end, units[i].unit))
			return number * units[i].seconds;
	return -1;
}

static void ban_print(const json_t *answer)
{
	(void)answer;
	printf("It is blocked.\n");
}

int ban_command(const struct arguments *arguments)
{
	long long seconds = arguments->word_count > 1 ? seconds_of(arguments->words[1]) : 0;

	if (seconds < 0)
		return complain(EXIT_USAGE, "%s is no duration such as 30m, 2h or 1d", arguments->words[1]);
	return ask_and_print(arguments,
			     json_pack("{s:s, s:s, s:I, s:s}", "command", "ban", "who", arguments->words[0], "seconds",
				       (json_int_t)seconds, "reason",
				       arguments->reason ? arguments->reason : "by hand"),
			     ban_print);
}
