/* SPDX-License-Identifier: Apache-2.0
 * Writing: what is built is parsed again, and nothing can be slipped into a line. */
#include "message_fixture.h"

static const struct flow flow = {
	.transport = TRANSPORT_UDP,
	.remote = {.family = ADDRESS_IPV4, .port = 40000, .ip = {198, 51, 100, 7}},
};

static void test_request_round_trip(void **state)
{
	char text[2048];
	struct buffer out = BUFFER_OVER(text);
	const struct span pieces[] = {SPAN("SIP/2.0/UDP "), SPAN("192.0.2.1"), SPAN(";branch=z9hG4bK"), SPAN("xyz")};
	char display[64];
	struct buffer quoted = BUFFER_OVER(display);
	struct parsed parsed;

	(void)state;
	sip_write_quoted(&quoted, SPAN("a \"b\" \\"));
	assert_span(buffer_span(&quoted), "\"a \\\"b\\\" \\\\\"");
	sip_write_request_line(&out, SPAN("MESSAGE"), SPAN("sip:bob@example.com"));
	sip_write_header_pieces(&out, SIP_HEADER_VIA, pieces, 4);
	sip_write_header_number(&out, SIP_HEADER_MAX_FORWARDS, 70);
	sip_write_address(&out, SIP_HEADER_FROM, buffer_span(&quoted), SPAN("sip:a@example.com"), SPAN(";x=y"),
			  SPAN("t1"));
	sip_write_address(&out, SIP_HEADER_TO, SPAN_EMPTY, SPAN("sip:b@example.com"), SPAN_EMPTY, SPAN_EMPTY);
	sip_write_header(&out, SIP_HEADER_CALL_ID, SPAN("c@d"));
	sip_write_header(&out, SIP_HEADER_CSEQ, SPAN("1 MESSAGE"));
	sip_write_header_named(&out, SPAN("X-Own"), SPAN("v\xc3\xa9"));
	sip_write_body(&out, SPAN("text/plain"), SPAN("a\r\n\0b"));
	assert_false(out.overflow);
	for (int is_stream = 0; is_stream < 2; is_stream++) {
		parsed = parse(buffer_span(&out), is_stream);
		assert_int_equal(parsed.reject, SIP_OK);
		assert_int_equal(parsed.message.method, SIP_MESSAGE);
		assert_span(parsed.message.via.branch, "z9hG4bKxyz");
		assert_span(parsed.message.from.tag, "t1");
		assert_span(parsed.message.from.parameters, ";x=y;tag=t1");
		assert_int_equal(parsed.message.body.length, 5);
		parsed_free(&parsed);
	}
}

static void test_nothing_is_slipped_in(void **state)
{
	static const struct span bad[] = {SPAN_INIT("a\r\nb: c"), SPAN_INIT("a\nb"),       SPAN_INIT("a\rb"),
					  SPAN_INIT("a\0b"),      SPAN_INIT("12345678\n"), SPAN_INIT("\xc3\xa9\n")};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		for (int what = 0; what < 11; what++) {
			struct buffer out = BUFFER_OVER(text);

			switch (what) {
			case 0: sip_write_request_line(&out, bad[i], SPAN("sip:h")); break;
			case 1: sip_write_request_line(&out, SPAN("INFO"), bad[i]); break;
			case 2: sip_write_status_line(&out, 200, bad[i]); break;
			case 3: sip_write_header(&out, SIP_HEADER_SUBJECT, bad[i]); break;
			case 4: sip_write_header_named(&out, bad[i], SPAN("x")); break;
			case 5: sip_write_header_named(&out, SPAN("X"), bad[i]); break;
			case 6: sip_write_header_pieces(&out, SIP_HEADER_SUBJECT, &bad[i], 1); break;
			case 7:
				sip_write_address(&out, SIP_HEADER_TO, bad[i], SPAN("sip:h"), SPAN_EMPTY, SPAN_EMPTY);
				break;
			case 8:
				sip_write_address(&out, SIP_HEADER_TO, SPAN_EMPTY, bad[i], SPAN_EMPTY, SPAN_EMPTY);
				break;
			case 9:
				sip_write_address(&out, SIP_HEADER_TO, SPAN_EMPTY, SPAN("sip:h"), SPAN_EMPTY, bad[i]);
				break;
			case 10: sip_write_body(&out, bad[i], SPAN_EMPTY); break;
			}
			assert_true(out.overflow);
			assert_int_equal(buffer_span(&out).length, 0);
		}
	}
}

