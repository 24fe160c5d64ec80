/* SPDX-License-Identifier: Apache-2.0
 * Messages: framing, the start line, and what must hold between the parts. RFC 3261 sections 7, 18.3 and 25.1. */
#include "sip/message.h"

#include <string.h>

#include "sip/header.h"

#define VERSION_LENGTH 7 /* "SIP/2.0" */

/* A header may be folded, but not so often that looking for the section's end, at each piece of a stream again,
 * becomes work. */
#define LINES_PER_HEADER 8

/* Whether the message's end can still be trusted after this reject. */
static bool framing_is_sound(enum sip_reject reject)
{
	switch (reject) {
	case SIP_REJECT_BYTE:
	case SIP_REJECT_HEADER:
	case SIP_REJECT_HEADER_DUPLICATE:
	case SIP_REJECT_HEADERS_TOO_MANY:
	case SIP_REJECT_LINE_TOO_LONG:
	case SIP_REJECT_TOO_LARGE:
	case SIP_REJECT_CONTENT_LENGTH:
	case SIP_REJECT_MEMORY: return false;
	default: return true;
	}
}

void sip_parse_reject(struct sip_parse *parse, enum sip_reject reject)
{
	if (parse->reject == SIP_OK)
		parse->reject = reject;
	parse->framing_lost |= !framing_is_sound(reject);
}

/* "SIP/" 1*DIGIT "." 1*DIGIT, in either case; anything else is no version at all. */
static enum sip_reject version_check(struct span text)
{
	struct scan scan = scan_over(text);

	if (text.length == VERSION_LENGTH && memcmp(text.data, "SIP/2.0", VERSION_LENGTH) == 0)
		return SIP_OK;
	if (text.length < 4 || !span_equal_nocase(span_slice(text, 0, 4), SPAN("SIP/")))
		return SIP_REJECT_START_LINE;
	scan.at += 4;
	if (!scan_while(&scan, CLASS_DIGIT).length || !scan_byte(&scan, '.') ||
	    !scan_while(&scan, CLASS_DIGIT).length || scan.at != scan.end)
		return SIP_REJECT_START_LINE;
	return span_equal_nocase(text, SPAN("SIP/2.0")) ? SIP_OK : SIP_REJECT_VERSION;
}

/* "SIP/2.0 200 OK". The reason may be empty, the blank before it not. Three digits, so that no large number
 * wraps into a valid one (RFC 4475 section 3.1.2.19). */
static enum sip_reject status_line_parse(struct sip_message *message, struct span line)
{
	ptrdiff_t space = span_index(line, ' ');
	enum sip_reject reject = version_check(span_slice(line, 0, (size_t)space));
	struct span rest = span_slice(line, (size_t)space + 1, SIZE_MAX);

	if (reject != SIP_OK)
		return reject;
	if (rest.length < 4 || rest.data[3] != ' ' || rest.data[0] < '1' || rest.data[0] > '6' ||
	    !byte_is(rest.data[1], CLASS_DIGIT) || !byte_is(rest.data[2], CLASS_DIGIT))
		return SIP_REJECT_START_LINE;
	message->status = (uint16_t)((rest.data[0] - '0') * 100 + (rest.data[1] - '0') * 10 + (rest.data[2] - '0'));
	message->reason = span_slice(rest, 4, SIZE_MAX);
	return SIP_OK;
}

/* "INVITE sip:bob@example.com SIP/2.0", with exactly two blanks. */
static enum sip_reject request_line_parse(struct sip_message *message, struct span line)
{
	struct scan scan = scan_over(line);
	struct span uri;
	const char *space;
	enum sip_reject reject;

	message->is_request = true;
	message->method_text = scan_while(&scan, CLASS_TOKEN);
	message->method = sip_method_parse(message->method_text);
	if (!scan_byte(&scan, ' '))
		return SIP_REJECT_START_LINE;
	space = memchr(scan.at, ' ', (size_t)(scan.end - scan.at));
	if (!space)
		return SIP_REJECT_START_LINE;
	uri = span_between(scan.at, space);
	reject = version_check(span_between(space + 1, scan.end));
	if (reject != SIP_OK)
		return reject;
	reject = sip_uri_parse(uri, &message->request_uri);
	/* Headers in a Request-URI would become headers of the request: RFC 3261 section 19.1.1 forbids them. */
	if (reject == SIP_OK && message->request_uri.headers.data)
		reject = SIP_REJECT_URI;
	if (reject != SIP_OK)
		memset(&message->request_uri, 0, sizeof(message->request_uri));
	return reject;
}

static bool line_is_response(struct span line)
{
	ptrdiff_t space = span_index(line, ' ');

	return line.length > 4 && space > 4 && memchr(line.data, '/', (size_t)space) &&
	       span_equal_nocase(span_slice(line, 0, 4), SPAN("SIP/"));
}

