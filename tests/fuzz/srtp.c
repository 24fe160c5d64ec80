/* SPDX-License-Identifier: Apache-2.0
 * The first byte chooses the suite. Anything arrives as SRTP and as SRTCP; and what can be protected comes back whole. */
#include <stdlib.h>
#include <string.h>

#include "media/media.h"

#define SIZE_MAXIMUM 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum srtp_result work_function(struct srtp_context *context, uint8_t *packet, size_t *length);

static void round_trip(enum srtp_suite suite, const uint8_t *data, size_t size, work_function *protect,
		       work_function *unprotect)
{
	static const uint8_t key[SRTP_KEY_MAXIMUM] = {1, 2, 3};
	struct srtp_context *out = srtp_context_new(suite, key), *in = srtp_context_new(suite, key);
	uint8_t *packet = malloc(size + SRTP_OVERHEAD_MAXIMUM);
	size_t length = size;
	if (size)
		memcpy(packet, data, size);
	if (unprotect(in, packet, &length) == SRTP_OK)
		abort(); /* a forgery */
	if (size)
		memcpy(packet, data, size);
	length = size;
	if (protect(out, packet, &length) == SRTP_OK &&
	    (unprotect(in, packet, &length) != SRTP_OK || length != size || memcmp(packet, data, size) != 0))
		abort();
	free(packet);
	srtp_context_free(out);
	srtp_context_free(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > SIZE_MAXIMUM)
		return 0;
	enum srtp_suite suite = 1 + data[0] % (SRTP_SUITE_COUNT - 1);
	round_trip(suite, data + 1, size - 1, srtp_protect, srtp_unprotect);
	round_trip(suite, data + 1, size - 1, srtcp_protect, srtcp_unprotect);
	return 0;
}
