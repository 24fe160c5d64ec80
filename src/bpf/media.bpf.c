// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
/* RTP from one side of a call to the other without leaving the kernel; or, where it is to be encrypted or decrypted, with all its
 * headers written, to the worker that does it. Takes only what is beyond doubt: whatever is odd (an option, a fragment, another
 * SSRC, a leap, no route) is left to the socket of the same port, which judges and counts as it would without this program. So a
 * flow may come and go at any time, and no packet is lost by that.
 * Before it stands the shield, of shield.bpf.h: an interface has one program. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

#define RTP_HEADER_BYTES 12
#define RTP_LEAP_MAXIMUM 3000 /* as in media/relay_reception.c */
#define RTCP_FIRST 192        /* RFC 5761 section 4: second bytes of RTCP */
#define RTCP_LAST 223
#define HOPS 64
#define LOOPBACK_INTERFACE 1 /* in every network namespace */
#define STACK_EVERY_NS 5000000000ull
#define FRAGMENT_BITS 0x3fff
#define DO_NOT_FRAGMENT 0x4000
#define FAMILY_INET 2
#define FAMILY_INET6 10

const char licence[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct datapath_sites);
} sites SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* set when it is loaded */
	__type(key, __u32);
	__type(value, struct datapath_flow);
} flows SEC(".maps");

/* Interfaces that this program is attached to: only there it may send. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, DATAPATH_SITES_MAXIMUM);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

/* AF_XDP, by datapath_socket(). */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, DATAPATH_SOCKETS_MAXIMUM);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

#define VOLATILE(value) (*(volatile typeof(value) *)&(value))
#define barrier() asm volatile("" ::: "memory")

/* What UDP's checksum covers beside the payload (RFC 768, RFC 8200 section 8.1). IPv4 addresses leave zeros, which do not
 * count. */
struct cover {
	__u8 source[16], destination[16];
	__be16 source_port, destination_port;
};

struct frame {
	struct ethhdr *ethernet;
	struct iphdr *ipv4; /* one of the two */
	struct ipv6hdr *ipv6;
	struct udphdr *udp;
	__u8 *rtp;
	__u32 rtp_bytes;
	void *end;
	struct cover cover;
};

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

static __always_inline void ip_copy(__u8 *to, const __u8 *from)
{
	__builtin_memcpy(to, from, 16);
}

static __always_inline bool ip_equal(const __u8 *a, const __u8 *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

#include "shield.bpf.h"

/* ---- In ---- */

static __always_inline bool parse_ipv4(struct frame *frame, void *at)
{
	struct iphdr *ip = at;

	if ((void *)(ip + 1) > frame->end || ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
	    ip->frag_off & bpf_htons(FRAGMENT_BITS))
		return false;
	/* Nothing behind it either: padding of short frames would be sent on. */
	if (at + bpf_ntohs(ip->tot_len) != frame->end)
		return false;
	frame->ipv4 = ip;
	frame->udp = (void *)(ip + 1);
	__builtin_memcpy(frame->cover.source, &ip->saddr, 4);
	__builtin_memcpy(frame->cover.destination, &ip->daddr, 4);
	return true;
}

static __always_inline bool parse_ipv6(struct frame *frame, void *at)
{
	struct ipv6hdr *ip = at;

	if ((void *)(ip + 1) > frame->end || ip->version != 6 || ip->nexthdr != IPPROTO_UDP)
		return false;
	if ((void *)(ip + 1) + bpf_ntohs(ip->payload_len) != frame->end)
		return false;
	frame->ipv6 = ip;
	frame->udp = (void *)(ip + 1);
	ip_copy(frame->cover.source, (const __u8 *)&ip->saddr);
	ip_copy(frame->cover.destination, (const __u8 *)&ip->daddr);
	return true;
}

/* Down to the RTP header; its length is checked, and nothing in it. */
static __always_inline bool parse(struct xdp_md *context, struct frame *frame)
{
	void *data = (void *)(long)context->data;

	frame->end = (void *)(long)context->data_end;
	frame->ethernet = data;
	if ((void *)(frame->ethernet + 1) > frame->end)
		return false;
	if (frame->ethernet->h_proto == bpf_htons(ETH_P_IP)) {
		if (!parse_ipv4(frame, frame->ethernet + 1))
			return false;
	} else if (frame->ethernet->h_proto != bpf_htons(ETH_P_IPV6) || !parse_ipv6(frame, frame->ethernet + 1)) {
		return false;
	}
	frame->rtp = (void *)(frame->udp + 1);
	if (frame->rtp + RTP_HEADER_BYTES > (__u8 *)frame->end ||
	    (void *)frame->udp + bpf_ntohs(frame->udp->len) != frame->end)
		return false;
	frame->rtp_bytes = bpf_ntohs(frame->udp->len) - sizeof(struct udphdr);
	frame->cover.source_port = frame->udp->source;
	frame->cover.destination_port = frame->udp->dest;
	return true;
}

/* A sender on this machine leaves the checksum to its card, which is not there: what stands in the packet is then the sum of
 * the pseudo-header alone. The stack knows; the packet does not say. */
static __always_inline bool checksum_is_partial(struct frame *frame)
{
	struct {
		__u8 source[16], destination[16];
		__be32 length, protocol;
	} pseudo = {.length = bpf_htonl(bpf_ntohs(frame->udp->len)), .protocol = bpf_htonl(IPPROTO_UDP)};

	ip_copy(pseudo.source, frame->cover.source);
	ip_copy(pseudo.destination, frame->cover.destination);
	return frame->udp->check == fold(bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0));
}

