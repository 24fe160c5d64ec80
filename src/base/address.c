/* SPDX-License-Identifier: Apache-2.0
 * Addresses: reading, writing and classifying. */
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* ::ffff:0:0/96, RFC 4291 section 2.5.5.2. */
static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void set_ipv4(struct address *address, const void *ip)
{
	*address = (struct address){.family = ADDRESS_IPV4};
	memcpy(address->ip, ip, 4);
}

static void set_ipv6(struct address *address, const uint8_t ip[16])
{
	if (memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		set_ipv4(address, ip + sizeof(mapped_prefix));
		return;
	}
	*address = (struct address){.family = ADDRESS_IPV6};
	memcpy(address->ip, ip, 16);
}

int address_parse_ip(struct span text, struct address *address)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t ip[16];

	/* A NUL inside would hide what follows it from inet_pton. */
	if (span_index(text, '\0') >= 0 || span_copy(text, copy, sizeof(copy)))
		return -EINVAL;
	if (span_index(text, ':') < 0) {
		if (inet_pton(AF_INET, copy, ip) != 1)
			return -EINVAL;
		set_ipv4(address, ip);
		return 0;
	}
	if (inet_pton(AF_INET6, copy, ip) != 1)
		return -EINVAL;
	set_ipv6(address, ip);
	return 0;
}

/* "[ip6]", "ip4" and "ip6" leave `port` empty without a colon; otherwise it is what follows the colon. */
static int split_port(struct span text, struct span *ip, struct span *port, bool *has_port)
{
	ptrdiff_t end;
	struct span rest;

	*has_port = false;
	*port = SPAN_EMPTY;
	if (text.length && text.data[0] == '[') {
		end = span_index(text, ']');
		if (end < 0)
			return -EINVAL;
		*ip = span_slice(text, 1, (size_t)end - 1);
		if (span_index(*ip, ':') < 0) /* only IPv6 stands in brackets */
			return -EINVAL;
		rest = span_slice(text, (size_t)end + 1, SIZE_MAX);
		if (rest.length == 0)
			return 0;
		if (rest.data[0] != ':')
			return -EINVAL;
		*port = span_slice(rest, 1, SIZE_MAX);
		*has_port = true;
		return 0;
	}
	end = span_index(text, ':');
	rest = end < 0 ? SPAN_EMPTY : span_slice(text, (size_t)end + 1, SIZE_MAX);
	if (end < 0 || span_index(rest, ':') >= 0) { /* no port, or IPv6 without brackets */
		*ip = text;
		return 0;
	}
	*ip = span_slice(text, 0, (size_t)end);
	*port = rest;
	*has_port = true;
	return 0;
}

int address_parse(struct span text, struct address *address)
{
	struct span ip, port_text;
	struct address parsed;
	uint64_t port = 0;
	bool has_port;

	if (split_port(text, &ip, &port_text, &has_port))
		return -EINVAL;
	if (has_port && (span_to_uint(port_text, 65535, &port) || port == 0))
		return -EINVAL;
	if (address_parse_ip(ip, &parsed))
		return -EINVAL;
	parsed.port = (uint16_t)port;
	*address = parsed;
	return 0;
}

/* Not through the buffer byte by byte: each message has some. Returns the length. */
static size_t ipv4_write(char *text, const uint8_t *ip)
{
	char *at = text;

	for (int i = 0; i < 4; i++) {
		if (i)
			*at++ = '.';
		if (ip[i] > 99)
			*at++ = (char)('0' + ip[i] / 100);
		if (ip[i] > 9)
			*at++ = (char)('0' + ip[i] / 10 % 10);
		*at++ = (char)('0' + ip[i] % 10);
	}
	return (size_t)(at - text);
}

void address_write_ip(struct buffer *out, const struct address *address, bool brackets)
{
	char text[INET6_ADDRSTRLEN];

	if (address->family == ADDRESS_IPV4) {
		buffer_put(out, text, ipv4_write(text, address->ip));
	} else if (address->family == ADDRESS_IPV6 && inet_ntop(AF_INET6, address->ip, text, sizeof(text))) {
		if (brackets)
			buffer_put_byte(out, '[');
		buffer_put_text(out, text);
		if (brackets)
			buffer_put_byte(out, ']');
	}
}

void address_write(struct buffer *out, const struct address *address)
{
	address_write_ip(out, address, true);
	if (address->port && address->family != ADDRESS_NONE) {
		buffer_put_byte(out, ':');
		buffer_put_uint(out, address->port);
	}
}

