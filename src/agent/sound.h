/* SPDX-License-Identifier: Apache-2.0
 * Private to src/agent: G.711 sound over RTP and SRTP, its description, and a signal that can be told again. */
#ifndef RINGWALL_AGENT_SOUND_H
#define RINGWALL_AGENT_SOUND_H

#include "base/clock.h"
#include "media/media.h"
#include "sdp/sdp.h"

struct event;
struct event_base;

#define SOUND_RATE 8000
#define SOUND_FRAME 160 /* samples of 20 ms */
#define SOUND_FRAME_MS 20

/* ---- Codec (ITU-T G.711): payload types 0 and 8 --------------------------------------- */

#define SOUND_PCMU 0
#define SOUND_PCMA 8
uint8_t sound_encode(uint8_t payload_type, int16_t sample);
int16_t sound_decode(uint8_t payload_type, uint8_t byte);

/* ---- An end of a stream: one socket, plain or SRTP ------------------------------------ */

struct sound_end {
	int descriptor; /* -1: closed */
	struct event *event;
	struct address local, peer;    /* peer: ADDRESS_NONE until connected */
	struct srtp_context *in, *out; /* NULL: plain */
	uint8_t payload_type;
	uint16_t sequence;
	uint32_t timestamp, ssrc;
	uint64_t dropped; /* malformed, forged, replayed */
	/* A packet whose source, form and tag are right. `payload` may be changed. */
	void (*packet)(void *context, const struct rtp_header *header, uint8_t *payload);
	void *context;
};

/* Binds an even port of [low, high] on `ip`; low 0: the kernel's choice. Returns 0 or a negative error. */
int sound_end_open(struct sound_end *end, struct event_base *loop, const struct address *ip, uint16_t low,
		   uint16_t high, struct random_source random);
void sound_end_close(struct sound_end *end); /* closing twice does no harm */

/* From now on only this peer is heard and spoken to: the kernel drops the others' packets. */
int sound_end_connect(struct sound_end *end, const struct address *peer);

/* Keys of both directions; suite NONE for plain. Returns 0 or -ENOMEM. */
int sound_end_secure(struct sound_end *end, const struct sdp_crypto *in, const struct sdp_crypto *out);

/* Sends a frame (at most 480 bytes), and moves sequence and timestamp on. */
void sound_end_send(struct sound_end *end, const uint8_t *payload, size_t length, bool marker);

/* ---- Descriptions ------------------------------------------------------------------------ */

/* A fresh key of a suite. */
void sound_crypto_make(struct sdp_crypto *crypto, enum sdp_suite suite, struct random_source random);

/* An offer of PCMU and PCMA; encrypted with one of `cryptos` when there are any. */
void sound_offer_write(struct buffer *out, const struct sound_end *end, const struct sdp_crypto *cryptos,
		       uint8_t crypto_count, uint64_t version);

/* What a description says of its first usable audio stream. */
struct sound_peer {
	struct address address; /* ADDRESS_NONE: nowhere to send */
	uint8_t payload_type;
	bool may_send; /* the peer wants to hear */
	bool encrypted;
	struct sdp_crypto crypto; /* of the peer, when encrypted; its tag says which of ours it answers */
};

/* Reads an answer. Returns 0; -EINVAL malformed; -ENOENT without a usable audio stream. */
int sound_answer_read(struct span text, struct sound_peer *peer);

/* Reads an offer and writes our answer. peer->crypto and *crypto hold the keys in use (zero at first), and then those that
 * are from now on: the same when the peer's did not change. Returns as above. */
int sound_answer_make(struct span offer, const struct sound_end *end, struct random_source random, uint64_t version,
		      struct sound_peer *peer, struct sdp_crypto *crypto, struct buffer *out);

/* ---- The signal -------------------------------------------------------------------------- */

/* Sample `index` of the test signal: noise that never repeats, smoothed to the telephone band, so that 20 ms of it are
 * found again among all that was sent. */
int16_t sound_signal(uint32_t seed, uint64_t index);

/* Sample of a tone, about -3 dBm0. */
int16_t sound_tone(uint32_t hertz, uint64_t index);

/* Correlation, -1 to 1, of two runs of samples. */
double sound_correlation(const int16_t *a, const int16_t *b, size_t count);

/* Share of the energy that lies at one frequency, 0 to 1 (Goertzel). */
double sound_tone_share(const int16_t *samples, size_t count, uint32_t hertz);

#endif
