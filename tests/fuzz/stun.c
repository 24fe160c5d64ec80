/* SPDX-License-Identifier: Apache-2.0
 * Anything as a STUN request: the answer stays within its bound and is itself STUN. */
#include <stdlib.h>

#include "transport/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address source = {.family = size % 2 ? ADDRESS_IPV4 : ADDRESS_IPV6, .port = 5060, .ip = {192, 0, 2, 1}};
	struct span request = {(const char *)data, size};
	char text[256];
	struct buffer out = BUFFER_OVER(text);

	if (stun_answer(request, &source, &out) == STUN_ANSWER &&
	    (!stun_is(buffer_span(&out)) || out.length > size + STUN_ANSWER_MARGIN))
		abort();
	return 0;
}
