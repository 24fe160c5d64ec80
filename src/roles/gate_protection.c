/* SPDX-License-Identifier: Apache-2.0
 * Detection in the gate: what every level reports goes to `detect`, and what that decides is done here: connections closed, calls ended,
 * requests judged; and the commands that show it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/memory.h"
#include "detect/detect.h"
#include "roles/gate.h"
#include "roles/streams.h"

#define EVENTS 1000 /* verdicts that are remembered for `events` */
#define BANS_MAXIMUM 1000
#define WHEN_BYTES 32
#define RECORDS_PER_S 1000
#define SLOW_PLACES 256
#define SLOW_UNPROVEN_PER_S 100
#define SLOW_PER_S 5
#define SLOW_AHEAD_US 1000000

struct protection_event {
	int64_t wall_s;
	struct detect_verdict verdict;
	uint8_t end; /* how it ended, counted from 1; 0: it began */
};

struct gate_protection {
	struct gate *gate;
	struct detect *detect;
	struct event *tick;
	uint8_t key[HASH_KEY_BYTES];       /* of names */
	uint32_t records_left;             /* this second */
	uint64_t slow_due_us[SLOW_PLACES]; /* by hash of whom is slowed */
	uint64_t event_count;
	struct protection_event events[EVENTS]; /* a ring */
};

/* ---- Verdicts ---- */

static void remember(struct gate_protection *protection, const struct detect_verdict *verdict, uint8_t end)
{
	protection->events[protection->event_count++ % EVENTS] =
		(struct protection_event){(int64_t)time(NULL), *verdict, end};
}

/* A call is cut by its number; a connection is closed when it speaks next (gateway_callbacks.judge). */
static void carry_out(struct gate_protection *protection, const struct detect_verdict *verdict)
{
	if (verdict->dry_run || verdict->never)
		return;
	if (verdict->subject.kind == SUBJECT_CALL && verdict->action >= ACTION_CUT)
		gateway_hangup(protection->gate->gateway, verdict->subject.number);
}

static void on_verdict(void *context, const struct detect_verdict *verdict)
{
	struct gate_protection *protection = context;
	char who[DETECT_SUBJECT_TEXT_BYTES];
	static struct log_limit limit;

	if (!verdict->prolonged)
		remember(protection, verdict, 0);
	log_limited(&limit, LOG_NOTICE, "protection", "%s: %s %s%s for %" PRIu64 " s: %s, %u of %u",
		    protection_control_name(verdict->control), protection_action_name(verdict->action),
		    detect_subject_text(&verdict->subject, who),
		    verdict->never     ? " (not done: it is in protection.never_block)"
		    : verdict->dry_run ? " (not done: dry run)"
				       : "",
		    (verdict->until_us - verdict->since_us) / 1000000, evidence_row(verdict->kind)->name, verdict->sum,
		    verdict->threshold);
	carry_out(protection, verdict);
	gate_shield_block(protection->gate, verdict, clock_monotonic_us());
}

static void on_ended(void *context, const struct detect_verdict *verdict, enum detect_end why)
{
	if (why == DETECT_FORGOTTEN) /* else it ends there by itself, or lasts longer */
		gate_shield_unblock(((struct gate_protection *)context)->gate, verdict);
	remember(context, verdict, (uint8_t)(why + 1));
}

static void on_tick(evutil_socket_t descriptor, short what, void *context)
{
	struct gate_protection *protection = context;

	(void)descriptor;
	(void)what;
	protection->records_left = RECORDS_PER_S;
	detect_tick(protection->detect, clock_monotonic_us());
}

/* ---- In and out of the gateway ---- */

/* The store writes it down; a flood is told of in part. */
static void record(struct gate_protection *protection, const struct evidence *evidence)
{
	struct gate *gate = protection->gate;
	struct ipc_message message;

	if (!gate->config || !gate->config->record.findings || !protection->records_left ||
	    !role_peer(gate->role, IPC_ROLE_STORE))
		return;
	protection->records_left--;
	evidence_to_message(evidence, &message);
	role_tell_soon(gate->role, IPC_ROLE_STORE, &message);
}

