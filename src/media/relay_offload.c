/* SPDX-License-Identifier: Apache-2.0
 * Publishing flows to the kernel, and counting what it relayed. */
#include "media/relay_offload.h"

#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/memory.h"
#include "media/relay_xdp.h"

#define TRAFFIC_CLASS 0xb8 /* expedited forwarding, as the sockets send */
#define INTERVAL_NS 125000 /* a ceiling for any stream: 8,000 packets a second, */
#define BURST_NS 250000000 /* a quarter of a second's ahead */
#define FLOW_AHEAD_NS \
	4000000000u /* about the most that a flow's field holds; the sockets grant twice that (budget.h) */

struct relay_offload {
	const struct datapath_sites *sites;
	struct datapath_flow *flows;
	size_t flows_bytes;
	uint32_t flow_count, owner;
};

/* ---- The memory ---- */

/* Whoever wrote when its process was killed is not there any more to finish. */
static void flows_unlock(struct relay_offload *offload)
{
	for (uint32_t i = 0; i < offload->flow_count; i++)
		if (offload->flows[i].generation & 1) {
			offload->flows[i].way = DATAPATH_STACK;
			offload->flows[i].generation++;
		}
}

struct relay_offload *relay_offload_new(int flows, int sites)
{
	struct relay_offload *offload = memory_alloc(sizeof(*offload));
	if (!offload)
		return NULL;
	offload->owner = (uint32_t)clock_monotonic_us() | 1;
	offload->sites = mmap(NULL, sizeof(*offload->sites), PROT_READ, MAP_SHARED, sites, 0);
	if (offload->sites == MAP_FAILED)
		goto failed;
	if (offload->sites->abi != DATAPATH_ABI || offload->sites->count > DATAPATH_SITES_MAXIMUM)
		goto unmap;
	offload->flow_count = offload->sites->flow_count;
	offload->flows_bytes = offload->flow_count * sizeof(struct datapath_flow);
	offload->flows = mmap(NULL, offload->flows_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, flows, 0);
	if (offload->flows != MAP_FAILED) {
		flows_unlock(offload);
		return offload;
	}
unmap:
	munmap((void *)offload->sites, sizeof(*offload->sites));
failed:
	memory_free(offload);
	return NULL;
}

