/* SPDX-License-Identifier: Apache-2.0
 * From libyaml's events to a tree of nodes with line numbers. */
#include "config/document.h"

#include <string.h>

#include <yaml.h>

#include "base/memory.h"

#define KEY_OF_SYNTAX "yaml" /* stands for the key where a fault belongs to none */

struct builder {
	yaml_parser_t parser;
	struct span text;
	const char *file;
	struct config_errors *errors;
	uint32_t nodes;
};

struct node *node_new(enum node_kind kind, uint32_t line, struct span text)
{
	struct node *node = memory_alloc(sizeof(*node));

	if (!node)
		return NULL;
	node->kind = kind;
	node->line = line;
	if (kind == NODE_TEXT) {
		node->text = memory_copy_text(text);
		if (!node->text) {
			memory_free(node);
			return NULL;
		}
	}
	return node;
}

void node_free(struct node *node)
{
	if (!node)
		return;
	for (struct node *child = node->children, *next; child; child = next) {
		next = child->next;
		node_free(child);
	}
	memory_free(node->name);
	memory_free(node->text);
	memory_free(node);
}

void node_append(struct node *parent, struct node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->children = child;
	parent->last = child;
	parent->count++;
}

struct node *node_child(const struct node *map, struct span name)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (struct node *child = map->children; child; child = child->next)
		if (span_equal(span_from(child->name), name))
			return child;
	return NULL;
}

struct node *node_at(const struct node *map, const char *path)
{
	struct node *node = NULL;

	while (path) {
		const char *dot = strchr(path, '.');

		node = node_child(map, dot ? (struct span){path, (size_t)(dot - path)} : span_from(path));
		map = node;
		path = dot ? dot + 1 : NULL;
	}
	return node;
}

struct node *node_item(const struct node *list, uint32_t index)
{
	struct node *item = list ? list->children : NULL;

	while (item && index--)
		item = item->next;
	return item;
}

static void report(struct builder *builder, size_t line, const char *text)
{
	errors_add(builder->errors, WEIGHT_ERROR, builder->file, (uint32_t)line + 1, KEY_OF_SYNTAX, "%s", text);
}

/* C0, DEL and C1 (in UTF-8) could forge lines of a log or speak to a terminal, and no value needs them. */
static bool has_control_characters(const unsigned char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] < 0x20 || text[i] == 0x7f)
			return true;
		if (text[i] == 0xc2 && i + 1 < length && text[i + 1] < 0xa0)
			return true;
	}
	return false;
}

static uint32_t line_of_offset(struct span text, size_t offset)
{
	uint32_t line = 0;

	for (size_t i = 0; i < offset && i < text.length; i++)
		line += text.data[i] == '\n';
	return line;
}

static void report_syntax(struct builder *builder)
{
	const yaml_parser_t *parser = &builder->parser;
	const char *problem = parser->problem ? parser->problem : "is not YAML";
	const char *hint = "check indentation, quotes and brackets here and in the line before";

	if (parser->error == YAML_MEMORY_ERROR) {
		errors_out_of_memory(builder->errors);
		return;
	}
	if (parser->error == YAML_READER_ERROR) {
		errors_add(builder->errors, WEIGHT_ERROR, builder->file,
			   line_of_offset(builder->text, parser->problem_offset) + 1, KEY_OF_SYNTAX,
			   "%s; write the file in UTF-8 without control characters", problem);
		return;
	}
	if (strstr(problem, "cannot start any token"))
		hint = "indent with spaces, not tabs, and quote values that begin with @, % or `";
	errors_add(builder->errors, WEIGHT_ERROR, builder->file, (uint32_t)parser->problem_mark.line + 1, KEY_OF_SYNTAX,
		   "%s%s%s; %s", problem, parser->context ? " " : "", parser->context ? parser->context : "", hint);
}

/* Takes the next event; false when there is none because of a syntax error, which is reported. */
static bool next_event(struct builder *builder, yaml_event_t *event)
{
	if (yaml_parser_parse(&builder->parser, event))
		return true;
	report_syntax(builder);
	return false;
}

/* What this event's node carries that a configuration may not have; NULL when all is well. */
static const char *refusal(const yaml_event_t *event)
{
	const char *anchors = "anchors and aliases (&, *) are not used here; write the value again";
	const char *tags = "tags (!) are not used here; leave it out, the key knows its type";

	switch (event->type) {
	case YAML_ALIAS_EVENT: return anchors;
	case YAML_SCALAR_EVENT:
		if (event->data.scalar.anchor)
			return anchors;
		if (event->data.scalar.tag)
			return tags;
		if (has_control_characters(event->data.scalar.value, event->data.scalar.length))
			return "control characters and line breaks are not allowed in a value; write it in one line";
		return NULL;
	case YAML_SEQUENCE_START_EVENT:
		if (event->data.sequence_start.anchor)
			return anchors;
		return event->data.sequence_start.tag ? tags : NULL;
	case YAML_MAPPING_START_EVENT:
		if (event->data.mapping_start.anchor)
			return anchors;
		return event->data.mapping_start.tag ? tags : NULL;
	default: return "is not a value";
	}
}

