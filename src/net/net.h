/* SPDX-License-Identifier: Apache-2.0
 * Network level: sockets, TLS connections, WebSockets and flows. Knows nothing of SIP: it delivers datagrams,
 * stream bytes and messages with the flow they came on, and sends bytes on a flow. Single-threaded, on one
 * libevent loop; limits are enforced before anything is allocated. */
#ifndef RINGWALL_NET_NET_H
#define RINGWALL_NET_NET_H

#include "base/clock.h"
#include "base/flow.h"

struct event_base;
struct net;

enum net_close_reason {
	NET_CLOSED_BY_PEER,
	NET_CLOSED_BY_US,
	NET_CLOSED_IDLE,        /* no bytes for idle_timeout_ms */
	NET_CLOSED_HANDSHAKE,   /* of TLS or WebSocket: failed, or took longer than handshake_timeout_ms */
	NET_CLOSED_SLOW,        /* first byte or a whole message took too long */
	NET_CLOSED_UNREACHABLE, /* connect failed or timed out */
	NET_CLOSED_FULL,        /* the peer did not read: its outgoing queue is over the limit */
	NET_CLOSED_SILENT,      /* the peer, who was to send keep-alives, sent nothing for alive_timeout_ms */
	NET_CLOSED_CERTIFICATE, /* a dialled peer's certificate is not trusted, or does not hold its name (RFC 5922) */
};
const char *net_close_reason_text(enum net_close_reason reason);

/* 0 means none at all, never unlimited. */
struct net_limits {
	uint32_t connections_maximum;            /* all; more are refused with RST */
	uint32_t connections_per_source_maximum; /* accepted, by remote IPv4 address or IPv6 /64 */
	/* Accepted TLS and WebSocket handshakes under way at a time; more wait to be accepted. */
	uint32_t handshakes_maximum;
	uint32_t send_queue_maximum_bytes; /* of one connection */
	uint32_t message_maximum_bytes;    /* that comes by a WebSocket, fragments put together */
	uint32_t handshake_timeout_ms;
	uint32_t first_byte_timeout_ms; /* after connect or handshake */
	uint32_t idle_timeout_ms;
	uint32_t alive_timeout_ms; /* of connections that net_flow_keeps_alive was said of */
	uint32_t connect_timeout_ms;
};

/* Everything is called on the loop's thread. The bytes are the callee's only during the call. */
struct net_callbacks {
	/* One UDP datagram, 1 to 65,535 bytes. flow->proven is false. */
	void (*datagram)(void *context, const struct flow *flow, struct span bytes);

	/* All bytes of a stream that were not consumed yet, oldest first. Returns how many are consumed
	 * (0: wait for more), or a negative number to close the connection. Called again while bytes
	 * remain and the last call consumed some. The callee bounds what it waits for. */
	ptrdiff_t (*stream)(void *context, const struct flow *flow, struct span bytes);

	/* One whole message of a WebSocket, 0 bytes to message_maximum_bytes. Returns 0, or a negative number to close the
	 * connection. NULL where there are no WebSocket listeners. */
	int (*message)(void *context, const struct flow *flow, struct span bytes);

	/* A dialled connection is up, or an accepted one completed its handshake; flow->proven is true. May be NULL. */
	void (*opened)(void *context, const struct flow *flow);

	/* The connection is gone; nothing more is said about it. `flow` holds its last values. Comes for every
	 * connection that was accepted within the limits or dialled, also if it never was opened. May be NULL. */
	void (*closed)(void *context, const struct flow *flow, enum net_close_reason reason);

	void *context;
};

/* NULL when memory is short. The loop outlives the net. */
struct net *net_new(struct event_base *loop, const struct net_limits *limits, const struct net_callbacks *callbacks,
		    struct random_source random);

/* Closes every socket at once; no callbacks. NULL is allowed; so is a call from inside a callback, after
 * which the net must not be used any more. */
void net_free(struct net *net);

/* Takes over `descriptor` (a bound UDP socket, or a listening TCP socket; made non-blocking). A UDP socket
 * bound to [::] must be IPV6_V6ONLY. A TLS listener refuses all until net_tls_set gave it a certificate.
 * `zone` and `listener` are copied into its flows. Returns 0, or a negative error with the
 * descriptor closed. */
int net_listener_add(struct net *net, int descriptor, enum transport transport, uint8_t zone, uint8_t listener);

/* Stops listening; accepted connections live on. Returns 0 or -ENOENT. */
int net_listener_remove(struct net *net, uint8_t zone, uint8_t listener);

/* Opens and binds (and for streams listens on) a socket, for who has the privilege.
 * Returns the descriptor, or a negative errno. */
int net_socket_open(enum transport transport, const struct address *local);

