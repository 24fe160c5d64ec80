/* SPDX-License-Identifier: Apache-2.0
 * Private: the things that the call module knows, and how they hang together. A call has two legs, each a dialog of its own; a
 * relay ties a request that came in on one leg to the one sent on the other. */
#ifndef RINGWALL_CALL_MODEL_H
#define RINGWALL_CALL_MODEL_H

#include <event2/event.h>

#include "base/list.h"
#include "base/table.h"
#include "call/admission.h"
#include "call/body.h"
#include "call/call.h"
#include "call/overload.h"
#include <errno.h>
#include <string.h>

#include "sdp/sdp.h"

#define TAG_LENGTH 20         /* of our tags, tokens and Call-IDs: 103 bits of chance (THREATS S6) */
#define PROOF_LIFETIME_S 3600 /* of an address that returned what was sent to it (THREATS N4) */
#define FORKS_MAXIMUM 12      /* early dialogs of one call */
#define FORKS_FINAL 4         /* beyond them, for those who answer */
#define REDIRECTS_MAXIMUM 5   /* of one call */
#define CALLER 0
#define CALLEE 1
#define MESSAGE_LONGEST 65507 /* that we make of what others say: a datagram holds no more */
#define MESSAGE_CAPACITY \
	131072 /* an answer carries what its request did, and more: each must fit, or it is never answered */

struct port_pool;
struct port_pools;

/* ---- Sessions: offer and answer between the legs, and what media is told ---- */

/* The description a leg was sent last, offer or answer: what a refresh by INVITE says again. May hold keys. */
struct described {
	char *bytes;
	size_t length;
};

#define OFFERED_SUITES_MAXIMUM 6

/* How the keys of a leg's media are agreed on, and how its peer is reached. */
struct keying {
	struct media_dtls dtls; /* handshake NONE: keys by SDES, or none at all, or the peers' own */
	struct media_ice ice;   /* ours; empty: no ICE */
	uint64_t peer_ice;      /* a hash of the peer's: another is a restart (RFC 8445 section 9) */
	bool rtcp_mux;
};

/* One m-line of an offer under way. */
struct exchange_stream {
	bool usable; /* we can carry it */
	uint8_t kind;
	enum sdp_protocol offered;
	struct sdp_crypto chosen; /* the offerer's line we take; suite none: plain RTP */
	uint8_t key_to_offerer[SDP_KEY_MAXIMUM];
	struct sdp_crypto ours[OFFERED_SUITES_MAXIMUM]; /* lines offered to the answerer */
	uint8_t our_count;
	struct keying taken;    /* toward the offerer, when it is answered */
	struct keying proposed; /* to the answerer; dtls.handshake AWAIT: DTLS is offered */
	bool end_to_end;        /* it is, with the offerer's own certificate */
	struct address peer, peer_rtcp;
	uint16_t peer_port;
	enum sdp_direction direction;
	struct media_budget budget; /* offered */
};

/* An offer that waits for its answer. */
struct exchange {
	uint8_t offerer, stream_count;
	bool answered;
	struct described offered; /* as it went to who answers; in force once it is answered */
	struct exchange_stream streams[];
};

/* What media learned of a leg, which a media process that takes another's place must know to go on. */
struct learned {
	struct address locked; /* the peer behind NAT; none: nothing was learned */
	struct srtp_roll_over in[SRTP_ROLL_OVERS_MAXIMUM], out[SRTP_ROLL_OVERS_MAXIMUM]; /* heard of last: first */
};

struct session_stream {
	bool active;  /* both sides accepted it */
	uint8_t kind; /* enum media_kind */
	struct port_pool *pools[2];
	uint16_t ports[2];      /* ours, by leg; 0: none yet. The call's own streams own them, those of forks borrow */
	uint16_t peer_ports[2]; /* as signalled; 0: refused by that leg */
	struct address peers[2], peers_rtcp[2];
	uint8_t directions[2]; /* enum sdp_direction, as that leg said */
	uint8_t suites[2];     /* in force toward that leg */
	uint8_t keys_in[2][SDP_KEY_MAXIMUM],
		keys_out[2][SDP_KEY_MAXIMUM]; /* with DTLS: as media told, suite none before */
	struct keying keyings[2];
	bool end_to_end; /* the keys are the peers' own */
	struct learned learned[2];
	char codec[24];
	struct media_budget budget;  /* what media lets pass: agreed, and what was offered or agreed a moment before */
	struct media_budget agreed;  /* by the last answer; zeros: none came */
	uint8_t clocks[MEDIA_TYPES]; /* as in struct media_stream */
};

