/* SPDX-License-Identifier: Apache-2.0
 * Private: a YAML document as a small tree of nodes that know their line. */
#ifndef RINGWALL_CONFIG_DOCUMENT_H
#define RINGWALL_CONFIG_DOCUMENT_H

#include "config/errors.h"

#define DOCUMENT_BYTES_MAXIMUM (1024 * 1024)
#define DOCUMENT_NODES_MAXIMUM 32768 /* 64 zones with every list full need 6,000 */
#define DOCUMENT_DEPTH_MAXIMUM 8     /* the table's deepest path needs 5 */
#define DOCUMENT_MAP_MAXIMUM 64      /* keys of one map; the largest section has 15 */

enum node_kind { NODE_TEXT, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	uint32_t line;         /* from 1 */
	bool faulty;           /* an error was reported here: rules about its value would only mislead */
	char *name;            /* the key it stands under in a map, else NULL */
	char *text;            /* of NODE_TEXT, without control characters; else NULL */
	struct node *children; /* in the order written */
	struct node *last;
	struct node *next;
	uint32_t count; /* of children */
};

/* Reads `text` whole. Anchors, aliases, tags, several documents, control characters and whatever is over the limits are
 * errors: a configuration needs none of them, and with them go billion laughs and hidden types. An empty document is an empty
 * map. Returns the root, freed by the caller, also when errors were reported that do not end the reading (their nodes are marked
 * faulty); or NULL with the error that did. */
struct node *document_parse(struct span text, const char *file, struct config_errors *errors);
void node_free(struct node *node); /* with all below it; NULL is allowed */

/* A new node with a copy of `text` (which may be empty); NULL when memory is short. */
struct node *node_new(enum node_kind kind, uint32_t line, struct span text);
void node_append(struct node *parent, struct node *child);

/* The child of a map that stands under `name` (the first, if there are several); or NULL. `map` may be NULL or no map. */
struct node *node_child(const struct node *map, struct span name);

/* Down a path such as "media.encryption"; NULL where there is nothing. */
struct node *node_at(const struct node *map, const char *path);

/* The child of a list at `index`; or NULL. */
struct node *node_item(const struct node *list, uint32_t index);

#endif
