/* SPDX-License-Identifier: Apache-2.0
 * The snapshot itself: names, who may speak, looking peers up, and its end. */
#include "config/config.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "base/memory.h"
#include "config/errors.h"
#include "config/keys.h"

const char *zone_kind_name(enum zone_kind kind)
{
	return words_zone_kind[kind];
}

const char *zone_encryption_name(enum zone_encryption encryption)
{
	return words_encryption[encryption];
}

static void zone_clear(struct config_zone *zone)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		memory_free(zone->listeners[i].text);
	for (uint8_t i = 0; i < zone->peer_count; i++) {
		memory_free(zone->peers[i].text);
		memory_free(zone->peers[i].host);
	}
	memory_free(zone->listeners);
	memory_free(zone->peers);
	memory_free(zone->name);
	memory_free(zone->domain);
	memory_free(zone->authorities);
	memory_free(zone->media.advertised);
	memory_free(zone->registration.user);
	memory_free(zone->registration.password_file);
	memory_free(zone->registration.login);
	memory_free(zone->registration.realm);
}

static void texts_free(char **texts)
{
	for (char **text = texts; text && *text; text++)
		memory_free(*text);
	memory_free(texts);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (uint8_t i = 0; i < config->zone_count; i++)
		zone_clear(&config->zones[i]);
	texts_free(config->site.emergency);
	memory_free(config->site.domain);
	memory_free(config->site.country);
	memory_free(config->state_directory);
	memory_free(config->user);
	memory_free(config->tls.certificate);
	memory_free(config->tls.key);
	memory_free(config->tls.authorities);
	memory_free(config->zones);
	for (uint16_t i = 0; i < config->route_count; i++) {
		texts_free(config->routes[i].numbers);
		texts_free(config->routes[i].callers);
	}
	for (uint16_t i = 0; i < config->rewrite_count; i++) {
		memory_free(config->rewrites[i].match);
		memory_free(config->rewrites[i].prepend);
	}
	memory_free(config->rewrites);
	memory_free(config->routes);
	memory_free(config->file);
	memory_free(config);
}

bool config_zone_admits(const struct config_zone *zone, const struct address *source)
{
	if (zone->kind == ZONE_ACCESS)
		return true;
	for (uint8_t i = 0; i < zone->peer_count; i++) {
		const struct config_peer *peer = &zone->peers[i];

		if (peer->address.family && address_equal_ip(&peer->address, source))
			return true;
		for (uint8_t j = 0; j < peer->further_count; j++)
			if (address_equal_ip(&peer->further[j], source))
				return true;
	}
	return false;
}

/* Whether the zone has a listener from which the peer can be reached. */
static bool zone_reaches(const struct config_zone *zone, const struct config_peer *peer, const struct address *address)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->listeners[i].transport == peer->transport &&
		    zone->listeners[i].address.family == address->family)
			return true;
	return false;
}

static bool peer_knows(const struct config_peer *peer, const struct address *address)
{
	if (peer->address.family && address_equal_ip(&peer->address, address))
		return true;
	for (uint8_t i = 0; i < peer->further_count; i++)
		if (address_equal_ip(&peer->further[i], address))
			return true;
	return false;
}

static void peer_take(const struct config_zone *zone, struct config_peer *peer, const struct addrinfo *found)
{
	for (; found; found = found->ai_next) {
		struct address address;

		if (address_from_sockaddr(found->ai_addr, &address) || !zone_reaches(zone, peer, &address) ||
		    address_is_any(&address) || address_is_multicast(&address) || peer_knows(peer, &address))
			continue;
		address.port = peer->port;
		if (!peer->address.family)
			peer->address = address;
		else if (peer->further_count < CONFIG_PEER_FURTHER_MAXIMUM)
			peer->further[peer->further_count++] = address;
	}
}

static int peer_resolve(const struct config *config, const struct config_zone *zone, struct config_peer *peer,
			struct config_errors *errors)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found = NULL;
	int error = getaddrinfo(peer->host, NULL, &hints, &found);

	if (!error)
		peer_take(zone, peer, found);
	if (found)
		freeaddrinfo(found);
	if (peer->address.family)
		return 0;
	errors_add(errors, WEIGHT_ERROR, config->file, peer->line, "zones.peers",
		   "\"%.80s\" of zone %s cannot be found (%s); check the name and this machine's DNS, or write its "
		   "address",
		   peer->host, zone->name,
		   error ? gai_strerror(error) : "no address that a listener of the zone can reach");
	return -EHOSTUNREACH;
}

int config_resolve(struct config *config, struct config_errors *errors)
{
	int result = 0;

	for (uint8_t i = 0; i < config->zone_count; i++) {
		struct config_zone *zone = &config->zones[i];

		for (uint8_t j = 0; j < zone->peer_count; j++)
			if (!zone->peers[j].address.family && peer_resolve(config, zone, &zone->peers[j], errors))
				result = -EHOSTUNREACH;
	}
	return result;
}

const struct address *config_media_address(const struct config_zone *zone, uint8_t family)
{
	return zone->media.address_other.family && zone->media.address_other.family == family
		       ? &zone->media.address_other
		       : &zone->media.address;
}

const struct address *config_media_shown(const struct config_zone *zone, uint8_t family)
{
	const struct address *own = config_media_address(zone, family);

	if (zone->media.advertised_address.family == own->family)
		return &zone->media.advertised_address;
	return zone->media.advertised_other.family == own->family ? &zone->media.advertised_other : own;
}
