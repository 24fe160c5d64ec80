/* SPDX-License-Identifier: Apache-2.0
 * The shield carries verdicts into the kernel: a table of blocked prefixes, each with an end, a reason and who wanted it, and a back end
 * that drops their packets (THREATS F1, F3, F5). Nothing is decided here, but that nobody of the never-block list is ever blocked.
 *
 * Memory is taken at creation and never grows: SHIELD_ENTRY_BYTES for each block. A full table lets the verdict that ends first go for one that
 * lasts longer, and refuses else; who was blocked by hand stays. What changes is told to the back end by shield_flush, many in one go. One
 * thread. Times are of the monotonic clock. */
#ifndef RINGWALL_SHIELD_SHIELD_H
#define RINGWALL_SHIELD_SHIELD_H

#include "base/address.h"
#include "base/clock.h"
#include "bpf/shield.h"

#define SHIELD_REASON_BYTES 96
#define SHIELD_FOR_GOOD BPF_SHIELD_FOR_GOOD
#define SHIELD_MAXIMUM (1u << 20)
#define SHIELD_ENTRY_BYTES 192 /* about */

enum shield_origin { SHIELD_BY_VERDICT, SHIELD_BY_HAND, SHIELD_ORIGIN_COUNT };
const char *shield_origin_name(enum shield_origin origin);

struct shield_prefix {
	struct address address; /* port 0; what is behind the prefix is cut off */
	uint8_t bits;           /* 0 to 32, or to 128 */
};

struct shield_entry {
	struct shield_prefix prefix;
	uint8_t origin;              /* enum shield_origin */
	uint64_t since_us, until_us; /* until_us SHIELD_FOR_GOOD: until it is taken back */
	uint64_t hits,
		last_us; /* packets dropped, as far as harvested, and when that was last seen to rise; 0: never */
	char reason[SHIELD_REASON_BYTES];
};

/* ---- Back ends ---- */

struct shield_change {
	struct shield_prefix prefix;
	uint64_t until_us; /* 0: taken out */
};
/* What a back end is asked; each returns 0 or a negative error. All but `apply` may be NULL. */
struct shield_backend {
	const char *name; /* "xdp", "nftables", "none" */
	void *context;
	/* In order; each change is tried. The first error is returned. */
	int (*apply)(void *context, const struct shield_change *changes, uint32_t count, uint64_t now_us);
	/* What is let in beside blocks. */
	int (*rules)(void *context, const struct bpf_shield_rules *rules);
	/* Tells what was dropped of whom since he was blocked; 1 when there is more to tell, next time. */
	int (*harvest)(void *context, void (*found)(void *context, const struct shield_prefix *prefix, uint64_t hits),
		       void *found_context);
	/* Takes out whom `keep` says no to: of a process that died. */
	int (*tidy)(void *context, bool (*keep)(void *context, const struct address *address, uint8_t bits),
		    void *keep_context);
	void (*close)(void *context, bool remove); /* remove: nobody is blocked any more */
};

/* The maps of the XDP program, which stay the caller's and must outlive it. Returns 0 or -ENOMEM. */
int shield_backend_xdp(const struct bpf_shield *maps, struct shield_backend *out);

/* nftables, by its JSON command: a table `inet ringwall` of our own, which is made anew. It looks at packets before the kernel's own
 * connection tracking. `run` gives the command its input; answers go to `output`, NULL: they are not wanted. Returns 0; or -ENOMEM, or what
 * `run` returned. */
struct shield_nft {
	int (*run)(void *context, struct span input, struct buffer *output);
	void *context;
};
int shield_backend_nft(const struct shield_nft *nft, struct shield_backend *out);

/* Runs `nft -j -f -`, found by PATH or in /usr/sbin: for `run` above. Waits for its end, 10 s at most. Returns 0; -ENOENT (it is not installed),
 * -EPERM (no privilege, or the kernel has no nftables), -EIO (it did not take the input), -ETIMEDOUT. The context is not used. */
int shield_nft_command(void *context, struct span input, struct buffer *output);

/* Nobody: only the gate refuses. */
void shield_backend_none(struct shield_backend *out);

/* The best that is to be had: XDP, unless `xdp_reason` says that it is not on all interfaces (`maps` are none or NULL: on no one); then nftables;
 * then none. `reason` says why it is not XDP. Returns 0 or -ENOMEM. */
int shield_backend_choose(const struct bpf_shield *maps, const char *xdp_reason, const struct shield_nft *nft,
			  struct shield_backend *out, char *reason, size_t reason_capacity);

/* ---- The table ---- */

struct shield;

