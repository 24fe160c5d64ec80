/* SPDX-License-Identifier: Apache-2.0
 * Content level: RTP and RTCP, SRTP (RFC 3711, 6188, 7714) and the relay that carries a call's packets from one
 * side to the other. Knows nothing of SIP: it is told ports, peers and keys, and keeps to them. */
#ifndef RINGWALL_MEDIA_MEDIA_H
#define RINGWALL_MEDIA_MEDIA_H

#include "base/address.h"
#include <stdbool.h>
#include <stddef.h>

/* ---- SRTP ------------------------------------------------------------------------------- */

/* The same numbers as enum sdp_suite (sdp/sdp.h); a test compares them. */
enum srtp_suite {
	SRTP_NONE,
	SRTP_AES_CM_128_HMAC_SHA1_80,
	SRTP_AES_CM_128_HMAC_SHA1_32,
	SRTP_AES_256_CM_HMAC_SHA1_80,
	SRTP_AES_256_CM_HMAC_SHA1_32,
	SRTP_AEAD_AES_128_GCM,
	SRTP_AEAD_AES_256_GCM,
	SRTP_SUITE_COUNT,
};
#define SRTP_KEY_MAXIMUM 46
#define SRTP_OVERHEAD_MAXIMUM 32 /* bytes that protecting adds at most: tag, and SRTCP's index */
#define SRTP_STREAMS_MAXIMUM 64  /* SSRCs of one direction while its keys last */

enum srtp_result {
	SRTP_OK,
	SRTP_MALFORMED, /* not RTP or RTCP, or too short */
	SRTP_FORGED,    /* the tag does not verify; nothing changed */
	SRTP_REPLAYED,  /* seen before, or older than the window; protecting: the sequence number was used already */
	SRTP_TOO_MANY,  /* more SSRCs than SRTP_STREAMS_MAXIMUM (or no memory for one more). None is forgotten while the
	                 * keys last: its packets could be replayed, or its key stream used twice */
	SRTP_KEY_WORN,  /* 2^48 packets or 2^31 RTCP packets: the key must not be used further. Also when OpenSSL has no
	                 * memory to protect a packet */
};
const char *srtp_result_text(enum srtp_result result);

/* One direction of one session: master key, and for every SSRC its roll-over counter, replay windows (of 128
 * packets, RTP and RTCP) and SRTCP index. Owned by one thread at a time. */
struct srtp_context;

/* `key` is master key and salt, srtp_key_bytes(suite) long. NULL when memory is short or the suite is none. */
struct srtp_context *srtp_context_new(enum srtp_suite suite, const uint8_t *key);
void srtp_context_free(struct srtp_context *context); /* wipes; NULL is allowed */
uint8_t srtp_key_bytes(enum srtp_suite suite);

/* New keys within the session (a re-INVITE with a new crypto line): roll-over counters start anew, as for a new context
 * (RFC 3711 section 3.3.1). The same suite and key again change nothing: the counters go on.
 * Returns 0 or -ENOMEM, the old keys then staying. */
int srtp_context_rekey(struct srtp_context *context, enum srtp_suite suite, const uint8_t *key);

/* Work in place. `packet` has room for *length + SRTP_OVERHEAD_MAXIMUM when protecting. On anything but SRTP_OK the packet
 * must not be used. unprotect verifies before it decrypts and before any state changes. */
enum srtp_result srtp_protect(struct srtp_context *context, uint8_t *packet, size_t *length);
enum srtp_result srtp_unprotect(struct srtp_context *context, uint8_t *packet, size_t *length);
enum srtp_result srtcp_protect(struct srtp_context *context, uint8_t *packet, size_t *length);
enum srtp_result srtcp_unprotect(struct srtp_context *context, uint8_t *packet, size_t *length);

/* ---- RTP (RFC 3550 section 5.1) ---------------------------------------------------------- */

struct rtp_header {
	uint8_t payload_type;
	bool marker;
	uint16_t sequence;
	uint32_t timestamp, ssrc;
	size_t payload_offset, payload_length; /* padding left out */
};

/* Checks version, lengths of CSRC list, extension and padding. Returns 0 or -EINVAL. */
int rtp_parse(const uint8_t *packet, size_t length, struct rtp_header *header);

/* RFC 5761 section 4: whether a packet on a shared port is RTCP. */
bool rtcp_is(const uint8_t *packet, size_t length);

