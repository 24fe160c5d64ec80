/* SPDX-License-Identifier: Apache-2.0
 * Writes and reads the maps of the kernel's shield: blocks, proven sources, counters. Its rules are in shield_rules.c. */
#include "bpf/shield.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "bpf/shield_keys.h"

#define NS_PER_US 1000u
#define PASSES_MAXIMUM 64 /* over the tries, each of which takes this many entries out: */
#define PASS_ENTRIES 4096

void bpf_shield_close(struct bpf_shield *shield)
{
	for (int i = 0; i < BPF_SHIELD_MAPS; i++)
		if (shield->maps[i] >= 0)
			close(shield->maps[i]);
	*shield = BPF_SHIELD_NONE;
}

void bpf_shield_prepare(void)
{
	(void)libbpf_num_possible_cpus();
}

int shield_prefix_key(const struct address *address, uint8_t bits, struct shield_key *key)
{
	uint8_t all = address->family == ADDRESS_IPV4 ? 32 : address->family == ADDRESS_IPV6 ? 128 : 0;
	if (!all || bits > all)
		return -EINVAL;
	*key = (struct shield_key){.bits = SHIELD_PREFIX_BITS + bits, .family = address->family};
	memcpy(key->ip, address->ip, bits / 8u);
	if (bits % 8)
		key->ip[bits / 8] = (uint8_t)(address->ip[bits / 8] & 0xff << (8 - bits % 8));
	return 0;
}

/* ---- Blocks ---- */

static uint64_t ns_from(uint64_t us)
{
	return us > UINT64_MAX / NS_PER_US ? UINT64_MAX : us * NS_PER_US;
}

/* The trie gives what is widest when the prefix itself is not there. */
static int block_find(const struct bpf_shield *shield, const struct shield_key *key, struct shield_block *value)
{
	int error = bpf_map_lookup_elem(shield->maps[BPF_SHIELD_BLOCKS], key, value);
	return error ? error : value->bits == key->bits ? 0 : -ENOENT;
}

int bpf_shield_block(const struct bpf_shield *shield, const struct address *address, uint8_t bits, uint64_t until_us)
{
	struct shield_block value = {0};
	struct shield_key key;
	int error = shield_prefix_key(address, bits, &key);
	if (error)
		return error;
	if (block_find(shield, &key, &value))
		value = (struct shield_block){.bits = key.bits};
	value.until_ns = ns_from(until_us);
	return bpf_map_update_elem(shield->maps[BPF_SHIELD_BLOCKS], &key, &value, BPF_ANY);
}

int bpf_shield_unblock(const struct bpf_shield *shield, const struct address *address, uint8_t bits)
{
	struct shield_key key;
	int error = shield_prefix_key(address, bits, &key);
	return error ? error : bpf_map_delete_elem(shield->maps[BPF_SHIELD_BLOCKS], &key);
}

static struct bpf_shield_block block_of(const struct shield_key *key, const struct shield_block *value)
{
	struct bpf_shield_block block = {
		.address.family = (uint8_t)key->family,
		.bits = (uint8_t)(key->bits - SHIELD_PREFIX_BITS),
		.until_us = value->until_ns == UINT64_MAX ? UINT64_MAX : value->until_ns / NS_PER_US,
		.hits = value->hits,
		.last_us = value->last_ns / NS_PER_US,
	};
	memcpy(block.address.ip, key->ip, sizeof(key->ip));
	return block;
}

int bpf_shield_block_get(const struct bpf_shield *shield, const struct address *address, uint8_t bits,
			 struct bpf_shield_block *out)
{
	struct shield_block value;
	struct shield_key key;
	int error = shield_prefix_key(address, bits, &key);
	if (!error)
		error = block_find(shield, &key, &value);
	if (error)
		return error;
	*out = block_of(&key, &value);
	return 0;
}

int bpf_shield_blocks_read(const struct bpf_shield *shield, struct bpf_shield_cursor *cursor,
			   struct bpf_shield_block *out, uint32_t *count)
{
	struct shield_key keys[BPF_SHIELD_READ_MAXIMUM], next;
	struct shield_block values[BPF_SHIELD_READ_MAXIMUM];
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	int error;
	if (*count > BPF_SHIELD_READ_MAXIMUM)
		*count = BPF_SHIELD_READ_MAXIMUM;
	error = bpf_map_lookup_batch(shield->maps[BPF_SHIELD_BLOCKS], cursor->is_inside ? &cursor->key : NULL, &next,
				     keys, values, count, &options);
	cursor->is_inside = !error;
	if (!error)
		cursor->key = next;
	if (error && error != -ENOENT) {
		*count = 0;
		return error;
	}
	for (uint32_t i = 0; i < *count; i++)
		out[i] = block_of(&keys[i], &values[i]);
	return !error;
}

