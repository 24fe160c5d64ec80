/* SPDX-License-Identifier: Apache-2.0
 * TCP and TLS connections that others open: bytes arrive once, in order, however they are cut. */
#include "harness.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_tcp_bytewise(void **state)
{
	const char *text = "one line\nand another\n";
	const char *const ips[] = {"127.0.0.1", "::1", "0.0.0.0", "::"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct world world;
		struct address local;
		int client;

		world_start(&world, NULL);
		world.lines = world.echo = true;
		local = world_listen(&world, TRANSPORT_TCP, ips[i], 2);
		if (address_is_any(&local))
			local = address_of(local.family == ADDRESS_IPV4 ? "127.0.0.9" : "::1", local.port);
		client = client_connect(&world, &local);
		world_run_until(&world, world.opened == 1);
		assert_true(address_equal(&world.flow.local, &local));
		assert_true(net_flow_is_open(world.net, &world.flow));
		for (const char *at = text; *at; at++)
			client_send(&world, client, (char[]){*at, 0});
		client_expect(&world, client, text);
		/* Both lines, and the start of a third, in one piece. */
		client_send(&world, client, "a\nb\nc");
		client_expect(&world, client, "a\nb\n");
		client_send(&world, client, "d\n");
		client_expect(&world, client, "cd\n");
		close(client);
		world_run_until(&world, world.closed == 1);
		assert_int_equal(world.reason, NET_CLOSED_BY_PEER);
		assert_int_equal(net_send(world.net, &world.flow, SPAN("late")), -ENOTCONN);
		world_stop(&world);
	}
}

static void test_ids_are_never_used_again(void **state)
{
	struct world world;
	struct address local;
	uint64_t last = 0;

	(void)state;
	world_start(&world, NULL);
	local = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	for (int i = 1; i < 20; i++) {
		int client = client_connect(&world, &local);

		world_run_until(&world, world.opened == i);
		assert_true(world.flow.connection > last);
		last = world.flow.connection;
		close(client);
		world_run_until(&world, world.closed == i);
	}
	assert_int_equal(statistics_of(&world).connections_open, 0);
	assert_int_equal(statistics_of(&world).connections_accepted, 19);
	world_stop(&world);
}

static void test_tls_versions(void **state)
{
	struct world world;
	struct address local;

	(void)state;
	world_start(&world, NULL);
	world.lines = world.echo = true;
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	for (int version = TLS1_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *context = SSL_CTX_new(TLS_client_method());
		SSL *ssl;

		SSL_CTX_set_security_level(context, 0); /* else the client would not even try */
		SSL_CTX_set_min_proto_version(context, version);
		SSL_CTX_set_max_proto_version(context, version);
		ssl = client_tls_try(&world, client_connect(&world, &local), context);
		SSL_CTX_free(context);
		assert_int_equal(ssl != NULL, version >= TLS1_2_VERSION);
		if (!ssl) {
			world_run_until(&world, world.closed == 1 + version - TLS1_VERSION);
			assert_int_equal(world.reason, NET_CLOSED_HANDSHAKE);
			continue;
		}
		for (const char *at = "bytewise\n"; *at; at++)
			client_tls_send(&world, ssl, (struct span){at, 1});
		client_tls_expect(&world, ssl, SPAN("bytewise\n"));
		assert_int_equal(SSL_session_reused(ssl), 0);
		client_tls_free(ssl);
	}
	assert_int_equal(statistics_of(&world).handshakes_failed, 2);
	world_stop(&world);
}

/* A client that may renegotiate must not (TLS 1.2; THREATS N3), and one that asks gets no second handshake. */
static void test_tls_renegotiation_is_refused(void **state)
{
	struct world world;
	struct address local;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	int result = -1;

	(void)state;
	world_start(&world, NULL);
	world.echo = true;
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	ssl = client_tls_try(&world, client_connect(&world, &local), context);
	assert_non_null(ssl);
	assert_true(SSL_renegotiate(ssl));
	world_run_until(&world, ({
		result = SSL_do_handshake(ssl);
		int error = SSL_get_error(ssl, result);
		error != SSL_ERROR_WANT_READ &&error != SSL_ERROR_WANT_WRITE;
	}));
	assert_int_not_equal(result, 1);
	client_tls_free(ssl);
	SSL_CTX_free(context);
	world_stop(&world);
}

