/* SPDX-License-Identifier: Apache-2.0
 * Finding and reading the configuration: the file that was named, the usual one, or the embedded default. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "roles/supervisor.h"

#define TEXT_MAXIMUM_BYTES (1u << 20)

/* The address that phones reach: where packets to the world would leave. Nothing is sent by this. */
static void own_address(struct address *address)
{
	struct sockaddr_storage remote, local;
	socklen_t length = sizeof(local);
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct address world;

	address_parse(SPAN("192.0.2.1:9"), &world); /* RFC 5737: nobody's */
	if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&remote, address_to_sockaddr(&world, &remote)) ||
	    getsockname(descriptor, (struct sockaddr *)&local, &length) ||
	    address_from_sockaddr((struct sockaddr *)&local, address) || address_is_any(address))
		address_parse(SPAN("127.0.0.1"), address);
	address->port = 0;
	if (descriptor >= 0)
		close(descriptor);
}

static int embedded_make(struct configuration *configuration)
{
	char state_directory[1024];
	struct address address;
	struct buffer text;
	int error = config_state_directory(SPAN_EMPTY, state_directory, sizeof(state_directory));

	if (error)
		return error;
	configuration->text = memory_alloc(CONFIG_EMBEDDED_BYTES);
	if (!configuration->text)
		return -ENOMEM;
	own_address(&address);
	text = buffer_over(configuration->text, CONFIG_EMBEDDED_BYTES);
	config_embedded(&text, &address, state_directory);
	if (text.overflow)
		return -ENOSPC;
	buffer_text(&text);
	configuration->length = text.length;
	configuration->embedded = true;
	snprintf(configuration->path, sizeof(configuration->path), "built-in configuration");
	return 0;
}

static int text_read(const char *path, struct configuration *configuration)
{
	const char *file = path ? path : CONFIG_PATH;
	int error = state_file_read(file, TEXT_MAXIMUM_BYTES, &configuration->text, &configuration->length);

	if (error == -ENOENT && !path)
		return embedded_make(configuration);
	snprintf(configuration->path, sizeof(configuration->path), "%s", file);
	return error;
}

int configuration_load(const char *path, bool check_files, struct config_errors *errors,
		       struct configuration *configuration)
{
	int error;

	memset(configuration, 0, sizeof(*configuration));
	error = text_read(path, configuration);
	if (!error) {
		configuration->config = config_parse((struct span){configuration->text, configuration->length},
						     configuration->path, check_files, errors);
		error = configuration->config ? 0 : -EINVAL;
	}
	return error;
}

int configuration_state_directory(const char *path, char *out, size_t capacity)
{
	struct configuration configuration = {0};
	int error = text_read(path, &configuration);

	if (!error)
		error = config_state_directory((struct span){configuration.text, configuration.length}, out, capacity);
	configuration_clear(&configuration);
	return error;
}

void configuration_clear(struct configuration *configuration)
{
	config_free(configuration->config);
	memory_free(configuration->text);
	memset(configuration, 0, sizeof(*configuration));
}

int configuration_load_or_complain(const char *path, bool check_files, struct configuration *configuration)
{
	struct config_errors *errors = config_errors_new();
	int error = errors ? configuration_load(path, check_files, errors, configuration) : -ENOMEM;

	for (uint32_t i = 0; errors && i < config_errors_count(errors); i++)
		fprintf(stderr, "%s\n", config_errors_text(errors, i));
	if (error && errors && !config_errors_count(errors))
		fprintf(stderr, "%s: the file cannot be read: %s\n", configuration->path, strerror(-error));
	if (error)
		configuration_clear(configuration);
	config_errors_free(errors);
	return error;
}
