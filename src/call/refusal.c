/* SPDX-License-Identifier: Apache-2.0
 * Refusals: one table of the statuses the gateway refuses requests with, each with its counter and the header the RFC asks for.
 * What the parser refuses (400, 416, 505, 513) is answered and counted below, in the transport layer. Never sent are 421 (no
 * extension is required of anybody) and 493 (no body is ever encrypted for the gateway): such bodies get 415. */
#include "call/calls.h"
#include "call/dialogs.h"

struct refusal {
	uint16_t status;
	size_t counter;    /* offset in struct gateway_counters */
	const char *extra; /* whole header lines, unless the caller has others; or NULL */
};

#define ROW(status, counter, extra) \
	{ \
		status, offsetof(struct gateway_counters, counter), extra \
	}
static const struct refusal refusals[] = {
	ROW(400, refused_malformed, NULL),
	ROW(403, calls_refused_policy, NULL),
	ROW(404, refused_not_found, NULL),
	ROW(405, refused_method, "Allow: " OWN_ALLOW ", REGISTER\r\n"),
	ROW(406, refused_accept, NULL),
	ROW(414, refused_malformed, NULL),
	ROW(415, refused_body, NULL),
	ROW(416, refused_not_found, NULL),
	ROW(420, refused_extension, NULL),
	ROW(422, refused_interval, "Min-SE: 90\r\n"),
	ROW(480, refused_unreachable, NULL),
	ROW(481, refused_no_dialog, NULL),
	ROW(482, refused_loop, NULL),
	ROW(483, refused_loop, NULL),
	ROW(488, refused_offer, NULL),
	ROW(491, refused_pending, NULL),
	ROW(500, refused_pending, "Retry-After: 2\r\n"),
	ROW(501, refused_method, "Allow: " OWN_ALLOW ", REGISTER\r\n"),
	ROW(503, refused_busy, "Retry-After: 10\r\n"),
};

static const struct refusal *refusal_of(uint16_t status)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].status == status)
			return &refusals[i];
	return NULL;
}

const char *refusal_count(struct gateway *gateway, uint16_t status)
{
	const struct refusal *refusal = refusal_of(status);

	if (!refusal)
		return NULL;
	++*(uint64_t *)((char *)&gateway->counters + refusal->counter);
	return refusal->extra;
}

void request_refuse(struct gateway *gateway, struct sip_server_transaction *server, uint16_t status, const char *extra)
{
	const char *usual = refusal_count(gateway, status);

	respond(gateway, server, status, NULL, extra ? extra : usual);
}

/* ---- What every request is asked first ------------------------------------------------- */

static bool takes_descriptions(struct span range)
{
	ptrdiff_t end = span_index(range, ';');
	struct span type = span_trim(end < 0 ? range : span_slice(range, 0, (size_t)end));

	return span_is(type, "application/sdp") || span_is(type, "application/*") || span_is(type, "*/*");
}

/* An INVITE whose Accept has no place for a description (RFC 3261 section 21.4.7). */
static bool refuses_descriptions(const struct sip_message *request)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_ACCEPT);

	if (request->method != SIP_INVITE || !header)
		return false;
	for (; header; header = sip_message_header_next(request, header)) {
		struct span rest = header->value, range;

		while (sip_list_next(&rest, &range))
			if (takes_descriptions(range))
				return false;
	}
	return true;
}

/* What the gateway sent and that came back as it was: a Via of its own is in it, and the Request-URI is the same (a spiral, in
 * which a proxy put another one, is none; RFC 3261 section 16.3). */
static bool is_loop(struct gateway *gateway, const struct sip_message *request)
{
	for (const struct sip_header *header = sip_message_header(request, SIP_HEADER_VIA); header;
	     header = sip_message_header_next(request, header)) {
		struct span rest = header->value, element, branch;

		while (sip_list_next(&rest, &element)) {
			ptrdiff_t semicolon = span_index(element, ';');
			const struct relay *relay = NULL;
			struct sip_uri sent;

			if (semicolon >= 0 && sip_parameter_get(span_slice(element, (size_t)semicolon, element.length),
								"branch", &branch))
				relay = sip_client_user_of(gateway_transactions(gateway), request->method, branch);
			if (relay && relay->initial && relay->call && relay->call->legs[CALLEE].target &&
			    sip_uri_parse(span_from(relay->call->legs[CALLEE].target), &sent) == SIP_OK &&
			    sip_uri_equal(&sent, &request->request_uri))
				return true;
		}
	}
	return false;
}

bool refuse_unserved(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request)
{
	char tags[256], extra[300];
	struct buffer unsupported = BUFFER_OVER(tags);

	if (request->max_forwards == 0) {
		request_refuse(gateway, server, 483, NULL);
	} else if (policy_unsupported(request, &unsupported)) {
		snprintf(extra, sizeof(extra), "Unsupported: %.*s\r\n", SPAN_PRINT(buffer_span(&unsupported)));
		request_refuse(gateway, server, 420, unsupported.overflow ? NULL : extra);
	} else if (refresh_is_too_short(gateway, request)) {
		request_refuse(gateway, server, 422, NULL);
	} else if (sip_message_header(request, SIP_HEADER_CONTENT_ENCODING)) {
		request_refuse(gateway, server, 415, "Accept-Encoding: identity\r\n");
	} else if (request->body.length && !policy_body_allowed(request->method, request->content_type)) {
		request_refuse(gateway, server, 415,
			       request->method == SIP_INVITE ? "Accept: application/sdp\r\n" : NULL);
	} else if (refuses_descriptions(request)) {
		request_refuse(gateway, server, 406, NULL);
	} else if (request->method == SIP_INVITE && !request->to.tag.length && is_loop(gateway, request)) {
		request_refuse(gateway, server, 482, NULL);
	} else {
		return false;
	}
	return true;
}
