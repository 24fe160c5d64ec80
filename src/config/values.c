/* SPDX-License-Identifier: Apache-2.0
 * Values: one function a type of key, from a node's text to a field of the configuration. */
#include "config/values.h"

#include <string.h>

#include "base/memory.h"
#include "base/origin.h"

#define SHOWN 48 /* how much of a wrong value an error quotes */

/* A wrong value as it is quoted in errors. */
struct quoted {
	char text[SHOWN + 8];
};

static struct quoted quote(struct span value)
{
	struct quoted quoted;
	struct buffer out = BUFFER_OVER(quoted.text);

	buffer_printf(&out, "\"%.*s%s\"", (int)(value.length < SHOWN ? value.length : SHOWN),
		      value.data ? value.data : "", value.length > SHOWN ? "…" : "");
	buffer_text(&out);
	return quoted;
}

static struct span node_text(const struct node *node)
{
	return span_from(node->text);
}

static bool is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* Reports what the table says would be right. */
static void wrong(struct reader *reader, const struct config_key *key, struct node *node)
{
	char data[400];
	struct buffer expected = BUFFER_OVER(data);

	keys_write_expected(&expected, key);
	reader_error(reader, node, key->path, "%s is not valid; write %s", quote(node_text(node)).text,
		     buffer_text(&expected));
}

bool value_is_text(struct reader *reader, const struct config_key *key, struct node *node)
{
	char data[400];
	struct buffer expected = BUFFER_OVER(data);

	if (node->kind == NODE_TEXT && *node->text)
		return true;
	keys_write_expected(&expected, key);
	if (node->kind == NODE_TEXT)
		reader_error(reader, node, key->path, "has no value; write %s, or leave the key out%s",
			     buffer_text(&expected), key->flags & KEY_MANDATORY ? "" : " for its default");
	else
		reader_error(reader, node, key->path, "is a %s; write %s", node->kind == NODE_MAP ? "map" : "list",
			     buffer_text(&expected));
	return false;
}

bool value_is_list(struct reader *reader, const struct config_key *key, struct node *node)
{
	if (node->kind != NODE_LIST) {
		char data[400];
		struct buffer expected = BUFFER_OVER(data);

		keys_write_expected(&expected, key);
		reader_error(reader, node, key->path, "is not a list; write %s", buffer_text(&expected));
		return false;
	}
	if (node->count < key->minimum || node->count > key->maximum) {
		reader_error(reader, node, key->path, "has %u items; write %llu to %llu", (unsigned)node->count,
			     (unsigned long long)key->minimum, (unsigned long long)key->maximum);
		return false;
	}
	return true;
}

static void store_text(struct reader *reader, char **field, struct span text)
{
	memory_free(*field);
	*field = memory_copy_text(text);
	if (!*field)
		errors_out_of_memory(reader->errors);
}

/* ---- Texts ---------------------------------------------------------------------------- */

/* What a text type may consist of. */
static bool is_zone_name(struct span text)
{
	if (text.length > 32 || !is_letter(text.data[0]))
		return false;
	for (size_t i = 0; i < text.length; i++)
		if (!is_letter(text.data[i]) && !is_digit(text.data[i]) && text.data[i] != '-' && text.data[i] != '_')
			return false;
	return true;
}

/* As useradd takes them. */
static bool is_user(struct span text)
{
	if (text.length > 32 || !(is_letter(text.data[0]) || text.data[0] == '_'))
		return false;
	for (size_t i = 0; i < text.length; i++)
		if (!is_letter(text.data[i]) && !is_digit(text.data[i]) && !strchr("-_.", text.data[i]))
			return false;
	return true;
}

/* RFC 3261 section 25.1, user: unreserved and user-unreserved. Escapes are not needed for an account of one's own. */
static bool is_account(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (!is_letter(text.data[i]) && !is_digit(text.data[i]) && !strchr("-_.!~*'()&=+$,;?/", text.data[i]))
			return false;
	return text.length <= 128;
}

