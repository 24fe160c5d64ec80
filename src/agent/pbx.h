/* SPDX-License-Identifier: Apache-2.0
 * Private to the test PBX: what its files share.
 *
 * Who owns what: the PBX owns bindings and calls. An exchange is one request carried from one leg of a call (or from
 * nobody's) to the other side; it owns its branches and lives until all its transactions are gone. A call lives until it
 * has ended and no exchange refers to it. */
#ifndef RINGWALL_AGENT_PBX_H
#define RINGWALL_AGENT_PBX_H

#include "agent/agent.h"
#include "agent/sound.h"
#include "agent/ua.h"
#include "base/list.h"

#define PBX_BINDINGS_MAXIMUM 1000
#define PBX_BINDINGS_OF_USER 5 /* and so many are rung at a time */
#define PBX_CALLS_MAXIMUM 1000
#define PBX_USER_BYTES 128
#define PBX_EXPIRES_DEFAULT_S 3600
#define PBX_EXPIRES_MAXIMUM_S 86400
#define PBX_RINGING_MS 180000
#define PBX_SILENCE_US 300000000ull
#define PBX_SUBSCRIPTIONS_MAXIMUM 1000
#define PBX_MESSAGES_MAXIMUM 99
#define PBX_ALLOW "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, INFO, UPDATE, MESSAGE, REFER, SUBSCRIBE, NOTIFY"

struct pbx_binding {
	struct list link;
	char user[PBX_USER_BYTES];
	char uri[UA_URI_BYTES];
	struct flow flow; /* it registered on */
	uint64_t expires_us;
};

struct pbx_exchange;
struct pbx_transfer;

/* A number of the PBX's own. */
struct pbx_extension {
	const char *number;
	bool is_tone;             /* else echo */
	const char *refers_to;    /* number: the caller is transferred there once the call is up; or NULL */
	bool replaces;            /* so that the new call takes this one's place */
	const char *redirects_to; /* number, with 302; or NULL */
	int8_t messages;          /* 1: one more in the mailbox, -1: none any more */
};

struct pbx_call {
	struct list link;
	struct testpbx *pbx;
	struct ua_dialog legs[2]; /* caller, callee; a call to 600 or 601 has the first only */
	bool has_callee, ended;
	uint32_t references;             /* exchanges */
	struct pbx_exchange *pending[2]; /* the latest INVITE from each leg, for its ACK */
	struct pbx_transfer *transfer;   /* that one of its legs asked for, while it is under way */

	/* Of 600 and 601. */
	bool is_sound, is_tone, peer_hears, awaits_answer;
	struct sip_server_transaction *server; /* the INVITE whose ACK is awaited */
	const char *refers_to;                 /* as its extension says, until done */
	bool replaces;
	struct sound_end sound;
	struct sdp_crypto crypto_peer, crypto_own;
	uint64_t version;
	struct timer timer;
	uint64_t started_us, last_packet_us, frames;
};

struct pbx_branch {
	struct pbx_exchange *exchange;
	struct sip_client_transaction *client;
	struct ua_dialog dialog; /* of the initial INVITE and of MESSAGE; else the call's leg is used */
	bool done;
};

struct pbx_exchange {
	struct list link;
	struct testpbx *pbx;
	struct pbx_call *call;                 /* NULL: a MESSAGE outside of calls */
	struct sip_server_transaction *server; /* NULL when gone, and where a transfer asks */
	struct pbx_transfer *transfer;         /* or NULL */
	struct ua_dialog *replaced;            /* the leg that a caller with Replaces takes the place of; or NULL */
	struct pbx_branch *branches[PBX_BINDINGS_OF_USER];
	uint8_t branch_count;
	uint8_t method;
	uint8_t from; /* leg that the request came on */
	bool initial, cancelled;
	struct pbx_branch *winner;
	uint16_t best_status;
	uint32_t cseq; /* on the other leg */
	char *ack;
	size_t ack_length;
	struct timer ringing;
};

struct testpbx {
	struct ua ua;
	struct testpbx_settings settings; /* its texts are copies */
	uint8_t nonce_key[16];
	char ha1[SIP_DIGEST_COUNT][SIP_HA1_CAPACITY];
	struct list bindings, calls, exchanges, transfers, subscriptions;
	uint32_t binding_count, call_count, subscription_count;
	uint32_t messages;  /* in the one mailbox */
	struct timer watch; /* looks what subscribers are to be told */
};

/* testpbx.c */
const struct pbx_extension *pbx_extension_find(struct span number); /* or NULL */
struct pbx_call *pbx_call_new(struct testpbx *pbx, const struct flow *flow, const struct sip_message *invite);
/* With a leg that another call had; the caller sees to it that only one keeps it. */
struct pbx_call *pbx_call_joined(struct testpbx *pbx, const struct ua_dialog *dialog);
void pbx_call_release(struct pbx_call *call); /* frees it if it has ended and nobody refers to it */
/* Sends BYE on a leg and forgets about it. */
void pbx_bye(struct testpbx *pbx, struct ua_dialog *dialog);

