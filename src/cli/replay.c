/* SPDX-License-Identifier: Apache-2.0
 * `replay`: what a configuration would have decided about evidence on record, or where another one would have decided otherwise. Nothing is
 * asked of a running gateway. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/cli.h"
#include "detect/detect.h"

/* The same decision about the same subject, however often. */
struct decision {
	struct detect_verdict first;
	uint32_t times;
	char mark; /* '-' only before, '+' only with the other configuration, ' ' */
};

struct decisions {
	struct decision *list;
	size_t count, capacity;
	bool is_short_of_memory;
};

struct replay {
	struct detect *detect;
	struct detect_record_summary summary;
	struct decisions decisions;
};

static void decision_add(struct decisions *decisions, const struct detect_verdict *verdict, uint32_t times, char mark)
{
	if (decisions->count == decisions->capacity) {
		size_t capacity = decisions->capacity ? 2 * decisions->capacity : 64;
		struct decision *list = memory_realloc(decisions->list, capacity * sizeof(*list));

		if (!list) {
			decisions->is_short_of_memory = true;
			return;
		}
		decisions->list = list;
		decisions->capacity = capacity;
	}
	decisions->list[decisions->count++] = (struct decision){*verdict, times, mark};
}

static void told(void *context, const struct detect_verdict *verdict)
{
	struct replay *replay = context;

	if (!verdict->prolonged)
		decision_add(&replay->decisions, verdict, 1, ' ');
}

static bool put(void *context, const struct evidence *evidence)
{
	struct replay *replay = context;

	detect_tick(replay->detect, evidence->time_us);
	detect_put(replay->detect, evidence);
	return true;
}

/* ---- Alike or not ---- */

static int compare_what(const void *a, const void *b)
{
	const struct detect_verdict *x = &((const struct decision *)a)->first,
				    *y = &((const struct decision *)b)->first;
	int order = memcmp(&x->subject, &y->subject, sizeof(x->subject));

	if (!order)
		order = (int)x->control - (int)y->control;
	if (!order)
		order = (int)x->action - (int)y->action;
	if (!order)
		order = (x->dry_run || x->never) - (y->dry_run || y->never);
	return order;
}

static int compare_when(const void *a, const void *b)
{
	const struct decision *x = a, *y = b;

	if (x->first.since_us != y->first.since_us)
		return x->first.since_us < y->first.since_us ? -1 : 1;
	return compare_what(a, b);
}

static int compare_what_and_when(const void *a, const void *b)
{
	int order = compare_what(a, b);

	return order ? order : compare_when(a, b);
}

/* Equal ones become one, the first, with how many there were. */
static void decisions_fold(struct decisions *decisions)
{
	size_t kept = 0;

	if (!decisions->count)
		return;
	qsort(decisions->list, decisions->count, sizeof(*decisions->list), compare_what_and_when);
	for (size_t i = 1; i < decisions->count; i++) {
		if (compare_what(&decisions->list[kept], &decisions->list[i]))
			decisions->list[++kept] = decisions->list[i];
		else
			decisions->list[kept].times++;
	}
	decisions->count = kept + 1;
}

/* What is in one of the two alone; both are folded. */
static void decisions_differ(const struct decisions *before, const struct decisions *after, struct decisions *out)
{
	size_t i = 0, k = 0;

	while (i < before->count || k < after->count) {
		int order = i == before->count  ? 1
			    : k == after->count ? -1
						: compare_what(&before->list[i], &after->list[k]);

		if (order < 0)
			decision_add(out, &before->list[i].first, before->list[i].times, '-');
		else if (order > 0)
			decision_add(out, &after->list[k].first, after->list[k].times, '+');
		i += order <= 0;
		k += order >= 0;
	}
}

/* ---- One configuration ---- */

static int record_read(const char *path, struct replay *replay)
{
	int descriptor = open(path, O_RDONLY | O_CLOEXEC), error;

	if (descriptor < 0)
		return complain(EXIT_FAILED, "%s: %s", path, strerror(errno));
	error = detect_record_read(descriptor, put, replay, &replay->summary);
	close(descriptor);
	if (error == -EPROTO)
		return complain(EXIT_FAILED, "%s is no record of evidence", path);
	return error ? complain(EXIT_FAILED, "%s: %s", path, strerror(-error)) : EXIT_GOOD;
}

static int replay_run(const struct arguments *arguments, const char *configuration_path, struct replay *replay)
{
	static const uint8_t key[HASH_KEY_BYTES]; /* nobody can choose what collides in what was recorded already */
	struct detect_user user = {.context = replay, .verdict = told};
	struct arguments own = *arguments;
	struct configuration configuration;
	int result;

	own.configuration = configuration_path;
	result = configuration_of(&own, false, &configuration);
	if (result)
		return EXIT_FAILED;
	replay->detect = detect_new(&configuration.config->protection, key, &user);
	configuration_clear(&configuration);
	if (!replay->detect)
		return complain(EXIT_FAILED, "no memory");
	result = record_read(arguments->words[0], replay);
	detect_free(replay->detect);
	decisions_fold(&replay->decisions);
	return result;
}

