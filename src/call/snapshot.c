/* SPDX-License-Identifier: Apache-2.0
 * A call as a record, and back (record.h): what the next gate needs to go on with it.
 *
 * To keep a new field: add a row to the table of its struct, with a tag that the table does not have yet and never had. Nothing
 * else: a field that is zero is not written, and one that a record does not have is zero. What a value read must hold to,
 * so that no code trips over it, is checked in *_is_sound. What a field needs done after it was read, as a timer, is in
 * call_resume. */
#include "call/dialogs.h"
#include "call/record.h"
#include "call/sessions.h"

#define SESSION 20 /* tags of objects within objects: above those of fields */
#define STREAM 21
#define EXCHANGE 22
#define LEG 23 /* twice: caller's, callee's */
#define FORK 24
#define RELAY 25
#define SERVER 26
#define CLIENT 27
#define DIALOG 28 /* a fork, by the caller's tag */
#define EARLY 29
#define LOCAL 30 /* our media address of a stream, by leg: 30 and 31 */
#define REFER 32

static const struct record_row call_rows[] = {
	RECORD_ROW(1, NUMBER, struct call, id),
	RECORD_ROW(2, NUMBER, struct call, state),
	RECORD_ROW(3, NUMBER, struct call, answered_us),
	RECORD_ROW(4, NUMBER, struct call, started_us),
	RECORD_ROW(5, NUMBER, struct call, caller_cseq),
	RECORD_ROW(6, FLAG, struct call, media_open),
	RECORD_ROW(7, NUMBER, struct call, streams_told),
	RECORD_ROW(8, NUMBER, struct call, refreshes[0].interval_s),
	RECORD_ROW(9, NUMBER, struct call, refreshes[1].interval_s),
	RECORD_ROW(10, NUMBER, struct call, refreshes[0].least_s),
	RECORD_ROW(11, NUMBER, struct call, refreshes[1].least_s),
	RECORD_ROW(12, FLAG, struct call, refreshes[0].ours),
	RECORD_ROW(13, FLAG, struct call, refreshes[1].ours),
	RECORD_ROW(14, FLAG, struct call, refreshes[0].by_update),
	RECORD_ROW(15, FLAG, struct call, refreshes[1].by_update),
	RECORD_ROW(16, NUMBER, struct call, refreshes[0].timer.due_ms),
	RECORD_ROW(17, NUMBER, struct call, refreshes[1].timer.due_ms),
	RECORD_ROW(18, TEXT, struct call, payer),
	RECORD_ROW(19, NUMBER, struct call, redirects),
};

static const struct record_row leg_rows[] = {
	RECORD_ROW(1, ZONE, struct leg, zone),        RECORD_ROW(2, FLAG, struct leg, secure_uri),
	RECORD_ROW(3, FLOW, struct leg, flow),        RECORD_ROW(4, TEXT, struct leg, call_id),
	RECORD_ROW(5, TEXT, struct leg, local_uri),   RECORD_ROW(6, TEXT, struct leg, remote_uri),
	RECORD_ROW(7, TEXT, struct leg, remote_tag),  RECORD_ROW(8, TEXT, struct leg, target),
	RECORD_ROW(9, TEXT, struct leg, routes),      RECORD_ROW(10, TEXT, struct leg, account),
	RECORD_ROW(11, CHARS, struct leg, local_tag), RECORD_ROW(12, NUMBER, struct leg, cseq),
	RECORD_ROW(13, CHARS, struct leg, token),     RECORD_ROW(14, NUMBER, struct leg, instance),
};

const struct record_rows record_leg = RECORD_ROWS(leg_rows);

