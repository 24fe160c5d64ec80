/* SPDX-License-Identifier: Apache-2.0
 * A relay and phones on loopback addresses. */
#include "relay_kit.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

struct media_relay *kit_relay;

static struct {
	pthread_mutex_t lock;
	struct media_event events[EVENTS_KEPT];
	int count;
} heard = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void hear(void *context, const struct media_event *event)
{
	(void)context;
	pthread_mutex_lock(&heard.lock);
	if (heard.count < EVENTS_KEPT)
		heard.events[heard.count++] = *event;
	pthread_mutex_unlock(&heard.lock);
}

int kit_setup(void **state)
{
	(void)state;
	struct media_callbacks callbacks = {.event = hear};
	heard.count = 0;
	kit_relay = media_relay_new(2, 100, &callbacks);
	return kit_relay ? 0 : -1;
}

int kit_teardown(void **state)
{
	(void)state;
	media_relay_free(kit_relay);
	kit_relay = NULL;
	return 0;
}

struct address kit_address(const char *text)
{
	struct address address = {0};
	assert_int_equal(address_parse(span_from(text), &address), 0);
	return address;
}

bool kit_event(enum media_event_kind kind, struct media_event *event, int wait_ms)
{
	bool found = false;
	for (; wait_ms >= 0 && !found; wait_ms -= 5) {
		pthread_mutex_lock(&heard.lock);
		for (int i = 0; i < heard.count && !found; i++) {
			if (heard.events[i].kind != kind)
				continue;
			*event = heard.events[i];
			heard.count -= i + 1;
			memmove(heard.events, heard.events + i + 1, (size_t)heard.count * sizeof(heard.events[0]));
			found = true;
		}
		pthread_mutex_unlock(&heard.lock);
		if (!found)
			usleep(5000);
	}
	return found;
}

static int try_bind(const struct address *address)
{
	struct sockaddr_storage storage;
	socklen_t length = address_to_sockaddr(address, &storage);
	int descriptor = socket(storage.ss_family, SOCK_DGRAM, 0);
	assert_true(descriptor >= 0);
	if (bind(descriptor, (struct sockaddr *)&storage, length) == 0)
		return descriptor;
	close(descriptor);
	return -1;
}

uint16_t kit_port_pair(void)
{
	/* Others run on this machine too: start anywhere, below the ports that the kernel gives out itself. */
	static uint16_t next;
	if (!next)
		next = (uint16_t)(10000 + (unsigned)getpid() % 9000 * 2);
	for (int attempt = 0; attempt < 1000; attempt++) {
		next = next < 30000 ? next + 2 : 10000;
		struct address address = kit_address("127.0.0.1");
		address.port = next;
		int rtp = try_bind(&address);
		address.port++;
		int rtcp = rtp < 0 ? -1 : try_bind(&address);
		if (rtp >= 0)
			close(rtp);
		if (rtcp >= 0)
			close(rtcp);
		if (rtp >= 0 && rtcp >= 0)
			return next;
	}
	fail_msg("no free ports");
	return 0;
}

int kit_socket(const char *ip, uint16_t port)
{
	struct address address = kit_address(ip);
	address.port = port;
	int descriptor = try_bind(&address);
	assert_true(descriptor >= 0);
	return descriptor;
}

struct address kit_socket_address(int descriptor)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);
	struct address address = {0};
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&storage, &length), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&storage, &address), 0);
	return address;
}

void kit_send(int descriptor, const struct address *to, const void *bytes, size_t length)
{
	struct sockaddr_storage storage;
	socklen_t to_length = address_to_sockaddr(to, &storage);
	/* An earlier packet's ICMP answer may be waiting on the socket. */
	if (sendto(descriptor, bytes, length, 0, (struct sockaddr *)&storage, to_length) < 0)
		assert_int_equal(sendto(descriptor, bytes, length, 0, (struct sockaddr *)&storage, to_length), length);
}

ptrdiff_t kit_receive(int descriptor, uint8_t *out, struct address *from, int wait_ms)
{
	struct pollfd waiting = {.fd = descriptor, .events = POLLIN};
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);
	if (poll(&waiting, 1, wait_ms) != 1)
		return -1;
	ptrdiff_t received = recvfrom(descriptor, out, PACKET_ROOM, MSG_DONTWAIT, (struct sockaddr *)&storage, &length);
	if (received >= 0 && from)
		assert_int_equal(address_from_sockaddr((struct sockaddr *)&storage, from), 0);
	return received;
}

void kit_call_make(struct kit_call *call, enum srtp_suite suite_a, enum srtp_suite suite_b)
{
	static uint64_t sessions;
	static const char *const phones[2] = {"127.0.1.1", "127.0.1.2"};
	*call = (struct kit_call){.stream = {.session = ++sessions, .kind = MEDIA_RTP}};
	for (int i = 0; i < 2; i++) {
		struct media_side *side = &call->stream.sides[i];
		enum srtp_suite suite = i ? suite_b : suite_a;
		call->rtp[i] = kit_socket(phones[i], 0);
		call->rtcp[i] = kit_socket(phones[i], 0);
		side->local = kit_address("127.0.0.1");
		side->local.port = kit_port_pair();
		side->peer_rtp = kit_socket_address(call->rtp[i]);
		side->peer_rtcp = kit_socket_address(call->rtcp[i]);
		side->suite_in = side->suite_out = (uint8_t)suite;
		side->may_send = true;
		key_make(side->key_in, (uint8_t)(10 + i));
		key_make(side->key_out, (uint8_t)(100 + i));
		if (suite == SRTP_NONE)
			continue;
		call->to_relay[i] = srtp_context_new(suite, side->key_in);
		call->from_relay[i] = srtp_context_new(suite, side->key_out);
		assert_true(call->to_relay[i] && call->from_relay[i]);
	}
}

