/* SPDX-License-Identifier: Apache-2.0
 * The hidden command by which the supervisor starts a role: `ringwall role NAME DROP UID GID`, the channel on descriptor 3. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "roles/confine.h"
#include "roles/nft_runner.h"
#include "roles/role.h"
#include "roles/roles.h"

#define CHANNEL_DESCRIPTOR 3

static const struct {
	enum ipc_role role;
	int (*run)(int descriptor);
} roles[] = {{IPC_ROLE_GATE, gate_main},
	     {IPC_ROLE_MEDIA, media_main},
	     {IPC_ROLE_STORE, store_main},
	     {IPC_ROLE_SHIELD, shield_main}};

int role_run(int argument_count, char **arguments)
{
	struct confine_identity identity;
	char name[16];
	int error;

	if (argument_count != 5) {
		fprintf(stderr, "ringwall: `role` is for `ringwall run` alone\n");
		return 2;
	}
	identity.drop = arguments[2][0] == '1';
	identity.user = (uid_t)strtoul(arguments[3], NULL, 10);
	identity.group = (gid_t)strtoul(arguments[4], NULL, 10);
	log_setup(arguments[1], LOG_NOTICE);
	snprintf(name, sizeof(name), "ringwall-%s", arguments[1]);
	prctl(PR_SET_NAME, name); /* what ps and top show */
	if (strcmp(arguments[1], ipc_role_name(IPC_ROLE_SHIELD)) == 0)
		shield_runner = nft_runner_start(&identity);
	error = confine_drop(&identity);
	if (error) {
		log_write(LOG_ERROR, "confine", "root cannot be given up: %s", strerror(-error));
		return 1;
	}
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(arguments[1], ipc_role_name(roles[i].role)) == 0)
			return roles[i].run(CHANNEL_DESCRIPTOR);
	fprintf(stderr, "ringwall: there is no role %s\n", arguments[1]);
	return 2;
}

int privilege_drop(const char *user)
{
	struct confine_identity identity;
	int error = confine_identity_find(user, &identity);

	return error ? error : confine_drop(&identity);
}
