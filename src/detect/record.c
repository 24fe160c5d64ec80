/* SPDX-License-Identifier: Apache-2.0
 * Evidence on record: the writer, which gathers, and the reader, which begins at the oldest. */
#include "detect/record.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

#define NUMBER_MAXIMUM (UINT64_C(1) << 62)
#define GATHERED 64u /* findings written or read together */

/* ---- Files ---- */

/* All of it, whatever interrupts. Returns how many bytes there were, or a negative errno. */
static ptrdiff_t read_at(int descriptor, void *out, size_t length, uint64_t offset)
{
	size_t done = 0;

	while (done < length) {
		ssize_t count = pread(descriptor, (char *)out + done, length - done, (off_t)(offset + done));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		done += (size_t)count;
	}
	return (ptrdiff_t)done;
}

static int write_at(int descriptor, const void *bytes, size_t length, uint64_t offset)
{
	size_t done = 0;

	while (done < length) {
		ssize_t count = pwrite(descriptor, (const char *)bytes + done, length - done, (off_t)(offset + done));

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count < 0 ? -errno : -EIO;
		done += (size_t)count;
	}
	return 0;
}

static uint64_t slot_offset(uint64_t slot)
{
	return RECORD_HEAD_BYTES + slot * DETECT_RECORD_BYTES;
}

static int head_load(int descriptor, struct record_head *head)
{
	char bytes[RECORD_HEAD_BYTES];
	ptrdiff_t length = read_at(descriptor, bytes, sizeof(bytes), 0);

	if (length < 0)
		return (int)length;
	return length == sizeof(bytes) ? record_head_read(bytes, head) : -EPROTO;
}

/* ---- Walking over the slots ---- */

struct walk {
	int descriptor;
	struct record_head head;
	uint64_t newest; /* number of the newest finding */
	char gathered[GATHERED * DETECT_RECORD_BYTES];
};

/* Calls `each` for every slot from `first` to before `last` that the file has; false stops it. */
static int walk_slots(struct walk *walk, uint64_t first, uint64_t last,
		      bool (*each)(void *context, struct walk *walk, uint64_t slot, const char *bytes), void *context)
{
	while (first < last) {
		uint64_t count = last - first < GATHERED ? last - first : GATHERED;
		ptrdiff_t length =
			read_at(walk->descriptor, walk->gathered, count * DETECT_RECORD_BYTES, slot_offset(first));

		if (length < 0)
			return (int)length;
		for (uint64_t i = 0; i < (uint64_t)length / DETECT_RECORD_BYTES; i++)
			if (!each(context, walk, first + i, walk->gathered + i * DETECT_RECORD_BYTES))
				return 0;
		if ((uint64_t)length < count * DETECT_RECORD_BYTES)
			return 0;
		first += count;
	}
	return 0;
}

static bool find_newest(void *context, struct walk *walk, uint64_t slot, const char *bytes)
{
	struct evidence evidence;
	bool known;
	uint64_t number = record_finding_read(&walk->head, bytes, &evidence, &known);

	(void)context;
	if (number < NUMBER_MAXIMUM && number > walk->newest && (number - 1) % walk->head.capacity == slot)
		walk->newest = number;
	return true;
}

static int walk_begin(struct walk *walk, int descriptor)
{
	int error = head_load(descriptor, &walk->head);

	walk->descriptor = descriptor;
	walk->newest = 0;
	return error ? error : walk_slots(walk, 0, walk->head.capacity, find_newest, NULL);
}

/* ---- Writing ---- */

struct detect_record {
	int descriptor, error;
	struct detect_record_options options;
	struct record_head head;
	uint64_t newest;  /* that was written or waits */
	uint64_t waiting; /* of them, how many wait */
	char gathered[GATHERED * DETECT_RECORD_BYTES];
};

static int begin_anew(struct detect_record *record)
{
	char bytes[RECORD_HEAD_BYTES];

	record->head.capacity = record->options.capacity;
	record->head.addresses = (uint8_t)record->options.addresses;
	random_fill(record->options.random, record->head.id, sizeof(record->head.id));
	record_head_write(&record->head, bytes);
	/* To nothing first, so that none of the old are left behind the new head. */
	if (ftruncate(record->descriptor, 0) ||
	    ftruncate(record->descriptor, (off_t)slot_offset(record->options.capacity)))
		return -errno;
	return write_at(record->descriptor, bytes, sizeof(bytes), 0);
}

