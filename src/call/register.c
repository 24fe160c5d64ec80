/* SPDX-License-Identifier: Apache-2.0
 * Registrations (RFC 3261 section 10): relayed to the PBX with a contact of our own for each of the phone's; refreshed
 * often by the phone, seldom at the PBX. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/findings.h"
#include "call/peers.h"
#include "call/phones.h"

#define CONTACTS_MAXIMUM 16   /* in one REGISTER */
#define REGISTRAR_MARGIN_S 30 /* the registrar's binding must outlive the phone's by this much */
#define FLOW_TIMER_UDP_S 25   /* within these a phone is to send a keep-alive (RFC 5626 section 4.4) */

struct contact {
	char token[TAG_LENGTH + 1];
	char *uri, *q;
	char *instance, *push; /* instance: "" without one; push: parameters for our contact, "" without */
	uint32_t reg_id;       /* 0 where outbound is not in use */
	uint32_t expires_s;    /* asked by the phone; 0: remove */
};

/* What a REGISTER under way asked for. */
struct registration {
	char *account, *call_id, *user_agent, *path;
	uint32_t cseq;
	uint8_t zone, count;
	bool star, outbound, gruu;
	struct contact contacts[CONTACTS_MAXIMUM];
};

void registration_free(struct registration *registration)
{
	if (!registration)
		return;
	for (uint8_t i = 0; i < registration->count; i++) {
		memory_free(registration->contacts[i].uri);
		memory_free(registration->contacts[i].q);
		memory_free(registration->contacts[i].instance);
		memory_free(registration->contacts[i].push);
	}
	memory_free(registration->path);
	memory_free(registration->account);
	memory_free(registration->call_id);
	memory_free(registration->user_agent);
	memory_free(registration);
}

void registration_zone_set(struct registration *registration, uint8_t zone)
{
	registration->zone = zone;
}

static uint32_t told_s(const struct config_zone *zone, const struct flow *flow, uint32_t asked_s)
{
	uint32_t longest = flow->transport == TRANSPORT_UDP ? zone->bindings.expires_udp_s : zone->bindings.expires_s;

	return asked_s < longest ? asked_s : longest;
}

/* ---- What the phone asks ---- */

static uint32_t expires_of(const struct sip_message *request, const struct sip_address *contact, uint32_t otherwise)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_EXPIRES);
	struct span value;
	uint64_t seconds;

	if (sip_parameter_get(contact->parameters, "expires", &value) && !span_to_uint(value, UINT32_MAX, &seconds))
		return (uint32_t)seconds;
	if (header && !span_to_uint(header->value, UINT32_MAX, &seconds))
		return (uint32_t)seconds;
	return otherwise;
}

/* Whether another contact of the same REGISTER means the same place (RFC 3261 section 10.3 step 7). */
static bool contact_is_twice(const struct registration *out, const struct sip_uri *uri)
{
	for (uint8_t i = 0; i < out->count; i++) {
		struct sip_uri other;

		if (sip_uri_parse(span_from(out->contacts[i].uri), &other) == SIP_OK && sip_uri_equal(&other, uri))
			return true;
	}
	return false;
}

/* The binding that a contact means: by phone and flow where outbound is in use (RFC 5626 section 6), else by its URI. */
static struct binding *contact_known(struct gateway *gateway, const struct registration *out,
				     const struct contact *contact, const struct sip_uri *uri)
{
	struct owner *owner = owner_find(gateway, out->account);
	struct binding *known = NULL;

	if (owner && contact->reg_id)
		known = binding_by_instance(owner, out->zone, span_from(contact->instance), contact->reg_id);
	return known || !owner ? known : binding_by_contact(owner, out->zone, uri);
}

static int contact_texts_take(struct contact *contact, const struct sip_address *address)
{
	char push[FLOWS_PUSH_CAPACITY];
	struct span q;

	if (!flows_push(&address->uri, push, sizeof(push)))
		return 403;
	contact->uri = memory_copy_text(address->uri.text);
	contact->instance = memory_copy_text(flows_instance(address));
	contact->push = memory_copy_text(span_from(push));
	if (sip_parameter_get(address->parameters, "q", &q) && q.length < 8)
		contact->q = memory_copy_text(q);
	return contact->uri && contact->instance && contact->push ? 0 : 503;
}

