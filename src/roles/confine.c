/* SPDX-License-Identifier: Apache-2.0
 * Confinement: who a process is, and what the kernel lets it open. The system calls are in confine_calls.c. */
#include "roles/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "roles/roles.h"

#define FALLBACK_USER "nobody"

/* In a user namespace, root may be the only user there is (user_namespaces(7)). */
static bool user_is_mapped(uid_t user)
{
	FILE *map = fopen("/proc/self/uid_map", "re");
	bool found = !map;
	char line[128];

	/* First inside, first outside, how many. */
	while (map && !found && fgets(line, sizeof(line), map)) {
		char *at = line;
		unsigned long first = strtoul(at, &at, 10);
		unsigned long count = (strtoul(at, &at, 10), strtoul(at, &at, 10));

		found = user >= first && user - first < count;
	}
	if (map)
		fclose(map);
	return found;
}

int confine_identity_find(const char *user, struct confine_identity *identity)
{
	const struct passwd *entry;

	*identity = (struct confine_identity){geteuid(), getegid(), false};
	if (geteuid() != 0)
		return 0;
	entry = getpwnam(user);
	if (!entry) {
		log_write(LOG_NOTICE, "confine", "there is no user %s: the processes become %s", user, FALLBACK_USER);
		entry = getpwnam(FALLBACK_USER);
	}
	if (!entry)
		return -ENOENT;
	if (!user_is_mapped(entry->pw_uid)) {
		log_write(LOG_WARNING, "confine",
			  "this user namespace has no user but root: the processes stay root in it");
		return 0;
	}
	*identity = (struct confine_identity){entry->pw_uid, entry->pw_gid, entry->pw_uid != 0};
	return 0;
}

int confine_drop(const struct confine_identity *identity)
{
	if (!identity->drop)
		return 0;
	if (setgroups(0, NULL) || setresgid(identity->group, identity->group, identity->group) ||
	    setresuid(identity->user, identity->user, identity->user))
		return -errno;
	/* Trust, but look: a process that can go back has not dropped anything. */
	if (identity->user != 0 && (setuid(0) == 0 || setgid(0) == 0))
		return -EPERM;
	return 0;
}

static void limit_raise(int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(resource, &limit);
	}
}

int confine_process(void)
{
	const struct rlimit none = {0, 0};

	/* After the change of user, which clears it. */
	if (prctl(PR_SET_PDEATHSIG, PROCESS_END_SIGNAL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    setrlimit(RLIMIT_CORE, &none))
		return -errno;
	/* The leak checker of a sanitizer traces its own process. */
	if (prctl(PR_SET_DUMPABLE, CONFINE_SANITIZED))
		return -errno;
	limit_raise(RLIMIT_NOFILE);
	return 0;
}

/* ---- Landlock (Documentation/userspace-api/landlock.rst); the C library has no wrappers ---- */

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13) /* ABI 2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14) /* ABI 3 */
#endif

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_OWN \
	(ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_TRUNCATE)

/* What a role may open. The gate resolves the names of peers, for which c-ares reads these. */
static const struct {
	enum ipc_role role;
	const char *path;
	uint64_t access;
} files[] = {
	{IPC_ROLE_STORE, ".", ACCESS_OWN},
	{IPC_ROLE_SHIELD, ".", ACCESS_OWN},
	{IPC_ROLE_GATE, "/etc/resolv.conf", LANDLOCK_ACCESS_FS_READ_FILE},
	{IPC_ROLE_GATE, "/etc/hosts", LANDLOCK_ACCESS_FS_READ_FILE},
	{IPC_ROLE_GATE, "/etc/host.conf", LANDLOCK_ACCESS_FS_READ_FILE},
	{IPC_ROLE_GATE, "/etc/nsswitch.conf", LANDLOCK_ACCESS_FS_READ_FILE},
	{IPC_ROLE_GATE, "/dev/urandom", LANDLOCK_ACCESS_FS_READ_FILE}, /* numbers of queries that cannot be guessed */
#if CONFINE_SANITIZED
	{IPC_ROLE_GATE, "/proc", ACCESS_READ},
	{IPC_ROLE_MEDIA, "/proc", ACCESS_READ},
	{IPC_ROLE_STORE, "/proc", ACCESS_READ},
	{IPC_ROLE_SHIELD, "/proc", ACCESS_READ},
#endif
};

static uint64_t accesses_known(int version)
{
	uint64_t all = (1ull << 13) - 1; /* ABI 1 */

	if (version >= 2)
		all |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		all |= LANDLOCK_ACCESS_FS_TRUNCATE;
	return all;
}

static int rule_add(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	int error = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
		error = -errno;
	close(rule.parent_fd);
	return error;
}

int confine_files(enum ipc_role role)
{
	struct landlock_ruleset_attr attributes = {0};
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int ruleset, error = 0;

	if (version < 1) {
		log_write(LOG_NOTICE, "confine", "the kernel has no Landlock (%s): files are kept by user rights alone",
			  strerror(errno));
		return 0;
	}
	attributes.handled_access_fs = accesses_known((int)version);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0);
	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !error; i++)
		if (files[i].role == role)
			error = rule_add(ruleset, files[i].path, files[i].access & attributes.handled_access_fs);
	if (!error && syscall(SYS_landlock_restrict_self, ruleset, 0))
		error = -errno;
	close(ruleset);
	return error;
}
