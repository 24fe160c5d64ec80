/* SPDX-License-Identifier: Apache-2.0
 * Connections that we open: verified (RFC 5922), reused for the same peer only, and bytes that wait for them. */
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two nets on one loop: `ours` dials, `theirs` listens. */
struct pair {
	struct world ours, theirs;
	struct address tcp, tls;
	char certificate[4096]; /* theirs */
};

static void pair_start(struct pair *pair, const char *name, const struct net_limits *limits)
{
	world_start(&pair->ours, limits);
	world_start_beside(&pair->theirs, &pair->ours, NULL);
	pair->theirs.echo = true;
	world_certify(&pair->theirs, name, pair->certificate);
	pair->tcp = world_listen(&pair->theirs, TRANSPORT_TCP, "127.0.0.1", 0);
	pair->tls = world_listen(&pair->theirs, TRANSPORT_TLS, "127.0.0.1", 1);
}

static void pair_trust(struct pair *pair)
{
	char error[200];

	assert_int_equal(
		net_tls_set(pair->ours.net, SPAN_EMPTY, SPAN_EMPTY, span_from(pair->certificate), error, sizeof(error)),
		0);
	assert_string_equal(error, "");
}

static void pair_stop(struct pair *pair)
{
	pair->theirs.loop = NULL;
	world_stop(&pair->theirs);
	world_stop(&pair->ours);
}

static struct flow dial(struct pair *pair, enum transport transport, const char *name, bool verify)
{
	struct net_peer peer = {
		.address = transport == TRANSPORT_TLS ? pair->tls : pair->tcp,
		.transport = transport,
		.name = span_from(name),
		.verify = verify,
	};
	struct flow flow;

	assert_int_equal(net_flow_open(pair->ours.net, &peer, 1, 0, &flow), 0);
	assert_int_not_equal(flow.connection, 0);
	return flow;
}

struct dialled_name {
	const char *certificate, *dialled;
	bool trusted, verify, opens;
};

static const struct dialled_name dialled_names[] = {
	{"sip.example.org", "sip.example.org", true, true, true},
	{"sip.example.org", "SIP.Example.ORG", true, true, true},
	{"sip.example.org", "example.org", true, true, false},
	{"sip.example.org", "sip.example.org.evil.example", true, true, false},
	{"sip.example.org", "sip.example.org", false, true, false}, /* an authority nobody knows */
	{"sip.example.org", "other.example.org", false, false, true},
	{"sip.example.org", "", true, true, false}, /* the address is not in it */
	{"127.0.0.1", "", true, true, true},
	{"127.0.0.1", "127.0.0.1", true, true, true},
	{"127.0.0.1", "localhost", true, true, false},
	{"127.0.0.2", "", true, true, false},
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(dialled_names) / sizeof(*dialled_names); i++) {
		const struct dialled_name *name = &dialled_names[i];
		struct pair pair;
		struct flow flow;

		pair_start(&pair, name->certificate, NULL);
		if (name->trusted)
			pair_trust(&pair);
		else
			world_certify(&pair.ours, "ours.example.org", NULL); /* with the system's authorities */
		flow = dial(&pair, TRANSPORT_TLS, name->dialled, name->verify);
		assert_false(flow.proven);
		assert_int_equal(net_send(pair.ours.net, &flow, SPAN("hello")), 0);
		world_run_until(&pair.ours, pair.ours.opened || pair.ours.closed);
		if (pair.ours.opened != name->opens)
			fail_msg("%s dialled as '%s'", name->certificate, name->dialled);
		if (name->opens) {
			world_run_until(&pair.ours, pair.ours.length == 5);
			assert_memory_equal(pair.ours.received, "hello", 5);
		} else {
			assert_int_equal(pair.ours.reason, NET_CLOSED_CERTIFICATE);
			world_run_until(&pair.ours, pair.theirs.closed);
			assert_int_equal(pair.theirs.length, 0); /* what waited was not shown to a stranger */
		}
		pair_stop(&pair);
	}
}

