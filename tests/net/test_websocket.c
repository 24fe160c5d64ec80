/* SPDX-License-Identifier: Apache-2.0
 * WebSockets that pages open: who may, what flows, how they end, and that nothing of it is without a bound. */
#include "harness.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD \
	"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n"
#define GOOD HEAD "Origin: https://voip.example.org\r\n\r\n"
#define ACCEPTED \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
#define FORBIDDEN "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#define BAD "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
/* Masked with zeros, so that they can be read here. */
#define PING "\x89\x84\0\0\0\0ping"
#define PONG \
	"\x8a\x04" \
	"ping"
#define HELLO "\x81\x85\0\0\0\0hello"
#define CLOSE "\x88\x82\0\0\0\0\x03\xe8"

static void origins(struct world *world, bool programs)
{
	static const struct span texts[] = {SPAN_INIT("https://voip.example.org"), SPAN_INIT("http://127.0.0.1:8080")};

	net_origins_set(world->net, 1, net_origins_new(texts, 2, programs));
}

static void client_send_bytes(struct world *world, int client, struct span bytes)
{
	assert_int_equal(send(client, bytes.data, bytes.length, MSG_NOSIGNAL), bytes.length);
	world_turn(world);
}

static void client_expect_bytes(struct world *world, int client, struct span bytes)
{
	char got[4096];
	size_t length = 0;

	world_run_until(world, ({
				ssize_t more = recv(client, got + length, bytes.length - length, 0);
				length += more > 0 ? (size_t)more : 0;
				length == bytes.length;
			}));
	assert_memory_equal(got, bytes.data, bytes.length);
}

static bool client_is_ended(struct world *world, int client)
{
	char byte;
	ssize_t length = 1;

	world_run_until(world, (length = recv(client, &byte, 1, 0)) >= 0 || errno != EAGAIN);
	return length == 0;
}

static int opened(struct world *world, const struct address *local)
{
	int client = client_connect(world, local), before = world->opened;

	client_send(world, client, GOOD);
	client_expect(world, client, ACCEPTED);
	world_run_until(world, world->opened == before + 1);
	return client;
}

static void test_only_origins_of_the_zone(void **state)
{
	static const struct {
		const char *origin;
		bool may, programs;
	} cases[] = {
		{"Origin: https://voip.example.org\r\n", true, false},
		{"Origin: https://VOIP.example.org:443\r\n", true, false},
		{"Origin: http://127.0.0.1:8080\r\n", true, false},
		{"Origin: http://voip.example.org\r\n", false, true},
		{"Origin: https://voip.example.org:8443\r\n", false, true},
		{"Origin: https://evil.example\r\n", false, true},
		{"Origin: https://voip.example.org.evil.example\r\n", false, true},
		{"Origin: https://evil.example/https://voip.example.org\r\n", false, true},
		{"Origin: null\r\n", false, true},
		{"", false, false},
		{"", true, true},
	};
	struct world world;
	struct address local;

	(void)state;
	world_start(&world, NULL);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int client = client_connect(&world, &local);
		int before = world.opened;

		origins(&world, cases[i].programs);
		client_send(&world, client, HEAD);
		client_send(&world, client, cases[i].origin);
		client_send(&world, client, "\r\n");
		client_expect(&world, client, cases[i].may ? ACCEPTED : FORBIDDEN);
		assert_int_equal(world.opened, before + cases[i].may);
		if (!cases[i].may)
			assert_true(client_is_ended(&world, client));
		close(client);
	}
	/* Without a policy nobody may. */
	net_origins_set(world.net, 1, NULL);
	int client = client_connect(&world, &local);

	client_send(&world, client, GOOD);
	client_expect(&world, client, FORBIDDEN);
	close(client);
	world_run_until(&world, statistics_of(&world).connections_open == 0);
	world_stop(&world);
}

