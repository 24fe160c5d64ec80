/* SPDX-License-Identifier: Apache-2.0
 * Bodies from one zone to another: nothing of the inside crosses, everything else does, and no bytes break it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/body.h"

static bool type_allowed(void *context, struct span type)
{
	static const char *const types[] = {"application/rlmi+xml", "application/pidf+xml", "multipart/related",
					    "text/plain"};

	(void)context;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (span_is(type, types[i]))
			return true;
	return false;
}

static bool host_is_inner(void *context, struct span host)
{
	(void)context;
	return span_is(host, "pbx.inner");
}

static bool tag_is_ours(void *context, struct span call_id, struct span tag)
{
	(void)context;
	return span_is(call_id, "known@10.0.0.1") && span_is(tag, "ours");
}

static const struct body_rules rules = {
	.domain = "voip.example.org",
	.key = {1, 2, 3},
	.type_allowed = type_allowed,
	.host_is_inner = host_is_inner,
	.tag_is_ours = tag_is_ours,
};

static char type_text[BODY_TYPE_CAPACITY], text[BODY_MAXIMUM];

static int rewrite(const char *type, const char *body)
{
	struct buffer type_out = buffer_over(type_text, sizeof(type_text) - 1);
	struct buffer out = buffer_over(text, sizeof(text) - 1);
	int status = body_rewrite(&rules, span_from(type), span_from(body), &type_out, &out);

	type_text[status ? 0 : type_out.length] = text[status ? 0 : out.length] = 0;
	return status;
}

static void becomes(const char *type, const char *before, const char *after)
{
	assert_int_equal(rewrite(type, before), 0);
	assert_string_equal(text, after);
}

#define XML "application/pidf+xml"
#define SUMMARY "application/simple-message-summary"

static void uris_get_our_domain(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{"sip:1001@10.0.0.1:5080;transport=tcp", "sip:1001@voip.example.org"},
		{"SIPS:1001@pbx.inner", "SIPS:1001@voip.example.org"},
		{"sip:+4930;phone-context=x@10.0.0.1;user=phone;maddr=10.0.0.2",
		 "sip:+4930;phone-context=x@voip.example.org;user=phone"},
		{"sip:u:secret@[2001:db8::1]:5060?Replaces=a%40b", "sip:u@voip.example.org"},
		{"sip:10.0.0.1", "sip:voip.example.org"},
		{"pres:a@pbx.inner, im:b@pbx.inner", "pres:a@voip.example.org, im:b@voip.example.org"},
		{"<sip:a@x,sip:b@y>", "<sip:a@voip.example.org,sip:b@voip.example.org>"},
		{"sip:x,y@10.0.0.1", "sip:x,y@voip.example.org"},
		{"sip:anonymous@anonymous.invalid", "sip:anonymous@anonymous.invalid"},
		{"tel:+49-30-1;phone-context=pbx.inner", "tel:+49-30-1"},
		{"http://10.0.0.1:8080/icon", "http://voip.example.org/icon"},
		{"https://admin:pw@pbx.inner/x", "https://voip.example.org/x"},
		{"https://pbx.inner:8443", "https://voip.example.org"},
		{"http://www.w3.org/2001/XMLSchema", "http://www.w3.org/2001/XMLSchema"},
		{"http://10.0.0.1. http://pbx.inner.", "http://voip.example.org http://voip.example.org"},
		{"http://0x0a000001/ http://167772161/ http://10.1/ http://10%2e0.0.1/",
		 "http://voip.example.org/ http://voip.example.org/ http://voip.example.org/ http://voip.example.org/"},
		{"http://nas/ http://nas.local:81/ http://a.home.arpa/",
		 "http://voip.example.org/ http://voip.example.org/ "
		 "http://voip.example.org/"},
		{"http://10.0.0.1, or http://10.0.0.2)", "http://voip.example.org or http://voip.example.org"},
		{"http://example.com/a.local", "http://example.com/a.local"},
		{"http://example.com/?next=https://10.0.0.1/x", "http://example.com/?next=https://voip.example.org/x"},
		{"ws://10.0.0.1:8088/ws, WSS://pbx.inner/ws", "ws://voip.example.org/ws, WSS://voip.example.org/ws"},
		{"wss://example.com/ws", "wss://example.com/ws"},
		{"msrp://10.0.0.1:7654/iau39;tcp msrps://u@pbx.inner:9/s;tcp",
		 "msrp://voip.example.org/iau39;tcp msrps://voip.example.org/s;tcp"},
		{"rtsp://[fe80::1]/cam ldap+x://10.0.0.1", "rtsp://voip.example.org/cam ldap+x://voip.example.org"},
		{"xmpp:a@pbx.inner/desk.10.0.0.1", "xmpp:a@voip.example.org"},
		{"xmpp://g@10.0.0.1/s@pbx.inner?message;body=x", "xmpp://g@voip.example.org?message;body=x"},
		{"xmpp:a@example.com/desk xmpp:pbx.inner xmpp:a.b@10.0.0.1",
		 "xmpp:a@example.com/desk xmpp:voip.example.org xmpp:a.b@voip.example.org"},
		{"mailto:a@pbx.inner,b@example.com,c@10.0.0.1?cc=d@pbx.inner",
		 "mailto:a@voip.example.org,b@example.com,c@voip.example.org?cc=d@voip.example.org"},
		{"turn:10.0.0.1:3478?transport=udp stun:stun.example.com:3478",
		 "turn:voip.example.org?transport=udp stun:stun.example.com:3478"},
		{"h323:a@10.0.0.1:1720", "h323:a@voip.example.org"},
		{"ftp:// xmpp: mailto: xmpp:// 1://10.0.0.1 ://", "ftp:// xmpp: mailto: xmpp:// 1://10.0.0.1 ://"},
		{"gossip: sip: tel: im: http://", "gossip: sip: tel: im: http://"},
		{"\"sip:a@b\"sip:c@d", "\"sip:a@voip.example.org\"sip:c@voip.example.org"},
		{"sip:a@10.0.0.1&gt;b", "sip:a@voip.example.org&gt;b"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		becomes(SUMMARY, cases[i].before, cases[i].after);
	becomes("text/plain; charset=\"UTF-8\"", "call me: sip:a@b", "call me: sip:a@b");
	assert_string_equal(type_text, "text/plain;charset=utf-8");
}

static void xml_is_read_tag_by_tag(void **state)
{
	(void)state;
	becomes(XML, "<?xml version='1.0' encoding='utf-8'?><!-- 10.0.0.1 --><p:a xmlns='http://10.0.0.1/'>t</p:a>",
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?><p:a xmlns='http://10.0.0.1/'>t</p:a>");
	assert_int_equal(rewrite(XML, "<a  b = \"sip:x@10.0.0.1\" />"), 0);
	assert_string_equal(text, "<a b=\"sip:x@voip.example.org\"/>");
	becomes(XML, "<a><![CDATA[sip:x@10.0.0.1]]></a >", "<a><![CDATA[sip:x@voip.example.org]]></a>");
	becomes(XML, "<?pi 10.0.0.1?><a/>", "<a/>");
	becomes(XML, "<c cid=\"x@10.0.0.1\"/>", "<c cid=\"x@voip.example.org\"/>");
}

static void xml_that_is_none_is_refused(void **state)
{
	static const struct {
		const char *body;
		int status;
	} cases[] = {
		{"<!DOCTYPE a [<!ENTITY b \"bbbb\">]><a>&b;</a>", 400},
		{"<!ENTITY b SYSTEM 'file:///etc/passwd'>", 400},
		{"<?xml version='1.0' encoding='UTF-7'?><a/>", 415},
		{"<?xml version='1.0' encoding='UTF-16'?><a/>", 415},
		{"<a", 400},
		{"<a b>", 400},
		{"<a b=c>", 400},
		{"<a b='<'/>", 400},
		{"<a b='", 400},
		{"< a/>", 400},
		{"</>", 400},
		{"<!-- ", 400},
		{"<![CDATA[", 400},
		{"<?xml", 400},
		{"<session-description>c=IN IP4 10.0.0.1", 400},
		{"a\x01", 400},
		{"a\x7f", 400},
		{"a\xc2\x80", 400}, /* a control character, C1 */
		{"a\xff", 400},
		{"a\xc0\xaf", 400},
		{"a\xed\xa0\x80", 400},
		{"a\xf4\x90\x80\x80", 400},
		{"a\xe2\x82", 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (rewrite(XML, cases[i].body) != cases[i].status)
			fail_msg("%s: not %d", cases[i].body, cases[i].status);
	assert_int_equal(rewrite(XML, "<a>\xe2\x82\xac\xf0\x9f\x98\x80</a>"), 0);
}

