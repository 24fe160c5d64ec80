/* SPDX-License-Identifier: Apache-2.0
 * What can be asked: who is stopped, who is known, and why; and taking it back by hand. */
#include <string.h>

#include "base/memory.h"
#include "detect/ladder.h"

static uint64_t later(const struct detect *detect, uint64_t now_us)
{
	return now_us > detect->now_us ? now_us : detect->now_us;
}

static bool subject_is_known(const struct detect *detect, const struct detect_subject *subject, uint32_t now_ds)
{
	return entry_is_known(detect, entry_find(detect, subject), now_ds);
}

bool detect_is_known(const struct detect *detect, const struct address *source, uint64_t account, uint64_t now_us)
{
	struct detect_subject subject = detect_subject(account ? SUBJECT_ACCOUNT_AT : SUBJECT_ADDRESS, source, account);

	return subject_is_known(detect, &subject, ds_from_us(later(detect, now_us)));
}

/* ---- Who is stopped ---- */

/* Who is known where the question comes from, looked up at most once. */
struct asker {
	const struct detect *detect;
	const struct detect_question *question;
	uint64_t now_us;
	bool is_looked_up, by_account, by_place;
};

static void asker_look_up(struct asker *asker)
{
	const struct detect_question *question = asker->question;
	struct detect_subject place = place_of(&question->source, question->connection);
	struct detect_subject account = detect_subject(SUBJECT_ACCOUNT_AT, &question->source, question->account);
	uint32_t now_ds = ds_from_us(asker->now_us);

	if (asker->is_looked_up)
		return;
	asker->is_looked_up = true;
	asker->by_place = subject_is_known(asker->detect, &place, now_ds);
	asker->by_account = question->account && subject_is_known(asker->detect, &account, now_ds);
}

static bool is_spared(struct asker *asker, const struct ban *ban)
{
	if (!(ban->flags & BAN_SPARES))
		return false;
	asker_look_up(asker);
	return asker->by_account || (asker->by_place && ban->slot.subject.kind != SUBJECT_ACCOUNT);
}

static void weigh(struct asker *asker, enum evidence_subject kind, uint64_t number, const struct ban **hardest)
{
	struct detect_subject subject = detect_subject(kind, &asker->question->source, number);
	const struct ban *ban = ban_find(asker->detect, &subject, subject_hash(asker->detect, &subject));

	if (!ban_holds(ban, asker->now_us) || ban->action <= ACTION_REPORT || ban->flags & (BAN_DRY_RUN | BAN_NEVER) ||
	    (*hardest && (*hardest)->action >= ban->action) || is_spared(asker, ban))
		return;
	*hardest = ban;
}

bool detect_find(const struct detect *detect, const struct detect_question *question, uint64_t now_us,
		 struct detect_verdict *out)
{
	struct asker asker = {detect, question, later(detect, now_us), false, false, false};
	const struct ban *hardest = NULL;

	if (question->source.family != ADDRESS_NONE) {
		weigh(&asker, SUBJECT_PREFIX, 0, &hardest);
		weigh(&asker, SUBJECT_ADDRESS, 0, &hardest);
		weigh(&asker, question->connection ? SUBJECT_CONNECTION : SUBJECT_TRANSPORT_ADDRESS,
		      question->connection, &hardest);
		if (question->account)
			weigh(&asker, SUBJECT_ACCOUNT_AT, question->account, &hardest);
	}
	if (question->account)
		weigh(&asker, SUBJECT_ACCOUNT, question->account, &hardest);
	if (question->target)
		weigh(&asker, SUBJECT_ADDRESS_OF_RECORD, question->target, &hardest);
	if (!question->proven)
		weigh(&asker, SUBJECT_UNPROVEN, 0, &hardest);
	if (!hardest || is_never(detect, &question->source, address_bits(&question->source)))
		return false;
	ban_to_verdict(hardest, out);
	return true;
}

bool detect_verdict_of(const struct detect *detect, const struct detect_subject *subject, uint64_t now_us,
		       struct detect_verdict *out)
{
	const struct ban *ban = ban_find(detect, subject, subject_hash(detect, subject));

	if (!ban_holds(ban, later(detect, now_us)))
		return false;
	ban_to_verdict(ban, out);
	return true;
}

void detect_each(const struct detect *detect, uint64_t now_us,
		 void (*visit)(void *context, const struct detect_verdict *verdict), void *context)
{
	for (uint32_t i = 0; i < sets_count(&detect->bans); i++) {
		const struct ban *ban = sets_at(&detect->bans, i);
		struct detect_verdict verdict;

		if (!ban_holds(ban, later(detect, now_us)))
			continue;
		ban_to_verdict(ban, &verdict);
		visit(context, &verdict);
	}
}

/* ---- Why ---- */

static void reason_insert(struct detect_account *out, struct detect_reason reason)
{
	uint32_t at = out->reason_count++;

	for (; at && out->reasons[at - 1].weight < reason.weight; at--)
		out->reasons[at] = out->reasons[at - 1];
	out->reasons[at] = reason;
}

bool detect_why(const struct detect *detect, const struct detect_subject *subject, uint64_t now_us,
		struct detect_account *out)
{
	const struct entry *entry = entry_find(detect, subject);
	uint32_t now_ds = ds_from_us(later(detect, now_us));

	memset(out, 0, sizeof(*out));
	if (!entry)
		return false;
	for (int i = 0; i < DETECT_REASONS_MAXIMUM; i++) {
		uint32_t at_ds = entry->at_ds[i];
		struct detect_reason reason = {(enum evidence_kind)entry->kinds[i], 0,
					       (uint64_t)entry->last_ds[i] * US_PER_DS};

		reason.weight = decay(entry->weights[i], &at_ds, detect->half_life_ds[reason.kind], now_ds);
		if (reason.weight)
			reason_insert(out, reason);
	}
	out->distinct = entry_distinct(detect, entry, now_ds);
	out->known = entry_is_known(detect, entry, now_ds);
	return true;
}

void detect_statistics_get(const struct detect *detect, uint64_t now_us, struct detect_statistics *out)
{
	*out = detect->counts;
	out->subjects = out->verdicts_in_force = 0;
	for (uint32_t i = 0; i < sets_count(&detect->entries); i++)
		out->subjects += sets_at(&detect->entries, i) != NULL;
	for (uint32_t i = 0; i < sets_count(&detect->bans); i++)
		out->verdicts_in_force += ban_holds(sets_at(&detect->bans, i), later(detect, now_us));
}

/* ---- By hand ---- */

bool detect_forget(struct detect *detect, const struct detect_subject *subject, uint64_t now_us)
{
	struct ban *ban = ban_find(detect, subject, subject_hash(detect, subject));
	struct entry *entry = entry_find(detect, subject);

	if (now_us > detect->now_us)
		detect->now_us = now_us;
	if (ban) {
		ban_end(detect, ban, ban_holds(ban, detect->now_us) ? DETECT_FORGOTTEN : DETECT_EXPIRED);
		sets_remove(&detect->bans, ban);
	}
	if (entry)
		sets_remove(&detect->entries, entry);
	return ban || entry;
}
