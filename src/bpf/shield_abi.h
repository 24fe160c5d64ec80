/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
 * What the kernel's part of the shield and user space share: the layout of its maps. Addresses and ports are in network order,
 * IPv4 in the first four bytes with zeros behind; families are DATAPATH_IPV4 and DATAPATH_IPV6. Times are of the monotonic
 * clock. The program writes what is said to be its own, user space all else. */
#ifndef RINGWALL_BPF_SHIELD_ABI_H
#define RINGWALL_BPF_SHIELD_ABI_H

#include <linux/types.h>

#define SHIELD_ABI 1
#define SHIELD_PREFIX_BITS 32 /* of the family, before those of the address */
#define SHIELD_PREFIX_ALL (SHIELD_PREFIX_BITS + 128)
#define SHIELD_LISTENERS_MAXIMUM 1024
#define SHIELD_PEERS_MAXIMUM 4096
#define SHIELD_RANGES_MAXIMUM 32
#define SHIELD_BUCKETS (1u << 16)
#define SHIELD_PROVEN_DEFAULT (1u << 16)
#define SHIELD_BLOCKS_DEFAULT (1u << 16)

/* Key of the tries `shield_blocks` and `shield_peers`. */
struct shield_key {
	__u32 bits; /* SHIELD_PREFIX_BITS and those of the address */
	__u32 family;
	__u8 ip[16];
};

struct shield_block {
	__u64 until_ns; /* ~0: for good */
	__u32 bits;     /* as in the key: what is wider is looked for when this one has expired */
	__u32 unused;
	__u64 hits, last_ns; /* the program's: packets dropped, and when the last */
};

/* Peers of zones: they pass the listeners of these, and no block touches them. User space writes into a prefix the zones of
 * wider ones too. */
struct shield_peer {
	__u64 zones; /* bits */
};

/* Key of `shield_listeners`; all zeros in `ip`: whatever the local address of that family. */
struct shield_place {
	__u8 family, protocol; /* IPPROTO_UDP or IPPROTO_TCP */
	__u16 port;
	__u8 ip[16];
};
enum { SHIELD_PEERS_ONLY = 1, SHIELD_SIP = 2 /* what cannot be SIP is dropped (UDP) */ };
struct shield_listener {
	__u64 zones; /* whose peers pass */
	__u32 flags, unused;
};

/* Key of `shield_proven`: an address and port, or (port 0) an address. */
struct shield_source {
	__u8 family, unused;
	__u16 port;
	__u8 ip[16];
};
struct shield_proof {
	__u64 until_ns;
	__u64 due_ns; /* the program's: of its bucket */
};

/* A token bucket: one each interval, and so much ahead of that. Interval 0: no limit. */
struct shield_rate {
	__u64 interval_ns, burst_ns;
};
/* UDP of the unproven, of each source (IPv4 address, IPv6 /64) and of all together; of each that is proven; TCP's connection
 * requests, likewise. */
enum shield_rate_kind { SHIELD_SOURCE, SHIELD_TOTAL, SHIELD_PROVEN, SHIELD_SYN_SOURCE, SHIELD_SYN_TOTAL, SHIELD_RATES };

/* Local ports where there is silence unless a socket is there. */
struct shield_range {
	__u8 ip[16];
	__u8 family, unused[3];
	__u16 first, last; /* host order */
};

/* The one value of `shield_settings`. */
struct shield_settings {
	__u32 abi;
	__u32 range_count;
	__u64 key; /* secret: of the buckets */
	struct shield_rate rates[SHIELD_RATES];
	struct shield_range ranges[SHIELD_RANGES_MAXIMUM];
	__u8 ports[8192]; /* bits: ports that some listener has */
};

/* Why a packet was dropped; counted in `shield_counters`, for each processor. */
#define SHIELD_REASONS(X) \
	X(BLOCKED, "blocked") \
	X(STRANGER, "stranger") \
	X(JUNK, "junk") \
	X(PROVEN_RATE, "proven_rate") \
	X(SOURCE_RATE, "source_rate") \
	X(TOTAL_RATE, "unproven_rate") \
	X(SYN_SOURCE_RATE, "syn_source_rate") \
	X(SYN_TOTAL_RATE, "syn_rate") \
	X(CLOSED_PORT, "closed_port") \
	X(FRAGMENT, "fragment")
enum shield_reason {
#define X(id, name) SHIELD_DROP_##id,
	SHIELD_REASONS(X)
#undef X
		SHIELD_REASON_COUNT,
};

#endif
