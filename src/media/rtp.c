/* SPDX-License-Identifier: Apache-2.0
 * RTP headers (RFC 3550 section 5). */
#include "media/media.h"

#include <errno.h>
#include <string.h>

#include "media/rtp_private.h"

#define EXTENSION_FLAG 0x10
#define PADDING_FLAG 0x20

size_t rtp_header_bytes(const uint8_t *packet, size_t length)
{
	if (length < RTP_HEADER_BYTES || packet[0] >> 6 != RTP_VERSION)
		return 0;

	size_t header = RTP_HEADER_BYTES + 4u * (packet[0] & 0x0f);
	if (packet[0] & EXTENSION_FLAG) {
		if (header + 4 > length)
			return 0;
		header += 4 + 4u * read_u16(packet + header + 2);
	}
	return header <= length ? header : 0;
}

int rtp_parse(const uint8_t *packet, size_t length, struct rtp_header *header)
{
	size_t offset = rtp_header_bytes(packet, length);
	if (!offset)
		return -EINVAL;

	size_t padding = 0;
	if (packet[0] & PADDING_FLAG) {
		if (offset == length)
			return -EINVAL;
		padding = packet[length - 1];
		if (!padding || padding > length - offset)
			return -EINVAL;
	}

	*header = (struct rtp_header){
		.payload_type = packet[1] & 0x7f,
		.marker = packet[1] >> 7,
		.sequence = read_u16(packet + 2),
		.timestamp = read_u32(packet + 4),
		.ssrc = read_u32(packet + 8),
		.payload_offset = offset,
		.payload_length = length - offset - padding,
	};
	return 0;
}

size_t rtp_extension_drop(uint8_t *packet, size_t length)
{
	if (!rtp_has_extension(packet))
		return length;
	size_t start = RTP_HEADER_BYTES + 4u * (packet[0] & 0x0f), end = rtp_header_bytes(packet, length);
	packet[0] &= (uint8_t)~EXTENSION_FLAG;
	memmove(packet + start, packet + end, length - end);
	return length - (end - start);
}
