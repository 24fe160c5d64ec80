/* SPDX-License-Identifier: Apache-2.0
 * The servers of peers: where DNS says they are, which of them are there, and which one a request goes to. */
#include "call/servers.h"

#include <stdio.h>

#define MS 1000ull
#define SECOND 1000000ull
#define GONE_KEPT_US (600 * SECOND) /* what DNS no longer names may still speak for so long */
#define RETRY_NOTHING_MS 30000      /* after an answer that there is nothing */
#define RETRY_NOBODY_MS 10000       /* after none */
#define ANSWER_MS 5000              /* for an OPTIONS */
#define MISSED_MAXIMUM 2
#define BACKOFF_LONGEST_S 120
#define BUSY_LONGEST_S 300 /* of what a peer may ask for with Retry-After */
#define UNWATCHED_DOWN_US (30 * SECOND)

static uint64_t now_us(void)
{
	return clock_monotonic_us();
}

static const struct config_peer *config_peer_of(const struct peer_servers *peer)
{
	return &gateway_zone(peer->gateway, peer->zone)->peers[peer->index];
}

/* ---- States ---- */

static void state_set(struct server *server, enum server_state state, const char *reason)
{
	static const char *const names[] = {"unknown", "up", "down"};
	bool says = server->state != state && !(server->state == SERVER_UNKNOWN && state == SERVER_UP);
	char text[ADDRESS_TEXT_BYTES];

	if (server->state != state) {
		server->since_us = now_us();
		server->backoff = 0;
	}
	server->reason = reason;
	server->state = state;
	if (says)
		log_write(state == SERVER_DOWN ? LOG_WARNING : LOG_NOTICE, "call",
			  "server %s:%s of peer %s in zone %s is %s%s%s", transport_name(server->transport),
			  address_text(&server->address, text), server->peer->text,
			  gateway_zone(server->peer->gateway, server->peer->zone)->name, names[state],
			  *reason ? ": " : "", reason);
}

static void server_free(struct server *server)
{
	own_request_forget(server->request);
	gateway_record_remove(server->peer->gateway, &server->record);
	timer_stop(server->peer->gateway->wheel, &server->watch);
	list_remove(&server->in_peer);
	server->peer->count--;
	memory_free(server);
}

/* ---- Watching (OPTIONS) ---- */

static void watch_in(struct server *server, uint64_t ms)
{
	timer_start(server->peer->gateway->wheel, &server->watch, ms);
}

static uint32_t watch_s(const struct server *server)
{
	return gateway_zone(server->peer->gateway, server->peer->zone)->watch_s;
}

/* Half as long again at most, so that many do not beat together. */
static void watch_next(struct server *server)
{
	uint64_t ms = watch_s(server) * MS;
	uint64_t longest = ms > BACKOFF_LONGEST_S * MS ? ms : BACKOFF_LONGEST_S * MS;

	if (!ms)
		return;
	if (server->state == SERVER_DOWN) {
		ms <<= server->backoff < 8 ? server->backoff : 8;
		ms = ms > longest ? longest : ms;
		server->backoff += server->backoff < 8;
	} else if (server->missed) {
		ms = 1000;
	}
	watch_in(server, ms - ms / 4 + random_u64(server->peer->gateway->random) % (ms / 4 + 1));
}

static void watch_missed(struct server *server, const char *reason)
{
	server->missed += server->missed < MISSED_MAXIMUM;
	if (server->missed == MISSED_MAXIMUM)
		state_set(server, SERVER_DOWN, reason);
}

/* What it says is taken in servers_heard, as of every response. */
static void on_watch_answer(void *context, const struct sip_message *response, uint16_t status)
{
	struct server *server = context;

	server->request = NULL;
	if (response) {
		server->round_trip_us = (uint32_t)(now_us() - server->asked_us);
	} else if (status == 503) {
		server->missed = MISSED_MAXIMUM;
		watch_missed(server, "no connection");
	} else {
		watch_missed(server, "no answer");
	}
	watch_next(server);
}

static int server_flow(const struct server *server, struct flow *flow)
{
	struct gateway *gateway = server->peer->gateway;
	const struct config_zone *zone = gateway_zone(gateway, server->peer->zone);
	struct net_peer target = {.address = server->address, .transport = server->transport, .verify = zone->verify};

	/* RFC 5922 section 4: the certificate must hold the name that was configured, not one that DNS made of it. */
	if (server->peer->is_name)
		target.name = span_from(config_peer_of(server->peer)->host);
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->listeners[i].transport == server->transport &&
		    zone->listeners[i].address.family == server->address.family)
			return net_flow_open(gateway_net(gateway), &target, server->peer->zone, i, flow);
	/* A stream needs no listener of its own transport to be dialled. */
	return transport_is_stream(server->transport)
		       ? net_flow_open(gateway_net(gateway), &target, server->peer->zone, 0, flow)
		       : -ENOENT;
}

