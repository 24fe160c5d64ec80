/* SPDX-License-Identifier: Apache-2.0
 * Session timers (RFC 4028): on each leg the gateway is a user agent of its own, which agrees on an interval with that peer,
 * refreshes where that falls to it, and ends a call whose peer does not. Nothing of it crosses. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/sessions.h"

#define INTERVAL_LEAST_S 90   /* RFC 4028 section 5 */
#define INTERVAL_MOST_S 86400 /* a longer demand (Min-SE) is nobody's but an attacker's */
#define PAUSE_MS 10000        /* before a refresh that came to nothing is tried again */
#define DEMANDS_MAXIMUM 5     /* of longer intervals (422), by as many proxies; more are a peer that plays with us */
#define TRIES_MAXIMUM 3       /* of them; then the session expires */

/* "1800;refresher=uac". False: absent or no number. */
static bool interval_take(const struct sip_message *message, enum sip_header_id id, uint32_t *interval_s,
			  struct span *refresher)
{
	const struct sip_header *header = sip_message_header(message, id);
	ptrdiff_t end = header ? span_index(header->value, ';') : -1;
	struct span parameters = SPAN_EMPTY;
	uint64_t number;

	if (!header)
		return false;
	if (end >= 0)
		parameters = span_slice(header->value, (size_t)end, header->value.length);
	if (span_to_uint(span_trim(end < 0 ? header->value : span_slice(header->value, 0, (size_t)end)), UINT32_MAX,
			 &number))
		return false;
	*interval_s = (uint32_t)number;
	if (refresher)
		sip_parameter_get(parameters, "refresher", refresher);
	return true;
}

static bool knows_timers(const struct sip_message *message)
{
	return sip_message_has_token(message, SIP_HEADER_SUPPORTED, "timer") ||
	       sip_message_has_token(message, SIP_HEADER_REQUIRE, "timer");
}

/* What this gateway asks for on a leg; 0: session timers are off. */
static uint32_t wanted_s(const struct call *call, uint8_t leg)
{
	uint32_t interval_s = call->gateway->config->calls.session_expires_s, least_s = call->refreshes[leg].least_s;

	if (!interval_s)
		return 0;
	least_s = least_s > INTERVAL_LEAST_S ? least_s : INTERVAL_LEAST_S;
	return interval_s > least_s ? interval_s : least_s;
}

bool refresh_is_on(const struct gateway *gateway)
{
	return gateway->config->calls.session_expires_s != 0;
}

/* ---- What is agreed ---- */

static void refresh_due(struct call *call, uint8_t leg);

static void caller_due(void *context)
{
	refresh_due(context, CALLER);
}

static void callee_due(void *context)
{
	refresh_due(context, CALLEE);
}

static void wait(struct call *call, uint8_t leg, uint64_t delay_ms)
{
	struct timer *timer = &call->refreshes[leg].timer;

	timer->fire = leg == CALLER ? caller_due : callee_due;
	timer->context = call;
	call_touch(call);
	timer_start(call->gateway->wheel, timer, delay_ms);
}

/* RFC 4028 section 10: who refreshes does so at half the interval; who waits gives up a little before its end. */
void refresh_start(struct call *call, uint8_t leg)
{
	struct refresh *refresh = &call->refreshes[leg];
	uint64_t interval_ms = refresh->interval_s * 1000ull;
	uint64_t spare_ms = interval_ms / 3 < 32000 ? interval_ms / 3 : 32000;

	refresh->tries = 0;
	if (!refresh->interval_s || call->state == CALL_ENDING)
		timer_stop(call->gateway->wheel, &refresh->timer);
	else
		wait(call, leg, refresh->ours ? interval_ms / 2 : interval_ms - spare_ms);
}

void refresh_resume(struct call *call, uint8_t leg)
{
	uint64_t now_ms = clock_monotonic_us() / 1000, due_ms = call->refreshes[leg].timer.due_ms;

	/* One that was under way when the process died is begun anew. */
	if (call->refreshes[leg].interval_s)
		wait(call, leg, due_ms > now_ms ? due_ms - now_ms : 1);
}

void refresh_stop(struct call *call)
{
	for (uint8_t leg = 0; leg < 2; leg++)
		timer_stop(call->gateway->wheel, &call->refreshes[leg].timer);
}

void refresh_learn(struct call *call, uint8_t leg, const struct sip_message *response)
{
	struct refresh *refresh = &call->refreshes[leg];
	struct span refresher = SPAN_EMPTY;
	uint32_t interval_s = 0;

	if (refresh_is_on(call->gateway))
		interval_take(response, SIP_HEADER_SESSION_EXPIRES, &interval_s, &refresher);
	if (interval_s && interval_s < INTERVAL_LEAST_S)
		interval_s = INTERVAL_LEAST_S;
	refresh->interval_s = interval_s;
	refresh->ours = !span_is(refresher, "uas");
	refresh_start(call, leg);
}

void refresh_allow_learn(struct call *call, uint8_t leg, const struct sip_message *message)
{
	if (sip_message_header(message, SIP_HEADER_ALLOW))
		call->refreshes[leg].by_update = sip_message_has_token(message, SIP_HEADER_ALLOW, "UPDATE");
}