static void test_messages_both_ways(void **state)
{
	struct world world;
	struct address local;
	int client;

	(void)state;
	world_start(&world, NULL);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 3);
	client = client_connect(&world, &local);
	for (const char *at = GOOD; *at; at++) /* however it is cut */
		client_send(&world, client, (char[]){*at, 0});
	client_expect(&world, client, ACCEPTED);
	world_run_until(&world, world.opened == 1);
	assert_int_equal(world.flow.transport, TRANSPORT_WS);
	assert_int_equal(world.flow.listener, 3);
	world.echo = true;
	client_send_bytes(&world, client, SPAN(PING HELLO));
	client_expect_bytes(&world, client,
			    SPAN("\x81\x05"
				 "hello" PONG));
	client_send_bytes(&world, client, SPAN("\x01\x83\0\0\0\0one" PING "\x80\x83\0\0\0\0two"));
	client_expect_bytes(&world, client,
			    SPAN("\x81\x06"
				 "onetwo" PONG));
	client_send_bytes(&world, client, SPAN("\x82\x81\0\0\0\0\xff")); /* what is no text goes out as bytes */
	client_expect_bytes(&world, client, SPAN("\x82\x01\xff"));
	client_send_bytes(&world, client, SPAN(PING PING PING)); /* one answer for all of them */
	client_expect_bytes(&world, client, SPAN(PONG));
	client_send_bytes(&world, client, SPAN(HELLO));
	client_expect_bytes(&world, client,
			    SPAN("\x81\x05"
				 "hello"));
	close(client);
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.reason, NET_CLOSED_BY_PEER);
	assert_int_equal(net_send(world.net, &world.flow, SPAN("late")), -ENOTCONN);
	world_stop(&world);
}

static void test_close_by_either_side(void **state)
{
	struct world world;
	struct address local;
	int client;

	(void)state;
	world_start(&world, NULL);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 0);
	client = opened(&world, &local);
	client_send_bytes(&world, client, SPAN(CLOSE HELLO));
	client_expect_bytes(&world, client, SPAN("\x88\x02\x03\xe8"));
	assert_true(client_is_ended(&world, client));
	assert_int_equal(world.deliveries, 0); /* nothing is heard after a close */
	assert_int_equal(net_send(world.net, &world.flow, SPAN("late")), -ENOTCONN);
	close(client);
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.reason, NET_CLOSED_BY_PEER);

	client = opened(&world, &local);
	net_flow_close(world.net, &world.flow);
	assert_int_equal(net_send(world.net, &world.flow, SPAN("late")), -ENOTCONN);
	client_expect_bytes(&world, client, SPAN("\x88\x02\x03\xe9"));
	client_send_bytes(&world, client, SPAN(PING HELLO CLOSE));
	assert_true(client_is_ended(&world, client)); /* without another word */
	assert_int_equal(world.deliveries, 0);
	close(client);
	world_run_until(&world, world.closed == 2);
	assert_int_equal(world.reason, NET_CLOSED_BY_US);

	client = opened(&world, &local); /* a peer that does not close is not waited for */
	net_flow_close(world.net, &world.flow);
	client_expect_bytes(&world, client, SPAN("\x88\x02\x03\xe9"));
	world_run_until(&world, world.closed == 3);
	close(client);

	client = opened(&world, &local);
	world.refuse = -1;
	client_send_bytes(&world, client, SPAN(HELLO));
	client_expect_bytes(&world, client, SPAN("\x88\x02\x03\xeb")); /* 1003 */
	close(client);
	world_run_until(&world, world.closed == 4);
	world_stop(&world);
}

static void test_what_is_wrong_ends_it(void **state)
{
	static const struct {
		struct span bytes, answer;
	} cases[] = {
		{SPAN_INIT("\x81\x05hello"), SPAN_INIT("\x88\x02\x03\xea")}, /* unmasked: 1002 */
		{SPAN_INIT("\x82\xff\0\0\0\0\0\x01\x86\xa1\0\0\0\0a"),
		 SPAN_INIT("\x88\x02\x03\xf1")},                                    /* 100,001: 1009 */
		{SPAN_INIT("\x81\x81\0\0\0\0\xff"), SPAN_INIT("\x88\x02\x03\xef")}, /* no UTF-8: 1007 */
	};
	struct world world;
	struct address local;

	(void)state;
	world_start(&world, NULL);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int client = opened(&world, &local);

		client_send_bytes(&world, client, cases[i].bytes);
		client_expect_bytes(&world, client, cases[i].answer);
		assert_true(client_is_ended(&world, client));
		close(client);
		world_run_until(&world, world.closed == (int)i + 1);
		assert_int_equal(world.deliveries, 0);
	}
	world_stop(&world);
}

