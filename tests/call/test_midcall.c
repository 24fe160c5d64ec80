/* SPDX-License-Identifier: Apache-2.0
 * What changes a call that stands: T.38, offers in either place, tones by INFO, reasons (RFC 3264, 3326, 6086). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

#define FAX \
	"v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=image %u udptl t38\n" \
	"a=T38FaxVersion:0\na=T38MaxBitRate:14400\na=T38FaxUdpEC:t38UDPRedundancy\n"

static struct kit kit;
static struct side caller, callee;

static int start(void **state)
{
	(void)state;
	kit_start(&kit, "", "none");
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	kit_stop(&kit);
	return 0;
}

static const char *fax(uint16_t port)
{
	static char text[2][512];
	static unsigned next;
	char *out = text[next++ % 2];

	snprintf(out, sizeof(text[0]), FAX, port);
	return out;
}

static void reinvite(struct side *from, struct peer *to, const char *offer, const char *answer, const char *wanted)
{
	side_sends(&kit, from, "INVITE", "", offer);
	peer_expect(&kit, to, "INVITE ");
	assert_non_null(strstr(body(to), wanted));
	peer_answer(&kit, to, "200 OK", "", "", answer);
	peer_expect(&kit, from->peer, "SIP/2.0 200");
	assert_non_null(strstr(body(from->peer), wanted));
	side_sends(&kit, from, "ACK", "", "");
	peer_expect(&kit, to, "ACK ");
}

static void a_fax_changes_the_call_to_t38_and_back(void **state)
{
	(void)state;
	reinvite(&callee, &kit.phone, fax(5000), fax(4000), "m=image 2");
	assert_non_null(strstr(body(&kit.pbx), "a=T38MaxBitRate:14400"));
	assert_int_equal(kit.streams[0].kind, MEDIA_DATAGRAM);
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.port, 4000);
	reinvite(&caller, &kit.pbx, sdp_plain(4004, "sendrecv"), sdp_plain(5004, "sendrecv"), "m=audio 2");
	assert_int_equal(kit.streams[0].kind, MEDIA_RTP);
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.port, 4004);
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5004);
}

static void a_refused_fax_leaves_the_voice_call_as_it_was(void **state)
{
	uint32_t told = kit.streams_set;

	(void)state;
	side_sends(&kit, &callee, "INVITE", "", fax(5008));
	peer_expect(&kit, &kit.phone, "INVITE ");
	peer_answer(&kit, &kit.phone, "488 Not Acceptable Here", "", "Warning: 304 10.0.0.1 \"no fax\"\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 488");
	assert_false(has_header(&kit.pbx, "Warning"));
	side_sends(&kit, &callee, "ACK", "", "");
	assert_int_equal(kit.streams_set, told);
	gateway_media_back(kit.gateway);
	assert_int_equal(kit.streams[0].kind, MEDIA_RTP);
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5000);
	reinvite(&caller, &kit.pbx, sdp_plain(4000, "sendonly"), sdp_plain(5000, "recvonly"), "m=audio 2");
}

static void either_side_may_ask_for_an_offer(void **state)
{
	struct side *sides[] = {&caller, &callee};
	struct peer *others[] = {&kit.pbx, &kit.phone};

	(void)state;
	for (int i = 0; i < 2; i++) {
		side_sends(&kit, sides[i], "INVITE", "", "");
		peer_expect(&kit, others[i], "INVITE ");
		assert_string_equal(body(others[i]), "");
		peer_answer(&kit, others[i], "200 OK", "", "", sdp_plain((uint16_t)(6000 + 10 * i), "sendrecv"));
		peer_expect(&kit, sides[i]->peer, "SIP/2.0 200");
		assert_non_null(strstr(body(sides[i]->peer), i ? "m=audio 21" : "m=audio 20"));
		side_sends(&kit, sides[i], "ACK", "", sdp_plain((uint16_t)(6002 + 10 * i), "sendrecv"));
		peer_expect(&kit, others[i], "ACK ");
		assert_non_null(strstr(body(others[i]), i ? "m=audio 20" : "m=audio 21"));
		assert_int_equal(kit.streams[0].sides[i].peer_rtp.port, 6002 + 10 * i);
		assert_int_equal(kit.streams[0].sides[1 - i].peer_rtp.port, 6000 + 10 * i);
	}
}

static void tones_cross_by_info_and_nothing_else_does(void **state)
{
	(void)state;
	side_sends(&kit, &caller, "INFO", "Content-Type: application/dtmf-relay\n", "Signal=5\nDuration=160\n");
	peer_expect(&kit, &kit.pbx, "INFO ");
	assert_string_equal(header(&kit.pbx, "Content-Type"), "application/dtmf-relay");
	assert_string_equal(body(&kit.pbx), "Signal=5\r\nDuration=160\r\n");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_sends(&kit, &callee, "INFO", "Content-Type: application/dtmf\n", "#");
	peer_expect(&kit, &kit.phone, "INFO ");
	assert_string_equal(body(&kit.phone), "#");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	side_sends(&kit, &caller, "INFO", "Content-Type: application/x-shell\n", "reboot");
	peer_expect(&kit, &kit.phone, "SIP/2.0 415");
}

static void the_reason_of_a_bye_crosses_both_ways_without_names_of_the_inside(void **state)
{
	(void)state;
	side_sends(&kit, &callee, "BYE",
		   "Reason: Q.850;cause=16;text=\"Terminated\", SIP;cause=200;text=\"by 10.0.0.1\"\n", "");
	peer_expect(&kit, &kit.phone, "BYE ");
	assert_non_null(strstr(header(&kit.phone, "Reason"), "Q.850;cause=16;text=\"Terminated\""));
	assert_null(strstr(kit.phone.text, "10.0.0.1"));
	kit_silence(&kit);
}

static void the_callers_reason_for_giving_up_reaches_who_rings(void **state)
{
	(void)state;
	phone_calls(&kit, "other", 4000);
	peer_answer(&kit, &kit.pbx, "180 Ringing", "x", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	peer_send(&kit, &kit.phone,
		  "CANCEL sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKother;rport\n"
		  "Max-Forwards: 20\nFrom: <sip:1001@voip.example.org>;tag=other\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: other\nCSeq: 7 CANCEL\nReason: SIP;cause=200;text=\"Call completed elsewhere\"\n"
		  "Content-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	assert_string_equal(header(&kit.pbx, "Reason"), "SIP;cause=200;text=\"Call completed elsewhere\"");
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
}

static void the_time_to_retry_after_crosses_as_a_number(void **state)
{
	(void)state;
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "500 Glare", "", "Retry-After: 7 (pbx.inner is busy);duration=9\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 500");
	assert_string_equal(header(&kit.phone, "Retry-After"), "7");
}

static void multipart_invite(const char *disposition)
{
	char description[1200], part[400];

	snprintf(part, sizeof(part), "%s", sdp_plain(4000, "sendrecv"));
	snprintf(description, sizeof(description),
		 "--b1\nContent-Type: application/sdp\n\n%s\n--b1\nContent-Type: application/isup;version=x\n"
		 "Content-Disposition: signal;handling=%s\n\nsecret-isup\n--b1--\n",
		 part, disposition);
	peer_send(&kit, &kit.phone,
		  "INVITE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=m\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: m-%s\nCSeq: 7 INVITE\nContact: <sip:1001@127.0.0.1>\nMIME-Version: 1.0\n"
		  "Content-Type: multipart/mixed;boundary=b1\nContent-Length: %%LENGTH%%\n\n%s",
		  kit.phone.address.port, disposition, disposition, description);
}

static void of_a_multipart_body_the_description_alone_crosses(void **state)
{
	(void)state;
	multipart_invite("optional");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_string_equal(header(&kit.pbx, "Content-Type"), "application/sdp");
	assert_non_null(strstr(body(&kit.pbx), "m=audio 21"));
	assert_null(strstr(kit.pbx.text, "isup"));
	/* The answer may come in parts too. */
	peer_send(&kit, &kit.pbx,
		  "SIP/2.0 200 OK\nVia: %s\nFrom: %s\nTo: %s;tag=x\nCall-ID: %s\nCSeq: %s\nContact: <sip:p@127.0.0.1>\n"
		  "Content-Type: multipart/mixed;boundary=\"b 2\"\nContent-Length: %%LENGTH%%\n\n--b 2\nContent-Type: "
		  "application/sdp\n\n%s\n--b 2--",
		  header(&kit.pbx, "Via"), header(&kit.pbx, "From"), header(&kit.pbx, "To"),
		  header(&kit.pbx, "Call-ID"), header(&kit.pbx, "CSeq"), sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_string_equal(header(&kit.phone, "Content-Type"), "application/sdp");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
}

