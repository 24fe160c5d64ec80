/* SPDX-License-Identifier: Apache-2.0
 * Detection: evidence in, verdicts out. A pure function of evidence, time and policy: no clock, no chance but a key, no input or output, so
 * that what was recorded can be tried again with another policy (THREATS S1 to S4, S7, S10, S17, F3 to F5).
 *
 * Each finding counts for whom it is about and, if its source is proven, for everything wider: the connection or address and port, then
 * the address, then the prefix. Of these the narrowest that has had enough gets the verdict, and while it holds, what comes from there
 * counts for nothing wider. The wider, the more it takes: an address twice as much as an address and port, an IPv6 /64 three times, an
 * IPv4 /24 sixteen times, each prefix from four addresses at least.
 *
 * Who has registered or called well is known: four times as much is needed against a place of his. An address where somebody is known is
 * refused at most, never blocked, and he is spared; its prefix gets no verdict at all. A wrong password of a known account from its own
 * place counts for nothing wider, and what was typed wrong is forgiven when the right one follows. An account is locked for strangers
 * alone. What is unproven counts for all that is unproven together and for nobody else.
 *
 * Memory is taken at creation and never grows: DETECT_SUBJECT_BYTES for each subject remembered and DETECT_VERDICT_BYTES for each verdict.
 * In full sets whoever would be forgotten first makes room. One thread; nothing here blocks or allocates but detect_new. A finding costs
 * some hundred nanoseconds. */
#ifndef RINGWALL_DETECT_DETECT_H
#define RINGWALL_DETECT_DETECT_H

#include "base/clock.h"
#include "base/evidence.h"
#include "base/protection.h"

#define DETECT_SUBJECT_BYTES 160
#define DETECT_VERDICT_BYTES 72

/* Who or what: a value, compared bytewise. */
struct detect_subject {
	uint8_t kind;           /* enum evidence_subject */
	uint8_t bits;           /* of the address that count: 32, 128, 24 or 64; 0: none does */
	struct address address; /* port 0 unless it counts */
	uint16_t reserved;      /* 0 */
	uint64_t number;        /* hash of the account or address-of-record, number of the connection or call; else 0 */
};
/* Of a source; and of an account, address-of-record, connection or call, at an address where the kind has one. The port, and what is
 * behind the prefix, are cut off as the kind needs it. */
struct detect_subject detect_subject(enum evidence_subject kind, const struct address *address, uint64_t number);
bool detect_subject_equal(const struct detect_subject *a, const struct detect_subject *b);
/* "192.0.2.1:5060", "2001:db8::/64", "account 00c0ffee… at 192.0.2.1". Returns out. */
#define DETECT_SUBJECT_TEXT_BYTES 128
const char *detect_subject_text(const struct detect_subject *subject, char out[DETECT_SUBJECT_TEXT_BYTES]);

struct detect_verdict {
	struct detect_subject subject;
	enum protection_action action;
	enum protection_control control;
	enum evidence_kind kind; /* of the last finding before it */
	uint32_t sum, threshold; /* weight, or how many, that was reached, and that was needed */
	uint32_t level;          /* how often before, not long ago: each time it holds longer */
	uint64_t since_us, until_us;
	bool dry_run; /* said only, by the owner's choice */
	bool spares; /* who is known there is not to be touched, as detect_find says; where nobody can be known yet, as of a connection
			 * that is being accepted, it paces and does no more */
	bool known;     /* somebody known is concerned: it holds for the second time's length at most */
	bool never;     /* of the never-block list, and so said only */
	bool prolonged; /* a verdict that was told before lasts longer now */
};

/* What is told. Neither may call anything that changes `detect`. */
enum detect_end { DETECT_EXPIRED, DETECT_FORGOTTEN, DETECT_REPLACED };
struct detect_user {
	void *context;
	void (*verdict)(void *context, const struct detect_verdict *verdict);
	void (*ended)(void *context, const struct detect_verdict *verdict, enum detect_end why); /* may be NULL */
};

struct detect;

/* `key` is secret and must be the same after a restart, or what was dumped is refused. The policy is copied; its `subjects` and `verdicts`
 * are rounded up to a power of two, 64 at least. NULL when memory is short or the policy is out of range. */
struct detect *detect_new(const struct protection *policy, const uint8_t key[HASH_KEY_BYTES],
			  const struct detect_user *user);
void detect_free(struct detect *detect); /* NULL is allowed */

/* Another policy from now on; the sizes stay. What holds goes on. Returns 0 or -EINVAL (nothing has changed). */
int detect_policy_set(struct detect *detect, const struct protection *policy);

/* A finding. Time that runs backwards stands still instead. What is not valid, or about nobody, is left out. */
void detect_put(struct detect *detect, const struct evidence *evidence);

/* To be called once a second or so: tells which verdicts have ended. Those that hold are right without it. */
void detect_tick(struct detect *detect, uint64_t now_us);

/* ---- Questions; they change nothing ---- */

/* A request or connection that is to be let in or not. */
struct detect_question {
	struct address source;
	uint64_t connection, account, target; /* as in struct evidence */
	bool proven;
};
/* The hardest verdict in force (no dry run, no mere report) that touches it: false when there is none. Emergency calls are the
 * caller's to let through (THREATS A4). */