/* The certificate (chain) and key that TLS listeners show, and the authorities that dialled peers
 * are verified by (PEM; authorities empty: the system's store). Connections that are up keep what they have.
 * Certificate and key both empty: none are shown, TLS is only dialled.
 * Returns 0, `error` then being empty or a warning (an expired certificate); or a negative error and the reason in
 * `error`, the old ones then staying in force. */
int net_tls_set(struct net *net, struct span certificate_pem, struct span key_pem, struct span authorities_pem,
		char *error, size_t error_capacity);

/* Certificates in one zone: its own authorities, and whether who connects must show who he is. Connections that are up keep
 * what they have. */
enum net_client_certificate {
	NET_CLIENT_CERTIFICATE_NONE,
	NET_CLIENT_CERTIFICATE_ASK,     /* who shows none is let in, but not known; a bad one is refused */
	NET_CLIENT_CERTIFICATE_REQUIRE, /* else the handshake fails */
};
#define NET_TRUST_NAMES_MAXIMUM 64
struct net_trust;
/* `authorities_pem` empty: those of net_tls_set. `names` are whom an accepted connection may be (RFC 5922 section 7.1): domain
 * names, or IP addresses as text. NULL with the reason in `error`. */
struct net_trust *net_trust_new(enum net_client_certificate wanted, struct span authorities_pem,
				const struct span *names, size_t name_count, char *error, size_t error_capacity);
void net_trust_free(struct net_trust *trust); /* NULL is allowed */
/* Takes `trust` over; NULL: none. After net_zones_map, for every zone anew. */
void net_trust_set(struct net *net, uint8_t zone, struct net_trust *trust);

/* The name by which the certificate of an accepted connection was verified; false: it was not. Valid while it is up. */
bool net_flow_identity(const struct net *net, const struct flow *flow, struct span *name);

/* An accepted connection may be used for requests to its peer at `port` of the same address (RFC 5923): net_flow_open then gives
 * it out for the very name it was verified by. No effect without such a name, or when there is a connection to that peer. */
void net_flow_alias(struct net *net, const struct flow *flow, uint16_t port);

/* Which pages may open WebSockets in one zone. `origins` are as browsers write them ("https://phone.example.org", RFC 6454);
 * `programs`: also who names none, which no browser does. NULL when memory is short or there are more than the maximum. */
#define NET_ORIGINS_MAXIMUM 32
struct net_origins;
struct net_origins *net_origins_new(const struct span *origins, size_t count, bool programs);
void net_origins_free(struct net_origins *origins); /* NULL is allowed */
/* Takes `origins` over; NULL: nobody may. After net_zones_map, for every zone anew. */
void net_origins_set(struct net *net, uint8_t zone, struct net_origins *origins);

/* Makes a self-signed certificate (EC P-256, ten years) for `names` (1 to 100 DNS names or IP addresses), as PEM;
 * 4 kB and 1 kB hold it for a dozen names. Returns 0, -EINVAL (a name), -ENOSPC or -ENOMEM.
 * The caller wipes the key. */
int net_certificate_make(const struct span *names, size_t name_count, struct buffer *certificate_pem,
			 struct buffer *key_pem);

/* The SHA-256 fingerprint (RFC 8122 section 5) of the first certificate in a PEM text. Returns 0 or -EINVAL. */
int net_certificate_fingerprint(struct span certificate_pem, uint8_t fingerprint[32]);

/* What would come of using a certificate (chain) and key, without using them. Returns as net_tls_set, with a warning or the reason in
 * `error`. When it returns 0, *names_held says how many of `names` (domain names, or IP addresses as text) it holds, as RFC 5922
 * section 7.2 reads it, and *for_servers and *for_clients whether it may be shown by who is called and by who calls (RFC 5280
 * section 4.2.1.12). */
struct net_certificate_facts {
	size_t names_held;
	bool for_servers, for_clients;
};
int net_certificate_check(struct span certificate_pem, struct span key_pem, const struct span *names, size_t name_count,
			  struct net_certificate_facts *facts, char *error, size_t error_capacity);
/* The same of authorities; they are warned of when every one of them has expired. */
int net_authorities_check(struct span authorities_pem, char *error, size_t error_capacity);

/* Sends. UDP: one datagram, dropped by the kernel's leave. Streams: queued in order. WebSockets: one message.
 * Returns 0; -ENOTCONN (connection or listener gone, no route), -EAGAIN (UDP socket full), -ENOBUFS (queue full or
 * no memory, the connection is then closed), -EMSGSIZE (longer than a datagram or the whole queue may be; nothing
 * is sent or closed). Never closes in the call itself: `closed` comes later. */
int net_send(struct net *net, const struct flow *flow, struct span bytes);

/* How to reach a peer that is dialled. */
struct net_peer {
	struct address address;
	enum transport transport;
	struct span name; /* for SNI and RFC 5922; empty: an IP address, checked as such */
	bool verify;      /* false only for peers inside the owner's network */
};

