/* SPDX-License-Identifier: Apache-2.0
 * Transfers: REFER (RFC 3515) from one leg of a call to the other, what its receiver tells of the result, and the call that it
 * makes. A phone is never told where it is sent, but a token of ours, good once and for a minute. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/peers.h"

/* What a token leads to. */
struct transfer {
	struct table_link link;
	struct list in_all, in_given; /* the latter of the call whose REFER it was made for, while that lasts */
	struct gateway *gateway;
	struct call *call; /* whose INVITE it was given with and may be challenged; or NULL */
	char token[TAG_LENGTH + 1];
	bool used;
	struct leg transferee; /* zone, flow and account: who may use it */
	struct flow referrer;  /* who gave it */
	char *caller;          /* the same as the user part of a URI; NULL: the PBX */
	char *uri;             /* where to, without headers */
	char *replaces;        /* as the referrer's side names the dialog; or NULL */
	char *referred_by;     /* user part of a URI; or NULL */
	char *payer;           /* or NULL */
	struct timer expiry;
};

bool transfer_concerns(enum sip_method method)
{
	return method == SIP_REFER || method == SIP_SUBSCRIBE || method == SIP_NOTIFY;
}

bool transfer_allowed(const struct gateway *gateway, uint8_t from, uint8_t to)
{
	return gateway_zone(gateway, from)->transfers == TRANSFERS_PASS &&
	       gateway_zone(gateway, to)->transfers == TRANSFERS_PASS;
}

static void refuse(struct gateway *gateway, struct sip_server_transaction *server, uint16_t status)
{
	gateway->counters.transfers_refused++;
	respond(gateway, server, status, NULL, status == 503 ? "Retry-After: 10\r\n" : NULL);
}

/* ---- Tokens ---- */

static void transfer_drop(struct transfer *transfer)
{
	struct gateway *gateway = transfer->gateway;

	if (transfer->call)
		transfer->call->transfer = NULL;
	timer_stop(gateway->wheel, &transfer->expiry);
	table_remove(gateway->transfers, &transfer->link);
	list_remove(&transfer->in_all);
	list_remove(&transfer->in_given);
	leg_clear(&transfer->transferee);
	memory_free(transfer->caller);
	memory_free(transfer->uri);
	memory_free(transfer->replaces);
	memory_free(transfer->referred_by);
	memory_free(transfer->payer);
	pool_give(gateway->transfer_pool, transfer);
}

static void transfer_expired(void *context)
{
	transfer_drop(context);
}

struct pool *transfers_pool_new(uint32_t maximum)
{
	return pool_new(sizeof(struct transfer), maximum);
}

bool transfer_has_token(const struct table_link *link, struct span token)
{
	return span_equal(span_from(table_object(link, const struct transfer, link)->token), token);
}

void transfers_free(struct gateway *gateway)
{
	list_each(link, &gateway->all_transfers)
		transfer_drop(list_object(link, struct transfer, in_all));
}

static struct transfer *transfer_new(struct gateway *gateway)
{
	struct transfer *transfer = pool_take(gateway->transfer_pool);

	if (!transfer)
		return NULL;
	transfer->gateway = gateway;
	random_token(gateway->random, transfer->token, TAG_LENGTH);
	list_init(&transfer->in_given);
	list_append(&gateway->all_transfers, &transfer->in_all);
	table_add(gateway->transfers, &transfer->link, table_hash(gateway->transfers, transfer->token, TAG_LENGTH));
	transfer->expiry.fire = transfer_expired;
	transfer->expiry.context = transfer;
	timer_start(gateway->wheel, &transfer->expiry, TRANSFER_EXPIRES_MS);
	return transfer;
}

int transfer_find(struct gateway *gateway, const struct flow *flow, const struct sip_message *invite,
		  struct transfer **out)
{
	struct span token = invite->request_uri.user;
	struct table_link *link = NULL;
	struct transfer *transfer;

	*out = NULL;
	if (token.length == TAG_LENGTH)
		link = table_find(gateway->transfers, table_hash(gateway->transfers, token.data, token.length), &token);
	if (!link)
		return 0;
	transfer = table_object(link, struct transfer, link);
	if (transfer->used || !leg_admits_flow(gateway, &transfer->transferee, flow)) {
		gateway->counters.transfers_refused++;
		return 403;
	}
	*out = transfer;
	return 0;
}

