/* SPDX-License-Identifier: Apache-2.0
 * Packets held against what was agreed (THREATS M4), and header extensions (M5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "media/budget.h"
#include "media/relay_private.h"
#include "relay_kit.h"

/* G.711, comfort noise and events, as the gate reckons it. */
static const struct media_budget g711 = {
	.payload_types = {[0] = 1 << 0, [1] = 1 << (13 - 8), [12] = 1 << (101 - 96)},
	.packets_per_s = 250,
	.kbps = 328,
	.packet_bytes = 2600,
};

static int passed(struct budget *budget, int packets, size_t length, uint64_t start_us, uint64_t step_us)
{
	int count = 0;
	for (int i = 0; i < packets; i++)
		count += budget_take(budget, length, start_us + (uint64_t)i * step_us) == MEDIA_DROP_COUNT;
	return count;
}

/* No honest phone loses a packet. */
static void test_m4_honest_phones(void **state)
{
	(void)state;
	struct budget budget = {0};
	budget_set(&budget, &g711);
	uint64_t now_us = UINT64_C(5000000000);
	assert_int_equal(passed(&budget, 5000, 172, now_us, 20000), 5000);
	assert_int_equal(passed(&budget, 10000, 92, now_us += 100000000, 10000), 10000); /* 10 ms */
	assert_int_equal(passed(&budget, 500, 172, now_us += 100000000, 0),
			 500);                                             /* ten seconds of a net that stood still */
	assert_int_equal(passed(&budget, 5000, 172, now_us, 20000), 5000); /* and on */
	assert_int_equal(passed(&budget, 100, 16, now_us += 100000000, 1000), 100); /* events, thrice */
	assert_int_equal(passed(&budget, 1, 2000, now_us + 60000000, 0), 1);        /* 240 ms in a packet */
}

static void test_m4_floods(void **state)
{
	(void)state;
	struct budget budget = {0};
	budget_set(&budget, &g711);
	/* By count: eight seconds' worth, then the pace. */
	assert_in_range(passed(&budget, 100000, 20, 10000000, 0), 1500, 2000);
	assert_in_range(passed(&budget, 100000, 20, 10000000, 100), 1800, 2500); /* ten seconds */
	/* By size: a tunnel in few, large packets. */
	budget = (struct budget){0};
	budget_set(&budget, &g711);
	int count = passed(&budget, 100000, 1400, 10000000, 1000);
	assert_in_range(count * UINT64_C(1400) * 8 / 104000, 200, 330); /* kbit/s */
	assert_int_equal(budget_take(&budget, 2601, UINT64_C(900000000)), MEDIA_DROP_SIZE);
}

static void test_m4_nothing_agreed(void **state)
{
	(void)state;
	struct budget budget = {0};
	budget_set(&budget, &(struct media_budget){0});
	assert_int_equal(passed(&budget, 100000, 2000, 0, 0), 100000);
	for (int type = 0; type < 128; type++)
		assert_true(budget_has_type(&budget, (uint8_t)type));
	budget_set(&budget, &g711);
	for (int type = 0; type < 128; type++)
		assert_int_equal(budget_has_type(&budget, (uint8_t)type), type == 0 || type == 13 || type == 101);
}

