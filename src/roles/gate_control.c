/* SPDX-License-Identifier: Apache-2.0
 * What the `ringwall` commands may ask of the gate: one table, one function a command. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "roles/gate.h"
#include "roles/roles.h"

#define WAITING_MAXIMUM 64

/* ---- Requests that wait for another process ---- */

struct gate_waiting *gate_waiting_new(struct gate *gate, enum ipc_role on, struct control_request *control)
{
	struct gate_waiting *waiting;
	unsigned count = 0;

	list_each(link, &gate->waiting)
		count++;
	waiting = count < WAITING_MAXIMUM ? memory_alloc(sizeof(*waiting)) : NULL;
	if (!waiting) {
		control_refuse(control, count < WAITING_MAXIMUM ? "no memory" : "too many commands at a time");
		return NULL;
	}
	waiting->request = ++gate->last_request;
	waiting->on = on;
	waiting->control = control;
	list_append(&gate->waiting, &waiting->link);
	return waiting;
}

struct gate_waiting *gate_waiting_find(struct gate *gate, enum ipc_role on, uint64_t request)
{
	list_each(link, &gate->waiting) {
		struct gate_waiting *waiting = list_object(link, struct gate_waiting, link);

		if (waiting->on == on && waiting->request == request)
			return waiting;
	}
	return NULL;
}

void gate_waiting_free(struct gate_waiting *waiting)
{
	list_remove(&waiting->link);
	gate_calls_free(waiting->calls);
	json_decref(waiting->rows);
	memory_free_secret(waiting, sizeof(*waiting));
}

void gate_waiting_refuse(struct gate *gate, enum ipc_role on, const char *reason)
{
	list_each(link, &gate->waiting) {
		struct gate_waiting *waiting = list_object(link, struct gate_waiting, link);

		if (waiting->on != on)
			continue;
		control_refuse(waiting->control, "%s", reason);
		gate_waiting_free(waiting);
	}
}

/* Tells the process and waits; refuses at once when it cannot be told. */
static void ask(struct gate *gate, struct gate_waiting *waiting, const struct ipc_message *message)
{
	int error = role_tell(gate->role, waiting->on, message);

	if (!error)
		return;
	control_refuse(waiting->control, "the %s process cannot be asked now: %s", ipc_role_name(waiting->on),
		       strerror(-error));
	gate_waiting_free(waiting);
}

/* ---- status ---- */

static json_t *address_json(const struct address *address)
{
	char text[ADDRESS_TEXT_BYTES];

	return json_string(address_text(address, text));
}

static json_t *zones_json(const struct config *config)
{
	json_t *zones = json_array();

	for (uint8_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];
		json_t *listeners = json_array();

		for (uint8_t k = 0; k < zone->listener_count; k++)
			json_array_append_new(listeners, json_string(zone->listeners[k].text));
		json_array_append_new(zones,
				      json_pack("{s:s, s:s, s:s, s:o}", "name", zone->name, "kind",
						zone_kind_name(zone->kind), "encryption",
						zone_encryption_name(zone->media.encryption), "listen", listeners));
	}
	return zones;
}

static void trunk_add(void *context, const struct gateway_trunk_view *view)
{
	json_array_append_new(context,
			      json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:s}", "zone", view->zone, "user", view->user,
					"state", view->state, "registered_s", view->registered_s, "expires_s",
					view->expires_s, "next_s", view->next_s, "failure", view->failure));
}

static json_t *trunks_json(struct gateway *gateway)
{
	json_t *trunks = json_array();

	gateway_trunks_each(gateway, trunk_add, trunks);
	return trunks;
}

static void peer_add(void *context, const struct gateway_peer_view *view)
{
	char text[ADDRESS_TEXT_BYTES] = "";

	if (view->address.family)
		address_text(&view->address, text);
	json_array_append_new(context, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:f}", "zone", view->zone, "peer",
						 view->peer, "address", text, "transport", view->transport, "state",
						 view->state, "reason", view->reason, "since_s", (int)view->since_s,
						 "round_trip_ms", view->round_trip_us / 1000.0));
}

static json_t *peers_json(struct gateway *gateway)
{
	json_t *peers = json_array();

	gateway_peers_each(gateway, peer_add, peers);
	return peers;
}

static json_t *counters_json(const struct gateway_counters *counters)
{
	json_t *object = json_object();

#define X(name, help) json_object_set_new(object, #name, json_integer((json_int_t)counters->name));
	GATEWAY_COUNTERS(X)
#undef X
	return object;
}

