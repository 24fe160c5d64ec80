/* SPDX-License-Identifier: Apache-2.0
 * Keys by DTLS with real sockets and OpenSSL as the phone: what makes them, and what does not (THREATS M2, M5, P1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "dtls_peer.h"

#define HANDSHAKE_MS 5000

static struct peer_identity gateway, phone, other;

static int identities_setup(void **state)
{
	(void)state;
	peer_identity_make(&gateway);
	peer_identity_make(&phone);
	peer_identity_make(&other);
	return 0;
}

static int identities_teardown(void **state)
{
	(void)state;
	peer_identity_free(&gateway);
	peer_identity_free(&phone);
	peer_identity_free(&other);
	return 0;
}

static int setup(void **state)
{
	int result = kit_setup(state);
	if (result == 0)
		assert_int_equal(
			media_relay_identity(kit_relay, span_from(gateway.certificate_pem), span_from(gateway.key_pem)),
			0);
	return result;
}

/* Side 0 has DTLS with the phone, side 1 is plain. */
static void call_make(struct kit_call *call, enum media_handshake handshake, enum srtp_suite suite)
{
	kit_call_make(call, SRTP_NONE, SRTP_NONE);
	call->stream.sides[0].dtls = peer_agreement(&phone, handshake, suite);
	call->stream.sides[0].rtcp_mux = true;
}

static void expect_flow(struct kit_call *call)
{
	for (int i = 0; i < 3; i++) {
		kit_call_send(call, 0);
		assert_true(kit_call_receives(call, 1, WAIT_MS));
		kit_call_send(call, 1);
		assert_true(kit_call_receives(call, 0, WAIT_MS));
	}
}

static void expect_nothing(struct kit_call *call)
{
	kit_call_send(call, 0);
	assert_false(kit_call_receives(call, 1, QUIET_MS));
	kit_call_send(call, 1);
	assert_false(kit_call_receives(call, 0, QUIET_MS));
}

static void shake(struct kit_call *call, struct peer *peer, bool is_client)
{
	struct address to = kit_local(call, 0, false);
	struct media_event event;
	peer_open(peer, call->rtp[0], &to, &phone, is_client, PEER_PROFILES);
	assert_true(peer_shake(peer, HANDSHAKE_MS));
	assert_true(peer_sees(peer, &gateway));
	assert_true(kit_event(MEDIA_KEYED, &event, WAIT_MS));
	assert_int_equal(event.side, 0);
	assert_int_equal(event.keys.suite, peer_keys(peer, call, 0));
	call->sequence[0] = call->sequence[1] = 0;
}

static void the_phone_begins(void **state)
{
	static const enum srtp_suite suites[] = {SRTP_NONE, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_CM_128_HMAC_SHA1_32,
						 SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM};
	(void)state;
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		struct kit_call call;
		struct peer peer;
		call_make(&call, MEDIA_HANDSHAKE_AWAIT, suites[i]);
		kit_call_set(&call);
		shake(&call, &peer, true);
		expect_flow(&call);
		peer_close(&peer);
		kit_call_free(&call);
	}
}

static void we_begin(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peer;
	call_make(&call, MEDIA_HANDSHAKE_BEGIN, SRTP_NONE);
	kit_call_set(&call);
	shake(&call, &peer, false);
	expect_flow(&call);
	peer_close(&peer);
	kit_call_free(&call);
}

static void rtcp_shares_the_port(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peer;
	uint8_t packet[PACKET_ROOM];
	size_t length = rtcp_make(packet, 1, 9);
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	kit_call_set(&call);
	shake(&call, &peer, true);
	expect_flow(&call);
	struct address to = kit_local(&call, 0, false);
	assert_int_equal(srtcp_protect(call.to_relay[0], packet, &length), SRTP_OK);
	kit_send(call.rtp[0], &to, packet, length);
	assert_true(kit_call_receives_rtcp(&call, 1, WAIT_MS));
	peer_close(&peer);
	kit_call_free(&call);
}

/* P1: before there are keys, and when there will be none, nothing passes in the clear. */
static void p1_nothing_passes_without_keys(void **state)
{
	(void)state;
	struct kit_call call;
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	kit_call_set(&call);
	expect_nothing(&call);
	kit_expect_drops(&call, 0, MEDIA_DROP_KEY, 1);
	kit_expect_drops(&call, 1, MEDIA_DROP_KEY, 1);
	kit_call_set(&call);
	expect_nothing(&call);
	kit_call_free(&call);
}

