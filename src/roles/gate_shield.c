/* SPDX-License-Identifier: Apache-2.0
 * The gate and the shield: verdicts on addresses go to the kernel, and what it still drops comes back as evidence; `ban`, and the part of
 * `bans` that the shield knows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "detect/detect.h"
#include "roles/gate.h"

#define ROWS_MAXIMUM 5000 /* of `bans` */

static void tell(struct gate *gate, const struct ipc_message *message)
{
	if (role_peer(gate->role, IPC_ROLE_SHIELD))
		(void)role_tell_soon(gate->role, IPC_ROLE_SHIELD, message);
}

/* The kernel's table is of addresses and prefixes. Who is blocked by his port alone is dropped by the gate (gateway_callbacks.judge), so
 * that others at his address go on. */
static bool is_for_kernel(const struct detect_verdict *verdict)
{
	return verdict->action == ACTION_BLOCK && !verdict->dry_run && !verdict->never &&
	       (verdict->subject.kind == SUBJECT_ADDRESS || verdict->subject.kind == SUBJECT_PREFIX);
}

void gate_shield_block(struct gate *gate, const struct detect_verdict *verdict, uint64_t now_us)
{
	struct ipc_message message = {.type = IPC_BLOCK, .descriptor = -1};
	uint64_t left_us = verdict->until_us > now_us ? verdict->until_us - now_us : 0;

	if (!is_for_kernel(verdict) || !left_us)
		return;
	message.block.address = verdict->subject.address;
	message.block.bits = verdict->subject.bits;
	message.block.seconds = (uint32_t)(left_us / 1000000) + 1;
	snprintf(message.block.reason, sizeof(message.block.reason), "%s: %s",
		 protection_control_name(verdict->control), evidence_row(verdict->kind)->name);
	tell(gate, &message);
}

void gate_shield_unblock(struct gate *gate, const struct detect_verdict *verdict)
{
	struct ipc_message message = {.type = IPC_UNBLOCK, .descriptor = -1};

	if (!is_for_kernel(verdict))
		return;
	message.unblock.address = verdict->subject.address;
	message.unblock.bits = verdict->subject.bits;
	tell(gate, &message);
}

void gate_shield_never(struct gate *gate)
{
	const struct protection *protection = &gate->config->protection;
	struct ipc_message message = {.type = IPC_NEVER, .descriptor = -1, .never = {.first = true}};

	for (uint32_t i = 0; i < protection->never_count; i++) {
		message.never.address = protection->never[i].address;
		message.never.bits = protection->never[i].bits;
		message.never.last = i + 1 == protection->never_count;
		tell(gate, &message);
		message.never.first = false;
	}
	if (protection->never_count)
		return;
	message.never.last = true;
	tell(gate, &message);
}

/* It proves nothing about who sends, but that it goes on: a verdict that holds is prolonged by it (THREATS F3). */
void gate_shield_on_hit(struct gate *gate, const struct ipc_block_hit *hit)
{
	struct evidence evidence = {.kind = EVIDENCE_KERNEL_BLOCKED,
				    .count = hit->packets < UINT32_MAX ? (uint32_t)hit->packets : UINT32_MAX,
				    .source = hit->address,
				    .time_us = clock_monotonic_us()};

	gate_evidence(gate, &evidence);
}

/* ---- Commands ---- */

static void ask(struct gate *gate, struct control_request *request, struct ipc_message *message, uint64_t *number,
		json_t *rows)
{
	struct gate_waiting *waiting;
	int error;

	if (!role_peer(gate->role, IPC_ROLE_SHIELD)) {
		json_decref(rows);
		control_refuse(request, "the shield process does not run just now; please ask again");
		return;
	}
	waiting = gate_waiting_new(gate, IPC_ROLE_SHIELD, request);
	if (!waiting) {
		json_decref(rows);
		return;
	}
	waiting->rows = rows;
	*number = waiting->request;
	error = role_tell(gate->role, IPC_ROLE_SHIELD, message);
	if (!error)
		return;
	control_refuse(request, "the shield process cannot be asked now: %s", strerror(-error));
	gate_waiting_free(waiting);
}

