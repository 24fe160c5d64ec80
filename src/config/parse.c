/* SPDX-License-Identifier: Apache-2.0
 * The walk: the table from top to bottom beside the document, each key read, defaulted or missed; then what is not in the
 * table is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "config/values.h"

static void section_read(struct reader *reader, const char *prefix, struct node *node, uint32_t line, void *record);

static bool is_below(const char *path, const char *section)
{
	return span_starts_with(span_from(path), span_from(section));
}

/* "key:" with nothing behind is a section whose keys are all commented out. */
static bool is_empty_section(const struct node *node)
{
	return node->kind == NODE_TEXT && !*node->text;
}

static bool is_map(struct reader *reader, const struct config_key *key, struct node *node)
{
	if (node->kind == NODE_MAP)
		return true;
	if (!node->faulty && !is_empty_section(node))
		reader_error(reader, node, key->path,
			     "is not a map; write its keys below it, indented, or in braces {…}");
	return is_empty_section(node);
}

/* Room for the items of a list of sections. Returns the array, and the size of one in *size. */
static void *records_new(struct reader *reader, const struct config_key *key, uint32_t count, size_t *size)
{
	struct config *config = reader->config;
	bool are_zones = key->offset == offsetof(struct config, zones);
	bool are_routes = key->offset == offsetof(struct config, routes);
	void *records;

	*size = are_zones    ? sizeof(struct config_zone)
		: are_routes ? sizeof(struct config_route)
			     : sizeof(struct config_rewrite);
	records = memory_alloc(count * *size);
	if (!records) {
		errors_out_of_memory(reader->errors);
		return NULL;
	}
	memcpy((char *)config + key->offset, &records, sizeof(records));
	if (are_zones)
		config->zone_count = (uint8_t)count;
	else if (are_routes)
		config->route_count = (uint16_t)count;
	else
		config->rewrite_count = (uint16_t)count;
	return records;
}

static void sections_read(struct reader *reader, const struct config_key *key, struct node *list)
{
	char *record;
	size_t size;

	if (is_empty_section(list) && !(key->flags & KEY_MANDATORY))
		return;
	if (!value_is_list(reader, key, list) || !list->count)
		return;
	record = records_new(reader, key, list->count, &size);
	if (!record)
		return;
	for (struct node *item = list->children; item; item = item->next) {
		if (is_map(reader, key, item))
			section_read(reader, key->path, item, item->line, record);
		record += size;
	}
}

static void missing(struct reader *reader, const struct config_key *key, uint32_t line)
{
	char data[400];
	struct buffer expected = BUFFER_OVER(data);

	keys_write_expected(&expected, key);
	reader_error_line(reader, line, key->path, "is missing; write %s", buffer_text(&expected));
}

/* One row of the table, with its node if it is written. `line` is where it would belong. */
static void key_read(struct reader *reader, const struct config_key *key, struct node *node, uint32_t line,
		     void *record)
{
	enum zone_kind kind = is_below(key->path, "zones.") ? ((struct config_zone *)record)->kind : ZONE_ACCESS;
	const char *fallback = keys_fallback(key, kind);

	if (key->type == KEY_SECTION) {
		if ((!node && !(key->flags & KEY_OPTIONAL)) || (node && is_map(reader, key, node)))
			section_read(reader, key->path, node, node ? node->line : line, record);
	} else if (!node && key->flags & KEY_MANDATORY) {
		missing(reader, key, line);
	} else if (!node && fallback) {
		value_read_fallback(reader, key, fallback, line, record);
	} else if (node && key->type == KEY_SECTIONS) {
		sections_read(reader, key, node);
	} else if (node) {
		value_read(reader, key, node, record);
	}
}

