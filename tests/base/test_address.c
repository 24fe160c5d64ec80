/* SPDX-License-Identifier: Apache-2.0
 * Addresses: what is read is written alike, what is not an address is refused. */
#include "base/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct address parsed(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(span_from(text), &address), 0);
	return address;
}

static void test_reads_and_writes(void **state)
{
	static const struct {
		const char *text, *written, *ip, *bracketed;
		uint8_t family;
		uint16_t port;
	} rows[] = {
		{"192.0.2.1:5060", "192.0.2.1:5060", "192.0.2.1", "192.0.2.1", 4, 5060},
		{"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", 4, 0},
		{"0.0.0.0:1", "0.0.0.0:1", "0.0.0.0", "0.0.0.0", 4, 1},
		{"255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255", "255.255.255.255", 4, 65535},
		{"100.109.10.9", "100.109.10.9", "100.109.10.9", "100.109.10.9", 4, 0},
		{"[2001:db8::1]:5060", "[2001:db8::1]:5060", "2001:db8::1", "[2001:db8::1]", 6, 5060},
		{"[2001:DB8:0:0::1]", "[2001:db8::1]", "2001:db8::1", "[2001:db8::1]", 6, 0},
		{"2001:db8::1", "[2001:db8::1]", "2001:db8::1", "[2001:db8::1]", 6, 0},
		{"[::]:5061", "[::]:5061", "::", "[::]", 6, 5061},
		/* Mapped addresses are IPv4, so that no list is passed by writing an address otherwise. */
		{"[::ffff:192.0.2.1]:5060", "192.0.2.1:5060", "192.0.2.1", "192.0.2.1", 4, 5060},
		{"::ffff:c000:201", "192.0.2.1", "192.0.2.1", "192.0.2.1", 4, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address address = parsed(rows[i].text);
		char text[ADDRESS_TEXT_BYTES], bytes[64];
		struct buffer plain = BUFFER_OVER(bytes);
		struct address again;

		assert_int_equal(address.family, rows[i].family);
		assert_int_equal(address.port, rows[i].port);
		assert_string_equal(address_text(&address, text), rows[i].written);
		address_write_ip(&plain, &address, false);
		assert_string_equal(buffer_text(&plain), rows[i].ip);
		plain = BUFFER_OVER(bytes);
		address_write_ip(&plain, &address, true);
		assert_string_equal(buffer_text(&plain), rows[i].bracketed);
		again = parsed(text);
		assert_true(address_equal(&address, &again));
		assert_memory_equal(&address, &again, sizeof(address)); /* can be hashed whole */
	}
}

static void test_refuses(void **state)
{
	static const char *const rows[] = {
		"",
		":",
		":5060",
		"host",
		"host:5060",
		"192.0.2",
		"192.0.2.1.1",
		"192.0.2.256",
		"192.0.2.01",
		"0xc0.0.2.1",
		"192.0.2.1:",
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"192.0.2.1:-1",
		"192.0.2.1: 5060",
		" 192.0.2.1",
		"192.0.2.1 ",
		"[192.0.2.1]:5060",
		"[",
		"[]",
		"[::1",
		"::1]",
		"[::1]5060",
		"[::1]:",
		"[::1]:0",
		"[::1]:99999",
		"[::1]]:5060",
		"[[::1]]",
		"fe80::1%eth0",
		"[fe80::1%1]:5060",
		"1:2:3:4:5:6:7:8:9",
		":::",
		"2001:db8::1::2",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	struct address address, untouched;

	(void)state;
	memset(&untouched, 0x55, sizeof(untouched));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		address = untouched;
		if (address_parse(span_from(rows[i]), &address) != -EINVAL)
			fail_msg("\"%s\" was taken for an address", rows[i]);
		assert_memory_equal(&address, &untouched, sizeof(address));
	}
	/* What stands after a NUL is not hidden from the check. */
	assert_int_equal(address_parse((struct span){"192.0.2.1\0evil", 14}, &address), -EINVAL);
	assert_int_equal(address_parse_ip(SPAN("192.0.2.1:5060"), &address), -EINVAL);
	assert_int_equal(address_parse_ip(SPAN("[::1]"), &address), -EINVAL);
	assert_int_equal(address_parse_ip(SPAN_EMPTY, &address), -EINVAL);
}

/* Every beginning of an address, in memory that ends where the text does. */
static void test_truncated(void **state)
{
	static const char text[] = "[2001:db8:1:2:3:4:192.0.2.1]:50600";

	(void)state;
	for (size_t length = 0; length < sizeof(text); length++) {
		char *copy = malloc(length + 1);
		char *exact = length ? realloc(copy, length) : copy;
		struct address address;
		int result;

		memcpy(exact, text, length);
		result = address_parse((struct span){exact, length}, &address);
		/* Whole after the bracket, and with each digit of the port. */
		assert_int_equal(result == 0, length == 28 || (length >= 30 && length <= 34));
		free(exact);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		bool any, loopback, is_private, multicast;
	} rows[] = {
		{"0.0.0.0", true, false, false, false},
		{"0.0.0.1", false, false, false, false},
		{"::", true, false, false, false},
		{"127.0.0.1", false, true, true, false},
		{"127.255.255.255", false, true, true, false},
		{"128.0.0.1", false, false, false, false},
		{"::1", false, true, true, false},
		{"::2", false, false, false, false},
		{"::ffff:127.0.0.1", false, true, true, false},
		{"10.0.0.0", false, false, true, false},
		{"11.0.0.0", false, false, false, false},
		{"100.63.255.255", false, false, false, false},
		{"100.64.0.0", false, false, true, false},
		{"100.127.255.255", false, false, true, false},
		{"100.128.0.0", false, false, false, false},
		{"169.254.1.1", false, false, true, false},
		{"172.15.255.255", false, false, false, false},
		{"172.16.0.0", false, false, true, false},
		{"172.31.255.255", false, false, true, false},
		{"172.32.0.0", false, false, false, false},
		{"192.168.0.1", false, false, true, false},
		{"192.169.0.1", false, false, false, false},
		{"223.255.255.255", false, false, false, false},
		{"224.0.0.1", false, false, false, true},
		{"239.255.255.255", false, false, false, true},
		{"240.0.0.0", false, false, false, false},
		{"fbff::1", false, false, false, false},
		{"fc00::1", false, false, true, false},
		{"fdff::1", false, false, true, false},
		{"fe00::1", false, false, false, false},
		{"fe80::1", false, false, true, false},
		{"febf::1", false, false, true, false},
		{"fec0::1", false, false, false, false},
		{"ff02::1", false, false, false, true},
		{"2001:db8::1", false, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address address = parsed(rows[i].text);

		assert_int_equal(address_is_any(&address), rows[i].any);
		assert_int_equal(address_is_loopback(&address), rows[i].loopback);
		assert_int_equal(address_is_private(&address), rows[i].is_private);
		assert_int_equal(address_is_multicast(&address), rows[i].multicast);
	}
}

static void test_equal(void **state)
{
	struct address a = parsed("192.0.2.1:5060"), b = parsed("192.0.2.1:5061"), c = parsed("192.0.2.2:5060");
	struct address d = parsed("[c000:201::]:5060"); /* the same first bytes, another family */

	(void)state;
	assert_true(address_equal(&a, &a));
	assert_false(address_equal(&a, &b));
	assert_true(address_equal_ip(&a, &b));
	assert_false(address_equal_ip(&a, &c));
	assert_false(address_equal_ip(&a, &d));
}

static void test_sockaddr(void **state)
{
	static const char *const rows[] = {"192.0.2.1:5060", "[2001:db8::1]:5061", "0.0.0.0", "[::]"};
	struct sockaddr_storage storage;
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(99)};
	struct address none = {0}, back;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address address = parsed(rows[i]);
		socklen_t length = address_to_sockaddr(&address, &storage);

		assert_int_equal(length, address.family == ADDRESS_IPV4 ? sizeof(struct sockaddr_in)
									: sizeof(struct sockaddr_in6));
		memset(&back, 0x55, sizeof(back));
		assert_int_equal(address_from_sockaddr((struct sockaddr *)&storage, &back), 0);
		assert_memory_equal(&back, &address, sizeof(back));
	}
	assert_int_equal(address_to_sockaddr(&none, &storage), 0);
	storage.ss_family = AF_UNIX;
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&storage, &back), -EAFNOSUPPORT);
	memcpy(mapped.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&mapped, &back), 0);
	assert_int_equal(back.family, ADDRESS_IPV4);
	assert_int_equal(back.port, 99);
}

static void test_none_has_a_text(void **state)
{
	struct address none = {0};
	char text[ADDRESS_TEXT_BYTES];

	(void)state;
	assert_string_equal(address_text(&none, text), "-");
}

static void test_the_longest_fits(void **state)
{
	struct address address = parsed("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
	char text[ADDRESS_TEXT_BYTES], small[20];
	struct buffer buffer = BUFFER_OVER(small);

	(void)state;
	assert_string_equal(address_text(&address, text), "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
	address_write(&buffer, &address);
	assert_true(buffer.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_and_writes),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_none_has_a_text),
		cmocka_unit_test(test_the_longest_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
