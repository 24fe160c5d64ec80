/* SPDX-License-Identifier: Apache-2.0
 * What crosses from one zone to another: an allow-list of headers, option tags, bodies and answers (THREATS S16, S18).
 * What has no row here is left out; what identifies a dialog or a hop is never copied but built anew. */
#include "call/dialogs.h"
#include "call/events.h"
#include "call/peers.h"
#include "call/profile.h"

enum crossing {
	DROP = 0,    /* also what has no row */
	PASS,        /* as it stands */
	REHOST,      /* addresses, with the host of each URI replaced by our domain toward that zone */
	CHALLENGE,   /* only from the PBX to those who must answer it */
	CREDENTIALS, /* only from phones to the PBX that challenged them */
	REASON,      /* cause and plain text of each value */
	FEATURES,    /* feature capabilities of the registrar that phones may know (RFC 6809) */
	REFERRER,    /* an address with our domain, to whomever */
	WORD,        /* the word it begins with */
	SECONDS,     /* the number it begins with, without comment and parameters */
	LIFETIME,    /* seconds, and no more than POLICY_LIFETIME_S of them */
	EVENT,       /* the package and the parameters that events.c knows */
	EVENT_STATE,
	EVENTS, /* the packages that events.c knows */
};

/* By header, as each message asks for each of its own, and by enum zone_kind of where it comes from. */
/* clang-format off: a table */
static const enum crossing crossings[SIP_HEADER_COUNT][3] = {
	/* header                          access       core       trunk */
	[SIP_HEADER_SUBJECT] = {PASS, PASS, PASS},
	[SIP_HEADER_PRIORITY] = {PASS, PASS, PASS},
	[SIP_HEADER_DATE] = {PASS, PASS, PASS},
	[SIP_HEADER_ACCEPT] = {PASS, PASS, PASS},
	[SIP_HEADER_ACCEPT_LANGUAGE] = {PASS, PASS, PASS},
	[SIP_HEADER_CONTENT_DISPOSITION] = {PASS, PASS, PASS},
	[SIP_HEADER_CONTENT_LANGUAGE] = {PASS, PASS, PASS},
	[SIP_HEADER_MIME_VERSION] = {PASS, PASS, PASS},
	[SIP_HEADER_EXPIRES] = {LIFETIME, LIFETIME, LIFETIME},
	[SIP_HEADER_REASON] = {REASON, REASON, REASON},
	[SIP_HEADER_RETRY_AFTER] = {SECONDS, SECONDS, SECONDS},
	[SIP_HEADER_PRIVACY] = {PASS, PASS, PASS},
	[SIP_HEADER_RSEQ] = {PASS, PASS, PASS},
	[SIP_HEADER_FEATURE_CAPS] = {DROP, FEATURES, DROP},
	[SIP_HEADER_MIN_EXPIRES] = {PASS, PASS, PASS},
	[SIP_HEADER_EVENT] = {EVENT, EVENT, EVENT},
	[SIP_HEADER_SUBSCRIPTION_STATE] = {EVENT_STATE, EVENT_STATE, EVENT_STATE},
	[SIP_HEADER_ALLOW_EVENTS] = {EVENTS, EVENTS, EVENTS},
	[SIP_HEADER_SIP_ETAG] = {PASS, PASS, PASS},
	[SIP_HEADER_SIP_IF_MATCH] = {PASS, PASS, PASS},
	[SIP_HEADER_SUPPRESS_IF_MATCH] = {PASS, PASS, PASS},
	[SIP_HEADER_UNSUPPORTED] = {PASS, PASS, PASS},
	[SIP_HEADER_INFO_PACKAGE] = {PASS, PASS, PASS},
	[SIP_HEADER_RECV_INFO] = {PASS, PASS, PASS},
	[SIP_HEADER_P_ASSERTED_IDENTITY] = {DROP, REHOST, REHOST},
	[SIP_HEADER_REFERRED_BY] = {DROP, REFERRER, DROP},
	[SIP_HEADER_REFER_SUB] = {WORD, WORD, WORD},
	[SIP_HEADER_WWW_AUTHENTICATE] = {DROP, CHALLENGE, DROP},
	[SIP_HEADER_PROXY_AUTHENTICATE] = {DROP, CHALLENGE, DROP},
	[SIP_HEADER_AUTHORIZATION] = {CREDENTIALS, DROP, DROP},
	[SIP_HEADER_PROXY_AUTHORIZATION] = {CREDENTIALS, DROP, DROP},
};

