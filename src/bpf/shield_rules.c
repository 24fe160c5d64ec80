/* SPDX-License-Identifier: Apache-2.0
 * Rules of the kernel's shield, from lists to maps. What is new is written before what is old is taken out, so that a listener that
 * stays is never without. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/memory.h"
#include "bpf/shield_keys.h"

#define NS_PER_S 1000000000ull
#define ZONES_MAXIMUM 64

static int rules_check(const struct bpf_shield_rules *rules)
{
	struct shield_key key;
	if (rules->listener_count > SHIELD_LISTENERS_MAXIMUM || rules->peer_count > SHIELD_PEERS_MAXIMUM ||
	    rules->range_count > SHIELD_RANGES_MAXIMUM)
		return -E2BIG;
	for (uint32_t i = 0; i < rules->listener_count; i++)
		if (rules->listeners[i].zone >= ZONES_MAXIMUM || rules->listeners[i].local.family == ADDRESS_NONE)
			return -EINVAL;
	for (uint32_t i = 0; i < rules->peer_count; i++)
		if (rules->peers[i].zone >= ZONES_MAXIMUM ||
		    shield_prefix_key(&rules->peers[i].address, rules->peers[i].bits, &key))
			return -EINVAL;
	for (uint32_t i = 0; i < rules->range_count; i++)
		if (rules->ranges[i].address.family == ADDRESS_NONE || rules->ranges[i].first > rules->ranges[i].last)
			return -EINVAL;
	return 0;
}

/* ---- A map that is to hold these and no others ---- */

struct content {
	int map;
	size_t key_bytes;
	const void *keys; /* one behind the other */
	uint32_t count;
};

static bool content_has(const struct content *content, const void *key)
{
	for (uint32_t i = 0; i < content->count; i++)
		if (memcmp((const char *)content->keys + i * content->key_bytes, key, content->key_bytes) == 0)
			return true;
	return false;
}

/* Walking begins anew after each that was taken out: there are few, and a reload is seldom. */
static int others_remove(const struct content *content)
{
	uint8_t buffers[2][sizeof(struct shield_key) + sizeof(struct shield_place)], *key = buffers[0],
										     *before = buffers[1];
	bool is_first = true;
	int error;
	while ((error = bpf_map_get_next_key(content->map, is_first ? NULL : before, key)) == 0) {
		is_first = !content_has(content, key);
		if (is_first)
			(void)bpf_map_delete_elem(content->map, key);
		else
			memcpy(before, key, content->key_bytes);
	}
	return error == -ENOENT ? 0 : error;
}

/* ---- Listeners ---- */

static struct shield_place place_of(const struct bpf_shield_listener *listener)
{
	struct shield_place place = {.family = listener->local.family,
				     .protocol = listener->tcp ? IPPROTO_TCP : IPPROTO_UDP,
				     .port = htons(listener->local.port)};
	memcpy(place.ip, listener->local.ip, sizeof(place.ip));
	return place;
}

static struct shield_listener listener_value(const struct bpf_shield_rules *rules, const struct shield_place *place)
{
	struct shield_listener value = {.flags = SHIELD_PEERS_ONLY | SHIELD_SIP};
	for (uint32_t i = 0; i < rules->listener_count; i++) {
		const struct bpf_shield_listener *each = &rules->listeners[i];
		struct shield_place other = place_of(each);
		if (memcmp(&other, place, sizeof(other)) != 0)
			continue;
		value.zones |= 1ull << each->zone;
		value.flags &= (each->peers_only ? SHIELD_PEERS_ONLY : 0u) | (each->sip ? SHIELD_SIP : 0u);
	}
	return value;
}

