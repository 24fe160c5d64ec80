/* SPDX-License-Identifier: Apache-2.0
 * Finding the servers of a name (RFC 3263): NAPTR says which transports, SRV which hosts and ports, A and AAAA which addresses.
 * One lookup goes through these stages; c-ares asks, libevent waits. */
#include <ares.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/memory.h"
#include "net/net.h"

#define NAME_BYTES 256     /* RFC 1035 section 2.3.4, and the end */
#define SERVICES_MAXIMUM 8 /* of one name: transports, each at a few places */
#define HOSTS_MAXIMUM 32   /* that SRV records name */
#define ANSWER_RECORDS 512 /* of one answer that are looked at */
#define QUERY_TIMEOUT_MS 1500
#define QUERY_TRIES 2 /* of each name server */

struct net_resolver {
	struct event_base *loop;
	ares_channel channel;
	struct event *timer;
	struct list sockets; /* of c-ares */
	struct list lookups;
};

struct resolver_socket {
	struct list link;
	struct net_resolver *resolver;
	ares_socket_t descriptor;
	struct event *event;
};

enum stage { STAGE_NAPTR, STAGE_SRV, STAGE_ADDRESSES, STAGE_DONE };

/* A question under way, and what its answer is for. */
struct service {
	struct net_lookup *lookup;
	char name[NAME_BYTES];
	enum transport transport;
	uint16_t rank; /* among the services of the name */
};

struct host {
	struct net_lookup *lookup;
	char name[NAME_BYTES];
	enum transport transport;
	uint16_t port;
	uint32_t priority;
	uint16_t weight;
};

struct net_lookup {
	struct list link;
	struct net_resolver *resolver;
	struct event *advance; /* the stage is over: from the loop, never from within c-ares */
	net_servers_found *found;
	void *context;
	bool cancelled;
	enum stage stage;
	uint32_t waiting; /* for so many answers of c-ares */
	struct net_wanted wanted;
	char name[NAME_BYTES];
	uint32_t ttl_s;
	bool denied;     /* a service is said not to be there (RFC 2782: a target of ".") */
	bool unanswered; /* some question: what is missing is not known to be missing */
	struct service services[SERVICES_MAXIMUM];
	uint8_t service_count;
	struct host hosts[HOSTS_MAXIMUM];
	uint8_t host_count;
	struct net_server servers[NET_SERVERS_MAXIMUM];
	uint16_t server_count;
};

/* ---- c-ares on the loop ---- */

static void timer_set(struct net_resolver *resolver)
{
	struct timeval longest = {5, 0}, wait;

	if (ares_timeout(resolver->channel, NULL, &wait))
		evtimer_add(resolver->timer, ares_timeout(resolver->channel, &longest, &wait));
	else
		evtimer_del(resolver->timer);
}

static void on_timer(evutil_socket_t descriptor, short what, void *context)
{
	struct net_resolver *resolver = context;

	(void)descriptor;
	(void)what;
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	timer_set(resolver);
}

static void on_socket(evutil_socket_t descriptor, short what, void *context)
{
	/* c-ares may close the socket, and free this, on the way. */
	struct net_resolver *resolver = ((struct resolver_socket *)context)->resolver;

	ares_process_fd(resolver->channel, what & EV_READ ? descriptor : ARES_SOCKET_BAD,
			what & EV_WRITE ? descriptor : ARES_SOCKET_BAD);
	timer_set(resolver);
}

static void socket_forget(struct resolver_socket *watched)
{
	if (watched->event)
		event_free(watched->event);
	list_remove(&watched->link);
	memory_free(watched);
}

