/* SPDX-License-Identifier: Apache-2.0
 * The media process: the relay with its worker threads, told by the gate. Sessions outlive the gate: the next one declares those that
 * its calls have, and the others are closed. */
#include "media/media.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "roles/role.h"
#include "roles/streams.h"

#define EVENT_PIPE_BYTES (1 << 20)
#define SESSIONS_BEYOND_CALLS 64 /* emergency calls pass the limit */

struct media_role {
	struct role *role;
	struct media_relay *relay;
	uint32_t workers, calls;
	int pipe[2]; /* events: from the workers' threads to the loop; one write is one event */
	struct event *readable;
	struct log_limit lost_limit; /* of all workers */
};

/* On a worker's thread, which must not wait: when the loop is far behind, the event is lost, and silence is told again. */
static void on_relay_event(void *context, const struct media_event *event)
{
	struct media_role *self = context;

	if (write(self->pipe[1], event, sizeof(*event)) != sizeof(*event))
		log_limited(&self->lost_limit, LOG_WARNING, "media", "an event of session %llx was lost",
			    (unsigned long long)event->session);
}

static void on_pipe(evutil_socket_t descriptor, short what, void *context)
{
	struct media_role *self = context;
	struct ipc_message message;
	struct evidence evidence;
	struct media_event event;

	(void)what;
	for (int i = 0; i < 256 && read(descriptor, &event, sizeof(event)) == sizeof(event); i++) {
		if (event.kind == MEDIA_FINDING) {
			if (!evidence_from_event(&event, &evidence))
				continue;
			evidence_to_message(&evidence, &message);
		} else {
			event_to_message(&event, &message);
		}
		if (role_peer(self->role, IPC_ROLE_GATE))
			role_tell(self->role, IPC_ROLE_GATE, &message);
		if (event.kind == MEDIA_KEYED) {
			memory_wipe(&event, sizeof(event));
			memory_wipe(&message, sizeof(message));
		}
	}
}

static void stream_set(struct media_role *self, const struct ipc_stream_set *set)
{
	struct ipc_message answer;
	struct media_stream stream;
	int error;

	stream_from_message(set, &stream);
	error = media_stream_set(self->relay, &stream);
	if (error) {
		const struct media_event refused = {
			.session = stream.session, .kind = MEDIA_PORT_UNAVAILABLE, .stream = stream.index};

		log_write(LOG_WARNING, "media", "a stream cannot be relayed: %s", strerror(-error));
		event_to_message(&refused, &answer);
		role_tell(self->role, IPC_ROLE_GATE, &answer);
	}
	memory_wipe(&stream, sizeof(stream));
}

static uint64_t dropped(const struct media_side_counters *counters)
{
	uint64_t sum = 0;

	for (int i = 0; i < MEDIA_DROP_COUNT; i++)
		sum += counters->drops[i];
	return sum;
}

static void counters_tell(struct media_role *self, const struct ipc_counters_get *get)
{
	struct ipc_message answer = {
		.type = IPC_COUNTERS, .descriptor = -1, .counters = {get->request, get->session, get->index, false}};
	struct ipc_counters *out = &answer.counters;
	struct media_side_counters a, b;

	if (media_counters(self->relay, get->session, get->index, 0, &a) == 0 &&
	    media_counters(self->relay, get->session, get->index, 1, &b) == 0) {
		out->found = true;
#define X(side) \
	out->side##_packets_in = side.packets_in; \
	out->side##_packets_out = side.packets_out; \
	out->side##_lost = side.lost; \
	out->side##_jitter_us = side.jitter_us; \
	out->side##_round_trip_us = side.round_trip_us; \
	out->side##_dropped = dropped(&side);
		X(a)
		X(b)
#undef X
	}
	role_tell(self->role, IPC_ROLE_GATE, &answer);
}

