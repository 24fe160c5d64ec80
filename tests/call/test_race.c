/* SPDX-License-Identifier: Apache-2.0
 * What comes early, late, twice or at the same time: RFC 3261 sections 9, 13, 14 and 15, RFC 3262, RFC 3264, RFC 3311. */
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

static void establish(void)
{
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
}

/* The INVITE from the phone, now before the PBX. */
static void invite(const char *description)
{
	phone_invites(&kit, &kit.phone, "call", "Supported: 100rel\n", description);
	peer_expect(&kit, &kit.pbx, "INVITE ");
}

static void ringing_from(const struct peer *request, const char *status, const char *tag_, const char *extra,
			 const char *description)
{
	strcpy(kit.pbx.text, request->text);
	peer_answer(&kit, &kit.pbx, status, tag_, extra, description);
}

static void hold_works(struct side *side, struct peer *other)
{
	side_sends(&kit, side, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, other, "INVITE ");
	peer_answer(&kit, other, "200 OK", "", "", sdp_plain(5000, "recvonly"));
	peer_expect(&kit, side->peer, "SIP/2.0 200");
	side_sends(&kit, side, "ACK", "", "");
	peer_expect(&kit, other, "ACK ");
}

static void a_bye_ends_what_waits_and_does_not_grant_it(void **state)
{
	(void)state;
	establish();
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "180 Ringing", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	kit_silence(&kit);
}

static void a_bye_ends_the_call_whatever_else_it_says(void **state)
{
	(void)state;
	establish();
	side_sends(&kit, &caller, "BYE", "Require: nothing-known\nContent-Type: text/plain\n", "bye");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	peer_expect(&kit, &kit.pbx, "BYE ");
	kit_silence(&kit);
}

