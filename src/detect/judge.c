/* SPDX-License-Identifier: Apache-2.0
 * Who has had enough, and what may be done to him. */
#include "detect/ladder.h"

#include <string.h>

#define ADDRESS_FACTOR 2u
#define PREFIX_FACTOR_IPV4 16u
#define PREFIX_FACTOR_IPV6 3u
#define PREFIX_ADDRESSES 4u
#define KNOWN_FACTOR 4u

static uint32_t factor_of(const struct rung *rung, bool is_first)
{
	uint32_t factor = 1;

	if (rung->subject.kind == SUBJECT_PREFIX)
		factor = rung->subject.address.family == ADDRESS_IPV4 ? PREFIX_FACTOR_IPV4 : PREFIX_FACTOR_IPV6;
	else if (rung->subject.kind == SUBJECT_ADDRESS && !is_first)
		factor = ADDRESS_FACTOR;
	return rung->known ? factor * KNOWN_FACTOR : factor;
}

bool is_never(const struct detect *detect, const struct address *address, uint8_t bits)
{
	struct protection_prefix own = {*address, bits};

	own.address.port = 0;
	for (uint32_t i = 0; bits && i < detect->policy.never_count; i++)
		if (protection_prefixes_meet(&detect->policy.never[i], &own))
			return true;
	return false;
}

/* The subject, or whoever had the last word about a call, an account or a callee. */
static bool finding_is_never(const struct detect *detect, const struct finding *finding,
			     const struct detect_subject *subject)
{
	const struct address *source = &finding->evidence->source;

	return is_never(detect, &subject->address, subject->bits) || is_never(detect, source, address_bits(source));
}

/* The hardest that can be done to whom. */
static const enum protection_action hardest[SUBJECT_COUNT] = {
	[SUBJECT_UNPROVEN] = ACTION_SLOW,
	[SUBJECT_ACCOUNT_AT] = ACTION_REFUSE,
	[SUBJECT_CALL] = ACTION_CUT,
	[SUBJECT_CONNECTION] = ACTION_CUT,
	[SUBJECT_TRANSPORT_ADDRESS] = ACTION_BLOCK,
	[SUBJECT_ADDRESS] = ACTION_BLOCK,
	[SUBJECT_PREFIX] = ACTION_BLOCK,
	[SUBJECT_ACCOUNT] = ACTION_LOCK,
	[SUBJECT_ADDRESS_OF_RECORD] = ACTION_SLOW,
};

static bool verdict_raise(struct detect *detect, const struct finding *finding, const struct rung *rung,
			  enum protection_control control, uint32_t sum, uint32_t threshold)
{
	const struct protection_choice *choice = &detect->policy.controls[control];
	enum protection_action most = hardest[rung->subject.kind];
	struct detect_verdict verdict;
	bool is_raised;

	memset(&verdict, 0, sizeof(verdict));
	if (rung->subject.kind == SUBJECT_ADDRESS && rung->known && most > ACTION_REFUSE) {
		most = ACTION_REFUSE;
		verdict.spares = true;
	}
	verdict.subject = rung->subject;
	verdict.known =
		rung->known && (rung->subject.kind == SUBJECT_ACCOUNT_AT || rung->subject.kind == SUBJECT_ADDRESS);
	verdict.control = control;
	verdict.kind = finding->evidence->kind;
	verdict.sum = sum;
	verdict.threshold = threshold;
	verdict.action = choice->verdict < most ? choice->verdict : most;
	verdict.dry_run = choice->dry_run || detect->policy.dry_run;
	verdict.never = verdict.action > ACTION_REPORT && finding_is_never(detect, finding, &rung->subject);
	verdict.spares |= rung->subject.kind == SUBJECT_ACCOUNT || verdict.action == ACTION_SLOW;
	is_raised = ban_raise(detect, &verdict, rung->hash);
	if (is_raised && verdict.action >= ACTION_CUT && !verdict.dry_run && !verdict.never && rung->entry)
		entry_unknow(rung->entry);
	return is_raised;
}

static bool judge_weight(struct detect *detect, const struct finding *finding, const struct rung *rung, uint32_t factor)
{
	enum protection_control control = (enum protection_control)finding->role->control;
	const struct protection_choice *choice = &detect->policy.controls[control];
	uint64_t threshold = (uint64_t)choice->threshold * factor;
	uint32_t sum;

	if (choice->verdict == ACTION_OFF)
		return false;
	sum = entry_sum(detect, rung->entry, control, finding->now_ds);
	return sum >= threshold * WEIGHT_ONE &&
	       verdict_raise(detect, finding, rung, control, sum / WEIGHT_ONE, saturated(threshold));
}

static bool judge_names(struct detect *detect, const struct finding *finding, const struct rung *rung, uint32_t factor)
{
	const struct protection_choice *choice = &detect->policy.controls[CONTROL_HARVEST];
	uint64_t threshold = (uint64_t)choice->threshold * factor;
	uint32_t distinct;

	if (choice->verdict == ACTION_OFF || !finding->role->names || rung->subject.kind < SUBJECT_CONNECTION ||
	    rung->subject.kind > SUBJECT_ADDRESS)
		return false;
	distinct = entry_distinct(detect, rung->entry, finding->now_ds);
	return distinct >= threshold &&
	       verdict_raise(detect, finding, rung, CONTROL_HARVEST, distinct, saturated(threshold));
}

void ladder_judge(struct detect *detect, const struct finding *finding)
{
	for (int i = 0; i < finding->count; i++) {
		const struct rung *rung = &finding->rungs[i];
		uint32_t factor = factor_of(rung, i == 0);

		if (rung->subject.kind == SUBJECT_PREFIX &&
		    (rung->known || entry_distinct(detect, rung->entry, finding->now_ds) < PREFIX_ADDRESSES))
			return;
		if (judge_weight(detect, finding, rung, factor) || judge_names(detect, finding, rung, factor))
			return;
	}
}

void unproven_judge(struct detect *detect, const struct finding *finding)
{
	judge_weight(detect, finding, &finding->rungs[0], 1);
}

/* Sideways: one account that many hosts try. */
void account_judge(struct detect *detect, const struct finding *finding)
{
	const struct protection_choice *choice = &detect->policy.controls[CONTROL_GUESS_DISTRIBUTED];
	const struct evidence *evidence = finding->evidence;
	struct finding sideways = {evidence, finding->role, finding->weight, finding->now_ds, {{{0}}}, 0};
	struct rung *rung = sideways.rungs;
	uint32_t distinct;

	if (choice->verdict == ACTION_OFF)
		return;
	rung_add(detect, &sideways, detect_subject(SUBJECT_ACCOUNT, &evidence->source, evidence->account));
	rungs_find(detect, &sideways);
	rung_entry(detect, rung, finding->now_ds);
	entry_add(detect, rung->entry, evidence->kind, finding->weight, UINT32_MAX, finding->now_ds);
	/* The first rung is the account at this host, whose hash tells hosts apart. */
	entry_count(detect, rung->entry, finding->rungs[0].hash, finding->now_ds);
	distinct = entry_distinct(detect, rung->entry, finding->now_ds);
	if (distinct >= choice->threshold)
		verdict_raise(detect, &sideways, rung, CONTROL_GUESS_DISTRIBUTED, distinct, choice->threshold);
}