/* Adds one contact. 0, or the status to refuse with. */
static int contact_take(struct gateway *gateway, struct registration *out, const struct sip_message *request,
			const struct sip_address *address)
{
	const struct config_zone *zone = gateway_zone(gateway, out->zone);
	struct contact *contact;
	struct binding *known;
	int status;

	/* It becomes a Request-URI, where headers have no place (RFC 3261 section 19.1.1). */
	if (!address->uri.host.length || address->uri.headers.data || contact_is_twice(out, &address->uri))
		return 400;
	if (out->count >= CONTACTS_MAXIMUM || address->uri.text.length >= 1024)
		return 403;
	contact = &out->contacts[out->count++];
	contact->expires_s = expires_of(request, address, zone->bindings.expires_s);
	contact->reg_id = out->outbound ? flows_reg_id(address) : 0;
	status = contact_texts_take(contact, address);
	if (status)
		return status;
	known = contact_known(gateway, out, contact, &address->uri);
	if (known)
		memcpy(contact->token, known->token, sizeof(contact->token));
	else
		random_token(gateway->random, contact->token, TAG_LENGTH);
	return 0;
}

/* Whether the account has room for what the REGISTER adds; contacts that cannot be reached make room. */
static bool owner_may_have(struct gateway *gateway, const struct registration *asked)
{
	struct owner *owner = owner_find(gateway, asked->account);
	uint32_t maximum = gateway_zone(gateway, asked->zone)->bindings.contacts_maximum, count = 0;

	for (uint8_t i = 0; i < asked->count; i++)
		count += asked->contacts[i].expires_s &&
			 !binding_by_flow_id(gateway, asked->contacts[i].token, asked->contacts[i].reg_id);
	if (!count)
		return true;
	if (owner)
		list_each(link, &owner->bindings)
			count += binding_reachable(list_object(link, struct binding, in_owner));
	return count <= maximum;
}

static int contacts_take(struct gateway *gateway, struct registration *out, const struct sip_message *request)
{
	int status = 0;

	for (const struct sip_header *header = sip_message_header(request, SIP_HEADER_CONTACT); header;
	     header = sip_message_header_next(request, header)) {
		struct span rest = header->value, element;

		while (!status && sip_list_next(&rest, &element)) {
			struct sip_address address;

			if (sip_address_parse(element, &address) != SIP_OK)
				return 400;
			if (address.star)
				out->star = true;
			else
				status = contact_take(gateway, out, request, &address);
		}
	}
	/* Before the registrar keeps contacts of ours that nobody would be behind (THREATS S4). */
	if (!status && !owner_may_have(gateway, out))
		status = 403;
	/* RFC 3261 section 10.3 step 6: "*" alone, and only to remove. */
	if (!status && out->star && (out->count || expires_of(request, &request->contact, 1) != 0))
		status = 400;
	return status;
}

static struct registration *registration_new(const struct flow *flow, const struct sip_message *request,
					     const char *account, const char *path)
{
	struct registration *out = memory_alloc(sizeof(*out));
	const struct sip_header *agent = sip_message_header(request, SIP_HEADER_USER_AGENT);

	if (!out)
		return NULL;
	out->gruu = flows_wants_gruu(request);
	out->path = memory_copy_text(span_from(path));
	out->zone = flow->zone;
	out->cseq = request->cseq;
	out->account = memory_copy_text(span_from(account));
	out->call_id = memory_copy_text(span_slice(request->call_id, 0, 255));
	out->user_agent = memory_copy_text(agent ? span_slice(agent->value, 0, 127) : SPAN_EMPTY);
	if (out->account && out->call_id && out->user_agent && out->path)
		return out;
	registration_free(out);
	return NULL;
}

