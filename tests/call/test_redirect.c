/* SPDX-License-Identifier: Apache-2.0
 * Redirects: a call answered with "moved" is sent on, told or refused (RFC 3261 section 8.1.3.4; THREATS S5, S10, S13). */
#include <stdio.h>
#include <string.h>

#include "call/events.h"
#include "kit.h"

static struct kit kit;

static int start_with(const char *zone_extra)
{
	kit_start(&kit, zone_extra, "none");
	peer_registers(&kit, &kit.phone, "1001");
	return 0;
}

static int start(void **state)
{
	(void)state;
	return start_with("");
}

static int start_telling(void **state)
{
	(void)state;
	return start_with("    redirects: pass\n");
}

static int start_refusing(void **state)
{
	(void)state;
	return start_with("    redirects: refuse\n");
}

static int stop(void **state)
{
	(void)state;
	memory_fail_after(-1);
	kit_stop(&kit);
	return 0;
}

/* The PBX calls the phone. */
static void pbx_dials(const char *name, unsigned max_forwards)
{
	peer_send(&kit, &kit.pbx,
		  "INVITE sip:1001@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s\n"
		  "Max-Forwards: %u\nFrom: <sip:2002@voip.example.org>;tag=%s\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: %s\nCSeq: 1 INVITE\nContact: <sip:2002@127.0.0.1:%u>\nContent-Type: application/sdp\n"
		  "Content-Length: %%LENGTH%%\n\n%s",
		  kit.pbx.address.port, name, max_forwards, name, name, kit.pbx.address.port,
		  sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "INVITE ");
}

/* Answers the last request with Contacts, whole lines without the last CRLF, or none. */
static void moved(struct peer *peer, const char *status, const char *contacts)
{
	static char text[KIT_MESSAGE];
	const char *via = strstr(peer->text, "\r\nVia: ") + 2;
	int length = snprintf(text, sizeof(text),
			      "SIP/2.0 %s\r\n%.*s\r\nFrom: %s\r\nTo: %s;tag=m\r\nCall-ID: %s\r\nCSeq: %s\r\n%s%s"
			      "Content-Length: 0\r\n\r\n",
			      status, (int)strcspn(via, "\r"), via, header(peer, "From"), header(peer, "To"),
			      header(peer, "Call-ID"), header(peer, "CSeq"), contacts, *contacts ? "\r\n" : "");

	peer_send_bytes(&kit, peer, text, (size_t)length);
	kit_pump(&kit, 2);
}

static struct gateway_counters counters(void)
{
	struct gateway_status status;

	gateway_status_get(kit.gateway, &status);
	return status.counters;
}

static void take_payer(void *context, const struct gateway_call_view *view)
{
	snprintf(context, 64, "%s", view->payer);
}

static const char *payer(void)
{
	static char text[64];

	strcpy(text, "no call");
	gateway_calls_each(kit.gateway, take_payer, text);
	return text;
}