/* M4: what was not agreed does not cross; the call goes on, and the one beside it notices nothing. */
static void test_m4_relay(void **state)
{
	(void)state;
	struct kit_call call, neighbour;
	uint8_t packet[PACKET_ROOM];
	kit_call_make(&call, SRTP_NONE, SRTP_AEAD_AES_128_GCM);
	call.stream.budget = g711;
	kit_call_set(&call);
	kit_call_make(&neighbour, SRTP_NONE, SRTP_NONE);
	neighbour.stream.budget = g711;
	kit_call_set(&neighbour);
	struct address local = kit_local(&call, 0, false);

	kit_call_send(&call, 0);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	size_t length = rtp_make(packet, 1, 2);
	packet[1] = 96;
	kit_send(call.rtp[0], &local, packet, length);
	kit_expect_drops(&call, 0, MEDIA_DROP_PAYLOAD, 1);
	assert_false(kit_call_receives(&call, 1, 0));

	/* Well beyond the burst, in a moment. */
	uint64_t received = 0;
	for (int i = 0; i < 3000; i++) {
		kit_send(call.rtp[0], &local, packet, rtp_make(packet, 1, (uint16_t)(10 + i)));
		received += kit_receive(call.rtp[1], packet, NULL, i % 8 ? 0 : 2) >= 0;
		if (i % 200 == 0) {
			kit_call_send(&neighbour, 0);
			assert_true(kit_call_receives(&neighbour, 1, WAIT_MS));
		}
	}
	while (kit_receive(call.rtp[1], packet, NULL, QUIET_MS) >= 0)
		received++;
	assert_true(received < 2500);
	assert_true(kit_counters(&call, 0).drops[MEDIA_DROP_RATE] > 0);
	kit_call_send(&call, 1); /* the other direction has its own */
	assert_true(kit_call_receives(&call, 0, WAIT_MS));
	kit_call_free(&call);
	kit_call_free(&neighbour);
}

/* M5: no header extension crosses. */
static void test_m5_extensions(void **state)
{
	(void)state;
	struct kit_call call;
	uint8_t packet[PACKET_ROOM];
	struct rtp_header header;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	kit_call_set(&call);
	struct address local = kit_local(&call, 0, false);
	size_t length = hex_read("91000001 00000001 00000001 0000000a bede0001 10ff0000 01020304", packet);
	kit_send(call.rtp[0], &local, packet, length);
	length = (size_t)kit_receive(call.rtp[1], packet, NULL, WAIT_MS);
	assert_int_equal(length, 20); /* the list of contributors stays */
	assert_int_equal(packet[0], 0x81);
	assert_int_equal(rtp_parse(packet, length, &header), 0);
	assert_int_equal(header.payload_length, 4);
	assert_memory_equal(packet + header.payload_offset, "\1\2\3\4", 4);
	kit_call_free(&call);
}

/* Packets of 20 ms that come alternately `late_us` late; the jitter in us. */
static uint32_t jitter_of(struct relay_reception *reception, const uint8_t *clocks, uint8_t type, uint32_t rate,
			  uint64_t late_us)
{
	static uint64_t now_us = 5000000000;
	struct media_side_counters counters = {0};
	struct rtp_header header = {.payload_type = type, .sequence = (uint16_t)(reception->highest + 1), .ssrc = 7};
	for (int i = 0; i < 500; i++, now_us += 20000) {
		header.timestamp += rate / 50;
		relay_reception_count(reception, &header, clocks, now_us + (i % 2 ? late_us : 0), &counters);
		header.sequence++;
	}
	assert_int_equal(counters.lost, 0);
	return counters.jitter_us;
}

/* Jitter is the same whatever the codec counts in, and a change of payload type or a timestamp that leaps makes none. */
static void test_jitter_by_any_clock(void **state)
{
	(void)state;
	static const uint32_t rates[] = {8000, 16000, 44100, 48000, 90000};
	uint8_t clocks[MEDIA_TYPES] = {[101] = 0, [103] = MEDIA_CLOCK_UNKNOWN};
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct relay_reception reception = {0};
		clocks[96] = media_clock_code(rates[i]);
		assert_in_range(jitter_of(&reception, clocks, 96, rates[i], 4000), 3700, 4100);
		assert_in_range(jitter_of(&reception, clocks, 96, rates[i], 0), 0, 300);
		assert_in_range(jitter_of(&reception, clocks, 101, 8000, 0), 0, 300);
		assert_in_range(jitter_of(&reception, clocks, 101, 8000, 4000), 3700, 4100);
		assert_int_equal(jitter_of(&reception, clocks, 103, 12345, 4000), 0);
		assert_in_range(jitter_of(&reception, clocks, 96, rates[i], 4000), 3700, 4100);
	}
}

#define RELAY_TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_m4_honest_phones),  cmocka_unit_test(test_m4_floods),
		cmocka_unit_test(test_m4_nothing_agreed), RELAY_TEST(test_m4_relay),
		RELAY_TEST(test_m5_extensions),           cmocka_unit_test(test_jitter_by_any_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
