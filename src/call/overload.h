/* SPDX-License-Identifier: Apache-2.0
 * Overload: how far the loop and the transaction table are behind, and whose new calls wait for it. Pure: time is an argument.
 * Calls that stand are never concerned, nor calls to emergency numbers. */
#ifndef RINGWALL_CALL_OVERLOAD_H
#define RINGWALL_CALL_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

enum overload_level {
	OVERLOAD_NONE,
	OVERLOAD_UNPROVEN, /* new calls of sources that have shown nothing are refused */
	OVERLOAD_ALL,      /* and of all others */
};

struct overload { /* zeroed at first */
	uint64_t ticked_us;
	uint64_t late_us; /* by which the ticks come too late, smoothed over some 300 ms */
	enum overload_level level;
};

/* At each tick, which should come every `interval_us`. `fill_percent` is of the transaction table. Returns whether the level
 * changed. A level is left only well below where it was entered. */
bool overload_tick(struct overload *overload, uint64_t now_us, uint64_t interval_us, uint32_t fill_percent);

/* `shown`: the source proved its address, or is a peer. */
bool overload_refuses(const struct overload *overload, bool shown);

/* Seconds for Retry-After, spread by `chance` so that not all come back at once: 5 to 20, the more the worse it is. */
uint32_t overload_retry_after_s(const struct overload *overload, uint64_t chance);

#endif
