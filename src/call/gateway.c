/* SPDX-License-Identifier: Apache-2.0
 * The gateway as a whole: making and ending it, time, and where messages from the transport layer go. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/events.h"
#include "call/findings.h"
#include "call/peers.h"
#include "call/phones.h"
#include "call/sessions.h"

#define KEYS_PATIENCE_US 20000000 /* for a DTLS handshake after the answer */
#define TICK_MS 20
#define STOP_LONGEST_US 3800000
#define ARENA_CAPACITY (192 * 1024) /* the largest description takes apart within this */

/* ---- From the transaction layer ---- */

/* A server transaction stays for 32 s after its answer, to answer copies; the request need not. */
static void request_release(struct sip_server_transaction *server)
{
	if (server && sip_server_is_answered(server))
		sip_server_request_release(server);
}

/* What is told of a transfer is told within the dialog of a call. */
static bool is_of_call(struct gateway *gateway, const struct sip_message *request)
{
	const struct dialog_key *key = dialog_key_find(gateway, request->to.tag);

	return key && key->call;
}

static void request_dispatch(struct gateway *gateway, struct sip_server_transaction *server,
			     const struct sip_message *request)
{
	bool in_dialog = request->to.tag.length > 0;

	switch (request->method) {
	case SIP_INVITE: (in_dialog ? midcall_receive : invite_receive)(gateway, server, request); return;
	case SIP_BYE:
	case SIP_PRACK:
	case SIP_UPDATE:
	case SIP_INFO: midcall_receive(gateway, server, request); return;
	case SIP_REFER: (in_dialog ? midcall_receive : transfer_outside_receive)(gateway, server, request); return;
	case SIP_SUBSCRIBE:
	case SIP_NOTIFY:
		if (is_of_call(gateway, request))
			midcall_receive(gateway, server, request);
		else if (in_dialog && tombstone_receive(gateway, server, request))
			return;
		else if (in_dialog || request->method == SIP_SUBSCRIBE)
			subscription_receive(gateway, server, request);
		else
			outside_receive(gateway, server, request);
		return;
	case SIP_PUBLISH: outside_receive(gateway, server, request); return;
	case SIP_MESSAGE:
	case SIP_OPTIONS: (in_dialog ? midcall_receive : outside_receive)(gateway, server, request); return;
	case SIP_REGISTER: register_receive(gateway, server, request); return;
	default: request_refuse(gateway, server, request->method == SIP_METHOD_OTHER ? 501 : 405, NULL);
	}
}

/* Methods whose multipart body may hold a description. */
static bool may_describe(enum sip_method method)
{
	return method == SIP_INVITE || method == SIP_ACK || method == SIP_UPDATE || method == SIP_PRACK;
}

/* Of a multipart body the description alone is seen, and crosses. False: it was answered. */
static bool body_unwrap(struct gateway *gateway, struct sip_server_transaction *server)
{
	const struct sip_message *request = sip_server_request(server);
	struct sip_part part;
	int result = sip_multipart_description(request->content_type, request->body, &part);

	if (result == -EINVAL)
		request_refuse(gateway, server, 400, NULL);
	else if (result)
		request_refuse(gateway, server, 415, "Accept: application/sdp\r\n");
	else
		sip_server_body_set(server, part.content_type, part.body);
	return !result;
}

static void on_request(void *context, struct sip_server_transaction *server, const struct sip_message *request)
{
	bool is_refused = !request->to.tag.length && findings_refuse(context, server, request);

	if (!is_refused && (!may_describe(request->method) || !sip_multipart_is(request->content_type)))
		request_dispatch(context, server, request);
	else if (!is_refused && body_unwrap(context, server))
		request_dispatch(context, server, sip_server_request(server));
	request_release(server);
	gateway_records_settle(context);
}

/* The same of what cannot be refused: a body that is none describes nothing. */
static const struct sip_message *unwrapped(const struct sip_message *message, struct sip_message *plain)
{
	struct sip_part part;

	if (!may_describe(message->method) || !sip_multipart_is(message->content_type))
		return message;
	sip_multipart_description(message->content_type, message->body, &part);
	*plain = *message;
	plain->content_type = part.content_type;
	plain->body = part.body;
	return plain;
}

static void on_ack(void *context, const struct flow *flow, const struct sip_message *ack)
{
	struct sip_message plain;

	invite_ack(context, flow, unwrapped(ack, &plain));
	gateway_records_settle(context);
}

