/* SPDX-License-Identifier: Apache-2.0
 * What the supervisor hands over is gathered by generation, and nothing leaks; streams survive the way to media. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "roles/handover.h"
#include "roles/streams.h"

static struct ipc_message file_message(uint32_t generation, uint8_t kind, struct span bytes)
{
	return (struct ipc_message){
		.type = IPC_FILE, .descriptor = ipc_file_make("test", bytes), .file = {generation, kind}};
}

static struct ipc_message listener_message(uint32_t generation, uint8_t zone)
{
	struct ipc_message message = {.type = IPC_LISTENER, .descriptor = dup(0), .listener = {generation, zone}};

	assert_int_equal(address_parse(SPAN("127.0.0.1:5060"), &message.listener.local), 0);
	return message;
}

static void take(struct handover *handover, struct ipc_message message, int expected)
{
	int error;

	assert_true(handover_take(handover, &message, &error));
	assert_int_equal(error, expected);
}

static void a_generation_is_gathered(void **state)
{
	struct ipc_message other = {.type = IPC_STOP, .descriptor = -1};
	struct handover handover;
	int kept, error;

	(void)state;
	handover_start(&handover, 0);
	take(&handover, file_message(1, IPC_FILE_CONFIGURATION, SPAN("a: b\n")), 0);
	take(&handover, file_message(1, IPC_FILE_KEY, SPAN("key")), 0);
	take(&handover, listener_message(1, 0), 0);
	take(&handover, listener_message(1, 1), 0);
	assert_false(handover_take(&handover, &other, &error));
	assert_int_equal(handover.generation, 1);
	assert_int_equal(handover.listener_count, 2);
	assert_true(span_is(handover_file(&handover, IPC_FILE_KEY), "key"));
	assert_int_equal(handover_file(&handover, IPC_FILE_CERTIFICATE).length, 0);

	kept = handover.listeners[1].descriptor;
	handover.listeners[1].descriptor = -1; /* taken */
	error = handover.listeners[0].descriptor;
	take(&handover, file_message(2, IPC_FILE_CONFIGURATION, SPAN("c: d\n")), 0); /* the next begins */
	assert_int_equal(handover.listener_count, 0);
	assert_int_equal(fcntl(error, F_GETFD), -1); /* closed: nobody took it */
	assert_int_not_equal(fcntl(kept, F_GETFD), -1);
	assert_int_equal(handover_file(&handover, IPC_FILE_KEY).length, 0);
	close(kept);
	handover_clear(&handover);
}

static void the_memory_of_checkpoints_is_handed_over(void **state)
{
	struct ipc_message message = {.type = IPC_MEMORY, .descriptor = dup(0), .memory = {1, 264}}, again = message;
	struct handover handover;

	(void)state;
	again.descriptor = dup(0);
	handover_start(&handover, 0);
	assert_int_equal(handover.memory, -1);
	take(&handover, message, 0);
	assert_int_equal(handover.memory, message.descriptor);
	assert_int_equal(handover.memory_records, 264);
	take(&handover, again, 0);
	assert_int_equal(fcntl(message.descriptor, F_GETFD), -1);
	handover_clear(&handover);
	assert_int_equal(fcntl(again.descriptor, F_GETFD), -1); /* closed: nobody took it */
	assert_int_equal(handover.memory, -1);
}

static void nonsense_is_refused(void **state)
{
	struct handover handover;
	struct ipc_message message = file_message(1, IPC_FILE_COUNT, SPAN("x"));
	char reason[256] = "";
	int descriptor = message.descriptor;

	(void)state;
	handover_start(&handover, 0);
	take(&handover, message, -EINVAL);
	assert_int_equal(fcntl(descriptor, F_GETFD), -1);
	assert_null(handover_config(&handover, reason, sizeof(reason)));
	assert_true(*reason);
	take(&handover, file_message(1, IPC_FILE_CONFIGURATION, SPAN("nonsense: true\n")), 0);
	assert_null(handover_config(&handover, reason, sizeof(reason)));
	assert_non_null(strstr(reason, "configuration:"));
	handover_clear(&handover);
}

static void failing_memory_leaks_nothing(void **state)
{
	(void)state;
	for (long count = 0; count < 6; count++) {
		struct ipc_message messages[3] = {file_message(1, IPC_FILE_KEY, SPAN("key")), listener_message(1, 0),
						  listener_message(1, 1)};
		struct handover handover;
		int error;

		handover_start(&handover, 0);
		memory_fail_after(count);
		for (int i = 0; i < 3; i++)
			handover_take(&handover, &messages[i], &error);
		memory_fail_after(-1);
		handover_clear(&handover);
		for (int i = 0; i < 3; i++)
			assert_int_equal(fcntl(messages[i].descriptor, F_GETFD), -1);
	}
}

