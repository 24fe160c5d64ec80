/* SPDX-License-Identifier: Apache-2.0
 * A compound is taken apart and written anew (THREATS M5). The caller has checked every length and count. */
#include "media/rtcp_rebuild.h"

#include <string.h>

#include "media/rtp_private.h"

#define PARTS_MAXIMUM 32
#define COUNT_MASK 0x1f
#define PADDING_FLAG 0x20
#define BLOCK_BYTES 24
#define NAME_LETTERS 16      /* RFC 7022 section 4.2 has as many */
#define FEEDBACK_MAXIMUM 512 /* bytes of feedback control information */
#define CNAME 1

struct rebuild {
	const struct rtcp_view *view;
	struct rtcp_refused *refused;
	uint8_t *out;
	size_t length, capacity;
};

/* A part as it came, without its padding. */
struct part {
	const uint8_t *bytes;
	size_t length;
	uint8_t count;
};

void rtcp_source_add(struct rtcp_sources *sources, uint32_t ssrc)
{
	if (rtcp_source_knows(sources, ssrc))
		return;
	sources->ssrcs[sources->next] = ssrc;
	sources->next = (uint8_t)((sources->next + 1) % RTCP_SOURCES);
	if (sources->count < RTCP_SOURCES)
		sources->count++;
}

bool rtcp_source_knows(const struct rtcp_sources *sources, uint32_t ssrc)
{
	for (uint8_t i = 0; i < sources->count; i++)
		if (sources->ssrcs[i] == ssrc)
			return true;
	return false;
}

static bool put(struct rebuild *to, const void *bytes, size_t length)
{
	if (length > to->capacity - to->length)
		return false;
	memcpy(to->out + to->length, bytes, length);
	to->length += length;
	return true;
}

/* The first word of a part that began at `start` and is whole now. */
static void finish(struct rebuild *to, size_t start, uint8_t count, uint8_t type)
{
	uint32_t words = (uint32_t)(to->length - start) / 4 - 1;

	write_u32(to->out + start, UINT32_C(2) << 30 | (uint32_t)count << 24 | (uint32_t)type << 16 | words);
}

static bool copy(struct rebuild *to, const struct part *part, size_t length)
{
	size_t start = to->length;

	if (!put(to, part->bytes, length))
		return false;
	finish(to, start, part->count, part->bytes[1]);
	return true;
}

/* RFC 3550 section 6.4.1: nobody has heard, or missed, more than was sent. */
static bool block_is_possible(const struct rtcp_view *view, const uint8_t *block)
{
	uint32_t lost = read_u32(block + 4) & 0xffffff;
	bool doubled = lost & 0x800000; /* negative: more came than were expected */

	if (!rtcp_source_knows(view->heard, read_u32(block)))
		return false;
	if (!view->expected || read_u32(block) != view->ssrc)
		return true;
	if ((int16_t)(read_u16(block + 10) - view->highest) > 0)
		return false;
	return (doubled ? 0x1000000 - lost : lost) <= view->expected;
}

static bool report_build(struct rebuild *to, const struct part *part)
{
	size_t start = to->length, fixed = part->bytes[1] == 200 ? 28 : 8;
	const uint8_t *block = part->bytes + fixed;
	uint8_t count = 0;

	if (!put(to, part->bytes, fixed))
		return false;
	for (uint8_t i = 0; i < part->count; i++, block += BLOCK_BYTES) {
		if (!block_is_possible(to->view, block))
			to->refused->reports++;
		else if (!put(to, block, BLOCK_BYTES))
			return false;
		else
			count++;
	}
	finish(to, start, count, part->bytes[1]);
	return true;
}

static bool name_put(struct rebuild *to, uint32_t ssrc, const uint8_t *name, size_t length)
{
	static const char letters[] = "abcdefghijklmnop";
	uint64_t hash = hash_bytes(to->view->name_key, name, length);
	uint8_t chunk[4 + 2 + NAME_LETTERS + 2] = {0}; /* the end's zero, and one more up to the word */

	write_u32(chunk, ssrc);
	chunk[4] = CNAME;
	chunk[5] = NAME_LETTERS;
	for (int i = 0; i < NAME_LETTERS; i++, hash >>= 4)
		chunk[6 + i] = (uint8_t)letters[hash & 15];
	return put(to, chunk, sizeof(chunk));
}

static bool sdes_build(struct rebuild *to, const struct part *part)
{
	size_t start = to->length, at = 4;
	uint8_t count = 0;

	if (!put(to, part->bytes, 4))
		return false;
	for (uint8_t i = 0; i < part->count; i++) {
		uint32_t ssrc = read_u32(part->bytes + at);
		const uint8_t *name = NULL;

		for (at += 4; part->bytes[at]; at += 2u + part->bytes[at + 1])
			if (part->bytes[at] == CNAME)
				name = part->bytes + at;
		at = (at + 4) & ~(size_t)3;
		if (!name)
			continue;
		if (!name_put(to, ssrc, name + 2, name[1]))
			return false;
		count++;
	}
	if (count)
		finish(to, start, count, part->bytes[1]);
	else
		to->length = start;
	return true;
}