/* Stands in a quoted-string without escapes (RFC 3261 section 25.1). */
static bool is_quotable(struct span text, const struct config_key *key)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] < ' ' || text.data[i] > '~' || text.data[i] == '"' || text.data[i] == '\\')
			return false;
	return text.length >= key->minimum && text.length <= key->maximum;
}

static bool is_country(struct span text)
{
	return text.length == 2 && text.data[0] >= 'A' && text.data[0] <= 'Z' && text.data[1] >= 'A' &&
	       text.data[1] <= 'Z';
}

static bool is_path(struct span text, const struct config_key *key)
{
	return text.data[0] == '/' && text.length >= key->minimum && text.length <= key->maximum;
}

/* Longest label and name: RFC 1035 section 2.3.4. */
static bool is_name(struct span text)
{
	size_t label = 0;

	if (!text.length || text.length > 253)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		bool is_hyphen = text.data[i] == '-';

		if (text.data[i] == '.') {
			if (!label || text.data[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (++label > 63 || !(is_letter(text.data[i]) || is_digit(text.data[i]) || (is_hyphen && label > 1)))
			return false;
	}
	return label && text.data[text.length - 1] != '-';
}

/* "192.0.2.300" is no name, although it looks like one: the last label of a name has a letter (RFC 3261 section 25.1). */
static bool is_numeric(struct span text)
{
	for (size_t i = text.length; i-- && text.data[i] != '.';)
		if (!is_digit(text.data[i]))
			return false;
	return true;
}

bool host_parse(struct span text, struct address *address)
{
	memset(address, 0, sizeof(*address));
	if (text.length > 2 && text.data[0] == '[' && text.data[text.length - 1] == ']')
		return !address_parse_ip(span_slice(text, 1, text.length - 2), address) &&
		       address->family == ADDRESS_IPV6;
	if (span_index(text, ':') >= 0)
		return false;
	if (!address_parse_ip(text, address))
		return true;
	memset(address, 0, sizeof(*address));
	return is_name(text) && !is_numeric(text);
}

static bool text_is_valid(const struct config_key *key, struct span text)
{
	struct address address;

	switch (key->type) {
	case KEY_NAME: return is_zone_name(text);
	case KEY_USER: return is_user(text);
	case KEY_ACCOUNT: return is_account(text);
	case KEY_TEXT: return is_quotable(text, key);
	case KEY_COUNTRY: return is_country(text);
	case KEY_PATH: return is_path(text, key);
	case KEY_HOST: return host_parse(text, &address);
	default: return false;
	}
}

/* fe80::/10 (RFC 4291 section 2.5.6), with a scope or without. */
bool value_is_link_local(struct span text)
{
	ptrdiff_t percent = span_index(text, '%');
	struct address address;

	return !address_parse_ip(span_slice(text, 0, percent < 0 ? text.length : (size_t)percent), &address) &&
	       address_is_link_local(&address);
}

static void value_text(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	if (!value_is_text(reader, key, node))
		return;
	if (!text_is_valid(key, node_text(node)))
		wrong(reader, key, node);
	else
		store_text(reader, field, node_text(node));
}

static void value_address(struct reader *reader, const struct config_key *key, struct node *node, struct address *out)
{
	struct address address;

	if (node->faulty || !value_is_text(reader, key, node))
		return;
	if (value_is_link_local(node_text(node)))
		reader_error(reader, node, key->path,
			     "%s is a link-local address, which means another machine on each link; write a global one",
			     quote(node_text(node)).text);
	else if (address_parse_ip(node_text(node), &address))
		wrong(reader, key, node);
	else
		*out = address;
}

static void value_addresses(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	struct address *addresses = field; /* two, one behind the other */

	if (node->kind != NODE_LIST) {
		value_address(reader, key, node, &addresses[0]);
		return;
	}
	if (!value_is_list(reader, key, node))
		return;
	value_address(reader, key, node->children, &addresses[0]);
	if (node->count < 2)
		return;
	value_address(reader, key, node->children->next, &addresses[1]);
	if (addresses[0].family && addresses[0].family == addresses[1].family)
		reader_error(reader, node, key->path,
			     "has two addresses of one IP version; write one IPv4 and one IPv6");
}

/* ---- Words ---------------------------------------------------------------------------- */

/* The index of the node's word, or -1 with the error reported. */
static int word_of(struct reader *reader, const struct config_key *key, struct node *node)
{
	const char *meant;
	char data[400];
	struct buffer words = BUFFER_OVER(data);
	int index;

	if (!value_is_text(reader, key, node))
		return -1;
	index = words_find(key->words, node_text(node));
	if (index >= 0)
		return index;
	meant = words_suggest(key->words, node_text(node));
	words_write(&words, key->words);
	if (meant)
		reader_error(reader, node, key->path, "%s is not known, did you mean \"%s\"? write %s",
			     quote(node_text(node)).text, meant, buffer_text(&words));
	else
		reader_error(reader, node, key->path, "%s is not known; write %s", quote(node_text(node)).text,
			     buffer_text(&words));
	return -1;
}

static void value_word(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	int index = word_of(reader, key, node);
	unsigned value = (unsigned)index;

	if (index >= 0)
		memcpy(field, &value, sizeof(value)); /* every enum of the configuration has this size */
}

static void value_words(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	uint32_t bits = 0;

	if (!value_is_list(reader, key, node))
		return;
	for (struct node *item = node->children; item; item = item->next) {
		int index = item->faulty ? -1 : word_of(reader, key, item);

		if (index < 0)
			node->faulty = true;
		else if (bits & 1u << index)
			reader_error(reader, item, key->path, "\"%s\" stands twice; write it once", item->text);
		else
			bits |= 1u << index;
	}
	memcpy(field, &bits, sizeof(bits));
}

static void value_suites(struct reader *reader, const struct config_key *key, struct node *node, void *record)
{
	struct config_zone *zone = record;
	uint32_t seen = 0;

	if (!value_is_list(reader, key, node))
		return;
	for (struct node *item = node->children; item; item = item->next) {
		int index = item->faulty ? -1 : word_of(reader, key, item);

		if (index < 0)
			continue;
		if (seen & 1u << index) {
			reader_error(reader, item, key->path, "\"%s\" stands twice; write it once", item->text);
			continue;
		}
		seen |= 1u << index;
		zone->media.suites[zone->media.suite_count++] = (uint8_t)index;
	}
}

static void value_boolean(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	bool value;

	if (!value_is_text(reader, key, node))
		return;
	value = span_equal(node_text(node), SPAN("true"));
	if (!value && !span_equal(node_text(node), SPAN("false"))) {
		wrong(reader, key, node);
		return;
	}
	memcpy(field, &value, sizeof(value));
}

/* ---- Numbers -------------------------------------------------------------------------- */

static void out_of_range(struct reader *reader, const struct config_key *key, struct node *node)
{
	char data[200];
	struct buffer expected = BUFFER_OVER(data);

	keys_write_expected(&expected, key);
	reader_error(reader, node, key->path, "%s is out of range; write %s", quote(node_text(node)).text,
		     buffer_text(&expected));
}

static void value_integer(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	uint64_t value;
	uint32_t stored;

	if (!value_is_text(reader, key, node))
		return;
	if (span_to_uint(node_text(node), UINT64_MAX / 2, &value)) {
		wrong(reader, key, node);
		return;
	}
	if (value < key->minimum || value > key->maximum) {
		out_of_range(reader, key, node);
		return;
	}
	stored = (uint32_t)value;
	memcpy(field, &stored, sizeof(stored));
}

int duration_parse(struct span text, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	struct span unit;
	size_t digits = 0;
	uint64_t number;

	while (digits < text.length && is_digit(text.data[digits]))
		digits++;
	if (span_to_uint(span_slice(text, 0, digits), UINT32_MAX, &number))
		return -1;
	unit = span_trim(span_slice(text, digits, text.length - digits));
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!span_equal(unit, span_from(units[i].name)))
			continue;
		*ms = number * units[i].ms;
		return 0;
	}
	return -1;
}