static __always_inline struct datapath_flow *flow_find(const struct datapath_sites *table, const struct frame *frame,
						       __u32 *number)
{
	__u8 family = frame->ipv4 ? DATAPATH_IPV4 : DATAPATH_IPV6;
	__u16 port = bpf_ntohs(frame->udp->dest);

	if (port & 1)
		return NULL; /* RTCP */
	for (int i = 0; i < DATAPATH_SITES_MAXIMUM; i++) {
		const struct datapath_site *site = &table->sites[i];
		if (!site->family)
			return NULL;
		if (site->family != family || !ip_equal(site->ip, frame->cover.destination))
			continue;
		if (port < site->port_first || port > site->port_last)
			return NULL;
		*number = site->flow_first + (((__u32)port - site->port_first) >> 1);
		return bpf_map_lookup_elem(&flows, number);
	}
	return NULL;
}

/* ---- Judging ---- */

/* What user space decided, all of one moment. */
struct decision {
	struct cover cover;
	__u8 way, drop_foreign, traffic_class;
	__u16 payload_maximum;
	__u64 payload_types[2];
	__u32 interval_ns, burst_ns;
	__u32 generation, worker;
	__u8 peer_ip[16];
	__be16 peer_port;
};

static __always_inline bool decision_read(const struct datapath_sites *table, struct datapath_flow *flow,
					  const struct frame *frame, struct decision *decision)
{
	__u32 generation = VOLATILE(flow->generation);
	__u32 out = VOLATILE(flow->out_site);
	__u16 port;

	decision->way = VOLATILE(flow->way);
	if (generation & 1 || decision->way == DATAPATH_STACK || out >= DATAPATH_SITES_MAXIMUM)
		return false;
	barrier();
	decision->generation = generation;
	decision->worker = flow->worker;
	decision->drop_foreign = flow->drop_foreign;
	decision->traffic_class = flow->traffic_class;
	decision->payload_maximum = flow->payload_maximum;
	decision->payload_types[0] = flow->payload_types[0];
	decision->payload_types[1] = flow->payload_types[1];
	decision->interval_ns = flow->interval_ns;
	decision->burst_ns = flow->burst_ns;
	ip_copy(decision->peer_ip, flow->peer_ip);
	decision->peer_port = flow->peer_port;
	ip_copy(decision->cover.destination, flow->to_ip);
	decision->cover.source_port = flow->out_port;
	decision->cover.destination_port = flow->to_port;
	barrier();
	if (VOLATILE(flow->generation) != generation)
		return false;
	/* The source is one of ours whatever the flow says: user space could not forge another with a socket either. */
	port = bpf_ntohs(decision->cover.source_port);
	ip_copy(decision->cover.source, table->sites[out].ip);
	return table->sites[out].family == (frame->ipv4 ? DATAPATH_IPV4 : DATAPATH_IPV6) &&
	       port >= table->sites[out].port_first && port <= table->sites[out].port_last;
}