void transfer_take(struct transfer *transfer, struct call *call)
{
	transfer->used = true;
	transfer->call = call;
	call->transfer = transfer;
}

void transfer_give_back(struct call *call)
{
	if (call->transfer)
		call->transfer->used = false;
}

/* All calls share one table of transfers, which one call must not fill. The newest token is the one that is meant, as who refers
 * again has given up what it referred to before; and no token of another call is in danger (THREATS S13). */
static void transfer_given(struct call *call, struct transfer *transfer)
{
	struct transfer *oldest = NULL;
	uint32_t unused = 0;

	list_append(&call->given, &transfer->in_given);
	list_each(link, &call->given) {
		struct transfer *one = list_object(link, struct transfer, in_given);

		if (one->used)
			continue;
		unused++;
		oldest = oldest ? oldest : one;
	}
	if (unused > TRANSFERS_OF_CALL)
		transfer_drop(oldest);
}

void transfer_forget(struct call *call)
{
	list_each(link, &call->given)
		list_remove(link);
	if (call->transfer)
		call->transfer->call = NULL;
	call->transfer = NULL;
	while (call->refers) {
		struct refer *refer = call->refers;

		call->refers = refer->next;
		memory_free(refer);
	}
}

void transfer_uri(const struct transfer *transfer, struct sip_uri *uri)
{
	sip_uri_parse(span_from(transfer->uri), uri);
}

const char *transfer_payer(const struct transfer *transfer)
{
	return transfer->payer;
}

/* What a phone or a provider names is dialled as that one would dial it, not with what the transferred phone may; what the PBX
 * names is its own, and reached as who is sent there reaches the PBX (THREATS S13). */
const struct flow *transfer_flow(const struct transfer *transfer, const struct flow *flow)
{
	return gateway_zone(transfer->gateway, transfer->referrer.zone)->kind == ZONE_CORE ? flow : &transfer->referrer;
}

/* Routes that are limited by `caller:` hold for the referrer as well as for whom it sends, which they were asked for already. */
static bool referrer_may(const struct transfer *transfer, const struct route_target *target)
{
	struct sip_uri uri, caller = {.scheme = SIP_SCHEME_SIP};

	if (!transfer->caller)
		return true;
	caller.user = span_from(transfer->caller);
	transfer_uri(transfer, &uri);
	return route_leads_to(transfer->gateway, &transfer->referrer, &uri, &caller, target->zone);
}

static int transfer_replaces(const struct transfer *transfer, const struct route_target *target,
			     struct replaces *replaces)
{
	struct gateway *gateway = transfer->gateway;
	struct dialog named;
	int status;

	if (!replaces_parse(span_from(transfer->replaces), replaces))
		return 500;
	if (!transfer_allowed(gateway, transfer->referrer.zone, target->zone))
		return 403;
	if (gateway_zone(gateway, transfer->referrer.zone)->kind != ZONE_ACCESS)
		return target->zone == transfer->referrer.zone ? 0 : 481; /* back to who named it */
	status = replaces_find(gateway, replaces, &named);
	if (!status && !replaces_leads_to(&named, target))
		status = 481;
	if (!status)
		replaces_across(&named, replaces->early_only, replaces);
	return status;
}

static void write_referred_by(struct gateway *gateway, struct span user, uint8_t to_zone, struct buffer *out)
{
	const struct span pieces[] = {SPAN("<sip:"), user, SPAN("@"), span_from(route_domain(gateway, to_zone)),
				      SPAN(">")};

	sip_write_header_pieces(out, SIP_HEADER_REFERRED_BY, pieces, 5);
}

int transfer_headers(struct transfer *transfer, const struct route_target *target, struct buffer *out)
{
	char text[REPLACES_CAPACITY];
	struct buffer value = BUFFER_OVER(text);
	struct replaces replaces;
	int status;

	if (!referrer_may(transfer, target))
		return 403;
	if (transfer->referred_by)
		write_referred_by(transfer->gateway, span_from(transfer->referred_by), target->zone, out);
	if (!transfer->replaces)
		return 0;
	status = transfer_replaces(transfer, target, &replaces);
	if (status)
		return status;
	replaces_write(&replaces, &value);
	out->overflow |= value.overflow;
	sip_write_header(out, SIP_HEADER_REPLACES, buffer_span(&value));
	return 0;
}

