/* SPDX-License-Identifier: Apache-2.0
 * A side whose keys are made by DTLS (RFC 5763, 5764): whose handshakes are let in, and what comes of them. Until one is done the side has
 * suites that nobody has keys for, so that nothing passes it in the clear. */
#include "media/relay_private.h"

#include <string.h>

#include "base/memory.h"
#include "media/dtls.h"
#include "media/relay_offload.h"

#define HANDSHAKES 8     /* unfinished, of a side: those that are not the peer's may not keep the peer out */
#define STARTS_PER_S 20  /* of each kind: an unfinished one has some 400 ms at least until others displace it */
#define AGAIN_US 2000000 /* until we begin once more */
#define LINGER_US UINT64_C(20000000) /* a finished one answers last flights that come again */
#define DATAGRAMS_PER_S 50           /* of a handshake */

struct handshake {
	struct dtls *dtls;
	uint64_t begun_us;
	struct budget budget;
};

struct relay_dtls {
	struct media_dtls wanted;
	struct handshake open[HANDSHAKES];
	struct handshake done;
	struct media_keys keys;  /* of the present association; suite none: not made yet */
	uint64_t expected_us;    /* since when they are waited for */
	uint64_t begun_us;       /* when we last began */
	bool is_told;            /* that the certificate, or the suite, was wrong */
	struct budget starts[2]; /* with a cookie: others', the peer's */
};

static void handshake_drop(struct handshake *handshake)
{
	dtls_free(handshake->dtls);
	*handshake = (struct handshake){0};
}

static void handshakes_drop(struct relay_dtls *dtls)
{
	for (int i = 0; i < HANDSHAKES; i++)
		handshake_drop(&dtls->open[i]);
}

void relay_dtls_close(struct relay_side *side)
{
	if (!side->dtls)
		return;
	handshakes_drop(side->dtls);
	handshake_drop(&side->dtls->done);
	memory_free_secret(side->dtls, sizeof(*side->dtls));
	side->dtls = NULL;
}

static void send_datagram(void *context, const struct address *peer, const uint8_t *datagram, size_t length)
{
	relay_port_send_to(context, peer, datagram, length);
}

static void event_tell(const struct relay_worker *worker, const struct relay_side *side, enum media_event_kind kind,
		       enum media_failure failure)
{
	struct media_event event = {.session = side->stream->session->id,
				    .kind = (uint8_t)kind,
				    .stream = side->stream->index,
				    .side = side->index,
				    .failure = (uint8_t)failure};
	if (kind == MEDIA_KEYED)
		event.keys = side->dtls->keys;
	if (worker->callbacks.event)
		worker->callbacks.event(worker->callbacks.context, &event);
	memory_wipe(&event.keys, sizeof(event.keys));
}

/* ---- What is wanted ---- */

/* `from_before`: keys that a relay which is gone had told. */
static void association_begin(struct relay_worker *worker, struct relay_side *side, const struct media_side *wanted)
{
	struct relay_dtls *dtls = side->dtls;
	handshakes_drop(dtls);
	dtls->wanted = wanted->dtls;
	dtls->keys = (struct media_keys){0};
	dtls->is_told = false;
	dtls->expected_us = worker->now_us;
	dtls->begun_us = 0;
	if (wanted->suite_in == SRTP_NONE)
		return;
	dtls->keys = (struct media_keys){wanted->dtls.association, wanted->suite_in, {0}, {0}};
	memcpy(dtls->keys.key_in, wanted->key_in, sizeof(dtls->keys.key_in));
	memcpy(dtls->keys.key_out, wanted->key_out, sizeof(dtls->keys.key_out));
	/* Contexts of their own, which go on where these keys were, whatever was used in between. */
	srtp_context_free(side->in);
	srtp_context_free(side->out);
	side->in = side->out = NULL;
	relay_keys_apply(side, wanted);
}

