/* SPDX-License-Identifier: Apache-2.0
 * Legs: what the gateway remembers of one side of a call or subscription, and whose messages belong to it. */
#include "call/dialogs.h"
#include "call/peers.h"
#include "call/phones.h"

/* `user` as it may stand in a URI. */
static char *party_text(struct gateway *gateway, uint8_t zone, struct span display, struct span user, bool anonymous)
{
	char uri_text[600], text[1200];
	struct buffer uri = BUFFER_OVER(uri_text), out = BUFFER_OVER(text);

	buffer_put_text(&uri, "sip:");
	if (user.length) {
		buffer_put_span(&uri, user);
		buffer_put_byte(&uri, '@');
	}
	buffer_put_text(&uri, anonymous ? "anonymous.invalid" : route_domain(gateway, zone));
	if (build_is_phone(gateway_zone(gateway, zone), user))
		buffer_put_text(&uri, ";user=phone");
	build_address(&out, display, buffer_span(&uri));
	return uri.overflow || out.overflow ? NULL : memory_copy_text(buffer_span(&out));
}

static char *address_copy(const struct sip_address *address)
{
	char text[2048];
	struct buffer out = BUFFER_OVER(text);

	build_address(&out, address->display, address->uri.text);
	return out.overflow ? NULL : memory_copy_text(buffer_span(&out));
}

/* Whom a URI names, as bindings know it. */
static char *account_text(const struct sip_uri *uri)
{
	char text[256];

	return memory_copy_text(sip_user_decode(uri->user, text, sizeof(text)) ? SPAN_EMPTY : span_from(text));
}

bool leg_set_uas(struct leg *leg, const struct flow *flow, const struct sip_message *request)
{
	leg->zone = flow->zone;
	leg->flow = *flow;
	leg->secure_uri = request->request_uri.scheme == SIP_SCHEME_SIPS;
	leg->call_id = memory_copy_text(request->call_id);
	leg->local_uri = address_copy(&request->to);
	leg->remote_uri = address_copy(&request->from);
	leg->remote_tag = memory_copy_text(request->from.tag);
	leg->account = account_text(&request->from.uri);
	return leg->call_id && leg->local_uri && leg->remote_uri && leg->remote_tag && leg->account;
}

bool leg_set_uac(struct gateway *gateway, struct leg *leg, const struct route_target *target,
		 const struct sip_message *request)
{
	char call_id[TAG_LENGTH + 1], from[600], to[600];
	struct buffer from_user = BUFFER_OVER(from), to_user = BUFFER_OVER(to);

	if (*target->caller)
		build_user(&from_user, span_from(target->caller));
	else
		build_user_of(&from_user, &request->from.uri);
	if (target->binding)
		build_user(&to_user, span_from(target->binding->owner->account));
	else if (*target->called)
		build_user(&to_user, span_from(target->called));
	else
		build_user_of(&to_user, &request->request_uri);
	if (from_user.overflow || to_user.overflow)
		return false;
	random_token(gateway->random, call_id, TAG_LENGTH);
	leg->zone = target->zone;
	leg->flow = target->flow;
	leg->secure_uri = !strncmp(target->uri, "sips:", 5);
	leg->call_id = memory_copy_text(span_from(call_id));
	leg->local_uri = party_text(gateway, target->zone, request->from.display, buffer_span(&from_user),
				    span_is(request->from.uri.host, "anonymous.invalid"));
	leg->remote_uri = party_text(gateway, target->zone, SPAN_EMPTY, buffer_span(&to_user), false);
	leg->target = memory_copy_text(span_from(target->uri));
	leg->routes = target->routes ? memory_copy_text(span_from(target->routes)) : NULL;
	leg->account = target->binding ? memory_copy_text(span_from(target->binding->owner->account))
				       : account_text(&request->request_uri);
	leg->cseq = (uint32_t)(random_u64(gateway->random) & 0xffff);
	if (target->binding)
		leg_phone_set(leg, target->binding);
	return leg->call_id && leg->local_uri && leg->remote_uri && leg->target && leg->account &&
	       (leg->routes || !target->routes);
}

void leg_clear(struct leg *leg)
{
	memory_free(leg->call_id);
	memory_free(leg->local_uri);
	memory_free(leg->remote_uri);
	memory_free(leg->remote_tag);
	memory_free(leg->target);
	memory_free(leg->routes);
	memory_free(leg->account);
}

/* A dialog belongs to the zone and the address it was made with; a phone whose address changed must first
 * have registered from the new one. */
bool leg_admits_flow(struct gateway *gateway, const struct leg *leg, const struct flow *flow)
{
	if (flow->zone != leg->zone)
		return false;
	if (gateway_zone(gateway, leg->zone)->kind != ZONE_ACCESS)
		return true; /* peers only: admitted by address already */
	if (!address_equal_ip(&flow->remote, &leg->flow.remote) &&
	    !(leg->account && binding_flow_is_of(gateway, flow, leg->account)))
		return false;
	/* Never from an encrypted flow down to a clear one: keys would follow (THREATS M1). */
	return !transport_is_secure(leg->flow.transport) || transport_is_secure(flow->transport);
}

bool leg_takes_flow(struct gateway *gateway, struct leg *leg, const struct flow *flow)
{
	if (!leg_admits_flow(gateway, leg, flow))
		return false;
	/* A peer that came back with a new connection is answered there. */
	if (gateway_zone(gateway, leg->zone)->kind == ZONE_ACCESS ||
	    (!net_flow_is_open(gateway_net(gateway), &leg->flow) && address_equal_ip(&flow->remote, &leg->flow.remote)))
		leg->flow = *flow;
	return true;
}
