/* SPDX-License-Identifier: Apache-2.0
 * The journal: changes of bindings that may not be on the disk yet. While the store runs, it commits within 200 ms, and only
 * what is younger than a second is kept; while the store is away, all is. A store that comes back is told again, so that
 * its death loses no registration (A1, A2). Telling twice does no harm. Single-threaded. */
#ifndef RINGWALL_ROLES_JOURNAL_H
#define RINGWALL_ROLES_JOURNAL_H

#include "ipc/ipc.h"

#define JOURNAL_AGE_US 1000000u
#define JOURNAL_MAXIMUM_BYTES (12u << 20) /* what fits into a channel's queue */

struct journal;

/* NULL when memory is short. */
struct journal *journal_new(void);
void journal_free(struct journal *journal); /* NULL is allowed */

/* Keeps a copy of a message that carries no descriptor. Without room the oldest goes. Returns 0; or -ENOMEM, -EINVAL. */
int journal_add(struct journal *journal, const struct ipc_message *message, uint64_t now_us);

/* The store runs: what is older than JOURNAL_AGE_US is on the disk. */
void journal_trim(struct journal *journal, uint64_t now_us);

/* Visits all, oldest first, decoded; `sender` is who may send them. */
void journal_each(const struct journal *journal, enum ipc_role sender,
		  void (*visit)(void *context, const struct ipc_message *message), void *context);

uint32_t journal_count(const struct journal *journal);

/* How many were dropped for want of room; counts from the last call anew. */
uint32_t journal_dropped(struct journal *journal);

#endif
