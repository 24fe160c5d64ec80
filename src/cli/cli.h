/* SPDX-License-Identifier: Apache-2.0
 * What the files of the command line share. */
#ifndef RINGWALL_CLI_CLI_H
#define RINGWALL_CLI_CLI_H

#include <jansson.h>

#include "roles/roles.h"

enum exit_code { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define WORDS_MAXIMUM 4

/* All that can be given; each command takes the options that its row names. */
struct arguments {
	const char *program, *command;
	const char *words[WORDS_MAXIMUM];
	const char *configuration, *explain;
	const char *password_file, *password, *user;
	const char *listen, *media, *ports, *realm;
	const char *from, *caller, *time, *with, *reason;
	const char *proxy, *transport, *authorities, *local, *duration, *timeout;
	int word_count;
	bool json, reference, example, ended;
	bool prompt, sha256_only, with_parent;
	bool insecure, encrypt, no_encrypt, no_register;
};

struct command {
	const char *name;
	const char *words; /* for the usage line */
	int words_minimum, words_maximum;
	const char *options; /* names of rows of the option table, separated by blanks; --config is always taken */
	const char *help;    /* one line */
	int (*run)(const struct arguments *arguments);
};
extern const struct command commands[];

/* Reads the command line. Returns its command, or NULL when it was wrong, which has been said. */
const struct command *arguments_read(int count, char **texts, struct arguments *arguments);
const struct command *command_find(const char *name);
int command_help(const struct arguments *arguments);
void command_usage(const struct command *command);

/* An error for people: "ringwall: …" on standard error. Returns `code`. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Reads the configuration, or says every error. */
int configuration_of(const struct arguments *arguments, bool check_files, struct configuration *configuration);

/* Asks the running gateway. Returns 0 and *answer whose "ok" is true; or a negative error, said already, but for
 * -ENOENT and -ECONNREFUSED when `quiet_when_none`: no gateway runs. The request is released. */
int gateway_ask(const char *state_directory, json_t *request, bool quiet_when_none, json_t **answer);

/* Asks the running gateway, and prints the answer as JSON or lets `print` do it. Returns an exit code. The request is released. */
int ask_and_print(const struct arguments *arguments, json_t *request, void (*print)(const json_t *answer));

/* Of an answer: "" and 0 for what is not there. "3 d 04:05:06", "04:05:06", "05:06". */
const char *text_of(const json_t *object, const char *name);
long long number_of(const json_t *object, const char *name);
const char *duration_text(long long seconds, char out[32]);

/* With --json: prints without "ok". */
void json_print(json_t *answer);

/* Control characters become '?', but for the ends of lines, so that a text from elsewhere cannot speak to the terminal. Returns it. */
char *text_tame(char *text);

/* Tables: rows of cells, aligned in columns, a headline above. Cells are made printable. */
#define TABLE_COLUMNS_MAXIMUM 13
struct text_table;
struct text_table *text_table_new(const char *const *headline, int columns);
void text_table_cell(struct text_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints and frees. `empty` is printed instead when there is no row. */
void text_table_print(struct text_table *table, const char *empty);

/* For `check`: certificates, keys and authorities that the configuration names, as those who use them will find them. */
config_inspect certificates_inspect;

/* A password from --password-file (its first line; "-" is standard input), --password, --prompt (typed twice, unseen), or
 * generated. Returns 0, *generated saying which; or an exit code, the reason said. The caller wipes. */
#define PASSWORD_CAPACITY 256
int password_obtain(const struct arguments *arguments, bool may_generate, char out[PASSWORD_CAPACITY], bool *generated);

/* The commands. */
int run_command(const struct arguments *arguments);
int check_command(const struct arguments *arguments);
int status_command(const struct arguments *arguments);
int calls_command(const struct arguments *arguments);
int registrations_command(const struct arguments *arguments);
int route_command(const struct arguments *arguments);
int bans_command(const struct arguments *arguments);
int ban_command(const struct arguments *arguments);
int events_command(const struct arguments *arguments);
int why_command(const struct arguments *arguments);
int unban_command(const struct arguments *arguments);
int replay_command(const struct arguments *arguments);
int hangup_command(const struct arguments *arguments);
int reload_command(const struct arguments *arguments);
int upgrade_command(const struct arguments *arguments);
int account_command(const struct arguments *arguments);
int testpbx_command(const struct arguments *arguments);
int testcall_command(const struct arguments *arguments);

#endif
