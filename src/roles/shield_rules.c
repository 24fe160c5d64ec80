/* SPDX-License-Identifier: Apache-2.0
 * The shield's rules, from the configuration. */
#include "roles/shield_rules.h"

#include <errno.h>

#include "base/memory.h"

static uint8_t bits_of(const struct address *address)
{
	return address->family == ADDRESS_IPV4 ? 32 : 128;
}

static bool peers_are_known(const struct config_zone *zone)
{
	for (uint8_t i = 0; i < zone->peer_count; i++)
		if (zone->peers[i].address.family == ADDRESS_NONE)
			return false;
	return zone->peer_count != 0;
}

static void listener_add(struct shield_ruleset *set, const struct config_zone *zone, uint8_t number,
			 const struct config_listener *listener)
{
	bool is_udp = listener->transport == TRANSPORT_UDP, peers_only = zone->kind != ZONE_ACCESS;

	if ((peers_only && !peers_are_known(zone)) || set->rules.listener_count == SHIELD_LISTENERS_MAXIMUM)
		return;
	set->listeners[set->rules.listener_count] = (struct bpf_shield_listener){
		.local = listener->address, .zone = number, .tcp = !is_udp, .peers_only = peers_only, .sip = is_udp};
	if (address_is_any(&listener->address)) /* one form for both: all zeros */
		memset(set->listeners[set->rules.listener_count].local.ip, 0, sizeof(listener->address.ip));
	set->rules.listener_count++;
}

static void peer_add(struct shield_ruleset *set, uint8_t number, const struct address *address)
{
	struct address ip = *address;

	ip.port = 0;
	if (ip.family == ADDRESS_NONE || set->rules.peer_count == SHIELD_PEERS_MAXIMUM)
		return;
	set->never[set->rules.peer_count] = (struct shield_prefix){ip, bits_of(&ip)};
	set->peers[set->rules.peer_count++] = (struct bpf_shield_peer){ip, bits_of(&ip), number};
}

static void range_add(struct shield_ruleset *set, const struct config_zone *zone, const struct address *address)
{
	if (address->family == ADDRESS_NONE || address_is_any(address) ||
	    set->rules.range_count == SHIELD_RANGES_MAXIMUM)
		return;
	set->ranges[set->rules.range_count++] =
		(struct bpf_shield_range){*address, zone->media.port_low, zone->media.port_high};
}

static void zone_add(struct shield_ruleset *set, const struct config_zone *zone, uint8_t number)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		listener_add(set, zone, number, &zone->listeners[i]);
	for (uint8_t i = 0; i < zone->peer_count; i++)
		peer_add(set, number, &zone->peers[i].address);
	range_add(set, zone, &zone->media.address);
	range_add(set, zone, &zone->media.address_other);
}

int shield_rules_make(const struct config *config, struct shield_ruleset *out)
{
	*out = (struct shield_ruleset){
		.listeners = memory_alloc(SHIELD_LISTENERS_MAXIMUM * sizeof(*out->listeners)),
		.peers = memory_alloc(SHIELD_PEERS_MAXIMUM * sizeof(*out->peers)),
		.ranges = memory_alloc(SHIELD_RANGES_MAXIMUM * sizeof(*out->ranges)),
		.never = memory_alloc(SHIELD_PEERS_MAXIMUM * sizeof(*out->never)),
	};
	if (!out->listeners || !out->peers || !out->ranges || !out->never) {
		shield_rules_free(out);
		return -ENOMEM;
	}
	for (uint8_t i = 0; i < config->zone_count; i++)
		zone_add(out, &config->zones[i], i);
	out->rules.listeners = out->listeners;
	out->rules.peers = out->peers;
	out->rules.ranges = out->ranges;
	return 0;
}

void shield_rules_free(struct shield_ruleset *set)
{
	memory_free(set->listeners);
	memory_free(set->peers);
	memory_free(set->ranges);
	memory_free(set->never);
	*set = (struct shield_ruleset){0};
}
