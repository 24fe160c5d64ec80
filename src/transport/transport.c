/* SPDX-License-Identifier: Apache-2.0
 * SIP over net's flows: datagrams and streams become messages, keep-alives are answered, what cannot be parsed is counted and
 * answered at most once (RFC 3261 section 18, RFC 5626 section 3.5). */
#include "transport/transport.h"

#include "base/log.h"
#include "base/stun.h"
#include "base/table.h"
#include "transport/shorten.h"
#include "transport/sources.h"

#define SIPS_PORT 5061 /* RFC 3261 section 19.1.2 */
#define PARSE_ARENA_BYTES 65536
#define ANSWER_BYTES 8192
#define STUN_ANSWER_BYTES 256

/* Answers to what unproven sources send and no parser takes, for all of them together (THREATS N4). */
#define REJECT_ANSWERS_PER_S 200

struct transport_layer {
	struct transport_settings settings;
	struct transport_callbacks callbacks;
	struct net *net;
	struct sip_transactions *transactions;
	struct timer_wheel *wheel;
	struct timer refill;
	uint32_t reject_answers_left;
	struct sources *sources;
	uint64_t answers_withheld;
	uint8_t tag_key[HASH_KEY_BYTES];
	uint64_t rejects[SIP_REJECT_COUNT];
	struct log_limit log_limit;
	char *arena, *answer; /* ANSWER_BYTES: one that is made, or made shorter, here */
	enum net_close_reason close_reason;
};

/* ---- Answers without state -------------------------------------------------------------- */

static void refill_fire(void *context)
{
	struct transport_layer *layer = context;

	layer->reject_answers_left = REJECT_ANSWERS_PER_S;
}

static bool reject_answer_take(struct transport_layer *layer)
{
	if (!layer->reject_answers_left)
		return false;
	layer->reject_answers_left--;
	if (!timer_is_running(&layer->refill))
		timer_start(layer->wheel, &layer->refill, 1000);
	return true;
}

/* Whether what is sent there must be measured by what came from there: the address may be forged. */
static bool is_measured(const struct transport_layer *layer, const struct flow *flow)
{
	if (flow->proven || transport_is_stream(flow->transport) ||
	    (layer->callbacks.known && layer->callbacks.known(layer->callbacks.context, flow)))
		return false;
	return !sources_proven(layer->sources, &flow->remote, timer_wheel_now_ms(layer->wheel));
}

static bool grant(struct transport_layer *layer, const struct flow *flow, size_t bytes, bool overdraw)
{
	if (sources_grant(layer->sources, &flow->remote, bytes, overdraw, timer_wheel_now_ms(layer->wheel)))
		return true;
	layer->answers_withheld++;
	return false;
}

/* What is more than its receiver sent is cut down, and is not sent when that is still too much: as if it had been lost. */
static int answer_measured(struct transport_layer *layer, const struct flow *flow, struct span bytes)
{
	struct buffer out = buffer_over(layer->answer, ANSWER_BYTES);

	if (bytes.length > sources_credit(layer->sources, &flow->remote) && answer_shorten(bytes, &out))
		bytes = buffer_span(&out);
	return grant(layer, flow, bytes.length, true) ? net_send(layer->net, flow, bytes) : 0;
}

/* RFC 3261 section 8.2.7: a stateless answer's tag is the same for every copy of the request. */
static struct span reject_tag(const struct transport_layer *layer, const struct sip_message *request, char text[17])
{
	struct buffer out = buffer_over(text, 17);
	uint64_t tag = hash_bytes(layer->tag_key, request->call_id.data, request->call_id.length) ^ request->cseq;

	buffer_put_hex(&out, &tag, sizeof(tag));
	return buffer_span(&out);
}

/* Never more than an unproven source sent, never to a response or ACK. */
static void reject_answer(struct transport_layer *layer, const struct flow *flow, const struct sip_message *request,
			  uint16_t status)
{
	struct buffer out = buffer_over(layer->answer, ANSWER_BYTES);
	struct flow target = *flow;
	char tag[17];

	if (!status || !sip_message_is_answerable(request))
		return;
	sip_write_response_start(&out, request, status, SPAN_EMPTY, reject_tag(layer, request, tag), flow);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (out.overflow)
		return;
	if (is_measured(layer, flow) && (!grant(layer, flow, out.length, false) || !reject_answer_take(layer)))
		return;
	if (!transport_is_stream(flow->transport))
		sip_response_target(request, flow, &target);
	net_send(layer->net, &target, buffer_span(&out));
}

