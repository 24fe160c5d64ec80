/* SPDX-License-Identifier: Apache-2.0
 * SRTP contexts, and RTP in and out of them (RFC 3711 section 3.3). */
#include "media/media.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "media/rtp_private.h"
#include "media/srtp_private.h"

#define ROLL_OVER_BYTES 4
#define DIGEST_BYTES 20
#define TAG_MAXIMUM 10     /* of HMAC-SHA1 */
#define FIRST_MAXIMUM 2048 /* bytes of a packet that is tried twice */
#define CACHE_LINE_BYTES 64
#define CIPHER_HOT_BYTES 192 /* about what OpenSSL's cipher context has */

const char *srtp_result_text(enum srtp_result result)
{
	static const char *const texts[] = {
		[SRTP_OK] = "ok",
		[SRTP_MALFORMED] = "malformed",
		[SRTP_FORGED] = "forged",
		[SRTP_REPLAYED] = "replayed",
		[SRTP_TOO_MANY] = "too many sources",
		[SRTP_KEY_WORN] = "key worn out",
	};
	return (size_t)result < sizeof(texts) / sizeof(texts[0]) ? texts[result] : "unknown";
}

struct srtp_context *srtp_context_new(enum srtp_suite suite, const uint8_t *key)
{
	const struct srtp_profile *profile = srtp_profile_find(suite);
	struct srtp_context *context = profile ? memory_alloc(sizeof(*context)) : NULL;
	if (!context)
		return NULL;
	if (srtp_crypto_setup(&context->crypto, profile, key) != 0) {
		memory_free(context);
		return NULL;
	}
	return context;
}

void srtp_context_free(struct srtp_context *context)
{
	if (!context)
		return;
	srtp_crypto_clear(&context->crypto);
	memory_free(context->streams);
	memory_free_secret(context, sizeof(*context));
}

int srtp_context_rekey(struct srtp_context *context, enum srtp_suite suite, const uint8_t *key)
{
	struct srtp_context *fresh = srtp_context_new(suite, key);
	if (!fresh)
		return -ENOMEM;
	/* The same key again must not start the counters again: that would repeat its key stream. */
	if (fresh->crypto.profile != context->crypto.profile ||
	    !bytes_equal_constant_time(fresh->crypto.keys, context->crypto.keys, sizeof(fresh->crypto.keys))) {
		struct srtp_context old = *context;
		*context = *fresh;
		*fresh = old;
		memory_wipe(&old, sizeof(old));
	}
	srtp_context_free(fresh);
	return 0;
}

/* RFC 3711 section 4.2: over the packet and the roll-over counter, which is put where the tag goes. */
static bool tag_counter_mode(struct srtp_crypto *crypto, uint64_t index, uint8_t *packet, size_t length,
			     uint8_t digest[DIGEST_BYTES])
{
	write_u32(packet + length, (uint32_t)(index >> 16));
	return srtp_crypto_tag(crypto, SRTP_KIND_RTP, packet, length + ROLL_OVER_BYTES, digest);
}

static bool protect_counter_mode(struct srtp_context *context, uint64_t index, uint8_t *packet, size_t header,
				 size_t length)
{
	struct srtp_crypto *crypto = &context->crypto;
	uint8_t digest[DIGEST_BYTES];
	if (!srtp_crypto_counter_mode(crypto, SRTP_KIND_RTP, read_u32(packet + 8), index, packet + header,
				      length - header) ||
	    !tag_counter_mode(crypto, index, packet, length, digest))
		return false;
	memcpy(packet + length, digest, crypto->profile->rtp_tag_bytes);
	return true;
}

static bool unprotect_counter_mode(struct srtp_context *context, uint64_t index, uint8_t *packet, size_t header,
				   size_t length)
{
	struct srtp_crypto *crypto = &context->crypto;
	uint8_t digest[DIGEST_BYTES], tag[TAG_MAXIMUM];
	memcpy(tag, packet + length, crypto->profile->rtp_tag_bytes);
	return tag_counter_mode(crypto, index, packet, length, digest) &&
	       bytes_equal_constant_time(digest, tag, crypto->profile->rtp_tag_bytes) &&
	       srtp_crypto_counter_mode(crypto, SRTP_KIND_RTP, read_u32(packet + 8), index, packet + header,
					length - header);
}

void srtp_context_prefetch(const struct srtp_context *context)
{
	const struct srtp_crypto *crypto = &context->crypto;
	for (size_t at = 0; at < CIPHER_HOT_BYTES; at += CACHE_LINE_BYTES)
		__builtin_prefetch((const char *)crypto->cipher + at);
	__builtin_prefetch(crypto->inner);
	__builtin_prefetch(crypto->outer);
	if (context->stream_count)
		__builtin_prefetch(&context->streams[context->stream_last]);
}

