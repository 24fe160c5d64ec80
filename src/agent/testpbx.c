/* SPDX-License-Identifier: Apache-2.0
 * The test PBX: who gets which request. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/pbx.h"

static const struct pbx_extension extensions[] = {
	{.number = "600"},
	{.number = "601", .is_tone = true},
	{.number = "602", .refers_to = "600"},
	{.number = "603", .is_tone = true, .refers_to = "601", .replaces = true},
	{.number = "604", .redirects_to = "601"},
	{.number = "605", .messages = 1},
	{.number = "606", .messages = -1},
};

const struct pbx_extension *pbx_extension_find(struct span number)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		if (span_is(number, extensions[i].number))
			return &extensions[i];
	}
	return NULL;
}

/* ---- Calls --------------------------------------------------------------------------------- */

struct pbx_call *pbx_call_joined(struct testpbx *pbx, const struct ua_dialog *dialog)
{
	struct pbx_call *call = pbx->call_count < PBX_CALLS_MAXIMUM ? memory_alloc(sizeof(*call)) : NULL;

	if (!call)
		return NULL;
	call->legs[0] = *dialog;
	call->pbx = pbx;
	call->sound.descriptor = -1;
	list_append(&pbx->calls, &call->link);
	pbx->call_count++;
	return call;
}

struct pbx_call *pbx_call_new(struct testpbx *pbx, const struct flow *flow, const struct sip_message *invite)
{
	struct ua_dialog dialog;

	return ua_dialog_accept(&pbx->ua, &dialog, flow, invite) ? pbx_call_joined(pbx, &dialog) : NULL;
}

static void call_free(struct pbx_call *call)
{
	timer_stop(call->pbx->ua.wheel, &call->timer);
	sound_end_close(&call->sound);
	list_remove(&call->link);
	call->pbx->call_count--;
	memory_free_secret(call, sizeof(*call));
}

void pbx_call_release(struct pbx_call *call)
{
	if (call->ended && !call->references)
		call_free(call);
}

void pbx_bye(struct testpbx *pbx, struct ua_dialog *dialog)
{
	char branch[SIP_BRANCH_CAPACITY];
	struct buffer out = ua_request_start(&pbx->ua, dialog, SPAN("BYE"), ++dialog->cseq, branch);

	ua_request_send(&pbx->ua, dialog, SIP_BYE, branch, &out, SPAN_EMPTY, SPAN_EMPTY, NULL);
}

struct pbx_call *pbx_call_find(struct testpbx *pbx, struct span call_id, struct span to_tag, struct span from_tag,
			       uint8_t *leg)
{
	const struct sip_message request = {.call_id = call_id, .to.tag = to_tag, .from.tag = from_tag};

	list_each(link, &pbx->calls) {
		struct pbx_call *call = list_object(link, struct pbx_call, link);

		for (*leg = 0; *leg < (call->has_callee ? 2 : 1); (*leg)++) {
			if (!call->ended && ua_dialog_matches(&call->legs[*leg], &request))
				return call;
		}
	}
	return NULL;
}

static struct pbx_call *call_find(struct testpbx *pbx, const struct sip_message *request, uint8_t *leg)
{
	return pbx_call_find(pbx, request->call_id, request->to.tag, request->from.tag, leg);
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void respond_allow(struct testpbx *pbx, struct sip_server_transaction *server, uint16_t status)
{
	struct buffer out =
		ua_response_start(&pbx->ua, sip_server_request(server), sip_server_flow(server), status, "");

	sip_write_header(&out, SIP_HEADER_ALLOW, SPAN(PBX_ALLOW));
	sip_write_header(&out, SIP_HEADER_ACCEPT, SPAN("application/sdp"));
	ua_response_send(server, status, &out, SPAN_EMPTY, SPAN_EMPTY);
}

static void redirect(struct testpbx *pbx, struct sip_server_transaction *server, struct span number)
{
	const struct flow *flow = sip_server_flow(server);
	struct buffer out = ua_response_start(&pbx->ua, sip_server_request(server), flow, 302, "");
	char contact[UA_URI_BYTES];

	ua_contact_write(contact, sizeof(contact), flow, number, false);
	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(contact));
	ua_response_send(server, 302, &out, SPAN_EMPTY, SPAN_EMPTY);
}

