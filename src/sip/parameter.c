/* SPDX-License-Identifier: Apache-2.0
 * Parameters and comma lists, as the users of parsed messages walk them. */
#include <string.h>

#include "sip/scan.h"

/* Parameters of URIs and of headers alike: what was parsed is one of both, and header syntax with the
 * characters of URIs added reads either. */
static bool next_generic(struct scan *scan, struct span *name, struct span *value)
{
	*value = SPAN_EMPTY;
	scan_blanks(scan);
	if (!scan_byte(scan, ';'))
		return false;
	scan_blanks(scan);
	*name = scan_escaped(scan, CLASS_TOKEN | CLASS_PARAMETER);
	if (!name->length)
		return false;
	scan_blanks(scan);
	if (!scan_byte(scan, '='))
		return true;
	scan_blanks(scan);
	if (scan_sees(scan, '"'))
		return scan_quoted(scan, value);
	*value = scan_escaped(scan, CLASS_VALUE | CLASS_PARAMETER);
	return true;
}

bool sip_parameter_next(struct span *rest, struct span *name, struct span *value)
{
	struct scan scan = scan_over(*rest);

	if (!next_generic(&scan, name, value))
		return false;
	*rest = span_between(scan.at, scan.end);
	return true;
}

bool sip_parameter_get(struct span parameters, const char *name, struct span *value)
{
	struct span found_name, found_value;

	while (sip_parameter_next(&parameters, &found_name, &found_value)) {
		if (!span_is(found_name, name))
			continue;
		if (value)
			*value = found_value;
		return true;
	}
	return false;
}

/* To the comma that ends an element, or the end. False if a quote or a bracket stays open. */
static bool element_skip(struct scan *scan)
{
	struct span quoted;

	while (scan->at < scan->end && *scan->at != ',') {
		if (*scan->at == '"') {
			if (!scan_quoted(scan, &quoted))
				return false;
		} else if (*scan->at == '<') {
			scan->at = memchr(scan->at, '>', (size_t)(scan->end - scan->at));
			if (!scan->at)
				return false;
			scan->at++;
		} else {
			scan->at++;
		}
	}
	return true;
}

bool sip_list_next(struct span *rest, struct span *element)
{
	struct scan scan = scan_over(span_trim(*rest));
	const char *start = scan.at, *comma;

	*element = SPAN_EMPTY;
	*rest = span_between(scan.at, scan.end);
	if (!element_skip(&scan))
		return false;
	*element = span_trim(span_between(start, scan.at));
	if (!element->length)
		return false;
	comma = scan.at;
	if (scan_byte(&scan, ',')) {
		scan_blanks(&scan);
		if (scan.at == scan.end) /* nothing follows: let the next call see the comma and refuse it */
			scan.at = comma;
	}
	*rest = span_between(scan.at, scan.end);
	return true;
}
