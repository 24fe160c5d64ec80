/* SPDX-License-Identifier: Apache-2.0
 * Character classes and scanning steps; see scan.h. */
#include "sip/scan.h"

#include <endian.h>
#include <string.h>

#define HOST_MAXIMUM 255 /* RFC 1035 section 2.3.4 */

/* clang-format off */
#define TOK (CLASS_TOKEN | CLASS_WORD | CLASS_VALUE | CLASS_DISPLAY)
#define URI4 (CLASS_USER | CLASS_PASSWORD | CLASS_PARAMETER | CLASS_HEADER | CLASS_URI) /* unreserved */
#define LETTER (TOK | URI4 | CLASS_LABEL | CLASS_ALPHA)

const uint16_t sip_classes[256] = {
	['\t'] = CLASS_BLANK | CLASS_DISPLAY,
	[' '] = CLASS_BLANK | CLASS_DISPLAY,
	['!'] = TOK | URI4,
	['"'] = CLASS_WORD,
	['#'] = CLASS_TEL,
	['$'] = URI4,
	['%'] = TOK, /* in URIs only as an escape */
	['&'] = CLASS_USER | CLASS_PASSWORD | CLASS_PARAMETER | CLASS_URI,
	['\''] = TOK | URI4,
	['('] = CLASS_WORD | URI4 | CLASS_TEL,
	[')'] = CLASS_WORD | URI4 | CLASS_TEL,
	['*'] = TOK | URI4 | CLASS_TEL,
	['+'] = TOK | URI4 | CLASS_TEL,
	[','] = CLASS_USER | CLASS_PASSWORD | CLASS_URI,
	['-'] = TOK | URI4 | CLASS_LABEL | CLASS_TEL,
	['.'] = TOK | URI4 | CLASS_TEL,
	['/'] = CLASS_WORD | CLASS_USER | CLASS_PARAMETER | CLASS_HEADER | CLASS_URI,
	['0' ... '9'] = TOK | URI4 | CLASS_LABEL | CLASS_DIGIT | CLASS_HEX | CLASS_TEL,
	[':'] = CLASS_WORD | CLASS_PARAMETER | CLASS_HEADER | CLASS_URI | CLASS_VALUE,
	[';'] = CLASS_USER | CLASS_URI,
	['<'] = CLASS_WORD,
	['='] = CLASS_USER | CLASS_PASSWORD | CLASS_URI,
	['>'] = CLASS_WORD,
	['?'] = CLASS_WORD | CLASS_USER | CLASS_HEADER | CLASS_URI,
	['@'] = CLASS_URI,
	['A' ... 'F'] = LETTER | CLASS_HEX | CLASS_TEL,
	['G' ... 'Z'] = LETTER,
	['['] = CLASS_WORD | CLASS_PARAMETER | CLASS_HEADER | CLASS_VALUE | CLASS_URI,
	['\\'] = CLASS_WORD,
	[']'] = CLASS_WORD | CLASS_PARAMETER | CLASS_HEADER | CLASS_VALUE | CLASS_URI,
	['_'] = TOK | URI4 | CLASS_LABEL,
	['`'] = TOK,
	['a' ... 'f'] = LETTER | CLASS_HEX | CLASS_TEL,
	['g' ... 'z'] = LETTER,
	['{'] = CLASS_WORD,
	['}'] = CLASS_WORD,
	['~'] = TOK | URI4,
	[0x80 ... 0xff] = CLASS_DISPLAY,
};
/* clang-format on */

/* Eight bytes at a time: bit 7 of the result is set where a byte is below SP, DEL or above. Borrow and carry can only
 * mark a byte that follows a marked one, so that the first mark is always right. */
static inline uint64_t word_unprintable(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101u;

	return (word | (word + ones) | (word - ones * 0x20)) & (ones * 0x80);
}

const char *scan_printable(const char *at, const char *end)
{
	const char *start = at;
	uint64_t word;

	for (; end - at >= 8; at += 8) {
		memcpy(&word, at, 8);
		word = word_unprintable(le64toh(word));
		if (word)
			return at + __builtin_ctzll(word) / 8;
	}
	if (at < end && end - start >= 8) { /* the last eight, of which those before `at` have no mark */
		memcpy(&word, end - 8, 8);
		word = word_unprintable(le64toh(word));
		return word ? end - 8 + __builtin_ctzll(word) / 8 : end;
	}
	while (at < end && (uint8_t)(*at - 0x20) < 0x5f)
		at++;
	return at;
}

