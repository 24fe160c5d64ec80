/* SPDX-License-Identifier: Apache-2.0
 * Bodies outside calls, from one zone to another: what the rules of body.h ask of the gateway. */
#include "call/dialogs.h"
#include "call/events.h"
#include "call/peers.h"

struct crossing {
	struct gateway *gateway;
	const struct sip_message *message;
	const struct event_package *package; /* NULL: not of an event */
	uint8_t from_zone;
};

static bool type_allowed(void *context, struct span type)
{
	const struct crossing *crossing = context;

	return crossing->package ? event_carries(crossing->package, type)
				 : policy_body_allowed(crossing->message->method, type);
}

/* The host of that name, or one in its domain. */
static bool is_within(struct span host, const char *name)
{
	size_t length = strlen(name), before = host.length - length;

	return host.length >= length && (!before || host.data[before - 1] == '.') &&
	       span_is(span_slice(host, before, length), name);
}

static bool host_is_inner(void *context, struct span host)
{
	const struct crossing *crossing = context;
	const struct config_zone *zone = gateway_zone(crossing->gateway, crossing->from_zone);

	for (uint8_t i = 0; i < zone->peer_count; i++)
		if (is_within(host, zone->peers[i].host))
			return true;
	/* What is in the domain that all the world knows may be anywhere. */
	return zone->domain && strcmp(zone->domain, crossing->gateway->config->site.domain) != 0 &&
	       is_within(host, zone->domain);
}

/* The dialog with a peer in `zone` that our tag names. */
static bool leg_find(struct gateway *gateway, uint8_t zone, struct span tag, struct call **call, struct fork **fork,
		     uint8_t *leg)
{
	struct dialog_key *key = dialog_key_find(gateway, tag);

	if (!key || !key->call)
		return false;
	*call = key->call;
	*fork = key->fork;
	*leg = key->fork ? CALLER : CALLEE;
	return key->call->legs[*leg].zone == zone;
}

static bool tag_is_ours(void *context, struct span call_id, struct span tag)
{
	const struct crossing *crossing = context;
	struct call *call;
	struct fork *fork;
	uint8_t leg;

	return leg_find(crossing->gateway, crossing->from_zone, tag, &call, &fork, &leg) &&
	       span_equal(call_id, span_from(call->legs[leg].call_id));
}

static bool is_hidden(struct gateway *gateway, struct span hidden, const char *name)
{
	char text[BODY_NAME_CAPACITY];

	body_name_hide(gateway->body_key, span_from(name), text);
	return span_equal(hidden, span_from(text));
}

/* By one of the tags, if that is ours and the other is what became of the peer's. */
static bool hidden_find(struct gateway *gateway, uint8_t zone, struct span call_id, struct span ours,
			struct span theirs, struct dialog_names *out)
{
	struct call *call;
	struct fork *fork;
	uint8_t leg;

	if (!leg_find(gateway, zone, ours, &call, &fork, &leg) || !is_hidden(gateway, call_id, call->legs[leg].call_id))
		return false;
	*out = (struct dialog_names){.call_id = call->legs[leg].call_id};
	if (leg == CALLER) {
		out->our_tag = fork->caller_tag;
		out->peer_tag = call->legs[CALLER].remote_tag;
		return is_hidden(gateway, theirs, out->peer_tag);
	}
	out->our_tag = call->legs[CALLEE].local_tag;
	for (fork = call->forks; fork; fork = fork->next) {
		out->peer_tag = fork->callee_tag;
		if (is_hidden(gateway, theirs, out->peer_tag))
			return true;
	}
	return false;
}

bool dialog_hidden_find(struct gateway *gateway, uint8_t zone, struct span call_id, struct span to_tag,
			struct span from_tag, struct dialog_names *out)
{
	if (hidden_find(gateway, zone, call_id, to_tag, from_tag, out)) {
		out->to_is_ours = true;
		return true;
	}
	out->to_is_ours = false;
	return hidden_find(gateway, zone, call_id, from_tag, to_tag, out);
}

int body_cross(struct gateway *gateway, const struct sip_message *message, uint8_t from_zone, uint8_t to_zone,
	       struct body *body)
{
	struct crossing crossing = {gateway, message, event_find(message), from_zone};
	struct body_rules rules = {.domain = route_domain(gateway, to_zone),
				   .type_allowed = type_allowed,
				   .host_is_inner = host_is_inner,
				   .tag_is_ours = tag_is_ours,
				   .context = &crossing};
	struct buffer type = BUFFER_OVER(body->type), out = buffer_over(gateway->text, BODY_MAXIMUM);
	int status;

	body->content_type = body->bytes = SPAN_EMPTY;
	if (!message->body.length)
		return 0;
	if (!type_allowed(&crossing, body_type(message->content_type)))
		return 415;
	memcpy(rules.key, gateway->body_key, sizeof(rules.key));
	status = body_rewrite(&rules, message->content_type, message->body, &type, &out);
	memory_wipe(rules.key, sizeof(rules.key));
	if (status)
		return status;
	body->content_type = buffer_span(&type);
	body->bytes = buffer_span(&out);
	return 0;
}

int body_cross_midcall(struct relay *relay, const struct sip_message *request, struct body *body)
{
	struct call *call = relay->call;

	if (request->method == SIP_MESSAGE)
		return body_cross(relay->gateway, request, call->legs[relay->from].zone,
				  call->legs[other_leg(relay->from)].zone, body);
	body->content_type = request->content_type;
	body->bytes = request->body;
	return 0;
}
