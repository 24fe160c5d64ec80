/* SPDX-License-Identifier: Apache-2.0
 * Offer and answer between two legs (RFC 3264): each side sees only our address and ports and the encryption of its own
 * zone; media is told once both have spoken. */
#include "call/budget.h"
#include "call/calls.h"
#include "call/sessions.h"

#define BUDGET_LATE_MS 10000 /* as long as a network may hold packets back (budget.h of media) */

/* The IP version of a leg's media: that of its signalling, from where alone a phone's media may come (THREATS M2). A peer that
 * offers is free to have its media on the other. */
static uint8_t media_family(const struct call *call, uint8_t leg, const struct sdp_stream *offered)
{
	if (offered && offered->connection.family && leg_zone(call, leg)->kind != ZONE_ACCESS)
		return offered->connection.family;
	return call->legs[leg].flow.remote.family;
}

/* What stands in descriptions that go to this leg. */
static struct address shown_address(const struct call *call, uint8_t leg, uint8_t family, uint16_t port)
{
	struct address address = *config_media_shown(leg_zone(call, leg), family);

	address.port = port;
	return address;
}

/* Of a stream that has its ports. */
static struct address stream_address(const struct call *call, uint8_t leg, const struct session_stream *stream)
{
	return shown_address(call, leg, port_pool_address(stream->pools[leg])->family, stream->ports[leg]);
}

/* ---- Sessions of forks ---- */

static size_t exchange_bytes(const struct exchange *exchange)
{
	return sizeof(*exchange) + exchange->stream_count * sizeof(exchange->streams[0]);
}

static void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	memory_free_secret(exchange->offered.bytes, exchange->offered.length);
	memory_free_secret(exchange, exchange_bytes(exchange));
}

static void exchange_drop(struct session *session)
{
	struct exchange *exchange = session->exchange;

	session->exchange = NULL;
	exchange_free(exchange);
}

static void described_drop(struct described *described)
{
	memory_free_secret(described->bytes, described->length);
	*described = (struct described){0};
}

static void streams_drop(struct session *session)
{
	memory_free_secret(session->streams, session->stream_count * sizeof(*session->streams));
	session->streams = NULL;
	session->stream_count = 0;
}

void session_forget(struct fork *fork)
{
	if (!fork->session)
		return;
	exchange_drop(fork->session);
	streams_drop(fork->session);
	described_drop(&fork->session->described[CALLER]);
	described_drop(&fork->session->described[CALLEE]);
	memory_free(fork->session);
	fork->session = NULL;
}

struct session *session_of(struct call *call, struct fork *fork)
{
	return fork && fork->session ? fork->session : &call->session;
}

static void *copy_of(const void *bytes, size_t length)
{
	void *copy = memory_alloc(length);

	if (copy && bytes)
		memcpy(copy, bytes, length);
	return copy;
}

static struct exchange *exchange_copy(const struct exchange *from)
{
	struct exchange *exchange = copy_of(from, exchange_bytes(from));

	if (!exchange)
		return NULL;
	exchange->offered = (struct described){0};
	bytes_keep(&exchange->offered.bytes, &exchange->offered.length,
		   (struct span){from->offered.bytes, from->offered.length});
	return exchange;
}

/* The fork's session, made from what the INVITE offered when it has none yet; NULL when memory is short. */
static struct session *session_own(struct call *call, struct fork *fork)
{
	const struct session *shared = &call->session;

	if (!fork || fork->session || call->state == CALL_ESTABLISHED)
		return session_of(call, fork);
	fork->session = copy_of(shared, sizeof(*shared));
	if (!fork->session)
		return NULL;
	/* Toward the caller each dialog describes a session of its own, so that no phone takes one for a copy of another. */
	fork->session->origin_ids[CALLER] = random_u64(call->gateway->random) >> 2;
	fork->session->streams = NULL;
	fork->session->exchange = NULL;
	if (shared->streams)
		fork->session->streams = copy_of(shared->streams, shared->stream_count * sizeof(*shared->streams));
	if (shared->exchange)
		fork->session->exchange = exchange_copy(shared->exchange);
	if (!fork->session->streams == !shared->streams && !fork->session->exchange == !shared->exchange)
		return fork->session;
	session_forget(fork);
	return NULL;
}

