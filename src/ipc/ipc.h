/* SPDX-License-Identifier: Apache-2.0
 * Messages between roles: typed, versioned, described by one table, over SOCK_SEQPACKET pairs. The receiver
 * checks everything; a malformed message, or one its sender may not send, ends the channel, never the receiver. */
#ifndef RINGWALL_IPC_IPC_H
#define RINGWALL_IPC_IPC_H

#include "base/address.h"

#define IPC_VERSION 7
#define IPC_MESSAGE_MAXIMUM 8192 /* bytes on the wire */

/* X(enum, name) */
#define IPC_ROLES(X) X(SUPERVISOR, "supervisor") X(GATE, "gate") X(MEDIA, "media") X(STORE, "store") X(SHIELD, "shield")
enum ipc_role {
#define X(id, name) IPC_ROLE_##id,
	IPC_ROLES(X)
#undef X
		IPC_ROLE_COUNT,
};
const char *ipc_role_name(enum ipc_role role);

/* What a FILE message's descriptor (a sealed memory file) holds. */
enum ipc_file_kind {
	IPC_FILE_CONFIGURATION,
	IPC_FILE_CERTIFICATE,
	IPC_FILE_KEY,
	IPC_FILE_AUTHORITIES,
	IPC_FILE_ZONE_AUTHORITIES,  /* "zone length\n" and so many bytes of PEM, for each zone that has its own */
	IPC_FILE_PASSWORDS,         /* of accounts at providers: a line "zone password" for each */
	IPC_FILE_MEDIA_CERTIFICATE, /* that media shows in DTLS, and its key: PEM */
	IPC_FILE_MEDIA_KEY,
	IPC_FILE_COUNT,
};

/* What a DATAPATH message brings of the kernel's datapath (bpf/datapath.h): its two maps; then frames and AF_XDP sockets, each with
 * that many entries in its rings, if there are any. To the shield, its maps: `device` is enum bpf_shield_map. */
enum ipc_datapath_part {
	IPC_DATAPATH_FLOWS,
	IPC_DATAPATH_SITES,
	IPC_DATAPATH_FRAMES,
	IPC_DATAPATH_SOCKET,
	IPC_DATAPATH_SHIELD,
};

/* How an upgrade goes. */
enum ipc_upgrade_progress { IPC_UPGRADE_NONE, IPC_UPGRADE_RUNNING, IPC_UPGRADE_DONE, IPC_UPGRADE_FAILED };

/* clang-format off */
/* Fields: F(kind, name, capacity). Kinds: U8 U16 U32 U64 BOOL (capacity unused, 0), ADDRESS, TEXT (NUL-terminated, capacity with
 * the NUL), BYTES (exactly capacity). On the wire: little-endian, in order, TEXT with a 16-bit length. */
#define IPC_NOTHING(F)
#define IPC_PEER_FIELDS(F) F(U8, role, 0)
#define IPC_FILE_FIELDS(F) F(U32, generation, 0) F(U8, file, 0)
#define IPC_LISTENER_FIELDS(F) \
	F(U32, generation, 0) F(U8, zone, 0) F(U8, listener, 0) F(U8, transport, 0) F(ADDRESS, local, 0)
#define IPC_CONTROL_FIELDS(F) F(U32, generation, 0)
#define IPC_MEMORY_FIELDS(F) F(U32, generation, 0) F(U32, records, 0)
#define IPC_DATAPATH_FIELDS(F) \
	F(U32, generation, 0) F(U8, part, 0) F(U8, device, 0) F(U8, queue, 0) F(U8, worker, 0) F(U32, entries, 0)
#define IPC_DATAPATH_STATE_FIELDS(F) F(TEXT, text, 768)
#define IPC_APPLY_FIELDS(F) F(U32, generation, 0)
#define IPC_READY_FIELDS(F) F(U32, generation, 0)
#define IPC_FAILED_FIELDS(F) F(U32, generation, 0) F(TEXT, reason, 512)
#define IPC_RELOAD_FIELDS(F) F(U64, request, 0)
/* Request 0: whatever waits for the supervisor, which is another one now. */
#define IPC_RELOADED_FIELDS(F) F(U64, request, 0) F(BOOL, done, 0) F(TEXT, text, 4096)

