/* SPDX-License-Identifier: Apache-2.0
 * The relay with real sockets: what it carries, and what it refuses (THREATS M1, M2, M3). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "relay_kit.h"

static void assert_flows(struct kit_call *call)
{
	for (int side = 0; side < 2; side++) {
		kit_call_send(call, side);
		assert_true(kit_call_receives(call, !side, WAIT_MS));
	}
}

/* Every pair of suites, RTP and RTCP, both ways. */
static void test_every_pair_of_suites(void **state)
{
	(void)state;
	for (int a = 0; a < SRTP_SUITE_COUNT; a++) {
		for (int b = 0; b < SRTP_SUITE_COUNT; b++) {
			struct kit_call call;
			kit_call_make(&call, a, b);
			kit_call_set(&call);
			for (int round = 0; round < 3; round++) {
				assert_flows(&call);
				for (int side = 0; side < 2; side++) {
					kit_call_send_rtcp(&call, side);
					assert_true(kit_call_receives_rtcp(&call, !side, WAIT_MS));
				}
			}
			kit_call_free(&call);
		}
	}
}

static void test_ipv6(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_NONE, SRTP_AEAD_AES_128_GCM);
	close(call.rtp[0]);
	close(call.rtcp[0]);
	call.rtp[0] = kit_socket("[::1]", 0);
	call.rtcp[0] = kit_socket("[::1]", 0);
	uint16_t port = call.stream.sides[0].local.port;
	call.stream.sides[0].local = kit_address("[::1]");
	call.stream.sides[0].local.port = port;
	call.stream.sides[0].peer_rtp = kit_socket_address(call.rtp[0]);
	call.stream.sides[0].peer_rtcp = kit_socket_address(call.rtcp[0]);
	kit_call_set(&call);
	assert_flows(&call);
	kit_call_free(&call);
}

static void test_counters(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_NONE, SRTP_AES_CM_128_HMAC_SHA1_80);
	kit_call_set(&call);
	for (int i = 0; i < 10; i++)
		assert_flows(&call);
	call.sequence[0] += 5; /* five are lost on the way */
	assert_flows(&call);
	kit_call_send_rtcp(&call, 0);
	assert_true(kit_call_receives_rtcp(&call, 1, WAIT_MS));
	usleep(20000);
	struct media_side_counters a = kit_counters(&call, 0), b = kit_counters(&call, 1);
	assert_int_equal(a.packets_in, 11);
	assert_int_equal(a.bytes_in, 11 * RTP_BYTES);
	assert_int_equal(a.packets_out, 11);
	assert_int_equal(a.rtcp_in, 1);
	assert_int_equal(a.lost, 5);
	assert_int_equal(b.packets_in, 11);
	assert_int_equal(b.bytes_in, 11 * (RTP_BYTES + 10));
	assert_int_equal(b.lost, 0);
	for (int i = 0; i < MEDIA_DROP_COUNT; i++)
		assert_int_equal(a.drops[i] + b.drops[i], 0);
	struct media_side_counters none;
	assert_int_equal(media_counters(kit_relay, call.stream.session, 1, 0, &none), -ENOENT);
	assert_int_equal(media_counters(kit_relay, call.stream.session, 0, 2, &none), -ENOENT);
	assert_int_equal(media_counters(kit_relay, 999999, 0, 0, &none), -ENOENT);
	kit_call_free(&call);
}

/* M2: as signalled, and from nowhere else, be it the same host. */
static void test_foreign_source_refused(void **state)
{
	(void)state;
	static const enum srtp_suite suites[] = {SRTP_NONE, SRTP_AES_CM_128_HMAC_SHA1_80};
	for (int i = 0; i < 2; i++) {
		struct kit_call call;
		kit_call_make(&call, suites[i], SRTP_NONE);
		kit_call_set(&call);
		int stranger = kit_socket("127.0.1.9", 0), neighbour = kit_socket("127.0.1.1", 0);
		for (int time = 0; time < 2; time++) { /* before the first packet, and after */
			kit_call_send_from(&call, 0, stranger);
			kit_call_send_from(&call, 0, neighbour);
			assert_false(kit_call_receives(&call, 1, QUIET_MS));
			kit_call_send(&call, 1);
			assert_true(kit_call_receives(&call, 0, WAIT_MS)); /* nor does it go elsewhere */
			assert_flows(&call);
		}
		/* The kernel has done it: the relay was not even woken. */
		assert_int_equal(kit_counters(&call, 0).drops[MEDIA_DROP_SOURCE], 0);
		close(stranger);
		close(neighbour);
		kit_call_free(&call);
	}
}

