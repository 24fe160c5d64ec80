/* SPDX-License-Identifier: Apache-2.0
 * Verdicts that hold: raised, lasting longer each time, prolonged while the attack goes on, ended. */
#include <string.h>

#include "detect/private.h"

#define US_PER_S UINT64_C(1000000)

struct ban *ban_find(const struct detect *detect, const struct detect_subject *subject, uint64_t hash)
{
	return sets_find(&detect->bans, hash, subject);
}

void ban_to_verdict(const struct ban *ban, struct detect_verdict *out)
{
	memset(out, 0, sizeof(*out)); /* padding, too, so that equal ones are equal bytes */
	out->subject = ban->slot.subject;
	out->action = (enum protection_action)ban->action;
	out->control = (enum protection_control)ban->control;
	out->kind = (enum evidence_kind)ban->kind;
	out->sum = ban->sum;
	out->threshold = ban->threshold;
	out->level = ban->level;
	out->since_us = ban->since_us;
	out->until_us = ban->until_us;
	out->dry_run = ban->flags & BAN_DRY_RUN;
	out->spares = ban->flags & BAN_SPARES;
	out->never = ban->flags & BAN_NEVER;
	out->known = ban->flags & BAN_KNOWN;
}

uint64_t ban_memory_us(const struct detect *detect)
{
	return detect->policy.expiry.maximum_s * US_PER_S;
}

static uint64_t duration_us(const struct detect *detect, uint32_t level)
{
	uint64_t seconds = detect->policy.expiry.first_s, maximum = detect->policy.expiry.maximum_s;

	while (level-- && seconds < maximum)
		seconds *= detect->policy.expiry.factor;
	return (seconds < maximum ? seconds : maximum) * US_PER_S;
}

/* What others can bring about (who is called, whose account is guessed) lasts no longer for their patience; nor does what hits somebody
 * known, who may only have a PBX that refused everybody for a day. */
static uint32_t level_of(const struct detect_verdict *verdict)
{
	uint32_t most = verdict->action <= ACTION_SLOW                     ? 0
			: verdict->action == ACTION_LOCK || verdict->known ? 1
									   : UINT32_MAX;

	return verdict->level < most ? verdict->level : most;
}

static int rank(enum protection_action action, bool is_said_only)
{
	return is_said_only ? 0 : (int)action;
}

static void tell_end(struct detect *detect, const struct ban *ban, enum detect_end why)
{
	struct detect_verdict verdict;

	if (!detect->user.ended)
		return;
	ban_to_verdict(ban, &verdict);
	detect->user.ended(detect->user.context, &verdict, why);
}

static void ban_write(struct detect *detect, struct ban *ban, struct detect_verdict *verdict)
{
	uint64_t now_us = detect->now_us;

	verdict->since_us = now_us;
	verdict->until_us = now_us + duration_us(detect, level_of(verdict));
	ban->control = (uint8_t)verdict->control;
	ban->action = (uint8_t)verdict->action;
	ban->kind = (uint8_t)verdict->kind;
	ban->flags = (uint8_t)((verdict->dry_run ? BAN_DRY_RUN : 0) | (verdict->spares ? BAN_SPARES : 0) |
			       (verdict->never ? BAN_NEVER : 0) | (verdict->known ? BAN_KNOWN : 0));
	ban->sum = verdict->sum;
	ban->threshold = verdict->threshold;
	ban->level = verdict->level;
	ban->since_us = now_us;
	ban->until_us = verdict->until_us;
	sets_keep(&detect->bans, ban, ds_from_us(ban->until_us + ban_memory_us(detect)));
	if (ban->until_us < detect->next_end_us)
		detect->next_end_us = ban->until_us;
	detect->counts.verdicts++;
	detect->user.verdict(detect->user.context, verdict);
}

bool ban_raise(struct detect *detect, struct detect_verdict *verdict, uint64_t hash)
{
	struct ban *ban = ban_find(detect, &verdict->subject, hash);
	bool pushed_out = false;

	verdict->level = 0;
	if (ban_holds(ban, detect->now_us)) {
		if (rank(verdict->action, verdict->dry_run || verdict->never) <=
		    rank((enum protection_action)ban->action, ban->flags & (BAN_DRY_RUN | BAN_NEVER)))
			return false;
		verdict->level = ban->level;
		tell_end(detect, ban, DETECT_REPLACED);
	} else if (ban) {
		if (!(ban->flags & BAN_TOLD_END))
			tell_end(detect, ban, DETECT_EXPIRED);
		if (detect->now_us < ban->until_us + ban_memory_us(detect))
			verdict->level = ban->level < BAN_LEVEL_MAXIMUM ? ban->level + 1 : ban->level;
	} else {
		ban = sets_place(&detect->bans, hash, &verdict->subject, ds_from_us(detect->now_us), &pushed_out);
		detect->counts.verdicts_pushed_out += pushed_out;
	}
	ban_write(detect, ban, verdict);
	return true;
}

/* The packets may be forged by somebody who wants it to last: never beyond what this time and the next one would come to. */
void ban_prolong(struct detect *detect, const struct detect_subject *subject)
{
	struct ban *ban = ban_find(detect, subject, subject_hash(detect, subject));
	uint64_t duration, longest_us, until_us;
	struct detect_verdict verdict;

	if (!ban_holds(ban, detect->now_us) || ban->action != ACTION_BLOCK || ban->flags & (BAN_DRY_RUN | BAN_NEVER))
		return;
	duration = duration_us(detect, ban->level);
	longest_us = ban->since_us + duration + duration_us(detect, ban->level + 1);
	until_us = detect->now_us + duration < longest_us ? detect->now_us + duration : longest_us;
	if (until_us < ban->until_us + duration / 2) /* seldom, and by much */
		return;
	ban->until_us = until_us;
	sets_keep(&detect->bans, ban, ds_from_us(until_us + ban_memory_us(detect)));
	ban_to_verdict(ban, &verdict);
	verdict.prolonged = true;
	detect->user.verdict(detect->user.context, &verdict);
}

void ban_end(struct detect *detect, struct ban *ban, enum detect_end why)
{
	if (!(ban->flags & BAN_TOLD_END))
		tell_end(detect, ban, why);
	ban->flags |= BAN_TOLD_END;
}

void detect_tick(struct detect *detect, uint64_t now_us)
{
	uint64_t next_us = UINT64_MAX;

	if (now_us > detect->now_us)
		detect->now_us = now_us;
	if (detect->now_us < detect->next_end_us)
		return;
	for (uint32_t i = 0; i < sets_count(&detect->bans); i++) {
		struct ban *ban = sets_at(&detect->bans, i);

		if (!ban)
			continue;
		if (ban_holds(ban, detect->now_us))
			next_us = ban->until_us < next_us ? ban->until_us : next_us;
		else if (detect->now_us >= ban->until_us + ban_memory_us(detect)) {
			ban_end(detect, ban, DETECT_EXPIRED);
			sets_remove(&detect->bans, ban);
		} else
			ban_end(detect, ban, DETECT_EXPIRED);
	}
	detect->next_end_us = next_us;
}