static void value_duration(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	uint32_t scale = key->type == KEY_SECONDS ? 1000 : 1;
	uint32_t stored;
	uint64_t ms;

	if (!value_is_text(reader, key, node))
		return;
	if (duration_parse(node_text(node), &ms)) {
		wrong(reader, key, node);
		return;
	}
	if (ms < key->minimum || ms > key->maximum) {
		out_of_range(reader, key, node);
		return;
	}
	if (ms % scale) {
		reader_error(reader, node, key->path, "%s is not a whole number of seconds; write one",
			     quote(node_text(node)).text);
		return;
	}
	stored = (uint32_t)(ms / scale);
	memcpy(field, &stored, sizeof(stored));
}

/* ---- Lists and references ------------------------------------------------------------- */

/* RFC 3966: digits, and * and # which local numbers may have; + only as the first. */
static bool is_number(struct span text)
{
	if (text.length < 2 || text.length > 15)
		return false;
	for (size_t i = 0; i < text.length; i++)
		if (!is_digit(text.data[i]) && !strchr("*#", text.data[i]) && !(i == 0 && text.data[i] == '+'))
			return false;
	return true;
}

static bool is_server(struct span text)
{
	struct address address;

	return !address_parse(text, &address) && !address_is_any(&address) && !address_is_multicast(&address);
}

