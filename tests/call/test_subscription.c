/* SPDX-License-Identifier: Apache-2.0
 * SUBSCRIBE, NOTIFY and PUBLISH through the gateway: what subscribers and notifiers see of each other, in every order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/calls.h"
#include "call/events.h"
#include "kit.h"

#define PIDF "application/pidf+xml"
#define DAY_MS 86400000

static struct kit kit;

static uint32_t subscriptions(void)
{
	return pool_alive(kit.gateway->subscription_pool);
}

/* From the phone, or whoever has its side, to 600; `name` makes branch, Call-ID and tag. */
static void subscribes(struct peer *peer, const char *name, const char *event, const char *extra)
{
	peer_send(&kit, peer,
		  "SUBSCRIBE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=%s\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: %s\nCSeq: 3 SUBSCRIBE\nContact: <sip:1001@127.0.0.1:%u>\nEvent: %s\nAccept: " PIDF "\n%s"
		  "Content-Length: 0\n\n",
		  peer->address.port, name, name, name, peer->address.port, event, extra);
}

/* The PBX has accepted a subscription of the phone; both sides' dialogs are in subscriber and notifier. */
static void subscribed(struct side *subscriber, struct side *notifier, const char *extra)
{
	subscribes(&kit.phone, "sub", "presence", extra);
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	side_of_callee(notifier, &kit.pbx, "ntag");
	peer_answer(&kit, &kit.pbx, "200 OK", "ntag", "Expires: 600\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(subscriber, &kit.phone);
}

static void notifies(struct side *notifier, const char *state, const char *text)
{
	char extra[512];

	snprintf(extra, sizeof(extra), "Event: presence\nSubscription-State: %s\n%s", state,
		 *text ? "Content-Type: " PIDF "\n" : "");
	side_sends(&kit, notifier, "NOTIFY", extra, text);
}

static void everything_goes(void)
{
	kit_skip(&kit, 40000);
	kit_silence(&kit);
	assert_int_equal(subscriptions(), 0);
	kit_stop(&kit);
}

/* A request of the PBX outside any dialog. */
static void pbx_sends(const char *method, const char *user, const char *name, const char *extra, const char *text)
{
	peer_send(&kit, &kit.pbx,
		  "%s sip:%s@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:pbx@10.9.8.7>;tag=%s\nTo: <sip:%s@10.9.8.7>\nCall-ID: %s@10.9.8.7\n"
		  "CSeq: 5 %s\nContact: <sip:pbx@10.9.8.7:%u>\n%sContent-Length: %%LENGTH%%\n\n%s",
		  method, user, kit.pbx.address.port, name, name, user, name, method, kit.pbx.address.port, extra,
		  text);
}

/* ---- The plain way ---- */

static void a_subscription_is_accepted_notified_refreshed_and_ended(void **state)
{
	struct side subscriber, notifier;
	char refresh[64];

	(void)state;
	kit_start(&kit, "", "none");
	subscribes(&kit.phone, "sub", "presence;id=7;call-id=\"x@10.0.0.1\"",
		   "Expires: 3600\nAllow-Events: dialog, nonsense\n");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE sip:600@");
	assert_string_equal(header(&kit.pbx, "Event"), "presence;id=7");
	assert_string_equal(header(&kit.pbx, "Allow-Events"), "dialog");
	assert_string_equal(header(&kit.pbx, "Expires"), "3600");
	assert_string_equal(header(&kit.pbx, "Accept"), PIDF);
	assert_null(strstr(kit.pbx.text, "Call-ID: sub"));
	assert_null(strstr(header(&kit.pbx, "Contact"), "1001"));
	assert_string_not_equal(tag(&kit.pbx, "From"), "sub");
	side_of_callee(&notifier, &kit.pbx, "ntag");
	peer_answer(&kit, &kit.pbx, "202 Accepted", "ntag", "Expires: 600\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 202");
	side_of_caller(&subscriber, &kit.phone);
	assert_string_equal(header(&kit.phone, "Expires"), "600");
	assert_string_not_equal(tag(&kit.phone, "To"), "ntag");
	assert_int_equal(subscriptions(), 1);

	side_sends(&kit, &notifier, "NOTIFY",
		   "Event: presence;id=7\nSubscription-State: active;expires=600;x=10.0.0.1\nContent-Type: " PIDF "\n",
		   "<presence entity=\"sip:600@10.9.8.7:5060\"><tuple id=\"a\"/></presence>");
	peer_expect(&kit, &kit.phone, "NOTIFY sip:1001@127.0.0.1");
	assert_string_equal(header(&kit.phone, "Subscription-State"), "active;expires=600");
	assert_string_equal(header(&kit.phone, "Event"), "presence;id=7");
	assert_string_equal(header(&kit.phone, "Content-Type"), PIDF);
	assert_string_equal(body(&kit.phone),
			    "<presence entity=\"sip:600@voip.example.org\"><tuple id=\"a\"/></presence>");
	assert_string_equal(header(&kit.phone, "Call-ID"), "sub");
	assert_string_equal(tag(&kit.phone, "To"), "sub");
	assert_true(strstr(subscriber.to, tag(&kit.phone, "From")) != NULL);
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");

	snprintf(refresh, sizeof(refresh), "Event: presence;id=7\nExpires: 1200\n");
	side_sends(&kit, &subscriber, "SUBSCRIBE", refresh, "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	assert_string_equal(tag(&kit.pbx, "To"), "ntag");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "Expires: 1200\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");

	side_sends(&kit, &subscriber, "SUBSCRIBE", "Event: presence;id=7\nExpires: 0\n", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	assert_string_equal(header(&kit.pbx, "Expires"), "0");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "Expires: 0\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_int_equal(subscriptions(), 1); /* the last NOTIFY is still to come */
	side_sends(&kit, &notifier, "NOTIFY", "Event: presence;id=7\nSubscription-State: terminated;reason=timeout\n",
		   "");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	assert_string_equal(header(&kit.phone, "Subscription-State"), "terminated;reason=timeout");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	assert_int_equal(subscriptions(), 0);
	everything_goes();
}

/* THREATS S18: by its peers' hosts and its own domain a zone's inside is known, and what lies in it. */
static void hosts_of_the_zone_do_not_cross_in_bodies(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start_pair(&kit, "", "    domain: office.example\n");
	subscribed(&subscriber, &notifier, "");
	notifies(&notifier, "active",
		 "<a b=\"wss://office.example:8089/ws\" c=\"https://wiki.office.example/x\" d=\"http://127.0.0.1/\" "
		 "e=\"https://example.com/\" f=\"https://backoffice.example/\"/>");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	assert_string_equal(body(&kit.phone), "<a b=\"wss://voip.example.org/ws\" c=\"https://voip.example.org/x\" "
					      "d=\"http://voip.example.org/\" e=\"https://example.com/\" "
					      "f=\"https://backoffice.example/\"/>");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	kit_skip(&kit, 700000);
	everything_goes();
}

static void a_notification_may_come_before_the_answer(void **state)
{
	struct side notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribes(&kit.phone, "sub", "presence", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	side_of_callee(&notifier, &kit.pbx, "early");
	notifies(&notifier, "pending", "");
	peer_agrees(&kit, &kit.phone, "NOTIFY ", "", &kit.pbx);
	notifier.cseq++; /* as many times as it likes */
	notifies(&notifier, "active;expires=60", "");
	peer_agrees(&kit, &kit.phone, "NOTIFY ", "", &kit.pbx);
	assert_int_equal(subscriptions(), 1);
	kit_skip(&kit, 100000);
	assert_int_equal(subscriptions(), 0); /* nobody refreshed it */
	everything_goes();
}

static void a_fetch_is_one_notification(void **state)
{
	struct side notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribes(&kit.phone, "sub", "presence", "Expires: 0\n");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	side_of_callee(&notifier, &kit.pbx, "ntag");
	notifies(&notifier, "terminated;reason=timeout", "");
	peer_agrees(&kit, &kit.phone, "NOTIFY ", "", &kit.pbx);
	assert_int_equal(subscriptions(), 1); /* the SUBSCRIBE waits for its answer */
	side_of_callee(&notifier, &kit.pbx, "ntag");
	kit.pbx.text[0] = 0;
	kit_stop(&kit);

	kit_start(&kit, "", "none");
	subscribes(&kit.phone, "sub", "presence", "Expires: 0\n");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	side_of_callee(&notifier, &kit.pbx, "ntag");
	peer_answer(&kit, &kit.pbx, "200 OK", "ntag", "Expires: 0\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_skip(&kit, 40000); /* and no NOTIFY comes */
	assert_int_equal(subscriptions(), 0);
	everything_goes();
}

static void the_pbx_may_subscribe_at_a_phone(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start(&kit, "", "none");
	peer_registers(&kit, &kit.phone, "1001");
	pbx_sends("SUBSCRIBE", "1001", "psub", "Event: dialog\nExpires: 300\n", "");
	peer_expect(&kit, &kit.phone, "SUBSCRIBE sip:1001@127.0.0.1");
	assert_null(strstr(kit.phone.text, "10.9.8.7"));
	side_of_callee(&notifier, &kit.phone, "phtag");
	peer_answer(&kit, &kit.phone, "200 OK", "phtag", "Expires: 300\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	side_of_caller(&subscriber, &kit.pbx);
	side_sends(&kit, &notifier, "NOTIFY",
		   "Event: dialog\nSubscription-State: active\nContent-Type: application/dialog-info+xml\n",
		   "<dialog-info entity='sip:1001@192.168.3.4'/>");
	peer_expect(&kit, &kit.pbx, "NOTIFY ");
	assert_non_null(strstr(body(&kit.pbx), "sip:1001@voip.example.org"));
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_skip(&kit, 340000);
	everything_goes();
}

/* ---- Who may ask for what ---- */

static void unknown_events_are_refused_with_those_that_are_known(void **state)
{
	static const char *const events[] = {"nonsense", "presence.nonsense", "check-sync", "keep-alive"};

	(void)state;
	kit_start(&kit, "", "none");
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		char name[16];

		snprintf(name, sizeof(name), "e%zu", i);
		/* Who sends less is told less (test_reflection.c). */
		subscribes(&kit.phone, name, events[i],
			   "User-Agent: a phone that says much about itself, as they do\n");
		peer_expect(&kit, &kit.phone, "SIP/2.0 489");
		assert_non_null(strstr(header(&kit.phone, "Allow-Events"), "presence"));
		assert_null(strstr(header(&kit.phone, "Allow-Events"), "check-sync"));
	}
	peer_send(&kit, &kit.phone,
		  "SUBSCRIBE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKno;rport\n"
		  "From: <sip:1@voip.example.org>;tag=a\nTo: <sip:600@voip.example.org>\nCall-ID: no\n"
		  "CSeq: 3 SUBSCRIBE\nContact: <sip:1001@127.0.0.1>\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.phone, "SIP/2.0 489");
	peer_expect_nothing(&kit, &kit.pbx, "SUBSCRIBE ");
	everything_goes();
}

static void a_challenge_of_the_pbx_is_answered_by_the_phone(void **state)
{
	struct gateway_status status;

	(void)state;
	kit_start(&kit, "", "none");
	subscribes(&kit.phone, "sub", "presence", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	peer_answer(&kit, &kit.pbx, "407 Proxy", "c",
		    "Proxy-Authenticate: Digest realm=\"voip.example.org\", nonce=\"abc\"\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	assert_true(has_header(&kit.phone, "Proxy-Authenticate"));
	assert_int_equal(subscriptions(), 0);
	subscribes(&kit.phone, "again", "presence",
		   "Proxy-Authorization: Digest username=\"1001\", realm=\"voip.example.org\", nonce=\"abc\", "
		   "uri=\"sip:600@voip.example.org\", response=\"00000000000000000000000000000000\"\n");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	assert_true(has_header(&kit.pbx, "Proxy-Authorization"));
	peer_answer(&kit, &kit.pbx, "200 OK", "c", "Expires: 60\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.subscriptions, 1);
	assert_int_equal(status.counters.subscriptions_started, 2);
	kit_skip(&kit, 100000);
	everything_goes();
}

static void local_authentication_asks_subscribers_too(void **state)
{
	(void)state;
	kit_start(&kit, "    authentication: local\n", "none");
	subscribes(&kit.phone, "sub", "presence", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	peer_expect_nothing(&kit, &kit.pbx, "SUBSCRIBE ");
	everything_goes();
}

static void what_the_notifier_refuses_the_subscriber_hears(void **state)
{
	(void)state;
	kit_start(&kit, "", "none");
	subscribes(&kit.phone, "sub", "presence", "Expires: 5\n");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	peer_answer(&kit, &kit.pbx, "423 Brief", "x", "Min-Expires: 60\nWarning: 399 10.0.0.1 \"no\"\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 423");
	assert_string_equal(header(&kit.phone, "Min-Expires"), "60");
	assert_null(strstr(kit.phone.text, "10.0.0.1"));
	subscribes(&kit.phone, "sub2", "presence", "Expires: 4294967295\n");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	assert_string_equal(header(&kit.pbx, "Expires"), "86400"); /* no place is held for longer than a day */
	peer_answer(&kit, &kit.pbx, "503 Busy", "x", "Retry-After: 9 (10.0.0.1)\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 503");
	assert_string_equal(header(&kit.phone, "Retry-After"), "9");
	assert_int_equal(subscriptions(), 0);
	everything_goes();
}

static void a_full_table_refuses_the_next(void **state)
{
	struct pool *roomy;

	(void)state;
	kit_start(&kit, "", "none");
	roomy = kit.gateway->subscription_pool;
	kit.gateway->subscription_pool = pool_new(sizeof(struct subscription), 1);
	subscribes(&kit.phone, "first", "presence", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	subscribes(&kit.phone, "second", "presence", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 503");
	assert_true(has_header(&kit.phone, "Retry-After"));
	kit_skip(&kit, 100000);
	assert_int_equal(subscriptions(), 0);
	pool_free(roomy);
	everything_goes();
}

/* ---- Forks, strangers, forgeries ---- */

static void of_two_notifiers_the_first_is_heard(void **state)
{
	struct side first, second;

	(void)state;
	kit_start(&kit, "", "none");
	subscribes(&kit.phone, "sub", "presence", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	side_of_callee(&first, &kit.pbx, "one");
	side_of_callee(&second, &kit.pbx, "two");
	peer_answer(&kit, &kit.pbx, "200 OK", "one", "Expires: 60\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	notifies(&second, "active", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	notifies(&first, "active", "");
	peer_agrees(&kit, &kit.phone, "NOTIFY ", "", &kit.pbx);
	kit_skip(&kit, 100000);
	everything_goes();
}

/* THREATS S5, S6: everything is known but the right place to send from. */
static void s6_forged_notifications_change_nothing(void **state)
{
	struct side subscriber, notifier, forged;
	struct gateway_status status;

	(void)state;
	kit_start(&kit, "", "none");
	subscribed(&subscriber, &notifier, "");
	forged = notifier;
	forged.peer = &kit.stranger; /* on the phones' side */
	notifies(&forged, "terminated", "");
	peer_expect(&kit, &kit.stranger, "SIP/2.0 481");
	peer_expect_nothing(&kit, &kit.phone, "NOTIFY ");
	forged = subscriber; /* the subscriber's own names, used to notify it */
	side_sends(&kit, &forged, "NOTIFY", "Event: presence\nSubscription-State: terminated\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	forged = notifier;
	snprintf(forged.from, sizeof(forged.from), "<sip:600@voip.example.org>;tag=other");
	notifies(&forged, "terminated", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	forged = notifier;
	snprintf(forged.call_id, sizeof(forged.call_id), "guessed");
	notifies(&forged, "terminated", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	assert_int_equal(subscriptions(), 1);
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.dialog_strangers, 4);
	notifies(&notifier, "active", "");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	kit_skip(&kit, 700000);
	everything_goes();
}

/* The same from another address of the phones' zone: 127.0.0.1 is the subscriber's. */
static void s5_a_refresh_from_elsewhere_is_refused(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribed(&subscriber, &notifier, "");
	/* As if the subscription had been made from somewhere else. */
	list_each(link, &kit.gateway->all_subscriptions)
		list_object(link, struct subscription, in_all)->legs[SUBSCRIBER].flow.remote.ip[3] = 77;
	side_sends(&kit, &subscriber, "SUBSCRIBE", "Event: presence\nExpires: 0\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	peer_expect_nothing(&kit, &kit.pbx, "SUBSCRIBE ");
	assert_int_equal(subscriptions(), 1);
	kit_skip(&kit, 700000);
	everything_goes();
}

static void requests_out_of_order_are_refused(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribed(&subscriber, &notifier, "");
	notifier.cseq = 10;
	notifies(&notifier, "active", "");
	peer_agrees(&kit, &kit.phone, "NOTIFY ", "", &kit.pbx);
	notifier.cseq = 4;
	notifies(&notifier, "terminated", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 500");
	subscriber.cseq = 1;
	side_sends(&kit, &subscriber, "SUBSCRIBE", "Event: presence\nExpires: 0\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 500");
	assert_int_equal(subscriptions(), 1);
	kit_skip(&kit, 700000);
	everything_goes();
}

static void another_event_has_no_place_in_a_subscription(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribed(&subscriber, &notifier, "");
	side_sends(&kit, &notifier, "NOTIFY", "Event: dialog\nSubscription-State: active\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 489");
	side_sends(&kit, &notifier, "NOTIFY", "Event: presence;id=1\nSubscription-State: active\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 489");
	side_sends(&kit, &subscriber, "SUBSCRIBE", "Event: message-summary\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 489");
	side_sends(&kit, &notifier, "NOTIFY",
		   "Event: presence\nSubscription-State: active\nContent-Type: application/dialog-info+xml\n", "<a/>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 415");
	side_sends(&kit, &notifier, "NOTIFY", "Event: presence\nSubscription-State: active\nContent-Type: " PIDF "\n",
		   "<a\x01/>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 400");
	side_sends(&kit, &notifier, "NOTIFY", "Event: presence\nSubscription-State: active\nContent-Type: " PIDF "\n",
		   "<!DOCTYPE a [<!ENTITY b \"c\">]><a/>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 400");
	peer_expect_nothing(&kit, &kit.phone, "NOTIFY ");
	kit_skip(&kit, 700000);
	everything_goes();
}

/* ---- Ends ---- */

static void a_subscriber_that_knows_nothing_of_it_ends_it(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribed(&subscriber, &notifier, "");
	notifies(&notifier, "active", "");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	peer_answer(&kit, &kit.phone, "481 Gone", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	assert_int_equal(subscriptions(), 0);
	notifies(&notifier, "active", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	everything_goes();
}

static void a_subscriber_that_does_not_answer_ends_it(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribed(&subscriber, &notifier, "");
	notifies(&notifier, "active", "");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	kit_skip(&kit, 33000);
	assert_int_equal(subscriptions(), 0);
	notifies(&notifier, "active", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	everything_goes();
}

static void a_notifier_that_does_not_answer_a_refresh_ends_nothing(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribed(&subscriber, &notifier, "");
	side_sends(&kit, &subscriber, "SUBSCRIBE", "Event: presence\n", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	kit_skip(&kit, 33000);
	while (peer_receive(&kit, &kit.pbx, 0)) /* its repetitions */
		;
	assert_int_equal(subscriptions(), 1);
	side_sends(&kit, &subscriber, "SUBSCRIBE", "Event: presence\n", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	peer_answer(&kit, &kit.pbx, "481 Gone", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	assert_int_equal(subscriptions(), 0);
	everything_goes();
}

static void a_reload_keeps_subscriptions_and_a_stop_forgets_them(void **state)
{
	struct side subscriber, notifier;

	(void)state;
	kit_start(&kit, "", "none");
	subscribed(&subscriber, &notifier, "");
	kit_reload(&kit);
	notifies(&notifier, "active", "");
	peer_agrees(&kit, &kit.phone, "NOTIFY ", "", &kit.pbx);
	side_sends(&kit, &subscriber, "SUBSCRIBE", "Event: presence\n", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	gateway_stop(kit.gateway);
	peer_expect(&kit, &kit.phone, "SIP/2.0 503");
	assert_int_equal(subscriptions(), 0);
	subscribes(&kit.phone, "late", "presence", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 503");
	kit_stop(&kit);
}

/* The gate dies at any point after the first answer or notification: the next goes on, and no peer can tell. */
static void a_subscription_outlives_the_process(void **state)
{
	struct side subscriber, notifier;
	struct checkpoint_statistics kept;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	subscribed(&subscriber, &notifier, "");
	kit_kill(&kit);
	assert_int_equal(subscriptions(), 1);
	notifies(&notifier, "active", "<presence entity='sip:600@10.9.8.7'/>");
	peer_expect(&kit, &kit.phone, "NOTIFY sip:1001@127.0.0.1");
	assert_int_equal(strtoul(header(&kit.phone, "CSeq"), NULL, 10), 1);
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	kit_kill(&kit);
	notifies(&notifier, "active", "");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	assert_int_equal(strtoul(header(&kit.phone, "CSeq"), NULL, 10), 2);
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	notifier.cseq = 1; /* an old one is as old as before */
	notifies(&notifier, "terminated", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 500");
	side_sends(&kit, &subscriber, "SUBSCRIBE", "Event: presence\nExpires: 60\n", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	assert_string_equal(tag(&kit.pbx, "To"), "ntag");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "Expires: 60\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_kill(&kit);
	assert_int_equal(subscriptions(), 1);
	kit_skip(&kit, 140000); /* nobody refreshes it */
	assert_int_equal(subscriptions(), 0);
	checkpoint_statistics_get(kit.area, &kept);
	assert_int_equal(kept.records, 0);
	everything_goes();
}

/* Nobody has answered yet: the phone sends its SUBSCRIBE again, as to a gateway that was never there. */
static void one_that_nobody_accepted_yet_does_not(void **state)
{
	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	subscribes(&kit.phone, "sub", "presence", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	kit_kill(&kit);
	assert_int_equal(subscriptions(), 0);
	subscribes(&kit.phone, "sub", "presence", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	assert_int_equal(subscriptions(), 1);
	kit_skip(&kit, 140000);
	everything_goes();
}

static void record_copy(void *context, uint32_t slot, uint16_t kind, uint16_t version, struct span bytes)
{
	(void)slot;
	(void)version;
	if (kind == RECORD_SUBSCRIPTION)
		buffer_put_span(context, bytes);
}

/* Records that a broken process wrote: any byte of one, changed. */
static void no_record_breaks_the_next_process(void **state)
{
	struct side subscriber, notifier;
	char record[4096];
	struct buffer out = BUFFER_OVER(record);
	size_t length;
	uint32_t loaded = 0;

	(void)state;
	kit_start(&kit, "", "none");
	kit_keep(&kit);
	subscribed(&subscriber, &notifier, "");
	checkpoint_each(kit.area, record_copy, &out);
	length = out.length;
	assert_true(length > 200);
	subscription_forget(list_object(kit.gateway->all_subscriptions.next, struct subscription, in_all), 481);
	for (size_t at = 0; at < length; at++)
		for (int bit = 0; bit < 8; bit += 3) {
			record[at] ^= (char)(1 << bit);
			if (subscription_record_load(kit.gateway, 0, (struct span){record, length})) {
				subscription_forget(
					list_object(kit.gateway->all_subscriptions.next, struct subscription, in_all),
					481);
				loaded++;
			}
			record[at] ^= (char)(1 << bit);
		}
	assert_true(loaded > 0); /* with another name in it, say */
	for (size_t cut = 0; cut < length; cut++)
		assert_false(subscription_record_load(kit.gateway, 0, (struct span){record, cut}));
	assert_true(subscription_record_load(kit.gateway, 0, (struct span){record, length}));
	assert_false(subscription_record_load(kit.gateway, 0, (struct span){record, length})); /* twice: whose tags? */
	kit_skip(&kit, 700000);
	everything_goes();
}

/* Whatever allocation fails: an answer comes, and nothing is left. */
static void short_memory_loses_no_place(void **state)
{
	(void)state;
	for (long i = 0; i < 50; i++) {
		struct side subscriber, notifier;

		kit_start(&kit, "", "none");
		memory_fail_after(i);
		subscribes(&kit.phone, "sub", "presence;id=1", "");
		memory_fail_after(-1);
		if (peer_receive(&kit, &kit.pbx, 20) && !strncmp(kit.pbx.text, "SUBSCRIBE", 9)) {
			side_of_callee(&notifier, &kit.pbx, "ntag");
			memory_fail_after(i % 12);
			peer_answer(&kit, &kit.pbx, "200 OK", "ntag", "Expires: 60\n", "");
			memory_fail_after(-1);
			if (peer_receive(&kit, &kit.phone, 20)) {
				side_of_caller(&subscriber, &kit.phone);
				memory_fail_after(i % 10);
				side_sends(&kit, &notifier, "NOTIFY",
					   "Event: presence;id=1\nSubscription-State: active\n", "");
				memory_fail_after(-1);
			}
		}
		kit_skip(&kit, DAY_MS);
		for (int again = 0; again < 5; again++)
			kit_skip(&kit, 40000);
		kit_expect_nothing_left(&kit);
		assert_int_equal(subscriptions(), 0);
		kit_stop(&kit);
	}
}

/* ---- Outside subscriptions ---- */

static void the_pbx_may_tell_a_phone_of_its_messages(void **state)
{
	static const char summary[] =
		"Messages-Waiting: yes\nMessage-Account: sip:1001@10.9.8.7:5070\nVoice-Message: 2/8\n";
	static const char extra[] = "Event: message-summary\nSubscription-State: active\n"
				    "Content-Type: application/simple-message-summary\n";

	(void)state;
	kit_start(&kit, "", "none");
	peer_registers(&kit, &kit.phone, "1001");
	pbx_sends("NOTIFY", "1001", "mwi", extra, summary);
	peer_expect(&kit, &kit.phone, "NOTIFY sip:1001@127.0.0.1");
	assert_string_equal(header(&kit.phone, "Event"), "message-summary");
	assert_string_equal(header(&kit.phone, "Subscription-State"), "active");
	assert_true(has_header(&kit.phone, "Contact"));
	assert_non_null(strstr(body(&kit.phone), "Message-Account: sip:1001@voip.example.org\r\n"));
	assert_null(strstr(kit.phone.text, "10.9.8.7"));
	peer_answer(&kit, &kit.phone, "200 OK", "p", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	pbx_sends("NOTIFY", "1001", "sync", "Event: check-sync;reboot=true\nSubscription-State: terminated\n", "");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	assert_string_equal(header(&kit.phone, "Event"), "check-sync;reboot=true");
	peer_answer(&kit, &kit.phone, "200 OK", "p", "", "");
	pbx_sends("NOTIFY", "1001", "pres", "Event: presence\nSubscription-State: active\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481"); /* not without a subscription */
	pbx_sends("NOTIFY", "nobody", "none", extra, summary);
	peer_expect(&kit, &kit.pbx, "SIP/2.0 404");
	kit_silence(&kit);
	kit_stop(&kit);
}

/* THREATS S6: who may make phones restart is inside. */
static void s6_nobody_outside_notifies_without_a_subscription(void **state)
{
	static const char *const events[] = {"check-sync", "message-summary", "presence"};

	(void)state;
	kit_start(&kit, "", "none");
	peer_registers(&kit, &kit.phone, "1001");
	for (size_t i = 0; i < 3; i++) {
		peer_send(&kit, &kit.stranger,
			  "NOTIFY sip:1001@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP "
			  "127.0.0.1:%u;branch=z9hG4bKn%zu;rport\n"
			  "Max-Forwards: 70\nFrom: <sip:600@voip.example.org>;tag=a\nTo: <sip:1001@voip.example.org>\n"
			  "Call-ID: n%zu\nCSeq: 1 NOTIFY\nContact: <sip:x@127.0.0.1>\nEvent: %s\n"
			  "Subscription-State: active\nContent-Length: 0\n\n",
			  kit.stranger.address.port, i, i, events[i]);
		peer_expect(&kit, &kit.stranger, "SIP/2.0 481");
	}
	peer_send(&kit, &kit.stranger,
		  "NOTIFY sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKkeep;rport\n"
		  "From: <sip:600@voip.example.org>;tag=a\nTo: <sip:voip.example.org>\nCall-ID: keep\nCSeq: 1 NOTIFY\n"
		  "Event: keep-alive\nContent-Length: 0\n\n",
		  kit.stranger.address.port);
	peer_expect(&kit, &kit.stranger, "SIP/2.0 200");
	peer_expect_nothing(&kit, &kit.phone, "NOTIFY ");
	peer_expect_nothing(&kit, &kit.pbx, "NOTIFY ");
	kit_silence(&kit);
	kit_stop(&kit);
}

static void publishes(const char *name, const char *event, const char *extra, const char *text)
{
	peer_send(&kit, &kit.phone,
		  "PUBLISH sip:1001@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=p\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: %s\nCSeq: 1 PUBLISH\nEvent: %s\n%s%sContent-Length: %%LENGTH%%\n\n%s",
		  kit.phone.address.port, name, name, event, extra, *text ? "Content-Type: " PIDF "\n" : "", text);
}

static void a_phone_publishes_its_state(void **state)
{
	(void)state;
	kit_start(&kit, "", "none");
	publishes("p1", "presence", "Expires: 600\n", "<presence entity='pres:1001@192.168.1.2'/>");
	peer_expect(&kit, &kit.pbx, "PUBLISH sip:1001@");
	assert_string_equal(header(&kit.pbx, "Event"), "presence");
	assert_string_equal(header(&kit.pbx, "Expires"), "600");
	assert_string_equal(body(&kit.pbx), "<presence entity='pres:1001@voip.example.org'/>");
	peer_answer(&kit, &kit.pbx, "200 OK", "q", "SIP-ETag: dx200xyz\nExpires: 300\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_string_equal(header(&kit.phone, "SIP-ETag"), "dx200xyz");
	assert_string_equal(header(&kit.phone, "Expires"), "300");
	publishes("p2", "presence", "SIP-If-Match: dx200xyz\nExpires: 0\n", "");
	peer_expect(&kit, &kit.pbx, "PUBLISH ");
	assert_string_equal(header(&kit.pbx, "SIP-If-Match"), "dx200xyz");
	assert_string_equal(header(&kit.pbx, "Expires"), "0");
	peer_answer(&kit, &kit.pbx, "412 Conditional", "q", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 412");
	publishes("p3", "check-sync", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 489");
	publishes("p4", "dialog", "", "<presence/>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 415");
	publishes("p5", "presence", "", "<presence\xff/>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	pbx_sends("PUBLISH", "1001", "p6", "Event: presence\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 489");
	kit_silence(&kit);
	kit_stop(&kit);
}

/* ---- Dialog information: what it names can be found again, and used for nothing else ---- */

static void dialogs_in_bodies_are_found_by_hidden_names(void **state)
{
	struct side caller, callee, subscriber, notifier;
	char text[1024], call_id[256], ours[64];
	struct dialog_names names;
	const char *local, *remote;

	(void)state;
	kit_start(&kit, "", "none");
	kit_establish(&kit, &kit.phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	snprintf(call_id, sizeof(call_id), "%s", callee.call_id);
	snprintf(ours, sizeof(ours), "%s", strstr(callee.to, ";tag=") + 5);
	subscribes(&kit.phone, "sub", "dialog", "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	side_of_callee(&notifier, &kit.pbx, "ntag");
	peer_answer(&kit, &kit.pbx, "200 OK", "ntag", "Expires: 60\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&subscriber, &kit.phone);
	snprintf(text, sizeof(text),
		 "<dialog-info><dialog id='%s' call-id='%s' local-tag='%s' remote-tag='pbxtag'/>"
		 "<dialog id='x' call-id='far@10.9.8.7' local-tag='%s' remote-tag='b'/></dialog-info>",
		 call_id, call_id, ours, ours);
	side_sends(&kit, &notifier, "NOTIFY",
		   "Event: dialog\nSubscription-State: active\nContent-Type: application/dialog-info+xml\n", text);
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	assert_null(strstr(body(&kit.phone), call_id));
	assert_null(strstr(body(&kit.phone), "pbxtag"));
	assert_null(strstr(body(&kit.phone), "10.9.8.7"));
	local = strstr(body(&kit.phone), "local-tag='");
	remote = strstr(body(&kit.phone), "remote-tag='");
	assert_memory_equal(local + 11, ours, strlen(ours));
	assert_true(strstr(local + 11, ours) == local + 11);
	assert_null(strstr(local + 12, ours)); /* not in a dialog that it does not name */
	{
		struct span hidden = {strstr(body(&kit.phone), "call-id='") + 9, 16}, theirs = {remote + 12, 16};
		uint8_t pbx = kit.access_zone ^ 1;

		assert_true(dialog_hidden_find(kit.gateway, pbx, hidden, span_from(ours), theirs, &names));
		assert_true(names.to_is_ours);
		assert_string_equal(names.call_id, call_id);
		assert_string_equal(names.peer_tag, "pbxtag");
		assert_true(dialog_hidden_find(kit.gateway, pbx, hidden, theirs, span_from(ours), &names));
		assert_false(names.to_is_ours);
		assert_false(dialog_hidden_find(kit.gateway, kit.access_zone, hidden, span_from(ours), theirs, &names));
		theirs.length = 15;
		assert_false(dialog_hidden_find(kit.gateway, pbx, hidden, span_from(ours), theirs, &names));
	}
	/* S6: the names do not let their reader end the call. */
	snprintf(caller.to, sizeof(caller.to), "<sip:600@voip.example.org>;tag=%s", ours);
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	peer_expect_nothing(&kit, &kit.pbx, "BYE ");
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_subscription_is_accepted_notified_refreshed_and_ended),
		cmocka_unit_test(hosts_of_the_zone_do_not_cross_in_bodies),
		cmocka_unit_test(a_notification_may_come_before_the_answer),
		cmocka_unit_test(a_fetch_is_one_notification),
		cmocka_unit_test(the_pbx_may_subscribe_at_a_phone),
		cmocka_unit_test(unknown_events_are_refused_with_those_that_are_known),
		cmocka_unit_test(a_challenge_of_the_pbx_is_answered_by_the_phone),
		cmocka_unit_test(local_authentication_asks_subscribers_too),
		cmocka_unit_test(what_the_notifier_refuses_the_subscriber_hears),
		cmocka_unit_test(a_full_table_refuses_the_next),
		cmocka_unit_test(of_two_notifiers_the_first_is_heard),
		cmocka_unit_test(s6_forged_notifications_change_nothing),
		cmocka_unit_test(s5_a_refresh_from_elsewhere_is_refused),
		cmocka_unit_test(requests_out_of_order_are_refused),
		cmocka_unit_test(another_event_has_no_place_in_a_subscription),
		cmocka_unit_test(a_subscriber_that_knows_nothing_of_it_ends_it),
		cmocka_unit_test(a_subscriber_that_does_not_answer_ends_it),
		cmocka_unit_test(a_notifier_that_does_not_answer_a_refresh_ends_nothing),
		cmocka_unit_test(a_reload_keeps_subscriptions_and_a_stop_forgets_them),
		cmocka_unit_test(a_subscription_outlives_the_process),
		cmocka_unit_test(one_that_nobody_accepted_yet_does_not),
		cmocka_unit_test(no_record_breaks_the_next_process),
		cmocka_unit_test(short_memory_loses_no_place),
		cmocka_unit_test(the_pbx_may_tell_a_phone_of_its_messages),
		cmocka_unit_test(s6_nobody_outside_notifies_without_a_subscription),
		cmocka_unit_test(a_phone_publishes_its_state),
		cmocka_unit_test(dialogs_in_bodies_are_found_by_hidden_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
