/* SPDX-License-Identifier: Apache-2.0
 * The processes of `ringwall run`, for the command line: the supervisor, which starts the others, and the hidden command by
 * which it starts them. */
#ifndef RINGWALL_ROLES_ROLES_H
#define RINGWALL_ROLES_ROLES_H

#include "config/config.h"

/* Below state_directory. The store alone may write there, so it has a directory of its own. */
#define STORE_DIRECTORY "store"
#define STORE_FILE "ringwall.db"
#define SHIELD_DIRECTORY "shield" /* likewise */
#define PID_FILE "ringwall.pid"
#define TESTPBX_SECRET_FILE "testpbx.secret"
#define TESTPBX_USER "1001"

/* A configuration as read, with its snapshot. */
struct configuration {
	char *text;
	size_t length;
	char path[4096]; /* for messages */
	bool embedded;   /* no file was named and CONFIG_PATH is not there */
	struct config *config;
};

/* Reads and parses the file at `path`; NULL: CONFIG_PATH, or the embedded default when that is not there. Errors are
 * added to `errors`, unreadable files too. Returns 0 or a negative error. */
int configuration_load(const char *path, bool check_files, struct config_errors *errors,
		       struct configuration *configuration);
/* The same with files checked, and `inspect` looking into them (config_parse_inspected). */
int configuration_inspect(const char *path, config_inspect *inspect, struct config_errors *errors,
			  struct configuration *configuration);
void configuration_clear(struct configuration *configuration);

/* As configuration_load, and prints every error, one a line, to standard error. */
int configuration_load_or_complain(const char *path, bool check_files, struct configuration *configuration);

/* Where the gateway of this file keeps its state, whatever else is wrong with the file. Returns 0 or a negative error. */
int configuration_state_directory(const char *path, char *out, size_t capacity);

/* Runs the gateway until a signal ends it. `path` as above. Returns the exit status. */
int keeper_run(const char *path);

/* One confined process: its arguments are what the supervisor gave it. Returns the exit status. */
#define ROLE_COMMAND "role"
int role_run(int argument_count, char **arguments);

/* Also hidden: a running gateway asks the program that is to take its place whether it could. Returns the exit status. */
#define TAKEOVER_COMMAND "takeover"
int takeover_check(void);

/* The store, for the commands when no gateway runs: opened under the lock of the state directory, so that none starts
 * meanwhile. Returns 0; or a negative error with the reason in `error`. */
struct store;
struct offline {
	int lock;
	struct store *store;
	char state_directory[1200];
};
int offline_open(struct offline *offline, const struct config *config, char *error, size_t error_capacity);
void offline_close(struct offline *offline); /* commits */

/* Whether it can be the user part of a SIP URI as it stands (RFC 3261 section 25.1), which digest can quote. */
bool account_user_is_plain(const char *user);

/* What ends one of our processes. Not SIGTERM: service managers send that to all processes at a time, and the gate must end
 * its calls before media and store go. */
#define PROCESS_END_SIGNAL SIGUSR1

/* For the test PBX that was started by root: becomes the user that `user` names, or nobody. Returns 0 or a negative errno. */
int privilege_drop(const char *user);

#endif
