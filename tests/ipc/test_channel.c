/* SPDX-License-Identifier: Apache-2.0
 * Channels: order, descriptors, slow readers, and peers that misbehave. */
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "ipc/ipc.h"

struct end {
	struct ipc_channel *channel;
	unsigned received, closed, descriptors;
	uint64_t last;
	bool ordered, free_on_message, free_on_close;
};

static void on_message(void *context, struct ipc_channel *channel, struct ipc_message *message)
{
	struct end *end = context;

	end->received++;
	if (message->type == IPC_RELOAD) {
		end->ordered = end->ordered && message->reload.request == end->last + 1;
		end->last = message->reload.request;
	}
	if (message->descriptor >= 0) {
		end->descriptors++;
		close(message->descriptor);
	}
	if (end->free_on_message) {
		ipc_channel_free(channel);
		end->channel = NULL;
	}
}

static void on_closed(void *context, struct ipc_channel *channel)
{
	struct end *end = context;

	end->closed++;
	if (end->free_on_close) {
		ipc_channel_free(channel);
		end->channel = NULL;
	}
}

static struct ipc_channel *channel_open(struct event_base *loop, int descriptor, enum ipc_role peer, struct end *end)
{
	const struct ipc_callbacks callbacks = {on_message, on_closed, end};

	end->ordered = true;
	end->channel = ipc_channel_new(loop, descriptor, peer, &callbacks);
	return end->channel;
}

/* Turns the loop until nothing is ready. */
static void turn(struct event_base *loop)
{
	for (int i = 0; i < 2000; i++)
		event_base_loop(loop, EVLOOP_NONBLOCK);
}

static unsigned descriptors_open(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static struct ipc_message reload(uint64_t request)
{
	return (struct ipc_message){.type = IPC_RELOAD, .descriptor = -1, .reload = {request}};
}

struct fixture {
	struct event_base *loop;
	int pair[2];
	unsigned descriptors_before;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->loop = event_base_new();
	fixture->descriptors_before = descriptors_open();
	*state = fixture;
	return ipc_pair(fixture->pair);
}

/* Every test ends with as many descriptors open as it began with. */
static int teardown(void **state)
{
	struct fixture *fixture = *state;
	unsigned now = descriptors_open();
	bool leaked = now != fixture->descriptors_before;

	event_base_free(fixture->loop);
	free(fixture);
	return leaked ? -1 : 0;
}

static void messages_arrive_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0}, supervisor = {0};

	channel_open(fixture->loop, fixture->pair[0], IPC_ROLE_SUPERVISOR, &gate);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	assert_int_equal(ipc_channel_peer(supervisor.channel), IPC_ROLE_GATE);
	for (uint64_t i = 1; i <= 500; i++) {
		struct ipc_message message = reload(i);

		assert_int_equal(ipc_send(gate.channel, &message), 0);
	}
	turn(fixture->loop);
	assert_int_equal(supervisor.received, 500);
	assert_true(supervisor.ordered);
	ipc_channel_free(gate.channel);
	ipc_channel_free(supervisor.channel);
	ipc_channel_free(NULL);
}

static void what_is_sent_soon_goes_with_the_next_or_by_itself(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0}, supervisor = {0};
	struct ipc_message messages[4];

	channel_open(fixture->loop, fixture->pair[0], IPC_ROLE_SUPERVISOR, &gate);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	for (uint64_t i = 0; i < 4; i++)
		messages[i] = reload(i + 1);
	assert_int_equal(ipc_send_soon(gate.channel, &messages[0]), 0);
	assert_int_equal(ipc_send_soon(gate.channel, &messages[1]), 0);
	turn(fixture->loop);
	assert_int_equal(supervisor.received, 0);
	assert_int_equal(ipc_send(gate.channel, &messages[2]), 0);
	turn(fixture->loop);
	assert_int_equal(supervisor.received, 3);
	assert_int_equal(ipc_send_soon(gate.channel, &messages[3]), 0);
	for (int i = 0; i < 500 && supervisor.received < 4; i++) {
		usleep(1000);
		turn(fixture->loop);
	}
	assert_int_equal(supervisor.received, 4);
	assert_true(supervisor.ordered);
	ipc_channel_free(gate.channel);
	ipc_channel_free(supervisor.channel);
}

