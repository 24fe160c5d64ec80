/* SPDX-License-Identifier: Apache-2.0
 * Requests inside a dialog: re-INVITE, UPDATE, PRACK, INFO, MESSAGE and OPTIONS cross; BYE ends the call. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/events.h"
#include "call/findings.h"
#include "call/peers.h"
#include "call/sessions.h"

#define REINVITE_PATIENCE_MS 32000 /* 64*T1 from the last provisional response */

/* An INVITE or UPDATE under way in the dialog, from either leg (RFC 3261 section 14.2, RFC 3311 section 5.2). */
static struct relay *renegotiation(struct call *call, const struct fork *fork)
{
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		bool waits = relay->refreshing ? !relay->final && relay->method == SIP_INVITE : !relay->answered;

		if (!relay->initial && waits && relay->fork == fork &&
		    (relay->method == SIP_INVITE || relay->method == SIP_UPDATE))
			return relay;
	}
	return NULL;
}

bool midcall_is_renegotiating(struct call *call)
{
	uint8_t offerer;

	return renegotiation(call, call->dialog) || session_offer_pending(call, call->dialog, &offerer);
}

static void bye_receive(const struct dialog *dialog, struct sip_server_transaction *server,
			const struct sip_message *request)
{
	struct call *call = dialog->call;
	struct gateway *gateway = call->gateway;
	char text[512];
	struct buffer reason = BUFFER_OVER(text);

	policy_reasons(request, &reason);
	if (!reason.length)
		buffer_put_text(&reason, "SIP;cause=200;text=\"Normal call clearing\"");
	/* Then the answer: until it comes the BYE is sent again, to whoever takes our place should we die in between. */
	call_end_for(call, dialog->leg, call->state == CALL_ESTABLISHED ? 200 : 487, buffer_span(&reason));
	respond(gateway, server, 200, NULL, NULL);
}

/* What must not cross now, as a status; 0: it may. */
static uint16_t not_now(struct call *call, const struct dialog *dialog, const struct sip_message *request)
{
	bool renegotiates = request->method == SIP_INVITE || request->method == SIP_UPDATE;
	struct relay *other = renegotiates ? renegotiation(call, dialog->fork) : NULL;
	uint32_t rseq, cseq;
	uint8_t offerer;

	/* RFC 3262 section 3: it acknowledges nothing. */
	if (request->method == SIP_PRACK && !forward_rack(call, dialog->leg, request, &rseq, &cseq))
		return 481;
	if (other)
		return other->from == dialog->leg && !other->refreshing ? 500 : 491;
	if (request->method == SIP_INVITE && call->state != CALL_ESTABLISHED)
		return 491;
	if (renegotiates && request->body.length && session_offer_pending(call, dialog->fork, &offerer))
		return offerer == dialog->leg ? 500 : 491;
	return 0;
}

static void exchange_undo(struct relay *relay)
{
	if (relay->exchange && relay->exchange == session_of(relay->call, relay->fork)->exchanges)
		session_exchange_done(relay->call, relay->fork);
}

/* 0, or the status to refuse with. */
static int send_on(struct relay *relay, const struct sip_message *request)
{
	struct span content_type, body;
	struct body written;
	int status = body_cross_midcall(relay, request, &written);

	content_type = written.content_type;
	body = written.bytes;
	if (!status && body.length && policy_body_allowed(SIP_INVITE, content_type))
		status = forward_body(relay->call, relay->fork, relay->from, request, &relay->exchange, &content_type,
				      &body);
	if (!status && !forward_request(relay, request, content_type, body))
		status = 503;
	if (status)
		exchange_undo(relay);
	return status;
}

static void forward(const struct dialog *dialog, struct sip_server_transaction *server,
		    const struct sip_message *request)
{
	struct call *call = dialog->call;
	struct gateway *gateway = call->gateway;
	struct relay *relay = relay_new(gateway, call, dialog->leg, server, request);
	int status;

	if (!relay) {
		request_refuse(gateway, server, 503, "Retry-After: 1\r\n");
		return;
	}
	relay->fork = dialog->fork;
	status = send_on(relay, request);
	failover_arm(relay);
	if (status)
		relay_refuse(relay, (uint16_t)status, NULL);
}

/* Once more, asking for a session interval that the other side takes (RFC 4028 section 7.3). */
static bool again(struct relay *relay)
{
	const struct sip_message *request = sip_server_request(relay->server);

	if (!request || relay->answered)
		return false;
	if (relay->client)
		sip_client_user_set(relay->client, NULL);
	relay->client = NULL;
	exchange_undo(relay);
	relay->exchange = 0;
	relay->final = false;
	if (!send_on(relay, request))
		return true;
	relay->final = true;
	return false;
}

/* Of several dialogs the one that was answered lives on; after it, what is told of a transfer. */
static bool is_over(const struct dialog *dialog, const struct sip_message *request)
{
	const struct call *call = dialog->call;

	if (call->state == CALL_ENDING)
		return !call->refers || dialog->fork != call->dialog ||
		       (request->method != SIP_NOTIFY && request->method != SIP_SUBSCRIBE);
	return call->state == CALL_ESTABLISHED && dialog->fork != call->dialog;
}

