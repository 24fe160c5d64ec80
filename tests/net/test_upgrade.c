/* SPDX-License-Identifier: Apache-2.0
 * The request that opens a WebSocket: what is taken, however it is cut, and what every other one is answered with. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/upgrade.h"

#define REQUEST "GET / HTTP/1.1\r\n"
#define HOST "Host: voip.example.org:8443\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define SIP "Sec-WebSocket-Protocol: sip\r\n"
#define ALL HOST UPGRADE KEY VERSION SIP

static const char browser[] = "GET /any/path?x=1 HTTP/1.1\r\n"
			      "Host: voip.example.org:8443\r\n"
			      "Connection: Upgrade\r\n"
			      "Pragma: no-cache\r\n"
			      "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
			      "upgrade: WebSocket\r\n"
			      "Origin: https://voip.example.org\r\n"
			      "Sec-WebSocket-Version:13\r\n"
			      "Cookie: name=caf\xc3\xa9\r\n"
			      "Sec-WebSocket-Key: \tdGhlIHNhbXBsZSBub25jZQ== \r\n"
			      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
			      "Sec-WebSocket-Protocol: msrp, sip\r\n"
			      "\r\n";

static void test_a_browser_is_taken(void **state)
{
	struct net_upgrade upgrade;

	(void)state;
	assert_int_equal(net_upgrade_parse(SPAN(browser), &upgrade), sizeof(browser) - 1);
	assert_true(span_equal(upgrade.key, SPAN("dGhlIHNhbXBsZSBub25jZQ==")));
	assert_true(span_equal(upgrade.origin, SPAN("https://voip.example.org")));
	/* What follows is not the head's. */
	assert_int_equal(net_upgrade_parse(SPAN(REQUEST ALL "\r\nmore"), &upgrade), sizeof(REQUEST ALL "\r\n") - 1);
	assert_int_equal(upgrade.origin.length, 0);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	for (size_t length = 0; length < sizeof(browser) - 1; length++) {
		struct net_upgrade upgrade;
		char *exact = malloc(length + !length); /* so that a read behind it is seen */

		memcpy(exact, browser, length);
		assert_int_equal(net_upgrade_parse((struct span){exact, length}, &upgrade), 0);
		free(exact);
	}
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *text;
		uint16_t status;
	} cases[] = {
		{"\r\n", 400},
		{"\n", 400},
		{"INVITE sip:bob@example.org SIP/2.0\r\n", 400},
		{"GET / HTTP/1.0\r\n", 505},
		{"GET / HTTP/1.1 \r\n", 505},
		{"GET / HTTP/2.0\r\n", 505},
		{"GET  / HTTP/1.1\r\n", 400},
		{"GET /\r\n", 400},
		{"GET\r\n", 400},
		{" GET / HTTP/1.1\r\n", 400},
		{"GET http://example.org/ HTTP/1.1\r\n", 400},
		{"GET /\t HTTP/1.1\r\n", 400},
		{"GET /\xc3\xa9 HTTP/1.1\r\n", 400},
		{"POST / HTTP/1.1\r\n", 405},
		{"CONNECT /x HTTP/1.1\r\n", 405},
		{REQUEST "Host : a\r\n", 400},
		{REQUEST ": a\r\n", 400},
		{REQUEST "Host\r\n", 400},
		{REQUEST "Host: a\r\n folded: b\r\n", 400},
		{REQUEST "Host: a\nUpgrade: websocket\r\n", 400},
		{REQUEST "Host: a\rb\r\n", 400},
		{REQUEST "Host: a\x01\r\n", 400},
		{REQUEST "Host: a b\r\n", 400},
		{REQUEST "Host:\r\n", 400},
		{REQUEST HOST HOST, 400},
		{REQUEST "Origin: https://a\r\nOrigin: https://a\r\n", 400},
		{REQUEST "Origin: https://a\xc2\x9b\r\n", 400},
		{REQUEST "Origin:\r\n", 400},
		{REQUEST KEY KEY, 400},
		{REQUEST VERSION VERSION, 400},
		{REQUEST "Content-Length: 5\r\n", 400},
		{REQUEST "Content-Length: 00\r\n", 400},
		{REQUEST "Transfer-Encoding: chunked\r\n", 400},
		{REQUEST "\r\n", 400},
		{REQUEST UPGRADE KEY VERSION SIP "\r\n", 400}, /* no Host */
		{REQUEST HOST KEY VERSION SIP "\r\n", 426},
		{REQUEST HOST "Upgrade: websocket\r\n" KEY VERSION SIP "\r\n", 426},
		{REQUEST HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY VERSION SIP "\r\n", 426},
		{REQUEST HOST "Upgrade: websockets\r\nConnection: Upgrade\r\n" KEY VERSION SIP "\r\n", 426},
		{REQUEST HOST UPGRADE KEY SIP "\r\n", 426},
		{REQUEST HOST UPGRADE KEY SIP "Sec-WebSocket-Version: 8\r\n\r\n", 426},
		{REQUEST HOST UPGRADE KEY SIP "Sec-WebSocket-Version: 13, 8\r\n\r\n", 426},
		{REQUEST HOST UPGRADE VERSION SIP "\r\n", 400},
		{REQUEST HOST UPGRADE VERSION SIP "Sec-WebSocket-Key: short\r\n\r\n", 400},
		{REQUEST HOST UPGRADE VERSION SIP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n\r\n", 400},
		{REQUEST HOST UPGRADE VERSION SIP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==\r\n\r\n", 400},
		{REQUEST HOST UPGRADE KEY VERSION "\r\n", 400},
		{REQUEST HOST UPGRADE KEY VERSION "Sec-WebSocket-Protocol: xmpp, SIP, sip2\r\n\r\n", 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net_upgrade upgrade;

		if (net_upgrade_parse(span_from(cases[i].text), &upgrade) >= 0)
			fail_msg("taken: %s", cases[i].text);
		if (upgrade.status != cases[i].status)
			fail_msg("%u %s: %s", upgrade.status, upgrade.reason, cases[i].text);
		assert_non_null(upgrade.reason);
	}
}

static void test_the_size_is_bounded(void **state)
{
	static char text[NET_UPGRADE_MAXIMUM_BYTES + 2];
	struct buffer out = BUFFER_OVER(text);
	struct net_upgrade upgrade;

	(void)state;
	buffer_put_text(&out, REQUEST ALL "Cookie: ");
	memset(text + out.length, 'a', sizeof(text) - out.length);
	assert_int_equal(net_upgrade_parse((struct span){text, NET_UPGRADE_MAXIMUM_BYTES - 1}, &upgrade), 0);
	assert_int_equal(net_upgrade_parse((struct span){text, NET_UPGRADE_MAXIMUM_BYTES}, &upgrade), -EINVAL);
	assert_int_equal(upgrade.status, 431);
	/* An end that comes too late is none. */
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	assert_int_equal(net_upgrade_parse((struct span){text, sizeof(text)}, &upgrade), -EINVAL);
	assert_int_equal(upgrade.status, 431);

	out = BUFFER_OVER(text);
	buffer_put_text(&out, REQUEST);
	for (int i = 0; i <= NET_UPGRADE_HEADERS_MAXIMUM; i++)
		buffer_put_text(&out, "A: b\r\n");
	assert_int_equal(net_upgrade_parse(buffer_span(&out), &upgrade), -EINVAL);
	assert_int_equal(upgrade.status, 431);
}

static void test_answers(void **state)
{
	char text[NET_UPGRADE_ANSWER_BYTES];
	struct buffer out = BUFFER_OVER(text);

	(void)state;
	net_upgrade_accept(&out, SPAN("dGhlIHNhbXBsZSBub25jZQ=="));
	/* The example of RFC 6455 section 1.3 */
	assert_non_null(strstr(buffer_text(&out), "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_non_null(strstr(text, "\r\nSec-WebSocket-Protocol: sip\r\n\r\n"));
	out = BUFFER_OVER(text);
	net_upgrade_answer(&out, 426);
	assert_non_null(strstr(buffer_text(&out), "HTTP/1.1 426 Upgrade Required\r\n"));
	assert_non_null(strstr(text, "\r\nSec-WebSocket-Version: 13\r\n"));
	out = BUFFER_OVER(text);
	net_upgrade_answer(&out, 403);
	assert_string_equal(buffer_text(&out),
			    "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_browser_is_taken),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_the_size_is_bounded),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