static void a_phone_forwards_its_calls_and_pays(void **state)
{
	struct side pbx_out;

	(void)state;
	pbx_dials("one", 20);
	assert_string_equal(payer(), "2002");
	moved(&kit.phone, "302 Moved Temporarily",
	      "Contact: <http://x.example>\r\nContact: <sip:9001@10.9.9.9>;q=0.3, \"Mobile\" "
	      "<sip:1003@10.9.9.9:5099>;q=0.7");
	peer_expect(&kit, &kit.phone, "ACK ");
	peer_expect(&kit, &kit.pbx, "INVITE sip:1003@voip.example.org SIP/2.0");
	assert_string_equal(header(&kit.pbx, "Diversion"),
			    "<sip:1001@voip.example.org>;reason=unconditional;counter=1");
	assert_string_equal(header(&kit.pbx, "Max-Forwards"), "18");
	assert_non_null(strstr(body(&kit.pbx), "m=audio 21"));
	assert_null(strstr(kit.pbx.text, "10.9.9.9"));
	assert_string_equal(payer(), "1001");
	assert_int_equal(counters().redirects_followed, 1);

	/* It is a call like any other. */
	side_of_callee(&pbx_out, &kit.pbx, "mobile");
	peer_answer(&kit, &kit.pbx, "200 OK", "mobile", "", sdp_plain(5008, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	assert_non_null(strstr(body(&kit.pbx), "m=audio 21"));
	side_sends(&kit, &pbx_out, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	while (peer_receive(&kit, &kit.pbx, 50))
		if (!strncmp(kit.pbx.text, "BYE", 3))
			peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	kit_silence(&kit);
}

static void after_it_rang_it_is_deflected(void **state)
{
	char tag_before[128];

	(void)state;
	pbx_dials("one", 70);
	peer_answer(&kit, &kit.phone, "183 Session Progress", "p", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 183");
	strcpy(tag_before, tag(&kit.pbx, "To"));
	moved(&kit.phone, "302 Moved", "Contact: <sip:1003@10.9.9.9>");
	peer_expect(&kit, &kit.pbx, "INVITE sip:1003@");
	assert_non_null(strstr(header(&kit.pbx, "Diversion"), "reason=deflection"));
	peer_answer(&kit, &kit.pbx, "180 Ringing", "mobile", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 180");
	assert_string_not_equal(tag(&kit.pbx, "To"), tag_before);
	peer_send(
		&kit, &kit.pbx,
		"CANCEL sip:1001@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKone\nMax-Forwards: 70\n"
		"From: <sip:2002@voip.example.org>;tag=one\nTo: <sip:1001@voip.example.org>\nCall-ID: one\n"
		"CSeq: 1 CANCEL\nContent-Length: 0\n\n",
		kit.pbx.address.port);
	peer_expect(&kit, &kit.pbx, "CANCEL sip:1003@");
	kit_silence(&kit);
}

static void the_pbx_sends_a_phone_elsewhere_at_the_phones_cost(void **state)
{
	(void)state;
	phone_invites(&kit, &kit.phone, "out", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE sip:600@");
	moved(&kit.pbx, "301 Moved", "Contact: <sip:601@10.0.0.3>");
	peer_expect(&kit, &kit.pbx, "INVITE sip:601@voip.example.org");
	assert_false(has_header(&kit.pbx, "Diversion"));
	assert_string_equal(payer(), "1001");
	peer_answer(&kit, &kit.pbx, "486 Busy Here", "b", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 486");
}

static void s10_circles_end(void **state)
{
	char contact[100];

	(void)state;
	/* To where it is already. */
	phone_invites(&kit, &kit.phone, "a", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE sip:600@");
	moved(&kit.pbx, "302 Moved", "Contact: <sip:601@10.0.0.3>");
	peer_expect(&kit, &kit.pbx, "INVITE sip:601@");
	moved(&kit.pbx, "302 Moved", "Contact: <sip:600@10.0.0.3>, <sip:601@10.0.0.4>, <sip:1001@10.0.0.4>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 480");
	assert_int_equal(counters().redirects_refused, 1);
	/* Ever further. */
	phone_invites(&kit, &kit.phone, "b", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE sip:600@");
	for (int i = 0; i < REDIRECTS_MAXIMUM; i++) {
		snprintf(contact, sizeof(contact), "Contact: <sip:70%d@10.0.0.3>", i);
		moved(&kit.pbx, "302 Moved", contact);
		snprintf(contact, sizeof(contact), "INVITE sip:70%d@", i);
		peer_expect(&kit, &kit.pbx, contact);
	}
	moved(&kit.pbx, "302 Moved", "Contact: <sip:799@10.0.0.3>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 480");
	/* Each is a hop. */
	pbx_dials("c", 2);
	moved(&kit.phone, "302 Moved", "Contact: <sip:1003@10.0.0.3>");
	peer_expect(&kit, &kit.pbx, "INVITE sip:1003@");
	assert_string_equal(header(&kit.pbx, "Max-Forwards"), "0");
	peer_answer(&kit, &kit.pbx, "486 Busy Here", "x", "", "");
	pbx_dials("d", 1);
	moved(&kit.phone, "302 Moved", "Contact: <sip:1003@10.0.0.3>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 480");
	kit_silence(&kit);
}

static void what_names_no_target_is_refused(void **state)
{
	static const char *const contacts[] = {"", "Contact: <sip:10.9.9.9>", "Contact: <mailto:a@b.example>",
					       "Contact: <sip:2002@10.9.9.9>"};
	char name[8];

	(void)state;
	for (unsigned i = 0; i < sizeof(contacts) / sizeof(contacts[0]); i++) {
		snprintf(name, sizeof(name), "n%u", i);
		pbx_dials(name, 70);
		moved(&kit.phone, "302 Moved", contacts[i]);
		peer_expect(&kit, &kit.pbx, "SIP/2.0 480");
		assert_false(has_header(&kit.pbx, "Contact"));
	}
	pbx_dials("proxy", 70);
	moved(&kit.phone, "305 Use Proxy", "Contact: <sip:1003@10.9.9.9>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 480");
	assert_int_equal(counters().redirects_refused, 5);
	assert_int_equal(counters().redirects_followed, 0);
	kit_silence(&kit);
}

static void a_zone_may_refuse_redirects(void **state)
{
	(void)state;
	pbx_dials("one", 70);
	moved(&kit.phone, "302 Moved", "Contact: <sip:1003@10.9.9.9>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 480");
	assert_int_equal(counters().redirects_refused, 1);
}

static void a_zone_may_have_the_caller_told(void **state)
{
	(void)state;
	pbx_dials("one", 70);
	moved(&kit.phone, "302 Moved",
	      "Contact: \"X\" <sip:1003@10.9.9.9:5099;transport=tcp>;q=0.5, <sip:1004@10.9.9.9>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 302");
	assert_string_equal(header(&kit.pbx, "Contact"), "<sip:1004@voip.example.org>;q=1.000");
	assert_non_null(strstr(kit.pbx.text, "Contact: <sip:1003@voip.example.org>;q=0.500\r\n"));
	assert_null(strstr(kit.pbx.text, "10.9.9.9"));
	assert_int_equal(counters().redirects_passed, 1);
	/* Of calls alone: elsewhere nobody is sent anywhere. */
	pbx_dials("two", 70);
	moved(&kit.phone, "305 Use Proxy", "Contact: <sip:1003@10.9.9.9>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 480");
}

static void short_of_memory_it_answers(void **state)
{
	char name[32];

	(void)state;
	for (long i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "m%ld", i);
		pbx_dials(name, 70);
		memory_fail_after(i);
		moved(&kit.phone, "302 Moved", "Contact: <sip:1003@10.9.9.9>");
		memory_fail_after(-1);
		while (peer_receive(&kit, &kit.pbx, 2))
			if (!strncmp(kit.pbx.text, "INVITE", 6))
				peer_answer(&kit, &kit.pbx, "486 Busy Here", "x", "", "");
	}
	kit_silence(&kit);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_phone_forwards_its_calls_and_pays),
		EACH(after_it_rang_it_is_deflected),
		EACH(the_pbx_sends_a_phone_elsewhere_at_the_phones_cost),
		EACH(s10_circles_end),
		EACH(what_names_no_target_is_refused),
		cmocka_unit_test_setup_teardown(a_zone_may_refuse_redirects, start_refusing, stop),
		cmocka_unit_test_setup_teardown(a_zone_may_have_the_caller_told, start_telling, stop),
		EACH(short_of_memory_it_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
