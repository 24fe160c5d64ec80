/* SPDX-License-Identifier: Apache-2.0
 * SIP over real sockets on loopback: datagrams, streams cut anywhere, keep-alives, rejects, admission. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "transport/transport.h"

#define PATIENCE_MS 3000

struct fixture {
	struct event_base *loop;
	struct timer_wheel *wheel;
	struct transport_layer *layer;
	uint64_t seed;
	uint16_t udp_port, tcp_port;
	int udp, tcp;
	bool refuse_all;
	uint32_t requests, closed, failed, responses;
	char methods[200]; /* of the requests, in order */
	struct flow flow;  /* of the last one */
	uint16_t answer;   /* status for each request */
};

static bool on_admit(void *context, const struct flow *flow)
{
	(void)flow;
	return !((struct fixture *)context)->refuse_all;
}

static void on_closed(void *context, const struct flow *flow)
{
	(void)flow;
	((struct fixture *)context)->closed++;
}

static void on_request(void *context, struct sip_server_transaction *server, const struct sip_message *request)
{
	struct fixture *fixture = context;
	char text[2000];
	struct buffer out = BUFFER_OVER(text);
	size_t length = strlen(fixture->methods);

	fixture->requests++;
	fixture->flow = *sip_server_flow(server);
	snprintf(fixture->methods + length, sizeof(fixture->methods) - length, "%.*s ",
		 SPAN_PRINT(request->method_text));
	sip_write_response_start(&out, request, fixture->answer, SPAN_EMPTY, SPAN("tag"), &fixture->flow);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	assert_int_equal(sip_server_respond(server, fixture->answer, buffer_span(&out)), 0);
}

static void on_message(void *context, const struct flow *flow, const struct sip_message *message)
{
	(void)context;
	(void)flow;
	(void)message;
}

static void on_server(void *context, struct sip_server_transaction *server)
{
	(void)context;
	(void)server;
}

static void on_cancelled(void *context, struct sip_server_transaction *server, const struct sip_message *cancel)
{
	(void)context;
	(void)server;
	(void)cancel;
}

static void on_response(void *context, struct sip_client_transaction *client, const struct sip_message *response)
{
	(void)client;
	assert_int_equal(response->status, 200);
	((struct fixture *)context)->responses++;
}

static void on_failed(void *context, struct sip_client_transaction *client, enum sip_failure failure)
{
	(void)client;
	assert_int_equal(failure, SIP_FAILURE_TRANSPORT);
	((struct fixture *)context)->failed++;
}

static void on_client(void *context, struct sip_client_transaction *client)
{
	(void)context;
	(void)client;
}

static const struct transport_settings settings = {
	.transactions = {100, 100, 500, 4000, 5000},
	.net = {50, 20, 10, 65536, 65536, 2000, 2000, 10000, 2000},
};

static bool layer_start(struct fixture *fixture)
{
	struct transport_settings mine = settings;
	const struct transport_callbacks callbacks = {
		.admit = on_admit,
		.closed = on_closed,
		.transactions = {.request = on_request,
				 .ack = on_message,
				 .cancelled = on_cancelled,
				 .response = on_response,
				 .failed = on_failed,
				 .server_gone = on_server,
				 .client_gone = on_client,
				 .context = fixture},
		.context = fixture,
	};

	mine.sip = sip_limits_default;
	mine.sip.message_maximum_bytes = 8000;
	mine.sip.body_maximum_bytes = 6000;
	fixture->layer = transport_new(fixture->loop, fixture->wheel, &mine, &callbacks, random_seeded(&fixture->seed));
	return fixture->layer;
}

static uint16_t listen_on(struct fixture *fixture, enum transport transport)
{
	struct address address;
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	int descriptor;

	assert_int_equal(address_parse(SPAN("127.0.0.1"), &address), 0);
	descriptor = net_socket_open(transport, &address);
	assert_true(descriptor >= 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&bound, &length), 0);
	assert_int_equal(net_listener_add(transport_net(fixture->layer), descriptor, transport, 3, 0), 0);
	return ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

