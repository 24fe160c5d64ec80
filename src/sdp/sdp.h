/* SPDX-License-Identifier: Apache-2.0
 * Session descriptions (RFC 8866) and the offer/answer model (RFC 3264): parsed strictly into a model, rewritten
 * for the other zone from that model alone, so that nothing unknown crosses. No I/O, no clock. */
#ifndef RINGWALL_SDP_SDP_H
#define RINGWALL_SDP_SDP_H

#include "base/address.h"
#include "base/clock.h"
#include "base/memory.h"

#define SDP_STREAMS_MAXIMUM 16     /* m-lines */
#define SDP_FORMATS_MAXIMUM 64     /* payload types of one m-line */
#define SDP_ATTRIBUTES_MAXIMUM 256 /* a= lines of one m-line */
#define SDP_CRYPTOS_MAXIMUM 8      /* a=crypto lines of one m-line */
#define SDP_BYTES_MAXIMUM 32768

/* SDES suites (RFC 4568, 6188, 7714): X(enum, name, key bytes, salt bytes, tag bytes of SRTP). Strongest last is no rule:
 * preference is the configuration's. `media` has the same numbers. */
#define SDP_SUITES(X) \
	X(SDP_SUITE_NONE, "", 0, 0, 0) \
	X(SDP_AES_CM_128_HMAC_SHA1_80, "AES_CM_128_HMAC_SHA1_80", 16, 14, 10) \
	X(SDP_AES_CM_128_HMAC_SHA1_32, "AES_CM_128_HMAC_SHA1_32", 16, 14, 4) \
	X(SDP_AES_256_CM_HMAC_SHA1_80, "AES_256_CM_HMAC_SHA1_80", 32, 14, 10) \
	X(SDP_AES_256_CM_HMAC_SHA1_32, "AES_256_CM_HMAC_SHA1_32", 32, 14, 4) \
	X(SDP_AEAD_AES_128_GCM, "AEAD_AES_128_GCM", 16, 12, 16) \
	X(SDP_AEAD_AES_256_GCM, "AEAD_AES_256_GCM", 32, 12, 16)
enum sdp_suite {
#define X(name, text, key, salt, tag) name,
	SDP_SUITES(X)
#undef X
		SDP_SUITE_COUNT,
};
const char *sdp_suite_name(enum sdp_suite suite);
enum sdp_suite sdp_suite_parse(struct span name);  /* SDP_SUITE_NONE when unknown */
uint8_t sdp_suite_key_bytes(enum sdp_suite suite); /* master key and salt together */

#define SDP_KEY_MAXIMUM 46 /* 32 + 14 */
struct sdp_crypto {
	uint32_t tag;
	enum sdp_suite suite;
	uint8_t key[SDP_KEY_MAXIMUM]; /* master key, then salt; secret: wiped by who holds it */
	/* MKI and lifetime: a line with an MKI, with session parameters other than lifetime, or with several
	 * inline keys is skipped (not chosen), as RFC 4568 section 6.1 allows. */
};

enum sdp_media { SDP_AUDIO, SDP_VIDEO, SDP_IMAGE, SDP_APPLICATION, SDP_TEXT, SDP_MESSAGE, SDP_OTHER };
enum sdp_protocol {
	SDP_RTP_AVP,
	SDP_RTP_AVPF,
	SDP_RTP_SAVP,
	SDP_RTP_SAVPF,
	SDP_UDP_TLS_RTP_SAVP, /* DTLS-SRTP (RFC 5764); some phones offer it with a=crypto lines and take an answer with one */
	SDP_UDP_TLS_RTP_SAVPF,
	SDP_UDPTL,
	SDP_PROTOCOL_OTHER,
};
static inline bool sdp_protocol_is_rtp(enum sdp_protocol protocol)
{
	return protocol <= SDP_UDP_TLS_RTP_SAVPF;
}
static inline bool sdp_protocol_is_encrypted(enum sdp_protocol protocol)
{
	return protocol >= SDP_RTP_SAVP && protocol <= SDP_UDP_TLS_RTP_SAVPF;
}

static inline bool sdp_protocol_is_dtls(enum sdp_protocol protocol)
{
	return protocol == SDP_UDP_TLS_RTP_SAVP || protocol == SDP_UDP_TLS_RTP_SAVPF;
}

/* How the keys of a stream are agreed on: not at all, by a=crypto (RFC 4568), by DTLS (RFC 5763). */
enum sdp_keying { SDP_KEYING_NONE, SDP_KEYING_SDES, SDP_KEYING_DTLS };

/* The profile to offer on a leg with this keying for a stream that came as `protocol`: feedback (the F) is kept. What is not RTP
 * stays as it is. An answer takes the profile of its own offer instead. */
enum sdp_protocol sdp_protocol_offer(enum sdp_protocol protocol, enum sdp_keying keying);

/* Fingerprints of certificates (RFC 8122); weaker hashes count as absent. X(enum, name, bytes) */
#define SDP_HASHES(X) \
	X(SDP_HASH_NONE, "", 0) \
	X(SDP_SHA_256, "sha-256", 32) X(SDP_SHA_384, "sha-384", 48) X(SDP_SHA_512, "sha-512", 64)
enum sdp_hash {
#define X(name, text, bytes) name,
	SDP_HASHES(X)
#undef X
		SDP_HASH_COUNT,
};
#define SDP_FINGERPRINT_MAXIMUM 64
struct sdp_fingerprint {
	enum sdp_hash hash; /* SDP_HASH_NONE: there is none */
	uint8_t bytes[SDP_FINGERPRINT_MAXIMUM];
};
uint8_t sdp_hash_bytes(enum sdp_hash hash);
/* From "sha-256 AB:CD:…", letters in either case. Returns 0; -EINVAL when it is none; -ENOTSUP for another hash. */
int sdp_fingerprint_parse(struct span value, struct sdp_fingerprint *fingerprint);