static void what_a_200_to_options_describes_is_no_offer(void **state)
{
	(void)state;
	establish();
	side_sends(&kit, &caller, "OPTIONS", "", "");
	peer_expect(&kit, &kit.pbx, "OPTIONS ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_string_equal(body(&kit.phone), "");
	side_sends(&kit, &callee, "OPTIONS", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "OPTIONS ");
	assert_string_equal(body(&kit.phone), "");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	hold_works(&caller, &kit.pbx);
	hold_works(&callee, &kit.phone);
}

static void a_late_offer_after_an_early_answer_is_still_one(void **state)
{
	struct peer *pbx = &kit.pbx;
	static struct peer request;

	(void)state;
	invite(sdp_plain(4000, "sendrecv"));
	request = *pbx;
	side_of_callee(&callee, pbx, "pbxtag");
	peer_answer(&kit, pbx, "183 Session Progress", "pbxtag", "Require: 100rel\nRSeq: 1\n",
		    sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	ringing_from(&request, "200 OK", "pbxtag", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, pbx, "ACK ");
	side_sends(&kit, &caller, "INVITE", "", "");
	peer_expect(&kit, pbx, "INVITE ");
	peer_answer(&kit, pbx, "200 OK", "", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
	side_sends(&kit, &caller, "ACK", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, pbx, "ACK ");
	assert_non_null(strstr(body(pbx), "m=audio 21"));
}

static void a_preview_in_a_180_is_no_offer(void **state)
{
	static struct peer request;

	(void)state;
	invite("");
	request = kit.pbx;
	peer_answer(&kit, &kit.pbx, "183 Session Progress", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	assert_string_equal(body(&kit.phone), "");
	ringing_from(&request, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
}

static void an_offer_that_nobody_answers_fails_the_call(void **state)
{
	(void)state;
	invite(sdp_plain(4000, "sendrecv"));
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.pbx, "BYE ");
	peer_expect(&kit, &kit.phone, "SIP/2.0 488");
	kit_silence(&kit);
}

static void an_ack_without_the_answer_ends_the_call(void **state)
{
	(void)state;
	invite("");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "Content-Type: text/plain\n", "hello");
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_string_equal(body(&kit.pbx), "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	peer_expect(&kit, &kit.phone, "BYE ");
	kit_silence(&kit);
}

static void two_phones_may_count_their_responses_alike(void **state)
{
	static struct peer request;

	(void)state;
	invite(sdp_plain(4000, "sendrecv"));
	request = kit.pbx;
	peer_answer(&kit, &kit.pbx, "183 P", "one", "Require: 100rel\nRSeq: 1\n", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	side_of_caller(&caller, &kit.phone);
	ringing_from(&request, "183 P", "two", "Require: 100rel\nRSeq: 1\n", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	assert_string_not_equal(header(&kit.phone, "To"), caller.to);
	/* A copy is the first one's still. */
	ringing_from(&request, "183 P", "one", "Require: 100rel\nRSeq: 1\n", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	assert_string_equal(header(&kit.phone, "To"), caller.to);
}

static void a_dialog_that_lost_ends_without_the_call(void **state)
{
	static struct peer request;
	struct side lost;

	(void)state;
	invite(sdp_plain(4000, "sendrecv"));
	request = kit.pbx;
	peer_answer(&kit, &kit.pbx, "180 Ringing", "one", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	side_of_caller(&lost, &kit.phone);
	ringing_from(&request, "200 OK", "two", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	side_sends(&kit, &lost, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	hold_works(&caller, &kit.pbx);
	/* The loser answers after all, twice: acknowledged twice, ended once. */
	ringing_from(&request, "200 OK", "one", "", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.pbx, "BYE ");
	assert_string_equal(tag(&kit.pbx, "To"), "one");
	ringing_from(&request, "200 OK", "one", "", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	kit_pump(&kit, 50);
	while (peer_receive(&kit, &kit.pbx, 50))
		assert_null(strstr(kit.pbx.text, "CSeq: 3"));
	hold_works(&caller, &kit.pbx);
}

static void whoever_answers_of_many_has_the_call(void **state)
{
	static struct peer request;
	char name[24];

	(void)state;
	invite(sdp_plain(4000, "sendrecv"));
	request = kit.pbx;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "phone%d", i);
		ringing_from(&request, "180 Ringing", name, "", "");
	}
	ringing_from(&request, "200 OK", "phone19", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_string_equal(tag(&kit.pbx, "To"), "phone19");
	gateway_hangup(kit.gateway, kit.streams[0].session);
	kit_silence(&kit);
}

static void a_prack_may_come_after_the_answer(void **state)
{
	static struct peer request;
	char rack[64];

	(void)state;
	invite(sdp_plain(4000, "sendrecv"));
	request = kit.pbx;
	snprintf(rack, sizeof(rack), "5 %lu INVITE", strtoul(header(&kit.pbx, "CSeq"), NULL, 10));
	peer_answer(&kit, &kit.pbx, "183 P", "one", "Require: 100rel\nRSeq: 5\n", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	side_of_caller(&caller, &kit.phone);
	ringing_from(&request, "200 OK", "one", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_sends(&kit, &caller, "PRACK", "RAck: 5\t 7  INVITE\n", "");
	peer_expect(&kit, &kit.pbx, "PRACK ");
	assert_string_equal(header(&kit.pbx, "RAck"), rack);
	peer_answer(&kit, &kit.pbx, "481 Gone", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	peer_expect_nothing(&kit, &kit.phone, "BYE ");
	/* Of an INVITE that never was. */
	side_sends(&kit, &caller, "PRACK", "RAck: 5 99 INVITE\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	side_sends(&kit, &caller, "PRACK", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
}

static void an_update_that_is_answered_wrongly_ends_the_call(void **state)
{
	(void)state;
	establish();
	side_sends(&kit, &caller, "UPDATE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "UPDATE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "",
		    "v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5000 RTP/SAVP 0\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 488");
	peer_expect(&kit, &kit.phone, "BYE ");
	peer_expect(&kit, &kit.pbx, "BYE ");
	kit_silence(&kit);
}

static void what_waits_when_the_call_is_refused_is_answered(void **state)
{
	static struct peer request;

	(void)state;
	invite(sdp_plain(4000, "sendrecv"));
	request = kit.pbx;
	peer_answer(&kit, &kit.pbx, "180 Ringing", "one", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "MESSAGE", "Content-Type: text/plain\n", "hurry");
	peer_expect(&kit, &kit.pbx, "MESSAGE ");
	ringing_from(&request, "486 Busy", "one", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 486");
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
	kit_silence(&kit);
}

static void both_may_want_to_change_the_call_at_once(void **state)
{
	static struct peer reinvite;

	(void)state;
	establish();
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	side_sends(&kit, &callee, "INVITE", "", sdp_plain(5000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	reinvite = kit.pbx;
	peer_expect(&kit, &kit.pbx, "SIP/2.0 491");
	side_sends(&kit, &callee, "ACK", "", "");
	side_sends(&kit, &callee, "UPDATE", "", sdp_plain(5000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 491");
	strcpy(kit.pbx.text, reinvite.text);
	peer_answer(&kit, &kit.pbx, "491 Request Pending", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 491");
	hold_works(&callee, &kit.phone);
	hold_works(&caller, &kit.pbx);
}

static void an_old_number_is_refused_and_zero_is_one(void **state)
{
	(void)state;
	establish();
	caller.cseq = 5; /* the INVITE had 7 */
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 500");
	callee.cseq = (unsigned)-1; /* its first request may have any number */
	side_sends(&kit, &callee, "INFO", "", "");
	peer_expect(&kit, &kit.phone, "INFO ");
	peer_expect_nothing(&kit, &kit.pbx, "BYE ");
}

static void a_line_that_a_new_offer_leaves_out_is_closed(void **state)
{
	static const char two[] = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
				  "m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 31\n";
	uint32_t told;

	(void)state;
	kit_establish(&kit, &kit.phone, &caller, &callee, two, two);
	assert_int_equal(kit.streams_set, 2);
	hold_works(&caller, &kit.pbx);
	told = kit.streams_set;
	gateway_media_back(kit.gateway);
	assert_int_equal(kit.streams_set, told + 1);
}

/* What both sides say of one call may be more than a message holds. */
static void answers_may_be_too_large(void **state)
{
	static char routes[41000], accepts[41000];
	static struct peer request;
	size_t used = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		used += (size_t)snprintf(routes + used, sizeof(routes) - used, "Record-Route: <sip:r%d;%07980d>\n", i,
					 1);
	used = 0;
	for (int i = 0; i < 5; i++)
		used += (size_t)snprintf(accepts + used, sizeof(accepts) - used, "Accept: a/%07980d\n", 1);
	phone_invites(&kit, &kit.phone, "call", routes, sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	request = kit.pbx;
	peer_answer(&kit, &kit.pbx, "183 P", "one", accepts, sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 500");
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	peer_send(&kit, &kit.phone,
		  "ACK sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKcall;rport\nFrom: "
		  "<sip:1001@voip.example.org>;tag=call\nTo: %s\nCall-ID: call\nCSeq: 7 ACK\nContent-Length: 0\n\n",
		  kit.phone.address.port, header(&kit.phone, "To"));
	/* When nothing is left of the phone's INVITE the PBX answers after all. */
	kit_skip(&kit, 6000);
	ringing_from(&request, "200 OK", "one", accepts, sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.pbx, "BYE ");
	kit_silence(&kit);
}

/* An INVITE that is nearly all Via: the answer is longer than any message may be, and must be given all the same. */
static void a_request_that_leaves_no_room_for_an_answer_is_answered(void **state)
{
	static char text[65507];
	struct buffer out = BUFFER_OVER(text);
	struct gateway_status status;

	(void)state;
	buffer_printf(&out, "INVITE sip:a SIP/2.0\r\nFrom: <sip:a>;tag=a\r\nTo: <sip:a>\r\nCall-ID: v\r\nCSeq: 1 "
			    "INVITE\r\nVia: SIP/2.0/UDP host;branch=z9hG4bKv;rport");
	while (sizeof(text) - out.length > 4) {
		size_t left = sizeof(text) - out.length - 4, line = left < 8200 ? left : 8000;

		if (line > 100)
			buffer_put_text(&out, "\r\nVia: SIP/2.0/UDP h;x=");
		for (left = line > 100 ? line - 24 : line; left; left--)
			buffer_put_byte(&out, '0');
	}
	buffer_put_text(&out, "\r\n\r\n");
	assert_int_equal(out.length, sizeof(text));
	peer_send_bytes(&kit, &kit.phone, text, sizeof(text));
	kit_pump(&kit, 5);
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.transactions, 1);
	kit_silence(&kit);
}

/* After a reload everything that was under way goes on in zones that have other numbers. */
static void zones_may_change_places_at_any_time(void **state)
{
	static struct peer request;
	char contact[256];

	(void)state;
	peer_send(&kit, &kit.phone,
		  "REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKr;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=reg\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: reg\nCSeq: 1 REGISTER\nContact: <sip:me@127.0.0.1>\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	request = kit.pbx;
	invite(sdp_plain(4000, "sendrecv"));
	side_of_callee(&callee, &kit.pbx, "pbxtag");
	kit_reload(&kit);
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	strcpy(kit.pbx.text, request.text);
	snprintf(contact, sizeof(contact), "Contact: %s\n", header(&kit.pbx, "Contact"));
	peer_answer(&kit, &kit.pbx, "200 OK", "r", contact, "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	/* The phone sends its INVITE again: it is still the same. */
	phone_invites(&kit, &kit.phone, "call", "Supported: 100rel\n", sdp_plain(4000, "sendrecv"));
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	kit_reload(&kit);
	hold_works(&caller, &kit.pbx);
	/* Its binding moved with its zone. */
	peer_send(&kit, &kit.pbx,
		  "MESSAGE sip:1001@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKm\n"
		  "Max-Forwards: 70\nFrom: <sip:2002@voip.example.org>;tag=b\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: m\nCSeq: 1 MESSAGE\nContent-Type: text/plain\nContent-Length: 2\n\nhi",
		  kit.pbx.address.port);
	peer_expect(&kit, &kit.phone, "MESSAGE ");
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "BYE ");
	kit_silence(&kit);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(a_bye_ends_what_waits_and_does_not_grant_it),
		TEST(a_bye_ends_the_call_whatever_else_it_says),
		TEST(what_a_200_to_options_describes_is_no_offer),
		TEST(a_late_offer_after_an_early_answer_is_still_one),
		TEST(a_preview_in_a_180_is_no_offer),
		TEST(an_offer_that_nobody_answers_fails_the_call),
		TEST(an_ack_without_the_answer_ends_the_call),
		TEST(two_phones_may_count_their_responses_alike),
		TEST(a_dialog_that_lost_ends_without_the_call),
		TEST(whoever_answers_of_many_has_the_call),
		TEST(a_prack_may_come_after_the_answer),
		TEST(an_update_that_is_answered_wrongly_ends_the_call),
		TEST(what_waits_when_the_call_is_refused_is_answered),
		TEST(both_may_want_to_change_the_call_at_once),
		TEST(an_old_number_is_refused_and_zero_is_one),
		TEST(a_line_that_a_new_offer_leaves_out_is_closed),
		TEST(zones_may_change_places_at_any_time),
		TEST(answers_may_be_too_large),
		TEST(a_request_that_leaves_no_room_for_an_answer_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
