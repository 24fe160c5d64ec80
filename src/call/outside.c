/* SPDX-License-Identifier: Apache-2.0
 * Requests outside dialogs that cross one by one: MESSAGE (RFC 3428), OPTIONS, PUBLISH (RFC 3903), and NOTIFYs that the PBX
 * sends to phones that never subscribed. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/events.h"
#include "call/peers.h"
#include "call/phones.h"

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

static bool send_on(struct relay *relay, const struct sip_message *request, const struct route_target *target,
		    const struct body *body)
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
	if (request->method == SIP_NOTIFY) /* RFC 6665 section 8.2.1 */
		build_contact(gateway, &out, &(struct leg){.flow = target->flow});
	policy_options(request, &out);
	policy_copy(gateway, request, relay->zones[0], relay->zones[1], &out);
	sip_write_body(&out, body->content_type, body->bytes);
	if (out.overflow || out.length > MESSAGE_LONGEST)
		return false;
	relay->client = sip_client_start(gateway_transactions(gateway), &target->flow, request->method, branch,
					 buffer_span(&out), relay);
	return relay->client != NULL;
}

/* What of events may not come like this, and what the gateway answers itself. True: it was answered. */
static bool refuse_event(struct gateway *gateway, struct sip_server_transaction *server,
			 const struct sip_message *request)
{
	const struct event_package *package = event_find(request);
	enum zone_kind kind = gateway_zone(gateway, sip_server_flow(server)->zone)->kind;

	if (request->method == SIP_PUBLISH && !(package && package->publish & 1u << kind)) {
		event_refuse(gateway, server);
		return true;
	}
	if (request->method != SIP_NOTIFY || (kind == ZONE_CORE && package && package->unsolicited))
		return false;
	if (kind == ZONE_ACCESS && package && !strcmp(package->name, "keep-alive")) {
		respond(gateway, server, 200, NULL, NULL); /* a phone that keeps its NAT open: any answer does */
		return true;
	}
	gateway->counters.dialog_strangers++;
	respond(gateway, server, 481, NULL, NULL); /* RFC 6665 section 4.1.3: it belongs to no subscription */
	return true;
}

static void count(struct gateway *gateway, enum sip_method method)
{
	gateway->counters.publications_relayed += method == SIP_PUBLISH;
	gateway->counters.notifications_unsolicited += method == SIP_NOTIFY;
}

/* The request's body as it goes on. 0, or the status to refuse with. */
static int body_of(const struct relay *relay, const struct sip_message *request, struct body *body)
{
	body->content_type = body->bytes = SPAN_EMPTY;
	/* A description outside a call says nothing that we may pass. */
	return request->method == SIP_OPTIONS
		       ? 0
		       : body_cross(relay->gateway, request, relay->zones[0], relay->zones[1], body);
}

static void start(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request,
		  struct route_target *target, const struct tried *tried)
{
	struct relay *relay = relay_new(gateway, NULL, CALLER, server, request);
	struct body body;
	int status;

	if (!relay) {
		respond(gateway, server, 503, NULL, "Retry-After: 10\r\n");
		return;
	}
	if (!target->binding && !target->routes)
		target->routes =
			flows_service_route(gateway, sip_server_flow(server), &request->from.uri, target->zone);
	relay->outside = true;
	relay->tried = *tried;
	relay->zones[0] = sip_server_flow(server)->zone;
	relay->zones[1] = target->zone;
	status = body_of(relay, request, &body);
	if (status) {
		gateway->counters.bodies_refused++;
		relay_refuse(relay, (uint16_t)status, NULL);
	} else if (send_on(relay, request, target, &body)) {
		count(gateway, request->method);
		failover_arm(relay);
	} else {
		relay_refuse(relay, 503, "Retry-After: 10\r\n");
	}
}

void outside_receive(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request)
{
	const struct account *user;
	struct route_target target;
	struct tried tried = {0};
	int status;

	if (refuse_unserved(gateway, server, request))
		return;
	/* Asked of the gateway itself: it is here. The same for whoever asks (THREATS S2). */
	if (request->method == SIP_OPTIONS && !request->request_uri.user.length) {
		respond(gateway, server, 200, NULL, "Allow: " OWN_ALLOW "\r\nAccept: application/sdp\r\n");
		return;
	}
	if (refuse_event(gateway, server, request) || !authenticate(gateway, server, request, &user))
		return;
	status = route_find(gateway, sip_server_flow(server), &request->request_uri, &tried, &target);
	if (!status && request->method == SIP_NOTIFY && !target.binding)
		status = 481;
	if (status) {
		request_refuse(gateway, server, (uint16_t)status, NULL);
		return;
	}
	start(gateway, server, request, &target, &tried);
}

bool outside_again(struct relay *relay, const struct sip_message *request, const struct flow *flow)
{
	struct tried tried = relay->tried, fresh = {0};
	struct route_target target;
	struct body body;

	if (route_find(relay->gateway, sip_server_flow(relay->server), &request->request_uri, flow ? &fresh : &tried,
		       &target) ||
	    (!flow && target.binding))
		return false;
	if (!target.binding && !target.routes)
		target.routes = flows_service_route(relay->gateway, sip_server_flow(relay->server), &request->from.uri,
						    target.zone);
	if (flow && !target.binding && flow->zone == target.zone && net_flow_is_open(gateway_net(relay->gateway), flow))
		target.flow = *flow;
	else
		relay->tried = flow ? fresh : tried;
	relay->zones[1] = target.zone;
	return !body_of(relay, request, &body) && send_on(relay, request, &target, &body);
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
