/* SPDX-License-Identifier: Apache-2.0
 * Rules within one zone: what is unsafe, cannot work, or will not do what its owner may expect. */
#include "config/rules.h"

void rule_peers_by_kind(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	const struct node *peers = node_at(node, "peers");

	if (zone->kind == ZONE_ACCESS && peers)
		reader_error_line(reader, peers->line, "zones.peers",
				  "zone %s is access, where anybody may call who authenticates; remove the peers, or "
				  "make it core "
				  "or trunk",
				  zone_label(zone));
	if (zone->kind != ZONE_ACCESS && !peers)
		reader_error_line(
			reader, node->line, "zones.peers",
			"zone %s is %s and has none, so nobody could be trusted there; write who is on its other "
			"side, such as [\"sip:10.0.0.10:5060;transport=udp\"]",
			zone_label(zone), zone_kind_name(zone->kind));
}

void rule_authentication(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	if (!zone_is_sound(node, "authentication"))
		return;
	if (zone->kind != ZONE_ACCESS && zone->authentication != AUTHENTICATION_NONE)
		reader_error_line(reader, reader_line(node, "authentication"), "zones.authentication",
				  "zone %s is %s, where peers are known by their address; remove it", zone_label(zone),
				  zone_kind_name(zone->kind));
	if (zone->digest != DIGEST_SHA256 && zone->authentication != AUTHENTICATION_LOCAL)
		reader_error_line(reader, reader_line(node, "digest"), "zones.digest",
				  "does nothing unless the gateway itself asks for passwords; remove it, or write "
				  "authentication: local");
}

void rule_access_open(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	if (zone->kind != ZONE_ACCESS || !zone_is_reachable(zone))
		return;
	if (zone->media.encryption == ENCRYPTION_NONE && zone_is_sound(node, "media.encryption") &&
	    !(zone->accept_risks & 1u << RISK_UNENCRYPTED_MEDIA))
		reader_error_line(
			reader, reader_line(node, "media.encryption"), "zones.media.encryption",
			"none lets anybody on the way listen to the calls of zone %s; write required or offered, or "
			"acknowledge it in the zone with accept_risks: [unencrypted_media]",
			zone_label(zone));
	if (zone->authentication == AUTHENTICATION_NONE && zone_is_sound(node, "authentication") &&
	    !(zone->accept_risks & 1u << RISK_UNAUTHENTICATED_CALLS))
		reader_error_line(
			reader, reader_line(node, "authentication"), "zones.authentication",
			"none lets anybody call through zone %s, at your cost; write relay or local, or acknowledge it "
			"in the zone with accept_risks: [unauthenticated_calls]",
			zone_label(zone));
}

void rule_access_keys(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	if (zone->kind != ZONE_ACCESS || zone->media.encryption == ENCRYPTION_NONE ||
	    !zone_is_sound(node, "media.encryption") || !zone_is_sound(node, "listen") ||
	    zone_has_transport(zone, TRANSPORT_TLS) || zone_has_transport(zone, TRANSPORT_WSS))
		return;
	reader_error_line(
		reader, reader_line(node, "media.encryption"), "zones.media.encryption",
		"is %s, but zone %s has no tls listener and keys travel only over TLS; add one to listen, such as "
		"\"tls:ADDRESS:5061\"",
		zone_encryption_name(zone->media.encryption), zone_label(zone));
}

void rule_peer_keys(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	if (zone->kind == ZONE_ACCESS || zone->media.encryption == ENCRYPTION_NONE ||
	    !zone_is_sound(node, "media.encryption"))
		return;
	for (uint8_t i = 0; i < zone->peer_count; i++) {
		const struct config_peer *peer = &zone->peers[i];

		if (!peer->text || transport_is_secure(peer->transport))
			continue;
		if (zone->media.encryption == ENCRYPTION_REQUIRED)
			reader_error_line(
				reader, peer->line, "zones.peers",
				"\"%.80s\" is reached over %s, so the keys of required encryption would be sent in the "
				"clear; write transport=tls, or media.encryption: offered or none",
				peer->text, transport_name(peer->transport));
		else
			reader_note(reader, peer->line, "zones.peers",
				    "\"%.80s\" is reached over %s, so calls with it are never encrypted, although it "
				    "is offered",
				    peer->text, transport_name(peer->transport));
	}
}

static bool zone_has_way(const struct config_zone *zone, const struct config_peer *peer)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->listeners[i].transport == peer->transport &&
		    (!peer->address.family || peer->address.family == zone->listeners[i].address.family))
			return true;
	return false;
}

