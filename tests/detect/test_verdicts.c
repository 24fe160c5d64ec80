/* SPDX-License-Identifier: Apache-2.0
 * Verdicts: how long they hold, whom they never touch, how they are asked for, undone and repeated. */
#include "kit.h"

#include <errno.h>

#include "base/memory.h"

static struct address attacker(void)
{
	return kit_address("198.51.100.7:5062");
}

/* Until the source is blocked. */
static void scan(struct kit *kit, const struct address *source)
{
	assert_true(kit_put_until(kit, kit_finding(kit, EVIDENCE_SIP_SCANNER, source, 0, 0), 100) > 0);
}

/* ---- Time ---- */

static void each_time_takes_longer(void **state)
{
	const uint64_t minutes[] = {1, 10, 100, 1000, 1440, 1440};
	static struct kit kit;
	struct address source = attacker();

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
		scan(&kit, &source);
		assert_int_equal(kit.count, i + 1);
		assert_int_equal(kit.verdicts[i].level, i);
		assert_int_equal(kit.verdicts[i].until_us - kit.verdicts[i].since_us, minutes[i] * MINUTE);
		assert_false(kit_is_let_in(&kit, &source, 0));
		kit_wait(&kit, minutes[i] * MINUTE);
		assert_true(kit_is_let_in(&kit, &source, 0));
		assert_int_equal(kit.ended[DETECT_EXPIRED], i + 1);
	}
	kit_wait(&kit, DAY + 2 * MINUTE);
	kit_forget_told(&kit);
	scan(&kit, &source);
	assert_int_equal(kit.verdicts[0].level, 0); /* a day of peace, and it begins anew */
	kit_stop(&kit);
}

/* Each that was told ends once, whether a tick or the next one comes first. */
static void every_verdict_ends_once(void **state)
{
	static struct kit kit;
	struct address source = attacker();

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t i = 0; i < 6; i++) {
		scan(&kit, &source);
		kit.now_us = kit.verdicts[i].until_us;
		if (i % 2)
			detect_tick(kit.detect, kit.now_us);
		assert_int_equal(kit.ended[DETECT_EXPIRED], i % 2 ? i + 1 : i);
	}
	detect_tick(kit.detect, kit.now_us + 10 * DAY);
	assert_int_equal(kit.ended[DETECT_EXPIRED], 6);
	kit_stop(&kit);
}

/* Whoever is called does not become harder to reach for a stranger's patience. */
static void pacing_does_not_grow(void **state)
{
	static struct kit kit;
	struct address source = attacker();

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t i = 0; i < 10; i++) {
		kit_put_until(&kit, kit_finding(&kit, EVIDENCE_CALL_CALLEE, &source, 0, kit_name("phones", 1)), 100);
		assert_int_equal(kit.count, i + 1);
		assert_int_equal(kit.verdicts[i].until_us - kit.verdicts[i].since_us, MINUTE);
		kit_wait(&kit, MINUTE);
	}
	kit_stop(&kit);
}

/* A worker that gathers five thousand equal drops tells of one burst, which ends no call; a stream of bursts does. */
static void a_burst_is_no_crime(void **state)
{
	static struct kit kit;
	struct address source = attacker();
	struct evidence evidence;
	uint32_t needed;

	(void)state;
	kit_init(&kit);
	kit.policy.controls[CONTROL_MEDIA].verdict = ACTION_CUT;
	kit_start(&kit);
	evidence = kit_finding(&kit, EVIDENCE_MEDIA_RATE, &source, 0, 0);
	evidence.session = 3;
	evidence.count = 5000;
	needed = kit_put_until(&kit, evidence, 100);
	assert_in_range(needed, 5, 20);
	kit_expect(&kit, CONTROL_MEDIA, SUBJECT_CALL, ACTION_CUT);
	kit_stop(&kit);
}

/* The kernel drops what is blocked, and of nothing else it can say that it goes on. */
static void only_blocks_are_prolonged(void **state)
{
	static struct kit kit;
	struct address source = attacker();
	struct evidence evidence;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_NET_SLOW, &source, 0, 0), 200) > 0);
	kit_expect(&kit, CONTROL_HANDSHAKE, SUBJECT_ADDRESS, ACTION_REFUSE);
	kit_wait(&kit, 50 * SECOND);
	evidence = kit_finding(&kit, EVIDENCE_KERNEL_BLOCKED, &source, 0, 0);
	assert_int_equal(kit_put_until(&kit, evidence, 100), 0);
	kit_stop(&kit);
}

