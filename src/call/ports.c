/* SPDX-License-Identifier: Apache-2.0
 * Media ports: a queue of even ports for each distinct address and range. */
#include "call/internal.h"

struct port_pool {
	struct port_pool *next;
	struct address address;
	uint16_t low, high;
	uint32_t head, count, capacity; /* a ring of free ports: taken at the head, given back at the tail */
	uint16_t *ring;
};

struct port_pools {
	struct port_pool *first;
};

struct port_pools *port_pools_new(void)
{
	return memory_alloc(sizeof(struct port_pools));
}

static void pool_drop(struct port_pool *pool)
{
	memory_free(pool->ring);
	memory_free(pool);
}

void port_pools_free(struct port_pools *pools)
{
	if (!pools)
		return;
	while (pools->first) {
		struct port_pool *pool = pools->first;

		pools->first = pool->next;
		pool_drop(pool);
	}
	memory_free(pools);
}

/* In random order, so that a stranger cannot tell the next call's port (THREATS M2). */
static void ring_shuffle(struct port_pool *pool, struct random_source random)
{
	for (uint32_t i = pool->count; i > 1; i--) {
		uint32_t j = (uint32_t)(random_u64(random) % i);
		uint16_t port = pool->ring[i - 1];

		pool->ring[i - 1] = pool->ring[j];
		pool->ring[j] = port;
	}
}

static struct port_pool *pool_make(const struct config_zone *zone, struct random_source random)
{
	struct port_pool *pool = memory_alloc(sizeof(*pool));
	uint32_t low = (zone->media.port_low + 1u) & ~1u;

	if (!pool)
		return NULL;
	pool->address = zone->media.address;
	pool->low = zone->media.port_low;
	pool->high = zone->media.port_high;
	pool->capacity = (pool->high - low + 1) / 2;
	pool->ring = memory_alloc((size_t)pool->capacity * sizeof(*pool->ring));
	if (!pool->ring) {
		pool_drop(pool);
		return NULL;
	}
	for (uint32_t port = low; port < pool->high && pool->count < pool->capacity; port += 2)
		pool->ring[pool->count++] = (uint16_t)port;
	ring_shuffle(pool, random);
	return pool;
}

struct port_pool *port_pools_get(struct port_pools *pools, const struct config_zone *zone, struct random_source random)
{
	for (struct port_pool *pool = pools->first; pool; pool = pool->next)
		if (address_equal_ip(&pool->address, &zone->media.address) && pool->low == zone->media.port_low &&
		    pool->high == zone->media.port_high)
			return pool;

	struct port_pool *pool = pool_make(zone, random);

	if (pool) {
		pool->next = pools->first;
		pools->first = pool;
	}
	return pool;
}

uint16_t port_take(struct port_pool *pool)
{
	uint16_t port;

	if (!pool->count)
		return 0;
	port = pool->ring[pool->head];
	pool->head = (pool->head + 1) % pool->capacity;
	pool->count--;
	return port;
}

void port_give(struct port_pool *pool, uint16_t port)
{
	if (pool->count < pool->capacity)
		pool->ring[(pool->head + pool->count++) % pool->capacity] = port;
}
