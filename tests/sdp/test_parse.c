/* SPDX-License-Identifier: Apache-2.0
 * Reading descriptions: what phones send, what RFC 8866 forbids, and the faults others had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "samples.h"
#include "sdp/sdp.h"

#define HEAD "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define AUDIO HEAD "m=audio 5004 RTP/AVP 0 8 101\r\n"

static char room[65536];
static struct sdp_session session;

static enum sdp_reject parse(const char *text)
{
	struct arena arena = arena_over(room, sizeof(room));

	return sdp_parse(span_from(text), &arena, &session);
}

/* The first stream of `text`, which must be in order. */
static const struct sdp_stream *stream_of(const char *text)
{
	assert_int_equal(parse(text), SDP_OK);
	assert_true(session.stream_count > 0);
	return &session.streams[0];
}

static void check_span(struct span span, const char *text)
{
	assert_int_equal(span.length, strlen(text));
	assert_memory_equal(span.data, text, span.length);
}

static void check_address(const struct address *address, const char *text)
{
	char out[ADDRESS_TEXT_BYTES];

	assert_string_equal(address_text(address, out), text);
}

static void linphone_offer_is_understood(void **state)
{
	(void)state;
	const struct sdp_stream *audio = stream_of(SAMPLE_LINPHONE);

	assert_int_equal(session.stream_count, 2);
	check_span(session.origin_user, "alice");
	assert_int_equal(session.version, 3141);
	assert_int_equal(audio->media, SDP_AUDIO);
	assert_int_equal(audio->protocol, SDP_RTP_SAVP);
	assert_int_equal(audio->format_count, 6);
	check_address(&audio->connection, "192.168.1.23:7078");
	check_address(&audio->rtcp, "192.168.1.23:7079");
	assert_int_equal(audio->direction, SDP_SENDRECV);
	/* the third line leaves RTCP in the clear: not for us */
	assert_int_equal(audio->crypto_count, 2);
	assert_int_equal(audio->cryptos[1].suite, SDP_AES_256_CM_HMAC_SHA1_80);
	assert_int_equal(audio->cryptos[1].tag, 2);
	assert_int_equal(audio->cryptos[1].key[45], 0x2e);
	check_span(sdp_format_codec(audio, audio->formats[0]), "opus/48000/2");
	check_span(sdp_format_codec(audio, audio->formats[3]), "PCMU/8000");
	assert_int_equal(sdp_format_codec(audio, SPAN("77")).length, 0);
	assert_int_equal(session.streams[1].crypto_count, 1);
	assert_int_equal(session.streams[1].media, SDP_VIDEO);
}

static void every_sample_parses(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT; i++)
		assert_int_equal(parse(samples[i]), SDP_OK);
}

