/* SPDX-License-Identifier: Apache-2.0
 * What flows through a connection: bytes in, handed to the callee until consumed; bytes out, queued
 * when the socket is full. */
#include <errno.h>
#include <sys/socket.h>

#include "net/private.h"

static ptrdiff_t stream_receive(struct net_connection *connection, char *out, size_t capacity)
{
	return connection->ssl ? net_tls_receive(connection, out, capacity)
			       : net_connection_receive(connection, out, capacity);
}

static ptrdiff_t stream_transmit(struct net_connection *connection, struct span bytes)
{
	return connection->ssl ? net_tls_send(connection, bytes) : net_connection_transmit(connection, bytes);
}

/* Restarts the idle deadline, if that is the one that runs. */
static void stream_touch(struct net_connection *connection)
{
	if (connection->deadline == NET_DEADLINE_IDLE)
		net_deadline_set(connection, NET_DEADLINE_IDLE);
}

void net_stream_opened(struct net_connection *connection)
{
	struct net *net = connection->net;

	connection->state = NET_OPEN;
	net_deadline_set(connection, connection->dial ? NET_DEADLINE_IDLE : NET_DEADLINE_FIRST_BYTE);
	net_connection_want(connection, EV_READ);
	if (connection->state == NET_OPEN && !connection->closing && net->callbacks.opened)
		net->callbacks.opened(net->callbacks.context, &connection->flow);
	if (connection->state == NET_OPEN && connection->closing) {
		connection->closing = false;
		net_stream_close(connection, NET_CLOSED_BY_US);
	} else if (connection->state == NET_OPEN && connection->outgoing.length) {
		net_stream_flush(connection);
	}
	/* What came with the end of the handshake is in OpenSSL's buffer: the socket will not tell. A WebSocket was just read from. */
	if (connection->state == NET_OPEN && connection->ssl && !connection->websocket)
		net_stream_read(connection);
}

enum net_deadline net_stream_quiet(const struct net_connection *connection)
{
	if (!connection->keeps_alive)
		return NET_DEADLINE_IDLE;
	return connection->websocket ? NET_DEADLINE_PING : NET_DEADLINE_ALIVE;
}

/* A message deadline runs on while bytes trickle, and starts anew when something was consumed:
 * a peer in the midst of its hundredth message is not slow. */
void net_stream_waiting(struct net_connection *connection, bool progress)
{
	bool midway = connection->websocket && net_websocket_midway(connection);

	if (!connection->callee_waits && !connection->incoming.length && !midway)
		net_deadline_set(connection, net_stream_quiet(connection));
	else if (progress || connection->deadline != NET_DEADLINE_MESSAGE)
		net_deadline_set(connection, NET_DEADLINE_MESSAGE);
}

/* Hands out bytes until the callee wants more, or no more. Returns how many it consumed. */
static size_t stream_consume(struct net_connection *connection, struct span bytes)
{
	const struct net_callbacks *callbacks = &connection->net->callbacks;
	size_t used = 0;

	connection->delivering = true;
	while (used < bytes.length && net_connection_is_open(connection)) {
		struct span rest = span_slice(bytes, used, bytes.length - used);
		ptrdiff_t consumed = callbacks->stream(callbacks->context, &connection->flow, rest);

		if (consumed < 0)
			net_stream_close(connection, NET_CLOSED_BY_US);
		if (consumed <= 0)
			break;
		used += (size_t)consumed < rest.length ? (size_t)consumed : rest.length;
	}
	connection->delivering = false;
	return used;
}

static void stream_deliver(struct net_connection *connection, struct span fresh)
{
	bool waited = connection->incoming.length > 0;
	struct span bytes = fresh;
	size_t used;
	int error = 0;

	if (waited) {
		if (net_queue_append(&connection->incoming, fresh, NET_WAITING_MAXIMUM_BYTES)) {
			net_connection_end(connection, NET_CLOSED_BY_US);
			return;
		}
		bytes = net_queue_span(&connection->incoming);
	}
	used = stream_consume(connection, bytes);
	if (connection->state != NET_OPEN)
		return;
	if (waited)
		net_queue_drop(&connection->incoming, used);
	else
		error = net_queue_append(&connection->incoming, span_slice(bytes, used, bytes.length - used),
					 NET_WAITING_MAXIMUM_BYTES);
	if (error)
		net_connection_end(connection, NET_CLOSED_BY_US);
	else
		net_stream_waiting(connection, used > 0);
}

/* Once we closed, a WebSocket's peer is listened to until it has closed too. */
static void stream_take(struct net_connection *connection, struct span bytes)
{
	bool reads = connection->state == NET_OPEN || connection->state == NET_DRAINING;

	if (connection->state == NET_UPGRADING)
		net_upgrade_receive(connection, bytes);
	else if (connection->websocket && reads)
		net_websocket_receive(connection, bytes);
	else if (connection->state == NET_OPEN)
		stream_deliver(connection, bytes);
}