void gate_evidence(void *context, const struct evidence *evidence)
{
	struct gate *gate = context;

	evidence_put(&gate->evidence, evidence);
	if (!gate->protection)
		return;
	detect_put(gate->protection->detect, evidence);
	record(gate->protection, evidence);
}

/* Who is slowed is not refused: so many requests pass in a second, of all who are unproven together or of one subject. */
static bool pace_take(struct gate_protection *protection, const struct detect_subject *subject, uint64_t now_us)
{
	bool is_everybody = subject->kind == SUBJECT_UNPROVEN;
	uint64_t step_us = 1000000 / (is_everybody ? SLOW_UNPROVEN_PER_S : SLOW_PER_S), *due_us;

	due_us = &protection->slow_due_us[hash_bytes(protection->key, subject, sizeof(*subject)) % SLOW_PLACES];
	if (*due_us > now_us + SLOW_AHEAD_US)
		return false;
	*due_us = (*due_us > now_us ? *due_us : now_us) + step_us;
	return true;
}

enum protection_action gate_judge(void *context, const struct gateway_question *question)
{
	struct gate *gate = context;
	uint64_t now_us = clock_monotonic_us();
	struct detect_verdict verdict;
	const struct detect_question asked = {.source = question->flow->remote,
					      .connection = question->flow->connection,
					      .account = question->account,
					      .target = question->target,
					      .proven = question->proven};

	if (!gate->protection || !detect_find(gate->protection->detect, &asked, now_us, &verdict))
		return ACTION_OFF;
	if (verdict.action == ACTION_SLOW && question->is_request &&
	    pace_take(gate->protection, &verdict.subject, now_us))
		return ACTION_OFF;
	return verdict.action;
}

int gate_protection_apply(struct gate *gate, const struct config *config)
{
	struct gate_protection *protection = gate->protection;
	const struct timeval second = {1, 0};
	struct detect_user user = {.verdict = on_verdict, .ended = on_ended};
	uint8_t key[HASH_KEY_BYTES];

	if (protection)
		return detect_policy_set(protection->detect, &config->protection);
	protection = memory_alloc(sizeof(*protection));
	if (!protection)
		return -ENOMEM;
	protection->gate = gate;
	random_fill(random_system(), protection->key, sizeof(protection->key));
	random_fill(random_system(), key, sizeof(key));
	user.context = protection;
	protection->detect = detect_new(&config->protection, key, &user);
	protection->tick = event_new(role_loop(gate->role), -1, EV_PERSIST, on_tick, protection);
	gate->protection = protection;
	if (protection->detect && protection->tick && event_add(protection->tick, &second) == 0)
		return 0;
	gate_protection_free(gate);
	return -ENOMEM;
}

void gate_protection_free(struct gate *gate)
{
	struct gate_protection *protection = gate->protection;

	if (!protection)
		return;
	if (protection->tick)
		event_free(protection->tick);
	detect_free(protection->detect);
	memory_free_secret(protection, sizeof(*protection));
	gate->protection = NULL;
}

static void again_visit(void *context, const struct detect_verdict *verdict)
{
	gate_shield_block(context, verdict, clock_monotonic_us());
}

void gate_protection_tell_again(struct gate *gate)
{
	if (!gate->protection || !gate->config)
		return;
	gate_shield_never(gate);
	detect_each(gate->protection->detect, clock_monotonic_us(), again_visit, gate);
}

const uint8_t *gate_protection_key(const struct gate *gate)
{
	return gate->protection->key;
}

/* ---- What is shown ---- */