void relay_dtls_apply(struct relay_worker *worker, struct relay_side *side, const struct media_side *wanted)
{
	static const struct media_budget starts = {.packets_per_s = STARTS_PER_S};
	struct relay_dtls *dtls = side->dtls;
	if (!dtls)
		dtls = side->dtls = memory_alloc(sizeof(*dtls));
	for (int i = 0; dtls && i < 2; i++)
		budget_set(&dtls->starts[i], &starts);
	/* From keys of another kind to these: what plays goes on with those. */
	if (!side->in || !side->out)
		side->suite_in = side->suite_out = RELAY_SUITE_AWAITED;
	if (!dtls) /* no memory: nothing passes */
		return;
	if (dtls->wanted.association != wanted->dtls.association || dtls->wanted.handshake != wanted->dtls.handshake) {
		association_begin(worker, side, wanted);
		return;
	}
	dtls->wanted = wanted->dtls;
	if (dtls->keys.suite == SRTP_NONE)
		return;
	if (side->in)
		srtp_roll_over_retell(side->in);
	if (side->out)
		srtp_roll_over_retell(side->out);
	if (wanted->suite_in == SRTP_NONE) /* a gate that missed it */
		event_tell(worker, side, MEDIA_KEYED, 0);
}

/* ---- What comes of a handshake ---- */

static void keys_use(struct relay_side *side, const struct media_keys *keys)
{
	struct media_side as_given = {.suite_in = keys->suite, .suite_out = keys->suite};
	memcpy(as_given.key_in, keys->key_in, sizeof(as_given.key_in));
	memcpy(as_given.key_out, keys->key_out, sizeof(as_given.key_out));
	relay_keys_apply(side, &as_given);
	memory_wipe(&as_given, sizeof(as_given));
}

static void handshake_finish(struct relay_worker *worker, struct relay_side *side, struct handshake *handshake)
{
	struct relay_dtls *dtls = side->dtls;
	struct relay_port *port = &side->ports[0];
	struct address peer = *dtls_peer(handshake->dtls);
	struct media_keys keys;
	dtls_keys(handshake->dtls, &keys);
	if (keys.suite == SRTP_NONE) { /* no memory: as if it had not been */
		handshake_drop(handshake);
		return;
	}
	dtls->keys = keys;
	memory_wipe(&keys, sizeof(keys));
	handshake_drop(&dtls->done);
	dtls->done = (struct handshake){handshake->dtls, worker->now_us, handshake->budget};
	handshake->dtls = NULL;
	handshakes_drop(dtls);
	keys_use(side, &dtls->keys);
	if (!port->locked || (!side->ice && !address_equal(&port->peer, &peer)))
		relay_port_lock(worker, port, &peer);
	relay_offload_review(worker, side->stream);
	event_tell(worker, side, MEDIA_KEYED, 0);
}

/* Whether it was the peer itself: who passed a check of ICE, who is where the description says, or who had the right keys before. */
static bool is_the_peer(const struct relay_side *side, const struct address *source)
{
	const struct relay_port *port = &side->ports[0];
	return side->ice || address_equal(source, &port->signalled) ||
	       (port->locked && address_equal(source, &port->peer));
}

static void failure_tell(struct relay_worker *worker, struct relay_side *side, enum media_failure failure)
{
	if (side->dtls->is_told)
		return;
	side->dtls->is_told = true;
	event_tell(worker, side, MEDIA_UNKEYED, failure);
}

/* False: the datagram was none that should have come. */
static bool handshake_review(struct relay_worker *worker, struct relay_side *side, struct handshake *handshake,
			     enum dtls_state state)
{
	if (state == DTLS_RUNNING)
		return true;
	if (state == DTLS_KEYED) {
		if (handshake != &side->dtls->done)
			handshake_finish(worker, side, handshake);
		return true;
	}
	bool is_peer = is_the_peer(side, dtls_peer(handshake->dtls));
	if (state == DTLS_WRONG_CERTIFICATE && is_peer)
		failure_tell(worker, side, MEDIA_FAILURE_CERTIFICATE);
	if (state == DTLS_NO_SUITE)
		failure_tell(worker, side, MEDIA_FAILURE_SUITE);
	handshake_drop(handshake);
	return false;
}

