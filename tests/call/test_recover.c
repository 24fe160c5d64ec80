/* SPDX-License-Identifier: Apache-2.0
 * A gateway that dies without a word, at any point of a call: the next one goes on, and no peer can tell. */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call/calls.h"

static struct media_stream told(const struct kit *kit)
{
	struct media_stream stream = kit->streams[0];

	return stream;
}

static void expect_end(struct kit *kit)
{
	kit_silence(kit);
	kit_stop(kit);
}

static void hangs_up(struct kit *kit, struct side *side, struct peer *other)
{
	side_sends(kit, side, "BYE", "", "");
	peer_agrees(kit, other, "BYE ", "", side->peer);
}

static unsigned cseq_of(const struct peer *peer)
{
	return (unsigned)strtoul(header(peer, "CSeq"), NULL, 10);
}

static void an_established_call_goes_on(void **state)
{
	for (int who = 0; who < 2; who++) {
		struct side caller, callee;
		struct media_stream before, after;
		struct kit kit;
		unsigned cseq;

		(void)state;
		kit_start(&kit, "", "none");
		kit_keep(&kit);
		kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"),
			      sdp_plain(4002, "sendrecv"));
		cseq = cseq_of(&kit.pbx);
		before = told(&kit);
		kit_kill(&kit);
		/* Media is told the very same again, so that nothing there is disturbed. */
		after = told(&kit);
		assert_memory_equal(&before, &after, sizeof(before));
		kit_kill(&kit);
		kit_kill(&kit);
		hangs_up(&kit, who ? &callee : &caller, who ? &kit.phone : &kit.pbx);
		assert_string_equal(header(who ? &kit.phone : &kit.pbx, "Call-ID"),
				    who ? caller.call_id : callee.call_id);
		if (!who)
			assert_true(cseq_of(&kit.pbx) > cseq);
		expect_end(&kit);
	}
}

static void media_can_be_negotiated_anew(void **state)
{
	struct side caller, callee;
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(4002, "sendrecv"));
	kit_kill(&kit);
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4000, "sendonly"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_non_null(strstr(body(&kit.pbx), "a=sendonly"));
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(4002, "recvonly"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_false(told(&kit).sides[CALLEE].may_send);
	kit_kill(&kit);
	assert_false(told(&kit).sides[CALLEE].may_send);
	side_sends(&kit, &callee, "UPDATE", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "UPDATE ");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	hangs_up(&kit, &callee, &kit.phone);
	expect_end(&kit);
}

/* One call from INVITE to BYE; the gateway dies after the step of that number. Returns how many steps there are. */
static int call_with_death(struct kit *kit, int death)
{
	struct side caller, callee;
	int step = 0;
#define DIE() \
	do { \
		if (step++ == death) \
			kit_kill(kit); \
	} while (0)

	phone_calls(kit, "call", 4000);
	side_of_callee(&callee, &kit->pbx, "pbxtag");
	DIE();
	phone_invites(kit, &kit->phone, "call", "", sdp_plain(4000, "sendrecv")); /* a copy is no other call */
	peer_answer(kit, &kit->pbx, "180 Ringing", "pbxtag", "", "");
	peer_expect(kit, &kit->phone, "SIP/2.0 180");
	DIE();
	peer_answer(kit, &kit->pbx, "183 Session Progress", "pbxtag", "", sdp_plain(4002, "sendrecv"));
	peer_expect(kit, &kit->phone, "SIP/2.0 183");
	DIE();
	peer_answer(kit, &kit->pbx, "200 OK", "pbxtag", "", sdp_plain(4002, "sendrecv"));
	peer_expect(kit, &kit->phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit->phone);
	DIE();
	side_sends(kit, &caller, "ACK", "", "");
	peer_expect(kit, &kit->pbx, "ACK ");
	DIE();
	side_sends(kit, &callee, "INVITE", "", sdp_plain(4002, "sendonly"));
	peer_expect(kit, &kit->phone, "INVITE ");
	DIE();
	peer_answer(kit, &kit->phone, "200 OK", "", "", sdp_plain(4000, "recvonly"));
	peer_expect(kit, &kit->pbx, "SIP/2.0 200");
	DIE();
	side_sends(kit, &callee, "ACK", "", "");
	peer_expect(kit, &kit->phone, "ACK ");
	DIE();
	side_sends(kit, &caller, "INFO", "Content-Type: application/dtmf-relay\n", "Signal=1\n");
	peer_expect(kit, &kit->pbx, "INFO ");
	DIE();
	peer_answer(kit, &kit->pbx, "200 OK", "", "", "");
	peer_expect(kit, &kit->phone, "SIP/2.0 200");
	DIE();
	side_sends(kit, &caller, "UPDATE", "", sdp_plain(4000, "sendrecv"));
	peer_expect(kit, &kit->pbx, "UPDATE ");
	DIE();
	peer_answer(kit, &kit->pbx, "200 OK", "", "", sdp_plain(4002, "sendrecv"));
	peer_expect(kit, &kit->phone, "SIP/2.0 200");
	DIE();
	hangs_up(kit, death % 2 ? &callee : &caller, death % 2 ? &kit->phone : &kit->pbx);
#undef DIE
	return step;
}