void transfers_map(struct gateway *gateway, const uint8_t to[256])
{
	list_each(link, &gateway->all_transfers) {
		struct transfer *transfer = list_object(link, struct transfer, in_all);
		struct leg *transferee = &transfer->transferee;

		if (to[transferee->zone] == NET_ZONE_NONE || to[transfer->referrer.zone] == NET_ZONE_NONE) {
			transfer_drop(transfer);
			continue;
		}
		transferee->zone = transferee->flow.zone = to[transferee->zone];
		transfer->referrer.zone = to[transfer->referrer.zone];
	}
}

/* ---- REFER ---- */

/* What a REFER asks for. Spans point into the request and into `text`. */
struct referral {
	struct sip_uri uri;
	struct span user;           /* of the URI; without one, of who is at the other end of the replaced dialog */
	struct span referrer;       /* user part of a URI: who refers; empty when that is not known */
	bool has_replaces, is_ours; /* ours: `named` is set */
	struct replaces replaces;
	struct dialog named;
	char text[REPLACES_CAPACITY], account[300], party[300];
};

static bool uri_header_next(struct span *rest, struct span *name, struct span *value)
{
	ptrdiff_t end = span_index(*rest, '&'), equal;
	struct span one = span_slice(*rest, 0, end < 0 ? rest->length : (size_t)end);

	if (!rest->length)
		return false;
	*rest = end < 0 ? SPAN_EMPTY : span_slice(*rest, (size_t)end + 1, rest->length);
	equal = span_index(one, '=');
	*name = span_slice(one, 0, equal < 0 ? one.length : (size_t)equal);
	*value = equal < 0 ? SPAN_EMPTY : span_slice(one, (size_t)equal + 1, one.length);
	return true;
}

/* Of the headers that a URI would put into the new request (RFC 3261 section 19.1.5) Replaces alone crosses. */
static bool referral_replaces(struct referral *referral)
{
	struct span rest = referral->uri.headers, name, value;

	while (uri_header_next(&rest, &name, &value)) {
		if (!span_is(name, "Replaces"))
			continue;
		if (referral->has_replaces || sip_user_decode(value, referral->text, sizeof(referral->text)) ||
		    !replaces_parse(span_from(referral->text), &referral->replaces))
			return false;
		referral->has_replaces = true;
	}
	return true;
}

/* The user part of a name-addr of our own writing, for a URI that has none of its own. */
static void referral_party(struct referral *referral)
{
	const struct call *call = referral->named.call;
	struct sip_address address;

	if (!referral->is_ours || referral->user.length ||
	    span_copy(span_from(call->legs[other_leg(referral->named.leg)].remote_uri), referral->party,
		      sizeof(referral->party)) ||
	    sip_address_parse(span_from(referral->party), &address) != SIP_OK)
		return;
	referral->user = address.uri.user;
}

/* Who refers: a phone by its account; on trusted sides whom they name. */
static void referral_referrer(struct gateway *gateway, const struct leg *leg, const struct sip_message *request,
			      struct referral *referral)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_REFERRED_BY);
	struct buffer account = BUFFER_OVER(referral->account);
	struct sip_address address;

	if (gateway_zone(gateway, leg->zone)->kind == ZONE_ACCESS) {
		build_user(&account, span_from(leg->account ? leg->account : ""));
		referral->referrer = account.overflow ? SPAN_EMPTY : buffer_span(&account);
	} else if (gateway_zone(gateway, leg->zone)->kind == ZONE_CORE && header &&
		   sip_address_parse(header->value, &address) == SIP_OK && !address.unknown_scheme) {
		referral->referrer = address.uri.user;
	}
}

/* 0, or the status to refuse with. What a phone may not name is refused as what there is not; and not with 481, which would
 * end the dialog that the REFER is in (RFC 5057 section 5.1). */
