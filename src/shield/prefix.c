/* SPDX-License-Identifier: Apache-2.0
 * Prefixes: an address and how many bits of it count. */
#include <errno.h>

#include "shield/private.h"

uint8_t prefix_bits_of(const struct address *address)
{
	return address->family == ADDRESS_IPV4 ? 32 : address->family == ADDRESS_IPV6 ? 128 : 0;
}

int prefix_clean(const struct shield_prefix *prefix, struct shield_prefix *out)
{
	uint8_t bits = prefix->bits, all = prefix_bits_of(&prefix->address);
	struct shield_prefix clean = {.address.family = prefix->address.family, .bits = bits};

	if (!all || bits > all)
		return -EINVAL;
	memcpy(clean.address.ip, prefix->address.ip, bits / 8u);
	if (bits % 8)
		clean.address.ip[bits / 8] = (uint8_t)(prefix->address.ip[bits / 8] & 0xff << (8 - bits % 8));
	*out = clean;
	return 0;
}

bool prefix_equal(const struct shield_prefix *a, const struct shield_prefix *b)
{
	return a->bits == b->bits && address_equal_ip(&a->address, &b->address);
}

bool prefixes_meet(const struct shield_prefix *a, const struct shield_prefix *b)
{
	struct shield_prefix cut = a->bits > b->bits ? *a : *b;
	const struct shield_prefix *wide = a->bits > b->bits ? b : a;

	if (a->address.family != b->address.family)
		return false;
	cut.bits = wide->bits;
	return prefix_clean(&cut, &cut) == 0 && prefix_equal(&cut, wide);
}