static void reject(struct transport_layer *layer, const struct flow *flow, enum sip_reject reason,
		   const struct sip_message *message)
{
	const struct sip_reject_row *row = sip_reject_row(reason);
	char source[ADDRESS_TEXT_BYTES];

	layer->rejects[reason]++;
	if (layer->callbacks.rejected)
		layer->callbacks.rejected(layer->callbacks.context, flow, reason);
	log_limited(&layer->log_limit, LOG_DEBUG, "transport", "refused a message: %s source=%s", row->text,
		    address_text(&flow->remote, source));
	if (reason != SIP_REJECT_NOT_SIP)
		reject_answer(layer, flow, message, row->status);
}

/* ---- Datagrams ----------------------------------------------------------------------------- */

static void receive_stun(struct transport_layer *layer, const struct flow *flow, struct span bytes)
{
	char text[STUN_ANSWER_BYTES];
	struct buffer out = BUFFER_OVER(text);
	enum stun_result result = stun_answer(bytes, &flow->remote, &out);

	if (result == STUN_MALFORMED)
		layer->rejects[SIP_REJECT_NOT_SIP]++;
	if (result == STUN_ANSWER && (!is_measured(layer, flow) || grant(layer, flow, out.length, true)))
		net_send(layer->net, flow, buffer_span(&out));
}

/* CR, LF and NUL alone: what phones send to keep a NAT's binding open. RFC 5626 gives it an answer on streams only. */
static bool is_keepalive(struct span bytes)
{
	for (size_t i = 0; i < bytes.length; i++) {
		if (bytes.data[i] != '\r' && bytes.data[i] != '\n' && bytes.data[i])
			return false;
	}
	return true;
}

static bool is_admitted(const struct transport_layer *layer, const struct flow *flow)
{
	return !layer->callbacks.admit || layer->callbacks.admit(layer->callbacks.context, flow);
}

static enum sip_reject parse(struct transport_layer *layer, struct span bytes, bool is_stream,
			     struct sip_message *message, size_t *consumed_bytes)
{
	struct arena arena = arena_over(layer->arena, PARSE_ARENA_BYTES);

	return sip_message_parse(bytes, is_stream, &layer->settings.sip, &arena, message, consumed_bytes);
}

static void receive(struct transport_layer *layer, const struct flow *flow, const struct sip_message *message)
{
	if (message->is_request && layer->callbacks.screen &&
	    !layer->callbacks.screen(layer->callbacks.context, flow, message))
		return;
	sip_transactions_receive(layer->transactions, flow, message);
}

static void on_datagram(void *context, const struct flow *flow, struct span bytes)
{
	struct transport_layer *layer = context;
	struct sip_message message;
	enum sip_reject result;
	size_t consumed_bytes;

	if (!is_admitted(layer, flow))
		return;
	sources_heard(layer->sources, &flow->remote, bytes.length, timer_wheel_now_ms(layer->wheel));
	if (is_keepalive(bytes))
		return;
	if (stun_is(bytes)) {
		receive_stun(layer, flow, bytes);
		return;
	}
	result = parse(layer, bytes, false, &message, &consumed_bytes);
	if (result == SIP_OK)
		receive(layer, flow, &message);
	else
		reject(layer, flow, result, &message);
}

/* ---- Streams ------------------------------------------------------------------------------- */

/* RFC 5626 section 3.5.1: a double CRLF between messages is a ping, to be answered with a single one; a single one is a
 * peer's pong, or a leftover. Returns the bytes taken. */
static size_t take_keepalives(struct transport_layer *layer, const struct flow *flow, struct span bytes)
{
	size_t at = 0;

	while (bytes.length - at >= 4 && bytes.data[at] == '\r' && bytes.data[at + 1] == '\n') {
		bool is_ping = bytes.data[at + 2] == '\r' && bytes.data[at + 3] == '\n';

		if (is_ping)
			net_send(layer->net, flow, SPAN("\r\n"));
		at += is_ping ? 4 : 2;
	}
	return at;
}

/* Whether the next message's start is known for certain after this one was refused. The body's place tells: it is
 * set only when Content-Length could be believed. */
