/* SPDX-License-Identifier: Apache-2.0
 * Header lines of a message, and the values that the gateway uses. RFC 3261 sections 7.3 and 20. */
#include <string.h>

#include "sip/address.h"
#include "sip/header.h"
#include "sip/message.h"

#define MAX_FORWARDS_MAXIMUM 255 /* RFC 3261 section 20.22 */
#define CSEQ_MAXIMUM 0x7fffffffu /* RFC 3261 section 8.1.1.5 */

/* Counts a value of a header that may hold many. */
static bool value_count(struct sip_parse *parse, unsigned id)
{
	return ++parse->values[id] <= parse->limits->values_maximum;
}

static enum sip_reject address_check(struct sip_parse *parse, unsigned id, struct span value)
{
	struct sip_message *message = parse->message;
	struct sip_address other, *address = &other;
	struct scan scan = scan_over(value);
	enum sip_reject reject;

	if (id == SIP_HEADER_FROM)
		address = &message->from;
	else if (id == SIP_HEADER_TO)
		address = &message->to;
	reject = sip_address_take(&scan, address);
	if (reject != SIP_OK || scan.at == scan.end)
		return reject;
	memset(address, 0, sizeof(*address));
	return SIP_REJECT_HEADER_VALUE;
}

static enum sip_reject addresses_check(struct sip_parse *parse, unsigned id, struct span value)
{
	struct sip_message *message = parse->message;
	struct scan scan = scan_over(value);
	struct sip_address other, *address;
	enum sip_reject reject;

	if (id == SIP_HEADER_CONTACT && value.length == 1 && *value.data == '*') {
		parse->contact_star = true;
		return value_count(parse, id) ? sip_address_parse(value, &message->contact)
					      : SIP_REJECT_HEADERS_TOO_MANY;
	}
	do {
		if (!value_count(parse, id))
			return SIP_REJECT_HEADERS_TOO_MANY;
		address = id == SIP_HEADER_CONTACT && parse->values[id] == 1 ? &message->contact : &other;
		reject = sip_address_take(&scan, address);
		if (reject != SIP_OK)
			return reject;
	} while (scan_byte(&scan, ','));
	return SIP_OK;
}

/* The first value of the first Via is the topmost; a later one never takes its place. */
static enum sip_reject via_check(struct sip_parse *parse, struct span value)
{
	struct scan scan = scan_over(value);
	struct sip_via other, *via;
	enum sip_reject reject;

	do {
		if (!value_count(parse, SIP_HEADER_VIA))
			return SIP_REJECT_HEADERS_TOO_MANY;
		via = parse->values[SIP_HEADER_VIA] == 1 ? &parse->message->via : &other;
		reject = sip_via_take(&scan, via);
		if (reject != SIP_OK)
			return reject;
	} while (scan_byte(&scan, ','));
	return SIP_OK;
}

static enum sip_reject number_check(struct sip_parse *parse, unsigned id, struct span value)
{
	struct scan scan = scan_over(value);
	uint64_t maximum = id == SIP_HEADER_MAX_FORWARDS ? MAX_FORWARDS_MAXIMUM : UINT32_MAX, number;

	if (!scan_number(&scan, maximum, &number) || scan.at != scan.end)
		return id == SIP_HEADER_CONTENT_LENGTH ? SIP_REJECT_CONTENT_LENGTH : SIP_REJECT_HEADER_VALUE;
	if (id == SIP_HEADER_MAX_FORWARDS)
		parse->message->max_forwards = (int32_t)number;
	else if (id == SIP_HEADER_CONTENT_LENGTH)
		parse->content_length = (int64_t)number;
	return SIP_OK;
}

/* "Number Method"; of RAck two numbers. RFC 3261 section 20.16, RFC 3262 section 7.2. */
static enum sip_reject sequence_parse(struct scan *scan, uint64_t *number, struct span *method)
{
	if (!scan_number(scan, CSEQ_MAXIMUM, number) || scan->at == scan->end || !byte_is(*scan->at, CLASS_BLANK))
		return SIP_REJECT_HEADER_VALUE;
	scan_blanks(scan);
	*method = scan_while(scan, CLASS_TOKEN);
	return method->length && scan->at == scan->end ? SIP_OK : SIP_REJECT_HEADER_VALUE;
}

static enum sip_reject cseq_check(struct sip_parse *parse, struct span value)
{
	struct sip_message *message = parse->message;
	struct scan scan = scan_over(value);
	struct span method;
	uint64_t number;

	if (sequence_parse(&scan, &number, &method) != SIP_OK)
		return SIP_REJECT_HEADER_VALUE;
	message->cseq = (uint32_t)number;
	if (!message->is_request) {
		message->method_text = method;
		message->method = sip_method_parse(method);
	} else if (!span_equal(method, message->method_text)) {
		sip_parse_reject(parse,
				 SIP_REJECT_METHOD_MISMATCH); /* the value itself is good enough to answer with */
	}
	return SIP_OK;
}

static enum sip_reject rack_check(struct span value)
{
	struct scan scan = scan_over(value);
	struct span method;
	uint64_t number;

	if (!scan_number(&scan, UINT32_MAX, &number) || scan.at == scan.end || !byte_is(*scan.at, CLASS_BLANK))
		return SIP_REJECT_HEADER_VALUE;
	scan_blanks(&scan);
	return sequence_parse(&scan, &number, &method);
}

/* word ["@" word] */
static enum sip_reject call_id_check(struct sip_parse *parse, struct span value)
{
	struct scan scan = scan_over(value);

