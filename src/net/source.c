/* SPDX-License-Identifier: Apache-2.0
 * How many accepted connections each source has (THREATS N3). A source exists while it has one, so the
 * table is bounded by the connections. */
#include <string.h>

#include "net/private.h"

struct net_source {
	struct table_link link;
	struct address address;
	uint32_t connections;
};

/* IPv6 counts by /64: that is what one subscriber is given, and all of it is his to use. */
static struct address source_key(const struct address *address)
{
	struct address key = *address;

	key.port = 0;
	if (key.family == ADDRESS_IPV6)
		memset(key.ip + 8, 0, 8);
	return key;
}

bool net_source_equal(const struct table_link *link, const void *key)
{
	return address_equal_ip(&table_object(link, struct net_source, link)->address, key);
}

struct net_source *net_source_enter(struct net *net, const struct address *address, uint32_t maximum)
{
	struct address key = source_key(address);
	uint64_t hash = table_hash(net->sources, &key, sizeof(key));
	struct table_link *link = table_find(net->sources, hash, &key);
	struct net_source *source;

	if (link) {
		source = table_object(link, struct net_source, link);
		if (source->connections >= maximum)
			return NULL;
	} else {
		source = maximum ? memory_alloc(sizeof(*source)) : NULL;
		if (!source)
			return NULL;
		source->address = key;
		table_add(net->sources, &source->link, hash);
	}
	source->connections++;
	return source;
}

void net_source_leave(struct net *net, struct net_source *source)
{
	if (--source->connections)
		return;
	table_remove(net->sources, &source->link);
	memory_free(source);
}
