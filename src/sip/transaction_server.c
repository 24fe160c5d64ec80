/* SPDX-License-Identifier: Apache-2.0
 * Server transactions: RFC 3261 section 17.2 with the Accepted state of RFC 6026, and RFC 4320 for what is not INVITE. */
#include "sip/message_copy.h"
#include "sip/transaction.h"

#include <errno.h>
#include <string.h>

static struct span span_of(const char *data, size_t length)
{
	return (struct span){data, length};
}

static bool server_is_invite(const struct sip_server_transaction *server)
{
	return server->method == SIP_INVITE;
}

static bool server_is_stream(const struct sip_server_transaction *server)
{
	return transport_is_stream(server->flow.transport);
}

static int server_send(struct sip_server_transaction *server, struct span bytes)
{
	return transactions_send(server->transactions, &server->target, bytes);
}

/* ---- The end --------------------------------------------------------------------------- */

void transaction_server_free(struct sip_server_transaction *server)
{
	struct sip_transactions *transactions = server->transactions;

	timer_stop(transactions->wheel, &server->end);
	timer_stop(transactions->wheel, &server->repeat);
	table_remove(transactions->servers, &server->link);
	list_remove(&server->all);
	list_remove(&server->unproven);
	if (server->key.bytes != server->key_inline)
		memory_free(server->key.bytes);
	memory_free(server->request);
	memory_free(server->response);
	pool_give(transactions->server_pool, server);
}

/* Timers H, I, J, L; and for a request other than INVITE that nobody answered, the time after which its
 * client has given up and may not be answered any more (RFC 4320 section 4.2). */
static void server_end_fire(void *context)
{
	struct sip_server_transaction *server = context;
	const struct sip_transaction_callbacks *callbacks = &server->transactions->callbacks;
	bool unacknowledged = server_is_invite(server) && server->state != SERVER_CONFIRMED && !server->acknowledged;

	if (unacknowledged && callbacks->unacknowledged)
		callbacks->unacknowledged(callbacks->context, server);
	callbacks->server_gone(callbacks->context, server);
	transaction_server_free(server);
}

/* ---- Sending by itself ------------------------------------------------------------------- */

static void server_send_trying(struct sip_server_transaction *server)
{
	struct span bytes;

	if (!server->request)
		return;
	bytes = transaction_build_trying(server->transactions, &server->flow, server->request);
	if (!bytes.length)
		return;
	transactions_keep(&server->response, &server->response_length, bytes);
	server->state = SERVER_PROCEEDING;
	server_send(server, bytes);
}

static void server_repeat_fire(void *context)
{
	struct sip_server_transaction *server = context;
	uint32_t t2_ms = server->transactions->limits.t2_ms;

	if (server->state == SERVER_TRYING) {
		server_send_trying(server);
		return;
	}
	if (!server->response)
		return;
	server_send(server, span_of(server->response, server->response_length));
	server->transactions->statistics.retransmissions_out++;
	server->interval_ms = server->interval_ms > t2_ms / 2 ? t2_ms : server->interval_ms * 2;
	timer_start(server->transactions->wheel, &server->repeat, server->interval_ms);
}

/* RFC 4320 section 4.1: a request other than INVITE hears 100 only when its client's timer E has come to T2, and then it must. */
static uint64_t trying_delay_ms(const struct sip_transaction_limits *limits, enum sip_method method)
{
	uint64_t delay_ms = 0;

	if (method == SIP_INVITE)
		return TRANSACTION_TRYING_MS;
	for (uint64_t interval_ms = limits->t1_ms; interval_ms && interval_ms < limits->t2_ms; interval_ms *= 2)
		delay_ms += interval_ms;
	return delay_ms;
}

/* ---- A new request ------------------------------------------------------------------------- */

