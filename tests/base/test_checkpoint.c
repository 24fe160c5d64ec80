/* SPDX-License-Identifier: Apache-2.0
 * Checkpoints: what was saved is there for the next process, whatever killed the one before; what is damaged is not believed;
 * keys do not stay behind. */
#include "base/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define RECORDS 40u

static struct checkpoint_area *attach(int descriptor)
{
	struct checkpoint_area *area;

	assert_int_equal(checkpoint_attach(dup(descriptor), RECORDS, &area), 0);
	return area;
}

static struct checkpoint_statistics statistics(struct checkpoint_area *area)
{
	struct checkpoint_statistics out;

	checkpoint_statistics_get(area, &out);
	return out;
}

/* What a visit found, by slot. */
struct found {
	uint32_t count;
	uint16_t kind[RECORDS + 1], version[RECORDS + 1];
	char *bytes[RECORDS + 1];
	size_t length[RECORDS + 1];
};

static void find_one(void *context, uint32_t slot, uint16_t kind, uint16_t version, struct span bytes)
{
	struct found *found = context;

	assert_in_range(slot, 1, RECORDS);
	found->count++;
	found->kind[slot] = kind;
	found->version[slot] = version;
	found->bytes[slot] = malloc(bytes.length + 1);
	memcpy(found->bytes[slot], bytes.data, bytes.length);
	found->length[slot] = bytes.length;
}

static void found_clear(struct found *found)
{
	for (uint32_t i = 0; i <= RECORDS; i++)
		free(found->bytes[i]);
	memset(found, 0, sizeof(*found));
}

static void test_records_outlive_their_writer(void **state)
{
	static const size_t lengths[] = {0, 1, 491, 492, 493, 1000, 1001, 5000, 65536};
	struct found found = {0};
	uint32_t slots[9] = {0};
	int descriptor = checkpoint_file_make(RECORDS);
	struct checkpoint_area *area = attach(descriptor);
	char *text = malloc(65536 + 16);

	(void)state;
	for (size_t i = 0; i < 65536 + 16; i++)
		text[i] = (char)(i * 7 + i / 251);
	for (int i = 0; i < 9; i++)
		assert_int_equal(checkpoint_save(area, &slots[i], (uint16_t)i, 3, (struct span){text + i, lengths[i]}),
				 0);
	checkpoint_remove(area, &slots[3]);
	assert_int_equal(slots[3], 0);
	assert_int_equal(checkpoint_save(area, &slots[1], 70, 4, SPAN("another text, longer than it was")), 0);
	checkpoint_free(area);

	area = attach(descriptor);
	checkpoint_each(area, find_one, &found);
	assert_int_equal(found.count, 8);
	assert_int_equal(statistics(area).records, 8);
	assert_int_equal(statistics(area).corrupt, 0);
	for (int i = 0; i < 9; i++) {
		if (i == 3 || i == 1)
			continue;
		assert_int_equal(found.kind[slots[i]], i);
		assert_int_equal(found.version[slots[i]], 3);
		assert_int_equal(found.length[slots[i]], lengths[i]);
		assert_memory_equal(found.bytes[slots[i]], text + i, lengths[i]);
	}
	assert_int_equal(found.kind[slots[1]], 70);
	assert_memory_equal(found.bytes[slots[1]], "another text", 12);
	/* Everything given back: as many blocks as at first. */
	for (int i = 0; i < 9; i++)
		checkpoint_remove(area, &slots[i]);
	assert_int_equal(statistics(area).blocks, 0);
	assert_int_equal(statistics(area).records, 0);
	found_clear(&found);
	checkpoint_free(area);
	close(descriptor);
	free(text);
}

static void test_a_full_area_refuses_and_keeps_nothing_stale(void **state)
{
	int descriptor = checkpoint_file_make(RECORDS);
	struct checkpoint_area *area = attach(descriptor);
	uint32_t slots[RECORDS + 1] = {0}, large = 0, first_blocks;
	char *text = calloc(1, CHECKPOINT_LONGEST + 1);

	(void)state;
	for (uint32_t i = 0; i < RECORDS; i++)
		assert_int_equal(checkpoint_save(area, &slots[i], 1, 1, SPAN("small")), 0);
	assert_int_equal(checkpoint_save(area, &slots[RECORDS], 1, 1, SPAN("one too many")), -ENOSPC);
	assert_int_equal(slots[RECORDS], 0);
	checkpoint_remove(area, &slots[0]);
	first_blocks = statistics(area).blocks;
	/* 40 * 16 blocks hold one of the longest, not two. */
	assert_int_equal(checkpoint_save(area, &large, 1, 1, (struct span){text, CHECKPOINT_LONGEST}), 0);
	assert_int_equal(checkpoint_save(area, &slots[1], 1, 1, (struct span){text, CHECKPOINT_LONGEST}), -ENOSPC);
	/* What was there before is not true any more: it must not come back. */
	assert_int_equal(slots[1], 0);
	assert_int_equal(statistics(area).refused, 2);
	assert_int_equal(checkpoint_save(area, &large, 1, 1, (struct span){text, CHECKPOINT_LONGEST + 1}), -EINVAL);
	assert_int_equal(large, 0);
	assert_int_equal(statistics(area).blocks, first_blocks - 1);
	checkpoint_free(area);
	close(descriptor);
	free(text);
}

