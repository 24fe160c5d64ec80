/* SPDX-License-Identifier: Apache-2.0
 * What the commands show: calls, registrations, accounts, counters. */
#include "call/calls.h"
#include "call/phones.h"

static const char *state_name(enum call_state state)
{
	static const char *const names[] = {"calling", "ringing", "established", "ending"};

	return names[state];
}

static const char *encryption_name(const struct session_stream *stream, uint8_t leg)
{
	if (stream->end_to_end)
		return "end to end";
	if (stream->suites[leg])
		return sdp_suite_name(stream->suites[leg]);
	return stream->keyings[leg].dtls.handshake ? "under way" : "none";
}

static const char *keying_name(const struct session_stream *stream, uint8_t leg)
{
	if (stream->end_to_end || stream->keyings[leg].dtls.handshake)
		return "dtls";
	return stream->suites[leg] ? "sdes" : "";
}

static void leg_view(const struct call *call, uint8_t index, struct gateway_call_leg *out)
{
	const struct leg *leg = &call->legs[index];
	const struct session_stream *active = NULL;

	for (uint8_t i = 0; i < call->session.stream_count && !active; i++)
		if (call->session.streams[i].active)
			active = &call->session.streams[i];
	*out = (struct gateway_call_leg){
		.zone = gateway_zone(call->gateway, leg->zone)->name,
		.user = leg->account ? leg->account : "",
		.codec = active ? active->codec : "",
		.encryption = active ? encryption_name(active, index) : "",
		.keying = active ? keying_name(active, index) : "",
		.transport = transport_name(leg->flow.transport),
		.peer = leg->flow.remote,
	};
}

static uint8_t active_streams(const struct call *call)
{
	uint8_t count = 0;

	for (uint8_t i = 0; i < call->session.stream_count; i++)
		count += call->session.streams[i].active;
	return count;
}

void call_view(const struct call *call, struct gateway_call_view *out)
{
	*out = (struct gateway_call_view){.id = call->id, .state = state_name(call->state)};
	if (call->state == CALL_ESTABLISHED)
		out->duration_s = (uint32_t)((clock_monotonic_us() - call->answered_us) / 1000000);
	out->stream_count = active_streams(call);
	out->payer = call->payer ? call->payer : "";
	leg_view(call, CALLER, &out->legs[CALLER]);
	leg_view(call, CALLEE, &out->legs[CALLEE]);
}

void gateway_calls_each(struct gateway *gateway, void (*visit)(void *context, const struct gateway_call_view *view),
			void *context)
{
	list_each(link, &gateway->all_calls) {
		struct call *call = list_object(link, struct call, in_all);
		struct gateway_call_view view;

		if (call->state == CALL_ENDING)
			continue;
		call_view(call, &view);
		visit(context, &view);
	}
}

struct visit_bindings {
	struct gateway *gateway;
	void (*visit)(void *context, const struct gateway_binding_view *view);
	void *context;
};

static void binding_view(void *context, struct table_link *link)
{
	struct visit_bindings *visit = context;
	struct binding *binding = table_object(link, struct binding, by_token);
	int64_t left = (int64_t)binding->expires_at_s - clock_wall_s();
	struct gateway_binding_view view = {
		.account = binding->owner->account,
		.zone = gateway_zone(visit->gateway, binding->zone)->name,
		.contact = binding->contact,
		.transport = transport_name(binding->flow.transport),
		.user_agent = binding->user_agent,
		.remote = binding->flow.remote,
		.expires_s = left > 0 ? (uint32_t)left : 0,
		.reachable = binding_reachable(binding),
	};

	visit->visit(visit->context, &view);
}

void gateway_bindings_each(struct gateway *gateway,
			   void (*visit)(void *context, const struct gateway_binding_view *view), void *context)
{
	struct visit_bindings all = {gateway, visit, context};

	table_each(gateway->bindings, binding_view, &all);
}

struct visit_accounts {
	void (*visit)(void *context, const struct ipc_account *account);
	void *context;
};

static void account_view(void *context, struct table_link *link)
{
	struct visit_accounts *visit = context;

	visit->visit(visit->context, &table_object(link, struct account, link)->record);
}

void gateway_accounts_each(struct gateway *gateway, void (*visit)(void *context, const struct ipc_account *account),
			   void *context)
{
	struct visit_accounts all = {visit, context};

	table_each(gateway->accounts, account_view, &all);
}

void gateway_status_get(struct gateway *gateway, struct gateway_status *out)
{
	struct sip_transaction_statistics transactions;
	struct net_statistics net;

	sip_transactions_statistics(gateway_transactions(gateway), &transactions);
	net_statistics_get(gateway_net(gateway), &net);
	*out = (struct gateway_status){
		.counters = gateway->counters,
		.calls = table_count(gateway->calls),
		.bindings = table_count(gateway->bindings),
		.subscriptions = pool_alive(gateway->subscription_pool),
		.accounts = table_count(gateway->accounts),
		.transactions = transactions.servers_alive + transactions.clients_alive,
		.connections = net.connections_open,
		.rejects = transport_rejects(gateway->transport),
	};
	out->counters.answers_withheld = transport_answers_withheld(gateway->transport);
}
