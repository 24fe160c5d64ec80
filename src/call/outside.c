/* SPDX-License-Identifier: Apache-2.0
 * Requests outside dialogs that cross as they are: MESSAGE (RFC 3428) and OPTIONS. */
#include "call/internal.h"

static void write_party(struct buffer *out, enum sip_header_id id, const struct sip_address *party, const char *host,
			const char *tag)
{
	char text[2048];
	struct buffer value = BUFFER_OVER(text);

	if (party->display.length) {
		buffer_put_span(&value, party->display);
		buffer_put_byte(&value, ' ');
	}
	buffer_put_text(&value, "<sip:");
	if (party->uri.user.length) {
		build_user_of(&value, &party->uri);
		buffer_put_byte(&value, '@');
	}
	buffer_put_text(&value, span_is(party->uri.host, "anonymous.invalid") ? "anonymous.invalid" : host);
	buffer_put_byte(&value, '>');
	if (tag) {
		buffer_put_text(&value, ";tag=");
		buffer_put_text(&value, tag);
	}
	if (value.overflow)
		out->overflow = true;
	sip_write_header(out, id, buffer_span(&value));
}

static bool send_on(struct relay *relay, const struct sip_message *request, const struct route_target *target)
{
	struct gateway *gateway = relay->gateway;
	struct buffer out = gateway_scratch(gateway);
	const char *domain = route_domain(gateway, target->zone);
	char branch[SIP_BRANCH_CAPACITY], tag[TAG_LENGTH + 1], call_id[TAG_LENGTH + 1], number[32];
	struct buffer cseq = BUFFER_OVER(number);

	sip_branch_make(gateway->random, branch);
	random_token(gateway->random, tag, TAG_LENGTH);
	random_token(gateway->random, call_id, TAG_LENGTH);
	sip_write_request_line(&out, span_from(sip_method_name(request->method)), span_from(target->uri));
	build_via(gateway, &out, &target->flow, branch);
	sip_write_header_number(&out, SIP_HEADER_MAX_FORWARDS,
				request->max_forwards < 0 ? 70 : (uint32_t)request->max_forwards - 1);
	write_party(&out, SIP_HEADER_FROM, &request->from, domain, tag);
	write_party(&out, SIP_HEADER_TO, &request->to, domain, NULL);
	sip_write_header(&out, SIP_HEADER_CALL_ID, span_from(call_id));
	buffer_printf(&cseq, "%u %s", request->cseq, sip_method_name(request->method));
	sip_write_header(&out, SIP_HEADER_CSEQ, buffer_span(&cseq));
	if (target->routes)
		sip_write_header(&out, SIP_HEADER_ROUTE, span_from(target->routes));
	trunk_credentials_write(gateway, &target->flow, request->method, &relay->challenged, &out);
	policy_copy(gateway, request, relay->zones[0], relay->zones[1], &out);
	if (policy_body_allowed(SIP_INVITE, request->content_type))
		sip_write_body(&out, SPAN_EMPTY,
			       SPAN_EMPTY); /* a description outside a call says nothing we may pass */
	else
		sip_write_body(&out, request->content_type, request->body);
	if (out.overflow)
		return false;
	relay->client = sip_client_start(gateway_transactions(gateway), &target->flow, request->method, branch,
					 buffer_span(&out), relay);
	return relay->client != NULL;
}

void outside_receive(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request)
{
	const struct account *user;
	struct route_target target;
	struct relay *relay;
	int status;

	if (refuse_unserved(gateway, server, request))
		return;
	/* Asked of the gateway itself: it is here. The same for whoever asks (THREATS S2). */
	if (request->method == SIP_OPTIONS && !request->request_uri.user.length) {
		respond(gateway, server, 200, NULL, "Allow: " OWN_ALLOW "\r\nAccept: application/sdp\r\n");
		return;
	}
	if (!authenticate(gateway, server, request, &user))
		return;
	status = route_find(gateway, sip_server_flow(server), &request->request_uri, &target);
	if (status) {
		gateway->counters.calls_refused_policy++;
		respond(gateway, server, (uint16_t)status, NULL, NULL);
		return;
	}
	relay = relay_new(gateway, NULL, CALLER, server, request);
	if (!relay) {
		respond(gateway, server, 503, NULL, "Retry-After: 10\r\n");
		return;
	}
	if (!target.binding && !target.routes)
		target.routes = flows_service_route(gateway, sip_server_flow(server), &request->from.uri, target.zone);
	relay->outside = true;
	relay->zones[0] = sip_server_flow(server)->zone;
	relay->zones[1] = target.zone;
	if (!send_on(relay, request, &target))
		relay_refuse(relay, 503, "Retry-After: 10\r\n");
}

bool outside_again(struct relay *relay, const struct sip_message *request)
{
	struct route_target target;

	if (route_find(relay->gateway, sip_server_flow(relay->server), &request->request_uri, &target))
		return false;
	relay->zones[1] = target.zone;
	return send_on(relay, request, &target);
}

void outside_response(struct relay *relay, const struct sip_message *response)
{
	struct gateway *gateway = relay->gateway;
	struct buffer out = gateway_scratch(gateway);
	uint16_t status;
	char tag[TAG_LENGTH + 1];

	if (!relay->server || relay->answered || response->status < 200)
		return;
	status = policy_status(response->status, gateway_zone(gateway, relay->zones[1]),
			       gateway_zone(gateway, relay->zones[0]));
	random_token(gateway->random, tag, TAG_LENGTH);
	sip_write_response_start(&out, sip_server_request(relay->server), status, SPAN_EMPTY, span_from(tag),
				 sip_server_flow(relay->server));
	if (relay->method == SIP_OPTIONS && status < 300)
		sip_write_header(&out, SIP_HEADER_ALLOW, SPAN(OWN_ALLOW));
	policy_copy(gateway, response, relay->zones[1], relay->zones[0], &out);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (out.overflow) {
		relay_refuse(relay, 500, NULL);
		return;
	}
	relay->answered = true;
	sip_server_respond(relay->server, status, buffer_span(&out));
}