static void watch_send(struct server *server)
{
	struct gateway *gateway = server->peer->gateway;
	const char *domain = route_domain(gateway, server->peer->zone);
	char uri[300], from[400], to[320], call_id[TAG_LENGTH + 1], tag[TAG_LENGTH + 1];
	struct own_texts texts = {
		.uri = uri, .from = from, .to = to, .call_id = call_id, .extra = "Accept: application/sdp\r\n"};

	random_token(gateway->random, call_id, TAG_LENGTH);
	random_token(gateway->random, tag, TAG_LENGTH);
	snprintf(uri, sizeof(uri), "sip:%.256s", domain);
	snprintf(to, sizeof(to), "<%s>", uri);
	snprintf(from, sizeof(from), "<%s>;tag=%s", uri, tag);
	server->asked_us = now_us();
	if (!server_flow(server, &server->flow))
		server->request =
			own_request_send(gateway, &server->flow, SIP_OPTIONS, 1, &texts, on_watch_answer, server);
}

static void on_watch(void *context)
{
	struct server *server = context;

	if (server->gone_us || !watch_s(server) || server->peer->gateway->stopping)
		return;
	if (server->request) {
		own_request_forget(server->request);
		server->request = NULL;
		watch_missed(server, "no answer to OPTIONS");
		watch_next(server);
		return;
	}
	watch_send(server);
	if (server->request) {
		watch_in(server, ANSWER_MS);
		return;
	}
	watch_missed(server, "OPTIONS cannot be sent");
	watch_next(server);
}

/* ---- The servers of a peer ---- */

static struct server *server_find(struct peer_servers *peer, const struct address *address, enum transport transport)
{
	list_each(link, &peer->servers) {
		struct server *server = list_object(link, struct server, in_peer);

		if (server->transport == transport && address_equal(&server->address, address))
			return server;
	}
	return NULL;
}

struct server *server_take(struct peer_servers *peer, const struct net_server *found)
{
	struct server *server = server_find(peer, &found->address, found->transport);
	struct gateway *gateway = peer->gateway;
	bool is_new = !server || server->gone_us;

	if (!server && peer->count < SERVERS_MAXIMUM) {
		server = memory_alloc(sizeof(*server));
		if (server) {
			*server = (struct server){.peer = peer,
						  .id = ++gateway->server_ids,
						  .address = found->address,
						  .transport = found->transport,
						  .reason = ""};
			server->watch = (struct timer){.fire = on_watch, .context = server};
			server->since_us = now_us();
			list_append(&peer->servers, &server->in_peer);
			peer->count++;
		}
	}
	if (!server)
		return NULL;
	server->priority = found->priority;
	server->weight = found->weight;
	server->gone_us = 0;
	if (is_new)
		watch_next(server);
	return server;
}

static void server_name(struct peer_servers *peer, const struct net_server *found)
{
	struct server *server = server_take(peer, found);

	if (server)
		server_record_save(server);
}

/* What is not named any more is not sent to, but may still speak for a while: DNS changes before everybody knows. */
static void servers_leave(struct peer_servers *peer, const struct net_server *found, uint16_t count)
{
	list_each(link, &peer->servers) {
		struct server *server = list_object(link, struct server, in_peer);
		bool named = false;

		for (uint16_t i = 0; i < count && !named; i++)
			named = server->transport == found[i].transport &&
				address_equal(&server->address, &found[i].address);
		if (named)
			continue;
		if (!server->gone_us)
			server->gone_us = now_us();
		else if (now_us() - server->gone_us > GONE_KEPT_US)
			server_free(server);
	}
}

static void on_found(void *context, enum net_finding finding, const struct net_server *found, uint16_t count,
		     uint32_t ttl_s)
{
	struct peer_servers *peer = context;
	uint64_t next_ms = ttl_s * MS;

	peer->lookup = NULL;
	if (finding == NET_FOUND) {
		servers_leave(peer, found, count);
		for (uint16_t i = 0; i < count; i++)
			server_name(peer, &found[i]);
	} else {
		/* What was known stays in use until something better is. */
		next_ms = finding == NET_FOUND_NOTHING ? RETRY_NOTHING_MS : RETRY_NOBODY_MS;
		if (peer->resolved || !peer->count)
			log_write(LOG_WARNING, "call", "peer %s of zone %s: %s%s", peer->text,
				  gateway_zone(peer->gateway, peer->zone)->name,
				  finding == NET_FOUND_NOTHING ? "DNS knows no server that can be reached from here"
							       : "no name server answers",
				  peer->count ? "; the servers known so far stay in use" : "");
	}
	peer->resolved = finding == NET_FOUND;
	timer_start(peer->gateway->wheel, &peer->next, next_ms);
}

