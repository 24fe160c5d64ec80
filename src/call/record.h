/* SPDX-License-Identifier: Apache-2.0
 * Records of what outlives the gate's process (docs/decisions/0007-checkpoints.md): an object is written as fields, each a tag, a
 * length and bytes, by a table of rows. A tag means the same for ever, so that a gate of another version reads what it knows:
 * a field that it does not know is passed over, one that is missing keeps its zero, and zeros are not written at all. */
#ifndef RINGWALL_CALL_RECORD_H
#define RINGWALL_CALL_RECORD_H

#include "call/calls.h"

enum record_field {
	RECORD_NUMBER,  /* an unsigned integer, in place */
	RECORD_FLAG,    /* bool */
	RECORD_TEXT,    /* char *, on the heap; NULL: absent */
	RECORD_CHARS,   /* char[], with its NUL */
	RECORD_BYTES,   /* an array or struct without pointers, as it is */
	RECORD_BLOB,    /* char * on the heap, its size_t length elsewhere: RECORD_ROW_BLOB */
	RECORD_SPAN,    /* struct span; when read, into the record's own bytes */
	RECORD_ADDRESS, /* struct address */
	RECORD_ZONE,    /* uint8_t: by name, as the zones of the next configuration have other numbers */
	RECORD_FLOW,    /* struct flow: zone by name, listener by transport and address */
};

struct record_row {
	uint8_t tag; /* from 1, unique in its object */
	uint8_t field;
	uint16_t offset, size;
};
#define RECORD_ROW(tag, field, type, member) \
	{ \
		tag, RECORD_##field, offsetof(type, member), sizeof(((type *)0)->member) \
	}

#define RECORD_ROW_BLOB(tag, type, member, length) \
	{ \
		tag, RECORD_BLOB, offsetof(type, member), offsetof(type, length) \
	}

struct record_rows {
	const struct record_row *rows;
	uint16_t count;
};
#define RECORD_ROWS(array) ((struct record_rows){(array), sizeof(array) / sizeof((array)[0])})

extern const struct record_rows record_leg; /* of struct leg: snapshot.c */

/* Writes all fields of an object that are not zero. */
void record_write(const struct gateway *gateway, struct record_rows rows, const void *object, struct buffer *out);
/* One field of the caller's own. */
void record_put(struct buffer *out, uint8_t tag, struct span bytes);
/* An object within another: record_write and record_put between the two calls. */
size_t record_begin(struct buffer *out, uint8_t tag);
void record_end(struct buffer *out, size_t begun);

/* The next field. False at the end, or when it does not hold together, *rest then not being empty. */
bool record_next(struct span *rest, uint8_t *tag, struct span *value);
/* Takes a field into the zeroed object. False: its bytes cannot be right, its zone is gone, or no memory. A tag without a row is
 * passed over. The object's texts are the caller's to free, also then. */
bool record_take(struct gateway *gateway, struct record_rows rows, void *object, uint8_t tag, struct span value);

#endif
