/* SPDX-License-Identifier: Apache-2.0
 * All that is remembered as flat bytes, little-endian: a head, the names of kinds and controls, subjects, verdicts, a keyed checksum. Kinds
 * and controls are numbered as in the names, so that another version finds its own. Times are ages. */
#include <errno.h>
#include <string.h>

#include "detect/bytes.h"
#include "detect/private.h"

#define MAGIC UINT64_C(0x31746374656457ff) /* the last digit is the version */
#define HEAD_BYTES (8 + 8 + 2 + 2 + 4 + 4)
#define SUBJECT_BYTES (1 + 1 + 1 + 2 + 16 + 8)
#define MARK_BYTES (2 + 4 + 4 + 4)
#define ENTRY_BYTES (SUBJECT_BYTES + DETECT_REASONS_MAXIMUM * MARK_BYTES + 4 * 8 + 4)
#define BAN_BYTES (SUBJECT_BYTES + 2 + 2 + 1 + 1 + 4 + 4 + 4 + 8 + 8)
#define CHECK_BYTES 8

static void put_subject(struct buffer *out, const struct detect_subject *subject)
{
	bytes_put(out, subject->kind, 1);
	bytes_put(out, subject->bits, 1);
	bytes_put(out, subject->address.family, 1);
	bytes_put(out, subject->address.port, 2);
	buffer_put(out, subject->address.ip, sizeof(subject->address.ip));
	bytes_put(out, subject->number, 8);
}

static void get_subject(struct input *in, struct detect_subject *subject)
{
	memset(subject, 0, sizeof(*subject));
	subject->kind = (uint8_t)bytes_get(in, 1);
	subject->bits = (uint8_t)bytes_get(in, 1);
	subject->address.family = (uint8_t)bytes_get(in, 1);
	subject->address.port = (uint16_t)bytes_get(in, 2);
	bytes_get_block(in, subject->address.ip, sizeof(subject->address.ip));
	subject->number = bytes_get(in, 8);
	in->bad |= !subject_is_valid(subject);
}

/* ---- Writing ---- */

static void put_entry(struct buffer *out, const struct entry *entry, uint32_t now_ds)
{
	put_subject(out, &entry->slot.subject);
	for (int i = 0; i < DETECT_REASONS_MAXIMUM; i++) {
		bytes_put(out, entry->kinds[i], 2);
		bytes_put(out, entry->weights[i], 4);
		bytes_put(out, now_ds - entry->at_ds[i], 4);
		bytes_put(out, now_ds - entry->last_ds[i], 4);
	}
	for (int i = 0; i < 2; i++) {
		bytes_put(out, entry->sketch.now[i], 8);
		bytes_put(out, entry->sketch.before[i], 8);
	}
	bytes_put(out, now_ds - entry->turned_ds, 4);
}

static void put_ban(struct buffer *out, const struct ban *ban, uint64_t now_us)
{
	put_subject(out, &ban->slot.subject);
	bytes_put(out, ban->control, 2);
	bytes_put(out, ban->kind, 2);
	bytes_put(out, ban->action, 1);
	bytes_put(out, ban->flags, 1);
	bytes_put(out, ban->sum, 4);
	bytes_put(out, ban->threshold, 4);
	bytes_put(out, ban->level, 4);
	bytes_put(out, now_us - ban->since_us, 8);
	bytes_put(out, ban->until_us - ban->since_us, 8);
}

size_t detect_dump_bytes(const struct detect *detect)
{
	return HEAD_BYTES + (EVIDENCE_KIND_COUNT + CONTROL_COUNT) * NAME_BYTES +
	       (size_t)sets_count(&detect->entries) * ENTRY_BYTES + (size_t)sets_count(&detect->bans) * BAN_BYTES +
	       CHECK_BYTES;
}

static uint32_t put_each(struct buffer *out, const struct detect *detect, const struct sets *sets, uint64_t now_us)
{
	uint32_t count = 0, now_ds = ds_from_us(now_us);

	for (uint32_t i = 0; i < sets_count(sets); i++) {
		const struct slot *slot = sets_at(sets, i);

		if (!slot || sets_kept(sets, slot) <= now_ds)
			continue;
		if (sets == &detect->entries)
			put_entry(out, (const struct entry *)slot, now_ds);
		else
			put_ban(out, (const struct ban *)slot, now_us);
		count++;
	}
	return count;
}

