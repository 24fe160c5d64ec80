/* SPDX-License-Identifier: Apache-2.0
 * Connections that we open, and their reuse. One is reused only for the very peer it was opened for: the
 * same address, transport, zone, listener, name and verification. A connection that was verified for one
 * name says nothing about another at the same address (CVE-2020-15260). */
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/private.h"

#define NAME_MAXIMUM 253 /* RFC 1035 section 2.3.4, as text */
#define USER_TIMEOUT_MS 30000

/* Bytes without holes, as they are hashed whole. */
struct dial_key {
	struct address address;
	uint8_t transport, zone, listener, verify;
	char name[NAME_MAXIMUM + 1];
};

static struct net_connection *dial_connection(const struct table_link *link)
{
	const struct net_dial *dial = table_object(link, const struct net_dial, by_peer);

	return dial->connection;
}

bool net_dial_equal(const struct table_link *link, const void *pointer)
{
	const struct net_dial *dial = table_object(link, const struct net_dial, by_peer);
	const struct dial_key *key = pointer;
	const struct flow *flow = &dial->connection->flow;

	return address_equal(&dial->address, &key->address) && flow->transport == key->transport &&
	       flow->zone == key->zone && flow->listener == key->listener && dial->verify == key->verify &&
	       !strcmp(dial->name, key->name);
}

static int dial_key_make(const struct net_peer *peer, uint8_t zone, uint8_t listener, struct dial_key *key)
{
	*key = (struct dial_key){
		.address = peer->address,
		.transport = (uint8_t)peer->transport,
		.zone = zone,
		.listener = listener,
		.verify = peer->verify,
	};
	if (peer->name.length > NAME_MAXIMUM || span_index(peer->name, '\0') >= 0 || !peer->address.port)
		return -EINVAL;
	for (size_t i = 0; i < peer->name.length; i++)
		key->name[i] = (char)tolower((unsigned char)peer->name.data[i]);
	return 0;
}

/* From the zone's own address, so that a gateway with several does not leak one zone into another. */
static int dial_bind(struct net *net, int descriptor, const struct dial_key *key)
{
	struct sockaddr_storage sockaddr;
	int on = 1;

	for (enum transport transport = 0; transport < TRANSPORT_COUNT; transport++) {
		struct net_listener *listener =
			net_listener_find(net, transport, key->zone, key->listener, key->address.family);
		struct address local;

		if (!listener || listener->any)
			continue;
		local = listener->flow.local;
		local.port = 0;
		setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		return bind(descriptor, (struct sockaddr *)&sockaddr, address_to_sockaddr(&local, &sockaddr)) ? -errno
													      : 0;
	}
	return 0;
}

static void dial_local(struct net_connection *connection)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof(sockaddr);

	if (!getsockname(connection->descriptor, (struct sockaddr *)&sockaddr, &length))
		address_from_sockaddr((struct sockaddr *)&sockaddr, &connection->flow.local);
}

