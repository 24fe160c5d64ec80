/* SPDX-License-Identifier: Apache-2.0
 * What the files of the call module share. A call has two legs, each a dialog of its own; a relay ties a request that came in
 * on one leg to the one sent on the other. */
#ifndef RINGWALL_CALL_INTERNAL_H
#define RINGWALL_CALL_INTERNAL_H

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

/* ---- Ports: one pool for every distinct address and range, shared by the zones that name it ---- */

struct port_pool;
struct port_pools;
struct port_pools *port_pools_new(void);
void port_pools_free(struct port_pools *pools);
/* The pool of one of a zone's media addresses and its range; NULL when memory is short. Pools of one address whose ranges overlap
 * never have the same port out at a time. */
struct port_pool *port_pools_get(struct port_pools *pools, const struct config_zone *zone,
				 const struct address *address, struct random_source random);
const struct address *port_pool_address(const struct port_pool *pool);
/* An even port whose odd neighbour is free too; 0 when all are taken. The one given back longest ago comes first. */
uint16_t port_take(struct port_pool *pool);
/* This very port, which a call of before had, maybe when the range was another one. False: it is in use. */
bool port_take_again(struct port_pool *pool, uint16_t port);
void port_give(struct port_pool *pool, uint16_t port); /* NULL: a port that is no pool's any more */

/* ---- Sessions: offer and answer between the legs, and what media is told ---- */

/* The description a leg was sent last, offer or answer: what a refresh by INVITE says again. May hold keys. */
struct described {
	char *bytes;
	size_t length;
};

#define OFFERED_SUITES_MAXIMUM 6

