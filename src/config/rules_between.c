/* SPDX-License-Identifier: Apache-2.0
 * Rules between zones, routes and limits. */
#include <string.h>

#include "config/rules.h"

void rule_zone_names(struct reader *reader)
{
	const struct config *config = reader->config;

	for (uint8_t i = 1; i < config->zone_count; i++) {
		for (uint8_t j = 0; j < i; j++) {
			if (!config->zones[i].name || !config->zones[j].name ||
			    strcmp(config->zones[i].name, config->zones[j].name) != 0)
				continue;
			reader_error_line(reader, reader_line(reader_zone_node(reader, i), "name"), "zones.name",
					  "\"%s\" is the name of the zone in line %u already; write another",
					  config->zones[i].name,
					  (unsigned)reader_line(reader_zone_node(reader, j), "name"));
			break;
		}
	}
}

/* ---- Listeners ------------------------------------------------------------------------ */

/* One listener with the way back to where it is written. */
struct place {
	uint8_t zone, index;
};

static const struct config_listener *place_listener(const struct reader *reader, struct place place)
{
	return &reader->config->zones[place.zone].listeners[place.index];
}

static uint32_t place_line(const struct reader *reader, struct place place)
{
	const struct node *item = node_item(node_at(reader_zone_node(reader, place.zone), "listen"), place.index);

	return item ? item->line : 1;
}

/* The next place after `place`; false at the end. Start with {0, UINT8_MAX}. */
static bool place_next(const struct reader *reader, struct place *place)
{
	const struct config *config = reader->config;

	place->index++;
	while (place->zone < config->zone_count && place->index >= config->zones[place->zone].listener_count) {
		place->zone++;
		place->index = 0;
	}
	return place->zone < config->zone_count;
}

/* tcp, tls, ws and wss all hold a TCP port. An any-address holds every address of its IP version. */
static bool listeners_collide(const struct config_listener *a, const struct config_listener *b)
{
	if (!a->address.family || a->address.family != b->address.family || a->address.port != b->address.port)
		return false;
	if ((a->transport == TRANSPORT_UDP) != (b->transport == TRANSPORT_UDP))
		return false;
	return address_is_any(&a->address) || address_is_any(&b->address) || address_equal_ip(&a->address, &b->address);
}

void rule_listeners_apart(struct reader *reader)
{
	for (struct place later = {0, UINT8_MAX}; place_next(reader, &later);) {
		for (struct place first = {0, UINT8_MAX}; place_next(reader, &first);) {
			const struct config_listener *one = place_listener(reader, first);
			const struct config_listener *other = place_listener(reader, later);

			if (one == other)
				break;
			if (!one->text || !other->text || !listeners_collide(one, other))
				continue;
			reader_error_line(reader, place_line(reader, later), "zones.listen",
					  "\"%.80s\" is on the same port as \"%.80s\" in line %u; give one of them "
					  "another port or "
					  "address",
					  other->text, one->text, (unsigned)place_line(reader, first));
			break;
		}
	}
}

static void peer_not_us(struct reader *reader, const struct config_peer *peer)
{
	for (struct place place = {0, UINT8_MAX}; place_next(reader, &place);) {
		const struct config_listener *listener = place_listener(reader, place);

		if (listener->transport != peer->transport || !address_equal(&listener->address, &peer->address))
			continue;
		reader_error_line(reader, peer->line, "zones.peers",
				  "\"%.80s\" is this gateway itself (listener in line %u), a loop; write the other "
				  "side's address",
				  peer->text, (unsigned)place_line(reader, place));
		return;
	}
}

void rule_peers_not_us(struct reader *reader)
{
	const struct config *config = reader->config;

	for (uint8_t i = 0; i < config->zone_count; i++)
		for (uint8_t j = 0; j < config->zones[i].peer_count; j++)
			if (config->zones[i].peers[j].text && config->zones[i].peers[j].address.family)
				peer_not_us(reader, &config->zones[i].peers[j]);
}

