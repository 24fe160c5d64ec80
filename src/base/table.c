/* SPDX-License-Identifier: Apache-2.0
 * Hash tables with chains. When one is full, a second of twice the size takes what is added, and
 * every addition moves a few buckets over, so that no packet pays for all of them. */
#include "base/table.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static inline uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline uint64_t load_u64(const unsigned char *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return le64toh(value);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline void sip_absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t hash_bytes(const uint8_t key[HASH_KEY_BYTES], const void *bytes, size_t length)
{
	uint64_t k0 = load_u64(key), k1 = load_u64(key + 8);
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
			 k1 ^ 0x7465646279746573};
	const unsigned char *at = bytes;
	uint64_t last = (uint64_t)length << 56;
	size_t left = length;

	for (; left >= 8; at += 8, left -= 8)
		sip_absorb(v, load_u64(at));
	for (size_t i = 0; i < left; i++)
		last |= (uint64_t)at[i] << (8 * i);
	sip_absorb(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#define BUCKETS_AT_FIRST 16U
#define BUCKETS_MAXIMUM (1U << 30)
#define MOVED_PER_ADD 4U

struct buckets {
	struct table_link **heads;
	uint32_t mask; /* their number less one */
};

struct table {
	struct buckets current;
	struct buckets old; /* heads NULL when nothing is being moved */
	uint32_t moved;     /* buckets of `old` already empty, from the first */
	uint32_t count;
	uint32_t grow_at;
	table_equal *equal;
	uint8_t key[HASH_KEY_BYTES];
};

struct table *table_new(table_equal *equal, struct random_source random)
{
	struct table *table = memory_alloc(sizeof(*table));

	if (!table)
		return NULL;
	table->current.heads = memory_alloc(BUCKETS_AT_FIRST * sizeof(*table->current.heads));
	if (!table->current.heads) {
		memory_free(table);
		return NULL;
	}
	table->current.mask = BUCKETS_AT_FIRST - 1;
	table->grow_at = BUCKETS_AT_FIRST;
	table->equal = equal;
	random_fill(random, table->key, sizeof(table->key));
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	memory_free(table->old.heads);
	memory_free(table->current.heads);
	memory_free_secret(table, sizeof(*table));
}

uint64_t table_hash(const struct table *table, const void *bytes, size_t length)
{
	return hash_bytes(table->key, bytes, length);
}

static inline struct table_link **bucket(const struct buckets *buckets, uint64_t hash)
{
	return &buckets->heads[hash & buckets->mask];
}

static void push(const struct buckets *buckets, struct table_link *link)
{
	struct table_link **head = bucket(buckets, link->hash);

	link->next = *head;
	*head = link;
}

static void move_some(struct table *table)
{
	if (!table->old.heads)
		return;
	for (uint32_t i = 0; i < MOVED_PER_ADD && table->moved <= table->old.mask; i++, table->moved++) {
		struct table_link *link = table->old.heads[table->moved];

		table->old.heads[table->moved] = NULL;
		while (link) {
			struct table_link *next = link->next;

			push(&table->current, link);
			link = next;
		}
	}
	if (table->moved > table->old.mask) {
		memory_free(table->old.heads);
		table->old = (struct buckets){NULL, 0};
	}
}

/* Without memory the table goes on with longer chains and asks again later. */
static void grow(struct table *table)
{
	uint32_t size = table->current.mask + 1;
	struct table_link **heads;

	if (table->old.heads || size >= BUCKETS_MAXIMUM)
		return;
	heads = memory_alloc((size_t)size * 2 * sizeof(*heads));
	if (!heads) {
		table->grow_at = table->count + size / 4;
		return;
	}
	table->old = table->current;
	table->moved = 0;
	table->current = (struct buckets){heads, size * 2 - 1};
	table->grow_at = size * 2;
}

void table_add(struct table *table, struct table_link *link, uint64_t hash)
{
	if (table->count >= table->grow_at)
		grow(table);
	move_some(table);
	link->hash = hash;
	push(&table->current, link);
	table->count++;
}

static struct table_link *find_in(const struct table *table, struct table_link *link, uint64_t hash, const void *key)
{
	for (; link; link = link->next) {
		if (link->hash == hash && table->equal(link, key))
			return link;
	}
	return NULL;
}

struct table_link *table_find(const struct table *table, uint64_t hash, const void *key)
{
	struct table_link *found = find_in(table, *bucket(&table->current, hash), hash, key);

	if (!found && table->old.heads)
		found = find_in(table, *bucket(&table->old, hash), hash, key);
	return found;
}

static bool remove_from(struct table_link **at, const struct table_link *link)
{
	while (*at && *at != link)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = link->next;
	return true;
}

void table_remove(struct table *table, struct table_link *link)
{
	if (!remove_from(bucket(&table->current, link->hash), link) &&
	    (!table->old.heads || !remove_from(bucket(&table->old, link->hash), link)))
		abort(); /* it was not in the table: our own books are wrong */
	link->next = NULL;
	table->count--;
}

uint32_t table_count(const struct table *table)
{
	return table->count;
}

static void each_of(const struct buckets *buckets, void (*visit)(void *context, struct table_link *link), void *context)
{
	if (!buckets->heads)
		return;
	for (uint32_t i = 0; i <= buckets->mask; i++) {
		struct table_link *link = buckets->heads[i];

		while (link) {
			struct table_link *next = link->next;

			visit(context, link);
			link = next;
		}
	}
}

void table_each(struct table *table, void (*visit)(void *context, struct table_link *link), void *context)
{
	each_of(&table->old, visit, context);
	each_of(&table->current, visit, context);
}
