/* SPDX-License-Identifier: Apache-2.0
 * The table of blocks: who, until when, why; and telling the back end. */
#include "shield/shield.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "shield/private.h"

#define CHUNK 256 /* changes that the back end gets at a time */

const char *shield_origin_name(enum shield_origin origin)
{
	static const char *const names[] = {"verdict", "hand"};

	return origin < SHIELD_ORIGIN_COUNT ? names[origin] : "unknown";
}

static bool block_equal(const struct table_link *link, const void *key)
{
	return prefix_equal(&table_object(link, struct block, link)->entry.prefix, key);
}

static uint64_t hash_of(const struct shield *shield, const struct shield_prefix *prefix)
{
	uint8_t bytes[18] = {prefix->address.family, prefix->bits};

	memcpy(bytes + 2, prefix->address.ip, sizeof(prefix->address.ip));
	return table_hash(shield->by_prefix, bytes, sizeof(bytes));
}

static uint32_t *length_count(struct shield *shield, const struct shield_prefix *prefix)
{
	return &shield->lengths[prefix->address.family == ADDRESS_IPV6][prefix->bits];
}

/* ---- The beginning and the end ---- */

struct shield *shield_new(const struct shield_options *options, const struct shield_backend *backend)
{
	bool fits = options->maximum && options->maximum <= SHIELD_MAXIMUM;
	struct shield *shield = fits ? memory_alloc(sizeof(*shield)) : NULL;

	if (!shield) {
		if (backend->close)
			backend->close(backend->context, true);
		return NULL;
	}
	shield->options = *options;
	shield->backend = *backend;
	shield->statistics.maximum = options->maximum;
	shield->by_prefix = table_new(block_equal, options->random);
	shield->blocks = memory_alloc(options->maximum * sizeof(*shield->blocks));
	shield->heap = memory_alloc(options->maximum * sizeof(*shield->heap));
	if (!shield->by_prefix || !shield->blocks || !shield->heap) {
		shield_free(shield, true);
		return NULL;
	}
	for (uint32_t i = 0; i < options->maximum; i++)
		shield->blocks[i].heap = i + 1 < options->maximum ? i + 1 : SHIELD_NOWHERE;
	return shield;
}

void shield_free(struct shield *shield, bool remove)
{
	if (!shield)
		return;
	if (shield->backend.close)
		shield->backend.close(shield->backend.context, remove);
	table_free(shield->by_prefix);
	memory_free(shield->blocks);
	memory_free(shield->heap);
	memory_free(shield->never);
	memory_free(shield);
}

/* ---- Telling ---- */

static struct block *block_find(const struct shield *shield, const struct shield_prefix *prefix)
{
	struct table_link *link = table_find(shield->by_prefix, hash_of(shield, prefix), prefix);

	return link ? table_object(link, struct block, link) : NULL;
}

/* Those that failed stay, for the next time. */
static void waiting_keep(struct shield *shield, const struct waiting *told, uint32_t count, uint32_t *kept)
{
	for (uint32_t i = 0; i < count; i++) {
		struct waiting each = told[i];

		if (++each.attempts < SHIELD_ATTEMPTS)
			shield->waiting[(*kept)++] = each;
		else
			shield->statistics.failures++;
	}
}

int shield_flush(struct shield *shield, uint64_t now_us)
{
	struct shield_change changes[CHUNK];
	uint32_t kept = 0, count;
	int error, first = 0;

	for (uint32_t at = 0; at < shield->waiting_count; at += count) {
		const struct waiting *waiting = &shield->waiting[at];

		count = shield->waiting_count - at < CHUNK ? shield->waiting_count - at : CHUNK;
		for (uint32_t i = 0; i < count; i++) {
			const struct block *block = block_find(shield, &waiting[i].prefix);

			changes[i] = (struct shield_change){waiting[i].prefix, block ? block->entry.until_us : 0};
		}
		error = shield->backend.apply(shield->backend.context, changes, count, now_us);
		if (error)
			waiting_keep(shield, waiting, count, &kept);
		first = first ? first : error;
	}
	shield->waiting_count = kept;
	return first;
}

static void tell_later(struct shield *shield, const struct shield_prefix *prefix, uint64_t now_us)
{
	if (shield->waiting_count == SHIELD_WAITING)
		(void)shield_flush(shield, now_us);
	if (shield->waiting_count == SHIELD_WAITING) {
		shield->statistics.failures++; /* nothing is taken: the oldest has had its attempts */
		memmove(shield->waiting, shield->waiting + 1, (SHIELD_WAITING - 1) * sizeof(shield->waiting[0]));
		shield->waiting_count--;
	}
	shield->waiting[shield->waiting_count++] = (struct waiting){.prefix = *prefix};
}