static void the_owner_says_how_long(void **state)
{
	static struct kit kit;
	struct address source = attacker();

	(void)state;
	kit_init(&kit);
	kit.policy.expiry.first_s = 5;
	kit.policy.expiry.factor = 1;
	kit.policy.expiry.maximum_s = 600;
	kit_start(&kit);
	for (uint32_t i = 0; i < 100; i++) {
		scan(&kit, &source);
		assert_int_equal(kit.verdicts[i].until_us - kit.verdicts[i].since_us, 5 * SECOND);
		kit_wait(&kit, 5 * SECOND);
	}
	kit_stop(&kit);
}

static void half_lives_of_the_policy_go_before_the_kinds(void **state)
{
	static struct kit kit;
	struct address source = attacker();

	(void)state;
	kit_init(&kit);
	kit.policy.controls[CONTROL_SCAN].half_life_s = 1;
	kit_start(&kit);
	for (int i = 0; i < 100; i++) {
		kit_put(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0);
		kit_wait(&kit, 10 * SECOND);
	}
	assert_int_equal(kit.count, 0);
	kit_stop(&kit);
}

/* A finding of the past, from another process, is taken as of now; nothing runs backwards. */
static void time_never_runs_backwards(void **state)
{
	static struct kit kit;
	struct address source = attacker();
	struct evidence evidence;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	kit_put(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0);
	evidence = kit_finding(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0);
	evidence.time_us = 3;
	detect_put(kit.detect, &evidence);
	assert_int_equal(kit.count, 1);
	assert_int_equal(kit.verdicts[0].since_us, kit.now_us);
	kit_stop(&kit);
}

/* ---- Never ---- */

static void the_never_block_list_is_heeded(void **state)
{
	const char *never[] = {"198.51.100.7", "198.51.100.0/24", "198.51.0.0/16", "0.0.0.0/0"};
	static struct kit kit;
	struct address source = attacker(), other = kit_address("203.0.113.1:5060");

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		kit_init(&kit);
		assert_int_equal(protection_prefix_parse(span_from(never[i]), &kit.policy.never[0]), 0);
		kit.policy.never_count = 1;
		kit_start(&kit);
		scan(&kit, &source);
		assert_true(kit.verdicts[0].never);
		assert_true(kit_is_let_in(&kit, &source, 0));
		kit_put_until(&kit, kit_finding(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0), 1000);
		/* Nothing stops it, so it is said of the address, too. */
		assert_int_equal(kit.verdicts[1].subject.kind, SUBJECT_ADDRESS);
		for (uint32_t n = 0; n < kit.count && n < VERDICTS_MAXIMUM; n++)
			assert_true(kit.verdicts[n].never);
		kit_forget_told(&kit);
		scan(&kit, &other);
		assert_int_equal(kit.verdicts[0].never, i == 3);
		kit_stop(&kit);
	}
}

/* A carrier's address on the list covers what is not an address: its calls, and whom it calls. */
static void what_the_never_blocked_send_is_only_reported(void **state)
{
	const enum evidence_kind kinds[] = {EVIDENCE_MEDIA_SIZE, EVIDENCE_CALL_CALLEE, EVIDENCE_CALL_PASSWORD};
	static struct kit kit;
	struct address source = attacker(), other = kit_address("203.0.113.1:5060");
	struct detect_question question = {.source = source, .target = 8, .proven = true};
	struct detect_verdict verdict;

	(void)state;
	kit_init(&kit);
	assert_int_equal(protection_prefix_parse(SPAN("198.51.100.7"), &kit.policy.never[0]), 0);
	kit.policy.never_count = 1;
	kit.policy.controls[CONTROL_MEDIA].verdict = ACTION_CUT;
	kit_start(&kit);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct evidence evidence = kit_finding(&kit, kinds[i], &source, 7, 8);

		evidence.session = 9;
		assert_true(kit_put_until(&kit, evidence, 1000) > 0);
		assert_true(kit.verdicts[kit.count - 1].never);
	}
	/* Others may bring about that strangers who call this user are paced, but not the carrier. */
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_CALL_CALLEE, &other, 0, 8), 100) > 0);
	assert_false(kit.verdicts[kit.count - 1].never);
	assert_false(detect_find(kit.detect, &question, kit.now_us, &verdict));
	question.source = other;
	assert_true(detect_find(kit.detect, &question, kit.now_us, &verdict));
	kit_stop(&kit);
}

