/* SPDX-License-Identifier: Apache-2.0
 * Client transactions: RFC 3261 section 17.1 with the Accepted state of RFC 6026, and CANCEL (section 9.1). */
#include "sip/transaction.h"

#include <errno.h>
#include <string.h>

struct client_key {
	struct span branch;
	enum sip_method method;
};

bool transaction_client_equal(const struct table_link *link, const void *key)
{
	const struct sip_client_transaction *client = table_object(link, struct sip_client_transaction, link);
	const struct client_key *wanted = key;

	return client->method == wanted->method && span_equal(span_from(client->branch), wanted->branch);
}

bool transaction_connection_equal(const struct table_link *link, const void *key)
{
	const struct sip_client_transaction *client =
		table_object(link, struct sip_client_transaction, connection_link);

	return client->flow.connection == *(const uint64_t *)key;
}

static bool client_is_invite(const struct sip_client_transaction *client)
{
	return client->method == SIP_INVITE;
}

static bool client_is_stream(const struct sip_client_transaction *client)
{
	return transport_is_stream(client->flow.transport);
}

static struct span client_bytes(const struct sip_client_transaction *client)
{
	return (struct span){client->bytes, client->length};
}

static void client_end_after(struct sip_client_transaction *client, uint64_t delay_ms)
{
	timer_start(client->transactions->wheel, &client->end, delay_ms);
}

/* ---- The end --------------------------------------------------------------------------- */

static void client_forget_connection(struct sip_client_transaction *client)
{
	if (client->on_connection)
		table_remove(client->transactions->connections, &client->connection_link);
	client->on_connection = false;
}

void transaction_client_free(struct sip_client_transaction *client)
{
	struct sip_transactions *transactions = client->transactions;

	timer_stop(transactions->wheel, &client->end);
	timer_stop(transactions->wheel, &client->repeat);
	client_forget_connection(client);
	table_remove(transactions->clients, &client->link);
	list_remove(&client->all);
	memory_free(client->bytes);
	memory_free(client->reason);
	pool_give(transactions->client_pool, client);
}

/* Timers B, F, D, K, M; a failed transport; an INVITE that was cancelled and still got no answer. */
static void client_end_fire(void *context)
{
	struct sip_client_transaction *client = context;
	const struct sip_transaction_callbacks *callbacks = &client->transactions->callbacks;

	if (!client->internal) {
		if (client->state < CLIENT_COMPLETED)
			callbacks->failed(callbacks->context, client,
					  client->failed ? SIP_FAILURE_TRANSPORT : SIP_FAILURE_TIMEOUT);
		callbacks->client_gone(callbacks->context, client);
	}
	transaction_client_free(client);
}

/* What failed is said from the `end` timer, never inside a call of the user's. */
static void client_fail(struct sip_client_transaction *client)
{
	client->failed = true;
	timer_stop(client->transactions->wheel, &client->repeat);
	client_end_after(client, 0);
}

/* ---- Sending ----------------------------------------------------------------------------- */

/* A full socket is no failure on UDP: the request is repeated anyway. */
static void client_send_request(struct sip_client_transaction *client, struct span bytes)
{
	int error = transactions_send(client->transactions, &client->flow, bytes);

	if (error && !(error == -EAGAIN && !client_is_stream(client)))
		client_fail(client);
}

/* Timers A (doubling without end) and E (doubling to T2, and T2 once a provisional response came). */
static void client_repeat_fire(void *context)
{
	struct sip_client_transaction *client = context;
	struct sip_transactions *transactions = client->transactions;
	uint32_t t2_ms = transactions->limits.t2_ms;

	client->interval_ms *= 2;
	if (!client_is_invite(client) && (client->interval_ms > t2_ms || client->state == CLIENT_PROCEEDING))
		client->interval_ms = t2_ms;
	timer_start(transactions->wheel, &client->repeat, client->interval_ms);
	transactions->statistics.retransmissions_out++;
	client_send_request(client, client_bytes(client));
}

/* Bytes are kept for repeating (UDP) and, of INVITE, for building its CANCEL and ACK. */
static bool client_fill(struct sip_client_transaction *client, struct span bytes)
{
	if (client_is_stream(client) && !client_is_invite(client))
		return true;
	return transactions_keep(&client->bytes, &client->length, bytes) == 0;
}

