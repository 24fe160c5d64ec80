/* SPDX-License-Identifier: Apache-2.0
 * Private: what requests and connections show of who sends them, told as evidence (base/evidence.h), and what the owner's protection
 * wants done about them. Only who comes from an access zone is looked at, and nobody who is a peer of another zone. */
#ifndef RINGWALL_CALL_FINDINGS_H
#define RINGWALL_CALL_FINDINGS_H

#include "call/model.h"

/* Remembers challenges of others' that went out, in fixed memory: who returns one has shown where it is. NULL when memory is short. */
struct challenges *challenges_new(void);
void challenges_free(struct challenges *challenges);

/* A finding about the sender of what came by `flow`. `account`: whom it says that it is; `target`: whom it asked for; empty: nobody. */
void finding_tell(struct gateway *gateway, enum evidence_kind kind, const struct flow *flow, struct span account,
		  struct span target);

/* Of what was refused before it was a message, and of a connection that ended. */
void finding_of_reject(struct gateway *gateway, const struct flow *flow, enum sip_reject reject);
void finding_of_end(struct gateway *gateway, const struct flow *flow, enum net_close_reason reason);

/* Whether anything may be said at all by who is there; asked for each datagram and connection. */
bool findings_admit(struct gateway *gateway, const struct flow *flow);

/* A request of a known scanner is left without an answer: who scans learns nothing, not even that somebody is here (THREATS S1). */
bool findings_screen(struct gateway *gateway, const struct flow *flow, const struct sip_message *request);

/* A request outside dialogs. True: it was refused. Calls to emergency numbers pass (THREATS A4). */
bool findings_refuse(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request);

/* A request in a dialog of ours came from somebody who is not in it (THREATS S5, S6). */
void finding_of_stranger(struct gateway *gateway, const struct flow *flow, const struct sip_message *request);

/* The registrar, or who was called, has answered a request outside dialogs. */
void finding_of_answer(struct relay *relay, const struct sip_message *response);

#endif
