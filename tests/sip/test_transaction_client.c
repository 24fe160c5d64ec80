/* SPDX-License-Identifier: Apache-2.0
 * Client transactions: every state and timer of RFC 3261 section 17.1, RFC 6026, CANCEL and its races. */
#include "transaction_fixture.h"

#define BRANCH "z9hG4bKclient"

static struct sip_client_transaction *start(struct fixture *fixture, enum sip_method method)
{
	static char text[1000];
	const char *name = sip_method_name(method);

	snprintf(text, sizeof(text),
		 "%s sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=" BRANCH "\r\n"
		 "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKother\r\n"
		 "Route: <sip:r1.example.com;lr>\r\nRoute: <sip:r2.example.com;lr>\r\nMax-Forwards: 9\r\n"
		 "From: <sip:a@example.com>;tag=from\r\nTo: <sip:b@example.com>\r\nCall-ID: call\r\nCSeq: 5 %s\r\n"
		 "Require: 100rel\r\nContent-Length: 0\r\n\r\n",
		 name, name);
	return sip_client_start(fixture->layer, &fixture->flow, method, BRANCH, span_from(text), NULL);
}

static void answer_on(struct fixture *fixture, const struct flow *flow, uint16_t status, const char *branch,
		      const char *cseq)
{
	char via[200], text[1000];

	snprintf(via, sizeof(via), "SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch=%s", branch);
	fixture_receive_on(fixture, flow, fixture_response(via, "", status, cseq, text, sizeof(text)));
}

static void answer(struct fixture *fixture, uint16_t status, const char *cseq)
{
	answer_on(fixture, &fixture->flow, status, BRANCH, cseq);
}

static void invite_is_repeated_until_timer_b(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	assert_non_null(start(&f, SIP_INVITE));
	fixture_pass(&f, 40000);
	expect(&f, "0:send INVITE 500:send INVITE 1500:send INVITE 3500:send INVITE 7500:send INVITE "
		   "15500:send INVITE 31500:send INVITE 32000:failed timeout 32000:gone");
	assert_int_equal(fixture_statistics(&f).clients_alive, 0);
	assert_int_equal(fixture_statistics(&f).retransmissions_out, 6);
	fixture_stop(&f);
}

static void invite_on_a_stream_is_sent_once(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TLS, 10));
	start(&f, SIP_INVITE);
	fixture_pass(&f, 40000);
	expect(&f, "0:send INVITE 32000:failed timeout 32000:gone");
	fixture_stop(&f);
}

static void provisional_response_stops_timers_a_and_b(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	start(&f, SIP_INVITE);
	fixture_pass(&f, 600);
	answer(&f, 100, "5 INVITE");
	answer(&f, 183, "5 INVITE");
	fixture_pass(&f, 300000);
	expect(&f, "0:send INVITE 500:send INVITE 600:response 100 600:response 183");
	fixture_stop(&f);
}

/* RFC 6026: copies of the 2xx, and those of other branches, still reach the user; nothing else does. */
static void success_is_passed_on_until_timer_m(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	start(&f, SIP_INVITE);
	answer(&f, 180, "5 INVITE");
	answer(&f, 200, "5 INVITE");
	fixture_pass(&f, 500);
	answer(&f, 200, "5 INVITE");
	answer(&f, 180, "5 INVITE");
	answer(&f, 486, "5 INVITE");
	assert_int_equal(fixture_statistics(&f).strays, 2);
	fixture_pass(&f, 40000);
	expect(&f, "0:send INVITE 0:response 180 0:response 200 500:response 200 32000:gone");
	answer(&f, 200, "5 INVITE");
	expect(&f, "");
	assert_int_equal(fixture_statistics(&f).strays, 3);
	fixture_stop(&f);
}

static void refusal_is_acknowledged_by_the_layer(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	start(&f, SIP_INVITE);
	answer(&f, 486, "5 INVITE");
	expect(&f, "0:send INVITE 0:send ACK 0:response 486");
	assert_string_equal(f.sent, "ACK sip:b@example.com SIP/2.0\r\n"
				    "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=" BRANCH "\r\n"
				    "Route: <sip:r1.example.com;lr>\r\nRoute: <sip:r2.example.com;lr>\r\n"
				    "Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=from\r\n"
				    "To: <sip:b@example.com>;tag=to\r\nCall-ID: call\r\nCSeq: 5 ACK\r\n"
				    "Content-Length: 0\r\n\r\n");
	fixture_pass(&f, 500);
	answer(&f, 486, "5 INVITE");
	answer(&f, 200, "5 INVITE"); /* another branch's, too late */
	answer(&f, 180, "5 INVITE");
	fixture_pass(&f, 40000);
	expect(&f, "500:send ACK 32000:gone"); /* D */
	fixture_stop(&f);
}

