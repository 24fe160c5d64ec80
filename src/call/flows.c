/* SPDX-License-Identifier: Apache-2.0
 * What a registration says beyond a contact: several flows of one phone (RFC 5626), proxies before it (RFC 3327), routes its
 * registrar wants (RFC 3608), names of one phone among several (RFC 5627), and how it is woken (RFC 8599). */
#include "call/peers.h"
#include "call/phones.h"

#define ROUTES_LISTED_MAXIMUM 8

/* ---- Outbound (RFC 5626) ---- */

static bool supports(const struct sip_message *request, const char *tag)
{
	return sip_message_has_token(request, SIP_HEADER_SUPPORTED, tag) ||
	       sip_message_has_token(request, SIP_HEADER_REQUIRE, tag);
}

struct span flows_instance(const struct sip_address *contact)
{
	struct span value;

	/* "<urn:…>" in quotes (RFC 5626 section 4.1), compared as it stands; what could end the quotes is no URN. */
	if (!sip_parameter_get(contact->parameters, "+sip.instance", &value) || value.length < 10 ||
	    value.length > FLOWS_INSTANCE_MAXIMUM || value.data[0] != '"')
		return SPAN_EMPTY;
	value = span_slice(value, 1, value.length - 2);
	for (size_t i = 0; i < value.length; i++)
		if (value.data[i] <= ' ' || value.data[i] == '"' || value.data[i] == '\\' || value.data[i] > '~')
			return SPAN_EMPTY;
	return span_starts_with(value, SPAN("<urn:")) && value.data[value.length - 1] == '>' ? value : SPAN_EMPTY;
}

uint32_t flows_reg_id(const struct sip_address *contact)
{
	struct span value;
	uint64_t number;

	if (!sip_parameter_get(contact->parameters, "reg-id", &value) || span_to_uint(value, INT32_MAX, &number))
		return 0;
	return (uint32_t)number;
}

/* Whether the proxy that the phone speaks to keeps its flow: the last Path has `ob` (RFC 5626 section 5.1). */
static bool first_hop_keeps_flow(const struct sip_message *request)
{
	bool keeps = false;

	for (const struct sip_header *header = sip_message_header(request, SIP_HEADER_PATH); header;
	     header = sip_message_header_next(request, header)) {
		struct span rest = header->value, element;
		struct sip_address address;

		while (sip_list_next(&rest, &element))
			keeps = sip_address_parse(element, &address) == SIP_OK &&
				sip_parameter_get(address.uri.parameters, "ob", NULL);
	}
	return keeps;
}

static bool came_through_a_proxy(const struct sip_message *request)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_VIA);
	struct span rest = header->value, element;

	if (sip_message_header_next(request, header))
		return true;
	sip_list_next(&rest, &element);
	return sip_list_next(&rest, &element); /* a second one on the first line */
}

int flows_asked(const struct sip_message *request, bool *outbound)
{
	bool named = false;
	uint32_t count = 0;

	for (const struct sip_header *header = sip_message_header(request, SIP_HEADER_CONTACT); header;
	     header = sip_message_header_next(request, header)) {
		struct span rest = header->value, element;
		struct sip_address address;

		for (; sip_list_next(&rest, &element); count++)
			named |= sip_address_parse(element, &address) == SIP_OK && flows_reg_id(&address) &&
				 flows_instance(&address).length;
	}
	*outbound = false;
	if (!named || !supports(request, "outbound"))
		return 0; /* section 6: a reg-id alone says nothing */
	if (count > 1)
		return 400;
	if (came_through_a_proxy(request) && !first_hop_keeps_flow(request))
		return 439;
	*outbound = true;
	return 0;
}

/* ---- Routes that others want (RFC 3327, RFC 3608) ---- */

static bool route_is_good(struct span element)
{
	struct sip_address address;

	return sip_address_parse(element, &address) == SIP_OK && !address.star && !address.unknown_scheme &&
	       address.uri.scheme != SIP_SCHEME_TEL && !address.uri.headers.data &&
	       sip_parameter_get(address.uri.parameters, "lr", NULL);
}

bool flows_routes(const struct sip_message *message, enum sip_header_id id, char *out, size_t capacity)
{
	struct buffer text = buffer_over(out, capacity);
	uint32_t count = 0;

	for (const struct sip_header *header = sip_message_header(message, id); header;
	     header = sip_message_header_next(message, header)) {
		struct span rest = header->value, element;

		while (sip_list_next(&rest, &element)) {
			if (!route_is_good(element) || ++count > ROUTES_LISTED_MAXIMUM)
				return false;
			buffer_printf(&text, "%s%.*s", text.length ? ", " : "", SPAN_PRINT(element));
		}
	}
	buffer_text(&text);
	return !text.overflow;
}

