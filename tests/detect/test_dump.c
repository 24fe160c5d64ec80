/* SPDX-License-Identifier: Apache-2.0
 * A restart: what was known is known again, as old as it is by then; damage and foreign bytes change nothing. */
#include "kit.h"

#include <endian.h>
#include <errno.h>

#include "base/memory.h"

#define WALL_S 1700000000

struct dumped {
	char *bytes;
	size_t length;
};

static struct dumped dump(const struct kit *kit)
{
	size_t capacity = detect_dump_bytes(kit->detect);
	struct dumped dumped = {memory_alloc(capacity), 0};
	ptrdiff_t length = detect_dump(kit->detect, kit->now_us, WALL_S, dumped.bytes, capacity);

	assert_true(length > 0 && (size_t)length <= capacity);
	dumped.length = (size_t)length;
	return dumped;
}

static int restore(struct kit *kit, struct dumped dumped, int64_t later_s)
{
	return detect_restore(kit->detect, kit->now_us, WALL_S + later_s, (struct span){dumped.bytes, dumped.length});
}

static struct address attacker(void)
{
	return kit_address("198.51.100.7:5062");
}

/* Somebody known, somebody blocked, somebody half way. */
static void fill(struct kit *kit)
{
	struct address source = attacker(), home = kit_address("203.0.113.5:20000"),
		       half = kit_address("192.0.2.1:5060");

	kit_put_until(kit, kit_finding(kit, EVIDENCE_SIP_SCANNER, &source, 0, 0), 10);
	kit_put(kit, EVIDENCE_GOOD_REGISTRATION, &home, kit_name("phones", 1), 0);
	kit_put(kit, EVIDENCE_SIP_SCANNER, &half, 0, 0);
	for (uint32_t n = 0; n < 5; n++)
		kit_put(kit, EVIDENCE_CALL_USER, &half, 0, kit_name("phones", n));
}

static void a_restart_forgets_nothing(void **state)
{
	static struct kit kit;
	struct address source = attacker(), home = kit_address("203.0.113.5:1"), half = kit_address("192.0.2.1:5060");
	struct detect_subject place = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &half, 0);
	struct detect_account before, after;
	struct dumped dumped, again;
	uint64_t until_us;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	fill(&kit);
	until_us = kit.verdicts[0].until_us;
	detect_why(kit.detect, &place, kit.now_us, &before);
	dumped = dump(&kit);
	kit_stop(&kit);
	kit_start(&kit);
	assert_int_equal(restore(&kit, dumped, 0), 0);
	assert_int_equal(kit.count, 1); /* nothing is told again */
	assert_false(kit_is_let_in(&kit, &source, 0));
	assert_true(detect_is_known(kit.detect, &home, kit_name("phones", 1), kit.now_us));
	assert_true(detect_why(kit.detect, &place, kit.now_us, &after));
	assert_memory_equal(&before, &after, sizeof(before));
	again = dump(&kit);
	assert_int_equal(again.length, dumped.length);
	kit.now_us = until_us;
	detect_tick(kit.detect, kit.now_us);
	assert_int_equal(kit.ended[DETECT_EXPIRED], 1);
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0), 10) > 0);
	assert_int_equal(kit.verdicts[1].level, 1); /* not for the first time */
	memory_free(dumped.bytes);
	memory_free(again.bytes);
	kit_stop(&kit);
}

/* The machine was off: monotonic time begins anew, and what was remembered has aged. */
static void what_was_remembered_ages_while_it_was_off(void **state)
{
	static struct kit kit;
	struct address source = attacker(), half = kit_address("192.0.2.1:5060"), home = kit_address("203.0.113.5:1");
	struct detect_subject place = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &half, 0);
	struct detect_account why;
	struct dumped dumped;

	(void)state;
	for (int64_t off_s = 0; off_s <= 7200; off_s += 3600) {
		kit_init(&kit);
		kit.now_us = 40 * DAY;
		kit_start(&kit);
		fill(&kit);
		dumped = dump(&kit);
		kit_stop(&kit);
		kit_start(&kit);
		kit.now_us = 5 * SECOND;
		assert_int_equal(restore(&kit, dumped, off_s), 0);
		assert_int_equal(kit_is_let_in(&kit, &source, 0), off_s != 0);
		assert_true(detect_why(kit.detect, &place, kit.now_us, &why));
		assert_in_range(why.reasons[0].weight, (50 * 256 >> off_s / 3600) * 9 / 10,
				(50 * 256 >> off_s / 3600) * 103 / 100);
		assert_int_equal(why.distinct, off_s == 7200 ? 0 : 5);
		assert_true(detect_is_known(kit.detect, &home, kit_name("phones", 1), kit.now_us));
		memory_free(dumped.bytes);
		kit_stop(&kit);
	}
}

