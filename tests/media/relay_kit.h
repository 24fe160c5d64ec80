/* SPDX-License-Identifier: Apache-2.0
 * A relay with one worker, and phones around it: real sockets on loopback addresses. */
#ifndef RINGWALL_TESTS_MEDIA_RELAY_KIT_H
#define RINGWALL_TESTS_MEDIA_RELAY_KIT_H

#include "packets.h"

#define WAIT_MS 2000 /* for what must come */
#define QUIET_MS 120 /* for what must not */
#define EVENTS_KEPT 64

/* Set up and taken down around every test. */
int kit_setup(void **state);
int kit_teardown(void **state);

extern struct media_relay *kit_relay;

struct address kit_address(const char *text);

/* A free even port with a free odd one behind it, on 127.0.0.1. */
uint16_t kit_port_pair(void);

/* Waits for an event of the kind; returns false after `wait_ms`. Events before it are forgotten. */
bool kit_event(enum media_event_kind kind, struct media_event *event, int wait_ms);

/* A socket of a phone, or of a stranger. */
int kit_socket(const char *ip, uint16_t port);
struct address kit_socket_address(int socket);
void kit_send(int socket, const struct address *to, const void *bytes, size_t length);

/* Bytes received, -1 when nothing came in time. */
ptrdiff_t kit_receive(int socket, uint8_t *out, struct address *from, int wait_ms);

/* A stream of two sides on 127.0.0.1; peers are phones' sockets (RTP, RTCP) on 127.0.1.x. */
struct kit_call {
	struct media_stream stream;
	int rtp[2], rtcp[2];                              /* the phones' sockets */
	struct srtp_context *to_relay[2], *from_relay[2]; /* the phones' keys, with SRTP */
	uint16_t sequence[2];
};
void kit_call_make(struct kit_call *call, enum srtp_suite suite_a, enum srtp_suite suite_b);
void kit_call_set(struct kit_call *call);
void kit_call_free(struct kit_call *call);
struct address kit_local(const struct kit_call *call, int side, bool rtcp);

/* The phone of `side` sends its next packet from its own socket; as kit_call_send, from another one. */
void kit_call_send(struct kit_call *call, int side);
void kit_call_send_from(struct kit_call *call, int side, int socket);
void kit_call_send_rtcp(struct kit_call *call, int side);

/* The phone of `side` receives a packet: opens it, and compares it with what the other sent last. */
bool kit_call_receives(struct kit_call *call, int side, int wait_ms);
bool kit_call_receives_rtcp(struct kit_call *call, int side, int wait_ms);

struct media_side_counters kit_counters(const struct kit_call *call, int side);

/* Waits until the drop counter of the side is `wanted`; fails after WAIT_MS. */
void kit_expect_drops(const struct kit_call *call, int side, enum media_drop drop, uint64_t wanted);

#endif
