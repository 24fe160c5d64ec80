/* SPDX-License-Identifier: Apache-2.0
 * The INVITE that makes a call: out to the other side, its responses back, the caller's ACK. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/findings.h"
#include "call/peers.h"
#include "call/phones.h"
#include "call/sessions.h"

/* Of a call that rings, then of one that lasts. */
static void too_long(void *context)
{
	struct call *call = context;

	call_end(call, -1, 480, call->state == CALL_ESTABLISHED ? "Longest call duration reached" : "No answer");
}

void call_timer_set(struct call *call, uint64_t delay_ms)
{
	call->timer.fire = too_long;
	call->timer.context = call;
	timer_stop(call->gateway->wheel, &call->timer);
	if (delay_ms)
		timer_start(call->gateway->wheel, &call->timer, delay_ms);
}

int invite_forward(struct relay *relay, const struct sip_message *request)
{
	struct span content_type, body;
	int status = forward_body(relay->call, NULL, CALLER, request, &relay->exchange, &content_type, &body);
	struct fork unborn = {0}; /* no tag of the callee's yet */

	if (status)
		return status;
	relay->fork = &unborn;
	bool sent = forward_request(relay, request, content_type, body);

	relay->fork = NULL;
	return sent ? 0 : 503;
}

static void full(struct gateway *gateway, struct sip_server_transaction *server)
{
	gateway->counters.calls_refused_full++;
	request_refuse(gateway, server, 503, NULL);
}

/* What an INVITE asks for, once its Request-URI is known for what it stands for. */
struct invitation {
	struct sip_message request;
	struct route_target target;
	struct tried tried;
	struct transfer *transfer; /* it came with this token; or NULL */
	char text[2048];
	struct buffer extra; /* header lines of ours */
};

/* Who is charged (call.h); NULL: nobody behind this gateway. */
static const char *payer_of(const struct relay *relay, const struct invitation *invitation, char *text, size_t capacity)
{
	const struct sip_header *header = sip_message_header(&invitation->request, SIP_HEADER_REFERRED_BY);
	const char *named = invitation->transfer ? transfer_payer(invitation->transfer) : NULL;
	const struct leg *caller = &relay->call->legs[CALLER];
	enum zone_kind kind = gateway_zone(relay->gateway, caller->zone)->kind;
	struct sip_address address;

	if (named)
		return *named ? named : NULL;
	if (kind == ZONE_CORE && header && sip_address_parse(header->value, &address) == SIP_OK &&
	    !address.unknown_scheme && !sip_user_decode(address.uri.user, text, capacity))
		return text;
	return kind == ZONE_TRUNK ? NULL : caller->account;
}

/* False: no memory. */
static bool charge(struct relay *relay, const struct invitation *invitation)
{
	char text[256];
	const char *payer = payer_of(relay, invitation, text, sizeof(text));

	relay->call->payer = payer ? memory_copy_text(span_from(payer)) : NULL;
	if (invitation->extra.length)
		relay->extra = memory_copy_text(buffer_span(&invitation->extra));
	return (!payer || relay->call->payer) && (!invitation->extra.length || relay->extra);
}

static bool call_start(struct gateway *gateway, struct sip_server_transaction *server,
		       const struct invitation *invitation)
{
	const struct sip_message *request = &invitation->request;
	const struct route_target *target = &invitation->target;
	struct call *call = call_new(gateway);
	struct relay *relay = call ? relay_new(gateway, call, CALLER, server, request) : NULL;
	int status;

	if (!relay || !leg_set_uas(&call->legs[CALLER], sip_server_flow(server), sip_server_request(server)) ||
	    !leg_set_uac(gateway, &call->legs[CALLEE], target, request) || !charge(relay, invitation)) {
		if (call)
			call_free(call);
		return false;
	}
	leg_phone_find(gateway, &call->legs[CALLER]);
	if (invitation->transfer)
		transfer_take(invitation->transfer, call);
	relay->initial = true;
	relay->tried = invitation->tried;
	call->caller_cseq = request->cseq;
	dialog_learn(call, NULL, CALLER, request, true);
	status = invite_forward(relay, request);
	if (status) {
		gateway->counters.calls_refused_full += status == 503;
		call->counted = true; /* it never was one */
		call_end(call, -1, (uint16_t)status, "Refused");
		return true;
	}
	failover_arm(relay);
	call_timer_set(call, gateway->config->calls.ring_s * 1000ull);
	return true;
}

