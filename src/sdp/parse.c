/* SPDX-License-Identifier: Apache-2.0
 * Reads a session description (RFC 8866) into the model of sdp.h. Two walks over the lines: the first counts, so that
 * every array is allocated once at its size; the second reads. */
#include <errno.h>
#include <string.h>

#include "sdp/attributes.h"

#define BANDWIDTH_MAXIMUM_KBPS 10000000

struct parser {
	struct span rest;
	struct arena *arena;
	struct sdp_session *session;
	struct sdp_stream *stream; /* being read; NULL before the first m-line */
	struct sdp_attribute *attributes;
	struct sdp_crypto *cryptos, *first_crypto; /* the next free one and the first of the whole description */
	struct address connection;                 /* of the session */
	bool has_connection;
	/* Of the session or, after an m-line, of the stream. */
	bool has_direction, has_own_connection;
	enum sdp_direction session_direction;
	bool has_session_direction;
	bool has_rtcp;
	struct security {
		struct sdp_fingerprint fingerprint;
		enum sdp_setup setup;
		struct span tls_id, ice_ufrag, ice_password;
	} session_security, stream_security;
	uint8_t order;      /* how many of v, o, s, t were read */
	uint64_t mapped[2]; /* payload types with an rtpmap */
};

static const char *const reject_texts[SDP_REJECT_COUNT] = {
	[SDP_OK] = "ok",
	[SDP_REJECT_SYNTAX] = "a line that is not as RFC 8866 wants it",
	[SDP_REJECT_ORDER] = "v=, o=, s= or t= is missing or out of order",
	[SDP_REJECT_VALUE] = "a number or address out of range",
	[SDP_REJECT_TOO_MANY] = "too many lines, formats or bytes",
	[SDP_REJECT_MEMORY] = "no memory",
};

const char *sdp_reject_text(enum sdp_reject reject)
{
	return (unsigned)reject < SDP_REJECT_COUNT ? reject_texts[reject] : "";
}

static const char *const direction_names[] = {"sendrecv", "sendonly", "recvonly", "inactive"};

const char *sdp_direction_name(enum sdp_direction direction)
{
	return (unsigned)direction <= SDP_INACTIVE ? direction_names[direction] : "";
}

/* The next line without its end, which is LF, CRLF or the end of the text. */
static struct span line_next(struct span *rest)
{
	const char *end = memchr(rest->data, '\n', rest->length);
	size_t length = end ? (size_t)(end - rest->data) : rest->length;
	struct span line = {rest->data, length};

	*rest = end ? span_slice(*rest, length + 1, rest->length) : SPAN_EMPTY;
	if (line.length && line.data[line.length - 1] == '\r')
		line.length--;
	return line;
}

/* ---- v, o, s, t --------------------------------------------------------------------------- */

static enum sdp_reject origin_read(struct parser *parser, struct span value)
{
	struct sdp_session *session = parser->session;
	struct span rest = value, words[6];

	for (int i = 0; i < 6; i++) {
		words[i] = sdp_word(&rest);
		if (words[i].length == 0)
			return SDP_REJECT_SYNTAX;
	}
	if (span_trim(rest).length)
		return SDP_REJECT_SYNTAX;
	for (size_t i = 0; i < words[1].length; i++)
		if (words[1].data[i] < '0' || words[1].data[i] > '9')
			return SDP_REJECT_SYNTAX;
	if (span_to_uint(words[2], UINT64_MAX, &session->version))
		return SDP_REJECT_VALUE;
	session->origin_user = words[0];
	session->session_id = words[1];
	return SDP_OK;
}

/* RFC 8866 section 5: v, o and s come first, in this order; t before any m-line and more than once if it likes. The
 * order of the optional lines is not enforced: nothing hangs on it, and phones swap b= and c=. */
static enum sdp_reject ordered_read(struct parser *parser, char type, struct span value)
{
	static const char order[] = "vost";

	if (parser->stream || (type == 't' ? parser->order < 3 : order[parser->order] != type))
		return SDP_REJECT_ORDER;
	if (type != 't' || parser->order == 3)
		parser->order++;
	switch (type) {
	case 'v': return span_equal(value, SPAN("0")) ? SDP_OK : SDP_REJECT_VALUE;
	case 'o': return origin_read(parser, value);
	case 's': parser->session->name = value; return SDP_OK;
	}
	struct span rest = value, start = sdp_word(&rest), stop = sdp_word(&rest);
	uint64_t number;
	if (span_trim(rest).length)
		return SDP_REJECT_SYNTAX;
	return span_to_uint(start, UINT64_MAX, &number) || span_to_uint(stop, UINT64_MAX, &number) ? SDP_REJECT_VALUE
												   : SDP_OK;
}

