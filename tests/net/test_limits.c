/* SPDX-License-Identifier: Apache-2.0
 * THREATS N3: connections, handshakes, slow and silent peers, full queues: each limit holds, and an honest
 * caller beside it notices nothing. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/private.h"

static uint64_t cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* A client from another loopback address. */
static int client_from(struct world *world, const char *ip, const struct address *remote)
{
	struct address local = address_of(ip, 0);
	struct sockaddr_storage sockaddr;
	int descriptor = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(descriptor, (struct sockaddr *)&sockaddr, address_to_sockaddr(&local, &sockaddr)), 0);
	assert_int_equal(connect(descriptor, (struct sockaddr *)&sockaddr, address_to_sockaddr(remote, &sockaddr)), 0);
	fcntl(descriptor, F_SETFL, O_NONBLOCK);
	world_turn(world);
	return descriptor;
}

static void test_per_source(void **state)
{
	struct net_limits limits = generous;
	struct world world;
	struct address local;
	int clients[4];

	(void)state;
	limits.connections_per_source_maximum = 2;
	world_start(&world, &limits);
	world.echo = true;
	local = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	for (int i = 0; i < 2; i++)
		clients[i] = client_from(&world, "127.0.0.2", &local);
	clients[2] = client_from(&world, "127.0.0.2", &local);
	assert_true(client_is_reset(&world, clients[2]));
	close(clients[2]);
	clients[3] = client_from(&world, "127.0.0.3", &local); /* others notice nothing */
	client_send(&world, clients[3], "hello");
	client_expect(&world, clients[3], "hello");
	assert_int_equal(statistics_of(&world).connections_refused, 1);
	close(clients[0]);
	world_run_until(&world, world.closed == 1);
	clients[0] = client_from(&world, "127.0.0.2", &local);
	client_send(&world, clients[0], "again");
	client_expect(&world, clients[0], "again");
	for (int i = 0; i < 4; i++)
		if (i != 2)
			close(clients[i]);
	world_stop(&world);
}

/* All of a /64 is one subscriber's: his addresses share one limit. Asked where sources are counted, because
 * loopback has only one IPv6 address. */
static void test_ipv6_prefixes(void **state)
{
	struct address a = address_of("2001:db8:1:2:3::4", 1), b = address_of("2001:db8:1:2:ffff::1", 2),
		       other = address_of("2001:db8:1:3:3::4", 1);
	struct net_source *first, *second;
	struct world world;

	(void)state;
	world_start(&world, NULL);
	first = net_source_enter(world.net, &a, 1);
	assert_non_null(first);
	assert_null(net_source_enter(world.net, &b, 1));
	second = net_source_enter(world.net, &other, 1);
	assert_non_null(second);
	net_source_leave(world.net, second);
	net_source_leave(world.net, first);
	world_stop(&world);
}

static void test_total(void **state)
{
	struct net_limits limits = generous;
	struct world world;
	struct address local;
	int first, second;

	(void)state;
	limits.connections_maximum = 1;
	world_start(&world, &limits);
	local = world_listen(&world, TRANSPORT_TCP, "::1", 0);
	first = client_connect(&world, &local);
	second = client_connect(&world, &local);
	assert_true(client_is_reset(&world, second));
	assert_int_equal(statistics_of(&world).connections_open, 1);
	assert_int_equal(statistics_of(&world).connections_refused, 1);
	close(first);
	close(second);
	world_stop(&world);

	limits.connections_maximum = 0;
	world_start(&world, &limits);
	local = world_listen(&world, TRANSPORT_TCP, "::1", 0);
	first = client_connect(&world, &local);
	assert_true(client_is_reset(&world, first));
	close(first);
	world_stop(&world);
}

