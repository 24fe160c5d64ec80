/* SPDX-License-Identifier: Apache-2.0
 * What channels need to know of messages beyond ipc.h. */
#ifndef RINGWALL_IPC_MESSAGE_H
#define RINGWALL_IPC_MESSAGE_H

#include "base/memory.h"
#include "ipc/ipc.h"

/* Whether messages of this type carry a descriptor: always, or never. */
bool ipc_type_has_descriptor(enum ipc_type type);

/* Overwrites what was decoded into it (STREAM_SET holds keys). `type` must be valid. */
void ipc_message_wipe(struct ipc_message *message);

#endif