/* Datagrams that were queued before the socket was connected do not slip through. */
static void test_foreign_source_queued_before_set(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	struct address none = {0}, peer = call.stream.sides[0].peer_rtp;
	int stranger = kit_socket("127.0.1.9", 0);
	call.stream.sides[0].peer_rtp = none;
	kit_call_set(&call);
	for (int round = 0; round < 50; round++) {
		/* The peer becomes known while the stranger sends. */
		for (int i = 0; i < 5; i++)
			kit_call_send_from(&call, 0, stranger);
		call.stream.sides[0].peer_rtp = round % 2 ? none : peer;
		assert_int_equal(media_stream_set(kit_relay, &call.stream), 0);
	}
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	close(stranger);
	kit_call_free(&call);
}

static void learn(struct kit_call *call, int side, const char *ip)
{
	/* The phone says a private address and port, and comes from the NAT's. */
	call->stream.sides[side].peer_rtp = kit_address("10.9.8.7:4000");
	call->stream.sides[side].peer_rtcp = kit_address("10.9.8.7:4001");
	call->stream.sides[side].learn_from = kit_address(ip);
}

/* M2: behind NAT the first packet from the phone's IP address locks, and only that. */
static void test_learning(void **state)
{
	(void)state;
	struct kit_call call;
	struct media_event event;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	learn(&call, 0, "127.0.1.1");
	kit_call_set(&call);
	int stranger = kit_socket("127.0.1.9", 0), neighbour = kit_socket("127.0.1.1", 0);
	struct address local = kit_local(&call, 0, false);

	kit_call_send_from(&call, 0, stranger); /* early theft */
	kit_send(neighbour, &local, "not RTP at all, from the right address", 38);
	kit_expect_drops(&call, 0, MEDIA_DROP_SOURCE, 1);
	kit_expect_drops(&call, 0, MEDIA_DROP_MALFORMED, 1);
	assert_false(kit_event(MEDIA_LOCKED, &event, 0));

	kit_call_send(&call, 0);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
	struct address phone = kit_socket_address(call.rtp[0]);
	assert_true(address_equal(&event.peer, &phone));
	assert_int_equal(event.session, call.stream.session);
	assert_int_equal(event.side, 0);
	kit_call_send_rtcp(&call, 0);
	assert_true(kit_call_receives_rtcp(&call, 1, WAIT_MS));
	kit_call_send_rtcp(&call, 1);
	assert_true(kit_call_receives_rtcp(&call, 0, WAIT_MS));

	/* Locked: not even another port of the same address. */
	for (int i = 0; i < 3; i++) {
		kit_call_send_from(&call, 0, stranger);
		kit_call_send_from(&call, 0, neighbour);
	}
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	assert_flows(&call);
	/* The same again keeps the lock; who does not know it is told again. */
	kit_call_set(&call);
	assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
	assert_true(address_equal(&event.peer, &phone));
	kit_call_send_from(&call, 0, neighbour);
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	assert_flows(&call);
	/* A new signalled address opens it again. */
	call.stream.sides[0].peer_rtp.port = 5000;
	kit_call_set(&call);
	kit_call_send_from(&call, 0, neighbour);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
	phone = kit_socket_address(neighbour);
	assert_true(address_equal(&event.peer, &phone));
	assert_false(kit_event(MEDIA_LOCKED, &event, 0));
	close(stranger);
	close(neighbour);
	kit_call_free(&call);
}

/* A phone behind NAT whose description names an address that is not believed: it is learned from where its signalling is. */
static void test_learning_without_signalled_address(void **state)
{
	(void)state;
	for (int suite = SRTP_NONE; suite < SRTP_SUITE_COUNT; suite++) {
		struct kit_call call;
		struct media_event event;
		kit_call_make(&call, suite, SRTP_NONE);
		call.stream.sides[0].peer_rtp = call.stream.sides[0].peer_rtcp = (struct address){0};
		call.stream.sides[0].learn_from = kit_address("127.0.1.1");
		kit_call_set(&call);
		int stranger = kit_socket("127.0.1.9", 0);

		kit_call_send(&call, 1); /* there is nobody to send it to yet */
		kit_expect_drops(&call, 1, MEDIA_DROP_NO_PEER, 1);
		if (suite == SRTP_NONE) { /* with keys it would be the phone */
			kit_call_send_from(&call, 0, stranger);
			kit_expect_drops(&call, 0, MEDIA_DROP_SOURCE, 1);
		}
		assert_flows(&call);
		assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
		close(stranger);
		kit_call_free(&call);
	}
}

/* The signalled address is as good as the learned one. */
static void test_learning_signalled_address(void **state)
{
	(void)state;
	struct kit_call call;
	struct media_event event;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	call.stream.sides[0].learn_from = kit_address("127.0.1.77");
	kit_call_set(&call);
	kit_call_send(&call, 1); /* before anything is learned we send where it was said */
	assert_true(kit_call_receives(&call, 0, WAIT_MS));
	assert_flows(&call);
	assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
	int late = kit_socket("127.0.1.77", 0);
	kit_call_send_from(&call, 0, late);
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	close(late);
	kit_call_free(&call);
}

