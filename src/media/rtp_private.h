/* SPDX-License-Identifier: Apache-2.0
 * What RTP and SRTP share: reading of network order, and the length of an RTP header. */
#ifndef RINGWALL_MEDIA_RTP_PRIVATE_H
#define RINGWALL_MEDIA_RTP_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTP_HEADER_BYTES 12
#define RTCP_HEADER_BYTES 8 /* the first word and the sender's SSRC */
#define RTP_VERSION 2

static inline uint16_t read_u16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t read_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline void write_u32(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)(value >> 24);
	bytes[1] = (uint8_t)(value >> 16);
	bytes[2] = (uint8_t)(value >> 8);
	bytes[3] = (uint8_t)value;
}

static inline bool rtp_has_extension(const uint8_t *packet)
{
	return packet[0] & 0x10;
}

/* Length of the fixed header, CSRC list and extension; 0 when the version is wrong or they reach beyond `length`. */
size_t rtp_header_bytes(const uint8_t *packet, size_t length);

#endif