static json_t *rejects_json(const uint64_t *rejects)
{
	json_t *object = json_object();

	for (int i = 0; i < SIP_REJECT_COUNT; i++)
		if (rejects && rejects[i])
			json_object_set_new(object, sip_reject_row(i)->metric, json_integer((json_int_t)rejects[i]));
	return object;
}

static json_t *evidence_json(const struct evidence_sink *sink)
{
	json_t *object = json_object();

	for (int i = 0; i < EVIDENCE_KIND_COUNT; i++)
		if (sink->counts[i])
			json_object_set_new(object, evidence_row((enum evidence_kind)i)->name,
					    json_integer((json_int_t)sink->counts[i]));
	return object;
}

static json_t *network_json(struct gate *gate)
{
	struct net_statistics net;

	net_statistics_get(gateway_net(gate->gateway), &net);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "datagrams_in", (json_int_t)net.datagrams_in,
			 "datagrams_out", (json_int_t)net.datagrams_out, "datagrams_dropped",
			 (json_int_t)net.datagrams_dropped, "connections_accepted",
			 (json_int_t)net.connections_accepted, "connections_refused",
			 (json_int_t)net.connections_refused, "handshakes_failed", (json_int_t)net.handshakes_failed);
}

static json_t *upgrade_json(const struct ipc_upgrade_state *upgrade)
{
	static const char *const states[] = {"none", "running", "done", "failed"};

	return json_pack("{s:i, s:s, s:s}", "number", (int)upgrade->number, "state",
			 states[upgrade->state <= IPC_UPGRADE_FAILED ? upgrade->state : 0], "text", upgrade->text);
}

static void handle_status(void *context, struct control_request *request, const json_t *arguments)
{
	struct gateway_status status = {0};
	struct gate *gate = context;
	json_t *answer;

	(void)arguments;
	gateway_status_get(gate->gateway, &status);
	answer = json_pack(
		"{s:b, s:s, s:b, s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "ok", 1,
		"version", RINGWALL_VERSION, "ready", gate->loaded, "domain", gate->config->site.domain, "uptime_s",
		(json_int_t)((clock_monotonic_us() - gate->started_us) / 1000000), "calls", status.calls,
		"registrations", status.bindings, "subscriptions", status.subscriptions, "accounts", status.accounts,
		"transactions", status.transactions, "connections", status.connections, "media",
		role_peer(gate->role, IPC_ROLE_MEDIA) != NULL, "store", role_peer(gate->role, IPC_ROLE_STORE) != NULL,
		"counters", counters_json(&status.counters), "rejects", rejects_json(status.rejects), "network",
		network_json(gate), "zones", zones_json(gate->config), "trunks", trunks_json(gate->gateway));
	json_object_set_new(answer, "store_error", json_string(gate->store_error ? strerror(gate->store_error) : ""));
	json_object_set_new(answer, "store_waiting", json_integer(journal_count(gate->journal)));
	json_object_set_new(answer, "evidence", evidence_json(&gate->evidence));
	json_object_set_new(answer, "peers", peers_json(gate->gateway));
	json_object_set_new(answer, "datapath", json_string(gate->datapath.text));
	json_object_set_new(answer, "shield",
			    json_pack("{s:s, s:s, s:i, s:i}", "by", gate->shield.backend, "reason", gate->shield.reason,
				      "blocks", (int)gate->shield.blocks, "maximum", (int)gate->shield.maximum));
	json_object_set_new(answer, "upgrade", upgrade_json(&gate->upgrade));
	control_answer(request, answer);
}

/* ---- registrations, hangup, reload ---- */

static void binding_add(void *context, const struct gateway_binding_view *view)
{
	json_array_append_new(context,
			      json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:i, s:b}", "account", view->account, "zone",
					view->zone, "contact", view->contact, "transport", view->transport,
					"user_agent", view->user_agent, "remote", address_json(&view->remote),
					"expires_s", view->expires_s, "reachable", view->reachable));
}

static void handle_registrations(void *context, struct control_request *request, const json_t *arguments)
{
	json_t *rows = json_array();
	struct gate *gate = context;

	(void)arguments;
	gateway_bindings_each(gate->gateway, binding_add, rows);
	control_answer(request, json_pack("{s:b, s:o}", "ok", 1, "registrations", rows));
}

static void handle_hangup(void *context, struct control_request *request, const json_t *arguments)
{
	const char *text = json_string_value(json_object_get(arguments, "call"));
	struct gate *gate = context;
	char *end = NULL;
	uint64_t call = 0;

	if (text && *text && strspn(text, "0123456789abcdefABCDEF") == strlen(text) && strlen(text) <= 16)
		call = strtoull(text, &end, 16);
	if (!end || gateway_hangup(gate->gateway, call))
		control_refuse(request, "there is no call %s", text ? text : "without a number");
	else
		control_answer(request, json_pack("{s:b}", "ok", 1));
}

