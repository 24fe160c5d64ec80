/* SPDX-License-Identifier: Apache-2.0
 * From one leg to the other: bodies, requests and responses, rewritten on the way. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/peers.h"
#include "call/sessions.h"

/* Only these take part in offer and answer (RFC 3261 section 13.2.1, RFC 3262 section 5, RFC 3311 section 5): what a 200 to
 * OPTIONS describes is no offer. */
static bool is_description(const struct sip_message *message)
{
	bool takes_part = message->method == SIP_INVITE || message->method == SIP_ACK || message->method == SIP_PRACK ||
			  message->method == SIP_UPDATE;

	return takes_part && message->body.length && policy_body_allowed(SIP_INVITE, message->content_type);
}

/* An offer may come in a request, and in a response to an INVITE without one: if provisional, in a reliable one. */
static bool may_offer(const struct sip_message *message)
{
	return message->is_request || (message->method == SIP_INVITE &&
				       (message->status >= 200 || sip_message_header(message, SIP_HEADER_RSEQ)));
}

int forward_body(struct call *call, struct fork *fork, uint8_t leg, const struct sip_message *message,
		 uint32_t *exchange, struct span *content_type, struct span *body)
{
	struct buffer out = buffer_over(call->gateway->body, SDP_BYTES_MAXIMUM);
	const struct session *session = session_of(call, fork);
	uint8_t offerer = 0;
	bool answered = !session_offer_pending(call, fork, &offerer);
	bool own_offer_open = session->exchange && offerer != leg;
	int status;

	*content_type = *body = SPAN_EMPTY;
	if (!is_description(message))
		return 0;
	if (own_offer_open && (!answered || !message->is_request)) {
		/* An answer, or its repetition in a later response; one to an offer that another request made is not ours. */
		if (!message->is_request && *exchange != session->exchanges)
			return 0;
		status = session_answer(call, fork, leg, message->body, &out);
	} else if (!may_offer(message) || (!message->is_request && *exchange)) {
		return 0; /* no offer, or said already in a reliable provisional response */
	} else {
		if (!answered)
			return 491; /* one offer at a time (RFC 3264 section 4) */
		status = session_offer(call, fork, leg, message->body, &out);
		*exchange = session_of(call, fork)->exchanges;
	}
	if (status)
		return status;
	if (out.overflow)
		return 500;
	*content_type = SPAN("application/sdp");
	*body = buffer_span(&out);
	return 0;
}

/* The number at the start of *rest, and the blanks behind it stepped over. */
static bool number_take(struct span *rest, uint64_t *number)
{
	size_t digits = 0;

	while (digits < rest->length && rest->data[digits] >= '0' && rest->data[digits] <= '9')
		digits++;
	if (span_to_uint(span_slice(*rest, 0, digits), UINT32_MAX, number))
		return false;
	*rest = span_trim(span_slice(*rest, digits, rest->length));
	return true;
}

bool forward_rack(struct call *call, uint8_t from, const struct sip_message *prack, uint32_t *rseq, uint32_t *cseq)
{
	const struct sip_header *header = sip_message_header(prack, SIP_HEADER_RACK);
	struct span rest = header ? header->value : SPAN_EMPTY;
	uint64_t response, invite;

	if (!number_take(&rest, &response) || !number_take(&rest, &invite) || !span_equal(rest, SPAN("INVITE")))
		return false;
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->method == SIP_INVITE && relay->from == from && relay->server_cseq == invite) {
			*rseq = (uint32_t)response;
			*cseq = relay->client_cseq;
			return true;
		}
	}
	return false;
}

/* RAck names the INVITE by its CSeq, which is another one on the other leg (RFC 3262 section 7.2). */
static void write_rack(struct relay *relay, const struct sip_message *request, struct buffer *out)
{
	char text[64];
	struct buffer value = BUFFER_OVER(text);
	uint32_t rseq, cseq;

	if (!forward_rack(relay->call, relay->from, request, &rseq, &cseq)) {
		out->overflow = true;
		return;
	}
	buffer_printf(&value, "%u %u INVITE", rseq, cseq);
	sip_write_header(out, SIP_HEADER_RACK, buffer_span(&value));
}

