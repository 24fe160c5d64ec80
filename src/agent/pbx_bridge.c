/* SPDX-License-Identifier: Apache-2.0
 * The test PBX between two users: requests are carried from one leg to the other with their bodies unchanged.
 * A user with several phones is rung on all of them; the first to answer has the call. */
#include <string.h>

#include "agent/pbx.h"

/* ---- Exchanges ----------------------------------------------------------------------------- */

static struct pbx_exchange *exchange_new(struct testpbx *pbx, struct pbx_call *call, uint8_t from,
					 struct sip_server_transaction *server, const struct sip_message *request)
{
	struct pbx_exchange *exchange = memory_alloc(sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->pbx = pbx;
	exchange->call = call;
	exchange->from = from;
	exchange->server = server;
	exchange->method = (uint8_t)request->method;
	if (server)
		sip_server_user_set(server, exchange);
	if (call)
		call->references++;
	list_append(&pbx->exchanges, &exchange->link);
	return exchange;
}

void pbx_exchange_free(struct pbx_exchange *exchange)
{
	struct pbx_call *call = exchange->call;

	timer_stop(exchange->pbx->ua.wheel, &exchange->ringing);
	list_remove(&exchange->link);
	for (uint8_t i = 0; i < exchange->branch_count; i++)
		memory_free(exchange->branches[i]);
	memory_free(exchange->ack);
	memory_free(exchange->replaced);
	if (exchange->transfer)
		pbx_transfer_exchange_gone(exchange->transfer, exchange);
	if (call) {
		if (call->pending[exchange->from] == exchange)
			call->pending[exchange->from] = NULL;
		call->references--;
		pbx_call_release(call);
	}
	memory_free(exchange);
}

static void exchange_release(struct pbx_exchange *exchange)
{
	if (exchange->server)
		return;
	for (uint8_t i = 0; i < exchange->branch_count; i++) {
		if (exchange->branches[i]->client)
			return;
	}
	pbx_exchange_free(exchange);
}

void pbx_exchange_server_gone(struct pbx_exchange *exchange)
{
	exchange->server = NULL;
	exchange_release(exchange);
}

void pbx_branch_gone(struct pbx_branch *branch)
{
	branch->client = NULL;
	exchange_release(branch->exchange);
}

static struct ua_dialog *branch_dialog(struct pbx_branch *branch)
{
	struct pbx_exchange *exchange = branch->exchange;

	return exchange->call && !exchange->initial ? &exchange->call->legs[!exchange->from] : &branch->dialog;
}

static struct pbx_branch *branch_new(struct pbx_exchange *exchange)
{
	struct pbx_branch *branch = NULL;

