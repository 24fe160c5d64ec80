/* SPDX-License-Identifier: Apache-2.0
 * Transactions carried over to another layer: each state goes on there as if nothing had happened, in a zone of another number,
 * and nothing is sent for it. */
#include "base/memory.h"
#include "transaction_fixture.h"

#define VIA "SIP/2.0/UDP client.example.com:5060;branch=z9hG4bK-1"
#define OURS "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours"

static const char *request(const char *method, const char *via, const char *cseq, const char *more)
{
	static char text[2000];

	snprintf(text, sizeof(text),
		 "%s sip:b@example.com SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=from\r\n"
		 "To: <sip:b@example.com>%s\r\nCall-ID: call\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
		 method, via, more, cseq);
	return text;
}

static void respond(struct fixture *fixture, uint16_t status, const char *cseq)
{
	char text[1000];

	fixture_response(VIA, "", status, cseq, text, sizeof(text));
	assert_int_equal(sip_server_respond(fixture->server, status, span_from(text)), 0);
}

static void answer(struct fixture *fixture, uint16_t status, const char *cseq)
{
	char text[1000];

	fixture_receive_on(fixture, &fixture->flow, fixture_response(OURS, "", status, cseq, text, sizeof(text)));
}

/* The second layer, in which the zone is number 3. */
static void follow(struct fixture *after)
{
	assert_true(fixture_start(after, TRANSPORT_UDP, 10));
	after->flow.zone = 3;
}

static struct sip_server_transaction *server_move(struct fixture *before, struct fixture *after)
{
	struct sip_server_state state;

	follow(after);
	sip_server_state_get(before->server, &state);
	state.flow.zone = state.target.zone = 3;
	after->server = sip_server_resume(after->layer, &state, after);
	assert_non_null(after->server);
	assert_ptr_equal(sip_server_user(after->server), after);
	fixture_stop(before);
	expect(after, "");
	return after->server;
}

static struct sip_client_transaction *client_move(struct fixture *before, struct sip_client_transaction *client,
						  struct fixture *after)
{
	struct sip_client_state state;

	follow(after);
	sip_client_state_get(client, &state);
	state.flow.zone = 3;
	client = sip_client_resume(after->layer, &state, after);
	assert_non_null(client);
	assert_ptr_equal(sip_client_user(client), after);
	fixture_stop(before);
	expect(after, "");
	return client;
}

static struct sip_client_transaction *client_start(struct fixture *fixture, enum sip_method method, const char *cseq)
{
	assert_true(fixture_start(fixture, TRANSPORT_UDP, 10));
	return sip_client_start(fixture->layer, &fixture->flow, method, "z9hG4bKours",
				span_from(request(sip_method_name(method), OURS, cseq, "")), NULL);
}

static void server_begin(struct fixture *fixture, const char *method, const char *cseq)
{
	assert_true(fixture_start(fixture, TRANSPORT_UDP, 10));
	fixture_receive_on(fixture, &fixture->flow, request(method, VIA, cseq, ""));
}

static void ringing_invite_goes_on(void **state)
{
	struct fixture before, f;

	(void)state;
	server_begin(&before, "INVITE", "1 INVITE");
	respond(&before, 180, "1 INVITE");
	server_move(&before, &f);
	fixture_pass(&f, 40000);
	expect(&f, "");
	/* A copy finds it, and hears what was said last; its request can still be answered. */
	fixture_receive_on(&f, &f.flow, request("INVITE", VIA, "1 INVITE", ""));
	expect(&f, "0:send 180");
	assert_true(span_is(sip_server_request(f.server)->call_id, "call"));
	assert_true(span_is(sip_server_request(f.server)->from.tag, "from"));
	fixture_receive_on(&f, &f.flow, request("CANCEL", VIA, "1 CANCEL", ""));
	expect(&f, "0:send 200 0:cancelled");
	respond(&f, 487, "1 INVITE");
	fixture_receive_on(&f, &f.flow, request("ACK", VIA, "1 ACK", ";tag=to"));
	fixture_pass(&f, 5000);
	expect(&f, "0:send 487 5000:gone");
	fixture_stop(&f);
}

static void answered_invite_is_repeated_until_its_ack(void **state)
{
	struct fixture before, f;

	(void)state;
	server_begin(&before, "INVITE", "1 INVITE");
	respond(&before, 200, "1 INVITE");
	server_move(&before, &f);
	fixture_pass(&f, 1500);
	expect(&f, "500:send 200 1500:send 200");
	sip_server_acknowledge(f.server);
	fixture_pass(&f, 30500);
	expect(&f, "30500:gone");
	fixture_stop(&f);

	/* Acknowledged before: silent, and no complaint at its end. */
	server_begin(&before, "INVITE", "1 INVITE");
	respond(&before, 200, "1 INVITE");
	sip_server_acknowledge(before.server);
	sip_server_request_release(before.server);
	server_move(&before, &f);
	fixture_receive_on(&f, &f.flow, request("INVITE", VIA, "1 INVITE", ""));
	fixture_pass(&f, 32000);
	expect(&f, "32000:gone");
	fixture_stop(&f);
}

static void waiting_request_is_answered(void **state)
{
	struct fixture before, f;

	(void)state;
	server_begin(&before, "INFO", "1 INFO");
	server_move(&before, &f);
	fixture_receive_on(&f, &f.flow, request("INFO", VIA, "1 INFO", ""));
	expect(&f, "");
	respond(&f, 200, "1 INFO");
	fixture_receive_on(&f, &f.flow, request("INFO", VIA, "1 INFO", ""));
	expect(&f, "0:send 200 0:send 200");
	fixture_pass(&f, 32000);
	expect(&f, "32000:gone");
	fixture_stop(&f);
}

