/* SPDX-License-Identifier: Apache-2.0
 * Which bodies are taken as what, and multipart bodies (RFC 2387, RFC 4662 section 5) part by part. */
#include "call/body.h"

#include <string.h>

#include "sip/sip.h"

static int any_write(const struct body_rules *rules, struct span content_type, struct span body, unsigned nesting,
		     struct buffer *type_out, struct buffer *out);

struct span body_type(struct span content_type)
{
	ptrdiff_t end = span_index(content_type, ';');

	return span_trim(end < 0 ? content_type : span_slice(content_type, 0, (size_t)end));
}

static struct span parameters_of(struct span content_type)
{
	ptrdiff_t end = span_index(content_type, ';');

	return end < 0 ? SPAN_EMPTY : span_slice(content_type, (size_t)end, content_type.length);
}

static struct span unquoted(struct span value)
{
	return value.length >= 2 && value.data[0] == '"' ? span_slice(value, 1, value.length - 2) : value;
}

/* Length of the well-formed UTF-8 sequence at `text` (RFC 3629); 0: none, or a control character. */
static size_t character_length(struct span text)
{
	const unsigned char *bytes = (const unsigned char *)text.data;
	size_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000}, code;

	if (length == 1)
		return (bytes[0] >= ' ' && bytes[0] != 0x7f) || bytes[0] == '\t' || bytes[0] == '\r' ||
		       bytes[0] == '\n';
	if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || length > text.length)
		return 0;
	code = bytes[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < lowest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ||
	    (code >= 0x80 && code < 0xa0))
		return 0;
	return length;
}

static bool is_text(struct span body)
{
	while (body.length) {
		size_t length = character_length(body);

		if (!length)
			return false;
		body = span_slice(body, length, body.length);
	}
	return true;
}

static bool is_xml(struct span type)
{
	return type.length > 4 && span_is(span_slice(type, type.length - 4, 4), "+xml");
}

static bool is_multipart(struct span type)
{
	return type.length > 10 && span_is(span_slice(type, 0, 10), "multipart/");
}

/* ---- Multipart ---- */

