/* SPDX-License-Identifier: Apache-2.0
 * Certificates: made so that others accept them, read with the reason when they cannot be, and compared with
 * names as RFC 5922 says. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/private.h"

extern char **environ;

static X509 *certificate_read(struct span pem)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(certificate);
	return certificate;
}

static void test_made(void **state)
{
	struct span names[] = {SPAN_INIT("sip.example.org"), SPAN_INIT("192.0.2.1"), SPAN_INIT("2001:db8::1")};
	char certificate[4096], key[1024], serials[2][64];
	struct address address = address_of("192.0.2.1", 0), other = address_of("192.0.2.2", 0),
		       ipv6 = address_of("2001:db8::1", 0);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct buffer certificate_pem = BUFFER_OVER(certificate), key_pem = BUFFER_OVER(key);
		int days, seconds;
		BIGNUM *serial;
		char *text;
		X509 *made;

		assert_int_equal(net_certificate_make(names, 3, &certificate_pem, &key_pem), 0);
		made = certificate_read(buffer_span(&certificate_pem));
		assert_int_equal(X509_check_host(made, "sip.example.org", 0, 0, NULL), 1);
		assert_true(net_identity_matches(made, "sip.example.org", &other));
		assert_true(net_identity_matches(made, "", &address));
		assert_true(net_identity_matches(made, "", &ipv6));
		assert_true(net_identity_matches(made, "192.0.2.1", &other));
		assert_int_equal(X509_check_host(made, "192.0.2.1", 0, 0, NULL), 1); /* what mbedTLS 2 looks for */
		assert_false(net_identity_matches(made, "", &other));
		assert_false(net_identity_matches(made, "example.org", &address));
		assert_int_equal(X509_check_ca(made), 0);
		assert_int_equal(X509_verify(made, X509_get0_pubkey(made)), 1);
		assert_int_equal(X509_check_purpose(made, X509_PURPOSE_SSL_SERVER, 0), 1);
		assert_true(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(made)));
		assert_in_range(days, 3650, 3653);
		assert_true(X509_cmp_current_time(X509_get0_notBefore(made)) < 0);
		serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(made), NULL);
		text = BN_bn2hex(serial);
		snprintf(serials[i], sizeof(serials[i]), "%s", text);
		OPENSSL_free(text);
		BN_free(serial);
		X509_free(made);
	}
	assert_string_not_equal(serials[0], serials[1]);
}

static void test_not_made(void **state)
{
	char certificate[4096], key[1024], small[100];
	struct buffer certificate_pem = BUFFER_OVER(certificate), key_pem = BUFFER_OVER(key), none = BUFFER_OVER(small);
	const char *const wrong[] = {"", "a b", "a\nDNS:evil", "a,DNS:evil", "*.example.org", "a@b"};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct span name = span_from(wrong[i]);

		assert_int_equal(net_certificate_make(&name, 1, &certificate_pem, &key_pem), -EINVAL);
	}
	assert_int_equal(net_certificate_make(NULL, 0, &certificate_pem, &key_pem), -EINVAL);
	assert_int_equal(net_certificate_make(&SPAN("a"), 1, &none, &key_pem), -ENOSPC);
	assert_int_equal(net_certificate_make(&SPAN("a"), 1, &certificate_pem, &none), -ENOSPC);
}