/* ---- c= and b= ---------------------------------------------------------------------------- */

/* A host name, told from a misspelt IPv4 address by its last label. */
static bool is_host_name(struct span text)
{
	bool last_has_letter = false;

	if (text.length == 0 || text.length > 253 || text.data[0] == '.' || text.data[0] == '-')
		return false;
	for (size_t i = 0; i < text.length; i++) {
		char byte = text.data[i];
		bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');

		if (byte == '.' && i + 1 < text.length && text.data[i + 1] != '.')
			last_has_letter = false;
		else if (letter)
			last_has_letter = true;
		else if (!(byte >= '0' && byte <= '9') && byte != '-' && byte != '.' && byte != '_')
			return false;
	}
	return last_has_letter;
}

static bool is_broadcast(const struct address *address)
{
	static const uint8_t ones[4] = {255, 255, 255, 255};

	return address->family == ADDRESS_IPV4 && memcmp(address->ip, ones, sizeof(ones)) == 0;
}

/* "IN IP4 192.0.2.1". A name gives ADDRESS_NONE. Groups and broadcast, with or without a TTL, are no place to send a
 * call's media to. */
static enum sdp_reject network_address_read(struct span value, struct address *address)
{
	struct span rest = value;
	struct span net = sdp_word(&rest), family = sdp_word(&rest), host = sdp_word(&rest);
	bool ipv4 = span_equal(family, SPAN("IP4"));

	*address = (struct address){0};
	if (!span_equal(net, SPAN("IN")) || (!ipv4 && !span_equal(family, SPAN("IP6"))) || span_trim(rest).length)
		return SDP_REJECT_SYNTAX;
	if (address_parse_ip(host, address)) {
		*address = (struct address){0};
		return is_host_name(host) ? SDP_OK : SDP_REJECT_VALUE;
	}
	if (ipv4 == (span_index(host, ':') >= 0) || address_is_multicast(address) || is_broadcast(address))
		return SDP_REJECT_VALUE;
	return SDP_OK;
}

static enum sdp_reject connection_read(struct parser *parser, struct span value)
{
	bool *seen = parser->stream ? &parser->has_own_connection : &parser->has_connection;
	struct address *address = parser->stream ? &parser->stream->connection : &parser->connection;

	if (*seen)
		return SDP_REJECT_SYNTAX;
	*seen = true;
	return network_address_read(value, address);
}

static enum sdp_reject bandwidth_read(struct parser *parser, struct span value)
{
	ptrdiff_t colon = span_index(value, ':');
	struct sdp_stream *stream = parser->stream;
	uint64_t number;

	if (colon <= 0)
		return SDP_REJECT_SYNTAX;
	struct span type = span_slice(value, 0, (size_t)colon);
	struct span amount = span_slice(value, (size_t)colon + 1, value.length);
	if (span_equal(type, SPAN("AS"))) {
		if (span_to_uint(amount, BANDWIDTH_MAXIMUM_KBPS, &number))
			return SDP_REJECT_VALUE;
		*(stream ? &stream->bandwidth_kbps : &parser->session->bandwidth_kbps) = (uint32_t)number;
	} else if (stream && span_equal(type, SPAN("TIAS"))) {
		if (span_to_uint(amount, UINT32_MAX, &number))
			return SDP_REJECT_VALUE;
		stream->bandwidth_tias_bps = (uint32_t)number;
	}
	return SDP_OK;
}

/* ---- m= ----------------------------------------------------------------------------------- */

static enum sdp_media media_find(struct span text)
{
	static const char *const names[] = {"audio", "video", "image", "application", "text", "message"};

	for (int i = 0; i < SDP_OTHER; i++)
		if (span_equal(text, span_from(names[i])))
			return (enum sdp_media)i;
	return SDP_OTHER;
}

/* T.38 Annex D writes udptl, RFC 7345 UDPTL; the rest has one spelling. */
static enum sdp_protocol protocol_find(struct span text)
{
	for (int i = 0; i < SDP_UDPTL; i++)
		if (span_equal(text, span_from(sdp_protocol_text((enum sdp_protocol)i))))
			return (enum sdp_protocol)i;
	return span_is(text, "udptl") ? SDP_UDPTL : SDP_PROTOCOL_OTHER;
}

