/* SPDX-License-Identifier: Apache-2.0
 * What the files of net share: the net itself, its listeners and its connections.
 *
 * Ownership: the net owns everything. A connection is freed in one place only, the `ending` event's
 * turn, so that whoever holds a pointer while a callback runs holds a live one. */
#ifndef RINGWALL_NET_PRIVATE_H
#define RINGWALL_NET_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>

#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/table.h"
#include "net/net.h"

/* Work of one loop turn: small enough that other events wait a millisecond or two at most. */
#define NET_DATAGRAMS_PER_TURN 32
#define NET_ACCEPTS_PER_TURN 16
#define NET_HANDSHAKE_WORK_PER_TURN_US 1000
#define NET_RECEIVES_PER_TURN 2 /* system calls of one connection */

#define NET_READ_BUFFER_BYTES 65536
/* The callee bounds what it waits for; this is for a callee that forgot. */
#define NET_WAITING_MAXIMUM_BYTES (1024 * 1024)
#define NET_LINGER_MS 3000 /* for a closed connection to take its last bytes */
#define NET_PING_MS 30000  /* of silence, after which a WebSocket is asked: less than proxies and NATs wait */
#define NET_PAUSE_MS 50    /* of a listener that cannot accept at the moment */

/* --- Bytes that wait, in either direction; no memory while there are none. queue.c --- */

struct net_queue {
	char *data;
	uint32_t start, length, capacity;
};

static inline struct span net_queue_span(const struct net_queue *queue)
{
	return (struct span){queue->data ? queue->data + queue->start : NULL, queue->length};
}
/* Returns 0; -ENOBUFS when more than `maximum` would wait; -ENOMEM. */
int net_queue_append(struct net_queue *queue, struct span bytes, size_t maximum);
void net_queue_drop(struct net_queue *queue, size_t length);
void net_queue_clear(struct net_queue *queue);

/* --- Deadlines: every kind has one duration, so each list is in order of time. deadline.c --- */

enum net_deadline {
	NET_DEADLINE_CONNECT,
	NET_DEADLINE_ACCEPT_HANDSHAKE,
	NET_DEADLINE_DIAL_HANDSHAKE,
	NET_DEADLINE_FIRST_BYTE,
	NET_DEADLINE_MESSAGE,
	NET_DEADLINE_IDLE,
	NET_DEADLINE_ALIVE, /* as idle, but only what the peer sends counts */
	NET_DEADLINE_PING,  /* the same of a WebSocket: it is not ended but asked, for a page cannot do so by itself */
	NET_DEADLINE_PONG,  /* and ended without an answer */
	NET_DEADLINE_LINGER,
	NET_DEADLINE_COUNT,
	NET_DEADLINE_NONE = NET_DEADLINE_COUNT,
};

struct net_deadlines {
	struct list lists[NET_DEADLINE_COUNT];
	uint64_t durations_us[NET_DEADLINE_COUNT];
	struct event timer;
	uint64_t armed_us; /* when the timer fires; 0: it does not run */
};

struct net_connection;

int net_deadlines_init(struct net *net);
void net_deadline_set(struct net_connection *connection, enum net_deadline kind);
void net_deadline_clear(struct net_connection *connection);
/* The oldest connection whose deadline is of this kind, or NULL. */
struct net_connection *net_deadline_oldest(struct net *net, enum net_deadline kind);

/* --- TLS. tls.c makes contexts, tls_stream.c runs connections, identity.c compares names --- */

struct net_tls {
	SSL_CTX *server, *client; /* NULL until net_tls_set */
	BIO_METHOD *method;       /* our socket, see tls_stream.c */
};

/* Adds all of a PEM to the store. Returns 0, or -EINVAL with the reason. */
int net_tls_authorities(X509_STORE *store, struct span pem, struct buffer *error);

/* What listeners show; sets *out only when it returns 0, `error` then holding a warning or nothing. */
int net_tls_server_new(struct span certificate_pem, struct span key_pem, struct buffer *error, SSL_CTX **out);

/* Of one zone. trust.c */
struct net_trust {
	enum net_client_certificate wanted;
	X509_STORE *authorities; /* NULL: those of everybody */
	char *names[NET_TRUST_NAMES_MAXIMUM];
	uint8_t name_count;
};
struct net_connection;
bool net_trust_attach(struct net_connection *connection);
bool net_trust_identify(struct net_connection *connection, X509 *certificate);

