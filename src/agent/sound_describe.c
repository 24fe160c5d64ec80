/* SPDX-License-Identifier: Apache-2.0
 * Offers and answers of the agents (RFC 3264, RFC 4568), made with the sdp module from a template or from the peer's offer. */
#include <errno.h>
#include <string.h>

#include "agent/sound.h"

#define ARENA_BYTES 65536

static const struct span offer_template =
	SPAN_INIT("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
		  "m=audio 9 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n"
		  "a=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n");

void sound_crypto_make(struct sdp_crypto *crypto, enum sdp_suite suite, struct random_source random)
{
	memset(crypto, 0, sizeof(*crypto));
	crypto->suite = suite;
	crypto->tag = 1;
	random_fill(random, crypto->key, sdp_suite_key_bytes(suite));
}

/* The origin's session id need not be unique in the world for a test call; the port makes it so on this host. */
static uint64_t session_id(const struct sound_end *end)
{
	return (uint64_t)end->ssrc << 16 | end->local.port;
}

void sound_offer_write(struct buffer *out, const struct sound_end *end, const struct sdp_crypto *cryptos,
		       uint8_t crypto_count, uint64_t version)
{
	char *memory = memory_alloc(ARENA_BYTES);
	struct arena arena = arena_over(memory, memory ? ARENA_BYTES : 0);
	struct sdp_local_stream local = {
		.rtp = end->local, .protocol = crypto_count ? SDP_RTP_SAVP : SDP_RTP_AVP, .crypto_count = crypto_count};
	struct sdp_session session;

	for (uint8_t i = 0; i < crypto_count; i++)
		local.cryptos[i] = cryptos[i];
	if (memory && sdp_parse(offer_template, &arena, &session) == SDP_OK)
		sdp_write(out, &session, &local, session_id(end), version, &end->local);
	else
		out->overflow = true;
	memory_wipe(&local, sizeof(local));
	memory_free(memory);
}

/* By number, as all the world has them; an rtpmap that says otherwise is believed. */
static bool format_is_ours(const struct sdp_stream *stream, struct span format, uint8_t *payload_type)
{
	struct span codec = sdp_format_codec(stream, format);

	if (span_is(format, "0") && span_starts_with(codec, SPAN("PCMU/8000")))
		*payload_type = SOUND_PCMU;
	else if (span_is(format, "8") && span_starts_with(codec, SPAN("PCMA/8000")))
		*payload_type = SOUND_PCMA;
	else
		return false;
	return true;
}

/* The peer's first format that we know, alone. */
static bool stream_choose(struct sdp_stream *stream, struct sound_peer *peer)
{
	for (uint8_t i = 0; i < stream->format_count; i++) {
		struct span format = stream->formats[i];

		if (!format_is_ours(stream, format, &peer->payload_type))
			continue;
		stream->formats[0] = format;
		stream->format_count = 1;
		return true;
	}
	return false;
}

/* Whether this end can take part in the stream, encrypted or not. */
static bool stream_is_usable(struct sdp_stream *stream, struct sound_peer *peer)
{
	if (stream->media != SDP_AUDIO || !stream->port || !sdp_protocol_is_rtp(stream->protocol))
		return false;
	peer->encrypted = stream->crypto_count > 0;
	if (sdp_protocol_is_encrypted(stream->protocol) && !peer->encrypted)
		return false; /* DTLS only */
	if (!stream_choose(stream, peer))
		return false;
	if (peer->encrypted)
		peer->crypto = stream->cryptos[0];
	if (!stream->on_hold)
		peer->address = stream->connection;
	peer->may_send = stream->direction == SDP_SENDRECV || stream->direction == SDP_RECVONLY;
	return true;
}

static int stream_find(struct sdp_session *session, struct sound_peer *peer)
{
	for (uint8_t i = 0; i < session->stream_count; i++) {
		memset(peer, 0, sizeof(*peer));
		if (stream_is_usable(&session->streams[i], peer))
			return i;
	}
	return -ENOENT;
}

int sound_answer_read(struct span text, struct sound_peer *peer)
{
	char *memory = memory_alloc(ARENA_BYTES);
	struct arena arena = arena_over(memory, memory ? ARENA_BYTES : 0);
	struct sdp_session session;
	int result = -EINVAL;

	if (memory && sdp_parse(text, &arena, &session) == SDP_OK) {
		result = stream_find(&session, peer);
		sdp_session_wipe(&session);
	}
	memory_free(memory);
	return result < 0 ? result : 0;
}

/* RFC 3264 section 6.1: what the peer only sends, we only receive. */
static enum sdp_direction direction_answer(enum sdp_direction offered)
{
	switch (offered) {
	case SDP_SENDONLY: return SDP_RECVONLY;
	case SDP_RECVONLY: return SDP_SENDONLY;
	default: return offered;
	}
}

static void answer_write(struct buffer *out, struct sdp_session *session, int chosen, const struct sound_end *end,
			 const struct sdp_crypto *crypto, uint64_t version)
{
	struct sdp_local_stream locals[SDP_STREAMS_MAXIMUM] = {0};

	for (uint8_t i = 0; i < session->stream_count; i++)
		locals[i].protocol = session->streams[i].protocol;
	locals[chosen].rtp = end->local;
	if (crypto->suite != SDP_SUITE_NONE) {
		locals[chosen].cryptos[0] = *crypto;
		locals[chosen].crypto_count = 1;
	}
	session->streams[chosen].direction = direction_answer(session->streams[chosen].direction);
	sdp_write(out, session, locals, session_id(end), version, &end->local);
	memory_wipe(locals, sizeof(locals));
}

/* The same key again (a refresh, a hold) gets the same answer: new keys would start the roll-over counter anew. */
static void crypto_answer(const struct sdp_crypto *before, const struct sdp_crypto *now, struct sdp_crypto *own,
			  struct random_source random)
{
	bool is_same = own->suite != SDP_SUITE_NONE && before->suite == now->suite &&
		       bytes_equal_constant_time(before->key, now->key, sdp_suite_key_bytes(now->suite));

	if (!is_same)
		sound_crypto_make(own, now->suite, random);
	own->tag = now->tag;
}

int sound_answer_make(struct span offer, const struct sound_end *end, struct random_source random, uint64_t version,
		      struct sound_peer *peer, struct sdp_crypto *crypto, struct buffer *out)
{
	char *memory = memory_alloc(ARENA_BYTES);
	struct arena arena = arena_over(memory, memory ? ARENA_BYTES : 0);
	struct sdp_crypto before = peer->crypto;
	struct sdp_session session;
	int chosen = -EINVAL;

	if (memory && sdp_parse(offer, &arena, &session) == SDP_OK) {
		chosen = stream_find(&session, peer);
		if (chosen >= 0 && peer->encrypted)
			crypto_answer(&before, &peer->crypto, crypto, random);
		else
			memory_wipe(crypto, sizeof(*crypto));
		if (chosen >= 0)
			answer_write(out, &session, chosen, end, crypto, version);
		sdp_session_wipe(&session);
	}
	memory_wipe(&before, sizeof(before));
	memory_free(memory);
	return chosen < 0 ? chosen : 0;
}
