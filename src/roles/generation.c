/* SPDX-License-Identifier: Apache-2.0
 * A generation: one whole configuration with its sockets and files open, or none of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/net.h"
#include "roles/handover.h"
#include "roles/supervisor.h"

#define PASSWORD_MAXIMUM 128       /* bytes, of one account */
#define PASSWORD_FILE_MAXIMUM 4096 /* enough to say that there is more than a password in it */

/* Where systems keep the authorities that everybody trusts. */
static const char *const system_authorities[] = {"/etc/ssl/certs/ca-certificates.crt",
						 "/etc/pki/tls/certs/ca-bundle.crt"};

static int config_open(struct generation *generation, const char *path, struct buffer *complaints)
{
	struct config_errors *errors = config_errors_new();
	int error = errors ? configuration_load(path, true, errors, &generation->configuration) : -ENOMEM;

	for (uint32_t i = 0; errors && i < config_errors_count(errors); i++)
		buffer_printf(complaints, "%s\n", config_errors_text(errors, i));
	for (uint32_t i = 0; errors && !error && i < config_notes_count(errors); i++)
		log_write(LOG_NOTICE, "config", "%s", config_notes_text(errors, i));
	if (error && !(errors && config_errors_count(errors)))
		buffer_printf(complaints, "%s: the configuration cannot be read: %s\n", generation->configuration.path,
			      strerror(-error));
	config_errors_free(errors);
	return error;
}

/* A socket that is open already is shared: it cannot be bound twice, and what waits in it is not lost. TCP, TLS and
 * WebSockets differ only in what is done with a connection. */
static int socket_of_before(const struct generation *before, const struct config_listener *listener)
{
	for (uint16_t i = 0; before && i < before->listener_count; i++)
		if (transport_is_stream(before->listeners[i].transport) == transport_is_stream(listener->transport) &&
		    address_equal(&before->listeners[i].address, &listener->address))
			return fcntl(before->listeners[i].descriptor, F_DUPFD_CLOEXEC, 0);
	return -1;
}

static int listener_open(struct generation *generation, const struct generation *before, uint8_t zone, uint8_t index,
			 struct buffer *complaints)
{
	const struct config_zone *in = &generation->configuration.config->zones[zone];
	const struct config_listener *listener = &in->listeners[index];
	int descriptor = socket_of_before(before, listener);

	if (descriptor < 0)
		descriptor = net_socket_open(listener->transport, &listener->address);
	if (descriptor < 0) {
		buffer_printf(complaints, "%s: zones.listen: zone %s: %s cannot be opened: %s\n",
			      generation->configuration.path, in->name, listener->text, strerror(-descriptor));
		return descriptor;
	}
	generation->listeners[generation->listener_count++] =
		(struct open_listener){zone, index, listener->transport, listener->address, descriptor};
	return 0;
}

/* All are tried, so that all errors are told at once. */
static int listeners_open(struct generation *generation, const struct generation *before, struct buffer *complaints)
{
	const struct config *config = generation->configuration.config;
	size_t count = 0;
	int result = 0;

	for (uint8_t i = 0; i < config->zone_count; i++)
		count += config->zones[i].listener_count;
	generation->listeners = memory_alloc((count + 1) * sizeof(*generation->listeners));
	if (!generation->listeners)
		return -ENOMEM;
	for (uint8_t i = 0; i < config->zone_count; i++)
		for (uint8_t k = 0; k < config->zones[i].listener_count; k++) {
			int error = listener_open(generation, before, i, k, complaints);

			if (error)
				result = error;
		}
	return result;
}

static int file_open(struct generation *generation, enum ipc_file_kind kind, const char *name, struct span bytes)
{
	generation->files[kind] = ipc_file_make(name, bytes);
	return generation->files[kind] < 0 ? generation->files[kind] : 0;
}

/* A file of the disk into a memory file. */
static int file_copy(struct generation *generation, enum ipc_file_kind kind, const char *name, const char *path,
		     struct buffer *complaints)
{
	char *bytes;
	size_t length;
	int error = state_file_read(path, HANDOVER_FILE_MAXIMUM, &bytes, &length);

	if (!error)
		error = file_open(generation, kind, name, (struct span){bytes, length});
	if (error)
		buffer_printf(complaints, "%s: cannot be read: %s\n", path, strerror(-error));
	memory_free_secret(bytes, length);
	return error;
}