/* Who can forge one would silence a peer: only with a tag, and only of the sender's own sources. Calls end by SIP alone. */
static bool bye_build(struct rebuild *to, const struct part *part)
{
	size_t start = to->length;
	uint8_t count = 0;

	if (!put(to, part->bytes, 4))
		return false;
	for (uint8_t i = 0; i < part->count; i++) {
		const uint8_t *ssrc = part->bytes + 4 + 4u * i;

		if (!to->view->is_proven || !rtcp_source_knows(to->view->own, read_u32(ssrc)))
			to->refused->byes++;
		else if (!put(to, ssrc, 4))
			return false;
		else
			count++;
	}
	if (count)
		finish(to, start, count, part->bytes[1]);
	else
		to->length = start;
	return true;
}

/* Receiver reference time, DLRR, statistics summary, VoIP metrics (RFC 3611 sections 4.4 to 4.7), each of bounded size. */
static bool xr_block_passes(const uint8_t *block, size_t length)
{
	switch (block[0]) {
	case 4: return length == 12;
	case 5: return length % 12 == 4 && length <= 4 + 12 * 31;
	case 6: return length == 40;
	case 7: return length == 36;
	default: return false;
	}
}

static bool xr_build(struct rebuild *to, const struct part *part)
{
	size_t start = to->length, length;

	if (!put(to, part->bytes, 8))
		return false;
	for (size_t at = 8; at < part->length; at += length) {
		const uint8_t *block = part->bytes + at;

		length = 4 + 4u * read_u16(block + 2);
		if (!xr_block_passes(block, length))
			to->refused->parts++;
		else if (!put(to, block, length))
			return false;
	}
	if (to->length > start + 8)
		finish(to, start, 0, part->bytes[1]);
	else
		to->length = start;
	return true;
}

/* Formats of feedback. The information's bytes: at least, at most, and a multiple of. `about`: the media source must be one that
 * the sender hears; else it may be 0, and the sources stand in the information. */
struct feedback_row {
	uint8_t type, format;
	uint16_t minimum, maximum, step;
	bool about;
};
/* clang-format off */
static const struct feedback_row feedback_rows[] = {
	{205,  1, 4, FEEDBACK_MAXIMUM, 4, true},  /* NACK, RFC 4585 section 6.2.1 */
	{205,  3, 8, 64, 8, false},               /* TMMBR, RFC 5104 section 4.2.1 */
	{205,  4, 0, 64, 8, false},               /* TMMBN */
	{205, 15, 8, FEEDBACK_MAXIMUM, 4, true},  /* transport-wide congestion control */
	{206,  1, 0, 0, 4, true},                 /* PLI, RFC 4585 section 6.3.1 */
	{206,  2, 4, 64, 4, true},                /* SLI */
	{206,  3, 4, 64, 4, true},                /* RPSI */
	{206,  4, 8, 64, 8, false},               /* FIR, RFC 5104 section 4.3.1 */
	{206, 15, 8, 64, 4, false},               /* REMB, and what else applications say */
};
/* clang-format on */

static bool feedback_passes(const struct rtcp_view *view, const struct part *part, const struct feedback_row *row)
{
	size_t information = part->length - 12;
	uint32_t media = read_u32(part->bytes + 8);

	if (information < row->minimum || information > row->maximum || information % row->step)
		return false;
	return rtcp_source_knows(view->heard, media) || (!row->about && !media);
}

static bool feedback_build(struct rebuild *to, const struct part *part)
{
	for (size_t i = 0; i < sizeof(feedback_rows) / sizeof(feedback_rows[0]); i++) {
		const struct feedback_row *row = &feedback_rows[i];

		if (row->type == part->bytes[1] && row->format == part->count && feedback_passes(to->view, part, row))
			return copy(to, part, part->length);
	}
	to->refused->parts++;
	return true;
}

static bool part_build(struct rebuild *to, const struct part *part)
{
	switch (part->bytes[1]) {
	case 200:
	case 201: return report_build(to, part);
	case 202: return sdes_build(to, part);
	case 203: return bye_build(to, part);
	case 205:
	case 206: return feedback_build(to, part);
	case 207: return xr_build(to, part);
	default: to->refused->parts++; return true;
	}
}

size_t rtcp_rebuild(const uint8_t *packet, size_t length, const struct rtcp_view *view, uint8_t *out, size_t capacity,
		    struct rtcp_refused *refused)
{
	struct rebuild to = {.view = view, .refused = refused, .out = out, .capacity = capacity};
	int parts = 0;

	*refused = (struct rtcp_refused){0};
	for (size_t at = 0; at < length;) {
		size_t whole = 4 + 4u * read_u16(packet + at + 2);
		struct part part = {packet + at, whole, packet[at] & COUNT_MASK};

		if (packet[at] & PADDING_FLAG)
			part.length -= packet[at + whole - 1];
		if (++parts > PARTS_MAXIMUM || !part_build(&to, &part))
			return 0;
		at += whole;
	}
	return to.length;
}