static int go_on(struct detect_record *record)
{
	struct walk *walk = memory_alloc(sizeof(*walk));
	int error;

	if (!walk)
		return -ENOMEM;
	error = walk_begin(walk, record->descriptor);
	if (!error && walk->head.capacity == record->options.capacity && walk->head.is_own &&
	    walk->head.addresses == record->options.addresses) {
		record->head = walk->head;
		record->newest = walk->newest;
	} else if (!error || error == -EPROTO) {
		error = begin_anew(record);
	}
	memory_free(walk);
	return error;
}

int detect_record_open(int descriptor, const struct detect_record_options *options, struct detect_record **out)
{
	struct detect_record *record;
	int error;

	if (!options->capacity || options->capacity > DETECT_RECORD_CAPACITY_MAXIMUM ||
	    (size_t)options->addresses > DETECT_RECORD_HASHED)
		return -EINVAL;
	record = memory_alloc(sizeof(*record));
	if (!record)
		return -ENOMEM;
	record->descriptor = descriptor;
	record->options = *options;
	error = go_on(record);
	if (error) {
		memory_free_secret(record, sizeof(*record));
		return error;
	}
	*out = record;
	return 0;
}

/* What waits may run over the end of the ring: then it is two pieces. */
static void write_waiting(struct detect_record *record)
{
	uint64_t first = record->newest - record->waiting, slot = first % record->options.capacity;
	uint64_t before_end = record->options.capacity - slot, count = record->waiting;
	uint64_t piece = count < before_end ? count : before_end;
	int error = write_at(record->descriptor, record->gathered, piece * DETECT_RECORD_BYTES, slot_offset(slot));

	if (!error && piece < count)
		error = write_at(record->descriptor, record->gathered + piece * DETECT_RECORD_BYTES,
				 (count - piece) * DETECT_RECORD_BYTES, slot_offset(0));
	if (error && !record->error)
		record->error = error;
	record->waiting = 0;
}

void detect_record_put(struct detect_record *record, const struct evidence *evidence)
{
	struct evidence kept = *evidence;

	if ((size_t)evidence->kind >= EVIDENCE_KIND_COUNT || !evidence->count)
		return;
	kept.time_us = record->options.wall_us + (evidence->time_us - record->options.now_us);
	kept.source.reserved = 0;
	record_address_hide(record->options.addresses, record->options.key, &kept.source);
	record_finding_write(&record->head, ++record->newest, &kept,
			     record->gathered + record->waiting * DETECT_RECORD_BYTES);
	record->waiting++;
	if (record->waiting == GATHERED || record->waiting == record->options.capacity)
		write_waiting(record);
}

int detect_record_flush(struct detect_record *record)
{
	int error;

	if (record->waiting)
		write_waiting(record);
	error = record->error;
	record->error = 0;
	return error;
}

void detect_record_close(struct detect_record *record)
{
	if (!record)
		return;
	detect_record_flush(record);
	memory_free_secret(record, sizeof(*record));
}

/* ---- Reading ---- */

struct reading {
	bool (*visit)(void *context, const struct evidence *evidence);
	void *context;
	struct detect_record_summary *summary;
	bool is_stopped;
};

static bool read_one(void *context, struct walk *walk, uint64_t slot, const char *bytes)
{
	struct reading *reading = context;
	struct detect_record_summary *summary = reading->summary;
	struct evidence evidence;
	bool known;
	uint64_t number = record_finding_read(&walk->head, bytes, &evidence, &known);

	/* Of this turn of the ring, or the one before. */
	if (!number || (number - 1) % walk->head.capacity != slot || number > walk->newest ||
	    walk->newest - number >= walk->head.capacity) {
		summary->damaged++;
		return true;
	}
	if (!known)
		return true;
	if (evidence.time_us < summary->last_us)
		evidence.time_us = summary->last_us;
	summary->last_us = evidence.time_us;
	if (!summary->findings++)
		summary->first_us = evidence.time_us;
	reading->is_stopped = !reading->visit(reading->context, &evidence);
	return !reading->is_stopped;
}

int detect_record_read(int descriptor, bool (*visit)(void *context, const struct evidence *evidence), void *context,
		       struct detect_record_summary *summary)
{
	struct reading reading = {visit, context, summary, false};
	struct walk *walk = memory_alloc(sizeof(*walk));
	uint64_t end;
	int error;

	memset(summary, 0, sizeof(*summary));
	if (!walk)
		return -ENOMEM;
	error = walk_begin(walk, descriptor);
	if (!error) {
		summary->addresses = (enum detect_record_addresses)walk->head.addresses;
		end = walk->newest % walk->head.capacity; /* behind the newest */
		if (walk->newest > end)                   /* it has gone round: the older part first */
			error = walk_slots(walk, end, walk->head.capacity, read_one, &reading);
		if (!error && !reading.is_stopped)
			error = walk_slots(walk, 0, end, read_one, &reading);
	}
	memory_free(walk);
	return error;
}