static const struct record_row fork_rows[] = {
	RECORD_ROW(1, CHARS, struct fork, caller_tag), RECORD_ROW(2, TEXT, struct fork, callee_tag),
	RECORD_ROW(3, TEXT, struct fork, target),      RECORD_ROW(4, TEXT, struct fork, routes),
	RECORD_ROW(5, BYTES, struct fork, next_cseq),  RECORD_ROW(6, FLAG, struct fork, ended),
	RECORD_ROW(7, NUMBER, struct fork, rseq),      RECORD_ROW_BLOB(8, struct fork, provisional, provisional_length),
	RECORD_ROW(9, NUMBER, struct fork, exchange),
};

static const struct record_row session_rows[] = {
	RECORD_ROW(1, BYTES, struct session, origin_ids),
	RECORD_ROW(2, BYTES, struct session, versions),
	RECORD_ROW(3, NUMBER, struct session, exchanges),
	RECORD_ROW_BLOB(4, struct session, described[0].bytes, described[0].length),
	RECORD_ROW_BLOB(5, struct session, described[1].bytes, described[1].length),
};

static const struct record_row stream_rows[] = {
	RECORD_ROW(1, FLAG, struct session_stream, active),
	RECORD_ROW(2, NUMBER, struct session_stream, kind),
	RECORD_ROW(3, BYTES, struct session_stream, ports),
	RECORD_ROW(4, BYTES, struct session_stream, peer_ports),
	RECORD_ROW(5, ADDRESS, struct session_stream, peers[0]),
	RECORD_ROW(6, ADDRESS, struct session_stream, peers[1]),
	RECORD_ROW(7, ADDRESS, struct session_stream, peers_rtcp[0]),
	RECORD_ROW(8, ADDRESS, struct session_stream, peers_rtcp[1]),
	RECORD_ROW(9, BYTES, struct session_stream, directions),
	RECORD_ROW(10, BYTES, struct session_stream, suites),
	RECORD_ROW(11, BYTES, struct session_stream, keys_in),
	RECORD_ROW(12, BYTES, struct session_stream, keys_out),
	RECORD_ROW(13, CHARS, struct session_stream, codec),
	RECORD_ROW(14, ADDRESS, struct session_stream, learned[0].locked),
	RECORD_ROW(15, ADDRESS, struct session_stream, learned[1].locked),
	RECORD_ROW(16, BYTES, struct session_stream, learned[0].in),
	RECORD_ROW(17, BYTES, struct session_stream, learned[0].out),
	RECORD_ROW(18, BYTES, struct session_stream, learned[1].in),
	RECORD_ROW(19, BYTES, struct session_stream, learned[1].out),
	RECORD_ROW(20, BYTES, struct session_stream, budget),
	RECORD_ROW(21, BYTES, struct session_stream, keyings),
	RECORD_ROW(22, FLAG, struct session_stream, end_to_end),
	RECORD_ROW(40, BYTES, struct session_stream, clocks),
	RECORD_ROW(41, BYTES, struct session_stream, agreed),
};

static const struct record_row exchange_rows[] = {
	RECORD_ROW(1, NUMBER, struct exchange, offerer),
	RECORD_ROW(2, FLAG, struct exchange, answered),
	RECORD_ROW_BLOB(3, struct exchange, offered.bytes, offered.length),
};

static const struct record_row exchange_stream_rows[] = {
	RECORD_ROW(1, FLAG, struct exchange_stream, usable),
	RECORD_ROW(2, NUMBER, struct exchange_stream, kind),
	RECORD_ROW(3, NUMBER, struct exchange_stream, offered),
	RECORD_ROW(4, BYTES, struct exchange_stream, chosen),
	RECORD_ROW(5, BYTES, struct exchange_stream, key_to_offerer),
	RECORD_ROW(6, BYTES, struct exchange_stream, ours),
	RECORD_ROW(7, NUMBER, struct exchange_stream, our_count),
	RECORD_ROW(8, ADDRESS, struct exchange_stream, peer),
	RECORD_ROW(9, ADDRESS, struct exchange_stream, peer_rtcp),
	RECORD_ROW(10, NUMBER, struct exchange_stream, peer_port),
	RECORD_ROW(11, NUMBER, struct exchange_stream, direction),
	RECORD_ROW(12, BYTES, struct exchange_stream, taken),
	RECORD_ROW(13, BYTES, struct exchange_stream, proposed),
	RECORD_ROW(14, FLAG, struct exchange_stream, end_to_end),
	RECORD_ROW(40, BYTES, struct exchange_stream, budget),
};

