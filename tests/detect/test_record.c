/* SPDX-License-Identifier: Apache-2.0
 * Evidence on record: kept in order, the newest of it, through restarts and damage; and replayed it decides the same. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "detect/record.h"

#define WALL_US UINT64_C(1700000000000000)

struct shelf {
	int descriptor;
	uint64_t chance;
	struct detect_record_options options;
	struct detect_record *record;
	struct evidence seen[300];
	uint32_t count, most;
	struct detect_record_summary summary;
};

static void shelf_open(struct shelf *shelf)
{
	shelf->options.random = random_seeded(&shelf->chance);
	assert_int_equal(detect_record_open(shelf->descriptor, &shelf->options, &shelf->record), 0);
}

static void shelf_init(struct shelf *shelf, uint32_t capacity)
{
	memset(shelf, 0, sizeof(*shelf));
	shelf->descriptor = memfd_create("record", MFD_CLOEXEC);
	assert_true(shelf->descriptor >= 0);
	shelf->options = (struct detect_record_options){.capacity = capacity, .now_us = 1000, .wall_us = WALL_US};
	shelf->most = 300;
	shelf_open(shelf);
}

static void shelf_close(struct shelf *shelf)
{
	detect_record_close(shelf->record);
	close(shelf->descriptor);
}

static struct evidence finding(uint32_t n)
{
	struct address source = kit_address(n % 2 ? "198.51.100.7:5062" : "[2001:db8::7]:5062");

	return (struct evidence){.kind = (enum evidence_kind)(n % EVIDENCE_KIND_COUNT),
				 .count = n + 1,
				 .proven = n % 3,
				 .source = source,
				 .session = n,
				 .connection = 2 * n,
				 .account = 3 * n,
				 .target = 4 * n,
				 .time_us = 1000 + n};
}

static void put(struct shelf *shelf, uint32_t first, uint32_t last)
{
	for (uint32_t n = first; n < last; n++) {
		struct evidence evidence = finding(n);

		detect_record_put(shelf->record, &evidence);
	}
	assert_int_equal(detect_record_flush(shelf->record), 0);
}

static bool see(void *context, const struct evidence *evidence)
{
	struct shelf *shelf = context;

	shelf->seen[shelf->count++] = *evidence;
	return shelf->count < shelf->most;
}

static int read_back(struct shelf *shelf)
{
	shelf->count = 0;
	return detect_record_read(shelf->descriptor, see, shelf, &shelf->summary);
}

/* What was seen is findings first to last, in order. */
static void assert_seen(const struct shelf *shelf, uint32_t first, uint32_t last)
{
	assert_int_equal(shelf->count, last - first);
	for (uint32_t n = first; n < last; n++) {
		struct evidence evidence = finding(n);
		const struct evidence *seen = &shelf->seen[n - first];

		assert_int_equal(seen->kind, evidence.kind);
		assert_int_equal(seen->count, evidence.count);
		assert_int_equal(seen->proven, evidence.proven);
		assert_true(address_equal(&seen->source, &evidence.source));
		assert_int_equal(seen->session, evidence.session);
		assert_int_equal(seen->connection, evidence.connection);
		assert_int_equal(seen->account, evidence.account);
		assert_int_equal(seen->target, evidence.target);
		assert_int_equal(seen->time_us, WALL_US + n);
	}
}

static void what_is_written_is_read(void **state)
{
	static struct shelf shelf;

	(void)state;
	shelf_init(&shelf, 300);
	assert_int_equal(read_back(&shelf), 0);
	assert_int_equal(shelf.count, 0);
	put(&shelf, 0, 200);
	assert_int_equal(read_back(&shelf), 0);
	assert_seen(&shelf, 0, 200);
	assert_int_equal(shelf.summary.findings, 200);
	assert_int_equal(shelf.summary.damaged, 0);
	assert_int_equal(shelf.summary.first_us, WALL_US);
	assert_int_equal(shelf.summary.last_us, WALL_US + 199);
	shelf.most = 7;
	assert_int_equal(read_back(&shelf), 0);
	assert_int_equal(shelf.count, 7);
	shelf_close(&shelf);
}

