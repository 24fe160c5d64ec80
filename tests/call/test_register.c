/* SPDX-License-Identifier: Apache-2.0
 * Registrations through the gateway, and calls to who registered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static void phone_registers(struct kit *kit, struct peer *peer, unsigned cseq, const char *contacts)
{
	peer_send(kit, peer,
		  "REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKr%u;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=reg\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: phone-reg-%u\nCSeq: %u REGISTER\n%sUser-Agent: Phone/1.0\nContent-Length: 0\n\n",
		  peer->address.port, cseq, peer->address.port, cseq, contacts);
}

static void pbx_invites(struct kit *kit, const char *user, const char *branch)
{
	peer_send(kit, &kit->pbx,
		  "INVITE sip:%s@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s\nMax-Forwards: 70\n"
		  "From: <sip:2002@voip.example.org>;tag=bob\nTo: <sip:%s@voip.example.org>\nCall-ID: bob-%s\nCSeq: 1 "
		  "INVITE\n"
		  "Contact: <sip:2002@127.0.0.1:%u>\nContent-Type: application/sdp\nContent-Length: %%LENGTH%%\n\n%s",
		  user, kit->pbx.address.port, branch, user, branch, kit->pbx.address.port,
		  sdp_plain(5000, "sendrecv"));
}

static void register_once(struct kit *kit, char token[64])
{
	char contact[128];

	snprintf(contact, sizeof(contact), "Contact: <sip:1001@127.0.0.1:%u>;expires=600\n", kit->phone.address.port);
	phone_registers(kit, &kit->phone, 1, contact);
	peer_expect(kit, &kit->pbx, "REGISTER ");
	strcpy(token, token_of(header(&kit->pbx, "Contact")));
	pbx_grants(kit, "", "");
	peer_expect(kit, &kit->phone, "SIP/2.0 200");
}

static void a_registration_reaches_the_pbx_with_a_contact_of_ours(void **state)
{
	struct kit kit;
	char token[64], own[64];

	(void)state;
	kit_start(&kit, "", "none");
	register_once(&kit, token);
	snprintf(own, sizeof(own), "<sip:1001@127.0.0.1:%u>;expires=", kit.phone.address.port);
	assert_non_null(strstr(header(&kit.phone, "Contact"), own));
	assert_null(strstr(kit.phone.text, token));
	assert_null(strstr(header(&kit.pbx, "Contact"), "1001"));
	assert_null(strstr(kit.pbx.text, "phone-reg"));
	assert_null(strstr(kit.pbx.text, "Phone/1.0"));
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "expires=3600"));
	assert_int_equal(kit.bindings_saved, 1);
	assert_string_equal(kit.binding.account, "1001");
	kit_stop(&kit);
}

static void a_challenge_goes_to_the_phone_and_credentials_to_the_pbx(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	phone_registers(&kit, &kit.phone, 1, "Contact: <sip:1001@127.0.0.1:9>\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(kit.pbx.text, "REGISTER sip:voip.example.org SIP/2.0"));
	peer_answer(&kit, &kit.pbx, "401 Unauthorized", "t",
		    "WWW-Authenticate: Digest realm=\"voip.example.org\", nonce=\"n1\"\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 401");
	assert_non_null(strstr(header(&kit.phone, "WWW-Authenticate"), "nonce=\"n1\""));
	phone_registers(
		&kit, &kit.phone, 2,
		"Contact: <sip:1001@127.0.0.1:9>\nAuthorization: Digest username=\"1001\", realm=\"voip.example.org\", "
		"nonce=\"n1\", uri=\"sip:voip.example.org\", response=\"00000000000000000000000000000000\"\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(header(&kit.pbx, "Authorization"), "username=\"1001\""));
	assert_int_equal(kit.bindings_saved, 0);
	kit_stop(&kit);
}

static void refreshes_are_answered_here_until_the_pbx_wants_one(void **state)
{
	struct kit kit;
	char token[64], contact[128];

	(void)state;
	kit_start(&kit, "", "none");
	register_once(&kit, token);
	snprintf(contact, sizeof(contact), "Contact: <sip:1001@127.0.0.1:%u>;expires=600\n", kit.phone.address.port);
	phone_registers(&kit, &kit.phone, 2, contact);
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	/* S4: the same words from somebody else are a registration of their own, which the PBX must allow. */
	phone_registers(&kit, &kit.stranger, 3, contact);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	kit_stop(&kit);
}

