/* SPDX-License-Identifier: Apache-2.0
 * Subjects: whom something is about. */
#include <string.h>

#include "detect/private.h"

/* What a subject of each kind consists of. */
static const struct shape {
	uint8_t bits_ipv4, bits_ipv6; /* 0: no address */
	bool port, number;
} shapes[SUBJECT_COUNT] = {
	[SUBJECT_ACCOUNT_AT] = {32, 64, false, true}, [SUBJECT_CALL] = {0, 0, false, true},
	[SUBJECT_CONNECTION] = {32, 128, true, true}, [SUBJECT_TRANSPORT_ADDRESS] = {32, 128, true, false},
	[SUBJECT_ADDRESS] = {32, 128, false, false},  [SUBJECT_PREFIX] = {24, 64, false, false},
	[SUBJECT_ACCOUNT] = {0, 0, false, true},      [SUBJECT_ADDRESS_OF_RECORD] = {0, 0, false, true},
};

struct detect_subject detect_subject(enum evidence_subject kind, const struct address *address, uint64_t number)
{
	const struct shape *shape = &shapes[kind];
	struct detect_subject subject = {.kind = (uint8_t)kind};

	if (shape->number)
		subject.number = number;
	if (!shape->bits_ipv4)
		return subject;
	subject.bits = address->family == ADDRESS_IPV4 ? shape->bits_ipv4 : shape->bits_ipv6;
	subject.address.family = address->family;
	memcpy(subject.address.ip, address->ip, subject.bits / 8);
	if (shape->port)
		subject.address.port = address->port;
	return subject;
}

bool detect_subject_equal(const struct detect_subject *a, const struct detect_subject *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool subject_is_valid(const struct detect_subject *subject)
{
	struct detect_subject canonical;

	if (subject->kind == SUBJECT_NONE || subject->kind >= SUBJECT_COUNT)
		return false;
	if (shapes[subject->kind].bits_ipv4 && subject->address.family != ADDRESS_IPV4 &&
	    subject->address.family != ADDRESS_IPV6)
		return false;
	if (shapes[subject->kind].number && !subject->number)
		return false;
	canonical = detect_subject((enum evidence_subject)subject->kind, &subject->address, subject->number);
	return detect_subject_equal(subject, &canonical);
}

struct detect_subject place_of(const struct address *source, uint64_t connection)
{
	return detect_subject(connection ? SUBJECT_CONNECTION : SUBJECT_TRANSPORT_ADDRESS, source, connection);
}

const char *detect_subject_text(const struct detect_subject *subject, char out[DETECT_SUBJECT_TEXT_BYTES])
{
	const struct shape *shape = &shapes[subject->kind < SUBJECT_COUNT ? subject->kind : SUBJECT_NONE];
	struct buffer text = buffer_over(out, DETECT_SUBJECT_TEXT_BYTES);
	bool is_plain = subject->kind == SUBJECT_TRANSPORT_ADDRESS || subject->kind == SUBJECT_ADDRESS ||
			subject->kind == SUBJECT_PREFIX;

	if (subject->kind == SUBJECT_ACCOUNT_AT)
		buffer_put_text(&text, "account");
	else if (!is_plain)
		buffer_put_text(&text, evidence_subject_name((enum evidence_subject)subject->kind));
	if (shape->number)
		buffer_printf(&text, " %016llx", (unsigned long long)subject->number);
	if (shape->bits_ipv4) {
		buffer_put_text(&text, is_plain ? "" : subject->kind == SUBJECT_ACCOUNT_AT ? " at " : " of ");
		address_write(&text, &subject->address);
		if (subject->bits != (subject->address.family == ADDRESS_IPV4 ? 32 : 128))
			buffer_printf(&text, "/%u", subject->bits);
	}
	return buffer_text(&text);
}
