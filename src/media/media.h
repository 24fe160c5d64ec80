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

/* The SRTCP index that each source's first packet is protected with, 0 unless told (RFC 3711 section 3.4 lets it start
 * anywhere below 2^31). Who may use a key again after a crash gives one that rises with time, so that no key stream is used
 * twice. Before the first packet. */
void srtcp_index_start(struct srtp_context *context, uint32_t index);

/* How far an SSRC has come: the index (roll-over counter and sequence number) of one of its packets; 0: an empty place.
 * Told by who uses keys to who keeps them, so that after a crash another can go on with them. */
struct srtp_roll_over {
	uint32_t ssrc;
	uint64_t index;
};
#define SRTP_ROLL_OVERS_MAXIMUM 4 /* the SSRCs that are kept of one direction: those heard of last */

/* Before the first packet: goes on where a context with the same keys, which is lost, had told of each SSRC. Its next packet
 * may be up to 48,000 later than that (RFC 3711 section 3.3.1 would have room for 32,768); on receiving, up to 65,536 more
 * are tried. Packets from before what was told are refused as replayed. Returns 0 or -ENOMEM. */
int srtp_roll_over_start(struct srtp_context *context, const struct srtp_roll_over *known, uint8_t count);

/* After a good RTP packet: whether its SSRC is new, or has come into another half of the sequence space since it was last
 * taken. take says how far it is. retell: all are to be told again, each with its next packet. */
bool srtp_roll_over_changed(const struct srtp_context *context);
struct srtp_roll_over srtp_roll_over_take(struct srtp_context *context);
void srtp_roll_over_retell(struct srtp_context *context);

/* Asks the processor for what the context points to, a while before a packet of it is worked on. The context itself should be
 * in the cache by then, or this waits for it. */
void srtp_context_prefetch(const struct srtp_context *context);

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

/* Takes the header extension of a packet that rtp_parse found good out, in place: none is ever agreed (a=extmap does not cross), and
 * nobody may need one (RFC 3550 section 5.3.1). Returns the new length. */
size_t rtp_extension_drop(uint8_t *packet, size_t length);

/* RFC 5761 section 4: whether a packet on a shared port is RTCP. */
bool rtcp_is(const uint8_t *packet, size_t length);

/* A compound RTCP packet: every part's version, length and count agree with its bytes, the first is SR or RR.
 * Returns 0 or -EINVAL. RFC 3550 section 6. */
int rtcp_check(const uint8_t *packet, size_t length);

/* ---- The relay --------------------------------------------------------------------------- */

enum media_kind { MEDIA_RTP, MEDIA_DATAGRAM }; /* DATAGRAM: T.38's UDPTL; relayed unlooked-at but for its size */

/* How the keys of a side are made by DTLS (RFC 5763, 5764), whose handshake runs on its RTP port. Until it is done nothing but DTLS
 * and STUN passes the side, in either direction; afterwards a later handshake with the same certificate makes new keys. Without rtcp_mux
 * its RTCP does not pass: that would need a handshake of its own. */
enum media_handshake {
	MEDIA_HANDSHAKE_NONE,  /* no DTLS: the keys are as given, or there are none */
	MEDIA_HANDSHAKE_AWAIT, /* the peer begins ("active") */
	MEDIA_HANDSHAKE_BEGIN, /* we do, as soon as the peer's address is known */
	MEDIA_HANDSHAKE_COUNT,
};
enum media_hash { MEDIA_SHA_256, MEDIA_SHA_384, MEDIA_SHA_512, MEDIA_HASH_COUNT };
#define MEDIA_FINGERPRINT_MAXIMUM 64
#define MEDIA_SUITES_MAXIMUM 4
struct media_dtls {
	uint8_t handshake; /* enum media_handshake */
	uint8_t hash;      /* enum media_hash */
	uint8_t fingerprint
		[MEDIA_FINGERPRINT_MAXIMUM]; /* of the certificate that the peer must show; zeros behind the hash's end */
	uint8_t suites
		[MEDIA_SUITES_MAXIMUM]; /* enum srtp_suite that has a DTLS profile, the most wanted first; then SRTP_NONE */
	uint32_t
		association; /* another number: what was agreed is over, and a handshake must come anew (RFC 8842 section 4) */
};

