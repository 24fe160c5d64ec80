/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
 * The shield in the kernel: whoever is blocked, strangers at listeners for peers, floods and junk end here, before anybody has
 * looked at them. What it cannot read down to the ports it leaves to the network stack, but for what only who hides something
 * sends. Memory does not grow with the number of sources. */
#ifndef RINGWALL_BPF_SHIELD_BPF_H
#define RINGWALL_BPF_SHIELD_BPF_H

#include <linux/tcp.h>

#include "shield_abi.h"

#define SHIELD_HEADERS_MAXIMUM 6 /* of IPv6, before UDP or TCP: nobody needs more */
#define SHIELD_NESTED_MAXIMUM 4  /* blocks within blocks that have expired */
#define SHIELD_TURN_SHIFT 34     /* 17 s: then sources that share a bucket are others */
#define SHIELD_SPEND_ATTEMPTS 4
#define FRAGMENT_OFFSET 0x1fff
#define STUN_COOKIE 0x2112a442 /* RFC 8489 section 5 */
#define IPPROTO_HOP_OPTIONS 0
#define IPPROTO_ROUTE_HEADER 43
#define IPPROTO_FRAGMENT_HEADER 44
#define IPPROTO_DESTINATION_OPTIONS 60

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shield_settings);
} shield_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SHIELD_BLOCKS_DEFAULT);
	__type(key, struct shield_key);
	__type(value, struct shield_block);
} shield_blocks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SHIELD_PEERS_MAXIMUM);
	__type(key, struct shield_key);
	__type(value, struct shield_peer);
} shield_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SHIELD_LISTENERS_MAXIMUM);
	__type(key, struct shield_place);
	__type(value, struct shield_listener);
} shield_listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SHIELD_PROVEN_DEFAULT);
	__type(key, struct shield_source);
	__type(value, struct shield_proof);
} shield_proven SEC(".maps");

/* When the next packet of a bucket would be due; behind those of sources, the two of all together. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SHIELD_BUCKETS + 2);
	__type(key, __u32);
	__type(value, __u64);
} shield_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SHIELD_REASON_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} shield_counters SEC(".maps");

struct packet {
	void *end, *at;           /* `at`: behind what was read */
	struct shield_key source; /* all its bits */
	struct shield_place to;
	__be16 from_port;
	bool is_read;   /* down to the ports */
	bool is_hiding; /* them, as no honest sender does */
};

static __always_inline bool shield_drop(enum shield_reason reason)
{
	__u32 index = reason;
	__u64 *counter = bpf_map_lookup_elem(&shield_counters, &index);

	if (counter)
		(*counter)++;
	return true;
}

/* ---- Reading ---- */

static __always_inline void packet_ipv4(struct packet *packet)
{
	struct iphdr *ip = packet->at;
	__u32 header;

	if ((void *)(ip + 1) > packet->end || ip->version != 4 || ip->ihl < 5)
		return;
	packet->source.family = packet->to.family = DATAPATH_IPV4;
	packet->source.bits = SHIELD_PREFIX_ALL;
	__builtin_memcpy(packet->source.ip, &ip->saddr, 4);
	__builtin_memcpy(packet->to.ip, &ip->daddr, 4);
	if (ip->frag_off & bpf_htons(FRAGMENT_OFFSET))
		return; /* the ports are in another */
	header = ip->ihl * 4;
	packet->to.protocol = ip->protocol;
	packet->at += header;
}

