/* SPDX-License-Identifier: Apache-2.0
 * Hash tables: nothing is lost while they grow, with or without memory; SipHash is SipHash. */
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/memory.h"

/* The example of the paper's appendix A. */
static void test_siphash_of_the_paper(void **state)
{
	uint8_t key[HASH_KEY_BYTES], message[15];

	(void)state;
	for (int i = 0; i < HASH_KEY_BYTES; i++)
		key[i] = (uint8_t)i;
	for (int i = 0; i < 15; i++)
		message[i] = (uint8_t)i;
	assert_true(hash_bytes(key, message, 15) == 0xa129ca6149be45e5);
	assert_true(hash_bytes(key, NULL, 0) == 0x726fdb47dd0e0e31);
}

/* Against OpenSSL's, for every length of a tail and several words. */
static void test_siphash_against_openssl(void **state)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
	uint8_t key[HASH_KEY_BYTES], message[100], out[8];
	size_t size = sizeof(out), length_written;
	OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t("size", &size), OSSL_PARAM_construct_end()};
	uint64_t seed = 5;

	(void)state;
	assert_non_null(context);
	for (size_t length = 0; length <= sizeof(message); length++) {
		uint64_t got;

		random_fill(random_seeded(&seed), key, sizeof(key));
		random_fill(random_seeded(&seed), message, sizeof(message));
		assert_int_equal(EVP_MAC_init(context, key, sizeof(key), parameters), 1);
		assert_int_equal(EVP_MAC_update(context, message, length), 1);
		assert_int_equal(EVP_MAC_final(context, out, &length_written, sizeof(out)), 1);
		assert_int_equal(length_written, sizeof(out));
		got = hash_bytes(key, message, length);
		for (int i = 0; i < 8; i++)
			assert_int_equal(out[i], got >> (8 * i) & 0xff);
	}
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(mac);
}

struct item {
	struct table_link link;
	uint32_t number;
	int visited;
};

static bool item_equal(const struct table_link *link, const void *key)
{
	return table_object(link, const struct item, link)->number == *(const uint32_t *)key;
}

static struct table *new_table(void)
{
	static uint64_t seed = 9;

	return table_new(item_equal, random_seeded(&seed));
}

static void add(struct table *table, struct item *item, uint32_t number)
{
	item->number = number;
	table_add(table, &item->link, table_hash(table, &number, sizeof(number)));
}

static struct item *find(const struct table *table, uint32_t number)
{
	struct table_link *link = table_find(table, table_hash(table, &number, sizeof(number)), &number);

	return link ? table_object(link, struct item, link) : NULL;
}

#define MANY 20000

static void test_nothing_is_lost_while_growing(void **state)
{
	struct table *table = new_table();
	struct item *items = calloc(MANY, sizeof(*items));
	uint32_t looked_for = 0;

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		assert_null(find(table, i));
		add(table, &items[i], i);
		assert_int_equal(table_count(table), i + 1);
		assert_ptr_equal(find(table, i), &items[i]);
		looked_for = (looked_for + 7919) % (i + 1);
		assert_ptr_equal(find(table, looked_for), &items[looked_for]);
	}
	for (uint32_t i = 0; i < MANY; i++)
		assert_ptr_equal(find(table, i), &items[i]);
	for (uint32_t i = 0; i < MANY; i += 2)
		table_remove(table, &items[i].link);
	assert_int_equal(table_count(table), MANY / 2);
	for (uint32_t i = 0; i < MANY; i++)
		assert_ptr_equal(find(table, i), i % 2 ? &items[i] : NULL);
	table_free(table);
	free(items);
}

/* Removing at every moment of a growth, found in either half. */
static void test_removing_while_growing(void **state)
{
	struct item items[200];

	(void)state;
	for (uint32_t present = 1; present <= 200; present++) {
		struct table *table = new_table();

		memset(items, 0, sizeof(items));
		for (uint32_t i = 0; i < present; i++)
			add(table, &items[i], i);
		for (uint32_t i = 0; i < present; i++) {
			table_remove(table, &items[i].link);
			assert_null(find(table, i));
			if (i + 1 < present)
				assert_ptr_equal(find(table, present - 1), &items[present - 1]);
		}
		assert_int_equal(table_count(table), 0);
		table_free(table);
	}
}

static void visit(void *context, struct table_link *link)
{
	struct item *item = table_object(link, struct item, link);

	item->visited++;
	if (context && item->number % 3 == 0)
		table_remove(context, link);
}

static void test_each_visits_all_once(void **state)
{
	struct item items[1000];

	(void)state;
	for (uint32_t present = 0; present <= 1000; present += present < 40 ? 1 : 37) {
		struct table *table = new_table();

		memset(items, 0, sizeof(items));
		for (uint32_t i = 0; i < present; i++)
			add(table, &items[i], i);
		table_each(table, visit, table);
		table_each(table, visit, NULL);
		for (uint32_t i = 0; i < present; i++)
			assert_int_equal(items[i].visited, i % 3 ? 2 : 1);
		table_free(table);
	}
}

/* One hash for all: slow, but right. */
static void test_equal_hashes_are_compared_in_full(void **state)
{
	struct table *table = new_table();
	struct item items[100] = {0};

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		items[i].number = i;
		table_add(table, &items[i].link, 0x1234);
	}
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(table_find(table, 0x1234, &i), &items[i].link);
	for (uint32_t i = 0; i < 100; i += 2)
		table_remove(table, &items[i].link);
	for (uint32_t i = 0; i < 100; i++)
		assert_ptr_equal(table_find(table, 0x1234, &i), i % 2 ? &items[i].link : NULL);
	table_free(table);
}

static void test_tables_hash_differently(void **state)
{
	struct table *a = new_table(), *b = new_table();

	(void)state;
	assert_true(table_hash(a, "abc", 3) == table_hash(a, "abc", 3));
	assert_true(table_hash(a, "abc", 3) != table_hash(a, "abd", 3));
	assert_true(table_hash(a, "abc", 3) != table_hash(b, "abc", 3));
	table_free(a);
	table_free(b);
}

static void test_goes_on_without_memory(void **state)
{
	struct item items[500] = {0};

	(void)state;
	for (long after = 0; after < 2; after++) {
		memory_fail_after(after);
		assert_null(new_table());
		memory_fail_after(-1);
	}
	for (long after = 0; after < 8; after++) {
		struct table *table = new_table();

		memory_fail_after(after);
		for (uint32_t i = 0; i < 500; i++) {
			if (after == 0 && table_count(table) % 16 == 0)
				memory_fail_after(0); /* again and again */
			add(table, &items[i], i);
		}
		memory_fail_after(-1);
		for (uint32_t i = 0; i < 500; i++)
			assert_ptr_equal(find(table, i), &items[i]);
		table_free(table);
	}
	table_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_of_the_paper),
		cmocka_unit_test(test_siphash_against_openssl),
		cmocka_unit_test(test_nothing_is_lost_while_growing),
		cmocka_unit_test(test_removing_while_growing),
		cmocka_unit_test(test_each_visits_all_once),
		cmocka_unit_test(test_equal_hashes_are_compared_in_full),
		cmocka_unit_test(test_tables_hash_differently),
		cmocka_unit_test(test_goes_on_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
