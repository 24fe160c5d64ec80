/* SPDX-License-Identifier: Apache-2.0
 * Every control fires when it has had enough, not one finding sooner, not for what has faded, not when it is off. */
#include "kit.h"

/* One source, one kind of finding, again and again. */
static const struct row {
	enum protection_control control;
	enum evidence_kind kind;
	enum evidence_subject subject;
	enum protection_action action;
	uint32_t needed;
	uint64_t connection, session, account, target;
} rows[] = {
	{CONTROL_SCAN, EVIDENCE_SIP_SCANNER, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK, 2, 0, 0, 0, 0},
	{CONTROL_SCAN, EVIDENCE_SIP_SCANNER, SUBJECT_CONNECTION, ACTION_CUT, 2, 9, 0, 0, 0},
	{CONTROL_SCAN, EVIDENCE_CALL_NO_DIALOG, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK, 34, 0, 0, 0, 7},
	{CONTROL_SCAN, EVIDENCE_NET_STRANGER, SUBJECT_ADDRESS, ACTION_BLOCK, 10, 9, 0, 0, 0},
	{CONTROL_GUESS, EVIDENCE_CALL_PASSWORD, SUBJECT_ACCOUNT_AT, ACTION_REFUSE, 10, 0, 0, 7, 0},
	{CONTROL_GUESS, EVIDENCE_CALL_NONCE, SUBJECT_ACCOUNT_AT, ACTION_REFUSE, 10, 9, 0, 7, 0},
	{CONTROL_GUESS, EVIDENCE_CALL_NONCE, SUBJECT_CONNECTION, ACTION_CUT, 10, 9, 0, 0, 0},
	{CONTROL_MALFORMED, EVIDENCE_SIP_MALFORMED, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK, 10, 0, 0, 0, 0},
	{CONTROL_MALFORMED, EVIDENCE_SIP_HOSTILE, SUBJECT_CONNECTION, ACTION_CUT, 2, 9, 0, 0, 0},
	{CONTROL_MALFORMED, EVIDENCE_NET_FRAMES, SUBJECT_ADDRESS, ACTION_BLOCK, 10, 9, 0, 0, 0},
	{CONTROL_FLOOD, EVIDENCE_NET_FLOOD, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK, 20, 0, 0, 0, 0},
	{CONTROL_FLOOD, EVIDENCE_CALL_LOOP, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK, 20, 0, 0, 0, 0},
	{CONTROL_HANDSHAKE, EVIDENCE_NET_HANDSHAKE, SUBJECT_ADDRESS, ACTION_REFUSE, 1000, 0, 0, 0, 0},
	{CONTROL_HANDSHAKE, EVIDENCE_NET_SLOW, SUBJECT_ADDRESS, ACTION_REFUSE, 100, 0, 0, 0, 0},
	{CONTROL_MEDIA, EVIDENCE_MEDIA_SIZE, SUBJECT_CALL, ACTION_REPORT, 50, 0, 3, 0, 0},
	{CONTROL_MEDIA, EVIDENCE_MEDIA_STUN, SUBJECT_TRANSPORT_ADDRESS, ACTION_REPORT, 250, 0, 3, 0, 0},
	{CONTROL_FORGED, EVIDENCE_CALL_FORGED, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK, 5, 0, 0, 0, 0},
	{CONTROL_FORGED, EVIDENCE_CALL_CHALLENGE, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK, 2, 0, 0, 0, 0},
	{CONTROL_HIJACK, EVIDENCE_CALL_MOVED, SUBJECT_ACCOUNT, ACTION_REPORT, 5, 0, 0, 7, 0},
	{CONTROL_HIJACK, EVIDENCE_CALL_CONTACTS, SUBJECT_ACCOUNT_AT, ACTION_REPORT, 10, 0, 0, 7, 0},
	{CONTROL_CALLEE, EVIDENCE_CALL_CALLEE, SUBJECT_ADDRESS_OF_RECORD, ACTION_SLOW, 20, 0, 0, 0, 7},
	{CONTROL_UNPROVEN, EVIDENCE_NET_UNPROVEN, SUBJECT_UNPROVEN, ACTION_SLOW, 1000, 0, 0, 0, 0},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct evidence finding_of(const struct kit *kit, const struct row *row)
{
	struct address source = kit_address("198.51.100.7:5062");
	struct evidence evidence = kit_finding(kit, row->kind, &source, row->account, row->target);

	evidence.connection = row->connection;
	evidence.session = row->session;
	return evidence;
}

static void each_fires_at_its_threshold(void **state)
{
	static struct kit kit;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		const struct detect_verdict *verdict;

		kit_init(&kit);
		kit_start(&kit);
		assert_int_equal(kit_put_until(&kit, finding_of(&kit, row), 2000), row->needed);
		verdict = kit_expect(&kit, row->control, row->subject, row->action);
		assert_int_equal(kit.count, 1);
		assert_int_equal(verdict->kind, row->kind);
		assert_true(verdict->sum >= verdict->threshold);
		assert_int_equal(verdict->until_us - verdict->since_us, MINUTE);
		assert_false(verdict->dry_run || verdict->never);
		kit_stop(&kit);
	}
}

static void each_forgets(void **state)
{
	static struct kit kit;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		kit_init(&kit);
		kit_start(&kit);
		for (int round = 0; round < 4; round++) {
			assert_int_equal(kit_put_until(&kit, finding_of(&kit, &rows[i]), rows[i].needed - 1), 0);
			kit.now_us += 12 * SECOND * evidence_row(rows[i].kind)->half_life_s;
		}
		kit_stop(&kit);
	}
}