/* Wherever it stands: bytes are looked at eight at a time, and the last of them once more. */
static void test_nothing_is_slipped_in_anywhere(void **state)
{
	static const struct {
		char byte;
		bool refused;
	} rows[] = {{'\r', true}, {'\n', true}, {'\0', true},    {'\t', false},
		    {' ', false}, {'~', false}, {'\x7f', false}, {'\xc3', false}};
	char text[128];

	(void)state;
	for (size_t length = 1; length <= 40; length++)
		for (size_t at = 0; at < length; at++)
			for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
				char *exact = memory_alloc(length); /* so that a byte read beyond it is found */
				struct buffer out = BUFFER_OVER(text);

				assert_non_null(exact);
				memset(exact, 'a', length);
				exact[at] = rows[i].byte;
				sip_write_header(&out, SIP_HEADER_SUBJECT, (struct span){exact, length});
				assert_int_equal(out.overflow, rows[i].refused);
				/* What may stand there, before it, hides nothing. */
				exact[0] = '\xc3';
				exact[length - 1] = rows[i].byte;
				out = BUFFER_OVER(text);
				sip_write_header(&out, SIP_HEADER_SUBJECT, (struct span){exact, length});
				assert_int_equal(out.overflow, rows[i].refused);
				memory_free(exact);
			}
}

static void test_what_makes_no_sense_is_refused(void **state)
{
	char text[64];
	struct buffer out;

	(void)state;
#define REFUSED(call) \
	do { \
		out = BUFFER_OVER(text); \
		call; \
		assert_true(out.overflow); \
	} while (0)
	REFUSED(sip_write_request_line(&out, SPAN("IN FO"), SPAN("sip:h")));
	REFUSED(sip_write_request_line(&out, SPAN("INFO"), SPAN("sip:h SIP/2.0")));
	REFUSED(sip_write_request_line(&out, SPAN("INFO"), SPAN_EMPTY));
	REFUSED(sip_write_status_line(&out, 99, SPAN_EMPTY));
	REFUSED(sip_write_status_line(&out, 700, SPAN_EMPTY));
	REFUSED(sip_write_header(&out, SIP_HEADER_OTHER, SPAN("x")));
	REFUSED(sip_write_header_named(&out, SPAN("X:"), SPAN("x")));
	REFUSED(sip_write_address(&out, SIP_HEADER_TO, SPAN_EMPTY, SPAN("sip:h>;x"), SPAN_EMPTY, SPAN_EMPTY));
	REFUSED(sip_write_address(&out, SIP_HEADER_TO, SPAN_EMPTY, SPAN("sip:h"), SPAN_EMPTY, SPAN("a;b")));
	REFUSED(sip_write_quoted(&out, SPAN("a\nb")));
	out = BUFFER_OVER(text);
	sip_write_status_line(&out, 486, SPAN_EMPTY);
	assert_span(buffer_span(&out), "SIP/2.0 486 Busy Here\r\n");
}

static void expect_response(const char *request, uint16_t status, const char *tag, const struct flow *from,
			    const char *expected)
{
	char text[2048];
	struct buffer out = BUFFER_OVER(text);
	struct parsed parsed = parse_text(request);

	assert_int_equal(parsed.reject, SIP_OK);
	sip_write_response_start(&out, &parsed.message, status, SPAN_EMPTY, span_from(tag), from);
	assert_span(buffer_span(&out), expected);
	parsed_free(&parsed);
}

#define REST "From: <sip:a@h>;tag=1\r\nTo: sip:b@h\r\nCall-ID: c\r\nCSeq:  7\tINFO\r\nContent-Length: 0\r\n\r\n"