/* RFC 3629 section 4: the second byte's range depends on the first. */
size_t scan_utf8(const char *at, const char *end)
{
	const uint8_t *byte = (const uint8_t *)at;
	size_t left = (size_t)(end - at), length;
	uint8_t low = 0x80, high = 0xbf;

	if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
		length = 2;
	else if (byte[0] >= 0xe0 && byte[0] <= 0xef)
		length = 3;
	else if (byte[0] >= 0xf0 && byte[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (left < length)
		return 0;
	switch (byte[0]) {
	case 0xe0: low = 0xa0; break;
	case 0xed: high = 0x9f; break; /* surrogates */
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break;
	}
	if (byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if (byte[i] < 0x80 || byte[i] > 0xbf)
			return 0;
	}
	return length;
}

bool scan_quoted(struct scan *scan, struct span *text)
{
	const char *at = scan->at + 1;

	if (!scan_sees(scan, '"'))
		return false;
	for (; at < scan->end; at++) {
		if (*at == '"') {
			*text = span_between(scan->at, at + 1);
			scan->at = at + 1;
			return true;
		}
		if (*at == '\\')
			at++;
	}
	return false;
}

bool scan_number(struct scan *scan, uint64_t maximum, uint64_t *value)
{
	const char *start = scan->at;
	uint64_t number = 0;

	for (; scan->at < scan->end && byte_is(*scan->at, CLASS_DIGIT); scan->at++) {
		number = number * 10 + (uint64_t)(*scan->at - '0');
		if (number > maximum)
			return false;
	}
	*value = number;
	return scan->at > start;
}

/* Four numbers up to 255 without leading zeros, which some read as octal. Steps over them. */
static bool scan_ipv4(struct scan *scan)
{
	const char *at = scan->at, *start;
	unsigned number;

	for (int i = 0; i < 4; i++) {
		if (i && (at == scan->end || *at++ != '.'))
			return false;
		start = at;
		for (number = 0; at < scan->end && byte_is(*at, CLASS_DIGIT) && at - start < 3; at++)
			number = number * 10 + (unsigned)(*at - '0');
		if (at == start || number > 255 || (*start == '0' && at - start > 1))
			return false;
	}
	if (at < scan->end && (byte_is(*at, CLASS_LABEL) || *at == '.'))
		return false;
	scan->at = at;
	return true;
}

/* Labels with dots between and perhaps one behind. A name that ends in a number is none (RFC 1123 section 2.1), and
 * resolvers disagree about it: inet_aton takes "127.1" for an address. */
static bool scan_name(struct scan *scan)
{
	const char *at = scan->at, *label;
	struct scan last;

	do {
		label = at;
		while (at < scan->end && byte_is(*at, CLASS_LABEL))
			at++;
		if (at == label || *label == '-' || at[-1] == '-')
			return false;
		last = (struct scan){label, at};
		if (at == scan->end || *at != '.')
			break;
		at++;
	} while (at < scan->end && (byte_is(*at, CLASS_LABEL) || *at == '.'));
	if (byte_is(*label, CLASS_DIGIT)) {
		scan_while(&last, CLASS_DIGIT);
		if (last.at == last.end)
			return false;
	}
	if (at - scan->at > HOST_MAXIMUM)
		return false;
	scan->at = at;
	return true;
}

static bool scan_host(struct scan *scan, struct span *host)
{
	const char *start = scan->at;
	struct address address;

	if (!scan_byte(scan, '[')) {
		if (start == scan->end || !((byte_is(*start, CLASS_DIGIT) && scan_ipv4(scan)) || scan_name(scan)))
			return false;
		*host = span_between(start, scan->at);
		return true;
	}
	while (scan->at < scan->end && (byte_is(*scan->at, CLASS_HEX) || *scan->at == ':' || *scan->at == '.'))
		scan->at++;
	if (!scan_byte(scan, ']'))
		return false;
	*host = span_between(start, scan->at);
	return memchr(start, ':', host->length) &&
	       address_parse_ip(span_between(start + 1, scan->at - 1), &address) == 0;
}

bool scan_host_port(struct scan *scan, bool blanks, struct span *host, uint16_t *port)
{
	const char *after;
	uint64_t value;

	*port = 0;
	if (!scan_host(scan, host))
		return false;
	after = scan->at;
	if (blanks)
		scan_blanks(scan);
	if (!scan_byte(scan, ':')) {
		scan->at = after;
		return true;
	}
	if (blanks)
		scan_blanks(scan);
	if (!scan_number(scan, 65535, &value) || value == 0)
		return false;
	*port = (uint16_t)value;
	return true;
}

bool name_set_add(struct name_set *set, struct span name)
{
	unsigned hash = ((uint8_t)name.data[0] | 0x20) * 7 + ((uint8_t)name.data[name.length - 1] | 0x20) +
			(unsigned)name.length;
	uint64_t bit = 1ull << (hash & 63);

	if (set->count == PARAMETERS_MAXIMUM)
		return false;
	if (set->mask & bit) {
		for (unsigned i = 0; i < set->count; i++) {
			if (token_equal(set->names[i], name))
				return false;
		}
	}
	set->mask |= bit;
	set->names[set->count++] = name;
	return true;
}

enum step scan_parameter(struct scan *scan, struct span *name, struct span *value)
{
	const char *after;

	scan_blanks(scan);
	if (!scan_byte(scan, ';'))
		return STEP_END;
	scan_blanks(scan);
	*name = scan_while(scan, CLASS_TOKEN);
	*value = SPAN_EMPTY;
	if (!name->length)
		return STEP_MALFORMED;
	after = scan->at;
	scan_blanks(scan);
	if (!scan_byte(scan, '=')) {
		scan->at = after;
		return STEP_TAKEN;
	}
	scan_blanks(scan);
	if (scan_sees(scan, '"'))
		return scan_quoted(scan, value) ? STEP_TAKEN : STEP_MALFORMED;
	*value = scan_while(scan, CLASS_VALUE);
	return value->length ? STEP_TAKEN : STEP_MALFORMED;
}

enum step scan_uri_parameter(struct scan *scan, struct span *name, struct span *value)
{
	if (!scan_byte(scan, ';'))
		return STEP_END;
	*value = SPAN_EMPTY;
	*name = scan_escaped(scan, CLASS_PARAMETER);
	if (!name->length)
		return STEP_MALFORMED;
	if (!scan_byte(scan, '='))
		return STEP_TAKEN;
	*value = scan_escaped(scan, CLASS_PARAMETER);
	return value->length ? STEP_TAKEN : STEP_MALFORMED;
}

bool scan_parameters(struct scan *scan, struct span *all)
{
	const char *start;
	struct name_set names;
	struct span name, value;
	enum step step;

	scan_blanks(scan);
	start = scan->at;
	name_set_init(&names);
	while ((step = scan_parameter(scan, &name, &value)) == STEP_TAKEN) {
		if (!name_set_add(&names, name))
			return false;
	}
	*all = trimmed_between(start, scan->at);
	return step == STEP_END;
}
