/* SPDX-License-Identifier: Apache-2.0
 * What is done about evidence: one table of controls, and the owner's choices for each. The configuration fills it, `detect` goes by it. */
#ifndef RINGWALL_BASE_PROTECTION_H
#define RINGWALL_BASE_PROTECTION_H

#include "base/address.h"

/* From the mildest to the hardest; what is harder stands in for what is milder. */
enum protection_action {
	ACTION_OFF,    /* not even looked at */
	ACTION_REPORT, /* said, and nothing else */
	ACTION_SLOW,   /* paced; a little always passes */
	ACTION_REFUSE, /* new requests and connections are answered no, what is established stays */
	ACTION_CUT,    /* the connection or call is ended */
	ACTION_LOCK,   /* the account cannot be used but from where it was used well before */
	ACTION_BLOCK,  /* packets are dropped before anybody looks at them */
	ACTION_COUNT,
};
const char *protection_action_name(enum protection_action action);

/* X(enum, name, threshold, half-life in s (0: each kind of evidence has its own), verdict, what the threshold counts, help). The verdict is
 * the hardest that may follow: what the subject does not allow becomes what it does (an account at a host is refused, not blocked). */
#define PROTECTION_CONTROLS(X) \
	X(SCAN, "scan", 100, 0, block, "weight", \
	  "Scanners: users and numbers tried that are not there, requests after which nothing comes, marks of known " \
	  "tools.") \
	X(GUESS, "guess", 100, 0, block, "weight", \
	  "Passwords that are guessed from one source; a wrong one weighs 10.") \
	X(GUESS_DISTRIBUTED, "guess_distributed", 12, 21600, lock, "sources", \
	  "One account's password that is guessed from many sources.") \
	X(HARVEST, "harvest", 15, 3600, block, "names", \
	  "One source that asks for many users, numbers or devices that are not there or not its own.") \
	X(MALFORMED, "malformed", 100, 0, block, "weight", "Messages and frames that break the rules.") \
	X(FLOOD, "flood", 100, 0, block, "weight", \
	  "A source that sends more than it may, or requests that go in circles.") \
	X(HANDSHAKE, "handshake", 1000, 0, refuse, "weight", \
	  "Connections beyond what a source may have, that stay silent or slow, or whose handshake fails.") \
	X(MEDIA, "media", 500, 0, report, "weight", \
	  "Media in a call that is not what was agreed. It is dropped anyway; `cut` ends the call.") \
	X(FORGED, "forged", 100, 0, block, "weight", \
	  "Requests within calls that are not the sender's, and challenges from outside.") \
	X(HIJACK, "hijack", 50, 0, report, "weight", "Accounts whose devices change suddenly, or that are too many.") \
	X(CALLEE, "callee", 100, 0, slow, "weight", "Floods of calls at one user.") \
	X(UNPROVEN, "unproven", 1000, 0, slow, "weight", \
	  "What comes from addresses that may be forged, all of it together: nobody is blocked for it.")

enum protection_control {
#define X(id, name, threshold, half_life, verdict, unit, help) CONTROL_##id,
	PROTECTION_CONTROLS(X)
#undef X
		CONTROL_COUNT,
};
const char *protection_control_name(enum protection_control control);

struct protection_prefix {
	struct address address; /* port 0, bits behind the prefix 0 */
	uint8_t bits;
};
/* "192.0.2.0/24", "2001:db8::/32", or an address alone. Returns 0; or -EINVAL, also for bits behind the prefix. */
int protection_prefix_parse(struct span text, struct protection_prefix *out);
/* Whether the two have an address in common. */
bool protection_prefixes_meet(const struct protection_prefix *a, const struct protection_prefix *b);

#define PROTECTION_NEVER_MAXIMUM 128
struct protection {
	bool dry_run; /* nothing is done, all is said */
	struct protection_choice {
		uint32_t threshold;   /* of weight, or of how many; at least 1 */
		uint32_t half_life_s; /* 0: that of each kind */
		enum protection_action verdict;
		bool dry_run;
	} controls[CONTROL_COUNT];
	struct {
		uint32_t first_s, factor,
			maximum_s; /* a verdict lasts first, then factor times as long with each time, to the maximum */
	} expiry;
	struct protection_prefix never[PROTECTION_NEVER_MAXIMUM]; /* nobody of these is refused, blocked or slowed */
	uint32_t never_count;
	uint32_t subjects, verdicts; /* how many are remembered at a time; taken at start */
};

/* The table's own choices: what is used where nothing is written. */
void protection_default(struct protection *out);

#endif
