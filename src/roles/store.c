/* SPDX-License-Identifier: Apache-2.0
 * The store process: writes down what the gate says, and says when it is on the disk. */
#include "store/store.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "roles/role.h"
#include "roles/roles.h"
#include "roles/store_record.h"

#define COMMIT_DELAY_MS 100    /* changes of this long share one fsync; the promise is 200 ms */
#define PENDING_MAXIMUM 1024   /* answers that wait for the same commit */
#define LOAD_PATIENCE_MS 10000 /* a gate that reads nothing for so long is not waited for */

struct store_role {
	struct role *role;
	struct store *store;
	struct store_record *record; /* NULL: none */
	struct event *commit;
	uint64_t pending[PENDING_MAXIMUM];
	unsigned pending_count;
	uint32_t epoch;    /* of the gate's: since its AGAIN */
	uint64_t received; /* changes of bindings since then */
	bool failed;       /* one could not be written: none is taken until AGAIN */
	int error;         /* why, negative; told once */
};

static void answer(struct store_role *self, uint64_t request, int error)
{
	struct ipc_message message = {
		.type = IPC_STORED, .descriptor = -1, .stored = {request, error ? (uint32_t)-error : 0}};

	if (request)
		role_tell(self->role, IPC_ROLE_GATE, &message);
}

static void answer_pending(struct store_role *self, int error)
{
	for (unsigned i = 0; i < self->pending_count; i++)
		answer(self, self->pending[i], error);
	self->pending_count = 0;
}

static void state_tell(struct store_role *self, int error)
{
	const struct ipc_message message = {.type = IPC_STORE_STATE,
					    .descriptor = -1,
					    .store_state = {self->epoch, self->received, error ? (uint32_t)-error : 0}};

	if (role_peer(self->role, IPC_ROLE_GATE))
		role_tell(self->role, IPC_ROLE_GATE, &message);
}

/* The gate keeps what it told, and tells it again: until then nothing is counted. */
static void fail(struct store_role *self, int error)
{
	if (error != self->error)
		log_write(LOG_ERROR, "store", "the database cannot be written: %s", strerror(-error));
	self->error = error;
	self->failed = true;
	state_tell(self, error);
}

static void commit(struct store_role *self)
{
	int error = store_commit(self->store);

	event_del(self->commit);
	answer_pending(self, error);
	if (error) {
		fail(self, error);
	} else if (!self->failed) {
		if (self->error)
			log_write(LOG_NOTICE, "store", "the database can be written again");
		self->error = 0;
		state_tell(self, 0);
	}
}

static void on_commit(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor;
	(void)what;
	commit(context);
}

/* After a change: what is good waits for its commit, what is bad is answered at once. */
static void changed(struct store_role *self, uint64_t request, int error)
{
	const struct timeval delay = {0, COMMIT_DELAY_MS * 1000};

	if (error) {
		answer(self, request, error);
		/* A full disk takes the whole transaction with it. */
		if (!store_is_dirty(self->store))
			answer_pending(self, error);
		if (error == -EINVAL)
			log_write(LOG_ERROR, "store", "a change is not one that can be written");
		if (error != -ENOENT && error != -EINVAL)
			fail(self, error);
		else if (store_is_dirty(self->store) && !event_pending(self->commit, EV_TIMEOUT, NULL))
			event_add(self->commit, &delay);
		return;
	}
	if (request)
		self->pending[self->pending_count++] = request;
	if (self->pending_count == PENDING_MAXIMUM)
		commit(self);
	else if (!event_pending(self->commit, EV_TIMEOUT, NULL))
		event_add(self->commit, &delay);
}

/* More than the queue holds is sent piece by piece. */
static bool load_send(struct store_role *self, const struct ipc_message *message)
{
	struct ipc_channel *gate = role_peer(self->role, IPC_ROLE_GATE);
	int error = gate ? ipc_send(gate, message) : -EPIPE;

	if (error == -ENOBUFS && ipc_drain(gate, LOAD_PATIENCE_MS) == 0)
		error = ipc_send(gate, message);
	if (error)
		log_write(LOG_ERROR, "store", "the gate does not take what is stored: %s", strerror(-error));
	return error == 0;
}

