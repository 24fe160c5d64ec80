/* SPDX-License-Identifier: Apache-2.0
 * Private: the reader of one configuration, shared by the walk, the values and the rules. */
#ifndef RINGWALL_CONFIG_VALUES_H
#define RINGWALL_CONFIG_VALUES_H

#include "config/document.h"
#include "config/keys.h"

#define BAD_FILES_MAXIMUM 8 /* remembered; when there are more, none is looked into */

struct reader {
	struct config *config;
	struct config_errors *errors;
	const char *file;
	struct node *root;
	bool check_files;
	config_inspect *inspect; /* or NULL */
	const char *bad_files[BAD_FILES_MAXIMUM];
	uint32_t bad_file_count;
};

/* As those who inspect see it. */
struct config_check {
	struct reader *reader;
};

/* "what is wrong, what would be right", at the node's line; the node is marked faulty. */
void reader_error(struct reader *reader, struct node *node, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* As reader_error, where the fault is not one node's alone. */
void reader_error_line(struct reader *reader, uint32_t line, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void reader_note(struct reader *reader, uint32_t line, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Reads the value of any row but sections from its node into `record` (the struct its offset is of). Errors are reported. */
void value_read(struct reader *reader, const struct config_key *key, struct node *node, void *record);

/* Reads a default as it is written in the table. */
void value_read_fallback(struct reader *reader, const struct config_key *key, const char *text, uint32_t line,
			 void *record);

/* "90", "90s", "15m", "500ms", "12h", "1d", with a blank before the unit if wanted. Returns 0 and ms; or -EINVAL. */
int duration_parse(struct span text, uint64_t *ms);

/* A host as it stands in a SIP URI: name (RFC 1123 letters, digits, hyphens; dots between), IPv4, or IPv6 in
 * brackets. *address gets an IP address (port 0), family NONE for a name. */
bool host_parse(struct span text, struct address *address);

/* Endpoints: listeners, peers, ports (endpoints.c). */
void value_listeners(struct reader *reader, const struct config_key *key, struct node *node, void *record);
void value_peers(struct reader *reader, const struct config_key *key, struct node *node, void *record);
void value_ports(struct reader *reader, const struct config_key *key, struct node *node, void *record);

/* Whether `node` is a list of the key's permitted number of items; reports if not. */
bool value_is_list(struct reader *reader, const struct config_key *key, struct node *node);

/* Whether `node` is a text that is not empty; reports if not. */
/* Whether it is an IPv6 link-local address, which names a machine only together with an interface. */
bool value_is_link_local(struct span text);
bool value_is_text(struct reader *reader, const struct config_key *key, struct node *node);

/* Everything that concerns more than one key (rules.c), and the files that are named (files.c). */
void rules_check(struct reader *reader);
void rules_write(struct buffer *out); /* as a Markdown list */
void files_check(struct reader *reader);

/* The line of `path` below `map`, or of the nearest part of it that is there. */
uint32_t reader_line(const struct node *map, const char *path);

/* The node of zone or route `index`. */
struct node *reader_zone_node(const struct reader *reader, uint32_t index);
struct node *reader_route_node(const struct reader *reader, uint32_t index);

#endif