/* Headers that say who somebody is or where something stands: dropping one of these is counted. */
static const bool trust_headers[SIP_HEADER_COUNT] = {
	[SIP_HEADER_P_ASSERTED_IDENTITY] = true,
	[SIP_HEADER_P_PREFERRED_IDENTITY] = true,
	[SIP_HEADER_REMOTE_PARTY_ID] = true,
	[SIP_HEADER_IDENTITY] = true,
	[SIP_HEADER_DIVERSION] = true,
	[SIP_HEADER_HISTORY_INFO] = true,
	[SIP_HEADER_PATH] = true,
	[SIP_HEADER_SERVICE_ROUTE] = true,
	[SIP_HEADER_GEOLOCATION] = true,
	[SIP_HEADER_P_ACCESS_NETWORK_INFO] = true,
	[SIP_HEADER_REFERRED_BY] = true,
};

/* Option tags (RFC 3261 section 20.32) that two user agents may agree on through us. */
static const char *const option_tags[] = {"100rel",     "norefersub", "histinfo", "privacy",
					  "answermode", "eventlist",  "replaces", NULL};
/* Those that each agrees on with the gateway alone. */
static const char *const own_tags[] = {"timer", NULL};

static const struct {
	enum sip_method method;
	const char *type;
} body_types[] = {
	{SIP_INVITE, "application/sdp"},
	{SIP_ACK, "application/sdp"},
	{SIP_UPDATE, "application/sdp"},
	{SIP_PRACK, "application/sdp"},
	{SIP_INFO, "application/dtmf-relay"},
	{SIP_INFO, "application/dtmf"},
	{SIP_INFO, "application/media_control+xml"},
	{SIP_MESSAGE, "text/plain"},
	{SIP_MESSAGE, "application/im-iscomposing+xml"},
	{SIP_MESSAGE, "message/cpim"},
	{SIP_MESSAGE, "message/imdn+xml"},
	{SIP_OPTIONS, "application/sdp"},
	{SIP_NOTIFY, "message/sipfrag"},
};
/* clang-format on */

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static void copy_rehosted(struct buffer *out, const struct sip_header *header, enum sip_header_id as,
			  const char *domain)
{
	struct span rest = header->value, element;
	struct sip_address address;

	while (sip_list_next(&rest, &element)) {
		char text[1024];
		struct buffer value = BUFFER_OVER(text);

		if (sip_address_parse(element, &address) != SIP_OK || address.unknown_scheme ||
		    !address.uri.user.length)
			continue;
		buffer_put_span(&value, address.display);
		buffer_put_text(&value, address.display.length ? " <sip:" : "<sip:");
		build_user_of(&value, &address.uri);
		buffer_put_byte(&value, '@');
		buffer_put_text(&value, domain);
		buffer_put_byte(&value, '>');
		if (!value.overflow)
			sip_write_header(out, as, buffer_span(&value));
	}
}

/* What an identity is called toward a zone (RFC 3325 section 9). */
static enum sip_header_id header_as(enum sip_header_id id, const struct config_zone *to)
{
	return id == SIP_HEADER_P_ASSERTED_IDENTITY && profile_repairs(to, REPAIR_PREFERRED_IDENTITY)
		       ? SIP_HEADER_P_PREFERRED_IDENTITY
		       : id;
}

/* The identity of a PBX that says it in the older header, and what it says of hiding it. True when it was taken. */
static bool copy_remote_party(struct buffer *out, const struct sip_message *message, const struct sip_header *header,
			      const struct config_zone *from, const struct config_zone *to, const char *domain)
{
	struct sip_address address;
	struct span privacy = SPAN_EMPTY, party = SPAN_EMPTY;

	if (header->id != SIP_HEADER_REMOTE_PARTY_ID || from->kind == ZONE_ACCESS || to->kind == ZONE_ACCESS ||
	    !profile_repairs(from, REPAIR_REMOTE_PARTY) ||
	    sip_message_header(message, SIP_HEADER_P_ASSERTED_IDENTITY) ||
	    sip_address_parse(header->value, &address) != SIP_OK)
		return false;
	sip_parameter_get(address.parameters, "party", &party);
	sip_parameter_get(address.parameters, "privacy", &privacy);
	if (party.length && !span_is(party, message->is_request ? "calling" : "called"))
		return false;
	copy_rehosted(out, header, header_as(SIP_HEADER_P_ASSERTED_IDENTITY, to), domain);
	if (privacy.length && !span_is(privacy, "off") && !sip_message_header(message, SIP_HEADER_PRIVACY))
		sip_write_header(out, SIP_HEADER_PRIVACY, SPAN("id"));
	return true;
}

