/* SPDX-License-Identifier: Apache-2.0
 * In-place upgrade: the supervisor executes the new program in its own process, which takes over every socket, the memory of
 * checkpoints and the running children, and then replaces these one after another. The new program first looks at what it
 * would be left; and what does not become ready is undone, by going back to the program of before in the same way. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "roles/takeover.h"

#define CHECK_PATIENCE_S 10
#define LEAVE_PATIENCE_S 2  /* until a process that is replaced is killed */
#define READY_PATIENCE_S 20 /* until one that takes its place has failed */
#define DRAIN_PATIENCE_MS 1000

/* The store first: what the gate says while the store is away is kept; what media is, the new gate finds as it was. */
static const enum ipc_role order[] = {IPC_ROLE_STORE, IPC_ROLE_SHIELD, IPC_ROLE_GATE, IPC_ROLE_MEDIA};
#define ORDER (sizeof(order) / sizeof(order[0]))

/* ---- What is said ---- */

static void gate_tell(struct supervisor *supervisor, const struct ipc_message *message)
{
	struct ipc_channel *gate = supervisor->children[IPC_ROLE_GATE].channel;

	if (gate)
		ipc_send(gate, message);
}

void upgrade_tell(struct supervisor *supervisor)
{
	const struct upgrade *upgrade = &supervisor->upgrade;
	struct ipc_message message = {.type = IPC_UPGRADE_STATE, .descriptor = -1};

	if (!upgrade->number)
		return;
	message.upgrade_state.number = upgrade->number;
	message.upgrade_state.state = upgrade->state;
	snprintf(message.upgrade_state.text, sizeof(message.upgrade_state.text), "%s", upgrade->text);
	gate_tell(supervisor, &message);
}

static void finish(struct supervisor *supervisor, enum ipc_upgrade_progress state, const char *text)
{
	struct upgrade *upgrade = &supervisor->upgrade;

	if (text != upgrade->text)
		snprintf(upgrade->text, sizeof(upgrade->text), "%s", text);
	upgrade->step = UPGRADE_IDLE;
	upgrade->state = (uint8_t)state;
	upgrade->is_going_back = false;
	if (upgrade->previous >= 0)
		close(upgrade->previous);
	upgrade->previous = -1;
	if (upgrade->timer)
		event_del(upgrade->timer);
	log_write(state == IPC_UPGRADE_DONE ? LOG_NOTICE : LOG_ERROR, "supervisor", "upgrade: %s", upgrade->text);
	upgrade_tell(supervisor);
}

static void answer(struct supervisor *supervisor, bool begun, const char *text)
{
	struct ipc_message message = {.type = IPC_UPGRADED, .descriptor = -1};

	message.upgraded.request = supervisor->upgrade.request;
	message.upgraded.begun = begun;
	message.upgraded.number = supervisor->upgrade.number;
	snprintf(message.upgraded.text, sizeof(message.upgraded.text), "%s", text);
	gate_tell(supervisor, &message);
	log_write(begun ? LOG_NOTICE : LOG_ERROR, "supervisor", "upgrade: %s", text);
}

/* ---- The other program is tried ---- */

void upgrade_program_find(struct supervisor *supervisor)
{
	ssize_t length = readlink("/proc/self/exe", supervisor->program, sizeof(supervisor->program) - 1);

	supervisor->program[length > 0 ? length : 0] = 0;
}

static void on_timer(evutil_socket_t descriptor, short what, void *context);

static bool patience(struct supervisor *supervisor, int seconds)
{
	const struct timeval delay = {seconds, 0};

	if (!supervisor->upgrade.timer)
		supervisor->upgrade.timer = evtimer_new(supervisor->loop, on_timer, supervisor);
	return supervisor->upgrade.timer && event_add(supervisor->upgrade.timer, &delay) == 0;
}

