/* SPDX-License-Identifier: Apache-2.0
 * What an attacker sends, named by the rows of docs/threats.md, beside what an honest phone notices of it: nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kit.h"

#define REALM "voip.example.org"

static struct kit kit;
static struct side caller, callee;

static void start(const char *zone_extra, const char *encryption)
{
	kit_start(&kit, zone_extra, encryption);
}

static void registers(struct peer *peer, const char *user, const char *from, unsigned cseq, const char *lines)
{
	peer_send(&kit, peer,
		  "REGISTER sip:" REALM " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKr%u;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:%s@" REALM ">;tag=reg\nTo: <sip:%s@" REALM ">\nCall-ID: reg\n"
		  "CSeq: %u REGISTER\n%sContent-Length: 0\n\n",
		  peer->address.port, cseq, from, user, cseq, lines);
}

/* The phone registers as `user`, and is granted it. */
static void register_as(struct peer *peer, const char *user)
{
	registers(peer, user, user, 1, "Contact: <sip:me@127.0.0.1:9>\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	pbx_grants(&kit, "", "");
	peer_expect(&kit, peer, "SIP/2.0 200");
}

/* ---- S3, S4: registrations ---- */

static void s4_contacts_that_cannot_be_called_are_refused(void **state)
{
	(void)state;
	start("", "none");
	registers(&kit.phone, "1001", "1001", 1, "Contact: <sip:me@127.0.0.1?Route=%3Csip:10.0.0.1%3E>\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	registers(&kit.phone, "1001", "1001", 2, "Contact: <sip:me@127.0.0.1>, <sip:%6de@127.0.0.1>\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	registers(&kit.phone, "1001", "1001", 3, "Contact: <mailto:me@127.0.0.1>\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	kit_stop(&kit);
}

static void s4_an_account_has_so_many_contacts_and_the_registrar_hears_of_no_more(void **state)
{
	char contact[64];

	(void)state;
	start("    registrations: {contacts: 2}\n", "none");
	for (unsigned i = 1; i <= 2; i++) {
		snprintf(contact, sizeof(contact), "Contact: <sip:me@127.0.0.%u>\n", i);
		registers(&kit.phone, "1001", "1001", i, contact);
		peer_expect(&kit, &kit.pbx, "REGISTER ");
		pbx_grants(&kit, "", "");
		peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	}
	registers(&kit.stranger, "1001", "1001", 3, "Contact: <sip:me@127.0.0.3>\n");
	peer_expect(&kit, &kit.stranger, "SIP/2.0 403");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	/* Those who are registered go on, and may leave. */
	registers(&kit.phone, "1001", "1001", 4, "Contact: <sip:me@127.0.0.2>;expires=0\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_stop(&kit);
}

static void s4_nobody_registers_for_longer_than_the_owner_says(void **state)
{
	(void)state;
	start("", "none");
	registers(&kit.phone, "1001", "1001", 1, "Contact: <sip:me@127.0.0.1>;expires=4294967295\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), ";expires=3600"));
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_true(strtoul(strstr(header(&kit.phone, "Contact"), "expires=") + 8, NULL, 10) <= 600);
	registers(&kit.phone, "1001", "1001", 2, "Contact: <sip:me@127.0.0.1>;expires=99999999999999999999\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_true(strtoul(strstr(header(&kit.phone, "Contact"), "expires=") + 8, NULL, 10) <= 600);
	kit_stop(&kit);
}

/* Credentials of `user` for the challenge that is the peer's last message. */
static const char *credentials(struct peer *challenged, const char *name, const char *user, const char *password,
			       const char *method, const char *uri, unsigned count)
{
	static char line[1024];
	char nonce[128], nc[16], ha1[SIP_HA1_CAPACITY], response[SIP_HA1_CAPACITY];
	const char *challenge =
		header(challenged, strcmp(name, "Authorization") ? "Proxy-Authenticate" : "WWW-Authenticate");
	const char *start_ = strstr(challenge, "nonce=\"") + 7;
	struct sip_digest digest = {.realm = SPAN(REALM),
				    .uri = span_from(uri),
				    .qop = SPAN("auth"),
				    .cnonce = SPAN("c"),
				    .algorithm = SIP_DIGEST_SHA256};

	snprintf(nonce, sizeof(nonce), "%.*s", (int)strcspn(start_, "\""), start_);
	snprintf(nc, sizeof(nc), "%08x", count);
	digest.nonce = span_from(nonce);
	digest.nc = span_from(nc);
	sip_digest_ha1(SIP_DIGEST_SHA256, span_from(user), SPAN(REALM), span_from(password), ha1);
	assert_int_equal(sip_digest_response(&digest, ha1, span_from(method), response), 0);
	snprintf(line, sizeof(line),
		 "%s: Digest username=\"%s\", realm=\"" REALM "\", nonce=\"%s\", uri=\"%s\", response=\"%s\", "
		 "algorithm=SHA-256, qop=auth, nc=%s, cnonce=\"c\"\n",
		 name, user, nonce, uri, response, nc);
	return line;
}

static void s4_nobody_registers_another(void **state)
{
	static char lines[1200];

	(void)state;
	start("    authentication: local\n", "none");
	kit_account(&kit, "1001", "secret");
	kit_account(&kit, "1002", "other");
	registers(&kit.phone, "1002", "1001", 1, "Contact: <sip:me@127.0.0.1>\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 401");
	snprintf(lines, sizeof(lines), "Contact: <sip:me@127.0.0.1>\n%s",
		 credentials(&kit.phone, "Authorization", "1001", "secret", "REGISTER", "sip:" REALM, 1));
	registers(&kit.phone, "1002", "1001", 2, lines);
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	registers(&kit.phone, "1002", "1002", 3, lines);
	peer_expect(&kit, &kit.phone, "SIP/2.0 40");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	kit_stop(&kit);
}

static void s3_credentials_serve_once_and_for_what_they_were_made_for(void **state)
{
	static char lines[1200];
	struct peer elsewhere = {0};
	struct address local = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 2}};
	struct sockaddr_storage sockaddr;
	socklen_t length = address_to_sockaddr(&local, &sockaddr);

	(void)state;
	start("    authentication: local\n", "none");
	kit_account(&kit, "1001", "secret");
	phone_invites(&kit, &kit.phone, "one", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	/* Overheard, and used from elsewhere. */
	elsewhere.descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(elsewhere.descriptor, (struct sockaddr *)&sockaddr, length), 0);
	assert_int_equal(getsockname(elsewhere.descriptor, (struct sockaddr *)&sockaddr, &length), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&sockaddr, &elsewhere.address), 0);
	snprintf(lines, sizeof(lines), "%s",
		 credentials(&kit.phone, "Proxy-Authorization", "1001", "secret", "INVITE", "sip:600@" REALM, 1));
	phone_invites(&kit, &elsewhere, "two", lines, "");
	peer_expect(&kit, &elsewhere, "SIP/2.0 407");
	/* Made for another number. */
	snprintf(lines, sizeof(lines), "%s",
		 credentials(&kit.phone, "Proxy-Authorization", "1001", "secret", "INVITE", "sip:601@" REALM, 1));
	phone_invites(&kit, &kit.phone, "three", lines, "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	/* The honest phone, which then uses its nonce again, with a higher count and other parameters on the URI. */
	snprintf(lines, sizeof(lines), "%s",
		 credentials(&kit.phone, "Proxy-Authorization", "1001", "secret", "INVITE", "sip:600@" REALM ":5060",
			     1));
	phone_invites(&kit, &kit.phone, "four", lines, "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	/* Its own credentials once more: by whoever stands behind the same address. */
	phone_invites(&kit, &kit.stranger, "five", lines, "");
	peer_expect(&kit, &kit.stranger, "SIP/2.0 407");
	assert_non_null(strstr(header(&kit.stranger, "Proxy-Authenticate"), "stale=true"));
	peer_expect_nothing(&kit, &kit.pbx, "INVITE sip:600@voip.example.org SIP/2.0\r\nVia: x");
	peer_close(&elsewhere);
	kit_stop(&kit);
}

static void s3_a_phone_that_the_gateway_knows_is_not_challenged_by_the_pbx(void **state)
{
	static char lines[1200];

	(void)state;
	start("    authentication: local\n", "none");
	kit_account(&kit, "1001", "secret");
	phone_invites(&kit, &kit.phone, "one", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	snprintf(lines, sizeof(lines), "%s",
		 credentials(&kit.phone, "Proxy-Authorization", "1001", "secret", "INVITE", "sip:600@" REALM, 1));
	phone_invites(&kit, &kit.phone, "two", lines, "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_false(has_header(&kit.pbx, "Proxy-Authorization"));
	peer_answer(&kit, &kit.pbx, "407 Who", "t", "Proxy-Authenticate: Digest realm=\"inner\", nonce=\"n\"\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	assert_false(has_header(&kit.phone, "Proxy-Authenticate"));
	kit_stop(&kit);
}

static void s3_a_callee_cannot_have_the_caller_answer_its_challenge(void **state)
{
	(void)state;
	start("", "none");
	register_as(&kit.phone, "1001");
	peer_send(&kit, &kit.pbx,
		  "INVITE sip:1001@" REALM " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKx\nMax-Forwards: 70\n"
		  "From: <sip:2002@" REALM ">;tag=bob\nTo: <sip:1001@" REALM ">\nCall-ID: bob\nCSeq: 1 INVITE\n"
		  "Contact: <sip:2002@127.0.0.1>\nContent-Length: 0\n\n",
		  kit.pbx.address.port);
	peer_expect(&kit, &kit.phone, "INVITE ");
	peer_answer(&kit, &kit.phone, "407 Who", "t", "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n\"\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 403");
	assert_false(has_header(&kit.pbx, "Proxy-Authenticate"));
	kit_stop(&kit);
}

static void s4_an_account_that_is_removed_is_not_called_any_more(void **state)
{
	static char lines[1200];
	struct gateway_status status;

	(void)state;
	start("    authentication: local\n", "none");
	kit_account(&kit, "1001", "secret");
	registers(&kit.phone, "1001", "1001", 1, "Contact: <sip:me@127.0.0.1>\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 401");
	snprintf(lines, sizeof(lines), "Contact: <sip:me@127.0.0.1>\n%s",
		 credentials(&kit.phone, "Authorization", "1001", "secret", "REGISTER", "sip:" REALM, 1));
	registers(&kit.phone, "1001", "1001", 2, lines);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	gateway_account_remove(kit.gateway, "1001");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.bindings, 0);
	assert_int_equal(kit.bindings_removed, 1);
	kit_stop(&kit);
}

/* ---- S5, S6: dialogs of others ---- */

static void s5_what_one_side_knows_of_a_call_is_of_no_use_on_the_other(void **state)
{
	static const char *const methods[] = {"INVITE", "UPDATE", "BYE", "INFO", "PRACK"};
	struct side forged;

	(void)state;
	start("", "none");
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	for (int i = 0; i < 5; i++) {
		forged = callee;
		forged.peer = &kit.stranger;
		forged.cseq = 100;
		side_sends(&kit, &forged, methods[i], "RAck: 1 7 INVITE\n", "");
		peer_expect(&kit, &kit.stranger, "SIP/2.0 481");
		forged = caller;
		forged.peer = &kit.pbx;
		forged.cseq = 100;
		side_sends(&kit, &forged, methods[i], "RAck: 1 7 INVITE\n", "");
		peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	}
	side_sends(&kit, &caller, "INFO", "", "");
	peer_expect(&kit, &kit.pbx, "INFO ");
	kit_stop(&kit);
}

static void s6_answers_and_cancels_of_strangers_do_nothing(void **state)
{

	(void)state;
	start("", "none");
	phone_calls(&kit, "one", 4000);
	/* To the access side, with the inner branch. */
	strcpy(kit.stranger.text, kit.pbx.text);
	peer_answer(&kit, &kit.stranger, "486 Busy", "t", "", "");
	peer_expect_nothing(&kit, &kit.phone, "SIP/2.0 486");
	/* A branch is one of the place that it came from. */
	peer_send(&kit, &kit.stranger,
		  "CANCEL sip:600@" REALM " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKone;rport\n"
		  "From: <sip:1001@" REALM ">;tag=one\nTo: <sip:600@" REALM ">\nCall-ID: one\nCSeq: 7 CANCEL\n"
		  "Content-Length: 0\n\n",
		  kit.stranger.address.port);
	peer_expect_nothing(&kit, &kit.pbx, "CANCEL ");
	kit_stop(&kit);
}

/* ---- S16, S18: what crosses ---- */

static void s16_names_and_numbers_stay_what_they_are(void **state)
{
	(void)state;
	start("", "none");
	register_as(&kit.phone, "%3e%3btag=x%20%22");
	peer_send(&kit, &kit.pbx,
		  "INVITE sip:%%3e%%3btag=x%%20%%22@" REALM
		  " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKx\nMax-Forwards: 70\n"
		  "From: \"a\\\"b <sip:evil@x>;tag=y\" <sip:2002@" REALM ">;tag=bob\nTo: <sip:x@" REALM
		  ">\nCall-ID: bob\nCSeq: 1 INVITE\n"
		  "Contact: <sip:2002@127.0.0.1?Route=x>\nSupported: 100rel, 100rel, 100rel, timer\nContent-Length: "
		  "0\n\n",
		  kit.pbx.address.port);
	peer_expect(&kit, &kit.phone, "INVITE ");
	assert_string_equal(header(&kit.phone, "To"), "<sip:%3e%3btag=x%20%22@voip.example.org>");
	assert_non_null(
		strstr(header(&kit.phone, "From"), "\"a\\\"b <sip:evil@x>;tag=y\" <sip:2002@voip.example.org>;tag="));
	assert_string_equal(header(&kit.phone, "Supported"), "100rel, timer");
	/* The PBX's Contact, which had headers, is where requests to it go, without them. */
	peer_answer(&kit, &kit.phone, "200 OK", "t", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	side_of_callee(&callee, &kit.phone, "x");
	kit_silence(&kit);
	kit_stop(&kit);
}

static void s16_a_number_with_a_hash_is_a_user(void **state)
{
	(void)state;
	start("", "none");
	peer_send(&kit, &kit.phone,
		  "INVITE tel:*21#;phone-context=+49 SIP/2.0\nVia: SIP/2.0/UDP "
		  "127.0.0.1:%u;branch=z9hG4bKx;rport\nMax-Forwards: 70\n"
		  "From: <tel:#31#;phone-context=+49>;tag=a\nTo: <tel:*21#;phone-context=+49>\nCall-ID: t\nCSeq: 1 "
		  "INVITE\nContact: <sip:1001@127.0.0.1>\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "INVITE sip:*21%23@voip.example.org;user=phone SIP/2.0");
	assert_non_null(strstr(header(&kit.pbx, "From"), "<sip:%2331%23@voip.example.org>;tag="));
	kit_stop(&kit);
}

static void s18_nothing_of_the_inside_is_said_outside(void **state)
{
	static const char inner[] =
		"Reason: Q.850;cause=17;text=\"pbx.inner says no\", SIP;cause=486;text=\"Busy\", pbx.inner;cause=1\n"
		"Retry-After: 18 (pbx.inner);x=pbx.inner\nWarning: 399 pbx.inner \"no\"\nServer: pbx.inner\n"
		"User-Agent: pbx.inner\nCall-Info: <sip:pbx.inner>\nAlert-Info: <http://pbx.inner>\nError-Info: "
		"<sip:pbx.inner>\nRecord-Route: <sip:pbx.inner;lr>\nP-Asserted-Identity: <sip:boss@pbx.inner>\n"
		"Organization: pbx.inner\nX-Inner: pbx.inner\nContent-Disposition: session\n"
		"Proxy-Authenticate: Digest realm=\"" REALM "\", domain=\"sip:pbx.inner\", nonce=\"n\"\n"
		"WWW-Authenticate: Digest domain=\"sip:pbx.inner\",realm=\"" REALM "\",nonce=\"n\"\n"
		"Authentication-Info: nextnonce=\"pbx.inner\"\nReply-To: <sip:pbx.inner>\nReferred-By: "
		"<sip:pbx.inner>\n"
		"History-Info: <sip:pbx.inner>\nDiversion: <sip:pbx.inner>\n";
	static const char *const statuses[] = {"180 R",         "183 P",         "305 pbx.inner", "407 pbx.inner",
					       "480 pbx.inner", "500 pbx.inner", "604 pbx.inner"};
	static struct peer request;
	char name[16];

	(void)state;
	start("", "none");
	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "call%d", i);
		phone_invites(&kit, &kit.phone, name, "", sdp_plain(4000, "sendrecv"));
		peer_expect(&kit, &kit.pbx, "INVITE ");
		request = kit.pbx;
		peer_answer(&kit, &kit.pbx, statuses[i], "pbx.inner", inner, "");
		peer_expect(&kit, &kit.phone, "SIP/2.0 ");
		while (!strncmp(kit.phone.text, "SIP/2.0 100", 11))
			peer_expect(&kit, &kit.phone, "SIP/2.0 ");
		assert_null(strstr(kit.phone.text, "pbx.inner"));
		assert_null(strstr(kit.phone.text, header(&request, "Call-ID")));
		assert_string_equal(header(&kit.phone, "Reason"), "Q.850;cause=17");
		assert_string_equal(header(&kit.phone, "Retry-After"), "18");
	}
	kit_stop(&kit);
}

/* ---- S8: nothing is left behind ---- */

static void s8_calls_beyond_the_ports_are_refused_and_those_that_are_up_go_on(void **state)
{
	char name[24];
	unsigned refused = 0;

	(void)state;
	start("", "none");
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	for (int i = 0; i < 80; i++) {
		snprintf(name, sizeof(name), "flood%d", i);
		phone_invites(&kit, &kit.stranger, name, "", sdp_plain(4000, "sendrecv"));
		while (peer_receive(&kit, &kit.stranger, 0))
			refused += !strncmp(kit.stranger.text, "SIP/2.0 503", 11);
	}
	assert_int_equal(refused, 31);
	assert_true(has_header(&kit.stranger, "Retry-After") || refused);
	while (peer_receive(&kit, &kit.pbx, 0))
		;
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "recvonly"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_sends(&kit, &caller, "ACK", "", "");
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_silence(&kit);
	kit_stop(&kit);
}

/* ---- M1: encryption ---- */

#define KEY_A "inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"
#define KEY_B "inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNk"

static const char *sdp_with(const char *protocol, const char *cryptos)
{
	static char text[2][1024];
	static unsigned next;
	char *out = text[next++ % 2];

	snprintf(out, sizeof(text[0]),
		 "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 %s 0\n%s", protocol,
		 cryptos);
	return out;
}

static const char offered_key[] = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " KEY_A "\n";

/* A phone on TLS with a call to the PBX, encrypted on its side. */
static void establish_encrypted(struct peer *phone)
{
	kit_connect_tls(&kit, phone);
	kit_establish(&kit, phone, &caller, &callee, sdp_with("RTP/SAVP", offered_key), sdp_plain(5000, "sendrecv"));
	assert_int_equal(kit.streams[0].sides[0].suite_in, SRTP_AES_CM_128_HMAC_SHA1_80);
	assert_int_equal(kit.streams[0].sides[1].suite_in, 0);
	assert_null(strstr(kit.pbx.text, "crypto"));
}

static void m1_a_call_cannot_be_made_clear_by_a_new_offer(void **state)
{
	static const char *const encryptions[] = {"required", "offered"};
	static struct peer phone;

	(void)state;
	for (int i = 0; i < 2; i++) {
		start("", encryptions[i]);
		establish_encrypted(&phone);
		side_sends(&kit, &caller, "INVITE", "", sdp_with("RTP/AVP", ""));
		peer_expect(&kit, &phone, "SIP/2.0 488");
		side_sends(&kit, &caller, "UPDATE", "", sdp_with("RTP/AVP", ""));
		peer_expect(&kit, &phone, "SIP/2.0 488");
		side_sends(&kit, &caller, "UPDATE", "",
			   sdp_with("RTP/SAVP", "a=crypto:1 F8_128_HMAC_SHA1_80 " KEY_A "\n"));
		peer_expect(&kit, &phone, "SIP/2.0 488");
		gateway_media_back(kit.gateway);
		assert_int_equal(kit.streams[0].sides[0].suite_out, SRTP_AES_CM_128_HMAC_SHA1_80);
		/* What is honest goes on: the call, and new keys for it. */
		side_sends(&kit, &caller, "INVITE", "",
			   sdp_with("RTP/SAVP", "a=crypto:2 AES_CM_128_HMAC_SHA1_80 " KEY_B "\n"));
		peer_expect(&kit, &kit.pbx, "INVITE ");
		peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "sendrecv"));
		peer_expect(&kit, &phone, "SIP/2.0 200");
		assert_non_null(strstr(body(&phone), "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:"));
		assert_memory_equal(kit.streams[0].sides[0].key_in, "abcdefghijklmnopqrstuvwxyzabcd", 30);
		peer_close(&phone);
		kit_stop(&kit);
	}
}

static void media_tells(enum media_event_kind kind, uint8_t side, const char *peer, uint32_t ssrc, uint64_t index)
{
	struct media_event event = {.session = kit.streams[0].session,
				    .kind = (uint8_t)kind,
				    .side = side,
				    .outward = side == 1,
				    .roll_over = {ssrc, index}};

	assert_int_equal(address_parse(span_from(peer), &event.peer), 0);
	gateway_media_event(kit.gateway, &event);
}

/* What media learned is declared to the process that takes its place: where the phone is (M2), and how far the keys are used.
 * New keys, or another address of the phone, are begun anew. */
static void what_media_learned_outlives_it(void **state)
{
	const struct media_side *side = &kit.streams[0].sides[0];
	static struct peer phone;

	(void)state;
	start("", "required");
	establish_encrypted(&phone);
	media_tells(MEDIA_LOCKED, 0, "127.0.0.1:7788", 0, 0);
	for (uint32_t ssrc = 1; ssrc <= SRTP_ROLL_OVERS_MAXIMUM + 2; ssrc++)
		media_tells(MEDIA_ROLL_OVER, 0, "127.0.0.1:1", ssrc, 65536 + ssrc);
	media_tells(MEDIA_ROLL_OVER, 0, "127.0.0.1:1", 5, 3 * 65536);
	gateway_media_back(kit.gateway);
	assert_int_equal(side->locked.port, 7788);
	assert_true(side->roll_overs_in[0].ssrc == 5 && side->roll_overs_in[0].index == 3 * 65536);
	assert_true(side->roll_overs_in[1].ssrc == 6 && side->roll_overs_in[3].ssrc == 3);
	assert_int_equal(side->roll_overs_out[0].index, 0);
	media_tells(MEDIA_ROLL_OVER, 1, "127.0.0.1:1", 9, 77);
	gateway_media_back(kit.gateway);
	assert_int_equal(kit.streams[0].sides[1].roll_overs_out[0].ssrc, 9);

	side_sends(&kit, &caller, "INVITE", "", sdp_with("RTP/SAVP", "a=crypto:2 AES_CM_128_HMAC_SHA1_80 " KEY_B "\n"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &phone, "SIP/2.0 200");
	assert_int_equal(side->locked.port, 7788);
	assert_int_equal(side->roll_overs_in[0].index, 0);

	/* Not where its signalling comes from: by its keys it has shown that it is there. */
	media_tells(MEDIA_LOCKED, 0, "127.0.0.2:7789", 0, 0);
	gateway_media_back(kit.gateway);
	assert_int_equal(side->locked.port, 7789);
	peer_close(&phone);
	kit_stop(&kit);
}

/* The PBX changes the call; `answer` is the phone's. */
static void pbx_offers(struct peer *phone, const char *answer)
{
	side_sends(&kit, &callee, "INVITE", "", sdp_plain(5000, "sendonly"));
	peer_expect(&kit, phone, "INVITE ");
	peer_answer(&kit, phone, "200 OK", "", "", answer);
}

static void m1_a_call_cannot_be_made_clear_by_an_answer(void **state)
{
	static const struct {
		const char *encryption, *protocol, *cryptos;
	} answers[] = {
		{"required", "RTP/AVP", ""},
		{"required", "RTP/SAVP", ""},
		{"required", "RTP/SAVP", "a=crypto:77 AES_CM_128_HMAC_SHA1_80 " KEY_A "\n"},
		{"offered", "RTP/AVP", ""},
		{"offered", "RTP/AVP", "a=crypto:77 AES_CM_128_HMAC_SHA1_80 " KEY_A "\n"},
	};
	static struct peer phone;

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		start("", answers[i].encryption);
		establish_encrypted(&phone);
		pbx_offers(&phone, sdp_with(answers[i].protocol, answers[i].cryptos));
		peer_expect(&kit, &phone, "ACK ");
		peer_expect(&kit, &phone, "BYE ");
		peer_expect(&kit, &kit.pbx, "SIP/2.0 488");
		assert_int_equal(kit.streams[0].sides[0].suite_out, SRTP_AES_CM_128_HMAC_SHA1_80);
		assert_int_equal(kit.sessions_closed, 1);
		peer_close(&phone);
		kit_stop(&kit);
	}
}

static void m1_keys_that_were_not_offered_do_not_pass_for_none(void **state)
{
	static struct peer phone;

	(void)state;
	start("", "offered");
	kit_connect_tls(&kit, &phone);
	peer_send(&kit, &phone,
		  "REGISTER sip:" REALM
		  " SIP/2.0\nVia: SIP/2.0/TLS 127.0.0.1:%u;branch=z9hG4bKr;rport\nMax-Forwards: 70\n"
		  "From: <sip:1001@" REALM ">;tag=reg\nTo: <sip:1001@" REALM ">\nCall-ID: reg\nCSeq: 1 "
		  "REGISTER\nContact: <sip:me@127.0.0.1;transport=tls>\nContent-Length: 0\n\n",
		  phone.address.port);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &phone, "SIP/2.0 200");
	phone_invites(&kit, &kit.pbx, "in", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 404");
	peer_send(&kit, &kit.pbx,
		  "INVITE sip:1001@" REALM " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKx\nMax-Forwards: 70\n"
		  "From: <sip:2002@" REALM ">;tag=bob\nTo: <sip:1001@" REALM ">\nCall-ID: bob\nCSeq: 1 INVITE\n"
		  "Contact: <sip:2002@127.0.0.1>\nContent-Type: application/sdp\nContent-Length: %%LENGTH%%\n\n%s",
		  kit.pbx.address.port, sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &phone, "INVITE ");
	assert_non_null(strstr(body(&phone), "a=crypto:"));
	peer_answer(&kit, &phone, "200 OK", "t", "",
		    sdp_with("RTP/AVP", "a=crypto:77 AES_CM_128_HMAC_SHA1_80 " KEY_A "\n"));
	peer_expect(&kit, &phone, "BYE ");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 488");
	peer_close(&phone);
	kit_stop(&kit);
}

static void m1_an_encrypted_dialog_is_not_moved_to_clear_signalling(void **state)
{
	static struct peer phone;
	struct side forged;

	(void)state;
	start("", "offered");
	establish_encrypted(&phone);
	forged = caller;
	forged.peer = &kit.stranger;
	side_sends(&kit, &forged, "INVITE", "", sdp_with("RTP/AVP", ""));
	peer_expect(&kit, &kit.stranger, "SIP/2.0 481");
	side_sends(&kit, &forged, "BYE", "", "");
	peer_expect(&kit, &kit.stranger, "SIP/2.0 481");
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &phone, "SIP/2.0 200");
	peer_close(&phone);
	kit_stop(&kit);
}

/* ---- M2: where media goes ---- */

static void m2_a_phone_names_no_machine_but_its_own(void **state)
{
	(void)state;
	start("", "none");
	kit_establish(&kit, &kit.phone, &caller, &callee,
		      "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n"
		      "a=rtcp:4005 IN IP4 10.0.0.2\n",
		      sdp_plain(5000, "sendrecv"));
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.family, ADDRESS_NONE);
	assert_int_equal(kit.streams[0].sides[0].peer_rtcp.family, ADDRESS_NONE);
	assert_int_equal(kit.streams[0].sides[0].learn_from.family, ADDRESS_IPV4);
	kit_stop(&kit);
}

/* ---- S8: what one phone takes of what all share ---- */

static void subscribes(struct peer *peer, const char *user, unsigned number)
{
	peer_send(&kit, peer,
		  "SUBSCRIBE sip:600@" REALM " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKs%s%u;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:%s@" REALM ">;tag=s%u\nTo: <sip:600@" REALM ">\nCall-ID: s%s%u\n"
		  "CSeq: 1 SUBSCRIBE\nContact: <sip:%s@127.0.0.1:%u>\nEvent: presence\nContent-Length: 0\n\n",
		  peer->address.port, user, number, user, number, user, number, user, peer->address.port);
}

static void s8_a_phone_cannot_take_all_subscriptions(void **state)
{
	struct gateway_status status;

	(void)state;
	kit_start_limited(&kit, "", "none", "limits: {subscriptions: 300}\n");
	for (unsigned i = 0; i < 300; i++) {
		subscribes(&kit.phone, "1001", i);
		while (peer_receive(&kit, &kit.pbx, 0))
			continue;
	}
	peer_expect(&kit, &kit.phone, "SIP/2.0 503");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.subscriptions_started, 256);
	subscribes(&kit.stranger, "1002", 0); /* another account has its own part */
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.subscriptions_started, 257);
	kit_skip(&kit, 100000); /* and what ended is given back */
	while (peer_receive(&kit, &kit.pbx, 1))
		continue;
	subscribes(&kit.phone, "1001", 1000);
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.subscriptions_started, 258);
	kit_stop(&kit);
}

