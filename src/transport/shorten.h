/* SPDX-License-Identifier: Apache-2.0
 * Answers of our own making cut down to what their receiver cannot go on without, for who did not send enough to be told
 * more (THREATS N4). */
#ifndef RINGWALL_TRANSPORT_SHORTEN_H
#define RINGWALL_TRANSPORT_SHORTEN_H

#include "base/buffer.h"

bool answer_is(struct span message); /* rather than a request */

/* Writes the short form of an answer into `out`. False: it has none, for what it carries is what was asked for, or no room. */
bool answer_shorten(struct span answer, struct buffer *out);

#endif
