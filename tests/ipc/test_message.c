/* SPDX-License-Identifier: Apache-2.0
 * Every message type there and back, and everything that is not exactly a message refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "ipc/ipc.h"

/* clang-format off */
#define FILL_U8(name, capacity) m->name = (uint8_t)(seed += 37);
#define FILL_U16(name, capacity) m->name = (uint16_t)(seed += 0x1357);
#define FILL_U32(name, capacity) m->name = (seed += 0x01234567);
#define FILL_U64(name, capacity) m->name = (uint64_t)(seed += 0x01234567) * 0x100000001;
#define FILL_BOOL(name, capacity) m->name = (seed += 1) & 1;
#define FILL_ADDRESS(name, capacity) fill_address(&m->name, seed += 1);
#define FILL_TEXT(name, capacity) fill_text(m->name, capacity, seed += 1);
#define FILL_BYTES(name, capacity) memset(m->name, (int)(seed += 1), capacity);
#define FILL(kind, name, capacity) FILL_##kind(name, capacity)

#define SAME_U8(name) assert_int_equal(a->name, b->name);
#define SAME_U16(name) assert_int_equal(a->name, b->name);
#define SAME_U32(name) assert_int_equal(a->name, b->name);
#define SAME_U64(name) assert_true(a->name == b->name);
#define SAME_BOOL(name) assert_int_equal(a->name, b->name);
#define SAME_ADDRESS(name) assert_memory_equal(&a->name, &b->name, sizeof(a->name));
#define SAME_TEXT(name) assert_string_equal(a->name, b->name);
#define SAME_BYTES(name) assert_memory_equal(a->name, b->name, sizeof(a->name));
#define SAME(kind, name, capacity) SAME_##kind(name)
/* clang-format on */

static void fill_address(struct address *address, uint32_t seed)
{
	static const char *const texts[] = {"192.0.2.1:5060", "[2001:db8::7]:5061", "203.0.113.9"};

	memset(address, 0, sizeof(*address));
	if (seed % 4 < 3)
		assert_int_equal(address_parse(span_from(texts[seed % 4]), address), 0);
}

/* Empty, as long as can be, or in between. */
static void fill_text(char *text, size_t capacity, uint32_t seed)
{
	size_t length = seed % 3 == 0 ? 0 : seed % 3 == 1 ? capacity - 1 : capacity / 2;

	memset(text, 'a' + (int)(seed % 26), length);
	text[length] = 0;
}

/* clang-format off */
#define X(id, name, fields, from, descriptor) \
	static void fill_##name(struct ipc_##name *m, uint32_t seed) \
	{ \
		memset(m, 0, sizeof(*m)); \
		(void)seed; \
		fields(FILL) \
	} \
	static void same_##name(const struct ipc_##name *a, const struct ipc_##name *b) \
	{ \
		(void)a; \
		(void)b; \
		fields(SAME) \
	}
IPC_MESSAGES(X)
#undef X
/* clang-format on */

static void fill(struct ipc_message *message, enum ipc_type type, uint32_t seed)
{
	memset(message, 0, sizeof(*message));
	message->type = type;
	message->descriptor = -1;
	switch (type) {
#define X(id, name, fields, from, descriptor) \
	case IPC_##id: fill_##name(&message->name, seed); break;
		IPC_MESSAGES(X)
#undef X
	default: fail();
	}
}

static void same(const struct ipc_message *a, const struct ipc_message *b)
{
	assert_int_equal(a->type, b->type);
	switch (a->type) {
#define X(id, name, fields, from, descriptor) \
	case IPC_##id: same_##name(&a->name, &b->name); break;
		IPC_MESSAGES(X)
#undef X
	default: fail();
	}
}

static const uint32_t senders[] = {
#define X(id, name, fields, from, descriptor) from,
	IPC_MESSAGES(X)
#undef X
};

static enum ipc_role some_sender(enum ipc_type type)
{
	return (enum ipc_role)__builtin_ctz(senders[type]);
}