void rule_peer_reachable(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	if (zone->kind == ZONE_ACCESS || !zone_is_sound(node, "listen"))
		return;
	for (uint8_t i = 0; i < zone->peer_count; i++) {
		const struct config_peer *peer = &zone->peers[i];
		const char *version = peer->address.family == ADDRESS_IPV6   ? "IPv6 "
				      : peer->address.family == ADDRESS_IPV4 ? "IPv4 "
									     : "";

		if (peer->text && !zone_has_way(zone, peer))
			reader_error_line(
				reader, peer->line, "zones.peers",
				"\"%.80s\" needs a %s listener on an %saddress, so that it can reach us; add one to "
				"listen of zone %s, or change the transport",
				peer->text, transport_name(peer->transport), version, zone_label(zone));
	}
}

static bool is_one_machine(const struct address *address)
{
	return !address->family || (!address_is_any(address) && !address_is_multicast(address));
}

static bool has_family(const struct config_zone *zone, uint8_t family)
{
	return zone->media.address.family == family || zone->media.address_other.family == family;
}

/* Who signals over an IP version on which the zone has no media hears nothing. */
static void note_missing_family(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	for (uint8_t i = 0; i < zone->listener_count; i++) {
		uint8_t family = zone->listeners[i].address.family;

		if (!family || has_family(zone, family))
			continue;
		reader_note(reader, reader_line(node, "media.address"), "zones.media.address",
			    "has no IPv%u address, and \"%.80s\" listens on one: calls from there have no media; write "
			    "two, such "
			    "as [203.0.113.7, \"2001:db8::7\"]",
			    (unsigned)family, zone->listeners[i].text ? zone->listeners[i].text : "");
		return;
	}
}

void rule_media_address(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	const struct address *advertised = &zone->media.advertised_address, *other = &zone->media.advertised_other;
	bool is_written = node_at(node, "media.address") != NULL;
	uint32_t line = reader_line(node, "media.address");

	if (!zone_is_sound(node, "media.address") || !zone->media.address.family)
		return;
	if (!is_one_machine(&zone->media.address) || !is_one_machine(&zone->media.address_other))
		reader_error_line(
			reader, line, "zones.media.address",
			"%s, and SDP needs one that can be sent to; write this machine's address (and behind a NAT the "
			"public one as media.advertised)",
			is_written ? "is not the address of one machine"
				   : "is not written, and the first listener has an any-address");
	else if (zone_is_sound(node, "listen"))
		note_missing_family(reader, zone, node);
	line = reader_line(node, "media.advertised");
	if (!advertised->family || !zone_is_sound(node, "media.advertised"))
		return;
	if (!is_one_machine(advertised) || !is_one_machine(other))
		reader_error_line(reader, line, "zones.media.advertised",
				  "is not the address of one machine; write the public address of the NAT");
	else if (!has_family(zone, advertised->family) || (other->family && !has_family(zone, other->family)))
		reader_error_line(
			reader, line, "zones.media.advertised",
			"is not of the same IP version as media.address; write the address that stands for that one");
}

void rule_client_certificate(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	bool asks = zone->client_certificate != CLIENT_CERTIFICATE_NONE;

	if (zone->kind == ZONE_ACCESS && (asks || zone->authorities))
		reader_error_line(reader, reader_line(node, asks ? "client_certificate" : "authorities"),
				  asks ? "zones.client_certificate" : "zones.authorities",
				  "is for core and trunk zones, whose peers are known by name, and zone %s is access; "
				  "remove it",
				  zone_label(zone));
	if (zone->kind == ZONE_ACCESS || !asks || !zone_is_sound(node, "listen"))
		return;
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->client_certificate == CLIENT_CERTIFICATE_REQUIRE && zone->listeners[i].text &&
		    !transport_is_secure(zone->listeners[i].transport)) {
			reader_error_line(reader, reader_line(node, "client_certificate"), "zones.client_certificate",
					  "is require, and over \"%.80s\" nobody can show one; make all listeners of "
					  "zone %s tls, or write ask",
					  zone->listeners[i].text, zone_label(zone));
			return;
		}
	if (!zone_has_transport(zone, TRANSPORT_TLS))
		reader_error_line(reader, reader_line(node, "client_certificate"), "zones.client_certificate",
				  "does nothing, as zone %s has no tls listener; add one, or remove it",
				  zone_label(zone));
}

void rule_profile(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	bool microsoft = zone->profile == PROFILE_TEAMS || zone->profile == PROFILE_LYNC;

	if (zone->kind == ZONE_ACCESS && (zone->profile || zone->repairs)) {
		const char *key = zone->profile ? "profile" : "repairs";

		reader_error_line(reader, reader_line(node, key), zone->profile ? "zones.profile" : "zones.repairs",
				  "is for core and trunk zones, which have peers of one kind, and zone %s is access; "
				  "remove it",
				  zone_label(zone));
		return;
	}
	for (uint8_t i = 0; microsoft && i < zone->peer_count; i++) {
		const struct config_peer *peer = &zone->peers[i];
		bool speaks = transport_is_secure(peer->transport) ||
			      (zone->profile == PROFILE_LYNC && peer->transport == TRANSPORT_TCP);

		if (peer->text && !speaks)
			reader_error_line(reader, peer->line, "zones.peers",
					  "\"%.80s\" is reached over %s, and a peer of profile %s speaks %s; write "
					  "transport=tls",
					  peer->text, transport_name(peer->transport), words_profile[zone->profile],
					  zone->profile == PROFILE_LYNC ? "TLS or TCP alone" : "TLS alone");
	}
}

