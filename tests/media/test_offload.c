/* SPDX-License-Identifier: Apache-2.0
 * What is published to the kernel, and when: with memory files where the kernel's maps would be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "bpf/abi.h"
#include "relay_kit.h"

#define PORT_FIRST 10000
#define PORT_LAST 30001
#define FLOWS ((PORT_LAST - PORT_FIRST) / 2 + 1)

static struct datapath_flow *flows;

/* The relay gets the whole of 127.0.0.1. */
static int setup(void **state)
{
	struct datapath_sites table = {.abi = DATAPATH_ABI, .count = 1, .flow_count = FLOWS};
	int sites = memfd_create("sites", MFD_CLOEXEC), memory = memfd_create("flows", MFD_CLOEXEC), result;

	table.sites[0] = (struct datapath_site){
		.ip = {127, 0, 0, 1}, .family = DATAPATH_IPV4, .port_first = PORT_FIRST, .port_last = PORT_LAST};
	if (kit_setup(state) || write(sites, &table, sizeof(table)) != (ssize_t)sizeof(table) ||
	    ftruncate(memory, FLOWS * sizeof(*flows)))
		return -1;
	flows = mmap(NULL, FLOWS * sizeof(*flows), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	result = flows == MAP_FAILED ? -1 : media_relay_offload(kit_relay, memory, sites, NULL);
	close(sites);
	close(memory);
	return result;
}

static int teardown(void **state)
{
	int result = kit_teardown(state);

	for (int i = 0; i < FLOWS; i++) /* nothing is left for the kernel to do */
		result |= flows[i].way != DATAPATH_STACK || flows[i].generation & 1;
	munmap(flows, FLOWS * sizeof(*flows));
	return result;
}

static struct datapath_flow *flow_of(const struct kit_call *call, int side)
{
	return &flows[(call->stream.sides[side].local.port - PORT_FIRST) / 2];
}

static bool is_published(const struct kit_call *call, bool wanted)
{
	for (int wait_ms = 0; wait_ms < WAIT_MS; wait_ms += 5) {
		if (flow_of(call, 0)->way == (wanted ? DATAPATH_KERNEL : DATAPATH_STACK) &&
		    flow_of(call, 1)->way == (wanted ? DATAPATH_KERNEL : DATAPATH_STACK))
			return true;
		usleep(5000);
	}
	return false;
}

static void plain_rtp_between_locked_peers_is_published(void **state)
{
	struct kit_call call;

	(void)state;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	kit_call_set(&call);
	assert_true(is_published(&call, true));
	for (int side = 0; side < 2; side++) {
		const struct datapath_flow *flow = flow_of(&call, side);
		const struct media_side *own = &call.stream.sides[side], *other = &call.stream.sides[!side];

		assert_int_equal(ntohs(flow->peer_port), own->peer_rtp.port);
		assert_memory_equal(flow->peer_ip, own->peer_rtp.ip, sizeof(flow->peer_ip));
		assert_int_equal(ntohs(flow->out_port), other->local.port);
		assert_int_equal(ntohs(flow->to_port), other->peer_rtp.port);
		assert_memory_equal(flow->to_ip, other->peer_rtp.ip, sizeof(flow->to_ip));
		assert_int_equal(flow->generation & 1, 0);
	}
	kit_call_send(&call, 0); /* the sockets go on all the same */
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	assert_int_equal(flow_of(&call, 0)->reception.is_started, 1);
	kit_call_free(&call);
}

static void a_stream_on_hold_is_withdrawn(void **state)
{
	struct kit_call call;

	(void)state;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	kit_call_set(&call);
	assert_true(is_published(&call, true));
	call.stream.sides[0].may_send = call.stream.sides[1].may_send = false;
	kit_call_set(&call);
	assert_true(is_published(&call, false));
	call.stream.sides[0].may_send = call.stream.sides[1].may_send = true;
	kit_call_set(&call);
	assert_true(is_published(&call, true));
	media_stream_close(kit_relay, call.stream.session, call.stream.index);
	assert_true(is_published(&call, false));
	kit_call_free(&call);
}

static void what_is_encrypted_stays_with_the_sockets(void **state)
{
	struct kit_call call;

	(void)state;
	kit_call_make(&call, SRTP_AES_CM_128_HMAC_SHA1_80, SRTP_NONE);
	kit_call_set(&call);
	kit_call_send(&call, 0);
	assert_true(kit_call_receives(&call, 1, WAIT_MS));
	usleep(QUIET_MS * 1000);
	assert_false(flow_of(&call, 0)->way || flow_of(&call, 1)->way);
	kit_call_free(&call);
}

/* As the kernel would have counted. */
static void what_the_kernel_did_is_counted(void **state)
{
	struct media_side_counters counters = {0};
	struct kit_call call;

	(void)state;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	kit_call_set(&call);
	assert_true(is_published(&call, true));
	flow_of(&call, 0)->reception = (struct datapath_reception){
		.ssrc = 1, .highest = 107, .is_started = 1, .expected = 107, .received = 100};
	flow_of(&call, 0)->counters.bytes = 17200;
	flow_of(&call, 0)->counters.foreign = 3;
	flow_of(&call, 0)->counters.over_rate = 2;
	__atomic_store_n(&flow_of(&call, 0)->counters.packets, 100, __ATOMIC_SEQ_CST);
	for (int wait_ms = 0; wait_ms < WAIT_MS && !counters.packets_in; wait_ms += 5) {
		usleep(5000);
		counters = kit_counters(&call, 0);
	}
	usleep(10000);
	counters = kit_counters(&call, 0);
	assert_int_equal(counters.packets_in, 100);
	assert_int_equal(counters.bytes_in, 17200);
	assert_int_equal(counters.lost, 7);
	assert_int_equal(counters.drops[MEDIA_DROP_SOURCE], 3);
	assert_int_equal(counters.drops[MEDIA_DROP_RATE], 2);
	assert_int_equal(kit_counters(&call, 1).packets_out, 100);
	assert_int_equal(flow_of(&call, 0)->counters.packets, 0);
	kit_call_free(&call);
}

/* By a process that died: in the middle of writing, or with flows that nobody knows any more. */
static void what_a_dead_process_left_is_swept(void **state)
{
	struct kit_call call;

	(void)state;
	kit_call_make(&call, SRTP_NONE, SRTP_NONE);
	kit_call_set(&call);
	assert_true(is_published(&call, true));
	flows[FLOWS - 1] = (struct datapath_flow){.way = DATAPATH_KERNEL, .owner = 7};
	media_sessions_mark(kit_relay);
	kit_call_set(&call);
	media_sessions_sweep(kit_relay);
	assert_int_equal(flows[FLOWS - 1].way, DATAPATH_STACK);
	assert_true(is_published(&call, true));
	kit_call_free(&call);
}

#define OFFLOAD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OFFLOAD_TEST(plain_rtp_between_locked_peers_is_published), OFFLOAD_TEST(a_stream_on_hold_is_withdrawn),
		OFFLOAD_TEST(what_is_encrypted_stays_with_the_sockets),    OFFLOAD_TEST(what_the_kernel_did_is_counted),
		OFFLOAD_TEST(what_a_dead_process_left_is_swept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