static void test_tls_without_certificate_is_refused(void **state)
{
	struct world world;
	struct address local;
	int client;

	(void)state;
	world_start(&world, NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	client = client_connect(&world, &local);
	assert_true(client_is_reset(&world, client));
	close(client);
	world_stop(&world);
}

/* One handshake at a time, and twenty phones that come at once: all get in, none is refused. */
static void test_handshakes_wait(void **state)
{
	struct net_limits limits = generous;
	struct world world;
	struct address local;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *phones[20];
	int done = 0;

	(void)state;
	limits.handshakes_maximum = 1;
	world_start(&world, &limits);
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	for (int i = 0; i < 20; i++) {
		phones[i] = SSL_new(context);
		SSL_set_fd(phones[i], client_connect(&world, &local));
	}
	assert_int_equal(statistics_of(&world).connections_open, 1);
	world_run_until(&world, ({
		done = 0;
		for (int i = 0; i < 20; i++)
			done += SSL_connect(phones[i]) == 1;
		done == 20;
	}));
	world_run_until(&world, world.opened == 20);
	assert_int_equal(statistics_of(&world).handshakes_failed, 0);
	for (int i = 0; i < 20; i++)
		client_tls_free(phones[i]);
	SSL_CTX_free(context);
	world_stop(&world);
}

/* All handshakes are taken by peers that do not go on: an honest one gets in long before their time is up. */
static void test_stalled_handshakes_make_room(void **state)
{
	struct net_limits limits = generous;
	struct world world;
	struct address local;
	int stalled[3];
	uint64_t start_us = clock_monotonic_us();
	SSL *ssl;

	(void)state;
	limits.handshakes_maximum = 3;
	limits.handshake_timeout_ms = 4000;
	world_start(&world, &limits);
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	for (int i = 0; i < 3; i++)
		stalled[i] = client_connect(&world, &local);
	ssl = client_tls(&world, &local);
	assert_true(clock_monotonic_us() - start_us < 3000000);
	world_run_until(&world, world.closed >= 1);
	client_tls_free(ssl);
	for (int i = 0; i < 3; i++)
		close(stalled[i]);
	world_stop(&world);
}

/* Fifty ClientHellos at once do not all get their answer in one turn: what is established goes first. */
static void test_handshake_work_is_bounded(void **state)
{
	struct world world;
	struct address tcp, tls;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *phones[50];
	int client, answered = 0;
	char byte, text[8];

	(void)state;
	world_start(&world, NULL);
	world.echo = true;
	world_certify(&world, "sip.example.org", NULL);
	tcp = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	tls = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 1);
	client = client_connect(&world, &tcp);
	for (int i = 0; i < 50; i++) {
		phones[i] = SSL_new(context);
		SSL_set_fd(phones[i], client_connect(&world, &tls));
	}
	world_run_until(&world, statistics_of(&world).connections_open == 51);
	for (int i = 0; i < 50; i++)
		SSL_connect(phones[i]);
	assert_int_equal(send(client, "first", 5, 0), 5);
	for (int i = 0; i < 4; i++) /* epoll tells of 32 sockets at first, of more in the next turns */
		world_step(&world);
	assert_int_equal(recv(client, text, sizeof(text), 0), 5);
	for (int i = 0; i < 50; i++)
		answered += recv(SSL_get_fd(phones[i]), &byte, 1, MSG_PEEK) == 1;
	assert_in_range(answered, 1, 49);
	for (int i = 0; i < 50; i++)
		client_tls_free(phones[i]);
	SSL_CTX_free(context);
	close(client);
	world_stop(&world);
}

static void test_accepts_are_bounded(void **state)
{
	struct world world;
	struct address local;
	struct sockaddr_storage sockaddr;
	int clients[40];

	(void)state;
	world_start(&world, NULL);
	local = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	for (int i = 0; i < 40; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(
			connect(clients[i], (struct sockaddr *)&sockaddr, address_to_sockaddr(&local, &sockaddr)), 0);
	}
	world_step(&world);
	assert_int_equal(world.opened, 16);
	world_run_until(&world, world.opened == 40);
	for (int i = 0; i < 40; i++)
		close(clients[i]);
	world_stop(&world);
}

/* What a client does after `connect`, every 20 ms, until it is closed; and why that should be. */
struct slow_peer {
	const char *name;
	enum transport transport;
	const char *first, *then;
	enum net_close_reason reason;
};

static const struct slow_peer slow_peers[] = {
	{"says nothing", TRANSPORT_TCP, NULL, NULL, NET_CLOSED_SLOW},
	{"says half a line", TRANSPORT_TCP, "half", NULL, NET_CLOSED_SLOW},
	{"trickles", TRANSPORT_TCP, "half", "x", NET_CLOSED_SLOW},
	{"one line, then trickles", TRANSPORT_TCP, "line\n", "x", NET_CLOSED_SLOW},
	{"one line, then silence", TRANSPORT_TCP, "line\n", NULL, NET_CLOSED_IDLE},
	{"no handshake", TRANSPORT_TLS, NULL, NULL, NET_CLOSED_HANDSHAKE},
	/* The head of a ClientHello whose length never comes. */
	{"trickles a handshake", TRANSPORT_TLS, "\x16\x03\x01\x40", "\x01", NET_CLOSED_HANDSHAKE},
};

