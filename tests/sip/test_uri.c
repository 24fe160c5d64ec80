/* SPDX-License-Identifier: Apache-2.0
 * URIs: what is read, what is refused, and when two are the same. */
#include "message_fixture.h"

static struct sip_uri parsed_uri(const char *text)
{
	struct sip_uri uri;

	if (sip_uri_parse(span_from(text), &uri) != SIP_OK)
		fail_msg("refused: %s", text);
	return uri;
}

static void test_parts(void **state)
{
	static const struct {
		const char *text, *user, *password, *host, *parameters, *headers;
		uint16_t port;
		enum sip_scheme scheme;
	} rows[] = {
		{"sip:alice@atlanta.com", "alice", "", "atlanta.com", "", "", 0, SIP_SCHEME_SIP},
		{"sip:alice:secretword@atlanta.com;transport=tcp", "alice", "secretword", "atlanta.com",
		 ";transport=tcp", "", 0, SIP_SCHEME_SIP},
		{"sips:alice@atlanta.com?subject=project%20x&priority=urgent", "alice", "", "atlanta.com", "",
		 "subject=project%20x&priority=urgent", 0, SIP_SCHEME_SIPS},
		{"sip:+1-212-555-1212:1234@gateway.com;user=phone", "+1-212-555-1212", "1234", "gateway.com",
		 ";user=phone", "", 0, SIP_SCHEME_SIP},
		{"SIP:atlanta.com;method=REGISTER?to=alice%40atlanta.com", "", "", "atlanta.com", ";method=REGISTER",
		 "to=alice%40atlanta.com", 0, SIP_SCHEME_SIP},
		{"sip:alice;day=tuesday@atlanta.com", "alice;day=tuesday", "", "atlanta.com", "", "", 0,
		 SIP_SCHEME_SIP},
		{"sip:192.0.2.4:5060", "", "", "192.0.2.4", "", "", 5060, SIP_SCHEME_SIP},
		{"sip:a?b/c@[2001:db8::1]:65535;lr", "a?b/c", "", "[2001:db8::1]", ";lr", "", 65535, SIP_SCHEME_SIP},
		{"sip:a@[::ffff:192.0.2.1]", "a", "", "[::ffff:192.0.2.1]", "", "", 0, SIP_SCHEME_SIP},
		{"sip:a@asterisk_1", "a", "", "asterisk_1", "", "", 0, SIP_SCHEME_SIP},
		{"sip:a@example.com.", "a", "", "example.com.", "", "", 0, SIP_SCHEME_SIP},
		{"sip:%00@h", "%00", "", "h", "", "", 0, SIP_SCHEME_SIP},
		{"sip:a:@h", "a", "", "h", "", "", 0, SIP_SCHEME_SIP},
		{"tel:+1-201-555-0123", "+1-201-555-0123", "", "", "", "", 0, SIP_SCHEME_TEL},
		{"tel:7042;phone-context=example.com", "7042", "", "", ";phone-context=example.com", "", 0,
		 SIP_SCHEME_TEL},
		{"tel:*21#", "*21#", "", "", "", "", 0, SIP_SCHEME_TEL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sip_uri uri = parsed_uri(rows[i].text);

		assert_int_equal(uri.scheme, rows[i].scheme);
		assert_span(uri.text, rows[i].text);
		assert_span(uri.user, rows[i].user);
		assert_span(uri.password, rows[i].password);
		assert_span(uri.host, rows[i].host);
		assert_int_equal(uri.port, rows[i].port);
		assert_span(uri.parameters, rows[i].parameters);
		assert_span(uri.headers, rows[i].headers);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"sip:",
		"sips:",
		"sip:@",
		"sip:@h",
		"sip:a@",
		"sip:a@b@c",
		"sip:a b@h",
		"sip: a@h",
		"sip:a@h ",
		"sip:a@h:",
		"sip:a@h:0",
		"sip:a@h:65536",
		"sip:a@h:99999999999999999999",
		"sip:a@h:5060x",
		"sip:a@h:-1",
		"sip:a@h;",
		"sip:a@h;;lr",
		"sip:a@h;=x",
		"sip:a@h;x=",
		"sip:a@h;lr;LR",
		"sip:a@h?",
		"sip:a@h?x",
		"sip:a@h?x=1&",
		"sip:a@h?=1",
		"sip:%@h",
		"sip:%4@h",
		"sip:%zz@h",
		"sip:a@h%41",
		"sip:<a@h>",
		"sip:a@h>",
		"sip:\"a\"@h",
		"sip:a#b@h",
		"sip:2001:db8::10",
		"sip:[2001:db8::10",
		"sip:[2001:db8:::10]",
		"sip:[192.0.2.1]",
		"sip:[]",
		"sip:[::1%25eth0]",
		"sip:a@[::1]x",
		"sip:a@.h",
		"sip:a@h..i",
		"sip:a@-h",
		"sip:a@h-",
		"sip:a@h-.i",
		"sip:a@h.-i",
		"sip:a@127.1",
		"sip:a@1.2.3.256",
		"sip:a@1.2.3.4.5",
		"sip:a@192.0.2.01",
		"sip:a@2130706433",
		"sip:a@example.1",
		"sip:a\x01@h",
		"sip:\xc3\xa9@h",
		"tel:",
		"tel:;x=y",
		"tel:()",
		"tel:12+3",
		"tel:+1 2",
		"tel:+12@h",
		"nothing",
		":x",
		"1a:b",
		"x:",
		"x:<",
		"http://a b/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct sip_uri uri;

		if (sip_uri_parse(span_from(texts[i]), &uri) != SIP_REJECT_URI)
			fail_msg("not refused: %s", texts[i]);
		assert_int_equal(uri.text.length, 0);
	}
}

static void test_other_schemes(void **state)
{
	static const char *const texts[] = {"http://example.com/",
					    "mailto:a@b",
					    "soap.beep://192.0.2.103:3002",
					    "nobodyKnowsThisScheme:totallyopaquecontent",
					    "urn:service:sos",
					    "sipx:a"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct sip_uri uri;

		assert_int_equal(sip_uri_parse(span_from(texts[i]), &uri), SIP_REJECT_SCHEME);
		assert_span(uri.text, texts[i]);
		assert_int_equal(uri.host.length, 0);
	}
}

/* Parameters are compared with each other, so their number has an end. */
static void test_parameters_are_bounded(void **state)
{
	char text[1024];

	(void)state;
	for (unsigned count = 31; count <= 34; count++) {
		struct buffer out = BUFFER_OVER(text);
		struct sip_uri uri;

		buffer_put_text(&out, "sip:h");
		for (unsigned i = 0; i < count; i++)
			buffer_printf(&out, ";p%u=1", i);
		assert_int_equal(sip_uri_parse(buffer_span(&out), &uri), count <= 32 ? SIP_OK : SIP_REJECT_URI);
	}
}

static void test_equality(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
		/* the examples of RFC 3261 section 19.1.4 */
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", true},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
		 "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
		 "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true},
		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},
		{"sips:a@h", "sip:a@h", false},
		{"sip:a@h", "sip:h", false},
		{"sip:a:b@h", "sip:a@h", false},
		{"sip:a:b@h", "sip:a:B@h", false},
		{"sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]", true},
		{"sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]", false},
		{"sip:a@h?x=1&x=2", "sip:a@h?x=2&x=1", true},
		{"sip:a@h?x=1&x=1", "sip:a@h?x=1&x=2", false},
		{"sip:%2541@h", "sip:%41@h", false}, /* undone once */
		{"sip:n%00ull@h", "sip:n@h", false},
		{"tel:+1-201-555-0123", "tel:+12015550123", true},
		{"tel:+1(201)555.0123", "tel:+12015550124", false},
		{"tel:7042;phone-context=a.com", "tel:7042", false},
		{"tel:+1;ext=1", "sip:+1@h", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sip_uri a = parsed_uri(rows[i].a), b = parsed_uri(rows[i].b);

		if (sip_uri_equal(&a, &b) != rows[i].equal || sip_uri_equal(&b, &a) != rows[i].equal)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
		assert_true(sip_uri_equal(&a, &a) && sip_uri_equal(&b, &b));
	}
}

