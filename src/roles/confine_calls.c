/* SPDX-License-Identifier: Apache-2.0
 * Which system calls each role may make: one table. What is not in it ends the process. */
#include <errno.h>
#include <linux/bpf.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/log.h"
#include "roles/confine.h"

#define GATE (1u << IPC_ROLE_GATE)
#define MEDIA (1u << IPC_ROLE_MEDIA)
#define STORE (1u << IPC_ROLE_STORE)
#define SHIELD (1u << IPC_ROLE_SHIELD)
#define ALL (GATE | MEDIA | STORE | SHIELD)

struct call_row {
	const char *name;
	uint8_t allowed; /* roles */
	uint8_t refused; /* roles in which it fails with EACCES instead: libraries try it and can do without */
};

/* clang-format off */
static const struct call_row calls[] = {
	/* Reading, writing, waiting. */
	{"read", ALL, 0},
	{"write", ALL, 0},
	{"readv", ALL, 0},
	{"writev", ALL, 0},
	{"close", ALL, 0},
	{"pread64", ALL, 0},
	{"lseek", ALL, 0},
	{"fcntl", ALL, 0},
	{"fstat", ALL, 0},
	{"newfstatat", ALL, 0},
	{"dup", ALL, 0},
	{"poll", ALL, 0},
	{"ppoll", ALL, 0},
	{"epoll_wait", ALL, 0},
	{"epoll_pwait", ALL, 0},
	{"epoll_pwait2", ALL, 0},
	{"epoll_ctl", ALL, 0},
	{"epoll_create1", ALL, 0},
	{"eventfd2", ALL, 0},
	{"pipe2", ALL, 0},
	{"timerfd_create", ALL, 0},
	{"timerfd_settime", ALL, 0},
	{"select", ALL, 0},
	{"pselect6", ALL, 0},
	/* Sockets that are there. */
	{"recvmsg", ALL, 0},
	{"sendmsg", ALL, 0},
	{"recvfrom", ALL, 0},
	{"sendto", ALL, 0},
	{"recvmmsg", GATE | MEDIA, 0},
	{"sendmmsg", GATE | MEDIA, 0},
	{"accept", GATE, 0},
	{"accept4", GATE, 0},
	{"shutdown", GATE | MEDIA, 0},
	{"getsockname", GATE | MEDIA, 0},
	{"getpeername", GATE | MEDIA, 0},
	{"getsockopt", ALL, 0},
	{"setsockopt", GATE | MEDIA, 0},
	{"socketpair", ALL, 0},
	/* New ones; socket(2) itself is below, by family. The gate dials, media opens its ports. */
	{"connect", GATE | MEDIA, 0},
	{"bind", GATE | MEDIA, 0},
	/* Memory. mmap and mprotect are below: never executable. */
	{"munmap", ALL, 0},
	{"mremap", ALL, 0},
	{"madvise", ALL, 0},
	{"brk", ALL, 0},
	/* Time, chance, threads, signals, the end. */
	{"clock_gettime", ALL, 0},
	{"clock_getres", ALL, 0},
	{"clock_nanosleep", ALL, 0},
	{"nanosleep", ALL, 0},
	{"gettimeofday", ALL, 0},
	{"time", ALL, 0},
	{"getrandom", ALL, 0},
	{"futex", ALL, 0},
	{"sched_yield", ALL, 0},
	{"sched_getaffinity", ALL, 0},
	{"sched_setaffinity", MEDIA, 0},
	{"sched_getparam", MEDIA, 0},
	{"sched_getscheduler", MEDIA, 0},
	{"getcpu", ALL, 0},
	{"clone3", MEDIA, 0},
	{"clone", MEDIA, 0},
	{"set_robust_list", ALL, 0},
	{"rseq", ALL, 0},
	{"membarrier", ALL, 0},
	{"set_tid_address", ALL, 0},
	{"rt_sigaction", ALL, 0},
	{"rt_sigprocmask", ALL, 0},
	{"rt_sigreturn", ALL, 0},
	{"sigaltstack", ALL, 0},
	{"restart_syscall", ALL, 0},
	{"getpid", ALL, 0},
	{"gettid", ALL, 0},
	{"getppid", ALL, 0},
	{"tgkill", ALL, 0},
	{"exit", ALL, 0},
	{"exit_group", ALL, 0},
	{"getrusage", ALL, 0},
	{"uname", ALL, 0},
	{"sysinfo", ALL, 0},
	{"getuid", ALL, 0},
	{"geteuid", ALL, 0},
	{"getgid", ALL, 0},
	{"getegid", ALL, 0},
	/* Files: the gate's resolver reads its own, the store its directory; Landlock says which. */
	{"openat", GATE | STORE | SHIELD, MEDIA},
	{"open", STORE, GATE | MEDIA | SHIELD},
	{"access", STORE, GATE | MEDIA | SHIELD},
	{"faccessat", STORE, GATE | MEDIA | SHIELD},
	{"faccessat2", STORE, GATE | MEDIA | SHIELD},
	{"stat", GATE | STORE, MEDIA | SHIELD},
	{"lstat", GATE | STORE, MEDIA | SHIELD},
	{"statx", GATE | STORE, MEDIA | SHIELD},
	{"readlink", STORE, GATE | MEDIA | SHIELD},
	{"readlinkat", STORE, GATE | MEDIA | SHIELD},
	{"getdents64", STORE, GATE | MEDIA | SHIELD},
	{"getcwd", STORE, GATE | MEDIA | SHIELD},
	{"statfs", STORE, GATE | MEDIA | SHIELD},
	{"fstatfs", STORE, GATE | MEDIA | SHIELD},
	{"unlink", STORE, 0},
	{"unlinkat", STORE, 0},
	{"renameat", SHIELD, 0},
	{"renameat2", SHIELD, 0},
	{"rename", SHIELD, 0},
	{"pwrite64", STORE, 0},
	{"ftruncate", STORE, 0},
	{"fsync", STORE | SHIELD, 0},
	{"fdatasync", STORE, 0},
	{"fallocate", STORE, 0},
	{"fchmod", STORE, 0},
	{"flock", STORE, 0},
	{"msync", STORE, 0},
	/* What libraries ask for and do without. */
	{"prctl", 0, ALL},
	{"prlimit64", 0, ALL},
	{"getrlimit", ALL, 0},
	{"setpriority", 0, ALL},
	{"mlock", 0, ALL},
	{"mlock2", 0, ALL},
	{"fchown", 0, ALL},
	{"fchdir", 0, ALL},
	{"utimensat", 0, ALL},
	{"sched_setscheduler", 0, ALL},
};

