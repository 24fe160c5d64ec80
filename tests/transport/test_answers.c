/* SPDX-License-Identifier: Apache-2.0
 * What UDP sources are sent in answer (THREATS N4): how much of it, in which form, and to whom without measure. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "base/memory.h"
#include "transport/shorten.h"
#include "transport/sources.h"

static uint64_t seed;

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(span_from(text), &address), 0);
	return address;
}

static struct sources *sources_made(uint32_t proofs)
{
	struct sources *sources = sources_new(proofs, random_seeded(&seed));

	assert_non_null(sources);
	return sources;
}

/* ---- How much ---- */

static void a_source_is_sent_what_it_sent_and_a_little_more(void **state)
{
	struct sources *sources = sources_made(0);
	struct address one = address_of("192.0.2.1:5060"), port = address_of("192.0.2.1:9"),
		       other = address_of("192.0.2.2");
	uint64_t in = 0, out = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		sources_heard(sources, i % 2 ? &one : &port, 100, 5000);
		in += 100;
		out += sources_grant(sources, &one, 150, true, 5000) ? 150 : 0;
	}
	assert_in_range(out, in, in + SOURCE_OVERDRAFT_BYTES);
	assert_false(sources_grant(sources, &other, 1, false, 5000));
	assert_true(sources_grant(sources, &other, SOURCE_OVERDRAFT_BYTES, true, 5000));
	assert_false(sources_grant(sources, &other, 1, true, 5000));
	assert_true(sources_grant(sources, &other, 1, true, 5000 + 1000 * SOURCE_OVERDRAFT_S)); /* time heals */
	sources_free(sources);
}

static void credit_has_an_end(void **state)
{
	struct sources *sources = sources_made(0);
	struct address one = address_of("[2001:db8::1]:5060"), near = address_of("[2001:db8::2]:1");

	(void)state;
	for (int i = 0; i < 10; i++)
		sources_heard(sources, &one, 60000, 0);
	assert_int_equal(sources_credit(sources, &near), SOURCE_CREDIT_BYTES); /* of the same /64 */
	assert_true(sources_grant(sources, &near, SOURCE_CREDIT_BYTES, false, 0));
	assert_int_equal(sources_credit(sources, &one), 0);
	near = address_of("[2001:db8:0:1::1]");
	assert_int_equal(sources_credit(sources, &near), 0);
	sources_free(sources);
}

/* However many sources are forged, and whoever is forgotten for them. */
static void all_together_overdraw_so_much(void **state)
{
	struct sources *sources = sources_made(0);
	uint64_t out = 0;

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		struct address forged = {.family = ADDRESS_IPV4,
					 .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};

		sources_heard(sources, &forged, 20, 1000 + i / 100);
		if (sources_grant(sources, &forged, 520, true, 1000 + i / 100))
			out += 500;
	}
	assert_in_range(out, SOURCES_OVERDRAFT_BYTES, 3 * SOURCES_OVERDRAFT_BYTES); /* two seconds, and parts of them */
	sources_free(sources);
}

/* ---- To whom ---- */

static void proofs_are_of_address_and_port_and_end(void **state)
{
	struct sources *sources = sources_made(1000);
	struct address one = address_of("192.0.2.1:5060"), port = address_of("192.0.2.1:5061");

	(void)state;
	assert_false(sources_proven(sources, &one, 0));
	sources_prove(sources, &one, 60, 0);
	sources_prove(sources, &one, 10, 0); /* takes nothing away */
	assert_true(sources_proven(sources, &one, 60000));
	assert_false(sources_proven(sources, &port, 0));
	assert_false(sources_proven(sources, &one, 62000));
	sources_free(sources);
}

static void proofs_are_kept_as_many_as_were_asked_for(void **state)
{
	struct sources *sources = sources_made(2000);
	uint32_t lost = 0;

	(void)state;
	for (uint16_t i = 1; i <= 2000; i++) {
		struct address one = {.family = ADDRESS_IPV4, .port = i, .ip = {192, 0, 2, 1}};

		sources_prove(sources, &one, 60, 0);
	}
	for (uint16_t i = 1; i <= 2000; i++) {
		struct address one = {.family = ADDRESS_IPV4, .port = i, .ip = {192, 0, 2, 1}};

		lost += !sources_proven(sources, &one, 0);
	}
	assert_in_range(lost, 0, 100); /* sets have four places */
	sources_free(sources);
}

static uint32_t proofs_lost(struct sources *sources, uint32_t count, uint64_t now_ms)
{
	uint32_t lost = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct address one = {
			.family = ADDRESS_IPV4, .port = 5060, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};

		lost += !sources_proven(sources, &one, now_ms);
	}
	return lost;
}

static void prove_many(struct sources *sources, uint32_t count, uint32_t lifetime_s, uint64_t now_ms)
{
	for (uint32_t i = 0; i < count; i++) {
		struct address one = {
			.family = ADDRESS_IPV4, .port = 5060, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};

		sources_prove(sources, &one, lifetime_s, now_ms);
	}
}

