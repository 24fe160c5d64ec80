/* SPDX-License-Identifier: Apache-2.0
 * The relay's insides. The control thread (relay.c) owns the table of sessions and allocates everything; a worker
 * thread (relay_worker.c) owns what its sessions hold, and learns of changes by commands alone. A session stays with
 * its worker, so no packet ever waits for a lock. */
#ifndef RINGWALL_MEDIA_RELAY_PRIVATE_H
#define RINGWALL_MEDIA_RELAY_PRIVATE_H

#include <netinet/in.h>
#include <pthread.h>

#include "base/list.h"
#include "base/table.h"
#include "bpf/abi.h"
#include "media/budget.h"
#include "media/media.h"
#include "media/rtcp_rebuild.h"

#define RELAY_PACKET_MAXIMUM 2048            /* bytes of a datagram; longer ones are dropped */
#define RELAY_PORTS 2                        /* RTP, RTCP */
#define RELAY_BATCH 32                       /* datagrams that take each step together */
#define RELAY_SUITE_AWAITED SRTP_SUITE_COUNT /* of a side whose DTLS handshake is not done: no suite has keys for it */
#define RELAY_KEYS_PATIENCE_US UINT64_C(30000000)
#define RELAY_OPEN_ATTEMPTS 3 /* a port just closed by another worker's session is tried again, each tick */