/* ---- Answers ---- */

/* The phone's own name at our domain, where the registrar has one for it: the registrar's stays inside (RFC 5627 section 5.3). */
static void write_gruu(struct gateway *gateway, const struct binding *binding, struct buffer *out)
{
	char uuid[FLOWS_UUID_CAPACITY];

	flows_instance_uuid(binding->owner->account, binding->instance, uuid);
	buffer_put_text(out, ";pub-gruu=\"sip:");
	build_user(out, span_from(binding->owner->account));
	buffer_printf(out, "@%s;gr=%s\"", route_domain(gateway, binding->zone), uuid);
}

static void write_contacts(struct gateway *gateway, const struct registration *asked, struct buffer *out)
{
	struct owner *owner = owner_find(gateway, asked->account);
	int64_t now = clock_wall_s();

	if (!owner)
		return;
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);
		int64_t left = (int64_t)binding->expires_at_s - now;
		char text[2048];
		struct buffer value = BUFFER_OVER(text);

		if (binding->zone != asked->zone || left <= 0)
			continue;
		buffer_printf(&value, "<%s>;expires=%u", binding->contact, (uint32_t)left);
		if (*binding->instance)
			buffer_printf(&value, ";+sip.instance=\"%s\"", binding->instance);
		if (binding->reg_id)
			buffer_printf(&value, ";reg-id=%u", binding->reg_id);
		if (*binding->gruu && asked->gruu)
			write_gruu(gateway, binding, &value);
		sip_write_header(out, SIP_HEADER_CONTACT, buffer_span(&value));
	}
}

/* `response` is the registrar's, or NULL where it was not asked. */
static void answer_ok(struct gateway *gateway, struct sip_server_transaction *server, const struct registration *asked,
		      const struct sip_message *response, uint8_t registrar)
{
	const struct flow *flow = sip_server_flow(server);
	struct buffer out = gateway_scratch(gateway);
	char tag[TAG_LENGTH + 1];

	random_token(gateway->random, tag, TAG_LENGTH);
	sip_write_response_start(&out, sip_server_request(server), 200, SPAN_EMPTY, span_from(tag), flow);
	write_contacts(gateway, asked, &out);
	if (*asked->path)
		sip_write_header(&out, SIP_HEADER_PATH, span_from(asked->path));
	if (asked->outbound && !*asked->path) /* else a proxy keeps the flow */
		net_flow_keeps_alive(gateway_net(gateway), flow);
	if (asked->outbound) {
		sip_write_header(&out, SIP_HEADER_REQUIRE, SPAN("outbound"));
		sip_write_header_number(&out, SIP_HEADER_FLOW_TIMER,
					transport_is_stream(flow->transport) ? FLOW_TIMER_STREAM_S : FLOW_TIMER_UDP_S);
	}
	if (response)
		policy_copy_header(gateway, response, SIP_HEADER_FEATURE_CAPS, registrar, flow->zone, &out);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (!out.overflow)
		sip_server_respond(server, 200, buffer_span(&out));
}

/* A refresh that the registrar need not see: the same phone, by the same flow, while the registrar's binding lasts. */
static bool refresh(struct gateway *gateway, struct sip_server_transaction *server, const struct registration *asked)
{
	const struct flow *flow = sip_server_flow(server);
	const struct contact *contact = &asked->contacts[0];
	struct binding *binding;
	uint32_t told;
	uint64_t now = (uint64_t)clock_wall_s();

	if (asked->count != 1 || asked->star || !contact->expires_s)
		return false;
	binding = binding_by_flow_id(gateway, contact->token, contact->reg_id);
	told = told_s(gateway_zone(gateway, flow->zone), flow, contact->expires_s);
	if (!binding || !flow_equal(&binding->flow, flow) || strcmp(binding->call_id, asked->call_id) ||
	    strcmp(binding->contact, contact->uri) || strcmp(binding->instance, contact->instance) ||
	    strcmp(binding->path, asked->path) || *contact->push || /* whoever pushes counts the refreshes */
	    asked->cseq <= binding->cseq || binding->registrar_expires_at_s < now + told + REGISTRAR_MARGIN_S)
		return false;
	binding->cseq = asked->cseq;
	binding_expire_at(binding, now + told);
	binding_save(binding);
	gateway->counters.registrations_refreshed++;
	answer_ok(gateway, server, asked, NULL, 0);
	return true;
}