static void on_invite(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *invite)
{
	const struct sip_header *replaces = sip_message_header(invite, SIP_HEADER_REPLACES);
	const struct pbx_extension *extension = pbx_extension_find(invite->request_uri.user);
	struct pbx_call *call;
	uint16_t status;
	uint8_t leg;

	if (replaces) {
		status = pbx_replaces_find(pbx, replaces->value, &call, &leg);
		if (status)
			ua_respond(&pbx->ua, server, status, "");
		else if (call->is_sound)
			pbx_sound_replace(call, server, invite);
		else
			pbx_bridge_replace(call, leg, server, invite);
	} else if (!extension) {
		pbx_bridge_invite(pbx, server, invite);
	} else if (extension->redirects_to) {
		redirect(pbx, server, span_from(extension->redirects_to));
	} else {
		pbx_sound_invite(pbx, server, invite, extension);
	}
}

static void on_request_outside(struct testpbx *pbx, struct sip_server_transaction *server,
			       const struct sip_message *request)
{
	switch (request->method) {
	case SIP_OPTIONS: respond_allow(pbx, server, 200); return;
	case SIP_REGISTER: pbx_register(pbx, server, request); return;
	case SIP_INVITE:
		if (pbx_authenticate(pbx, server, request, request->from.uri.user))
			on_invite(pbx, server, request);
		return;
	case SIP_SUBSCRIBE:
		if (pbx_authenticate(pbx, server, request, request->from.uri.user))
			pbx_subscribe(pbx, server, request);
		return;
	case SIP_MESSAGE:
		if (pbx_authenticate(pbx, server, request, request->from.uri.user))
			pbx_bridge_message(pbx, server, request);
		return;
	default: respond_allow(pbx, server, 405); return;
	}
}

/* RFC 3261 section 8.2.2.3: no other extension can be required of us. */
static void respond_bad_extension(struct testpbx *pbx, struct sip_server_transaction *server,
				  const struct sip_header *require)
{
	struct buffer out = ua_response_start(&pbx->ua, sip_server_request(server), sip_server_flow(server), 420, "");

	sip_write_header(&out, SIP_HEADER_UNSUPPORTED, require->value);
	ua_response_send(server, 420, &out, SPAN_EMPTY, SPAN_EMPTY);
}

static void on_request(void *context, struct sip_server_transaction *server, const struct sip_message *request)
{
	const struct sip_header *require = sip_message_header(request, SIP_HEADER_REQUIRE);
	struct testpbx *pbx = context;
	struct pbx_call *call;
	uint8_t leg;

	if (require && !span_is(require->value, "replaces")) {
		respond_bad_extension(pbx, server, require);
		return;
	}
	if (request->max_forwards == 0 && request->method != SIP_OPTIONS) {
		ua_respond(&pbx->ua, server, 483, "");
		return;
	}
	if (!request->to.tag.length) {
		on_request_outside(pbx, server, request);
		return;
	}
	call = call_find(pbx, request, &leg);
	if (!call && request->method == SIP_SUBSCRIBE && pbx_subscribe_again(pbx, server, request))
		return;
	if (!call)
		ua_respond(&pbx->ua, server, 481, "");
	else if (call->is_sound)
		pbx_sound_request(call, server, request);
	else
		pbx_bridge_request(call, leg, server, request);
}

static void on_ack(void *context, const struct flow *flow, const struct sip_message *ack)
{
	struct testpbx *pbx = context;
	uint8_t leg;
	struct pbx_call *call = call_find(pbx, ack, &leg);

	(void)flow;
	if (call && call->is_sound)
		pbx_sound_ack(call, ack);
	else if (call)
		pbx_bridge_ack(call, leg, ack);
}

/* ---- Transactions' other news -------------------------------------------------------------- */

/* The call to 600 or 601 whose INVITE this is. */
static struct pbx_call *sound_call_of(struct testpbx *pbx, const struct sip_server_transaction *server)
{
	list_each(link, &pbx->calls) {
		struct pbx_call *call = list_object(link, struct pbx_call, link);

		if (call->server == server)
			return call;
	}
	return NULL;
}

static void on_cancelled(void *context, struct sip_server_transaction *server, const struct sip_message *cancel)
{
	struct testpbx *pbx = context;

	(void)cancel;
	if (sip_server_user(server))
		pbx_exchange_cancelled(sip_server_user(server));
	else
		ua_respond(&pbx->ua, server, 487, "");
}

static void on_unacknowledged(void *context, struct sip_server_transaction *server)
{
	struct pbx_call *call = sound_call_of(context, server);

	if (sip_server_user(server))
		pbx_exchange_unacknowledged(sip_server_user(server));
	else if (call)
		pbx_sound_end(call, true);
}

