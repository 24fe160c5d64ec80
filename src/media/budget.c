/* SPDX-License-Identifier: Apache-2.0
 * Budgets and clocks as they are agreed. */
#include "media/budget.h"

#include <string.h>

static const uint32_t clock_rates[] = {8000,  0,     1000,  11025, 12000, 16000, 22050,
				       24000, 32000, 44100, 48000, 90000, 96000, 192000};

uint8_t media_clock_code(uint32_t rate)
{
	for (uint8_t i = 0; rate && i < sizeof(clock_rates) / sizeof(clock_rates[0]); i++)
		if (clock_rates[i] == rate)
			return i;
	return MEDIA_CLOCK_UNKNOWN;
}

uint32_t media_clock_rate(uint8_t code)
{
	return code < sizeof(clock_rates) / sizeof(clock_rates[0]) ? clock_rates[code] : 0;
}

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