/* Reason texts are free text of the other side: letters, digits and blanks cross, an address or a name of a host does not. */
static bool reason_text(struct span value, char *text, size_t capacity)
{
	ptrdiff_t semicolon = span_index(value, ';');
	struct span quoted;
	size_t length = 0;

	if (semicolon < 0 || !sip_parameter_get(span_slice(value, (size_t)semicolon, value.length), "text", &quoted))
		return false;
	for (size_t i = 0; i < quoted.length && length + 1 < capacity; i++) {
		char byte = quoted.data[i];

		if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == ' ')
			text[length++] = byte;
		else if (byte != '"')
			return false;
	}
	if (!length)
		return false;
	text[length] = 0;
	return true;
}

/* "Q.850;cause=16;text=\"…\"" (RFC 3326): of the rest, which is free text, nothing crosses. */
static bool reason_write(struct span element, struct buffer *out)
{
	ptrdiff_t semicolon = span_index(element, ';');
	struct span protocol = span_trim(span_slice(element, 0, semicolon < 0 ? 0 : (size_t)semicolon)), cause;
	char text[100];
	uint64_t number;

	if ((!span_is(protocol, "SIP") && !span_is(protocol, "Q.850")) ||
	    !sip_parameter_get(span_slice(element, (size_t)semicolon, element.length), "cause", &cause) ||
	    span_to_uint(cause, 999, &number))
		return false;
	buffer_printf(out, "%.*s;cause=%u", SPAN_PRINT(protocol), (unsigned)number);
	if (reason_text(element, text, sizeof(text)))
		buffer_printf(out, ";text=\"%s\"", text);
	return true;
}

static void copy_reason(struct buffer *out, const struct sip_header *header)
{
	struct span rest = header->value, element;

	while (sip_list_next(&rest, &element)) {
		char line[200];
		struct buffer value = BUFFER_OVER(line);

		if (reason_write(element, &value))
			sip_write_header(out, header->id, buffer_span(&value));
	}
}

void policy_reasons(const struct sip_message *message, struct buffer *out)
{
	for (const struct sip_header *header = sip_message_header(message, SIP_HEADER_REASON); header;
	     header = sip_message_header_next(message, header)) {
		struct span rest = header->value, element;

		while (sip_list_next(&rest, &element)) {
			char line[200];
			struct buffer value = BUFFER_OVER(line);

			if (!reason_write(element, &value) || out->length + value.length + 2 > out->capacity)
				continue;
			buffer_put_text(out, out->length ? ", " : "");
			buffer_put_span(out, buffer_span(&value));
		}
	}
}

static void copy_seconds(struct buffer *out, const struct sip_header *header)
{
	size_t digits = 0;

	while (digits < header->value.length && digits < 9 && header->value.data[digits] >= '0' &&
	       header->value.data[digits] <= '9')
		digits++;
	if (digits)
		sip_write_header(out, header->id, span_slice(header->value, 0, digits));
}

static void copy_lifetime(struct buffer *out, const struct sip_header *header)
{
	uint64_t seconds;

	if (!span_to_uint(header->value, UINT32_MAX, &seconds))
		sip_write_header_number(out, header->id,
					seconds < POLICY_LIFETIME_S ? (uint32_t)seconds : POLICY_LIFETIME_S);
}

static void copy_word(struct buffer *out, const struct sip_header *header)
{
	size_t letters = 0;

	while (letters < header->value.length && ((header->value.data[letters] | 0x20) >= 'a') &&
	       (header->value.data[letters] | 0x20) <= 'z')
		letters++;
	if (letters)
		sip_write_header(out, header->id, span_slice(header->value, 0, letters));
}

static bool is_domain(struct span parameter)
{
	ptrdiff_t end = span_index(parameter, '=');

	return end > 0 && span_is(span_trim(span_slice(parameter, 0, (size_t)end)), "domain");
}

