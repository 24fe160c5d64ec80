/* SPDX-License-Identifier: Apache-2.0
 * Bodies other than session descriptions, on their way from one zone to another: presence (RFC 3863), dialog information (RFC 4235),
 * registration information (RFC 3680), message summaries (RFC 3842) and lists of them (RFC 4662). They are full of URIs, Call-IDs
 * and tags of the side they come from, none of which the other side may see (THREATS S18). Pure: no gateway, no memory of its own. */
#ifndef RINGWALL_CALL_BODY_H
#define RINGWALL_CALL_BODY_H

#include "base/buffer.h"
#include "base/table.h"

#define BODY_MAXIMUM 65507         /* what a rewritten body may hold */
#define BODY_TYPE_CAPACITY 256     /* its Content-Type */
#define BODY_ATTRIBUTES_MAXIMUM 64 /* of one element */
#define BODY_PARTS_MAXIMUM 512     /* of one multipart body */
#define BODY_NESTING_MAXIMUM 3     /* multiparts within each other */

struct body_rules {
	const char *domain;                                    /* stands in place of every host of a SIP URI */
	uint8_t key[HASH_KEY_BYTES];                           /* names of dialogs become a keyed hash of themselves */
	bool (*type_allowed)(void *context, struct span type); /* of the parts of a multipart body */
	/* Of a URI of another scheme than SIP's; addresses and names that only the inside resolves always are. */
	bool (*host_is_inner)(void *context, struct span host);
	/* Whether the gateway itself gave the dialog this tag: it then stays as it is, to find the dialog again by. */
	bool (*tag_is_ours)(void *context, struct span call_id, struct span tag);
	void *context;
};

/* Writes what of a body may cross into `out`, and its Content-Type into `type_out`. Returns 0 or the SIP status to refuse with:
 * 400 for what is not UTF-8, holds control characters, is no XML that we can read or declares entities; 415 for a type or
 * encoding that may not stand in it; 513 when the result does not fit. */
int body_rewrite(const struct body_rules *rules, struct span content_type, struct span body, struct buffer *type_out,
		 struct buffer *out);

/* The type of a Content-Type value, without parameters. */
struct span body_type(struct span content_type);

/* What stands for the name of a dialog on the other side: hexadecimal, always the same. */
#define BODY_NAME_CAPACITY 17
void body_name_hide(const uint8_t key[HASH_KEY_BYTES], struct span name, char out[BODY_NAME_CAPACITY]);

/* body_uri.c: running text; copies it with the URIs in it rewritten. */
void body_text_write(const struct body_rules *rules, struct span text, struct buffer *out);
/* "local@host" of a Content-ID, with our domain. */
void body_content_id_write(const struct body_rules *rules, struct span id, struct buffer *out);

/* body_xml.c: 0, 400 or 415. */
int body_xml_write(const struct body_rules *rules, struct span text, struct buffer *out);

#endif
