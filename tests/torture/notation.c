/* SPDX-License-Identifier: Apache-2.0
 * See notation.h. */
#include "notation.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct notation_message *message;
	bool joined; /* between <allOneLine> and </allOneLine> */
	bool failed;
};

static void put(struct reader *reader, const char *bytes, size_t length)
{
	struct notation_message *message = reader->message;

	if (!message || message->length + length > sizeof(message->bytes)) {
		reader->failed = true;
		return;
	}
	memcpy(message->bytes + message->length, bytes, length);
	message->length += length;
}

/* The text of an element behind its opening tag; *rest goes behind the closing one. NULL: it is not closed. */
static const char *element(const char **rest, const char *closing, size_t *length)
{
	const char *text = *rest, *end = strstr(text, closing);

	if (!end)
		return NULL;
	*length = (size_t)(end - text);
	*rest = end + strlen(closing);
	return text;
}

static void put_hex(struct reader *reader, const char *digits, size_t length)
{
	for (size_t i = 0; i + 1 < length; i += 2) {
		char pair[3] = {digits[i], digits[i + 1], 0}, byte;
		char *end;

		byte = (char)strtol(pair, &end, 16);
		reader->failed |= *end != 0;
		put(reader, &byte, 1);
	}
	reader->failed |= length % 2 != 0;
}

static void put_repeated(struct reader *reader, const char **rest)
{
	char *behind;
	long count = strtol(*rest, &behind, 10);
	const char *text;
	size_t length;

	*rest = behind + 1; /* the '>' */
	text = *behind == '>' ? element(rest, "</repeat>", &length) : NULL;
	reader->failed |= !text || count < 1 || count > 100;
	for (long i = 0; text && i < count; i++)
		put(reader, text, length);
}

static void put_line(struct reader *reader, const char *line)
{
	while (*line && !reader->failed) {
		const char *tag = strchr(line, '<');
		size_t length = tag ? (size_t)(tag - line) : strlen(line);

		put(reader, line, length);
		line += length;
		if (!strncmp(line, "<hex>", 5)) {
			const char *digits;

			line += 5;
			digits = element(&line, "</hex>", &length);
			reader->failed |= !digits;
			if (digits)
				put_hex(reader, digits, length);
		} else if (!strncmp(line, "<repeat count=", 14)) {
			line += 14;
			put_repeated(reader, &line);
		} else if (*line) {
			put(reader, line++, 1);
		}
	}
	if (!reader->joined)
		put(reader, "\r\n", 2);
}

static void message_begin(struct reader *reader, struct notation *out, const char *heading)
{
	if (out->count >= NOTATION_MESSAGES) {
		reader->failed = true;
		return;
	}
	reader->message = &out->messages[out->count++];
	reader->failed |= sscanf(heading, "%39s %15s", reader->message->name, reader->message->section) != 2;
}

static void line_take(struct reader *reader, struct notation *out, const char *line)
{
	if (!strncmp(line, "=== ", 4)) {
		message_begin(reader, out, line + 4);
	} else if (!reader->message) {
		reader->failed |= *line && *line != '#';
	} else if (!strcmp(line, "<allOneLine>")) {
		reader->joined = true;
	} else if (!strcmp(line, "</allOneLine>")) {
		reader->joined = false;
		put_line(reader, "");
	} else {
		put_line(reader, line);
	}
}

int notation_read(const char *path, struct notation *out)
{
	struct reader reader = {0};
	char line[4096];
	FILE *file = fopen(path, "r");

	if (!file)
		return -1;
	while (!reader.failed && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		line_take(&reader, out, line);
	}
	fclose(file);
	return reader.failed || reader.joined ? -1 : 0;
}

const struct notation_message *notation_find(const struct notation *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (!strcmp(all->messages[i].name, name))
			return &all->messages[i];
	return NULL;
}
