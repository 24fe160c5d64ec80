/* SPDX-License-Identifier: Apache-2.0
 * Evidence on record, in the store's directory: see struct config's `record`. The store's thread. */
#ifndef RINGWALL_ROLES_STORE_RECORD_H
#define RINGWALL_ROLES_STORE_RECORD_H

#include "config/config.h"
#include "ipc/ipc.h"

struct event_base;
struct store_record;

/* NULL: none is wanted, or it cannot be had, which has been logged. */
struct store_record *store_record_new(struct event_base *loop, const struct config *config);
void store_record_free(struct store_record *self);                                    /* NULL is allowed */
void store_record_put(struct store_record *self, const struct ipc_evidence *message); /* NULL is allowed */

#endif
