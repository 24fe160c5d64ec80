/* SPDX-License-Identifier: Apache-2.0
 * Sockets that wait for others: opened, watched, and connections accepted within the limits. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/private.h"

#define LISTENER_BACKLOG 1024
#define UDP_RECEIVE_BYTES (4 * 1024 * 1024) /* a second's burst of phones that come back */
/* Bytes that a peer does not acknowledge for so long mean that it is gone. */
#define STREAM_USER_TIMEOUT_MS 30000

static int socket_enable(int descriptor, int level, int option)
{
	int on = 1;

	return setsockopt(descriptor, level, option, &on, sizeof(on));
}

static void socket_receive_buffer(int descriptor)
{
	int bytes = UDP_RECEIVE_BYTES;

	/* Beyond net.core.rmem_max only with privilege; otherwise as far as it lets us. */
	if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

int net_socket_open(enum transport transport, const struct address *local)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = address_to_sockaddr(local, &sockaddr);
	bool stream = transport_is_stream(transport);
	int descriptor, error;

	if (local->family == ADDRESS_NONE)
		return -EAFNOSUPPORT;
	descriptor = socket(sockaddr.ss_family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return -errno;
	/* One socket a family: IPv4 on an IPv6 socket would need mapped addresses everywhere. */
	if (sockaddr.ss_family == AF_INET6 && socket_enable(descriptor, IPPROTO_IPV6, IPV6_V6ONLY))
		goto failed;
	/* For streams only: on UDP it would let another process take the port over. */
	if (stream && socket_enable(descriptor, SOL_SOCKET, SO_REUSEADDR))
		goto failed;
	if (!stream)
		socket_receive_buffer(descriptor);
	if (bind(descriptor, (struct sockaddr *)&sockaddr, length))
		goto failed;
	if (stream && listen(descriptor, LISTENER_BACKLOG))
		goto failed;
	return descriptor;

failed:
	error = -errno;
	close(descriptor);
	return error;
}

struct net_listener *net_listener_find(const struct net *net, enum transport transport, uint8_t zone, uint8_t listener,
				       uint8_t family)
{
	list_each(link, &net->listeners) {
		struct net_listener *candidate = list_object(link, struct net_listener, link);
		const struct flow *flow = &candidate->flow;

		if (flow->transport == transport && flow->zone == zone && flow->listener == listener &&
		    flow->local.family == family)
			return candidate;
	}
	return NULL;
}

static int listener_local(int descriptor, struct address *local)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof(sockaddr);

	if (getsockname(descriptor, (struct sockaddr *)&sockaddr, &length))
		return -errno;
	return address_from_sockaddr((struct sockaddr *)&sockaddr, local);
}

/* Accepted connections inherit these. */
static int stream_setup(const struct net_listener *listener)
{
	unsigned int timeout_ms = STREAM_USER_TIMEOUT_MS;

	if (socket_enable(listener->descriptor, IPPROTO_TCP, TCP_NODELAY) ||
	    setsockopt(listener->descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms)))
		return -errno;
	return 0;
}

/* Whether the descriptor is the kind of socket that `transport` needs. */
static bool listener_fits(int descriptor, enum transport transport)
{
	int type = 0, listening = 0;
	socklen_t length = sizeof(int);

	if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length))
		return false;
	if (transport == TRANSPORT_UDP)
		return type == SOCK_DGRAM;
	return type == SOCK_STREAM && !getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) &&
	       listening;
}