/* One m-line of an offer under way. */
struct exchange_stream {
	bool usable; /* we can carry it */
	uint8_t kind;
	enum sdp_protocol offered;
	struct sdp_crypto chosen; /* the offerer's line we take; suite none: plain RTP */
	uint8_t key_to_offerer[SDP_KEY_MAXIMUM];
	struct sdp_crypto ours[OFFERED_SUITES_MAXIMUM]; /* lines offered to the answerer */
	uint8_t our_count;
	struct address peer, peer_rtcp;
	uint16_t peer_port;
	enum sdp_direction direction;
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
	uint8_t keys_in[2][SDP_KEY_MAXIMUM], keys_out[2][SDP_KEY_MAXIMUM];
	struct learned learned[2];
	char codec[24];
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
#define REFERS_OF_CALL 4 /* beyond them the oldest is forgotten */
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
	struct transfer *transfer; /* whose token the caller's INVITE came with, until that is used up; or NULL */
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
	struct table *dialogs; /* forks and calls, by our tag */
	struct table *calls;   /* by id */
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

/* dialog.c: finding, writing and remembering dialogs */
struct dialog { /* what an in-dialog request belongs to */
	struct call *call;
	struct fork *fork;
	uint8_t leg; /* it came on */
};
/* By Call-ID, our tag and the peer's, whoever asks. False: no such dialog. */
bool dialog_named(struct gateway *gateway, struct span call_id, struct span our_tag, struct span peer_tag,
		  struct dialog *out);
/* By To tag, From tag and Call-ID, from the dialog's own peer only (THREATS S5, S6). False: no such dialog. */
bool dialog_find(struct gateway *gateway, const struct flow *flow, const struct sip_message *request,
		 struct dialog *out);
/* What our tag was given to; NULL: nobody. */
struct dialog_key *dialog_key_find(struct gateway *gateway, struct span tag);
struct fork *fork_find(struct call *call, struct span callee_tag);
/* NULL: too many, or no memory. `final`: for a 2xx, which has room of its own. */
struct fork *fork_add(struct call *call, struct span callee_tag, bool final);
void fork_free(struct fork *fork);
/* Remembers remote target and route set from a message that made or refreshes the dialog. */
void dialog_learn(struct call *call, struct fork *fork, uint8_t leg, const struct sip_message *message,
		  bool with_routes);
/* Takes a request's CSeq: false when it is not higher than the last (RFC 3261 section 12.2.2). */
bool dialog_cseq_take(struct dialog *dialog, uint32_t cseq);
/* The parts of dialog_learn: the remote target from Contact; the route set, once, `reversed` for who sent the request. */
void dialog_learn_target(char **target, const struct sip_message *message);
void dialog_learn_routes(struct gateway *gateway, char **routes, const struct sip_message *message, bool reversed);

/* leg.c */
struct route_target;
/* The leg of the peer that sent `request`, toward whom the gateway is the server. False: no memory. */
bool leg_set_uas(struct leg *leg, const struct flow *flow, const struct sip_message *request);
/* The leg of the peer that `request` goes on to. False: no memory, or a name is too long. */
bool leg_set_uac(struct gateway *gateway, struct leg *leg, const struct route_target *target,
		 const struct sip_message *request);
void leg_clear(struct leg *leg);
/* Whether a message from `flow` may belong to the leg. */
bool leg_admits_flow(struct gateway *gateway, const struct leg *leg, const struct flow *flow);
/* The same; what may moves the leg there. */
bool leg_takes_flow(struct gateway *gateway, struct leg *leg, const struct flow *flow);

/* build.c: messages, always from the model */
void build_contact(struct gateway *gateway, struct buffer *out, const struct leg *leg);
/* The URI in it, with a user part or, when that is NULL, without. */
void build_own_uri(struct gateway *gateway, struct buffer *out, const struct leg *leg, const char *user);
void build_address(struct buffer *out, struct span display, struct span uri);
/* A user part from plain text: what may not stand there is escaped (RFC 3261 section 19.1.2). */
void build_user(struct buffer *out, struct span plain);
/* The user part of a parsed URI, or the number of a tel URI, as a user part. */
void build_user_of(struct buffer *out, const struct sip_uri *uri);
/* One side of a dialog as requests to the peer name it. */
struct dialog_side {
	const struct leg *leg;
	const char *target, *routes, *local_tag, *remote_tag; /* routes, remote_tag: NULL when there is none */
};
/* The request line and everything a request in the dialog must carry; the caller adds headers and the body. */
void build_dialog_request(struct gateway *gateway, const struct dialog_side *side, enum sip_method method,
			  uint32_t cseq, const char *branch, int32_t max_forwards, struct buffer *out);
/* The same in a call. The caller adds headers and the body. */
void build_request(struct call *call, const struct fork *fork, uint8_t leg, enum sip_method method, uint32_t cseq,
		   const char *branch, int32_t max_forwards, struct buffer *out);
/* Host of our URIs as the zone's peers see us: "203.0.113.7:5061". */
void build_host(struct gateway *gateway, struct buffer *out, const struct flow *flow);
/* Whether a user part is a telephone number that this zone wants to see marked as one. */
bool build_is_phone(const struct config_zone *zone, struct span user);
void build_via(struct gateway *gateway, struct buffer *out, const struct flow *flow, const char *branch);
/* Our own answer without a body. `extra` NULL or whole header lines. Uses the scratch buffer. */
void respond(struct gateway *gateway, struct sip_server_transaction *server, uint16_t status, const char *to_tag,
	     const char *extra);
/* A request of our own in the dialog (BYE), nobody waits for its answer. */
void send_own_request(struct call *call, const struct fork *fork, uint8_t leg, enum sip_method method,
		      const char *extra);
#define OWN_ALLOW "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, MESSAGE, REFER, SUBSCRIBE, NOTIFY, PUBLISH"

/* The request's Record-Route, as an answer that makes a dialog carries it (RFC 3261 section 12.1.1). */
void build_record_routes(struct buffer *out, const struct sip_message *request);

/* policy.c: what crosses */
#define POLICY_LIFETIME_S 86400 /* the longest Expires: a shorter time than was asked for may always be granted */
/* Copies from `message` what may cross between these zones. */
void policy_copy(struct gateway *gateway, const struct sip_message *message, uint8_t from_zone, uint8_t to_zone,
		 struct buffer *out);
/* The same of one header alone. */
void policy_copy_header(struct gateway *gateway, const struct sip_message *message, enum sip_header_id id,
			uint8_t from_zone, uint8_t to_zone, struct buffer *out);
/* Writes Supported and Require with the option tags that cross. */
void policy_options(const struct sip_message *message, struct buffer *out);
/* The same; `own` is a tag the gateway supports toward that leg itself, or NULL. */
void policy_options_with(const struct sip_message *message, const char *own, struct buffer *out);
/* Option tags of Require that nobody here understands, as a list for Unsupported. True when there are any. */
bool policy_unsupported(const struct sip_message *request, struct buffer *out);
/* The values of a message's Reason headers as they may cross, comma-separated; as many as fit. */
void policy_reasons(const struct sip_message *message, struct buffer *out);
/* Whether a body of this type may cross in this method. */
bool policy_body_allowed(enum sip_method method, struct span content_type);
/* The status the other side may see for `status` received from a zone (THREATS S3: no foreign challenge). */
uint16_t policy_status(uint16_t status, const struct config_zone *from, const struct config_zone *to);

/* session.c */
/* `fork` is the dialog a description belongs to; NULL for the INVITE that makes the call. */
/* What is agreed in a dialog: a fork's own before the answer, if it has described something; else the call's. */
struct session *session_of(struct call *call, struct fork *fork);
/* An offer from `leg`, rewritten for the other. 0, or the SIP status to refuse with; then nothing has changed. */
int session_offer(struct call *call, struct fork *fork, uint8_t leg, struct span description, struct buffer *out);
/* An answer from `leg` to the offer under way, rewritten for the other; media is told. May come again (18x, then 2xx).
 * 0, or the status to refuse with; then nothing has changed. */
int session_answer(struct call *call, struct fork *fork, uint8_t leg, struct span description, struct buffer *out);
/* Whether an offer waits for its first answer; *offerer is who made it. */
bool session_offer_pending(struct call *call, struct fork *fork, uint8_t *offerer);
/* The exchange is complete, or came to nothing: what stood before stays in force. */
void session_exchange_done(struct call *call, struct fork *fork);
/* `fork` was answered: its session is the call's from now on, those of the others go. call->dialog is set. */
void session_commit(struct call *call, struct fork *fork);
/* Of a fork that goes. */
void session_forget(struct fork *fork);
void session_close(struct call *call);
/* The leg's answer to the description it knows already: where its media is now. What does not fit is left as it was. */
void session_reaffirm(struct call *call, uint8_t leg, struct span description);
/* Tells media what plays now: the answered dialog's session, before that the one of call->early. */
void session_tell_media(struct call *call);

/* learned.c */
/* MEDIA_LOCKED and MEDIA_ROLL_OVER, by the call's legs. */
void learned_take(struct call *call, const struct media_event *event);
/* What is in force toward a leg from now on: what was learned of other keys, or another address, is forgotten. */
void learned_keys_set(struct session_stream *stream, uint8_t leg, uint8_t suite, const uint8_t *key_in,
		      const uint8_t *key_out);
void learned_peer_set(struct session_stream *stream, uint8_t leg, const struct address *rtp,
		      const struct address *rtcp);
/* Into what media is told of the leg. */
void learned_tell(const struct learned *learned, struct media_side *side);

/* forward.c: from one leg to the other */
/* The description in a message from `leg`, offer or answer as the state says, rewritten into gateway->body. *body is
 * empty when there is none or it is a repetition that need not cross. *exchange is set when it was an offer.
 * 0, or the status to refuse with. */
int forward_body(struct call *call, struct fork *fork, uint8_t leg, const struct sip_message *message,
		 uint32_t *exchange, struct span *content_type, struct span *body);
/* Sends the relay's request on to the other leg. False: it could not be sent and nothing was answered. */
bool forward_request(struct relay *relay, const struct sip_message *request, struct span content_type,
		     struct span body);
/* What a PRACK from a leg acknowledges: the number of the response, and the CSeq of its INVITE on the other leg.
 * False: nothing that is known. */
bool forward_rack(struct call *call, uint8_t from, const struct sip_message *prack, uint32_t *rseq, uint32_t *cseq);
/* Sends a response back to where the relay's request came from. `fork` may be NULL. False: it does not fit, and nothing
 * was answered. */
bool forward_response(struct relay *relay, uint16_t status, const struct sip_message *response, struct fork *fork,
		      struct span content_type, struct span body);
/* refusal.c */
/* Answers, counts, and adds the header that belongs to the status unless `extra` has whole header lines. */
void request_refuse(struct gateway *gateway, struct sip_server_transaction *server, uint16_t status, const char *extra);
/* Only counts. The header lines that belong to the status, or NULL. */
const char *refusal_count(struct gateway *gateway, uint16_t status);
/* Before anything else is done for a request: Max-Forwards, extensions, body, loops. True when it was refused and answered. */
bool refuse_unserved(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request);

/* invite.c: the INVITE that makes a call */
void invite_receive(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request);
/* The other leg's INVITE, from the caller's. 0, or the status to refuse with. */
int invite_forward(struct relay *relay, const struct sip_message *request);
void invite_response(struct relay *relay, const struct sip_message *response);
void invite_ack(struct gateway *gateway, const struct flow *flow, const struct sip_message *ack);

/* midcall.c: requests inside a dialog */
void midcall_receive(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request);
void midcall_response(struct relay *relay, const struct sip_message *response);
/* A provisional response to a re-INVITE: the final one is given 64*T1 more; then the INVITE is cancelled and the call goes on as
 * it was. */
void midcall_wait(struct relay *relay);
/* Whether an INVITE or UPDATE is under way in the answered dialog, of a peer's or of the gateway's own. */
bool midcall_is_renegotiating(struct call *call);

/* refresh.c: session timers */
bool refresh_is_on(const struct gateway *gateway);
/* For an INVITE or UPDATE toward the leg: Session-Expires and Min-SE. */
void refresh_write_request(struct call *call, uint8_t leg, struct buffer *out);
/* For the 2xx to an INVITE or UPDATE of the leg's: what is agreed, which counts from now on. */
void refresh_write_response(struct call *call, uint8_t leg, const struct sip_message *request, struct buffer *out);
/* What the 2xx of a leg's peer agrees to. */
void refresh_learn(struct call *call, uint8_t leg, const struct sip_message *response);
/* Whether the peer takes UPDATE, from any message with Allow. */
void refresh_allow_learn(struct call *call, uint8_t leg, const struct sip_message *message);
/* Whether a request must be answered 422 with Min-SE: 90 (RFC 4028 section 9). */
bool refresh_is_too_short(const struct gateway *gateway, const struct sip_message *request);
/* From a 422: true when the request may be sent once more, asking for longer. */
bool refresh_demand_learn(struct call *call, uint8_t leg, const struct sip_message *response);
/* Starts the leg's timer from what is agreed, anew; for a call that was restored, too. */
void refresh_start(struct call *call, uint8_t leg);
/* As it was when the process before died; the timer was due then, by the same clock. */
void refresh_resume(struct call *call, uint8_t leg);
void refresh_stop(struct call *call);
/* A refresh that need not cross is answered here: true. */
bool refresh_receive(const struct dialog *dialog, struct sip_server_transaction *server,
		     const struct sip_message *request);
void refresh_response(struct relay *relay, const struct sip_message *response); /* to one of our own */
void refresh_failed(struct relay *relay);

struct route_target;
/* replaces.c: the dialog that a new one takes the place of (RFC 3891) */
#define REPLACES_CAPACITY 600
struct replaces {
	struct span call_id, to_tag, from_tag;
	bool early_only;
};
/* Takes a header's value apart. False: it is malformed. */
bool replaces_parse(struct span value, struct replaces *out);
/* As a header's value. */
void replaces_write(const struct replaces *replaces, struct buffer *out);
/* The dialog that `replaces` names to us, and its leg. 0, or the status to refuse an INVITE with: 481, 486, 603. */
int replaces_find(struct gateway *gateway, const struct replaces *replaces, struct dialog *out);
/* Whether who sends from `flow` as `account` may name the leg (THREATS S5: nobody replaces a foreign call). */
bool replaces_allowed(struct gateway *gateway, const struct dialog *named, const struct flow *flow,
		      const char *account);
/* The same dialog by the names that the peer of the other leg has for it. Texts are the call's. */
void replaces_across(const struct dialog *named, bool early_only, struct replaces *out);
/* Whether `target` is who is on the other side of the named dialog. */
bool replaces_leads_to(const struct dialog *named, const struct route_target *target);
/* For an INVITE that goes to `target`: what its Replaces becomes there, as a header line. 0, or the status to refuse with. */
int replaces_forward(struct gateway *gateway, const struct flow *flow, const struct sip_message *invite,
		     const struct route_target *target, struct buffer *out);

/* redirect.c: 3xx */
/* A 3xx to the INVITE that makes the call. True: the call is sent on; else the response goes back. */
bool redirect_receive(struct relay *relay, const struct sip_message *response);
/* Whether the caller is told where to call instead; then, the Contacts that say so, without hosts. */
bool redirect_is_told(const struct relay *relay, const struct sip_message *response);
void redirect_write(const struct relay *relay, const struct sip_message *response, struct buffer *out);

/* transfer.c: REFER (RFC 3515) and what it leads to */
#define FLOW_TIMER_STREAM_S 120 /* a phone is to send keep-alives so often (RFC 5626 section 4.4) */
#define FLOW_SILENCE_MS ((FLOW_TIMER_STREAM_S + 30) * 1000) /* and is gone without */
#define TRANSFER_EXPIRES_MS 60000                           /* a token that is not used */
#define TRANSFER_LINGER_MS 32000                            /* an ended call whose REFER is still told about */
/* Whether a request inside a call's dialog is for transfer_receive: REFER, SUBSCRIBE, NOTIFY. */
bool transfer_concerns(enum sip_method method);
void transfer_receive(struct dialog *dialog, struct sip_server_transaction *server, const struct sip_message *request);
/* What crosses of a SUBSCRIBE or NOTIFY within a call, but for what relay->extra says anew. */
void transfer_copy(struct relay *relay, const struct sip_message *request, struct buffer *out);
/* The REFER of a relay goes on, with client_cseq. */
void transfer_sent(struct relay *relay);
/* The REFER of a relay was answered; NULL: it will not be. */
void transfer_answered(struct relay *relay, const struct sip_message *response);
void transfer_outside_receive(struct gateway *gateway, struct sip_server_transaction *server,
			      const struct sip_message *request);
/* Whether both zones take part in transfers. */
bool transfer_allowed(const struct gateway *gateway, uint8_t from, uint8_t to);
/* An INVITE to a token of ours. *transfer is NULL when it is to something else; else the INVITE is meant for transfer->target.
 * 0, or the status to refuse with. */
struct transfer;
int transfer_find(struct gateway *gateway, const struct flow *flow, const struct sip_message *invite,
		  struct transfer **transfer);
void transfer_take(struct transfer *transfer, struct call *call); /* it is used up by this call */
/* The call's INVITE was challenged, and comes again. */
void transfer_give_back(struct call *call);
void transfer_uri(const struct transfer *transfer, struct sip_uri *uri); /* where it leads */
/* Who is charged, or NULL. */
const char *transfer_payer(const struct transfer *transfer);
/* From where the target is to be dialled. */
const struct flow *transfer_flow(const struct transfer *transfer, const struct flow *flow);
/* Referred-By and Replaces for the INVITE that goes to `target`, as header lines. 0, or the status to refuse with: where the
 * routes lead whom it comes from, they must lead the referrer too. */
int transfer_headers(struct transfer *transfer, const struct route_target *target, struct buffer *out);
/* Zones have other numbers; `to` by the old one, NET_ZONE_NONE: gone. */
void transfers_map(struct gateway *gateway, const uint8_t to[256]);
void transfers_free(struct gateway *gateway);
struct pool *transfers_pool_new(uint32_t maximum);
bool transfer_has_token(const struct table_link *link, struct span token);
/* Of a call that goes. */
void transfer_forget(struct call *call);

/* calls.c: the life of a call and of relays */
struct call *call_new(struct gateway *gateway);
/* Into the tables, by its id and the local tag of its callee's leg. */
void call_enter(struct call *call);
/* Into the call and the tables, by its caller's tag. */
void fork_enter(struct call *call, struct fork *fork);
/* Rings too long or lasts too long after `delay_ms`; 0: never. */
void call_timer_set(struct call *call, uint64_t delay_ms);
/* Ends whatever is left on both legs: BYE, CANCEL or `status`. The call goes when its transactions have. `skip` is a leg that
 * ended by itself, or -1. */
void call_end(struct call *call, int skip, uint16_t status, const char *reason);
/* The same with what goes on as the Reason of BYE and CANCEL; empty: none. */
void call_end_for(struct call *call, int skip, uint16_t status, struct span reason);
/* The INVITE got somewhere: from then on it is a call. */
void call_count(struct call *call);
void call_free(struct call *call);
/* Frees an ending call whose transactions are done. */
void call_settle(struct call *call);
/* NULL: the table is full, or too many of the call's requests from that leg wait for an answer (THREATS S8). */
#define WAITING_OF_LEG 16
struct relay *relay_new(struct gateway *gateway, struct call *call, uint8_t from, struct sip_server_transaction *server,
			const struct sip_message *request);
/* For a refresh of the gateway's own toward `leg`; NULL when the table is full. */
struct relay *relay_new_refresh(struct call *call, uint8_t leg, enum sip_method method);
void relay_free(struct relay *relay);
/* It waits for an answer, and counts there; until it is answered, or its dialog goes. */
void relay_count(struct relay *relay, uint16_t *waiting);
void relay_uncount(struct relay *relay);
/* Answers every request that waits on either leg. */
void relays_refuse(struct call *call, uint16_t status);
/* Answers what waits on the relay's server side, once. */
void relay_refuse(struct relay *relay, uint16_t status, const char *extra);
/* Keeps a copy in place of what was kept; both may hold keys and are wiped when let go. */
void bytes_keep(char **bytes, size_t *length, struct span span);
/* ACK for a 2xx that got none yet; body may be empty. */
void relay_ack(struct relay *relay, struct fork *fork, struct span content_type, struct span body);

/* tombstone.c: what is left of a call for 32 s */
struct table *tombstones_table_new(struct random_source random);
struct pool *tombstones_pool_new(uint32_t maximum);
void tombstones_free(struct gateway *gateway);
/* Before the call is freed: takes over the INVITEs whose transactions go on. A full pool gives up the oldest. */
void tombstone_bury(struct call *call);
void tombstone_free(struct tombstone *tombstone);
/* True when a request belonged to a call that ended: it was answered. */
bool tombstone_receive(struct gateway *gateway, struct sip_server_transaction *server,
		       const struct sip_message *request);
bool tombstone_ack(struct gateway *gateway, const struct flow *flow, const struct sip_message *ack);
void tombstone_response(struct relay *relay, const struct sip_message *response);
/* For a reload. */
struct tombstone *tombstone_of_link(struct list *link);
bool tombstone_is_of(const struct tombstone *tombstone, uint8_t zone);
void tombstone_flows_each(struct tombstone *tombstone, void (*visit)(void *context, struct flow *flow), void *context);

/* checkpoint.c: records that outlive the process. How objects become bytes: record.h. */
enum record_kind { RECORD_NONE, RECORD_CALL, RECORD_SUBSCRIPTION, RECORD_SERVER };
/* Writes the object's record (anew); *slot is the object's own, 0 at first. Without room there is none, which is counted. */
void gateway_record_save(struct gateway *gateway, uint32_t *slot, enum record_kind kind, struct span bytes);
void gateway_record_remove(struct gateway *gateway, uint32_t *slot);
/* The call has changed, or is about to: its record is written before the next message leaves, and after what is being done now.
 * Every message and timer that changes a call says so (those in a dialog do by finding it). */
void call_touch(struct call *call);
void gateway_records_write(struct gateway *gateway);  /* before a message leaves */
void gateway_records_settle(struct gateway *gateway); /* when all is done: with what changed after the last message */

/* servers_record.c */
bool server_record_load(struct gateway *gateway, uint32_t slot, struct span bytes);

/* snapshot.c: a call as a record, and back */
void call_record_write(struct call *call, struct buffer *out);
bool call_record_load(struct gateway *gateway, uint32_t slot, struct span bytes);

/* again.c */
/* Sends a relay's request once more from the one that came in, after a final response or a failure that nobody was told of.
 * False: it cannot be, or not any more; nothing was answered then. */
bool relay_again(struct relay *relay);

/* failover.c: another server for what the present one does not serve (RFC 3263 section 4.3) */
/* Sends the relay's request to another server, if there is one that was not tried; nobody notices. False: nothing changed. */
bool failover(struct relay *relay);
/* After the request was sent: not for ever does it wait for a server that says nothing. */
void failover_arm(struct relay *relay);
/* A response to a request that went elsewhere since: whoever answers a call nobody waits for is told so. */
void failover_stray(struct gateway *gateway, const struct flow *flow, const struct sip_message *response);

/* servers.c: the servers of peers */
/* Those of the configuration; names are looked up. False: no memory. */
bool servers_start(struct gateway *gateway);
/* After a reload: zone i is zones[i] from now on. */
void servers_configure(struct gateway *gateway, const uint8_t zones[256]);
void servers_free(struct gateway *gateway);
/* Whether a source address is one of the zone's peers' (THREATS N7). Access zones admit all. */
bool servers_admit(const struct gateway *gateway, uint8_t zone, const struct address *source);
/* Any response to us, and its lack. */
void servers_heard(struct gateway *gateway, const struct flow *flow, const struct sip_message *response);
void servers_failed(struct gateway *gateway, const struct flow *flow, bool timeout);
/* Whether one of the zone's servers that were not tried is thought to be there. */
bool servers_are_well(struct gateway *gateway, uint8_t zone, const struct tried *tried);
/* A flow to the best server of the zone that was not tried, which is added to the tried (NULL: none was). 0 or -ENOENT. */
int servers_route(struct gateway *gateway, uint8_t zone, struct tried *tried, struct flow *flow);
/* The same of the other servers of the peer that *flow goes to. */
int servers_beside(struct gateway *gateway, struct tried *tried, struct flow *flow);
/* A flow to the same server as before, or to another of its peer. */
int servers_again(struct gateway *gateway, const struct flow *before, struct flow *flow);

/* own.c: requests of the gateway's own */

/* Called once: with the final response (never a challenge that was answered), or with NULL and 408 or 503. */
typedef void own_answer(void *context, const struct sip_message *response, uint16_t status);
struct own_texts { /* values of headers; routes and extra (whole header lines) may be NULL */
	const char *uri, *routes, *from, *to, *call_id, *extra;
};
struct own_request {
	struct relay *relay;
	struct flow flow;
	uint8_t method;
	bool is_final;
	uint32_t cseq;
	struct trunk_answered answered;
	char *uri, *routes, *from, *to, *call_id, *extra;
	own_answer *answer;
	void *context;
};
/* Sends without a body, and again with credentials when a provider asks for them. The texts are copied. `answer` NULL: nobody
 * waits. Lives until its transaction ends; NULL: not sent. */
struct own_request *own_request_send(struct gateway *gateway, const struct flow *flow, enum sip_method method,
				     uint32_t cseq, const struct own_texts *texts, own_answer *answer, void *context);
/* Whoever waited is gone. NULL is allowed. */
void own_request_forget(struct own_request *own);
void own_request_free(struct own_request *own);
void own_response(struct own_request *own, const struct sip_message *response);
void own_failed(struct own_request *own, uint16_t status);

/* trunk.c: registered at providers */
void trunks_stop(struct gateway *gateway);
void trunks_free(struct gateway *gateway);
/* After a reload: zone i is zones[i] from now on; before it, those of zones that will be gone say goodbye. */
void trunks_zones_leave(struct gateway *gateway, const uint8_t zones[256]);
void trunks_zones_map(struct gateway *gateway, const uint8_t zones[256]);
void trunks_flow_closed(struct gateway *gateway, const struct flow *flow);
/* False for a zone that must be registered to be called through, and is not. */
bool trunk_is_usable(const struct gateway *gateway, uint8_t zone);
/* The Route of requests outside dialogs (RFC 3608), or NULL. */
const char *trunk_service_route(const struct gateway *gateway, uint8_t zone);

/* credentials.c: a provider's challenges */
/* Whether a 401 or 407 to a request that went to `flow` is to be answered: it then is sent again, with new credentials. */
bool trunk_challenge_take(struct gateway *gateway, const struct flow *flow, const struct sip_message *response,
			  struct trunk_answered *answered);
/* Adds credentials for the request whose first line begins `out`, when the provider's last challenge is known. */
void trunk_credentials_write(struct gateway *gateway, const struct flow *flow, enum sip_method method,
			     struct trunk_answered *answered, struct buffer *out);

/* events.c: event packages (RFC 6665 section 5) */
#define EVENT_BODIES_MAXIMUM 8
struct event_package {
	const char *name;
	uint8_t subscribe, publish; /* kinds of zones whose peers may, as bits */
	bool unsolicited;           /* a NOTIFY may come from the PBX without a subscription */
	uint32_t expires_s;         /* of a subscription that names no time */
	const char *bodies[EVENT_BODIES_MAXIMUM];
};
const struct event_package *event_named(struct span name);
/* Of a message's Event; NULL: it has none, or an unknown one. */
const struct event_package *event_find(const struct sip_message *message);
/* Its id parameter (RFC 6665 section 4.4.4); empty without one. */
struct span event_id(const struct sip_message *message);
bool event_carries(const struct event_package *package, struct span content_type);
/* Whether any package carries it. */
bool event_body_known(struct span content_type);
/* 489 with what may be subscribed to. */
void event_refuse(struct gateway *gateway, struct sip_server_transaction *server);
/* Event, Subscription-State and Allow-Events with what of them may cross. */
void event_write(struct buffer *out, struct span value);
void event_state_write(struct buffer *out, struct span value);
void event_list_write(struct buffer *out, struct span value);

/* body_cross.c: bodies other than descriptions */
struct body {
	char type[BODY_TYPE_CAPACITY];
	struct span content_type, bytes; /* in `type` and in gateway->text, until the next body_cross */
};
/* The body of a message as the other zone may see it (THREATS S18). 0, or the status to refuse with. */
int body_cross(struct gateway *gateway, const struct sip_message *message, uint8_t from_zone, uint8_t to_zone,
	       struct body *body);
/* The same of a request in a call; but for MESSAGE, the body as it came. */
int body_cross_midcall(struct relay *relay, const struct sip_message *request, struct body *body);
/* A dialog with a peer in `zone` by the names that phones were told in dialog information (RFC 4235), as they stand in
 * Replaces. Texts are the call's. */
struct dialog_names {
	const char *call_id, *our_tag, *peer_tag;
	bool to_is_ours; /* to-tag stood for our tag, from-tag for the peer's */
};
bool dialog_hidden_find(struct gateway *gateway, uint8_t zone, struct span call_id, struct span to_tag,
			struct span from_tag, struct dialog_names *out);

/* subscription.c: SUBSCRIBE and NOTIFY */
void subscription_receive(struct gateway *gateway, struct sip_server_transaction *server,
			  const struct sip_message *request);
void subscription_response(struct relay *relay, const struct sip_message *response);
/* For relay_again. */
bool subscription_again(struct relay *relay, const struct sip_message *request);
/* A SUBSCRIBE that nobody has taken yet, to another server or the next zone of its route. False: it was not sent. */
bool subscription_elsewhere(struct relay *relay, const struct sip_message *request);
/* No answer will come to what was sent on. */
void subscription_unanswered(struct relay *relay, enum sip_failure failure);
/* NULL: the table is full or memory is short. Known by the tags of its legs from subscription_enter on. */
struct subscription *subscription_new(struct gateway *gateway, const struct event_package *package);
void subscription_enter(struct subscription *subscription);
/* So many seconds from now, and a grace. */
void subscription_expire_in(struct subscription *subscription, uint32_t seconds);
/* subscription_record.c: what outlives the process, once there is a notifier; before each message that says what has changed. */
void subscription_record_save(struct subscription *subscription);
bool subscription_record_load(struct gateway *gateway, uint32_t slot, struct span bytes);
/* Goes without a word to either side; what waits is answered `status`. */
void subscription_forget(struct subscription *subscription, uint16_t status);
void subscription_free(struct subscription *subscription);

/* outside.c: MESSAGE, OPTIONS, PUBLISH and unsolicited NOTIFY outside dialogs */
void outside_receive(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request);
/* Once more on the flow that it went on, or (NULL) to another server. */
bool outside_again(struct relay *relay, const struct sip_message *request, const struct flow *flow);
void outside_response(struct relay *relay, const struct sip_message *response);

/* route.c */
#define ROUTE_NUMBER_CAPACITY 128
struct route_target {
	uint8_t zone;
	struct flow flow;
	struct binding *binding; /* when the target is a registered phone */
	const char *routes;      /* a Route value to go out with, or NULL; the binding's */
	char uri[1200];          /* Request-URI */
	/* Numbers as this zone writes them, by the rows of `rewrite`; "": as they came. */
	char called[ROUTE_NUMBER_CAPACITY], caller[ROUTE_NUMBER_CAPACITY];
};
/* Where a request from `flow`'s zone to `uri` goes, but to none of the servers that were tried; where it goes is added to them
 * (`tried` NULL: none was). `from` is the caller's, or NULL. 0, or the status to refuse with. */
int route_find_from(struct gateway *gateway, const struct flow *flow, const struct sip_uri *uri,
		    const struct sip_uri *from, struct tried *tried, struct route_target *out);
int route_find(struct gateway *gateway, const struct flow *flow, const struct sip_uri *uri, struct tried *tried,
	       struct route_target *out);
/* Whether the routes lead from there to the zone, be it the first of theirs or one after it. */
bool route_leads_to(struct gateway *gateway, const struct flow *flow, const struct sip_uri *uri,
		    const struct sip_uri *from, uint8_t zone);
/* Domain of our URIs toward a zone. */
const char *route_domain(const struct gateway *gateway, uint8_t zone);

/* flows.c: what a registration says beyond a contact */
#define FLOWS_INSTANCE_MAXIMUM 127
#define FLOWS_ROUTES_CAPACITY 512
#define FLOWS_GRUU_CAPACITY 256
#define FLOWS_PUSH_CAPACITY 512
#define FLOWS_UUID_CAPACITY 48
/* Of a Contact: +sip.instance as "<urn:…>", and reg-id; empty and 0 when there is none that is valid. */
struct span flows_instance(const struct sip_address *contact);
uint32_t flows_reg_id(const struct sip_address *contact);
/* Whether a REGISTER asks for outbound (RFC 5626 section 6). 0, or the status to refuse with: 400, 439. */
int flows_asked(const struct sip_message *request, bool *outbound);
/* The values of a header of loose routes as one Route value, "" without any. False: too many, too long, or not such routes. */
bool flows_routes(const struct sip_message *message, enum sip_header_id id, char *out, size_t capacity);
/* The Path of a REGISTER (RFC 3327). 0, or the status to refuse with: 400, 420. Requests never go to where it says: they go down
 * the flow that the phone registered on, and carry it as Route for the proxies behind. */
int flows_path(const struct sip_message *request, char *out, size_t capacity);
bool flows_wants_gruu(const struct sip_message *request);
/* A name of our own for a phone, the same for ever, that does not tell the phone's: "urn:uuid:…" (RFC 5627). */
void flows_instance_uuid(const char *account, const char *instance, char out[FLOWS_UUID_CAPACITY]);
uint64_t flows_instance_hash(const char *account, const char *instance, uint8_t part);
/* The phone that a GRUU of ours names, on the best of its flows; or NULL. */
struct binding *flows_binding_of_gruu(struct gateway *gateway, const struct sip_uri *uri);
/* The public GRUU in a Contact of the registrar's answer; "" and false without one. */
bool flows_gruu_granted(const struct sip_address *contact, char *out, size_t capacity);
/* The push parameters of a contact (RFC 8599), as they follow a URI. False: too long. */
bool flows_push(const struct sip_uri *contact, char *out, size_t capacity);
/* What the registrar wants requests of the phone on this flow to go through (RFC 3608), as a Route value; NULL: nothing, or
 * `to_zone` is not the registrar's. */
const char *flows_service_route(struct gateway *gateway, const struct flow *flow, const struct sip_uri *from,
				uint8_t to_zone);
/* A request found no way down this flow: sent once more by another flow of the same phone, when there is one (RFC 5626). True: it is on
 * its way again. */
bool flows_try_next(struct relay *relay, const struct flow *failed);
/* Remembers which phone a leg goes to, by its binding or by the flow that it came on. */
void leg_phone_set(struct leg *leg, const struct binding *binding);
void leg_phone_find(struct gateway *gateway, struct leg *leg);
/* Before a request is sent in a dialog: a leg whose connection is gone moves to the phone's present flow, never to a clear one from an
 * encrypted one. False: there is no way to it now. */
bool leg_flow_refresh(struct gateway *gateway, struct leg *leg);

/* authenticate.c: local authentication */
/* True when the request may go on; *user is then who it is (NULL where the zone does not authenticate here). False: it was answered. */
bool authenticate(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request,
		  const struct account **user);

/* Remembers that many nonces that were used, more or less; NULL when memory is short. */
struct nonce_uses *nonce_uses_new(uint32_t wanted);
void nonce_uses_free(struct nonce_uses *uses);

/* Counts, and tells the operator and programs that watch the log. */
void authentication_refused(struct gateway *gateway, const struct flow *flow, struct span user);

/* bindings.c, register.c */
/* Of a phone's several flows the best. */
struct binding *binding_by_token(struct gateway *gateway, struct span token);
struct binding *binding_by_flow_id(struct gateway *gateway, const char *token, uint32_t reg_id);
/* The flow `reg_id` of a phone of the owner's; failing that, another of its flows, whose token it is to share; or NULL. */
struct binding *binding_by_instance(struct owner *owner, uint8_t zone, struct span instance, uint32_t reg_id);
/* Which of two to try first: who can be reached, then who registered last. */
bool binding_is_better(const struct binding *a, const struct binding *b);
struct binding *binding_by_account(struct gateway *gateway, struct span user);
bool binding_reachable(const struct binding *binding);
struct binding *binding_by_contact(struct owner *owner, uint8_t zone, const struct sip_uri *contact);
struct owner *owner_find(struct gateway *gateway, const char *account);
/* A new one, in the tables, owned by them; NULL: full or no memory. */
struct binding *binding_add(struct gateway *gateway, const char *account, const char *token);
void binding_drop(struct binding *binding, bool tell_store);
/* Copies them into one block of memory, which the contact begins. False: no memory, the old ones stay. */
struct binding_texts {
	const char *contact, *call_id, *user_agent, *instance, *path, *service_route, *gruu;
};
bool binding_texts_set(struct binding *binding, const struct binding_texts *texts);
void binding_expire_at(struct binding *binding, uint64_t expires_at_s);
void binding_save(struct binding *binding);
/* Whether the flow belongs to a phone registered for this account. */
bool binding_flow_is_of(struct gateway *gateway, const struct flow *flow, const char *account);
void bindings_free(struct gateway *gateway);
/* The core zone whose PBX registers the phones of zone `from`. False: none. */
bool registrar_zone(const struct gateway *gateway, uint8_t from, uint8_t *zone);
void register_receive(struct gateway *gateway, struct sip_server_transaction *server,
		      const struct sip_message *request);
/* Of a phone's REGISTER under way, to another server of the registrar's. */
bool register_again(struct relay *relay, const struct sip_message *request);
void register_response(struct relay *relay, const struct sip_message *response);
void registration_free(struct registration *registration);
void registration_zone_set(struct registration *registration, uint8_t zone);

#endif
