/* SPDX-License-Identifier: Apache-2.0
 * Starting the other processes: each is this same program executed anew, so that none shares an address space, and its
 * random layout, with another. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/supervisor.h"

#define CHANNEL_DESCRIPTOR 3 /* in the new process; beyond it nothing is open */

/* Which files of a generation a role is given. */
static const struct {
	enum ipc_role role;
	enum ipc_file_kind kind;
} files[] = {
	{IPC_ROLE_GATE, IPC_FILE_CONFIGURATION},
	{IPC_ROLE_GATE, IPC_FILE_CERTIFICATE},
	{IPC_ROLE_GATE, IPC_FILE_KEY},
	{IPC_ROLE_GATE, IPC_FILE_AUTHORITIES},
	{IPC_ROLE_GATE, IPC_FILE_ZONE_AUTHORITIES},
	{IPC_ROLE_GATE, IPC_FILE_PASSWORDS},
	{IPC_ROLE_GATE, IPC_FILE_MEDIA_CERTIFICATE},
	{IPC_ROLE_MEDIA, IPC_FILE_CONFIGURATION},
	{IPC_ROLE_MEDIA, IPC_FILE_MEDIA_CERTIFICATE},
	{IPC_ROLE_MEDIA, IPC_FILE_MEDIA_KEY},
	{IPC_ROLE_STORE, IPC_FILE_CONFIGURATION},
	{IPC_ROLE_SHIELD, IPC_FILE_CONFIGURATION},
};

static void on_message(void *context, struct ipc_channel *channel, struct ipc_message *message)
{
	struct child *child = context;

	(void)channel;
	supervisor_message(child->supervisor, child, message);
}

/* The process ends too, or has ended: the keeper tells. One that only misbehaved is ended, and killed if it does not listen. */
static void on_closed(void *context, struct ipc_channel *channel)
{
	const struct timeval patience = {1, 0};
	struct child *child = context;

	ipc_channel_free(channel);
	if (child->channel != channel)
		return;
	child->channel = NULL;
	if (!child->pid)
		return;
	kill(child->pid, PROCESS_END_SIGNAL);
	event_add(child->restart, &patience);
}

/* In the new process. Only what is safe after fork(2), though the supervisor has no threads. */
static void child_execute(const struct child *child, int descriptor)
{
	const struct confine_identity *identity = &child->supervisor->identity;
	char user[16], group[16], drop[2] = {identity->drop ? '1' : '0', 0};
	char *arguments[] = {(char[]){"ringwall"}, (char[]){ROLE_COMMAND}, NULL, drop, user, group, NULL};
	char name[16], own[1200];

	snprintf(name, sizeof(name), "%s", ipc_role_name(child->role));
	arguments[2] = name;
	snprintf(user, sizeof(user), "%u", (unsigned)identity->user);
	snprintf(group, sizeof(group), "%u", (unsigned)identity->group);
	snprintf(own, sizeof(own), "%s/%s", child->supervisor->state_directory,
		 child->role == IPC_ROLE_SHIELD ? SHIELD_DIRECTORY : STORE_DIRECTORY);
	/* These work in their own directories, which they may then reach whatever stands above it. */
	if (chdir(child->role == IPC_ROLE_STORE || child->role == IPC_ROLE_SHIELD ? own : "/"))
		_exit(126);
	if (descriptor == CHANNEL_DESCRIPTOR)
		fcntl(descriptor, F_SETFD, 0);
	else if (dup2(descriptor, CHANNEL_DESCRIPTOR) < 0)
		_exit(126);
	close_range(CHANNEL_DESCRIPTOR + 1, ~0u, 0);
	/* The default of state_directory hangs on who asks; the roles read the same text as another user. */
	setenv("XDG_STATE_HOME", child->supervisor->state_directory, 1);
	execv("/proc/self/exe", arguments);
	_exit(127);
}