void transaction_client_enter(struct sip_client_transaction *client)
{
	struct sip_transactions *transactions = client->transactions;

	client->end = (struct timer){.fire = client_end_fire, .context = client};
	client->repeat = (struct timer){.fire = client_repeat_fire, .context = client};
	table_add(transactions->clients, &client->link,
		  table_hash(transactions->clients, client->branch, strlen(client->branch)));
	list_append(&transactions->client_list, &client->all);
	client_end_after(client, transactions_patience_ms(transactions)); /* B, F */
	if (client_is_stream(client)) {
		table_add(transactions->connections, &client->connection_link,
			  table_hash(transactions->connections, &client->flow.connection,
				     sizeof(client->flow.connection)));
		client->on_connection = true;
		return;
	}
	client->interval_ms = transactions->limits.t1_ms;
	timer_start(transactions->wheel, &client->repeat, client->interval_ms);
}

struct sip_client_transaction *sip_client_prepare(struct sip_transactions *transactions, const struct flow *flow,
						  enum sip_method method, const char *branch, struct span bytes,
						  void *user)
{
	struct sip_client_transaction *client;

	if (strlen(branch) >= sizeof(client->branch))
		return NULL;
	client = pool_take(transactions->client_pool);
	if (!client)
		return NULL;
	client->transactions = transactions;
	client->flow = *flow;
	client->method = (uint8_t)method;
	client->user = user;
	memcpy(client->branch, branch, strlen(branch));
	if (!client_fill(client, bytes)) {
		pool_give(transactions->client_pool, client);
		return NULL;
	}
	transaction_client_enter(client);
	return client;
}

void sip_client_send(struct sip_client_transaction *client, struct span bytes)
{
	client_send_request(client, bytes);
}

struct sip_client_transaction *sip_client_start(struct sip_transactions *transactions, const struct flow *flow,
						enum sip_method method, const char *branch, struct span bytes,
						void *user)
{
	struct sip_client_transaction *client = sip_client_prepare(transactions, flow, method, branch, bytes, user);

	if (client)
		sip_client_send(client, bytes);
	return client;
}

/* ---- CANCEL ------------------------------------------------------------------------------ */

/* RFC 3261 section 9.1. Without room for a transaction the CANCEL is sent once, without repetition; either way the INVITE ends
 * by itself 64*T1 later. */
static void client_send_cancel(struct sip_client_transaction *client)
{
	struct sip_transactions *transactions = client->transactions;
	struct span bytes = transaction_build_cancel(transactions, client_bytes(client),
						     (struct span){client->reason, client->reason_length});
	struct sip_client_transaction *cancel;

	client->cancel_sent = true;
	client_end_after(client, transactions_patience_ms(transactions));
	if (!bytes.length)
		return;
	cancel = sip_client_start(transactions, &client->flow, SIP_CANCEL, client->branch, bytes, NULL);
	if (cancel)
		cancel->internal = true;
	else
		transactions_send(transactions, &client->flow, bytes);
}

void sip_client_cancel(struct sip_client_transaction *client)
{
	sip_client_cancel_for(client, SPAN_EMPTY);
}

void sip_client_cancel_for(struct sip_client_transaction *client, struct span reason)
{
	if (!client_is_invite(client) || client->state > CLIENT_PROCEEDING || client->failed)
		return;
	client->cancel_wanted = true;
	if (reason.length && !client->cancel_sent)
		transactions_keep(&client->reason, &client->reason_length, reason);
	if (client->state == CLIENT_PROCEEDING && !client->cancel_sent)
		client_send_cancel(client);
}

/* ---- Responses --------------------------------------------------------------------------- */

/* A forged response cannot come from elsewhere than the request went (THREATS S6): on UDP the very address; on
 * streams the connection, or another one from the same host when the first broke (RFC 3261 section 18.2.2). */
static bool response_is_plausible(const struct sip_client_transaction *client, const struct flow *flow)
{
	if (client->flow.transport != flow->transport || client->flow.zone != flow->zone)
		return false;
	if (!client_is_stream(client))
		return address_equal(&client->flow.remote, &flow->remote);
	return client->flow.connection == flow->connection || address_equal_ip(&client->flow.remote, &flow->remote);
}

static void deliver(struct sip_client_transaction *client, const struct sip_message *response)
{
	const struct sip_transaction_callbacks *callbacks = &client->transactions->callbacks;

	if (!client->internal)
		callbacks->response(callbacks->context, client, response);
}