static void sent_invite_goes_on(void **state)
{
	struct fixture before, f;
	struct sip_client_transaction *client = client_start(&before, SIP_INVITE, "1 INVITE");

	(void)state;
	answer(&before, 180, "1 INVITE");
	client = client_move(&before, client, &f);
	fixture_pass(&f, 100000); /* in Proceeding it waits for ever */
	answer(&f, 183, "1 INVITE");
	expect(&f, "100000:response 183");
	sip_client_cancel(client);
	expect(&f, "0:send CANCEL");
	assert_non_null(strstr(f.sent, "branch=z9hG4bKours"));
	answer(&f, 200, "1 CANCEL");
	answer(&f, 487, "1 INVITE");
	fixture_pass(&f, 32000);
	expect(&f, "0:send ACK 0:response 487 32000:gone");
	fixture_stop(&f);

	/* Without an answer so far: sent again, and given up. */
	client = client_start(&before, SIP_INVITE, "1 INVITE");
	client_move(&before, client, &f);
	fixture_pass(&f, 1500);
	expect(&f, "500:send INVITE 1500:send INVITE");
	answer(&f, 200, "1 INVITE");
	answer(&f, 200, "1 INVITE");
	expect(&f, "0:response 200 0:response 200");
	fixture_stop(&f);

	client = client_start(&before, SIP_INVITE, "1 INVITE");
	answer(&before, 200, "1 INVITE");
	client_move(&before, client, &f);
	answer(&f, 200, "1 INVITE"); /* a copy: the ACK was lost */
	fixture_pass(&f, 32000);
	expect(&f, "0:response 200 32000:gone");
	fixture_stop(&f);
}

static void sent_request_goes_on(void **state)
{
	struct fixture before, f;
	struct sip_client_transaction *client = client_start(&before, SIP_INFO, "1 INFO");

	(void)state;
	client_move(&before, client, &f);
	fixture_pass(&f, 600);
	expect(&f, "500:send INFO");
	answer(&f, 200, "1 INFO");
	fixture_pass(&f, 5000);
	expect(&f, "0:response 200 5000:gone");
	fixture_stop(&f);
}

static void another_zone_does_not_reach_it(void **state)
{
	struct fixture before, f;

	(void)state;
	server_begin(&before, "INVITE", "1 INVITE");
	respond(&before, 180, "1 INVITE");
	server_move(&before, &f);
	f.flow.zone = 0;
	fixture_receive_on(&f, &f.flow, request("CANCEL", VIA, "1 CANCEL", ""));
	expect(&f, ""); /* not even 481, which is longer than what an unproven source sent */
	assert_int_equal(fixture_statistics(&f).strays, 1);
	fixture_stop(&f);
}

static void what_cannot_be_right_is_refused(void **state)
{
	struct fixture before, f;
	struct sip_server_state server, good;
	struct sip_client_state client, good_client;
	struct sip_client_transaction *from;

	(void)state;
	from = client_start(&before, SIP_INVITE, "1 INVITE");
	fixture_receive_on(&before, &before.flow, request("INVITE", VIA, "1 INVITE", ""));
	sip_server_state_get(before.server, &good);
	sip_client_state_get(from, &good_client);
	follow(&f);

	server = good, server.state = 9;
	assert_null(sip_server_resume(f.layer, &server, NULL));
	server = good, server.key.length = 3;
	assert_null(sip_server_resume(f.layer, &server, NULL));
	server = good, server.request = SPAN_EMPTY;
	assert_null(sip_server_resume(f.layer, &server, NULL));
	server = good, server.request = SPAN("INVITE nonsense");
	assert_null(sip_server_resume(f.layer, &server, NULL));
	server = good, server.request.length -= 40;
	assert_null(sip_server_resume(f.layer, &server, NULL));
	client = good_client, client.state = 9;
	assert_null(sip_client_resume(f.layer, &client, NULL));
	client = good_client, client.branch[0] = 0;
	assert_null(sip_client_resume(f.layer, &client, NULL));
	client = good_client, client.bytes = SPAN_EMPTY;
	assert_null(sip_client_resume(f.layer, &client, NULL));

	for (long count = 0; count < 20; count++) {
		struct sip_server_transaction *made;

		memory_fail_after(count);
		made = sip_server_resume(f.layer, &good, NULL);
		if (made && sip_client_resume(f.layer, &good_client, NULL))
			count = 100;
		memory_fail_after(-1);
		if (made && count < 100) { /* and gone again, for the next turn */
			fixture_stop(&f);
			follow(&f);
		}
	}
	assert_int_equal(fixture_statistics(&f).servers_alive, 1);
	assert_int_equal(fixture_statistics(&f).clients_alive, 1);
	fixture_stop(&before);
	fixture_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ringing_invite_goes_on),
		cmocka_unit_test(answered_invite_is_repeated_until_its_ack),
		cmocka_unit_test(waiting_request_is_answered),
		cmocka_unit_test(sent_invite_goes_on),
		cmocka_unit_test(sent_request_goes_on),
		cmocka_unit_test(another_zone_does_not_reach_it),
		cmocka_unit_test(what_cannot_be_right_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
