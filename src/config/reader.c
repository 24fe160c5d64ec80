/* SPDX-License-Identifier: Apache-2.0
 * What the walk, the values and the rules share: reporting, and finding the way back from a value to its line. */
#include <stdio.h>
#include <string.h>

#include "config/values.h"

void reader_error(struct reader *reader, struct node *node, const char *key, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	errors_add_list(reader->errors, WEIGHT_ERROR, reader->file, node->line, key, format, arguments);
	va_end(arguments);
	node->faulty = true;
}

void reader_error_line(struct reader *reader, uint32_t line, const char *key, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	errors_add_list(reader->errors, WEIGHT_ERROR, reader->file, line, key, format, arguments);
	va_end(arguments);
}

void reader_note(struct reader *reader, uint32_t line, const char *key, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	errors_add_list(reader->errors, WEIGHT_NOTE, reader->file, line, key, format, arguments);
	va_end(arguments);
}

void config_complain(struct config_check *check, bool is_error, uint8_t zone, const char *key, const char *format, ...)
{
	struct reader *reader = check->reader;
	bool of_zone = zone != CONFIG_NO_ZONE;
	char name[128];
	va_list arguments;

	snprintf(name, sizeof(name), "%s%s", of_zone ? "zones." : "", key);
	va_start(arguments, format);
	errors_add_list(reader->errors, is_error ? WEIGHT_ERROR : WEIGHT_NOTE, reader->file,
			reader_line(of_zone ? reader_zone_node(reader, zone) : reader->root, key), name, format,
			arguments);
	va_end(arguments);
}

uint32_t reader_line(const struct node *map, const char *path)
{
	uint32_t line = map ? map->line : 1;

	while (map && path) {
		const char *dot = strchr(path, '.');

		map = node_child(map, dot ? (struct span){path, (size_t)(dot - path)} : span_from(path));
		if (map)
			line = map->line;
		path = dot ? dot + 1 : NULL;
	}
	return line;
}

struct node *reader_zone_node(const struct reader *reader, uint32_t index)
{
	return node_item(node_child(reader->root, SPAN("zones")), index);
}

struct node *reader_route_node(const struct reader *reader, uint32_t index)
{
	return node_item(node_child(reader->root, SPAN("routes")), index);
}