bool session_offer_pending(struct call *call, struct fork *fork, uint8_t *offerer)
{
	const struct exchange *exchange = session_of(call, fork)->exchange;

	if (!exchange)
		return false;
	*offerer = exchange->offerer;
	return !exchange->answered;
}

/* What was offered and not answered for, or agreed before, is taken back once nothing of it can be on its way any more. */
static bool budgets_narrow(struct session *session)
{
	bool changed = false;

	if (session->exchange)
		return false;
	for (uint8_t i = 0; i < session->stream_count; i++) {
		struct session_stream *stream = &session->streams[i];

		if (!stream->agreed.packets_per_s || budget_equal(&stream->budget, &stream->agreed))
			continue;
		stream->budget = stream->agreed;
		changed = true;
	}
	return changed;
}

static void narrow(void *context)
{
	struct call *call = context;
	bool changed = budgets_narrow(&call->session);

	for (struct fork *fork = call->forks; fork; fork = fork->next)
		if (fork->session)
			changed |= budgets_narrow(fork->session);
	if (!changed)
		return;
	call_touch(call);
	if (call->media_open)
		session_tell_media(call);
}

void session_narrow_later(struct call *call)
{
	call->narrow.fire = narrow;
	call->narrow.context = call;
	timer_start(call->gateway->wheel, &call->narrow, BUDGET_LATE_MS);
}

void session_exchange_done(struct call *call, struct fork *fork)
{
	call_touch(call);
	exchange_drop(session_of(call, fork));
	session_narrow_later(call);
}

void session_commit(struct call *call, struct fork *fork)
{
	struct session *own = fork->session, *shared = &call->session;
	bool plays = call->early == fork;

	fork->session = NULL;
	call->early = NULL;
	if (own) {
		for (uint8_t i = 0; i < shared->stream_count; i++) {
			struct session_stream *to = &shared->streams[i], before = *to;

			*to = i < own->stream_count ? own->streams[i] : (struct session_stream){0};
			memcpy(to->pools, before.pools, sizeof(to->pools));
			memcpy(to->ports, before.ports, sizeof(to->ports));
			memory_wipe(&before, sizeof(before));
		}
		exchange_drop(shared);
		shared->exchange = own->exchange;
		shared->exchanges = own->exchanges;
		memcpy(shared->origin_ids, own->origin_ids, sizeof(shared->origin_ids));
		memcpy(shared->versions, own->versions, sizeof(shared->versions));
		memcpy(shared->described, own->described, sizeof(shared->described));
		streams_drop(own);
		memory_free(own);
	}
	for (struct fork *other = call->forks; other; other = other->next)
		session_forget(other);
	if (!plays)
		session_tell_media(call);
}

/* ---- The offer ---- */

/* A line has the same ports in each dialog of the call: they stand in the one INVITE that all forks saw. */
static int ports_ensure(struct call *call, uint8_t index, struct session_stream *stream, const uint8_t families[2])
{
	struct gateway *gateway = call->gateway;
	struct session_stream *shared = &call->session.streams[index];

	for (uint8_t leg = 0; leg < 2; leg++) {
		if (!shared->ports[leg]) {
			const struct config_zone *zone = leg_zone(call, leg);

			shared->pools[leg] = port_pools_get(gateway->ports, zone,
							    config_media_address(zone, families[leg]), gateway->random);
			shared->ports[leg] = shared->pools[leg] ? port_take(shared->pools[leg]) : 0;
		}
		if (!shared->ports[leg])
			return 503;
		stream->pools[leg] = shared->pools[leg];
		stream->ports[leg] = shared->ports[leg];
	}
	return 0;
}

/* A description's address is where the peer says it is; whether that is believed is decided when media is told. */
static void remember_peer(const struct sdp_stream *from, struct exchange_stream *out)
{
	out->peer = from->on_hold ? (struct address){0} : from->connection;
	out->peer_rtcp = from->on_hold ? (struct address){0} : from->rtcp;
	out->peer_port = from->port;
	out->direction = from->direction;
}

static bool encryption_required(const struct call *call)
{
	return leg_zone(call, CALLER)->media.encryption == ENCRYPTION_REQUIRED ||
	       leg_zone(call, CALLEE)->media.encryption == ENCRYPTION_REQUIRED;
}

