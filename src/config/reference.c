/* SPDX-License-Identifier: Apache-2.0
 * The table in words: what a key takes, the explanation of one key, and the whole reference. */
#include <errno.h>
#include <string.h>

#include "config/keys.h"
#include "config/values.h"

void keys_write_duration(struct buffer *out, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};

	if (!ms) {
		buffer_put_byte(out, '0');
		return;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms % units[i].ms)
			continue;
		buffer_put_uint(out, ms / units[i].ms);
		buffer_put_text(out, units[i].name);
		return;
	}
}

/* Types whose description is always the same. */
static const char *const expected_texts[KEY_TYPE_COUNT] = {
	[KEY_SECTION] = "a map of the keys below",
	[KEY_SECTIONS] = "a list of maps, each begun with a hyphen",
	[KEY_NAME] = "a name of at most 32 letters, digits, - and _, a letter first",
	[KEY_ZONE] = "the name of a zone",
	[KEY_ZONES] = "the name of a zone, or a list of them",
	[KEY_SHARES] = "a list of whole numbers, one for each zone of `to`",
	[KEY_HOURS] = "hours such as \"Mon-Fri 08:00-18:00\" or \"Sat,Sun\", or a list of them",
	[KEY_PATTERN] = "a pattern such as \"+44\", \"0[1-3]xxx\" or \"112$\"",
	[KEY_PATTERNS] = "a pattern such as \"+44\", \"0[1-3]xxx\" or \"112$\", or a list of them",
	[KEY_DIALLED] = "digits, which may begin with +",
	[KEY_USER] = "the name of a system user",
	[KEY_ACCOUNT] = "the user part of a SIP address",
	[KEY_TEXT] = "a text without quotes and backslashes",
	[KEY_HOST] = "a domain name or an IP address (IPv6 as \"[2001:db8::1]\")",
	[KEY_COUNTRY] = "the two capital letters of ISO 3166, such as GB",
	[KEY_ADDRESSES] = "an IP address without port, such as 203.0.113.7, or a list of two, one IPv4 and one IPv6",
	[KEY_LISTENERS] = "a list such as [\"udp:203.0.113.7:5060\", \"tls:[2001:db8::1]:5061\"]",
	[KEY_PEERS] = "a list such as [\"sip:10.0.0.10:5060;transport=udp\"]",
	[KEY_ORIGINS] = "a list such as [\"https://phone.example.org\", \"https://intranet.example.org:8443\"]",
	[KEY_SERVERS] = "a list of addresses, such as [\"192.0.2.53\", \"127.0.0.1:5353\"]",
	[KEY_PREFIXES] = "a list of addresses and prefixes, such as [\"192.0.2.7\", \"2001:db8::/32\"]",
	[KEY_NUMBERS] = "a list of telephone numbers, such as [\"112\", \"999\"]",
	[KEY_PORTS] = "a range such as \"20000-29999\"",
	[KEY_BOOLEAN] = "true or false",
};

void keys_write_expected(struct buffer *out, const struct config_key *key)
{
	if (expected_texts[key->type])
		buffer_put_text(out, expected_texts[key->type]);
	switch (key->type) {
	case KEY_PATH: buffer_printf(out, "an absolute path of at most %u bytes", (unsigned)key->maximum); break;
	case KEY_WORD: words_write(out, key->words); break;
	case KEY_WORDS:
	case KEY_SUITES:
		buffer_put_text(out, "a list in brackets of ");
		words_write(out, key->words);
		break;
	case KEY_INTEGER:
		buffer_printf(out, "a whole number from %llu to %llu", (unsigned long long)key->minimum,
			      (unsigned long long)key->maximum);
		break;
	case KEY_SECONDS:
	case KEY_MILLISECONDS:
		buffer_put_text(out, "a duration from ");
		keys_write_duration(out, key->minimum);
		buffer_put_text(out, " to ");
		keys_write_duration(out, key->maximum);
		buffer_put_text(out, ", such as 500ms, 30s, 15m, 2h");
		break;
	default: break;
	}
}

/* The default as it stands in the reference; what is not written has none. */
static void write_default(struct buffer *out, const struct config_key *key, const char *quote)
{
	if (key->flags & KEY_MANDATORY) {
		buffer_put_text(out, "none, must be written");
		return;
	}
	if (!key->fallback) {
		buffer_put_text(out, key->fallback_words ? key->fallback_words : "none");
		return;
	}
	buffer_printf(out, "%s%s%s", quote, key->fallback, quote);
	if (key->fallback_core)
		buffer_printf(out, "; core %s%s%s", quote, key->fallback_core, quote);
	if (key->fallback_trunk)
		buffer_printf(out, "; trunk %s%s%s", quote, key->fallback_trunk, quote);
}