static void on_server_gone(void *context, struct sip_server_transaction *server)
{
	struct pbx_call *call = sound_call_of(context, server);

	if (call)
		call->server = NULL;
	if (sip_server_user(server))
		pbx_exchange_server_gone(sip_server_user(server));
}

/* A client transaction without a user is a BYE nobody waits for. */
static void on_response(void *context, struct sip_client_transaction *client, const struct sip_message *response)
{
	(void)context;
	if (sip_client_user(client))
		pbx_branch_response(sip_client_user(client), response);
}

static void on_failed(void *context, struct sip_client_transaction *client, enum sip_failure failure)
{
	(void)context;
	(void)failure;
	if (sip_client_user(client))
		pbx_branch_failed(sip_client_user(client));
}

static void on_client_gone(void *context, struct sip_client_transaction *client)
{
	(void)context;
	if (sip_client_user(client))
		pbx_branch_gone(sip_client_user(client));
}

/* ---- The PBX ------------------------------------------------------------------------------- */

static int settings_copy(struct testpbx *pbx, const struct testpbx_settings *settings)
{
	struct span user, password;

	pbx->settings = *settings;
	pbx->settings.realm = pbx->settings.user = pbx->settings.password = NULL;
	if (!settings->realm)
		return 0;
	if (!settings->user || !settings->password)
		return -EINVAL;
	user = span_from(settings->user);
	password = span_from(settings->password);
	pbx->settings.realm = memory_copy_text(span_from(settings->realm));
	pbx->settings.user = memory_copy_text(user);
	if (!pbx->settings.realm || !pbx->settings.user)
		return -ENOMEM;
	for (int i = 0; i < SIP_DIGEST_COUNT; i++) {
		int error = sip_digest_ha1(i, user, span_from(settings->realm), password, pbx->ha1[i]);

		if (error)
			return error;
	}
	return 0;
}

static int pbx_start(struct testpbx *pbx, struct event_base *loop)
{
	const struct sip_transaction_callbacks callbacks = {
		.request = on_request,
		.ack = on_ack,
		.cancelled = on_cancelled,
		.response = on_response,
		.failed = on_failed,
		.unacknowledged = on_unacknowledged,
		.server_gone = on_server_gone,
		.client_gone = on_client_gone,
		.context = pbx,
	};
	int error = ua_start(&pbx->ua, loop, &callbacks, pbx, NULL);

	if (error)
		return error;
	random_fill(pbx->ua.random, pbx->nonce_key, sizeof(pbx->nonce_key));
	error = ua_listen(&pbx->ua, TRANSPORT_UDP, &pbx->settings.listen);
	return error ? error : ua_listen(&pbx->ua, TRANSPORT_TCP, &pbx->settings.listen);
}

struct testpbx *testpbx_new(struct event_base *loop, const struct testpbx_settings *settings, char *error,
			    size_t error_capacity)
{
	struct testpbx *pbx = memory_alloc(sizeof(*pbx));
	char listen[ADDRESS_TEXT_BYTES];
	int result = -ENOMEM;

	if (pbx) {
		list_init(&pbx->bindings);
		list_init(&pbx->calls);
		list_init(&pbx->exchanges);
		list_init(&pbx->transfers);
		list_init(&pbx->subscriptions);
		result = settings_copy(pbx, settings);
	}
	if (!result)
		result = pbx_start(pbx, loop);
	if (!result)
		return pbx;
	snprintf(error, error_capacity, "the test PBX cannot start on %s: %s", address_text(&settings->listen, listen),
		 result == -EINVAL && settings->realm && !(settings->user && settings->password)
			 ? "a realm needs a user and a password"
			 : strerror(-result));
	testpbx_free(pbx);
	return NULL;
}

void testpbx_free(struct testpbx *pbx)
{
	if (!pbx)
		return;
	pbx_transfers_free(pbx);
	pbx_subscriptions_free(pbx);
	list_each(exchange, &pbx->exchanges)
		pbx_exchange_free(list_object(exchange, struct pbx_exchange, link));
	list_each(call, &pbx->calls)
		call_free(list_object(call, struct pbx_call, link));
	pbx_bindings_free(pbx);
	ua_stop(&pbx->ua);
	memory_free((char *)pbx->settings.realm);
	memory_free((char *)pbx->settings.user);
	memory_free_secret(pbx, sizeof(*pbx));
}
