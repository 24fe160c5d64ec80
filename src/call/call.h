/* SPDX-License-Identifier: Apache-2.0
 * Calls: the back-to-back user agent (RFC 7092) that joins two dialogs and their media, relays registrations, applies the zones'
 * policy and hides each side from the other. Single-threaded; keeps no file and opens no socket of its own beyond the
 * transport layer's: media and store are reached through callbacks. */
#ifndef RINGWALL_CALL_CALL_H
#define RINGWALL_CALL_CALL_H

#include "base/checkpoint.h"
#include "base/evidence.h"
#include "config/config.h"
#include "ipc/ipc.h"
#include "media/media.h"
#include "transport/transport.h"

struct gateway;
struct gateway_call_view;

/* Names as in struct evidence; 0: nobody is named yet. */
struct gateway_question {
	const struct flow *flow;
	uint64_t account, target;
	bool proven;
	bool is_request; /* a whole one: whoever is slowed may make so many */
};

struct gateway_callbacks {
	/* To the media process. `stream` holds keys: the callee wipes its copies. */
	void (*stream_set)(void *context, const struct media_stream *stream);
	void (*stream_close)(void *context, uint64_t session, uint8_t index);
	void (*session_close)(void *context, uint64_t session);
	/* To the store. */
	void (*binding_save)(void *context, const struct ipc_binding *binding);
	void (*binding_remove)(void *context, const char *token);
	/* After gateway_stop: the last call has ended. */
	void (*stopped)(void *context);
	/* An answered call ends, and its media session is closed next; `how` in plain words. NULL: nobody wants to know. */
	void (*call_ended)(void *context, const struct gateway_call_view *view, const char *how);
	/* What is seen of who comes from an access zone, with names hashed by `evidence_key`; and what is done about one who asks. Both NULL:
	 * nobody wants to know, and nothing is done. */
	void (*evidence)(void *context, const struct evidence *evidence);
	enum protection_action (*judge)(void *context, const struct gateway_question *question);
	uint8_t evidence_key[HASH_KEY_BYTES];
	void *context;
};

/* NULL when memory is short. The loop outlives the gateway. The gateway refers to it until
 * gateway_configure replaces it. */
struct gateway *gateway_new(struct event_base *loop, const struct config *config,
			    const struct gateway_callbacks *callbacks, struct random_source random);
void gateway_free(struct gateway *gateway); /* NULL is allowed */

/* Takes up the calls and dialogs that a gateway of before left in `area`, and keeps its own there from now on. Once, when the
 * listeners are there and before any message is taken. The area outlives the gateway. What cannot be read (another version, a
 * zone that is gone, no memory) is removed and counted. */
void gateway_recover(struct gateway *gateway, struct checkpoint_area *area);

/* The passwords of the accounts at providers, as lines "zone password"; trunks register from then on. After gateway_new and
 * after each gateway_configure; an account that is as before goes on. The text is the caller's, to be wiped. */
void gateway_passwords_set(struct gateway *gateway, struct span passwords);

/* The SHA-256 fingerprint (RFC 8122) of the certificate that media shows, for calls from now on; without one there is no DTLS-SRTP. */
void gateway_fingerprint_set(struct gateway *gateway, const uint8_t fingerprint[32]);

/* For listeners and TLS, which the role sets. */
struct net *gateway_net(struct gateway *gateway);

/* Takes a new snapshot; calls and bindings of zones that are still there by name go on with it. */
void gateway_configure(struct gateway *gateway, const struct config *config);

/* What media and store say. */
void gateway_media_event(struct gateway *gateway, const struct media_event *event);
/* The media process is a new one: every call's streams are declared again. */
void gateway_media_back(struct gateway *gateway);
void gateway_binding_loaded(struct gateway *gateway, const struct ipc_binding *binding);
void gateway_account_set(struct gateway *gateway, const struct ipc_account *account);
void gateway_account_remove(struct gateway *gateway, const char *user);
/* Before this, REGISTER is answered 503 with Retry-After: what is known on disk is not loaded yet. */
void gateway_loaded(struct gateway *gateway);

