/* SPDX-License-Identifier: Apache-2.0
 * The transaction layer as a whole (RFC 3261 section 17): creation, dispatch, sending, statistics. */
#include "sip/transaction.h"

#include <errno.h>
#include <string.h>

static bool transactions_build(struct sip_transactions *transactions)
{
	const struct sip_transaction_limits *limits = &transactions->limits;

	transactions->servers = table_new(transaction_server_equal, transactions->random);
	transactions->clients = table_new(transaction_client_equal, transactions->random);
	transactions->connections = table_new(transaction_connection_equal, transactions->random);
	transactions->server_pool = pool_new(sizeof(struct sip_server_transaction), limits->server_maximum);
	transactions->client_pool = pool_new(sizeof(struct sip_client_transaction), limits->client_maximum);
	transactions->scratch = memory_alloc(TRANSACTION_SCRATCH_BYTES);
	transactions->arena = memory_alloc(TRANSACTION_ARENA_BYTES);
	return transactions->servers && transactions->clients && transactions->connections &&
	       transactions->server_pool && transactions->client_pool && transactions->scratch && transactions->arena;
}

struct sip_transactions *sip_transactions_new(const struct sip_transaction_limits *limits, struct timer_wheel *wheel,
					      const struct sip_transaction_callbacks *callbacks,
					      struct random_source random)
{
	struct sip_transactions *transactions = memory_alloc(sizeof(*transactions));

	if (!transactions)
		return NULL;
	transactions->limits = *limits;
	transactions->callbacks = *callbacks;
	transactions->wheel = wheel;
	transactions->random = random;
	list_init(&transactions->server_list);
	list_init(&transactions->unproven_list);
	list_init(&transactions->client_list);
	random_fill(random, transactions->tag_key, sizeof(transactions->tag_key));
	if (!transactions_build(transactions)) {
		sip_transactions_free(transactions);
		return NULL;
	}
	return transactions;
}

void sip_transactions_free(struct sip_transactions *transactions)
{
	if (!transactions)
		return;
	list_each(link, &transactions->server_list)
		transaction_server_free(list_object(link, struct sip_server_transaction, all));
	list_each(link, &transactions->client_list)
		transaction_client_free(list_object(link, struct sip_client_transaction, all));
	table_free(transactions->servers);
	table_free(transactions->clients);
	table_free(transactions->connections);
	pool_free(transactions->server_pool);
	pool_free(transactions->client_pool);
	memory_free(transactions->scratch);
	memory_free(transactions->arena);
	memory_free(transactions);
}

void sip_transactions_receive(struct sip_transactions *transactions, const struct flow *flow,
			      const struct sip_message *message)
{
	if (message->is_request)
		transaction_server_receive(transactions, flow, message);
	else
		transaction_client_receive(transactions, flow, message);
}

void sip_transactions_zones_map(struct sip_transactions *transactions, const uint8_t zones[256])
{
	list_each(link, &transactions->server_list) {
		struct sip_server_transaction *server = list_object(link, struct sip_server_transaction, all);

		server->flow.zone = zones[server->flow.zone];
		server->target.zone = zones[server->target.zone];
		table_remove(transactions->servers, &server->link);
		transaction_key_zone_set(transactions, &server->key, server->flow.zone);
		table_add(transactions->servers, &server->link, server->key.hash);
	}
	list_each(link, &transactions->client_list) {
		struct sip_client_transaction *client = list_object(link, struct sip_client_transaction, all);

		client->flow.zone = zones[client->flow.zone];
	}
}

void sip_transactions_statistics(const struct sip_transactions *transactions, struct sip_transaction_statistics *out)
{
	*out = transactions->statistics;
	out->servers_alive = pool_alive(transactions->server_pool);
	out->clients_alive = pool_alive(transactions->client_pool);
}

int transactions_send(struct sip_transactions *transactions, const struct flow *flow, struct span bytes)
{
	return transactions->callbacks.send(transactions->callbacks.send_context, flow, bytes);
}

int transactions_keep(char **kept, size_t *length, struct span bytes)
{
	char *copy = memory_realloc(*kept, bytes.length ? bytes.length : 1);

	if (!copy)
		return -ENOMEM;
	if (bytes.length)
		memcpy(copy, bytes.data, bytes.length);
	*kept = copy;
	*length = bytes.length;
	return 0;
}

void transactions_drop(char **kept, size_t *length)
{
	memory_free(*kept);
	*kept = NULL;
	*length = 0;
}

void sip_branch_make(struct random_source random, char branch[SIP_BRANCH_CAPACITY])
{
	memcpy(branch, "z9hG4bK", 7);
	random_token(random, branch + 7, 20);
}