/* With SRTP a valid tag locks, and later moves the peer to another port; a forged or replayed packet does neither. */
static void test_learning_with_srtp(void **state)
{
	(void)state;
	for (int suite = SRTP_NONE + 1; suite < SRTP_SUITE_COUNT; suite++) {
		struct kit_call call;
		struct media_event event;
		uint8_t packet[PACKET_ROOM];
		kit_call_make(&call, suite, SRTP_NONE);
		learn(&call, 0, "127.0.1.1");
		kit_call_set(&call);
		int neighbour = kit_socket("127.0.1.1", 0), stranger = kit_socket("127.0.1.9", 0);
		struct address local = kit_local(&call, 0, false);

		size_t length = rtp_make(packet, 1, 1);
		kit_send(neighbour, &local, packet, length); /* in the clear */
		kit_expect_drops(&call, 0, MEDIA_DROP_FORGED, 1);
		assert_false(kit_event(MEDIA_LOCKED, &event, 0));
		assert_flows(&call);
		assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));

		/* Forged from a neighbour: nothing moves. */
		length = rtp_make(packet, 1, 100);
		kit_send(neighbour, &local, packet, length);
		kit_expect_drops(&call, 0, MEDIA_DROP_FORGED, 2);
		/* A recorded packet that is new to the window but older than the last. */
		length = rtp_make(packet, 1, ++call.sequence[0]);
		assert_int_equal(srtp_protect(call.to_relay[0], packet, &length), SRTP_OK);
		kit_call_send(&call, 0);
		assert_true(kit_call_receives(&call, 1, WAIT_MS));
		kit_send(neighbour, &local, packet, length);
		kit_expect_drops(&call, 0, MEDIA_DROP_SOURCE, 1);
		/* Forged from a stranger's address: one in a while is looked at, and nothing moves. */
		for (int i = 0; i < 10; i++)
			kit_send(stranger, &local, packet, rtp_make(packet, 1, 200));
		usleep(2 * 20000);
		struct media_side_counters counters = kit_counters(&call, 0);
		assert_in_range(counters.drops[MEDIA_DROP_SOURCE], 6, 10);
		assert_int_equal(counters.drops[MEDIA_DROP_SOURCE] + counters.drops[MEDIA_DROP_FORGED], 13);
		kit_call_send(&call, 1);
		assert_true(kit_call_receives(&call, 0, WAIT_MS)); /* still there */
		assert_false(kit_event(MEDIA_LOCKED, &event, 0));

		/* The NAT has given the phone another port. */
		kit_call_send_from(&call, 0, neighbour);
		assert_true(kit_call_receives(&call, 1, WAIT_MS));
		assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
		close(call.rtp[0]);
		call.rtp[0] = neighbour;
		assert_flows(&call);

		/* The phone has come to another network, and has its keys still. */
		usleep(2 * 20000);
		kit_call_send_from(&call, 0, stranger);
		assert_true(kit_call_receives(&call, 1, WAIT_MS));
		assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
		close(call.rtp[0]);
		call.rtp[0] = stranger;
		assert_flows(&call);
		kit_call_free(&call);
	}
}

/* M3. */
static void test_replay_dropped(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t packet[PACKET_ROOM];
	kit_call_make(&call, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AEAD_AES_256_GCM);
	kit_call_set(&call);
	struct address local = kit_local(&call, 0, false), local_rtcp = kit_local(&call, 0, true);
	size_t length = rtp_make(packet, 1, ++call.sequence[0]);
	assert_int_equal(srtp_protect(call.to_relay[0], packet, &length), SRTP_OK);
	kit_send(call.rtp[0], &local, packet, length);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	kit_send(call.rtp[0], &local, packet, length);
	kit_expect_drops(&call, 0, MEDIA_DROP_REPLAYED, 1);
	/* The stream set again does not open the window. */
	kit_call_set(&call);
	kit_send(call.rtp[0], &local, packet, length);
	kit_expect_drops(&call, 0, MEDIA_DROP_REPLAYED, 2);

	length = rtcp_make(packet, 1, 9);
	assert_int_equal(srtcp_protect(call.to_relay[0], packet, &length), SRTP_OK);
	kit_send(call.rtcp[0], &local_rtcp, packet, length);
	assert_true(kit_call_receives_rtcp(&call, 1, WAIT_MS));
	kit_send(call.rtcp[0], &local_rtcp, packet, length);
	kit_expect_drops(&call, 0, MEDIA_DROP_REPLAYED, 3);
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	assert_flows(&call);
	kit_call_free(&call);
}

