/* SPDX-License-Identifier: Apache-2.0
 * Dialogs (RFC 3261 section 12): found by our tag, and only for the peer they were made with. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/sessions.h"

#define ROUTES_MAXIMUM 70 /* more values of a header no message has */

struct dialog_key *dialog_key_find(struct gateway *gateway, struct span tag)
{
	struct table_link *link;

	if (tag.length != TAG_LENGTH)
		return NULL;
	link = table_find(gateway->dialogs, table_hash(gateway->dialogs, tag.data, tag.length), &tag);
	return link ? table_object(link, struct dialog_key, link) : NULL;
}

struct fork *fork_find(struct call *call, struct span callee_tag)
{
	for (struct fork *fork = call->forks; fork; fork = fork->next)
		if (span_equal(span_from(fork->callee_tag), callee_tag))
			return fork;
	return NULL;
}

void fork_enter(struct call *call, struct fork *fork)
{
	struct gateway *gateway = call->gateway;

	fork->call = call;
	fork->key = (struct dialog_key){.tag = fork->caller_tag, .call = call, .fork = fork};
	table_add(gateway->dialogs, &fork->key.link, table_hash(gateway->dialogs, fork->caller_tag, TAG_LENGTH));
	fork->next = call->forks;
	call->forks = fork;
	call->fork_count++;
}

struct fork *fork_add(struct call *call, struct span callee_tag, bool final)
{
	struct gateway *gateway = call->gateway;
	struct fork *fork;

	if (call->fork_count >= (final ? FORKS_MAXIMUM + FORKS_FINAL : FORKS_MAXIMUM))
		return NULL;
	fork = pool_take(gateway->fork_pool);
	if (!fork)
		return NULL;
	fork->callee_tag = memory_copy_text(callee_tag);
	if (!fork->callee_tag) {
		pool_give(gateway->fork_pool, fork);
		return NULL;
	}
	random_token(gateway->random, fork->caller_tag, TAG_LENGTH);
	fork->next_cseq[CALLER] = call->caller_cseq + 1;
	fork_enter(call, fork);
	return fork;
}

void fork_free(struct fork *fork)
{
	struct gateway *gateway = fork->call->gateway;

	table_remove(gateway->dialogs, &fork->key.link);
	session_forget(fork);
	memory_free(fork->callee_tag);
	memory_free(fork->target);
	memory_free(fork->routes);
	memory_free_secret(fork->provisional, fork->provisional_length);
	pool_give(gateway->fork_pool, fork);
}

bool dialog_named(struct gateway *gateway, struct span call_id, struct span our_tag, struct span peer_tag,
		  struct dialog *out)
{
	struct dialog_key *key = dialog_key_find(gateway, our_tag);

	if (!key || !key->call)
		return false;
	out->call = key->call;
	out->leg = key->fork ? CALLER : CALLEE;
	if (!span_equal(call_id, span_from(key->call->legs[out->leg].call_id)))
		return false;
	if (key->fork) {
		out->fork = key->fork;
		return span_equal(peer_tag, span_from(key->call->legs[CALLER].remote_tag));
	}
	out->fork = fork_find(key->call, peer_tag);
	return out->fork != NULL;
}

bool dialog_find(struct gateway *gateway, const struct flow *flow, const struct sip_message *request,
		 struct dialog *out)
{
	if (!dialog_named(gateway, request->call_id, request->to.tag, request->from.tag, out) ||
	    !leg_takes_flow(gateway, &out->call->legs[out->leg], flow))
		return false;
	/* Our tag went where it now comes from. */
	transport_source_prove(gateway->transport, flow, PROOF_LIFETIME_S);
	call_touch(out->call);
	return true;
}

bool dialog_cseq_take(struct dialog *dialog, uint32_t cseq)
{
	uint32_t *next = &dialog->fork->next_cseq[dialog->leg];

	if (cseq < *next)
		return false;
	*next = cseq + 1;
	return true;
}

static void text_replace(char **text, struct span span)
{
	char *copy = memory_copy_text(span);

	if (!copy)
		return; /* the old one stays: better than none */
	memory_free(*text);
	*text = copy;
}

/* The Record-Route values as one Route value: in their order for who was called, reversed for who called
 * (RFC 3261 section 12.1). */
static void routes_write(const struct sip_message *message, bool reversed, struct buffer *out)
{
	struct span values[ROUTES_MAXIMUM];
	size_t count = 0;

	for (const struct sip_header *header = sip_message_header(message, SIP_HEADER_RECORD_ROUTE); header;
	     header = sip_message_header_next(message, header)) {
		struct span rest = header->value;

		while (count < sizeof(values) / sizeof(values[0]) && sip_list_next(&rest, &values[count]))
			count++;
	}
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_put_text(out, ", ");
		buffer_put_span(out, values[reversed ? count - 1 - i : i]);
	}
}

/* What of a Contact can be a Request-URI: headers have no place there (RFC 3261 section 19.1.1). */
static struct span contact_target(const struct sip_address *contact)
{
	const struct sip_uri *uri = &contact->uri;

	if (contact->unknown_scheme || contact->star || uri->scheme == SIP_SCHEME_TEL)
		return SPAN_EMPTY;
	return uri->headers.data ? span_slice(uri->text, 0, (size_t)(uri->headers.data - uri->text.data - 1))
				 : uri->text;
}

void dialog_learn_target(char **target, const struct sip_message *message)
{
	struct span contact = contact_target(&message->contact);

	if (contact.length && !(*target && span_equal(span_from(*target), contact)))
		text_replace(target, contact);
}

void dialog_learn_routes(struct gateway *gateway, char **routes, const struct sip_message *message, bool reversed)
{
	struct buffer out = gateway_scratch(gateway);

	if (*routes)
		return;
	routes_write(message, reversed, &out);
	if (out.length)
		text_replace(routes, buffer_span(&out));
}

void dialog_learn(struct call *call, struct fork *fork, uint8_t leg, const struct sip_message *message,
		  bool with_routes)
{
	refresh_allow_learn(call, leg, message);
	dialog_learn_target(leg == CALLER ? &call->legs[CALLER].target : &fork->target, message);
	if (with_routes)
		dialog_learn_routes(call->gateway, leg == CALLER ? &call->legs[CALLER].routes : &fork->routes, message,
				    leg == CALLEE);
}