/* RFC 2046 section 5.1.1. */
static bool boundary_is_sound(struct span boundary)
{
	static const char marks[] = "'()+_,-./:=? ";

	for (size_t i = 0; i < boundary.length; i++) {
		char byte = boundary.data[i];

		if (!((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
		      (byte && strchr(marks, byte))))
			return false;
	}
	return boundary.length && boundary.length <= 70 && boundary.data[boundary.length - 1] != ' ';
}

/* The next line that is "--boundary" or "--boundary--": *before is what stands before it, without its line end, which
 * belongs to the boundary. False: there is none. */
static bool boundary_take(struct span *rest, struct span boundary, struct span *before, bool *last)
{
	for (size_t i = 0; i + 2 + boundary.length <= rest->length; i++) {
		struct span at = span_slice(*rest, i, rest->length);

		if ((i && rest->data[i - 1] != '\n') || at.data[0] != '-' || at.data[1] != '-' ||
		    !span_starts_with(span_slice(at, 2, at.length), boundary))
			continue;
		*last = span_starts_with(span_slice(at, 2 + boundary.length, at.length), SPAN("--"));
		/* A longer boundary, of a multipart within, may begin like this one. */
		if (!*last && at.length > 2 + boundary.length && !memchr(" \t\r\n", at.data[2 + boundary.length], 4))
			continue;
		*before = span_slice(*rest, 0, i >= 2 && rest->data[i - 2] == '\r' ? i - 2 : i ? i - 1 : 0);
		*rest = span_slice(at, 2 + boundary.length, at.length);
		return true;
	}
	return false;
}

static bool line_take(struct span *rest, struct span *line)
{
	ptrdiff_t end = span_index(*rest, '\n');

	if (end < 0)
		return false;
	*line = span_slice(*rest, 0, (size_t)end);
	if (line->length && line->data[line->length - 1] == '\r')
		line->length--;
	*rest = span_slice(*rest, (size_t)end + 1, rest->length);
	return true;
}

#define PART_HEAD 64 /* at least the fixed text of a part's own head */

struct part {
	struct span type, id;
};

/* The lines up to the empty one (RFC 2045): what is known is kept, the rest left out. 0, 400 or 415. */
static int part_read(struct span *rest, struct part *part)
{
	struct span line;

	*part = (struct part){SPAN_EMPTY, SPAN_EMPTY};
	while (line_take(rest, &line)) {
		ptrdiff_t colon = span_index(line, ':');
		struct span name, value;

		if (!line.length)
			return part->type.length ? 0 : 415;
		if (colon <= 0)
			return 400; /* folded ones among them: nobody folds so short a line */
		name = span_trim(span_slice(line, 0, (size_t)colon));
		value = span_trim(span_slice(line, (size_t)colon + 1, line.length));
		if (span_is(name, "Content-Type"))
			part->type = value;
		else if (span_is(name, "Content-ID"))
			part->id = value;
		else if (span_is(name, "Content-Transfer-Encoding") && !span_is(value, "binary") &&
			 !span_is(value, "8bit") && !span_is(value, "7bit"))
			return 415;
	}
	return 400;
}

static void id_write(const struct body_rules *rules, struct span id, struct buffer *out)
{
	if (id.length < 2 || id.data[0] != '<' || id.data[id.length - 1] != '>' || span_index(id, '"') >= 0)
		return;
	buffer_put_byte(out, '<');
	body_content_id_write(rules, span_slice(id, 1, id.length - 2), out);
	buffer_put_byte(out, '>');
}

static int part_write(const struct body_rules *rules, struct span text, unsigned nesting, struct buffer *out)
{
	char type_text[BODY_TYPE_CAPACITY];
	struct buffer type = BUFFER_OVER(type_text);
	struct buffer content;
	struct part part;
	int status = part_read(&text, &part);

	if (status)
		return status;
	if (!rules->type_allowed(rules->context, body_type(part.type)))
		return 415;
	if (part.id.length) {
		buffer_put_text(out, "Content-ID: ");
		id_write(rules, part.id, out);
		buffer_put_text(out, "\r\n");
	}
	/* The type of a multipart comes from what it holds: written behind where it will stand, then moved there. */
	if (out->overflow || out->length + BODY_TYPE_CAPACITY + PART_HEAD > out->capacity)
		return 513;
	content = buffer_over(out->data + out->length + BODY_TYPE_CAPACITY + PART_HEAD,
			      out->capacity - out->length - BODY_TYPE_CAPACITY - PART_HEAD);
	status = any_write(rules, part.type, text, nesting, &type, &content);
	if (status)
		return status;
	buffer_put_text(out, "Content-Transfer-Encoding: binary\r\nContent-Type: ");
	buffer_put_span(out, buffer_span(&type));
	buffer_put_text(out, "\r\n\r\n");
	memmove(out->data + out->length, content.data, content.length);
	out->length += content.length;
	return 0;
}

static void multipart_type_write(const struct body_rules *rules, struct span content_type, struct span boundary,
				 struct buffer *out)
{
	struct span parameters = parameters_of(content_type), value;

	buffer_put_span(out, body_type(content_type));
	if (sip_parameter_get(parameters, "type", &value) && rules->type_allowed(rules->context, unquoted(value)))
		buffer_printf(out, ";type=\"%.*s\"", SPAN_PRINT(unquoted(value)));
	if (sip_parameter_get(parameters, "start", &value)) {
		buffer_put_text(out, ";start=\"");
		id_write(rules, unquoted(value), out);
		buffer_put_byte(out, '"');
	}
	buffer_printf(out, ";boundary=\"%.*s\"", SPAN_PRINT(boundary));
}

static int multipart_write(const struct body_rules *rules, struct span content_type, struct span body, unsigned nesting,
			   struct buffer *type_out, struct buffer *out)
{
	struct span value, boundary, part;
	bool last = false;
	int status = 0;

	if (nesting == BODY_NESTING_MAXIMUM)
		return 415;
	if (!sip_parameter_get(parameters_of(content_type), "boundary", &value))
		return 400;
	boundary = unquoted(value);
	if (!boundary_is_sound(boundary) || !boundary_take(&body, boundary, &part, &last))
		return 400;
	multipart_type_write(rules, content_type, boundary, type_out);
	for (unsigned count = 0; !last && !status; count++) {
		struct span rest_of_line;

		if (count == BODY_PARTS_MAXIMUM)
			return 513;
		if (!line_take(&body, &rest_of_line) || span_trim(rest_of_line).length ||
		    !boundary_take(&body, boundary, &part, &last))
			return 400;
		buffer_printf(out, "--%.*s\r\n", SPAN_PRINT(boundary));
		status = part_write(rules, part, nesting + 1, out);
		buffer_put_text(out, "\r\n");
	}
	buffer_printf(out, "--%.*s--\r\n", SPAN_PRINT(boundary));
	return status;
}

/* ---- All ---- */

static int any_write(const struct body_rules *rules, struct span content_type, struct span body, unsigned nesting,
		     struct buffer *type_out, struct buffer *out)
{
	struct span type = body_type(content_type), charset;
	int status = 0;

	if (is_multipart(type)) {
		status = multipart_write(rules, content_type, body, nesting, type_out, out);
	} else {
		buffer_put_span(type_out, type);
		if (sip_parameter_get(parameters_of(content_type), "charset", &charset) &&
		    span_is(unquoted(charset), "utf-8"))
			buffer_put_text(type_out, ";charset=utf-8");
		if (is_xml(type))
			status = body_xml_write(rules, body, out);
		else if (span_is(type, "text/plain"))
			buffer_put_span(out, body); /* what people write to each other */
		else
			body_text_write(rules, body, out);
	}
	if (!status && (out->overflow || type_out->overflow))
		status = 513;
	return status;
}

int body_rewrite(const struct body_rules *rules, struct span content_type, struct span body, struct buffer *type_out,
		 struct buffer *out)
{
	return is_text(body) ? any_write(rules, content_type, body, 0, type_out, out) : 400;
}