/* Ends all calls with BYE, CANCEL or 503, refuses new ones, and says `stopped` (within 4 s at the latest). */
void gateway_stop(struct gateway *gateway);

/* Ends one call by its id (of `ringwall calls`). Returns 0 or -ENOENT. */
int gateway_hangup(struct gateway *gateway, uint64_t call);

/* For the commands: each visits in no order. Texts are valid during the visit. */
struct gateway_call_leg {
	const char *zone, *user, *codec; /* codec: of the first active stream, or "" */
	const char *encryption; /* suite name, "none", "end to end", "under way" (DTLS), or "" before an answer */
	const char *keying;     /* "sdes", "dtls", "" */
	const char *transport;
	struct address peer;
};
struct gateway_call_view {
	uint64_t id;
	const char *state;   /* "calling", "ringing", "established", "ending" */
	uint32_t duration_s; /* since answered */
	uint8_t stream_count;
	/* The account that is charged (THREATS S13), or "": nobody behind this gateway. Of a call from a phone its account, or whoever
	 * sent it to where it goes by a transfer or a redirect; of one from the PBX whom that names, in Referred-By or else as
	 * caller; of one from a trunk nobody, until a phone redirects it. */
	const char *payer;
	struct gateway_call_leg legs[2]; /* caller's, callee's */
};
void gateway_calls_each(struct gateway *gateway, void (*visit)(void *context, const struct gateway_call_view *view),
			void *context);

struct gateway_binding_view {
	const char *account, *zone, *contact, *transport, *user_agent;
	struct address remote;
	uint32_t expires_s; /* from now */
	bool reachable;
};
void gateway_bindings_each(struct gateway *gateway,
			   void (*visit)(void *context, const struct gateway_binding_view *view), void *context);

void gateway_accounts_each(struct gateway *gateway, void (*visit)(void *context, const struct ipc_account *account),
			   void *context);

/* The gateway's own accounts at providers, one for each zone with `register`. */
struct gateway_trunk_view {
	const char *zone, *user;
	const char *state;     /* "starting", "registered", "not registered" */
	const char *failure;   /* of the last attempt, in plain words; "": none */
	uint32_t registered_s; /* since when */
	uint32_t expires_s;    /* from now; 0: not registered */
	uint32_t next_s;       /* until the next attempt */
};
void gateway_trunks_each(struct gateway *gateway, void (*visit)(void *context, const struct gateway_trunk_view *view),
			 void *context);

/* The servers of peers: where DNS says they are, and whether they answer. */
struct gateway_peer_view {
	const char *zone, *peer; /* as configured */
	struct address address;  /* family NONE: its name has not been found yet */
	const char *transport;
	const char *state;  /* "up", "down", "busy", "unknown", "gone" (DNS does not name it any more), "unresolved" */
	const char *reason; /* "": none */
	uint32_t since_s;
	uint32_t round_trip_us; /* of the last OPTIONS; 0: none was answered */
};
void gateway_peers_each(struct gateway *gateway, void (*visit)(void *context, const struct gateway_peer_view *view),
			void *context);

