/* SPDX-License-Identifier: Apache-2.0
 * Opens AF_XDP sockets: one for each worker at each queue of each device, all over the same frames. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/datapath.h"
#include "bpf/ring.h"

#define FRAMES_AN_ENTRY 3 / 2 /* of a queue's rings: most wait to be filled, the others are being sent */
#define SEND_BUFFER_BYTES (8 << 20)
#define BIND_ATTEMPTS 50 /* the kernel lets go of the queues of a process that has just ended a little later */
#define BIND_PAUSE_US 4000

/* So that all queues together hold what comes in some tens of milliseconds, and their memory stays in bounds: 12 MB each up to
 * four, 3 MB each beyond sixteen. */
static uint32_t entries_choose(uint32_t queues)
{
	return queues <= 4 ? 4096 : queues <= 16 ? 2048 : 1024;
}

/* ---- One socket ---- */

static int option(int descriptor, int name, uint32_t value)
{
	return setsockopt(descriptor, SOL_XDP, name, &value, sizeof(value)) ? -errno : 0;
}

/* `shared`: a bound socket over the same frames; -1: this is the first. */
static int socket_bind(int descriptor, uint32_t interface, uint32_t queue, int shared)
{
	struct sockaddr_xdp address = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = shared < 0 ? XDP_COPY : XDP_SHARED_UMEM,
		.sxdp_ifindex = interface,
		.sxdp_queue_id = queue,
		.sxdp_shared_umem_fd = shared < 0 ? 0 : (uint32_t)shared,
	};
	for (int i = 0;; i++) {
		if (bind(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0)
			return 0;
		if (errno != EBUSY || i == BIND_ATTEMPTS)
			return -errno;
		usleep(BIND_PAUSE_US);
	}
}

static int rings_make(int descriptor, uint32_t entries, bool is_first_of_queue)
{
	int error = option(descriptor, XDP_RX_RING, entries);
	if (!error)
		error = option(descriptor, XDP_TX_RING, entries);
	if (!error && is_first_of_queue)
		error = option(descriptor, XDP_UMEM_FILL_RING, entries);
	if (!error && is_first_of_queue)
		error = option(descriptor, XDP_UMEM_COMPLETION_RING, entries);
	return error;
}

static int frames_register(int descriptor, int frames)
{
	off_t bytes_signed = lseek(frames, 0, SEEK_END);
	if (bytes_signed < 0)
		return -errno;
	size_t bytes = (size_t)bytes_signed;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, frames, 0);
	if (memory == MAP_FAILED)
		return -errno;
	struct xdp_umem_reg region = {.addr = (uintptr_t)memory, .len = bytes, .chunk_size = RING_FRAME_BYTES};
	int error = setsockopt(descriptor, SOL_XDP, XDP_UMEM_REG, &region, sizeof(region)) ? -errno : 0;
	munmap(memory, bytes); /* the kernel holds the pages */
	return error;
}

/* ---- All of them ---- */

/* The socket whose frames, or whose queue, this one shares; -1: none yet. */
static int shared_with(const struct bpf_sockets *sockets, uint32_t device, uint32_t queue)
{
	const struct bpf_socket *list = sockets->list;
	for (uint32_t i = 0; i < sockets->count; i++)
		if (list[i].device == device && list[i].queue == queue)
			return list[i].descriptor;
	return sockets->count ? list[0].descriptor : -1;
}

static int socket_open(struct bpf_sockets *sockets, const struct bpf_datapath *datapath, struct bpf_socket wanted,
		       uint32_t interface)
{
	int size = SEND_BUFFER_BYTES, shared = shared_with(sockets, wanted.device, wanted.queue);
	uint32_t place = datapath_socket(wanted.device, wanted.queue, wanted.worker);
	wanted.descriptor = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (wanted.descriptor < 0)
		return -errno;
	(void)setsockopt(wanted.descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	int error = 0;
	if (shared < 0)
		error = frames_register(wanted.descriptor, sockets->frames);
	if (!error)
		error = rings_make(wanted.descriptor, sockets->entries, wanted.worker == 0);
	if (!error)
		error = socket_bind(wanted.descriptor, interface, wanted.queue, shared);
	if (!error)
		error = bpf_map_update_elem(datapath->sockets, &place, &wanted.descriptor, BPF_ANY);
	if (error) {
		close(wanted.descriptor);
		return error;
	}
	return bpf_sockets_add(sockets, &wanted);
}

static int queue_open(struct bpf_sockets *sockets, const struct bpf_datapath *datapath, uint32_t device, uint32_t queue,
		      uint32_t interface, uint32_t workers)
{
	for (uint32_t worker = 0; worker < workers; worker++) {
		struct bpf_socket wanted = {
			.device = (uint8_t)device, .queue = (uint8_t)queue, .worker = (uint8_t)worker};
		int error = socket_open(sockets, datapath, wanted, interface);
		if (error)
			return error;
	}
	return 0;
}

static int frames_make(struct bpf_sockets *sockets, uint32_t queues)
{
	off_t bytes = (off_t)queues * sockets->entries * FRAMES_AN_ENTRY * RING_FRAME_BYTES;
	sockets->frames = memfd_create("ringwall-frames", MFD_CLOEXEC);
	return sockets->frames < 0 || ftruncate(sockets->frames, bytes) != 0 ? -errno : 0;
}

/* Queues of a device, as many as get sockets. */
static uint32_t queue_count(uint32_t interface)
{
	uint32_t count = bpf_device_queues(interface);
	return count < DATAPATH_QUEUES_MAXIMUM ? count : DATAPATH_QUEUES_MAXIMUM;
}

static int devices_open(struct bpf_sockets *sockets, const struct bpf_datapath *datapath,
			const struct datapath_sites *table, uint32_t workers)
{
	uint32_t queues = 0;
	for (uint32_t i = 0; i < table->device_count; i++)
		queues += queue_count(table->devices[i]);
	sockets->entries = entries_choose(queues);
	int error = frames_make(sockets, queues);
	for (uint32_t i = 0; i < table->device_count && !error; i++)
		for (uint32_t queue = 0; queue < queue_count(table->devices[i]) && !error; queue++)
			error = queue_open(sockets, datapath, i, queue, table->devices[i], workers);
	return error;
}

int bpf_sockets_open(struct bpf_sockets *sockets, const struct bpf_datapath *datapath, uint32_t workers)
{
	struct datapath_sites table;
	uint32_t zero = 0;
	*sockets = BPF_SOCKETS_NONE;
	if (datapath->sockets < 0 || !workers || workers > DATAPATH_WORKERS_MAXIMUM)
		return -ENOTSUP;
	int error = bpf_map_lookup_elem(datapath->sites, &zero, &table);
	if (!error)
		error = table.device_count ? devices_open(sockets, datapath, &table, workers) : -ENODEV;
	if (error)
		bpf_sockets_close(sockets);
	return error;
}
