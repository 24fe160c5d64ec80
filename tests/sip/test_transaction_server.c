/* SPDX-License-Identifier: Apache-2.0
 * Server transactions: every state and timer of RFC 3261 section 17.2, RFC 6026, RFC 4320, CANCEL, full tables. */
#include "transaction_fixture.h"

#define VIA "SIP/2.0/UDP client.example.com:5060;branch=z9hG4bK-1"

static void fixture_receive(struct fixture *fixture, const char *text)
{
	fixture_receive_on(fixture, &fixture->flow, text);
}

static const char *request(const char *method, const char *via, const char *more)
{
	static char text[6000];

	snprintf(text, sizeof(text),
		 "%s sip:b@example.com SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=from\r\n"
		 "To: <sip:b@example.com>%s\r\nCall-ID: call\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
		 method, via, more, method);
	return text;
}

static int respond(struct fixture *fixture, uint16_t status, const char *cseq)
{
	char text[1000];

	fixture_response(VIA, "", status, cseq, text, sizeof(text));
	return sip_server_respond(fixture->server, status, span_from(text));
}

static void invite(struct fixture *fixture)
{
	fixture_receive(fixture, request("INVITE", VIA, ""));
}

static void ack(struct fixture *fixture)
{
	fixture_receive(fixture, request("ACK", VIA, ";tag=to"));
}

static void waiting_invite_gets_100_after_200_ms(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	fixture_receive(&f, "INVITE sip:b@example.com SIP/2.0\r\nVia: " VIA ";rport\r\nVia: SIP/2.0/UDP 10.1.1.1\r\n"
			    "Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=from\r\nTo: <sip:b@example.com>\r\n"
			    "Call-ID: call\r\nCSeq: 1 INVITE\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n");
	fixture_pass(&f, 100);
	invite(&f); /* silence: there is nothing to repeat */
	fixture_pass(&f, 200);
	expect(&f, "0:request INVITE 200:send 100");
	assert_non_null(strstr(f.sent, "SIP/2.0 100 Trying\r\n"));
	assert_non_null(strstr(f.sent, "rport=5060"));
	assert_non_null(strstr(f.sent, "received=192.0.2.9"));
	assert_non_null(strstr(f.sent, "10.1.1.1"));
	assert_non_null(strstr(f.sent, "To: <sip:b@example.com>\r\n"));
	assert_non_null(strstr(f.sent, "Timestamp: 54\r\n"));
	invite(&f);
	expect(&f, "0:send 100");
	assert_int_equal(respond(&f, 180, "1 INVITE"), 0);
	invite(&f);
	fixture_pass(&f, 300000); /* no timer of the layer's ends a ringing call */
	expect(&f, "0:send 180 0:send 180");
	assert_int_equal(fixture_statistics(&f).retransmissions_in, 3);
	fixture_stop(&f);
}

static void answer_in_the_callback_leaves_out_100(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	f.answer_at_once = 180;
	invite(&f);
	fixture_pass(&f, 1000);
	expect(&f, "0:request INVITE 0:send 180");
	fixture_stop(&f);
}

static void refusal_is_repeated_until_timer_h(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	invite(&f);
	respond(&f, 180, "1 INVITE");
	fixture_page(&f);
	assert_int_equal(respond(&f, 486, "1 INVITE"), 0);
	assert_true(sip_server_is_answered(f.server));
	assert_int_equal(respond(&f, 487, "1 INVITE"), -EINVAL);
	assert_int_equal(respond(&f, 180, "1 INVITE"), -EINVAL);
	fixture_pass(&f, 40000);
	expect(&f, "0:send 486 500:send 486 1500:send 486 3500:send 486 7500:send 486 11500:send 486 15500:send 486 "
		   "19500:send 486 23500:send 486 27500:send 486 31500:send 486 32000:unacknowledged 32000:gone");
	assert_int_equal(fixture_statistics(&f).servers_alive, 0);
	fixture_stop(&f);
}

