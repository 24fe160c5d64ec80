/* SPDX-License-Identifier: Apache-2.0
 * Parses a typical INVITE over and over, for callgrind and perf:
 *   valgrind --tool=callgrind --toggle-collect=sip_message_parse parse_invite 1000
 * prints instructions for 1,000 messages; without an argument it parses a million and prints the time of one. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "sip/sip.h"

static char invite[] =
	"INVITE sip:+441632960083@sbc.example.com;user=phone SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 192.0.2.14:5060;rport;branch=z9hG4bKPj3f2a7c1e9d5b4860\r\n"
	"Max-Forwards: 70\r\n"
	"From: \"Alice Liddell\" <sip:alice@pbx.example.com>;tag=8b1f2e6c7d\r\n"
	"To: <sip:+441632960083@sbc.example.com;user=phone>\r\n"
	"Contact: <sip:alice@192.0.2.14:5060;ob>;+sip.instance=\"<urn:uuid:3c0e7a52-51f2-4b6f-9d0b-6f4d8f0f2f11>\"\r\n"
	"Call-ID: 6f0b1b8e4a6d4c5c9f2e@192.0.2.14\r\n"
	"CSeq: 21314 INVITE\r\n"
	"Route: <sip:sbc.example.com;lr>\r\n"
	"Allow: PRACK, INVITE, ACK, BYE, CANCEL, UPDATE, INFO, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS\r\n"
	"Supported: replaces, 100rel, timer, norefersub\r\n"
	"Session-Expires: 1800\r\n"
	"Min-SE: 90\r\n"
	"User-Agent: Example Phone 3.2.1\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length:   150\r\n"
	"\r\n"
	"v=0\r\n"
	"o=- 3725437281 3725437281 IN IP4 192.0.2.14\r\n"
	"s=-\r\n"
	"c=IN IP4 192.0.2.14\r\n"
	"t=0 0\r\n"
	"m=audio 4000 RTP/AVP 8 0 101\r\n"
	"a=rtpmap:101 telephone-event/8000\r\n"
	"     \r\n";

int main(int argc, char **argv)
{
	long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
	static char memory[16384];
	struct span bytes = {invite, sizeof(invite) - 1};
	struct sip_message message;
	uint64_t start_us = clock_monotonic_us(), spent_us;
	size_t consumed;

	for (long i = 0; i < count; i++) {
		struct arena arena = arena_over(memory, sizeof(memory));
		enum sip_reject reject =
			sip_message_parse(bytes, false, &sip_limits_default, &arena, &message, &consumed);

		if (reject != SIP_OK || message.cseq != 21314) {
			fprintf(stderr, "refused: %s\n", sip_reject_row(reject)->text);
			return EXIT_FAILURE;
		}
	}
	spent_us = clock_monotonic_us() - start_us;
	printf("%zu bytes, %u headers, %.0f ns a message\n", consumed, message.header_count,
	       (double)spent_us * 1000 / (double)(count > 0 ? count : 1));
	return EXIT_SUCCESS;
}
