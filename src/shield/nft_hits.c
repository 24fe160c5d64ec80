/* SPDX-License-Identifier: Apache-2.0
 * Reads counters of blocks out of what nft lists (libnftables-json(5)). */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "shield/nft.h"

struct visit {
	void (*found)(void *context, const struct shield_prefix *prefix, uint64_t hits);
	void *context;
};

/* "b4_24" */
static bool set_name_read(const char *name, uint8_t *family, uint8_t *bits)
{
	uint64_t value;

	if (!name || name[0] != 'b' || (name[1] != '4' && name[1] != '6') || name[2] != '_' ||
	    span_to_uint(span_from(name + 3), name[1] == '4' ? 32 : 128, &value))
		return false;
	*family = name[1] == '4' ? ADDRESS_IPV4 : ADDRESS_IPV6;
	*bits = (uint8_t)value;
	return true;
}

static void element_read(const json_t *from, uint8_t family, uint8_t bits, const struct visit *visit)
{
	const json_t *element = json_object_get(from, "elem");
	const char *value = json_string_value(json_object_get(element, "val"));
	json_int_t packets = json_integer_value(json_object_get(json_object_get(element, "counter"), "packets"));
	struct shield_prefix prefix = {.bits = bits};

	if (value && packets >= 0 && address_parse_ip(span_from(value), &prefix.address) == 0 &&
	    prefix.address.family == family)
		visit->found(visit->context, &prefix, (uint64_t)packets);
}

static void set_read(const json_t *set, const struct visit *visit)
{
	const json_t *elements = json_object_get(set, "elem"), *element;
	uint8_t family, bits;
	size_t i;

	if (!set_name_read(json_string_value(json_object_get(set, "name")), &family, &bits))
		return;
	json_array_foreach(elements, i, element) element_read(element, family, bits, visit);
}

int nft_hits_read(struct span listing, void (*found)(void *context, const struct shield_prefix *prefix, uint64_t hits),
		  void *context)
{
	const struct visit visit = {found, context};
	json_t *all = json_loadb(listing.data, listing.length, 0, NULL), *each;
	const json_t *rows = json_object_get(all, "nftables");
	int result = json_is_array(rows) ? 0 : -EPROTO;
	size_t i;

	json_array_foreach(rows, i, each) set_read(json_object_get(each, "set"), &visit);
	json_decref(all);
	return result;
}