static struct net_limits hasty(void)
{
	struct net_limits limits = generous;

	limits.handshake_timeout_ms = 400;
	limits.first_byte_timeout_ms = 400;
	limits.idle_timeout_ms = 800;
	limits.connect_timeout_ms = 400;
	return limits;
}

static void test_slow_peers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(slow_peers) / sizeof(*slow_peers); i++) {
		const struct slow_peer *peer = &slow_peers[i];
		struct net_limits limits = hasty();
		uint64_t start_us = clock_monotonic_us();
		struct world world;
		struct address local;
		int client;

		world_start(&world, &limits);
		world.lines = true;
		world_certify(&world, "sip.example.org", NULL);
		local = world_listen(&world, peer->transport, "127.0.0.1", 0);
		client = client_connect(&world, &local);
		if (peer->first)
			client_send(&world, client, peer->first);
		world_run_until(&world, ({
			world_run_ms(&world, 20);
			if (peer->then && !world.closed)
				send(client, peer->then, 1, MSG_NOSIGNAL);
			world.closed;
		}));
		if (world.reason != peer->reason)
			fail_msg("%s: %s", peer->name, net_close_reason_text(world.reason));
		assert_in_range(clock_monotonic_us() - start_us, 390000, 5000000);
		assert_int_equal(statistics_of(&world).connections_open, 0);
		close(client);
		world_stop(&world);
	}
}

/* The same limits, and peers that are alive: neither pauses between lines nor lines cut by packets hurt. */
static void test_honest_peers_stay(void **state)
{
	struct net_limits limits = hasty();
	struct world world;
	struct address local;
	int client;
	SSL *ssl;

	(void)state;
	world_start(&world, &limits);
	world.lines = world.echo = true;
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	client = client_connect(&world, &local);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 1);
	ssl = client_tls(&world, &local);
	for (int i = 0; i < 10; i++) {
		client_send(&world, client, i ? "end\nbegin " : "begin ");
		client_tls_send(&world, ssl, SPAN("line\n"));
		world_run_ms(&world, 120);
		assert_int_equal(world.closed, 0);
	}
	client_tls_free(ssl);
	close(client);
	world_stop(&world);
}

/* RFC 5626 section 4.4.1: what we send to a peer that is gone does not keep its connection up; what it sends does. */
static void test_silent_peers_go(void **state)
{
	struct net_limits limits = hasty();

	(void)state;
	limits.idle_timeout_ms = 8000;
	limits.alive_timeout_ms = 500;
	for (int secure = 0; secure < 2; secure++) {
		struct world world;
		struct address local;
		int client = -1;
		SSL *ssl = NULL;

		world_start(&world, &limits);
		world.lines = true;
		world_certify(&world, "sip.example.org", NULL);
		local = world_listen(&world, secure ? TRANSPORT_TLS : TRANSPORT_TCP, "127.0.0.1", 0);
		if (secure)
			ssl = client_tls(&world, &local);
		else
			client = client_connect(&world, &local);
		for (int i = 0; i < 10; i++) {
			if (secure)
				client_tls_send(&world, ssl, SPAN("line\n"));
			else
				client_send(&world, client, "line\n");
			world_run_ms(&world, 100);
			if (!i)
				net_flow_keeps_alive(world.net, &world.flow);
			assert_int_equal(world.closed, 0);
		}
		for (int i = 0; i < 20 && !world.closed; i++) {
			net_send(world.net, &world.flow, SPAN("still there?\n"));
			world_run_ms(&world, 50);
		}
		assert_int_equal(world.closed, 1);
		assert_int_equal(world.reason, NET_CLOSED_SILENT);
		if (secure)
			client_tls_free(ssl);
		else
			close(client);
		world_stop(&world);
	}
}

/* A callee that consumed the head of a message and waits for the rest says so. */
static void waits_on(struct world *world)
{
	net_flow_deadline(world->net, &world->flow, true);
}

