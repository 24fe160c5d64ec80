/* SPDX-License-Identifier: Apache-2.0
 * See shorten.h. */
#include "transport/shorten.h"

/* What RFC 3261 section 8.2.6.2 makes every answer carry, challenges, and what says how to ask again. */
static const struct span kept[] = {
	SPAN_INIT("Via"),
	SPAN_INIT("From"),
	SPAN_INIT("To"),
	SPAN_INIT("Call-ID"),
	SPAN_INIT("CSeq"),
	SPAN_INIT("WWW-Authenticate"),
	SPAN_INIT("Proxy-Authenticate"),
	SPAN_INIT("Unsupported"), /* 420 */
	SPAN_INIT("Min-SE"),      /* 422 */
	SPAN_INIT("Min-Expires"), /* 423 */
	SPAN_INIT("Retry-After"),
};

bool answer_is(struct span message)
{
	return span_starts_with(message, SPAN("SIP/2.0 "));
}

/* The next line, which ends with CRLF: what we write is never folded. */
static bool line_take(struct span *rest, struct span *line)
{
	ptrdiff_t end = span_index(*rest, '\n');

	if (end < 1)
		return false;
	*line = span_slice(*rest, 0, (size_t)end + 1);
	*rest = span_slice(*rest, (size_t)end + 1, rest->length);
	return true;
}

static bool is_kept(struct span line)
{
	ptrdiff_t colon = span_index(line, ':');
	struct span name = span_slice(line, 0, colon < 0 ? 0 : (size_t)colon);

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (span_equal_nocase(name, kept[i]))
			return true;
	return false;
}

/* Refusals; and 200 to OPTIONS, which says by itself that somebody is there. */
static bool has_short_form(struct span answer)
{
	struct span status = span_slice(answer, 8, 3), line;

	if (status.length < 3 || status.data[0] >= '4')
		return status.length == 3;
	if (status.data[0] != '2')
		return false;
	while (line_take(&answer, &line) && line.length > 2)
		if (span_starts_with(line, SPAN("CSeq:")))
			return span_equal(span_slice(line, line.length - 10, 10), SPAN(" OPTIONS\r\n"));
	return false;
}

bool answer_shorten(struct span answer, struct buffer *out)
{
	struct span line;

	if (!answer_is(answer) || !has_short_form(answer) || !line_take(&answer, &line))
		return false;
	buffer_put_span(out, line);
	while (line_take(&answer, &line) && line.length > 2)
		if (is_kept(line))
			buffer_put_span(out, line);
	buffer_put_text(out, "Content-Length: 0\r\n\r\n");
	return !out->overflow;
}
