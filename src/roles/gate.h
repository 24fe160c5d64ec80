/* SPDX-License-Identifier: Apache-2.0
 * What the files of the gate process share. */
#ifndef RINGWALL_ROLES_GATE_H
#define RINGWALL_ROLES_GATE_H

#include "base/evidence.h"
#include "base/list.h"
#include "call/call.h"
#include "control/control.h"
#include "roles/journal.h"
#include "roles/role.h"

struct gate_listener {
	uint8_t zone, listener, transport;
	struct address local;
	bool kept; /* while a new configuration is taken: also in the new one */
};

struct gate {
	struct role *role;
	struct config *config;
	struct gateway *gateway; /* NULL before the first configuration */
	struct control_server *control;
	struct checkpoint_area *checkpoints; /* NULL: none, calls end with this process */
	struct gate_listener *listeners;
	uint16_t listener_count;
	struct journal *journal;
	struct event *again;  /* while the store cannot write */
	uint32_t store_epoch; /* of what the store was told last from the beginning */
	int store_error;      /* why it cannot write: an errno, 0: it can */
	struct list waiting;  /* commands that wait for the store, the supervisor or media */
	uint64_t last_request;
	uint64_t started_us;
	struct evidence_sink evidence;
	struct ipc_upgrade_state upgrade; /* the last one; number 0: none */
	struct ipc_datapath_state datapath;
	struct gate_protection *protection;
	struct ipc_shield_state shield; /* what drops packets, and why it is no better */
	struct gate_ended *ended;       /* NULL: no call has ended yet */
	bool loading, loaded;
	bool stopping;
};

/* ---- gate_protection.c: detection, and `bans`, `events`, `why`, `unban` ---- */

/* By the configuration's policy, from the first time on. Returns 0 or a negative error. */
int gate_protection_apply(struct gate *gate, const struct config *config);
void gate_protection_free(struct gate *gate);
const uint8_t *gate_protection_key(const struct gate *gate); /* HASH_KEY_BYTES, of names */
void gate_evidence(void *context, const struct evidence *evidence);
enum protection_action gate_judge(void *context, const struct gateway_question *question);
void gate_handle_bans(void *context, struct control_request *request, const json_t *arguments);
void gate_handle_events(void *context, struct control_request *request, const json_t *arguments);
void gate_handle_why(void *context, struct control_request *request, const json_t *arguments);
void gate_handle_unban(void *context, struct control_request *request, const json_t *arguments);

/* ---- gate_shield.c: what goes to the shield and comes from it, and `ban` ---- */

struct detect_verdict;
void gate_shield_block(struct gate *gate, const struct detect_verdict *verdict, uint64_t now_us);
void gate_shield_unblock(struct gate *gate, const struct detect_verdict *verdict);
void gate_shield_never(struct gate *gate); /* the configuration's list */
void gate_shield_on_hit(struct gate *gate, const struct ipc_block_hit *hit);
void gate_shield_on_blocked(struct gate *gate, const struct ipc_blocked *blocked);
void gate_shield_on_done(struct gate *gate, const struct ipc_block_done *done);
/* Answers `bans` with `rows`, which it takes over, and what the shield adds. */
void gate_shield_list(struct gate *gate, struct control_request *request, json_t *rows);
/* Answers `unban` of what detection holds nothing against. */
void gate_shield_unban(struct gate *gate, struct control_request *request, const char *text);
void gate_handle_ban(void *context, struct control_request *request, const json_t *arguments);
/* The shield is a new one: everything that holds is told again. */
void gate_protection_tell_again(struct gate *gate);

/* ---- gate_control.c: the commands of the control socket ---- */

extern const struct control_command gate_commands[];

/* A request that waits for another process. */
struct gate_waiting {
	struct list link;
	uint64_t request; /* what the other process answers with */
	enum ipc_role on;
	struct control_request *control;
	struct ipc_account account; /* to be set or removed once it is stored; user "" otherwise */
	bool is_removal;
	struct gate_calls *calls;
	json_t *rows; /* of the answer so far; NULL: none */
};

void gate_on_stored(struct gate *gate, const struct ipc_stored *stored);
void gate_on_reloaded(struct gate *gate, const struct ipc_reloaded *reloaded);
void gate_on_upgraded(struct gate *gate, const struct ipc_upgraded *upgraded);

/* That process is gone: what waits for it is refused. */
void gate_waiting_refuse(struct gate *gate, enum ipc_role on, const char *reason);

/* A new waiting entry with its number; NULL (and the request refused) when memory is short or too many wait. */
struct gate_waiting *gate_waiting_new(struct gate *gate, enum ipc_role on, struct control_request *control);
struct gate_waiting *gate_waiting_find(struct gate *gate, enum ipc_role on, uint64_t request);
void gate_waiting_free(struct gate_waiting *waiting);

/* ---- gate_calls.c: `calls`, which asks media for its counters ---- */

void gate_handle_calls(void *context, struct control_request *request, const json_t *arguments);
void gate_on_counters(struct gate *gate, const struct ipc_counters *counters);
void gate_calls_free(struct gate_calls *calls);
/* A call as the command shows it; NULL: no memory. And with what media counted of it, if that was found. */
json_t *gate_call_row(const struct gateway_call_view *view);
void gate_call_count(json_t *row, const struct ipc_counters *counters);
/* A side as media counted it: caller's, callee's. */
struct gate_counted_side {
	uint64_t packets_in, packets_out, lost, dropped;
	uint32_t jitter_us, round_trip_us;
};
void gate_call_sides(const struct ipc_counters *counters, struct gate_counted_side sides[2]);
/* How good the side's sound is until it is heard at the other, of which the round trip is known, too. */
double gate_call_opinion(const struct gate_counted_side *side, const struct gate_counted_side *other,
			 const char *codec);

/* ---- gate_ended.c: `calls --ended` ---- */

void gate_call_ended(void *context, const struct gateway_call_view *view, const char *how);
/* True: they were asked for by this file. */
bool gate_ended_on_counters(struct gate *gate, const struct ipc_counters *counters);
void gate_ended_settle(struct gate *gate);        /* media is gone: nothing more comes of what was asked */
json_t *gate_ended_rows(const struct gate *gate); /* the oldest first; the caller's */
void gate_ended_free(struct gate_ended *ended);

#endif