/* A BIO method over a connection's socket, or NULL. */
BIO_METHOD *net_tls_method_new(void);
/* The application's part of verifying a dialled peer; for SSL_CTX_set_cert_verify_callback. */
int net_tls_verify(X509_STORE_CTX *store, void *context);
/* Whether `certificate` is for `name`, or, that being empty, for the address. RFC 5922 section 7. */
bool net_identity_matches(X509 *certificate, const char *name, const struct address *address);

/* Gives the connection its SSL. Returns 0, -ENOENT without a context, or -ENOMEM. */
int net_tls_attach(struct net_connection *connection);
void net_tls_detach(struct net_connection *connection);
/* A step of the handshake; ends or opens the connection. */
void net_tls_handshake(struct net_connection *connection);
/* As recv and send: bytes moved, 0 at the end of the stream (receive), or a negative errno. */
ptrdiff_t net_tls_receive(struct net_connection *connection, char *out, size_t capacity);
ptrdiff_t net_tls_send(struct net_connection *connection, struct span bytes);
/* Says goodbye (close_notify), as far as the socket takes it. */
void net_tls_shutdown(struct net_connection *connection);

/* --- Connections. connection.c, stream.c --- */

enum net_state {
	NET_CONNECTING,
	NET_HANDSHAKING,
	NET_UPGRADING, /* of a WebSocket: the HTTP request is waited for */
	NET_OPEN,
	NET_DRAINING, /* closed by us: what is queued goes out, what comes in is thrown away */
	NET_ENDED,    /* waits for the `ending` turn */
};

struct net_source;
struct net_websocket;

/* What only a dialled connection needs; and an accepted one that may be used as if it were (RFC 5923). */
struct net_dial {
	struct net_connection *connection;
	struct table_link by_peer; /* linked while it may be reused */
	struct address address;    /* of the peer, as it is dialled */
	bool linked;
	bool verify;
	char name[]; /* lower case; empty: an address */
};

struct net_connection {
	struct net *net;
	struct table_link by_id;
	struct flow flow;
	int descriptor;
	uint8_t state;         /* enum net_state */
	uint8_t deadline;      /* enum net_deadline */
	uint8_t reason;        /* enum net_close_reason, once draining or ended */
	uint8_t receives_left; /* of this turn, for the BIO */
	short wanted;          /* EV_READ, EV_WRITE */
	bool callee_waits;     /* net_flow_deadline */
	bool keeps_alive;      /* net_flow_keeps_alive */
	bool delivering;       /* in the callee's stream callback */
	bool closing;          /* net_flow_close before it was open: ends when the queue is sent */
	bool handshake_counted;
	bool asks_certificate; /* an accepted one's peer is asked who he is */
	bool tls_wants_write;
	bool tls_failed; /* SSL_shutdown is forbidden then */
	struct list deadline_link;
	uint64_t due_us;
	struct list work_link; /* in net->handshakes or net->ending */
	struct event event;
	struct net_queue incoming, outgoing;
	SSL *ssl;
	struct net_websocket *websocket; /* once it is one; else NULL */
	struct net_source *source;       /* NULL for dialled ones */
	struct net_dial *dial;           /* NULL for accepted ones */
	struct net_dial *alias;          /* of an accepted one that may be reused; NULL */
	char *identity;                  /* what an accepted one's certificate was verified as; NULL */
};

/* A connection that is in the table and counted; its descriptor is its own from then on, also on failure.
 * Returns NULL with the descriptor closed when memory is short. */
struct net_connection *net_connection_new(struct net *net, int descriptor, const struct flow *flow);
table_equal net_connection_equal;
struct net_connection *net_connection_find(const struct net *net, uint64_t id);
bool net_connection_is_open(const struct net_connection *connection);
/* Events of the socket that are waited for. */
void net_connection_want(struct net_connection *connection, short events);
/* No more events; `closed` is called and memory freed in a later turn. */
void net_connection_end(struct net_connection *connection, enum net_close_reason reason);
/* At once and without a word; only net_free and the `ending` turn may. */
void net_connection_destroy(struct net_connection *connection);
/* recv within this turn's allowance. Returns as recv, but a negative errno. */
ptrdiff_t net_connection_receive(struct net_connection *connection, char *out, size_t capacity);
ptrdiff_t net_connection_transmit(struct net_connection *connection, struct span bytes);
/* There is handshake work for it: done when its turn comes, after what is established. */
void net_connection_handshake_soon(struct net_connection *connection);
/* It does not count among the handshakes under way any more: another may be accepted. */
void net_connection_handshake_done(struct net_connection *connection);
/* After TCP is up: starts TLS, or opens. */
void net_connection_established(struct net_connection *connection);

