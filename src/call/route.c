/* SPDX-License-Identifier: Apache-2.0
 * Where a request goes: the configured routes, first match wins. */
#include "call/dialogs.h"
#include "call/peers.h"
#include "call/phones.h"

#include <stdio.h>

const char *route_domain(const struct gateway *gateway, uint8_t zone)
{
	const char *domain = gateway_zone(gateway, zone)->domain;

	return domain ? domain : gateway->config->site.domain;
}

/* The phone a URI from inside means: by the token of its binding's contact, or by its account. */
static struct binding *binding_for(struct gateway *gateway, const struct sip_uri *uri)
{
	struct binding *binding = binding_by_token(gateway, uri->user);

	if (!binding && sip_parameter_get(uri->parameters, "gr", NULL))
		return flows_binding_of_gruu(gateway, uri); /* this phone and no other (RFC 5627 section 5.4) */
	return binding ? binding : binding_by_account(gateway, uri->user);
}

static void write_uri(struct gateway *gateway, const struct sip_uri *uri, const struct route_target *target,
		      struct buffer *out)
{
	buffer_put_text(out, "sip:");
	if (*target->called)
		build_user(out, span_from(target->called));
	else if (uri->user.length)
		build_user_of(out, uri);
	if (*target->called || uri->user.length)
		buffer_put_byte(out, '@');
	buffer_put_text(out, route_domain(gateway, target->zone));
	if (uri->scheme == SIP_SCHEME_TEL || build_is_phone(gateway_zone(gateway, target->zone),
							    *target->called ? span_from(target->called) : uri->user))
		buffer_put_text(out, ";user=phone");
}

static int to_binding(struct gateway *gateway, struct binding *binding, struct route_target *out)
{
	(void)gateway;
	if (!binding_reachable(binding))
		return 480;
	out->zone = binding->zone;
	out->flow = binding->flow;
	out->binding = binding;
	out->routes = *binding->path ? binding->path : NULL;
	return span_copy(span_from(binding->contact), out->uri, sizeof(out->uri)) ? 500 : 0;
}

/* A number on its way through: as it came, and as the rows of `rewrite` make it. */
struct number {
	char text[ROUTE_NUMBER_CAPACITY];
	bool is_rewritten;
};

static void number_rewrite(const struct gateway *gateway, uint8_t zone, enum config_direction direction,
			   enum config_party party, struct number *number)
{
	char text[ROUTE_NUMBER_CAPACITY];

	if (!*number->text ||
	    !config_rewrite(gateway->config, zone, direction, party, span_from(number->text), text, sizeof(text)))
		return;
	memcpy(number->text, text, sizeof(text));
	number->is_rewritten = true;
}

/* What of a URI can be a number: its user part in plain, or nothing. */
static void number_of(const struct gateway *gateway, const struct sip_uri *uri, uint8_t zone, enum config_party party,
		      struct number *out)
{
	*out = (struct number){0};
	if (!uri || sip_user_decode(uri->user, out->text, sizeof(out->text)))
		out->text[0] = 0;
	number_rewrite(gateway, zone, DIRECTION_IN, party, out);
}

struct numbers {
	struct number called, caller;
};

static void number_take(const struct gateway *gateway, struct number number, uint8_t zone, enum config_party party,
			char out[ROUTE_NUMBER_CAPACITY])
{
	number_rewrite(gateway, zone, DIRECTION_OUT, party, &number);
	snprintf(out, ROUTE_NUMBER_CAPACITY, "%s", number.is_rewritten ? number.text : "");
}

static void numbers_take(const struct gateway *gateway, const struct numbers *numbers, struct route_target *out)
{
	number_take(gateway, numbers->called, out->zone, PARTY_CALLED, out->called);
	number_take(gateway, numbers->caller, out->zone, PARTY_CALLER, out->caller);
}

static int to_peer(struct gateway *gateway, uint8_t zone, const struct sip_uri *uri, const struct numbers *numbers,
		   struct tried *tried, struct route_target *out)
{
	struct buffer text = BUFFER_OVER(out->uri);
	const struct binding *named = flows_binding_of_gruu(gateway, uri);

	out->zone = zone;
	out->binding = NULL;
	out->routes = trunk_service_route(gateway, zone);
	numbers_take(gateway, numbers, out);
	if (named && *named->gruu) /* one phone by its GRUU: as the registrar calls it */
		buffer_put_text(&text, named->gruu);
	else
		write_uri(gateway, uri, out, &text);
	buffer_text(&text);
	if (text.overflow)
		return 414;
	return servers_route(gateway, zone, tried, &out->flow) ? 503 : 0;
}