int shield_rules_set(struct shield *shield, const struct bpf_shield_rules *rules)
{
	return shield->backend.rules ? shield->backend.rules(shield->backend.context, rules) : -ENOTSUP;
}

/* ---- One block ---- */

static void block_drop(struct shield *shield, struct block *block, uint64_t now_us)
{
	uint32_t number = (uint32_t)(block - shield->blocks);
	struct shield_prefix prefix = block->entry.prefix;

	table_remove(shield->by_prefix, &block->link);
	heap_take(shield, number);
	--*length_count(shield, &prefix);
	*block = (struct block){.heap = shield->free};
	shield->free = number;
	tell_later(shield, &prefix, now_us);
}

/* Free, or made so: of verdicts, that which ends first and before this one. NULL: full. */
static struct block *block_take(struct shield *shield, uint64_t until_us, uint64_t now_us)
{
	struct block *block;

	if (shield->free == SHIELD_NOWHERE) {
		block = &shield->blocks[shield->heap[0]];
		if (block->entry.origin != SHIELD_BY_VERDICT || block->entry.until_us >= until_us)
			return NULL;
		block_drop(shield, block, now_us);
		shield->statistics.pushed_out++;
	}
	block = &shield->blocks[shield->free];
	shield->free = block->heap;
	return block;
}

static void reason_set(struct shield_entry *entry, struct span reason)
{
	if (span_copy(reason, entry->reason, sizeof(entry->reason)))
		(void)span_copy(span_slice(reason, 0, sizeof(entry->reason) - 1), entry->reason, sizeof(entry->reason));
}

static int block_make(struct shield *shield, const struct shield_entry *entry, struct span reason, uint64_t now_us)
{
	struct block *block = block_take(shield, entry->until_us, now_us);

	if (!block)
		return -ENOSPC;
	*block = (struct block){.entry = *entry, .kernel_hits = entry->hits};
	reason_set(&block->entry, reason);
	table_add(shield->by_prefix, &block->link, hash_of(shield, &entry->prefix));
	heap_put(shield, (uint32_t)(block - shield->blocks));
	++*length_count(shield, &entry->prefix);
	shield->statistics.added++;
	tell_later(shield, &entry->prefix, now_us);
	return 0;
}

static int block_change(struct shield *shield, struct block *block, const struct shield_entry *entry,
			struct span reason, uint64_t now_us)
{
	bool by_hand = entry->origin == SHIELD_BY_HAND;

	if (!by_hand && (block->entry.until_us >= entry->until_us || block->entry.origin == SHIELD_BY_HAND))
		return -EALREADY;
	block->entry.until_us = entry->until_us;
	block->entry.origin = entry->origin;
	reason_set(&block->entry, reason);
	heap_moved(shield, (uint32_t)(block - shield->blocks));
	tell_later(shield, &block->entry.prefix, now_us);
	return 0;
}

static bool is_never(const struct shield *shield, const struct shield_prefix *prefix)
{
	for (uint32_t i = 0; i < shield->never_count; i++)
		if (prefixes_meet(&shield->never[i], prefix))
			return true;
	return false;
}

static const char *why_not(int error)
{
	switch (error) {
	case 0: return "it is blocked";
	case -EALREADY: return "it is blocked as long already";
	case -EPERM: return "it has an address of the never-block list";
	case -ENOSPC: return "the table of blocks is full";
	default: return "it is no prefix that could be blocked, or its time is over";
	}
}

int shield_entry_add(struct shield *shield, const struct shield_entry *wanted, struct span reason, uint64_t now_us)
{
	struct shield_entry entry = *wanted;
	struct block *block;
	int error;

	if (prefix_clean(&wanted->prefix, &entry.prefix) || !entry.prefix.bits || entry.until_us <= now_us ||
	    entry.origin >= SHIELD_ORIGIN_COUNT)
		return -EINVAL;
	if (is_never(shield, &entry.prefix)) {
		shield->statistics.refused_never++;
		return -EPERM;
	}
	block = block_find(shield, &entry.prefix);
	error = block ? block_change(shield, block, &entry, reason, now_us)
		      : block_make(shield, &entry, reason, now_us);
	shield->statistics.refused_full += error == -ENOSPC;
	return error;
}

int shield_add(struct shield *shield, const struct shield_prefix *prefix, enum shield_origin origin, uint64_t until_us,
	       struct span reason, uint64_t now_us, const char **why)
{
	struct shield_entry entry = {
		.prefix = *prefix, .origin = (uint8_t)origin, .since_us = now_us, .until_us = until_us};
	int error = shield_entry_add(shield, &entry, reason, now_us);

