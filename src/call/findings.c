/* SPDX-License-Identifier: Apache-2.0
 * What is seen of who speaks to the gateway; see findings.h. */
#include "call/findings.h"

#include "call/calls.h"
#include "call/dialogs.h"
#include "call/peers.h"

/* What a message that could not be read says of who made it: phones that are wrong in these ways are few, and make one mistake again and
 * again; NUL and headers that stand twice are made to be read in two ways. */
static const uint8_t reject_kinds[SIP_REJECT_COUNT] = {
	[SIP_REJECT_NOT_SIP] = EVIDENCE_SIP_FOREIGN,
	[SIP_REJECT_VERSION] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_START_LINE] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_URI] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_SCHEME] = EVIDENCE_SIP_SLIGHT,
	[SIP_REJECT_HEADER] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_HEADER_VALUE] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_HEADER_DUPLICATE] = EVIDENCE_SIP_HOSTILE,
	[SIP_REJECT_HEADER_MISSING] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_HEADERS_TOO_MANY] = EVIDENCE_SIP_HOSTILE,
	[SIP_REJECT_LINE_TOO_LONG] = EVIDENCE_SIP_HOSTILE,
	[SIP_REJECT_TOO_LARGE] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_CONTENT_LENGTH] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_BYTE] = EVIDENCE_SIP_HOSTILE,
	[SIP_REJECT_METHOD_MISMATCH] = EVIDENCE_SIP_MALFORMED,
	[SIP_REJECT_VIA] = EVIDENCE_SIP_MALFORMED,
};

/* Marks that scanners leave in User-Agent unless somebody changes them; any case, anywhere in it. A mark alone is no proof of
 * innocence when it is missing: what they do counts as well. */
static const char *const scanner_marks[] = {
	"friendly-scanner", "sipvicious", "sipsak", "sundayddr", "sipcli", "sip-scan", "smap",  "iwar",
	"vaxsipuseragent",  "pplsip",     "sippts", "nmap",      "sipptk", "masscan",  "zgrab", "eyebeam-scan",
};
#define SCANNER_MARKS (sizeof(scanner_marks) / sizeof(scanner_marks[0]))

/* ---- Telling ---- */

static bool is_watched(const struct gateway *gateway, const struct flow *flow)
{
	if (flow->zone >= gateway->config->zone_count || gateway_zone(gateway, flow->zone)->kind != ZONE_ACCESS)
		return false;
	for (uint8_t zone = 0; zone < gateway->config->zone_count; zone++)
		if (gateway_zone(gateway, zone)->kind != ZONE_ACCESS && servers_admit(gateway, zone, &flow->remote))
			return false;
	return true;
}

static uint64_t name_hash(const struct gateway *gateway, const struct flow *flow, struct span user)
{
	char plain[128];

	if (!user.length || sip_user_decode(user, plain, sizeof(plain)))
		return 0;
	return evidence_hash(gateway->callbacks.evidence_key, span_from(gateway_zone(gateway, flow->zone)->name),
			     span_from(plain));
}

static bool is_proven(const struct gateway *gateway, const struct flow *flow)
{
	return flow->proven || transport_source_is_proven(gateway->transport, flow);
}

void finding_tell(struct gateway *gateway, enum evidence_kind kind, const struct flow *flow, struct span account,
		  struct span target)
{
	struct evidence evidence = {.kind = kind,
				    .count = 1,
				    .source = flow->remote,
				    .local = flow->local,
				    .connection = flow->connection,
				    .time_us = clock_monotonic_us()};

	if (!gateway->callbacks.evidence || !is_watched(gateway, flow))
		return;
	evidence.proven = is_proven(gateway, flow);
	evidence.account = name_hash(gateway, flow, account);
	evidence.target = name_hash(gateway, flow, target);
	gateway->callbacks.evidence(gateway->callbacks.context, &evidence);
}

void finding_of_reject(struct gateway *gateway, const struct flow *flow, enum sip_reject reject)
{
	if (reject_kinds[reject])
		finding_tell(gateway, (enum evidence_kind)reject_kinds[reject], flow, SPAN_EMPTY, SPAN_EMPTY);
}

