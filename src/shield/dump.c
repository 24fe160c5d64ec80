/* SPDX-License-Identifier: Apache-2.0
 * Blocks as bytes: a head, one record for each, a checksum over all; little-endian. Nothing in it is believed before all of it has
 * been checked. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "shield/private.h"

#define MAGIC "ringwall shield\n"
#define VERSION 1
#define HEAD_BYTES (sizeof(MAGIC) - 1 + 2 * 4)
#define RECORD_BYTES (4 + 16 + 3 * 8 + SHIELD_REASON_BYTES)
#define US_PER_S 1000000

/* Of damage; whoever can write the file can make a right one. */
static const uint8_t check_key[HASH_KEY_BYTES] = "ringwall shield";

uint64_t dump_check(struct span bytes)
{
	return hash_bytes(check_key, bytes.data, bytes.length);
}

size_t shield_dump_bytes(const struct shield *shield)
{
	return HEAD_BYTES + (size_t)shield->count * RECORD_BYTES + DUMP_CHECK_BYTES;
}

static void put_u32(struct buffer *out, uint32_t value)
{
	value = htole32(value);
	buffer_put(out, &value, sizeof(value));
}

static void put_u64(struct buffer *out, uint64_t value)
{
	value = htole64(value);
	buffer_put(out, &value, sizeof(value));
}

/* Microseconds of the day's clock; 0: for good, or never. */
static uint64_t day_us(uint64_t time_us, uint64_t now_us, int64_t wall_s)
{
	int64_t difference = (int64_t)(time_us - now_us);

	return (uint64_t)(wall_s * US_PER_S + difference);
}

static void record_put(struct buffer *out, const struct shield_entry *entry, uint64_t now_us, int64_t wall_s)
{
	bool for_good = entry->until_us == SHIELD_FOR_GOOD;
	uint8_t head[4] = {entry->prefix.address.family, entry->prefix.bits, entry->origin, 0};

	buffer_put(out, head, sizeof(head));
	buffer_put(out, entry->prefix.address.ip, sizeof(entry->prefix.address.ip));
	put_u64(out, day_us(entry->since_us, now_us, wall_s));
	put_u64(out, for_good ? 0 : day_us(entry->until_us, now_us, wall_s));
	put_u64(out, entry->hits);
	buffer_put(out, entry->reason, sizeof(entry->reason));
}

ptrdiff_t shield_dump(const struct shield *shield, uint64_t now_us, int64_t wall_s, void *bytes, size_t capacity)
{
	struct buffer out = buffer_over(bytes, capacity);

	buffer_put_text(&out, MAGIC);
	put_u32(&out, VERSION);
	put_u32(&out, shield->count);
	for (uint32_t i = 0; i < shield->count; i++)
		record_put(&out, &shield->blocks[shield->heap[i]].entry, now_us, wall_s);
	if (!out.overflow)
		put_u64(&out, dump_check(buffer_span(&out)));
	return out.overflow ? -ENOSPC : (ptrdiff_t)out.length;
}

/* ---- Back ---- */

static uint32_t get_u32(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static uint64_t get_u64(const char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static int form_check(struct span bytes, uint32_t *count)
{
	size_t body = bytes.length - DUMP_CHECK_BYTES;

	if (bytes.length < HEAD_BYTES + DUMP_CHECK_BYTES || memcmp(bytes.data, MAGIC, sizeof(MAGIC) - 1) != 0 ||
	    get_u32(bytes.data + sizeof(MAGIC) - 1) != VERSION)
		return -EPROTO;
	*count = get_u32(bytes.data + sizeof(MAGIC) - 1 + 4);
	if (*count > SHIELD_MAXIMUM || body != HEAD_BYTES + (size_t)*count * RECORD_BYTES)
		return -EBADMSG;
	return get_u64(bytes.data + body) == dump_check(span_slice(bytes, 0, body)) ? 0 : -EBADMSG;
}

/* Of the day's clock to the monotonic one; what was before that began is its beginning. */
static uint64_t monotonic_us(uint64_t time_us, uint64_t now_us, int64_t wall_s)
{
	uint64_t wall_us = (uint64_t)wall_s * US_PER_S;

	if (time_us >= wall_us)
		return time_us - wall_us < SHIELD_FOR_GOOD - now_us ? now_us + (time_us - wall_us) : SHIELD_FOR_GOOD;
	return wall_us - time_us < now_us ? now_us - (wall_us - time_us) : 0;
}

static int record_restore(struct shield *shield, const char *at, uint64_t now_us, int64_t wall_s)
{
	const uint8_t *head = (const uint8_t *)at;
	uint64_t since = get_u64(at + 20), until = get_u64(at + 28);
	const char *reason = at + 44;
	struct shield_entry entry = {
		.prefix = {.address.family = head[0], .bits = head[1]}, .origin = head[2], .hits = get_u64(at + 36)};

	memcpy(entry.prefix.address.ip, at + 4, sizeof(entry.prefix.address.ip));
	entry.since_us = monotonic_us(since, now_us, wall_s);
	entry.until_us = until ? monotonic_us(until, now_us, wall_s) : SHIELD_FOR_GOOD;
	/* The day's clock was set back meanwhile: no block is longer by that. */
	if (entry.since_us > now_us) {
		if (until)
			entry.until_us -= entry.until_us > entry.since_us ? entry.since_us - now_us : entry.until_us;
		entry.since_us = now_us;
	}
	return shield_entry_add(shield, &entry, (struct span){reason, strnlen(reason, SHIELD_REASON_BYTES)}, now_us);
}

int shield_restore(struct shield *shield, uint64_t now_us, int64_t wall_s, struct span bytes)
{
	uint32_t count;
	int error = form_check(bytes, &count), full = 0;

	for (uint32_t i = 0; !error && i < count; i++)
		if (record_restore(shield, bytes.data + HEAD_BYTES + (size_t)i * RECORD_BYTES, now_us, wall_s) ==
		    -ENOSPC)
			full = -ENOSPC;
	return error ? error : full;
}
