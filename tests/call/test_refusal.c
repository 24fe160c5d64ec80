/* SPDX-License-Identifier: Apache-2.0
 * Refusals: each has the status of its RFC, the header that belongs to it, and a counter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static struct kit kit;

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

static struct gateway_counters counters(void)
{
	struct gateway_status status;

	gateway_status_get(kit.gateway, &status);
	return status.counters;
}

static void sends(const char *method, const char *name, const char *extra, const char *content)
{
	peer_send(&kit, &kit.phone,
		  "%s sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\n"
		  "From: <sip:1001@voip.example.org>;tag=f\nTo: <sip:600@voip.example.org>\nCall-ID: %s\n"
		  "CSeq: 7 %s\nContact: <sip:1001@127.0.0.1>\n%sContent-Length: %%LENGTH%%\n\n%s",
		  method, kit.phone.address.port, name, name, method, extra, content);
}

#define COUNTED(name) (size_t) offsetof(struct gateway_counters, name)

static void every_refusal_has_its_status_its_header_and_a_counter(void **state)
{
	static const struct {
		const char *method, *extra, *content, *status, *header, *value;
		size_t counter;
	} rows[] = {
		{"INVITE", "Max-Forwards: 0\n", "", "483", NULL, NULL, COUNTED(refused_loop)},
		{"INVITE", "Require: sec-agree, timer\n", "", "420", "Unsupported", "sec-agree",
		 COUNTED(refused_extension)},
		{"INVITE", "Content-Encoding: gzip\nContent-Type: application/sdp\n", "x", "415", "Accept-Encoding",
		 "identity", COUNTED(refused_body)},
		{"INVITE", "Content-Type: text/html\n", "x", "415", "Accept", "application/sdp", COUNTED(refused_body)},
		{"INVITE", "Content-Type: multipart/mixed;boundary=b\n", "--b", "400", NULL, NULL,
		 COUNTED(refused_malformed)},
		{"INVITE", "Accept: text/plain, message/cpim\n", "", "406", NULL, NULL, COUNTED(refused_accept)},
		{"INVITE", "Accept: \n", "", "406", NULL, NULL, COUNTED(refused_accept)},
		{"INVITE", "Supported: timer\nSession-Expires: 10\n", "", "422", "Min-SE", "90",
		 COUNTED(refused_interval)},
		{"INVITE", "Content-Type: application/sdp\n", "v=0\n", "488", NULL, NULL, COUNTED(refused_offer)},
		{"FROB", "", "", "501", "Allow", NULL, COUNTED(refused_method)},
		{"BYE", "", "", "481", NULL, NULL, COUNTED(refused_no_dialog)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[16], line[32];
		struct gateway_counters before = counters(), after;

		snprintf(name, sizeof(name), "r%zu", i);
		snprintf(line, sizeof(line), "SIP/2.0 %s", rows[i].status);
		sends(rows[i].method, name, rows[i].extra, rows[i].content);
		peer_expect(&kit, &kit.phone, line);
		if (rows[i].value)
			assert_string_equal(header(&kit.phone, rows[i].header), rows[i].value);
		else if (rows[i].header)
			assert_true(has_header(&kit.phone, rows[i].header));
		after = counters();
		assert_int_equal(*(uint64_t *)((char *)&after + rows[i].counter),
				 *(uint64_t *)((char *)&before + rows[i].counter) + 1);
		assert_int_equal(after.calls_started, 0);
	}
}

static void an_accept_with_a_place_for_descriptions_is_none_to_refuse(void **state)
{
	(void)state;
	sends("INVITE", "a", "Accept: text/plain, application/sdp;q=0.5\n", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	sends("INVITE", "b", "Accept: */*\n", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
}

