/* SPDX-License-Identifier: Apache-2.0
 * RTP and RTCP packets for the tests of media. */
#ifndef RINGWALL_TESTS_MEDIA_PACKETS_H
#define RINGWALL_TESTS_MEDIA_PACKETS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "media/media.h"

#define PAYLOAD_BYTES 160
#define RTP_BYTES (12 + PAYLOAD_BYTES)
#define PACKET_ROOM (2048 + SRTP_OVERHEAD_MAXIMUM)

static inline void put_u32(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* A G.711 packet of 20 ms; its payload is made from SSRC and sequence. */
static inline size_t rtp_make(uint8_t *out, uint32_t ssrc, uint16_t sequence)
{
	out[0] = 0x80;
	out[1] = 0;
	out[2] = (uint8_t)(sequence >> 8);
	out[3] = (uint8_t)sequence;
	put_u32(out + 4, sequence * 160u);
	put_u32(out + 8, ssrc);
	for (int i = 0; i < PAYLOAD_BYTES; i++)
		out[12 + i] = (uint8_t)(ssrc + sequence * 7u + (uint32_t)i);
	return RTP_BYTES;
}

/* A receiver report of one block, and an SDES part with a CNAME of `text_length` letters. */
static inline size_t rtcp_make(uint8_t *out, uint32_t ssrc, uint8_t text_length)
{
	size_t sdes = (4u + 4u + 2u + text_length + 4u) & ~3u;
	memset(out, 0, 32 + sdes);
	memcpy(out, "\x81\xc9\x00\x07", 4);
	put_u32(out + 4, ssrc);
	put_u32(out + 8, ssrc + 1);
	uint8_t *part = out + 32;
	memcpy(part, "\x81\xca\x00", 3);
	part[3] = (uint8_t)(sdes / 4 - 1);
	put_u32(part + 4, ssrc);
	part[8] = 1;
	part[9] = text_length;
	memset(part + 10, 'x', text_length);
	return 32 + sdes;
}

static inline void key_make(uint8_t key[SRTP_KEY_MAXIMUM], uint8_t start)
{
	for (int i = 0; i < SRTP_KEY_MAXIMUM; i++)
		key[i] = (uint8_t)(start + 11 * i);
}

/* Pairs of hexadecimal digits, blanks ignored. Returns the number of bytes. */
static inline size_t hex_read(const char *text, uint8_t *out)
{
	size_t length = 0;
	while (*text) {
		if (*text == ' ') {
			text++;
			continue;
		}
		char pair[3] = {text[0], text[1], 0};
		out[length++] = (uint8_t)strtoul(pair, NULL, 16);
		text += 2;
	}
	return length;
}

#endif