static void a_call_from_the_pbx_finds_the_phone(void **state)
{
	struct kit kit;
	char token[64], line[96];

	(void)state;
	kit_start(&kit, "", "none");
	register_once(&kit, token);
	pbx_invites(&kit, token, "tok");
	snprintf(line, sizeof(line), "INVITE sip:1001@127.0.0.1:%u SIP/2.0", kit.phone.address.port);
	peer_expect(&kit, &kit.phone, line);
	assert_null(strstr(kit.phone.text, token));
	pbx_invites(&kit, "1001", "aor");
	peer_expect(&kit, &kit.phone, line);
	pbx_invites(&kit, "1999", "unknown");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 404");
	kit_stop(&kit);
}

static void one_contact_of_several_or_all_can_be_removed(void **state)
{
	struct kit kit;
	struct gateway_status status;

	(void)state;
	kit_start(&kit, "", "none");
	phone_registers(&kit, &kit.phone, 1, "Contact: <sip:1001@127.0.0.1:9>, <sip:1001@127.0.0.1:10>\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	peer_answer(&kit, &kit.pbx, "200 OK", "t", "Expires: 3600\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.bindings,
			 0); /* peer_answer lists a contact that is none of ours: nothing was granted */

	phone_registers(&kit, &kit.phone, 2, "Contact: <sip:1001@127.0.0.1:9>;expires=600\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	phone_registers(&kit, &kit.phone, 3, "Contact: <sip:1001@127.0.0.1:10>;expires=600\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.bindings, 2);

	phone_registers(&kit, &kit.phone, 4, "Contact: <sip:1001@127.0.0.1:9>;expires=0\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "expires=0"));
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_non_null(strstr(header(&kit.phone, "Contact"), ":10>"));
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.bindings, 1);

	phone_registers(&kit, &kit.phone, 5, "Contact: *\nExpires: 0\n");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_string_equal(header(&kit.pbx, "Contact"), "*");
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.bindings, 0);
	kit_stop(&kit);
}

static void a_binding_read_back_from_the_store_reaches_the_phone(void **state)
{
	struct kit kit;
	struct ipc_binding saved;
	char token[64];

	(void)state;
	kit_start(&kit, "", "none");
	register_once(&kit, token);
	saved = kit.binding;
	/* The next gateway, on other ports here, knows the phone from the record alone. */
	uint16_t port = kit.phone.address.port;

	kit_stop(&kit);
	kit_start(&kit, "", "none");
	saved.local = kit.access;
	saved.remote = kit.phone.address;
	gateway_binding_loaded(kit.gateway, &saved);
	pbx_invites(&kit, token, "again");
	peer_expect(&kit, &kit.phone, "INVITE sip:1001@127.0.0.1:");
	(void)port;
	kit_stop(&kit);
}

static void local_authentication_challenges_alike_and_lets_in_who_knows(void **state)
{
	struct kit kit;
	struct ipc_account account = {.user = "1001", .realm = "voip.example.org"};
	struct sip_digest credentials = {.username = SPAN("1001"),
					 .realm = SPAN("voip.example.org"),
					 .uri = SPAN("sip:voip.example.org"),
					 .cnonce = SPAN("c"),
					 .nc = SPAN("00000001"),
					 .qop = SPAN("auth"),
					 .algorithm = SIP_DIGEST_SHA256};
	char nonce[128], response[SIP_HA1_CAPACITY], headers[512], unknown[8192];
	const char *start;

	(void)state;
	kit_start(&kit, "    authentication: local\n", "none");
	sip_digest_ha1(SIP_DIGEST_SHA256, SPAN("1001"), SPAN("voip.example.org"), SPAN("secret"), account.ha1_sha256);
	phone_registers(&kit, &kit.phone, 1, "Contact: <sip:1001@127.0.0.1:9>\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 401");
	strcpy(unknown, kit.phone.text);
	gateway_account_set(kit.gateway, &account);
	phone_registers(&kit, &kit.phone, 2, "Contact: <sip:1001@127.0.0.1:9>\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 401");
	assert_int_equal(strlen(unknown), strlen(kit.phone.text)); /* S2: known and unknown look alike */
	assert_non_null(strstr(header(&kit.phone, "WWW-Authenticate"), "algorithm=SHA-256"));
	start = strstr(header(&kit.phone, "WWW-Authenticate"), "nonce=\"") + 7;
	snprintf(nonce, sizeof(nonce), "%.*s", (int)strcspn(start, "\""), start);
	credentials.nonce = span_from(nonce);
	assert_int_equal(sip_digest_response(&credentials, account.ha1_sha256, SPAN("REGISTER"), response), 0);
	snprintf(
		headers, sizeof(headers),
		"Contact: <sip:1001@127.0.0.1:9>\nAuthorization: Digest username=\"1001\", realm=\"voip.example.org\", "
		"nonce=\"%s\", uri=\"sip:voip.example.org\", response=\"%s\", algorithm=SHA-256, qop=auth, "
		"nc=00000001, "
		"cnonce=\"c\"\n",
		nonce, response);
	phone_registers(&kit, &kit.phone, 3, headers);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_false(has_header(&kit.pbx, "Authorization"));
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_stop(&kit);
}

