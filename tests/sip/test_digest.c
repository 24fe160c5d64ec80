/* SPDX-License-Identifier: Apache-2.0
 * Digest against the examples of RFC 2617 and RFC 7616, and nonces. */
#include "message_fixture.h"

#define CREDENTIALS_7616(algorithm, response) \
	"Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", algorithm=" algorithm \
	", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, " \
	"cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"" response \
	"\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""

#define CREDENTIALS_2617(more, response) \
	"Digest username=\"Mufasa\",realm=\"testrealm@host.com\",nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"," \
	"uri=\"/dir/index.html\"," more "response=\"" response "\""

static void test_published_examples(void **state)
{
	static const struct {
		const char *credentials, *password;
		enum sip_digest_algorithm algorithm;
	} rows[] = {
		/* RFC 7616 section 3.9.1 */
		{CREDENTIALS_7616("MD5", "8ca523f5e9506fed4657c9700eebdbec"), "Circle of Life", SIP_DIGEST_MD5},
		{CREDENTIALS_7616("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
		 "Circle of Life", SIP_DIGEST_SHA256},
		/* RFC 2617 section 3.5 */
		{CREDENTIALS_2617("qop=auth,nc=00000001,cnonce=\"0a4f113b\",", "6629fae49393a05397450978507c4ef1"),
		 "Circle Of Life", SIP_DIGEST_MD5},
		/* the same as RFC 2069 computes it, without qop */
		{CREDENTIALS_2617("", "670fd8c2df070c60b045671b8b24ff02"), "Circle Of Life", SIP_DIGEST_MD5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char ha1[SIP_HA1_CAPACITY], turned[512];
		struct sip_digest digest;
		char *response;

		assert_int_equal(sip_digest_parse(span_from(rows[i].credentials), &digest), 0);
		assert_int_equal(digest.algorithm, rows[i].algorithm);
		assert_false(digest.unknown_algorithm);
		assert_int_equal(sip_digest_ha1(digest.algorithm, digest.username, digest.realm,
						span_from(rows[i].password), ha1),
				 0);
		assert_true(sip_digest_verify(&digest, ha1, SPAN("GET")));
		assert_false(sip_digest_verify(&digest, ha1, SPAN("PUT")));
		assert_int_equal(span_copy(span_from(rows[i].credentials), turned, sizeof(turned)), 0);
		response = strstr(turned, "response=\"") + 10;
		for (int nibble = 0; response[nibble] != '"'; nibble++) {
			response[nibble] ^= 1;
			assert_int_equal(sip_digest_parse(span_from(turned), &digest), 0);
			assert_false(sip_digest_verify(&digest, ha1, SPAN("GET")));
			response[nibble] ^= 1;
		}
		assert_int_equal(sip_digest_ha1(digest.algorithm, digest.username, digest.realm, SPAN("wrong"), ha1),
				 0);
		assert_false(sip_digest_verify(&digest, ha1, SPAN("GET")));
	}
}

static void test_challenges(void **state)
{
	struct sip_digest digest;

	(void)state;
	assert_int_equal(sip_digest_parse(SPAN("digest realm = \"a, b\" , nonce=\"\",stale=TRUE, qop=\"auth,auth-int\""
					       ",algorithm=\"SHA-256\", new=x"),
					  &digest),
			 0);
	assert_span(digest.realm, "a, b");
	assert_span(digest.qop, "auth,auth-int");
	assert_true(digest.stale);
	assert_int_equal(digest.algorithm, SIP_DIGEST_SHA256);
	assert_int_equal(sip_digest_parse(SPAN("Digest realm=\"a\",nonce=\"b\",algorithm=MD5-sess"), &digest), 0);
	assert_true(digest.unknown_algorithm);
	assert_int_equal(sip_digest_parse(SPAN("Digest realm=\"a\",nonce=\"b\""), &digest), 0);
	assert_false(digest.unknown_algorithm || digest.stale);
	assert_int_equal(digest.algorithm, SIP_DIGEST_MD5);
}

static void test_malformed(void **state)
{
	static const char *const texts[] = {
		"",
		"Digest",
		"Digest ",
		"Digest realm",
		"Digest realm=",
		"Digest =a",
		"Digest realm=\"a",
		"Digest realm=\"a\"",
		"Digest nonce=\"a\"",
		"Digest realm=\"a\" nonce=\"b\"",
		"Digest realm=\"a\",nonce=\"b\",",
		"Digest ,realm=\"a\",nonce=\"b\"",
		"Digest realm=\"a\",,nonce=\"b\"",
		"Digest realm=\"a\",nonce=\"b\",Realm=\"c\"",
		"Digest realm=\"a\",nonce=\"b\",x=1,x=2",
		"Digest realm=\"a\",nonce=\"b\",nc=1",
		"Digest realm=\"a\",nonce=\"b\",nc=0000000g",
		"Digest realm=\"a\",nonce=\"b\",nc=000000001",
		"Digest realm=\"a\\\",nonce=\"b\"",
		"Digest realm=\"a\"x,nonce=\"b\"",
	};
	static const char sound[] = CREDENTIALS_7616("MD5", "8ca523f5e9506fed4657c9700eebdbec");
	struct sip_digest digest;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (sip_digest_parse(span_from(texts[i]), &digest) != -EINVAL)
			fail_msg("not refused: %s", texts[i]);
		assert_int_equal(digest.realm.length + digest.nonce.length, 0);
	}
	assert_int_equal(sip_digest_parse(SPAN("Basic QWxhZGRpbg=="), &digest), -ENOTSUP);
	assert_int_equal(sip_digest_parse(SPAN("NoOneKnowsThisScheme opaque-data=here"), &digest), -ENOTSUP);
	for (size_t cut = 0; cut < sizeof(sound) - 1; cut++) {
		char *copy = malloc(cut ? cut : 1);

		memcpy(copy, sound, cut);
		sip_digest_parse((struct span){copy, cut}, &digest);
		free(copy);
	}
}

/* CVE-2025-57767 and its kind: what is missing or not ours never verifies, and never breaks. */
static void test_what_cannot_be_verified(void **state)
{
	static const char *const texts[] = {
		"Digest realm=\"a\",nonce=\"b\"",
		"Digest realm=\"a\",nonce=\"b\",response=\"\"",
		"Digest realm=\"a\",nonce=\"b\",qop=auth,response=\"00000000000000000000000000000000\"",
		"Digest realm=\"a\",nonce=\"b\",qop=auth-int,nc=00000001,cnonce=\"c\",response=\"0\"",
		"Digest realm=\"a\",nonce=\"b\",algorithm=SHA-512-256,response=\"0\"",
	};
	char ha1[SIP_HA1_CAPACITY], response[SIP_HA1_CAPACITY];
	struct sip_digest digest;

	(void)state;
	assert_int_equal(sip_digest_ha1(SIP_DIGEST_MD5, SPAN_EMPTY, SPAN("a"), SPAN_EMPTY, ha1), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		assert_int_equal(sip_digest_parse(span_from(texts[i]), &digest), 0);
		assert_false(sip_digest_verify(&digest, ha1, SPAN("REGISTER")));
		assert_int_equal(sip_digest_response(&digest, ha1, SPAN("REGISTER"), response), i < 3 ? 0 : -ENOTSUP);
	}
}

static void test_nonces(void **state)
{
	static const uint8_t key[16] = "0123456789abcde", other_key[16] = "0123456789abcdf";
	struct flow flow = {.transport = TRANSPORT_UDP,
			    .zone = 1,
			    .remote = {.family = ADDRESS_IPV4, .port = 5060, .ip = {192, 0, 2, 1}}};
	uint64_t seed = 1;
	char nonce[SIP_NONCE_CAPACITY], second[SIP_NONCE_CAPACITY];
	const int64_t now = 1800000000;
	struct flow moved;

	(void)state;
	sip_nonce_make(key, &flow, now, random_seeded(&seed), nonce);
	sip_nonce_make(key, &flow, now, random_seeded(&seed), second);
	assert_string_not_equal(nonce, second);
	assert_int_equal(strspn(nonce, "0123456789abcdef"), strlen(nonce));
	assert_int_equal(sip_nonce_check(key, &flow, now, 60, span_from(nonce)), SIP_NONCE_FRESH);
	assert_int_equal(sip_nonce_check(key, &flow, now + 60, 60, span_from(nonce)), SIP_NONCE_FRESH);
	assert_int_equal(sip_nonce_check(key, &flow, now + 61, 60, span_from(nonce)), SIP_NONCE_STALE);
	assert_int_equal(sip_nonce_check(key, &flow, now - 5, 60, span_from(nonce)), SIP_NONCE_FRESH);
	assert_int_equal(sip_nonce_check(key, &flow, now - 3600, 60, span_from(nonce)), SIP_NONCE_STALE);
	assert_int_equal(sip_nonce_check(other_key, &flow, now, 60, span_from(nonce)), SIP_NONCE_FORGED);

	moved = flow;
	moved.remote.port = 40000; /* behind a NAT */
	assert_int_equal(sip_nonce_check(key, &moved, now, 60, span_from(nonce)), SIP_NONCE_FRESH);
	moved.remote.ip[3] = 2;
	assert_int_equal(sip_nonce_check(key, &moved, now, 60, span_from(nonce)), SIP_NONCE_FORGED);
	moved = flow;
	moved.transport = TRANSPORT_TCP;
	assert_int_equal(sip_nonce_check(key, &moved, now, 60, span_from(nonce)), SIP_NONCE_FORGED);

	for (size_t i = 0; nonce[i]; i++) {
		nonce[i] ^= 1;
		assert_int_equal(sip_nonce_check(key, &flow, now, 60, span_from(nonce)), SIP_NONCE_FORGED);
		nonce[i] ^= 1;
		assert_int_equal(sip_nonce_check(key, &flow, now, 60, (struct span){nonce, i}), SIP_NONCE_FORGED);
	}
	assert_int_equal(sip_nonce_check(key, &flow, now, 60, SPAN_EMPTY), SIP_NONCE_FORGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_examples),
		cmocka_unit_test(test_challenges),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_what_cannot_be_verified),
		cmocka_unit_test(test_nonces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
