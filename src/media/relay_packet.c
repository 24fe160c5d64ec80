/* SPDX-License-Identifier: Apache-2.0
 * A packet's way: source, protection, shape, direction, out. One system call to receive it and one to send it; it is
 * never copied. A batch takes each step together, so that the code of a step, the kernel's and OpenSSL's above all,
 * stays in the processor's cache. What is dropped is counted at the side it came from. */
#include "media/relay_private.h"

#include <errno.h>

#include "media/relay_offload.h"
#include "media/relay_xdp.h"
#include "media/rtp_private.h"

#define STRANGE_PACE_US 20000      /* as often as a phone sends */
#define DRAIN_MAXIMUM 16           /* datagrams of one socket a turn while it is draining */
#define SRTP_CONTEXT_HOT_BYTES 320 /* about the size of a context, which is not known here */

static enum media_drop drop_of(enum srtp_result result)
{
	switch (result) {
	case SRTP_FORGED: return MEDIA_DROP_FORGED;
	case SRTP_REPLAYED: return MEDIA_DROP_REPLAYED;
	case SRTP_MALFORMED: return MEDIA_DROP_MALFORMED;
	default: return MEDIA_DROP_KEY;
	}
}

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

/* Protects for the other side, and says where to send. */
void relay_forward(const struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *from = passage->from->side, *to = other_side(from);
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
		if (!passage->is_rtcp && srtp_roll_over_changed(to->out))
			relay_worker_roll_over(worker, to, true, to->out);
	}
	passage->to = port;
}

static bool socket_send(const struct relay_passage *passage)
{
	ssize_t sent = port_send(passage->to, passage->packet, passage->length);
	if (sent < 0 && errno == ECONNREFUSED) /* the ICMP answer to an earlier packet; this one has not left yet */
		sent = port_send(passage->to, passage->packet, passage->length);
	return sent >= 0;
}

static void passage_send(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_port *port = passage->to;
	uint64_t *count = &port->side->counters.packets_out;
	relay_prefetch(count, sizeof(*count)); /* other packets were sent since it was at hand */
	if (!(passage->frame && relay_xdp_send(worker, passage)) && !socket_send(passage))
		return side_drop(passage->from->side, MEDIA_DROP_SEND);
	if (!passage->is_rtcp)
		counter_add(count, 1);
}

/* The packet is good: its source may become the peer. `is_newest`: nothing newer came before it. */
bool relay_settle(struct relay_worker *worker, struct relay_passage *passage, bool is_newest)
{
	struct relay_port *port = passage->from;
	struct address source;
	port->side->last_packet_us = worker->now_us;
	if (port->is_checked && port->locked) /* the peer moves by ICE alone */
		return true;
	if (passage->is_checked || address_from_sockaddr(&passage->source.any, &source) != 0 ||
	    (port->locked && address_equal(&source, &port->peer)))
		return true;
	/* A recorded packet, sent again from elsewhere before the window has seen it, moves nobody. */
	if (port->locked && !is_newest)
		return false;
	relay_port_lock(worker, port, &source);
	return true;
}

static void relay_datagram(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *side = passage->from->side;
	if (!passage->length)
		return side_drop(side, MEDIA_DROP_MALFORMED);
	if (budget_take(&side->budget, passage->length, worker->now_us) != MEDIA_DROP_COUNT)
		return side_drop(side, MEDIA_DROP_RATE);
	relay_settle(worker, passage, true);
	counter_add(&side->counters.packets_in, 1);
	counter_add(&side->counters.bytes_in, passage->length);
	if (!side->may_send)
		return side_drop(side, MEDIA_DROP_DIRECTION);
	relay_forward(worker, passage);
}

