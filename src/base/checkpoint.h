/* SPDX-License-Identifier: Apache-2.0
 * Checkpoints: records in shared memory that outlive the process that wrote them. Writing costs no system call, and one killed
 * at any instruction leaves each record as it was or as it was to be, never between. One process at a time is attached.
 *
 * What a process finds when it attaches was written by one that died, perhaps of a fault in its memory: nothing in the area is
 * believed before it was checked, and what does not hold is dropped and counted. */
#ifndef RINGWALL_BASE_CHECKPOINT_H
#define RINGWALL_BASE_CHECKPOINT_H

#include "base/span.h"

#define CHECKPOINT_LONGEST (192u * 1024) /* bytes of a record */
#define CHECKPOINT_RECORDS_MAXIMUM (1u << 24)

struct checkpoint_area;

/* A memory file for that many records of 8 kB in the mean, which takes up memory only as it is written. It cannot change its
 * size any more. Returns the descriptor or a negative errno. */
int checkpoint_file_make(uint32_t records);

/* Maps the memory file (made for that many `records`) and checks what is in it. Takes over the descriptor. Returns 0; or
 * -EINVAL (a file of another size), -ENOMEM, or another negative errno. */
int checkpoint_attach(int descriptor, uint32_t records, struct checkpoint_area **area);
void checkpoint_free(struct checkpoint_area *area); /* the records stay; NULL is allowed */

/* Writes a record, or writes it anew in one step: *slot is the caller's, 0 when there is no record yet. `kind` and `version`
 * are the caller's and come back. What is there already is not written again. Allocates nothing. Returns 0; or -ENOSPC (the area is full), -EINVAL (longer than
 * CHECKPOINT_LONGEST), and then there is no such record any more, as an old one would say what is no longer true. */
int checkpoint_save(struct checkpoint_area *area, uint32_t *slot, uint16_t kind, uint16_t version, struct span bytes);

/* Takes the record away and wipes it: keys are in it. No effect when *slot is 0, which it is afterwards. */
void checkpoint_remove(struct checkpoint_area *area, uint32_t *slot);

/* Visits every record, in the order of slots. The bytes are the callee's during the visit, in which it may remove or save this
 * record, and others that were visited. */
void checkpoint_each(struct checkpoint_area *area,
		     void (*visit)(void *context, uint32_t slot, uint16_t kind, uint16_t version, struct span bytes),
		     void *context);

struct checkpoint_statistics {
	uint32_t records, blocks; /* in use; a block has 512 bytes */
	uint32_t corrupt;         /* dropped when the area was attached */
	uint64_t saves, refused;  /* refused: the area was full */
};
void checkpoint_statistics_get(const struct checkpoint_area *area, struct checkpoint_statistics *out);

#endif
