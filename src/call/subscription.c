/* SPDX-License-Identifier: Apache-2.0
 * Subscriptions (RFC 6665): two dialogs joined. SUBSCRIBE crosses one way, NOTIFY the other; either may make the notifier's
 * dialog, whichever comes first. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/events.h"
#include "call/findings.h"
#include "call/peers.h"
#include "call/phones.h"

#define GRACE_S 32 /* 64*T1: how long after its end the last NOTIFY may still be on its way */
#define PENDING_S (2 * GRACE_S)

/* ---- Its life ---- */

struct subscription *subscription_new(struct gateway *gateway, const struct event_package *package)
{
	struct subscription *subscription = pool_take(gateway->subscription_pool);

	if (!subscription)
		return NULL;
	subscription->gateway = gateway;
	subscription->package = package;
	list_init(&subscription->relays);
	list_init(&subscription->in_all);
	return subscription;
}

/* A phone must not take what all share (THREATS S8): a sixteenth is its part, and never less than a console of lines needs. */
#define PART_LEAST 256

static uint32_t *count_of(struct gateway *gateway, uint8_t zone, const char *account)
{
	if (gateway_zone(gateway, zone)->kind != ZONE_ACCESS)
		return NULL;
	return &gateway->subscriber_counts[table_hash(gateway->dialogs, account, strlen(account)) % SUBSCRIBER_COUNTS];
}

static bool has_its_part(const struct subscription *subscription)
{
	const struct gateway *gateway = subscription->gateway;
	const struct leg *leg = &subscription->legs[SUBSCRIBER];
	const uint32_t *count = count_of(subscription->gateway, leg->zone, leg->account);
	uint32_t part = (uint32_t)gateway->config->limits.subscriptions / 16;

	return count && *count >= (part > PART_LEAST ? part : PART_LEAST);
}

void subscription_enter(struct subscription *subscription)
{
	struct gateway *gateway = subscription->gateway;
	const struct leg *subscriber = &subscription->legs[SUBSCRIBER];

	subscription->held = subscriber->account ? count_of(gateway, subscriber->zone, subscriber->account) : NULL;
	if (subscription->held)
		++*subscription->held;

	list_append(&gateway->all_subscriptions, &subscription->in_all);
	for (int leg = 0; leg < 2; leg++) {
		char *tag = subscription->legs[leg].local_tag;

		if (!*tag)
			random_token(gateway->random, tag, TAG_LENGTH);
		subscription->keys[leg] = (struct dialog_key){.tag = tag, .subscription = subscription};
		table_add(gateway->dialogs, &subscription->keys[leg].link,
			  table_hash(gateway->dialogs, tag, TAG_LENGTH));
	}
}

void subscription_free(struct subscription *subscription)
{
	struct gateway *gateway = subscription->gateway;

	timer_stop(gateway->wheel, &subscription->expiry);
	gateway_record_remove(gateway, &subscription->record);
	if (subscription->held)
		--*subscription->held;
	list_each(link, &subscription->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		list_remove(&relay->in_call);
		relay_uncount(relay);
		relay->subscription = NULL;
	}
	for (int leg = 0; leg < 2; leg++) {
		if (subscription->keys[leg].tag)
			table_remove(gateway->dialogs, &subscription->keys[leg].link);
		leg_clear(&subscription->legs[leg]);
	}
	memory_free(subscription->event_id);
	list_remove(&subscription->in_all);
	pool_give(gateway->subscription_pool, subscription);
}

void subscription_forget(struct subscription *subscription, uint16_t status)
{
	list_each(link, &subscription->relays)
		relay_refuse(list_object(link, struct relay, in_call), status,
			     status == 503 ? "Retry-After: 10\r\n" : NULL);
	subscription_free(subscription);
}

static void expired(void *context)
{
	subscription_forget(context, 481);
}

void subscription_expire_in(struct subscription *subscription, uint32_t seconds)
{
	struct timer_wheel *wheel = subscription->gateway->wheel;

	subscription->expiry.fire = expired;
	subscription->expiry.context = subscription;
	timer_stop(wheel, &subscription->expiry);
	timer_start(wheel, &subscription->expiry, (seconds + GRACE_S) * 1000ull);
}