enum srtp_result srtp_protect(struct srtp_context *context, uint8_t *packet, size_t *length)
{
	const struct srtp_profile *profile = context->crypto.profile;
	size_t header = rtp_header_bytes(packet, *length);
	if (!header || *length > SRTP_PACKET_MAXIMUM)
		return SRTP_MALFORMED;

	uint32_t ssrc = read_u32(packet + 8);
	struct srtp_stream *stream = srtp_stream_find(context, ssrc);
	if (!stream)
		stream = srtp_stream_add(context, ssrc);
	if (!stream)
		return SRTP_TOO_MANY;
	struct srtp_window *window = &stream->window[SRTP_KIND_RTP];
	uint64_t index = srtp_index_estimate(window, read_u16(packet + 2));
	if (index >= SRTP_RTP_LIFETIME || context->packets[SRTP_KIND_RTP] >= SRTP_RTP_LIFETIME)
		return SRTP_KEY_WORN;
	if (!srtp_window_admits(window, index))
		return SRTP_REPLAYED; /* an index used twice would give the key stream away */

	bool done;
	if (profile->aead) {
		struct srtp_aad aad = {.header = packet, .header_length = header};
		done = srtp_crypto_seal(&context->crypto, SRTP_KIND_RTP, ssrc, index, &aad, packet + header,
					*length - header, packet + *length);
	} else {
		done = protect_counter_mode(context, index, packet, header, *length);
	}
	if (!done)
		return SRTP_KEY_WORN; /* OpenSSL out of memory: nothing leaves unprotected */
	*length += profile->rtp_tag_bytes;
	return srtp_stream_accept(context, stream, ssrc, SRTP_KIND_RTP, index);
}

static bool unprotect(struct srtp_context *context, uint64_t index, uint8_t *packet, size_t header, size_t length)
{
	if (!context->crypto.profile->aead)
		return unprotect_counter_mode(context, index, packet, header, length);
	struct srtp_aad aad = {.header = packet, .header_length = header};
	return srtp_crypto_open(&context->crypto, SRTP_KIND_RTP, read_u32(packet + 8), index, &aad, packet + header,
				length - header, packet + length);
}

/* The first packet of a stream that was taken over: when it is not where it was expected, more may have come meanwhile than
 * was thought, and the next roll-over counter is tried. GCM leaves nothing of a packet that does not verify. */
static bool unprotect_first(struct srtp_context *context, uint64_t *index, uint8_t *packet, size_t header,
			    size_t length)
{
	uint8_t copy[FIRST_MAXIMUM];
	size_t whole = length + context->crypto.profile->rtp_tag_bytes;
	if (whole <= sizeof(copy))
		memcpy(copy, packet, whole);
	if (unprotect(context, *index, packet, header, length))
		return true;
	if (whole > sizeof(copy) || *index + 0x10000 >= SRTP_RTP_LIFETIME)
		return false;
	memcpy(packet, copy, whole);
	*index += 0x10000;
	return unprotect(context, *index, packet, header, length);
}

enum srtp_result srtp_unprotect(struct srtp_context *context, uint8_t *packet, size_t *length)
{
	static const struct srtp_window nothing_seen;
	const struct srtp_profile *profile = context->crypto.profile;
	if (*length > SRTP_PACKET_MAXIMUM || *length < RTP_HEADER_BYTES + (size_t)profile->rtp_tag_bytes)
		return SRTP_MALFORMED;
	size_t plain = *length - profile->rtp_tag_bytes;
	size_t header = rtp_header_bytes(packet, plain);
	if (!header)
		return SRTP_MALFORMED;

	uint32_t ssrc = read_u32(packet + 8);
	struct srtp_stream *stream = srtp_stream_find(context, ssrc);
	const struct srtp_window *window = stream ? &stream->window[SRTP_KIND_RTP] : &nothing_seen;
	uint64_t index = srtp_index_estimate(window, read_u16(packet + 2));
	if (index >= SRTP_RTP_LIFETIME || context->packets[SRTP_KIND_RTP] >= SRTP_RTP_LIFETIME)
		return SRTP_KEY_WORN;
	if (!srtp_window_admits(window, index))
		return SRTP_REPLAYED;

	bool verified = srtp_window_is_taken_over(window) ? unprotect_first(context, &index, packet, header, plain)
							  : unprotect(context, index, packet, header, plain);
	if (!verified)
		return SRTP_FORGED;
	*length = plain;
	return srtp_stream_accept(context, stream, ssrc, SRTP_KIND_RTP, index);
}
