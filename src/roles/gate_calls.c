/* SPDX-License-Identifier: Apache-2.0
 * `ringwall calls`: the gateway's calls, each with what media counted for its first stream. */
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "roles/gate.h"

#define COUNTED_MAXIMUM 2000     /* of more calls only the first are asked for */
#define COUNTERS_PATIENCE_MS 500 /* then the answer goes out with what is there */

struct gate_calls {
	struct gate *gate;
	struct gate_waiting *waiting;
	json_t *rows, *by_id;
	uint32_t asked, counted;
	struct event *patience;
};

static json_t *leg_json(const struct gateway_call_leg *leg)
{
	char text[ADDRESS_TEXT_BYTES];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "zone", leg->zone, "user", leg->user, "codec",
			 leg->codec, "encryption", leg->encryption, "keying", leg->keying, "transport", leg->transport,
			 "peer", leg->peer.family ? address_text(&leg->peer, text) : "");
}

json_t *gate_call_row(const struct gateway_call_view *view)
{
	char id[17];

	snprintf(id, sizeof(id), "%012" PRIx64, view->id);
	return json_pack("{s:s, s:s, s:i, s:i, s:s, s:o, s:o}", "id", id, "state", view->state, "duration_s",
			 view->duration_s, "streams", view->stream_count, "payer", view->payer, "caller",
			 leg_json(&view->legs[0]), "callee", leg_json(&view->legs[1]));
}

static void call_add(void *context, const struct gateway_call_view *view)
{
	struct gate_calls *calls = context;
	json_t *row = gate_call_row(view);

	json_array_append(calls->rows, row);
	json_object_set_new(calls->by_id, json_string_value(json_object_get(row, "id")), row);
}

void gate_calls_free(struct gate_calls *calls)
{
	if (!calls)
		return;
	if (calls->patience)
		event_free(calls->patience);
	json_decref(calls->rows);
	json_decref(calls->by_id);
	memory_free(calls);
}

static void calls_answer(struct gate_calls *calls)
{
	struct gate_waiting *waiting = calls->waiting;

	control_answer(waiting->control, json_pack("{s:b, s:O}", "ok", 1, "calls", calls->rows));
	gate_waiting_free(waiting);
}

static void on_patience(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor;
	(void)what;
	calls_answer(context);
}

/* Asks media for the counters of every call that has streams. */
static void counters_ask(struct gate_calls *calls)
{
	struct ipc_message message = {.type = IPC_COUNTERS_GET, .descriptor = -1};
	const char *id;
	json_t *row;

	if (!role_peer(calls->gate->role, IPC_ROLE_MEDIA))
		return;
	json_object_foreach(calls->by_id, id, row)
	{
		if (json_integer_value(json_object_get(row, "streams")) == 0)
			continue;
		message.counters_get.request = calls->waiting->request;
		message.counters_get.session = strtoull(id, NULL, 16);
		if (calls->asked == COUNTED_MAXIMUM || role_tell(calls->gate->role, IPC_ROLE_MEDIA, &message))
			return;
		calls->asked++;
	}
}

void gate_handle_calls(void *context, struct control_request *request, const json_t *arguments)
{
	const struct timeval patience = {0, COUNTERS_PATIENCE_MS * 1000};
	struct gate *gate = context;
	struct gate_waiting *waiting;
	struct gate_calls *calls;

	if (json_is_true(json_object_get(arguments, "ended"))) {
		control_answer(request, json_pack("{s:b, s:o}", "ok", 1, "calls", gate_ended_rows(gate)));
		return;
	}
	waiting = gate_waiting_new(gate, IPC_ROLE_MEDIA, request);

	if (!waiting)
		return;
	calls = waiting->calls = memory_alloc(sizeof(*calls));
	if (!calls) {
		control_refuse(request, "no memory");
		gate_waiting_free(waiting);
		return;
	}
	calls->gate = gate;
	calls->waiting = waiting;
	calls->rows = json_array();
	calls->by_id = json_object();
	calls->patience = evtimer_new(role_loop(gate->role), on_patience, calls);
	gateway_calls_each(gate->gateway, call_add, calls);
	counters_ask(calls);
	if (calls->asked && calls->patience)
		event_add(calls->patience, &patience);
	else
		calls_answer(calls);
}

double gate_call_opinion(const struct gate_counted_side *side, const struct gate_counted_side *other, const char *codec)
{
	const struct media_quality quality = {
		.codec = codec,
		.received = side->packets_in,
		.lost = side->lost,
		.jitter_us = side->jitter_us,
		.round_trip_us = side->round_trip_us + other->round_trip_us,
	};

	return media_quality_opinion(media_quality_rating(&quality));
}

static void side_add(json_t *leg, const struct gate_counted_side *side, const struct gate_counted_side *other)
{
	const char *codec = json_string_value(json_object_get(leg, "codec"));
	json_t *media = json_pack("{s:I, s:I, s:I, s:I, s:f}", "packets_in", (json_int_t)side->packets_in,
				  "packets_out", (json_int_t)side->packets_out, "lost", (json_int_t)side->lost,
				  "dropped", (json_int_t)side->dropped, "jitter_ms", side->jitter_us / 1000.0);

	if (side->round_trip_us)
		json_object_set_new(media, "round_trip_ms", json_real(side->round_trip_us / 1000.0));
	if (side->packets_in && codec && *codec)
		json_object_set_new(media, "opinion_score", json_real(gate_call_opinion(side, other, codec)));
	json_object_set_new(leg, "media", media);
}

void gate_call_sides(const struct ipc_counters *c, struct gate_counted_side sides[2])
{
#define X(side) \
	{c->side##_packets_in, c->side##_packets_out, c->side##_lost, \
	 c->side##_dropped,    c->side##_jitter_us,   c->side##_round_trip_us}
	sides[0] = (struct gate_counted_side)X(a);
	sides[1] = (struct gate_counted_side)X(b);
#undef X
}

void gate_call_count(json_t *row, const struct ipc_counters *counters)
{
	struct gate_counted_side sides[2];

	if (!counters->found)
		return;
	gate_call_sides(counters, sides);
	side_add(json_object_get(row, "caller"), &sides[0], &sides[1]);
	side_add(json_object_get(row, "callee"), &sides[1], &sides[0]);
}

void gate_on_counters(struct gate *gate, const struct ipc_counters *c)
{
	struct gate_waiting *waiting = gate_waiting_find(gate, IPC_ROLE_MEDIA, c->request);
	struct gate_calls *calls = waiting ? waiting->calls : NULL;
	char id[17];
	json_t *row;

	if (gate_ended_on_counters(gate, c) || !calls)
		return;
	snprintf(id, sizeof(id), "%012" PRIx64, c->session);
	row = json_object_get(calls->by_id, id);
	if (row)
		gate_call_count(row, c);
	if (++calls->counted == calls->asked)
		calls_answer(calls);
}
