/* SPDX-License-Identifier: Apache-2.0
 * Redirects (RFC 3261 section 8.1.3.4): who answers a call with "moved" names another target. The gateway sends the call there
 * itself, as the one who redirects would dial it and at that one's cost, or tells the caller, or does neither. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/peers.h"
#include "call/sessions.h"

#define CONTACTS_MAXIMUM 8

struct contact {
	struct sip_uri uri;
	unsigned q; /* in thousandths */
};

/* RFC 3261 section 20.10: "0.5"; without one it is wanted most. */
static unsigned q_of(const struct sip_address *address)
{
	unsigned q = 0, unit = 100;
	struct span text;

	if (!sip_parameter_get(address->parameters, "q", &text) || !text.length || text.data[0] == '1')
		return 1000;
	for (size_t i = 2; i < text.length && i < 5 && text.data[i] >= '0' && text.data[i] <= '9'; i++, unit /= 10)
		q += unit * (unsigned)(text.data[i] - '0');
	return q;
}

/* Where a call can be sent, the most wanted first; of equal ones in their order. */
static size_t contacts_read(const struct sip_message *response, struct contact contacts[CONTACTS_MAXIMUM])
{
	size_t count = 0;

	for (const struct sip_header *header = sip_message_header(response, SIP_HEADER_CONTACT); header;
	     header = sip_message_header_next(response, header)) {
		struct span rest = header->value, element;
		struct sip_address address;

		while (count < CONTACTS_MAXIMUM && sip_list_next(&rest, &element)) {
			size_t at = count;
			unsigned q;

			if (sip_address_parse(element, &address) != SIP_OK || address.unknown_scheme || address.star ||
			    !address.uri.user.length)
				continue;
			q = q_of(&address);
			for (; at && contacts[at - 1].q < q; at--)
				contacts[at] = contacts[at - 1];
			contacts[at] = (struct contact){address.uri, q};
			count++;
		}
	}
	return count;
}

/* 305 names a proxy and 380 another service: neither says where the called one is. */
static bool names_targets(uint16_t status)
{
	return status >= 300 && status <= 302;
}

static uint64_t target_hash(struct gateway *gateway, uint8_t zone, const char *uri)
{
	return table_hash(gateway->dialogs, uri, strlen(uri)) ^ zone;
}

/* Whether the call is at this target, or was before (THREATS S10). */
static bool was_there(const struct call *call, uint64_t hash)
{
	const struct leg *leg = &call->legs[CALLEE];

	if (hash == target_hash(call->gateway, leg->zone, leg->target))
		return true;
	for (uint8_t i = 0; i < call->redirects; i++)
		if (call->redirected_from[i] == hash)
			return true;
	return false;
}

/* Whether the user part is the caller's own name: it would ring where it calls from. */
static bool is_caller(const struct call *call, const struct sip_uri *uri)
{
	return call->legs[CALLER].account && sip_user_equal(uri->user, span_from(call->legs[CALLER].account));
}

/* Who redirects, when that is a phone: it dials and pays; else the caller does. */
static const struct leg *dialler_of(const struct call *call)
{
	const struct leg *callee = &call->legs[CALLEE];

	return gateway_zone(call->gateway, callee->zone)->kind == ZONE_ACCESS ? callee : &call->legs[CALLER];
}

/* The first Contact that the routes lead to. False: none. */
static bool target_find(struct call *call, const struct sip_message *response, struct sip_uri *uri, struct tried *tried,
			struct route_target *target)
{
	struct gateway *gateway = call->gateway;
	struct contact contacts[CONTACTS_MAXIMUM];
	size_t count = contacts_read(response, contacts);

	for (size_t i = 0; i < count; i++) {
		*target = (struct route_target){0};
		*tried = (struct tried){0};
		if (is_caller(call, &contacts[i].uri) ||
		    route_find(gateway, &dialler_of(call)->flow, &contacts[i].uri, tried, target) ||
		    was_there(call, target_hash(gateway, target->zone, target->uri)))
			continue;
		*uri = contacts[i].uri;
		return true;
	}
	return false;
}

/* Who redirected, for those who are not phones (RFC 5806). NULL: no memory. */
static char *diversion_text(const struct call *call, const struct route_target *target)
{
	const struct leg *leg = &call->legs[CALLEE];
	char value[600], text[700] = "";
	struct buffer user = BUFFER_OVER(value), out = BUFFER_OVER(text);

	if (gateway_zone(call->gateway, target->zone)->kind != ZONE_ACCESS && dialler_of(call) == leg) {
		build_user(&user, span_from(leg->account));
		buffer_printf(&out, "Diversion: <sip:%.*s@%s>;reason=%s;counter=%u\r\n", SPAN_PRINT(buffer_span(&user)),
			      route_domain(call->gateway, target->zone),
			      call->state == CALL_RINGING ? "deflection" : "unconditional", call->redirects + 1u);
	}
	return user.overflow || out.overflow ? NULL : memory_copy_text(buffer_span(&out));
}