/* THREATS S18. */
static void dialogs_keep_no_names_but_ours(void **state)
{
	char again[sizeof(text)];

	(void)state;
	assert_int_equal(rewrite("application/dialog-info+xml",
				 "<dialog-info version=\"1\" entity=\"sip:a@10.0.0.1\">"
				 "<d:dialog id=\"known@10.0.0.1\" call-id=\"known@10.0.0.1\" local-tag=\"ours\" "
				 "remote-tag=\"theirs\" direction=\"recipient\"><state>early</state>"
				 "<session-description type=\"application/sdp\">c=IN IP4 10.0.0.1</session-description>"
				 "<replaces call-id=\"r@10.0.0.1\" local-tag=\"ours\" remote-tag=\"\"/>"
				 "</d:dialog></dialog-info>"),
			 0);
	assert_null(strstr(text, "10.0.0.1"));
	assert_null(strstr(text, "known"));
	assert_null(strstr(text, "theirs"));
	assert_null(strstr(text, "session-description"));
	assert_non_null(strstr(text, " local-tag=\"ours\" remote-tag=\""));
	assert_non_null(strstr(text, "direction=\"recipient\"><state>early</state><replaces call-id="));
	assert_non_null(strstr(text, "remote-tag=\"\"/>"));
	assert_ptr_equal(strstr(text, "ours"), strstr(strstr(text, "<d:dialog"), "ours"));
	assert_null(strstr(strstr(text, "<replaces"), "ours"));
	strcpy(again, text);
	rewrite("application/reginfo+xml", "<contact id=\"5\" callid=\"secret\"><uri>sip:t@10.0.0.1</uri></contact>");
	assert_null(strstr(text, "secret"));
	assert_non_null(strstr(text, "<contact id=\"5\""));
	assert_non_null(strstr(text, "<uri>sip:t@voip.example.org</uri>"));
	assert_non_null(strstr(again, "version=\"1\""));
}

