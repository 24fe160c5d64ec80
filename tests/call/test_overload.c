/* SPDX-License-Identifier: Apache-2.0
 * Overload by a turned clock: who is refused when, and that calls that stand and emergencies never are. */
#include <stdio.h>
#include <string.h>

#include "call/calls.h"
#include "kit.h"

#define TICK_US 20000

static uint64_t now_us;

/* So many ticks, each later than it should by `late_us`. */
static void ticks(struct overload *overload, uint32_t count, uint64_t late_us, uint32_t fill_percent)
{
	for (uint32_t i = 0; i < count; i++)
		overload_tick(overload, now_us += TICK_US + late_us, TICK_US, fill_percent);
}

static void a_late_loop_refuses_strangers_first_and_then_everybody(void **state)
{
	struct overload overload = {0};

	(void)state;
	now_us = 1000000;
	ticks(&overload, 100, 0, 0);
	assert_int_equal(overload.level, OVERLOAD_NONE);
	assert_false(overload_refuses(&overload, false));
	ticks(&overload, 50, 150000, 0);
	assert_int_equal(overload.level, OVERLOAD_UNPROVEN);
	assert_true(overload_refuses(&overload, false));
	assert_false(overload_refuses(&overload, true));
	ticks(&overload, 100, 700000, 0);
	assert_int_equal(overload.level, OVERLOAD_ALL);
	assert_true(overload_refuses(&overload, true));
	/* It recovers in less than two seconds, step by step. */
	ticks(&overload, 20, 0, 0);
	assert_int_equal(overload.level, OVERLOAD_UNPROVEN);
	ticks(&overload, 60, 0, 0);
	assert_int_equal(overload.level, OVERLOAD_NONE);
}

static void one_long_stop_is_no_overload(void **state)
{
	struct overload overload = {0};

	(void)state;
	now_us = 1000000;
	ticks(&overload, 10, 0, 0);
	ticks(&overload, 1, 3600000000u, 0);
	assert_int_equal(overload.level, OVERLOAD_NONE);
	/* A clock that stands or steps back is none either. */
	now_us -= 5000000;
	ticks(&overload, 5, 0, 0);
	assert_int_equal(overload.level, OVERLOAD_NONE);
}

static void a_full_table_counts_too_and_a_level_is_not_left_at_once(void **state)
{
	struct overload overload = {0};

	(void)state;
	now_us = 1000000;
	ticks(&overload, 1, 0, 69);
	assert_int_equal(overload.level, OVERLOAD_NONE);
	ticks(&overload, 1, 0, 70);
	assert_int_equal(overload.level, OVERLOAD_UNPROVEN);
	ticks(&overload, 1, 0, 61);
	assert_int_equal(overload.level, OVERLOAD_UNPROVEN);
	ticks(&overload, 1, 0, 59);
	assert_int_equal(overload.level, OVERLOAD_NONE);
	ticks(&overload, 1, 0, 95);
	assert_int_equal(overload.level, OVERLOAD_ALL);
	for (uint64_t chance = 0; chance < 100; chance++) {
		assert_true(overload_retry_after_s(&overload, chance) >= 10);
		assert_true(overload_retry_after_s(&overload, chance) <= 20);
	}
}

static void calls_that_stand_and_emergencies_go_on(void **state)
{
	struct kit kit;
	struct side caller, callee;
	struct gateway_status status;

	(void)state;
	kit_start(&kit, "", "none");
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	kit.gateway->overload.late_us = 900000; /* as after a second of it */
	kit.gateway->overload.level = OVERLOAD_ALL;
	phone_invites(&kit, &kit.phone, "new", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 503");
	assert_true(has_header(&kit.phone, "Retry-After"));
	kit.gateway->overload.late_us = 900000;
	kit.gateway->overload.level = OVERLOAD_ALL;
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "recvonly"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit.gateway->overload.late_us = 900000;
	kit.gateway->overload.level = OVERLOAD_ALL;
	peer_send(&kit, &kit.phone,
		  "INVITE sip:112@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKe;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=e\nTo: <sip:112@voip.example.org>\n"
		  "Call-ID: e\nCSeq: 7 INVITE\nContact: <sip:1001@127.0.0.1>\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "INVITE sip:112@");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.calls_refused_overload, 1);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_late_loop_refuses_strangers_first_and_then_everybody),
		cmocka_unit_test(one_long_stop_is_no_overload),
		cmocka_unit_test(a_full_table_counts_too_and_a_level_is_not_left_at_once),
		cmocka_unit_test(calls_that_stand_and_emergencies_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