/* An owner who finds himself blocked puts himself on the list, and is let in. */
static void who_is_put_on_the_list_is_let_go(void **state)
{
	static struct kit kit;
	struct address source = attacker(), other = kit_address("203.0.113.1:5060");

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	scan(&kit, &source);
	scan(&kit, &other);
	assert_int_equal(protection_prefix_parse(SPAN("198.51.100.0/24"), &kit.policy.never[0]), 0);
	kit.policy.never_count = 1;
	assert_int_equal(detect_policy_set(kit.detect, &kit.policy), 0);
	assert_int_equal(kit.ended[DETECT_FORGOTTEN], 1);
	assert_true(kit_is_let_in(&kit, &source, 0));
	assert_false(kit_is_let_in(&kit, &other, 0));
	kit_stop(&kit);
}

/* No prefix is blocked that has one of them in it. */
static void a_prefix_around_a_never_blocked_address_is_spared(void **state)
{
	static struct kit kit;
	bool seen = false;

	(void)state;
	kit_init(&kit);
	assert_int_equal(protection_prefix_parse(SPAN("198.51.100.250"), &kit.policy.never[0]), 0);
	kit.policy.never_count = 1;
	kit_start(&kit);
	for (uint32_t n = 1; n < 40; n++) {
		struct address source = kit_address("198.51.100.0:5060");

		source.ip[3] = (uint8_t)n;
		for (; source.port < 5100; source.port++)
			kit_put(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0);
	}
	for (uint32_t i = 0; i < kit.count && i < VERDICTS_MAXIMUM; i++) {
		if (kit.verdicts[i].subject.kind != SUBJECT_PREFIX)
			continue;
		seen = true;
		assert_true(kit.verdicts[i].never);
	}
	assert_true(seen);
	kit_stop(&kit);
}

/* ---- Questions ---- */

static void why_says_what_led_to_it(void **state)
{
	static struct kit kit;
	struct address source = attacker();
	struct detect_subject place = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &source, 0);
	struct detect_account why;
	struct detect_verdict verdict;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	assert_false(detect_why(kit.detect, &place, kit.now_us, &why));
	kit_put(&kit, EVIDENCE_CALL_USER, &source, 0, kit_name("phones", 1));
	kit_wait(&kit, HOUR);
	for (uint32_t n = 0; n < 3; n++)
		kit_put(&kit, EVIDENCE_CALL_USER, &source, 0, kit_name("phones", n));
	kit_put(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0);
	assert_true(detect_why(kit.detect, &place, kit.now_us, &why));
	assert_int_equal(why.reason_count, 2);
	assert_int_equal(why.reasons[0].kind, EVIDENCE_SIP_SCANNER);
	assert_int_equal(why.reasons[0].weight, 50 * 256);
	assert_int_equal(why.reasons[0].last_us, kit.now_us);
	assert_int_equal(why.reasons[1].kind, EVIDENCE_CALL_USER);
	assert_in_range(why.reasons[1].weight, 17 * 256, 18 * 256);
	assert_int_equal(why.distinct, 3);
	assert_false(why.known);
	assert_false(detect_verdict_of(kit.detect, &place, kit.now_us, &verdict));
	scan(&kit, &source);
	assert_true(detect_verdict_of(kit.detect, &place, kit.now_us, &verdict));
	assert_memory_equal(&verdict, &kit.verdicts[0], sizeof(verdict));
	kit_stop(&kit);
}

static void count_each(void *context, const struct detect_verdict *verdict)
{
	(void)verdict;
	++*(uint32_t *)context;
}

