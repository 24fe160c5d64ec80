/* SPDX-License-Identifier: Apache-2.0
 * The table of blocks: who is in it and until when, who never is, what the back end is told, and what outlives a restart. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "shield/shield.h"

#define S 1000000ull
#define NOW (1000 * S)
#define WALL 1700000000
#define KERNEL_MAXIMUM 4096

/* A kernel that remembers what it was told. */
struct kernel {
	struct shield_change blocked[KERNEL_MAXIMUM];
	uint32_t count;
	unsigned applied; /* changes */
	int fails;        /* so many times */
	uint64_t hits;
	struct shield_prefix hit;
	bool closed, removed;
};

struct fixture {
	struct kernel kernel;
	struct shield *shield;
	uint64_t random, heard;
	char directory[64];
};

static bool same(const struct shield_prefix *a, const struct shield_prefix *b)
{
	return a->bits == b->bits && address_equal(&a->address, &b->address);
}

static int kernel_apply(void *context, const struct shield_change *changes, uint32_t count, uint64_t now_us)
{
	struct kernel *kernel = context;

	(void)now_us;
	if (kernel->fails) {
		kernel->fails--;
		return -EIO;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = 0;

		kernel->applied++;
		while (at < kernel->count && !same(&kernel->blocked[at].prefix, &changes[i].prefix))
			at++;
		if (at == kernel->count)
			kernel->count++;
		assert_true(kernel->count <= KERNEL_MAXIMUM);
		kernel->blocked[at] = changes[i];
		if (!changes[i].until_us)
			kernel->blocked[at] = kernel->blocked[--kernel->count];
	}
	return 0;
}

static int kernel_harvest(void *context,
			  void (*found)(void *context, const struct shield_prefix *prefix, uint64_t hits),
			  void *found_context)
{
	const struct kernel *kernel = context;

	found(found_context, &kernel->hit, kernel->hits);
	return 0;
}

static void kernel_close(void *context, bool remove)
{
	struct kernel *kernel = context;

	kernel->closed = true;
	kernel->removed = remove;
}

static void on_hit(void *context, const struct shield_entry *entry, uint64_t packets)
{
	struct fixture *fixture = context;

	assert_int_equal(entry->last_us, NOW);
	fixture->heard += packets;
}

static struct shield *shield_make(struct fixture *fixture, uint32_t maximum)
{
	const struct shield_options options = {maximum, random_seeded(&fixture->random), on_hit, fixture};
	const struct shield_backend backend = {.name = "kernel",
					       .context = &fixture->kernel,
					       .apply = kernel_apply,
					       .harvest = kernel_harvest,
					       .close = kernel_close};

	return shield_new(&options, &backend);
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/ringwall-shield-XXXXXX");
	if (!mkdtemp(fixture->directory))
		return -1;
	fixture->shield = shield_make(fixture, 1000);
	*state = fixture;
	return fixture->shield ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	shield_free(fixture->shield, true);
	snprintf(path, sizeof(path), "%s/%s", fixture->directory, SHIELD_FILE);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s.new", fixture->directory, SHIELD_FILE);
	unlink(path);
	rmdir(fixture->directory);
	free(fixture);
	return 0;
}

static struct shield_prefix prefix(const char *ip, uint8_t bits)
{
	struct shield_prefix out = {.bits = bits};

	assert_int_equal(address_parse_ip(span_from(ip), &out.address), 0);
	return out;
}

static int add(struct fixture *fixture, const char *ip, uint8_t bits, enum shield_origin origin, uint64_t until_us)
{
	const struct shield_prefix wanted = prefix(ip, bits);

	return shield_add(fixture->shield, &wanted, origin, until_us, SPAN("guesses passwords"), NOW, NULL);
}

static const struct shield_entry *find(const struct fixture *fixture, const char *ip, uint8_t bits)
{
	const struct shield_prefix wanted = prefix(ip, bits);

	return shield_find(fixture->shield, &wanted);
}

static bool matches(const struct fixture *fixture, const char *ip, uint64_t now_us)
{
	const struct shield_prefix wanted = prefix(ip, 0);

	return shield_match(fixture->shield, &wanted.address, now_us);
}

