/* SPDX-License-Identifier: Apache-2.0
 * Keeps the gateway together when its supervisor dies; see keeper.h. The other processes are its children, not the supervisor's, so
 * that they neither end with that nor become somebody else's. */
#include "roles/keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/takeover.h"

#define EXECUTE_STATUS 100 /* exit code of a supervisor that leaves for another program */
#define DEATHS_MAXIMUM 5   /* in a row, without a long life in between */
#define LONG_LIFE_US (60u * 1000000u)

static pid_t process_new(uint64_t flags, uint64_t exit_signal)
{
	struct clone_args arguments = {.flags = flags, .exit_signal = exit_signal};

	fflush(NULL);
	return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

static void signals_block(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(how, &signals, NULL);
}

/* ---- For the supervisor ---- */

pid_t keeper_fork(void)
{
	pid_t pid = process_new(CLONE_PARENT, 0);

	if (pid == 0)
		signals_block(SIG_UNBLOCK);
	return pid;
}

void keeper_leave(const struct supervisor *supervisor)
{
	struct keeper_left *left = supervisor->keeper->left;
	int descriptors[TAKEOVER_DESCRIPTORS], before = left->description, now = -1;

	if (supervisor->phase == PHASE_RUNNING) {
		now = takeover_write(supervisor, descriptors);
		if (now < 0)
			return; /* what was true a moment ago is better than nothing */
	}
	__atomic_store_n(&left->description, now, __ATOMIC_RELEASE);
	if (before >= 0)
		close(before);
}

void keeper_execute(const struct supervisor *supervisor, int description, int program)
{
	struct keeper_left *left = supervisor->keeper->left;

	left->description = description;
	left->program = program;
	left->error = 0;
	snprintf(left->path, sizeof(left->path), "%s", supervisor->program);
	left->is_leaving = true;
	fflush(NULL);
	_exit(EXECUTE_STATUS);
}

bool keeper_message_next(const struct keeper *keeper, struct keeper_message *message)
{
	return read(keeper->messages[0], message, sizeof(*message)) == (ssize_t)sizeof(*message);
}

static bool is_known_process(const struct supervisor *supervisor, pid_t pid)
{
	for (int role = 0; role < IPC_ROLE_COUNT; role++)
		if (supervisor->children[role].pid == pid)
			return true;
	return pid == getpid() || pid == supervisor->testpbx;
}

static void stray_processes_end(const struct supervisor *supervisor)
{
	char path[64], *word = NULL;
	size_t room = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getppid(), (int)getppid());
	file = fopen(path, "re");
	while (file && getdelim(&word, &room, ' ', file) > 0) {
		pid_t pid = (pid_t)strtol(word, NULL, 10);

		if (pid > 0 && !is_known_process(supervisor, pid))
			kill(pid, SIGKILL);
	}
	free(word);
	if (file)
		fclose(file);
}

static bool is_known_descriptor(const struct keeper *keeper, const int *known, int descriptor)
{
	for (; *known >= 0; known++)
		if (*known == descriptor)
			return true;
	return descriptor <= STDERR_FILENO || descriptor == keeper->messages[0] || descriptor == keeper->messages[1] ||
	       descriptor == keeper->left->description;
}

void keeper_strays_end(const struct supervisor *supervisor)
{
	int known[TAKEOVER_DESCRIPTORS], description = takeover_write(supervisor, known);
	DIR *directory = description >= 0 ? opendir("/proc/self/fd") : NULL;
	struct dirent *entry;

	stray_processes_end(supervisor);
	while (directory && (entry = readdir(directory))) {
		int descriptor = (int)strtol(entry->d_name, NULL, 10);

		if (descriptor != dirfd(directory) && !is_known_descriptor(supervisor->keeper, known, descriptor))
			close(descriptor);
	}
	if (directory)
		closedir(directory);
	else if (description >= 0)
		close(description);
}

/* ---- The keeper itself ---- */

static void tell(const struct keeper *keeper, pid_t pid, int value)
{
	const struct keeper_message message = {pid, value};

	/* A full pipe: the supervisor is stuck, and finds out about the dead by itself when it is not. */
	if (write(keeper->messages[1], &message, sizeof(message)) != (ssize_t)sizeof(message))
		log_write(LOG_ERROR, "keeper", "the supervisor does not listen");
}

