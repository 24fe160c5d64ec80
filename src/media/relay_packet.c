/* SPDX-License-Identifier: Apache-2.0
 * A packet's way: source, protection, shape, direction, out. One system call to receive it and one to send it; plain
 * to plain it is never copied. What is dropped is counted at the side it came from. */
#include "media/relay_private.h"

#include <errno.h>

#include "media/rtp_private.h"

#define DRAIN_MAXIMUM 16 /* datagrams of one socket a turn while it is draining */

static enum media_drop drop_of(enum srtp_result result)
{
	switch (result) {
	case SRTP_FORGED: return MEDIA_DROP_FORGED;
	case SRTP_REPLAYED: return MEDIA_DROP_REPLAYED;
	case SRTP_MALFORMED: return MEDIA_DROP_MALFORMED;
	default: return MEDIA_DROP_KEY;
	}
}

/* A datagram on its way. */
struct passage {
	struct relay_worker *worker;
	struct relay_port *port;      /* it came in here */
	const struct address *source; /* NULL: the kernel has checked it */
	uint8_t *packet;
	size_t length;
	bool is_rtcp;
};

static struct relay_side *other_side(const struct relay_side *side)
{
	return &side->stream->sides[!side->index];
}

static ssize_t port_send(struct relay_port *port, const uint8_t *packet, size_t length)
{
	if (port->connected)
		return send(port->descriptor, packet, length, 0);
	return sendto(port->descriptor, packet, length, 0, &port->target.any, port->target_length);
}

static void forward(struct passage *passage)
{
	struct relay_side *from = passage->port->side, *to = other_side(from);
	struct relay_port *port = &to->ports[passage->is_rtcp && !to->is_muxed];
	if (port->descriptor < 0 || port->peer.family == ADDRESS_NONE)
		return side_drop(from, MEDIA_DROP_NO_PEER);

	if (to->suite_out != SRTP_NONE) {
		if (!to->out)
			return side_drop(from, MEDIA_DROP_KEY);
		enum srtp_result result =
			(passage->is_rtcp ? srtcp_protect : srtp_protect)(to->out, passage->packet, &passage->length);
		if (result != SRTP_OK)
			return side_drop(from, drop_of(result));
	}
	ssize_t sent = port_send(port, passage->packet, passage->length);
	if (sent < 0 && errno == ECONNREFUSED) /* the ICMP answer to an earlier packet; this one has not left yet */
		sent = port_send(port, passage->packet, passage->length);
	if (sent < 0)
		return side_drop(from, MEDIA_DROP_SEND);
	if (!passage->is_rtcp)
		counter_add(&to->counters.packets_out, 1);
}

/* The packet is good: its source may become the peer. `is_newest`: nothing newer came before it. */
static bool settle(struct passage *passage, bool is_newest)
{
	struct relay_port *port = passage->port;
	port->side->stream->session->last_packet_us = passage->worker->now_us;
	if (!passage->source || (port->locked && address_equal(passage->source, &port->peer)))
		return true;
	/* A recorded packet, sent again from elsewhere before the window has seen it, moves nobody. */
	if (port->locked && !is_newest)
		return false;
	relay_port_lock(passage->worker, port, passage->source);
	return true;
}

static void relay_datagram(struct passage *passage)
{
	struct relay_side *side = passage->port->side;
	if (!passage->length)
		return side_drop(side, MEDIA_DROP_MALFORMED);
	settle(passage, true);
	counter_add(&side->counters.packets_in, 1);
	counter_add(&side->counters.bytes_in, passage->length);
	if (!side->may_send)
		return side_drop(side, MEDIA_DROP_DIRECTION);
	forward(passage);
}

static void relay_rtp(struct passage *passage)
{
	struct relay_side *side = passage->port->side;
	size_t length = passage->length;
	if (side->suite_in != SRTP_NONE) {
		if (!side->in)
			return side_drop(side, MEDIA_DROP_KEY);
		enum srtp_result result = srtp_unprotect(side->in, passage->packet, &passage->length);
		if (result != SRTP_OK)
			return side_drop(side, drop_of(result));
	}
	struct rtp_header header;
	if (rtp_parse(passage->packet, passage->length, &header) != 0)
		return side_drop(side, MEDIA_DROP_MALFORMED);
	if (!settle(passage, relay_reception_is_newest(&side->reception, &header)))
		return side_drop(side, MEDIA_DROP_SOURCE);

	counter_add(&side->counters.packets_in, 1);
	counter_add(&side->counters.bytes_in, length);
	relay_reception_count(&side->reception, &header, passage->worker->now_us, &side->counters);
	/* Only now: roll-over counters must follow a peer that goes on sending while it is on hold. */
	if (!side->may_send)
		return side_drop(side, MEDIA_DROP_DIRECTION);
	forward(passage);
}

static void relay_rtcp(struct passage *passage)
{
	struct relay_side *side = passage->port->side;
	if (side->suite_in != SRTP_NONE) {
		if (!side->in)
			return side_drop(side, MEDIA_DROP_KEY);
		/* A whole compound in the clear can be told from a forgery, as RTP cannot. */
		if (rtcp_check(passage->packet, passage->length) == 0)
			return side_drop(side, MEDIA_DROP_CLEAR);
		enum srtp_result result = srtcp_unprotect(side->in, passage->packet, &passage->length);
		if (result != SRTP_OK)
			return side_drop(side, drop_of(result));
	}
	if (rtcp_check(passage->packet, passage->length) != 0)
		return side_drop(side, MEDIA_DROP_MALFORMED);
	settle(passage, true);
	counter_add(&side->counters.rtcp_in, 1);
	forward(passage);
}

static void relay(struct passage *passage)
{
	struct relay_port *port = passage->port;
	if (port->side->stream->kind == MEDIA_DATAGRAM) {
		relay_datagram(passage);
		return;
	}
	passage->is_rtcp = port->is_rtcp || (port->side->is_muxed && rtcp_is(passage->packet, passage->length));
	if (passage->is_rtcp)
		relay_rtcp(passage);
	else
		relay_rtp(passage);
}

/* One datagram, its source compared if the kernel has not done so. Returns false when none was waiting. */
static bool receive(struct relay_worker *worker, struct relay_port *port)
{
	bool is_checked = port->connected && !port->draining;
	union relay_sockaddr from;
	socklen_t from_length = sizeof(from);
	ssize_t length = recvfrom(port->descriptor, worker->packet, RELAY_PACKET_MAXIMUM, MSG_TRUNC,
				  is_checked ? NULL : &from.any, is_checked ? NULL : &from_length);
	if (length < 0)
		return errno != EAGAIN; /* others are errors of earlier sends, now told and gone */

	struct address source;
	if (!is_checked && (address_from_sockaddr(&from.any, &source) != 0 || !relay_port_admits(port, &source))) {
		side_drop(port->side, MEDIA_DROP_SOURCE);
		return true;
	}
	if (length > RELAY_PACKET_MAXIMUM) {
		side_drop(port->side, MEDIA_DROP_SIZE);
		return true;
	}
	struct passage passage = {.worker = worker,
				  .port = port,
				  .source = is_checked ? NULL : &source,
				  .packet = worker->packet,
				  .length = (size_t)length};
	relay(&passage);
	return true;
}

void relay_port_readable(struct relay_worker *worker, struct relay_port *port)
{
	bool more = receive(worker, port);
	for (int i = 0; more && port->draining && i < DRAIN_MAXIMUM; i++)
		more = receive(worker, port);
	if (!more)
		port->draining = false;
}
