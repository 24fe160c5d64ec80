/* SPDX-License-Identifier: Apache-2.0
 * The relay's sockets, and whom each of them listens to (THREATS M2).
 *
 * A side with ICE listens to whoever passed a check, and is never connected: the next check may come from anywhere.
 *
 * A side with learn_from and SRTP is never connected: its peer may move, within the learned IP address, by a packet
 * whose tag verifies and that is newer than all before, and a connected socket would hide that packet. Its sources are
 * compared here. Every other side is connected once its peer is known: the kernel then drops foreign packets itself and
 * caches the route. It answers them with ICMP port unreachable, as it does for a port that is closed: who wants
 * silence there drops outgoing port-unreachable messages in the packet filter. */
#include "media/relay_private.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "media/ice.h"
#include "media/relay_offload.h"

#define DSCP_EXPEDITED_FORWARDING 0xb8 /* RFC 3246, as a TOS byte */
#define LOCK_EVENTS_MAXIMUM 16         /* a peer that moves without end is not worth more messages */

static void mark_expedited(int descriptor, const struct address *local)
{
	/* Best effort: a packet without the mark is still a packet. */
	int tos = DSCP_EXPEDITED_FORWARDING;
	if (local->family == ADDRESS_IPV6)
		setsockopt(descriptor, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	else
		setsockopt(descriptor, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
}

int relay_port_open(struct relay_worker *worker, struct relay_port *port, const struct address *local)
{
	struct sockaddr_storage storage;
	socklen_t length = address_to_sockaddr(local, &storage);
	int descriptor = socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return -errno;

	struct epoll_event event = {.events = EPOLLIN, .data.ptr = port};
	int only = 1;
	if (local->family == ADDRESS_IPV6)
		setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (!port->is_rtcp)
		mark_expedited(descriptor, local);
	if (bind(descriptor, (struct sockaddr *)&storage, length) != 0 ||
	    epoll_ctl(worker->epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) {
		int error = errno;
		close(descriptor);
		return -error;
	}
	port->descriptor = descriptor;
	return 0;
}

void relay_port_close(struct relay_port *port)
{
	if (port->descriptor >= 0)
		close(port->descriptor);
	port->descriptor = -1;
	port->peer = (struct address){0};
	port->locked = port->connected = port->draining = port->is_directed = false;
}

static void target_set(struct relay_port *port, const struct address *peer)
{
	struct sockaddr_storage storage;
	port->peer = *peer;
	port->target_length = 0;
	if (peer->family == ADDRESS_NONE)
		return;
	port->target_length = address_to_sockaddr(peer, &storage);
	memcpy(&port->target, &storage, port->target_length);
}

static void disconnect(struct relay_port *port)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	if (port->connected)
		(void)connect(port->descriptor, &nobody, sizeof(nobody));
	port->connected = port->draining = false;
}

/* What came before the kernel knew the peer is still queued: sources are compared until the queue was empty once. */
static void connect_to_peer(struct relay_port *port)
{
	port->connected = connect(port->descriptor, &port->target.any, port->target_length) == 0;
	port->draining = port->connected;
}

static bool moves(const struct relay_port *port)
{
	return port->is_checked || (port->secured && port->learn_from.family != ADDRESS_NONE);
}

static void direct(struct relay_worker *worker, struct relay_port *port, bool same_peer)
{
	if (port->descriptor < 0)
		return;
	port->is_directed = true;

	disconnect(port);
	if (!same_peer) {
		target_set(port, &port->signalled);
		port->locked = port->signalled.family != ADDRESS_NONE && port->learn_from.family == ADDRESS_NONE;
	}
	if (!port->locked && port->known.family != ADDRESS_NONE &&
	    (port->is_checked || port->secured || relay_port_admits(port, &port->known)))
		relay_port_lock(worker, port, &port->known);
	else if (port->locked && !moves(port))
		connect_to_peer(port);
}

void relay_port_redirect(struct relay_worker *worker, struct relay_port *port)
{
	if (!port->is_directed)
		direct(worker, port, false);
}

void relay_port_direct(struct relay_worker *worker, struct relay_port *port, const struct media_side *wanted,
		       const struct address *named)
{
	static const struct address nobody;
	bool uses_ice = wanted->ice.ufrag[0];
	const struct address *signalled = uses_ice ? &nobody : named;
	const struct address *learn_from = uses_ice ? &nobody : &wanted->learn_from;
	bool secured = wanted->suite_in != SRTP_NONE || wanted->dtls.handshake != MEDIA_HANDSHAKE_NONE;
	bool same_peer = port->is_directed && address_equal(signalled, &port->signalled) &&
			 address_equal_ip(learn_from, &port->learn_from);
	bool learned = port->locked && (uses_ice || learn_from->family != ADDRESS_NONE);

	port->known = port->is_rtcp ? (struct address){0} : wanted->locked;
	if (same_peer && secured == port->secured && uses_ice == port->is_checked) {
		/* A gate that does not know it, maybe a new one, hears it again. */
		if (learned && !port->is_rtcp && !address_equal(&port->peer, &port->known))
			relay_worker_event(worker, MEDIA_LOCKED, port->side, &port->peer);
		return;
	}
	port->signalled = *signalled;
	port->learn_from = *learn_from;
	port->secured = secured;
	port->is_checked = uses_ice;
	direct(worker, port, same_peer);
}

void relay_port_send_to(const struct relay_port *port, const struct address *to, const uint8_t *datagram, size_t length)
{
	struct sockaddr_storage storage;
	socklen_t storage_length = address_to_sockaddr(to, &storage);
	if (port->descriptor < 0)
		return;
	if (port->connected)
		(void)!send(port->descriptor, datagram, length, 0);
	else
		(void)!sendto(port->descriptor, datagram, length, 0, (struct sockaddr *)&storage, storage_length);
}

bool relay_port_admits(const struct relay_port *port, const struct address *source)
{
	if (port->is_checked)
		return (port->locked && address_equal(source, &port->peer)) ||
		       (port->side->ice && ice_knows(port->side->ice, source));
	if (port->signalled.family == ADDRESS_NONE && port->learn_from.family == ADDRESS_NONE)
		return false;
	if (port->locked && address_equal(source, &port->peer))
		return true;
	if (port->locked && !moves(port))
		return false;
	return address_equal(source, &port->signalled) ||
	       (port->learn_from.family != ADDRESS_NONE && address_equal_ip(source, &port->learn_from));
}

void relay_port_lock(struct relay_worker *worker, struct relay_port *port, const struct address *source)
{
	target_set(port, source);
	port->locked = true;
	if (!moves(port))
		connect_to_peer(port);
	if (port->is_rtcp)
		return;
	relay_offload_review(worker, port->side->stream);
	if (port->events < LOCK_EVENTS_MAXIMUM) {
		port->events++;
		relay_worker_event(worker, MEDIA_LOCKED, port->side, source);
	}
}
