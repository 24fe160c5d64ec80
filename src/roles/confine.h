/* SPDX-License-Identifier: Apache-2.0
 * Confinement: what a role gives up before it hears the first message. Every step that the kernel lacks is logged and left
 * out; what it has and refuses ends the process. */
#ifndef RINGWALL_ROLES_CONFINE_H
#define RINGWALL_ROLES_CONFINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "ipc/ipc.h"

#if defined(__SANITIZE_ADDRESS__)
#define CONFINE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define CONFINE_SANITIZED 1
#endif
#endif
#ifndef CONFINE_SANITIZED
#define CONFINE_SANITIZED 0
#endif

/* Whom a process becomes. */
struct confine_identity {
	uid_t user;
	gid_t group;
	bool drop; /* false: started without privilege, stays who it is */
};

/* For a supervisor that is root: the configured user, or "nobody" when there is none of that name. Otherwise, or when root is
 * the only user of its namespace, ourselves.
 * Returns 0; or -ENOENT when neither exists. */
int confine_identity_find(const char *user, struct confine_identity *identity);

/* Becomes that user for good, without supplementary groups. Returns 0 or a negative errno. */
int confine_drop(const struct confine_identity *identity);

/* No new privileges, no core dumps, no tracing; as many descriptors as the hard limit allows; ends when the parent ends. */
int confine_process(void);

/* Landlock: no files, but for what the role's row allows (the store: its working directory). Returns 0, also when the kernel
 * has no Landlock (logged); or a negative errno. */
int confine_files(enum ipc_role role);

/* Seccomp: the role's system calls and no others; any other ends the process. Lenient, for builds with a sanitizer, which
 * makes calls of its own: all pass, and the kernel logs those that are not the role's. Returns 0 or a negative errno. */
int confine_calls(enum ipc_role role, bool lenient);

#endif
