/* SPDX-License-Identifier: Apache-2.0
 * Multipart bodies (RFC 2046 section 5.1, RFC 5621): walked strictly and without copying, to find the session description in
 * them. */
#include <errno.h>

#include "sip/sip.h"

#define BOUNDARY_MAXIMUM 70 /* RFC 2046 section 5.1.1 */
#define PARTS_MAXIMUM 16    /* of one level */
#define HEADERS_MAXIMUM 16  /* of one part */
#define DEPTH_MAXIMUM 3

/* Without the parameters. */
static struct span media_type(struct span content_type)
{
	ptrdiff_t end = span_index(content_type, ';');

	return span_trim(end < 0 ? content_type : span_slice(content_type, 0, (size_t)end));
}

static struct span parameters_of(struct span value)
{
	ptrdiff_t semicolon = span_index(value, ';');

	return semicolon < 0 ? SPAN_EMPTY : span_slice(value, (size_t)semicolon, value.length);
}

static bool starts_with_nocase(struct span text, const char *prefix)
{
	struct span start = span_from(prefix);

	return text.length >= start.length && span_equal_nocase(span_slice(text, 0, start.length), start);
}

bool sip_multipart_is(struct span content_type)
{
	return starts_with_nocase(media_type(content_type), "multipart/");
}

/* bchars, of which the last is no blank (RFC 2046 section 5.1.1). */
static bool boundary_is_sound(struct span boundary)
{
	static const char marks[] = "'()+_,-./:=? ";

	if (!boundary.length || boundary.length > BOUNDARY_MAXIMUM || boundary.data[boundary.length - 1] == ' ')
		return false;
	for (size_t i = 0; i < boundary.length; i++) {
		char byte = boundary.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9')) &&
		    span_index(span_from(marks), byte) < 0)
			return false;
	}
	return true;
}

int sip_multipart_begin(struct span content_type, struct span body, struct sip_multipart *walk)
{
	struct span boundary;

	*walk = (struct sip_multipart){.rest = body};
	if (!sip_multipart_is(content_type) || !sip_parameter_get(parameters_of(content_type), "boundary", &boundary))
		return -EINVAL;
	if (boundary.length >= 2 && boundary.data[0] == '"')
		boundary = span_slice(boundary, 1, boundary.length - 2);
	if (!boundary_is_sound(boundary))
		return -EINVAL;
	walk->boundary = boundary;
	return 0;
}

/* The line that begins at `rest`, without its CRLF. False: there is no CRLF. */
static bool line_take(struct span *rest, struct span *line)
{
	for (size_t i = 0; i + 1 < rest->length; i++)
		if (rest->data[i] == '\r' && rest->data[i + 1] == '\n') {
			*line = span_slice(*rest, 0, i);
			*rest = span_slice(*rest, i + 2, rest->length);
			return true;
		}
	return false;
}

enum line_kind { LINE_TEXT, LINE_DELIMITER, LINE_END };

/* "--boundary", or "--boundary--", and blanks behind it: the whole line, so that no longer boundary is taken for this one. */
static enum line_kind line_kind(const struct sip_multipart *walk, struct span line)
{
	struct span after;

	if (!span_starts_with(line, SPAN("--")) || !span_starts_with(span_slice(line, 2, line.length), walk->boundary))
		return LINE_TEXT;
	after = span_slice(line, 2 + walk->boundary.length, line.length);
	if (!span_trim(after).length)
		return LINE_DELIMITER;
	if (span_starts_with(after, SPAN("--")) && !span_trim(span_slice(after, 2, after.length)).length)
		return LINE_END;
	return LINE_TEXT;
}

/* Steps over lines to the next delimiter; *before is what stood before it, without the CRLF that belongs to it. The last one
 * need not end with CRLF. */
static bool delimiter_take(struct sip_multipart *walk, struct span *before, enum line_kind *kind)
{
	const char *start = walk->rest.data;

	while (walk->rest.length) {
		const char *at = walk->rest.data;
		struct span line = walk->rest;
		bool whole = line_take(&walk->rest, &line);

		*kind = line_kind(walk, line);
		if (*kind == LINE_END || (*kind == LINE_DELIMITER && whole)) {
			size_t length = (size_t)(at - start);

			*before = (struct span){start, length >= 2 ? length - 2 : 0};
			if (!whole)
				walk->rest = SPAN_EMPTY;
			return true;
		}
		if (!whole)
			break;
	}
	return false;
}

