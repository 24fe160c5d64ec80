/* SPDX-License-Identifier: Apache-2.0
 * A connection that is a WebSocket (RFC 6455): opened by an HTTP request from an origin that may, then messages both ways,
 * closed by both sides within a time limit. */
#include <errno.h>

#include "base/origin.h"
#include "net/frames.h"
#include "net/private.h"
#include "net/upgrade.h"

struct net_websocket {
	struct net_frames *frames;
	bool close_sent;
	bool finished; /* the peer's close came, or what it sends is not read any more */
	bool pings;    /* a pong is owed */
	uint8_t pong_length;
	char pong[NET_CONTROL_MAXIMUM_BYTES];
};

/* ---- Who may ---- */

struct net_origins {
	bool programs;
	size_t count;
	char *texts[NET_ORIGINS_MAXIMUM];
};

void net_origins_free(struct net_origins *origins)
{
	if (!origins)
		return;
	for (size_t i = 0; i < origins->count; i++)
		memory_free(origins->texts[i]);
	memory_free(origins);
}

struct net_origins *net_origins_new(const struct span *texts, size_t count, bool programs)
{
	struct net_origins *origins = count <= NET_ORIGINS_MAXIMUM ? memory_alloc(sizeof(*origins)) : NULL;

	if (!origins)
		return NULL;
	origins->programs = programs;
	for (; origins->count < count; origins->count++) {
		origins->texts[origins->count] = memory_copy_text(texts[origins->count]);
		if (!origins->texts[origins->count]) {
			net_origins_free(origins);
			return NULL;
		}
	}
	return origins;
}

void net_origins_set(struct net *net, uint8_t zone, struct net_origins *origins)
{
	net_origins_free(net->origins[zone]);
	net->origins[zone] = origins;
}

static bool origins_allow(const struct net_origins *origins, struct span said)
{
	struct origin wanted, allowed;

	if (!origins)
		return false;
	if (!said.length)
		return origins->programs;
	if (origin_parse(said, &wanted))
		return false;
	for (size_t i = 0; i < origins->count; i++)
		if (!origin_parse(span_from(origins->texts[i]), &allowed) && origin_equal(&wanted, &allowed))
			return true;
	return false;
}

/* ---- Opening ---- */

void net_upgrade_begin(struct net_connection *connection)
{
	connection->state = NET_UPGRADING;
	net_connection_want(connection, EV_READ);
	/* What came with the end of the handshake is in OpenSSL's buffer: the socket will not tell. */
	if (connection->state == NET_UPGRADING && connection->ssl)
		net_stream_read(connection);
}

static void upgrade_refuse(struct net_connection *connection, const struct net_upgrade *upgrade)
{
	struct net *net = connection->net;
	char text[NET_UPGRADE_ANSWER_BYTES], remote[ADDRESS_TEXT_BYTES];
	struct buffer answer = BUFFER_OVER(text);
	bool foreign = upgrade->status == 403 && upgrade->origin.length;

	log_limited(&net->log_handshake, LOG_INFO, "net", "WebSocket refused peer=%s: %s%s%.*s",
		    address_text(&connection->flow.remote, remote), upgrade->reason, foreign ? ": " : "",
		    SPAN_PRINT(span_slice(foreign ? upgrade->origin : SPAN_EMPTY, 0, 200)));
	net->statistics.handshakes_failed++;
	net_connection_handshake_done(connection);
	net_upgrade_answer(&answer, upgrade->status);
	net_queue_clear(&connection->incoming);
	if (net_queue_append(&connection->outgoing, buffer_span(&answer), answer.length)) {
		net_connection_end(connection, NET_CLOSED_HANDSHAKE);
		return;
	}
	net_stream_drain(connection, NET_CLOSED_HANDSHAKE);
}

static struct net_websocket *websocket_new(size_t message_maximum_bytes)
{
	struct net_websocket *websocket = memory_alloc(sizeof(*websocket));