static __always_inline void packet_ipv6(struct packet *packet)
{
	struct ipv6hdr *ip = packet->at;
	__u8 next;

	if ((void *)(ip + 1) > packet->end || ip->version != 6)
		return;
	packet->source.family = packet->to.family = DATAPATH_IPV6;
	packet->source.bits = SHIELD_PREFIX_ALL;
	__builtin_memcpy(packet->source.ip, &ip->saddr, 16);
	__builtin_memcpy(packet->to.ip, &ip->daddr, 16);
	next = ip->nexthdr;
	packet->at = ip + 1;
	for (int i = 0; i < SHIELD_HEADERS_MAXIMUM; i++) {
		__u8 *header = packet->at;
		__u32 length;

		if (next != IPPROTO_HOP_OPTIONS && next != IPPROTO_ROUTE_HEADER && next != IPPROTO_FRAGMENT_HEADER &&
		    next != IPPROTO_DESTINATION_OPTIONS) {
			packet->to.protocol = next;
			return;
		}
		if (header + 8 > (__u8 *)packet->end)
			return;
		if (next == IPPROTO_FRAGMENT_HEADER && bpf_ntohs(*(__be16 *)(header + 2)) >> 3)
			return; /* the ports are in another */
		length = next == IPPROTO_FRAGMENT_HEADER ? 8 : (header[1] + 1) * 8;
		next = header[0];
		packet->at = header + length;
	}
	packet->is_hiding = true;
}

/* UDP's and TCP's begin alike. The first fragment of a datagram holds that (RFC 1858, RFC 8200 section 4.5). */
static __always_inline void packet_ports(struct packet *packet)
{
	__be16 *ports = packet->at;
	__u32 header = packet->to.protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);

	if (packet->to.protocol != IPPROTO_UDP && packet->to.protocol != IPPROTO_TCP)
		return;
	if ((void *)ports + sizeof(struct udphdr) > packet->end || (void *)ports + header > packet->end) {
		packet->is_hiding = true;
		return;
	}
	packet->from_port = ports[0];
	packet->to.port = ports[1];
	packet->is_read = true;
}

/* False: not IP, or too short for its addresses. */
static __always_inline bool packet_read(struct xdp_md *context, struct packet *packet)
{
	struct ethhdr *ethernet = (void *)(long)context->data;

	packet->end = (void *)(long)context->data_end;
	packet->at = ethernet + 1;
	if (packet->at > packet->end)
		return false;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP))
		packet_ipv4(packet);
	else if (ethernet->h_proto == bpf_htons(ETH_P_IPV6))
		packet_ipv6(packet);
	packet_ports(packet);
	return packet->source.family;
}

/* ---- Who it is ---- */

static __always_inline __u64 peer_zones(const struct packet *packet)
{
	struct shield_peer *peer = bpf_map_lookup_elem(&shield_peers, &packet->source);

	return peer ? peer->zones : 0;
}

/* The time is asked for only when it matters: most packets are of calls. */
static __always_inline bool is_blocked(const struct packet *packet)
{
	struct shield_key key = packet->source;
	__u64 now_ns = 0;

	for (int i = 0; i < SHIELD_NESTED_MAXIMUM; i++) {
		struct shield_block *block = bpf_map_lookup_elem(&shield_blocks, &key);

		if (!block)
			return false;
		now_ns = now_ns ? now_ns : bpf_ktime_get_ns();
		if (now_ns < block->until_ns) {
			if (peer_zones(packet))
				return false;
			__sync_fetch_and_add(&block->hits, 1);
			block->last_ns = now_ns;
			return true;
		}
		if (block->bits <= SHIELD_PREFIX_BITS)
			return false;
		key.bits = block->bits - 1;
	}
	return false;
}

static __always_inline struct shield_listener *listener_find(const struct shield_settings *settings,
							     const struct packet *packet)
{
	struct shield_place place = packet->to;
	struct shield_listener *listener;
	__u32 port = bpf_ntohs(place.port);

	if (!(settings->ports[port >> 3 & 8191] >> (port & 7) & 1))
		return NULL;
	listener = bpf_map_lookup_elem(&shield_listeners, &place);
	if (listener)
		return listener;
	__builtin_memset(place.ip, 0, sizeof(place.ip));
	return bpf_map_lookup_elem(&shield_listeners, &place);
}

static __always_inline struct shield_proof *proof_find(const struct packet *packet, bool with_port, __u64 now_ns)
{
	struct shield_source source = {.family = packet->source.family, .port = with_port ? packet->from_port : 0};
	struct shield_proof *proof;

	ip_copy(source.ip, packet->source.ip);
	proof = bpf_map_lookup_elem(&shield_proven, &source);
	return proof && now_ns < proof->until_ns ? proof : NULL;
}