static void a_part_that_must_be_understood_refuses_the_call(void **state)
{
	(void)state;
	multipart_invite("required");
	peer_expect(&kit, &kit.phone, "SIP/2.0 415");
	assert_string_equal(header(&kit.phone, "Accept"), "application/sdp");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
}

/* ---- What media lets pass (THREATS M4) ---- */

static const char *sound(const char *formats)
{
	static char text[4][400];
	static unsigned next;
	char *out = text[next++ % 4];

	snprintf(out, sizeof(text[0]),
		 "v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP %s\n"
		 "a=rtpmap:96 opus/48000/2\na=rtpmap:97 L16/44100\na=rtpmap:98 L16/48000\n",
		 formats);
	return out;
}

static bool lets_pass(int type)
{
	return kit.streams[0].budget.payload_types[type / 8] >> type % 8 & 1;
}

static void what_was_offered_and_not_answered_for_is_taken_back(void **state)
{
	uint32_t wide, agreed = kit.streams[0].budget.kbps;

	(void)state;
	reinvite(&caller, &kit.pbx, sound("0 8 96 98"), sound("8"), "m=audio");
	wide = kit.streams[0].budget.kbps;
	assert_true(lets_pass(0) && lets_pass(8) && lets_pass(96) && lets_pass(98) && wide > agreed);
	kit_skip(&kit, 5000); /* what is late still passes */
	assert_true(lets_pass(0) && lets_pass(96));
	kit_skip(&kit, 6000);
	assert_true(lets_pass(8) && lets_pass(13));
	assert_false(lets_pass(0) || lets_pass(96) || lets_pass(98));
	assert_int_equal(kit.streams[0].budget.kbps, agreed);

	/* Types of its own: who knows how each side numbers its codecs. */
	reinvite(&callee, &kit.phone, sound("8 96"), sound("8 97"), "m=audio");
	kit_skip(&kit, 11000);
	assert_true(lets_pass(8) && lets_pass(96) && lets_pass(97));

	/* An offer that is refused. */
	side_sends(&kit, &caller, "INVITE", "", sound("0 8 98"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_true(lets_pass(98));
	kit_skip(&kit, 11000);
	assert_true(lets_pass(98)); /* it may still be taken */
	peer_answer(&kit, &kit.pbx, "488 Not Acceptable Here", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 488");
	kit_skip(&kit, 11000);
	assert_true(lets_pass(8) && lets_pass(96) && lets_pass(97));
	assert_false(lets_pass(0) || lets_pass(98));
}

static void what_a_call_began_with_is_taken_back_by_whoever_goes_on_with_it(void **state)
{
	struct kit *const one = &kit;

	(void)state;
	kit_stop(one);
	kit_start(one, "", "none");
	kit_keep(one);
	kit_establish(one, &one->phone, &caller, &callee, sound("0 8 96"), sound("8"));
	assert_true(lets_pass(0) && lets_pass(96));
	assert_int_equal(media_clock_rate(one->streams[0].clocks[96]), 48000);
	kit_kill(one);
	assert_true(lets_pass(0) && lets_pass(96));
	assert_int_equal(media_clock_rate(one->streams[0].clocks[96]), 48000);
	kit_skip(one, 11000);
	assert_true(lets_pass(8) && !lets_pass(0) && !lets_pass(96));
	kit_pump(one, 100); /* it is written down */
	kit_kill(one);
	assert_true(lets_pass(8) && !lets_pass(0) && !lets_pass(96));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(what_was_offered_and_not_answered_for_is_taken_back),
		TEST(what_a_call_began_with_is_taken_back_by_whoever_goes_on_with_it),
		TEST(a_fax_changes_the_call_to_t38_and_back),
		TEST(a_refused_fax_leaves_the_voice_call_as_it_was),
		TEST(either_side_may_ask_for_an_offer),
		TEST(tones_cross_by_info_and_nothing_else_does),
		TEST(the_reason_of_a_bye_crosses_both_ways_without_names_of_the_inside),
		TEST(the_callers_reason_for_giving_up_reaches_who_rings),
		TEST(of_a_multipart_body_the_description_alone_crosses),
		TEST(a_part_that_must_be_understood_refuses_the_call),
		TEST(the_time_to_retry_after_crosses_as_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