/* M2: who is in the middle has no certificate of the signalled fingerprint. */
static void m2_another_certificate_makes_no_keys(void **state)
{
	(void)state;
	for (int is_client = 0; is_client < 2; is_client++) {
		struct kit_call call;
		struct peer peer;
		struct media_event event;
		call_make(&call, is_client ? MEDIA_HANDSHAKE_AWAIT : MEDIA_HANDSHAKE_BEGIN, SRTP_NONE);
		kit_call_set(&call);
		struct address to = kit_local(&call, 0, false);
		peer_open(&peer, call.rtp[0], &to, &other, is_client, PEER_PROFILES);
		(void)peer_shake(&peer, 500);
		assert_true(kit_event(MEDIA_UNKEYED, &event, WAIT_MS));
		assert_int_equal(event.failure, MEDIA_FAILURE_CERTIFICATE);
		assert_int_equal(kit_counters(&call, 0).packets_in, 0);
		expect_nothing(&call);
		peer_close(&peer);
		kit_call_free(&call);
	}
}

/* Another phone behind the same NAT: it may come, fails, and does not end what the right one has begun. */
static void m2_a_wrong_certificate_from_beside_is_only_counted(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer right, wrong;
	struct media_event event;
	int beside = kit_socket("127.0.1.1", 0);
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	call.stream.sides[0].learn_from = kit_address("127.0.1.1");
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	peer_open(&wrong, beside, &to, &other, true, PEER_PROFILES);
	(void)peer_shake(&wrong, 500);
	assert_false(kit_event(MEDIA_UNKEYED, &event, QUIET_MS));
	assert_true(kit_counters(&call, 0).drops[MEDIA_DROP_DTLS] > 0);
	shake(&call, &right, true);
	expect_flow(&call);
	peer_close(&wrong);
	peer_close(&right);
	close(beside);
	kit_call_free(&call);
}

/* A phone behind NAT is where its handshake came from. */
static void a_handshake_locks_the_peer(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peer;
	struct media_event event;
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	struct address to = kit_local(&call, 0, false), real = call.stream.sides[0].peer_rtp;
	call.stream.sides[0].peer_rtp = kit_address("127.0.1.1:9");
	call.stream.sides[0].learn_from = kit_address("127.0.1.1");
	kit_call_set(&call);
	peer_open(&peer, call.rtp[0], &to, &phone, true, PEER_PROFILES);
	assert_true(peer_shake(&peer, HANDSHAKE_MS));
	assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
	assert_true(address_equal(&event.peer, &real));
	assert_true(kit_event(MEDIA_KEYED, &event, WAIT_MS));
	peer_keys(&peer, &call, 0);
	kit_call_send(&call, 1);
	assert_true(kit_call_receives(&call, 0, WAIT_MS));
	peer_close(&peer);
	kit_call_free(&call);
}

/* A ClientHello as good as any: one suite, one group, one signature. The cookie is one of COOKIE_BYTES, or NULL. */
#define COOKIE_BYTES 32
static size_t hello_make(uint8_t *out, uint8_t number, const uint8_t *cookie)
{
	static const uint8_t tail[] = "\x00\x02\xc0\x2b\x01\x00\x00\x10"
				      "\x00\x0a\x00\x04\x00\x02\x00\x17"
				      "\x00\x0d\x00\x04\x00\x02\x04\x03";
	size_t cookie_bytes = cookie ? COOKIE_BYTES : 0, body = 2 + 32 + 1 + 1 + cookie_bytes + sizeof(tail) - 1;
	memset(out, 0, 25 + body);
	memcpy(out, "\x16\xfe\xff", 3);
	out[10] = out[18] = cookie != NULL;
	out[12] = (uint8_t)(12 + body);
	out[13] = 1;
	out[16] = out[24] = (uint8_t)body;
	memcpy(out + 25, "\xfe\xfd", 2);
	memset(out + 27, number, 32);
	out[60] = (uint8_t)cookie_bytes;
	if (cookie)
		memcpy(out + 61, cookie, cookie_bytes);
	memcpy(out + 61 + cookie_bytes, tail, sizeof(tail) - 1);
	return 25 + body;
}