static __always_inline bool rtp_is_alone(const struct frame *frame, const struct decision *decision)
{
	return frame->rtp[0] >> 6 == 2 && !(frame->rtp[1] >= RTCP_FIRST && frame->rtp[1] <= RTCP_LAST) &&
	       frame->rtp_bytes <= decision->payload_maximum;
}

/* Contributing sources fit; a payload type that was negotiated. */
static __always_inline bool rtp_is_plain(const struct frame *frame, const struct decision *decision)
{
	const __u8 *rtp = frame->rtp;
	__u8 first = rtp[0], type = rtp[1] & 0x7f;
	__u32 header = RTP_HEADER_BYTES + 4 * (first & 0x0f);

	if (!(decision->payload_types[type >> 6] >> (type & 63) & 1))
		return false;
	if (first & 0x30)
		return false; /* padding, which is rare and to be checked; an extension, which is to be taken out */
	return header <= frame->rtp_bytes;
}

static __always_inline bool budget_spend(struct datapath_flow *flow, const struct decision *decision, __u64 now_ns)
{
	__u64 due_ns = flow->due_ns > now_ns ? flow->due_ns : now_ns;

	if (!decision->interval_ns)
		return true;
	if (due_ns - now_ns > decision->burst_ns)
		return false;
	flow->due_ns = due_ns + decision->interval_ns;
	return true;
}

/* The same source and payload type as before, near to where it was. Nothing is changed yet. */
static __always_inline bool reception_expects(const struct datapath_reception *reception, __u32 ssrc, __u8 type,
					      __u16 sequence)
{
	__s16 step = (__s16)(sequence - reception->highest);

	return reception->is_started && reception->ssrc == ssrc && reception->payload_type == type &&
	       step <= RTP_LEAP_MAXIMUM && step >= -RTP_LEAP_MAXIMUM;
}

/* As media/relay_reception.c does (RFC 3550 appendix A). */
static __always_inline void reception_count(struct datapath_reception *reception, __u16 sequence, __u32 timestamp,
					    __u64 now_ns)
{
	__u16 step = sequence - reception->highest;
	__u32 rate = reception->clock_rate;
	__u32 transit = (__u32)(now_ns / 1000 * rate / 1000000) - timestamp;
	__s32 difference = (__s32)(transit - reception->transit);
	__u32 size = difference < 0 ? 0u - (__u32)difference : (__u32)difference;

	if (step < 0x8000) {
		reception->expected += step;
		reception->highest = sequence;
	}
	reception->transit = transit;
	if (size <= rate)
		reception->jitter_16 += size - ((reception->jitter_16 + 8) >> 4);
	reception->received++;
}

/* ---- Out ---- */

static __always_inline void write_ipv4(struct iphdr *ip, const struct decision *decision)
{
	__be16 total = ip->tot_len;

	*ip = (struct iphdr){.version = 4,
			     .ihl = 5,
			     .tos = decision->traffic_class,
			     .tot_len = total,
			     .frag_off = bpf_htons(DO_NOT_FRAGMENT), /* so its identification says nothing (RFC 6864) */
			     .ttl = HOPS,
			     .protocol = IPPROTO_UDP};
	__builtin_memcpy(&ip->saddr, decision->cover.source, 4);
	__builtin_memcpy(&ip->daddr, decision->cover.destination, 4);
	ip->check = ~fold(bpf_csum_diff(NULL, 0, (void *)ip, sizeof(*ip), 0));
}