static void test_over_tls(void **state)
{
	const struct span hello = SPAN(HELLO);
	struct world world;
	struct address local;
	SSL *ssl;

	(void)state;
	world_start(&world, NULL);
	world.echo = true;
	world_certify(&world, "voip.example.org", NULL);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WSS, "127.0.0.1", 0);
	ssl = client_tls(&world, &local);
	assert_int_equal(world.opened, 0); /* TLS alone is not enough */
	client_tls_send(&world, ssl, SPAN(GOOD));
	client_tls_expect(&world, ssl, SPAN(ACCEPTED));
	assert_int_equal(world.flow.transport, TRANSPORT_WSS);
	for (size_t i = 0; i < hello.length; i++)
		client_tls_send(&world, ssl, span_slice(hello, i, 1));
	client_tls_expect(&world, ssl,
			  SPAN("\x81\x05"
			       "hello"));
	client_tls_send(&world, ssl, SPAN(CLOSE));
	client_tls_expect(&world, ssl, SPAN("\x88\x02\x03\xe8"));
	client_tls_free(ssl);
	world_run_until(&world, world.closed == 1);
	world_stop(&world);
}

/* THREATS N3: TLS and the request together have the time of a handshake, and their number is bounded. */
static void test_handshakes_are_bounded(void **state)
{
	struct net_limits limits = generous;
	struct world world;
	struct address local;
	int clients[3];
	SSL *ssl;

	(void)state;
	limits.handshake_timeout_ms = 600;
	limits.handshakes_maximum = 2;
	world_start(&world, &limits);
	world_certify(&world, "voip.example.org", NULL);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WSS, "127.0.0.1", 0);
	ssl = client_tls(&world, &local);
	client_tls_send(&world, ssl, SPAN("GET / HTTP/1.1\r\n"));
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.reason, NET_CLOSED_HANDSHAKE);
	client_tls_free(ssl);

	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 1);
	for (int i = 0; i < 3; i++)
		clients[i] = client_connect(&world, &local);
	world_run_ms(&world, 50);
	assert_int_equal(statistics_of(&world).connections_open, 2); /* the third waits in the kernel */
	client_send(&world, clients[0], GOOD);
	client_expect(&world, clients[0], ACCEPTED);
	client_send(&world, clients[2], GOOD);
	client_expect(&world, clients[2], ACCEPTED);
	client_send(&world, clients[1], "rubbish\r\n");
	client_expect(&world, clients[1], BAD);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	world_run_until(&world, world.closed == 4);
	assert_int_equal(statistics_of(&world).connections_open, 0);
	world_stop(&world);
}

static void test_bytes_behind_the_request(void **state)
{
	struct world world;
	struct address local;
	int client;

	(void)state;
	world_start(&world, NULL);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 0);
	client = client_connect(&world, &local);
	client_send(&world, client, GOOD "GET /");
	client_expect(&world, client, BAD);
	close(client);
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.opened, 0);
	world_stop(&world);
}

/* A message that trickles, with pings between its fragments, has the time of one message; RFC 6455 section 5.4. */
static void test_slow_messages(void **state)
{
	struct net_limits limits = generous;
	struct world world;
	struct address local;
	int client;
	uint64_t start_us;

	(void)state;
	limits.first_byte_timeout_ms = 500;
	world_start(&world, &limits);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 0);
	client = opened(&world, &local);
	client_send_bytes(&world, client, SPAN("\x01\x81\0\0\0\0a"));
	start_us = clock_monotonic_us();
	for (int i = 0; i < 20 && !world.closed; i++) {
		send(client, PING, sizeof(PING) - 1, MSG_NOSIGNAL);
		world_run_ms(&world, 100);
	}
	assert_int_equal(world.closed, 1);
	assert_int_equal(world.reason, NET_CLOSED_SLOW);
	assert_true(clock_monotonic_us() - start_us < 1500000);
	close(client);
	world_stop(&world);
}