/* ---- Datagrams ---- */

/* The first message of a client, in a record that is not encrypted (RFC 6347 section 4.1). */
static bool is_hello(const uint8_t *datagram, size_t length)
{
	return length > 13 && datagram[0] == 22 && datagram[3] == 0 && datagram[4] == 0 && datagram[13] == 1;
}

/* An alert that anybody could have sent. The peer's own, if it is one, is not missed: its handshake comes to nothing in any case. */
static bool is_bare_alert(const uint8_t *datagram, size_t length)
{
	return length > 4 && datagram[0] == 21 && datagram[3] == 0 && datagram[4] == 0;
}

static struct handshake *handshake_by(struct relay_dtls *dtls, const struct address *source, bool is_hello)
{
	for (int i = 0; i < HANDSHAKES; i++)
		if (dtls->open[i].dtls && address_equal(dtls_peer(dtls->open[i].dtls), source))
			return &dtls->open[i];
	/* Whose handshake is done may begin another. */
	if (!is_hello && dtls->done.dtls && address_equal(dtls_peer(dtls->done.dtls), source))
		return &dtls->done;
	return NULL;
}

static struct handshake *newest_of(struct relay_dtls *dtls)
{
	struct handshake *newest = NULL;
	for (int i = 0; i < HANDSHAKES; i++)
		if (dtls->open[i].dtls && (!newest || dtls->open[i].begun_us > newest->begun_us))
			newest = &dtls->open[i];
	return newest;
}

/* With ICE the peer may go on by another of its ways. */
static struct handshake *handshake_of(struct relay_side *side, const struct address *source, bool is_hello)
{
	struct handshake *handshake = handshake_by(side->dtls, source, is_hello);
	if (handshake || !side->ice || is_hello)
		return handshake;
	handshake = newest_of(side->dtls);
	if (handshake)
		dtls_peer_set(handshake->dtls, source);
	return handshake;
}

static struct handshake *place_of(struct relay_dtls *dtls)
{
	struct handshake *oldest = &dtls->open[0];
	for (int i = 0; i < HANDSHAKES; i++) {
		if (!dtls->open[i].dtls)
			return &dtls->open[i];
		if (dtls->open[i].begun_us < oldest->begun_us)
			oldest = &dtls->open[i];
	}
	handshake_drop(oldest);
	return oldest;
}

static struct handshake *handshake_place(struct relay_worker *worker, struct relay_dtls *dtls, struct dtls *begun)
{
	static const struct media_budget agreed = {.packets_per_s = DATAGRAMS_PER_S};
	struct handshake *place = place_of(dtls);
	*place = (struct handshake){.dtls = begun, .begun_us = worker->now_us};
	budget_set(&place->budget, &agreed);
	return place;
}

/* First messages have no limit that a forger could use up for the peer: without a cookie each costs a hash. With one, its source is
 * proven, and the work that follows is bounded. */
static bool handshake_accept(struct relay_worker *worker, struct relay_side *side, const struct relay_passage *passage,
			     const struct address *source)
{
	const struct dtls_out out = {send_datagram, &side->ports[0]};
	struct dtls_identity *identity = relay_worker_identity(worker);
	struct dtls *begun = NULL;
	if (!worker->listener)
		worker->listener = dtls_listener_new();
	if (identity && worker->listener)
		begun = dtls_listen(worker->listener, identity, source, passage->packet, passage->length, &out);
	dtls_identity_free(identity);
	if (!begun)
		return true;
	if (budget_take(&side->dtls->starts[is_the_peer(side, source)], 0, worker->now_us) != MEDIA_DROP_COUNT) {
		dtls_free(begun);
		return false;
	}
	struct handshake *place = handshake_place(worker, side->dtls, begun);
	return handshake_review(worker, side, place, dtls_accept(begun, &side->dtls->wanted));
}