/* Begins a handshake, and leaves it. */
static void hello_leave(int socket, const struct address *to)
{
	uint8_t hello[256], answer[PACKET_ROOM];
	kit_send(socket, to, hello, hello_make(hello, 1, NULL));
	assert_int_equal(kit_receive(socket, answer, NULL, WAIT_MS), 13 + 12 + 3 + COOKIE_BYTES);
	kit_send(socket, to, hello, hello_make(hello, 1, answer + 13 + 12 + 3));
	assert_true(kit_receive(socket, answer, NULL, WAIT_MS) > 100);
	assert_int_equal(answer[13], 2); /* ServerHello */
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t allocated_bytes(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
						       : mallinfo2().uordblks;
}

/* M5: forged hellos, of addresses that may be the phone's, keep nothing and do not stand in the right one's way. */
static void m5_hellos_without_a_cookie_cost_nothing(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peer;
	struct media_event event;
	uint8_t hello[256], answer[PACKET_ROOM];
	int beside = kit_socket("127.0.1.1", 0);
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	call.stream.sides[0].learn_from = kit_address("127.0.1.1");
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	size_t before = 0;
	for (int i = 0; i < 1000; i++) {
		kit_send(beside, &to, hello, hello_make(hello, (uint8_t)i, NULL));
		assert_true(kit_receive(beside, answer, NULL, WAIT_MS) > 0);
		assert_int_equal(answer[13], 3); /* HelloVerifyRequest */
		if (i == 100)
			before = allocated_bytes();
	}
	assert_true(allocated_bytes() <= before + 4096);

	peer_open(&peer, call.rtp[0], &to, &phone, true, PEER_PROFILES);
	bool done = false;
	for (int i = 0; i < 2000 && !done; i++) {
		for (int k = 0; k < 20; k++)
			kit_send(beside, &to, hello, hello_make(hello, (uint8_t)(i + k), NULL));
		done = peer_step(&peer, 2);
	}
	assert_true(done);
	assert_true(kit_event(MEDIA_KEYED, &event, WAIT_MS));
	peer_keys(&peer, &call, 0);
	usleep(300000); /* what still waits in the socket */
	expect_flow(&call);
	peer_close(&peer);
	close(beside);
	kit_call_free(&call);
}

/* M5: others behind the same NAT have begun and do not go on; the phone is served all the same, be it where it was signalled or not. */
static void m5_unfinished_handshakes_give_way(void **state)
{
	(void)state;
	for (int is_signalled = 0; is_signalled < 2; is_signalled++) {
		struct kit_call call;
		struct peer right;
		int sockets[12];
		call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
		call.stream.sides[0].learn_from = kit_address("127.0.1.1");
		if (!is_signalled)
			call.stream.sides[0].peer_rtp = kit_address("127.0.1.1:9");
		kit_call_set(&call);
		struct address to = kit_local(&call, 0, false);
		for (int i = 0; i < 12; i++) {
			sockets[i] = kit_socket("127.0.1.1", 0);
			hello_leave(sockets[i], &to);
		}
		peer_open(&right, call.rtp[0], &to, &phone, true, PEER_PROFILES);
		assert_true(peer_shake(&right, HANDSHAKE_MS));
		peer_close(&right);
		for (int i = 0; i < 12; i++) {
			close(sockets[i]);
		}
		kit_call_free(&call);
	}
}

/* M2: a cookie is of one address alone. */
static void m2_a_cookie_is_not_passed_on(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t hello[256], answer[PACKET_ROOM];
	int beside = kit_socket("127.0.1.1", 0);
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	call.stream.sides[0].learn_from = kit_address("127.0.1.1");
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	kit_send(beside, &to, hello, hello_make(hello, 1, NULL));
	assert_true(kit_receive(beside, answer, NULL, WAIT_MS) > 0);
	kit_send(call.rtp[0], &to, hello, hello_make(hello, 1, answer + 13 + 12 + 3));
	assert_true(kit_receive(call.rtp[0], answer, NULL, WAIT_MS) > 0);
	assert_int_equal(answer[13], 3); /* HelloVerifyRequest, again */
	close(beside);
	kit_call_free(&call);
}

/* Also after an alert in the clear, which anybody may have sent in the peer's name. */
static void m5_our_flight_is_repeated(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t answer[PACKET_ROOM];
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	hello_leave(call.rtp[0], &to);
	kit_send(call.rtp[0], &to, "\x15\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x07\x00\x02\x02\x28", 15);
	for (int hellos = 0; hellos < 2; hellos += answer[13] == 2) /* ServerHello, and what follows it */
		assert_true(kit_receive(call.rtp[0], answer, NULL, WAIT_MS) > 0);
	kit_call_free(&call);
}

/* M2: in our own handshake nobody from beside takes part. */
static void m2_only_whom_we_asked_answers(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peer;
	struct media_event event;
	int beside = kit_socket("127.0.1.1", 0);
	call_make(&call, MEDIA_HANDSHAKE_BEGIN, SRTP_NONE);
	call.stream.sides[0].learn_from = kit_address("127.0.1.1");
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	kit_send(beside, &to, "\x15\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x02\x28", 15); /* a fatal alert */
	kit_expect_drops(&call, 0, MEDIA_DROP_DTLS, 1);
	assert_false(kit_event(MEDIA_UNKEYED, &event, 0));
	shake(&call, &peer, false);
	expect_flow(&call);
	peer_close(&peer);
	close(beside);
	kit_call_free(&call);
}

/* M2, N4: no answer to whom nobody expects. */
static void m2_a_foreign_hello_gets_silence(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t hello[256], answer[PACKET_ROOM];
	int stranger = kit_socket("127.0.1.9", 0);
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	call.stream.sides[0].learn_from = kit_address("127.0.1.1");
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	kit_send(stranger, &to, hello, hello_make(hello, 1, NULL));
	assert_int_equal(kit_receive(stranger, answer, NULL, QUIET_MS), -1);
	kit_expect_drops(&call, 0, MEDIA_DROP_DTLS, 1);
	close(stranger);
	kit_call_free(&call);
}

static void a_lost_hello_of_ours_is_repeated(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peer;
	uint8_t packet[PACKET_ROOM];
	call_make(&call, MEDIA_HANDSHAKE_BEGIN, SRTP_NONE);
	kit_call_set(&call);
	assert_true(kit_receive(call.rtp[0], packet, NULL, WAIT_MS) > 0); /* and is gone */
	shake(&call, &peer, false);
	expect_flow(&call);
	peer_close(&peer);
	kit_call_free(&call);
}

/* Up to where we are done, and the phone has not yet read so. False: it was too quick for that. */
static bool shake_almost(struct kit_call *call, struct peer *peer)
{
	struct address to = kit_local(call, 0, false);
	struct media_event event;
	bool done = false;
	peer_open(peer, call->rtp[0], &to, &phone, true, PEER_PROFILES);
	while (!kit_event(MEDIA_KEYED, &event, 300))
		done = peer_step(peer, 0);
	return !done;
}

/* We are done, and the phone does not know: it repeats its flight, so we ours. */
static void a_lost_last_flight_is_repeated(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peer;
	uint8_t packet[PACKET_ROOM];
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	kit_call_set(&call);
	for (int attempts = 10; !shake_almost(&call, &peer); attempts--) {
		assert_true(attempts);
		peer_close(&peer);
	}
	assert_true(kit_receive(call.rtp[0], packet, NULL, WAIT_MS) > 0);
	assert_true(peer_shake(&peer, HANDSHAKE_MS));
	peer_keys(&peer, &call, 0);
	expect_flow(&call);
	peer_close(&peer);
	kit_call_free(&call);
}

static void no_suite_in_common_is_told(void **state)
{
	static const char *const profiles[] = {NULL, "SRTP_AES128_CM_SHA1_80"};
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct kit_call call;
		struct peer peer;
		struct media_event event;
		call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_AEAD_AES_256_GCM);
		kit_call_set(&call);
		struct address to = kit_local(&call, 0, false);
		peer_open(&peer, call.rtp[0], &to, &phone, true, profiles[i]);
		(void)peer_shake(&peer, 500);
		assert_true(kit_event(MEDIA_UNKEYED, &event, WAIT_MS));
		assert_int_equal(event.failure, MEDIA_FAILURE_SUITE);
		expect_nothing(&call);
		peer_close(&peer);
		kit_call_free(&call);
	}
}

