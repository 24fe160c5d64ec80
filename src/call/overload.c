/* SPDX-License-Identifier: Apache-2.0
 * See overload.h. */
#include "call/overload.h"

#define SAMPLE_MOST_US 1000000 /* one long stop (of the whole machine) is no overload */
#define SMOOTHING 16

/* By level: reached at so much, left below so much. */
static const struct {
	uint64_t enter_late_us, leave_late_us;
	uint32_t enter_percent, leave_percent;
} levels[] = {
	[OVERLOAD_UNPROVEN] = {100000, 50000, 70, 60},
	[OVERLOAD_ALL] = {400000, 200000, 90, 80},
};

static bool holds(const struct overload *overload, enum overload_level level, uint32_t fill_percent)
{
	bool is_in = overload->level >= level;

	return overload->late_us >= (is_in ? levels[level].leave_late_us : levels[level].enter_late_us) ||
	       fill_percent >= (is_in ? levels[level].leave_percent : levels[level].enter_percent);
}

bool overload_tick(struct overload *overload, uint64_t now_us, uint64_t interval_us, uint32_t fill_percent)
{
	enum overload_level before = overload->level;
	uint64_t since_us = overload->ticked_us && now_us > overload->ticked_us ? now_us - overload->ticked_us : 0;
	uint64_t late_us = since_us > interval_us ? since_us - interval_us : 0;

	overload->ticked_us = now_us;
	if (late_us > SAMPLE_MOST_US)
		late_us = SAMPLE_MOST_US;
	overload->late_us = (overload->late_us * (SMOOTHING - 1) + late_us) / SMOOTHING;
	if (holds(overload, OVERLOAD_ALL, fill_percent))
		overload->level = OVERLOAD_ALL;
	else if (holds(overload, OVERLOAD_UNPROVEN, fill_percent))
		overload->level = OVERLOAD_UNPROVEN;
	else
		overload->level = OVERLOAD_NONE;
	return overload->level != before;
}

bool overload_refuses(const struct overload *overload, bool shown)
{
	return overload->level == OVERLOAD_ALL || (overload->level == OVERLOAD_UNPROVEN && !shown);
}

uint32_t overload_retry_after_s(const struct overload *overload, uint64_t chance)
{
	return 5 * (uint32_t)overload->level + (uint32_t)(chance % 11);
}