static bool take(struct relay_worker *worker, struct relay_side *side, const struct relay_passage *passage)
{
	struct address source;
	if (!side->dtls || passage->from->is_rtcp || !relay_admits(passage) ||
	    is_bare_alert(passage->packet, passage->length))
		return false;
	bool hello = is_hello(passage->packet, passage->length);
	relay_source(passage, &source);
	struct handshake *handshake = handshake_of(side, &source, hello);
	if (!handshake)
		return hello && side->dtls->wanted.handshake == MEDIA_HANDSHAKE_AWAIT &&
		       handshake_accept(worker, side, passage, &source);
	if (budget_take(&handshake->budget, passage->length, worker->now_us) != MEDIA_DROP_COUNT)
		return false;
	return handshake_review(worker, side, handshake,
				dtls_receive(handshake->dtls, passage->packet, passage->length));
}

void relay_dtls_take(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *side = passage->from->side;
	passage->is_taken = take(worker, side, passage);
	if (!passage->is_taken)
		side_drop(side, MEDIA_DROP_DTLS);
}

/* ---- Time ---- */

static void handshake_begin(struct relay_worker *worker, struct relay_side *side)
{
	const struct dtls_out out = {send_datagram, &side->ports[0]};
	struct relay_dtls *dtls = side->dtls;
	if (dtls->wanted.handshake != MEDIA_HANDSHAKE_BEGIN || newest_of(dtls) || dtls->keys.suite != SRTP_NONE ||
	    side->ports[0].descriptor < 0 || side->ports[0].peer.family == ADDRESS_NONE ||
	    (dtls->begun_us && worker->now_us - dtls->begun_us < AGAIN_US))
		return;
	struct dtls_identity *identity = relay_worker_identity(worker);
	dtls->begun_us = worker->now_us;
	struct dtls *begun = identity ? dtls_connect(identity, &dtls->wanted, &side->ports[0].peer, &out) : NULL;
	if (begun)
		handshake_place(worker, dtls, begun);
	dtls_identity_free(identity);
}

static void handshake_tick(struct relay_worker *worker, struct relay_side *side, struct handshake *handshake)
{
	if (side->ice && side->dtls->wanted.handshake == MEDIA_HANDSHAKE_BEGIN)
		dtls_peer_set(handshake->dtls, &side->ports[0].peer);
	handshake_review(worker, side, handshake, dtls_tick(handshake->dtls));
}

void relay_dtls_tick(struct relay_worker *worker, struct relay_side *side)
{
	struct relay_dtls *dtls = side->dtls;
	if (!dtls)
		return;
	for (int i = 0; i < HANDSHAKES; i++)
		if (dtls->open[i].dtls)
			handshake_tick(worker, side, &dtls->open[i]);
	if (dtls->done.dtls && worker->now_us - dtls->done.begun_us > LINGER_US)
		handshake_drop(&dtls->done);
	handshake_begin(worker, side);
	if (dtls->keys.suite == SRTP_NONE && worker->now_us - dtls->expected_us > RELAY_KEYS_PATIENCE_US) {
		dtls->expected_us = worker->now_us;
		event_tell(worker, side, MEDIA_UNKEYED, MEDIA_FAILURE_TIME);
	}
}

const char *media_failure_text(enum media_failure failure)
{
	static const char *const texts[MEDIA_FAILURE_COUNT] = {
		[MEDIA_FAILURE_CERTIFICATE] = "another certificate than was signalled",
		[MEDIA_FAILURE_SUITE] = "no SRTP suite in common",
		[MEDIA_FAILURE_TIME] = "no DTLS handshake",
	};
	return failure < MEDIA_FAILURE_COUNT ? texts[failure] : "";
}
