/* SPDX-License-Identifier: Apache-2.0
 * Buffers: writing into memory of a fixed size; nothing is ever written past it. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for `length` more bytes, or NULL with the overflow noted. After an overflow nothing more
 * is taken, so that no later short piece makes a torn text look whole. */
static char *reserve(struct buffer *buffer, size_t length)
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

void buffer_put(struct buffer *buffer, const void *bytes, size_t length)
{
	char *at;

	if (length == 0)
		return;
	at = reserve(buffer, length);
	if (at)
		memcpy(at, bytes, length);
}

void buffer_put_span(struct buffer *buffer, struct span span)
{
	buffer_put(buffer, span.data, span.length);
}

void buffer_put_text(struct buffer *buffer, const char *text)
{
	if (text)
		buffer_put(buffer, text, strlen(text));
}

void buffer_put_byte(struct buffer *buffer, char byte)
{
	char *at = reserve(buffer, 1);

	if (at)
		*at = byte;
}

void buffer_put_uint(struct buffer *buffer, uint64_t value)
{
	char digits[20];
	size_t start = sizeof(digits);

	do {
		digits[--start] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buffer_put(buffer, digits + start, sizeof(digits) - start);
}

void buffer_put_hex(struct buffer *buffer, const void *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *from = bytes;
	char *at;

	if (length == 0)
		return;
	at = length <= SIZE_MAX / 2 ? reserve(buffer, length * 2) : reserve(buffer, SIZE_MAX);
	if (!at)
		return;
	for (size_t i = 0; i < length; i++) {
		*at++ = digits[from[i] >> 4];
		*at++ = digits[from[i] & 15];
	}
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	size_t room = buffer->capacity - buffer->length;
	va_list list;
	int written;

	if (buffer->overflow)
		return;
	va_start(list, format);
	written = vsnprintf(room ? buffer->data + buffer->length : NULL, room, format, list);
	va_end(list);
	if (written < 0 || (size_t)written >= room) {
		buffer->overflow = true;
		return;
	}
	buffer->length += (size_t)written;
}

struct span buffer_span(const struct buffer *buffer)
{
	if (buffer->overflow)
		return SPAN_EMPTY;
	return (struct span){buffer->data, buffer->length};
}

const char *buffer_text(struct buffer *buffer)
{
	if (buffer->length == buffer->capacity) {
		if (buffer->capacity == 0)
			return "";
		buffer->length--;
		buffer->overflow = true;
	}
	buffer->data[buffer->length] = '\0';
	return buffer->data;
}
