/* SPDX-License-Identifier: Apache-2.0
 * ICE's lite agent with real sockets: whose checks count, whom they make the peer, and that nobody else is heard (THREATS M2). The
 * checks are put together here by OpenSSL's HMAC and a checksum of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include "dtls_peer.h"

#define UFRAG "abcd1234"
#define PASSWORD "0123456789abcdefghijklmn"
#define CHECK_ROOM 512
#define NOMINATES 1
#define CONTROLLED 2
#define UNKNOWN 4        /* an attribute that must be understood, and is not */
#define NOMINATES_LATE 8 /* behind the integrity, where it does not count */
#define ANSWER_SUCCESS 0x01
#define ANSWER_ERROR 0x11

struct check {
	const char *username, *password;
	int flags;
	uint32_t priority;
};

static const struct check plain = {UFRAG ":them", PASSWORD, 0, 100};

static size_t attribute_put(uint8_t *message, size_t at, uint16_t type, const void *value, size_t length)
{
	message[at] = (uint8_t)(type >> 8);
	message[at + 1] = (uint8_t)type;
	message[at + 2] = (uint8_t)(length >> 8);
	message[at + 3] = (uint8_t)length;
	memset(message + at + 4, 0, (length + 3) & ~(size_t)3);
	if (length)
		memcpy(message + at + 4, value, length);
	return at + 4 + ((length + 3) & ~(size_t)3);
}

static void length_put(uint8_t *message, size_t length)
{
	message[2] = (uint8_t)((length - 20) >> 8);
	message[3] = (uint8_t)(length - 20);
}

static uint32_t checksum(const uint8_t *bytes, size_t length)
{
	uint32_t crc = 0xffffffff;
	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
	}
	return ~crc ^ 0x5354554e;
}

static void integrity_make(uint8_t *message, size_t at, const char *password, uint8_t out[20])
{
	unsigned int made;
	length_put(message, at + 24);
	HMAC(EVP_sha1(), password, (int)strlen(password), message, at, out, &made);
}

static size_t check_make(uint8_t *out, const struct check *check)
{
	static uint8_t number;
	uint8_t value[20];
	size_t at = 20;
	memcpy(out, "\x00\x01\x00\x00\x21\x12\xa4\x42", 8);
	memset(out + 8, ++number, 12);
	at = attribute_put(out, at, 0x0006, check->username, strlen(check->username));
	put_u32(value, check->priority);
	at = attribute_put(out, at, 0x0024, value, 4);
	at = attribute_put(out, at, check->flags & CONTROLLED ? 0x8029 : 0x802a, "12345678", 8);
	if (check->flags & NOMINATES)
		at = attribute_put(out, at, 0x0025, NULL, 0);
	if (check->flags & UNKNOWN)
		at = attribute_put(out, at, 0x7001, NULL, 0);
	integrity_make(out, at, check->password, value);
	at = attribute_put(out, at, 0x0008, value, 20);
	if (check->flags & NOMINATES_LATE)
		at = attribute_put(out, at, 0x0025, NULL, 0);
	length_put(out, at + 8);
	put_u32(value, checksum(out, at));
	return attribute_put(out, at, 0x8028, value, 4);
}

/* The answer is of the kind, and itself proven. */
static void expect_answer(int socket, uint8_t kind)
{
	uint8_t answer[PACKET_ROOM], wanted[20], proven[20];
	ptrdiff_t length = kit_receive(socket, answer, NULL, WAIT_MS);
	assert_true(length >= 20 + 24 + 8);
	assert_int_equal(answer[0], 1);
	assert_int_equal(answer[1], kind);
	put_u32(wanted, checksum(answer, (size_t)length - 8));
	assert_memory_equal(answer + length - 4, wanted, 4);
	memcpy(proven, answer + length - 28, 20);
	integrity_make(answer, (size_t)length - 32, PASSWORD, wanted);
	assert_memory_equal(proven, wanted, 20);
}

static void check_send(const struct kit_call *call, int socket, const struct check *check)
{
	uint8_t message[CHECK_ROOM];
	struct address to = kit_local(call, 0, false);
	kit_send(socket, &to, message, check_make(message, check));
}

static void check_good(const struct kit_call *call, int socket, int flags, uint32_t priority)
{
	struct check check = plain;
	check.flags = flags;
	check.priority = priority;
	check_send(call, socket, &check);
	expect_answer(socket, ANSWER_SUCCESS);
}

static void expect_silence(int socket)
{
	uint8_t packet[PACKET_ROOM];
	assert_int_equal(kit_receive(socket, packet, NULL, QUIET_MS), -1);
}

/* Side 0 has ICE, and its signalled addresses are of no meaning; side 1 is plain. */
static void call_make(struct kit_call *call)
{
	kit_call_make(call, SRTP_NONE, SRTP_NONE);
	struct media_side *side = &call->stream.sides[0];
	side->peer_rtp = side->peer_rtcp = kit_address("127.0.1.200:9");
	side->rtcp_mux = true;
	memcpy(side->ice.ufrag, UFRAG, sizeof(UFRAG));
	memcpy(side->ice.password, PASSWORD, sizeof(PASSWORD));
}

