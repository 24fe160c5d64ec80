/* SPDX-License-Identifier: Apache-2.0
 * What one supervisor describes the next understands, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "roles/takeover.h"

static const char yaml[] = "site: {domain: voip.example.org}\n"
			   "state_directory: /tmp\n"
			   "zones:\n"
			   "  - name: phones\n"
			   "    kind: access\n"
			   "    listen: [\"udp:127.0.0.1:5060\", \"tcp:127.0.0.1:5060\"]\n"
			   "    media: {address: 127.0.0.1, ports: \"20000-20099\", encryption: none}\n";

static struct open_listener listeners[2];

static void supervisor_make(struct supervisor *supervisor)
{
	memset(supervisor, 0, sizeof(*supervisor));
	supervisor->lock = dup(0);
	supervisor->control = dup(0);
	supervisor->memory = dup(0);
	supervisor->datapath = BPF_DATAPATH_NONE;
	supervisor->memory_records = 77;
	supervisor->last_generation = 5;
	supervisor->state_directory = (char *)(uintptr_t) "/tmp";
	snprintf(supervisor->program, sizeof(supervisor->program), "/usr/bin/ringwall");
	for (int i = 0; i < IPC_FILE_COUNT; i++)
		supervisor->current.files[i] = -1;
	supervisor->current.files[IPC_FILE_CONFIGURATION] = ipc_file_make("configuration", span_from(yaml));
	supervisor->current.number = 4;
	snprintf(supervisor->current.configuration.path, 100, "/etc/ringwall/ringwall.yaml");
	for (uint8_t i = 0; i < 2; i++)
		listeners[i] = (struct open_listener){.zone = 0, .listener = i, .descriptor = dup(0)};
	supervisor->current.listeners = listeners;
	supervisor->current.listener_count = 2;
	supervisor->upgrade.number = 3;
	supervisor->upgrade.previous = -1;
	snprintf(supervisor->upgrade.from, sizeof(supervisor->upgrade.from), "0.0.9");
}

static void supervisor_close(struct supervisor *supervisor)
{
	close(supervisor->lock);
	close(supervisor->control);
	close(supervisor->memory);
	close(supervisor->current.files[IPC_FILE_CONFIGURATION]);
	for (int i = 0; i < 2; i++)
		close(listeners[i].descriptor);
}

static void result_clear(struct supervisor *supervisor)
{
	configuration_clear(&supervisor->current.configuration);
	memory_free(supervisor->current.listeners);
	memory_free(supervisor->state_directory);
}

static void what_is_described_is_understood(void **state)
{
	static struct supervisor from, to;
	int descriptors[TAKEOVER_DESCRIPTORS], count = 0, file;
	char error[200] = "";

	(void)state;
	supervisor_make(&from);
	file = takeover_write(&from, descriptors);
	assert_true(file >= 0);
	while (descriptors[count] >= 0)
		count++;
	assert_int_equal(count, 6);
	fcntl(from.lock, F_SETFD, 0);
	assert_int_equal(takeover_read(file, false, &to, error, sizeof(error)), 0);
	assert_int_equal(to.lock, from.lock);
	assert_int_equal(fcntl(to.lock, F_GETFD), FD_CLOEXEC);
	assert_int_equal(to.memory_records, 77);
	assert_int_equal(to.last_generation, 5);
	assert_string_equal(to.program, from.program);
	assert_int_equal(to.current.number, 4);
	assert_int_equal(to.current.listener_count, 2);
	assert_int_equal(to.current.listeners[1].transport, TRANSPORT_TCP);
	assert_int_equal(to.current.listeners[1].address.port, 5060);
	assert_int_equal(to.current.listeners[1].descriptor, listeners[1].descriptor);
	assert_string_equal(to.current.configuration.config->site.domain, "voip.example.org");
	assert_int_equal(to.current.files[IPC_FILE_KEY], -1);
	assert_int_equal(to.upgrade.number, 3);
	assert_string_equal(to.upgrade.from, "0.0.9");
	result_clear(&to);
	supervisor_close(&from);
}

/* Replaces `old` in the description. Returns what takeover_read says. */
static int read_changed(const struct supervisor *from, const char *old, const char *new)
{
	static struct supervisor to;
	int descriptors[TAKEOVER_DESCRIPTORS], file = takeover_write(from, descriptors), result;
	char *text, changed[8192], error[200] = "";
	size_t length;
	const char *at;

	assert_int_equal(ipc_file_read(file, sizeof(changed) / 2, &text, &length), 0);
	at = strstr(text, old);
	assert_non_null(at);
	snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	memory_free_secret(text, length + 1);
	memset(&to, 0, sizeof(to));
	result = takeover_read(ipc_file_make("changed", span_from(changed)), false, &to, error, sizeof(error));
	assert_int_equal(result != 0, *error != 0);
	result_clear(&to);
	return result;
}

static void anything_else_is_refused(void **state)
{
	static const struct {
		const char *old, *new;
	} rows[] = {
		{"{\"format\":2", "{\"format\":1"},
		{"{\"format\"", "[\"format\""},
		{"\"lock\":", "\"lock\":9999,\"block\":"},
		{"\"control\":", "\"control\":1,\"other\":"},
		{"\"last_generation\":5", "\"last_generation\":\"5\""},
		{"\"zone\":0", "\"zone\":1"},
		{"\"zone\":0", "\"zone\":-1"},
		{"\"listener\":1", "\"listener\":2"},
		{"\"children\":{", "\"children\":{\"gate\":{\"pid\":1,\"ready\":true,\"new\":false,\"channel\":3}"},
		{"\"state_directory\":\"/tmp\"", "\"state_directory\":null"},
		{"\"process\":", "\"process\":1,\"pro\":"},
	};
	static struct supervisor from;

	(void)state;
	supervisor_make(&from);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_not_equal(read_changed(&from, rows[i].old, rows[i].new), 0);
	/* What a later version adds is no obstacle. */
	assert_int_equal(read_changed(&from, "{\"format\":2", "{\"colour\":\"red\",\"format\":2"), 0);
	supervisor_close(&from);
}

static void what_is_not_sealed_is_refused(void **state)
{
	static struct supervisor to;
	char error[200], name[] = "/tmp/takeover-XXXXXX";
	int file = mkstemp(name);

	(void)state;
	unlink(name);
	assert_int_equal(takeover_read(file, false, &to, error, sizeof(error)), -EPROTO);
	assert_non_null(strstr(error, "sealed"));
	close(file);
	setenv(TAKEOVER_VARIABLE, "7x", 1);
	assert_false(upgrade_is_takeover(&file));
	assert_null(getenv(TAKEOVER_VARIABLE));
	setenv(TAKEOVER_VARIABLE, "7", 1);
	assert_true(upgrade_is_takeover(&file));
	assert_int_equal(file, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_described_is_understood),
		cmocka_unit_test(anything_else_is_refused),
		cmocka_unit_test(what_is_not_sealed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