static int listener_start(struct net_listener *listener)
{
	bool stream = transport_is_stream(listener->flow.transport);
	int flags = fcntl(listener->descriptor, F_GETFL);
	int error;

	if (flags < 0 || fcntl(listener->descriptor, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	error = listener_local(listener->descriptor, &listener->flow.local);
	if (error)
		return error;
	listener->any = address_is_any(&listener->flow.local);
	error = stream ? stream_setup(listener) : net_udp_setup(listener);
	if (error)
		return error;
	event_assign(&listener->event, listener->net->loop, listener->descriptor, EV_READ | EV_PERSIST,
		     stream ? net_stream_listener_ready : net_udp_ready, listener);
	return event_add(&listener->event, NULL) ? -ENOMEM : 0;
}

int net_listener_add(struct net *net, int descriptor, enum transport transport, uint8_t zone, uint8_t index)
{
	bool fits =
		listener_fits(descriptor, transport) && (net->callbacks.message || !transport_is_websocket(transport));
	struct net_listener *listener = fits ? memory_alloc(sizeof(*listener)) : NULL;
	int error;

	if (!listener) {
		error = fits ? -ENOMEM : -EINVAL;
		close(descriptor);
		return error;
	}
	*listener = (struct net_listener){
		.net = net,
		.descriptor = descriptor,
		.flow = {.transport = (uint8_t)transport, .zone = zone, .listener = index},
	};
	error = listener_start(listener);
	if (error) {
		close(descriptor);
		memory_free(listener);
		return error;
	}
	list_append(&net->listeners, &listener->link);
	return 0;
}

void net_listener_destroy(struct net_listener *listener)
{
	list_remove(&listener->link);
	memory_free(listener);
}

int net_listener_remove(struct net *net, uint8_t zone, uint8_t index)
{
	bool found = false;

	list_each(link, &net->listeners) {
		struct net_listener *listener = list_object(link, struct net_listener, link);

		if (listener->flow.zone != zone || listener->flow.listener != index)
			continue;
		found = true;
		listener->removed = true;
		event_del(&listener->event);
		close(listener->descriptor);
		/* Its memory stays for a turn: its own callback may be what is running. */
		list_remove(&listener->link);
		list_append(&net->listeners_removed, &listener->link);
		net_soon(&net->ending_work);
	}
	return found ? 0 : -ENOENT;
}

/* Stops accepting for a moment: those who wait do so in the kernel's queue and cost nothing. */
static void listener_pause(struct net_listener *listener)
{
	struct net *net = listener->net;
	struct timeval wait = {0, NET_PAUSE_MS * 1000};

	event_del(&listener->event);
	listener->paused = true;
	net->listeners_paused = true;
	if (!evtimer_pending(&net->resume, NULL))
		evtimer_add(&net->resume, &wait);
}

void net_listeners_resume(struct net *net)
{
	net->listeners_paused = false;
	list_each(link, &net->listeners) {
		struct net_listener *listener = list_object(link, struct net_listener, link);

		if (listener->paused)
			event_add(&listener->event, NULL);
		listener->paused = false;
	}
}

/* Whether a TLS connection or WebSocket may be accepted now. When all handshakes are taken, one that takes suspiciously
 * long makes room: an honest one is done in a few round trips, a hundred stalled ones keep nobody out. */
static bool listener_has_room(struct net_listener *listener)
{
	struct net *net = listener->net;
	struct net_connection *oldest;
	uint64_t patience_us;

	if ((!transport_is_secure(listener->flow.transport) && !transport_is_websocket(listener->flow.transport)) ||
	    net->handshakes_under_way < net->limits.handshakes_maximum)
		return true;
	oldest = net_deadline_oldest(net, NET_DEADLINE_ACCEPT_HANDSHAKE);
	patience_us = (uint64_t)net->limits.handshake_timeout_ms * 1000 * 3 / 4;
	if (!oldest || oldest->due_us > clock_monotonic_us() + patience_us)
		return false;
	net_connection_end(oldest, NET_CLOSED_HANDSHAKE);
	return true;
}

/* Closes with RST: a refused connection leaves nothing in the kernel. */
static void connection_refuse(struct net *net, int descriptor)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(descriptor);
	net->statistics.connections_refused++;
}

static void listener_take(struct net_listener *listener, int descriptor, const struct sockaddr *remote)
{
	struct net *net = listener->net;
	struct flow flow = listener->flow;
	struct net_connection *connection;
	struct net_source *source;

	if (address_from_sockaddr(remote, &flow.remote) || (listener->any && listener_local(descriptor, &flow.local)) ||
	    net->statistics.connections_open >= net->limits.connections_maximum ||
	    (transport_is_secure(flow.transport) && !net->tls.server)) {
		connection_refuse(net, descriptor);
		return;
	}
	source = net_source_enter(net, &flow.remote, net->limits.connections_per_source_maximum);
	if (!source) {
		connection_refuse(net, descriptor);
		return;
	}
	connection = net_connection_new(net, descriptor, &flow);
	if (!connection) {
		net_source_leave(net, source);
		net->statistics.connections_refused++;
		return;
	}
	connection->source = source;
	net->statistics.connections_accepted++;
	net_connection_established(connection);
}

/* Whether the loop may go on after accept failed with `error`. */
static bool listener_survives(struct net_listener *listener, int error)
{
	switch (error) {
	case EAGAIN: return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		/* The connection stays in the queue and the socket readable: asking again would spin. */
		log_limited(&listener->net->log_accept, LOG_WARNING, "net", "cannot accept connections: error=%d",
			    error);
		listener_pause(listener);
		return false;
	default: return true; /* the peer's trouble (ECONNABORTED and the like), accept(2) */
	}
}

void net_stream_listener_ready(evutil_socket_t socket, short events, void *context)
{
	struct net_listener *listener = context;
	struct net *net = listener->net;

	(void)events;
	net_enter(net);
	for (int i = 0; i < NET_ACCEPTS_PER_TURN && !listener->removed; i++) {
		struct sockaddr_storage remote;
		socklen_t length = sizeof(remote);
		int descriptor;

		if (!listener_has_room(listener)) {
			listener_pause(listener);
			break;
		}
		descriptor = accept4(socket, (struct sockaddr *)&remote, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (descriptor >= 0)
			listener_take(listener, descriptor, (struct sockaddr *)&remote);
		else if (!listener_survives(listener, errno))
			break;
	}
	net_leave(net);
}