static const struct record_row relay_rows[] = {
	RECORD_ROW(1, NUMBER, struct relay, from),
	RECORD_ROW(2, NUMBER, struct relay, method),
	RECORD_ROW(3, FLAG, struct relay, initial),
	RECORD_ROW(4, FLAG, struct relay, answered),
	RECORD_ROW(5, FLAG, struct relay, accepted),
	RECORD_ROW(6, FLAG, struct relay, final),
	RECORD_ROW(7, NUMBER, struct relay, exchange),
	RECORD_ROW(8, NUMBER, struct relay, server_cseq),
	RECORD_ROW(9, NUMBER, struct relay, client_cseq),
	RECORD_ROW_BLOB(10, struct relay, ack, ack_length),
	RECORD_ROW(11, FLAG, struct relay, refreshing),
	RECORD_ROW(12, FLAG, struct relay, given_up),
	RECORD_ROW(13, NUMBER, struct relay, challenged.count),
	RECORD_ROW(14, NUMBER, struct relay, challenged.nonce),
	RECORD_ROW(15, TEXT, struct relay, extra),
};

static const struct record_row refer_rows[] = {
	RECORD_ROW(1, NUMBER, struct refer, from),
	RECORD_ROW(2, BYTES, struct refer, cseq),
};

static const struct record_row server_rows[] = {
	RECORD_ROW(1, FLOW, struct sip_server_state, flow),
	RECORD_ROW(2, FLOW, struct sip_server_state, target),
	RECORD_ROW(3, SPAN, struct sip_server_state, key),
	RECORD_ROW(4, SPAN, struct sip_server_state, request),
	RECORD_ROW(5, SPAN, struct sip_server_state, response),
	RECORD_ROW(6, NUMBER, struct sip_server_state, state),
	RECORD_ROW(7, NUMBER, struct sip_server_state, method),
	RECORD_ROW(8, FLAG, struct sip_server_state, cancelled),
	RECORD_ROW(9, FLAG, struct sip_server_state, acknowledged),
};

static const struct record_row client_rows[] = {
	RECORD_ROW(1, FLOW, struct sip_client_state, flow),     RECORD_ROW(2, CHARS, struct sip_client_state, branch),
	RECORD_ROW(3, SPAN, struct sip_client_state, bytes),    RECORD_ROW(4, NUMBER, struct sip_client_state, state),
	RECORD_ROW(5, NUMBER, struct sip_client_state, method),
};

/* ---- Writing ---- */

static void put_object(const struct gateway *gateway, uint8_t tag, struct record_rows rows, const void *object,
		       struct buffer *out)
{
	size_t begun = record_begin(out, tag);

	record_write(gateway, rows, object, out);
	record_end(out, begun);
}

static void put_stream(const struct gateway *gateway, const struct session_stream *stream, struct buffer *out)
{
	size_t begun = record_begin(out, STREAM);

	record_write(gateway, RECORD_ROWS(stream_rows), stream, out);
	for (uint8_t leg = 0; leg < 2; leg++)
		if (stream->pools[leg])
			record_put(out, LOCAL + leg,
				   (struct span){(const char *)port_pool_address(stream->pools[leg]),
						 sizeof(struct address)});
	record_end(out, begun);
}