static void on_cancelled(void *context, struct sip_server_transaction *server, const struct sip_message *cancel)
{
	struct relay *relay = sip_server_user(server);
	char text[512];
	struct buffer reason = BUFFER_OVER(text);

	policy_reasons(cancel, &reason);
	if (!relay || relay->answered || relay->method != SIP_INVITE)
		return;
	timer_stop(relay->gateway->wheel, &relay->patience);
	if (relay->call)
		call_touch(relay->call);
	if (relay->initial && relay->call)
		call_end_for(relay->call, -1, 487, buffer_span(&reason));
	else if (relay->client) /* a re-INVITE: the other side answers 487, which comes back */
		sip_client_cancel_for(relay->client, buffer_span(&reason));
	else
		relay_refuse(relay, 487, NULL);
	gateway_records_settle(context);
}

static void response_dispatch(struct relay *relay, const struct sip_message *response)
{
	if (relay->registration || relay->outside || relay->initial)
		finding_of_answer(relay, response);
	if (relay->registration)
		register_response(relay, response);
	else if (relay->subscription)
		subscription_response(relay, response);
	else if (relay->outside)
		outside_response(relay, response);
	else if (relay->tombstone)
		tombstone_response(relay, response);
	else if (relay->refreshing && relay->call)
		refresh_response(relay, response);
	else if (relay->call)
		(relay->initial ? invite_response : midcall_response)(relay, response);
}

static void on_response(void *context, struct sip_client_transaction *client, const struct sip_message *response)
{
	struct relay *relay = sip_client_user(client);
	struct sip_server_transaction *server = relay ? relay->server : NULL;
	struct sip_message plain;

	servers_heard(context, sip_client_flow(client), response);
	if (!relay && sip_client_method(client) == SIP_INVITE && response->status >= 200 && response->status < 300)
		failover_stray(context, sip_client_flow(client), response);
	if (relay && relay->own) {
		own_response(relay->own, response);
		return;
	}
	if (!relay || (!server && !relay->answered))
		return;
	if (relay->call)
		call_touch(relay->call);
	timer_stop(relay->gateway->wheel, &relay->patience);
	if (relay->client == client && !relay->answered &&
	    trunk_challenge_take(relay->gateway, sip_client_flow(client), response, &relay->challenged) &&
	    relay_again(relay)) {
		failover_arm(relay);
		return;
	}
	/* RFC 5626 section 5.3: the proxy before the phone lost its flow. */
	if (relay->client == client && response->status == 430 && flows_try_next(relay, sip_client_flow(client)))
		return;
	if (relay->client == client && response->status == 503) {
		relay->final = true;
		if (failover(relay))
			return;
	}
	response_dispatch(relay, unwrapped(response, &plain));
	request_release(server); /* it ends in its own timer alone, so it is still there */
	gateway_records_settle(context);
}

static void on_failed(void *context, struct sip_client_transaction *client, enum sip_failure failure)
{
	struct relay *relay = sip_client_user(client);
	/* RFC 4320: 408 says nothing to who did not send an INVITE. */
	uint16_t timeout = sip_client_method(client) == SIP_INVITE ? 408 : 504;
	uint16_t status = failure == SIP_FAILURE_TIMEOUT ? timeout : 503;

	servers_failed(context, sip_client_flow(client), failure == SIP_FAILURE_TIMEOUT);
	if (!relay)
		return;
	if (relay->own) {
		own_failed(relay->own, failure == SIP_FAILURE_TIMEOUT ? 408 : 503);
		return;
	}
	if (relay->refreshing && relay->call) {
		refresh_failed(relay);
		return;
	}
	if (relay->client == client && flows_try_next(relay, sip_client_flow(client)))
		return;
	relay->final = true;
	if (!relay->given_up && failover(relay))
		return;
	if (relay->subscription) {
		subscription_unanswered(relay, failure);
		return;
	}
	if (relay->method == SIP_INVITE && relay->call && relay->call->state == CALL_ENDING) {
		call_settle(relay->call);
		return;
	}
	if (relay->exchange && relay->call && relay->exchange == session_of(relay->call, relay->fork)->exchanges)
		session_exchange_done(relay->call, relay->fork);
	/* Of a 408 the phone would end the call (RFC 5057 section 5.1), which goes on. */
	relay_refuse(relay, relay->given_up ? 504 : status, NULL);
	if (relay->call && relay->method == SIP_REFER)
		transfer_answered(relay, NULL);
	/* RFC 3261 section 12.2.1.2: no answer within a dialog ends it. */
	if (relay->call && !relay->given_up &&
	    (relay->initial || relay->method == SIP_INVITE || relay->method == SIP_UPDATE))
		call_end(relay->call, -1, status, "No response");
}

