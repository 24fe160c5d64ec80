/* SPDX-License-Identifier: Apache-2.0
 * The table of rules: combinations of keys that would be unsafe or could not work. */
#include "config/rules.h"

#include <stdio.h>

static const struct {
	rule_zone *zone;
	rule_whole *whole;
	const char *help; /* NULL: gives notes only */
} rules[] = {
	{.whole = rule_zone_names, .help = "Two zones have one name."},
	{.zone = rule_peers_by_kind,
	 .help = "A core or trunk zone has no `peers` (nobody could speak, or everybody), or an access zone has some."},
	{.zone = rule_authentication,
	 .help = "`authentication` other than none on a core or trunk zone; `digest` without `authentication: "
		 "local`."},
	{.zone = rule_access_open,
	 .help = "On an access zone that listens on more than loopback: `media.encryption: none` or `authentication: "
		 "none` "
		 "without the word for it in `accept_risks`."},
	{.zone = rule_access_keys,
	 .help = "Encryption `required` or `offered` on an access zone without a tls or wss listener: keys travel only "
		 "over "
		 "TLS, so "
		 "no call could be encrypted."},
	{.zone = rule_peer_keys,
	 .help = "Encryption `required` toward a peer that is not reached over TLS: its keys would be sent in the "
		 "clear."},
	{.zone = rule_peer_reachable,
	 .help = "A peer with a transport or an IP version for which its zone has no listener: it could not reach us."},
	{.whole = rule_peers_not_us, .help = "A peer that is a listener of this gateway: a loop."},
	{.zone = rule_media_address,
	 .help = "Media on an any-address or multicast address: SDP needs one that can be sent to. `advertised` of the "
		 "other "
		 "IP version."},
	{.whole = rule_listeners_apart,
	 .help = "Two listeners on one address and port (any-addresses hold all; tcp and tls are one)."},
	{.whole = rule_ports_apart,
	 .help = "Media port ranges of two zones that overlap on one address without being the same, or that hold the "
		 "port of "
		 "a UDP listener."},
	{.zone = rule_profile,
	 .help = "`profile` or `repairs` on an access zone; a peer of profile teams that is not reached over TLS, or "
		 "of lync "
		 "over UDP."},
	{.zone = rule_client_certificate,
	 .help = "`client_certificate` or `authorities` on an access zone; `client_certificate` without a tls "
		 "listener, or "
		 "`require` beside listeners that are not tls."},
	{.zone = rule_register, .help = "`register` on a zone that is no trunk."},
	{.zone = rule_websocket,
	 .help = "A ws listener on more than loopback (wss is encrypted); ws or wss on a core or trunk zone; "
		 "`websocket` "
		 "without such a listener."},
	{.zone = rule_registrations,
	 .help = "`registrar_expires` shorter than what phones are told; on streams, `expires` not shorter than "
		 "`limits.idle_timeout`."},
	{.whole = rule_routes,
	 .help = "A route that is never reached because one before it takes everything; `when: registered` toward a "
		 "zone that "
		 "is not access."},
	{.whole = rule_limits, .help = "A limit on a part that is larger than the limit on the whole."},
	{.whole = rule_protection, .help = "`protection.duration.maximum` shorter than `first`."},
	{.zone = rule_risks_needed},
	{.zone = rule_verify},
};
#define RULES_COUNT (sizeof(rules) / sizeof(rules[0]))

bool zone_is_sound(const struct node *zone, const char *path)
{
	const struct node *node = node_at(zone, path);
	const struct config_key *key;
	char whole[64];

	if (!node) {
		snprintf(whole, sizeof(whole), "zones.%s", path);
		key = keys_find(span_from(whole));
		return key && !(key->flags & KEY_MANDATORY);
	}
	for (const struct node *item = node->children; item; item = item->next)
		if (item->faulty)
			return false;
	return !node->faulty;
}

const char *zone_label(const struct config_zone *zone)
{
	return zone->name ? zone->name : "(without a name)";
}

bool zone_has_transport(const struct config_zone *zone, enum transport transport)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->listeners[i].transport == transport)
			return true;
	return false;
}

bool zone_is_reachable(const struct config_zone *zone)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->listeners[i].address.family && !address_is_loopback(&zone->listeners[i].address))
			return true;
	return false;
}

void rules_check(struct reader *reader)
{
	const struct config *config = reader->config;

	for (size_t i = 0; i < RULES_COUNT; i++) {
		if (rules[i].whole) {
			rules[i].whole(reader);
			continue;
		}
		for (uint8_t j = 0; j < config->zone_count; j++) {
			struct node *node = reader_zone_node(reader, j);

			if (zone_is_sound(node, "kind"))
				rules[i].zone(reader, &config->zones[j], node);
		}
	}
}

void rules_write(struct buffer *out)
{
	for (size_t i = 0; i < RULES_COUNT; i++)
		if (rules[i].help)
			buffer_printf(out, "- %s\n", rules[i].help);
}