void net_stream_read(struct net_connection *connection)
{
	char *buffer = connection->net->read_buffer;
	size_t used = 0;
	ptrdiff_t length;

	/* All that this turn allows is gathered first, so that a peer that sends byte by byte costs one call.
	 * It fits: two receives of at most a TLS record each, and one that the handshake left. */
	connection->receives_left = NET_RECEIVES_PER_TURN;
	do {
		length = stream_receive(connection, buffer + used, NET_READ_BUFFER_BYTES - used);
		if (length > 0)
			used += (size_t)length;
	} while (length > 0 && used < NET_READ_BUFFER_BYTES);

	if (used)
		stream_take(connection, (struct span){buffer, used});
	if (connection->ssl)
		memory_wipe(buffer, used); /* it was encrypted for a reason: SDES keys */
	if (length <= 0 && length != -EAGAIN)
		net_connection_end(connection, NET_CLOSED_BY_PEER);
	else if (connection->tls_wants_write)
		net_connection_want(connection, EV_READ | EV_WRITE);
}

/* All is sent: what the peer still sends is thrown away until it closes too. Closing with
 * unread bytes would make the kernel send RST, and the peer could lose our last words. */
static void stream_finish(struct net_connection *connection)
{
	if (connection->websocket && !net_websocket_is_over(connection)) {
		net_connection_want(connection, EV_READ); /* for its close (RFC 6455 section 7.1.1) */
		return;
	}
	if (connection->ssl)
		net_tls_shutdown(connection);
	shutdown(connection->descriptor, SHUT_WR);
	net_connection_want(connection, EV_READ);
}

void net_stream_flush(struct net_connection *connection)
{
	struct net_queue *queue = &connection->outgoing;

	while (queue->length) {
		ptrdiff_t length = stream_transmit(connection, net_queue_span(queue));

		if (length == -EAGAIN)
			break;
		if (length < 0) {
			net_connection_end(connection, NET_CLOSED_BY_PEER);
			return;
		}
		net_queue_drop(queue, (size_t)length);
		stream_touch(connection);
	}
	connection->tls_wants_write = false; /* the read that follows will say so again */
	if (connection->state == NET_DRAINING && !queue->length)
		stream_finish(connection);
	else
		net_connection_want(connection, queue->length ? EV_READ | EV_WRITE : EV_READ);
}

/* What the socket takes of `bytes` now; 0 if it must wait in the queue, or a negative error. */
static ptrdiff_t stream_send_now(struct net_connection *connection, struct span bytes)
{
	size_t sent = 0;

	if (connection->state != NET_OPEN || connection->outgoing.length)
		return 0;
	while (sent < bytes.length) {
		ptrdiff_t length = stream_transmit(connection, span_slice(bytes, sent, bytes.length - sent));

		if (length == -EAGAIN)
			break;
		if (length < 0)
			return length;
		sent += (size_t)length;
	}
	return (ptrdiff_t)sent;
}

int net_stream_send(struct net_connection *connection, struct span bytes)
{
	if (!net_connection_is_open(connection))
		return -ENOTCONN;
	return connection->websocket ? net_websocket_send(connection, bytes) : net_stream_put(connection, bytes);
}

int net_stream_put(struct net_connection *connection, struct span bytes)
{
	size_t maximum = connection->net->limits.send_queue_maximum_bytes;
	ptrdiff_t sent;

	if (!net_connection_is_open(connection))
		return -ENOTCONN;
	if (bytes.length > maximum)
		return -EMSGSIZE;
	sent = stream_send_now(connection, bytes);
	if (sent < 0) {
		net_connection_end(connection, NET_CLOSED_BY_PEER);
		return -ENOTCONN;
	}
	stream_touch(connection);
	if ((size_t)sent == bytes.length)
		return 0;
	if (net_queue_append(&connection->outgoing, span_slice(bytes, (size_t)sent, bytes.length - (size_t)sent),
			     maximum)) {
		net_connection_end(connection, NET_CLOSED_FULL);
		return -ENOBUFS;
	}
	if (connection->state == NET_OPEN)
		net_connection_want(connection, EV_READ | EV_WRITE);
	return 0;
}

void net_stream_close(struct net_connection *connection, enum net_close_reason reason)
{
	if (!net_connection_is_open(connection))
		return;
	net_dial_forget(connection);
	if (connection->state != NET_OPEN && connection->outgoing.length) {
		connection->closing = true;
		return;
	}
	if (connection->state != NET_OPEN) {
		net_connection_end(connection, reason);
		return;
	}
	if (connection->websocket)
		net_websocket_goodbye(connection);
	if (connection->state == NET_OPEN)
		net_stream_drain(connection, reason);
}

void net_stream_drain(struct net_connection *connection, enum net_close_reason reason)
{
	connection->state = NET_DRAINING;
	connection->reason = (uint8_t)reason;
	net_deadline_set(connection, NET_DEADLINE_LINGER);
	net_stream_flush(connection);
}