static void receive_provisional(struct sip_client_transaction *client, const struct sip_message *response)
{
	if (client->state == CLIENT_CALLING && client_is_invite(client)) {
		timer_stop(client->transactions->wheel, &client->repeat); /* A */
		timer_stop(client->transactions->wheel, &client->end);    /* B */
	}
	client->state = CLIENT_PROCEEDING;
	deliver(client, response);
	if (client->cancel_wanted && !client->cancel_sent)
		client_send_cancel(client);
}

static void receive_success(struct sip_client_transaction *client, const struct sip_message *response)
{
	client->state = CLIENT_ACCEPTED;
	client_end_after(client, transactions_patience_ms(client->transactions)); /* M */
	transactions_drop(&client->bytes, &client->length);
	deliver(client, response);
}

/* A final response but the 2xx of INVITE. */
static void receive_final(struct sip_client_transaction *client, const struct sip_message *response)
{
	struct sip_transactions *transactions = client->transactions;
	uint64_t wait_ms = transactions->limits.t4_ms; /* K */

	client->state = CLIENT_COMPLETED;
	if (client_is_invite(client)) {
		struct span ack = transaction_build_ack(transactions, client_bytes(client), response);

		wait_ms = transactions_patience_ms(transactions); /* D */
		if (ack.length)
			transactions_send(transactions, &client->flow, ack);
		if (!ack.length || transactions_keep(&client->bytes, &client->length, ack))
			transactions_drop(&client->bytes, &client->length); /* the INVITE must not go again as an ACK */
	} else {
		transactions_drop(&client->bytes, &client->length);
	}
	client_end_after(client, client_is_stream(client) ? 0 : wait_ms);
	deliver(client, response);
}

/* What comes after the first final response. */
static void receive_late(struct sip_client_transaction *client, const struct sip_message *response)
{
	struct sip_transactions *transactions = client->transactions;
	bool is_success = response->status >= 200 && response->status < 300;

	if (client->state == CLIENT_ACCEPTED && is_success) {
		deliver(client, response); /* copies, and 2xx of other branches: RFC 6026 section 7.2 */
		return;
	}
	if (response->status < 200 || client->state == CLIENT_ACCEPTED) {
		transactions->statistics.strays++;
		return;
	}
	transactions->statistics.retransmissions_in++;
	if (client_is_invite(client) && !is_success && client->bytes) {
		transactions_send(transactions, &client->flow, client_bytes(client)); /* the ACK */
		transactions->statistics.retransmissions_out++;
	}
}

void transaction_client_receive(struct sip_transactions *transactions, const struct flow *flow,
				const struct sip_message *response)
{
	struct client_key key = {response->via.branch, response->method};
	struct table_link *link = table_find(
		transactions->clients,
		table_hash(transactions->clients, response->via.branch.data, response->via.branch.length), &key);
	struct sip_client_transaction *client;

	client = link ? table_object(link, struct sip_client_transaction, link) : NULL;
	if (!client || client->failed || !response_is_plausible(client, flow)) {
		transactions->statistics.strays++;
		return;
	}
	if (client->state >= CLIENT_COMPLETED) {
		receive_late(client, response);
		return;
	}
	if (response->status < 200) {
		receive_provisional(client, response);
		return;
	}
	timer_stop(transactions->wheel, &client->repeat);
	if (client_is_invite(client) && response->status < 300)
		receive_success(client, response);
	else
		receive_final(client, response);
}

void sip_transactions_transport_failed(struct sip_transactions *transactions, const struct flow *flow)
{
	uint64_t hash = table_hash(transactions->connections, &flow->connection, sizeof(flow->connection));
	struct table_link *link;

	while ((link = table_find(transactions->connections, hash, &flow->connection))) {
		struct sip_client_transaction *client =
			table_object(link, struct sip_client_transaction, connection_link);

		client_forget_connection(client);
		if (client->state < CLIENT_COMPLETED)
			client_fail(client);
	}
}

void *sip_client_user_of(const struct sip_transactions *transactions, enum sip_method method, struct span branch)
{
	struct client_key key = {branch, method};
	struct table_link *link =
		table_find(transactions->clients, table_hash(transactions->clients, branch.data, branch.length), &key);

	return link ? table_object(link, struct sip_client_transaction, link)->user : NULL;
}

void *sip_client_user(const struct sip_client_transaction *client)
{
	return client->user;
}

void sip_client_user_set(struct sip_client_transaction *client, void *user)
{
	client->user = user;
}

const struct flow *sip_client_flow(const struct sip_client_transaction *client)
{
	return &client->flow;
}

enum sip_method sip_client_method(const struct sip_client_transaction *client)
{
	return client->method;
}
