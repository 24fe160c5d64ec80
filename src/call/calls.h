/* SPDX-License-Identifier: Apache-2.0
 * Private: a call from its INVITE to what is left of it: renegotiation, session timers, replacing, redirecting, transfers, and
 * how it outlives the process. */
#ifndef RINGWALL_CALL_CALLS_H
#define RINGWALL_CALL_CALLS_H

#include "call/model.h"

struct dialog;
struct route_target;

/* invite.c: the INVITE that makes a call */
bool invite_is_emergency(const struct gateway *gateway, const struct sip_uri *uri);
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
#define TRANSFER_EXPIRES_MS 60000 /* a token that is not used */
#define TRANSFER_LINGER_MS 32000  /* an ended call whose REFER is still told about */
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
/* views.c; texts are valid while the call is as it is. */
void call_view(const struct call *call, struct gateway_call_view *out);
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

/* snapshot.c: a call as a record, and back */
void call_record_write(struct call *call, struct buffer *out);
bool call_record_load(struct gateway *gateway, uint32_t slot, struct span bytes);

#endif
