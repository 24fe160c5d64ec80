/* SPDX-License-Identifier: Apache-2.0
 * Runs nft for the shield; see nft_runner.h. */
#include "roles/nft_runner.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"

#define INPUT_MAXIMUM (4u << 20)
#define OUTPUT_MAXIMUM (1u << 28)

struct request {
	uint32_t input_bytes, output_capacity; /* 0: the answer is not wanted */
};
struct reply {
	int32_t error;
	uint32_t output_bytes;
};

static int all_send(int descriptor, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length) {
		ssize_t sent = send(descriptor, at, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return -EPIPE;
		at += sent;
		length -= (size_t)sent;
	}
	return 0;
}

static int all_receive(int descriptor, void *bytes, size_t length)
{
	char *at = bytes;

	while (length) {
		ssize_t got = recv(descriptor, at, length, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EPIPE;
		at += got;
		length -= (size_t)got;
	}
	return 0;
}

/* ---- The runner ---- */

/* Capabilities go with the change of user unless they are kept, and with execve(2) unless they are ambient (capabilities(7)). */
static int privilege_reduce(const struct confine_identity *identity)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	int error;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
		return -errno;
	error = confine_drop(identity);
	if (error)
		return error;
	data[0].permitted = data[0].effective = data[0].inheritable = 1u << CAP_NET_ADMIN;
	if (syscall(SYS_capset, &header, data) || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0))
		return -errno;
	return 0;
}

static int request_serve(int descriptor, const struct request *request)
{
	char *input = memory_alloc(request->input_bytes + 1u);
	char *bytes = request->output_capacity ? memory_alloc(request->output_capacity) : NULL;
	struct buffer output = buffer_over(bytes, bytes ? request->output_capacity : 0);
	struct reply reply = {.error = -ENOMEM};
	int error = input ? all_receive(descriptor, input, request->input_bytes) : -ENOMEM;

	if (!error && (bytes || !request->output_capacity))
		reply.error =
			shield_nft_command(NULL, (struct span){input, request->input_bytes}, bytes ? &output : NULL);
	if (!reply.error && output.overflow)
		reply.error = -EOVERFLOW;
	reply.output_bytes = reply.error ? 0 : (uint32_t)output.length;
	if (!error)
		error = all_send(descriptor, &reply, sizeof(reply));
	if (!error)
		error = all_send(descriptor, bytes, reply.output_bytes);
	memory_free(input);
	memory_free(bytes);
	return error;
}

static void run(int descriptor, const struct confine_identity *identity, pid_t parent)
{
	struct request request;

	prctl(PR_SET_NAME, "ringwall-nft");
	if ((identity->drop && privilege_reduce(identity)) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(1);
	/* After the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	while (all_receive(descriptor, &request, sizeof(request)) == 0)
		if (request.input_bytes > INPUT_MAXIMUM || request.output_capacity > OUTPUT_MAXIMUM ||
		    request_serve(descriptor, &request))
			break;
	_exit(0);
}

int nft_runner_start(const struct confine_identity *identity)
{
	static const int ignored[] = {SIGINT, SIGHUP, SIGTERM, SIGQUIT};
	pid_t parent = getpid(), child;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	child = fork();
	if (child == 0) {
		/* What the terminal and the service manager send is the supervisor's business. */
		for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
			signal(ignored[i], SIG_IGN);
		if (dup2(pair[1], STDERR_FILENO + 1) < 0)
			_exit(1);
		close_range(STDERR_FILENO + 2, ~0u, 0);
		run(STDERR_FILENO + 1, identity, parent);
	}
	close(pair[1]);
	if (child > 0)
		return pair[0];
	close(pair[0]);
	return -EAGAIN;
}

/* ---- The shield's side ---- */

int nft_runner_run(void *context, struct span input, struct buffer *output)
{
	const int *descriptor = context;
	struct request request = {(uint32_t)input.length, output ? (uint32_t)output->capacity : 0};
	struct reply reply;
	char *place;
	int error = *descriptor < 0 || input.length > INPUT_MAXIMUM ? -EPIPE : 0;

	if (!error)
		error = all_send(*descriptor, &request, sizeof(request));
	if (!error)
		error = all_send(*descriptor, input.data, input.length);
	if (!error)
		error = all_receive(*descriptor, &reply, sizeof(reply));
	if (error)
		return error;
	if (output && reply.error == -EOVERFLOW)
		output->overflow = true;
	place = output && reply.output_bytes ? buffer_reserve(output, reply.output_bytes) : NULL;
	if (place)
		error = all_receive(*descriptor, place, reply.output_bytes);
	else if (reply.output_bytes)
		error = -EPROTO;
	return error ? error : reply.error == -EOVERFLOW ? 0 : reply.error;
}