/* Whatever its size and however much comes at once, the newest stay, and the file does not grow. */
static void the_newest_stay(void **state)
{
	const uint32_t capacities[] = {1, 2, 63, 64, 65, 100, 128};
	static struct shelf shelf;

	(void)state;
	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		uint32_t capacity = capacities[i], first = 0;
		off_t size;

		shelf_init(&shelf, capacity);
		size = lseek(shelf.descriptor, 0, SEEK_END);
		assert_int_equal(size, RECORD_HEAD_BYTES + capacity * DETECT_RECORD_BYTES);
		for (uint32_t step = 1; first < 1000; step = step * 5 % 97) {
			put(&shelf, first, first + step);
			first += step;
			assert_int_equal(read_back(&shelf), 0);
			assert_seen(&shelf, first > capacity ? first - capacity : 0, first);
			assert_int_equal(shelf.summary.damaged, 0);
		}
		assert_int_equal(lseek(shelf.descriptor, 0, SEEK_END), size);
		shelf_close(&shelf);
	}
}

static void it_goes_on_after_a_restart(void **state)
{
	static struct shelf shelf;

	(void)state;
	shelf_init(&shelf, 100);
	for (uint32_t n = 0; n < 250; n += 50) {
		put(&shelf, n, n + 50);
		detect_record_close(shelf.record);
		shelf_open(&shelf);
	}
	assert_int_equal(read_back(&shelf), 0);
	assert_seen(&shelf, 150, 250);
	/* Of another size, it begins anew. */
	detect_record_close(shelf.record);
	shelf.options.capacity = 90;
	shelf_open(&shelf);
	assert_int_equal(read_back(&shelf), 0);
	assert_int_equal(shelf.count, 0);
	shelf_close(&shelf);
}

/* A bit turned over costs one finding at most; in the head, all of them, and a new one is begun. */
static void damage_costs_what_it_hits(void **state)
{
	static struct shelf shelf;
	char *map;

	(void)state;
	shelf_init(&shelf, 20);
	put(&shelf, 0, 30);
	map = mmap(NULL, RECORD_HEAD_BYTES + 20 * DETECT_RECORD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		   shelf.descriptor, 0);
	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < RECORD_HEAD_BYTES; i++) {
		map[i] ^= 4;
		assert_int_equal(read_back(&shelf), -EPROTO);
		map[i] ^= 4;
	}
	for (size_t i = RECORD_HEAD_BYTES; i < RECORD_HEAD_BYTES + 20 * DETECT_RECORD_BYTES; i++) {
		map[i] ^= 4;
		assert_int_equal(read_back(&shelf), 0);
		/* The newest is one that nobody misses: the ring is one shorter then, as seen from the one before. */
		assert_int_equal(shelf.count, 19);
		map[i] ^= 4;
	}
	map[3] ^= 4;
	detect_record_close(shelf.record);
	shelf_open(&shelf);
	assert_int_equal(read_back(&shelf), 0);
	assert_int_equal(shelf.count, 0);
	munmap(map, RECORD_HEAD_BYTES + 20 * DETECT_RECORD_BYTES);
	shelf_close(&shelf);
}

static void a_file_cut_short_is_read_to_its_end(void **state)
{
	static struct shelf shelf;

	(void)state;
	shelf_init(&shelf, 100);
	put(&shelf, 0, 100);
	for (uint32_t left = 100; left-- > 0;) {
		assert_int_equal(ftruncate(shelf.descriptor, RECORD_HEAD_BYTES + left * DETECT_RECORD_BYTES + 13), 0);
		assert_int_equal(read_back(&shelf), 0);
		assert_seen(&shelf, 0, left);
	}
	assert_int_equal(ftruncate(shelf.descriptor, RECORD_HEAD_BYTES - 1), 0);
	assert_int_equal(read_back(&shelf), -EPROTO);
	assert_int_equal(ftruncate(shelf.descriptor, 0), 0);
	assert_int_equal(read_back(&shelf), -EPROTO);
	shelf_close(&shelf);
}

/* A slot whose last writing was lost has what stood there a turn of the ring ago: that is no part of the day. */
static void what_should_be_gone_is_not_read(void **state)
{
	static struct shelf shelf;
	char old[DETECT_RECORD_BYTES];

	(void)state;
	shelf_init(&shelf, 10);
	put(&shelf, 0, 10);
	assert_int_equal(pread(shelf.descriptor, old, sizeof(old), RECORD_HEAD_BYTES + 3 * DETECT_RECORD_BYTES),
			 sizeof(old));
	put(&shelf, 10, 25);
	assert_int_equal(pwrite(shelf.descriptor, old, sizeof(old), RECORD_HEAD_BYTES + 3 * DETECT_RECORD_BYTES),
			 sizeof(old));
	assert_int_equal(read_back(&shelf), 0);
	assert_int_equal(shelf.count, 9);
	assert_int_equal(shelf.summary.damaged, 1);
	shelf_close(&shelf);
}

