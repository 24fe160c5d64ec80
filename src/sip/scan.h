/* SPDX-License-Identifier: Apache-2.0
 * Scanning bytes: character classes of RFC 3261 section 25.1 and the small steps all parsers here are made of. */
#ifndef RINGWALL_SIP_SCAN_H
#define RINGWALL_SIP_SCAN_H

#include <string.h>

#include "sip/sip.h"

enum {
	CLASS_TOKEN = 0x0001,
	CLASS_WORD = 0x0002,     /* Call-ID */
	CLASS_USER = 0x0004,     /* unreserved and user-unreserved */
	CLASS_PASSWORD = 0x0008, /* unreserved and what a password adds */
	CLASS_LABEL =
		0x0010, /* between the dots of a host name; the underscore, which real networks have, is let through */
	CLASS_PARAMETER = 0x0020, /* paramchar of a URI */
	CLASS_HEADER = 0x0040,    /* hname and hvalue of a URI */
	CLASS_URI = 0x0080,       /* uric: schemes that are not ours */
	CLASS_DIGIT = 0x0100,
	CLASS_HEX = 0x0200,
	CLASS_ALPHA = 0x0400,
	CLASS_BLANK = 0x0800, /* SP and HTAB, and nothing else */
	CLASS_VALUE = 0x1000, /* value of a header parameter: a token or a host */
	CLASS_DISPLAY =
		0x2000,     /* display name without quotes: tokens, blanks, and UTF-8, which is often left unquoted */
	CLASS_TEL = 0x4000, /* telephone number with visual separators (RFC 3966) */
};

extern const uint16_t sip_classes[256];

/* What is still to be read. */
struct scan {
	const char *at, *end;
};

static inline struct scan scan_over(struct span text)
{
	/* NULL has no place to point at, and pointers are subtracted. */
	const char *data = text.data ? text.data : "";

	return (struct scan){data, data + text.length};
}

static inline bool byte_is(char byte, unsigned classes)
{
	return sip_classes[(uint8_t)byte] & classes;
}

static inline struct span span_between(const char *start, const char *end)
{
	return (struct span){start, (size_t)(end - start)};
}

/* Without blanks at both ends; as span_trim, but seen by the compiler. */
static inline struct span trimmed_between(const char *start, const char *end)
{
	while (start < end && byte_is(*start, CLASS_BLANK))
		start++;
	while (end > start && byte_is(end[-1], CLASS_BLANK))
		end--;
	return span_between(start, end);
}

/* Whether two tokens are equal, letters in either case. Both must hold nothing but token characters: among those, only
 * letters have their other case one bit away ('_' has DEL, which is no token character). */
static inline bool token_equal(struct span a, struct span b)
{
	const uint64_t cases = 0x2020202020202020u;
	uint64_t x, y;
	uint32_t low[2], high[2];

	if (a.length != b.length)
		return false;
	if (a.length < 4) {
		for (size_t i = 0; i < a.length; i++) {
			if ((a.data[i] | 0x20) != (b.data[i] | 0x20))
				return false;
		}
		return true;
	}
	if (a.length < 8) { /* two words that overlap; below, the last one does */
		memcpy(&low[0], a.data, 4);
		memcpy(&low[1], b.data, 4);
		memcpy(&high[0], a.data + a.length - 4, 4);
		memcpy(&high[1], b.data + b.length - 4, 4);
		return !(((low[0] ^ low[1]) | (high[0] ^ high[1])) & ~(uint32_t)cases);
	}
	for (size_t i = 0; i < a.length; i += 8) {
		size_t at = i + 8 <= a.length ? i : a.length - 8;

		memcpy(&x, a.data + at, 8);
		memcpy(&y, b.data + at, 8);
		if ((x ^ y) & ~cases)
			return false;
	}
	return true;
}

/* Whether `byte` is next. */
static inline bool scan_sees(const struct scan *scan, char byte)
{
	return scan->at < scan->end && *scan->at == byte;
}

/* Steps over `byte` if it is next. */
static inline bool scan_byte(struct scan *scan, char byte)
{
	if (!scan_sees(scan, byte))
		return false;
	scan->at++;
	return true;
}

/* Steps over all bytes of the classes and returns them; empty if there are none. */
static inline struct span scan_while(struct scan *scan, unsigned classes)
{
	const char *at = scan->at, *start = at;

	while (at < scan->end && byte_is(*at, classes))
		at++;
	scan->at = at;
	return span_between(start, at);
}

/* Linear white space; folded lines are spaces by now. */
static inline void scan_blanks(struct scan *scan)
{
	while (scan->at < scan->end && byte_is(*scan->at, CLASS_BLANK))
		scan->at++;
}

/* As scan_while, also over %-escapes with two hexadecimal digits. Stops at a % that is none. */
static inline struct span scan_escaped(struct scan *scan, unsigned classes)
{
	const char *at = scan->at, *start = at;

	for (;;) {
		while (at < scan->end && byte_is(*at, classes))
			at++;
		if (scan->end - at < 3 || *at != '%' || !byte_is(at[1], CLASS_HEX) || !byte_is(at[2], CLASS_HEX))
			break;
		at += 3;
	}
	scan->at = at;
	return span_between(start, at);
}

/* The first byte that is not printable ASCII, or `end`. */
const char *scan_printable(const char *at, const char *end);

/* Length of the well-formed UTF-8 sequence of a byte over 0x7F; 0 if it is malformed, overlong or a surrogate. */
size_t scan_utf8(const char *at, const char *end);

/* A quoted string, its quotes included; false (and nothing stepped over) if it has no end. RFC 3261 section 25.1. */
bool scan_quoted(struct scan *scan, struct span *text);

/* host and [":" port]; `blanks` lets LWS stand around the colon (Via). False when malformed. */
bool scan_host_port(struct scan *scan, bool blanks, struct span *host, uint16_t *port);

/* Decimal digits with a value of at most `maximum`; the digits stop where the text says. */
bool scan_number(struct scan *scan, uint64_t maximum, uint64_t *value);

/* Names seen so far: RFC 3261 section 7.3.1 lets a parameter stand once. */
#define PARAMETERS_MAXIMUM 32
struct name_set {
	uint64_t mask; /* one bit a hash: only equal bits make us compare */
	unsigned count;
	struct span names[PARAMETERS_MAXIMUM];
};

static inline void name_set_init(struct name_set *set)
{
	set->mask = 0;
	set->count = 0;
}

/* False if `name` was there already, in either case, or the set is full. `name` is not empty. */
bool name_set_add(struct name_set *set, struct span name);

enum step { STEP_END, STEP_TAKEN, STEP_MALFORMED };

/* One ";name=value" of a header, with LWS around its parts. `value` is as written; with data NULL if there was no '='.
 * STEP_END: there is no ';' next; blanks before it are stepped over. */
enum step scan_parameter(struct scan *scan, struct span *name, struct span *value);

/* One ";name=value" of a URI. */
enum step scan_uri_parameter(struct scan *scan, struct span *name, struct span *value);

/* All of them, names standing once. RFC 3261 section 7.3.1. */
bool scan_parameters(struct scan *scan, struct span *all);

#endif