/* Each early dialog has one of its own (RFC 3261 section 13.2.2.4), which begins as a copy of what the INVITE offered. When one
 * is answered its session becomes the call's. */
struct session {
	struct session_stream *streams;
	uint8_t stream_count;
	uint64_t origin_ids[2], versions[2]; /* of the descriptions we send to each leg */
	struct described described[2];
	struct exchange *exchange;
	uint32_t exchanges; /* begun so far: the number of the current one */
};

/* ---- Legs, forks, relays, calls ---- */

struct leg {
	uint8_t zone;
	bool secure_uri;  /* the dialog was begun with a sips URI: our Contact is one too */
	struct flow flow; /* where requests to this peer go */
	char *call_id;
	char *local_uri, *remote_uri;   /* name-addr of us and of the peer, without tags */
	char *remote_tag;               /* caller's leg only; the callee's is the fork's */
	char *target, *routes;          /* caller's leg only: remote target, route set as a Route value or NULL */
	char *account;                  /* registered or authenticated user, or NULL */
	char token[TAG_LENGTH + 1];     /* of the binding it is reached by, or "": then it is no registered phone */
	uint64_t instance;              /* hash of its +sip.instance; 0: it has none (flows.c) */
	char local_tag[TAG_LENGTH + 1]; /* callee's leg only; toward the caller it is the fork's */
	uint32_t cseq;                  /* last one we used */
};

/* How a dialog is found: by the tag we gave it. */
struct dialog_key {
	struct table_link link; /* in gateway->dialogs */
	const char *tag;
	struct call *call; /* NULL: of a subscription */
	struct fork *fork; /* NULL: the callee's leg, whose forks differ by the callee's tag */
	struct subscription *subscription;
};

/* One dialog of the callee's side, early or confirmed, with the tag the caller knows it by. */
struct fork {
	struct dialog_key key;
	struct call *call;
	struct fork *next;
	char caller_tag[TAG_LENGTH + 1];
	char *callee_tag, *target, *routes;
	uint32_t next_cseq[2]; /* the lowest that a request from each leg may have */
	bool ended;            /* a 2xx that was not wanted: its BYE is sent */
	uint32_t rseq;         /* of the last reliable provisional response (RFC 3262), which may come again */
	char *provisional;     /* its bytes as they went back */
	size_t provisional_length;
	struct session *session; /* before the answer, once it has described something; else NULL */
	uint32_t exchange;       /* of the offer that the call's INVITE or this fork's response to it began; 0: none */
};

/* The session timer of a leg (RFC 4028), on which each peer agrees with the gateway alone. */
struct refresh {
	uint32_t interval_s; /* agreed; 0: none */
	uint32_t least_s;    /* that a 422 demanded; 0: no more than the RFC */
	bool ours;           /* the gateway refreshes, not the peer */
	bool by_update;      /* the peer takes UPDATE */
	uint8_t tries;       /* of refreshes that came to nothing */
	uint8_t demands;     /* of longer intervals, that were met */
	struct timer timer;
};

/* The result of a REFER that was passed on, while it is still told: the subscription it made, within the call's dialog
 * (RFC 3515 section 2.4.4, RFC 5057). */
#define REFERS_OF_CALL 4    /* beyond them the oldest is forgotten */
#define TRANSFERS_OF_CALL 4 /* the same of tokens that are not used yet */
struct refer {
	struct refer *next;
	uint8_t from;     /* leg of who referred */
	uint32_t cseq[2]; /* of the REFER, by leg: the id in "Event: refer;id=" */
};

enum call_state { CALL_CALLING, CALL_RINGING, CALL_ESTABLISHED, CALL_ENDING };