static void on_lookup(void *context)
{
	struct peer_servers *peer = context;
	struct gateway *gateway = peer->gateway;
	const struct config_zone *zone = gateway_zone(gateway, peer->zone);
	const struct config_peer *config = config_peer_of(peer);
	struct net_wanted wanted = {.host = span_from(config->host),
				    .port = config->port_written ? config->port : 0,
				    .secure = config->secure,
				    .transport_written = config->transport_written,
				    .transport = config->transport};

	for (uint8_t i = 0; i < zone->listener_count; i++)
		wanted.reachable[zone->listeners[i].address.family == ADDRESS_IPV6] |=
			(uint8_t)(1u << zone->listeners[i].transport);
	if (!peer->lookup && gateway->resolver)
		peer->lookup = net_lookup_start(gateway->resolver, &wanted, on_found, peer);
	if (!peer->lookup)
		timer_start(gateway->wheel, &peer->next, RETRY_NOBODY_MS);
}

static void peer_free(struct peer_servers *peer)
{
	net_lookup_cancel(peer->lookup);
	timer_stop(peer->gateway->wheel, &peer->next);
	list_each(link, &peer->servers)
		server_free(list_object(link, struct server, in_peer));
	list_remove(&peer->in_gateway);
	memory_free(peer->text);
	memory_free(peer);
}

static void peer_start(struct peer_servers *peer)
{
	const struct config_peer *config = config_peer_of(peer);
	const struct net_server literal = {.address = config->address, .transport = config->transport};

	if (peer->is_name)
		on_lookup(peer);
	else
		server_take(peer, &literal);
}

/* False: no memory. */
static bool peer_add(struct gateway *gateway, uint8_t zone, uint8_t index)
{
	const struct config_peer *config = &gateway_zone(gateway, zone)->peers[index];
	struct peer_servers *peer = memory_alloc(sizeof(*peer));

	if (!peer)
		return false;
	*peer = (struct peer_servers){.gateway = gateway, .zone = zone, .index = index};
	peer->text = memory_copy_text(span_from(config->text));
	peer->is_name = !config->address.family;
	peer->next = (struct timer){.fire = on_lookup, .context = peer};
	list_init(&peer->servers);
	list_append(&gateway->peers, &peer->in_gateway);
	if (!peer->text) {
		peer_free(peer);
		return false;
	}
	peer_start(peer);
	return true;
}

/* ---- Configurations ---- */

static struct peer_servers *peer_known(struct gateway *gateway, uint8_t zone, const char *text)
{
	list_each(link, &gateway->peers) {
		struct peer_servers *peer = list_object(link, struct peer_servers, in_gateway);

		if (peer->zone == zone && !strcmp(peer->text, text))
			return peer;
	}
	return NULL;
}

static bool peer_is_configured(const struct gateway *gateway, struct peer_servers *peer)
{
	const struct config_zone *zone = gateway_zone(gateway, peer->zone);

	for (uint8_t i = 0; i < zone->peer_count; i++)
		if (!strcmp(zone->peers[i].text, peer->text)) {
			peer->index = i;
			return true;
		}
	return false;
}

bool servers_start(struct gateway *gateway)
{
	const struct config *config = gateway->config;
	bool wants_names = false;

	for (uint8_t i = 0; i < config->zone_count; i++)
		for (uint8_t j = 0; j < config->zones[i].peer_count; j++)
			wants_names |= !config->zones[i].peers[j].address.family;
	if (wants_names) {
		gateway->resolver = net_resolver_new(gateway->loop, config->dns_servers);
		if (!gateway->resolver)
			return false;
	}
	for (uint8_t i = 0; i < config->zone_count; i++)
		for (uint8_t j = 0; j < config->zones[i].peer_count; j++)
			if (!peer_known(gateway, i, config->zones[i].peers[j].text) && !peer_add(gateway, i, j))
				return false;
	return true;
}