static void a_block_holds_until_its_end(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 60 * S), 0);
	assert_int_equal(add(fixture, "2001:db8::1", 64, SHIELD_BY_VERDICT, NOW + 120 * S), 0);
	assert_int_equal(fixture->kernel.count, 0);
	assert_int_equal(shield_flush(fixture->shield, NOW), 0);
	assert_int_equal(fixture->kernel.count, 2);
	assert_true(matches(fixture, "192.0.2.1", NOW + 59 * S));
	assert_false(matches(fixture, "192.0.2.1", NOW + 60 * S));
	assert_false(matches(fixture, "192.0.2.2", NOW));
	assert_true(matches(fixture, "2001:db8::77:1", NOW));
	assert_string_equal(find(fixture, "192.0.2.1", 32)->reason, "guesses passwords");

	assert_int_equal(shield_expire(fixture->shield, NOW + 59 * S), 0);
	assert_int_equal(shield_expire(fixture->shield, NOW + 60 * S), 1);
	assert_int_equal(shield_flush(fixture->shield, NOW + 60 * S), 0);
	assert_int_equal(fixture->kernel.count, 1);
	assert_null(find(fixture, "192.0.2.1", 32));
}

static void a_block_is_taken_back(void **state)
{
	struct fixture *fixture = *state;
	const struct shield_prefix gone = prefix("192.0.2.1", 32);

	assert_int_equal(shield_remove(fixture->shield, &gone, NOW), -ENOENT);
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_HAND, SHIELD_FOR_GOOD), 0);
	assert_int_equal(shield_flush(fixture->shield, NOW), 0);
	assert_int_equal(shield_remove(fixture->shield, &gone, NOW), 0);
	assert_int_equal(shield_flush(fixture->shield, NOW), 0);
	assert_int_equal(fixture->kernel.count, 0);
	assert_false(matches(fixture, "192.0.2.1", NOW));
}

static void what_is_no_prefix_is_refused(void **state)
{
	struct fixture *fixture = *state;
	const struct shield_prefix nobody = {.bits = 8};
	const char *why = NULL;

	assert_int_equal(add(fixture, "192.0.2.1", 33, SHIELD_BY_HAND, NOW + S), -EINVAL);
	assert_int_equal(add(fixture, "2001:db8::", 129, SHIELD_BY_HAND, NOW + S), -EINVAL);
	assert_int_equal(add(fixture, "0.0.0.0", 0, SHIELD_BY_HAND, NOW + S), -EINVAL);
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_HAND, NOW), -EINVAL);
	assert_int_equal(shield_add(fixture->shield, &nobody, SHIELD_BY_HAND, NOW + S, SPAN("x"), NOW, &why), -EINVAL);
	assert_non_null(why);
	/* What is behind the prefix, and the port, do not count. */
	assert_int_equal(add(fixture, "192.0.2.77", 24, SHIELD_BY_HAND, NOW + S), 0);
	assert_non_null(find(fixture, "192.0.2.1", 24));
}

static void a_verdict_makes_longer_and_a_hand_makes_anything(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 60 * S), 0);
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 30 * S), -EALREADY);
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 90 * S), 0);
	assert_int_equal(find(fixture, "192.0.2.1", 32)->until_us, NOW + 90 * S);
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_HAND, NOW + 10 * S), 0);
	assert_int_equal(find(fixture, "192.0.2.1", 32)->until_us, NOW + 10 * S);
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 90 * S), -EALREADY);
	assert_int_equal(shield_flush(fixture->shield, NOW), 0);
	assert_int_equal(fixture->kernel.count, 1);
	assert_int_equal(fixture->kernel.blocked[0].until_us, NOW + 10 * S);
}

static void blocks_lie_within_one_another(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(add(fixture, "192.0.2.0", 24, SHIELD_BY_VERDICT, NOW + 60 * S), 0);
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 30 * S), 0);
	assert_int_equal(shield_expire(fixture->shield, NOW + 30 * S), 1);
	assert_true(matches(fixture, "192.0.2.1", NOW + 31 * S));
}