/* In the new process. */
static void checker_execute(const char *program, int description, int configuration, int output)
{
	char *arguments[] = {(char[]){"ringwall"}, (char[]){TAKEOVER_COMMAND}, NULL};

	/* Out of the way of the places they must have. */
	description = fcntl(description, F_DUPFD, 16);
	configuration = fcntl(configuration, F_DUPFD, 16);
	output = fcntl(output, F_DUPFD, 16);
	if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
	    dup2(description, TAKEOVER_CHECK_DESCRIPTION) < 0 || dup2(configuration, TAKEOVER_CHECK_CONFIGURATION) < 0)
		_exit(126);
	close_range(TAKEOVER_CHECK_CONFIGURATION + 1, ~0u, 0);
	execv(program, arguments);
	dprintf(STDOUT_FILENO, "%s\n", strerror(errno));
	_exit(127);
}

static int checker_start(struct supervisor *supervisor)
{
	struct upgrade *upgrade = &supervisor->upgrade;
	int descriptors[TAKEOVER_DESCRIPTORS], pipes[2], description = takeover_write(supervisor, descriptors);
	int error = description < 0 ? description : 0;

	if (!error && pipe2(pipes, O_CLOEXEC | O_NONBLOCK))
		error = -errno;
	if (!error) {
		upgrade->checker = fork(); /* of no use to who goes on when we die */
		if (upgrade->checker == 0)
			checker_execute(supervisor->program, description,
					supervisor->current.files[IPC_FILE_CONFIGURATION], pipes[1]);
		if (upgrade->checker < 0) {
			error = -errno;
			upgrade->checker = 0;
			close(pipes[0]);
		} else {
			upgrade->output = pipes[0];
		}
		close(pipes[1]);
	}
	if (description >= 0)
		close(description);
	return error;
}

/* Why it cannot begin, or NULL. */
static const char *obstacle(const struct supervisor *supervisor)
{
	if (supervisor->phase != PHASE_RUNNING || supervisor->upgrade.step != UPGRADE_IDLE ||
	    supervisor->reload.is_active)
		return "another upgrade, a reload, or the end is under way";
	for (size_t i = 0; i < ORDER; i++)
		if (!supervisor->children[order[i]].is_ready)
			return "a process is just being restarted; please ask again";
	return NULL;
}

void upgrade_start(struct supervisor *supervisor, uint64_t request)
{
	struct upgrade *upgrade = &supervisor->upgrade;
	const char *why = obstacle(supervisor);
	char text[600];
	int error;

	if (why) {
		const uint64_t under_way = upgrade->request;

		upgrade->request = request;
		answer(supervisor, false, why);
		upgrade->request = under_way;
		return;
	}
	upgrade->request = request;
	upgrade->number++;
	upgrade->started_us = clock_monotonic_us();
	upgrade->previous = -1;
	snprintf(upgrade->from, sizeof(upgrade->from), "%s", RINGWALL_VERSION);
	upgrade->text[0] = 0;
	error = checker_start(supervisor);
	if (!error && patience(supervisor, CHECK_PATIENCE_S)) {
		upgrade->step = UPGRADE_CHECKING;
		return;
	}
	snprintf(text, sizeof(text), "nothing changed: %.300s cannot be tried: %s", supervisor->program,
		 strerror(error ? -error : ENOMEM));
	answer(supervisor, false, text);
}

/* ---- The other program takes our place ---- */

/* The keeper has the same table of descriptors, and so has the program that it becomes. */
static void descriptors_pass(const int *descriptors)
{
	for (; *descriptors >= 0; descriptors++)
		fcntl(*descriptors, F_SETFD, 0);
}

/* What we queued for a child would be lost with us. */
static int channels_drain(const struct supervisor *supervisor)
{
	int error = 0;

	for (size_t i = 0; i < ORDER && !error; i++)
		if (supervisor->children[order[i]].channel)
			error = ipc_drain(supervisor->children[order[i]].channel, DRAIN_PATIENCE_MS);
	return error;
}

