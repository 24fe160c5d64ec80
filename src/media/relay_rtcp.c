/* SPDX-License-Identifier: Apache-2.0
 * RTCP on its way through the relay: what the relay knows of both sides, held against what a compound says. */
#include "media/relay_offload.h"

#include <string.h>

static void note(struct relay_worker *worker, struct relay_passage *passage, enum media_drop reason, uint32_t count)
{
	for (; count; count--) {
		side_drop(passage->from->side, reason);
		relay_finding_add(worker, passage);
	}
}

bool relay_rtcp_rebuild(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_side *side = passage->from->side, *other = &side->stream->sides[!side->index];
	const struct relay_reception *sent = &other->reception;

	relay_offload_reception_take(other); /* what the kernel relayed counts as sent */
	/* Of all its sources: one that comes back is counted anew here, and not by who reports on it. */
	uint64_t ever = other->counters.packets_in + other->counters.lost;
	const struct rtcp_view view = {
		.own = &side->sources,
		.heard = &other->sources,
		.ssrc = sent->ssrc,
		.highest = sent->highest,
		.expected = ever > sent->expected ? ever : sent->expected,
		.is_proven = passage->is_proven,
		.name_key = side->stream->session->name_key,
	};
	struct rtcp_refused refused;
	uint8_t built[RELAY_PACKET_MAXIMUM];
	size_t length = rtcp_rebuild(passage->packet, passage->length, &view, built, sizeof(built), &refused);

	note(worker, passage, MEDIA_DROP_REPORT, refused.reports);
	note(worker, passage, MEDIA_DROP_BYE, refused.byes);
	note(worker, passage, MEDIA_DROP_PART, refused.parts);
	if (!length)
		return false;
	memcpy(passage->packet, built, length);
	passage->length = length;
	return true;
}
