/* SPDX-License-Identifier: Apache-2.0
 * Writing messages. What would break a line or end a text is refused by setting overflow, so that nothing
 * which came from one side can add a header on the other. */
#include <string.h>

#include "sip/header.h"
#include "sip/scan.h"

/* Whether it can stand in a line: no CR, LF or NUL. Other controls were refused when parsing. */
static bool text_is_safe(struct span text)
{
	const char *at = text.length ? text.data : "", *end = at + text.length;

	while (at < end) {
		at = scan_printable(at, end);
		if (at == end)
			break;
		if (*at == '\r' || *at == '\n' || *at == '\0')
			return false;
		at++;
	}
	return true;
}

static bool token_is_valid(struct span text)
{
	struct scan scan = scan_over(text);

	return scan_while(&scan, CLASS_TOKEN).length && scan.at == scan.end;
}

static void put_safe(struct buffer *out, struct span text)
{
	if (text_is_safe(text))
		buffer_put_span(out, text);
	else
		out->overflow = true;
}

static void put_name(struct buffer *out, enum sip_header_id id)
{
	if (id >= SIP_HEADER_OTHER) {
		out->overflow = true;
		return;
	}
	buffer_put_span(out, sip_header_rows[id].name);
	buffer_put(out, ": ", 2);
}

void sip_write_request_line(struct buffer *out, struct span method, struct span uri)
{
	if (!token_is_valid(method) || !uri.length || memchr(uri.data, ' ', uri.length) ||
	    memchr(uri.data, '\t', uri.length)) {
		out->overflow = true;
		return;
	}
	buffer_put_span(out, method);
	buffer_put_byte(out, ' ');
	put_safe(out, uri);
	buffer_put(out, " SIP/2.0\r\n", 10);
}

void sip_write_status_line(struct buffer *out, uint16_t status, struct span reason)
{
	if (status < 100 || status > 699) {
		out->overflow = true;
		return;
	}
	buffer_put(out, "SIP/2.0 ", 8);
	buffer_put_uint(out, status);
	buffer_put_byte(out, ' ');
	put_safe(out, reason.length ? reason : span_from(sip_reason_phrase(status)));
	buffer_put(out, "\r\n", 2);
}

void sip_write_header(struct buffer *out, enum sip_header_id id, struct span value)
{
	put_name(out, id);
	put_safe(out, value);
	buffer_put(out, "\r\n", 2);
}

void sip_write_header_named(struct buffer *out, struct span name, struct span value)
{
	if (!token_is_valid(name)) {
		out->overflow = true;
		return;
	}
	buffer_put_span(out, name);
	buffer_put(out, ": ", 2);
	put_safe(out, value);
	buffer_put(out, "\r\n", 2);
}

void sip_write_header_number(struct buffer *out, enum sip_header_id id, uint32_t value)
{
	put_name(out, id);
	buffer_put_uint(out, value);
	buffer_put(out, "\r\n", 2);
}

void sip_write_header_pieces(struct buffer *out, enum sip_header_id id, const struct span *pieces, size_t count)
{
	put_name(out, id);
	for (size_t i = 0; i < count; i++)
		put_safe(out, pieces[i]);
	buffer_put(out, "\r\n", 2);
}

void sip_write_quoted(struct buffer *out, struct span text)
{
	const char *at = text.data, *end = text.data + text.length;

	if (!text_is_safe(text)) {
		out->overflow = true;
		return;
	}
	buffer_put_byte(out, '"');
	for (; at < end; at++) {
		if (*at == '"' || *at == '\\')
			buffer_put_byte(out, '\\');
		buffer_put_byte(out, *at);
	}
	buffer_put_byte(out, '"');
}

void sip_write_address(struct buffer *out, enum sip_header_id id, struct span display, struct span uri,
		       struct span parameters, struct span tag)
{
	if (!uri.length || memchr(uri.data, '>', uri.length) || (tag.length && !token_is_valid(tag))) {
		out->overflow = true;
		return;
	}
	put_name(out, id);
	if (display.length) {
		put_safe(out, display);
		buffer_put_byte(out, ' ');
	}
	buffer_put_byte(out, '<');
	put_safe(out, uri);
	buffer_put_byte(out, '>');
	put_safe(out, parameters);
	if (tag.length) {
		buffer_put(out, ";tag=", 5);
		buffer_put_span(out, tag);
	}
	buffer_put(out, "\r\n", 2);
}

void sip_write_body(struct buffer *out, struct span content_type, struct span body)
{
	if (content_type.length)
		sip_write_header(out, SIP_HEADER_CONTENT_TYPE, content_type);
	sip_write_header_number(out, SIP_HEADER_CONTENT_LENGTH, (uint32_t)body.length);
	buffer_put(out, "\r\n", 2);
	buffer_put_span(out, body);
}
