/* SPDX-License-Identifier: Apache-2.0
 * A new configuration while calls run: zones are known again by their name. */
#include "call/calls.h"
#include "call/events.h"
#include "call/peers.h"
#include "call/phones.h"

#define ZONE_GONE NET_ZONE_NONE

struct zone_map {
	struct gateway *gateway;
	uint8_t to[256]; /* new index by old one, or ZONE_GONE */
};

static void map_make(struct zone_map *map, const struct config *before, const struct config *after)
{
	memset(map->to, ZONE_GONE, sizeof(map->to));
	for (uint8_t old = 0; old < before->zone_count; old++)
		for (uint8_t new = 0; new < after->zone_count; new ++)
			if (!strcmp(before->zones[old].name, after->zones[new].name))
				map->to[old] = new;
}

/* Flows name their listener by its place in the list, which may have changed. */
static void flow_map(const struct zone_map *map, const struct config *before, struct flow *flow)
{
	const struct config_zone *old = &before->zones[flow->zone], *new;
	const struct config_listener *was =
		flow->listener < old->listener_count ? &old->listeners[flow->listener] : NULL;

	flow->zone = map->to[flow->zone];
	new = gateway_zone(map->gateway, flow->zone);
	for (uint8_t i = 0; was && i < new->listener_count; i++)
		if (new->listeners[i].transport == was->transport &&
		    address_equal(&new->listeners[i].address, &was->address)) {
			flow->listener = i;
			return;
		}
}

static bool call_map(const struct zone_map *map, const struct config *before, struct call *call)
{
	for (uint8_t leg = 0; leg < 2; leg++)
		if (map->to[call->legs[leg].zone] == ZONE_GONE)
			return false;
	for (uint8_t leg = 0; leg < 2; leg++) {
		flow_map(map, before, &call->legs[leg].flow);
		call->legs[leg].zone = map->to[call->legs[leg].zone];
	}
	return true;
}

/* False: a side of it is gone. */
static bool subscription_map(const struct zone_map *map, const struct config *before, struct subscription *subscription)
{
	for (uint8_t leg = 0; leg < 2; leg++)
		if (map->to[subscription->legs[leg].zone] == ZONE_GONE)
			return false;
	for (uint8_t leg = 0; leg < 2; leg++) {
		flow_map(map, before, &subscription->legs[leg].flow);
		subscription->legs[leg].zone = map->to[subscription->legs[leg].zone];
	}
	return true;
}

struct binding_visit {
	const struct zone_map *map;
	const struct config *before;
};

static void flow_visit(void *context, struct flow *flow)
{
	const struct binding_visit *visit = context;

	flow_map(visit->map, visit->before, flow);
}

static void tombstone_map(struct binding_visit *visit, struct tombstone *tombstone)
{
	for (uint8_t zone = 0; zone < visit->before->zone_count; zone++)
		if (visit->map->to[zone] == ZONE_GONE && tombstone_is_of(tombstone, zone)) {
			tombstone_free(tombstone);
			return;
		}
	tombstone_flows_each(tombstone, flow_visit, visit);
}

static void binding_map(void *context, struct table_link *link)
{
	struct binding_visit *visit = context;
	struct binding *binding = table_object(link, struct binding, by_token);

	if (visit->map->to[binding->zone] == ZONE_GONE) {
		binding_drop(binding, true);
		return;
	}
	flow_map(visit->map, visit->before, &binding->flow);
	binding->zone = visit->map->to[binding->zone];
}

/* What waits outside a call for an answer from a zone that is gone, or to one, is answered now. */
static void relay_end(const struct zone_map *map, struct relay *relay)
{
	if (!relay->call && (map->to[relay->zones[0]] == ZONE_GONE || map->to[relay->zones[1]] == ZONE_GONE))
		relay_refuse(relay, 503, NULL);
}

static void own_map(const struct zone_map *map, const struct config *before, struct own_request *own)
{
	if (map->to[own->flow.zone] != ZONE_GONE)
		flow_map(map, before, &own->flow);
	else
		own->answer = NULL;
}

static void relay_map(const struct zone_map *map, const struct config *before, struct relay *relay)
{
	if (relay->own)
		own_map(map, before, relay->own);
	for (int side = 0; side < 2; side++)
		relay->zones[side] = map->to[relay->zones[side]];
	if (relay->registration)
		registration_zone_set(relay->registration, relay->zones[0]);
}

void gateway_configure(struct gateway *gateway, const struct config *config)
{
	const struct config *before = gateway->config;
	struct zone_map map = {.gateway = gateway};
	struct binding_visit visit = {&map, before};

	map_make(&map, before, config);
	/* Calls of a zone that is gone end while its ways out are still known. */
	list_each(link, &gateway->all_calls) {
		struct call *call = list_object(link, struct call, in_all);

		if (map.to[call->legs[CALLER].zone] == ZONE_GONE || map.to[call->legs[CALLEE].zone] == ZONE_GONE)
			call_end(call, -1, 503, "Zone removed");
	}
	list_each(link, &gateway->all_relays)
		relay_end(&map, list_object(link, struct relay, in_all));
	trunks_zones_leave(gateway, map.to);
	gateway->config = config;
	sip_transactions_zones_map(gateway_transactions(gateway), map.to);
	list_each(link, &gateway->all_calls) {
		struct call *call = list_object(link, struct call, in_all);

		if (!call_map(&map, before, call))
			call_free(call); /* ending already; its last answers find no dialog */
	}
	list_each(link, &gateway->all_subscriptions) {
		struct subscription *subscription = list_object(link, struct subscription, in_all);

		if (!subscription_map(&map, before, subscription))
			subscription_forget(subscription, 503); /* what waited was answered above */
	}
	list_each(link, &gateway->all_relays)
		relay_map(&map, before, list_object(link, struct relay, in_all));
	list_each(link, &gateway->all_tombstones)
		tombstone_map(&visit, tombstone_of_link(link));
	trunks_zones_map(gateway, map.to);
	transfers_map(gateway, map.to);
	servers_configure(gateway, map.to);
	table_each(gateway->bindings, binding_map, &visit);
	net_zones_map(gateway_net(gateway), map.to);
}