/* ICE (RFC 8445) as its lite agent: the peer checks, with our password, and nominates whence it sends. Empty: no ICE.
 * Other texts are a restart: the peer of before stays until another is nominated. */
#define MEDIA_ICE_UFRAG_BYTES 16    /* with the NUL */
#define MEDIA_ICE_PASSWORD_BYTES 32 /* with the NUL */
struct media_ice {
	char ufrag[MEDIA_ICE_UFRAG_BYTES], password[MEDIA_ICE_PASSWORD_BYTES]; /* ours */
};

/* One side of one stream, as the gateway wants it. */
struct media_side {
	struct address local;    /* RTP port, even; RTCP is the next one */
	struct address peer_rtp; /* as signalled; ADDRESS_NONE: not known or not believed; nothing is sent until
				  * learn_from has shown the peer, and without that nothing is accepted */
	struct address peer_rtcp;
	/* A phone behind NAT: a good packet from this IP address (any port), or from the signalled peer, locks the peer,
	 * once; until then we send to the signalled one. With SRTP only a packet whose tag verifies is good, be it from
	 * this address or another, and then a later one, newer than all before, may move the peer (THREATS M2: a valid
	 * tag); of other addresses one packet in 20 ms is looked at. ADDRESS_NONE: only as signalled, locked from the start. */
	struct address learn_from;
	/* Whom a relay that is gone had locked to (MEDIA_LOCKED): a new one begins
	 * locked to it. ADDRESS_NONE: nobody. Ignored by a relay that is locked already. */
	struct address locked;
	/* With ICE: the addresses above are not looked at, but for `locked`; the peer is whoever passed a check. */
	struct media_ice ice;
	bool rtcp_mux; /* RTCP comes and goes on the RTP port (RFC 5761); then peer_rtcp is not looked at */
	/* With DTLS the keys are those that a relay which is gone had told (MEDIA_KEYED), or the suites are SRTP_NONE; ignored
	 * by a relay that has the association. */
	struct media_dtls dtls;
	uint8_t suite_in, suite_out; /* enum srtp_suite */
	uint8_t key_in[SRTP_KEY_MAXIMUM], key_out[SRTP_KEY_MAXIMUM];
	/* How far the keys were used by a relay that is gone (MEDIA_ROLL_OVER). Ignored by a relay that has them already. */
	struct srtp_roll_over roll_overs_in[SRTP_ROLL_OVERS_MAXIMUM], roll_overs_out[SRTP_ROLL_OVERS_MAXIMUM];
	bool may_send; /* the peer may send to us now (direction); else its RTP is dropped and counted */
};

/* What the two sides of a stream have agreed, for both: zeros are no limit. Payload types: bit N % 8 of byte N / 8 is type N. */
struct media_budget {
	uint8_t payload_types[16];
	uint32_t packets_per_s,
		kbps; /* each direction's, half of it by packets and half by bytes; eight seconds' worth may come at once */
	uint32_t packet_bytes;
};

/* Units of RTP timestamps a second (RFC 3550 section 5.1), as one byte: 0 is 8,000, which is also assumed where nothing was told. */
#define MEDIA_CLOCK_UNKNOWN 1            /* a rate that is not in the table: nothing is measured by it */
uint8_t media_clock_code(uint32_t rate); /* MEDIA_CLOCK_UNKNOWN for 0 and for what is not in the table */
uint32_t media_clock_rate(uint8_t code); /* 0: unknown */
#define MEDIA_TYPES 128

/* A whole stream, declared; setting it again changes what differs and keeps the rest (sockets, roll-over counters,
 * a locked peer whose signalled address and learn_from did not change). */