static bool server_fill(struct sip_server_transaction *server, const struct sip_message *request,
			const struct transaction_key *key)
{
	server->key = *key;
	server->key.bytes = server->key_inline;
	if (key->length > sizeof(server->key_inline))
		server->key.bytes = memory_alloc(key->length);
	if (!server->key.bytes)
		return false;
	memcpy(server->key.bytes, key->bytes, key->length);
	server->request = message_copy(request);
	if (server->request)
		return true;
	if (server->key.bytes != server->key_inline)
		memory_free(server->key.bytes);
	return false;
}

/* A table that fills up refuses those first who have shown least (THREATS S8): new requests from unproven
 * sources from three quarters on; from seven eighths on only proven sources inside a dialog. */
static bool server_may_enter(const struct sip_transactions *transactions, const struct flow *flow,
			     const struct sip_message *request)
{
	uint32_t maximum = transactions->limits.server_maximum, alive = pool_alive(transactions->server_pool);
	int shown = (flow->proven ? 1 : 0) + (request->to.tag.length ? 1 : 0);

	if (maximum == 0 || shown == 2)
		return true; /* the pool has the last word */
	return alive < maximum - (shown ? maximum / 8 : maximum / 4);
}

void transaction_server_enter(struct sip_server_transaction *server)
{
	struct sip_transactions *transactions = server->transactions;

	server->end = (struct timer){.fire = server_end_fire, .context = server};
	server->repeat = (struct timer){.fire = server_repeat_fire, .context = server};
	table_add(transactions->servers, &server->link, server->key.hash);
	list_append(&transactions->server_list, &server->all);
	list_init(&server->unproven);
	if (!server->flow.proven && server->method != SIP_INVITE)
		list_append(&transactions->unproven_list, &server->unproven);
}

/* Room for a newcomer: the oldest request that is no INVITE and whose source has shown nothing goes, oldest first (THREATS
 * S8). Its client, if it is one, asks again. False: there is none, or the newcomer has no claim. */
static bool server_evict(struct sip_transactions *transactions, const struct flow *flow,
			 const struct sip_message *request)
{
	struct sip_server_transaction *oldest;

	if (list_is_empty(&transactions->unproven_list))
		return false;
	if (!flow->proven && !request->to.tag.length && request->method == SIP_INVITE)
		return false; /* an INVITE is not given up again, so that they would fill the table */
	oldest = list_object(transactions->unproven_list.next, struct sip_server_transaction, unproven);
	transactions->statistics.evicted++;
	transactions->callbacks.server_gone(transactions->callbacks.context, oldest);
	transaction_server_free(oldest);
	return true;
}

static struct sip_server_transaction *server_new(struct sip_transactions *transactions, const struct flow *flow,
						 const struct sip_message *request, const struct transaction_key *key)
{
	struct sip_server_transaction *server = NULL;

	if (server_may_enter(transactions, flow, request))
		server = pool_take(transactions->server_pool);
	if (!server && server_evict(transactions, flow, request))
		server = pool_take(transactions->server_pool);
	if (!server)
		return NULL;
	if (!server_fill(server, request, key)) {
		pool_give(transactions->server_pool, server);
		return NULL;
	}
	server->transactions = transactions;
	server->flow = *flow;
	server->target = *flow;
	if (!server_is_stream(server))
		sip_response_target(request, flow, &server->target);
	server->method = (uint8_t)request->method;
	transaction_server_enter(server);
	timer_start(transactions->wheel, &server->repeat, trying_delay_ms(&transactions->limits, request->method));
	if (request->method != SIP_INVITE)
		timer_start(transactions->wheel, &server->end, transactions_patience_ms(transactions));
	return server;
}

/* An answer without state, never larger than what an unproven source sent (THREATS N4). */
static void answer_stateless(struct sip_transactions *transactions, const struct flow *flow,
			     const struct sip_message *request, uint16_t status, uint32_t retry_after_s)
{
	struct span bytes = transaction_build_answer(transactions, flow, request, status, SPAN_EMPTY, retry_after_s);
	struct flow target = *flow;

	if (!bytes.length || (!flow->proven && bytes.length > request->bytes.length))
		return;
	if (!transport_is_stream(flow->transport))
		sip_response_target(request, flow, &target);
	transactions_send(transactions, &target, bytes);
}

