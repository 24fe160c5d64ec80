/* SPDX-License-Identifier: Apache-2.0
 * Gathers what the supervisor hands over; see handover.h. */
#include "roles/handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

void handover_start(struct handover *handover, uint32_t generation)
{
	memset(handover, 0, sizeof(*handover));
	handover->generation = generation;
	handover->control = -1;
	handover->memory = -1;
	handover->datapath_flows = handover->datapath_sites = -1;
	handover->datapath_sockets = BPF_SOCKETS_NONE;
	handover->shield = BPF_SHIELD_NONE;
}

void handover_clear(struct handover *handover)
{
	for (int i = 0; i < IPC_FILE_COUNT; i++)
		memory_free_secret(handover->files[i].bytes, handover->files[i].length);
	for (uint16_t i = 0; i < handover->listener_count; i++)
		if (handover->listeners[i].descriptor >= 0)
			close(handover->listeners[i].descriptor);
	memory_free(handover->listeners);
	if (handover->control >= 0)
		close(handover->control);
	if (handover->memory >= 0)
		close(handover->memory);
	if (handover->datapath_flows >= 0)
		close(handover->datapath_flows);
	if (handover->datapath_sites >= 0)
		close(handover->datapath_sites);
	bpf_sockets_close(&handover->datapath_sockets);
	bpf_shield_close(&handover->shield);
	handover_start(handover, handover->generation);
}

static void generation_set(struct handover *handover, uint32_t generation)
{
	if (handover->generation == generation)
		return;
	handover_clear(handover);
	handover->generation = generation;
}

static int file_take(struct handover *handover, const struct ipc_message *message)
{
	struct handover_file *file;

	if (message->file.file >= IPC_FILE_COUNT) {
		close(message->descriptor);
		return -EINVAL;
	}
	file = &handover->files[message->file.file];
	memory_free_secret(file->bytes, file->length);
	return ipc_file_read(message->descriptor, HANDOVER_FILE_MAXIMUM, &file->bytes, &file->length);
}

static int listener_take(struct handover *handover, const struct ipc_message *message)
{
	struct handover_listener *listeners;

	listeners = handover->listener_count < HANDOVER_LISTENERS_MAXIMUM
			    ? memory_realloc(handover->listeners, (handover->listener_count + 1u) * sizeof(*listeners))
			    : NULL;
	if (!listeners) {
		close(message->descriptor);
		return -ENOMEM;
	}
	handover->listeners = listeners;
	listeners[handover->listener_count++] =
		(struct handover_listener){message->listener.zone, message->listener.listener,
					   message->listener.transport, message->listener.local, message->descriptor};
	return 0;
}

static int shield_map_take(struct handover *handover, const struct ipc_message *message)
{
	int *place =
		message->datapath.device < BPF_SHIELD_MAPS ? &handover->shield.maps[message->datapath.device] : NULL;

	if (!place || *place >= 0)
		close(message->descriptor);
	else
		*place = message->descriptor;
	return place ? 0 : -EINVAL;
}

static int datapath_take(struct handover *handover, const struct ipc_message *message)
{
	const struct ipc_datapath *part = &message->datapath;
	int *const places[] = {
		[IPC_DATAPATH_FLOWS] = &handover->datapath_flows,
		[IPC_DATAPATH_SITES] = &handover->datapath_sites,
		[IPC_DATAPATH_FRAMES] = &handover->datapath_sockets.frames,
	};

	if (part->part == IPC_DATAPATH_SOCKET)
		return bpf_sockets_add(
			&handover->datapath_sockets,
			&(struct bpf_socket){message->descriptor, part->device, part->queue, part->worker});
	if (part->part == IPC_DATAPATH_SHIELD)
		return shield_map_take(handover, message);
	if (part->part > IPC_DATAPATH_SHIELD) {
		close(message->descriptor);
		return -EINVAL;
	}
	if (part->part == IPC_DATAPATH_FRAMES)
		handover->datapath_sockets.entries = part->entries;
	if (*places[part->part] >= 0)
		close(*places[part->part]);
	*places[part->part] = message->descriptor;
	return 0;
}

bool handover_take(struct handover *handover, struct ipc_message *message, int *error)
{
	*error = 0;
	switch (message->type) {
	case IPC_FILE:
		generation_set(handover, message->file.generation);
		*error = file_take(handover, message);
		return true;
	case IPC_LISTENER:
		generation_set(handover, message->listener.generation);
		*error = listener_take(handover, message);
		return true;
	case IPC_CONTROL:
		generation_set(handover, message->control.generation);
		if (handover->control >= 0)
			close(handover->control);
		handover->control = message->descriptor;
		return true;
	case IPC_MEMORY:
		generation_set(handover, message->memory.generation);
		if (handover->memory >= 0)
			close(handover->memory);
		handover->memory = message->descriptor;
		handover->memory_records = message->memory.records;
		return true;
	case IPC_DATAPATH:
		generation_set(handover, message->datapath.generation);
		*error = datapath_take(handover, message);
		return true;
	default: return false;
	}
}

struct span handover_file(const struct handover *handover, enum ipc_file_kind kind)
{
	return (struct span){handover->files[kind].bytes, handover->files[kind].length};
}

struct span handover_zone_authorities(const struct handover *handover, const char *zone)
{
	struct span rest = handover_file(handover, IPC_FILE_ZONE_AUTHORITIES);

	while (rest.length) {
		ptrdiff_t blank = span_index(rest, ' '), end = span_index(rest, '\n');
		uint64_t length;

		if (blank <= 0 || end < blank ||
		    span_to_uint(span_slice(rest, (size_t)blank + 1, (size_t)(end - blank - 1)), rest.length, &length))
			break;
		if (span_equal(span_slice(rest, 0, (size_t)blank), span_from(zone)))
			return span_slice(rest, (size_t)end + 1, length);
		rest = span_slice(rest, (size_t)end + 1 + length, rest.length);
	}
	return SPAN_EMPTY;
}

struct config *handover_config(const struct handover *handover, char *error, size_t error_capacity)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = NULL;

	if (errors)
		config = config_parse(handover_file(handover, IPC_FILE_CONFIGURATION), "configuration", false, errors);
	if (!config)
		snprintf(error, error_capacity, "%s",
			 errors && config_errors_count(errors) ? config_errors_text(errors, 0) : "no memory");
	config_errors_free(errors);
	return config;
}