struct shield_options {
	uint32_t maximum; /* blocks, 1 to SHIELD_MAXIMUM */
	struct random_source random;
	/* A block whose source still sends: so many packets more than at the last harvest. May be NULL; may not call anything here. */
	void (*hit)(void *context, const struct shield_entry *entry, uint64_t packets);
	void *context;
};

/* Takes over the back end. NULL when memory is short (the back end is closed). */
struct shield *shield_new(const struct shield_options *options, const struct shield_backend *backend);
/* `remove`: nobody is blocked any more, at the gateway's end. Else blocks stay in the kernel, each until its own end. NULL is allowed. */
void shield_free(struct shield *shield, bool remove);

/* Nobody of these is blocked: also those who are go free, and a later block that has an address in common with them is refused. The list is copied.
 * Returns 0; -E2BIG, -EINVAL, -ENOMEM: the one before is in force. */
#define SHIELD_NEVER_MAXIMUM 1024
int shield_never_set(struct shield *shield, const struct shield_prefix *list, uint32_t count, uint64_t now_us);

/* Blocks a prefix, or changes the block that it has: by hand anything, a verdict only makes a verdict's longer. `reason` is cut to
 * SHIELD_REASON_BYTES. Returns 0; -EALREADY (it is blocked as long already); -EINVAL (no prefix, or all addresses; or it has ended); -EPERM (never-block list);
 * -ENOSPC (full). `why`, if not NULL, is set to a text that says it, for the log and who asked. */
int shield_add(struct shield *shield, const struct shield_prefix *prefix, enum shield_origin origin, uint64_t until_us,
	       struct span reason, uint64_t now_us, const char **why);

/* Returns 0; or -ENOENT. */
int shield_remove(struct shield *shield, const struct shield_prefix *prefix, uint64_t now_us);

/* Takes out what has ended. Returns how many. */
uint32_t shield_expire(struct shield *shield, uint64_t now_us);

/* Tells the back end what has changed: to be called when a turn of the loop ends. Returns 0 or the back end's first error: what it did not
 * take is told again with the next flush, SHIELD_ATTEMPTS times in all. */
#define SHIELD_ATTEMPTS 3
int shield_flush(struct shield *shield, uint64_t now_us);

/* Takes out of the back end whom a process that died had blocked and we do not: after a load and a flush. Returns 0 or its error. */
int shield_tidy(struct shield *shield);

/* What is let in beside blocks; see bpf/shield.h. -ENOTSUP: the back end has no such rules. */
int shield_rules_set(struct shield *shield, const struct bpf_shield_rules *rules);

/* Asks who still sends. Returns 1 when there is more to be asked at once, 0, or a negative error. */
int shield_harvest(struct shield *shield, uint64_t now_us);

/* ---- Questions ---- */

/* The block of just that prefix; NULL: there is none. Valid until the next call that changes something. */
const struct shield_entry *shield_find(const struct shield *shield, const struct shield_prefix *prefix);
/* The narrowest block in force that has the address; NULL: there is none. */
const struct shield_entry *shield_match(const struct shield *shield, const struct address *address, uint64_t now_us);
/* All, in no order, until `visit` returns false. */
void shield_each(const struct shield *shield, bool (*visit)(void *context, const struct shield_entry *entry),
		 void *context);

struct shield_statistics {
	uint32_t blocks, maximum;
	uint64_t added, expired, removed, refused_never, refused_full, pushed_out,
		failures; /* failures: of the back end */
	uint64_t hits;
};
void shield_statistics_get(const struct shield *shield, struct shield_statistics *out);
const char *shield_backend_name(const struct shield *shield);

/* ---- Across a restart: bytes with a checksum, times by the time of day ---- */

size_t shield_dump_bytes(const struct shield *shield); /* enough for shield_dump */
ptrdiff_t shield_dump(const struct shield *shield, uint64_t now_us, int64_t wall_s, void *out, size_t capacity);
/* Adds what has not ended yet, with the time that is left; the never-block list holds. Returns 0; -EBADMSG (damaged), -EPROTO (not of this form):
 * nothing has changed then; or -ENOSPC (not all fitted). */
int shield_restore(struct shield *shield, uint64_t now_us, int64_t wall_s, struct span bytes);

/* The same by a file in `directory` (a descriptor, or AT_FDCWD): written beside and renamed, so that one who is killed at any moment leaves the old
 * or the new. Both block as a disk does. Returns 0 or a negative error; loading one that is not there is 0. */
#define SHIELD_FILE "shield.blocks"
int shield_save(const struct shield *shield, int directory, uint64_t now_us, int64_t wall_s);
int shield_load(struct shield *shield, int directory, uint64_t now_us, int64_t wall_s);

#endif