void rule_register(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	const struct node *section = node_at(node, "register");

	if (!section)
		return;
	if (zone->kind != ZONE_TRUNK)
		reader_error_line(reader, section->line, "zones.register",
				  "is for trunks, and zone %s is %s; remove it", zone_label(zone),
				  zone_kind_name(zone->kind));
}

static bool has_websocket(const struct config_zone *zone)
{
	return zone_has_transport(zone, TRANSPORT_WS) || zone_has_transport(zone, TRANSPORT_WSS);
}

void rule_websocket(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	const struct node *section = node_at(node, "websocket"), *listen = node_at(node, "listen");

	if (!zone_is_sound(node, "listen"))
		return;
	for (uint8_t i = 0; i < zone->listener_count; i++) {
		const struct config_listener *listener = &zone->listeners[i];
		const struct node *item = node_item(listen, i);

		if (!listener->text || !transport_is_websocket(listener->transport))
			continue;
		if (zone->kind != ZONE_ACCESS)
			reader_error_line(
				reader, item ? item->line : 1, "zones.listen",
				"\"%.80s\" is for browsers, and zone %s is %s, whose peers have none; remove it",
				listener->text, zone_label(zone), zone_kind_name(zone->kind));
		else if (listener->transport == TRANSPORT_WS && !address_is_loopback(&listener->address))
			reader_error_line(
				reader, item ? item->line : 1, "zones.listen",
				"\"%.80s\" is not encrypted, which is for loopback alone; write wss:", listener->text);
	}
	if (section && !has_websocket(zone))
		reader_error_line(reader, section->line, "zones.websocket",
				  "does nothing, as zone %s has no wss listener; add one, or remove it",
				  zone_label(zone));
}

void rule_registrations(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	uint32_t streams_s = zone->bindings.expires_s, udp_s = zone->bindings.expires_udp_s;
	uint32_t registrar_s = zone->bindings.registrar_expires_s, idle_ms = reader->config->limits.idle_ms;

	if (zone->kind != ZONE_ACCESS)
		return;
	if (zone_is_sound(node, "registrations.registrar_expires") && zone_is_sound(node, "registrations.expires") &&
	    zone_is_sound(node, "registrations.expires_udp") && (registrar_s < streams_s || registrar_s < udp_s))
		reader_error_line(
			reader, reader_line(node, "registrations.registrar_expires"),
			"zones.registrations.registrar_expires",
			"is %u s, shorter than what phones of zone %s are told, so the PBX would forget them; write at "
			"least %us",
			(unsigned)registrar_s, zone_label(zone), (unsigned)(streams_s > udp_s ? streams_s : udp_s));
	if (zone_is_sound(node, "registrations.expires") && idle_ms && (uint64_t)streams_s * 1000 >= idle_ms &&
	    (zone_has_transport(zone, TRANSPORT_TCP) || zone_has_transport(zone, TRANSPORT_TLS) || has_websocket(zone)))
		reader_error_line(reader, reader_line(node, "registrations.expires"), "zones.registrations.expires",
				  "is %u s, and a connection idle for %u s (limits.idle_timeout) is closed: a "
				  "registered phone could "
				  "not be called; write less, or a longer limits.idle_timeout",
				  (unsigned)streams_s, (unsigned)(idle_ms / 1000));
}

void rule_risks_needed(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	bool is_open = zone->kind == ZONE_ACCESS && zone_is_reachable(zone);
	const uint32_t needed =
		(is_open && zone->media.encryption == ENCRYPTION_NONE ? 1u << RISK_UNENCRYPTED_MEDIA : 0) |
		(is_open && zone->authentication == AUTHENTICATION_NONE ? 1u << RISK_UNAUTHENTICATED_CALLS : 0);

	for (int risk = 0; words_risks[risk]; risk++)
		if (zone->accept_risks & ~needed & 1u << risk)
			reader_note(reader, reader_line(node, "accept_risks"), "zones.accept_risks",
				    "%s is accepted and not needed in zone %s; better remove it", words_risks[risk],
				    zone_label(zone));
}

void rule_verify(struct reader *reader, const struct config_zone *zone, struct node *node)
{
	for (uint8_t i = 0; i < zone->peer_count && !zone->verify; i++) {
		const struct config_peer *peer = &zone->peers[i];

		if (!peer->text || !transport_is_secure(peer->transport) || address_is_loopback(&peer->address))
			continue;
		reader_note(
			reader, reader_line(node, "verify"), "zones.verify",
			"certificates of the peers of zone %s are not checked: whoever is on the way can pose as them",
			zone_label(zone));
		return;
	}
}
