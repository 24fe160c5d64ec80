/* SPDX-License-Identifier: Apache-2.0
 * The messages that the transaction layer makes by itself: 100, stateless answers, CANCEL, the ACK of a non-2xx. */
#include "sip/transaction.h"

#include <inttypes.h>

static struct buffer scratch(struct sip_transactions *transactions)
{
	return buffer_over(transactions->scratch, TRANSACTION_SCRATCH_BYTES);
}

struct span transaction_build_trying(struct sip_transactions *transactions, const struct flow *flow,
				     const struct sip_message *request)
{
	const struct sip_header *timestamp = sip_message_header(request, SIP_HEADER_TIMESTAMP);
	struct buffer out = scratch(transactions);

	sip_write_response_start(&out, request, 100, SPAN_EMPTY, SPAN_EMPTY, flow);
	if (timestamp)
		sip_write_header(&out, SIP_HEADER_TIMESTAMP, timestamp->value); /* RFC 3261 section 8.2.6.1 */
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	return buffer_span(&out);
}

/* RFC 3261 section 8.2.7: without state, the same request must get the same tag. */
static struct span stateless_tag(const struct sip_transactions *transactions, const struct sip_message *request,
				 char text[17])
{
	uint64_t parts[3];
	struct buffer out = buffer_over(text, 17);
	uint64_t tag;

	parts[0] = hash_bytes(transactions->tag_key, request->call_id.data, request->call_id.length);
	parts[1] = hash_bytes(transactions->tag_key, request->from.tag.data, request->from.tag.length);
	parts[2] = request->cseq;
	tag = hash_bytes(transactions->tag_key, parts, sizeof(parts));
	buffer_put_hex(&out, &tag, sizeof(tag));
	return buffer_span(&out);
}

struct span transaction_build_answer(struct sip_transactions *transactions, const struct flow *flow,
				     const struct sip_message *request, uint16_t status, struct span to_tag,
				     uint32_t retry_after_s)
{
	struct buffer out = scratch(transactions);
	char tag[17];

	if (!to_tag.length)
		to_tag = stateless_tag(transactions, request, tag);
	sip_write_response_start(&out, request, status, SPAN_EMPTY, to_tag, flow);
	if (retry_after_s)
		sip_write_header_number(&out, SIP_HEADER_RETRY_AFTER, retry_after_s);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	return buffer_span(&out);
}

/* Our own message, taken apart again: only needed for what ends badly, so it is not kept apart for every call. */
static bool parse_own(struct sip_transactions *transactions, struct span bytes, struct sip_message *message)
{
	struct arena arena = arena_over(transactions->arena, TRANSACTION_ARENA_BYTES);
	size_t consumed;

	return sip_message_parse(bytes, false, &sip_limits_default, &arena, message, &consumed) == SIP_OK;
}

/* What CANCEL and ACK share with their INVITE: Request-URI, top Via, Route, From, Call-ID, CSeq number. */
static struct span build_from_invite(struct sip_transactions *transactions, struct span invite, enum sip_method method,
				     const struct sip_header *to, struct span reason)
{
	struct span method_name = span_from(sip_method_name(method));
	struct buffer out = scratch(transactions);
	const struct sip_header *header;
	struct sip_message request;
	char cseq[32];
	struct buffer cseq_text = BUFFER_OVER(cseq);

	if (!parse_own(transactions, invite, &request))
		return SPAN_EMPTY;
	if (!to)
		to = sip_message_header(&request, SIP_HEADER_TO);
	buffer_printf(&cseq_text, "%" PRIu32 " %.*s", request.cseq, SPAN_PRINT(method_name));

	sip_write_request_line(&out, method_name, request.request_uri.text);
	sip_write_header(&out, SIP_HEADER_VIA, request.via.text);
	for (header = sip_message_header(&request, SIP_HEADER_ROUTE); header;
	     header = sip_message_header_next(&request, header))
		sip_write_header(&out, SIP_HEADER_ROUTE, header->value);
	sip_write_header_number(&out, SIP_HEADER_MAX_FORWARDS, 70);
	sip_write_header(&out, SIP_HEADER_FROM, sip_message_header(&request, SIP_HEADER_FROM)->value);
	sip_write_header(&out, SIP_HEADER_TO, to->value);
	sip_write_header(&out, SIP_HEADER_CALL_ID, request.call_id);
	sip_write_header(&out, SIP_HEADER_CSEQ, buffer_span(&cseq_text));
	if (reason.length)
		sip_write_header(&out, SIP_HEADER_REASON, reason);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	return buffer_span(&out);
}

struct span transaction_build_cancel(struct sip_transactions *transactions, struct span invite, struct span reason)
{
	return build_from_invite(transactions, invite, SIP_CANCEL, NULL, reason);
}

struct span transaction_build_ack(struct sip_transactions *transactions, struct span invite,
				  const struct sip_message *response)
{
	return build_from_invite(transactions, invite, SIP_ACK, sip_message_header(response, SIP_HEADER_TO),
				 SPAN_EMPTY);
}

struct span transaction_response_tag(struct sip_transactions *transactions, struct span response)
{
	struct sip_message message;

	if (!response.length || !parse_own(transactions, response, &message))
		return SPAN_EMPTY;
	return message.to.tag; /* points into the response, which outlives the parsing */
}
