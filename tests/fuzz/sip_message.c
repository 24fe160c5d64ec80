/* SPDX-License-Identifier: Apache-2.0
 * Messages: the first byte chooses datagram or stream and how much memory there is. What is refused but answerable
 * must be answerable indeed, and the answer must be sound, but for what of it a refusal repeats (RFC 4475 section 3.1.2.15). */
#include <stdlib.h>
#include <string.h>

#include "sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const struct sip_message *message)
{
	static char text[200000], memory[16384];
	const struct flow flow = {.remote = {.family = ADDRESS_IPV4, .port = 1, .ip = {192, 0, 2, 1}}};
	struct buffer out = BUFFER_OVER(text);
	struct arena arena = arena_over(memory, sizeof(memory));
	struct sip_message response;
	size_t consumed;

	sip_write_response_start(&out, message, 400, SPAN_EMPTY, SPAN("tag"), &flow);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (!out.overflow &&
	    (message->from_written.length || message->to_written.length || message->cseq_written.length))
		return;
	/* A Via line may have grown over the limit of lines by what was added. */
	if (out.overflow ||
	    (sip_message_parse(buffer_span(&out), true, &sip_limits_default, &arena, &response, &consumed) != SIP_OK &&
	     message->bytes.length < 8000))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char memory[8192];
	struct arena arena = arena_over(memory, size && data[0] & 2 ? data[0] * 8u : sizeof(memory));
	struct sip_message message;
	enum sip_reject reject;
	size_t consumed;
	char *bytes;

	if (!size)
		return 0;
	bytes = malloc(size); /* writable, and as long as the bytes are */
	if (!bytes)
		abort();
	memcpy(bytes, data + 1, size - 1);
	reject = sip_message_parse((struct span){bytes, size - 1}, data[0] & 1, &sip_limits_default, &arena, &message,
				   &consumed);
	if (consumed > size - 1)
		abort();
	sip_message_has_token(&message, SIP_HEADER_SUPPORTED, "timer");
	if (reject != SIP_NEED_MORE && sip_message_is_answerable(&message))
		answer(&message);
	free(bytes);
	return 0;
}
