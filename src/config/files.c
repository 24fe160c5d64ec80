/* SPDX-License-Identifier: Apache-2.0
 * The files that a configuration names: there, readable, and secret where they hold a secret. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/values.h"

#define FILE_BYTES_MAXIMUM (1024 * 1024) /* no chain of certificates is longer */

/* What the open file is not; NULL when all is well. The secret ones are named with their remedy by the caller. */
static const char *problem_of(const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		return "is not a regular file; name a file";
	if (status->st_size == 0)
		return "is empty; write its contents";
	return status->st_size > FILE_BYTES_MAXIMUM ? "is longer than 1 MiB; name the right file" : NULL;
}

static void file_is_bad(struct reader *reader, const char *path)
{
	if (reader->bad_file_count < BAD_FILES_MAXIMUM)
		reader->bad_files[reader->bad_file_count] = path;
	reader->bad_file_count++;
}

bool config_file_is_good(const struct config_check *check, const char *path)
{
	const struct reader *reader = check->reader;

	if (!path || reader->bad_file_count > BAD_FILES_MAXIMUM)
		return false;
	for (uint32_t i = 0; i < reader->bad_file_count; i++)
		if (!strcmp(reader->bad_files[i], path))
			return false;
	return true;
}

/* Who checks may not be who runs: whoever may not look is told so, for then the file may be as it should. */
static void cannot_read(struct reader *reader, const char *path, int error, uint32_t line, const char *key)
{
	if (error == EACCES)
		reader_error_line(
			reader, line, key,
			"%s cannot be read by user %u (%s); check as the user who starts the gateway, or make "
			"it readable",
			path, (unsigned)geteuid(), strerror(error));
	else
		reader_error_line(reader, line, key, "%s cannot be read (%s); make it readable or name another file",
				  path, strerror(error));
	file_is_bad(reader, path);
}

/* `line` and `key` are for the error. */
static void file_check(struct reader *reader, const char *path, bool is_secret, uint32_t line, const char *key)
{
	struct stat status;
	const char *problem;
	int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not make us wait */

	if (descriptor < 0 || fstat(descriptor, &status)) {
		cannot_read(reader, path, errno, line, key);
		if (descriptor >= 0)
			close(descriptor);
		return;
	}
	close(descriptor);
	problem = problem_of(&status);
	if (problem) {
		reader_error_line(reader, line, key, "%s %s", path, problem);
		file_is_bad(reader, path);
	} else if (is_secret && status.st_mode & 077) {
		reader_error_line(reader, line, key,
				  "%s is open to others than its owner (mode %03o); run: chmod 600 %s", path,
				  (unsigned)status.st_mode & 0777, path);
	}
}

/* The pair of our own is made if it is not there at all; if it is, it must be good like any other. */
static void own_pair_check(struct reader *reader)
{
	struct config *config = reader->config;

	if (!config->tls.certificate || !config->tls.key)
		return;
	if (access(config->tls.certificate, F_OK) && access(config->tls.key, F_OK))
		return;
	config->tls.generate = false;
	file_check(reader, config->tls.certificate, false, reader_line(reader->root, "tls"), "tls.certificate");
	file_check(reader, config->tls.key, true, reader_line(reader->root, "tls"), "tls.key");
}

static void named_check(struct reader *reader, const struct node *map, const char *prefix, const char *path,
			const char *file, bool is_secret)
{
	char data[128];
	struct buffer key = BUFFER_OVER(data);

	if (!file || !node_at(map, path))
		return;
	buffer_printf(&key, "%s%s", prefix, path);
	file_check(reader, file, is_secret, reader_line(map, path), buffer_text(&key));
}

void files_check(struct reader *reader)
{
	const struct config *config = reader->config;

	if (config->tls.generate) {
		own_pair_check(reader);
	} else {
		named_check(reader, reader->root, "", "tls.certificate", config->tls.certificate, false);
		named_check(reader, reader->root, "", "tls.key", config->tls.key, true);
	}
	named_check(reader, reader->root, "", "tls.authorities", config->tls.authorities, false);
	for (uint8_t i = 0; i < config->zone_count; i++)
		named_check(reader, reader_zone_node(reader, i), "zones.", "authorities", config->zones[i].authorities,
			    false);
	for (uint8_t i = 0; i < config->zone_count; i++)
		named_check(reader, reader_zone_node(reader, i), "zones.", "register.password_file",
			    config->zones[i].registration.password_file, true);
}
