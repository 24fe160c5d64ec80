/* SPDX-License-Identifier: Apache-2.0
 * The controls, and prefixes. */
#include "base/protection.h"

#include <errno.h>
#include <string.h>

const char *protection_action_name(enum protection_action action)
{
	static const char *const names[ACTION_COUNT] = {"off", "report", "slow", "refuse", "cut", "lock", "block"};

	return (size_t)action < ACTION_COUNT ? names[action] : "?";
}

const char *protection_control_name(enum protection_control control)
{
	static const char *const names[CONTROL_COUNT] = {
#define X(id, name, threshold, half_life, verdict, unit, help) name,
		PROTECTION_CONTROLS(X)
#undef X
	};

	return (size_t)control < CONTROL_COUNT ? names[control] : "?";
}

static bool bit_of(const struct address *address, uint8_t index)
{
	return address->ip[index / 8] >> (7 - index % 8) & 1;
}

int protection_prefix_parse(struct span text, struct protection_prefix *out)
{
	ptrdiff_t slash = span_index(text, '/');
	struct protection_prefix prefix;
	uint64_t bits, whole;

	if (address_parse_ip(span_slice(text, 0, slash < 0 ? text.length : (size_t)slash), &prefix.address))
		return -EINVAL;
	whole = bits = prefix.address.family == ADDRESS_IPV4 ? 32 : 128;
	if (slash >= 0 && span_to_uint(span_slice(text, (size_t)slash + 1, SIZE_MAX), whole, &bits))
		return -EINVAL;
	for (uint64_t i = bits; i < whole; i++)
		if (bit_of(&prefix.address, (uint8_t)i))
			return -EINVAL;
	prefix.bits = (uint8_t)bits;
	*out = prefix;
	return 0;
}

bool protection_prefixes_meet(const struct protection_prefix *a, const struct protection_prefix *b)
{
	uint8_t bits = a->bits < b->bits ? a->bits : b->bits, rest = bits % 8;

	if (a->address.family != b->address.family || memcmp(a->address.ip, b->address.ip, bits / 8) != 0)
		return false;
	return !rest || !((a->address.ip[bits / 8] ^ b->address.ip[bits / 8]) >> (8 - rest));
}

/* As the words stand in the table. */
enum {
	action_report = ACTION_REPORT,
	action_slow = ACTION_SLOW,
	action_refuse = ACTION_REFUSE,
	action_cut = ACTION_CUT,
	action_lock = ACTION_LOCK,
	action_block = ACTION_BLOCK
};

void protection_default(struct protection *out)
{
	static const struct protection_choice choices[CONTROL_COUNT] = {
#define X(id, name, threshold, half_life, verdict, unit, help) \
	{threshold, half_life, (enum protection_action)action_##verdict, false},
		PROTECTION_CONTROLS(X)
#undef X
	};

	memset(out, 0, sizeof(*out));
	memcpy(out->controls, choices, sizeof(choices));
	out->expiry.first_s = 60;
	out->expiry.factor = 10;
	out->expiry.maximum_s = 86400;
	out->subjects = 65536;
	out->verdicts = 16384;
}
