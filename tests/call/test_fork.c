/* SPDX-License-Identifier: Apache-2.0
 * Several early dialogs of one call: each has an offer and an answer of its own (RFC 3261 section 13.2.2.4, RFC 3264). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct kit kit;
static struct side first, second; /* the two early dialogs as the phone sees them */
static struct side first_callee, second_callee;
static struct peer request; /* the INVITE as the PBX got it */

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

static void pbx_says(const char *status, const char *tag_, const char *extra, const char *description)
{
	strcpy(kit.pbx.text, request.text);
	peer_answer(&kit, &kit.pbx, status, tag_, extra, description);
}

/* Two phones behind the PBX ring, each with an answer of its own. */
static void two_ring(void)
{
	phone_invites(&kit, &kit.phone, "call", "Supported: 100rel\n", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	request = kit.pbx;
	side_of_callee(&first_callee, &kit.pbx, "one");
	side_of_callee(&second_callee, &kit.pbx, "two");
	pbx_says("183 P", "one", "Require: 100rel\nRSeq: 1\n", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
	side_of_caller(&first, &kit.phone);
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5000);
	pbx_says("183 P", "two", "Require: 100rel\nRSeq: 9\n", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
	side_of_caller(&second, &kit.phone);
	assert_string_not_equal(first.to, second.to);
}

static const char *origin(void)
{
	static char lines[2][128];
	static unsigned next;
	char *out = lines[next++ % 2];
	const char *line = strstr(body(&kit.phone), "o=");

	snprintf(out, sizeof(lines[0]), "%.*s", (int)strcspn(line, "\r"), line);
	return out;
}

static void the_media_of_who_answered_last_plays_until_one_takes_the_call(void **state)
{
	const char *before;

	(void)state;
	two_ring();
	before = origin();
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5002);
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.port, 4000);
	/* The first takes the call: its answer in the 18x stands, and its media is heard. */
	pbx_says("200 OK", "one", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_string_equal(header(&kit.phone, "To"), first.to);
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5000);
	side_sends(&kit, &first, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	/* Each dialog describes a session of its own toward the phone. */
	side_sends(&kit, &first, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "recvonly"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_string_not_equal(origin(), before);
	side_sends(&kit, &first, "ACK", "", "");
	side_sends(&kit, &first, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	kit_silence(&kit);
}

static void an_update_in_one_early_dialog_leaves_the_other_alone(void **state)
{
	(void)state;
	two_ring();
	side_sends(&kit, &first, "UPDATE", "", sdp_plain(4100, "sendonly"));
	peer_expect(&kit, &kit.pbx, "UPDATE ");
	assert_string_equal(tag(&kit.pbx, "To"), "one");
	/* The other may do the same meanwhile, from either side. */
	side_sends(&kit, &second_callee, "UPDATE", "", sdp_plain(5102, "sendrecv"));
	peer_expect(&kit, &kit.phone, "UPDATE ");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5102);
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.port, 4002);
	/* But in one dialog one at a time. */
	side_sends(&kit, &first_callee, "UPDATE", "", sdp_plain(5104, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 491");
	/* The PBX never answers the UPDATE of the first, which loses: the phone is not left waiting. */
	pbx_says("200 OK", "two", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&second, &kit.phone);
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5102);
	side_sends(&kit, &second, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_string_equal(tag(&kit.pbx, "To"), "two");
	side_sends(&kit, &second_callee, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "BYE ");
	kit_silence(&kit);
}

static void a_refused_answer_changes_nothing_for_the_others(void **state)
{
	static const char two_lines[] = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
					"m=audio 5200 RTP/AVP 0\nm=video 5202 RTP/AVP 31\n";

	(void)state;
	two_ring();
	pbx_says("183 P", "three", "", two_lines);
	peer_expect_nothing(&kit, &kit.phone, "SIP/2.0 4");
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5002);
	/* PRACKs go each to its own dialog. */
	side_sends(&kit, &second, "PRACK", "RAck: 9 7 INVITE\n", "");
	peer_expect(&kit, &kit.pbx, "PRACK ");
	assert_string_equal(tag(&kit.pbx, "To"), "two");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	pbx_says("200 OK", "two", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200 OK");
	gateway_hangup(kit.gateway, kit.streams[0].session);
	kit_silence(&kit);
}

static void each_dialog_may_make_an_offer_where_the_invite_had_none(void **state)
{
	(void)state;
	phone_invites(&kit, &kit.phone, "call", "Supported: 100rel\n", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	request = kit.pbx;
	pbx_says("183 P", "one", "Require: 100rel\nRSeq: 1\n", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
	pbx_says("183 P", "two", "Require: 100rel\nRSeq: 1\n", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
	side_of_caller(&second, &kit.phone);
	side_sends(&kit, &second, "PRACK", "RAck: 1 7 INVITE\n", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "PRACK ");
	assert_non_null(strstr(body(&kit.pbx), "m=audio 21"));
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5002);
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	pbx_says("200 OK", "two", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200 OK");
	gateway_hangup(kit.gateway, kit.streams[0].session);
	kit_silence(&kit);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(the_media_of_who_answered_last_plays_until_one_takes_the_call),
		TEST(an_update_in_one_early_dialog_leaves_the_other_alone),
		TEST(a_refused_answer_changes_nothing_for_the_others),
		TEST(each_dialog_may_make_an_offer_where_the_invite_had_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