/* Families of new sockets. UNIX and NETLINK are the resolver's: name service daemon, own addresses. */
static const struct {
	int family;
	uint8_t allowed, refused;
} families[] = {
	{AF_INET, GATE | MEDIA, STORE | SHIELD},
	{AF_INET6, GATE | MEDIA, STORE | SHIELD},
	{AF_NETLINK, GATE, MEDIA | STORE | SHIELD},
	{AF_UNIX, 0, ALL},
};
/* clang-format on */

/* Of bpf(2), the shield may read and write maps that it was given; it loads nothing. */
static const int map_commands[] = {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_MAP_GET_NEXT_KEY,
				   BPF_MAP_LOOKUP_BATCH};

/* A row for a role: 0 or a negative errno. Calls that this machine does not have are left out. */
static int row_add(scmp_filter_ctx filter, const struct call_row *row, uint8_t role)
{
	int number = seccomp_syscall_resolve_name(row->name);

	if (number == __NR_SCMP_ERROR || number < 0)
		return 0;
	if (row->allowed & role)
		return seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	if (row->refused & role)
		return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), number, 0);
	return 0;
}

static int families_add(scmp_filter_ctx filter, uint8_t role)
{
	int error = 0;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && !error; i++) {
		const struct scmp_arg_cmp is = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i].family);

		if (families[i].allowed & role)
			error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, is);
		else if (families[i].refused & role)
			error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, is);
	}
	return error;
}

/* How much there is to read is asked (libevent); anything else of ioctl(2)'s many doors is shut. */
static int controls_add(scmp_filter_ctx filter)
{
	int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD));

	if (!error)
		error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
					 SCMP_A1(SCMP_CMP_NE, FIONREAD));
	return error;
}

/* Memory that was written never becomes code. */
static int memory_add(scmp_filter_ctx filter)
{
	const int maps[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
	int error = 0;

	for (size_t i = 0; i < 2 && !error; i++) {
		const struct scmp_arg_cmp plain = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
		const struct scmp_arg_cmp code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC);

		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, maps[i], 1, plain);
		if (!error)
			error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), maps[i], 1, code);
	}
	return error;
}

static int maps_add(scmp_filter_ctx filter, uint8_t role)
{
	int error = 0;

	for (size_t i = 0; i < sizeof(map_commands) / sizeof(map_commands[0]) && role & SHIELD && !error; i++)
		error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
					 SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)map_commands[i]));
	return error;
}

int confine_calls(enum ipc_role role, bool lenient)
{
	uint8_t bit = (uint8_t)(1u << role);
	scmp_filter_ctx filter = seccomp_init(lenient ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
	int error = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !error; i++)
		if (!lenient || calls[i].allowed & bit)
			error = row_add(filter, &calls[i], bit);
	if (!error && !lenient)
		error = families_add(filter, bit);
	if (!error && !lenient)
		error = memory_add(filter);
	if (!error && !lenient)
		error = controls_add(filter);
	if (!error)
		error = maps_add(filter, bit);
	if (!error)
		error = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	if (error == -ENOSYS || error == -EINVAL) {
		log_write(LOG_NOTICE, "confine", "the kernel has no seccomp filters: system calls are not limited");
		return 0;
	}
	return error;
}
