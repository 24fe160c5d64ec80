/* SPDX-License-Identifier: Apache-2.0
 * A binary heap of the blocks by their end. */
#include "shield/private.h"

static uint64_t end_of(const struct shield *shield, uint32_t place)
{
	return shield->blocks[shield->heap[place]].entry.until_us;
}

static void set(struct shield *shield, uint32_t place, uint32_t number)
{
	shield->heap[place] = number;
	shield->blocks[number].heap = place;
}

static void exchange(struct shield *shield, uint32_t a, uint32_t b)
{
	uint32_t number = shield->heap[a];

	set(shield, a, shield->heap[b]);
	set(shield, b, number);
}

void heap_moved(struct shield *shield, uint32_t number)
{
	uint32_t place = shield->blocks[number].heap;

	while (place && end_of(shield, place) < end_of(shield, (place - 1) / 2)) {
		exchange(shield, place, (place - 1) / 2);
		place = (place - 1) / 2;
	}
	for (;;) {
		uint32_t least = place;

		for (uint32_t child = 2 * place + 1; child <= 2 * place + 2 && child < shield->count; child++)
			if (end_of(shield, child) < end_of(shield, least))
				least = child;
		if (least == place)
			return;
		exchange(shield, place, least);
		place = least;
	}
}

void heap_put(struct shield *shield, uint32_t number)
{
	set(shield, shield->count++, number);
	heap_moved(shield, number);
}

void heap_take(struct shield *shield, uint32_t number)
{
	uint32_t place = shield->blocks[number].heap, last = --shield->count;

	if (place == last)
		return;
	set(shield, place, shield->heap[last]);
	heap_moved(shield, shield->heap[place]);
}