static bool header_take(struct span line, struct sip_part *part)
{
	static const char *const names[] = {"Content-Type", "Content-Disposition", "Content-Transfer-Encoding"};
	struct span *const values[] = {&part->content_type, &part->disposition, &part->encoding};
	ptrdiff_t colon = span_index(line, ':');
	struct span name, value;

	if (colon <= 0 || line.data[0] == ' ' || line.data[0] == '\t')
		return false; /* no header; or a folded one, which none of those needed here has to be */
	name = span_trim(span_slice(line, 0, (size_t)colon));
	value = span_trim(span_slice(line, (size_t)colon + 1, line.length));
	for (size_t i = 0; i < value.length; i++)
		if ((unsigned char)value.data[i] < ' ' && value.data[i] != '\t')
			return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(name, names[i])) {
			if (values[i]->data)
				return false; /* ambiguous */
			*values[i] = value;
		}
	return true;
}

static bool headers_take(struct span text, struct sip_part *part)
{
	struct span line;

	for (unsigned count = 0; count <= HEADERS_MAXIMUM; count++) {
		if (!line_take(&text, &line))
			return false; /* a part without the empty line */
		if (!line.length) {
			part->body = text;
			return true;
		}
		if (!header_take(line, part))
			return false;
	}
	return false;
}

int sip_multipart_next(struct sip_multipart *walk, struct sip_part *part)
{
	struct span text;
	enum line_kind kind;

	*part = (struct sip_part){0};
	if (walk->ended)
		return 0;
	if (!walk->begun) { /* the preamble is nobody's */
		if (!delimiter_take(walk, &text, &kind) || kind == LINE_END)
			return -EINVAL;
		walk->begun = true;
	}
	if (++walk->parts > PARTS_MAXIMUM)
		return -E2BIG;
	if (!walk->rest.length || !delimiter_take(walk, &text, &kind))
		return -EINVAL; /* no closing delimiter: the body was cut */
	walk->ended = kind == LINE_END;
	/* What stood before the delimiter lost its CRLF, which may be the one that ends the headers. */
	text.length += 2;
	if (!headers_take(text, part))
		return -EINVAL;
	part->body.length = part->body.length >= 2 ? part->body.length - 2 : 0;
	return 1;
}

/* ---- The session description ------------------------------------------------------------- */

struct search {
	struct sip_part found;
	unsigned count;
	bool required; /* a part that is not understood must be (RFC 5621 section 3.2) */
};

static bool is_plain(struct span encoding)
{
	return !encoding.length || span_is(encoding, "binary") || span_is(encoding, "8bit") ||
	       span_is(encoding, "7bit");
}

static bool is_required(struct span disposition)
{
	struct span handling;

	return sip_parameter_get(parameters_of(disposition), "handling", &handling) && span_is(handling, "required");
}

static int search(struct search *search_, struct span content_type, struct span body, unsigned depth)
{
	bool alternative = span_is(media_type(content_type), "multipart/alternative");
	struct search inner = {0};
	struct sip_multipart walk;
	struct sip_part part;
	int result;

	if (depth > DEPTH_MAXIMUM)
		return -E2BIG;
	result = sip_multipart_begin(content_type, body, &walk);
	while (!result && (result = sip_multipart_next(&walk, &part)) > 0) {
		result = 0;
		if (sip_multipart_is(part.content_type) && is_plain(part.encoding)) {
			result = search(&inner, part.content_type, part.body, depth + 1);
		} else if (span_is(media_type(part.content_type), "application/sdp") && is_plain(part.encoding)) {
			inner.found = part;
			inner.count = alternative ? 1 : inner.count + 1; /* the last of them is the best */
		} else {
			inner.required |= !alternative && is_required(part.disposition);
		}
	}
	if (inner.count) {
		search_->found = inner.found;
		search_->count += inner.count;
	}
	search_->required |= inner.required;
	return result;
}

int sip_multipart_description(struct span content_type, struct span body, struct sip_part *part)
{
	struct search whole = {0};
	int result = search(&whole, content_type, body, 1);

	*part = (struct sip_part){0};
	if (result)
		return -EINVAL;
	if (whole.required || whole.count > 1)
		return -ENOTSUP;
	*part = whole.found;
	return 0;
}
