/* SPDX-License-Identifier: Apache-2.0
 * Buffers: text and bytes written one after the other into memory of a fixed size.
 * What does not fit sets `overflow` and is left out; the writer checks once, at the end. */
#ifndef RINGWALL_BASE_BUFFER_H
#define RINGWALL_BASE_BUFFER_H

#include "base/span.h"

struct buffer {
	char *data;
	size_t length; /* written so far */
	size_t capacity;
	bool overflow; /* something did not fit: the contents are not to be used */
};

/* A buffer over memory of the caller, who keeps owning it. */
#define BUFFER_OVER(array) ((struct buffer){(array), 0, sizeof(array), false})
static inline struct buffer buffer_over(char *data, size_t capacity)
{
	return (struct buffer){data, 0, capacity, false};
}

void buffer_put(struct buffer *buffer, const void *bytes, size_t length);
void buffer_put_span(struct buffer *buffer, struct span span);
void buffer_put_text(struct buffer *buffer, const char *text);
void buffer_put_byte(struct buffer *buffer, char byte);
void buffer_put_uint(struct buffer *buffer, uint64_t value);                  /* decimal */
void buffer_put_hex(struct buffer *buffer, const void *bytes, size_t length); /* lower case */

/* As printf. Needs room for one byte more than it writes. */
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What was written; empty after an overflow. */
struct span buffer_span(const struct buffer *buffer);

/* Terminates with NUL (which is not counted) so that data is a C string; always possible
 * if capacity is at least 1: in a full buffer the last byte is given up for it, and `overflow` set.
 * Returns data. */
const char *buffer_text(struct buffer *buffer);

#endif
