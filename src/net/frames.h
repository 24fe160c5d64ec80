/* SPDX-License-Identifier: Apache-2.0
 * Private: what a WebSocket's client sends (RFC 6455 section 5): bytes in any pieces become messages and control frames. */
#ifndef RINGWALL_NET_FRAMES_H
#define RINGWALL_NET_FRAMES_H

#include "base/buffer.h"

#define NET_CONTROL_MAXIMUM_BYTES 125 /* RFC 6455 section 5.5 */
#define NET_FRAME_HEADER_BYTES 10     /* of a frame of ours at most: no mask */

enum net_opcode {
	NET_OPCODE_TEXT = 0x1,
	NET_OPCODE_BINARY = 0x2,
	NET_OPCODE_CLOSE = 0x8,
	NET_OPCODE_PING = 0x9,
	NET_OPCODE_PONG = 0xa,
};

/* RFC 6455 section 7.4.1 */
enum net_close_code {
	NET_CODE_GOING_AWAY = 1001,
	NET_CODE_PROTOCOL = 1002,
	NET_CODE_UNACCEPTABLE = 1003,
	NET_CODE_NONE = 1005, /* none was said; never on the wire */
	NET_CODE_NOT_TEXT = 1007,
	NET_CODE_TOO_BIG = 1009,
	NET_CODE_INTERNAL = 1011,
};

enum net_frames_event {
	NET_FRAMES_MORE,    /* nothing yet: give more bytes */
	NET_FRAMES_MESSAGE, /* a whole one, text or binary, put together of its fragments */
	NET_FRAMES_PING,
	NET_FRAMES_PONG,
	NET_FRAMES_CLOSE, /* with its code */
	NET_FRAMES_WRONG, /* with the code to close with; nothing is read any more */
};

struct net_frames;

/* `message_maximum_bytes` of a message, however it is cut. NULL when memory is short. */
struct net_frames *net_frames_new(size_t message_maximum_bytes);
void net_frames_free(struct net_frames *frames); /* NULL is allowed */

/* The bytes that net_frames_next reads from; they are the caller's, and all read when it says NET_FRAMES_MORE. */
void net_frames_give(struct net_frames *frames, struct span bytes);

/* The next event. *payload of messages, pings and pongs is valid until the next call; *code is set by NET_FRAMES_CLOSE and
 * NET_FRAMES_WRONG. */
enum net_frames_event net_frames_next(struct net_frames *frames, struct span *payload, uint16_t *code);

/* Whether a frame or a message is begun and not ended. */
bool net_frames_midway(const struct net_frames *frames);

/* The header of an unmasked, whole frame of `length` bytes. */
void net_frames_write_header(struct buffer *out, enum net_opcode opcode, size_t length);

/* RFC 3629 */
bool net_text_is_utf8(struct span text);

#endif
