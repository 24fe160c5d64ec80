/* SPDX-License-Identifier: Apache-2.0
 * Private: what concerns more than one key. Rules are rows of one table (rules.c), which the reference shows too. */
#ifndef RINGWALL_CONFIG_RULES_H
#define RINGWALL_CONFIG_RULES_H

#include "config/values.h"

/* Of one zone whose kind and place in the document are known. */
typedef void rule_zone(struct reader *reader, const struct config_zone *zone, struct node *node);
rule_zone rule_peers_by_kind, rule_authentication, rule_access_open, rule_access_keys, rule_peer_keys,
	rule_peer_reachable, rule_media_address, rule_register, rule_profile, rule_client_certificate, rule_websocket,
	rule_registrations, rule_risks_needed, rule_verify;

/* Of the whole (rules_between.c). */
typedef void rule_whole(struct reader *reader);
rule_whole rule_zone_names, rule_listeners_apart, rule_peers_not_us, rule_ports_apart, rule_routes, rule_limits,
	rule_protection;

/* Whether the value at `path` of the zone was understood, with all its items: only then a rule may speak about it. */
bool zone_is_sound(const struct node *zone, const char *path);

const char *zone_label(const struct config_zone *zone); /* its name, as errors call it */
bool zone_has_transport(const struct config_zone *zone, enum transport transport);
bool zone_is_reachable(const struct config_zone *zone); /* beyond loopback */

#endif