/* By its path, or the open file `program`. Returns only when it failed: a negative error, and nothing has changed. */
static int execute(struct supervisor *supervisor, int program)
{
	int descriptors[TAKEOVER_DESCRIPTORS] = {-1}, description, error = channels_drain(supervisor);

	description = error ? error : takeover_write(supervisor, descriptors);
	if (description < 0)
		return description;
	descriptors_pass(descriptors);
	fcntl(description, F_SETFD, 0);
	keeper_execute(supervisor, description, program);
}

static void output_read(struct upgrade *upgrade, char *out, size_t capacity)
{
	ssize_t length = read(upgrade->output, out, capacity - 1);

	out[length > 0 ? length : 0] = 0;
	close(upgrade->output);
	for (char *at = out; *at; at++)
		if (*at == '\n' && !at[1])
			*at = 0;
		else if ((unsigned char)*at < 0x20 || (unsigned char)*at > 0x7e)
			*at = ' ';
}

void upgrade_checked(struct supervisor *supervisor, int status)
{
	struct upgrade *upgrade = &supervisor->upgrade;
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char said[300], text[sizeof(upgrade->text)];
	int error;

	upgrade->checker = 0;
	upgrade->step = UPGRADE_IDLE;
	event_del(upgrade->timer);
	output_read(upgrade, said, sizeof(said));
	if (supervisor->phase != PHASE_RUNNING)
		return;
	if (!good || strlen(said) >= sizeof(upgrade->from)) {
		snprintf(text, sizeof(text), "nothing changed: %.150s cannot take over: %.290s", supervisor->program,
			 *said && !good        ? said
			 : WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
					       : "it is no Ringwall that can");
		answer(supervisor, false, text);
		return;
	}
	snprintf(text, sizeof(text), "%s -> %s", upgrade->from, said);
	upgrade->state = IPC_UPGRADE_RUNNING;
	answer(supervisor, true, text);
	upgrade->previous = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	error = execute(supervisor, -1);
	snprintf(text, sizeof(text), "nothing changed: %.200s cannot be executed: %s", supervisor->program,
		 strerror(-error));
	finish(supervisor, IPC_UPGRADE_FAILED, text);
}

/* ---- In the other program ---- */

int takeover_check(void)
{
	struct supervisor supervisor = {0};
	char error[300] = "";
	int result = takeover_read(TAKEOVER_CHECK_DESCRIPTION, true, &supervisor, error, sizeof(error));

	printf("%s\n", result ? error : RINGWALL_VERSION);
	configuration_clear(&supervisor.current.configuration);
	memory_free(supervisor.current.listeners);
	memory_free(supervisor.state_directory);
	return result ? 1 : 0;
}

bool upgrade_is_takeover(int *descriptor)
{
	const char *text = getenv(TAKEOVER_VARIABLE);
	char *end;
	long number = text ? strtol(text, &end, 10) : -1;

	unsetenv(TAKEOVER_VARIABLE);
	if (!text || *end || number < 3 || number > INT32_MAX)
		return false;
	*descriptor = (int)number;
	return true;
}

int upgrade_take_over(struct supervisor *supervisor, int descriptor)
{
	bool resumes = supervisor->arrival == ARRIVAL_RESUME;
	/* What is read is closed; the next one, should this one die, wants to read it again. */
	int copy = resumes ? fcntl(descriptor, F_DUPFD_CLOEXEC, 3) : descriptor;
	char why[300] = "", text[512];
	struct buffer complaints = BUFFER_OVER(text);
	int error = takeover_read(copy, false, supervisor, why, sizeof(why));

	if (error) {
		log_write(LOG_ERROR, "supervisor", "%s: %s", resumes ? "going on" : "upgrade", why);
		return error;
	}
	log_setup("supervisor", supervisor->current.configuration.config->log_level);
	if (!resumes)
		log_write(LOG_NOTICE, "supervisor", "upgrade: ringwall %s has taken the place of %s", RINGWALL_VERSION,
			  supervisor->upgrade.from);
	else if (supervisor->keeper)
		keeper_strays_end(supervisor);
	error = confine_identity_find(supervisor->current.configuration.config->user, &supervisor->identity);
	if (!error) /* the program before may have known fewer roles */
		error = state_prepare(supervisor->state_directory, &supervisor->identity, &complaints);
	if (error)
		log_write(LOG_ERROR, "supervisor", "the state directory: %s", buffer_text(&complaints));
	return error;
}