#define PARTS \
	"preamble sip:a@10.0.0.1\r\n--b1\r\nContent-Type: application/rlmi+xml\r\nContent-ID: <l@10.0.0.1>\r\n" \
	"X-Inner: 10.0.0.1\r\n\r\n<list cid=\"p@10.0.0.1\"/>\r\n--b1\r\nContent-Type: application/pidf+xml\r\n" \
	"Content-ID: <p@10.0.0.1>\r\nContent-Transfer-Encoding: binary\r\n\r\n<presence " \
	"entity=\"sip:a@10.0.0.1\"/>\r\n" \
	"--b1--\r\nepilogue 10.0.0.1"

static void lists_cross_part_by_part(void **state)
{
	(void)state;
	assert_int_equal(
		rewrite("multipart/related;type=\"application/rlmi+xml\";start=\"<l@10.0.0.1>\";boundary=b1;x=10.0.0.1",
			PARTS),
		0);
	assert_string_equal(type_text, "multipart/related;type=\"application/rlmi+xml\";start=\"<l@voip.example.org>\";"
				       "boundary=\"b1\"");
	assert_string_equal(text,
			    "--b1\r\nContent-ID: <l@voip.example.org>\r\nContent-Transfer-Encoding: binary\r\n"
			    "Content-Type: application/rlmi+xml\r\n\r\n<list cid=\"p@voip.example.org\"/>\r\n--b1\r\n"
			    "Content-ID: <p@voip.example.org>\r\nContent-Transfer-Encoding: binary\r\n"
			    "Content-Type: application/pidf+xml\r\n\r\n"
			    "<presence entity=\"sip:a@voip.example.org\"/>\r\n--b1--\r\n");
}

