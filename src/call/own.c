/* SPDX-License-Identifier: Apache-2.0
 * Requests of the gateway's own whose answers it waits for: built from a few texts, so that one can be sent again with another
 * CSeq when a provider asks for credentials (RFC 3261 section 22.2). */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/peers.h"

void own_request_free(struct own_request *own)
{
	if (!own)
		return;
	memory_free(own->uri);
	memory_free(own->routes);
	memory_free(own->from);
	memory_free(own->to);
	memory_free(own->call_id);
	memory_free(own->extra);
	memory_free(own);
}

static bool own_send(struct own_request *own)
{
	struct relay *relay = own->relay;
	struct gateway *gateway = relay->gateway;
	struct buffer out = gateway_scratch(gateway);
	const char *method = sip_method_name(own->method);
	char branch[SIP_BRANCH_CAPACITY], number[32];
	struct buffer cseq = BUFFER_OVER(number);

	sip_branch_make(gateway->random, branch);
	buffer_printf(&cseq, "%u %s", own->cseq, method);
	sip_write_request_line(&out, span_from(method), span_from(own->uri));
	build_via(gateway, &out, &own->flow, branch);
	sip_write_header_number(&out, SIP_HEADER_MAX_FORWARDS, 70);
	sip_write_header(&out, SIP_HEADER_FROM, span_from(own->from));
	sip_write_header(&out, SIP_HEADER_TO, span_from(own->to));
	sip_write_header(&out, SIP_HEADER_CALL_ID, span_from(own->call_id));
	sip_write_header(&out, SIP_HEADER_CSEQ, buffer_span(&cseq));
	if (own->routes)
		sip_write_header(&out, SIP_HEADER_ROUTE, span_from(own->routes));
	if (own->method == SIP_OPTIONS) /* RFC 3261 section 11.1; Teams asks back there */
		build_contact(gateway, &out, &(struct leg){.zone = own->flow.zone, .flow = own->flow});
	trunk_credentials_write(gateway, &own->flow, own->method, &own->answered, &out);
	if (own->extra)
		buffer_put_text(&out, own->extra);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (out.overflow)
		return false;
	if (relay->client)
		sip_client_user_set(relay->client, NULL);
	relay->client = sip_client_start(gateway_transactions(gateway), &own->flow, own->method, branch,
					 buffer_span(&out), relay);
	return relay->client != NULL;
}

static bool text_take(char **to, const char *text)
{
	*to = text ? memory_copy_text(span_from(text)) : NULL;
	return *to || !text;
}

static struct own_request *own_new(const struct flow *flow, enum sip_method method, uint32_t cseq,
				   const struct own_texts *texts)
{
	struct own_request *own = memory_alloc(sizeof(*own));
	bool taken;

	if (!own)
		return NULL;
	own->flow = *flow;
	own->method = (uint8_t)method;
	own->cseq = cseq;
	taken = text_take(&own->uri, texts->uri) && text_take(&own->routes, texts->routes);
	taken = taken && text_take(&own->from, texts->from) && text_take(&own->to, texts->to);
	taken = taken && text_take(&own->call_id, texts->call_id) && text_take(&own->extra, texts->extra);
	if (taken)
		return own;
	own_request_free(own);
	return NULL;
}

struct own_request *own_request_send(struct gateway *gateway, const struct flow *flow, enum sip_method method,
				     uint32_t cseq, const struct own_texts *texts, own_answer *answer, void *context)
{
	struct own_request *own = own_new(flow, method, cseq, texts);
	struct relay *relay = own ? pool_take(gateway->relay_pool) : NULL;

	if (!relay) {
		own_request_free(own);
		return NULL;
	}
	relay->gateway = gateway;
	relay->method = (uint8_t)method;
	relay->zones[0] = relay->zones[1] = flow->zone;
	relay->answered = true; /* nobody waits for it but us */
	relay->own = own;
	list_init(&relay->in_call);
	list_append(&gateway->all_relays, &relay->in_all);
	own->relay = relay;
	own->answer = answer;
	own->context = context;
	if (own_send(own))
		return own;
	relay_free(relay);
	return NULL;
}

static void own_done(struct own_request *own, const struct sip_message *response, uint16_t status)
{
	own_answer *answer = own->answer;

	own->answer = NULL;
	if (answer)
		answer(own->context, response, status);
}

void own_response(struct own_request *own, const struct sip_message *response)
{
	if (response->status < 200 || own->is_final)
		return;
	if (own->relay->zones[0] != NET_ZONE_NONE &&
	    trunk_challenge_take(own->relay->gateway, &own->flow, response, &own->answered)) {
		own->cseq++;
		if (own_send(own))
			return;
	}
	own->is_final = true;
	own_done(own, response, response->status);
}

void own_failed(struct own_request *own, uint16_t status)
{
	own->is_final = true;
	own_done(own, NULL, status);
}

void own_request_forget(struct own_request *own)
{
	if (own)
		own->answer = NULL;
}