static void ack_of_a_refusal_is_absorbed_until_timer_i(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	f.flow.proven = true;
	invite(&f);
	respond(&f, 486, "1 INVITE");
	fixture_pass(&f, 600);
	invite(&f);
	ack(&f);
	ack(&f);
	invite(&f); /* Confirmed: silence */
	fixture_pass(&f, 10000);
	expect(&f, "0:request INVITE 0:send 486 500:send 486 600:send 486 5600:gone");
	fixture_stop(&f);
}

/* N4: who may be a forged address is not shot at with repeated answers; his own INVITE brings them. */
static void unproven_source_hears_a_refusal_once_for_each_invite(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	invite(&f);
	respond(&f, 401, "1 INVITE");
	fixture_pass(&f, 3000);
	invite(&f);
	ack(&f);
	fixture_pass(&f, 6000);
	expect(&f, "0:request INVITE 0:send 401 3000:send 401 8000:gone");
	fixture_stop(&f);
}

static void refusal_on_a_stream(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TLS, 10));
	invite(&f);
	respond(&f, 486, "1 INVITE");
	fixture_pass(&f, 5000); /* no G */
	ack(&f);
	fixture_pass(&f, 2);
	assert_non_null(strstr(f.events, "0:request INVITE 0:send 486 500"));
	assert_int_equal(fixture_statistics(&f).servers_alive, 0); /* I is zero */
	fixture_page(&f);
	invite(&f);
	respond(&f, 486, "1 INVITE");
	fixture_pass(&f, 33000);
	expect(&f, "0:request INVITE 0:send 486 32000:unacknowledged 32000:gone"); /* H */
	fixture_stop(&f);
}

/* RFC 6026: the transaction lives on in Accepted, absorbs copies of the INVITE, and its ACK is the user's. */
static void success_is_repeated_until_acknowledged(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10)); /* on streams as well: a proxy behind may use UDP */
	invite(&f);
	respond(&f, 200, "1 INVITE");
	fixture_pass(&f, 1600);
	invite(&f);
	ack(&f); /* of the same branch, as before RFC 3261 */
	fixture_receive(&f, request("ACK", VIA "own", ";tag=to"));
	sip_server_acknowledge(f.server);
	fixture_pass(&f, 40000);
	expect(&f, "0:request INVITE 0:send 200 500:send 200 1500:send 200 1600:ack 1600:ack 32000:gone"); /* L */
	fixture_stop(&f);
}

static void success_without_ack_is_reported(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	invite(&f);
	sip_server_acknowledge(f.server); /* nothing to acknowledge yet */
	respond(&f, 200, "1 INVITE");
	fixture_pass(&f, 40000);
	expect(&f, "0:request INVITE 0:send 200 500:send 200 1500:send 200 3500:send 200 7500:send 200 11500:send 200 "
		   "15500:send 200 19500:send 200 23500:send 200 27500:send 200 31500:send 200 "
		   "32000:unacknowledged 32000:gone");
	fixture_stop(&f);
}

static void other_requests_until_timer_j(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	fixture_receive(&f, request("BYE", VIA, ";tag=to"));
	fixture_receive(&f, request("BYE", VIA, ";tag=to")); /* Trying: silence */
	respond(&f, 200, "1 BYE");
	fixture_pass(&f, 1000);
	fixture_receive(&f, request("BYE", VIA, ";tag=to"));
	fixture_pass(&f, 40000);
	expect(&f, "0:request BYE 0:send 200 1000:send 200 32000:gone");
	fixture_stop(&f);
}

static void other_requests_on_a_stream_end_at_once(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	fixture_receive(&f, request("OPTIONS", VIA, ""));
	respond(&f, 200, "1 OPTIONS");
	assert_non_null(f.server);
	fixture_pass(&f, 2);
	assert_null(f.server);
	fixture_stop(&f);
}

/* RFC 4320: no provisional response but 100, and that not before the client's timer E has come to T2; no 408. */
static void other_requests_hear_100_late_and_never_408(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	fixture_receive(&f, request("MESSAGE", VIA, ""));
	assert_int_equal(respond(&f, 100, "1 MESSAGE"), 0);
	assert_int_equal(respond(&f, 183, "1 MESSAGE"), 0);
	fixture_pass(&f, 4000);
	fixture_receive(&f, request("MESSAGE", VIA, ""));
	expect(&f, "0:request MESSAGE 3500:send 100 4000:send 100");
	assert_int_equal(respond(&f, 408, "1 MESSAGE"), 0);
	assert_int_equal(respond(&f, 200, "1 MESSAGE"), -EINVAL);
	fixture_receive(&f, request("MESSAGE", VIA, "")); /* absorbed */
	fixture_pass(&f, 28000);
	expect(&f, "28000:gone");
	fixture_stop(&f);
}