/* True when it was the supervisor's end. */
static bool children_reap(const struct keeper *keeper, pid_t supervisor, int *status)
{
	bool is_over = false;
	int value;
	pid_t pid;

	while ((pid = waitpid(-1, &value, WNOHANG)) > 0) {
		if (pid == supervisor) {
			*status = value;
			is_over = true;
		} else {
			tell(keeper, pid, value);
		}
	}
	return is_over;
}

static int watch(const struct keeper *keeper, pid_t supervisor)
{
	sigset_t signals;
	int status, number;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	while (!children_reap(keeper, supervisor, &status)) {
		number = sigwaitinfo(&signals, NULL);
		if (number > 0 && number != SIGCHLD)
			tell(keeper, 0, number);
	}
	return status;
}

/* Returns only when it failed. */
static void execute(const struct keeper *keeper)
{
	struct keeper_left *left = keeper->left;
	char number[16], command[] = "run", option[] = "-c";
	char *arguments[] = {program_invocation_name, command, NULL, NULL, NULL};

	if (keeper->path) {
		arguments[2] = option;
		arguments[3] = (char *)(uintptr_t)keeper->path;
	}
	snprintf(number, sizeof(number), "%d", left->description);
	setenv(TAKEOVER_VARIABLE, number, 1);
	if (left->program >= 0)
		fexecve(left->program, arguments, environ);
	else
		execv(left->path, arguments);
	left->error = errno;
	unsetenv(TAKEOVER_VARIABLE);
}

/* In the new process. */
static void supervisor_begin(struct keeper *keeper, enum keeper_arrival arrival, int left)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "ringwall-superv"); /* what fits */
	if (getppid() != keeper->left->keeper)
		_exit(1);
	exit(supervisor_run(keeper, arrival, left));
}

/* Whether another supervisor is to go on after one that ended like this; else *result is the exit status. */
static bool goes_on(struct keeper *keeper, int status, uint64_t lived_us, unsigned *deaths, int *result)
{
	struct keeper_left *left = keeper->left;

	*result = 1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXECUTE_STATUS && left->is_leaving) {
		execute(keeper);
		left->is_leaving = false;
		return true;
	}
	if (WIFEXITED(status)) {
		*result = WEXITSTATUS(status);
		return false;
	}
	left->error = 0;
	*deaths = lived_us > LONG_LIFE_US ? 1 : *deaths + 1;
	log_write(LOG_ERROR, "keeper", "the supervisor process ended: %s%s", strsignal(WTERMSIG(status)),
		  left->description < 0      ? ": so does the gateway"
		  : *deaths > DEATHS_MAXIMUM ? " again and again: so does the gateway"
					     : "; another one goes on");
	return left->description >= 0 && *deaths <= DEATHS_MAXIMUM;
}

static int keep(struct keeper *keeper, enum keeper_arrival arrival, int left)
{
	unsigned deaths = 0;
	int result, status;

	for (;; arrival = ARRIVAL_RESUME, left = keeper->left->description) {
		uint64_t started_us = clock_monotonic_us();
		pid_t supervisor = process_new(CLONE_FILES, SIGCHLD);

		if (supervisor == 0)
			supervisor_begin(keeper, arrival, left);
		if (supervisor < 0) {
			log_write(LOG_ERROR, "keeper", "the supervisor cannot be started: %s", strerror(errno));
			return 1;
		}
		status = watch(keeper, supervisor);
		if (!goes_on(keeper, status, clock_monotonic_us() - started_us, &deaths, &result))
			return result;
	}
}

int keeper_run(const char *path)
{
	struct keeper keeper = {.path = path};
	int left = -1;
	bool is_upgrade = upgrade_is_takeover(&left);

	log_setup("keeper", LOG_NOTICE);
	keeper.left = mmap(NULL, sizeof(*keeper.left), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (keeper.left == MAP_FAILED || pipe2(keeper.messages, O_CLOEXEC | O_NONBLOCK)) {
		log_write(LOG_ERROR, "keeper", "no memory");
		return 1;
	}
	keeper.left->keeper = getpid();
	keeper.left->description = keeper.left->program = -1;
	signal(SIGPIPE, SIG_IGN); /* who reads the log may go */
	signals_block(SIG_BLOCK);
	prctl(PR_SET_NAME, "ringwall");
	return keep(&keeper, is_upgrade ? ARRIVAL_UPGRADE : ARRIVAL_FIRST, left);
}
