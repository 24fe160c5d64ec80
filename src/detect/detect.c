/* SPDX-License-Identifier: Apache-2.0
 * From a finding to a verdict: whom it counts for, from the narrowest to the widest, and who has had enough. */
#include "detect/detect.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "detect/private.h"

_Static_assert(sizeof(struct entry) + sizeof(struct set_head) / SET_WAYS == DETECT_SUBJECT_BYTES, "as the header says");
_Static_assert(sizeof(struct ban) + sizeof(struct set_head) / SET_WAYS == DETECT_VERDICT_BYTES, "as the header says");

#define SIZE_LEAST 64u
#define ADDRESS_FACTOR 2u
#define PREFIX_FACTOR_IPV4 16u
#define PREFIX_FACTOR_IPV6 3u
#define PREFIX_ADDRESSES 4u
#define KNOWN_FACTOR 4u
#define GOOD_MAXIMUM (100 * WEIGHT_ONE)

/* ---- Life ---- */

static void policy_take(struct detect *detect, const struct protection *policy)
{
	detect->policy = *policy;
	for (int kind = 0; kind < EVIDENCE_KIND_COUNT; kind++) {
		uint8_t control = kind_role((enum evidence_kind)kind)->control;
		uint32_t half_life_s = evidence_row((enum evidence_kind)kind)->half_life_s;

		if (control < CONTROL_COUNT && policy->controls[control].half_life_s)
			half_life_s = policy->controls[control].half_life_s;
		detect->half_life_ds[kind] = half_life_s * DS_PER_S;
	}
}

struct detect *detect_new(const struct protection *policy, const uint8_t key[HASH_KEY_BYTES],
			  const struct detect_user *user)
{
	struct detect *detect;
	int error;

	if (!policy_is_valid(policy) || !(detect = memory_alloc(sizeof(*detect))))
		return NULL;
	error = sets_init(&detect->entries, policy->subjects > SIZE_LEAST ? policy->subjects : SIZE_LEAST,
			  sizeof(struct entry));
	if (!error)
		error = sets_init(&detect->bans, policy->verdicts > SIZE_LEAST ? policy->verdicts : SIZE_LEAST,
				  sizeof(struct ban));
	if (error) {
		detect_free(detect);
		return NULL;
	}
	memcpy(detect->key, key, sizeof(detect->key));
	detect->user = *user;
	detect->next_end_us = UINT64_MAX;
	policy_take(detect, policy);
	return detect;
}

void detect_free(struct detect *detect)
{
	if (!detect)
		return;
	sets_clear(&detect->entries);
	sets_clear(&detect->bans);
	memory_free_secret(detect, sizeof(*detect));
}

int detect_policy_set(struct detect *detect, const struct protection *policy)
{
	if (!policy_is_valid(policy))
		return -EINVAL;
	policy_take(detect, policy);
	return 0;
}

/* ---- The ladder: subjects from the narrowest on ---- */

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

static void rung_add(struct detect *detect, struct finding *finding, struct detect_subject subject)
{
	struct rung *rung = &finding->rungs[finding->count++];

	rung->subject = subject;
	rung->hash = subject_hash(detect, &subject);
	sets_expect(&detect->entries, rung->hash);
	sets_expect(&detect->bans, rung->hash);
}

/* When all hashes are made, so that memory is waited for once and not for one after the other. */
static void rungs_find(struct detect *detect, struct finding *finding)
{
	for (int i = 0; i < finding->count; i++) {
		struct rung *rung = &finding->rungs[i];

		rung->entry = sets_find(&detect->entries, rung->hash, &rung->subject);
		rung->known = entry_is_known(detect, rung->entry, finding->now_ds);
	}
}

static void ladder_name(struct detect *detect, struct finding *finding)
{
	const struct evidence *evidence = finding->evidence;
	enum evidence_subject first = evidence_row(evidence->kind)->subject;
	const struct address *source = &evidence->source;

	if (first == SUBJECT_UNPROVEN)
		rung_add(detect, finding, detect_subject(SUBJECT_UNPROVEN, source, 0));
	else if (first == SUBJECT_ACCOUNT && evidence->account)
		rung_add(detect, finding, detect_subject(SUBJECT_ACCOUNT, source, evidence->account));
	else if (first == SUBJECT_ADDRESS_OF_RECORD && evidence->target)
		rung_add(detect, finding, detect_subject(SUBJECT_ADDRESS_OF_RECORD, source, evidence->target));
	else if (first == SUBJECT_CALL && evidence->session)
		rung_add(detect, finding, detect_subject(SUBJECT_CALL, source, evidence->session));
	if (source->family == ADDRESS_NONE || first == SUBJECT_UNPROVEN || first == SUBJECT_ACCOUNT ||
	    first == SUBJECT_ADDRESS_OF_RECORD)
		return;
	if (first == SUBJECT_ACCOUNT_AT && evidence->account)
		rung_add(detect, finding, detect_subject(SUBJECT_ACCOUNT_AT, source, evidence->account));
	if (first != SUBJECT_ADDRESS && (source->port || evidence->connection))
		rung_add(detect, finding, place_of(source, evidence->connection));
	rung_add(detect, finding, detect_subject(SUBJECT_ADDRESS, source, 0));
	rung_add(detect, finding, detect_subject(SUBJECT_PREFIX, source, 0));
}

