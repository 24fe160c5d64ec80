/* SPDX-License-Identifier: Apache-2.0
 * Messages of a WebSocket, put together from frames that wslay takes apart. What wslay leaves to its user is checked here: masks,
 * opcodes, the order of fragments, lengths, UTF-8 and close codes. */
#include "net/frames.h"

#include <malloc.h>
#include <wslay/wslay.h>

#include "net/private.h"

struct net_frames {
	wslay_frame_context_ptr context;
	struct span input;
	struct net_queue message; /* as far as it came */
	size_t message_maximum_bytes;
	uint64_t taken, finished; /* bytes: given to wslay; of frames that are whole */
	uint64_t left;            /* of the payload of the frame under way */
	uint8_t opcode;           /* of that frame */
	uint8_t message_opcode;   /* of the message under way; 0: there is none */
	bool in_frame, is_last, delivered, failed;
	uint8_t control_length;
	char control[NET_CONTROL_MAXIMUM_BYTES];
};

static ssize_t on_receive(uint8_t *out, size_t capacity, int flags, void *context)
{
	struct net_frames *frames = context;
	size_t length = frames->input.length < capacity ? frames->input.length : capacity;

	(void)flags;
	if (!length)
		return -1; /* wslay then says that it wants to read */
	memcpy(out, frames->input.data, length);
	frames->input = span_slice(frames->input, length, frames->input.length);
	frames->taken += length;
	return (ssize_t)length;
}

struct net_frames *net_frames_new(size_t message_maximum_bytes)
{
	static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_receive};
	struct net_frames *frames = memory_alloc(sizeof(*frames));

	if (!frames)
		return NULL;
	frames->message_maximum_bytes = message_maximum_bytes;
	if (wslay_frame_context_init(&frames->context, &callbacks, frames)) {
		memory_free(frames);
		return NULL;
	}
	return frames;
}

void net_frames_free(struct net_frames *frames)
{
	if (!frames)
		return;
	/* Its buffer holds what came last, which may have been keys (SDES); only malloc knows how large it is. */
	memory_wipe(frames->context, malloc_usable_size(frames->context));
	wslay_frame_context_free(frames->context);
	net_queue_clear(&frames->message);
	memory_free_secret(frames, sizeof(*frames));
}

void net_frames_give(struct net_frames *frames, struct span bytes)
{
	frames->input = bytes;
}

bool net_frames_midway(const struct net_frames *frames)
{
	return frames->message_opcode || frames->taken != frames->finished;
}

static bool is_control(uint8_t opcode)
{
	return opcode & 0x8;
}

/* The length of a header whose length field is as short as it may be, which wslay sees to. */
static uint64_t header_length(uint64_t payload_length)
{
	return payload_length < 126 ? 6 : payload_length <= UINT16_MAX ? 8 : 14;
}

/* Returns 0, or the code to close with. */
static uint16_t frame_begin(struct net_frames *frames, const struct wslay_frame_iocb *piece)
{
	bool continues = piece->opcode == WSLAY_CONTINUATION_FRAME;

	/* No extension was agreed to, and a client masks (RFC 6455 sections 5.1 and 5.2). */
	if (piece->rsv || !piece->mask || piece->opcode > WSLAY_PONG ||
	    (piece->opcode > WSLAY_BINARY_FRAME && !is_control(piece->opcode)))
		return NET_CODE_PROTOCOL;
	if (!is_control(piece->opcode)) {
		if (continues != (frames->message_opcode != 0))
			return NET_CODE_PROTOCOL;
		if (piece->payload_length > frames->message_maximum_bytes - frames->message.length)
			return NET_CODE_TOO_BIG;
		if (!continues)
			frames->message_opcode = piece->opcode;
	}
	frames->in_frame = true;
	frames->is_last = piece->fin;
	frames->opcode = piece->opcode;
	frames->left = piece->payload_length;
	frames->finished += header_length(piece->payload_length) + piece->payload_length;
	frames->control_length = 0;
	return 0;
}

static uint16_t piece_take(struct net_frames *frames, const struct wslay_frame_iocb *piece)
{
	struct span bytes = {(const char *)piece->data, piece->data_length};

	frames->left -= bytes.length;
	if (!bytes.length)
		return 0;
	if (!is_control(frames->opcode))
		return net_queue_append(&frames->message, bytes, frames->message_maximum_bytes) ? NET_CODE_INTERNAL : 0;
	if (bytes.length > sizeof(frames->control) - frames->control_length)
		return NET_CODE_PROTOCOL;
	memcpy(frames->control + frames->control_length, bytes.data, bytes.length);
	frames->control_length = (uint8_t)(frames->control_length + bytes.length);
	return 0;
}

