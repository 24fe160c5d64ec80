/* SPDX-License-Identifier: Apache-2.0
 * Private: registrations of phones and their flows, and who may act as whom. */
#ifndef RINGWALL_CALL_PHONES_H
#define RINGWALL_CALL_PHONES_H

#include "call/model.h"

/* flows.c: what a registration says beyond a contact */
#define FLOW_TIMER_STREAM_S 120 /* a phone is to send keep-alives so often (RFC 5626 section 4.4) */
#define FLOW_SILENCE_MS ((FLOW_TIMER_STREAM_S + 30) * 1000) /* and is gone without */
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