static void other_requests_nobody_answers_end_with_their_client(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TLS, 10));
	fixture_receive(&f, request("OPTIONS", VIA, ""));
	fixture_pass(&f, 40000);
	expect(&f, "0:request OPTIONS 3500:send 100 32000:gone");
	fixture_stop(&f);
}

static void cancel_is_answered_and_reported_once(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	invite(&f);
	respond(&f, 180, "1 INVITE");
	fixture_receive(&f, request("CANCEL", VIA, ""));
	expect(&f, "0:request INVITE 0:send 180 0:send 200 0:cancelled");
	assert_non_null(strstr(f.sent, "CSeq: 1 CANCEL\r\n"));
	assert_non_null(strstr(f.sent, ";tag=to\r\n")); /* the tag of the 180 */
	fixture_receive(&f, request("CANCEL", VIA, ""));
	respond(&f, 487, "1 INVITE");
	fixture_receive(&f, request("CANCEL", VIA, ""));
	ack(&f);
	fixture_pass(&f, 6000);
	expect(&f, "0:send 200 0:send 487 0:send 200 5000:gone");
	fixture_stop(&f);
}

static void cancel_after_the_answer_changes_nothing(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	invite(&f);
	respond(&f, 200, "1 INVITE");
	fixture_receive(&f, request("CANCEL", VIA, ""));
	expect(&f, "0:request INVITE 0:send 200 0:send 200");
	fixture_stop(&f);
}

/* S6: a CANCEL from elsewhere, or for nothing, is refused without touching the call. */
static void foreign_cancel_finds_nothing(void **state)
{
	struct flow elsewhere = fixture_flow(TRANSPORT_TCP, "192.0.2.66:5060");
	struct flow port = fixture_flow(TRANSPORT_TCP, "192.0.2.9:5999");
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	invite(&f);
	fixture_receive_on(&f, &elsewhere, request("CANCEL", VIA, ""));
	assert_non_null(strstr(f.sent, "SIP/2.0 481 "));
	fixture_receive(&f, request("CANCEL", VIA "0", ""));
	expect(&f, "0:request INVITE 0:send 481 0:send 481");
	fixture_receive_on(&f, &port, request("CANCEL", VIA, ""));
	expect(&f, "0:send 200 0:cancelled");
	fixture_stop(&f);
}

/* N4: a small CANCEL from an unproven source brings no answer that is larger. */
static void stateless_answer_is_not_larger_than_the_request(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	fixture_receive(&f, request("CANCEL", "SIP/2.0/UDP a;branch=z9hG4bK1;rport", ""));
	expect(&f, "");
	f.flow.proven = true;
	fixture_receive(&f, request("CANCEL", "SIP/2.0/UDP a;branch=z9hG4bK1;rport", ""));
	expect(&f, "0:send 481");
	fixture_stop(&f);
}