bool forward_request(struct relay *relay, const struct sip_message *request, struct span content_type, struct span body)
{
	struct call *call = relay->call;
	struct gateway *gateway = relay->gateway;
	uint8_t to = other_leg(relay->from);
	struct leg *leg = &call->legs[to];
	struct buffer out = gateway_scratch(gateway);
	char branch[SIP_BRANCH_CAPACITY];
	int32_t max_forwards = request->max_forwards < 0 ? 70 : request->max_forwards - 1;

	sip_branch_make(gateway->random, branch);
	relay->client_cseq = ++leg->cseq;
	build_request(call, relay->fork, to, request->method, relay->client_cseq, branch, max_forwards, &out);
	trunk_credentials_write(gateway, &leg->flow, request->method, &relay->challenged, &out);
	if (request->method == SIP_INVITE || request->method == SIP_UPDATE) {
		build_contact(gateway, &out, leg);
		sip_write_header(&out, SIP_HEADER_ALLOW, SPAN(OWN_ALLOW));
	} else if (transfer_concerns(request->method)) {
		build_contact(gateway, &out, leg);
	}
	if (request->method == SIP_PRACK)
		write_rack(relay, request, &out);
	if (request->method == SIP_REFER)
		transfer_sent(relay);
	if (relay->extra)
		buffer_put_text(&out, relay->extra);
	if (request->method == SIP_INVITE || request->method == SIP_UPDATE) {
		policy_options_with(request, refresh_is_on(gateway) ? "timer" : NULL, &out);
		refresh_write_request(call, to, &out);
	} else {
		policy_options(request, &out);
	}
	if (request->method == SIP_SUBSCRIBE || request->method == SIP_NOTIFY)
		transfer_copy(relay, request, &out);
	else
		policy_copy(gateway, request, call->legs[relay->from].zone, leg->zone, &out);
	sip_write_body(&out, content_type, body);
	if (out.overflow || out.length > MESSAGE_LONGEST)
		return false;
	relay->client = sip_client_prepare(gateway_transactions(gateway), &leg->flow, request->method, branch,
					   buffer_span(&out), relay);
	if (!relay->client)
		return false;
	call_touch(call);
	sip_client_send(relay->client, buffer_span(&out));
	return true;
}

static bool makes_dialog(const struct relay *relay, uint16_t status)
{
	return (relay->method == SIP_INVITE || relay->method == SIP_UPDATE || transfer_concerns(relay->method)) &&
	       status > 100 && status < 300;
}

bool forward_response(struct relay *relay, uint16_t status, const struct sip_message *response, struct fork *fork,
		      struct span content_type, struct span body)
{
	struct gateway *gateway = relay->gateway;
	struct call *call = relay->call;
	struct leg *leg = &call->legs[relay->from];
	const struct sip_message *request = sip_server_request(relay->server);
	bool told = status >= 300 && status < 400 && redirect_is_told(relay, response);
	uint16_t shown = told ? status
			      : policy_status(status, gateway_zone(gateway, call->legs[other_leg(relay->from)].zone),
					      gateway_zone(gateway, leg->zone));
	struct buffer out = gateway_scratch(gateway);
	struct span tag = fork ? span_from(fork->caller_tag) : SPAN_EMPTY;
	char fresh[TAG_LENGTH + 1];

	if (!fork && shown > 100) {
		random_token(gateway->random, fresh, TAG_LENGTH);
		tag = span_from(fresh);
	}
	sip_write_response_start(&out, request, shown, SPAN_EMPTY, tag, &leg->flow);
	if (told)
		redirect_write(relay, response, &out);
	if (makes_dialog(relay, shown)) {
		build_record_routes(&out, request);
		build_contact(gateway, &out, leg);
		sip_write_header(&out, SIP_HEADER_ALLOW, SPAN(OWN_ALLOW));
	}
	policy_options_with(response, makes_dialog(relay, shown) && refresh_is_on(gateway) ? "timer" : NULL, &out);
	if (makes_dialog(relay, shown) && shown >= 200)
		refresh_write_response(call, relay->from, request, &out);
	policy_copy(gateway, response, call->legs[other_leg(relay->from)].zone, leg->zone, &out);
	sip_write_body(&out, content_type, body);
	if (out.overflow || out.length > MESSAGE_LONGEST)
		return false;
	relay->answered |= shown >= 200;
	if (relay->answered)
		relay_uncount(relay);
	relay->accepted |= shown >= 200 && shown < 300;
	if (fork && shown < 200 && sip_message_header(response, SIP_HEADER_RSEQ))
		bytes_keep(&fork->provisional, &fork->provisional_length, buffer_span(&out));
	call_touch(call);
	sip_server_respond(relay->server, shown, buffer_span(&out));
	return true;
}