static void replace_next(struct supervisor *supervisor);

/* The program of before takes our place again, and its children theirs. */
static bool go_back(struct supervisor *supervisor, const char *reason)
{
	struct upgrade *upgrade = &supervisor->upgrade;
	int previous = upgrade->previous;
	char text[sizeof(upgrade->text)];

	log_write(LOG_ERROR, "supervisor", "upgrade: %s%s", reason,
		  previous >= 0 ? ": going back to the program of before" : "");
	snprintf(text, sizeof(text), "%.400s", reason);
	if (previous >= 0 && !upgrade->is_going_back) {
		memcpy(upgrade->text, text, sizeof(text));
		upgrade->previous = -1;
		upgrade->is_going_back = true;
		execute(supervisor, previous);
		close(previous);
	}
	snprintf(upgrade->text, sizeof(upgrade->text), "%.400s; the program of before could not be gone back to", text);
	finish(supervisor, IPC_UPGRADE_FAILED, upgrade->text);
	return false; /* the processes are restarted as ever */
}

static struct child *current(struct supervisor *supervisor)
{
	const struct upgrade *upgrade = &supervisor->upgrade;

	return upgrade->step == UPGRADE_REPLACING && upgrade->replaced < ORDER
		       ? &supervisor->children[order[upgrade->replaced]]
		       : NULL;
}

static void done(struct supervisor *supervisor)
{
	struct upgrade *upgrade = &supervisor->upgrade;
	unsigned ms = (unsigned)((clock_monotonic_us() - upgrade->started_us) / 1000);
	char text[sizeof(upgrade->text)];

	if (upgrade->is_going_back) {
		snprintf(text, sizeof(text), "%s runs on: %.400s", RINGWALL_VERSION, upgrade->text);
		finish(supervisor, IPC_UPGRADE_FAILED, text);
		return;
	}
	snprintf(text, sizeof(text), "%s -> %s in %u ms: store, gate and media were replaced, calls go on",
		 upgrade->from, RINGWALL_VERSION, ms);
	finish(supervisor, IPC_UPGRADE_DONE, text);
}

static void replacement_start(struct supervisor *supervisor, struct child *child)
{
	char text[100];

	event_del(child->restart);
	if (supervisor_child_start(supervisor, child) && patience(supervisor, READY_PATIENCE_S))
		return;
	snprintf(text, sizeof(text), "the new %s process cannot be started", ipc_role_name(child->role));
	go_back(supervisor, text);
}

static void replace_next(struct supervisor *supervisor)
{
	struct upgrade *upgrade = &supervisor->upgrade;

	for (; upgrade->replaced < ORDER; upgrade->replaced++) {
		struct child *child = current(supervisor);

		/* It died by itself, and was started anew by this program. */
		if (child->pid && !child->is_due && child->is_ready)
			continue;
		if (child->pid && !child->is_due) {
			patience(supervisor, READY_PATIENCE_S);
		} else if (!child->pid) {
			replacement_start(supervisor, child);
		} else {
			kill(child->pid, PROCESS_END_SIGNAL);
			patience(supervisor, LEAVE_PATIENCE_S);
		}
		return;
	}
	done(supervisor);
}

bool upgrade_role_ended(struct supervisor *supervisor, struct child *child, const char *how)
{
	char text[200];

	if (!child || child != current(supervisor))
		return false;
	if (child->is_due) {
		replacement_start(supervisor, child);
		return true;
	}
	snprintf(text, sizeof(text), "the new %s process ended: %s", ipc_role_name(child->role), how);
	return go_back(supervisor, text);
}

