/* SPDX-License-Identifier: Apache-2.0
 * DTLS-SRTP and ICE between the gateway and its peers: what crosses a description, what media is told, and that nothing falls back to
 * less (THREATS M1, P1). */
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINGERPRINT \
	"sha-256 01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F:20"
#define OTHER "SHA-256 21:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:15:16:17:18:19:1a:1b:1c:1d:1e:1f:20"
#define ICE "a=ice-ufrag:8hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg00\n"
#define RESTARTED "a=ice-ufrag:9hhY\na=ice-pwd:asd88fgpdd777uzjYhagZg01\n"
#define BROWSER "UDP/TLS/RTP/SAVPF"
#define SDES "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\n"

static struct kit kit;
static struct side caller, callee;
static struct peer phone;

static const char *described(const char *protocol, const char *fingerprint, const char *setup, const char *more)
{
	static char text[4][1024];
	static unsigned next;
	char *out = text[next++ % 4];

	snprintf(out, sizeof(text[0]),
		 "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\na=ice-options:trickle\n"
		 "m=audio 4000 %s 0\n%s%s%s%s%s%s",
		 protocol, fingerprint ? "a=fingerprint:" : "", fingerprint ? fingerprint : "", fingerprint ? "\n" : "",
		 setup ? "a=setup:" : "", setup ? setup : "", setup ? "\n" : "");
	snprintf(out + strlen(out), sizeof(text[0]) - strlen(out), "%s", more);
	return out;
}

/* What a browser offers, or answers. */
static const char *browser(const char *setup)
{
	return described(BROWSER, FINGERPRINT, setup,
			 ICE "a=rtcp-mux\na=candidate:1 1 udp 1 192.168.7.7 4000 typ host\n");
}

static const struct media_side *told(int side)
{
	return &kit.streams[0].sides[side];
}

static void establish(const char *encryption, const char *setup)
{
	kit_start(&kit, "", encryption);
	kit_keep(&kit);
	kit_connect_tls(&kit, &phone);
	kit_establish(&kit, &phone, &caller, &callee, browser(setup), sdp_plain(5000, "sendrecv"));
}

static void end(void)
{
	peer_close(&phone);
	kit_stop(&kit);
}

/* The text behind "a=name:" in the last description that the peer got. */
static const char *attribute(const struct peer *peer, const char *name)
{
	static char values[4][256];
	static unsigned next;
	char *out = values[next++ % 4], wanted[64];
	const char *at;

	snprintf(wanted, sizeof(wanted), "\na=%s:", name);
	at = strstr(body(peer), wanted);
	if (!at)
		fail_msg("no a=%s in %s", name, body(peer));
	snprintf(out, sizeof(values[0]), "%.*s", (int)strcspn(at + strlen(wanted), "\r"), at + strlen(wanted));
	return out;
}

static void m1_a_phone_with_dtls_calls_the_pbx(void **state)
{
	static const char *const setups[][2] = {{"actpass", "passive"}, {"active", "passive"}, {"passive", "active"}};

	(void)state;
	for (int i = 0; i < 3; i++) {
		establish("required", setups[i][0]);
		/* The PBX sees plain sound, and nothing of it. */
		assert_non_null(strstr(body(&kit.pbx) ? kit.pbx.text : "", "ACK "));
		assert_string_equal(attribute(&phone, "fingerprint"), "sha-256 " KIT_FINGERPRINT);
		assert_string_equal(attribute(&phone, "setup"), setups[i][1]);
		assert_non_null(strstr(body(&phone), " " BROWSER " 0"));
		assert_non_null(strstr(body(&phone), "\na=ice-lite\r\n"));
		assert_non_null(strstr(body(&phone), "\na=rtcp-mux\r\n"));
		assert_non_null(strstr(attribute(&phone, "candidate"), "1 1 UDP 2130706431 127.0.0.1 "));
		assert_null(strstr(body(&phone), "a=crypto"));
		assert_int_equal(told(0)->dtls.handshake, i == 2 ? MEDIA_HANDSHAKE_BEGIN : MEDIA_HANDSHAKE_AWAIT);
		assert_int_equal(told(0)->dtls.hash, MEDIA_SHA_256);
		for (int byte = 0; byte < 64; byte++)
			assert_int_equal(told(0)->dtls.fingerprint[byte], byte < 32 ? byte + 1 : 0);
		assert_int_equal(told(0)->dtls.suites[0], SRTP_AEAD_AES_256_GCM);
		assert_int_equal(told(0)->suite_in, SRTP_NONE);
		assert_string_equal(told(0)->ice.ufrag, attribute(&phone, "ice-ufrag"));
		assert_string_equal(told(0)->ice.password, attribute(&phone, "ice-pwd"));
		assert_true(told(0)->rtcp_mux);
		assert_int_equal(told(0)->peer_rtp.family, ADDRESS_NONE);
		assert_int_equal(told(0)->learn_from.family, ADDRESS_NONE);
		assert_int_equal(told(1)->dtls.handshake, MEDIA_HANDSHAKE_NONE);
		assert_int_equal(told(1)->ice.ufrag[0], 0);
		end();
	}
}

