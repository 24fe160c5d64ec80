/* SPDX-License-Identifier: Apache-2.0
 * Private to detect: the form of evidence on record. A head, then slots of equal size; finding number n stands in slot n - 1 modulo their
 * number. Each has a checksum by the head's random number: one that belongs to another file, or is torn, is not taken. */
#ifndef RINGWALL_DETECT_RECORD_H
#define RINGWALL_DETECT_RECORD_H

#include "detect/bytes.h"

#define RECORD_HEAD_BYTES 4096

struct record_head {
	uint8_t id[HASH_KEY_BYTES];
	uint32_t capacity;
	uint8_t addresses; /* enum detect_record_addresses */
	bool is_own;       /* its kinds are numbered as here: one can go on writing */
	struct names kinds;
};
void record_head_write(const struct record_head *head, char out[RECORD_HEAD_BYTES]);
/* Returns 0 or -EPROTO. */
int record_head_read(const char bytes[RECORD_HEAD_BYTES], struct record_head *head);

void record_finding_write(const struct record_head *head, uint64_t number, const struct evidence *evidence,
			  char out[DETECT_RECORD_BYTES]);
/* Its number; or 0 when it is none of this file. *known: its kind is known here, and *evidence set. */
uint64_t record_finding_read(const struct record_head *head, const char bytes[DETECT_RECORD_BYTES],
			     struct evidence *evidence, bool *known);

/* Another address in the place of this one; the port stays. */
void record_address_hide(enum detect_record_addresses how, const uint8_t key[HASH_KEY_BYTES], struct address *address);

#endif
