/* SPDX-License-Identifier: Apache-2.0
 * Private to detect: one finding, and whom it counts for, from the narrowest on. */
#ifndef RINGWALL_DETECT_LADDER_H
#define RINGWALL_DETECT_LADDER_H

#include "detect/private.h"

#define RUNGS 5

struct rung {
	struct detect_subject subject;
	uint64_t hash;
	struct entry *entry; /* NULL: nothing is remembered yet */
	bool known;
};

struct finding {
	const struct evidence *evidence;
	const struct kind_role *role;
	uint32_t weight; /* in 1/256 */
	uint32_t now_ds;
	struct rung rungs[RUNGS];
	int count;
};

static inline bool is_guess(const struct kind_role *role)
{
	return role->control == CONTROL_GUESS;
}

/* ---- Whom (ladder.c) ---- */

/* Adds a subject; after all were added rungs_find looks for what is remembered of them. */
void rung_add(struct detect *detect, struct finding *finding, struct detect_subject subject);
void rungs_find(struct detect *detect, struct finding *finding);
/* What is remembered, begun when there is nothing. */
struct entry *rung_entry(struct detect *detect, struct rung *rung, uint32_t now_ds);

/* All subjects of the finding, found. */
void ladder_make(struct detect *detect, struct finding *finding);
/* Cuts off what it does not count for. False: a verdict has stopped it already, and it counts no further. */
bool ladder_cut(struct detect *detect, struct finding *finding);
/* Counts it. */
void ladder_add(struct detect *detect, struct finding *finding);

/* ---- Enough? (judge.c) ---- */

/* Raises a verdict on the narrowest that has had enough. */
void ladder_judge(struct detect *detect, const struct finding *finding);
/* On all unproven together, the only rung. */
void unproven_judge(struct detect *detect, const struct finding *finding);
/* On the account that many hosts guess at; counts this one first. */
void account_judge(struct detect *detect, const struct finding *finding);

/* Whether that address is of the never-block list, or the subject has one of it. */
bool is_never(const struct detect *detect, const struct address *address, uint8_t bits);

#endif