	if (why)
		*why = why_not(error);
	return error;
}

int shield_remove(struct shield *shield, const struct shield_prefix *prefix, uint64_t now_us)
{
	struct shield_prefix clean;
	struct block *block = prefix_clean(prefix, &clean) ? NULL : block_find(shield, &clean);

	if (!block)
		return -ENOENT;
	block_drop(shield, block, now_us);
	shield->statistics.removed++;
	return 0;
}

uint32_t shield_expire(struct shield *shield, uint64_t now_us)
{
	uint32_t count = 0;

	while (shield->count && shield->blocks[shield->heap[0]].entry.until_us <= now_us) {
		block_drop(shield, &shield->blocks[shield->heap[0]], now_us);
		count++;
	}
	shield->statistics.expired += count;
	return count;
}

/* ---- Who is never blocked ---- */

static void never_free(struct shield *shield, uint64_t now_us)
{
	for (uint32_t i = 0; i < shield->options.maximum && shield->count; i++) {
		struct block *block = &shield->blocks[i];

		if (block->entry.prefix.address.family == ADDRESS_NONE || !is_never(shield, &block->entry.prefix))
			continue;
		block_drop(shield, block, now_us);
		shield->statistics.removed++;
	}
}

int shield_never_set(struct shield *shield, const struct shield_prefix *list, uint32_t count, uint64_t now_us)
{
	struct shield_prefix *copy;

	if (count > SHIELD_NEVER_MAXIMUM)
		return -E2BIG;
	copy = memory_alloc((count + 1u) * sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		if (prefix_clean(&list[i], &copy[i])) {
			memory_free(copy);
			return -EINVAL;
		}
	memory_free(shield->never);
	shield->never = copy;
	shield->never_count = count;
	never_free(shield, now_us);
	return 0;
}

/* ---- Harvest ---- */

static void hits_found(void *context, const struct shield_prefix *prefix, uint64_t hits)
{
	struct shield *shield = context;
	struct block *block = block_find(shield, prefix);
	uint64_t more;

	if (!block)
		return;
	more = hits >= block->kernel_hits ? hits - block->kernel_hits : hits; /* less: it was told anew */
	block->kernel_hits = hits;
	if (!more)
		return;
	block->entry.hits += more;
	block->entry.last_us = shield->harvested_us;
	shield->statistics.hits += more;
	if (shield->options.hit)
		shield->options.hit(shield->options.context, &block->entry, more);
}

int shield_harvest(struct shield *shield, uint64_t now_us)
{
	shield->harvested_us = now_us;
	return shield->backend.harvest ? shield->backend.harvest(shield->backend.context, hits_found, shield) : 0;
}

static bool is_kept(void *context, const struct address *address, uint8_t bits)
{
	const struct shield_prefix prefix = {*address, bits};

	return block_find(context, &prefix) != NULL;
}

int shield_tidy(struct shield *shield)
{
	return shield->backend.tidy ? shield->backend.tidy(shield->backend.context, is_kept, shield) : 0;
}

/* ---- Questions ---- */

const struct shield_entry *shield_find(const struct shield *shield, const struct shield_prefix *prefix)
{
	struct shield_prefix clean;
	const struct block *block = prefix_clean(prefix, &clean) ? NULL : block_find(shield, &clean);

	return block ? &block->entry : NULL;
}

const struct shield_entry *shield_match(const struct shield *shield, const struct address *address, uint64_t now_us)
{
	struct shield_prefix prefix = {*address, 0};
	const uint32_t *lengths = shield->lengths[address->family == ADDRESS_IPV6];

	for (int bits = prefix_bits_of(address); bits >= 0; bits--) {
		const struct shield_entry *entry;

		prefix.bits = (uint8_t)bits;
		entry = lengths[bits] ? shield_find(shield, &prefix) : NULL;
		if (entry && entry->until_us > now_us)
			return entry;
	}
	return NULL;
}

void shield_each(const struct shield *shield, bool (*visit)(void *context, const struct shield_entry *entry),
		 void *context)
{
	for (uint32_t place = 0; place < shield->count; place++)
		if (!visit(context, &shield->blocks[shield->heap[place]].entry))
			return;
}

void shield_statistics_get(const struct shield *shield, struct shield_statistics *out)
{
	*out = shield->statistics;
	out->blocks = shield->count;
}

const char *shield_backend_name(const struct shield *shield)
{
	return shield->backend.name;
}