bool detect_find(const struct detect *detect, const struct detect_question *question, uint64_t now_us,
		 struct detect_verdict *out);

/* Whether somebody has registered or called well lately from that place: with this account if it is not 0, else with any. */
bool detect_is_known(const struct detect *detect, const struct address *source, uint64_t account, uint64_t now_us);

/* Why: what is remembered of a subject, the heaviest first. Returns how many were written. */
#define DETECT_REASONS_MAXIMUM 6
struct detect_reason {
	enum evidence_kind kind;
	uint32_t weight;  /* what is left of it, in 1/256 */
	uint64_t last_us; /* when the last finding came, to a tenth of a second */
};
struct detect_account {
	struct detect_reason reasons[DETECT_REASONS_MAXIMUM];
	uint32_t reason_count;
	uint32_t distinct; /* names tried from there; sources that failed at the account; addresses in the prefix */
	bool known;        /* somebody registered or called well */
};
bool detect_why(const struct detect *detect, const struct detect_subject *subject, uint64_t now_us,
		struct detect_account *out);

/* The verdict on a subject that holds now, dry runs and reports too. */
bool detect_verdict_of(const struct detect *detect, const struct detect_subject *subject, uint64_t now_us,
		       struct detect_verdict *out);

/* All that hold, in no order. */
void detect_each(const struct detect *detect, uint64_t now_us,
		 void (*visit)(void *context, const struct detect_verdict *verdict), void *context);

struct detect_statistics {
	uint64_t findings, unproven, good, verdicts;
	uint64_t subjects_pushed_out, verdicts_pushed_out; /* of full sets */
	uint32_t subjects, verdicts_in_force;
};
void detect_statistics_get(const struct detect *detect, uint64_t now_us, struct detect_statistics *out);

/* ---- By hand, and across a restart ---- */

/* Takes the verdict back and forgets what is remembered of the subject. False: there was neither. */
bool detect_forget(struct detect *detect, const struct detect_subject *subject, uint64_t now_us);

/* All that is remembered, as bytes that say how old it is by the time of day `wall_s`; with a keyed checksum. detect_dump_bytes are
 * enough. Returns how many were written, or -ENOSPC. */
size_t detect_dump_bytes(const struct detect *detect);
ptrdiff_t detect_dump(const struct detect *detect, uint64_t now_us, int64_t wall_s, void *out, size_t capacity);

/* Adds what was dumped to what is there; kinds and controls that are not known any more are left out. Nothing is told: detect_each says
 * what holds. Returns 0; or -EBADMSG (damaged, or of another key), -EPROTO (not of this form): nothing has changed then. */
int detect_restore(struct detect *detect, uint64_t now_us, int64_t wall_s, struct span bytes);

/* ---- Evidence on record: a ring in a file, of a size that never grows, to be replayed against another policy ---- */

/* What becomes of addresses. Names are hashes already; where we were reached (`local`) is never kept. */
enum detect_record_addresses {
	DETECT_RECORD_PLAIN,
	DETECT_RECORD_PREFIXES, /* others in their place, by a key; who shared a prefix still does, as far (Xu and others, 2002) */
	DETECT_RECORD_HASHED, /* others, by a key; who shared a prefix no longer does */
};
struct detect_record_options {
	uint32_t capacity; /* findings that the file holds; the newest stay. DETECT_RECORD_BYTES each */
	enum detect_record_addresses addresses;
	uint8_t key[HASH_KEY_BYTES]; /* of the addresses; never in the file */
	struct random_source random;
	uint64_t now_us, wall_us; /* one moment, monotonic and of the day: findings are kept by the day's time */
};
#define DETECT_RECORD_BYTES 88
#define DETECT_RECORD_CAPACITY_MAXIMUM (1u << 26)

/* Goes on behind what the file holds, if it is a record of that capacity and kind and of this version; else it begins anew. The
 * descriptor must be readable and writable, and stays the caller's. Returns 0; or -EINVAL (capacity), -ENOMEM, or the error of the
 * file. One thread. */
struct detect_record;
int detect_record_open(int descriptor, const struct detect_record_options *options, struct detect_record **record);

/* Keeps it in memory; every 64 are written together. Blocks as a file does. */
void detect_record_put(struct detect_record *record, const struct evidence *evidence);

/* Writes what waits. Returns 0, or the first error since the last time: what could not be written is lost. */
int detect_record_flush(struct detect_record *record);
void detect_record_close(struct detect_record *record); /* flushes; NULL is allowed */

struct detect_record_summary {
	uint64_t findings, damaged; /* damaged: left out, as are those that were overwritten while it was read */
	uint64_t first_us, last_us; /* time of day */
	enum detect_record_addresses addresses;
};
/* Reads from the oldest to the newest; `visit` returns false to stop. Times are of the day, and never run backwards. Kinds that are not
 * known any more are left out. Returns 0; -EPROTO (no record), -ENOMEM, or the error of the file. */
int detect_record_read(int descriptor, bool (*visit)(void *context, const struct evidence *evidence), void *context,
		       struct detect_record_summary *summary);

#endif