/* Whether a stream that is not RTP may cross: T.38 over UDPTL, where nothing is or was encrypted (THREATS M1). */
static bool datagrams_may_cross(const struct call *call, const struct sdp_stream *from,
				const struct session_stream *stream)
{
	return from->protocol == SDP_UDPTL && !encryption_required(call) && !keying_stays(call, CALLER, stream) &&
	       !keying_stays(call, CALLEE, stream);
}

static int offer_stream(struct call *call, uint8_t leg, const struct sdp_stream *from, uint8_t index,
			struct session_stream *stream, struct exchange_stream *out, struct sdp_local_stream *local)
{
	uint8_t other = other_leg(leg), families[2];
	int status = 0;

	out->offered = from->protocol;
	out->kind = sdp_protocol_is_rtp(from->protocol) ? MEDIA_RTP : MEDIA_DATAGRAM;
	local->protocol = from->protocol;
	remember_peer(from, out);
	if (!from->port || (!sdp_protocol_is_rtp(from->protocol) && !datagrams_may_cross(call, from, stream)))
		return 0;
	if (sdp_protocol_is_rtp(from->protocol)) {
		status = keying_take(call, leg, from, stream, out);
		if (!status)
			status = keying_propose(call, other, from, stream, out, local);
	}
	families[leg] = media_family(call, leg, from);
	families[other] = media_family(call, other, NULL);
	if (!status)
		status = ports_ensure(call, index, stream, families);
	if (status)
		return status;
	if (keying_has_crypto(stream, leg, out->chosen.suite))
		memcpy(out->key_to_offerer, stream->keys_out[leg], sizeof(out->key_to_offerer));
	else if (out->chosen.suite)
		random_fill(call->gateway->random, out->key_to_offerer, sdp_suite_key_bytes(out->chosen.suite));
	out->usable = true;
	local->rtp = stream_address(call, other, stream);
	return 0;
}

static bool streams_reserve(struct session *session, uint8_t count)
{
	struct session_stream *grown;

	if (count <= session->stream_count)
		return true;
	grown = memory_alloc(count * sizeof(*grown));
	if (!grown)
		return false;
	if (session->streams)
		memcpy(grown, session->streams, session->stream_count * sizeof(*grown));
	memory_free_secret(session->streams, session->stream_count * sizeof(*grown));
	session->streams = grown;
	session->stream_count = count;
	return true;
}

static int parse(struct call *call, struct span description, struct sdp_session *session)
{
	struct arena arena = arena_over(call->gateway->arena, call->gateway->arena_capacity);
	enum sdp_reject reject = sdp_parse(description, &arena, session);

	if (reject == SDP_OK)
		return 0;
	log_write(LOG_INFO, "call", "call %llx: %s", (unsigned long long)call->id, sdp_reject_text(reject));
	return reject == SDP_REJECT_MEMORY ? 500 : 488;
}

static int offer_streams(struct call *call, struct session *session, uint8_t leg, const struct sdp_session *from,
			 struct exchange *exchange, struct sdp_local_stream *locals)
{
	bool any = false, wanted = false;

	for (uint8_t i = 0; i < from->stream_count; i++) {
		struct exchange_stream *out = &exchange->streams[i];
		int status = offer_stream(call, leg, &from->streams[i], i, &session->streams[i], out, &locals[i]);

		if (status)
			return status;
		any |= out->usable;
		wanted |= from->streams[i].port != 0;
	}
	return wanted && !any ? 488 : 0;
}

static void write(struct call *call, const struct session *session, uint8_t to, const struct sdp_session *from,
		  const struct sdp_local_stream *locals, struct buffer *out)
{
	uint8_t family = call->legs[to].flow.remote.family;
	struct address address;

	for (uint8_t i = 0; i < session->stream_count; i++)
		if (session->streams[i].ports[to]) {
			family = port_pool_address(session->streams[i].pools[to])->family;
			break;
		}
	address = shown_address(call, to, family, 0);
	sdp_write(out, from, locals, session->origin_ids[to], session->versions[to], &address);
}

/* The exchange that an offer with so many streams begins, with room for the streams; NULL when memory is short. */
static struct exchange *exchange_new(struct call *call, struct session *session, uint8_t leg, uint8_t stream_count)
{
	struct exchange *exchange = NULL;

	if (streams_reserve(&call->session, stream_count) && streams_reserve(session, stream_count))
		exchange = memory_alloc(sizeof(*exchange) + stream_count * sizeof(exchange->streams[0]));
	if (!exchange)
		return NULL;
	exchange->offerer = leg;
	exchange->stream_count = stream_count;
	return exchange;
}