/* The early dialogs with who redirected are gone. */
static void forks_drop(struct call *call)
{
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->initial)
			continue;
		relay_refuse(relay, 481, NULL);
		list_remove(&relay->in_call);
		relay_uncount(relay);
		relay->call = NULL;
		relay->fork = NULL;
	}
	while (call->forks) {
		struct fork *fork = call->forks;

		call->forks = fork->next;
		fork_free(fork);
	}
	call->fork_count = 0;
}

/* The callee's leg, anew. False: no memory, and nothing has changed. */
static bool leg_replace(struct relay *relay, const struct sip_message *request, const struct route_target *target)
{
	struct call *call = relay->call;
	struct leg *leg = &call->legs[CALLEE], fresh = {0};
	const struct leg *dialler = dialler_of(call);
	char *payer = dialler == leg ? memory_copy_text(span_from(leg->account)) : NULL;
	char *extra = diversion_text(call, target);
	uint64_t left = target_hash(call->gateway, leg->zone, leg->target);

	memcpy(fresh.local_tag, leg->local_tag, sizeof(fresh.local_tag));
	if (!extra || (dialler == leg && !payer) || !leg_set_uac(call->gateway, &fresh, target, request)) {
		leg_clear(&fresh);
		memory_free(payer);
		memory_free(extra);
		return false;
	}
	if (payer) {
		memory_free(call->payer);
		call->payer = payer;
	}
	memory_free(relay->extra); /* what named a dialog with who redirected is of no use elsewhere */
	relay->extra = extra;
	call->redirected_from[call->redirects++] = left;
	forks_drop(call);
	session_close(call); /* the other zone has other ports */
	leg_clear(leg);
	*leg = fresh;
	return true;
}

static bool redirect_follow(struct relay *relay, const struct sip_message *response)
{
	struct call *call = relay->call;
	const struct sip_message *request = relay->server ? sip_server_request(relay->server) : NULL;
	struct tried tried;
	struct sip_message meant;
	struct route_target target;

	if (!request || relay->answered || call->redirects == REDIRECTS_MAXIMUM)
		return false;
	meant = *request;
	/* Each of them counts as a hop, so that a circle of calls through the PBX ends as well (RFC 3261 section 8.1.3.4). */
	meant.max_forwards = (request->max_forwards < 0 ? 70 : request->max_forwards) - call->redirects - 1;
	if (meant.max_forwards <= 0 || !target_find(call, response, &meant.request_uri, &tried, &target) ||
	    !leg_replace(relay, &meant, &target))
		return false;
	if (relay->client)
		sip_client_user_set(relay->client, NULL);
	relay->client = NULL;
	relay->final = false;
	relay->exchange = 0;
	relay->challenged = (struct trunk_answered){0};
	relay->tried = tried;
	call->state = CALL_CALLING;
	call->gateway->counters.redirects_followed++;
	int status = invite_forward(relay, &meant);

	if (status)
		call_end(call, -1, (uint16_t)status, "Refused");
	return true;
}

bool redirect_receive(struct relay *relay, const struct sip_message *response)
{
	struct gateway_counters *counters = &relay->gateway->counters;
	const struct config_zone *zone = gateway_zone(relay->gateway, relay->call->legs[CALLEE].zone);

	if (zone->redirects == REDIRECTS_FOLLOW && names_targets(response->status) && redirect_follow(relay, response))
		return true;
	if (redirect_is_told(relay, response))
		counters->redirects_passed++;
	else
		counters->redirects_refused++;
	return false;
}

bool redirect_is_told(const struct relay *relay, const struct sip_message *response)
{
	struct contact contacts[CONTACTS_MAXIMUM];

	return relay->initial && names_targets(response->status) &&
	       gateway_zone(relay->gateway, relay->call->legs[CALLEE].zone)->redirects == REDIRECTS_PASS &&
	       contacts_read(response, contacts) > 0;
}

void redirect_write(const struct relay *relay, const struct sip_message *response, struct buffer *out)
{
	struct contact contacts[CONTACTS_MAXIMUM];
	size_t count = contacts_read(response, contacts);
	const char *domain = route_domain(relay->gateway, relay->call->legs[CALLER].zone);

	for (size_t i = 0; i < count; i++) {
		char user[300], text[600];
		struct buffer name = BUFFER_OVER(user), value = BUFFER_OVER(text);

		build_user_of(&name, &contacts[i].uri);
		buffer_printf(&value, "<sip:%.*s@%s>;q=%u.%03u", SPAN_PRINT(buffer_span(&name)), domain,
			      contacts[i].q / 1000, contacts[i].q % 1000);
		if (!name.overflow && !value.overflow)
			sip_write_header(out, SIP_HEADER_CONTACT, buffer_span(&value));
	}
}
