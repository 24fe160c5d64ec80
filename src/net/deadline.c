/* SPDX-License-Identifier: Apache-2.0
 * Deadlines of connections. One duration a kind means that whoever starts later is due later: a list a
 * kind is a queue in order of time, and one timer serves the nearest head. */
#include "net/private.h"

/* What a connection dies of when its deadline passes. */
static const enum net_close_reason deadline_reasons[NET_DEADLINE_COUNT] = {
	[NET_DEADLINE_CONNECT] = NET_CLOSED_UNREACHABLE,
	[NET_DEADLINE_ACCEPT_HANDSHAKE] = NET_CLOSED_HANDSHAKE,
	[NET_DEADLINE_DIAL_HANDSHAKE] = NET_CLOSED_HANDSHAKE,
	[NET_DEADLINE_FIRST_BYTE] = NET_CLOSED_SLOW,
	[NET_DEADLINE_MESSAGE] = NET_CLOSED_SLOW,
	[NET_DEADLINE_IDLE] = NET_CLOSED_IDLE,
	[NET_DEADLINE_ALIVE] = NET_CLOSED_SILENT,
	[NET_DEADLINE_PONG] = NET_CLOSED_SILENT,
	[NET_DEADLINE_LINGER] = NET_CLOSED_BY_US,
};

static void deadlines_arm(struct net_deadlines *deadlines, uint64_t due_us, uint64_t now_us)
{
	/* A tick late rather than early, else the timer would fire twice. */
	uint64_t wait_us = due_us > now_us ? due_us - now_us + 1000 : 0;
	struct timeval wait = {(time_t)(wait_us / 1000000), (suseconds_t)(wait_us % 1000000)};

	deadlines->armed_us = due_us;
	event_add(&deadlines->timer, &wait);
}

struct net_connection *net_deadline_oldest(struct net *net, enum net_deadline kind)
{
	struct list *list = &net->deadlines.lists[kind];

	return list_is_empty(list) ? NULL : list_object(list->next, struct net_connection, deadline_link);
}

static void deadlines_expire(struct net *net, enum net_deadline kind, uint64_t now_us)
{
	struct net_connection *connection;

	/* Ending takes the connection out of the list, and so does asking. */
	while ((connection = net_deadline_oldest(net, kind)) && connection->due_us <= now_us) {
		if (kind == NET_DEADLINE_PING)
			net_websocket_ping(connection);
		else
			net_connection_end(connection, deadline_reasons[kind]);
	}
}

static void deadlines_timer(evutil_socket_t descriptor, short events, void *context)
{
	struct net *net = context;
	uint64_t now_us = clock_monotonic_us(), next_us = UINT64_MAX;

	(void)descriptor;
	(void)events;
	net_enter(net);
	net->deadlines.armed_us = 0;
	for (int kind = 0; kind < NET_DEADLINE_COUNT; kind++) {
		struct net_connection *oldest;

		deadlines_expire(net, kind, now_us);
		oldest = net_deadline_oldest(net, kind);
		if (oldest && oldest->due_us < next_us)
			next_us = oldest->due_us;
	}
	if (next_us != UINT64_MAX)
		deadlines_arm(&net->deadlines, next_us, now_us);
	net_leave(net);
}

void net_deadline_clear(struct net_connection *connection)
{
	list_remove(&connection->deadline_link);
	connection->deadline = NET_DEADLINE_NONE;
}

void net_deadline_set(struct net_connection *connection, enum net_deadline kind)
{
	struct net_deadlines *deadlines = &connection->net->deadlines;
	uint64_t now_us = clock_monotonic_us();

	list_remove(&connection->deadline_link);
	connection->deadline = (uint8_t)kind;
	connection->due_us = now_us + deadlines->durations_us[kind];
	list_append(&deadlines->lists[kind], &connection->deadline_link);
	/* A timer that fires too early finds nothing due and is set anew: cheaper than moving it each time. */
	if (!deadlines->armed_us || connection->due_us < deadlines->armed_us)
		deadlines_arm(deadlines, connection->due_us, now_us);
}

int net_deadlines_init(struct net *net)
{
	struct net_deadlines *deadlines = &net->deadlines;
	const struct net_limits *limits = &net->limits;
	uint32_t ping_ms = limits->alive_timeout_ms / 2 < NET_PING_MS ? limits->alive_timeout_ms / 2 : NET_PING_MS;
	const uint32_t durations_ms[NET_DEADLINE_COUNT] = {
		[NET_DEADLINE_CONNECT] = limits->connect_timeout_ms,
		[NET_DEADLINE_ACCEPT_HANDSHAKE] = limits->handshake_timeout_ms,
		[NET_DEADLINE_DIAL_HANDSHAKE] = limits->handshake_timeout_ms,
		[NET_DEADLINE_FIRST_BYTE] = limits->first_byte_timeout_ms,
		[NET_DEADLINE_MESSAGE] = limits->first_byte_timeout_ms,
		[NET_DEADLINE_IDLE] = limits->idle_timeout_ms,
		[NET_DEADLINE_ALIVE] = limits->alive_timeout_ms,
		[NET_DEADLINE_PING] = ping_ms,
		[NET_DEADLINE_PONG] = limits->alive_timeout_ms - ping_ms,
		[NET_DEADLINE_LINGER] = NET_LINGER_MS,
	};

	for (int kind = 0; kind < NET_DEADLINE_COUNT; kind++) {
		list_init(&deadlines->lists[kind]);
		deadlines->durations_us[kind] = (uint64_t)durations_ms[kind] * 1000;
	}
	return evtimer_assign(&deadlines->timer, net->loop, deadlines_timer, net);
}
