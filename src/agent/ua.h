/* SPDX-License-Identifier: Apache-2.0
 * Private to src/agent: what a user agent needs beside transactions. A loop with its clock, dialogs
 * (RFC 3261 section 12), and the answer to a digest challenge. */
#ifndef RINGWALL_AGENT_UA_H
#define RINGWALL_AGENT_UA_H

#include "transport/transport.h"

struct event;

#define UA_URI_BYTES 512
#define UA_ROUTES_BYTES 2048
#define UA_MESSAGE_BYTES 16384

struct ua {
	struct event_base *loop;
	struct timer_wheel *wheel;
	struct event *tick; /* drives the wheel */
	struct transport_layer *transport;
	struct random_source random;
	char *message; /* what is being written; one at a time */
};

/* `loop` is the caller's. Returns 0 or a negative error; ua_stop cleans up either way. */
int ua_start(struct ua *ua, struct event_base *loop, const struct sip_transaction_callbacks *callbacks, void *context,
	     void (*closed)(void *context, const struct flow *flow));
void ua_stop(struct ua *ua);

/* Listens; a port of 0 in *address becomes the one the kernel chose. */
int ua_listen(struct ua *ua, enum transport transport, struct address *address);

struct ua_dialog {
	struct flow flow;
	char call_id[256];
	char local_tag[128], remote_tag[128];
	char local_uri[UA_URI_BYTES], remote_uri[UA_URI_BYTES]; /* of From and To */
	char target[UA_URI_BYTES];                              /* the remote one */
	char contact[UA_URI_BYTES];                             /* ours, with its <> */
	char routes[UA_ROUTES_BYTES];                           /* the route set, a comma list */
	uint32_t cseq;                                          /* the last of ours */
};

/* Contact of ours on `flow`, for `user`; a sips: one when `secure` (RFC 3261 section 8.1.1.8). */
void ua_contact_write(char *out, size_t capacity, const struct flow *flow, struct span user, bool secure);

/* As caller: a new Call-ID and tag. As called side: from the request, with a new tag. Both return false when
 * something is too long to be kept. */
bool ua_dialog_open(struct ua *ua, struct ua_dialog *dialog, const struct flow *flow, struct span local_uri,
		    struct span remote_uri, struct span target);
bool ua_dialog_accept(struct ua *ua, struct ua_dialog *dialog, const struct flow *flow,
		      const struct sip_message *request);
/* What the response that makes a dialog says: tag, remote target, route set. */
bool ua_dialog_learn(struct ua_dialog *dialog, const struct sip_message *response);
/* A new remote target (re-INVITE, UPDATE, and their 2xx), if there is a Contact. */
void ua_dialog_retarget(struct ua_dialog *dialog, const struct sip_message *message);
/* Whether a request from the peer belongs to it. */
bool ua_dialog_matches(const struct ua_dialog *dialog, const struct sip_message *request);

/* Starts a request in the dialog in ua->message: all its own headers; the caller adds more and ends it
 * with ua_request_send. `cseq` is the number to use. */
struct buffer ua_request_start(struct ua *ua, const struct ua_dialog *dialog, struct span method, uint32_t cseq,
			       char branch[SIP_BRANCH_CAPACITY]);
struct sip_client_transaction *ua_request_send(struct ua *ua, const struct ua_dialog *dialog, enum sip_method method,
					       const char *branch, struct buffer *out, struct span content_type,
					       struct span body, void *user);

/* The same for responses. The Record-Route of the request is repeated (section 12.1.1), Contact is the caller's. */
struct buffer ua_response_start(struct ua *ua, const struct sip_message *request, const struct flow *flow,
				uint16_t status, const char *to_tag);
int ua_response_send(struct sip_server_transaction *server, uint16_t status, struct buffer *out,
		     struct span content_type, struct span body);
/* A whole one without a body. An empty tag: one is made. */
int ua_respond(struct ua *ua, struct sip_server_transaction *server, uint16_t status, const char *to_tag);

/* Adds the credentials that the strongest challenge of a 401 or 407 asks for. Returns 0, or -ENOENT when there is none
 * that can be answered. */
int ua_authorize(struct ua *ua, struct buffer *out, const struct sip_message *response, const char *user,
		 const char *password, struct span method, struct span uri);

#endif