bool upgrade_role_ready(struct supervisor *supervisor, const struct child *child)
{
	if (!child || child != current(supervisor) || child->is_due)
		return false;
	log_write(LOG_NOTICE, "supervisor", "upgrade: the %s process was replaced", ipc_role_name(child->role));
	supervisor->upgrade.replaced++;
	replace_next(supervisor);
	return true;
}

bool upgrade_role_failed(struct supervisor *supervisor, const struct child *child, const char *reason)
{
	char text[400];

	if (!child || child != current(supervisor) || child->is_due)
		return false;
	snprintf(text, sizeof(text), "the new %s process cannot work: %.300s", ipc_role_name(child->role), reason);
	return go_back(supervisor, text);
}

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
	struct supervisor *supervisor = context;
	struct child *child = current(supervisor);
	char text[100];

	(void)descriptor;
	(void)what;
	if (supervisor->phase != PHASE_RUNNING)
		return;
	if (supervisor->upgrade.checker > 0) {
		kill(supervisor->upgrade.checker, SIGKILL);
	} else if (child && child->is_due) {
		kill(child->pid, SIGKILL);
		patience(supervisor, LEAVE_PATIENCE_S);
	} else if (child) {
		snprintf(text, sizeof(text), "the new %s process was not ready in %d s", ipc_role_name(child->role),
			 READY_PATIENCE_S);
		go_back(supervisor, text);
	}
}

/* Of a supervisor that died. */
static void resume(struct supervisor *supervisor)
{
	struct upgrade *upgrade = &supervisor->upgrade;
	int error = supervisor->keeper->left->error;
	bool was_reloading = supervisor->reload.is_active;
	char text[sizeof(upgrade->text)];

	struct ipc_message forgotten = {.type = IPC_RELOADED, .descriptor = -1};

	snprintf(forgotten.reloaded.text, sizeof(forgotten.reloaded.text), "%s",
		 "the supervisor process ended; please ask again");
	gate_tell(supervisor, &forgotten);
	supervisor->reload.is_active = false;
	supervisor_children_check(supervisor);
	if (was_reloading)
		reload_undo(supervisor);
	if (error) {
		snprintf(text, sizeof(text), "nothing changed: %.200s cannot be executed: %s", supervisor->program,
			 strerror(error));
		finish(supervisor, IPC_UPGRADE_FAILED, text);
	} else if (upgrade->step == UPGRADE_REPLACING) {
		replace_next(supervisor);
	} else {
		upgrade->step =
			UPGRADE_IDLE; /* who asked while the other program was looked at is not answered, and asks again */
	}
	log_write(LOG_NOTICE, "supervisor", "the supervisor process runs again");
}

void upgrade_go_on(struct supervisor *supervisor)
{
	struct upgrade *upgrade = &supervisor->upgrade;

	supervisor->phase = PHASE_RUNNING;
	upgrade->replaced = 0;
	for (size_t i = 0; i < ORDER; i++)
		if (child_adopt(&supervisor->children[order[i]]))
			log_write(LOG_ERROR, "supervisor", "no memory for the %s process", ipc_role_name(order[i]));
	if (supervisor->arrival == ARRIVAL_RESUME) {
		resume(supervisor);
		return;
	}
	upgrade->step = UPGRADE_REPLACING;
	upgrade->state = IPC_UPGRADE_RUNNING;
	supervisor_children_check(supervisor);
	replace_next(supervisor);
}

void upgrade_clear(struct supervisor *supervisor)
{
	struct upgrade *upgrade = &supervisor->upgrade;

	if (upgrade->checker > 0)
		kill(upgrade->checker, SIGKILL);
	if (upgrade->previous >= 0)
		close(upgrade->previous);
	if (upgrade->timer)
		event_free(upgrade->timer);
}
