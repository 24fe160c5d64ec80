/* SPDX-License-Identifier: Apache-2.0
 * A subscription as a record, and back (record.h): the next gate goes on with it. What was under way is not kept: both sides send
 * their requests again. */
#include "call/dialogs.h"
#include "call/events.h"
#include "call/record.h"

#define PACKAGE 20 /* tags of what is no field: by name */
#define LEG 21     /* twice: subscriber's, notifier's */

static const struct record_row subscription_rows[] = {
	RECORD_ROW(1, TEXT, struct subscription, event_id),
	RECORD_ROW(2, BYTES, struct subscription, next_cseq),
	RECORD_ROW(3, NUMBER, struct subscription, expiry.due_ms),
};

void subscription_record_save(struct subscription *subscription)
{
	struct gateway *gateway = subscription->gateway;
	struct buffer out = buffer_over(gateway->record, CHECKPOINT_LONGEST);

	if (!gateway->checkpoints)
		return;
	/* Without a notifier nobody was told of it: the SUBSCRIBE comes again. */
	if (subscription->ended || !subscription->legs[NOTIFIER].remote_tag) {
		gateway_record_remove(gateway, &subscription->record);
		return;
	}
	record_write(gateway, RECORD_ROWS(subscription_rows), subscription, &out);
	record_put(&out, PACKAGE, span_from(subscription->package->name));
	for (int leg = 0; leg < 2; leg++) {
		size_t begun = record_begin(&out, LEG);

		record_write(gateway, record_leg, &subscription->legs[leg], &out);
		record_end(&out, begun);
	}
	if (out.overflow)
		out.length = SIZE_MAX; /* refused, and the old one removed */
	gateway_record_save(gateway, &subscription->record, RECORD_SUBSCRIPTION, (struct span){out.data, out.length});
}

static bool take_leg(struct gateway *gateway, struct leg *leg, struct span bytes)
{
	struct span value;
	uint8_t tag;

	while (record_next(&bytes, &tag, &value))
		if (!record_take(gateway, record_leg, leg, tag, value))
			return false;
	return !bytes.length && leg->call_id && leg->local_uri && leg->remote_uri && leg->remote_tag && leg->target &&
	       strlen(leg->local_tag) == TAG_LENGTH && !dialog_key_find(gateway, span_from(leg->local_tag));
}

static bool take(struct subscription *subscription, struct span bytes)
{
	struct gateway *gateway = subscription->gateway;
	struct span value;
	uint8_t tag;
	int legs = 0;

	while (record_next(&bytes, &tag, &value)) {
		if (tag == PACKAGE)
			subscription->package = event_named(value);
		else if (tag == LEG ? legs == 2 || !take_leg(gateway, &subscription->legs[legs++], value)
				    : !record_take(gateway, RECORD_ROWS(subscription_rows), subscription, tag, value))
			return false;
	}
	return !bytes.length && legs == 2 && subscription->package &&
	       strcmp(subscription->legs[0].local_tag, subscription->legs[1].local_tag) != 0;
}

bool subscription_record_load(struct gateway *gateway, uint32_t slot, struct span bytes)
{
	struct subscription *subscription = subscription_new(gateway, NULL);
	uint64_t due_ms, now_ms = clock_monotonic_us() / 1000;

	if (!subscription)
		return false;
	if (!take(subscription, bytes)) {
		subscription_free(subscription);
		return false;
	}
	due_ms = subscription->expiry.due_ms;
	subscription->expiry = (struct timer){0};
	subscription->record = slot;
	subscription_enter(subscription);
	due_ms = due_ms > now_ms ? (due_ms - now_ms) / 1000 : 0;
	subscription_expire_in(subscription, due_ms < POLICY_LIFETIME_S ? (uint32_t)due_ms : POLICY_LIFETIME_S);
	return true;
}
