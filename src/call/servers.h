/* SPDX-License-Identifier: Apache-2.0
 * Private: the servers that the peers of core and trunk zones stand for (RFC 3263), which of them are there, and the next one when one
 * is not. */
#ifndef RINGWALL_CALL_SERVERS_H
#define RINGWALL_CALL_SERVERS_H

#include "call/calls.h"
#include "call/peers.h"

#define SERVERS_MAXIMUM 128 /* of one peer, those that DNS no longer names included; more are left out */

enum server_state { SERVER_UNKNOWN, SERVER_UP, SERVER_DOWN };

struct server {
	struct list in_peer;
	struct peer_servers *peer;
	uint32_t id; /* never 0, never used again */
	struct address address;
	enum transport transport;
	uint32_t priority; /* the least first */
	uint16_t weight;
	uint64_t gone_us; /* since when no longer named: admitted for a while, sent to no more. 0: it is named */
	enum server_state state;
	const char *reason; /* of the state, in plain words */
	uint64_t since_us, busy_until_us;
	uint32_t round_trip_us; /* 0: not measured */
	uint8_t missed;         /* answers in a row */
	uint8_t backoff;
	struct timer watch; /* the next OPTIONS; while one is under way, its answer is late */
	struct own_request *request;
	uint64_t asked_us;
	struct flow flow; /* the OPTIONS went on */
	uint32_t record;  /* slot of its checkpoint; 0: none */
};

/* One entry of `peers`. */
struct peer_servers {
	struct list in_gateway;
	struct gateway *gateway;
	uint8_t zone, index;
	char *text; /* as configured: what is the same after a reload goes on */
	struct list servers;
	uint32_t count;
	bool is_name;
	bool resolved; /* the last lookup brought something */
	struct net_lookup *lookup;
	struct timer next; /* lookup */
};

/* A server that DNS named, or the one of an address: known from now on. NULL: too many, or no memory. */
struct server *server_take(struct peer_servers *peer, const struct net_server *found);

/* servers_record.c: what DNS said outlives the process. */
void server_record_save(struct server *server);

#endif