/* M1: nothing in the clear enters a side that has SRTP. */
static void test_clear_refused(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t packet[PACKET_ROOM];
	kit_call_make(&call, SRTP_AES_CM_128_HMAC_SHA1_32, SRTP_NONE);
	kit_call_set(&call);
	struct address local = kit_local(&call, 0, false), local_rtcp = kit_local(&call, 0, true);
	kit_send(call.rtp[0], &local, packet, rtp_make(packet, 1, 1));
	kit_expect_drops(&call, 0, MEDIA_DROP_FORGED, 1);
	/* A BYE in the clear under mandatory SRTP. */
	size_t length = rtcp_make(packet, 1, 9);
	memcpy(packet + length, "\x81\xcb\x00\x01\x00\x00\x00\x01", 8);
	kit_send(call.rtcp[0], &local_rtcp, packet, length + 8);
	kit_expect_drops(&call, 0, MEDIA_DROP_CLEAR, 1);
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	assert_false(kit_call_receives_rtcp(&call, 1, 0));
	kit_call_free(&call);
}

static void test_malformed_and_oversize_dropped(void **state)
{
	(void)state;
	struct kit_call call;
	static uint8_t big[4000];
	kit_call_make(&call, SRTP_NONE, SRTP_AEAD_AES_128_GCM);
	kit_call_set(&call);
	struct address local = kit_local(&call, 0, false), local_rtcp = kit_local(&call, 0, true);
	big[0] = 0x80;
	kit_send(call.rtp[0], &local, big, 0);
	kit_send(call.rtp[0], &local, big, 11);
	kit_send(call.rtp[0], &local, big + 1, 100);
	kit_expect_drops(&call, 0, MEDIA_DROP_MALFORMED, 3);
	kit_send(call.rtcp[0], &local_rtcp, big, 100); /* RTP where RTCP is due */
	kit_expect_drops(&call, 0, MEDIA_DROP_MALFORMED, 4);
	kit_send(call.rtp[0], &local, big, 2049);
	kit_send(call.rtp[0], &local, big, sizeof(big));
	kit_expect_drops(&call, 0, MEDIA_DROP_SIZE, 2);
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	kit_send(call.rtp[0], &local, big, 2048); /* the largest, with a tag on top */
	uint8_t packet[PACKET_ROOM];
	assert_int_equal(kit_receive(call.rtp[1], packet, NULL, WAIT_MS), 2048 + 16);
	kit_call_free(&call);
}

/* On hold nothing passes, and the roll-over counter keeps pace with what comes. */
static void test_direction(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_NONE);
	call.stream.sides[0].may_send = false;
	kit_call_set(&call);
	for (int i = 0; i < 5; i++) {
		call.sequence[0] += 20000;
		kit_call_send(&call, 0);
		kit_expect_drops(&call, 0, MEDIA_DROP_DIRECTION, (uint64_t)i + 1);
	}
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	kit_call_send_rtcp(&call, 0);
	assert_true(kit_call_receives_rtcp(&call, 1, WAIT_MS));
	kit_call_send(&call, 1);
	assert_true(kit_call_receives(&call, 0, WAIT_MS));
	call.stream.sides[0].may_send = true;
	kit_call_set(&call);
	assert_flows(&call);
	kit_call_free(&call);
}

static void test_no_peer_yet(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	struct address peer = call.stream.sides[1].peer_rtp;
	call.stream.sides[1].peer_rtp = (struct address){0};
	kit_call_set(&call);
	kit_call_send(&call, 0);
	kit_expect_drops(&call, 0, MEDIA_DROP_NO_PEER, 1);
	kit_call_send(&call, 1);
	kit_expect_drops(&call, 1, MEDIA_DROP_SOURCE, 1);
	call.stream.sides[1].peer_rtp = peer;
	kit_call_set(&call);
	assert_flows(&call);
	kit_call_free(&call);
}

