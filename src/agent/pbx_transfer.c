/* SPDX-License-Identifier: Apache-2.0
 * The test PBX transfers (RFC 3515, RFC 3891, RFC 5589). It carries a REFER out itself: the target is asked for an offer,
 * the one who is transferred answers it in a re-INVITE (RFC 3725 section 4.1), and the two have the call. */
#include <stdio.h>

#include "agent/pbx.h"

#define REPLACES_BYTES 800
#define PARTED_MS 5000 /* for who transferred to hang up himself */

struct pbx_transfer {
	struct list link;
	struct pbx_call *call; /* in which it was asked for */
	uint8_t leg;           /* by this leg */
	bool referrer_gone, moved;
	uint32_t cseq; /* of the REFER */
	struct pbx_call *target;
	uint8_t side;                      /* of the target that is or will be the transferred leg's */
	bool replaces;                     /* there is somebody on that side until then */
	struct pbx_exchange *exchanges[2]; /* with the target; with who is transferred */
};

/* ---- What is told -------------------------------------------------------------------------- */

static void notify(struct pbx_transfer *transfer, uint16_t status)
{
	struct pbx_call *call = transfer->call;
	struct ua *ua = &call->pbx->ua;
	struct ua_dialog *dialog = &call->legs[transfer->leg];
	char branch[SIP_BRANCH_CAPACITY], event[40], fragment[80];
	bool over = status >= 200;
	struct buffer out;

	if (transfer->referrer_gone)
		return;
	snprintf(event, sizeof(event), "refer;id=%u", transfer->cseq);
	snprintf(fragment, sizeof(fragment), "SIP/2.0 %u %s\r\n", status, sip_reason_phrase(status));
	out = ua_request_start(ua, dialog, SPAN("NOTIFY"), ++dialog->cseq, branch);
	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(dialog->contact));
	sip_write_header(&out, SIP_HEADER_EVENT, span_from(event));
	sip_write_header(&out, SIP_HEADER_SUBSCRIPTION_STATE,
			 over ? SPAN("terminated;reason=noresource") : SPAN("active;expires=180"));
	ua_request_send(ua, dialog, SIP_NOTIFY, branch, &out, SPAN("message/sipfrag;version=2.0"), span_from(fragment),
			NULL);
}

/* ---- Its end ------------------------------------------------------------------------------- */

void pbx_transfer_exchange_gone(struct pbx_transfer *transfer, const struct pbx_exchange *exchange)
{
	for (int i = 0; i < 2; i++) {
		if (transfer->exchanges[i] == exchange)
			transfer->exchanges[i] = NULL;
	}
}

static void parted_fire(void *context)
{
	struct pbx_call *call = context;

	pbx_bye(call->pbx, &call->legs[0]);
	call->ended = true;
	pbx_call_release(call);
}

static void transfer_free(struct pbx_transfer *transfer)
{
	struct pbx_call *calls[2] = {transfer->call, transfer->target};

	for (int i = 0; i < 2; i++) {
		if (transfer->exchanges[i])
			transfer->exchanges[i]->transfer = NULL;
	}
	transfer->call->transfer = NULL;
	if (transfer->moved && !calls[0]->ended) {
		calls[0]->timer = (struct timer){.fire = parted_fire, .context = calls[0]};
		timer_start(calls[0]->pbx->ua.wheel, &calls[0]->timer, PARTED_MS);
	}
	list_remove(&transfer->link);
	memory_free(transfer);
	for (int i = 0; i < 2; i++) {
		if (calls[i]) {
			calls[i]->references--;
			pbx_call_release(calls[i]);
		}
	}
}

void pbx_transfers_free(struct testpbx *pbx)
{
	list_each(link, &pbx->transfers)
		transfer_free(list_object(link, struct pbx_transfer, link));
}

/* The transferred leg goes over to the target's call; who transferred is left alone in his. */
static void leg_move(struct pbx_transfer *transfer)
{
	struct pbx_call *call = transfer->call, *target = transfer->target;

	if (transfer->replaces)
		pbx_bye(call->pbx, &target->legs[transfer->side]);
	target->legs[transfer->side] = call->legs[!transfer->leg];
	call->legs[0] = call->legs[transfer->leg];
	call->pending[0] = call->pending[1] = NULL;
	call->has_callee = false;
	transfer->leg = 0;
	transfer->moved = true;
}

static void transfer_fail(struct pbx_transfer *transfer, uint16_t status)
{
	struct pbx_call *call = transfer->call, *target = transfer->target;

	notify(transfer, status);
	if (transfer->moved) { /* the two do not understand each other */
		if (transfer->exchanges[0])
			pbx_exchange_ack(transfer->exchanges[0], SPAN_EMPTY, SPAN_EMPTY);
		for (int leg = 0; leg < (target->has_callee ? 2 : 1); leg++)
			pbx_bye(call->pbx, &target->legs[leg]);
		target->ended = true;
	} else if (transfer->referrer_gone) {
		pbx_bye(call->pbx, &call->legs[!transfer->leg]);
	}
	transfer_free(transfer);
}

