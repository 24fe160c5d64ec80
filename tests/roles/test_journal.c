/* SPDX-License-Identifier: Apache-2.0
 * Changes that are not on the disk yet are kept until they are, the last of each binding, within bounds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "roles/journal.h"

static void remove_one(struct journal *journal, unsigned number)
{
	struct ipc_message message = {.type = IPC_BINDING_REMOVE, .descriptor = -1};

	snprintf(message.binding_remove.token, sizeof(message.binding_remove.token), "%u", number);
	assert_int_equal(journal_add(journal, &message), 0);
}

static void save_one(struct journal *journal, unsigned number, unsigned cseq)
{
	struct ipc_message message = {.type = IPC_BINDING, .descriptor = -1};

	snprintf(message.binding.token, sizeof(message.binding.token), "%u", number);
	memset(message.binding.contact, 'x', 900);
	message.binding.cseq = cseq;
	assert_int_equal(journal_add(journal, &message), 0);
}

struct seen {
	unsigned count;
	unsigned numbers[16], cseqs[16];
};

static void see(void *context, const struct ipc_message *message)
{
	const char *token = message->type == IPC_BINDING ? message->binding.token : message->binding_remove.token;
	struct seen *seen = context;

	if (seen->count < 16) {
		sscanf(token, "%u", &seen->numbers[seen->count]);
		seen->cseqs[seen->count] = message->type == IPC_BINDING ? message->binding.cseq : 0;
	}
	seen->count++;
}

static struct seen tell(struct journal *journal)
{
	struct seen seen = {0};

	journal_tell(journal, see, &seen);
	return seen;
}

static void what_is_not_stored_is_told_again_in_order(void **state)
{
	struct journal *journal = journal_new(random_system());
	struct seen seen;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		remove_one(journal, i);
	assert_int_equal(tell(journal).count, 5);
	assert_int_equal(tell(journal).count, 0); /* once */
	remove_one(journal, 5);
	journal_stored(journal, 3);
	assert_int_equal(journal_count(journal), 3);
	journal_again(journal);
	seen = tell(journal);
	assert_int_equal(seen.count, 3);
	assert_true(seen.numbers[0] == 3 && seen.numbers[1] == 4 && seen.numbers[2] == 5);
	journal_stored(journal, 2);
	assert_int_equal(journal_count(journal), 1);
	journal_stored(journal, 3);
	assert_int_equal(journal_count(journal), 0);
	journal_free(journal);
	journal_free(NULL);
}

static void of_a_binding_the_last_change_is_kept(void **state)
{
	struct journal *journal = journal_new(random_system());
	struct seen seen;

	(void)state;
	save_one(journal, 1, 1);
	save_one(journal, 2, 1);
	assert_int_equal(tell(journal).count, 2);
	for (unsigned i = 2; i < 1000; i++)
		save_one(journal, 1, i);
	assert_int_equal(journal_count(journal), 2);
	journal_stored(journal, 2); /* the first of them, and that is old */
	assert_int_equal(journal_count(journal), 1);
	seen = tell(journal);
	assert_true(seen.count == 1 && seen.cseqs[0] == 999);
	remove_one(journal, 1);
	journal_again(journal);
	seen = tell(journal);
	assert_true(seen.count == 1 && seen.cseqs[0] == 0);
	journal_free(journal);
}

/* A disk that stays full: what waits is bounded, what is under way too, and the operator is told what was lost. */
static void a_full_journal_drops_the_oldest_and_says_so(void **state)
{
	struct journal *journal = journal_new(random_system());
	unsigned count = JOURNAL_MAXIMUM_BYTES / 1000 + 1000, told, dropped;

	(void)state;
	for (unsigned i = 0; i < count; i++)
		save_one(journal, i, 1);
	dropped = journal_dropped(journal);
	assert_true(dropped > 0 && journal_dropped(journal) == 0);
	assert_int_equal(journal_count(journal) + dropped, count);
	told = tell(journal).count;
	assert_true(told > 1000 && told < JOURNAL_WINDOW_BYTES / 1000);
	for (uint64_t stored = told; journal_count(journal); stored += told) {
		journal_stored(journal, stored);
		told = tell(journal).count;
	}
	journal_free(journal);
}

static void memory_runs_short(void **state)
{
	struct ipc_message message = {.type = IPC_BINDING_REMOVE, .descriptor = -1};
	struct ipc_message other = {.type = IPC_STOP, .descriptor = -1};
	struct journal *journal;

	(void)state;
	for (long i = 0; i < 3; i++) {
		memory_fail_after(i);
		journal = journal_new(random_system());
		memory_fail_after(-1);
		if (!journal)
			continue;
		memory_fail_after(0);
		assert_int_equal(journal_add(journal, &message), -ENOMEM);
		memory_fail_after(-1);
		assert_int_equal(journal_add(journal, &other), -EINVAL);
		assert_int_equal(journal_count(journal), 0);
		journal_free(journal);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_stored_is_told_again_in_order),
		cmocka_unit_test(of_a_binding_the_last_change_is_kept),
		cmocka_unit_test(a_full_journal_drops_the_oldest_and_says_so),
		cmocka_unit_test(memory_runs_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
