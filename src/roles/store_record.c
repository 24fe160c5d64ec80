/* SPDX-License-Identifier: Apache-2.0
 * Evidence on record: the gate tells it to the store, which may write. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "detect/detect.h"
#include "roles/store_record.h"
#include "roles/streams.h"

#define RECORD_FILE "evidence.record"
#define FLUSH_S 1

struct store_record {
	int descriptor;
	struct detect_record *record;
	struct event *flush;
	struct log_limit limit;
};

static void on_flush(evutil_socket_t descriptor, short what, void *context)
{
	struct store_record *self = context;
	int error = detect_record_flush(self->record);

	(void)descriptor;
	(void)what;
	if (error)
		log_limited(&self->limit, LOG_WARNING, "store", "evidence cannot be recorded: %s", strerror(-error));
}

static int record_open(struct store_record *self, const struct config *config)
{
	struct detect_record_options options = {.capacity = config->record.findings,
						.addresses = (enum detect_record_addresses)config->record.addresses,
						.random = random_system(),
						.now_us = clock_monotonic_us(),
						.wall_us = (uint64_t)clock_wall_s() * 1000000};
	int error;

	random_fill(options.random, options.key, sizeof(options.key));
	self->descriptor = open(RECORD_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (self->descriptor < 0)
		return -errno;
	error = detect_record_open(self->descriptor, &options, &self->record);
	memory_wipe(&options, sizeof(options));
	return error;
}

struct store_record *store_record_new(struct event_base *loop, const struct config *config)
{
	const struct timeval pause = {FLUSH_S, 0};
	struct store_record *self = config->record.findings ? memory_alloc(sizeof(*self)) : NULL;
	int error;

	if (!self)
		return NULL;
	error = record_open(self, config);
	self->flush = error ? NULL : event_new(loop, -1, EV_PERSIST, on_flush, self);
	if (self->flush && event_add(self->flush, &pause) == 0)
		return self;
	log_write(LOG_WARNING, "store", "evidence cannot be recorded: %s", strerror(error ? -error : ENOMEM));
	store_record_free(self);
	return NULL;
}

void store_record_put(struct store_record *self, const struct ipc_evidence *message)
{
	struct evidence evidence;

	if (self && evidence_from_message(message, &evidence))
		detect_record_put(self->record, &evidence);
}

void store_record_free(struct store_record *self)
{
	if (!self)
		return;
	detect_record_close(self->record);
	if (self->flush)
		event_free(self->flush);
	if (self->descriptor >= 0)
		close(self->descriptor);
	memory_free(self);
}
