/* SPDX-License-Identifier: Apache-2.0
 * A request that crosses, sent once more: with other credentials, or to another server. Built anew from the request as it came in;
 * what it began is taken back first. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/events.h"
#include "call/peers.h"
#include "call/sessions.h"

/* What an offer in it began; an answer in it was taken and cannot be given twice. */
static bool body_again(struct relay *relay, const struct sip_message *request, struct body *written,
		       struct span *content_type, struct span *body)
{
	struct call *call = relay->call;
	bool described = request->body.length && policy_body_allowed(SIP_INVITE, request->content_type);

	if (body_cross_midcall(relay, request, written))
		return false;
	*content_type = written->content_type;
	*body = written->bytes;
	if (!described)
		return true;
	if (!relay->exchange || relay->exchange != session_of(call, relay->fork)->exchanges)
		return false;
	session_exchange_done(call, relay->fork);
	relay->exchange = 0;
	return !forward_body(call, relay->fork, relay->from, request, &relay->exchange, content_type, body);
}

static bool initial_again(struct relay *relay, const struct sip_message *request)
{
	struct call *call = relay->call;

	/* Once somebody answered, however early, this INVITE is under way. */
	if (call->state != CALL_CALLING || call->forks)
		return false;
	session_exchange_done(call, NULL);
	relay->exchange = 0;
	return !invite_forward(relay, request);
}

bool relay_again(struct relay *relay)
{
	const struct sip_message *request = relay->server ? sip_server_request(relay->server) : NULL;
	struct span content_type, body;
	struct body written;
	struct flow flow = {0};

	if (!request || relay->answered || relay->registration ||
	    (!relay->outside && !relay->call && !relay->subscription))
		return false;
	if (relay->call && relay->call->state == CALL_ENDING)
		return false;
	timer_stop(relay->gateway->wheel, &relay->patience);
	if (relay->client) {
		flow = *sip_client_flow(relay->client);
		sip_client_user_set(relay->client, NULL); /* it ends by itself */
	}
	relay->client = NULL;
	relay->final = false;
	if (relay->outside)
		return outside_again(relay, request, flow.remote.family ? &flow : NULL);
	if (relay->subscription)
		return subscription_again(relay, request);
	if (relay->initial)
		return initial_again(relay, request);
	return body_again(relay, request, &written, &content_type, &body) &&
	       forward_request(relay, request, content_type, body);
}
