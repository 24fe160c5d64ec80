/* SPDX-License-Identifier: Apache-2.0
 * What may cross in a= lines: the table of attributes.h at work. */
#include "sdp/attributes.h"

#include <errno.h>
#include <string.h>

enum cross { CROSS_NEVER, CROSS_RTP, CROSS_T38 };

enum form {
	FORM_ANY,
	FORM_FLAG,
	FORM_NUMBER,
	FORM_FLAG_OR_NUMBER,
	FORM_TIME,
	FORM_WORDS,
	FORM_RTPMAP,
	FORM_FORMAT,
	FORM_FEEDBACK,
};

static const struct row {
	struct span name;
	enum cross cross;
	enum form form;
} rows[ROW_COUNT] = {
#define X(row, name, cross, form, why) {SPAN_INIT(name), cross, form},
	SDP_ATTRIBUTES(X)
#undef X
};

enum sdp_attribute_row sdp_attribute_find(struct span name)
{
	for (int row = 1; row < ROW_COUNT; row++)
		if (rows[row].name.length == name.length && memcmp(rows[row].name.data, name.data, name.length) == 0)
			return (enum sdp_attribute_row)row;
	return ROW_UNKNOWN;
}

static const char *const protocol_texts[] = {
	"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "udptl",
};

const char *sdp_protocol_text(enum sdp_protocol protocol)
{
	return protocol < SDP_PROTOCOL_OTHER ? protocol_texts[protocol] : "";
}

enum sdp_protocol sdp_protocol_offer(enum sdp_protocol protocol, enum sdp_keying keying)
{
	static const enum sdp_protocol profiles[][2] = {
		[SDP_KEYING_NONE] = {SDP_RTP_AVP, SDP_RTP_AVPF},
		[SDP_KEYING_SDES] = {SDP_RTP_SAVP, SDP_RTP_SAVPF},
		[SDP_KEYING_DTLS] = {SDP_UDP_TLS_RTP_SAVP, SDP_UDP_TLS_RTP_SAVPF},
	};
	bool feedback = protocol == SDP_RTP_AVPF || protocol == SDP_RTP_SAVPF || protocol == SDP_UDP_TLS_RTP_SAVPF;

	return sdp_protocol_is_rtp(protocol) ? profiles[keying][feedback] : protocol;
}

struct span sdp_word(struct span *rest)
{
	if (rest->length == 0)
		return SPAN_EMPTY;
	const char *start = rest->data, *end = rest->data + rest->length;

	while (start < end && *start == ' ')
		start++;
	const char *stop = start;
	while (stop < end && *stop != ' ')
		stop++;
	*rest = (struct span){stop, (size_t)(end - stop)};
	return (struct span){start, (size_t)(stop - start)};
}

bool sdp_is_token(struct span text, const char *extra)
{
	/* A bit for each allowed byte: 0x21 to 0x7e without "(),/:;<=>?@[\] */
	static const uint64_t allowed[4] = {0x03ff6cfa00000000, 0x7fffffffc7fffffe, 0, 0};

	for (size_t i = 0; i < text.length; i++) {
		uint8_t byte = (uint8_t)text.data[i];

		if (!(allowed[byte / 64] >> (byte % 64) & 1) && (byte == 0 || !strchr(extra, byte)))
			return false;
	}
	return text.length > 0;
}

int sdp_payload_type(struct span text)
{
	uint64_t value;

	if (text.length > 1 && text.data[0] == '0')
		return -EINVAL;
	return span_to_uint(text, 127, &value) ? -EINVAL : (int)value;
}

int sdp_real(struct span text, uint32_t maximum, uint32_t *value)
{
	ptrdiff_t dot = span_index(text, '.');
	struct span whole = dot < 0 ? text : span_slice(text, 0, (size_t)dot);
	struct span fraction = dot < 0 ? SPAN_EMPTY : span_slice(text, (size_t)dot + 1, text.length);
	bool above = false;
	uint64_t number;

	if (span_to_uint(whole, maximum - 1, &number) || (dot >= 0 && fraction.length == 0))
		return -EINVAL;
	for (size_t i = 0; i < fraction.length; i++) {
		if (fraction.data[i] < '0' || fraction.data[i] > '9')
			return -EINVAL;
		above |= fraction.data[i] != '0';
	}
	if (number == 0 && !above)
		return -EINVAL;
	*value = (uint32_t)number + above;
	return 0;
}

