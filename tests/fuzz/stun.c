/* SPDX-License-Identifier: Apache-2.0
 * Anything as a STUN request: the answer stays within its bound and is itself STUN. */
#include <stdlib.h>

#include "base/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* So weak that the fuzzer finds it: what follows a right integrity is looked at, too. */
static bool sign(const void *context, struct span bytes, uint8_t integrity[STUN_INTEGRITY_BYTES])
{
	(void)context;
	for (int i = 0; i < STUN_INTEGRITY_BYTES; i++)
		integrity[i] = (uint8_t)bytes.data[0];
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address source = {.family = size % 2 ? ADDRESS_IPV4 : ADDRESS_IPV6, .port = 5060, .ip = {192, 0, 2, 1}};
	struct span request = {(const char *)data, size};
	char text[256];
	struct buffer out = BUFFER_OVER(text);

	if (stun_answer(request, &source, &out) == STUN_ANSWER &&
	    (!stun_is(buffer_span(&out)) || out.length > size + STUN_ANSWER_MARGIN))
		abort();

	const struct stun_agent agent = {SPAN("u"), sign, NULL};
	bool nominates;
	enum stun_result result;
	out.length = 0;
	result = stun_check(&agent, request, &source, &out, &nominates);
	if ((result == STUN_ANSWER || result == STUN_REFUSAL) && !stun_is(buffer_span(&out)))
		abort();
	return 0;
}
