/* SPDX-License-Identifier: Apache-2.0
 * The header table's rows, for the parser and the writer. */
#ifndef RINGWALL_SIP_HEADER_H
#define RINGWALL_SIP_HEADER_H

#include "sip/sip.h"

struct sip_header_row {
	struct span name;
	char compact;
	uint8_t kind, flags;
};
extern const struct sip_header_row sip_header_rows[SIP_HEADER_COUNT];

/* SIP_HEADER_OTHER if the table does not have it. Names are matched in either case, long or compact. `name` is a token. */
enum sip_header_id sip_header_find(struct span name);

#endif