static int referral_read(struct gateway *gateway, const struct leg *leg, const struct sip_message *request,
			 struct referral *referral)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_REFER_TO);
	struct sip_address address;
	struct span method;
	bool trusted = gateway_zone(gateway, leg->zone)->kind == ZONE_CORE;

	*referral = (struct referral){0};
	if (!header || sip_address_parse(header->value, &address) != SIP_OK || address.star)
		return 400;
	if (address.unknown_scheme ||
	    (sip_parameter_get(address.uri.parameters, "method", &method) && !span_equal(method, SPAN("INVITE"))))
		return 403;
	referral->uri = address.uri;
	referral->user = address.uri.user;
	if (!referral_replaces(referral))
		return 400;
	if (referral->has_replaces) {
		referral->is_ours = !replaces_find(gateway, &referral->replaces, &referral->named) &&
				    replaces_allowed(gateway, &referral->named, &leg->flow, leg->account);
		if (!referral->is_ours && !trusted)
			return 403;
	}
	referral_party(referral);
	referral_referrer(gateway, leg, request, referral);
	return referral->user.length ? 0 : 403;
}

static void write_target(struct gateway *gateway, const struct referral *referral, uint8_t zone, struct buffer *out)
{
	buffer_put_text(out, "sip:");
	if (referral->uri.scheme == SIP_SCHEME_TEL)
		build_user(out, referral->user);
	else
		buffer_put_span(out, referral->user);
	buffer_put_byte(out, '@');
	buffer_put_text(out, route_domain(gateway, zone));
	if (referral->uri.scheme == SIP_SCHEME_TEL)
		buffer_put_text(out, ";user=phone");
}

/* As a header within a URI (RFC 3261 section 19.1.1, hvalue). */
static void write_escaped(struct buffer *out, struct span text)
{
	static const char marks[] = "-_.!~*'()";

	for (size_t i = 0; i < text.length; i++) {
		char byte = text.data[i];

		if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
		    (byte && strchr(marks, byte))) {
			buffer_put_byte(out, byte);
		} else {
			buffer_put_byte(out, '%');
			buffer_put_hex(out, &byte, 1);
		}
	}
}

/* Toward a peer that is no phone: the target itself, at a host of that side. 0, or the status to refuse with. */
static int target_plain(struct gateway *gateway, const struct referral *referral, uint8_t zone, struct buffer *out)
{
	char text[REPLACES_CAPACITY];
	struct buffer value = BUFFER_OVER(text);
	struct replaces replaces;

	buffer_put_byte(out, '<');
	write_target(gateway, referral, zone, out);
	if (referral->has_replaces) {
		const struct dialog *named = &referral->named;

		/* Who receives this would come to us with names that we do not know, or know for another's. */
		if (!referral->is_ours || named->call->legs[other_leg(named->leg)].zone != zone)
			return 403;
		replaces_across(named, referral->replaces.early_only, &replaces);
		replaces_write(&replaces, &value);
		out->overflow |= value.overflow;
		buffer_put_text(out, "?Replaces=");
		write_escaped(out, buffer_span(&value));
	}
	buffer_put_byte(out, '>');
	return 0;
}

/* NULL: it is not said; "": nobody behind this gateway, for what a provider names is not charged to who talked to it. */
static char *payer_of(struct gateway *gateway, const struct call *call, const struct referral *referral,
		      const struct leg *from)
{
	char account[256];

	if (gateway_zone(gateway, from->zone)->kind == ZONE_TRUNK)
		return memory_copy_text(SPAN_EMPTY);

	if (referral->referrer.length && !sip_user_decode(referral->referrer, account, sizeof(account)))
		return memory_copy_text(span_from(account));
	return call && call->payer ? memory_copy_text(span_from(call->payer)) : NULL;
}

/* As whom the routes know the referrer: an account, or the number that a provider is talked to at; NULL: no memory. */
static char *caller_of(struct gateway *gateway, const struct referral *referral, const struct leg *from)
{
	struct sip_address address;

	if (gateway_zone(gateway, from->zone)->kind == ZONE_ACCESS && referral->referrer.length)
		return memory_copy_text(referral->referrer);
	if (sip_address_parse(span_from(from->remote_uri), &address) != SIP_OK)
		return memory_copy_text(SPAN_EMPTY);
	return memory_copy_text(address.uri.user);
}

