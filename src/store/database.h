/* SPDX-License-Identifier: Apache-2.0
 * What the files of this folder share: the open database and its tables of records. */
#ifndef RINGWALL_STORE_DATABASE_H
#define RINGWALL_STORE_DATABASE_H

#include <sqlite3.h>

#include "store/store.h"

/* Brings the schema up to date. Returns SQLITE_OK, or another code with the reason in `error`. */
int database_schema_apply(sqlite3 *database, char *error, size_t error_capacity);

/* What SQLite says, as a negative errno. */
int database_error(int sqlite_code);

/* A kind of record: one table, one struct, one row a column. The first column is the primary key. */
enum column_kind { COLUMN_TEXT, COLUMN_U8, COLUMN_U32, COLUMN_U64, COLUMN_ADDRESS };
struct column {
	const char *name;
	enum column_kind kind;
	uint16_t offset, capacity; /* of the struct's member */
};
struct record_kind {
	const char *table;
	const struct column *columns;
	uint8_t column_count;
	size_t struct_bytes;
};
extern const struct record_kind record_binding, record_account;

enum { STATEMENT_SAVE, STATEMENT_REMOVE, STATEMENT_SELECT, STATEMENT_COUNT };

/* Prepares the three statements of a kind; what was prepared is the caller's to finalize. Returns an SQLite code. */
int record_prepare(sqlite3 *database, const struct record_kind *kind, sqlite3_stmt *statements[STATEMENT_COUNT]);

/* Binds every column of `record`. Returns an SQLite code. */
int record_bind(sqlite3_stmt *statement, const struct record_kind *kind, const void *record);

/* Reads the current row into `record`, which is zeroed first. False when it does not fit: not written by us. */
bool record_read(sqlite3_stmt *statement, const struct record_kind *kind, void *record);

#endif
