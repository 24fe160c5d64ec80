/* SPDX-License-Identifier: Apache-2.0
 * What outlives this process: records of the gateway's, written before the message goes out that they are about, and read by the
 * next gate (docs/decisions/0007-checkpoints.md). */
#include "call/events.h"
#include "call/peers.h"
#include "call/record.h"

/* Who reads which records. A record of another version is not read: `version` changes when a gate that does not know of the
 * change would read the record wrongly; a new field with a tag of its own does not. */
static const struct {
	enum record_kind kind;
	uint16_t version;
	/* Makes the object again. False: the record cannot be used, and is removed. */
	bool (*load)(struct gateway *gateway, uint32_t slot, struct span bytes);
} loaders[] = {
	{RECORD_CALL, 2, call_record_load},
	{RECORD_SUBSCRIPTION, 2, subscription_record_load},
	{RECORD_SERVER, 1, server_record_load},
};

static uint16_t version_of(enum record_kind kind)
{
	for (size_t i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++)
		if (loaders[i].kind == kind)
			return loaders[i].version;
	return 0;
}

void gateway_record_save(struct gateway *gateway, uint32_t *slot, enum record_kind kind, struct span bytes)
{
	if (!gateway->checkpoints ||
	    checkpoint_save(gateway->checkpoints, slot, (uint16_t)kind, version_of(kind), bytes) == 0)
		return;
	gateway->counters.checkpoints_refused++;
	log_limited(&gateway->checkpoint_limit, LOG_WARNING, "call",
		    "the memory for checkpoints is full: a call or server goes on without one, and will not outlive "
		    "this process");
}

void gateway_record_remove(struct gateway *gateway, uint32_t *slot)
{
	if (gateway->checkpoints)
		checkpoint_remove(gateway->checkpoints, slot);
	*slot = 0;
}

/* ---- Calls ---- */

void call_touch(struct call *call)
{
	struct gateway *gateway = call->gateway;

	call->record_behind = true;
	if (gateway->checkpoints && list_is_empty(&call->touched))
		list_append(&gateway->touched, &call->touched);
}

static void call_write(struct call *call)
{
	struct gateway *gateway = call->gateway;
	struct buffer out = buffer_over(gateway->record, CHECKPOINT_LONGEST);

	call->record_behind = false;
	call_record_write(call, &out);
	if (out.overflow)
		out.length = SIZE_MAX; /* refused, and the old one removed */
	gateway_record_save(gateway, &call->record, RECORD_CALL, (struct span){out.data, out.length});
}

void gateway_records_write(struct gateway *gateway)
{
	list_each(link, &gateway->touched) {
		struct call *call = list_object(link, struct call, touched);

		if (call->record_behind)
			call_write(call);
	}
}

void gateway_records_settle(struct gateway *gateway)
{
	list_each(link, &gateway->touched) {
		struct call *call = list_object(link, struct call, touched);

		list_remove(&call->touched);
		if (call->record_behind || call->record_watched)
			call_write(call);
		call->record_watched = false;
	}
}

/* ---- The next gate ---- */

static void record_load(void *context, uint32_t slot, uint16_t kind, uint16_t version, struct span bytes)
{
	struct gateway *gateway = context;

	for (size_t i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++)
		if (loaders[i].kind == kind && loaders[i].version == version && loaders[i].load &&
		    loaders[i].load(gateway, slot, bytes)) {
			gateway->counters.checkpoints_loaded++;
			return;
		}
	gateway->counters.checkpoints_unusable++;
	checkpoint_remove(gateway->checkpoints, &slot);
}

void gateway_recover(struct gateway *gateway, struct checkpoint_area *area)
{
	struct checkpoint_statistics statistics;
	uint64_t *loaded = &gateway->counters.checkpoints_loaded, *unusable = &gateway->counters.checkpoints_unusable;

	gateway->record = memory_alloc(CHECKPOINT_LONGEST);
	if (!gateway->record) {
		log_write(LOG_ERROR, "call", "no memory for checkpoints: calls will not outlive this process");
		return;
	}
	gateway->checkpoints = area;
	checkpoint_statistics_get(area, &statistics);
	*unusable += statistics.corrupt;
	checkpoint_each(area, record_load, gateway);
	if (*loaded || *unusable)
		log_write(LOG_NOTICE, "call",
			  "%llu calls, dialogs and servers of the process before go on, %llu could not be read",
			  (unsigned long long)*loaded, (unsigned long long)*unusable);
}
