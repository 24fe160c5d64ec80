/* SPDX-License-Identifier: Apache-2.0
 * Session timers (RFC 4028): each peer agrees with the gateway, and whoever is gone is noticed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct kit kit;
static struct side caller, callee;

static int start(void **state)
{
	(void)state;
	kit_start(&kit, "", "none");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	kit_stop(&kit);
	return 0;
}

/* A call; `asked` is in the phone's INVITE, `granted` in the PBX's 200. */
static void establish(const char *asked, const char *granted)
{
	phone_invites(&kit, &kit.phone, "call", asked, sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	side_of_callee(&callee, &kit.pbx, "pbxtag");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", granted, sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
}

static void skip_s(uint32_t seconds)
{
	for (uint32_t i = 0; i < seconds; i++)
		kit_skip(&kit, 1000);
}

/* The newest of what the PBX was sent, copies left behind. */
static void expect_newest(const char *start_)
{
	static struct peer newest;
	bool found = false;

	kit_pump(&kit, 5);
	while (peer_receive(&kit, &kit.pbx, 5))
		if (!strncmp(kit.pbx.text, start_, strlen(start_))) {
			newest = kit.pbx;
			found = true;
		}
	assert_true(found);
	strcpy(kit.pbx.text, newest.text);
}

static void each_leg_has_an_interval_of_its_own(void **state)
{
	(void)state;
	phone_invites(&kit, &kit.phone, "call", "Supported: timer\nSession-Expires: 600\nMin-SE: 120\n",
		      sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_string_equal(header(&kit.pbx, "Supported"), "timer");
	assert_string_equal(header(&kit.pbx, "Session-Expires"), "1800");
	assert_string_equal(header(&kit.pbx, "Min-SE"), "90");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "Session-Expires: 1200;refresher=uas\nRequire: timer\n",
		    sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_string_equal(header(&kit.phone, "Session-Expires"), "600;refresher=uac");
	assert_string_equal(header(&kit.phone, "Require"), "timer");
}

static void who_knows_no_timers_hears_of_none(void **state)
{
	(void)state;
	establish("", "");
	assert_false(has_header(&kit.phone, "Session-Expires"));
	skip_s(2000);
	peer_expect_nothing(&kit, &kit.phone, "BYE ");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
}

static void a_peer_that_no_longer_refreshes_has_left(void **state)
{
	struct gateway_status status;

	(void)state;
	establish("Supported: timer\nSession-Expires: 120\n", "");
	assert_string_equal(header(&kit.phone, "Session-Expires"), "120;refresher=uac");
	skip_s(80);
	/* A refresh: it is answered here, and the PBX hears nothing. */
	side_sends(&kit, &caller, "UPDATE", "Supported: timer\nSession-Expires: 120;refresher=uac\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_string_equal(header(&kit.phone, "Session-Expires"), "120;refresher=uac");
	peer_expect_nothing(&kit, &kit.pbx, "UPDATE ");
	skip_s(80);
	peer_expect_nothing(&kit, &kit.pbx, "BYE ");
	skip_s(10);
	peer_expect(&kit, &kit.pbx, "BYE ");
	assert_string_equal(header(&kit.pbx, "Reason"), "SIP;cause=408;text=\"Session expired\"");
	peer_expect(&kit, &kit.phone, "BYE ");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.calls_expired, 1);
	kit_silence(&kit);
}

static void the_gateway_refreshes_by_update_where_that_is_known(void **state)
{
	(void)state;
	establish("", "Supported: timer\nAllow: INVITE, ACK, BYE, UPDATE\nSession-Expires: 300;refresher=uac\n");
	for (int i = 0; i < 3; i++) {
		skip_s(151);
		expect_newest("UPDATE ");
		assert_string_equal(header(&kit.pbx, "Session-Expires"), "1800;refresher=uac");
		assert_string_equal(body(&kit.pbx), "");
		peer_answer(&kit, &kit.pbx, "200 OK", "", "Session-Expires: 300;refresher=uac\n", "");
	}
	peer_expect_nothing(&kit, &kit.phone, "UPDATE ");
	/* An UPDATE that is not served after all: by INVITE. */
	skip_s(151);
	expect_newest("UPDATE ");
	peer_answer(&kit, &kit.pbx, "501 Not Implemented", "", "", "");
	skip_s(1);
	expect_newest("INVITE ");
	side_sends(&kit, &caller, "BYE", "", "");
	kit_silence(&kit);
}

static void the_gateway_refreshes_by_invite_with_the_same_description(void **state)
{
	char described[1024];

	(void)state;
	phone_calls(&kit, "call", 4000);
	snprintf(described, sizeof(described), "%s", body(&kit.pbx));
	side_of_callee(&callee, &kit.pbx, "pbxtag");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "Session-Expires: 200;refresher=uac\n",
		    sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	skip_s(101);
	expect_newest("INVITE ");
	assert_string_equal(body(&kit.pbx), described);
	/* While it is under way nobody else renegotiates. */
	struct peer invite = kit.pbx;

	side_sends(&kit, &callee, "INVITE", "", sdp_plain(5000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 491");
	side_sends(&kit, &callee, "ACK", "", "");
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 491");
	side_sends(&kit, &caller, "ACK", "", "");
	/* Both at once: it is tried again, by the owner of the Call-ID after 2.1 s at the earliest. */
	strcpy(kit.pbx.text, invite.text);
	peer_answer(&kit, &kit.pbx, "491 Request Pending", "", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	skip_s(1);
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	skip_s(4);
	expect_newest("INVITE ");
	/* The interval became too short for somebody on the way. */
	peer_answer(&kit, &kit.pbx, "422 Session Interval Too Small", "", "Min-SE: 3600\n", "");
	skip_s(1);
	expect_newest("INVITE ");
	assert_string_equal(header(&kit.pbx, "Session-Expires"), "3600;refresher=uac");
	assert_string_equal(header(&kit.pbx, "Min-SE"), "3600");
	/* The answer may have moved. */
	peer_answer(&kit, &kit.pbx, "200 OK", "", "Session-Expires: 3600;refresher=uac\n", sdp_plain(5500, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5500);
	peer_expect_nothing(&kit, &kit.phone, "INVITE ");
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "BYE ");
	kit_silence(&kit);
}

static void a_peer_that_forgot_the_call_ends_it(void **state)
{
	(void)state;
	establish("", "Allow: UPDATE\nSession-Expires: 100;refresher=uac\n");
	skip_s(51);
	expect_newest("UPDATE ");
	peer_answer(&kit, &kit.pbx, "481 Gone", "", "", "");
	peer_expect(&kit, &kit.phone, "BYE ");
	kit_silence(&kit);
}

static void a_peer_that_is_silent_ends_it(void **state)
{
	(void)state;
	establish("", "Allow: UPDATE\nSession-Expires: 100;refresher=uac\n");
	skip_s(51);
	expect_newest("UPDATE ");
	skip_s(33);
	peer_expect(&kit, &kit.phone, "BYE ");
	kit_silence(&kit);
}

static void refreshes_that_fail_for_other_reasons_are_tried_until_the_session_expires(void **state)
{
	(void)state;
	establish("", "Allow: UPDATE\nSession-Expires: 100;refresher=uac\n");
	skip_s(51);
	for (int i = 0; i < 3; i++) {
		expect_newest("UPDATE ");
		peer_answer(&kit, &kit.pbx, "500 Busy", "", "", "");
		skip_s(11);
	}
	peer_expect(&kit, &kit.phone, "BYE ");
	kit_silence(&kit);
}

static void an_interval_that_is_too_short_is_refused_with_the_least(void **state)
{
	(void)state;
	phone_invites(&kit, &kit.phone, "call", "Supported: timer\nSession-Expires: 30\n", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 422");
	assert_string_equal(header(&kit.phone, "Min-SE"), "90");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
}

static void an_invite_refused_for_its_interval_is_sent_again(void **state)
{
	(void)state;
	phone_calls(&kit, "call", 4000);
	peer_answer(&kit, &kit.pbx, "422 Session Interval Too Small", "x", "Min-SE: 7200\n", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_string_equal(header(&kit.pbx, "Session-Expires"), "7200");
	side_of_callee(&callee, &kit.pbx, "pbxtag");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	/* A re-INVITE too; but one that cannot be pleased is not asked for ever. */
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "422 Session Interval Too Small", "", "Min-SE: 9000\n", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_string_equal(header(&kit.pbx, "Min-SE"), "9000");
	peer_answer(&kit, &kit.pbx, "422 Session Interval Too Small", "", "Min-SE: 99999999\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 500");
	side_sends(&kit, &caller, "ACK", "", "");
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	kit_silence(&kit);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(each_leg_has_an_interval_of_its_own),
		TEST(who_knows_no_timers_hears_of_none),
		TEST(a_peer_that_no_longer_refreshes_has_left),
		TEST(the_gateway_refreshes_by_update_where_that_is_known),
		TEST(the_gateway_refreshes_by_invite_with_the_same_description),
		TEST(a_peer_that_forgot_the_call_ends_it),
		TEST(a_peer_that_is_silent_ends_it),
		TEST(refreshes_that_fail_for_other_reasons_are_tried_until_the_session_expires),
		TEST(an_interval_that_is_too_short_is_refused_with_the_least),
		TEST(an_invite_refused_for_its_interval_is_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
