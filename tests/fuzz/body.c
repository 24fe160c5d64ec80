/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a body that crosses: what is taken fits, is text, and is taken again as it is written. */
#include <stdlib.h>
#include <string.h>

#include "call/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool yes_type(void *context, struct span type)
{
	static const char *const types[] = {"application/rlmi+xml", "application/pidf+xml", "multipart/related",
					    "text/plain"};

	(void)context;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (span_is(type, types[i]))
			return true;
	return false;
}

static bool no_host(void *context, struct span host)
{
	(void)context;
	return span_is(host, "pbx.inner");
}

static bool some_tag(void *context, struct span call_id, struct span tag)
{
	(void)context;
	return call_id.length > 4 && tag.length == 4;
}

static const struct body_rules rules = {.domain = "voip.example.org",
					.key = {1},
					.type_allowed = yes_type,
					.host_is_inner = no_host,
					.tag_is_ours = some_tag};

static bool rewrite(const char *type, struct span body, struct buffer *type_out, struct buffer *out)
{
	int status = body_rewrite(&rules, span_from(type), body, type_out, out);

	if (status && status != 400 && status != 415 && status != 513)
		abort();
	return !status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {"application/dialog-info+xml",
					    "multipart/related;boundary=b;start=\"<a@b>\"",
					    "application/simple-message-summary", "text/plain"};
	static char first[BODY_MAXIMUM], second[BODY_MAXIMUM], first_type[BODY_TYPE_CAPACITY],
		second_type[BODY_TYPE_CAPACITY];
	struct buffer out = BUFFER_OVER(first), again = BUFFER_OVER(second);
	struct buffer type = BUFFER_OVER(first_type), type_again = BUFFER_OVER(second_type);
	const char *chosen;

	if (!size)
		return 0;
	chosen = types[data[0] % 4];
	if (!rewrite(chosen, (struct span){(const char *)data + 1, size - 1}, &type, &out))
		return 0;
	/* A list of small parts may grow past the limit the second time; what fits must be taken. */
	if (!rewrite(chosen, buffer_span(&out), &type_again, &again) && out.length < BODY_MAXIMUM / 64)
		abort();
	return 0;
}
