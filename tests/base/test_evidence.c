/* SPDX-License-Identifier: Apache-2.0
 * Evidence: what it weighs, and what the sink keeps of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/evidence.h"

static void test_rows(void **state)
{
	(void)state;
	for (int kind = 0; kind < EVIDENCE_KIND_COUNT; kind++) {
		const struct evidence_row *row = evidence_row((enum evidence_kind)kind);

		assert_true(row->weight <= 100);
		assert_true(row->level < EVIDENCE_LEVEL_COUNT);
		assert_true(row->subject < SUBJECT_COUNT);
		assert_true(row->half_life_s > 0);
		assert_true(strlen(row->name) < 32); /* as dumps have room */
		for (int other = 0; other < kind; other++)
			assert_string_not_equal(row->name, evidence_row((enum evidence_kind)other)->name);
	}
}

/* F4: forged packets can get nobody blocked. */
static void test_unproven_weighs_nothing(void **state)
{
	struct evidence evidence = {.kind = EVIDENCE_MEDIA_FORGED, .count = 3};

	(void)state;
	assert_int_equal(evidence_weight(&evidence), 0);
	evidence.proven = true;
	assert_int_equal(evidence_weight(&evidence), 3 * evidence_row(EVIDENCE_MEDIA_FORGED)->weight);
	evidence.count = UINT32_MAX;
	assert_int_equal(evidence_weight(&evidence), UINT32_MAX);
}

static void test_sink_counts(void **state)
{
	struct evidence evidence = {.kind = EVIDENCE_MEDIA_SIZE, .count = 2};
	struct evidence_sink sink = {0};

	(void)state;
	log_setup("test", LOG_WARNING);
	assert_int_equal(address_parse(span_from("192.0.2.1:4000"), &evidence.source), 0);
	evidence_put(&sink, &evidence);
	evidence_put(&sink, &evidence);
	assert_int_equal(sink.counts[EVIDENCE_MEDIA_SIZE], 4);
	evidence.kind = EVIDENCE_KIND_COUNT;
	evidence_put(&sink, &evidence);
	for (int kind = 0; kind < EVIDENCE_KIND_COUNT; kind++)
		assert_int_equal(sink.counts[kind], kind == EVIDENCE_MEDIA_SIZE ? 4 : 0);
}

/* Accounts of two zones are two; who does not have the key cannot try names. */
static void test_names_are_hashed(void **state)
{
	static const uint8_t key[HASH_KEY_BYTES] = "one", other[HASH_KEY_BYTES] = "two";
	uint64_t hash = evidence_hash(key, SPAN("phones"), SPAN("alice"));

	(void)state;
	assert_true(hash == evidence_hash(key, SPAN("phones"), SPAN("alice")));
	assert_true(hash != evidence_hash(key, SPAN("phones"), SPAN("bob")));
	assert_true(hash != evidence_hash(key, SPAN("phonesa"), SPAN("lice")));
	assert_true(hash != evidence_hash(key, SPAN("office"), SPAN("alice")));
	assert_true(hash != evidence_hash(other, SPAN("phones"), SPAN("alice")));
	assert_true(evidence_hash(key, SPAN_EMPTY, SPAN_EMPTY) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_unproven_weighs_nothing),
		cmocka_unit_test(test_sink_counts),
		cmocka_unit_test(test_names_are_hashed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