static bool is_section(const struct config_key *key)
{
	return key->type == KEY_SECTION || key->type == KEY_SECTIONS;
}

/* ---- Explain -------------------------------------------------------------------------- */

static void explain_key(struct buffer *out, const struct config_key *key)
{
	buffer_printf(out, "%s\n  %s\n  takes:   ", key->path, key->help);
	keys_write_expected(out, key);
	if (key->unit)
		buffer_printf(out, " (%s)", key->unit);
	if (!is_section(key) || key->flags & KEY_MANDATORY) {
		buffer_put_text(out, "\n  default: ");
		write_default(out, key, "");
	}
	buffer_put_text(out, "\n");
}

static void explain_suggestion(struct buffer *out, const char *key)
{
	const char *dot = strrchr(key, '.');
	char prefix[64] = "";
	const char *meant;

	if (dot)
		span_copy((struct span){key, (size_t)(dot - key)}, prefix, sizeof(prefix));
	meant = keys_suggest(prefix, span_from(dot ? dot + 1 : key));
	if (!meant)
		return;
	buffer_printf(out, "did you mean %s%s%s?\n", strchr(meant, '.') ? "" : prefix,
		      *prefix && !strchr(meant, '.') ? "." : "", meant);
}

int config_explain(const char *key, struct buffer *out)
{
	const struct config_key *row = keys_find(span_from(key));
	size_t length = strlen(key);

	if (!row && *key) {
		explain_suggestion(out, key);
		return -ENOENT;
	}
	if (row)
		explain_key(out, row);
	for (size_t i = 0; i < config_keys_count; i++) {
		const char *path = config_keys[i].path;
		bool is_below = !*key || (!strncmp(path, key, length) && path[length] == '.');

		if (!is_below)
			continue;
		buffer_put_text(out, "\n");
		explain_key(out, &config_keys[i]);
	}
	return 0;
}

/* ---- Reference ------------------------------------------------------------------------ */

static const char reference_head[] = "# The configuration\n"
				     "\n"
				     "One YAML file, `/etc/ringwall/ringwall.yaml`, or another with `-c FILE`. "
				     "`ringwall check -c FILE` prints every error\n"
				     "in it at once; `ringwall check --explain KEY` prints what stands here about one "
				     "key. This page is made from the same\n"
				     "table as both (`ringwall check --reference`); do not edit it.\n"
				     "\n"
				     "Durations are written `500ms`, `30s`, `15m`, `2h` or `1d`; a bare number is "
				     "seconds. A value never needs a tag;\n"
				     "anchors and aliases are refused. Keys of a zone stand in an item of the list "
				     "`zones`, keys of a route in one of\n"
				     "`routes`.\n";

static void reference_row(struct buffer *out, const struct config_key *key)
{
	buffer_printf(out, "| `%s` | ", keys_name(key));
	keys_write_expected(out, key);
	if (key->unit)
		buffer_printf(out, " (%s)", key->unit);
	buffer_put_text(out, " | ");
	write_default(out, key, "`");
	buffer_printf(out, " | %s |\n", key->help);
}

/* Rows that stand directly in the section, as one Markdown table. */
static void reference_rows(struct buffer *out, const char *prefix)
{
	bool begun = false;

	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (!keys_is_child(key, prefix) || is_section(key))
			continue;
		if (!begun)
			buffer_put_text(out, "\n| key | takes | default | |\n|---|---|---|---|\n");
		begun = true;
		reference_row(out, key);
	}
}

void config_reference(struct buffer *out)
{
	buffer_put_text(out, reference_head);
	reference_rows(out, "");
	for (size_t i = 0; i < config_keys_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (!is_section(key))
			continue;
		buffer_printf(out, "\n## %s\n\n%s", key->path, key->help);
		if (key->type == KEY_SECTIONS)
			buffer_printf(out, " A list of %u to %u maps.", (unsigned)key->minimum, (unsigned)key->maximum);
		if (key->flags & KEY_MANDATORY)
			buffer_put_text(out, " Must be written.");
		buffer_put_text(out, "\n");
		reference_rows(out, key->path);
	}
	buffer_put_text(out, "\n## Combinations that are errors\n\n");
	rules_write(out);
}