/* It has ended; it goes when whoever waits has been answered. */
static void end(struct subscription *subscription)
{
	subscription->ended = true;
	list_each(link, &subscription->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->server && !relay->answered)
			return;
	}
	subscription_free(subscription);
}

/* ---- What messages say ---- */

/* The seconds of a header that policy lets cross, so that both sides and the gateway mean the same. */
static uint32_t lifetime(const struct sip_message *message, uint32_t otherwise)
{
	const struct sip_header *header = sip_message_header(message, SIP_HEADER_EXPIRES);
	uint64_t seconds = otherwise;

	if (header)
		span_to_uint(header->value, UINT32_MAX, &seconds);
	return seconds < POLICY_LIFETIME_S ? (uint32_t)seconds : POLICY_LIFETIME_S;
}

static bool is_terminated(const struct sip_message *notify, uint32_t *expires_s)
{
	const struct sip_header *header = sip_message_header(notify, SIP_HEADER_SUBSCRIPTION_STATE);
	struct span value = header ? header->value : SPAN_EMPTY, parameter;
	ptrdiff_t semicolon = span_index(value, ';');
	uint64_t seconds;

	*expires_s = UINT32_MAX;
	if (semicolon < 0)
		return span_is(value, "terminated");
	if (sip_parameter_get(span_slice(value, (size_t)semicolon, value.length), "expires", &parameter) &&
	    !span_to_uint(parameter, UINT32_MAX, &seconds))
		*expires_s = seconds < POLICY_LIFETIME_S ? (uint32_t)seconds : POLICY_LIFETIME_S;
	return span_is(span_trim(span_slice(value, 0, (size_t)semicolon)), "terminated");
}

/* RFC 6665 sections 4.1.2.2 and 4.2.2: after these the other side knows nothing of the subscription. */
static bool is_end(uint16_t status)
{
	static const uint16_t ends[] = {404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i] == status)
			return true;
	return false;
}

/* The notifier's dialog, by its first NOTIFY or its 2xx (RFC 6665 section 4.4.1); of several notifiers the first. `asked` is
 * whether the gateway asked (2xx) or was asked (NOTIFY). False: it is another one's. */
static bool notifier_is(struct subscription *subscription, const struct sip_message *message, struct span tag,
			bool asked)
{
	struct leg *leg = &subscription->legs[NOTIFIER];

	if (leg->remote_tag)
		return span_equal(tag, span_from(leg->remote_tag));
	if (!tag.length)
		return false;
	leg->remote_tag = memory_copy_text(tag);
	if (!leg->remote_tag)
		return false;
	memory_free(leg->routes); /* those of the first request: now the dialog's count (RFC 3261 section 12.2.1.1) */
	leg->routes = NULL;
	dialog_learn_routes(subscription->gateway, &leg->routes, message, asked);
	return true;
}

/* ---- Onward ---- */

static bool send_on(struct relay *relay, const struct sip_message *request, const struct body *body)
{
	struct gateway *gateway = relay->gateway;
	struct leg *leg = &relay->subscription->legs[other_leg(relay->from)];
	struct dialog_side side = {leg, leg->target, leg->routes, leg->local_tag, leg->remote_tag};
	struct buffer out = gateway_scratch(gateway);
	char branch[SIP_BRANCH_CAPACITY];

	leg_flow_refresh(gateway, leg);
	sip_branch_make(gateway->random, branch);
	relay->client_cseq = ++leg->cseq;
	build_dialog_request(gateway, &side, request->method, relay->client_cseq, branch,
			     request->max_forwards < 0 ? 70 : request->max_forwards - 1, &out);
	build_contact(gateway, &out, leg);
	trunk_credentials_write(gateway, &leg->flow, request->method, &relay->challenged, &out);
	policy_options(request, &out);
	policy_copy(gateway, request, relay->zones[0], relay->zones[1], &out);
	sip_write_body(&out, body->content_type, body->bytes);
	if (out.overflow || out.length > MESSAGE_LONGEST)
		return false;
	subscription_record_save(relay->subscription);
	relay->client = sip_client_start(gateway_transactions(gateway), &leg->flow, request->method, branch,
					 buffer_span(&out), relay);
	return relay->client != NULL;
}

