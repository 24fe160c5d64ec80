/* SPDX-License-Identifier: Apache-2.0
 * Private to detect: what is remembered, and in what. */
#ifndef RINGWALL_DETECT_PRIVATE_H
#define RINGWALL_DETECT_PRIVATE_H

#include "detect/detect.h"

/* ---- Time in tenths of a second, weights in 1/256 ---- */

#define DS_PER_S 10u
#define US_PER_DS 100000u
#define WEIGHT_ONE 256u

static inline uint32_t ds_from_us(uint64_t us)
{
	return us / US_PER_DS < UINT32_MAX ? (uint32_t)(us / US_PER_DS) : UINT32_MAX;
}
static inline uint32_t saturated(uint64_t value)
{
	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* What is left of `weight` from *at_ds until now. *at_ds is moved on by what was taken into account, in steps of 1/32 of the half-life,
 * so that many short waits are one long one. */
uint32_t decay(uint32_t weight, uint32_t *at_ds, uint32_t half_life_ds, uint32_t now_ds);

/* How long a weight takes to fade to nothing. */
uint32_t decay_fades_ds(uint32_t weight, uint32_t half_life_ds);

/* ---- How many different ones: linear counting in 128 bits (Whang and others, 1990), of this window and the one before ---- */

struct sketch {
	uint64_t now[2], before[2];
};
void sketch_turn(struct sketch *sketch, uint32_t *turned_ds, uint32_t window_ds, uint32_t now_ds);
void sketch_add(struct sketch *sketch, uint64_t hash);
uint32_t sketch_estimate(const struct sketch *sketch); /* at most SKETCH_MAXIMUM */
#define SKETCH_MAXIMUM 695u

/* ---- Tables of fixed size: sets of eight ---- */

#define SET_WAYS 8u

/* What every slot begins with. */
struct slot {
	struct detect_subject subject;
};

/* Of one set, in one line of the cache. */
struct set_head {
	uint32_t tags[SET_WAYS];    /* 0: free */
	uint32_t keep_ds[SET_WAYS]; /* forgotten first: whose is the lowest */
};

struct sets {
	struct set_head *heads;
	char *slots;
	size_t slot_bytes;
	uint32_t mask; /* their number of sets less one */
};

/* For `count` slots, rounded up. Returns 0 or -ENOMEM. */
int sets_init(struct sets *sets, uint32_t count, size_t slot_bytes);
void sets_clear(struct sets *sets);
uint32_t sets_count(const struct sets *sets); /* slots */
void *sets_find(const struct sets *sets, uint64_t hash, const struct detect_subject *subject);
/* Until when the slot is remembered, if its set does not overflow. */
void sets_keep(struct sets *sets, const void *slot, uint32_t keep_ds);
uint32_t sets_kept(const struct sets *sets, const void *slot);
/* One that is not there yet; zeros but for its subject. *pushed_out: a slot that was not to be forgotten yet had to go. */
void *sets_place(struct sets *sets, uint64_t hash, const struct detect_subject *subject, uint32_t now_ds,
		 bool *pushed_out);
/* Asks memory for what sets_find will look at. */
void sets_expect(const struct sets *sets, uint64_t hash);
void sets_remove(struct sets *sets, const void *slot);
/* The slot of that index, or NULL when it is free. */
void *sets_at(const struct sets *sets, uint32_t index);

/* ---- What is remembered of a subject ---- */

struct entry {
	struct slot slot;
	uint32_t turned_ds; /* of the sketch */
	struct sketch sketch;
	uint32_t weights[DETECT_REASONS_MAXIMUM], at_ds[DETECT_REASONS_MAXIMUM]; /* what decayed until when */
	uint32_t last_ds[DETECT_REASONS_MAXIMUM];                                /* the last finding */
	uint8_t kinds[DETECT_REASONS_MAXIMUM];                                   /* where the weight is not 0 */
};

struct ban {
	struct slot slot;
	uint8_t control, action, kind, flags; /* BAN_… */
	uint32_t sum, threshold, level;
	uint64_t since_us, until_us;
};
#define BAN_LEVEL_MAXIMUM 64u
#define BAN_DRY_RUN 1u
#define BAN_SPARES 2u
#define BAN_NEVER 4u
#define BAN_TOLD_END 8u
#define BAN_KNOWN 16u
#define BAN_FLAGS 31u

/* ---- What a kind of evidence does ---- */

struct kind_role {
	uint8_t control; /* CONTROL_COUNT: none */
	bool names;      /* it tells whom the sender asks for */
	bool good;
};
const struct kind_role *kind_role(enum evidence_kind kind);

/* A policy in range? */
bool policy_is_valid(const struct protection *policy);

struct detect {
	struct protection policy;
	struct detect_user user;
	uint8_t key[HASH_KEY_BYTES];
	struct sets entries, bans;
	uint64_t now_us, next_end_us; /* no verdict ends before */
	struct detect_statistics counts;
	uint32_t half_life_ds[EVIDENCE_KIND_COUNT];
};

static inline uint64_t subject_hash(const struct detect *detect, const struct detect_subject *subject)
{
	return hash_bytes(detect->key, subject, sizeof(*subject));
}
static inline uint8_t address_bits(const struct address *address)
{
	return address->family == ADDRESS_IPV4 ? 32 : address->family == ADDRESS_IPV6 ? 128 : 0;
}
bool subject_is_valid(const struct detect_subject *subject);

/* Weight of a kind at a subject; the memory of it is prolonged. At most `maximum` is held. */
void entry_add(struct detect *detect, struct entry *entry, enum evidence_kind kind, uint32_t weight, uint32_t maximum,
	       uint32_t now_ds);
/* What is left of all kinds of a control, or of the good ones. */
uint32_t entry_sum(const struct detect *detect, const struct entry *entry, enum protection_control control,
		   uint32_t now_ds);
bool entry_is_known(const struct detect *detect, const struct entry *entry, uint32_t now_ds); /* NULL: no */
void entry_unknow(struct entry *entry);
/* Takes off the weight of a kind; returns what was taken, at most `weight`. */
uint32_t entry_take(const struct detect *detect, struct entry *entry, enum evidence_kind kind, uint32_t weight,
		    uint32_t now_ds);
uint32_t sketch_window_ds(const struct detect *detect, enum evidence_subject kind);
/* Counts one more different `hash`. */
void entry_count(struct detect *detect, struct entry *entry, uint64_t hash, uint32_t now_ds);
uint32_t entry_distinct(const struct detect *detect, const struct entry *entry, uint32_t now_ds);

struct entry *entry_find(const struct detect *detect, const struct detect_subject *subject);

/* Where a request or finding comes from: the connection, or the address and port. */
struct detect_subject place_of(const struct address *source, uint64_t connection);

/* ---- Verdicts ---- */

struct ban *ban_find(const struct detect *detect, const struct detect_subject *subject, uint64_t hash);
static inline bool ban_holds(const struct ban *ban, uint64_t now_us)
{
	return ban && now_us < ban->until_us;
}
/* Raises one, told to the user; false when one at least as hard holds already. Of `verdict` all is set but level, since and until. */
bool ban_raise(struct detect *detect, struct detect_verdict *verdict, uint64_t hash);
/* The kernel says that a blocked source goes on. */
void ban_prolong(struct detect *detect, const struct detect_subject *subject);
void ban_to_verdict(const struct ban *ban, struct detect_verdict *out);
void ban_end(struct detect *detect, struct ban *ban, enum detect_end why);
/* How long an ended verdict is remembered, so that the next one lasts longer. */
uint64_t ban_memory_us(const struct detect *detect);

#endif