/* Set again with other things changed: the untouched direction does not miss a packet, counters go on. */
static void test_set_again_keeps_flow(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t key[SRTP_KEY_MAXIMUM];
	kit_call_make(&call, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_AES_256_CM_HMAC_SHA1_80);
	call.sequence[0] = 65500;
	kit_call_set(&call);
	for (int i = 0; i < 100; i++) { /* across a roll-over */
		assert_int_equal(media_stream_set(kit_relay, &call.stream), 0);
		assert_flows(&call);
	}
	/* New keys for one side (a re-INVITE); the other's are kept. */
	key_make(key, 222);
	memcpy(call.stream.sides[1].key_in, key, sizeof(key));
	call.stream.sides[1].suite_in = SRTP_AEAD_AES_256_GCM;
	assert_int_equal(srtp_context_rekey(call.to_relay[1], SRTP_AEAD_AES_256_GCM, key), 0);
	kit_call_set(&call);
	assert_flows(&call);
	/* The other phone moves to another port. */
	close(call.rtp[1]);
	call.rtp[1] = kit_socket("127.0.1.3", 0);
	call.stream.sides[1].peer_rtp = kit_socket_address(call.rtp[1]);
	kit_call_set(&call);
	assert_flows(&call);
	/* From SRTP to RTP, as the gate says. */
	call.stream.sides[0].suite_in = call.stream.sides[0].suite_out = SRTP_NONE;
	srtp_context_free(call.to_relay[0]);
	srtp_context_free(call.from_relay[0]);
	call.to_relay[0] = call.from_relay[0] = NULL;
	kit_call_set(&call);
	assert_flows(&call);
	assert_int_equal(kit_counters(&call, 0).packets_in, 103);
	assert_int_equal(kit_counters(&call, 0).lost, 0);
	/* Other local ports. */
	call.stream.sides[0].local.port = kit_port_pair();
	kit_call_set(&call);
	assert_flows(&call);
	kit_call_free(&call);
}

/* A phone that has gone away answers with ICMP: the other direction does not notice. */
static void test_peer_gone(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	kit_call_set(&call);
	struct address where = kit_socket_address(call.rtp[1]);
	close(call.rtp[1]);
	for (int i = 0; i < 10; i++) {
		kit_call_send(&call, 0);
		usleep(1000);
	}
	call.rtp[1] = kit_socket("127.0.1.2", where.port);
	assert_flows(&call);
	assert_int_equal(kit_counters(&call, 0).packets_in, 11);
	kit_call_free(&call);
}

static void test_muxed_rtcp(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t packet[PACKET_ROOM];
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	call.stream.sides[0].peer_rtcp = call.stream.sides[0].peer_rtp;
	call.stream.sides[0].rtcp_mux = true;
	kit_call_set(&call);
	struct address local = kit_local(&call, 0, false);
	kit_send(call.rtp[0], &local, packet, rtcp_make(packet, 1, 9));
	assert_true(kit_call_receives_rtcp(&call, 1, WAIT_MS));
	kit_call_send_rtcp(&call, 1);
	ptrdiff_t length = kit_receive(call.rtp[0], packet, NULL, WAIT_MS);
	assert_true(length > 0 && rtcp_is(packet, (size_t)length));
	assert_int_equal(rtcp_check(packet, (size_t)length), 0);
	assert_flows(&call);
	assert_int_equal(kit_counters(&call, 0).rtcp_in, 1);
	kit_call_free(&call);
}

/* Takes into the declaration what was told, as the gate does. Returns how often. */
static int take_in(struct kit_call *call)
{
	struct media_event event;
	int count = 0;
	for (; kit_event(MEDIA_ROLL_OVER, &event, count ? 0 : QUIET_MS); count++) {
		struct media_side *side = &call->stream.sides[event.side];
		*(event.outward ? side->roll_overs_out : side->roll_overs_in) = event.roll_over;
	}
	return count;
}

/* A relay that takes a dead one's place goes on with the keys, whatever the sequence numbers, and with the phone behind NAT:
 * sound comes at once, and nobody else is learned. */
static void test_another_relay_takes_over(void **state)
{
	for (int suite = SRTP_NONE; suite < SRTP_SUITE_COUNT; suite += 3) {
		struct kit_call call;
		struct media_event event;
		kit_call_make(&call, suite, SRTP_AEAD_AES_128_GCM);
		learn(&call, 0, "127.0.1.1");
		call.sequence[0] = 65530;
		call.sequence[1] = 32760;
		kit_call_set(&call);
		for (int i = 0; i < 3; i++)
			assert_flows(&call);
		usleep(210000); /* the pace of what is told */
		for (int i = 0; i < 12; i++)
			assert_flows(&call);
		assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
		call.stream.sides[0].locked = event.peer;
		kit_call_set(&call); /* everything is told again */
		assert_flows(&call);
		assert_false(kit_event(MEDIA_LOCKED, &event, 0));
		usleep(210000);
		assert_flows(&call);
		assert_in_range(take_in(&call), suite ? 4 : 2, 16);
		assert_int_equal(call.stream.sides[1].roll_overs_out[0].index >> 16, 1);
		assert_int_equal(call.stream.sides[1].roll_overs_in[0].index >> 15, 1);

		kit_teardown(state);
		assert_int_equal(kit_setup(state), 0);
		kit_call_set(&call);
		assert_true(kit_event(MEDIA_LOCKED, &event, WAIT_MS));
		assert_true(address_equal(&event.peer, &call.stream.sides[0].locked));
		if (!suite) {
			int neighbour = kit_socket("127.0.1.1", 0);
			kit_call_send_from(&call, 0, neighbour); /* the kernel knows whom to listen to */
			assert_false(kit_call_receives(&call, 1, QUIET_MS));
			close(neighbour);
		}
		kit_call_send(&call, 1); /* the phone has not sent anything yet */
		assert_true(kit_call_receives(&call, 0, WAIT_MS));
		for (int i = 0; i < 5; i++)
			assert_flows(&call);
		kit_call_free(&call);
	}
}