/* A compound RTCP packet: every part's version, length and count agree with its bytes, the first is SR or RR.
 * Returns 0 or -EINVAL. RFC 3550 section 6. */
int rtcp_check(const uint8_t *packet, size_t length);

/* ---- The relay --------------------------------------------------------------------------- */

enum media_kind { MEDIA_RTP, MEDIA_DATAGRAM }; /* DATAGRAM: T.38's UDPTL; relayed unlooked-at but for its size */

/* One side of one stream, as the gateway wants it. */
struct media_side {
	struct address local;    /* RTP port, even; RTCP is the next one */
	struct address peer_rtp; /* as signalled; ADDRESS_NONE: nothing is accepted or sent yet */
	struct address peer_rtcp;
	struct address
		learn_from; /* a phone behind NAT: packets from this IP address (any port) may lock the peer, once;
	                                 * with SRTP only those whose tag verifies. ADDRESS_NONE: only as signalled (THREATS M2) */
	uint8_t suite_in, suite_out; /* enum srtp_suite */
	uint8_t key_in[SRTP_KEY_MAXIMUM], key_out[SRTP_KEY_MAXIMUM];
	bool may_send; /* the peer may send to us now (direction); else its RTP is dropped and counted */
};

/* A whole stream, declared; setting it again changes what differs and keeps the rest (sockets, roll-over counters,
 * a locked peer whose signalled address did not change). */
struct media_stream {
	uint64_t session;            /* the call's */
	uint8_t index;               /* of the m-line, below MEDIA_STREAMS_MAXIMUM */
	uint8_t kind;                /* enum media_kind */
	uint32_t silence_timeout_ms; /* 0: never; counted while any side may send */
	struct media_side sides[2];
};
#define MEDIA_STREAMS_MAXIMUM 16

enum media_event_kind {
	MEDIA_SILENCE,          /* no stream of the session had a packet for silence_timeout_ms */
	MEDIA_PORT_UNAVAILABLE, /* somebody else has the port (stream and side say which) */
	MEDIA_LOCKED,           /* the side's peer is now fixed to `peer` */
	MEDIA_EVENT_COUNT,
};
struct media_event {
	uint64_t session;
	uint8_t kind, stream, side;
	struct address peer;
};

/* X(name): drop reasons, counted by the relay. */
#define MEDIA_DROPS(X) \
	X(SOURCE) X(MALFORMED) X(FORGED) X(REPLAYED) X(DIRECTION) X(NO_PEER) X(KEY) X(SIZE) X(SEND) X(CLEAR)
enum media_drop {
#define X(name) MEDIA_DROP_##name,
	MEDIA_DROPS(X)
#undef X
		MEDIA_DROP_COUNT,
};
const char *media_drop_name(enum media_drop drop); /* lower case */

struct media_side_counters {
	uint64_t packets_in, bytes_in, packets_out, rtcp_in;
	uint64_t lost;      /* by sequence numbers, of what the peer sends */
	uint32_t jitter_us; /* RFC 3550 section 6.4.1, with the clock rate assumed 8,000 unless told */
	uint64_t drops[MEDIA_DROP_COUNT];
};

struct media_relay;
struct media_callbacks {
	/* Called on a worker's thread, at most a few times a session. */
	void (*event)(void *context, const struct media_event *event);
	void *context;
};

/* Starts `workers` threads (1 to 64; 0: one a core). NULL when that fails. */
struct media_relay *media_relay_new(uint32_t workers, uint32_t sessions_maximum,
				    const struct media_callbacks *callbacks);
void media_relay_free(struct media_relay *relay); /* joins the threads; NULL is allowed */

/* Any one thread. Asynchronous: takes effect within a loop turn of the worker; bad ports come back as events. The caller wipes
 * its copy of the keys. Returns 0, -EINVAL, or -ENOSPC (sessions_maximum). */
int media_stream_set(struct media_relay *relay, const struct media_stream *stream);
void media_stream_close(struct media_relay *relay, uint64_t session, uint8_t index);
void media_session_close(struct media_relay *relay, uint64_t session);
void media_sessions_clear(struct media_relay *relay);

/* A recent copy of the counters of a side (a worker refreshes it at least once a second).
 * Returns 0 or -ENOENT. Same thread as media_stream_set. */
int media_counters(struct media_relay *relay, uint64_t session, uint8_t index, uint8_t side,
		   struct media_side_counters *out);
uint32_t media_sessions_alive(const struct media_relay *relay);

#endif