static void test_deadline_by_the_callee(void **state)
{
	struct net_limits limits = hasty();
	struct world world;
	struct address local;
	int client;

	(void)state;
	limits.idle_timeout_ms = 8000;
	world_start(&world, &limits);
	world.on_stream = waits_on;
	local = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	client = client_connect(&world, &local);
	client_send(&world, client, "head");
	world_run_until(&world, world.closed);
	assert_int_equal(world.reason, NET_CLOSED_SLOW);
	close(client);

	world.closed = world.deliveries = 0;
	client = client_connect(&world, &local);
	client_send(&world, client, "head");
	world_run_until(&world, world.deliveries == 1);
	net_flow_deadline(world.net, &world.flow, false);
	world_run_ms(&world, 800);
	assert_int_equal(world.closed, 0);
	close(client);
	world_stop(&world);
}

static void test_send_queue(void **state)
{
	static char large[256 * 1024 + 1];

	(void)state;
	memset(large, 'x', sizeof(large));
	for (int secure = 0; secure < 2; secure++) {
		struct world world;
		struct address local;
		int client = -1, error = 0, sent = 0;
		SSL *ssl = NULL;

		world_start(&world, NULL);
		world_certify(&world, "sip.example.org", NULL);
		local = world_listen(&world, secure ? TRANSPORT_TLS : TRANSPORT_TCP, "127.0.0.1", 0);
		if (secure)
			ssl = client_tls(&world, &local);
		else
			client = client_connect(&world, &local);
		world_run_until(&world, world.opened);
		assert_int_equal(net_send(world.net, &world.flow, (struct span){large, sizeof(large)}), -EMSGSIZE);
		while (!error && sent < 10000) {
			error = net_send(world.net, &world.flow, (struct span){large, 10000});
			sent++;
		}
		assert_int_equal(error, -ENOBUFS);
		assert_int_equal(world.closed, 0); /* never in the call itself */
		assert_false(net_flow_is_open(world.net, &world.flow));
		assert_int_equal(net_send(world.net, &world.flow, SPAN("x")), -ENOTCONN);
		world_run_until(&world, world.closed);
		assert_int_equal(world.reason, NET_CLOSED_FULL);
		if (ssl)
			client_tls_free(ssl);
		else
			close(client);
		world_stop(&world);
	}
}

static void stop_loop(evutil_socket_t descriptor, short events, void *context)
{
	(void)descriptor;
	(void)events;
	event_base_loopbreak(context);
}

/* No descriptors left: the loop sleeps instead of spinning, and goes on when there are some. */
static void test_no_descriptors(void **state)
{
	struct rlimit before, none;
	struct timeval wait = {0, 400000};
	struct world world;
	struct address local;
	struct sockaddr_storage sockaddr;
	int client;
	uint64_t start_us;

	(void)state;
	world_start(&world, NULL);
	world.echo = true;
	local = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sockaddr, address_to_sockaddr(&local, &sockaddr)), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)client + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	event_base_once(world.loop, -1, EV_TIMEOUT, stop_loop, world.loop, &wait);
	start_us = cpu_us();
	event_base_loop(world.loop, EVLOOP_NO_EXIT_ON_EMPTY);
	assert_true(cpu_us() - start_us < 100000);
	assert_int_equal(world.opened, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	client_send(&world, client, "hello");
	world_run_until(&world, world.opened == 1);
	fcntl(client, F_SETFL, O_NONBLOCK);
	client_expect(&world, client, "hello");
	close(client);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_per_source),
		cmocka_unit_test(test_ipv6_prefixes),
		cmocka_unit_test(test_total),
		cmocka_unit_test(test_tls_without_certificate_is_refused),
		cmocka_unit_test(test_handshakes_wait),
		cmocka_unit_test(test_stalled_handshakes_make_room),
		cmocka_unit_test(test_handshake_work_is_bounded),
		cmocka_unit_test(test_accepts_are_bounded),
		cmocka_unit_test(test_slow_peers),
		cmocka_unit_test(test_honest_peers_stay),
		cmocka_unit_test(test_silent_peers_go),
		cmocka_unit_test(test_deadline_by_the_callee),
		cmocka_unit_test(test_send_queue),
		cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