/* A sender who leaps through its sequence numbers keeps nobody busy. */
static void test_roll_overs_are_told_rarely(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_NONE, SRTP_AES_CM_128_HMAC_SHA1_80);
	kit_call_set(&call);
	for (int i = 0; i < 50; i++) {
		call.sequence[0] = (uint16_t)(call.sequence[0] + 0x7000);
		kit_call_send(&call, 0);
		assert_true(kit_call_receives(&call, 1, WAIT_MS));
	}
	assert_in_range(take_in(&call), 1, 5);
	kit_call_free(&call);
}

static void test_datagrams(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t packet[PACKET_ROOM];
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	call.stream.kind = MEDIA_DATAGRAM;
	kit_call_set(&call);
	struct address local = kit_local(&call, 0, false);
	kit_send(call.rtp[0], &local, "UDPTL", 5);
	assert_int_equal(kit_receive(call.rtp[1], packet, NULL, WAIT_MS), 5);
	assert_memory_equal(packet, "UDPTL", 5);
	int stranger = kit_socket("127.0.1.9", 0);
	kit_send(stranger, &local, "UDPTL", 5);
	assert_int_equal(kit_receive(call.rtp[1], packet, NULL, QUIET_MS), -1);
	close(stranger);
	/* From fax back to voice on the same m-line. */
	call.stream.kind = MEDIA_RTP;
	kit_call_set(&call);
	assert_flows(&call);
	kit_call_send_rtcp(&call, 0);
	assert_true(kit_call_receives_rtcp(&call, 1, WAIT_MS));
	kit_call_free(&call);
}

static void test_silence(void **state)
{
	(void)state;
	struct kit_call call;
	struct media_event event;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	call.stream.silence_timeout_ms = 600;
	call.stream.sides[0].may_send = call.stream.sides[1].may_send = false;
	kit_call_set(&call);
	assert_false(kit_event(MEDIA_SILENCE, &event, 1000)); /* nobody may send: nothing is missing */
	call.stream.sides[0].may_send = call.stream.sides[1].may_send = true;
	kit_call_set(&call);
	for (int i = 0; i < 8; i++) {
		usleep(100000);
		assert_flows(&call);
	}
	assert_false(kit_event(MEDIA_SILENCE, &event, 0));
	assert_true(kit_event(MEDIA_SILENCE, &event, 1200));
	assert_int_equal(event.session, call.stream.session);
	assert_false(kit_event(MEDIA_SILENCE, &event, 1000)); /* once */
	assert_flows(&call);
	usleep(250000);
	assert_true(kit_event(MEDIA_SILENCE, &event, 1200)); /* and again after a sign of life */
	kit_call_free(&call);
}

static void test_port_unavailable(void **state)
{
	(void)state;
	struct kit_call call;
	struct media_event event;
	for (int rtcp = 0; rtcp < 2; rtcp++) {
		kit_call_make(&call, SRTP_NONE, SRTP_NONE);
		struct address taken = kit_local(&call, 1, rtcp);
		int squatter = kit_socket("127.0.0.1", taken.port);
		kit_call_set(&call);
		assert_true(kit_event(MEDIA_PORT_UNAVAILABLE, &event, WAIT_MS));
		assert_int_equal(event.session, call.stream.session);
		assert_int_equal(event.side, 1);
		assert_true(address_equal(&event.peer, &call.stream.sides[1].local));
		kit_call_send(&call, 0);
		kit_expect_drops(&call, 0, MEDIA_DROP_NO_PEER, 1);
		/* Asked for again, it is tried again. */
		kit_call_set(&call);
		assert_true(kit_event(MEDIA_PORT_UNAVAILABLE, &event, WAIT_MS));
		/* The gate chooses another. */
		call.stream.sides[1].local.port = kit_port_pair();
		kit_call_set(&call);
		assert_flows(&call);
		assert_false(kit_event(MEDIA_PORT_UNAVAILABLE, &event, QUIET_MS));
		close(squatter);
		kit_call_free(&call);
	}
}

/* A port that another session is just leaving is waited for. */
static void test_port_reused_at_once(void **state)
{
	(void)state;
	struct kit_call call;
	struct media_event event;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	int squatter = kit_socket("127.0.0.1", call.stream.sides[0].local.port);
	call.stream.sides[0].learn_from = kit_address("127.0.1.1");
	kit_call_set(&call);
	close(squatter);
	assert_false(kit_event(MEDIA_PORT_UNAVAILABLE, &event, 500));
	assert_flows(&call);
	for (int i = 0; i < 50; i++) {
		media_session_close(kit_relay, call.stream.session);
		call.stream.session += 1000; /* another session, maybe on another worker */
		assert_int_equal(media_stream_set(kit_relay, &call.stream), 0);
	}
	assert_false(kit_event(MEDIA_PORT_UNAVAILABLE, &event, 700));
	assert_flows(&call);
	kit_call_free(&call);
}