/* c-ares says what it waits for. Without memory the answer is lost, and the question asked again. */
static void on_socket_state(void *context, ares_socket_t descriptor, int readable, int writable)
{
	struct net_resolver *resolver = context;
	short what = (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	struct resolver_socket *watched = NULL;

	list_each(link, &resolver->sockets)
		if (list_object(link, struct resolver_socket, link)->descriptor == descriptor)
			watched = list_object(link, struct resolver_socket, link);
	if (watched)
		socket_forget(watched);
	watched = what ? memory_alloc(sizeof(*watched)) : NULL;
	if (!watched)
		return;
	*watched = (struct resolver_socket){.resolver = resolver, .descriptor = descriptor};
	list_append(&resolver->sockets, &watched->link);
	watched->event = event_new(resolver->loop, descriptor, (short)(what | EV_PERSIST), on_socket, watched);
	if (watched->event)
		event_add(watched->event, NULL);
}

static void lookup_free(struct net_lookup *lookup)
{
	list_remove(&lookup->link);
	if (lookup->advance)
		event_free(lookup->advance);
	memory_free(lookup);
}

static bool servers_set(struct net_resolver *resolver, char *const *servers)
{
	char list[1024];
	struct buffer out = BUFFER_OVER(list);

	for (int i = 0; servers && servers[i]; i++)
		buffer_printf(&out, "%s%s", i ? "," : "", servers[i]);
	return !servers || (!ares_set_servers_ports_csv(resolver->channel, buffer_text(&out)) && !out.overflow);
}

struct net_resolver *net_resolver_new(struct event_base *loop, char *const *servers)
{
	struct net_resolver *resolver = memory_alloc(sizeof(*resolver));
	struct ares_options options = {.timeout = QUERY_TIMEOUT_MS,
				       .tries = QUERY_TRIES,
				       .lookups = (char *)(uintptr_t) "fb",
				       .sock_state_cb = on_socket_state,
				       .sock_state_cb_data = resolver};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;

	if (!resolver)
		return NULL;
	resolver->loop = loop;
	list_init(&resolver->sockets);
	list_init(&resolver->lookups);
	resolver->timer = evtimer_new(loop, on_timer, resolver);
	if (resolver->timer && !ares_init_options(&resolver->channel, &options, mask) && servers_set(resolver, servers))
		return resolver;
	net_resolver_free(resolver);
	return NULL;
}

void net_resolver_free(struct net_resolver *resolver)
{
	if (!resolver)
		return;
	list_each(link, &resolver->lookups)
		list_object(link, struct net_lookup, link)->cancelled = true;
	if (resolver->channel)
		ares_destroy(resolver->channel); /* answers every question with an error */
	while (!list_is_empty(&resolver->lookups))
		lookup_free(list_object(resolver->lookups.next, struct net_lookup, link));
	while (!list_is_empty(&resolver->sockets))
		socket_forget(list_object(resolver->sockets.next, struct resolver_socket, link));
	if (resolver->timer)
		event_free(resolver->timer);
	memory_free(resolver);
}

/* ---- Answers ---- */

static void ttl_take(struct net_lookup *lookup, uint32_t ttl_s)
{
	if (ttl_s < lookup->ttl_s)
		lookup->ttl_s = ttl_s;
}

/* The least time to live in an answer, which c-ares does not tell of NAPTR and SRV; none when it cannot be read. */
static uint32_t answer_ttl(const unsigned char *answer, int length)
{
	const unsigned char *at = answer + 12, *end = answer + length;
	uint32_t least = NET_TTL_LONGEST_S;
	unsigned questions, records;

	if (length < 12)
		return 0;
	questions = (unsigned)(answer[4] << 8 | answer[5]);
	records = (unsigned)(answer[6] << 8 | answer[7]);
	for (unsigned i = 0; i < questions + records && i < ANSWER_RECORDS; i++) {
		ptrdiff_t fixed = i < questions ? 4 : 10;
		char *name;
		long used;
		uint32_t ttl;

		if (at >= end || ares_expand_name(at, answer, length, &name, &used))
			return 0;
		ares_free_string(name);
		at += used;
		if (end - at < fixed)
			return 0;
		if (i >= questions) {
			ttl = (uint32_t)at[4] << 24 | (uint32_t)at[5] << 16 | (uint32_t)at[6] << 8 | at[7];
			least = ttl < least ? ttl : least;
			fixed += at[8] << 8 | at[9];
			if (end - at < fixed)
				return 0;
		}
		at += fixed;
	}
	return least;
}

/* Whether the answer is one: that there is nothing is, too; what could not be read, or had no memory, is none. */
static bool is_answered(struct net_lookup *lookup, int status)
{
	if (status != ARES_SUCCESS && status != ARES_ENODATA && status != ARES_ENOTFOUND)
		lookup->unanswered = true;
	return status == ARES_SUCCESS;
}

/* True when `answer` must be left alone: nobody waits for it any more. */
static bool lookup_answered(struct net_lookup *lookup)
{
	lookup->waiting--;
	if (!lookup->waiting && !lookup->cancelled)
		event_active(lookup->advance, EV_TIMEOUT, 1);
	if (!lookup->waiting && lookup->cancelled) {
		lookup_free(lookup);
		return true;
	}
	return lookup->cancelled;
}

static bool can_reach(const struct net_lookup *lookup, enum transport transport)
{
	return (lookup->wanted.reachable[0] | lookup->wanted.reachable[1]) & 1u << transport;
}

static void service_add(struct net_lookup *lookup, const char *name, enum transport transport)
{
	struct service *service = &lookup->services[lookup->service_count];

	if (lookup->service_count == SERVICES_MAXIMUM || !can_reach(lookup, transport) ||
	    span_copy(span_from(name), service->name, sizeof(service->name)))
		return;
	service->lookup = lookup;
	service->transport = transport;
	service->rank = lookup->service_count++;
}

static void host_add(struct net_lookup *lookup, const char *name, enum transport transport, uint16_t port,
		     uint32_t priority, uint16_t weight)
{
	struct host *host = &lookup->hosts[lookup->host_count];

	if (lookup->host_count == HOSTS_MAXIMUM || !can_reach(lookup, transport) ||
	    span_copy(span_from(name), host->name, sizeof(host->name)))
		return;
	*host = (struct host){
		.lookup = lookup, .transport = transport, .port = port, .priority = priority, .weight = weight};
	span_copy(span_from(name), host->name, sizeof(host->name));
	lookup->host_count++;
}

static bool naptr_transport(const struct ares_naptr_reply *record, bool secure, enum transport *transport)
{
	static const struct {
		const char *service;
		enum transport transport;
	} known[] = {{"SIP+D2U", TRANSPORT_UDP}, {"SIP+D2T", TRANSPORT_TCP}, {"SIPS+D2T", TRANSPORT_TLS}};

	/* Another flag, or a pattern, is none of RFC 3263's. */
	if (strcasecmp((const char *)record->flags, "s") != 0 || !*record->replacement)
		return false;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcasecmp((const char *)record->service, known[i].service)) {
			*transport = known[i].transport;
			return !secure || *transport == TRANSPORT_TLS;
		}
	return false;
}

