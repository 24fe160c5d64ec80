/* SPDX-License-Identifier: Apache-2.0
 * The test call's signalling: REGISTER, INVITE, ACK, BYE, and back. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/call.h"

#define EXPIRES_S 300
#define CHALLENGES_MAXIMUM 2 /* a second one for a stale nonce; a server that asks for ever is left */

/* In the order of our preference; the answer's tag tells which was taken. */
static const enum sdp_suite suites[CALL_CRYPTOS] = {SDP_AEAD_AES_256_GCM, SDP_AEAD_AES_128_GCM,
						    SDP_AES_CM_128_HMAC_SHA1_80};

void call_fail(struct testcall *call, const char *format, ...)
{
	va_list arguments;

	if (call->result->failure[0]) /* the first is the cause */
		return;
	va_start(arguments, format);
	vsnprintf(call->result->failure, sizeof(call->result->failure), format, arguments);
	va_end(arguments);
}

static uint32_t since_ms(uint64_t start_us)
{
	return (uint32_t)((clock_monotonic_us() - start_us + 500) / 1000);
}

/* ---- Registration -------------------------------------------------------------------------- */

/* The end, in order: hang up, forget the registration, done. */
static void call_leave(struct testcall *call);

/* `challenge` is the 401 or 407 that is answered, or NULL. */
static void send_register(struct testcall *call, const struct sip_message *challenge)
{
	struct ua_dialog *dialog = &call->registration;
	char branch[SIP_BRANCH_CAPACITY];
	struct buffer out = ua_request_start(&call->ua, dialog, SPAN("REGISTER"), ++dialog->cseq, branch);

	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(dialog->contact));
	sip_write_header_number(&out, SIP_HEADER_EXPIRES, call->stage == CALL_UNREGISTERS ? 0 : EXPIRES_S);
	if (challenge && ua_authorize(&call->ua, &out, challenge, call->settings->user, call->settings->password,
				      SPAN("REGISTER"), span_from(dialog->target))) {
		call_fail(call, "the registration is challenged, and there is nothing to answer it with");
		call_leave(call);
		return;
	}
	if (!ua_request_send(&call->ua, dialog, SIP_REGISTER, branch, &out, SPAN_EMPTY, SPAN_EMPTY, call)) {
		call_fail(call, "the registration could not be sent");
		call_leave(call);
	}
}

static void register_start(struct testcall *call)
{
	call->challenges = 0;
	call->request_us = clock_monotonic_us();
	send_register(call, NULL);
}

/* ---- Call ---------------------------------------------------------------------------------- */

static void send_invite(struct testcall *call, const struct sip_message *challenge)
{
	struct ua_dialog *dialog = &call->call;
	char branch[SIP_BRANCH_CAPACITY], text[4096];
	struct buffer sdp = BUFFER_OVER(text);
	struct buffer out = ua_request_start(&call->ua, dialog, SPAN("INVITE"), ++dialog->cseq, branch);

	call->invite = NULL;
	sound_offer_write(&sdp, &call->sound, call->cryptos, call->settings->encrypt ? CALL_CRYPTOS : 0, 1);
	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(dialog->contact));
	sip_write_header(&out, SIP_HEADER_ALLOW, SPAN("INVITE, ACK, CANCEL, BYE, OPTIONS"));
	if (challenge && ua_authorize(&call->ua, &out, challenge, call->settings->user, call->settings->password,
				      SPAN("INVITE"), span_from(dialog->target))) {
		call_fail(call, "the call is challenged, and there is nothing to answer it with");
		call_leave(call);
		return;
	}
	if (!sdp.overflow)
		call->invite = ua_request_send(&call->ua, dialog, SIP_INVITE, branch, &out, SPAN("application/sdp"),
					       buffer_span(&sdp), call);
	memory_wipe(text, sizeof(text));
	if (!call->invite) {
		call_fail(call, "the call could not be sent");
		call_leave(call);
	}
}

static void invite_start(struct testcall *call)
{
	call->stage = CALL_RINGS;
	call->challenges = 0;
	call->request_us = clock_monotonic_us();
	send_invite(call, NULL);
}

void call_start(struct testcall *call)
{
	const char *user = call->settings->user ? call->settings->user : "anonymous";
	bool fits = ua_dialog_open(&call->ua, &call->registration, &call->flow, span_from(call->aor),
				   span_from(call->aor), span_from(call->registrar)) &&
		    ua_dialog_open(&call->ua, &call->call, &call->flow, span_from(call->aor), call->target.text,
				   call->target.text);

	if (!fits) {
		call_fail(call, "the target is too long");
		call_leave(call);
		return;
	}
	ua_contact_write(call->registration.contact, sizeof(call->registration.contact), &call->flow, span_from(user),
			 call->target.scheme == SIP_SCHEME_SIPS);
	memcpy(call->call.contact, call->registration.contact, sizeof(call->call.contact));
	for (int i = 0; i < CALL_CRYPTOS; i++) {
		sound_crypto_make(&call->cryptos[i], suites[i], call->ua.random);
		call->cryptos[i].tag = (uint32_t)i + 1;
	}
	call->stage = CALL_REGISTERS;
	if (call->settings->register_first && call->settings->user)
		register_start(call);
	else
		invite_start(call);
}

