/* SPDX-License-Identifier: Apache-2.0
 * Buffers: text and bytes written one after the other into memory of a fixed size.
 * What does not fit sets `overflow` and is left out; the writer checks once, at the end. */
#ifndef RINGWALL_BASE_BUFFER_H
#define RINGWALL_BASE_BUFFER_H

#include <string.h>

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

/* Room for `length` more bytes, to be written by the caller, or NULL with the overflow noted. After an overflow nothing more is
 * taken, so that no later short piece makes a torn text look whole. */
static inline char *buffer_reserve(struct buffer *buffer, size_t length)
{
	char *at;

	if (buffer->overflow || length > buffer->capacity - buffer->length) {
		buffer->overflow = true;
		return NULL;
	}
	at = buffer->data + buffer->length;
	buffer->length += length;
	return at;
}

/* Here and not in buffer.c, for a message is written in some hundred pieces, most of them short and of a length that the compiler
 * knows. */
static inline void buffer_put(struct buffer *buffer, const void *bytes, size_t length)
{
	char *at = length ? buffer_reserve(buffer, length) : NULL;

	if (at)
		memcpy(at, bytes, length);
}

static inline void buffer_put_span(struct buffer *buffer, struct span span)
{
	buffer_put(buffer, span.data, span.length);
}

/* NULL: nothing. */
static inline void buffer_put_text(struct buffer *buffer, const char *text)
{
	if (text)
		buffer_put(buffer, text, strlen(text));
}

static inline void buffer_put_byte(struct buffer *buffer, char byte)
{
	buffer_put(buffer, &byte, 1);
}

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