static void put_session(const struct gateway *gateway, const struct session *session, struct buffer *out)
{
	size_t begun = record_begin(out, SESSION);

	record_write(gateway, RECORD_ROWS(session_rows), session, out);
	for (uint8_t i = 0; i < session->stream_count; i++)
		put_stream(gateway, &session->streams[i], out);
	if (session->exchange) {
		size_t inner = record_begin(out, EXCHANGE);

		record_write(gateway, RECORD_ROWS(exchange_rows), session->exchange, out);
		for (uint8_t i = 0; i < session->exchange->stream_count; i++)
			put_object(gateway, STREAM, RECORD_ROWS(exchange_stream_rows), &session->exchange->streams[i],
				   out);
		record_end(out, inner);
	}
	record_end(out, begun);
}

static void put_fork(const struct gateway *gateway, const struct fork *fork, struct buffer *out)
{
	size_t begun = record_begin(out, FORK);

	record_write(gateway, RECORD_ROWS(fork_rows), fork, out);
	if (fork->session)
		put_session(gateway, fork->session, out);
	record_end(out, begun);
}

static void put_relay(const struct gateway *gateway, const struct relay *relay, struct buffer *out)
{
	size_t begun = record_begin(out, RELAY);
	struct sip_server_state server;
	struct sip_client_state client;

	record_write(gateway, RECORD_ROWS(relay_rows), relay, out);
	if (relay->fork && *relay->fork->caller_tag)
		record_put(out, DIALOG, span_from(relay->fork->caller_tag));
	if (relay->server) {
		sip_server_state_get(relay->server, &server);
		put_object(gateway, SERVER, RECORD_ROWS(server_rows), &server, out);
	}
	if (relay->client) {
		sip_client_state_get(relay->client, &client);
		put_object(gateway, CLIENT, RECORD_ROWS(client_rows), &client, out);
	}
	record_end(out, begun);
}

/* Forks and relays from the last to the first: read, each is put before the ones read earlier, or behind them. */
static void put_forks(const struct gateway *gateway, const struct fork *fork, struct buffer *out)
{
	const struct fork *forks[FORKS_MAXIMUM + FORKS_FINAL];
	size_t count = 0;

	for (; fork && count < sizeof(forks) / sizeof(forks[0]); fork = fork->next)
		forks[count++] = fork;
	while (count)
		put_fork(gateway, forks[--count], out);
}

void call_record_write(struct call *call, struct buffer *out)
{
	const struct gateway *gateway = call->gateway;

	record_write(gateway, RECORD_ROWS(call_rows), call, out);
	for (int leg = 0; leg < 2; leg++)
		put_object(gateway, LEG, record_leg, &call->legs[leg], out);
	if (call->state != CALL_ENDING)
		put_session(gateway, &call->session, out);
	put_forks(gateway, call->forks, out);
	if (call->dialog)
		record_put(out, DIALOG, span_from(call->dialog->caller_tag));
	if (call->early)
		record_put(out, EARLY, span_from(call->early->caller_tag));
	for (const struct refer *refer = call->refers; refer; refer = refer->next)
		put_object(gateway, REFER, RECORD_ROWS(refer_rows), refer, out);
	list_each(link, &call->relays)
		put_relay(gateway, list_object(link, struct relay, in_call), out);
}

/* ---- Reading ---- */

static bool take_object(struct gateway *gateway, struct record_rows rows, void *object, struct span bytes)
{
	struct span value;
	uint8_t tag;

	while (record_next(&bytes, &tag, &value))
		if (!record_take(gateway, rows, object, tag, value))
			return false;
	return !bytes.length;
}

static uint8_t count_of(struct span bytes, uint8_t wanted)
{
	struct span value;
	uint8_t tag, count = 0;

	while (record_next(&bytes, &tag, &value))
		count += tag == wanted && count < UINT8_MAX;
	return count;
}

static bool keying_is_sound(const struct keying *keying)
{
	return keying->dtls.handshake < MEDIA_HANDSHAKE_COUNT && keying->dtls.hash < MEDIA_HASH_COUNT &&
	       memchr(keying->ice.ufrag, 0, sizeof(keying->ice.ufrag)) &&
	       memchr(keying->ice.password, 0, sizeof(keying->ice.password));
}

