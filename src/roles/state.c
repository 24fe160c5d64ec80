/* SPDX-License-Identifier: Apache-2.0
 * The state directory: making it, locking it, and the secrets that are made in it once. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/net.h"
#include "roles/supervisor.h"

#define PATH_BYTES 1200
#define SECRET_LENGTH 20

static int complain(struct buffer *complaints, int error, const char *path, const char *what)
{
	buffer_printf(complaints, "%s: %s: %s\n", path, what, strerror(-error));
	return error;
}

/* Makes every directory of the path that is not there; the last one is its owner's alone. */
static int directories_make(const char *path)
{
	char part[PATH_BYTES];

	if (span_copy(span_from(path), part, sizeof(part)))
		return -ENAMETOOLONG;
	for (char *at = part + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(part, 0700) && errno != EEXIST ? -errno : 0;
}

/* A role's own, which nobody else may enter. */
static int own_directory_make(const char *state_directory, const char *name, const struct confine_identity *identity)
{
	char path[PATH_BYTES];
	int error;

	snprintf(path, sizeof(path), "%s/%s", state_directory, name);
	error = directories_make(path);
	if (!error && chmod(path, 0700))
		error = -errno;
	if (!error && identity->drop && chown(path, identity->user, identity->group))
		error = -errno;
	return error;
}

int state_prepare(const char *state_directory, const struct confine_identity *identity, struct buffer *complaints)
{
	char path[PATH_BYTES];
	int error = directories_make(state_directory);

	if (error)
		return complain(complaints, error, state_directory, "the state directory cannot be made");
	snprintf(path, sizeof(path), "%s/%s", state_directory, STORE_DIRECTORY);
	error = own_directory_make(state_directory, STORE_DIRECTORY, identity);
	if (error)
		return complain(complaints, error, path, "the store's directory cannot be made");
	error = own_directory_make(state_directory, SHIELD_DIRECTORY, identity);
	if (error)
		return complain(complaints, error, state_directory, "the shield's directory cannot be made");

	/* Who ran as another user before, or used the commands as root, left files that the store could not open. */
	for (int i = 0; identity->drop && i < 3; i++) {
		static const char *const suffixes[] = {"", "-wal", "-shm"};

		snprintf(path, sizeof(path), "%s/%s/%s%s", state_directory, STORE_DIRECTORY, STORE_FILE, suffixes[i]);
		if (lchown(path, identity->user, identity->group) && errno != ENOENT)
			return complain(complaints, -errno, path, "the store's file cannot be given to its user");
	}
	return 0;
}

int state_lock(const char *state_directory, pid_t owner, struct buffer *complaints)
{
	char path[PATH_BYTES], text[32] = "";
	int descriptor;

	snprintf(path, sizeof(path), "%s/%s", state_directory, PID_FILE);
	descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (descriptor < 0)
		return complain(complaints, -errno, path, "cannot be opened");
	if (flock(descriptor, LOCK_EX | LOCK_NB)) {
		ssize_t length = read(descriptor, text, sizeof(text) - 1);

		text[length > 0 ? length : 0] = 0;
		text[strcspn(text, "\n")] = 0;
		buffer_printf(complaints,
			      "%s: a gateway (process %s) runs with this state directory already; end it, "
			      "or give this one another\n",
			      state_directory, text);
		close(descriptor);
		return -EBUSY;
	}
	snprintf(text, sizeof(text), "%d\n", (int)owner);
	if (ftruncate(descriptor, 0) || write(descriptor, text, strlen(text)) != (ssize_t)strlen(text))
		log_write(LOG_WARNING, "supervisor", "%s cannot be written: %s", path, strerror(errno));
	return descriptor;
}

void state_unlock(const char *state_directory, int lock)
{
	char path[PATH_BYTES];

	if (lock < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", state_directory, PID_FILE);
	unlink(path);
	close(lock);
}

int state_file_read(const char *path, size_t maximum, char **out, size_t *length)
{
	struct stat status;
	int error = 0, descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t done = 0;

	*out = NULL;
	*length = 0;
	if (descriptor < 0)
		return -errno;
	if (fstat(descriptor, &status))
		error = -errno;
	else if (!S_ISREG(status.st_mode))
		error = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
	else if ((uint64_t)status.st_size > maximum)
		error = -EFBIG;
	if (!error)
		*out = memory_alloc((size_t)status.st_size + 1);
	if (!error && !*out)
		error = -ENOMEM;
	while (!error && done < (size_t)status.st_size) {
		ssize_t got = read(descriptor, *out + done, (size_t)status.st_size - done);

		if (got <= 0) {
			error = got < 0 ? -errno : -EIO; /* it became shorter under our eyes */
			memory_free_secret(*out, (size_t)status.st_size + 1);
			*out = NULL;
			break;
		}
		done += (size_t)got;
	}
	*length = *out ? done : 0;
	close(descriptor);
	return error;
}

/* Beside it and then in its place, so that a power cut leaves none or all of it. */
static int file_write(const char *path, struct span bytes)
{
	char beside[PATH_BYTES + 8];
	int error = 0, descriptor;

	snprintf(beside, sizeof(beside), "%s.new", path);
	unlink(beside);
	descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (descriptor < 0)
		return -errno;
	if (write(descriptor, bytes.data, bytes.length) != (ssize_t)bytes.length || fsync(descriptor))
		error = errno ? -errno : -EIO;
	close(descriptor);
	if (!error && rename(beside, path))
		error = -errno;
	if (error)
		unlink(beside);
	return error;
}

/* Whether the certificate at `path` holds the name or address that phones are told. */
static bool certificate_fits(const char *path, const char *domain)
{
	FILE *file = fopen(path, "re");
	X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	bool fits = certificate && (X509_check_ip_asc(certificate, domain, 0) == 1 ||
				    X509_check_host(certificate, domain, 0, 0, NULL) == 1);

	X509_free(certificate);
	if (file)
		fclose(file);
	return fits;
}

/* site.domain, and every address that phones may dial. */
static size_t certificate_names(const struct config *config, struct span *names, size_t maximum,
				char (*texts)[ADDRESS_TEXT_BYTES])
{
	size_t count = 0;
	struct span domain = span_from(config->site.domain);

	if (domain.length > 2 && domain.data[0] == '[')
		domain = span_slice(domain, 1, domain.length - 2);
	names[count++] = domain;
	for (uint8_t i = 0; i < config->zone_count; i++)
		for (uint8_t k = 0; k < config->zones[i].listener_count && count < maximum; k++) {
			const struct config_listener *listener = &config->zones[i].listeners[k];
			struct buffer text = buffer_over(texts[count], ADDRESS_TEXT_BYTES);
			bool known = false;

			if (!transport_is_secure(listener->transport) || address_is_any(&listener->address))
				continue;
			address_write_ip(&text, &listener->address, false);
			for (size_t n = 0; n < count; n++)
				known = known || span_equal(names[n], buffer_span(&text));
			if (!known)
				names[count++] = buffer_span(&text);
		}
	return count;
}

static bool certificate_wanted(const struct configuration *configuration)
{
	const struct config *config = configuration->config;

	for (uint8_t i = 0; i < config->zone_count; i++)
		for (uint8_t k = 0; k < config->zones[i].listener_count; k++)
			if (transport_is_secure(config->zones[i].listeners[k].transport))
				return config->tls.generate ||
				       (configuration->embedded &&
					!certificate_fits(config->tls.certificate, config->site.domain));
	return false;
}

int state_certificate_make(const struct configuration *configuration, struct buffer *complaints)
{
	const struct config *config = configuration->config;
	char certificate_text[8192], key_text[2048], directory[PATH_BYTES], texts[16][ADDRESS_TEXT_BYTES];
	struct buffer certificate = BUFFER_OVER(certificate_text), key = BUFFER_OVER(key_text);
	struct span names[16];
	int error;

	if (!certificate_wanted(configuration))
		return 0;
	snprintf(directory, sizeof(directory), "%s/tls", config->state_directory);
	error = directories_make(directory);
	if (!error)
		error = net_certificate_make(names, certificate_names(config, names, 16, texts), &certificate, &key);
	/* The key first: a certificate without its key would be taken for a pair. */
	if (!error)
		error = file_write(config->tls.key, buffer_span(&key));
	if (!error)
		error = file_write(config->tls.certificate, buffer_span(&certificate));
	memory_wipe(key_text, sizeof(key_text));
	if (error)
		return complain(complaints, error, directory, "the certificate cannot be made");
	log_write(LOG_NOTICE, "supervisor", "made a self-signed certificate for %s: %s", config->site.domain,
		  config->tls.certificate);
	return 0;
}

int state_testpbx_secret(const char *state_directory, char *out, size_t capacity, struct buffer *complaints)
{
	char path[PATH_BYTES], *text;
	size_t length;
	int error;

	snprintf(path, sizeof(path), "%s/%s", state_directory, TESTPBX_SECRET_FILE);
	error = state_file_read(path, 256, &text, &length);
	if (!error && length >= SECRET_LENGTH) {
		error = span_copy(span_slice(span_from(text), 0, SECRET_LENGTH), out, capacity);
		memory_free_secret(text, length + 1);
		return error;
	}
	memory_free_secret(text, length + 1);
	if (error && error != -ENOENT)
		return complain(complaints, error, path, "cannot be read");
	random_token(random_system(), out, SECRET_LENGTH);
	error = file_write(path, span_from(out));
	return error ? complain(complaints, error, path, "cannot be written") : 0;
}
