/* SPDX-License-Identifier: Apache-2.0
 * The gateway as a provider's client: registering, answering challenges, and whom it does not answer. The "PBX" of the kit is
 * the provider here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/peers.h"
#include "kit.h"

#define ACCOUNT "    domain: provider.example\n    register: {user: \"4416329\", password_file: /x"
#define CHALLENGE \
	"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"%s\", algorithm=%s, qop=\"auth,auth-int\"\n"

static void start(struct kit *kit, const char *more)
{
	static char extra[1024];
	struct span passwords = SPAN("other x y\npbx pass word\n");

	snprintf(extra, sizeof(extra), ACCOUNT "%s}\n", more);
	kit_start_trunk(kit, "", "none", extra);
	gateway_passwords_set(kit->gateway, passwords);
}

static void seen(void *context, const struct gateway_trunk_view *view)
{
	static char failure[2][256], state[2][32];
	static unsigned next;
	struct gateway_trunk_view *out = context;

	*out = *view;
	next ^= 1;
	snprintf(failure[next], sizeof(failure[0]), "%s", view->failure);
	snprintf(state[next], sizeof(state[0]), "%s", view->state);
	out->failure = failure[next];
	out->state = state[next];
}

static struct gateway_trunk_view view_of(struct kit *kit)
{
	struct gateway_trunk_view view = {0};

	gateway_trunks_each(kit->gateway, seen, &view);
	return view;
}

static void challenge(struct kit *kit, const char *nonce, const char *algorithm)
{
	char extra[512];

	snprintf(extra, sizeof(extra), CHALLENGE, nonce, algorithm);
	peer_answer(kit, &kit->pbx, "401 Unauthorized", "t", extra, "");
}

static void grant(struct kit *kit, const char *more)
{
	char extra[1200];

	snprintf(extra, sizeof(extra), "Contact: %s\n%s", header(&kit->pbx, "Contact"), more);
	peer_answer(kit, &kit->pbx, "200 OK", "t", extra, "");
	kit_pump(kit, 5);
}

/* Whether the credentials of the provider's last message are right. */
static void expect_credentials(struct kit *kit, const char *name, enum sip_digest_algorithm algorithm,
			       const char *password)
{
	struct sip_digest digest;
	char ha1[SIP_HA1_CAPACITY], method[32];
	const char *value = header(&kit->pbx, name);

	snprintf(method, sizeof(method), "%.*s", (int)strcspn(kit->pbx.text, " "), kit->pbx.text);
	assert_int_equal(sip_digest_parse(span_from(value), &digest), 0);
	assert_int_equal(digest.algorithm, algorithm);
	assert_true(span_is(digest.username, "4416329"));
	assert_true(span_is(digest.qop, "auth"));
	assert_int_equal(sip_digest_ha1(algorithm, SPAN("4416329"), SPAN("provider.example"), span_from(password), ha1),
			 0);
	assert_true(sip_digest_verify(&digest, ha1, span_from(method)));
	/* What the digest covers is what was asked. */
	assert_int_equal(strncmp(kit->pbx.text + strlen(method) + 1, digest.uri.data, digest.uri.length), 0);
}

static void register_whole(struct kit *kit)
{
	peer_expect(kit, &kit->pbx, "REGISTER ");
	challenge(kit, "n1", "MD5");
	peer_expect(kit, &kit->pbx, "REGISTER ");
	grant(kit, "");
	assert_string_equal(view_of(kit).state, "registered");
}

static void it_registers_and_answers_the_challenge(void **state)
{
	struct kit kit;
	unsigned cseq;

	(void)state;
	start(&kit, "");
	peer_expect(&kit, &kit.pbx, "REGISTER sip:provider.example SIP/2.0");
	assert_string_equal(header(&kit.pbx, "To"), "<sip:4416329@provider.example>");
	assert_non_null(strstr(header(&kit.pbx, "From"), "<sip:4416329@provider.example>;tag="));
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "<sip:4416329@127.0.0.1:"));
	assert_false(has_header(&kit.pbx, "Authorization"));
	assert_false(trunk_is_usable(kit.gateway, 1));
	cseq = (unsigned)strtoul(header(&kit.pbx, "CSeq"), NULL, 10);
	challenge(&kit, "n1", "MD5");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_int_equal(strtoul(header(&kit.pbx, "CSeq"), NULL, 10), cseq + 1);
	expect_credentials(&kit, "Authorization", SIP_DIGEST_MD5, "pass word");
	grant(&kit, "");
	assert_true(trunk_is_usable(kit.gateway, 1));
	assert_string_equal(view_of(&kit).failure, "");
	assert_in_range(view_of(&kit).expires_s, 3590, 3600);
	assert_in_range(view_of(&kit).next_s, 3200, 3240);
	kit_stop(&kit);
}