static bool stream_is_sound(const struct session_stream *stream)
{
	for (int leg = 0; leg < 2; leg++)
		if (stream->suites[leg] >= SDP_SUITE_COUNT || !keying_is_sound(&stream->keyings[leg]) ||
		    stream->directions[leg] > SDP_INACTIVE || stream->ports[leg] % 2 ||
		    (stream->active && !stream->ports[leg]))
			return false;
	return stream->kind <= MEDIA_DATAGRAM;
}

static bool exchange_stream_is_sound(const struct exchange_stream *stream)
{
	for (int i = 0; i < OFFERED_SUITES_MAXIMUM; i++)
		if ((unsigned)stream->ours[i].suite >= SDP_SUITE_COUNT)
			return false;
	if (!keying_is_sound(&stream->taken) || !keying_is_sound(&stream->proposed))
		return false;
	return stream->our_count <= OFFERED_SUITES_MAXIMUM && (unsigned)stream->chosen.suite < SDP_SUITE_COUNT &&
	       (unsigned)stream->direction <= SDP_INACTIVE && stream->kind <= MEDIA_DATAGRAM;
}

static bool take_exchange(struct gateway *gateway, struct session *session, struct span bytes)
{
	uint8_t count = count_of(bytes, STREAM), tag, at = 0;
	struct exchange *exchange;
	struct span value;

	if (session->exchange || count > SDP_STREAMS_MAXIMUM)
		return false;
	exchange = memory_alloc(sizeof(*exchange) + count * sizeof(exchange->streams[0]));
	if (!exchange)
		return false;
	session->exchange = exchange;
	exchange->stream_count = count;
	while (record_next(&bytes, &tag, &value)) {
		bool taken = tag == STREAM ? take_object(gateway, RECORD_ROWS(exchange_stream_rows),
							 &exchange->streams[at], value) &&
						     exchange_stream_is_sound(&exchange->streams[at])
					   : record_take(gateway, RECORD_ROWS(exchange_rows), exchange, tag, value);

		if (!taken)
			return false;
		at += tag == STREAM;
	}
	return !bytes.length && exchange->offerer <= CALLEE;
}

struct locals {
	struct address of[2];
};
static const struct record_row local_rows[] = {
	RECORD_ROW(LOCAL, ADDRESS, struct locals, of[0]),
	RECORD_ROW(LOCAL + 1, ADDRESS, struct locals, of[1]),
};

/* The call's own ports, out of the pools that they came from. */
static bool ports_take(struct call *call, struct session_stream *stream, const struct locals *locals)
{
	struct gateway *gateway = call->gateway;

	for (uint8_t leg = 0; leg < 2; leg++) {
		struct port_pool *pool;

		if (!stream->ports[leg])
			continue;
		pool = locals->of[leg].family
			       ? port_pools_get(gateway->ports, gateway_zone(gateway, call->legs[leg].zone),
						&locals->of[leg], gateway->random)
			       : NULL;
		if (!pool || !port_take_again(pool, stream->ports[leg]))
			return false;
		stream->pools[leg] = pool;
	}
	return true;
}

/* `owner` NULL: the session of a fork, whose ports are borrowed. */
static bool take_stream(struct gateway *gateway, struct call *owner, struct session_stream *stream, struct span bytes)
{
	struct locals locals = {0};
	struct span value;
	uint8_t tag;

	while (record_next(&bytes, &tag, &value))
		if (!record_take(gateway, RECORD_ROWS(stream_rows), stream, tag, value) ||
		    !record_take(gateway, RECORD_ROWS(local_rows), &locals, tag, value))
			return false;
	return !bytes.length && stream_is_sound(stream) && (!owner || ports_take(owner, stream, &locals));
}

