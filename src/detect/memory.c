/* SPDX-License-Identifier: Apache-2.0
 * Weights that fade, counts of what is different, and tables of fixed size. */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "detect/private.h"

/* 65536 * 2^(-n/32) */
static const uint32_t halving[32] = {65536, 64132, 62757, 61413, 60097, 58809, 57549, 56316, 55109, 53928, 52773,
				     51642, 50535, 49452, 48393, 47356, 46341, 45348, 44376, 43425, 42495, 41584,
				     40693, 39821, 38968, 38133, 37316, 36516, 35734, 34968, 34219, 33486};

uint32_t decay(uint32_t weight, uint32_t *at_ds, uint32_t half_life_ds, uint32_t now_ds)
{
	uint64_t steps;

	if (now_ds <= *at_ds)
		return weight;
	steps = (uint64_t)(now_ds - *at_ds) * 32 / half_life_ds;
	*at_ds += (uint32_t)(steps * half_life_ds / 32);
	if (steps >= 32 * 32)
		return 0;
	return (uint32_t)((uint64_t)weight * halving[steps % 32] >> 16 >> steps / 32);
}

uint32_t decay_fades_ds(uint32_t weight, uint32_t half_life_ds)
{
	uint32_t halvings = 1;

	while (weight > WEIGHT_ONE) {
		weight /= 2;
		halvings++;
	}
	return saturated((uint64_t)halvings * half_life_ds);
}

/* ---- Sketches ---- */

#define SKETCH_BITS 128u

void sketch_turn(struct sketch *sketch, uint32_t *turned_ds, uint32_t window_ds, uint32_t now_ds)
{
	uint32_t windows = now_ds > *turned_ds ? (now_ds - *turned_ds) / window_ds : 0;

	if (!windows)
		return;
	memcpy(sketch->before, sketch->now, sizeof(sketch->before));
	memset(sketch->now, 0, sizeof(sketch->now));
	if (windows > 1)
		memset(sketch->before, 0, sizeof(sketch->before));
	*turned_ds += windows * window_ds;
}

void sketch_add(struct sketch *sketch, uint64_t hash)
{
	sketch->now[hash >> 32 & 1] |= 1ull << (hash >> 33 & 63);
}

/* With so many bits set, that many different ones are expected: those of the coupon collector. */
uint32_t sketch_estimate(const struct sketch *sketch)
{
	uint32_t set = (uint32_t)__builtin_popcountll(sketch->now[0] | sketch->before[0]) +
		       (uint32_t)__builtin_popcountll(sketch->now[1] | sketch->before[1]);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < set; i++)
		sum += (SKETCH_BITS << 16) / (SKETCH_BITS - i);
	return (uint32_t)((sum + (1u << 15)) >> 16);
}

/* ---- Sets ---- */

int sets_init(struct sets *sets, uint32_t count, size_t slot_bytes)
{
	uint32_t sets_needed = 1;

	while (sets_needed * SET_WAYS < count)
		sets_needed *= 2;
	sets->mask = sets_needed - 1;
	sets->slot_bytes = slot_bytes;
	sets->heads = memory_alloc(sets_needed * sizeof(*sets->heads));
	sets->slots = memory_alloc(sets_needed * SET_WAYS * slot_bytes);
	return sets->heads && sets->slots ? 0 : -ENOMEM;
}

void sets_clear(struct sets *sets)
{
	memory_free(sets->heads);
	memory_free(sets->slots);
}

uint32_t sets_count(const struct sets *sets)
{
	return (sets->mask + 1) * SET_WAYS;
}

static struct slot *slot_at(const struct sets *sets, uint32_t set, uint32_t way)
{
	return (struct slot *)(void *)(sets->slots + (set * SET_WAYS + way) * sets->slot_bytes);
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32) | 1;
}

/* Each has two sets to be in, so that hardly one overflows before nearly all are full. */
static uint32_t set_of(const struct sets *sets, uint64_t hash, int choice)
{
	return (uint32_t)(choice ? hash >> 24 : hash) & sets->mask;
}

void sets_expect(const struct sets *sets, uint64_t hash)
{
	__builtin_prefetch(&sets->heads[set_of(sets, hash, 0)]);
	__builtin_prefetch(&sets->heads[set_of(sets, hash, 1)]);
}

void *sets_find(const struct sets *sets, uint64_t hash, const struct detect_subject *subject)
{
	uint32_t tag = tag_of(hash);

	for (int choice = 0; choice < 2; choice++) {
		uint32_t set = set_of(sets, hash, choice);

		for (uint32_t way = 0; way < SET_WAYS; way++)
			if (sets->heads[set].tags[way] == tag &&
			    detect_subject_equal(&slot_at(sets, set, way)->subject, subject))
				return slot_at(sets, set, way);
	}
	return NULL;
}

static uint32_t free_in(const struct set_head *head)
{
	uint32_t count = 0;

	for (uint32_t way = 0; way < SET_WAYS; way++)
		count += !head->tags[way];
	return count;
}

/* A free one, else the one to be forgotten first. */
static uint32_t way_to_take(const struct set_head *head)
{
	uint32_t chosen = 0;

	for (uint32_t way = 0; way < SET_WAYS; way++) {
		if (!head->tags[way])
			return way;
		if (head->keep_ds[way] < head->keep_ds[chosen])
			chosen = way;
	}
	return chosen;
}

void *sets_place(struct sets *sets, uint64_t hash, const struct detect_subject *subject, uint32_t now_ds,
		 bool *pushed_out)
{
	uint32_t set = set_of(sets, hash, 0), other = set_of(sets, hash, 1), way, other_way;
	struct slot *slot;

	way = way_to_take(&sets->heads[set]);
	other_way = way_to_take(&sets->heads[other]);
	if (free_in(&sets->heads[other]) > free_in(&sets->heads[set]) ||
	    (!free_in(&sets->heads[set]) && sets->heads[other].keep_ds[other_way] < sets->heads[set].keep_ds[way])) {
		set = other;
		way = other_way;
	}
	*pushed_out = sets->heads[set].tags[way] && sets->heads[set].keep_ds[way] > now_ds;
	sets->heads[set].tags[way] = tag_of(hash);
	sets->heads[set].keep_ds[way] = 0;
	slot = slot_at(sets, set, way);
	memset(slot, 0, sets->slot_bytes);
	slot->subject = *subject;
	return slot;
}

static size_t index_of(const struct sets *sets, const void *slot)
{
	return (size_t)((const char *)slot - sets->slots) / sets->slot_bytes;
}

void sets_keep(struct sets *sets, const void *slot, uint32_t keep_ds)
{
	size_t index = index_of(sets, slot);

	sets->heads[index / SET_WAYS].keep_ds[index % SET_WAYS] = keep_ds;
}

uint32_t sets_kept(const struct sets *sets, const void *slot)
{
	size_t index = index_of(sets, slot);

	return sets->heads[index / SET_WAYS].keep_ds[index % SET_WAYS];
}

void sets_remove(struct sets *sets, const void *slot)
{
	size_t index = index_of(sets, slot);

	sets->heads[index / SET_WAYS].tags[index % SET_WAYS] = 0;
}

void *sets_at(const struct sets *sets, uint32_t index)
{
	uint32_t set = index / SET_WAYS, way = index % SET_WAYS;

	return sets->heads[set].tags[way] ? slot_at(sets, set, way) : NULL;
}
