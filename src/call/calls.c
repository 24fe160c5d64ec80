/* SPDX-License-Identifier: Apache-2.0
 * The life of calls and of relays. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/peers.h"
#include "call/phones.h"
#include "call/sessions.h"

void call_enter(struct call *call)
{
	struct gateway *gateway = call->gateway;

	list_init(&call->relays);
	list_init(&call->given);
	list_init(&call->touched);
	list_append(&gateway->all_calls, &call->in_all);
	table_add(gateway->calls, &call->by_id, table_hash(gateway->calls, &call->id, sizeof(call->id)));
	call->callee_key = (struct dialog_key){.tag = call->legs[CALLEE].local_tag, .call = call};
	table_add(gateway->dialogs, &call->callee_key.link,
		  table_hash(gateway->dialogs, call->callee_key.tag, TAG_LENGTH));
	call_touch(call);
}

struct call *call_new(struct gateway *gateway)
{
	struct call *call = pool_take(gateway->call_pool);

	if (!call)
		return NULL;
	call->gateway = gateway;
	do
		call->id = random_u64(gateway->random) >> 16; /* 48 bits: short to type for `ringwall hangup` */
	while (!call->id ||
	       table_find(gateway->calls, table_hash(gateway->calls, &call->id, sizeof(call->id)), &call->id));
	random_token(gateway->random, call->legs[CALLEE].local_tag, TAG_LENGTH);
	call->started_us = clock_monotonic_us();
	call_enter(call);
	for (int leg = 0; leg < 2; leg++) {
		/* RFC 8866 section 5.2: numeric; below 2^62 for those who read it as a signed number. */
		call->session.origin_ids[leg] = random_u64(gateway->random) >> 2;
		call->session.versions[leg] = 0;
	}
	return call;
}

void call_count(struct call *call)
{
	call->gateway->counters.calls_started += !call->counted;
	call->counted = true;
}

void call_free(struct call *call)
{
	struct gateway *gateway = call->gateway;

	timer_stop(gateway->wheel, &call->timer);
	refresh_stop(call);
	session_close(call);
	list_remove(&call->touched);
	gateway_record_remove(gateway, &call->record);
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		list_remove(&relay->in_call);
		relay_uncount(relay);
		relay->call = NULL;
		relay->fork = NULL;
	}
	while (call->forks) {
		struct fork *fork = call->forks;

		call->forks = fork->next;
		fork_free(fork);
	}
	table_remove(gateway->dialogs, &call->callee_key.link);
	table_remove(gateway->calls, &call->by_id);
	list_remove(&call->in_all);
	transfer_forget(call);
	memory_free(call->payer);
	leg_clear(&call->legs[CALLER]);
	leg_clear(&call->legs[CALLEE]);
	pool_give(gateway->call_pool, call);
}

void relay_count(struct relay *relay, uint16_t *waiting)
{
	++*waiting;
	relay->counted = waiting;
}

void relay_uncount(struct relay *relay)
{
	if (relay->counted)
		--*relay->counted;
	relay->counted = NULL;
}

struct relay *relay_new(struct gateway *gateway, struct call *call, uint8_t from, struct sip_server_transaction *server,
			const struct sip_message *request)
{
	bool may_wait = !call || call->waiting[from] < WAITING_OF_LEG;
	struct relay *relay = may_wait ? pool_take(gateway->relay_pool) : NULL;

	if (!relay)
		return NULL;
	relay->gateway = gateway;
	relay->call = call;
	relay->from = from;
	relay->method = (uint8_t)request->method;
	relay->server = server;
	relay->server_cseq = request->cseq;
	list_init(&relay->in_call);
	if (call) {
		list_append(&call->relays, &relay->in_call);
		relay_count(relay, &call->waiting[from]);
		call_touch(call);
	}
	list_append(&gateway->all_relays, &relay->in_all);
	sip_server_user_set(server, relay);
	return relay;
}

struct relay *relay_new_refresh(struct call *call, uint8_t leg, enum sip_method method)
{
	struct relay *relay = pool_take(call->gateway->relay_pool);

	if (!relay)
		return NULL;
	relay->gateway = call->gateway;
	relay->call = call;
	relay->from = other_leg(leg);
	relay->method = (uint8_t)method;
	relay->refreshing = relay->answered = true; /* nobody waits for it */
	list_append(&call->relays, &relay->in_call);
	list_append(&call->gateway->all_relays, &relay->in_all);
	return relay;
}

void relay_free(struct relay *relay)
{
	if (relay->server)
		sip_server_user_set(relay->server, NULL);
	if (relay->client)
		sip_client_user_set(relay->client, NULL);
	timer_stop(relay->gateway->wheel, &relay->timer);
	timer_stop(relay->gateway->wheel, &relay->patience);
	relay_uncount(relay);
	list_remove(&relay->in_call);
	list_remove(&relay->in_all);
	memory_free(relay->extra);
	memory_free_secret(relay->ack, relay->ack_length);
	if (relay->registration)
		relay->gateway->load.pending--;
	registration_free(relay->registration);
	own_request_free(relay->own);
	pool_give(relay->gateway->relay_pool, relay);
}

