/* SPDX-License-Identifier: Apache-2.0
 * Changes that may not be on the disk yet are kept, in order and within bounds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "roles/journal.h"

static struct ipc_message removal(unsigned number)
{
	struct ipc_message message = {.type = IPC_BINDING_REMOVE, .descriptor = -1};

	snprintf(message.binding_remove.token, sizeof(message.binding_remove.token), "%u", number);
	return message;
}

struct seen {
	unsigned count;
	unsigned numbers[16];
};

static void see(void *context, const struct ipc_message *message)
{
	struct seen *seen = context;

	assert_int_equal(message->type, IPC_BINDING_REMOVE);
	if (seen->count < 16)
		sscanf(message->binding_remove.token, "%u", &seen->numbers[seen->count]);
	seen->count++;
}

static void what_is_young_is_told_again_in_order(void **state)
{
	struct journal *journal = journal_new();
	struct seen seen = {0};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct ipc_message message = removal(i);

		assert_int_equal(journal_add(journal, &message, i * (uint64_t)(JOURNAL_AGE_US / 2)), 0);
	}
	journal_trim(journal, 2 * (uint64_t)JOURNAL_AGE_US); /* 0, 1 and 2 are a second old or more */
	assert_int_equal(journal_count(journal), 2);
	journal_each(journal, IPC_ROLE_GATE, see, &seen);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.numbers[0], 3);
	assert_int_equal(seen.numbers[1], 4);
	journal_trim(journal, 9 * (uint64_t)JOURNAL_AGE_US);
	assert_int_equal(journal_count(journal), 0);
	journal_free(journal);
	journal_free(NULL);
}

static void a_full_journal_drops_the_oldest_and_says_so(void **state)
{
	struct ipc_message message = {.type = IPC_RELOADED, .descriptor = -1};
	struct journal *journal = journal_new();
	uint32_t count;

	(void)state;
	memset(message.reloaded.text, 'x', sizeof(message.reloaded.text) - 1);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(journal_add(journal, &message, 0), 0);
	count = journal_count(journal);
	assert_in_range(count, 2500, 3072); /* 12 MiB of 4 KiB */
	assert_int_equal(journal_dropped(journal), 5000 - count);
	assert_int_equal(journal_dropped(journal), 0);
	journal_free(journal);
}

static void bad_messages_and_failing_memory_are_refused(void **state)
{
	struct ipc_message message = removal(1);
	struct journal *journal;

	(void)state;
	memory_fail_after(0);
	assert_null(journal_new());
	journal = journal_new();
	memory_fail_after(0);
	assert_int_equal(journal_add(journal, &message, 0), -ENOMEM);
	memory_fail_after(-1);
	memset(message.binding_remove.token, 'x', sizeof(message.binding_remove.token));
	assert_int_equal(journal_add(journal, &message, 0), -EINVAL);
	assert_int_equal(journal_count(journal), 0);
	journal_free(journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_young_is_told_again_in_order),
		cmocka_unit_test(a_full_journal_drops_the_oldest_and_says_so),
		cmocka_unit_test(bad_messages_and_failing_memory_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
