/* SPDX-License-Identifier: Apache-2.0
 * What a level has seen that no honest peer does, or seldom does: one type for all levels, one table of kinds, and a sink that counts
 * and logs. Nothing is decided here. */
#ifndef RINGWALL_BASE_EVIDENCE_H
#define RINGWALL_BASE_EVIDENCE_H

#include "base/address.h"
#include "base/log.h"

enum evidence_level { EVIDENCE_NETWORK, EVIDENCE_APPLICATION, EVIDENCE_CONTENT, EVIDENCE_LEVEL_COUNT };

/* X(enum, name, level, weight, only when proven): the weight is of one finding, 0 to 100, about what it says of who sent it: 0 happens
 * to honest peers daily, 10 a few times a year, 100 never. ONLY PROVEN: the source could be forged to blame somebody, so an
 * unproven finding says nothing about the address that it bears. */
#define EVIDENCE_KINDS(X) \
	X(MEDIA_SOURCE, "media_source", EVIDENCE_CONTENT, 5, true) \
	X(MEDIA_MALFORMED, "media_malformed", EVIDENCE_CONTENT, 10, true) \
	X(MEDIA_FORGED, "media_forged", EVIDENCE_CONTENT, 10, true) \
	X(MEDIA_REPLAYED, "media_replayed", EVIDENCE_CONTENT, 1, true) \
	X(MEDIA_DIRECTION, "media_direction", EVIDENCE_CONTENT, 0, true) \
	X(MEDIA_SIZE, "media_size", EVIDENCE_CONTENT, 10, true) \
	X(MEDIA_CLEAR, "media_clear", EVIDENCE_CONTENT, 5, true) \
	X(MEDIA_REPORT, "media_false_report", EVIDENCE_CONTENT, 2, true) \
	X(MEDIA_BYE, "media_bye", EVIDENCE_CONTENT, 0, true) \
	X(MEDIA_PART, "media_rtcp_part", EVIDENCE_CONTENT, 0, true) \
	X(MEDIA_PAYLOAD, "media_payload_type", EVIDENCE_CONTENT, 2, true) \
	X(MEDIA_RATE, "media_rate", EVIDENCE_CONTENT, 5, true) \
	X(MEDIA_STUN, "media_stun", EVIDENCE_CONTENT, 2, true) \
	X(MEDIA_DTLS, "media_dtls", EVIDENCE_CONTENT, 5, true)
enum evidence_kind {
#define X(kind, name, level, weight, proven) EVIDENCE_##kind,
	EVIDENCE_KINDS(X)
#undef X
		EVIDENCE_KIND_COUNT,
};

struct evidence_row {
	const char *name; /* of the log and of `ringwall status` */
	enum evidence_level level;
	uint8_t weight;
	bool only_proven;
};
const struct evidence_row *evidence_row(enum evidence_kind kind); /* `kind` must be valid */

/* One finding, or several alike. */
struct evidence {
	enum evidence_kind kind;
	uint32_t count;
	bool proven; /* the sender has shown that it is at `source`: by an answered request, or by a key */
	struct address source, local; /* ADDRESS_NONE: not known, or many */
	uint64_t session;             /* the call that it is about; 0: none */
	uint64_t time_us;             /* monotonic */
};

/* The whole weight; 0 for what must not be held against the source. */
uint32_t evidence_weight(const struct evidence *evidence);

/* Where findings go. Zeros at first. One thread. */
struct evidence_sink {
	uint64_t counts[EVIDENCE_KIND_COUNT];
	struct log_limit limits[EVIDENCE_KIND_COUNT];
};
/* Counts, and writes a line of level info, of each kind at most LOG_BURST a minute. An unknown kind is left out. */
void evidence_put(struct evidence_sink *sink, const struct evidence *evidence);

#endif
