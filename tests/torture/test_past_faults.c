/* SPDX-License-Identifier: Apache-2.0
 * Faults that other products had, their cause turned into input: the gateway stays alive, quiet and correct. Each test names the
 * published fault. Others are tested where they belong: those of media; of logs (tests/base/test_log.c: nothing from outside forges
 * a line), of the control socket (tests/control) and of what its answers do to a terminal (tests/cli); of idle connections
 * (tests/net/test_limits.c), abrupt TLS ends and renegotiation (tests/net/test_stream.c), connections used for another name
 * (tests/net/test_dial.c); of multiparts (tests/sip/test_multipart.c); of STUN (tests/base/test_stun.c); of challenges that change
 * for ever or are of others (tests/call/test_trunk.c). */
#include "../call/kit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call/events.h"

#define REALM "voip.example.org"

static struct kit kit;
static char text[60000];

static void start(const char *zone_extra)
{
	kit_start(&kit, zone_extra, "offered");
}

static char *repeated(const char *what, unsigned count)
{
	size_t length = strlen(what);

	assert_true(length * count < sizeof(text));
	for (unsigned i = 0; i < count; i++)
		memcpy(text + i * length, what, length);
	text[length * count] = 0;
	return text;
}

/* A request from the phone, whose lines are as given. */
static void asks(const char *method, const char *cseq_method, const char *extra)
{
	static unsigned count;

	count++;
	peer_send(&kit, &kit.phone,
		  "%s sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bKfault%u\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=f\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: fault%u\nCSeq: 1 %s\nContact: <sip:1001@127.0.0.1:%u>\n%sContent-Length: 0\n\n",
		  method, kit.phone.address.port, count, count, cseq_method, kit.phone.address.port, extra);
}

/* Credentials of 1001 for the challenge that is the phone's last message. */
static const char *credentials(const char *method)
{
	static char line[1024];
	char nonce[128], ha1[SIP_HA1_CAPACITY], response[SIP_HA1_CAPACITY];
	const char *challenge = header(&kit.phone, "Proxy-Authenticate"), *at = strstr(challenge, "nonce=\"") + 7;
	struct sip_digest digest = {.realm = SPAN(REALM),
				    .uri = SPAN("sip:600@voip.example.org"),
				    .qop = SPAN("auth"),
				    .cnonce = SPAN("c"),
				    .nc = SPAN("00000001"),
				    .algorithm = SIP_DIGEST_SHA256};

	snprintf(nonce, sizeof(nonce), "%.*s", (int)strcspn(at, "\""), at);
	digest.nonce = span_from(nonce);
	sip_digest_ha1(SIP_DIGEST_SHA256, SPAN("1001"), SPAN(REALM), SPAN("secret"), ha1);
	assert_int_equal(sip_digest_response(&digest, ha1, span_from(method), response), 0);
	snprintf(line, sizeof(line),
		 "Proxy-Authorization: Digest username=\"1001\", realm=\"" REALM "\", nonce=\"%s\", "
		 "uri=\"sip:600@voip.example.org\", response=\"%s\", algorithm=SHA-256, qop=auth, nc=00000001, "
		 "cnonce=\"c\"\n",
		 nonce, response);
	return line;
}

/* Whatever became of it: nothing reached the PBX, and the next one is served. */
static void expect_refused_and_alive(const char *what)
{
	if (peer_receive(&kit, &kit.pbx, 20))
		fail_msg("%s crossed:\n%s", what, kit.pbx.text);
	while (peer_receive(&kit, &kit.phone, 5))
		;
	asks("OPTIONS", "OPTIONS", "");
	peer_agrees(&kit, &kit.pbx, "OPTIONS ", "alive", &kit.phone);
}

/* ---- Messages ---- */

static void cve_2017_9372_long_method_in_cseq(void **state)
{
	(void)state;
	start("");
	asks("INVITE", repeated("A", 4000), "");
	expect_refused_and_alive("a long method");
	kit_stop(&kit);
}