/* A flow to `peer` from zone and listener: UDP at once; a stream may be reused when one to the same
 * address, transport, name and verification from the same zone and listener is up or being opened, else it is
 * dialled (from the listener's own address if it has one) and bytes sent meanwhile wait. What fails later,
 * as a refused connection, is told by `closed`.
 * Returns 0 and sets *flow; or -ENFILE (limits), -ENOENT (no such UDP listener; TLS before net_tls_set), -ENOMEM,
 * -EINVAL (no address or port; a name over 253 bytes or with NUL; a WebSocket, which only clients open). */
int net_flow_open(struct net *net, const struct net_peer *peer, uint8_t zone, uint8_t listener, struct flow *flow);

/* Ends a stream after what is queued is sent. No effect when it is gone. */
void net_flow_close(struct net *net, const struct flow *flow);

/* Whether something sent now has a way: true for UDP while its listener is there. */
bool net_flow_is_open(const struct net *net, const struct flow *flow);

/* Marks a stream's remote address as proven, for the callbacks' flows from then on. Streams are so by themselves once
 * TCP is established; of UDP nothing is remembered here, that is the caller's to do (a returned nonce, say). */
void net_flow_prove(struct net *net, const struct flow *flow);

/* The stream's peer promised to send something, if only a keep-alive, ever so often (RFC 5626 section 4.4): when he is silent
 * for alive_timeout_ms the connection ends, whatever is sent to him. A WebSocket's is sent pings meanwhile, for a page can send
 * none and its browser answers them (RFC 7118 section 6). */
void net_flow_keeps_alive(struct net *net, const struct flow *flow);

/* The whole-message deadline (first_byte_timeout_ms): it runs by itself while bytes stand unconsumed, and starts anew
 * when some are consumed, so that trickling does not prolong it. A callee that waits for more with nothing
 * unconsumed (it consumed the head of a message) says so with `waiting` true, and false when it has none. */
void net_flow_deadline(struct net *net, const struct flow *flow, bool waiting);

/* After a reload: connections of zone i belong to zones[i] from now on; those of NET_ZONE_NONE are closed. */
#define NET_ZONE_NONE 255
void net_zones_map(struct net *net, uint8_t zones[256]);

/* ---- Finding servers (RFC 3263), with c-ares ---- */

#define NET_SERVERS_MAXIMUM 64 /* of one name; more are left out */
#define NET_TTL_LEAST_S 5
#define NET_TTL_LONGEST_S 86400

struct net_resolver;

/* One server of a name. Among those of the least priority one is chosen by weight (RFC 2782); the order of transports (NAPTR) is
 * part of the priority. */
struct net_server {
	struct address address;
	enum transport transport;
	uint32_t priority;
	uint16_t weight;
};

/* What a URI says of where to send to, and what can be reached. */
struct net_wanted {
	struct span host;         /* a name, not an address */
	uint16_t port;            /* 0: none was written, so SRV says */
	bool secure;              /* sips: TLS only */
	bool transport_written;   /* then no NAPTR is asked for */
	enum transport transport; /* the written one, or the one to fall back on */
	uint8_t reachable[2];     /* transports, bits by enum transport, to IPv4 and IPv6 addresses */
};

enum net_finding {
	NET_FOUND,
	NET_FOUND_NOTHING, /* the name servers say that there is nothing (that can be reached) */
	NET_FOUND_NOBODY,  /* no name server gave an answer that can be used: nothing is known */
};

/* Called once, from the loop. `servers` are the callee's during the call; ttl_s is how long they are good for, within the limits
 * above. */
typedef void net_servers_found(void *context, enum net_finding finding, const struct net_server *servers,
			       uint16_t count, uint32_t ttl_s);

/* Asks `servers` (NULL-terminated, "address" or "address:port"), or those of /etc/resolv.conf when it is NULL; /etc/hosts comes
 * first. Both files and /dev/urandom are read here or when a name is looked up. NULL when memory is short. The loop outlives it. */
struct net_resolver *net_resolver_new(struct event_base *loop, char *const *servers);
void net_resolver_free(struct net_resolver *resolver); /* lookups under way are cancelled; NULL is allowed */

/* NULL when memory is short or the name is too long. The texts are copied. */
struct net_lookup *net_lookup_start(struct net_resolver *resolver, const struct net_wanted *wanted,
				    net_servers_found *found, void *context);
/* `found` will not be called any more. NULL is allowed; not after it was called. */
void net_lookup_cancel(struct net_lookup *lookup);

struct net_statistics {
	uint64_t datagrams_in, datagrams_out, datagrams_dropped;
	uint64_t connections_accepted, connections_refused, handshakes_failed;
	uint32_t connections_open;
};
void net_statistics_get(const struct net *net, struct net_statistics *out);

#endif