/* Payload types must be numbers, each once; other formats are tokens. An m-line without any is refused. */
static enum sdp_reject formats_read(struct parser *parser, struct span text)
{
	struct sdp_stream *stream = parser->stream;
	bool rtp = sdp_protocol_is_rtp(stream->protocol);
	uint64_t seen[2] = {0, 0};
	struct span rest = text;
	size_t count = 0;

	while (sdp_word(&rest).length)
		if (++count > SDP_FORMATS_MAXIMUM)
			return SDP_REJECT_TOO_MANY;
	if (count == 0)
		return SDP_REJECT_SYNTAX;
	stream->formats = arena_alloc(parser->arena, count * sizeof(*stream->formats));
	if (!stream->formats)
		return SDP_REJECT_MEMORY;
	for (rest = text; stream->format_count < count; stream->format_count++) {
		struct span format = sdp_word(&rest);
		int type = sdp_payload_type(format);

		if (!sdp_is_token(format, "/"))
			return SDP_REJECT_SYNTAX;
		if (rtp && (type < 0 || seen[type / 64] >> (type % 64) & 1))
			return SDP_REJECT_VALUE;
		if (rtp)
			seen[type / 64] |= (uint64_t)1 << (type % 64);
		stream->formats[stream->format_count] = format;
	}
	return SDP_OK;
}

/* "audio 5004 RTP/AVP 0 8". A count of ports ("5004/2") is for layered coding and has no place in a call. */
static enum sdp_reject media_read(struct parser *parser, struct span value)
{
	struct sdp_stream *stream = parser->stream;
	struct span rest = value;
	uint64_t port;

	stream->media_text = sdp_word(&rest);
	struct span port_text = sdp_word(&rest);
	stream->protocol_text = sdp_word(&rest);
	if (!sdp_is_token(stream->media_text, "") || !sdp_is_token(stream->protocol_text, "/"))
		return SDP_REJECT_SYNTAX;
	if (span_to_uint(port_text, UINT16_MAX, &port))
		return SDP_REJECT_VALUE;
	stream->port = (uint16_t)port;
	stream->media = media_find(stream->media_text);
	stream->protocol = protocol_find(stream->protocol_text);
	return formats_read(parser, rest);
}

/* ---- a= ----------------------------------------------------------------------------------- */

static enum sdp_reject direction_read(struct parser *parser, enum sdp_direction direction)
{
	struct sdp_stream *stream = parser->stream;
	bool *seen = stream ? &parser->has_direction : &parser->has_session_direction;
	enum sdp_direction *held = stream ? &stream->direction : &parser->session_direction;

	if (*seen && *held != direction)
		return SDP_REJECT_SYNTAX;
	*seen = true;
	*held = direction;
	return SDP_OK;
}

/* "port" or "port IN IP4 address" (RFC 3605). Without an address it is that of c=, which may follow. */
static enum sdp_reject rtcp_read(struct parser *parser, struct span value)
{
	struct span rest = value, port_text = sdp_word(&rest);
	struct address address = {0};
	enum sdp_reject reject = SDP_OK;
	uint64_t port;

	if (parser->has_rtcp)
		return SDP_REJECT_SYNTAX;
	if (span_to_uint(port_text, UINT16_MAX, &port) || port == 0)
		return SDP_REJECT_VALUE;
	if (span_trim(rest).length)
		reject = network_address_read(rest, &address);
	else
		address.port = (uint16_t)port;
	if (address.family != ADDRESS_NONE)
		address.port = (uint16_t)port; /* a name leaves no address at all, not that of c= */
	parser->stream->rtcp = address;
	parser->has_rtcp = true;
	return reject;
}

static enum sdp_reject ptime_read(struct parser *parser, struct span value)
{
	uint32_t ptime_ms;

	if (sdp_real(value, SDP_PTIME_MAXIMUM_MS + 1, &ptime_ms))
		return SDP_REJECT_VALUE;
	if (parser->stream->ptime_ms && parser->stream->ptime_ms != ptime_ms)
		return SDP_REJECT_SYNTAX;
	parser->stream->ptime_ms = ptime_ms;
	return SDP_OK;
}

