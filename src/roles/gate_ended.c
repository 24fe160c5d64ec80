/* SPDX-License-Identifier: Apache-2.0
 * `ringwall calls --ended`: the last calls that were answered and have ended, with what media had counted. Calls that nobody answered
 * are not among them, as whoever may call at all could push the others out with those. They end with this process. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "roles/gate.h"

#define ENDED_MAXIMUM 1000
#define ENDED_REQUEST (UINT64_C(1) << 63) /* apart from the numbers of commands */

/* JSON is made of them when somebody asks: a call costs less then, and hardly anybody asks. */
struct gate_ended_call {
	struct gateway_call_view view; /* and `how` have their texts in `texts` */
	const char *how;
	json_int_t started_at_s;
	char *texts;                  /* NULL: there is no call */
	struct ipc_counters counters; /* not found: not told */
	bool awaits_counters;         /* and has not been told to the log */
};

struct gate_ended {
	uint64_t count; /* since the start; the next one's place is this, modulo */
	struct gate_ended_call calls[ENDED_MAXIMUM];
};

/* Copies all texts into one block. False: no memory. */
static bool texts_keep(struct gate_ended_call *call)
{
	struct gateway_call_leg *a = &call->view.legs[0], *b = &call->view.legs[1];
	const char **const texts[] = {
		&call->how, &call->view.state, &call->view.payer, &a->zone,      &a->user,
		&a->codec,  &a->encryption,    &a->keying,        &a->transport, &b->zone,
		&b->user,   &b->codec,         &b->encryption,    &b->keying,    &b->transport,
	};
	const size_t count = sizeof(texts) / sizeof(texts[0]);
	size_t size = 0;
	char *at;

	for (size_t i = 0; i < count; i++)
		size += strlen(*texts[i]) + 1;
	at = call->texts = memory_alloc(size);
	for (size_t i = 0; at && i < count; i++) {
		size = strlen(*texts[i]) + 1;
		*texts[i] = memcpy(at, *texts[i], size);
		at += size;
	}
	return at != NULL;
}

static void leg_tell(const struct gate_ended_call *call, uint8_t leg, char text[80])
{
	const char *codec = call->view.legs[leg].codec;
	struct gate_counted_side sides[2], *side = &sides[leg];
	double all;

	gate_call_sides(&call->counters, sides);
	all = (double)side->packets_in + (double)side->lost;
	if (!call->counters.found)
		snprintf(text, 80, "not known");
	else if (all == 0)
		snprintf(text, 80, "nothing heard");
	else if (side->packets_in && *codec)
		snprintf(text, 80, "%.1f %% lost, %.1f ms jitter, MOS %.1f", 100 * (double)side->lost / all,
			 side->jitter_us / 1000.0, gate_call_opinion(side, &sides[!leg], codec));
	else
		snprintf(text, 80, "%.1f %% lost", 100 * (double)side->lost / all);
}

/* Nobody's name or number: those are in `ringwall calls`. */
static void tell(struct gate_ended_call *call)
{
	char caller[80], callee[80];

	call->awaits_counters = false;
	if (!log_wants(LOG_INFO))
		return;
	leg_tell(call, 0, caller);
	leg_tell(call, 1, callee);
	log_write(LOG_INFO, "gate", "call %" PRIx64 " ended after %" PRIu32 " s: %s; caller: %s; callee: %s",
		  call->view.id, call->view.duration_s, call->how, caller, callee);
}

/* Before media is told to close the session. */
static bool counters_ask(struct gate *gate, uint64_t session)
{
	struct ipc_message message = {.type = IPC_COUNTERS_GET, .descriptor = -1};

	message.counters_get.request = ENDED_REQUEST | gate->ended->count;
	message.counters_get.session = session;
	return role_peer(gate->role, IPC_ROLE_MEDIA) && role_tell(gate->role, IPC_ROLE_MEDIA, &message) == 0;
}

void gate_call_ended(void *context, const struct gateway_call_view *view, const char *how)
{
	struct gate *gate = context;
	struct gate_ended_call *call, ended = {.view = *view, .how = how};

	if (!gate->ended)
		gate->ended = memory_alloc(sizeof(*gate->ended));
	ended.view.state = "ended";
	if (!gate->ended || !texts_keep(&ended))
		return;
	ended.started_at_s = (json_int_t)clock_wall_s() - (json_int_t)view->duration_s;
	ended.awaits_counters = view->stream_count > 0 && counters_ask(gate, view->id);
	call = &gate->ended->calls[gate->ended->count % ENDED_MAXIMUM];
	if (call->awaits_counters)
		tell(call);
	memory_free(call->texts);
	*call = ended;
	if (!call->awaits_counters)
		tell(call);
	gate->ended->count++;
}

bool gate_ended_on_counters(struct gate *gate, const struct ipc_counters *counters)
{
	struct gate_ended_call *call;

	if (!(counters->request & ENDED_REQUEST))
		return false;
	if (!gate->ended)
		return true;
	call = &gate->ended->calls[(counters->request & ~ENDED_REQUEST) % ENDED_MAXIMUM];
	if (call->awaits_counters && call->view.id == counters->session) {
		call->counters = *counters;
		tell(call);
	}
	return true;
}

void gate_ended_settle(struct gate *gate)
{
	for (size_t i = 0; gate->ended && i < ENDED_MAXIMUM; i++)
		if (gate->ended->calls[i].awaits_counters)
			tell(&gate->ended->calls[i]);
}

static json_t *row_of(const struct gate_ended_call *call)
{
	json_t *row = gate_call_row(&call->view);

	json_object_set_new(row, "ended", json_string(call->how));
	json_object_set_new(row, "started_at_s", json_integer(call->started_at_s));
	gate_call_count(row, &call->counters);
	return row;
}

json_t *gate_ended_rows(const struct gate *gate)
{
	json_t *rows = json_array();

	for (uint64_t i = 0; gate->ended && i < ENDED_MAXIMUM; i++) {
		const struct gate_ended_call *call = &gate->ended->calls[(gate->ended->count + i) % ENDED_MAXIMUM];

		if (call->texts)
			json_array_append_new(rows, row_of(call));
	}
	return rows;
}

void gate_ended_free(struct gate_ended *ended)
{
	for (size_t i = 0; ended && i < ENDED_MAXIMUM; i++)
		memory_free(ended->calls[i].texts);
	memory_free(ended);
}