static json_t *verdict_json(const struct detect_verdict *verdict, uint64_t now_us)
{
	char who[DETECT_SUBJECT_TEXT_BYTES];
	uint64_t left_us = verdict->until_us > now_us ? verdict->until_us - now_us : 0;

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:b, s:b}", "who",
			 detect_subject_text(&verdict->subject, who), "kind",
			 evidence_subject_name((enum evidence_subject)verdict->subject.kind), "action",
			 protection_action_name(verdict->action), "control", protection_control_name(verdict->control),
			 "evidence", evidence_row(verdict->kind)->name, "sum", (int)verdict->sum, "threshold",
			 (int)verdict->threshold, "left_s", (json_int_t)(left_us / 1000000), "dry_run",
			 verdict->dry_run, "never", verdict->never);
}

struct bans {
	json_t *rows;
	uint64_t now_us;
};

static void ban_visit(void *context, const struct detect_verdict *verdict)
{
	struct bans *bans = context;

	if (json_array_size(bans->rows) < BANS_MAXIMUM)
		json_array_append_new(bans->rows, verdict_json(verdict, bans->now_us));
}

void gate_handle_bans(void *context, struct control_request *request, const json_t *arguments)
{
	struct gate *gate = context;
	struct bans bans = {json_array(), clock_monotonic_us()};

	(void)arguments;
	detect_each(gate->protection->detect, bans.now_us, ban_visit, &bans);
	gate_shield_list(gate, request, bans.rows);
}

static const char *when_text(int64_t wall_s, char out[WHEN_BYTES])
{
	time_t seconds = (time_t)wall_s;
	struct tm broken;

	gmtime_r(&seconds, &broken);
	strftime(out, WHEN_BYTES, "%Y-%m-%dT%H:%M:%SZ", &broken);
	return out;
}

void gate_handle_events(void *context, struct control_request *request, const json_t *arguments)
{
	static const char *const ends[] = {"began", "expired", "taken back", "replaced"};
	const struct gate_protection *protection = ((struct gate *)context)->protection;
	uint64_t first = protection->event_count > EVENTS ? protection->event_count - EVENTS : 0;
	json_t *rows = json_array();
	char when[WHEN_BYTES];

	(void)arguments;
	for (uint64_t i = first; i < protection->event_count; i++) {
		const struct protection_event *event = &protection->events[i % EVENTS];
		json_t *row = verdict_json(&event->verdict, event->verdict.since_us);

		json_object_set_new(row, "time", json_string(when_text(event->wall_s, when)));
		json_object_set_new(row, "what", json_string(ends[event->end]));
		json_array_append_new(rows, row);
	}
	control_answer(request, json_pack("{s:b, s:o}", "ok", 1, "events", rows));
}

/* ---- Whom a command means ---- */

#define MEANT_MAXIMUM (3 + 3 * CONFIG_ZONES_MAXIMUM)

/* "192.0.2.1", "192.0.2.1:5060", a prefix, or else a user, in every zone of phones. Returns how many subjects that is. */
static size_t subjects_meant(const struct gate *gate, const char *text, struct detect_subject out[MEANT_MAXIMUM])
{
	struct protection_prefix prefix;
	struct address address;
	size_t count = 0;

	if (address_parse(span_from(text), &address) == 0 && address.port) {
		out[count++] = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &address, 0);
		out[count++] = detect_subject(SUBJECT_ADDRESS, &address, 0);
		out[count++] = detect_subject(SUBJECT_PREFIX, &address, 0);
		return count;
	}
	if (protection_prefix_parse(span_from(text), &prefix) == 0) {
		out[count++] = detect_subject(SUBJECT_ADDRESS, &prefix.address, 0);
		out[count++] = detect_subject(SUBJECT_PREFIX, &prefix.address, 0);
		return count;
	}
	for (uint8_t i = 0; i < gate->config->zone_count; i++) {
		uint64_t name =
			evidence_hash(gate->protection->key, span_from(gate->config->zones[i].name), span_from(text));

		if (gate->config->zones[i].kind != ZONE_ACCESS)
			continue;
		out[count++] = detect_subject(SUBJECT_ACCOUNT, &(struct address){0}, name);
		out[count++] = detect_subject(SUBJECT_ADDRESS_OF_RECORD, &(struct address){0}, name);
	}
	return count;
}