bool subscription_again(struct relay *relay, const struct sip_message *request)
{
	struct body body;

	return !body_cross(relay->gateway, request, relay->zones[0], relay->zones[1], &body) &&
	       send_on(relay, request, &body);
}

bool subscription_elsewhere(struct relay *relay, const struct sip_message *request)
{
	struct gateway *gateway = relay->gateway;
	const struct flow *flow = sip_server_flow(relay->server);
	struct leg *leg = &relay->subscription->legs[NOTIFIER], fresh = {0};
	struct tried tried = relay->tried;
	struct route_target target = {0};
	struct body body;

	/* Who has notified has taken it. */
	if (!relay->initial || relay->method != SIP_SUBSCRIBE || leg->remote_tag ||
	    route_find(gateway, flow, &request->request_uri, &tried, &target) || target.binding)
		return false;
	if (!target.routes)
		target.routes = flows_service_route(gateway, flow, &request->from.uri, target.zone);
	memcpy(fresh.local_tag, leg->local_tag, sizeof(fresh.local_tag));
	if (body_cross(gateway, request, relay->zones[0], target.zone, &body) ||
	    !leg_set_uac(gateway, &fresh, &target, request)) {
		leg_clear(&fresh);
		return false;
	}
	leg_clear(leg); /* its Call-ID too: a NOTIFY of the server before is answered 481 */
	*leg = fresh;
	if (relay->client)
		sip_client_user_set(relay->client, NULL);
	relay->client = NULL;
	relay->final = false;
	relay->zones[1] = target.zone;
	relay->tried = tried;
	relay->challenged = (struct trunk_answered){0};
	return send_on(relay, request, &body);
}

static struct relay *relay_start(struct subscription *subscription, uint8_t from, struct sip_server_transaction *server,
				 const struct sip_message *request)
{
	bool may_wait = subscription->waiting[from] < WAITING_OF_LEG;
	struct relay *relay = may_wait ? relay_new(subscription->gateway, NULL, from, server, request) : NULL;

	if (!relay)
		return NULL;
	relay->subscription = subscription;
	relay->initial = !request->to.tag.length;
	relay->zones[0] = subscription->legs[from].zone;
	relay->zones[1] = subscription->legs[other_leg(from)].zone;
	list_append(&subscription->relays, &relay->in_call);
	relay_count(relay, &subscription->waiting[from]);
	return relay;
}

static void body_refused(struct gateway *gateway, struct sip_server_transaction *server, int status)
{
	gateway->counters.bodies_refused++;
	respond(gateway, server, (uint16_t)status, NULL, NULL);
}

/* ---- A new one ---- */

static bool legs_set(struct subscription *subscription, const struct flow *flow, const struct sip_message *request,
		     const struct route_target *target)
{
	struct leg *subscriber = &subscription->legs[SUBSCRIBER];
	struct span id = event_id(request);

	if (!leg_set_uas(subscriber, flow, request) ||
	    !leg_set_uac(subscription->gateway, &subscription->legs[NOTIFIER], target, request))
		return false;
	leg_phone_find(subscription->gateway, subscriber);
	dialog_learn_target(&subscriber->target, request);
	dialog_learn_routes(subscription->gateway, &subscriber->routes, request, false);
	subscription->next_cseq[SUBSCRIBER] = request->cseq + 1;
	subscription->event_id = id.length ? memory_copy_text(id) : NULL;
	return subscriber->target && (subscription->event_id || !id.length);
}

static void start(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request,
		  const struct event_package *package, const struct route_target *target, const struct tried *tried)
{
	struct subscription *subscription;
	struct relay *relay;
	struct body body;
	int status = body_cross(gateway, request, sip_server_flow(server)->zone, target->zone, &body);

	if (status) {
		body_refused(gateway, server, status);
		return;
	}
	subscription = subscription_new(gateway, package);
	relay = NULL;
	if (subscription && legs_set(subscription, sip_server_flow(server), request, target) &&
	    !has_its_part(subscription)) {
		subscription_enter(subscription);
		relay = relay_start(subscription, SUBSCRIBER, server, request);
	}
	if (relay)
		relay->tried = *tried;
	if (relay && send_on(relay, request, &body)) {
		failover_arm(relay);
		gateway->counters.subscriptions_started++;
		subscription_expire_in(subscription, PENDING_S);
		return;
	}
	gateway->counters.subscriptions_refused++;
	if (relay)
		relay_refuse(relay, 503, "Retry-After: 10\r\n");
	else
		respond(gateway, server, 503, NULL, "Retry-After: 10\r\n");
	if (subscription)
		subscription_free(subscription);
}

