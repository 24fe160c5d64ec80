/* SPDX-License-Identifier: Apache-2.0
 * STUN keep-alives: Binding requests without credentials, answered without state. RFC 8489 sections 5, 6.3 and 14. */
#include "transport/stun.h"

#include <string.h>

#define STUN_HEADER_BYTES 20
#define STUN_COOKIE 0x2112A442u
#define STUN_FINGERPRINT_XOR 0x5354554Eu
#define STUN_FINGERPRINT_BYTES 8 /* with its attribute header */
#define STUN_UNKNOWN_MAXIMUM 4   /* listed in a 420 */

#define STUN_BINDING_REQUEST 0x0001
#define STUN_BINDING_SUCCESS 0x0101
#define STUN_BINDING_ERROR 0x0111

#define STUN_ERROR_CODE 0x0009
#define STUN_UNKNOWN_ATTRIBUTES 0x000A
#define STUN_XOR_MAPPED_ADDRESS 0x0020
#define STUN_OPTIONAL 0x8000 /* from here on, what is not understood is skipped */
#define STUN_FINGERPRINT 0x8028

struct stun_request {
	bool has_fingerprint;
	uint16_t unknown[STUN_UNKNOWN_MAXIMUM];
	uint8_t unknown_count;
};

/* Bytes are put together one by one: nothing says that a datagram is aligned. */
static uint16_t get_16(const char *at)
{
	return (uint16_t)((uint8_t)at[0] << 8 | (uint8_t)at[1]);
}

static uint32_t get_32(const char *at)
{
	return (uint32_t)get_16(at) << 16 | get_16(at + 2);
}

static void put_16(struct buffer *out, uint32_t value)
{
	buffer_put_byte(out, (char)(value >> 8));
	buffer_put_byte(out, (char)value);
}

static void put_32(struct buffer *out, uint32_t value)
{
	put_16(out, value >> 16);
	put_16(out, value);
}

/* ISO 3309, as in Ethernet (RFC 8489 section 14.7); four bits a step. */
static uint32_t crc_32(const char *bytes, size_t length)
{
	static const uint32_t steps[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < length; i++) {
		crc ^= (uint8_t)bytes[i];
		crc = crc >> 4 ^ steps[crc & 15];
		crc = crc >> 4 ^ steps[crc & 15];
	}
	return ~crc;
}

bool stun_is(struct span bytes)
{
	return bytes.length >= STUN_HEADER_BYTES && !((uint8_t)bytes.data[0] & 0xc0) &&
	       get_32(bytes.data + 4) == STUN_COOKIE;
}

/* Takes the attributes apart; false when a length does not fit. FINGERPRINT must be right, and the last. */
static bool request_parse(struct span bytes, struct stun_request *request)
{
	size_t at = STUN_HEADER_BYTES;

	while (at < bytes.length) {
		uint16_t type, length;
		size_t padded;

		if (request->has_fingerprint || bytes.length - at < 4)
			return false;
		type = get_16(bytes.data + at);
		length = get_16(bytes.data + at + 2);
		padded = ((size_t)length + 3) & ~(size_t)3;
		if (padded > bytes.length - at - 4)
			return false;
		if (type == STUN_FINGERPRINT) {
			if (length != 4 ||
			    get_32(bytes.data + at + 4) != (crc_32(bytes.data, at) ^ STUN_FINGERPRINT_XOR))
				return false;
			request->has_fingerprint = true;
		} else if (type < STUN_OPTIONAL && request->unknown_count < STUN_UNKNOWN_MAXIMUM) {
			request->unknown[request->unknown_count++] = type;
		}
		at += 4 + padded;
	}
	return true;
}

static void put_mapped_address(struct buffer *out, struct span request, const struct address *source)
{
	size_t length = source->family == ADDRESS_IPV6 ? 16 : 4;
	const char *mask = request.data + 4; /* cookie and transaction id */

	put_16(out, STUN_XOR_MAPPED_ADDRESS);
	put_16(out, (uint32_t)length + 4);
	put_16(out, source->family == ADDRESS_IPV6 ? 2 : 1);
	put_16(out, source->port ^ (STUN_COOKIE >> 16));
	for (size_t i = 0; i < length; i++)
		buffer_put_byte(out, (char)(source->ip[i] ^ (uint8_t)mask[i]));
}

static void put_unknown(struct buffer *out, const struct stun_request *request)
{
	uint32_t count = request->unknown_count;

	put_16(out, STUN_ERROR_CODE);
	put_16(out, 4);
	put_32(out, 4u << 8 | 20); /* 420 */
	put_16(out, STUN_UNKNOWN_ATTRIBUTES);
	put_16(out, count * 2);
	for (uint32_t i = 0; i < count; i++)
		put_16(out, request->unknown[i]);
	if (count % 2)
		put_16(out, 0);
}

/* The length in the header counts what the FINGERPRINT itself covers and its own bytes. */
static void finish(struct buffer *out, bool has_fingerprint)
{
	size_t length = out->length - STUN_HEADER_BYTES + (has_fingerprint ? STUN_FINGERPRINT_BYTES : 0);

	if (out->overflow)
		return;
	out->data[2] = (char)(length >> 8);
	out->data[3] = (char)length;
	if (has_fingerprint) {
		uint32_t fingerprint = crc_32(out->data, out->length) ^ STUN_FINGERPRINT_XOR;

		put_16(out, STUN_FINGERPRINT);
		put_16(out, 4);
		put_32(out, fingerprint);
	}
}

enum stun_result stun_answer(struct span bytes, const struct address *source, struct buffer *out)
{
	struct stun_request request = {0};

	if (!stun_is(bytes) || get_16(bytes.data + 2) != bytes.length - STUN_HEADER_BYTES || bytes.length % 4 ||
	    !request_parse(bytes, &request))
		return STUN_MALFORMED;
	if (get_16(bytes.data) != STUN_BINDING_REQUEST)
		return STUN_SILENCE;

	put_16(out, request.unknown_count ? STUN_BINDING_ERROR : STUN_BINDING_SUCCESS);
	put_16(out, 0);
	buffer_put(out, bytes.data + 4, STUN_HEADER_BYTES - 4);
	if (request.unknown_count)
		put_unknown(out, &request);
	else
		put_mapped_address(out, bytes, source);
	finish(out, request.has_fingerprint);
	if (out->overflow || out->length > bytes.length + STUN_ANSWER_MARGIN)
		return STUN_SILENCE;
	return STUN_ANSWER;
}
