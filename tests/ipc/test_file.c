/* SPDX-License-Identifier: Apache-2.0
 * Sealed memory files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "ipc/ipc.h"

static void bytes_come_back_to_every_holder(void **state)
{
	int descriptor = ipc_file_make("test", SPAN("zones: []\n"));

	(void)state;
	assert_true(descriptor >= 0);
	for (int holder = 0; holder < 3; holder++) {
		char *text;
		size_t length;

		assert_int_equal(ipc_file_read(dup(descriptor), 100, &text, &length), 0);
		assert_int_equal(length, 10);
		assert_string_equal(text, "zones: []\n");
		memory_free_secret(text, length + 1);
	}
	close(descriptor);
}

static void nobody_can_change_it(void **state)
{
	int descriptor = ipc_file_make("test", SPAN("abc"));

	(void)state;
	assert_int_equal(write(descriptor, "x", 1), -1);
	assert_int_equal(ftruncate(descriptor, 0), -1);
	assert_ptr_equal(mmap(NULL, 3, PROT_WRITE, MAP_SHARED, descriptor, 0), MAP_FAILED);
	close(descriptor);
}

static void too_large_and_foreign_are_refused(void **state)
{
	int pipes[2];
	char *text;
	size_t length;

	(void)state;
	assert_int_equal(ipc_file_read(ipc_file_make("test", SPAN("abcd")), 3, &text, &length), -EFBIG);
	assert_null(text);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(ipc_file_read(pipes[0], 100, &text, &length), -EINVAL);
	assert_int_equal(fcntl(pipes[0], F_GETFD), -1); /* closed */
	close(pipes[1]);
	assert_int_equal(ipc_file_read(-1, 100, &text, &length), -EBADF);
	memory_fail_after(0);
	assert_int_equal(ipc_file_read(ipc_file_make("test", SPAN("abcd")), 100, &text, &length), -ENOMEM);
	memory_fail_after(-1);
}

static void empty_is_fine(void **state)
{
	char *text;
	size_t length;

	(void)state;
	assert_int_equal(ipc_file_read(ipc_file_make("test", SPAN_EMPTY), 0, &text, &length), 0);
	assert_string_equal(text, "");
	memory_free_secret(text, length + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_back_to_every_holder),
		cmocka_unit_test(nobody_can_change_it),
		cmocka_unit_test(too_large_and_foreign_are_refused),
		cmocka_unit_test(empty_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
