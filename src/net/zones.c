/* SPDX-License-Identifier: Apache-2.0
 * Zones that moved to another place in the configuration: connections are told. */
#include "net/private.h"

static void zone_map(void *context, struct table_link *link)
{
	struct net_connection *connection = table_object(link, struct net_connection, by_id);
	uint8_t zone = ((const uint8_t *)context)[connection->flow.zone];

	if (zone == connection->flow.zone)
		return;
	net_dial_forget(connection); /* found by its zone: a new one is dialled when it is wanted */
	if (zone == NET_ZONE_NONE)
		net_connection_end(connection, NET_CLOSED_BY_US);
	else
		connection->flow.zone = zone;
}

void net_zones_map(struct net *net, uint8_t zones[256])
{
	net_enter(net);
	table_each(net->connections, zone_map, zones);
	net_leave(net);
}