void servers_configure(struct gateway *gateway, const uint8_t zones[256])
{
	/* What is being looked up is looked up again, by the new name servers. */
	list_each(link, &gateway->peers) {
		struct peer_servers *peer = list_object(link, struct peer_servers, in_gateway);

		net_lookup_cancel(peer->lookup);
		peer->lookup = NULL;
		peer->zone = zones[peer->zone];
		if (peer->zone == NET_ZONE_NONE || !peer_is_configured(gateway, peer))
			peer_free(peer);
	}
	net_resolver_free(gateway->resolver);
	gateway->resolver = NULL;
	if (!servers_start(gateway))
		log_write(LOG_ERROR, "call", "no memory for the servers of all peers");
	list_each(link, &gateway->peers) {
		struct peer_servers *peer = list_object(link, struct peer_servers, in_gateway);

		if (peer->is_name && !peer->lookup)
			on_lookup(peer);
		list_each(item, &peer->servers) {
			struct server *server = list_object(item, struct server, in_peer);

			server->flow.zone = peer->zone;
			if (!server->request)
				timer_stop(gateway->wheel, &server->watch), watch_next(server);
		}
	}
}

void servers_free(struct gateway *gateway)
{
	while (!list_is_empty(&gateway->peers))
		peer_free(list_object(gateway->peers.next, struct peer_servers, in_gateway));
	net_resolver_free(gateway->resolver);
	gateway->resolver = NULL;
}

/* ---- Who may speak, and what they say ---- */

bool servers_admit(const struct gateway *gateway, uint8_t zone, const struct address *source)
{
	if (zone >= gateway->config->zone_count)
		return false;
	if (gateway_zone(gateway, zone)->kind == ZONE_ACCESS)
		return true;
	list_each(link, &gateway->peers) {
		const struct peer_servers *peer = list_object(link, struct peer_servers, in_gateway);

		if (peer->zone != zone)
			continue;
		list_each(item, &peer->servers)
			if (address_equal_ip(&list_object(item, struct server, in_peer)->address, source))
				return true;
	}
	return false;
}

static struct server *server_of_flow(struct gateway *gateway, const struct flow *flow)
{
	list_each(link, &gateway->peers) {
		struct peer_servers *peer = list_object(link, struct peer_servers, in_gateway);
		struct server *server =
			peer->zone == flow->zone ? server_find(peer, &flow->remote, flow->transport) : NULL;

		if (server)
			return server;
	}
	return NULL;
}

/* Retry-After in seconds; 0: none. */
static uint32_t retry_after(const struct sip_message *response)
{
	const struct sip_header *header = sip_message_header(response, SIP_HEADER_RETRY_AFTER);
	struct span value = header ? header->value : SPAN_EMPTY;
	uint64_t seconds;
	size_t digits = 0;

	while (digits < value.length && value.data[digits] >= '0' && value.data[digits] <= '9')
		digits++;
	if (span_to_uint(span_slice(value, 0, digits), UINT32_MAX, &seconds))
		return 0;
	return seconds > BUSY_LONGEST_S ? BUSY_LONGEST_S : (uint32_t)seconds;
}

void servers_heard(struct gateway *gateway, const struct flow *flow, const struct sip_message *response)
{
	struct server *server = server_of_flow(gateway, flow);

	if (!server)
		return;
	if (response->status == 503) {
		server->busy_until_us = now_us() + retry_after(response) * SECOND;
		if (server->request) /* which it may answer; for a call it may be but that call */
			state_set(server, SERVER_DOWN, "it answers 503");
		return;
	}
	server->missed = 0;
	server->busy_until_us = 0;
	if (server->state != SERVER_UP)
		state_set(server, SERVER_UP, "");
}

void servers_failed(struct gateway *gateway, const struct flow *flow, bool timeout)
{
	struct server *server = server_of_flow(gateway, flow);

	if (!server)
		return;
	server->missed = MISSED_MAXIMUM;
	state_set(server, SERVER_DOWN, timeout ? "no answer" : "no connection");
	if (!server->request && watch_s(server))
		watch_next(server);
}

/* ---- Which one ---- */

static bool is_tried(const struct server *server, const struct tried *tried)
{
	for (uint8_t i = 0; tried && i < tried->count; i++)
		if (tried->servers[i] == server->id)
			return true;
	return false;
}

/* Whether it is worth a try now. Where nobody is asked, who was down is tried again after a while. */
static bool is_well(const struct server *server)
{
	if (server->busy_until_us > now_us())
		return false;
	return server->state != SERVER_DOWN || (!watch_s(server) && now_us() - server->since_us > UNWATCHED_DOWN_US);
}

static bool may_take(const struct server *server, const struct tried *tried, bool desperate)
{
	return !server->gone_us && !is_tried(server, tried) && (desperate || is_well(server));
}

/* RFC 2782: the least priority; in it by chance, as often as the weights say. A weight of 0 counts as a little. */
static struct server *peer_pick(struct peer_servers *peer, const struct tried *tried, bool desperate)
{
	uint32_t least = UINT32_MAX;
	uint64_t sum = 0, chance;

