/* SPDX-License-Identifier: Apache-2.0
 * What the owner sees when the gateway is up; on the embedded configuration, what a newcomer types into a softphone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "roles/supervisor.h"

/* As the embedded configuration has its peer. */
#define TESTPBX_ADDRESS "127.0.0.1:5070"

static const struct config_listener *tls_listener(const struct config *config)
{
	for (uint8_t i = 0; i < config->zone_count; i++)
		for (uint8_t k = 0; k < config->zones[i].listener_count; k++)
			if (config->zones[i].kind == ZONE_ACCESS &&
			    config->zones[i].listeners[k].transport == TRANSPORT_TLS)
				return &config->zones[i].listeners[k];
	return NULL;
}

static void zones_print(const struct config *config)
{
	for (uint8_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];

		printf("  %-12s %-7s ", zone->name, zone_kind_name(zone->kind));
		for (uint8_t k = 0; k < zone->listener_count; k++)
			printf("%s%s", k ? ", " : "", zone->listeners[k].text);
		printf("  media %s\n", zone->media.encryption == ENCRYPTION_NONE       ? "not encrypted"
				       : zone->media.encryption == ENCRYPTION_REQUIRED ? "encrypted"
										       : "encrypted where possible");
	}
}

static void softphone_print(const struct supervisor *supervisor, const char *password)
{
	const struct config *config = supervisor->current.configuration.config;
	const struct config_listener *listener = tls_listener(config);
	unsigned port = listener ? listener->address.port : 5061;

	printf("\n"
	       "  Type this into a softphone (Linphone, Baresip, Zoiper, MicroSIP, …)\n"
	       "  ┌──────────────────────────────────────────────────────────────────┐\n"
	       "  │  %-16s %-45s  │\n"
	       "  │  %-16s %-45u  │\n"
	       "  │  %-16s %-45s  │\n"
	       "  │  %-16s %-45s  │\n"
	       "  │  %-16s %-45s  │\n"
	       "  │  %-16s %-45s  │\n"
	       "  └──────────────────────────────────────────────────────────────────┘\n",
	       "Server", config->site.domain, "Port", port, "Transport", "TLS", "User", TESTPBX_USER, "Password",
	       password, "Media encryption", "SRTP (SDES), mandatory");
	printf("  Then call 600 and hear yourself, encrypted; 601 plays a tone.\n"
	       "  The certificate is self-made: let the softphone accept it, or give it\n"
	       "  %s\n"
	       "\n"
	       "  No softphone at hand? This calls 600, listens, and says what it heard:\n"
	       "    %s testcall 'sip:600@%s:%u;transport=tls' \\\n"
	       "      --user %s --password-file %s/%s \\\n"
	       "      --authorities %s\n",
	       config->tls.certificate, program_invocation_name, config->site.domain, port, TESTPBX_USER,
	       config->state_directory, TESTPBX_SECRET_FILE, config->tls.certificate);
}

void greeting_print(const struct supervisor *supervisor)
{
	const struct configuration *configuration = &supervisor->current.configuration;
	char password[64] = "", text[512];
	struct buffer complaints = BUFFER_OVER(text);

	printf("\nRingwall %s is running.\n\n", RINGWALL_VERSION);
	printf("  Configuration  %s\n  State          %s\n\n", configuration->path, supervisor->state_directory);
	zones_print(configuration->config);
	if (configuration->embedded &&
	    state_testpbx_secret(supervisor->state_directory, password, sizeof(password), &complaints) == 0)
		softphone_print(supervisor, password);
	memory_wipe(password, sizeof(password));
	printf("\n  See also: %s status, calls, registrations, help.  Ctrl-C ends it.\n\n", program_invocation_name);
	fflush(stdout);
}

static void testpbx_execute(const char *secret_path)
{
	char path[1200];
	char *arguments[] = {(char[]){"ringwall"},        (char[]){"testpbx"},
			     (char[]){"--listen"},        (char[]){TESTPBX_ADDRESS},
			     (char[]){"--user"},          (char[]){TESTPBX_USER},
			     (char[]){"--password-file"}, path,
			     (char[]){"--with-parent"},   NULL};

	snprintf(path, sizeof(path), "%s", secret_path);
	close_range(3, ~0u, 0);
	execv("/proc/self/exe", arguments);
	_exit(127);
}

pid_t testpbx_start(const struct supervisor *supervisor)
{
	char password[64], text[512], path[1200];
	struct buffer complaints = BUFFER_OVER(text);
	pid_t pid;
	int error;

	if (!supervisor->current.configuration.embedded)
		return 0;
	error = state_testpbx_secret(supervisor->state_directory, password, sizeof(password), &complaints);
	memory_wipe(password, sizeof(password));
	if (error) {
		fputs(buffer_text(&complaints), stderr);
		return error;
	}
	snprintf(path, sizeof(path), "%s/%s", supervisor->state_directory, TESTPBX_SECRET_FILE);
	pid = keeper_fork();
	if (pid == 0)
		testpbx_execute(path);
	return pid < 0 ? -errno : pid;
}