static struct node *read_node(struct builder *builder, const yaml_event_t *event, unsigned depth);

/* Reads the children of a list or map up to its end. Returns 0 or -1. */
static int read_children(struct builder *builder, struct node *parent, unsigned depth)
{
	yaml_event_type_t end = parent->kind == NODE_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;

	for (;;) {
		struct node *child, *key = NULL;
		yaml_event_t event;

		if (!next_event(builder, &event))
			return -1;
		if (event.type == end) {
			yaml_event_delete(&event);
			return 0;
		}
		if (parent->kind == NODE_MAP) {
			if (event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT) {
				report(builder, event.start_mark.line, "a key must be a name, not a list or a map");
				yaml_event_delete(&event);
				return -1;
			}
			key = read_node(builder, &event, depth);
			yaml_event_delete(&event);
			if (!key || !next_event(builder, &event)) {
				node_free(key);
				return -1;
			}
		}
		child = read_node(builder, &event, depth);
		yaml_event_delete(&event);
		if (child && key) {
			child->name = key->text;
			child->line = key->line; /* where the eye looks for it */
			child->faulty |= key->faulty;
			key->text = NULL;
		}
		node_free(key);
		if (!child)
			return -1;
		node_append(parent, child);
		if (parent->kind == NODE_MAP && parent->count > DOCUMENT_MAP_MAXIMUM) {
			report(builder, child->line - 1, "too many keys in one map; no section has so many");
			return -1;
		}
	}
}

static struct node *read_node(struct builder *builder, const yaml_event_t *event, unsigned depth)
{
	const char *refused = refusal(event);
	enum node_kind kind = NODE_TEXT;
	struct span text = SPAN_EMPTY;
	struct node *node;

	if (depth > DOCUMENT_DEPTH_MAXIMUM) {
		report(builder, event->start_mark.line, "nested too deeply; no key of the configuration lies so deep");
		return NULL;
	}
	if (builder->nodes >= DOCUMENT_NODES_MAXIMUM) {
		report(builder, event->start_mark.line,
		       "too many values in one file; no configuration within the limits has so many");
		return NULL;
	}
	if (refused)
		report(builder, event->start_mark.line, refused); /* and on, to find what else is wrong */
	builder->nodes++;
	if (event->type == YAML_SCALAR_EVENT && !refused)
		text = (struct span){(const char *)event->data.scalar.value, event->data.scalar.length};
	else if (event->type == YAML_SEQUENCE_START_EVENT)
		kind = NODE_LIST;
	else if (event->type == YAML_MAPPING_START_EVENT)
		kind = NODE_MAP;

	node = node_new(kind, (uint32_t)event->start_mark.line + 1, text);
	if (!node) {
		errors_out_of_memory(builder->errors);
		return NULL;
	}
	node->faulty = refused != NULL;
	if (kind != NODE_TEXT && read_children(builder, node, depth + 1)) {
		node_free(node);
		return NULL;
	}
	return node;
}

/* Takes one event of the stream's frame: starts, ends, and the one value between them. Returns 1 at the end of the
 * stream, 0 before it, -1 on an error. */
static int read_frame(struct builder *builder, const yaml_event_t *event, struct node **root)
{
	switch (event->type) {
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT: return 0;
	case YAML_STREAM_END_EVENT: return 1;
	default: break;
	}
	if (*root) {
		report(builder, event->start_mark.line,
		       "a second document begins here; a configuration is one document, remove the ---");
		return -1;
	}
	*root = read_node(builder, event, 0);
	return *root ? 0 : -1;
}

static struct node *read_stream(struct builder *builder)
{
	struct node *root = NULL;
	int state = 0;

	while (!state) {
		yaml_event_t event;

		if (!next_event(builder, &event)) {
			state = -1;
			break;
		}
		state = read_frame(builder, &event, &root);
		yaml_event_delete(&event);
	}
	if (state < 0) {
		node_free(root);
		return NULL;
	}
	if (!root)
		root = node_new(NODE_MAP, 1, SPAN_EMPTY);
	if (!root)
		errors_out_of_memory(builder->errors);
	return root;
}

struct node *document_parse(struct span text, const char *file, struct config_errors *errors)
{
	struct builder builder = {.text = text, .file = file, .errors = errors};
	ptrdiff_t nul = span_index(text, '\0');
	struct node *root;

	if (text.length > DOCUMENT_BYTES_MAXIMUM) {
		report(&builder, 0, "the file is longer than 1 MiB; this is no configuration");
		return NULL;
	}
	if (nul >= 0) {
		report(&builder, line_of_offset(text, (size_t)nul),
		       "a NUL byte stands here; write the file as plain UTF-8 text");
		return NULL;
	}
	if (!yaml_parser_initialize(&builder.parser)) {
		errors_out_of_memory(errors);
		return NULL;
	}
	yaml_parser_set_input_string(&builder.parser, (const unsigned char *)(text.data ? text.data : ""), text.length);
	root = read_stream(&builder);
	yaml_parser_delete(&builder.parser);
	return root;
}