/* The first of the route's zones that can be called through, in its order or as the load is shared; one whose servers are all
 * down, or that is not registered where it must be, only when there is no other. */
static int to_zones(struct gateway *gateway, const struct config_route *route, const struct sip_uri *uri,
		    const struct numbers *numbers, struct tried *tried, struct route_target *out)
{
	uint8_t zones[CONFIG_ROUTE_ZONES_MAXIMUM];
	uint8_t count = config_route_zones(route, random_u64(gateway->random), zones);
	int status = 503;

	for (int desperate = 0; desperate < 2; desperate++) {
		for (uint8_t i = 0; i < count; i++) {
			if (!desperate && count > 1 &&
			    (!servers_are_well(gateway, zones[i], tried) || !trunk_is_usable(gateway, zones[i])))
				continue;
			status = to_peer(gateway, zones[i], uri, numbers, tried, out);
			if (!status)
				return 0;
		}
	}
	return status;
}

/* The phone that the number as it came, or as it was rewritten, means. */
static struct binding *binding_for_number(struct gateway *gateway, const struct sip_uri *uri,
					  const struct number *called)
{
	return called->is_rewritten ? binding_by_account(gateway, span_from(called->text)) : binding_for(gateway, uri);
}

static void question_set(struct config_question *question, uint8_t from, const struct numbers *numbers)
{
	time_t now = (time_t)clock_wall_s();

	*question = (struct config_question){
		.from = from, .called = span_from(numbers->called.text), .caller = span_from(numbers->caller.text)};
	localtime_r(&now, &question->now);
}

static bool has_routes(const struct config *config, uint8_t from)
{
	for (uint16_t i = 0; i < config->route_count; i++)
		if (config->routes[i].from == from)
			return true;
	return false;
}

/* The row that decides, and the phone that the number means when it leads to phones. NULL: none does. */
static const struct config_route *row_find(struct gateway *gateway, const struct flow *flow, const struct sip_uri *uri,
					   const struct sip_uri *from, struct numbers *numbers,
					   struct binding **binding)
{
	const struct config *config = gateway->config;
	struct config_question question;

	number_of(gateway, uri, flow->zone, PARTY_CALLED, &numbers->called);
	number_of(gateway, from, flow->zone, PARTY_CALLER, &numbers->caller);
	question_set(&question, flow->zone, numbers);
	for (int i = 0; (i = config_route_next(config, &question, (uint16_t)i)) >= 0; i++) {
		const struct config_route *route = &config->routes[i];
		bool to_phones = config->zones[route->to].kind == ZONE_ACCESS;

		*binding = to_phones ? binding_for_number(gateway, uri, &numbers->called) : NULL;
		if (to_phones ? *binding && (*binding)->zone == route->to : route->when == ROUTE_ALWAYS)
			return route;
	}
	return NULL;
}

int route_find_from(struct gateway *gateway, const struct flow *flow, const struct sip_uri *uri,
		    const struct sip_uri *from, struct tried *tried, struct route_target *out)
{
	struct numbers numbers;
	struct binding *binding;
	const struct config_route *route = row_find(gateway, flow, uri, from, &numbers, &binding);

	if (!route)
		return has_routes(gateway->config, flow->zone) ? 404 : 403;
	if (!binding)
		return to_zones(gateway, route, uri, &numbers, tried, out);
	out->zone = binding->zone;
	numbers_take(gateway, &numbers, out);
	return to_binding(gateway, binding, out);
}

bool route_leads_to(struct gateway *gateway, const struct flow *flow, const struct sip_uri *uri,
		    const struct sip_uri *from, uint8_t zone)
{
	struct numbers numbers;
	struct binding *binding;
	const struct config_route *route = row_find(gateway, flow, uri, from, &numbers, &binding);
	bool leads = route && route->to == zone;

	for (uint8_t i = 0; route && i < route->further_count; i++)
		leads |= route->further[i] == zone;
	return leads;
}

int route_find(struct gateway *gateway, const struct flow *flow, const struct sip_uri *uri, struct tried *tried,
	       struct route_target *out)
{
	return route_find_from(gateway, flow, uri, NULL, tried, out);
}
