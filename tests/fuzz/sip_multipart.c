/* SPDX-License-Identifier: Apache-2.0
 * Multipart bodies: the first line is the Content-Type, the rest the body. Every part stands inside the body. */
#include <stdlib.h>

#include "sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_inside(struct span part, struct span body)
{
	if (part.length && (part.data < body.data || part.data + part.length > body.data + body.length))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = {(const char *)data, size}, type, body;
	ptrdiff_t end = span_index(text, '\n');
	struct sip_multipart walk;
	struct sip_part part;

	type = span_slice(text, 0, end < 0 ? text.length : (size_t)end);
	body = span_slice(text, type.length + 1, text.length);
	if (!sip_multipart_begin(type, body, &walk))
		while (sip_multipart_next(&walk, &part) > 0) {
			expect_inside(part.body, body);
			expect_inside(part.content_type, body);
			expect_inside(part.disposition, body);
		}
	if (!sip_multipart_description(type, body, &part))
		expect_inside(part.body, body);
	return 0;
}