/* Large enough for several records and full sockets; both directions. */
static void test_tls_large(void **state)
{
	static char large[150000];
	struct world world;
	struct address local;
	SSL *ssl;
	size_t sent = 0, got = 0;
	static char back[sizeof(large)];

	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i * 7 + i / 251);
	world_start(&world, NULL);
	world.echo = true;
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	ssl = client_tls(&world, &local);
	SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	while (sent < sizeof(large)) {
		int more = SSL_write(ssl, large + sent, (int)(sizeof(large) - sent));

		sent += more > 0 ? (size_t)more : 0;
		world_turn(&world);
	}
	world_run_until(&world, world.length == sizeof(large));
	assert_memory_equal(world.received, large, sizeof(large));
	world_run_until(&world, ({
		int more = SSL_read(ssl, back + got, (int)(sizeof(back) - got));
		got += more > 0 ? (size_t)more : 0;
		got == sizeof(back);
	}));
	assert_memory_equal(back, large, sizeof(large));
	client_tls_free(ssl);
	world_stop(&world);
}

/* Records torn into single bytes on the wire: what is between client and net passes one byte a turn. */
static void test_tls_fragments(void **state)
{
	struct world world;
	struct address local;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char got[100];
	int client, length = -1;
	bool written = false;

	(void)state;
	world_start(&world, NULL);
	world.lines = world.echo = true;
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	client = client_connect(&world, &local);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	world_run_until(&world, ({
		char byte;
		ssize_t more;

		if (SSL_is_init_finished(ssl) && !written)
			written = SSL_write(ssl, "torn apart\n", 11) == 11;
		length = SSL_read(ssl, got, sizeof(got));
		while (BIO_read(out, &byte, 1) == 1) {
			assert_int_equal(send(client, &byte, 1, MSG_NOSIGNAL), 1);
			world_turn(&world);
		}
		while ((more = recv(client, &byte, 1, 0)) == 1)
			BIO_write(in, &byte, 1);
		length > 0;
	}));
	assert_int_equal(length, 11);
	assert_memory_equal(got, "torn apart\n", 11);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(client);
	world_stop(&world);
}

/* What comes in the same packet as the end of the handshake is not left in OpenSSL's buffer. */
static void test_tls_bytes_with_the_handshake(void **state)
{
	struct world world;
	struct address local;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char bytes[8192];
	int client, length;

	(void)state;
	world_start(&world, NULL);
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	client = client_connect(&world, &local);
	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	assert_int_equal(SSL_do_handshake(ssl), -1);
	length = BIO_read(out, bytes, sizeof(bytes));
	assert_int_equal(send(client, bytes, (size_t)length, MSG_NOSIGNAL), length);
	world_run_until(&world, ({
		length = (int)recv(client, bytes, sizeof(bytes), 0);
		if (length > 0)
			BIO_write(in, bytes, length);
		SSL_do_handshake(ssl) == 1;
	}));
	assert_int_equal(SSL_write(ssl, "at once", 7), 7);
	length = BIO_read(out, bytes, sizeof(bytes));
	assert_int_equal(send(client, bytes, (size_t)length, MSG_NOSIGNAL), length);
	world_run_until(&world, world.length == 7);
	assert_memory_equal(world.received, "at once", 7);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(client);
	world_stop(&world);
}

static void test_abrupt_ends(void **state)
{
	struct world world;
	struct address tcp, tls;
	SSL *ssl;
	int client;

	(void)state;
	world_start(&world, NULL);
	world_certify(&world, "sip.example.org", NULL);
	tcp = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	tls = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 1);

	client_reset(client_connect(&world, &tcp));
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.reason, NET_CLOSED_BY_PEER);

	client_reset(client_connect(&world, &tls));
	world_run_until(&world, world.closed == 2);
	assert_int_equal(world.reason, NET_CLOSED_HANDSHAKE);

	client = client_connect(&world, &tls);
	client_send(&world, client, "OPTIONS sip:example.org SIP/2.0\r\n\r\n");
	world_run_until(&world, world.closed == 3);
	assert_int_equal(world.reason, NET_CLOSED_HANDSHAKE);
	close(client);

	/* TLS cut off without close_notify: no spinning (Asterisk and PJSIP did). */
	ssl = client_tls(&world, &tls);
	client_reset(SSL_get_fd(ssl));
	SSL_free(ssl);
	world_run_until(&world, world.closed == 4);
	assert_int_equal(world.reason, NET_CLOSED_BY_PEER);

	/* Garbage where a record should be. */
	ssl = client_tls(&world, &tls);
	client_send(&world, SSL_get_fd(ssl), "no record starts like this");
	world_run_until(&world, world.closed == 5);
	assert_int_equal(world.reason, NET_CLOSED_BY_PEER);
	client_tls_free(ssl);
	assert_int_equal(statistics_of(&world).connections_open, 0);
	assert_int_equal(statistics_of(&world).handshakes_failed, 2);
	world_stop(&world);
}