/* ---- To the registrar ---- */

bool registrar_zone(const struct gateway *gateway, uint8_t from, uint8_t *zone)
{
	for (uint16_t i = 0; i < gateway->config->route_count; i++) {
		const struct config_route *route = &gateway->config->routes[i];

		if (route->from == from && gateway_zone(gateway, route->to)->kind == ZONE_CORE) {
			*zone = route->to;
			return true;
		}
	}
	return false;
}

/* Seconds to ask of the registrar for a contact: one flow of a phone may go while another keeps the contact in use. */
static uint32_t wanted_s(struct gateway *gateway, const struct contact *contact, uint32_t longest)
{
	struct binding *other;

	if (contact->expires_s)
		return longest;
	other = binding_by_token(gateway, span_from(contact->token));
	if (!other || !contact->reg_id)
		return 0;
	list_each(link, &other->owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (binding->reg_id != contact->reg_id && !strcmp(binding->token, contact->token))
			return longest;
	}
	return 0;
}

static void write_our_contacts(struct gateway *gateway, const struct registration *asked, const struct flow *flow,
			       struct buffer *out)
{
	uint32_t longest = gateway_zone(gateway, asked->zone)->bindings.registrar_expires_s;

	if (asked->star)
		sip_write_header(out, SIP_HEADER_CONTACT, SPAN("*"));
	for (uint8_t i = 0; i < asked->count; i++) {
		const struct contact *contact = &asked->contacts[i];
		uint32_t expires = wanted_s(gateway, contact, longest);
		char text[1200], uuid[FLOWS_UUID_CAPACITY];
		struct buffer value = BUFFER_OVER(text);

		buffer_printf(&value, "<sip:%s@", contact->token);
		build_host(gateway, &value, flow);
		if (flow->transport != TRANSPORT_UDP)
			buffer_printf(&value, ";transport=%s", transport_name(flow->transport));
		buffer_printf(&value, "%s>;expires=%u", contact->push, expires);
		if (contact->q)
			buffer_printf(&value, ";q=%s", contact->q);
		if (asked->gruu && *contact->instance) {
			flows_instance_uuid(asked->account, contact->instance, uuid);
			buffer_printf(&value, ";+sip.instance=\"<%s>\"", uuid);
		}
		sip_write_header(out, SIP_HEADER_CONTACT, buffer_span(&value));
	}
	if (asked->star)
		sip_write_header_number(out, SIP_HEADER_EXPIRES, 0);
}

/* One Call-ID toward the registrar for each of the phone's (RFC 3261 section 10.2), without showing it. */
static void write_call_id(struct gateway *gateway, const struct registration *asked, struct buffer *out)
{
	uint64_t parts[2] = {table_hash(gateway->owners, asked->call_id, strlen(asked->call_id)),
			     table_hash(gateway->bindings, asked->account, strlen(asked->account))};
	char text[40];
	struct buffer value = BUFFER_OVER(text);

	buffer_put_hex(&value, parts, sizeof(parts));
	sip_write_header(out, SIP_HEADER_CALL_ID, buffer_span(&value));
}

