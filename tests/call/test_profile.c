/* SPDX-License-Identifier: Apache-2.0
 * Dialects: each row of the table with a message before and after, and told to owners. */
#include <stdio.h>
#include <string.h>

#include "call/dialogs.h"
#include "call/peers.h"
#include "call/profile.h"
#include "config/keys.h"
#include "kit.h"

#define IDENTITY "P-Asserted-Identity: <sip:+441632960001@inner.example>\n"

/* The INVITE of a call from the phone to a provider or PBX with these repairs. */
static void invite_with(struct kit *kit, const char *zone)
{
	kit_start_trunk(kit, "", "none", zone);
	phone_calls(kit, "call", 4000);
}

static void the_gateway_is_named_in_contact_and_via(void **state)
{
	struct kit kit;

	(void)state;
	invite_with(&kit, "");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "<sip:127.0.0.1:"));
	kit_stop(&kit);
	invite_with(&kit, "    repairs: [contact_name]\n");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "<sip:voip.example.org:"));
	assert_non_null(strstr(header(&kit.pbx, "Via"), "SIP/2.0/UDP voip.example.org:"));
	kit_stop(&kit);
}

static void the_account_is_in_contact(void **state)
{
	static const char account[] = "    register: {user: \"4416329\", password_file: /x}\n";
	static const char repaired[] = "    register: {user: \"4416329\", password_file: /x}\n    profile: 3cx\n";
	struct kit kit;

	(void)state;
	invite_with(&kit, account);
	assert_null(strstr(header(&kit.pbx, "Contact"), "4416329@"));
	kit_stop(&kit);
	invite_with(&kit, repaired);
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "<sip:4416329@127.0.0.1:"));
	kit_stop(&kit);
}

static void numbers_are_marked(void **state)
{
	struct kit kit;

	(void)state;
	invite_with(&kit, "");
	assert_null(strstr(kit.pbx.text, "user=phone"));
	kit_stop(&kit);
	invite_with(&kit, "    repairs: [user_phone]\n");
	assert_non_null(strstr(kit.pbx.text, "INVITE sip:600@voip.example.org;user=phone SIP/2.0"));
	assert_string_equal(header(&kit.pbx, "To"), "<sip:600@voip.example.org;user=phone>");
	assert_non_null(strstr(header(&kit.pbx, "From"), "<sip:1001@voip.example.org;user=phone>;tag="));
	kit_stop(&kit);
}

/* policy_copy on a message from one zone to the other: what stands in the result. */
static const char *crossing(struct kit *kit, const char *lines, bool from_pbx)
{
	static char out_text[4096], request[4096];
	static char memory[65536];
	struct arena arena = arena_over(memory, sizeof(memory));
	struct buffer out = BUFFER_OVER(out_text), in = BUFFER_OVER(request);
	struct sip_message message;
	size_t consumed;

	buffer_put_text(&in, "INVITE sip:600@voip.example.org SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\n"
			     "From: <sip:a@b.example>;tag=a\r\nTo: <sip:600@voip.example.org>\r\nCall-ID: x\r\n"
			     "CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@127.0.0.1>\r\n");
	for (const char *at = lines; *at; at++) {
		if (*at == '\n')
			buffer_put_byte(&in, '\r');
		buffer_put_byte(&in, *at);
	}
	buffer_put_text(&in, "Content-Length: 0\r\n\r\n");
	assert_int_equal(sip_message_parse(buffer_span(&in), false, &sip_limits_default, &arena, &message, &consumed),
			 SIP_OK);
	/* Both ends are peers here: the zone that is asked about stands on the right side. */
	kit->config->zones[0].kind = ZONE_CORE;
	policy_copy(kit->gateway, &message, from_pbx ? 1 : 0, from_pbx ? 0 : 1, &out);
	return buffer_text(&out);
}

static void identities_are_preferred_not_asserted(void **state)
{
	struct kit kit;
	const char *text;

	(void)state;
	kit_start_trunk(&kit, "", "none", "");
	text = crossing(&kit, IDENTITY, false);
	assert_non_null(strstr(text, "P-Asserted-Identity: <sip:+441632960001@voip.example.org>"));
	kit_stop(&kit);
	kit_start_trunk(&kit, "", "none", "    repairs: [preferred_identity]\n");
	text = crossing(&kit, IDENTITY, false);
	assert_non_null(strstr(text, "P-Preferred-Identity: <sip:+441632960001@voip.example.org>"));
	assert_null(strstr(text, "P-Asserted"));
	kit_stop(&kit);
}

