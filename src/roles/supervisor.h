/* SPDX-License-Identifier: Apache-2.0
 * What the files of the supervisor share. It opens what needs privilege, starts the others and hands things to them; it parses
 * nothing that comes from the network. */
#ifndef RINGWALL_ROLES_SUPERVISOR_H
#define RINGWALL_ROLES_SUPERVISOR_H

#include "bpf/datapath.h"
#include "roles/confine.h"
#include "roles/keeper.h"
#include "roles/roles.h"

struct event;
struct event_base;

/* ---- generation.c: one whole configuration with all that it needs opened ---- */

struct open_listener {
	uint8_t zone, listener;
	enum transport transport;
	struct address address;
	int descriptor;
};

struct generation {
	uint32_t number;
	struct configuration configuration;
	struct open_listener *listeners;
	uint16_t listener_count;
	int files[IPC_FILE_COUNT]; /* memory files; -1: none */
};

/* Reads, checks and opens everything anew; sockets that `before` (or NULL) has are shared with it. All or nothing: returns 0;
 * or a negative error, every problem then being a line in `complaints`, and *generation empty. */
int generation_open(struct generation *generation, const char *path, const struct generation *before,
		    struct buffer *complaints);
void generation_close(struct generation *generation);

/* ---- state.c: the state directory ---- */

/* Makes the directory and the store's within it, which `identity` owns. Returns 0, or a negative error with a complaint. */
int state_prepare(const char *state_directory, const struct confine_identity *identity, struct buffer *complaints);

/* Takes the lock of the directory, which a second gateway is refused, and writes whose it is. Returns its descriptor, or a negative
 * error. */
int state_lock(const char *state_directory, pid_t owner, struct buffer *complaints);
void state_unlock(const char *state_directory, int lock);

/* Makes the self-signed pair when the configuration wants one that is not there (or, when we are embedded, does not hold our
 * address any more). Returns 0 or a negative error with a complaint. */
int state_certificate_make(const struct configuration *configuration, struct buffer *complaints);

/* Reads a small file whole, at most `maximum` bytes; NUL-terminated, freed with memory_free_secret(*out, *length + 1). */
int state_file_read(const char *path, size_t maximum, char **out, size_t *length);

/* The test PBX's password: read, or drawn and written for the first time. `out` has 21 bytes at least. */
int state_testpbx_secret(const char *state_directory, char *out, size_t capacity, struct buffer *complaints);

/* ---- child.c: the other processes ---- */

struct supervisor;
struct child {
	struct supervisor *supervisor;
	enum ipc_role role;
	pid_t pid; /* 0: does not run */
	struct ipc_channel *channel;
	uint64_t started_us;
	unsigned deaths; /* without a long life in between */
	struct event *restart;
	bool is_ready;
	int inherited;   /* after a takeover: our end of the channel, until the channel is made; -1 */
	bool is_foreign; /* of a program that speaks another IPC_VERSION: it is not talked to, only replaced */
	bool is_due;     /* runs another program than we do, and will be replaced */
	bool is_new;     /* was started by the program that an upgrade brought */
};

/* Starts the process and its channel. Returns 0 or a negative error, logged. */
int child_start(struct child *child);

/* Makes the channel to a process that was started by the program before us. Returns 0 or a negative error. */
int child_adopt(struct child *child);

/* Hands over a whole generation, and says APPLY. */
void child_hand_over(struct child *child, const struct generation *generation);

/* Gives two running children a channel to each other. */
void child_link(struct child *a, struct child *b);

/* ---- supervisor.c ---- */

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct reload {
	bool is_active, from_gate;
	uint64_t request; /* the gate's number */
	struct generation next;
};

/* In-place upgrade of the program. */
struct upgrade {
	enum upgrade_step { UPGRADE_IDLE, UPGRADE_CHECKING, UPGRADE_REPLACING } step;
	uint32_t number; /* of the last one; 0: none yet */
	uint8_t state;   /* enum ipc_upgrade_progress, of the last one */
	uint64_t request, started_us;
	pid_t checker;  /* the new program, which looks at what it will be left; 0: none */
	int output;     /* what that says */
	char from[32];  /* version that ran before */
	char text[512]; /* what was done, or why not */
	int previous;   /* the program of before, to go back to; -1: none */
	bool is_going_back;
	size_t replaced; /* so many of the roles */
	struct event *timer;
};