static int dial_socket(struct net *net, const struct dial_key *key)
{
	struct sockaddr_storage sockaddr;
	unsigned int timeout_ms = USER_TIMEOUT_MS;
	int on = 1, descriptor;

	address_to_sockaddr(&key->address, &sockaddr);
	descriptor = socket(sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return errno == ENOMEM || errno == ENOBUFS ? -ENOMEM : -ENFILE;
	setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	/* A failure shows when connecting: the zone's address may be gone for the moment. */
	dial_bind(net, descriptor, key);
	return descriptor;
}

static struct net_dial *dial_alloc(const struct dial_key *key)
{
	size_t name_size = strlen(key->name) + 1;
	struct net_dial *dial = memory_alloc(sizeof(*dial) + name_size);

	if (!dial)
		return NULL;
	dial->address = key->address;
	dial->verify = key->verify;
	memcpy(dial->name, key->name, name_size);
	return dial;
}

static void dial_link(struct net_dial *dial, struct net_connection *connection, const struct dial_key *key)
{
	struct net *net = connection->net;

	dial->connection = connection;
	dial->linked = true;
	table_add(net->dialled, &dial->by_peer, table_hash(net->dialled, key, sizeof(*key)));
}

static int dial_new(struct net *net, const struct dial_key *key, struct net_connection **out)
{
	struct flow flow = {.transport = key->transport, .zone = key->zone, .listener = key->listener};
	struct net_dial *dial = dial_alloc(key);
	int descriptor;

	if (!dial)
		return -ENOMEM;
	descriptor = dial_socket(net, key);
	if (descriptor < 0) {
		memory_free(dial);
		return descriptor;
	}
	flow.remote = key->address;
	*out = net_connection_new(net, descriptor, &flow);
	if (!*out) {
		memory_free(dial);
		return -ENOMEM;
	}
	(*out)->dial = dial;
	dial_link(dial, *out, key);
	return 0;
}

static void dial_connect(struct net_connection *connection)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = address_to_sockaddr(&connection->flow.remote, &sockaddr);

	connection->state = NET_CONNECTING;
	if (connect(connection->descriptor, (struct sockaddr *)&sockaddr, length) && errno != EINPROGRESS) {
		net_connection_end(connection, NET_CLOSED_UNREACHABLE);
		return;
	}
	dial_local(connection);
	net_deadline_set(connection, NET_DEADLINE_CONNECT);
	net_connection_want(connection, EV_WRITE); /* also if it is up already: `opened` comes from the loop */
}

void net_dial_connected(struct net_connection *connection)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &error, &length) || error) {
		net_connection_end(connection, NET_CLOSED_UNREACHABLE);
		return;
	}
	dial_local(connection);
	net_connection_established(connection);
}

void net_dial_forget(struct net_connection *connection)
{
	struct net_dial *dial = connection->dial ? connection->dial : connection->alias;

	if (!dial || !dial->linked)
		return;
	table_remove(connection->net->dialled, &dial->by_peer);
	dial->linked = false;
}

void net_flow_alias(struct net *net, const struct flow *flow, uint16_t port)
{
	struct net_connection *connection = net_connection_find(net, flow->connection);
	struct net_peer peer = {.address = flow->remote, .transport = flow->transport, .verify = true};
	struct dial_key key;

	if (!connection || connection->dial || connection->alias || !connection->identity ||
	    !net_connection_is_open(connection))
		return;
	peer.address = connection->flow.remote;
	peer.address.port = port;
	/* A peer that is dialled by its address has no name (net_flow_open). */
	if (address_parse_ip(span_from(connection->identity), &(struct address){0}))
		peer.name = span_from(connection->identity);
	if (dial_key_make(&peer, connection->flow.zone, connection->flow.listener, &key) ||
	    table_find(net->dialled, table_hash(net->dialled, &key, sizeof(key)), &key))
		return;
	connection->alias = dial_alloc(&key);
	if (connection->alias)
		dial_link(connection->alias, connection, &key);
}

int net_dial_open(struct net *net, const struct net_peer *peer, uint8_t zone, uint8_t listener, struct flow *flow)
{
	struct net_connection *connection;
	struct table_link *link;
	struct dial_key key;
	int error = transport_is_websocket(peer->transport) ? -EINVAL : dial_key_make(peer, zone, listener, &key);

	if (error)
		return error;
	if (transport_is_secure(peer->transport) && !net->tls.client)
		return -ENOENT;
	link = table_find(net->dialled, table_hash(net->dialled, &key, sizeof(key)), &key);
	if (link) {
		*flow = dial_connection(link)->flow;
		return 0;
	}
	if (net->statistics.connections_open >= net->limits.connections_maximum)
		return -ENFILE;
	error = dial_new(net, &key, &connection);
	if (error)
		return error;
	dial_connect(connection);
	*flow = connection->flow;
	return 0;
}
