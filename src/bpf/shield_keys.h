/* SPDX-License-Identifier: Apache-2.0
 * Private to bpf: the keys of the shield's tries. */
#ifndef RINGWALL_BPF_SHIELD_KEYS_H
#define RINGWALL_BPF_SHIELD_KEYS_H

#include <arpa/inet.h>

#include "bpf/shield.h"

/* What is behind the prefix is cut off. Returns 0 or -EINVAL. */
int shield_prefix_key(const struct address *address, uint8_t bits, struct shield_key *key);

#endif