/* Who begins the DTLS handshake (RFC 4145, RFC 8842). */
enum sdp_setup { SDP_SETUP_NONE, SDP_SETUP_ACTIVE, SDP_SETUP_PASSIVE, SDP_SETUP_ACTPASS, SDP_SETUP_HOLDCONN };

enum sdp_direction { SDP_SENDRECV, SDP_SENDONLY, SDP_RECVONLY, SDP_INACTIVE };
const char *sdp_direction_name(enum sdp_direction direction);

/* `value` is empty for a flag. `row` is private to the module: the line of its table (attributes.h). */
struct sdp_attribute {
	struct span name, value;
	uint8_t row;
};

struct sdp_stream {
	enum sdp_media media;
	struct span media_text;
	uint16_t port; /* 0: refused or disabled */
	enum sdp_protocol protocol;
	struct span protocol_text;
	struct span *formats;      /* in the arena, at least one; of RTP: numbers 0 to 127, none twice */
	uint8_t format_count;      /* at most SDP_FORMATS_MAXIMUM */
	struct address connection; /* address of RTP, port included; ADDRESS_NONE for a name */
	struct address rtcp;       /* a=rtcp or port + 1; ADDRESS_NONE as above, and when there is no such port */
	/* Of the line or the session. A stream on hold the old way counts as its sender means it: what would be
	 * sendrecv is SDP_SENDONLY, what would be recvonly is SDP_INACTIVE. */
	enum sdp_direction direction;
	uint32_t ptime_ms;           /* 0 when absent; a fraction is rounded up */
	uint32_t bandwidth_kbps;     /* b=AS; else b=TIAS rounded up; else of the session; 0 when absent */
	uint32_t bandwidth_tias_bps; /* b=TIAS of the line (RFC 3890); 0 when absent */
	bool rtcp_mux;
	struct sdp_fingerprint fingerprint;  /* the first usable one of the line, else of the session */
	enum sdp_setup setup;                /* of the line, else of the session */
	struct span tls_id;                  /* RFC 8842; empty when absent */
	struct span ice_ufrag, ice_password; /* of the line, else of the session (RFC 8839); both, or both empty */
	bool on_hold;               /* c=0.0.0.0 or ::, the old way (RFC 3264 section 8.4); nothing can be sent there */
	struct sdp_crypto *cryptos; /* in the arena: usable lines in the peer's order, no tag twice */
	uint8_t crypto_count;       /* at most SDP_CRYPTOS_MAXIMUM */
	struct sdp_attribute *attributes; /* in the arena, all of the m-line's, in order */
	uint16_t attribute_count;
};

struct sdp_session {
	struct span origin_user, session_id;
	uint64_t version;
	struct span name;
	struct sdp_stream *streams; /* in the arena */
	uint8_t stream_count;
	uint32_t bandwidth_kbps; /* b=AS before the first m-line; 0 when absent */
	bool ice_lite;
	struct sdp_attribute *attributes;
	uint16_t attribute_count;
};

enum sdp_reject {
	SDP_OK,
	SDP_REJECT_SYNTAX,   /* a line that is none */
	SDP_REJECT_ORDER,    /* v, o, s, t missing or out of order */
	SDP_REJECT_VALUE,    /* a number or address out of range */
	SDP_REJECT_TOO_MANY, /* over a limit above */
	SDP_REJECT_MEMORY,
	SDP_REJECT_COUNT,
};
const char *sdp_reject_text(enum sdp_reject reject);

/* Parses a whole body. Spans point into `text`; arrays into `arena`. LF alone ends a line too (RFC 8866 section 5).
 * What could be read in two ways is refused: a payload type or crypto tag twice, two c= lines, directions that disagree.
 * Wipe with sdp_session_wipe when done: it may hold keys (after a refusal there are none, and *session is empty).
 * `text` itself is the caller's to wipe. */
enum sdp_reject sdp_parse(struct span text, struct arena *arena, struct sdp_session *session);
void sdp_session_wipe(struct sdp_session *session);

/* "PCMA/8000" of a stream's format (rtpmap, or the static table of RFC 3551); empty when unknown. */
struct span sdp_format_codec(const struct sdp_stream *stream, struct span format);

/* What the gateway puts in place of a stream's own transport, for the zone the description goes to. */
struct sdp_local_stream {
	struct address rtp; /* of the gateway; RTCP is port + 1. Port 0: the stream is refused */
	enum sdp_protocol protocol;
	struct sdp_crypto cryptos[SDP_CRYPTOS_MAXIMUM]; /* lines to write; an answer has at most one */
	uint8_t crypto_count;
	struct sdp_fingerprint fingerprint; /* written with `setup`; SDP_HASH_NONE: no DTLS */
	enum sdp_setup setup;
	struct span tls_id; /* empty: none */
	struct span ice_ufrag,
		ice_password; /* empty: no ICE. With ICE, `rtp` (and the next port, without rtcp_mux) is the candidate */
	bool rtcp_mux;
};

/* Writes the description `session` anew for the other side: origin, name and addresses ours (`session_id`, `version`,
 * `address` for o= and c=), formats, rtpmap, fmtp, ptime, direction, bandwidth, T.38 and the other attributes of
 * the allow-list (a table in sdp/attributes.c) kept, everything else left out. locals[i] belongs to stream i.
 * Keys are written with base64 padding. */
void sdp_write(struct buffer *out, const struct sdp_session *session, const struct sdp_local_stream *locals,
	       uint64_t session_id, uint64_t version, const struct address *address);

#endif