static int connect_to(int type, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int descriptor = socket(AF_INET, type | SOCK_NONBLOCK, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(descriptor >= 0);
	assert_true(connect(descriptor, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
	return descriptor;
}

static int start(void **state)
{
	struct fixture *fixture = test_calloc(1, sizeof(*fixture));

	fixture->loop = event_base_new();
	fixture->wheel = timer_wheel_new(clock_monotonic_us());
	fixture->answer = 200;
	assert_true(fixture->loop && fixture->wheel && layer_start(fixture));
	fixture->udp_port = listen_on(fixture, TRANSPORT_UDP);
	fixture->tcp_port = listen_on(fixture, TRANSPORT_TCP);
	fixture->udp = connect_to(SOCK_DGRAM, fixture->udp_port);
	fixture->tcp = connect_to(SOCK_STREAM, fixture->tcp_port);
	*state = fixture;
	return 0;
}

static int stop(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->udp);
	close(fixture->tcp);
	transport_free(fixture->layer);
	timer_wheel_free(fixture->wheel);
	event_base_free(fixture->loop);
	test_free(fixture);
	return 0;
}

static void turn(struct fixture *fixture)
{
	event_base_loop(fixture->loop, EVLOOP_NONBLOCK);
	timer_wheel_advance(fixture->wheel, clock_monotonic_us());
	usleep(500);
}

static void turns(struct fixture *fixture, int count)
{
	for (int i = 0; i < count; i++)
		turn(fixture);
}

/* What comes back on the socket, as a text; "" after the patience, "closed" at the end of a stream. */
static const char *hear(struct fixture *fixture, int descriptor)
{
	static char text[9000];
	uint64_t end_us = clock_monotonic_us() + PATIENCE_MS * 1000;

	while (clock_monotonic_us() < end_us) {
		ssize_t length = recv(descriptor, text, sizeof(text) - 1, MSG_DONTWAIT);

		if (length == 0 || (length < 0 && errno != EAGAIN))
			return "closed";
		if (length > 0) {
			text[length] = 0;
			return text;
		}
		turn(fixture);
	}
	return "";
}

/* Silence, given some time to be broken. */
static void hear_nothing(struct fixture *fixture, int descriptor)
{
	char byte;

	turns(fixture, 60);
	assert_true(recv(descriptor, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void say(struct fixture *fixture, int descriptor, const void *bytes, size_t length)
{
	ssize_t sent;

	for (int i = 0; i < 200; i++) {
		sent = send(descriptor, bytes, length, MSG_NOSIGNAL);
		if (sent >= 0 || errno != EAGAIN)
			break;
		turn(fixture);
	}
	assert_int_equal(sent, length);
}

static void say_text(struct fixture *fixture, int descriptor, const char *text)
{
	say(fixture, descriptor, text, strlen(text));
}

static const char *message(const char *method, int number, const char *more)
{
	static char text[4000];

	snprintf(
		text, sizeof(text),
		"%s sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a.example.com;rport;branch=z9hG4bK-%s-%d\r\n"
		"Max-Forwards: 70\r\nFrom: <sip:a@example.com>;tag=from\r\nTo: <sip:b@example.com>\r\nCall-ID: call\r\n"
		"CSeq: %d %s\r\nUser-Agent: something long enough for an answer to be no larger than this\r\n%s",
		method, method, number, number, method, more);
	return text;
}

#define EMPTY "Content-Length: 0\r\n\r\n"

static void datagram_is_answered_to_its_source(void **state)
{
	struct fixture *fixture = *state;
	const char *answer;

	say_text(fixture, fixture->udp, message("OPTIONS", 1, EMPTY));
	answer = hear(fixture, fixture->udp);
	assert_non_null(strstr(answer, "SIP/2.0 200 OK\r\n"));
	assert_non_null(strstr(answer, "received=127.0.0.1;rport="));
	assert_int_equal(fixture->flow.zone, 3);
	assert_false(fixture->flow.proven);
	say_text(fixture, fixture->udp, message("OPTIONS", 1, EMPTY)); /* a copy */
	assert_non_null(strstr(hear(fixture, fixture->udp), "SIP/2.0 200 OK\r\n"));
	assert_int_equal(fixture->requests, 1);
}

static void stream_may_be_cut_anywhere(void **state)
{
	struct fixture *fixture = *state;
	char text[9000] = "", answers[9000] = "";
	size_t length;

	strcat(text, message("OPTIONS", 1, EMPTY));
	strcat(text, "\r\n"); /* a pong */
	strcat(text, message("MESSAGE", 2, "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"));
	strcat(text, message("INFO", 3, EMPTY));
	length = strlen(text);
	for (size_t i = 0; i < length; i++) {
		say(fixture, fixture->tcp, text + i, 1);
		event_base_loop(fixture->loop, EVLOOP_NONBLOCK);
	}
	while (strlen(answers) < 3 * 200 && fixture->requests < 3)
		strcat(answers, hear(fixture, fixture->tcp));
	assert_string_equal(fixture->methods, "OPTIONS MESSAGE INFO ");
	assert_true(fixture->flow.proven);

	fixture->methods[0] = 0;
	for (char *at = strstr(text, "z9hG4bK-"); at; at = strstr(at + 1, "z9hG4bK-"))
		at[7] = '+';                      /* new transactions */
	say(fixture, fixture->tcp, text, length); /* all at once */
	for (int i = 0; i < 200 && fixture->requests < 6; i++)
		turn(fixture);
	assert_string_equal(fixture->methods, "OPTIONS MESSAGE INFO ");
}

static void keepalives_of_streams(void **state)
{
	struct fixture *fixture = *state;

	say_text(fixture, fixture->tcp, "\r\n\r\n");
	assert_string_equal(hear(fixture, fixture->tcp), "\r\n");
	say_text(fixture, fixture->tcp, "\r\n"); /* a pong: silence */
	hear_nothing(fixture, fixture->tcp);
	say_text(fixture, fixture->tcp, "\r\n"); /* and now the two were a ping */
	assert_string_equal(hear(fixture, fixture->tcp), "\r\n");
	say_text(fixture, fixture->tcp, message("OPTIONS", 1, EMPTY));
	assert_non_null(strstr(hear(fixture, fixture->tcp), "200 OK"));
}

static void keepalives_of_datagrams(void **state)
{
	struct fixture *fixture = *state;
	const char *answer;

	say(fixture, fixture->udp, "\r\n\r\n", 4);
	say(fixture, fixture->udp, "\0\0\0\0", 4);
	hear_nothing(fixture, fixture->udp);
	say(fixture, fixture->udp,
	    "\x00\x01\x00\x00\x21\x12\xa4\x42"
	    "abcdefghijkl",
	    20);
	answer = hear(fixture, fixture->udp);
	assert_memory_equal(answer,
			    "\x01\x01\x00\x0c\x21\x12\xa4\x42"
			    "abcdefghijkl"
			    "\x00\x20\x00\x08\x00\x01",
			    26);
	assert_memory_equal(answer + 28, "\x5e\x12\xa4\x43", 4); /* 127.0.0.1 */
	say(fixture, fixture->udp,
	    "\x00\x01\x00\x04\x21\x12\xa4\x42"
	    "abcdefghijkl",
	    20);
	hear_nothing(fixture, fixture->udp);
	assert_int_equal(transport_rejects(fixture->layer)[SIP_REJECT_NOT_SIP], 1);
}

/* A frame with a mask of zeros. */
static void say_websocket(struct fixture *fixture, int descriptor, const char *text)
{
	char frame[4200];
	size_t length = strlen(text), head = length < 126 ? 6 : 8;

	memset(frame, 0, head);
	frame[0] = (char)0x81;
	frame[1] = (char)(0x80 | (length < 126 ? length : 126));
	if (length >= 126) {
		frame[2] = (char)(length >> 8);
		frame[3] = (char)length;
	}
	memcpy(frame + head, text, length);
	say(fixture, descriptor, frame, head + length);
}

/* RFC 7118: each message is one of SIP, with or without Content-Length; a wrong one is answered and harms no other. */
static void messages_of_websockets(void **state)
{
	struct fixture *fixture = *state;
	uint16_t port = listen_on(fixture, TRANSPORT_WS);
	int client = connect_to(SOCK_STREAM, port);
	const char *heard;
	char via[200];
	struct buffer out = BUFFER_OVER(via);

	net_origins_set(transport_net(fixture->layer), 3, net_origins_new(NULL, 0, true));
	say_text(fixture, client,
		 "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		 "Sec-WebSocket-Protocol: sip\r\n\r\n");
	assert_non_null(strstr(hear(fixture, client), " 101 "));
	say_websocket(fixture, client, message("OPTIONS", 1, "\r\n"));
	heard = hear(fixture, client);
	assert_int_equal((unsigned char)heard[0], 0x81); /* one whole frame of text */
	assert_memory_equal(heard + 4, "SIP/2.0 200 OK\r\n", 16);
	assert_int_equal(fixture->flow.transport, TRANSPORT_WS);
	transport_write_via(&out, &fixture->flow, SPAN_EMPTY, "z9hG4bKa");
	assert_non_null(strstr(buffer_text(&out), "SIP/2.0/WS 127.0.0.1:"));
	say_websocket(fixture, client, "\r\n\r\n");
	assert_memory_equal(hear(fixture, client), "\x81\x02\r\n", 4);
	say_websocket(fixture, client, "\r\n"); /* a pong, and an empty message */
	say_websocket(fixture, client, "");
	hear_nothing(fixture, client);
	say_websocket(fixture, client,
		      message("OPTIONS", 2, "Content-Length: 7000\r\n\r\n")); /* it ends before its body does */
	assert_non_null(strstr(hear(fixture, client) + 4, "SIP/2.0 400 "));
	assert_int_equal(fixture->requests, 1);
	say_websocket(fixture, client, message("OPTIONS", 3, EMPTY));
	assert_non_null(strstr(hear(fixture, client) + 4, "SIP/2.0 200 "));
	say_websocket(fixture, client, "GET / HTTP/1.1\r\n\r\n");
	assert_memory_equal(hear(fixture, client), "\x88\x02\x03\xeb", 4); /* 1003 */
	close(client);
}

static void what_cannot_be_parsed_is_counted_and_answered_once(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t *rejects = transport_rejects(fixture->layer);
	const char *answer;

	say_text(fixture, fixture->udp, message("OPTIONS", 1, "Max-Forwards: 3\r\n" EMPTY));
	answer = hear(fixture, fixture->udp);
	assert_non_null(strstr(answer, "SIP/2.0 400 "));
	assert_non_null(strstr(answer, "To: <sip:b@example.com>;tag="));
	assert_int_equal(rejects[SIP_REJECT_HEADER_DUPLICATE], 1);
	say_text(fixture, fixture->udp, message("ACK", 1, "Max-Forwards: 3\r\n" EMPTY)); /* ACK is never answered */
	say_text(fixture, fixture->udp, "SIP/2.0 200 OK\r\nVia: x\r\n\r\n");             /* nor are responses */
	say_text(fixture, fixture->udp, "GET / HTTP/1.1\r\n\r\n");
	hear_nothing(fixture, fixture->udp);
	assert_int_equal(rejects[SIP_REJECT_HEADER_DUPLICATE], 2);
	assert_int_equal(rejects[SIP_REJECT_NOT_SIP], 1);
	assert_int_equal(fixture->requests, 0);
}

/* N4: neither a larger answer than the request, nor more than so many a second to unproven sources. */
static void rejects_do_not_amplify(void **state)
{
	struct fixture *fixture = *state;
	uint32_t answers = 0;
	char text[4000];

	say_text(fixture, fixture->udp,
		 "X sip:b SIP/2.0\r\nv:SIP/2.0/UDP a;rport;branch=z9hG4bK1\r\nf:sip:a;tag=1\r\nt:sip:b\r\ni:c\r\n"
		 "CSeq:1 Y\r\nl:0\r\n\r\n");
	hear_nothing(fixture, fixture->udp);
	assert_int_equal(transport_rejects(fixture->layer)[SIP_REJECT_METHOD_MISMATCH], 1);

	for (int i = 0; i < 1000; i++) {
		strcpy(text, message("OPTIONS", i, "Max-Forwards: 3\r\n" EMPTY));
		say_text(fixture, fixture->udp, text);
		event_base_loop(fixture->loop, EVLOOP_NONBLOCK);
		while (recv(fixture->udp, text, sizeof(text), MSG_DONTWAIT) > 0)
			answers++;
	}
	assert_in_range(answers, 100, 250); /* the wheel did not turn: one second's worth */
}

static void stream_goes_on_after_a_sound_reject(void **state)
{
	struct fixture *fixture = *state;
	char text[9000];

	strcpy(text, message("OPTIONS", 1, "Expires: never\r\n" EMPTY));
	strcat(text, message("OPTIONS", 2, EMPTY));
	say_text(fixture, fixture->tcp, text);
	for (int i = 0; i < 200 && !fixture->requests; i++)
		turn(fixture);
	assert_int_equal(fixture->requests, 1);
	assert_non_null(strstr(hear(fixture, fixture->tcp), "SIP/2.0 400 "));
	assert_int_equal(fixture->closed, 0);
}

static void stream_ends_when_the_next_message_cannot_be_found(void **state)
{
	static const char *const bad[] = {"Content-Length: 0\r\nContent-Length: 2\r\n\r\n", "\r\n",
					  "Content-Length: 999999\r\n\r\n", "Content-Length : x\r\n\r\n"};
	struct fixture *fixture = *state;
	char text[9000];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int descriptor = connect_to(SOCK_STREAM, fixture->tcp_port);
		const char *answer;

		strcpy(text, message("OPTIONS", 1, bad[i]));
		strcat(text, message("OPTIONS", 2, EMPTY)); /* smuggled */
		say_text(fixture, descriptor, text);
		answer = hear(fixture, descriptor);
		if (strcmp(answer, "closed")) {
			assert_non_null(strstr(answer, i == 2 ? "SIP/2.0 513 " : "SIP/2.0 400 "));
			assert_string_equal(hear(fixture, descriptor), "closed");
		}
		close(descriptor);
	}
	assert_int_equal(fixture->requests, 0);
}

static void stream_that_never_ends_a_message_is_closed(void **state)
{
	struct fixture *fixture = *state;
	char junk[4096];
	ssize_t sent = 0;

	memset(junk, 'A', sizeof(junk));
	say_text(fixture, fixture->tcp, "OPTIONS sip:b@example.com SIP/2.0\r\nSubject: ");
	for (int i = 0; i < 20 && sent >= 0; i++) {
		sent = send(fixture->tcp, junk, sizeof(junk), MSG_NOSIGNAL | MSG_DONTWAIT);
		turns(fixture, 5);
	}
	assert_string_equal(hear(fixture, fixture->tcp), "closed");
	shutdown(fixture->tcp, SHUT_RDWR);
	turns(fixture, 50);
	assert_int_equal(fixture->closed, 1);
	assert_int_equal(fixture->requests, 0);
}

/* N7: who may not talk to the zone gets nothing, on any transport. */
static void refused_sources_meet_silence(void **state)
{
	struct fixture *fixture = *state;
	int descriptor;

	fixture->refuse_all = true;
	say_text(fixture, fixture->udp, message("OPTIONS", 1, EMPTY));
	say(fixture, fixture->udp,
	    "\x00\x01\x00\x00\x21\x12\xa4\x42"
	    "abcdefghijkl",
	    20);
	hear_nothing(fixture, fixture->udp);
	descriptor = connect_to(SOCK_STREAM, fixture->tcp_port);
	assert_string_equal(hear(fixture, descriptor), "closed");
	close(descriptor);
	assert_int_equal(fixture->requests, 0);
}

static void own_request(struct fixture *fixture, const struct flow *flow)
{
	char branch[SIP_BRANCH_CAPACITY], text[2000], via_text[200];
	struct buffer out = BUFFER_OVER(text), via = BUFFER_OVER(via_text);

	sip_branch_make(random_seeded(&fixture->seed), branch);
	transport_write_via(&via, flow, SPAN_EMPTY, branch);
	sip_write_request_line(&out, SPAN("OPTIONS"), SPAN("sip:peer@127.0.0.1"));
	sip_write_header(&out, SIP_HEADER_VIA, buffer_span(&via));
	sip_write_header_number(&out, SIP_HEADER_MAX_FORWARDS, 70);
	sip_write_header(&out, SIP_HEADER_FROM, SPAN("<sip:me@example.com>;tag=1"));
	sip_write_header(&out, SIP_HEADER_TO, SPAN("<sip:peer@127.0.0.1>"));
	sip_write_header(&out, SIP_HEADER_CALL_ID, SPAN("own"));
	sip_write_header(&out, SIP_HEADER_CSEQ, SPAN("1 OPTIONS"));
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	assert_non_null(sip_client_start(transport_transactions(fixture->layer), flow, SIP_OPTIONS, branch,
					 buffer_span(&out), NULL));
}

/* The layer speaks to itself: each way of sending a request, and its response. */
static void requests_of_our_own(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2; i++) {
		struct net_peer peer = {.transport = i ? TRANSPORT_TCP : TRANSPORT_UDP};
		struct flow flow;

		assert_int_equal(address_parse(SPAN("127.0.0.1"), &peer.address), 0);
		peer.address.port = i ? fixture->tcp_port : fixture->udp_port;
		assert_int_equal(net_flow_open(transport_net(fixture->layer), &peer, 3, 0, &flow), 0);
		own_request(fixture, &flow);
		for (int count = 0; count < 1000 && fixture->responses == (uint32_t)i; count++)
			turn(fixture);
		assert_int_equal(fixture->responses, i + 1);
	}
}

static void broken_connection_fails_its_requests(void **state)
{
	struct fixture *fixture = *state;
	struct net_peer peer = {.transport = TRANSPORT_TCP};
	struct flow flow;
	int listener;

	/* somebody who listens, and closes what he accepts */
	assert_int_equal(address_parse(SPAN("127.0.0.1"), &peer.address), 0);
	listener = net_socket_open(TRANSPORT_TCP, &peer.address);
	struct sockaddr_in bound;
	socklen_t length = sizeof(bound);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &length), 0);
	peer.address.port = ntohs(bound.sin_port);
	assert_int_equal(net_flow_open(transport_net(fixture->layer), &peer, 3, 0, &flow), 0);
	own_request(fixture, &flow);
	for (int i = 0; i < 1000 && !fixture->failed; i++) {
		int accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

		if (accepted >= 0)
			close(accepted);
		turn(fixture);
	}
	close(listener);
	assert_int_equal(fixture->failed, 1);
	assert_int_equal(fixture->closed, 1);
}

static void via_has_the_name_given(void **state)
{
	char text[200];
	struct buffer out = BUFFER_OVER(text);
	struct flow flow = {.transport = TRANSPORT_TLS};

	(void)state;
	assert_int_equal(address_parse(SPAN("[2001:db8::1]:5061"), &flow.local), 0);
	transport_write_via(&out, &flow, SPAN_EMPTY, "z9hG4bKx");
	assert_string_equal(buffer_text(&out), "SIP/2.0/TLS [2001:db8::1]:5061;rport;branch=z9hG4bKx");
	out = BUFFER_OVER(text);
	transport_write_via(&out, &flow, SPAN("gate.example.com:5061"), "z9hG4bKx");
	assert_string_equal(buffer_text(&out), "SIP/2.0/TLS gate.example.com:5061;rport;branch=z9hG4bKx");
}

static void memory_may_end_anywhere(void **state)
{
	struct fixture fixture = {0};
	bool whole = false;

	(void)state;
	fixture.loop = event_base_new();
	fixture.wheel = timer_wheel_new(clock_monotonic_us());
	for (long count = 0; count < 60 && !whole; count++) {
		memory_fail_after(count);
		whole = layer_start(&fixture);
		memory_fail_after(-1);
		transport_free(fixture.layer);
	}
	assert_true(whole);
	timer_wheel_free(fixture.wheel);
	event_base_free(fixture.loop);
}

#define WITH_SOCKETS(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SOCKETS(datagram_is_answered_to_its_source),
		WITH_SOCKETS(stream_may_be_cut_anywhere),
		WITH_SOCKETS(keepalives_of_streams),
		WITH_SOCKETS(keepalives_of_datagrams),
		WITH_SOCKETS(messages_of_websockets),
		WITH_SOCKETS(what_cannot_be_parsed_is_counted_and_answered_once),
		WITH_SOCKETS(rejects_do_not_amplify),
		WITH_SOCKETS(stream_goes_on_after_a_sound_reject),
		WITH_SOCKETS(stream_ends_when_the_next_message_cannot_be_found),
		WITH_SOCKETS(stream_that_never_ends_a_message_is_closed),
		WITH_SOCKETS(refused_sources_meet_silence),
		WITH_SOCKETS(requests_of_our_own),
		WITH_SOCKETS(broken_connection_fails_its_requests),
		cmocka_unit_test(via_has_the_name_given),
		cmocka_unit_test(memory_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