/* It counted each INVITE that was challenged, and with it every call twice. */
static void a_challenged_invite_is_no_call_yet(void **state)
{
	(void)state;
	sends("INVITE", "one", "", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "407 P", "t", "Proxy-Authenticate: Digest realm=\"r\", nonce=\"abc\"\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	assert_int_equal(counters().calls_started, 0);
	sends("INVITE", "two", "", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "180 R", "t", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	assert_int_equal(counters().calls_started, 1);
	assert_int_equal(counters().calls_failed, 0);
}

/* What the PBX sends back as it got it goes round no further; with another target it is a call through the PBX. */
static void a_loop_is_refused_and_a_spiral_is_not(void **state)
{
	char via[256];

	(void)state;
	sends("INVITE", "loop", "", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	snprintf(via, sizeof(via), "%s", header(&kit.pbx, "Via"));
	peer_send(&kit, &kit.pbx,
		  "INVITE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKp1\nVia: %s\n"
		  "Max-Forwards: 60\nFrom: <sip:1001@voip.example.org>;tag=f\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: x1\nCSeq: 7 INVITE\nContact: <sip:p@127.0.0.1>\nContent-Length: 0\n\n",
		  kit.pbx.address.port, via);
	peer_expect(&kit, &kit.pbx, "SIP/2.0 482");
	assert_int_equal(counters().refused_loop, 1);
	peer_send(&kit, &kit.pbx,
		  "INVITE sip:1002@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKp2, %s\n"
		  "Max-Forwards: 60\nFrom: <sip:1001@voip.example.org>;tag=f\nTo: <sip:1002@voip.example.org>\n"
		  "Call-ID: x2\nCSeq: 7 INVITE\nContact: <sip:p@127.0.0.1>\nContent-Length: 0\n\n",
		  kit.pbx.address.port, via);
	peer_expect(&kit, &kit.pbx, "SIP/2.0 404"); /* no such phone: it was not refused as a loop */
	assert_int_equal(counters().refused_loop, 1);
	assert_int_equal(counters().refused_not_found, 1);
}

static void raw(const char *text)
{
	char wire[1024];
	size_t length = 0;

	for (; *text; text++) {
		if (*text == '\n')
			wire[length++] = '\r';
		wire[length++] = *text;
	}
	peer_send_bytes(&kit, &kit.phone, wire, length);
}

/* RFC 4475 baddn, scalar02: these were met with silence. */
static void who_is_malformed_himself_is_told(void **state)
{
	char text[512];
	ssize_t length;

	(void)state;
	raw("OPTIONS sip:t.watson@example.org SIP/2.0\nVia: SIP/2.0/UDP "
	    "127.0.0.1:1;rport;branch=z9hG4bKkdjuw\nMax-Forwards: 70\n"
	    "From: Bell, Alexander <sip:a@example.com>;tag=43\nTo: Watson, Thomas <sip:t@example.org>\n"
	    "Call-ID: baddn\nAccept: application/sdp\nCSeq: 3923239 OPTIONS\nSubject: long enough to be answered as it "
	    "is\n"
	    "Subject-More: ................................................\nl: 0\n\n");
	kit_pump(&kit, 20);
	length = recv(kit.phone.descriptor, text, sizeof(text) - 1, 0);
	assert_true(length > 0);
	text[length] = 0;
	assert_non_null(strstr(text, "SIP/2.0 400 "));
	assert_non_null(strstr(text, "From: Bell, Alexander <sip:a@example.com>;tag=43\r\n"));
	assert_non_null(strstr(text, "To: Watson, Thomas <sip:t@example.org>;tag="));
	raw("REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:1;rport;branch=z9hG4bK342\nTo: "
	    "<sip:u@example.com>\n"
	    "From: <sip:u@example.com>;tag=2\nCSeq: 36893488147419103232 REGISTER\nCall-ID: scalar02\nMax-Forwards: "
	    "70\n"
	    "Subject: long enough to be answered as it is ...................................................\n"
	    "Contact: <sip:u@host129.example.com>\nl: 0\n\n");
	kit_pump(&kit, 20);
	length = recv(kit.phone.descriptor, text, sizeof(text) - 1, 0);
	assert_true(length > 0);
	text[length] = 0;
	assert_non_null(strstr(text, "SIP/2.0 400 "));
	assert_non_null(strstr(text, "CSeq: 36893488147419103232 REGISTER\r\n"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(every_refusal_has_its_status_its_header_and_a_counter),
		TEST(an_accept_with_a_place_for_descriptions_is_none_to_refuse),
		TEST(a_challenged_invite_is_no_call_yet),
		TEST(a_loop_is_refused_and_a_spiral_is_not),
		TEST(who_is_malformed_himself_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
