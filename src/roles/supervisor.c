/* SPDX-License-Identifier: Apache-2.0
 * The supervisor: starts the other processes, keeps them running, ends them in order. */
#include "roles/supervisor.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checkpoint.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/control.h"

#define START_PATIENCE_S 30
#define STOP_PATIENCE_MS 4400 /* of the 5 s in which SIGTERM ends everything */
#define RESTART_FIRST_MS 100
#define RESTART_LONGEST_MS 10000
#define RECORDS_PER_CALL 2 /* of checkpoints */
#define RECORDS_BEYOND_CALLS 64
#define LONG_LIFE_US (60u * 1000000u)

static const enum ipc_role roles[] = {IPC_ROLE_STORE, IPC_ROLE_SHIELD, IPC_ROLE_MEDIA, IPC_ROLE_GATE};
#define ROLES (sizeof(roles) / sizeof(roles[0]))
/* Who has a channel to whom. */
static const enum ipc_role links[][2] = {
	{IPC_ROLE_GATE, IPC_ROLE_MEDIA}, {IPC_ROLE_GATE, IPC_ROLE_STORE}, {IPC_ROLE_GATE, IPC_ROLE_SHIELD}};
#define LINKS (sizeof(links) / sizeof(links[0]))

static void deadline_start(struct supervisor *supervisor, unsigned ms)
{
	const struct timeval delay = {ms / 1000, (ms % 1000) * 1000};

	event_add(supervisor->deadline, &delay);
}

/* ---- The end ---- */

static bool anybody_runs(const struct supervisor *supervisor)
{
	for (size_t i = 0; i < ROLES; i++)
		if (supervisor->children[roles[i]].pid)
			return true;
	return supervisor->testpbx > 0;
}

static void child_stop(struct child *child)
{
	const struct ipc_message stop = {.type = IPC_STOP, .descriptor = -1};

	event_del(child->restart);
	if (child->pid && (!child->channel || ipc_send(child->channel, &stop)))
		kill(child->pid, PROCESS_END_SIGNAL);
}

/* The gate first, while the others still serve it; then the rest. */
static void stop_go_on(struct supervisor *supervisor)
{
	if (supervisor->children[IPC_ROLE_GATE].pid)
		return;
	child_stop(&supervisor->children[IPC_ROLE_MEDIA]);
	child_stop(&supervisor->children[IPC_ROLE_STORE]);
	child_stop(&supervisor->children[IPC_ROLE_SHIELD]);
	if (supervisor->testpbx > 0)
		kill(supervisor->testpbx, PROCESS_END_SIGNAL);
	if (!anybody_runs(supervisor))
		event_base_loopbreak(supervisor->loop);
}

static void stop(struct supervisor *supervisor, int status)
{
	if (supervisor->phase == PHASE_STOPPING)
		return;
	log_write(LOG_NOTICE, "supervisor", "stopping");
	reload_finish(supervisor, "the gateway stops");
	supervisor->phase = PHASE_STOPPING;
	supervisor->status = status;
	keeper_leave(supervisor); /* nobody goes on with what is to end */
	deadline_start(supervisor, STOP_PATIENCE_MS);
	child_stop(&supervisor->children[IPC_ROLE_GATE]);
	stop_go_on(supervisor);
}

static void kill_all(struct supervisor *supervisor)
{
	for (size_t i = 0; i < ROLES; i++)
		if (supervisor->children[roles[i]].pid)
			kill(supervisor->children[roles[i]].pid, SIGKILL);
	if (supervisor->testpbx > 0)
		kill(supervisor->testpbx, SIGKILL);
}

static void on_deadline(evutil_socket_t descriptor, short what, void *context)
{
	struct supervisor *supervisor = context;

	(void)descriptor;
	(void)what;
	switch (supervisor->phase) {
	case PHASE_STARTING:
		log_write(LOG_ERROR, "supervisor", "the processes did not start within %d s", START_PATIENCE_S);
		stop(supervisor, 1);
		break;
	case PHASE_RUNNING: reload_finish(supervisor, "the gate did not answer in time"); break;
	case PHASE_STOPPING:
		log_write(LOG_WARNING, "supervisor", "not all has ended in time: it is killed");
		kill_all(supervisor);
		break;
	}
}