int flows_path(const struct sip_message *request, char *out, size_t capacity)
{
	*out = 0;
	if (!sip_message_header(request, SIP_HEADER_PATH))
		return 0;
	/* RFC 3327 section 5.3: a phone that does not know of it is not to be registered over a way it cannot see. */
	if (!supports(request, "path"))
		return 420;
	return flows_routes(request, SIP_HEADER_PATH, out, capacity) ? 0 : 400;
}

/* ---- One phone among several (RFC 5627) ---- */

bool flows_wants_gruu(const struct sip_message *request)
{
	return supports(request, "gruu");
}

uint64_t flows_instance_hash(const char *account, const char *instance, uint8_t part)
{
	uint8_t key[HASH_KEY_BYTES] = {part};
	uint64_t hash = hash_bytes(key, account, strlen(account));

	memcpy(key, &hash, sizeof(hash));
	return hash_bytes(key, instance, strlen(instance));
}

void flows_instance_uuid(const char *account, const char *instance, char out[FLOWS_UUID_CAPACITY])
{
	uint64_t parts[2] = {flows_instance_hash(account, instance, 1), flows_instance_hash(account, instance, 2)};
	char text[40];
	struct buffer hex = BUFFER_OVER(text);

	buffer_put_hex(&hex, parts, sizeof(parts));
	text[12] = '8'; /* RFC 9562 section 5.8: made by a rule of our own */
	text[16] = 'a';
	snprintf(out, FLOWS_UUID_CAPACITY, "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", text, text + 8, text + 12, text + 16,
		 text + 20);
}

struct binding *flows_binding_of_gruu(struct gateway *gateway, const struct sip_uri *uri)
{
	char account[256], uuid[FLOWS_UUID_CAPACITY];
	struct binding *best = NULL;
	struct owner *owner;
	struct span gr;

	if (!sip_parameter_get(uri->parameters, "gr", &gr) || !gr.length ||
	    sip_user_decode(uri->user, account, sizeof(account)))
		return NULL;
	owner = owner_find(gateway, account);
	if (!owner)
		return NULL;
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (!*binding->instance)
			continue;
		flows_instance_uuid(account, binding->instance, uuid);
		if (span_is(gr, uuid) && (!best || binding_is_better(binding, best)))
			best = binding;
	}
	return best;
}

bool flows_gruu_granted(const struct sip_address *contact, char *out, size_t capacity)
{
	struct span value;
	struct sip_uri uri;

	*out = 0;
	if (!sip_parameter_get(contact->parameters, "pub-gruu", &value) || value.length < 3 || value.data[0] != '"')
		return false;
	value = span_slice(value, 1, value.length - 2);
	return sip_uri_parse(value, &uri) == SIP_OK && uri.scheme != SIP_SCHEME_TEL && !uri.headers.data &&
	       sip_parameter_get(uri.parameters, "gr", NULL) && !span_copy(value, out, capacity);
}

/* ---- Push (RFC 8599) ---- */

static const char *const push_parameters[] = {"pn-provider", "pn-param", "pn-prid", "pn-purr"};

bool flows_push(const struct sip_uri *contact, char *out, size_t capacity)
{
	struct buffer text = buffer_over(out, capacity);
	struct span value;

	for (size_t i = 0; i < sizeof(push_parameters) / sizeof(push_parameters[0]); i++) {
		if (!sip_parameter_get(contact->parameters, push_parameters[i], &value))
			continue;
		buffer_printf(&text, ";%s%s%.*s", push_parameters[i], value.length ? "=" : "", SPAN_PRINT(value));
	}
	buffer_text(&text);
	return !text.overflow;
}

/* ---- The next flow when one failed ---- */

static struct binding *binding_of_flow(struct gateway *gateway, const char *token, const struct flow *flow)
{
	struct binding *any = binding_by_token(gateway, span_from(token));

	if (!any)
		return NULL;
	list_each(link, &any->owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (!strcmp(binding->token, token) && flow_equal(&binding->flow, flow))
			return binding;
	}
	return NULL;
}

/* Moves a leg that nobody answered on to another flow of its phone. False: there is none, or no memory. */
static bool leg_move(struct gateway *gateway, struct leg *leg, const struct flow *failed)
{
	const struct binding *next = binding_by_token(gateway, span_from(leg->token));
	char *target, *routes;

	if (!next || !binding_reachable(next) || flow_equal(&next->flow, failed))
		return false;
	target = memory_copy_text(span_from(next->contact));
	routes = *next->path ? memory_copy_text(span_from(next->path)) : NULL;
	if (!target || (*next->path && !routes)) {
		memory_free(target);
		return false;
	}
	memory_free(leg->target);
	memory_free(leg->routes);
	leg->target = target;
	leg->routes = routes;
	leg->flow = next->flow;
	return true;
}

