/* SPDX-License-Identifier: Apache-2.0
 * Addresses and Via values where several stand in one header. */
#ifndef RINGWALL_SIP_ADDRESS_H
#define RINGWALL_SIP_ADDRESS_H

#include "sip/scan.h"

/* One name-addr or addr-spec with its parameters; stops before a comma or at the end. On a failure *address is
 * zero. Returns SIP_OK or SIP_REJECT_HEADER_VALUE. */
enum sip_reject sip_address_take(struct scan *scan, struct sip_address *address);

/* The same for one value of Via. Returns SIP_OK or SIP_REJECT_VIA. */
enum sip_reject sip_via_take(struct scan *scan, struct sip_via *via);

#endif
