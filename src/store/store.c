/* SPDX-License-Identifier: Apache-2.0
 * The database: opening it safely, gathering changes into transactions, making them durable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "store/database.h"

struct store {
	sqlite3 *database;
	sqlite3_stmt *bindings[STATEMENT_COUNT], *accounts[STATEMENT_COUNT];
	sqlite3_stmt *expire, *begin, *commit;
	bool dirty;
};

/* WAL and FULL: a commit is on the disk when it returns, and a reader never waits. What is deleted is overwritten,
 * for accounts hold what a password is worth. Nothing is put into files elsewhere. The cache is small (KiB): rows are
 * written far more often than read, and the kernel keeps the file's pages anyway. */
static const char pragmas[] = "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = FULL;"
			      "PRAGMA secure_delete = ON;"
			      "PRAGMA temp_store = MEMORY;"
			      "PRAGMA cache_size = -512;"
			      "PRAGMA trusted_schema = OFF;"
			      "PRAGMA cell_size_check = ON;";

#define BUSY_TIMEOUT_MS 2000

int database_error(int sqlite_code)
{
	switch (sqlite_code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH: return -EINVAL;
	default: return -EIO;
	}
}

/* SQLite makes every path absolute, and then needs the right to pass all directories above. The store role has it for its
 * working directory alone; so paths are taken as they are given. */
static int path_as_it_is(sqlite3_vfs *files, const char *path, int capacity, char *out)
{
	(void)files;
	return span_copy(span_from(path), out, (size_t)capacity) ? SQLITE_CANTOPEN : SQLITE_OK;
}

#define FILES_NAME "ringwall"

/* SQLite keeps what is registered for the life of the process. Returns an SQLite code. */
static int files_register(void)
{
	static sqlite3_vfs files;
	const sqlite3_vfs *usual = sqlite3_vfs_find(NULL);

	if (sqlite3_vfs_find(FILES_NAME))
		return SQLITE_OK;
	if (!usual)
		return SQLITE_ERROR;
	files = *usual;
	files.zName = FILES_NAME;
	files.xFullPathname = path_as_it_is;
	return sqlite3_vfs_register(&files, 0);
}

/* Makes the file readable by its owner alone before SQLite sees it; its companions inherit the mode. */
static int file_prepare(const char *path)
{
	int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error = 0;

	if (descriptor < 0)
		return -errno;
	if (fchmod(descriptor, 0600) < 0)
		error = -errno;
	close(descriptor);
	return error;
}

/* A write-ahead log left behind means that the last owner did not close: SQLite will recover it. */
static bool was_left_open(const char *path)
{
	char log_path[4096];
	struct stat status;

	if (snprintf(log_path, sizeof(log_path), "%s-wal", path) >= (int)sizeof(log_path))
		return false;
	return stat(log_path, &status) == 0 && status.st_size > 0;
}

static bool integrity_check(sqlite3 *database, char *error, size_t error_capacity)
{
	sqlite3_stmt *statement = NULL;
	bool sound = false;

	if (sqlite3_prepare_v2(database, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
	    sqlite3_step(statement) == SQLITE_ROW) {
		const char *said = (const char *)sqlite3_column_text(statement, 0);

		sound = said && strcmp(said, "ok") == 0;
		snprintf(error, error_capacity, "is damaged: %s", said ? said : "no memory to check it");
	} else {
		snprintf(error, error_capacity, "is damaged: %s", sqlite3_errmsg(database));
	}
	sqlite3_finalize(statement);
	return sound;
}

static int statements_prepare(struct store *store)
{
	sqlite3 *database = store->database;
	int result = record_prepare(database, &record_binding, store->bindings);

	if (result == SQLITE_OK)
		result = record_prepare(database, &record_account, store->accounts);
	if (result == SQLITE_OK)
		result = sqlite3_prepare_v3(database, "DELETE FROM binding WHERE expires_at_s <= ?", -1,
					    SQLITE_PREPARE_PERSISTENT, &store->expire, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_prepare_v3(database, "BEGIN IMMEDIATE", -1, SQLITE_PREPARE_PERSISTENT, &store->begin,
					    NULL);
	if (result == SQLITE_OK)
		result = sqlite3_prepare_v3(database, "COMMIT", -1, SQLITE_PREPARE_PERSISTENT, &store->commit, NULL);
	return result;
}

/* Everything between the open file and the first change. Writes what is wrong, without the path. */
static bool store_start(struct store *store, const char *path, bool check, char *error, size_t error_capacity)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	int result = files_register();

	if (result == SQLITE_OK)
		result = sqlite3_open_v2(path, &store->database, flags, FILES_NAME);
	if (result == SQLITE_OK && sqlite3_db_readonly(store->database, "main") == 1) {
		snprintf(error, error_capacity, "cannot be written: %s", strerror(EROFS));
		return false;
	}
	if (result == SQLITE_OK)
		result = sqlite3_busy_timeout(store->database, BUSY_TIMEOUT_MS);
	if (result == SQLITE_OK)
		result = sqlite3_exec(store->database, pragmas, NULL, NULL, NULL);
	if (result == SQLITE_OK && check && !integrity_check(store->database, error, error_capacity))
		return false;
	if (result == SQLITE_OK && database_schema_apply(store->database, error, error_capacity) != SQLITE_OK)
		return false;
	if (result == SQLITE_OK)
		result = statements_prepare(store);
	if (result != SQLITE_OK)
		snprintf(error, error_capacity, "cannot be used: %s",
			 store->database ? sqlite3_errmsg(store->database) : sqlite3_errstr(result));
	return result == SQLITE_OK;
}

struct store *store_open(const char *path, char *error, size_t error_capacity)
{
	struct store *store = memory_alloc(sizeof(*store));
	char reason[256] = "no memory";
	bool left_open;
	int result;

	if (!store)
		goto failed;
	result = file_prepare(path);
	if (result) {
		snprintf(reason, sizeof(reason), "cannot be opened: %s", strerror(-result));
		goto failed;
	}
	left_open = was_left_open(path);
	if (left_open)
		log_write(LOG_NOTICE, "store", "the database was not closed last time: recovering and checking it");
	if (!store_start(store, path, left_open, reason, sizeof(reason)))
		goto failed;
	return store;
failed:
	snprintf(error, error_capacity, "database %s %s", path, reason);
	store_close(store);
	return NULL;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->dirty)
		store_commit(store);
	for (int i = 0; i < STATEMENT_COUNT; i++) {
		sqlite3_finalize(store->bindings[i]);
		sqlite3_finalize(store->accounts[i]);
	}
	sqlite3_finalize(store->expire);
	sqlite3_finalize(store->begin);
	sqlite3_finalize(store->commit);
	sqlite3_close(store->database);
	memory_free(store);
}