static bool may_go_on(enum sip_reject reason, const struct sip_message *message, struct span bytes,
		      size_t consumed_bytes)
{
	switch (reason) {
	case SIP_REJECT_VERSION:
	case SIP_REJECT_START_LINE:
	case SIP_REJECT_URI:
	case SIP_REJECT_SCHEME:
	case SIP_REJECT_HEADER_VALUE:
	case SIP_REJECT_HEADER_MISSING:
	case SIP_REJECT_METHOD_MISMATCH:
	case SIP_REJECT_VIA:
		return message->body.data && message->body.data + message->body.length == bytes.data + consumed_bytes;
	default: return false;
	}
}

/* RFC 5923 section 5: who asks for it may be sent requests over the connection that he opened; net sees to who he is. */
static void take_alias(struct transport_layer *layer, const struct flow *flow, const struct sip_message *message)
{
	if (message->is_request && transport_is_secure(flow->transport) &&
	    sip_parameter_get(message->via.parameters, "alias", NULL))
		net_flow_alias(layer->net, flow, message->via.port ? message->via.port : SIPS_PORT);
}

static ptrdiff_t on_stream(void *context, const struct flow *flow, struct span bytes)
{
	struct transport_layer *layer = context;
	struct sip_message message;
	enum sip_reject result;
	size_t taken = take_keepalives(layer, flow, bytes), consumed_bytes = 0;

	bytes = span_slice(bytes, taken, SIZE_MAX);
	if (taken || (bytes.length < 4 && is_keepalive(bytes))) { /* part of a ping keeps nobody waiting */
		net_flow_deadline(layer->net, flow, false);
		return (ptrdiff_t)taken;
	}
	result = parse(layer, bytes, true, &message, &consumed_bytes);
	if (result == SIP_NEED_MORE) {
		net_flow_deadline(layer->net, flow, true);
		return (ptrdiff_t)consumed_bytes;
	}
	if (result == SIP_OK) {
		net_flow_deadline(layer->net, flow, false);
		take_alias(layer, flow, &message);
		receive(layer, flow, &message);
		return (ptrdiff_t)consumed_bytes;
	}
	reject(layer, flow, result, &message);
	if (!may_go_on(result, &message, bytes, consumed_bytes))
		return -1;
	net_flow_deadline(layer->net, flow, false);
	return (ptrdiff_t)consumed_bytes;
}

/* A WebSocket's message is one of SIP, as a datagram is (RFC 7118 section 5); keep-alives come alone (RFC 5626 section 3.5.1). */
static int on_message(void *context, const struct flow *flow, struct span bytes)
{
	struct transport_layer *layer = context;
	struct sip_message message;
	enum sip_reject result;
	size_t consumed_bytes;

	if (!is_admitted(layer, flow))
		return -1;
	if (is_keepalive(bytes)) {
		if (span_equal(bytes, SPAN("\r\n\r\n")))
			net_send(layer->net, flow, SPAN("\r\n"));
		return 0;
	}
	result = parse(layer, bytes, false, &message, &consumed_bytes);
	if (result == SIP_OK)
		receive(layer, flow, &message);
	else
		reject(layer, flow, result, &message);
	return result == SIP_REJECT_NOT_SIP ? -1 : 0;
}

/* A connection of a source that may not talk is ended before it has said anything. */
static void on_opened(void *context, const struct flow *flow)
{
	struct transport_layer *layer = context;

	if (!is_admitted(layer, flow))
		net_flow_close(layer->net, flow);
}

static ptrdiff_t on_stream_admitted(void *context, const struct flow *flow, struct span bytes)
{
	return is_admitted(context, flow) ? on_stream(context, flow, bytes) : -1;
}

static void on_closed(void *context, const struct flow *flow, enum net_close_reason reason)
{
	struct transport_layer *layer = context;
	char peer[ADDRESS_TEXT_BYTES];

	if (log_wants(LOG_DEBUG))
		log_write(LOG_DEBUG, "transport", "connection closed: %s peer=%s", net_close_reason_text(reason),
			  address_text(&flow->remote, peer));
	layer->close_reason = reason;
	if (layer->callbacks.ended)
		layer->callbacks.ended(layer->callbacks.context, flow, reason);
	sip_transactions_transport_failed(layer->transactions, flow);
	if (layer->callbacks.closed)
		layer->callbacks.closed(layer->callbacks.context, flow);
}