static void answer_and_close(struct world *world)
{
	assert_int_equal(net_send(world->net, &world->flow, SPAN("last words")), 0);
	net_flow_close(world->net, &world->flow);
	assert_false(net_flow_is_open(world->net, &world->flow));
	assert_int_equal(net_send(world->net, &world->flow, SPAN("more")), -ENOTCONN);
	assert_int_equal(world->closed, 0); /* comes later */
}

/* The last words arrive although unread bytes lie in the socket; then the end, and no RST before. */
static void test_close_lingers(void **state)
{
	struct world world;
	struct address local;
	int client;
	SSL *ssl;

	(void)state;
	world_start(&world, NULL);
	world.on_stream = answer_and_close;
	local = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	client = client_connect(&world, &local);
	client_send(&world, client, "something");
	client_send(&world, client, "that is not read any more");
	client_expect(&world, client, "last words");
	assert_false(client_is_reset(&world, client));
	assert_int_equal(world.deliveries, 1);
	close(client);
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.reason, NET_CLOSED_BY_US);

	world.closed = 0;
	world_certify(&world, "sip.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 1);
	ssl = client_tls(&world, &local);
	client_tls_send(&world, ssl, SPAN("something"));
	client_tls_expect(&world, ssl, SPAN("last words"));
	world_run_until(&world, SSL_read(ssl, (char[1]){0}, 1) == 0);
	assert_int_equal(SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	client_tls_free(ssl);
	world_run_until(&world, world.closed == 1);
	world_stop(&world);
}

/* A peer that does not close its side is not waited for for ever. */
static void test_close_does_not_wait_for_ever(void **state)
{
	struct world world;
	struct address local;
	int client;

	(void)state;
	world_start(&world, NULL);
	world.refuse = -1;
	local = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	client = client_connect(&world, &local);
	client_send(&world, client, "refused");
	world_run_until(&world, world.closed == 1);
	assert_int_equal(world.reason, NET_CLOSED_BY_US);
	assert_int_equal(world.deliveries, 1);
	close(client);
	world_stop(&world);
}

static void free_net(struct world *world)
{
	net_free(world->net);
	world->net = NULL;
}

/* net_free inside every kind of callback. */
static void test_free_inside_callbacks(void **state)
{
	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		bool secure = kind >= 3;
		struct world world;
		struct address local;
		SSL_CTX *context = SSL_CTX_new(TLS_client_method());
		SSL *ssl = SSL_new(context);
		int client;

		world_start(&world, NULL);
		world_certify(&world, "sip.example.org", NULL);
		local = world_listen(&world, secure ? TRANSPORT_TLS : TRANSPORT_TCP, "127.0.0.1", 0);
		world.on_opened = kind % 3 == 0 ? free_net : NULL;
		world.on_stream = kind % 3 == 1 ? free_net : NULL;
		world.on_closed = kind % 3 == 2 ? free_net : NULL;
		client = client_connect(&world, &local);
		SSL_set_fd(ssl, client);
		world_run_until(&world, ({
			if (!secure)
				send(client, "x", 1, MSG_NOSIGNAL);
			else if (SSL_connect(ssl) == 1)
				SSL_write(ssl, "x", 1);
			if (kind % 3 == 2 && world.deliveries)
				shutdown(client, SHUT_WR);
			!world.net;
		}));
		SSL_free(ssl);
		SSL_CTX_free(context);
		close(client);
		world_stop(&world);
	}
}

static void test_free_with_connections(void **state)
{
	struct world world;
	struct address tcp, tls;
	int first, second;
	SSL *ssl;

	(void)state;
	world_start(&world, NULL);
	world.lines = true;
	world_certify(&world, "sip.example.org", NULL);
	tcp = world_listen(&world, TRANSPORT_TCP, "127.0.0.1", 0);
	tls = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 1);
	first = client_connect(&world, &tcp);
	client_send(&world, first, "half a line");
	second = client_connect(&world, &tls);
	ssl = client_tls(&world, &tls);
	net_free(world.net);
	world.net = NULL;
	assert_int_equal(world.closed, 0);
	close(first);
	close(second);
	client_tls_free(ssl);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_bytewise),
		cmocka_unit_test(test_ids_are_never_used_again),
		cmocka_unit_test(test_tls_versions),
		cmocka_unit_test(test_tls_renegotiation_is_refused),
		cmocka_unit_test(test_tls_large),
		cmocka_unit_test(test_tls_fragments),
		cmocka_unit_test(test_tls_bytes_with_the_handshake),
		cmocka_unit_test(test_abrupt_ends),
		cmocka_unit_test(test_close_lingers),
		cmocka_unit_test(test_close_does_not_wait_for_ever),
		cmocka_unit_test(test_free_inside_callbacks),
		cmocka_unit_test(test_free_with_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