/* ---- Showing ---- */

static void time_write(uint64_t us, char out[32])
{
	time_t seconds = (time_t)(us / 1000000);
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, 32, "?");
}

static const char *note_of(const struct detect_verdict *verdict)
{
	return verdict->never ? "never blocked" : verdict->dry_run ? "dry run" : "";
}

static json_t *decision_json(const struct decision *decision)
{
	const struct detect_verdict *verdict = &decision->first;
	char whom[DETECT_SUBJECT_TEXT_BYTES];

	return json_pack("{s:s, s:f, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b}", "in",
			 decision->mark == '-'   ? "before"
			 : decision->mark == '+' ? "after"
						 : "both",
			 "time", (double)verdict->since_us / 1e6, "verdict", protection_action_name(verdict->action),
			 "subject", evidence_subject_name((enum evidence_subject)verdict->subject.kind), "whom",
			 detect_subject_text(&verdict->subject, whom), "control",
			 protection_control_name(verdict->control), "kind", evidence_row(verdict->kind)->name, "sum",
			 (json_int_t)verdict->sum, "threshold", (json_int_t)verdict->threshold, "seconds",
			 (json_int_t)((verdict->until_us - verdict->since_us) / 1000000), "times",
			 (json_int_t)decision->times, "dry_run", verdict->dry_run, "never", verdict->never);
}

static void decisions_print_json(const struct decisions *decisions, const struct detect_record_summary *summary)
{
	json_t *list = json_array(), *answer;

	for (size_t i = 0; i < decisions->count; i++)
		json_array_append_new(list, decision_json(&decisions->list[i]));
	answer = json_pack("{s:I, s:I, s:o}", "findings", (json_int_t)summary->findings, "damaged",
			   (json_int_t)summary->damaged, "verdicts", list);
	json_print(answer);
	json_decref(answer);
}

static void decisions_print(const struct decisions *decisions, const struct detect_record_summary *summary,
			    const char *empty)
{
	static const char *const headline[] = {"", "FIRST", "TIMES", "VERDICT", "ON", "WHOM", "CONTROL", "BY", "NOTE"};
	struct text_table *table = text_table_new(headline, 9);
	char first[32], last[32], whom[DETECT_SUBJECT_TEXT_BYTES];

	time_write(summary->first_us, first);
	time_write(summary->last_us, last);
	if (summary->findings)
		printf("%llu findings from %s to %s", (unsigned long long)summary->findings, first, last);
	else
		printf("no findings");
	printf(summary->damaged ? ", %llu damaged and left out\n" : "\n", (unsigned long long)summary->damaged);
	for (size_t i = 0; i < decisions->count; i++) {
		const struct decision *decision = &decisions->list[i];
		const struct detect_verdict *verdict = &decision->first;

		time_write(verdict->since_us, first);
		text_table_cell(table, "%c", decision->mark);
		text_table_cell(table, "%s", first);
		text_table_cell(table, "%u", decision->times);
		text_table_cell(table, "%s", protection_action_name(verdict->action));
		text_table_cell(table, "%s", evidence_subject_name((enum evidence_subject)verdict->subject.kind));
		text_table_cell(table, "%s", detect_subject_text(&verdict->subject, whom));
		text_table_cell(table, "%s", protection_control_name(verdict->control));
		text_table_cell(table, "%s %u of %u", evidence_row(verdict->kind)->name, verdict->sum,
				verdict->threshold);
		text_table_cell(table, "%s", note_of(verdict));
	}
	text_table_print(table, empty);
}

static int decisions_show(const struct arguments *arguments, struct decisions *decisions,
			  const struct detect_record_summary *summary)
{
	if (decisions->is_short_of_memory)
		return complain(EXIT_FAILED, "no memory");
	if (decisions->count)
		qsort(decisions->list, decisions->count, sizeof(*decisions->list), compare_when);
	if (arguments->json)
		decisions_print_json(decisions, summary);
	else
		decisions_print(decisions, summary,
				arguments->with ? "both decide the same" : "nothing would have been done");
	return EXIT_GOOD;
}

int replay_command(const struct arguments *arguments)
{
	struct replay before = {0}, after = {0};
	struct decisions different = {0};
	int result = replay_run(arguments, arguments->configuration, &before);

	if (!result && arguments->with)
		result = replay_run(arguments, arguments->with, &after);
	if (!result && arguments->with) {
		decisions_differ(&before.decisions, &after.decisions, &different);
		different.is_short_of_memory |=
			before.decisions.is_short_of_memory || after.decisions.is_short_of_memory;
		result = decisions_show(arguments, &different, &before.summary);
	} else if (!result) {
		result = decisions_show(arguments, &before.decisions, &before.summary);
	}
	memory_free(before.decisions.list);
	memory_free(after.decisions.list);
	memory_free(different.list);
	return result;
}
