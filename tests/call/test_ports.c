/* SPDX-License-Identifier: Apache-2.0
 * Media ports: nothing is given out twice, whatever range it came from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "call/sessions.h"

static struct config_zone zone_make(uint16_t low, uint16_t high)
{
	return (struct config_zone){.media = {.port_low = low, .port_high = high}};
}

static struct address ip(const char *text)
{
	struct address address;

	assert_int_equal(address_parse_ip(span_from(text), &address), 0);
	return address;
}

static uint32_t drain(struct port_pool *pool, uint16_t *ports)
{
	uint32_t count = 0;

	while ((ports[count] = port_take(pool)))
		count++;
	return count;
}

/* A reload that changes a range to an overlapping one used to give out ports of calls that went on. */
static void overlapping_ranges_of_an_address_share_what_is_taken(void **state)
{
	struct port_pools *pools = port_pools_new();
	struct config_zone before = zone_make(20000, 20019), after = zone_make(20010, 20029);
	struct address here = ip("127.0.0.1");
	struct port_pool *old = port_pools_get(pools, &before, &here, random_system());
	struct port_pool *new = port_pools_get(pools, &after, &here, random_system());
	uint16_t ports[32], others[32];

	(void)state;
	assert_non_null(old);
	assert_ptr_not_equal(old, new);
	assert_int_equal(drain(old, ports), 10);
	assert_int_equal(drain(new, others), 5); /* 20020 and up alone */
	for (int i = 0; i < 5; i++)
		assert_in_range(others[i], 20020, 20028);
	for (int i = 0; i < 10; i++)
		port_give(old, ports[i]);
	assert_int_equal(drain(new, ports), 5); /* those of both ranges are back */
	for (int i = 0; i < 5; i++)
		assert_in_range(ports[i], 20010, 20018);
	for (int i = 0; i < 5; i++) {
		port_give(new, ports[i]);
		port_give(new, others[i]);
	}
	assert_int_equal(drain(old, ports), 10);
	port_pools_free(pools);
}

static void addresses_have_ports_of_their_own(void **state)
{
	struct port_pools *pools = port_pools_new();
	struct config_zone zone = zone_make(20000, 20003);
	struct address four = ip("127.0.0.1"), six = ip("::1");
	uint16_t ports[8];

	(void)state;
	assert_int_equal(drain(port_pools_get(pools, &zone, &four, random_system()), ports), 2);
	assert_int_equal(drain(port_pools_get(pools, &zone, &six, random_system()), ports), 2);
	assert_ptr_equal(port_pools_get(pools, &zone, &six, random_system()),
			 port_pools_get(pools, &zone, &six, random_system()));
	port_pools_free(pools);
}

static void without_memory_there_is_no_pool_and_no_leak(void **state)
{
	struct config_zone zone = zone_make(20000, 20003);
	struct address here = ip("::1");

	(void)state;
	for (int fails = 0; fails < 5; fails++) {
		struct port_pools *pools = port_pools_new();

		memory_fail_after(fails);
		struct port_pool *pool = port_pools_get(pools, &zone, &here, random_system());

		memory_fail_after(-1);
		assert_true(!pool == (fails < 3));
		port_pools_free(pools);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overlapping_ranges_of_an_address_share_what_is_taken),
		cmocka_unit_test(addresses_have_ports_of_their_own),
		cmocka_unit_test(without_memory_there_is_no_pool_and_no_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
