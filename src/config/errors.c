/* SPDX-License-Identifier: Apache-2.0
 * The collector of errors and notes. Bounded, so that a hostile or hopeless file cannot fill memory with complaints. */
#include "config/errors.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"

struct message {
	uint32_t line;
	uint32_t order; /* keeps the sort stable */
	char *text;
};

struct messages {
	struct message *rows;
	uint32_t count;
	uint32_t capacity;
	bool more; /* some were left out */
};

struct config_errors {
	struct messages messages[2]; /* by enum error_weight */
	bool out_of_memory;
};

struct config_errors *config_errors_new(void)
{
	return memory_alloc(sizeof(struct config_errors));
}

void config_errors_free(struct config_errors *errors)
{
	if (!errors)
		return;
	for (int weight = WEIGHT_ERROR; weight <= WEIGHT_NOTE; weight++) {
		struct messages *messages = &errors->messages[weight];

		for (uint32_t i = 0; i < messages->count; i++)
			memory_free(messages->rows[i].text);
		memory_free(messages->rows);
	}
	memory_free(errors);
}

uint32_t config_errors_count(const struct config_errors *errors)
{
	const struct messages *messages = &errors->messages[WEIGHT_ERROR];

	return messages->count + messages->more + errors->out_of_memory;
}

const char *config_errors_text(const struct config_errors *errors, uint32_t index)
{
	const struct messages *messages = &errors->messages[WEIGHT_ERROR];

	if (index < messages->count)
		return messages->rows[index].text;
	if (index == messages->count && messages->more)
		return "there are more errors than are shown: mend these first";
	return index < config_errors_count(errors) ? "memory ran short while the configuration was read" : "";
}

uint32_t config_notes_count(const struct config_errors *errors)
{
	return errors->messages[WEIGHT_NOTE].count;
}

const char *config_notes_text(const struct config_errors *errors, uint32_t index)
{
	const struct messages *messages = &errors->messages[WEIGHT_NOTE];

	return index < messages->count ? messages->rows[index].text : "";
}

void errors_out_of_memory(struct config_errors *errors)
{
	errors->out_of_memory = true;
}

static int messages_make_room(struct messages *messages)
{
	uint32_t capacity = messages->capacity ? messages->capacity * 2 : 16;
	struct message *rows;

	if (messages->count < messages->capacity)
		return 0;
	rows = memory_realloc(messages->rows, capacity * sizeof(*rows));
	if (!rows)
		return -1;
	messages->rows = rows;
	messages->capacity = capacity;
	return 0;
}

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Quoted values are cut at a number of bytes, and file names may be any bytes: what is left of a broken UTF-8 sequence
 * becomes '?', so that messages can travel as JSON; control characters too, so that they cannot speak to a terminal. */
static void text_mend(char *text)
{
	while (*text) {
		unsigned char lead = (unsigned char)*text;
		int rest = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 0;
		int found = 0;

		while (found < rest && is_continuation(text[found + 1]))
			found++;
		if (lead < 0x20 || lead == 0x7f || lead >= 0xf5 || (lead >= 0x80 && (!rest || found < rest))) {
			*text++ = '?';
			continue;
		}
		text += found + 1;
	}
}

void errors_add_list(struct config_errors *errors, enum error_weight weight, const char *file, uint32_t line,
		     const char *key, const char *format, va_list arguments)
{
	struct messages *messages = &errors->messages[weight];
	char data[ERRORS_TEXT_BYTES + 512], detail[ERRORS_TEXT_BYTES];
	struct message *row;
	char *text;

	if (messages->count == ERRORS_KEPT_MAXIMUM) {
		messages->more = true;
		return;
	}
	vsnprintf(detail, sizeof(detail), format, arguments);
	if (line)
		snprintf(data, sizeof(data), "%.255s:%u: %.127s: %s", file, (unsigned)line, key, detail);
	else
		snprintf(data, sizeof(data), "%.255s: %.127s: %s", file, key, detail);

	text_mend(data);
	text = memory_copy_text(span_from(data));
	if (!text || messages_make_room(messages)) {
		memory_free(text);
		errors_out_of_memory(errors);
		return;
	}
	row = &messages->rows[messages->count];
	*row = (struct message){line, messages->count, text};
	messages->count++;
}

void errors_add(struct config_errors *errors, enum error_weight weight, const char *file, uint32_t line,
		const char *key, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	errors_add_list(errors, weight, file, line, key, format, arguments);
	va_end(arguments);
}

static int message_compare(const void *a, const void *b)
{
	const struct message *one = a, *other = b;

	if (one->line != other->line)
		return one->line < other->line ? -1 : 1;
	return one->order < other->order ? -1 : one->order > other->order;
}

void errors_sort(struct config_errors *errors)
{
	for (int weight = WEIGHT_ERROR; weight <= WEIGHT_NOTE; weight++)
		if (errors->messages[weight].count)
			qsort(errors->messages[weight].rows, errors->messages[weight].count, sizeof(struct message),
			      message_compare);
}
