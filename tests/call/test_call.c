/* SPDX-License-Identifier: Apache-2.0
 * Calls through the gateway, message by message. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

#define INVITE \
	"INVITE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\n" \
	"Max-Forwards: 20\nFrom: \"Alice\" <sip:1001@voip.example.org>;tag=alicetag\nTo: " \
	"<sip:600@voip.example.org>%s\n" \
	"Call-ID: alice-call@phone\nCSeq: %u INVITE\nContact: <sip:1001@127.0.0.1:%u>\nSupported: 100rel, replaces\n" \
	"User-Agent: Phone/1.0\nP-Asserted-Identity: <sip:boss@voip.example.org>\nX-Evil: yes\n"

static void alice_invites(struct kit *kit, const char *branch, const char *to_tag, unsigned cseq,
			  const char *description)
{
	peer_send(kit, &kit->phone, INVITE "%sContent-Length: %%LENGTH%%\n\n%s", kit->phone.address.port, branch,
		  to_tag, cseq, kit->phone.address.port, *description ? "Content-Type: application/sdp\n" : "",
		  description);
}

static void phone_sends(struct kit *kit, const char *method, const char *branch, const char *to_tag, unsigned cseq,
			const char *extra, const char *description)
{
	peer_send(
		kit, &kit->phone,
		"%s sip:gw@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\nMax-Forwards: 70\n"
		"From: <sip:1001@voip.example.org>;tag=alicetag\nTo: <sip:600@voip.example.org>;tag=%s\n"
		"Call-ID: alice-call@phone\nCSeq: %u %s\n%s%sContent-Length: %%LENGTH%%\n\n%s",
		method, kit->phone.address.port, branch, to_tag, cseq, method, extra,
		*description ? "Content-Type: application/sdp\n" : "", description);
}

/* Brings a call up; the phone's To tag is left in `to_tag`. */
static void establish(struct kit *kit, char to_tag[128])
{
	alice_invites(kit, "one", "", 1, sdp_plain(4000, "sendrecv"));
	peer_expect(kit, &kit->pbx, "INVITE ");
	peer_answer(kit, &kit->pbx, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(kit, &kit->phone, "SIP/2.0 200");
	strcpy(to_tag, tag(&kit->phone, "To"));
	phone_sends(kit, "ACK", "ack1", to_tag, 1, "", "");
	peer_expect(kit, &kit->pbx, "ACK ");
}

static void a_call_is_carried_and_hides_each_side_from_the_other(void **state)
{
	struct kit kit;
	char to_tag[128], inner_id[256];

	(void)state;
	kit_start(&kit, "", "none");
	alice_invites(&kit, "one", "", 1, sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE sip:600@voip.example.org SIP/2.0");
	assert_string_equal(header(&kit.pbx, "Max-Forwards"), "19");
	assert_null(strstr(kit.pbx.text, "alice-call"));
	assert_null(strstr(kit.pbx.text, "alicetag"));
	assert_null(strstr(kit.pbx.text, "Phone/1.0"));
	assert_null(strstr(kit.pbx.text, "secretname"));
	assert_null(strstr(kit.pbx.text, "x-inner"));
	assert_null(strstr(kit.pbx.text, "4000"));
	assert_false(has_header(&kit.pbx, "P-Asserted-Identity"));
	assert_false(has_header(&kit.pbx, "X-Evil"));
	assert_string_equal(header(&kit.pbx, "Supported"), "100rel, replaces, timer");
	assert_non_null(strstr(header(&kit.pbx, "From"), "\"Alice\" <sip:1001@voip.example.org>;tag="));
	assert_non_null(strstr(body(&kit.pbx), "m=audio 21"));
	strcpy(inner_id, header(&kit.pbx, "Call-ID"));

	peer_answer(&kit, &kit.pbx, "180 Ringing", "pbxtag", "Server: Asterisk\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	assert_false(has_header(&kit.phone, "Server"));
	/* The answer is to the INVITE, which the PBX still has as its last message. */
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "Record-Route: <sip:10.1.1.1;lr>\n",
		    sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_false(has_header(&kit.phone, "Record-Route"));
	assert_null(strstr(kit.phone.text, inner_id));
	assert_null(strstr(kit.phone.text, "pbxtag"));
	assert_null(strstr(kit.phone.text, "secretname"));
	assert_null(strstr(kit.phone.text, "5000"));
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
	strcpy(to_tag, tag(&kit.phone, "To"));
	phone_sends(&kit, "ACK", "ack1", to_tag, 1, "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_string_equal(header(&kit.pbx, "Route"), "<sip:10.1.1.1;lr>");
	assert_string_equal(tag(&kit.pbx, "To"), "pbxtag");

	assert_int_equal(kit.streams_set, 1);
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.port, 4000);
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5000);
	assert_true(kit.streams[0].sides[0].may_send);

	phone_sends(&kit, "BYE", "bye1", to_tag, 2, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	peer_expect(&kit, &kit.pbx, "BYE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	assert_int_equal(kit.sessions_closed, 1);
	kit_stop(&kit);
}

static void the_answering_side_may_hang_up(void **state)
{
	struct kit kit;
	char to_tag[128], bye[1024];

	(void)state;
	kit_start(&kit, "", "none");
	establish(&kit, to_tag);
	snprintf(bye, sizeof(bye),
		 "BYE sip:gw@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKpbx1\nMax-Forwards: 70\n"
		 "From: %s\nTo: %s\nCall-ID: %s\nCSeq: 9 BYE\nContent-Length: 0\n\n",
		 kit.pbx.address.port, header(&kit.pbx, "To"), header(&kit.pbx, "From"), header(&kit.pbx, "Call-ID"));
	peer_send(&kit, &kit.pbx, "%s", bye);
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	peer_expect(&kit, &kit.phone, "BYE ");
	assert_string_equal(tag(&kit.phone, "From"), to_tag);
	assert_string_equal(tag(&kit.phone, "To"), "alicetag");
	kit_stop(&kit);
}

static void s6_a_stranger_with_the_right_tags_ends_nothing(void **state)
{
	struct kit kit;
	char to_tag[128], bye[1024];

	(void)state;
	kit_start(&kit, "", "none");
	establish(&kit, to_tag);
	/* Right in everything that the inner leg knows, but sent to the access side by somebody. */
	snprintf(bye, sizeof(bye),
		 "BYE sip:gw@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKevil;rport\nMax-Forwards: "
		 "70\n"
		 "From: %s\nTo: %s\nCall-ID: %s\nCSeq: 99 BYE\nContent-Length: 0\n\n",
		 kit.stranger.address.port, header(&kit.pbx, "To"), header(&kit.pbx, "From"),
		 header(&kit.pbx, "Call-ID"));
	peer_send(&kit, &kit.stranger, "%s", bye);
	peer_expect(&kit, &kit.stranger, "SIP/2.0 481");
	peer_expect_nothing(&kit, &kit.phone, "BYE ");
	peer_expect_nothing(&kit, &kit.pbx, "BYE ");
	kit_stop(&kit);
}

static void a_cancelled_call_is_cancelled_on_the_other_side(void **state)
{
	struct kit kit;
	struct peer invite;

	(void)state;
	kit_start(&kit, "", "none");
	alice_invites(&kit, "one", "", 1, sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	invite = kit.pbx;
	peer_answer(&kit, &kit.pbx, "180 Ringing", "pbxtag", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	peer_send(&kit, &kit.phone,
		  "CANCEL sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKone;rport\n"
		  "Max-Forwards: 20\nFrom: \"Alice\" <sip:1001@voip.example.org>;tag=alicetag\n"
		  "To: <sip:600@voip.example.org>\nCall-ID: alice-call@phone\nCSeq: 1 CANCEL\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
	/* The race: the PBX answered before it saw the CANCEL. It must be acknowledged and ended. */
	strcpy(kit.pbx.text, invite.text);
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.pbx, "BYE ");
	kit_stop(&kit);
}

static void a_refusal_crosses_without_what_it_says_of_the_inside(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	alice_invites(&kit, "one", "", 1, sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "486 Busy Here", "pbxtag", "Warning: 399 pbx.inner \"busy\"\nServer: PBX\n", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.phone, "SIP/2.0 486");
	assert_false(has_header(&kit.phone, "Warning"));
	assert_false(has_header(&kit.phone, "Server"));
	assert_null(strstr(kit.phone.text, "pbxtag"));
	kit_stop(&kit);
}

static void the_pbx_challenge_reaches_the_phone_and_its_answer_the_pbx(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	alice_invites(&kit, "one", "", 1, sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "407 Proxy Authentication Required", "t",
		    "Proxy-Authenticate: Digest realm=\"voip.example.org\", nonce=\"abc\"\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	assert_string_equal(header(&kit.phone, "Proxy-Authenticate"),
			    "Digest realm=\"voip.example.org\", nonce=\"abc\"");
	peer_send(&kit, &kit.phone,
		  INVITE "Proxy-Authorization: Digest username=\"1001\", realm=\"voip.example.org\", nonce=\"abc\", "
			 "uri=\"sip:600@voip.example.org\", response=\"00000000000000000000000000000000\"\n"
			 "Content-Length: 0\n\n",
		  kit.phone.address.port, "two", "", 2, kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_non_null(strstr(header(&kit.pbx, "Proxy-Authorization"), "nonce=\"abc\""));
	kit_stop(&kit);
}

static void hold_and_resume_change_who_may_send(void **state)
{
	struct kit kit;
	char to_tag[128], with_tag[160];

	(void)state;
	kit_start(&kit, "", "none");
	establish(&kit, to_tag);
	snprintf(with_tag, sizeof(with_tag), ";tag=%s", to_tag);
	alice_invites(&kit, "hold", with_tag, 3, sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_non_null(strstr(body(&kit.pbx), "a=sendonly"));
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "recvonly"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_non_null(strstr(body(&kit.phone), "a=recvonly"));
	phone_sends(&kit, "ACK", "ack3", to_tag, 3, "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_true(kit.streams[0].sides[0].may_send);
	assert_false(kit.streams[0].sides[1].may_send);
	kit_stop(&kit);
}

static void a_late_offer_is_answered_in_the_ack(void **state)
{
	struct kit kit;
	char to_tag[128];

	(void)state;
	kit_start(&kit, "", "none");
	alice_invites(&kit, "one", "", 1, "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_string_equal(body(&kit.pbx), "");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_non_null(strstr(body(&kit.phone), "m=audio 20"));
	strcpy(to_tag, tag(&kit.phone, "To"));
	phone_sends(&kit, "ACK", "ack1", to_tag, 1, "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_non_null(strstr(body(&kit.pbx), "m=audio 21"));
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.port, 4000);
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.port, 5000);
	kit_stop(&kit);
}

static void reliable_provisional_responses_are_acknowledged_end_to_end(void **state)
{
	struct kit kit;
	char to_tag[128], rack[64];
	unsigned inner_cseq;
	struct peer invite;

	(void)state;
	kit_start(&kit, "", "none");
	alice_invites(&kit, "one", "", 1, sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	invite = kit.pbx;
	inner_cseq = (unsigned)strtoul(header(&kit.pbx, "CSeq"), NULL, 10);
	peer_answer(&kit, &kit.pbx, "183 Session Progress", "pbxtag", "Require: 100rel\nRSeq: 77\n",
		    sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 183");
	assert_string_equal(header(&kit.phone, "Require"), "100rel");
	assert_string_equal(header(&kit.phone, "RSeq"), "77");
	strcpy(to_tag, tag(&kit.phone, "To"));
	phone_sends(&kit, "PRACK", "prack", to_tag, 2, "RAck: 77 1 INVITE\n", "");
	peer_expect(&kit, &kit.pbx, "PRACK ");
	snprintf(rack, sizeof(rack), "77 %u INVITE", inner_cseq);
	assert_string_equal(header(&kit.pbx, "RAck"), rack);
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	strcpy(kit.pbx.text, invite.text);
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_string_equal(tag(&kit.phone, "To"), to_tag);
	kit_stop(&kit);
}

static void m1_a_clear_call_is_refused_where_encryption_is_required(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "required");
	/* An offer with keys over clear signalling: the keys are not used. */
	alice_invites(&kit, "one", "", 1,
		      "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/SAVP 0\n"
		      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 488");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	kit_stop(&kit);
}

static void n7_only_peers_may_speak_to_the_core(void **state)
{
	struct kit kit;
	struct sockaddr_storage sockaddr;
	static const char options[] = "OPTIONS sip:x SIP/2.0\r\n\r\n";
	struct gateway_status status;

	(void)state;
	/* 127.0.0.2 is no peer of the core zone. */
	kit_start(&kit, "", "none");
	struct address elsewhere = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 2}};
	socklen_t length = address_to_sockaddr(&elsewhere, &sockaddr);
	int descriptor = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(bind(descriptor, (struct sockaddr *)&sockaddr, length), 0);
	length = address_to_sockaddr(&kit.core, &sockaddr);
	sendto(descriptor, options, sizeof(options) - 1, 0, (struct sockaddr *)&sockaddr, length);
	kit_pump(&kit, 50);
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.sources_refused, 1);
	assert_int_equal(recv(descriptor, kit.stranger.text, 100, MSG_DONTWAIT), -1);
	close(descriptor);
	kit_stop(&kit);
}

static void max_forwards_is_kept_and_counted_down(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	peer_send(&kit, &kit.phone,
		  "INVITE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKmf;rport\n"
		  "Max-Forwards: 0\nFrom: <sip:1001@voip.example.org>;tag=a\nTo: <sip:600@voip.example.org>\nCall-ID: "
		  "mf\n"
		  "CSeq: 1 INVITE\nContact: <sip:1001@127.0.0.1>\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.phone, "SIP/2.0 483");
	kit_stop(&kit);
}

static void stopping_ends_calls_and_says_when_it_is_done(void **state)
{
	struct kit kit;
	char to_tag[128];

	(void)state;
	kit_start(&kit, "", "none");
	establish(&kit, to_tag);
	gateway_stop(kit.gateway);
	peer_expect(&kit, &kit.pbx, "BYE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	peer_expect(&kit, &kit.phone, "BYE ");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	for (int i = 0; i < 500 && !kit.stopped; i++)
		kit_pump(&kit, 10);
	assert_true(kit.stopped);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_carried_and_hides_each_side_from_the_other),
		cmocka_unit_test(the_answering_side_may_hang_up),
		cmocka_unit_test(s6_a_stranger_with_the_right_tags_ends_nothing),
		cmocka_unit_test(a_cancelled_call_is_cancelled_on_the_other_side),
		cmocka_unit_test(a_refusal_crosses_without_what_it_says_of_the_inside),
		cmocka_unit_test(the_pbx_challenge_reaches_the_phone_and_its_answer_the_pbx),
		cmocka_unit_test(hold_and_resume_change_who_may_send),
		cmocka_unit_test(a_late_offer_is_answered_in_the_ack),
		cmocka_unit_test(reliable_provisional_responses_are_acknowledged_end_to_end),
		cmocka_unit_test(m1_a_clear_call_is_refused_where_encryption_is_required),
		cmocka_unit_test(n7_only_peers_may_speak_to_the_core),
		cmocka_unit_test(max_forwards_is_kept_and_counted_down),
		cmocka_unit_test(stopping_ends_calls_and_says_when_it_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
