/* SPDX-License-Identifier: Apache-2.0
 * The net as a whole: made, freed, and its doors by flow. */
#include "net/net.h"

#include <errno.h>
#include <unistd.h>

#include "net/private.h"

static const char *const close_reason_texts[] = {
	[NET_CLOSED_BY_PEER] = "closed by the peer", [NET_CLOSED_BY_US] = "closed by us",
	[NET_CLOSED_IDLE] = "idle too long",         [NET_CLOSED_HANDSHAKE] = "handshake failed",
	[NET_CLOSED_SLOW] = "peer too slow",         [NET_CLOSED_UNREACHABLE] = "unreachable",
	[NET_CLOSED_FULL] = "peer does not read",    [NET_CLOSED_CERTIFICATE] = "certificate refused",
	[NET_CLOSED_SILENT] = "no keep-alives",
};

const char *net_close_reason_text(enum net_close_reason reason)
{
	return (unsigned)reason <= NET_CLOSED_CERTIFICATE ? close_reason_texts[reason] : "unknown";
}

void net_soon(struct event *event)
{
	static const struct timeval now = {0, 0};

	/* A timer rather than event_active: that would run in this turn, before the sockets that wait. Never
	 * added twice: libevent would put it off each time, and busy sockets would keep it from ever running. */
	if (!evtimer_pending(event, NULL))
		evtimer_add(event, &now);
}

static void net_handshake_work(evutil_socket_t descriptor, short events, void *context)
{
	struct net *net = context;
	uint64_t until_us = clock_monotonic_us() + NET_HANDSHAKE_WORK_PER_TURN_US;

	(void)descriptor;
	(void)events;
	net_enter(net);
	do {
		struct net_connection *connection;

		if (list_is_empty(&net->handshakes))
			break;
		connection = list_object(net->handshakes.next, struct net_connection, work_link);
		list_remove(&connection->work_link);
		net_tls_handshake(connection);
	} while (!net->freed && clock_monotonic_us() < until_us);
	if (!net->freed && !list_is_empty(&net->handshakes))
		net_soon(&net->handshake_work);
	net_leave(net);
}

static void net_ending_work(evutil_socket_t descriptor, short events, void *context)
{
	struct net *net = context;
	/* No further than what is there now: a callee that dials again on each failure must not hold the loop. */
	struct list *last = net->ending.previous;
	bool more = !list_is_empty(&net->ending);

	(void)descriptor;
	(void)events;
	net_enter(net);
	list_each(link, &net->listeners_removed)
		net_listener_destroy(list_object(link, struct net_listener, link));
	while (more && !net->freed) {
		struct net_connection *connection = list_object(net->ending.next, struct net_connection, work_link);
		const struct net_callbacks *callbacks = &net->callbacks;

		more = &connection->work_link != last;
		list_remove(&connection->work_link);
		if (callbacks->closed)
			callbacks->closed(callbacks->context, &connection->flow, connection->reason);
		net_connection_destroy(connection);
	}
	net_leave(net);
}

static void net_resume_work(evutil_socket_t descriptor, short events, void *context)
{
	(void)descriptor;
	(void)events;
	net_listeners_resume(context);
}

static int net_events_assign(struct net *net)
{
	if (net_deadlines_init(net))
		return -EINVAL;
	evtimer_assign(&net->resume, net->loop, net_resume_work, net);
	evtimer_assign(&net->handshake_work, net->loop, net_handshake_work, net);
	evtimer_assign(&net->ending_work, net->loop, net_ending_work, net);
	return 0;
}

struct net *net_new(struct event_base *loop, const struct net_limits *limits, const struct net_callbacks *callbacks,
		    struct random_source random)
{
	struct net *net = memory_alloc(sizeof(*net));

	if (!net)
		return NULL;
	net->loop = loop;
	net->limits = *limits;
	net->callbacks = *callbacks;
	net->random = random;
	list_init(&net->listeners);
	list_init(&net->listeners_removed);
	list_init(&net->handshakes);
	list_init(&net->ending);
	net->connection_pool = pool_new(sizeof(struct net_connection), 0); /* connections_maximum is checked before */
	net->connections = table_new(net_connection_equal, random);
	net->dialled = table_new(net_dial_equal, random);
	net->sources = table_new(net_source_equal, random);
	net->read_buffer = memory_alloc(NET_READ_BUFFER_BYTES);
	/* Not from 1: a flow remembered from before a restart must not find somebody else's connection. */
	net->next_connection = (random_u64(random) >> 2) + 1;
	if (net_events_assign(net) || !net->connection_pool || !net->connections || !net->dialled || !net->sources ||
	    !net->read_buffer) {
		net_free(net);
		return NULL;
	}
	return net;
}