int child_start(struct child *child)
{
	const struct ipc_callbacks callbacks = {on_message, on_closed, child};
	int pair[2], error = ipc_pair(pair);

	if (error)
		goto failed;
	child->pid = keeper_fork();
	if (child->pid == 0)
		child_execute(child, pair[1]);
	error = child->pid < 0 ? -errno : 0;
	close(pair[1]);
	if (error) {
		child->pid = 0;
		close(pair[0]);
		goto failed;
	}
	child->started_us = clock_monotonic_us();
	child->is_ready = false;
	child->channel = ipc_channel_new(child->supervisor->loop, pair[0], child->role, &callbacks);
	if (child->channel)
		return 0;
	kill(child->pid, SIGKILL);
	error = -ENOMEM;
failed:
	log_write(LOG_ERROR, "supervisor", "the %s process cannot be started: %s", ipc_role_name(child->role),
		  strerror(-error));
	return error;
}

int child_adopt(struct child *child)
{
	const struct ipc_callbacks callbacks = {on_message, on_closed, child};

	child->started_us = clock_monotonic_us();
	if (child->is_foreign || child->inherited <= CHANNEL_DESCRIPTOR - 1)
		return 0;
	child->channel = ipc_channel_new(child->supervisor->loop, child->inherited, child->role, &callbacks);
	child->inherited = -1;
	return child->channel ? 0 : -ENOMEM;
}

static void tell(struct child *child, const struct ipc_message *message)
{
	int error = child->channel ? ipc_send(child->channel, message) : -EPIPE;

	if (error)
		log_write(LOG_WARNING, "supervisor", "%s could not be told to %s: %s", ipc_type_name(message->type),
			  ipc_role_name(child->role), strerror(-error));
}

static void listeners_hand_over(struct child *child, const struct generation *generation)
{
	struct ipc_message message = {.type = IPC_LISTENER};

	for (uint16_t i = 0; i < generation->listener_count; i++) {
		const struct open_listener *listener = &generation->listeners[i];

		message.listener = (struct ipc_listener){generation->number, listener->zone, listener->listener,
							 (uint8_t)listener->transport, listener->address};
		message.descriptor = listener->descriptor;
		tell(child, &message);
	}
}

void child_hand_over(struct child *child, const struct generation *generation)
{
	struct ipc_message message = {.type = IPC_FILE};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		message.descriptor = generation->files[files[i].kind];
		message.file = (struct ipc_file){generation->number, (uint8_t)files[i].kind};
		if (files[i].role == child->role && message.descriptor >= 0)
			tell(child, &message);
	}
	if (child->role == IPC_ROLE_GATE) {
		listeners_hand_over(child, generation);
		message = (struct ipc_message){.type = IPC_CONTROL, .descriptor = child->supervisor->control};
		message.control.generation = generation->number;
		tell(child, &message);
		message = (struct ipc_message){.type = IPC_MEMORY, .descriptor = child->supervisor->memory};
		message.memory = (struct ipc_memory){generation->number, child->supervisor->memory_records};
		tell(child, &message);
	}
	datapath_hand_over(child, generation->number);
	message = (struct ipc_message){.type = IPC_APPLY, .descriptor = -1};
	message.apply.generation = generation->number;
	tell(child, &message);
}

void child_link(struct child *a, struct child *b)
{
	struct ipc_message message = {.type = IPC_PEER};
	int pair[2], error = ipc_pair(pair);

	if (error) {
		log_write(LOG_ERROR, "supervisor", "%s and %s cannot be joined: %s", ipc_role_name(a->role),
			  ipc_role_name(b->role), strerror(-error));
		return;
	}
	message.descriptor = pair[0];
	message.peer.role = (uint8_t)b->role;
	tell(a, &message);
	message.descriptor = pair[1];
	message.peer.role = (uint8_t)a->role;
	tell(b, &message);
	close(pair[0]);
	close(pair[1]);
}