bool flows_try_next(struct relay *relay, const struct flow *failed)
{
	struct gateway *gateway = relay->gateway;
	struct binding *binding;
	struct leg *leg;

	if (relay->answered || relay->given_up || !relay->server || relay->subscription)
		return false;
	if (relay->outside) /* routed anew; a connection that is gone is not found again */
		return !relay->tried.count && !net_flow_is_open(gateway_net(gateway), failed) && relay_again(relay);
	if (!relay->call || relay->call->state == CALL_ENDING)
		return false;
	leg = &relay->call->legs[other_leg(relay->from)];
	if (!*leg->token)
		return false;
	if (!relay->initial)
		return leg_flow_refresh(gateway, leg) && !flow_equal(&leg->flow, failed) && relay_again(relay);
	/* RFC 5626 sections 5.3 and 7: what the flow led to is gone, and others of the same instance are tried. */
	binding = binding_of_flow(gateway, leg->token, failed);
	if (binding && binding->reg_id) {
		log_write(LOG_INFO, "call", "flow %u of %s failed", binding->reg_id, binding->owner->account);
		binding_drop(binding, true);
	}
	return leg_move(gateway, leg, failed) && relay_again(relay);
}

/* ---- Routes of a request ---- */

const char *flows_service_route(struct gateway *gateway, const struct flow *flow, const struct sip_uri *from,
				uint8_t to_zone)
{
	char account[256];
	uint8_t registrar;
	struct owner *owner =
		sip_user_decode(from->user, account, sizeof(account)) ? NULL : owner_find(gateway, account);

	if (!owner || !registrar_zone(gateway, flow->zone, &registrar) || registrar != to_zone)
		return NULL;
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (flow_equal(&binding->flow, flow) && *binding->service_route)
			return binding->service_route;
	}
	return NULL;
}

/* ---- Where a phone is now ---- */

void leg_phone_set(struct leg *leg, const struct binding *binding)
{
	memcpy(leg->token, binding->token, sizeof(leg->token));
	leg->instance = *binding->instance ? flows_instance_hash(binding->owner->account, binding->instance, 1) : 0;
}

void leg_phone_find(struct gateway *gateway, struct leg *leg)
{
	struct owner *owner = leg->account ? owner_find(gateway, leg->account) : NULL;

	if (!owner)
		return;
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (flow_equal(&binding->flow, &leg->flow)) {
			leg_phone_set(leg, binding);
			return;
		}
	}
}

/* How surely a binding is the leg's phone; 0: it is not. Behind one address there may be others of the account. */
static int likeness(const struct leg *leg, const struct binding *binding)
{
	const char *account = binding->owner->account;

	if (binding->zone != leg->zone || !binding_reachable(binding) ||
	    (transport_is_secure(leg->flow.transport) && !transport_is_secure(binding->flow.transport)))
		return 0; /* never down to a clear flow: keys would follow (THREATS M1) */
	if (!strcmp(binding->token, leg->token))
		return 4;
	if (leg->instance && *binding->instance)
		return leg->instance == flows_instance_hash(account, binding->instance, 1) ? 3 : 0;
	if (address_equal_ip(&binding->flow.remote, &leg->flow.remote))
		return 2;
	return binding->owner->count == 1;
}

static struct binding *phone_of(struct gateway *gateway, const struct leg *leg)
{
	struct owner *owner = leg->account && *leg->token ? owner_find(gateway, leg->account) : NULL;
	struct binding *best = NULL;
	int most = 0;

	if (!owner)
		return NULL;
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);
		int like = likeness(leg, binding);

		if (like > most || (like && like == most && binding_is_better(binding, best))) {
			best = binding;
			most = like;
		}
	}
	return best;
}

/* A datagram's flow is as good as ever, unless its phone says it is elsewhere now. */
static bool flow_is_present(struct gateway *gateway, const struct leg *leg)
{
	if (!net_flow_is_open(gateway_net(gateway), &leg->flow))
		return false;
	return transport_is_stream(leg->flow.transport) || !leg->account || !*leg->token ||
	       binding_flow_is_of(gateway, &leg->flow, leg->account);
}

/* A connection to a peer that we dialled is dialled again, or one to another server of its name. */
static bool peer_refresh(struct gateway *gateway, struct leg *leg)
{
	struct flow flow;

	if (servers_again(gateway, &leg->flow, &flow) ||
	    (transport_is_secure(leg->flow.transport) && !transport_is_secure(flow.transport)))
		return false;
	leg->flow = flow;
	return true;
}

bool leg_flow_refresh(struct gateway *gateway, struct leg *leg)
{
	struct binding *binding;

	if (flow_is_present(gateway, leg))
		return true;
	if (gateway_zone(gateway, leg->zone)->kind != ZONE_ACCESS)
		return peer_refresh(gateway, leg);
	binding = phone_of(gateway, leg);
	if (!binding)
		return net_flow_is_open(gateway_net(gateway), &leg->flow);
	leg->flow = binding->flow;
	leg_phone_set(leg, binding);
	return true;
}
