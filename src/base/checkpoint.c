/* SPDX-License-Identifier: Apache-2.0
 * Records as chains of blocks; see checkpoint.h. An index holds the first block of each record: one store of it publishes a
 * chain that was written whole before, so that who is killed in between leaves the old chain in force. Which blocks are free
 * is never stored: it follows from the index when the area is attached. */
#include "base/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

#define AREA_MAGIC 0x32746e69706b6863ull /* "chkpint2": another layout has another one */
#define AREA_PAGE 4096u
#define BLOCK_BYTES 512u
#define BLOCK_PAYLOAD (BLOCK_BYTES - sizeof(uint32_t))
#define BLOCKS_PER_RECORD 16u

struct area_header {
	uint64_t magic;
	uint32_t records;
	uint32_t used; /* blocks above this were never written */
};

struct block {
	uint32_t
		next; /* number of the block that goes on, from 1; 0: the last one, or free at the end of the free list */
	uint8_t bytes[BLOCK_PAYLOAD];
};

/* At the start of a record's first block, the bytes behind it. */
struct record {
	uint64_t checksum; /* of the rest of this and of the bytes */
	uint32_t length;
	uint16_t kind, version;
};
#define FIRST_PAYLOAD (BLOCK_PAYLOAD - sizeof(struct record))

struct checkpoint_area {
	struct area_header *header;
	uint32_t *index; /* by slot less 1: number of the first block, 0: none */
	struct block *blocks;
	size_t size;
	uint32_t records, block_count;
	uint32_t used, free_first, free_count; /* free blocks below `used` */
	uint32_t *free_slots, free_slot_count;
	char *copy; /* CHECKPOINT_LONGEST */
	struct checkpoint_statistics statistics;
};

/* ---- Layout ---- */

static size_t index_bytes(uint32_t records)
{
	return (records * sizeof(uint32_t) + AREA_PAGE - 1) / AREA_PAGE * AREA_PAGE;
}

static size_t area_bytes(uint32_t records)
{
	return AREA_PAGE + index_bytes(records) + (size_t)records * BLOCKS_PER_RECORD * BLOCK_BYTES;
}

