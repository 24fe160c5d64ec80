/* SPDX-License-Identifier: Apache-2.0
 * Blocks that were written down: any bytes, once as they are and once with a checksum that is right. What was taken is written
 * down again, and comes back the same. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "shield/private.h"

#define NOW 1000000000000ull
#define WALL 1700000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct shield *make(uint64_t *random)
{
	const struct shield_options options = {64, random_seeded(random), NULL, NULL};
	struct shield_backend none;

	shield_backend_none(&none);
	return shield_new(&options, &none);
}

static void restore(struct span bytes)
{
	uint64_t random = 1;
	struct shield *shield = make(&random), *again = make(&random);
	struct shield_statistics before, after;
	char dumped[64 * 256];
	ptrdiff_t length;

	(void)shield_restore(shield, NOW, WALL, bytes);
	shield_statistics_get(shield, &before);
	length = shield_dump(shield, NOW, WALL, dumped, sizeof(dumped));
	if (length < 0 || shield_restore(again, NOW, WALL, (struct span){dumped, (size_t)length}))
		abort();
	shield_statistics_get(again, &after);
	if (before.blocks != after.blocks)
		abort();
	(void)shield_expire(shield, NOW + 1000000);
	shield_free(shield, true);
	shield_free(again, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char bytes[1 << 16];
	uint64_t check;

	restore((struct span){(const char *)data, size});
	if (size < DUMP_CHECK_BYTES || size > sizeof(bytes))
		return 0;
	memcpy(bytes, data, size - DUMP_CHECK_BYTES);
	check = htole64(dump_check((struct span){bytes, size - DUMP_CHECK_BYTES}));
	memcpy(bytes + size - DUMP_CHECK_BYTES, &check, sizeof(check));
	restore((struct span){bytes, size});
	return 0;
}
