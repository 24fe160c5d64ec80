/* SPDX-License-Identifier: Apache-2.0
 * Runs nft with an input, and waits for its end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shield/private.h"

#define PATIENCE_MS 10000
#define POLL_MS 1
#define COMMAND_MISSING 127

struct command {
	pid_t pid;
	int input, output; /* our ends of its pipes; -1: closed */
	struct span rest;
	struct buffer *wanted;
	uint64_t end_us;
};

static int spawn(pid_t *pid, int input, int output)
{
	static const char *const places[] = {"nft", "/usr/sbin/nft", "/sbin/nft"};
	char *arguments[] = {(char[]){"nft"}, (char[]){"-j"}, (char[]){"-f"}, (char[]){"-"}, NULL};
	char *environment[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, (char[]){"LC_ALL=C"}, NULL};
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return -error;
	error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
	if (!error)
		error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	if (!error)
		error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	for (size_t i = 0; !error && i < sizeof(places) / sizeof(places[0]); i++) {
		error = posix_spawnp(pid, places[i], &actions, NULL, arguments, environment);
		if (error != ENOENT)
			break;
		error = i + 1 < sizeof(places) / sizeof(places[0]) ? 0 : ENOENT;
	}
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

static void end_close(int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
	*descriptor = -1;
}

/* Ends of pipes at 0 to 2 would be taken for those of the command. */
static int pipe_make(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	for (int i = 0; i < 2; i++) {
		int high = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

		close(ends[i]);
		ends[i] = high;
	}
	if (ends[0] >= 0 && ends[1] >= 0)
		return 0;
	end_close(&ends[0]);
	end_close(&ends[1]);
	return -EMFILE;
}

static int command_start(struct command *command)
{
	int input[2] = {-1, -1}, output[2] = {-1, -1}, error = pipe_make(input);

	if (!error)
		error = pipe_make(output);
	if (!error)
		error = spawn(&command->pid, input[0], output[1]);
	end_close(&input[0]);
	end_close(&output[1]);
	command->input = input[1];
	command->output = output[0];
	if (!error && (fcntl(command->input, F_SETFL, O_NONBLOCK) || fcntl(command->output, F_SETFL, O_NONBLOCK)))
		error = -errno;
	return error;
}

static void input_write(struct command *command)
{
	ssize_t written = command->rest.length ? write(command->input, command->rest.data, command->rest.length) : 0;

	if (written > 0)
		command->rest = span_slice(command->rest, (size_t)written, command->rest.length);
	if (!command->rest.length || (written < 0 && errno != EAGAIN && errno != EINTR))
		end_close(&command->input);
}

static void output_read(struct command *command)
{
	char bytes[8192];
	ssize_t got = read(command->output, bytes, sizeof(bytes));

	if (got > 0 && command->wanted)
		buffer_put(command->wanted, bytes, (size_t)got);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		end_close(&command->output);
}

static int talk(struct command *command)
{
	while (command->output >= 0 || command->input >= 0) {
		struct pollfd polled[2] = {{command->input, POLLOUT, 0}, {command->output, POLLIN, 0}};

		if (clock_monotonic_us() > command->end_us)
			return -ETIMEDOUT;
		if (poll(polled, 2, 100) < 0 && errno != EINTR)
			return -errno;
		if (polled[0].revents)
			input_write(command);
		if (polled[1].revents)
			output_read(command);
	}
	return 0;
}

static int command_wait(const struct command *command)
{
	int status = 0;

	for (;;) {
		pid_t ended = waitpid(command->pid, &status, WNOHANG);

		if (ended == command->pid)
			break;
		if (ended < 0 && errno != EINTR)
			return -errno;
		if (clock_monotonic_us() > command->end_us)
			return -ETIMEDOUT;
		(void)poll(NULL, 0, POLL_MS);
	}
	if (!WIFEXITED(status))
		return -EIO;
	return WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) == COMMAND_MISSING ? -ENOENT : -EIO;
}

int shield_nft_command(void *context, struct span input, struct buffer *output)
{
	struct command command = {.input = -1, .output = -1, .rest = input, .wanted = output};
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	int error;

	(void)context;
	command.end_us = clock_monotonic_us() + PATIENCE_MS * 1000u;
	sigaction(SIGPIPE, &ignore, &before); /* it may end before it has read everything */
	error = command_start(&command);
	if (!error)
		error = talk(&command);
	end_close(&command.input);
	end_close(&command.output);
	if (command.pid > 0) {
		int ended = error ? error : command_wait(&command);

		if (ended == -ETIMEDOUT || error) {
			kill(command.pid, SIGKILL);
			(void)waitpid(command.pid, NULL, 0);
		}
		error = ended;
	}
	sigaction(SIGPIPE, &before, NULL);
	return error;
}