/* ---- What is written ---- */

void refresh_write_request(struct call *call, uint8_t leg, struct buffer *out)
{
	const struct refresh *refresh = &call->refreshes[leg];
	uint32_t interval_s = wanted_s(call, leg);
	char text[48];
	struct buffer value = BUFFER_OVER(text);

	if (!interval_s)
		return;
	if (refresh->interval_s > interval_s)
		interval_s = refresh->interval_s;
	buffer_put_uint(&value, interval_s);
	if (refresh->interval_s) /* the roles stay as they are (RFC 4028 section 7.4) */
		buffer_put_text(&value, refresh->ours ? ";refresher=uac" : ";refresher=uas");
	sip_write_header(out, SIP_HEADER_SESSION_EXPIRES, buffer_span(&value));
	sip_write_header_number(out, SIP_HEADER_MIN_SE,
				refresh->least_s > INTERVAL_LEAST_S ? refresh->least_s : INTERVAL_LEAST_S);
}

void refresh_write_response(struct call *call, uint8_t leg, const struct sip_message *request, struct buffer *out)
{
	struct refresh *refresh = &call->refreshes[leg];
	struct span refresher = SPAN_EMPTY;
	uint32_t asked_s = 0, least_s = 0, interval_s = wanted_s(call, leg);
	bool knows = knows_timers(request);

	refresh->interval_s = 0;
	interval_take(request, SIP_HEADER_SESSION_EXPIRES, &asked_s, &refresher);
	interval_take(request, SIP_HEADER_MIN_SE, &least_s, NULL);
	if (interval_s && (asked_s || knows)) {
		interval_s = asked_s && asked_s < interval_s ? asked_s : interval_s;
		/* Never below what it asked at least, which is never above what it asked for (RFC 4028 section 9). */
		if (least_s <= INTERVAL_MOST_S && (!asked_s || least_s <= asked_s) && interval_s < least_s)
			interval_s = least_s;
		refresh->interval_s = interval_s > INTERVAL_LEAST_S ? interval_s : INTERVAL_LEAST_S;
		refresh->ours = !knows || span_is(refresher, "uas");
		buffer_printf(out, "Session-Expires: %u;refresher=%s\r\n", refresh->interval_s,
			      refresh->ours ? "uas" : "uac");
		if (!refresh->ours)
			sip_write_header(out, SIP_HEADER_REQUIRE, SPAN("timer"));
	}
	refresh_start(call, leg);
}

bool refresh_is_too_short(const struct gateway *gateway, const struct sip_message *request)
{
	uint32_t interval_s;

	return refresh_is_on(gateway) && (request->method == SIP_INVITE || request->method == SIP_UPDATE) &&
	       interval_take(request, SIP_HEADER_SESSION_EXPIRES, &interval_s, NULL) && interval_s < INTERVAL_LEAST_S &&
	       knows_timers(request);
}

bool refresh_demand_learn(struct call *call, uint8_t leg, const struct sip_message *response)
{
	struct refresh *refresh = &call->refreshes[leg];
	uint32_t least_s = 0;

	if (!refresh_is_on(call->gateway) || !interval_take(response, SIP_HEADER_MIN_SE, &least_s, NULL) ||
	    least_s > INTERVAL_MOST_S || least_s <= wanted_s(call, leg) || refresh->demands >= DEMANDS_MAXIMUM)
		return false;
	refresh->demands++;
	refresh->least_s = least_s;
	return true;
}

/* ---- Refreshes of the gateway's own ---- */

static bool request_send(struct call *call, struct relay *relay)
{
	struct gateway *gateway = call->gateway;
	uint8_t to = other_leg(relay->from);
	const struct described *described = &call->session.described[to];
	struct buffer out = gateway_scratch(gateway);
	char branch[SIP_BRANCH_CAPACITY];

	sip_branch_make(gateway->random, branch);
	relay->client_cseq = ++call->legs[to].cseq;
	build_request(call, relay->fork, to, relay->method, relay->client_cseq, branch, 70, &out);
	build_contact(gateway, &out, &call->legs[to]);
	sip_write_header(&out, SIP_HEADER_ALLOW, SPAN(OWN_ALLOW));
	sip_write_header(&out, SIP_HEADER_SUPPORTED, SPAN("timer"));
	refresh_write_request(call, to, &out);
	if (relay->method == SIP_INVITE)
		sip_write_body(&out, SPAN("application/sdp"), (struct span){described->bytes, described->length});
	else
		sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (out.overflow || out.length > MESSAGE_LONGEST)
		return false;
	relay->client = sip_client_prepare(gateway_transactions(gateway), &call->legs[to].flow, relay->method, branch,
					   buffer_span(&out), relay);
	if (!relay->client)
		return false;
	call_touch(call);
	sip_client_send(relay->client, buffer_span(&out));
	return true;
}