/* Where an INVITE goes, and what it is to carry. 0, or the status to refuse with. */
static int invitation_read(struct gateway *gateway, const struct flow *flow, const struct sip_message *request,
			   struct invitation *invitation)
{
	int status = transfer_find(gateway, flow, request, &invitation->transfer);

	invitation->request = *request;
	invitation->tried = (struct tried){0};
	invitation->extra = BUFFER_OVER(invitation->text);
	if (status)
		return status;
	if (invitation->transfer) {
		transfer_uri(invitation->transfer, &invitation->request.request_uri);
		flow = transfer_flow(invitation->transfer, flow);
	}
	status = route_find_from(gateway, flow, &invitation->request.request_uri, &invitation->request.from.uri,
				 &invitation->tried, &invitation->target);
	if (status)
		return status;
	if (sip_message_header(request, SIP_HEADER_JOIN))
		status = 488; /* RFC 3911 section 4: who cannot mix says so; it is not taken for a call of its own */
	else if (invitation->transfer)
		status = transfer_headers(invitation->transfer, &invitation->target, &invitation->extra);
	else
		status = replaces_forward(gateway, flow, request, &invitation->target, &invitation->extra);
	gateway->counters.transfers_refused += status != 0;
	return status ? status : invitation->extra.overflow ? 503 : 0;
}

bool invite_is_emergency(const struct gateway *gateway, const struct sip_uri *uri)
{
	char number[64];

	if (sip_user_decode(uri->user, number, sizeof(number)))
		return false;
	for (char **emergency = gateway->config->site.emergency; emergency && *emergency; emergency++)
		if (!strcmp(*emergency, number))
			return true;
	return false;
}

/* True when the call was refused: strangers wait first, calls for help never. */
static bool refuse_overloaded(struct gateway *gateway, struct sip_server_transaction *server,
			      const struct sip_message *request)
{
	const struct flow *flow = sip_server_flow(server);
	bool shown = flow->proven || gateway_zone(gateway, flow->zone)->kind != ZONE_ACCESS;
	char extra[40];

	if (!overload_refuses(&gateway->overload, shown) || invite_is_emergency(gateway, &request->request_uri))
		return false;
	gateway->counters.calls_refused_overload++;
	snprintf(extra, sizeof(extra), "Retry-After: %u\r\n",
		 overload_retry_after_s(&gateway->overload, random_u64(gateway->random)));
	request_refuse(gateway, server, 503, extra);
	return true;
}

void invite_receive(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request)
{
	const struct account *user;
	struct invitation invitation;
	int status;

	if (gateway->stopping) {
		request_refuse(gateway, server, 503, NULL);
		return;
	}
	if (refuse_overloaded(gateway, server, request))
		return;
	/* RFC 3261 section 8.1.1.8: where our requests go, so one that we can write as a Request-URI. */
	if (!request->contact.uri.host.length) {
		request_refuse(gateway, server, 400, NULL);
		return;
	}
	if (refuse_unserved(gateway, server, request) || !authenticate(gateway, server, request, &user))
		return;
	status = invitation_read(gateway, sip_server_flow(server), request, &invitation);
	if (status) {
		request_refuse(gateway, server, (uint16_t)status, NULL);
		return;
	}
	if (!invitation.target.binding && !invitation.target.routes)
		invitation.target.routes = flows_service_route(gateway, sip_server_flow(server), &request->from.uri,
							       invitation.target.zone);
	if (!call_start(gateway, server, &invitation))
		full(gateway, server);
}

/* A 2xx that came too late or from a second branch: acknowledged and ended at once (RFC 3261 section 13.2.2.4). */
static void unwanted(struct relay *relay, const struct sip_message *response)
{
	struct call *call = relay->call;
	struct fork *fork = fork_find(call, response->to.tag);

	if (!fork)
		fork = fork_add(call, response->to.tag, true);
	if (!fork)
		return;
	dialog_learn(call, fork, CALLEE, response, true);
	relay_ack(relay, fork, SPAN_EMPTY, SPAN_EMPTY);
	if (fork->ended) /* a copy of the 2xx gets another ACK, not another BYE */
		return;
	fork->ended = true;
	send_own_request(call, fork, CALLEE, SIP_BYE, NULL);
}

/* The dialog of a response to the call's INVITE; NULL: too many, or no memory. */
static struct fork *fork_of(struct relay *relay, const struct sip_message *response, bool final)
{
	struct fork *fork = fork_find(relay->call, response->to.tag);

