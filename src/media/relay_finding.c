/* SPDX-License-Identifier: Apache-2.0
 * What was dropped, told as evidence. A worker gathers what is alike until its next tick, in a table of fixed size: a flood costs a few
 * messages, whoever sends it. */
#include "media/relay_private.h"

#include <string.h>

#include "base/clock.h"

static struct relay_finding *finding_place(struct relay_worker *worker, const struct relay_side *side, uint8_t reason)
{
	uintptr_t mixed = ((uintptr_t)side >> 6) * 31 + reason;

	return &worker->findings[(mixed ^ mixed >> 8) % RELAY_FINDINGS];
}

void relay_finding_add(struct relay_worker *worker, const struct relay_passage *passage)
{
	const struct relay_side *side = passage->from->side;
	uint64_t session = side->stream->session->id;
	uint8_t reason = side->last_drop;
	struct relay_finding *finding = finding_place(worker, side, reason);
	struct media_finding *of = &finding->finding;

	if (finding->event.session == session && finding->event.stream == side->stream->index &&
	    finding->event.side == side->index && of->drop == reason && of->count) {
		of->count += of->count < UINT32_MAX;
		return;
	}
	if (of->count) { /* another one has the place: told without names */
		worker->findings_other[reason]++;
		return;
	}
	*finding = (struct relay_finding){
		.event = {.session = session,
			  .kind = MEDIA_FINDING,
			  .stream = side->stream->index,
			  .side = side->index},
		.finding = {.drop = reason, .count = 1, .proven = passage->is_proven, .local = side->local},
	};
	of->local.port += passage->from->is_rtcp;
	if (passage->is_checked || address_from_sockaddr(&passage->source.any, &of->source) != 0)
		of->source = passage->from->peer;
}

static void tell(const struct relay_worker *worker, struct media_event *event, const struct media_finding *finding)
{
	event->peer = finding->source;
	event->finding = *finding;
	if (worker->callbacks.event)
		worker->callbacks.event(worker->callbacks.context, event);
}

void relay_findings_tell(struct relay_worker *worker)
{
	for (int i = 0; i < RELAY_FINDINGS; i++) {
		struct relay_finding *finding = &worker->findings[i];

		if (finding->finding.count)
			tell(worker, &finding->event, &finding->finding);
		finding->finding.count = 0;
	}
	for (int reason = 0; reason < MEDIA_DROP_COUNT; reason++) {
		struct media_event event = {.kind = MEDIA_FINDING};
		struct media_finding finding = {.drop = (uint8_t)reason, .count = worker->findings_other[reason]};

		if (finding.count)
			tell(worker, &event, &finding);
		worker->findings_other[reason] = 0;
	}
}