/* Requests in one dialog that the other side leaves without an answer. */
static void s8_so_many_requests_of_one_dialog_wait_for_an_answer(void **state)
{
	static const char *const methods[] = {"INFO", "MESSAGE",
					      "UPDATE"}; /* one UPDATE is all that may be under way */
	struct gateway_status status;
	unsigned passed = 0, refused = 0;
	unsigned long last = 0;

	(void)state;
	start("", "none");
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	for (unsigned i = 0; i < 20; i++) { /* of what is answered any number passes */
		side_sends(&kit, &caller, "INFO", "", "");
		peer_agrees(&kit, &kit.pbx, "INFO ", "", &kit.phone);
	}
	last = strtoul(header(&kit.pbx, "CSeq"), NULL, 10);
	for (unsigned i = 0; i < 60; i++) {
		bool text = i % 3 == 1;

		side_sends(&kit, &caller, methods[i % 3], text ? "Content-Type: text/plain\n" : "",
			   text ? "hello" : "");
		while (peer_receive(&kit, &kit.pbx, 5)) {
			unsigned long cseq = strtoul(header(&kit.pbx, "CSeq"), NULL, 10);

			passed += cseq > last; /* else it is a copy */
			last = cseq > last ? cseq : last;
		}
		while (peer_receive(&kit, &kit.phone, 1))
			if (!strncmp(kit.phone.text, "SIP/2.0 503", 11)) {
				refused++;
				assert_true(has_header(&kit.phone, "Retry-After"));
			}
	}
	assert_int_equal(passed, 16);
	gateway_status_get(kit.gateway, &status);
	assert_true(refused >= 20);
	assert_int_equal(status.counters.refused_busy, refused);
	side_sends(&kit, &callee, "INFO", "", ""); /* the other side is not held back by it, and may answer */
	peer_expect(&kit, &kit.phone, "INFO ");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_stop(&kit);
}