static void on_unacknowledged(void *context, struct sip_server_transaction *server)
{
	struct relay *relay = sip_server_user(server);

	(void)context;
	if (relay && relay->call && relay->accepted)
		call_end(relay->call, -1, 408, "No ACK");
}

static void relay_settle(struct relay *relay)
{
	if (!relay->server && !relay->client)
		relay_free(relay);
}

static void on_server_gone(void *context, struct sip_server_transaction *server)
{
	struct relay *relay = sip_server_user(server);

	(void)context;
	if (!relay)
		return;
	if (relay->call)
		call_touch(relay->call);
	relay->server = NULL;
	relay_settle(relay);
}

static void on_client_gone(void *context, struct sip_client_transaction *client)
{
	struct relay *relay = sip_client_user(client);
	struct call *call = relay ? relay->call : NULL;

	(void)context;
	if (!relay)
		return;
	if (call)
		call_touch(call);
	relay->client = NULL;
	relay_settle(relay);
	if (call)
		call_settle(call);
}

/* Nobody hears of what the next gate would not know. */
static void on_sending(void *context)
{
	gateway_records_write(context);
}

static bool on_admit(void *context, const struct flow *flow)
{
	struct gateway *gateway = context;

	if (servers_admit(gateway, flow->zone, &flow->remote))
		return findings_admit(gateway, flow);
	gateway->counters.sources_refused++;
	return false;
}

static bool on_screen(void *context, const struct flow *flow, const struct sip_message *request)
{
	return findings_screen(context, flow, request);
}

static void on_rejected(void *context, const struct flow *flow, enum sip_reject reason)
{
	finding_of_reject(context, flow, reason);
}

static void on_ended(void *context, const struct flow *flow, enum net_close_reason reason)
{
	finding_of_end(context, flow, reason);
}

/* In core and trunk zones only peers are admitted. The zone may be gone since. */
static bool on_known(void *context, const struct flow *flow)
{
	const struct gateway *gateway = context;

	return flow->zone < gateway->config->zone_count && gateway_zone(gateway, flow->zone)->kind != ZONE_ACCESS;
}

static void on_closed(void *context, const struct flow *flow)
{
	trunks_flow_closed(context, flow);
}

/* ---- Time ---- */

static void overload_measure(struct gateway *gateway, uint64_t now_us)
{
	static const char *const texts[] = {"none", "new calls of unproven sources are refused",
					    "new calls are refused"};
	struct sip_transaction_statistics statistics;
	uint32_t maximum = gateway->config->limits.transactions;

	sip_transactions_statistics(gateway_transactions(gateway), &statistics);
	if (overload_tick(&gateway->overload, now_us, TICK_MS * 1000, statistics.servers_alive * 100ull / maximum))
		log_write(LOG_WARNING, "call", "overload: %s", texts[gateway->overload.level]);
}

static void on_tick(evutil_socket_t descriptor, short what, void *context)
{
	struct gateway *gateway = context;
	struct sip_transaction_statistics statistics;
	uint64_t now_us = clock_monotonic_us(), due_us = gateway->ticked_us + TICK_MS * 1000;

	(void)descriptor;
	(void)what;
	gateway->load.lag_us = gateway->ticked_us && now_us > due_us ? now_us - due_us : 0;
	gateway->ticked_us = now_us;
	overload_measure(gateway, now_us);
	timer_wheel_advance(gateway->wheel, now_us);
	gateway_records_settle(gateway);
	if (!gateway->stopping)
		return;
	sip_transactions_statistics(gateway_transactions(gateway), &statistics);
	if (!statistics.clients_alive || clock_monotonic_us() > gateway->stop_deadline_us) {
		gateway->stopping = false;
		event_del(gateway->tick);
		gateway->callbacks.stopped(gateway->callbacks.context);
	}
}

/* ---- Making it ---- */

static bool dialog_equal(const struct table_link *link, const void *key)
{
	const struct dialog_key *dialog = table_object(link, const struct dialog_key, link);

	return span_equal(span_from(dialog->tag), *(const struct span *)key);
}