static void descriptors_are_passed_and_stay_the_senders(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0}, supervisor = {0};
	int file = ipc_file_make("test", SPAN("text"));
	struct ipc_message message = {.type = IPC_FILE, .descriptor = file, .file = {1, IPC_FILE_KEY}};

	channel_open(fixture->loop, fixture->pair[0], IPC_ROLE_SUPERVISOR, &gate);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	for (int i = 0; i < 50; i++)
		assert_int_equal(ipc_send(supervisor.channel, &message), 0);
	turn(fixture->loop);
	assert_int_equal(gate.received, 50);
	assert_int_equal(gate.descriptors, 50);
	assert_int_not_equal(fcntl(file, F_GETFD), -1);

	message.descriptor = -1; /* FILE always carries one, STOP never */
	assert_int_equal(ipc_send(supervisor.channel, &message), -EINVAL);
	message = (struct ipc_message){.type = IPC_STOP, .descriptor = file};
	assert_int_equal(ipc_send(supervisor.channel, &message), -EINVAL);
	close(file);
	ipc_channel_free(gate.channel);
	ipc_channel_free(supervisor.channel);
}

static void a_slow_reader_gets_everything_later(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0}, supervisor = {0};
	int file = ipc_file_make("test", SPAN("text"));
	struct ipc_message with_file = {.type = IPC_FILE, .descriptor = file};
	struct ipc_message text = {.type = IPC_RELOADED, .descriptor = -1};

	memset(text.reloaded.text, 'x', sizeof(text.reloaded.text) - 1);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(ipc_send(supervisor.channel, &text), 0);
		if (i % 100 == 0)
			assert_int_equal(ipc_send(supervisor.channel, &with_file), 0);
	}
	close(file);
	turn(fixture->loop);
	channel_open(fixture->loop, fixture->pair[0], IPC_ROLE_SUPERVISOR, &gate);
	turn(fixture->loop);
	assert_int_equal(gate.received, 1010);
	assert_int_equal(gate.descriptors, 10);
	ipc_channel_free(gate.channel);
	ipc_channel_free(supervisor.channel);
}

static void the_queue_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct end supervisor = {0};
	int file = ipc_file_make("test", SPAN("text"));
	struct ipc_message with_file = {.type = IPC_FILE, .descriptor = file};
	struct ipc_message text = {.type = IPC_RELOADED, .descriptor = -1};
	int error = 0, sent;

	memset(text.reloaded.text, 'x', sizeof(text.reloaded.text) - 1);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	for (sent = 0; sent < 10000 && !error; sent++) {
		error = ipc_send(supervisor.channel, &text);
		if (sent == 2000)
			assert_int_equal(ipc_send(supervisor.channel, &with_file), 0);
	}
	assert_int_equal(error, -ENOBUFS);
	assert_in_range(sent, 3000, 5000); /* 16 MiB of 4 KiB */
	close(file);
	ipc_channel_free(supervisor.channel); /* the queued descriptor goes too: teardown counts */
	close(fixture->pair[0]);
}

static void *read_slowly(void *context)
{
	static uint8_t bytes[IPC_MESSAGE_MAXIMUM];
	int socket = *(int *)context;
	uintptr_t count = 0;

	for (; recv(socket, bytes, sizeof(bytes), 0) > 0; count++)
		if (count % 256 == 0)
			usleep(1000);
	return (void *)count;
}

