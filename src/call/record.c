/* SPDX-License-Identifier: Apache-2.0
 * Objects to bytes and back by tables of rows; see record.h. */
#include "call/record.h"

#define HEAD_LONGEST 4        /* bytes of a tag and a length that a record may have */
#define NESTED_LENGTH_BYTES 3 /* of seven bits each, the longest way to write it: the length comes last */

/* ---- Writing ---- */

/* Straight into the buffer, for this is done some thousand times a call: room for all is asked for once. */
static inline void put(struct buffer *out, uint8_t tag, const void *bytes, size_t size)
{
	size_t room = out->capacity - out->length, length = size;
	char *to = out->data + out->length;

	if (out->overflow || room < HEAD_LONGEST || room - HEAD_LONGEST < length) {
		out->overflow = true;
		return;
	}
	*to++ = (char)tag;
	for (; length > 127; length >>= 7)
		*to++ = (char)(0x80 | (length & 127));
	*to++ = (char)length;
	if (size)
		memcpy(to, bytes, size);
	out->length = (size_t)(to - out->data) + size;
}

void record_put(struct buffer *out, uint8_t tag, struct span bytes)
{
	put(out, tag, bytes.data, bytes.length);
}

size_t record_begin(struct buffer *out, uint8_t tag)
{
	static const char length[NESTED_LENGTH_BYTES];

	/* As a field of so many bytes, of which the first stands where put() writes the length. */
	put(out, tag, length, NESTED_LENGTH_BYTES - 1);
	return out->length;
}

void record_end(struct buffer *out, size_t begun)
{
	size_t length = out->length - begun;
	char *at;

	if (out->overflow || !out->data)
		return;
	at = out->data + begun - NESTED_LENGTH_BYTES;
	for (size_t i = 0; i < NESTED_LENGTH_BYTES - 1; i++, length >>= 7)
		*at++ = (char)(0x80 | (length & 127));
	*at = (char)(length & 127);
	out->overflow = length > 127;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
	return !bytes[0] && (length == 1 || !memcmp(bytes, bytes + 1, length - 1));
}

/* In the machine's own order: it is read on this machine. What is zero is not written. */
static inline void put_number(struct buffer *out, const struct record_row *row, const uint8_t *member)
{
	switch (row->size) {
	case 1:
		if (*member)
			put(out, row->tag, member, 1);
		return;
	case 4: {
		uint32_t value;

		memcpy(&value, member, sizeof(value));
		if (value)
			put(out, row->tag, member, 4);
		return;
	}
	case 8: {
		uint64_t value;

		memcpy(&value, member, sizeof(value));
		if (value)
			put(out, row->tag, member, 8);
		return;
	}
	default:
		if (!is_zero(member, row->size))
			put(out, row->tag, member, row->size);
	}
}

/* A flow as it is recorded, for a call has many: this, and behind it the name of its zone. */
struct flow_record {
	struct address local, remote, listener; /* listener: of the one it came by */
	uint64_t connection;
	uint8_t transport, listener_transport, proven;
};

static void put_flow(const struct gateway *gateway, uint8_t tag, const struct flow *flow, struct buffer *out)
{
	const struct config_zone *zone = gateway_zone(gateway, flow->zone);
	struct flow_record record;
	size_t begun;

	memset(&record, 0,
	       sizeof(record)); /* what lies between its members, too: unchanged records are known by their sum */
	record.local = flow->local;
	record.remote = flow->remote;
	record.connection = flow->connection;
	record.transport = flow->transport;
	record.proven = flow->proven;
	if (flow->listener < zone->listener_count) {
		record.listener = zone->listeners[flow->listener].address;
		record.listener_transport = (uint8_t)zone->listeners[flow->listener].transport;
	}
	begun = record_begin(out, tag);
	buffer_put(out, &record, sizeof(record));
	buffer_put_text(out, zone->name);
	record_end(out, begun);
}

static inline void put_row(const struct gateway *gateway, const struct record_row *row, const uint8_t *object,
			   struct buffer *out)
{
	const uint8_t *member = object + row->offset;

	switch ((enum record_field)row->field) {
	case RECORD_NUMBER:
	case RECORD_FLAG: put_number(out, row, member); break;
	case RECORD_BYTES:
		if (!is_zero(member, row->size))
			put(out, row->tag, member, row->size);
		break;
	case RECORD_TEXT: {
		const char *text = *(char *const *)member;

		if (text)
			put(out, row->tag, text, strlen(text));
		break;
	}
	case RECORD_BLOB:
		if (*(char *const *)member)
			put(out, row->tag, *(char *const *)member, *(const size_t *)(object + row->size));
		break;
	case RECORD_SPAN:
		if (((const struct span *)member)->length)
			put(out, row->tag, ((const struct span *)member)->data, ((const struct span *)member)->length);
		break;
	case RECORD_CHARS:
		if (*member)
			put(out, row->tag, member, strlen((const char *)member));
		break;
	case RECORD_ADDRESS:
		if (((const struct address *)member)->family)
			put(out, row->tag, member, sizeof(struct address));
		break;
	case RECORD_ZONE: {
		const char *name = gateway_zone(gateway, *member)->name;

		put(out, row->tag, name, strlen(name));
		break;
	}
	case RECORD_FLOW: put_flow(gateway, row->tag, (const struct flow *)member, out); break;
	}
}

