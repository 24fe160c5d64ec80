/* SPDX-License-Identifier: Apache-2.0
 * RTCP compounds (RFC 3550 section 6): every part is walked, so that no length or count that a phone would trust
 * reaches it unproven. */
#include "media/media.h"

#include <errno.h>

#include "media/rtp_private.h"

#define PADDING_FLAG 0x20

/* The body of a part, behind its fixed fields and counted entries. */
typedef bool body_check(const uint8_t *body, size_t length, uint8_t count);

/* RFC 3550 section 6.5: chunks of an SSRC and items, each list ended by a zero byte and padded to a word. */
static bool sdes_check(const uint8_t *body, size_t length, uint8_t count)
{
	size_t at = 0;
	for (; count; count--) {
		if (length - at < 8)
			return false;
		at += 4;
		while (at < length && body[at]) {
			if (length - at < 2 || length - at - 2 < body[at + 1])
				return false;
			at += 2u + body[at + 1];
		}
		if (at == length)
			return false; /* the zero byte is missing */
		at = (at + 4) & ~(size_t)3;
	}
	return at == length;
}

/* RFC 3550 section 6.6: a reason may follow, its length in front. */
static bool bye_check(const uint8_t *body, size_t length, uint8_t count)
{
	(void)count;
	return !length || body[0] < length;
}

/* RFC 3611 section 3: blocks of type, a byte of their own, and a length in words. */
static bool xr_check(const uint8_t *body, size_t length, uint8_t count)
{
	(void)count;
	while (length) {
		if (length < 4)
			return false;
		size_t block = 4 + 4u * read_u16(body + 2);
		if (block > length)
			return false;
		body += block;
		length -= block;
	}
	return true;
}

/* Fixed bytes (with the four of the first word), bytes of each counted entry, and a check of what follows. */
struct part_shape {
	uint8_t type, fixed_bytes, entry_bytes;
	body_check *check;
};

/* clang-format off */
static const struct part_shape part_shapes[] = {
	{200, 28, 24, NULL},     /* SR */
	{201,  8, 24, NULL},     /* RR */
	{202,  4,  0, sdes_check},
	{203,  4,  4, bye_check},
	{204, 12,  0, NULL},     /* APP */
	{205, 12,  0, NULL},     /* RTPFB, RFC 4585 section 6.1 */
	{206, 12,  0, NULL},     /* PSFB */
	{207,  8,  0, xr_check}, /* RFC 3611 */
};
/* clang-format on */

static const struct part_shape *shape_find(uint8_t type)
{
	for (size_t i = 0; i < sizeof(part_shapes) / sizeof(part_shapes[0]); i++)
		if (part_shapes[i].type == type)
			return &part_shapes[i];
	return NULL;
}

static bool is_rtcp_type(uint8_t type)
{
	return type >= 192 && type <= 223;
}

/* `length` without the padding, which RFC 3550 section 6.4.1 allows in the last part alone; 0 when it is wrong. */
static size_t part_unpad(const uint8_t *part, size_t length, bool last)
{
	if (!(part[0] & PADDING_FLAG))
		return length;
	uint8_t padding = part[length - 1];
	if (!last || !padding || padding % 4 || padding > length - 4)
		return 0;
	return length - padding;
}

static bool part_check(const uint8_t *part, size_t length, bool last)
{
	length = part_unpad(part, length, last);
	if (!length)
		return false;
	const struct part_shape *shape = shape_find(part[1]);
	if (!shape)
		return true; /* a type we do not know: its length is what it has to say */
	uint8_t count = part[0] & 0x1f;
	size_t body = shape->fixed_bytes + (size_t)shape->entry_bytes * count;
	if (body > length)
		return false;
	return !shape->check || shape->check(part + body, length - body, count);
}

bool rtcp_is(const uint8_t *packet, size_t length)
{
	return length >= 2 && packet[0] >> 6 == RTP_VERSION && is_rtcp_type(packet[1]);
}

int rtcp_check(const uint8_t *packet, size_t length)
{
	if (length < RTCP_HEADER_BYTES || (packet[1] != 200 && packet[1] != 201))
		return -EINVAL;

	for (size_t at = 0; at < length;) {
		if (length - at < 4 || !rtcp_is(packet + at, length - at))
			return -EINVAL;
		size_t part = 4 + 4u * read_u16(packet + at + 2);
		if (part > length - at || !part_check(packet + at, part, at + part == length))
			return -EINVAL;
		at += part;
	}
	return 0;
}