static void cve_2018_7284_more_accept_headers_than_expected(void **state)
{
	(void)state;
	start("");
	asks("OPTIONS", "OPTIONS", repeated("Accept: application/x\n", 60));
	peer_agrees(&kit, &kit.pbx, "OPTIONS ", "t", &kit.phone);
	asks("OPTIONS", "OPTIONS", repeated("Accept: application/x\n", 1000));
	expect_refused_and_alive("a thousand headers");
	kit_stop(&kit);
}

static void cve_2018_8828_malformed_branch_and_from_tag(void **state)
{
	static const char *const lines[] = {
		"Via: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=\nFrom: <sip:1001@voip.example.org>;tag=f\n",
		"Via: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bK\nFrom: <sip:1001@voip.example.org>;tag=f\n",
		"Via: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bKx\nFrom: <sip:1001@voip.example.org>;tag=\n",
		"Via: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bKx\nFrom: <sip:1001@voip.example.org>;tag=a;tag=b\n",
		"Via: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bKx\nFrom: \"unclosed <sip:1001@a.example>;tag=f\n",
	};

	(void)state;
	start("");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		char head[512];

		snprintf(head, sizeof(head), lines[i], kit.phone.address.port);
		peer_send(
			&kit, &kit.phone,
			"INVITE sip:600@voip.example.org SIP/2.0\n%sMax-Forwards: 70\nTo: <sip:600@voip.example.org>\n"
			"Call-ID: b%zu\nCSeq: 1 INVITE\nContact: <sip:1001@127.0.0.1>\nContent-Length: 0\n\n",
			head, i);
		expect_refused_and_alive(lines[i]);
	}
	kit_stop(&kit);
}

static void cve_2018_14767_second_to_with_empty_tag(void **state)
{
	(void)state;
	start("");
	asks("INVITE", "INVITE", "To: <sip:600@voip.example.org>;tag=\n");
	expect_refused_and_alive("a second To");
	asks("INVITE", "INVITE", "t: <sip:600@voip.example.org>\n");
	expect_refused_and_alive("a second To in compact form");
	kit_stop(&kit);
}

/* What a parser leaves unseen because of a byte before the colon must not cross for the next one to see. */
static void cve_2020_28361_header_with_something_before_its_colon(void **state)
{
	static const char *const lines[] = {
		"P-Asserted-Identity : <sip:boss@voip.example.org>\n",
		"P-Asserted-Identity\t: <sip:boss@voip.example.org>\n",
		"Remote-Party-ID : <sip:boss@voip.example.org>\n",
	};
	static const char *const odd[] = {
		"P-Asserted-Identity\x01: <sip:boss@voip.example.org>\n",
		"P-Asserted-Identity\xa0: <sip:boss@voip.example.org>\n",
		"P-Asserted-Identity\x0b: <sip:boss@voip.example.org>\n",
		": <sip:boss@voip.example.org>\n",
	};

	(void)state;
	start("");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		asks("OPTIONS", "OPTIONS", lines[i]);
		peer_expect(&kit, &kit.pbx, "OPTIONS ");
		assert_null(strstr(kit.pbx.text, "boss"));
		peer_answer(&kit, &kit.pbx, "200 OK", "t", "", "");
		peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	}
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		asks("OPTIONS", "OPTIONS", odd[i]);
		expect_refused_and_alive(odd[i]);
	}
	kit_stop(&kit);
}

static void cve_2016_9938_other_bytes_are_no_blanks(void **state)
{
	static const char *const lines[] = {"Supported:\x0btimer\n", "Supported: a\x01\n", "Subject: a\x7f\n",
					    "Require\x0c: x\n"};

	(void)state;
	start("");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		asks("OPTIONS", "OPTIONS", lines[i]);
		expect_refused_and_alive(lines[i]);
	}
	kit_stop(&kit);
}

/* ---- Streams ---- */

static void cve_2023_28097_huge_content_length_on_a_stream(void **state)
{
	static const char *const lengths[] = {
		"2147483647", "4294967295", "4294967296", "18446744073709551615", "99999999999999999999999", "-1"};

	(void)state;
	start("");
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct peer peer;

		kit_connect_tls(&kit, &peer);
		peer_send(&kit, &peer,
			  "INVITE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bKcl%zu\n"
			  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=f\nTo: <sip:600@voip.example.org>\n"
			  "Call-ID: cl%zu\nCSeq: 1 INVITE\nContact: <sip:1001@127.0.0.1>\nContent-Length: %s\n\nrest",
			  i, i, lengths[i]);
		kit_pump(&kit, 20);
		expect_refused_and_alive(lengths[i]);
		peer_close(&peer);
		kit_pump(&kit, 5);
	}
	kit_stop(&kit);
}