/* ---- Lives and deaths ---- */

/* Joins `child` with everybody it talks to and who runs. */
static void child_join(struct supervisor *supervisor, const struct child *child)
{
	for (size_t i = 0; i < LINKS; i++) {
		struct child *a = &supervisor->children[links[i][0]], *b = &supervisor->children[links[i][1]];

		if ((a == child || b == child) && a->channel && b->channel)
			child_link(a, b);
	}
}

static void restart_later(struct child *child)
{
	unsigned doublings = child->deaths < 8 ? child->deaths : 8, delay_ms;
	struct timeval delay;

	/* Once at once: calls wait for it. What dies again and again is not worth every cycle. */
	delay_ms = doublings ? RESTART_FIRST_MS << (doublings - 1) : 0;
	if (delay_ms > RESTART_LONGEST_MS)
		delay_ms = RESTART_LONGEST_MS;
	child->deaths++;
	delay = (struct timeval){delay_ms / 1000, (delay_ms % 1000) * 1000};
	event_add(child->restart, &delay);
}

static void on_restart(evutil_socket_t descriptor, short what, void *context)
{
	struct child *child = context;
	struct supervisor *supervisor = child->supervisor;

	(void)descriptor;
	(void)what;
	if (child->pid) /* without a channel, and it does not end */
		kill(child->pid, SIGKILL);
	if (child->pid || supervisor->phase == PHASE_STOPPING)
		return;
	if (!supervisor_child_start(supervisor, child))
		restart_later(child);
}

/* The gate tells media of its calls, and the shield of its blocks, as soon as they are joined: they have what they need for that by
 * then. The others ask their peers. */
static bool is_told(enum ipc_role role)
{
	return role == IPC_ROLE_MEDIA || role == IPC_ROLE_SHIELD;
}

bool supervisor_child_start(struct supervisor *supervisor, struct child *child)
{
	if (child_start(child))
		return false;
	child->is_due = false;
	child->is_new = supervisor->upgrade.step == UPGRADE_REPLACING && !supervisor->upgrade.is_going_back;
	if (is_told(child->role))
		child_hand_over(child, &supervisor->current);
	child_join(supervisor, child);
	if (!is_told(child->role))
		child_hand_over(child, &supervisor->current);
	return true;
}

static const char *ending_text(int status, char *out, size_t capacity)
{
	if (WIFSIGNALED(status))
		snprintf(out, capacity, "%s", strsignal(WTERMSIG(status)));
	else
		snprintf(out, capacity, "exit code %d", WEXITSTATUS(status));
	return out;
}

static void child_ended(struct child *child, int status)
{
	struct supervisor *supervisor = child->supervisor;
	char text[64];

	child->pid = 0;
	child->is_ready = child->is_foreign = false;
	if (child->inherited > STDERR_FILENO)
		close(child->inherited);
	child->inherited = -1;
	if (supervisor->phase == PHASE_STOPPING) {
		stop_go_on(supervisor);
		return;
	}
	if (upgrade_role_ended(supervisor, child, ending_text(status, text, sizeof(text))))
		return;
	log_write(LOG_ERROR, "supervisor", "the %s process ended: %s", ipc_role_name(child->role),
		  ending_text(status, text, sizeof(text)));
	if (supervisor->phase == PHASE_STARTING) {
		stop(supervisor, 1);
		return;
	}
	if (child->role == IPC_ROLE_GATE)
		reload_finish(supervisor, "the gate ended while taking it");
	if (clock_monotonic_us() - child->started_us > LONG_LIFE_US)
		child->deaths = 0;
	restart_later(child);
}

static void testpbx_ended(struct supervisor *supervisor, int status)
{
	char text[64];

	supervisor->testpbx = 0;
	if (supervisor->phase == PHASE_STOPPING) {
		stop_go_on(supervisor);
		return;
	}
	log_write(LOG_ERROR, "supervisor", "the test PBX ended: %s", ending_text(status, text, sizeof(text)));
	if (supervisor->phase == PHASE_STARTING)
		stop(supervisor, 1);
}