static void who_is_never_blocked_is_not(void **state)
{
	struct fixture *fixture = *state;
	const struct shield_prefix list[] = {prefix("198.51.100.7", 32), prefix("2001:db8:7::", 48)};
	const struct shield_prefix wrong = prefix("198.51.100.7", 33);

	assert_int_equal(add(fixture, "198.51.100.0", 24, SHIELD_BY_VERDICT, NOW + 60 * S), 0);
	assert_int_equal(add(fixture, "198.51.100.8", 32, SHIELD_BY_VERDICT, NOW + 60 * S), 0);
	assert_int_equal(shield_flush(fixture->shield, NOW), 0);
	assert_int_equal(shield_never_set(fixture->shield, list, 2, NOW), 0);
	assert_int_equal(shield_flush(fixture->shield, NOW), 0);
	assert_false(matches(fixture, "198.51.100.7", NOW));
	assert_true(matches(fixture, "198.51.100.8", NOW));
	assert_int_equal(fixture->kernel.count, 1);

	assert_int_equal(add(fixture, "198.51.100.7", 32, SHIELD_BY_HAND, NOW + S), -EPERM);
	assert_int_equal(add(fixture, "198.51.0.0", 16, SHIELD_BY_HAND, NOW + S), -EPERM);
	assert_int_equal(add(fixture, "2001:db8:7:8::1", 128, SHIELD_BY_VERDICT, NOW + S), -EPERM);
	assert_int_equal(add(fixture, "2001:db8:8::1", 128, SHIELD_BY_VERDICT, NOW + S), 0);
	/* A list that is wrong leaves the one before. */
	assert_int_equal(shield_never_set(fixture->shield, &wrong, 1, NOW), -EINVAL);
	assert_int_equal(add(fixture, "198.51.100.7", 32, SHIELD_BY_HAND, NOW + S), -EPERM);
}

static void a_full_table_lets_the_first_to_end_go(void **state)
{
	struct fixture *fixture = *state;
	struct shield_statistics statistics;
	char ip[32];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(ip, sizeof(ip), "192.0.%u.%u", i / 250, i % 250);
		assert_int_equal(add(fixture, ip, 32, SHIELD_BY_VERDICT, NOW + (100 + (i * 7919) % 1000) * S), 0);
	}
	assert_int_equal(add(fixture, "203.0.113.1", 32, SHIELD_BY_VERDICT, NOW + 50 * S), -ENOSPC);
	assert_int_equal(add(fixture, "203.0.113.1", 32, SHIELD_BY_VERDICT, NOW + 500 * S), 0);
	assert_int_equal(shield_flush(fixture->shield, NOW), 0);
	assert_int_equal(fixture->kernel.count, 1000);
	assert_null(find(fixture, "192.0.0.0", 32)); /* the one of 100 s */
	shield_statistics_get(fixture->shield, &statistics);
	assert_int_equal(statistics.blocks, 1000);
	assert_int_equal(statistics.pushed_out, 1);
	/* In order of their ends they go. */
	for (uint64_t s = 101; s < 1100; s++)
		assert_true(shield_expire(fixture->shield, NOW + s * S) <= 2);
	shield_statistics_get(fixture->shield, &statistics);
	assert_int_equal(statistics.blocks, 0);
}

static void who_was_blocked_by_hand_is_not_pushed_out(void **state)
{
	struct fixture *fixture = *state;

	shield_free(fixture->shield, true);
	fixture->shield = shield_make(fixture, 1);
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_HAND, NOW + 10 * S), 0);
	assert_int_equal(add(fixture, "192.0.2.2", 32, SHIELD_BY_VERDICT, NOW + 500 * S), -ENOSPC);
	assert_int_equal(add(fixture, "192.0.2.2", 32, SHIELD_BY_HAND, NOW + 500 * S), -ENOSPC);
	assert_true(matches(fixture, "192.0.2.1", NOW));
}