struct media_stream {
	uint64_t session; /* the call's */
	uint8_t index;    /* of the m-line, below MEDIA_STREAMS_MAXIMUM */
	uint8_t kind;     /* enum media_kind */
	/* The keys are the peers' own (THREATS P1): their DTLS and SRTP pass as they are between the peers that are known on either
	 * side, and only what is in the clear is checked. Both sides have neither suites nor a handshake. */
	bool end_to_end;
	uint32_t silence_timeout_ms; /* 0: never; counted while any side may send */
	struct media_budget budget;
	uint8_t clocks[MEDIA_TYPES]; /* media_clock_code of each payload type */
	struct media_side sides[2];
};
#define MEDIA_STREAMS_MAXIMUM 16

enum media_event_kind {
	MEDIA_SILENCE,          /* no stream of the session had a good packet, RTP or RTCP, for silence_timeout_ms; told
	                         * again only after packets have come */
	MEDIA_PORT_UNAVAILABLE, /* somebody else has the port (stream and side say which; `peer` is the local address) */
	MEDIA_LOCKED,           /* the side's RTP peer, which was to be learned or has moved, is now `peer` */
	MEDIA_ROLL_OVER, /* the side's keys (`outward`: those toward its peer) have been used as far as `roll_over`; told
	                         * at an SSRC's first packet and at every half of its sequence numbers, at most five times a
	                         * second; again after media_stream_set. So is MEDIA_LOCKED. */
	MEDIA_KEYED,     /* a DTLS handshake of the side is done: `keys`, which the receiver wipes */
	MEDIA_UNKEYED, /* it came to nothing: `failure`; told once for an association, TIME as long as there are no keys. What plays goes on with the keys of before */
	MEDIA_FINDING, /* packets of the side were dropped: `finding`; five times a second at most. Session 0: of several */
	MEDIA_EVENT_COUNT,
};

/* Packets dropped for one reason (enum media_drop). `proven`: they were made with the peer's key. */
struct media_finding {
	uint8_t drop;
	bool proven;
	uint32_t count;
	struct address source, local; /* the first one's; ADDRESS_NONE: of several */
};

/* What DTLS made; of the side, as in struct media_side. */
struct media_keys {
	uint32_t association; /* of struct media_dtls */
	uint8_t suite;
	uint8_t key_in[SRTP_KEY_MAXIMUM], key_out[SRTP_KEY_MAXIMUM];
};

enum media_failure {
	MEDIA_FAILURE_CERTIFICATE, /* not the one whose fingerprint was signalled, shown by the peer itself: from the signalled address
				    * or one that passed a check of ICE. From elsewhere it is only dropped and counted */
	MEDIA_FAILURE_SUITE, /* no suite in common, or a peer that has no SRTP */
	MEDIA_FAILURE_TIME,  /* no handshake within 30 s; told again after each 30 s more */
	MEDIA_FAILURE_COUNT,
};
const char *media_failure_text(enum media_failure failure);

struct media_event {
	uint64_t session;
	uint8_t kind, stream, side;
	struct address peer;
	bool outward;
	struct srtp_roll_over roll_over;
	struct media_finding finding;
	struct media_keys keys;
	uint8_t failure; /* enum media_failure */
};

/* X(name): drop reasons, counted by the relay at the side that the packet came from. SOURCE does not count what the
 * kernel drops for a connected socket; PAYLOAD: a payload type that was not agreed; RATE: beyond the budget; CLEAR is RTCP without
 * protection on a side that has SRTP (RTP without it cannot be told from FORGED); KEY: no usable keys, or too many SSRCs; NO_PEER:
 * the other side has none yet. Three are left out of an RTCP compound, which goes on: REPORT (false, or about nothing that was
 * sent), BYE (unproven), PART (not let through). STUN: no check of ours, or a wrong password; DTLS: from whom none is expected, too many,
 * or a certificate that was not signalled. */
/* clang-format off */
#define MEDIA_DROPS(X) \
	X(SOURCE) X(MALFORMED) X(FORGED) X(REPLAYED) X(DIRECTION) X(NO_PEER) X(KEY) X(SIZE) X(SEND) X(CLEAR) \
	X(REPORT) X(BYE) X(PART) X(PAYLOAD) X(RATE) X(STUN) X(DTLS)
/* clang-format on */
enum media_drop {
#define X(name) MEDIA_DROP_##name,
	MEDIA_DROPS(X)
#undef X
		MEDIA_DROP_COUNT,
};
const char *media_drop_name(enum media_drop drop); /* lower case */