/* A gate that starts again may not know the keys yet: they stay, and it hears of them. */
static void the_stream_set_again_keeps_its_keys(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peer;
	struct media_event event;
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	kit_call_set(&call);
	shake(&call, &peer, true);
	expect_flow(&call);
	kit_call_set(&call);
	expect_flow(&call);
	assert_true(kit_event(MEDIA_KEYED, &event, WAIT_MS));
	struct media_side *side = &call.stream.sides[0];
	side->suite_in = side->suite_out = event.keys.suite;
	memcpy(side->key_in, event.keys.key_in, SRTP_KEY_MAXIMUM);
	memcpy(side->key_out, event.keys.key_out, SRTP_KEY_MAXIMUM);
	kit_call_set(&call);
	expect_flow(&call);
	assert_false(kit_event(MEDIA_KEYED, &event, QUIET_MS));
	peer_close(&peer);
	kit_call_free(&call);
}

/* The relay was restarted: what its predecessor told goes on without a handshake. */
static void given_keys_go_on(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_AEAD_AES_128_GCM, SRTP_NONE);
	call.stream.sides[0].dtls = peer_agreement(&phone, MEDIA_HANDSHAKE_BEGIN, SRTP_NONE);
	call.stream.sides[0].rtcp_mux = true;
	kit_call_set(&call);
	expect_flow(&call);
	kit_call_free(&call);
}

