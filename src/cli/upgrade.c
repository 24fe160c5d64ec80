/* SPDX-License-Identifier: Apache-2.0
 * `upgrade`: asks for it, and then every gate that answers how it goes, for the one that was asked is replaced too. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "control/control.h"

#define PATIENCE_S 90
#define ASK_PATIENCE_MS 2000
#define PAUSE_MS 50

static bool has_ended(const json_t *upgrade, json_int_t number)
{
	return json_integer_value(json_object_get(upgrade, "number")) == number &&
	       strcmp(text_of(upgrade, "state"), "running") != 0;
}

/* What the status says of that upgrade once it has ended; NULL: too late. */
static json_t *ended_wait(const char *state_directory, json_int_t number)
{
	uint64_t deadline_us = clock_monotonic_us() + PATIENCE_S * UINT64_C(1000000);
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};

	for (; clock_monotonic_us() < deadline_us; nanosleep(&pause, NULL)) {
		json_t *request = json_pack("{s:s}", "command", "status"), *status = NULL, *upgrade;
		int error = control_ask(state_directory, request, ASK_PATIENCE_MS, &status);

		json_decref(request);
		if (error)
			continue; /* one gate is gone, and the next not there yet */
		upgrade = json_incref(json_object_get(status, "upgrade"));
		json_decref(status);
		if (has_ended(upgrade, number))
			return upgrade;
		json_decref(upgrade);
	}
	return NULL;
}

int upgrade_command(const struct arguments *arguments)
{
	char state_directory[1024];
	json_t *answer, *ended;
	json_int_t number;
	bool done;

	if (configuration_state_directory(arguments->configuration, state_directory, sizeof(state_directory)))
		return complain(EXIT_FAILED, "the configuration cannot be read");
	if (gateway_ask(state_directory, json_pack("{s:s}", "command", "upgrade"), false, &answer))
		return EXIT_FAILED;
	number = json_integer_value(json_object_get(answer, "number"));
	json_decref(answer);
	ended = ended_wait(state_directory, number);
	if (!ended)
		return complain(EXIT_FAILED, "the gateway does not say how it went; see its log, and: ringwall status");
	done = strcmp(text_of(ended, "state"), "done") == 0;
	if (arguments->json)
		json_print(ended);
	else if (done)
		printf("%s\n", text_of(ended, "text"));
	else
		complain(0, "%s", text_of(ended, "text"));
	json_decref(ended);
	return done ? EXIT_GOOD : EXIT_FAILED;
}
