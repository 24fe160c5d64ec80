/* SPDX-License-Identifier: Apache-2.0
 * The parts of SRTP: suites and keys (srtp_keys.c), ciphers and tags (srtp_crypto.c), the SSRC table with roll-over
 * counters and replay windows (srtp_stream.c). srtp.c and srtcp.c put them together. */
#ifndef RINGWALL_MEDIA_SRTP_PRIVATE_H
#define RINGWALL_MEDIA_SRTP_PRIVATE_H

#include <openssl/evp.h>

#include "media/media.h"

#define SRTP_SALT_BYTES 14 /* of AES-CM; GCM's 12 stand in front */
#define SRTP_AUTH_KEY_BYTES 20
#define SRTP_CIPHER_KEY_BYTES 32
#define SRTP_GCM_TAG_BYTES 16
#define SRTP_PACKET_MAXIMUM 65535
#define SRTP_RTP_LIFETIME (UINT64_C(1) << 48)  /* packets of one key; also the bound of an index */
#define SRTP_RTCP_LIFETIME (UINT64_C(1) << 31) /* RFC 3711 section 9.2 */
#define SRTCP_ENCRYPTED_FLAG 0x80000000u
#define SRTCP_INDEX_BYTES 4

struct srtp_profile {
	uint8_t cipher_key_bytes, salt_bytes, rtp_tag_bytes, rtcp_tag_bytes;
	bool aead;
};

/* NULL for SRTP_NONE and what is no suite. */
const struct srtp_profile *srtp_profile_find(enum srtp_suite suite);

enum srtp_kind { SRTP_KIND_RTP, SRTP_KIND_RTCP, SRTP_KIND_COUNT };

/* Session keys of one kind of packet. */
struct srtp_keys {
	uint8_t cipher[SRTP_CIPHER_KEY_BYTES];
	uint8_t auth[SRTP_AUTH_KEY_BYTES];
	uint8_t salt[SRTP_SALT_BYTES];
};

/* RFC 3711 section 4.3.1, RFC 6188 section 3, RFC 7714 section 11. `master` is key and salt. Returns 0 or -ENOMEM. */
int srtp_keys_derive(const struct srtp_profile *profile, const uint8_t *master, struct srtp_keys keys[SRTP_KIND_COUNT]);

/* `highest` and the 127 indices below it: bit n of seen says whether highest - n was there. */
#define SRTP_WINDOW_BITS 128
struct srtp_window {
	uint64_t highest;
	uint64_t seen[SRTP_WINDOW_BITS / 64]; /* all zero: nothing was there yet */
};

static inline bool srtp_window_is_new(const struct srtp_window *window)
{
	return !(window->seen[0] & 1); /* the highest is always seen */
}

/* Taken over from a context that is lost: `highest` was seen there, and maybe later ones. */
static inline bool srtp_window_is_taken_over(const struct srtp_window *window)
{
	return srtp_window_is_new(window) && window->highest;
}
bool srtp_window_admits(const struct srtp_window *window, uint64_t index);
void srtp_window_mark(struct srtp_window *window, uint64_t index);

/* The index (roll-over counter and sequence) that `sequence` most likely stands for. RFC 3711 section 3.3.1. */
uint64_t srtp_index_estimate(const struct srtp_window *window, uint16_t sequence);

struct srtp_stream {
	uint32_t ssrc;
	uint32_t told; /* the half of its sequence space that was last told, counted from 1; 0: none yet */
	struct srtp_window window[SRTP_KIND_COUNT];
};

/* One key's ciphers. One cipher context serves both kinds of packet: RTCP is rare, and setting its key for each
 * costs less than the memory of a second one. */
struct srtp_crypto {
	const struct srtp_profile *profile;
	struct srtp_keys keys[SRTP_KIND_COUNT];
	EVP_CIPHER_CTX *cipher;
	enum srtp_kind keyed;                /* whose key the cipher holds */
	EVP_MD_CTX *inner, *outer, *scratch; /* HMAC-SHA1 of RTP, the padded key already hashed; NULL with AEAD */
};

struct srtp_context {
	struct srtp_crypto crypto;
	struct srtp_stream *streams;
	uint32_t stream_count, stream_capacity, stream_last; /* last: of the last packet, found without searching */
	bool is_untold;                    /* the last RTP packet's stream is where nobody was told that it is */
	uint32_t rtcp_start;               /* index of a source's first packet */
	uint64_t packets[SRTP_KIND_COUNT]; /* protected or unprotected with this key */
};

/* Returns 0 or -ENOMEM. clear wipes. */
int srtp_crypto_setup(struct srtp_crypto *crypto, const struct srtp_profile *profile, const uint8_t *master);
void srtp_crypto_clear(struct srtp_crypto *crypto);

/* AES-CM over `length` bytes in place (RFC 3711 section 4.1.1); false when the cipher fails. */
bool srtp_crypto_counter_mode(struct srtp_crypto *crypto, enum srtp_kind kind, uint32_t ssrc, uint64_t index,
			      uint8_t *bytes, size_t length);

/* HMAC-SHA1; `tag` has 20 bytes. */
bool srtp_crypto_tag(struct srtp_crypto *crypto, enum srtp_kind kind, const uint8_t *bytes, size_t length,
		     uint8_t *tag);

/* The additional data of an AEAD is in two parts: the header, and SRTCP's index word. */
struct srtp_aad {
	const uint8_t *header, *trailer;
	size_t header_length, trailer_length;
};

/* AES-GCM in place (RFC 7714 sections 8 and 9). seal writes the tag, open compares it. */
bool srtp_crypto_seal(struct srtp_crypto *crypto, enum srtp_kind kind, uint32_t ssrc, uint64_t index,
		      const struct srtp_aad *aad, uint8_t *bytes, size_t length, uint8_t *tag);
bool srtp_crypto_open(struct srtp_crypto *crypto, enum srtp_kind kind, uint32_t ssrc, uint64_t index,
		      const struct srtp_aad *aad, uint8_t *bytes, size_t length, const uint8_t *tag);

/* NULL when it has not been seen. */
struct srtp_stream *srtp_stream_find(struct srtp_context *context, uint32_t ssrc);

/* NULL when the table is full or memory is short. */
struct srtp_stream *srtp_stream_add(struct srtp_context *context, uint32_t ssrc);

/* After a verified packet: adds the stream if it is new, and marks the index. Returns SRTP_OK or SRTP_TOO_MANY. */
enum srtp_result srtp_stream_accept(struct srtp_context *context, struct srtp_stream *stream, uint32_t ssrc,
				    enum srtp_kind kind, uint64_t index);

#endif
