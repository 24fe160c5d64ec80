/* SPDX-License-Identifier: Apache-2.0
 * Records: how structs become rows and rows become structs, by a table of columns. */
#include <string.h>

#include "base/buffer.h"
#include "store/database.h"

#define STATEMENT_MAXIMUM_BYTES 1024

/* clang-format off */
#define COLUMN(type, kind, name) \
	{ \
#name, COLUMN_##kind, offsetof(struct type, name), sizeof(((struct type *)0)->name) \
	}
static const struct column binding_columns[] = {
	COLUMN(ipc_binding, TEXT, token),
	COLUMN(ipc_binding, TEXT, zone),
	COLUMN(ipc_binding, TEXT, account),
	COLUMN(ipc_binding, TEXT, contact),
	COLUMN(ipc_binding, TEXT, call_id),
	COLUMN(ipc_binding, U32, cseq),
	COLUMN(ipc_binding, TEXT, registrar_contact),
	COLUMN(ipc_binding, U8, transport),
	COLUMN(ipc_binding, ADDRESS, local),
	COLUMN(ipc_binding, ADDRESS, remote),
	COLUMN(ipc_binding, U64, expires_at_s),
	COLUMN(ipc_binding, U64, registrar_expires_at_s),
	COLUMN(ipc_binding, TEXT, user_agent),
	COLUMN(ipc_binding, TEXT, instance),
	COLUMN(ipc_binding, U32, reg_id),
	COLUMN(ipc_binding, TEXT, path),
	COLUMN(ipc_binding, TEXT, service_route),
	COLUMN(ipc_binding, TEXT, gruu),
};
static const struct column account_columns[] = {
	COLUMN(ipc_account, TEXT, user),        COLUMN(ipc_account, TEXT, realm),
	COLUMN(ipc_account, TEXT, ha1_md5),     COLUMN(ipc_account, TEXT, ha1_sha256),
	COLUMN(ipc_account, U64, created_at_s),
};
/* clang-format on */
#define COUNT(array) (uint8_t)(sizeof(array) / sizeof((array)[0]))

const struct record_kind record_binding = {"binding", binding_columns, COUNT(binding_columns),
					   sizeof(struct ipc_binding)};
const struct record_kind record_account = {"account", account_columns, COUNT(account_columns),
					   sizeof(struct ipc_account)};

static void put_columns(struct buffer *sql, const struct record_kind *kind)
{
	for (uint8_t i = 0; i < kind->column_count; i++)
		buffer_printf(sql, "%s%s", i ? ", " : "", kind->columns[i].name);
}

static int prepare(sqlite3 *database, struct buffer *sql, sqlite3_stmt **statement)
{
	if (sql->overflow)
		return SQLITE_TOOBIG;
	return sqlite3_prepare_v3(database, sql->data, (int)sql->length, SQLITE_PREPARE_PERSISTENT, statement, NULL);
}

int record_prepare(sqlite3 *database, const struct record_kind *kind, sqlite3_stmt *statements[STATEMENT_COUNT])
{
	char text[STATEMENT_MAXIMUM_BYTES];
	struct buffer sql = BUFFER_OVER(text);
	int result;

	buffer_printf(&sql, "INSERT OR REPLACE INTO %s (", kind->table);
	put_columns(&sql, kind);
	buffer_put_text(&sql, ") VALUES (");
	for (uint8_t i = 0; i < kind->column_count; i++)
		buffer_put_text(&sql, i ? ", ?" : "?");
	buffer_put_text(&sql, ")");
	result = prepare(database, &sql, &statements[STATEMENT_SAVE]);
	if (result != SQLITE_OK)
		return result;

	sql = BUFFER_OVER(text);
	buffer_printf(&sql, "DELETE FROM %s WHERE %s = ?", kind->table, kind->columns[0].name);
	result = prepare(database, &sql, &statements[STATEMENT_REMOVE]);
	if (result != SQLITE_OK)
		return result;

	sql = BUFFER_OVER(text);
	buffer_put_text(&sql, "SELECT ");
	put_columns(&sql, kind);
	buffer_printf(&sql, " FROM %s ORDER BY %s", kind->table, kind->columns[0].name);
	return prepare(database, &sql, &statements[STATEMENT_SELECT]);
}

static int bind_address(sqlite3_stmt *statement, int index, const struct address *address)
{
	char text[ADDRESS_TEXT_BYTES];
	struct buffer out = BUFFER_OVER(text);

	if (address->family != ADDRESS_NONE)
		address_write(&out, address);
	return sqlite3_bind_text(statement, index, text, (int)out.length, SQLITE_TRANSIENT);
}

/* Texts are bound in place: the caller steps before `record` changes. */
static int bind_column(sqlite3_stmt *statement, int index, const struct column *column, const char *record)
{
	const void *member = record + column->offset;
	const char *end;

	switch (column->kind) {
	case COLUMN_U8: return sqlite3_bind_int(statement, index, *(const uint8_t *)member);
	case COLUMN_U32: return sqlite3_bind_int64(statement, index, *(const uint32_t *)member);
	case COLUMN_U64: return sqlite3_bind_int64(statement, index, (sqlite3_int64) * (const uint64_t *)member);
	case COLUMN_ADDRESS: return bind_address(statement, index, member);
	default: break;
	}
	end = memchr(member, 0, column->capacity);
	if (!end)
		return SQLITE_CONSTRAINT;
	return sqlite3_bind_text(statement, index, member, (int)(end - (const char *)member), SQLITE_STATIC);
}

int record_bind(sqlite3_stmt *statement, const struct record_kind *kind, const void *record)
{
	for (int i = 0; i < kind->column_count; i++) {
		int result = bind_column(statement, i + 1, &kind->columns[i], record);

		if (result != SQLITE_OK)
			return result;
	}
	return SQLITE_OK;
}

static struct span column_text(sqlite3_stmt *statement, int index)
{
	const char *text = (const char *)sqlite3_column_text(statement, index);

	return (struct span){text, text ? (size_t)sqlite3_column_bytes(statement, index) : 0};
}

static bool read_column(sqlite3_stmt *statement, int index, const struct column *column, char *record)
{
	sqlite3_int64 number = sqlite3_column_int64(statement, index);
	void *member = record + column->offset;
	struct span text;

	switch (column->kind) {
	case COLUMN_U8: *(uint8_t *)member = (uint8_t)number; return number >= 0 && number <= UINT8_MAX;
	case COLUMN_U32: *(uint32_t *)member = (uint32_t)number; return number >= 0 && number <= UINT32_MAX;
	case COLUMN_U64: *(uint64_t *)member = (uint64_t)number; return number >= 0;
	default: break;
	}
	text = column_text(statement, index);
	if (column->kind == COLUMN_ADDRESS)
		return text.length == 0 || address_parse(text, member) == 0;
	return span_index(text, 0) < 0 && span_copy(text, member, column->capacity) == 0;
}

bool record_read(sqlite3_stmt *statement, const struct record_kind *kind, void *record)
{
	memset(record, 0, kind->struct_bytes);
	for (int i = 0; i < kind->column_count; i++)
		if (!read_column(statement, i, &kind->columns[i], record))
			return false;
	return true;
}