static bool take_streams(struct gateway *gateway, struct call *owner, struct session *session, struct span bytes)
{
	uint8_t count = count_of(bytes, STREAM), tag, at = 0;
	struct span value;

	if (!count)
		return true;
	if (session->streams || count > SDP_STREAMS_MAXIMUM)
		return false;
	session->streams = memory_alloc(count * sizeof(*session->streams));
	if (!session->streams)
		return false;
	session->stream_count = count;
	while (record_next(&bytes, &tag, &value))
		if (tag == STREAM && !take_stream(gateway, owner, &session->streams[at++], value))
			return false;
	return true;
}

/* An answer's lines go into the streams of the same number, which then need their ports. */
static bool exchange_fits(const struct session *session)
{
	const struct exchange *exchange = session->exchange;

	if (exchange && exchange->stream_count > session->stream_count)
		return false;
	for (uint8_t i = 0; exchange && i < exchange->stream_count; i++)
		if (exchange->streams[i].usable && (!session->streams[i].ports[0] || !session->streams[i].ports[1]))
			return false;
	return true;
}

static bool take_session(struct gateway *gateway, struct call *owner, struct session *session, struct span bytes)
{
	struct span rest = bytes, value;
	uint8_t tag;

	if (!take_streams(gateway, owner, session, bytes))
		return false;
	while (record_next(&rest, &tag, &value)) {
		bool taken = tag == STREAM     ? true
			     : tag == EXCHANGE ? take_exchange(gateway, session, value)
					       : record_take(gateway, RECORD_ROWS(session_rows), session, tag, value);

		if (!taken)
			return false;
	}
	return !rest.length && exchange_fits(session);
}

/* A fork's streams borrow what the call's have. */
static bool ports_borrow(const struct session *shared, struct session *own)
{
	for (uint8_t i = 0; i < own->stream_count; i++)
		for (uint8_t leg = 0; leg < 2; leg++) {
			uint16_t port = i < shared->stream_count ? shared->streams[i].ports[leg] : 0;

			if (own->streams[i].ports[leg] && own->streams[i].ports[leg] != port)
				return false;
			own->streams[i].pools[leg] = port ? shared->streams[i].pools[leg] : NULL;
		}
	return true;
}

static struct fork *fork_by_tag(struct call *call, struct span caller_tag)
{
	for (struct fork *fork = call->forks; fork; fork = fork->next)
		if (span_equal(span_from(fork->caller_tag), caller_tag))
			return fork;
	return NULL;
}

/* The fork is in the call, if only to be freed with it. */
static bool take_fork(struct call *call, struct span bytes)
{
	struct gateway *gateway = call->gateway;
	struct fork *fork = call->fork_count < FORKS_MAXIMUM + FORKS_FINAL ? pool_take(gateway->fork_pool) : NULL;
	struct span value;
	bool sound = true;
	uint8_t tag;

	if (!fork)
		return false;
	while (sound && record_next(&bytes, &tag, &value)) {
		if (tag == SESSION && !fork->session) {
			fork->session = memory_alloc(sizeof(*fork->session));
			sound = fork->session && take_session(gateway, NULL, fork->session, value) &&
				ports_borrow(&call->session, fork->session);
		} else {
			sound = record_take(gateway, RECORD_ROWS(fork_rows), fork, tag, value);
		}
	}
	if (strlen(fork->caller_tag) != TAG_LENGTH || fork_by_tag(call, span_from(fork->caller_tag))) {
		random_token(gateway->random, fork->caller_tag, TAG_LENGTH);
		sound = false;
	}
	fork_enter(call, fork);
	return sound && !bytes.length && fork->callee_tag;
}

/* The newest stands first. */
static bool take_refer(struct call *call, struct span bytes)
{
	struct refer **last = &call->refers, *refer = memory_alloc(sizeof(*refer));

	if (!refer)
		return false;
	while (*last)
		last = &(*last)->next;
	*last = refer;
	return take_object(call->gateway, RECORD_ROWS(refer_rows), refer, bytes) && refer->from <= CALLEE;
}

/* A transaction whose connection went with the process before: what waits for it is told so in call_resume. */
static bool is_cut(const struct sip_client_state *state)
{
	return transport_is_stream(state->flow.transport);
}

