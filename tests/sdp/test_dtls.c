/* SPDX-License-Identifier: Apache-2.0
 * Fingerprints, roles and ICE in descriptions (RFC 8122, 8842, 8839): read from a browser's, refused when they are malformed, and written
 * for the gateway's own end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "samples.h"
#include "sdp/sdp.h"

#define HEAD "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
#define AUDIO "m=audio 5004 UDP/TLS/RTP/SAVPF 0\r\n"
#define THIRTY "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D"

static char room[65536];
static struct sdp_session session;

static enum sdp_reject parse(const char *text)
{
	struct arena arena = arena_over(room, sizeof(room));

	return sdp_parse(span_from(text), &arena, &session);
}

static const struct sdp_stream *stream_of(const char *text)
{
	assert_int_equal(parse(text), SDP_OK);
	return &session.streams[session.stream_count - 1];
}

static void check_span(struct span span, const char *text)
{
	assert_int_equal(span.length, strlen(text));
	assert_memory_equal(span.data, text, span.length);
}

static void a_browser_is_understood(void **state)
{
	(void)state;
	const struct sdp_stream *audio = stream_of(SAMPLE_BROWSER);

	assert_int_equal(audio->fingerprint.hash, SDP_SHA_256);
	assert_int_equal(audio->fingerprint.bytes[0], 0x12);
	assert_int_equal(audio->fingerprint.bytes[31], 0xad);
	assert_int_equal(audio->fingerprint.bytes[32], 0);
	assert_int_equal(audio->setup, SDP_SETUP_ACTPASS);
	check_span(audio->ice_ufrag, "8hhY");
	check_span(audio->ice_password, "asd88fgpdd777uzjYhagZg00");
	assert_int_equal(audio->tls_id.length, 0);
	assert_false(session.ice_lite);
}

static void lines_of_the_session_count_for_its_streams(void **state)
{
	static const char text[] =
		HEAD "a=ice-lite\r\na=setup:passive\r\na=fingerprint:sha-256 " THIRTY ":1E:1F\r\n"
		     "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n" AUDIO AUDIO
		     "a=setup:active\r\na=fingerprint:SHA-256 " THIRTY ":ff:fe\r\na=tls-id:0123456789abcdef0123\r\n";

	(void)state;
	stream_of(text);
	assert_true(session.ice_lite);
	assert_int_equal(session.streams[0].setup, SDP_SETUP_PASSIVE);
	assert_int_equal(session.streams[0].fingerprint.bytes[31], 0x1f);
	check_span(session.streams[1].ice_ufrag, "abcd");
	assert_int_equal(session.streams[1].setup, SDP_SETUP_ACTIVE);
	assert_int_equal(session.streams[1].fingerprint.bytes[31], 0xfe);
	check_span(session.streams[1].tls_id, "0123456789abcdef0123");
}

/* MD5 and SHA-1 can be forged (RFC 8122 section 5 wants SHA-256), and of several the first usable one counts. */
static void weak_hashes_are_none(void **state)
{
	(void)state;
	assert_int_equal(
		stream_of(HEAD AUDIO
			  "a=fingerprint:sha-1 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13\r\n")
			->fingerprint.hash,
		SDP_HASH_NONE);
	assert_int_equal(stream_of(HEAD AUDIO "a=fingerprint:sha-1 00:01\r\na=fingerprint:sha-256 " THIRTY ":1E:1F\r\n"
					      "a=fingerprint:sha-256 " THIRTY ":AA:AA\r\n")
				 ->fingerprint.bytes[31],
			 0x1f);
}

static void malformed_values_are_refused(void **state)
{
	static const char *const lines[] = {
		"fingerprint:sha-256 " THIRTY,
		"fingerprint:sha-256 " THIRTY ":1E:1F:20",
		"fingerprint:sha-256 " THIRTY ":1E:1G",
		"fingerprint:sha-256 " THIRTY "-1E:1F",
		"fingerprint:sha-256",
		"fingerprint:",
		"fingerprint:sha-256 " THIRTY ":1E:1F x",
		"setup:",
		"setup:maybe",
		"ice-ufrag:abc",
		"ice-ufrag:ab\"d",
		"ice-pwd:012345678901234567890",
		"ice-pwd:01234567890123456789 1",
		"tls-id:",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char text[1024];

		snprintf(text, sizeof(text), HEAD AUDIO "a=%s\r\n", lines[i]);
		if (parse(text) == SDP_OK)
			fail_msg("taken: %s", lines[i]);
	}
	assert_int_equal(parse(HEAD AUDIO "a=setup:active\r\na=setup:passive\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(parse(HEAD AUDIO "a=ice-ufrag:abcd\r\na=ice-ufrag:abce\r\n"), SDP_REJECT_SYNTAX);
	assert_int_equal(stream_of(HEAD AUDIO "a=ice-ufrag:abcd\r\n")->ice_ufrag.length, 0); /* half of it is none */
}

static void our_end_is_written(void **state)
{
	static char out_text[4096];
	struct buffer out = BUFFER_OVER(out_text);
	struct sdp_local_stream local = {.protocol = SDP_UDP_TLS_RTP_SAVPF,
					 .fingerprint = {.hash = SDP_SHA_256, .bytes = {0xab, 0x01}},
					 .setup = SDP_SETUP_PASSIVE,
					 .ice_ufrag = SPAN("ours"),
					 .ice_password = SPAN("oursoursoursoursoursours"),
					 .rtcp_mux = true};
	const char *text;

	(void)state;
	assert_int_equal(address_parse(SPAN("203.0.113.7:20000"), &local.rtp), 0);
	parse(SAMPLE_BROWSER);
	sdp_write(&out, &session, &local, 7, 1, &local.rtp);
	text = buffer_text(&out);
	assert_non_null(strstr(text, "t=0 0\r\na=ice-lite\r\nm=audio 20000 UDP/TLS/RTP/SAVPF "));
	assert_non_null(strstr(text, "a=setup:passive\r\na=fingerprint:sha-256 AB:01:00:"));
	assert_non_null(strstr(text,
			       ":00\r\na=ice-ufrag:ours\r\na=ice-pwd:oursoursoursoursoursours\r\n"
			       "a=candidate:1 1 UDP 2130706431 203.0.113.7 20000 typ host\r\na=end-of-candidates\r\n"
			       "a=rtcp-mux\r\n"));
	assert_null(strstr(text, "8hhY"));
	assert_null(strstr(text, "12:DF"));

	out.length = 0;
	local.rtcp_mux = false;
	sdp_write(&out, &session, &local, 7, 1, &local.rtp);
	assert_non_null(strstr(buffer_text(&out), "a=candidate:1 2 UDP 2130706430 203.0.113.7 20001 typ host\r\n"));
	assert_null(strstr(buffer_text(&out), "rtcp-mux"));

	out.length = 0;
	local.rtp.port = 0; /* a refused stream says nothing, and then neither does the session */
	sdp_write(&out, &session, &local, 7, 1, &local.rtp);
	assert_null(strstr(buffer_text(&out), "ice"));
	assert_null(strstr(buffer_text(&out), "fingerprint"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_browser_is_understood), cmocka_unit_test(lines_of_the_session_count_for_its_streams),
		cmocka_unit_test(weak_hashes_are_none),    cmocka_unit_test(malformed_values_are_refused),
		cmocka_unit_test(our_end_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