struct call {
	struct table_link by_id;
	struct dialog_key callee_key;
	struct list in_all;
	struct list relays;
	struct gateway *gateway;
	uint64_t id; /* of the call and of its media session */
	enum call_state state;
	uint64_t answered_us;
	struct leg legs[2];
	uint16_t waiting[2]; /* requests from each leg that are not answered yet */
	struct fork *forks;
	uint8_t fork_count;
	uint32_t caller_cseq; /* of its INVITE */
	struct fork *dialog;  /* the one that was answered */
	struct fork *early;   /* before that: whose media plays, which is the last that sent an answer; or NULL */
	struct session session;
	struct refresh refreshes[2]; /* by leg */
	char *payer;          /* the account that is charged (THREATS S13): call.h; NULL: nobody behind this gateway */
	struct refer *refers; /* the newest first; while there are any, an ended call stays for a while */
	uint8_t redirects;    /* how often it was sent on (redirect.c), and from which targets */
	uint64_t redirected_from[REDIRECTS_MAXIMUM];
	struct list given;         /* tokens made for its REFERs (transfer.c) */
	struct transfer *transfer; /* whose token the caller's INVITE came with, until that is used up; or NULL */
	struct timer narrow;       /* budgets become what was agreed */
	struct timer timer;        /* rings too long, then lasts too long; then it is remembered for refers */
	bool media_open;
	bool counted;          /* as started */
	uint16_t streams_told; /* bits by index: media knows the stream */
	uint64_t started_us;
	struct list touched; /* in gateway->touched until what touched it is done */
	bool record_behind;  /* its record says less than is true */
	bool record_watched; /* what goes on may change it without saying so: then it is written at the end in any case */
	uint32_t record;     /* slot of its checkpoint; 0: none */
};

/* What a request already did about challenges. */
struct trunk_answered {
	uint8_t count;  /* that were answered */
	uint64_t nonce; /* a hash of the one its present credentials were made with; 0: it has none */
};

/* The servers that a request went to already: none gets it twice. */
#define TRIED_MAXIMUM 8
struct tried {
	uint8_t count;
	uint32_t servers[TRIED_MAXIMUM]; /* ids; the last is where it is now */
};

struct relay {
	struct list in_call; /* of call->relays; alone when call is NULL */
	struct list in_all;  /* of gateway->relays */
	struct gateway *gateway;
	struct call *call;           /* NULL: outside a call, or its call is gone */
	struct tombstone *tombstone; /* of the call that is gone; then in_call is in its list */
	struct fork *fork;           /* the dialog it belongs to; NULL for the first INVITE */
	uint8_t from;                /* leg the request came on */
	uint8_t method;              /* enum sip_method */
	uint8_t zones[2];            /* from, to */
	bool initial;                /* the INVITE or SUBSCRIBE that makes the first dialog */
	bool outside;                /* outside any dialog: outside.c */
	bool refreshing;             /* the gateway's own, toward the leg that is not `from` (refresh.c) */
	bool answered;               /* a final response went back */
	bool accepted;               /* and it was a 2xx */
	bool final;                  /* a final response came from the other side */
	bool given_up;               /* a re-INVITE whose final response did not come */
	struct timer timer;          /* a re-INVITE's: how long that may take */
	uint32_t exchange;           /* of the offer that this request or its response began; 0: none */
	struct sip_server_transaction *server;
	struct sip_client_transaction *client;
	uint32_t server_cseq, client_cseq;
	uint16_t *counted; /* where it counts as waiting for an answer; NULL: it does not, or not any more */
	char *extra;       /* header lines of our own that go on with the request; or NULL */
	char *ack;         /* bytes of the ACK to a 2xx, once sent */
	size_t ack_length;
	struct registration *registration; /* REGISTER: what was asked (register.c) */
	struct own_request *own;           /* a request of our own: then there is no server side */
	struct trunk_answered challenged;  /* of the request that was sent on */
	struct subscription *subscription; /* whose SUBSCRIBE or NOTIFY this is; then in_call is of its relays */
	struct tried tried;                /* empty: it went to a phone */
	struct timer patience;             /* with a server that says nothing (failover.c) */
};

/* ---- Subscriptions (RFC 6665): the one who subscribes is leg 0, who notifies leg 1 ---- */

#define SUBSCRIBER_COUNTS 4096 /* of what the accounts of phones hold, by their hash */
#define SUBSCRIBER CALLER
#define NOTIFIER CALLEE

struct event_package;