/* A list of texts of one form, kept as they are. */
static void value_texts(struct reader *reader, const struct config_key *key, struct node *node, void *field,
			bool (*is_valid)(struct span text), const char *problem)
{
	char **numbers;
	uint32_t count = 0;

	if (!value_is_list(reader, key, node))
		return;
	numbers = memory_alloc((node->count + 1) * sizeof(*numbers));
	if (!numbers) {
		errors_out_of_memory(reader->errors);
		return;
	}
	memcpy(field, &numbers, sizeof(numbers));
	for (struct node *item = node->children; item; item = item->next) {
		if (item->faulty || !value_is_text(reader, key, item))
			continue;
		if (!is_valid(node_text(item))) {
			reader_error(reader, item, key->path, "%s %s", quote(node_text(item)).text, problem);
			continue;
		}
		store_text(reader, &numbers[count], node_text(item));
		if (numbers[count])
			count++;
	}
}

static void value_numbers(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	value_texts(reader, key, node, field, is_number, "is no number; write 2 to 15 digits");
}

static void value_servers(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	value_texts(reader, key, node, field, is_server,
		    "is no address of a server; write an IP address, with a port if it is not 53");
}

static bool is_origin(struct span text)
{
	struct origin origin;

	return !origin_parse(text, &origin);
}

static void value_origins(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	value_texts(reader, key, node, field, is_origin,
		    "is no origin of web pages; write https://, a host, and a port if it is not 443, without anything "
		    "behind");
}

static void value_prefixes(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	struct protection *protection = field;

	if (!value_is_list(reader, key, node))
		return;
	for (struct node *item = node->children; item; item = item->next) {
		if (item->faulty || !value_is_text(reader, key, item))
			continue;
		if (protection_prefix_parse(node_text(item), &protection->never[protection->never_count]))
			reader_error(
				reader, item, key->path,
				"%s is no address or prefix; write one such as 192.0.2.0/24, with zeros behind the "
				"prefix",
				quote(node_text(item)).text);
		else
			protection->never_count++;
	}
}