void finding_of_end(struct gateway *gateway, const struct flow *flow, enum net_close_reason reason)
{
	if (reason == NET_CLOSED_HANDSHAKE)
		finding_tell(gateway, EVIDENCE_NET_HANDSHAKE, flow, SPAN_EMPTY, SPAN_EMPTY);
	else if (reason == NET_CLOSED_SLOW)
		finding_tell(gateway, EVIDENCE_NET_SILENT, flow, SPAN_EMPTY, SPAN_EMPTY);
}

void finding_of_stranger(struct gateway *gateway, const struct flow *flow, const struct sip_message *request)
{
	/* A dialog that is gone is asked for by honest phones after an outage; one that is there, by nobody else. */
	if (dialog_key_find(gateway, request->to.tag))
		finding_tell(gateway, EVIDENCE_CALL_FORGED, flow, SPAN_EMPTY, SPAN_EMPTY);
}

/* ---- Answers ---- */

static bool has_credentials(const struct sip_message *request)
{
	return sip_message_header(request, SIP_HEADER_AUTHORIZATION) ||
	       sip_message_header(request, SIP_HEADER_PROXY_AUTHORIZATION);
}

/* ---- Challenges of the PBX's, which the gateway only passes on ---- */

#define CHALLENGES 16384

struct challenges {
	uint64_t sent[CHALLENGES]; /* by hash of nonce and of who got it; the newer pushes out the older */
};

struct challenges *challenges_new(void)
{
	return memory_alloc(sizeof(struct challenges));
}

void challenges_free(struct challenges *challenges)
{
	memory_free(challenges);
}

static uint64_t challenge_hash(const struct gateway *gateway, const struct flow *flow, struct span nonce)
{
	uint8_t who[sizeof(flow->remote.ip) + sizeof(flow->remote.port)];

	memcpy(who, flow->remote.ip, sizeof(flow->remote.ip));
	memcpy(who + sizeof(flow->remote.ip), &flow->remote.port, sizeof(flow->remote.port));
	return hash_bytes(gateway->nonce_key, nonce.data, nonce.length) ^
	       hash_bytes(gateway->body_key, who, sizeof(who));
}

static void challenge_remember(struct gateway *gateway, const struct flow *flow, struct span nonce)
{
	uint64_t hash = challenge_hash(gateway, flow, nonce);

	if (nonce.length && !transport_is_stream(flow->transport))
		gateway->challenges->sent[hash % CHALLENGES] = hash;
}

/* Nobody else can have read it (THREATS N4). */
static void challenge_returned(struct gateway *gateway, const struct flow *flow, const struct sip_message *request)
{
	static const enum sip_header_id ids[] = {SIP_HEADER_AUTHORIZATION, SIP_HEADER_PROXY_AUTHORIZATION};
	struct sip_digest credentials;

	if (transport_is_stream(flow->transport))
		return;
	for (int i = 0; i < 2; i++) {
		const struct sip_header *header = sip_message_header(request, ids[i]);
		uint64_t hash;

		if (!header || sip_digest_parse(header->value, &credentials) || !credentials.nonce.length)
			continue;
		hash = challenge_hash(gateway, flow, credentials.nonce);
		if (gateway->challenges->sent[hash % CHALLENGES] == hash)
			transport_source_prove(gateway->transport, flow, PROOF_LIFETIME_S);
	}
}

/* A challenge that is passed on: remembered, and a sign of a wrong password when credentials came and were not merely late. */
static void challenge_passes(struct relay *relay, const struct sip_message *request, const struct sip_message *response)
{
	const struct flow *flow = sip_server_flow(relay->server);
	enum sip_header_id id = response->status == 401 ? SIP_HEADER_WWW_AUTHENTICATE : SIP_HEADER_PROXY_AUTHENTICATE;
	bool was_late = false;
	struct sip_digest challenge;

	for (const struct sip_header *header = sip_message_header(response, id); header;
	     header = sip_message_header_next(response, header))
		if (!sip_digest_parse(header->value, &challenge)) {
			challenge_remember(relay->gateway, flow, challenge.nonce);
			was_late = was_late || challenge.stale;
		}
	if (has_credentials(request) && !was_late && request->method != SIP_REGISTER) /* register.c tells of those */
		finding_tell(relay->gateway, EVIDENCE_CALL_PASSWORD, flow, request->from.uri.user, SPAN_EMPTY);
}

