/* SPDX-License-Identifier: Apache-2.0
 * Private: what a stream may need, by what was said of it; media holds packets against this (THREATS M4). */
#ifndef RINGWALL_CALL_BUDGET_H
#define RINGWALL_CALL_BUDGET_H

#include "media/media.h"
#include "sdp/sdp.h"

/* The clock of each payload type that a description names; the last word on a type counts. Returns whether anything changed. */
bool clocks_learn(uint8_t clocks[MEDIA_TYPES], const struct sdp_stream *described);

/* Adds what a description of either side brings. Nothing is ever taken back: packets of what was agreed before may still be on
 * their way. Returns whether anything was added. */
bool budget_extend(struct media_budget *budget, const struct sdp_stream *described);

#endif
