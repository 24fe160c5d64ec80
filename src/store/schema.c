/* SPDX-License-Identifier: Apache-2.0
 * The database's schema and how each version becomes the next. Texts that were released are never edited: a change
 * is a new row. */
#include <sqlite3.h>
#include <stdio.h>

#include "store/database.h"

/* Row n brings version n to version n + 1. */
static const char *const upgrades[] = {
	"CREATE TABLE binding ("
	" token TEXT PRIMARY KEY,"
	" zone TEXT NOT NULL,"
	" account TEXT NOT NULL,"
	" contact TEXT NOT NULL,"
	" call_id TEXT NOT NULL,"
	" cseq INTEGER NOT NULL,"
	" registrar_contact TEXT NOT NULL,"
	" transport INTEGER NOT NULL,"
	" local TEXT NOT NULL,"
	" remote TEXT NOT NULL,"
	" expires_at_s INTEGER NOT NULL,"
	" registrar_expires_at_s INTEGER NOT NULL,"
	" user_agent TEXT NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX binding_expires ON binding(expires_at_s);"
	"CREATE TABLE account ("
	" user TEXT PRIMARY KEY,"
	" realm TEXT NOT NULL,"
	" ha1_md5 TEXT NOT NULL,"
	" ha1_sha256 TEXT NOT NULL,"
	" created_at_s INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;",
	/* Flows of a phone (RFC 5626), what stands before it (RFC 3327) and what its registrar wants (RFC 3608, 5627). */
	"ALTER TABLE binding ADD COLUMN instance TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE binding ADD COLUMN reg_id INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE binding ADD COLUMN path TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE binding ADD COLUMN service_route TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE binding ADD COLUMN gruu TEXT NOT NULL DEFAULT '';",
};
#define SCHEMA_VERSION (int)(sizeof(upgrades) / sizeof(upgrades[0]))

static int version_read(sqlite3 *database, int *version)
{
	sqlite3_stmt *statement;
	int result = sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &statement, NULL);

	if (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		*version = sqlite3_column_int(statement, 0);
	else
		result = sqlite3_errcode(database);
	sqlite3_finalize(statement);
	return result;
}

/* One step in one transaction, so that a power cut leaves the old version or the new one. */
static int upgrade(sqlite3 *database, int version)
{
	char finish[64];
	int result;

	snprintf(finish, sizeof(finish), "PRAGMA user_version = %d; COMMIT", version + 1);
	result = sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_exec(database, upgrades[version], NULL, NULL, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_exec(database, finish, NULL, NULL, NULL);
	if (result != SQLITE_OK && !sqlite3_get_autocommit(database))
		sqlite3_exec(database, "ROLLBACK", NULL, NULL, NULL);
	return result;
}

int database_schema_apply(sqlite3 *database, char *error, size_t error_capacity)
{
	int version = 0;
	int result = version_read(database, &version);

	if (result == SQLITE_OK && (version < 0 || version > SCHEMA_VERSION)) {
		snprintf(error, error_capacity,
			 "has version %d, and this program knows only versions up to %d: "
			 "it was made by a newer ringwall",
			 version, SCHEMA_VERSION);
		return SQLITE_MISMATCH;
	}
	for (; result == SQLITE_OK && version < SCHEMA_VERSION; version++)
		result = upgrade(database, version);
	if (result != SQLITE_OK)
		snprintf(error, error_capacity, "%s", sqlite3_errmsg(database));
	return result;
}
