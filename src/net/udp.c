/* SPDX-License-Identifier: Apache-2.0
 * Datagrams: up to 32 received in one system call, each with the local address it was sent to, so that
 * the answer leaves from there. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/private.h"

/* A little more than the largest datagram, and not a power of two: the starts of 32 buffers 65,536
 * bytes apart would compete for the same few lines of every cache. */
#define DATAGRAM_BYTES (65536 + 17 * 64)
#define ROUTE_CACHE_US 1000000

/* What the kernel may say of a datagram: where to (either family), and how many were lost. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint32_t))];
};

struct net_datagrams {
	struct mmsghdr headers[NET_DATAGRAMS_PER_TURN];
	struct iovec vectors[NET_DATAGRAMS_PER_TURN];
	struct sockaddr_in6 remotes[NET_DATAGRAMS_PER_TURN]; /* of either family */
	union control controls[NET_DATAGRAMS_PER_TURN];
	char bytes[NET_DATAGRAMS_PER_TURN][DATAGRAM_BYTES]; /* pages that are never used cost nothing */
};

static void datagram_prepare(struct net_datagrams *datagrams, int i)
{
	struct msghdr *header = &datagrams->headers[i].msg_hdr;

	header->msg_namelen = sizeof(datagrams->remotes[i]);
	header->msg_controllen = sizeof(datagrams->controls[i]);
	header->msg_flags = 0;
}

static struct net_datagrams *datagrams_new(void)
{
	struct net_datagrams *datagrams = memory_alloc(sizeof(*datagrams));

	for (int i = 0; datagrams && i < NET_DATAGRAMS_PER_TURN; i++) {
		datagrams->vectors[i] = (struct iovec){datagrams->bytes[i], DATAGRAM_BYTES};
		datagrams->headers[i].msg_hdr = (struct msghdr){
			.msg_name = &datagrams->remotes[i],
			.msg_iov = &datagrams->vectors[i],
			.msg_iovlen = 1,
			.msg_control = &datagrams->controls[i],
		};
		datagram_prepare(datagrams, i);
	}
	return datagrams;
}

int net_udp_setup(struct net_listener *listener)
{
	struct net *net = listener->net;
	bool ipv6 = listener->flow.local.family == ADDRESS_IPV6;
	int on = 1, only = 0;
	socklen_t length = sizeof(only);

	if (!net->datagrams)
		net->datagrams = datagrams_new();
	if (!net->datagrams)
		return -ENOMEM;
	setsockopt(listener->descriptor, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on)); /* for the statistics only */
	if (!listener->any)
		return 0;
	/* A socket for both families would need mapped addresses in every send. */
	if (ipv6 && (getsockopt(listener->descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) || !only))
		return -EINVAL;
	if (setsockopt(listener->descriptor, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_RECVPKTINFO : IP_PKTINFO,
		       &on, sizeof(on)))
		return -errno;
	return 0;
}

static void datagram_control(struct net_listener *listener, struct msghdr *header, struct flow *flow)
{
	for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
		const unsigned char *data = CMSG_DATA(control);

		if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
			memcpy(flow->local.ip, data + offsetof(struct in_pktinfo, ipi_addr), 4);
		} else if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
			memcpy(flow->local.ip, data + offsetof(struct in6_pktinfo, ipi6_addr), 16);
		} else if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SO_RXQ_OVFL) {
			uint32_t overflowed;

			memcpy(&overflowed, data, sizeof(overflowed));
			/* A count since the socket was made, which wraps. */
			listener->net->statistics.datagrams_dropped += (uint32_t)(overflowed - listener->overflowed);
			listener->overflowed = overflowed;
		}
	}
}

static void datagram_receive(struct net_listener *listener, int i)
{
	struct net *net = listener->net;
	struct msghdr *header = &net->datagrams->headers[i].msg_hdr;
	struct span bytes = {net->datagrams->bytes[i], net->datagrams->headers[i].msg_len};
	struct flow flow = listener->flow;

	if (header->msg_controllen)
		datagram_control(listener, header, &flow);
	if (!bytes.length || address_from_sockaddr(header->msg_name, &flow.remote) || !flow.remote.port) {
		net->statistics.datagrams_dropped++; /* nothing in it, or nowhere to answer to */
		return;
	}
	net->statistics.datagrams_in++;
	net->callbacks.datagram(net->callbacks.context, &flow, bytes);
}