/* X(name, help): counters of the gateway, for status. */
#define GATEWAY_COUNTERS(X) \
	X(calls_started, "INVITEs that were routed and not challenged") \
	X(calls_answered, "calls that were answered") \
	X(calls_failed, "calls that ended before an answer, other than cancelled ones") \
	X(calls_refused_full, "calls refused because a table was full") \
	X(calls_refused_overload, "new calls refused because the gateway is overloaded") \
	X(calls_refused_policy, "requests that policy or routes forbid (403)") \
	X(refused_malformed, "requests that are malformed (400, 414)") \
	X(refused_not_found, "requests to whom nobody knows (404, 416)") \
	X(refused_unreachable, "requests to whom is not reachable now (480)") \
	X(refused_method, "methods that are not served (405, 501)") \
	X(refused_accept, "INVITEs that take no session description (406)") \
	X(refused_body, "bodies of types or encodings that are not served (415)") \
	X(refused_extension, "requests that require unknown extensions (420)") \
	X(refused_interval, "session intervals that are too short (422)") \
	X(refused_no_dialog, "requests in dialogs that are none or no more (481)") \
	X(refused_loop, "requests that came in a circle or too far (482, 483)") \
	X(refused_offer, "session descriptions that cannot be carried (488)") \
	X(refused_pending, "requests out of order or while another is pending (491, 500)") \
	X(refused_busy, "requests refused for lack of room or time (503)") \
	X(calls_refused_encryption, "calls refused because a zone requires encryption (M1)") \
	X(failovers, "requests that were sent to another server, because the first did not serve them") \
	X(calls_ended_keys, \
	  "calls ended because DTLS-SRTP came to no keys: a certificate that was not signalled, or no handshake") \
	X(calls_silent, "calls ended after media silence") \
	X(reinvites_given_up, "re-INVITEs that were never finally answered; their calls went on") \
	X(calls_expired, "calls ended because their session was not refreshed (RFC 4028)") \
	X(registrations_relayed, "REGISTERs relayed to the registrar") \
	X(registrations_refreshed, "REGISTERs answered from an existing binding") \
	X(registrations_refused, "REGISTERs refused") \
	X(registrations_deferred, "REGISTERs told to come again later (limits.registrations_per_second)") \
	X(subscriptions_started, "SUBSCRIBEs that were routed") \
	X(subscriptions_refused, "event packages that nobody may use like that, and subscriptions over the limit") \
	X(publications_relayed, "PUBLISHs that were routed") \
	X(notifications_unsolicited, "NOTIFYs of the PBX without a subscription, routed to a phone") \
	X(bodies_refused, "bodies that are malformed or of a type that may not cross") \
	X(challenges_sent, "challenges sent by local authentication") \
	X(trunk_challenges_answered, "challenges of providers that were answered") \
	X(trunk_challenges_refused, "challenges that were not: another realm, too many, too weak") \
	X(trunk_registrations_failed, "registrations at providers that failed") \
	X(authentication_failed, "wrong credentials") \
	X(transfers_passed, "REFERs that crossed") \
	X(transfers_refused, "REFERs, Replaces and Joins refused (S5)") \
	X(redirects_followed, "calls sent on after a 3xx") \
	X(redirects_passed, "3xx whose new address was told to the caller") \
	X(redirects_refused, "3xx that were answered 480") \
	X(dialog_strangers, "in-dialog requests from a foreign source or without a dialog (S5, S6)") \
	X(messages_blocked, "messages and connections of blocked sources that the kernel let through") \
	X(scanners_left, "requests that bear a scanner's mark: left without an answer (S1)") \
	X(requests_stopped, "requests refused, or paced, for what was seen of their source or account (F4)") \
	X(sources_refused, "messages from sources that are no peer of their zone (N7)") \
	X(answers_withheld, "answers that UDP sources did not get, having sent too little themselves (N4)") \
	X(checkpoints_loaded, "calls and dialogs taken over from a process that died") \
	X(checkpoints_unusable, "checkpoints that could not be read, so that their calls ended") \
	X(checkpoints_refused, "checkpoints that did not fit, so that their calls would end with the process") \
	X(headers_dropped, "headers that policy kept from crossing (S16)")
struct gateway_counters {
#define X(name, help) uint64_t name;
	GATEWAY_COUNTERS(X)
#undef X
};
struct gateway_status {
	struct gateway_counters counters;
	uint32_t calls, bindings, subscriptions, accounts, transactions, connections;
	const uint64_t *rejects; /* SIP_REJECT_COUNT numbers */
};
void gateway_status_get(struct gateway *gateway, struct gateway_status *out);

#endif