static void s8_so_many_notifications_of_one_subscription_wait(void **state)
{
	struct gateway_status status;
	struct side watcher, notifier;

	(void)state;
	start("", "none");
	register_as(&kit.phone, "1001");
	subscribes(&kit.phone, "1001", 1);
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	side_of_callee(&notifier, &kit.pbx, "ntag");
	peer_answer(&kit, &kit.pbx, "200 OK", "ntag", "Expires: 600\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&watcher, &kit.phone);
	for (unsigned i = 0; i < 17; i++)
		side_sends(&kit, &notifier, "NOTIFY", "Event: presence\nSubscription-State: active;expires=600\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 503");
	assert_true(has_header(&kit.pbx, "Retry-After"));
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.refused_busy, 1);
	side_sends(&kit, &watcher, "SUBSCRIBE", "Event: presence\nExpires: 0\n", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	kit_stop(&kit);
}

/* ---- S13: a provider whose zone takes part in transfers ---- */

static void s13_a_provider_cannot_have_a_phone_dial_at_its_cost(void **state)
{
	char token[64], *at;

	(void)state;
	kit_start_trunk(&kit, "", "none", "    transfers: pass\n");
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	side_sends(&kit, &callee, "REFER", "Refer-To: <sip:0900123456@127.0.0.1>\n", "");
	peer_expect(&kit, &kit.phone, "REFER ");
	at = strstr(header(&kit.phone, "Refer-To"), "<sip:");
	assert_non_null(at);
	snprintf(token, sizeof(token), "%.*s", (int)strcspn(at + 5, "@"), at + 5);
	peer_answer(&kit, &kit.phone, "202 Accepted", "", "", "");
	peer_send(&kit, &kit.phone,
		  "INVITE sip:%s@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKsent;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@" REALM ">;tag=sent\nTo: <sip:%s@" REALM ">\nCall-ID: sent\n"
		  "CSeq: 7 INVITE\nContact: <sip:1001@127.0.0.1:%u>\nContent-Type: application/sdp\n"
		  "Content-Length: %%LENGTH%%\n\n%s",
		  token, kit.phone.address.port, token, kit.phone.address.port, sdp_plain(4004, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 404"); /* what a provider dials are phones */
	peer_expect_nothing(&kit, &kit.pbx, "INVITE sip:0900123456");
	kit_stop(&kit);
}

/* ---- S10: a callee that is never pleased ---- */

static void s10_a_callee_cannot_have_an_invite_sent_for_ever(void **state)
{
	char extra[40];

	(void)state;
	start("", "none");
	phone_invites(&kit, &kit.phone, "call", "", sdp_plain(4000, "sendrecv"));
	for (unsigned i = 0; i < 6; i++) {
		peer_expect(&kit, &kit.pbx, "INVITE ");
		snprintf(extra, sizeof(extra), "Min-SE: %u\n", 4000 + i);
		peer_answer(&kit, &kit.pbx, "422 Session Interval Too Small", "x", extra, "");
	}
	peer_expect(&kit, &kit.phone, "SIP/2.0 500"); /* it is between us and the callee */
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s4_contacts_that_cannot_be_called_are_refused),
		cmocka_unit_test(s4_an_account_has_so_many_contacts_and_the_registrar_hears_of_no_more),
		cmocka_unit_test(s4_nobody_registers_for_longer_than_the_owner_says),
		cmocka_unit_test(s4_nobody_registers_another),
		cmocka_unit_test(s3_credentials_serve_once_and_for_what_they_were_made_for),
		cmocka_unit_test(s3_a_phone_that_the_gateway_knows_is_not_challenged_by_the_pbx),
		cmocka_unit_test(s3_a_callee_cannot_have_the_caller_answer_its_challenge),
		cmocka_unit_test(s4_an_account_that_is_removed_is_not_called_any_more),
		cmocka_unit_test(s5_what_one_side_knows_of_a_call_is_of_no_use_on_the_other),
		cmocka_unit_test(s6_answers_and_cancels_of_strangers_do_nothing),
		cmocka_unit_test(s16_names_and_numbers_stay_what_they_are),
		cmocka_unit_test(s16_a_number_with_a_hash_is_a_user),
		cmocka_unit_test(s18_nothing_of_the_inside_is_said_outside),
		cmocka_unit_test(s8_calls_beyond_the_ports_are_refused_and_those_that_are_up_go_on),
		cmocka_unit_test(m1_a_call_cannot_be_made_clear_by_a_new_offer),
		cmocka_unit_test(m1_a_call_cannot_be_made_clear_by_an_answer),
		cmocka_unit_test(m1_keys_that_were_not_offered_do_not_pass_for_none),
		cmocka_unit_test(m1_an_encrypted_dialog_is_not_moved_to_clear_signalling),
		cmocka_unit_test(m2_a_phone_names_no_machine_but_its_own),
		cmocka_unit_test(what_media_learned_outlives_it),
		cmocka_unit_test(s8_a_phone_cannot_take_all_subscriptions),
		cmocka_unit_test(s8_so_many_requests_of_one_dialog_wait_for_an_answer),
		cmocka_unit_test(s8_so_many_notifications_of_one_subscription_wait),
		cmocka_unit_test(s13_a_provider_cannot_have_a_phone_dial_at_its_cost),
		cmocka_unit_test(s10_a_callee_cannot_have_an_invite_sent_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