#define RETRY_AFTER_S 10

static void receive_new(struct sip_transactions *transactions, const struct flow *flow,
			const struct sip_message *request, const struct transaction_key *key)
{
	struct sip_server_transaction *server = server_new(transactions, flow, request, key);

	if (!server) {
		transactions->statistics.refused_full++;
		answer_stateless(transactions, flow, request, 503, RETRY_AFTER_S);
		return;
	}
	transactions->callbacks.request(transactions->callbacks.context, server, request);
}

/* ---- Requests that belong to one that is here ---------------------------------------------- */

static void receive_again(struct sip_server_transaction *server)
{
	struct sip_transactions *transactions = server->transactions;

	transactions->statistics.retransmissions_in++;
	if (server->state == SERVER_CONFIRMED || server->state == SERVER_ACCEPTED || !server->response)
		return; /* absorbed: RFC 6026 section 7.1 for Accepted, whose 2xx has its own timer */
	server_send(server, span_of(server->response, server->response_length));
	transactions->statistics.retransmissions_out++;
}

/* The ACK of a 2xx has a branch of its own, so it finds no transaction; from clients older than RFC 3261 it may
 * find the accepted one. Both are the user's. */
static void receive_ack(struct sip_transactions *transactions, struct sip_server_transaction *server,
			const struct flow *flow, const struct sip_message *ack)
{
	uint32_t t4_ms = transactions->limits.t4_ms;

	if (!server || server->state == SERVER_ACCEPTED) {
		transactions->callbacks.ack(transactions->callbacks.context, flow, ack);
		return;
	}
	if (server->state != SERVER_COMPLETED) {
		transactions->statistics.strays += server->state != SERVER_CONFIRMED;
		return;
	}
	server->state = SERVER_CONFIRMED;
	timer_stop(transactions->wheel, &server->repeat);
	transactions_drop(&server->response, &server->response_length);
	timer_start(transactions->wheel, &server->end, server_is_stream(server) ? 0 : t4_ms); /* I */
}

/* RFC 3261 section 9.2. Each copy of a CANCEL is answered without a transaction of its own. */
static void receive_cancel(struct sip_transactions *transactions, struct sip_server_transaction *server,
			   const struct flow *flow, const struct sip_message *cancel)
{
	struct span tag, bytes;
	bool is_first;

	if (!server) {
		transactions->statistics.strays++;
		answer_stateless(transactions, flow, cancel, 481, 0);
		return;
	}
	tag = transaction_response_tag(transactions, span_of(server->response, server->response_length));
	bytes = transaction_build_answer(transactions, flow, cancel, 200, tag, 0);
	if (bytes.length)
		server_send(server, bytes);

	is_first = !server->cancelled;
	server->cancelled = true;
	if (server->state < SERVER_COMPLETED && is_first)
		transactions->callbacks.cancelled(transactions->callbacks.context, server, cancel);
}

void transaction_server_receive(struct sip_transactions *transactions, const struct flow *flow,
				const struct sip_message *request)
{
	enum sip_method method = request->method;
	bool is_helper = method == SIP_ACK || method == SIP_CANCEL;
	struct sip_server_transaction *server = NULL;
	char bytes[TRANSACTION_KEY_MAXIMUM];
	struct transaction_key key;
	struct table_link *link;

	if (!transaction_key_write(transactions, flow, request, is_helper ? SIP_INVITE : method, bytes, sizeof(bytes),
				   &key)) {
		transactions->statistics.strays++;
		return;
	}
	link = table_find(transactions->servers, key.hash, &key);
	if (link)
		server = table_object(link, struct sip_server_transaction, link);

	if (method == SIP_ACK)
		receive_ack(transactions, server, flow, request);
	else if (method == SIP_CANCEL)
		receive_cancel(transactions, server, flow, request);
	else if (server)
		receive_again(server);
	else
		receive_new(transactions, flow, request, &key);
}