static void same_branch_belongs_to_one_source_method_and_sent_by(void **state)
{
	static const char *const vias[] = {
		"SIP/2.0/UDP client.example.com:5061;branch=z9hG4bK-1",
		"SIP/2.0/UDP client.example.com;branch=z9hG4bK-1",
		"SIP/2.0/UDP client.example.org:5060;branch=z9hG4bK-1",
		"SIP/2.0/UDP client.example.com:5060;branch=z9hG4bk-1x",
		"SIP/2.0/UDP client.example.com:5060;branch=z9hG4bK-1X",
	};
	struct flow elsewhere = fixture_flow(TRANSPORT_UDP, "192.0.2.66:5060"), zone;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 100));
	invite(&f);
	fixture_receive(&f, request("INVITE", "SIP/2.0/UDP CLIENT.example.COM:5060;branch=z9hG4bK-1", ""));
	expect(&f, "0:request INVITE");
	for (size_t i = 0; i < sizeof(vias) / sizeof(vias[0]); i++) {
		fixture_receive(&f, request("INVITE", vias[i], ""));
		expect(&f, "0:request INVITE");
	}
	fixture_receive(&f, request("OPTIONS", VIA, ""));
	fixture_receive(&f, request("FOO", VIA, ""));
	fixture_receive(&f, request("BAR", VIA, ""));
	fixture_receive(&f, request("FOO", VIA, ""));
	expect(&f, "0:request OPTIONS 0:request FOO 0:request BAR");
	fixture_receive_on(&f, &elsewhere, request("INVITE", VIA, ""));
	zone = f.flow;
	zone.zone = 1;
	fixture_receive_on(&f, &zone, request("INVITE", VIA, ""));
	expect(&f, "0:request INVITE 0:request INVITE");
	fixture_stop(&f);
}

/* RFC 3261 section 17.2.3: without the magic cookie the whole request is compared. */
static void branches_of_rfc_2543(void **state)
{
	const char *old = "SIP/2.0/UDP client.example.com:5060;branch=1", *none = "SIP/2.0/UDP client.example.com:5060";
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 100));
	f.flow.proven = true;
	fixture_receive(&f, request("INVITE", none, ""));
	fixture_receive(&f, request("INVITE", none, ""));
	expect(&f, "0:request INVITE");
	respond(&f, 404, "1 INVITE");
	fixture_receive(&f, request("ACK", none, ";tag=to"));
	fixture_receive(&f, request("CANCEL", none, ""));
	fixture_pass(&f, 5000);
	expect(&f, "0:send 404 0:send 200 5000:gone");

	fixture_receive(&f, request("INVITE", old, ""));
	fixture_receive(&f, "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP client.example.com:5060;branch=1\r\n"
			    "Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=from\r\nTo: <sip:b@example.com>\r\n"
			    "Call-ID: call\r\nCSeq: 2 INVITE\r\nContent-Length: 0\r\n\r\n");
	expect(&f, "0:request INVITE 0:request INVITE");
	fixture_stop(&f);
}

static void overlong_branches_are_kept_whole_or_dropped(void **state)
{
	char via[5000];
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	snprintf(via, sizeof(via), "SIP/2.0/UDP a;branch=z9hG4bK%0300d", 1);
	fixture_receive(&f, request("INVITE", via, ""));
	via[strlen(via) - 1] = '2';
	fixture_receive(&f, request("INVITE", via, ""));
	fixture_receive(&f, request("INVITE", via, ""));
	expect(&f, "0:request INVITE 0:request INVITE");
	fixture_stop(&f);
}

static void full_table_keeps_room_for_those_who_have_shown_more(void **state)
{
	struct fixture f;
	char via[200];
	int i = 0;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 8));
#define NEXT(tag) \
	(snprintf(via, sizeof(via), \
		  "SIP/2.0/UDP a.very.long.name.so.that.the.request.is.larger.than.its.answer.example.com;" \
		  "branch=z9hG4bK-%d", \
		  i++), \
	 fixture_receive(&f, request("INVITE", via, tag)))
	for (int count = 0; count < 6; count++)
		NEXT("");
	fixture_page(&f);
	f.flow.proven = true;
	NEXT("");
	expect(&f, "0:request INVITE"); /* seven of eight */
	NEXT("");
	expect(&f, "0:send 503");
	assert_non_null(strstr(f.sent, "Retry-After: 10\r\n"));
	assert_non_null(strstr(f.sent, "To: <sip:b@example.com>;tag="));
	NEXT(";tag=x");
	expect(&f, "0:request INVITE");
	NEXT(";tag=x");
	expect(&f, "0:send 503");
	fixture_receive(&f, request("ACK", VIA "nobody", ";tag=x")); /* never refused */
	expect(&f, "0:ack");
	assert_int_equal(fixture_statistics(&f).refused_full, 2);
	assert_int_equal(fixture_statistics(&f).servers_alive, 8);
	fixture_stop(&f);
}