static void what_holds_is_listed_and_taken_back(void **state)
{
	static struct kit kit;
	struct detect_subject place;
	struct address source = attacker();
	struct detect_statistics statistics;
	uint32_t count = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t n = 0; n < 5; n++) {
		source.ip[2] = (uint8_t)n;
		scan(&kit, &source);
	}
	detect_each(kit.detect, kit.now_us, count_each, &count);
	assert_int_equal(count, 5);
	place = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &source, 0);
	assert_true(detect_forget(kit.detect, &place, kit.now_us));
	assert_int_equal(kit.ended[DETECT_FORGOTTEN], 1);
	assert_true(kit_is_let_in(&kit, &source, 0));
	assert_false(detect_forget(kit.detect, &place, kit.now_us));
	kit_put(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0);
	assert_int_equal(kit.count, 5); /* what led to it is forgotten, too */
	detect_statistics_get(kit.detect, kit.now_us, &statistics);
	assert_int_equal(statistics.verdicts, 5);
	assert_int_equal(statistics.verdicts_in_force, 4);
	assert_int_equal(statistics.findings, 11);
	kit_stop(&kit);
}

/* What is refused already is blocked when it earns that, and both are told. */
static void a_harder_verdict_replaces(void **state)
{
	static struct kit kit;
	struct address source = attacker();

	(void)state;
	kit_init(&kit);
	kit.policy.controls[CONTROL_FLOOD].verdict = ACTION_SLOW;
	kit_start(&kit);
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_NET_FLOOD, &source, 0, 0), 100) > 0);
	kit_expect(&kit, CONTROL_FLOOD, SUBJECT_TRANSPORT_ADDRESS, ACTION_SLOW);
	scan(&kit, &source);
	kit_expect(&kit, CONTROL_SCAN, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK);
	assert_int_equal(kit.ended[DETECT_REPLACED], 1);
	kit_stop(&kit);
}

/* Of all that touches a request the hardest is the answer. */
static void the_hardest_is_found(void **state)
{
	static struct kit kit;
	struct address source = attacker();
	struct detect_question question = {.source = source, .account = 7, .target = 8, .proven = true};
	struct detect_verdict verdict;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	assert_false(detect_find(kit.detect, &question, kit.now_us, &verdict));
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_CALL_CALLEE, &source, 0, 8), 200) > 0);
	assert_true(detect_find(kit.detect, &question, kit.now_us, &verdict));
	assert_int_equal(verdict.action, ACTION_SLOW);
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_CALL_PASSWORD, &source, 7, 0), 200) > 0);
	assert_true(detect_find(kit.detect, &question, kit.now_us, &verdict));
	assert_int_equal(verdict.action, ACTION_REFUSE);
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_NET_SLOW, &source, 0, 0), 200) > 0);
	assert_int_equal(kit.verdicts[2].subject.kind, SUBJECT_ADDRESS);
	question.source.port++;
	question.account = 0;
	assert_true(detect_find(kit.detect, &question, kit.now_us, &verdict));
	assert_int_equal(verdict.control, CONTROL_HANDSHAKE);
	detect_forget(kit.detect, &kit.verdicts[2].subject, kit.now_us);
	scan(&kit, &source);
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_NET_SLOW, &question.source, 0, 0), 200) > 0);
	question.source = source;
	assert_true(detect_find(kit.detect, &question, kit.now_us, &verdict));
	assert_int_equal(verdict.action, ACTION_BLOCK); /* the place, though its address is only refused */
	kit_stop(&kit);
}

/* Phones that come with a new port every hour fill the table with old ones, which go before what is held against an attacker. */
static void old_places_make_room_for_evidence(void **state)
{
	static struct kit kit;
	struct address phone = kit_address("203.0.113.1:1024"), source = attacker();
	struct detect_subject place = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &source, 0);
	struct detect_account why;

	(void)state;
	kit_init(&kit);
	kit.policy.subjects = 1024;
	kit_start(&kit);
	for (uint32_t hour = 0; hour < 200; hour++) {
		if (hour == 190)
			kit_put(&kit, EVIDENCE_CALL_FORGED, &source, 0, 0);
		for (uint32_t n = 0; n < 100; n++) {
			phone.ip[3] = (uint8_t)n;
			phone.port++;
			kit_put(&kit, EVIDENCE_GOOD_REGISTRATION, &phone, kit_name("phones", n), 0);
		}
		kit_wait(&kit, HOUR);
	}
	assert_true(detect_why(kit.detect, &place, kit.now_us, &why));
	for (uint32_t n = 0; n < 100; n++) {
		phone.ip[3] = (uint8_t)n;
		assert_true(detect_is_known(kit.detect, &phone, kit_name("phones", n), kit.now_us));
		assert_true(detect_is_known(kit.detect, &phone, 0, kit.now_us));
	}
	kit_stop(&kit);
}

