/* SPDX-License-Identifier: Apache-2.0
 * Two phones and a PBX that do what chance says: right, wrong, early, late, twice. The chance is a seed or a fuzzer's bytes. */
#ifndef RINGWALL_TESTS_CALL_DRIVE_H
#define RINGWALL_TESTS_CALL_DRIVE_H

#include "kit.h"

#define DRIVE_REMEMBERED 8

struct drive {
	struct kit kit;
	const uint8_t *bytes; /* NULL: from the seed */
	size_t length;
	uint64_t seed;
	uint32_t count; /* makes branches and Call-IDs */
	bool keeps;     /* the gateway keeps checkpoints, and dies at times */
	uint64_t deaths;
	uint64_t received, responses, requests;
	uint64_t answered, registered; /* calls and bindings that came about */
	uint64_t subscribed;           /* SUBSCRIBEs that were passed on */
	uint64_t refreshed, expired;   /* refreshes by the gateway (RFC 4028), and calls that nobody refreshed */
	uint64_t unwrapped;            /* descriptions that were in multiparts, and crossed */
	struct {
		char texts[DRIVE_REMEMBERED][4096];
		uint32_t next;
	} memory[3]; /* what each peer received last: phone, PBX, stranger */
};

void drive_start(struct drive *drive, const char *zone_extra, const char *encryption);
/* One more thing happens. False: the bytes are used up. */
bool drive_step(struct drive *drive);
/* Everybody falls silent; nothing may be left. */
void drive_stop(struct drive *drive);

#endif
