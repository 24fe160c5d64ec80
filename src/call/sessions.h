/* SPDX-License-Identifier: Apache-2.0
 * Private: what is agreed about media: ports, offer and answer between the legs, what media learned. */
#ifndef RINGWALL_CALL_SESSIONS_H
#define RINGWALL_CALL_SESSIONS_H

#include "call/model.h"

static inline const struct config_zone *leg_zone(const struct call *call, uint8_t leg)
{
	return gateway_zone(call->gateway, call->legs[leg].zone);
}

/* ports.c: one pool for every distinct address and range, shared by the zones that name it */

struct port_pools *port_pools_new(void);
void port_pools_free(struct port_pools *pools);
/* The pool of one of a zone's media addresses and its range; NULL when memory is short. Pools of one address whose ranges overlap
 * never have the same port out at a time. */
struct port_pool *port_pools_get(struct port_pools *pools, const struct config_zone *zone,
				 const struct address *address, struct random_source random);
const struct address *port_pool_address(const struct port_pool *pool);
/* An even port whose odd neighbour is free too; 0 when all are taken. The one given back longest ago comes first. */
uint16_t port_take(struct port_pool *pool);
/* This very port, which a call of before had, maybe when the range was another one. False: it is in use. */
bool port_take_again(struct port_pool *pool, uint16_t port);
void port_give(struct port_pool *pool, uint16_t port); /* NULL: a port that is no pool's any more */

/* session.c */
/* `fork` is the dialog a description belongs to; NULL for the INVITE that makes the call. */
/* What is agreed in a dialog: a fork's own before the answer, if it has described something; else the call's. */
struct session *session_of(struct call *call, struct fork *fork);
/* An offer from `leg`, rewritten for the other. 0, or the SIP status to refuse with; then nothing has changed. */
int session_offer(struct call *call, struct fork *fork, uint8_t leg, struct span description, struct buffer *out);
/* An answer from `leg` to the offer under way, rewritten for the other; media is told. May come again (18x, then 2xx).
 * 0, or the status to refuse with; then nothing has changed. */
int session_answer(struct call *call, struct fork *fork, uint8_t leg, struct span description, struct buffer *out);
/* Whether an offer waits for its first answer; *offerer is who made it. */
bool session_offer_pending(struct call *call, struct fork *fork, uint8_t *offerer);
/* The exchange is complete, or came to nothing: what stood before stays in force. */
void session_exchange_done(struct call *call, struct fork *fork);
/* Budgets become what was agreed, some seconds from now. */
void session_narrow_later(struct call *call);
/* `fork` was answered: its session is the call's from now on, those of the others go. call->dialog is set. */
void session_commit(struct call *call, struct fork *fork);
/* Of a fork that goes. */
void session_forget(struct fork *fork);
void session_close(struct call *call);
/* The leg's answer to the description it knows already: where its media is now. What does not fit is left as it was. */
void session_reaffirm(struct call *call, uint8_t leg, struct span description);
/* Tells media what plays now: the answered dialog's session, before that the one of call->early. */
void session_tell_media(struct call *call);

/* keying.c: encryption toward each leg. Those that return int: 0, or 488 to refuse with, which is counted and logged. */
/* Where encryption is a choice, the choice is made once: a stream that was encrypted stays so (THREATS M1). Before the call is
 * answered the other side may still turn out to be another phone. */
bool keying_stays(const struct call *call, uint8_t leg, const struct session_stream *stream);
/* Whether the suite is in force toward the leg with keys by SDES, which then go on. */
bool keying_has_crypto(const struct session_stream *stream, uint8_t leg, enum sdp_suite suite);
/* What is taken of the offer of `leg`. `before` is what stands. */
int keying_take(struct call *call, uint8_t leg, const struct sdp_stream *from, const struct session_stream *before,
		struct exchange_stream *out);
/* After it: what is offered on to `leg`. */
int keying_propose(struct call *call, uint8_t leg, const struct sdp_stream *from, const struct session_stream *before,
		   struct exchange_stream *out, struct sdp_local_stream *local);
/* What the answer of `leg` agreed to, into the stream. */
int keying_accept(struct call *call, uint8_t leg, const struct exchange_stream *exchange,
		  const struct sdp_stream *answer, struct session_stream *stream);
/* After it: what was taken of the offer, into the stream and into the answer to the offerer. */
void keying_answer(struct call *call, uint8_t offerer, const struct exchange_stream *exchange,
		   const struct sdp_stream *answer, struct session_stream *stream, struct sdp_local_stream *local);
/* Of a stream that is closed: when it is opened again, nothing of before is used. */
void keying_forget(struct session_stream *stream);
/* Whether a refresh's answer fits what stands; *changed is set when its key differs. */
bool keying_reaffirm(const struct call *call, uint8_t leg, const struct sdp_stream *answer,
		     struct session_stream *stream, bool *changed);
/* Into what media is told of the leg. */
void keying_tell(const struct session_stream *stream, uint8_t leg, struct media_side *side);

/* learned.c */
/* MEDIA_LOCKED, MEDIA_ROLL_OVER and MEDIA_KEYED, by the call's legs. */
void learned_take(struct call *call, const struct media_event *event);
/* What is in force toward a leg from now on: what was learned of other keys, or another address, is forgotten. */
void learned_keys_set(struct session_stream *stream, uint8_t leg, uint8_t suite, const uint8_t *key_in,
		      const uint8_t *key_out);
void learned_peer_set(struct session_stream *stream, uint8_t leg, const struct address *rtp,
		      const struct address *rtcp);
/* Into what media is told of the leg. */
void learned_tell(const struct learned *learned, struct media_side *side);

#endif
