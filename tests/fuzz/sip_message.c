/* SPDX-License-Identifier: Apache-2.0
 * Messages: the first byte chooses datagram or stream and how much memory there is. What is refused but answerable
 * must be answerable indeed, and the answer must be sound; where it repeats what is malformed (RFC 4475 section 3.1.2.15),
 * at least line by line. */
#include <stdlib.h>
#include <string.h>

#include "sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, without its CRLF. What is in it can end no line, whoever reads it. */
static struct span line_take(struct span *rest)
{
	ptrdiff_t end = span_index(*rest, '\r');
	struct span line = span_slice(*rest, 0, end < 0 ? 0 : (size_t)end);

	if (end < 0 || !span_starts_with(span_slice(*rest, (size_t)end, 2), SPAN("\r\n")) ||
	    span_index(line, '\n') >= 0 || span_index(line, '\0') >= 0)
		abort();
	*rest = span_slice(*rest, (size_t)end + 2, rest->length);
	return line;
}

/* The value of the next line, which is that header. */
static struct span value_take(struct span *rest, struct span name)
{
	struct span line = line_take(rest);

	if (!span_starts_with(line, name))
		abort();
	return span_slice(line, name.length, line.length);
}

static size_t values_count(struct span value)
{
	struct span element;
	size_t count = 0;

	while (sip_list_next(&value, &element))
		count++;
	return count;
}

/* Line by line what was meant to be written and nothing else, so that what is repeated smuggles nothing in. */
static void answer_check(const struct sip_message *request, struct span answer)
{
	static const struct span names[] = {SPAN_INIT("From: "), SPAN_INIT("To: "), SPAN_INIT("Call-ID: "),
					    SPAN_INIT("CSeq: "), SPAN_INIT("Content-Length: 0")};

	value_take(&answer, SPAN("SIP/2.0 400 "));
	for (const struct sip_header *via = sip_message_header(request, SIP_HEADER_VIA); via;
	     via = sip_message_header_next(request, via))
		if (values_count(value_take(&answer, SPAN("Via: "))) != values_count(via->value))
			abort();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		value_take(&answer, names[i]);
	if (line_take(&answer).length || answer.length)
		abort();
}

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
	if (out.overflow)
		abort();
	answer_check(message, buffer_span(&out));
	if (message->from_written.length || message->to_written.length || message->cseq_written.length)
		return;
	/* A Via line may have grown over the limit of lines by what was added. */
	if (sip_message_parse(buffer_span(&out), true, &sip_limits_default, &arena, &response, &consumed) != SIP_OK &&
	    message->bytes.length < 8000)
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