/* The phone is gone before its call is answered; what comes for it is ended and forgotten. */
static void cve_2018_7286_invite_over_a_stream_that_ends(void **state)
{
	(void)state;
	start("");
	for (int i = 0; i < 5; i++) {
		char name[16], tag_text[16];
		struct peer peer;

		snprintf(name, sizeof(name), "gone%d", i);
		snprintf(tag_text, sizeof(tag_text), "t%d", i);
		kit_connect_tls(&kit, &peer);
		phone_invites(&kit, &peer, name, "", sdp_plain(4000, "sendrecv"));
		peer_expect(&kit, &kit.pbx, "INVITE ");
		peer_close(&peer);
		kit_pump(&kit, 10);
		if (i % 2)
			peer_answer(&kit, &kit.pbx, "200 OK", tag_text, "", sdp_plain(5000, "sendrecv"));
	}
	kit_silence(&kit);
	kit_stop(&kit);
}

/* Challenged, and gone before the challenge is acknowledged or even read. */
static void cve_2020_28327_a_challenged_invite_over_a_stream_that_ends(void **state)
{
	(void)state;
	start("    authentication: local\n");
	for (int i = 0; i < 5; i++) {
		char name[20];
		struct peer peer;

		snprintf(name, sizeof(name), "asked%d", i);
		kit_connect_tls(&kit, &peer);
		phone_invites(&kit, &peer, name, "", sdp_plain(4000, "sendrecv"));
		if (i % 2)
			peer_expect(&kit, &peer, "SIP/2.0 407");
		peer_close(&peer);
		kit_pump(&kit, 10);
	}
	kit_silence(&kit);
	kit_stop(&kit);
}

/* ---- Descriptions ---- */

static void describes(const char *description)
{
	static unsigned count;
	char name[16];

	snprintf(name, sizeof(name), "d%u", count++);
	phone_invites(&kit, &kit.phone, name, "", description);
	kit_pump(&kit, 5);
}

#define SDP_HEAD "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"

/* Refused or carried, but what is carried is sound: the PBX's side reads it with our own strict parser. */
static void cve_2018_1000098_odd_media_lines_and_formats(void **state)
{
	static const char *const descriptions[] = {
		SDP_HEAD "m=audio 4000 RTP/AVP\n",
		SDP_HEAD "m=audio 4000 RTP/AVP \n",
		SDP_HEAD "m=audio 4000 RTP/AVP -1\n",
		SDP_HEAD "m=audio 4000 RTP/AVP 99999999999999999999\n",
		SDP_HEAD "m=audio 99999 RTP/AVP 0\n",
		SDP_HEAD "m=audio -4000 RTP/AVP 0\n",
		SDP_HEAD "m=audio 4000/65535 RTP/AVP 0\n",
		SDP_HEAD "m=\n",
		SDP_HEAD "m=audio 4000 RTP/AVP 0\na=fmtp\n",
		SDP_HEAD "m=audio 4000 RTP/AVP 0\na=fmtp:\n",
		SDP_HEAD "m=audio 4000 RTP/AVP 0\na=fmtp:0\na=rtpmap:\na=rtpmap:0\na=rtpmap:0 \n",
		SDP_HEAD "m=audio 4000 RTP/AVP 0\na=rtpmap:0 PCMU/99999999999999/9999999\n",
		SDP_HEAD "m=audio 4000 RTP/AVP 0\na=ptime:4294967297\na=maxptime:-1\na=ptime:\n", /* CVE-2026-41416 */
		SDP_HEAD "m=audio 4000 RTP/AVP 0 0 0 0 96 96 97\na=rtpmap:96 opus/48000\n"        /* CVE-2023-40019 */
			 "a=rtpmap:96 opus/48000\na=rtpmap:97 opus/48000\n",
		SDP_HEAD "m=audio 4000 RTP/AVP 0", /* CVE-2023-27600: no end of the line */
		SDP_HEAD "m=audio 4000 RTP/AVP 0\na=",
		"v=0",
		"m=audio 4000 RTP/AVP 0\n",
	};

	(void)state;
	start("");
	for (size_t i = 0; i < sizeof(descriptions) / sizeof(*descriptions); i++) {
		describes(descriptions[i]);
		while (peer_receive(&kit, &kit.pbx, 5)) {
			const char *carried = strstr(kit.pbx.text, "INVITE ") == kit.pbx.text ? body(&kit.pbx) : "";
			struct sdp_session session;
			static char memory[65536];
			struct arena arena = arena_over(memory, sizeof(memory));

			if (*carried)
				assert_int_equal(sdp_parse(span_from(carried), &arena, &session), SDP_OK);
			if (*carried)
				peer_answer(&kit, &kit.pbx, "486 Busy Here", "busy", "", "");
		}
		while (peer_receive(&kit, &kit.phone, 1))
			;
	}
	kit_silence(&kit);
	kit_stop(&kit);
}