void gate_shield_list(struct gate *gate, struct control_request *request, json_t *rows)
{
	struct ipc_message message = {.type = IPC_BLOCKS_GET, .descriptor = -1};

	if (!role_peer(gate->role, IPC_ROLE_SHIELD)) {
		control_answer(request, json_pack("{s:b, s:o}", "ok", 1, "bans", rows));
		return;
	}
	ask(gate, request, &message, &message.blocks_get.request, rows);
}

static json_t *blocked_json(const struct ipc_blocked *blocked)
{
	char text[ADDRESS_TEXT_BYTES + 8], address[ADDRESS_TEXT_BYTES];

	snprintf(text, sizeof(text), "%s/%u", address_text(&blocked->address, address), blocked->bits);
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:I, s:b, s:b}", "who", text, "kind",
			 blocked->by_hand ? "by hand" : "in the kernel", "action", "block", "reason", blocked->reason,
			 "left_s", (json_int_t)blocked->left_s, "for_good", blocked->for_good, "dropped",
			 (json_int_t)blocked->hits, "dry_run", 0, "never", 0);
}

void gate_shield_on_blocked(struct gate *gate, const struct ipc_blocked *blocked)
{
	struct gate_waiting *waiting = gate_waiting_find(gate, IPC_ROLE_SHIELD, blocked->request);

	if (waiting && waiting->rows && json_array_size(waiting->rows) < ROWS_MAXIMUM)
		json_array_append_new(waiting->rows, blocked_json(blocked));
}

void gate_shield_on_done(struct gate *gate, const struct ipc_block_done *done)
{
	struct gate_waiting *waiting = gate_waiting_find(gate, IPC_ROLE_SHIELD, done->request);

	if (!waiting)
		return;
	if (waiting->rows)
		control_answer(waiting->control, json_pack("{s:b, s:O}", "ok", 1, "bans", waiting->rows));
	else if (done->error)
		control_refuse(waiting->control, "%s", *done->text ? done->text : strerror((int)done->error));
	else
		control_answer(waiting->control, json_pack("{s:b, s:i}", "ok", 1, "taken_back", 1));
	gate_waiting_free(waiting);
}

static bool prefix_take(const json_t *arguments, struct protection_prefix *prefix)
{
	const char *text = json_string_value(json_object_get(arguments, "who"));

	return text && protection_prefix_parse(span_from(text), prefix) == 0;
}

void gate_handle_ban(void *context, struct control_request *request, const json_t *arguments)
{
	const char *reason = json_string_value(json_object_get(arguments, "reason"));
	json_int_t seconds = json_integer_value(json_object_get(arguments, "seconds"));
	struct ipc_message message = {.type = IPC_BLOCK, .descriptor = -1, .block = {.by_hand = true}};
	struct protection_prefix prefix;
	struct gate *gate = context;

	if (!prefix_take(arguments, &prefix) || seconds < 0 || seconds > UINT32_MAX) {
		control_refuse(request, "an address or a prefix such as 192.0.2.0/24 is needed");
		return;
	}
	if (!strcmp(gate->shield.backend, "none")) {
		control_refuse(request, "nothing here can drop packets: %s", gate->shield.reason);
		return;
	}
	message.block.address = prefix.address;
	message.block.bits = prefix.bits;
	message.block.seconds = (uint32_t)seconds;
	snprintf(message.block.reason, sizeof(message.block.reason), "%s", reason ? reason : "by hand");
	ask(gate, request, &message, &message.block.request, NULL);
}

void gate_shield_unban(struct gate *gate, struct control_request *request, const char *text)
{
	struct ipc_message message = {.type = IPC_UNBLOCK, .descriptor = -1};
	struct protection_prefix prefix;

	if (!text || protection_prefix_parse(span_from(text), &prefix)) {
		control_refuse(request, "nothing is held against %s", text ? text : "nobody");
		return;
	}
	message.unblock.address = prefix.address;
	message.unblock.bits = prefix.bits;
	ask(gate, request, &message, &message.unblock.request, NULL);
}
