/* SPDX-License-Identifier: Apache-2.0
 * Media streams and events as messages, and back. */
#include "roles/streams.h"

#include <string.h>

#include "base/clock.h"

_Static_assert(SRTP_KEY_MAXIMUM == sizeof(((struct ipc_stream_set *)0)->a_key_in), "keys of messages and media differ");

/* X(member): the plain members of a side. */
#define SIDE_MEMBERS(X) \
	X(local) X(peer_rtp) X(peer_rtcp) X(learn_from) X(suite_in) X(suite_out) X(may_send) X(locked) X(rtcp_mux)

/* X(member): what was agreed for both sides, but for the payload types. */
#define BUDGET_MEMBERS(X) X(packets_per_s) X(kbps) X(packet_bytes)

/* X(group, member), plain, and X(group, member) of arrays: what is said of ICE and DTLS. */
#define KEYING_MEMBERS(X) X(dtls, handshake) X(dtls, hash) X(dtls, association)
#define KEYING_ARRAYS(X) X(dtls, fingerprint) X(dtls, suites) X(ice, ufrag) X(ice, password)

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
	set->end_to_end = stream->end_to_end;
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
#define X(group, member) \
	set->a_##group##_##member = a->group.member; \
	set->b_##group##_##member = b->group.member;
	KEYING_MEMBERS(X)
#undef X
#define X(group, member) \
	_Static_assert(sizeof(set->a_##group##_##member) == sizeof(a->group.member), "messages and media differ"); \
	memcpy(set->a_##group##_##member, a->group.member, sizeof(a->group.member)); \
	memcpy(set->b_##group##_##member, b->group.member, sizeof(b->group.member));
	KEYING_ARRAYS(X)
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
	stream->end_to_end = set->end_to_end;
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
#define X(group, member) \
	a->group.member = set->a_##group##_##member; \
	b->group.member = set->b_##group##_##member;
	KEYING_MEMBERS(X)
#undef X
#define X(group, member) \
	memcpy(a->group.member, set->a_##group##_##member, sizeof(a->group.member)); \
	memcpy(b->group.member, set->b_##group##_##member, sizeof(b->group.member));
	KEYING_ARRAYS(X)
#undef X
	memcpy(a->key_in, set->a_key_in, SRTP_KEY_MAXIMUM);
	memcpy(a->key_out, set->a_key_out, SRTP_KEY_MAXIMUM);
	memcpy(b->key_in, set->b_key_in, SRTP_KEY_MAXIMUM);
	memcpy(b->key_out, set->b_key_out, SRTP_KEY_MAXIMUM);
}

static void keyed_to_message(const struct media_event *event, struct ipc_message *message)
{
	struct ipc_keyed *keyed = &message->keyed;

	message->type = IPC_KEYED;
	*keyed = (struct ipc_keyed){.session = event->session,
				    .stream = event->stream,
				    .side = event->side,
				    .association = event->keys.association,
				    .suite = event->keys.suite};
	memcpy(keyed->key_in, event->keys.key_in, sizeof(keyed->key_in));
	memcpy(keyed->key_out, event->keys.key_out, sizeof(keyed->key_out));
}

void event_to_message(const struct media_event *event, struct ipc_message *message)
{
	message->descriptor = -1;
	if (event->kind == MEDIA_KEYED) {
		keyed_to_message(event, message);
		return;
	}
	message->type = IPC_SESSION_EVENT;
	message->session_event = (struct ipc_session_event){
		event->session, event->kind,           event->stream,          event->side,   event->peer,
		event->outward, event->roll_over.ssrc, event->roll_over.index, event->failure};
}

static bool event_is_valid(const struct media_event *event)
{
	return event->kind < MEDIA_EVENT_COUNT && event->stream < MEDIA_STREAMS_MAXIMUM && event->side < 2 &&
	       event->failure < MEDIA_FAILURE_COUNT && event->keys.suite < SRTP_SUITE_COUNT;
}

bool event_from_message(const struct ipc_session_event *message, struct media_event *event)
{
	*event = (struct media_event){
		.session = message->session,
		.kind = message->kind,
		.stream = message->stream,
		.side = message->side,
		.peer = message->peer,
		.outward = message->outward,
		.roll_over = {message->ssrc, message->packet_index},
		.failure = message->failure,
	};
	return event_is_valid(event) && event->kind != MEDIA_KEYED;
}

bool event_from_keyed(const struct ipc_keyed *message, struct media_event *event)
{
	*event = (struct media_event){.session = message->session,
				      .kind = MEDIA_KEYED,
				      .stream = message->stream,
				      .side = message->side,
				      .keys = {.association = message->association, .suite = message->suite}};
	memcpy(event->keys.key_in, message->key_in, sizeof(message->key_in));
	memcpy(event->keys.key_out, message->key_out, sizeof(message->key_out));
	return event_is_valid(event) && event->keys.suite != SRTP_NONE;
}

/* X(drop, kind). The other drops are about the far side, or about ourselves. */
/* clang-format off */
#define DROP_KINDS(X) \
	X(SOURCE, MEDIA_SOURCE) X(MALFORMED, MEDIA_MALFORMED) X(FORGED, MEDIA_FORGED) X(REPLAYED, MEDIA_REPLAYED) \
	X(DIRECTION, MEDIA_DIRECTION) X(SIZE, MEDIA_SIZE) X(CLEAR, MEDIA_CLEAR) X(REPORT, MEDIA_REPORT) \
	X(BYE, MEDIA_BYE) X(PART, MEDIA_PART) X(PAYLOAD, MEDIA_PAYLOAD) X(RATE, MEDIA_RATE) \
	X(STUN, MEDIA_STUN) X(DTLS, MEDIA_DTLS)
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
	message->evidence = (struct ipc_evidence){(uint16_t)evidence->kind, evidence->count,   evidence->proven,
						  evidence->source,         evidence->local,   evidence->session,
						  evidence->connection,     evidence->account, evidence->target};
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
		.connection = message->connection,
		.account = message->account,
		.target = message->target,
		.time_us = clock_monotonic_us(),
	};
	return true;
}
