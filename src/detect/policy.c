/* SPDX-License-Identifier: Apache-2.0
 * Which kind of evidence belongs to which control, and what a policy may be. */
#include "detect/private.h"

/* Not of wrong passwords: who mistypes behind a large NAT is no harvester, and those who guess weigh enough. */
#define NAMES .names = true
#define GOOD .control = CONTROL_COUNT, .good = true
#define NONE .control = CONTROL_COUNT

static const struct kind_role roles[EVIDENCE_KIND_COUNT] = {
	[EVIDENCE_NET_CONNECTIONS] = {CONTROL_HANDSHAKE},
	[EVIDENCE_NET_HANDSHAKE] = {CONTROL_HANDSHAKE},
	[EVIDENCE_NET_HANDSHAKE_SLOW] = {CONTROL_HANDSHAKE},
	[EVIDENCE_NET_SILENT] = {CONTROL_HANDSHAKE},
	[EVIDENCE_NET_SLOW] = {CONTROL_HANDSHAKE},
	[EVIDENCE_NET_RENEGOTIATION] = {CONTROL_MALFORMED},
	[EVIDENCE_NET_FRAMES] = {CONTROL_MALFORMED},
	[EVIDENCE_NET_ORIGIN] = {CONTROL_SCAN},
	[EVIDENCE_NET_STRANGER] = {CONTROL_SCAN},
	[EVIDENCE_NET_FLOOD] = {CONTROL_FLOOD},
	[EVIDENCE_NET_UNPROVEN] = {CONTROL_UNPROVEN},
	[EVIDENCE_KERNEL_BLOCKED] = {NONE},
	[EVIDENCE_SIP_SLIGHT] = {CONTROL_MALFORMED},
	[EVIDENCE_SIP_MALFORMED] = {CONTROL_MALFORMED},
	[EVIDENCE_SIP_HOSTILE] = {CONTROL_MALFORMED},
	[EVIDENCE_SIP_FOREIGN] = {CONTROL_SCAN},
	[EVIDENCE_SIP_SCANNER] = {CONTROL_SCAN},
	[EVIDENCE_CALL_PASSWORD] = {CONTROL_GUESS},
	[EVIDENCE_CALL_NONCE] = {CONTROL_GUESS},
	[EVIDENCE_CALL_USER] = {CONTROL_SCAN, NAMES},
	[EVIDENCE_CALL_DEVICE] = {CONTROL_SCAN, NAMES},
	[EVIDENCE_CALL_NO_DIALOG] = {CONTROL_SCAN, NAMES},
	[EVIDENCE_CALL_SWEEP] = {CONTROL_SCAN, NAMES},
	[EVIDENCE_CALL_FORBIDDEN] = {CONTROL_SCAN},
	[EVIDENCE_CALL_FORGED] = {CONTROL_FORGED},
	[EVIDENCE_CALL_CHALLENGE] = {CONTROL_FORGED},
	[EVIDENCE_CALL_MOVED] = {CONTROL_HIJACK},
	[EVIDENCE_CALL_CONTACTS] = {CONTROL_HIJACK},
	[EVIDENCE_CALL_LOOP] = {CONTROL_FLOOD},
	[EVIDENCE_CALL_CALLEE] = {CONTROL_CALLEE},
	[EVIDENCE_GOOD_REGISTRATION] = {GOOD},
	[EVIDENCE_GOOD_CALL] = {GOOD},
	[EVIDENCE_MEDIA_SOURCE] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_MALFORMED] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_FORGED] = {NONE},
	[EVIDENCE_MEDIA_REPLAYED] = {NONE},
	[EVIDENCE_MEDIA_DIRECTION] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_SIZE] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_CLEAR] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_REPORT] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_BYE] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_PART] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_PAYLOAD] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_RATE] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_STUN] = {CONTROL_MEDIA},
	[EVIDENCE_MEDIA_DTLS] = {CONTROL_MEDIA},
};

const struct kind_role *kind_role(enum evidence_kind kind)
{
	return &roles[kind];
}

#define YEAR_S (366u * 86400u)

bool policy_is_valid(const struct protection *policy)
{
	for (int i = 0; i < CONTROL_COUNT; i++) {
		const struct protection_choice *choice = &policy->controls[i];

		if (!choice->threshold || choice->half_life_s > YEAR_S || (size_t)choice->verdict >= ACTION_COUNT)
			return false;
	}
	return policy->expiry.first_s && policy->expiry.factor && policy->expiry.maximum_s >= policy->expiry.first_s &&
	       policy->expiry.maximum_s <= YEAR_S && policy->never_count <= PROTECTION_NEVER_MAXIMUM &&
	       policy->subjects <= 1u << 26 && policy->verdicts <= 1u << 24;
}