static void sngrep_long_texts_in_what_is_shown(void **state)
{
	static char description[4000];

	(void)state;
	start("");
	snprintf(description, sizeof(description), SDP_HEAD "m=audio 4000 RTP/AVP 96\na=rtpmap:96 %.3000s/8000\n",
		 repeated("codec", 100));
	describes(description);
	snprintf(description, sizeof(description), SDP_HEAD "m=%.3000s 4000 RTP/AVP 0\n", repeated("audio", 200));
	describes(description);
	snprintf(description, sizeof(description),
		 "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 %.3000s\nt=0 0\nm=audio 4000 RTP/AVP 0\n",
		 repeated("127.0.0.1", 100));
	describes(description);
	while (peer_receive(&kit, &kit.pbx, 20))
		if (!strncmp(kit.pbx.text, "INVITE ", 7))
			peer_answer(&kit, &kit.pbx, "200 OK", "long", "", sdp_plain(5000, "sendrecv"));
	phone_invites(&kit, &kit.phone, repeated("call-id", 60), "", sdp_plain(4000, "sendrecv"));
	kit_silence(&kit);
	kit_stop(&kit);
}

static void cve_2021_26906_answers_that_fit_no_offer(void **state)
{
	static const char *const answers[] = {
		"nonsense\n",
		SDP_HEAD "m=audio 5000 RTP/AVP 0\nm=video 5002 RTP/AVP 31\n",
		SDP_HEAD,
		SDP_HEAD "m=audio 5000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short\n",
		SDP_HEAD "m=image 5000 udptl t38\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		start("");
		phone_calls(&kit, "offer", 4000);
		peer_answer(&kit, &kit.pbx, "200 OK", "t", "", answers[i]);
		peer_expect(&kit, &kit.pbx, "ACK ");
		peer_expect(&kit, &kit.pbx, "BYE ");
		peer_answer(&kit, &kit.pbx, "200 OK", "t", "", "");
		peer_expect(&kit, &kit.phone, "SIP/2.0 488");
		kit_silence(&kit);
		kit_stop(&kit);
	}
}

/* ---- Authentication ---- */

static void cve_2023_28098_credentials_that_end_too_soon(void **state)
{
	static const char *const values[] = {
		"Digest",
		"Digest ",
		"Digest username",
		"Digest username=",
		"Digest username=\"",
		"Digest ,,,,",
		"Digest username=\"1001\", realm=\"",
		"Digest username=\"1001\", realm=\"voip.example.org\", nonce=\"\", uri=\"\", response=\"\"",
		"Digest username=\"1001\", realm=\"voip.example.org\", nonce=\"x\", uri=\"x\", qop=auth, nc=",
		"Digest username=\"1001\\",
		"Digest =",
		"Basic MTAwMTpzZWNyZXQ=",
	};

	(void)state;
	start("    authentication: local\n");
	kit_account(&kit, "1001", "secret");
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		char line[512];

		snprintf(line, sizeof(line), "Proxy-Authorization: %s\n", values[i]);
		asks("INVITE", "INVITE", line);
		assert_false(peer_receive(&kit, &kit.pbx, 10));
		while (peer_receive(&kit, &kit.phone, 5))
			assert_true(atoi(kit.phone.text + 8) == 100 || atoi(kit.phone.text + 8) >= 400);
	}
	kit_silence(&kit);
	kit_stop(&kit);
}