static uint32_t naptr_place(const struct ares_naptr_reply *record)
{
	return (uint32_t)record->order << 16 | record->preference;
}

/* In the order of their order and preference; equal ones as they came. */
static void naptr_take(struct net_lookup *lookup, const struct ares_naptr_reply *records)
{
	int64_t last = -1;

	for (unsigned tries = 0; tries < SERVICES_MAXIMUM; tries++) {
		int64_t next = INT64_MAX;
		enum transport transport;

		for (const struct ares_naptr_reply *record = records; record; record = record->next)
			if (naptr_place(record) > last && naptr_place(record) < next)
				next = naptr_place(record);
		if (next == INT64_MAX)
			return;
		for (const struct ares_naptr_reply *record = records; record; record = record->next)
			if (naptr_place(record) == next && naptr_transport(record, lookup->wanted.secure, &transport))
				service_add(lookup, record->replacement, transport);
		last = next;
	}
}

static void on_naptr(void *context, int status, int timeouts, unsigned char *answer, int length)
{
	struct net_lookup *lookup = context;
	struct ares_naptr_reply *records = NULL;

	(void)timeouts;
	/* Small name servers do not know the type; SRV is asked for all the same. */
	if (status == ARES_ESERVFAIL || status == ARES_ENOTIMP || status == ARES_EFORMERR || status == ARES_EREFUSED)
		status = ARES_ENODATA;
	if (!lookup->cancelled && is_answered(lookup, status) &&
	    is_answered(lookup, ares_parse_naptr_reply(answer, length, &records))) {
		ttl_take(lookup, answer_ttl(answer, length));
		naptr_take(lookup, records);
		ares_free_data(records);
	}
	lookup_answered(lookup);
}