void finding_of_answer(struct relay *relay, const struct sip_message *response)
{
	const struct sip_message *request = relay->server ? sip_server_request(relay->server) : NULL;
	struct gateway *gateway = relay->gateway;
	const struct flow *flow = relay->server ? sip_server_flow(relay->server) : NULL;
	bool is_register;

	if (!request || response->status < 200 || !is_watched(gateway, flow))
		return;
	is_register = request->method == SIP_REGISTER;
	if (response->status == 401 || response->status == 407)
		challenge_passes(relay, request, response);
	else if (response->status < 300 && has_credentials(request) && (is_register || request->method == SIP_INVITE))
		finding_tell(gateway, is_register ? EVIDENCE_GOOD_REGISTRATION : EVIDENCE_GOOD_CALL, flow,
			     request->from.uri.user, SPAN_EMPTY);
	else if ((response->status == 404 || response->status == 604) && !has_credentials(request))
		finding_tell(gateway, EVIDENCE_CALL_USER, flow, SPAN_EMPTY,
			     is_register ? request->to.uri.user : request->request_uri.user);
}

/* ---- What is done about it ---- */

static enum protection_action judge(struct gateway *gateway, const struct flow *flow, struct gateway_question question)
{
	if (!gateway->callbacks.judge || !is_watched(gateway, flow))
		return ACTION_OFF;
	question.flow = flow;
	question.proven = is_proven(gateway, flow);
	return gateway->callbacks.judge(gateway->callbacks.context, &question);
}

bool findings_admit(struct gateway *gateway, const struct flow *flow)
{
	enum protection_action action = judge(gateway, flow, (struct gateway_question){0});

	if (action != ACTION_BLOCK && action != ACTION_CUT)
		return true;
	gateway->counters.messages_blocked++;
	return false;
}

static bool contains(struct span text, const char *mark)
{
	size_t length = strlen(mark);

	for (size_t at = 0; at + length <= text.length; at++)
		if (span_is(span_slice(text, at, length), mark))
			return true;
	return false;
}

static bool is_scanner(const struct sip_message *request)
{
	const struct sip_header *agent = sip_message_header(request, SIP_HEADER_USER_AGENT);

	for (size_t i = 0; agent && i < SCANNER_MARKS; i++)
		if (contains(agent->value, scanner_marks[i]))
			return true;
	return false;
}

bool findings_screen(struct gateway *gateway, const struct flow *flow, const struct sip_message *request)
{
	if (!is_scanner(request) || !is_watched(gateway, flow))
		return true;
	gateway->counters.scanners_left++;
	finding_tell(gateway, EVIDENCE_SIP_SCANNER, flow, SPAN_EMPTY, request->request_uri.user);
	return false;
}

bool findings_refuse(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request)
{
	const struct flow *flow = sip_server_flow(server);
	struct span account = request->method == SIP_REGISTER ? request->to.uri.user : request->from.uri.user;
	struct gateway_question question = {.is_request = true};
	enum protection_action action;

	if (!is_watched(gateway, flow))
		return false;
	challenge_returned(gateway, flow, request);
	if (request->method == SIP_INVITE && invite_is_emergency(gateway, &request->request_uri))
		return false;
	question.account = name_hash(gateway, flow, account);
	if (request->method != SIP_REGISTER)
		question.target = name_hash(gateway, flow, request->request_uri.user);
	action = judge(gateway, flow, question);
	if (action <= ACTION_REPORT)
		return false;
	gateway->counters.requests_stopped++;
	if (action == ACTION_SLOW)
		request_refuse(gateway, server, 503, "Retry-After: 5\r\n");
	else
		request_refuse(gateway, server, 403, NULL);
	return true;
}