static bool take_transactions(struct relay *relay, const struct sip_server_state *server,
			      const struct sip_client_state *client)
{
	struct sip_transactions *transactions = gateway_transactions(relay->gateway);

	if (server->key.length)
		relay->server = sip_server_resume(transactions, server, relay);
	if (client->branch[0] && (relay->final || !is_cut(client)))
		relay->client = sip_client_resume(transactions, client, relay);
	/* What cannot be answered any more counts as answered. */
	if (!relay->server || !sip_server_request(relay->server))
		relay->answered = true;
	return (relay->server || !server->key.length) &&
	       (relay->client || !client->branch[0] || (is_cut(client) && !relay->final));
}

static bool relay_is_sound(const struct relay *relay)
{
	return relay->from <= CALLEE && relay->method < SIP_METHOD_OTHER && (relay->initial || relay->fork);
}

static bool take_relay(struct call *call, struct span bytes)
{
	struct gateway *gateway = call->gateway;
	struct relay *relay = pool_take(gateway->relay_pool);
	struct sip_server_state server = {0};
	struct sip_client_state client = {0};
	struct span value;
	bool sound = true;
	uint8_t tag;

	if (!relay)
		return false;
	relay->gateway = gateway;
	relay->call = call;
	list_init(&relay->in_call);
	list_append(&call->relays, &relay->in_call);
	list_append(&gateway->all_relays, &relay->in_all);
	while (sound && record_next(&bytes, &tag, &value)) {
		switch (tag) {
		case DIALOG: relay->fork = fork_by_tag(call, value); break;
		case SERVER: sound = take_object(gateway, RECORD_ROWS(server_rows), &server, value); break;
		case CLIENT: sound = take_object(gateway, RECORD_ROWS(client_rows), &client, value); break;
		default: sound = record_take(gateway, RECORD_ROWS(relay_rows), relay, tag, value);
		}
	}
	return sound && !bytes.length && relay_is_sound(relay) && take_transactions(relay, &server, &client);
}

/* ---- A call ---- */

static bool leg_is_sound(const struct leg *leg)
{
	return leg->call_id && leg->local_uri && leg->remote_uri;
}

/* What a call is found by, and what all that is in it refers to. */
static bool call_begin(struct gateway *gateway, struct call *call, struct span bytes)
{
	struct span value;
	uint8_t tag, legs = 0;

	call->gateway = gateway;
	while (record_next(&bytes, &tag, &value)) {
		if (tag == LEG && (legs > CALLEE || !take_object(gateway, record_leg, &call->legs[legs++], value)))
			return false;
		if (tag < SESSION && !record_take(gateway, RECORD_ROWS(call_rows), call, tag, value))
			return false;
	}
	return !bytes.length && legs == 2 && leg_is_sound(&call->legs[CALLER]) && leg_is_sound(&call->legs[CALLEE]) &&
	       call->legs[CALLER].remote_tag && call->legs[CALLEE].target &&
	       strlen(call->legs[CALLEE].local_tag) == TAG_LENGTH && call->id && call->state <= CALL_ENDING &&
	       call->redirects <= REDIRECTS_MAXIMUM &&
	       !table_find(gateway->calls, table_hash(gateway->calls, &call->id, sizeof(call->id)), &call->id);
}

/* The call's own session comes before forks and relays, which refer to it. */
static bool call_fill(struct call *call, struct span bytes)
{
	struct span value;
	uint8_t tag;

	while (record_next(&bytes, &tag, &value)) {
		bool taken = true;

		if (tag == SESSION)
			taken = take_session(call->gateway, call, &call->session, value);
		else if (tag == FORK)
			taken = take_fork(call, value);
		else if (tag == RELAY)
			taken = take_relay(call, value);
		else if (tag == REFER)
			taken = take_refer(call, value);
		else if (tag == DIALOG)
			taken = (call->dialog = fork_by_tag(call, value)) != NULL;
		else if (tag == EARLY)
			taken = (call->early = fork_by_tag(call, value)) != NULL;
		if (!taken)
			return false;
	}
	return call->state != CALL_ESTABLISHED || call->dialog;
}

