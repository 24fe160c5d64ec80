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
#define FEEDBACK_HEADER 12
#define CNAME 1
#define SENDER_REPORT 200
#define RECEIVER_REPORT 201

struct rebuild {
	const struct rtcp_view *view;
	struct rtcp_refused *refused;
	uint32_t
		reporter; /* who speaks in the compound's first part: one who sends nothing is no source that was seen */
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

/* A report may come before the first packet that it is of: then it is believed. */
static bool is_own(const struct rtcp_view *view, uint32_t ssrc)
{
	return !view->own->count || rtcp_source_knows(view->own, ssrc);
}

static bool report_build(struct rebuild *to, const struct part *part)
{
	size_t start = to->length, fixed = part->bytes[1] == SENDER_REPORT ? 28 : 8;
	const uint8_t *block = part->bytes + fixed;
	uint8_t count = 0, type = part->bytes[1];

	if (type == SENDER_REPORT && !is_own(to->view, read_u32(part->bytes + 4))) {
		type = RECEIVER_REPORT; /* what it heard may be true all the same, and a compound begins with a report */
		to->refused->reports++;
	}
	if (!put(to, part->bytes, type == SENDER_REPORT ? 28 : 8))
		return false;
	for (uint8_t i = 0; i < part->count; i++, block += BLOCK_BYTES) {
		if (!block_is_possible(to->view, block))
			to->refused->reports++;
		else if (!put(to, block, BLOCK_BYTES))
			return false;
		else
			count++;
	}
	finish(to, start, count, type);
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
		if (ssrc != to->reporter && !is_own(to->view, ssrc)) {
			to->refused->reports++;
			continue;
		}
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
		else if (block[0] >= 6 && !rtcp_source_knows(to->view->heard, read_u32(block + 4)))
			to->refused->reports++; /* a summary or metrics of nothing that was sent */
		else if (!put(to, block, length))
			return false;
	}
	if (to->length > start + 8)
		finish(to, start, 0, part->bytes[1]);
	else
		to->length = start;
	return true;
}

/* Where feedback names the sources that it is about. */
enum feedback_about {
	ABOUT_MEDIA,   /* in the part's header */
	ABOUT_ENTRIES, /* in entries of 8 bytes, each beginning with one; the header's may be 0 */
	ABOUT_LIST,    /* in the last words (REMB), some of which may not have been sent yet; the header's may be 0 */
	ABOUT_NONE,    /* who asked, which need not send anything; the header's may be 0 */
};

/* Formats of feedback. The information's bytes: at least, at most, and a multiple of. */
struct feedback_row {
	uint8_t type, format;
	uint16_t minimum, maximum, step;
	enum feedback_about about;
};
/* clang-format off */
static const struct feedback_row feedback_rows[] = {
	{205,  1, 4, FEEDBACK_MAXIMUM, 4, ABOUT_MEDIA}, /* NACK, RFC 4585 section 6.2.1 */
	{205,  3, 8, 64, 8, ABOUT_ENTRIES},             /* TMMBR, RFC 5104 section 4.2.1 */
	{205,  4, 0, 64, 8, ABOUT_NONE},                /* TMMBN */
	{205, 15, 8, FEEDBACK_MAXIMUM, 4, ABOUT_MEDIA}, /* transport-wide congestion control */
	{206,  1, 0, 0, 4, ABOUT_MEDIA},                /* PLI, RFC 4585 section 6.3.1 */
	{206,  2, 4, 64, 4, ABOUT_MEDIA},               /* SLI */
	{206,  3, 4, 64, 4, ABOUT_MEDIA},               /* RPSI */
	{206,  4, 8, 64, 8, ABOUT_ENTRIES},             /* FIR, RFC 5104 section 4.3.1 */
	{206, 15, 8, 64, 4, ABOUT_LIST},                /* REMB, and what else applications say */
};
/* clang-format on */

static const struct feedback_row *feedback_find(const struct part *part)
{
	size_t information = part->length - FEEDBACK_HEADER;

	for (size_t i = 0; i < sizeof(feedback_rows) / sizeof(feedback_rows[0]); i++) {
		const struct feedback_row *row = &feedback_rows[i];

		if (row->type == part->bytes[1] && row->format == part->count)
			return information < row->minimum || information > row->maximum || information % row->step
				       ? NULL
				       : row;
	}
	return NULL;
}

/* Whether one of the words from `at` on, every `step` bytes, is a source that the sender hears. */
static bool hears_any(const struct rtcp_view *view, const struct part *part, size_t at, size_t step)
{
	for (; at + 4 <= part->length; at += step)
		if (rtcp_source_knows(view->heard, read_u32(part->bytes + at)))
			return true;
	return false;
}

static bool feedback_is_about(const struct rtcp_view *view, const struct part *part, enum feedback_about about)
{
	uint32_t media = read_u32(part->bytes + 8);

	if (media && !rtcp_source_knows(view->heard, media))
		return false;
	switch (about) {
	case ABOUT_MEDIA: return media != 0;
	case ABOUT_ENTRIES: return hears_any(view, part, FEEDBACK_HEADER, 8);
	case ABOUT_LIST: return media || hears_any(view, part, FEEDBACK_HEADER + 8, 4);
	default: return true;
	}
}

/* Entries about what the sender does not hear are left out. */
static bool entries_build(struct rebuild *to, const struct part *part)
{
	size_t start = to->length;

	if (!put(to, part->bytes, FEEDBACK_HEADER))
		return false;
	for (size_t at = FEEDBACK_HEADER; at < part->length; at += 8) {
		if (!rtcp_source_knows(to->view->heard, read_u32(part->bytes + at)))
			to->refused->reports++;
		else if (!put(to, part->bytes + at, 8))
			return false;
	}
	finish(to, start, part->count, part->bytes[1]);
	return true;
}

static bool feedback_build(struct rebuild *to, const struct part *part)
{
	const struct feedback_row *row = feedback_find(part);

	if (!row) {
		to->refused->parts++;
		return true;
	}
	if (!feedback_is_about(to->view, part, row->about)) {
		to->refused->reports++;
		return true;
	}
	return row->about == ABOUT_ENTRIES ? entries_build(to, part) : copy(to, part, part->length);
}

static bool part_build(struct rebuild *to, const struct part *part)
{
	switch (part->bytes[1]) {
	case SENDER_REPORT:
	case RECEIVER_REPORT: return report_build(to, part);
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
	struct rebuild to = {
		.view = view, .refused = refused, .reporter = read_u32(packet + 4), .out = out, .capacity = capacity};
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
