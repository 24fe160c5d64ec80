/* SPDX-License-Identifier: Apache-2.0
 * The table of repairs. A new one: a row here, a word in config (enum zone_repair), a line in docs/profiles.md, a message before and
 * after in tests/call/test_profile.c. */
#include "call/profile.h"

#define FOR(profile) (1u << PROFILE_##profile)

const struct profile_row profile_rows[REPAIR_COUNT] = {
	{REPAIR_CONTACT_NAME, FOR(TEAMS) | FOR(LYNC),
	 "Contact and Via name the gateway by site.domain, which its certificate holds, and not by its address",
	 "Microsoft: the proxy looks for the SBC's FQDN in Record-Route and Contact of OPTIONS and INVITE, and sends "
	 "its own "
	 "OPTIONS there; a Lync topology knows gateways by FQDN"},
	{REPAIR_CONTACT_USER, FOR(3CX),
	 "the Contact of calls has the registered account as its user part, as that of the registration has",
	 "3CX: the INVITEs that its providers are made for have the account in Contact"},
	{REPAIR_PREFERRED_IDENTITY, 0, "P-Asserted-Identity is sent as P-Preferred-Identity",
	 "RFC 3325 section 9.2: what a user agent says to a proxy that does not trust it"},
	{REPAIR_REMOTE_PARTY, FOR(FREESWITCH) | FOR(ASTERISK),
	 "Remote-Party-ID is read as P-Asserted-Identity (and Privacy: id) where there is none",
	 "FreeSWITCH: sip_cid_type is rpid by default; Asterisk: send_rpid"},
	{REPAIR_USER_PHONE, 0, "telephone numbers in Request-URI, From and To are marked user=phone",
	 "RFC 3261 section 19.1.1, which says that they should be"},
	{REPAIR_ONE_SUITE, FOR(TEAMS),
	 "AES_CM_128_HMAC_SHA1_80 alone is offered and accepted, unless media.suites is written",
	 "RFC 4568 section 6.2: the suite that all must know; guides for Direct Routing name no other"},
};

bool profile_repairs(const struct config_zone *zone, enum zone_repair repair)
{
	return zone->repairs & 1u << repair || profile_rows[repair].profiles & 1u << zone->profile;
}
