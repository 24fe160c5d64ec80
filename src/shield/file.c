/* SPDX-License-Identifier: Apache-2.0
 * The blocks in a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "shield/private.h"

#define NEW_FILE SHIELD_FILE ".new"
#define FILE_MAXIMUM (1u << 28)

static int all_write(int descriptor, struct span bytes)
{
	while (bytes.length) {
		ssize_t written = write(descriptor, bytes.data, bytes.length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written ? -errno : -EIO;
		bytes = span_slice(bytes, (size_t)written, bytes.length);
	}
	return fsync(descriptor) ? -errno : 0;
}

/* The directory's own change, too, is to be on the disk. */
static int directory_sync(int directory)
{
	int descriptor = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;

	if (descriptor < 0 || fsync(descriptor))
		error = -errno;
	if (descriptor >= 0)
		close(descriptor);
	return error;
}

static int file_write(int directory, struct span bytes)
{
	int descriptor = openat(directory, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error = descriptor < 0 ? -errno : all_write(descriptor, bytes);

	if (descriptor >= 0 && close(descriptor) && !error)
		error = -errno;
	if (!error && renameat(directory, NEW_FILE, directory, SHIELD_FILE))
		error = -errno;
	return error ? error : directory_sync(directory);
}

int shield_save(const struct shield *shield, int directory, uint64_t now_us, int64_t wall_s)
{
	size_t capacity = shield_dump_bytes(shield);
	char *bytes = memory_alloc(capacity);
	ptrdiff_t length = bytes ? shield_dump(shield, now_us, wall_s, bytes, capacity) : -ENOMEM;
	int error = length < 0 ? (int)length : file_write(directory, (struct span){bytes, (size_t)length});

	memory_free(bytes);
	return error;
}

static int all_read(int descriptor, char *out, size_t length)
{
	while (length) {
		ssize_t got = read(descriptor, out, length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EBADMSG;
		out += got;
		length -= (size_t)got;
	}
	return 0;
}

int shield_load(struct shield *shield, int directory, uint64_t now_us, int64_t wall_s)
{
	int descriptor = openat(directory, SHIELD_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), error;
	struct stat state;
	char *bytes = NULL;

	if (descriptor < 0)
		return errno == ENOENT ? 0 : -errno;
	error = fstat(descriptor, &state) ? -errno : state.st_size > FILE_MAXIMUM ? -EBADMSG : 0;
	if (!error) {
		bytes = memory_alloc((size_t)state.st_size + 1);
		error = bytes ? all_read(descriptor, bytes, (size_t)state.st_size) : -ENOMEM;
	}
	close(descriptor);
	if (!error)
		error = shield_restore(shield, now_us, wall_s, (struct span){bytes, (size_t)state.st_size});
	memory_free(bytes);
	return error;
}
