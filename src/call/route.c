/* SPDX-License-Identifier: Apache-2.0
 * Where a request goes: the configured routes, first match wins. */
#include "call/internal.h"

const char *route_domain(const struct gateway *gateway, uint8_t zone)
{
	const char *domain = gateway_zone(gateway, zone)->domain;

	return domain ? domain : gateway->config->site.domain;
}

int route_peer_flow(struct gateway *gateway, uint8_t zone_index, struct flow *flow)
{
	const struct config_zone *zone = gateway_zone(gateway, zone_index);

	if (!zone->peer_count)
		return -ENOENT;

	const struct config_peer *peer = &zone->peers[0];
	struct net_peer target = {.address = peer->address, .transport = peer->transport, .verify = zone->verify};
	struct address literal;

	target.address.port = peer->port;
	if (address_parse_ip(span_from(peer->host), &literal))
		target.name = span_from(peer->host);
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->listeners[i].transport == peer->transport &&
		    zone->listeners[i].address.family == peer->address.family)
			return net_flow_open(gateway_net(gateway), &target, zone_index, i, flow);
	/* A stream needs no listener of its own transport to be dialled. */
	return transport_is_stream(peer->transport) ? net_flow_open(gateway_net(gateway), &target, zone_index, 0, flow)
						    : -ENOENT;
}

/* The phone a URI from inside means: by the token of its binding's contact, or by its account. */
static struct binding *binding_for(struct gateway *gateway, const struct sip_uri *uri)
{
	struct binding *binding = binding_by_token(gateway, uri->user);

	if (!binding && sip_parameter_get(uri->parameters, "gr", NULL))
		return flows_binding_of_gruu(gateway, uri); /* this phone and no other (RFC 5627 section 5.4) */
	return binding ? binding : binding_by_account(gateway, uri->user);
}

static void write_uri(struct gateway *gateway, const struct sip_uri *uri, uint8_t zone, struct buffer *out)
{
	buffer_put_text(out, "sip:");
	if (uri->user.length) {
		build_user_of(out, uri);
		buffer_put_byte(out, '@');
	}
	buffer_put_text(out, route_domain(gateway, zone));
	if (uri->scheme == SIP_SCHEME_TEL || build_is_phone(gateway_zone(gateway, zone), uri->user))
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

static int to_peer(struct gateway *gateway, uint8_t zone, const struct sip_uri *uri, struct route_target *out)
{
	struct buffer text = BUFFER_OVER(out->uri);
	const struct binding *named = flows_binding_of_gruu(gateway, uri);

	out->zone = zone;
	out->binding = NULL;
	out->routes = trunk_service_route(gateway, zone);
	if (named && *named->gruu) /* one phone by its GRUU: as the registrar calls it */
		buffer_put_text(&text, named->gruu);
	else
		write_uri(gateway, uri, zone, &text);
	buffer_text(&text);
	if (text.overflow)
		return 414;
	return route_peer_flow(gateway, zone, &out->flow) ? 503 : 0;
}

int route_find(struct gateway *gateway, const struct flow *flow, const struct sip_uri *uri, struct route_target *out)
{
	const struct config *config = gateway->config;
	bool has_route = false;

	for (uint16_t i = 0; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];

		if (route->from != flow->zone)
			continue;
		has_route = true;
		if (config->zones[route->to].kind == ZONE_ACCESS) {
			struct binding *binding = binding_for(gateway, uri);

			if (binding && binding->zone == route->to)
				return to_binding(gateway, binding, out);
			continue;
		}
		if (route->when == ROUTE_ALWAYS)
			return to_peer(gateway, route->to, uri, out);
	}
	return has_route ? 404 : 403;
}
