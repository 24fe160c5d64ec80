/* SPDX-License-Identifier: Apache-2.0
 * The kinds of evidence, and the sink. */
#include "base/evidence.h"

#include <string.h>

#include "base/memory.h"

static bool is_good(enum evidence_kind kind)
{
	return kind == EVIDENCE_GOOD_REGISTRATION || kind == EVIDENCE_GOOD_CALL;
}

static const struct evidence_row rows[EVIDENCE_KIND_COUNT] = {
#define X(kind, name, level, weight, half_life_s, subject, proven) {name, level, subject, half_life_s, weight, proven},
	EVIDENCE_KINDS(X)
#undef X
};

static const char *const subjects[SUBJECT_COUNT] = {
	[SUBJECT_NONE] = "nobody",
	[SUBJECT_UNPROVEN] = "unproven sources",
	[SUBJECT_ACCOUNT_AT] = "account at a host",
	[SUBJECT_CALL] = "call",
	[SUBJECT_CONNECTION] = "connection",
	[SUBJECT_TRANSPORT_ADDRESS] = "address and port",
	[SUBJECT_ADDRESS] = "address",
	[SUBJECT_PREFIX] = "prefix",
	[SUBJECT_ACCOUNT] = "account",
	[SUBJECT_ADDRESS_OF_RECORD] = "address-of-record",
};

const struct evidence_row *evidence_row(enum evidence_kind kind)
{
	return &rows[kind];
}

const char *evidence_subject_name(enum evidence_subject subject)
{
	return (size_t)subject < SUBJECT_COUNT ? subjects[subject] : "?";
}

uint64_t evidence_hash(const uint8_t key[HASH_KEY_BYTES], struct span zone, struct span user)
{
	uint64_t of_zone = hash_bytes(key, zone.data, zone.length), hash;
	uint8_t own[HASH_KEY_BYTES];

	memcpy(own, key, sizeof(own));
	for (size_t i = 0; i < sizeof(of_zone); i++)
		own[i] ^= (uint8_t)(of_zone >> 8 * i);
	hash = hash_bytes(own, user.data, user.length);
	memory_wipe(own, sizeof(own));
	return hash ? hash : 1;
}

uint32_t evidence_weight(const struct evidence *evidence)
{
	const struct evidence_row *row = evidence_row(evidence->kind);
	uint64_t weight = (uint64_t)row->weight * evidence->count;

	if (row->only_proven && !evidence->proven)
		return 0;
	return weight < UINT32_MAX ? (uint32_t)weight : UINT32_MAX;
}

void evidence_put(struct evidence_sink *sink, const struct evidence *evidence)
{
	char source[ADDRESS_TEXT_BYTES] = "-", local[ADDRESS_TEXT_BYTES] = "-";

	if ((size_t)evidence->kind >= EVIDENCE_KIND_COUNT || !evidence->count)
		return;
	sink->counts[evidence->kind] += evidence->count;
	if (is_good(evidence->kind))
		return;
	if (evidence->source.family != ADDRESS_NONE)
		address_text(&evidence->source, source);
	if (evidence->local.family != ADDRESS_NONE)
		address_text(&evidence->local, local);
	log_limited(&sink->limits[evidence->kind], LOG_INFO, "evidence",
		    "%s source=%s local=%s count=%u weight=%u proven=%s call=%llx", evidence_row(evidence->kind)->name,
		    source, local, evidence->count, evidence_weight(evidence), evidence->proven ? "yes" : "no",
		    (unsigned long long)evidence->session);
}
