/* SPDX-License-Identifier: Apache-2.0
 * What UDP sources may be sent in answer (THREATS N4): no more than they sent, but for a little that each and all together may
 * overdraw, until they are proven. In bounded memory: whoever is pushed out of it begins anew, within what all may overdraw. */
#ifndef RINGWALL_TRANSPORT_SOURCES_H
#define RINGWALL_TRANSPORT_SOURCES_H

#include "base/address.h"
#include "base/clock.h"

#define SOURCE_CREDIT_BYTES 16384   /* kept of what a source sent and was not answered */
#define SOURCE_OVERDRAFT_BYTES 2048 /* of one source, in SOURCE_OVERDRAFT_S */
#define SOURCE_OVERDRAFT_S 60
#define SOURCES_OVERDRAFT_BYTES 65536 /* of all sources, in a second */

struct sources;

/* `proofs` is how many proven addresses are remembered at least. NULL when memory is short. */
struct sources *sources_new(uint32_t proofs, struct random_source random);
void sources_free(struct sources *sources); /* NULL is allowed */

/* `remote` sent so many bytes. Sources are counted by IPv4 address or IPv6 /64, whatever the port. */
void sources_heard(struct sources *sources, const struct address *remote, size_t bytes, uint64_t now_ms);

/* How much may be sent to it that it has sent itself. */
size_t sources_credit(const struct sources *sources, const struct address *remote);

/* Whether so many bytes may be sent to it; they are then counted as sent. `overdraw`: even when it sent less. */
bool sources_grant(struct sources *sources, const struct address *remote, size_t bytes, bool overdraw, uint64_t now_ms);

/* That address and port are not forged, for so long. */
void sources_prove(struct sources *sources, const struct address *remote, uint32_t lifetime_s, uint64_t now_ms);
bool sources_proven(const struct sources *sources, const struct address *remote, uint64_t now_ms);

#endif