/* RFC 3261 section 8.2.6.2, RFC 3581 section 4. */
static void test_responses(void **state)
{
	(void)state;
	expect_response(
		"INFO sip:h SIP/2.0\r\n"
		"v: SIP/2.0/UDP h.example.com:5062 ;branch=z9hG4bK1;rport;x=\"a;b\" , SIP / 2.0 / TCP i\r\n"
		"X: y\r\nVia: SIP/2.0/TLS j\r\n" REST,
		200, "mine", &flow,
		"SIP/2.0 200 OK\r\n"
		"Via: SIP/2.0/UDP h.example.com:5062;branch=z9hG4bK1;x=\"a;b\";received=198.51.100.7;rport=40000"
		", SIP / 2.0 / TCP i\r\n"
		"Via: SIP/2.0/TLS j\r\n"
		"From: <sip:a@h>;tag=1\r\nTo: sip:b@h;tag=mine\r\nCall-ID: c\r\nCSeq: 7\tINFO\r\n");
	/* without rport; the sender's own idea of received does not count */
	expect_response("INFO sip:h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;received=203.0.113.1\r\n" REST, 100, "",
			&flow,
			"SIP/2.0 100 Trying\r\nVia: SIP/2.0/UDP 192.0.2.1;received=198.51.100.7\r\n"
			"From: <sip:a@h>;tag=1\r\nTo: sip:b@h\r\nCall-ID: c\r\nCSeq: 7\tINFO\r\n");
	/* sent-by is the source */
	expect_response("INFO sip:h SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK1\r\n" REST, 404, "x",
			&flow,
			"SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP 198.51.100.7:40000;branch=z9hG4bK1\r\n"
			"From: <sip:a@h>;tag=1\r\nTo: sip:b@h;tag=x\r\nCall-ID: c\r\nCSeq: 7\tINFO\r\n");
	/* unchanged without a flow; a tag that is there stays */
	expect_response("BYE sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a;rport\r\nFrom: <sip:a@h>;tag=1\r\n"
			"To: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 8 BYE\r\n\r\n",
			481, "other", NULL,
			"SIP/2.0 481 Call/Transaction Does Not Exist\r\nVia: SIP/2.0/UDP a;rport\r\n"
			"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 8 BYE\r\n");
}

static void test_a_reject_can_be_answered_if_it_says_so(void **state)
{
	char text[2048];
	static const char *const requests[] = {
		"INFO sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a;rport\r\n" REST,
		"INFO sip:h SIP/2.1\r\nVia: SIP/2.0/UDP a;rport\r\n" REST,
		"INFO sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a;rport\r\nExpires: x\r\n" REST,
		"INFO sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a;;\r\n" REST,
		"INFO sip:h SIP/2.0\r\n" REST,
		"ACK sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a;rport\r\n" REST,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		struct buffer out = BUFFER_OVER(text);
		struct parsed parsed = parse_text(requests[i]);

		sip_write_response_start(&out, &parsed.message, 400, SPAN_EMPTY, SPAN("x"), &flow);
		assert_int_equal(sip_message_is_answerable(&parsed.message), i < 3);
		if (sip_message_is_answerable(&parsed.message))
			assert_false(out.overflow);
		parsed_free(&parsed);
	}
}

/* THREATS N4: an answer goes nowhere but to the address the request came from. */
static void test_response_target(void **state)
{
	static const struct {
		const char *via;
		uint8_t transport;
		uint16_t port;
	} rows[] = {
		{"SIP/2.0/UDP 192.0.2.1:5062;rport", TRANSPORT_UDP, 40000},
		{"SIP/2.0/UDP 192.0.2.1:5062", TRANSPORT_UDP, 5062},
		{"SIP/2.0/UDP 192.0.2.1;maddr=203.0.113.1;received=203.0.113.2", TRANSPORT_UDP, 5060},
		{"SIP/2.0/TCP 192.0.2.1:5062", TRANSPORT_TCP, 40000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct flow came_on = flow, target;
		char text[1024];
		struct buffer out = BUFFER_OVER(text);
		struct parsed parsed;

		buffer_printf(&out, "INFO sip:h SIP/2.0\r\nVia: %s\r\n" REST, rows[i].via);
		parsed = parse(buffer_span(&out), false);
		came_on.transport = rows[i].transport;
		sip_response_target(&parsed.message, &came_on, &target);
		assert_true(address_equal_ip(&target.remote, &flow.remote));
		assert_int_equal(target.remote.port, rows[i].port);
		parsed_free(&parsed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_round_trip),
		cmocka_unit_test(test_nothing_is_slipped_in),
		cmocka_unit_test(test_nothing_is_slipped_in_anywhere),
		cmocka_unit_test(test_what_makes_no_sense_is_refused),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_a_reject_can_be_answered_if_it_says_so),
		cmocka_unit_test(test_response_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