	if (!websocket)
		return NULL;
	websocket->frames = net_frames_new(message_maximum_bytes);
	if (websocket->frames)
		return websocket;
	memory_free(websocket);
	return NULL;
}

void net_websocket_free(struct net_websocket *websocket)
{
	if (!websocket)
		return;
	net_frames_free(websocket->frames);
	memory_free(websocket);
}

static void upgrade_accept(struct net_connection *connection, const struct net_upgrade *upgrade)
{
	char text[NET_UPGRADE_ANSWER_BYTES];
	struct buffer answer = BUFFER_OVER(text);

	net_upgrade_accept(&answer, upgrade->key);
	net_queue_clear(&connection->incoming);
	connection->websocket = websocket_new(connection->net->limits.message_maximum_bytes);
	if (!connection->websocket || answer.overflow ||
	    net_queue_append(&connection->outgoing, buffer_span(&answer), answer.length)) {
		net_connection_end(connection, NET_CLOSED_HANDSHAKE);
		return;
	}
	net_connection_handshake_done(connection);
	net_stream_opened(connection); /* which sends what waits */
}

void net_upgrade_receive(struct net_connection *connection, struct span bytes)
{
	struct net_upgrade upgrade = {0};
	/* No more than can be looked at, and a byte to see that it is too much. */
	struct span head = span_slice(bytes, 0, NET_UPGRADE_MAXIMUM_BYTES + 1 - connection->incoming.length);
	ptrdiff_t length;

	if (net_queue_append(&connection->incoming, head, NET_UPGRADE_MAXIMUM_BYTES + 1)) {
		net_connection_end(connection, NET_CLOSED_HANDSHAKE);
		return;
	}
	head = net_queue_span(&connection->incoming);
	length = net_upgrade_parse(head, &upgrade);
	/* A client that speaks before it is answered (RFC 6455 section 4.1) may mean another parser than this one. */
	if (length > 0 && (size_t)length != head.length)
		length = net_upgrade_refuse(&upgrade, 400, "bytes behind the request");
	if (length > 0 && !origins_allow(connection->net->origins[connection->flow.zone], upgrade.origin))
		length = net_upgrade_refuse(&upgrade, 403,
					    upgrade.origin.length ? "an origin that is not the zone's" : "no Origin");
	if (length < 0)
		upgrade_refuse(connection, &upgrade);
	if (length > 0)
		upgrade_accept(connection, &upgrade);
}

/* ---- Sending ---- */

static int control_send(struct net_connection *connection, enum net_opcode opcode, struct span payload)
{
	char text[NET_FRAME_HEADER_BYTES + NET_CONTROL_MAXIMUM_BYTES];
	struct buffer frame = BUFFER_OVER(text);

	net_frames_write_header(&frame, opcode, payload.length);
	buffer_put_span(&frame, payload);
	return net_stream_put(connection, buffer_span(&frame));
}

int net_websocket_send(struct net_connection *connection, struct span bytes)
{
	size_t capacity = bytes.length + NET_FRAME_HEADER_BYTES;
	struct buffer frame;
	char *text;
	int result;

	if (bytes.length > connection->net->limits.send_queue_maximum_bytes)
		return -EMSGSIZE;
	text = memory_alloc(capacity);
	if (!text) {
		net_connection_end(connection, NET_CLOSED_FULL);
		return -ENOBUFS;
	}
	frame = buffer_over(text, capacity);
	/* RFC 7118 section 4.2: text, which scripts find easier, where it is some. */
	net_frames_write_header(&frame, net_text_is_utf8(bytes) ? NET_OPCODE_TEXT : NET_OPCODE_BINARY, bytes.length);
	buffer_put_span(&frame, bytes);
	result = net_stream_put(connection, buffer_span(&frame));
	memory_free_secret(text, capacity);
	return result;
}