static bool call_equal(const struct table_link *link, const void *key)
{
	return table_object(link, const struct call, by_id)->id == *(const uint64_t *)key;
}

static bool binding_equal(const struct table_link *link, const void *key)
{
	return span_equal(span_from(table_object(link, const struct binding, by_token)->token),
			  *(const struct span *)key);
}

static bool owner_equal(const struct table_link *link, const void *key)
{
	return !strcmp(table_object(link, const struct owner, link)->account, key);
}

static bool transfer_equal(const struct table_link *link, const void *key)
{
	return transfer_has_token(link, *(const struct span *)key);
}

static bool account_equal(const struct table_link *link, const void *key)
{
	return !strcmp(table_object(link, const struct account, link)->record.user, key);
}

static struct transport_settings transport_settings(const struct config *config)
{
	return (struct transport_settings){
		.sip = {.message_maximum_bytes = config->limits.message_bytes,
			.body_maximum_bytes = config->limits.body_bytes,
			.line_maximum_bytes = config->limits.line_bytes,
			.headers_maximum = (uint16_t)config->limits.headers,
			.values_maximum = sip_limits_default.values_maximum},
		.transactions = {.server_maximum = config->limits.transactions,
				 .client_maximum = config->limits.transactions,
				 .t1_ms = 500,
				 .t2_ms = 4000,
				 .t4_ms = 5000},
		.net = {.connections_maximum = config->limits.connections,
			.connections_per_source_maximum = config->limits.connections_per_source,
			.handshakes_maximum = config->limits.handshakes,
			.send_queue_maximum_bytes = config->limits.send_queue_bytes,
			.message_maximum_bytes = config->limits.message_bytes,
			.handshake_timeout_ms = config->limits.handshake_ms,
			.first_byte_timeout_ms = config->limits.first_byte_ms,
			.idle_timeout_ms = config->limits.idle_ms,
			.alive_timeout_ms =
				config->limits.idle_ms < FLOW_SILENCE_MS ? config->limits.idle_ms : FLOW_SILENCE_MS,
			.connect_timeout_ms = config->limits.connect_ms},
		.proofs = config->limits.registrations + config->limits.calls,
	};
}

static bool transport_make(struct gateway *gateway)
{
	struct transport_settings settings = transport_settings(gateway->config);
	struct transport_callbacks callbacks = {
		.admit = on_admit,
		.known = on_known,
		.screen = on_screen,
		.rejected = on_rejected,
		.ended = on_ended,
		.closed = on_closed,
		.sending = on_sending,
		.context = gateway,
		.transactions = {.request = on_request,
				 .ack = on_ack,
				 .cancelled = on_cancelled,
				 .response = on_response,
				 .failed = on_failed,
				 .unacknowledged = on_unacknowledged,
				 .server_gone = on_server_gone,
				 .client_gone = on_client_gone,
				 .context = gateway},
	};

	gateway->transport = transport_new(gateway->loop, gateway->wheel, &settings, &callbacks, gateway->random);
	return gateway->transport != NULL;
}

static bool tables_make(struct gateway *gateway)
{
	const struct config *config = gateway->config;

	gateway->dialogs = table_new(dialog_equal, gateway->random);
	gateway->calls = table_new(call_equal, gateway->random);
	gateway->tombstones = tombstones_table_new(gateway->random);
	gateway->tombstone_pool = tombstones_pool_new(config->limits.calls);
	gateway->bindings = table_new(binding_equal, gateway->random);
	gateway->owners = table_new(owner_equal, gateway->random);
	gateway->accounts = table_new(account_equal, gateway->random);
	gateway->transfers = table_new(transfer_equal, gateway->random);
	gateway->transfer_pool = transfers_pool_new(config->limits.calls);
	gateway->call_pool = pool_new(sizeof(struct call), config->limits.calls);
	gateway->relay_pool = pool_new(sizeof(struct relay), config->limits.transactions);
	gateway->fork_pool = pool_new(sizeof(struct fork), config->limits.calls * 4);
	gateway->binding_pool = pool_new(sizeof(struct binding), config->limits.registrations);
	gateway->subscription_pool = pool_new(sizeof(struct subscription), config->limits.subscriptions);
	gateway->ports = port_pools_new();
	gateway->nonces = nonce_uses_new(config->limits.registrations);
	gateway->challenges = challenges_new();
	gateway->scratch = memory_alloc(MESSAGE_CAPACITY);
	gateway->body = memory_alloc(SDP_BYTES_MAXIMUM);
	gateway->text = memory_alloc(BODY_MAXIMUM);
	gateway->arena = memory_alloc(ARENA_CAPACITY);
	gateway->arena_capacity = ARENA_CAPACITY;
	return gateway->dialogs && gateway->calls && gateway->tombstones && gateway->tombstone_pool &&
	       gateway->bindings && gateway->owners && gateway->accounts && gateway->transfers &&
	       gateway->transfer_pool && gateway->call_pool && gateway->relay_pool && gateway->fork_pool &&
	       gateway->binding_pool && gateway->subscription_pool && gateway->ports && gateway->nonces &&
	       gateway->scratch && gateway->body && gateway->text && gateway->arena;
}

