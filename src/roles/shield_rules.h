/* SPDX-License-Identifier: Apache-2.0
 * What of the configuration the shield's rules are made of. */
#ifndef RINGWALL_ROLES_SHIELD_RULES_H
#define RINGWALL_ROLES_SHIELD_RULES_H

#include "config/config.h"
#include "shield/shield.h"

/* In the lists of the rules; freed with shield_rules_free. `never`: the peers, whom nobody blocks. */
struct shield_ruleset {
	struct bpf_shield_rules rules; /* its rates and key are the caller's */
	struct bpf_shield_listener *listeners;
	struct bpf_shield_peer *peers;
	struct bpf_shield_range *ranges;
	struct shield_prefix *never;
};

/* A zone with peers has listeners for these alone, as far as all are known by their addresses: a name's are the gate's to know, and then so is
 * who may speak. Returns 0 or -ENOMEM. */
int shield_rules_make(const struct config *config, struct shield_ruleset *out);
void shield_rules_free(struct shield_ruleset *set);

#endif