static __always_inline void write_ipv6(struct ipv6hdr *ip, const struct decision *decision)
{
	ip->priority = decision->traffic_class >> 4;
	ip->flow_lbl[0] = (decision->traffic_class & 0x0f) << 4;
	ip->flow_lbl[1] = ip->flow_lbl[2] = 0;
	ip->hop_limit = HOPS;
	ip_copy((__u8 *)&ip->saddr, decision->cover.source);
	ip_copy((__u8 *)&ip->daddr, decision->cover.destination);
}

static __always_inline void write_udp(struct frame *frame, struct decision *decision)
{
	struct udphdr *udp = frame->udp;
	__u16 check;

	udp->source = decision->cover.source_port;
	udp->dest = decision->cover.destination_port;
	if (!udp->check)
		return; /* IPv4 only: the sender made none */
	/* The payload's part stays as it is, so what was damaged on the way here is found out by the receiver. */
	check = ~fold(bpf_csum_diff((void *)&frame->cover, sizeof(frame->cover), (void *)&decision->cover,
				    sizeof(decision->cover), (__u16)~udp->check));
	udp->check = check ? check : 0xffff;
}

/* Where to, as for a packet that this machine sends itself: rules, routes and neighbours are the kernel's. Asking on behalf of
 * loopback needs forwarding enabled there, and nowhere else. */
static __always_inline bool route(struct xdp_md *context, const struct frame *frame, const struct decision *decision,
				  struct bpf_fib_lookup *way)
{
	way->ifindex = LOOPBACK_INTERFACE;
	way->l4_protocol = IPPROTO_UDP;
	way->sport = decision->cover.source_port;
	way->dport = decision->cover.destination_port;
	if (frame->ipv4) {
		way->family = FAMILY_INET;
		way->tot_len = bpf_ntohs(frame->ipv4->tot_len);
		way->tos = decision->traffic_class;
		__builtin_memcpy(&way->ipv4_src, decision->cover.source, 4);
		__builtin_memcpy(&way->ipv4_dst, decision->cover.destination, 4);
	} else if (frame->ipv6) {
		way->family = FAMILY_INET6;
		way->tot_len = bpf_ntohs(frame->ipv6->payload_len) + sizeof(struct ipv6hdr);
		ip_copy((__u8 *)way->ipv6_src, decision->cover.source);
		ip_copy((__u8 *)way->ipv6_dst, decision->cover.destination);
	}
	return bpf_fib_lookup(context, way, sizeof(*way), 0) == BPF_FIB_LKUP_RET_SUCCESS &&
	       bpf_map_lookup_elem(&devices, &way->ifindex);
}

static __always_inline void write_headers(struct frame *frame, struct decision *decision,
					  const struct bpf_fib_lookup *way)
{
	write_udp(frame, decision);
	if (frame->ipv4)
		write_ipv4(frame->ipv4, decision);
	else if (frame->ipv6)
		write_ipv6(frame->ipv6, decision);
	__builtin_memcpy(frame->ethernet->h_dest, way->dmac, ETH_ALEN);
	__builtin_memcpy(frame->ethernet->h_source, way->smac, ETH_ALEN);
}

