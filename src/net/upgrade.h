/* SPDX-License-Identifier: Apache-2.0
 * Private: the HTTP request that opens a WebSocket (RFC 6455 section 4.2) and the answers to it. Pure: no memory, no I/O. */
#ifndef RINGWALL_NET_UPGRADE_H
#define RINGWALL_NET_UPGRADE_H

#include "base/buffer.h"

#define NET_UPGRADE_MAXIMUM_BYTES 8192 /* of the head; a browser sends along what cookies its site has */
#define NET_UPGRADE_HEADERS_MAXIMUM 64
#define NET_UPGRADE_ANSWER_BYTES 256

/* Spans into what was parsed. */
struct net_upgrade {
	struct span key;
	struct span origin; /* printable; empty: none was said */
	uint16_t status;    /* when refused: what it is answered with */
	const char *reason; /* and why, for the log */
};

/* Reads the head of a request to open a WebSocket of SIP (RFC 7118 section 4). Returns its length; 0: wait for more; or -EINVAL,
 * with status and reason. */
ptrdiff_t net_upgrade_parse(struct span bytes, struct net_upgrade *out);

/* A refusal with its reason, for what is found out elsewhere. Returns -EINVAL. */
int net_upgrade_refuse(struct net_upgrade *upgrade, uint16_t status, const char *reason);

/* Writes the answer, 101 with the proof of `key`, or the refusal of `status`. NET_UPGRADE_ANSWER_BYTES are enough. */
void net_upgrade_accept(struct buffer *out, struct span key);
void net_upgrade_answer(struct buffer *out, uint16_t status);

#endif
