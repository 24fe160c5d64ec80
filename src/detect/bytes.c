/* SPDX-License-Identifier: Apache-2.0
 * Numbers as little-endian bytes, and kinds by their names. */
#include "detect/bytes.h"

#include <endian.h>
#include <string.h>

void bytes_put(struct buffer *out, uint64_t value, size_t bytes)
{
	value = htole64(value);
	buffer_put(out, &value, bytes);
}

void bytes_get_block(struct input *in, void *out, size_t bytes)
{
	memset(out, 0, bytes);
	if (in->left < bytes) {
		in->bad = true;
		return;
	}
	memcpy(out, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
}

uint64_t bytes_get(struct input *in, size_t bytes)
{
	uint64_t value = 0;

	bytes_get_block(in, &value, bytes);
	return le64toh(value);
}

static const char *kind_name(int kind)
{
	return evidence_row((enum evidence_kind)kind)->name;
}

static const char *control_name(int control)
{
	return protection_control_name((enum protection_control)control);
}

static void put(struct buffer *out, const char *(*name_of)(int number), int count)
{
	for (int i = 0; i < count; i++) {
		char text[NAME_BYTES] = "";

		strncpy(text, name_of(i), sizeof(text) - 1);
		buffer_put(out, text, sizeof(text));
	}
}

static void get(struct input *in, uint16_t count, const char *(*name_of)(int number), int own, struct names *names)
{
	char name[NAME_BYTES];

	in->bad |= count > NAMES_MAXIMUM;
	names->count = in->bad ? 0 : count;
	for (uint16_t i = 0; i < names->count; i++) {
		bytes_get_block(in, name, sizeof(name));
		in->bad |= name[sizeof(name) - 1] != 0;
		names->numbers[i] = NAME_GONE;
		for (int k = 0; !in->bad && k < own; k++)
			if (!strcmp(name, name_of(k)))
				names->numbers[i] = (uint16_t)k;
	}
}

void names_put_kinds(struct buffer *out)
{
	put(out, kind_name, EVIDENCE_KIND_COUNT);
}

void names_put_controls(struct buffer *out)
{
	put(out, control_name, CONTROL_COUNT);
}

void names_get_kinds(struct input *in, uint16_t count, struct names *names)
{
	get(in, count, kind_name, EVIDENCE_KIND_COUNT, names);
}

void names_get_controls(struct input *in, uint16_t count, struct names *names)
{
	get(in, count, control_name, CONTROL_COUNT, names);
}
