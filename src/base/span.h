/* SPDX-License-Identifier: Apache-2.0
 * Spans: text and bytes that somebody else owns, never terminated by a NUL. */
#ifndef RINGWALL_BASE_SPAN_H
#define RINGWALL_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `length` bytes at `data`. `data` may be NULL only when `length` is 0.
 * A span is valid as long as the memory it points into; who keeps one longer copies it. */
struct span {
	const char *data;
	size_t length;
};

#define SPAN_EMPTY ((struct span){NULL, 0})

/* A span over a string literal, its NUL left out. For constant expressions use SPAN_INIT. */
#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_INIT(literal) \
	{ \
		(literal), sizeof(literal) - 1 \
	}

/* printf("%.*s", SPAN_PRINT(span)) */
#define SPAN_PRINT(span) (int)(span).length, (span).data ? (span).data : ""

/* A span over a NUL-terminated string; NULL gives the empty span. */
struct span span_from(const char *text);

/* The part from `offset`, at most `length` bytes of it; out-of-range parts are cut to what is there. */
struct span span_slice(struct span span, size_t offset, size_t length);

bool span_equal(struct span a, struct span b);

/* As span_equal, ASCII letters in either case. */
bool span_equal_nocase(struct span a, struct span b);

/* Whether a and the NUL-terminated `text` are equal, ASCII letters in either case. */
bool span_is(struct span a, const char *text);

bool span_starts_with(struct span span, struct span prefix);

/* Index of the first `byte`, or -1. */
ptrdiff_t span_index(struct span span, char byte);

/* Without SP and HTAB at both ends. */
struct span span_trim(struct span span);

/* Decimal digits only, no sign, no blanks, at least one digit, value at most `maximum`.
 * Returns 0 and sets *value; or -EINVAL, *value untouched. */
int span_to_uint(struct span span, uint64_t maximum, uint64_t *value);

/* Copies into `out` of `capacity` bytes and terminates with NUL.
 * Returns 0; or -ENOSPC if it does not fit (out is then the empty string). */
int span_copy(struct span span, char *out, size_t capacity);

/* Whether two memory ranges of equal length are equal, in time that does not depend on the contents. */
bool bytes_equal_constant_time(const void *a, const void *b, size_t length);

#endif
