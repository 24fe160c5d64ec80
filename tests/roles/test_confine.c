/* SPDX-License-Identifier: Apache-2.0
 * Confinement, tried by doing what is forbidden: each case in a child of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "roles/confine.h"

static const enum ipc_role roles[] = {IPC_ROLE_GATE, IPC_ROLE_MEDIA, IPC_ROLE_STORE, IPC_ROLE_SHIELD};

/* Runs `act` in a child that confine_calls has limited. Returns what waitpid says. */
static int confined(enum ipc_role role, int (*act)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || confine_calls(role, false))
			_exit(99);
		_exit(act());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* Exit codes of acts: 0 it worked, an errno when it was refused. */
static int result(long value)
{
	return value < 0 ? errno : 0;
}

static int act_ordinary(void)
{
	char *memory = memory_alloc(1 << 20);
	int pipes[2];

	if (!memory || pipe2(pipes, O_CLOEXEC) || write(pipes[1], "x", 1) != 1 || read(pipes[0], memory, 1) != 1)
		return 1;
	memory_free(memory);
	return 0;
}
static int act_execute(void)
{
	char *nothing[] = {NULL};

	return result(execve("/bin/true", nothing, nothing));
}
static int act_fork(void)
{
	return result(syscall(SYS_fork));
}
static int act_trace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}
static int act_become_root(void)
{
	return result(syscall(SYS_setuid, 0));
}
static int act_kill(void)
{
	return result(kill(getppid(), 0));
}
static int act_module(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}
static int act_map(void)
{
	return result(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, NULL, 0));
}
static int act_raw_socket(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0));
}
static int act_listen(void)
{
	return result(listen(0, 1));
}
static int act_unlink(void)
{
	return result(unlink("/nonexistent/file"));
}
static int act_open(void)
{
	return result(syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY, 0));
}
static int act_inet(void)
{
	return result(socket(AF_INET, SOCK_DGRAM, 0));
}
static int act_unix(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}
static int act_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}
static void *nothing(void *context)
{
	return context;
}
static int act_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL);
}

static int act_control(void)
{
	int waiting, pipes[2];

	if (pipe2(pipes, O_CLOEXEC) || ioctl(pipes[0], FIONREAD, &waiting))
		return 1;
	return result(ioctl(pipes[0], FIONBIO, &waiting)); /* harmless, but not asked for */
}

#define KILLED (-1)

/* clang-format off */
static const struct {
	const char *what;
	int (*act)(void);
	int gate, media, store, shield; /* exit code, or KILLED */
} cases[] = {
	{"ordinary work", act_ordinary, 0, 0, 0, 0},
	{"executing a program", act_execute, KILLED, KILLED, KILLED, KILLED},
	{"forking", act_fork, KILLED, KILLED, KILLED, KILLED},
	{"tracing", act_trace, KILLED, KILLED, KILLED, KILLED},
	{"becoming root", act_become_root, KILLED, KILLED, KILLED, KILLED},
	{"signalling others", act_kill, KILLED, KILLED, KILLED, KILLED},
	{"loading kernel programs", act_module, KILLED, KILLED, KILLED, KILLED},
	{"writing into maps of the kernel", act_map, KILLED, KILLED, KILLED, EINVAL}, /* of none */
	{"raw sockets", act_raw_socket, KILLED, KILLED, KILLED, KILLED},
	{"listening anew", act_listen, KILLED, KILLED, KILLED, KILLED},
	{"removing files", act_unlink, KILLED, KILLED, ENOENT, KILLED},
	{"opening files", act_open, 0, EACCES, 0, 0},
	{"internet sockets", act_inet, 0, 0, EACCES, EACCES},
	{"UNIX sockets", act_unix, EACCES, EACCES, EACCES, EACCES},
	{"memory that is code", act_code, EACCES, EACCES, EACCES, EACCES},
	{"device controls", act_control, ENOTTY, ENOTTY, ENOTTY, ENOTTY},
	{"threads", act_thread, KILLED, 0, KILLED, KILLED},
};
/* clang-format on */

static void every_role_may_do_its_own_and_no_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const int expected[] = {cases[i].gate, cases[i].media, cases[i].store, cases[i].shield};

		for (size_t k = 0; k < 4; k++) {
			int status = confined(roles[k], cases[i].act);
			int got = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? KILLED : WEXITSTATUS(status);

			if (got != expected[k])
				fail_msg("%s by %s: %d instead of %d (status %x)", cases[i].what,
					 ipc_role_name(roles[k]), got, expected[k], (unsigned)status);
		}
	}
}

static bool landlock_is_there(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

/* In a directory of its own; says in bits what could be opened. */
enum { READ_PASSWD = 1, READ_HOSTS = 2, MADE_OWN = 4, MADE_ABOVE = 8, REMOVED_OWN = 16 };
static int files_tried(enum ipc_role role, const char *directory)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		int can = 0;

		if (chdir(directory) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || confine_files(role))
			_exit(99);
		can |= open("/etc/passwd", O_RDONLY) >= 0 ? READ_PASSWD : 0;
		can |= open("/etc/hosts", O_RDONLY) >= 0 ? READ_HOSTS : 0;
		can |= open("own", O_RDWR | O_CREAT, 0600) >= 0 ? MADE_OWN : 0;
		can |= open("../above", O_RDWR | O_CREAT, 0600) >= 0 ? MADE_ABOVE : 0;
		can |= unlink("own") == 0 ? REMOVED_OWN : 0;
		_exit(can);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void files_are_out_of_reach(void **state)
{
	char directory[] = "/tmp/ringwall-confine-XXXXXX", own[64];

	(void)state;
	if (!landlock_is_there())
		skip();
	assert_non_null(mkdtemp(directory));
	snprintf(own, sizeof(own), "%s/own", directory);
	assert_int_equal(mkdir(own, 0700), 0);
	assert_int_equal(files_tried(IPC_ROLE_STORE, own), MADE_OWN | REMOVED_OWN);
	assert_int_equal(files_tried(IPC_ROLE_MEDIA, own), 0);
	assert_int_equal(files_tried(IPC_ROLE_GATE, own), access("/etc/hosts", R_OK) ? 0 : READ_HOSTS);
	rmdir(own);
	rmdir(directory);
}

static void root_is_given_up_for_good(void **state)
{
	struct confine_identity identity;
	pid_t child;
	int status;

	(void)state;
	assert_int_equal(confine_identity_find("no-such-user-here", &identity), 0);
	assert_int_equal(identity.drop, geteuid() == 0);
	if (geteuid() != 0)
		skip();
	assert_int_not_equal(identity.user, 0); /* nobody */
	child = fork();
	if (child == 0) {
		if (confine_drop(&identity) || getuid() == 0 || geteuid() == 0 || getgid() == 0)
			_exit(1);
		_exit(setuid(0) == 0 || setgid(0) == 0 || open("/etc/shadow", O_RDONLY) >= 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void privileges_and_core_dumps_are_off(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		struct rlimit core;
		int signal_number = 0;

		if (confine_process() || getrlimit(RLIMIT_CORE, &core) || prctl(PR_GET_PDEATHSIG, &signal_number))
			_exit(99);
		_exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || core.rlim_max != 0 || signal_number == 0 ||
		      prctl(PR_GET_DUMPABLE) != CONFINE_SANITIZED);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_role_may_do_its_own_and_no_more),
		cmocka_unit_test(files_are_out_of_reach),
		cmocka_unit_test(root_is_given_up_for_good),
		cmocka_unit_test(privileges_and_core_dumps_are_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
