/* SPDX-License-Identifier: Apache-2.0
 * What every confined process is made of: an event loop, a channel to the supervisor, channels to its peers. */
#ifndef RINGWALL_ROLES_ROLE_H
#define RINGWALL_ROLES_ROLE_H

#include "roles/handover.h"

struct event_base;
struct role;

/* What makes a role the one it is. All but `stop` may be NULL. */
struct role_operations {
	/* A whole configuration is there. The callee takes what it needs out of `handover`. Returns 0; or a negative error with
	 * the reason in `error`, everything staying as it was before. */
	int (*apply)(void *self, struct handover *handover, char *error, size_t error_capacity);
	/* A channel to a peer was made, or (NULL) is gone. role_peer() already says the same. */
	void (*peer)(void *self, enum ipc_role peer, struct ipc_channel *channel);
	/* From a peer, or what the runtime does not handle from the supervisor. */
	void (*message)(void *self, struct ipc_channel *channel, struct ipc_message *message);
	/* To end: now or later with role_finish. */
	void (*stop)(void *self);
};

/* Confines this process, runs its loop until role_finish. `create` makes the role's own state when confinement is done.
 * Returns the exit status. */
int role_main(enum ipc_role id, int descriptor, const struct role_operations *operations,
	      void *(*create)(struct role *role), void (*destroy)(void *self));

struct event_base *role_loop(struct role *role);
struct ipc_channel *role_peer(struct role *role, enum ipc_role peer); /* NULL when it is not there */

/* To the supervisor or to a peer; a failure is logged and returned. */
int role_tell(struct role *role, enum ipc_role peer, const struct ipc_message *message);
int role_tell_soon(struct role *role, enum ipc_role peer, const struct ipc_message *message); /* ipc_send_soon */

void role_finish(struct role *role);

/* The processes, one file each. Each returns an exit status. */
int gate_main(int descriptor);
int media_main(int descriptor);
int store_main(int descriptor);
int shield_main(int descriptor);
extern int shield_runner; /* of nft_runner.h; negative: there is none */

#endif
