/* SPDX-License-Identifier: Apache-2.0
 * The kinds of evidence, and the sink. */
#include "base/evidence.h"

static const struct evidence_row rows[EVIDENCE_KIND_COUNT] = {
#define X(kind, name, level, weight, proven) {name, level, weight, proven},
	EVIDENCE_KINDS(X)
#undef X
};

const struct evidence_row *evidence_row(enum evidence_kind kind)
{
	return &rows[kind];
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
	if (evidence->source.family != ADDRESS_NONE)
		address_text(&evidence->source, source);
	if (evidence->local.family != ADDRESS_NONE)
		address_text(&evidence->local, local);
	log_limited(&sink->limits[evidence->kind], LOG_INFO, "evidence",
		    "%s source=%s local=%s count=%u weight=%u proven=%s call=%llx", evidence_row(evidence->kind)->name,
		    source, local, evidence->count, evidence_weight(evidence), evidence->proven ? "yes" : "no",
		    (unsigned long long)evidence->session);
}
