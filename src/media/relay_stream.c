/* SPDX-License-Identifier: Apache-2.0
 * Streams as they are wanted, made so: what differs is changed, the rest is left alone. */
#include "media/relay_private.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "media/relay_offload.h"

#define DATAGRAMS_PER_S 500    /* of T.38, which has some hundred at most */
#define RTCP_PACKETS_PER_S 200 /* feedback on video may come with every lost packet */

void relay_stream_init(struct relay_stream *stream, struct relay_session *session, uint8_t index)
{
	stream->session = session;
	stream->index = index;
	list_init(&stream->link);
	for (uint8_t i = 0; i < 2; i++) {
		struct relay_side *side = &stream->sides[i];
		side->stream = stream;
		side->index = i;
		for (uint8_t port = 0; port < RELAY_PORTS; port++) {
			side->ports[port].side = side;
			side->ports[port].descriptor = -1;
			side->ports[port].is_rtcp = port == 1;
		}
	}
}

static void side_close(struct relay_side *side)
{
	for (uint8_t port = 0; port < RELAY_PORTS; port++)
		relay_port_close(&side->ports[port]);
	side->open_attempts = 0;
}

static int side_open(struct relay_worker *worker, struct relay_side *side)
{
	struct address local = side->local;
	uint8_t count = side->stream->kind == MEDIA_RTP ? RELAY_PORTS : 1;
	for (uint8_t port = 0; port < count; port++, local.port++) {
		int result = relay_port_open(worker, &side->ports[port], &local);
		if (result != 0) {
			relay_port_close(&side->ports[0]);
			return result;
		}
	}
	return 0;
}

/* Another worker may still hold the port for a session that was closed a moment ago: that passes. */
static void side_try_open(struct relay_worker *worker, struct relay_side *side)
{
	int result = side_open(worker, side);
	if (result == 0) {
		side->open_attempts = 0;
		return;
	}
	side->open_attempts = result == -EADDRINUSE ? side->open_attempts - 1 : 0;
	if (!side->open_attempts)
		relay_worker_event(worker, MEDIA_PORT_UNAVAILABLE, side, &side->local);
}

/* Keys that stay the same keep their counters: srtp_context_rekey sees to that. On failure the context is NULL or
 * old, and every packet is refused. */
static void key_apply(struct srtp_context **context, enum srtp_suite suite, const uint8_t *key,
		      const struct srtp_roll_over *known)
{
	if (suite == SRTP_NONE) {
		srtp_context_free(*context);
		*context = NULL;
	} else if (!*context) {
		*context = srtp_context_new(suite, key);
		/* A relay of before this one may have used the key: tenths of a second are ahead of any RTCP it sent. */
		if (*context)
			srtcp_index_start(*context, (uint32_t)(clock_monotonic_us() / 100000));
		if (*context && srtp_roll_over_start(*context, known, SRTP_ROLL_OVERS_MAXIMUM)) {
			srtp_context_free(*context);
			*context = NULL;
		}
	} else if (srtp_context_rekey(*context, suite, key) != 0) {
		srtp_context_free(*context);
		*context = NULL;
	} else {
		srtp_roll_over_retell(*context); /* maybe to another gate, which missed some */
	}
}

void relay_keys_apply(struct relay_side *side, const struct media_side *wanted)
{
	side->suite_in = wanted->suite_in;
	side->suite_out = wanted->suite_out;
	key_apply(&side->in, wanted->suite_in, wanted->key_in, wanted->roll_overs_in);
	key_apply(&side->out, wanted->suite_out, wanted->key_out, wanted->roll_overs_out);
}

/* What comes beside RTP, and how the keys are made. */
static void side_secure(struct relay_worker *worker, struct relay_side *side, const struct media_side *wanted)
{
	relay_ice_apply(side, &wanted->ice);
	if (wanted->dtls.handshake != MEDIA_HANDSHAKE_NONE) {
		relay_dtls_apply(worker, side, wanted);
	} else {
		relay_dtls_close(side);
		relay_keys_apply(side, wanted);
	}
	side->is_muxed = wanted->rtcp_mux;
	side->is_mixed = side->stream->end_to_end || side->ice || wanted->dtls.handshake != MEDIA_HANDSHAKE_NONE;
}