static void subscribe_receive(struct gateway *gateway, struct sip_server_transaction *server,
			      const struct sip_message *request)
{
	const struct event_package *package = event_find(request);
	const struct flow *flow = sip_server_flow(server);
	const struct account *user;
	struct route_target target;
	struct tried tried = {0};
	int status;

	if (gateway->stopping) {
		respond(gateway, server, 503, NULL, "Retry-After: 10\r\n");
		return;
	}
	/* RFC 6665 section 4.4.2: where NOTIFYs go. */
	if (!request->contact.uri.host.length) {
		respond(gateway, server, 400, NULL, NULL);
		return;
	}
	if (refuse_unserved(gateway, server, request))
		return;
	if (!package || !(package->subscribe & 1u << gateway_zone(gateway, flow->zone)->kind)) {
		event_refuse(gateway, server);
		return;
	}
	if (!authenticate(gateway, server, request, &user))
		return;
	status = route_find(gateway, flow, &request->request_uri, &tried, &target);
	if (status) {
		gateway->counters.calls_refused_policy++;
		respond(gateway, server, (uint16_t)status, NULL, status == 503 ? "Retry-After: 10\r\n" : NULL);
		return;
	}
	if (!target.binding && !target.routes)
		target.routes = flows_service_route(gateway, flow, &request->from.uri, target.zone);
	start(gateway, server, request, package, &target, &tried);
}

/* ---- Within one ---- */

/* By our tag, theirs and the Call-ID, from the peer's own zone and address only (THREATS S5, S6). */
static struct subscription *find(struct gateway *gateway, const struct flow *flow, const struct sip_message *request,
				 uint8_t *from)
{
	struct dialog_key *key = dialog_key_find(gateway, request->to.tag);
	struct subscription *subscription = key ? key->subscription : NULL;
	struct leg *leg;

	if (!subscription || subscription->ended)
		return NULL;
	*from = key == &subscription->keys[NOTIFIER];
	leg = &subscription->legs[*from];
	if (!span_equal(request->call_id, span_from(leg->call_id)) || !request->from.tag.length ||
	    (leg->remote_tag && !span_equal(request->from.tag, span_from(leg->remote_tag))) ||
	    request->method != (*from == NOTIFIER ? SIP_NOTIFY : SIP_SUBSCRIBE))
		return NULL;
	if (!leg_takes_flow(gateway, leg, flow))
		return NULL;
	transport_source_prove(gateway->transport, flow, PROOF_LIFETIME_S); /* as of a call's dialog */
	return subscription;
}

static bool event_is_of(const struct subscription *subscription, const struct sip_message *request)
{
	return event_find(request) == subscription->package &&
	       span_equal(event_id(request), span_from(subscription->event_id));
}

static void forward(struct subscription *subscription, uint8_t from, struct sip_server_transaction *server,
		    const struct sip_message *request)
{
	struct gateway *gateway = subscription->gateway;
	struct relay *relay;
	struct body body;
	int status = body_cross(gateway, request, subscription->legs[from].zone,
				subscription->legs[other_leg(from)].zone, &body);

	if (status) {
		body_refused(gateway, server, status);
		return;
	}
	if (from == NOTIFIER && !notifier_is(subscription, request, request->from.tag, false)) {
		respond(gateway, server, 503, NULL, "Retry-After: 1\r\n");
		return;
	}
	dialog_learn_target(&subscription->legs[from].target, request);
	relay = relay_start(subscription, from, server, request);
	if (!relay)
		request_refuse(gateway, server, 503, "Retry-After: 1\r\n");
	else if (!send_on(relay, request, &body))
		relay_refuse(relay, 503, "Retry-After: 1\r\n");
}