static void refusal_on_a_stream_ends_at_once(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	start(&f, SIP_INVITE);
	answer(&f, 603, "5 INVITE");
	fixture_pass(&f, 2);
	assert_non_null(strstr(f.events, "0:send INVITE 0:send ACK 0:response 603 "));
	assert_non_null(strstr(f.events, ":gone"));
	assert_int_equal(fixture_statistics(&f).clients_alive, 0);
	fixture_stop(&f);
}

static void other_requests_are_repeated_until_timer_f(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	start(&f, SIP_BYE);
	fixture_pass(&f, 40000);
	expect(&f, "0:send BYE 500:send BYE 1500:send BYE 3500:send BYE 7500:send BYE 11500:send BYE 15500:send BYE "
		   "19500:send BYE 23500:send BYE 27500:send BYE 31500:send BYE 32000:failed timeout 32000:gone");
	fixture_stop(&f);
}

static void other_requests_slow_down_after_a_provisional_response(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	start(&f, SIP_OPTIONS);
	fixture_pass(&f, 100);
	answer(&f, 100, "5 OPTIONS");
	fixture_pass(&f, 9900);
	expect(&f, "0:send OPTIONS 100:response 100 500:send OPTIONS 4500:send OPTIONS 8500:send OPTIONS");
	answer(&f, 200, "5 OPTIONS");
	answer(&f, 200, "5 OPTIONS");
	fixture_pass(&f, 10000);
	expect(&f, "0:response 200 5000:gone"); /* K */
	fixture_stop(&f);
}

static void other_requests_on_a_stream(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	start(&f, SIP_MESSAGE);
	fixture_pass(&f, 40000);
	expect(&f, "0:send MESSAGE 32000:failed timeout 32000:gone");
	start(&f, SIP_MESSAGE);
	answer(&f, 404, "5 MESSAGE");
	fixture_pass(&f, 2);
	assert_non_null(strstr(f.events, ":gone"));
	fixture_stop(&f);
}

/* S6: a response counts only from where the request went. */
static void forged_responses_are_strays(void **state)
{
	struct flow elsewhere = fixture_flow(TRANSPORT_UDP, "192.0.2.66:5060");
	struct flow other_port = fixture_flow(TRANSPORT_UDP, "192.0.2.9:5062");
	struct flow tcp = fixture_flow(TRANSPORT_TCP, "192.0.2.9:5060");
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	start(&f, SIP_INVITE);
	answer_on(&f, &elsewhere, 404, BRANCH, "5 INVITE");
	answer_on(&f, &other_port, 404, BRANCH, "5 INVITE");
	answer_on(&f, &tcp, 404, BRANCH, "5 INVITE");
	answer_on(&f, &f.flow, 404, "z9hG4bKCLIENT", "5 INVITE");
	answer_on(&f, &f.flow, 404, "z9hG4bKclien", "5 INVITE");
	answer_on(&f, &f.flow, 404, BRANCH, "5 BYE");
	expect(&f, "0:send INVITE");
	assert_int_equal(fixture_statistics(&f).strays, 6);
	fixture_stop(&f);
}

static void stream_response_may_use_another_connection_of_the_host(void **state)
{
	struct fixture f;
	struct flow again;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	start(&f, SIP_INVITE);
	again = f.flow;
	again.connection = 8;
	again.remote.port = 40000;
	answer_on(&f, &again, 180, BRANCH, "5 INVITE");
	again.remote.ip[3] ^= 1;
	answer_on(&f, &again, 404, BRANCH, "5 INVITE");
	expect(&f, "0:send INVITE 0:response 180");
	fixture_stop(&f);
}

static void cancel_waits_for_a_provisional_response(void **state)
{
	struct sip_client_transaction *client;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	client = start(&f, SIP_INVITE);
	sip_client_cancel(client);
	expect(&f, "0:send INVITE");
	answer(&f, 180, "5 INVITE");
	sip_client_cancel(client);
	expect(&f, "0:response 180 0:send CANCEL");
	assert_string_equal(f.sent, "CANCEL sip:b@example.com SIP/2.0\r\n"
				    "Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=" BRANCH "\r\n"
				    "Route: <sip:r1.example.com;lr>\r\nRoute: <sip:r2.example.com;lr>\r\n"
				    "Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=from\r\n"
				    "To: <sip:b@example.com>\r\nCall-ID: call\r\nCSeq: 5 CANCEL\r\n"
				    "Content-Length: 0\r\n\r\n");
	answer(&f, 200, "5 CANCEL"); /* not the user's */
	answer(&f, 487, "5 INVITE");
	fixture_pass(&f, 40000);
	expect(&f, "0:send ACK 0:response 487 32000:gone");
	assert_int_equal(fixture_statistics(&f).clients_alive, 0);
	fixture_stop(&f);
}

