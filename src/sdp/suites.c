/* SPDX-License-Identifier: Apache-2.0
 * SDES: suites, and the crypto attribute of RFC 4568 that carries their keys. */
#include <errno.h>
#include <string.h>

#include "sdp/attributes.h"

static const struct suite {
	struct span name;
	uint8_t key_bytes, salt_bytes;
} suites[SDP_SUITE_COUNT] = {
#define X(name, text, key, salt, tag) {SPAN_INIT(text), key, salt},
	SDP_SUITES(X)
#undef X
};

const char *sdp_suite_name(enum sdp_suite suite)
{
	return (unsigned)suite < SDP_SUITE_COUNT ? suites[suite].name.data : "";
}

enum sdp_suite sdp_suite_parse(struct span name)
{
	for (int suite = 1; suite < SDP_SUITE_COUNT; suite++)
		if (span_equal(name, suites[suite].name))
			return (enum sdp_suite)suite;
	return SDP_SUITE_NONE;
}

uint8_t sdp_suite_key_bytes(enum sdp_suite suite)
{
	if ((unsigned)suite >= SDP_SUITE_COUNT)
		return 0;
	return (uint8_t)(suites[suite].key_bytes + suites[suite].salt_bytes);
}

static const char base64_alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_digit(char byte)
{
	if (byte >= 'A' && byte <= 'Z')
		return byte - 'A';
	if (byte >= 'a' && byte <= 'z')
		return byte - 'a' + 26;
	if (byte >= '0' && byte <= '9')
		return byte - '0' + 52;
	if (byte == '+')
		return 62;
	return byte == '/' ? 63 : -1;
}

/* Exactly `length` bytes. Padding may be there in full or not at all (older phones leave it out); bits that no byte
 * uses must be zero, so that a key has one spelling. Returns 0 or -EINVAL. */
static int base64_decode(struct span text, uint8_t *out, size_t length)
{
	size_t digits = (length * 8 + 5) / 6, padded = (length + 2) / 3 * 4, done = 0;
	uint32_t bits = 0;
	unsigned held = 0;

	if (text.length != digits && text.length != padded)
		return -EINVAL;
	for (size_t i = digits; i < text.length; i++)
		if (text.data[i] != '=')
			return -EINVAL;
	for (size_t i = 0; i < digits; i++) {
		int digit = base64_digit(text.data[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[done++] = (uint8_t)(bits >> held);
		}
	}
	return bits & ((1u << held) - 1) ? -EINVAL : 0;
}

static void base64_write(struct buffer *out, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		uint32_t bits = (uint32_t)bytes[i] << 16;
		char quad[4];

		bits |= left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
		bits |= left > 2 ? bytes[i + 2] : 0;
		quad[0] = base64_alphabet[bits >> 18];
		quad[1] = base64_alphabet[bits >> 12 & 63];
		quad[2] = left > 1 ? base64_alphabet[bits >> 6 & 63] : '=';
		quad[3] = left > 2 ? base64_alphabet[bits & 63] : '=';
		buffer_put(out, quad, sizeof(quad));
		memory_wipe(quad, sizeof(quad));
	}
}

/* What may follow the key: "2^n" or a number of packets (RFC 4568 section 6.1). No session reaches the end of either
 * before the relay's own bound, so the value is only checked for form. */
static bool is_lifetime(struct span text)
{
	uint64_t number;

	if (span_starts_with(text, SPAN("2^")))
		return span_to_uint(span_slice(text, 2, text.length), 48, &number) == 0 && number > 0;
	return span_to_uint(text, (uint64_t)1 << 48, &number) == 0 && number > 0;
}

/* "key", "key|lifetime"; 1 when an MKI is named, whose bytes would stand in every packet. */
static int key_parse(struct span text, struct sdp_crypto *crypto)
{
	ptrdiff_t bar = span_index(text, '|');
	struct span key = bar < 0 ? text : span_slice(text, 0, (size_t)bar);
	struct span rest = bar < 0 ? SPAN_EMPTY : span_slice(text, (size_t)bar + 1, text.length);

	if (base64_decode(key, crypto->key, sdp_suite_key_bytes(crypto->suite)))
		return -EINVAL;
	if (bar < 0)
		return 0;
	bar = span_index(rest, '|');
	struct span last = bar < 0 ? rest : span_slice(rest, (size_t)bar + 1, rest.length);
	if (span_index(last, ':') > 0 && (bar < 0 || is_lifetime(span_slice(rest, 0, (size_t)bar))))
		return 1;
	return bar < 0 && is_lifetime(rest) ? 0 : -EINVAL;
}

static int crypto_fill(struct span value, struct sdp_crypto *crypto)
{
	struct span rest = value;
	struct span tag = sdp_word(&rest), suite = sdp_word(&rest), keys = sdp_word(&rest);
	uint64_t number;

	if (tag.length > 9 || span_to_uint(tag, 999999999, &number) || !sdp_is_token(suite, ""))
		return -EINVAL;
	if (!span_starts_with(keys, SPAN("inline:")))
		return -EINVAL;
	crypto->tag = (uint32_t)number;
	crypto->suite = sdp_suite_parse(suite);
	if (crypto->suite == SDP_SUITE_NONE || span_index(keys, ';') >= 0)
		return 1;
	int result = key_parse(span_slice(keys, 7, keys.length), crypto);
	if (result == 0 && span_trim(rest).length)
		return 1;
	return result;
}

int sdp_crypto_parse(struct span value, struct sdp_crypto *crypto)
{
	int result = crypto_fill(value, crypto);

	if (result)
		memory_wipe(crypto->key, sizeof(crypto->key));
	return result;
}

void sdp_crypto_write(struct buffer *out, const struct sdp_crypto *crypto)
{
	buffer_put_text(out, "a=crypto:");
	buffer_put_uint(out, crypto->tag);
	buffer_put_byte(out, ' ');
	buffer_put_span(out, suites[crypto->suite].name);
	buffer_put_text(out, " inline:");
	base64_write(out, crypto->key, sdp_suite_key_bytes(crypto->suite));
	buffer_put(out, "\r\n", 2);
}
