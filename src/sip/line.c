/* SPDX-License-Identifier: Apache-2.0
 * Lines: the end of the header section, and single lines with folding. RFC 3261 sections 7.3.1 and 25.1. */
#include <string.h>

#include "sip/header.h"
#include "sip/message.h"

void sip_section_find(struct span bytes, uint32_t lines_maximum, struct sip_section *section)
{
	const char *at = bytes.data, *end = bytes.data + bytes.length, *feed;

	memset(section, 0, sizeof(*section));
	while (at < end && (feed = memchr(at, '\n', (size_t)(end - at)))) {
		size_t length = (size_t)(feed + 1 - at);

		if (!section->lines++)
			section->first_length = length;
		if (length > section->line_longest)
			section->line_longest = length;
		at = feed + 1;
		if (end - at >= 2 && at[0] == '\r' && at[1] == '\n') {
			section->end = at;
			return;
		}
		section->too_many = section->lines > lines_maximum;
		if (section->too_many)
			return;
	}
	if ((size_t)(end - at) > section->line_longest)
		section->line_longest = (size_t)(end - at);
}

int64_t sip_section_content_length(struct span section)
{
	struct scan scan = scan_over(section);
	const char *feed;
	struct span name;
	uint64_t value;

	while ((feed = memchr(scan.at, '\n', (size_t)(scan.end - scan.at))) && feed + 1 < scan.end) {
		scan.at = feed + 1;
		if ((*scan.at | 0x20) != 'c' && (*scan.at | 0x20) != 'l')
			continue;
		name = scan_while(&scan, CLASS_TOKEN);
		if (sip_header_find(name) != SIP_HEADER_CONTENT_LENGTH)
			continue;
		scan_blanks(&scan);
		if (!scan_byte(&scan, ':'))
			return -1;
		scan_blanks(&scan);
		return scan_number(&scan, UINT32_MAX, &value) ? (int64_t)value : -1;
	}
	return -1;
}

/* After a bad byte: on to the next line that is not folded to this one. */
static void line_skip(struct scan *scan)
{
	const char *feed;

	while ((feed = memchr(scan->at, '\n', (size_t)(scan->end - scan->at)))) {
		bool whole = feed > scan->at && feed[-1] == '\r';

		scan->at = feed + 1;
		if (whole && (scan->at == scan->end || !byte_is(*scan->at, CLASS_BLANK)))
			return;
	}
	scan->at = scan->end;
}

enum sip_reject sip_line_take(struct sip_parse *parse, const char **line_end, bool *folded)
{
	struct scan *scan = &parse->scan;
	const char *at = scan->at, *end = scan->end;
	size_t length;

	*folded = false;
	for (;;) {
		at = scan_printable(at, end);
		if (at == end)
			break;
		if (*at == '\t') {
			at++;
		} else if (*at & 0x80) {
			length = scan_utf8(at, end);
			if (!length)
				break;
			at += length;
		} else if (*at == '\r' && end - at >= 2 && at[1] == '\n') {
			if (end - at == 2 || !byte_is(at[2], CLASS_BLANK)) {
				*line_end = at;
				scan->at = at + 2;
				return SIP_OK;
			}
			/* The bytes are the caller's and writable: see sip_message_parse. */
			((char *)at)[0] = ((char *)at)[1] = ' ';
			*folded = true;
			at += 2;
		} else {
			break;
		}
	}
	scan->at = at;
	line_skip(scan);
	return SIP_REJECT_BYTE;
}