static bool file_holds(int descriptor, const char *text)
{
	struct stat status;
	char *bytes;
	bool holds;

	assert_int_equal(fstat(descriptor, &status), 0);
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
	holds = memmem(bytes, (size_t)status.st_size, text, strlen(text)) != NULL;
	munmap(bytes, (size_t)status.st_size);
	return holds;
}

static void test_what_is_removed_or_replaced_is_wiped(void **state)
{
	int descriptor = checkpoint_file_make(RECORDS);
	struct checkpoint_area *area = attach(descriptor);
	uint32_t slot = 0;

	(void)state;
	checkpoint_save(area, &slot, 1, 1, SPAN("the-first-secret-key"));
	assert_true(file_holds(descriptor, "the-first-secret-key"));
	checkpoint_save(area, &slot, 1, 1, SPAN("the-second-secret-key"));
	assert_false(file_holds(descriptor, "the-first-secret-key"));
	checkpoint_remove(area, &slot);
	assert_false(file_holds(descriptor, "the-second-secret-key"));
	checkpoint_free(area);
	close(descriptor);
}

static void test_another_size_is_not_mapped(void **state)
{
	int descriptor = checkpoint_file_make(RECORDS);
	struct checkpoint_area *area;

	(void)state;
	assert_int_equal(checkpoint_attach(dup(descriptor), RECORDS + 1, &area), -EINVAL);
	assert_null(area);
	assert_int_equal(checkpoint_attach(dup(descriptor), 0, &area), -EINVAL);
	assert_int_equal(checkpoint_file_make(0), -EINVAL);
	assert_int_equal(checkpoint_file_make(CHECKPOINT_RECORDS_MAXIMUM + 1), -EINVAL);
	assert_int_not_equal(ftruncate(descriptor, 100), 0);
	close(descriptor);
}

/* ---- What was damaged ---- */

static void expect_sound(void *context, uint32_t slot, uint16_t kind, uint16_t version, struct span bytes)
{
	(void)slot;
	(void)version;
	assert_int_equal(kind, 9);
	for (size_t i = 0; i < bytes.length; i++)
		assert_int_equal((uint8_t)bytes.data[i], (uint8_t)(bytes.length + i));
	++*(uint32_t *)context;
}

/* Random bytes anywhere in the file: what is left is sound, and the area can be filled and emptied. */
static void test_damage_is_dropped_never_believed(void **state)
{
	uint64_t seed = 11, dropped = 0;
	char text[4000];

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct random_source random = random_seeded(&seed);
		int descriptor = checkpoint_file_make(RECORDS);
		struct checkpoint_area *area = attach(descriptor);
		uint32_t slots[RECORDS] = {0}, sound = 0;
		struct stat status;
		uint8_t *bytes;

		for (uint32_t i = 0; i < 20; i++) {
			size_t length = random_u64(random) % sizeof(text);

			for (size_t k = 0; k < length; k++)
				text[k] = (char)(length + k);
			assert_int_equal(checkpoint_save(area, &slots[i], 9, 1, (struct span){text, length}), 0);
		}
		checkpoint_free(area);
		assert_int_equal(fstat(descriptor, &status), 0);
		bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
		for (int k = 0; k < 6; k++) {
			/* Half of them in the index, where they do most harm. */
			size_t at = random_u64(random) % (k % 2 ? 100u * 512 : RECORDS * 4);

			bytes[4096 + (k % 2 ? 4096 : 0) + at] = (uint8_t)random_u64(random);
		}
		munmap(bytes, (size_t)status.st_size);

		area = attach(descriptor);
		checkpoint_each(area, expect_sound, &sound);
		assert_int_equal(sound, statistics(area).records);
		dropped += statistics(area).corrupt;
		for (uint32_t i = statistics(area).records; i < RECORDS; i++) {
			uint32_t slot = 0;

			assert_int_equal(checkpoint_save(area, &slot, 9, 1, SPAN_EMPTY), 0);
		}
		checkpoint_free(area);
		close(descriptor);
	}
	assert_true(dropped > 300);
}

/* ---- A writer that is killed ---- */

/* By record: the number of the last save or removal (odd numbers) that was begun, and that was done. */
struct progress {
	uint32_t begun[RECORDS], done[RECORDS];
};

static uint32_t kill_length(uint32_t slot, uint32_t number)
{
	return (slot * 2654435761u ^ number * 40503u) % 3000 + 12;
}