/* RFC 7118 section 6: who promised keep-alives is asked, for a page cannot send them; who does not answer is gone. */
static void test_pings(void **state)
{
	struct net_limits limits = generous;
	struct world world;
	struct address local;
	int client;

	(void)state;
	limits.alive_timeout_ms = 600;
	world_start(&world, &limits);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 0);
	client = opened(&world, &local);
	client_send_bytes(&world, client, SPAN(HELLO));
	world_run_until(&world, world.deliveries == 1);
	net_flow_keeps_alive(world.net, &world.flow);
	for (int i = 0; i < 3; i++) { /* longer together than he may be silent */
		client_expect_bytes(&world, client, SPAN("\x89\0"));
		client_send_bytes(&world, client, SPAN("\x8a\x80\0\0\0\0"));
	}
	assert_int_equal(world.closed, 0);
	client_expect_bytes(&world, client, SPAN("\x89\0"));
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.reason, NET_CLOSED_SILENT);
	close(client);
	world_stop(&world);
}

/* Who reads nothing is owed no more than the limit, pongs included. */
static void test_the_queue_is_bounded(void **state)
{
	static char large[60000];
	struct net_limits limits = generous;
	struct world world;
	struct address local;
	int client, result = 0;

	(void)state;
	limits.send_queue_maximum_bytes = 100000;
	world_start(&world, &limits);
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 0);
	client = opened(&world, &local);
	memset(large, 'x', sizeof(large));
	for (int i = 0; i < 1000 && !result; i++)
		result = net_send(world.net, &world.flow, (struct span){large, sizeof(large)});
	assert_int_equal(result, -ENOBUFS);
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.reason, NET_CLOSED_FULL);
	close(client);
	world_stop(&world);
}

static void test_never_dialled(void **state)
{
	struct world world;
	struct net_peer peer = {.address = address_of("127.0.0.1", 1), .transport = TRANSPORT_WS};
	struct flow flow;

	(void)state;
	world_start(&world, NULL);
	assert_int_equal(net_flow_open(world.net, &peer, 1, 0, &flow), -EINVAL);
	world_stop(&world);
}

static void test_every_allocation_may_fail(void **state)
{
	struct world world;
	struct address local;
	bool done = false;

	(void)state;
	world_start(&world, NULL);
	world.echo = true;
	origins(&world, false);
	local = world_listen(&world, TRANSPORT_WS, "127.0.0.1", 0);
	for (long i = 0; !done; i++) {
		int client = client_connect(&world, &local), closed = world.closed;
		char got[512] = "";
		ssize_t length = 0;
		bool over = false;

		memory_fail_after(i);
		send(client, GOOD, sizeof(GOOD) - 1, MSG_NOSIGNAL);
		world_run_ms(&world, 10);
		send(client, HELLO CLOSE, sizeof(HELLO CLOSE) - 1, MSG_NOSIGNAL);
		world_run_until(&world, ({
			ssize_t more = recv(client, got + length, sizeof(got) - (size_t)length, 0);
			length += more > 0 ? more : 0;
			over = more == 0 || (more < 0 && errno != EAGAIN);
			over;
		}));
		memory_fail_after(-1);
		done = length == sizeof(ACCEPTED "\x81\x05hello\x88\x02\x03\xe8") - 1;
		close(client);
		world_run_ms(&world, 10);
		assert_true(world.closed <= closed + 1);
		assert_true(i < 60);
	}
	world_run_until(&world, statistics_of(&world).connections_open == 0);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_origins_of_the_zone),
		cmocka_unit_test(test_messages_both_ways),
		cmocka_unit_test(test_close_by_either_side),
		cmocka_unit_test(test_what_is_wrong_ends_it),
		cmocka_unit_test(test_over_tls),
		cmocka_unit_test(test_handshakes_are_bounded),
		cmocka_unit_test(test_bytes_behind_the_request),
		cmocka_unit_test(test_slow_messages),
		cmocka_unit_test(test_pings),
		cmocka_unit_test(test_the_queue_is_bounded),
		cmocka_unit_test(test_never_dialled),
		cmocka_unit_test(test_every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
