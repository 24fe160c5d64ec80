/* SPDX-License-Identifier: Apache-2.0
 * Addresses: an IPv4 or IPv6 address with a port. */
#ifndef RINGWALL_BASE_ADDRESS_H
#define RINGWALL_BASE_ADDRESS_H

#include <sys/socket.h>

#include "base/buffer.h"

enum address_family {
	ADDRESS_NONE = 0,
	ADDRESS_IPV4 = 4,
	ADDRESS_IPV6 = 6,
};

/* A value; compare with address_equal. Unused bytes are zero, so that it can be hashed whole.
 * An IPv4-mapped IPv6 address (::ffff:a.b.c.d) is always held as IPv4. */
struct address {
	uint8_t family; /* enum address_family */
	uint8_t reserved;
	uint16_t port;  /* host order; 0 when not known */
	uint8_t ip[16]; /* network order; IPv4 in the first four */
};

/* "192.0.2.1:5060", "[2001:db8::1]:5060", or without a port (port 0). No names, no zone ids.
 * Returns 0 or -EINVAL. */
int address_parse(struct span text, struct address *address);

/* An address without a port and without brackets. Returns 0 or -EINVAL. */
int address_parse_ip(struct span text, struct address *address);

/* Writes as address_parse reads; without a port when it is 0. */
void address_write(struct buffer *out, const struct address *address);

/* Only the address: IPv6 in brackets if `brackets`. */
void address_write_ip(struct buffer *out, const struct address *address, bool brackets);

/* A text for logs, in a buffer of the caller of at least ADDRESS_TEXT_BYTES. Returns it. */
#define ADDRESS_TEXT_BYTES 56
const char *address_text(const struct address *address, char *out);

bool address_equal(const struct address *a, const struct address *b);
bool address_equal_ip(const struct address *a, const struct address *b); /* port ignored */
bool address_is_any(const struct address *address);                      /* 0.0.0.0 or :: */
bool address_is_loopback(const struct address *address);
bool address_is_private(const struct address *address);    /* RFC 1918, 6598, 4193, link-local, loopback */
bool address_is_link_local(const struct address *address); /* IPv6 alone: fe80::/10 */
bool address_is_multicast(const struct address *address);

/* To and from the kernel's shape. from: returns 0 or -EAFNOSUPPORT. */
socklen_t address_to_sockaddr(const struct address *address, struct sockaddr_storage *out);
int address_from_sockaddr(const struct sockaddr *sockaddr, struct address *address);

#endif