/* Slots of a file that was there before under the same name are none of this one. */
static void findings_of_another_file_are_not_taken(void **state)
{
	static struct shelf shelf, other;
	char bytes[DETECT_RECORD_BYTES];

	(void)state;
	shelf_init(&shelf, 10);
	put(&shelf, 0, 5);
	shelf_init(&other, 10);
	other.options.random.fill = NULL;
	other.chance = 99;
	assert_int_equal(ftruncate(other.descriptor, 0), 0);
	detect_record_close(other.record);
	shelf_open(&other);
	put(&other, 0, 9);
	assert_int_equal(pread(other.descriptor, bytes, sizeof(bytes), RECORD_HEAD_BYTES + 8 * DETECT_RECORD_BYTES),
			 sizeof(bytes));
	assert_int_equal(pwrite(shelf.descriptor, bytes, sizeof(bytes), RECORD_HEAD_BYTES + 8 * DETECT_RECORD_BYTES),
			 sizeof(bytes));
	assert_int_equal(read_back(&shelf), 0);
	assert_seen(&shelf, 0, 5);
	shelf_close(&other);
	shelf_close(&shelf);
}

static void faults_of_the_file_are_told(void **state)
{
	static struct shelf shelf;
	struct evidence evidence = finding(1);
	int read_only;
	char path[64];

	(void)state;
	shelf_init(&shelf, 10);
	put(&shelf, 0, 5);
	detect_record_close(shelf.record);
	shelf.record = NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", shelf.descriptor);
	read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read_only >= 0);
	assert_int_equal(detect_record_open(read_only, &shelf.options, &shelf.record), 0);
	detect_record_put(shelf.record, &evidence);
	assert_int_equal(detect_record_flush(shelf.record), -EBADF);
	assert_int_equal(detect_record_flush(shelf.record), 0); /* said once */
	detect_record_close(shelf.record);
	close(read_only);
	assert_int_equal(detect_record_open(-1, &shelf.options, &shelf.record), -EBADF);
	shelf.options.capacity = 0;
	assert_int_equal(detect_record_open(shelf.descriptor, &shelf.options, &shelf.record), -EINVAL);
	shelf.options.capacity = 10;
	for (long n = 0; n < 2; n++) {
		memory_fail_after(n);
		assert_int_equal(detect_record_open(shelf.descriptor, &shelf.options, &shelf.record), -ENOMEM);
	}
	memory_fail_after(0);
	assert_int_equal(read_back(&shelf), -ENOMEM);
	memory_fail_after(-1);
	assert_int_equal(read_back(&shelf), 0);
	assert_seen(&shelf, 0, 5);
	shelf.record = NULL;
	shelf_close(&shelf);
}

/* ---- Addresses ---- */

static uint8_t bits_in_common(const struct address *a, const struct address *b)
{
	uint8_t bits = 0;

	while (bits < 128 && !((a->ip[bits / 8] ^ b->ip[bits / 8]) >> (7 - bits % 8) & 1))
		bits++;
	return bits;
}

static void addresses_are_hidden(void **state)
{
	static const char *const texts[] = {"192.0.2.1:5", "192.0.2.2:5",     "192.0.3.1:5",     "10.0.0.1:5",
					    "203.0.113.9", "[2001:db8::1]:5", "[2001:db8::2]:5", "[2001:db8:0:1::1]:5"};
	static const uint8_t key[HASH_KEY_BYTES] = "a", other_key[HASH_KEY_BYTES] = "b";

	(void)state;
	for (int how = DETECT_RECORD_PREFIXES; how <= DETECT_RECORD_HASHED; how++) {
		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
			struct address a = kit_address(texts[i]), hidden_a = a, again = a, other = a;

			record_address_hide((enum detect_record_addresses)how, key, &hidden_a);
			record_address_hide((enum detect_record_addresses)how, key, &again);
			record_address_hide((enum detect_record_addresses)how, other_key, &other);
			assert_memory_equal(&hidden_a, &again, sizeof(again));
			assert_false(address_equal_ip(&hidden_a, &a));
			assert_false(address_equal_ip(&hidden_a, &other));
			assert_int_equal(hidden_a.port, a.port);
			assert_int_equal(hidden_a.family, a.family);
			for (size_t k = 0; k < i; k++) {
				struct address b = kit_address(texts[k]), hidden_b = b;
				uint8_t common = bits_in_common(&a, &b);

				if (a.family != b.family)
					continue;
				record_address_hide((enum detect_record_addresses)how, key, &hidden_b);
				assert_false(address_equal_ip(&hidden_a, &hidden_b));
				if (how == DETECT_RECORD_PREFIXES && common < 64)
					assert_int_equal(bits_in_common(&hidden_a, &hidden_b), common);
				else if (how == DETECT_RECORD_PREFIXES)
					assert_true(bits_in_common(&hidden_a, &hidden_b) >= 64);
				else
					assert_true(bits_in_common(&hidden_a, &hidden_b) < 20);
			}
		}
	}
}

