/* SPDX-License-Identifier: Apache-2.0
 * Copies a parsed message without parsing it again: the bytes are copied, and every span moves by the
 * distance between the old bytes and the new ones. */
#include "sip/message_copy.h"

#include <stdalign.h>
#include <string.h>

#define URI_SPANS(at) \
	offsetof(struct sip_message, at.text), offsetof(struct sip_message, at.user), \
		offsetof(struct sip_message, at.password), offsetof(struct sip_message, at.host), \
		offsetof(struct sip_message, at.parameters), offsetof(struct sip_message, at.headers)
#define ADDRESS_SPANS(at) \
	offsetof(struct sip_message, at.text), offsetof(struct sip_message, at.display), URI_SPANS(at.uri), \
		offsetof(struct sip_message, at.parameters), offsetof(struct sip_message, at.tag)

/* Every span of struct sip_message; a test finds the one that is missing here. */
static const uint16_t span_offsets[] = {
	offsetof(struct sip_message, method_text),
	offsetof(struct sip_message, reason),
	URI_SPANS(request_uri),
	offsetof(struct sip_message, via.text),
	offsetof(struct sip_message, via.transport_text),
	offsetof(struct sip_message, via.host),
	offsetof(struct sip_message, via.parameters),
	offsetof(struct sip_message, via.branch),
	offsetof(struct sip_message, via.received),
	ADDRESS_SPANS(from),
	ADDRESS_SPANS(to),
	offsetof(struct sip_message, call_id),
	ADDRESS_SPANS(contact),
	offsetof(struct sip_message, content_type),
	offsetof(struct sip_message, body),
	offsetof(struct sip_message, bytes),
};

/* A span outside the old bytes has nothing to point at in the new ones, and becomes empty. */
static void span_move(struct span *span, struct span from, const char *to)
{
	uintptr_t offset = (uintptr_t)span->data - (uintptr_t)from.data;

	if (!span->data)
		return;
	if (offset > from.length || span->length > from.length - offset)
		*span = SPAN_EMPTY;
	else
		span->data = to + offset;
}

struct sip_message *message_copy(const struct sip_message *message)
{
	size_t headers_bytes = message->header_count * sizeof(struct sip_header);
	struct sip_message *copy = memory_alloc(sizeof(*copy) + headers_bytes + message->bytes.length + 1);
	char *bytes;

	_Static_assert(sizeof(struct sip_message) % alignof(struct sip_header) == 0, "headers follow the message");
	if (!copy)
		return NULL;
	*copy = *message;
	copy->headers = (struct sip_header *)(copy + 1);
	bytes = (char *)copy->headers + headers_bytes;
	if (headers_bytes)
		memcpy(copy->headers, message->headers, headers_bytes);
	memcpy(bytes, message->bytes.data, message->bytes.length);

	for (size_t i = 0; i < sizeof(span_offsets) / sizeof(span_offsets[0]); i++)
		span_move((struct span *)((char *)copy + span_offsets[i]), message->bytes, bytes);
	for (uint16_t i = 0; i < copy->header_count; i++) {
		span_move(&copy->headers[i].name, message->bytes, bytes);
		span_move(&copy->headers[i].value, message->bytes, bytes);
	}
	return copy;
}