static __always_inline int send(struct xdp_md *context, struct frame *frame, struct decision *decision,
				const struct bpf_fib_lookup *way)
{
	write_headers(frame, decision, way);
	if (way->ifindex == context->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect_map(&devices, way->ifindex, 0);
}

static __always_inline int pass(struct datapath_flow *flow)
{
	__sync_fetch_and_add(&flow->counters.passed, 1);
	return XDP_PASS;
}

static __always_inline int relay(struct xdp_md *context, struct frame *frame, struct decision *decision,
				 const struct bpf_fib_lookup *way, struct datapath_flow *flow, __u64 now_ns)
{
	__u16 sequence = frame->rtp[2] << 8 | frame->rtp[3];
	__u32 timestamp = bpf_ntohl(*(__be32 *)(frame->rtp + 4)), ssrc = bpf_ntohl(*(__be32 *)(frame->rtp + 8));

	if (!rtp_is_plain(frame, decision) ||
	    !reception_expects(&flow->reception, ssrc, frame->rtp[1] & 0x7f, sequence))
		return pass(flow);
	reception_count(&flow->reception, sequence, timestamp, now_ns);
	__sync_fetch_and_add(&flow->counters.packets, 1);
	__sync_fetch_and_add(&flow->counters.bytes, frame->rtp_bytes);
	return send(context, frame, decision, way);
}

/* The number of an interface; DATAPATH_DEVICES_MAXIMUM: it has no AF_XDP sockets. */
static __always_inline __u32 device_find(const struct datapath_sites *table, __u32 interface)
{
	__u32 i;

	for (i = 0; i < DATAPATH_DEVICES_MAXIMUM; i++)
		if (table->devices[i] == interface)
			break;
	return i;
}

static __always_inline int to_worker(struct xdp_md *context, const struct datapath_sites *table,
				     struct decision *decision, const struct bpf_fib_lookup *way,
				     struct datapath_flow *flow, __u32 number)
{
	__u32 in = device_find(table, context->ingress_ifindex), out = device_find(table, way->ifindex), socket;
	struct datapath_note *note;
	struct frame moved = {};

	if (in == DATAPATH_DEVICES_MAXIMUM || out == DATAPATH_DEVICES_MAXIMUM ||
	    context->rx_queue_index >= DATAPATH_QUEUES_MAXIMUM || decision->worker >= DATAPATH_WORKERS_MAXIMUM)
		return pass(flow);
	socket = datapath_socket(in, context->rx_queue_index, decision->worker);
	if (!bpf_map_lookup_elem(&sockets, &socket) || bpf_xdp_adjust_meta(context, -(int)sizeof(*note)) != 0)
		return pass(flow);
	note = (void *)(long)context->data_meta;
	if ((void *)(note + 1) > (void *)(long)context->data || !parse(context, &moved))
		return XDP_DROP; /* cannot be */
	note->flow = number;
	note->generation = decision->generation;
	ip_copy(note->source_ip, moved.cover.source);
	note->source_port = moved.cover.source_port;
	note->device = out;
	note->unused = 0;
	write_headers(&moved, decision, way);
	return bpf_redirect_map(&sockets, socket, XDP_DROP);
}

static __noinline int media_relay(struct xdp_md *context)
{
	struct frame frame = {};
	struct decision decision = {};
	struct bpf_fib_lookup way = {};
	const struct datapath_sites *table;
	struct datapath_flow *flow;
	__u32 zero = 0, number = 0;
	__u64 now_ns;

	if (!parse(context, &frame))
		return XDP_PASS;
	table = bpf_map_lookup_elem(&sites, &zero);
	flow = table ? flow_find(table, &frame, &number) : NULL;
	if (!flow || !decision_read(table, flow, &frame, &decision))
		return XDP_PASS;

	if (frame.cover.source_port != decision.peer_port || !ip_equal(frame.cover.source, decision.peer_ip)) {
		if (!decision.drop_foreign)
			return pass(flow);
		__sync_fetch_and_add(&flow->counters.foreign, 1);
		return XDP_DROP;
	}
	now_ns = bpf_ktime_get_ns();
	if (!budget_spend(flow, &decision, now_ns)) {
		/* What a worker gets it judges once it knows who speaks; a flood must only not fill its ring. */
		if (decision.way == DATAPATH_WORKER)
			return pass(flow);
		__sync_fetch_and_add(&flow->counters.over_rate, 1);
		return XDP_DROP;
	}
	if (!rtp_is_alone(&frame, &decision) || checksum_is_partial(&frame) || !route(context, &frame, &decision, &way))
		return pass(flow);
	if (now_ns >= flow->stack_due_ns) {
		flow->stack_due_ns = now_ns + STACK_EVERY_NS;
		return pass(flow);
	}
	if (decision.way == DATAPATH_WORKER)
		return to_worker(context, table, &decision, &way, flow, number);
	return relay(context, &frame, &decision, &way, flow, now_ns);
}

/* The one program of an interface. */
SEC("xdp")
int media(struct xdp_md *context)
{
	int action;

	if (shield_refuses(context))
		return XDP_DROP;
	action = media_relay(context);
	return action == XDP_PASS && shield_silences(context) ? XDP_DROP : action;
}
