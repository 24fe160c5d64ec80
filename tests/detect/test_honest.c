/* SPDX-License-Identifier: Apache-2.0
 * Honest phones: many behind few addresses, mistyped passwords, a power cut, a PBX that forgot everybody. Nobody is kept out. */
#include "kit.h"

#define PHONES 10000u
#define ADDRESSES 50u

/* Phone `n`: 200 behind each address, every one with a port of its own; `boot` changes the port. */
static struct address phone_at(uint32_t n, uint32_t boot)
{
	struct address address = kit_address("203.0.113.0:1");

	address.ip[3] = (uint8_t)(n % ADDRESSES + 1);
	address.port = (uint16_t)(10000 + n / ADDRESSES * 8 + boot);
	return address;
}

static void phone_put(struct kit *kit, uint32_t n, uint32_t boot, enum evidence_kind kind)
{
	struct address source = phone_at(n, boot);

	kit_put(kit, kind, &source, kit_name("phones", n), 0);
}

static void all_register(struct kit *kit, uint32_t boot)
{
	for (uint32_t n = 0; n < PHONES; n++)
		phone_put(kit, n, boot, EVIDENCE_GOOD_REGISTRATION);
}

static uint32_t let_in(const struct kit *kit, uint32_t boot)
{
	uint32_t count = 0;

	for (uint32_t n = 0; n < PHONES; n++) {
		struct address source = phone_at(n, boot);

		count += kit_is_let_in(kit, &source, kit_name("phones", n));
	}
	return count;
}

static void start(struct kit *kit)
{
	kit_init(kit);
	kit->policy.subjects = 65536;
	kit_start(kit);
}

/* Registered, rebooted all at once with new ports, connections cut short, and one has a wrong password, a few times or for a day. */
static void a_building_reboots(void **state)
{
	static struct kit kit;

	(void)state;
	start(&kit);
	for (uint32_t boot = 0; boot < 4; boot++) {
		for (uint32_t n = 0; n < PHONES; n++) {
			if (n % 20 == boot) /* some connections fail before they are phones again */
				phone_put(&kit, n, boot, EVIDENCE_NET_SILENT);
			if (n % 50 == boot)
				phone_put(&kit, n, boot, EVIDENCE_SIP_SLIGHT);
		}
		for (int typo = 0; typo < 7; typo++)
			phone_put(&kit, 4711, boot, EVIDENCE_CALL_PASSWORD);
		all_register(&kit, boot);
		assert_int_equal(kit.count, 0);
		assert_int_equal(let_in(&kit, boot), PHONES);
		kit_wait(&kit, 10 * MINUTE);
	}
	kit_stop(&kit);
}

