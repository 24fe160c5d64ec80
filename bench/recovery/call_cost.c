/* SPDX-License-Identifier: Apache-2.0
 * The same calls over and over in one process, with checkpoints or without, for callgrind:
 *   valgrind --tool=callgrind --toggle-collect=on_datagram call_cost 200 keep
 * counts the instructions of 200 calls from the datagram to the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"

static void call_once(struct kit *kit, unsigned number)
{
	struct side caller, callee;
	char name[32];

	snprintf(name, sizeof(name), "call%u", number);
	phone_invites(kit, &kit->phone, name, "", sdp_plain(4000, "sendrecv"));
	peer_expect(kit, &kit->pbx, "INVITE ");
	side_of_callee(&callee, &kit->pbx, "pbxtag");
	peer_answer(kit, &kit->pbx, "180 Ringing", "pbxtag", "", "");
	peer_expect(kit, &kit->phone, "SIP/2.0 180");
	side_of_callee(&callee, &kit->pbx, "pbxtag");
	peer_answer(kit, &kit->pbx, "200 OK", "pbxtag", "", sdp_plain(4002, "sendrecv"));
	peer_expect(kit, &kit->phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit->phone);
	side_sends(kit, &caller, "ACK", "", "");
	peer_expect(kit, &kit->pbx, "ACK ");
	side_sends(kit, &caller, "BYE", "", "");
	peer_expect(kit, &kit->pbx, "BYE ");
	peer_answer(kit, &kit->pbx, "200 OK", "", "", "");
	peer_expect(kit, &kit->phone, "SIP/2.0 200");
}

int main(int argc, char **argv)
{
	unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100;
	static struct kit kit;

	kit_start(&kit, "", "none");
	if (argc > 2 && !strcmp(argv[2], "keep"))
		kit_keep(&kit);
	for (unsigned i = 0; i < count; i++)
		call_once(&kit, i);
	kit_stop(&kit);
	return 0;
}