/* What media holds packets against. Whether it must be told. */
static bool described_learn(struct session_stream *stream, const struct sdp_stream *described)
{
	bool changed = clocks_learn(stream->clocks, described);

	return budget_extend(&stream->budget, described) || changed;
}

/* What is offered may come before its answer is seen here. */
static void budgets_offer(struct call *call, struct session *session, const struct sdp_session *from)
{
	bool more = false;

	for (uint8_t i = 0; i < from->stream_count && i < session->stream_count; i++) {
		budget_extend(&session->exchange->streams[i].budget, &from->streams[i]);
		more |= described_learn(&session->streams[i], &from->streams[i]);
	}
	if (more && call->media_open)
		session_tell_media(call);
}

int session_offer(struct call *call, struct fork *fork, uint8_t leg, struct span description, struct buffer *out)
{
	struct session *session = session_own(call, fork);
	struct sdp_local_stream locals[SDP_STREAMS_MAXIMUM];
	struct exchange *exchange = NULL;
	struct sdp_session from;
	int status = parse(call, description, &from);

	if (status)
		return status;
	memset(locals, 0, from.stream_count * sizeof(locals[0]));
	if (session)
		exchange = exchange_new(call, session, leg, from.stream_count);
	status = exchange ? offer_streams(call, session, leg, &from, exchange, locals) : 503;
	if (!status) {
		exchange_drop(session);
		session->exchange = exchange;
		session->exchanges++;
		session->versions[other_leg(leg)]++;
		write(call, session, other_leg(leg), &from, locals, out);
		bytes_keep(&exchange->offered.bytes, &exchange->offered.length, buffer_span(out));
		budgets_offer(call, session, &from);
	} else {
		exchange_free(exchange);
	}
	memory_wipe(locals, from.stream_count * sizeof(locals[0]));
	sdp_session_wipe(&from);
	return status;
}

/* ---- The answer ---- */

static void codec_remember(const struct sdp_stream *answer, struct session_stream *stream)
{
	struct span codec = answer->format_count ? sdp_format_codec(answer, answer->formats[0]) : SPAN_EMPTY;

	if (!codec.length)
		codec = answer->media_text;
	span_copy(span_slice(codec, 0, sizeof(stream->codec) - 1), stream->codec, sizeof(stream->codec));
}

static int answer_stream(struct call *call, uint8_t leg, const struct exchange_stream *exchange,
			 const struct sdp_stream *answer, struct session_stream *stream, struct sdp_local_stream *local)
{
	static const struct address nobody;
	uint8_t offerer = other_leg(leg);

	local->protocol = exchange->offered;
	stream->kind = exchange->kind;
	if (!exchange->usable || !answer->port) {
		stream->peer_ports[0] = stream->peer_ports[1] = 0;
		keying_forget(stream);
		return 0;
	}
	if (sdp_protocol_is_rtp(exchange->offered) != sdp_protocol_is_rtp(answer->protocol))
		return 488;
	if (keying_accept(call, leg, exchange, answer, stream))
		return 488;
	keying_answer(call, offerer, exchange, answer, stream, local);
	stream->peer_ports[offerer] = exchange->peer_port;
	learned_peer_set(stream, offerer, &exchange->peer, &exchange->peer_rtcp);
	stream->directions[offerer] = exchange->direction;
	stream->peer_ports[leg] = answer->port;
	learned_peer_set(stream, leg, answer->on_hold ? &nobody : &answer->connection,
			 answer->on_hold ? &nobody : &answer->rtcp);
	stream->directions[leg] = answer->direction;
	codec_remember(answer, stream);
	described_learn(stream, answer);
	budget_agree(&stream->agreed, &exchange->budget, answer);
	local->rtp = stream_address(call, offerer, stream);
	return 0;
}

/* The answer's streams into `streams`, which begin as a copy of what stands. */
static int answer_streams(struct call *call, uint8_t leg, const struct session *session, const struct sdp_session *from,
			  struct session_stream *streams, struct sdp_local_stream *locals)
{
	const struct exchange *exchange = session->exchange;
	int status = 0;

