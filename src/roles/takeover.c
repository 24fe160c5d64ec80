/* SPDX-License-Identifier: Apache-2.0
 * The description that one supervisor leaves to the next; see takeover.h. */
#include "roles/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "roles/handover.h"

#define DESCRIPTION_MAXIMUM (1u << 20) /* bytes */

static const char *const file_names[IPC_FILE_COUNT] = {[IPC_FILE_CONFIGURATION] = "configuration",
						       [IPC_FILE_CERTIFICATE] = "certificate",
						       [IPC_FILE_KEY] = "key",
						       [IPC_FILE_AUTHORITIES] = "authorities",
						       [IPC_FILE_ZONE_AUTHORITIES] = "zone_authorities",
						       [IPC_FILE_PASSWORDS] = "passwords",
						       [IPC_FILE_MEDIA_CERTIFICATE] = "media_certificate",
						       [IPC_FILE_MEDIA_KEY] = "media_key"};

/* ---- Out ---- */

struct inheritance {
	int *descriptors;
	size_t count;
};

/* A descriptor that goes along, as a number; -1 stays -1. */
static json_t *descriptor_json(struct inheritance *inheritance, int descriptor)
{
	if (descriptor >= 0 && inheritance->count < TAKEOVER_DESCRIPTORS - 1)
		inheritance->descriptors[inheritance->count++] = descriptor;
	return json_integer(descriptor);
}

static json_t *files_json(const struct generation *generation, struct inheritance *inheritance)
{
	json_t *files = json_object();

	for (int i = 0; i < IPC_FILE_COUNT; i++)
		if (generation->files[i] >= 0)
			json_object_set_new(files, file_names[i], descriptor_json(inheritance, generation->files[i]));
	return files;
}

static json_t *listeners_json(const struct generation *generation, struct inheritance *inheritance)
{
	json_t *listeners = json_array();

	for (uint16_t i = 0; i < generation->listener_count; i++) {
		const struct open_listener *listener = &generation->listeners[i];

		json_array_append_new(listeners, json_pack("{s:i, s:i, s:o}", "zone", listener->zone, "listener",
							   listener->listener, "descriptor",
							   descriptor_json(inheritance, listener->descriptor)));
	}
	return listeners;
}

static json_t *children_json(const struct supervisor *supervisor, struct inheritance *inheritance)
{
	json_t *children = json_object();

	for (int role = 0; role < IPC_ROLE_COUNT; role++) {
		const struct child *child = &supervisor->children[role];
		int channel = child->channel ? ipc_channel_descriptor(child->channel) : child->inherited;

		if (child->pid > 0 && channel > STDERR_FILENO)
			json_object_set_new(children, ipc_role_name((enum ipc_role)role),
					    json_pack("{s:i, s:b, s:b, s:b, s:b, s:o}", "pid", (int)child->pid, "ready",
						      child->is_ready, "new", child->is_new, "due", child->is_due,
						      "foreign", child->is_foreign, "channel",
						      descriptor_json(inheritance, channel)));
	}
	return children;
}

/* The program stays attached as long as somebody has its links. */
static json_t *datapath_json(const struct supervisor *supervisor, struct inheritance *inheritance)
{
	const struct bpf_datapath *datapath = &supervisor->datapath;
	json_t *links = json_array(), *shield = json_array();

	for (int i = 0; i < BPF_SHIELD_MAPS && datapath->shield.maps[0] >= 0; i++)
		json_array_append_new(shield, descriptor_json(inheritance, datapath->shield.maps[i]));
	for (uint32_t i = 0; i < datapath->link_count; i++)
		json_array_append_new(links, descriptor_json(inheritance, datapath->links[i]));
	return json_pack("{s:i, s:i, s:o, s:s, s:o, s:o, s:o, s:o, s:s}", "abi", DATAPATH_ABI, "shield_abi", SHIELD_ABI,
			 "shield", shield, "shield_reason", supervisor->shield_reason, "flows",
			 descriptor_json(inheritance, datapath->flows), "sites",
			 descriptor_json(inheritance, datapath->sites), "sockets",
			 descriptor_json(inheritance, datapath->sockets), "links", links, "state",
			 supervisor->datapath_state);
}

