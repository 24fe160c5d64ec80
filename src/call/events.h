/* SPDX-License-Identifier: Apache-2.0
 * Private: what goes on outside calls: event packages and subscriptions, messages, bodies other than descriptions. */
#ifndef RINGWALL_CALL_EVENTS_H
#define RINGWALL_CALL_EVENTS_H

#include "call/model.h"

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

#endif