static void send_ack(struct testcall *call, uint32_t cseq)
{
	char branch[SIP_BRANCH_CAPACITY];
	struct buffer out = ua_request_start(&call->ua, &call->call, SPAN("ACK"), cseq, branch);
	struct span bytes;

	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	bytes = buffer_span(&out);
	if (!bytes.length)
		return;
	transport_send(call->ua.transport, &call->flow, bytes);
	call->ack = memory_alloc(bytes.length);
	if (!call->ack)
		return;
	memcpy(call->ack, bytes.data, bytes.length);
	call->ack_length = bytes.length;
}

/* Says what does not fit in the answer; the call is then hung up. */
static bool use_answer(struct testcall *call, const struct sip_message *response)
{
	const struct sdp_crypto *own = NULL, none = {0};
	struct sound_peer peer;
	bool usable = false;

	if (!response->body.length || sound_answer_read(response->body, &peer)) {
		call_fail(call, "the answer has no usable audio stream");
		return false;
	}
	for (int i = 0; i < CALL_CRYPTOS && peer.encrypted; i++) {
		if (call->cryptos[i].tag == peer.crypto.tag && call->cryptos[i].suite == peer.crypto.suite)
			own = &call->cryptos[i];
	}
	if (call->settings->encrypt && !peer.encrypted)
		call_fail(call, "encryption was offered, and the answer is plain");
	else if (peer.encrypted && (!call->settings->encrypt || !own))
		call_fail(call, "the answer's encryption is none that was offered");
	else if (sound_end_secure(&call->sound, &peer.crypto, own ? own : &none) ||
		 sound_end_connect(&call->sound, &peer.address) || call->sound.peer.family == ADDRESS_NONE)
		call_fail(call, "the answer's media address cannot be used");
	else
		usable = true;
	call->result->suite = usable && own ? sdp_suite_name(own->suite) : "none";
	call->result->codec = peer.payload_type == SOUND_PCMA ? "PCMA" : "PCMU";
	call->sound.payload_type = peer.payload_type;
	memory_wipe(&peer, sizeof(peer));
	return usable;
}

static void on_answered(struct testcall *call, const struct sip_message *response)
{
	call->result->setup_ms = since_ms(call->request_us);
	if (!ua_dialog_learn(&call->call, response)) {
		call_fail(call, "the answer has no tag, or too long a route");
		call_leave(call);
		return;
	}
	call->has_dialog = true;
	send_ack(call, response->cseq);
	call->result->answered = true;
	if (use_answer(call, response))
		call_sound_start(call);
	else
		call_hang_up(call);
}

void call_hang_up(struct testcall *call)
{
	struct ua_dialog *dialog = &call->call;
	char branch[SIP_BRANCH_CAPACITY];
	struct buffer out;

	timer_stop(call->ua.wheel, &call->sound_timer);
	call->stage = CALL_HANGS_UP;
	call->has_dialog = false;
	out = ua_request_start(&call->ua, dialog, SPAN("BYE"), ++dialog->cseq, branch);
	if (!ua_request_send(&call->ua, dialog, SIP_BYE, branch, &out, SPAN_EMPTY, SPAN_EMPTY, call))
		call_leave(call);
}

static void call_leave(struct testcall *call)
{
	timer_stop(call->ua.wheel, &call->sound_timer);
	if (call->has_dialog && !call->connection_lost) {
		call_hang_up(call);
		return;
	}
	if (call->is_registered && !call->connection_lost) {
		call->is_registered = false;
		call->stage = CALL_UNREGISTERS;
		register_start(call);
		return;
	}
	call->stage = CALL_DONE;
}

/* ---- Responses ----------------------------------------------------------------------------- */

static bool is_challenge(const struct sip_message *response)
{
	return response->status == 401 || response->status == 407;
}

/* Whether it is to be answered rather than taken as a refusal. */
static bool may_authorize(struct testcall *call, const struct sip_message *response)
{
	return is_challenge(response) && call->settings->user && call->settings->password &&
	       call->challenges++ < CHALLENGES_MAXIMUM;
}