static void process_ended(struct supervisor *supervisor, pid_t pid, int status)
{
	for (size_t i = 0; i < ROLES; i++) {
		struct child *child = &supervisor->children[roles[i]];

		if (child->pid != pid)
			continue;
		if (child->channel) {
			ipc_channel_free(child->channel);
			child->channel = NULL;
		}
		child_ended(child, status);
		return;
	}
	if (supervisor->testpbx == pid)
		testpbx_ended(supervisor, status);
}

void supervisor_children_check(struct supervisor *supervisor)
{
	for (size_t i = 0; i < ROLES; i++) {
		pid_t pid = supervisor->children[roles[i]].pid;

		if (pid && kill(pid, 0) && errno == ESRCH)
			process_ended(supervisor, pid, 0);
	}
	if (supervisor->testpbx > 0 && kill(supervisor->testpbx, 0) && errno == ESRCH)
		process_ended(supervisor, supervisor->testpbx, 0);
}

/* Of the one process that is our own child: all others are the keeper's. */
static void on_checked(evutil_socket_t number, short what, void *context)
{
	struct supervisor *supervisor = context;
	int status;

	(void)number;
	(void)what;
	if (supervisor->upgrade.checker > 0 &&
	    waitpid(supervisor->upgrade.checker, &status, WNOHANG) == supervisor->upgrade.checker)
		upgrade_checked(supervisor, status);
}

static void on_terminate(struct supervisor *supervisor)
{
	if (supervisor->phase == PHASE_STOPPING)
		kill_all(supervisor); /* asked twice */
	else
		stop(supervisor, 0);
}

/* Who ended, and the signals that the keeper got. */
static void on_message(evutil_socket_t descriptor, short what, void *context)
{
	struct supervisor *supervisor = context;
	struct keeper_message message;

	(void)descriptor;
	(void)what;
	while (keeper_message_next(supervisor->keeper, &message)) {
		if (message.pid)
			process_ended(supervisor, message.pid, message.value);
		else if (message.value == SIGHUP)
			reload_start(supervisor, false, 0);
		else
			on_terminate(supervisor);
	}
}

/* ---- What the others say ---- */

static void child_ready(struct supervisor *supervisor, struct child *child, uint32_t generation)
{
	if (supervisor->reload.is_active && child->role == IPC_ROLE_GATE &&
	    generation == supervisor->reload.next.number) {
		reload_finish(supervisor, NULL);
		return;
	}
	if (child->is_ready)
		return;
	child->is_ready = true;
	if (child->role == IPC_ROLE_GATE)
		upgrade_tell(supervisor);
	if (upgrade_role_ready(supervisor, child))
		return;
	if (supervisor->phase == PHASE_RUNNING)
		log_write(LOG_NOTICE, "supervisor", "the %s process runs again", ipc_role_name(child->role));
	if (supervisor->phase != PHASE_STARTING)
		return;
	for (size_t i = 0; i < ROLES; i++)
		if (!supervisor->children[roles[i]].is_ready)
			return;
	supervisor->phase = PHASE_RUNNING;
	event_del(supervisor->deadline);
	log_write(LOG_NOTICE, "supervisor", "ringwall %s runs, configuration: %s", RINGWALL_VERSION,
		  supervisor->current.configuration.path);
	greeting_print(supervisor);
}

static void child_failed(struct supervisor *supervisor, const struct child *child, const struct ipc_failed *failed)
{
	if (supervisor->reload.is_active && child->role == IPC_ROLE_GATE &&
	    failed->generation == supervisor->reload.next.number) {
		reload_finish(supervisor, failed->reason);
		return;
	}
	log_write(LOG_ERROR, "supervisor", "the %s process cannot work: %s", ipc_role_name(child->role),
		  failed->reason);
	if (supervisor->phase == PHASE_STARTING)
		stop(supervisor, 1);
	else if (upgrade_role_failed(supervisor, child, failed->reason))
		return;
	else if (!child->is_ready && child->pid)
		kill(child->pid, PROCESS_END_SIGNAL); /* started anew, later */
}

