/* SPDX-License-Identifier: Apache-2.0
 * AF_XDP sockets, as who uses them sees them: rings of descriptors in memory shared with the kernel, and the frames that these name.
 * Made by who has the privilege (bpf/datapath.h), used without any. The kernel's documentation: networking/af_xdp.rst.
 *
 * Frames are numbered by their offset in the frames' memory. Who receives consumes RECEIVE and COMPLETE (frames that were sent), and
 * produces SEND and FILL (frames to receive into); the kernel does the opposite. A ring has one user at a time; FILL and COMPLETE are
 * of a device's queue, and so of all sockets there. */
#ifndef RINGWALL_BPF_RING_H
#define RINGWALL_BPF_RING_H

#include <linux/if_xdp.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"

#define RING_FRAME_BYTES 2048 /* the kernel leaves XDP's headroom in front, 256 bytes */

/* The sockets of one media process, and the frames that they share. Whoever holds them keeps them; the program finds no more those
 * that nobody holds. */
struct bpf_socket {
	int descriptor;
	uint8_t device, queue, worker; /* as in datapath_socket() */
};
struct bpf_sockets {
	int frames;       /* memory; -1: there are no sockets */
	uint32_t entries; /* of each ring */
	uint32_t count;
	struct bpf_socket *list; /* a queue's FILL and COMPLETE are of its worker 0 */
};
#define BPF_SOCKETS_NONE ((struct bpf_sockets){.frames = -1})
#define BPF_SOCKETS_MAXIMUM DATAPATH_SOCKETS_MAXIMUM

void bpf_sockets_close(struct bpf_sockets *sockets);

/* Takes the descriptor. 0; or -ENOMEM, it is then closed. */
int bpf_sockets_add(struct bpf_sockets *sockets, const struct bpf_socket *socket);

enum ring_kind { RING_RECEIVE, RING_SEND, RING_FILL, RING_COMPLETE };

struct ring {
	uint32_t *producer, *consumer;
	void *entries; /* struct xdp_desc in RECEIVE and SEND, uint64_t in the others */
	uint32_t mask;
	void *memory;
	size_t memory_bytes;
};

/* Maps a ring that was made with that many entries, a power of two. 0 or a negative error. */
int ring_open(struct ring *ring, int descriptor, enum ring_kind kind, uint32_t entries);
void ring_close(struct ring *ring); /* one that was never opened, all zeros, too */

/* How many entries wait for their consumer, and the n-th of them. release: so many were consumed. */
static inline uint32_t ring_waiting(const struct ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - *ring->consumer;
}
static inline const struct xdp_desc *ring_packet(const struct ring *ring, uint32_t n)
{
	return (const struct xdp_desc *)ring->entries + ((*ring->consumer + n) & ring->mask);
}
static inline uint64_t ring_frame(const struct ring *ring, uint32_t n)
{
	return ((const uint64_t *)ring->entries)[(*ring->consumer + n) & ring->mask];
}
static inline void ring_release(struct ring *ring, uint32_t count)
{
	__atomic_store_n(ring->consumer, *ring->consumer + count, __ATOMIC_RELEASE);
}

/* How many entries their producer may write, and the n-th of them. submit: so many were written. */
static inline uint32_t ring_room(const struct ring *ring)
{
	return ring->mask + 1 - (*ring->producer - __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE));
}
static inline struct xdp_desc *ring_packet_place(struct ring *ring, uint32_t n)
{
	return (struct xdp_desc *)ring->entries + ((*ring->producer + n) & ring->mask);
}
static inline uint64_t *ring_frame_place(struct ring *ring, uint32_t n)
{
	return (uint64_t *)ring->entries + ((*ring->producer + n) & ring->mask);
}
static inline void ring_submit(struct ring *ring, uint32_t count)
{
	__atomic_store_n(ring->producer, *ring->producer + count, __ATOMIC_RELEASE);
}

#endif