/* The index of the zone that a node names, or -1 with the error reported. */
static int zone_of(struct reader *reader, const struct config_key *key, struct node *node)
{
	const char *names[CONFIG_ZONES_MAXIMUM + 1];
	const struct config *config = reader->config;
	const char *meant;
	uint32_t count = 0;

	if (node->faulty || !value_is_text(reader, key, node))
		return -1;
	for (uint8_t i = 0; i < config->zone_count; i++) {
		if (!config->zones[i].name)
			continue;
		if (span_equal(span_from(config->zones[i].name), node_text(node)))
			return i;
		names[count++] = config->zones[i].name;
	}
	names[count] = NULL;
	if (!count)
		return -1; /* that there are no zones is an error of its own */
	meant = words_suggest(names, node_text(node));
	if (meant)
		reader_error(reader, node, key->path, "there is no zone %s, did you mean \"%s\"?",
			     quote(node_text(node)).text, meant);
	else
		reader_error(reader, node, key->path, "there is no zone %s; write the name of one under `zones`",
			     quote(node_text(node)).text);
	return -1;
}

static void value_zone(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	int zone = zone_of(reader, key, node);

	if (zone >= 0)
		*(uint8_t *)field = (uint8_t)zone;
}

/* The items of a list, or the one that stands without brackets. NULL: none, reported. */
static struct node *items_of(struct reader *reader, const struct config_key *key, struct node *node)
{
	if (node->kind != NODE_LIST)
		return value_is_text(reader, key, node) ? node : NULL;
	return value_is_list(reader, key, node) ? node->children : NULL;
}

/* The next item; what stands alone has none behind it. */
static struct node *item_next(const struct node *list, const struct node *item)
{
	return list->kind == NODE_LIST ? item->next : NULL;
}

static void value_zones(struct reader *reader, const struct config_key *key, struct node *node, void *record)
{
	struct config_route *route = record;
	uint64_t seen = 0;
	uint8_t count = 0;

	for (struct node *item = items_of(reader, key, node); item; item = item_next(node, item)) {
		int zone = zone_of(reader, key, item);

		if (zone < 0) {
			node->faulty = true;
			continue;
		}
		if (seen & 1ull << zone)
			reader_error(reader, item, key->path, "zone %s stands twice; write it once", item->text);
		seen |= 1ull << zone;
		*(count ? &route->further[count - 1] : &route->to) = (uint8_t)zone;
		count++;
	}
	route->further_count = count ? (uint8_t)(count - 1) : 0;
}

static void value_shares(struct reader *reader, const struct config_key *key, struct node *node, void *record)
{
	struct config_route *route = record;

	if (!value_is_list(reader, key, node))
		return;
	for (struct node *item = node->children; item; item = item->next) {
		uint64_t share;

		if (item->faulty || !value_is_text(reader, key, item))
			continue;
		if (span_to_uint(node_text(item), 1000, &share)) {
			wrong(reader, key, item);
			continue;
		}
		route->shares[route->share_count++] = (uint32_t)share;
	}
}

static void value_hours(struct reader *reader, const struct config_key *key, struct node *node, void *record)
{
	struct config_route *route = record;

	for (struct node *item = items_of(reader, key, node); item; item = item_next(node, item)) {
		if (item->faulty || !value_is_text(reader, key, item))
			continue;
		if (config_hours_parse(node_text(item), &route->hours[route->hours_count]))
			wrong(reader, key, item);
		else
			route->hours_count++;
	}
}

static void value_pattern(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	if (node->faulty || !value_is_text(reader, key, node))
		return;
	if (!config_pattern_is_valid(node->text))
		wrong(reader, key, node);
	else
		store_text(reader, field, node_text(node));
}

static void value_patterns(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	struct node *first = items_of(reader, key, node);
	char **patterns;
	uint32_t count = 0;

	if (!first)
		return;
	patterns = memory_alloc((node->kind == NODE_LIST ? node->count + 1 : 2) * sizeof(*patterns));
	if (!patterns) {
		errors_out_of_memory(reader->errors);
		return;
	}
	memcpy(field, &patterns, sizeof(patterns));
	for (struct node *item = first; item; item = item_next(node, item)) {
		value_pattern(reader, key, item, &patterns[count]);
		count += patterns[count] != NULL;
	}
}