static void what_the_back_end_did_not_take_is_told_again(void **state)
{
	struct fixture *fixture = *state;
	struct shield_statistics statistics;

	fixture->kernel.fails = 2;
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_HAND, NOW + 10 * S), 0);
	assert_int_equal(shield_flush(fixture->shield, NOW), -EIO);
	assert_int_equal(shield_flush(fixture->shield, NOW), -EIO);
	assert_int_equal(shield_flush(fixture->shield, NOW), 0);
	assert_int_equal(fixture->kernel.count, 1);

	fixture->kernel.fails = SHIELD_ATTEMPTS;
	assert_int_equal(add(fixture, "192.0.2.2", 32, SHIELD_BY_HAND, NOW + 10 * S), 0);
	for (int i = 0; i < SHIELD_ATTEMPTS; i++)
		assert_int_equal(shield_flush(fixture->shield, NOW), -EIO);
	shield_statistics_get(fixture->shield, &statistics);
	assert_int_equal(statistics.failures, 1);
}

static void who_still_sends_is_heard_of(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_HAND, NOW + 10 * S), 0);
	fixture->kernel.hit = prefix("192.0.2.1", 32);
	fixture->kernel.hits = 5;
	assert_int_equal(shield_harvest(fixture->shield, NOW), 0);
	fixture->kernel.hits = 7;
	assert_int_equal(shield_harvest(fixture->shield, NOW), 0);
	assert_int_equal(shield_harvest(fixture->shield, NOW), 0);
	assert_int_equal(fixture->heard, 7);
	fixture->kernel.hits = 2; /* it counts anew */
	assert_int_equal(shield_harvest(fixture->shield, NOW), 0);
	assert_int_equal(find(fixture, "192.0.2.1", 32)->hits, 9);
	fixture->kernel.hit = prefix("192.0.2.9", 32); /* nobody that we know */
	assert_int_equal(shield_harvest(fixture->shield, NOW), 0);
	assert_int_equal(fixture->heard, 9);
}

/* ---- Across a restart ---- */

#define LATER_US (50 * S) /* another clock, after a restart of the machine */

static int another_restores(struct fixture *fixture, int64_t wall_s, struct span bytes)
{
	shield_free(fixture->shield, true);
	fixture->kernel.count = 0;
	fixture->shield = shield_make(fixture, 1000);
	return shield_restore(fixture->shield, LATER_US, wall_s, bytes);
}

static void blocks_outlive_a_restart(void **state)
{
	struct fixture *fixture = *state;
	char bytes[4096];
	ptrdiff_t length;

	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 60 * S), 0);
	assert_int_equal(add(fixture, "192.0.2.2", 32, SHIELD_BY_VERDICT, NOW + 10 * S), 0);
	assert_int_equal(add(fixture, "2001:db8::", 32, SHIELD_BY_HAND, SHIELD_FOR_GOOD), 0);
	length = shield_dump(fixture->shield, NOW, WALL, bytes, sizeof(bytes));
	assert_int_equal(length, shield_dump_bytes(fixture->shield));
	assert_int_equal(shield_dump(fixture->shield, NOW, WALL, bytes, (size_t)length - 1), -ENOSPC);

	length = shield_dump(fixture->shield, NOW, WALL, bytes, sizeof(bytes));
	assert_int_equal(another_restores(fixture, WALL + 20, (struct span){bytes, (size_t)length}), 0);
	assert_int_equal(find(fixture, "192.0.2.1", 32)->until_us, LATER_US + 40 * S);
	assert_int_equal(find(fixture, "192.0.2.1", 32)->since_us, LATER_US - 20 * S);
	assert_string_equal(find(fixture, "192.0.2.1", 32)->reason, "guesses passwords");
	assert_null(find(fixture, "192.0.2.2", 32));
	assert_int_equal(find(fixture, "2001:db8::", 32)->until_us, SHIELD_FOR_GOOD);
	assert_int_equal(find(fixture, "2001:db8::", 32)->origin, SHIELD_BY_HAND);
	assert_int_equal(shield_flush(fixture->shield, LATER_US), 0);
	assert_int_equal(fixture->kernel.count, 2);
}

/* The day's clock was an hour ahead when it was written. */
static void a_clock_set_back_makes_no_block_longer(void **state)
{
	struct fixture *fixture = *state;
	char bytes[1024];
	ptrdiff_t length;

	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 60 * S), 0);
	length = shield_dump(fixture->shield, NOW, WALL, bytes, sizeof(bytes));
	assert_int_equal(another_restores(fixture, WALL - 3600, (struct span){bytes, (size_t)length}), 0);
	assert_int_equal(find(fixture, "192.0.2.1", 32)->until_us, LATER_US + 60 * S);
}

