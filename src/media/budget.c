/* SPDX-License-Identifier: Apache-2.0
 * Budgets as they are agreed. */
#include "media/budget.h"

#include <string.h>

void budget_set(struct budget *budget, const struct media_budget *agreed)
{
	static const uint8_t none[sizeof(budget->types)];

	budget->packet_ns = agreed->packets_per_s ? 1000000000 / agreed->packets_per_s : 0;
	/* Whatever is agreed is a limit, be it of a byte a nanosecond. */
	budget->byte_ns = agreed->kbps ? (8000000 + agreed->kbps - 1) / agreed->kbps : 0;
	budget->packet_bytes = agreed->packet_bytes ? agreed->packet_bytes : UINT32_MAX;
	memcpy(budget->types, agreed->payload_types, sizeof(budget->types));
	if (memcmp(budget->types, none, sizeof(none)) == 0)
		memset(budget->types, 0xff, sizeof(budget->types));
}