static bool relay_register(struct relay *relay, const struct sip_message *request, uint8_t zone)
{
	struct gateway *gateway = relay->gateway;
	const char *domain = route_domain(gateway, zone);
	struct buffer out = gateway_scratch(gateway);
	char branch[SIP_BRANCH_CAPACITY], tag[TAG_LENGTH + 1], text[1200];
	struct buffer value = BUFFER_OVER(text);
	struct flow flow;

	if (servers_route(gateway, zone, &relay->tried, &flow))
		return false;
	sip_branch_make(gateway->random, branch);
	random_token(gateway->random, tag, TAG_LENGTH);
	buffer_printf(&value, "sip:%s", domain);
	sip_write_request_line(&out, SPAN("REGISTER"), buffer_span(&value));
	build_via(gateway, &out, &flow, branch);
	sip_write_header_number(&out, SIP_HEADER_MAX_FORWARDS,
				request->max_forwards < 0 ? 70 : (uint32_t)request->max_forwards - 1);
	value.length = 0;
	buffer_put_text(&value, "<sip:");
	build_user_of(&value, &request->to.uri);
	buffer_printf(&value, "@%s>", domain);
	sip_write_header(&out, SIP_HEADER_TO, buffer_span(&value));
	buffer_printf(&value, ";tag=%s", tag);
	sip_write_header(&out, SIP_HEADER_FROM, buffer_span(&value));
	write_call_id(gateway, relay->registration, &out);
	value.length = 0;
	buffer_printf(&value, "%u REGISTER", request->cseq);
	sip_write_header(&out, SIP_HEADER_CSEQ, buffer_span(&value));
	write_our_contacts(gateway, relay->registration, &flow, &out);
	sip_write_header(&out, SIP_HEADER_SUPPORTED, relay->registration->gruu ? SPAN("path, gruu") : SPAN("path"));
	for (const struct sip_header *header = sip_message_header(request, SIP_HEADER_AUTHORIZATION);
	     header && gateway_zone(gateway, relay->zones[0])->authentication == AUTHENTICATION_RELAY;
	     header = sip_message_header_next(request, header))
		sip_write_header(&out, SIP_HEADER_AUTHORIZATION, header->value);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (out.overflow || value.overflow)
		return false;
	relay->client =
		sip_client_start(gateway_transactions(gateway), &flow, SIP_REGISTER, branch, buffer_span(&out), relay);
	return relay->client != NULL;
}

bool register_again(struct relay *relay, const struct sip_message *request)
{
	struct sip_client_transaction *client = relay->client;

	relay->client = NULL;
	if (!relay_register(relay, request, relay->zones[1])) {
		relay->client = client;
		return false;
	}
	if (client)
		sip_client_user_set(client, NULL);
	relay->final = false;
	return true;
}

/* ---- What the registrar granted ---- */

/* Our contact as the registrar has it. */
static bool contact_granted(const struct sip_message *response, const struct contact *contact,
			    struct sip_address *address, bool *listed)
{
	*listed = false;
	for (const struct sip_header *header = sip_message_header(response, SIP_HEADER_CONTACT); header;
	     header = sip_message_header_next(response, header)) {
		struct span rest = header->value, element;

		while (sip_list_next(&rest, &element)) {
			*listed = true;
			if (sip_address_parse(element, address) == SIP_OK && !address->star &&
			    span_equal(address->uri.user, span_from(contact->token)))
				return true;
		}
	}
	return false;
}

/* Seconds the registrar gave our contact; it may shorten what was asked. */
static uint32_t granted_s(const struct sip_message *response, const struct contact *contact, uint32_t asked_s)
{
	struct sip_address address;
	bool listed;

	if (contact_granted(response, contact, &address, &listed))
		return expires_of(response, &address, asked_s);
	return listed ? 0 : expires_of(response, &(struct sip_address){0}, asked_s);
}

/* Makes room when the account has as many contacts as it may: a phone that reconnected left dead ones behind. */
static bool owner_has_room(struct gateway *gateway, const struct registration *asked)
{
	struct owner *owner = owner_find(gateway, asked->account);
	uint32_t maximum = gateway_zone(gateway, asked->zone)->bindings.contacts_maximum;
	struct binding *oldest = NULL;

	if (!owner || owner->count < maximum)
		return true;
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (!binding_reachable(binding) && (!oldest || binding->expires_at_s < oldest->expires_at_s))
			oldest = binding;
	}
	if (oldest)
		binding_drop(oldest, true);
	return oldest != NULL;
}