static void proofs_are_kept_while_their_memory_grows(void **state)
{
	struct sources *sources = sources_made(1000000);

	(void)state;
	for (uint32_t count = 1000; count <= 60000; count += 7375) {
		prove_many(sources, count, 60, 1000);
		assert_in_range(proofs_lost(sources, count, 1000), 0, count / 50);
	}
	assert_int_equal(proofs_lost(sources, 60000, 62000), 60000);
	prove_many(sources, 60000, 60, 62000); /* in the places of those that have ended */
	assert_in_range(proofs_lost(sources, 60000, 62000), 0, 1200);
	sources_free(sources);
}

static void memory_that_was_short_for_proofs_is_asked_for_again(void **state)
{
	struct sources *sources = sources_made(1000000);

	(void)state;
	memory_fail_after(0); /* the first growth fails */
	prove_many(sources, 20000, 60, 1000);
	memory_fail_after(-1);
	assert_in_range(proofs_lost(sources, 20000, 1000), 0, 400);
	sources_free(sources);
}

static void memory_may_end_anywhere(void **state)
{
	struct sources *sources = NULL;

	(void)state;
	for (long count = 0; count < 5 && !sources; count++) {
		memory_fail_after(count);
		sources = sources_new(10, random_seeded(&seed));
		memory_fail_after(-1);
	}
	assert_non_null(sources);
	sources_free(sources);
	sources_free(NULL);
}

/* ---- In which form ---- */

#define COMMON \
	"Via: SIP/2.0/UDP a;branch=x\r\nVia: SIP/2.0/UDP b;branch=y\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n" \
	"Call-ID: c\r\n"
#define END "Content-Length: 0\r\n\r\n"

static void becomes(const char *answer, const char *wanted)
{
	char text[2000];
	struct buffer out = BUFFER_OVER(text);

	assert_int_equal(answer_shorten(span_from(answer), &out), wanted != NULL);
	if (wanted)
		assert_string_equal(buffer_text(&out), wanted);
}

static void what_is_needed_stays(void **state)
{
	static const char challenge[] = "SIP/2.0 401 Unauthorized\r\n" COMMON
					"CSeq: 1 REGISTER\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"1\"\r\n" END;

	(void)state;
	becomes(challenge, challenge);
	becomes("SIP/2.0 405 No\r\n" COMMON "CSeq: 1 FROB\r\nAllow: INVITE, ACK\r\nServer: x\r\n" END,
		"SIP/2.0 405 No\r\n" COMMON "CSeq: 1 FROB\r\n" END);
	becomes("SIP/2.0 420 Bad\r\n" COMMON "CSeq: 1 INVITE\r\nUnsupported: x\r\nAllow: a\r\n" END,
		"SIP/2.0 420 Bad\r\n" COMMON "CSeq: 1 INVITE\r\nUnsupported: x\r\n" END);
	becomes("SIP/2.0 200 OK\r\n" COMMON
		"CSeq: 1 OPTIONS\r\nAllow: a\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
		"SIP/2.0 200 OK\r\n" COMMON "CSeq: 1 OPTIONS\r\n" END);
}

static void what_is_wanted_for_itself_is_not_cut(void **state)
{
	(void)state;
	becomes("SIP/2.0 200 OK\r\n" COMMON "CSeq: 1 INVITE\r\nContact: <sip:a>\r\n" END, NULL);
	becomes("SIP/2.0 200 OK\r\n" COMMON "CSeq: 1 REGISTER\r\nContact: <sip:a>\r\n" END, NULL);
	becomes("SIP/2.0 183 P\r\n" COMMON "CSeq: 1 INVITE\r\n" END, NULL);
	becomes("SIP/2.0 302 M\r\n" COMMON "CSeq: 1 INVITE\r\nContact: <sip:a>\r\n" END, NULL);
	becomes("OPTIONS sip:a SIP/2.0\r\n" COMMON "CSeq: 1 OPTIONS\r\n" END, NULL);
	becomes("SIP/2.0 4", NULL);
	becomes("SIP/2.0 401", NULL);
	becomes("", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_is_sent_what_it_sent_and_a_little_more),
		cmocka_unit_test(credit_has_an_end),
		cmocka_unit_test(all_together_overdraw_so_much),
		cmocka_unit_test(proofs_are_of_address_and_port_and_end),
		cmocka_unit_test(proofs_are_kept_while_their_memory_grows),
		cmocka_unit_test(memory_that_was_short_for_proofs_is_asked_for_again),
		cmocka_unit_test(proofs_are_kept_as_many_as_were_asked_for),
		cmocka_unit_test(memory_may_end_anywhere),
		cmocka_unit_test(what_is_needed_stays),
		cmocka_unit_test(what_is_wanted_for_itself_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
