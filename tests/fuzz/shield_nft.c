/* SPDX-License-Identifier: Apache-2.0
 * What nft lists. */
#include <stdlib.h>

#include "shield/nft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void found(void *context, const struct shield_prefix *prefix, uint64_t hits)
{
	struct shield_prefix clean;

	(void)context;
	(void)hits;
	if (prefix_clean(prefix, &clean))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)nft_hits_read((struct span){(const char *)data, size}, found, NULL);
	return 0;
}