static json_t *why_json(const struct gate *gate, const struct detect_subject *subject, uint64_t now_us)
{
	const struct detect *detect = gate->protection->detect;
	struct detect_verdict verdict;
	struct detect_account account;
	char who[DETECT_SUBJECT_TEXT_BYTES];
	json_t *row, *reasons = json_array();

	if (!detect_why(detect, subject, now_us, &account)) {
		json_decref(reasons);
		return NULL;
	}
	for (uint32_t i = 0; i < account.reason_count; i++) {
		const struct detect_reason *reason = &account.reasons[i];

		json_array_append_new(reasons,
				      json_pack("{s:s, s:f, s:I}", "evidence", evidence_row(reason->kind)->name,
						"weight", reason->weight / 256.0, "ago_s",
						(json_int_t)((now_us - reason->last_us) / 1000000)));
	}
	row = json_pack("{s:s, s:s, s:o, s:i, s:b}", "who", detect_subject_text(subject, who), "kind",
			evidence_subject_name((enum evidence_subject)subject->kind), "reasons", reasons, "distinct",
			(int)account.distinct, "known", account.known);
	if (detect_verdict_of(detect, subject, now_us, &verdict))
		json_object_set_new(row, "verdict", verdict_json(&verdict, now_us));
	return row;
}

void gate_handle_why(void *context, struct control_request *request, const json_t *arguments)
{
	const char *text = json_string_value(json_object_get(arguments, "who"));
	struct detect_subject subjects[MEANT_MAXIMUM];
	uint64_t now_us = clock_monotonic_us();
	const struct gate *gate = context;
	json_t *rows = json_array();
	size_t count = text ? subjects_meant(gate, text, subjects) : 0;

	for (size_t i = 0; i < count; i++) {
		json_t *row = why_json(gate, &subjects[i], now_us);

		if (row)
			json_array_append_new(rows, row);
	}
	control_answer(request, json_pack("{s:b, s:o}", "ok", 1, "why", rows));
}

/* Verdicts on what is narrower than, or named like, one of the subjects. */
struct related {
	const struct detect_subject *subjects;
	size_t count;
	struct detect_subject found[BANS_MAXIMUM];
	size_t found_count;
};

static void related_visit(void *context, const struct detect_verdict *verdict)
{
	const struct detect_subject *held = &verdict->subject;
	struct related *related = context;

	for (size_t i = 0; i < related->count && related->found_count < BANS_MAXIMUM; i++) {
		const struct detect_subject *meant = &related->subjects[i];
		bool is_there = meant->kind == SUBJECT_ADDRESS && held->bits >= meant->bits &&
				memcmp(held->address.ip, meant->address.ip, meant->bits / 8) == 0;

		if (is_there || (meant->number && meant->number == held->number)) {
			related->found[related->found_count++] = *held;
			return;
		}
	}
}

static int related_forget(struct detect *detect, const struct detect_subject *subjects, size_t count)
{
	struct related *related = memory_alloc(sizeof(*related));
	uint64_t now_us = clock_monotonic_us();
	int taken = 0;

	if (!related)
		return 0;
	related->subjects = subjects;
	related->count = count;
	detect_each(detect, now_us, related_visit, related);
	for (size_t i = 0; i < related->found_count; i++)
		taken += detect_forget(detect, &related->found[i], now_us);
	memory_free(related);
	return taken;
}

void gate_handle_unban(void *context, struct control_request *request, const json_t *arguments)
{
	const char *text = json_string_value(json_object_get(arguments, "who"));
	struct detect_subject subjects[MEANT_MAXIMUM];
	struct gate *gate = context;
	size_t count = text ? subjects_meant(gate, text, subjects) : 0;
	int taken = 0;

	for (size_t i = 0; i < count; i++)
		taken += detect_forget(gate->protection->detect, &subjects[i], clock_monotonic_us());
	if (count)
		taken += related_forget(gate->protection->detect, subjects, count);
	if (taken)
		control_answer(request, json_pack("{s:b, s:i}", "ok", 1, "taken_back", taken));
	else
		gate_shield_unban(gate, request, text);
}