static struct transfer *transfer_make(struct gateway *gateway, const struct call *call, const struct referral *referral,
				      const struct leg *from, const struct leg *to)
{
	struct transfer *transfer = transfer_new(gateway);
	char text[700];
	struct buffer uri = BUFFER_OVER(text);
	bool complete;

	if (!transfer)
		return NULL;
	write_target(gateway, referral, from->zone, &uri);
	transfer->uri = uri.overflow ? NULL : memory_copy_text(buffer_span(&uri));
	transfer->transferee.zone = to->zone;
	transfer->transferee.flow = to->flow;
	transfer->transferee.account = memory_copy_text(span_from(to->account));
	transfer->referrer = from->flow;
	transfer->payer = payer_of(gateway, call, referral, from);
	complete = transfer->uri && transfer->transferee.account;
	if (gateway_zone(gateway, from->zone)->kind != ZONE_CORE)
		complete &= (transfer->caller = caller_of(gateway, referral, from)) != NULL;
	if (referral->has_replaces)
		complete &= (transfer->replaces = memory_copy_text(span_from(referral->text))) != NULL;
	if (referral->referrer.length)
		complete &= transfer->payer && (transfer->referred_by = memory_copy_text(referral->referrer)) != NULL;
	if (complete)
		return transfer;
	transfer_drop(transfer);
	return NULL;
}

/* Refer-To, and Referred-By where the referrer is a phone: who transfers is who is known to, not who it says
 * (RFC 3892 section 2.1). *transfer is what the token in it leads to, when there is one. */
static int refer_headers(struct gateway *gateway, const struct call *call, const struct referral *referral,
			 const struct leg *from, const struct leg *to, struct transfer **transfer, struct buffer *out)
{
	char text[1500];
	struct buffer value = BUFFER_OVER(text);
	int status = 0;

	*transfer = NULL;
	if (gateway_zone(gateway, to->zone)->kind == ZONE_ACCESS) {
		*transfer = transfer_make(gateway, call, referral, from, to);
		if (!*transfer)
			return 503;
		buffer_put_byte(&value, '<');
		build_own_uri(gateway, &value, to, (*transfer)->token);
		buffer_put_byte(&value, '>');
	} else {
		status = target_plain(gateway, referral, to->zone, &value);
	}
	out->overflow |= value.overflow;
	sip_write_header(out, SIP_HEADER_REFER_TO, buffer_span(&value));
	if (gateway_zone(gateway, from->zone)->kind == ZONE_ACCESS && referral->referrer.length)
		write_referred_by(gateway, referral->referrer, to->zone, out);
	return status;
}

/* Sends a request of the dialog on with header lines of ours. NULL: it was refused. */
static struct relay *send_across(const struct dialog *dialog, struct sip_server_transaction *server,
				 const struct sip_message *request, const struct buffer *extra,
				 struct span content_type, struct span body)
{
	struct gateway *gateway = dialog->call->gateway;
	struct relay *relay = relay_new(gateway, dialog->call, dialog->leg, server, request);

	if (!relay) {
		request_refuse(gateway, server, 503, "Retry-After: 1\r\n");
		return NULL;
	}
	relay->fork = dialog->fork;
	relay->extra = extra->overflow ? NULL : memory_copy_text(buffer_span(extra));
	if (relay->extra && forward_request(relay, request, content_type, body))
		return relay;
	relay_refuse(relay, 503, "Retry-After: 1\r\n");
	return NULL;
}

/* ---- What is told of the result ---- */

static struct refer *refer_find(const struct call *call, uint8_t from, uint8_t leg, uint32_t id, bool has_id)
{
	struct refer *found = NULL;

	/* Without an id the first one is meant (RFC 3515 section 2.4.6). */
	for (struct refer *refer = call->refers; refer; refer = refer->next)
		if (refer->from == from && (!has_id || refer->cseq[leg] == id))
			found = refer;
	return found;
}

static void refer_drop(struct call *call, const struct refer *refer)
{
	for (struct refer **link = &call->refers; *link; link = &(*link)->next)
		if (*link == refer) {
			struct refer *gone = *link;

			*link = gone->next;
			memory_free(gone);
			return;
		}
}

static struct refer *refer_add(struct call *call, uint8_t from, uint32_t cseq)
{
	struct refer *refer = memory_alloc(sizeof(*refer)), *oldest = call->refers;
	uint32_t count = 1;

	if (!refer)
		return NULL;
	refer->from = from;
	refer->cseq[from] = cseq;
	refer->next = call->refers;
	call->refers = refer;
	for (; oldest; oldest = oldest->next)
		count++;
	if (count <= REFERS_OF_CALL)
		return refer;
	for (oldest = refer; oldest->next;)
		oldest = oldest->next;
	refer_drop(call, oldest);
	return refer;
}

