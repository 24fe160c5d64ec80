/* SPDX-License-Identifier: Apache-2.0
 * The header table: names found by length and first letter, confirmed by full comparison. */
#include "sip/header.h"

#include <endian.h>
#include <string.h>

#include "sip/scan.h"

const struct sip_header_row sip_header_rows[SIP_HEADER_COUNT] = {
#define X(id, name, compact, kind, flags) [SIP_HEADER_##id] = {SPAN_INIT(name), compact, kind, flags},
	SIP_HEADERS(X)
#undef X
		[SIP_HEADER_OTHER] = {SPAN_INIT(""), 0, SIP_KIND_TEXT, 0},
};

#define KEY(length, first) ((uint8_t)(((length) << 3) ^ ((first) | 0x20)))
#define KEYS_PADDED ((SIP_HEADER_OTHER + 7) / 8 * 8)

/* One byte a header, in the order of the table, read eight at a time: the common headers stand first. */
static const uint8_t keys[KEYS_PADDED] = {
#define X(id, name, compact, kind, flags) KEY(sizeof(name) - 1, (name)[0]),
	SIP_HEADERS(X)
#undef X
};

static enum sip_header_id compact_find(char letter)
{
	switch (letter | 0x20) {
#define X(id, name, compact, kind, flags) \
	case (compact) ? (compact): 0x100 + SIP_HEADER_##id : return SIP_HEADER_##id;
		SIP_HEADERS(X)
#undef X
	default: return SIP_HEADER_OTHER;
	}
}

enum sip_header_id sip_header_find(struct span name)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t word, marks;
	unsigned id;
	uint8_t key;

	if (name.length < 2)
		return name.length ? compact_find(*name.data) : SIP_HEADER_OTHER;
	key = KEY(name.length, *name.data);
	for (unsigned base = 0; base < KEYS_PADDED; base += 8) {
		memcpy(&word, keys + base, 8);
		word = le64toh(word) ^ (ones * key);
		/* A byte that is zero gets a mark; the borrow may mark more behind it, which the comparison sorts out. */
		for (marks = (word - ones) & ~word & (ones * 0x80); marks; marks &= marks - 1) {
			id = base + (unsigned)__builtin_ctzll(marks) / 8;
			if (id < SIP_HEADER_OTHER && token_equal(name, sip_header_rows[id].name))
				return (enum sip_header_id)id;
		}
	}
	return SIP_HEADER_OTHER;
}

const char *sip_header_name(enum sip_header_id id)
{
	return id < SIP_HEADER_COUNT ? sip_header_rows[id].name.data : "";
}