	if (exchange->branch_count < PBX_BINDINGS_OF_USER)
		branch = memory_alloc(sizeof(*branch));
	if (!branch)
		return NULL;
	branch->exchange = exchange;
	exchange->branches[exchange->branch_count++] = branch;
	return branch;
}

/* ---- Toward the one who asked -------------------------------------------------------------- */

static void exchange_answer(struct pbx_exchange *exchange, uint16_t status, const struct sip_message *response)
{
	struct sip_server_transaction *server = exchange->server;
	struct pbx_call *call = exchange->call;
	struct buffer out;
	bool has_body = response && response->body.length;

	if (exchange->transfer)
		pbx_transfer_answered(exchange->transfer, exchange, status, response);
	if (!server || sip_server_is_answered(server))
		return;
	out = ua_response_start(&exchange->pbx->ua, sip_server_request(server), sip_server_flow(server), status,
				call ? call->legs[exchange->from].local_tag : "");
	if (call && status < 300 && (exchange->method == SIP_INVITE || exchange->method == SIP_UPDATE))
		sip_write_header(&out, SIP_HEADER_CONTACT, span_from(call->legs[exchange->from].contact));
	ua_response_send(server, status, &out, has_body ? response->content_type : SPAN_EMPTY,
			 has_body ? response->body : SPAN_EMPTY);
}

/* A refused or lost call is over as soon as nothing refers to it. */
static void exchange_refuse(struct pbx_exchange *exchange, uint16_t status)
{
	exchange_answer(exchange, status, NULL);
	timer_stop(exchange->pbx->ua.wheel, &exchange->ringing);
	if (exchange->replaced) { /* nothing has changed */
		exchange->call->legs[exchange->from] = *exchange->replaced;
		memory_free(exchange->replaced);
		exchange->replaced = NULL;
	}
	if (exchange->initial && exchange->call)
		exchange->call->ended = true;
}

static void branches_cancel(struct pbx_exchange *exchange, const struct pbx_branch *except)
{
	for (uint8_t i = 0; i < exchange->branch_count; i++) {
		if (exchange->branches[i] != except && exchange->branches[i]->client)
			sip_client_cancel(exchange->branches[i]->client);
	}
}

void pbx_exchange_cancelled(struct pbx_exchange *exchange)
{
	exchange->cancelled = true;
	branches_cancel(exchange, NULL);
	exchange_refuse(exchange, 487);
}

static void ringing_fire(void *context)
{
	struct pbx_exchange *exchange = context;

	exchange->cancelled = true;
	branches_cancel(exchange, NULL);
	exchange_refuse(exchange, 480);
}

/* The caller never sent ACK: the call is ended on both sides. */
void pbx_exchange_unacknowledged(struct pbx_exchange *exchange)
{
	struct pbx_call *call = exchange->call;

	if (!call || call->ended || !exchange->winner)
		return;
	call->ended = true;
	pbx_bye(exchange->pbx, &call->legs[0]);
	if (call->has_callee)
		pbx_bye(exchange->pbx, &call->legs[1]);
}

/* ---- Toward the other side ----------------------------------------------------------------- */

static bool branch_send(struct pbx_branch *branch, const struct sip_message *request)
{
	struct pbx_exchange *exchange = branch->exchange;
	struct ua_dialog *dialog = branch_dialog(branch);
	char via_branch[SIP_BRANCH_CAPACITY];
	struct buffer out;

	exchange->cseq = ++dialog->cseq;
	out = ua_request_start(&exchange->pbx->ua, dialog, request->method_text, dialog->cseq, via_branch);
	if (request->method == SIP_INVITE || request->method == SIP_UPDATE) {
		sip_write_header(&out, SIP_HEADER_CONTACT, span_from(dialog->contact));
		sip_write_header(&out, SIP_HEADER_ALLOW, SPAN(PBX_ALLOW));
	}
	branch->client = ua_request_send(&exchange->pbx->ua, dialog, request->method, via_branch, &out,
					 request->content_type, request->body, branch);
	return branch->client;
}

static void ack_send(struct pbx_exchange *exchange, struct ua_dialog *dialog, struct span content_type,
		     struct span body)
{
	struct ua *ua = &exchange->pbx->ua;
	char via_branch[SIP_BRANCH_CAPACITY];
	struct buffer out = ua_request_start(ua, dialog, SPAN("ACK"), exchange->cseq, via_branch);
	struct span bytes;

