/* SPDX-License-Identifier: Apache-2.0
 * What a level has seen that no honest peer does, or seldom does, and what only honest ones do: one type for all levels, one table of
 * kinds, and a sink that counts and logs. Nothing is decided here. */
#ifndef RINGWALL_BASE_EVIDENCE_H
#define RINGWALL_BASE_EVIDENCE_H

#include "base/address.h"
#include "base/log.h"
#include "base/table.h"

enum evidence_level { EVIDENCE_NETWORK, EVIDENCE_APPLICATION, EVIDENCE_CONTENT, EVIDENCE_LEVEL_COUNT };

/* Whom something is about, and whom a verdict can be on; from ACCOUNT_AT to PREFIX the narrower before the wider. */
enum evidence_subject {
	SUBJECT_NONE,              /* nobody: it is counted and no more */
	SUBJECT_UNPROVEN,          /* all together whose addresses may be forged */
	SUBJECT_ACCOUNT_AT,        /* an account as one host uses it: the IPv4 address or IPv6 /64, whatever the port */
	SUBJECT_CALL,              /* a call */
	SUBJECT_CONNECTION,        /* a TCP, TLS or WebSocket connection */
	SUBJECT_TRANSPORT_ADDRESS, /* an address and port over UDP */
	SUBJECT_ADDRESS,           /* an IP address */
	SUBJECT_PREFIX,            /* an IPv4 /24 or IPv6 /64 */
	SUBJECT_ACCOUNT,           /* an account, wherever it is used */
	SUBJECT_ADDRESS_OF_RECORD, /* who is called */
	SUBJECT_COUNT,
};

/* X(enum, name, level, weight, half-life, subject, only when proven). The weight is of one finding, 0 to 100, about what it says of who
 * sent it: 0 happens to honest peers daily, 10 a few times a year, 100 never; of the GOOD ones, how far it speaks for him. After the
 * half-life (s) half of it is left. The subject is the narrowest that it is about. ONLY PROVEN: the source could be forged to blame
 * somebody, so an unproven finding says nothing about the address that it bears. Media's come first, and new ones last, as in an upgrade an old
 * media process tells a new gate their numbers. */
#define EVIDENCE_KINDS(X) \
	EVIDENCE_KINDS_CONTENT(X) \
	EVIDENCE_KINDS_NETWORK(X) \
	EVIDENCE_KINDS_APPLICATION(X)

/* Over a limit of connections; a handshake (TLS, WebSocket) that failed, or took too long; nothing said on a new connection; a message that
 * never ended; renegotiation; frames that are none; a page of a foreign site; a stranger at a listener that is for peers alone; a proven
 * source, or all unproven ones, over what may come in a second; what the kernel dropped of who is blocked. */