/* What the registrar adds: routes for requests of the phone's (RFC 3608), a name for it (RFC 5627). What is not as it should be is
 * none; the registration stands. */
static void what_registrar_wants(const struct registration *asked, const struct contact *contact,
				 const struct sip_message *response, char service_route[FLOWS_ROUTES_CAPACITY],
				 char gruu[FLOWS_GRUU_CAPACITY])
{
	struct sip_address address;
	bool listed;

	*service_route = *gruu = 0;
	if (!response)
		return;
	if (!flows_routes(response, SIP_HEADER_SERVICE_ROUTE, service_route, FLOWS_ROUTES_CAPACITY))
		*service_route = 0;
	if (asked->gruu && *contact->instance && contact_granted(response, contact, &address, &listed))
		flows_gruu_granted(&address, gruu, FLOWS_GRUU_CAPACITY);
}

/* The phone registered this contact before it used outbound: the same place, and not to be rung twice. */
static void twin_drop(struct gateway *gateway, const struct contact *contact)
{
	struct binding *twin = binding_by_flow_id(gateway, contact->token, 0);

	if (twin)
		binding_drop(twin, true);
}

static void contact_bind(struct gateway *gateway, const struct registration *asked, const struct contact *contact,
			 const struct flow *flow, const struct sip_message *response, uint32_t granted)
{
	struct binding *binding = binding_by_flow_id(gateway, contact->token, contact->reg_id);
	uint32_t told = told_s(gateway_zone(gateway, asked->zone), flow, contact->expires_s);
	char service_route[FLOWS_ROUTES_CAPACITY], gruu[FLOWS_GRUU_CAPACITY];
	const struct binding_texts texts = {
		contact->uri, asked->call_id, asked->user_agent, contact->instance, asked->path, service_route, gruu};
	uint64_t now = (uint64_t)clock_wall_s();

	if (!contact->expires_s || !granted) {
		if (binding)
			binding_drop(binding, true);
		return;
	}
	what_registrar_wants(asked, contact, response, service_route, gruu);
	if (!binding && contact->reg_id)
		twin_drop(gateway, contact);
	if (!binding && owner_has_room(gateway, asked))
		binding = binding_add(gateway, asked->account, contact->token);
	if (!binding)
		return;
	binding->zone = asked->zone;
	binding->flow = *flow;
	binding->cseq = asked->cseq;
	binding->reg_id = contact->reg_id;
	binding->registrar_expires_at_s = now + granted;
	if (!binding_texts_set(binding, &texts)) {
		binding_drop(binding, true);
		return;
	}
	binding_expire_at(binding, now + (told < granted ? told : granted));
	binding_save(binding);
}

static void bind_all(struct gateway *gateway, const struct registration *asked, const struct flow *flow,
		     const struct sip_message *response)
{
	uint32_t longest = gateway_zone(gateway, asked->zone)->bindings.registrar_expires_s;

	if (asked->star) {
		struct owner *owner = owner_find(gateway, asked->account);

		for (uint32_t left = owner ? owner->count : 0; left; left--) {
			struct binding *binding = list_object(owner->bindings.next, struct binding, in_owner);

			binding_drop(binding, true); /* frees the owner with its last */
		}
		return;
	}
	for (uint8_t i = 0; i < asked->count; i++) {
		const struct contact *contact = &asked->contacts[i];

		contact_bind(gateway, asked, contact, flow, response,
			     response ? granted_s(response, contact, longest) : longest);
	}
}

/* Challenged again although it brought credentials, and not because their nonce was too old. */
static bool credentials_were_wrong(const struct relay *relay, const struct sip_message *response)
{
	const struct sip_header *challenge = sip_message_header(response, SIP_HEADER_WWW_AUTHENTICATE);
	struct sip_digest digest;

	return sip_message_header(sip_server_request(relay->server), SIP_HEADER_AUTHORIZATION) && challenge &&
	       !sip_digest_parse(challenge->value, &digest) && !digest.stale;
}