/* Both say that they close, then the connection ends; NET_DEADLINE_LINGER is how long that may take. */
static void websocket_close(struct net_connection *connection, uint16_t code, enum net_close_reason reason)
{
	struct net_websocket *websocket = connection->websocket;
	const char bytes[] = {(char)(code >> 8), (char)code};
	struct span payload = {bytes, code == NET_CODE_NONE ? 0 : sizeof(bytes)};

	if (websocket->close_sent)
		return;
	websocket->close_sent = true;
	if (!control_send(connection, NET_OPCODE_CLOSE, payload))
		net_stream_close(connection, reason);
	else
		net_connection_end(connection, reason);
}

void net_websocket_goodbye(struct net_connection *connection)
{
	websocket_close(connection, NET_CODE_GOING_AWAY, NET_CLOSED_BY_US);
}

bool net_websocket_is_over(const struct net_connection *connection)
{
	return connection->websocket->finished;
}

void net_websocket_ping(struct net_connection *connection)
{
	if (!control_send(connection, NET_OPCODE_PING, SPAN_EMPTY))
		net_deadline_set(connection, NET_DEADLINE_PONG);
}

/* ---- Receiving ---- */

bool net_websocket_midway(const struct net_connection *connection)
{
	return net_frames_midway(connection->websocket->frames);
}

static void deliver(struct net_connection *connection, struct span message)
{
	const struct net_callbacks *callbacks = &connection->net->callbacks;
	int result;

	connection->delivering = true;
	result = callbacks->message(callbacks->context, &connection->flow, message);
	connection->delivering = false;
	if (result < 0 && net_connection_is_open(connection))
		websocket_close(connection, NET_CODE_UNACCEPTABLE, NET_CLOSED_BY_US);
}

/* Only the last ping of a turn is answered (RFC 6455 section 5.5.3): a flood of them costs one pong. */
static void ping_keep(struct net_websocket *websocket, struct span payload)
{
	websocket->pings = true;
	websocket->pong_length = (uint8_t)payload.length;
	if (payload.length)
		memcpy(websocket->pong, payload.data, payload.length);
}

static void event_take(struct net_connection *connection, enum net_frames_event event, struct span payload,
		       uint16_t code)
{
	struct net_websocket *websocket = connection->websocket;

	switch (event) {
	case NET_FRAMES_MESSAGE:
		if (connection->state == NET_OPEN)
			deliver(connection, payload);
		break;
	case NET_FRAMES_PING: ping_keep(websocket, payload); break;
	case NET_FRAMES_CLOSE:
	case NET_FRAMES_WRONG:
		websocket->finished = true;
		if (connection->state == NET_OPEN)
			websocket_close(connection, code,
					event == NET_FRAMES_CLOSE ? NET_CLOSED_BY_PEER : NET_CLOSED_BY_US);
		else
			net_stream_flush(connection); /* ends when all is sent */
		break;
	default: break;
	}
}

void net_websocket_receive(struct net_connection *connection, struct span bytes)
{
	struct net_websocket *websocket = connection->websocket;
	enum net_frames_event event = NET_FRAMES_MORE;
	struct span payload = SPAN_EMPTY;
	bool progress = false;
	uint16_t code = 0;

	net_frames_give(websocket->frames, bytes);
	while (!websocket->finished && connection->state != NET_ENDED &&
	       (event = net_frames_next(websocket->frames, &payload, &code)) != NET_FRAMES_MORE) {
		progress |= event == NET_FRAMES_MESSAGE;
		event_take(connection, event, payload, code);
	}
	net_frames_give(websocket->frames, SPAN_EMPTY);
	if (connection->state == NET_OPEN && websocket->pings)
		control_send(connection, NET_OPCODE_PONG, (struct span){websocket->pong, websocket->pong_length});
	websocket->pings = false;
	if (connection->state == NET_OPEN)
		net_stream_waiting(connection, progress);
}