/* ---- The layer ----------------------------------------------------------------------------- */

static int on_send(void *context, const struct flow *flow, struct span bytes)
{
	struct transport_layer *layer = context;

	if (layer->callbacks.sending)
		layer->callbacks.sending(layer->callbacks.context);
	if (answer_is(bytes) && is_measured(layer, flow))
		return answer_measured(layer, flow, bytes);
	return net_send(layer->net, flow, bytes);
}

static bool layer_build(struct transport_layer *layer, struct event_base *loop, struct random_source random)
{
	const struct net_callbacks net_callbacks = {
		.datagram = on_datagram,
		.stream = on_stream_admitted,
		.message = on_message,
		.opened = on_opened,
		.closed = on_closed,
		.context = layer,
	};
	struct sip_transaction_callbacks transaction_callbacks = layer->callbacks.transactions;

	transaction_callbacks.send = on_send;
	transaction_callbacks.send_context = layer;
	layer->arena = memory_alloc(PARSE_ARENA_BYTES);
	layer->answer = memory_alloc(ANSWER_BYTES);
	layer->sources = sources_new(layer->settings.proofs, random);
	layer->net = net_new(loop, &layer->settings.net, &net_callbacks, random);
	layer->transactions =
		sip_transactions_new(&layer->settings.transactions, layer->wheel, &transaction_callbacks, random);
	return layer->arena && layer->answer && layer->sources && layer->net && layer->transactions;
}

struct transport_layer *transport_new(struct event_base *loop, struct timer_wheel *wheel,
				      const struct transport_settings *settings,
				      const struct transport_callbacks *callbacks, struct random_source random)
{
	struct transport_layer *layer = memory_alloc(sizeof(*layer));

	if (!layer)
		return NULL;
	layer->settings = *settings;
	layer->callbacks = *callbacks;
	layer->wheel = wheel;
	layer->reject_answers_left = REJECT_ANSWERS_PER_S;
	layer->refill = (struct timer){.fire = refill_fire, .context = layer};
	random_fill(random, layer->tag_key, sizeof(layer->tag_key));
	if (!layer_build(layer, loop, random)) {
		transport_free(layer);
		return NULL;
	}
	return layer;
}

void transport_free(struct transport_layer *layer)
{
	if (!layer)
		return;
	timer_stop(layer->wheel, &layer->refill);
	net_free(layer->net);
	sip_transactions_free(layer->transactions);
	sources_free(layer->sources);
	memory_free(layer->arena);
	memory_free(layer->answer);
	memory_free(layer);
}

struct net *transport_net(struct transport_layer *layer)
{
	return layer->net;
}

struct sip_transactions *transport_transactions(struct transport_layer *layer)
{
	return layer->transactions;
}

int transport_send(struct transport_layer *layer, const struct flow *flow, struct span bytes)
{
	return on_send(layer, flow, bytes);
}

void transport_write_via(struct buffer *out, const struct flow *flow, struct span sent_by, const char *branch)
{
	static const char *const protocols[TRANSPORT_COUNT] = {"SIP/2.0/UDP ", "SIP/2.0/TCP ", "SIP/2.0/TLS ",
							       "SIP/2.0/WS ", "SIP/2.0/WSS "};

	buffer_put_text(out, protocols[flow->transport]);
	if (sent_by.length)
		buffer_put_span(out, sent_by);
	else
		address_write(out, &flow->local);
	buffer_put_text(out, ";rport;branch=");
	buffer_put_text(out, branch);
}

void transport_source_prove(struct transport_layer *layer, const struct flow *flow, uint32_t lifetime_s)
{
	if (!transport_is_stream(flow->transport))
		sources_prove(layer->sources, &flow->remote, lifetime_s, timer_wheel_now_ms(layer->wheel));
}

bool transport_source_is_proven(const struct transport_layer *layer, const struct flow *flow)
{
	return transport_is_stream(flow->transport) ||
	       sources_proven(layer->sources, &flow->remote, timer_wheel_now_ms(layer->wheel));
}

uint64_t transport_answers_withheld(const struct transport_layer *layer)
{
	return layer->answers_withheld;
}

enum net_close_reason transport_close_reason(const struct transport_layer *layer)
{
	return layer->close_reason;
}

const uint64_t *transport_rejects(const struct transport_layer *layer)
{
	return layer->rejects;
}
