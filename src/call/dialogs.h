/* SPDX-License-Identifier: Apache-2.0
 * Private: dialogs, and what is said in them: finding and remembering them, building messages, what crosses from one leg to the
 * other. */
#ifndef RINGWALL_CALL_DIALOGS_H
#define RINGWALL_CALL_DIALOGS_H

#include "call/model.h"

struct route_target;

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

#endif
