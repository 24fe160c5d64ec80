/* SPDX-License-Identifier: Apache-2.0
 * The keeper: the process that the owner starts and a service manager sees. It starts the supervisor and stays behind it, holding
 * what that holds, so that another supervisor can go on when one dies. It opens nothing, parses nothing, and allocates nothing. */
#ifndef RINGWALL_ROLES_KEEPER_H
#define RINGWALL_ROLES_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

struct supervisor;

/* In memory that both processes share. Descriptors too are the same for both: their table is one (clone(2), CLONE_FILES). */
struct keeper_left {
	pid_t keeper;
	int description; /* of the supervisor as it is (takeover.h); -1: it is not up yet, or about to end */
	bool is_leaving; /* another program is to take the keeper's place */
	int program;     /* that program, open; -1: by its path */
	int error;       /* why it could not; 0: nothing was tried */
	char path[4096];
};

/* Why a supervisor begins. */
enum keeper_arrival {
	ARRIVAL_FIRST,
	ARRIVAL_UPGRADE, /* another program ran before: `left` describes its supervisor */
	ARRIVAL_RESUME,  /* the supervisor before died: so does `left` */
};

/* What the keeper tells the supervisor. */
struct keeper_message {
	pid_t pid; /* of a process that has ended; 0: the keeper got a signal */
	int value; /* as wait(2) has it; or the signal's number */
};

struct keeper {
	const char *path; /* of the configuration, or NULL */
	struct keeper_left *left;
	int messages[2]; /* read here by the supervisor */
};

/* A process as by fork(2), but the keeper's child: it goes on when the supervisor dies, and ends with the keeper
 * (PR_SET_PDEATHSIG). It has its own table of descriptors, and no signal is blocked. */
pid_t keeper_fork(void);

/* Describes the supervisor as it is now to one that may have to go on. */
void keeper_leave(const struct supervisor *supervisor);

/* Everything that is not described: processes that the supervisor before had just started, descriptors that it had just opened. */
void keeper_strays_end(const struct supervisor *supervisor);

/* Ends this process, so that another program takes the keeper's place and takes over what `description` says. */
void keeper_execute(const struct supervisor *supervisor, int description, int program) __attribute__((noreturn));

/* The next of the keeper's messages. False: there is none. */
bool keeper_message_next(const struct keeper *keeper, struct keeper_message *message);

/* supervisor.c */
int supervisor_run(struct keeper *keeper, enum keeper_arrival arrival, int left);

#endif
