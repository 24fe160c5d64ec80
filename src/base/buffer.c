/* SPDX-License-Identifier: Apache-2.0
 * Buffers: writing into memory of a fixed size; nothing is ever written past it. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
	at = buffer_reserve(buffer, length <= SIZE_MAX / 2 ? length * 2 : SIZE_MAX);
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