/* The call in which a leg of ours is named so: by To tag ours, by From tag the peer's. NULL: none. */
struct pbx_call *pbx_call_find(struct testpbx *pbx, struct span call_id, struct span to_tag, struct span from_tag,
			       uint8_t *leg);

/* pbx_register.c */
/* Whether the request may be served; if not, it is answered. */
bool pbx_authenticate(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *request,
		      struct span claimed_user);
void pbx_register(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *request);
void pbx_bindings_free(struct testpbx *pbx);
/* The live bindings of a user. Returns how many. */
size_t pbx_bindings_find(struct testpbx *pbx, struct span user, struct pbx_binding **out, size_t capacity);
/* A way to the binding: the flow it registered on, or a new one to its contact. Returns 0 or a negative error. */
int pbx_binding_flow(struct testpbx *pbx, const struct pbx_binding *binding, struct flow *flow);

/* pbx_sound.c */
void pbx_sound_invite(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *invite,
		      const struct pbx_extension *extension);
/* A call without a caller yet: who is transferred here gets the offer that pbx_sound_offer writes. */
struct pbx_call *pbx_sound_new(struct testpbx *pbx, const struct ua_dialog *peer,
			       const struct pbx_extension *extension);
void pbx_sound_offer(struct pbx_call *call, struct buffer *sdp);
bool pbx_sound_answered(struct pbx_call *call, struct span sdp);
/* `invite` takes the place of the call's peer (RFC 3891). */
void pbx_sound_replace(struct pbx_call *call, struct sip_server_transaction *server, const struct sip_message *invite);
void pbx_sound_request(struct pbx_call *call, struct sip_server_transaction *server, const struct sip_message *request);
void pbx_sound_ack(struct pbx_call *call, const struct sip_message *ack);
void pbx_sound_end(struct pbx_call *call, bool say_bye);

/* pbx_bridge.c */
void pbx_bridge_invite(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *invite);
void pbx_bridge_message(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *message);
void pbx_bridge_request(struct pbx_call *call, uint8_t leg, struct sip_server_transaction *server,
			const struct sip_message *request);
void pbx_bridge_ack(struct pbx_call *call, uint8_t leg, const struct sip_message *ack);
void pbx_exchange_cancelled(struct pbx_exchange *exchange);
void pbx_exchange_unacknowledged(struct pbx_exchange *exchange);
void pbx_exchange_server_gone(struct pbx_exchange *exchange);
void pbx_branch_response(struct pbx_branch *branch, const struct sip_message *response);
void pbx_branch_failed(struct pbx_branch *branch);
void pbx_branch_gone(struct pbx_branch *branch);
void pbx_exchange_free(struct pbx_exchange *exchange);
/* INVITE of a transfer's: to the phones of the user that it names when `initial`, else to the other leg than `from`.
 * What comes back is told by pbx_transfer_answered. NULL: it was not sent. */
struct pbx_exchange *pbx_exchange_transfer(struct pbx_transfer *transfer, struct pbx_call *call, uint8_t from,
					   bool initial, const struct sip_message *invite);
void pbx_exchange_ack(struct pbx_exchange *exchange, struct span content_type, struct span body);
/* `invite` takes the place of a leg (RFC 3891). */
void pbx_bridge_replace(struct pbx_call *call, uint8_t leg, struct sip_server_transaction *server,
			const struct sip_message *invite);
bool pbx_call_waits(const struct pbx_call *call); /* an INVITE is under way */

/* pbx_transfer.c */
void pbx_transfer_request(struct pbx_call *call, uint8_t leg, struct sip_server_transaction *server,
			  const struct sip_message *refer);
void pbx_transfer_answered(struct pbx_transfer *transfer, struct pbx_exchange *exchange, uint16_t status,
			   const struct sip_message *response);
void pbx_transfer_exchange_gone(struct pbx_transfer *transfer, const struct pbx_exchange *exchange);
/* A leg of a call under transfer hung up. Returns whether the other leg stays. */
bool pbx_transfer_bye(struct pbx_call *call, uint8_t leg);
void pbx_transfers_free(struct testpbx *pbx);
/* The call that a header Replaces names. Returns 0, or the status to refuse with. */
uint16_t pbx_replaces_find(struct testpbx *pbx, struct span value, struct pbx_call **call, uint8_t *leg);
/* Sends the caller of 602 or 603 where it is to go. */
void pbx_refer_send(struct pbx_call *call);

/* pbx_subscribe.c */
void pbx_subscribe(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *subscribe);
/* Within a dialog. False: there is no such subscription. */
bool pbx_subscribe_again(struct testpbx *pbx, struct sip_server_transaction *server,
			 const struct sip_message *subscribe);
void pbx_subscriptions_free(struct testpbx *pbx);

#endif