int checkpoint_file_make(uint32_t records)
{
	int descriptor, error = 0;

	if (!records || records > CHECKPOINT_RECORDS_MAXIMUM)
		return -EINVAL;
	descriptor = memfd_create("checkpoints", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (descriptor < 0)
		return -errno;
	/* Sealed in its size: a shorter file would end who reads the mapping. */
	if (ftruncate(descriptor, (off_t)area_bytes(records)) ||
	    fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		error = -errno;
	if (!error)
		return descriptor;
	close(descriptor);
	return error;
}

static struct block *block_at(const struct checkpoint_area *area, uint32_t number)
{
	return &area->blocks[number - 1];
}

static uint32_t blocks_for(size_t length)
{
	return length <= FIRST_PAYLOAD ? 1
				       : 1 + (uint32_t)((length - FIRST_PAYLOAD + BLOCK_PAYLOAD - 1) / BLOCK_PAYLOAD);
}

/* Against what a stray write does, not against who means harm: he could write the sum, too. Four lanes, so that no multiplication
 * waits for the one before, each a variable of its own: an array of them would be kept in memory. */
#define LANE_BYTES sizeof(uint64_t)
#define LANE_FACTOR 0xff51afd7ed558ccdull

static inline uint64_t lane_add(uint64_t lane, const char *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return (lane ^ word) * LANE_FACTOR;
}

static uint64_t lane_fold(uint64_t sum, uint64_t lane)
{
	return (sum ^ lane ^ lane >> 32) * LANE_FACTOR;
}

static uint64_t checksum(const struct record *record, const char *bytes)
{
	uint64_t a = record->length, b = record->kind, c = record->version, d = 0, sum = 0x9e3779b97f4a7c15ull;
	size_t left = record->length % (4 * LANE_BYTES), whole = record->length - left;
	char rest[4 * LANE_BYTES] = {0};

	for (size_t at = 0; at < whole; at += sizeof(rest)) {
		a = lane_add(a, bytes + at);
		b = lane_add(b, bytes + at + LANE_BYTES);
		c = lane_add(c, bytes + at + 2 * LANE_BYTES);
		d = lane_add(d, bytes + at + 3 * LANE_BYTES);
	}
	if (left)
		memcpy(rest, bytes + whole, left);
	sum = lane_fold(sum, lane_add(a, rest));
	sum = lane_fold(sum, lane_add(b, rest + LANE_BYTES));
	sum = lane_fold(sum, lane_add(c, rest + 2 * LANE_BYTES));
	sum = lane_fold(sum, lane_add(d, rest + 3 * LANE_BYTES));
	return sum ^ sum >> 32;
}

/* ---- Free blocks: a list through themselves, and all above `used` ---- */

static uint32_t blocks_free(const struct checkpoint_area *area)
{
	return area->free_count + (area->block_count - area->used);
}

static uint32_t block_take(struct checkpoint_area *area)
{
	uint32_t number = area->free_first;

	if (number) {
		area->free_first = block_at(area, number)->next;
		area->free_count--;
		return number;
	}
	number = ++area->used;
	/* Before anything is written there: who comes after us wipes up to here. */
	__atomic_store_n(&area->header->used, area->used, __ATOMIC_RELEASE);
	return number;
}

static void block_give(struct checkpoint_area *area, uint32_t number)
{
	struct block *block = block_at(area, number);

	memory_wipe(block->bytes, sizeof(block->bytes));
	block->next = area->free_first;
	area->free_first = number;
	area->free_count++;
}

static void chain_give(struct checkpoint_area *area, uint32_t number)
{
	while (number) {
		uint32_t next = block_at(area, number)->next;

		block_give(area, number);
		area->statistics.blocks--;
		number = next;
	}
}

/* ---- Saving ---- */

static uint32_t chain_write(struct checkpoint_area *area, const struct record *record, struct span bytes)
{
	uint32_t first = block_take(area), number;
	struct block *block = block_at(area, first);
	size_t at = bytes.length < FIRST_PAYLOAD ? bytes.length : FIRST_PAYLOAD;

	memcpy(block->bytes, record, sizeof(*record));
	if (at)
		memcpy(block->bytes + sizeof(*record), bytes.data, at);
	area->statistics.blocks++;
	while (at < bytes.length) {
		size_t part = bytes.length - at < BLOCK_PAYLOAD ? bytes.length - at : BLOCK_PAYLOAD;

		number = block_take(area);
		block->next = number;
		block = block_at(area, number);
		memcpy(block->bytes, bytes.data + at, part);
		at += part;
		area->statistics.blocks++;
	}
	block->next = 0;
	return first;
}

int checkpoint_save(struct checkpoint_area *area, uint32_t *slot, uint16_t kind, uint16_t version, struct span bytes)
{
	struct record record = {.kind = kind, .version = version};
	uint32_t first, before;
	bool is_full = !*slot && !area->free_slot_count;

	if (bytes.length > CHECKPOINT_LONGEST) {
		checkpoint_remove(area, slot);
		return -EINVAL;
	}
	record.length = (uint32_t)bytes.length;
	record.checksum = checksum(&record, bytes.data);
	if (*slot && !memcmp(block_at(area, area->index[*slot - 1])->bytes, &record, sizeof(record)))
		return 0;
	if (is_full || blocks_for(bytes.length) > blocks_free(area)) {
		area->statistics.refused++;
		checkpoint_remove(area, slot);
		return -ENOSPC;
	}
	first = chain_write(area, &record, bytes);
	if (!*slot) {
		*slot = area->free_slots[--area->free_slot_count];
		area->statistics.records++;
	}
	before = area->index[*slot - 1];
	__atomic_store_n(&area->index[*slot - 1], first, __ATOMIC_RELEASE);
	/* No later than this may the old one be touched. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	chain_give(area, before);
	area->statistics.saves++;
	return 0;
}

void checkpoint_remove(struct checkpoint_area *area, uint32_t *slot)
{
	uint32_t before;

	if (!*slot)
		return;
	before = area->index[*slot - 1];
	__atomic_store_n(&area->index[*slot - 1], 0, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	chain_give(area, before);
	area->free_slots[area->free_slot_count++] = *slot;
	area->statistics.records--;
	*slot = 0;
}

/* ---- Attaching ---- */

static bool bit_get(const uint8_t *bits, uint32_t number)
{
	return bits[number / 8] >> (number % 8) & 1;
}

static void bit_flip(uint8_t *bits, uint32_t number)
{
	bits[number / 8] ^= (uint8_t)(1u << (number % 8));
}

/* Copies a chain into area->copy, its blocks marked as taken. Returns how many were marked, and whether all holds. */
static uint32_t chain_copy(struct checkpoint_area *area, uint32_t number, uint8_t *taken, struct record *record,
			   bool *holds)
{
	uint32_t count = 0, wanted = 1;
	size_t at = 0;

	*holds = false;
	while (number && number <= area->used && !bit_get(taken, number) && count < wanted) {
		const struct block *block = block_at(area, number);
		size_t head = count ? 0 : sizeof(*record), part;

		bit_flip(taken, number);
		if (!count++) {
			memcpy(record, block->bytes, sizeof(*record));
			if (record->length > CHECKPOINT_LONGEST)
				return count;
			wanted = blocks_for(record->length);
		}
		part = record->length - at < BLOCK_PAYLOAD - head ? record->length - at : BLOCK_PAYLOAD - head;
		memcpy(area->copy + at, block->bytes + head, part);
		at += part;
		number = block->next;
	}
	*holds = !number && count && count == wanted && record->checksum == checksum(record, area->copy);
	return count;
}

static void chain_unmark(const struct checkpoint_area *area, uint32_t number, uint32_t count, uint8_t *taken)
{
	for (uint32_t i = 0; i < count; i++) {
		bit_flip(taken, number);
		number = block_at(area, number)->next;
	}
}

static void index_check(struct checkpoint_area *area, uint8_t *taken)
{
	for (uint32_t i = 0; i < area->records; i++) {
		struct record record;
		uint32_t count;
		bool holds;

		if (!area->index[i])
			continue;
		count = chain_copy(area, area->index[i], taken, &record, &holds);
		if (holds) {
			area->statistics.records++;
			area->statistics.blocks += count;
			continue;
		}
		chain_unmark(area, area->index[i], count, taken);
		area->index[i] = 0;
		area->statistics.corrupt++;
	}
}

/* What no record holds is free and wiped: a chain that was being written, or one that was being wiped. Low numbers first. */
static void free_find(struct checkpoint_area *area, const uint8_t *taken)
{
	for (uint32_t number = area->used; number; number--)
		if (!bit_get(taken, number))
			block_give(area, number);
	for (uint32_t slot = area->records; slot; slot--)
		if (!area->index[slot - 1])
			area->free_slots[area->free_slot_count++] = slot;
}

static int area_take(struct checkpoint_area *area)
{
	uint8_t *taken = memory_alloc(area->block_count / 8 + 1);

	if (!taken)
		return -ENOMEM;
	area->used = area->header->used < area->block_count ? area->header->used : area->block_count;
	if (area->header->magic != AREA_MAGIC || area->header->records != area->records) {
		/* New, or nobody's that we know. */
		memset(area->index, 0, area->records * sizeof(*area->index));
		*area->header = (struct area_header){AREA_MAGIC, area->records, area->used};
	}
	index_check(area, taken);
	free_find(area, taken);
	area->header->used = area->used;
	memory_wipe(area->copy, CHECKPOINT_LONGEST);
	memory_free(taken);
	return 0;
}

static int area_map(struct checkpoint_area *area, int descriptor, uint32_t records)
{
	struct stat status;
	uint8_t *memory;

	if (!records || records > CHECKPOINT_RECORDS_MAXIMUM || fstat(descriptor, &status) || status.st_size < 0 ||
	    (size_t)status.st_size != area_bytes(records))
		return -EINVAL;
	memory = mmap(NULL, area_bytes(records), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
	if (memory == MAP_FAILED)
		return -errno;
	area->size = area_bytes(records);
	madvise(memory, area->size, MADV_DONTDUMP);
	area->records = records;
	area->block_count = records * BLOCKS_PER_RECORD;
	area->header = (struct area_header *)memory;
	area->index = (uint32_t *)(memory + AREA_PAGE);
	area->blocks = (struct block *)(memory + AREA_PAGE + index_bytes(records));
	return 0;
}

int checkpoint_attach(int descriptor, uint32_t records, struct checkpoint_area **out)
{
	struct checkpoint_area *area = memory_alloc(sizeof(*area));
	int error = area ? area_map(area, descriptor, records) : -ENOMEM;

	close(descriptor);
	if (!error) {
		area->free_slots = memory_alloc(records * sizeof(*area->free_slots));
		area->copy = memory_alloc(CHECKPOINT_LONGEST);
		error = area->free_slots && area->copy ? area_take(area) : -ENOMEM;
	}
	if (error) {
		checkpoint_free(area);
		area = NULL;
	}
	*out = area;
	return error;
}

void checkpoint_free(struct checkpoint_area *area)
{
	if (!area)
		return;
	if (area->header)
		munmap(area->header, area->size);
	memory_free(area->free_slots);
	memory_free_secret(area->copy, CHECKPOINT_LONGEST);
	memory_free(area);
}

void checkpoint_each(struct checkpoint_area *area,
		     void (*visit)(void *context, uint32_t slot, uint16_t kind, uint16_t version, struct span bytes),
		     void *context)
{
	for (uint32_t i = 0; i < area->records; i++) {
		struct record record;
		size_t at = 0, head = sizeof(record);

		if (!area->index[i])
			continue;
		memcpy(&record, block_at(area, area->index[i])->bytes, sizeof(record));
		for (uint32_t number = area->index[i]; number; number = block_at(area, number)->next, head = 0) {
			size_t left = record.length - at;
			size_t part = left < BLOCK_PAYLOAD - head ? left : BLOCK_PAYLOAD - head;

			memcpy(area->copy + at, block_at(area, number)->bytes + head, part);
			at += part;
		}
		visit(context, i + 1, record.kind, record.version, (struct span){area->copy, record.length});
	}
	memory_wipe(area->copy, CHECKPOINT_LONGEST);
}

void checkpoint_statistics_get(const struct checkpoint_area *area, struct checkpoint_statistics *out)
{
	*out = area->statistics;
}