static void ladder_make(struct detect *detect, struct finding *finding)
{
	ladder_name(detect, finding);
	rungs_find(detect, finding);
}

static struct entry *rung_entry(struct detect *detect, struct rung *rung, uint32_t now_ds)
{
	bool pushed_out;

	if (!rung->entry) {
		rung->entry = sets_place(&detect->entries, rung->hash, &rung->subject, now_ds, &pushed_out);
		rung->entry->turned_ds = now_ds;
		detect->counts.subjects_pushed_out += pushed_out;
	}
	return rung->entry;
}

static bool is_guess(const struct kind_role *role)
{
	return role->control == CONTROL_GUESS;
}

/* A place of somebody known, below that rung. */
static bool is_known_below(const struct finding *finding, int rung)
{
	for (int i = 0; i < rung; i++)
		if (finding->rungs[i].known && finding->rungs[i].subject.kind != SUBJECT_CALL)
			return true;
	return false;
}

/* Cuts the ladder off above what the finding counts for. False: a verdict has stopped it already. */
static bool ladder_cut(struct detect *detect, struct finding *finding)
{
	struct rung *rungs = finding->rungs;

	if (is_guess(finding->role) && rungs[0].subject.kind == SUBJECT_ACCOUNT_AT && rungs[0].known)
		finding->count = 1;
	for (int i = 0; i < finding->count; i++) {
		const struct ban *ban = ban_find(detect, &rungs[i].subject, rungs[i].hash);

		if (!ban_holds(ban, detect->now_us) || ban->action < ACTION_REFUSE || ban->flags & BAN_NEVER)
			continue;
		if (ban->flags & BAN_SPARES && is_known_below(finding, i)) {
			finding->count = i;
			return true;
		}
		entry_add(detect, rung_entry(detect, &rungs[i], finding->now_ds), finding->evidence->kind,
			  finding->weight, UINT32_MAX, finding->now_ds);
		return false;
	}
	return true;
}

/* ---- Counting ---- */

/* What is different is counted: names at a place or address, addresses in a prefix. */
static void rung_count(struct detect *detect, const struct finding *finding, struct rung *rung)
{
	const struct evidence *evidence = finding->evidence;
	uint64_t name = evidence->target ? evidence->target : evidence->account;

	if (rung->subject.kind == SUBJECT_PREFIX)
		entry_count(detect, rung->entry, rung[-1].hash, finding->now_ds);
	else if (rung->subject.kind >= SUBJECT_CONNECTION && rung->subject.kind <= SUBJECT_ADDRESS &&
		 finding->role->names && name)
		entry_count(detect, rung->entry, name, finding->now_ds);
}

static void ladder_add(struct detect *detect, struct finding *finding)
{
	for (int i = 0; i < finding->count; i++) {
		struct rung *rung = &finding->rungs[i];

		rung_entry(detect, rung, finding->now_ds);
		entry_add(detect, rung->entry, finding->evidence->kind, finding->weight, UINT32_MAX, finding->now_ds);
		rung_count(detect, finding, rung);
	}
}

/* ---- Judging ---- */

static uint32_t factor_of(const struct rung *rung, bool is_first)
{
	uint32_t factor = 1;

	if (rung->subject.kind == SUBJECT_PREFIX)
		factor = rung->subject.address.family == ADDRESS_IPV4 ? PREFIX_FACTOR_IPV4 : PREFIX_FACTOR_IPV6;
	else if (rung->subject.kind == SUBJECT_ADDRESS && !is_first)
		factor = ADDRESS_FACTOR;
	return rung->known ? factor * KNOWN_FACTOR : factor;
}

