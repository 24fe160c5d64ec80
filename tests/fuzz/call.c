/* SPDX-License-Identifier: Apache-2.0
 * A gateway with two phones and a PBX around it, on loopback: the bytes say who does what next. Whatever comes, all that the
 * gateway sends is sound, and in the end nothing is left. */
#include <stdlib.h>

#include "../call/drive.h"

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	(void)count;
	(void)arguments;
	log_setup("fuzz", LOG_ERROR);
	return setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed expectation is a crash */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const encryptions[] = {"none", "offered", "required"};
	static struct drive drive;

	if (size < 2)
		return 0;
	drive.bytes = data + 1;
	drive.length = size - 1;
	drive_start(&drive, data[0] & 4 ? "    authentication: local\n" : "", encryptions[data[0] % 3]);
	while (drive_step(&drive))
		;
	drive_stop(&drive);
	return 0;
}