static void password_refused(const struct relay *relay)
{
	const struct flow *flow = sip_server_flow(relay->server);
	struct span user = span_from(relay->registration->account);

	authentication_refused(relay->gateway, flow, user);
	finding_tell(relay->gateway, EVIDENCE_CALL_PASSWORD, flow, user, SPAN_EMPTY);
}

static void forward_refusal(struct relay *relay, const struct sip_message *response)
{
	struct gateway *gateway = relay->gateway;
	const struct config_zone *zone = gateway_zone(gateway, relay->zones[0]);
	bool challenge = response->status == 401 || response->status == 407;
	struct buffer out = gateway_scratch(gateway);
	uint16_t status = response->status;
	char tag[TAG_LENGTH + 1];

	if (challenge && zone->authentication != AUTHENTICATION_RELAY) {
		log_limited(&gateway->registrar_limit, LOG_WARNING, "call",
			    "the registrar challenges a phone of zone %s that the gateway authenticated: let it trust "
			    "the gateway, or set authentication: relay",
			    zone->name);
		status = 403;
	} else if (challenge) {
		if (credentials_were_wrong(relay, response))
			password_refused(relay);
	} else {
		if (status == 403 && sip_message_header(sip_server_request(relay->server), SIP_HEADER_AUTHORIZATION))
			password_refused(relay); /* as some registrars say it */
		status = policy_status(status, gateway_zone(gateway, relay->zones[1]), zone);
		gateway->counters.registrations_refused++;
	}
	random_token(gateway->random, tag, TAG_LENGTH);
	sip_write_response_start(&out, sip_server_request(relay->server), status, SPAN_EMPTY, span_from(tag),
				 sip_server_flow(relay->server));
	if (status == response->status)
		policy_copy(gateway, response, relay->zones[1], relay->zones[0], &out);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (!out.overflow)
		sip_server_respond(relay->server, status, buffer_span(&out));
}

static bool removes_all(const struct registration *asked)
{
	for (uint8_t i = 0; i < asked->count; i++)
		if (asked->contacts[i].expires_s)
			return false;
	return asked->star || asked->count;
}

void register_response(struct relay *relay, const struct sip_message *response)
{
	struct gateway *gateway = relay->gateway;
	struct registration *asked = relay->registration;

	if (!relay->server || relay->answered || response->status < 200)
		return;
	relay->answered = true;
	if (response->status >= 300) {
		forward_refusal(relay, response);
	} else {
		bind_all(gateway, asked, sip_server_flow(relay->server), response);
		log_write(LOG_INFO, "call", "%s %s", asked->account,
			  removes_all(asked) ? "unregistered" : "registered");
		answer_ok(gateway, relay->server, asked, response, relay->zones[1]);
	}
	relay_free(relay); /* its transactions stay for up to 32 s */
}

static void start(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request,
		  struct registration *asked)
{
	struct relay *relay;
	uint8_t zone;

	if (!registrar_zone(gateway, asked->zone, &zone)) {
		/* No PBX behind: the gateway that authenticated the phone is its registrar. */
		if (gateway_zone(gateway, asked->zone)->authentication == AUTHENTICATION_LOCAL) {
			bind_all(gateway, asked, sip_server_flow(server), NULL);
			answer_ok(gateway, server, asked, NULL, 0);
		} else {
			respond(gateway, server, 403, NULL, NULL);
		}
		registration_free(asked);
		return;
	}
	relay = relay_new(gateway, NULL, CALLER, server, request);
	if (!relay) {
		registration_free(asked);
		respond(gateway, server, 503, NULL, "Retry-After: 10\r\n");
		return;
	}
	relay->registration = asked;
	gateway->load.pending++;
	relay->zones[0] = asked->zone;
	relay->zones[1] = zone;
	gateway->counters.registrations_relayed++;
	if (!relay_register(relay, request, zone))
		relay_refuse(relay, 503, "Retry-After: 10\r\n");
	failover_arm(relay);
}

