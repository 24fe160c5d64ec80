/* SPDX-License-Identifier: Apache-2.0
 * Packets that come and go past the kernel's network stack, by AF_XDP (bpf/ring.h). What comes to a side's RTP port from its peer is
 * handed over by the kernel's program with all headers of the packet that is to leave (struct datapath_note of bpf/abi.h); it is judged
 * as any other, encrypted or decrypted where it lies, and sent from there. Each worker has its own rings, so that none waits for
 * another; only empty frames are shared, under a lock that is taken once for many packets. */
#ifndef RINGWALL_MEDIA_RELAY_XDP_H
#define RINGWALL_MEDIA_RELAY_XDP_H

#include "bpf/ring.h"
#include "media/relay_private.h"

/* For all workers: maps frames and rings, and fills the latter; descriptors are duplicated. Any thread. NULL: not to be had. */
struct relay_xdp *relay_xdp_new(const struct bpf_sockets *sockets, uint32_t flow_count);
void relay_xdp_free(struct relay_xdp *xdp); /* after the workers have ended */

/* The worker's part, from now on among what it waits for. Before its first stream, any thread. NULL: not to be had. */
struct relay_xdp_worker *relay_xdp_worker_new(struct relay_xdp *xdp, struct relay_worker *worker, uint32_t number);
void relay_xdp_worker_free(struct relay_xdp_worker *own);

/* The rest is the worker's. set: whose a flow's packets are from now on. clear: nobody's, if they were this side's. */
void relay_xdp_side_set(struct relay_worker *worker, uint32_t flow, struct relay_side *side);
void relay_xdp_side_clear(struct relay_worker *worker, uint32_t flow, const struct relay_side *side);

/* Takes what has come into the batch, which is relayed when it is full, and at the end. */
void relay_xdp_receive(struct relay_worker *worker);

/* Sends what still waits, and gives empty frames back to the kernel, which may have sent them since: also when nothing comes, now and
 * then. Returns whether something waits yet. */
bool relay_xdp_settle(struct relay_worker *worker);

/* A socket has an error to tell: of an interface that is gone, nothing is sent by it any more. */
void relay_xdp_error(struct relay_worker *worker);

/* A passage that has come so leaves so, when that is still its way; false: it must go by its socket. Its frame is taken in any case
 * by done. */
bool relay_xdp_send(struct relay_worker *worker, struct relay_passage *passage);
void relay_xdp_done(struct relay_worker *worker, struct relay_passage *passage);

#endif