static void no_address_stands_in_a_hidden_record(void **state)
{
	static const uint8_t ipv4[] = {198, 51, 100, 7}, ipv6[] = {0x20, 0x01, 0x0d, 0xb8};
	static struct shelf shelf;
	static char bytes[RECORD_HEAD_BYTES + 50 * DETECT_RECORD_BYTES];

	(void)state;
	for (int how = DETECT_RECORD_PREFIXES; how <= DETECT_RECORD_HASHED; how++) {
		shelf_init(&shelf, 50);
		detect_record_close(shelf.record);
		shelf.options.addresses = (enum detect_record_addresses)how;
		shelf_open(&shelf);
		put(&shelf, 0, 50);
		assert_int_equal(pread(shelf.descriptor, bytes, sizeof(bytes), 0), sizeof(bytes));
		assert_null(memmem(bytes, sizeof(bytes), ipv4, sizeof(ipv4)));
		assert_null(memmem(bytes, sizeof(bytes), ipv6, sizeof(ipv6)));
		assert_int_equal(read_back(&shelf), 0);
		assert_int_equal(shelf.summary.addresses, how);
		assert_int_equal(shelf.count, 50);
		shelf_close(&shelf);
	}
}

/* ---- Replay ---- */

static bool replay(void *context, const struct evidence *evidence)
{
	struct kit *kit = context;

	detect_put(kit->detect, evidence);
	return true;
}

/* What was decided is decided again; with addresses hidden in their prefixes, as often. */
static void replayed_it_decides_the_same(void **state)
{
	static struct kit first, again;
	static struct shelf shelf;

	(void)state;
	for (int how = DETECT_RECORD_PLAIN; how <= DETECT_RECORD_PREFIXES; how++) {
		kit_init(&first);
		kit_init(&again);
		first.policy.subjects = again.policy.subjects = 262144; /* so that chance pushes nobody out */
		first.policy.verdicts = again.policy.verdicts = 16384;
		kit_start(&first);
		kit_start(&again);
		shelf_init(&shelf, 20000);
		detect_record_close(shelf.record);
		shelf.options.addresses = (enum detect_record_addresses)how;
		shelf_open(&shelf);
		for (uint32_t n = 0; n < 20000; n++) {
			struct evidence evidence = finding(n * 7919 % 10007);

			evidence.time_us = 1000 + n * UINT64_C(300000);
			evidence.source.ip[how ? 2 : 3] ^= (uint8_t)(n % 16);
			detect_record_put(shelf.record, &evidence);
			evidence.time_us += WALL_US - 1000;
			detect_put(first.detect, &evidence);
		}
		assert_int_equal(detect_record_flush(shelf.record), 0);
		assert_int_equal(detect_record_read(shelf.descriptor, replay, &again, &shelf.summary), 0);
		assert_int_equal(shelf.summary.findings, 20000);
		assert_true(first.count > 50);
		assert_int_equal(first.count, again.count);
		assert_true((first.trace == again.trace) == (how == DETECT_RECORD_PLAIN));
		shelf_close(&shelf);
		kit_stop(&first);
		kit_stop(&again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_newest_stay),
		cmocka_unit_test(it_goes_on_after_a_restart),
		cmocka_unit_test(damage_costs_what_it_hits),
		cmocka_unit_test(a_file_cut_short_is_read_to_its_end),
		cmocka_unit_test(what_should_be_gone_is_not_read),
		cmocka_unit_test(findings_of_another_file_are_not_taken),
		cmocka_unit_test(faults_of_the_file_are_told),
		cmocka_unit_test(addresses_are_hidden),
		cmocka_unit_test(no_address_stands_in_a_hidden_record),
		cmocka_unit_test(replayed_it_decides_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
