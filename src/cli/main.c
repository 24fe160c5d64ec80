/* SPDX-License-Identifier: Apache-2.0
 * `ringwall`: one table of subcommands. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int version_command(const struct arguments *arguments)
{
	if (arguments->json)
		printf("{\"version\": \"%s\"}\n", RINGWALL_VERSION);
	else
		printf("ringwall %s\n", RINGWALL_VERSION);
	return EXIT_GOOD;
}

#define LISTS "json"
#define PASSWORDS "password-file prompt"

/* clang-format off */
const struct command commands[] = {
	{"run", "", 0, 0, "", "start the gateway; without a configuration, on a built-in one with a test PBX",
	 run_command},
	{"check", "", 0, 0, "json explain reference example", "check the configuration and print every error at once",
	 check_command},
	{"status", "", 0, 0, LISTS, "show what the gateway does and what it refused", status_command},
	{"calls", "", 0, 0, LISTS " ended", "list the calls: who, zones, codec, encryption, quality", calls_command},
	{"registrations", "", 0, 0, LISTS, "list the registered phones", registrations_command},
	{"account", "add|list|remove|password [USER]", 1, 2, LISTS " " PASSWORDS " sha256-only",
	 "manage the gateway's own accounts (authentication: local)", account_command},
	{"route", "NUMBER", 1, 1, LISTS " from caller time", "show where the configuration sends a number", route_command},
	{"bans", "", 0, 0, LISTS, "list who is blocked, refused, locked or slowed, why and for how long", bans_command},
	{"ban", "PREFIX [DURATION]", 1, 2, LISTS " reason", "drop all packets of an address or prefix, for good or so long", ban_command},
	{"why", "ADDRESS|USER", 1, 1, LISTS, "show what is remembered of an address, address:port or user", why_command},
	{"unban", "ADDRESS|USER", 1, 1, LISTS, "take back what is held against it, and forget why", unban_command},
	{"events", "", 0, 0, LISTS, "list the last verdicts, and how they ended", events_command},
	{"replay", "EVENTS", 1, 1, LISTS " with", "show what would be decided about evidence that was recorded", replay_command},
	{"hangup", "CALL", 1, 1, LISTS, "end the call of that number (see: ringwall calls)", hangup_command},
	{"reload", "", 0, 0, LISTS, "take the changed configuration, all of it or none; calls go on", reload_command},
	{"upgrade", "", 0, 0, LISTS, "run the program that was installed since the start; calls go on", upgrade_command},
	{"testpbx", "", 0, 0, "listen media ports realm user password password-file with-parent",
	 "run a small PBX: 600 echoes, 601 plays a tone", testpbx_command},
	{"testcall", "URI", 1, 1,
	 "json user password password-file proxy transport authorities insecure encrypt no-encrypt no-register local "
	 "duration timeout",
	 "register, call, send sound, measure what comes back", testcall_command},
	{"version", "", 0, 0, LISTS, "print the version", version_command},
	{"help", "[COMMAND]", 0, 1, "", "explain a command", command_help},
	{NULL, NULL, 0, 0, NULL, NULL, NULL},
};
/* clang-format on */

const struct command *command_find(const char *name)
{
	for (const struct command *command = commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

int complain(int code, const char *format, ...)
{
	char text[4400]; /* answers of the gateway are shorter */
	va_list arguments;

	fflush(stdout);
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "ringwall: %s\n", text_tame(text));
	return code;
}

static int commands_print(void)
{
	printf("Ringwall %s, a security gateway for voice and video over IP.\n\n"
	       "Usage: ringwall COMMAND [ARGUMENTS] [-c FILE]\n\n",
	       RINGWALL_VERSION);
	for (const struct command *command = commands; command->name; command++)
		printf("  %-14s %s\n", command->name, command->help);
	printf("\nThe configuration is %s, or FILE. More: ringwall help COMMAND\n", CONFIG_PATH);
	return EXIT_GOOD;
}

int command_help(const struct arguments *arguments)
{
	const struct command *command;

	if (arguments->word_count == 0)
		return commands_print();
	command = command_find(arguments->words[0]);
	if (!command)
		return complain(EXIT_USAGE, "there is no command %s; see: ringwall help", arguments->words[0]);
	command_usage(command);
	return EXIT_GOOD;
}

int main(int argument_count, char **texts)
{
	struct arguments arguments;
	const struct command *command;

	/* Hidden: how `run` starts its processes. It takes none of the options. */
	if (argument_count > 1 && strcmp(texts[1], ROLE_COMMAND) == 0)
		return role_run(argument_count - 1, texts + 1);
	if (argument_count == 2 && strcmp(texts[1], TAKEOVER_COMMAND) == 0)
		return takeover_check();
	if (argument_count < 2 || strcmp(texts[1], "--help") == 0 || strcmp(texts[1], "-h") == 0) {
		commands_print();
		return argument_count < 2 ? EXIT_USAGE : EXIT_GOOD;
	}
	if (strcmp(texts[1], "--version") == 0)
		texts[1] = (char *)(uintptr_t) "version";
	command = arguments_read(argument_count, texts, &arguments);
	return command ? command->run(&arguments) : EXIT_USAGE;
}