static void handle_reload(void *context, struct control_request *request, const json_t *arguments)
{
	struct gate *gate = context;
	struct gate_waiting *waiting = gate_waiting_new(gate, IPC_ROLE_SUPERVISOR, request);
	struct ipc_message message = {.type = IPC_RELOAD, .descriptor = -1};

	(void)arguments;
	if (!waiting)
		return;
	message.reload.request = waiting->request;
	ask(gate, waiting, &message);
}

void gate_on_reloaded(struct gate *gate, const struct ipc_reloaded *reloaded)
{
	struct gate_waiting *waiting = gate_waiting_find(gate, IPC_ROLE_SUPERVISOR, reloaded->request);

	if (!reloaded->request) /* the supervisor is another one, which knows of no request */
		gate_waiting_refuse(gate, IPC_ROLE_SUPERVISOR, reloaded->text);
	if (!waiting)
		return;
	if (reloaded->done)
		control_answer(waiting->control, json_pack("{s:b, s:s}", "ok", 1, "text", reloaded->text));
	else
		control_refuse(waiting->control, "%s", reloaded->text);
	gate_waiting_free(waiting);
}

/* ---- upgrade ---- */

/* The connection that asks will not outlive this process: what becomes of it is in `status`. */
static void handle_upgrade(void *context, struct control_request *request, const json_t *arguments)
{
	struct ipc_message message = {.type = IPC_UPGRADE, .descriptor = -1};
	struct gate *gate = context;
	struct gate_waiting *waiting;

	(void)arguments;
	/* They are nowhere but in this process. */
	if (gate->store_error) {
		control_refuse(request,
			       "nothing changed: the store cannot write (%s), and %u registrations wait for it",
			       strerror(gate->store_error), journal_count(gate->journal));
		return;
	}
	waiting = gate_waiting_new(gate, IPC_ROLE_SUPERVISOR, request);
	if (!waiting)
		return;
	message.upgrade.request = waiting->request;
	ask(gate, waiting, &message);
}

void gate_on_upgraded(struct gate *gate, const struct ipc_upgraded *upgraded)
{
	struct gate_waiting *waiting = gate_waiting_find(gate, IPC_ROLE_SUPERVISOR, upgraded->request);

	if (!waiting)
		return;
	if (upgraded->begun)
		control_answer(waiting->control, json_pack("{s:b, s:i, s:s}", "ok", 1, "number", (int)upgraded->number,
							   "text", upgraded->text));
	else
		control_refuse(waiting->control, "%s", upgraded->text);
	gate_waiting_free(waiting);
}

/* ---- accounts ---- */

static void account_add(void *context, const struct ipc_account *account)
{
	json_array_append_new(context,
			      json_pack("{s:s, s:s, s:b, s:b, s:I}", "user", account->user, "realm", account->realm,
					"md5", *account->ha1_md5 != 0, "sha256", *account->ha1_sha256 != 0,
					"created_at_s", (json_int_t)account->created_at_s));
}

static void handle_account_list(void *context, struct control_request *request, const json_t *arguments)
{
	json_t *rows = json_array();
	struct gate *gate = context;

	(void)arguments;
	gateway_accounts_each(gate->gateway, account_add, rows);
	control_answer(request, json_pack("{s:b, s:o}", "ok", 1, "accounts", rows));
}

struct account_search {
	const char *user;
	struct ipc_account *found; /* NULL: only whether it is there */
	bool is_there;
};

static void account_compare(void *context, const struct ipc_account *account)
{
	struct account_search *search = context;

	if (strcmp(account->user, search->user) != 0)
		return;
	search->is_there = true;
	if (search->found)
		*search->found = *account;
}

static bool account_find(struct gate *gate, const char *user, struct ipc_account *out)
{
	struct account_search search = {user, out, false};

	gateway_accounts_each(gate->gateway, account_compare, &search);
	return search.is_there;
}

static bool text_take(const json_t *arguments, const char *name, char *out, size_t capacity)
{
	const char *text = json_string_value(json_object_get(arguments, name));

	return text && span_copy(span_from(text), out, capacity) == 0;
}