void supervisor_message(struct supervisor *supervisor, struct child *child, struct ipc_message *message)
{
	switch (message->type) {
	case IPC_READY: child_ready(supervisor, child, message->ready.generation); break;
	case IPC_FAILED: child_failed(supervisor, child, &message->failed); break;
	case IPC_RELOAD: reload_start(supervisor, true, message->reload.request); break;
	case IPC_UPGRADE: upgrade_start(supervisor, message->upgrade.request); break;
	default:
		/* From one role to another, but not to us. */
		log_write(LOG_ERROR, "supervisor", "the %s process sent %s: ending it", ipc_role_name(child->role),
			  ipc_type_name(message->type));
		if (child->pid)
			kill(child->pid, SIGKILL);
	}
}

/* ---- The beginning ---- */

static int events_make(struct supervisor *supervisor)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &child, NULL);
	supervisor->checked = evsignal_new(supervisor->loop, SIGCHLD, on_checked, supervisor);
	supervisor->messages = event_new(supervisor->loop, supervisor->keeper->messages[0], EV_READ | EV_PERSIST,
					 on_message, supervisor);
	supervisor->deadline = evtimer_new(supervisor->loop, on_deadline, supervisor);
	if (!supervisor->checked || !supervisor->messages || !supervisor->deadline)
		return -ENOMEM;
	return event_add(supervisor->checked, NULL) || event_add(supervisor->messages, NULL) ? -ENOMEM : 0;
}

static int children_make(struct supervisor *supervisor)
{
	for (size_t i = 0; i < ROLES; i++) {
		struct child *child = &supervisor->children[roles[i]];

		child->supervisor = supervisor;
		child->role = roles[i];
		child->restart = evtimer_new(supervisor->loop, on_restart, child);
		if (!child->restart)
			return -ENOMEM;
	}
	return 0;
}

static int children_start(struct supervisor *supervisor)
{
	int error = 0;

	for (size_t i = 0; i < ROLES && !error; i++)
		error = child_start(&supervisor->children[roles[i]]);
	for (size_t i = 0; i < ROLES && !error; i++)
		if (is_told(roles[i]))
			child_hand_over(&supervisor->children[roles[i]], &supervisor->current);
	for (size_t i = 0; i < LINKS && !error; i++)
		child_link(&supervisor->children[links[i][0]], &supervisor->children[links[i][1]]);
	for (size_t i = 0; i < ROLES && !error; i++)
		if (!is_told(roles[i]))
			child_hand_over(&supervisor->children[roles[i]], &supervisor->current);
	if (error)
		return error;
	supervisor->testpbx = testpbx_start(supervisor);
	if (supervisor->testpbx < 0)
		return (int)supervisor->testpbx;
	deadline_start(supervisor, START_PATIENCE_S * 1000);
	return 0;
}

/* The configuration says where the state is; only then can the rest be opened, under its lock. */
static int state_take(struct supervisor *supervisor, struct buffer *complaints)
{
	struct configuration configuration;
	int error = configuration_load_or_complain(supervisor->path, true, &configuration);

	if (error)
		return error;
	log_setup("supervisor", configuration.config->log_level);
	supervisor->state_directory = memory_copy_text(span_from(configuration.config->state_directory));
	error = supervisor->state_directory ? 0 : -ENOMEM;
	if (!error) {
		error = confine_identity_find(configuration.config->user, &supervisor->identity);
		if (error)
			buffer_printf(complaints, "%s: user: neither %s nor nobody is a user of this system\n",
				      configuration.path, configuration.config->user);
	}
	if (!error)
		error = state_prepare(supervisor->state_directory, &supervisor->identity, complaints);
	configuration_clear(&configuration);
	if (error)
		return error;
	supervisor->lock = state_lock(supervisor->state_directory, getppid(), complaints);
	return supervisor->lock < 0 ? supervisor->lock : 0;
}

/* For as many calls as there may be when we start: a later limit takes effect at the next start. */
static int memory_make(struct supervisor *supervisor, struct buffer *complaints)
{
	const struct config *config = supervisor->current.configuration.config;
	uint64_t records =
		(uint64_t)config->limits.calls * RECORDS_PER_CALL + config->limits.subscriptions + RECORDS_BEYOND_CALLS;

	supervisor->memory_records =
		records < CHECKPOINT_RECORDS_MAXIMUM ? (uint32_t)records : CHECKPOINT_RECORDS_MAXIMUM;
	supervisor->memory = checkpoint_file_make(supervisor->memory_records);
	if (supervisor->memory >= 0)
		return 0;
	buffer_printf(complaints, "limits.calls: the memory that calls outlive the gate in cannot be made: %s\n",
		      strerror(-supervisor->memory));
	return supervisor->memory;
}

