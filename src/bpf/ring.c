/* SPDX-License-Identifier: Apache-2.0
 * Mapping the rings of AF_XDP sockets. */
#include "bpf/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"

int bpf_sockets_add(struct bpf_sockets *sockets, const struct bpf_socket *socket)
{
	struct bpf_socket *list = NULL;
	if (sockets->count < BPF_SOCKETS_MAXIMUM)
		list = memory_realloc(sockets->list, (sockets->count + 1) * sizeof(*list));
	if (!list) {
		close(socket->descriptor);
		return -ENOMEM;
	}
	sockets->list = list;
	list[sockets->count++] = *socket;
	return 0;
}

void bpf_sockets_close(struct bpf_sockets *sockets)
{
	for (uint32_t i = 0; i < sockets->count; i++)
		close(sockets->list[i].descriptor);
	if (sockets->frames >= 0)
		close(sockets->frames);
	memory_free(sockets->list);
	*sockets = BPF_SOCKETS_NONE;
}

int ring_open(struct ring *ring, int descriptor, enum ring_kind kind, uint32_t entries)
{
	struct xdp_mmap_offsets offsets;
	socklen_t length = sizeof(offsets);
	if (getsockopt(descriptor, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) != 0)
		return -errno;
	const struct {
		const struct xdp_ring_offset *offset;
		size_t entry_bytes;
		uint64_t page;
	} kinds[] = {
		[RING_RECEIVE] = {&offsets.rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING},
		[RING_SEND] = {&offsets.tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING},
		[RING_FILL] = {&offsets.fr, sizeof(uint64_t), XDP_UMEM_PGOFF_FILL_RING},
		[RING_COMPLETE] = {&offsets.cr, sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING},
	};
	size_t bytes = kinds[kind].offset->desc + entries * kinds[kind].entry_bytes;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor,
			    (off_t)kinds[kind].page);
	if (memory == MAP_FAILED)
		return -errno;
	*ring = (struct ring){
		.producer = (uint32_t *)((char *)memory + kinds[kind].offset->producer),
		.consumer = (uint32_t *)((char *)memory + kinds[kind].offset->consumer),
		.entries = (char *)memory + kinds[kind].offset->desc,
		.mask = entries - 1,
		.memory = memory,
		.memory_bytes = bytes,
	};
	return 0;
}

void ring_close(struct ring *ring)
{
	if (ring->memory)
		munmap(ring->memory, ring->memory_bytes);
	memset(ring, 0, sizeof(*ring));
}
