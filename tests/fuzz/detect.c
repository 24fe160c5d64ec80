/* SPDX-License-Identifier: Apache-2.0
 * Dumps of the detector, sealed with its key: what is taken must be usable, and come out and go in again. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "detect/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LONGEST 16384
#define WALL_S 1700000000

static const uint8_t key[HASH_KEY_BYTES];

static void verdict(void *context, const struct detect_verdict *told)
{
	(void)context;
	if (!told->subject.kind || (size_t)told->action >= ACTION_COUNT || (size_t)told->control >= CONTROL_COUNT)
		abort();
}

static void ended(void *context, const struct detect_verdict *told, enum detect_end why)
{
	(void)why;
	verdict(context, told);
}

static void visit(void *context, const struct detect_verdict *told)
{
	char text[DETECT_SUBJECT_TEXT_BYTES];
	struct detect_account why;

	verdict(context, told);
	detect_subject_text(&told->subject, text);
	detect_why(context, &told->subject, 0, &why);
}

/* Findings about whoever was restored, and an hour later. */
static void use(struct detect *detect)
{
	struct evidence evidence = {.kind = EVIDENCE_SIP_SCANNER, .count = 9, .proven = true};

	detect_each(detect, 0, visit, detect);
	address_parse(SPAN("198.51.100.7:5062"), &evidence.source);
	for (int i = 0; i < 9; i++)
		detect_put(detect, &evidence);
	evidence.kind = EVIDENCE_KERNEL_BLOCKED;
	detect_put(detect, &evidence);
	detect_tick(detect, UINT64_C(4600000000));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char sealed[LONGEST], again[65536];
	struct detect_user user = {.verdict = verdict, .ended = ended};
	struct protection policy;
	struct detect *detect;
	uint64_t check;

	if (size > LONGEST - 8)
		return 0;
	memcpy(sealed, data, size);
	check = htole64(hash_bytes(key, sealed, size));
	memcpy(sealed + size, &check, 8);
	protection_default(&policy);
	policy.subjects = policy.verdicts = 64;
	detect = detect_new(&policy, key, &user);
	if (!detect)
		return 0;
	if (!detect_restore(detect, UINT64_C(1000000000), WALL_S, (struct span){sealed, size + 8})) {
		ptrdiff_t length;

		use(detect);
		length = detect_dump(detect, 0, WALL_S, again, sizeof(again));
		if (length < 0 || detect_restore(detect, 0, WALL_S, (struct span){again, (size_t)length}))
			abort();
	}
	detect_free(detect);
	return 0;
}
