/* SPDX-License-Identifier: Apache-2.0
 * The control socket: made by the supervisor, asked by the command line. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "control/control.h"

#define ANSWER_MAXIMUM_BYTES (64u << 20)

static int address_make(const char *state_directory, struct sockaddr_un *address)
{
	int length;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	length = snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s", state_directory, CONTROL_SOCKET_NAME);
	return length < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

/* Returns a connected socket or a negative errno. */
static int socket_connect(const struct sockaddr_un *address)
{
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (descriptor < 0)
		return -errno;
	if (connect(descriptor, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return descriptor;
	error = -errno;
	close(descriptor);
	return error;
}

int control_socket_open(const char *state_directory)
{
	struct sockaddr_un address;
	int error = address_make(state_directory, &address);
	int descriptor;

	if (error)
		return error;
	descriptor = socket_connect(&address);
	if (descriptor >= 0) {
		close(descriptor);
		return -EADDRINUSE;
	}
	if (descriptor == -ECONNREFUSED) /* a socket that nobody listens on: left by a gateway that was killed */
		unlink(address.sun_path);

	descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0)
		return -errno;
	/* Before bind(2): the file then never has a wider mode, whatever the umask. */
	if (fchmod(descriptor, 0600) < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(descriptor, CONTROL_CLIENTS_MAXIMUM) < 0) {
		error = -errno;
		close(descriptor);
		return error;
	}
	return descriptor;
}

/* Waits until `descriptor` is ready. Returns 0, -ETIMEDOUT or a negative errno. */
static int wait_ready(int descriptor, short events, uint64_t deadline_us)
{
	struct pollfd ready = {descriptor, events, 0};
	uint64_t now_us = clock_monotonic_us();
	int result;

	if (now_us >= deadline_us)
		return -ETIMEDOUT;
	result = poll(&ready, 1, (int)((deadline_us - now_us + 999) / 1000));
	if (result < 0)
		return errno == EINTR ? 0 : -errno;
	return result ? 0 : -ETIMEDOUT;
}

struct text {
	char *bytes;
	size_t length, capacity;
};

static int text_grow(struct text *text, size_t more)
{
	size_t capacity = text->capacity ? text->capacity : 4096;
	char *bytes;

	while (capacity < text->length + more)
		capacity *= 2;
	if (capacity > 2 * (size_t)ANSWER_MAXIMUM_BYTES)
		return -EMSGSIZE;
	if (capacity == text->capacity)
		return 0;
	bytes = memory_realloc(text->bytes, capacity);
	if (!bytes)
		return -ENOMEM;
	text->bytes = bytes;
	text->capacity = capacity;
	return 0;
}

static int text_add(const char *part, size_t length, void *context)
{
	struct text *text = context;

	if (text_grow(text, length))
		return -1;
	memcpy(text->bytes + text->length, part, length);
	text->length += length;
	return 0;
}

static int send_all(int descriptor, const struct text *text, uint64_t deadline_us)
{
	for (size_t done = 0; done < text->length;) {
		ssize_t sent = send(descriptor, text->bytes + done, text->length - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		int error;

		if (sent > 0) {
			done += (size_t)sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		error = wait_ready(descriptor, POLLOUT, deadline_us);
		if (error)
			return error;
	}
	return 0;
}

/* Reads up to the end of the line. */
static int receive_line(int descriptor, struct text *text, uint64_t deadline_us)
{
	for (;;) {
		int error = wait_ready(descriptor, POLLIN, deadline_us);
		ssize_t got;

		if (!error)
			error = text_grow(text, 65536);
		if (error)
			return error;
		got = recv(descriptor, text->bytes + text->length, 65536, MSG_DONTWAIT);
		if (got == 0)
			return -ECONNRESET;
		if (got < 0) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			return -errno;
		}
		text->length += (size_t)got;
		if (text->bytes[text->length - 1] == '\n')
			return 0;
	}
}

int control_ask(const char *state_directory, json_t *request, uint32_t timeout_ms, json_t **answer)
{
	uint64_t deadline_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
	struct text question = {0}, reply = {0};
	struct sockaddr_un address;
	int descriptor = -1;
	int error = address_make(state_directory, &address);

	*answer = NULL;
	if (error)
		return error;
	descriptor = socket_connect(&address);
	if (descriptor < 0)
		return descriptor;
	if (json_dump_callback(request, text_add, &question, JSON_COMPACT) || text_add("\n", 1, &question))
		error = -ENOMEM;
	if (!error)
		error = send_all(descriptor, &question, deadline_us);
	if (!error)
		error = receive_line(descriptor, &reply, deadline_us);
	if (!error) {
		*answer = json_loadb(reply.bytes, reply.length, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(*answer)) {
			json_decref(*answer);
			*answer = NULL;
			error = -EPROTO;
		}
	}
	memory_free_secret(question.bytes, question.length);
	memory_free(reply.bytes);
	close(descriptor);
	return error;
}