ptrdiff_t detect_dump(const struct detect *detect, uint64_t now_us, int64_t wall_s, void *out, size_t capacity)
{
	struct buffer bytes = buffer_over(out, capacity), counts;
	uint32_t entries, bans;

	if (now_us < detect->now_us)
		now_us = detect->now_us;
	bytes_put(&bytes, MAGIC, 8);
	bytes_put(&bytes, (uint64_t)wall_s, 8);
	bytes_put(&bytes, EVIDENCE_KIND_COUNT, 2);
	bytes_put(&bytes, CONTROL_COUNT, 2);
	counts = bytes;
	bytes_put(&bytes, 0, 8);
	names_put_kinds(&bytes);
	names_put_controls(&bytes);
	entries = put_each(&bytes, detect, &detect->entries, now_us);
	bans = put_each(&bytes, detect, &detect->bans, now_us);
	if (bytes.overflow)
		return -ENOSPC;
	bytes_put(&counts, entries, 4);
	bytes_put(&counts, bans, 4);
	bytes_put(&bytes, hash_bytes(detect->key, bytes.data, bytes.length), CHECK_BYTES);
	return bytes.overflow ? -ENOSPC : (ptrdiff_t)bytes.length;
}

/* ---- Reading ---- */

struct restoring {
	struct detect *detect;
	struct input in;
	struct names kinds, controls;
	uint32_t entries, bans;
	uint64_t passed_us; /* since it was written */
	bool apply;         /* the second time, when all of it is known to be good */
};

/* An age as a time. Monotonic time may have begun anew since: what lies before its beginning is moved there, *before_ds saying how far. */
static uint32_t ago_ds(const struct restoring *restoring, uint64_t age_ds, uint32_t *before_ds)
{
	uint64_t age = age_ds + restoring->passed_us / US_PER_DS;
	uint32_t now_ds = ds_from_us(restoring->detect->now_us);

	*before_ds = age > now_ds ? saturated(age - now_ds) : 0;
	return age < now_ds ? now_ds - (uint32_t)age : 0;
}

static void get_mark(struct restoring *restoring, struct entry *entry, int mark)
{
	struct input *in = &restoring->in;
	uint64_t kind = bytes_get(in, 2), weight = bytes_get(in, 4);
	uint32_t before_ds, unused_ds, start_ds = 0;

	entry->at_ds[mark] = ago_ds(restoring, bytes_get(in, 4), &before_ds);
	entry->last_ds[mark] = ago_ds(restoring, bytes_get(in, 4), &unused_ds);
	in->bad |= kind >= restoring->kinds.count;
	if (in->bad || restoring->kinds.numbers[kind] == NAME_GONE)
		return;
	entry->kinds[mark] = (uint8_t)restoring->kinds.numbers[kind];
	entry->weights[mark] =
		decay((uint32_t)weight, &start_ds, restoring->detect->half_life_ds[entry->kinds[mark]], before_ds);
}

static void get_sketch(struct restoring *restoring, struct entry *entry)
{
	uint32_t now_ds = ds_from_us(restoring->detect->now_us), before_ds, whole_ds, start_ds = 0;
	struct input *in = &restoring->in;

	for (int i = 0; i < 2; i++) {
		entry->sketch.now[i] = bytes_get(in, 8);
		entry->sketch.before[i] = bytes_get(in, 8);
	}
	entry->turned_ds = ago_ds(restoring, bytes_get(in, 4), &before_ds);
	/* What is over by now, as if time had gone on from there. */
	whole_ds = saturated((uint64_t)before_ds + now_ds - entry->turned_ds);
	sketch_turn(&entry->sketch, &start_ds,
		    sketch_window_ds(restoring->detect, (enum evidence_subject)entry->slot.subject.kind), whole_ds);
	whole_ds -= start_ds;
	entry->turned_ds = whole_ds < now_ds ? now_ds - whole_ds : 0;
}

static void entry_restore(struct restoring *restoring, const struct entry *from)
{
	struct detect *detect = restoring->detect;
	struct entry *entry = entry_find(detect, &from->slot.subject);
	uint32_t keep_ds = saturated((uint64_t)from->turned_ds +
				     2ull * sketch_window_ds(detect, (enum evidence_subject)from->slot.subject.kind));
	bool pushed_out;

	for (int i = 0; i < DETECT_REASONS_MAXIMUM; i++) {
		uint32_t fades_ds = saturated((uint64_t)from->at_ds[i] +
					      decay_fades_ds(from->weights[i], detect->half_life_ds[from->kinds[i]]));

		if (from->weights[i] && fades_ds > keep_ds)
			keep_ds = fades_ds;
	}
	if (keep_ds <= ds_from_us(detect->now_us))
		return;
	if (!entry)
		entry = sets_place(&detect->entries, subject_hash(detect, &from->slot.subject), &from->slot.subject,
				   ds_from_us(detect->now_us), &pushed_out);
	*entry = *from;
	sets_keep(&detect->entries, entry, keep_ds);
}

static void get_entry(struct restoring *restoring)
{
	struct input *in = &restoring->in;
	struct entry entry = {0};

	get_subject(in, &entry.slot.subject);
	for (int i = 0; i < DETECT_REASONS_MAXIMUM; i++)
		get_mark(restoring, &entry, i);
	get_sketch(restoring, &entry);
	if (restoring->apply && !in->bad)
		entry_restore(restoring, &entry);
}