	if (fork || !response->to.tag.length)
		return fork;
	fork = fork_add(relay->call, response->to.tag, final);
	if (fork)
		fork->exchange = relay->exchange; /* the offer of the INVITE is made to each */
	return fork;
}

/* What the answer of `fork` did to the offer of our INVITE. 0, or the status to refuse with. */
static int answer_take(struct relay *relay, struct fork *fork, const struct sip_message *response,
		       struct span *content_type, struct span *body)
{
	struct call *call = relay->call;
	int status = forward_body(call, fork, CALLEE, response, &fork->exchange, content_type, body);
	uint8_t offerer = CALLEE;

	if (status || !fork->exchange || fork->exchange != session_of(call, fork)->exchanges)
		return status;
	/* RFC 3261 section 13.2.1: an offer is answered in the 2xx at the latest. */
	if (session_offer_pending(call, fork, &offerer))
		return offerer == CALLER ? 488 : 0;
	session_exchange_done(call, fork);
	return 0;
}

/* What waits in the dialogs that were not answered: they are gone. */
static void losers_refuse(struct call *call)
{
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (!relay->initial && relay->fork != call->dialog)
			relay_refuse(relay, 481, NULL);
	}
}

static void established(struct relay *relay, struct fork *fork)
{
	struct call *call = relay->call;

	call_count(call);
	relay->fork = fork;
	relay->exchange = fork->exchange;
	call->dialog = fork;
	session_commit(call, fork);
	call->state = CALL_ESTABLISHED;
	call->answered_us = clock_monotonic_us();
	call->gateway->counters.calls_answered++;
	call_timer_set(call, call->gateway->config->calls.duration_s * 1000ull);
	losers_refuse(call);
}

static void answered(struct relay *relay, const struct sip_message *response)
{
	struct call *call = relay->call;
	struct fork *fork = fork_find(call, response->to.tag);
	struct span content_type = SPAN_EMPTY, body = SPAN_EMPTY;
	int status;

	if (call->state == CALL_ESTABLISHED && fork == call->dialog) {
		if (relay->ack) /* a copy: our ACK was lost */
			transport_send(relay->gateway->transport, &call->legs[CALLEE].flow,
				       (struct span){relay->ack, relay->ack_length});
		return;
	}
	if (call->state != CALL_CALLING && call->state != CALL_RINGING) {
		unwanted(relay, response);
		return;
	}
	fork = fork_of(relay, response, true);
	if (fork)
		dialog_learn(call, fork, CALLEE, response, true);
	status = fork ? answer_take(relay, fork, response, &content_type, &body) : 500;
	if (status) {
		if (fork)
			unwanted(relay, response);
		call_end(call, -1, (uint16_t)status, "Media refused");
		return;
	}
	established(relay, fork);
	refresh_learn(call, CALLEE, response);
	if (forward_response(relay, response->status, response, fork, content_type, body))
		return;
	relay_ack(relay, fork, SPAN_EMPTY, SPAN_EMPTY);
	call_end(call, -1, 500, "Answer too large");
}

/* A reliable provisional response that came already: what went back then goes again. */
static bool provisional_again(struct relay *relay, const struct sip_message *response, struct fork *fork)
{
	const struct sip_header *rseq = sip_message_header(response, SIP_HEADER_RSEQ);
	uint64_t number;

	if (!fork || !rseq || span_to_uint(rseq->value, UINT32_MAX, &number))
		return false;
	if (fork->rseq == number && fork->provisional) {
		sip_server_respond(relay->server, response->status,
				   (struct span){fork->provisional, fork->provisional_length});
		return true;
	}
	fork->rseq = (uint32_t)number;
	return false;
}

static void provisional(struct relay *relay, const struct sip_message *response)
{
	struct call *call = relay->call;
	struct fork *fork = NULL;
	struct span content_type, body;
	int status;

	if (response->status == 100 || call->state == CALL_ESTABLISHED || call->state == CALL_ENDING)
		return;
	call_count(call);
	if (response->to.tag.length) {
		fork = fork_of(relay, response, false);
		if (!fork)
			return;
		dialog_learn(call, fork, CALLEE, response, true);
	}
	if (provisional_again(relay, response, fork))
		return;
	/* Without a tag it makes no dialog (RFC 3261 section 12.1), and describes none. */
	content_type = body = SPAN_EMPTY;
	status = fork ? forward_body(call, fork, CALLEE, response, &fork->exchange, &content_type, &body) : 0;
	if (status) {
		if (call->fork_count < 2) /* of several who ring, the others may still do better */
			call_end(call, -1, (uint16_t)status, "Media refused");
		return;
	}
	if (response->status >= 180)
		call->state = CALL_RINGING;
	if (!forward_response(relay, response->status, response, fork, content_type, body))
		call_end(call, -1, 500, "Answer too large");
}