static bool load_binding(void *context, const struct ipc_binding *binding)
{
	struct ipc_message message = {.type = IPC_BINDING, .descriptor = -1};

	message.binding = *binding;
	return load_send(context, &message);
}

static bool load_account(void *context, const struct ipc_account *account)
{
	struct ipc_message message = {.type = IPC_ACCOUNT, .descriptor = -1};
	bool sent;

	message.account = *account;
	sent = load_send(context, &message);
	memory_wipe(&message.account, sizeof(message.account));
	return sent;
}

static void load(struct store_role *self)
{
	const struct ipc_message loaded = {.type = IPC_LOADED, .descriptor = -1};
	int error = store_accounts_each(self->store, load_account, self);

	if (!error)
		error = store_bindings_each(self->store, (uint64_t)clock_wall_s(), load_binding, self);
	if (error)
		log_write(LOG_ERROR, "store", "what is stored cannot be read: %s", strerror(-error));
	if (store_is_dirty(self->store))
		commit(self);
	load_send(self, &loaded);
}

static void binding_changed(struct store_role *self, const struct ipc_message *message)
{
	if (self->failed)
		return;
	self->received++;
	changed(self, 0,
		message->type == IPC_BINDING ? store_binding_save(self->store, &message->binding)
					     : store_binding_remove(self->store, message->binding_remove.token));
}

/* What is under way is of before, and not to be counted with what comes. */
static void again(struct store_role *self, uint32_t epoch)
{
	self->failed = true;
	if (store_is_dirty(self->store))
		commit(self);
	self->epoch = epoch;
	self->received = 0;
	self->failed = false;
}

static void on_message(void *context, struct ipc_channel *channel, struct ipc_message *message)
{
	struct store_role *self = context;

	(void)channel;
	if (!self->store)
		return;
	switch (message->type) {
	case IPC_LOAD: load(self); break;
	case IPC_BINDING:
	case IPC_BINDING_REMOVE: binding_changed(self, message); break;
	case IPC_AGAIN: again(self, message->again.epoch); break;
	case IPC_ACCOUNT:
		changed(self, message->account.request, store_account_save(self->store, &message->account));
		break;
	case IPC_ACCOUNT_REMOVE:
		changed(self, message->account_remove.request,
			store_account_remove(self->store, message->account_remove.user));
		break;
	case IPC_EVIDENCE: store_record_put(self->record, &message->evidence); break;
	default: break;
	}
}

static int on_apply(void *context, struct handover *handover, char *error, size_t error_capacity)
{
	struct store_role *self = context;
	struct config *config = handover_config(handover, error, error_capacity);

	if (!config)
		return -EINVAL;
	log_setup("store", config->log_level);
	if (!self->store) {
		self->store = store_open(STORE_FILE, error, error_capacity);
		self->record = store_record_new(role_loop(self->role), config);
	}
	config_free(config);
	return self->store ? 0 : -EIO;
}

static void on_stop(void *context)
{
	struct store_role *self = context;

	role_finish(self->role);
}

static void destroy(void *context)
{
	struct store_role *self = context;

	if (self->store && store_is_dirty(self->store))
		commit(self);
	store_close(self->store);
	store_record_free(self->record);
	event_free(self->commit);
	memory_free(self);
}

static void *create(struct role *role)
{
	struct store_role *self = memory_alloc(sizeof(*self));

	if (!self)
		return NULL;
	self->role = role;
	self->commit = evtimer_new(role_loop(role), on_commit, self);
	if (!self->commit) {
		memory_free(self);
		return NULL;
	}
	return self;
}

int store_main(int descriptor)
{
	static const struct role_operations operations = {.apply = on_apply, .message = on_message, .stop = on_stop};

	return role_main(IPC_ROLE_STORE, descriptor, &operations, create, destroy);
}