static void draining_waits_for_the_reader(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0};
	struct ipc_message text = {.type = IPC_RELOADED, .descriptor = -1};
	pthread_t reader;
	void *count;

	memset(text.reloaded.text, 'x', sizeof(text.reloaded.text) - 1);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &gate);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(ipc_send(gate.channel, &text), 0);
	assert_int_equal(ipc_drain(gate.channel, 50), -ETIMEDOUT);

	fcntl(fixture->pair[0], F_SETFL, 0); /* blocking */
	assert_int_equal(pthread_create(&reader, NULL, read_slowly, &fixture->pair[0]), 0);
	assert_int_equal(ipc_drain(gate.channel, 10000), 0);
	assert_int_equal(ipc_drain(gate.channel, 0), 0);
	ipc_channel_free(gate.channel);
	pthread_join(reader, &count);
	assert_int_equal((uintptr_t)count, 2000);
	close(fixture->pair[0]);
}

static void draining_to_the_dead_ends(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0};
	struct ipc_message text = {.type = IPC_RELOADED, .descriptor = -1};

	memset(text.reloaded.text, 'x', sizeof(text.reloaded.text) - 1);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &gate);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(ipc_send(gate.channel, &text), 0);
	close(fixture->pair[0]);
	assert_int_equal(ipc_drain(gate.channel, 10000), -EPIPE);
	ipc_channel_free(gate.channel);
}

static void freeing_sends_what_can_be_sent(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0}, supervisor = {0};
	struct ipc_message failed = {.type = IPC_FAILED, .descriptor = -1, .failed = {1, "no such port"}};
	struct ipc_message stop = {.type = IPC_STOP, .descriptor = -1};

	channel_open(fixture->loop, fixture->pair[0], IPC_ROLE_SUPERVISOR, &gate);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	assert_int_equal(ipc_send(supervisor.channel, &stop), 0); /* left unread: the end then is a reset */
	assert_int_equal(ipc_send(gate.channel, &failed), 0);
	ipc_channel_free(gate.channel);
	turn(fixture->loop);
	assert_int_equal(supervisor.received, 1);
	assert_int_equal(supervisor.closed, 1);
	assert_int_equal(ipc_send(supervisor.channel, &stop), -EPIPE);
	ipc_channel_free(supervisor.channel);
}

static void sending_to_the_dead_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	struct end supervisor = {.free_on_close = true};
	struct ipc_message stop = {.type = IPC_STOP, .descriptor = -1};

	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	close(fixture->pair[0]);
	assert_int_equal(ipc_send(supervisor.channel, &stop), -EPIPE);
	turn(fixture->loop);
	assert_int_equal(supervisor.closed, 1);
	assert_null(supervisor.channel);
}

static void freeing_within_a_message_is_allowed(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0}, supervisor = {.free_on_message = true};
	struct ipc_message message = reload(1);

	channel_open(fixture->loop, fixture->pair[0], IPC_ROLE_SUPERVISOR, &gate);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipc_send(gate.channel, &message), 0);
	turn(fixture->loop);
	assert_int_equal(supervisor.received, 1);
	assert_null(supervisor.channel);
	assert_int_equal(gate.closed, 1);
	ipc_channel_free(gate.channel);
}

/* Sends raw bytes with `count` descriptors. */
static void send_raw(int socket, const void *bytes, size_t length, unsigned count)
{
	struct iovec part = {(void *)(uintptr_t)bytes, length};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		for (unsigned i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &socket, sizeof(int));
	}
	assert_int_equal(sendmsg(socket, &message, MSG_NOSIGNAL), length);
}

struct misdeed {
	const char *what;
	uint8_t bytes[16];
	size_t length;
	unsigned descriptors;
};

static const struct misdeed misdeeds[] = {
	{"another version", {IPC_VERSION + 1, IPC_RELOAD}, 10, 0},
	{"an unknown type", {IPC_VERSION, 200}, 10, 0},
	{"the supervisor's message", {IPC_VERSION, IPC_STOP}, 2, 0},
	{"too short", {IPC_VERSION, IPC_RELOAD}, 9, 0},
	{"too long", {IPC_VERSION, IPC_RELOAD}, 11, 0},
	{"a descriptor not asked for", {IPC_VERSION, IPC_RELOAD}, 10, 1},
	{"many descriptors", {IPC_VERSION, IPC_RELOAD}, 10, 5},
	{"more descriptors than are taken", {IPC_VERSION, IPC_RELOAD}, 10, 12},
};