static bool uses_tls(const struct config *config, bool as_client)
{
	for (uint8_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];

		for (uint8_t k = 0; !as_client && k < zone->listener_count; k++)
			if (transport_is_secure(zone->listeners[k].transport))
				return true;
		for (uint8_t k = 0; as_client && k < zone->peer_count; k++)
			if (zone->peers[k].transport == TRANSPORT_TLS)
				return true;
	}
	return false;
}

static int authorities_open(struct generation *generation, struct buffer *complaints)
{
	const struct config *config = generation->configuration.config;

	if (!uses_tls(config, true))
		return 0;
	if (config->tls.authorities)
		return file_copy(generation, IPC_FILE_AUTHORITIES, "authorities", config->tls.authorities, complaints);
	for (size_t i = 0; i < sizeof(system_authorities) / sizeof(system_authorities[0]); i++)
		if (access(system_authorities[i], R_OK) == 0)
			return file_copy(generation, IPC_FILE_AUTHORITIES, "authorities", system_authorities[i],
					 complaints);
	log_write(LOG_WARNING, "supervisor",
		  "this system has no list of authorities (package ca-certificates): "
		  "TLS peers that are dialled cannot be verified");
	return 0;
}

static int zone_authorities_add(const struct config_zone *zone, struct buffer *out, struct buffer *complaints)
{
	char *bytes;
	size_t length;
	int error = state_file_read(zone->authorities, HANDOVER_FILE_MAXIMUM, &bytes, &length);

	if (!error) {
		buffer_printf(out, "%s %zu\n", zone->name, length);
		buffer_put(out, bytes, length);
		error = out->overflow ? -EFBIG : 0;
	}
	if (error)
		buffer_printf(complaints, "%s: cannot be read: %s\n", zone->authorities, strerror(-error));
	memory_free_secret(bytes, length);
	return error;
}

static int zone_authorities_open(struct generation *generation, struct buffer *complaints)
{
	const struct config *config = generation->configuration.config;
	char *bytes = memory_alloc(HANDOVER_FILE_MAXIMUM);
	struct buffer out = buffer_over(bytes, bytes ? HANDOVER_FILE_MAXIMUM : 0);
	int error = bytes ? 0 : -ENOMEM;

	for (uint8_t i = 0; i < config->zone_count && !error; i++)
		if (config->zones[i].authorities)
			error = zone_authorities_add(&config->zones[i], &out, complaints);
	if (!error && out.length)
		error = file_open(generation, IPC_FILE_ZONE_AUTHORITIES, "zone-authorities", buffer_span(&out));
	memory_free(bytes);
	return error;
}

/* One password into `out`, as a line. What else stands in the file than a password is an error, not a guess. */
static int password_add(const struct config_zone *zone, struct buffer *out, struct buffer *complaints)
{
	char *bytes;
	size_t length;
	int error = state_file_read(zone->registration.password_file, PASSWORD_FILE_MAXIMUM, &bytes, &length);
	struct span password = {bytes, error ? 0 : length};
	const char *wrong = error ? strerror(-error) : NULL;

	if (password.length && password.data[password.length - 1] == '\n')
		password.length--;
	if (!wrong && (!password.length || password.length > PASSWORD_MAXIMUM))
		wrong = "it must hold one line of 1 to 128 bytes, the password";
	for (size_t i = 0; i < password.length && !wrong; i++)
		if ((unsigned char)password.data[i] < ' ' || password.data[i] == 0x7f)
			wrong = "it holds more than one line, or control characters, and not just the password";
	if (wrong)
		buffer_printf(complaints, "%s: the password of zone %s cannot be used: %s\n",
			      zone->registration.password_file, zone->name, wrong);
	else
		buffer_printf(out, "%s %.*s\n", zone->name, SPAN_PRINT(password));
	memory_free_secret(bytes, length);
	return wrong ? -EINVAL : 0;
}

/* The gate cannot read files: it is given the passwords of all its accounts in one. */
static int passwords_open(struct generation *generation, struct buffer *complaints)
{
	const struct config *config = generation->configuration.config;
	size_t capacity = (size_t)config->zone_count * (PASSWORD_MAXIMUM + 64) + 1;
	char *bytes = memory_alloc(capacity);
	struct buffer out = buffer_over(bytes, bytes ? capacity : 0);
	int error = bytes ? 0 : -ENOMEM;

	for (uint8_t i = 0; i < config->zone_count && bytes; i++)
		if (config->zones[i].registration.user && password_add(&config->zones[i], &out, complaints))
			error = -EINVAL;
	if (!error && out.length)
		error = file_open(generation, IPC_FILE_PASSWORDS, "passwords", buffer_span(&out));
	memory_free_secret(bytes, capacity);
	return error;
}

