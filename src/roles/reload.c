/* SPDX-License-Identifier: Apache-2.0
 * Reload: the whole new configuration or none of it. Everything is read, checked and opened here first; then the gate is
 * asked to take it; only when it did, the others are told and the old one is closed. */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "roles/supervisor.h"

#define PATIENCE_S 30 /* names of peers may have to be looked up */

static void answer(struct supervisor *supervisor, bool done, const char *text)
{
	struct child *gate = &supervisor->children[IPC_ROLE_GATE];
	struct ipc_message message = {.type = IPC_RELOADED, .descriptor = -1};

	for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		log_write(done ? LOG_NOTICE : LOG_ERROR, "supervisor", "reload: %.*s", (int)strcspn(line, "\n"), line);
	if (!supervisor->reload.from_gate || !gate->channel)
		return;
	message.reloaded.request = supervisor->reload.request;
	message.reloaded.done = done;
	snprintf(message.reloaded.text, sizeof(message.reloaded.text), "%s", text);
	ipc_send(gate->channel, &message);
}

/* Without the last newline; cut to what an answer holds, after a whole line. */
static const char *complaints_text(struct buffer *complaints)
{
	buffer_text(complaints);
	if (complaints->overflow) {
		char *last = strrchr(complaints->data, '\n');

		if (last)
			*last = 0;
	}
	for (size_t length = strlen(complaints->data); length && complaints->data[length - 1] == '\n'; length--)
		complaints->data[length - 1] = 0;
	return complaints->data;
}

void reload_start(struct supervisor *supervisor, bool from_gate, uint64_t request)
{
	struct reload *reload = &supervisor->reload;
	const struct timeval patience = {PATIENCE_S, 0};
	struct generation next;
	char text[4000];
	struct buffer complaints = BUFFER_OVER(text);

	if (reload->is_active || supervisor->phase != PHASE_RUNNING || supervisor->upgrade.step != UPGRADE_IDLE) {
		const struct reload refused = {.from_gate = from_gate, .request = request}, under_way = *reload;

		*reload = refused;
		answer(supervisor, false, "another reload, an upgrade, or the end is under way");
		*reload = under_way;
		return;
	}
	reload->from_gate = from_gate;
	reload->request = request;
	if (generation_open(&next, supervisor->path, &supervisor->current, &complaints)) {
		answer(supervisor, false, complaints_text(&complaints));
		return;
	}
	next.number = ++supervisor->last_generation;
	reload->next = next;
	reload->is_active = true;
	child_hand_over(&supervisor->children[IPC_ROLE_GATE], &reload->next);
	event_add(supervisor->deadline, &patience);
}

void reload_finish(struct supervisor *supervisor, const char *reason)
{
	struct reload *reload = &supervisor->reload;
	char text[600];

	if (!reload->is_active)
		return;
	reload->is_active = false;
	if (supervisor->phase == PHASE_RUNNING)
		event_del(supervisor->deadline);
	if (reason) {
		generation_close(&reload->next);
		snprintf(text, sizeof(text), "nothing changed: %s", reason);
		answer(supervisor, false, text);
		return;
	}
	generation_close(&supervisor->current);
	supervisor->current = reload->next;
	memset(&reload->next, 0, sizeof(reload->next));
	log_setup("supervisor", supervisor->current.configuration.config->log_level);
	child_hand_over(&supervisor->children[IPC_ROLE_MEDIA], &supervisor->current);
	child_hand_over(&supervisor->children[IPC_ROLE_STORE], &supervisor->current);
	child_hand_over(&supervisor->children[IPC_ROLE_SHIELD], &supervisor->current);
	snprintf(text, sizeof(text), "%.400s is in force: %u zones, %u listeners",
		 supervisor->current.configuration.path, supervisor->current.configuration.config->zone_count,
		 supervisor->current.listener_count);
	answer(supervisor, true, text);
}

void reload_undo(struct supervisor *supervisor)
{
	static const enum ipc_role roles[] = {IPC_ROLE_GATE, IPC_ROLE_MEDIA, IPC_ROLE_STORE, IPC_ROLE_SHIELD};

	log_write(LOG_WARNING, "supervisor", "reload: nothing changed: the supervisor process ended in the middle");
	supervisor->current.number = ++supervisor->last_generation;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (supervisor->children[roles[i]].channel)
			child_hand_over(&supervisor->children[roles[i]], &supervisor->current);
}