static void test_closing(void **state)
{
	(void)state;
	struct kit_call calls[2];
	for (int i = 0; i < 2; i++) {
		kit_call_make(&calls[i], SRTP_NONE, SRTP_NONE);
		kit_call_set(&calls[i]);
	}
	assert_int_equal(media_sessions_alive(kit_relay), 2);
	calls[0].stream.index = 3; /* a second stream of the same session would have other ports */
	for (int side = 0; side < 2; side++)
		calls[0].stream.sides[side].local.port = kit_port_pair();
	kit_call_set(&calls[0]);
	assert_flows(&calls[0]);
	assert_int_equal(media_sessions_alive(kit_relay), 2);
	media_stream_close(kit_relay, calls[0].stream.session, 3);
	media_stream_close(kit_relay, calls[0].stream.session, 3);
	usleep(30000);
	kit_call_send(&calls[0], 0);
	assert_false(kit_call_receives(&calls[0], 1, QUIET_MS));
	assert_flows(&calls[1]);
	media_sessions_clear(kit_relay);
	assert_int_equal(media_sessions_alive(kit_relay), 0);
	usleep(30000);
	kit_call_send(&calls[1], 0);
	assert_false(kit_call_receives(&calls[1], 1, QUIET_MS));
	kit_call_set(&calls[1]);
	assert_flows(&calls[1]);
	for (int i = 0; i < 2; i++)
		kit_call_free(&calls[i]);
}

/* A new gate sets the streams that it knows of: they play on, the others are closed. */
static void test_mark_and_sweep(void **state)
{
	(void)state;
	struct kit_call calls[3];
	struct media_event event;
	for (int i = 0; i < 3; i++) {
		kit_call_make(&calls[i], i ? SRTP_AES_CM_128_HMAC_SHA1_80 : SRTP_NONE, SRTP_NONE);
		kit_call_set(&calls[i]);
		assert_flows(&calls[i]);
	}
	struct media_stream second = calls[0].stream;
	second.index = 2;
	for (int side = 0; side < 2; side++)
		second.sides[side].local.port = kit_port_pair();
	assert_int_equal(media_stream_set(kit_relay, &second), 0);
	assert_int_equal(media_sessions_alive(kit_relay), 3);
	media_sessions_mark(kit_relay);
	for (int i = 0; i < 3; i++)
		assert_flows(&calls[i]);
	kit_call_set(&calls[0]);
	kit_call_set(&calls[1]);
	for (int i = 0; i < 3; i++)
		assert_flows(&calls[i]);
	media_sessions_sweep(kit_relay);
	assert_int_equal(media_sessions_alive(kit_relay), 2);
	usleep(30000);
	assert_flows(&calls[0]);
	assert_flows(&calls[1]);
	kit_call_send(&calls[2], 0);
	assert_false(kit_call_receives(&calls[2], 1, QUIET_MS));
	/* The second stream's ports are free again. */
	int socket = kit_socket("127.0.0.1", second.sides[0].local.port);
	assert_true(socket >= 0);
	close(socket);
	assert_false(kit_event(MEDIA_PORT_UNAVAILABLE, &event, 0));
	assert_int_equal(kit_counters(&calls[1], 0).lost, 0);
	for (int i = 0; i < 3; i++)
		kit_call_free(&calls[i]);
}

