/* SPDX-License-Identifier: Apache-2.0
 * nftables for the shield's process, which may start no programs: a process of its own beside it, with the right to configure the network
 * (CAP_NET_ADMIN) and no other, runs nft with what it is sent. */
#ifndef RINGWALL_ROLES_NFT_RUNNER_H
#define RINGWALL_ROLES_NFT_RUNNER_H

#include "roles/confine.h"
#include "shield/shield.h"

/* Before this process is confined, and while it is root: becomes `identity`, but for that right. Ends with this process. Returns our end of its
 * socket, or a negative error. */
int nft_runner_start(const struct confine_identity *identity);

/* As shield_nft_command; `context` points to the descriptor. -EPIPE: the runner is gone. */
int nft_runner_run(void *context, struct span input, struct buffer *output);

#endif
