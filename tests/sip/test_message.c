/* SPDX-License-Identifier: Apache-2.0
 * Messages: what is understood, what is refused and why, and that nothing received does harm. */
#include "message_fixture.h"

static void test_request_is_taken_apart(void **state)
{
	struct parsed parsed = parse_text(invite_text);
	const struct sip_message *message = &parsed.message;

	(void)state;
	assert_int_equal(parsed.reject, SIP_OK);
	check_sound(&parsed, strlen(invite_text));
	assert_true(message->is_request);
	assert_int_equal(message->method, SIP_INVITE);
	assert_span(message->request_uri.user, "+441632960083");
	assert_span(message->request_uri.host, "sbc.example.com");
	assert_int_equal(message->via.transport, TRANSPORT_UDP);
	assert_span(message->via.host, "192.0.2.14");
	assert_int_equal(message->via.port, 5062);
	assert_true(message->via.rport);
	assert_int_equal(message->via.rport_value, 0);
	assert_span(message->via.branch, "z9hG4bKPj3f2a7c1e9d5b4860");
	assert_int_equal(message->max_forwards, 70);
	assert_span(message->from.display, "\"Alice, \\\"L\\\"\"");
	assert_span(message->from.tag, "8b1f2e6c7d");
	assert_span(message->from.uri.user, "alice");
	assert_int_equal(message->to.tag.length, 0);
	assert_span(message->call_id, "6f0b1b8e4a6d4c5c9f2e@192.0.2.14");
	assert_int_equal(message->cseq, 21314);
	assert_span(message->contact.uri.text, "sip:alice@192.0.2.14:5062;ob");
	assert_span(message->contact.parameters, ";expires=3600;+sip.instance=\"<urn:uuid:3c0e7a52>\"");
	assert_span(message->content_type, "application/sdp");
	assert_span(message->body, "v=0\r\n");
	assert_int_equal(message->header_count, 13);
	assert_int_equal(parsed.consumed, strlen(invite_text));
	parsed_free(&parsed);
}

static void test_response_is_taken_apart(void **state)
{
	struct parsed parsed = parse_text(response_text);
	const struct sip_message *message = &parsed.message;

	(void)state;
	assert_int_equal(parsed.reject, SIP_OK);
	assert_false(message->is_request);
	assert_int_equal(message->status, 180);
	assert_span(message->reason, "Ringing");
	assert_int_equal(message->method, SIP_INVITE);
	assert_span(message->method_text, "INVITE");
	assert_int_equal(message->via.transport, TRANSPORT_TLS);
	assert_span(message->via.text, "SIP/2.0/TLS sbc.example.com;branch=z9hG4bK77");
	assert_int_equal(message->to.uri.scheme, SIP_SCHEME_TEL);
	assert_span(message->to.uri.user, "+44-1632-960083");
	assert_span(message->to.tag, "99");
	assert_int_equal(message->max_forwards, -1);
	assert_false(sip_message_is_answerable(message));
	parsed_free(&parsed);
}

static void test_folded_lines_are_joined(void **state)
{
	struct parsed parsed = parse_text(register_text);

	(void)state;
	assert_int_equal(parsed.reject, SIP_OK);
	assert_span(sip_message_header(&parsed.message, SIP_HEADER_SUBJECT)->value, "folded  \tby a tab    and blanks");
	assert_true(parsed.message.contact.star);
	assert_int_equal(parsed.message.via.rport_value, 4242);
	assert_span(parsed.message.to.display, "Bob Jones");
	parsed_free(&parsed);
}