static void ban_restore(struct detect *detect, const struct ban *from)
{
	uint64_t hash = subject_hash(detect, &from->slot.subject);
	struct ban *ban = ban_find(detect, &from->slot.subject, hash);
	uint64_t keep_us = from->until_us + ban_memory_us(detect);
	bool pushed_out;

	if (keep_us <= detect->now_us)
		return;
	if (!ban)
		ban = sets_place(&detect->bans, hash, &from->slot.subject, ds_from_us(detect->now_us), &pushed_out);
	*ban = *from;
	sets_keep(&detect->bans, ban, ds_from_us(keep_us));
	if (ban->until_us < detect->next_end_us)
		detect->next_end_us = ban->until_us;
}

static void get_ban(struct restoring *restoring)
{
	struct input *in = &restoring->in;
	uint64_t now_us = restoring->detect->now_us, control, kind, age_us, duration_us;
	struct ban ban = {0};

	get_subject(in, &ban.slot.subject);
	control = bytes_get(in, 2);
	kind = bytes_get(in, 2);
	ban.action = (uint8_t)bytes_get(in, 1);
	ban.flags = (uint8_t)bytes_get(in, 1);
	ban.sum = (uint32_t)bytes_get(in, 4);
	ban.threshold = (uint32_t)bytes_get(in, 4);
	ban.level = (uint32_t)bytes_get(in, 4);
	age_us = bytes_get(in, 8);
	duration_us = bytes_get(in, 8);
	in->bad |= control >= restoring->controls.count || kind >= restoring->kinds.count ||
		   ban.action >= ACTION_COUNT || ban.flags > BAN_FLAGS || ban.level > BAN_LEVEL_MAXIMUM ||
		   age_us > UINT64_MAX / 4 || duration_us > UINT64_MAX / 4;
	if (!restoring->apply || in->bad || restoring->controls.numbers[control] == NAME_GONE ||
	    restoring->kinds.numbers[kind] == NAME_GONE)
		return;
	ban.control = (uint8_t)restoring->controls.numbers[control];
	ban.kind = (uint8_t)restoring->kinds.numbers[kind];
	age_us += restoring->passed_us;
	ban.since_us = age_us < now_us ? now_us - age_us : 0;
	ban.until_us = now_us + duration_us > age_us ? now_us + duration_us - age_us : 0;
	ban_restore(restoring->detect, &ban);
}

/* A clock that was set back: no time has passed. */
static uint64_t passed_us(int64_t written_s, int64_t wall_s)
{
	uint64_t passed_s = wall_s > written_s ? (uint64_t)wall_s - (uint64_t)written_s : 0;

	return (passed_s < UINT32_MAX ? passed_s : UINT32_MAX) * 1000000;
}

static int read_all(struct restoring *restoring, struct span bytes, int64_t wall_s)
{
	struct input *in = &restoring->in;
	uint16_t kinds, controls;
	int64_t written_s;

	*in = (struct input){bytes.data, bytes.length - CHECK_BYTES, false};
	in->bad = bytes_get(in, 8) != MAGIC;
	written_s = (int64_t)bytes_get(in, 8);
	restoring->passed_us = passed_us(written_s, wall_s);
	kinds = (uint16_t)bytes_get(in, 2);
	controls = (uint16_t)bytes_get(in, 2);
	restoring->entries = (uint32_t)bytes_get(in, 4);
	restoring->bans = (uint32_t)bytes_get(in, 4);
	names_get_kinds(in, kinds, &restoring->kinds);
	names_get_controls(in, controls, &restoring->controls);
	for (uint32_t i = 0; i < restoring->entries && !in->bad; i++)
		get_entry(restoring);
	for (uint32_t i = 0; i < restoring->bans && !in->bad; i++)
		get_ban(restoring);
	return in->bad || in->left ? -EPROTO : 0;
}

int detect_restore(struct detect *detect, uint64_t now_us, int64_t wall_s, struct span bytes)
{
	struct restoring restoring = {.detect = detect};
	struct input check;
	int error;

	if (bytes.length < HEAD_BYTES + CHECK_BYTES)
		return -EPROTO;
	check = (struct input){bytes.data + bytes.length - CHECK_BYTES, CHECK_BYTES, false};
	if (bytes_get(&check, CHECK_BYTES) != hash_bytes(detect->key, bytes.data, bytes.length - CHECK_BYTES))
		return -EBADMSG;
	if (now_us > detect->now_us)
		detect->now_us = now_us;
	error = read_all(&restoring, bytes, wall_s);
	if (error)
		return error;
	restoring.apply = true;
	return read_all(&restoring, bytes, wall_s);
}
