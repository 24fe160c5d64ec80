/* SPDX-License-Identifier: Apache-2.0
 * Flows: where bytes came from and how an answer gets back. RFC 5626 section 2. */
#ifndef RINGWALL_BASE_FLOW_H
#define RINGWALL_BASE_FLOW_H

#include "base/address.h"

enum transport {
	TRANSPORT_UDP,
	TRANSPORT_TCP,
	TRANSPORT_TLS,
	TRANSPORT_WS,  /* WebSocket (RFC 7118) */
	TRANSPORT_WSS, /* over TLS */
	TRANSPORT_COUNT,
};

/* Lower case, as in the configuration: "udp", "tcp", "tls", "ws", "wss". */
const char *transport_name(enum transport transport);

/* As the `transport` parameter of a URI has it: a secure WebSocket is "ws" there (RFC 7118 section 5.2.2). In a sips URI TLS is
 * understood, and what is below it is named (RFC 3261 section 26.2.2). */
const char *transport_uri_name(enum transport transport, bool sips);

/* Letters in either case, as RFC 3261 section 7.3.1 has it. Returns 0 or -EINVAL. */
int transport_parse(struct span name, enum transport *transport);

static inline bool transport_is_stream(enum transport transport)
{
	return transport != TRANSPORT_UDP;
}
static inline bool transport_is_secure(enum transport transport)
{
	return transport == TRANSPORT_TLS || transport == TRANSPORT_WSS;
}
static inline bool transport_is_websocket(enum transport transport)
{
	return transport == TRANSPORT_WS || transport == TRANSPORT_WSS;
}

/* A value, copied freely. A stream flow whose connection is gone is simply no longer reachable:
 * `connection` is never used for another one. */
struct flow {
	uint8_t transport;    /* enum transport */
	uint8_t zone;         /* index in the configuration's zones */
	bool proven;          /* the remote address was shown not to be forged */
	uint8_t listener;     /* index of the listener within the zone */
	uint64_t connection;  /* of a stream; 0 for UDP */
	struct address local; /* of the socket; never an any-address where the kernel can tell */
	struct address remote;
};

/* Same way to the same peer: transport, zone, listener, addresses and connection. */
bool flow_equal(const struct flow *a, const struct flow *b);

#endif