/* However much that is heavier is held against an address, that somebody is known there is not pushed out by it. */
static void what_speaks_for_somebody_stays(void **state)
{
	const enum evidence_kind kinds[] = {EVIDENCE_SIP_HOSTILE, EVIDENCE_SIP_SCANNER,   EVIDENCE_CALL_CHALLENGE,
					    EVIDENCE_CALL_FORGED, EVIDENCE_SIP_MALFORMED, EVIDENCE_CALL_PASSWORD,
					    EVIDENCE_SIP_FOREIGN};
	static struct kit kit;
	struct address source = attacker();

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	kit_put(&kit, EVIDENCE_GOOD_REGISTRATION, &source, 7, 0);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			source.port++;
			kit_put(&kit, kinds[i], &source, 0, 0);
		}
	}
	assert_int_equal(kit.count, 0);
	assert_true(detect_is_known(kit.detect, &source, 0, kit.now_us));
	kit_stop(&kit);
}

static void nonsense_is_left_out(void **state)
{
	static struct kit kit;
	struct address nobody = {0}, source = attacker();
	struct evidence evidence;
	struct detect_question question = {.proven = true};
	struct detect_verdict verdict;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (int kind = 0; kind <= EVIDENCE_KIND_COUNT + 1; kind++) {
		evidence = kit_finding(&kit, (enum evidence_kind)kind, &nobody, 0, 0);
		for (int i = 0; i < 2000; i++)
			detect_put(kit.detect, &evidence);
		evidence.source = source;
		evidence.count = 0;
		for (int i = 0; i < 2000; i++)
			detect_put(kit.detect, &evidence);
	}
	/* All that nobody can be blamed for is the flood of all unproven ones. */
	for (uint32_t i = 0; i < kit.count; i++)
		assert_int_equal(kit.verdicts[i].control, CONTROL_UNPROVEN);
	assert_false(detect_find(kit.detect, &question, kit.now_us, &verdict));
	kit_stop(&kit);
}

static void policies_out_of_range_are_refused(void **state)
{
	static struct kit kit;
	struct detect_user user = {0};

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (int i = 0; i < 6; i++) {
		struct protection policy = kit.policy;

		switch (i) {
		case 0: policy.controls[CONTROL_SCAN].threshold = 0; break;
		case 1: policy.controls[CONTROL_SCAN].verdict = ACTION_COUNT; break;
		case 2: policy.expiry.first_s = 0; break;
		case 3: policy.expiry.factor = 0; break;
		case 4: policy.expiry.maximum_s = policy.expiry.first_s - 1; break;
		default: policy.never_count = PROTECTION_NEVER_MAXIMUM + 1;
		}
		assert_null(detect_new(&policy, kit_key, &user));
		assert_int_equal(detect_policy_set(kit.detect, &policy), -EINVAL);
	}
	assert_int_equal(detect_policy_set(kit.detect, &kit.policy), 0);
	kit_stop(&kit);
}

static void without_memory_there_is_none(void **state)
{
	static struct kit kit;
	struct detect_user user = {0};

	(void)state;
	kit_init(&kit);
	for (long n = 0; n < 5; n++) {
		memory_fail_after(n);
		assert_null(detect_new(&kit.policy, kit_key, &user));
	}
	memory_fail_after(5);
	kit.detect = detect_new(&kit.policy, kit_key, &user);
	memory_fail_after(-1);
	assert_non_null(kit.detect);
	kit_stop(&kit);
}

/* ---- The same again ---- */

