/* SPDX-License-Identifier: Apache-2.0
 * The form of evidence on record. */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "detect/record.h"

#define MAGIC UINT64_C(0x31636572746564fe) /* the last digit is the version */
#define CHECK_BYTES 8

_Static_assert(8 + HASH_KEY_BYTES + 4 + 1 + 2 + EVIDENCE_KIND_COUNT * NAME_BYTES + CHECK_BYTES <= RECORD_HEAD_BYTES,
	       "the names fit");

void record_head_write(const struct record_head *head, char out[RECORD_HEAD_BYTES])
{
	struct buffer bytes = buffer_over(out, RECORD_HEAD_BYTES);

	memset(out, 0, RECORD_HEAD_BYTES);
	bytes_put(&bytes, MAGIC, 8);
	buffer_put(&bytes, head->id, sizeof(head->id));
	bytes_put(&bytes, head->capacity, 4);
	bytes_put(&bytes, head->addresses, 1);
	bytes_put(&bytes, EVIDENCE_KIND_COUNT, 2);
	names_put_kinds(&bytes);
	bytes.length = RECORD_HEAD_BYTES - CHECK_BYTES;
	bytes_put(&bytes, hash_bytes(head->id, out, RECORD_HEAD_BYTES - CHECK_BYTES), CHECK_BYTES);
}

static bool is_own(const struct names *kinds)
{
	for (uint16_t i = 0; i < kinds->count; i++)
		if (kinds->numbers[i] != i)
			return false;
	return kinds->count == EVIDENCE_KIND_COUNT;
}

int record_head_read(const char bytes[RECORD_HEAD_BYTES], struct record_head *head)
{
	struct input in = {bytes, RECORD_HEAD_BYTES - CHECK_BYTES, false};
	struct input check = {bytes + RECORD_HEAD_BYTES - CHECK_BYTES, CHECK_BYTES, false};

	memset(head, 0, sizeof(*head));
	in.bad = bytes_get(&in, 8) != MAGIC;
	bytes_get_block(&in, head->id, sizeof(head->id));
	head->capacity = (uint32_t)bytes_get(&in, 4);
	head->addresses = (uint8_t)bytes_get(&in, 1);
	names_get_kinds(&in, (uint16_t)bytes_get(&in, 2), &head->kinds);
	if (in.bad || !head->capacity || head->capacity > DETECT_RECORD_CAPACITY_MAXIMUM ||
	    head->addresses > DETECT_RECORD_HASHED ||
	    bytes_get(&check, CHECK_BYTES) != hash_bytes(head->id, bytes, RECORD_HEAD_BYTES - CHECK_BYTES))
		return -EPROTO;
	head->is_own = is_own(&head->kinds);
	return 0;
}

/* ---- Findings ---- */

void record_finding_write(const struct record_head *head, uint64_t number, const struct evidence *evidence,
			  char out[DETECT_RECORD_BYTES])
{
	struct buffer bytes = buffer_over(out, DETECT_RECORD_BYTES);

	bytes_put(&bytes, number, 8);
	bytes_put(&bytes, evidence->time_us, 8);
	bytes_put(&bytes, evidence->kind, 2);
	bytes_put(&bytes, evidence->proven, 1);
	bytes_put(&bytes, evidence->source.family, 1);
	bytes_put(&bytes, evidence->source.port, 2);
	bytes_put(&bytes, 0, 2);
	buffer_put(&bytes, evidence->source.ip, sizeof(evidence->source.ip));
	bytes_put(&bytes, evidence->count, 4);
	bytes_put(&bytes, 0, 4);
	bytes_put(&bytes, evidence->session, 8);
	bytes_put(&bytes, evidence->connection, 8);
	bytes_put(&bytes, evidence->account, 8);
	bytes_put(&bytes, evidence->target, 8);
	bytes_put(&bytes, hash_bytes(head->id, out, DETECT_RECORD_BYTES - CHECK_BYTES), CHECK_BYTES);
}