/* Runs a statement to its end and makes it ready for the next time; forgets what was bound. */
static int statement_run(sqlite3_stmt *statement)
{
	int result = sqlite3_step(statement);

	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return result == SQLITE_DONE ? SQLITE_OK : result;
}

/* Before a change. Returns a negative errno. */
static int transaction_begin(struct store *store)
{
	int result;

	if (store->dirty)
		return 0;
	result = statement_run(store->begin);
	if (result != SQLITE_OK)
		return database_error(result);
	store->dirty = true;
	return 0;
}

/* After a statement of a transaction. A full disk or an I/O error may have made SQLite roll back all of it. */
static int transaction_result(struct store *store, int result)
{
	if (sqlite3_get_autocommit(store->database))
		store->dirty = false;
	return database_error(result);
}

static int record_save(struct store *store, sqlite3_stmt *statement, const struct record_kind *kind, const void *record)
{
	int error = transaction_begin(store);
	int result;

	if (error)
		return error;
	result = record_bind(statement, kind, record);
	if (result != SQLITE_OK) {
		sqlite3_clear_bindings(statement);
		return transaction_result(store, result);
	}
	return transaction_result(store, statement_run(statement));
}

static int record_remove(struct store *store, sqlite3_stmt *statement, const char *key)
{
	int error = transaction_begin(store);
	int result;

	if (error)
		return error;
	result = sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	if (result == SQLITE_OK)
		result = statement_run(statement);
	if (result == SQLITE_OK && sqlite3_changes(store->database) == 0)
		return -ENOENT;
	return transaction_result(store, result);
}

int store_binding_save(struct store *store, const struct ipc_binding *binding)
{
	return record_save(store, store->bindings[STATEMENT_SAVE], &record_binding, binding);
}

int store_binding_remove(struct store *store, const char *token)
{
	return record_remove(store, store->bindings[STATEMENT_REMOVE], token);
}

int store_account_save(struct store *store, const struct ipc_account *account)
{
	return record_save(store, store->accounts[STATEMENT_SAVE], &record_account, account);
}

int store_account_remove(struct store *store, const char *user)
{
	return record_remove(store, store->accounts[STATEMENT_REMOVE], user);
}

int store_commit(struct store *store)
{
	int result;

	if (!store->dirty)
		return 0;
	result = statement_run(store->commit);
	/* What could not be made durable is not left half in force. */
	if (result != SQLITE_OK && !sqlite3_get_autocommit(store->database))
		sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
	store->dirty = false;
	return database_error(result);
}

bool store_is_dirty(const struct store *store)
{
	return store->dirty;
}

/* Steps through a SELECT. `again` is told each record; a row that does not fit was not written by us and is left out. */
static int records_each(sqlite3_stmt *statement, const struct record_kind *kind, void *record,
			bool (*again)(void *closure), void *closure)
{
	int result;

	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		if (!record_read(statement, kind, record)) {
			log_write(LOG_WARNING, "store", "a row of table %s cannot be understood and is left out",
				  kind->table);
			continue;
		}
		if (!again(closure))
			break;
	}
	sqlite3_reset(statement);
	memory_wipe(record, kind->struct_bytes);
	return database_error(result);
}

struct binding_visit {
	bool (*visit)(void *context, const struct ipc_binding *binding);
	void *context;
	struct ipc_binding binding;
};

static bool binding_visit(void *closure)
{
	struct binding_visit *each = closure;

	return each->visit(each->context, &each->binding);
}

int store_bindings_each(struct store *store, uint64_t now_s,
			bool (*visit)(void *context, const struct ipc_binding *binding), void *context)
{
	struct binding_visit each = {.visit = visit, .context = context};
	int error = transaction_begin(store);

	if (error)
		return error;
	sqlite3_bind_int64(store->expire, 1, (sqlite3_int64)now_s);
	error = transaction_result(store, statement_run(store->expire));
	if (error)
		return error;
	return records_each(store->bindings[STATEMENT_SELECT], &record_binding, &each.binding, binding_visit, &each);
}

struct account_visit {
	bool (*visit)(void *context, const struct ipc_account *account);
	void *context;
	struct ipc_account account;
};

static bool account_visit(void *closure)
{
	struct account_visit *each = closure;

	return each->visit(each->context, &each->account);
}

int store_accounts_each(struct store *store, bool (*visit)(void *context, const struct ipc_account *account),
			void *context)
{
	struct account_visit each = {.visit = visit, .context = context};

	return records_each(store->accounts[STATEMENT_SELECT], &record_account, &each.account, account_visit, &each);
}