static void test_headers_are_found(void **state)
{
	struct parsed parsed = parse_text(invite_text);
	const struct sip_header *header = sip_message_header(&parsed.message, SIP_HEADER_SUPPORTED);

	(void)state;
	assert_non_null(header);
	assert_span(header->value, "replaces, 100rel,timer");
	header = sip_message_header_next(&parsed.message, header);
	assert_non_null(header);
	assert_span(header->name, "k");
	assert_null(sip_message_header_next(&parsed.message, header));
	assert_null(sip_message_header(&parsed.message, SIP_HEADER_REQUIRE));
	assert_true(sip_message_has_token(&parsed.message, SIP_HEADER_SUPPORTED, "timer"));
	assert_true(sip_message_has_token(&parsed.message, SIP_HEADER_SUPPORTED, "NOREFERSUB"));
	assert_false(sip_message_has_token(&parsed.message, SIP_HEADER_SUPPORTED, "100"));
	assert_false(sip_message_has_token(&parsed.message, SIP_HEADER_REQUIRE, "timer"));
	parsed_free(&parsed);
}

/* A sound OPTIONS with one line put in or put in place of another. */
static struct parsed parse_with(const char *instead_of, struct span line)
{
	static const char *const lines[] = {
		"OPTIONS sip:pbx.example.com SIP/2.0",
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx",
		"From: <sip:a@example.com>;tag=1",
		"To: <sip:b@example.com>",
		"Call-ID: c",
		"CSeq: 1 OPTIONS",
	};
	char text[70000];
	struct buffer out = BUFFER_OVER(text);

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		if (*instead_of && strncmp(lines[i], instead_of, strlen(instead_of)) == 0)
			buffer_put_span(&out, line);
		else
			buffer_put_text(&out, lines[i]);
		buffer_put_text(&out, "\r\n");
	}
	if (!*instead_of) {
		buffer_put_span(&out, line);
		buffer_put_text(&out, "\r\n");
	}
	buffer_put_text(&out, "\r\n");
	assert_false(out.overflow);
	return parse(buffer_span(&out), false);
}

struct line_row {
	const char *instead_of, *line;
	enum sip_reject reject;
	bool answerable;
};

static void check_rows(const struct line_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct parsed parsed = parse_with(rows[i].instead_of, span_from(rows[i].line));

		if (parsed.reject != rows[i].reject || sip_message_is_answerable(&parsed.message) != rows[i].answerable)
			fail_msg("\"%s\": %s, %s", rows[i].line, sip_reject_row(parsed.reject)->metric,
				 sip_message_is_answerable(&parsed.message) ? "answerable" : "not answerable");
		check_sound(&parsed, parsed.consumed);
		parsed_free(&parsed);
	}
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(*(rows)))