static json_t *description_json(const struct supervisor *supervisor, struct inheritance *inheritance)
{
	const struct generation *generation = &supervisor->current;
	const struct upgrade *upgrade = &supervisor->upgrade;

	return json_pack(
		"{s:i, s:o, s:i, s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:i, s:i,"
		" s:{s:i, s:s, s:b, s:o, s:o}, s:o, s:i, s:b, s:{s:i, s:i, s:i, s:I, s:s, s:o, s:b, s:s}}",
		"format", TAKEOVER_FORMAT, "datapath", datapath_json(supervisor, inheritance), "process",
		(int)getppid(), "ipc_version", IPC_VERSION, "version", RINGWALL_VERSION, "program", supervisor->program,
		"state_directory", supervisor->state_directory, "lock", descriptor_json(inheritance, supervisor->lock),
		"control", descriptor_json(inheritance, supervisor->control), "memory",
		descriptor_json(inheritance, supervisor->memory), "memory_records", (int)supervisor->memory_records,
		"last_generation", (int)supervisor->last_generation, "generation", "number", (int)generation->number,
		"path", generation->configuration.path, "embedded", generation->configuration.embedded, "files",
		files_json(generation, inheritance), "listeners", listeners_json(generation, inheritance), "children",
		children_json(supervisor, inheritance), "testpbx", (int)supervisor->testpbx, "reloading",
		supervisor->reload.is_active, "upgrade", "number", (int)upgrade->number, "step", (int)upgrade->step,
		"state", (int)upgrade->state, "started_us", (json_int_t)upgrade->started_us, "from", upgrade->from,
		"previous", descriptor_json(inheritance, upgrade->previous), "back", upgrade->is_going_back, "reason",
		upgrade->text);
}