void net_stream_opened(struct net_connection *connection);
void net_stream_read(struct net_connection *connection);
void net_stream_flush(struct net_connection *connection);
int net_stream_send(struct net_connection *connection, struct span bytes);
/* The same of bytes as they go on the wire. */
int net_stream_put(struct net_connection *connection, struct span bytes);
void net_stream_close(struct net_connection *connection, enum net_close_reason reason);
/* What is queued goes out, then the connection ends. */
void net_stream_drain(struct net_connection *connection, enum net_close_reason reason);
void net_stream_waiting(struct net_connection *connection, bool progress);
/* The deadline while nothing is waited for. */
enum net_deadline net_stream_quiet(const struct net_connection *connection);

/* --- WebSockets. websocket.c; the request that opens one is in upgrade.c, what is sent through it in frames.c --- */

/* Waits for the request; what comes goes to net_upgrade_receive, until it is open and has a `websocket`. */
void net_upgrade_begin(struct net_connection *connection);
void net_upgrade_receive(struct net_connection *connection, struct span bytes);
/* Bytes of frames. */
void net_websocket_receive(struct net_connection *connection, struct span bytes);
/* One message. Returns as net_send. */
int net_websocket_send(struct net_connection *connection, struct span bytes);
/* Begins to close, if neither side has. */
void net_websocket_goodbye(struct net_connection *connection);
/* Whether the peer closes too, or is not listened to any more. */
bool net_websocket_is_over(const struct net_connection *connection);
/* Whether a message or frame is begun and not ended. */
bool net_websocket_midway(const struct net_connection *connection);
void net_websocket_ping(struct net_connection *connection);
void net_websocket_free(struct net_websocket *websocket); /* NULL is allowed */

/* --- Sources: how many connections each address has. source.c --- */

/* One more; NULL when `maximum` is reached or memory is short. */
struct net_source *net_source_enter(struct net *net, const struct address *address, uint32_t maximum);
void net_source_leave(struct net *net, struct net_source *source);
table_equal net_source_equal;

/* --- Dialling. dial.c --- */

table_equal net_dial_equal;
int net_dial_open(struct net *net, const struct net_peer *peer, uint8_t zone, uint8_t listener, struct flow *flow);
void net_dial_connected(struct net_connection *connection); /* the socket became writable */
void net_dial_forget(struct net_connection *connection);    /* not to be reused any more */

/* --- Listeners and UDP. listener.c, udp.c --- */

struct net_listener {
	struct net *net;
	struct list link; /* in net->listeners or net->listeners_removed */
	int descriptor;
	bool removed, paused;
	bool any; /* bound to an any-address */
	struct flow flow;
	struct event event;
	uint32_t overflowed; /* datagrams the kernel said it dropped */
	struct address route_remote, route_local;
	uint64_t route_until_us;
};

struct net_datagrams; /* where 32 of them are received */

struct net_listener *net_listener_find(const struct net *net, enum transport transport, uint8_t zone, uint8_t listener,
				       uint8_t family);
void net_listener_destroy(struct net_listener *listener);
void net_listeners_resume(struct net *net);

int net_udp_setup(struct net_listener *listener);
void net_udp_ready(evutil_socket_t descriptor, short events, void *context);
int net_udp_send(struct net *net, const struct flow *flow, struct span bytes);
int net_udp_flow(struct net *net, const struct net_peer *peer, uint8_t zone, uint8_t listener, struct flow *flow);
void net_stream_listener_ready(evutil_socket_t descriptor, short events, void *context);

/* --- The net. net.c --- */

struct net {
	struct event_base *loop;
	struct net_limits limits;
	struct net_callbacks callbacks;
	struct random_source random;
	struct net_statistics statistics;
	struct net_tls tls;
	struct net_trust *trusts[256];    /* by zone; NULL: none */
	struct net_origins *origins[256]; /* by zone; NULL: none may */
	struct net_deadlines deadlines;
	struct list listeners, listeners_removed;
	bool listeners_paused;
	struct event resume;
	struct pool *connection_pool;
	struct table *connections, *dialled, *sources;
	uint64_t next_connection;
	struct list handshakes; /* connections with handshake work to do */
	struct event handshake_work;
	uint32_t handshakes_under_way; /* accepted ones */
	struct list ending;
	struct event ending_work;
	struct net_datagrams *datagrams;
	char *read_buffer;
	struct log_limit log_handshake, log_certificate, log_accept;
	uint32_t depth; /* of event callbacks on the stack */
	bool freed;     /* net_free was called inside one */
};

/* Around every event callback: net_free in between is put off to the last leave. */
void net_enter(struct net *net);
void net_leave(struct net *net);

/* Runs `event` in the next loop turn, after the sockets that are ready then. */
void net_soon(struct event *event);

#endif