static void what_is_off_does_nothing(void **state)
{
	static struct kit kit;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		kit_init(&kit);
		kit.policy.controls[rows[i].control].verdict = ACTION_OFF;
		kit_start(&kit);
		assert_int_equal(kit_put_until(&kit, finding_of(&kit, &rows[i]), 5 * rows[i].needed), 0);
		kit_stop(&kit);
	}
}

/* Said, all of it, and nothing else: nobody is kept out. */
static void dry_runs_are_said_alone(void **state)
{
	static struct kit kit;

	(void)state;
	for (size_t i = 0; i < 2 * ROWS; i++) {
		const struct row *row = &rows[i % ROWS];
		struct evidence evidence;
		struct detect_question question = {.proven = i % 2};
		struct detect_verdict verdict;

		kit_init(&kit);
		kit.policy.dry_run = i >= ROWS;
		kit.policy.controls[row->control].dry_run = i < ROWS;
		kit_start(&kit);
		evidence = finding_of(&kit, row);
		assert_int_equal(kit_put_until(&kit, evidence, 2000), row->needed);
		assert_true(kit_expect(&kit, row->control, row->subject, row->action)->dry_run);
		/* As if it had been done: what would have been stopped does not widen. */
		if (row->action >= ACTION_REFUSE)
			assert_int_equal(kit_put_until(&kit, evidence, 10 * row->needed), 0);
		question.source = evidence.source;
		question.connection = evidence.connection;
		question.account = evidence.account;
		question.target = evidence.target;
		assert_false(detect_find(kit.detect, &question, kit.now_us, &verdict));
		kit_stop(&kit);
	}
}

/* The same findings without a proof weigh on nobody (THREATS F4). */
static void unproven_findings_blame_nobody(void **state)
{
	static struct kit kit;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		struct evidence evidence;

		kit_init(&kit);
		kit_start(&kit);
		evidence = finding_of(&kit, &rows[i]);
		evidence.proven = false;
		for (uint32_t n = 0; n < 20 * rows[i].needed; n++)
			detect_put(kit.detect, &evidence);
		for (uint32_t n = 0; n < kit.count && n < VERDICTS_MAXIMUM; n++) {
			assert_int_equal(kit.verdicts[n].subject.kind, SUBJECT_UNPROVEN);
			assert_int_equal(kit.verdicts[n].action, ACTION_SLOW);
		}
		assert_true(kit_is_let_in(&kit, &evidence.source, evidence.account));
		kit_stop(&kit);
	}
}

/* Names that are asked for: few often is no harvest, many once is one. */
static void harvests_are_seen_by_how_many(void **state)
{
	static struct kit kit;
	struct address source = kit_address("198.51.100.7:5062");
	uint32_t tried = 0;

	(void)state;
	kit_init(&kit);
	kit.policy.controls[CONTROL_SCAN].verdict = ACTION_OFF;
	kit_start(&kit);
	for (uint32_t n = 0; n < 500; n++)
		kit_put(&kit, EVIDENCE_CALL_USER, &source, 0, kit_name("phones", n % 5));
	assert_int_equal(kit.count, 0);
	while (!kit.count && tried < 100)
		kit_put(&kit, EVIDENCE_CALL_USER, &source, 0, kit_name("phones", ++tried));
	kit_expect(&kit, CONTROL_HARVEST, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK);
	assert_in_range(tried, 12, 19);
	kit_stop(&kit);
}

/* Eight hours of one user every five minutes weigh too little for a scan; the names tell. */
static void slow_sweeps_are_seen(void **state)
{
	static struct kit kit;
	struct address source = kit_address("198.51.100.7:5062");

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t n = 0; n < 96 && !kit.count; n++) {
		kit_put(&kit, EVIDENCE_CALL_USER, &source, 0, kit_name("phones", n));
		kit_wait(&kit, 5 * MINUTE);
	}
	kit_expect(&kit, CONTROL_HARVEST, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK);
	kit_stop(&kit);
}

/* What media drops and what may come from anybody ends no call (past faults: a hundred wrong tags, one packet twice). */
static void forged_and_replayed_media_end_no_call(void **state)
{
	const enum evidence_kind kinds[] = {EVIDENCE_MEDIA_FORGED, EVIDENCE_MEDIA_REPLAYED, EVIDENCE_MEDIA_DIRECTION,
					    EVIDENCE_MEDIA_BYE,    EVIDENCE_MEDIA_PART,     EVIDENCE_SIP_SLIGHT};
	static struct kit kit;
	struct address source = kit_address("198.51.100.7:5062");

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct evidence evidence = kit_finding(&kit, kinds[i], &source, 0, 0);

		evidence.session = 3;
		evidence.count = 100000;
		assert_int_equal(kit_put_until(&kit, evidence, 1000), 0);
	}
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fires_at_its_threshold),
		cmocka_unit_test(each_forgets),
		cmocka_unit_test(what_is_off_does_nothing),
		cmocka_unit_test(dry_runs_are_said_alone),
		cmocka_unit_test(unproven_findings_blame_nobody),
		cmocka_unit_test(harvests_are_seen_by_how_many),
		cmocka_unit_test(slow_sweeps_are_seen),
		cmocka_unit_test(forged_and_replayed_media_end_no_call),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