union relay_sockaddr {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

/* What a peer sends, by its sequence numbers and timestamps (RFC 3550 appendix A). */
struct relay_reception {
	bool started;
	uint8_t payload_type;   /* of the last packet */
	uint16_t highest;       /* sequence number */
	uint32_t clock_rate;    /* of that type; 0: unknown */
	uint32_t ssrc, transit; /* arrival less timestamp, in units of that clock */
	uint32_t jitter_16;     /* sixteen times the jitter, in the same unit */
	uint64_t expected, received;
	uint64_t lost_before; /* of earlier SSRCs */
};

/* The last sender reports that went to a peer, by which it says when it got them (RFC 3550 section 6.4.1). */
#define RELAY_REPORTS 2
struct relay_round_trip {
	uint32_t stamps[RELAY_REPORTS]; /* middle of the NTP timestamp; 0: none */
	uint64_t sent_us[RELAY_REPORTS];
	uint8_t next;
};

struct relay_side;

/* One socket. */
struct relay_port {
	struct relay_side *side;
	int descriptor;
	bool is_rtcp;
	bool secured;                         /* only SRTP comes in */
	bool is_checked;                      /* by ICE: its peers are */
	bool locked;                          /* `peer` is known to be right, and no other is taken */
	bool connected;                       /* the kernel drops what others send */
	bool draining;                        /* connected, but from before that foreign datagrams may be waiting */
	bool is_directed;                     /* the socket does as the addresses below say */
	uint8_t events;                       /* MEDIA_LOCKED sent */
	struct address signalled, learn_from; /* as in struct media_side */
	struct address known;                 /* `locked` in struct media_side */
	struct address peer;                  /* where we send to */
	union relay_sockaddr target;          /* the same for the kernel */
	socklen_t target_length;
};

struct relay_stream;

/* What every packet touches stands in front, up to the RTP port. */
struct relay_side {
	struct relay_stream *stream;
	struct srtp_context *in, *out;
	uint64_t last_packet_us; /* a good one */
	struct address local;
	bool may_send;
	bool is_muxed; /* RTCP on the RTP port: RFC 5761 */
	bool is_mixed; /* STUN, DTLS or what we have no keys for comes, too */
	uint8_t index, suite_in, suite_out;
	uint8_t open_attempts; /* left; 0: open, or given up */
	uint8_t last_drop;     /* enum media_drop */
	struct relay_reception reception;
	struct datapath_flow *flow; /* the kernel relays what comes; NULL: it does not */
	struct budget budget;       /* of RTP or datagrams */
	struct relay_port ports[RELAY_PORTS];
	struct ice *ice;         /* NULL: none */
	struct relay_dtls *dtls; /* NULL: none */
	uint64_t strange_us;     /* when a packet from elsewhere was last looked at */
	uint64_t told_us[2];     /* MEDIA_ROLL_OVER of keys in and out */
	struct relay_round_trip round_trip;
	struct budget rtcp_budget;
	struct rtcp_sources sources;         /* the SSRCs that come in */
	struct media_side_counters counters; /* written by the worker, read by control: relaxed atomics */
};
#define RELAY_SIDE_HOT_BYTES (offsetof(struct relay_side, ports) + sizeof(struct relay_port))
#define CACHE_LINE_BYTES 64

static inline void relay_prefetch(const void *memory, size_t length_bytes)
{
	/* Nothing of ours begins at a line's start. */
	const char *line = (const char *)((uintptr_t)memory & ~(uintptr_t)(CACHE_LINE_BYTES - 1));
	for (const char *end = (const char *)memory + length_bytes; line < end; line += CACHE_LINE_BYTES)
		__builtin_prefetch(line);
}

struct relay_session;

enum relay_command_kind { RELAY_STREAM_SET, RELAY_STREAM_CLOSE, RELAY_SESSION_CLOSE, RELAY_STOP };

/* Part of what it is about, so that closing needs no memory; but for STREAM_SET, which is a struct relay_set. */
struct relay_command {
	struct list link;
	enum relay_command_kind kind;
	struct relay_session *session;
	struct relay_stream *stream;
};

struct relay_set {
	struct relay_command command;
	struct media_stream wanted; /* holds keys: wiped */
};

struct relay_stream {
	struct relay_session *session;
	struct relay_stream *next; /* control's: the session's `streams` */
	struct relay_command close;
	struct list link; /* the session's `opened` */
	uint8_t index, kind;
	bool end_to_end;
	bool is_applied;
	uint32_t silence_timeout_ms;
	struct relay_side sides[2];
	uint8_t clocks[MEDIA_TYPES]; /* media_clock_code of each payload type */
};

struct relay_worker;

struct relay_session {
	/* control's */
	struct relay_command close;
	struct table_link table_link;
	uint64_t id;
	struct relay_worker *worker;
	struct relay_stream *streams; /* by `next`: a call has one or two */
	uint16_t set_since;           /* the last mark: bits by stream */
	/* the worker's */
	struct list link;                 /* the worker's `sessions` */
	struct list opened;               /* streams */
	uint8_t name_key[HASH_KEY_BYTES]; /* for canonical names */
	uint64_t expected_since_us;       /* silence counts from here, or from the last good packet */
	bool is_known, is_silent;
};

/* A datagram on its way through the relay. */
struct relay_passage {
	struct relay_port *from;
	struct relay_port *to; /* NULL: dropped */
	size_t length;
	bool is_rtcp;
	bool is_checked;     /* the kernel has compared its source */
	bool is_taken;       /* it was for the gateway itself */
	bool is_proven;      /* its tag was verified */
	uint8_t device;      /* relay_xdp.c: where it may leave, */
	uint32_t generation; /* if its flow is still this one */
	union relay_sockaddr source;
	uint8_t *packet; /* in `buffer`, or in the frame that it came in */
	uint8_t *frame;  /* relay_xdp.c; NULL: it came by a socket, or has left */
	uint8_t buffer[RELAY_PACKET_MAXIMUM + SRTP_OVERHEAD_MAXIMUM];
};

/* Drops that are alike, until they are told. */
#define RELAY_FINDINGS 64
struct relay_finding {
	struct media_event event;
	struct media_finding finding;
};

struct relay_worker {
	pthread_t thread;
	bool is_started;
	int epoll, wakeup;
	struct relay_command stop;
	struct media_callbacks callbacks;
	uint32_t number;                /* among the relay's */
	struct dtls_listener *listener; /* NULL before the first handshake */
	struct relay_offload *offload;  /* NULL: sockets alone; set before the first command, */
	struct relay_xdp_worker *xdp;   /* like this: its AF_XDP sockets */
	uint32_t session_count;         /* control's, for balance */
	/* the worker's */
	struct list sessions;
	uint64_t now_us, next_tick_us;
	uint64_t window_start_us;
	uint32_t window_packets;
	bool is_stopping, is_busy;
	bool waits_to_send; /* by AF_XDP */
	uint32_t passage_count;
	struct relay_passage passages[RELAY_BATCH];
	struct relay_finding findings[RELAY_FINDINGS];
	uint32_t findings_other[MEDIA_DROP_COUNT]; /* for which there was no place */
	/* shared */
	pthread_mutex_t lock;
	struct list commands;
	struct dtls_identity *identity; /* NULL: no DTLS */
};

/* One writer a counter, so no locked instruction is needed: only no torn reads. */
static inline void counter_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}
static inline void counter_add(uint64_t *counter, uint64_t value)
{
	counter_set(counter, *counter + value);
}
static inline void side_drop(struct relay_side *side, enum media_drop reason)
{
	counter_add(&side->counters.drops[reason], 1);
	side->last_drop = (uint8_t)reason;
}

/* relay_worker.c. start: 0 or a negative error. push takes the command. stop, also after a failed start, ends the
 * thread once all commands are done; its sessions must be closed by then. */
int relay_worker_start(struct relay_worker *worker, const struct media_callbacks *callbacks);
void relay_worker_push(struct relay_worker *worker, struct relay_command *command);
void relay_worker_stop(struct relay_worker *worker);
/* Shares the identity, which the caller frees; NULL: there is none. set takes it over. */
struct dtls_identity *relay_worker_identity(struct relay_worker *worker);
void relay_worker_identity_set(struct relay_worker *worker, struct dtls_identity *identity);
void relay_worker_event(const struct relay_worker *worker, enum media_event_kind kind, const struct relay_side *side,
			const struct address *peer);
