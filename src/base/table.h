/* SPDX-License-Identifier: Apache-2.0
 * Hash tables: intrusive, keyed with a secret so that an attacker cannot choose collisions,
 * growing step by step so that no single insertion is slow. A hash only selects candidates:
 * `equal` compares in full. Single-threaded. */
#ifndef RINGWALL_BASE_TABLE_H
#define RINGWALL_BASE_TABLE_H

#include "base/clock.h"
#include "base/span.h"

#define HASH_KEY_BYTES 16

/* SipHash-2-4 (Aumasson, Bernstein). */
uint64_t hash_bytes(const uint8_t key[HASH_KEY_BYTES], const void *bytes, size_t length);

struct table;

/* Embedded in the object. */
struct table_link {
	struct table_link *next;
	uint64_t hash;
};

/* Whether the object that holds `link` has the key `key`. */
typedef bool table_equal(const struct table_link *link, const void *key);

/* NULL when memory is short. The hash key is drawn from `random`. */
struct table *table_new(table_equal *equal, struct random_source random);
void table_free(struct table *table); /* NULL is allowed; objects are the caller's */

/* The table's own keyed hash, for keys that are bytes. For several parts, hash one over the other. */
uint64_t table_hash(const struct table *table, const void *bytes, size_t length);

/* Adds; whether an equal one is there is the caller's to know. Never fails (growing is best-effort). */
void table_add(struct table *table, struct table_link *link, uint64_t hash);

/* The link whose hash is `hash` and which `equal` says matches `key`; or NULL. */
struct table_link *table_find(const struct table *table, uint64_t hash, const void *key);

/* Takes `link` out; it must be in the table. */
void table_remove(struct table *table, struct table_link *link);

uint32_t table_count(const struct table *table);

/* Calls `visit` for every object, in no order; visit may remove the one it is given and no other. */
void table_each(struct table *table, void (*visit)(void *context, struct table_link *link), void *context);

#define table_object(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

#endif
