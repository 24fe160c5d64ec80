/* SPDX-License-Identifier: Apache-2.0
 * Messages of our own making: requests within a dialog and plain answers. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/peers.h"
#include "call/phones.h"
#include "call/profile.h"

void build_host(struct gateway *gateway, struct buffer *out, const struct flow *flow)
{
	const struct config_zone *zone = gateway_zone(gateway, flow->zone);
	const struct config_listener *listener =
		&zone->listeners[flow->listener < zone->listener_count ? flow->listener : 0];
	const struct address *shown = config_media_shown(zone, flow->local.family);
	bool translated = shown != config_media_address(zone, flow->local.family) && zone->kind != ZONE_CORE &&
			  shown->family == flow->local.family;
	struct address seen = translated ? *shown : flow->local;

	/* Phones verify the name in in-dialog requests they dial (interoperability: Linphone): the domain
	 * that the certificate holds stands there where there is one. */
	if ((zone->kind == ZONE_ACCESS && transport_is_secure(flow->transport)) ||
	    profile_repairs(zone, REPAIR_CONTACT_NAME))
		buffer_put_text(out, gateway->config->site.domain);
	else
		address_write_ip(out, &seen, true);
	buffer_put_byte(out, ':');
	buffer_put_uint(out, listener->address.port);
}

bool build_is_phone(const struct config_zone *zone, struct span user)
{
	size_t digits = 0;

	if (!profile_repairs(zone, REPAIR_USER_PHONE))
		return false;
	if (user.length && user.data[0] == '+')
		user = span_slice(user, 1, user.length);
	while (digits < user.length && user.data[digits] >= '0' && user.data[digits] <= '9')
		digits++;
	return digits && digits == user.length;
}

void build_via(struct gateway *gateway, struct buffer *out, const struct flow *flow, const char *branch)
{
	const struct config_zone *zone = gateway_zone(gateway, flow->zone);
	char sent_by[300], value[512];
	struct buffer host = BUFFER_OVER(sent_by), via = BUFFER_OVER(value);

	build_host(gateway, &host, flow);
	transport_write_via(&via, flow, buffer_span(&host), branch);
	/* RFC 5923: a peer that knows us by our certificate may use our connection for its requests. */
	if (transport_is_secure(flow->transport) && zone->verify && zone->client_certificate != CLIENT_CERTIFICATE_NONE)
		buffer_put_text(&via, ";alias");
	sip_write_header(out, SIP_HEADER_VIA, buffer_span(&via));
}

void build_own_uri(struct gateway *gateway, struct buffer *out, const struct leg *leg, const char *user)
{
	buffer_put_text(out, leg->secure_uri ? "sips:" : "sip:");
	if (user) {
		buffer_put_text(out, user);
		buffer_put_byte(out, '@');
	}
	build_host(gateway, out, &leg->flow);
	if (leg->flow.transport != TRANSPORT_UDP) {
		buffer_put_text(out, ";transport=");
		buffer_put_text(out, transport_uri_name(leg->flow.transport, leg->secure_uri));
	}
}

void build_contact(struct gateway *gateway, struct buffer *out, const struct leg *leg)
{
	const struct config_zone *zone = gateway_zone(gateway, leg->zone);
	char text[900], user_text[400];
	struct buffer value = BUFFER_OVER(text), user = BUFFER_OVER(user_text);
	bool named = zone->registration.user && profile_repairs(zone, REPAIR_CONTACT_USER);

	if (named)
		build_user(&user, span_from(zone->registration.user));
	buffer_put_byte(&value, '<');
	build_own_uri(gateway, &value, leg, named ? buffer_text(&user) : NULL);
	buffer_put_byte(&value, '>');
	sip_write_header(out, SIP_HEADER_CONTACT, buffer_span(&value));
}

void build_address(struct buffer *out, struct span display, struct span uri)
{
	if (display.length) {
		buffer_put_span(out, display);
		buffer_put_byte(out, ' ');
	}
	buffer_put_byte(out, '<');
	buffer_put_span(out, uri);
	buffer_put_byte(out, '>');
}

void build_user(struct buffer *out, struct span plain)
{
	/* Unreserved and user-unreserved beside letters and digits, but for ';' and '?', which end a URI for poor parsers. */
	static const char marks[] = "-_.!~*'()&=+$,/";

	for (size_t i = 0; i < plain.length; i++) {
		char byte = plain.data[i];

		if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
		    (byte && strchr(marks, byte))) {
			buffer_put_byte(out, byte);
		} else {
			buffer_put_byte(out, '%');
			buffer_put_hex(out, &byte, 1);
		}
	}
}

void build_user_of(struct buffer *out, const struct sip_uri *uri)
{
	if (uri->scheme == SIP_SCHEME_TEL)
		build_user(out, uri->user);
	else
		buffer_put_span(out, uri->user);
}

static void write_party(struct buffer *out, enum sip_header_id id, const char *uri, const char *tag)
{
	const struct span pieces[] = {span_from(uri), SPAN(";tag="), span_from(tag)};

	sip_write_header_pieces(out, id, pieces, tag && *tag ? 3 : 1);
}

