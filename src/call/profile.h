/* SPDX-License-Identifier: Apache-2.0
 * Dialects: what is written or read otherwise for one kind of peer, because it speaks SIP its own way. A row for each repair;
 * docs/profiles.md tells owners the same. */
#ifndef RINGWALL_CALL_PROFILE_H
#define RINGWALL_CALL_PROFILE_H

#include "config/config.h"

struct profile_row {
	enum zone_repair repair;
	uint32_t profiles;  /* bits by enum zone_profile that bring it */
	const char *what;   /* is done */
	const char *source; /* who says that it is needed */
};
extern const struct profile_row profile_rows[REPAIR_COUNT];

/* Whether a repair is made in what is exchanged with this zone: by its profile, or named in `repairs`. */
bool profile_repairs(const struct config_zone *zone, enum zone_repair repair);

#endif