static void net_free_connection(void *context, struct table_link *link)
{
	(void)context;
	net_connection_destroy(table_object(link, struct net_connection, by_id));
}

static void net_stop_listeners(struct net *net)
{
	list_each(link, &net->listeners) {
		struct net_listener *listener = list_object(link, struct net_listener, link);

		listener->removed = true;
		event_del(&listener->event);
		close(listener->descriptor);
		list_remove(&listener->link);
		list_append(&net->listeners_removed, &listener->link);
	}
}

static void net_end_connection(void *context, struct table_link *link)
{
	(void)context;
	net_connection_end(table_object(link, struct net_connection, by_id), NET_CLOSED_BY_US);
}

static void net_destroy(struct net *net)
{
	if (net->connections)
		table_each(net->connections, net_free_connection, NULL);
	net_stop_listeners(net);
	list_each(link, &net->listeners_removed)
		net_listener_destroy(list_object(link, struct net_listener, link));
	event_del(&net->deadlines.timer);
	event_del(&net->resume);
	event_del(&net->handshake_work);
	event_del(&net->ending_work);
	for (size_t i = 0; i < sizeof(net->trusts) / sizeof(net->trusts[0]); i++)
		net_trust_free(net->trusts[i]);
	for (size_t i = 0; i < sizeof(net->origins) / sizeof(net->origins[0]); i++)
		net_origins_free(net->origins[i]);
	SSL_CTX_free(net->tls.server);
	SSL_CTX_free(net->tls.client);
	BIO_meth_free(net->tls.method);
	table_free(net->connections);
	table_free(net->dialled);
	table_free(net->sources);
	pool_free(net->connection_pool);
	memory_free(net->datagrams);
	memory_free_secret(net->read_buffer, NET_READ_BUFFER_BYTES);
	memory_free(net);
}

void net_free(struct net *net)
{
	if (!net)
		return;
	if (!net->depth) {
		net_destroy(net);
		return;
	}
	/* Called from one of our callbacks: what stands below on the stack sees everything ended and returns. */
	net->freed = true;
	table_each(net->connections, net_end_connection, NULL);
	net_stop_listeners(net);
}

void net_enter(struct net *net)
{
	net->depth++;
}

void net_leave(struct net *net)
{
	if (!--net->depth && net->freed)
		net_destroy(net);
}

int net_send(struct net *net, const struct flow *flow, struct span bytes)
{
	struct net_connection *connection;

	if (!transport_is_stream(flow->transport))
		return net_udp_send(net, flow, bytes);
	connection = net_connection_find(net, flow->connection);
	return connection ? net_stream_send(connection, bytes) : -ENOTCONN;
}

int net_flow_open(struct net *net, const struct net_peer *peer, uint8_t zone, uint8_t listener, struct flow *flow)
{
	if (peer->address.family == ADDRESS_NONE)
		return -EINVAL;
	return transport_is_stream(peer->transport) ? net_dial_open(net, peer, zone, listener, flow)
						    : net_udp_flow(net, peer, zone, listener, flow);
}

void net_flow_close(struct net *net, const struct flow *flow)
{
	struct net_connection *connection = net_connection_find(net, flow->connection);

	if (connection)
		net_stream_close(connection, NET_CLOSED_BY_US);
}

bool net_flow_is_open(const struct net *net, const struct flow *flow)
{
	struct net_connection *connection;

	if (!transport_is_stream(flow->transport))
		return net_listener_find(net, TRANSPORT_UDP, flow->zone, flow->listener, flow->remote.family);
	connection = net_connection_find(net, flow->connection);
	return connection && net_connection_is_open(connection);
}

void net_flow_prove(struct net *net, const struct flow *flow)
{
	struct net_connection *connection = net_connection_find(net, flow->connection);

	if (connection)
		connection->flow.proven = true;
}

void net_flow_keeps_alive(struct net *net, const struct flow *flow)
{
	struct net_connection *connection = net_connection_find(net, flow->connection);

	if (!connection || connection->state != NET_OPEN)
		return;
	connection->keeps_alive = true;
	if (connection->deadline == NET_DEADLINE_IDLE)
		net_deadline_set(connection, net_stream_quiet(connection));
}

void net_flow_deadline(struct net *net, const struct flow *flow, bool waiting)
{
	struct net_connection *connection = net_connection_find(net, flow->connection);

	if (!connection || connection->state != NET_OPEN)
		return;
	connection->callee_waits = waiting;
	/* In the stream callback the end of the delivery decides, when it is known what was consumed. */
	if (!connection->delivering && (waiting || connection->deadline != NET_DEADLINE_FIRST_BYTE))
		net_stream_waiting(connection, false);
}

void net_statistics_get(const struct net *net, struct net_statistics *out)
{
	*out = net->statistics;
}