static bool source_is_valid(const struct address *source)
{
	static const uint8_t zeros[16];
	size_t used = source->family == ADDRESS_IPV4 ? 4 : source->family == ADDRESS_IPV6 ? 16 : 0;

	if (source->family && !used)
		return false;
	return (used || !source->port) && memcmp(source->ip + used, zeros, sizeof(zeros) - used) == 0;
}

uint64_t record_finding_read(const struct record_head *head, const char bytes[DETECT_RECORD_BYTES],
			     struct evidence *evidence, bool *known)
{
	struct input in = {bytes, DETECT_RECORD_BYTES, false};
	uint64_t number = bytes_get(&in, 8), kind, proven;

	memset(evidence, 0, sizeof(*evidence));
	evidence->time_us = bytes_get(&in, 8);
	kind = bytes_get(&in, 2);
	proven = bytes_get(&in, 1);
	evidence->proven = proven;
	evidence->source.family = (uint8_t)bytes_get(&in, 1);
	evidence->source.port = (uint16_t)bytes_get(&in, 2);
	bytes_get(&in, 2);
	bytes_get_block(&in, evidence->source.ip, sizeof(evidence->source.ip));
	evidence->count = (uint32_t)bytes_get(&in, 4);
	bytes_get(&in, 4);
	evidence->session = bytes_get(&in, 8);
	evidence->connection = bytes_get(&in, 8);
	evidence->account = bytes_get(&in, 8);
	evidence->target = bytes_get(&in, 8);
	if (bytes_get(&in, CHECK_BYTES) != hash_bytes(head->id, bytes, DETECT_RECORD_BYTES - CHECK_BYTES) ||
	    kind >= head->kinds.count || proven > 1 || !source_is_valid(&evidence->source))
		return 0;
	*known = head->kinds.numbers[kind] != NAME_GONE;
	if (*known)
		evidence->kind = (enum evidence_kind)head->kinds.numbers[kind];
	return number;
}

/* ---- Addresses ---- */

/* Each of the first `bits` is turned over or not by what is before it: a one-to-one map under which as many first bits are equal as
 * were (Xu, Fan, Ammar, Moon: Prefix-preserving IP address anonymization, 2002). */
static void hide_bits(const uint8_t key[HASH_KEY_BYTES], const struct address *from, uint8_t bits, struct address *to)
{
	struct {
		uint8_t family, count, ip[16];
	} before = {from->family, 0, {0}};

	for (uint8_t i = 0; i < bits; i++) {
		uint8_t mask = (uint8_t)(0x80 >> i % 8);

		before.count = i;
		if (hash_bytes(key, &before, sizeof(before)) & 1)
			to->ip[i / 8] ^= mask;
		before.ip[i / 8] |= from->ip[i / 8] & mask;
	}
}

void record_address_hide(enum detect_record_addresses how, const uint8_t key[HASH_KEY_BYTES], struct address *address)
{
	struct address whole = *address;
	bool is_ipv6 = address->family == ADDRESS_IPV6;
	uint64_t hashes[2];

	if (how == DETECT_RECORD_PLAIN || address->family == ADDRESS_NONE)
		return;
	whole.port = 0;
	whole.reserved = 1; /* another hash than that of any bits */
	hashes[0] = hash_bytes(key, &whole, sizeof(whole));
	whole.reserved = 2;
	hashes[1] = hash_bytes(key, &whole, sizeof(whole));
	whole.reserved = 0;
	if (how == DETECT_RECORD_HASHED) {
		memcpy(address->ip, hashes, is_ipv6 ? 16 : 4);
	} else {
		hide_bits(key, &whole, is_ipv6 ? 64 : 32, address);
		if (is_ipv6) /* hosts of one prefix are told apart, and no more */
			memcpy(address->ip + 8, &hashes[0], 8);
	}
	memory_wipe(hashes, sizeof(hashes));
}