/* The program leaves packets to the socket while the generation is odd; so does another writer wait. */
static uint32_t flow_lock(struct datapath_flow *flow)
{
	for (;;) {
		uint32_t generation = __atomic_load_n(&flow->generation, __ATOMIC_RELAXED) & ~1u;
		if (__atomic_compare_exchange_n(&flow->generation, &generation, generation | 1, false, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return generation;
	}
}

static void flow_unlock(struct datapath_flow *flow, uint32_t generation)
{
	__atomic_store_n(&flow->generation, generation + 2, __ATOMIC_SEQ_CST);
}

/* Of the owner alone; 0: of whoever. */
static void flow_clear(struct datapath_flow *flow, uint32_t owner, bool but_owner)
{
	uint32_t generation = flow_lock(flow);
	if (flow->way != DATAPATH_STACK && (flow->owner == owner) != but_owner)
		flow->way = DATAPATH_STACK;
	flow_unlock(flow, generation);
}

static void flows_clear(struct relay_offload *offload, bool but_own)
{
	for (uint32_t i = 0; i < offload->flow_count; i++)
		if (__atomic_load_n(&offload->flows[i].way, __ATOMIC_RELAXED) != DATAPATH_STACK)
			flow_clear(&offload->flows[i], offload->owner, but_own);
}

void relay_offload_sweep(struct relay_offload *offload)
{
	if (offload)
		flows_clear(offload, true);
}

void relay_offload_free(struct relay_offload *offload)
{
	if (!offload)
		return;
	flows_clear(offload, false);
	munmap(offload->flows, offload->flows_bytes);
	munmap((void *)offload->sites, sizeof(*offload->sites));
	memory_free(offload);
}

uint32_t relay_offload_flow_count(const struct relay_offload *offload)
{
	return offload->flow_count;
}

/* ---- What a side sends to the kernel ---- */

/* The site of a local address, as its number; or -1. */
static int site_find(const struct relay_offload *offload, const struct address *local)
{
	for (uint32_t i = 0; i < offload->sites->count; i++) {
		const struct datapath_site *site = &offload->sites->sites[i];
		if (site->family == local->family && memcmp(site->ip, local->ip, sizeof(site->ip)) == 0)
			return local->port >= site->port_first && local->port <= site->port_last ? (int)i : -1;
	}
	return -1;
}

static struct datapath_flow *flow_of(const struct relay_offload *offload, const struct address *local)
{
	int number = site_find(offload, local);
	if (number < 0)
		return NULL;
	const struct datapath_site *site = &offload->sites->sites[number];
	uint32_t index = site->flow_first + (uint32_t)(local->port - site->port_first) / 2;
	return index < offload->flow_count ? &offload->flows[index] : NULL;
}

/* RTP of a peer that is locked, to one that is known, by the same version of IP. */
static bool is_settled(const struct relay_side *from, const struct relay_side *to)
{
	return from->stream->kind == MEDIA_RTP && from->may_send && from->ports[0].descriptor >= 0 &&
	       from->ports[0].locked && to->ports[0].descriptor >= 0 && to->ports[0].peer.family != ADDRESS_NONE &&
	       from->local.family == to->local.family;
}

static bool has_keys(enum srtp_suite suite, const struct srtp_context *context)
{
	return suite == SRTP_NONE || (suite < SRTP_SUITE_COUNT && context);
}

/* The kernel takes what it need not change; a worker what it has the keys for. */
static enum datapath_way way_choose(const struct relay_worker *worker, const struct relay_side *from,
				    const struct relay_side *to)
{
	if (!is_settled(from, to))
		return DATAPATH_STACK;
	bool is_plain = from->suite_in == SRTP_NONE && to->suite_out == SRTP_NONE;
	if (is_plain && !from->is_mixed && !to->is_mixed && !from->is_muxed && from->ports[0].connected)
		return DATAPATH_KERNEL;
	if (!is_plain && worker->xdp && has_keys(from->suite_in, from->in) && has_keys(to->suite_out, to->out))
		return DATAPATH_WORKER;
	return DATAPATH_STACK;
}

/* What was agreed, as far as the program looks; bytes a second are held by the largest packet and the packets' rate. */
static void flow_limit(const struct budget *budget, struct datapath_flow *flow)
{
	flow->payload_maximum = RELAY_PACKET_MAXIMUM;
	if (budget->packet_bytes < RELAY_PACKET_MAXIMUM)
		flow->payload_maximum = (uint16_t)budget->packet_bytes;
	flow->interval_ns = budget->packet_ns ? budget->packet_ns : INTERVAL_NS;
	flow->burst_ns = budget->packet_ns ? FLOW_AHEAD_NS : BURST_NS;
	for (int i = 0; i < 128; i++)
		if (budget_has_type(budget, (uint8_t)i))
			flow->payload_types[i / 64] |= 1ull << i % 64;
}

static bool flow_describe(const struct relay_worker *worker, const struct relay_side *from, const struct relay_side *to,
			  struct datapath_flow *flow)
{
	const struct relay_offload *offload = worker->offload;
	int out = site_find(offload, &to->local);
	enum datapath_way way = way_choose(worker, from, to);
	if (out < 0 || way == DATAPATH_STACK)
		return false;
	const struct address *peer = &from->ports[0].peer, *target = &to->ports[0].peer;
	*flow = (struct datapath_flow){
		.way = (uint8_t)way,
		.drop_foreign = from->ports[0].connected, /* as that socket does */
		.worker = worker->number,
		.out_site = (uint8_t)out,
		.traffic_class = TRAFFIC_CLASS,
		.owner = offload->owner,
		.peer_port = htons(peer->port),
		.out_port = htons(to->local.port),
		.to_port = htons(target->port),
	};
	flow_limit(&from->budget, flow);
	memcpy(flow->peer_ip, peer->ip, sizeof(flow->peer_ip));
	memcpy(flow->to_ip, target->ip, sizeof(flow->to_ip));
	return true;
}

/* What user space decides lies between the generation and what the program writes. */
#define DECIDED_OFFSET offsetof(struct datapath_flow, way)
#define DECIDED_BYTES (offsetof(struct datapath_flow, due_ns) - DECIDED_OFFSET)

static bool is_decided(const struct datapath_flow *flow, const struct datapath_flow *wanted)
{
	return memcmp((const char *)flow + DECIDED_OFFSET, (const char *)wanted + DECIDED_OFFSET, DECIDED_BYTES) == 0;
}

/* What an earlier owner left behind is forgotten. */
static void flow_write(struct datapath_flow *flow, const struct datapath_flow *wanted)
{
	uint32_t generation = flow_lock(flow);
	if (flow->way == DATAPATH_STACK || flow->owner != wanted->owner)
		memset(&flow->due_ns, 0, sizeof(*flow) - offsetof(struct datapath_flow, due_ns));
	memcpy((char *)flow + DECIDED_OFFSET, (const char *)wanted + DECIDED_OFFSET, DECIDED_BYTES);
	flow_unlock(flow, generation);
}

static void side_withdraw(struct relay_side *side);

static void side_review(struct relay_worker *worker, struct relay_side *side, struct relay_side *other)
{
	struct datapath_flow wanted;
	struct datapath_flow *flow = flow_of(worker->offload, &side->local);
	if (!flow || !flow_describe(worker, side, other, &wanted)) {
		side_withdraw(side);
		return;
	}
	if (side->flow && (side->flow != flow || flow->way != wanted.way))
		side_withdraw(side);
	if (side->flow && is_decided(flow, &wanted))
		return;
	if (wanted.way == DATAPATH_WORKER)
		relay_xdp_side_set(worker, (uint32_t)(flow - worker->offload->flows), side);
	flow_write(flow, &wanted);
	if (!side->flow) {
		side->flow = flow;
		relay_offload_reception_give(side);
	}
}

void relay_offload_review(struct relay_worker *worker, struct relay_stream *stream)
{
	if (!worker->offload)
		return;
	side_review(worker, &stream->sides[0], &stream->sides[1]);
	side_review(worker, &stream->sides[1], &stream->sides[0]);
}

/* ---- What the kernel has seen ---- */

static void reception_take(struct relay_side *side, const struct datapath_reception *seen)
{
	if (!seen->is_started)
		return;
	side->reception = (struct relay_reception){
		.started = true,
		.payload_type = seen->payload_type,
		.clock_rate = seen->clock_rate,
		.highest = seen->highest,
		.ssrc = seen->ssrc,
		.transit = seen->transit,
		.jitter_16 = seen->jitter_16,
		.expected = seen->expected,
		.received = seen->received,
		.lost_before = seen->lost_before,
	};
}

void relay_offload_reception_take(struct relay_side *side)
{
	if (side->flow && side->flow->way == DATAPATH_KERNEL)
		reception_take(side, &side->flow->reception);
}

void relay_offload_reception_give(struct relay_side *side)
{
	if (!side->flow || side->flow->way != DATAPATH_KERNEL || !side->reception.started)
		return;
	const struct relay_reception *known = &side->reception;
	side->flow->reception = (struct datapath_reception){
		.ssrc = known->ssrc,
		.transit = known->transit,
		.jitter_16 = known->jitter_16,
		.highest = known->highest,
		.is_started = 1,
		.payload_type = known->payload_type,
		.clock_rate = known->clock_rate,
		.expected = known->expected,
		.received = known->received,
		.lost_before = known->lost_before,
	};
}

static uint64_t taken(__u64 *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED) ? __atomic_exchange_n(counter, 0, __ATOMIC_RELAXED) : 0;
}

static void side_harvest(uint64_t now_us, struct relay_side *side)
{
	if (!side->flow)
		return;
	struct datapath_counters *seen = &side->flow->counters;
	uint64_t packets = taken(&seen->packets);
	struct relay_side *other = &side->stream->sides[!side->index];
	counter_add(&side->counters.drops[MEDIA_DROP_SOURCE], taken(&seen->foreign));
	counter_add(&side->counters.drops[MEDIA_DROP_RATE], taken(&seen->over_rate));
	if (!packets)
		return;
	counter_add(&side->counters.packets_in, packets);
	counter_add(&side->counters.bytes_in, taken(&seen->bytes));
	counter_add(&other->counters.packets_out, packets);
	side->last_packet_us = now_us;
	relay_offload_reception_take(side);
	relay_reception_tell(&side->reception, &side->counters);
}

void relay_offload_harvest(struct relay_worker *worker, struct relay_stream *stream)
{
	for (int i = 0; i < 2; i++)
		side_harvest(worker->now_us, &stream->sides[i]);
}

static void side_withdraw(struct relay_side *side)
{
	struct datapath_flow *flow = side->flow;
	if (!flow)
		return;
	uint8_t way = flow->way;
	uint32_t generation = flow_lock(flow);
	flow->way = DATAPATH_STACK;
	flow_unlock(flow, generation);
	side_harvest(side->last_packet_us, side);
	if (way == DATAPATH_KERNEL)
		reception_take(side, &flow->reception);
	side->flow = NULL;
}

/* What came before and still lies in a ring is nobody's then. */
static void side_forget(struct relay_side *side)
{
	struct relay_worker *worker = side->stream->session->worker;
	const struct datapath_flow *flow = worker->offload ? flow_of(worker->offload, &side->local) : NULL;
	side_withdraw(side);
	if (flow)
		relay_xdp_side_clear(worker, (uint32_t)(flow - worker->offload->flows), side);
}

void relay_offload_withdraw(struct relay_stream *stream)
{
	side_forget(&stream->sides[0]);
	side_forget(&stream->sides[1]);
}
