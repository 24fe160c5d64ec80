/* SPDX-License-Identifier: Apache-2.0
 * Reading the command line by a table of options. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

struct option_row {
	const char *name;
	const char *value; /* what is given with it; NULL: a flag */
	size_t offset;     /* in struct arguments */
	const char *help;  /* NULL: not shown */
};

/* clang-format off */
#define AT(member) offsetof(struct arguments, member)
static const struct option_row options[] = {
	{"config", "FILE", AT(configuration), "the configuration, instead of " CONFIG_PATH " (also: -c FILE)"},
	{"json", NULL, AT(json), "print JSON, for programs"},
	{"ended", NULL, AT(ended), "those that have ended, the last 1,000 that were answered"},
	{"explain", "KEY", AT(explain), "explain one key or section, such as zones.media.encryption"},
	{"reference", NULL, AT(reference), "print the reference of all keys, as Markdown"},
	{"example", NULL, AT(example), "print a whole configuration to start from"},
	{"from", "ZONE", AT(from), "the zone that it is called from"},
	{"reason", "TEXT", AT(reason), "why, for `ringwall bans`"},
	{"caller", "NUMBER", AT(caller), "who calls"},
	{"time", "TIME", AT(time), "a day and a time, such as \"Mon 09:30\"; default: now"},
	{"with", "FILE", AT(with), "show only what this configuration would decide otherwise"},
	{"password-file", "FILE", AT(password_file), "the password is the first line of FILE; - is standard input"},
	{"prompt", NULL, AT(prompt), "ask for the password instead of making one"},
	{"sha256-only", NULL, AT(sha256_only), "keep no MD5 hash: phones that know no SHA-256 cannot register"},
	{"listen", "ADDRESS:PORT", AT(listen), "where the PBX listens on UDP and TCP; default 127.0.0.1:5070"},
	{"media", "ADDRESS", AT(media), "its address for sound; default: as listened on"},
	{"ports", "LOW-HIGH", AT(ports), "its ports for sound; default 40000-40999"},
	{"realm", "TEXT", AT(realm), "the realm of its challenges; default testpbx"},
	{"user", "USER", AT(user), "the account's user"},
	{"password", "TEXT", AT(password), "its password, seen by all who list processes: prefer --password-file"},
	{"with-parent", NULL, AT(with_parent), NULL},
	{"proxy", "HOST:PORT", AT(proxy), "send there, whatever the URI says"},
	{"transport", "udp|tcp|tls", AT(transport), "default: what the URI says"},
	{"authorities", "FILE", AT(authorities),
	 "PEM by which the server's certificate is verified; default: the system's"},
	{"insecure", NULL, AT(insecure), "do not verify the server's certificate"},
	{"encrypt", NULL, AT(encrypt), "offer SRTP; default with TLS"},
	{"no-encrypt", NULL, AT(no_encrypt), "offer plain RTP also with TLS"},
	{"no-register", NULL, AT(no_register), "call without registering first"},
	{"local", "ADDRESS", AT(local), "send from this address"},
	{"duration", "SECONDS", AT(duration), "how long to send sound; default 3"},
	{"timeout", "SECONDS", AT(timeout), "for the whole; default 20 more than the sound"},
};
/* clang-format on */

static bool name_is_in(const char *name, size_t length, const char *names)
{
	while (*names) {
		size_t next = strcspn(names, " ");

		if (next == length && memcmp(names, name, length) == 0)
			return true;
		names += next + (names[next] != 0);
	}
	return false;
}

/* An option that this command takes, or NULL. `length` of the name, which may be followed by "=". */
static const struct option_row *option_find(const struct command *command, const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strlen(options[i].name) != length || memcmp(options[i].name, name, length) != 0)
			continue;
		return i == 0 || name_is_in(name, length, command->options) ? &options[i] : NULL;
	}
	return NULL;
}

void command_usage(const struct command *command)
{
	printf("Usage: ringwall %s%s%s [OPTIONS]\n\n  %s\n\n", command->name, *command->words ? " " : "",
	       command->words, command->help);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const struct option_row *option = &options[i];
		char left[64];

		if (!option->help || !option_find(command, option->name, strlen(option->name)))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value ? " " : "",
			 option->value ? option->value : "");
		printf("  %-26s %s\n", left, option->help);
	}
}

/* Takes the option at texts[*at], and its value. False when it is wrong. */
static bool option_read(const struct command *command, int count, char **texts, int *at, struct arguments *arguments)
{
	const char *text = texts[*at];
	const char *name = strcmp(text, "-c") == 0 ? "config" : text[1] == '-' ? text + 2 : text;
	size_t length = strcspn(name, "=");
	const struct option_row *option = option_find(command, name, length);
	char *member;

	if (!option) {
		complain(0, "%s: there is no option %.*s; see: ringwall help %s", command->name,
			 (int)strcspn(text, "="), text, command->name);
		return false;
	}
	member = (char *)arguments + option->offset;
	if (!option->value) {
		if (name[length]) {
			complain(0, "%s: --%s takes no value", command->name, option->name);
			return false;
		}
		*(bool *)member = true;
		return true;
	}
	if (!name[length] && *at + 1 >= count) {
		complain(0, "%s: --%s needs %s; see: ringwall help %s", command->name, option->name, option->value,
			 command->name);
		return false;
	}
	*(const char **)member = name[length] ? name + length + 1 : texts[++*at];
	return true;
}

const struct command *arguments_read(int count, char **texts, struct arguments *arguments)
{
	const struct command *command = NULL;
	int first = 1;

	memset(arguments, 0, sizeof(*arguments));
	arguments->program = texts[0];
	/* `ringwall -c FILE status` is as good as `ringwall status -c FILE`. */
	if (count > 3 && strcmp(texts[1], "-c") == 0) {
		arguments->configuration = texts[2];
		first = 3;
	}
	command = command_find(texts[first]);
	if (!command) {
		complain(0, "there is no command %s; see: ringwall help", texts[first]);
		return NULL;
	}
	arguments->command = command->name;
	for (int i = first + 1; i < count; i++) {
		if (strcmp(texts[i], "--help") == 0 || strcmp(texts[i], "-h") == 0) {
			arguments->words[0] = command->name;
			arguments->word_count = 1;
			return command_find("help");
		}
		if (texts[i][0] == '-' && texts[i][1]) {
			if (!option_read(command, count, texts, &i, arguments))
				return NULL;
		} else if (arguments->word_count < command->words_maximum && arguments->word_count < WORDS_MAXIMUM) {
			arguments->words[arguments->word_count++] = texts[i];
		} else {
			complain(0, "%s: %s is too much; see: ringwall help %s", command->name, texts[i],
				 command->name);
			return NULL;
		}
	}
	if (arguments->word_count < command->words_minimum) {
		complain(0, "%s: %s is missing; see: ringwall help %s", command->name, command->words, command->name);
		return NULL;
	}
	return command;
}
