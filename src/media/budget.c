/* SPDX-License-Identifier: Apache-2.0
 * Budgets: a virtual clock for packets and one for bytes, each moved on by what a packet costs at the agreed pace. Who is too far ahead
 * of real time waits. How far is granted at once is what a network lets loose after it stood still for some seconds. */
#include "media/budget.h"

#include <string.h>

#define AHEAD_NS UINT64_C(4000000000) /* a burst of four seconds at the full pace, of which honest peers use a fifth */

void budget_set(struct budget *budget, const struct media_budget *agreed)
{
	static const uint8_t none[sizeof(budget->types)];

	budget->packet_ns = agreed->packets_per_s ? 1000000000 / agreed->packets_per_s : 0;
	budget->byte_ps = 0;
	if (agreed->kbps) {
		uint64_t byte_ps = UINT64_C(8000000000) / agreed->kbps;
		budget->byte_ps = byte_ps < UINT32_MAX ? (uint32_t)byte_ps : UINT32_MAX;
	}
	budget->packet_bytes = agreed->packet_bytes;
	memcpy(budget->types, agreed->payload_types, sizeof(budget->types));
	budget->has_types = memcmp(budget->types, none, sizeof(none)) != 0;
}

bool budget_has_type(const struct budget *budget, uint8_t type)
{
	return !budget->has_types || budget->types[type / 8] >> type % 8 & 1;
}

enum media_drop budget_take(struct budget *budget, size_t length, uint64_t now_us)
{
	uint64_t now_ns = now_us * 1000, packets_ns = budget->packets_until_ns, bytes_ns = budget->bytes_until_ns;

	if (budget->packet_bytes && length > budget->packet_bytes)
		return MEDIA_DROP_SIZE;
	packets_ns = (packets_ns > now_ns ? packets_ns : now_ns) + budget->packet_ns;
	bytes_ns = (bytes_ns > now_ns ? bytes_ns : now_ns) + (uint64_t)length * budget->byte_ps / 1000;
	if (packets_ns > now_ns + AHEAD_NS || bytes_ns > now_ns + AHEAD_NS)
		return MEDIA_DROP_RATE;
	budget->packets_until_ns = packets_ns;
	budget->bytes_until_ns = bytes_ns;
	return MEDIA_DROP_COUNT;
}