/* A challenge as it stands, but for `domain` (RFC 7616 section 3.3), which lists URIs of the inside. */
static void copy_challenge(struct buffer *out, const struct sip_header *header)
{
	ptrdiff_t blank = span_index(header->value, ' ');
	struct span rest, parameter;
	char text[2048];
	struct buffer value = BUFFER_OVER(text);
	bool first = true;

	if (blank <= 0)
		return;
	buffer_put_span(&value, span_slice(header->value, 0, (size_t)blank));
	rest = span_slice(header->value, (size_t)blank, header->value.length);
	while (sip_list_next(&rest, &parameter)) {
		if (is_domain(parameter))
			continue;
		buffer_put_text(&value, first ? " " : ", ");
		buffer_put_span(&value, parameter);
		first = false;
	}
	if (!first && !value.overflow)
		sip_write_header(out, header->id, buffer_span(&value));
}

/* Of "*;+sip.pns="apns";…" (RFC 8599 section 8) what concerns push, as far as it is plain. */
static void copy_features(struct buffer *out, const struct sip_header *header)
{
	static const char *const names[] = {"+sip.pns", "+sip.vapid", "+sip.pnsreg", "+sip.pnspurr"};
	struct span rest = header->value, element, value;
	char text[512];

	while (sip_list_next(&rest, &element)) {
		struct buffer line = BUFFER_OVER(text);

		if (element.data[0] != '*')
			continue;
		buffer_put_byte(&line, '*');
		element = span_slice(element, 1, element.length);
		for (size_t i = 0; i < ROWS(names); i++)
			if (sip_parameter_get(element, names[i], &value) && value.length > 2 && value.data[0] == '"')
				buffer_printf(&line, ";%s=%.*s", names[i], SPAN_PRINT(value));
		if (line.length > 1 && !line.overflow)
			sip_write_header(out, header->id, buffer_span(&line));
	}
}

static void copy_header(struct buffer *out, enum crossing action, const struct sip_header *header,
			const struct config_zone *to, const char *domain)
{
	switch (action) {
	case REHOST:
	case REFERRER: copy_rehosted(out, header, header_as(header->id, to), domain); return;
	case WORD: copy_word(out, header); return;
	case REASON: copy_reason(out, header); return;
	case SECONDS: copy_seconds(out, header); return;
	case CHALLENGE: copy_challenge(out, header); return;
	case FEATURES: copy_features(out, header); return;
	case LIFETIME: copy_lifetime(out, header); return;
	case EVENT: event_write(out, header->value); return;
	case EVENT_STATE: event_state_write(out, header->value); return;
	case EVENTS: event_list_write(out, header->value); return;
	default: sip_write_header(out, header->id, header->value);
	}
}

static bool may_cross(enum crossing action, const struct config_zone *from, const struct config_zone *to)
{
	switch (action) {
	case PASS:
	case REFERRER:
	case WORD:
	case REASON:
	case SECONDS:
	case LIFETIME:
	case EVENT:
	case EVENT_STATE:
	case EVENTS: return true;
	case REHOST: return to->kind != ZONE_ACCESS;
	case FEATURES: return to->kind == ZONE_ACCESS;
	case CHALLENGE: return to->kind == ZONE_ACCESS && to->authentication == AUTHENTICATION_RELAY;
	case CREDENTIALS: return to->kind == ZONE_CORE && from->authentication == AUTHENTICATION_RELAY;
	case DROP: break;
	}
	return false;
}

void policy_copy(struct gateway *gateway, const struct sip_message *message, uint8_t from_zone, uint8_t to_zone,
		 struct buffer *out)
{
	const struct config_zone *from = gateway_zone(gateway, from_zone);
	const struct config_zone *to = gateway_zone(gateway, to_zone);
	const char *domain = route_domain(gateway, to_zone);

	for (uint16_t i = 0; i < message->header_count; i++) {
		const struct sip_header *header = &message->headers[i];
		enum crossing action = crossings[header->id][from->kind];

		if (copy_remote_party(out, message, header, from, to, domain))
			continue;
		if (!may_cross(action, from, to)) {
			if (trust_headers[header->id])
				gateway->counters.headers_dropped++;
			continue;
		}
		copy_header(out, action, header, to, domain);
	}
}

