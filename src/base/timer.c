/* SPDX-License-Identifier: Apache-2.0
 * Timers: a hierarchical wheel. Level 0 has a slot for each of the next milliseconds, level n one
 * for each 64^n of them.
 *
 * A timer stands at the level of the highest group of six bits in which its due time differs from
 * `tick`. So all of a level come before all of the next one, within a level slots come in the order of
 * their numbers and never wrap, and the earliest is found with one bitmap a level. */
#include "base/timer.h"

#include <stddef.h>

#include "base/memory.h"

#define SLOT_BITS 6
#define SLOTS (1 << SLOT_BITS)
#define LEVELS 10 /* 60 bits of milliseconds: more than a 64-bit count of microseconds can tell */
#define DELAY_MAXIMUM_MS (UINT64_C(1) << 50)

struct timer_wheel {
	uint64_t now_us; /* last given */
	uint64_t tick;   /* ms; all before it has fired */
	bool advancing;
	struct timer ready;  /* head: started without delay, for the next advance */
	struct timer firing; /* head: taken out of the wheel, being fired */
	uint64_t occupied[LEVELS];
	struct timer slots[LEVELS][SLOTS]; /* heads */
};

static void head_init(struct timer *head)
{
	head->next = head->previous = head;
}

static bool head_is_empty(const struct timer *head)
{
	return head->next == head;
}

static void append(struct timer *head, struct timer *timer)
{
	timer->next = head;
	timer->previous = head->previous;
	head->previous->next = timer;
	head->previous = timer;
}

/* Moves all timers of `from` to the end of `to`. */
static void splice(struct timer *to, struct timer *from)
{
	if (head_is_empty(from))
		return;
	from->next->previous = to->previous;
	to->previous->next = from->next;
	from->previous->next = to;
	to->previous = from->previous;
	head_init(from);
}

struct timer_wheel *timer_wheel_new(uint64_t now_us)
{
	struct timer_wheel *wheel = memory_alloc(sizeof(*wheel));

	if (!wheel)
		return NULL;
	wheel->now_us = now_us;
	wheel->tick = now_us / 1000;
	head_init(&wheel->ready);
	head_init(&wheel->firing);
	for (int level = 0; level < LEVELS; level++) {
		for (int slot = 0; slot < SLOTS; slot++)
			head_init(&wheel->slots[level][slot]);
	}
	return wheel;
}

void timer_wheel_free(struct timer_wheel *wheel)
{
	memory_free(wheel);
}

/* due_ms is not before tick. */
static void place(struct timer_wheel *wheel, struct timer *timer)
{
	uint64_t difference = timer->due_ms ^ wheel->tick;
	int level = difference ? (63 - __builtin_clzll(difference)) / SLOT_BITS : 0;
	int slot = (int)(timer->due_ms >> (level * SLOT_BITS)) & (SLOTS - 1);

	append(&wheel->slots[level][slot], timer);
	wheel->occupied[level] |= UINT64_C(1) << slot;
}

void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t delay_ms)
{
	timer_stop(wheel, timer);
	if (delay_ms == 0) {
		/* Never within the advance that runs now: a timer restarting itself would not let it end. */
		timer->due_ms = wheel->now_us / 1000;
		append(&wheel->ready, timer);
		return;
	}
	if (delay_ms > DELAY_MAXIMUM_MS)
		delay_ms = DELAY_MAXIMUM_MS;
	/* Rounded up: never early by a part of a millisecond. */
	timer->due_ms = wheel->now_us / 1000 + (wheel->now_us % 1000 != 0) + delay_ms;
	place(wheel, timer);
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
	struct timer *next = timer->next, *previous = timer->previous;
	struct timer *first = &wheel->slots[0][0];

	if (!next)
		return;
	next->previous = previous;
	previous->next = next;
	timer->next = timer->previous = NULL;
	/* It was the last in its list, and what is left is the head: of a slot, perhaps. */
	if (next == previous && (uintptr_t)next >= (uintptr_t)first &&
	    (uintptr_t)next < (uintptr_t)(first + LEVELS * SLOTS)) {
		ptrdiff_t index = next - first;

		wheel->occupied[index / SLOTS] &= ~(UINT64_C(1) << (index % SLOTS));
	}
}

bool timer_is_running(const struct timer *timer)
{
	return timer->next != NULL;
}

/* The first occupied slot in time, and when it begins. Returns false if there is none. */
static bool earliest(const struct timer_wheel *wheel, int *level, int *slot, uint64_t *begin_ms)
{
	for (int i = 0; i < LEVELS; i++) {
		uint64_t above;

		if (!wheel->occupied[i])
			continue;
		above = wheel->tick >> ((i + 1) * SLOT_BITS) << ((i + 1) * SLOT_BITS);
		*level = i;
		*slot = __builtin_ctzll(wheel->occupied[i]);
		*begin_ms = above | (uint64_t)*slot << (i * SLOT_BITS);
		return true;
	}
	return false;
}

static void fire_all(struct timer_wheel *wheel)
{
	while (!head_is_empty(&wheel->firing)) {
		struct timer *timer = wheel->firing.next;

		timer_stop(wheel, timer);
		timer->fire(timer->context); /* the timer's memory may be gone after this */
	}
}

/* Puts the timers of a slot whose time has begun where they belong on the levels below. */
static void cascade(struct timer_wheel *wheel)
{
	while (!head_is_empty(&wheel->firing)) {
		struct timer *timer = wheel->firing.next;

		timer_stop(wheel, timer);
		place(wheel, timer);
	}
}

void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_us)
{
	uint64_t target, begin_ms;
	int level, slot;

	if (wheel->advancing) /* from within a callback */
		return;
	wheel->advancing = true;
	if (now_us > wheel->now_us)
		wheel->now_us = now_us;
	target = wheel->now_us / 1000;
	splice(&wheel->firing, &wheel->ready);
	fire_all(wheel);
	while (earliest(wheel, &level, &slot, &begin_ms) && begin_ms <= target) {
		wheel->tick = begin_ms;
		wheel->occupied[level] &= ~(UINT64_C(1) << slot);
		splice(&wheel->firing, &wheel->slots[level][slot]);
		if (level == 0)
			fire_all(wheel);
		else
			cascade(wheel);
	}
	wheel->tick = target;
	wheel->advancing = false;
}

uint64_t timer_wheel_now_ms(const struct timer_wheel *wheel)
{
	return wheel->now_us / 1000;
}

uint64_t timer_wheel_wait_ms(const struct timer_wheel *wheel, uint64_t maximum_ms)
{
	uint64_t begin_ms, now_ms = wheel->now_us / 1000;
	int level, slot;

	if (!head_is_empty(&wheel->ready))
		return 0;
	if (!earliest(wheel, &level, &slot, &begin_ms) || begin_ms - now_ms > maximum_ms)
		return maximum_ms;
	return begin_ms - now_ms;
}