void relay_refuse(struct relay *relay, uint16_t status, const char *extra)
{
	if (!relay->server || relay->answered)
		return;
	const char *usual = refusal_count(relay->gateway, status);

	relay->answered = true;
	relay_uncount(relay);
	if (relay->call)
		call_touch(relay->call);
	respond(relay->gateway, relay->server, status, relay->fork ? relay->fork->caller_tag : NULL,
		extra ? extra : usual);
}

void bytes_keep(char **bytes, size_t *length, struct span span)
{
	memory_free_secret(*bytes, *length);
	*bytes = span.length ? memory_alloc(span.length) : NULL;
	*length = *bytes ? span.length : 0;
	if (*bytes)
		memcpy(*bytes, span.data, span.length);
}

void relay_ack(struct relay *relay, struct fork *fork, struct span content_type, struct span body)
{
	struct call *call = relay->call;
	struct gateway *gateway = relay->gateway;
	struct buffer out = gateway_scratch(gateway);
	uint8_t leg = other_leg(relay->from);
	char branch[SIP_BRANCH_CAPACITY];

	sip_branch_make(gateway->random, branch);
	build_request(call, fork, leg, SIP_ACK, relay->client_cseq, branch, 70, &out);
	sip_write_body(&out, content_type, body);
	if (out.overflow)
		return;
	/* Kept for the copies of the 2xx (RFC 3261 section 13.2.2.4), but for that of a fork that is not the dialog. */
	if (fork == relay->fork)
		bytes_keep(&relay->ack, &relay->ack_length, buffer_span(&out));
	call_touch(call);
	transport_send(gateway->transport, &call->legs[leg].flow, buffer_span(&out));
}

/* An INVITE on its way to the other leg: taken back; one whose 2xx waits for its ACK gets that. */
static void relay_end(struct relay *relay, struct span reason)
{
	if (relay->method != SIP_INVITE)
		return;
	if (relay->client && !relay->final)
		sip_client_cancel_for(relay->client, reason);
	else if (relay->accepted && !relay->ack && relay->fork)
		relay_ack(relay, relay->fork, SPAN_EMPTY, SPAN_EMPTY);
}

void relays_refuse(struct call *call, uint16_t status)
{
	list_each(link, &call->relays)
		relay_refuse(list_object(link, struct relay, in_call), status, NULL);
}

static void tell_end(const struct call *call, const char *how)
{
	const struct gateway_callbacks *callbacks = &call->gateway->callbacks;
	struct gateway_call_view view;

	if (call->state != CALL_ESTABLISHED || !callbacks->call_ended)
		return;
	call_view(call, &view);
	callbacks->call_ended(callbacks->context, &view, how);
}

static void end(struct call *call, int skip, uint16_t status, struct span reason, const char *how)
{
	char text[600];
	struct buffer extra = BUFFER_OVER(text);
	bool was_established = call->state == CALL_ESTABLISHED;

	if (call->state == CALL_ENDING)
		return;
	tell_end(call, how);
	call_count(call);
	if (call->state == CALL_CALLING || call->state == CALL_RINGING)
		call->gateway->counters.calls_failed += status != 487;
	timer_stop(call->gateway->wheel, &call->timer);
	refresh_stop(call);
	/* First: should the process die from here on, the next one ends what is left. */
	call->state = CALL_ENDING;
	call_touch(call);
	list_each(link, &call->relays)
		relay_end(list_object(link, struct relay, in_call), reason);
	/* What waits when a BYE comes is not done (RFC 3261 section 15.1.2), however well the call ended. */
	relays_refuse(call, status < 300 ? 487 : status);
	if (reason.length)
		sip_write_header(&extra, SIP_HEADER_REASON, reason);
	if (was_established)
		for (uint8_t leg = 0; leg < 2; leg++)
			if (leg != skip)
				send_own_request(call, call->dialog, leg, SIP_BYE, buffer_text(&extra));
	session_close(call);
	call_settle(call);
}

void call_end(struct call *call, int skip, uint16_t status, const char *reason)
{
	char text[160];

	snprintf(text, sizeof(text), "SIP;cause=%u;text=\"%s\"", status, reason);
	end(call, skip, status, span_from(text), reason);
}

void call_end_for(struct call *call, int skip, uint16_t status, struct span reason)
{
	end(call, skip, status, reason, skip == CALLER ? "the caller hung up" : "the callee hung up");
}

static bool relay_awaits_final(const struct relay *relay)
{
	return relay->client && !relay->final &&
	       (relay->method == SIP_INVITE || (transfer_concerns(relay->method) && !relay->answered));
}

static void linger_over(void *context)
{
	struct call *call = context;

	transfer_forget(call);
	call_settle(call);
}

/* Who transferred hangs up, and is told the result all the same (RFC 3515 section 2.4.7, RFC 5057): the dialog stays for that. */
static bool call_lingers(struct call *call)
{
	if (!call->refers || call->gateway->stopping)
		return false;
	if (!timer_is_running(&call->timer)) {
		call->timer.fire = linger_over;
		call->timer.context = call;
		timer_start(call->gateway->wheel, &call->timer, TRANSFER_LINGER_MS);
	}
	return true;
}

void call_settle(struct call *call)
{
	if (call->state != CALL_ENDING)
		return;
	/* A cancelled INVITE may still be answered with a 2xx, which must be acknowledged and ended. */
	list_each(link, &call->relays)
		if (relay_awaits_final(list_object(link, struct relay, in_call)))
			return;
	if (call_lingers(call))
		return;
	tombstone_bury(call);
	call_free(call);
}