const char *address_text(const struct address *address, char *out)
{
	struct buffer buffer = buffer_over(out, ADDRESS_TEXT_BYTES);

	if (address->family == ADDRESS_NONE)
		buffer_put_byte(&buffer, '-');
	address_write(&buffer, address);
	return buffer_text(&buffer);
}

bool address_equal_ip(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool address_equal(const struct address *a, const struct address *b)
{
	return a->port == b->port && address_equal_ip(a, b);
}

/* The ranges that have a meaning of their own. */
enum range_kind {
	RANGE_ANY = 1,
	RANGE_LOOPBACK = 2,
	RANGE_PRIVATE = 4,
	RANGE_MULTICAST = 8,
};

static const struct range {
	uint8_t family, bits, kinds;
	uint8_t ip[16];
} ranges[] = {
	{ADDRESS_IPV4, 32, RANGE_ANY, {0}},
	{ADDRESS_IPV4, 8, RANGE_PRIVATE, {10}},                          /* RFC 1918 */
	{ADDRESS_IPV4, 10, RANGE_PRIVATE, {100, 64}},                    /* RFC 6598 */
	{ADDRESS_IPV4, 8, RANGE_PRIVATE | RANGE_LOOPBACK, {127}},        /* RFC 1122 */
	{ADDRESS_IPV4, 16, RANGE_PRIVATE, {169, 254}},                   /* RFC 3927 */
	{ADDRESS_IPV4, 12, RANGE_PRIVATE, {172, 16}},                    /* RFC 1918 */
	{ADDRESS_IPV4, 16, RANGE_PRIVATE, {192, 168}},                   /* RFC 1918 */
	{ADDRESS_IPV4, 4, RANGE_MULTICAST, {224}},                       /* RFC 5771 */
	{ADDRESS_IPV6, 128, RANGE_ANY, {0}},                             /* RFC 4291 */
	{ADDRESS_IPV6, 128, RANGE_PRIVATE | RANGE_LOOPBACK, {[15] = 1}}, /* RFC 4291 */
	{ADDRESS_IPV6, 7, RANGE_PRIVATE, {0xfc}},                        /* RFC 4193 */
	{ADDRESS_IPV6, 10, RANGE_PRIVATE, {0xfe, 0x80}},                 /* RFC 4291 */
	{ADDRESS_IPV6, 8, RANGE_MULTICAST, {0xff}},                      /* RFC 4291 */
};

static bool in_range(const struct range *range, const struct address *address)
{
	size_t whole = range->bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (range->bits % 8));

	if (range->family != address->family || memcmp(range->ip, address->ip, whole) != 0)
		return false;
	return range->bits % 8 == 0 || ((range->ip[whole] ^ address->ip[whole]) & mask) == 0;
}

static bool has_kind(const struct address *address, enum range_kind kind)
{
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if ((ranges[i].kinds & kind) && in_range(&ranges[i], address))
			return true;
	}
	return false;
}

bool address_is_any(const struct address *address)
{
	return has_kind(address, RANGE_ANY);
}

bool address_is_loopback(const struct address *address)
{
	return has_kind(address, RANGE_LOOPBACK);
}

bool address_is_private(const struct address *address)
{
	return has_kind(address, RANGE_PRIVATE);
}

bool address_is_link_local(const struct address *address)
{
	return address->family == ADDRESS_IPV6 && address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80;
}

bool address_is_multicast(const struct address *address)
{
	return has_kind(address, RANGE_MULTICAST);
}

socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	switch (address->family) {
	case ADDRESS_IPV4:
		*in4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(address->port)};
		memcpy(&in4->sin_addr, address->ip, 4);
		return sizeof(*in4);
	case ADDRESS_IPV6:
		*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
		memcpy(&in6->sin6_addr, address->ip, 16);
		return sizeof(*in6);
	default: return 0;
	}
}

int address_from_sockaddr(const struct sockaddr *sockaddr, struct address *address)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	switch (sockaddr->sa_family) {
	case AF_INET:
		memcpy(&in4, sockaddr, sizeof(in4));
		set_ipv4(address, &in4.sin_addr);
		address->port = ntohs(in4.sin_port);
		return 0;
	case AF_INET6:
		memcpy(&in6, sockaddr, sizeof(in6));
		set_ipv6(address, in6.sin6_addr.s6_addr);
		address->port = ntohs(in6.sin6_port);
		return 0;
	default: return -EAFNOSUPPORT;
	}
}