struct gateway *gateway_new(struct event_base *loop, const struct config *config,
			    const struct gateway_callbacks *callbacks, struct random_source random)
{
	struct gateway *gateway = memory_alloc(sizeof(*gateway));
	struct timeval tick = {.tv_usec = TICK_MS * 1000};

	if (!gateway)
		return NULL;
	gateway->config = config;
	gateway->callbacks = *callbacks;
	gateway->random = random;
	gateway->loop = loop;
	list_init(&gateway->all_calls);
	list_init(&gateway->all_tombstones);
	list_init(&gateway->all_relays);
	list_init(&gateway->all_subscriptions);
	list_init(&gateway->all_transfers);
	list_init(&gateway->touched);
	list_init(&gateway->peers);
	random_fill(random, gateway->nonce_key, sizeof(gateway->nonce_key));
	random_fill(random, gateway->body_key, sizeof(gateway->body_key));
	gateway->wheel = timer_wheel_new(clock_monotonic_us());
	gateway->tick = event_new(loop, -1, EV_PERSIST, on_tick, gateway);
	if (!gateway->wheel || !gateway->tick || !tables_make(gateway) || !transport_make(gateway) ||
	    !servers_start(gateway)) {
		gateway_free(gateway);
		return NULL;
	}
	event_add(gateway->tick, &tick);
	return gateway;
}

static void account_forget(void *context, struct table_link *link)
{
	struct gateway *gateway = context;
	struct account *account = table_object(link, struct account, link);

	table_remove(gateway->accounts, link);
	memory_free_secret(account, sizeof(*account));
}

void gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return;
	trunks_free(gateway);
	gateway->checkpoints = NULL; /* an orderly end has ended its calls; otherwise the next gate goes on with them */
	servers_free(gateway);
	list_each(link, &gateway->all_calls)
		call_free(list_object(link, struct call, in_all));
	list_each(link, &gateway->all_subscriptions)
		subscription_free(list_object(link, struct subscription, in_all));
	list_each(link, &gateway->all_relays)
		relay_free(list_object(link, struct relay, in_all));
	tombstones_free(gateway);
	transfers_free(gateway);
	bindings_free(gateway);
	if (gateway->accounts)
		table_each(gateway->accounts, account_forget, gateway);
	transport_free(gateway->transport);
	if (gateway->tick)
		event_free(gateway->tick);
	timer_wheel_free(gateway->wheel);
	table_free(gateway->dialogs);
	table_free(gateway->calls);
	table_free(gateway->tombstones);
	table_free(gateway->bindings);
	table_free(gateway->owners);
	table_free(gateway->accounts);
	table_free(gateway->transfers);
	pool_free(gateway->transfer_pool);
	pool_free(gateway->call_pool);
	pool_free(gateway->tombstone_pool);
	pool_free(gateway->relay_pool);
	pool_free(gateway->fork_pool);
	pool_free(gateway->binding_pool);
	pool_free(gateway->subscription_pool);
	port_pools_free(gateway->ports);
	nonce_uses_free(gateway->nonces);
	challenges_free(gateway->challenges);
	memory_free_secret(gateway->scratch, MESSAGE_CAPACITY);
	memory_free_secret(gateway->body, SDP_BYTES_MAXIMUM);
	memory_free_secret(gateway->text, BODY_MAXIMUM);
	memory_free_secret(gateway->arena, ARENA_CAPACITY);
	memory_free_secret(gateway->record, CHECKPOINT_LONGEST);
	memory_free_secret(gateway, sizeof(*gateway));
}

