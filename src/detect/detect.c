/* SPDX-License-Identifier: Apache-2.0
 * The detector's life, and what comes in: bad, good, unproven, or the kernel's word. */
#include "detect/detect.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "detect/ladder.h"

_Static_assert(sizeof(struct entry) + sizeof(struct set_head) / SET_WAYS == DETECT_SUBJECT_BYTES, "as the header says");
_Static_assert(sizeof(struct ban) + sizeof(struct set_head) / SET_WAYS == DETECT_VERDICT_BYTES, "as the header says");

#define SIZE_LEAST 64u
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

/* Who is on the list now is let go. */
static void never_release(struct detect *detect)
{
	for (uint32_t i = 0; i < sets_count(&detect->bans); i++) {
		struct ban *ban = sets_at(&detect->bans, i);

		if (!ban || !is_never(detect, &ban->slot.subject.address, ban->slot.subject.bits))
			continue;
		ban_end(detect, ban, ban_holds(ban, detect->now_us) ? DETECT_FORGOTTEN : DETECT_EXPIRED);
		sets_remove(&detect->bans, ban);
	}
}

int detect_policy_set(struct detect *detect, const struct protection *policy)
{
	if (!policy_is_valid(policy))
		return -EINVAL;
	policy_take(detect, policy);
	never_release(detect);
	return 0;
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
	unproven_judge(detect, finding);
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