static void refresh_send(struct call *call, uint8_t leg)
{
	struct refresh *refresh = &call->refreshes[leg];
	bool by_update = refresh->by_update || !call->session.described[leg].length;
	struct relay *relay = relay_new_refresh(call, leg, by_update ? SIP_UPDATE : SIP_INVITE);

	wait(call, leg, PAUSE_MS);
	if (!relay)
		return;
	relay->fork = call->dialog;
	if (request_send(call, relay))
		timer_stop(call->gateway->wheel, &refresh->timer); /* its answer goes on from here */
	else
		relay_free(relay);
}

static void expired(struct call *call)
{
	call->gateway->counters.calls_expired++;
	log_write(LOG_INFO, "call", "call %llx ended: its session was not refreshed", (unsigned long long)call->id);
	call_end(call, -1, 408, "Session expired");
}

static void refresh_due(struct call *call, uint8_t leg)
{
	struct refresh *refresh = &call->refreshes[leg];

	if (call->state != CALL_ESTABLISHED)
		return;
	if (!refresh->ours || refresh->tries >= TRIES_MAXIMUM) {
		expired(call);
		return;
	}
	/* An INVITE with a description that another request is about to change would be wrong on arrival. */
	if (midcall_is_renegotiating(call)) {
		wait(call, leg, PAUSE_MS / 2);
		return;
	}
	refresh->tries++;
	refresh_send(call, leg);
}

/* RFC 3261 section 14.1: between 2.1 and 4 s for the owner of the Call-ID, below 2 s for the other. */
static uint64_t glare_ms(struct call *call, uint8_t leg)
{
	uint64_t chance = random_u64(call->gateway->random);

	return leg == CALLEE ? 2100 + 10 * (chance % 191) : 10 * (chance % 201);
}

static void refresh_refused(struct call *call, uint8_t leg, const struct relay *relay,
			    const struct sip_message *response)
{
	struct refresh *refresh = &call->refreshes[leg];

	if (response->status == 481 || response->status == 408) { /* RFC 4028 section 7.2 */
		call_end(call, -1, 481, "The other side does not know the call");
		return;
	}
	if (response->status == 491) {
		wait(call, leg, glare_ms(call, leg));
		return;
	}
	if (relay->method == SIP_UPDATE && (response->status == 405 || response->status == 501))
		refresh->by_update = false;
	else if (response->status != 422 || !refresh_demand_learn(call, leg, response)) {
		wait(call, leg, PAUSE_MS);
		return;
	}
	wait(call, leg, 1);
}

void refresh_response(struct relay *relay, const struct sip_message *response)
{
	struct call *call = relay->call;
	uint8_t leg = other_leg(relay->from);
	bool copy = relay->final;

	call->record_watched = true;

	if (response->status < 200) {
		midcall_wait(relay);
		return;
	}
	relay->final = true;
	timer_stop(relay->gateway->wheel, &relay->timer);
	if (relay->method == SIP_INVITE && response->status < 300) {
		if (relay->ack)
			transport_send(relay->gateway->transport, &call->legs[leg].flow,
				       (struct span){relay->ack, relay->ack_length});
		else
			relay_ack(relay, relay->fork, SPAN_EMPTY, SPAN_EMPTY);
	}
	if (call->state == CALL_ENDING) {
		call_settle(call);
		return;
	}
	if (copy)
		return;
	if (response->status >= 300) {
		refresh_refused(call, leg, relay, response);
		return;
	}
	dialog_learn(call, relay->fork, leg, response, false);
	if (relay->method == SIP_INVITE && response->body.length)
		session_reaffirm(call, leg, response->body);
	refresh_learn(call, leg, response);
}

/* ---- Refreshes of the peer's ---- */

/* An UPDATE that describes nothing changes nothing on the other leg: it is answered here. */
bool refresh_receive(const struct dialog *dialog, struct sip_server_transaction *server,
		     const struct sip_message *request)
{
	struct call *call = dialog->call;
	struct buffer out = gateway_scratch(call->gateway);

	if (request->method != SIP_UPDATE || request->body.length || call->state != CALL_ESTABLISHED)
		return false;
	sip_write_response_start(&out, request, 200, SPAN_EMPTY, SPAN_EMPTY, sip_server_flow(server));
	build_contact(call->gateway, &out, &call->legs[dialog->leg]);
	sip_write_header(&out, SIP_HEADER_ALLOW, SPAN(OWN_ALLOW));
	if (refresh_is_on(call->gateway))
		sip_write_header(&out, SIP_HEADER_SUPPORTED, SPAN("timer"));
	refresh_write_response(call, dialog->leg, request, &out);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (out.overflow || out.length > MESSAGE_LONGEST)
		respond(call->gateway, server, 500, NULL, NULL);
	else
		sip_server_respond(server, 200, buffer_span(&out));
	return true;
}

void refresh_failed(struct relay *relay)
{
	struct call *call = relay->call;

	relay->final = true;
	if (call->state == CALL_ENDING)
		call_settle(call);
	else if (relay->given_up)
		wait(call, other_leg(relay->from), PAUSE_MS);
	else
		call_end(call, -1, 408, "No response");
}
