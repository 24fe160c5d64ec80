/* SPDX-License-Identifier: Apache-2.0
 * URIs: sip, sips and tel, taken apart. RFC 3261 sections 19.1 and 25.1, RFC 3966 section 3. */
#include <errno.h>
#include <string.h>

#include "sip/scan.h"

/* The limit on their number (here and below) keeps comparing them with each other cheap. */
static bool parameters_parse(struct scan *scan, struct span *parameters)
{
	const char *start = scan->at;
	struct name_set names;
	struct span name, value;
	enum step step;

	if (!scan_sees(scan, ';'))
		return true;
	name_set_init(&names);
	while ((step = scan_uri_parameter(scan, &name, &value)) == STEP_TAKEN) {
		if (!name_set_add(&names, name))
			return false;
	}
	*parameters = span_between(start, scan->at);
	return step == STEP_END;
}

/* "?name=value&name=value"; a value may be empty. */
static bool headers_parse(struct scan *scan, struct span *headers)
{
	const char *start = scan->at + 1;
	unsigned count = 0;

	if (!scan_sees(scan, '?'))
		return true;
	do {
		scan->at++;
		if (++count > PARAMETERS_MAXIMUM || !scan_escaped(scan, CLASS_HEADER).length || !scan_byte(scan, '='))
			return false;
		scan_escaped(scan, CLASS_HEADER);
	} while (scan_sees(scan, '&'));
	*headers = span_between(start, scan->at);
	return true;
}

/* An '@' stands nowhere else than behind the user, so that one look ahead decides what the first part is. */
static bool user_parse(struct scan *scan, struct sip_uri *uri)
{
	const char *start = scan->at;

	uri->user = scan_escaped(scan, CLASS_USER);
	if (scan_byte(scan, ':')) {
		uri->password = scan_escaped(scan, CLASS_PASSWORD);
		if (!scan_sees(scan, '@'))
			uri->password = SPAN_EMPTY;
	}
	if (scan_byte(scan, '@'))
		return uri->user.length > 0;
	uri->user = SPAN_EMPTY;
	scan->at = start;
	return true;
}

static enum sip_reject sip_parse(struct scan *scan, struct sip_uri *uri)
{
	if (!user_parse(scan, uri) || !scan_host_port(scan, false, &uri->host, &uri->port) ||
	    !parameters_parse(scan, &uri->parameters) || !headers_parse(scan, &uri->headers))
		return SIP_REJECT_URI;
	return scan->at == scan->end ? SIP_OK : SIP_REJECT_URI;
}

static enum sip_reject tel_parse(struct scan *scan, struct sip_uri *uri)
{
	bool has_digit = false;

	uri->user = scan_while(scan, CLASS_TEL);
	for (size_t i = 0; i < uri->user.length; i++) {
		char byte = uri->user.data[i];

		if (byte == '+' && i > 0)
			return SIP_REJECT_URI;
		has_digit |= byte_is(byte, CLASS_HEX) || byte == '*' || byte == '#';
	}
	if (!has_digit || !parameters_parse(scan, &uri->parameters))
		return SIP_REJECT_URI;
	return scan->at == scan->end ? SIP_OK : SIP_REJECT_URI;
}

/* Another scheme: only whether it is a URI at all. RFC 2396 section 3. */
static enum sip_reject other_parse(struct span text)
{
	struct scan scan = scan_over(text);

	if (!scan_while(&scan, CLASS_ALPHA).length)
		return SIP_REJECT_URI;
	while (scan.at < scan.end && (byte_is(*scan.at, CLASS_ALPHA | CLASS_DIGIT) || strchr("+-.", *scan.at)))
		scan.at++;
	if (!scan_byte(&scan, ':') || !scan_escaped(&scan, CLASS_URI).length || scan.at != scan.end)
		return SIP_REJECT_URI;
	return SIP_REJECT_SCHEME;
}

static inline bool scheme_is(struct span text, struct span scheme)
{
	return text.length > scheme.length && text.data[scheme.length] == ':' &&
	       token_equal((struct span){text.data, scheme.length}, scheme);
}

enum sip_reject sip_uri_parse(struct span text, struct sip_uri *uri)
{
	struct scan scan = scan_over(text);
	enum sip_reject reject;

	memset(uri, 0, sizeof(*uri));
	uri->text = text;
	if (scheme_is(text, SPAN("sip"))) {
		scan.at += 4;
		reject = sip_parse(&scan, uri);
	} else if (scheme_is(text, SPAN("sips"))) {
		uri->scheme = SIP_SCHEME_SIPS;
		scan.at += 5;
		reject = sip_parse(&scan, uri);
	} else if (scheme_is(text, SPAN("tel"))) {
		uri->scheme = SIP_SCHEME_TEL;
		scan.at += 4;
		reject = tel_parse(&scan, uri);
	} else {
		reject = other_parse(text);
	}
	if (reject != SIP_OK) {
		memset(uri, 0, sizeof(*uri));
		if (reject == SIP_REJECT_SCHEME)
			uri->text = text;
	}
	return reject;
}
