/* SPDX-License-Identifier: Apache-2.0
 * Parses a typical body over and over, for callgrind and perf, as parse_invite does messages:
 *   valgrind --tool=callgrind --toggle-collect=sip_multipart_description parse_body multipart 1000
 *   valgrind --tool=callgrind --toggle-collect=sdp_parse parse_body sdp 1000 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sdp/sdp.h"
#include "sip/sip.h"

/* What a softphone offers: two streams, some codecs, SDES. */
#define DESCRIPTION \
	"v=0\r\n" \
	"o=- 3725437281 3725437281 IN IP4 192.0.2.14\r\n" \
	"s=-\r\n" \
	"c=IN IP4 192.0.2.14\r\n" \
	"t=0 0\r\n" \
	"m=audio 4000 RTP/SAVP 96 8 0 9 101\r\n" \
	"a=rtpmap:96 opus/48000/2\r\n" \
	"a=fmtp:96 useinbandfec=1;maxaveragebitrate=32000\r\n" \
	"a=rtpmap:8 PCMA/8000\r\n" \
	"a=rtpmap:0 PCMU/8000\r\n" \
	"a=rtpmap:9 G722/8000\r\n" \
	"a=rtpmap:101 telephone-event/8000\r\n" \
	"a=fmtp:101 0-16\r\n" \
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n" \
	"a=ptime:20\r\n" \
	"a=sendrecv\r\n" \
	"m=video 4002 RTP/SAVP 97\r\n" \
	"a=rtpmap:97 H264/90000\r\n" \
	"a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\r\n" \
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n" \
	"a=sendrecv\r\n"

/* A trunk's INVITE: the description beside the ISUP message (RFC 3204). */
#define BOUNDARY "unique-boundary-1"
static const char multipart[] =
	"--" BOUNDARY "\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Disposition: session;handling=required\r\n"
	"\r\n" DESCRIPTION "\r\n"
	"--" BOUNDARY "\r\n"
	"Content-Type: application/isup;version=itu-t92+;base=itu-t92+\r\n"
	"Content-Disposition: signal;handling=optional\r\n"
	"\r\n"
	"\x01\x11\x48\x00\x0a\x03\x02\x0a\x08\x83\x90\x44\x61\x23\x69\x00\x38\x0a\x07\x03\x13\x44"
	"\x61\x23\x69\x00\x83\x1d\x03\x80\x90\xa3\x31\x02\x00\x5a\x39\x02\x3d\xc0\x3f\x01\x00\xfe"
	"\xff\x00\x00\r\n"
	"--" BOUNDARY "--\r\n";
static const char sdp[] = DESCRIPTION;

static bool parse_multipart(void)
{
	struct sip_part part;

	return !sip_multipart_description(SPAN("multipart/mixed;boundary=" BOUNDARY), SPAN(multipart), &part) &&
	       part.body.length == sizeof(sdp) - 1;
}

static bool parse_sdp(void)
{
	static char memory[65536];
	struct arena arena = arena_over(memory, sizeof(memory));
	struct sdp_session session;

	return sdp_parse(SPAN(sdp), &arena, &session) == SDP_OK && session.stream_count == 2;
}

int main(int argc, char **argv)
{
	bool is_multipart = argc > 1 && !strcmp(argv[1], "multipart");
	long count = argc > 2 ? strtol(argv[2], NULL, 10) : 1000000;
	uint64_t start_us = clock_monotonic_us(), spent_us;

	for (long i = 0; i < count; i++)
		if (!(is_multipart ? parse_multipart() : parse_sdp())) {
			fprintf(stderr, "refused\n");
			return EXIT_FAILURE;
		}
	spent_us = clock_monotonic_us() - start_us;
	printf("%zu bytes, %.0f ns a body\n", is_multipart ? sizeof(multipart) - 1 : sizeof(sdp) - 1,
	       (double)spent_us * 1000 / (double)(count > 0 ? count : 1));
	return EXIT_SUCCESS;
}