static void test_start_lines(void **state)
{
	static const struct line_row rows[] = {
		{"OPTIONS", "OPTIONS sip:pbx.example.com sip/2.0", SIP_OK, true},
		{"OPTIONS", "OPTIONS tel:+441632960083 SIP/2.0", SIP_OK, true},
		{"OPTIONS", "OPTIONS sip:pbx.example.com SIP/2.1", SIP_REJECT_VERSION, true},
		{"OPTIONS", "OPTIONS sip:pbx.example.com SIP/20", SIP_REJECT_START_LINE, true},
		{"OPTIONS", "OPTIONS  sip:pbx.example.com SIP/2.0", SIP_REJECT_START_LINE, true},
		{"OPTIONS", "OPTIONS sip:pbx.example.com  SIP/2.0", SIP_REJECT_START_LINE, true},
		{"OPTIONS", "OPTIONS sip:pbx.example.com SIP/2.0 ", SIP_REJECT_START_LINE, true},
		{"OPTIONS", "OPTIONS\tsip:pbx.example.com SIP/2.0", SIP_REJECT_START_LINE, true},
		{"OPTIONS", "OPTIONS sip:pbx.example.com\r\n SIP/2.0", SIP_REJECT_NOT_SIP, false},
		{"OPTIONS", "OPTIONS sip:pbx.example.com;x=\"a b\" SIP/2.0", SIP_REJECT_START_LINE, true},
		{"OPTIONS", "OPTIONS <sip:pbx.example.com> SIP/2.0", SIP_REJECT_URI, true},
		{"OPTIONS", "OPTIONS sip:pbx.example.com?Route=%3Csip:evil%3E SIP/2.0", SIP_REJECT_URI, true},
		{"OPTIONS", "OPTIONS sip:a@b@pbx.example.com SIP/2.0", SIP_REJECT_URI, true},
		{"OPTIONS", "OPTIONS http://pbx.example.com/ SIP/2.0", SIP_REJECT_SCHEME, true},
		{"OPTIONS", "OPTIONS pbx.example.com SIP/2.0", SIP_REJECT_URI, true},
		{"OPTIONS", "options sip:pbx.example.com SIP/2.0", SIP_REJECT_METHOD_MISMATCH, true},
		{"OPTIONS", "ACK sip:pbx.example.com SIP/2.0", SIP_REJECT_METHOD_MISMATCH, false},
		{"OPTIONS", "GET / HTTP/1.1", SIP_REJECT_NOT_SIP, false},
		{"OPTIONS", "", SIP_REJECT_NOT_SIP, false},
		{"OPTIONS", "\r\n", SIP_REJECT_NOT_SIP, false},
		{"OPTIONS", "SIP/2.0 200 OK", SIP_OK, false},
		{"OPTIONS", "SIP/2.0 200 ", SIP_OK, false},
		{"OPTIONS", "SIP/2.0 699 \xd0\xbd\xd0\xbe", SIP_OK, false},
		{"OPTIONS", "SIP/2.0 200", SIP_REJECT_START_LINE, false},
		{"OPTIONS", "SIP/2.0 700 No", SIP_REJECT_START_LINE, false},
		{"OPTIONS", "SIP/2.0 099 No", SIP_REJECT_START_LINE, false},
		{"OPTIONS", "SIP/2.0 4294967496 OK", SIP_REJECT_START_LINE, false},
		{"OPTIONS", "SIP/2.0 2x0 OK", SIP_REJECT_START_LINE, false},
		{"OPTIONS", "SIP/3.0 200 OK", SIP_REJECT_VERSION, false},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_header_lines(void **state)
{
	static const struct line_row rows[] = {
		{"", "Subject:", SIP_OK, true},
		{"", "Subject : x", SIP_OK, true},
		{"", "Subject\t: x", SIP_OK, true},
		{"", "Subject\x0b: x", SIP_REJECT_BYTE, false},
		{"", "Subject\xc2\xa0: x", SIP_REJECT_HEADER, false},
		{"", "Sub ject: x", SIP_REJECT_HEADER, false},
		{"", "Subject\r\n : x", SIP_REJECT_HEADER, false},
		{"", "no colon", SIP_REJECT_HEADER, false},
		{"", ": no name", SIP_REJECT_HEADER, false},
		{"", "a\"b: x", SIP_REJECT_HEADER, false},
		{"OPTIONS", "OPTIONS sip:pbx.example.com SIP/2.0\r\n Via: x", SIP_REJECT_START_LINE, false},
		/* one of each, whichever form it is written in */
		{"", "f: <sip:eve@example.com>;tag=2", SIP_REJECT_HEADER_DUPLICATE, true},
		{"", "TO: <sip:eve@example.com>;tag=", SIP_REJECT_HEADER_DUPLICATE, true},
		{"", "I: d", SIP_REJECT_HEADER_DUPLICATE, true},
		{"", "CSeq: 1 OPTIONS", SIP_REJECT_HEADER_DUPLICATE, true},
		{"", "Content-Length: 0\r\nl: 0", SIP_REJECT_HEADER_DUPLICATE, true},
		{"", "c: text/plain\r\nContent-Type: text/html", SIP_REJECT_HEADER_DUPLICATE, true},
		{"", "Supported: a\r\nk: b", SIP_OK, true},
		{"", "C%6Fntact: <sip:a@example.com>", SIP_OK, true},
		/* what must be there */
		{"Via", "X: y", SIP_REJECT_HEADER_MISSING, false},
		{"From", "X: y", SIP_REJECT_HEADER_MISSING, false},
		{"To", "X: y", SIP_REJECT_HEADER_MISSING, false},
		{"Call-ID", "X: y", SIP_REJECT_HEADER_MISSING, false},
		{"CSeq", "X: y", SIP_REJECT_HEADER_MISSING, false},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_header_values(void **state)
{
	static const struct line_row rows[] = {
		{"CSeq", "CSeq: 2147483647 OPTIONS", SIP_OK, true},
		{"CSeq", "CSeq: 2147483648 OPTIONS", SIP_REJECT_HEADER_VALUE, true},
		{"CSeq", "CSeq: 18446744073709551617 OPTIONS", SIP_REJECT_HEADER_VALUE, true},
		{"CSeq", "CSeq: -1 OPTIONS", SIP_REJECT_HEADER_VALUE, true},
		{"CSeq", "CSeq: 1", SIP_REJECT_HEADER_VALUE, true},
		{"CSeq", "CSeq: 1OPTIONS", SIP_REJECT_HEADER_VALUE, true},
		{"CSeq", "CSeq: 1 INVITE", SIP_REJECT_METHOD_MISMATCH, true},
		{"CSeq", "CSeq: 1 OPTIONS x", SIP_REJECT_HEADER_VALUE, true},
		{"Call-ID", "Call-ID: a b", SIP_REJECT_HEADER_VALUE, false},
		{"Call-ID", "Call-ID: a@b@c", SIP_REJECT_HEADER_VALUE, false},
		{"Call-ID", "Call-ID: @c", SIP_REJECT_HEADER_VALUE, false},
		{"Call-ID", "Call-ID: a, b", SIP_REJECT_HEADER_VALUE, false},
		{"Call-ID", "Call-ID:", SIP_REJECT_HEADER_VALUE, false},
		{"From", "From: <sip:a@example.com>;tag=", SIP_REJECT_HEADER_VALUE, true},
		{"From", "From: <sip:a@example.com>;tag", SIP_REJECT_HEADER_VALUE, true},
		{"From", "From: <sip:a@example.com>;tag=\"1\"", SIP_REJECT_HEADER_VALUE, true},
		{"From", "From: <sip:a@example.com>;tag=1;tag=2", SIP_REJECT_HEADER_VALUE, true},
		{"From", "From: <sip:a@example.com>, <sip:b@example.com>", SIP_REJECT_HEADER_VALUE, true},
		{"From", "From: *", SIP_REJECT_HEADER_VALUE, true},
		{"From", "From: <sip:a@example.com>", SIP_OK, true},
		{"To", "To: \"unbalanced <sip:b@example.com>", SIP_REJECT_HEADER_VALUE, true},
		{"To", "To: <sip:b@example.com", SIP_REJECT_HEADER_VALUE, true},
		{"To", "To: mailto:b@example.com", SIP_OK, true},
		{"", "Max-Forwards: 255", SIP_OK, true},
		{"", "Max-Forwards: 256", SIP_REJECT_HEADER_VALUE, true},
		{"", "Max-Forwards: ", SIP_REJECT_HEADER_VALUE, true},
		{"", "Expires: 4294967295", SIP_OK, true},
		{"", "Expires: 4294967296", SIP_REJECT_HEADER_VALUE, true},
		{"", "Expires: 7x", SIP_REJECT_HEADER_VALUE, true},
		{"", "Content-Length: -0", SIP_REJECT_CONTENT_LENGTH, true},
		{"", "Content-Length: +0", SIP_REJECT_CONTENT_LENGTH, true},
		{"", "Content-Length: 0, 0", SIP_REJECT_CONTENT_LENGTH, true},
		{"", "Content-Length: 1", SIP_REJECT_CONTENT_LENGTH, true},
		{"", "Content-Length: 18446744073709551616", SIP_REJECT_CONTENT_LENGTH, true},
		{"", "Content-Type: text", SIP_REJECT_HEADER_VALUE, true},
		{"", "Content-Type: text/plain;charset=utf-8", SIP_OK, true},
		{"", "Content-Type: text / plain ; a=\"b;c\"", SIP_OK, true},
		{"", "Content-Type: text/plain, text/html", SIP_REJECT_HEADER_VALUE, true},
		{"", "Contact: <sip:a@example.com>, \"b, c\" <sip:d@example.com>;q=0.5", SIP_OK, true},
		{"", "Contact: <sip:a@example.com>,", SIP_REJECT_HEADER_VALUE, true},
		{"", "Contact: <sip:a@example.com>;;lr", SIP_REJECT_HEADER_VALUE, true},
		{"", "Contact: *", SIP_REJECT_HEADER_VALUE, true}, /* not a REGISTER */
		{"", "Route: sip:a@example.com?x=y", SIP_REJECT_HEADER_VALUE, true},
		{"", "RAck: 1 2 INVITE", SIP_OK, true},
		{"", "RAck: 1 2", SIP_REJECT_HEADER_VALUE, true},
		{"", "Refer-To: <sip:a@example.com?Replaces=x%40y>", SIP_OK, true},
		{"", "Refer-To: x y", SIP_REJECT_HEADER_VALUE, true},
		{"", "X-Other: ;;,,;\"", SIP_OK, true},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_vias(void **state)
{
	static const struct line_row rows[] = {
		{"Via", "Via: SIP/2.0/UDP a.example.com", SIP_OK, true},
		{"Via", "Via: SIP/2.0/SCTP a.example.com;branch=z9hG4bK1;ttl=16", SIP_OK, true},
		{"Via", "Via: SIP/2.0/UDP [2001:db8::1]:5060;received=[2001:db8::2];branch=z9hG4bK1", SIP_OK, true},
		{"Via", "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com;branch=", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com;branch=z1;branch=z2", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com;received=evil", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com;rport=65536", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com:65536", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com:0", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com;;", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDPa.example.com", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/3.0/UDP a.example.com", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP 2001:db8::1", SIP_REJECT_VIA, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com,", SIP_REJECT_VIA, false},
		/* a bad topmost one does not make the next the topmost */
		{"Via", "Via: bad\r\nVia: SIP/2.0/UDP a.example.com", SIP_REJECT_VIA, false},
		{"Via", "Via: \x01\r\nVia: SIP/2.0/UDP a.example.com", SIP_REJECT_BYTE, false},
		{"Via", "\x01\r\nVia: SIP/2.0/UDP a.example.com", SIP_REJECT_BYTE, false},
		{"Via", "Via: SIP/2.0/UDP a.example.com\r\nVia: bad", SIP_REJECT_VIA, false},
		/* another bad line leaves it usable */
		{"", "Subject: \x01", SIP_REJECT_BYTE, true},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_bytes(void **state)
{
	static const struct {
		struct span line;
		enum sip_reject reject;
	} rows[] = {
		{SPAN_INIT("X: a\0b"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: a\rb"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: a\nb"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: a\n b"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: a\r\r\n b"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: a\x1b[31m"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: a\x7f"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: a\x0b"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: \\\x07"), SIP_REJECT_BYTE},
		{SPAN_INIT("X: a\tb"), SIP_OK},
		{SPAN_INIT("X: \xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\x9e"), SIP_OK},
		{SPAN_INIT("X: \xc0\xaf"), SIP_REJECT_BYTE},         /* overlong '/' */
		{SPAN_INIT("X: \xe0\x80\xaf"), SIP_REJECT_BYTE},     /* the same, longer */
		{SPAN_INIT("X: \xf0\x80\x80\xaf"), SIP_REJECT_BYTE}, /* and longer */
		{SPAN_INIT("X: \xed\xa0\x80"), SIP_REJECT_BYTE},     /* a surrogate */
		{SPAN_INIT("X: \xf4\x90\x80\x80"), SIP_REJECT_BYTE}, /* beyond Unicode */
		{SPAN_INIT("X: \xe9"), SIP_REJECT_BYTE},             /* Latin 1 */
		{SPAN_INIT("X: \xe2\x82"), SIP_REJECT_BYTE},         /* cut off */
		{SPAN_INIT("X: \x80"), SIP_REJECT_BYTE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct parsed parsed = parse_with("", rows[i].line);

		assert_int_equal(parsed.reject, rows[i].reject);
		assert_true(sip_message_is_answerable(&parsed.message));
		parsed_free(&parsed);
	}
}

/* CVE-2016-9938: what is not printable is never white space. */
static void test_no_byte_but_space_and_tab_is_white_space(void **state)
{
	char line[] = "X-A ? : b";

	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		struct parsed parsed;

		if (byte == ' ' || byte == '\t')
			continue;
		line[4] = (char)byte;
		parsed = parse_with("", span_from(line));
		if (byte == ':')
			assert_int_equal(parsed.reject, SIP_OK);
		else
			assert_int_not_equal(parsed.reject, SIP_OK);
		parsed_free(&parsed);
	}
}

static void test_limits(void **state)
{
	struct sip_limits limits = sip_limits_default;
	struct parsed parsed;
	size_t length = strlen(invite_text);

	(void)state;
	limits.headers_maximum = 13;
	parsed = parse_limited(span_from(invite_text), false, &limits, ARENA_BYTES);
	assert_int_equal(parsed.reject, SIP_OK);
	parsed_free(&parsed);
	limits.headers_maximum = 12;
	parsed = parse_limited(span_from(invite_text), false, &limits, ARENA_BYTES);
	assert_int_equal(parsed.reject, SIP_REJECT_HEADERS_TOO_MANY);
	assert_true(sip_message_is_answerable(&parsed.message));
	parsed_free(&parsed);

	limits = sip_limits_default;
	limits.values_maximum = 1;
	parsed = parse_limited(span_from(invite_text), false, &limits, ARENA_BYTES);
	assert_int_equal(parsed.reject, SIP_REJECT_HEADERS_TOO_MANY);
	parsed_free(&parsed);

	limits = sip_limits_default;
	limits.line_maximum_bytes = 88; /* of Contact, the longest */
	parsed = parse_limited(span_from(invite_text), false, &limits, ARENA_BYTES);
	assert_int_equal(parsed.reject, SIP_OK);
	parsed_free(&parsed);
	limits.line_maximum_bytes = 87;
	parsed = parse_limited(span_from(invite_text), false, &limits, ARENA_BYTES);
	assert_int_equal(parsed.reject, SIP_REJECT_LINE_TOO_LONG);
	parsed_free(&parsed);

	limits = sip_limits_default;
	limits.body_maximum_bytes = 4;
	parsed = parse_limited(span_from(invite_text), false, &limits, ARENA_BYTES);
	assert_int_equal(parsed.reject, SIP_REJECT_TOO_LARGE);
	parsed_free(&parsed);

	limits = sip_limits_default;
	limits.message_maximum_bytes = (uint32_t)length - 1;
	for (int is_stream = 0; is_stream < 2; is_stream++) {
		parsed = parse_limited(span_from(invite_text), is_stream, &limits, ARENA_BYTES);
		assert_int_equal(parsed.reject, SIP_REJECT_TOO_LARGE);
		parsed_free(&parsed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_is_taken_apart),
		cmocka_unit_test(test_response_is_taken_apart),
		cmocka_unit_test(test_folded_lines_are_joined),
		cmocka_unit_test(test_headers_are_found),
		cmocka_unit_test(test_start_lines),
		cmocka_unit_test(test_header_lines),
		cmocka_unit_test(test_header_values),
		cmocka_unit_test(test_vias),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_no_byte_but_space_and_tab_is_white_space),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
