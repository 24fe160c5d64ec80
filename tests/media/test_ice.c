/* SPDX-License-Identifier: Apache-2.0
 * Checks of ICE as they arrive on a media port: who knows the password is answered and remembered, nobody else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/stun.h"
#include "media/ice.h"

#define UFRAG "evtj"
#define PASSWORD "VOkJxbRl1RmTxUk/WvJxBt"
#define HEADER "\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"

/* RFC 5769 section 2.1, an independent witness of the integrity; its sender takes itself for the controlled one. */
static const char rfc_request[] = "\x00\x01\x00\x58" HEADER "\x80\x22\x00\x10STUN test client"
				  "\x00\x24\x00\x04\x6e\x00\x01\xff\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36"
				  "\x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20"
				  "\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49"
				  "\xc1\xb5\x71\xa2\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

static struct ice ice;
static uint64_t now_us;
static char answer_text[ICE_ANSWER_MAXIMUM];
static struct buffer answer;

static int setup(void **state)
{
	static const struct media_ice ours = {UFRAG, PASSWORD};

	(void)state;
	memset(&ice, 0, sizeof(ice));
	ice_set(&ice, &ours);
	now_us = 1000000000;
	return 0;
}

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(span_from(text), &address), 0);
	return address;
}

static enum ice_result arrives(const char *bytes, size_t length, const char *source)
{
	struct address from = address_of(source);

	answer = (struct buffer)BUFFER_OVER(answer_text);
	now_us += 20000;
	return ice_check(&ice, (struct span){bytes, length}, &from, now_us, &answer);
}

/* A check with these attributes, signed with `password`. */
static size_t check_make(char *out, const char *username, const char *attributes, size_t attributes_length,
			 const char *password)
{
	size_t name = strlen(username), padded = (name + 3) & ~(size_t)3, at = 20;
	unsigned length = 20;

	memcpy(out, "\x00\x01\x00\x00" HEADER, 20);
	memcpy(out + at, "\x00\x06\x00", 3);
	out[at + 3] = (char)name;
	memset(out + at + 4, 0, padded);
	memcpy(out + at + 4, username, name);
	at += 4 + padded;
	memcpy(out + at, attributes, attributes_length);
	at += attributes_length;
	out[2] = (char)((at + 24 - 20) >> 8);
	out[3] = (char)(at + 24 - 20);
	memcpy(out + at, "\x00\x08\x00\x14", 4);
	HMAC(EVP_sha1(), password, (int)strlen(password), (const uint8_t *)out, at, (uint8_t *)out + at + 4, &length);
	return at + 24;
}

static enum ice_result checks(const char *username, const char *attributes, size_t length, const char *password,
			      const char *source)
{
	char message[600];

	return arrives(message, check_make(message, username, attributes, length, password), source);
}
#define NOTHING "", 0
#define NOMINATES "\x00\x25\x00\x00", 4

static int answer_type(void)
{
	return answer.length < 2 ? -1 : (uint8_t)answer.data[0] << 8 | (uint8_t)answer.data[1];
}

/* The answer's own integrity is right. */
static void assert_signed(void)
{
	uint8_t expected[20];
	char copy[ICE_ANSWER_MAXIMUM];
	unsigned length = 20;
	size_t at = answer.length - 8 - 24; /* the fingerprint follows it */

	memcpy(copy, answer.data, at);
	copy[2] = (char)((at + 24 - 20) >> 8);
	copy[3] = (char)(at + 24 - 20);
	HMAC(EVP_sha1(), PASSWORD, (int)strlen(PASSWORD), (const uint8_t *)copy, at, expected, &length);
	assert_memory_equal(answer.data + at, "\x00\x08\x00\x14", 4);
	assert_memory_equal(answer.data + at + 4, expected, 20);
}

static void the_rfcs_own_example(void **state)
{
	(void)state;
	assert_int_equal(arrives(rfc_request, sizeof(rfc_request) - 1, "192.0.2.1:32853"), ICE_REFUSED);
	assert_int_equal(answer_type(), 0x0111);
	assert_memory_equal(answer.data + 20, "\x00\x09\x00\x04\x00\x00\x04\x57", 8); /* 487 */
	assert_signed();
}

static void m2_who_knows_the_password_is_a_way(void **state)
{
	struct address first = address_of("192.0.2.1:1"), second = address_of("[2001:db8::1]:2");

	(void)state;
	assert_int_equal(checks("evtj:x", NOTHING, PASSWORD, "192.0.2.1:1"), ICE_CHECKED);
	assert_int_equal(answer_type(), 0x0101);
	assert_memory_equal(answer.data + 20, "\x00\x20\x00\x08\x00\x01", 6);
	assert_signed();
	assert_true(ice_knows(&ice, &first));
	assert_false(ice.is_nominated);
	assert_int_equal(checks("evtj:x", NOMINATES, PASSWORD, "[2001:db8::1]:2"), ICE_NOMINATED);
	assert_true(ice_knows(&ice, &first) && ice_knows(&ice, &second) && ice.is_nominated);
}