/* What media shows in DTLS: made anew for each gateway that starts, and kept over reloads and upgrades, so that its fingerprint in
 * descriptions stays true. Nobody checks the name in it; nobody is told anything by it. */
static int media_certificate_open(struct generation *generation, const struct generation *before,
				  struct buffer *complaints)
{
	static const struct span names[] = {SPAN_INIT("media")};
	char certificate_text[4096], key_text[2048];
	struct buffer certificate = BUFFER_OVER(certificate_text), key = BUFFER_OVER(key_text);
	int error;

	for (int kind = IPC_FILE_MEDIA_CERTIFICATE; kind <= IPC_FILE_MEDIA_KEY; kind++)
		if (before && before->files[kind] >= 0)
			generation->files[kind] = fcntl(before->files[kind], F_DUPFD_CLOEXEC, 0);
	if (generation->files[IPC_FILE_MEDIA_CERTIFICATE] >= 0 && generation->files[IPC_FILE_MEDIA_KEY] >= 0)
		return 0;
	error = net_certificate_make(names, 1, &certificate, &key);
	if (!error)
		error = file_open(generation, IPC_FILE_MEDIA_CERTIFICATE, "media-certificate",
				  buffer_span(&certificate));
	if (!error)
		error = file_open(generation, IPC_FILE_MEDIA_KEY, "media-key", buffer_span(&key));
	memory_wipe(key_text, sizeof(key_text));
	if (error)
		buffer_printf(complaints, "the certificate of media cannot be made: %s\n", strerror(-error));
	return error;
}

static int files_open(struct generation *generation, const struct generation *before, struct buffer *complaints)
{
	const struct configuration *configuration = &generation->configuration;
	const struct config *config = configuration->config;
	int error = file_open(generation, IPC_FILE_CONFIGURATION, "configuration",
			      (struct span){configuration->text, configuration->length});

	if (error)
		buffer_printf(complaints, "a memory file cannot be made: %s\n", strerror(-error));
	if (!error && uses_tls(config, false)) {
		error = state_certificate_make(configuration, complaints);
		if (!error)
			error = file_copy(generation, IPC_FILE_CERTIFICATE, "certificate", config->tls.certificate,
					  complaints);
		if (!error)
			error = file_copy(generation, IPC_FILE_KEY, "key", config->tls.key, complaints);
	}
	if (!error)
		error = media_certificate_open(generation, before, complaints);
	if (!error)
		error = passwords_open(generation, complaints);
	if (!error)
		error = zone_authorities_open(generation, complaints);
	return error ? error : authorities_open(generation, complaints);
}

/* What holds for the life of the supervisor. */
static int unchangeable_check(const struct generation *generation, const struct generation *before,
			      struct buffer *complaints)
{
	const struct config *config = generation->configuration.config;
	const struct config *old = before ? before->configuration.config : config;
	int error = 0;

	if (strcmp(config->state_directory, old->state_directory) != 0) {
		buffer_printf(complaints, "%s: state_directory: changes only when the gateway is started anew\n",
			      generation->configuration.path);
		error = -EINVAL;
	}
	if (strcmp(config->user, old->user) != 0) {
		buffer_printf(complaints, "%s: user: changes only when the gateway is started anew\n",
			      generation->configuration.path);
		error = -EINVAL;
	}
	return error;
}

int generation_open(struct generation *generation, const char *path, const struct generation *before,
		    struct buffer *complaints)
{
	int error, listening;

	memset(generation, 0, sizeof(*generation));
	for (int i = 0; i < IPC_FILE_COUNT; i++)
		generation->files[i] = -1;
	error = config_open(generation, path, complaints);
	if (!error)
		error = unchangeable_check(generation, before, complaints);
	if (!error) {
		listening = listeners_open(generation, before, complaints);
		error = files_open(generation, before, complaints);
		if (!error)
			error = listening;
	}
	if (error)
		generation_close(generation);
	return error;
}

void generation_close(struct generation *generation)
{
	for (uint16_t i = 0; i < generation->listener_count; i++)
		close(generation->listeners[i].descriptor);
	memory_free(generation->listeners);
	for (int i = 0; i < IPC_FILE_COUNT; i++)
		if (generation->files[i] >= 0)
			close(generation->files[i]);
	configuration_clear(&generation->configuration);
	memset(generation, 0, sizeof(*generation));
	for (int i = 0; i < IPC_FILE_COUNT; i++)
		generation->files[i] = -1;
}