void midcall_receive(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request)
{
	struct dialog dialog;
	uint16_t status;

	if (!dialog_find(gateway, sip_server_flow(server), request, &dialog)) {
		if (tombstone_receive(gateway, server, request))
			return;
		gateway->counters.dialog_strangers++;
		finding_of_stranger(gateway, sip_server_flow(server), request);
		request_refuse(gateway, server, 481, NULL);
		return;
	}
	if (is_over(&dialog, request)) {
		bool crossed = request->method == SIP_BYE && dialog.call->state == CALL_ENDING;

		if (crossed)
			respond(gateway, server, 200, NULL, NULL);
		else
			request_refuse(gateway, server, 481, NULL);
		return;
	}
	dialog.call->record_watched = true;
	if (!dialog_cseq_take(&dialog, request->cseq)) {
		request_refuse(gateway, server, 500, "Retry-After: 1\r\n");
		return;
	}
	if (request->method == SIP_BYE) { /* whatever else it asks for: nobody wants to go on */
		bye_receive(&dialog, server, request);
		return;
	}
	if (refuse_unserved(gateway, server, request))
		return;
	if (transfer_concerns(request->method)) {
		transfer_receive(&dialog, server, request);
		return;
	}
	status = not_now(dialog.call, &dialog, request);
	if (status) {
		request_refuse(gateway, server, status, NULL);
		return;
	}
	if (request->method == SIP_INVITE || request->method == SIP_UPDATE)
		dialog_learn(dialog.call, dialog.fork, dialog.leg, request, false);
	if (!refresh_receive(&dialog, server, request))
		forward(&dialog, server, request);
}

static void offer_ends(struct relay *relay, uint16_t status)
{
	struct call *call = relay->call;

	if (relay->exchange && relay->exchange == session_of(call, relay->fork)->exchanges &&
	    (status >= 300 || sip_server_request(relay->server)->body.length))
		session_exchange_done(call, relay->fork);
}

/* A copy of a 2xx that was acknowledged already. */
static bool is_copy(struct relay *relay, const struct sip_message *response)
{
	if (!relay->answered)
		return false;
	if (relay->method == SIP_INVITE && response->status < 300 && relay->ack)
		transport_send(relay->gateway->transport, &relay->call->legs[other_leg(relay->from)].flow,
			       (struct span){relay->ack, relay->ack_length});
	return true;
}

/* A 2xx that cannot be passed on: what the two sides hold of the call is not the same any more. */
static void refused(struct relay *relay, uint16_t status, const char *reason)
{
	if (relay->method == SIP_INVITE)
		relay_ack(relay, relay->fork, SPAN_EMPTY, SPAN_EMPTY);
	call_end(relay->call, -1, status, reason);
}

/* A re-INVITE's final response after the end of the call: a 2xx must still be acknowledged. */
static void ended(struct relay *relay, const struct sip_message *response)
{
	if (relay->method != SIP_INVITE || response->status < 200)
		return;
	if (response->status < 300)
		relay_ack(relay, relay->fork, SPAN_EMPTY, SPAN_EMPTY);
	relay->final = true;
	call_settle(relay->call);
}

static void give_up(void *context)
{
	struct relay *relay = context;

	relay->given_up = true;
	relay->gateway->counters.reinvites_given_up++;
	if (relay->client)
		sip_client_cancel(relay->client); /* its 487 crosses, or the transaction's end answers */
}

void midcall_wait(struct relay *relay)
{
	if (relay->method != SIP_INVITE || relay->initial || relay->final || relay->given_up)
		return;
	relay->timer.fire = give_up;
	relay->timer.context = relay;
	timer_start(relay->gateway->wheel, &relay->timer, REINVITE_PATIENCE_MS);
}

void midcall_response(struct relay *relay, const struct sip_message *response)
{
	struct call *call = relay->call;
	uint8_t leg = other_leg(relay->from);
	struct span content_type = SPAN_EMPTY, body = SPAN_EMPTY;
	bool of_transfer = transfer_concerns(relay->method);
	int status = 0;

	call->record_watched = true;
	if (call->state == CALL_ENDING && !of_transfer) {
		ended(relay, response);
		return;
	}
	if (response->status < 200)
		midcall_wait(relay);
	if (response->status == 100 || !relay->server || is_copy(relay, response))
		return;
	relay->final |= response->status >= 200;
	if (relay->final)
		timer_stop(relay->gateway->wheel, &relay->timer);
	if (response->status == 422 && refresh_demand_learn(call, leg, response) && again(relay))
		return;
	if (relay->method == SIP_REFER && response->status >= 200)
		transfer_answered(relay, response);
	if (response->status < 300)
		status = forward_body(call, relay->fork, leg, response, &relay->exchange, &content_type, &body);
	if (status && response->status >= 200) {
		/* The other side changed its media as we may not: the call cannot go on in a known state (M1). */
		refused(relay, (uint16_t)status, "Media refused");
		return;
	}
	if (response->status < 300 && (relay->method == SIP_INVITE || relay->method == SIP_UPDATE)) {
		dialog_learn(call, relay->fork, leg, response, false);
		if (response->status >= 200)
			refresh_learn(call, leg, response);
	}
	if (!forward_response(relay, response->status, response, relay->fork, content_type, body)) {
		if (response->status >= 200 && response->status < 300) {
			refused(relay, 500, "Answer too large");
			return;
		}
		if (response->status >= 300)
			relay_refuse(relay, 500, NULL);
	}
	if (response->status >= 200)
		offer_ends(relay, response->status);
	/* RFC 3261 section 12.2.1.2: the dialog is gone on the other side. Of a PRACK it says less (RFC 3262 section 3), and of
	 * what is told of a transfer (RFC 5057 section 5.1). */
	if ((response->status == 481 || response->status == 408) && relay->method != SIP_PRACK && !of_transfer)
		call_end(call, -1, 481, "The other side does not know the call");
}
