/* SPDX-License-Identifier: Apache-2.0
 * Sides on whose ports more than RTP comes, told apart by the first byte (RFC 7983): checks of ICE, handshakes of DTLS, and, where the keys
 * are the peers' own (THREATS P1), what only they can read. */
#include "media/relay_private.h"

#include "base/memory.h"
#include "media/ice.h"
#include "media/rtp_private.h"

#define RTP_FIXED_BYTES 12
#define RTCP_LEAST_BYTES 8
#define DTLS_RECORD_BYTES 13 /* its header */

/* ---- ICE ---- */

void relay_ice_apply(struct relay_side *side, const struct media_ice *wanted)
{
	if (!wanted->ufrag[0]) {
		relay_ice_close(side);
		return;
	}
	if (!side->ice)
		side->ice = memory_alloc(sizeof(*side->ice));
	if (side->ice)
		ice_set(side->ice, wanted);
}

void relay_ice_close(struct relay_side *side)
{
	memory_free_secret(side->ice, sizeof(*side->ice));
	side->ice = NULL;
}

static void ice_take(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_port *port = passage->from;
	char text[ICE_ANSWER_MAXIMUM];
	struct buffer out = BUFFER_OVER(text);
	struct address source;
	if (!port->side->ice)
		return side_drop(port->side, MEDIA_DROP_STUN);
	relay_source(passage, &source);
	enum ice_result result =
		ice_check(port->side->ice, (struct span){(const char *)passage->packet, passage->length}, &source,
			  worker->now_us, &out);
	if (result == ICE_DROPPED)
		return side_drop(port->side, MEDIA_DROP_STUN);
	passage->is_taken = true;
	if (result == ICE_SILENCE)
		return;
	relay_port_send_to(port, &source, (const uint8_t *)out.data, out.length);
	/* The first way until the peer chooses one; then that. */
	if ((result == ICE_CHECKED && !port->locked) ||
	    (result == ICE_NOMINATED && !(port->locked && address_equal(&port->peer, &source))))
		relay_port_lock(worker, port, &source);
}

/* ---- What only the peers can read ---- */

/* What is in the clear of an SRTP packet. */
static bool header_read(const uint8_t *packet, size_t length, struct rtp_header *header)
{
	if (length < RTP_FIXED_BYTES + 4u * (packet[0] & 15))
		return false;
	*header = (struct rtp_header){
		.payload_type = packet[1] & 127,
		.marker = packet[1] >> 7,
		.sequence = (uint16_t)(packet[2] << 8 | packet[3]),
		.timestamp =
			(uint32_t)packet[4] << 24 | (uint32_t)packet[5] << 16 | (uint32_t)packet[6] << 8 | packet[7],
		.ssrc = (uint32_t)packet[8] << 24 | (uint32_t)packet[9] << 16 | (uint32_t)packet[10] << 8 | packet[11],
	};
	return true;
}

static enum media_drop rtp_judge(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *side = passage->from->side;
	struct rtp_header header;
	if (!header_read(passage->packet, passage->length, &header))
		return MEDIA_DROP_MALFORMED;
	if (!budget_has_type(&side->budget, header.payload_type))
		return MEDIA_DROP_PAYLOAD;
	enum media_drop reason = budget_take(&side->budget, passage->length, worker->now_us);
	if (reason != MEDIA_DROP_COUNT)
		return reason;
	if (!relay_settle(worker, passage, true))
		return MEDIA_DROP_SOURCE;
	counter_add(&side->counters.packets_in, 1);
	counter_add(&side->counters.bytes_in, passage->length);
	relay_reception_count(&side->reception, &header, side->stream->clocks, worker->now_us, &side->counters);
	return side->may_send ? MEDIA_DROP_COUNT : MEDIA_DROP_DIRECTION;
}

static enum media_drop rtcp_judge(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *side = passage->from->side;
	if (passage->length < RTCP_LEAST_BYTES)
		return MEDIA_DROP_MALFORMED;
	if (budget_take(&side->rtcp_budget, passage->length, worker->now_us) != MEDIA_DROP_COUNT)
		return MEDIA_DROP_RATE;
	if (!relay_settle(worker, passage, true))
		return MEDIA_DROP_SOURCE;
	counter_add(&side->counters.rtcp_in, 1);
	return MEDIA_DROP_COUNT;
}

/* Whole records, to the last byte (RFC 6347 section 4.1). */
static bool is_dtls(const uint8_t *datagram, size_t length)
{
	while (length >= DTLS_RECORD_BYTES) {
		size_t record = DTLS_RECORD_BYTES + ((size_t)datagram[11] << 8 | datagram[12]);
		if (record > length)
			return false;
		datagram += record;
		length -= record;
	}
	return !length;
}

/* `is_handshake`: DTLS, which has RTCP's allowance. */
static void pass_on(struct relay_worker *worker, struct relay_passage *passage, bool is_handshake)
{
	struct relay_side *side = passage->from->side;
	if (!relay_admits(passage))
		return side_drop(side, MEDIA_DROP_SOURCE);
	if (is_handshake && !is_dtls(passage->packet, passage->length))
		return side_drop(side, MEDIA_DROP_MALFORMED);
	passage->is_rtcp = passage->from->is_rtcp ||
			   (!is_handshake && side->is_muxed && rtcp_is(passage->packet, passage->length));
	bool is_judged_as_rtcp = is_handshake || passage->is_rtcp;
	enum media_drop reason = (is_judged_as_rtcp ? rtcp_judge : rtp_judge)(worker, passage);
	if (reason != MEDIA_DROP_COUNT)
		return side_drop(side, reason);
	relay_forward(worker, passage);
}

/* ---- By the first byte ---- */

bool relay_mixed(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *side = passage->from->side;
	uint8_t first = passage->length ? passage->packet[0] : UINT8_MAX;
	bool end_to_end = side->stream->end_to_end;
	if (first < 4) {
		ice_take(worker, passage);
	} else if (first >= 20 && first < 64) {
		end_to_end ? pass_on(worker, passage, true) : relay_dtls_take(worker, passage);
	} else if (first >= 128 && first < 192) {
		if (!end_to_end)
			return false;
		pass_on(worker, passage, false);
	} else {
		side_drop(side, MEDIA_DROP_MALFORMED);
	}
	return true;
}
