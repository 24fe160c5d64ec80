/* SPDX-License-Identifier: Apache-2.0
 * Parsing one message: what its parts share. */
#ifndef RINGWALL_SIP_MESSAGE_H
#define RINGWALL_SIP_MESSAGE_H

#include "sip/scan.h"

/* Where a message's header section is, found before anything is read in it. */
struct sip_section {
	const char *end;     /* behind the CRLF of the last header; NULL when the section's end is not there */
	size_t first_length; /* of the start line, with its line end; 0 when that is not there */
	size_t line_longest;
	uint32_t lines; /* with the start line; folded lines count each */
	bool too_many;  /* more than `lines_maximum`: the rest was not looked at */
};

struct sip_parse {
	const struct sip_limits *limits;
	struct sip_message *message;
	enum sip_reject reject; /* the first reason; parsing goes on, so that an answer can be built */
	struct scan scan;       /* over the header section; its bytes are writable */
	uint64_t seen[2];       /* header ids, of valid ones */
	uint16_t values[SIP_HEADER_COUNT];
	uint16_t capacity; /* of message->headers */
	int64_t content_length;
	bool contact_star;
	bool framing_lost; /* where the message ends is not certain: a stream cannot go on */
	bool via_lost;     /* a line that is or may be a Via was dropped: responses would go astray */
};

/* Notes that the message is refused. */
void sip_parse_reject(struct sip_parse *parse, enum sip_reject reject);

/* Looks for the end of the header section, at most through `lines_maximum` lines. */
void sip_section_find(struct span bytes, uint32_t lines_maximum, struct sip_section *section);

/* The Content-Length a complete section seems to announce, or -1: only good for knowing that more is to come. */
int64_t sip_section_content_length(struct span section);

/* Reads up to the end of a line and steps over its CRLF; folded lines are joined in place. *end is where the line's
 * text ends. Returns SIP_OK, or SIP_REJECT_BYTE (the rest of the line and what is folded to it is stepped over). */
enum sip_reject sip_line_take(struct sip_parse *parse, const char **end, bool *folded);

/* Reads all header lines of the section into message->headers and checks what the gateway uses. */
void sip_headers_parse(struct sip_parse *parse);

/* Checks the value of one header and keeps what the message wants of it. */
enum sip_reject sip_value_check(struct sip_parse *parse, unsigned id, struct span value);

#endif