void relay_worker_roll_over(const struct relay_worker *worker, struct relay_side *side, bool outward,
			    struct srtp_context *context);

/* relay_stream.c; on the worker's thread. */
void relay_stream_init(struct relay_stream *stream, struct relay_session *session, uint8_t index);
void relay_stream_apply(struct relay_worker *worker, struct relay_stream *stream, const struct media_stream *wanted);
void relay_stream_retry(struct relay_worker *worker, struct relay_stream *stream);
void relay_stream_free(struct relay_stream *stream);
/* Suites and keys of the side, with the roll-over counters that belong to them. */
void relay_keys_apply(struct relay_side *side, const struct media_side *wanted);

/* relay_dtls.c; on the worker's thread. take: a datagram of DTLS. tick: of a side that has none, too. */
void relay_dtls_apply(struct relay_worker *worker, struct relay_side *side, const struct media_side *wanted);
void relay_dtls_close(struct relay_side *side);
void relay_dtls_take(struct relay_worker *worker, struct relay_passage *passage);
void relay_dtls_tick(struct relay_worker *worker, struct relay_side *side);

/* relay_mixed.c. mixed: false for RTP or RTCP that goes the usual way; else the packet is forwarded, taken or dropped. */
bool relay_mixed(struct relay_worker *worker, struct relay_passage *passage);
void relay_ice_apply(struct relay_side *side, const struct media_ice *wanted);
void relay_ice_close(struct relay_side *side);

/* relay_rtcp.c: builds the compound anew, in its place. False: it must not pass. */
bool relay_rtcp_rebuild(struct relay_worker *worker, struct relay_passage *passage);

/* relay_round_trip.c; a compound that is good. from: what its sender says of what it got. to: it goes there. */
void relay_round_trip_from(struct relay_side *side, const uint8_t *packet, size_t length, uint64_t now_us);
void relay_round_trip_to(struct relay_side *side, const uint8_t *packet, size_t length, uint64_t now_us);

/* relay_port.c; on the worker's thread. open: 0 or a negative error. */
int relay_port_open(struct relay_worker *worker, struct relay_port *port, const struct address *local);
void relay_port_close(struct relay_port *port);

/* Whom to talk to; keeps a locked peer when nothing that concerns it changed, and begins locked to one that is `known`.
 * Remembered while the socket is closed. */
void relay_port_direct(struct relay_worker *worker, struct relay_port *port, const struct media_side *wanted,
		       const struct address *signalled);
/* Again, once the socket is open. */
void relay_port_redirect(struct relay_worker *worker, struct relay_port *port);

/* Something of our own, to whomever. */
void relay_port_send_to(const struct relay_port *port, const struct address *to, const uint8_t *datagram,
			size_t length);

/* Whether `source` may be listened to at all. */
bool relay_port_admits(const struct relay_port *port, const struct address *source);

/* Fixes the peer to `source`, from which a good packet came. */
void relay_port_lock(struct relay_worker *worker, struct relay_port *port, const struct address *source);

/* relay_packet.c. receive: takes one datagram, or a few where the socket was just connected, into the batch, which is
 * relayed when it is full. relay: what is in the batch; afterwards it is empty. */
void relay_batch_receive(struct relay_worker *worker, struct relay_port *port);
void relay_batch_relay(struct relay_worker *worker);

/* Whence it came. admits: whether that may be listened to. settle: the packet is good, its source may become the peer (`is_newest`:
 * nothing newer came before it); false: it is too old for that. forward: protects it for the other side, and says where to send. */
void relay_source(const struct relay_passage *passage, struct address *source);
bool relay_admits(const struct relay_passage *passage);
bool relay_settle(struct relay_worker *worker, struct relay_passage *passage, bool is_newest);
void relay_forward(const struct relay_worker *worker, struct relay_passage *passage);

/* relay_finding.c. add: the passage was dropped, for its side's last_drop. tell: all since it was last called, as events. */
void relay_finding_add(struct relay_worker *worker, const struct relay_passage *passage);
void relay_findings_tell(struct relay_worker *worker);

/* relay_reception.c; `clocks` as in struct media_stream. */
void relay_reception_count(struct relay_reception *reception, const struct rtp_header *header, const uint8_t *clocks,
			   uint64_t now_us, struct media_side_counters *counters);

/* The counters that follow from it. */
void relay_reception_tell(const struct relay_reception *reception, struct media_side_counters *counters);

/* Whether the packet is newer than all others of its source. */
bool relay_reception_is_newest(const struct relay_reception *reception, const struct rtp_header *header);

#endif
