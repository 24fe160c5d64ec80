/* SPDX-License-Identifier: Apache-2.0
 * Writes a description for the other zone, from the model and the gateway's own addresses alone. */
#include <errno.h>

#include "sdp/attributes.h"

/* RFC 3551 section 6: what payload types mean without an rtpmap. */
static const struct static_format {
	uint8_t type;
	struct span codec;
} static_formats[] = {
	{0, SPAN_INIT("PCMU/8000")},   {3, SPAN_INIT("GSM/8000")},    {4, SPAN_INIT("G723/8000")},
	{5, SPAN_INIT("DVI4/8000")},   {6, SPAN_INIT("DVI4/16000")},  {7, SPAN_INIT("LPC/8000")},
	{8, SPAN_INIT("PCMA/8000")},   {9, SPAN_INIT("G722/8000")},   {10, SPAN_INIT("L16/44100/2")},
	{11, SPAN_INIT("L16/44100")},  {12, SPAN_INIT("QCELP/8000")}, {13, SPAN_INIT("CN/8000")},
	{14, SPAN_INIT("MPA/90000")},  {15, SPAN_INIT("G728/8000")},  {16, SPAN_INIT("DVI4/11025")},
	{17, SPAN_INIT("DVI4/22050")}, {18, SPAN_INIT("G729/8000")},  {25, SPAN_INIT("CelB/90000")},
	{26, SPAN_INIT("JPEG/90000")}, {28, SPAN_INIT("nv/90000")},   {31, SPAN_INIT("H261/90000")},
	{32, SPAN_INIT("MPV/90000")},  {33, SPAN_INIT("MP2T/90000")}, {34, SPAN_INIT("H263/90000")},
};

struct span sdp_format_codec(const struct sdp_stream *stream, struct span format)
{
	for (uint16_t i = 0; i < stream->attribute_count; i++) {
		struct span rest = stream->attributes[i].value;

		if (stream->attributes[i].row == ROW_RTPMAP && span_equal(sdp_word(&rest), format))
			return span_trim(rest);
	}
	int type = sdp_protocol_is_rtp(stream->protocol) ? sdp_payload_type(format) : -1;
	for (size_t i = 0; i < sizeof(static_formats) / sizeof(static_formats[0]); i++)
		if (static_formats[i].type == type)
			return static_formats[i].codec;
	return SPAN_EMPTY;
}

static void network_address_write(struct buffer *out, const struct address *address)
{
	buffer_put_text(out, address->family == ADDRESS_IPV6 ? "IN IP6 " : "IN IP4 ");
	address_write_ip(out, address, false);
	buffer_put(out, "\r\n", 2);
}

static void bandwidth_write(struct buffer *out, const char *type, uint32_t amount)
{
	buffer_put_text(out, type);
	buffer_put_uint(out, amount);
	buffer_put(out, "\r\n", 2);
}

/* A refused stream shows one format, which means nothing (RFC 3264 section 6). */
static void media_line_write(struct buffer *out, const struct sdp_stream *stream, const struct sdp_local_stream *local)
{
	uint8_t count = local->rtp.port ? stream->format_count : 1;

	buffer_put(out, "m=", 2);
	buffer_put_span(out, stream->media_text);
	buffer_put_byte(out, ' ');
	buffer_put_uint(out, local->rtp.port);
	buffer_put_byte(out, ' ');
	if (local->protocol < SDP_PROTOCOL_OTHER)
		buffer_put_text(out, sdp_protocol_text(local->protocol));
	else
		buffer_put_span(out, stream->protocol_text);
	for (uint8_t i = 0; i < count; i++) {
		buffer_put_byte(out, ' ');
		buffer_put_span(out, stream->formats[i]);
	}
	buffer_put(out, "\r\n", 2);
}

static void stream_write(struct buffer *out, const struct sdp_session *session, const struct sdp_stream *stream,
			 const struct sdp_local_stream *local, const struct address *address)
{
	media_line_write(out, stream, local);
	if (local->rtp.port == 0)
		return;
	if (local->rtp.family != ADDRESS_NONE && !address_equal_ip(&local->rtp, address)) {
		buffer_put_text(out, "c=");
		network_address_write(out, &local->rtp);
	}
	/* What the line only inherited, or AS that stands for TIAS, is not said twice. */
	uint32_t from_tias = (uint32_t)(((uint64_t)stream->bandwidth_tias_bps + 999) / 1000);
	if (stream->bandwidth_kbps != session->bandwidth_kbps && stream->bandwidth_kbps != from_tias)
		bandwidth_write(out, "b=AS:", stream->bandwidth_kbps);
	if (stream->bandwidth_tias_bps)
		bandwidth_write(out, "b=TIAS:", stream->bandwidth_tias_bps);
	for (uint16_t i = 0; i < stream->attribute_count; i++)
		sdp_attribute_write(out, stream, &stream->attributes[i]);
	for (uint8_t i = 0; i < local->crypto_count; i++)
		sdp_crypto_write(out, &local->cryptos[i]);
	sdp_dtls_write(out, local);
	sdp_ice_write(out, local, address);
	if (local->rtcp_mux)
		buffer_put_text(out, "a=rtcp-mux\r\n");
	if (local->protocol == SDP_UDPTL && stream->direction == SDP_SENDRECV)
		return; /* fax machines do not expect it */
	buffer_put(out, "a=", 2);
	buffer_put_text(out, sdp_direction_name(stream->direction));
	buffer_put(out, "\r\n", 2);
}

static bool any_ice(const struct sdp_session *session, const struct sdp_local_stream *locals)
{
	for (uint8_t i = 0; i < session->stream_count; i++)
		if (locals[i].rtp.port && locals[i].ice_ufrag.length)
			return true;
	return false;
}

void sdp_write(struct buffer *out, const struct sdp_session *session, const struct sdp_local_stream *locals,
	       uint64_t session_id, uint64_t version, const struct address *address)
{
	buffer_put_text(out, "v=0\r\no=- ");
	buffer_put_uint(out, session_id);
	buffer_put_byte(out, ' ');
	buffer_put_uint(out, version);
	buffer_put_byte(out, ' ');
	network_address_write(out, address);
	buffer_put_text(out, "s=-\r\nc=");
	network_address_write(out, address);
	if (session->bandwidth_kbps)
		bandwidth_write(out, "b=AS:", session->bandwidth_kbps);
	buffer_put_text(out, "t=0 0\r\n");
	if (any_ice(session, locals))
		buffer_put_text(out, "a=ice-lite\r\n"); /* RFC 8445 section 2.5: a public address needs no more */
	for (uint8_t i = 0; i < session->stream_count; i++)
		stream_write(out, session, &session->streams[i], &locals[i], address);
}