static void the_pbx_is_offered_plain_sound(void **state)
{
	static const char *const hidden[] = {"fingerprint", "setup",  "ice-", "candidate",
					     "rtcp-mux",    "crypto", "SAVP", "AVPF"};

	(void)state;
	kit_start(&kit, "", "required");
	kit_connect_tls(&kit, &phone);
	phone_invites(&kit, &phone, "call", "", browser("actpass"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_non_null(strstr(body(&kit.pbx), " RTP/AVP 0"));
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		assert_null(strstr(body(&kit.pbx), hidden[i]));
	end();
}

static void again(const char *description)
{
	side_sends(&kit, &caller, "INVITE", "", description);
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &phone, "SIP/2.0 200");
	side_sends(&kit, &caller, "ACK", "", "");
}

static void media_has_keys(uint32_t association)
{
	struct media_event event = {.session = kit.streams[0].session,
				    .kind = MEDIA_KEYED,
				    .keys = {.association = association, .suite = SRTP_AEAD_AES_128_GCM}};

	memset(event.keys.key_in, 'i', 28);
	memset(event.keys.key_out, 'o', 28);
	gateway_media_event(kit.gateway, &event);
	gateway_media_back(kit.gateway);
}

static void what_stays_and_what_begins_anew(void **state)
{
	struct media_side before;

	(void)state;
	establish("required", "actpass");
	before = *told(0);
	again(browser("actpass"));
	assert_string_equal(told(0)->ice.ufrag, before.ice.ufrag);
	assert_int_equal(told(0)->dtls.association, before.dtls.association);
	/* ICE begins anew, the association goes on (RFC 8842 section 4). */
	again(described(BROWSER, FINGERPRINT, "actpass", RESTARTED "a=rtcp-mux\n"));
	assert_string_not_equal(told(0)->ice.ufrag, before.ice.ufrag);
	assert_string_not_equal(told(0)->ice.password, before.ice.password);
	assert_int_equal(told(0)->dtls.association, before.dtls.association);
	media_has_keys(before.dtls.association);
	assert_int_equal(told(0)->suite_in, SRTP_AEAD_AES_128_GCM);
	/* Another certificate is another association, to which the old keys do not belong. */
	again(described(BROWSER, OTHER, "actpass", RESTARTED "a=rtcp-mux\n"));
	assert_int_not_equal(told(0)->dtls.association, before.dtls.association);
	assert_int_equal(told(0)->dtls.fingerprint[0], 0x21);
	assert_int_equal(told(0)->suite_in, SRTP_NONE);
	end();
}

/* Who was passive and leaves it open later stays so: another role would be another association. */
static void roles_stay(void **state)
{
	uint32_t association;

	(void)state;
	establish("required", "passive");
	association = told(0)->dtls.association;
	again(browser("actpass"));
	assert_int_equal(told(0)->dtls.handshake, MEDIA_HANDSHAKE_BEGIN);
	assert_int_equal(told(0)->dtls.association, association);
	assert_string_equal(attribute(&phone, "setup"), "active");
	again(browser("active"));
	assert_int_equal(told(0)->dtls.handshake, MEDIA_HANDSHAKE_AWAIT);
	assert_int_not_equal(told(0)->dtls.association, association);
	end();
}

static void keys_outlive_media_and_the_gate(void **state)
{
	uint32_t association;

	(void)state;
	establish("required", "actpass");
	association = told(0)->dtls.association;
	media_has_keys(association ^ 2); /* of an association that is over */
	assert_int_equal(told(0)->suite_in, SRTP_NONE);
	media_has_keys(association);
	kit_pump(&kit, 20);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(told(0)->suite_in, SRTP_AEAD_AES_128_GCM);
		assert_int_equal(told(0)->suite_out, SRTP_AEAD_AES_128_GCM);
		assert_int_equal(told(0)->key_in[27], 'i');
		assert_int_equal(told(0)->key_out[0], 'o');
		assert_int_equal(told(0)->dtls.association, association);
		assert_true(told(0)->ice.password[0]);
		kit_kill(&kit);
	}
	end();
}

