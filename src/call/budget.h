/* SPDX-License-Identifier: Apache-2.0
 * Private: what a stream may need, by what was said of it; media holds packets against this (THREATS M4). */
#ifndef RINGWALL_CALL_BUDGET_H
#define RINGWALL_CALL_BUDGET_H

#include "media/media.h"
#include "sdp/sdp.h"

/* The clock of each payload type that a description names; the last word on a type counts. Returns whether anything changed. */
bool clocks_learn(uint8_t clocks[MEDIA_TYPES], const struct sdp_stream *described);

/* Adds what a description of either side brings; nothing is taken back, as packets of what was agreed before may still be on their
 * way. Returns whether anything was added. */
bool budget_extend(struct media_budget *budget, const struct sdp_stream *described);

/* What either side may send once an offer is answered: the types of the answer at the pace of both. Where the answer has types of
 * its own, the two sides may number codecs differently, and all that was offered stays. A refused stream changes nothing. */
void budget_agree(struct media_budget *agreed, const struct media_budget *offered, const struct sdp_stream *answer);

bool budget_equal(const struct media_budget *a, const struct media_budget *b);

#endif