void net_udp_ready(evutil_socket_t descriptor, short events, void *context)
{
	struct net_listener *listener = context;
	struct net *net = listener->net;
	struct net_datagrams *datagrams = net->datagrams;
	int count;

	(void)events;
	net_enter(net);
	/* Once a turn: the loop comes back for the rest after it has looked at the others. */
	count = recvmmsg(descriptor, datagrams->headers, NET_DATAGRAMS_PER_TURN, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count && !listener->removed; i++)
		datagram_receive(listener, i);
	for (int i = 0; i < count; i++)
		datagram_prepare(datagrams, i);
	net_leave(net);
}

/* Says from which of its addresses a socket that has them all shall send. */
static void control_local(struct msghdr *header, union control *control, const struct address *local)
{
	bool ipv6 = local->family == ADDRESS_IPV6;
	size_t size = ipv6 ? sizeof(struct in6_pktinfo) : sizeof(struct in_pktinfo);
	size_t offset = ipv6 ? offsetof(struct in6_pktinfo, ipi6_addr) : offsetof(struct in_pktinfo, ipi_spec_dst);

	memset(control, 0, sizeof(*control));
	control->header.cmsg_level = ipv6 ? IPPROTO_IPV6 : IPPROTO_IP;
	control->header.cmsg_type = ipv6 ? IPV6_PKTINFO : IP_PKTINFO;
	control->header.cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(&control->header) + offset, local->ip, ipv6 ? 16 : 4);
	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(size);
}

static int udp_send_error(struct net *net, int error)
{
	net->statistics.datagrams_dropped++;
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM: return -EAGAIN;
	case EMSGSIZE: return -EMSGSIZE;
	default: return -ENOTCONN; /* no route, forbidden by a filter */
	}
}

int net_udp_send(struct net *net, const struct flow *flow, struct span bytes)
{
	struct net_listener *listener =
		net_listener_find(net, TRANSPORT_UDP, flow->zone, flow->listener, flow->remote.family);
	struct sockaddr_storage remote;
	union control control;
	struct iovec vector = {(void *)(uintptr_t)bytes.data, bytes.length};
	struct msghdr header = {.msg_name = &remote, .msg_iov = &vector, .msg_iovlen = 1};
	ssize_t sent;

	if (!listener || !flow->remote.port)
		return -ENOTCONN;
	header.msg_namelen = address_to_sockaddr(&flow->remote, &remote);
	if (listener->any && flow->local.family == flow->remote.family && !address_is_any(&flow->local))
		control_local(&header, &control, &flow->local);
	do {
		sent = sendmsg(listener->descriptor, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return udp_send_error(net, errno);
	net->statistics.datagrams_out++;
	return 0;
}

/* The address the kernel would send from; connecting a datagram socket sends nothing. */
static int udp_route(const struct address *remote, struct address *local)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = address_to_sockaddr(remote, &sockaddr);
	int descriptor = socket(sockaddr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = 0;

	if (descriptor < 0)
		return -errno;
	if (connect(descriptor, (struct sockaddr *)&sockaddr, length))
		error = -errno;
	length = sizeof(sockaddr);
	if (!error && getsockname(descriptor, (struct sockaddr *)&sockaddr, &length))
		error = -errno;
	close(descriptor);
	return error ? error : address_from_sockaddr((struct sockaddr *)&sockaddr, local);
}

/* Asked once a second at most: a zone's requests mostly go to the same peer. */
static void udp_local(struct net_listener *listener, const struct address *remote, struct address *local)
{
	uint64_t now_us = clock_monotonic_us();
	uint16_t port = local->port;

	if (now_us >= listener->route_until_us || !address_equal_ip(remote, &listener->route_remote)) {
		if (udp_route(remote, &listener->route_local))
			return; /* the any-address stays: the kernel cannot tell */
		listener->route_remote = *remote;
		listener->route_until_us = now_us + ROUTE_CACHE_US;
	}
	*local = listener->route_local;
	local->port = port;
}

int net_udp_flow(struct net *net, const struct net_peer *peer, uint8_t zone, uint8_t index, struct flow *flow)
{
	struct net_listener *listener = net_listener_find(net, TRANSPORT_UDP, zone, index, peer->address.family);

	if (!listener)
		return -ENOENT;
	*flow = listener->flow;
	flow->remote = peer->address;
	if (listener->any)
		udp_local(listener, &flow->remote, &flow->local);
	return 0;
}