static void refused(struct testcall *call, const char *what, const struct sip_message *response)
{
	if (is_challenge(response))
		call_fail(call, "%s was refused with %u: %s", what, response->status,
			  call->settings->user ? "user or password is wrong" : "it asks for a user and password");
	else
		call_fail(call, "%s was refused with %u %.*s", what, response->status, SPAN_PRINT(response->reason));
	call_leave(call);
}

static void on_register_response(struct testcall *call, const struct sip_message *response)
{
	if (may_authorize(call, response)) {
		send_register(call, response);
		return;
	}
	if (call->stage == CALL_UNREGISTERS) {
		call_leave(call);
		return;
	}
	call->result->status = response->status;
	if (response->status >= 300) {
		refused(call, "the registration", response);
		return;
	}
	call->is_registered = true;
	call->result->registered = true;
	call->result->register_ms = since_ms(call->request_us);
	invite_start(call);
}

/* What ends an INVITE that we cancelled: its refusal; or an answer that crossed the CANCEL, and is hung up. */
static void cancelled_response(struct testcall *call, const struct sip_message *response)
{
	if (response->status < 300 && ua_dialog_learn(&call->call, response)) {
		send_ack(call, response->cseq);
		call_hang_up(call);
		return;
	}
	call_leave(call);
}

void call_give_up(struct testcall *call)
{
	if (call->has_dialog) {
		call_hang_up(call);
	} else if (call->stage == CALL_RINGS && call->invite) {
		call->stage = CALL_HANGS_UP;
		sip_client_cancel(call->invite);
	} else {
		call_leave(call);
	}
}

void call_on_client_gone(void *context, struct sip_client_transaction *client)
{
	struct testcall *call = context;

	if (call->invite == client)
		call->invite = NULL;
}

static void on_invite_response(struct testcall *call, const struct sip_message *response)
{
	if (call->result->answered) { /* a copy of the 2xx */
		if (call->ack)
			transport_send(call->ua.transport, &call->flow, (struct span){call->ack, call->ack_length});
		return;
	}
	if (call->stage == CALL_HANGS_UP) {
		cancelled_response(call, response);
		return;
	}
	if (call->stage != CALL_RINGS)
		return;
	if (may_authorize(call, response)) {
		send_invite(call, response);
		return;
	}
	call->result->status = response->status;
	if (response->status < 300)
		on_answered(call, response);
	else
		refused(call, "the call", response);
}

void call_on_response(void *context, struct sip_client_transaction *client, const struct sip_message *response)
{
	struct testcall *call = context;

	if (response->status < 200 || call->stage == CALL_DONE)
		return;
	switch (sip_client_method(client)) {
	case SIP_REGISTER: on_register_response(call, response); return;
	case SIP_INVITE: on_invite_response(call, response); return;
	case SIP_BYE:
		if (call->stage == CALL_HANGS_UP)
			call_leave(call);
		return;
	default: return;
	}
}

void call_on_closed(void *context, const struct flow *flow)
{
	struct testcall *call = context;

	if (flow->connection != call->flow.connection)
		return;
	call->connection_lost = true;
	call_fail(call, "the connection was lost: %s",
		  net_close_reason_text(transport_close_reason(call->ua.transport)));
	call_leave(call);
}

void call_on_failed(void *context, struct sip_client_transaction *client, enum sip_failure failure)
{
	struct testcall *call = context;

	if (call->stage == CALL_DONE)
		return;
	call_fail(call, "%s: %s", sip_method_name(sip_client_method(client)),
		  failure == SIP_FAILURE_TIMEOUT ? "nobody answered" : "it could not be sent");
	call_leave(call);
}

/* What the other side asks of us: little. */
void call_on_request(void *context, struct sip_server_transaction *server, const struct sip_message *request)
{
	struct testcall *call = context;
	bool in_dialog = call->has_dialog && ua_dialog_matches(&call->call, request);

	if (request->to.tag.length && !in_dialog) {
		ua_respond(&call->ua, server, 481, "");
		return;
	}
	switch (request->method) {
	case SIP_BYE:
		ua_respond(&call->ua, server, in_dialog ? 200 : 481, in_dialog ? call->call.local_tag : "");
		if (!in_dialog)
			return;
		call->has_dialog = false;
		if (call->stage == CALL_TALKS)
			call_fail(call, "the other side hung up before the sound was over");
		call_leave(call);
		return;
	case SIP_OPTIONS:
	case SIP_INFO:
	case SIP_NOTIFY: ua_respond(&call->ua, server, 200, in_dialog ? call->call.local_tag : ""); return;
	case SIP_INVITE:
	case SIP_UPDATE:
		ua_respond(&call->ua, server, in_dialog ? 488 : 486, in_dialog ? call->call.local_tag : "");
		return;
	default: ua_respond(&call->ua, server, 405, in_dialog ? call->call.local_tag : ""); return;
	}
}
