/* SPDX-License-Identifier: Apache-2.0
 * `ringwall calls --ended`: the last calls that were answered and have ended, with what media had counted. Calls that nobody answered
 * are not among them, as whoever may call at all could push the others out with those. They end with this process. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "roles/gate.h"

#define ENDED_MAXIMUM 1000
#define ENDED_REQUEST (UINT64_C(1) << 63) /* apart from the numbers of commands */

struct gate_ended_call {
	json_t *row; /* NULL: none yet */
	uint64_t id;
	bool awaits_counters; /* and has not been told to the log */
};

struct gate_ended {
	uint64_t count; /* since the start; the next one's place is this, modulo */
	struct gate_ended_call calls[ENDED_MAXIMUM];
};

static void leg_tell(const json_t *row, const char *which, char text[80])
{
	const json_t *media = json_object_get(json_object_get(row, which), "media"),
		     *score = json_object_get(media, "opinion_score");
	double packets = json_number_value(json_object_get(media, "packets_in"));
	double lost = json_number_value(json_object_get(media, "lost"));

	if (!media)
		snprintf(text, 80, "not known");
	else if (packets + lost == 0)
		snprintf(text, 80, "nothing heard");
	else if (score)
		snprintf(text, 80, "%.1f %% lost, %.1f ms jitter, MOS %.1f", 100 * lost / (packets + lost),
			 json_number_value(json_object_get(media, "jitter_ms")), json_number_value(score));
	else
		snprintf(text, 80, "%.1f %% lost", 100 * lost / (packets + lost));
}

/* Nobody's name or number: those are in `ringwall calls`. */
static void tell(struct gate_ended_call *call)
{
	char caller[80], callee[80];

	call->awaits_counters = false;
	leg_tell(call->row, "caller", caller);
	leg_tell(call->row, "callee", callee);
	log_write(LOG_INFO, "gate",
		  "call %" PRIx64 " ended after %" JSON_INTEGER_FORMAT " s: %s; caller: %s; callee: %s", call->id,
		  json_integer_value(json_object_get(call->row, "duration_s")),
		  json_string_value(json_object_get(call->row, "ended")), caller, callee);
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
	struct gate_ended_call *call;
	json_t *row;

	if (!gate->ended)
		gate->ended = memory_alloc(sizeof(*gate->ended));
	row = gate->ended ? gate_call_row(view) : NULL;
	if (!row)
		return;
	json_object_set_new(row, "state", json_string("ended"));
	json_object_set_new(row, "ended", json_string(how));
	json_object_set_new(row, "started_at_s", json_integer(clock_wall_s() - (json_int_t)view->duration_s));
	call = &gate->ended->calls[gate->ended->count % ENDED_MAXIMUM];
	if (call->awaits_counters)
		tell(call);
	json_decref(call->row);
	*call = (struct gate_ended_call){row, view->id, view->stream_count > 0 && counters_ask(gate, view->id)};
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
	if (call->awaits_counters && call->id == counters->session) {
		gate_call_count(call->row, counters);
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

json_t *gate_ended_rows(const struct gate *gate)
{
	json_t *rows = json_array();

	for (uint64_t i = 0; gate->ended && i < ENDED_MAXIMUM; i++)
		json_array_append(rows, gate->ended->calls[(gate->ended->count + i) % ENDED_MAXIMUM].row);
	return rows;
}

void gate_ended_free(struct gate_ended *ended)
{
	for (size_t i = 0; ended && i < ENDED_MAXIMUM; i++)
		json_decref(ended->calls[i].row);
	memory_free(ended);
}
