/* SPDX-License-Identifier: Apache-2.0
 * Another server for a request that the present one does not serve (RFC 3263 section 4.3): one that cannot be reached, says nothing,
 * or answers 503. The request is built anew; whoever sent it notices nothing. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/events.h"
#include "call/peers.h"
#include "call/phones.h"
#include "call/sessions.h"

/* What it was sent as may still be answered; see failover_stray. */
static void abandon(struct relay *relay)
{
	if (relay->client) {
		sip_client_user_set(relay->client, NULL);
		sip_client_cancel(relay->client); /* no effect after a final response, or of another method */
	}
	relay->client = NULL;
	relay->final = false;
	timer_stop(relay->gateway->wheel, &relay->patience);
}

static void initial_forward(struct relay *relay, const struct sip_message *request, const struct tried *tried)
{
	int status;

	abandon(relay);
	relay->tried = *tried;
	relay->exchange = 0;
	session_close(relay->call); /* no description went to the caller: other ports and addresses are as good */
	status = invite_forward(relay, request);
	if (status)
		call_end(relay->call, -1, (uint16_t)status, "Refused");
}

/* To another server of the same zone. */
static bool initial_beside(struct relay *relay, const struct sip_message *request)
{
	struct leg *leg = &relay->call->legs[CALLEE];
	struct tried tried = relay->tried;

	if (servers_route(relay->gateway, leg->zone, &tried, &leg->flow))
		return false;
	initial_forward(relay, request, &tried);
	return true;
}

/* Where the call goes by the routes, as if it came now, but to no server that was tried, and what it carries there as `extra`. */
static bool next_zone_find(struct relay *relay, struct sip_message *meant, struct tried *tried,
			   struct route_target *target, struct buffer *extra)
{
	struct gateway *gateway = relay->gateway;
	struct call *call = relay->call;
	const struct flow *flow = sip_server_flow(relay->server);

	if (call->transfer) {
		transfer_uri(call->transfer, &meant->request_uri);
		flow = transfer_flow(call->transfer, flow);
	}
	if (route_find_from(gateway, flow, &meant->request_uri, &meant->from.uri, tried, target) || target->binding ||
	    target->zone == call->legs[CALLEE].zone)
		return false;
	if (!target->routes)
		target->routes = flows_service_route(gateway, flow, &meant->from.uri, target->zone);
	return !call->transfer || (!transfer_headers(call->transfer, target, extra) && !extra->overflow);
}

/* To the next zone of the route. What names a dialog of the present one, or was sent on by who was called, goes nowhere else. */
static bool initial_next_zone(struct relay *relay, const struct sip_message *request)
{
	struct call *call = relay->call;
	struct leg *leg = &call->legs[CALLEE], fresh = {0};
	struct tried tried = relay->tried;
	struct sip_message meant = *request;
	struct route_target target = {0};
	char text[2048], *copy = NULL;
	struct buffer extra = BUFFER_OVER(text);

	if (call->redirects || sip_message_header(request, SIP_HEADER_REPLACES) ||
	    !next_zone_find(relay, &meant, &tried, &target, &extra))
		return false;
	memcpy(fresh.local_tag, leg->local_tag, sizeof(fresh.local_tag));
	if (extra.length)
		copy = memory_copy_text(buffer_span(&extra));
	if (!leg_set_uac(relay->gateway, &fresh, &target, &meant) || (extra.length && !copy)) {
		leg_clear(&fresh);
		memory_free(copy);
		return false;
	}
	session_close(call); /* while the ports are still those of its zone */
	leg_clear(leg);
	*leg = fresh;
	memory_free(relay->extra);
	relay->extra = copy;
	relay->challenged = (struct trunk_answered){0};
	initial_forward(relay, &meant, &tried);
	return true;
}

static bool initial_elsewhere(struct relay *relay, const struct sip_message *request)
{
	/* Once somebody answered, however early, the call is under way. */
	if (relay->call->state != CALL_CALLING || relay->call->forks)
		return false;
	return initial_beside(relay, request) || initial_next_zone(relay, request);
}

/* In a dialog only another address of the same name may take the place of the one it was made with. */
static bool midcall_elsewhere(struct relay *relay)
{
	struct leg *leg = &relay->call->legs[other_leg(relay->from)];
	struct flow flow = leg->flow, before = leg->flow;
	struct tried tried = relay->tried;

	if (gateway_zone(relay->gateway, leg->zone)->kind == ZONE_ACCESS ||
	    servers_beside(relay->gateway, &tried, &flow) ||
	    flow.remote.family != before.remote.family || /* its media is of that family */
	    (transport_is_secure(before.transport) && !transport_is_secure(flow.transport)))
		return false;
	relay->tried = tried;
	leg->flow = flow;
	if (relay_again(relay))
		return true;
	leg->flow = before;
	return false;
}

static bool outside_elsewhere(struct relay *relay, const struct sip_message *request)
{
	struct sip_client_transaction *client = relay->client;

	relay->client = NULL;
	if (!outside_again(relay, request, NULL)) {
		relay->client = client;
		return false;
	}
	if (client)
		sip_client_user_set(client, NULL);
	relay->final = false;
	return true;
}