static void relay_rtp(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *side = passage->from->side;
	size_t length = passage->length;
	if (side->suite_in != SRTP_NONE) {
		if (!side->in)
			return side_drop(side, MEDIA_DROP_KEY);
		enum srtp_result result = srtp_unprotect(side->in, passage->packet, &passage->length);
		if (result != SRTP_OK)
			return side_drop(side, drop_of(result));
		passage->is_proven = true;
		if (srtp_roll_over_changed(side->in))
			relay_worker_roll_over(worker, side, false, side->in);
	}
	struct rtp_header header;
	if (rtp_parse(passage->packet, passage->length, &header) != 0)
		return side_drop(side, MEDIA_DROP_MALFORMED);
	if (!budget_has_type(&side->budget, header.payload_type))
		return side_drop(side, MEDIA_DROP_PAYLOAD);
	enum media_drop reason = budget_take(&side->budget, length, worker->now_us);
	if (reason != MEDIA_DROP_COUNT)
		return side_drop(side, reason);
	if (!relay_settle(worker, passage, relay_reception_is_newest(&side->reception, &header)))
		return side_drop(side, MEDIA_DROP_SOURCE);

	counter_add(&side->counters.packets_in, 1);
	counter_add(&side->counters.bytes_in, length);
	if (!side->reception.started || side->reception.ssrc != header.ssrc)
		rtcp_source_add(&side->sources, header.ssrc);
	relay_offload_reception_take(side);
	relay_reception_count(&side->reception, &header, side->stream->clocks, worker->now_us, &side->counters);
	relay_offload_reception_give(side);
	/* Only now: roll-over counters must follow a peer that goes on sending while it is on hold. */
	if (!side->may_send)
		return side_drop(side, MEDIA_DROP_DIRECTION);
	if (rtp_has_extension(passage->packet))
		passage->length = rtp_extension_drop(passage->packet, passage->length);
	relay_forward(worker, passage);
}

static void relay_rtcp(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *side = passage->from->side;
	if (side->suite_in != SRTP_NONE) {
		if (!side->in)
			return side_drop(side, MEDIA_DROP_KEY);
		/* A whole compound in the clear can be told from a forgery, as RTP cannot. */
		if (rtcp_check(passage->packet, passage->length) == 0)
			return side_drop(side, MEDIA_DROP_CLEAR);
		enum srtp_result result = srtcp_unprotect(side->in, passage->packet, &passage->length);
		if (result != SRTP_OK)
			return side_drop(side, drop_of(result));
		passage->is_proven = true;
	}
	if (rtcp_check(passage->packet, passage->length) != 0)
		return side_drop(side, MEDIA_DROP_MALFORMED);
	if (budget_take(&side->rtcp_budget, passage->length, worker->now_us) != MEDIA_DROP_COUNT)
		return side_drop(side, MEDIA_DROP_RATE);
	relay_settle(worker, passage, true);
	counter_add(&side->counters.rtcp_in, 1);
	relay_round_trip_from(side, passage->packet, passage->length, worker->now_us);
	if (!relay_rtcp_rebuild(worker, passage))
		return side_drop(side, MEDIA_DROP_MALFORMED);
	relay_round_trip_to(other_side(side), passage->packet, passage->length, worker->now_us);
	relay_forward(worker, passage);
}

void relay_source(const struct relay_passage *passage, struct address *source)
{
	if (passage->is_checked || address_from_sockaddr(&passage->source.any, source) != 0)
		*source = passage->from->peer;
}

bool relay_admits(const struct relay_passage *passage)
{
	struct address source;
	return passage->is_checked ||
	       (address_from_sockaddr(&passage->source.any, &source) == 0 && relay_port_admits(passage->from, &source));
}

/* A phone's sound may leave by another address than its signalling (a VPN, a pool of a carrier's NAT), or come to another while it lasts. Who
 * has its keys shows it with the tag; so that strangers cost little, few are looked at. */
static bool may_be_moving(struct relay_worker *worker, struct relay_passage *passage)
{
	const struct relay_port *port = passage->from;
	struct relay_side *side = port->side;
	if (!port->secured || port->is_checked || port->learn_from.family == ADDRESS_NONE || !side->in ||
	    worker->now_us - side->strange_us < STRANGE_PACE_US)
		return false;
	side->strange_us = worker->now_us;
	return true;
}