void policy_copy_header(struct gateway *gateway, const struct sip_message *message, enum sip_header_id id,
			uint8_t from_zone, uint8_t to_zone, struct buffer *out)
{
	const struct config_zone *from = gateway_zone(gateway, from_zone);
	enum crossing action = crossings[id][from->kind];

	if (!may_cross(action, from, gateway_zone(gateway, to_zone)))
		return;
	for (const struct sip_header *header = sip_message_header(message, id); header;
	     header = sip_message_header_next(message, header))
		copy_header(out, action, header, gateway_zone(gateway, to_zone), route_domain(gateway, to_zone));
}

/* What a REGISTER may require of its registrar. */
static bool is_registration_tag(struct span tag)
{
	return span_is(tag, "path") || span_is(tag, "outbound") || span_is(tag, "gruu");
}

static bool is_among(struct span tag, const char *const *tags)
{
	for (; *tags; tags++)
		if (span_is(tag, *tags))
			return true;
	return false;
}

static bool is_option_tag(struct span tag)
{
	return is_among(tag, option_tags) || is_among(tag, own_tags);
}

/* The tags of headers `id` that are not known, comma-separated. */
static void collect_unknown(const struct sip_message *message, enum sip_header_id id, struct buffer *out)
{
	for (const struct sip_header *header = sip_message_header(message, id); header;
	     header = sip_message_header_next(message, header)) {
		struct span rest = header->value, tag;

		while (sip_list_next(&rest, &tag)) {
			if (is_option_tag(tag) || (message->method == SIP_REGISTER && is_registration_tag(tag)))
				continue;
			if (out->length)
				buffer_put_text(out, ", ");
			buffer_put_span(out, tag);
		}
	}
}

void policy_options(const struct sip_message *message, struct buffer *out)
{
	policy_options_with(message, NULL, out);
}

static void option_put(struct buffer *list, const char *tag)
{
	buffer_put_text(list, list->length ? ", " : "");
	buffer_put_text(list, tag);
}

void policy_options_with(const struct sip_message *message, const char *own, struct buffer *out)
{
	static const enum sip_header_id ids[] = {SIP_HEADER_SUPPORTED, SIP_HEADER_REQUIRE};

	for (size_t i = 0; i < ROWS(ids); i++) {
		char text[256];
		struct buffer value = BUFFER_OVER(text);

		for (size_t tag = 0; sip_message_header(message, ids[i]) && option_tags[tag]; tag++)
			if (sip_message_has_token(message, ids[i], option_tags[tag]))
				option_put(&value, option_tags[tag]);
		if (own && ids[i] == SIP_HEADER_SUPPORTED)
			option_put(&value, own);
		if (value.length)
			sip_write_header(out, ids[i], buffer_span(&value));
	}
}

bool policy_unsupported(const struct sip_message *request, struct buffer *out)
{
	collect_unknown(request, SIP_HEADER_REQUIRE, out);
	collect_unknown(request, SIP_HEADER_PROXY_REQUIRE, out);
	return out->length || out->overflow;
}

bool policy_body_allowed(enum sip_method method, struct span content_type)
{
	ptrdiff_t end = span_index(content_type, ';');
	struct span type = span_trim(end < 0 ? content_type : span_slice(content_type, 0, (size_t)end));

	if ((method == SIP_SUBSCRIBE || method == SIP_NOTIFY || method == SIP_PUBLISH) && event_body_known(type))
		return true;
	for (size_t i = 0; i < ROWS(body_types); i++)
		if (body_types[i].method == method && span_is(type, body_types[i].type))
			return true;
	return false;
}

uint16_t policy_status(uint16_t status, const struct config_zone *from, const struct config_zone *to)
{
	bool challenge = status == 401 || status == 407;

	/* One whom the gateway authenticated has no credentials for the PBX, and would answer a challenge in a circle. */
	if (challenge &&
	    (from->kind != ZONE_CORE || to->kind != ZONE_ACCESS || to->authentication != AUTHENTICATION_RELAY))
		return 403;
	if (status == 422)
		return 500; /* what a leg's session timer may be is between its peer and the gateway */
	if (status == 430)
		return 480; /* which flow failed is between us and the phone's proxy (RFC 5626 section 7) */
	if (status >= 300 && status < 400)
		return 480; /* nobody is sent elsewhere (S5); redirect.c has those of calls */
	return status;
}