void build_dialog_request(struct gateway *gateway, const struct dialog_side *side, enum sip_method method,
			  uint32_t cseq, const char *branch, int32_t max_forwards, struct buffer *out)
{
	struct span target = span_from(side->target ? side->target : "");
	struct binding *named = NULL;
	struct sip_uri uri;
	char number[64];
	struct buffer value = BUFFER_OVER(number);

	/* A phone that calls itself by the GRUU we gave it is asked for by its own contact (RFC 5627 section 5.4). */
	if (gateway_zone(gateway, side->leg->zone)->kind == ZONE_ACCESS && sip_uri_parse(target, &uri) == SIP_OK)
		named = flows_binding_of_gruu(gateway, &uri);
	sip_write_request_line(out, span_from(sip_method_name(method)), named ? span_from(named->contact) : target);
	build_via(gateway, out, &side->leg->flow, branch);
	sip_write_header_number(out, SIP_HEADER_MAX_FORWARDS, (uint32_t)max_forwards);
	write_party(out, SIP_HEADER_FROM, side->leg->local_uri, side->local_tag);
	write_party(out, SIP_HEADER_TO, side->leg->remote_uri, side->remote_tag);
	sip_write_header(out, SIP_HEADER_CALL_ID, span_from(side->leg->call_id));
	buffer_put_uint(&value, cseq);
	buffer_put_byte(&value, ' ');
	buffer_put_text(&value, sip_method_name(method));
	sip_write_header(out, SIP_HEADER_CSEQ, buffer_span(&value));
	if (side->routes)
		sip_write_header(out, SIP_HEADER_ROUTE, span_from(side->routes));
}

void build_request(struct call *call, const struct fork *fork, uint8_t leg_index, enum sip_method method, uint32_t cseq,
		   const char *branch, int32_t max_forwards, struct buffer *out)
{
	struct leg *leg = &call->legs[leg_index];
	bool to_caller = leg_index == CALLER;
	struct dialog_side side = {
		.leg = leg,
		.target = to_caller || !fork->target ? leg->target : fork->target,
		.routes = to_caller || !fork->callee_tag ? leg->routes : fork->routes,
		.local_tag = to_caller ? fork->caller_tag : leg->local_tag,
		.remote_tag = to_caller ? leg->remote_tag : fork->callee_tag,
	};

	leg_flow_refresh(call->gateway, leg);
	build_dialog_request(call->gateway, &side, method, cseq, branch, max_forwards, out);
}

void build_record_routes(struct buffer *out, const struct sip_message *request)
{
	for (const struct sip_header *header = sip_message_header(request, SIP_HEADER_RECORD_ROUTE); header;
	     header = sip_message_header_next(request, header))
		sip_write_header(out, SIP_HEADER_RECORD_ROUTE, header->value);
}

void respond(struct gateway *gateway, struct sip_server_transaction *server, uint16_t status, const char *to_tag,
	     const char *extra)
{
	const struct sip_message *request = sip_server_request(server);
	struct buffer out = gateway_scratch(gateway);
	char fresh[TAG_LENGTH + 1];

	if (!to_tag && status > 100 && !request->to.tag.length) {
		random_token(gateway->random, fresh, TAG_LENGTH);
		to_tag = fresh;
	}
	sip_write_response_start(&out, request, status, SPAN_EMPTY, span_from(to_tag), sip_server_flow(server));
	if (extra)
		buffer_put_text(&out, extra);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (!out.overflow)
		sip_server_respond(server, status, buffer_span(&out));
}

/* To a provider that may ask for credentials: a BYE that is refused would leave a call running, and paid for. */
static void send_to_trunk(struct call *call, const struct fork *fork, uint8_t leg_index, enum sip_method method,
			  const char *extra)
{
	struct leg *leg = &call->legs[leg_index];
	bool to_caller = leg_index == CALLER;
	char from_text[2048], to_text[2048];
	struct buffer from = BUFFER_OVER(from_text), to = BUFFER_OVER(to_text);
	const char *target = to_caller ? leg->target : fork->target ? fork->target : leg->target;

	buffer_printf(&from, "%s;tag=%s", leg->local_uri, to_caller ? fork->caller_tag : leg->local_tag);
	buffer_printf(&to, "%s;tag=%s", leg->remote_uri, to_caller ? leg->remote_tag : fork->callee_tag);

	const struct own_texts texts = {.uri = target,
					.routes = to_caller ? leg->routes : fork->routes,
					.from = buffer_text(&from),
					.to = buffer_text(&to),
					.call_id = leg->call_id,
					.extra = extra};

	if (target && !from.overflow && !to.overflow)
		own_request_send(call->gateway, &leg->flow, method, ++leg->cseq, &texts, NULL, NULL);
}

void send_own_request(struct call *call, const struct fork *fork, uint8_t leg, enum sip_method method,
		      const char *extra)
{
	struct gateway *gateway = call->gateway;
	struct buffer out = gateway_scratch(gateway);
	char branch[SIP_BRANCH_CAPACITY];

	call_touch(call);
	if (gateway->trunks[call->legs[leg].zone]) {
		send_to_trunk(call, fork, leg, method, extra);
		return;
	}
	sip_branch_make(gateway->random, branch);
	build_request(call, fork, leg, method, ++call->legs[leg].cseq, branch, 70, &out);
	if (extra)
		buffer_put_text(&out, extra);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (!out.overflow)
		sip_client_start(gateway_transactions(gateway), &call->legs[leg].flow, method, branch,
				 buffer_span(&out), NULL);
}
