/* SPDX-License-Identifier: Apache-2.0
 * Transactions carried over from a process that is gone: the peer must not notice that there was another one. */
#include "sip/message_copy.h"
#include "sip/transaction.h"

#include <string.h>

#define KEY_SHORTEST 5 /* bytes before the address in a key */

void sip_server_state_get(const struct sip_server_transaction *server, struct sip_server_state *out)
{
	*out = (struct sip_server_state){
		.flow = server->flow,
		.target = server->target,
		.key = {server->key.bytes, server->key.length},
		.request = server->request ? server->request->bytes : SPAN_EMPTY,
		.response = {server->response, server->response_length},
		.state = server->state,
		.method = server->method,
		.cancelled = server->cancelled,
		.acknowledged = server->acknowledged,
	};
}

void sip_client_state_get(const struct sip_client_transaction *client, struct sip_client_state *out)
{
	*out = (struct sip_client_state){
		.flow = client->flow,
		.bytes = {client->bytes, client->length},
		.state = client->state,
		.method = client->method,
	};
	memcpy(out->branch, client->branch, sizeof(out->branch));
}

/* ---- Server ---- */

/* The request was parsed within the limits of its day: those of today are not asked. */
static struct sip_message *request_copy(struct sip_transactions *transactions, struct span bytes)
{
	struct sip_limits limits = sip_limits_default;
	struct arena arena = arena_over(transactions->arena, TRANSACTION_ARENA_BYTES);
	struct sip_message message, *copy = NULL;
	char *own = memory_alloc(bytes.length);
	size_t consumed;

	if (!own)
		return NULL;
	memcpy(own, bytes.data, bytes.length);
	limits.message_maximum_bytes = limits.body_maximum_bytes = limits.line_maximum_bytes = (uint32_t)bytes.length;
	limits.headers_maximum = UINT16_MAX;
	if (sip_message_parse((struct span){own, bytes.length}, false, &limits, &arena, &message, &consumed) ==
		    SIP_OK &&
	    message.is_request)
		copy = message_copy(&message);
	memory_free(own);
	return copy;
}

static bool server_take(struct sip_server_transaction *server, const struct sip_server_state *state)
{
	struct sip_transactions *transactions = server->transactions;

	server->key.bytes = server->key_inline;
	server->key.length = (uint32_t)state->key.length;
	if (state->key.length > sizeof(server->key_inline))
		server->key.bytes = memory_alloc(state->key.length);
	if (!server->key.bytes)
		return false;
	memcpy(server->key.bytes, state->key.data, state->key.length);
	transaction_key_zone_set(transactions, &server->key, state->flow.zone);
	if (state->request.length)
		server->request = request_copy(transactions, state->request);
	if (state->request.length && !server->request)
		return false;
	return !state->response.length ||
	       transactions_keep(&server->response, &server->response_length, state->response) == 0;
}

static void server_timers_start(struct sip_server_transaction *server)
{
	struct timer_wheel *wheel = server->transactions->wheel;
	const struct sip_transaction_limits *limits = &server->transactions->limits;
	bool is_invite = server->method == SIP_INVITE, is_answered = server->state >= SERVER_COMPLETED;

	if (server->state == SERVER_CONFIRMED)
		timer_start(wheel, &server->end, limits->t4_ms);
	else if (is_answered || !is_invite)
		timer_start(wheel, &server->end, transactions_patience_ms(server->transactions));
	server->interval_ms = limits->t1_ms;
	if (is_invite && (server->state == SERVER_TRYING || (is_answered && server->response && !server->acknowledged)))
		timer_start(wheel, &server->repeat, server->interval_ms);
}

struct sip_server_transaction *sip_server_resume(struct sip_transactions *transactions,
						 const struct sip_server_state *state, void *user)
{
	struct sip_server_transaction *server;

	if (state->state > SERVER_ACCEPTED || state->key.length < KEY_SHORTEST ||
	    state->key.length > TRANSACTION_KEY_MAXIMUM || (state->state < SERVER_COMPLETED && !state->request.length))
		return NULL;
	server = pool_take(transactions->server_pool);
	if (!server)
		return NULL;
	server->transactions = transactions;
	if (!server_take(server, state)) {
		if (server->key.bytes != server->key_inline)
			memory_free(server->key.bytes);
		memory_free(server->request);
		memory_free(server->response);
		pool_give(transactions->server_pool, server);
		return NULL;
	}
	server->flow = state->flow;
	server->target = state->target;
	server->user = user;
	server->state = state->state;
	server->method = state->method;
	server->cancelled = state->cancelled;
	server->acknowledged = state->acknowledged;
	transaction_server_enter(server);
	server_timers_start(server);
	return server;
}

/* ---- Client ---- */

static void client_timers_set(struct sip_client_transaction *client)
{
	struct timer_wheel *wheel = client->transactions->wheel;

	if (client->state == CLIENT_CALLING) /* as if just sent */
		return;
	if (client->state >= CLIENT_COMPLETED || client->method == SIP_INVITE)
		timer_stop(wheel, &client->repeat);
	else
		client->interval_ms = client->transactions->limits.t2_ms;
	if (client->state == CLIENT_PROCEEDING && client->method == SIP_INVITE)
		timer_stop(wheel, &client->end);
}

struct sip_client_transaction *sip_client_resume(struct sip_transactions *transactions,
						 const struct sip_client_state *state, void *user)
{
	struct sip_client_transaction *client;
	bool needs_bytes = state->state < CLIENT_COMPLETED &&
			   (state->method == SIP_INVITE || !transport_is_stream(state->flow.transport));

	if (state->state > CLIENT_ACCEPTED || !state->branch[0] || (needs_bytes && !state->bytes.length))
		return NULL;
	client = pool_take(transactions->client_pool);
	if (!client)
		return NULL;
	if (state->bytes.length && transactions_keep(&client->bytes, &client->length, state->bytes)) {
		pool_give(transactions->client_pool, client);
		return NULL;
	}
	client->transactions = transactions;
	client->flow = state->flow;
	memcpy(client->branch, state->branch, sizeof(client->branch));
	client->method = state->method;
	client->state = state->state;
	client->user = user;
	transaction_client_enter(client);
	client_timers_set(client);
	return client;
}
