/* SPDX-License-Identifier: Apache-2.0
 * Tables for people: aligned columns. What came from the network is made printable, so that it cannot speak to the
 * terminal. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/cli.h"

#define CELL_MAXIMUM 200 /* bytes */

struct text_table {
	int columns;
	size_t cell_count, capacity;
	char **cells;
	int widths[TABLE_COLUMNS_MAXIMUM];
};

static void cell_add(struct text_table *table, struct span text)
{
	int column = (int)(table->cell_count % (size_t)table->columns);

	if (table->cell_count == table->capacity) {
		size_t capacity = table->capacity ? 2 * table->capacity : 64;
		char **cells = memory_realloc(table->cells, capacity * sizeof(*cells));

		if (!cells)
			return;
		table->cells = cells;
		table->capacity = capacity;
	}
	table->cells[table->cell_count] = memory_copy_text(text);
	if (!table->cells[table->cell_count])
		return;
	table->cell_count++;
	if ((int)text.length > table->widths[column])
		table->widths[column] = (int)text.length;
}

struct text_table *text_table_new(const char *const *headline, int columns)
{
	struct text_table *table = memory_alloc(sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	for (int i = 0; i < columns; i++)
		cell_add(table, span_from(headline[i]));
	return table;
}

void text_table_cell(struct text_table *table, const char *format, ...)
{
	char text[CELL_MAXIMUM];
	va_list arguments;

	if (!table)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
			*at = '?';
	cell_add(table, span_from(text));
}

void text_table_print(struct text_table *table, const char *empty)
{
	if (!table)
		return;
	if (table->cell_count <= (size_t)table->columns)
		printf("%s\n", empty);
	for (size_t i = 0; i < table->cell_count; i++) {
		int column = (int)(i % (size_t)table->columns);
		bool is_last = column == table->columns - 1;

		if (table->cell_count > (size_t)table->columns)
			printf("%-*s%s", is_last ? 0 : table->widths[column], table->cells[i], is_last ? "\n" : "  ");
		memory_free(table->cells[i]);
	}
	memory_free(table->cells);
	memory_free(table);
}