/* Two names for one payload type would let the two sides see different codecs. */
static enum sdp_reject rtpmap_read(struct parser *parser, struct span value)
{
	struct span rest = value;
	int type = sdp_payload_type(sdp_word(&rest));

	if (type < 0)
		return SDP_REJECT_VALUE;
	if (parser->mapped[type / 64] >> (type % 64) & 1)
		return SDP_REJECT_SYNTAX;
	parser->mapped[type / 64] |= (uint64_t)1 << (type % 64);
	return SDP_OK;
}

static enum sdp_reject crypto_read(struct parser *parser, struct span value)
{
	struct sdp_stream *stream = parser->stream;
	struct sdp_crypto *crypto = parser->cryptos;
	int result = sdp_crypto_parse(value, crypto);

	if (result < 0)
		return SDP_REJECT_VALUE;
	if (result > 0)
		return SDP_OK;
	parser->cryptos++;
	if (stream->crypto_count == 0)
		stream->cryptos = crypto;
	for (uint8_t i = 0; i < stream->crypto_count; i++)
		if (stream->cryptos[i].tag == crypto->tag)
			return SDP_REJECT_VALUE;
	if (stream->crypto_count == SDP_CRYPTOS_MAXIMUM)
		return SDP_REJECT_TOO_MANY;
	stream->crypto_count++;
	return SDP_OK;
}

static enum sdp_reject text_read(struct span value, bool is_valid, struct span *text)
{
	if (!is_valid)
		return SDP_REJECT_VALUE;
	if (text->length && !span_equal(*text, value))
		return SDP_REJECT_SYNTAX;
	*text = value;
	return SDP_OK;
}

/* Hashes that are not for us are passed over; of several the first counts, which is of the same certificate, or of one beside it. */
static enum sdp_reject fingerprint_read(struct sdp_fingerprint *held, struct span value)
{
	struct sdp_fingerprint fingerprint;
	int result = sdp_fingerprint_parse(value, &fingerprint);

	if (result == -EINVAL)
		return SDP_REJECT_VALUE;
	if (result == 0 && held->hash == SDP_HASH_NONE)
		*held = fingerprint;
	return SDP_OK;
}

static enum sdp_reject setup_read(enum sdp_setup *held, struct span value)
{
	enum sdp_setup setup = sdp_setup_parse(value);

	if (setup == SDP_SETUP_NONE)
		return SDP_REJECT_VALUE;
	if (*held != SDP_SETUP_NONE && *held != setup)
		return SDP_REJECT_SYNTAX;
	*held = setup;
	return SDP_OK;
}

/* What may stand before the first m-line or behind one. */
static enum sdp_reject security_read(struct parser *parser, const struct sdp_attribute *attribute)
{
	struct security *security = parser->stream ? &parser->stream_security : &parser->session_security;
	struct span value = attribute->value;

	switch ((enum sdp_attribute_row)attribute->row) {
	case ROW_FINGERPRINT: return fingerprint_read(&security->fingerprint, value);
	case ROW_SETUP: return setup_read(&security->setup, value);
	case ROW_TLS_ID: return text_read(value, sdp_is_token(value, "/") && value.length < 256, &security->tls_id);
	case ROW_ICE_UFRAG: return text_read(value, sdp_is_ice_text(value, 4), &security->ice_ufrag);
	case ROW_ICE_PWD: return text_read(value, sdp_is_ice_text(value, 22), &security->ice_password);
	default: return SDP_OK;
	}
}

static enum sdp_reject stream_attribute_read(struct parser *parser, const struct sdp_attribute *attribute)
{
	bool rtp = sdp_protocol_is_rtp(parser->stream->protocol);

	switch ((enum sdp_attribute_row)attribute->row) {
	case ROW_CRYPTO: return crypto_read(parser, attribute->value);
	case ROW_RTCP: return rtcp_read(parser, attribute->value);
	case ROW_RTCP_MUX: parser->stream->rtcp_mux = true; return SDP_OK;
	case ROW_PTIME: return ptime_read(parser, attribute->value);
	case ROW_RTPMAP: return rtp ? rtpmap_read(parser, attribute->value) : SDP_OK;
	default: return SDP_OK;
	}
}

static enum sdp_reject attribute_read(struct parser *parser, struct span text)
{
	uint16_t *count = parser->stream ? &parser->stream->attribute_count : &parser->session->attribute_count;
	ptrdiff_t colon = span_index(text, ':');
	struct sdp_attribute *attribute = parser->attributes;