static void test_users(void **state)
{
	char out[8];

	(void)state;
	assert_true(sip_user_equal(SPAN("sips%3Auser"), SPAN("sips:user")));
	assert_false(sip_user_equal(SPAN("Alice"), SPAN("alice")));
	assert_false(sip_user_equal(SPAN("alic"), SPAN("alice")));
	assert_int_equal(sip_user_decode(SPAN("a%62%63"), out, sizeof(out)), 0);
	assert_string_equal(out, "abc");
	assert_int_equal(sip_user_decode(SPAN("%61%2541"), out, sizeof(out)), 0);
	assert_string_equal(out, "a%41");
	assert_int_equal(sip_user_decode(SPAN("1234567"), out, sizeof(out)), 0);
	assert_int_equal(sip_user_decode(SPAN("12345678"), out, sizeof(out)), -ENOSPC);
	assert_string_equal(out, "");
	assert_int_equal(sip_user_decode(SPAN("a%00b"), out, sizeof(out)), -EINVAL);
	assert_int_equal(sip_user_decode(SPAN("a%0d%0ab"), out, sizeof(out)), -EINVAL);
	assert_int_equal(sip_user_decode(SPAN("a%7F"), out, sizeof(out)), -EINVAL);
	assert_int_equal(sip_user_decode(SPAN_EMPTY, out, sizeof(out)), 0);
	assert_int_equal(sip_user_decode(SPAN("a"), out, 0), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),         cmocka_unit_test(test_refused),
		cmocka_unit_test(test_other_schemes), cmocka_unit_test(test_parameters_are_bounded),
		cmocka_unit_test(test_equality),      cmocka_unit_test(test_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