/* Whose registrations, from where they came, end within how many seconds; UINT32_MAX: there is none. */
static uint32_t registered_s(struct gateway *gateway, const struct flow *flow, const struct registration *asked)
{
	struct owner *owner = owner_find(gateway, asked->account);
	uint64_t now = (uint64_t)clock_wall_s();
	uint32_t soonest = UINT32_MAX;

	if (!owner)
		return soonest;
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);
		uint32_t left = binding->expires_at_s > now ? (uint32_t)(binding->expires_at_s - now) : 0;

		if (binding->zone == flow->zone && address_equal_ip(&binding->flow.remote, &flow->remote) &&
		    left < soonest)
			soonest = left;
	}
	return soonest;
}

/* When all phones come back at once, not all at once go on to the registrar. False: it was told to come later. */
static bool admit(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request,
		  const struct registration *asked)
{
	const struct flow *flow = sip_server_flow(server);
	uint32_t left_s = registered_s(gateway, flow, asked), chance, wait_s;
	bool answers = gateway_zone(gateway, flow->zone)->authentication == AUTHENTICATION_RELAY &&
		       sip_message_header(request, SIP_HEADER_AUTHORIZATION);
	char later[40];

	random_fill(gateway->random, &chance, sizeof(chance));
	wait_s = admission_ask(&gateway->admission, gateway->config->limits.registrations_per_s,
			       left_s == UINT32_MAX          ? ADMISSION_UNKNOWN
			       : left_s < ADMISSION_URGENT_S ? ADMISSION_URGENT
							     : ADMISSION_KNOWN,
			       answers, &gateway->load, clock_monotonic_us(), chance);
	if (!wait_s)
		return true;
	gateway->counters.registrations_deferred++;
	snprintf(later, sizeof(later), "Retry-After: %u\r\n", wait_s);
	respond(gateway, server, 503, NULL, later);
	return false;
}

/* Whether there is room for all bindings that are new. */
static bool bindings_have_room(struct gateway *gateway, const struct registration *asked)
{
	uint32_t count = 0;

	for (uint8_t i = 0; i < asked->count; i++)
		count += asked->contacts[i].expires_s &&
			 !binding_by_flow_id(gateway, asked->contacts[i].token, asked->contacts[i].reg_id);
	return pool_alive(gateway->binding_pool) + count <= pool_maximum(gateway->binding_pool);
}

void register_receive(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request)
{
	const struct flow *flow = sip_server_flow(server);
	const struct account *user;
	struct registration *asked;
	char account[256], path[FLOWS_ROUTES_CAPACITY];
	bool outbound = false;
	int status;

	if (!gateway->loaded || gateway->stopping) {
		respond(gateway, server, 503, NULL, "Retry-After: 5\r\n");
		return;
	}
	if (refuse_unserved(gateway, server, request) || !authenticate(gateway, server, request, &user))
		return;
	if (gateway_zone(gateway, flow->zone)->kind != ZONE_ACCESS || !request->to.uri.user.length ||
	    sip_user_decode(request->to.uri.user, account, sizeof(account)) ||
	    (user && strcmp(user->record.user, account))) {
		gateway->counters.registrations_refused++;
		respond(gateway, server, 403, NULL, NULL);
		return;
	}
	status = flows_path(request, path, sizeof(path));
	if (!status)
		status = flows_asked(request, &outbound);
	asked = status ? NULL : registration_new(flow, request, account, path);
	if (asked)
		asked->outbound = outbound;
	if (!status)
		status = asked ? contacts_take(gateway, asked, request) : 503;
	/* Who is registered may go on being so. */
	if (!status && !bindings_have_room(gateway, asked))
		status = 503;
	if (status) {
		registration_free(asked);
		gateway->counters.registrations_refused++;
		respond(gateway, server, (uint16_t)status, NULL,
			status == 420   ? "Unsupported: path\r\n"
			: status == 503 ? "Retry-After: 60\r\n"
					: NULL);
		return;
	}
	if (refresh(gateway, server, asked) || !admit(gateway, server, request, asked))
		registration_free(asked);
	else
		start(gateway, server, request, asked);
}