static void expect_flow(struct kit_call *call)
{
	kit_call_send(call, 0);
	assert_true(kit_call_receives(call, 1, WAIT_MS));
	kit_call_send(call, 1);
	assert_true(kit_call_receives(call, 0, WAIT_MS));
}

/* What side 1 sends arrives at `socket`. */
static void expect_peer(struct kit_call *call, int socket)
{
	uint8_t packet[PACKET_ROOM];
	kit_call_send(call, 1);
	assert_int_equal(kit_receive(socket, packet, NULL, WAIT_MS), RTP_BYTES);
}

static void m2_nobody_is_heard_before_a_check(void **state)
{
	(void)state;
	struct kit_call call;
	struct media_event event;
	call_make(&call);
	kit_call_set(&call);
	kit_call_send(&call, 0);
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	kit_expect_drops(&call, 0, MEDIA_DROP_SOURCE, 1);
	kit_call_send(&call, 1);
	kit_expect_drops(&call, 1, MEDIA_DROP_NO_PEER, 1);

	struct address phone = kit_socket_address(call.rtp[0]);
	check_good(&call, call.rtp[0], 0, 100);
	assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
	assert_true(address_equal(&event.peer, &phone));
	expect_flow(&call);
	kit_call_free(&call);
}

static void m2_who_does_not_know_the_password_gets_silence(void **state)
{
	static const struct check wrong[] = {
		{UFRAG ":them", "another password, as long", NOMINATES, 100},
		{"other:them", PASSWORD, NOMINATES, 100},
		{UFRAG, PASSWORD, NOMINATES, 100},
		{"them:" UFRAG, PASSWORD, NOMINATES, 100},
	};
	(void)state;
	struct kit_call call;
	uint8_t message[CHECK_ROOM];
	call_make(&call);
	kit_call_set(&call);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		check_send(&call, call.rtp[0], &wrong[i]);
		expect_silence(call.rtp[0]);
		kit_expect_drops(&call, 0, MEDIA_DROP_STUN, i + 1);
	}
	/* No integrity at all; and a good one changed anywhere but in its checksum. */
	struct address to = kit_local(&call, 0, false);
	kit_send(call.rtp[0], &to, "\x00\x01\x00\x00\x21\x12\xa4\x42xxxxxxxxxxxx", 20);
	size_t length = check_make(message, &plain);
	for (size_t at = 8; at < length - 8; at++) {
		message[at] ^= 4;
		kit_send(call.rtp[0], &to, message, length);
		message[at] ^= 4;
	}
	expect_silence(call.rtp[0]);
	kit_call_send(&call, 0);
	kit_expect_drops(&call, 0, MEDIA_DROP_SOURCE, 1);
	kit_call_free(&call);
}

static void conflicts_and_unknown_attributes_are_refused_with_proof(void **state)
{
	(void)state;
	struct kit_call call;
	struct check check = plain;
	call_make(&call);
	kit_call_set(&call);
	check.flags = CONTROLLED | NOMINATES;
	check_send(&call, call.rtp[0], &check);
	expect_answer(call.rtp[0], ANSWER_ERROR);
	check.flags = UNKNOWN | NOMINATES;
	check_send(&call, call.rtp[0], &check);
	expect_answer(call.rtp[0], ANSWER_ERROR);
	kit_call_send(&call, 0);
	kit_expect_drops(&call, 0, MEDIA_DROP_SOURCE, 1);
	kit_call_free(&call);
}

static void the_peer_is_whom_it_nominates(void **state)
{
	(void)state;
	struct kit_call call;
	int second = kit_socket("127.0.1.3", 0), third = kit_socket("127.0.1.4", 0);
	call_make(&call);
	kit_call_set(&call);
	check_good(&call, call.rtp[0], 0, 100); /* the first, until one is nominated */
	expect_peer(&call, call.rtp[0]);
	check_good(&call, second, NOMINATES_LATE, 200);
	expect_peer(&call, call.rtp[0]);
	check_good(&call, second, NOMINATES, 200);
	expect_peer(&call, second);
	check_good(&call, third, 0, 300);
	expect_peer(&call, second);
	check_good(&call, third, NOMINATES, 100); /* its last choice counts: it may have lost the way of before */
	expect_peer(&call, third);

	/* All of them are heard, nobody else. */
	kit_call_send_from(&call, 0, second);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	kit_call_send_from(&call, 0, call.rtp[0]);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	int stranger = kit_socket("127.0.1.1", 0);
	kit_call_send_from(&call, 0, stranger);
	kit_expect_drops(&call, 0, MEDIA_DROP_SOURCE, 1);
	close(stranger);
	close(second);
	close(third);
	kit_call_free(&call);
}