static int listeners_set(const struct bpf_shield *shield, const struct bpf_shield_rules *rules)
{
	struct shield_place *places = memory_alloc((rules->listener_count + 1u) * sizeof(*places));
	struct content content = {shield->maps[BPF_SHIELD_LISTENERS], sizeof(*places), places, rules->listener_count};
	int error = places ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < rules->listener_count && !error; i++) {
		struct shield_listener value;
		places[i] = place_of(&rules->listeners[i]);
		value = listener_value(rules, &places[i]);
		error = bpf_map_update_elem(content.map, &places[i], &value, BPF_ANY);
	}
	if (!error)
		error = others_remove(&content);
	memory_free(places);
	return error;
}

/* ---- Peers ---- */

static bool covers(const struct shield_key *wide, const struct shield_key *narrow)
{
	struct address address = {.family = (uint8_t)narrow->family};
	struct shield_key cut;
	if (wide->family != narrow->family || wide->bits > narrow->bits)
		return false;
	memcpy(address.ip, narrow->ip, sizeof(address.ip));
	return shield_prefix_key(&address, (uint8_t)(wide->bits - SHIELD_PREFIX_BITS), &cut) == 0 &&
	       memcmp(&cut, wide, sizeof(cut)) == 0;
}

static int peers_set(const struct bpf_shield *shield, const struct bpf_shield_rules *rules)
{
	struct shield_key *keys = memory_alloc((rules->peer_count + 1u) * sizeof(*keys));
	struct content content = {shield->maps[BPF_SHIELD_PEERS], sizeof(*keys), keys, rules->peer_count};
	int error = keys ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < rules->peer_count && !error; i++)
		error = shield_prefix_key(&rules->peers[i].address, rules->peers[i].bits, &keys[i]);
	for (uint32_t i = 0; i < rules->peer_count && !error; i++) {
		struct shield_peer value = {0};
		for (uint32_t k = 0; k < rules->peer_count; k++)
			if (covers(&keys[k], &keys[i]))
				value.zones |= 1ull << rules->peers[k].zone;
		error = bpf_map_update_elem(content.map, &keys[i], &value, BPF_ANY);
	}
	if (!error)
		error = others_remove(&content);
	memory_free(keys);
	return error;
}

/* ---- Settings ---- */

static struct shield_rate rate_of(const struct bpf_shield_rate *rate)
{
	struct shield_rate out = {0};
	if (rate->per_second) {
		out.interval_ns = NS_PER_S / rate->per_second;
		out.burst_ns = rate->burst > 1 ? (rate->burst - 1) * out.interval_ns : 0;
	}
	return out;
}

static void settings_make(const struct bpf_shield_rules *rules, struct shield_settings *out)
{
	*out = (struct shield_settings){.abi = SHIELD_ABI, .range_count = rules->range_count, .key = rules->key};
	for (int i = 0; i < SHIELD_RATES; i++)
		out->rates[i] = rate_of(&rules->rates[i]);
	for (uint32_t i = 0; i < rules->range_count; i++) {
		const struct bpf_shield_range *range = &rules->ranges[i];
		out->ranges[i] = (struct shield_range){
			.family = range->address.family, .first = range->first, .last = range->last};
		memcpy(out->ranges[i].ip, range->address.ip, sizeof(out->ranges[i].ip));
	}
	for (uint32_t i = 0; i < rules->listener_count; i++) {
		uint16_t port = rules->listeners[i].local.port;
		out->ports[port >> 3] |= (uint8_t)(1u << (port & 7));
	}
}

int bpf_shield_rules_set(const struct bpf_shield *shield, const struct bpf_shield_rules *rules)
{
	struct shield_settings *settings = memory_alloc(sizeof(*settings));
	uint32_t zero = 0;
	int map = shield->maps[BPF_SHIELD_SETTINGS], error = rules_check(rules);
	if (!settings)
		return -ENOMEM;
	/* Peers are known before a listener asks for them. */
	if (!error)
		error = peers_set(shield, rules);
	if (!error)
		error = listeners_set(shield, rules);
	if (!error) {
		settings_make(rules, settings);
		error = bpf_map_update_elem(map, &zero, settings, BPF_ANY);
	}
	memory_free_secret(settings, sizeof(*settings));
	return error;
}