/* A restart is no way to have names counted for longer. */
static void windows_go_on_across_a_restart(void **state)
{
	static struct kit kit;
	struct address half = kit_address("192.0.2.1:5060");
	struct detect_subject place = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &half, 0);
	struct detect_account why;
	struct dumped dumped;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	fill(&kit);
	kit_wait(&kit, 50 * MINUTE);
	dumped = dump(&kit);
	kit_stop(&kit);
	kit_start(&kit);
	assert_int_equal(restore(&kit, dumped, 0), 0);
	assert_true(detect_why(kit.detect, &place, kit.now_us, &why));
	assert_int_equal(why.distinct, 5);
	kit_wait(&kit, 70 * MINUTE);
	assert_true(detect_why(kit.detect, &place, kit.now_us, &why));
	assert_int_equal(why.distinct, 0);
	memory_free(dumped.bytes);
	kit_stop(&kit);
}

/* A clock that was set back, or years on. */
static void wrong_clocks_harm_nothing(void **state)
{
	static struct kit kit;
	struct address source = attacker();
	struct dumped dumped;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	fill(&kit);
	dumped = dump(&kit);
	kit_stop(&kit);
	kit_start(&kit);
	assert_int_equal(restore(&kit, dumped, -1000000), 0);
	assert_false(kit_is_let_in(&kit, &source, 0));
	kit_stop(&kit);
	kit_start(&kit);
	assert_int_equal(restore(&kit, dumped, INT64_MAX - WALL_S), 0);
	assert_true(kit_is_let_in(&kit, &source, 0));
	memory_free(dumped.bytes);
	kit_stop(&kit);
}

static void assert_empty(const struct kit *kit)
{
	struct detect_statistics statistics;

	detect_statistics_get(kit->detect, kit->now_us, &statistics);
	assert_int_equal(statistics.subjects + statistics.verdicts_in_force, 0);
}

static void damage_is_noticed(void **state)
{
	static struct kit kit;
	struct dumped dumped, cut;

	(void)state;
	kit_init(&kit);
	kit.policy.subjects = kit.policy.verdicts = 64;
	kit_start(&kit);
	fill(&kit);
	dumped = dump(&kit);
	kit_stop(&kit);
	kit_start(&kit);
	for (size_t i = 0; i < dumped.length; i++) {
		dumped.bytes[i] ^= 1;
		assert_int_equal(restore(&kit, dumped, 0), -EBADMSG);
		dumped.bytes[i] ^= 1;
		cut = (struct dumped){dumped.bytes, i};
		assert_true(restore(&kit, cut, 0) < 0);
	}
	assert_empty(&kit);
	kit_stop(&kit);
	kit.detect = detect_new(&kit.policy, (const uint8_t *)"some other key..", &(struct detect_user){0});
	assert_int_equal(restore(&kit, dumped, 0), -EBADMSG);
	assert_empty(&kit);
	memory_free(dumped.bytes);
	kit_stop(&kit);
}

static void seal(struct dumped dumped)
{
	uint64_t check = htole64(hash_bytes(kit_key, dumped.bytes, dumped.length - 8));

	memcpy(dumped.bytes + dumped.length - 8, &check, sizeof(check));
}

