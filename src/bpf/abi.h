/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
 * What the kernel program and user space share: the layout of the maps. Both sides may write a flow at any time, each its
 * own part of it. Addresses and ports are in network order, IPv4 in the first four bytes with zeros behind. */
#ifndef RINGWALL_BPF_ABI_H
#define RINGWALL_BPF_ABI_H

#include <linux/types.h>

#define DATAPATH_ABI 3
#define DATAPATH_SITES_MAXIMUM 16
#define DATAPATH_DEVICES_MAXIMUM 8 /* with AF_XDP sockets; beyond these: */
#define DATAPATH_QUEUES_MAXIMUM 8  /* each, by the network stack's sockets */
#define DATAPATH_WORKERS_MAXIMUM 64
#define DATAPATH_SOCKETS_MAXIMUM (DATAPATH_DEVICES_MAXIMUM * DATAPATH_QUEUES_MAXIMUM * DATAPATH_WORKERS_MAXIMUM)
#define DATAPATH_IPV4 4
#define DATAPATH_IPV6 6

/* A local media address and its range of ports. Each even port (RTP) has a flow. */
struct datapath_site {
	__u8 ip[16];
	__u8 family; /* DATAPATH_IPV4 or DATAPATH_IPV6; 0: none */
	__u8 unused;
	__u16 port_first, port_last; /* host order; the first is even */
	__u32 flow_first;            /* the flow of port_first; then one for every second port */
};

/* The one value of the map `sites`; frozen once it is filled. */
struct datapath_sites {
	__u32 abi, count, flow_count;
	__u32 device_count, devices[DATAPATH_DEVICES_MAXIMUM]; /* numbers of interfaces */
	struct datapath_site sites[DATAPATH_SITES_MAXIMUM];
};

/* The AF_XDP socket, as its place in the map `sockets`, of a worker thread for what comes by a device's queue. */
static inline __u32 datapath_socket(__u32 device, __u32 queue, __u32 worker)
{
	return (device * DATAPATH_QUEUES_MAXIMUM + queue) * DATAPATH_WORKERS_MAXIMUM + worker;
}

/* What stands in front of each packet that such a socket gets. Its headers are already those of the packet that leaves, but for
 * what follows from its length and payload. */
struct datapath_note {
	__u32 flow, generation; /* of the flow, when it was read */
	__u8 source_ip[16];     /* whence it came */
	__u16 source_port;      /* network order */
	__u8 device;            /* where it leaves */
	__u8 unused;
};

/* What the program has seen of the source, as struct relay_reception of media/relay_private.h. A packet of another SSRC or
 * payload type, or far from `highest`, goes to the socket, and user space writes here what it thinks of it. */
struct datapath_reception {
	__u32 ssrc, transit, jitter_16;
	__u16 highest;
	__u8 is_started, payload_type;
	__u64 expected, received, lost_before;
	__u32 clock_rate, unused; /* what `transit` and `jitter_16` count in, a second; 0: unknown */
};

/* Counted by the program, taken (exchanged for 0) by user space. */
struct datapath_counters {
	__u64 packets, bytes; /* forwarded; bytes of UDP payload */
	__u64 foreign;        /* dropped: from another source than the locked peer */
	__u64 over_rate;      /* dropped: more than the budget */
	__u64 passed;         /* left to the socket, which judges and counts them */
};

/* Who takes what comes: the stack's socket, the program, or a worker by its AF_XDP socket. */
enum datapath_way { DATAPATH_STACK, DATAPATH_KERNEL, DATAPATH_WORKER };

/* RTP that comes to one local port. Written by user space under `generation`, which is odd meanwhile (a sequence lock); then
 * the program leaves packets to the socket. */
struct datapath_flow {
	__u32 generation;
	__u8 way;          /* enum datapath_way */
	__u8 drop_foreign; /* other sources than the peer are dropped here; else they go to the socket */
	__u8 out_site;     /* sends from this site's address */
	__u8 traffic_class;
	__u32 owner; /* which media process wrote it */
	__u16 peer_port, out_port, to_port;
	__u16 payload_maximum; /* bytes of UDP payload */
	__u8 peer_ip[16], to_ip[16];
	__u64 payload_types[2]; /* bits: what may come */
	__u32 interval_ns;      /* one packet each, on average; 0: no budget */
	__u32 burst_ns;         /* and so much ahead of that */
	__u32 worker, unused;
	/* the program's */
	__u64 due_ns;       /* of the budget: when the next packet would be, at that rate */
	__u64 stack_due_ns; /* then one packet goes by the socket, so that the kernel keeps its neighbour table true */
	struct datapath_reception reception;
	struct datapath_counters counters;
} __attribute__((aligned(64)));

#endif