static void cve_2025_57767_credentials_for_a_realm_never_asked_for(void **state)
{
	(void)state;
	start("    authentication: local\n");
	kit_account(&kit, "1001", "secret");
	asks("INVITE", "INVITE",
	     "Proxy-Authorization: Digest username=\"1001\", realm=\"elsewhere.example\", nonce=\"0123\", "
	     "uri=\"sip:600@voip.example.org\", response=\"00000000000000000000000000000000\", algorithm=SHA-256, "
	     "qop=auth, nc=00000001, cnonce=\"c\"\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	assert_false(peer_receive(&kit, &kit.pbx, 10));
	kit_silence(&kit);
	kit_stop(&kit);
}

static void cve_2021_37624_no_method_crosses_without_credentials(void **state)
{
	static const char *const methods[] = {"INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER",
					      "NOTIFY", "INFO",    "UPDATE",    "PRACK",   "OPTIONS"};

	(void)state;
	start("    authentication: local\n");
	kit_account(&kit, "1001", "secret");
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		asks(methods[i], methods[i], "Event: presence\n");
		if (peer_receive(&kit, &kit.pbx, 20))
			fail_msg("%s crossed:\n%s", methods[i], kit.pbx.text);
		while (peer_receive(&kit, &kit.phone, 5))
			assert_true(atoi(kit.phone.text + 8) == 100 || atoi(kit.phone.text + 8) >= 400);
	}
	kit_silence(&kit);
	kit_stop(&kit);
}

/* Who has an account speaks in its name alone, whatever the method. */
static void cve_2025_47779_from_is_who_authenticated(void **state)
{
	static const char *const methods[] = {"MESSAGE", "INVITE", "SUBSCRIBE", "PUBLISH", "OPTIONS"};

	(void)state;
	start("    authentication: local\n");
	kit_account(&kit, "1001", "secret");
	for (unsigned i = 0; i < 2 * sizeof(methods) / sizeof(methods[0]); i++) {
		const char *method = methods[i / 2], *from = i % 2 ? "1002" : "1001";
		const char *lines = "";

		for (int again = 0; again < 2; again++) {
			peer_send(&kit, &kit.phone,
				  "%s sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP "
				  "127.0.0.1:%u;rport;branch=z9hG4bKfrom%u.%d\nMax-Forwards: 70\n"
				  "From: <sip:%s@voip.example.org>;tag=f\nTo: <sip:600@voip.example.org>\n"
				  "Call-ID: from%u\nCSeq: %d %s\nContact: <sip:1001@127.0.0.1:%u>\nEvent: presence\n%s"
				  "Content-Length: 0\n\n",
				  method, kit.phone.address.port, i, again, from, i, again + 1, method,
				  kit.phone.address.port, lines);
			if (!again)
				peer_expect(&kit, &kit.phone, "SIP/2.0 407");
			lines = again ? "" : credentials(method);
		}
		if (i % 2) {
			peer_expect(&kit, &kit.phone, "SIP/2.0 403");
			while (peer_receive(&kit, &kit.pbx, 10))
				if (strncmp(kit.pbx.text, "ACK ", 4) != 0) /* of the one before */
					fail_msg("%s crossed:\n%s", method, kit.pbx.text);
		} else { /* for the test to mean something */
			peer_expect(&kit, &kit.pbx, method);
			peer_answer(&kit, &kit.pbx, "480 Gone", "t", "", "");
			peer_expect(&kit, &kit.phone, "SIP/2.0 4");
		}
	}
	kit_silence(&kit);
	kit_stop(&kit);
}

