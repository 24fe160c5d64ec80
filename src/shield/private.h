/* SPDX-License-Identifier: Apache-2.0
 * Private to shield: its table. */
#ifndef RINGWALL_SHIELD_PRIVATE_H
#define RINGWALL_SHIELD_PRIVATE_H

#include "base/table.h"
#include "shield/shield.h"

#define SHIELD_WAITING 1024 /* changes that are kept for a flush */
#define SHIELD_NOWHERE UINT32_MAX

struct block {
	struct shield_entry entry;
	struct table_link link;
	uint64_t kernel_hits; /* of the last harvest: the back end counts from when it was told */
	uint32_t heap;        /* its place there; in a free one, the next that is free */
};

/* A change that waits: of a block that is there, it says how long; of one that is gone, that it is. */
struct waiting {
	struct shield_prefix prefix;
	uint8_t attempts;
};

struct shield {
	struct shield_options options;
	struct shield_backend backend;
	struct table *by_prefix;
	struct block *blocks;
	uint32_t *heap; /* blocks by their end, the next first */
	uint32_t count, free;
	struct waiting waiting[SHIELD_WAITING];
	uint32_t waiting_count;
	struct shield_prefix *never;
	uint32_t never_count;
	uint32_t lengths[2][129]; /* how many blocks there are of each length, IPv4 and IPv6 */
	uint64_t harvested_us;
	struct shield_statistics statistics;
};

/* prefix.c. clean: cuts off the port, and what is behind the prefix; 0 or -EINVAL. meet: they have an address in common. */
int prefix_clean(const struct shield_prefix *prefix, struct shield_prefix *out);
bool prefix_equal(const struct shield_prefix *a, const struct shield_prefix *b);
bool prefixes_meet(const struct shield_prefix *a, const struct shield_prefix *b);
uint8_t prefix_bits_of(const struct address *address); /* 32, 128, or 0 */

/* shield.c: as shield_add, with times and hits of before. */
int shield_entry_add(struct shield *shield, const struct shield_entry *wanted, struct span reason, uint64_t now_us);

/* dump.c: what stands at the end of a dump, over what is before. */
#define DUMP_CHECK_BYTES 8
uint64_t dump_check(struct span bytes);

/* heap.c. */
void heap_put(struct shield *shield, uint32_t number);
void heap_take(struct shield *shield, uint32_t number);
void heap_moved(struct shield *shield, uint32_t number); /* its end is another */

#endif
