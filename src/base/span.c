/* SPDX-License-Identifier: Apache-2.0
 * Spans: comparing, cutting and reading text that somebody else owns. */
#include "base/span.h"

#include <errno.h>
#include <string.h>

static inline unsigned char lower(char byte)
{
	unsigned char value = (unsigned char)byte;

	return value >= 'A' && value <= 'Z' ? value | 0x20 : value;
}

struct span span_from(const char *text)
{
	return text ? (struct span){text, strlen(text)} : SPAN_EMPTY;
}

struct span span_slice(struct span span, size_t offset, size_t length)
{
	if (offset >= span.length)
		return (struct span){span.data ? span.data + span.length : NULL, 0};
	if (length > span.length - offset)
		length = span.length - offset;
	return (struct span){span.data + offset, length};
}

bool span_equal(struct span a, struct span b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

bool span_equal_nocase(struct span a, struct span b)
{
	if (a.length != b.length)
		return false;
	for (size_t i = 0; i < a.length; i++) {
		if (a.data[i] != b.data[i] && lower(a.data[i]) != lower(b.data[i]))
			return false;
	}
	return true;
}

bool span_is(struct span a, const char *text)
{
	return span_equal_nocase(a, span_from(text));
}

bool span_starts_with(struct span span, struct span prefix)
{
	return span.length >= prefix.length && span_equal((struct span){span.data, prefix.length}, prefix);
}

ptrdiff_t span_index(struct span span, char byte)
{
	const char *found = span.length ? memchr(span.data, byte, span.length) : NULL;

	return found ? found - span.data : -1;
}

static inline bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

struct span span_trim(struct span span)
{
	while (span.length && is_blank(span.data[span.length - 1]))
		span.length--;
	while (span.length && is_blank(span.data[0])) {
		span.data++;
		span.length--;
	}
	return span;
}

int span_to_uint(struct span span, uint64_t maximum, uint64_t *value)
{
	uint64_t sum = 0;

	if (span.length == 0)
		return -EINVAL;
	for (size_t i = 0; i < span.length; i++) {
		unsigned digit = (unsigned char)span.data[i] - (unsigned)'0';

		if (digit > 9 || sum > (UINT64_MAX - digit) / 10)
			return -EINVAL;
		sum = sum * 10 + digit;
	}
	if (sum > maximum)
		return -EINVAL;
	*value = sum;
	return 0;
}

int span_copy(struct span span, char *out, size_t capacity)
{
	if (capacity == 0)
		return -ENOSPC;
	if (span.length >= capacity) {
		out[0] = '\0';
		return -ENOSPC;
	}
	if (span.length)
		memcpy(out, span.data, span.length);
	out[span.length] = '\0';
	return 0;
}

bool bytes_equal_constant_time(const void *a, const void *b, size_t length)
{
	const volatile unsigned char *left = a;
	const volatile unsigned char *right = b;
	unsigned char difference = 0;

	for (size_t i = 0; i < length; i++)
		difference |= left[i] ^ right[i];
	return difference == 0;
}