static void a_restart_lets_the_peer_go_on(void **state)
{
	(void)state;
	struct kit_call call;
	int second = kit_socket("127.0.1.3", 0);
	call_make(&call);
	kit_call_set(&call);
	check_good(&call, second, 0, 100);
	check_good(&call, call.rtp[0], NOMINATES, 100);
	expect_flow(&call);
	memcpy(call.stream.sides[0].ice.ufrag, "new", 4);
	kit_call_set(&call);
	expect_flow(&call);                   /* the peer of before */
	kit_call_send_from(&call, 0, second); /* and its other ways */
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	check_send(&call, second, &plain);
	expect_answer(second, ANSWER_SUCCESS);
	struct check check = {"new:them", PASSWORD, NOMINATES, 1};
	check_send(&call, second, &check);
	expect_answer(second, ANSWER_SUCCESS);
	expect_peer(&call, second);
	close(second);
	kit_call_free(&call);
}

/* The relay was restarted: the peer is known, and hears the call before its next check. */
static void a_peer_of_before_goes_on(void **state)
{
	(void)state;
	struct kit_call call;
	int second = kit_socket("127.0.1.3", 0);
	call_make(&call);
	call.stream.sides[0].locked = kit_socket_address(call.rtp[0]);
	kit_call_set(&call);
	expect_flow(&call);
	check_good(&call, second, 0, 100);
	expect_peer(&call, call.rtp[0]);
	check_good(&call, second, NOMINATES, 100);
	expect_peer(&call, second);
	close(second);
	kit_call_free(&call);
}

/* Not even when they bear the peer's own address. */
static void m5_a_flood_of_checks_keeps_nobody_out(void **state)
{
	(void)state;
	struct kit_call call;
	struct check wrong = plain;
	uint8_t message[CHECK_ROOM];
	wrong.password = "wrong";
	call_make(&call);
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	for (int i = 0; i < 1500; i++) {
		kit_send(call.rtp[0], &to, message, check_make(message, &wrong));
		if (i % 50 == 0)
			usleep(2000);
	}
	check_good(&call, call.rtp[0], NOMINATES, 100);
	expect_flow(&call);
	kit_call_free(&call);
}

/* A browser: checks, then the handshake, then SRTP; and the handshake goes on when another pair is nominated. */
static void ice_and_dtls_together(void **state)
{
	(void)state;
	struct peer_identity gateway = {0}, phone = {0};
	struct kit_call call;
	struct peer peer;
	struct media_event event;
	uint8_t packet[PACKET_ROOM];
	peer_identity_make(&gateway);
	peer_identity_make(&phone);
	assert_int_equal(
		media_relay_identity(kit_relay, span_from(gateway.certificate_pem), span_from(gateway.key_pem)), 0);
	call_make(&call);
	call.stream.sides[0].dtls = peer_agreement(&phone, MEDIA_HANDSHAKE_AWAIT, SRTP_NONE);
	kit_call_set(&call);
	struct address to = kit_local(&call, 0, false);
	peer_open(&peer, call.rtp[0], &to, &phone, true, PEER_PROFILES);
	assert_false(peer_shake(&peer, 300)); /* M2: no check, no handshake */
	assert_true(kit_counters(&call, 0).drops[MEDIA_DROP_DTLS] > 0);
	check_send(&call, call.rtp[0], &plain);
	assert_true(peer_shake(&peer, 5000));
	assert_true(kit_event(MEDIA_KEYED, &event, WAIT_MS));
	peer_keys(&peer, &call, 0);
	while (kit_receive(call.rtp[0], packet, NULL, 20) > 0)
		;
	call.sequence[0] = call.sequence[1] = 0;
	expect_flow(&call);
	peer_close(&peer);
	kit_call_free(&call);
	peer_identity_free(&gateway);
	peer_identity_free(&phone);
}

/* As the client we begin when a check has shown the peer. */
static void we_begin_after_a_check(void **state)
{
	(void)state;
	struct peer_identity gateway = {0}, phone = {0};
	struct kit_call call;
	struct peer peer;
	struct media_event event;
	peer_identity_make(&gateway);
	peer_identity_make(&phone);
	assert_int_equal(
		media_relay_identity(kit_relay, span_from(gateway.certificate_pem), span_from(gateway.key_pem)), 0);
	call_make(&call);
	call.stream.sides[0].dtls = peer_agreement(&phone, MEDIA_HANDSHAKE_BEGIN, SRTP_NONE);
	kit_call_set(&call);
	expect_silence(call.rtp[0]);
	check_good(&call, call.rtp[0], NOMINATES, 1);
	struct address to = kit_local(&call, 0, false);
	peer_open(&peer, call.rtp[0], &to, &phone, false, PEER_PROFILES);
	assert_true(peer_shake(&peer, 5000));
	assert_true(kit_event(MEDIA_KEYED, &event, WAIT_MS));
	peer_keys(&peer, &call, 0);
	expect_flow(&call);
	peer_close(&peer);
	kit_call_free(&call);
	peer_identity_free(&gateway);
	peer_identity_free(&phone);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(m2_nobody_is_heard_before_a_check),
		CASE(m2_who_does_not_know_the_password_gets_silence),
		CASE(conflicts_and_unknown_attributes_are_refused_with_proof),
		CASE(the_peer_is_whom_it_nominates),
		CASE(a_restart_lets_the_peer_go_on),
		CASE(a_peer_of_before_goes_on),
		CASE(m5_a_flood_of_checks_keeps_nobody_out),
		CASE(ice_and_dtls_together),
		CASE(we_begin_after_a_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