struct supervisor {
	struct keeper *keeper;
	enum keeper_arrival arrival;
	struct event_base *loop;
	const char *path;
	char program[4096]; /* the file that this program was started from */
	struct upgrade upgrade;
	enum phase phase;
	int status;
	struct generation current;
	struct reload reload;
	uint32_t last_generation;
	struct confine_identity identity;
	char *state_directory;
	int lock, control;
	int memory; /* of the gate's checkpoints: it outlives every gate */
	uint32_t memory_records;
	struct bpf_datapath datapath; /* what media relays in the kernel with */
	char datapath_state[512];     /* "xdp", or "sockets" and why */
	char shield_reason[512];      /* why the shield is not in the kernel's program, or not on all interfaces */
	char datapath_srtp[128];      /* why SRTP goes by sockets beside it; empty: it does not */
	struct child children[IPC_ROLE_COUNT]; /* the supervisor's own place is unused */
	pid_t testpbx;
	struct event *messages, *checked, *deadline;
};

/* Starts a child that does not run, joins it with the others and hands everything over. False: it cannot be started. */
bool supervisor_child_start(struct supervisor *supervisor, struct child *child);

/* Those of a supervisor before that ended unnoticed. */
void supervisor_children_check(struct supervisor *supervisor);

/* From children. */
void supervisor_message(struct supervisor *supervisor, struct child *child, struct ipc_message *message);

/* ---- datapath.c ---- */

/* Opens the kernel's datapath as the configuration says. Returns 0, also when there is none and that is allowed (logged); or a
 * negative error, complained of. */
int datapath_prepare(struct supervisor *supervisor, struct buffer *complaints);

/* To the media process its maps and, when it is a new one, AF_XDP sockets; to the shield its maps; to the gate what `status` shows. */
void datapath_hand_over(struct child *child, uint32_t generation);

/* ---- reload.c ---- */

/* Of a supervisor that died in the middle: every process is given what is in force once more, under a new number. */
void reload_undo(struct supervisor *supervisor);

void reload_start(struct supervisor *supervisor, bool from_gate, uint64_t request);
/* The gate took it, or did not (`reason`). */
void reload_finish(struct supervisor *supervisor, const char *reason);

/* ---- upgrade.c ---- */

#define TAKEOVER_CHECK_DESCRIPTION 3 /* what TAKEOVER_COMMAND finds open */
#define TAKEOVER_CHECK_CONFIGURATION 4

/* Finds the file of this program, while it is there. */
void upgrade_program_find(struct supervisor *supervisor);

/* Asked by the gate. */
void upgrade_start(struct supervisor *supervisor, uint64_t request);

/* The new program has looked at what it would be left. */
void upgrade_checked(struct supervisor *supervisor, int status);

/* A role that is being replaced: true when its end, its being ready or its failure is this file's business. */
bool upgrade_role_ended(struct supervisor *supervisor, struct child *child, const char *how);
bool upgrade_role_ready(struct supervisor *supervisor, const struct child *child);
bool upgrade_role_failed(struct supervisor *supervisor, const struct child *child, const char *reason);

/* Whether this process has just taken the place of another program; *descriptor is what that left. */
bool upgrade_is_takeover(int *descriptor);
/* Takes over all that the supervisor before left, but for channels. Returns 0 or a negative error, logged. */
int upgrade_take_over(struct supervisor *supervisor, int descriptor);
/* Events are there: goes on with the children, and replaces those of the program before. */
void upgrade_go_on(struct supervisor *supervisor);
/* To a gate that has become ready. */
void upgrade_tell(struct supervisor *supervisor);

void upgrade_clear(struct supervisor *supervisor);

/* ---- greeting.c ---- */

/* What the owner reads when all is up. */
void greeting_print(const struct supervisor *supervisor);

/* Starts the test PBX behind an embedded configuration. Returns its process, 0 when it is not wanted, or a negative error. */
pid_t testpbx_start(const struct supervisor *supervisor);

#endif