static void record_fill(char *text, uint32_t who, uint32_t number)
{
	uint32_t length = kill_length(who, number);

	memset(text, (int)(number * 31 + who), length);
	memcpy(text, &who, 4);
	memcpy(text + 4, &number, 4);
}

static void write_until_killed(int descriptor, struct progress *progress, uint64_t seed)
{
	struct checkpoint_area *area;
	uint32_t slots[RECORDS] = {0};
	char text[4096];

	if (checkpoint_attach(descriptor, RECORDS, &area))
		_exit(1);
	for (;;) {
		uint32_t who = (uint32_t)(random_u64(random_seeded(&seed)) % RECORDS),
			 number = progress->begun[who] + 1;

		__atomic_store_n(&progress->begun[who], number, __ATOMIC_SEQ_CST);
		if (number % 5 == 0) {
			checkpoint_remove(area, &slots[who]);
		} else {
			record_fill(text, who, number);
			if (checkpoint_save(area, &slots[who], 1, 1, (struct span){text, kill_length(who, number)}))
				_exit(2);
		}
		__atomic_store_n(&progress->done[who], number, __ATOMIC_SEQ_CST);
	}
}

struct after_kill {
	const struct progress *progress;
	uint32_t seen[RECORDS];
};

static void expect_last(void *context, uint32_t slot, uint16_t kind, uint16_t version, struct span bytes)
{
	struct after_kill *after = context;
	char expected[4096];
	uint32_t who, number;

	(void)slot;
	assert_int_equal(kind, 1);
	assert_int_equal(version, 1);
	assert_true(bytes.length >= 8);
	memcpy(&who, bytes.data, 4);
	memcpy(&number, bytes.data + 4, 4);
	assert_in_range(who, 0, RECORDS - 1);
	assert_int_equal(after->seen[who], 0);
	after->seen[who] = number;
	record_fill(expected, who, number);
	assert_int_equal(bytes.length, kill_length(who, number));
	assert_memory_equal(bytes.data, expected, bytes.length);
}

static void test_a_killed_writer_leaves_whole_records(void **state)
{
	struct progress *progress =
		mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t seed = 23, in_between = 0, saves = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		uint64_t chance = random_u64(random_seeded(&seed));
		int descriptor = checkpoint_file_make(RECORDS), status;
		struct after_kill after = {.progress = progress};
		struct checkpoint_area *area;
		pid_t child;

		memset(progress, 0, sizeof(*progress));
		child = fork();
		assert_true(child >= 0);
		if (!child)
			write_until_killed(descriptor, progress, chance);
		while (!__atomic_load_n(&progress->begun[chance % RECORDS], __ATOMIC_SEQ_CST))
			usleep(100);
		usleep((useconds_t)(chance >> 8) % 1500);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));

		area = attach(descriptor);
		assert_int_equal(statistics(area).corrupt, 0);
		checkpoint_each(area, expect_last, &after);
		for (uint32_t i = 0; i < RECORDS; i++) {
			uint32_t last = progress->done[i], begun = progress->begun[i];
			uint32_t seen = after.seen[i];

			saves += last;
			in_between += last != begun;
			/* What was done is there; what was begun may be. */
			assert_true(seen == (last % 5 ? last : 0) ||
				    (begun != last && seen == (begun % 5 ? begun : 0)));
		}
		checkpoint_free(area);
		close(descriptor);
	}
	assert_true(saves > 1000);
	assert_true(in_between > 50); /* the kill did hit where it matters */
	munmap(progress, sizeof(*progress));
}

static void test_without_memory_nothing_is_lost(void **state)
{
	int descriptor = checkpoint_file_make(RECORDS), error = -ENOMEM;
	struct checkpoint_area *area = attach(descriptor);
	uint32_t slot = 0, sound = 0;

	(void)state;
	assert_int_equal(checkpoint_save(area, &slot, 9, 1, (struct span){"\4\5\6\7", 4}), 0);
	checkpoint_free(area);
	for (long count = 0; error; count++) {
		assert_in_range(count, 0, 20);
		memory_fail_after(count);
		error = checkpoint_attach(dup(descriptor), RECORDS, &area);
		memory_fail_after(-1);
		assert_true(error == 0 || error == -ENOMEM);
		assert_true((area != NULL) == (error == 0));
	}
	checkpoint_each(area, expect_sound, &sound);
	assert_int_equal(sound, 1);
	checkpoint_free(area);
	close(descriptor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_outlive_their_writer),
		cmocka_unit_test(test_a_full_area_refuses_and_keeps_nothing_stale),
		cmocka_unit_test(test_what_is_removed_or_replaced_is_wiped),
		cmocka_unit_test(test_another_size_is_not_mapped),
		cmocka_unit_test(test_damage_is_dropped_never_believed),
		cmocka_unit_test(test_a_killed_writer_leaves_whole_records),
		cmocka_unit_test(test_without_memory_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
