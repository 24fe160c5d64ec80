/* SPDX-License-Identifier: Apache-2.0
 * What the supervisor hands to a role before it says APPLY: files, listeners, the control socket, the memory of checkpoints. One generation is one whole
 * configuration; a new one begins when a message with another number comes. */
#ifndef RINGWALL_ROLES_HANDOVER_H
#define RINGWALL_ROLES_HANDOVER_H

#include "bpf/ring.h"
#include "bpf/shield.h"
#include "config/config.h"
#include "ipc/ipc.h"

#define HANDOVER_FILE_MAXIMUM (1u << 20) /* bytes */
#define HANDOVER_LISTENERS_MAXIMUM (CONFIG_ZONES_MAXIMUM * CONFIG_LISTENERS_MAXIMUM)

struct handover_file {
	char *bytes; /* NULL when it was not handed over */
	size_t length;
};

struct handover_listener {
	uint8_t zone, listener, transport;
	struct address local;
	int descriptor; /* -1 once taken */
};

struct handover {
	uint32_t generation;
	struct handover_file files[IPC_FILE_COUNT];
	struct handover_listener *listeners;
	uint16_t listener_count;
	int control; /* -1: none, or taken */
	int memory;  /* of checkpoints (base/checkpoint.h), for that many records; -1: none, or taken */
	uint32_t memory_records;
	int datapath_flows, datapath_sites; /* of the kernel (bpf/datapath.h); -1: none */
	struct bpf_sockets datapath_sockets;
	struct bpf_shield shield;
};

void handover_start(struct handover *handover, uint32_t generation);

/* Wipes, closes what nobody took, and is empty again. */
void handover_clear(struct handover *handover);

/* Takes what a message brings, and its descriptor. False when the message is none of this kind; `error` is told if it was
 * and could not be taken. */
bool handover_take(struct handover *handover, struct ipc_message *message, int *error);

/* Parses the configuration that was handed over. NULL with the reason. */
struct config *handover_config(const struct handover *handover, char *error, size_t error_capacity);

/* The authorities of one zone's own; empty: it has none. */
struct span handover_zone_authorities(const struct handover *handover, const char *zone);

struct span handover_file(const struct handover *handover, enum ipc_file_kind kind);

#endif