/* Whoever has the key still cannot make it take what is not of the form: all or nothing. */
static void what_is_sealed_and_wrong_changes_nothing(void **state)
{
	static struct kit kit;
	struct dumped dumped;
	uint32_t refused = 0;

	(void)state;
	kit_init(&kit);
	kit.policy.subjects = kit.policy.verdicts = 64;
	kit_start(&kit);
	fill(&kit);
	dumped = dump(&kit);
	kit_stop(&kit);
	for (size_t i = 0; i < dumped.length - 8; i++) {
		uint8_t byte = (uint8_t)dumped.bytes[i];

		kit_start(&kit);
		dumped.bytes[i] = (char)0xff;
		seal(dumped);
		if (restore(&kit, dumped, 0) == -EPROTO) {
			assert_empty(&kit);
			refused++;
		}
		kit_put(&kit, EVIDENCE_SIP_SCANNER, &(struct address){.family = ADDRESS_IPV4}, 0, 0);
		detect_tick(kit.detect, kit.now_us);
		dumped.bytes[i] = (char)byte;
		kit_stop(&kit);
	}
	assert_true(refused > 100);
	memory_free(dumped.bytes);
}

/* Subjects must be such as are made here: what is never asked for would only take up room. */
static void subjects_must_be_of_their_form(void **state)
{
	static struct kit kit;
	size_t first = 28 + 32 * (EVIDENCE_KIND_COUNT + CONTROL_COUNT); /* of the first subject */
	struct dumped dumped;

	(void)state;
	kit_init(&kit);
	kit.policy.subjects = kit.policy.verdicts = 64;
	kit_start(&kit);
	fill(&kit);
	dumped = dump(&kit);
	for (size_t i = 0; i < 3; i++) { /* its kind, its bits, its family */
		dumped.bytes[first + i] ^= 0x40;
		seal(dumped);
		assert_int_equal(restore(&kit, dumped, 0), -EPROTO);
		dumped.bytes[first + i] ^= 0x40;
	}
	seal(dumped);
	assert_int_equal(restore(&kit, dumped, 0), 0);
	memory_free(dumped.bytes);
	kit_stop(&kit);
}

/* A version that had other kinds: what is not known any more is left out, the rest counts as what it is named. */
static void kinds_go_by_their_names(void **state)
{
	static struct kit kit;
	struct address source = attacker(), half = kit_address("192.0.2.1:5060");
	struct detect_subject place = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &half, 0);
	struct detect_account why;
	struct dumped dumped;
	char *user, *scanner;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	fill(&kit);
	dumped = dump(&kit);
	user = memmem(dumped.bytes, dumped.length, "call_user", 9);
	scanner = memmem(dumped.bytes, dumped.length, "sip_scanner", 11);
	assert_non_null(user);
	assert_non_null(scanner);
	memcpy(user, "sip_malformed", 14);
	memcpy(scanner, "gone", 5);
	seal(dumped);
	kit_stop(&kit);
	kit_start(&kit);
	assert_int_equal(restore(&kit, dumped, 0), 0);
	assert_true(detect_why(kit.detect, &place, kit.now_us, &why));
	assert_int_equal(why.reason_count, 1);
	assert_int_equal(why.reasons[0].kind, EVIDENCE_SIP_MALFORMED);
	assert_true(kit_is_let_in(&kit, &source, 0)); /* nobody can say any more why he was blocked */
	memory_free(dumped.bytes);
	kit_stop(&kit);
}

static void a_dump_needs_its_room(void **state)
{
	static struct kit kit;
	struct dumped dumped;
	char *room;

	(void)state;
	kit_init(&kit);
	kit.policy.subjects = kit.policy.verdicts = 64;
	kit_start(&kit);
	fill(&kit);
	dumped = dump(&kit);
	room = memory_alloc(dumped.length);
	for (size_t i = 0; i < dumped.length; i++)
		assert_int_equal(detect_dump(kit.detect, kit.now_us, WALL_S, room, i), -ENOSPC);
	assert_int_equal(detect_dump(kit.detect, kit.now_us, WALL_S, room, dumped.length), dumped.length);
	assert_memory_equal(room, dumped.bytes, dumped.length);
	memory_free(room);
	memory_free(dumped.bytes);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restart_forgets_nothing),
		cmocka_unit_test(what_was_remembered_ages_while_it_was_off),
		cmocka_unit_test(windows_go_on_across_a_restart),
		cmocka_unit_test(wrong_clocks_harm_nothing),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(what_is_sealed_and_wrong_changes_nothing),
		cmocka_unit_test(subjects_must_be_of_their_form),
		cmocka_unit_test(kinds_go_by_their_names),
		cmocka_unit_test(a_dump_needs_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