static void m1_no_keys_end_the_call(void **state)
{
	struct media_event event = {.kind = MEDIA_UNKEYED, .failure = MEDIA_FAILURE_CERTIFICATE};
	struct gateway_status status;

	(void)state;
	establish("required", "actpass");
	event.session = kit.streams[0].session;
	gateway_media_event(kit.gateway, &event);
	peer_expect(&kit, &phone, "BYE ");
	assert_non_null(strstr(header(&phone, "Reason"), "certificate"));
	peer_answer(&kit, &phone, "200 OK", "", "", "");
	peer_expect(&kit, &kit.pbx, "BYE ");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.calls_ended_keys, 1);
	end();
}

/* From DTLS to SDES with the same suite: the key in the description is a new one, never what DTLS made. */
static void m1_keys_of_dtls_stay_out_of_descriptions(void **state)
{
	(void)state;
	establish("required", "actpass");
	media_has_keys(told(0)->dtls.association);
	assert_int_equal(told(0)->key_out[0], 'o');
	again(described("RTP/SAVP", NULL, NULL,
			"a=crypto:1 AEAD_AES_128_GCM inline:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYg==\n"));
	assert_int_equal(told(0)->suite_out, SRTP_AEAD_AES_128_GCM);
	assert_int_equal(told(0)->dtls.handshake, MEDIA_HANDSHAKE_NONE);
	assert_int_equal(told(0)->key_in[27], 'b');
	assert_memory_not_equal(told(0)->key_out, "oooooooooooooooooooooooooooo", 28);
	end();
}

/* No handshake yet: some phones begin when the call is answered, others have not got their answer's packet yet. */
static void no_handshake_yet_is_no_end(void **state)
{
	struct media_event event = {.kind = MEDIA_UNKEYED, .failure = MEDIA_FAILURE_TIME};
	struct gateway_status status;

	(void)state;
	establish("required", "actpass");
	event.session = kit.streams[0].session;
	gateway_media_event(kit.gateway, &event);
	peer_expect_nothing(&kit, &phone, "BYE ");
	gateway_status_get(kit.gateway, &status);
	assert_int_equal(status.counters.calls_ended_keys, 0);
	end();
}

/* A line that was closed begins anew when it is opened again: old keys are not used twice. */
static void a_closed_line_forgets_its_keys(void **state)
{
	const char *offer = browser("actpass");
	char closed[1024];
	char *port;

	(void)state;
	establish("required", "actpass");
	media_has_keys(told(0)->dtls.association);
	assert_int_equal(told(0)->suite_in, SRTP_AEAD_AES_128_GCM);
	snprintf(closed, sizeof(closed), "%s", offer);
	port = strstr(closed, "m=audio 4000");
	memcpy(port, "m=audio 0   ", 12);
	memmove(port + 9, port + 12, strlen(port + 12) + 1);
	side_sends(&kit, &caller, "INVITE", "", closed);
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "", "", sdp_plain(0, "sendrecv"));
	peer_expect(&kit, &phone, "SIP/2.0 200");
	side_sends(&kit, &caller, "ACK", "", "");
	again(offer);
	assert_int_equal(told(0)->suite_in, SRTP_NONE);
	assert_int_equal(told(0)->dtls.handshake, MEDIA_HANDSHAKE_AWAIT);
	end();
}

