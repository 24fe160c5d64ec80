/* SPDX-License-Identifier: Apache-2.0
 * The kernel's part of the shield, as user space uses it: through the descriptors of its maps alone, without any privilege (Linux 5.19
 * or newer). shield.bpf.h is the program, shield_abi.h the maps; bpf/datapath.h loads it. Each function is one or a few system
 * calls, and blocks nobody. One thread writes. */
#ifndef RINGWALL_BPF_SHIELD_H
#define RINGWALL_BPF_SHIELD_H

#include "base/address.h"
#include "bpf/shield_abi.h"

enum bpf_shield_map {
	BPF_SHIELD_SETTINGS,
	BPF_SHIELD_BLOCKS,
	BPF_SHIELD_PEERS,
	BPF_SHIELD_LISTENERS,
	BPF_SHIELD_PROVEN,
	BPF_SHIELD_COUNTERS,
	BPF_SHIELD_MAPS,
};
struct bpf_shield {
	int maps[BPF_SHIELD_MAPS]; /* descriptors; -1: there is no shield in the kernel */
};
#define BPF_SHIELD_NONE ((struct bpf_shield){{-1, -1, -1, -1, -1, -1}})
void bpf_shield_close(struct bpf_shield *shield); /* none is allowed */

/* To be called before a process is confined: reads how many processors there may be, which libbpf remembers. */
void bpf_shield_prepare(void);

/* ---- What is let in ---- */

struct bpf_shield_listener {
	struct address local; /* its ip all zeros: whatever the address */
	uint8_t zone;         /* below 64 */
	bool tcp;
	bool peers_only; /* others' packets are dropped */
	bool sip;        /* over UDP: what cannot be SIP, nor keeps a way open, is dropped */
};
struct bpf_shield_peer {
	struct address address;
	uint8_t bits; /* of the address that count */
	uint8_t zone;
};
/* Where there is silence unless a socket is there, whoever has it. */
struct bpf_shield_range {
	struct address address;
	uint16_t first, last;
};
/* Packets a second on average, and how many at once; per_second 0: no limit. */
struct bpf_shield_rate {
	uint32_t per_second, burst;
};
struct bpf_shield_rules {
	const struct bpf_shield_listener *listeners;
	const struct bpf_shield_peer *peers;
	const struct bpf_shield_range *ranges;
	uint32_t listener_count, peer_count, range_count;
	struct bpf_shield_rate rates[SHIELD_RATES];
	uint64_t key; /* drawn at random, and secret */
};
/* Puts these rules in the place of what was before; what both have is never without. Two listeners of one place are as strict as the
 * milder. Returns 0; or -E2BIG, -EINVAL, nothing then being changed; -ENOMEM or another error of the kernel, then in part. */
int bpf_shield_rules_set(const struct bpf_shield *shield, const struct bpf_shield_rules *rules);

/* ---- Blocks ---- */

#define BPF_SHIELD_FOR_GOOD UINT64_MAX
struct bpf_shield_block {
	struct address address; /* port 0, what is behind the prefix 0 */
	uint8_t bits;
	uint64_t until_us;      /* monotonic */
	uint64_t hits, last_us; /* packets dropped, and when the last; last_us 0: none yet */
};
/* Adds a block, or changes how long it holds; its counters go on. Peers pass all the same. Returns 0; -ENOSPC; -EINVAL. */
int bpf_shield_block(const struct bpf_shield *shield, const struct address *address, uint8_t bits, uint64_t until_us);
int bpf_shield_unblock(const struct bpf_shield *shield, const struct address *address, uint8_t bits); /* or -ENOENT */
int bpf_shield_block_get(const struct bpf_shield *shield, const struct address *address, uint8_t bits,
			 struct bpf_shield_block *out); /* or -ENOENT */
/* All of them, a part with each call: `cursor` is zeros at first. *count is what `out` has room for, and what was written. Returns 1 when there is
 * more, 0 at the end (the cursor is at the beginning again), or a negative error. What changes meanwhile may be missing or come twice. */
#define BPF_SHIELD_READ_MAXIMUM 256
struct bpf_shield_cursor {
	struct shield_key key;
	bool is_inside;
};
int bpf_shield_blocks_read(const struct bpf_shield *shield, struct bpf_shield_cursor *cursor,
			   struct bpf_shield_block *out, uint32_t *count);
/* Takes out those that `keep` says no to; `keep` may be NULL: all. Returns 0 or a negative error. */
int bpf_shield_blocks_filter(const struct bpf_shield *shield,
			     bool (*keep)(void *context, const struct address *address, uint8_t bits), void *context);

/* ---- Proven sources ---- */

/* An address and port, or (port 0) an address, that has a bucket of its own until then. Of a full set, those that were not heard
 * of the longest go. Returns 0 or a negative error. */
int bpf_shield_prove(const struct bpf_shield *shield, const struct address *source, uint64_t until_us);
int bpf_shield_disprove(const struct bpf_shield *shield, const struct address *source); /* or -ENOENT */

/* Packets dropped since the program was loaded, by reason. */
const char *bpf_shield_reason_name(enum shield_reason reason);
int bpf_shield_counters(const struct bpf_shield *shield, uint64_t out[SHIELD_REASON_COUNT]);

#endif