bool failover(struct relay *relay)
{
	const struct sip_message *request = relay->server ? sip_server_request(relay->server) : NULL;
	bool moved = false;

	if (!request || relay->answered || relay->own || relay->tombstone ||
	    (relay->call && relay->call->state == CALL_ENDING))
		return false;
	if (relay->registration)
		moved = relay->tried.count && register_again(relay, request);
	else if (relay->outside)
		moved = relay->tried.count && outside_elsewhere(relay, request);
	else if (relay->subscription)
		moved = relay->tried.count && subscription_elsewhere(relay, request);
	else if (relay->call && relay->initial)
		moved = relay->tried.count && initial_elsewhere(relay, request);
	else if (relay->call)
		moved = midcall_elsewhere(relay);
	if (!moved)
		return false;
	relay->gateway->counters.failovers++;
	failover_arm(relay);
	return true;
}

static void on_patience(void *context)
{
	struct relay *relay = context;
	struct gateway *gateway = relay->gateway;
	struct flow flow;

	if (!relay->client)
		return;
	flow = *sip_client_flow(relay->client);
	if (failover(relay))
		servers_failed(gateway, &flow, true);
}

/* What is done twice when both servers got it does harm (a MESSAGE, a digit in INFO): such waits as long as RFC 3261 lets it. */
static bool may_come_twice(const struct relay *relay)
{
	return relay->method == SIP_INVITE || relay->method == SIP_REGISTER || relay->method == SIP_OPTIONS ||
	       (relay->method == SIP_SUBSCRIBE && relay->initial);
}

void failover_arm(struct relay *relay)
{
	struct gateway *gateway = relay->gateway;
	const struct config_zone *zone;

	if (!relay->client || relay->answered || !may_come_twice(relay))
		return;
	zone = gateway_zone(gateway, sip_client_flow(relay->client)->zone);
	if (zone->kind == ZONE_ACCESS)
		return;
	relay->patience.fire = on_patience;
	relay->patience.context = relay;
	timer_start(gateway->wheel, &relay->patience, zone->failover_ms);
}

/* Whether a response belongs to a dialog of a call that is there: a copy of what was taken. */
static bool is_of_a_dialog(struct gateway *gateway, const struct sip_message *response)
{
	struct span tag = response->from.tag;
	struct table_link *link =
		table_find(gateway->dialogs, table_hash(gateway->dialogs, tag.data, tag.length), &tag);

	return link && fork_find(table_object(link, struct dialog_key, link)->call, response->to.tag);
}

/* ACK and BYE for a 2xx from a server that was given up: the call is elsewhere (RFC 3261 section 13.2.2.4). */
void failover_stray(struct gateway *gateway, const struct flow *flow, const struct sip_message *response)
{
	char *target = NULL, *routes = NULL, branch[SIP_BRANCH_CAPACITY], from[2048], to[2048], call_id[512],
	     number[32];
	struct buffer out = gateway_scratch(gateway), from_text = BUFFER_OVER(from), to_text = BUFFER_OVER(to),
		      id_text = BUFFER_OVER(call_id), cseq = BUFFER_OVER(number);
	struct own_texts texts = {.from = from, .to = to, .call_id = call_id};

	if (is_of_a_dialog(gateway, response))
		return;
	dialog_learn_target(&target, response);
	dialog_learn_routes(gateway, &routes, response, true);
	buffer_put_span(&from_text, sip_message_header(response, SIP_HEADER_FROM)->value);
	buffer_put_span(&to_text, sip_message_header(response, SIP_HEADER_TO)->value);
	buffer_put_span(&id_text, response->call_id);
	buffer_text(&from_text);
	buffer_text(&to_text);
	buffer_text(&id_text);
	if (!target || !response->to.tag.length || from_text.overflow || to_text.overflow || id_text.overflow)
		goto out;
	sip_branch_make(gateway->random, branch);
	sip_write_request_line(&out, SPAN("ACK"), span_from(target));
	build_via(gateway, &out, flow, branch);
	sip_write_header_number(&out, SIP_HEADER_MAX_FORWARDS, 70);
	sip_write_header(&out, SIP_HEADER_FROM, span_from(from));
	sip_write_header(&out, SIP_HEADER_TO, span_from(to));
	sip_write_header(&out, SIP_HEADER_CALL_ID, span_from(call_id));
	buffer_printf(&cseq, "%u ACK", response->cseq);
	sip_write_header(&out, SIP_HEADER_CSEQ, buffer_span(&cseq));
	if (routes)
		sip_write_header(&out, SIP_HEADER_ROUTE, span_from(routes));
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (out.overflow)
		goto out;
	transport_send(gateway->transport, flow, buffer_span(&out));
	texts.uri = target;
	texts.routes = routes;
	own_request_send(gateway, flow, SIP_BYE, response->cseq + 1, &texts, NULL, NULL);
out:
	memory_free(target);
	memory_free(routes);
}