static void refreshes_carry_the_nonce_with_a_count(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	register_whole(&kit);
	assert_non_null(strstr(header(&kit.pbx, "Authorization"), "nc=00000001"));
	kit_skip(&kit, 3230000);
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	kit_skip(&kit, 15000);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(header(&kit.pbx, "Authorization"), "nc=00000002"));
	expect_credentials(&kit, "Authorization", SIP_DIGEST_MD5, "pass word");
	/* The nonce got old: one more answer, and all is well. */
	peer_answer(&kit, &kit.pbx, "401 Unauthorized", "t",
		    "WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"n2\", stale=true, qop=\"auth\"\n",
		    "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(header(&kit.pbx, "Authorization"), "nonce=\"n2\""));
	assert_non_null(strstr(header(&kit.pbx, "Authorization"), "nc=00000001"));
	grant(&kit, "");
	assert_string_equal(view_of(&kit).state, "registered");
	kit_stop(&kit);
}

static void the_strongest_algorithm_is_taken_and_never_a_weaker_later(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	peer_answer(
		&kit, &kit.pbx, "401 Unauthorized", "t",
		"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"a\", algorithm=MD5, qop=\"auth\"\n"
		"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"b\", algorithm=SHA-256, qop=\"auth\"\n"
		"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"c\", algorithm=SHA-512-256, "
		"qop=\"auth\"\n",
		"");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	expect_credentials(&kit, "Authorization", SIP_DIGEST_SHA256, "pass word");
	challenge(&kit, "n2", "MD5");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(view_of(&kit).failure, "MD5 only"));
	assert_int_equal(kit.gateway->counters.trunk_challenges_refused, 1);
	kit_stop(&kit);
}

static void a_provider_may_go_down_where_the_owner_allows(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, ", digest: both");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n1", "SHA-256");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n2", "MD5");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	expect_credentials(&kit, "Authorization", SIP_DIGEST_MD5, "pass word");
	kit_stop(&kit);
	start(&kit, ", digest: sha256");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n1", "MD5");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	kit_stop(&kit);
}

/* CVE-2020-28242: a nonce that changes forever. */
static void a_challenge_that_changes_forever_gets_two_answers(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n1", "MD5");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n2", "MD5");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n3", "MD5");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	assert_string_equal(view_of(&kit).state, "not registered");
	assert_non_null(strstr(view_of(&kit).failure, "user or password are not accepted"));
	/* And not at once again: accounts are locked by who insists. */
	assert_in_range(view_of(&kit).next_s, 29, 60);
	kit_stop(&kit);
}

static void a_wrong_password_is_tried_once(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n1", "MD5");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n1", "MD5");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	kit_stop(&kit);
}

/* CVE-2021-41158: credentials for whoever asks. */
static void another_realm_is_not_answered(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	register_whole(&kit);
	kit_skip(&kit, 3241000);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	peer_answer(&kit, &kit.pbx, "401 Unauthorized", "t",
		    "WWW-Authenticate: Digest realm=\"evil.example\", nonce=\"e\", qop=\"auth\"\n", "");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(view_of(&kit).failure, "another realm"));
	kit_stop(&kit);
	start(&kit, ", realm: other.example");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n1", "MD5");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	kit_stop(&kit);
}

static void only_digest_with_auth_is_answered(void **state)
{
	static const char *const challenges[] = {
		"WWW-Authenticate: Basic realm=\"provider.example\"\n",
		"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"n\", qop=\"auth-int\"\n",
		"WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"n\", algorithm=MD5-sess, qop=\"auth\"\n",
		"Proxy-Authenticate: Digest realm=\"provider.example\", nonce=\"n\", qop=\"auth\"\n",
		"",
	};
	struct kit kit;

	(void)state;
	for (size_t i = 0; i < sizeof(challenges) / sizeof(challenges[0]); i++) {
		start(&kit, "");
		peer_expect(&kit, &kit.pbx, "REGISTER ");
		peer_answer(&kit, &kit.pbx, "401 Unauthorized", "t", challenges[i], "");
		peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
		assert_int_equal(kit.gateway->counters.trunk_challenges_refused, 1);
		kit_stop(&kit);
	}
}

