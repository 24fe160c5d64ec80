/* SPDX-License-Identifier: Apache-2.0
 * The runtime of a confined process; see role.h. */
#include "roles/role.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "roles/confine.h"
#include "roles/roles.h"

struct role {
	enum ipc_role id;
	const struct role_operations *operations;
	void *self;
	struct event_base *loop;
	struct event *terminate;
	struct ipc_channel *channels[IPC_ROLE_COUNT]; /* by who is at the other end */
	struct handover handover;
};

struct event_base *role_loop(struct role *role)
{
	return role->loop;
}

struct ipc_channel *role_peer(struct role *role, enum ipc_role peer)
{
	return role->channels[peer];
}

static int tell(struct role *role, enum ipc_role peer, const struct ipc_message *message,
		int (*send)(struct ipc_channel *channel, const struct ipc_message *message))
{
	static struct log_limit limit;
	int error = role->channels[peer] ? send(role->channels[peer], message) : -EPIPE;

	if (error)
		log_limited(&limit, LOG_WARNING, "role", "%s could not be told to %s: %s", ipc_type_name(message->type),
			    ipc_role_name(peer), strerror(-error));
	return error;
}

int role_tell(struct role *role, enum ipc_role peer, const struct ipc_message *message)
{
	return tell(role, peer, message, ipc_send);
}

int role_tell_soon(struct role *role, enum ipc_role peer, const struct ipc_message *message)
{
	return tell(role, peer, message, ipc_send_soon);
}

void role_finish(struct role *role)
{
	event_base_loopbreak(role->loop);
}

static void on_message(void *context, struct ipc_channel *channel, struct ipc_message *message);

static void on_closed(void *context, struct ipc_channel *channel)
{
	struct role *role = context;
	enum ipc_role peer = ipc_channel_peer(channel);
	bool current = role->channels[peer] == channel;

	ipc_channel_free(channel);
	if (!current)
		return;
	role->channels[peer] = NULL;
	if (peer == IPC_ROLE_SUPERVISOR) {
		log_write(LOG_ERROR, "role", "the supervisor is gone: ending");
		role_finish(role);
	} else if (role->operations->peer) {
		role->operations->peer(role->self, peer, NULL);
	}
}

/* Takes the place of an earlier channel to the same peer, which is a dead process's. */
static void peer_set(struct role *role, struct ipc_message *message)
{
	const struct ipc_callbacks callbacks = {on_message, on_closed, role};
	enum ipc_role peer = message->peer.role;

	if (peer >= IPC_ROLE_COUNT || peer == IPC_ROLE_SUPERVISOR || peer == role->id) {
		close(message->descriptor);
		return;
	}
	if (role->channels[peer]) {
		ipc_channel_free(role->channels[peer]);
		role->channels[peer] = NULL;
		if (role->operations->peer)
			role->operations->peer(role->self, peer, NULL);
	}
	role->channels[peer] = ipc_channel_new(role->loop, message->descriptor, peer, &callbacks);
	if (role->channels[peer] && role->operations->peer)
		role->operations->peer(role->self, peer, role->channels[peer]);
}

static void apply(struct role *role, uint32_t generation)
{
	struct ipc_message answer = {.type = IPC_READY, .descriptor = -1, .ready = {generation}};
	char reason[sizeof(answer.failed.reason)] = "the configuration was not handed over whole";
	int error = -EPROTO;

	if (generation == role->handover.generation)
		error = role->operations->apply(role->self, &role->handover, reason, sizeof(reason));
	handover_clear(&role->handover);
	if (error) {
		answer.type = IPC_FAILED;
		answer.failed.generation = generation;
		memcpy(answer.failed.reason, reason, sizeof(reason));
	}
	role_tell(role, IPC_ROLE_SUPERVISOR, &answer);
}

static void on_message(void *context, struct ipc_channel *channel, struct ipc_message *message)
{
	struct role *role = context;
	int error;

	if (handover_take(&role->handover, message, &error)) {
		if (error)
			log_write(LOG_ERROR, "role", "%s could not be taken: %s", ipc_type_name(message->type),
				  strerror(-error));
		return;
	}
	switch (message->type) {
	case IPC_PEER: peer_set(role, message); return;
	case IPC_APPLY: apply(role, message->apply.generation); return;
	case IPC_STOP: role->operations->stop(role->self); return;
	default: break;
	}
	if (role->operations->message)
		role->operations->message(role->self, channel, message);
	else if (message->descriptor >= 0)
		close(message->descriptor);
}

static void on_terminate(evutil_socket_t number, short what, void *context)
{
	(void)number;
	(void)what;
	role_finish(context);
}

/* The order matters: who we are, then what we may open, then what we may call. */
static int confine(enum ipc_role id)
{
	int error = confine_process();

	if (!error)
		error = confine_files(id);
	if (!error)
		error = confine_calls(id, CONFINE_SANITIZED);
	if (error)
		log_write(LOG_ERROR, "confine", "this process cannot be confined: %s", strerror(-error));
	return error;
}

static bool role_start(struct role *role, int descriptor, void *(*create)(struct role *role))
{
	const struct ipc_callbacks callbacks = {on_message, on_closed, role};

	static const int ignored[] = {SIGPIPE, SIGINT, SIGHUP, SIGTERM, SIGQUIT};

	/* What the terminal and the service manager send is the supervisor's business. */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	handover_start(&role->handover, 0);
	role->loop = event_base_new();
	if (!role->loop)
		return false;
	role->terminate = evsignal_new(role->loop, PROCESS_END_SIGNAL, on_terminate, role);
	role->channels[IPC_ROLE_SUPERVISOR] = ipc_channel_new(role->loop, descriptor, IPC_ROLE_SUPERVISOR, &callbacks);
	if (!role->terminate || event_add(role->terminate, NULL) || !role->channels[IPC_ROLE_SUPERVISOR])
		return false;
	role->self = create(role);
	return role->self != NULL;
}

int role_main(enum ipc_role id, int descriptor, const struct role_operations *operations,
	      void *(*create)(struct role *role), void (*destroy)(void *self))
{
	struct role role = {.id = id, .operations = operations};
	int status = 1;

	log_setup(ipc_role_name(id), LOG_NOTICE);
	if (confine(id))
		return 1;
	if (!role_start(&role, descriptor, create)) {
		log_write(LOG_ERROR, "role", "this process cannot start: no memory");
		goto out;
	}
	event_base_dispatch(role.loop);
	status = 0;
out:
	if (role.self)
		destroy(role.self);
	for (int i = 0; i < IPC_ROLE_COUNT; i++)
		ipc_channel_free(role.channels[i]);
	handover_clear(&role.handover);
	if (role.terminate)
		event_free(role.terminate);
	if (role.loop)
		event_base_free(role.loop);
	return status;
}
