/* SPDX-License-Identifier: Apache-2.0
 * Messages to and from the wire, driven by the field table in ipc.h: two bytes (version, type), then the fields in order.
 * The decoder believes nothing: every length, flag and address is checked, and nothing may be left over. */
#include <errno.h>
#include <string.h>

#include "ipc/message.h"

enum field_kind {
	FIELD_END,
	FIELD_U8,
	FIELD_U16,
	FIELD_U32,
	FIELD_U64,
	FIELD_BOOL,
	FIELD_ADDRESS,
	FIELD_TEXT,
	FIELD_BYTES
};

struct field {
	uint8_t kind;
	uint16_t offset, capacity;
};

#define HEADER_BYTES 2
#define ADDRESS_BYTES 19

/* clang-format off */
#define FIELD_ROW(kind, name, capacity) {FIELD_##kind, offsetof(struct_self, name), capacity},
#define X(id, name, fields, from, descriptor) \
	static const struct field *fields_of_##name(void) \
	{ \
		typedef struct ipc_##name struct_self; \
		static const struct field rows[] = {fields(FIELD_ROW){FIELD_END, 0, 0}}; \
		(void)sizeof(struct_self); \
		return rows; \
	}
IPC_MESSAGES(X)
#undef X

static const struct {
	const char *name;
	const struct field *(*fields)(void);
	size_t struct_bytes;
	uint8_t senders;
	bool descriptor;
} messages[IPC_TYPE_COUNT] = {
#define X(id, name, fields, from, descriptor) \
	[IPC_##id] = {#name, fields_of_##name, sizeof(struct ipc_##name), from, descriptor},
	IPC_MESSAGES(X)
#undef X
};
/* clang-format on */

const char *ipc_type_name(enum ipc_type type)
{
	return (unsigned)type < IPC_TYPE_COUNT ? messages[type].name : "unknown";
}

const char *ipc_role_name(enum ipc_role role)
{
	static const char *const names[IPC_ROLE_COUNT] = {
#define X(id, name) [IPC_ROLE_##id] = name,
		IPC_ROLES(X)
#undef X
	};

	return (unsigned)role < IPC_ROLE_COUNT ? names[role] : "unknown";
}

bool ipc_type_has_descriptor(enum ipc_type type)
{
	return (unsigned)type < IPC_TYPE_COUNT && messages[type].descriptor;
}

/* A value of struct address as address.h promises it: known family, unused bytes zero, IPv4 never mapped. */
static bool address_is_canonical(const struct address *address)
{
	static const uint8_t zero[16], mapped[12] = {[10] = 0xff, [11] = 0xff};

	switch (address->family) {
	case ADDRESS_NONE: return address->port == 0 && memcmp(address->ip, zero, 16) == 0;
	case ADDRESS_IPV4: return memcmp(address->ip + 4, zero, 12) == 0;
	case ADDRESS_IPV6: return memcmp(address->ip, mapped, 12) != 0;
	default: return false;
	}
}

static void put_number(struct buffer *out, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		buffer_put_byte(out, (char)(value >> (8 * i)));
}

static int encode_text(struct buffer *out, const char *text, uint16_t capacity)
{
	const char *end = memchr(text, 0, capacity);

	if (!end)
		return -EINVAL;
	put_number(out, (uint64_t)(end - text), 2);
	buffer_put(out, text, (size_t)(end - text));
	return 0;
}

static int encode_address(struct buffer *out, const struct address *address)
{
	if (!address_is_canonical(address))
		return -EINVAL;
	put_number(out, address->family, 1);
	put_number(out, address->port, 2);
	buffer_put(out, address->ip, sizeof(address->ip));
	return 0;
}

static int encode_field(struct buffer *out, const struct field *field, const char *base)
{
	const void *member = base + field->offset;

	switch (field->kind) {
	case FIELD_U8: put_number(out, *(const uint8_t *)member, 1); return 0;
	case FIELD_U16: put_number(out, *(const uint16_t *)member, 2); return 0;
	case FIELD_U32: put_number(out, *(const uint32_t *)member, 4); return 0;
	case FIELD_U64: put_number(out, *(const uint64_t *)member, 8); return 0;
	case FIELD_BOOL: put_number(out, *(const bool *)member, 1); return 0;
	case FIELD_ADDRESS: return encode_address(out, member);
	case FIELD_TEXT: return encode_text(out, member, field->capacity);
	default: buffer_put(out, member, field->capacity); return 0;
	}
}

ptrdiff_t ipc_encode(const struct ipc_message *message, uint8_t *out, size_t capacity)
{
	struct buffer buffer = buffer_over((char *)out, capacity);
	const char *base;

	if ((unsigned)message->type >= IPC_TYPE_COUNT)
		return -EINVAL;
	/* All members of the union begin where the first does. */
	base = (const char *)&message->peer;

	put_number(&buffer, IPC_VERSION, 1);
	put_number(&buffer, message->type, 1);
	for (const struct field *field = messages[message->type].fields(); field->kind != FIELD_END; field++) {
		int error = encode_field(&buffer, field, base);

		if (error)
			return error;
	}
	return buffer.overflow ? -ENOSPC : (ptrdiff_t)buffer.length;
}

struct reader {
	const uint8_t *bytes;
	size_t left;
};

/* The next `length` bytes, or NULL. */
static const uint8_t *take(struct reader *reader, size_t length)
{
	const uint8_t *bytes = reader->bytes;

	if (reader->left < length)
		return NULL;
	reader->bytes += length;
	reader->left -= length;
	return bytes;
}

static bool take_number(struct reader *reader, unsigned length, uint64_t *value)
{
	const uint8_t *bytes = take(reader, length);

	if (!bytes)
		return false;
	*value = 0;
	for (unsigned i = 0; i < length; i++)
		*value |= (uint64_t)bytes[i] << (8 * i);
	return true;
}

static bool decode_text(struct reader *reader, char *out, uint16_t capacity)
{
	const uint8_t *bytes;
	uint64_t length;

	if (!take_number(reader, 2, &length) || length >= capacity)
		return false;
	bytes = take(reader, length);
	if (!bytes || memchr(bytes, 0, length))
		return false;
	memcpy(out, bytes, length);
	out[length] = 0;
	return true;
}

static bool decode_address(struct reader *reader, struct address *out)
{
	const uint8_t *bytes = take(reader, ADDRESS_BYTES);

	if (!bytes)
		return false;
	memset(out, 0, sizeof(*out));
	out->family = bytes[0];
	out->port = (uint16_t)(bytes[1] | bytes[2] << 8);
	memcpy(out->ip, bytes + 3, sizeof(out->ip));
	return address_is_canonical(out);
}

static bool decode_number(struct reader *reader, uint8_t kind, void *member)
{
	static const uint8_t widths[] = {
		[FIELD_U8] = 1, [FIELD_U16] = 2, [FIELD_U32] = 4, [FIELD_U64] = 8, [FIELD_BOOL] = 1};
	uint64_t value;

	if (!take_number(reader, widths[kind], &value))
		return false;
	switch (kind) {
	case FIELD_U8: *(uint8_t *)member = (uint8_t)value; return true;
	case FIELD_U16: *(uint16_t *)member = (uint16_t)value; return true;
	case FIELD_U32: *(uint32_t *)member = (uint32_t)value; return true;
	case FIELD_U64: *(uint64_t *)member = value; return true;
	default: *(bool *)member = value == 1; return value <= 1;
	}
}

static bool decode_field(struct reader *reader, const struct field *field, char *base)
{
	void *member = base + field->offset;
	const uint8_t *bytes;

	switch (field->kind) {
	case FIELD_ADDRESS: return decode_address(reader, member);
	case FIELD_TEXT: return decode_text(reader, member, field->capacity);
	case FIELD_BYTES:
		bytes = take(reader, field->capacity);
		if (bytes)
			memcpy(member, bytes, field->capacity);
		return bytes != NULL;
	default: return decode_number(reader, field->kind, member);
	}
}

int ipc_decode(const uint8_t *bytes, size_t length, enum ipc_role sender, struct ipc_message *message)
{
	struct reader reader = {bytes, length};
	const uint8_t *header = take(&reader, HEADER_BYTES);
	char *base = (char *)&message->peer;

	message->descriptor = -1;
	if (!header || header[0] != IPC_VERSION || header[1] >= IPC_TYPE_COUNT)
		return -EPROTO;
	message->type = header[1];
	if (!(messages[message->type].senders & 1u << sender))
		return -EPROTO;

	memset(base, 0, messages[message->type].struct_bytes);
	for (const struct field *field = messages[message->type].fields(); field->kind != FIELD_END; field++)
		if (!decode_field(&reader, field, base))
			return -EPROTO;
	return reader.left ? -EPROTO : 0;
}

void ipc_message_wipe(struct ipc_message *message)
{
	memory_wipe(&message->peer, messages[message->type].struct_bytes);
}
