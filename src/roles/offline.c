/* SPDX-License-Identifier: Apache-2.0
 * The store without a gateway: for the account commands before the first start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "roles/supervisor.h"
#include "store/store.h"

int offline_open(struct offline *offline, const struct config *config, char *error, size_t error_capacity)
{
	struct buffer complaints = buffer_over(error, error_capacity);
	struct confine_identity identity;
	char path[1300];
	int result = confine_identity_find(config->user, &identity);

	offline->lock = -1;
	offline->store = NULL;
	snprintf(offline->state_directory, sizeof(offline->state_directory), "%s", config->state_directory);
	if (!result)
		result = state_prepare(offline->state_directory, &identity, &complaints);
	if (!result) {
		offline->lock = state_lock(offline->state_directory, getpid(), &complaints);
		result = offline->lock < 0 ? offline->lock : 0;
	}
	buffer_text(&complaints);
	if (result)
		return result;
	snprintf(path, sizeof(path), "%s/%s/%s", offline->state_directory, STORE_DIRECTORY, STORE_FILE);
	offline->store = store_open(path, error, error_capacity);
	/* A file that root just made must be the store's. */
	if (offline->store && !state_prepare(offline->state_directory, &identity, &complaints))
		return 0;
	offline_close(offline);
	return -EIO;
}

void offline_close(struct offline *offline)
{
	store_close(offline->store);
	offline->store = NULL;
	state_unlock(offline->state_directory, offline->lock);
	offline->lock = -1;
}
