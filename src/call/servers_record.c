/* SPDX-License-Identifier: Apache-2.0
 * The servers that DNS gave for a peer's name, as records (record.h): the next gate knows who may speak, and whom to ask, before DNS
 * has answered it. */
#include "call/record.h"
#include "call/servers.h"

#define ZONE 20 /* tags of what is no field: by name */
#define PEER 21 /* as configured */

static const struct record_row server_rows[] = {
	RECORD_ROW(1, ADDRESS, struct net_server, address),
	RECORD_ROW(2, NUMBER, struct net_server, transport),
	RECORD_ROW(3, NUMBER, struct net_server, priority),
	RECORD_ROW(4, NUMBER, struct net_server, weight),
};

void server_record_save(struct server *server)
{
	struct gateway *gateway = server->peer->gateway;
	const struct net_server named = {.address = server->address,
					 .transport = server->transport,
					 .priority = server->priority,
					 .weight = server->weight};

	if (!gateway->checkpoints || !server->peer->is_name)
		return;
	struct buffer out = buffer_over(gateway->record, CHECKPOINT_LONGEST);

	record_write(gateway, RECORD_ROWS(server_rows), &named, &out);
	record_put(&out, ZONE, span_from(gateway_zone(gateway, server->peer->zone)->name));
	record_put(&out, PEER, span_from(server->peer->text));
	if (out.overflow)
		out.length = SIZE_MAX; /* refused, and the old one removed */
	gateway_record_save(gateway, &server->record, RECORD_SERVER, (struct span){out.data, out.length});
}

/* The configured peer by its zone's name and its own text, if its servers still come from DNS. */
static struct peer_servers *peer_named(struct gateway *gateway, struct span zone, struct span text)
{
	list_each(link, &gateway->peers) {
		struct peer_servers *peer = list_object(link, struct peer_servers, in_gateway);

		if (peer->is_name && span_equal(span_from(peer->text), text) &&
		    span_equal(span_from(gateway_zone(gateway, peer->zone)->name), zone))
			return peer;
	}
	return NULL;
}

bool server_record_load(struct gateway *gateway, uint32_t slot, struct span bytes)
{
	struct net_server named = {0};
	struct span value, zone = SPAN_EMPTY, text = SPAN_EMPTY;
	struct peer_servers *peer;
	struct server *server;
	uint8_t tag;

	while (record_next(&bytes, &tag, &value)) {
		if (tag == ZONE)
			zone = value;
		else if (tag == PEER)
			text = value;
		else if (!record_take(gateway, RECORD_ROWS(server_rows), &named, tag, value))
			return false;
	}
	peer = peer_named(gateway, zone, text);
	if (bytes.length || !named.address.family || !named.address.port || named.transport >= TRANSPORT_COUNT || !peer)
		return false;
	server = server_take(peer, &named);
	if (!server || server->record)
		return false;
	server->record = slot;
	return true;
}