static void m1_a_call_stays_encrypted(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		establish(i ? "offered" : "required", "actpass");
		side_sends(&kit, &caller, "INVITE", "", described("RTP/AVP", NULL, NULL, ""));
		peer_expect(&kit, &phone, "SIP/2.0 488");
		side_sends(&kit, &caller, "UPDATE", "", described(BROWSER, NULL, NULL, ICE));
		peer_expect(&kit, &phone, "SIP/2.0 488");
		side_sends(&kit, &caller, "UPDATE", "", described(BROWSER, "sha-1 01:02", "actpass", ICE));
		peer_expect(&kit, &phone, "SIP/2.0 488");
		end();
	}
}

/* What a description says is as true as the way it came: over UDP somebody may have put another fingerprint in place. */
static void m1_a_fingerprint_over_udp_is_no_proof(void **state)
{
	(void)state;
	kit_start(&kit, "", "required");
	phone_invites(&kit, &kit.phone, "call", "", browser("actpass"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 488");
	kit_stop(&kit);
	kit_start(&kit, "", "offered");
	phone_invites(&kit, &kit.phone, "call", "", browser("actpass"));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	kit_stop(&kit);
}

static void a_zone_says_which_keying(void **state)
{
	static const struct {
		const char *encryption, *protocol, *fingerprint, *more;
		bool is_taken, by_dtls;
	} cases[] = {
		{"required, keying: sdes", "RTP/SAVP", FINGERPRINT, SDES, true, false},
		{"required, keying: sdes", BROWSER, FINGERPRINT, SDES, true, false},
		{"required, keying: sdes", BROWSER, FINGERPRINT, "", false, false},
		{"required, keying: dtls", "RTP/SAVP", NULL, SDES, false, false},
		{"required, keying: dtls", BROWSER, FINGERPRINT, SDES, true, true},
		{"required", BROWSER, FINGERPRINT, SDES, true, true},
		{"required", "RTP/SAVP", FINGERPRINT, SDES, true, false},
		{"offered", "RTP/AVP", FINGERPRINT, "", true, true}, /* RFC 8643 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *offer = described(cases[i].protocol, cases[i].fingerprint,
					      cases[i].fingerprint ? "actpass" : NULL, cases[i].more);

		kit_start(&kit, "", cases[i].encryption);
		kit_connect_tls(&kit, &phone);
		if (cases[i].is_taken) {
			kit_establish(&kit, &phone, &caller, &callee, offer, sdp_plain(5000, "sendrecv"));
			assert_int_equal(told(0)->dtls.handshake != MEDIA_HANDSHAKE_NONE, cases[i].by_dtls);
			assert_int_equal(told(0)->suite_in != SRTP_NONE, !cases[i].by_dtls);
			assert_int_equal(strstr(body(&phone), "a=crypto") != NULL, !cases[i].by_dtls);
			assert_int_equal(strstr(body(&phone), "a=fingerprint") != NULL, cases[i].by_dtls);
		} else {
			phone_invites(&kit, &phone, "call", "", offer);
			peer_expect(&kit, &phone, "SIP/2.0 488");
		}
		end();
	}
}

/* The other way: the gateway offers DTLS, here to a PBX, and the answer decides who begins. */
static void dtls_is_offered_where_the_zone_says_so(void **state)
{
	static const struct {
		const char *protocol, *fingerprint, *setup;
		uint8_t handshake; /* NONE: the answer is refused */
	} answers[] = {
		{"UDP/TLS/RTP/SAVP", FINGERPRINT, "active", MEDIA_HANDSHAKE_AWAIT},
		{"UDP/TLS/RTP/SAVP", FINGERPRINT, "passive", MEDIA_HANDSHAKE_BEGIN},
		{"UDP/TLS/RTP/SAVP", FINGERPRINT, "actpass", MEDIA_HANDSHAKE_NONE},
		{"UDP/TLS/RTP/SAVP", FINGERPRINT, "holdconn", MEDIA_HANDSHAKE_NONE},
		{"UDP/TLS/RTP/SAVP", NULL, "active", MEDIA_HANDSHAKE_NONE},
		{"UDP/TLS/RTP/SAVP", FINGERPRINT, NULL, MEDIA_HANDSHAKE_NONE},
		{"RTP/AVP", FINGERPRINT, "active", MEDIA_HANDSHAKE_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const char *answer =
			described(answers[i].protocol, answers[i].fingerprint, answers[i].setup, "a=rtcp-mux\n");

		kit_start_core(&kit, "none", "offered, keying: dtls");
		phone_invites(&kit, &kit.phone, "call", "", sdp_plain(4000, "sendrecv"));
		peer_expect(&kit, &kit.pbx, "INVITE ");
		assert_non_null(strstr(body(&kit.pbx), " UDP/TLS/RTP/SAVP 0"));
		assert_string_equal(attribute(&kit.pbx, "setup"), "actpass");
		assert_string_equal(attribute(&kit.pbx, "fingerprint"), "sha-256 " KIT_FINGERPRINT);
		assert_null(strstr(body(&kit.pbx), "a=ice"));
		peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", answer);
		if (answers[i].handshake == MEDIA_HANDSHAKE_NONE) {
			peer_expect(&kit, &kit.phone, "SIP/2.0 488");
		} else {
			peer_expect(&kit, &kit.phone, "SIP/2.0 200");
			assert_int_equal(told(1)->dtls.handshake, answers[i].handshake);
			assert_true(told(1)->rtcp_mux);
			assert_int_equal(told(1)->peer_rtp.port, 4000);
			assert_int_equal(told(0)->dtls.handshake, MEDIA_HANDSHAKE_NONE);
		}
		kit_stop(&kit);
	}
}

/* Both sides have DTLS, and both zones leave the keys to them. */
static void p1_keys_of_the_peers_own(void **state)
{
	(void)state;
	for (int allowed = 0; allowed < 2; allowed++) {
		kit_start_core(&kit, "required",
			       allowed ? "offered, keying: dtls" : "offered, keying: dtls, end_to_end: false");
		kit_keep(&kit);
		kit_connect_tls(&kit, &phone);
		phone_invites(&kit, &phone, "call", "", browser("actpass"));
		peer_expect(&kit, &kit.pbx, "INVITE ");
		side_of_callee(&callee, &kit.pbx, "pbxtag");
		assert_string_equal(attribute(&kit.pbx, "fingerprint"),
				    allowed ? FINGERPRINT : "sha-256 " KIT_FINGERPRINT);
		assert_null(strstr(body(&kit.pbx), "a=candidate"));
		peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "",
			    described("UDP/TLS/RTP/SAVP", OTHER, "active", "a=rtcp-mux\n"));
		peer_expect(&kit, &phone, "SIP/2.0 200");
		assert_string_equal(attribute(&phone, "setup"), allowed ? "active" : "passive");
		assert_int_equal(attribute(&phone, "fingerprint")[8], allowed ? '2' : 'A');
		assert_non_null(strstr(body(&phone), "\na=ice-lite\r\n"));
		kit_kill(&kit);
		gateway_media_back(kit.gateway);
		assert_int_equal(kit.streams[0].end_to_end, allowed);
		for (int side = 0; side < 2; side++) {
			assert_int_equal(told(side)->dtls.handshake != MEDIA_HANDSHAKE_NONE, !allowed);
			assert_int_equal(told(side)->suite_in, SRTP_NONE);
		}
		assert_true(told(0)->ice.ufrag[0]);
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(m1_a_phone_with_dtls_calls_the_pbx),
		cmocka_unit_test(the_pbx_is_offered_plain_sound),
		cmocka_unit_test(what_stays_and_what_begins_anew),
		cmocka_unit_test(roles_stay),
		cmocka_unit_test(keys_outlive_media_and_the_gate),
		cmocka_unit_test(m1_no_keys_end_the_call),
		cmocka_unit_test(m1_keys_of_dtls_stay_out_of_descriptions),
		cmocka_unit_test(no_handshake_yet_is_no_end),
		cmocka_unit_test(a_closed_line_forgets_its_keys),
		cmocka_unit_test(m1_a_call_stays_encrypted),
		cmocka_unit_test(m1_a_fingerprint_over_udp_is_no_proof),
		cmocka_unit_test(a_zone_says_which_keying),
		cmocka_unit_test(dtls_is_offered_where_the_zone_says_so),
		cmocka_unit_test(p1_keys_of_the_peers_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