/* ---- Media ports ---------------------------------------------------------------------- */

static bool media_is_on(const struct config_zone *zone, const struct address *address)
{
	return address->family && (address_equal_ip(&zone->media.address, address) ||
				   address_equal_ip(&zone->media.address_other, address));
}

static bool media_is_shared(const struct config_zone *zone, const struct config_zone *other)
{
	return media_is_on(zone, &other->media.address) || media_is_on(zone, &other->media.address_other);
}

static void ports_against_zone(struct reader *reader, uint8_t index, uint8_t before)
{
	const struct config_zone *zone = &reader->config->zones[index], *other = &reader->config->zones[before];

	if (!zone->media.port_high || !other->media.port_high || !media_is_shared(zone, other))
		return;
	if (zone->media.port_low == other->media.port_low && zone->media.port_high == other->media.port_high)
		return; /* shared */
	if (zone->media.port_low > other->media.port_high || other->media.port_low > zone->media.port_high)
		return;
	reader_error_line(
		reader, reader_line(reader_zone_node(reader, index), "media.ports"), "zones.media.ports",
		"%u-%u overlaps %u-%u in line %u on the same address; write the same range or one apart from it",
		(unsigned)zone->media.port_low, (unsigned)zone->media.port_high, (unsigned)other->media.port_low,
		(unsigned)other->media.port_high,
		(unsigned)reader_line(reader_zone_node(reader, before), "media.ports"));
}

static void ports_against_listeners(struct reader *reader, uint8_t index)
{
	const struct config_zone *zone = &reader->config->zones[index];

	for (struct place place = {0, UINT8_MAX}; place_next(reader, &place);) {
		const struct config_listener *listener = place_listener(reader, place);

		if (listener->transport != TRANSPORT_UDP || listener->address.port < zone->media.port_low ||
		    listener->address.port > zone->media.port_high)
			continue;
		if (!media_is_on(zone, &listener->address) &&
		    !(address_is_any(&listener->address) &&
		      config_media_address(zone, listener->address.family)->family == listener->address.family))
			continue;
		reader_error_line(reader, reader_line(reader_zone_node(reader, index), "media.ports"),
				  "zones.media.ports",
				  "%u-%u holds the port of \"%.80s\" in line %u; write a range without it",
				  (unsigned)zone->media.port_low, (unsigned)zone->media.port_high, listener->text,
				  (unsigned)place_line(reader, place));
	}
}

void rule_ports_apart(struct reader *reader)
{
	for (uint8_t i = 0; i < reader->config->zone_count; i++) {
		for (uint8_t j = 0; j < i; j++)
			ports_against_zone(reader, i, j);
		if (reader->config->zones[i].media.port_high)
			ports_against_listeners(reader, i);
	}
}

/* ---- Routes --------------------------------------------------------------------------- */

static bool route_is_sound(const struct node *node)
{
	const struct node *from = node_at(node, "from"), *to = node_at(node, "to"), *when = node_at(node, "when");

	return from && !from->faulty && to && !to->faulty && (!when || !when->faulty);
}

/* Whether everything `route` matches was taken by `before`. */
static bool route_covers(const struct config_route *before, const struct config_route *route)
{
	if (before->from != route->from || before->numbers || before->callers || before->hours_count)
		return false;
	return before->when == ROUTE_ALWAYS || (before->when == route->when && before->to == route->to);
}