static void on_srv(void *context, int status, int timeouts, unsigned char *answer, int length)
{
	struct service *service = context;
	struct net_lookup *lookup = service->lookup;
	struct ares_srv_reply *records = NULL;

	(void)timeouts;
	if (!lookup->cancelled && is_answered(lookup, status) &&
	    is_answered(lookup, ares_parse_srv_reply(answer, length, &records))) {
		ttl_take(lookup, answer_ttl(answer, length));
		for (const struct ares_srv_reply *record = records; record; record = record->next)
			if (!*record->host || !strcmp(record->host, "."))
				lookup->denied = true;
			else if (record->port)
				host_add(lookup, record->host, service->transport, record->port,
					 (uint32_t)service->rank << 16 | record->priority, record->weight);
		ares_free_data(records);
	}
	lookup_answered(lookup);
}

static void server_add(struct net_lookup *lookup, const struct host *host, const struct sockaddr *sockaddr)
{
	struct net_server server = {.transport = host->transport, .priority = host->priority, .weight = host->weight};
	const struct net_wanted *wanted = &lookup->wanted;

	if (address_from_sockaddr(sockaddr, &server.address) || address_is_any(&server.address) ||
	    address_is_multicast(&server.address) ||
	    !(wanted->reachable[server.address.family == ADDRESS_IPV6] & 1u << host->transport))
		return;
	server.address.port = host->port;
	for (uint16_t i = 0; i < lookup->server_count; i++)
		if (address_equal(&lookup->servers[i].address, &server.address) &&
		    lookup->servers[i].transport == server.transport)
			return;
	if (lookup->server_count < NET_SERVERS_MAXIMUM)
		lookup->servers[lookup->server_count++] = server;
}

static void on_addresses(void *context, int status, int timeouts, struct ares_addrinfo *found)
{
	struct host *host = context;
	struct net_lookup *lookup = host->lookup;

	(void)timeouts;
	if (!lookup->cancelled && is_answered(lookup, status) && found)
		for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
			ttl_take(lookup, node->ai_ttl < 0 ? 0 : (uint32_t)node->ai_ttl);
			server_add(lookup, host, node->ai_addr);
		}
	if (found)
		ares_freeaddrinfo(found);
	lookup_answered(lookup);
}

/* ---- Stages ---- */

/* Without NAPTR: the service of each transport that may be used (RFC 3263 section 4.1). */
static void services_guess(struct net_lookup *lookup)
{
	static const struct {
		enum transport transport;
		const char *prefix;
	} usual[] = {{TRANSPORT_UDP, "_sip._udp"}, {TRANSPORT_TCP, "_sip._tcp"}, {TRANSPORT_TLS, "_sips._tcp"}};
	char name[NAME_BYTES + 16];

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (lookup->wanted.secure && usual[i].transport != TRANSPORT_TLS)
			continue;
		if (lookup->wanted.transport_written && usual[i].transport != lookup->wanted.transport)
			continue;
		snprintf(name, sizeof(name), "%s.%s", usual[i].prefix, lookup->name);
		service_add(lookup, name, usual[i].transport);
	}
}