static void refer_receive(const struct dialog *dialog, struct sip_server_transaction *server,
			  const struct sip_message *request)
{
	struct call *call = dialog->call;
	struct gateway *gateway = call->gateway;
	const struct leg *from = &call->legs[dialog->leg], *to = &call->legs[other_leg(dialog->leg)];
	char text[2048];
	struct buffer extra = BUFFER_OVER(text);
	struct referral referral;
	struct transfer *transfer = NULL;
	struct relay *relay = NULL;
	struct refer *refer;
	int status = call->state != CALL_ESTABLISHED || !transfer_allowed(gateway, from->zone, to->zone) ? 403 : 0;

	if (!status)
		status = referral_read(gateway, from, request, &referral);
	if (!status)
		status = refer_headers(gateway, call, &referral, from, to, &transfer, &extra);
	refer = status ? NULL : refer_add(call, dialog->leg, request->cseq);
	if (!status && !refer)
		status = 503;
	if (status)
		refuse(gateway, server, (uint16_t)status);
	else
		relay = send_across(dialog, server, request, &extra, request->content_type, request->body);
	if (relay) {
		gateway->counters.transfers_passed++;
		if (transfer)
			transfer_given(call, transfer);
		return;
	}
	if (refer)
		refer_drop(call, refer);
	if (transfer)
		transfer_drop(transfer);
}

void transfer_sent(struct relay *relay)
{
	struct refer *refer = refer_find(relay->call, relay->from, relay->from, relay->server_cseq, true);

	if (refer)
		refer->cseq[other_leg(relay->from)] = relay->client_cseq;
}

void transfer_answered(struct relay *relay, const struct sip_message *response)
{
	const struct sip_header *implicit = response ? sip_message_header(response, SIP_HEADER_REFER_SUB) : NULL;
	struct refer *refer = refer_find(relay->call, relay->from, relay->from, relay->server_cseq, true);

	/* RFC 4488: nothing will be told. */
	if (refer &&
	    (!response || response->status >= 300 || (implicit && span_starts_with(implicit->value, SPAN("false")))))
		refer_drop(relay->call, refer);
}

/* The REFER that "Event: refer;id=…" of a request from `leg` means; NULL: none. */
static struct refer *event_refer(const struct dialog *dialog, const struct sip_message *request, uint8_t from,
				 bool *has_id)
{
	const struct sip_header *event = sip_message_header(request, SIP_HEADER_EVENT);
	struct span parameters, id;
	ptrdiff_t semicolon;
	uint64_t number = 0;

	semicolon = span_index(event->value, ';');
	parameters = semicolon < 0 ? SPAN_EMPTY : span_slice(event->value, (size_t)semicolon, event->value.length);
	*has_id = sip_parameter_get(parameters, "id", &id);
	if (*has_id && span_to_uint(id, UINT32_MAX, &number))
		return NULL;
	return refer_find(dialog->call, from, dialog->leg, (uint32_t)number, *has_id);
}

static bool is_refer_event(const struct sip_message *request)
{
	const struct sip_header *event = sip_message_header(request, SIP_HEADER_EVENT);
	ptrdiff_t semicolon = event ? span_index(event->value, ';') : 0;

	return event &&
	       span_is(span_trim(semicolon < 0 ? event->value : span_slice(event->value, 0, (size_t)semicolon)),
		       "refer");
}

static void write_event(const struct refer *refer, uint8_t to, bool has_id, struct buffer *out)
{
	char text[40];
	struct buffer value = BUFFER_OVER(text);

	buffer_put_text(&value, "refer");
	if (has_id)
		buffer_printf(&value, ";id=%u", refer->cseq[to]);
	sip_write_header(out, SIP_HEADER_EVENT, buffer_span(&value));
}