static void misbehaviour_ends_the_channel_only(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->pair[0]);
	close(fixture->pair[1]);
	for (size_t i = 0; i < sizeof(misdeeds) / sizeof(misdeeds[0]); i++) {
		struct end supervisor = {0};

		assert_int_equal(ipc_pair(fixture->pair), 0);
		channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
		send_raw(fixture->pair[0], misdeeds[i].bytes, misdeeds[i].length, misdeeds[i].descriptors);
		turn(fixture->loop);
		if (supervisor.received || supervisor.closed != 1)
			fail_msg("%s was let through", misdeeds[i].what);
		ipc_channel_free(supervisor.channel);
		close(fixture->pair[0]);
		assert_int_equal(descriptors_open(), fixture->descriptors_before);
	}
}

static void a_missing_descriptor_and_an_oversize_message_end_it(void **state)
{
	struct fixture *fixture = *state;
	struct end gate = {0}, supervisor = {0};
	static uint8_t large[IPC_MESSAGE_MAXIMUM + 1] = {IPC_VERSION, IPC_RELOAD};

	channel_open(fixture->loop, fixture->pair[0], IPC_ROLE_SUPERVISOR, &gate);
	send_raw(fixture->pair[1], (const uint8_t[]){IPC_VERSION, IPC_PEER, 1}, 3, 0);
	turn(fixture->loop);
	assert_int_equal(gate.received, 0);
	assert_int_equal(gate.closed, 1);
	ipc_channel_free(gate.channel);
	close(fixture->pair[1]);

	assert_int_equal(ipc_pair(fixture->pair), 0);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	send_raw(fixture->pair[0], large, sizeof(large), 0);
	turn(fixture->loop);
	assert_int_equal(supervisor.received, 0);
	assert_int_equal(supervisor.closed, 1);
	ipc_channel_free(supervisor.channel);
	close(fixture->pair[0]);
}

static void failing_memory_is_survived(void **state)
{
	struct fixture *fixture = *state;
	struct end supervisor = {0};
	struct ipc_message text = {.type = IPC_RELOADED, .descriptor = -1};
	int error = 0;

	memory_fail_after(0);
	assert_null(channel_open(fixture->loop, fixture->pair[0], IPC_ROLE_GATE, &supervisor));
	memory_fail_after(-1);
	assert_int_equal(fcntl(fixture->pair[0], F_GETFD), -1); /* taken over, so closed */
	close(fixture->pair[1]);

	assert_int_equal(ipc_pair(fixture->pair), 0);
	channel_open(fixture->loop, fixture->pair[1], IPC_ROLE_GATE, &supervisor);
	memory_fail_after(0);
	memset(text.reloaded.text, 'x', sizeof(text.reloaded.text) - 1);
	for (int i = 0; i < 1000 && !error; i++)
		error = ipc_send(supervisor.channel, &text);
	memory_fail_after(-1);
	assert_int_equal(error, -ENOBUFS);
	assert_int_equal(ipc_send(supervisor.channel, &text), 0); /* once, then again well */
	ipc_channel_free(supervisor.channel);
	close(fixture->pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_arrive_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_sent_soon_goes_with_the_next_or_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(descriptors_are_passed_and_stay_the_senders, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_reader_gets_everything_later, setup, teardown),
		cmocka_unit_test_setup_teardown(the_queue_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(draining_waits_for_the_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(draining_to_the_dead_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(freeing_sends_what_can_be_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(sending_to_the_dead_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(freeing_within_a_message_is_allowed, setup, teardown),
		cmocka_unit_test_setup_teardown(misbehaviour_ends_the_channel_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_missing_descriptor_and_an_oversize_message_end_it, setup, teardown),
		cmocka_unit_test_setup_teardown(failing_memory_is_survived, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
