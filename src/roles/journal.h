/* SPDX-License-Identifier: Apache-2.0
 * The journal: changes of bindings that are not on the disk yet, as far as we know. The store says how many of those that it was
 * told are; what it was told since, or before it died or could not write, is told again, so that neither its death nor a
 * full disk loses a registration (A1, A2). Of each binding the last change alone is kept. Telling twice does no harm.
 * Single-threaded. */
#ifndef RINGWALL_ROLES_JOURNAL_H
#define RINGWALL_ROLES_JOURNAL_H

#include "base/clock.h"
#include "ipc/ipc.h"

#define JOURNAL_MAXIMUM_BYTES (64u << 20) /* some 100,000 phones */
#define JOURNAL_WINDOW_BYTES (4u << 20)   /* told and not on the disk yet: less than a channel's queue holds */

struct journal;

/* NULL when memory is short. */
struct journal *journal_new(struct random_source random);
void journal_free(struct journal *journal); /* NULL is allowed */

/* Keeps a copy of a BINDING or BINDING_REMOVE, in the place of an earlier one with its token. Without room the oldest goes.
 * Returns 0; or -ENOMEM, -EINVAL. */
int journal_add(struct journal *journal, const struct ipc_message *message);

/* Everything is to be told again: to a new store, or one that lost what it was told. */
void journal_again(struct journal *journal);

/* Visits what was not told yet, oldest first, decoded, as far as the window allows; from then on it is told. */
void journal_tell(struct journal *journal, void (*visit)(void *context, const struct ipc_message *message),
		  void *context);

/* The first `count` that were told since journal_again are on the disk. */
void journal_stored(struct journal *journal, uint64_t count);

uint32_t journal_count(const struct journal *journal);

/* How many were dropped for want of room; counts from the last call anew. */
uint32_t journal_dropped(struct journal *journal);

#endif