/* Cancelled, or challenged: the caller comes again with credentials. */
static bool is_no_failure(uint16_t status)
{
	return status == 487 || status == 401 || status == 407;
}

/* Another INVITE in place of one that was refused for something the gateway can mend. */
static bool invite_again(struct relay *relay)
{
	const struct sip_message *request = relay->server ? sip_server_request(relay->server) : NULL;

	if (!request || relay->answered || relay->call->forks)
		return false;
	if (relay->client)
		sip_client_user_set(relay->client, NULL);
	relay->client = NULL;
	session_exchange_done(relay->call, NULL);
	relay->final = false;
	if (!invite_forward(relay, request))
		return true;
	relay->final = true;
	return false;
}

static void refused(struct relay *relay, const struct sip_message *response)
{
	struct call *call = relay->call;

	if (call->state != CALL_ENDING && response->status < 400 && redirect_receive(relay, response))
		return;
	if (call->state != CALL_ENDING && response->status == 422 && refresh_demand_learn(call, CALLEE, response) &&
	    invite_again(relay))
		return;
	if (call->state != CALL_ENDING) {
		if (response->status != 401 && response->status != 407)
			call_count(call);
		call->gateway->counters.calls_failed += !is_no_failure(response->status);
		if (response->status == 401 || response->status == 407)
			transfer_give_back(call);
		if (!forward_response(relay, response->status, response, NULL, SPAN_EMPTY, SPAN_EMPTY))
			relay_refuse(relay, 500, NULL);
		relays_refuse(call, 487); /* PRACK, UPDATE and the like that were under way */
		timer_stop(call->gateway->wheel, &call->timer);
		call->state = CALL_ENDING;
	}
	call_settle(call);
}

void invite_response(struct relay *relay, const struct sip_message *response)
{
	struct call *call = relay->call;

	if (response->status < 200) {
		provisional(relay, response);
		return;
	}
	relay->final = true;
	if (response->status >= 300)
		refused(relay, response);
	else if (call->state == CALL_ENDING) {
		unwanted(relay, response);
		call_settle(call);
	} else
		answered(relay, response);
}

/* The INVITE relay whose 2xx this ACK of `dialog` acknowledges. */
static struct relay *acknowledged(const struct dialog *dialog, uint32_t cseq)
{
	list_each(link, &dialog->call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->method == SIP_INVITE && relay->from == dialog->leg && relay->server_cseq == cseq &&
		    relay->accepted && relay->fork == dialog->fork)
			return relay;
	}
	return NULL;
}

void invite_ack(struct gateway *gateway, const struct flow *flow, const struct sip_message *ack)
{
	struct dialog dialog;
	struct relay *relay;
	struct span content_type = SPAN_EMPTY, body = SPAN_EMPTY;
	uint8_t offerer;
	int status = 0;

	if (!dialog_find(gateway, flow, ack, &dialog)) {
		if (tombstone_ack(gateway, flow, ack))
			return;
		gateway->counters.dialog_strangers++;
		finding_of_stranger(gateway, flow, ack);
		return;
	}
	relay = acknowledged(&dialog, ack->cseq);
	if (relay && relay->server)
		sip_server_acknowledge(relay->server);
	if (!relay || dialog.call->state == CALL_ENDING)
		return;
	if (relay->ack) { /* a copy, because the callee's side lost ours: it sends its 2xx again by itself */
		return;
	}
	if (session_offer_pending(dialog.call, dialog.fork, &offerer) && offerer != dialog.leg) {
		status =
			forward_body(dialog.call, dialog.fork, dialog.leg, ack, &relay->exchange, &content_type, &body);
		if (!status && !body.length)
			status = 488; /* no answer */
		session_exchange_done(dialog.call, dialog.fork);
	}
	relay_ack(relay, relay->fork, content_type, body);
	if (status)
		call_end(dialog.call, -1, (uint16_t)status, "No usable answer in ACK");
}