static void streams_arrive_as_they_were_sent(void **state)
{
	struct media_stream sent = {
		.session = 0x123456789abc, .index = 3, .kind = MEDIA_RTP, .silence_timeout_ms = 60000};
	struct media_stream got;
	struct ipc_message message, decoded;
	uint8_t bytes[IPC_MESSAGE_MAXIMUM];
	ptrdiff_t length;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct media_side *side = &sent.sides[i];

		assert_int_equal(address_parse(SPAN("127.0.0.1:20000"), &side->local), 0);
		assert_int_equal(address_parse(SPAN("192.0.2.1:4000"), &side->peer_rtp), 0);
		assert_int_equal(address_parse(SPAN("192.0.2.1:4001"), &side->peer_rtcp), 0);
		assert_int_equal(address_parse(SPAN("[2001:db8::1]:9"), &side->learn_from), 0);
		side->suite_in = (uint8_t)(1 + i);
		side->suite_out = (uint8_t)(3 + i);
		memset(side->key_in, 10 + i, sizeof(side->key_in));
		memset(side->key_out, 20 + i, sizeof(side->key_out));
		side->may_send = i;
		assert_int_equal(address_parse(SPAN("192.0.2.1:4444"), &side->locked), 0);
		for (uint32_t k = 0; k < SRTP_ROLL_OVERS_MAXIMUM; k++) {
			side->roll_overs_in[k] = (struct srtp_roll_over){100 + k, (1ull << 47) + k + (uint32_t)i};
			side->roll_overs_out[k] = (struct srtp_roll_over){200 + k, (1ull << 33) + k + (uint32_t)i};
		}
	}
	sent.budget = (struct media_budget){{1, [15] = 128}, 250, 328, 2600};
	stream_to_message(&sent, &message);
	length = ipc_encode(&message, bytes, sizeof(bytes));
	assert_true(length > 0);
	assert_int_equal(ipc_decode(bytes, (size_t)length, IPC_ROLE_GATE, &decoded), 0);
	stream_from_message(&decoded.stream_set, &got);
	assert_int_equal(got.session, sent.session);
	assert_int_equal(got.index, 3);
	assert_int_equal(got.silence_timeout_ms, 60000);
	assert_memory_equal(&got.budget, &sent.budget, sizeof(got.budget));
	for (int i = 0; i < 2; i++) {
		const struct media_side *a = &sent.sides[i], *b = &got.sides[i];

		assert_true(address_equal(&a->local, &b->local) && address_equal(&a->peer_rtp, &b->peer_rtp));
		assert_true(address_equal(&a->peer_rtcp, &b->peer_rtcp) &&
			    address_equal(&a->learn_from, &b->learn_from));
		assert_int_equal(a->suite_in, b->suite_in);
		assert_int_equal(a->suite_out, b->suite_out);
		assert_memory_equal(a->key_in, b->key_in, sizeof(a->key_in));
		assert_memory_equal(a->key_out, b->key_out, sizeof(a->key_out));
		assert_int_equal(a->may_send, b->may_send);
		assert_true(address_equal(&a->locked, &b->locked));
		for (uint32_t k = 0; k < SRTP_ROLL_OVERS_MAXIMUM; k++) {
			assert_int_equal(a->roll_overs_in[k].ssrc, b->roll_overs_in[k].ssrc);
			assert_int_equal(a->roll_overs_in[k].index, b->roll_overs_in[k].index);
			assert_int_equal(a->roll_overs_out[k].ssrc, b->roll_overs_out[k].ssrc);
			assert_int_equal(a->roll_overs_out[k].index, b->roll_overs_out[k].index);
		}
	}
}

static void events_are_checked(void **state)
{
	const struct media_event sent = {7, MEDIA_LOCKED, 2, 1, {0}, true, {0xfffffffe, 1ull << 47}};
	struct ipc_message message;
	struct media_event got;

	(void)state;
	event_to_message(&sent, &message);
	assert_true(event_from_message(&message.session_event, &got));
	assert_int_equal(got.session, 7);
	assert_int_equal(got.kind, MEDIA_LOCKED);
	assert_true(got.outward && got.roll_over.ssrc == 0xfffffffe && got.roll_over.index == 1ull << 47);
	message.session_event.side = 2;
	assert_false(event_from_message(&message.session_event, &got));
	message.session_event.side = 0;
	message.session_event.kind = MEDIA_EVENT_COUNT;
	assert_false(event_from_message(&message.session_event, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_generation_is_gathered),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(the_memory_of_checkpoints_is_handed_over),
		cmocka_unit_test(failing_memory_leaks_nothing),
		cmocka_unit_test(streams_arrive_as_they_were_sent),
		cmocka_unit_test(events_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