/* The state and its numbers and words (RFC 6665 section 4.1.3), anew. True: nothing more comes. */
static bool write_state(const struct sip_message *request, struct buffer *out)
{
	static const char *const reasons[] = {"deactivated", "probation",  "rejected", "timeout",
					      "giveup",      "noresource", "invariant"};
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_SUBSCRIPTION_STATE);
	struct span value = header ? header->value : SPAN_EMPTY, parameters, text;
	ptrdiff_t semicolon = span_index(value, ';');
	bool ends = span_is(span_trim(semicolon < 0 ? value : span_slice(value, 0, (size_t)semicolon)), "terminated");
	char line[80];
	struct buffer state = BUFFER_OVER(line);
	uint64_t number;

	parameters = semicolon < 0 ? SPAN_EMPTY : span_slice(value, (size_t)semicolon, value.length);
	buffer_put_text(&state, ends ? "terminated" : "active");
	if (!ends && sip_parameter_get(parameters, "expires", &text) && !span_to_uint(text, UINT32_MAX, &number))
		buffer_printf(&state, ";expires=%u", (unsigned)number);
	for (size_t i = 0; ends && i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (sip_parameter_get(parameters, "reason", &text) && span_is(text, reasons[i]))
			buffer_printf(&state, ";reason=%s", reasons[i]);
	sip_write_header(out, SIP_HEADER_SUBSCRIPTION_STATE, buffer_span(&state));
	return ends;
}

/* Of a sipfrag (RFC 3420) the status alone crosses: what else it holds names the inside. False: it is none. */
static bool sipfrag_write(struct span body, struct buffer *out)
{
	uint64_t status;

	if (body.length < 11 || !span_starts_with(body, SPAN("SIP/2.0 ")) ||
	    span_to_uint(span_slice(body, 8, 3), 699, &status) || status < 100 ||
	    (body.length > 11 && body.data[11] != ' ' && body.data[11] != '\r'))
		return false;
	sip_write_status_line(out, (uint16_t)status, SPAN_EMPTY);
	return true;
}

static void notify_receive(const struct dialog *dialog, struct sip_server_transaction *server,
			   const struct sip_message *request)
{
	struct call *call = dialog->call;
	char text[200], fragment[100];
	struct buffer extra = BUFFER_OVER(text), body = BUFFER_OVER(fragment);
	bool has_id, ends;
	struct refer *refer = event_refer(dialog, request, other_leg(dialog->leg), &has_id);

	if (!refer) {
		respond(call->gateway, server, 481, NULL, NULL);
		return;
	}
	if (request->body.length && !sipfrag_write(request->body, &body)) {
		respond(call->gateway, server, 400, NULL, NULL);
		return;
	}
	write_event(refer, other_leg(dialog->leg), has_id, &extra);
	ends = write_state(request, &extra);
	if (send_across(dialog, server, request, &extra, body.length ? SPAN("message/sipfrag;version=2.0") : SPAN_EMPTY,
			buffer_span(&body)) &&
	    ends)
		refer_drop(call, refer);
}

static void subscribe_receive(const struct dialog *dialog, struct sip_server_transaction *server,
			      const struct sip_message *request)
{
	char text[100];
	struct buffer extra = BUFFER_OVER(text);
	bool has_id;
	struct refer *refer = event_refer(dialog, request, dialog->leg, &has_id);

	if (!refer) {
		respond(dialog->call->gateway, server, 481, NULL, NULL);
		return;
	}
	write_event(refer, other_leg(dialog->leg), has_id, &extra);
	send_across(dialog, server, request, &extra, SPAN_EMPTY, SPAN_EMPTY);
}

void transfer_copy(struct relay *relay, const struct sip_message *request, struct buffer *out)
{
	static const enum sip_header_id ids[] = {SIP_HEADER_EXPIRES, SIP_HEADER_ACCEPT, SIP_HEADER_AUTHORIZATION,
						 SIP_HEADER_PROXY_AUTHORIZATION};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		policy_copy_header(relay->gateway, request, ids[i], relay->call->legs[relay->from].zone,
				   relay->call->legs[other_leg(relay->from)].zone, out);
}

void transfer_receive(struct dialog *dialog, struct sip_server_transaction *server, const struct sip_message *request)
{
	if (request->method == SIP_REFER)
		refer_receive(dialog, server, request);
	else if (!is_refer_event(request))
		respond(dialog->call->gateway, server, 489, NULL, NULL);
	else if (request->method == SIP_NOTIFY)
		notify_receive(dialog, server, request);
	else
		subscribe_receive(dialog, server, request);
}

void transfer_outside_receive(struct gateway *gateway, struct sip_server_transaction *server,
			      const struct sip_message *request)
{
	if (refuse_unserved(gateway, server, request))
		return;
	/* Who refers must be in a call with who is referred: else anybody could make a phone dial (THREATS S13). */
	refuse(gateway, server, 403);
}