/* Asterisk and PJSIP used a TLS connection for another host name (CVE-2020-15260). */
static void test_reuse(void **state)
{
	struct pair pair;
	struct flow first, again;
	struct net_peer peer = {.transport = TRANSPORT_TCP};

	(void)state;
	pair_start(&pair, "sip.example.org", NULL);
	pair_trust(&pair);
	first = dial(&pair, TRANSPORT_TLS, "sip.example.org", true);
	again = dial(&pair, TRANSPORT_TLS, "Sip.example.org", true);
	assert_true(first.connection == again.connection); /* while it is being opened */
	world_run_until(&pair.ours, pair.ours.opened == 1);
	again = dial(&pair, TRANSPORT_TLS, "sip.example.org", true);
	assert_true(first.connection == again.connection); /* and when it is up */
	assert_true(again.proven);
	assert_true(again.local.port != 0 && address_is_loopback(&again.local));

	assert_true(dial(&pair, TRANSPORT_TLS, "example.org", true).connection != first.connection);
	assert_true(dial(&pair, TRANSPORT_TLS, "", true).connection != first.connection);
	assert_true(dial(&pair, TRANSPORT_TLS, "sip.example.org", false).connection != first.connection);
	assert_true(dial(&pair, TRANSPORT_TCP, "sip.example.org", true).connection != first.connection);

	peer.address = pair.tcp;
	first = dial(&pair, TRANSPORT_TCP, "", false);
	assert_int_equal(net_flow_open(pair.ours.net, &peer, 2, 0, &again), 0); /* another zone */
	assert_true(first.connection != again.connection);
	assert_int_equal(net_flow_open(pair.ours.net, &peer, 1, 1, &again), 0); /* another listener */
	assert_true(first.connection != again.connection);

	net_flow_close(pair.ours.net, &first);
	assert_false(net_flow_is_open(pair.ours.net, &first));
	assert_true(dial(&pair, TRANSPORT_TCP, "", false).connection != first.connection);
	pair_stop(&pair);
}

static void test_bytes_wait(void **state)
{
	static const enum transport transports[] = {TRANSPORT_TCP, TRANSPORT_TLS};
	char expected[8000 + 1];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct pair pair;
		struct flow flow;

		pair_start(&pair, "sip.example.org", NULL);
		pair_trust(&pair);
		flow = dial(&pair, transports[i], "sip.example.org", true);
		for (int n = 0; n < 1000; n++) {
			snprintf(expected + (size_t)n * 8, 9, "%07u\n", (unsigned)n % 10000000u);
			assert_int_equal(net_send(pair.ours.net, &flow, (struct span){expected + (size_t)n * 8, 8}), 0);
		}
		net_flow_close(pair.ours.net, &flow); /* after all that is sent */
		assert_int_equal(net_send(pair.ours.net, &flow, SPAN("late")), -ENOTCONN);
		pair.theirs.echo = false;
		world_run_until(&pair.ours, pair.theirs.closed && pair.ours.closed);
		assert_int_equal(pair.theirs.length, 8000);
		assert_memory_equal(pair.theirs.received, expected, 8000);
		assert_int_equal(pair.ours.opened, 0);
		assert_int_equal(pair.ours.reason, NET_CLOSED_BY_US);
		pair_stop(&pair);
	}
}

static void dial_again(struct world *world)
{
	struct net_peer peer = {.address = world->flow.remote, .transport = TRANSPORT_TCP};
	struct flow flow;

	assert_int_equal(net_flow_open(world->net, &peer, 1, 0, &flow), 0);
}

static void test_unreachable(void **state)
{
	struct pair pair;
	struct flow flow;

	(void)state;
	pair_start(&pair, "sip.example.org", NULL);
	assert_int_equal(net_listener_remove(pair.theirs.net, 1, 0), 0);
	flow = dial(&pair, TRANSPORT_TCP, "", false);
	assert_int_equal(net_send(pair.ours.net, &flow, SPAN("hello")), 0);
	assert_int_equal(pair.ours.closed, 0);
	world_run_until(&pair.ours, pair.ours.closed == 1);
	assert_int_equal(pair.ours.reason, NET_CLOSED_UNREACHABLE);
	assert_false(pair.ours.flow.proven);

	/* No route at all fails at once; who dials anew each time does not hold the loop. */
	pair.tcp = address_of("255.255.255.255", 5060);
	pair.ours.on_closed = dial_again;
	dial(&pair, TRANSPORT_TCP, "", false);
	for (int i = 0; i < 20; i++)
		world_step(&pair.ours);
	assert_in_range(pair.ours.closed, 2, 30);
	pair.ours.on_closed = NULL;
	pair_stop(&pair);
}

/* A server that accepts and then does not speak TLS, and one whose kernel does not even answer. */
static void test_silent_servers(void **state)
{
	struct net_limits limits = generous;
	struct sockaddr_storage sockaddr;
	struct address local = address_of("127.0.0.1", 0);
	socklen_t length = address_to_sockaddr(&local, &sockaddr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), filler;
	struct pair pair;

	(void)state;
	limits.connect_timeout_ms = limits.handshake_timeout_ms = 200;
	pair_start(&pair, "sip.example.org", &limits);
	pair_trust(&pair);
	assert_int_equal(bind(listener, (struct sockaddr *)&sockaddr, length), 0);
	assert_int_equal(listen(listener, 0), 0); /* room for one that is not accepted */
	length = sizeof(sockaddr);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sockaddr, &length), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&sockaddr, &pair.tls), 0);
	pair.tcp = pair.tls;

	dial(&pair, TRANSPORT_TLS, "sip.example.org", true);
	world_run_until(&pair.ours, pair.ours.closed == 1);
	assert_int_equal(pair.ours.reason, NET_CLOSED_HANDSHAKE);

	filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	connect(filler, (struct sockaddr *)&sockaddr, length);
	dial(&pair, TRANSPORT_TCP, "", false);
	world_run_until(&pair.ours, pair.ours.closed == 2);
	assert_int_equal(pair.ours.reason, NET_CLOSED_UNREACHABLE);
	close(filler);
	close(listener);
	pair_stop(&pair);
}

