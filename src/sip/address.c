/* SPDX-License-Identifier: Apache-2.0
 * Addresses in headers: name-addr and addr-spec with parameters. RFC 3261 sections 20.10 and 25.1. */
#include "sip/address.h"

#include <string.h>

/* What stands before '<'. RFC 4475 section 3.1.1.6: no blank is needed between them. */
static bool display_parse(struct scan *scan, struct span *display)
{
	if (scan_sees(scan, '"'))
		return scan_quoted(scan, display);
	*display = span_trim(scan_while(scan, CLASS_DISPLAY));
	return true;
}

static bool uri_set(struct span text, struct sip_address *address)
{
	enum sip_reject reject = sip_uri_parse(text, &address->uri);

	address->unknown_scheme = reject == SIP_REJECT_SCHEME;
	return reject == SIP_OK || address->unknown_scheme;
}

/* "<uri>": nothing else may stand between the brackets, which no URI holds. */
static bool bracketed_parse(struct scan *scan, struct sip_address *address)
{
	const char *start = scan->at + 1;
	const char *close = memchr(start, '>', (size_t)(scan->end - start));

	if (!close)
		return false;
	scan->at = close + 1;
	return uri_set(span_between(start, close), address);
}

/* Without brackets ';' begins the header's parameters, and ',' and '?' may not stand in the URI at all
 * (RFC 3261 section 20.10). */
static bool bare_parse(struct scan *scan, struct sip_address *address)
{
	const char *start = scan->at;

	while (scan->at < scan->end && !byte_is(*scan->at, CLASS_BLANK) && *scan->at != ';' && *scan->at != ',')
		scan->at++;
	if (memchr(start, '?', (size_t)(scan->at - start)))
		return false;
	return uri_set(span_between(start, scan->at), address);
}

static bool parameters_parse(struct scan *scan, struct sip_address *address)
{
	const char *start;
	struct name_set names;
	struct span name, value;
	enum step step;

	scan_blanks(scan);
	start = scan->at;
	name_set_init(&names);
	while ((step = scan_parameter(scan, &name, &value)) == STEP_TAKEN) {
		if (!name_set_add(&names, name))
			return false;
		if (!token_equal(name, SPAN("tag")))
			continue;
		/* A tag is a token: an empty or quoted one is read differently by different servers. */
		if (!value.length || *value.data == '"')
			return false;
		address->tag = value;
	}
	address->parameters = trimmed_between(start, scan->at);
	return step == STEP_END;
}

static bool take(struct scan *scan, struct sip_address *address)
{
	const char *start;

	scan_blanks(scan);
	start = scan->at;
	if (!display_parse(scan, &address->display))
		return false;
	scan_blanks(scan);
	if (scan_sees(scan, '<')) {
		if (!bracketed_parse(scan, address))
			return false;
	} else {
		if (scan_sees(scan, '"') || (address->display.length && *address->display.data == '"'))
			return false;
		address->display = SPAN_EMPTY;
		scan->at = start;
		if (!bare_parse(scan, address))
			return false;
	}
	if (!parameters_parse(scan, address))
		return false;
	address->text = trimmed_between(start, scan->at);
	return scan->at == scan->end || *scan->at == ',';
}

enum sip_reject sip_address_take(struct scan *scan, struct sip_address *address)
{
	memset(address, 0, sizeof(*address));
	if (take(scan, address))
		return SIP_OK;
	memset(address, 0, sizeof(*address));
	return SIP_REJECT_HEADER_VALUE;
}

enum sip_reject sip_address_parse(struct span text, struct sip_address *address)
{
	struct span trimmed = span_trim(text);
	struct scan scan = scan_over(trimmed);
	enum sip_reject reject;

	if (trimmed.length == 1 && *trimmed.data == '*') {
		memset(address, 0, sizeof(*address));
		address->text = trimmed;
		address->star = true;
		return SIP_OK;
	}
	reject = sip_address_take(&scan, address);
	if (reject == SIP_OK && scan.at != scan.end) {
		memset(address, 0, sizeof(*address));
		reject = SIP_REJECT_HEADER_VALUE;
	}
	return reject;
}