static const struct {
	const char *lines, *expected, *absent;
} parties[] = {
	{"Remote-Party-ID: \"Al\" <sip:+4416@inner.example>;party=calling;screen=yes;privacy=off\n",
	 "P-Asserted-Identity: \"Al\" <sip:+4416@voip.example.org>\r\n", "Privacy"},
	{"Remote-Party-ID: <sip:+4416@inner.example>;party=calling;privacy=full\n", "Privacy: id\r\n", "inner"},
	{"Remote-Party-ID: <sip:+4416@inner.example>;privacy=full\nPrivacy: id;critical\n", "Privacy: id;critical\r\n",
	 "Privacy: id\r\n"},
	{"Remote-Party-ID: <sip:+4416@inner.example>;party=called\nSubject: x\n", "Subject: x\r\n", "Identity"},
	{"Remote-Party-ID: not an address;;\nSubject: x\n", "Subject: x\r\n", "Identity"},
	{IDENTITY "Remote-Party-ID: <sip:666@inner.example>;party=calling\n",
	 "P-Asserted-Identity: <sip:+441632960001@voip.example.org>\r\n", "666"},
};

static void an_older_header_says_who_calls(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_trunk(&kit, "", "none", "");
	assert_string_equal(crossing(&kit, parties[0].lines, true), "");
	kit_stop(&kit);
	for (size_t i = 0; i < sizeof(parties) / sizeof(parties[0]); i++) {
		const char *text;

		kit_start_trunk(&kit, "", "none", "    profile: freeswitch\n");
		text = crossing(&kit, parties[i].lines, true);
		if (!strstr(text, parties[i].expected) || strstr(text, parties[i].absent))
			fail_msg("case %zu: %s", i, text);
		/* Only of the zone that has the repair. */
		assert_null(strstr(crossing(&kit, parties[1].lines, false), "+4416@"));
		kit_stop(&kit);
	}
}

static void one_suite_is_offered(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_trunk(&kit, "", "none", "");
	assert_in_range(kit.config->zones[1].media.suite_count, 2, 8);
	kit_stop(&kit);
	kit_start_trunk(&kit, "", "none", "    repairs: [one_suite]\n");
	assert_int_equal(kit.config->zones[1].media.suite_count, 1);
	assert_int_equal(kit.config->zones[1].media.suites[0], SDP_AES_CM_128_HMAC_SHA1_80);
	kit_stop(&kit);
}

/* Teams asks back at the Contact of OPTIONS (RFC 3261 section 11.1). */
static void options_say_where_we_are(void **state)
{
	const struct own_texts texts = {
		.uri = "sip:a.example", .from = "<sip:a.example>;tag=x", .to = "<sip:a.example>", .call_id = "options"};
	struct flow flow;
	struct kit kit;

	(void)state;
	kit_start_trunk(&kit, "", "none", "    repairs: [contact_name]\n");
	assert_int_equal(servers_route(kit.gateway, 1, NULL, &flow), 0);
	assert_non_null(own_request_send(kit.gateway, &flow, SIP_OPTIONS, 1, &texts, NULL, NULL));
	peer_expect(&kit, &kit.pbx, "OPTIONS ");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "<sip:voip.example.org:"));
	kit_stop(&kit);
}

/* A row without words, or that owners are not told of, is none. */
static void every_row_is_complete_and_told(void **state)
{
	static char text[32768];
	FILE *file = fopen(*state, "r");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	for (int i = 0; i < REPAIR_COUNT; i++) {
		char line[64];
		const char *told;

		assert_int_equal(profile_rows[i].repair, i);
		assert_non_null(profile_rows[i].what);
		assert_non_null(profile_rows[i].source);
		assert_non_null(words_repairs[i]);
		snprintf(line, sizeof(line), "| `%s` |", words_repairs[i]);
		told = strstr(text, line);
		if (!told)
			fail_msg("docs/profiles.md does not tell of %s", words_repairs[i]);
		for (int profile = 0; words_profile[profile]; profile++) {
			const char *named = strstr(told, words_profile[profile]);
			bool has = profile_rows[i].profiles & 1u << profile;
			struct config_zone zone = {.profile = (enum zone_profile)profile};

			assert_int_equal(profile_repairs(&zone, (enum zone_repair)i), has);
			if (has && (!named || named > strchr(told, '\n')))
				fail_msg("docs/profiles.md does not tell that %s repairs %s", words_profile[profile],
					 words_repairs[i]);
		}
	}
	assert_null(words_repairs[REPAIR_COUNT]);
	assert_false(profile_repairs(&(struct config_zone){0}, REPAIR_CONTACT_NAME));
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_gateway_is_named_in_contact_and_via),
		cmocka_unit_test(the_account_is_in_contact),
		cmocka_unit_test(numbers_are_marked),
		cmocka_unit_test(identities_are_preferred_not_asserted),
		cmocka_unit_test(an_older_header_says_who_calls),
		cmocka_unit_test(one_suite_is_offered),
		cmocka_unit_test(options_say_where_we_are),
		cmocka_unit_test_prestate(every_row_is_complete_and_told, arguments[1]),
	};

	return count < 2 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
