/* SPDX-License-Identifier: Apache-2.0
 * Media ports: a queue of even ports for each distinct address and range. Ranges of one address may overlap after a reload:
 * what one of its pools gave out none of the others does. */
#include "call/sessions.h"

#define TAKEN_BYTES (65536 / 2 / 8) /* a bit for each even port */

/* What is in use on an address, whichever pool it came from. */
struct port_address {
	struct port_address *next;
	struct address address;
	uint8_t taken[TAKEN_BYTES];
	uint8_t in_ring[TAKEN_BYTES]; /* taken again: its place in the ring, if it is of its range, was not given up */
};

struct port_pool {
	struct port_pool *next;
	struct port_address *on;
	uint16_t low, high;
	uint32_t head, count, capacity; /* a ring of free ports: taken at the head, given back at the tail */
	uint16_t *ring;
};

struct port_pools {
	struct port_pool *first;
	struct port_address *addresses;
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
	while (pools->addresses) {
		struct port_address *address = pools->addresses;

		pools->addresses = address->next;
		memory_free(address);
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

static struct port_address *address_get(struct port_pools *pools, const struct address *wanted)
{
	struct port_address *address = pools->addresses;

	while (address && !address_equal_ip(&address->address, wanted))
		address = address->next;
	if (address)
		return address;
	address = memory_alloc(sizeof(*address));
	if (!address)
		return NULL;
	address->address = *wanted;
	address->next = pools->addresses;
	pools->addresses = address;
	return address;
}

static struct port_pool *pool_make(struct port_pools *pools, const struct config_zone *zone,
				   const struct address *address, struct random_source random)
{
	struct port_pool *pool = memory_alloc(sizeof(*pool));
	uint32_t low = (zone->media.port_low + 1u) & ~1u;

	if (!pool)
		return NULL;
	pool->on = address_get(pools, address);
	pool->low = zone->media.port_low;
	pool->high = zone->media.port_high;
	pool->capacity = (pool->high - low + 1) / 2;
	pool->ring = memory_alloc((size_t)pool->capacity * sizeof(*pool->ring));
	if (!pool->on || !pool->ring) {
		pool_drop(pool);
		return NULL;
	}
	for (uint32_t port = low; port < pool->high && pool->count < pool->capacity; port += 2)
		pool->ring[pool->count++] = (uint16_t)port;
	ring_shuffle(pool, random);
	return pool;
}

struct port_pool *port_pools_get(struct port_pools *pools, const struct config_zone *zone,
				 const struct address *address, struct random_source random)
{
	for (struct port_pool *pool = pools->first; pool; pool = pool->next)
		if (address_equal_ip(&pool->on->address, address) && pool->low == zone->media.port_low &&
		    pool->high == zone->media.port_high)
			return pool;

	struct port_pool *pool = pool_make(pools, zone, address, random);

	if (pool) {
		pool->next = pools->first;
		pools->first = pool;
	}
	return pool;
}

static uint8_t *taken_byte(struct port_pool *pool, uint16_t port)
{
	return &pool->on->taken[port / 16];
}

static uint8_t taken_bit(uint16_t port)
{
	return (uint8_t)(1u << (port / 2 % 8));
}

static void ring_append(struct port_pool *pool, uint16_t port)
{
	if (pool->count < pool->capacity)
		pool->ring[(pool->head + pool->count++) % pool->capacity] = port;
}

const struct address *port_pool_address(const struct port_pool *pool)
{
	return &pool->on->address;
}

uint16_t port_take(struct port_pool *pool)
{
	for (uint32_t left = pool->count; left; left--) {
		uint16_t port = pool->ring[pool->head];

		pool->head = (pool->head + 1) % pool->capacity;
		pool->count--;
		if (!(*taken_byte(pool, port) & taken_bit(port))) {
			*taken_byte(pool, port) |= taken_bit(port);
			return port;
		}
		ring_append(pool, port); /* in use by a call of before a reload, out of another range */
	}
	return 0;
}

bool port_take_again(struct port_pool *pool, uint16_t port)
{
	if (port % 2 || (*taken_byte(pool, port) & taken_bit(port)))
		return false;
	*taken_byte(pool, port) |= taken_bit(port);
	pool->on->in_ring[port / 16] |= taken_bit(port);
	return true;
}

void port_give(struct port_pool *pool, uint16_t port)
{
	if (!pool)
		return;

	bool in_ring = pool->on->in_ring[port / 16] & taken_bit(port);

	*taken_byte(pool, port) &= (uint8_t)~taken_bit(port);
	pool->on->in_ring[port / 16] &= (uint8_t)~taken_bit(port);
	if (!in_ring)
		ring_append(pool, port);
}
