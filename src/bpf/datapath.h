/* SPDX-License-Identifier: Apache-2.0
 * The kernel program of the media datapath: loaded and attached by who has the privilege (the supervisor), used by who has
 * none (media) through two descriptors that are mapped into memory. media.bpf.c is the program, abi.h the maps. */
#ifndef RINGWALL_BPF_DATAPATH_H
#define RINGWALL_BPF_DATAPATH_H

#include <stddef.h>

#include "base/address.h"
#include "bpf/abi.h"
#include "bpf/ring.h"
#include "bpf/shield.h"

/* Descriptors alone: whoever holds them keeps the program attached, and when the last holder is gone it is detached. */
struct bpf_datapath {
	int flows, sites, sockets; /* maps; -1: there is no datapath */
	struct bpf_shield shield;
	int links[DATAPATH_SITES_MAXIMUM];
	uint32_t link_count;
};
#define BPF_DATAPATH_NONE ((struct bpf_datapath){.flows = -1, .sites = -1, .sockets = -1, .shield = BPF_SHIELD_NONE})

/* Whose interfaces the shield is to stand on, and why it does not on some: an empty reason when it stands on all. Loopback needs none. */
struct bpf_guard {
	const struct address
		*addresses; /* port ignored; 0.0.0.0 or :: are all interfaces with addresses of the family */
	uint32_t count;
	char *reason;
	size_t reason_capacity;
};

/* Adds a local address with its ports (first and last) to the table, or widens what it has. Returns 0; or -ENOSPC. */
int bpf_site_add(struct datapath_sites *table, const struct address *address, uint16_t port_first, uint16_t port_last);

/* Loads the program and attaches it, in the driver, to the interfaces that have the addresses of `wanted` (for media) and of `guard`
 * (for the shield; NULL: none). An address whose interface cannot is left out; `reason` and the guard's say why, for all of them.
 * Returns 0 when it is attached somewhere: `flows` are -1 when no media address is served. Else a negative error, nothing then being
 * held. */
int bpf_datapath_open(struct bpf_datapath *datapath, const struct datapath_sites *wanted, struct bpf_guard *guard,
		      char *reason, size_t reason_capacity);
void bpf_datapath_close(struct bpf_datapath *datapath);

/* AF_XDP sockets for so many workers, in place of those of a process that has ended: waits up to 200 ms for the kernel to let go of these.
 * Returns 0 or a negative error, nothing then being held. */
int bpf_sockets_open(struct bpf_sockets *sockets, const struct bpf_datapath *datapath, uint32_t workers);

/* How many queues an interface receives by; 1 when it does not say. */
uint32_t bpf_device_queues(uint32_t interface);

#endif