static void every_type_round_trips(void **state)
{
	(void)state;
	for (unsigned type = 0; type < IPC_TYPE_COUNT; type++)
		for (uint32_t seed = 0; seed < 24; seed++) {
			struct ipc_message sent, got;
			uint8_t bytes[IPC_MESSAGE_MAXIMUM];
			ptrdiff_t length;

			fill(&sent, type, seed * 0x9e3779b1u);
			length = ipc_encode(&sent, bytes, sizeof(bytes));
			assert_true(length >= 2);
			memset(&got, 0xaa, sizeof(got));
			assert_int_equal(ipc_decode(bytes, (size_t)length, some_sender(type), &got), 0);
			assert_int_equal(got.descriptor, -1);
			same(&sent, &got);
		}
}

static void truncated_and_overlong_are_refused(void **state)
{
	(void)state;
	for (unsigned type = 0; type < IPC_TYPE_COUNT; type++) {
		struct ipc_message sent, got;
		uint8_t bytes[IPC_MESSAGE_MAXIMUM + 1];
		ptrdiff_t length;

		fill(&sent, type, 7);
		length = ipc_encode(&sent, bytes, IPC_MESSAGE_MAXIMUM);
		assert_true(length > 0);
		for (ptrdiff_t cut = 0; cut < length; cut++) {
			uint8_t *exact = memory_alloc((size_t)cut + 1); /* so that the sanitizer sees a read beyond */

			memcpy(exact, bytes, (size_t)cut);
			assert_int_equal(ipc_decode(exact, (size_t)cut, some_sender(type), &got), -EPROTO);
			memory_free(exact);
			assert_int_equal(ipc_encode(&sent, bytes + IPC_MESSAGE_MAXIMUM - cut, (size_t)cut), -ENOSPC);
			assert_true(ipc_encode(&sent, bytes, IPC_MESSAGE_MAXIMUM) == length);
		}
		bytes[length] = 0;
		assert_int_equal(ipc_decode(bytes, (size_t)length + 1, some_sender(type), &got), -EPROTO);
	}
}

static void wrong_senders_are_refused(void **state)
{
	(void)state;
	for (unsigned type = 0; type < IPC_TYPE_COUNT; type++)
		for (unsigned role = 0; role < IPC_ROLE_COUNT; role++) {
			struct ipc_message sent, got;
			uint8_t bytes[IPC_MESSAGE_MAXIMUM];
			ptrdiff_t length;

			fill(&sent, type, 3);
			length = ipc_encode(&sent, bytes, sizeof(bytes));
			assert_int_equal(ipc_decode(bytes, (size_t)length, role, &got),
					 senders[type] & 1u << role ? 0 : -EPROTO);
		}
}

static void bad_header_is_refused(void **state)
{
	struct ipc_message got;

	(void)state;
	assert_int_equal(ipc_decode((const uint8_t[]){IPC_VERSION, IPC_STOP}, 2, IPC_ROLE_SUPERVISOR, &got), 0);
	assert_int_equal(ipc_decode((const uint8_t[]){IPC_VERSION + 1, IPC_STOP}, 2, IPC_ROLE_SUPERVISOR, &got),
			 -EPROTO);
	assert_int_equal(ipc_decode((const uint8_t[]){IPC_VERSION, IPC_TYPE_COUNT}, 2, IPC_ROLE_SUPERVISOR, &got),
			 -EPROTO);
	assert_int_equal(ipc_decode((const uint8_t[]){IPC_VERSION, 255}, 2, IPC_ROLE_SUPERVISOR, &got), -EPROTO);
}