static void messages_and_options_cross_outside_calls(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	peer_send(&kit, &kit.phone,
		  "MESSAGE sip:1002@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKm1;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=m\nTo: "
		  "<sip:1002@voip.example.org>\nCall-ID: msg\n"
		  "CSeq: 1 MESSAGE\nContent-Type: text/plain\nContent-Length: %%LENGTH%%\n\nhello",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "MESSAGE sip:1002@voip.example.org");
	assert_string_equal(body(&kit.pbx), "hello");
	peer_answer(&kit, &kit.pbx, "202 Accepted", "t", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 202");
	peer_send(
		&kit, &kit.phone,
		"OPTIONS sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKo1;rport\n"
		"Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=o\nTo: <sip:voip.example.org>\nCall-ID: opt\n"
		"CSeq: 1 OPTIONS\nContent-Length: 0\n\n",
		kit.phone.address.port);
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_stop(&kit);
}

static void who_comes_too_many_is_told_when_to_come_again(void **state)
{
	struct gateway_status status;
	char token[64], contact[128];
	struct kit kit;

	(void)state;
	kit_start_limited(&kit, "", "none", "limits: {registrations_per_second: 1}\n");
	register_once(&kit, token);
	snprintf(contact, sizeof(contact), "Contact: <sip:1001@127.0.0.1:%u>;expires=600\n", kit.stranger.address.port);
	phone_registers(&kit, &kit.stranger, 2, contact);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	phone_registers(&kit, &kit.stranger, 3, contact);
	/* Its address is that of a registered phone here, as all are on loopback: it is known, until little is left. */
	for (unsigned cseq = 4; cseq < 7; cseq++)
		phone_registers(&kit, &kit.stranger, cseq, contact);
	peer_expect(&kit, &kit.stranger, "SIP/2.0 503");
	assert_true(strtol(header(&kit.stranger, "Retry-After"), NULL, 10) >= 1);
	assert_false(has_header(&kit.stranger, "Contact"));
	/* The answer gives whoever forged the address nothing to gain: little more than was asked. */
	assert_true(strlen(kit.stranger.text) < kit.sent_length + 100);
	gateway_status_get(kit.gateway, &status);
	assert_true(status.counters.registrations_deferred >= 1);

	/* A refresh that the registrar need not see, and a call, are not asked about. */
	snprintf(contact, sizeof(contact), "Contact: <sip:1001@127.0.0.1:%u>;expires=600\n", kit.phone.address.port);
	peer_send(&kit, &kit.phone,
		  "REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKagain;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=reg\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: phone-reg-%u\nCSeq: 9 REGISTER\n%sUser-Agent: Phone/1.0\nContent-Length: 0\n\n",
		  kit.phone.address.port, kit.phone.address.port, contact);
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	phone_calls(&kit, "call", 4000);
	kit_stop(&kit);
}

/* What was refused before: nobody could refresh once the table was full. */
static void a_full_table_refuses_new_phones_and_refreshes_the_others(void **state)
{
	char token[64], contact[128];
	struct kit kit;

	(void)state;
	kit_start_limited(&kit, "", "none", "limits: {registrations: 1}\n");
	register_once(&kit, token);
	snprintf(contact, sizeof(contact), "Contact: <sip:1001@127.0.0.1:%u>;expires=600\n", kit.stranger.address.port);
	phone_registers(&kit, &kit.stranger, 2, contact);
	peer_expect(&kit, &kit.stranger, "SIP/2.0 503");
	snprintf(contact, sizeof(contact), "Contact: <sip:1001@127.0.0.1:%u>;expires=600\n", kit.phone.address.port);
	phone_registers(&kit, &kit.phone, 5, contact);
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_registration_reaches_the_pbx_with_a_contact_of_ours),
		cmocka_unit_test(a_challenge_goes_to_the_phone_and_credentials_to_the_pbx),
		cmocka_unit_test(refreshes_are_answered_here_until_the_pbx_wants_one),
		cmocka_unit_test(a_call_from_the_pbx_finds_the_phone),
		cmocka_unit_test(one_contact_of_several_or_all_can_be_removed),
		cmocka_unit_test(a_binding_read_back_from_the_store_reaches_the_phone),
		cmocka_unit_test(local_authentication_challenges_alike_and_lets_in_who_knows),
		cmocka_unit_test(messages_and_options_cross_outside_calls),
		cmocka_unit_test(who_comes_too_many_is_told_when_to_come_again),
		cmocka_unit_test(a_full_table_refuses_new_phones_and_refreshes_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