static void side_direct(struct relay_worker *worker, struct relay_side *side, const struct media_side *wanted)
{
	relay_port_direct(worker, &side->ports[0], wanted, &wanted->peer_rtp);
	relay_port_direct(worker, &side->ports[1], wanted, &wanted->peer_rtcp);
}

static void side_apply(struct relay_worker *worker, struct relay_side *side, const struct media_side *wanted,
		       bool is_new)
{
	side->may_send = wanted->may_send;
	side_secure(worker, side, wanted);

	/* A port that could not be had is asked for again, too. */
	if (is_new || side->ports[0].descriptor < 0 || !address_equal(&side->local, &wanted->local)) {
		relay_offload_withdraw(side->stream);
		side_close(side);
		side->local = wanted->local;
		if (wanted->local.family != ADDRESS_NONE) {
			side->open_attempts = RELAY_OPEN_ATTEMPTS;
			side_try_open(worker, side);
		}
	}
	side_direct(worker, side, wanted);
}

/* A source whose timestamps count otherwise from now on is looked at anew with its next packet. */
static void clocks_apply(struct relay_stream *stream, const uint8_t *clocks)
{
	if (memcmp(stream->clocks, clocks, sizeof(stream->clocks)) == 0)
		return;
	memcpy(stream->clocks, clocks, sizeof(stream->clocks));
	for (uint8_t i = 0; i < 2; i++) {
		struct relay_side *side = &stream->sides[i];
		relay_offload_reception_take(side);
		side->reception.payload_type = MEDIA_TYPES; /* no packet's */
		relay_offload_reception_give(side);
	}
}

void relay_stream_apply(struct relay_worker *worker, struct relay_stream *stream, const struct media_stream *wanted)
{
	static const struct media_budget rtcp_agreed = {.packets_per_s = RTCP_PACKETS_PER_S};
	static const struct media_budget datagrams_agreed = {.packets_per_s = DATAGRAMS_PER_S};
	bool is_new = !stream->is_applied || stream->kind != wanted->kind;
	bool was_expected = stream->is_applied && (stream->sides[0].may_send || stream->sides[1].may_send);
	stream->kind = wanted->kind;
	stream->end_to_end = wanted->end_to_end;
	stream->silence_timeout_ms = wanted->silence_timeout_ms;
	for (uint8_t i = 0; i < 2; i++) {
		budget_set(&stream->sides[i].budget,
			   wanted->kind == MEDIA_DATAGRAM ? &datagrams_agreed : &wanted->budget);
		budget_set(&stream->sides[i].rtcp_budget, &rtcp_agreed);
	}
	clocks_apply(stream, wanted->clocks);
	for (uint8_t i = 0; i < 2; i++)
		side_apply(worker, &stream->sides[i], &wanted->sides[i], is_new);
	stream->is_applied = true;
	relay_offload_review(worker, stream);
	stream->session->is_silent = false; /* a gate that did not hear of the silence hears of it again */
	if (!was_expected)
		stream->session->expected_since_us = worker->now_us;
}

void relay_stream_retry(struct relay_worker *worker, struct relay_stream *stream)
{
	for (uint8_t i = 0; i < 2; i++) {
		struct relay_side *side = &stream->sides[i];
		if (!side->open_attempts)
			continue;
		side_try_open(worker, side);
		for (uint8_t port = 0; port < RELAY_PORTS; port++)
			relay_port_redirect(worker, &side->ports[port]);
		relay_offload_review(worker, stream);
	}
}

void relay_stream_free(struct relay_stream *stream)
{
	list_remove(&stream->link);
	relay_offload_withdraw(stream);
	for (uint8_t i = 0; i < 2; i++) {
		side_close(&stream->sides[i]);
		relay_dtls_close(&stream->sides[i]);
		relay_ice_close(&stream->sides[i]);
		srtp_context_free(stream->sides[i].in);
		srtp_context_free(stream->sides[i].out);
	}
	memory_free(stream);
}