static bool is_never(const struct detect *detect, const struct detect_subject *subject)
{
	struct protection_prefix own = {subject->address, subject->bits};

	own.address.port = 0;
	for (uint32_t i = 0; subject->bits && i < detect->policy.never_count; i++)
		if (protection_prefixes_meet(&detect->policy.never[i], &own))
			return true;
	return false;
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
	verdict.control = control;
	verdict.kind = finding->evidence->kind;
	verdict.sum = sum;
	verdict.threshold = threshold;
	verdict.action = choice->verdict < most ? choice->verdict : most;
	verdict.dry_run = choice->dry_run || detect->policy.dry_run;
	verdict.never = verdict.action > ACTION_REPORT && is_never(detect, &rung->subject);
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

static void ladder_judge(struct detect *detect, const struct finding *finding)
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

/* Sideways: one account that many hosts try. */
static void account_judge(struct detect *detect, const struct finding *finding)
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

/* ---- What comes in ---- */

/* Several alike at once, as from a flood, say little more than one. */
static uint32_t weight_of(const struct evidence *evidence)
{
	uint32_t weight = evidence_row(evidence->kind)->weight * WEIGHT_ONE, doublings = 0;

	for (uint32_t count = evidence->count; count > 1; count /= 2)
		doublings++;
	return weight * (1 + doublings);
}

static void put_bad(struct detect *detect, struct finding *finding)
{
	finding->weight = weight_of(finding->evidence);
	if (!finding->weight)
		return;
	ladder_make(detect, finding);
	if (!finding->count || !ladder_cut(detect, finding))
		return;
	ladder_add(detect, finding);
	ladder_judge(detect, finding);
	if (is_guess(finding->role) && finding->rungs[0].subject.kind == SUBJECT_ACCOUNT_AT && !finding->rungs[0].known)
		account_judge(detect, finding);
}

/* Whoever it came from, or says that it did: only all of them together are looked at. */
static void put_unproven(struct detect *detect, struct finding *finding)
{
	static const struct kind_role role = {.control = CONTROL_UNPROVEN};
	static const struct address nobody;
	const struct evidence_row *row = evidence_row(finding->evidence->kind);
	static const struct evidence as = {.kind = EVIDENCE_NET_UNPROVEN};
	struct rung *rung = finding->rungs;

	detect->counts.unproven++;
	finding->weight = saturated((uint64_t)row->weight * WEIGHT_ONE * finding->evidence->count);
	finding->role = &role;
	finding->evidence = &as;
	if (!finding->weight)
		return;
	rung_add(detect, finding, detect_subject(SUBJECT_UNPROVEN, &nobody, 0));
	rungs_find(detect, finding);
	rung_entry(detect, rung, finding->now_ds);
	entry_add(detect, rung->entry, EVIDENCE_NET_UNPROVEN, finding->weight, UINT32_MAX, finding->now_ds);
	judge_weight(detect, finding, rung, 1);
}

static void forgive_wide(struct detect *detect, struct finding *finding, enum evidence_kind kind, uint32_t weight)
{
	struct detect_subject account =
		detect_subject(SUBJECT_ACCOUNT, &finding->evidence->source, finding->evidence->account);
	struct entry *wide = entry_find(detect, &account);

	for (int i = 1; i < finding->count; i++)
		if (finding->rungs[i].entry)
			entry_take(detect, finding->rungs[i].entry, kind, weight, finding->now_ds);
	if (wide)
		entry_take(detect, wide, kind, weight, finding->now_ds);
}

/* The right password after wrong ones: they were mistakes, and are taken off wherever they counted. */
static void forgive(struct detect *detect, struct finding *finding)
{
	static const enum evidence_kind kinds[] = {EVIDENCE_CALL_PASSWORD, EVIDENCE_CALL_NONCE};
	const struct rung *own = &finding->rungs[0];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint32_t weight = entry_take(detect, own->entry, kinds[i], UINT32_MAX, finding->now_ds);

		if (weight && !own->known)
			forgive_wide(detect, finding, kinds[i], weight);
	}
}

static void put_good(struct detect *detect, struct finding *finding)
{
	enum evidence_kind kind = finding->evidence->kind;

	if (!finding->evidence->proven)
		return;
	detect->counts.good++;
	ladder_make(detect, finding);
	if (finding->count && finding->rungs[0].subject.kind == SUBJECT_ACCOUNT_AT && finding->rungs[0].entry)
		forgive(detect, finding);
	for (int i = 0; i < finding->count; i++)
		entry_add(detect, rung_entry(detect, &finding->rungs[i], finding->now_ds), kind,
			  evidence_row(kind)->weight * WEIGHT_ONE, GOOD_MAXIMUM, finding->now_ds);
}

static void put_blocked(struct detect *detect, const struct evidence *evidence)
{
	static const enum evidence_subject kinds[] = {SUBJECT_TRANSPORT_ADDRESS, SUBJECT_ADDRESS, SUBJECT_PREFIX};

	for (size_t i = 0; evidence->source.family != ADDRESS_NONE && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct detect_subject subject = detect_subject(kinds[i], &evidence->source, 0);

		ban_prolong(detect, &subject);
	}
}

void detect_put(struct detect *detect, const struct evidence *evidence)
{
	struct finding finding = {.evidence = evidence};

	if ((size_t)evidence->kind >= EVIDENCE_KIND_COUNT || !evidence->count)
		return;
	if (evidence->time_us > detect->now_us)
		detect->now_us = evidence->time_us;
	finding.role = kind_role(evidence->kind);
	finding.now_ds = ds_from_us(detect->now_us);
	detect->counts.findings++;
	if (evidence->kind == EVIDENCE_KERNEL_BLOCKED)
		put_blocked(detect, evidence);
	else if (finding.role->good)
		put_good(detect, &finding);
	else if (finding.role->control == CONTROL_COUNT)
		return;
	else if (!evidence->proven || evidence->kind == EVIDENCE_NET_UNPROVEN)
		put_unproven(detect, &finding);
	else
		put_bad(detect, &finding);
}