/* SNI is the name, and never an address (RFC 6066 section 3). */
static void test_server_name(void **state)
{
	static const char *const dialled[] = {"Sip.Example.org", "127.0.0.1", ""};
	static const char *const seen[] = {"sip.example.org", NULL, NULL};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sockaddr_storage sockaddr;
		struct address local = address_of("127.0.0.1", 0);
		socklen_t length = sizeof(sockaddr);
		char certificate[4096], key[1024];
		struct buffer certificate_pem = BUFFER_OVER(certificate), key_pem = BUFFER_OVER(key);
		int listener = net_socket_open(TRANSPORT_TLS, &local), descriptor = -1;
		SSL_CTX *context = SSL_CTX_new(TLS_server_method());
		SSL *ssl = SSL_new(context);
		struct pair pair;
		BIO *bio;
		X509 *x509;
		EVP_PKEY *pkey;

		pair_start(&pair, "sip.example.org", NULL);
		pair_trust(&pair);
		assert_int_equal(net_certificate_make(&(struct span){"a", 1}, 1, &certificate_pem, &key_pem), 0);
		bio = BIO_new_mem_buf(certificate, (int)certificate_pem.length);
		x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		BIO_free(bio);
		bio = BIO_new_mem_buf(key, (int)key_pem.length);
		pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		BIO_free(bio);
		assert_true(SSL_use_certificate(ssl, x509) && SSL_use_PrivateKey(ssl, pkey));
		assert_int_equal(getsockname(listener, (struct sockaddr *)&sockaddr, &length), 0);
		assert_int_equal(address_from_sockaddr((struct sockaddr *)&sockaddr, &pair.tls), 0);
		dial(&pair, TRANSPORT_TLS, dialled[i], false);
		world_run_until(&pair.ours, (descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
		SSL_set_fd(ssl, descriptor);
		world_run_until(&pair.ours, SSL_accept(ssl) == 1);
		if (seen[i])
			assert_string_equal(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), seen[i]);
		else
			assert_null(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
		X509_free(x509);
		EVP_PKEY_free(pkey);
		SSL_free(ssl);
		SSL_CTX_free(context);
		close(descriptor);
		close(listener);
		pair_stop(&pair);
	}
}

/* From the address of the zone's listener, if it has one of its own. */
static void test_local_address(void **state)
{
	struct pair pair;
	struct flow flow;

	(void)state;
	pair_start(&pair, "sip.example.org", NULL);
	world_listen(&pair.ours, TRANSPORT_UDP, "127.0.0.42", 0);
	flow = dial(&pair, TRANSPORT_TCP, "", false);
	world_run_until(&pair.ours, pair.theirs.opened == 1);
	assert_true(address_equal_ip(&pair.theirs.flow.remote, &(struct address){.family = 4, .ip = {127, 0, 0, 42}}));
	assert_true(address_equal(&pair.theirs.flow.remote, &flow.local));
	pair_stop(&pair);
}

static void test_refusals(void **state)
{
	struct net_limits limits = generous;
	struct net_peer peer = {.transport = TRANSPORT_TLS};
	char name[254];
	struct pair pair;
	struct flow flow;

	(void)state;
	limits.connections_maximum = 1;
	pair_start(&pair, "sip.example.org", &limits);
	memset(name, 'a', sizeof(name));
	assert_int_equal(net_flow_open(pair.ours.net, &peer, 1, 0, &flow), -EINVAL);
	peer.address = pair.tls;
	assert_int_equal(net_flow_open(pair.ours.net, &peer, 1, 0, &flow), -ENOENT); /* before net_tls_set */
	pair_trust(&pair);
	peer.name = (struct span){name, sizeof(name)};
	assert_int_equal(net_flow_open(pair.ours.net, &peer, 1, 0, &flow), -EINVAL);
	peer.name = SPAN("sip.example.org\0.evil");
	assert_int_equal(net_flow_open(pair.ours.net, &peer, 1, 0, &flow), -EINVAL);
	peer.name = SPAN("sip.example.org");
	assert_int_equal(net_flow_open(pair.ours.net, &peer, 1, 0, &flow), 0);
	peer.name = SPAN("example.org");
	assert_int_equal(net_flow_open(pair.ours.net, &peer, 1, 0, &flow), -ENFILE);
	pair_stop(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),          cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_bytes_wait),     cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_silent_servers), cmocka_unit_test(test_server_name),
		cmocka_unit_test(test_local_address),  cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