	list_each(link, &peer->servers) {
		const struct server *server = list_object(link, struct server, in_peer);

		if (may_take(server, tried, desperate) && server->priority <= least) {
			sum = server->priority < least ? 0 : sum;
			least = server->priority;
			sum += server->weight * 100ull + 1;
		}
	}
	if (!sum)
		return NULL;
	chance = random_u64(peer->gateway->random) % sum;
	list_each(link, &peer->servers) {
		struct server *server = list_object(link, struct server, in_peer);

		if (!may_take(server, tried, desperate) || server->priority != least)
			continue;
		if (chance < server->weight * 100ull + 1)
			return server;
		chance -= server->weight * 100ull + 1;
	}
	return NULL;
}

/* The peers in their order, or balanced, by chance, each as likely. */
static struct server *zone_pick(struct gateway *gateway, uint8_t zone, const struct tried *tried, bool desperate)
{
	struct server *picked = NULL;
	uint32_t candidates = 0;

	/* In the order of the configuration, which that of the list is not after a reload. */
	for (uint8_t i = 0; i < gateway_zone(gateway, zone)->peer_count; i++) {
		struct peer_servers *peer = peer_known(gateway, zone, gateway_zone(gateway, zone)->peers[i].text);
		struct server *server = peer ? peer_pick(peer, tried, desperate) : NULL;

		if (!server)
			continue;
		if (!gateway_zone(gateway, zone)->balance)
			return server;
		if (random_u64(gateway->random) % ++candidates == 0)
			picked = server;
	}
	return picked;
}

static void tried_add(struct tried *tried, const struct server *server)
{
	if (tried)
		tried->servers[tried->count++] = server->id;
}

/* Picks until one can be sent to at all. */
static int pick_flow(struct gateway *gateway, uint8_t zone, struct peer_servers *only, struct tried *tried,
		     struct flow *flow)
{
	struct tried local = {0};

	if (!tried)
		tried = &local;
	for (int desperate = 0; desperate < 2; desperate++) {
		while (tried->count < TRIED_MAXIMUM) {
			struct server *server =
				only ? peer_pick(only, tried, desperate) : zone_pick(gateway, zone, tried, desperate);

			if (!server)
				break;
			tried_add(tried, server);
			if (!server_flow(server, flow))
				return 0;
		}
	}
	return -ENOENT;
}

bool servers_are_well(struct gateway *gateway, uint8_t zone, const struct tried *tried)
{
	return zone_pick(gateway, zone, tried, false) != NULL;
}

int servers_route(struct gateway *gateway, uint8_t zone, struct tried *tried, struct flow *flow)
{
	return pick_flow(gateway, zone, NULL, tried, flow);
}

int servers_beside(struct gateway *gateway, struct tried *tried, struct flow *flow)
{
	struct server *server = server_of_flow(gateway, flow);

	if (!server)
		return -ENOENT;
	if (!is_tried(server, tried) && tried->count < TRIED_MAXIMUM)
		tried_add(tried, server);
	return pick_flow(gateway, flow->zone, server->peer, tried, flow);
}

int servers_again(struct gateway *gateway, const struct flow *before, struct flow *flow)
{
	struct server *server = server_of_flow(gateway, before);
	struct tried tried = {0};

	if (server && !server->gone_us && !server_flow(server, flow))
		return 0;
	*flow = *before;
	return servers_beside(gateway, &tried, flow);
}

/* ---- For status ---- */

static const char *state_text(const struct server *server)
{
	static const char *const names[] = {"unknown", "up", "down"};

	if (server->gone_us)
		return "gone";
	return server->busy_until_us > now_us() ? "busy" : names[server->state];
}

void gateway_peers_each(struct gateway *gateway, void (*visit)(void *context, const struct gateway_peer_view *view),
			void *context)
{
	list_each(link, &gateway->peers) {
		struct peer_servers *peer = list_object(link, struct peer_servers, in_gateway);
		struct gateway_peer_view view = {.zone = gateway_zone(gateway, peer->zone)->name, .peer = peer->text};

		if (!peer->count) {
			view.transport = view.reason = "";
			view.state = "unresolved";
			visit(context, &view);
		}
		list_each(item, &peer->servers) {
			const struct server *server = list_object(item, struct server, in_peer);

			view.address = server->address;
			view.transport = transport_name(server->transport);
			view.state = state_text(server);
			view.reason = server->reason;
			view.since_s = (uint32_t)((now_us() - server->since_us) / SECOND);
			view.round_trip_us = server->round_trip_us;
			visit(context, &view);
		}
	}
}