/* S8: a full table gives up the oldest that has shown nothing, not the phone that comes now. */
static void full_table_gives_up_the_oldest_unproven_request_first(void **state)
{
	struct fixture f;
	char via[200];
	int i = 0;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 8));
	for (int count = 0; count < 3; count++) {
		snprintf(via, sizeof(via), VIA "invite-%d", count);
		fixture_receive(&f, request("INVITE", via, ""));
	}
	for (int count = 0; count < 3; count++) {
		snprintf(via, sizeof(via), VIA "options-%d", i++);
		fixture_receive(&f, request("OPTIONS", via, ""));
	}
	fixture_page(&f);
	/* Full for those who have shown nothing: the oldest of them goes, but never for an INVITE. */
	snprintf(via, sizeof(via), VIA "options-%d", i++);
	fixture_receive(&f, request("OPTIONS", via, ""));
	expect(&f, "0:gone 0:request OPTIONS");
	fixture_receive(&f, request("INVITE", VIA "invite-x", ""));
	assert_int_equal(fixture_statistics(&f).refused_full, 1);
	fixture_page(&f);
	/* A proven source takes what is left, and then the place of the others. */
	f.flow.proven = true;
	fixture_receive(&f, request("INVITE", VIA "proven-1", ""));
	expect(&f, "0:request INVITE");
	for (int count = 0; count < 3; count++) {
		snprintf(via, sizeof(via), VIA "proven-%d", count + 2);
		fixture_receive(&f, request("INVITE", via, ""));
		expect(&f, "0:gone 0:request INVITE");
	}
	fixture_receive(&f, request("INVITE", VIA "proven-9", ""));
	expect(&f, "0:send 503");
	assert_int_equal(fixture_statistics(&f).evicted, 4);
	assert_int_equal(fixture_statistics(&f).servers_alive, 7);
	fixture_stop(&f);
}

static void request_lives_in_the_transaction(void **state)
{
	const struct sip_message *kept;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	fixture_receive(&f, "INVITE sip:b@example.com;x=y SIP/2.0\r\nv: " VIA ";received=1.2.3.4\r\n"
			    "Max-Forwards: 70\r\nf: \"A\" <sip:a:pw@example.com>;tag=from\r\nt: <sip:b@example.com>\r\n"
			    "i: call\r\nCSeq: 1 INVITE\r\nm: <sip:c@10.0.0.1>;q=1\r\nX-Own: one\r\n"
			    "c: text/plain\r\nl: 4\r\n\r\nbody");
	/* the fixture overwrote both the bytes and the arena */
	kept = sip_server_request(f.server);
	assert_true(span_is(kept->method_text, "INVITE") && span_is(kept->request_uri.host, "example.com"));
	assert_true(span_is(kept->request_uri.parameters, ";x=y") &&
		    span_is(kept->request_uri.text, "sip:b@example.com;x=y"));
	assert_true(span_is(kept->via.branch, "z9hG4bK-1") && span_is(kept->via.received, "1.2.3.4"));
	assert_true(span_is(kept->from.tag, "from") && span_is(kept->from.uri.password, "pw"));
	assert_true(span_is(kept->from.display, "\"A\"") && span_is(kept->to.uri.user, "b"));
	assert_true(span_is(kept->call_id, "call") && span_is(kept->contact.uri.host, "10.0.0.1"));
	assert_true(span_is(kept->contact.parameters, ";q=1") && span_is(kept->content_type, "text/plain"));
	assert_true(span_is(kept->body, "body"));
	assert_true(span_is(sip_message_header(kept, SIP_HEADER_CONTENT_TYPE)->value, "text/plain"));

	/* No span of the message, known or added later, still points at what the network overwrote. */
	for (size_t i = 0; i + sizeof(void *) <= sizeof(*kept); i += sizeof(void *)) {
		uintptr_t word;

		memcpy(&word, (const char *)kept + i, sizeof(word));
		assert_false(word >= (uintptr_t)&f && word < (uintptr_t)(&f + 1));
	}
	assert_memory_equal(sip_server_flow(f.server), &f.flow, sizeof(f.flow));
	assert_null(sip_server_user(f.server));
	sip_server_user_set(f.server, &f);
	assert_ptr_equal(sip_server_user(f.server), &f);
	respond(&f, 486, "1 INVITE");
	sip_server_request_release(f.server);
	assert_null(sip_server_request(f.server));
	fixture_stop(&f);
}