static bool hex_is(const char *text, size_t length)
{
	return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

bool account_user_is_plain(const char *user)
{
	return user[strspn(user, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/")] ==
	       0;
}

/* Reads what was hashed at the command line: the password itself never comes here. Says what is wrong, or NULL. */
static const char *account_read(const json_t *arguments, const char *domain, struct ipc_account *account)
{
	if (!text_take(arguments, "user", account->user, sizeof(account->user)) || !*account->user)
		return "the user is missing or too long";
	if (!account_user_is_plain(account->user)) /* whoever asks may be no command of ours */
		return "the user holds what cannot stand in a SIP URI";
	if (!text_take(arguments, "realm", account->realm, sizeof(account->realm)) ||
	    strcmp(account->realm, domain) != 0)
		return "the realm is not this gateway's site.domain; was the configuration changed without a reload?";
	if (!text_take(arguments, "ha1_sha256", account->ha1_sha256, sizeof(account->ha1_sha256)) ||
	    !hex_is(account->ha1_sha256, 64))
		return "ha1_sha256 is no SHA-256 hash in hexadecimal";
	if (!text_take(arguments, "ha1_md5", account->ha1_md5, sizeof(account->ha1_md5)) ||
	    (*account->ha1_md5 && !hex_is(account->ha1_md5, 32)))
		return "ha1_md5 is no MD5 hash in hexadecimal";
	return NULL;
}

/* add and password differ only in whether the account must be there. */
static void account_save(struct gate *gate, struct control_request *request, const json_t *arguments, bool is_new)
{
	struct ipc_account account = {.created_at_s = (uint64_t)clock_wall_s()}, old;
	struct ipc_message message = {.type = IPC_ACCOUNT, .descriptor = -1};
	const char *error = account_read(arguments, gate->config->site.domain, &account);
	struct gate_waiting *waiting = NULL;

	if (error)
		control_refuse(request, "%s", error);
	else if (account_find(gate, account.user, &old) == is_new)
		control_refuse(
			request,
			is_new ? "account %s exists already; to change its password: ringwall account password %s"
			       : "there is no account %s; to make it: ringwall account add %s",
			account.user, account.user);
	else
		waiting = gate_waiting_new(gate, IPC_ROLE_STORE, request);
	if (waiting) {
		if (!is_new)
			account.created_at_s = old.created_at_s;
		account.request = waiting->request;
		waiting->account = account;
		message.account = account;
		ask(gate, waiting, &message);
	}
	memory_wipe(&account, sizeof(account));
	memory_wipe(&old, sizeof(old));
	memory_wipe(&message.account, sizeof(message.account));
}

static void handle_account_add(void *context, struct control_request *request, const json_t *arguments)
{
	account_save(context, request, arguments, true);
}

static void handle_account_password(void *context, struct control_request *request, const json_t *arguments)
{
	account_save(context, request, arguments, false);
}

static void handle_account_remove(void *context, struct control_request *request, const json_t *arguments)
{
	struct ipc_message message = {.type = IPC_ACCOUNT_REMOVE, .descriptor = -1};
	char user[sizeof(message.account_remove.user)];
	struct gate_waiting *waiting;
	struct gate *gate = context;

	if (!text_take(arguments, "user", user, sizeof(user)) || !account_find(gate, user, NULL)) {
		control_refuse(request, "there is no such account");
		return;
	}
	waiting = gate_waiting_new(gate, IPC_ROLE_STORE, request);
	if (!waiting)
		return;
	waiting->is_removal = true;
	memcpy(waiting->account.user, user, sizeof(user));
	message.account_remove.request = waiting->request;
	memcpy(message.account_remove.user, user, sizeof(user));
	ask(gate, waiting, &message);
}

/* On the disk, so in force. */
void gate_on_stored(struct gate *gate, const struct ipc_stored *stored)
{
	struct gate_waiting *waiting = gate_waiting_find(gate, IPC_ROLE_STORE, stored->request);

	if (!waiting)
		return;
	if (stored->error) {
		control_refuse(waiting->control, "the database cannot be written: %s", strerror((int)stored->error));
	} else {
		if (waiting->is_removal)
			gateway_account_remove(gate->gateway, waiting->account.user);
		else
			gateway_account_set(gate->gateway, &waiting->account);
		control_answer(waiting->control, json_pack("{s:b}", "ok", 1));
	}
	gate_waiting_free(waiting);
}

const struct control_command gate_commands[] = {
	{"status", handle_status},
	{"calls", gate_handle_calls},
	{"registrations", handle_registrations},
	{"hangup", handle_hangup},
	{"bans", gate_handle_bans},
	{"events", gate_handle_events},
	{"ban", gate_handle_ban},
	{"why", gate_handle_why},
	{"unban", gate_handle_unban},
	{"reload", handle_reload},
	{"upgrade", handle_upgrade},
	{"account_list", handle_account_list},
	{"account_add", handle_account_add},
	{"account_password", handle_account_password},
	{"account_remove", handle_account_remove},
	{NULL, NULL},
};
