/* SPDX-License-Identifier: Apache-2.0
 * Who connects, known by his certificate (mutual TLS, RFC 5922), whose connection then carries requests to him (RFC 5923), and to
 * nobody else (CVE-2020-15260); and a certificate renewed under connections that are up. */
#include "harness.h"

#include <openssl/pem.h>
#include <stdio.h>

#define PEER "sip.peer.example"

/* `ours` listens in zone 1 and asks for certificates; `theirs` dials. */
struct both {
	struct world ours, theirs;
	struct address tls;
	char our_certificate[4096], their_certificate[4096];
};

static void trust(struct world *world, enum net_client_certificate wanted, const char *authorities, const char *name)
{
	struct span names[] = {SPAN("other.example"), span_from(name)};
	char error[200] = "";
	struct net_trust *made = net_trust_new(wanted, span_from(authorities), names, 2, error, sizeof(error));

	assert_non_null(made);
	assert_string_equal(error, "");
	net_trust_set(world->net, 1, made);
}

static void both_start(struct both *both, const char *their_name)
{
	world_start(&both->ours, NULL);
	world_start_beside(&both->theirs, &both->ours, NULL);
	both->ours.echo = true;
	world_certify(&both->ours, "gateway.example.org", both->our_certificate);
	world_certify(&both->theirs, their_name, both->their_certificate);
	both->tls = world_listen(&both->ours, TRANSPORT_TLS, "127.0.0.1", 0);
}

static void both_stop(struct both *both)
{
	both->theirs.loop = NULL;
	world_stop(&both->theirs);
	world_stop(&both->ours);
}

static void connect_to_us(struct both *both)
{
	struct net_peer peer = {.address = both->tls, .transport = TRANSPORT_TLS};
	struct flow flow;

	assert_int_equal(net_flow_open(both->theirs.net, &peer, 1, 0, &flow), 0);
	assert_int_equal(net_send(both->theirs.net, &flow, SPAN("hello")), 0);
	world_run_until(&both->ours, both->theirs.length == 5 || both->ours.closed);
}

static const struct {
	enum net_client_certificate wanted;
	const char *certificate; /* NULL: none is shown */
	bool trusted, opens, known;
} cases[] = {
	{NET_CLIENT_CERTIFICATE_REQUIRE, PEER, true, true, true},
	{NET_CLIENT_CERTIFICATE_REQUIRE, "127.0.0.1", true, true, true},
	{NET_CLIENT_CERTIFICATE_REQUIRE, NULL, true, false, false},
	{NET_CLIENT_CERTIFICATE_REQUIRE, "evil.example", true, false, false},
	{NET_CLIENT_CERTIFICATE_REQUIRE, "sub." PEER, true, false, false},
	{NET_CLIENT_CERTIFICATE_REQUIRE, PEER, false, false, false},
	{NET_CLIENT_CERTIFICATE_ASK, PEER, true, true, true},
	{NET_CLIENT_CERTIFICATE_ASK, NULL, true, true, false},
	{NET_CLIENT_CERTIFICATE_ASK, PEER, false, false, false}, /* a bad one is worse than none */
	{NET_CLIENT_CERTIFICATE_NONE, PEER, true, true, false},
};

static void test_only_the_zones_peers_are_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *name = cases[i].certificate ? cases[i].certificate : PEER;
		char error[200];
		struct both both;
		struct span known;

		both_start(&both, name);
		trust(&both.ours, cases[i].wanted, cases[i].trusted ? both.their_certificate : both.our_certificate,
		      strcmp(name, "127.0.0.1") ? PEER : name);
		if (!cases[i].certificate)
			assert_int_equal(
				net_tls_set(both.theirs.net, SPAN_EMPTY, SPAN_EMPTY, SPAN_EMPTY, error, sizeof(error)),
				0);
		connect_to_us(&both);
		if (both.ours.opened != cases[i].opens)
			fail_msg("case %zu", i);
		if (!cases[i].opens) {
			assert_int_equal(both.ours.length, 0);
			assert_int_equal(both.ours.reason,
					 cases[i].certificate ? NET_CLOSED_CERTIFICATE : NET_CLOSED_HANDSHAKE);
		} else {
			assert_int_equal(net_flow_identity(both.ours.net, &both.ours.flow, &known), cases[i].known);
			if (cases[i].known)
				assert_true(span_equal(known, span_from(name)));
		}
		both_stop(&both);
	}
}

static struct flow open_to(struct both *both, const char *name, uint16_t port, bool verify)
{
	struct net_peer peer = {.address = both->ours.flow.remote,
				.transport = TRANSPORT_TLS,
				.name = span_from(name),
				.verify = verify};
	struct flow flow;

	peer.address.port = port;
	assert_int_equal(net_flow_open(both->ours.net, &peer, 1, 0, &flow), 0);
	return flow;
}