static void cancel_is_left_out_when_the_answer_was_faster(void **state)
{
	struct sip_client_transaction *client;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	client = start(&f, SIP_INVITE);
	sip_client_cancel(client);
	answer(&f, 200, "5 INVITE");
	sip_client_cancel(client);
	fixture_pass(&f, 40000);
	expect(&f, "0:send INVITE 0:response 200 32000:gone");
	fixture_stop(&f);
}

/* The 200 to the INVITE and the CANCEL cross: the user gets the 2xx and has to end the call with BYE. */
static void answer_crosses_the_cancel(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	sip_client_cancel(start(&f, SIP_INVITE));
	answer(&f, 180, "5 INVITE");
	answer(&f, 200, "5 INVITE");
	answer(&f, 481, "5 CANCEL");
	expect(&f, "0:send INVITE 0:response 180 0:send CANCEL 0:response 200");
	fixture_stop(&f);
}

static void cancelled_invite_without_an_answer_ends(void **state)
{
	struct sip_client_transaction *client;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	client = start(&f, SIP_INVITE);
	answer(&f, 180, "5 INVITE");
	fixture_page(&f);
	sip_client_cancel(client);
	answer(&f, 200, "5 CANCEL");
	fixture_pass(&f, 40000);
	expect(&f, "0:send CANCEL 32000:failed timeout 32000:gone");
	fixture_stop(&f);
}

static void cancel_is_repeated_until_answered(void **state)
{
	struct sip_client_transaction *client;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	client = start(&f, SIP_INVITE);
	answer(&f, 180, "5 INVITE");
	fixture_page(&f);
	sip_client_cancel(client);
	fixture_pass(&f, 1600);
	answer(&f, 200, "5 CANCEL");
	fixture_pass(&f, 10000);
	expect(&f, "0:send CANCEL 500:send CANCEL 1500:send CANCEL");
	fixture_stop(&f);
}

static void cancel_is_sent_even_when_the_table_is_full(void **state)
{
	struct sip_client_transaction *client;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 1));
	client = start(&f, SIP_INVITE);
	assert_null(start(&f, SIP_BYE));
	answer(&f, 180, "5 INVITE");
	fixture_page(&f);
	sip_client_cancel(client);
	fixture_pass(&f, 40000);
	expect(&f, "0:send CANCEL 32000:failed timeout 32000:gone");
	fixture_stop(&f);
}

static void cancel_of_other_requests_does_nothing(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	sip_client_cancel(start(&f, SIP_MESSAGE));
	answer(&f, 100, "5 MESSAGE");
	expect(&f, "0:send MESSAGE 0:response 100");
	fixture_stop(&f);
}

static void failed_transport_is_said_later(void **state)
{
	struct sip_client_transaction *client;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TCP, 10));
	f.send_error = -ENOTCONN;
	client = start(&f, SIP_INVITE);
	assert_non_null(client);
	expect(&f, "0:send INVITE");
	sip_client_cancel(client);
	answer(&f, 180, "5 INVITE"); /* too late */
	fixture_pass(&f, 1);
	expect(&f, "1:failed transport 1:gone");
	fixture_stop(&f);
}

static void full_udp_socket_is_no_failure(void **state)
{
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 10));
	f.send_error = -EAGAIN;
	start(&f, SIP_BYE);
	fixture_pass(&f, 100);
	f.send_error = 0;
	fixture_pass(&f, 500);
	answer(&f, 200, "5 BYE");
	expect(&f, "0:send BYE 500:send BYE 600:response 200");
	f.send_error = -ENETUNREACH;
	start(&f, SIP_BYE);
	fixture_pass(&f, 1);
	expect(&f, "0:send BYE 1:failed transport 1:gone");
	fixture_stop(&f);
}

static void lost_connection_fails_what_waits_on_it(void **state)
{
	struct flow other;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_TLS, 10));
	other = f.flow;
	start(&f, SIP_INVITE);
	f.flow.connection = 8;
	start(&f, SIP_BYE);
	start(&f, SIP_MESSAGE);
	answer(&f, 200, "5 MESSAGE"); /* answered: does not fail */
	f.flow = other;
	fixture_page(&f);

	other.connection = 8;
	sip_transactions_transport_failed(f.layer, &other);
	sip_transactions_transport_failed(f.layer, &other);
	expect(&f, "");
	fixture_pass(&f, 1);
	assert_non_null(strstr(f.events, "1:failed transport 1:gone"));
	assert_int_equal(fixture_statistics(&f).clients_alive, 1);
	fixture_page(&f);
	answer(&f, 180, "5 INVITE");
	expect(&f, "0:response 180");
	fixture_stop(&f);
}