static void a_death_at_any_step_goes_unnoticed(void **state)
{
	int steps = 1;

	(void)state;
	for (int death = 0; death < steps; death++) {
		struct kit kit;

		kit_start(&kit, "", "none");
		kit_keep(&kit);
		steps = call_with_death(&kit, death);
		assert_int_equal(kit.gateway->counters.dialog_strangers, 0);
		expect_end(&kit);
	}
	assert_true(steps > 10);
}

static void what_was_not_acknowledged_is_sent_again(void **state)
{
	struct side caller;
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	phone_calls(&kit, "call", 4000);
	kit_kill(&kit);
	kit_skip(&kit, 600);
	peer_expect(&kit, &kit.pbx, "INVITE "); /* timer A */
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	kit_kill(&kit);
	kit_skip(&kit, 600);
	peer_expect(&kit, &kit.phone, "SIP/2.0 200"); /* RFC 3261 section 13.3.1.4 */
	assert_string_equal(tag(&kit.phone, "To"), strstr(caller.to, "tag=") + 4);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	kit_kill(&kit);
	/* The PBX did not get the ACK: its copy of the 200 has another one. */
	phone_invites(&kit, &kit.phone, "call", "", sdp_plain(4000, "sendrecv"));
	peer_expect_nothing(&kit, &kit.phone, "SIP/2.0");
	hangs_up(&kit, &caller, &kit.pbx);
	expect_end(&kit);
}

static void a_copy_of_the_answer_has_its_ack(void **state)
{
	struct side caller, callee;
	struct peer copy;
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	phone_calls(&kit, "call", 4000);
	side_of_callee(&callee, &kit.pbx, "pbxtag");
	copy = kit.pbx;
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	kit_kill(&kit);
	memcpy(kit.pbx.text, copy.text, sizeof(copy.text));
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "ACK ");
	hangs_up(&kit, &callee, &kit.phone);
	expect_end(&kit);
}

