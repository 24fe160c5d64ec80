/* SPDX-License-Identifier: Apache-2.0
 * SRTCP (RFC 3711 section 3.4, RFC 7714 section 9). Counter mode ends in index and tag, GCM in tag and index. */
#include "media/media.h"

#include <string.h>

#include "media/rtp_private.h"
#include "media/srtp_private.h"

#define DIGEST_BYTES 20

static bool is_rtcp_header(const uint8_t *packet, size_t length)
{
	return length >= RTCP_HEADER_BYTES && length <= SRTP_PACKET_MAXIMUM && packet[0] >> 6 == RTP_VERSION;
}

static bool protect(struct srtp_crypto *crypto, uint64_t index, uint8_t *packet, size_t length)
{
	uint32_t ssrc = read_u32(packet + 4);
	uint8_t *body = packet + RTCP_HEADER_BYTES, word[SRTCP_INDEX_BYTES];
	size_t body_length = length - RTCP_HEADER_BYTES;
	write_u32(word, SRTCP_ENCRYPTED_FLAG | (uint32_t)index);

	if (crypto->profile->aead) {
		struct srtp_aad aad = {packet, word, RTCP_HEADER_BYTES, sizeof(word)};
		memcpy(packet + length + SRTP_GCM_TAG_BYTES, word, sizeof(word));
		return srtp_crypto_seal(crypto, SRTP_KIND_RTCP, ssrc, index, &aad, body, body_length, packet + length);
	}
	uint8_t digest[DIGEST_BYTES];
	memcpy(packet + length, word, sizeof(word));
	if (!srtp_crypto_counter_mode(crypto, SRTP_KIND_RTCP, ssrc, index, body, body_length) ||
	    !srtp_crypto_tag(crypto, SRTP_KIND_RTCP, packet, length + sizeof(word), digest))
		return false;
	memcpy(packet + length + sizeof(word), digest, crypto->profile->rtcp_tag_bytes);
	return true;
}

/* `word` is a copy of the index word that came with the packet. */
static bool unprotect(struct srtp_crypto *crypto, const uint8_t *word, uint8_t *packet, size_t length)
{
	uint32_t ssrc = read_u32(packet + 4);
	uint64_t index = read_u32(word) & ~SRTCP_ENCRYPTED_FLAG;
	uint8_t *body = packet + RTCP_HEADER_BYTES;
	size_t body_length = length - RTCP_HEADER_BYTES;

	if (crypto->profile->aead) {
		struct srtp_aad aad = {packet, word, RTCP_HEADER_BYTES, SRTCP_INDEX_BYTES};
		return srtp_crypto_open(crypto, SRTP_KIND_RTCP, ssrc, index, &aad, body, body_length, packet + length);
	}
	uint8_t digest[DIGEST_BYTES];
	return srtp_crypto_tag(crypto, SRTP_KIND_RTCP, packet, length + SRTCP_INDEX_BYTES, digest) &&
	       bytes_equal_constant_time(digest, packet + length + SRTCP_INDEX_BYTES,
					 crypto->profile->rtcp_tag_bytes) &&
	       srtp_crypto_counter_mode(crypto, SRTP_KIND_RTCP, ssrc, index, body, body_length);
}

void srtcp_index_start(struct srtp_context *context, uint32_t index)
{
	context->rtcp_start = index & (SRTP_RTCP_LIFETIME / 2 - 1);
}

enum srtp_result srtcp_protect(struct srtp_context *context, uint8_t *packet, size_t *length)
{
	if (!is_rtcp_header(packet, *length))
		return SRTP_MALFORMED;
	if (context->packets[SRTP_KIND_RTCP] >= SRTP_RTCP_LIFETIME)
		return SRTP_KEY_WORN;

	uint32_t ssrc = read_u32(packet + 4);
	struct srtp_stream *stream = srtp_stream_find(context, ssrc);
	if (!stream)
		stream = srtp_stream_add(context, ssrc);
	if (!stream)
		return SRTP_TOO_MANY;
	const struct srtp_window *window = &stream->window[SRTP_KIND_RTCP];
	uint64_t index = srtp_window_is_new(window) ? context->rtcp_start : window->highest + 1;
	if (index >= SRTP_RTCP_LIFETIME || !protect(&context->crypto, index, packet, *length))
		return SRTP_KEY_WORN;
	*length += SRTCP_INDEX_BYTES + context->crypto.profile->rtcp_tag_bytes;
	return srtp_stream_accept(context, stream, ssrc, SRTP_KIND_RTCP, index);
}

enum srtp_result srtcp_unprotect(struct srtp_context *context, uint8_t *packet, size_t *length)
{
	static const struct srtp_window nothing_seen;
	const struct srtp_profile *profile = context->crypto.profile;
	size_t trailer = SRTCP_INDEX_BYTES + (size_t)profile->rtcp_tag_bytes;
	if (!is_rtcp_header(packet, *length) || *length < RTCP_HEADER_BYTES + trailer)
		return SRTP_MALFORMED;
	if (context->packets[SRTP_KIND_RTCP] >= SRTP_RTCP_LIFETIME)
		return SRTP_KEY_WORN;

	size_t plain = *length - trailer;
	uint8_t word[SRTCP_INDEX_BYTES];
	memcpy(word, packet + plain + (profile->aead ? SRTP_GCM_TAG_BYTES : 0), sizeof(word));
	if (!(read_u32(word) & SRTCP_ENCRYPTED_FLAG))
		return SRTP_FORGED; /* authenticated but readable: every suite here encrypts */

	uint32_t ssrc = read_u32(packet + 4);
	uint64_t index = read_u32(word) & ~SRTCP_ENCRYPTED_FLAG;
	struct srtp_stream *stream = srtp_stream_find(context, ssrc);
	if (!srtp_window_admits(stream ? &stream->window[SRTP_KIND_RTCP] : &nothing_seen, index))
		return SRTP_REPLAYED;
	if (!unprotect(&context->crypto, word, packet, plain))
		return SRTP_FORGED;
	*length = plain;
	return srtp_stream_accept(context, stream, ssrc, SRTP_KIND_RTCP, index);
}
