/* SPDX-License-Identifier: Apache-2.0
 * What a description says of DTLS (RFC 8122, 8842) and ICE (RFC 8839): read, and written for the gateway's own end. */
#include <errno.h>
#include <string.h>

#include "sdp/attributes.h"

#define ICE_TEXT_MAXIMUM 256
#define CANDIDATE_PRIORITY 2130706431 /* of a host, RFC 8445 section 5.1.2.1; less one for RTCP */

static const struct hash {
	struct span name;
	uint8_t bytes;
} hashes[SDP_HASH_COUNT] = {
#define X(name, text, bytes) {SPAN_INIT(text), bytes},
	SDP_HASHES(X)
#undef X
};

static const struct span setups[] = {
	[SDP_SETUP_NONE] = SPAN_INIT(""),
	[SDP_SETUP_ACTIVE] = SPAN_INIT("active"),
	[SDP_SETUP_PASSIVE] = SPAN_INIT("passive"),
	[SDP_SETUP_ACTPASS] = SPAN_INIT("actpass"),
	[SDP_SETUP_HOLDCONN] = SPAN_INIT("holdconn"),
};

uint8_t sdp_hash_bytes(enum sdp_hash hash)
{
	return (unsigned)hash < SDP_HASH_COUNT ? hashes[hash].bytes : 0;
}

static int hexadecimal(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

int sdp_fingerprint_parse(struct span value, struct sdp_fingerprint *fingerprint)
{
	struct span rest = value, name = sdp_word(&rest), digits = sdp_word(&rest);
	enum sdp_hash hash = SDP_HASH_NONE;

	*fingerprint = (struct sdp_fingerprint){0};
	if (!sdp_is_token(name, "") || span_trim(rest).length || digits.length % 3 != 2)
		return -EINVAL;
	for (int i = 1; i < SDP_HASH_COUNT; i++)
		if (span_equal_nocase(name, hashes[i].name))
			hash = (enum sdp_hash)i;
	if (hash == SDP_HASH_NONE)
		return -ENOTSUP;
	if (digits.length != hashes[hash].bytes * 3u - 1)
		return -EINVAL;
	for (size_t i = 0; i < hashes[hash].bytes; i++) {
		int high = hexadecimal(digits.data[i * 3]), low = hexadecimal(digits.data[i * 3 + 1]);

		if (high < 0 || low < 0 || (i && digits.data[i * 3 - 1] != ':'))
			return -EINVAL;
		fingerprint->bytes[i] = (uint8_t)(high << 4 | low);
	}
	fingerprint->hash = hash;
	return 0;
}

enum sdp_setup sdp_setup_parse(struct span value)
{
	for (int i = SDP_SETUP_ACTIVE; i <= SDP_SETUP_HOLDCONN; i++)
		if (span_equal(value, setups[i]))
			return (enum sdp_setup)i;
	return SDP_SETUP_NONE;
}

bool sdp_is_ice_text(struct span value, size_t minimum)
{
	for (size_t i = 0; i < value.length; i++) {
		char byte = value.data[i];
		bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');

		if (!is_letter && !(byte >= '0' && byte <= '9') && byte != '+' && byte != '/')
			return false;
	}
	return value.length >= minimum && value.length <= ICE_TEXT_MAXIMUM;
}

static void line_write(struct buffer *out, const char *name, struct span value)
{
	buffer_put_text(out, name);
	buffer_put_span(out, value);
	buffer_put(out, "\r\n", 2);
}

void sdp_dtls_write(struct buffer *out, const struct sdp_local_stream *local)
{
	const struct sdp_fingerprint *fingerprint = &local->fingerprint;

	if (fingerprint->hash == SDP_HASH_NONE)
		return;
	line_write(out, "a=setup:", setups[local->setup]);
	buffer_put_text(out, "a=fingerprint:");
	buffer_put_span(out, hashes[fingerprint->hash].name);
	for (size_t i = 0; i < hashes[fingerprint->hash].bytes; i++)
		buffer_printf(out, "%c%02X", i ? ':' : ' ', fingerprint->bytes[i]);
	buffer_put(out, "\r\n", 2);
	if (local->tls_id.length)
		line_write(out, "a=tls-id:", local->tls_id);
}

static void candidate_write(struct buffer *out, unsigned component, const struct address *address, uint16_t port)
{
	buffer_printf(out, "a=candidate:1 %u UDP %u ", component, CANDIDATE_PRIORITY + 1 - component);
	address_write_ip(out, address, false);
	buffer_printf(out, " %u typ host\r\n", port);
}

void sdp_ice_write(struct buffer *out, const struct sdp_local_stream *local, const struct address *address)
{
	const struct address *at = local->rtp.family == ADDRESS_NONE ? address : &local->rtp;

	if (!local->ice_ufrag.length)
		return;
	line_write(out, "a=ice-ufrag:", local->ice_ufrag);
	line_write(out, "a=ice-pwd:", local->ice_password);
	candidate_write(out, 1, at, local->rtp.port);
	if (!local->rtcp_mux)
		candidate_write(out, 2, at, (uint16_t)(local->rtp.port + 1));
	buffer_put_text(out, "a=end-of-candidates\r\n");
}