static void m2_strangers_hear_nothing(void **state)
{
	static const struct {
		const char *username, *password;
	} cases[] = {{"evtj:x", "VOkJxbRl1RmTxUk/WvJxBu"},
		     {"evtk:x", PASSWORD},
		     {"evtj", PASSWORD},
		     {"evtjj:x", PASSWORD},
		     {"", PASSWORD},
		     {"evtj:x", ""}};
	struct address source = address_of("192.0.2.1:1");
	char message[600];
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(checks(cases[i].username, NOMINATES, cases[i].password, "192.0.2.1:1"), ICE_DROPPED);
		assert_int_equal(answer.length, 0);
	}
	assert_int_equal(arrives("\x00\x01\x00\x00" HEADER, 20, "192.0.2.1:1"), ICE_DROPPED); /* no credentials */
	length = check_make(message, "evtj:x", NOTHING, PASSWORD);
	for (size_t i = 0; i < length; i++) {
		message[i] ^= 1;
		enum ice_result result = arrives(message, length, "192.0.2.1:1");
		assert_true(result == ICE_DROPPED || result == ICE_SILENCE);
		message[i] ^= 1;
	}
	assert_false(ice_knows(&ice, &source));
	assert_false(ice.is_nominated);
}

static void what_follows_the_integrity_proves_nothing(void **state)
{
	char message[600];
	size_t length = check_make(message, "evtj:x", NOTHING, PASSWORD);

	(void)state;
	memcpy(message + length, "\x00\x25\x00\x00", 4);
	message[3] = (char)(length + 4 - 20);
	assert_int_equal(arrives(message, length + 4, "192.0.2.1:1"), ICE_CHECKED);
	assert_false(ice.is_nominated);
}

static void unknown_attributes_are_named(void **state)
{
	(void)state;
	assert_int_equal(
		checks("evtj:x", "\x00\x33\x00\x00\xc0\x57\x00\x04\x00\x00\x00\x01", 12, PASSWORD, "192.0.2.1:1"),
		ICE_REFUSED);
	assert_memory_equal(answer.data + 20, "\x00\x09\x00\x04\x00\x00\x04\x14\x00\x0a\x00\x02\x00\x33", 14); /* 420 */
	assert_signed();
	/* Those that may be passed over are: a browser's own. */
	assert_int_equal(checks("evtj:x", "\xc0\x57\x00\x04\x00\x00\x00\x01", 8, PASSWORD, "192.0.2.1:1"), ICE_CHECKED);
}

static void what_was_found_stays_good_until_the_next_restart(void **state)
{
	static const struct media_ice fresh = {"fresh", "freshfreshfreshfreshfre"},
				      next = {"next", "nextnextnextnextnextnex"};
	struct address source = address_of("192.0.2.1:1");

	(void)state;
	assert_int_equal(checks("evtj:x", NOMINATES, PASSWORD, "192.0.2.1:1"), ICE_NOMINATED);
	ice_set(&ice, &ice.ours);
	assert_true(ice_knows(&ice, &source));
	ice_set(&ice, &fresh);
	assert_true(ice_knows(&ice, &source));
	assert_false(ice.is_nominated);
	assert_int_equal(checks("evtj:x", NOTHING, PASSWORD, "192.0.2.1:2"), ICE_CHECKED);
	assert_signed();
	assert_int_equal(checks("evtj:x", NOTHING, fresh.password, "192.0.2.1:2"), ICE_DROPPED);
	assert_int_equal(checks("fresh:x", NOMINATES, fresh.password, "192.0.2.1:1"), ICE_NOMINATED);
	ice_set(&ice, &next);
	assert_int_equal(checks("evtj:x", NOTHING, PASSWORD, "192.0.2.1:2"), ICE_DROPPED);
	assert_int_equal(checks("fresh:x", NOTHING, fresh.password, "192.0.2.1:1"), ICE_CHECKED);
	assert_int_equal(checks("next:x", NOTHING, next.password, "192.0.2.1:1"), ICE_CHECKED);
}

static void m5_checks_are_bounded(void **state)
{
	struct address first = address_of("192.0.2.1:1");
	char message[600], source[32];
	size_t length = check_make(message, "evtj:x", NOTHING, PASSWORD), answered = 0;

	(void)state;
	for (int port = 1; port <= ICE_WAYS + 1; port++) {
		snprintf(source, sizeof(source), "192.0.2.1:%d", port);
		assert_int_equal(arrives(message, length, source), ICE_CHECKED);
	}
	assert_false(ice_knows(&ice, &first));
	for (int i = 0; i < 5000; i++) {
		now_us -= 20000;
		answered += arrives(message, length, "192.0.2.1:2") == ICE_CHECKED;
	}
	assert_in_range(answered, 100, 1000);
	memset(message + length, 0, sizeof(message) - length);
	assert_int_equal(arrives(message, sizeof(message), "192.0.2.1:2"), ICE_DROPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_rfcs_own_example, setup),
		cmocka_unit_test_setup(m2_who_knows_the_password_is_a_way, setup),
		cmocka_unit_test_setup(m2_strangers_hear_nothing, setup),
		cmocka_unit_test_setup(what_follows_the_integrity_proves_nothing, setup),
		cmocka_unit_test_setup(unknown_attributes_are_named, setup),
		cmocka_unit_test_setup(what_was_found_stays_good_until_the_next_restart, setup),
		cmocka_unit_test_setup(m5_checks_are_bounded, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