static void route_check(struct reader *reader, uint16_t index)
{
	const struct config *config = reader->config;
	const struct config_route *route = &config->routes[index];
	const struct node *node = reader_route_node(reader, index);

	if (route->when == ROUTE_REGISTERED && config->zones[route->to].kind != ZONE_ACCESS)
		reader_error_line(
			reader, reader_line(node, "when"), "routes.when",
			"nobody registers in zone %s, which is %s; write when: always, or a route to an access zone",
			zone_label(&config->zones[route->to]), zone_kind_name(config->zones[route->to].kind));
	if (route->share_count && route->share_count != 1 + route->further_count)
		reader_error_line(reader, reader_line(node, "share"), "routes.share",
				  "has %u numbers for %u zones of `to`; write one for each",
				  (unsigned)route->share_count, 1u + route->further_count);
	for (uint8_t i = 0; route->further_count && i <= route->further_count; i++) {
		const struct config_zone *zone = &config->zones[i ? route->further[i - 1] : route->to];

		if (zone->kind == ZONE_ACCESS)
			reader_error_line(
				reader, reader_line(node, "to"), "routes.to",
				"%s is an access zone, which is no server to fail over to; write core and trunk zones",
				zone_label(zone));
	}
	for (uint16_t i = 0; i < index; i++) {
		const struct node *before = reader_route_node(reader, i);

		if (!route_is_sound(before) || !route_covers(&config->routes[i], route))
			continue;
		reader_error_line(
			reader, node->line, "routes",
			"this route from %s is never reached, the one in line %u takes all; remove it or put it before",
			zone_label(&config->zones[route->from]), (unsigned)before->line);
		return;
	}
}

/* A zone whose callers the PBX is to challenge needs a way to a PBX. */
static void relay_check(struct reader *reader, uint8_t zone)
{
	const struct config *config = reader->config;

	if (!zone_is_sound(reader_zone_node(reader, zone), "kind") || config->zones[zone].kind != ZONE_ACCESS ||
	    config->zones[zone].authentication != AUTHENTICATION_RELAY)
		return;
	for (uint16_t i = 0; i < config->route_count; i++)
		if (config->routes[i].from == zone && config->zones[config->routes[i].to].kind != ZONE_ACCESS)
			return;
	reader_note(reader, reader_line(reader_zone_node(reader, zone), "authentication"), "zones.authentication",
		    "relay lets the PBX ask for passwords, and no route leads from zone %s to one: nobody can register",
		    zone_label(&config->zones[zone]));
}

void rule_routes(struct reader *reader)
{
	const struct config *config = reader->config;

	for (uint16_t i = 0; i < config->route_count; i++)
		if (route_is_sound(reader_route_node(reader, i)) && config->zone_count)
			route_check(reader, i);
	for (uint8_t i = 0; i < config->zone_count; i++)
		relay_check(reader, i);
	if (!config->route_count)
		reader_note(reader, reader_line(reader->root, "routes"), "routes",
			    "there are none, so no call can pass");
}

/* ---- Limits --------------------------------------------------------------------------- */

void rule_limits(struct reader *reader)
{
	const struct config *config = reader->config;
	const struct {
		const char *part, *whole;
		uint32_t part_value, whole_value;
	} pairs[] = {
		{"limits.connections_per_source", "limits.connections", config->limits.connections_per_source,
		 config->limits.connections},
		{"limits.handshakes", "limits.connections", config->limits.handshakes, config->limits.connections},
		{"limits.body_bytes", "limits.message_bytes", config->limits.body_bytes, config->limits.message_bytes},
		{"limits.line_bytes", "limits.message_bytes", config->limits.line_bytes, config->limits.message_bytes},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (!pairs[i].whole_value || pairs[i].part_value <= pairs[i].whole_value)
			continue;
		reader_error_line(reader, reader_line(reader->root, pairs[i].part), pairs[i].part,
				  "is %u, more than %s, which is %u; write no more than that",
				  (unsigned)pairs[i].part_value, pairs[i].whole, (unsigned)pairs[i].whole_value);
	}
}

void rule_protection(struct reader *reader)
{
	const struct protection *protection = &reader->config->protection;

	if (protection->expiry.maximum_s && protection->expiry.maximum_s < protection->expiry.first_s)
		reader_error_line(
			reader, reader_line(reader->root, "protection.duration.maximum"), "protection.duration.maximum",
			"is %u seconds, less than protection.duration.first, which is %u; write at least that",
			(unsigned)protection->expiry.maximum_s, (unsigned)protection->expiry.first_s);
}
