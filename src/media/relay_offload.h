/* SPDX-License-Identifier: Apache-2.0
 * Streams that the kernel relays itself, or hands to their worker past its network stack (bpf/media.bpf.c). What comes to a side's RTP
 * port is published as a flow when it is simple enough, and withdrawn when it is not; the sockets stay open and take whatever the kernel leaves to them, so a flow may
 * come and go at any time. Everything here is the worker's but what says otherwise. */
#ifndef RINGWALL_MEDIA_RELAY_OFFLOAD_H
#define RINGWALL_MEDIA_RELAY_OFFLOAD_H

#include "media/relay_private.h"

/* Maps the datapath's memory; the descriptors stay the caller's. Any thread. NULL when it is not to be had or of another
 * layout. */
struct relay_offload *relay_offload_new(int flows, int sites);
void relay_offload_free(
	struct relay_offload *offload); /* withdraws everything that is this process's; NULL is allowed */
uint32_t relay_offload_flow_count(const struct relay_offload *offload);

/* Withdraws what a process before this one published and this one did not. Any thread. */
void relay_offload_sweep(struct relay_offload *offload);

/* Publishes or withdraws both directions, as the stream is now. After anything of it has changed. withdraw: its ports are closed. */
void relay_offload_review(struct relay_worker *worker, struct relay_stream *stream);
void relay_offload_withdraw(struct relay_stream *stream);

/* What the kernel has relayed since the last time is added to the counters. */
void relay_offload_harvest(struct relay_worker *worker, struct relay_stream *stream);

/* A packet of a published side has come by its socket: what was received before it is taken over from the kernel, and given back
 * with this packet in it. */
void relay_offload_reception_take(struct relay_side *side);
void relay_offload_reception_give(struct relay_side *side);

#endif