/* RFC 6455 section 7.4: those that may stand on the wire. */
static bool close_code_is_good(uint16_t code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum net_frames_event fail(struct net_frames *frames, uint16_t with, uint16_t *code)
{
	frames->failed = true;
	*code = with;
	return NET_FRAMES_WRONG;
}

static enum net_frames_event close_end(struct net_frames *frames, struct span payload, uint16_t *code)
{
	*code = NET_CODE_NONE;
	if (!payload.length)
		return NET_FRAMES_CLOSE;
	if (payload.length < 2)
		return fail(frames, NET_CODE_PROTOCOL, code);
	*code = (uint16_t)((uint8_t)payload.data[0] << 8 | (uint8_t)payload.data[1]);
	if (!close_code_is_good(*code))
		return fail(frames, NET_CODE_PROTOCOL, code);
	if (!net_text_is_utf8(span_slice(payload, 2, payload.length)))
		return fail(frames, NET_CODE_NOT_TEXT, code);
	return NET_FRAMES_CLOSE;
}

static enum net_frames_event frame_end(struct net_frames *frames, struct span *payload, uint16_t *code)
{
	bool is_text = frames->message_opcode == WSLAY_TEXT_FRAME;

	frames->in_frame = false;
	*payload = (struct span){frames->control, frames->control_length};
	switch (frames->opcode) {
	case WSLAY_PING: return NET_FRAMES_PING;
	case WSLAY_PONG: return NET_FRAMES_PONG;
	case WSLAY_CONNECTION_CLOSE: return close_end(frames, *payload, code);
	default: break;
	}
	if (!frames->is_last)
		return NET_FRAMES_MORE;
	*payload = net_queue_span(&frames->message);
	frames->message_opcode = 0;
	frames->delivered = true;
	return is_text && !net_text_is_utf8(*payload) ? fail(frames, NET_CODE_NOT_TEXT, code) : NET_FRAMES_MESSAGE;
}

enum net_frames_event net_frames_next(struct net_frames *frames, struct span *payload, uint16_t *code)
{
	enum net_frames_event event = NET_FRAMES_MORE;

	if (frames->delivered)
		net_queue_clear(&frames->message);
	frames->delivered = false;
	while (event == NET_FRAMES_MORE && !frames->failed) {
		struct wslay_frame_iocb piece = {0};
		ssize_t length = wslay_frame_recv(frames->context, &piece);
		uint16_t wrong = 0;

		if (length < 0 && length != WSLAY_ERR_PROTO)
			break;
		if (length < 0)
			return fail(frames, NET_CODE_PROTOCOL, code);
		if (!frames->in_frame)
			wrong = frame_begin(frames, &piece);
		if (!wrong)
			wrong = piece_take(frames, &piece);
		if (wrong)
			return fail(frames, wrong, code);
		if (!frames->left)
			event = frame_end(frames, payload, code);
	}
	return event;
}

void net_frames_write_header(struct buffer *out, enum net_opcode opcode, size_t length)
{
	int bytes = length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;

	buffer_put_byte(out, (char)(0x80 | opcode));
	buffer_put_byte(out, (char)(!bytes ? length : bytes == 2 ? 126 : 127));
	while (bytes--)
		buffer_put_byte(out, (char)((uint64_t)length >> (8 * bytes)));
}

bool net_text_is_utf8(struct span text)
{
	for (size_t i = 0; i < text.length;) {
		unsigned char first = (unsigned char)text.data[i++];
		unsigned char low = 0x80, high = 0xbf; /* of the second byte */
		int more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;

		if ((first >= 0x80 && first < 0xc2) || first > 0xf4)
			return false;
		/* Neither longer than needed, nor surrogates, nor beyond U+10FFFF. */
		if (first == 0xe0)
			low = 0xa0;
		if (first == 0xed)
			high = 0x9f;
		if (first == 0xf0)
			low = 0x90;
		if (first == 0xf4)
			high = 0x8f;
		for (; more; more--, low = 0x80, high = 0xbf) {
			unsigned char next = i < text.length ? (unsigned char)text.data[i++] : 0;

			if (next < low || next > high)
				return false;
		}
	}
	return true;
}