	sip_write_body(&out, content_type, body);
	bytes = buffer_span(&out);
	if (!bytes.length)
		return;
	transport_send(ua->transport, &dialog->flow, bytes);
	exchange->ack = memory_alloc(bytes.length); /* kept for copies of the 2xx; without it they get none */
	if (!exchange->ack)
		return;
	memcpy(exchange->ack, bytes.data, bytes.length);
	exchange->ack_length = bytes.length;
}

void pbx_bridge_ack(struct pbx_call *call, uint8_t leg, const struct sip_message *ack)
{
	struct pbx_exchange *exchange = call->pending[leg];

	if (!exchange || !exchange->winner)
		return;
	if (exchange->server)
		sip_server_acknowledge(exchange->server);
	if (!exchange->ack)
		ack_send(exchange, &call->legs[!leg], ack->content_type, ack->body);
}

/* ---- Responses ----------------------------------------------------------------------------- */

/* A phone that answered too late is thanked and hung up. */
static void late_success(struct pbx_branch *branch, const struct sip_message *response)
{
	struct pbx_exchange *exchange = branch->exchange;
	char via_branch[SIP_BRANCH_CAPACITY];
	struct buffer out;

	if (branch->done || !exchange->initial || !ua_dialog_learn(&branch->dialog, response))
		return;
	branch->done = true;
	out = ua_request_start(&exchange->pbx->ua, &branch->dialog, SPAN("ACK"), branch->dialog.cseq, via_branch);
	sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
	transport_send(exchange->pbx->ua.transport, &branch->dialog.flow, buffer_span(&out));
	pbx_bye(exchange->pbx, &branch->dialog);
}

static void first_success(struct pbx_branch *branch, const struct sip_message *response)
{
	struct pbx_exchange *exchange = branch->exchange;
	struct pbx_call *call = exchange->call;

	exchange->winner = branch;
	branch->done = true;
	timer_stop(exchange->pbx->ua.wheel, &exchange->ringing);
	if (call && exchange->initial) {
		ua_dialog_learn(&branch->dialog, response);
		call->legs[1] = branch->dialog;
		call->has_callee = true;
		branches_cancel(exchange, branch);
	} else if (call && (exchange->method == SIP_INVITE || exchange->method == SIP_UPDATE)) {
		ua_dialog_retarget(branch_dialog(branch), response);
	}
	if (exchange->replaced)
		pbx_bye(exchange->pbx, exchange->replaced);
	memory_free(exchange->replaced);
	exchange->replaced = NULL;
	exchange_answer(exchange, response->status, response);
}

static void on_success(struct pbx_branch *branch, const struct sip_message *response)
{
	struct pbx_exchange *exchange = branch->exchange;

	if (exchange->winner == branch) { /* a copy: its ACK was lost */
		if (exchange->ack && exchange->call)
			transport_send(exchange->pbx->ua.transport, &exchange->call->legs[!exchange->from].flow,
				       (struct span){exchange->ack, exchange->ack_length});
	} else if (exchange->method == SIP_INVITE && (exchange->winner || exchange->cancelled)) {
		late_success(branch, response);
	} else if (!exchange->winner) {
		first_success(branch, response);
	}
}

/* The last refusal decides when none was better: a 6xx, else the lowest (RFC 3261 section 16.7). */
static void branch_refused(struct pbx_branch *branch, uint16_t status)
{
	struct pbx_exchange *exchange = branch->exchange;
	uint16_t best = exchange->best_status;

	if (branch->done)
		return;
	branch->done = true;
	if (status == 401 || status == 407)
		status = 403; /* a phone's challenge is none of the caller's (THREATS S3) */
	if (!best || (status >= 600 && best < 600) || (best < 600 && status < best))
		exchange->best_status = status;
	for (uint8_t i = 0; i < exchange->branch_count; i++) {
		if (!exchange->branches[i]->done)
			return;
	}
	if (!exchange->winner && !exchange->cancelled)
		exchange_refuse(exchange, exchange->best_status);
}

void pbx_branch_response(struct pbx_branch *branch, const struct sip_message *response)
{
	struct pbx_exchange *exchange = branch->exchange;

	if (response->status >= 300)
		branch_refused(branch, response->status);
	else if (response->status >= 200)
		on_success(branch, response);
	else if (response->status > 100 && exchange->initial && !exchange->winner && !exchange->cancelled)
		exchange_answer(exchange, response->status, response);
}

void pbx_branch_failed(struct pbx_branch *branch)
{
	branch_refused(branch, 480);
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* Sends the request to every binding of the called user. Returns whether any took it. */
static bool exchange_fork(struct pbx_exchange *exchange, const struct sip_message *request)
{
	struct pbx_binding *bindings[PBX_BINDINGS_OF_USER];
	struct testpbx *pbx = exchange->pbx;
	size_t count = pbx_bindings_find(pbx, request->request_uri.user, bindings, PBX_BINDINGS_OF_USER);
	bool sent = false;

	for (size_t i = 0; i < count; i++) {
		struct pbx_branch *branch = branch_new(exchange);
		struct flow flow;

		if (!branch)
			break;
		if (!pbx_binding_flow(pbx, bindings[i], &flow) &&
		    ua_dialog_open(&pbx->ua, &branch->dialog, &flow, request->from.uri.text, request->to.uri.text,
				   span_from(bindings[i]->uri))) {
			ua_contact_write(branch->dialog.contact, sizeof(branch->dialog.contact), &flow,
					 request->from.uri.user, false);
			branch_send(branch, request);
		}
		branch->done = !branch->client;
		sent |= branch->client != NULL;
	}
	return sent;
}

void pbx_bridge_invite(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *invite)
{
	struct pbx_binding *binding;
	struct pbx_exchange *exchange;
	struct pbx_call *call;

	if (!pbx_bindings_find(pbx, invite->request_uri.user, &binding, 1)) {
		ua_respond(&pbx->ua, server, 404, "");
		return;
	}
	call = pbx_call_new(pbx, sip_server_flow(server), invite);
	exchange = call ? exchange_new(pbx, call, 0, server, invite) : NULL;
	if (!exchange) {
		ua_respond(&pbx->ua, server, 503, "");
		if (call) {
			call->ended = true;
			pbx_call_release(call);
		}
		return;
	}
	exchange->initial = true;
	exchange->ringing = (struct timer){.fire = ringing_fire, .context = exchange};
	call->pending[0] = exchange;
	timer_start(pbx->ua.wheel, &exchange->ringing, PBX_RINGING_MS);
	if (!exchange_fork(exchange, invite))
		exchange_refuse(exchange, 480);
}

void pbx_bridge_message(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *message)
{
	struct pbx_binding *binding;
	struct pbx_exchange *exchange;

	if (!pbx_bindings_find(pbx, message->request_uri.user, &binding, 1)) {
		ua_respond(&pbx->ua, server, 404, "");
		return;
	}
	exchange = exchange_new(pbx, NULL, 0, server, message);
	if (!exchange)
		ua_respond(&pbx->ua, server, 503, "");
	else if (!exchange_fork(exchange, message))
		exchange_refuse(exchange, 480);
}

static void bridge_bye(struct pbx_call *call, uint8_t leg, struct sip_server_transaction *server)
{
	struct testpbx *pbx = call->pbx;

	ua_respond(&pbx->ua, server, 200, call->legs[leg].local_tag);
	for (int i = 0; i < 2; i++) {
		struct pbx_exchange *exchange = call->pending[i];

		if (!exchange || !exchange->server)
			continue;
		if (!sip_server_is_answered(exchange->server))
			pbx_exchange_cancelled(exchange);
		else
			sip_server_acknowledge(exchange->server); /* BYE says that the 2xx was heard */
	}
	if (!pbx_transfer_bye(call, leg) && call->has_callee)
		pbx_bye(pbx, &call->legs[!leg]);
	call->ended = true;
	pbx_call_release(call);
}

static bool exchange_waits(const struct pbx_exchange *exchange)
{
	return exchange && exchange->server && !sip_server_is_answered(exchange->server);
}

bool pbx_call_waits(const struct pbx_call *call)
{
	return exchange_waits(call->pending[0]) || exchange_waits(call->pending[1]);
}

/* ---- Of transfers -------------------------------------------------------------------------- */

struct pbx_exchange *pbx_exchange_transfer(struct pbx_transfer *transfer, struct pbx_call *call, uint8_t from,
					   bool initial, const struct sip_message *invite)
{
	struct pbx_exchange *exchange = exchange_new(call->pbx, call, from, NULL, invite);
	struct pbx_branch *branch;
	bool sent;

	if (!exchange)
		return NULL;
	exchange->initial = initial;
	exchange->ringing = (struct timer){.fire = ringing_fire, .context = exchange};
	branch = initial ? NULL : branch_new(exchange);
	sent = initial ? exchange_fork(exchange, invite) : branch && branch_send(branch, invite);
	if (!sent) {
		pbx_exchange_free(exchange);
		return NULL;
	}
	exchange->transfer = transfer;
	timer_start(call->pbx->ua.wheel, &exchange->ringing, PBX_RINGING_MS);
	return exchange;
}

void pbx_exchange_ack(struct pbx_exchange *exchange, struct span content_type, struct span body)
{
	ack_send(exchange, &exchange->call->legs[!exchange->from], content_type, body);
}

void pbx_bridge_replace(struct pbx_call *call, uint8_t leg, struct sip_server_transaction *server,
			const struct sip_message *invite)
{
	struct testpbx *pbx = call->pbx;
	bool can = call->has_callee && !call->transfer && !pbx_call_waits(call);
	struct pbx_exchange *exchange = can ? exchange_new(pbx, call, leg, server, invite) : NULL;
	struct ua_dialog *before = exchange ? memory_alloc(sizeof(*before)) : NULL;
	struct pbx_branch *branch;

	if (!exchange) {
		ua_respond(&pbx->ua, server, can ? 503 : 491, "");
		return;
	}
	exchange->replaced = before;
	if (before)
		*before = call->legs[leg];
	call->pending[leg] = exchange;
	branch = before ? branch_new(exchange) : NULL;
	if (!branch || !ua_dialog_accept(&pbx->ua, &call->legs[leg], sip_server_flow(server), invite) ||
	    !branch_send(branch, invite))
		exchange_refuse(exchange, 503);
}

void pbx_bridge_request(struct pbx_call *call, uint8_t leg, struct sip_server_transaction *server,
			const struct sip_message *request)
{
	struct testpbx *pbx = call->pbx;
	struct pbx_exchange *exchange;
	struct pbx_branch *branch;

	if (request->method == SIP_BYE) {
		bridge_bye(call, leg, server);
		return;
	}
	if (request->method == SIP_REFER) {
		pbx_transfer_request(call, leg, server, request);
		return;
	}
	if (!call->has_callee || (request->method == SIP_INVITE && exchange_waits(call->pending[!leg]))) {
		ua_respond(&pbx->ua, server, 491, call->legs[leg].local_tag); /* RFC 3261 section 14.2 */
		return;
	}
	exchange = exchange_new(pbx, call, leg, server, request);
	if (!exchange) {
		ua_respond(&pbx->ua, server, 503, call->legs[leg].local_tag);
		return;
	}
	if (request->method == SIP_INVITE)
		call->pending[leg] = exchange;
	if (request->method == SIP_INVITE || request->method == SIP_UPDATE)
		ua_dialog_retarget(&call->legs[leg], request);
	branch = branch_new(exchange);
	if (!branch || !branch_send(branch, request))
		exchange_refuse(exchange, 503);
}