/* RELOADED: header, u64 request, bool done, text. */
static void bad_values_are_refused(void **state)
{
	struct ipc_message message = {.type = IPC_RELOADED, .descriptor = -1};
	uint8_t bytes[IPC_MESSAGE_MAXIMUM], bad[IPC_MESSAGE_MAXIMUM];
	struct ipc_message got;
	ptrdiff_t length;

	(void)state;
	strcpy(message.reloaded.text, "fine");
	length = ipc_encode(&message, bytes, sizeof(bytes));
	assert_int_equal(length, 2 + 8 + 1 + 2 + 4);

	memcpy(bad, bytes, sizeof(bad));
	bad[10] = 2; /* neither false nor true */
	assert_int_equal(ipc_decode(bad, (size_t)length, IPC_ROLE_SUPERVISOR, &got), -EPROTO);

	memcpy(bad, bytes, sizeof(bad));
	bad[14] = 0; /* a NUL inside the text */
	assert_int_equal(ipc_decode(bad, (size_t)length, IPC_ROLE_SUPERVISOR, &got), -EPROTO);

	memset(bad + 13, 'x', sizeof(bad) - 13); /* a text that fills its buffer, leaving no room for the NUL */
	bad[11] = 4096 & 0xff;
	bad[12] = 4096 >> 8;
	assert_int_equal(ipc_decode(bad, 13 + 4096, IPC_ROLE_SUPERVISOR, &got), -EPROTO);
	bad[11] = 4095 & 0xff;
	bad[12] = 4095 >> 8;
	assert_int_equal(ipc_decode(bad, 13 + 4095, IPC_ROLE_SUPERVISOR, &got), 0);

	memset(message.reloaded.text, 'x', sizeof(message.reloaded.text));
	assert_int_equal(ipc_encode(&message, bytes, sizeof(bytes)), -EINVAL);
	message.type = IPC_TYPE_COUNT;
	assert_int_equal(ipc_encode(&message, bytes, sizeof(bytes)), -EINVAL);
}

/* LISTENER: header, u32, three u8, then the address: family, port, 16 bytes. */
static void bad_addresses_are_refused(void **state)
{
	struct ipc_message message = {.type = IPC_LISTENER, .descriptor = -1};
	uint8_t bytes[IPC_MESSAGE_MAXIMUM];
	struct ipc_message got;
	ptrdiff_t length;

	(void)state;
	fill_address(&message.listener.local, 0);
	length = ipc_encode(&message, bytes, sizeof(bytes));
	assert_int_equal(length, 2 + 4 + 3 + 19);
	assert_int_equal(ipc_decode(bytes, (size_t)length, IPC_ROLE_SUPERVISOR, &got), 0);

	bytes[9] = 5; /* no such family */
	assert_int_equal(ipc_decode(bytes, (size_t)length, IPC_ROLE_SUPERVISOR, &got), -EPROTO);
	bytes[9] = ADDRESS_NONE; /* none, yet with a port */
	assert_int_equal(ipc_decode(bytes, (size_t)length, IPC_ROLE_SUPERVISOR, &got), -EPROTO);
	bytes[9] = ADDRESS_IPV4;
	bytes[length - 1] = 1; /* bytes beyond an IPv4 address */
	assert_int_equal(ipc_decode(bytes, (size_t)length, IPC_ROLE_SUPERVISOR, &got), -EPROTO);
	bytes[9] = ADDRESS_IPV6;
	memset(bytes + 12, 0, 16);
	bytes[22] = bytes[23] = 0xff; /* an IPv4 address in disguise would escape comparisons */
	assert_int_equal(ipc_decode(bytes, (size_t)length, IPC_ROLE_SUPERVISOR, &got), -EPROTO);

	message.listener.local.family = 9;
	assert_int_equal(ipc_encode(&message, bytes, sizeof(bytes)), -EINVAL);
}

static void names_are_told(void **state)
{
	(void)state;
	assert_string_equal(ipc_type_name(IPC_STREAM_SET), "stream_set");
	assert_string_equal(ipc_type_name(IPC_TYPE_COUNT), "unknown");
	assert_string_equal(ipc_role_name(IPC_ROLE_STORE), "store");
	assert_string_equal(ipc_role_name(IPC_ROLE_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_round_trips),
		cmocka_unit_test(truncated_and_overlong_are_refused),
		cmocka_unit_test(wrong_senders_are_refused),
		cmocka_unit_test(bad_header_is_refused),
		cmocka_unit_test(bad_values_are_refused),
		cmocka_unit_test(bad_addresses_are_refused),
		cmocka_unit_test(names_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