static void inside_receive(struct gateway *gateway, struct sip_server_transaction *server,
			   const struct sip_message *request)
{
	struct subscription *subscription;
	uint8_t from;

	subscription = find(gateway, sip_server_flow(server), request, &from);
	if (!subscription) {
		gateway->counters.dialog_strangers++;
		finding_of_stranger(gateway, sip_server_flow(server), request);
		respond(gateway, server, 481, NULL, NULL);
		return;
	}
	if (request->cseq < subscription->next_cseq[from]) { /* RFC 3261 section 12.2.2 */
		respond(gateway, server, 500, NULL, "Retry-After: 1\r\n");
		return;
	}
	subscription->next_cseq[from] = request->cseq + 1;
	if (refuse_unserved(gateway, server, request))
		return;
	if (!event_is_of(subscription, request)) {
		event_refuse(gateway, server);
		return;
	}
	forward(subscription, from, server, request);
}

void subscription_receive(struct gateway *gateway, struct sip_server_transaction *server,
			  const struct sip_message *request)
{
	(request->to.tag.length ? inside_receive : subscribe_receive)(gateway, server, request);
}

/* ---- Answers ---- */

/* False: it does not fit; 500 went instead. */
static bool answer(struct relay *relay, const struct sip_message *response)
{
	struct gateway *gateway = relay->gateway;
	struct leg *leg = &relay->subscription->legs[relay->from];
	const struct sip_message *request = sip_server_request(relay->server);
	uint16_t status = policy_status(response->status, gateway_zone(gateway, relay->zones[1]),
					gateway_zone(gateway, relay->zones[0]));
	struct buffer out = gateway_scratch(gateway);

	sip_write_response_start(&out, request, status, SPAN_EMPTY, span_from(leg->local_tag),
				 sip_server_flow(relay->server));
	if (status < 300) {
		build_record_routes(&out, request);
		build_contact(gateway, &out, leg);
	}
	policy_options(response, &out);
	policy_copy(gateway, response, relay->zones[1], relay->zones[0], &out);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	if (out.overflow || out.length > MESSAGE_LONGEST) {
		relay_refuse(relay, 500, NULL);
		return false;
	}
	relay->answered = true;
	relay_uncount(relay);
	sip_server_respond(relay->server, status, buffer_span(&out));
	return true;
}

static void accepted(struct subscription *subscription, const struct sip_message *request,
		     const struct sip_message *response)
{
	uint32_t asked_s = lifetime(request, subscription->package->expires_s);
	uint32_t granted_s = lifetime(response, asked_s);

	if (notifier_is(subscription, response, response->to.tag, true))
		dialog_learn_target(&subscription->legs[NOTIFIER].target, response);
	subscription_expire_in(subscription, granted_s);
}

void subscription_response(struct relay *relay, const struct sip_message *response)
{
	struct subscription *subscription = relay->subscription;
	const struct sip_message *request;
	uint16_t status = response->status;
	uint32_t expires_s;
	bool ends;

	if (status < 200 || !relay->server || relay->answered)
		return;
	relay->final = true;
	request = sip_server_request(relay->server);
	if (relay->method == SIP_NOTIFY) {
		ends = is_terminated(request, &expires_s) || is_end(status);
		if (status < 300 && expires_s != UINT32_MAX)
			subscription_expire_in(subscription, expires_s);
		if (status < 300) /* a 2xx refreshes the target too (RFC 6665 section 4.4.1) */
			dialog_learn_target(&subscription->legs[SUBSCRIBER].target, response);
	} else {
		ends = status >= 300 && (relay->initial || is_end(status));
		if (status < 300)
			accepted(subscription, request, response);
	}
	subscription->ended |= ends;
	subscription_record_save(subscription);
	/* The subscriber would not know of it, and nobody else can end it. */
	if (!answer(relay, response) && relay->initial)
		ends = true;
	if (ends || subscription->ended)
		end(subscription);
}

void subscription_unanswered(struct relay *relay, enum sip_failure failure)
{
	struct subscription *subscription = relay->subscription;
	bool timeout = failure == SIP_FAILURE_TIMEOUT;

	/* After a timeout the one who asked has most often given up too, and hears nothing. */
	relay_refuse(relay, timeout ? 504 : 503, timeout ? NULL : "Retry-After: 5\r\n");
	/* RFC 6665 section 4.2.2: who does not answer a NOTIFY is forgotten. */
	if (subscription->ended || (relay->method == SIP_NOTIFY ? timeout : relay->initial))
		end(subscription);
}