	if (!scan_while(&scan, CLASS_WORD).length)
		return SIP_REJECT_HEADER_VALUE;
	if (scan_byte(&scan, '@') && !scan_while(&scan, CLASS_WORD).length)
		return SIP_REJECT_HEADER_VALUE;
	if (scan.at != scan.end)
		return SIP_REJECT_HEADER_VALUE;
	parse->message->call_id = value;
	return SIP_OK;
}

static enum sip_reject media_type_check(struct sip_parse *parse, struct span value)
{
	struct scan scan = scan_over(value);
	struct span parameters;

	if (!scan_while(&scan, CLASS_TOKEN).length)
		return SIP_REJECT_HEADER_VALUE;
	scan_blanks(&scan);
	if (!scan_byte(&scan, '/'))
		return SIP_REJECT_HEADER_VALUE;
	scan_blanks(&scan);
	if (!scan_while(&scan, CLASS_TOKEN).length || !scan_parameters(&scan, &parameters) || scan.at != scan.end)
		return SIP_REJECT_HEADER_VALUE;
	parse->message->content_type = value;
	return SIP_OK;
}

enum sip_reject sip_value_check(struct sip_parse *parse, unsigned id, struct span value)
{
	switch ((enum sip_header_kind)sip_header_rows[id].kind) {
	case SIP_KIND_NUMBER: return number_check(parse, id, value);
	case SIP_KIND_ADDRESS: return address_check(parse, id, value);
	case SIP_KIND_ADDRESSES: return addresses_check(parse, id, value);
	case SIP_KIND_VIA: return via_check(parse, value);
	case SIP_KIND_CSEQ: return cseq_check(parse, value);
	case SIP_KIND_CALL_ID: return call_id_check(parse, value);
	case SIP_KIND_MEDIA_TYPE: return media_type_check(parse, value);
	case SIP_KIND_RACK: return rack_check(value);
	case SIP_KIND_TEXT:
	case SIP_KIND_TOKENS:
	case SIP_KIND_CREDENTIALS: break; /* read by who wants them; their bytes are checked */
	}
	return SIP_OK;
}

/* The name, blanks and the colon. RFC 3261 section 25.1, HCOLON: SP and HTAB may stand before it, no other byte. */
static bool name_take(struct scan *scan, struct span *name)
{
	*name = scan_while(scan, CLASS_TOKEN);
	if (!name->length)
		return false;
	if (scan_byte(scan, ':'))
		return true;
	scan_blanks(scan);
	return scan_byte(scan, ':');
}

/* Whether the header may stand here; only valid ones are kept. */
static enum sip_reject header_check(struct sip_parse *parse, const struct sip_header *header)
{
	uint64_t bit = 1ull << (header->id & 63);
	enum sip_reject reject;

	if (header->id == SIP_HEADER_OTHER)
		return SIP_OK;
	/* The second of two is ambiguous, whether long or compact, and even if the first was bad. */
	if (sip_header_rows[header->id].flags & SIP_ONCE && parse->values[header->id])
		return SIP_REJECT_HEADER_DUPLICATE;
	if (sip_header_rows[header->id].flags & SIP_ONCE)
		parse->values[header->id] = 1;
	reject = sip_value_check(parse, header->id, header->value);
	if (reject == SIP_OK)
		parse->seen[header->id >> 6] |= bit;
	return reject;
}

/* What a refusal must repeat, though it is malformed (RFC 4475 section 3.1.2.15). Its bytes were checked with its line. */
static void written_keep(struct sip_message *message, const struct sip_header *header)
{
	if (header->id == SIP_HEADER_FROM)
		message->from_written = header->value;
	else if (header->id == SIP_HEADER_TO)
		message->to_written = header->value;
	else if (header->id == SIP_HEADER_CSEQ)
		message->cseq_written = header->value;
}

static enum sip_reject header_take(struct sip_parse *parse, struct sip_header *header)
{
	const char *start = parse->scan.at, *value, *end;
	bool has_name, folded;
	enum sip_reject reject;

	has_name = name_take(&parse->scan, &header->name);
	header->id = (uint16_t)(has_name ? sip_header_find(header->name) : SIP_HEADER_OTHER);
	value = parse->scan.at;
	reject = sip_line_take(parse, &end, &folded);
	if (reject != SIP_OK || !has_name) {
		parse->via_lost |= !has_name || header->id == SIP_HEADER_VIA;
		return reject != SIP_OK ? reject : SIP_REJECT_HEADER;
	}
	header->value = trimmed_between(value, end);
	if ((size_t)(end - start) > parse->limits->line_maximum_bytes)
		reject = SIP_REJECT_LINE_TOO_LONG;
	else
		reject = header_check(parse, header);
	parse->via_lost |= reject != SIP_OK && header->id == SIP_HEADER_VIA;
	if (reject != SIP_OK && reject != SIP_REJECT_HEADER_DUPLICATE && reject != SIP_REJECT_LINE_TOO_LONG)
		written_keep(parse->message, header);
	return reject;
}

void sip_headers_parse(struct sip_parse *parse)
{
	struct sip_message *message = parse->message;
	struct sip_header surplus;
	enum sip_reject reject;

	while (parse->scan.at < parse->scan.end) {
		bool full = message->header_count == parse->capacity;

		reject = header_take(parse, full ? &surplus : &message->headers[message->header_count]);
		if (reject == SIP_OK && full) {
			parse->via_lost |= surplus.id == SIP_HEADER_VIA;
			reject = SIP_REJECT_HEADERS_TOO_MANY;
		}
		if (reject == SIP_OK)
			message->header_count++;
		else
			sip_parse_reject(parse, reject);
	}
}