/* A key that the table does not have, or that stands twice. */
static void name_check(struct reader *reader, const char *prefix, const struct node *map, struct node *node)
{
	struct span name = span_from(node->name);
	const struct node *first = node_child(map, name);
	const char *meant;
	char path[128];

	if (node->faulty && !name.length)
		return; /* refused already */
	snprintf(path, sizeof(path), "%s%s%.40s", prefix, *prefix ? "." : "", node->name);
	if (first != node) {
		reader_error(reader, node, path,
			     "stands here a second time, the first is in line %u; remove one of them",
			     (unsigned)first->line);
		return;
	}
	if (keys_child(prefix, name))
		return;
	meant = keys_suggest(prefix, name);
	if (!meant)
		reader_error(reader, node, path,
			     "is not known; remove it (ringwall check --explain%s%s lists what is known)",
			     *prefix ? " " : "", prefix);
	else if (strchr(meant, '.'))
		reader_error(reader, node, path, "is not known here; it belongs to %.*s, as %s",
			     (int)(strrchr(meant, '.') - meant), meant, meant);
	else
		reader_error(reader, node, path, "is not known, did you mean \"%s\"?", meant);
}

/* Reads all rows below `prefix` into `record`; `node` is the section's map, NULL or no map when it is not there. */
static void section_read(struct reader *reader, const char *prefix, struct node *node, uint32_t line, void *record)
{
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (keys_is_child(key, prefix))
			key_read(reader, key, node_child(node, span_from(keys_name(key))), line, record);
	}
	if (node && node->kind == NODE_MAP)
		for (struct node *child = node->children; child; child = child->next)
			name_check(reader, prefix, node, child);
}

/* ---- Defaults that are found out ------------------------------------------------------ */

static char *join(struct reader *reader, const char *directory, const char *name)
{
	char data[1200];
	struct buffer path = BUFFER_OVER(data);
	char *text;

	buffer_printf(&path, "%s%s", directory, name);
	text = memory_copy_text(buffer_span(&path));
	if (!text)
		errors_out_of_memory(reader->errors);
	return text;
}

/* False: whoever runs this has no home. */
static bool write_default_state_directory(struct buffer *out)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (geteuid() == 0)
		buffer_put_text(out, "/var/lib/ringwall");
	else if (state && *state == '/')
		buffer_printf(out, "%s/ringwall", state);
	else if (home && *home == '/')
		buffer_printf(out, "%s/.local/state/ringwall", home);
	return out->length && !out->overflow;
}

static void default_state_directory(struct reader *reader)
{
	struct config *config = reader->config;
	char data[1200];
	struct buffer path = BUFFER_OVER(data);

	if (config->state_directory || node_child(reader->root, SPAN("state_directory")))
		return;
	if (write_default_state_directory(&path))
		config->state_directory = join(reader, buffer_text(&path), "");
	else
		reader_error_line(
			reader, 1, "state_directory",
			"is not written, and there is no home directory for a default; write an absolute path");
}

int config_state_directory(struct span text, char *out, size_t capacity)
{
	struct config_errors *errors = config_errors_new();
	struct node *root = errors ? document_parse(text, "", errors) : NULL;
	const struct node *written = root ? node_child(root, SPAN("state_directory")) : NULL;
	struct buffer path = buffer_over(out, capacity);

	if (written && written->kind == NODE_TEXT)
		buffer_put_text(&path, written->text);
	else
		write_default_state_directory(&path);
	node_free(root);
	config_errors_free(errors);
	buffer_text(&path);
	return path.overflow || !path.length ? -ENOENT : 0;
}

/* Neither file written: a pair of our own. One of them alone makes no pair. */
static void default_tls(struct reader *reader)
{
	struct config *config = reader->config;
	struct node *certificate = node_at(reader->root, "tls.certificate"), *key = node_at(reader->root, "tls.key");

	if (certificate && !key)
		reader_error(reader, certificate, "tls.certificate", "stands without tls.key; write both or neither");
	if (key && !certificate)
		reader_error(reader, key, "tls.key", "stands without tls.certificate; write both or neither");
	if (certificate || key || !config->state_directory)
		return;
	config->tls.certificate = join(reader, config->state_directory, "/tls/certificate.pem");
	config->tls.key = join(reader, config->state_directory, "/tls/key.pem");
	config->tls.generate = true;
}