static bool stream_has_format(const struct sdp_stream *stream, struct span format)
{
	for (uint8_t i = 0; i < stream->format_count; i++)
		if (span_equal(stream->formats[i], format))
			return true;
	return false;
}

static bool is_printable(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] < ' ' || text.data[i] > '~')
			return false;
	return text.length > 0;
}

/* "name/clock" or "name/clock/channels" (RFC 8866 section 6.6). */
static bool is_encoding(struct span text)
{
	ptrdiff_t slash = span_index(text, '/');
	uint64_t number;

	if (slash <= 0 || !sdp_is_token(span_slice(text, 0, (size_t)slash), ""))
		return false;
	struct span clock = span_slice(text, (size_t)slash + 1, text.length);
	slash = span_index(clock, '/');
	struct span channels = slash < 0 ? SPAN("1") : span_slice(clock, (size_t)slash + 1, clock.length);
	if (slash >= 0)
		clock = span_slice(clock, 0, (size_t)slash);
	return span_to_uint(clock, 10000000, &number) == 0 && number > 0 && span_to_uint(channels, 255, &number) == 0 &&
	       number > 0;
}

/* Only feedback that needs no header extension: transport-cc would. goog-remb is in no RFC. */
static bool is_feedback(struct span kind)
{
	return span_equal(kind, SPAN("nack")) || span_equal(kind, SPAN("ccm")) || span_equal(kind, SPAN("ack")) ||
	       span_equal(kind, SPAN("trr-int"));
}

/* A value that starts with a payload type of its own m-line; "*" stands for all of them where an RFC says so. */
static bool format_value_fits(const struct sdp_stream *stream, enum form form, bool star, struct span value)
{
	struct span rest = value, format = sdp_word(&rest);
	struct span parameters = span_trim(rest);

	if (!stream_has_format(stream, format) && !(star && span_equal(format, SPAN("*"))))
		return false;
	if (form == FORM_RTPMAP)
		return is_encoding(parameters);
	if (form == FORM_FEEDBACK && !is_feedback(sdp_word(&rest)))
		return false;
	return is_printable(parameters);
}

static bool value_fits(const struct sdp_stream *stream, const struct sdp_attribute *attribute)
{
	struct span value = attribute->value;
	enum form form = rows[attribute->row].form;
	uint32_t real;

	switch (form) {
	case FORM_ANY: return true;
	case FORM_FLAG: return value.length == 0;
	case FORM_FLAG_OR_NUMBER:
		if (value.length == 0)
			return true;
		/* fall through */
	case FORM_NUMBER: return span_equal(value, SPAN("0")) || sdp_real(value, UINT32_MAX, &real) == 0;
	case FORM_TIME: return sdp_real(value, SDP_PTIME_MAXIMUM_MS + 1, &real) == 0;
	case FORM_WORDS: return value.length <= 64 && sdp_is_token(value, " ,");
	case FORM_RTPMAP:
	case FORM_FORMAT:
	case FORM_FEEDBACK:
		return format_value_fits(stream, form, form == FORM_FEEDBACK || attribute->row == ROW_IMAGEATTR, value);
	}
	return false;
}

static bool stream_takes(const struct sdp_stream *stream, enum cross cross)
{
	if (cross == CROSS_RTP)
		return sdp_protocol_is_rtp(stream->protocol);
	return cross == CROSS_T38 && stream->protocol == SDP_UDPTL;
}

void sdp_attribute_write(struct buffer *out, const struct sdp_stream *stream, const struct sdp_attribute *attribute)
{
	if (attribute->row >= ROW_COUNT || !stream_takes(stream, rows[attribute->row].cross) ||
	    !value_fits(stream, attribute))
		return;
	buffer_put(out, "a=", 2);
	buffer_put_span(out, rows[attribute->row].name);
	if (attribute->value.length) {
		buffer_put_byte(out, ':');
		buffer_put_span(out, attribute->value);
	}
	buffer_put(out, "\r\n", 2);
}
