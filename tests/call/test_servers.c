/* SPDX-License-Identifier: Apache-2.0
 * Two servers of a PBX: the second serves what the first does not, and the caller notices nothing (RFC 3263 section 4.3). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/peers.h"
#include "kit.h"

struct looked {
	const struct peer *peer;
	char state[16];
	uint32_t round_trip_us;
};

static void look(void *context, const struct gateway_peer_view *view)
{
	struct looked *looked = context;

	if (view->address.port == looked->peer->address.port) {
		snprintf(looked->state, sizeof(looked->state), "%s", view->state);
		looked->round_trip_us = view->round_trip_us;
	}
}

static const char *state_of(struct kit *kit, const struct peer *peer)
{
	static struct looked looked;

	looked = (struct looked){.peer = peer};
	gateway_peers_each(kit->gateway, look, &looked);
	return looked.state;
}

static void expect_call(struct kit *kit, struct peer *server, struct side *caller, struct side *callee)
{
	side_of_callee(callee, server, "tagtwo");
	peer_answer(kit, server, "200 OK", "tagtwo", "", sdp_plain(4000, "sendrecv"));
	peer_expect(kit, &kit->phone, "SIP/2.0 200");
	side_of_caller(caller, &kit->phone);
	side_sends(kit, caller, "ACK", "", "");
	peer_expect(kit, server, "ACK ");
	side_sends(kit, caller, "BYE", "", "");
	peer_agrees(kit, server, "BYE ", "", &kit->phone);
}

static void silence(struct kit *kit)
{
	for (int i = 0; i < 70; i++) {
		kit_skip(kit, 4000);
		while (peer_receive(kit, &kit->phone, 0) || peer_receive(kit, &kit->pbx, 0) ||
		       peer_receive(kit, &kit->stranger, 0))
			;
	}
	kit_expect_nothing_left(kit);
}

static void a_silent_server_is_followed_by_the_next(void **state)
{
	struct kit kit;
	struct side caller, callee;

	(void)state;
	kit_start_pair(&kit, "", "");
	phone_calls(&kit, "one", 4002);
	kit_skip(&kit, 3500);
	peer_expect_nothing(&kit, &kit.stranger, "INVITE ");
	kit_skip(&kit, 1000);
	peer_expect(&kit, &kit.stranger, "INVITE ");
	assert_string_equal(state_of(&kit, &kit.pbx), "down");
	expect_call(&kit, &kit.stranger, &caller, &callee);
	assert_int_equal(kit.gateway->counters.failovers, 1);
	assert_int_equal(kit.gateway->counters.calls_started, 1);
	assert_int_equal(kit.gateway->counters.calls_failed, 0);

	/* The next call does not wait for the silent one. */
	phone_invites(&kit, &kit.phone, "two", "", sdp_plain(4004, "sendrecv"));
	peer_expect(&kit, &kit.stranger, "INVITE ");
	expect_call(&kit, &kit.stranger, &caller, &callee);
	/* Where nobody is asked, the first is tried again after a while. */
	silence(&kit);
	kit_stop(&kit);
}

static void a_late_answer_of_a_server_that_was_given_up_is_ended(void **state)
{
	struct kit kit;
	struct side caller, callee;

	(void)state;
	kit_start_pair(&kit, "", "");
	phone_calls(&kit, "one", 4002);
	kit_skip(&kit, 4500);
	peer_expect(&kit, &kit.stranger, "INVITE ");
	/* It was only slow: it rings now, is cancelled, and answers all the same. */
	peer_answer(&kit, &kit.pbx, "180 Ringing", "late", "", "");
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	peer_answer(&kit, &kit.pbx, "200 OK", "late", "", "");
	peer_expect_nothing(&kit, &kit.phone, "SIP/2.0 18");
	expect_call(&kit, &kit.stranger, &caller, &callee);
	silence(&kit);
	kit_stop(&kit);
}