int takeover_write(const struct supervisor *supervisor, int descriptors[TAKEOVER_DESCRIPTORS])
{
	struct inheritance inheritance = {descriptors, 0};
	json_t *description = description_json(supervisor, &inheritance);
	char *text = description ? json_dumps(description, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	int file = text ? ipc_file_make("takeover", span_from(text)) : -ENOMEM;

	descriptors[inheritance.count] = -1;
	free(text);
	json_decref(description);
	return file;
}

/* ---- In ---- */

struct reader {
	bool check_only;
	const char *wrong; /* what is, of the first that is */
};

static long long number_of(struct reader *reader, const json_t *object, const char *name, long long lowest,
			   long long highest)
{
	const json_t *member = json_object_get(object, name);
	long long value = json_integer_value(member);

	if (json_is_integer(member) && value >= lowest && value <= highest)
		return value;
	if (!reader->wrong)
		reader->wrong = name;
	return lowest;
}

static bool text_of(struct reader *reader, const json_t *object, const char *name, char *out, size_t capacity)
{
	const char *text = json_string_value(json_object_get(object, name));

	if (text && span_copy(span_from(text), out, capacity) == 0)
		return true;
	if (!reader->wrong)
		reader->wrong = name;
	return false;
}

/* An open descriptor that the next program of ours will not inherit; -1 for none where `may_miss`. */
static int descriptor_of(struct reader *reader, const json_t *object, const char *name, bool may_miss)
{
	int descriptor = (int)number_of(reader, object, name, may_miss ? -1 : 3, 1 << 24);

	if (reader->check_only || descriptor < 0)
		return -1;
	if (descriptor >= 3 && fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0)
		return descriptor;
	if (!reader->wrong)
		reader->wrong = name;
	return -1;
}

/* Of the file that was in force, not of what stands on the disk now: that is for a reload. */
static void configuration_read(struct reader *reader, const json_t *from, int file, struct configuration *configuration)
{
	struct config_errors *errors = config_errors_new();
	int copy = fcntl(file, F_DUPFD_CLOEXEC, 3);

	configuration->embedded = json_is_true(json_object_get(from, "embedded"));
	text_of(reader, from, "path", configuration->path, sizeof(configuration->path));
	if (copy < 0 || !errors ||
	    ipc_file_read(copy, HANDOVER_FILE_MAXIMUM, &configuration->text, &configuration->length)) {
		reader->wrong = "the configuration in force, which cannot be read";
	} else {
		configuration->config = config_parse((struct span){configuration->text, configuration->length},
						     configuration->path, false, errors);
		if (!configuration->config) {
			for (uint32_t i = 0; i < config_errors_count(errors); i++)
				fprintf(stderr, "%s\n", config_errors_text(errors, i));
			reader->wrong = "the configuration in force, which is not valid for this program";
		}
	}
	config_errors_free(errors);
}

static void listeners_read(struct reader *reader, const json_t *from, struct generation *generation)
{
	const json_t *listeners = json_object_get(from, "listeners"), *row;
	const struct config *config = generation->configuration.config;
	size_t i, count = json_array_size(listeners);

	generation->listeners =
		count <= HANDOVER_LISTENERS_MAXIMUM ? memory_alloc((count + 1) * sizeof(*generation->listeners)) : NULL;
	if (!generation->listeners) {
		reader->wrong = "listeners";
		return;
	}
	json_array_foreach(listeners, i, row)
	{
		struct open_listener *listener = &generation->listeners[i];

		listener->zone = (uint8_t)number_of(reader, row, "zone", 0, config->zone_count - 1);
		listener->listener = (uint8_t)number_of(reader, row, "listener", 0,
							config->zones[listener->zone].listener_count - 1);
		listener->descriptor = descriptor_of(reader, row, "descriptor", false);
		if (reader->wrong)
			return;
		listener->transport = config->zones[listener->zone].listeners[listener->listener].transport;
		listener->address = config->zones[listener->zone].listeners[listener->listener].address;
		generation->listener_count++;
	}
}

static void generation_read(struct reader *reader, const json_t *from, struct generation *generation)
{
	const json_t *files = json_object_get(from, "files");

	generation->number = (uint32_t)number_of(reader, from, "number", 1, INT32_MAX);
	for (int i = 0; i < IPC_FILE_COUNT; i++)
		generation->files[i] =
			json_object_get(files, file_names[i]) ? descriptor_of(reader, files, file_names[i], false) : -1;
	/* Who only checks was given this one file, in this place. */
	if (reader->check_only)
		generation->files[IPC_FILE_CONFIGURATION] = TAKEOVER_CHECK_CONFIGURATION;
	if (!reader->wrong)
		configuration_read(reader, from, generation->files[IPC_FILE_CONFIGURATION], &generation->configuration);
	if (!reader->wrong)
		listeners_read(reader, from, generation);
}

static void children_read(struct reader *reader, const json_t *from, bool same_version, struct supervisor *supervisor)
{
	for (int role = 0; role < IPC_ROLE_COUNT; role++) {
		struct child *child = &supervisor->children[role];
		const json_t *row = json_object_get(from, ipc_role_name((enum ipc_role)role));

		child->inherited = -1;
		if (!row)
			continue;
		child->pid = (pid_t)number_of(reader, row, "pid", 2, INT32_MAX);
		child->inherited = descriptor_of(reader, row, "channel", false);
		child->is_new = json_is_true(json_object_get(row, "new"));
		if (supervisor->arrival == ARRIVAL_RESUME) {
			child->is_foreign = json_is_true(json_object_get(row, "foreign"));
			child->is_due = json_is_true(json_object_get(row, "due"));
		} else {
			child->is_foreign = !same_version;
			/* On the way back only what the other program started is replaced. */
			child->is_due = !supervisor->upgrade.is_going_back || child->is_new;
			child->is_new = false;
		}
		child->is_ready = json_is_true(json_object_get(row, "ready"));
	}
}

/* A program before the first that had one leaves none; one with other maps leaves what we cannot use. Then there are the
 * sockets until the next start. */
static void shield_read(struct reader *reader, const json_t *from, struct supervisor *supervisor)
{
	const json_t *maps = json_object_get(from, "shield"), *row;
	struct bpf_shield *shield = &supervisor->datapath.shield;
	size_t i;

	snprintf(supervisor->shield_reason, sizeof(supervisor->shield_reason),
		 "the program before had no shield of this kind; the next start opens it");
	if (json_integer_value(json_object_get(from, "shield_abi")) != SHIELD_ABI)
		return;
	json_array_foreach(maps, i, row)
	{
		json_t *map = json_pack("{s:O}", "shield", row);

		if (i < BPF_SHIELD_MAPS)
			shield->maps[i] = descriptor_of(reader, map, "shield", false);
		json_decref(map);
	}
	text_of(reader, from, "shield_reason", supervisor->shield_reason, sizeof(supervisor->shield_reason));
}

static void datapath_read(struct reader *reader, const json_t *from, struct supervisor *supervisor)
{
	struct bpf_datapath *datapath = &supervisor->datapath;
	const json_t *links = json_object_get(from, "links"), *row;
	size_t i;

	*datapath = BPF_DATAPATH_NONE;
	snprintf(supervisor->datapath_state, sizeof(supervisor->datapath_state),
		 "sockets: the program before had no datapath of this kind; the next start opens it");
	if (!from)
		return;
	datapath->flows = descriptor_of(reader, from, "flows", true);
	datapath->sites = descriptor_of(reader, from, "sites", true);
	if (json_object_get(from, "sockets"))
		datapath->sockets = descriptor_of(reader, from, "sockets", true);
	json_array_foreach(links, i, row)
	{
		json_t *link = json_pack("{s:O}", "link", row);

		if (datapath->link_count < DATAPATH_SITES_MAXIMUM && !reader->check_only)
			datapath->links[datapath->link_count++] = descriptor_of(reader, link, "link", false);
		json_decref(link);
	}
	shield_read(reader, from, supervisor);
	if (json_integer_value(json_object_get(from, "abi")) != DATAPATH_ABI)
		bpf_datapath_close(datapath);
	else
		text_of(reader, from, "state", supervisor->datapath_state, sizeof(supervisor->datapath_state));
}

static void supervisor_read(struct reader *reader, const json_t *from, struct supervisor *supervisor)
{
	const json_t *upgrade = json_object_get(from, "upgrade");
	char path[4096];

	text_of(reader, from, "program", supervisor->program, sizeof(supervisor->program));
	if (text_of(reader, from, "state_directory", path, sizeof(path)))
		supervisor->state_directory = memory_copy_text(span_from(path));
	supervisor->lock = descriptor_of(reader, from, "lock", false);
	supervisor->control = descriptor_of(reader, from, "control", false);
	supervisor->memory = descriptor_of(reader, from, "memory", true);
	supervisor->memory_records = (uint32_t)number_of(reader, from, "memory_records", 0, INT32_MAX);
	datapath_read(reader, json_object_get(from, "datapath"), supervisor);
	supervisor->last_generation = (uint32_t)number_of(reader, from, "last_generation", 1, INT32_MAX);
	supervisor->testpbx = (pid_t)number_of(reader, from, "testpbx", 0, INT32_MAX);
	supervisor->reload.is_active = json_is_true(json_object_get(from, "reloading"));
	supervisor->upgrade.number = (uint32_t)number_of(reader, upgrade, "number", 0, INT32_MAX);
	supervisor->upgrade.step =
		(enum upgrade_step)number_of(reader, upgrade, "step", UPGRADE_IDLE, UPGRADE_REPLACING);
	supervisor->upgrade.state = (uint8_t)number_of(reader, upgrade, "state", 0, IPC_UPGRADE_FAILED);
	supervisor->upgrade.started_us = (uint64_t)number_of(reader, upgrade, "started_us", 0, INT64_MAX);
	text_of(reader, upgrade, "from", supervisor->upgrade.from, sizeof(supervisor->upgrade.from));
	text_of(reader, upgrade, "reason", supervisor->upgrade.text, sizeof(supervisor->upgrade.text));
	supervisor->upgrade.is_going_back = json_is_true(json_object_get(upgrade, "back"));
	supervisor->upgrade.previous = descriptor_of(reader, upgrade, "previous", true);
	generation_read(reader, json_object_get(from, "generation"), &supervisor->current);
	children_read(reader, json_object_get(from, "children"),
		      number_of(reader, from, "ipc_version", 0, UINT8_MAX) == IPC_VERSION, supervisor);
	if (!supervisor->state_directory)
		reader->wrong = "state_directory";
}

int takeover_read(int descriptor, bool check_only, struct supervisor *supervisor, char *error, size_t error_capacity)
{
	struct reader reader = {.check_only = check_only};
	int seals = fcntl(descriptor, F_GET_SEALS), result = -EPROTO;
	json_t *from = NULL;
	char *text = NULL;
	size_t length = 0;

	/* Nobody else can have made it, or change it, than a process that had our descriptors. */
	if (seals < 0 || !(seals & F_SEAL_WRITE) || !(seals & F_SEAL_SHRINK) || !(seals & F_SEAL_GROW))
		snprintf(error, error_capacity, "what the program before left is no sealed memory file");
	else if (ipc_file_read(descriptor, DESCRIPTION_MAXIMUM, &text, &length))
		snprintf(error, error_capacity, "what the program before left cannot be read");
	else if (!(from = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL)) ||
		 json_integer_value(json_object_get(from, "format")) != TAKEOVER_FORMAT)
		snprintf(error, error_capacity, "what the program before left is not understood");
	else if (!check_only && json_integer_value(json_object_get(from, "process")) != getppid())
		snprintf(error, error_capacity, "what the program before left is for another process");
	else
		result = 0;
	if (!result) {
		supervisor_read(&reader, from, supervisor);
		if (reader.wrong) {
			snprintf(error, error_capacity, "what the program before left cannot be used: %s",
				 reader.wrong);
			result = -EINVAL;
		}
	}
	memory_free(text);
	json_decref(from);
	return result;
}
