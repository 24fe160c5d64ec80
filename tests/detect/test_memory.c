/* SPDX-License-Identifier: Apache-2.0
 * Weights fade as they should however often they are looked at, sketches count, sets push out what fades first. */
#include "detect/private.h"
#include "kit.h"

#include "base/memory.h"

static void weights_halve(void **state)
{
	uint32_t at_ds = 1000;

	(void)state;
	assert_int_equal(decay(25600, &at_ds, 600, 1000), 25600);
	assert_int_equal(decay(25600, &at_ds, 600, 1600), 12800);
	assert_int_equal(at_ds, 1600);
	assert_int_equal(decay(12800, &at_ds, 600, 1000), 12800); /* time that runs backwards */
	assert_int_equal(decay(12800, &at_ds, 600, 1600 + 600 * 40), 0);
}

/* A flood that is counted every tenth of a second must not stop its own fading, nor fade much faster. */
static void many_short_waits_are_one_long_one(void **state)
{
	const uint32_t half_lives[] = {100, 600, 6000, 36000, 864000};

	(void)state;
	for (size_t i = 0; i < sizeof(half_lives) / sizeof(half_lives[0]); i++) {
		uint32_t at_ds = 0, weight = 256000;

		for (uint32_t now_ds = 0; now_ds <= half_lives[i]; now_ds++)
			weight = decay(weight, &at_ds, half_lives[i], now_ds);
		assert_in_range(weight, 128000 * 95 / 100, 128000 * 104 / 100);
	}
}

static void fading_ends_when_it_says(void **state)
{
	(void)state;
	for (uint32_t weight = 1; weight < 100 * WEIGHT_ONE; weight += 37) {
		uint32_t at_ds = 0;

		assert_true(decay(weight, &at_ds, 600, decay_fades_ds(weight, 600)) < WEIGHT_ONE);
	}
}

static void sketches_count_different_ones(void **state)
{
	struct sketch sketch = {{0}, {0}};
	uint32_t turned_ds = 0;

	(void)state;
	assert_int_equal(sketch_estimate(&sketch), 0);
	for (uint32_t n = 1; n <= 200; n++) {
		for (int again = 0; again < 3; again++)
			sketch_add(&sketch, kit_name("sketch", n));
		assert_in_range(sketch_estimate(&sketch), n * 7 / 10, n * 14 / 10 + 1);
	}
	sketch_turn(&sketch, &turned_ds, 100, 150);
	assert_in_range(sketch_estimate(&sketch), 140, 280);
	assert_int_equal(turned_ds, 100);
	sketch_turn(&sketch, &turned_ds, 100, 250);
	assert_int_equal(sketch_estimate(&sketch), 0);
	for (uint32_t n = 0; n < 100000; n++)
		sketch_add(&sketch, kit_name("sketch", n));
	assert_int_equal(sketch_estimate(&sketch), SKETCH_MAXIMUM);
}

static void sets_push_out_what_fades_first(void **state)
{
	struct address address = kit_address("192.0.2.1");
	struct sets sets;
	struct slot *slot;
	bool pushed_out;

	(void)state;
	assert_int_equal(sets_init(&sets, 1, sizeof(struct slot)), 0);
	assert_int_equal(sets_count(&sets), SET_WAYS);
	for (uint32_t i = 0; i < SET_WAYS; i++) {
		struct detect_subject subject = detect_subject(SUBJECT_ACCOUNT, &address, i + 1);

		slot = sets_place(&sets, i * 0x100000000ull, &subject, 0, &pushed_out);
		assert_false(pushed_out);
		sets_keep(&sets, slot, i == 5 ? 10 : 100);
		assert_int_equal(sets_kept(&sets, slot), i == 5 ? 10 : 100);
	}
	for (uint32_t i = 0; i < SET_WAYS; i++) {
		struct detect_subject subject = detect_subject(SUBJECT_ACCOUNT, &address, i + 1);

		slot = sets_find(&sets, i * 0x100000000ull, &subject);
		assert_int_equal(slot->subject.number, i + 1);
	}
	slot = sets_place(&sets, 9, &(struct detect_subject){.kind = SUBJECT_ACCOUNT, .number = 99}, 5, &pushed_out);
	assert_true(pushed_out);
	assert_int_equal(slot->subject.number, 99);
	assert_null(
		sets_find(&sets, 5 * 0x100000000ull, &(struct detect_subject){.kind = SUBJECT_ACCOUNT, .number = 6}));
	sets_remove(&sets, slot);
	assert_null(sets_find(&sets, 9, &(struct detect_subject){.kind = SUBJECT_ACCOUNT, .number = 99}));
	sets_clear(&sets);
}