/* ---- What it may ---- */

static __always_inline bool spend(__u64 *due_ns, const struct shield_rate *rate, __u64 now_ns)
{
	if (!rate->interval_ns)
		return true;
	for (int i = 0; i < SHIELD_SPEND_ATTEMPTS; i++) {
		__u64 before = VOLATILE(*due_ns), due = before > now_ns ? before : now_ns;

		if (due - now_ns > rate->burst_ns)
			return false;
		if (__sync_val_compare_and_swap(due_ns, before, due + rate->interval_ns) == before)
			return true;
	}
	return false; /* so many processors at once that it is spent */
}

/* By a secret, so that nobody can choose whose bucket he empties. */
static __always_inline __u32 bucket_of(const struct shield_settings *settings, const struct packet *packet,
				       __u64 now_ns)
{
	__u64 network; /* IPv4: the address; IPv6: its /64 */
	__u64 hash = settings->key + (now_ns >> SHIELD_TURN_SHIFT);

	__builtin_memcpy(&network, packet->source.ip, sizeof(network));
	hash = (hash ^ network) * 0x9e3779b97f4a7c15ull;
	hash = (hash ^ hash >> 32 ^ packet->to.protocol ^ (__u64)packet->source.family << 8) * 0xd6e8feb86659fd93ull;
	hash = (hash ^ hash >> 29 ^ settings->key >> 7) * 0x9e3779b97f4a7c15ull;
	return hash >> 48 & (SHIELD_BUCKETS - 1);
}

/* Its own bucket first: who floods from one address spends nothing of what all have together. */
static __always_inline bool is_over_unproven(const struct shield_settings *settings, const struct packet *packet,
					     __u64 now_ns)
{
	bool is_tcp = packet->to.protocol == IPPROTO_TCP;
	__u32 own = bucket_of(settings, packet, now_ns), total = SHIELD_BUCKETS + is_tcp;
	const struct shield_rate *rates = &settings->rates[SHIELD_SOURCE];
	__u64 *due;

	if (is_tcp)
		rates = &settings->rates[SHIELD_SYN_SOURCE];
	due = bpf_map_lookup_elem(&shield_buckets, &own);
	if (!due || !spend(due, &rates[0], now_ns))
		return shield_drop(is_tcp ? SHIELD_DROP_SYN_SOURCE_RATE : SHIELD_DROP_SOURCE_RATE);
	due = bpf_map_lookup_elem(&shield_buckets, &total);
	if (!due || !spend(due, &rates[1], now_ns))
		return shield_drop(is_tcp ? SHIELD_DROP_SYN_TOTAL_RATE : SHIELD_DROP_TOTAL_RATE);
	return false;
}

/* SIP begins with a letter (a method, or "SIP/2.0"); phones keep a way open by line ends (RFC 5626 section 4.4.1) or STUN. */
static __always_inline bool is_junk(const struct packet *packet)
{
	__u8 *payload = packet->at + sizeof(struct udphdr), letter;

	if (payload + 1 > (__u8 *)packet->end)
		return true;
	letter = payload[0] | 0x20;
	if ((letter >= 'a' && letter <= 'z') || payload[0] == '\r' || payload[0] == '\n')
		return false;
	return payload[0] & 0xc0 || payload + 8 > (__u8 *)packet->end ||
	       *(__be32 *)(payload + 4) != bpf_htonl(STUN_COOKIE);
}

/* Of TCP, what asks for a connection. All else is of connections that are there, or the stack's to refuse. */
static __always_inline bool is_limited(const struct packet *packet)
{
	struct tcphdr *tcp = packet->at;

	if (packet->to.protocol == IPPROTO_UDP)
		return true;
	return (void *)(tcp + 1) <= packet->end && tcp->syn && !tcp->ack;
}