static int everything_open(struct supervisor *supervisor)
{
	char text[16384];
	struct buffer complaints = BUFFER_OVER(text);
	int error = state_take(supervisor, &complaints);

	upgrade_program_find(supervisor);
	if (!error)
		error = generation_open(&supervisor->current, supervisor->path, NULL, &complaints);
	if (!error) {
		supervisor->current.number = ++supervisor->last_generation;
		supervisor->control = control_socket_open(supervisor->state_directory);
		error = supervisor->control < 0 ? supervisor->control : 0;
		if (error)
			buffer_printf(&complaints, "%s/%s: the control socket cannot be made: %s\n",
				      supervisor->state_directory, CONTROL_SOCKET_NAME, strerror(-error));
	}
	if (!error)
		error = memory_make(supervisor, &complaints);
	if (!error)
		error = datapath_prepare(supervisor, &complaints);
	fputs(buffer_text(&complaints), stderr);
	return error;
}

static void everything_close(struct supervisor *supervisor)
{
	char path[1200];

	for (size_t i = 0; i < ROLES; i++) {
		ipc_channel_free(supervisor->children[roles[i]].channel);
		if (supervisor->children[roles[i]].restart)
			event_free(supervisor->children[roles[i]].restart);
	}
	if (supervisor->messages)
		event_free(supervisor->messages);
	if (supervisor->checked)
		event_free(supervisor->checked);
	if (supervisor->deadline)
		event_free(supervisor->deadline);
	upgrade_clear(supervisor);
	if (supervisor->control >= 0) {
		snprintf(path, sizeof(path), "%s/%s", supervisor->state_directory, CONTROL_SOCKET_NAME);
		unlink(path);
		close(supervisor->control);
	}
	if (supervisor->memory >= 0)
		close(supervisor->memory);
	bpf_datapath_close(&supervisor->datapath);
	generation_close(&supervisor->current);
	state_unlock(supervisor->state_directory, supervisor->lock);
	memory_free(supervisor->state_directory);
	if (supervisor->loop)
		event_base_free(supervisor->loop);
}

/* After each turn the supervisor is described anew, so that another one could go on from there. */
static void run(struct supervisor *supervisor)
{
	do
		keeper_leave(supervisor);
	while (!event_base_loop(supervisor->loop, EVLOOP_ONCE) && !event_base_got_break(supervisor->loop));
}

int supervisor_run(struct keeper *keeper, enum keeper_arrival arrival, int left)
{
	const struct rlimit no_core = {0, 0};
	struct supervisor supervisor = {.keeper = keeper,
					.arrival = arrival,
					.path = keeper->path,
					.lock = -1,
					.control = -1,
					.memory = -1,
					.datapath = BPF_DATAPATH_NONE,
					.upgrade.previous = -1,
					.status = 1};

	for (int i = 0; i < IPC_FILE_COUNT; i++)
		supervisor.current.files[i] = -1;
	log_setup("supervisor", LOG_NOTICE);
	setrlimit(RLIMIT_CORE, &no_core); /* it holds keys */
	if (arrival == ARRIVAL_FIRST ? everything_open(&supervisor) : upgrade_take_over(&supervisor, left))
		goto out;
	supervisor.loop = event_base_new();
	if (!supervisor.loop || events_make(&supervisor) || children_make(&supervisor)) {
		log_write(LOG_ERROR, "supervisor", "no memory");
		goto out;
	}
	if (arrival != ARRIVAL_FIRST)
		upgrade_go_on(&supervisor);
	else if (children_start(&supervisor))
		stop(&supervisor, 1);
	if (anybody_runs(&supervisor))
		run(&supervisor);
	log_write(LOG_NOTICE, "supervisor", "stopped");
out:
	everything_close(&supervisor);
	return supervisor.status;
}