/* The PBX is silent: the call goes to the provider in the next zone of the route, as that zone wants it. */
static void a_silent_zone_is_followed_by_the_next(void **state)
{
	struct kit kit;
	struct side caller, callee;

	(void)state;
	kit_start_apart(&kit, "", "rewrite: [{zone: spare, match: \"6xx\", prepend: \"+44\"}]\n");
	phone_invites(&kit, &kit.phone, "one", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE sip:600@");
	kit_skip(&kit, 4500);
	peer_expect(&kit, &kit.stranger, "INVITE sip:+44600@spare.example.net");
	assert_non_null(strstr(header(&kit.stranger, "From"), "@spare.example.net"));
	assert_non_null(strstr(body(&kit.stranger), "m=audio 22"));
	expect_call(&kit, &kit.stranger, &caller, &callee);
	assert_int_equal(kit.gateway->counters.failovers, 1);
	assert_int_equal(kit.gateway->counters.calls_started, 1);
	silence(&kit);
	kit_stop(&kit);
}

/* 503 from both, each asked once; then the caller hears of it. A call that rings stays where it rings. */
static void zones_are_asked_once(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_apart(&kit, "", "");
	phone_calls(&kit, "one", 4002);
	peer_answer(&kit, &kit.pbx, "503 Service Unavailable", "a", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.stranger, "INVITE ");
	peer_answer(&kit, &kit.stranger, "503 Service Unavailable", "b", "", "");
	peer_expect(&kit, &kit.stranger, "ACK ");
	peer_expect(&kit, &kit.phone, "SIP/2.0 50");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");

	phone_calls(&kit, "two", 4004);
	peer_answer(&kit, &kit.pbx, "180 Ringing", "c", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	peer_answer(&kit, &kit.pbx, "503 Service Unavailable", "c", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 50");
	peer_expect_nothing(&kit, &kit.stranger, "INVITE ");
	silence(&kit);
	kit_stop(&kit);
}

/* The gate dies after the call went to the next zone: the next gate goes on there. */
static void the_next_zone_is_remembered(void **state)
{
	struct kit kit;
	struct side caller, callee;

	(void)state;
	kit_start_apart(&kit, "", "");
	kit_keep(&kit);
	phone_calls(&kit, "one", 4002);
	peer_answer(&kit, &kit.pbx, "503 Service Unavailable", "a", "", "");
	peer_expect(&kit, &kit.stranger, "INVITE ");
	kit_kill(&kit);
	expect_call(&kit, &kit.stranger, &caller, &callee);
	silence(&kit);
	kit_stop(&kit);
}

static void phone_subscribes(struct kit *kit, const char *name)
{
	peer_send(kit, &kit->phone,
		  "SUBSCRIBE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=%s\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: %s\nCSeq: 3 SUBSCRIBE\nContact: <sip:1001@127.0.0.1:%u>\nEvent: message-summary\n"
		  "Content-Length: 0\n\n",
		  kit->phone.address.port, name, name, name, kit->phone.address.port);
}

/* To the next server after silence, to the next zone after 503; whoever was given up may not notify any more. */
static void subscriptions_go_to_the_next_too(void **state)
{
	struct kit kit;
	struct side late, notifier;

	(void)state;
	for (int apart = 0; apart < 2; apart++) {
		if (apart)
			kit_start_apart(&kit, "", "");
		else
			kit_start_pair(&kit, "", "");
		phone_subscribes(&kit, "sub");
		peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
		side_of_callee(&late, &kit.pbx, "late");
		if (apart)
			peer_answer(&kit, &kit.pbx, "503 Service Unavailable", "late", "", "");
		else
			kit_skip(&kit, 4500);
		peer_expect(&kit, &kit.stranger, "SUBSCRIBE ");
		side_of_callee(&notifier, &kit.stranger, "tagtwo");
		peer_answer(&kit, &kit.stranger, "200 OK", "tagtwo", "Expires: 600\n", "");
		peer_expect(&kit, &kit.phone, "SIP/2.0 200");
		side_sends(&kit, &late, "NOTIFY", "Event: message-summary\nSubscription-State: active\n", "");
		peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
		side_sends(&kit, &notifier, "NOTIFY",
			   "Event: message-summary\nSubscription-State: terminated;reason=noresource\n", "");
		peer_agrees(&kit, &kit.phone, "NOTIFY ", "", &kit.stranger);
		silence(&kit);
		kit_stop(&kit);
	}
}

/* An answer to the INVITE of which nobody waits any more: ACK and BYE, and the call at the other server goes on. */
static void a_late_200_gets_ack_and_bye(void **state)
{
	struct kit kit;
	struct side caller, callee;
	char first[64];

	(void)state;
	kit_start_pair(&kit, "", "");
	phone_calls(&kit, "one", 4002);
	snprintf(first, sizeof(first), "%s", header(&kit.pbx, "CSeq"));
	kit_skip(&kit, 4500);
	peer_expect(&kit, &kit.stranger, "INVITE ");
	assert_string_not_equal(header(&kit.stranger, "CSeq"), first);
	peer_answer(&kit, &kit.pbx, "200 OK", "late", "", sdp_plain(4010, "sendrecv"));
	kit_pump(&kit, 5);
	assert_int_equal(kit.gateway->counters.calls_answered, 0);
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_string_equal(tag(&kit.pbx, "To"), "late");
	peer_expect(&kit, &kit.pbx, "BYE ");
	assert_string_equal(tag(&kit.pbx, "To"), "late");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	expect_call(&kit, &kit.stranger, &caller, &callee);
	silence(&kit);
	kit_stop(&kit);
}

static void a_503_goes_to_the_next_and_none_is_asked_twice(void **state)
{
	struct kit kit;
	struct side caller, callee;

	(void)state;
	kit_start_pair(&kit, "", "");
	phone_calls(&kit, "one", 4002);
	peer_answer(&kit, &kit.pbx, "503 Full", "x", "Retry-After: 20\n", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	peer_expect(&kit, &kit.stranger, "INVITE ");
	expect_call(&kit, &kit.stranger, &caller, &callee);
	assert_string_equal(state_of(&kit, &kit.pbx), "busy");

	/* It asked to be left alone for a while; when the other is full as well, the caller hears of it. */
	phone_invites(&kit, &kit.phone, "two", "", sdp_plain(4004, "sendrecv"));
	peer_expect(&kit, &kit.stranger, "INVITE ");
	peer_answer(&kit, &kit.stranger, "503 Full", "y", "", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "503 Full", "x", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 503");
	peer_expect_nothing(&kit, &kit.stranger, "INVITE ");
	silence(&kit);
	kit_stop(&kit);
}

/* Once the caller has heard of a callee, nothing goes elsewhere. */
static void a_call_that_rings_stays(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_pair(&kit, "", "");
	phone_calls(&kit, "one", 4002);
	peer_answer(&kit, &kit.pbx, "180 Ringing", "x", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	kit_skip(&kit, 5000);
	peer_answer(&kit, &kit.pbx, "503 Full", "x", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 503");
	peer_expect_nothing(&kit, &kit.stranger, "INVITE ");
	silence(&kit);
	kit_stop(&kit);
}

static void a_cancelled_call_goes_nowhere_else(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_pair(&kit, "", "");
	phone_calls(&kit, "one", 4002);
	peer_send(&kit, &kit.phone,
		  "CANCEL sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKone;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=one\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: one\nCSeq: 7 CANCEL\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
	kit_skip(&kit, 5000);
	peer_expect_nothing(&kit, &kit.stranger, "INVITE ");
	silence(&kit);
	kit_stop(&kit);
}

static void messages_go_to_the_next_too(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_pair(&kit, "", "");
	peer_send(&kit, &kit.phone,
		  "MESSAGE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKm;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=m\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: m\nCSeq: 1 MESSAGE\nContent-Type: text/plain\nContent-Length: 2\n\nhi",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "MESSAGE ");
	/* Said twice it would do harm: it waits. */
	kit_skip(&kit, 5000);
	peer_expect_nothing(&kit, &kit.stranger, "MESSAGE ");
	peer_answer(&kit, &kit.pbx, "503 Full", "x", "", "");
	peer_expect(&kit, &kit.stranger, "MESSAGE ");
	assert_string_equal(body(&kit.stranger), "hi");
	peer_answer(&kit, &kit.stranger, "200 OK", "y", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	silence(&kit);
	kit_stop(&kit);
}

static void registrations_go_to_the_next_too(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_pair(&kit, "", "");
	peer_send(&kit, &kit.phone,
		  "REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKr;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=r\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: r\nCSeq: 1 REGISTER\nContact: <sip:1001@127.0.0.1:%u>\nExpires: 60\nContent-Length: 0\n\n",
		  kit.phone.address.port, kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	kit_skip(&kit, 4500);
	peer_expect(&kit, &kit.stranger, "REGISTER ");
	peer_answer(&kit, &kit.stranger, "403 No", "y", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	silence(&kit);
	kit_stop(&kit);
}

/* ---- OPTIONS ---- */

static void servers_are_watched_and_passed_over_while_down(void **state)
{
	struct kit kit;
	struct side caller, callee;

	(void)state;
	kit_start_pair(&kit, "", "    watch: 20s\n");
	assert_string_equal(state_of(&kit, &kit.pbx), "unknown");
	kit_skip(&kit, 20100);
	peer_expect(&kit, &kit.pbx, "OPTIONS sip:voip.example.org SIP/2.0");
	peer_answer(&kit, &kit.pbx, "404 Not Found", "x", "", ""); /* any answer is one */
	peer_expect(&kit, &kit.stranger, "OPTIONS ");
	kit_pump(&kit, 5);
	assert_string_equal(state_of(&kit, &kit.pbx), "up");
	kit_skip(&kit, 5100); /* missed once */
	assert_string_equal(state_of(&kit, &kit.stranger), "unknown");
	kit_skip(&kit, 1100);
	kit_skip(&kit, 5100);
	assert_string_equal(state_of(&kit, &kit.stranger), "down");

	/* The first goes away, too; both are down, so any is tried. Then it is back. */
	for (int i = 0; i < 12; i++)
		kit_skip(&kit, 5100);
	assert_string_equal(state_of(&kit, &kit.pbx), "down");
	for (int i = 0; i < 60 && strcmp(state_of(&kit, &kit.pbx), "up") != 0; i++) {
		kit_skip(&kit, 3000);
		while (peer_receive(&kit, &kit.pbx, 1))
			peer_answer(&kit, &kit.pbx, "200 OK", "x", "", "");
		kit_pump(&kit, 3);
	}
	assert_string_equal(state_of(&kit, &kit.pbx), "up");
	phone_calls(&kit, "one", 4002);
	expect_call(&kit, &kit.pbx, &caller, &callee);
	kit_stop(&kit);
}

static void a_server_that_answers_503_to_options_is_down(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_pair(&kit, "", "    watch: 20s\n");
	kit_skip(&kit, 20100);
	peer_expect(&kit, &kit.pbx, "OPTIONS ");
	peer_answer(&kit, &kit.pbx, "503 Full", "x", "", "");
	kit_pump(&kit, 5);
	assert_string_equal(state_of(&kit, &kit.pbx), "down");
	phone_invites(&kit, &kit.phone, "one", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.stranger, "INVITE ");
	kit_stop(&kit);
}

static void balanced_peers_share_what_comes(void **state)
{
	struct kit kit;
	unsigned went[2] = {0};

	(void)state;
	kit_start_pair(&kit, "", "    balance: true\n");
	for (int i = 0; i < 200; i++) {
		struct tried tried = {0};
		struct flow flow;

		assert_int_equal(servers_route(kit.gateway, 1, &tried, &flow), 0);
		went[flow.remote.port == kit.stranger.address.port]++;
		/* The other one comes next, and then none. */
		assert_int_equal(servers_route(kit.gateway, 1, &tried, &flow), 0);
		assert_int_equal(servers_route(kit.gateway, 1, &tried, &flow), -ENOENT);
	}
	assert_in_range(went[0], 60, 140);
	kit_stop(&kit);
}

/* THREATS N7 */
static void only_servers_of_peers_may_speak(void **state)
{
	static const char *const foreign[] = {"127.0.0.2:5060", "0.0.0.0:5060", "[::1]:5060"};
	struct address address;
	struct kit kit;

	(void)state;
	kit_start_pair(&kit, "", "");
	assert_true(servers_admit(kit.gateway, 1, &kit.pbx.address));
	assert_int_equal(address_parse(SPAN("127.0.0.1:40000"), &address), 0);
	assert_true(servers_admit(kit.gateway, 1, &address)); /* TCP comes from any port */
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		assert_int_equal(address_parse(span_from(foreign[i]), &address), 0);
		assert_false(servers_admit(kit.gateway, 1, &address));
		assert_true(servers_admit(kit.gateway, 0, &address)); /* phones come from anywhere */
	}
	assert_false(servers_admit(kit.gateway, 2, &kit.pbx.address));
	kit_stop(&kit);
}

static void what_is_known_of_servers_outlives_a_reload(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_pair(&kit, "", "    watch: 20s\n");
	kit_skip(&kit, 20100);
	peer_expect(&kit, &kit.pbx, "OPTIONS ");
	peer_answer(&kit, &kit.pbx, "503 Full", "x", "", "");
	kit_pump(&kit, 5);
	kit_reload(&kit);
	assert_string_equal(state_of(&kit, &kit.pbx), "down");
	assert_true(servers_admit(kit.gateway, 0, &kit.pbx.address));
	phone_invites(&kit, &kit.phone, "one", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.stranger, "INVITE ");
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_server_is_followed_by_the_next),
		cmocka_unit_test(a_late_answer_of_a_server_that_was_given_up_is_ended),
		cmocka_unit_test(a_silent_zone_is_followed_by_the_next),
		cmocka_unit_test(zones_are_asked_once),
		cmocka_unit_test(the_next_zone_is_remembered),
		cmocka_unit_test(subscriptions_go_to_the_next_too),
		cmocka_unit_test(a_late_200_gets_ack_and_bye),
		cmocka_unit_test(a_503_goes_to_the_next_and_none_is_asked_twice),
		cmocka_unit_test(a_call_that_rings_stays),
		cmocka_unit_test(a_cancelled_call_goes_nowhere_else),
		cmocka_unit_test(messages_go_to_the_next_too),
		cmocka_unit_test(registrations_go_to_the_next_too),
		cmocka_unit_test(servers_are_watched_and_passed_over_while_down),
		cmocka_unit_test(a_server_that_answers_503_to_options_is_down),
		cmocka_unit_test(balanced_peers_share_what_comes),
		cmocka_unit_test(only_servers_of_peers_may_speak),
		cmocka_unit_test(what_is_known_of_servers_outlives_a_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