static __always_inline bool listener_refuses(const struct shield_settings *settings, const struct packet *packet,
					     const struct shield_listener *listener)
{
	struct shield_proof *proof;
	__u64 now_ns;

	if (peer_zones(packet) & listener->zones)
		return false;
	if (listener->flags & SHIELD_PEERS_ONLY)
		return shield_drop(SHIELD_DROP_STRANGER);
	if (packet->to.protocol == IPPROTO_UDP && listener->flags & SHIELD_SIP && is_junk(packet))
		return shield_drop(SHIELD_DROP_JUNK);
	if (!is_limited(packet))
		return false;
	now_ns = bpf_ktime_get_ns();
	proof = proof_find(packet, true, now_ns);
	if (!proof)
		proof = proof_find(packet, false, now_ns);
	if (!proof)
		return is_over_unproven(settings, packet, now_ns);
	return !spend(&proof->due_ns, &settings->rates[SHIELD_PROVEN], now_ns) && shield_drop(SHIELD_DROP_PROVEN_RATE);
}

/* Before all else. */
static __noinline bool shield_refuses(struct xdp_md *context)
{
	struct packet packet = {};
	struct shield_settings *settings;
	struct shield_listener *listener;
	__u32 zero = 0;

	if (!packet_read(context, &packet))
		return false;
	if (is_blocked(&packet))
		return shield_drop(SHIELD_DROP_BLOCKED);
	settings = bpf_map_lookup_elem(&shield_settings, &zero);
	if (!settings || settings->abi != SHIELD_ABI)
		return false;
	if (packet.is_hiding)
		return shield_drop(SHIELD_DROP_FRAGMENT);
	listener = packet.is_read ? listener_find(settings, &packet) : NULL;
	return listener && listener_refuses(settings, &packet, listener);
}

/* ---- Closed ports ---- */

static __always_inline bool socket_is_there(struct xdp_md *context, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *found;
	bool is_old = packet->source.family == DATAPATH_IPV4;

	if (is_old) {
		__builtin_memcpy(&tuple.ipv4.saddr, packet->source.ip, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, packet->to.ip, 4);
		tuple.ipv4.sport = packet->from_port;
		tuple.ipv4.dport = packet->to.port;
	} else {
		ip_copy((__u8 *)tuple.ipv6.saddr, packet->source.ip);
		ip_copy((__u8 *)tuple.ipv6.daddr, packet->to.ip);
		tuple.ipv6.sport = packet->from_port;
		tuple.ipv6.dport = packet->to.port;
	}
	found = bpf_sk_lookup_udp(context, &tuple, is_old ? sizeof(tuple.ipv4) : sizeof(tuple.ipv6),
				  BPF_F_CURRENT_NETNS, 0);
	if (!found)
		return false;
	bpf_sk_release(found);
	return true;
}

static __always_inline bool is_in_range(const struct shield_settings *settings, const struct packet *packet)
{
	__u16 port = bpf_ntohs(packet->to.port);

	for (__u32 i = 0; i < SHIELD_RANGES_MAXIMUM; i++) {
		const struct shield_range *range = &settings->ranges[i];

		if (!range->family)
			return false;
		if (range->family == packet->to.family && port >= range->first && port <= range->last &&
		    ip_equal(range->ip, packet->to.ip))
			return true;
	}
	return false;
}

/* What nobody has taken: whether it came to a media port where no socket is. The stack would answer that the port is closed,
 * and so tell which are open. */
static __noinline bool shield_silences(struct xdp_md *context)
{
	struct packet packet = {};
	struct shield_settings *settings;
	__u32 zero = 0;

	if (!packet_read(context, &packet) || !packet.is_read || packet.to.protocol != IPPROTO_UDP)
		return false;
	settings = bpf_map_lookup_elem(&shield_settings, &zero);
	if (!settings || settings->abi != SHIELD_ABI || !is_in_range(settings, &packet) ||
	    socket_is_there(context, &packet))
		return false;
	return shield_drop(SHIELD_DROP_CLOSED_PORT);
}

#endif