static void a_longer_registration_is_asked_for_when_wanted(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, ", expires: 60s");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_string_equal(header(&kit.pbx, "Expires"), "60");
	peer_answer(&kit, &kit.pbx, "423 Interval Too Brief", "t", "Min-Expires: 900\n", "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_string_equal(header(&kit.pbx, "Expires"), "900");
	/* Not forever: the next is a failure. */
	peer_answer(&kit, &kit.pbx, "423 Interval Too Brief", "t", "Min-Expires: 1000\n", "");
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	assert_string_equal(view_of(&kit).state, "not registered");
	kit_stop(&kit);
}

static void failures_are_tried_again_with_patience(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	peer_answer(&kit, &kit.pbx, "503 Service Unavailable", "t", "Retry-After: 120\n", "");
	kit_pump(&kit, 5);
	assert_in_range(view_of(&kit).next_s, 118, 120);
	assert_non_null(strstr(view_of(&kit).failure, "the provider has trouble (503"));
	kit_skip(&kit, 121000);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	peer_answer(&kit, &kit.pbx, "302 Moved Temporarily", "t", "", "");
	kit_pump(&kit, 5);
	assert_non_null(strstr(view_of(&kit).failure, "not followed"));
	kit_skip(&kit, 125000);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	kit_skip(&kit, 33000); /* no answer at all */
	assert_non_null(strstr(view_of(&kit).failure, "does not answer"));
	kit_stop(&kit);
}

/* Two servers of a provider: what the first leaves unanswered, or refuses with 503, is asked of the second at once. */
static void the_next_server_is_asked_within_the_registration(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_pair(&kit, "", ACCOUNT "}\n");
	gateway_passwords_set(kit.gateway, SPAN("pbx pass word\n"));
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	kit_skip(&kit, 3500);
	peer_expect_nothing(&kit, &kit.stranger, "REGISTER ");
	kit_skip(&kit, 1000);
	peer_expect(&kit, &kit.stranger, "REGISTER ");
	assert_string_equal(view_of(&kit).state, "starting");
	peer_answer(&kit, &kit.stranger, "200 OK", "t", "Expires: 100\n", "");
	kit_pump(&kit, 5);
	assert_string_equal(view_of(&kit).state, "registered");
	assert_true(trunk_is_usable(kit.gateway, 1));
	/* The refresh: the second is busy, the first is back. */
	kit_skip(&kit, 90000);
	peer_expect(&kit, &kit.stranger, "REGISTER ");
	while (peer_receive(&kit, &kit.pbx, 0))
		; /* what it was sent before it was given up */
	peer_answer(&kit, &kit.stranger, "503 Service Unavailable", "t", "", "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	grant(&kit, "");
	assert_string_equal(view_of(&kit).state, "registered");
	kit_stop(&kit);
}

/* Of a route's zones one whose provider has not registered us is passed over; it is called again once it has. */
static void a_trunk_that_is_not_registered_is_passed_over(void **state)
{
	struct kit kit;

	(void)state;
	kit_start_apart(&kit, ACCOUNT "}\n", "");
	gateway_passwords_set(kit.gateway, SPAN("pbx pass word\n"));
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	peer_answer(&kit, &kit.pbx, "403 Forbidden", "t", "", "");
	kit_pump(&kit, 5);
	assert_false(trunk_is_usable(kit.gateway, 1));
	phone_invites(&kit, &kit.phone, "one", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.stranger, "INVITE ");
	peer_answer(&kit, &kit.stranger, "486 Busy Here", "b", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 486");
	assert_int_equal(kit.gateway->counters.failovers, 0);
	kit_skip(&kit, 200000);
	register_whole(&kit);
	phone_calls(&kit, "two", 4004);
	peer_answer(&kit, &kit.pbx, "486 Busy Here", "b", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 486");
	kit_stop(&kit);
}

static void silence_ends_what_was_granted_only_in_its_time(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, ", expires: 120s");
	register_whole(&kit);
	kit_skip(&kit, 95000);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_true(trunk_is_usable(kit.gateway, 1));
	kit_skip(&kit, 33000);
	assert_false(trunk_is_usable(kit.gateway, 1));
	kit_stop(&kit);
}

static void it_takes_the_registration_back_at_the_end(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	register_whole(&kit);
	gateway_stop(kit.gateway);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_string_equal(header(&kit.pbx, "Expires"), "0");
	expect_credentials(&kit, "Authorization", SIP_DIGEST_MD5, "pass word");
	kit_stop(&kit);
}

static void a_reload_keeps_the_registration_unless_the_account_changed(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	register_whole(&kit);
	kit_reload(&kit);
	gateway_passwords_set(kit.gateway, SPAN("pbx pass word\n"));
	peer_expect_nothing(&kit, &kit.pbx, "REGISTER ");
	assert_true(trunk_is_usable(kit.gateway, 0));
	gateway_passwords_set(kit.gateway, SPAN("pbx another\n"));
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_string_equal(header(&kit.pbx, "Expires"), "0");
	grant(&kit, "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	challenge(&kit, "n9", "MD5");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	expect_credentials(&kit, "Authorization", SIP_DIGEST_MD5, "another");
	kit_stop(&kit);
}

static void all_numbers_are_registered_at_once(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, ", bulk: true");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_string_equal(header(&kit.pbx, "Require"), "gin");
	assert_string_equal(header(&kit.pbx, "Proxy-Require"), "gin");
	assert_string_equal(header(&kit.pbx, "Supported"), "path");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), ";bnc>"));
	assert_null(strstr(header(&kit.pbx, "Contact"), "@"));
	peer_answer(&kit, &kit.pbx, "420 Bad Extension", "t", "Unsupported: gin\n", "");
	kit_pump(&kit, 5);
	assert_non_null(strstr(view_of(&kit).failure, "bulk registration"));
	kit_stop(&kit);
}

