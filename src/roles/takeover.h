/* SPDX-License-Identifier: Apache-2.0
 * What a supervisor leaves to the one that takes its place, of another program (execve(2)) or after its death (keeper.h): which
 * descriptors and children are what. A sealed memory file with JSON, its version in it; members that a reader does not know are ignored. */
#ifndef RINGWALL_ROLES_TAKEOVER_H
#define RINGWALL_ROLES_TAKEOVER_H

#include "roles/supervisor.h"

#define TAKEOVER_FORMAT 2
#define TAKEOVER_VARIABLE "RINGWALL_TAKEOVER" /* in the environment: the memory file's descriptor */
#define TAKEOVER_DESCRIPTORS (CONFIG_ZONES_MAXIMUM * CONFIG_LISTENERS_MAXIMUM + 48)

/* Describes the supervisor. Returns the memory file's descriptor or a negative errno. `descriptors` gets all that the new
 * program must find open, -1 after the last. */
int takeover_write(const struct supervisor *supervisor, int descriptors[TAKEOVER_DESCRIPTORS]);

/* Takes what takeover_write described into an empty supervisor: everything but channels and events; children have their pid,
 * and in `inherited` their end of the channel. All descriptors are close-on-exec again. Takes over the memory file.
 * `check_only`: nothing but the text and the configuration is looked at, and no descriptor in it. Returns 0; or a negative
 * error with the reason in `error`, all that was described then being closed no more than it was. */
int takeover_read(int descriptor, bool check_only, struct supervisor *supervisor, char *error, size_t error_capacity);

#endif
