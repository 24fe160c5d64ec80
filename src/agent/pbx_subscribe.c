/* SPDX-License-Identifier: Apache-2.0
 * Who wants to know something of the test PBX (RFC 6665): the mailbox (RFC 3842), whether a user is registered (RFC 3856),
 * whether he is in a call (RFC 4235). What is to be told is looked up every so often, and told where it has changed. */
#include <stdio.h>

#include "agent/pbx.h"

#define WATCH_MS 200
#define STATE_BYTES 1024
#define NEVER UINT32_MAX

struct event_package {
	const char *name, *content_type;
	uint32_t (*state)(struct testpbx *pbx, struct span user);
	void (*write)(struct buffer *out, const char *entity, uint32_t version, uint32_t state);
};

struct pbx_subscription {
	struct list link;
	const struct event_package *package;
	char user[PBX_USER_BYTES];
	struct ua_dialog dialog;
	uint64_t expires_us;
	uint32_t told, version;
};

/* ---- Packages ------------------------------------------------------------------------------ */

static uint32_t mailbox_state(struct testpbx *pbx, struct span user)
{
	(void)user;
	return pbx->messages;
}

static void mailbox_write(struct buffer *out, const char *entity, uint32_t version, uint32_t state)
{
	(void)version;
	buffer_printf(out, "Messages-Waiting: %s\r\nMessage-Account: %s\r\nVoice-Message: %u/0 (0/0)\r\n",
		      state ? "yes" : "no", entity, state);
}

static uint32_t presence_state(struct testpbx *pbx, struct span user)
{
	struct pbx_binding *binding;

	return pbx_bindings_find(pbx, user, &binding, 1) > 0;
}

static void presence_write(struct buffer *out, const char *entity, uint32_t version, uint32_t state)
{
	(void)version;
	buffer_printf(out,
		      "<?xml version=\"1.0\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"%s\">"
		      "<tuple id=\"a\"><status><basic>%s</basic></status></tuple></presence>\r\n",
		      entity, state ? "open" : "closed");
}

static bool is_in(struct span user, const struct ua_dialog *dialog)
{
	struct sip_uri uri;

	return sip_uri_parse(span_from(dialog->remote_uri), &uri) == SIP_OK && sip_user_equal(uri.user, user);
}

static uint32_t dialog_state(struct testpbx *pbx, struct span user)
{
	list_each(link, &pbx->calls) {
		const struct pbx_call *call = list_object(link, struct pbx_call, link);

		if (!call->ended && (call->is_sound || call->has_callee) &&
		    (is_in(user, &call->legs[0]) || (call->has_callee && is_in(user, &call->legs[1]))))
			return 1;
	}
	return 0;
}

static void dialog_write(struct buffer *out, const char *entity, uint32_t version, uint32_t state)
{
	buffer_printf(out,
		      "<?xml version=\"1.0\"?>\r\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" "
		      "version=\"%u\" state=\"full\" entity=\"%s\">",
		      version, entity);
	if (state)
		buffer_put_text(out, "<dialog id=\"a\"><state>confirmed</state></dialog>");
	buffer_put_text(out, "</dialog-info>\r\n");
}

static const struct event_package packages[] = {
	{"message-summary", "application/simple-message-summary", mailbox_state, mailbox_write},
	{"presence", "application/pidf+xml", presence_state, presence_write},
	{"dialog", "application/dialog-info+xml", dialog_state, dialog_write},
};

static const struct event_package *package_of(const struct sip_message *subscribe)
{
	const struct sip_header *event = sip_message_header(subscribe, SIP_HEADER_EVENT);

	for (size_t i = 0; event && i < sizeof(packages) / sizeof(packages[0]); i++) {
		if (span_is(event->value, packages[i].name))
			return &packages[i];
	}
	return NULL;
}

/* ---- Subscriptions ------------------------------------------------------------------------- */

static void subscription_free(struct testpbx *pbx, struct pbx_subscription *subscription)
{
	list_remove(&subscription->link);
	pbx->subscription_count--;
	memory_free(subscription);
}

void pbx_subscriptions_free(struct testpbx *pbx)
{
	list_each(link, &pbx->subscriptions)
		subscription_free(pbx, list_object(link, struct pbx_subscription, link));
}

