/* SPDX-License-Identifier: Apache-2.0
 * N4: whoever sends datagrams from a forged address has little sent there for it; phones that are what they say notice nothing. */
#include <stdio.h>
#include <string.h>

#include "call/calls.h"
#include "kit.h"

#define REALM "voip.example.org"

static struct kit kit;
static uint64_t in, out;
static unsigned count;

/* A request of the stranger; `lines` follow those that must be there. */
static void stranger_sends(const char *method, const char *lines)
{
	count++;
	peer_send(&kit, &kit.stranger,
		  "%s sip:" REALM " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKn%u;rport\n"
		  "From: <sip:1002@" REALM ">;tag=n\nTo: <sip:1002@" REALM ">\nCall-ID: n%u\nCSeq: 1 %s\n%s"
		  "Content-Length: 0\n\n",
		  method, kit.stranger.address.port, count, count, method, lines);
	in += kit.sent_length;
}

/* How many answers come. */
static unsigned stranger_hears(void)
{
	unsigned answers = 0;

	while (peer_receive(&kit, &kit.stranger, answers ? 0 : 10)) {
		out += strlen(kit.stranger.text);
		answers++;
	}
	return answers;
}

static void start(const char *zone_extra)
{
	in = out = 0;
	kit_start(&kit, zone_extra, "offered");
}

/* What phones write beside what they must (baresip 1.0 here). */
#define PHONE_LINES \
	"Max-Forwards: 70\nContact: <sip:1002-0x5581c0a01b90@127.0.0.1:50601>;expires=600\nUser-Agent: baresip " \
	"v1.0.0 " \
	"(x86_64/linux)\nSupported: gruu,outbound,path\nAllow: INVITE,ACK,BYE,CANCEL,OPTIONS,NOTIFY,SUBSCRIBE,INFO," \
	"MESSAGE,REFER\n"

/* A phone must be able to log in: its challenge is no larger than its REGISTER, so it comes however many others were sent. */
static void n4_a_challenge_always_comes(void **state)
{
	static const char *const digests[] = {"sha256", "md5"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		char extra[80];

		snprintf(extra, sizeof(extra), "    authentication: local\n    digest: %s\n", digests[i]);
		start(extra);
		for (int k = 0; k < 40; k++) /* what may be overdrawn is spent */
			stranger_sends("FROB", "");
		stranger_hears();
		in = out = 0;
		for (int k = 0; k < 50; k++) {
			stranger_sends("REGISTER", PHONE_LINES);
			assert_int_equal(stranger_hears(), 1);
			assert_true(has_header(&kit.stranger, "WWW-Authenticate"));
		}
		print_message("REGISTER %llu bytes, challenge (%s) %llu\n", (unsigned long long)in / 50, digests[i],
			      (unsigned long long)out / 50);
		assert_true(out <= in);
		kit_stop(&kit);
	}
}

static void n4_answers_are_cut_to_what_is_needed(void **state)
{
	(void)state;
	start("");
	stranger_sends("FROB", "");
	assert_int_equal(stranger_hears(), 1);
	assert_false(has_header(&kit.stranger, "Allow"));
	stranger_sends("FROB", "User-Agent: who sends more is told more\n" PHONE_LINES);
	assert_int_equal(stranger_hears(), 1);
	assert_true(has_header(&kit.stranger, "Allow"));
	kit_stop(&kit);
}

/* The least of each kind, again and again: what comes back is no more than was sent, but for what may be overdrawn once. */
static void n4_little_is_sent_for_little(void **state)
{
	static const char *const zones[] = {"", "    authentication: local\n",
					    "    authentication: local\n    digest: both\n"};
	static const char *const methods[] = {"REGISTER", "OPTIONS", "INVITE", "SUBSCRIBE",
					      "MESSAGE",  "BYE",     "FROB",   "REFER"};

	(void)state;
	for (size_t zone = 0; zone < sizeof(zones) / sizeof(zones[0]); zone++) {
		start(zones[zone]);
		for (int i = 0; i < 400; i++) {
			stranger_sends(methods[i % 8],
				       i % 16 < 8 ? "" : "Contact: <sip:a@127.0.0.1>\nEvent: nonsense\n");
			while (peer_receive(&kit, &kit.stranger, 0))
				out += strlen(kit.stranger.text);
		}
		stranger_hears();
		print_message("%llu bytes in, %llu out\n", (unsigned long long)in, (unsigned long long)out);
		assert_true(out <= in + 2048);
		assert_true(out > in / 4);
		kit_stop(&kit);
	}
}

/* Beside a stranger of its own address who has spent it all, the registered phone is told everything. */
static void n4_registered_phones_are_not_affected(void **state)
{
	struct gateway_status status;
	unsigned answers = 0;

	(void)state;
	start("");
	peer_registers(&kit, &kit.phone, "1001");
	for (int i = 0; i < 200; i++) {
		stranger_sends("FROB", "");
		answers += stranger_hears();
	}
	assert_in_range(answers, 1, 199);
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.answers_withheld, 200 - answers);
	for (int i = 0; i < 20; i++) {
		peer_send(&kit, &kit.phone,
			  "FROB sip:" REALM " SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKf%d;rport\n"
			  "From: <sip:1001@" REALM ">;tag=r\nTo: <sip:" REALM ">\nCall-ID: f%d\nCSeq: 1 FROB\n"
			  "Content-Length: 0\n\n",
			  kit.phone.address.port, i, i);
		peer_expect(&kit, &kit.phone, "SIP/2.0 501");
		assert_true(has_header(&kit.phone, "Allow"));
	}
	kit_stop(&kit);
}

/* Who answers with a tag of ours has it from us: a call of an unregistered phone goes on as long as it likes. */
static void n4_who_is_in_a_call_is_proven(void **state)
{
	struct side caller, callee;

	(void)state;
	start("");
	kit_establish(&kit, &kit.stranger, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	for (int i = 0; i < 60; i++) {
		side_sends(&kit, &caller, "FROB", "", "");
		if (stranger_hears() != 1 || !has_header(&kit.stranger, "Allow"))
			fail_msg("after %d requests:\n%s", i, kit.stranger.text);
	}
	kit_stop(&kit);
}

/* An answer that is still sent again when a reload has removed the zone that its request came from. */
static void answers_to_zones_that_are_gone_harm_nobody(void **state)
{
	uint8_t gone[256];

	(void)state;
	memset(gone, NET_ZONE_NONE, sizeof(gone));
	start("");
	phone_invites(&kit, &kit.phone, "call", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "t", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	sip_transactions_zones_map(gateway_transactions(kit.gateway), gone);
	for (int i = 0; i < 5; i++)
		kit_skip(&kit, 1000);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(n4_a_challenge_always_comes),
		cmocka_unit_test(n4_answers_are_cut_to_what_is_needed),
		cmocka_unit_test(n4_little_is_sent_for_little),
		cmocka_unit_test(n4_registered_phones_are_not_affected),
		cmocka_unit_test(n4_who_is_in_a_call_is_proven),
		cmocka_unit_test(answers_to_zones_that_are_gone_harm_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
