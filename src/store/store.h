/* SPDX-License-Identifier: Apache-2.0
 * The database: what must outlive a power cut. SQLite in WAL mode, one writer. Synchronous; runs in the store role (or in the
 * command line when no gateway runs). */
#ifndef RINGWALL_STORE_STORE_H
#define RINGWALL_STORE_STORE_H

#include "ipc/ipc.h"

struct store;

/* Opens or makes `path`, brings its schema up to date (PRAGMA user_version), checks integrity after an unclean end.
 * NULL with the reason in `error`. */
struct store *store_open(const char *path, char *error, size_t error_capacity);
void store_close(struct store *store); /* commits what is pending; NULL is allowed */

/* Changes are gathered into a transaction; store_commit makes them durable (fsync). The role calls it at most 200 ms
 * after the first uncommitted change. Each returns 0, or a negative error with the change not made
 * (-ENOSPC: disk full, -EROFS, -EIO, -EEXIST, -ENOENT). */
int store_binding_save(struct store *store, const struct ipc_binding *binding);
int store_binding_remove(struct store *store, const char *token);
int store_account_save(struct store *store, const struct ipc_account *account);
int store_account_remove(struct store *store, const char *user);
int store_commit(struct store *store);
bool store_is_dirty(const struct store *store);

/* Visits all that are not expired at now_s; removes the expired. visit returns false to stop. Returns 0 or a negative error. */
int store_bindings_each(struct store *store, uint64_t now_s,
			bool (*visit)(void *context, const struct ipc_binding *binding), void *context);
int store_accounts_each(struct store *store, bool (*visit)(void *context, const struct ipc_account *account),
			void *context);

#endif
