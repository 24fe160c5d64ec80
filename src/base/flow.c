/* SPDX-License-Identifier: Apache-2.0
 * Flows: names of transports, and when two flows are the same way. */
#include "base/flow.h"

#include <errno.h>

static const char *const names[TRANSPORT_COUNT] = {
	[TRANSPORT_UDP] = "udp", [TRANSPORT_TCP] = "tcp", [TRANSPORT_TLS] = "tls",
	[TRANSPORT_WS] = "ws",   [TRANSPORT_WSS] = "wss",
};

const char *transport_name(enum transport transport)
{
	return (unsigned)transport < TRANSPORT_COUNT ? names[transport] : "unknown";
}

const char *transport_uri_name(enum transport transport, bool sips)
{
	if (transport_is_websocket(transport))
		return names[TRANSPORT_WS];
	return transport_name(sips ? TRANSPORT_TCP : transport);
}

int transport_parse(struct span name, enum transport *transport)
{
	for (unsigned i = 0; i < TRANSPORT_COUNT; i++) {
		if (span_is(name, names[i])) {
			*transport = (enum transport)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool flow_equal(const struct flow *a, const struct flow *b)
{
	return a->transport == b->transport && a->zone == b->zone && a->listener == b->listener &&
	       a->connection == b->connection && address_equal(&a->local, &b->local) &&
	       address_equal(&a->remote, &b->remote);
}
