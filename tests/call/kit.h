/* SPDX-License-Identifier: Apache-2.0
 * A gateway on loopback with hand-written peers around it: a phone and a PBX that speak SIP as text. */
#ifndef RINGWALL_TESTS_CALL_KIT_H
#define RINGWALL_TESTS_CALL_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "call/call.h"

#define KIT_STREAMS 8

struct peer {
	int descriptor;
	struct address address;
	char text[8192]; /* the last message received */
};

struct kit {
	struct event_base *loop;
	struct config *config;
	struct gateway *gateway;
	struct peer phone, pbx, stranger;
	struct address access, core; /* the gateway's listeners */
	int listeners[2];
	uint32_t streams_set, sessions_closed, bindings_saved, bindings_removed;
	struct media_stream streams[KIT_STREAMS]; /* the last ones told, by index */
	struct ipc_binding binding;               /* the last one saved */
	bool stopped;
};

/* `zone_extra` are more lines of YAML for the access zone (indented by four), or "". */
void kit_start(struct kit *kit, const char *zone_extra, const char *encryption);
void kit_stop(struct kit *kit);
void kit_pump(struct kit *kit, uint32_t milliseconds);

/* Sends to the gateway's listener of the peer's side; `format` uses LF, which becomes CRLF; "%LENGTH%" becomes the body's length. */
void peer_send(struct kit *kit, struct peer *peer, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The next message whose first line begins with `start`, others (100 Trying, copies) skipped. Fails the test after two seconds. */
const char *peer_expect(struct kit *kit, struct peer *peer, const char *start);
/* Nothing whose first line begins with `start` comes within 300 ms. */
void peer_expect_nothing(struct kit *kit, struct peer *peer, const char *start);

/* The value of a header of the last message, in one of a few rotating buffers; fails when it is missing. */
const char *header(const struct peer *peer, const char *name);
bool has_header(const struct peer *peer, const char *name);
/* The value of a tag parameter in header `name`. */
const char *tag(const struct peer *peer, const char *name);
const char *body(const struct peer *peer);

/* Answers the last request `peer` received. `extra` are header lines ending in LF, or "". */
void peer_answer(struct kit *kit, struct peer *peer, const char *status, const char *to_tag, const char *extra,
		 const char *description);

/* A description with one PCMU stream at 127.0.0.1:port. */
const char *sdp_plain(uint16_t port, const char *direction);

#endif