struct media_side_counters {
	uint64_t packets_in, bytes_in; /* good RTP or datagrams from the peer, on the wire's size */
	uint64_t packets_out;          /* RTP or datagrams sent to the peer */
	uint64_t rtcp_in;
	uint64_t lost;          /* by sequence numbers, of what the peer sends */
	uint32_t jitter_us;     /* RFC 3550 section 6.4.1, by the clock of the payload type; 0 when that is unknown */
	uint32_t round_trip_us; /* to the peer and back, by its last report on what it was sent; 0: not known */
	uint64_t drops[MEDIA_DROP_COUNT];
};

/* What is known of how a side's sound arrives. */
struct media_quality {
	const char *codec; /* "PCMA/8000", or the name alone */
	uint64_t received, lost;
	uint32_t jitter_us;
	uint32_t round_trip_us; /* of the whole way between speaker and listener; 0: not known, counts as none */
};
/* The E-model's transmission rating (ITU-T G.107), 0 to 93.2: below 50 nobody is content, above 80 most are. Codecs that the
 * model does not know count as plain speech. */
double media_quality_rating(const struct media_quality *quality);
/* The mean opinion score that belongs to a rating, 1 to 4.5 (G.107 annex B). */
double media_quality_opinion(double rating);

struct media_relay;
struct media_callbacks {
	/* Called on a worker's thread; rarely. */
	void (*event)(void *context, const struct media_event *event);
	void *context;
};

/* Starts `workers` threads (1 to 64; 0: one a core). NULL when that fails. */
struct media_relay *media_relay_new(uint32_t workers, uint32_t sessions_maximum,
				    const struct media_callbacks *callbacks);
void media_relay_free(struct media_relay *relay); /* joins the threads; NULL is allowed */

/* How many threads that is: 0 stands for one a core that this process may use. */
uint32_t media_worker_count(uint32_t wanted);

/* From now on the kernel relays the streams that are simple enough: plain RTP on both sides, by the same version of IP, at
 * addresses that the datapath serves (bpf/datapath.h has the two maps); and by AF_XDP `sockets`, opened for as many workers, if there
 * are any, the workers take SRTP past its network stack. All descriptors stay the caller's. Before the first stream.
 * Counters follow within a fifth of a second. Returns 0, -EBUSY or -ENOTSUP (not to be mapped, or of another layout). */
struct bpf_sockets;
int media_relay_offload(struct media_relay *relay, int flows, int sites, const struct bpf_sockets *sockets);

/* Our certificate and its key, PEM, for handshakes that begin from now on; without one, none do. Same thread as media_stream_set.
 * Returns 0, -EINVAL or -ENOMEM; then what was there before stays. */
int media_relay_identity(struct media_relay *relay, struct span certificate, struct span key);

/* Any one thread. Asynchronous: takes effect within a loop turn of the worker; bad ports come back as events. The caller wipes
 * its copy of the keys. A port that is in use is tried again for half a second: another session may just be leaving it.
 * Returns 0; -EINVAL (no local address, an odd RTP port, a peer of another family, without a port, or one of this
 * stream's own ports); or -ENOSPC (sessions_maximum, or memory). */
int media_stream_set(struct media_relay *relay, const struct media_stream *stream);
void media_stream_close(struct media_relay *relay, uint64_t session, uint8_t index);
void media_session_close(struct media_relay *relay, uint64_t session);
void media_sessions_clear(struct media_relay *relay);
/* Closes, at the sweep, all streams that were there at the mark and were not set since: for a new gate, which sets those that it
 * knows of. What was set again as it was plays on undisturbed. */
void media_sessions_mark(struct media_relay *relay);
void media_sessions_sweep(struct media_relay *relay);

/* A copy of the counters of a side, as they are now.
 * Returns 0 or -ENOENT. Same thread as media_stream_set. */
int media_counters(struct media_relay *relay, uint64_t session, uint8_t index, uint8_t side,
		   struct media_side_counters *out);
uint32_t media_sessions_alive(const struct media_relay *relay);

#endif