struct subscription {
	struct dialog_key keys[2]; /* of our tags, by leg */
	struct list in_all;        /* of gateway->all_subscriptions */
	struct list relays;        /* under way */
	struct gateway *gateway;
	struct leg legs[2]; /* the notifier's remote_tag is NULL until one has notified or accepted */
	const struct event_package *package;
	char *event_id;        /* RFC 6665 section 4.4.4; NULL without one */
	uint32_t next_cseq[2]; /* the lowest that a request from each leg may have */
	uint16_t waiting[2];   /* requests from each leg that are not answered yet */
	bool ended;            /* it goes when what is under way is answered */
	uint32_t *held;        /* where it counts for the phone that subscribed; NULL: it does not */
	uint32_t record;       /* slot of its checkpoint; 0: none */
	struct timer expiry;
};

/* ---- Bindings ---- */

struct owner {
	struct table_link link;
	char *account;
	struct list bindings;
	uint32_t count;
};

struct binding {
	struct table_link by_token;
	struct list in_owner;
	struct owner *owner;
	struct gateway *gateway;
	uint8_t zone;
	struct flow flow;
	char token[TAG_LENGTH + 1]; /* of our contact at the registrar; the flows of a phone share one (RFC 5626) */
	uint32_t reg_id;            /* which of them; 0: outbound is not in use */
	const char *contact, *call_id, *user_agent;
	const char *instance, *path, *service_route, *gruu; /* "" without; gruu: as the registrar named it */
	uint32_t cseq;
	uint64_t expires_at_s, registrar_expires_at_s;
	struct timer expiry;
};

struct account {
	struct table_link link;
	struct ipc_account record;
};

struct gateway {
	const struct config *config;
	struct gateway_callbacks callbacks;
	struct random_source random;
	struct event_base *loop;
	struct event *tick;
	struct timer_wheel *wheel;
	struct transport_layer *transport;
	struct port_pools *ports;
	struct sdp_fingerprint fingerprint; /* of media's certificate; SDP_HASH_NONE: no DTLS */
	struct table *dialogs;              /* forks and calls, by our tag */
	struct table *calls;                /* by id */
	struct list all_calls, all_relays, all_subscriptions;
	uint32_t subscriber_counts[SUBSCRIBER_COUNTS];
	struct table *tombstones; /* of calls that ended, by our tag */
	struct list all_tombstones;
	struct pool *call_pool, *relay_pool, *fork_pool, *binding_pool, *tombstone_pool, *subscription_pool;
	struct table *bindings;                     /* by token */
	struct table *owners;                       /* by account */
	struct table *accounts;                     /* by user */
	struct list peers;                          /* the servers of zones' peers (servers.c) */
	struct net_resolver *resolver;              /* NULL: no peer has a name */
	uint32_t server_ids;                        /* given out so far */
	struct trunk *trunks[CONFIG_ZONES_MAXIMUM]; /* accounts at providers, by zone; NULL: none */
	struct table *transfers;                    /* by token */
	struct list all_transfers;
	struct pool *transfer_pool;
	struct gateway_counters counters;
	struct checkpoint_area *checkpoints; /* NULL: nothing outlives this process */
	struct log_limit checkpoint_limit;
	struct list touched;                             /* calls */
	char *record;                                    /* CHECKPOINT_LONGEST: the record being written */
	struct log_limit refused_limit, registrar_limit; /* of what strangers and a registrar can fill the log with */
	struct admission admission;
	struct admission_load load;
	uint64_t ticked_us;
	uint8_t nonce_key[HASH_KEY_BYTES], body_key[HASH_KEY_BYTES];
	struct nonce_uses *nonces;
	struct challenges *challenges; /* that were relayed */
	struct overload overload;
	bool loaded, stopping;
	uint64_t stop_deadline_us;
	char *scratch; /* MESSAGE_CAPACITY: the message being built */
	char *body;    /* SDP_BYTES_MAXIMUM: the description being built */
	char *text;    /* BODY_MAXIMUM: a body that is none, rewritten */
	char *arena;   /* for parsing descriptions */
	size_t arena_capacity;
};

static inline const struct config_zone *gateway_zone(const struct gateway *gateway, uint8_t zone)
{
	return &gateway->config->zones[zone];
}
static inline struct buffer gateway_scratch(struct gateway *gateway)
{
	return buffer_over(gateway->scratch, MESSAGE_CAPACITY);
}
static inline struct sip_transactions *gateway_transactions(struct gateway *gateway)
{
	return transport_transactions(gateway->transport);
}
static inline uint8_t other_leg(uint8_t leg)
{
	return leg ^ 1;
}

#endif
