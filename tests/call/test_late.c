/* SPDX-License-Identifier: Apache-2.0
 * What comes after the end of a call, and what never comes: RFC 3261 sections 13.2.2.4, 14 and 15.1.2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct kit kit;
static struct side caller, callee;
static struct peer request;

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

static void establish(void)
{
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
}

/* A call whose INVITE the PBX still has in `request`. */
static void establish_keeping_the_invite(void)
{
	phone_calls(&kit, "call", 4000);
	request = kit.pbx;
	side_of_callee(&callee, &kit.pbx, "one");
	peer_answer(&kit, &kit.pbx, "200 OK", "one", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
}

static void pbx_says(const char *status, const char *tag_, const char *extra, const char *description)
{
	strcpy(kit.pbx.text, request.text);
	peer_answer(&kit, &kit.pbx, status, tag_, extra, description);
}

static void end_the_call(void)
{
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	peer_expect(&kit, &kit.pbx, "BYE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
}

static void hold_works(void)
{
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "recvonly"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
}

static void a_branch_that_answers_after_the_call_is_ended_too(void **state)
{
	(void)state;
	establish_keeping_the_invite();
	end_the_call();
	pbx_says("200 OK", "two", "Record-Route: <sip:10.1.1.1;lr>\n", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_string_equal(tag(&kit.pbx, "To"), "two");
	assert_string_equal(header(&kit.pbx, "Route"), "<sip:10.1.1.1;lr>");
	peer_expect(&kit, &kit.pbx, "BYE ");
	assert_string_equal(tag(&kit.pbx, "To"), "two");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	/* A copy is acknowledged again and not ended again. */
	pbx_says("200 OK", "two", "", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect_nothing(&kit, &kit.pbx, "BYE ");
	/* And one of the call's own answer gets the ACK that was lost. */
	pbx_says("200 OK", "one", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_string_equal(tag(&kit.pbx, "To"), "one");
	peer_expect_nothing(&kit, &kit.pbx, "BYE ");
	kit_silence(&kit);
}

static void who_hung_up_at_the_same_time_is_told_that_it_is_done(void **state)
{
	struct gateway_status status;

	(void)state;
	establish();
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	side_sends(&kit, &callee, "INFO", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	side_sends(&kit, &caller, "UPDATE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.dialog_strangers, 0);
	/* S6: with the right tags, but on the other side. */
	caller.peer = &kit.pbx;
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.dialog_strangers, 1);
	kit_reload(&kit);
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	/* After 64*T1 nothing is known any more. */
	kit_skip(&kit, 33000);
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	kit_silence(&kit);
}

static void an_ack_after_the_end_stops_the_answer(void **state)
{
	(void)state;
	phone_calls(&kit, "call", 4000);
	side_of_callee(&callee, &kit.pbx, "one");
	peer_answer(&kit, &kit.pbx, "200 OK", "one", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "BYE ");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	kit_skip(&kit, 600);
	peer_expect(&kit, &kit.phone, "SIP/2.0 200"); /* again: it was not acknowledged */
	side_sends(&kit, &caller, "ACK", "", "");
	while (peer_receive(&kit, &kit.phone, 5))
		;
	for (int i = 0; i < 10; i++)
		kit_skip(&kit, 1000);
	peer_expect_nothing(&kit, &kit.phone, "SIP/2.0 200");
	kit_silence(&kit);
}

static void a_reinvite_answered_after_the_end_is_acknowledged(void **state)
{
	(void)state;
	establish();
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	request = kit.pbx;
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
	pbx_says("200 OK", "", "", sdp_plain(5000, "recvonly"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	pbx_says("200 OK", "", "", sdp_plain(5000, "recvonly"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	kit_silence(&kit);
}

static void a_reinvite_that_only_rings_is_taken_back_and_the_call_goes_on(void **state)
{
	struct gateway_status status;

	(void)state;
	establish();
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4100, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	request = kit.pbx;
	peer_answer(&kit, &kit.pbx, "180 Ringing", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	kit_skip(&kit, 31000);
	peer_expect_nothing(&kit, &kit.pbx, "CANCEL ");
	kit_skip(&kit, 2000);
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	pbx_says("487 Request Terminated", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
	side_sends(&kit, &caller, "ACK", "", "");
	gateway_media_back(kit.gateway);
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.port, 4000);
	hold_works();
	/* The same when the other side has nothing more to say at all. */
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4100, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "100 Trying", "", "", "");
	for (int i = 0; i < 70; i++)
		kit_skip(&kit, 1000);
	peer_expect(&kit, &kit.phone, "SIP/2.0 504");
	side_sends(&kit, &caller, "ACK", "", "");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.reinvites_given_up, 2);
	while (peer_receive(&kit, &kit.pbx, 2))
		;
	hold_works();
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	kit_silence(&kit);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(a_branch_that_answers_after_the_call_is_ended_too),
		TEST(who_hung_up_at_the_same_time_is_told_that_it_is_done),
		TEST(an_ack_after_the_end_stops_the_answer),
		TEST(a_reinvite_answered_after_the_end_is_acknowledged),
		TEST(a_reinvite_that_only_rings_is_taken_back_and_the_call_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
