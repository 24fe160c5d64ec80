/* SPDX-License-Identifier: Apache-2.0
 * Dialogs of user agents (RFC 3261 section 12). */
#include "agent/ua.h"

#include <string.h>

void ua_contact_write(char *out, size_t capacity, const struct flow *flow, struct span user, bool secure)
{
	struct buffer text = buffer_over(out, capacity);

	buffer_put_text(&text, secure ? "<sips:" : "<sip:");
	if (user.length) {
		buffer_put_span(&text, user);
		buffer_put_byte(&text, '@');
	}
	address_write(&text, &flow->local);
	if (transport_is_stream(flow->transport) && !secure)
		buffer_printf(&text, ";transport=%s", transport_name(flow->transport));
	buffer_put_byte(&text, '>');
	buffer_text(&text);
}

static bool keep(struct span span, char *out, size_t capacity)
{
	return span_copy(span, out, capacity) == 0;
}

bool ua_dialog_open(struct ua *ua, struct ua_dialog *dialog, const struct flow *flow, struct span local_uri,
		    struct span remote_uri, struct span target)
{
	memset(dialog, 0, sizeof(*dialog));
	dialog->flow = *flow;
	random_token(ua->random, dialog->call_id, 24);
	random_token(ua->random, dialog->local_tag, 16);
	return keep(local_uri, dialog->local_uri, sizeof(dialog->local_uri)) &&
	       keep(remote_uri, dialog->remote_uri, sizeof(dialog->remote_uri)) &&
	       keep(target, dialog->target, sizeof(dialog->target));
}

/* Adds one header's list to the route set; in responses the set is in reverse order. */
static bool routes_add(char *routes, struct span value, bool reverse)
{
	char joined[UA_ROUTES_BYTES];
	struct buffer out = BUFFER_OVER(joined);
	struct span element;

	while (sip_list_next(&value, &element)) {
		struct span first = reverse ? element : span_from(routes);
		struct span second = reverse ? span_from(routes) : element;

		out = BUFFER_OVER(joined);
		buffer_put_span(&out, first);
		if (first.length && second.length)
			buffer_put_text(&out, ", ");
		buffer_put_span(&out, second);
		buffer_text(&out);
		if (out.overflow || span_copy(buffer_span(&out), routes, UA_ROUTES_BYTES))
			return false;
	}
	return true;
}

static bool routes_learn(struct ua_dialog *dialog, const struct sip_message *message, bool reverse)
{
	const struct sip_header *header = sip_message_header(message, SIP_HEADER_RECORD_ROUTE);

	*dialog->routes = '\0';
	for (; header; header = sip_message_header_next(message, header)) {
		if (!routes_add(dialog->routes, header->value, reverse))
			return false;
	}
	return true;
}

bool ua_dialog_accept(struct ua *ua, struct ua_dialog *dialog, const struct flow *flow,
		      const struct sip_message *request)
{
	struct span target = request->contact.uri.text.length ? request->contact.uri.text : request->from.uri.text;

	memset(dialog, 0, sizeof(*dialog));
	dialog->flow = *flow;
	random_token(ua->random, dialog->local_tag, 16);
	ua_contact_write(dialog->contact, sizeof(dialog->contact), flow, request->request_uri.user, false);
	return keep(request->call_id, dialog->call_id, sizeof(dialog->call_id)) &&
	       keep(request->from.tag, dialog->remote_tag, sizeof(dialog->remote_tag)) &&
	       keep(request->from.uri.text, dialog->remote_uri, sizeof(dialog->remote_uri)) &&
	       keep(request->to.uri.text, dialog->local_uri, sizeof(dialog->local_uri)) &&
	       keep(target, dialog->target, sizeof(dialog->target)) && routes_learn(dialog, request, false);
}

void ua_dialog_retarget(struct ua_dialog *dialog, const struct sip_message *message)
{
	char target[UA_URI_BYTES];

	if (message->contact.uri.text.length && keep(message->contact.uri.text, target, sizeof(target)))
		memcpy(dialog->target, target, sizeof(target));
}

bool ua_dialog_learn(struct ua_dialog *dialog, const struct sip_message *response)
{
	ua_dialog_retarget(dialog, response);
	return keep(response->to.tag, dialog->remote_tag, sizeof(dialog->remote_tag)) &&
	       routes_learn(dialog, response, true);
}

bool ua_dialog_matches(const struct ua_dialog *dialog, const struct sip_message *request)
{
	return span_equal(request->call_id, span_from(dialog->call_id)) &&
	       span_equal(request->to.tag, span_from(dialog->local_tag)) &&
	       span_equal(request->from.tag, span_from(dialog->remote_tag));
}