#define EVIDENCE_KINDS_NETWORK(X) \
	X(NET_CONNECTIONS, "net_connections", EVIDENCE_NETWORK, 5, 600, SUBJECT_ADDRESS, true) \
	X(NET_HANDSHAKE, "net_handshake", EVIDENCE_NETWORK, 1, 600, SUBJECT_ADDRESS, true) \
	X(NET_HANDSHAKE_SLOW, "net_handshake_slow", EVIDENCE_NETWORK, 2, 600, SUBJECT_ADDRESS, true) \
	X(NET_SILENT, "net_silent", EVIDENCE_NETWORK, 1, 600, SUBJECT_ADDRESS, true) \
	X(NET_SLOW, "net_slow", EVIDENCE_NETWORK, 10, 3600, SUBJECT_ADDRESS, true) \
	X(NET_RENEGOTIATION, "net_renegotiation", EVIDENCE_NETWORK, 50, 3600, SUBJECT_ADDRESS, true) \
	X(NET_FRAMES, "net_frames", EVIDENCE_NETWORK, 10, 3600, SUBJECT_ADDRESS, true) \
	X(NET_ORIGIN, "net_origin", EVIDENCE_NETWORK, 2, 3600, SUBJECT_ADDRESS, true) \
	X(NET_STRANGER, "net_stranger", EVIDENCE_NETWORK, 10, 3600, SUBJECT_ADDRESS, true) \
	X(NET_FLOOD, "net_flood", EVIDENCE_NETWORK, 5, 60, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(NET_UNPROVEN, "net_unproven", EVIDENCE_NETWORK, 1, 10, SUBJECT_UNPROVEN, false) \
	X(KERNEL_BLOCKED, "kernel_blocked", EVIDENCE_NETWORK, 0, 60, SUBJECT_NONE, false)

/* Messages that bend a rule as some phones always do, break one, or are built to harm; no SIP at all; the mark of a known scanner. A wrong
 * password; a nonce used again or made up; a user tried that is not there, by who has not authenticated; a device asked for that is
 * not there; an INVITE or OPTIONS after which nothing comes; calls tried to number after number; what strangers are not allowed; a
 * request in a dialog that is not the sender's; a challenge that came from outside; a contact changed to another country, network or
 * device; more contacts than may be; a loop; a flood at one callee. And: a registration, or an answered call, of who has shown his
 * password. */
#define EVIDENCE_KINDS_APPLICATION(X) \
	X(SIP_SLIGHT, "sip_slight", EVIDENCE_APPLICATION, 0, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(SIP_MALFORMED, "sip_malformed", EVIDENCE_APPLICATION, 10, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(SIP_HOSTILE, "sip_hostile", EVIDENCE_APPLICATION, 50, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(SIP_FOREIGN, "sip_foreign", EVIDENCE_APPLICATION, 10, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(SIP_SCANNER, "sip_scanner", EVIDENCE_APPLICATION, 50, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_PASSWORD, "call_password", EVIDENCE_APPLICATION, 10, 21600, SUBJECT_ACCOUNT_AT, true) \
	X(CALL_NONCE, "call_nonce", EVIDENCE_APPLICATION, 10, 21600, SUBJECT_ACCOUNT_AT, true) \
	X(CALL_USER, "call_user", EVIDENCE_APPLICATION, 5, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_DEVICE, "call_device", EVIDENCE_APPLICATION, 5, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_NO_DIALOG, "call_no_dialog", EVIDENCE_APPLICATION, 3, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_SWEEP, "call_sweep", EVIDENCE_APPLICATION, 5, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_FORBIDDEN, "call_forbidden", EVIDENCE_APPLICATION, 2, 3600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_FORGED, "call_forged", EVIDENCE_APPLICATION, 20, 21600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_CHALLENGE, "call_challenge", EVIDENCE_APPLICATION, 50, 86400, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_MOVED, "call_moved", EVIDENCE_APPLICATION, 10, 86400, SUBJECT_ACCOUNT, true) \
	X(CALL_CONTACTS, "call_contacts", EVIDENCE_APPLICATION, 5, 3600, SUBJECT_ACCOUNT_AT, true) \
	X(CALL_LOOP, "call_loop", EVIDENCE_APPLICATION, 5, 600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(CALL_CALLEE, "call_callee", EVIDENCE_APPLICATION, 5, 60, SUBJECT_ADDRESS_OF_RECORD, true) \
	X(GOOD_REGISTRATION, "good_registration", EVIDENCE_APPLICATION, 10, 604800, SUBJECT_ACCOUNT_AT, true) \
	X(GOOD_CALL, "good_call", EVIDENCE_APPLICATION, 10, 604800, SUBJECT_ACCOUNT_AT, true)

/* What media dropped (enum media_drop). A packet whose tag is wrong or that was there before may come from anybody who saw the call, so that
 * FORGED and REPLAYED are about nobody. */
#define EVIDENCE_KINDS_CONTENT(X) \
	X(MEDIA_SOURCE, "media_source", EVIDENCE_CONTENT, 5, 600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(MEDIA_MALFORMED, "media_malformed", EVIDENCE_CONTENT, 10, 600, SUBJECT_CALL, true) \
	X(MEDIA_FORGED, "media_forged", EVIDENCE_CONTENT, 10, 600, SUBJECT_NONE, true) \
	X(MEDIA_REPLAYED, "media_replayed", EVIDENCE_CONTENT, 1, 600, SUBJECT_NONE, true) \
	X(MEDIA_DIRECTION, "media_direction", EVIDENCE_CONTENT, 0, 600, SUBJECT_CALL, true) \
	X(MEDIA_SIZE, "media_size", EVIDENCE_CONTENT, 10, 600, SUBJECT_CALL, true) \
	X(MEDIA_CLEAR, "media_clear", EVIDENCE_CONTENT, 5, 600, SUBJECT_CALL, true) \
	X(MEDIA_REPORT, "media_false_report", EVIDENCE_CONTENT, 2, 600, SUBJECT_CALL, true) \
	X(MEDIA_BYE, "media_bye", EVIDENCE_CONTENT, 0, 600, SUBJECT_CALL, true) \
	X(MEDIA_PART, "media_rtcp_part", EVIDENCE_CONTENT, 0, 600, SUBJECT_CALL, true) \
	X(MEDIA_PAYLOAD, "media_payload_type", EVIDENCE_CONTENT, 2, 600, SUBJECT_CALL, true) \
	X(MEDIA_RATE, "media_rate", EVIDENCE_CONTENT, 5, 600, SUBJECT_CALL, true) \
	X(MEDIA_STUN, "media_stun", EVIDENCE_CONTENT, 2, 600, SUBJECT_TRANSPORT_ADDRESS, true) \
	X(MEDIA_DTLS, "media_dtls", EVIDENCE_CONTENT, 5, 600, SUBJECT_TRANSPORT_ADDRESS, true)

enum evidence_kind {
#define X(kind, name, level, weight, half_life_s, subject, proven) EVIDENCE_##kind,
	EVIDENCE_KINDS(X)
#undef X
		EVIDENCE_KIND_COUNT,
};

struct evidence_row {
	const char *name; /* of the log and of `ringwall status` */
	enum evidence_level level;
	enum evidence_subject subject;
	uint32_t half_life_s;
	uint8_t weight;
	bool only_proven;
};
const struct evidence_row *evidence_row(enum evidence_kind kind); /* `kind` must be valid */

/* "account at a host", "address and port" */
const char *evidence_subject_name(enum evidence_subject subject);

/* One finding, or several alike. Names never stand in it, only keyed hashes of them. */
struct evidence {
	enum evidence_kind kind;
	uint32_t count;
	bool proven; /* the sender has shown that it is at `source`: by an answered request, or by a key */
	struct address source, local; /* ADDRESS_NONE: not known, or many */
	uint64_t session;             /* the call that it is about; 0: none */
	uint64_t connection;          /* the connection that it came over; 0: none, UDP */
	uint64_t account;             /* evidence_hash of whom the sender says that it is; 0: nobody */
	uint64_t target;              /* evidence_hash of whom or what it asked for; 0: nothing */
	uint64_t time_us;             /* monotonic */
};

/* The whole weight; 0 for what must not be held against the source. */
uint32_t evidence_weight(const struct evidence *evidence);

/* A name as it stands in evidence: a keyed hash of the zone's name and the user part, never 0. Whoever has the key can try names, nobody
 * else can. */
uint64_t evidence_hash(const uint8_t key[HASH_KEY_BYTES], struct span zone, struct span user);

/* Where findings go. Zeros at first. One thread. */
struct evidence_sink {
	uint64_t counts[EVIDENCE_KIND_COUNT];
	struct log_limit limits[EVIDENCE_KIND_COUNT];
};
/* Counts, and writes a line of level info, of each kind at most LOG_BURST a minute; of the good kinds, none. An unknown kind is left
 * out. */
void evidence_put(struct evidence_sink *sink, const struct evidence *evidence);

#endif