static void start_line_parse(struct sip_parse *parse)
{
	const char *start = parse->scan.at, *end;
	enum sip_reject reject;
	struct span line;
	bool folded;

	reject = sip_line_take(parse, &end, &folded);
	if (reject == SIP_OK) {
		line = span_between(start, end);
		if (line.length > parse->limits->line_maximum_bytes)
			reject = SIP_REJECT_LINE_TOO_LONG;
		else if (folded)
			reject = SIP_REJECT_START_LINE;
		else if (line_is_response(line))
			reject = status_line_parse(parse->message, line);
		else
			reject = request_line_parse(parse->message, line);
	}
	if (reject != SIP_OK)
		sip_parse_reject(parse, reject);
}

/* Whether the first line is that of a SIP message, if perhaps of a bad one: it names the protocol. */
static bool line_is_sip(struct span line)
{
	if (!line.length || !byte_is(*line.data, CLASS_TOKEN))
		return false;
	while (line.length >= 4) {
		const char *slash = memchr(line.data + 3, '/', line.length - 3);

		if (!slash)
			return false;
		if (span_equal_nocase(span_between(slash - 3, slash), SPAN("SIP")))
			return true;
		line = span_between(slash - 2, line.data + line.length);
	}
	return false;
}

/* Whether more bytes of a stream are needed before the message can be parsed, or too many have come already. Parsing
 * waits for the whole message, so that one sent byte by byte costs little more than one sent at once. */
static enum sip_reject stream_check(struct span bytes, const struct sip_section *section,
				    const struct sip_limits *limits)
{
	size_t length;
	int64_t body;

	if (section->line_longest > limits->line_maximum_bytes && !section->end)
		return SIP_REJECT_LINE_TOO_LONG;
	if (!section->end)
		return bytes.length > limits->message_maximum_bytes ? SIP_REJECT_TOO_LARGE : SIP_NEED_MORE;
	length = (size_t)(section->end - bytes.data);
	body = sip_section_content_length(span_between(bytes.data, section->end));
	if (body > limits->body_maximum_bytes || length + 2 > limits->message_maximum_bytes)
		return SIP_OK; /* the parser says what is wrong */
	return body > (int64_t)(bytes.length - length - 2) ? SIP_NEED_MORE : SIP_OK;
}

static enum sip_reject body_find_datagram(struct sip_parse *parse, struct span rest)
{
	struct sip_message *message = parse->message;

	if (parse->content_length > (int64_t)rest.length)
		return SIP_REJECT_CONTENT_LENGTH;
	if (parse->content_length >= 0)
		rest.length = (size_t)parse->content_length; /* the surplus is not ours: RFC 3261 section 18.3 */
	if (rest.length > parse->limits->body_maximum_bytes)
		return SIP_REJECT_TOO_LARGE;
	message->body = rest;
	return SIP_OK;
}

static enum sip_reject body_find_stream(struct sip_parse *parse, struct span rest)
{
	if (parse->content_length < 0)
		return SIP_REJECT_CONTENT_LENGTH;
	if (parse->content_length > parse->limits->body_maximum_bytes)
		return SIP_REJECT_TOO_LARGE;
	/* Only after a first Content-Length that the second contradicts, for stream_check had seen a lone one. */
	if (parse->content_length > (int64_t)rest.length)
		return SIP_REJECT_CONTENT_LENGTH;
	parse->message->body = span_slice(rest, 0, (size_t)parse->content_length);
	return SIP_OK;
}

static void body_find(struct sip_parse *parse, struct span bytes, const struct sip_section *section, bool is_stream)
{
	struct sip_message *message = parse->message;
	struct span rest;
	enum sip_reject reject;

	message->bytes = bytes;
	if (!section->end) {
		sip_parse_reject(parse, SIP_REJECT_HEADER);
		return;
	}
	rest = span_between(section->end + 2, bytes.data + bytes.length);
	reject = is_stream ? body_find_stream(parse, rest) : body_find_datagram(parse, rest);
	if (reject != SIP_OK) {
		sip_parse_reject(parse, reject);
		return;
	}
	message->bytes.length = (size_t)(section->end + 2 - bytes.data) + message->body.length;
	if (message->bytes.length > parse->limits->message_maximum_bytes)
		sip_parse_reject(parse, SIP_REJECT_TOO_LARGE);
}