/* Sends the questions of a stage. One more is held, so that none that is answered at once ends it. */
static void stage_ask(struct net_lookup *lookup)
{
	ares_channel channel = lookup->resolver->channel;
	const struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC};

	lookup->waiting = 1;
	switch (lookup->stage) {
	case STAGE_NAPTR:
		lookup->waiting++;
		ares_query(channel, lookup->name, 1, 35, on_naptr, lookup);
		break;
	case STAGE_SRV:
		for (uint8_t i = 0; i < lookup->service_count; i++) {
			lookup->waiting++;
			ares_query(channel, lookup->services[i].name, 1, 33, on_srv, &lookup->services[i]);
		}
		break;
	case STAGE_ADDRESSES:
		for (uint8_t i = 0; i < lookup->host_count; i++) {
			lookup->waiting++;
			ares_getaddrinfo(channel, lookup->hosts[i].name, NULL, &hints, on_addresses, &lookup->hosts[i]);
		}
		break;
	case STAGE_DONE: break;
	}
	timer_set(lookup->resolver);
	lookup_answered(lookup);
}

/* RFC 3263 section 4.2: nothing is announced, so the host itself, on the usual port. */
static void host_itself(struct net_lookup *lookup)
{
	uint16_t usual = lookup->wanted.transport == TRANSPORT_TLS ? 5061 : 5060;

	host_add(lookup, lookup->name, lookup->wanted.transport, lookup->wanted.port ? lookup->wanted.port : usual, 0,
		 0);
}

static void lookup_finish(struct net_lookup *lookup)
{
	enum net_finding finding = lookup->server_count ? NET_FOUND
				   : lookup->unanswered ? NET_FOUND_NOBODY
							: NET_FOUND_NOTHING;
	uint32_t ttl_s = lookup->ttl_s < NET_TTL_LEAST_S ? NET_TTL_LEAST_S : lookup->ttl_s;

	list_remove(&lookup->link);
	lookup->found(lookup->context, finding, lookup->servers, lookup->server_count, ttl_s);
	lookup_free(lookup);
}

static void on_advance(evutil_socket_t descriptor, short what, void *context)
{
	struct net_lookup *lookup = context;

	(void)descriptor;
	(void)what;
	lookup->stage++;
	if (lookup->stage == STAGE_SRV && !lookup->service_count)
		services_guess(lookup);
	/* Where the SRV could not be asked for, the host itself would be a guess: a plain address of what has another port. */
	if (lookup->stage == STAGE_ADDRESSES && !lookup->host_count && !lookup->unanswered && !lookup->denied)
		host_itself(lookup);
	if (lookup->stage == STAGE_DONE)
		lookup_finish(lookup);
	else
		stage_ask(lookup);
}

struct net_lookup *net_lookup_start(struct net_resolver *resolver, const struct net_wanted *wanted,
				    net_servers_found *found, void *context)
{
	struct net_lookup *lookup = memory_alloc(sizeof(*lookup));

	if (!lookup)
		return NULL;
	*lookup = (struct net_lookup){.resolver = resolver,
				      .found = found,
				      .context = context,
				      .wanted = *wanted,
				      .ttl_s = NET_TTL_LONGEST_S};
	list_append(&resolver->lookups, &lookup->link);
	lookup->advance = event_new(resolver->loop, -1, 0, on_advance, lookup);
	if (!lookup->advance || span_copy(wanted->host, lookup->name, sizeof(lookup->name))) {
		lookup_free(lookup);
		return NULL;
	}
	lookup->wanted.host = span_from(lookup->name);
	lookup->stage = wanted->port ? STAGE_ADDRESSES : wanted->transport_written ? STAGE_SRV : STAGE_NAPTR;
	if (lookup->stage == STAGE_SRV)
		services_guess(lookup);
	if (lookup->stage == STAGE_ADDRESSES)
		host_itself(lookup);
	stage_ask(lookup);
	return lookup;
}

void net_lookup_cancel(struct net_lookup *lookup)
{
	if (!lookup)
		return;
	lookup->cancelled = true;
	if (!lookup->waiting)
		lookup_free(lookup);
}