	if (*count == SDP_ATTRIBUTES_MAXIMUM)
		return SDP_REJECT_TOO_MANY;
	attribute->name = colon < 0 ? text : span_slice(text, 0, (size_t)colon);
	if (colon >= 0)
		attribute->value = span_slice(text, (size_t)colon + 1, text.length);
	if (!sdp_is_token(attribute->name, ""))
		return SDP_REJECT_SYNTAX;
	attribute->row = (uint8_t)sdp_attribute_find(attribute->name);
	parser->attributes++;
	(*count)++;
	if (attribute->row >= ROW_SENDRECV && attribute->row <= ROW_INACTIVE)
		return direction_read(parser, (enum sdp_direction)(attribute->row - ROW_SENDRECV));
	if (attribute->row >= ROW_FINGERPRINT && attribute->row <= ROW_ICE_PWD)
		return security_read(parser, attribute);
	if (parser->stream)
		return stream_attribute_read(parser, attribute);
	parser->session->ice_lite |= attribute->row == ROW_ICE_LITE;
	return SDP_OK;
}

/* ---- The whole ---------------------------------------------------------------------------- */

static void security_finish(struct parser *parser)
{
	const struct security *own = &parser->stream_security, *session = &parser->session_security;
	struct sdp_stream *stream = parser->stream;

	stream->fingerprint = own->fingerprint.hash ? own->fingerprint : session->fingerprint;
	stream->setup = own->setup ? own->setup : session->setup;
	stream->tls_id = own->tls_id.length ? own->tls_id : session->tls_id;
	stream->ice_ufrag = own->ice_ufrag.length ? own->ice_ufrag : session->ice_ufrag;
	stream->ice_password = own->ice_password.length ? own->ice_password : session->ice_password;
	if (!stream->ice_ufrag.length || !stream->ice_password.length)
		stream->ice_ufrag = stream->ice_password = SPAN_EMPTY;
}

/* What the session's lines say for a stream that is silent about it. */
static enum sdp_reject stream_finish(struct parser *parser)
{
	struct sdp_stream *stream = parser->stream;

	if (!stream)
		return SDP_OK;
	if (!parser->has_own_connection) {
		if (!parser->has_connection && stream->port)
			return SDP_REJECT_VALUE;
		stream->connection = parser->connection;
	}
	if (!parser->has_direction)
		stream->direction = parser->session_direction;
	if (!stream->bandwidth_kbps)
		stream->bandwidth_kbps = (uint32_t)(((uint64_t)stream->bandwidth_tias_bps + 999) / 1000);
	if (!stream->bandwidth_kbps)
		stream->bandwidth_kbps = parser->session->bandwidth_kbps;
	if (stream->connection.family != ADDRESS_NONE)
		stream->connection.port = stream->port;
	if (!parser->has_rtcp)
		stream->rtcp.port = stream->port && stream->port < UINT16_MAX ? (uint16_t)(stream->port + 1) : 0;
	if (stream->rtcp.family == ADDRESS_NONE && stream->rtcp.port) {
		stream->rtcp.family = stream->connection.family;
		memcpy(stream->rtcp.ip, stream->connection.ip, sizeof(stream->rtcp.ip));
	}
	if (stream->rtcp.family == ADDRESS_NONE)
		stream->rtcp = (struct address){0};
	security_finish(parser);
	/* Port 9 with the any-address is trickle ICE that has no candidate yet (RFC 8840 section 4.1.1). */
	stream->on_hold =
		stream->connection.family && stream->port && stream->port != 9 && address_is_any(&stream->connection);
	if (stream->on_hold)
		stream->direction = stream->direction == SDP_SENDRECV || stream->direction == SDP_SENDONLY
					    ? SDP_SENDONLY
					    : SDP_INACTIVE;
	return SDP_OK;
}

static enum sdp_reject stream_start(struct parser *parser, struct span value)
{
	enum sdp_reject reject = stream_finish(parser);

	if (reject)
		return reject;
	if (parser->order < 4)
		return SDP_REJECT_ORDER;
	parser->stream = &parser->session->streams[parser->session->stream_count++];
	parser->stream->attributes = parser->attributes;
	parser->has_direction = parser->has_own_connection = parser->has_rtcp = false;
	parser->stream_security = (struct security){0};
	memset(parser->mapped, 0, sizeof(parser->mapped));
	return media_read(parser, value);
}