/* A phone that was never let in tries the same wrong password twice a minute for a day: it alone is refused, with that account alone. */
static void a_phone_with_a_wrong_password_harms_nobody_else(void **state)
{
	static struct kit kit;
	uint32_t asked = 0;

	(void)state;
	start(&kit);
	for (uint32_t n = 0; n < PHONES; n++)
		if (n != 4711)
			phone_put(&kit, n, 0, EVIDENCE_GOOD_REGISTRATION);
	for (uint32_t half_minute = 0; half_minute < 2880; half_minute++) {
		struct address source = phone_at(4711, 0);

		source.port = (uint16_t)(40000 + half_minute); /* behind the worst of NATs */
		if (kit_is_let_in(&kit, &source, kit_name("phones", 4711))) {
			kit_put(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", 4711), 0);
			asked++;
		}
		kit_wait(&kit, 30 * SECOND);
	}
	assert_in_range(asked, 10, 30);
	for (uint32_t i = 0; i < kit.count; i++) {
		assert_int_equal(kit.verdicts[i].subject.kind, SUBJECT_ACCOUNT_AT);
		assert_int_equal(kit.verdicts[i].action, ACTION_REFUSE);
		assert_int_equal(kit.verdicts[i].subject.number, kit_name("phones", 4711));
	}
	assert_int_equal(let_in(&kit, 0), PHONES - 1);
	kit_stop(&kit);
}

/* Everybody mistypes once a day, for a week, and then gets it right. */
static void typing_errors_are_forgiven(void **state)
{
	static struct kit kit;

	(void)state;
	start(&kit);
	for (uint32_t day = 0; day < 7; day++) {
		for (uint32_t n = 0; n < PHONES; n++) {
			phone_put(&kit, n, day, EVIDENCE_CALL_PASSWORD);
			phone_put(&kit, n, day, EVIDENCE_GOOD_REGISTRATION);
		}
		kit_wait(&kit, DAY);
	}
	assert_int_equal(kit.count, 0);
	kit_stop(&kit);
}

/* The first day: no one is known yet, and every fifth mistypes before it works. */
static void a_new_office_mistypes(void **state)
{
	static struct kit kit;

	(void)state;
	start(&kit);
	for (uint32_t n = 0; n < PHONES; n++) {
		for (uint32_t i = 0; n % 5 == 0 && i < 3; i++)
			phone_put(&kit, n, 0, EVIDENCE_CALL_PASSWORD);
		phone_put(&kit, n, 0, EVIDENCE_GOOD_REGISTRATION);
	}
	assert_int_equal(kit.count, 0);
	kit_stop(&kit);
}

/* The PBX has lost its users and says no to everybody for a quarter of an hour: that is not ten thousand guessers. */
static void a_pbx_that_refuses_everybody_bans_nobody(void **state)
{
	static struct kit kit;

	(void)state;
	start(&kit);
	all_register(&kit, 0);
	for (uint32_t half_minute = 0; half_minute < 30; half_minute++) {
		for (uint32_t n = 0; n < PHONES; n++)
			phone_put(&kit, n, 0, EVIDENCE_CALL_PASSWORD);
		kit_wait(&kit, 30 * SECOND);
	}
	assert_int_equal(kit.count, 0);
	assert_int_equal(let_in(&kit, 0), PHONES);
	kit_stop(&kit);
}

/* The same for six hours. By then each phone is refused for a while, but ten minutes after the PBX is well again all are let in. */
static void a_long_outage_is_over_soon(void **state)
{
	static struct kit kit;

	(void)state;
	start(&kit);
	for (uint32_t n = 0; n < 500; n++)
		phone_put(&kit, n, 0, EVIDENCE_GOOD_REGISTRATION);
	for (uint32_t minute = 0; minute < 360; minute++) {
		for (uint32_t n = 0; n < 500; n++) {
			struct address source = phone_at(n, 0);

			for (int i = 0; i < 2; i++)
				if (kit_is_let_in(&kit, &source, kit_name("phones", n)))
					phone_put(&kit, n, 0, EVIDENCE_CALL_PASSWORD);
		}
		kit_wait(&kit, MINUTE);
	}
	assert_true(kit.count >= 500);
	for (uint32_t i = 0; i < VERDICTS_MAXIMUM; i++) {
		assert_int_equal(kit.verdicts[i].subject.kind, SUBJECT_ACCOUNT_AT);
		assert_true(kit.verdicts[i].known);
	}
	kit_wait(&kit, 10 * MINUTE);
	assert_int_equal(let_in(&kit, 0), PHONES);
	kit_stop(&kit);
}

/* Somebody changes the password of an account that rings in thirty branches, and all of them go on with the old one for a while. */
static void an_account_of_many_places_is_not_locked(void **state)
{
	static struct kit kit;

	(void)state;
	start(&kit);
	for (int round = 0; round < 10; round++) {
		for (uint32_t n = 0; n < 30; n++) {
			struct address source = phone_at(n, 0);

			kit_put(&kit, round ? EVIDENCE_CALL_PASSWORD : EVIDENCE_GOOD_REGISTRATION, &source,
				kit_name("phones", 1), 0);
		}
		kit_wait(&kit, 30 * SECOND);
	}
	assert_int_equal(kit.count, 0);
	kit_stop(&kit);
}

/* Those of a table that is far too small are still not wronged, only less well known. */
static void a_small_table_wrongs_nobody(void **state)
{
	static struct kit kit;
	struct detect_statistics statistics;

	(void)state;
	kit_init(&kit);
	kit.policy.subjects = 1024;
	kit_start(&kit);
	for (int round = 0; round < 3; round++)
		all_register(&kit, 0);
	detect_statistics_get(kit.detect, kit.now_us, &statistics);
	assert_true(statistics.subjects <= 1024);
	assert_true(statistics.subjects_pushed_out > PHONES);
	assert_int_equal(let_in(&kit, 0), PHONES);
	assert_int_equal(kit.count, 0);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_building_reboots),
		cmocka_unit_test(a_phone_with_a_wrong_password_harms_nobody_else),
		cmocka_unit_test(typing_errors_are_forgiven),
		cmocka_unit_test(a_new_office_mistypes),
		cmocka_unit_test(a_pbx_that_refuses_everybody_bans_nobody),
		cmocka_unit_test(a_long_outage_is_over_soon),
		cmocka_unit_test(an_account_of_many_places_is_not_locked),
		cmocka_unit_test(a_small_table_wrongs_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
