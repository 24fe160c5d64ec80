/* SPDX-License-Identifier: Apache-2.0
 * Finding and reading the configuration: the file that was named, the usual one, or the embedded default. */
#include <errno.h>
#include <netinet/in.h>

#include <linux/in6.h> /* after netinet's */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "roles/supervisor.h"

#define TEXT_MAXIMUM_BYTES (1u << 20)

/* The address by which packets to `world` would leave; false: none of that IP version. Nothing is sent by this. */
static bool address_toward(const char *world_text, struct address *address)
{
	int public = IPV6_PREFER_SRC_PUBLIC; /* phones keep it for longer than a temporary one lasts (RFC 5014) */
	struct sockaddr_storage remote, local;
	socklen_t length = sizeof(local);
	struct address world;
	int descriptor;
	bool found;

	address_parse(span_from(world_text), &world);
	descriptor = socket(world.family == ADDRESS_IPV6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return false;
	if (world.family == ADDRESS_IPV6)
		setsockopt(descriptor, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &public, sizeof(public));
	found = !connect(descriptor, (struct sockaddr *)&remote, address_to_sockaddr(&world, &remote)) &&
		!getsockname(descriptor, (struct sockaddr *)&local, &length) &&
		!address_from_sockaddr((struct sockaddr *)&local, address) && !address_is_any(address) &&
		!address_is_link_local(address);
	address->port = 0;
	close(descriptor);
	return found;
}

/* The addresses that phones reach. `beside` is the IPv6 one; false: there is none. RFC 5737 and RFC 3849: nobody's addresses. */
static bool own_addresses(struct address *address, struct address *beside)
{
	if (address_toward("192.0.2.1:9", address))
		return address_toward("[2001:db8::1]:9", beside);
	address_parse(SPAN("127.0.0.1"), address);
	return address_toward("[::1]:9", beside);
}

static int embedded_make(struct configuration *configuration)
{
	char state_directory[1024];
	struct address address, beside;
	bool has_beside = own_addresses(&address, &beside);
	struct buffer text;
	int error = config_state_directory(SPAN_EMPTY, state_directory, sizeof(state_directory));

	if (error)
		return error;
	configuration->text = memory_alloc(CONFIG_EMBEDDED_BYTES);
	if (!configuration->text)
		return -ENOMEM;
	text = buffer_over(configuration->text, CONFIG_EMBEDDED_BYTES);
	config_embedded(&text, &address, has_beside ? &beside : NULL, state_directory);
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

static int load(const char *path, bool check_files, config_inspect *inspect, struct config_errors *errors,
		struct configuration *configuration)
{
	struct span text;
	int error;

	memset(configuration, 0, sizeof(*configuration));
	error = text_read(path, configuration);
	if (error)
		return error;
	text = (struct span){configuration->text, configuration->length};
	configuration->config = inspect ? config_parse_inspected(text, configuration->path, inspect, errors)
					: config_parse(text, configuration->path, check_files, errors);
	return configuration->config ? 0 : -EINVAL;
}

int configuration_load(const char *path, bool check_files, struct config_errors *errors,
		       struct configuration *configuration)
{
	return load(path, check_files, NULL, errors, configuration);
}

int configuration_inspect(const char *path, config_inspect *inspect, struct config_errors *errors,
			  struct configuration *configuration)
{
	return load(path, true, inspect, errors, configuration);
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