bool pbx_transfer_bye(struct pbx_call *call, uint8_t leg)
{
	struct pbx_transfer *transfer = call->transfer;

	if (!transfer)
		return false;
	if (leg == transfer->leg) {
		transfer->referrer_gone = true;
		return true;
	}
	if (transfer->exchanges[0])
		pbx_exchange_cancelled(transfer->exchanges[0]); /* and the transfer has failed */
	else
		transfer_fail(transfer, 487);
	return false;
}

/* ---- Its steps ----------------------------------------------------------------------------- */

/* The offer of the target's, or of the sound there, goes to who is transferred. */
static void transferred_ask(struct pbx_transfer *transfer, struct span content_type, struct span offer)
{
	const struct sip_message invite = {
		.method = SIP_INVITE, .method_text = SPAN("INVITE"), .content_type = content_type, .body = offer};

	leg_move(transfer);
	transfer->exchanges[1] = pbx_exchange_transfer(transfer, transfer->target, !transfer->side, false, &invite);
	if (!transfer->exchanges[1])
		transfer_fail(transfer, 503);
}

static void transferred_answered(struct pbx_transfer *transfer, const struct sip_message *response)
{
	struct pbx_call *target = transfer->target;
	bool good = target->is_sound ? pbx_sound_answered(target, response->body) : transfer->exchanges[0] != NULL;

	pbx_exchange_ack(transfer->exchanges[1], SPAN_EMPTY, SPAN_EMPTY);
	if (!good) {
		transfer_fail(transfer, 488);
		return;
	}
	if (!target->is_sound)
		pbx_exchange_ack(transfer->exchanges[0], response->content_type, response->body);
	notify(transfer, 200);
	transfer_free(transfer);
}

void pbx_transfer_answered(struct pbx_transfer *transfer, struct pbx_exchange *exchange, uint16_t status,
			   const struct sip_message *response)
{
	bool is_target = exchange == transfer->exchanges[0];

	if (status < 200 && is_target)
		notify(transfer, status);
	else if (status >= 300)
		transfer_fail(transfer, status);
	else if (status >= 200 && is_target)
		transferred_ask(transfer, response->content_type, response->body);
	else if (status >= 200)
		transferred_answered(transfer, response);
}

static bool sound_ask(struct pbx_transfer *transfer)
{
	char text[2048];
	struct buffer sdp = BUFFER_OVER(text);

	pbx_sound_offer(transfer->target, &sdp);
	if (sdp.overflow)
		return false;
	transferred_ask(transfer, SPAN("application/sdp"), buffer_span(&sdp));
	return true;
}

/* Calls the target, or asks the one there already, without an offer. */
static bool target_ask(struct pbx_transfer *transfer, const struct sip_uri *to)
{
	const struct ua_dialog *dialog = &transfer->call->legs[!transfer->leg];
	struct sip_message invite = {
		.method = SIP_INVITE, .method_text = SPAN("INVITE"), .request_uri = *to, .to.uri = *to};
	bool initial = !transfer->replaces;

	if (sip_uri_parse(span_from(dialog->remote_uri), &invite.from.uri))
		return false;
	transfer->exchanges[0] = pbx_exchange_transfer(transfer, transfer->target, transfer->side, initial, &invite);
	return transfer->exchanges[0];
}

/* ---- REFER --------------------------------------------------------------------------------- */

uint16_t pbx_replaces_find(struct testpbx *pbx, struct span value, struct pbx_call **call, uint8_t *leg)
{
	ptrdiff_t semicolon = span_index(value, ';');
	struct span call_id = span_trim(span_slice(value, 0, semicolon < 0 ? value.length : (size_t)semicolon)),
		    parameters;
	struct span to_tag, from_tag;

	parameters = semicolon < 0 ? SPAN_EMPTY : span_slice(value, (size_t)semicolon, value.length);
	if (!sip_parameter_get(parameters, "to-tag", &to_tag) || !sip_parameter_get(parameters, "from-tag", &from_tag))
		return 400;
	*call = pbx_call_find(pbx, call_id, to_tag, from_tag, leg);
	return *call ? 0 : 481;
}

/* The header Replaces in a URI, or NULL. */
static const char *uri_replaces(const struct sip_uri *uri, char out[REPLACES_BYTES])
{
	static const struct span name = {"Replaces=", 9};
	struct span rest = uri->headers;

	while (rest.length) {
		ptrdiff_t end = span_index(rest, '&');
		struct span one = span_slice(rest, 0, end < 0 ? rest.length : (size_t)end);

		if (span_starts_with(one, name))
			return sip_user_decode(span_slice(one, name.length, one.length), out, REPLACES_BYTES) ? ""
													      : out;
		rest = end < 0 ? SPAN_EMPTY : span_slice(rest, (size_t)end + 1, rest.length);
	}
	return NULL;
}

