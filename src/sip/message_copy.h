/* SPDX-License-Identifier: Apache-2.0
 * Private to src/sip: copies of parsed messages that outlive the network's buffer. */
#ifndef RINGWALL_SIP_MESSAGE_COPY_H
#define RINGWALL_SIP_MESSAGE_COPY_H

#include "sip/sip.h"

/* A copy of `message`, its headers and its bytes in one block of the heap, every span moved to point into
 * it: a message is parsed once, when it is received. Freed with memory_free. NULL when memory is short. */
struct sip_message *message_copy(const struct sip_message *message);

#endif