struct filter {
	bool (*keep)(void *context, const struct address *address, uint8_t bits);
	void *context;
	struct shield_key *out; /* to be taken out: a trie is not changed while it is walked */
	uint32_t count;
};

/* Returns 0, -ENOSPC (more are to be taken out), or the kernel's error. */
static int filter_walk(int map, struct filter *filter)
{
	struct shield_key key, last, *before = NULL;
	int error;
	filter->count = 0;
	while ((error = bpf_map_get_next_key(map, before, &key)) == 0) {
		struct address address = {.family = (uint8_t)key.family};
		memcpy(address.ip, key.ip, sizeof(key.ip));
		if (!filter->keep ||
		    !filter->keep(filter->context, &address, (uint8_t)(key.bits - SHIELD_PREFIX_BITS))) {
			if (filter->count == PASS_ENTRIES)
				return -ENOSPC;
			filter->out[filter->count++] = key;
		}
		last = key;
		before = &last;
	}
	return error == -ENOENT ? 0 : error;
}

int bpf_shield_blocks_filter(const struct bpf_shield *shield,
			     bool (*keep)(void *context, const struct address *address, uint8_t bits), void *context)
{
	struct filter filter = {keep, context, memory_alloc(PASS_ENTRIES * sizeof(struct shield_key)), 0};
	int map = shield->maps[BPF_SHIELD_BLOCKS], error = filter.out ? -ENOSPC : -ENOMEM;
	for (int pass = 0; pass < PASSES_MAXIMUM && error == -ENOSPC; pass++) {
		error = filter_walk(map, &filter);
		for (uint32_t i = 0; i < filter.count; i++)
			(void)bpf_map_delete_elem(map, &filter.out[i]);
	}
	memory_free(filter.out);
	return error;
}

/* ---- Proven sources ---- */

static struct shield_source source_key(const struct address *source)
{
	struct shield_source key = {.family = source->family, .port = htons(source->port)};
	memcpy(key.ip, source->ip, sizeof(key.ip));
	return key;
}

int bpf_shield_prove(const struct bpf_shield *shield, const struct address *source, uint64_t until_us)
{
	struct shield_source key = source_key(source);
	struct shield_proof proof = {0};
	if (source->family == ADDRESS_NONE)
		return -EINVAL;
	(void)bpf_map_lookup_elem(shield->maps[BPF_SHIELD_PROVEN], &key, &proof);
	proof.until_ns = ns_from(until_us);
	return bpf_map_update_elem(shield->maps[BPF_SHIELD_PROVEN], &key, &proof, BPF_ANY);
}

int bpf_shield_disprove(const struct bpf_shield *shield, const struct address *source)
{
	struct shield_source key = source_key(source);
	return bpf_map_delete_elem(shield->maps[BPF_SHIELD_PROVEN], &key);
}

/* ---- Counters ---- */

const char *bpf_shield_reason_name(enum shield_reason reason)
{
	static const char *const names[] = {
#define X(id, name) name,
		SHIELD_REASONS(X)
#undef X
	};
	return reason < SHIELD_REASON_COUNT ? names[reason] : "unknown";
}

int bpf_shield_counters(const struct bpf_shield *shield, uint64_t out[SHIELD_REASON_COUNT])
{
	int processors = libbpf_num_possible_cpus(), error = 0;
	uint64_t *each = processors > 0 ? memory_alloc((size_t)processors * sizeof(*each)) : NULL;
	if (!each)
		return processors < 0 ? processors : -ENOMEM;
	for (uint32_t reason = 0; reason < SHIELD_REASON_COUNT && !error; reason++) {
		out[reason] = 0;
		error = bpf_map_lookup_elem(shield->maps[BPF_SHIELD_COUNTERS], &reason, each);
		for (int i = 0; i < processors && !error; i++)
			out[reason] += each[i];
	}
	memory_free(each);
	return error;
}