/* A certificate of any kind, for the cases below. `alternatives` as OpenSSL's configuration writes them. */
static void craft(const char *common_name, const char *alternatives, int days, char *certificate_pem, char *key_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_NAME *subject = X509_get_subject_name(certificate);
	BIO *bio = BIO_new(BIO_s_mem());
	X509_EXTENSION *extension;

	X509_set_version(certificate, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(certificate), days < 0 ? -86400L * 10 : days > 100 ? 86400L * 50 : 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * days);
	X509_set_pubkey(certificate, key);
	if (common_name)
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	if (alternatives) {
		extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternatives);
		assert_non_null(extension);
		X509_add_ext(certificate, extension, -1);
		X509_EXTENSION_free(extension);
	}
	assert_true(X509_sign(certificate, key, EVP_sha256()));
	assert_true(PEM_write_bio_X509(bio, certificate));
	certificate_pem[BIO_read(bio, certificate_pem, 4095)] = 0;
	if (key_pem) {
		assert_true(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
		key_pem[BIO_read(bio, key_pem, 1023)] = 0;
	}
	BIO_free(bio);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

struct identity {
	const char *common_name, *alternatives, *name;
	bool matches;
};

/* RFC 5922 sections 7.1 and 7.2. */
static const struct identity identities[] = {
	{NULL, "DNS:example.org", "example.org", true},
	{NULL, "DNS:Example.ORG", "example.org", true},
	{NULL, "DNS:a.example,DNS:example.org", "example.org", true},
	{NULL, "DNS:*.example.org", "sip.example.org", false},
	{NULL, "DNS:.example.org", "sip.example.org", false},
	{NULL, "URI:sip:example.org", "example.org", true},
	{NULL, "URI:SIP:example.org", "example.org", true},
	{NULL, "URI:sip:user@example.org", "example.org", false},
	{NULL, "URI:sips:example.org", "example.org", false},
	{NULL, "URI:https://example.org", "example.org", false},
	{NULL, "URI:sip:a.example,DNS:example.org", "example.org", false}, /* a sip URI puts DNS names aside */
	{NULL, "URI:sip:u@a.example,DNS:example.org", "example.org", true},
	{NULL, "URI:https://a.example,DNS:example.org", "example.org", true},
	{"example.org", NULL, "example.org", true},
	{"example.org", "DNS:a.example", "example.org", false},
	{"example.org", "IP:192.0.2.1", "example.org", false},
	{"*.example.org", NULL, "sip.example.org", false},
	{NULL, NULL, "example.org", false},
};

static void test_identities(void **state)
{
	struct address address = address_of("192.0.2.1", 5061);

	(void)state;
	for (size_t i = 0; i < sizeof(identities) / sizeof(*identities); i++) {
		const struct identity *identity = &identities[i];
		char pem[4096];
		X509 *certificate;

		craft(identity->common_name, identity->alternatives, 10, pem, NULL);
		certificate = certificate_read(span_from(pem));
		if (net_identity_matches(certificate, identity->name, &address) != identity->matches)
			fail_msg("CN %s SAN %s", identity->common_name, identity->alternatives);
		X509_free(certificate);
	}
}

static void expect_error(struct world *world, const char *certificate, const char *key, const char *authorities,
			 int result, const char *text)
{
	char error[200] = "?";

	assert_int_equal(net_tls_set(world->net, span_from(certificate), span_from(key), span_from(authorities), error,
				     sizeof(error)),
			 result);
	if (!strstr(error, text))
		fail_msg("'%s' does not say '%s'", error, text);
}

static void test_reasons(void **state)
{
	char certificate[4096], key[1024], other[4096], other_key[1024], broken[4200];
	struct world world;
	struct address local;

	(void)state;
	world_start(&world, NULL);
	craft("a.example", NULL, 10, certificate, key);
	craft("b.example", NULL, 10, other, other_key);
	expect_error(&world, certificate, key, NULL, 0, "");
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	expect_error(&world, certificate, other_key, NULL, -EINVAL, "key does not match the certificate");
	expect_error(&world, certificate, NULL, NULL, -EINVAL, "key cannot be read");
	expect_error(&world, certificate, certificate, NULL, -EINVAL, "key cannot be read");
	expect_error(&world, NULL, key, NULL, -EINVAL, "certificate cannot be read");
	expect_error(&world, "rubbish", key, NULL, -EINVAL, "certificate cannot be read");
	expect_error(&world, certificate, key, "rubbish", -EINVAL, "authorities hold no certificate");
	snprintf(broken, sizeof(broken), "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		 certificate);
	expect_error(&world, broken, key, NULL, -EINVAL, "chain cannot be read");
	expect_error(&world, certificate, key, broken, -EINVAL, "authorities cannot be read");
	expect_error(&world, certificate, key, other, 0, "");
	client_tls_free(client_tls(&world, &local)); /* the last that was right is in force */

	craft("a.example", NULL, -1, certificate, key);
	expect_error(&world, certificate, key, NULL, 0, "warning: the certificate has expired");
	craft("a.example", NULL, 101, certificate, key);
	expect_error(&world, certificate, key, NULL, 0, "warning: the certificate is not valid yet");
	assert_int_equal(net_tls_set(world.net, SPAN("x"), SPAN("x"), SPAN_EMPTY, NULL, 0), -EINVAL);
	world_stop(&world);
}

/* The same, told beforehand. */
static void test_checked(void **state)
{
	static const struct span names[] = {SPAN_INIT("a.example"), SPAN_INIT("192.0.2.1"), SPAN_INIT("b.example"),
					    SPAN_INIT("2001:db8::1")};
	char certificate[4096], key[1024], other[4096], other_key[1024], error[200];
	struct net_certificate_facts facts;

	(void)state;
	craft("x", "DNS:A.example,DNS:c.example,IP:192.0.2.1", 10, certificate, key);
	craft("b.example", NULL, -1, other, other_key);
	assert_int_equal(
		net_certificate_check(span_from(certificate), span_from(key), names, 4, &facts, error, sizeof(error)),
		0);
	assert_string_equal(error, "");
	assert_int_equal(facts.names_held, 2);
	assert_true(facts.for_servers && facts.for_clients);
	assert_int_equal(net_certificate_check(span_from(certificate), span_from(other_key), names, 4, &facts, error,
					       sizeof(error)),
			 -EINVAL);
	assert_string_equal(error, "the key does not match the certificate");
	assert_int_equal(facts.names_held, 0);
	assert_int_equal(
		net_certificate_check(span_from(other), span_from(other_key), names, 4, &facts, error, sizeof(error)),
		0);
	assert_string_equal(error, "warning: the certificate has expired");
	assert_int_equal(facts.names_held, 1);
	assert_int_equal(net_certificate_check(SPAN("x"), SPAN_EMPTY, NULL, 0, &facts, NULL, 0), -EINVAL);

	assert_int_equal(net_authorities_check(span_from(certificate), error, sizeof(error)), 0);
	assert_string_equal(error, "");
	assert_int_equal(net_authorities_check(span_from(other), error, sizeof(error)), 0);
	assert_string_equal(error, "warning: every one of the authorities has expired");
	assert_int_equal(net_authorities_check(SPAN("rubbish"), error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "the authorities hold no certificate");
}

/* A new certificate is for new connections; those that are up stay up. */
static void test_renewal(void **state)
{
	struct world world;
	struct address local;
	SSL *before, *after;
	X509 *shown;

	(void)state;
	world_start(&world, NULL);
	world.echo = true;
	world_certify(&world, "old.example.org", NULL);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	before = client_tls(&world, &local);
	world_certify(&world, "new.example.org", NULL);
	after = client_tls(&world, &local);
	client_tls_send(&world, before, SPAN("still here"));
	client_tls_expect(&world, before, SPAN("still here"));
	shown = SSL_get1_peer_certificate(after);
	assert_int_equal(X509_check_host(shown, "new.example.org", 0, 0, NULL), 1);
	X509_free(shown);
	client_tls_free(before);
	client_tls_free(after);
	world_stop(&world);
}

/* Whether `openssl s_client` gets through, verifying by the certificate in `authority`. */
static bool s_client(struct world *world, const struct address *remote, const char *version, const char *authority,
		     const char *name)
{
	char connect[ADDRESS_TEXT_BYTES], version_option[20];
	const char *arguments[] = {"openssl",
				   "s_client",
				   "-connect",
				   address_text(remote, connect),
				   "-CAfile",
				   authority,
				   "-verify_return_error",
				   "-verify_hostname",
				   name,
				   "-cipher",
				   "ALL:@SECLEVEL=0",
				   version_option,
				   NULL};
	char *words[sizeof(arguments) / sizeof(*arguments)];
	posix_spawn_file_actions_t actions;
	pid_t child;
	int status = 0;

	snprintf(version_option, sizeof(version_option), "-%s", version);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	memcpy(words, arguments, sizeof(words)); /* exec takes no const, and changes nothing */
	assert_int_equal(posix_spawnp(&child, "openssl", &actions, NULL, words, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	world_run_until(world, waitpid(child, &status, WNOHANG) == child);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_openssl_client(void **state)
{
	char certificate[4096], path[] = "/tmp/ringwall-test-XXXXXX";
	struct world world;
	struct address local;
	int file = mkstemp(path);

	(void)state;
	assert_true(file >= 0);
	world_start(&world, NULL);
	world_certify(&world, "sip.example.org", certificate);
	assert_int_equal(write(file, certificate, strlen(certificate)), strlen(certificate));
	close(file);
	local = world_listen(&world, TRANSPORT_TLS, "127.0.0.1", 0);
	assert_false(s_client(&world, &local, "tls1", path, "sip.example.org"));
	assert_false(s_client(&world, &local, "tls1_1", path, "sip.example.org"));
	assert_true(s_client(&world, &local, "tls1_2", path, "sip.example.org"));
	assert_true(s_client(&world, &local, "tls1_3", path, "sip.example.org"));
	assert_false(s_client(&world, &local, "tls1_3", path, "example.org"));
	unlink(path);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),           cmocka_unit_test(test_not_made),
		cmocka_unit_test(test_identities),     cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_checked),        cmocka_unit_test(test_renewal),
		cmocka_unit_test(test_openssl_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
