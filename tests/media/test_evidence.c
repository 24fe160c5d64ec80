/* SPDX-License-Identifier: Apache-2.0
 * What the relay drops is told, in few words, and what is forged changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "relay_kit.h"

/* M2: an injected packet is dropped, and said with where it came from. */
static void test_m2_injection_is_told(void **state)
{
	(void)state;
	struct kit_call call;
	struct media_event event;
	kit_call_make(&call, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_NONE);
	call.stream.sides[0].learn_from = kit_address("127.0.1.1");
	kit_call_set(&call);
	kit_call_send(&call, 0);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	int stranger = kit_socket("127.0.1.9", 0);
	uint8_t packet[PACKET_ROOM];
	struct address local = kit_local(&call, 0, false), source = kit_socket_address(stranger);
	for (int i = 0; i < 20; i++)
		kit_send(stranger, &local, packet, rtp_make(packet, 1, (uint16_t)(50 + i)));
	uint32_t count = 0;
	while (count < 20) {
		assert_true(kit_event(MEDIA_FINDING, &event, WAIT_MS));
		assert_int_equal(event.session, call.stream.session);
		assert_int_equal(event.side, 0);
		/* Some are looked at: the phone itself might have moved. */
		assert_true(event.finding.drop == MEDIA_DROP_SOURCE || event.finding.drop == MEDIA_DROP_FORGED);
		assert_false(event.finding.proven);
		assert_true(address_equal(&event.finding.source, &source));
		assert_true(address_equal(&event.finding.local, &local));
		count += event.finding.count;
	}
	assert_int_equal(count, 20);
	assert_false(kit_call_receives(&call, 1, QUIET_MS));
	close(stranger);
	kit_call_free(&call);
}

/* M5: a BYE that anybody could have forged does not reach the phone; one with a tag does. */
static void test_m5_forged_bye(void **state)
{
	(void)state;
	static const enum srtp_suite suites[] = {SRTP_NONE, SRTP_AEAD_AES_128_GCM};
	for (int i = 0; i < 2; i++) {
		struct kit_call call;
		uint8_t packet[PACKET_ROOM];
		kit_call_make(&call, suites[i], SRTP_NONE);
		kit_call_set(&call);
		kit_call_send(&call, 0);
		assert_true(kit_call_receives(&call, 1, WAIT_MS));
		struct address local = kit_local(&call, 0, true);
		size_t length = hex_read("80c90001 00000001 81cb0001 00000001", packet);
		if (call.to_relay[0])
			assert_int_equal(srtcp_protect(call.to_relay[0], packet, &length), SRTP_OK);
		kit_send(call.rtcp[0], &local, packet, length);
		assert_int_equal(kit_receive(call.rtcp[1], packet, NULL, WAIT_MS), i ? 16 : 8);
		kit_expect_drops(&call, 0, MEDIA_DROP_BYE, !i);
		kit_call_send(&call, 0); /* and the call goes on */
		assert_true(kit_call_receives(&call, 1, WAIT_MS));
		kit_call_free(&call);
	}
}

#define RELAY_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RELAY_TEST(test_m2_injection_is_told),
		RELAY_TEST(test_m5_forged_bye),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
