/* SPDX-License-Identifier: Apache-2.0
 * Evidence on record: a file of any bytes, its checksums put right or not as the first byte says, is read, replayed and written on. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "detect/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LONGEST (RECORD_HEAD_BYTES + 64 * DETECT_RECORD_BYTES)

static void verdict(void *context, const struct detect_verdict *told)
{
	(void)context;
	(void)told;
}

static bool visit(void *context, const struct evidence *evidence)
{
	if ((size_t)evidence->kind >= EVIDENCE_KIND_COUNT)
		abort();
	detect_put(context, evidence);
	return true;
}

/* As if whoever wrote the bytes had known the number in the head. */
static void seal(char *bytes, size_t length)
{
	const uint8_t *id = (const uint8_t *)bytes + 8;
	uint64_t check;

	if (length < RECORD_HEAD_BYTES)
		return;
	check = hash_bytes(id, bytes, RECORD_HEAD_BYTES - 8);
	memcpy(bytes + RECORD_HEAD_BYTES - 8, &check, 8);
	for (size_t at = RECORD_HEAD_BYTES; at + DETECT_RECORD_BYTES <= length; at += DETECT_RECORD_BYTES) {
		check = hash_bytes(id, bytes + at, DETECT_RECORD_BYTES - 8);
		memcpy(bytes + at + DETECT_RECORD_BYTES - 8, &check, 8);
	}
}

static void read_whole(int descriptor, struct detect_record_summary *summary)
{
	struct detect_user user = {.verdict = verdict};
	static const uint8_t key[HASH_KEY_BYTES];
	struct protection policy;
	struct detect *detect;

	protection_default(&policy);
	policy.subjects = policy.verdicts = 64;
	detect = detect_new(&policy, key, &user);
	if (!detect)
		abort();
	detect_record_read(descriptor, visit, detect, summary);
	detect_free(detect);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char bytes[LONGEST];
	uint64_t chance = 1;
	struct detect_record_options options = {.capacity = 16, .random = random_seeded(&chance)};
	struct evidence evidence = {.kind = EVIDENCE_SIP_SCANNER, .count = 1, .time_us = 5};
	struct detect_record_summary summary;
	struct detect_record *record;
	int descriptor;

	if (size < 1 || size - 1 > sizeof(bytes))
		return 0;
	memcpy(bytes, data + 1, size - 1);
	if (data[0] & 1)
		seal(bytes, size - 1);
	descriptor = memfd_create("fuzz", MFD_CLOEXEC);
	if (descriptor < 0 || write(descriptor, bytes, size - 1) != (ssize_t)(size - 1))
		abort();
	read_whole(descriptor, &summary);
	if (detect_record_open(descriptor, &options, &record))
		abort();
	for (int i = 0; i < 20; i++)
		detect_record_put(record, &evidence);
	if (detect_record_flush(record))
		abort();
	detect_record_close(record);
	read_whole(descriptor, &summary);
	if (summary.findings < 15)
		abort();
	close(descriptor);
	return 0;
}