static void each_damage_is_found(void **state)
{
	struct fixture *fixture = *state;
	char bytes[2048];
	ptrdiff_t length;
	int error;

	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_VERDICT, NOW + 60 * S), 0);
	assert_int_equal(add(fixture, "2001:db8::", 32, SHIELD_BY_HAND, SHIELD_FOR_GOOD), 0);
	length = shield_dump(fixture->shield, NOW, WALL, bytes, sizeof(bytes));
	for (ptrdiff_t at = 0; at < length; at++) {
		bytes[at] ^= 0x10;
		error = another_restores(fixture, WALL, (struct span){bytes, (size_t)length});
		assert_true(error == -EBADMSG || error == -EPROTO);
		assert_false(matches(fixture, "192.0.2.1", LATER_US));
		bytes[at] ^= 0x10;
		error = another_restores(fixture, WALL, (struct span){bytes, (size_t)at});
		assert_true(error == -EBADMSG || error == -EPROTO);
	}
	assert_int_equal(another_restores(fixture, WALL, (struct span){bytes, (size_t)length}), 0);
	assert_true(matches(fixture, "192.0.2.1", LATER_US));
}

static void the_file_is_whole_or_the_one_before(void **state)
{
	struct fixture *fixture = *state;
	int directory = open(fixture->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), half;
	struct stat information;

	assert_int_equal(shield_load(fixture->shield, directory, NOW, WALL), 0); /* there is none yet */
	assert_int_equal(add(fixture, "192.0.2.1", 32, SHIELD_BY_HAND, NOW + 60 * S), 0);
	assert_int_equal(shield_save(fixture->shield, directory, NOW, WALL), 0);
	assert_int_equal(fstatat(directory, SHIELD_FILE, &information, 0), 0);
	assert_int_equal(information.st_mode & 0777, 0600);
	/* Killed while it wrote the next. */
	half = openat(directory, SHIELD_FILE ".new", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(half, "ringwall sh", 11), 11);
	close(half);
	shield_free(fixture->shield, true);
	fixture->shield = shield_make(fixture, 1000);
	assert_int_equal(shield_load(fixture->shield, directory, NOW, WALL), 0);
	assert_true(matches(fixture, "192.0.2.1", NOW));
	assert_int_equal(shield_save(fixture->shield, directory, NOW, WALL), 0);
	assert_int_equal(fstatat(directory, SHIELD_FILE ".new", &information, 0), -1);
	/* Cut. */
	half = openat(directory, SHIELD_FILE, O_WRONLY | O_TRUNC);
	assert_int_equal(write(half, "ringwall sh", 11), 11);
	close(half);
	assert_int_equal(shield_load(fixture->shield, directory, NOW, WALL), -EPROTO);
	close(directory);
}

static void no_memory_is_no_crash(void **state)
{
	struct fixture *fixture = *state;

	for (long count = 0;; count++) {
		struct shield *shield;

		fixture->kernel.closed = false;
		memory_fail_after(count);
		shield = shield_make(fixture, 10);
		memory_fail_after(-1);
		if (shield) {
			shield_free(shield, false);
			assert_false(fixture->kernel.removed);
			break;
		}
		assert_true(fixture->kernel.closed);
		assert_true(count < 20);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_block_holds_until_its_end),
		T(a_block_is_taken_back),
		T(what_is_no_prefix_is_refused),
		T(a_verdict_makes_longer_and_a_hand_makes_anything),
		T(blocks_lie_within_one_another),
		T(who_is_never_blocked_is_not),
		T(a_full_table_lets_the_first_to_end_go),
		T(who_was_blocked_by_hand_is_not_pushed_out),
		T(what_the_back_end_did_not_take_is_told_again),
		T(who_still_sends_is_heard_of),
		T(blocks_outlive_a_restart),
		T(a_clock_set_back_makes_no_block_longer),
		T(each_damage_is_found),
		T(the_file_is_whole_or_the_one_before),
		T(no_memory_is_no_crash),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
