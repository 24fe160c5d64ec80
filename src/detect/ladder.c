/* SPDX-License-Identifier: Apache-2.0
 * Whom a finding counts for: subjects from the narrowest on. */
#include "detect/ladder.h"

void rung_add(struct detect *detect, struct finding *finding, struct detect_subject subject)
{
	struct rung *rung = &finding->rungs[finding->count++];

	rung->subject = subject;
	rung->hash = subject_hash(detect, &subject);
	sets_expect(&detect->entries, rung->hash);
	sets_expect(&detect->bans, rung->hash);
}

/* When all hashes are made, so that memory is waited for once and not for one after the other. */
void rungs_find(struct detect *detect, struct finding *finding)
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

void ladder_make(struct detect *detect, struct finding *finding)
{
	ladder_name(detect, finding);
	rungs_find(detect, finding);
}

struct entry *rung_entry(struct detect *detect, struct rung *rung, uint32_t now_ds)
{
	bool pushed_out;

	if (!rung->entry) {
		rung->entry = sets_place(&detect->entries, rung->hash, &rung->subject, now_ds, &pushed_out);
		rung->entry->turned_ds = now_ds;
		detect->counts.subjects_pushed_out += pushed_out;
	}
	return rung->entry;
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
bool ladder_cut(struct detect *detect, struct finding *finding)
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

void ladder_add(struct detect *detect, struct finding *finding)
{
	for (int i = 0; i < finding->count; i++) {
		struct rung *rung = &finding->rungs[i];

		rung_entry(detect, rung, finding->now_ds);
		entry_add(detect, rung->entry, finding->evidence->kind, finding->weight, UINT32_MAX, finding->now_ds);
		rung_count(detect, finding, rung);
	}
}
