/* SPDX-License-Identifier: Apache-2.0
 * The snapshot itself: names and its end. */
#include "config/config.h"

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

static void texts_free(char **texts)
{
	for (char **text = texts; text && *text; text++)
		memory_free(*text);
	memory_free(texts);
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
	texts_free(zone->websocket.origins);
	memory_free(zone->media.advertised);
	memory_free(zone->registration.user);
	memory_free(zone->registration.password_file);
	memory_free(zone->registration.login);
	memory_free(zone->registration.realm);
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (uint8_t i = 0; i < config->zone_count; i++)
		zone_clear(&config->zones[i]);
	texts_free(config->site.emergency);
	texts_free(config->dns_servers);
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
