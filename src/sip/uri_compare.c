/* SPDX-License-Identifier: Apache-2.0
 * When two URIs are the same. RFC 3261 section 19.1.4, RFC 3966 section 5. */
#include <errno.h>

#include "sip/scan.h"

static uint8_t hex_value(char byte)
{
	return (uint8_t)(byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10);
}

/* The next byte with its escape undone, once: "%2541" is "%41" and not "A". */
static uint8_t decoded_next(struct scan *scan)
{
	uint8_t byte = (uint8_t)*scan->at++;

	if (byte != '%' || scan->end - scan->at < 2 || !byte_is(scan->at[0], CLASS_HEX) ||
	    !byte_is(scan->at[1], CLASS_HEX))
		return byte;
	byte = (uint8_t)(hex_value(scan->at[0]) << 4 | hex_value(scan->at[1]));
	scan->at += 2;
	return byte;
}

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static bool decoded_equal(struct span a, struct span b, bool any_case)
{
	struct scan left = scan_over(a), right = scan_over(b);

	while (left.at < left.end && right.at < right.end) {
		uint8_t x = decoded_next(&left), y = decoded_next(&right);

		if (x != y && (!any_case || lower(x) != lower(y)))
			return false;
	}
	return left.at == left.end && right.at == right.end;
}

bool sip_user_equal(struct span a, struct span b)
{
	return decoded_equal(a, b, false);
}

int sip_user_decode(struct span user, char *out, size_t capacity)
{
	struct scan scan = scan_over(user);
	size_t length = 0;
	uint8_t byte;

	if (!capacity)
		return -ENOSPC;
	while (scan.at < scan.end) {
		byte = decoded_next(&scan);
		if (byte < 0x20 || byte == 0x7f) {
			*out = '\0';
			return -EINVAL;
		}
		if (length + 1 == capacity) {
			*out = '\0';
			return -ENOSPC;
		}
		out[length++] = (char)byte;
	}
	out[length] = '\0';
	return 0;
}

static bool host_equal(struct span a, struct span b)
{
	struct address left, right;

	if (span_equal_nocase(a, b))
		return true;
	if (a.length < 2 || b.length < 2 || *a.data != '[' || *b.data != '[')
		return false;
	return address_parse_ip(span_slice(a, 1, a.length - 2), &left) == 0 &&
	       address_parse_ip(span_slice(b, 1, b.length - 2), &right) == 0 && address_equal_ip(&left, &right);
}

/* Numbers without their visual separators. */
static bool number_equal(struct span a, struct span b)
{
	size_t i = 0, j = 0;

	for (;;) {
		while (i < a.length && !byte_is(a.data[i], CLASS_HEX) && a.data[i] != '+' && a.data[i] != '*' &&
		       a.data[i] != '#')
			i++;
		while (j < b.length && !byte_is(b.data[j], CLASS_HEX) && b.data[j] != '+' && b.data[j] != '*' &&
		       b.data[j] != '#')
			j++;
		if (i == a.length || j == b.length)
			return i == a.length && j == b.length;
		if (lower((uint8_t)a.data[i++]) != lower((uint8_t)b.data[j++]))
			return false;
	}
}

/* Those that have a meaning even when they stand with their default. */
static bool parameter_must_match(struct span name)
{
	static const char *const names[] = {"transport", "user", "method", "ttl", "maddr"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (span_is(name, names[i]))
			return true;
	}
	return false;
}

static bool parameter_find(struct span parameters, struct span name, struct span *value)
{
	struct scan scan = scan_over(parameters);
	struct span other;

	while (scan_uri_parameter(&scan, &other, value) == STEP_TAKEN) {
		if (decoded_equal(name, other, true))
			return true;
	}
	return false;
}

static bool parameters_match(struct span a, struct span b, bool all)
{
	struct scan scan = scan_over(a);
	struct span name, value, other;

	while (scan_uri_parameter(&scan, &name, &value) == STEP_TAKEN) {
		if (!parameter_find(b, name, &other)) {
			if (all || parameter_must_match(name))
				return false;
		} else if (!decoded_equal(value, other, true)) {
			return false;
		}
	}
	return true;
}

static bool header_next(struct scan *scan, struct span *header)
{
	const char *start = scan->at;

	if (start == scan->end)
		return false;
	while (scan->at < scan->end && *scan->at != '&')
		scan->at++;
	*header = span_between(start, scan->at);
	scan_byte(scan, '&');
	return true;
}

/* Each header of `a` stands as often in `b`, in any order. */
static bool headers_match(struct span a, struct span b)
{
	struct scan outer = scan_over(a), inner;
	struct span header, other;
	int balance;

	while (header_next(&outer, &header)) {
		balance = 0;
		for (inner = scan_over(a); header_next(&inner, &other);)
			balance += decoded_equal(header, other, true);
		for (inner = scan_over(b); header_next(&inner, &other);)
			balance -= decoded_equal(header, other, true);
		if (balance)
			return false;
	}
	return true;
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
	if (a->scheme != b->scheme)
		return false;
	if (a->scheme == SIP_SCHEME_TEL)
		return number_equal(a->user, b->user) && parameters_match(a->parameters, b->parameters, true) &&
		       parameters_match(b->parameters, a->parameters, true);
	return a->port == b->port && (a->user.length > 0) == (b->user.length > 0) && sip_user_equal(a->user, b->user) &&
	       (a->password.data != NULL) == (b->password.data != NULL) && sip_user_equal(a->password, b->password) &&
	       host_equal(a->host, b->host) && parameters_match(a->parameters, b->parameters, false) &&
	       parameters_match(b->parameters, a->parameters, false) && headers_match(a->headers, b->headers) &&
	       headers_match(b->headers, a->headers);
}