static void on_message(void *context, struct ipc_channel *channel, struct ipc_message *message)
{
	struct media_role *self = context;

	(void)channel;
	if (!self->relay)
		return;
	switch (message->type) {
	case IPC_STREAM_SET: stream_set(self, &message->stream_set); break;
	case IPC_STREAM_CLOSE:
		media_stream_close(self->relay, message->stream_close.session, message->stream_close.index);
		break;
	case IPC_SESSION_CLOSE: media_session_close(self->relay, message->session_close.session); break;
	case IPC_SESSIONS_DECLARE:
		(message->sessions_declare.done ? media_sessions_sweep : media_sessions_mark)(self->relay);
		break;
	case IPC_COUNTERS_GET: counters_tell(self, &message->counters_get); break;
	default: break;
	}
}

/* Without it there are the sockets. */
static void datapath_use(struct media_role *self, const struct handover *handover)
{
	int error;

	if (handover->datapath_flows < 0 || handover->datapath_sites < 0)
		return;
	error = media_relay_offload(self->relay, handover->datapath_flows, handover->datapath_sites,
				    &handover->datapath_sockets);
	if (error)
		log_write(LOG_WARNING, "media", "the kernel's datapath cannot be used: %s", strerror(-error));
}

static int relay_start(struct media_role *self, const struct config *config, const struct handover *handover,
		       char *error, size_t error_capacity)
{
	const struct media_callbacks callbacks = {on_relay_event, self};

	if (self->relay) {
		if (config->media_workers != self->workers || config->limits.calls != self->calls)
			log_write(LOG_NOTICE, "media",
				  "media.workers and limits.calls take effect for media at the next start");
		return 0;
	}
	self->workers = config->media_workers;
	self->calls = config->limits.calls;
	self->relay = media_relay_new(self->workers, self->calls + SESSIONS_BEYOND_CALLS, &callbacks);
	if (!self->relay)
		snprintf(error, error_capacity, "the media threads cannot be started");
	else
		datapath_use(self, handover);
	return self->relay ? 0 : -EAGAIN;
}

static int identity_use(struct media_role *self, const struct handover *handover, char *error, size_t error_capacity)
{
	int result = media_relay_identity(self->relay, handover_file(handover, IPC_FILE_MEDIA_CERTIFICATE),
					  handover_file(handover, IPC_FILE_MEDIA_KEY));

	if (result)
		snprintf(error, error_capacity, "the certificate of media cannot be used: %s", strerror(-result));
	return result;
}

static int on_apply(void *context, struct handover *handover, char *error, size_t error_capacity)
{
	struct config *config = handover_config(handover, error, error_capacity);
	int result;

	if (!config)
		return -EINVAL;
	log_setup("media", config->log_level);
	result = relay_start(context, config, handover, error, error_capacity);
	if (!result)
		result = identity_use(context, handover, error, error_capacity);
	config_free(config);
	return result;
}

static void on_stop(void *context)
{
	struct media_role *self = context;

	role_finish(self->role);
}

static void destroy(void *context)
{
	struct media_role *self = context;

	media_relay_free(self->relay);
	if (self->readable)
		event_free(self->readable);
	for (int i = 0; i < 2; i++)
		if (self->pipe[i] >= 0)
			close(self->pipe[i]);
	memory_free(self);
}

static void *create(struct role *role)
{
	struct media_role *self = memory_alloc(sizeof(*self));

	if (!self)
		return NULL;
	self->role = role;
	self->pipe[0] = self->pipe[1] = -1;
	if (pipe2(self->pipe, O_CLOEXEC | O_NONBLOCK))
		goto failed;
	fcntl(self->pipe[1], F_SETPIPE_SZ, EVENT_PIPE_BYTES); /* as large as is allowed */
	self->readable = event_new(role_loop(role), self->pipe[0], EV_READ | EV_PERSIST, on_pipe, self);
	if (!self->readable || event_add(self->readable, NULL))
		goto failed;
	return self;
failed:
	destroy(self);
	return NULL;
}

int media_main(int descriptor)
{
	static const struct role_operations operations = {.apply = on_apply, .message = on_message, .stop = on_stop};

	/* While the system's configuration of OpenSSL can still be read. */
	OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL);
	return role_main(IPC_ROLE_MEDIA, descriptor, &operations, create, destroy);
}
