/* SPDX-License-Identifier: Apache-2.0
 * Via values. RFC 3261 sections 20.42 and 25.1, RFC 3581. */
#include <string.h>

#include "sip/address.h"

#define MAGIC_COOKIE "z9hG4bK"

/* "SIP/2.0/UDP", with blanks where they may stand. */
static bool protocol_parse(struct scan *scan, struct sip_via *via)
{
	struct span name, version;

	if (scan->end - scan->at > 8 && memcmp(scan->at, "SIP/2.0/", 8) == 0) {
		scan->at += 8;
	} else {
		name = scan_while(scan, CLASS_TOKEN);
		scan_blanks(scan);
		if (!span_equal_nocase(name, SPAN("SIP")) || !scan_byte(scan, '/'))
			return false;
		scan_blanks(scan);
		version = scan_while(scan, CLASS_TOKEN);
		scan_blanks(scan);
		if (!span_equal(version, SPAN("2.0")) || !scan_byte(scan, '/'))
			return false;
		scan_blanks(scan);
	}
	via->transport_text = scan_while(scan, CLASS_TOKEN);
	if (!via->transport_text.length)
		return false;
	/* UDP, the commonest, is what zero stands for */
	via->unknown_transport = !token_equal(via->transport_text, SPAN("UDP")) &&
				 transport_parse(via->transport_text, &via->transport) != 0;
	return true;
}

/* An address, IPv6 with or without brackets (RFC 5118 section 4.5). */
static bool received_is_valid(struct span value)
{
	struct address address;

	if (value.length > 2 && *value.data == '[' && value.data[value.length - 1] == ']')
		value = span_slice(value, 1, value.length - 2);
	return address_parse_ip(value, &address) == 0;
}

static bool parameter_take(struct sip_via *via, struct span name, struct span value)
{
	uint64_t number;

	if (token_equal(name, SPAN("branch"))) {
		/* The cookie alone names no transaction, and all who send it would share one
		 * (RFC 4475 section 3.2.1). */
		via->branch = value;
		return value.length && *value.data != '"' && !span_equal(value, SPAN(MAGIC_COOKIE));
	}
	if (token_equal(name, SPAN("received"))) {
		via->received = value;
		return received_is_valid(value);
	}
	if (token_equal(name, SPAN("rport"))) {
		via->rport = true;
		if (!value.data)
			return true;
		if (span_to_uint(value, 65535, &number) || number == 0)
			return false;
		via->rport_value = (uint16_t)number;
	}
	return true;
}

static bool parameters_parse(struct scan *scan, struct sip_via *via)
{
	const char *start;
	struct name_set names;
	struct span name, value;
	enum step step;

	scan_blanks(scan);
	start = scan->at;
	name_set_init(&names);
	while ((step = scan_parameter(scan, &name, &value)) == STEP_TAKEN) {
		if (!name_set_add(&names, name) || !parameter_take(via, name, value))
			return false;
	}
	via->parameters = trimmed_between(start, scan->at);
	return step == STEP_END;
}

static bool take(struct scan *scan, struct sip_via *via)
{
	const char *start;

	scan_blanks(scan);
	start = scan->at;
	if (!protocol_parse(scan, via) || scan->at == scan->end || !byte_is(*scan->at, CLASS_BLANK))
		return false;
	scan_blanks(scan);
	if (!scan_host_port(scan, true, &via->host, &via->port) || !parameters_parse(scan, via))
		return false;
	via->text = trimmed_between(start, scan->at);
	return scan->at == scan->end || *scan->at == ',';
}

enum sip_reject sip_via_take(struct scan *scan, struct sip_via *via)
{
	memset(via, 0, sizeof(*via));
	if (take(scan, via))
		return SIP_OK;
	memset(via, 0, sizeof(*via));
	return SIP_REJECT_VIA;
}