static enum sdp_reject line_read(struct parser *parser, struct span line)
{
	if (line.length < 2 || line.data[1] != '=' || memchr(line.data, '\r', line.length))
		return SDP_REJECT_SYNTAX;
	struct span value = span_slice(line, 2, line.length);
	if (value.length && value.data[0] == ' ' && strchr("votcmba", line.data[0]))
		return SDP_REJECT_SYNTAX;
	switch (line.data[0]) {
	case 'v':
	case 'o':
	case 's':
	case 't': return ordered_read(parser, line.data[0], value);
	case 'm': return stream_start(parser, value);
	case 'c': return parser->order < 3 ? SDP_REJECT_ORDER : connection_read(parser, value);
	case 'b': return parser->order < 3 ? SDP_REJECT_ORDER : bandwidth_read(parser, value);
	case 'a': return parser->order < 3 ? SDP_REJECT_ORDER : attribute_read(parser, value);
	case 'i': /* all of these never cross */
	case 'k': return parser->order < 3 ? SDP_REJECT_ORDER : SDP_OK;
	case 'u':
	case 'e':
	case 'p':
	case 'r':
	case 'z': return parser->order < 3 || parser->stream ? SDP_REJECT_ORDER : SDP_OK;
	}
	return SDP_REJECT_SYNTAX; /* RFC 8866 section 5: an unknown type letter ends it */
}

/* The first walk: counts lines and allocates the arrays. */
static enum sdp_reject prepare(struct parser *parser)
{
	size_t streams = 0, attributes = 0, cryptos = 0;
	struct sdp_session *session = parser->session;

	for (struct span rest = parser->rest; rest.length;) {
		struct span line = line_next(&rest);

		if (line.length < 2)
			continue;
		streams += line.data[0] == 'm';
		attributes += line.data[0] == 'a';
		cryptos += span_starts_with(line, SPAN("a=crypto:"));
	}
	if (streams > SDP_STREAMS_MAXIMUM)
		return SDP_REJECT_TOO_MANY;
	session->streams = arena_alloc(parser->arena, (streams + 1) * sizeof(*session->streams));
	session->attributes = arena_alloc(parser->arena, (attributes + 1) * sizeof(*session->attributes));
	parser->attributes = session->attributes;
	parser->cryptos = arena_alloc(parser->arena, (cryptos + 1) * sizeof(*parser->cryptos));
	parser->first_crypto = parser->cryptos;
	return session->streams && session->attributes && parser->cryptos ? SDP_OK : SDP_REJECT_MEMORY;
}

enum sdp_reject sdp_parse(struct span text, struct arena *arena, struct sdp_session *session)
{
	struct parser parser = {.rest = text, .arena = arena, .session = session};

	memset(session, 0, sizeof(*session));
	if (text.length > SDP_BYTES_MAXIMUM)
		return SDP_REJECT_TOO_MANY;
	while (parser.rest.length &&
	       (text.data[parser.rest.length - 1] == '\n' || text.data[parser.rest.length - 1] == '\r'))
		parser.rest.length--; /* empty lines at the end, which some phones add */
	if (parser.rest.length == 0)
		return SDP_REJECT_ORDER;
	if (memchr(text.data, '\0', text.length))
		return SDP_REJECT_SYNTAX;

	enum sdp_reject reject = prepare(&parser);
	while (reject == SDP_OK && parser.rest.length)
		reject = line_read(&parser, line_next(&parser.rest));
	if (reject == SDP_OK && parser.order < 4)
		reject = SDP_REJECT_ORDER;
	if (reject == SDP_OK)
		reject = stream_finish(&parser);
	if (reject != SDP_OK) {
		if (parser.cryptos)
			memory_wipe(parser.first_crypto,
				    (size_t)((char *)parser.cryptos - (char *)parser.first_crypto));
		memset(session, 0, sizeof(*session));
	}
	return reject;
}

void sdp_session_wipe(struct sdp_session *session)
{
	for (uint8_t i = 0; i < session->stream_count; i++) {
		struct sdp_stream *stream = &session->streams[i];

		for (uint8_t j = 0; j < stream->crypto_count; j++)
			memory_wipe(&stream->cryptos[j], sizeof(stream->cryptos[j]));
		stream->crypto_count = 0;
	}
}
