/* SPDX-License-Identifier: Apache-2.0
 * Binding requests, without credentials or with ICE's, answered without state. RFC 8489 sections 5, 6.3, 9.1 and 14. */
#include "base/stun.h"

#include <string.h>

#define STUN_HEADER_BYTES 20
#define STUN_COOKIE 0x2112A442u
#define STUN_FINGERPRINT_XOR 0x5354554Eu
#define STUN_FINGERPRINT_BYTES 8 /* with its attribute header */
#define STUN_UNKNOWN_MAXIMUM 4   /* listed in a 420 */

#define STUN_BINDING_REQUEST 0x0001
#define STUN_BINDING_SUCCESS 0x0101
#define STUN_BINDING_ERROR 0x0111

#define STUN_USERNAME 0x0006
#define STUN_INTEGRITY 0x0008
#define STUN_ERROR_CODE 0x0009
#define STUN_UNKNOWN_ATTRIBUTES 0x000A
#define STUN_XOR_MAPPED_ADDRESS 0x0020
#define STUN_PRIORITY 0x0024 /* RFC 8445 section 16.1 */
#define STUN_USE_CANDIDATE 0x0025
#define STUN_CONTROLLED 0x8029
#define STUN_OPTIONAL 0x8000 /* from here on, what is not understood is skipped */
#define STUN_FINGERPRINT 0x8028

#define STUN_INTEGRITY_ALL (4 + STUN_INTEGRITY_BYTES) /* with its attribute header */

struct stun_request {
	bool has_fingerprint;
	/* Of checks, and only what stands before the integrity. */
	size_t integrity; /* where its attribute is; 0: none */
	struct span username;
	bool nominates, is_controlled;
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

static void unknown_note(struct stun_request *request, uint16_t type)
{
	if (type < STUN_OPTIONAL && request->unknown_count < STUN_UNKNOWN_MAXIMUM)
		request->unknown[request->unknown_count++] = type;
}

/* False: it cannot be so long. What follows the integrity proves nothing, and is passed over (RFC 8489 section 14.5). */
static bool check_attribute(struct stun_request *request, uint16_t type, struct span value, size_t at)
{
	if (request->integrity)
		return true;
	switch (type) {
	case STUN_USERNAME: request->username = value; break;
	case STUN_INTEGRITY: request->integrity = at; return value.length == STUN_INTEGRITY_BYTES;
	case STUN_USE_CANDIDATE: request->nominates = true; break;
	case STUN_CONTROLLED: request->is_controlled = true; break;
	case STUN_PRIORITY: break;
	default: unknown_note(request, type);
	}
	return true;
}

/* Takes the attributes apart; false when a length does not fit. FINGERPRINT must be right, and the last. */
static bool request_parse(struct span bytes, bool is_check, struct stun_request *request)
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
		} else if (!is_check) {
			unknown_note(request, type);
		} else if (!check_attribute(request, type, span_slice(bytes, at + 4, length), at)) {
			return false;
		}
		at += 4 + padded;
	}
	return true;
}

