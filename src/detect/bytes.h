/* SPDX-License-Identifier: Apache-2.0
 * Private to detect: numbers as little-endian bytes, and kinds by their names, in dumps and records. */
#ifndef RINGWALL_DETECT_BYTES_H
#define RINGWALL_DETECT_BYTES_H

#include "base/buffer.h"
#include "detect/detect.h"

void bytes_put(struct buffer *out, uint64_t value, size_t bytes); /* 8 at most */

/* Reads on; what is behind the end is 0, and `bad` says so. */
struct input {
	const char *at;
	size_t left;
	bool bad;
};
void bytes_get_block(struct input *in, void *out, size_t bytes);
uint64_t bytes_get(struct input *in, size_t bytes);

/* What a number of the writer's is here, by its name; NAME_GONE: nothing any more. */
#define NAME_BYTES 32
#define NAMES_MAXIMUM 256
#define NAME_GONE UINT16_MAX
struct names {
	uint16_t numbers[NAMES_MAXIMUM], count;
};
void names_put_kinds(struct buffer *out);
void names_put_controls(struct buffer *out);
void names_get_kinds(struct input *in, uint16_t count, struct names *names);
void names_get_controls(struct input *in, uint16_t count, struct names *names);

#endif