/* The call that the transferred leg is to be in. Returns 0, or the status to refuse with. */
static uint16_t target_find(struct pbx_transfer *transfer, const struct sip_uri *to)
{
	struct pbx_call *call = transfer->call;
	const struct ua_dialog *dialog = &call->legs[!transfer->leg];
	const struct pbx_extension *extension = pbx_extension_find(to->user);
	char text[REPLACES_BYTES];
	const char *replaces = uri_replaces(to, text);
	uint16_t status;

	transfer->replaces = replaces != NULL;
	if (replaces) {
		status = pbx_replaces_find(call->pbx, span_from(replaces), &transfer->target, &transfer->side);
		if (status)
			return status == 481 ? 404 : status; /* 481 would end the dialog of the REFER */
		if (transfer->target == call || transfer->target->transfer || pbx_call_waits(transfer->target) ||
		    (!transfer->target->is_sound && !transfer->target->has_callee)) {
			transfer->target = NULL;
			return 491;
		}
		return 0;
	}
	transfer->target = extension ? pbx_sound_new(call->pbx, dialog, extension) : pbx_call_joined(call->pbx, dialog);
	return transfer->target ? 0 : 503;
}

static struct pbx_transfer *transfer_new(struct pbx_call *call, uint8_t leg, uint32_t cseq)
{
	struct pbx_transfer *transfer = memory_alloc(sizeof(*transfer));

	if (!transfer)
		return NULL;
	transfer->call = call;
	transfer->leg = leg;
	transfer->cseq = cseq;
	list_append(&call->pbx->transfers, &transfer->link);
	call->transfer = transfer;
	call->references++;
	return transfer;
}

static uint16_t refer_accept(struct pbx_call *call, uint8_t leg, const struct sip_message *refer,
			     struct sip_address *to, struct pbx_transfer **out)
{
	const struct sip_header *header = sip_message_header(refer, SIP_HEADER_REFER_TO);
	uint16_t status;

	if (!header || sip_address_parse(header->value, to) || to->unknown_scheme || to->star)
		return 400;
	if (!call->has_callee || call->transfer || pbx_call_waits(call))
		return 491;
	*out = transfer_new(call, leg, refer->cseq);
	if (!*out)
		return 503;
	status = target_find(*out, &to->uri);
	if ((*out)->target)
		(*out)->target->references++;
	if (status)
		transfer_free(*out);
	return status;
}

void pbx_transfer_request(struct pbx_call *call, uint8_t leg, struct sip_server_transaction *server,
			  const struct sip_message *refer)
{
	struct testpbx *pbx = call->pbx;
	struct pbx_transfer *transfer = NULL;
	struct sip_address to;
	uint16_t status = refer_accept(call, leg, refer, &to, &transfer);
	struct buffer out;

	if (status) {
		ua_respond(&pbx->ua, server, status, call->legs[leg].local_tag);
		return;
	}
	out = ua_response_start(&pbx->ua, refer, sip_server_flow(server), 202, call->legs[leg].local_tag);
	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(call->legs[leg].contact));
	ua_response_send(server, 202, &out, SPAN_EMPTY, SPAN_EMPTY);
	notify(transfer, 100);
	if (transfer->target->is_sound ? sound_ask(transfer) : target_ask(transfer, &to.uri))
		return;
	if (!transfer->replaces)
		transfer->target->ended = true;
	transfer_fail(transfer, 404);
}

/* ---- 602 and 603 --------------------------------------------------------------------------- */

/* Replaces names the dialog as the target, which is us, knows it (RFC 3891 section 3). */
void pbx_refer_send(struct pbx_call *call)
{
	struct ua *ua = &call->pbx->ua;
	struct ua_dialog *dialog = &call->legs[0];
	char branch[SIP_BRANCH_CAPACITY], contact[UA_URI_BYTES], text[UA_URI_BYTES + REPLACES_BYTES];
	struct buffer to = BUFFER_OVER(text), out = ua_request_start(ua, dialog, SPAN("REFER"), ++dialog->cseq, branch);
	struct span uri;

	ua_contact_write(contact, sizeof(contact), &dialog->flow, span_from(call->refers_to), false);
	uri = span_from(contact);
	buffer_put_span(&to, span_slice(uri, 0, uri.length - 1));
	if (call->replaces)
		buffer_printf(&to, "?Replaces=%s%%3Bto-tag%%3D%s%%3Bfrom-tag%%3D%s", dialog->call_id, dialog->local_tag,
			      dialog->remote_tag);
	buffer_put_byte(&to, '>');
	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(dialog->contact));
	sip_write_header(&out, SIP_HEADER_REFER_TO, buffer_span(&to));
	ua_request_send(ua, dialog, SIP_REFER, branch, &out, SPAN_EMPTY, SPAN_EMPTY, NULL);
	call->refers_to = NULL;
}