static bool is_whole(struct span bytes)
{
	return stun_is(bytes) && get_16(bytes.data + 2) == bytes.length - STUN_HEADER_BYTES && bytes.length % 4 == 0;
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

static void put_error(struct buffer *out, uint32_t status)
{
	put_16(out, STUN_ERROR_CODE);
	put_16(out, 4);
	put_32(out, status / 100 << 8 | status % 100);
}

static void put_unknown(struct buffer *out, const struct stun_request *request)
{
	uint32_t count = request->unknown_count;

	put_error(out, 420);
	put_16(out, STUN_UNKNOWN_ATTRIBUTES);
	put_16(out, count * 2);
	for (uint32_t i = 0; i < count; i++)
		put_16(out, request->unknown[i]);
	if (count % 2)
		put_16(out, 0);
}

static void begin(struct buffer *out, uint16_t type, struct span request)
{
	put_16(out, type);
	put_16(out, 0);
	buffer_put(out, request.data + 4, STUN_HEADER_BYTES - 4);
}

/* As it is when `more` bytes have followed. */
static void length_set(struct buffer *out, size_t more)
{
	size_t length = out->length - STUN_HEADER_BYTES + more;

	out->data[2] = (char)(length >> 8);
	out->data[3] = (char)length;
}

/* The length in the header counts what the FINGERPRINT itself covers and its own bytes. */
static void finish(struct buffer *out, bool has_fingerprint)
{
	if (out->overflow)
		return;
	length_set(out, has_fingerprint ? STUN_FINGERPRINT_BYTES : 0);
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

	if (!is_whole(bytes) || !request_parse(bytes, false, &request))
		return STUN_MALFORMED;
	if (get_16(bytes.data) != STUN_BINDING_REQUEST)
		return STUN_SILENCE;

	begin(out, request.unknown_count ? STUN_BINDING_ERROR : STUN_BINDING_SUCCESS, bytes);
	if (request.unknown_count)
		put_unknown(out, &request);
	else
		put_mapped_address(out, bytes, source);
	finish(out, request.has_fingerprint);
	if (out->overflow || out->length > bytes.length + STUN_ANSWER_MARGIN)
		return STUN_SILENCE;
	return STUN_ANSWER;
}

/* ---- Checks of ICE ---- */

/* "ours:theirs" */
static bool is_for(const struct stun_agent *agent, struct span username)
{
	return agent->ufrag.length && username.length > agent->ufrag.length &&
	       username.data[agent->ufrag.length] == ':' && span_starts_with(username, agent->ufrag);
}

/* Covers what stands before it, the header's length being as if it were the last (RFC 8489 section 14.5). */
static bool is_signed(const struct stun_agent *agent, struct span bytes, size_t integrity)
{
	uint8_t expected[STUN_INTEGRITY_BYTES];
	char copy[STUN_CHECK_MAXIMUM];
	struct buffer covered = BUFFER_OVER(copy);

	buffer_put(&covered, bytes.data, integrity);
	if (covered.overflow)
		return false;
	length_set(&covered, STUN_INTEGRITY_ALL);
	return agent->sign(agent->context, buffer_span(&covered), expected) &&
	       bytes_equal_constant_time(expected, bytes.data + integrity + 4, sizeof(expected));
}

static bool sign(const struct stun_agent *agent, struct buffer *out)
{
	uint8_t integrity[STUN_INTEGRITY_BYTES];

	if (out->overflow)
		return false;
	length_set(out, STUN_INTEGRITY_ALL);
	if (!agent->sign(agent->context, buffer_span(out), integrity))
		return false;
	put_16(out, STUN_INTEGRITY);
	put_16(out, STUN_INTEGRITY_BYTES);
	buffer_put(out, integrity, sizeof(integrity));
	finish(out, true);
	return !out->overflow;
}

enum stun_result stun_check(const struct stun_agent *agent, struct span bytes, const struct address *source,
			    struct buffer *out, bool *nominates)
{
	struct stun_request request = {0};

	if (!is_whole(bytes) || bytes.length > STUN_CHECK_MAXIMUM || !request_parse(bytes, true, &request))
		return STUN_MALFORMED;
	if (get_16(bytes.data) != STUN_BINDING_REQUEST)
		return STUN_SILENCE;
	if (!request.integrity || !is_for(agent, request.username) || !is_signed(agent, bytes, request.integrity))
		return STUN_FORGED;

	*nominates = request.nominates;
	begin(out, request.unknown_count || request.is_controlled ? STUN_BINDING_ERROR : STUN_BINDING_SUCCESS, bytes);
	if (request.unknown_count)
		put_unknown(out, &request);
	else if (request.is_controlled)
		put_error(out, 487);
	else
		put_mapped_address(out, bytes, source);
	if (!sign(agent, out))
		return STUN_SILENCE;
	return request.unknown_count || request.is_controlled ? STUN_REFUSAL : STUN_ANSWER;
}