void record_write(const struct gateway *gateway, struct record_rows rows, const void *object, struct buffer *out)
{
	for (uint16_t i = 0; i < rows.count; i++)
		put_row(gateway, &rows.rows[i], object, out);
}

/* ---- Reading ---- */

bool record_next(struct span *rest, uint8_t *tag, struct span *value)
{
	size_t at = 1, length = 0;

	if (!rest->length)
		return false;
	for (unsigned shift = 0; at < rest->length && shift <= 14; shift += 7) {
		uint8_t byte = (uint8_t)rest->data[at++];

		length |= (size_t)(byte & 127) << shift;
		if (byte & 128)
			continue;
		if (length > rest->length - at)
			return false;
		*tag = (uint8_t)rest->data[0];
		*value = span_slice(*rest, at, length);
		*rest = span_slice(*rest, at + length, rest->length);
		return true;
	}
	return false;
}

/* One that the rest of the program may meet. */
static bool is_address(const struct address *address)
{
	static const uint8_t zero[16];

	switch (address->family) {
	case ADDRESS_NONE: return !memcmp(address->ip, zero, sizeof(zero));
	case ADDRESS_IPV4: return !memcmp(address->ip + 4, zero, sizeof(zero) - 4);
	default: return address->family == ADDRESS_IPV6;
	}
}

static bool take_address(struct address *address, struct span value)
{
	if (value.length != sizeof(*address))
		return false;
	memcpy(address, value.data, sizeof(*address));
	return address->family != ADDRESS_NONE && is_address(address);
}

static bool take_zone(const struct gateway *gateway, uint8_t *zone, struct span name)
{
	for (uint8_t i = 0; i < gateway->config->zone_count; i++)
		if (span_equal(span_from(gateway->config->zones[i].name), name)) {
			*zone = i;
			return true;
		}
	return false;
}

/* The listener of before, where there still is one: else the first, by which at least the host is written. */
static uint8_t listener_find(const struct config_zone *zone, const struct flow_record *record)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->listeners[i].transport == record->listener_transport &&
		    address_equal(&zone->listeners[i].address, &record->listener))
			return i;
	return 0;
}

static bool take_flow(struct gateway *gateway, struct flow *flow, struct span value)
{
	struct flow_record record;

	if (value.length < sizeof(record))
		return false;
	memcpy(&record, value.data, sizeof(record));
	if (record.transport >= TRANSPORT_COUNT || !is_address(&record.local) || !is_address(&record.remote) ||
	    !take_zone(gateway, &flow->zone, span_slice(value, sizeof(record), value.length)))
		return false;
	flow->local = record.local;
	flow->remote = record.remote;
	flow->connection = record.connection;
	flow->transport = record.transport;
	flow->proven = record.proven != 0;
	flow->listener = listener_find(gateway_zone(gateway, flow->zone), &record);
	return true;
}

static bool take_blob(char **bytes, size_t *length, struct span value)
{
	if (*bytes)
		return false;
	bytes_keep(bytes, length, value);
	return *bytes != NULL;
}

static bool take_row(struct gateway *gateway, const struct record_row *row, uint8_t *object, struct span value)
{
	uint8_t *member = object + row->offset;

	switch ((enum record_field)row->field) {
	case RECORD_NUMBER:
		if (value.length > row->size)
			return false;
		memcpy(member, value.data, value.length);
		return true;
	case RECORD_FLAG: *(bool *)member = value.length == 1 && value.data[0]; return true;
	case RECORD_BLOB: return take_blob((char **)member, (size_t *)(object + row->size), value);
	case RECORD_SPAN: *(struct span *)member = value; return true;
	case RECORD_BYTES:
		if (value.length != row->size)
			return false;
		memcpy(member, value.data, value.length);
		return true;
	case RECORD_TEXT:
		if (*(char **)member || (value.length && memchr(value.data, 0, value.length)))
			return false;
		*(char **)member = memory_copy_text(value);
		return *(char **)member != NULL;
	case RECORD_CHARS: return span_copy(value, (char *)member, row->size) == 0;
	case RECORD_ADDRESS: return take_address((struct address *)member, value);
	case RECORD_ZONE: return take_zone(gateway, member, value);
	case RECORD_FLOW: return take_flow(gateway, (struct flow *)member, value);
	}
	return false;
}

bool record_take(struct gateway *gateway, struct record_rows rows, void *object, uint8_t tag, struct span value)
{
	for (uint16_t i = 0; i < rows.count; i++)
		if (rows.rows[i].tag == tag)
			return take_row(gateway, &rows.rows[i], object, value);
	return true;
}