static void failed_send_is_told_and_the_transaction_ends(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	invite(&f);
	f.send_error = -ENOTCONN;
	assert_int_equal(respond(&f, 180, "1 INVITE"), -ENOTCONN);
	assert_int_equal(respond(&f, 486, "1 INVITE"), -ENOTCONN);
	fixture_pass(&f, 32000);
	expect(&f, "0:request INVITE 0:send 180 0:send 486 32000:unacknowledged 32000:gone");
	fixture_stop(&f);
}

/* RFC 3261 section 18.2.2: without rport the answer goes to the Via's port, but never to another address. */
static void answers_on_udp_go_to_the_port_of_the_via(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	f.flow.remote.port = 40000;
	fixture_receive(&f, request("INVITE", "SIP/2.0/UDP 10.9.9.9:5070;branch=z9hG4bK-1", ""));
	respond(&f, 486, "1 INVITE");
	assert_int_equal(f.sent_flow.remote.port, 5070);
	assert_true(address_equal_ip(&f.sent_flow.remote, &f.flow.remote));
	fixture_receive(&f, request("INVITE", "SIP/2.0/UDP 10.9.9.9:5070;rport;branch=z9hG4bK-2", ""));
	respond(&f, 486, "1 INVITE");
	assert_int_equal(f.sent_flow.remote.port, 40000);
	fixture_stop(&f);
}

static void memory_may_end_anywhere(void **state)
{
	(void)state;
	for (long count = 0; count < 60; count++) {
		struct fixture f;

		memory_fail_after(count);
		if (fixture_start(&f, TRANSPORT_UDP, 10)) {
			invite(&f);
			if (f.server) {
				fixture_pass(&f, 300);
				respond(&f, 180, "1 INVITE");
				fixture_receive(&f, request("CANCEL", VIA, ""));
				respond(&f, 487, "1 INVITE");
				assert_true(sip_server_is_answered(f.server));
				fixture_pass(&f, 40000);
				assert_null(f.server);
			}
			assert_int_equal(fixture_statistics(&f).servers_alive, 0);
		}
		memory_fail_after(-1);
		fixture_stop(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_invite_gets_100_after_200_ms),
		cmocka_unit_test(answer_in_the_callback_leaves_out_100),
		cmocka_unit_test(refusal_is_repeated_until_timer_h),
		cmocka_unit_test(ack_of_a_refusal_is_absorbed_until_timer_i),
		cmocka_unit_test(unproven_source_hears_a_refusal_once_for_each_invite),
		cmocka_unit_test(refusal_on_a_stream),
		cmocka_unit_test(success_is_repeated_until_acknowledged),
		cmocka_unit_test(success_without_ack_is_reported),
		cmocka_unit_test(other_requests_until_timer_j),
		cmocka_unit_test(other_requests_on_a_stream_end_at_once),
		cmocka_unit_test(other_requests_hear_100_late_and_never_408),
		cmocka_unit_test(other_requests_nobody_answers_end_with_their_client),
		cmocka_unit_test(cancel_is_answered_and_reported_once),
		cmocka_unit_test(cancel_after_the_answer_changes_nothing),
		cmocka_unit_test(foreign_cancel_finds_nothing),
		cmocka_unit_test(stateless_answer_is_not_larger_than_the_request),
		cmocka_unit_test(same_branch_belongs_to_one_source_method_and_sent_by),
		cmocka_unit_test(branches_of_rfc_2543),
		cmocka_unit_test(overlong_branches_are_kept_whole_or_dropped),
		cmocka_unit_test(full_table_gives_up_the_oldest_unproven_request_first),
		cmocka_unit_test(full_table_keeps_room_for_those_who_have_shown_more),
		cmocka_unit_test(request_lives_in_the_transaction),
		cmocka_unit_test(failed_send_is_told_and_the_transaction_ends),
		cmocka_unit_test(answers_on_udp_go_to_the_port_of_the_via),
		cmocka_unit_test(memory_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