static void table_is_bounded(void **state)
{
	char branch[SIP_BRANCH_CAPACITY], second[SIP_BRANCH_CAPACITY], long_branch[64];
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 3));
	for (int i = 0; i < 3; i++)
		assert_non_null(sip_client_start(f.layer, &f.flow, SIP_BYE, BRANCH, SPAN("BYE x"), NULL));
	assert_null(sip_client_start(f.layer, &f.flow, SIP_BYE, BRANCH, SPAN("BYE x"), NULL));
	fixture_stop(&f);

	assert_true(fixture_start(&f, TRANSPORT_UDP, 3));
	memset(long_branch, 'b', sizeof(long_branch));
	long_branch[63] = 0;
	assert_null(sip_client_start(f.layer, &f.flow, SIP_BYE, long_branch, SPAN("BYE x"), NULL));
	sip_branch_make(random_seeded(&f.seed), branch);
	sip_branch_make(random_seeded(&f.seed), second);
	assert_true(strlen(branch) == 27 && !strncmp(branch, "z9hG4bK", 7));
	assert_string_not_equal(branch, second);
	fixture_stop(&f);
}

static void user_pointer_and_method(void **state)
{
	struct sip_client_transaction *client;
	struct fixture f;

	(void)state;
	assert_true(fixture_start(&f, TRANSPORT_UDP, 3));
	client = start(&f, SIP_UPDATE);
	assert_null(sip_client_user(client));
	sip_client_user_set(client, &f);
	assert_ptr_equal(sip_client_user(client), &f);
	assert_int_equal(sip_client_method(client), SIP_UPDATE);
	fixture_stop(&f);
}

/* Every allocation of a cancelled, refused INVITE fails once: no crash, no leak, and the transaction still ends. */
static void memory_may_end_anywhere(void **state)
{
	(void)state;
	for (long count = 0; count < 60; count++) {
		struct sip_client_transaction *client = NULL;
		struct fixture f;

		memory_fail_after(count);
		if (fixture_start(&f, TRANSPORT_UDP, 10))
			client = start(&f, SIP_INVITE);
		if (client) {
			answer(&f, 180, "5 INVITE");
			sip_client_cancel(client);
			answer(&f, 487, "5 INVITE");
			answer(&f, 487, "5 INVITE");
			assert_null(strstr(f.events, "send ACK 0:response 487 0:send INVITE"));
			fixture_pass(&f, 65000);
			assert_non_null(strstr(f.events, "gone"));
			assert_int_equal(fixture_statistics(&f).clients_alive, 0);
		}
		memory_fail_after(-1);
		fixture_stop(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invite_is_repeated_until_timer_b),
		cmocka_unit_test(invite_on_a_stream_is_sent_once),
		cmocka_unit_test(provisional_response_stops_timers_a_and_b),
		cmocka_unit_test(success_is_passed_on_until_timer_m),
		cmocka_unit_test(refusal_is_acknowledged_by_the_layer),
		cmocka_unit_test(refusal_on_a_stream_ends_at_once),
		cmocka_unit_test(other_requests_are_repeated_until_timer_f),
		cmocka_unit_test(other_requests_slow_down_after_a_provisional_response),
		cmocka_unit_test(other_requests_on_a_stream),
		cmocka_unit_test(forged_responses_are_strays),
		cmocka_unit_test(stream_response_may_use_another_connection_of_the_host),
		cmocka_unit_test(cancel_waits_for_a_provisional_response),
		cmocka_unit_test(cancel_is_left_out_when_the_answer_was_faster),
		cmocka_unit_test(answer_crosses_the_cancel),
		cmocka_unit_test(cancelled_invite_without_an_answer_ends),
		cmocka_unit_test(cancel_is_repeated_until_answered),
		cmocka_unit_test(cancel_is_sent_even_when_the_table_is_full),
		cmocka_unit_test(cancel_of_other_requests_does_nothing),
		cmocka_unit_test(failed_transport_is_said_later),
		cmocka_unit_test(full_udp_socket_is_no_failure),
		cmocka_unit_test(lost_connection_fails_what_waits_on_it),
		cmocka_unit_test(table_is_bounded),
		cmocka_unit_test(user_pointer_and_method),
		cmocka_unit_test(memory_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
