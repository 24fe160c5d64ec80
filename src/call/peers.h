/* SPDX-License-Identifier: Apache-2.0
 * Private: the other side of core and trunk zones: routes to it, its servers, requests of the gateway's own, accounts at
 * providers. */
#ifndef RINGWALL_CALL_PEERS_H
#define RINGWALL_CALL_PEERS_H

#include "call/model.h"

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

/* servers_record.c */
bool server_record_load(struct gateway *gateway, uint32_t slot, struct span bytes);

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

#endif