/* With one set for each, a table half full would have lost many by now. */
static void two_choices_lose_nobody(void **state)
{
	struct sets sets;
	bool pushed_out;

	(void)state;
	assert_int_equal(sets_init(&sets, 65536, sizeof(struct slot)), 0);
	for (uint32_t i = 0; i < 32768; i++) {
		struct detect_subject subject = {.kind = SUBJECT_ACCOUNT, .number = i + 1};
		struct slot *slot =
			sets_place(&sets, hash_bytes(kit_key, &subject, sizeof(subject)), &subject, 0, &pushed_out);

		sets_keep(&sets, slot, 1);
		assert_false(pushed_out);
	}
	sets_clear(&sets);
}

/* One hash, two subjects: only the whole subject counts. */
static void equal_hashes_are_told_apart(void **state)
{
	struct detect_subject a = {.kind = SUBJECT_ACCOUNT, .number = 1}, b = {.kind = SUBJECT_ACCOUNT, .number = 2};
	struct sets sets;
	bool pushed_out;

	(void)state;
	assert_int_equal(sets_init(&sets, 64, sizeof(struct slot)), 0);
	sets_place(&sets, 12345, &a, 0, &pushed_out);
	assert_null(sets_find(&sets, 12345, &b));
	assert_non_null(sets_find(&sets, 12345, &a));
	sets_clear(&sets);
}

static void subjects_hold_what_counts_alone(void **state)
{
	const struct {
		enum evidence_subject kind;
		const char *address, *text;
	} rows[] = {
		{SUBJECT_TRANSPORT_ADDRESS, "192.0.2.9:5060", "192.0.2.9:5060"},
		{SUBJECT_ADDRESS, "192.0.2.9:5060", "192.0.2.9"},
		{SUBJECT_PREFIX, "192.0.2.9:5060", "192.0.2.0/24"},
		{SUBJECT_ADDRESS, "[2001:db8::1:2:3:4]:9", "[2001:db8::1:2:3:4]"},
		{SUBJECT_PREFIX, "[2001:db8::1:2:3:4]:9", "[2001:db8::]/64"},
		{SUBJECT_ACCOUNT, "192.0.2.9:5060", "account 00000000000000ff"},
		{SUBJECT_ACCOUNT_AT, "192.0.2.9:5060", "account 00000000000000ff at 192.0.2.9"},
		{SUBJECT_ACCOUNT_AT, "[2001:db8::1:2:3:4]:9", "account 00000000000000ff at [2001:db8::]/64"},
		{SUBJECT_CONNECTION, "192.0.2.9:5060", "connection 00000000000000ff of 192.0.2.9:5060"},
		{SUBJECT_UNPROVEN, "192.0.2.9:5060", "unproven sources"},
	};
	char text[DETECT_SUBJECT_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address address = kit_address(rows[i].address);
		struct detect_subject subject = detect_subject(rows[i].kind, &address, 255);

		assert_true(subject_is_valid(&subject));
		assert_string_equal(detect_subject_text(&subject, text), rows[i].text);
		subject.address.ip[15] ^= 1;
		subject.reserved = 1;
		assert_false(subject_is_valid(&subject));
	}
}

static void every_kind_has_a_place(void **state)
{
	(void)state;
	for (int kind = 0; kind < EVIDENCE_KIND_COUNT; kind++) {
		const struct evidence_row *row = evidence_row((enum evidence_kind)kind);
		const struct kind_role *role = kind_role((enum evidence_kind)kind);

		assert_true(row->half_life_s > 0);
		if (row->subject == SUBJECT_NONE || role->good)
			assert_int_equal(role->control, CONTROL_COUNT);
		else
			assert_true(role->control < CONTROL_COUNT);
		/* Rows that were forgotten would all be scans. */
		if (role->control == CONTROL_SCAN)
			assert_true(row->level != EVIDENCE_CONTENT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_halve),
		cmocka_unit_test(many_short_waits_are_one_long_one),
		cmocka_unit_test(fading_ends_when_it_says),
		cmocka_unit_test(sketches_count_different_ones),
		cmocka_unit_test(sets_push_out_what_fades_first),
		cmocka_unit_test(two_choices_lose_nobody),
		cmocka_unit_test(equal_hashes_are_told_apart),
		cmocka_unit_test(subjects_hold_what_counts_alone),
		cmocka_unit_test(every_kind_has_a_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