/* ---- The user's answers -------------------------------------------------------------------- */

static int server_provisional(struct sip_server_transaction *server, struct span bytes)
{
	int kept, sent;

	if (!server_is_invite(server))
		return 0; /* RFC 4320 section 4.1: the layer alone sends 100, when its time has come */
	timer_stop(server->transactions->wheel, &server->repeat);
	kept = transactions_keep(&server->response, &server->response_length, bytes);
	server->state = SERVER_PROCEEDING;
	sent = server_send(server, bytes);
	return kept ? kept : sent;
}

/* Whether the answer is sent again by a timer: timer G not on streams, and not toward a source that is unproven and heard no
 * provisional response: its own timer A repeats the INVITE if it lives, and if it was forged, its
 * owner is not shot at with repeated answers (THREATS N4). */
static bool server_repeats(const struct sip_server_transaction *server, bool is_success, bool was_trying)
{
	if (!server_is_invite(server))
		return false;
	return is_success || (!server_is_stream(server) && (server->flow.proven || !was_trying));
}

static int server_final(struct sip_server_transaction *server, uint16_t status, struct span bytes)
{
	struct sip_transactions *transactions = server->transactions;
	bool is_success = status < 300, was_trying = server->state == SERVER_TRYING;
	bool repeats = server_repeats(server, is_success, was_trying);
	uint64_t end_ms = transactions_patience_ms(transactions); /* H, J, L */
	int kept = 0, sent = 0;

	timer_stop(transactions->wheel, &server->repeat);
	transactions_drop(&server->response, &server->response_length);
	if (repeats || !server_is_stream(server))
		kept = transactions_keep(&server->response, &server->response_length, bytes);
	server->state = server_is_invite(server) && is_success ? SERVER_ACCEPTED : SERVER_COMPLETED;
	if (repeats && !kept) {
		server->interval_ms = transactions->limits.t1_ms;
		timer_start(transactions->wheel, &server->repeat, server->interval_ms);
	}
	if (!server_is_invite(server) && server_is_stream(server))
		end_ms = 0; /* J */
	timer_start(transactions->wheel, &server->end, end_ms);

	sent = server_send(server, bytes);
	return kept ? kept : sent;
}

int sip_server_respond(struct sip_server_transaction *server, uint16_t status, struct span bytes)
{
	if (server->state >= SERVER_COMPLETED)
		return -EINVAL;
	if (status < 200)
		return server_provisional(server, bytes);
	if (status == 408 && !server_is_invite(server)) {
		/* RFC 4320 section 4.2: it would come too late to be of use. The transaction goes on
		 * absorbing copies until its client has given up. */
		server->state = SERVER_COMPLETED;
		timer_stop(server->transactions->wheel, &server->repeat);
		transactions_drop(&server->response, &server->response_length);
		return 0;
	}
	return server_final(server, status, bytes);
}

void sip_server_acknowledge(struct sip_server_transaction *server)
{
	if (server->state != SERVER_ACCEPTED)
		return;
	server->acknowledged = true;
	timer_stop(server->transactions->wheel, &server->repeat);
	transactions_drop(&server->response, &server->response_length);
}

void sip_server_user_set(struct sip_server_transaction *server, void *user)
{
	server->user = user;
}

void *sip_server_user(const struct sip_server_transaction *server)
{
	return server->user;
}

const struct flow *sip_server_flow(const struct sip_server_transaction *server)
{
	return &server->flow;
}

const struct sip_message *sip_server_request(const struct sip_server_transaction *server)
{
	return server->request;
}

void sip_server_request_release(struct sip_server_transaction *server)
{
	memory_free(server->request);
	server->request = NULL;
}

void sip_server_body_set(struct sip_server_transaction *server, struct span content_type, struct span body)
{
	server->request->content_type = content_type;
	server->request->body = body;
}

bool sip_server_is_answered(const struct sip_server_transaction *server)
{
	return server->state >= SERVER_COMPLETED;
}