static void multiparts_within_each_other_have_an_end(void **state)
{
	static const char *const within =
		"--a\r\nContent-Type: multipart/related;boundary=ab\r\n\r\n--ab\r\nContent-Type: "
		"text/plain\r\n\r\nx\r\n"
		"--ab--\r\n--a--\r\n";
	char deep[2048] = "x";

	(void)state;
	assert_int_equal(rewrite("multipart/related;boundary=a", within), 0);
	assert_non_null(strstr(text, "Content-Type: multipart/related;boundary=\"ab\"\r\n\r\n--ab\r\n"));
	for (int i = 0; i < 4; i++) {
		char outer[2300];

		snprintf(outer, sizeof(outer), "--n%d\r\nContent-Type: %s%d\r\n\r\n%s\r\n--n%d--\r\n", i,
			 i ? "multipart/related;boundary=n" : "text/plain;x=", i - 1, deep, i);
		snprintf(deep, sizeof(deep), "%.2000s", outer);
	}
	assert_int_equal(rewrite("multipart/related;boundary=n3", deep), 415);
}

static void multiparts_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *type, *body;
		int status;
	} cases[] = {
		{"multipart/related", PARTS, 400},
		{"multipart/related;boundary=\"\"", PARTS, 400},
		{"multipart/related;boundary=\"a\tb\"", PARTS, 400},
		{"multipart/related;boundary=b2", PARTS, 400},
		{"multipart/related;boundary=b1", "--b1\r\nContent-Type: text/plain\r\n\r\nx", 400},
		{"multipart/related;boundary=b1", "--b1\r\nContent-Type: text/plain\r\nx\r\n\r\n--b1--", 400},
		{"multipart/related;boundary=b1", "--b1\r\n\r\nx\r\n--b1--", 415},
		{"multipart/related;boundary=b1", "--b1\r\nContent-Type: text/html\r\n\r\nx\r\n--b1--", 415},
		{"multipart/related;boundary=b1",
		 "--b1\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b1--", 415},
		{"multipart/related;boundary=b1", "--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<a\r\n--b1--",
		 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (rewrite(cases[i].type, cases[i].body) != cases[i].status)
			fail_msg("%s\n%s: not %d", cases[i].type, cases[i].body, cases[i].status);
}

static void what_grows_too_far_is_refused(void **state)
{
	static char many[40001];

	(void)state;
	for (int i = 0; i < 5000; i++)
		memcpy(many + i * 8, "sip:a@b ", 8);
	assert_int_equal(rewrite(SUMMARY, many), 513);
	assert_int_equal(rewrite(XML, many), 513);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uris_get_our_domain),
		cmocka_unit_test(xml_is_read_tag_by_tag),
		cmocka_unit_test(xml_that_is_none_is_refused),
		cmocka_unit_test(dialogs_keep_no_names_but_ours),
		cmocka_unit_test(lists_cross_part_by_part),
		cmocka_unit_test(multiparts_within_each_other_have_an_end),
		cmocka_unit_test(multiparts_that_are_none_are_refused),
		cmocka_unit_test(what_grows_too_far_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