/* Some weeks of this and that, the same for the same seed. */
static void play(struct kit *kit, uint64_t seed)
{
	struct random_source random = random_seeded(&seed);

	for (uint32_t i = 0; i < 60000; i++) {
		uint64_t chance = random_u64(random);
		struct evidence evidence = {
			.kind = (enum evidence_kind)(chance % EVIDENCE_KIND_COUNT),
			.count = (uint32_t)(chance >> 8 & 3),
			.proven = chance >> 12 & 7,
			.source = kit_address(chance >> 16 & 1 ? "[2001:db8::1]:5060" : "198.51.100.1:5060"),
			.account = chance >> 17 & 7,
			.target = chance >> 20 & 31,
			.session = chance >> 25 & 7,
			.connection = chance >> 28 & 3,
		};

		evidence.source.ip[chance >> 30 & 1 ? 3 : 2] ^= (uint8_t)(chance >> 31 & 15);
		evidence.source.port = (uint16_t)(5060 + (chance >> 36 & 3));
		kit->now_us += chance >> 40 & 0x3ffffff;
		evidence.time_us = kit->now_us;
		detect_put(kit->detect, &evidence);
		if (i % 7 == 0)
			detect_tick(kit->detect, kit->now_us);
	}
}

static uint64_t trace_of(const struct protection *policy, uint64_t seed, uint32_t *count)
{
	static struct kit kit;

	kit_init(&kit);
	if (policy)
		kit.policy = *policy;
	kit_start(&kit);
	play(&kit, seed);
	*count = kit.count;
	kit_stop(&kit);
	return kit.trace;
}

static void the_same_evidence_gives_the_same_verdicts(void **state)
{
	uint32_t count, again, other;
	uint64_t trace = trace_of(NULL, 1, &count);

	(void)state;
	assert_true(count > 100);
	assert_true(trace == trace_of(NULL, 1, &again));
	assert_int_equal(count, again);
	assert_true(trace != trace_of(NULL, 2, &other));
}

/* What would have been decided with another policy (THREATS F5). */
static void another_policy_decides_otherwise(void **state)
{
	struct protection policy;
	uint32_t count, milder, harder;
	uint64_t trace = trace_of(NULL, 1, &count);

	(void)state;
	protection_default(&policy);
	policy.subjects = 4096;
	policy.verdicts = 256;
	for (int i = 0; i < CONTROL_COUNT; i++)
		policy.controls[i].threshold *= 4;
	assert_true(trace != trace_of(&policy, 1, &milder));
	for (int i = 0; i < CONTROL_COUNT; i++)
		policy.controls[i].threshold = policy.controls[i].threshold / 16 + 1;
	assert_true(trace != trace_of(&policy, 1, &harder));
	assert_true(milder < count && count < harder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_time_takes_longer),
		cmocka_unit_test(every_verdict_ends_once),
		cmocka_unit_test(pacing_does_not_grow),
		cmocka_unit_test(a_burst_is_no_crime),
		cmocka_unit_test(only_blocks_are_prolonged),
		cmocka_unit_test(the_owner_says_how_long),
		cmocka_unit_test(half_lives_of_the_policy_go_before_the_kinds),
		cmocka_unit_test(time_never_runs_backwards),
		cmocka_unit_test(the_never_block_list_is_heeded),
		cmocka_unit_test(what_the_never_blocked_send_is_only_reported),
		cmocka_unit_test(who_is_put_on_the_list_is_let_go),
		cmocka_unit_test(a_prefix_around_a_never_blocked_address_is_spared),
		cmocka_unit_test(why_says_what_led_to_it),
		cmocka_unit_test(what_holds_is_listed_and_taken_back),
		cmocka_unit_test(a_harder_verdict_replaces),
		cmocka_unit_test(the_hardest_is_found),
		cmocka_unit_test(old_places_make_room_for_evidence),
		cmocka_unit_test(what_speaks_for_somebody_stays),
		cmocka_unit_test(nonsense_is_left_out),
		cmocka_unit_test(policies_out_of_range_are_refused),
		cmocka_unit_test(without_memory_there_is_none),
		cmocka_unit_test(the_same_evidence_gives_the_same_verdicts),
		cmocka_unit_test(another_policy_decides_otherwise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