#define IPC_UPGRADE_FIELDS(F) F(U64, request, 0)
#define IPC_UPGRADED_FIELDS(F) F(U64, request, 0) F(BOOL, begun, 0) F(U32, number, 0) F(TEXT, text, 1024)
#define IPC_UPGRADE_STATE_FIELDS(F) F(U32, number, 0) F(U8, state, 0) F(TEXT, text, 1024)

#define IPC_ROLL_OVER_FIELDS(F, name) F(U32, name##_ssrc, 0) F(U64, name##_index, 0)
#define IPC_ROLL_OVERS_FIELDS(F, s) \
	IPC_ROLL_OVER_FIELDS(F, s##_in_0) IPC_ROLL_OVER_FIELDS(F, s##_in_1) IPC_ROLL_OVER_FIELDS(F, s##_in_2) \
		IPC_ROLL_OVER_FIELDS(F, s##_in_3) IPC_ROLL_OVER_FIELDS(F, s##_out_0) IPC_ROLL_OVER_FIELDS(F, s##_out_1) \
			IPC_ROLL_OVER_FIELDS(F, s##_out_2) IPC_ROLL_OVER_FIELDS(F, s##_out_3)
#define IPC_SIDE_FIELDS(F, s) \
	F(ADDRESS, s##_local, 0) \
	F(ADDRESS, s##_peer_rtp, 0) F(ADDRESS, s##_peer_rtcp, 0) F(ADDRESS, s##_learn_from, 0) F(U8, s##_suite_in, 0) \
		F(U8, s##_suite_out, 0) F(BYTES, s##_key_in, 46) F(BYTES, s##_key_out, 46) F(BOOL, s##_may_send, 0) \
			F(ADDRESS, s##_locked, 0) F(BOOL, s##_rtcp_mux, 0) F(TEXT, s##_ice_ufrag, 16) \
				F(TEXT, s##_ice_password, 32) F(U8, s##_dtls_handshake, 0) F(U8, s##_dtls_hash, 0) \
					F(BYTES, s##_dtls_fingerprint, 64) F(BYTES, s##_dtls_suites, 4) \
						F(U32, s##_dtls_association, 0) IPC_ROLL_OVERS_FIELDS(F, s)
#define IPC_STREAM_SET_FIELDS(F) \
	F(U64, session, 0) \
	F(U8, index, 0) F(U8, kind, 0) F(BOOL, end_to_end, 0) F(U32, silence_timeout_ms, 0) F(BYTES, payload_types, 16) \
		F(U32, packets_per_s, 0) F(U32, kbps, 0) F(U32, packet_bytes, 0) \
			F(BYTES, clocks, 128) IPC_SIDE_FIELDS(F, a) IPC_SIDE_FIELDS(F, b)
#define IPC_STREAM_CLOSE_FIELDS(F) F(U64, session, 0) F(U8, index, 0)
/* Before and after a gate declares all it has: what was there and was not declared is closed. */
#define IPC_SESSIONS_DECLARE_FIELDS(F) F(BOOL, done, 0)
#define IPC_SESSION_CLOSE_FIELDS(F) F(U64, session, 0)
#define IPC_SESSION_EVENT_FIELDS(F) \
	F(U64, session, 0) F(U8, kind, 0) F(U8, stream, 0) F(U8, side, 0) F(ADDRESS, peer, 0) F(BOOL, outward, 0) \
		F(U32, ssrc, 0) F(U64, packet_index, 0) F(U8, failure, 0)
/* MEDIA_KEYED */
#define IPC_KEYED_FIELDS(F) \
	F(U64, session, 0) F(U8, stream, 0) F(U8, side, 0) F(U32, association, 0) F(U8, suite, 0) F(BYTES, key_in, 46) F(BYTES, key_out, 46)
#define IPC_COUNTERS_GET_FIELDS(F) F(U64, request, 0) F(U64, session, 0) F(U8, index, 0)
#define IPC_COUNTERS_FIELDS(F) \
	F(U64, request, 0) \
	F(U64, session, 0) F(U8, index, 0) F(BOOL, found, 0) F(U64, a_packets_in, 0) F(U64, a_packets_out, 0) \
		F(U64, a_lost, 0) F(U32, a_jitter_us, 0) F(U32, a_round_trip_us, 0) F(U64, a_dropped, 0) F(U64, b_packets_in, 0) \
			F(U64, b_packets_out, 0) F(U64, b_lost, 0) F(U32, b_jitter_us, 0) F(U32, b_round_trip_us, 0) F(U64, b_dropped, 0)

/* A finding: struct evidence without its time. */
#define IPC_EVIDENCE_FIELDS(F) \
	F(U16, kind, 0) \
	F(U32, count, 0) F(BOOL, proven, 0) F(ADDRESS, source, 0) F(ADDRESS, local, 0) F(U64, session, 0) \
	F(U64, connection, 0) F(U64, account, 0) F(U64, target, 0)

#define IPC_BINDING_FIELDS(F) \
	F(TEXT, token, 32) \
	F(TEXT, zone, 64) F(TEXT, account, 256) F(TEXT, contact, 1024) F(TEXT, call_id, 256) F(U32, cseq, 0) \
		F(TEXT, registrar_contact, 256) F(U8, transport, 0) F(ADDRESS, local, 0) F(ADDRESS, remote, 0) \
			F(U64, expires_at_s, 0) F(U64, registrar_expires_at_s, 0) F(TEXT, user_agent, 128) \
				F(TEXT, instance, 128) F(U32, reg_id, 0) F(TEXT, path, 512) \
					F(TEXT, service_route, 512) F(TEXT, gruu, 256)
#define IPC_BINDING_REMOVE_FIELDS(F) F(TEXT, token, 32)
#define IPC_ACCOUNT_FIELDS(F) \
	F(U64, request, 0) \
	F(TEXT, user, 128) F(TEXT, realm, 128) F(TEXT, ha1_md5, 65) F(TEXT, ha1_sha256, 65) F(U64, created_at_s, 0)
#define IPC_ACCOUNT_REMOVE_FIELDS(F) F(U64, request, 0) F(TEXT, user, 128)
#define IPC_STORED_FIELDS(F) F(U64, request, 0) F(U32, error, 0)
/* Bindings are counted from AGAIN on: so many of them are on the disk; or why not, and then none is taken until AGAIN. */
#define IPC_AGAIN_FIELDS(F) F(U32, epoch, 0)
#define IPC_STORE_STATE_FIELDS(F) F(U32, epoch, 0) F(U64, stored, 0) F(U32, error, 0)


/* Blocks, as in shield/shield.h. `seconds`: how long from now; 0: for good. Times are answered as how long ago and how long still. */
#define IPC_BLOCK_FIELDS(F) \
	F(U64, request, 0) \
	F(ADDRESS, address, 0) F(U8, bits, 0) F(BOOL, by_hand, 0) F(U32, seconds, 0) F(TEXT, reason, 96)
#define IPC_UNBLOCK_FIELDS(F) F(U64, request, 0) F(ADDRESS, address, 0) F(U8, bits, 0)
#define IPC_BLOCKS_GET_FIELDS(F) F(U64, request, 0)
/* To BLOCKS_GET: one for each block, then BLOCK_DONE. `hits` are packets dropped; `hit_s` how long ago the last, ~0: none yet. */
#define IPC_BLOCKED_FIELDS(F) \
	F(U64, request, 0) \
	F(ADDRESS, address, 0) F(U8, bits, 0) F(BOOL, by_hand, 0) F(BOOL, for_good, 0) F(U32, since_s, 0) F(U32, left_s, 0) \
		F(U64, hits, 0) F(U32, hit_s, 0) F(TEXT, reason, 96)
/* The answer to a request: 0, or the error (-error of shield/shield.h) and what it means. */
#define IPC_BLOCK_DONE_FIELDS(F) F(U64, request, 0) F(U32, error, 0) F(TEXT, text, 128)
/* Who is blocked and still sends: so many packets since the last time. */
#define IPC_BLOCK_HIT_FIELDS(F) F(ADDRESS, address, 0) F(U8, bits, 0) F(U64, packets, 0)
/* Who has shown that it is at its address (port 0: with whatever port), for so long; 0: has not any more. */
#define IPC_PROVEN_FIELDS(F) F(ADDRESS, source, 0) F(U32, seconds, 0)
/* Packets a second and at once, in the kernel; 0: no limit. `kind` is enum shield_rate_kind. */
#define IPC_SHIELD_RATE_FIELDS(F) F(U8, kind, 0) F(U32, per_second, 0) F(U32, burst, 0)
/* Whom to never block, beside the peers: `first` begins the list anew, and it is in force with `last`. */
#define IPC_NEVER_FIELDS(F) F(BOOL, first, 0) F(BOOL, last, 0) F(ADDRESS, address, 0) F(U8, bits, 0)
#define IPC_SHIELD_STATE_FIELDS(F) F(TEXT, backend, 16) F(TEXT, reason, 768) F(U32, blocks, 0) F(U32, maximum, 0)

/* clang-format on */
#define IPC_FROM(role) (1u << IPC_ROLE_##role)

/* X(enum, struct name, fields, may be sent by, carries a descriptor). */
#define IPC_MESSAGES(X) \
	X(PEER, peer, IPC_PEER_FIELDS, IPC_FROM(SUPERVISOR), true) \
	X(FILE, file, IPC_FILE_FIELDS, IPC_FROM(SUPERVISOR), true) \
	X(LISTENER, listener, IPC_LISTENER_FIELDS, IPC_FROM(SUPERVISOR), true) \
	X(CONTROL, control, IPC_CONTROL_FIELDS, IPC_FROM(SUPERVISOR), true) \
	X(MEMORY, memory, IPC_MEMORY_FIELDS, IPC_FROM(SUPERVISOR), true) \
	X(APPLY, apply, IPC_APPLY_FIELDS, IPC_FROM(SUPERVISOR), false) \
	X(STOP, stop, IPC_NOTHING, IPC_FROM(SUPERVISOR), false) \
	X(READY, ready, IPC_READY_FIELDS, IPC_FROM(GATE) | IPC_FROM(MEDIA) | IPC_FROM(STORE) | IPC_FROM(SHIELD), \
	  false) \
	X(FAILED, failed, IPC_FAILED_FIELDS, IPC_FROM(GATE) | IPC_FROM(MEDIA) | IPC_FROM(STORE) | IPC_FROM(SHIELD), \
	  false) \
	X(RELOAD, reload, IPC_RELOAD_FIELDS, IPC_FROM(GATE), false) \
	X(RELOADED, reloaded, IPC_RELOADED_FIELDS, IPC_FROM(SUPERVISOR), false) \
	X(UPGRADE, upgrade, IPC_UPGRADE_FIELDS, IPC_FROM(GATE), false) \
	X(UPGRADED, upgraded, IPC_UPGRADED_FIELDS, IPC_FROM(SUPERVISOR), false) \
	X(UPGRADE_STATE, upgrade_state, IPC_UPGRADE_STATE_FIELDS, IPC_FROM(SUPERVISOR), false) \
	X(STREAM_SET, stream_set, IPC_STREAM_SET_FIELDS, IPC_FROM(GATE), false) \
	X(STREAM_CLOSE, stream_close, IPC_STREAM_CLOSE_FIELDS, IPC_FROM(GATE), false) \
	X(SESSION_CLOSE, session_close, IPC_SESSION_CLOSE_FIELDS, IPC_FROM(GATE), false) \
	X(SESSIONS_DECLARE, sessions_declare, IPC_SESSIONS_DECLARE_FIELDS, IPC_FROM(GATE), false) \
	X(SESSION_EVENT, session_event, IPC_SESSION_EVENT_FIELDS, IPC_FROM(MEDIA), false) \
	X(KEYED, keyed, IPC_KEYED_FIELDS, IPC_FROM(MEDIA), false) \
	X(COUNTERS_GET, counters_get, IPC_COUNTERS_GET_FIELDS, IPC_FROM(GATE), false) \
	X(COUNTERS, counters, IPC_COUNTERS_FIELDS, IPC_FROM(MEDIA), false) \
	X(EVIDENCE, evidence, IPC_EVIDENCE_FIELDS, IPC_FROM(MEDIA) | IPC_FROM(GATE), false) \
	X(LOAD, load, IPC_NOTHING, IPC_FROM(GATE), false) \
	X(LOADED, loaded, IPC_NOTHING, IPC_FROM(STORE), false) \
	X(BINDING, binding, IPC_BINDING_FIELDS, IPC_FROM(GATE) | IPC_FROM(STORE), false) \
	X(BINDING_REMOVE, binding_remove, IPC_BINDING_REMOVE_FIELDS, IPC_FROM(GATE), false) \
	X(ACCOUNT, account, IPC_ACCOUNT_FIELDS, IPC_FROM(GATE) | IPC_FROM(STORE), false) \
	X(ACCOUNT_REMOVE, account_remove, IPC_ACCOUNT_REMOVE_FIELDS, IPC_FROM(GATE), false) \
	X(STORED, stored, IPC_STORED_FIELDS, IPC_FROM(STORE), false) \
	X(AGAIN, again, IPC_AGAIN_FIELDS, IPC_FROM(GATE), false) \
	X(STORE_STATE, store_state, IPC_STORE_STATE_FIELDS, IPC_FROM(STORE), false) \
	X(DATAPATH, datapath, IPC_DATAPATH_FIELDS, IPC_FROM(SUPERVISOR), true) \
	X(DATAPATH_STATE, datapath_state, IPC_DATAPATH_STATE_FIELDS, IPC_FROM(SUPERVISOR), false) \
	X(BLOCK, block, IPC_BLOCK_FIELDS, IPC_FROM(GATE), false) \
	X(UNBLOCK, unblock, IPC_UNBLOCK_FIELDS, IPC_FROM(GATE), false) \
	X(BLOCKS_GET, blocks_get, IPC_BLOCKS_GET_FIELDS, IPC_FROM(GATE), false) \
	X(BLOCKED, blocked, IPC_BLOCKED_FIELDS, IPC_FROM(SHIELD), false) \
	X(BLOCK_DONE, block_done, IPC_BLOCK_DONE_FIELDS, IPC_FROM(SHIELD), false) \
	X(BLOCK_HIT, block_hit, IPC_BLOCK_HIT_FIELDS, IPC_FROM(SHIELD), false) \
	X(PROVEN, proven, IPC_PROVEN_FIELDS, IPC_FROM(GATE), false) \
	X(SHIELD_RATE, shield_rate, IPC_SHIELD_RATE_FIELDS, IPC_FROM(GATE), false) \
	X(NEVER, never, IPC_NEVER_FIELDS, IPC_FROM(GATE), false) \
	X(SHIELD_STATE, shield_state, IPC_SHIELD_STATE_FIELDS, IPC_FROM(SHIELD), false)

enum ipc_type {
#define X(id, name, fields, from, descriptor) IPC_##id,
	IPC_MESSAGES(X)
#undef X
		IPC_TYPE_COUNT,
};

#define IPC_MEMBER_U8(name, capacity) uint8_t name;
#define IPC_MEMBER_U16(name, capacity) uint16_t name;
#define IPC_MEMBER_U32(name, capacity) uint32_t name;
#define IPC_MEMBER_U64(name, capacity) uint64_t name;
#define IPC_MEMBER_BOOL(name, capacity) bool name;
#define IPC_MEMBER_ADDRESS(name, capacity) struct address name;
#define IPC_MEMBER_TEXT(name, capacity) char name[capacity];
#define IPC_MEMBER_BYTES(name, capacity) uint8_t name[capacity];
#define IPC_MEMBER(kind, name, capacity) IPC_MEMBER_##kind(name, capacity)
#define X(id, name, fields, from, descriptor) \
	struct ipc_##name { \
		fields(IPC_MEMBER) \
	};
IPC_MESSAGES(X)
#undef X

/* A decoded message. */
struct ipc_message {
	enum ipc_type type;
	int descriptor; /* -1 when it carries none; the receiver owns it */
	union {
#define X(id, name, fields, from, descriptor) struct ipc_##name name;
		IPC_MESSAGES(X)
#undef X
	};
};

const char *ipc_type_name(enum ipc_type type);

/* To and from the wire, for tests and fuzzing; channels use them. encode: bytes written, or -EINVAL (a TEXT without its NUL),
 * -ENOSPC. decode: 0, or -EPROTO for anything wrong (version, type, sender, length, text with NUL inside, trailing bytes). */
ptrdiff_t ipc_encode(const struct ipc_message *message, uint8_t *out, size_t capacity);
int ipc_decode(const uint8_t *bytes, size_t length, enum ipc_role sender, struct ipc_message *message);

struct event_base;
struct ipc_channel;

struct ipc_callbacks {
	/* `message` is the callee's during the call only, but for its descriptor. */
	void (*message)(void *context, struct ipc_channel *channel, struct ipc_message *message);
	/* The other end is gone or misbehaved (already logged). The callee frees the channel, now or later. */
	void (*closed)(void *context, struct ipc_channel *channel);
	void *context;
};

/* Takes over `descriptor` (one end of ipc_pair). `peer` is who is at the other end: only its message types are accepted.
 * NULL when memory is short (descriptor closed). */
struct ipc_channel *ipc_channel_new(struct event_base *loop, int descriptor, enum ipc_role peer,
				    const struct ipc_callbacks *callbacks);
void ipc_channel_free(struct ipc_channel *channel); /* NULL is allowed; sends what can be sent without waiting */
int ipc_channel_descriptor(const struct ipc_channel *channel); /* stays the channel's */
enum ipc_role ipc_channel_peer(const struct ipc_channel *channel);

/* Sends in order; queues up to 16 MiB when the other end is slow. A descriptor in the message stays the caller's (it is duplicated).
 * Secrets in the queue are wiped once sent. Returns 0; -ENOBUFS (queue full), -EPIPE, -EINVAL. The caller decides what that means. */
int ipc_send(struct ipc_channel *channel, const struct ipc_message *message);
/* The same, within 20 ms or before the next message that is sent: the other end wakes up once for several. */
int ipc_send_soon(struct ipc_channel *channel, const struct ipc_message *message);

/* Waits until everything queued is sent, at most timeout_ms: for who streams more than the queue holds and has nothing else
 * to do meanwhile. Returns 0, -ETIMEDOUT or -EPIPE. */
int ipc_drain(struct ipc_channel *channel, uint32_t timeout_ms);

/* A connected SOCK_SEQPACKET pair, close-on-exec. Returns 0 or a negative errno. */
int ipc_pair(int descriptors[2]);

/* A sealed memory file with these bytes. Returns the descriptor or a negative errno. */
int ipc_file_make(const char *name, struct span bytes);
/* Reads one whole (at most `maximum` bytes); closes the descriptor. Freed by the caller with memory_free_secret(*out, *length + 1);
 * NUL-terminated. Returns 0 or a negative errno. */
int ipc_file_read(int descriptor, size_t maximum, char **out, size_t *length);

#endif