struct net *gateway_net(struct gateway *gateway)
{
	return transport_net(gateway->transport);
}

/* ---- What store and media say ---- */

void gateway_account_set(struct gateway *gateway, const struct ipc_account *record)
{
	size_t length = strlen(record->user);
	uint64_t hash = table_hash(gateway->accounts, record->user, length);
	struct table_link *link = table_find(gateway->accounts, hash, record->user);
	struct account *account = link ? table_object(link, struct account, link) : memory_alloc(sizeof(*account));

	if (!account)
		return;
	account->record = *record;
	if (!link)
		table_add(gateway->accounts, &account->link, hash);
}

static void binding_revoke(void *context, struct table_link *link)
{
	struct binding *binding = table_object(link, struct binding, by_token);

	if (gateway_zone(binding->gateway, binding->zone)->authentication == AUTHENTICATION_LOCAL &&
	    !strcmp(binding->owner->account, context))
		binding_drop(binding, true);
}

void gateway_account_remove(struct gateway *gateway, const char *user)
{
	struct table_link *link =
		table_find(gateway->accounts, table_hash(gateway->accounts, user, strlen(user)), user);

	if (!link)
		return;
	account_forget(gateway, link);
	/* Where the gateway says who may register, who may no longer is not called any more. */
	table_each(gateway->bindings, binding_revoke, (void *)(uintptr_t)user);
}

void gateway_loaded(struct gateway *gateway)
{
	gateway->loaded = true;
}

static struct call *call_find(struct gateway *gateway, uint64_t id)
{
	struct table_link *link = table_find(gateway->calls, table_hash(gateway->calls, &id, sizeof(id)), &id);

	return link ? table_object(link, struct call, by_id) : NULL;
}

/* Some phones do nothing about media before the call is answered, whatever a provisional response said. */
static bool keys_are_due(const struct call *call, enum media_failure failure)
{
	return failure != MEDIA_FAILURE_TIME ||
	       (call->state == CALL_ESTABLISHED && clock_monotonic_us() - call->answered_us >= KEYS_PATIENCE_US);
}

void gateway_media_event(struct gateway *gateway, const struct media_event *event)
{
	struct call *call = call_find(gateway, event->session);

	if (!call || call->state == CALL_ENDING)
		return;
	if (event->kind == MEDIA_SILENCE) {
		gateway->counters.calls_silent++;
		log_write(LOG_INFO, "call", "call %llx ended: no media", (unsigned long long)call->id);
		call_end(call, -1, 408, "No media");
	} else if (event->kind == MEDIA_PORT_UNAVAILABLE) {
		log_write(LOG_ERROR, "call",
			  "a media port of zone %s is used by another program; give the zone a range of its own",
			  gateway_zone(gateway, call->legs[event->side & 1].zone)->name);
		call_end(call, -1, 503, "Media port unavailable");
	} else if (event->kind == MEDIA_UNKEYED && !keys_are_due(call, event->failure)) {
		return; /* told again while there are none */
	} else if (event->kind == MEDIA_UNKEYED) {
		gateway->counters.calls_ended_keys++;
		log_write(LOG_NOTICE, "call", "call %llx ended: zone %s: %s", (unsigned long long)call->id,
			  gateway_zone(gateway, call->legs[event->side & 1].zone)->name,
			  media_failure_text(event->failure));
		call_end(call, -1, 488, media_failure_text(event->failure));
	} else {
		learned_take(call, event);
	}
}

void gateway_media_back(struct gateway *gateway)
{
	list_each(link, &gateway->all_calls)
		session_tell_media(list_object(link, struct call, in_all));
}

/* ---- Ending ---- */

void gateway_stop(struct gateway *gateway)
{
	if (gateway->stopping)
		return;
	gateway->stopping = true;
	gateway->stop_deadline_us = clock_monotonic_us() + STOP_LONGEST_US;
	list_each(link, &gateway->all_calls)
		call_end(list_object(link, struct call, in_all), -1, 503, "Gateway stops");
	trunks_stop(gateway);
	list_each(link, &gateway->all_subscriptions)
		subscription_forget(list_object(link, struct subscription, in_all), 503);
}

int gateway_hangup(struct gateway *gateway, uint64_t id)
{
	struct call *call = call_find(gateway, id);

	if (!call || call->state == CALL_ENDING)
		return -ENOENT;
	call_end(call, -1, 480, "Ended by the operator");
	return 0;
}