static struct relay *relay_initial(struct call *call)
{
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->initial)
			return relay;
	}
	return NULL;
}

/* What went on over a connection that is gone: who waits for an answer is told, and the call goes on. */
static void relays_cut(struct call *call)
{
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->client || relay->final || relay->initial)
			continue;
		relay->final = true;
		if (relay->exchange && relay->exchange == session_of(call, relay->fork)->exchanges)
			session_exchange_done(call, relay->fork);
		relay_refuse(relay, 503, "Retry-After: 1\r\n");
		if (!relay->server)
			relay_free(relay);
	}
}

static void ringing_resume(struct call *call)
{
	const struct relay *initial = relay_initial(call);
	const struct gateway *gateway = call->gateway;
	uint64_t due_us = call->started_us + gateway->config->calls.ring_s * 1000000ull, now_us = clock_monotonic_us();

	if (!initial || !initial->client || initial->answered)
		call_end(call, -1, 503, "The gateway lost the way to the other side");
	else if (transport_is_stream(
			 call->legs[CALLER].flow.transport)) /* its connection went, nobody waits any more */
		call_end(call, CALLER, 487, "The caller's connection is lost");
	else
		call_timer_set(call, due_us > now_us ? (due_us - now_us) / 1000 + 1 : 1);
}

static void established_resume(struct call *call)
{
	uint64_t duration_us = call->gateway->config->calls.duration_s * 1000000ull;
	uint64_t now_us = clock_monotonic_us(), due_us = call->answered_us + duration_us;

	relays_cut(call);
	list_each(link, &call->relays)
		midcall_wait(list_object(link, struct relay, in_call));
	for (uint8_t leg = 0; leg < 2; leg++)
		refresh_resume(call, leg);
	if (duration_us)
		call_timer_set(call, due_us > now_us ? (due_us - now_us) / 1000 + 1 : 1);
}

/* What was being sent when the process died may not have been: again, which does no harm. */
static void ending_resume(struct call *call)
{
	relays_refuse(call, 487);
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->client && !relay->final) /* has no effect on other requests than INVITE */
			sip_client_cancel(relay->client);
	}
	if (call->dialog)
		for (uint8_t leg = 0; leg < 2; leg++)
			send_own_request(call, call->dialog, leg, SIP_BYE, NULL);
	call_settle(call);
}

static void call_resume(struct call *call)
{
	session_narrow_later(call);
	switch (call->state) {
	case CALL_CALLING:
	case CALL_RINGING: ringing_resume(call); break;
	case CALL_ESTABLISHED: established_resume(call); break;
	case CALL_ENDING: ending_resume(call); break;
	}
}

/* A record that does not hold together: whoever still waits for its transactions is answered, and the call is gone. */
static void call_abandon(struct call *call)
{
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		relay_refuse(relay, 503, NULL);
		if (relay->client)
			sip_client_cancel(relay->client);
		if (!relay->server && !relay->client)
			relay_free(relay);
	}
	call_free(call);
}

bool call_record_load(struct gateway *gateway, uint32_t slot, struct span bytes)
{
	struct call *call = pool_take(gateway->call_pool);

	if (!call)
		return false;
	if (!call_begin(gateway, call, bytes)) {
		leg_clear(&call->legs[CALLER]);
		leg_clear(&call->legs[CALLEE]);
		memory_free(call->payer);
		pool_give(gateway->call_pool, call);
		return false;
	}
	call_enter(call);
	list_remove(&call->touched); /* it is what its record says */
	if (!call_fill(call, bytes)) {
		call_abandon(call);
		return false;
	}
	call->record = slot;
	call_resume(call);
	return true;
}