/* One bit a header, in words of 64. */
#define MANDATORY_BIT(id, flags, word) \
	(((flags)&SIP_MANDATORY) && SIP_HEADER_##id / 64 == (word) ? 1ull << (SIP_HEADER_##id & 63) : 0)
static const uint64_t mandatory[2] = {
#define X(id, name, compact, kind, flags) | MANDATORY_BIT(id, flags, 0)
	0 SIP_HEADERS(X),
#undef X
#define X(id, name, compact, kind, flags) | MANDATORY_BIT(id, flags, 1)
	0 SIP_HEADERS(X),
#undef X
};

static void mandatory_check(struct sip_parse *parse)
{
	if ((parse->seen[0] & mandatory[0]) != mandatory[0] || (parse->seen[1] & mandatory[1]) != mandatory[1])
		sip_parse_reject(parse, SIP_REJECT_HEADER_MISSING);
}

/* What holds between headers and start line. */
static void whole_check(struct sip_parse *parse)
{
	struct sip_message *message = parse->message;

	mandatory_check(parse);
	if (parse->via_lost)
		memset(&message->via, 0, sizeof(message->via));
	if (parse->contact_star && (message->method != SIP_REGISTER || parse->values[SIP_HEADER_CONTACT] != 1))
		sip_parse_reject(parse, SIP_REJECT_HEADER_VALUE);
}

static bool headers_allocate(struct sip_parse *parse, struct arena *arena, uint32_t lines)
{
	uint32_t count = lines < parse->limits->headers_maximum ? lines : parse->limits->headers_maximum;

	parse->message->headers = arena_alloc(arena, (size_t)count * sizeof(struct sip_header));
	parse->capacity = (uint16_t)count;
	return parse->message->headers;
}

static enum sip_reject section_parse(struct sip_parse *parse, struct span bytes, bool is_stream, struct arena *arena,
				     const struct sip_section *section)
{
	if (!headers_allocate(parse, arena, section->lines)) {
		sip_parse_reject(parse, SIP_REJECT_MEMORY);
		return SIP_REJECT_MEMORY;
	}
	parse->scan = (struct scan){bytes.data, section->end ? section->end : bytes.data + bytes.length};
	start_line_parse(parse);
	sip_headers_parse(parse);
	body_find(parse, bytes, section, is_stream);
	whole_check(parse);
	return parse->reject;
}

/* Leading CRLFs of a stream are keep-alives or leftovers: RFC 3261 section 7.5, RFC 5626 section 3.5.1. */
static size_t leading_skip(struct span bytes)
{
	size_t skipped = 0;

	while (bytes.length - skipped >= 2 && bytes.data[skipped] == '\r' && bytes.data[skipped + 1] == '\n')
		skipped += 2;
	return skipped;
}

/* What can be said before a line is read. */
static enum sip_reject frame_check(struct span bytes, bool is_stream, const struct sip_limits *limits,
				   struct sip_section *section)
{
	if (!bytes.length || (is_stream && bytes.length == 1 && *bytes.data == '\r'))
		return is_stream ? SIP_NEED_MORE : SIP_REJECT_NOT_SIP;
	sip_section_find(bytes, limits->headers_maximum * LINES_PER_HEADER, section);
	if (!byte_is(*bytes.data, CLASS_TOKEN) || (!section->first_length && !is_stream))
		return SIP_REJECT_NOT_SIP;
	if (section->first_length && !line_is_sip(span_slice(bytes, 0, section->first_length)))
		return SIP_REJECT_NOT_SIP;
	if (section->too_many)
		return SIP_REJECT_HEADERS_TOO_MANY;
	return is_stream ? stream_check(bytes, section, limits) : SIP_OK;
}

enum sip_reject sip_message_parse(struct span bytes, bool is_stream, const struct sip_limits *limits,
				  struct arena *arena, struct sip_message *message, size_t *consumed_bytes)
{
	struct sip_parse parse = {.limits = limits, .message = message, .content_length = -1};
	struct sip_section section;
	enum sip_reject reject;
	size_t skipped = 0;

	memset(message, 0, sizeof(*message));
	message->max_forwards = -1;
	*consumed_bytes = 0;
	if (is_stream)
		skipped = *consumed_bytes = leading_skip(bytes);
	bytes = span_slice(bytes, skipped, SIZE_MAX);
	reject = frame_check(bytes, is_stream, limits, &section);
	if (reject == SIP_NEED_MORE)
		return reject;
	*consumed_bytes = skipped + bytes.length;
	if (reject != SIP_OK)
		return reject;
	reject = section_parse(&parse, bytes, is_stream, arena, &section);
	if (!parse.framing_lost)
		*consumed_bytes = skipped + message->bytes.length;
	return reject;
}

const struct sip_header *sip_message_header(const struct sip_message *message, enum sip_header_id id)
{
	for (unsigned i = 0; i < message->header_count; i++) {
		if (message->headers[i].id == id)
			return &message->headers[i];
	}
	return NULL;
}

const struct sip_header *sip_message_header_next(const struct sip_message *message, const struct sip_header *header)
{
	const struct sip_header *end = message->headers + message->header_count;

	for (const struct sip_header *next = header + 1; next < end; next++) {
		if (next->id == header->id)
			return next;
	}
	return NULL;
}

bool sip_message_has_token(const struct sip_message *message, enum sip_header_id id, const char *token)
{
	struct span rest, element;

	for (const struct sip_header *header = sip_message_header(message, id); header;
	     header = sip_message_header_next(message, header)) {
		rest = header->value;
		while (sip_list_next(&rest, &element)) {
			struct scan scan = scan_over(element);

			if (span_is(scan_while(&scan, CLASS_TOKEN), token))
				return true;
		}
	}
	return false;
}

bool sip_message_is_answerable(const struct sip_message *message)
{
	return message->is_request && message->method != SIP_ACK && message->via.text.length &&
	       (message->from.text.length || message->from_written.length) &&
	       (message->to.text.length || message->to_written.length) && message->call_id.length &&
	       (sip_message_header(message, SIP_HEADER_CSEQ) || message->cseq_written.length);
}