static void notify(struct testpbx *pbx, struct pbx_subscription *subscription, uint64_t now_us)
{
	struct ua_dialog *dialog = &subscription->dialog;
	const struct event_package *package = subscription->package;
	char branch[SIP_BRANCH_CAPACITY], text[STATE_BYTES], state[40];
	struct buffer body = BUFFER_OVER(text), out;

	if (subscription->expires_us > now_us)
		snprintf(state, sizeof(state), "active;expires=%u",
			 (unsigned)((subscription->expires_us - now_us + 999999) / 1000000));
	else
		snprintf(state, sizeof(state), "terminated;reason=timeout");
	subscription->told = package->state(pbx, span_from(subscription->user));
	package->write(&body, dialog->local_uri, subscription->version++, subscription->told);
	out = ua_request_start(&pbx->ua, dialog, SPAN("NOTIFY"), ++dialog->cseq, branch);
	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(dialog->contact));
	sip_write_header(&out, SIP_HEADER_EVENT, span_from(package->name));
	sip_write_header(&out, SIP_HEADER_SUBSCRIPTION_STATE, span_from(state));
	out.overflow |= body.overflow;
	ua_request_send(&pbx->ua, dialog, SIP_NOTIFY, branch, &out, span_from(package->content_type),
			buffer_span(&body), NULL);
}

static void watch_fire(void *context)
{
	struct testpbx *pbx = context;
	uint64_t now_us = clock_monotonic_us();

	list_each(link, &pbx->subscriptions) {
		struct pbx_subscription *subscription = list_object(link, struct pbx_subscription, link);
		bool over = subscription->expires_us <= now_us;

		if (over || subscription->told != subscription->package->state(pbx, span_from(subscription->user)))
			notify(pbx, subscription, now_us);
		if (over)
			subscription_free(pbx, subscription);
	}
	if (pbx->subscription_count)
		timer_start(pbx->ua.wheel, &pbx->watch, WATCH_MS);
}

/* Answers, and lets the state be told at the next look. */
static void subscription_accept(struct testpbx *pbx, struct pbx_subscription *subscription,
				struct sip_server_transaction *server, const struct sip_message *subscribe)
{
	const struct sip_header *header = sip_message_header(subscribe, SIP_HEADER_EXPIRES);
	uint64_t expires_s = PBX_EXPIRES_DEFAULT_S;
	struct buffer out;

	if (header)
		span_to_uint(header->value, UINT32_MAX, &expires_s);
	if (expires_s > PBX_EXPIRES_DEFAULT_S)
		expires_s = PBX_EXPIRES_DEFAULT_S;
	subscription->expires_us = clock_monotonic_us() + expires_s * 1000000;
	subscription->told = NEVER;
	out = ua_response_start(&pbx->ua, subscribe, sip_server_flow(server), 200, subscription->dialog.local_tag);
	sip_write_header(&out, SIP_HEADER_CONTACT, span_from(subscription->dialog.contact));
	sip_write_header_number(&out, SIP_HEADER_EXPIRES, (uint32_t)expires_s);
	ua_response_send(server, 200, &out, SPAN_EMPTY, SPAN_EMPTY);
	pbx->watch.fire = watch_fire;
	pbx->watch.context = pbx;
	timer_start(pbx->ua.wheel, &pbx->watch, 1);
}

static void respond_bad_event(struct testpbx *pbx, struct sip_server_transaction *server)
{
	struct buffer out = ua_response_start(&pbx->ua, sip_server_request(server), sip_server_flow(server), 489, "");

	sip_write_header(&out, SIP_HEADER_ALLOW_EVENTS, SPAN("message-summary, presence, dialog"));
	ua_response_send(server, 489, &out, SPAN_EMPTY, SPAN_EMPTY);
}

void pbx_subscribe(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *subscribe)
{
	const struct event_package *package = package_of(subscribe);
	struct pbx_subscription *subscription;

	if (!package) {
		respond_bad_event(pbx, server);
		return;
	}
	subscription = pbx->subscription_count < PBX_SUBSCRIPTIONS_MAXIMUM ? memory_alloc(sizeof(*subscription)) : NULL;
	if (!subscription || span_copy(subscribe->request_uri.user, subscription->user, sizeof(subscription->user)) ||
	    !ua_dialog_accept(&pbx->ua, &subscription->dialog, sip_server_flow(server), subscribe)) {
		memory_free(subscription);
		ua_respond(&pbx->ua, server, 503, "");
		return;
	}
	subscription->package = package;
	list_append(&pbx->subscriptions, &subscription->link);
	pbx->subscription_count++;
	subscription_accept(pbx, subscription, server, subscribe);
}

bool pbx_subscribe_again(struct testpbx *pbx, struct sip_server_transaction *server,
			 const struct sip_message *subscribe)
{
	list_each(link, &pbx->subscriptions) {
		struct pbx_subscription *subscription = list_object(link, struct pbx_subscription, link);

		if (!ua_dialog_matches(&subscription->dialog, subscribe))
			continue;
		ua_dialog_retarget(&subscription->dialog, subscribe);
		subscription_accept(pbx, subscription, server, subscribe);
		return true;
	}
	return false;
}