	if (!streams && from->stream_count)
		return 488;
	if (from->stream_count != exchange->stream_count)
		return 488; /* RFC 3264 section 6: as many as the offer had */
	for (uint8_t i = 0; !status && i < from->stream_count; i++)
		status = answer_stream(call, leg, &exchange->streams[i], &from->streams[i], &streams[i], &locals[i]);
	/* Lines that the offer left out, which it may not (RFC 3264 section 8), are closed. */
	for (uint8_t i = from->stream_count; !status && i < session->stream_count; i++) {
		memset(streams[i].peer_ports, 0, sizeof(streams[i].peer_ports));
		keying_forget(&streams[i]);
	}
	for (uint8_t i = 0; i < session->stream_count; i++)
		streams[i].active = streams[i].peer_ports[CALLER] && streams[i].peer_ports[CALLEE];
	return status;
}

/* From here on `streams`, and with them the answer, are in force. */
static void answer_apply(struct call *call, struct fork *fork, struct session *session, struct session_stream *streams)
{
	struct exchange *exchange = session->exchange;
	uint8_t count = session->stream_count;

	streams_drop(session);
	session->streams = streams;
	session->stream_count = count;
	if (!exchange->answered) {
		struct described *offered = &session->described[other_leg(exchange->offerer)];

		session->versions[exchange->offerer]++;
		described_drop(offered);
		*offered = exchange->offered;
		exchange->offered = (struct described){0};
	}
	exchange->answered = true;
	if (call->state != CALL_ESTABLISHED)
		call->early = fork;
	session_tell_media(call);
}

int session_answer(struct call *call, struct fork *fork, uint8_t leg, struct span description, struct buffer *out)
{
	struct session *session = session_own(call, fork);
	struct sdp_local_stream locals[SDP_STREAMS_MAXIMUM];
	struct session_stream *streams = NULL;
	struct sdp_session from;
	int status = parse(call, description, &from);

	if (status)
		return status;
	memset(locals, 0, from.stream_count * sizeof(locals[0]));
	if (session && session->stream_count)
		streams = copy_of(session->streams, session->stream_count * sizeof(*streams));
	if (!session || !session->exchange || (session->stream_count && !streams))
		status = 503;
	if (!status)
		status = answer_streams(call, leg, session, &from, streams, locals);
	if (!status) {
		answer_apply(call, fork, session, streams);
		write(call, session, session->exchange->offerer, &from, locals, out);
		struct described *answered = &session->described[session->exchange->offerer];

		bytes_keep(&answered->bytes, &answered->length, buffer_span(out));
	} else if (streams) {
		memory_free_secret(streams, session->stream_count * sizeof(*streams));
	}
	memory_wipe(locals, from.stream_count * sizeof(locals[0]));
	sdp_session_wipe(&from);
	return status;
}

/* ---- The same again ---- */

static bool reaffirm_stream(const struct call *call, uint8_t leg, const struct sdp_stream *answer,
			    struct session_stream *stream)
{
	struct address peer = stream->peers[leg], rtcp = stream->peers_rtcp[leg];
	uint16_t port = stream->peer_ports[leg];
	uint8_t direction = stream->directions[leg];
	bool changed = false;

	if (!stream->active || !answer->port || sdp_protocol_is_rtp(answer->protocol) != (stream->kind == MEDIA_RTP))
		return false;
	if (!keying_reaffirm(call, leg, answer, stream, &changed))
		return false;
	stream->peer_ports[leg] = answer->port;
	stream->peers[leg] = answer->on_hold ? (struct address){0} : answer->connection;
	stream->peers_rtcp[leg] = answer->on_hold ? (struct address){0} : answer->rtcp;
	changed |= described_learn(stream, answer);
	budget_extend(&stream->agreed, answer);
	stream->directions[leg] = answer->direction;
	return changed || port != stream->peer_ports[leg] || direction != stream->directions[leg] ||
	       !address_equal(&peer, &stream->peers[leg]) || !address_equal(&rtcp, &stream->peers_rtcp[leg]);
}

void session_reaffirm(struct call *call, uint8_t leg, struct span description)
{
	struct session *session = &call->session;
	struct sdp_session from;
	bool changed = false;

	if (parse(call, description, &from))
		return;
	for (uint8_t i = 0; i < from.stream_count && i < session->stream_count; i++)
		changed |= reaffirm_stream(call, leg, &from.streams[i], &session->streams[i]);
	if (changed)
		session_tell_media(call);
	sdp_session_wipe(&from);
}