/* Who writes a smaller limit on a whole means the parts that are not written, too. */
static void default_limits(struct reader *reader)
{
	struct config *config = reader->config;
	const struct {
		const char *part;
		uint32_t *value, whole;
	} pairs[] = {
		{"limits.connections_per_source", &config->limits.connections_per_source, config->limits.connections},
		{"limits.handshakes", &config->limits.handshakes, config->limits.connections},
		{"limits.body_bytes", &config->limits.body_bytes, config->limits.message_bytes},
		{"limits.line_bytes", &config->limits.line_bytes, config->limits.message_bytes},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (!node_at(reader->root, pairs[i].part) && pairs[i].whole && *pairs[i].value > pairs[i].whole)
			*pairs[i].value = pairs[i].whole;
}

static void default_media_address(struct config_zone *zone)
{
	zone->media.address = zone->listeners[0].address;
	zone->media.address.port = 0;
	for (uint8_t i = 1; i < zone->listener_count && !zone->media.address_other.family; i++) {
		const struct address *other = &zone->listeners[i].address;

		if (other->family == zone->media.address.family || address_is_any(other))
			continue;
		zone->media.address_other = *other;
		zone->media.address_other.port = 0;
	}
}

static void default_zone(struct reader *reader, struct config_zone *zone, const struct node *node)
{
	if (!zone->domain && reader->config->site.domain && !node_at(node, "domain"))
		zone->domain = join(reader, reader->config->site.domain, "");
	if (!node_at(node, "media.address") && zone->listener_count)
		default_media_address(zone);
	if (zone->media.advertised_address.family) {
		char data[ADDRESS_TEXT_BYTES];
		struct buffer text = BUFFER_OVER(data);

		address_write_ip(&text, &zone->media.advertised_address, false);
		zone->media.advertised = join(reader, buffer_text(&text), "");
	}
	zone->media.suites_from_default = !node_at(node, "media.suites");
	if (zone->media.suites_from_default &&
	    (zone->profile == PROFILE_TEAMS || zone->repairs & 1u << REPAIR_ONE_SUITE)) {
		zone->media.suites[0] = (uint8_t)words_find(words_suites, SPAN("AES_CM_128_HMAC_SHA1_80"));
		zone->media.suite_count = 1;
	}
}

static void document_read(struct reader *reader)
{
	struct config *config = reader->config;

	if (reader->root->kind != NODE_MAP) {
		reader_error(reader, reader->root, "yaml",
			     "is not a map; write keys such as site:, zones: and routes: at the left margin");
		return;
	}
	section_read(reader, "", reader->root, 1, config);
	default_state_directory(reader);
	default_tls(reader);
	default_limits(reader);
	for (uint8_t i = 0; i < config->zone_count; i++)
		default_zone(reader, &config->zones[i], reader_zone_node(reader, i));
	rules_check(reader);
	if (reader->check_files)
		files_check(reader);
	if (reader->inspect)
		reader->inspect(config, &(struct config_check){reader});
}

static struct config *read_whole(struct reader *reader, struct span text)
{
	uint32_t before = config_errors_count(reader->errors);

	reader->config = memory_alloc(sizeof(*reader->config));
	if (!reader->config) {
		errors_out_of_memory(reader->errors);
		return NULL;
	}
	reader->config->file = join(reader, reader->file, "");
	reader->root = document_parse(text, reader->file, reader->errors);
	if (reader->root)
		document_read(reader);
	node_free(reader->root);
	errors_sort(reader->errors);
	if (config_errors_count(reader->errors) == before)
		return reader->config;
	config_free(reader->config);
	return NULL;
}

struct config *config_parse(struct span text, const char *file, bool check_files, struct config_errors *errors)
{
	struct reader reader = {.errors = errors, .file = file, .check_files = check_files};

	return read_whole(&reader, text);
}

struct config *config_parse_inspected(struct span text, const char *file, config_inspect *inspect,
				      struct config_errors *errors)
{
	struct reader reader = {.errors = errors, .file = file, .check_files = true, .inspect = inspect};

	return read_whole(&reader, text);
}