static bool is_dialled(struct span text, const struct config_key *key)
{
	for (size_t i = 0; i < text.length; i++)
		if (!is_digit(text.data[i]) && !strchr("*#", text.data[i]) && !(i == 0 && text.data[i] == '+'))
			return false;
	return text.length >= key->minimum && text.length <= key->maximum;
}

static void value_dialled(struct reader *reader, const struct config_key *key, struct node *node, void *field)
{
	if (!value_is_text(reader, key, node))
		return;
	if (!is_dialled(node_text(node), key))
		wrong(reader, key, node);
	else
		store_text(reader, field, node_text(node));
}

/* ---- By type -------------------------------------------------------------------------- */

typedef void value_function(struct reader *reader, const struct config_key *key, struct node *node, void *field);

static const struct {
	value_function *read;
	bool takes_record; /* the whole struct rather than one field of it */
} types[KEY_TYPE_COUNT] = {
	/* clang-format off: a table */
	[KEY_NAME] = {value_text},
	[KEY_ZONE] = {value_zone},
	[KEY_ZONES] = {value_zones, true},
	[KEY_SHARES] = {value_shares, true},
	[KEY_HOURS] = {value_hours, true},
	[KEY_PATTERN] = {value_pattern},
	[KEY_PATTERNS] = {value_patterns},
	[KEY_DIALLED] = {value_dialled},
	[KEY_USER] = {value_text},
	[KEY_ACCOUNT] = {value_text},
	[KEY_TEXT] = {value_text},
	[KEY_HOST] = {value_text},
	[KEY_COUNTRY] = {value_text},
	[KEY_PATH] = {value_text},
	[KEY_ADDRESSES] = {value_addresses},
	[KEY_LISTENERS] = {value_listeners, true},
	[KEY_PEERS] = {value_peers, true},
	[KEY_NUMBERS] = {value_numbers},
	[KEY_ORIGINS] = {value_origins},
	[KEY_SERVERS] = {value_servers},
	[KEY_PREFIXES] = {value_prefixes},
	[KEY_PORTS] = {value_ports, true},
	[KEY_WORD] = {value_word},
	[KEY_WORDS] = {value_words},
	[KEY_SUITES] = {value_suites, true},
	[KEY_BOOLEAN] = {value_boolean},
	[KEY_INTEGER] = {value_integer},
	[KEY_SECONDS] = {value_duration},
	[KEY_MILLISECONDS] = {value_duration},
	/* clang-format on */
};

void value_read(struct reader *reader, const struct config_key *key, struct node *node, void *record)
{
	if (node->faulty || !types[key->type].read)
		return;
	types[key->type].read(reader, key, node, types[key->type].takes_record ? record : (char *)record + key->offset);
}

/* A default list is written "[a, b]", its items perhaps in quotes. */
static struct node *list_from_fallback(const char *text, uint32_t line)
{
	struct span rest = span_slice(span_from(text), 1, strlen(text) - 2);
	struct node *list = node_new(NODE_LIST, line, SPAN_EMPTY);

	while (list && rest.length) {
		ptrdiff_t comma = span_index(rest, ',');
		struct span item = span_trim(span_slice(rest, 0, comma < 0 ? rest.length : (size_t)comma));
		struct node *child;

		if (item.length > 1 && item.data[0] == '"')
			item = span_slice(item, 1, item.length - 2);
		child = node_new(NODE_TEXT, line, item);
		if (!child) {
			node_free(list);
			return NULL;
		}
		node_append(list, child);
		rest = comma < 0 ? SPAN_EMPTY : span_slice(rest, (size_t)comma + 1, rest.length);
	}
	return list;
}

void value_read_fallback(struct reader *reader, const struct config_key *key, const char *text, uint32_t line,
			 void *record)
{
	struct node *node = *text == '[' ? list_from_fallback(text, line) : node_new(NODE_TEXT, line, span_from(text));

	if (!node) {
		errors_out_of_memory(reader->errors);
		return;
	}
	value_read(reader, key, node, record);
	node_free(node);
}
