/* SPDX-License-Identifier: Apache-2.0
 * The kernel's part of media: what the configuration wants, and what is to be had. Opened once, at the start. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "media/media.h"
#include "roles/supervisor.h"

#define GUARDED_MAXIMUM (CONFIG_ZONES_MAXIMUM * CONFIG_LISTENERS_MAXIMUM)

static void site_add(struct datapath_sites *table, const struct config_zone *zone, const struct address *address)
{
	if (address->family == ADDRESS_NONE)
		return;
	if (bpf_site_add(table, address, zone->media.port_low, zone->media.port_high))
		log_write(LOG_NOTICE, "datapath",
			  "zone %s: more than %u media addresses: this one is served by sockets", zone->name,
			  DATAPATH_SITES_MAXIMUM);
}

static void sites_gather(const struct config *config, struct datapath_sites *table)
{
	memset(table, 0, sizeof(*table));
	for (uint8_t i = 0; i < config->zone_count; i++) {
		site_add(table, &config->zones[i], &config->zones[i].media.address);
		site_add(table, &config->zones[i], &config->zones[i].media.address_other);
	}
}

/* All that others can reach us by. */
static uint32_t guarded_gather(const struct config *config, struct address out[GUARDED_MAXIMUM])
{
	uint32_t count = 0;

	for (uint8_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];

		for (uint8_t k = 0; k < zone->listener_count && count < GUARDED_MAXIMUM; k++)
			out[count++] = zone->listeners[k].address;
	}
	return count;
}

static void state_set(struct supervisor *supervisor, const char *state, const char *reason)
{
	snprintf(supervisor->datapath_state, sizeof(supervisor->datapath_state), "%s%s%s", state, *reason ? ": " : "",
		 reason);
	log_write(LOG_NOTICE, "datapath", "media goes by %s", supervisor->datapath_state);
}

int datapath_prepare(struct supervisor *supervisor, struct buffer *complaints)
{
	const struct config *config = supervisor->current.configuration.config;
	struct address guarded[GUARDED_MAXIMUM];
	struct bpf_guard guard = {guarded, guarded_gather(config, guarded), supervisor->shield_reason,
				  sizeof(supervisor->shield_reason)};
	struct datapath_sites wanted;
	char reason[sizeof(supervisor->datapath_state) - 16];
	int error;

	if (config->media_datapath == DATAPATH_SOCKETS) {
		snprintf(supervisor->shield_reason, sizeof(supervisor->shield_reason), "media.datapath is sockets");
		snprintf(supervisor->datapath_state, sizeof(supervisor->datapath_state), "sockets");
		return 0;
	}
	sites_gather(config, &wanted);
	error = bpf_datapath_open(&supervisor->datapath, &wanted, &guard, reason, sizeof(reason));
	if (error && !*supervisor->shield_reason)
		snprintf(supervisor->shield_reason, sizeof(supervisor->shield_reason), "%s", strerror(-error));
	if (!error && supervisor->datapath.flows < 0)
		error = -EOPNOTSUPP; /* for media; the shield is there */
	if (config->media_datapath == DATAPATH_XDP && (error || *reason)) {
		buffer_printf(complaints, "%s: media.datapath: xdp is not to be had: %s\n",
			      supervisor->current.configuration.path, *reason ? reason : strerror(-error));
		return error ? error : -EOPNOTSUPP;
	}
	if (error)
		state_set(supervisor, "sockets", *reason ? reason : strerror(-error));
	else
		state_set(supervisor, "xdp", *reason ? reason : "");
	return 0;
}

static void part_hand_over(struct child *media, const struct ipc_datapath *part, int descriptor)
{
	struct ipc_message message = {.type = IPC_DATAPATH, .descriptor = descriptor};

	message.datapath = *part;
	if (ipc_send(media->channel, &message))
		log_write(LOG_WARNING, "datapath", "the %s process could not be given the datapath",
			  ipc_role_name(media->role));
}

static void state_tell(struct supervisor *supervisor)
{
	struct ipc_channel *gate = supervisor->children[IPC_ROLE_GATE].channel;
	struct ipc_message message = {.type = IPC_DATAPATH_STATE, .descriptor = -1};

	snprintf(message.datapath_state.text, sizeof(message.datapath_state.text), "%s%s", supervisor->datapath_state,
		 supervisor->datapath_srtp);
	if (gate)
		(void)ipc_send(gate, &message);
}

static void srtp_state_set(struct supervisor *supervisor, int error)
{
	char *state = supervisor->datapath_srtp;
	bool was_told = *state;

	*state = 0;
	if (error) {
		snprintf(state, sizeof(supervisor->datapath_srtp), "; SRTP by sockets: AF_XDP is not to be had: %s",
			 strerror(-error));
		log_write(LOG_NOTICE, "datapath", "media goes by %s%s", supervisor->datapath_state, state);
	}
	if (error || was_told)
		state_tell(supervisor);
}

/* They are the process's alone, so that they end with it. */
static void sockets_hand_over(struct child *media, uint32_t generation)
{
	struct supervisor *supervisor = media->supervisor;
	struct bpf_sockets sockets;
	int error = bpf_sockets_open(&sockets, &supervisor->datapath,
				     media_worker_count(supervisor->current.configuration.config->media_workers));

	srtp_state_set(supervisor, error);
	if (error)
		return;
	part_hand_over(media, &(struct ipc_datapath){generation, IPC_DATAPATH_FRAMES, .entries = sockets.entries},
		       sockets.frames);
	for (uint32_t i = 0; i < sockets.count; i++) {
		const struct bpf_socket *each = &sockets.list[i];

		part_hand_over(media,
			       &(struct ipc_datapath){generation, IPC_DATAPATH_SOCKET, each->device, each->queue,
						      each->worker},
			       each->descriptor);
	}
	bpf_sockets_close(&sockets);
}

static void parts_hand_over(struct child *media, uint32_t generation)
{
	const struct bpf_datapath *datapath = &media->supervisor->datapath;

	part_hand_over(media, &(struct ipc_datapath){generation, IPC_DATAPATH_FLOWS}, datapath->flows);
	part_hand_over(media, &(struct ipc_datapath){generation, IPC_DATAPATH_SITES}, datapath->sites);
	if (!media->is_ready)
		sockets_hand_over(media, generation);
}

static void shield_hand_over(struct child *shield, uint32_t generation)
{
	const struct bpf_shield *maps = &shield->supervisor->datapath.shield;
	struct ipc_message reason = {.type = IPC_DATAPATH_STATE, .descriptor = -1};

	snprintf(reason.datapath_state.text, sizeof(reason.datapath_state.text), "%s",
		 shield->supervisor->shield_reason);
	(void)ipc_send(shield->channel, &reason);
	for (uint8_t i = 0; i < BPF_SHIELD_MAPS && maps->maps[i] >= 0; i++)
		part_hand_over(shield, &(struct ipc_datapath){generation, IPC_DATAPATH_SHIELD, .device = i},
			       maps->maps[i]);
}

void datapath_hand_over(struct child *child, uint32_t generation)
{
	if (!child->channel)
		return;
	if (child->role == IPC_ROLE_GATE)
		state_tell(child->supervisor);
	else if (child->role == IPC_ROLE_SHIELD)
		shield_hand_over(child, generation);
	else if (child->role == IPC_ROLE_MEDIA && child->supervisor->datapath.flows >= 0)
		parts_hand_over(child, generation);
}