static void a_later_handshake_makes_new_keys(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer first, second;
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	kit_call_set(&call);
	shake(&call, &first, true);
	expect_flow(&call);
	shake(&call, &second, true);
	expect_flow(&call);
	peer_close(&first);
	peer_close(&second);
	kit_call_free(&call);
}

/* RFC 8842 section 4: another association; what plays goes on until its keys are there. */
static void another_association_takes_over(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer first, second;
	call_make(&call, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	kit_call_set(&call);
	shake(&call, &first, true);
	expect_flow(&call);
	call.stream.sides[0].dtls.association++;
	call.stream.sides[0].dtls.handshake = MEDIA_HANDSHAKE_BEGIN;
	kit_call_set(&call);
	kit_call_send(&call, 0);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	shake(&call, &second, false);
	expect_flow(&call);
	peer_close(&first);
	peer_close(&second);
	kit_call_free(&call);
}

static void identities_are_checked(void **state)
{
	(void)state;
	struct span good = span_from(gateway.certificate_pem), key = span_from(gateway.key_pem);
	assert_int_equal(media_relay_identity(kit_relay, good, span_from(phone.key_pem)), -EINVAL);
	assert_int_equal(media_relay_identity(kit_relay, SPAN("x"), key), -EINVAL);
	assert_int_equal(media_relay_identity(kit_relay, SPAN_EMPTY, SPAN_EMPTY), -EINVAL);
	assert_int_equal(media_relay_identity(kit_relay, good, key), 0);
	the_phone_begins(state); /* and what was there before stays */
}

/* ---- Keys of the peers' own ---- */

static void end_to_end_make(struct kit_call *call)
{
	kit_call_make(call, SRTP_NONE, SRTP_NONE);
	call->stream.end_to_end = true;
	call->stream.sides[0].rtcp_mux = call->stream.sides[1].rtcp_mux = true;
	kit_call_set(call);
}

static void end_to_end_passes_their_handshake(void **state)
{
	(void)state;
	struct kit_call call;
	struct peer peers[2];
	uint8_t packet[PACKET_ROOM];
	end_to_end_make(&call);
	for (int i = 0; i < 2; i++) {
		struct address to = kit_local(&call, i, false);
		peer_open(&peers[i], call.rtp[i], &to, i ? &other : &phone, i == 0, PEER_PROFILES);
	}
	assert_true(peers_shake(&peers[0], &peers[1], HANDSHAKE_MS));
	assert_true(peer_sees(&peers[0], &other) && peer_sees(&peers[1], &phone)); /* nobody in the middle */
	assert_int_equal(peer_keys(&peers[0], &call, 0), peer_keys(&peers[1], &call, 1));
	call.sequence[0] = call.sequence[1] = 0;
	expect_flow(&call);

	size_t length = rtcp_make(packet, 1, 9), plain = length;
	struct address to = kit_local(&call, 0, false);
	assert_int_equal(srtcp_protect(call.to_relay[0], packet, &length), SRTP_OK);
	kit_send(call.rtp[0], &to, packet, length);
	ptrdiff_t received = kit_receive(call.rtp[1], packet, NULL, WAIT_MS);
	assert_int_equal(received, length);
	assert_int_equal(srtcp_unprotect(call.from_relay[1], packet, &length), SRTP_OK);
	assert_int_equal(length, plain);
	for (int i = 0; i < 2; i++)
		peer_close(&peers[i]);
	kit_call_free(&call);
}

static void m2_end_to_end_takes_from_peers_alone(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t packet[PACKET_ROOM];
	int stranger = kit_socket("127.0.1.9", 0);
	end_to_end_make(&call);
	usleep(20000);
	struct address to = kit_local(&call, 0, false);
	kit_send(stranger, &to, packet, hello_make(packet, 1, NULL));
	kit_send(stranger, &to, packet, rtp_make(packet, 1, 1));
	assert_int_equal(kit_receive(call.rtp[1], packet, NULL, QUIET_MS), -1);
	assert_int_equal(kit_receive(stranger, packet, NULL, 0), -1);

	/* What is none of the three, and STUN that nobody agreed on. */
	kit_send(call.rtp[0], &to, "\x50xxxxxxxxxxxxxxxx", 17);
	kit_expect_drops(&call, 0, MEDIA_DROP_MALFORMED, 1);
	kit_send(call.rtp[0], &to, "\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01", 14);
	kit_expect_drops(&call, 0, MEDIA_DROP_MALFORMED, 2);
	kit_send(call.rtp[0], &to, "\x00\x01\x00\x00\x21\x12\xa4\x42xxxxxxxxxxxx", 20);
	kit_expect_drops(&call, 0, MEDIA_DROP_STUN, 1);
	assert_int_equal(kit_receive(call.rtp[1], packet, NULL, QUIET_MS), -1);
	close(stranger);
	kit_call_free(&call);
}

static void end_to_end_keeps_to_what_was_agreed(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t packet[PACKET_ROOM];
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	call.stream.end_to_end = true;
	call.stream.budget = (struct media_budget){.payload_types = {1 << 0}, .packet_bytes = 1000};
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	size_t length = rtp_make(packet, 1, 1);
	packet[1] = 8;
	kit_send(call.rtp[0], &to, packet, length);
	kit_expect_drops(&call, 0, MEDIA_DROP_PAYLOAD, 1);
	packet[1] = 0;
	kit_send(call.rtp[0], &to, packet, 1001);
	kit_expect_drops(&call, 0, MEDIA_DROP_SIZE, 1);
	packet[0] |= 0x20; /* padding whose length is encrypted */
	kit_send(call.rtp[0], &to, packet, length);
	assert_int_equal(kit_receive(call.rtp[1], packet, NULL, WAIT_MS), length);
	kit_call_free(&call);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_phone_begins),
		CASE(we_begin),
		CASE(rtcp_shares_the_port),
		CASE(p1_nothing_passes_without_keys),
		CASE(m2_another_certificate_makes_no_keys),
		CASE(m2_a_wrong_certificate_from_beside_is_only_counted),
		CASE(a_handshake_locks_the_peer),
		CASE(m5_hellos_without_a_cookie_cost_nothing),
		CASE(m5_unfinished_handshakes_give_way),
		CASE(m2_a_cookie_is_not_passed_on),
		CASE(m5_our_flight_is_repeated),
		CASE(m2_only_whom_we_asked_answers),
		CASE(m2_a_foreign_hello_gets_silence),
		CASE(a_lost_hello_of_ours_is_repeated),
		CASE(a_lost_last_flight_is_repeated),
		CASE(no_suite_in_common_is_told),
		CASE(the_stream_set_again_keeps_its_keys),
		CASE(given_keys_go_on),
		CASE(a_later_handshake_makes_new_keys),
		CASE(another_association_takes_over),
		CASE(identities_are_checked),
		CASE(end_to_end_passes_their_handshake),
		CASE(m2_end_to_end_takes_from_peers_alone),
		CASE(end_to_end_keeps_to_what_was_agreed),
	};
	return cmocka_run_group_tests(tests, identities_setup, identities_teardown);
}