/* ---- What media is told ---- */

static bool sends(enum sdp_direction direction)
{
	return direction == SDP_SENDRECV || direction == SDP_SENDONLY;
}
static bool receives(enum sdp_direction direction)
{
	return direction == SDP_SENDRECV || direction == SDP_RECVONLY;
}

/* A phone's own word for its address counts only when it is where its signalling comes from: it could name a machine inside.
 * Otherwise, and behind NAT, the address is learned once, from the signalling's address alone (THREATS M2). */
static void side_peers(const struct call *call, uint8_t leg, const struct session_stream *stream,
		       struct media_side *side)
{
	const struct flow *flow = &call->legs[leg].flow;

	side->peer_rtp = stream->peers[leg];
	side->peer_rtcp = stream->peers_rtcp[leg];
	/* What is on the other IP version cannot be reached from here. */
	if (side->peer_rtp.family != side->local.family)
		side->peer_rtp = (struct address){0};
	if (side->peer_rtcp.family != side->local.family)
		side->peer_rtcp = (struct address){0};
	if (leg_zone(call, leg)->kind != ZONE_ACCESS) {
		bool local = address_is_loopback(&side->local);

		/* Nobody but who stands on this machine means this machine. */
		if (!local && address_is_loopback(&side->peer_rtp))
			side->peer_rtp = (struct address){0};
		if (!local && address_is_loopback(&side->peer_rtcp))
			side->peer_rtcp = (struct address){0};
		return;
	}
	side->learn_from = flow->remote;
	side->learn_from.port = 0;
	if (!address_equal_ip(&side->peer_rtp, &flow->remote))
		side->peer_rtp = (struct address){0};
	if (!address_equal_ip(&side->peer_rtcp, &flow->remote))
		side->peer_rtcp = (struct address){0};
}

static void stream_tell(struct call *call, uint8_t index, const struct session_stream *stream)
{
	struct media_stream media = {.session = call->id,
				     .index = index,
				     .kind = stream->kind,
				     .silence_timeout_ms = call->gateway->config->calls.media_silence_s * 1000,
				     .end_to_end = stream->end_to_end,
				     .budget = stream->budget};

	memcpy(media.clocks, stream->clocks, sizeof(media.clocks));
	for (uint8_t leg = 0; leg < 2; leg++) {
		struct media_side *side = &media.sides[leg];

		side->local = *port_pool_address(stream->pools[leg]);
		side->local.port = stream->ports[leg];
		side_peers(call, leg, stream, side);
		keying_tell(stream, leg, side);
		learned_tell(&stream->learned[leg], side);
		side->may_send = sends(stream->directions[leg]) && receives(stream->directions[other_leg(leg)]);
	}
	call->gateway->callbacks.stream_set(call->gateway->callbacks.context, &media);
	memory_wipe(&media, sizeof(media));
	call->streams_told |= (uint16_t)(1u << index);
	call->media_open = true;
}

void session_tell_media(struct call *call)
{
	struct gateway *gateway = call->gateway;
	const struct session *session = session_of(call, call->early);

	for (uint8_t i = 0; i < SDP_STREAMS_MAXIMUM; i++) {
		uint16_t bit = (uint16_t)(1u << i);

		if (i < session->stream_count && session->streams[i].active) {
			stream_tell(call, i, &session->streams[i]);
		} else if (call->streams_told & bit) {
			gateway->callbacks.stream_close(gateway->callbacks.context, call->id, i);
			call->streams_told &= (uint16_t)~bit;
		}
	}
}

void session_close(struct call *call)
{
	struct gateway *gateway = call->gateway;
	struct session *session = &call->session;

	for (struct fork *fork = call->forks; fork; fork = fork->next)
		session_forget(fork);
	exchange_drop(session);
	described_drop(&session->described[CALLER]);
	described_drop(&session->described[CALLEE]);
	timer_stop(gateway->wheel, &call->narrow);
	call->early = NULL;
	call->streams_told = 0;
	if (call->media_open)
		gateway->callbacks.session_close(gateway->callbacks.context, call->id);
	call->media_open = false;
	for (uint8_t i = 0; i < session->stream_count; i++)
		for (uint8_t leg = 0; leg < 2; leg++)
			if (session->streams[i].ports[leg])
				port_give(session->streams[i].pools[leg], session->streams[i].ports[leg]);
	streams_drop(session);
}