static void calls_go_by_the_service_route(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	grant(&kit, "Service-Route: <sip:edge.provider.example;lr>\n");
	phone_calls(&kit, "call", 4000);
	assert_string_equal(header(&kit.pbx, "Route"), "<sip:edge.provider.example;lr>");
	kit_stop(&kit);
}

static void challenge_call(struct kit *kit, const char *nonce, const char *realm)
{
	char extra[512];

	snprintf(extra, sizeof(extra), "Proxy-Authenticate: Digest realm=\"%s\", nonce=\"%s\", qop=\"auth\"\n", realm,
		 nonce);
	peer_answer(kit, &kit->pbx, "407 Proxy Authentication Required", "t", extra, "");
	peer_expect(kit, &kit->pbx, "ACK ");
}

static void invite(struct kit *kit, const char *name)
{
	phone_invites(kit, &kit->phone, name, "", sdp_plain(4000, "sendrecv"));
	peer_expect(kit, &kit->pbx, "INVITE ");
}

static void a_call_is_made_with_credentials(void **state)
{
	struct side callee, caller;
	struct kit kit;

	(void)state;
	start(&kit, "");
	register_whole(&kit);
	invite(&kit, "call");
	assert_false(has_header(&kit.pbx, "Proxy-Authorization"));
	challenge_call(&kit, "c1", "provider.example");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	expect_credentials(&kit, "Proxy-Authorization", SIP_DIGEST_MD5, "pass word");
	assert_non_null(strstr(body(&kit.pbx), "m=audio"));
	side_of_callee(&callee, &kit.pbx, "pbxtag");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_null(strstr(kit.phone.text, "provider"));
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	/* A re-INVITE has credentials from the start, and is sent again when their nonce got old. */
	side_sends(&kit, &caller, "INVITE", "", sdp_plain(4002, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	expect_credentials(&kit, "Proxy-Authorization", SIP_DIGEST_MD5, "pass word");
	challenge_call(&kit, "c2", "provider.example");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	expect_credentials(&kit, "Proxy-Authorization", SIP_DIGEST_MD5, "pass word");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(5002, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	side_sends(&kit, &caller, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	expect_credentials(&kit, "Proxy-Authorization", SIP_DIGEST_MD5, "pass word");
	/* A BYE that was not taken for its old nonce would leave a call running, and paid for. */
	peer_answer(&kit, &kit.pbx, "407 Proxy Authentication Required", "",
		    "Proxy-Authenticate: Digest realm=\"provider.example\", nonce=\"c3\", stale=true, qop=\"auth\"\n",
		    "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	assert_non_null(strstr(header(&kit.pbx, "Proxy-Authorization"), "nonce=\"c3\""));
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", "");
	kit_stop(&kit);
}

static void calls_that_are_challenged_forever_or_by_others_fail(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	register_whole(&kit);
	invite(&kit, "one");
	for (int i = 0; i < 2; i++) {
		challenge_call(&kit, i ? "c1" : "c2", "provider.example");
		peer_expect(&kit, &kit.pbx, "INVITE ");
	}
	challenge_call(&kit, "c3", "provider.example");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	assert_false(has_header(&kit.phone, "Proxy-Authenticate"));
	phone_calls(&kit, "two", 4000);
	challenge_call(&kit, "c4", "evil.example");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	kit_stop(&kit);
}

static void calls_are_not_answered_for_before_the_registrar_spoke(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	grant(&kit, "");
	invite(&kit, "call");
	challenge_call(&kit, "c1", "provider.example");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	kit_stop(&kit);
}

static void a_cancelled_call_is_not_sent_again(void **state)
{
	static char asked[sizeof(((struct peer *)0)->text)];
	struct kit kit;

	(void)state;
	start(&kit, "");
	register_whole(&kit);
	invite(&kit, "call");
	memcpy(asked, kit.pbx.text, sizeof(asked));
	peer_answer(&kit, &kit.pbx, "100 Trying", "", "", "");
	peer_send(&kit, &kit.phone,
		  "CANCEL sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKcall;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=call\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: call\nCSeq: 7 CANCEL\nContent-Length: 0\n\n",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.phone, "SIP/2.0 487");
	peer_expect(&kit, &kit.pbx, "CANCEL ");
	memcpy(kit.pbx.text, asked, sizeof(asked));
	challenge_call(&kit, "c1", "provider.example");
	peer_expect_nothing(&kit, &kit.pbx, "INVITE ");
	kit_stop(&kit);
}

static void messages_are_challenged_too(void **state)
{
	struct kit kit;

	(void)state;
	start(&kit, "");
	register_whole(&kit);
	peer_send(&kit, &kit.phone,
		  "MESSAGE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKm;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=m\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: m\nCSeq: 1 MESSAGE\nContent-Type: text/plain\nContent-Length: %%LENGTH%%\n\nhello",
		  kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "MESSAGE ");
	peer_answer(&kit, &kit.pbx, "401 Unauthorized", "t",
		    "WWW-Authenticate: Digest realm=\"provider.example\", nonce=\"m1\", qop=\"auth\"\n", "");
	peer_expect(&kit, &kit.pbx, "MESSAGE ");
	expect_credentials(&kit, "Authorization", SIP_DIGEST_MD5, "pass word");
	assert_string_equal(body(&kit.pbx), "hello");
	peer_answer(&kit, &kit.pbx, "200 OK", "t", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_stop(&kit);
}

static void memory_may_run_short_at_any_moment(void **state)
{
	(void)state;
	for (long count = 0; count < 40; count++) {
		struct kit kit;

		start(&kit, "");
		peer_expect(&kit, &kit.pbx, "REGISTER ");
		memory_fail_after(count);
		challenge(&kit, "n1", "MD5");
		peer_receive(&kit, &kit.pbx, 2);
		memory_fail_after(-1);
		/* Registered in the end, at once or at the next attempt. */
		for (int i = 0; i < 10 && strcmp(view_of(&kit).state, "registered"); i++) {
			kit_skip(&kit, 65000);
			while (peer_receive(&kit, &kit.pbx, 2))
				if (!strncmp(kit.pbx.text, "REGISTER", 8) && has_header(&kit.pbx, "Authorization"))
					grant(&kit, "");
				else if (!strncmp(kit.pbx.text, "REGISTER", 8))
					challenge(&kit, "n2", "MD5");
		}
		assert_string_equal(view_of(&kit).state, "registered");
		kit_stop(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_registers_and_answers_the_challenge),
		cmocka_unit_test(refreshes_carry_the_nonce_with_a_count),
		cmocka_unit_test(the_strongest_algorithm_is_taken_and_never_a_weaker_later),
		cmocka_unit_test(a_provider_may_go_down_where_the_owner_allows),
		cmocka_unit_test(a_challenge_that_changes_forever_gets_two_answers),
		cmocka_unit_test(a_wrong_password_is_tried_once),
		cmocka_unit_test(another_realm_is_not_answered),
		cmocka_unit_test(only_digest_with_auth_is_answered),
		cmocka_unit_test(a_longer_registration_is_asked_for_when_wanted),
		cmocka_unit_test(failures_are_tried_again_with_patience),
		cmocka_unit_test(the_next_server_is_asked_within_the_registration),
		cmocka_unit_test(a_trunk_that_is_not_registered_is_passed_over),
		cmocka_unit_test(silence_ends_what_was_granted_only_in_its_time),
		cmocka_unit_test(it_takes_the_registration_back_at_the_end),
		cmocka_unit_test(a_reload_keeps_the_registration_unless_the_account_changed),
		cmocka_unit_test(all_numbers_are_registered_at_once),
		cmocka_unit_test(calls_go_by_the_service_route),
		cmocka_unit_test(a_call_is_made_with_credentials),
		cmocka_unit_test(calls_that_are_challenged_forever_or_by_others_fail),
		cmocka_unit_test(calls_are_not_answered_for_before_the_registrar_spoke),
		cmocka_unit_test(a_cancelled_call_is_not_sent_again),
		cmocka_unit_test(messages_are_challenged_too),
		cmocka_unit_test(memory_may_run_short_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
