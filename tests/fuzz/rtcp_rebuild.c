/* SPDX-License-Identifier: Apache-2.0
 * Any good compound, built anew, is a good compound, and built again it stays as it is but for the names. The first byte says whether
 * it is proven; the sources are 1 and 2. */
#include <stdlib.h>
#include <string.h>

#include "media/media.h"
#include "media/rtcp_rebuild.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[HASH_KEY_BYTES];
	static uint8_t once[65536 * 4], twice[65536 * 4];
	struct rtcp_sources own = {{1}, 1, 1}, heard = {{2}, 1, 1};
	struct rtcp_refused refused;

	if (!size || rtcp_check(data + 1, size - 1) != 0)
		return 0;
	struct rtcp_view view = {&own, &heard, 2, 1000, 100, data[0] & 1, key};
	size_t length = rtcp_rebuild(data + 1, size - 1, &view, once, sizeof(once), &refused);
	if (!length)
		return 0;
	if (rtcp_check(once, length) != 0)
		abort();
	if (rtcp_rebuild(once, length, &view, twice, sizeof(twice), &refused) != length || refused.reports ||
	    refused.byes || refused.parts)
		abort();
	return 0;
}