static void bandwidth_comes_from_line_or_session(void **state)
{
	(void)state;
	const struct sdp_stream *audio = stream_of(SAMPLE_PJSIP);

	assert_int_equal(session.bandwidth_kbps, 352);
	assert_int_equal(audio->bandwidth_kbps, 64);
	assert_int_equal(audio->bandwidth_tias_bps, 64000);
	assert_int_equal(stream_of(HEAD "b=AS:100\r\nm=audio 5004 RTP/AVP 0\r\nb=AS:80\r\n")->bandwidth_kbps, 80);
	assert_int_equal(stream_of(HEAD "b=AS:100\r\nm=audio 5004 RTP/AVP 0\r\n")->bandwidth_kbps, 100);
	assert_int_equal(parse(AUDIO "b=AS:99999999999999999999\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "b=AS:-1\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "b=AS\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(AUDIO "b=RR:whatever\r\n"), SDP_OK);
}

static void direction_is_inherited_and_overridden(void **state)
{
	(void)state;
	assert_int_equal(stream_of(SAMPLE_IPV6_LF)->direction, SDP_INACTIVE);
	assert_int_equal(stream_of(SAMPLE_YEALINK)->direction, SDP_SENDONLY);
	assert_int_equal(stream_of(HEAD "a=recvonly\r\nm=audio 5004 RTP/AVP 0\r\na=sendonly\r\n")->direction,
			 SDP_SENDONLY);
	assert_int_equal(stream_of(AUDIO "a=recvonly\r\na=recvonly\r\n")->direction, SDP_RECVONLY);
	assert_int_equal(parse(AUDIO "a=recvonly\r\na=sendonly\r\n"), SDP_REJECT_SYNTAX);
	/* the next stream starts from the session again */
	assert_int_equal(parse(AUDIO "a=recvonly\r\nm=video 5006 RTP/AVP 31\r\n"), SDP_OK);
	assert_int_equal(session.streams[1].direction, SDP_SENDRECV);
	assert_string_equal(sdp_direction_name(SDP_RECVONLY), "recvonly");
}

static void hold_the_old_way(void **state)
{
	(void)state;
#define HOLD "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n"
	const struct sdp_stream *stream = stream_of(HOLD);

	assert_true(stream->on_hold);
	assert_int_equal(stream->direction, SDP_SENDONLY);
	assert_int_equal(stream_of(HOLD "a=recvonly\r\n")->direction, SDP_INACTIVE);
	assert_true(stream_of(AUDIO "c=IN IP6 ::\r\n")->on_hold);
	assert_false(stream_of(AUDIO)->on_hold);
	/* a browser without candidates yet is not holding the call */
	assert_false(stream_of(HEAD "m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n")->on_hold);
}

static void connection_lines(void **state)
{
	(void)state;
	check_address(&stream_of(SAMPLE_IPV6_LF)->connection, "[2001:db8::5]:5004");
	check_address(&stream_of(AUDIO "c=IN IP4 198.51.100.1\r\n")->connection, "198.51.100.1:5004");
	assert_int_equal(stream_of(AUDIO "c=IN IP4 phone.example.org\r\n")->connection.family, ADDRESS_NONE);
	assert_int_equal(session.streams[0].rtcp.family, ADDRESS_NONE);
	assert_int_equal(session.streams[0].rtcp.port, 0);
	assert_int_equal(parse(AUDIO "c=IN IP4 300.1.1.1\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "c=IN IP4 1.2.3\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "c=IN IP4 2001:db8::1\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "c=IN IP6 192.0.2.1\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "c=IN IP4 224.2.1.1/127\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "c=IN IP4 224.2.1.1\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "c=IN IP4 255.255.255.255\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "c=IN IP4\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "c=ATM NSAP 47.0091\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(AUDIO "c=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\n"), SDP_REJECT_SYNTAX);
	/* no c= at all: only a refused stream may do without */
	assert_int_equal(parse("v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio 4 RTP/AVP 0\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse("v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n"), SDP_OK);
}

static void rtcp_lines(void **state)
{
	(void)state;
	check_address(&stream_of(AUDIO "a=rtcp:6000\r\n")->rtcp, "192.0.2.1:6000");
	/* c= of the line may come after a=rtcp and still counts */
	check_address(&stream_of(AUDIO "a=rtcp:6000\r\nc=IN IP4 192.0.2.9\r\n")->rtcp, "192.0.2.9:6000");
	check_address(&stream_of(AUDIO "a=rtcp:6000 IN IP4 192.0.2.7\r\n")->rtcp, "192.0.2.7:6000");
	check_address(&stream_of(AUDIO "a=rtcp:6000 IN IP6 2001:db8::7\r\n")->rtcp, "[2001:db8::7]:6000");
	assert_int_equal(stream_of(AUDIO "a=rtcp:6000 IN IP4 a.example\r\n")->rtcp.family, ADDRESS_NONE);
	assert_int_equal(stream_of(HEAD "m=audio 65535 RTP/AVP 0\r\n")->rtcp.family, ADDRESS_NONE);
	assert_int_equal(parse(AUDIO "a=rtcp:65536\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "a=rtcp:0\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "a=rtcp:\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "a=rtcp:6000\r\na=rtcp:6002\r\n"), SDP_REJECT_SYNTAX);
	assert_true(stream_of(SAMPLE_BROWSER)->rtcp_mux);
}

/* CVE-2018-1000098 and -1000099 (PJSIP): an m-line without formats, and rtpmap or fmtp for what is not there. */
static void media_lines_without_formats_are_refused(void **state)
{
	(void)state;
	assert_int_equal(parse(HEAD "m=audio 5004 RTP/AVP\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "m=audio 5004 RTP/AVP \r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "m=audio 0 RTP/AVP   \r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "m=audio\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "m=\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "m\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(AUDIO "a=rtpmap:\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "a=rtpmap:999 x/8000\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "a=fmtp:\r\na=fmtp\r\na=fmtp:55 \r\na=rtpmap:55\r\n"), SDP_OK);
}

static void media_line_values_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(stream_of(HEAD "m=audio 65535 RTP/AVP 127\r\n")->port, 65535);
	assert_int_equal(parse(HEAD "m=audio 65536 RTP/AVP 0\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(HEAD "m=audio -1 RTP/AVP 0\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(HEAD "m=audio 5004/2 RTP/AVP 0\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(HEAD "m=audio 5004 RTP/AVP 128\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(HEAD "m=audio 5004 RTP/AVP x\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(HEAD "m=audio 5004 RTP/AVP 00\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(HEAD "m=au/dio 5004 RTP/AVP 0\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "m=audio 5004 RTP\x01/AVP 0\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(stream_of(HEAD "m=audio 5004 RTP/AVP 0 8 \r\n")->format_count, 2);
	assert_int_equal(stream_of(HEAD "m=application 5004 TCP/BFCP *\r\n")->protocol, SDP_PROTOCOL_OTHER);
	assert_int_equal(stream_of(HEAD "m=image 5004 UDPTL t38\r\n")->protocol, SDP_UDPTL);
	assert_int_equal(stream_of(SAMPLE_BROWSER)->protocol, SDP_UDP_TLS_RTP_SAVPF);
	assert_int_equal(stream_of(HEAD "m=toaster 5004 RTP/SAVPF 0\r\n")->media, SDP_OTHER);
	assert_int_equal(stream_of(HEAD "m=text 5004 RTP/AVPF 98\r\n")->media, SDP_TEXT);
}

/* What could be read in two ways by two parsers. CVE-2023-40019 (FreeSWITCH) died of codecs named twice:
 * the same codec under two numbers is in order, one number with two codecs is not. */
static void ambiguity_is_refused(void **state)
{
	(void)state;
	assert_int_equal(parse(HEAD "m=audio 5004 RTP/AVP 0 8 0\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse(AUDIO "a=rtpmap:101 telephone-event/8000\r\na=rtpmap:101 G729/8000\r\n"),
			 SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "m=audio 5004 RTP/AVP 96 97\r\na=rtpmap:96 PCMA/8000\r\na=rtpmap:97 PCMA/8000\r\n"),
			 SDP_OK);
	check_span(sdp_format_codec(session.streams, SPAN("97")), "PCMA/8000");
	/* numbers of another m-line are another matter */
	assert_int_equal(parse(HEAD "m=audio 4 RTP/AVP 96\r\na=rtpmap:96 L16/8000\r\n"
				    "m=video 6 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"),
			 SDP_OK);
}

/* CVE-2026-41416 (PJSIP): a ptime that overflows sizes a buffer. */
static void ptime_is_bounded(void **state)
{
	(void)state;
	assert_int_equal(stream_of(SAMPLE_BARESIP)->ptime_ms, 20);
	assert_int_equal(stream_of(AUDIO "a=ptime:2.5\r\n")->ptime_ms, 3);
	assert_int_equal(stream_of(AUDIO "a=ptime:2000\r\n")->ptime_ms, 2000);
	const char *const bad[] = {"0",   "2001", "4294967316", "99999999999999999999", "-20", "", "20.", ".5",
				   "0.0", "2 0",  "20.x"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[512];

		snprintf(text, sizeof(text), AUDIO "a=ptime:%s\r\n", bad[i]);
		assert_int_equal(parse(text), SDP_REJECT_VALUE);
	}
	assert_int_equal(parse(AUDIO "a=ptime:20\r\na=ptime:30\r\n"), SDP_REJECT_SYNTAX);
}

static void order_of_lines(void **state)
{
	(void)state;
	const char *const bad[] = {
		"",
		"\r\n",
		"v=0\r\n",
		"o=- 1 2 IN IP4 h\r\nv=0\r\ns=-\r\nt=0 0\r\n",
		"v=0\r\ns=-\r\no=- 1 2 IN IP4 h\r\nt=0 0\r\n",
		"v=0\r\no=- 1 2 IN IP4 h\r\nt=0 0\r\n",
		"v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\n",
		"v=0\r\nv=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\nt=0 0\r\n",
		"v=0\r\na=sendrecv\r\no=- 1 2 IN IP4 h\r\ns=-\r\nt=0 0\r\n",
		HEAD "s=again\r\n",
		"v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\nm=audio 0 RTP/AVP 0\r\nt=0 0\r\n",
		AUDIO "t=0 0\r\n",
		AUDIO "u=http://example.org/\r\n",
		AUDIO "v=0\r\n",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i]), SDP_REJECT_ORDER);
	/* b= before c=, and all that never crosses */
	assert_int_equal(parse("v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\ni=x\r\nu=y\r\ne=z\r\np=1\r\nb=AS:64\r\n"
			       "c=IN IP4 192.0.2.1\r\nt=0 0\r\nt=1 2\r\nr=7d 1h 0 25h\r\nz=0 0\r\nk=clear:x\r\n"
			       "m=audio 4 RTP/AVP 0\r\ni=title\r\nk=prompt\r\n"),
			 SDP_OK);
}

static void lines_that_are_none(void **state)
{
	(void)state;
	assert_int_equal(parse(HEAD "x=1\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "\r\nm=audio 4 RTP/AVP 0\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD " a=sendrecv\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "a =sendrecv\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "a=\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "a=:x\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "a= sendrecv\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "m= audio 4 RTP/AVP 0\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD "a=x:1\ra=inactive\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse("v=1\r\no=- 1 2 IN IP4 h\r\ns=-\r\nt=0 0\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse("v=0\r\no=- 1 2 IN IP4\r\ns=-\r\nt=0 0\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse("v=0\r\no=- x 2 IN IP4 h\r\ns=-\r\nt=0 0\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse("v=0\r\no=- 1 18446744073709551616 IN IP4 h\r\ns=-\r\nt=0 0\r\n"), SDP_REJECT_VALUE);
	assert_int_equal(parse("v=0\r\no=- 1 18446744073709551615 IN IP4 h\r\ns=-\r\nt=0 0\r\n"), SDP_OK);
	assert_int_equal(parse("v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\nt=0 x\r\n"), SDP_REJECT_VALUE);

	static const char with_nul[] = AUDIO "a=x:\0y\r\n";
	struct arena arena = arena_over(room, sizeof(room));
	assert_int_equal(sdp_parse((struct span){with_nul, sizeof(with_nul) - 1}, &arena, &session), SDP_REJECT_SYNTAX);
}

/* CVE-2023-27600 and -27601 (OpenSIPS): editing that took a line end for granted. */
static void last_line_needs_no_end(void **state)
{
	(void)state;
	assert_int_equal(stream_of(AUDIO "a=sendonly")->direction, SDP_SENDONLY);
	assert_int_equal(stream_of(AUDIO "a=sendonly\r\n\r\n\r\n")->direction, SDP_SENDONLY);
	assert_int_equal(stream_of(AUDIO "a=sendonly\r")->direction, SDP_SENDONLY);
	assert_int_equal(stream_of(HEAD "m=audio 5004 RTP/AVP 0")->format_count, 1);
}

static void limits(void **state)
{
	(void)state;
	static char text[SDP_BYTES_MAXIMUM + 64];
	size_t length;

#define REPEAT(count, line) \
	for (int i = 0; i < (count); i++) \
	length += (size_t)sprintf(text + length, line)
	length = (size_t)sprintf(text, HEAD);
	REPEAT(SDP_STREAMS_MAXIMUM, "m=audio 4 RTP/AVP 0\r\n");
	assert_int_equal(parse(text), SDP_OK);
	REPEAT(1, "m=audio 4 RTP/AVP 0\r\n");
	assert_int_equal(parse(text), SDP_REJECT_TOO_MANY);

	length = (size_t)sprintf(text, AUDIO);
	REPEAT(SDP_ATTRIBUTES_MAXIMUM, "a=x\r\n");
	assert_int_equal(parse(text), SDP_OK);
	REPEAT(1, "a=x\r\n");
	assert_int_equal(parse(text), SDP_REJECT_TOO_MANY);

	length = (size_t)sprintf(text, HEAD "m=x 4 y");
	REPEAT(SDP_FORMATS_MAXIMUM, " z");
	assert_int_equal(parse(text), SDP_OK);
	REPEAT(1, " z");
	assert_int_equal(parse(text), SDP_REJECT_TOO_MANY);

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(parse(text), SDP_REJECT_TOO_MANY);
}

/* Every prefix, each in a block of its own size so that a byte too far is seen. A refused one leaves nothing. */
static void truncation(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT; i++) {
		size_t whole = strlen(samples[i]);

		for (size_t length = 0; length <= whole; length++) {
			char *copy = memory_alloc(length + !length);
			struct arena arena = arena_over(room, sizeof(room));

			assert_non_null(copy);
			memcpy(copy, samples[i], length);
			if (sdp_parse((struct span){copy, length}, &arena, &session) != SDP_OK)
				assert_int_equal(session.stream_count, 0);
			memory_free(copy);
		}
	}
}

/* Every arena too small says so; the first that is large enough gives the same as a large one. */
static void arena_exhaustion(void **state)
{
	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT; i++) {
		size_t size = 0;
		enum sdp_reject reject = SDP_REJECT_MEMORY;

		for (; size < sizeof(room) && reject != SDP_OK; size += 8) {
			struct arena arena = arena_over(room, size);

			reject = sdp_parse(span_from(samples[i]), &arena, &session);
			assert_true(reject == SDP_OK || reject == SDP_REJECT_MEMORY);
		}
		assert_int_equal(reject, SDP_OK);
		assert_true(size > 200);
	}
}

static bool room_holds(const uint8_t *bytes, size_t length)
{
	return memmem(room, sizeof(room), bytes, length) != NULL;
}

static void keys_are_wiped(void **state)
{
	(void)state;
	uint8_t key[30];

	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i + 1;
	memset(room, 0, sizeof(room));
	assert_int_equal(parse(SAMPLE_LINPHONE), SDP_OK);
	assert_true(room_holds(key, sizeof(key)));
	sdp_session_wipe(&session);
	assert_false(room_holds(key, sizeof(key)));
	assert_int_equal(session.streams[0].crypto_count, 0);
	/* refused at the last line, after keys were read; and for a key line given twice */
	assert_int_equal(parse(SAMPLE_LINPHONE "nonsense\r\n"), SDP_REJECT_SYNTAX);
	assert_false(room_holds(key, sizeof(key)));
	assert_int_equal(parse(SAMPLE_LINPHONE "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" KEY_30 "\r\n"),
			 SDP_REJECT_VALUE);
	assert_false(room_holds(key, sizeof(key)));
}

static void reject_texts(void **state)
{
	(void)state;
	for (int reject = 0; reject < SDP_REJECT_COUNT; reject++)
		assert_true(strlen(sdp_reject_text((enum sdp_reject)reject)) > 0);
	assert_string_equal(sdp_reject_text(SDP_REJECT_COUNT), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linphone_offer_is_understood),
		cmocka_unit_test(every_sample_parses),
		cmocka_unit_test(bandwidth_comes_from_line_or_session),
		cmocka_unit_test(direction_is_inherited_and_overridden),
		cmocka_unit_test(hold_the_old_way),
		cmocka_unit_test(connection_lines),
		cmocka_unit_test(rtcp_lines),
		cmocka_unit_test(media_lines_without_formats_are_refused),
		cmocka_unit_test(media_line_values_are_bounded),
		cmocka_unit_test(ambiguity_is_refused),
		cmocka_unit_test(ptime_is_bounded),
		cmocka_unit_test(order_of_lines),
		cmocka_unit_test(lines_that_are_none),
		cmocka_unit_test(last_line_needs_no_end),
		cmocka_unit_test(limits),
		cmocka_unit_test(truncation),
		cmocka_unit_test(arena_exhaustion),
		cmocka_unit_test(keys_are_wiped),
		cmocka_unit_test(reject_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