/* Whether somebody has the UDP port. Looked up, not tried: trying would take it from the relay for a moment. */
static bool port_is_open(const struct address *address)
{
	char line[512], wanted[16];
	snprintf(wanted, sizeof(wanted), ":%04X ", address->port);
	FILE *file = fopen(address->family == ADDRESS_IPV6 ? "/proc/net/udp6" : "/proc/net/udp", "r");
	bool found = false;
	assert_non_null(file);
	while (!found && fgets(line, sizeof(line), file)) {
		line[30 + (address->family == ADDRESS_IPV6 ? 24 : 0)] = 0; /* the local address stands first */
		found = strstr(line, wanted) != NULL;
	}
	fclose(file);
	return found;
}

void kit_call_set(struct kit_call *call)
{
	assert_int_equal(media_stream_set(kit_relay, &call->stream), 0);
	for (int side = 0; side < 2; side++)
		for (int waited = 0; waited < WAIT_MS && !port_is_open(&call->stream.sides[side].local); waited += 2)
			usleep(2000);
	usleep(20000); /* the rest of the worker's turn */
}

void kit_call_free(struct kit_call *call)
{
	media_session_close(kit_relay, call->stream.session);
	for (int i = 0; i < 2; i++) {
		close(call->rtp[i]);
		close(call->rtcp[i]);
		srtp_context_free(call->to_relay[i]);
		srtp_context_free(call->from_relay[i]);
	}
}

struct address kit_local(const struct kit_call *call, int side, bool rtcp)
{
	struct address local = call->stream.sides[side].local;
	local.port += rtcp;
	return local;
}

void kit_call_send_from(struct kit_call *call, int side, int descriptor)
{
	uint8_t packet[PACKET_ROOM];
	struct address to = kit_local(call, side, false);
	size_t length = rtp_make(packet, (uint32_t)side + 1, ++call->sequence[side]);
	if (call->to_relay[side])
		assert_int_equal(srtp_protect(call->to_relay[side], packet, &length), SRTP_OK);
	kit_send(descriptor, &to, packet, length);
}

void kit_call_send(struct kit_call *call, int side)
{
	kit_call_send_from(call, side, call->rtp[side]);
}

void kit_call_send_rtcp(struct kit_call *call, int side)
{
	uint8_t packet[PACKET_ROOM];
	struct address to = kit_local(call, side, true);
	size_t length = rtcp_make(packet, (uint32_t)side + 1, 9);
	if (call->to_relay[side])
		assert_int_equal(srtcp_protect(call->to_relay[side], packet, &length), SRTP_OK);
	kit_send(call->rtcp[side], &to, packet, length);
}

static bool receives(struct kit_call *call, int side, bool rtcp, int wait_ms)
{
	uint8_t packet[PACKET_ROOM], wanted[PACKET_ROOM];
	struct address from, local = kit_local(call, side, rtcp);
	ptrdiff_t received;
	/* A call that has just ended may still send to who had this port before: that is not from our relay's port. */
	do {
		received = kit_receive(rtcp ? call->rtcp[side] : call->rtp[side], packet, &from, wait_ms);
		if (received < 0)
			return false;
	} while (!address_equal(&from, &local));
	size_t length = (size_t)received;
	uint32_t other = !side + 1u;
	if (call->from_relay[side])
		assert_int_equal((rtcp ? srtcp_unprotect : srtp_unprotect)(call->from_relay[side], packet, &length),
				 SRTP_OK);
	if (rtcp) { /* built anew: test_rtcp_rebuild.c looks closer */
		assert_int_equal(rtcp_check(packet, length), 0);
		put_u32(wanted, other);
		assert_memory_equal(packet + 4, wanted, 4);
		return true;
	}
	size_t wanted_length = rtp_make(wanted, other, call->sequence[!side]);
	assert_int_equal(length, wanted_length);
	assert_memory_equal(packet, wanted, length);
	return true;
}

bool kit_call_receives(struct kit_call *call, int side, int wait_ms)
{
	return receives(call, side, false, wait_ms);
}

bool kit_call_receives_rtcp(struct kit_call *call, int side, int wait_ms)
{
	return receives(call, side, true, wait_ms);
}

struct media_side_counters kit_counters(const struct kit_call *call, int side)
{
	struct media_side_counters counters;
	assert_int_equal(media_counters(kit_relay, call->stream.session, call->stream.index, (uint8_t)side, &counters),
			 0);
	return counters;
}

void kit_expect_drops(const struct kit_call *call, int side, enum media_drop drop, uint64_t wanted)
{
	struct media_side_counters counters = {0};
	for (int waited = 0; waited < WAIT_MS; waited += 5) {
		counters = kit_counters(call, side);
		if (counters.drops[drop] >= wanted)
			break;
		usleep(5000);
	}
	for (int i = 0; i < MEDIA_DROP_COUNT; i++)
		if (i == (int)drop && counters.drops[i] != wanted)
			fail_msg("%s: %d, not %d", media_drop_name(i), (int)counters.drops[i], (int)wanted);
}
