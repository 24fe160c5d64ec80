/* SPDX-License-Identifier: Apache-2.0
 * What is remembered of a subject: some kinds of evidence with what is left of their weight, and how many different ones. */
#include "detect/private.h"

#define KNOWN_LEAST (WEIGHT_ONE * 5 / 2) /* a good registration of two weeks ago is one no more */
#define WINDOW_DEFAULT_S 3600u
#define PLACE_KEPT_DS (7200 * DS_PER_S) /* of whom is known; registrations are refreshed sooner */

static uint32_t weight_now(const struct detect *detect, const struct entry *entry, int mark, uint32_t now_ds)
{
	uint32_t at_ds = entry->at_ds[mark];

	return decay(entry->weights[mark], &at_ds, detect->half_life_ds[entry->kinds[mark]], now_ds);
}

static int mark_find(const struct entry *entry, enum evidence_kind kind)
{
	for (int i = 0; i < DETECT_REASONS_MAXIMUM; i++)
		if (entry->weights[i] && entry->kinds[i] == kind)
			return i;
	return -1;
}

/* The lightest makes room; what speaks for somebody stays while anything else is there. */
static int mark_make(const struct detect *detect, struct entry *entry, enum evidence_kind kind, uint32_t now_ds)
{
	uint64_t lightest = UINT64_MAX;
	int chosen = 0;

	for (int i = 0; i < DETECT_REASONS_MAXIMUM; i++) {
		uint64_t weight = entry->weights[i] ? weight_now(detect, entry, i, now_ds) : 0;

		if (weight && kind_role((enum evidence_kind)entry->kinds[i])->good)
			weight += UINT32_MAX;
		if (weight < lightest) {
			lightest = weight;
			chosen = i;
		}
	}
	entry->kinds[chosen] = (uint8_t)kind;
	entry->weights[chosen] = 0;
	entry->at_ds[chosen] = now_ds;
	return chosen;
}

static bool is_place(const struct entry *entry)
{
	return entry->slot.subject.kind == SUBJECT_CONNECTION || entry->slot.subject.kind == SUBJECT_TRANSPORT_ADDRESS;
}

void entry_add(struct detect *detect, struct entry *entry, enum evidence_kind kind, uint32_t weight, uint32_t maximum,
	       uint32_t now_ds)
{
	uint32_t half_life_ds = detect->half_life_ds[kind], fades_ds;
	int mark = mark_find(entry, kind);
	uint64_t sum;

	if (!weight)
		return;
	if (mark < 0)
		mark = mark_make(detect, entry, kind, now_ds);
	entry->last_ds[mark] = now_ds;
	sum = (uint64_t)decay(entry->weights[mark], &entry->at_ds[mark], half_life_ds, now_ds) + weight;
	entry->weights[mark] = sum < maximum ? (uint32_t)sum : maximum;
	fades_ds = decay_fades_ds(entry->weights[mark], half_life_ds);
	/* Phones take a new port or connection often, and nobody asks for the old one again. */
	if (kind_role(kind)->good && is_place(entry) && fades_ds > PLACE_KEPT_DS)
		fades_ds = PLACE_KEPT_DS;
	fades_ds = saturated((uint64_t)now_ds + fades_ds);
	if (fades_ds > sets_kept(&detect->entries, entry))
		sets_keep(&detect->entries, entry, fades_ds);
}

static uint32_t sum_of(const struct detect *detect, const struct entry *entry, bool good,
		       enum protection_control control, uint32_t now_ds)
{
	uint64_t sum = 0;

	for (int i = 0; i < DETECT_REASONS_MAXIMUM; i++) {
		const struct kind_role *role = kind_role((enum evidence_kind)entry->kinds[i]);

		if (entry->weights[i] && role->good == good && role->control == control)
			sum += weight_now(detect, entry, i, now_ds);
	}
	return saturated(sum);
}

uint32_t entry_sum(const struct detect *detect, const struct entry *entry, enum protection_control control,
		   uint32_t now_ds)
{
	return sum_of(detect, entry, false, control, now_ds);
}

bool entry_is_known(const struct detect *detect, const struct entry *entry, uint32_t now_ds)
{
	return entry && sum_of(detect, entry, true, CONTROL_COUNT, now_ds) >= KNOWN_LEAST;
}

void entry_unknow(struct entry *entry)
{
	for (int i = 0; i < DETECT_REASONS_MAXIMUM; i++)
		if (kind_role((enum evidence_kind)entry->kinds[i])->good)
			entry->weights[i] = 0;
}

uint32_t entry_take(const struct detect *detect, struct entry *entry, enum evidence_kind kind, uint32_t weight,
		    uint32_t now_ds)
{
	int mark = mark_find(entry, kind);

	if (mark < 0)
		return 0;
	entry->weights[mark] = decay(entry->weights[mark], &entry->at_ds[mark], detect->half_life_ds[kind], now_ds);
	if (weight > entry->weights[mark])
		weight = entry->weights[mark];
	entry->weights[mark] -= weight;
	return weight;
}

uint32_t sketch_window_ds(const struct detect *detect, enum evidence_subject kind)
{
	enum protection_control control = kind == SUBJECT_ACCOUNT ? CONTROL_GUESS_DISTRIBUTED : CONTROL_HARVEST;
	uint32_t window_s = detect->policy.controls[control].half_life_s;

	return (window_s ? window_s : WINDOW_DEFAULT_S) * DS_PER_S;
}

void entry_count(struct detect *detect, struct entry *entry, uint64_t hash, uint32_t now_ds)
{
	uint32_t window_ds = sketch_window_ds(detect, (enum evidence_subject)entry->slot.subject.kind);
	uint32_t fades_ds = saturated((uint64_t)now_ds + 2ull * window_ds);

	sketch_turn(&entry->sketch, &entry->turned_ds, window_ds, now_ds);
	sketch_add(&entry->sketch, hash);
	if (fades_ds > sets_kept(&detect->entries, entry))
		sets_keep(&detect->entries, entry, fades_ds);
}

uint32_t entry_distinct(const struct detect *detect, const struct entry *entry, uint32_t now_ds)
{
	struct sketch sketch = entry->sketch;
	uint32_t turned_ds = entry->turned_ds;

	sketch_turn(&sketch, &turned_ds, sketch_window_ds(detect, (enum evidence_subject)entry->slot.subject.kind),
		    now_ds);
	return sketch_estimate(&sketch);
}

struct entry *entry_find(const struct detect *detect, const struct detect_subject *subject)
{
	return sets_find(&detect->entries, subject_hash(detect, subject), subject);
}