static void test_a_known_peers_connection_carries_requests_to_it_alone(void **state)
{
	struct both both;
	struct flow theirs;

	(void)state;
	both_start(&both, PEER);
	trust(&both.ours, NET_CLIENT_CERTIFICATE_REQUIRE, both.their_certificate, PEER);
	connect_to_us(&both);
	theirs = both.ours.flow;
	assert_true(open_to(&both, PEER, 5061, true).connection != theirs.connection); /* it has not asked for it */
	net_flow_alias(both.ours.net, &theirs, 5071);
	assert_true(open_to(&both, PEER, 5071, true).connection == theirs.connection);
	assert_true(open_to(&both, "SIP.Peer.Example", 5071, true).connection == theirs.connection);
	/* CVE-2020-15260 */
	assert_true(open_to(&both, "other.example", 5071, true).connection != theirs.connection);
	assert_true(open_to(&both, "", 5071, true).connection != theirs.connection);
	assert_true(open_to(&both, PEER, 5071, false).connection != theirs.connection);
	assert_true(open_to(&both, PEER, 5072, true).connection != theirs.connection);
	net_flow_close(both.ours.net, &theirs);
	assert_true(open_to(&both, PEER, 5071, true).connection != theirs.connection);
	both_stop(&both);
}

static void test_a_strangers_connection_is_never_reused(void **state)
{
	static const enum net_client_certificate wanted[] = {NET_CLIENT_CERTIFICATE_NONE, NET_CLIENT_CERTIFICATE_ASK};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct both both;
		struct flow theirs;
		char error[200];

		both_start(&both, PEER);
		trust(&both.ours, wanted[i], both.their_certificate, PEER);
		assert_int_equal(net_tls_set(both.theirs.net, SPAN_EMPTY, SPAN_EMPTY, SPAN_EMPTY, error, sizeof(error)),
				 0);
		connect_to_us(&both);
		theirs = both.ours.flow;
		net_flow_alias(both.ours.net, &theirs, 5071);
		assert_true(open_to(&both, PEER, 5071, true).connection != theirs.connection);
		assert_true(open_to(&both, "", 5071, true).connection != theirs.connection);
		both_stop(&both);
	}
}

static void subject_of(SSL *ssl, char *out, size_t capacity)
{
	X509 *certificate = SSL_get1_peer_certificate(ssl);
	BIO *bio = BIO_new(BIO_s_mem());
	int length;

	assert_non_null(certificate);
	X509_print_ex(bio, certificate, 0, X509_FLAG_NO_PUBKEY | X509_FLAG_NO_SIGDUMP);
	length = BIO_read(bio, out, (int)capacity - 1);
	out[length] = 0;
	BIO_free(bio);
	X509_free(certificate);
}

static void test_a_certificate_is_renewed_under_connections(void **state)
{
	struct world world;
	struct address tls;
	char text[8192];
	SSL *before, *after;

	(void)state;
	world_start(&world, NULL);
	world.echo = true;
	world_certify(&world, "old.example.org", NULL);
	tls = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	before = client_tls(&world, &tls);
	world_certify(&world, "new.example.org", NULL);
	client_tls_send(&world, before, SPAN("still here"));
	client_tls_expect(&world, before, SPAN("still here"));
	after = client_tls(&world, &tls);
	subject_of(after, text, sizeof(text));
	assert_non_null(strstr(text, "new.example.org"));
	assert_null(strstr(text, "old.example.org"));
	client_tls_send(&world, after, SPAN("me too"));
	client_tls_expect(&world, after, SPAN("me too"));
	assert_int_equal(world.closed, 0);
	client_tls_free(before);
	client_tls_free(after);
	world_stop(&world);
}

static void test_trust_is_made_whole_or_not_at_all(void **state)
{
	struct span names[] = {SPAN(PEER), SPAN("other.example")};
	char error[200];

	(void)state;
	assert_null(net_trust_new(NET_CLIENT_CERTIFICATE_ASK, SPAN("no PEM"), names, 2, error, sizeof(error)));
	assert_non_null(strstr(error, "authorities"));
	for (long count = 0; count < 3; count++) {
		memory_fail_after(count);
		assert_null(net_trust_new(NET_CLIENT_CERTIFICATE_ASK, SPAN_EMPTY, names, 2, error, sizeof(error)));
		assert_non_null(strstr(error, "memory"));
	}
	memory_fail_after(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_zones_peers_are_known),
		cmocka_unit_test(test_a_known_peers_connection_carries_requests_to_it_alone),
		cmocka_unit_test(test_a_strangers_connection_is_never_reused),
		cmocka_unit_test(test_a_certificate_is_renewed_under_connections),
		cmocka_unit_test(test_trust_is_made_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
