/* SPDX-License-Identifier: Apache-2.0
 * The life of a connection: made, counted, waited for, ended. What flows through it is in stream.c. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/private.h"

ptrdiff_t net_connection_receive(struct net_connection *connection, char *out, size_t capacity)
{
	ssize_t length;

	if (!connection->receives_left)
		return -EAGAIN; /* the loop comes back: readiness is by level */
	do {
		length = recv(connection->descriptor, out, capacity, 0);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	/* A short read emptied the socket: asking again would only cost a system call. */
	connection->receives_left = (size_t)length < capacity ? 0 : connection->receives_left - 1;
	return length;
}

ptrdiff_t net_connection_transmit(struct net_connection *connection, struct span bytes)
{
	ssize_t length;

	do {
		length = send(connection->descriptor, bytes.data, bytes.length, MSG_NOSIGNAL);
	} while (length < 0 && errno == EINTR);
	return length < 0 ? -errno : length;
}

void net_connection_handshake_soon(struct net_connection *connection)
{
	struct net *net = connection->net;

	if (list_is_empty(&connection->work_link))
		list_append(&net->handshakes, &connection->work_link);
	net_soon(&net->handshake_work);
}

static void connection_ready(evutil_socket_t descriptor, short events, void *context)
{
	struct net_connection *connection = context;
	struct net *net = connection->net;

	(void)descriptor;
	net_enter(net);
	switch (connection->state) {
	case NET_CONNECTING: net_dial_connected(connection); break;
	case NET_HANDSHAKING: net_connection_handshake_soon(connection); break;
	default: {
		/* TLS may have stopped reading because it had something to write. */
		bool reads = events & EV_READ || connection->tls_wants_write;

		if (events & EV_WRITE)
			net_stream_flush(connection);
		if (reads && connection->state != NET_ENDED)
			net_stream_read(connection);
	}
	}
	net_leave(net);
}

void net_connection_want(struct net_connection *connection, short events)
{
	if (connection->state == NET_ENDED || connection->wanted == events)
		return;
	if (connection->wanted)
		event_del(&connection->event);
	connection->wanted = events;
	event_assign(&connection->event, connection->net->loop, connection->descriptor, (short)(events | EV_PERSIST),
		     connection_ready, connection);
	if (event_add(&connection->event, NULL))
		net_connection_end(connection, NET_CLOSED_BY_US);
}

bool net_connection_equal(const struct table_link *link, const void *key)
{
	return table_object(link, struct net_connection, by_id)->flow.connection == *(const uint64_t *)key;
}

struct net_connection *net_connection_find(const struct net *net, uint64_t id)
{
	struct table_link *link = table_find(net->connections, table_hash(net->connections, &id, sizeof(id)), &id);

	return link ? table_object(link, struct net_connection, by_id) : NULL;
}

bool net_connection_is_open(const struct net_connection *connection)
{
	return connection->state <= NET_OPEN && !connection->closing;
}

struct net_connection *net_connection_new(struct net *net, int descriptor, const struct flow *flow)
{
	struct net_connection *connection = pool_take(net->connection_pool);

	if (!connection) {
		close(descriptor);
		return NULL;
	}
	connection->net = net;
	connection->descriptor = descriptor;
	connection->flow = *flow;
	connection->flow.connection = net->next_connection++;
	connection->deadline = NET_DEADLINE_NONE;
	list_init(&connection->deadline_link);
	list_init(&connection->work_link);
	table_add(net->connections, &connection->by_id,
		  table_hash(net->connections, &connection->flow.connection, sizeof(uint64_t)));
	net->statistics.connections_open++;
	return connection;
}

void net_connection_handshake_done(struct net_connection *connection)
{
	struct net *net = connection->net;

	if (!connection->handshake_counted)
		return;
	connection->handshake_counted = false;
	net->handshakes_under_way--;
	if (net->listeners_paused)
		net_listeners_resume(net);
}

/* Gives back all that others might be waiting for. Done twice it does no harm. */
static void connection_release(struct net_connection *connection)
{
	struct net *net = connection->net;

	if (connection->wanted)
		event_del(&connection->event);
	connection->wanted = 0;
	net_deadline_clear(connection);
	list_remove(&connection->work_link);
	net_dial_forget(connection);
	net_connection_handshake_done(connection);
	if (connection->source)
		net_source_leave(net, connection->source);
	connection->source = NULL;
	if (connection->state != NET_ENDED)
		net->statistics.connections_open--;
	connection->state = NET_ENDED;
}

/* Bytes in `incoming` stay: the callee may just be reading them. */
void net_connection_end(struct net_connection *connection, enum net_close_reason reason)
{
	struct net *net = connection->net;

	if (connection->state == NET_ENDED)
		return;
	if (connection->state != NET_DRAINING)
		connection->reason = (uint8_t)reason;
	if (connection->state == NET_HANDSHAKING || connection->state == NET_UPGRADING)
		net->statistics.handshakes_failed++;
	connection_release(connection);
	list_append(&net->ending, &connection->work_link);
	net_soon(&net->ending_work);
}

void net_connection_destroy(struct net_connection *connection)
{
	struct net *net = connection->net;

	connection_release(connection);
	table_remove(net->connections, &connection->by_id);
	if (connection->ssl) {
		net_tls_shutdown(connection);
		net_tls_detach(connection);
	}
	close(connection->descriptor);
	net_queue_clear(&connection->incoming);
	net_queue_clear(&connection->outgoing);
	memory_free(connection->dial);
	memory_free(connection->alias);
	memory_free(connection->identity);
	net_websocket_free(connection->websocket);
	pool_give(net->connection_pool, connection);
}

void net_connection_established(struct net_connection *connection)
{
	struct net *net = connection->net;
	bool dialled = connection->dial, secure = transport_is_secure(connection->flow.transport);

	connection->flow.proven = true; /* the peer answered our SYN, or sent back our sequence number */
	if (!secure && !transport_is_websocket(connection->flow.transport)) {
		net_stream_opened(connection);
		return;
	}
	connection->state = NET_HANDSHAKING;
	if (secure && net_tls_attach(connection)) {
		net_connection_end(connection, NET_CLOSED_HANDSHAKE);
		return;
	}
	if (!dialled) {
		connection->handshake_counted = true;
		net->handshakes_under_way++;
	}
	net_deadline_set(connection, dialled ? NET_DEADLINE_DIAL_HANDSHAKE : NET_DEADLINE_ACCEPT_HANDSHAKE);
	if (!secure) {
		net_upgrade_begin(connection);
		return;
	}
	net_connection_want(connection, EV_READ);
	if (dialled && connection->state == NET_HANDSHAKING)
		net_connection_handshake_soon(connection); /* a client speaks first */
}