static void a_ringing_call_can_be_cancelled(void **state)
{
	struct peer invite;
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	phone_calls(&kit, "call", 4000);
	invite = kit.pbx;
	peer_answer(&kit, &kit.pbx, "180 Ringing", "pbxtag", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	kit_kill(&kit);
	peer_send(&kit, &kit.phone,
		  "CANCEL sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKcall;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=call\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: call\nCSeq: 7 CANCEL\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	kit_kill(&kit); /* and again: the CANCEL is repeated, its INVITE still waits for 487 */
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", "");
	memcpy(kit.pbx.text, invite.text, sizeof(invite.text));
	peer_answer(&kit, &kit.pbx, "487 Request Terminated", "pbxtag", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
	expect_end(&kit);
}

static void strangers_stay_strangers(void **state)
{
	struct side caller, callee, forged;
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(4002, "sendrecv"));
	kit_kill(&kit);
	/* Known tags, from the other zone; and unknown ones from the right address. */
	forged = callee;
	forged.peer = &kit.stranger;
	side_sends(&kit, &forged, "BYE", "", "");
	peer_expect_nothing(&kit, &kit.phone, "BYE ");
	forged = caller;
	snprintf(forged.from, sizeof(forged.from), "<sip:1001@voip.example.org>;tag=guessed");
	side_sends(&kit, &forged, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	assert_int_equal(kit.gateway->counters.dialog_strangers, 2);
	/* An old CSeq is refused as before. */
	forged = caller;
	forged.cseq = 5;
	side_sends(&kit, &forged, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 500");
	hangs_up(&kit, &caller, &kit.pbx);
	expect_end(&kit);
}

static void a_call_whose_connection_went_is_ended_on_the_other_side(void **state)
{
	struct peer invite, phone = {0};
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	kit_connect_tls(&kit, &phone);
	phone_invites(&kit, &phone, "call", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	invite = kit.pbx;
	peer_answer(&kit, &kit.pbx, "180 Ringing", "pbxtag", "", "");
	peer_expect(&kit, &phone, "SIP/2.0 180");
	kit_kill(&kit);
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", "");
	memcpy(kit.pbx.text, invite.text, sizeof(invite.text));
	peer_answer(&kit, &kit.pbx, "487 Request Terminated", "pbxtag", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_close(&phone);
	expect_end(&kit);
}

static const char secure_offer[] =
	"v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/SAVP 0\n"
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\n";

static void keys_are_carried_over_and_wiped(void **state)
{
	static const char key[] = "YS___semctl () {";
	struct side caller, callee;
	struct media_stream before, after;
	struct peer phone = {0};
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "required");
	kit_keep(&kit);
	kit_connect_tls(&kit, &phone);
	kit_establish(&kit, &phone, &caller, &callee, secure_offer, sdp_plain(4002, "sendrecv"));
	before = told(&kit);
	assert_int_not_equal(before.sides[CALLER].suite_in, 0);
	assert_memory_equal(before.sides[CALLER].key_in, key, 15);
	kit_kill(&kit);
	after = told(&kit);
	assert_memory_equal(&before, &after, sizeof(before));
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	peer_close(&phone);
	kit_silence(&kit);
	{
		char bytes[4096], *found = NULL;

		for (off_t at = 0; pread(kit.memory, bytes, sizeof(bytes), at) > 0 && !found; at += 4000)
			found = memmem(bytes, sizeof(bytes), key, 15);
		assert_null(found);
	}
	kit_stop(&kit);
}

static void a_zone_that_is_gone_takes_its_calls_along(void **state)
{
	struct side caller, callee;
	struct config *config;
	char *name;
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(4002, "sendrecv"));
	/* The record knows the zone by a name that nobody has. */
	config = kit.config;
	name = config->zones[kit.access_zone].name;
	config->zones[kit.access_zone].name = (char[]){"other"};
	call_touch(list_object(kit.gateway->all_calls.next, struct call, in_all));
	gateway_records_settle(kit.gateway);
	config->zones[kit.access_zone].name = name;
	kit_kill(&kit);
	assert_int_equal(kit.gateway->counters.checkpoints_unusable, 1);
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	expect_end(&kit);
}

/* 64 records: more calls than that go on, only not beyond the process. */
static void a_full_area_ends_no_call(void **state)
{
	struct side caller, callee;
	uint32_t slots[64] = {0};
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	for (int i = 0; i < 64; i++)
		assert_int_equal(checkpoint_save(kit.area, &slots[i], 99, 1, SPAN("other")), 0);
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(4002, "sendrecv"));
	assert_true(kit.gateway->counters.checkpoints_refused > 0);
	hangs_up(&kit, &caller, &kit.pbx);
	for (int i = 0; i < 64; i++)
		checkpoint_remove(kit.area, &slots[i]);
	expect_end(&kit);
}

/* ---- Records that cannot be right ---- */

struct stolen {
	char bytes[16384];
	size_t length;
};

static void steal(void *context, uint32_t slot, uint16_t kind, uint16_t version, struct span bytes)
{
	struct stolen *stolen = context;

	(void)slot;
	(void)kind;
	(void)version;
	assert_true(bytes.length <= sizeof(stolen->bytes));
	memcpy(stolen->bytes, bytes.data, bytes.length);
	stolen->length = bytes.length;
}

/* A call with all that a record can hold: an answer that was not acknowledged, or an offer that was not answered. */
static void record_make(struct stolen *stolen, bool is_answered)
{
	struct kit kit;

	kit_start(&kit, "", "none");
	kit_keep(&kit);
	phone_calls(&kit, "call", 4000);
	peer_answer(&kit, &kit.pbx, is_answered ? "200 OK" : "183 Session Progress", "pbxtag", "",
		    sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.phone, is_answered ? "SIP/2.0 200" : "SIP/2.0 183");
	checkpoint_each(kit.area, steal, stolen);
	kit_die(&kit);
	kit_stop(&kit);
}

static void load(struct kit *kit, const char *bytes, size_t length)
{
	uint32_t slot = 0;

	assert_int_equal(checkpoint_save(kit->area, &slot, RECORD_CALL, 1, (struct span){bytes, length}), 0);
	if (!call_record_load(kit->gateway, slot, (struct span){bytes, length}))
		checkpoint_remove(kit->area, &slot);
}

static void what_is_read_is_checked(void **state)
{
	struct stolen stolen[2], mutated;
	uint64_t seed = 3, loaded = 0;

	(void)state;
	record_make(&stolen[0], false);
	record_make(&stolen[1], true);
	for (int round = 0; round < 150; round++) {
		struct kit kit;

		kit_start(&kit, "", "none");
		kit_keep(&kit);
		kit.hasty = true;
		for (int i = 0; i < 20; i++) {
			uint64_t chance = random_u64(random_seeded(&seed));

			mutated = stolen[chance & 1];
			for (uint64_t k = chance >> 1 & 3; k < 4; k++)
				mutated.bytes[random_u64(random_seeded(&seed)) % mutated.length] ^=
					(char)(1u << (random_u64(random_seeded(&seed)) % 8));
			if ((chance >> 8) % 4 == 0)
				mutated.length = random_u64(random_seeded(&seed)) % mutated.length;
			load(&kit, mutated.bytes, mutated.length);
		}
		loaded += table_count(kit.gateway->calls);
		/* What was taken can be used and ended. */
		gateway_media_back(kit.gateway);
		kit_skip(&kit, 700);
		list_each(link, &kit.gateway->all_calls)
			call_end(list_object(link, struct call, in_all), -1, 480, "test");
		kit_skip(&kit, 40000);
		kit_stop(&kit);
	}
	assert_true(loaded > 20);
}

static void without_memory_a_call_is_whole_or_gone(void **state)
{
	struct stolen stolen;
	bool done = false;

	(void)state;
	record_make(&stolen, true);
	for (long count = 0; !done; count++) {
		struct kit kit;

		assert_in_range(count, 0, 200);
		kit_start(&kit, "", "none");
		kit_keep(&kit);
		memory_fail_after(count);
		load(&kit, stolen.bytes, stolen.length);
		memory_fail_after(-1);
		done = table_count(kit.gateway->calls) == 1;
		kit.hasty = true;
		kit_silence(&kit);
		kit_stop(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_established_call_goes_on),
		cmocka_unit_test(media_can_be_negotiated_anew),
		cmocka_unit_test(a_death_at_any_step_goes_unnoticed),
		cmocka_unit_test(what_was_not_acknowledged_is_sent_again),
		cmocka_unit_test(a_copy_of_the_answer_has_its_ack),
		cmocka_unit_test(a_ringing_call_can_be_cancelled),
		cmocka_unit_test(strangers_stay_strangers),
		cmocka_unit_test(a_call_whose_connection_went_is_ended_on_the_other_side),
		cmocka_unit_test(keys_are_carried_over_and_wiped),
		cmocka_unit_test(a_zone_that_is_gone_takes_its_calls_along),
		cmocka_unit_test(a_full_area_ends_no_call),
		cmocka_unit_test(what_is_read_is_checked),
		cmocka_unit_test(without_memory_a_call_is_whole_or_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
