/* SPDX-License-Identifier: Apache-2.0
 * Attackers who do what they can, and those beside them who must notice nothing. */
#include "kit.h"

/* An attacker tries only where he is let in, as he learns nothing elsewhere. Returns whether it was. */
static bool attack(struct kit *kit, enum evidence_kind kind, const struct address *source, uint64_t account)
{
	if (!kit_is_let_in(kit, source, account))
		return false;
	kit_put(kit, kind, source, account, 0);
	return true;
}

static void phones_register(struct kit *kit, const char *base, uint32_t count)
{
	struct address source = kit_address(base);

	for (uint32_t n = 0; n < count; n++) {
		source.port = (uint16_t)(20000 + n);
		kit_put(kit, EVIDENCE_GOOD_REGISTRATION, &source, kit_name("phones", n), 0);
	}
}

static uint32_t phones_let_in(const struct kit *kit, const char *base, uint32_t count)
{
	struct address source = kit_address(base);
	uint32_t in = 0;

	for (uint32_t n = 0; n < count; n++) {
		source.port = (uint16_t)(20000 + n);
		in += kit_is_let_in(kit, &source, kit_name("phones", n));
	}
	return in;
}

/* Somebody behind the office's NAT guesses passwords, from one port. */
static void a_guesser_in_an_office_is_singled_out(void **state)
{
	static struct kit kit;
	struct address source = kit_address("203.0.113.5:40000");
	const struct detect_verdict *verdict;
	uint32_t tried = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	phones_register(&kit, "203.0.113.5:1", 200);
	for (uint32_t n = 0; n < 1000; n++)
		tried += attack(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", 1000 + n));
	verdict = kit_expect(&kit, CONTROL_GUESS, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK);
	assert_true(address_equal(&verdict->subject.address, &source));
	assert_int_equal(kit.count, 1);
	assert_int_equal(tried, 10);
	assert_int_equal(phones_let_in(&kit, "203.0.113.5:1", 200), 200);
	kit_stop(&kit);
}

/* He takes another port whenever he is stopped. The address is refused to strangers, never blocked; nobody known notices. */
static void a_guesser_who_changes_ports_harms_no_neighbour(void **state)
{
	static struct kit kit;
	struct address source = kit_address("203.0.113.5:40000");
	uint32_t tried = 0, refused = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	phones_register(&kit, "203.0.113.5:1", 200);
	for (uint32_t n = 0; n < 36000; n++) {
		if (attack(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", 1000 + n % 300)))
			tried++;
		else
			source.port = (uint16_t)(40000 + n % 20000);
		if (n % 10 == 9)
			kit_wait(&kit, SECOND);
		if (n % 3600 == 0)
			assert_int_equal(phones_let_in(&kit, "203.0.113.5:1", 200), 200);
	}
	assert_in_range(tried, 80, 200); /* of 36,000 in an hour */
	for (uint32_t i = 0; i < kit.count; i++) {
		const struct detect_verdict *verdict = &kit.verdicts[i];

		assert_true(verdict->subject.kind <= SUBJECT_ADDRESS);
		if (verdict->subject.kind != SUBJECT_ADDRESS)
			continue;
		assert_int_equal(verdict->action, ACTION_REFUSE);
		assert_true(verdict->spares);
		refused++;
	}
	assert_true(refused >= 1);
	assert_int_equal(phones_let_in(&kit, "203.0.113.5:1", 200), 200);
	kit_stop(&kit);
}

/* The same without honest neighbours ends at the address, in the kernel. */
static void a_guesser_alone_is_blocked_by_address(void **state)
{
	static struct kit kit;
	struct address source = kit_address("198.51.100.5:40000");
	uint32_t tried = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t n = 0; n < 3000; n++) {
		if (attack(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", n)))
			tried++;
		else
			source.port++;
	}
	kit_expect(&kit, CONTROL_GUESS, SUBJECT_ADDRESS, ACTION_BLOCK);
	assert_in_range(tried, 20, 22);
	kit_stop(&kit);
}

/* Over TCP each connection is cut, then the address blocked. */
static void connections_are_cut_before_addresses_are_blocked(void **state)
{
	static struct kit kit;
	struct address source = kit_address("198.51.100.5:40000");
	uint32_t cut = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint64_t connection = 1; connection < 10; connection++) {
		struct evidence evidence = kit_finding(&kit, EVIDENCE_SIP_MALFORMED, &source, 0, 0);

		evidence.connection = connection;
		evidence.source.port = (uint16_t)(40000 + connection);
		if (kit_put_until(&kit, evidence, 10) && kit.verdicts[kit.count - 1].action == ACTION_CUT)
			cut++;
		else
			break;
	}
	kit_expect(&kit, CONTROL_MALFORMED, SUBJECT_ADDRESS, ACTION_BLOCK);
	assert_in_range(cut, 1, 2);
	kit_stop(&kit);
}

/* A phone that was taken over is stopped by itself, though it was known, and is known no more. */
static void a_known_phone_that_turns_is_stopped(void **state)
{
	static struct kit kit;
	struct address source = kit_address("203.0.113.5:20000"), neighbour = kit_address("203.0.113.5:20001");
	struct detect_subject place = detect_subject(SUBJECT_TRANSPORT_ADDRESS, &source, 0);
	struct detect_account why;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	phones_register(&kit, "203.0.113.5:1", 2);
	assert_true(detect_why(kit.detect, &place, kit.now_us, &why));
	assert_true(why.known);
	assert_int_equal(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0), 100), 8);
	kit_expect(&kit, CONTROL_SCAN, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK);
	assert_true(detect_why(kit.detect, &place, kit.now_us, &why));
	assert_false(why.known);
	assert_true(kit_is_let_in(&kit, &neighbour, 0));
	kit_stop(&kit);
}

/* Nor does a refusal that spares known phones hide one of them that attacks. */
static void who_is_spared_is_still_watched(void **state)
{
	static struct kit kit;
	struct address source = kit_address("203.0.113.5:40000"), phone = kit_address("203.0.113.5:20001");

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	phones_register(&kit, "203.0.113.5:1", 2);
	for (; !kit.count || kit.verdicts[kit.count - 1].subject.kind != SUBJECT_ADDRESS; source.port++)
		kit_put_until(&kit, kit_finding(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0), 100);
	assert_true(kit_is_let_in(&kit, &phone, 0));
	assert_true(kit_put_until(&kit, kit_finding(&kit, EVIDENCE_SIP_HOSTILE, &phone, 0, 0), 100) > 0);
	kit_expect(&kit, CONTROL_MALFORMED, SUBJECT_TRANSPORT_ADDRESS, ACTION_BLOCK);
	assert_false(kit_is_let_in(&kit, &phone, 0));
	kit_stop(&kit);
}

/* With an account of his own one can be forgiven for that account alone. */
static void nobody_washes_off_his_guesses(void **state)
{
	static struct kit kit;
	struct address source = kit_address("198.51.100.5:5060");
	struct detect_subject address = detect_subject(SUBJECT_ADDRESS, &source, 0);
	struct detect_account why;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	kit_put(&kit, EVIDENCE_GOOD_REGISTRATION, &source, kit_name("phones", 1), 0);
	for (int i = 0; i < 5; i++) {
		source.port++;
		kit_put(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", 100 + (uint32_t)i), 0);
		kit_put(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", 1), 0);
		kit_put(&kit, EVIDENCE_GOOD_REGISTRATION, &source, kit_name("phones", 1), 0);
	}
	assert_true(detect_why(kit.detect, &address, kit.now_us, &why));
	assert_int_equal(why.reasons[0].kind == EVIDENCE_CALL_PASSWORD ? why.reasons[0].weight : why.reasons[1].weight,
			 50 * 256);
	kit_stop(&kit);
}

/* Five hundred sources, two guesses each, at one account: strangers are locked out, the owner at home is not. */
static void an_account_guessed_from_everywhere_is_locked_for_strangers(void **state)
{
	static struct kit kit;
	struct address home = kit_address("203.0.113.5:20000"), away = kit_address("192.0.2.77:5060"), bot = {0};
	struct address home6 = kit_address("[2001:db8:1::5]:20000"), other6 = kit_address("[2001:db8:1::77]:9");
	struct address insider = kit_address("192.0.2.80:5060");
	uint64_t account = kit_name("phones", 0);
	uint32_t tried = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	kit_put(&kit, EVIDENCE_GOOD_REGISTRATION, &home, account, 0);
	kit_put(&kit, EVIDENCE_GOOD_REGISTRATION, &home6, account, 0);
	kit_put(&kit, EVIDENCE_GOOD_REGISTRATION, &insider, kit_name("phones", 1), 0);
	for (uint32_t n = 0; n < 1000; n++) {
		bot = kit_address("100.64.0.0:5060");
		bot.ip[1] = (uint8_t)(n % 500);
		bot.ip[2] = (uint8_t)(n % 500 / 2);
		tried += attack(&kit, EVIDENCE_CALL_PASSWORD, &bot, account);
		if (n == 250)
			kit_wait(&kit, 10 * SECOND);
	}
	kit_expect(&kit, CONTROL_GUESS_DISTRIBUTED, SUBJECT_ACCOUNT, ACTION_LOCK);
	assert_int_equal(kit.count, 1);
	assert_in_range(tried, 10, 16);
	assert_true(kit_is_let_in(&kit, &home, account));
	home.port = 33333; /* after a reboot */
	assert_true(kit_is_let_in(&kit, &home, account));
	assert_true(kit_is_let_in(&kit, &other6, account)); /* privacy addresses (RFC 8981) */
	assert_false(kit_is_let_in(&kit, &away, account));
	assert_false(kit_is_let_in(&kit, &insider, account)); /* known, but not by this account */
	assert_true(kit_is_let_in(&kit, &away, kit_name("phones", 1)));
	kit_wait(&kit, MINUTE);
	assert_true(kit_is_let_in(&kit, &away, account));
	assert_int_equal(kit.ended[DETECT_EXPIRED], 1);
	kit_stop(&kit);
}

/* Who locks an account for spite does not lock it for long: ten minutes at most at a time. */
static void locks_do_not_grow(void **state)
{
	static struct kit kit;
	uint64_t account = kit_name("phones", 0);

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t n = 0; n < 5000; n++) {
		struct address bot = kit_address("100.64.0.0:5060");

		bot.ip[1] = (uint8_t)(n / 250);
		bot.ip[2] = (uint8_t)n;
		attack(&kit, EVIDENCE_CALL_PASSWORD, &bot, account);
		kit_wait(&kit, 10 * SECOND);
	}
	assert_true(kit.count > 5 && kit.count < VERDICTS_MAXIMUM);
	for (uint32_t i = 0; i < kit.count; i++)
		assert_true(kit.verdicts[i].until_us - kit.verdicts[i].since_us <= 10 * MINUTE);
	kit_stop(&kit);
}

/* One guess in half an hour is found within half a day, and it takes longer every time. */
static void slow_guessing_is_found(void **state)
{
	static struct kit kit;
	struct address source = kit_address("198.51.100.5:5060");
	uint32_t tried = 0, n = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (; n < 24 && !kit.count; n++) {
		kit_put(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", 1), 0);
		kit_wait(&kit, 30 * MINUTE);
	}
	kit_expect(&kit, CONTROL_GUESS, SUBJECT_ACCOUNT_AT, ACTION_REFUSE);
	for (n = 0; n < 30 * 48; n++) {
		tried += attack(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", 1));
		kit_wait(&kit, 30 * MINUTE);
	}
	assert_true(tried < 30 * 48 / 3);
	kit_stop(&kit);
}

/* ---- Prefixes ---- */

static void a_prefix_full_of_attackers_is_blocked_as_a_whole(void **state)
{
	static struct kit kit;
	struct address other = kit_address("198.51.100.250:5060"), next = kit_address("198.51.101.1:5060");
	uint32_t addresses = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t n = 1; n < 200 && kit_is_let_in(&kit, &other, 0); n++, addresses++) {
		struct address source = kit_address("198.51.100.0:5060");

		source.ip[3] = (uint8_t)n;
		for (uint32_t i = 0; i < 60; i++) {
			if (!attack(&kit, EVIDENCE_SIP_SCANNER, &source, 0))
				source.port++;
		}
	}
	kit_expect(&kit, CONTROL_SCAN, SUBJECT_PREFIX, ACTION_BLOCK);
	assert_in_range(addresses, 7, 9);
	assert_true(kit_is_let_in(&kit, &next, 0));
	kit_stop(&kit);
}

/* One honest phone in the prefix, and it stays open: each address is dealt with by itself. */
static void a_prefix_with_somebody_known_is_never_blocked(void **state)
{
	static struct kit kit;
	struct address honest = kit_address("198.51.100.250:5060");

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	kit_put(&kit, EVIDENCE_GOOD_CALL, &honest, kit_name("phones", 1), 0);
	for (uint32_t n = 1; n < 200; n++) {
		struct address source = kit_address("198.51.100.0:5060");

		source.ip[3] = (uint8_t)n;
		for (uint32_t i = 0; i < 60; i++) {
			if (!attack(&kit, EVIDENCE_SIP_SCANNER, &source, 0))
				source.port++;
		}
	}
	for (uint32_t i = 0; i < kit.count && i < VERDICTS_MAXIMUM; i++)
		assert_int_not_equal(kit.verdicts[i].subject.kind, SUBJECT_PREFIX);
	assert_true(kit_is_let_in(&kit, &honest, kit_name("phones", 1)));
	kit_stop(&kit);
}

/* A new address of his /64 for every guess. */
static void one_who_owns_a_64_is_stopped(void **state)
{
	static struct kit kit;
	struct address source = kit_address("[2001:db8:bad::]:5060"), next = kit_address("[2001:db8:bad:1::1]:5060");
	uint32_t tried = 0;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t n = 0; n < 5000; n++) {
		memcpy(&source.ip[8], &n, sizeof(n));
		source.ip[15] = (uint8_t)(n * 7);
		tried += attack(&kit, EVIDENCE_CALL_PASSWORD, &source, kit_name("phones", n));
	}
	kit_expect(&kit, CONTROL_GUESS, SUBJECT_PREFIX, ACTION_BLOCK);
	assert_in_range(tried, 30, 31);
	assert_true(kit_is_let_in(&kit, &next, 0));
	kit_stop(&kit);
}

/* Three hosts of a household are dealt with one by one. */
static void three_addresses_are_no_prefix(void **state)
{
	static struct kit kit;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	for (uint32_t n = 0; n < 27; n++) {
		struct address source = kit_address("[2001:db8:bad::1]:5060");

		source.ip[15] = (uint8_t)(n % 3);
		source.port = (uint16_t)(5060 + n);
		kit_put(&kit, EVIDENCE_SIP_MALFORMED, &source, 0, 0);
		kit_put(&kit, EVIDENCE_SIP_MALFORMED, &source, 0, 0);
	}
	assert_int_equal(kit.count, 0);
	kit_stop(&kit);
}

/* However long one address goes on, its neighbours are not taken with it. */
static void one_address_never_stands_for_its_prefix(void **state)
{
	static struct kit kit;

	(void)state;
	for (int family = 0; family < 2; family++) {
		struct address source = kit_address(family ? "[2001:db8:bad::1]:5060" : "198.51.100.7:5060");

		kit_init(&kit);
		kit_start(&kit);
		for (uint32_t n = 0; n < 20000; n++) {
			if (!attack(&kit, EVIDENCE_SIP_SCANNER, &source, 0))
				source.port++;
			kit_wait(&kit, 5 * SECOND);
		}
		assert_true(kit.count > 3);
		for (uint32_t i = 0; i < kit.count && i < VERDICTS_MAXIMUM; i++)
			assert_int_not_equal(kit.verdicts[i].subject.kind, SUBJECT_PREFIX);
		kit_stop(&kit);
	}
}

/* ---- Forgers ---- */

/* A million forged sources, the carrier's and the phones' among them: nobody is blocked, and nothing is remembered of them (THREATS
 * N2, F4). */
static void a_million_forged_sources_block_nobody(void **state)
{
	const enum evidence_kind kinds[] = {EVIDENCE_SIP_SCANNER, EVIDENCE_CALL_PASSWORD,    EVIDENCE_SIP_HOSTILE,
					    EVIDENCE_CALL_FORGED, EVIDENCE_NET_FLOOD,        EVIDENCE_CALL_CALLEE,
					    EVIDENCE_CALL_MOVED,  EVIDENCE_GOOD_REGISTRATION};
	static struct kit kit;
	struct detect_question stranger = {.source = kit_address("192.0.2.9:5060")};
	struct detect_verdict verdict;
	struct detect_statistics statistics;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	phones_register(&kit, "203.0.113.5:1", 200);
	detect_statistics_get(kit.detect, kit.now_us, &statistics);
	assert_int_equal(statistics.subjects, 200 * 2 + 2);
	for (uint32_t n = 0; n < 1000000; n++) {
		struct address source = kit_address("203.0.113.5:20000");
		struct evidence evidence;

		if (n % 4) {
			memcpy(source.ip, &n, 4);
			source.port = (uint16_t)n;
		}
		evidence = kit_finding(&kit, kinds[n % 8], &source, kit_name("phones", 1), kit_name("phones", 2));
		evidence.proven = false;
		kit.now_us += 100;
		evidence.time_us = kit.now_us;
		detect_put(kit.detect, &evidence);
	}
	for (uint32_t i = 0; i < kit.count; i++) {
		assert_int_equal(kit.verdicts[i].subject.kind, SUBJECT_UNPROVEN);
		assert_int_equal(kit.verdicts[i].action, ACTION_SLOW);
	}
	assert_true(kit.count > 0);
	detect_statistics_get(kit.detect, kit.now_us, &statistics);
	assert_int_equal(statistics.subjects, 200 * 2 + 3);
	assert_int_equal(statistics.unproven, 875000);
	assert_int_equal(phones_let_in(&kit, "203.0.113.5:1", 200), 200);
	/* Strangers who have proven nothing are paced meanwhile; a registered phone is none, even when it has not proven itself again. */
	assert_true(detect_find(kit.detect, &stranger, kit.now_us, &verdict));
	assert_int_equal(verdict.action, ACTION_SLOW);
	stranger.source = kit_address("203.0.113.5:20000");
	assert_false(detect_find(kit.detect, &stranger, kit.now_us, &verdict));
	kit_stop(&kit);
}

/* Nobody earns a good name with forged packets. */
static void good_findings_must_be_proven(void **state)
{
	static struct kit kit;
	struct address source = kit_address("203.0.113.5:20000");
	struct evidence evidence;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	evidence = kit_finding(&kit, EVIDENCE_GOOD_REGISTRATION, &source, kit_name("phones", 1), 0);
	evidence.proven = false;
	detect_put(kit.detect, &evidence);
	assert_false(detect_is_known(kit.detect, &source, 0, kit.now_us));
	evidence.proven = true;
	detect_put(kit.detect, &evidence);
	assert_true(detect_is_known(kit.detect, &source, 0, kit.now_us));
	assert_true(detect_is_known(kit.detect, &source, kit_name("phones", 1), kit.now_us));
	assert_false(detect_is_known(kit.detect, &source, kit_name("phones", 2), kit.now_us));
	kit_wait(&kit, 20 * DAY);
	assert_false(detect_is_known(kit.detect, &source, 0, kit.now_us));
	for (int hour = 0; hour < 1000; hour++) {
		kit_put(&kit, EVIDENCE_GOOD_REGISTRATION, &source, kit_name("phones", 1), 0);
		kit_wait(&kit, HOUR);
	}
	kit_wait(&kit, 30 * DAY);
	assert_true(detect_is_known(kit.detect, &source, 0, kit.now_us));
	kit_wait(&kit, 10 * DAY); /* somebody else may have the address by now */
	assert_false(detect_is_known(kit.detect, &source, 0, kit.now_us));
	kit_stop(&kit);
}

/* ---- The kernel's word ---- */

static void a_block_lasts_while_the_attack_does(void **state)
{
	static struct kit kit;
	struct address source = kit_address("198.51.100.5:5060");
	struct evidence evidence;
	uint64_t since_us, first_end_us;

	(void)state;
	kit_init(&kit);
	kit_start(&kit);
	evidence = kit_finding(&kit, EVIDENCE_SIP_SCANNER, &source, 0, 0);
	kit_put_until(&kit, evidence, 10);
	since_us = kit.verdicts[0].since_us;
	first_end_us = kit.verdicts[0].until_us;
	evidence.kind = EVIDENCE_KERNEL_BLOCKED;
	evidence.proven = false; /* the kernel cannot tell */
	evidence.count = 100;
	for (int s = 0; s < 50; s++) {
		kit_wait(&kit, SECOND);
		evidence.time_us = kit.now_us;
		detect_put(kit.detect, &evidence);
	}
	assert_int_equal(kit.count, 2);
	assert_true(kit.verdicts[1].prolonged);
	assert_true(kit.verdicts[1].until_us > first_end_us);
	for (int s = 0; s < 7200; s++) {
		kit_wait(&kit, SECOND);
		evidence.time_us = kit.now_us;
		detect_put(kit.detect, &evidence);
	}
	/* Forged packets cannot make it last: a minute and ten of the next time, and it is over. */
	assert_true(kit.verdicts[kit.count < VERDICTS_MAXIMUM ? kit.count - 1 : 0].until_us <= since_us + 11 * MINUTE);
	assert_true(kit_is_let_in(&kit, &source, 0));
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guesser_in_an_office_is_singled_out),
		cmocka_unit_test(a_guesser_who_changes_ports_harms_no_neighbour),
		cmocka_unit_test(a_guesser_alone_is_blocked_by_address),
		cmocka_unit_test(connections_are_cut_before_addresses_are_blocked),
		cmocka_unit_test(a_known_phone_that_turns_is_stopped),
		cmocka_unit_test(who_is_spared_is_still_watched),
		cmocka_unit_test(nobody_washes_off_his_guesses),
		cmocka_unit_test(an_account_guessed_from_everywhere_is_locked_for_strangers),
		cmocka_unit_test(locks_do_not_grow),
		cmocka_unit_test(slow_guessing_is_found),
		cmocka_unit_test(a_prefix_full_of_attackers_is_blocked_as_a_whole),
		cmocka_unit_test(a_prefix_with_somebody_known_is_never_blocked),
		cmocka_unit_test(one_who_owns_a_64_is_stopped),
		cmocka_unit_test(three_addresses_are_no_prefix),
		cmocka_unit_test(one_address_never_stands_for_its_prefix),
		cmocka_unit_test(a_million_forged_sources_block_nobody),
		cmocka_unit_test(good_findings_must_be_proven),
		cmocka_unit_test(a_block_lasts_while_the_attack_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