static void relay(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_port *port = passage->from;
	passage->to = NULL;
	if (passage->length > RELAY_PACKET_MAXIMUM)
		return side_drop(port->side, MEDIA_DROP_SIZE);
	if (port->side->is_mixed && relay_mixed(worker, passage))
		return;
	if (!relay_admits(passage) && !may_be_moving(worker, passage))
		return side_drop(port->side, MEDIA_DROP_SOURCE);
	if (port->side->stream->kind == MEDIA_DATAGRAM)
		return relay_datagram(worker, passage);
	passage->is_rtcp = port->is_rtcp || (port->side->is_muxed && rtcp_is(passage->packet, passage->length));
	return passage->is_rtcp ? relay_rtcp(worker, passage) : relay_rtp(worker, passage);
}

/* Among thousands of calls each one's memory is cold: the whole batch's is fetched at once, first what is found
 * without looking, then what that points to, and what that does. The side that the packet came from was fetched before it was received. */
static void batch_prefetch(const struct relay_worker *worker)
{
	for (uint32_t i = 0; i < worker->passage_count; i++) {
		const struct relay_side *from = worker->passages[i].from->side, *to = other_side(from);
		relay_prefetch(&from->stream->kind, 1);
		relay_prefetch(&from->counters, offsetof(struct media_side_counters, drops));
		relay_prefetch(to, RELAY_SIDE_HOT_BYTES);
		relay_prefetch(&to->counters, offsetof(struct media_side_counters, drops));
	}
	for (uint32_t i = 0; i < worker->passage_count; i++) {
		const struct relay_side *from = worker->passages[i].from->side, *to = other_side(from);
		if (from->in)
			relay_prefetch(from->in, SRTP_CONTEXT_HOT_BYTES);
		if (to->out)
			relay_prefetch(to->out, SRTP_CONTEXT_HOT_BYTES);
	}
	for (uint32_t i = 0; i < worker->passage_count; i++) {
		const struct relay_side *from = worker->passages[i].from->side, *to = other_side(from);
		if (from->in)
			srtp_context_prefetch(from->in);
		if (to->out)
			srtp_context_prefetch(to->out);
	}
}

void relay_batch_relay(struct relay_worker *worker)
{
	struct relay_passage *end = worker->passages + worker->passage_count;
	batch_prefetch(worker);
	for (struct relay_passage *passage = worker->passages; passage < end; passage++) {
		relay(worker, passage);
		if (!passage->to && !passage->is_taken)
			relay_finding_add(worker, passage);
	}
	for (struct relay_passage *passage = worker->passages; passage < end; passage++) {
		if (passage->to)
			passage_send(worker, passage);
		if (passage->frame)
			relay_xdp_done(worker, passage);
	}
	worker->passage_count = 0;
}

/* Returns false when none was waiting. */
static bool receive(struct relay_worker *worker, struct relay_port *port)
{
	struct relay_passage *passage = &worker->passages[worker->passage_count];
	bool is_checked = port->connected && !port->draining;
	socklen_t source_length = sizeof(passage->source);
	ssize_t length = recvfrom(port->descriptor, passage->buffer, RELAY_PACKET_MAXIMUM, MSG_TRUNC,
				  is_checked ? NULL : &passage->source.any, is_checked ? NULL : &source_length);
	if (length < 0)
		return errno != EAGAIN; /* others are errors of earlier sends, now told and gone */
	passage->from = port;
	passage->packet = passage->buffer;
	passage->frame = NULL;
	passage->length = (size_t)length;
	passage->is_rtcp = passage->is_proven = passage->is_taken = false;
	passage->is_checked = is_checked;
	if (++worker->passage_count == RELAY_BATCH)
		relay_batch_relay(worker);
	return true;
}

void relay_batch_receive(struct relay_worker *worker, struct relay_port *port)
{
	bool more = receive(worker, port);
	for (int i = 0; more && port->draining && i < DRAIN_MAXIMUM; i++)
		more = receive(worker, port);
	if (!more)
		port->draining = false;
}
