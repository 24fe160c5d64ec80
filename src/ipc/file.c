/* SPDX-License-Identifier: Apache-2.0
 * Sealed memory files (memfd_create(2)): how configuration and keys reach roles that may open no file. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "ipc/ipc.h"

static int write_all(int descriptor, struct span bytes)
{
	while (bytes.length) {
		ssize_t written = write(descriptor, bytes.data, bytes.length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		bytes = span_slice(bytes, (size_t)written, bytes.length);
	}
	return 0;
}

int ipc_file_make(const char *name, struct span bytes)
{
	int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (descriptor < 0)
		return -errno;
	error = write_all(descriptor, bytes);
	if (!error && fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		error = -errno;
	if (error) {
		close(descriptor);
		return error;
	}
	return descriptor;
}

/* By offset: the roles that were handed the same file share its position. */
static int read_all(int descriptor, char *out, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t got = pread(descriptor, out + done, length - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		done += (size_t)got;
	}
	return 0;
}

int ipc_file_read(int descriptor, size_t maximum, char **out, size_t *length)
{
	struct stat status;
	char *bytes = NULL;
	int error = 0;

	*out = NULL;
	*length = 0;
	if (fstat(descriptor, &status) < 0)
		error = -errno;
	else if (!S_ISREG(status.st_mode))
		error = -EINVAL;
	else if (status.st_size < 0 || (uint64_t)status.st_size > maximum)
		error = -EFBIG;
	if (error)
		goto out;

	bytes = memory_alloc((size_t)status.st_size + 1);
	if (!bytes) {
		error = -ENOMEM;
		goto out;
	}
	error = read_all(descriptor, bytes, (size_t)status.st_size);
	if (error) {
		memory_free_secret(bytes, (size_t)status.st_size + 1);
		goto out;
	}
	*out = bytes;
	*length = (size_t)status.st_size;
out:
	close(descriptor);
	return error;
}
