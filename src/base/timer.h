/* SPDX-License-Identifier: Apache-2.0
 * Timers: a hierarchical wheel with millisecond slots. Starting, stopping and restarting cost
 * the same however many there are. Single-threaded. */
#ifndef RINGWALL_BASE_TIMER_H
#define RINGWALL_BASE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer_wheel;

/* Embedded in its owner, zeroed at first; needs no freeing, but must be stopped before its
 * owner's memory goes. The owner sets `fire` and `context` before the first start. */
struct timer {
	struct timer *next, *previous; /* the wheel's */
	uint64_t due_ms;
	void (*fire)(void *context); /* called once; the timer is already stopped and may be started anew */
	void *context;
};

/* NULL when memory is short. */
struct timer_wheel *timer_wheel_new(uint64_t now_us);
void timer_wheel_free(struct timer_wheel *wheel); /* NULL is allowed; timers still running are forgotten */

/* (Re)starts: fires at the first timer_wheel_advance at or after now + delay_ms, counted from the
 * time last given to the wheel. Started by a callback, it never fires within the same advance. */
void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t delay_ms);

/* No effect on a timer that does not run. */
void timer_stop(struct timer_wheel *wheel, struct timer *timer);

bool timer_is_running(const struct timer *timer);

/* Moves time on and fires what is due, in order of time. */
void timer_wheel_advance(struct timer_wheel *wheel, uint64_t now_us);

/* The time last given to the wheel. */
uint64_t timer_wheel_now_ms(const struct timer_wheel *wheel);

/* How long until the next timer may be due (an early guess is allowed); `maximum_ms` if none is nearer. */
uint64_t timer_wheel_wait_ms(const struct timer_wheel *wheel, uint64_t maximum_ms);

#endif
