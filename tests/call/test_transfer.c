/* SPDX-License-Identifier: Apache-2.0
 * Transfers: REFER, Replaces and what is told of the result, in both directions (RFC 3515, 3891, 3892, 4488). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/calls.h"
#include "kit.h"

static struct kit kit;
static struct side phone, pbx;   /* of the first call */
static struct side phone2, pbx2; /* of the second */

static int start_with(const char *zone_extra)
{
	kit_start(&kit, zone_extra, "none");
	kit_establish(&kit, &kit.phone, &phone, &pbx, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	return 0;
}

static int start(void **state)
{
	(void)state;
	return start_with("");
}

static int start_refusing(void **state)
{
	(void)state;
	return start_with("    transfers: refuse\n");
}

static int stop(void **state)
{
	(void)state;
	memory_fail_after(-1);
	kit_stop(&kit);
	return 0;
}

static void second_call(void)
{
	phone_calls(&kit, "two", 4002);
	side_of_callee(&pbx2, &kit.pbx, "pbxtag2");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag2", "", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&phone2, &kit.phone);
	side_sends(&kit, &phone2, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
}

static uint64_t counted(const char *what)
{
	struct gateway_status status;

	gateway_status_get(kit.gateway, &status);
	return !strcmp(what, "passed") ? status.counters.transfers_passed : status.counters.transfers_refused;
}

/* The value of a tag in "…;tag=x". */
static const char *tag_in(const char *address)
{
	return strstr(address, ";tag=") + 5;
}

static const char *names(const char *call_id, const char *to_tag, const char *from_tag)
{
	static char text[4][600];
	static unsigned next;
	char *out = text[next++ % 4];

	snprintf(out, sizeof(text[0]), "%s;to-tag=%s;from-tag=%s", call_id, to_tag, from_tag);
	return out;
}

/* "call-id;to-tag=…;from-tag=…" of a dialog as the side knows it, for who is on its other end; and for the side itself. */
static const char *names_of(const struct side *side)
{
	return names(side->call_id, tag_in(side->to), tag_in(side->from));
}

static const char *names_for(const struct side *side)
{
	return names(side->call_id, tag_in(side->from), tag_in(side->to));
}

/* The same, and as it stands in a URI. */
static const char *escaped(const char *text)
{
	static char out[1200];
	size_t length = 0;

	for (; *text; text++)
		length += (size_t)snprintf(out + length, sizeof(out) - length, strchr(";=@", *text) ? "%%%02X" : "%c",
					   (unsigned char)*text);
	return out;
}

static void refers(struct side *side, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refers(struct side *side, const char *format, ...)
{
	char target[1500], extra[2000];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(target, sizeof(target), format, arguments);
	va_end(arguments);
	snprintf(extra, sizeof(extra), "Refer-To: %s\n", target);
	side_sends(&kit, side, "REFER", extra, "");
}

/* The PBX sends the phone to 2001; the token that the phone is given. */
static const char *pbx_refers_phone(const char *more)
{
	static char token[64];
	const char *at;

	refers(&pbx, "<sip:2001@10.1.2.3:5090;transport=tcp%s>\nReferred-By: <sip:1002@10.1.2.3>", more);
	peer_expect(&kit, &kit.phone, "REFER ");
	at = strstr(header(&kit.phone, "Refer-To"), "<sip:");
	assert_non_null(at);
	snprintf(token, sizeof(token), "%.*s", (int)strcspn(at + 5, "@"), at + 5);
	assert_int_equal(strlen(token), TAG_LENGTH);
	return token;
}

static void accepts(struct peer *by, struct peer *of)
{
	peer_answer(&kit, by, "202 Accepted", "", "", "");
	peer_expect(&kit, of, "SIP/2.0 202");
	assert_true(has_header(of, "Contact"));
}

static void phone_dials(struct peer *peer, const char *user, const char *name, const char *extra)
{
	peer_send(&kit, peer,
		  "INVITE sip:%s@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=%s\nTo: <sip:%s@voip.example.org>\n"
		  "Call-ID: %s\nCSeq: 7 INVITE\nContact: <sip:1001@127.0.0.1:%u>\n%sContent-Type: application/sdp\n"
		  "Content-Length: %%LENGTH%%\n\n%s",
		  user, peer->address.port, name, name, user, name, peer->address.port, extra,
		  sdp_plain(4004, "sendrecv"));
}

static void pbx_dials(const char *user, const char *name, const char *extra)
{
	peer_send(&kit, &kit.pbx,
		  "INVITE sip:%s@127.0.0.1 SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s\nMax-Forwards: 70\n"
		  "From: <sip:2002@voip.example.org>;tag=%s\nTo: <sip:%s@voip.example.org>\nCall-ID: %s\nCSeq: 1 "
		  "INVITE\nContact: <sip:2002@127.0.0.1:%u>\n%sContent-Type: application/sdp\n"
		  "Content-Length: %%LENGTH%%\n\n%s",
		  user, kit.pbx.address.port, name, name, user, name, kit.pbx.address.port, extra,
		  sdp_plain(5000, "sendrecv"));
}

static void take_payer(void *context, const struct gateway_call_view *view)
{
	if (strcmp(view->state, "established") != 0)
		snprintf(context, 64, "%s", view->payer);
}

/* Of the call that is not answered yet. */
static const char *payer_of_new(void)
{
	static char payer[64];

	strcpy(payer, "no such call");
	gateway_calls_each(kit.gateway, take_payer, payer);
	return payer;
}

static void notifies(struct side *side, const char *event, const char *state, const char *fragment)
{
	char extra[400];

	snprintf(extra, sizeof(extra), "Event: %s\nSubscription-State: %s\n%s", event, state,
		 *fragment ? "Content-Type: message/sipfrag;version=2.0\n" : "");
	side_sends(&kit, side, "NOTIFY", extra, fragment);
}

/* ---- Blind ---- */

static void a_phone_transfers_to_a_number_and_is_told_the_result(void **state)
{
	char event[64];

	(void)state;
	refers(&phone, "\"Boss\" <sip:2001@evil.example.net;user=phone?Subject=x>\nReferred-By: <sip:boss@x.example>");
	peer_expect(&kit, &kit.pbx, "REFER ");
	assert_string_equal(header(&kit.pbx, "Refer-To"), "<sip:2001@voip.example.org>");
	assert_string_equal(header(&kit.pbx, "Referred-By"), "<sip:1001@voip.example.org>");
	assert_true(has_header(&kit.pbx, "Contact"));
	snprintf(event, sizeof(event), "refer;id=%lu", strtoul(header(&kit.pbx, "CSeq"), NULL, 10));
	accepts(&kit.pbx, &kit.phone);
	assert_int_equal(counted("passed"), 1);

	notifies(&pbx, event, "active;expires=60;x=10.0.0.7",
		 "SIP/2.0 180 Ringing at bob's\nContact: <sip:2001@10.0.0.7>\n");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	snprintf(event, sizeof(event), "refer;id=%u", phone.cseq);
	assert_string_equal(header(&kit.phone, "Event"), event);
	assert_string_equal(header(&kit.phone, "Subscription-State"), "active;expires=60");
	assert_string_equal(header(&kit.phone, "Content-Type"), "message/sipfrag;version=2.0");
	assert_string_equal(body(&kit.phone), "SIP/2.0 180 Ringing\r\n");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");

	/* It hangs up, and is told the end all the same (RFC 5057). */
	side_sends(&kit, &phone, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	peer_expect(&kit, &kit.pbx, "BYE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	notifies(&pbx, "refer", "terminated;reason=noresource;host=10.0.0.7", "SIP/2.0 200 OK\n");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	assert_string_equal(header(&kit.phone, "Event"), "refer");
	assert_string_equal(header(&kit.phone, "Subscription-State"), "terminated;reason=noresource");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	notifies(&pbx, "refer", "terminated", "SIP/2.0 200 OK\n");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	kit_silence(&kit);
}

static void the_pbx_transfers_a_phone_which_dials_a_token_that_the_pbx_pays_for(void **state)
{
	char token[64];

	(void)state;
	strcpy(token, pbx_refers_phone(""));
	assert_null(strstr(kit.phone.text, "2001"));
	assert_null(strstr(kit.phone.text, "10.1.2.3"));
	assert_string_equal(header(&kit.phone, "Referred-By"), "<sip:1002@voip.example.org>");
	accepts(&kit.phone, &kit.pbx);

	phone_dials(&kit.phone, token, "new", "Referred-By: <sip:somebody@else.example>\n");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@voip.example.org SIP/2.0");
	assert_string_equal(header(&kit.pbx, "To"), "<sip:2001@voip.example.org>");
	assert_string_equal(header(&kit.pbx, "Referred-By"), "<sip:1002@voip.example.org>");
	assert_null(strstr(kit.pbx.text, token));
	assert_string_equal(payer_of_new(), "1002");
	peer_answer(&kit, &kit.pbx, "180 Ringing", "x", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	notifies(&phone, "refer", "terminated;reason=noresource", "SIP/2.0 200 OK\n");
	peer_expect(&kit, &kit.pbx, "NOTIFY ");
	assert_string_equal(body(&kit.pbx), "SIP/2.0 200 OK\r\n");
}

static void a_token_is_good_once(void **state)
{
	char token[64];

	(void)state;
	strcpy(token, pbx_refers_phone(""));
	phone_dials(&kit.phone, token, "first", "");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@");
	phone_dials(&kit.phone, token, "second", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE sip:2001@voip.example.org SIP/2.0\r\nVia: x");
	assert_int_equal(counted("refused"), 1);
	peer_answer(&kit, &kit.pbx, "486 Busy Here", "x", "", "");
	phone_dials(&kit.phone, token, "third", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
}

static void a_challenge_does_not_use_a_token_up(void **state)
{
	char token[64];

	(void)state;
	strcpy(token, pbx_refers_phone(""));
	phone_dials(&kit.phone, token, "first", "");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@");
	peer_answer(&kit, &kit.pbx, "407 Proxy Authentication Required", "x",
		    "Proxy-Authenticate: Digest realm=\"voip.example.org\", nonce=\"n\"\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 407");
	phone_dials(&kit.phone, token, "firstagain", "");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@");
	assert_string_equal(payer_of_new(), "1002");
	phone_dials(&kit.phone, token, "second", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
}

static void a_token_expires(void **state)
{
	char token[64];

	(void)state;
	strcpy(token, pbx_refers_phone(""));
	assert_int_equal(table_count(kit.gateway->transfers), 1);
	kit_skip(&kit, 61000);
	assert_int_equal(table_count(kit.gateway->transfers), 0);
	phone_dials(&kit.phone, token, "late", "");
	while (peer_receive(&kit, &kit.pbx, 100))
		assert_null(strstr(kit.pbx.text, "INVITE sip:2001@"));
}

/* However many REFERs a call has, its unused tokens stay few; the last ones are good, and those of another call untouched. */
static void a_call_cannot_fill_the_table_of_transfers(void **state)
{
	char first[64], token[4][64];

	(void)state;
	strcpy(first, pbx_refers_phone(""));
	accepts(&kit.phone, &kit.pbx);
	second_call();
	refers(&pbx2, "<sip:2002@voip.example.org>");
	peer_expect(&kit, &kit.phone, "REFER ");
	accepts(&kit.phone, &kit.pbx);
	for (int i = 0; i < 20; i++) {
		strcpy(token[i % 4], pbx_refers_phone(""));
		accepts(&kit.phone, &kit.pbx);
		assert_true(table_count(kit.gateway->transfers) <= 4 + 1);
	}
	assert_int_equal(table_count(kit.gateway->transfers), 4 + 1);
	assert_int_equal(counted("passed"), 22);
	phone_dials(&kit.phone, token[0], "oldest", "");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@");
	for (int i = 0; i < 4; i++) { /* the used one is no burden */
		strcpy(token[i], pbx_refers_phone(""));
		accepts(&kit.phone, &kit.pbx);
	}
	assert_int_equal(table_count(kit.gateway->transfers), 4 + 1 + 1);
	phone_dials(&kit.phone, first, "gone", "");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE sip:2001@");

	side_sends(&kit, &phone, "BYE", "", ""); /* tokens outlive the call that they were given in */
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	phone_dials(&kit.phone, token[3], "newest", "");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@");
}

static void nobody_but_who_was_sent_may_use_a_token(void **state)
{
	struct gateway *gateway = kit.gateway;
	struct sip_message invite = {.is_request = true};
	struct transfer *transfer;
	struct flow flow;
	char token[64];

	(void)state;
	strcpy(token, pbx_refers_phone(""));
	invite.request_uri.user = span_from(token);
	flow = list_object(gateway->all_calls.next, struct call, in_all)->legs[CALLER].flow;
	assert_int_equal(transfer_find(gateway, &flow, &invite, &transfer), 0);
	assert_non_null(transfer);
	flow.remote.ip[3] ^= 1;
	assert_int_equal(transfer_find(gateway, &flow, &invite, &transfer), 403);
	assert_null(transfer);
	pbx_dials(token, "inside", ""); /* nor the PBX, to which it is no phone's */
	peer_expect(&kit, &kit.pbx, "SIP/2.0 403");
}

static void tokens_follow_a_reload(void **state)
{
	char token[64];

	(void)state;
	strcpy(token, pbx_refers_phone(""));
	kit_reload(&kit);
	phone_dials(&kit.phone, token, "new", "");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@");
}

/* ---- Who may, and what is refused ---- */

static void a_zone_that_takes_no_part_refuses(void **state)
{
	(void)state;
	refers(&phone, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	refers(&pbx, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 403");
	assert_int_equal(counted("refused"), 2);
	assert_int_equal(counted("passed"), 0);
	phone_dials(&kit.phone, "600", "replacing", "Replaces: a;to-tag=b;from-tag=c\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	side_sends(&kit, &phone, "INFO", "", ""); /* the call goes on */
	peer_expect(&kit, &kit.pbx, "INFO ");
}

static void forged_refers_change_nothing(void **state)
{
	struct side forged;

	(void)state;
	forged = pbx; /* the right names on the wrong side */
	forged.peer = &kit.stranger;
	refers(&forged, "<sip:900123@voip.example.org>");
	peer_expect(&kit, &kit.stranger, "SIP/2.0 481");
	forged = phone;
	forged.peer = &kit.pbx;
	refers(&forged, "<sip:900123@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	forged = phone;
	forged.cseq = 1; /* a copy of an old one */
	refers(&forged, "<sip:900123@voip.example.org>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 500");
	forged = phone; /* of a foreign source: an address that neither began the call nor registered */
	list_object(kit.gateway->all_calls.next, struct call, in_all)->legs[CALLER].flow.remote.ip[3] ^= 1;
	forged.cseq += 10;
	refers(&forged, "<sip:900123@voip.example.org>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	assert_int_equal(counted("passed"), 0);
	assert_int_equal(table_count(kit.gateway->transfers), 0);
	peer_expect_nothing(&kit, &kit.pbx, "REFER ");
	notifies(&forged, "refer", "active", "SIP/2.0 200 OK\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
}

static void what_cannot_be_referred_to_is_refused(void **state)
{
	static const struct {
		const char *target, *status;
	} cases[] = {
		{"<http://www.example.org>", "SIP/2.0 403"},
		{"<sip:2001@voip.example.org;method=BYE>", "SIP/2.0 403"},
		{"<sip:voip.example.org>", "SIP/2.0 403"},
		{"<sip:2001@voip.example.org?Replaces=nonsense>", "SIP/2.0 400"},
		{"<sip:2001@voip.example.org?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc&Replaces=x>", "SIP/2.0 400"},
		{"<sip:2001@voip.example.org?Replaces=a%0D%0AX%3A1%3Bto-tag%3Db%3Bfrom-tag%3Dc>", "SIP/2.0 400"},
		{"<sip:2001@voip.example.org?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc%22>", "SIP/2.0 400"},
	};

	(void)state;
	side_sends(&kit, &phone, "REFER", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		refers(&phone, "%s", cases[i].target);
		peer_expect(&kit, &kit.phone, cases[i].status);
	}
	peer_expect_nothing(&kit, &kit.pbx, "REFER ");
	refers(&phone, "<tel:+4930123>");
	peer_expect(&kit, &kit.pbx, "REFER ");
	assert_string_equal(header(&kit.pbx, "Refer-To"), "<sip:+4930123@voip.example.org;user=phone>");
}

static void outside_a_call_nobody_is_made_to_dial(void **state)
{
	static struct peer *peers[2];

	(void)state;
	peers[0] = &kit.phone;
	peers[1] = &kit.stranger;
	for (int i = 0; i < 2; i++) {
		peer_send(&kit, peers[i],
			  "REFER sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP "
			  "127.0.0.1:%u;branch=z9hG4bKo%d;rport\n"
			  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=o\nTo: <sip:600@voip.example.org>\n"
			  "Call-ID: o%d\nCSeq: 1 REFER\nContact: <sip:1001@127.0.0.1:%u>\n"
			  "Refer-To: <sip:2001@voip.example.org>\nContent-Length: 0\n\n",
			  peers[i]->address.port, i, i, peers[i]->address.port);
		peer_expect(&kit, peers[i], "SIP/2.0 403");
	}
	peer_expect_nothing(&kit, &kit.pbx, "REFER ");
}

static void before_the_answer_nobody_is_transferred(void **state)
{
	struct side early;

	(void)state;
	phone_calls(&kit, "early", 4002);
	peer_answer(&kit, &kit.pbx, "180 Ringing", "earlytag", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 180");
	side_of_caller(&early, &kit.phone);
	refers(&early, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
}

/* ---- Attended ---- */

static void a_phone_joins_its_two_calls(void **state)
{
	char wanted[1500];

	(void)state;
	second_call();
	refers(&phone, "<sip:600@voip.example.org?Replaces=%s&Require=replaces>", escaped(names_of(&phone2)));
	peer_expect(&kit, &kit.pbx, "REFER ");
	/* As the PBX knows the second call: what the phone knows of it is nowhere. */
	snprintf(wanted, sizeof(wanted),
		 "<sip:600@voip.example.org?Replaces=%s%%3bto-tag%%3dpbxtag2%%3bfrom-tag%%3d%s>", pbx2.call_id,
		 tag_in(pbx2.to));
	assert_string_equal(header(&kit.pbx, "Refer-To"), wanted);
	assert_null(strstr(header(&kit.pbx, "Refer-To"), tag_in(phone2.to)));
}

static void a_target_without_a_user_is_who_is_replaced(void **state)
{
	(void)state;
	second_call();
	refers(&phone, "<sip:127.0.0.1:5060?Replaces=%s>", escaped(names_of(&phone2)));
	peer_expect(&kit, &kit.pbx, "REFER ");
	assert_non_null(strstr(header(&kit.pbx, "Refer-To"), "<sip:600@voip.example.org?Replaces="));
}

static void the_pbx_joins_and_the_phone_carries_what_it_is_not_shown(void **state)
{
	char token[64], replaces[700];

	(void)state;
	/* A dialog within the PBX, of which the gateway knows nothing: it goes back where it came from. */
	strcpy(token, pbx_refers_phone("?Replaces=inner%40pbx%3Bto-tag%3Da1%3Bfrom-tag%3Db2%3Bearly-only"));
	assert_null(strstr(kit.phone.text, "inner"));
	phone_dials(&kit.phone, token, "new", "");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@voip.example.org");
	assert_string_equal(header(&kit.pbx, "Replaces"), "inner@pbx;to-tag=a1;from-tag=b2;early-only");

	/* One that is with a phone of ours. */
	second_call();
	snprintf(replaces, sizeof(replaces), "?Replaces=%.600s", escaped(names_of(&pbx2)));
	strcpy(token, pbx_refers_phone(replaces));
	phone_dials(&kit.phone, token, "newer", "");
	peer_expect(&kit, &kit.pbx, "INVITE sip:2001@voip.example.org");
	assert_string_equal(header(&kit.pbx, "Replaces"), names_of(&pbx2));
}

static void the_pbx_replaces_a_call_of_the_phone_that_it_is_with(void **state)
{
	char extra[800];

	(void)state;
	peer_registers(&kit, &kit.phone, "1001");
	snprintf(extra, sizeof(extra), "Require: replaces\nReplaces: %s\n", names_of(&pbx));
	pbx_dials("1001", "replacing", extra);
	peer_expect(&kit, &kit.phone, "INVITE ");
	assert_string_equal(header(&kit.phone, "Replaces"), names_for(&phone));
	assert_string_equal(header(&kit.phone, "Require"), "replaces");
	assert_string_equal(payer_of_new(), "2002");
}

static void a_phone_replaces_its_own_call(void **state)
{
	char extra[800];

	(void)state;
	snprintf(extra, sizeof(extra), "Replaces: %s\n", names_of(&phone));
	phone_dials(&kit.phone, "600", "moved", extra);
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_string_equal(header(&kit.pbx, "Replaces"), names_for(&pbx));
	snprintf(extra, sizeof(extra), "Replaces: %s;early-only\n", names_of(&phone));
	phone_dials(&kit.phone, "600", "early", extra);
	peer_expect(&kit, &kit.phone, "SIP/2.0 486"); /* it is answered (RFC 3891 section 3) */
}

static void s5_nobody_replaces_the_call_of_another(void **state)
{
	char extra[800];

	(void)state;
	second_call();
	/* The stranger has the same address as the phone, as behind one NAT, and knows all names; but another account. */
	peer_send(&kit, &kit.stranger,
		  "INVITE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKs1;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1666@voip.example.org>;tag=s\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: stranger\nCSeq: 7 INVITE\nContact: <sip:1666@127.0.0.1:%u>\nReplaces: %s\n"
		  "Content-Length: 0\n\n",
		  kit.stranger.address.port, kit.stranger.address.port, names_of(&phone));
	peer_expect(&kit, &kit.stranger, "SIP/2.0 481");
	/* Names of the other side are of no use on this one. */
	snprintf(extra, sizeof(extra), "Replaces: %s\n", names_of(&pbx));
	phone_dials(&kit.phone, "600", "crossed", extra);
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	refers(&phone, "<sip:600@voip.example.org?Replaces=%s>", escaped(names_of(&pbx2)));
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	/* Nor names that are of nothing; nor with the tags turned round, which say who is replaced. */
	phone_dials(&kit.phone, "600", "unknown", "Replaces: a;to-tag=b;from-tag=c\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	snprintf(extra, sizeof(extra), "Replaces: %s\n", names_for(&phone));
	phone_dials(&kit.phone, "600", "turned", extra);
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	phone_dials(&kit.phone, "600", "malformed", "Replaces: a;to-tag=b;to-tag=c;from-tag=d\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	/* The PBX may name any, but to the phone that is in it alone. */
	peer_registers(&kit, &kit.phone, "1001");
	peer_registers(&kit, &kit.stranger, "1666");
	snprintf(extra, sizeof(extra), "Replaces: %s\n", names_of(&pbx));
	pbx_dials("1666", "wrongphone", extra);
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
}

static void join_is_refused(void **state)
{
	(void)state;
	phone_dials(&kit.phone, "600", "joins", "Join: a;to-tag=b;from-tag=c\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 488");
	phone_dials(&kit.phone, "600", "joinsmore", "Require: join\nJoin: a;to-tag=b;from-tag=c\n");
	peer_expect(&kit, &kit.phone, "SIP/2.0 420");
	assert_string_equal(header(&kit.phone, "Unsupported"), "join");
}

/* ---- What is told ---- */

static void without_a_refer_nothing_is_told(void **state)
{
	(void)state;
	notifies(&pbx, "refer", "active", "SIP/2.0 200 OK\n");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	notifies(&pbx, "presence", "active", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 489");
	refers(&phone, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "REFER ");
	peer_answer(&kit, &kit.pbx, "603 Decline", "", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 603");
	notifies(&pbx, "refer", "active", "SIP/2.0 200 OK\n");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	refers(&phone, "<sip:2001@voip.example.org>\nRefer-Sub: false\nSupported: norefersub");
	peer_expect(&kit, &kit.pbx, "REFER ");
	assert_string_equal(header(&kit.pbx, "Refer-Sub"), "false");
	assert_string_equal(header(&kit.pbx, "Supported"), "norefersub");
	peer_answer(&kit, &kit.pbx, "202 Accepted", "", "Refer-Sub: false;x=10.0.0.1\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 202");
	assert_string_equal(header(&kit.phone, "Refer-Sub"), "false");
	notifies(&pbx, "refer", "active", "SIP/2.0 200 OK\n");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	assert_null(((struct call *)list_object(kit.gateway->all_calls.next, struct call, in_all))->refers);
}

static void only_a_status_is_told(void **state)
{
	static const char *const bad[] = {"INVITE sip:2001@10.0.0.7 SIP/2.0\n",
					  "SIP/2.0 99 x\n",
					  "SIP/2.0 700 x\n",
					  "SIP/2.0 2000 x\n",
					  "SIP/2.0 ",
					  "HTTP/1.1 200 OK\n"};

	(void)state;
	refers(&phone, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "REFER ");
	accepts(&kit.pbx, &kit.phone);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		notifies(&pbx, "refer", "active", bad[i]);
		peer_expect(&kit, &kit.pbx, "SIP/2.0 400");
	}
	side_sends(&kit, &pbx, "NOTIFY", "Event: refer\nSubscription-State: active\nContent-Type: text/plain\n",
		   "hello");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 415");
	peer_expect_nothing(&kit, &kit.phone, "NOTIFY ");
	notifies(&pbx, "Refer", "active", "");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
}

static void the_referrer_asks_again_and_goes(void **state)
{
	char extra[100], event[64];

	(void)state;
	refers(&phone, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "REFER ");
	snprintf(event, sizeof(event), "refer;id=%lu", strtoul(header(&kit.pbx, "CSeq"), NULL, 10));
	accepts(&kit.pbx, &kit.phone);
	snprintf(extra, sizeof(extra), "Event: refer;id=%u\nExpires: 0\n", phone.cseq);
	side_sends(&kit, &phone, "SUBSCRIBE", extra, "");
	peer_expect(&kit, &kit.pbx, "SUBSCRIBE ");
	assert_string_equal(header(&kit.pbx, "Event"), event);
	assert_string_equal(header(&kit.pbx, "Expires"), "0");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "Expires: 0\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_sends(&kit, &phone, "SUBSCRIBE", "Event: refer;id=999\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	side_sends(&kit, &pbx, "SUBSCRIBE", "Event: refer\n", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
}

static void a_refused_notify_does_not_end_the_call(void **state)
{
	(void)state;
	refers(&phone, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "REFER ");
	accepts(&kit.pbx, &kit.phone);
	notifies(&pbx, "refer", "active", "SIP/2.0 100 Trying\n");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	peer_answer(&kit, &kit.phone, "481 No Subscription", "", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 481");
	side_sends(&kit, &phone, "INFO", "", "");
	peer_expect(&kit, &kit.pbx, "INFO ");
}

static void an_ended_call_is_remembered_for_half_a_minute(void **state)
{
	(void)state;
	refers(&phone, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "REFER ");
	accepts(&kit.pbx, &kit.phone);
	side_sends(&kit, &phone, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	refers(&phone, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.phone, "SIP/2.0 481");
	kit_skip(&kit, 31000);
	notifies(&pbx, "refer", "active", "SIP/2.0 180 Ringing\n");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	peer_answer(&kit, &kit.phone, "200 OK", "", "", "");
	kit_skip(&kit, 10000);
	notifies(&pbx, "refer", "active", "SIP/2.0 200 OK\n");
	peer_expect_nothing(&kit, &kit.phone, "NOTIFY ");
	kit_silence(&kit);
}

static void what_is_told_and_who_pays_outlives_the_process(void **state)
{
	char event[64];

	(void)state;
	kit_keep(&kit);
	refers(&phone, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "REFER ");
	snprintf(event, sizeof(event), "refer;id=%lu", strtoul(header(&kit.pbx, "CSeq"), NULL, 10));
	accepts(&kit.pbx, &kit.phone);
	kit_kill(&kit);
	assert_string_equal(list_object(kit.gateway->all_calls.next, struct call, in_all)->payer, "1001");
	notifies(&pbx, event, "terminated", "SIP/2.0 200 OK\n");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	snprintf(event, sizeof(event), "refer;id=%u", phone.cseq);
	assert_string_equal(header(&kit.phone, "Event"), event);
}

/* ---- Limits ---- */

/* A provider, known as 600, sends the phone 1001 back to itself: both must be let, whichever the routes let alone. */
static void routes_limited_by_caller_hold_for_the_referrer_too(void **state)
{
	static const char *const rows[][2] = {
		{"\"1001\"", "SIP/2.0 403"}, {"\"600\"", "SIP/2.0 404"}, {"[\"1001\", \"600\"]", NULL}};
	char token[64], routes[80];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(routes, sizeof(routes), "  - {from: pbx, to: pbx, caller: %s}\n", rows[i][0]);
		kit_start_trunk_routed(&kit, "    transfers: pass\n", routes);
		kit_establish(&kit, &kit.phone, &phone, &pbx, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
		strcpy(token, pbx_refers_phone(""));
		accepts(&kit.phone, &kit.pbx);
		phone_dials(&kit.phone, token, "new", "");
		peer_expect(&kit, rows[i][1] ? &kit.phone : &kit.pbx, rows[i][1] ? rows[i][1] : "INVITE sip:2001@");
		kit_stop(&kit);
	}
}

static void tokens_are_bounded(void **state)
{
	struct pool *pool = kit.gateway->transfer_pool;
	void *taken[3];

	(void)state;
	kit.gateway->transfer_pool = transfers_pool_new(2);
	for (int i = 0; i < 2; i++)
		taken[i] = pool_take(kit.gateway->transfer_pool);
	refers(&pbx, "<sip:2001@voip.example.org>");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 503");
	assert_true(has_header(&kit.pbx, "Retry-After"));
	peer_expect_nothing(&kit, &kit.phone, "REFER ");
	pool_give(kit.gateway->transfer_pool, taken[0]);
	pbx_refers_phone("");
	kit_skip(&kit, 61000);
	pool_give(kit.gateway->transfer_pool, taken[1]);
	pool_free(kit.gateway->transfer_pool);
	kit.gateway->transfer_pool = pool;
}

static void of_many_refers_the_newest_are_told(void **state)
{
	char event[64];
	unsigned count = 0;

	(void)state;
	for (int i = 0; i < 6; i++) {
		refers(&phone, "<sip:200%d@voip.example.org>", i);
		peer_expect(&kit, &kit.pbx, "REFER ");
		snprintf(event, sizeof(event), "refer;id=%lu", strtoul(header(&kit.pbx, "CSeq"), NULL, 10));
		accepts(&kit.pbx, &kit.phone);
	}
	for (struct refer *refer = list_object(kit.gateway->all_calls.next, struct call, in_all)->refers; refer;
	     refer = refer->next)
		count++;
	assert_int_equal(count, 4);
	notifies(&pbx, event, "active", "SIP/2.0 180 Ringing\n");
	peer_expect(&kit, &kit.phone, "NOTIFY ");
	snprintf(event, sizeof(event), "refer;id=%u", phone.cseq);
	assert_string_equal(header(&kit.phone, "Event"), event);
}

static void short_of_memory_it_answers(void **state)
{
	(void)state;
	for (long i = 0; i < 40; i++) {
		memory_fail_after(i);
		refers(i % 2 ? &phone : &pbx, "<sip:2001@voip.example.org>\nReferred-By: <sip:1002@x.example>");
		memory_fail_after(-1);
		while (peer_receive(&kit, &kit.phone, 3))
			if (!strncmp(kit.phone.text, "REFER", 5))
				peer_answer(&kit, &kit.phone, "202 Accepted", "", "", "");
		while (peer_receive(&kit, &kit.pbx, 3))
			if (!strncmp(kit.pbx.text, "REFER", 5))
				peer_answer(&kit, &kit.pbx, "202 Accepted", "", "", "");
	}
	side_sends(&kit, &phone, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	kit_silence(&kit);
	assert_int_equal(pool_alive(kit.gateway->transfer_pool), 0);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_phone_transfers_to_a_number_and_is_told_the_result),
		EACH(the_pbx_transfers_a_phone_which_dials_a_token_that_the_pbx_pays_for),
		EACH(a_token_is_good_once),
		EACH(a_challenge_does_not_use_a_token_up),
		EACH(a_token_expires),
		EACH(a_call_cannot_fill_the_table_of_transfers),
		EACH(nobody_but_who_was_sent_may_use_a_token),
		EACH(tokens_follow_a_reload),
		cmocka_unit_test_setup_teardown(a_zone_that_takes_no_part_refuses, start_refusing, stop),
		EACH(forged_refers_change_nothing),
		EACH(what_cannot_be_referred_to_is_refused),
		EACH(outside_a_call_nobody_is_made_to_dial),
		EACH(before_the_answer_nobody_is_transferred),
		EACH(a_phone_joins_its_two_calls),
		EACH(a_target_without_a_user_is_who_is_replaced),
		EACH(the_pbx_joins_and_the_phone_carries_what_it_is_not_shown),
		EACH(the_pbx_replaces_a_call_of_the_phone_that_it_is_with),
		EACH(a_phone_replaces_its_own_call),
		EACH(s5_nobody_replaces_the_call_of_another),
		EACH(join_is_refused),
		EACH(without_a_refer_nothing_is_told),
		EACH(only_a_status_is_told),
		EACH(the_referrer_asks_again_and_goes),
		EACH(a_refused_notify_does_not_end_the_call),
		EACH(an_ended_call_is_remembered_for_half_a_minute),
		EACH(what_is_told_and_who_pays_outlives_the_process),
		cmocka_unit_test(routes_limited_by_caller_hold_for_the_referrer_too),
		EACH(tokens_are_bounded),
		EACH(of_many_refers_the_newest_are_told),
		EACH(short_of_memory_it_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