static void test_bounds(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	const struct media_stream good = call.stream;
#define REFUSED(change) \
	do { \
		struct media_stream bad = good; \
		change; \
		assert_int_equal(media_stream_set(kit_relay, &bad), -EINVAL); \
	} while (0)
	REFUSED(bad.index = MEDIA_STREAMS_MAXIMUM);
	REFUSED(bad.kind = 2);
	REFUSED(bad.sides[0].local.port++);
	REFUSED(bad.sides[0].local.port = 0);
	REFUSED(bad.sides[1].local = (struct address){0});
	REFUSED(bad.sides[1].suite_in = SRTP_SUITE_COUNT);
	REFUSED(bad.sides[1].suite_out = 255);
	REFUSED(bad.kind = MEDIA_DATAGRAM; bad.sides[0].suite_in = 1);
	REFUSED(bad.sides[0].peer_rtp = kit_address("[::1]:4000"));
	REFUSED(bad.sides[0].peer_rtcp.port = 0);
	/* A peer that is one of our own ports: a packet would go round for ever. */
	REFUSED(bad.sides[0].peer_rtp = bad.sides[1].local);
	REFUSED(bad.sides[0].peer_rtcp = bad.sides[1].local; bad.sides[0].peer_rtcp.port++);
#undef REFUSED
	assert_int_equal(media_sessions_alive(kit_relay), 0);
	for (uint64_t i = 0; i < 100; i++) {
		call.stream.session = 5000 + i;
		call.stream.sides[0].peer_rtp = (struct address){0};
		assert_int_equal(media_stream_set(kit_relay, &call.stream), 0);
	}
	call.stream.session = 9000;
	assert_int_equal(media_stream_set(kit_relay, &call.stream), -ENOSPC);
	call.stream.session = 5000; /* what is there can still be changed */
	assert_int_equal(media_stream_set(kit_relay, &call.stream), 0);
	media_session_close(kit_relay, 5001);
	call.stream.session = 9000;
	assert_int_equal(media_stream_set(kit_relay, &call.stream), 0);
	media_sessions_clear(kit_relay);
	kit_call_free(&call);
	assert_null(media_relay_new(65, 1, NULL));
	media_relay_free(NULL);
}

/* The callee's phone sends from the first moment: many calls open and close under load without a stray packet. */
static void test_many_calls_come_and_go(void **state)
{
	(void)state;
	for (int round = 0; round < 5; round++) {
		static struct kit_call calls[20];
		for (int i = 0; i < 20; i++) {
			kit_call_make(&calls[i], i % SRTP_SUITE_COUNT, (i / 3) % SRTP_SUITE_COUNT);
			assert_int_equal(media_stream_set(kit_relay, &calls[i].stream), 0);
		}
		usleep(20000);
		for (int i = 0; i < 20; i++)
			assert_flows(&calls[i]);
		for (int i = 0; i < 20; i++) {
			kit_call_send(&calls[i], 0);
			kit_call_free(&calls[i]);
		}
	}
	assert_int_equal(media_sessions_alive(kit_relay), 0);
}

/* Setting a stream with failing memory: refused or carried out, never half. */
static void test_memory_fails(void **state)
{
	(void)state;
	struct kit_call call;
	kit_call_make(&call, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_NONE);
	int result = -ENOSPC;
	for (long after = 0; result == -ENOSPC; after++) {
		memory_fail_after(after);
		result = media_stream_set(kit_relay, &call.stream);
		usleep(20000); /* the worker's own allocations may fail too: then its packets are refused */
		memory_fail_after(-1);
		assert_true(after < 20);
	}
	assert_int_equal(result, 0);
	kit_call_set(&call);
	assert_flows(&call);
	kit_call_free(&call);

	struct media_relay *relay = NULL;
	for (long after = 0; !relay; after++) {
		memory_fail_after(after);
		relay = media_relay_new(2, 10, NULL);
		memory_fail_after(-1);
	}
	media_relay_free(relay);
}

static void test_drop_names(void **state)
{
	(void)state;
	for (int i = 0; i < MEDIA_DROP_COUNT; i++)
		assert_non_null(media_drop_name(i));
	assert_string_equal(media_drop_name(MEDIA_DROP_NO_PEER), "no_peer");
	assert_string_equal(media_drop_name(MEDIA_DROP_COUNT), "unknown");
}

#define RELAY_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_every_pair_of_suites),
		RELAY_TEST(test_ipv6),
		RELAY_TEST(test_counters),
		RELAY_TEST(test_foreign_source_refused),
		RELAY_TEST(test_foreign_source_queued_before_set),
		RELAY_TEST(test_learning),
		RELAY_TEST(test_learning_without_signalled_address),
		RELAY_TEST(test_learning_signalled_address),
		RELAY_TEST(test_learning_with_srtp),
		RELAY_TEST(test_replay_dropped),
		RELAY_TEST(test_clear_refused),
		RELAY_TEST(test_malformed_and_oversize_dropped),
		RELAY_TEST(test_direction),
		RELAY_TEST(test_no_peer_yet),
		RELAY_TEST(test_set_again_keeps_flow),
		RELAY_TEST(test_peer_gone),
		RELAY_TEST(test_muxed_rtcp),
		RELAY_TEST(test_another_relay_takes_over),
		RELAY_TEST(test_roll_overs_are_told_rarely),
		RELAY_TEST(test_datagrams),
		RELAY_TEST(test_silence),
		RELAY_TEST(test_port_unavailable),
		RELAY_TEST(test_port_reused_at_once),
		RELAY_TEST(test_closing),
		RELAY_TEST(test_mark_and_sweep),
		RELAY_TEST(test_bounds),
		RELAY_TEST(test_many_calls_come_and_go),
		RELAY_TEST(test_memory_fails),
		RELAY_TEST(test_drop_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
