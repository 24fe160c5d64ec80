/* SPDX-License-Identifier: Apache-2.0
 * What the tests of detect share: a detector whose verdicts are kept, and short ways to put evidence. */
#ifndef RINGWALL_TESTS_DETECT_KIT_H
#define RINGWALL_TESTS_DETECT_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "detect/detect.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define VERDICTS_MAXIMUM 512
struct kit {
	struct protection policy; /* change it before kit_start */
	struct detect *detect;
	struct detect_verdict verdicts[VERDICTS_MAXIMUM]; /* the first so many */
	uint32_t count;                                   /* all, prolonged ones too */
	uint32_t ended[3];                                /* by enum detect_end */
	uint64_t now_us;
	uint64_t trace; /* a hash of all that was told */
};

extern const uint8_t kit_key[HASH_KEY_BYTES];

void kit_init(struct kit *kit); /* the default policy, small tables */
void kit_start(struct kit *kit);
void kit_stop(struct kit *kit);
void kit_forget_told(struct kit *kit);
void kit_wait(struct kit *kit, uint64_t us); /* second by second, when it is not long */

struct address kit_address(const char *text);
uint64_t kit_name(const char *zone, uint32_t number); /* the hash of a user */

/* One finding of a proven source over UDP, now. `account` and `target` may be 0. */
struct evidence kit_finding(const struct kit *kit, enum evidence_kind kind, const struct address *source,
			    uint64_t account, uint64_t target);
void kit_put(struct kit *kit, enum evidence_kind kind, const struct address *source, uint64_t account, uint64_t target);
/* Puts it until something is told, `most` times at most; returns how often. */
uint32_t kit_put_until(struct kit *kit, struct evidence evidence, uint32_t most);

/* The last verdict told, which must be of this kind. */
const struct detect_verdict *kit_expect(const struct kit *kit, enum protection_control control,
					enum evidence_subject subject, enum protection_action action);

/* Whether a request of that source would be let in. */
bool kit_is_let_in(const struct kit *kit, const struct address *source, uint64_t account);

#endif
