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
#define KIT_MESSAGE 66000

struct peer {
	int descriptor;
	struct address address;
	void *ssl;              /* of a peer that kit_connect_tls connected */
	char text[KIT_MESSAGE]; /* the last message received; it was parsed and found sound */
};

struct kit {
	struct event_base *loop;
	struct config *config;
	struct gateway *gateway;
	struct peer phone, pbx, stranger;
	struct address access, access_tls, core, spare; /* the gateway's listeners */
	int listeners[3];
	uint32_t streams_set, sessions_closed, bindings_saved, bindings_removed;
	struct media_stream streams[KIT_STREAMS]; /* the last ones told, by index */
	struct ipc_binding binding;               /* the last one saved */
	bool stopped;
	bool apart; /* `stranger` is a provider in a zone of its own, the second of the phones' route */
	bool pair;  /* `stranger` is the PBX's second server, told by DNS of nobody: a second peer of its zone */
	bool hasty; /* sending does not wait for what may come of it */
	char sent[KIT_MESSAGE];
	size_t sent_length; /* the last that a peer sent */
	uint64_t ahead_us;  /* how far the gateway's timers are ahead of the clock */
	void *tls;
	int memory; /* of checkpoints, after kit_keep */
	struct checkpoint_area *area;
	const char *trunk_extra;     /* the "pbx" is a provider: more lines of YAML for its zone; NULL: it is a PBX */
	const char *core_encryption; /* of the PBX's zone; NULL: none */
	const char *zone_extra, *encryption, *limits;
	bool six[2];         /* the phones' side, the PBX's */
	uint8_t access_zone; /* the number of the access zone; the core zone's is the other one */
};

/* The fingerprint of media's certificate, as it stands in descriptions. */
#define KIT_FINGERPRINT \
	"A0:A1:A2:A3:A4:A5:A6:A7:A8:A9:AA:AB:AC:AD:AE:AF:B0:B1:B2:B3:B4:B5:B6:B7:B8:B9:BA:BB:BC:BD:BE:BF"

/* `zone_extra` are more lines of YAML for the access zone (indented by four), or "". */
void kit_start(struct kit *kit, const char *zone_extra, const char *encryption);
/* With encryption toward the PBX as well; both may have more keys of `media` behind them. */
void kit_start_core(struct kit *kit, const char *encryption, const char *core_encryption);
/* With two PBXs, of which `stranger` is the second. */
void kit_start_pair(struct kit *kit, const char *zone_extra, const char *core_extra);
/* With a provider beside the PBX in a zone of its own ("spare"), to which calls go when the PBX does not serve them. `more` are
 * lines of YAML at the end. `core_extra` as for a pair; with an account at it, the "pbx" is a provider as well. */
void kit_start_apart(struct kit *kit, const char *core_extra, const char *more);
/* The same with a provider in the place of the PBX. */
void kit_start_trunk(struct kit *kit, const char *zone_extra, const char *encryption, const char *trunk_extra);
/* And with lines of YAML at the end. */
void kit_start_trunk_routed(struct kit *kit, const char *trunk_extra, const char *more);
/* With lines of YAML at the end: "limits: {…}\n". */
void kit_start_limited(struct kit *kit, const char *zone_extra, const char *encryption, const char *limits);
/* The same with the phones' side, the PBX's, or both on ::1. */
void kit_start_on(struct kit *kit, const char *zone_extra, const char *encryption, bool phones_six, bool pbx_six);
void kit_stop(struct kit *kit);
void kit_pump(struct kit *kit, uint32_t milliseconds);
/* Lets the gateway's timers run as if so much time had passed. */
void kit_skip(struct kit *kit, uint32_t milliseconds);
/* After everybody has fallen silent nothing is left: no call, no fork, no relay, no transaction, and all ports are back. */
void kit_expect_nothing_left(struct kit *kit);
/* Puts a socket in `peer` that speaks TLS with the access zone. */
void kit_connect_tls(struct kit *kit, struct peer *peer);
void peer_close(struct peer *peer);

void peer_send_bytes(struct kit *kit, struct peer *peer, const char *bytes, size_t length);
/* Whatever is next within the time; false: nothing. What the gateway sends must itself be strictly valid, or the test fails. */
bool peer_receive(struct kit *kit, struct peer *peer, uint32_t milliseconds);
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

/* The Content-Type line of a description, or of what begins with the line "--NAME" as multipart/NAME does, NAME being the boundary. */
const char *kit_type(const char *body);

/* Answers the last request `peer` received. `extra` are header lines ending in LF, or "". */
void peer_answer(struct kit *kit, struct peer *peer, const char *status, const char *to_tag, const char *extra,
		 const char *description);

/* `asked` gets a request that begins with `start` and agrees, `to_tag` as above; `asker` hears of it. */
void peer_agrees(struct kit *kit, struct peer *asked, const char *start, const char *to_tag, struct peer *asker);
/* The PBX takes the Contact of the REGISTER that is its last message; `parameters` follow it, `extra` are more header lines. */
void pbx_grants(struct kit *kit, const char *parameters, const char *extra);
/* The peer registers as `user` at the PBX, which agrees. */
void peer_registers(struct kit *kit, struct peer *peer, const char *user);
/* An account of the gateway's own, in its domain, with SHA-256. */
void kit_account(struct kit *kit, const char *user, const char *password);
/* The user part of a Contact, in one of a few rotating buffers: our token where it is ours. */
const char *token_of(const char *contact);

/* A dialog as one peer sees it, and requests in it. */
struct side {
	struct peer *peer;
	char from[512], to[512], call_id[256];
	unsigned cseq;
};
/* Of the peer that asked, from the response that is its last message. */
void side_of_caller(struct side *side, struct peer *peer);
/* Of the peer that was asked, from the request that is its last message; `own_tag` is what it answers with. */
void side_of_callee(struct side *side, struct peer *peer, const char *own_tag);
/* With side->cseq, or with one more when `method` is not ACK. */
void side_sends(struct kit *kit, struct side *side, const char *method, const char *extra, const char *description);

/* An INVITE from the phone to 600 at the PBX with the branch, Call-ID and tag made from `name`. */
void phone_invites(struct kit *kit, struct peer *phone, const char *name, const char *extra, const char *description);
/* The same with a plain offer from `port`; the PBX has the INVITE before it. */
void phone_calls(struct kit *kit, const char *name, uint16_t port);
/* A call from the phone to the PBX, up and acknowledged. `invite` is the INVITE as the PBX got it. */
void kit_establish(struct kit *kit, struct peer *phone, struct side *caller, struct side *callee,
		   const char *description, const char *answer);
/* Takes a new configuration, in which the two zones have changed places. */
void kit_reload(struct kit *kit);
/* From now on the gateway keeps what outlives it. */
void kit_keep(struct kit *kit);
/* The gateway dies without a word and another takes its place, in whose configuration the zones have changed places. */
void kit_kill(struct kit *kit);
/* The same, in two steps. */
void kit_die(struct kit *kit);
void kit_follow(struct kit *kit);
/* Everybody stays silent until the gateway has given up all it holds, which is checked. */
void kit_silence(struct kit *kit);

/* A description with one PCMU stream at 127.0.0.1:port. */
const char *sdp_plain(uint16_t port, const char *direction);

#endif
