/* SPDX-License-Identifier: Apache-2.0
 * Media streams and events as messages, and back. */
#include "roles/streams.h"

#include <string.h>

#include "base/clock.h"

_Static_assert(SRTP_KEY_MAXIMUM == sizeof(((struct ipc_stream_set *)0)->a_key_in), "keys of messages and media differ");

/* X(member): the plain members of a side. */
#define SIDE_MEMBERS(X) X(local) X(peer_rtp) X(peer_rtcp) X(learn_from) X(suite_in) X(suite_out) X(may_send) X(locked)

/* X(member): what was agreed for both sides, but for the payload types. */
#define BUDGET_MEMBERS(X) X(packets_per_s) X(kbps) X(packet_bytes)

/* X(direction, place): the roll-over counters of a side. */
#define ROLL_OVERS(X) X(in, 0) X(in, 1) X(in, 2) X(in, 3) X(out, 0) X(out, 1) X(out, 2) X(out, 3)
_Static_assert(MEDIA_TYPES == sizeof(((struct ipc_stream_set *)0)->clocks), "types of messages and media differ");
_Static_assert(SRTP_ROLL_OVERS_MAXIMUM == 4, "places of messages and media differ");

void stream_to_message(const struct media_stream *stream, struct ipc_message *message)
{
	const struct media_side *a = &stream->sides[0], *b = &stream->sides[1];
	struct ipc_stream_set *set = &message->stream_set;

	memset(set, 0, sizeof(*set));
	message->type = IPC_STREAM_SET;
	message->descriptor = -1;
	set->session = stream->session;
	set->index = stream->index;
	set->kind = stream->kind;
	set->silence_timeout_ms = stream->silence_timeout_ms;
#define X(member) set->member = stream->budget.member;
	BUDGET_MEMBERS(X)
#undef X
	memcpy(set->payload_types, stream->budget.payload_types, sizeof(set->payload_types));
	memcpy(set->clocks, stream->clocks, sizeof(set->clocks));
#define X(member) \
	set->a_##member = a->member; \
	set->b_##member = b->member;
	SIDE_MEMBERS(X)
#undef X
#define X(direction, place) \
	set->a_##direction##_##place##_ssrc = a->roll_overs_##direction[place].ssrc; \
	set->a_##direction##_##place##_index = a->roll_overs_##direction[place].index; \
	set->b_##direction##_##place##_ssrc = b->roll_overs_##direction[place].ssrc; \
	set->b_##direction##_##place##_index = b->roll_overs_##direction[place].index;
	ROLL_OVERS(X)
#undef X
	memcpy(set->a_key_in, a->key_in, SRTP_KEY_MAXIMUM);
	memcpy(set->a_key_out, a->key_out, SRTP_KEY_MAXIMUM);
	memcpy(set->b_key_in, b->key_in, SRTP_KEY_MAXIMUM);
	memcpy(set->b_key_out, b->key_out, SRTP_KEY_MAXIMUM);
}

void stream_from_message(const struct ipc_stream_set *set, struct media_stream *stream)
{
	struct media_side *a = &stream->sides[0], *b = &stream->sides[1];

	memset(stream, 0, sizeof(*stream));
	stream->session = set->session;
	stream->index = set->index;
	stream->kind = set->kind;
	stream->silence_timeout_ms = set->silence_timeout_ms;
#define X(member) stream->budget.member = set->member;
	BUDGET_MEMBERS(X)
#undef X
	memcpy(stream->budget.payload_types, set->payload_types, sizeof(set->payload_types));
	memcpy(stream->clocks, set->clocks, sizeof(stream->clocks));
#define X(member) \
	a->member = set->a_##member; \
	b->member = set->b_##member;
	SIDE_MEMBERS(X)
#undef X
#define X(direction, place) \
	a->roll_overs_##direction[place] = \
		(struct srtp_roll_over){set->a_##direction##_##place##_ssrc, set->a_##direction##_##place##_index}; \
	b->roll_overs_##direction[place] = \
		(struct srtp_roll_over){set->b_##direction##_##place##_ssrc, set->b_##direction##_##place##_index};
	ROLL_OVERS(X)
#undef X
	memcpy(a->key_in, set->a_key_in, SRTP_KEY_MAXIMUM);
	memcpy(a->key_out, set->a_key_out, SRTP_KEY_MAXIMUM);
	memcpy(b->key_in, set->b_key_in, SRTP_KEY_MAXIMUM);
	memcpy(b->key_out, set->b_key_out, SRTP_KEY_MAXIMUM);
}

void event_to_message(const struct media_event *event, struct ipc_message *message)
{
	message->type = IPC_SESSION_EVENT;
	message->descriptor = -1;
	message->session_event = (struct ipc_session_event){
		event->session, event->kind,    event->stream,         event->side,
		event->peer,    event->outward, event->roll_over.ssrc, event->roll_over.index};
}

bool event_from_message(const struct ipc_session_event *message, struct media_event *event)
{
	*event = (struct media_event){
		message->session,
		message->kind,
		message->stream,
		message->side,
		message->peer,
		message->outward,
		{message->ssrc, message->packet_index},
	};
	return event->kind < MEDIA_EVENT_COUNT && event->stream < MEDIA_STREAMS_MAXIMUM && event->side < 2;
}

/* X(drop, kind). The other drops are about the far side, or about ourselves. */
/* clang-format off */
#define DROP_KINDS(X) \
	X(SOURCE, MEDIA_SOURCE) X(MALFORMED, MEDIA_MALFORMED) X(FORGED, MEDIA_FORGED) X(REPLAYED, MEDIA_REPLAYED) \
	X(DIRECTION, MEDIA_DIRECTION) X(SIZE, MEDIA_SIZE) X(CLEAR, MEDIA_CLEAR) X(REPORT, MEDIA_REPORT) \
	X(BYE, MEDIA_BYE) X(PART, MEDIA_PART) X(PAYLOAD, MEDIA_PAYLOAD) X(RATE, MEDIA_RATE)
/* clang-format on */

bool evidence_from_event(const struct media_event *event, struct evidence *evidence)
{
	static const uint8_t kinds[MEDIA_DROP_COUNT] = {/* one more, 0: none */
#define X(drop, kind) [MEDIA_DROP_##drop] = EVIDENCE_##kind + 1,
							DROP_KINDS(X)
#undef X
	};
	const struct media_finding *finding = &event->finding;

	if (event->kind != MEDIA_FINDING || finding->drop >= MEDIA_DROP_COUNT || !kinds[finding->drop])
		return false;
	*evidence = (struct evidence){
		.kind = (enum evidence_kind)(kinds[finding->drop] - 1),
		.count = finding->count,
		.proven = finding->proven,
		.source = finding->source,
		.local = finding->local,
		.session = event->session,
		.time_us = clock_monotonic_us(),
	};
	return true;
}

void evidence_to_message(const struct evidence *evidence, struct ipc_message *message)
{
	message->type = IPC_EVIDENCE;
	message->descriptor = -1;
	message->evidence = (struct ipc_evidence){(uint16_t)evidence->kind, evidence->count, evidence->proven,
						  evidence->source,         evidence->local, evidence->session};
}

bool evidence_from_message(const struct ipc_evidence *message, struct evidence *evidence)
{
	if (message->kind >= EVIDENCE_KIND_COUNT)
		return false;
	*evidence = (struct evidence){
		.kind = (enum evidence_kind)message->kind,
		.count = message->count,
		.proven = message->proven,
		.source = message->source,
		.local = message->local,
		.session = message->session,
		.time_us = clock_monotonic_us(),
	};
	return true;
}