/* As long as a datagram may be, and no longer read than it is. */
static void cve_2022_24754_credentials_that_are_too_long(void **state)
{
	static const char *const names[] = {"username", "realm",  "nonce", "uri", "response",
					    "cnonce",   "opaque", "qop",   "nc"};
	static char line[8000];

	(void)state;
	start("    authentication: local\n");
	kit_account(&kit, "1001", "secret");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(line, sizeof(line), "Proxy-Authorization: Digest algorithm=SHA-256, %s=\"%.6000s\"\n",
			 names[i], repeated("0123456789abcdef", 400));
		asks("INVITE", "INVITE", line);
		assert_false(peer_receive(&kit, &kit.pbx, 10));
		peer_expect(&kit, &kit.phone, "SIP/2.0 4");
	}
	kit_silence(&kit);
	kit_stop(&kit);
}

/* What a header names is nobody whom the gateway would ask for it. */
static void cve_2022_26499_no_address_in_a_header_is_fetched(void **state)
{
	struct sockaddr_in web = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(web);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	char lines[900];

	(void)state;
	assert_true(listener >= 0 && !bind(listener, (struct sockaddr *)&web, length) && !listen(listener, 5));
	assert_int_equal(getsockname(listener, (struct sockaddr *)&web, &length), 0);
	start("");
	snprintf(lines, sizeof(lines),
		 "Identity: e30.e30.c2ln;info=<http://127.0.0.1:%1$u/cert.pem>;alg=ES256;ppt=shaken\n"
		 "Identity-Info: <http://127.0.0.1:%1$u/cert.cer>;alg=rsa-sha1\n"
		 "Alert-Info: <http://127.0.0.1:%1$u/ring.wav>\nCall-Info: "
		 "<http://127.0.0.1:%1$u/face.jpg>;purpose=icon\n"
		 "Error-Info: <http://127.0.0.1:%1$u/error>\nContent-Disposition: session\n",
		 ntohs(web.sin_port));
	phone_invites(&kit, &kit.phone, "fetch", lines, sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_false(has_header(&kit.pbx, "Identity-Info"));
	peer_answer(&kit, &kit.pbx, "480 Gone", "t", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 480");
	kit_pump(&kit, 100);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	close(listener);
	kit_stop(&kit);
}

/* Byte for byte, but for what is drawn by chance. */
static void answer_normalise(const char *user, char *out, size_t capacity)
{
	size_t length = 0;

	peer_expect(&kit, &kit.phone, "SIP/2.0 4");
	for (const char *at = kit.phone.text; *at && length + 1 < capacity;) {
		static const char *const chance[] = {"nonce=\"", "tag=", "branch=", "Call-ID: "};
		const char *mark = NULL;

		for (size_t i = 0; i < sizeof(chance) / sizeof(*chance); i++)
			if (!strncmp(at, chance[i], strlen(chance[i])))
				mark = chance[i];
		if (mark) {
			at += strlen(mark);
			at += strcspn(at, "\";\r");
			out[length++] = '#';
		} else if (!strncmp(at, user, strlen(user))) {
			at += strlen(user);
			out[length++] = '*';
		} else {
			out[length++] = *at++;
		}
	}
	out[length] = 0;
}

static void cve_2018_12227_known_and_unknown_users_are_answered_alike(void **state)
{
	static const char *const users[] = {"1001", "7777"};
	static char answers[2][8192];

	(void)state;
	start("    authentication: local\n");
	kit_account(&kit, "1001", "secret");
	for (int i = 0; i < 2; i++) {
		peer_send(
			&kit, &kit.phone,
			"REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bKu%d\n"
			"Max-Forwards: 70\nFrom: <sip:%s@voip.example.org>;tag=f\nTo: <sip:%s@voip.example.org>\n"
			"Call-ID: known%d\nCSeq: 1 REGISTER\nContact: <sip:%s@127.0.0.1>\nContent-Length: 0\n\n",
			kit.phone.address.port, i, users[i], users[i], i, users[i]);
		answer_normalise(users[i], answers[i], sizeof(answers[i]));
	}
	assert_string_equal(answers[0], answers[1]);
	kit_stop(&kit);
}

static void registers(struct peer *peer, unsigned cseq)
{
	peer_send(&kit, peer,
		  "REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bKr%u\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=f\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: reg\nCSeq: %u REGISTER\nContact: <sip:1001@127.0.0.1:4567>;expires=600\nContent-Length: "
		  "0\n\n",
		  peer->address.port, cseq, cseq);
}

/* Who only says to be the phone does not move its registration, whatever the PBX thinks of him. */
static void cve_2019_18790_an_address_is_not_taken_from_an_unproven_request(void **state)
{
	char contact[256];

	(void)state;
	start("");
	registers(&kit.phone, 1);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	snprintf(contact, sizeof(contact), "Contact: %s\n", header(&kit.pbx, "Contact"));
	peer_answer(&kit, &kit.pbx, "200 OK", "t", contact, "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	registers(&kit.stranger, 2);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	peer_answer(&kit, &kit.pbx, "401 Unauthorized", "t",
		    "WWW-Authenticate: Digest realm=\"voip.example.org\", nonce=\"n\"\n", "");
	peer_expect(&kit, &kit.stranger, "SIP/2.0 401");
	assert_true(kit.binding.remote.port == kit.phone.address.port);
	peer_send(
		&kit, &kit.pbx,
		"INVITE sip:1001@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKto\nMax-Forwards: 70\n"
		"From: <sip:2002@voip.example.org>;tag=bob\nTo: <sip:1001@voip.example.org>\nCall-ID: to\nCSeq: 1 "
		"INVITE\n"
		"Contact: <sip:2002@127.0.0.1:%u>\nContent-Type: application/sdp\nContent-Length: %%LENGTH%%\n\n%s",
		kit.pbx.address.port, kit.pbx.address.port, sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "INVITE ");
	assert_false(peer_receive(&kit, &kit.stranger, 20));
	kit_stop(&kit);
}

/* ---- Floods ---- */

/* What nobody answers is given up, and the memory comes back. */
static void cve_2021_41145_a_flood_leaves_nothing_behind(void **state)
{
	(void)state;
	start("");
	kit.hasty = true;
	for (int i = 0; i < 2000; i++) {
		asks(i % 2 ? "REGISTER" : "INVITE", i % 2 ? "REGISTER" : "INVITE", "");
		kit_pump(&kit, 0);
		while (peer_receive(&kit, &kit.pbx, 0) || peer_receive(&kit, &kit.phone, 0))
			;
	}
	kit.hasty = false;
	kit_silence(&kit);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cve_2017_9372_long_method_in_cseq),
		cmocka_unit_test(cve_2018_7284_more_accept_headers_than_expected),
		cmocka_unit_test(cve_2018_8828_malformed_branch_and_from_tag),
		cmocka_unit_test(cve_2018_14767_second_to_with_empty_tag),
		cmocka_unit_test(cve_2020_28361_header_with_something_before_its_colon),
		cmocka_unit_test(cve_2016_9938_other_bytes_are_no_blanks),
		cmocka_unit_test(cve_2023_28097_huge_content_length_on_a_stream),
		cmocka_unit_test(cve_2018_7286_invite_over_a_stream_that_ends),
		cmocka_unit_test(cve_2020_28327_a_challenged_invite_over_a_stream_that_ends),
		cmocka_unit_test(cve_2018_1000098_odd_media_lines_and_formats),
		cmocka_unit_test(sngrep_long_texts_in_what_is_shown),
		cmocka_unit_test(cve_2021_26906_answers_that_fit_no_offer),
		cmocka_unit_test(cve_2023_28098_credentials_that_end_too_soon),
		cmocka_unit_test(cve_2025_57767_credentials_for_a_realm_never_asked_for),
		cmocka_unit_test(cve_2021_37624_no_method_crosses_without_credentials),
		cmocka_unit_test(cve_2022_24754_credentials_that_are_too_long),
		cmocka_unit_test(cve_2025_47779_from_is_who_authenticated),
		cmocka_unit_test(cve_2022_26499_no_address_in_a_header_is_fetched),
		cmocka_unit_test(cve_2018_12227_known_and_unknown_users_are_answered_alike),
		cmocka_unit_test(cve_2019_18790_an_address_is_not_taken_from_an_unproven_request),
		cmocka_unit_test(cve_2021_41145_a_flood_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
