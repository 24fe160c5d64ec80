/* SPDX-License-Identifier: Apache-2.0
 * Private to shield: what nft answers. */
#ifndef RINGWALL_SHIELD_NFT_H
#define RINGWALL_SHIELD_NFT_H

#include "shield/private.h"

/* Of a listing of our table, tells each element of a set of blocks with its counter. Returns 0; -EPROTO (no listing), -ENOMEM is the same. */
int nft_hits_read(struct span listing, void (*found)(void *context, const struct shield_prefix *prefix, uint64_t hits),
		  void *context);

#endif
