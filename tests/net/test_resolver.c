/* SPDX-License-Identifier: Apache-2.0
 * Finding servers (RFC 3263), asked of a real name server: nsd on loopback, with a zone that this test writes. */
#include <ares.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

struct found {
	bool said;
	enum net_finding finding;
	struct net_server servers[NET_SERVERS_MAXIMUM];
	uint16_t count;
	uint32_t ttl_s;
};

static char directory[64], server_text[64];
static pid_t nsd;
static uint16_t port;

static const char zone_text[] =
	"$ORIGIN example.test.\n"
	"$TTL 120\n"
	"@ SOA ns hostmaster 1 3600 600 86400 30\n"
	"@ NS ns\n"
	"ns A 127.0.0.1\n"
	/* NAPTR: TLS before UDP; a service and a flag that are not RFC 3263's are passed over. */
	"full NAPTR 20 0 \"s\" \"SIP+D2U\" \"\" _sip._udp.full\n"
	"full NAPTR 10 0 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.full\n"
	"full NAPTR 5 0 \"s\" \"E2U+sip\" \"\" _sip._udp.weights\n"
	"full NAPTR 5 0 \"u\" \"SIP+D2U\" \"!^.*$!sip:x@y!\" .\n"
	"_sips._tcp.full SRV 1 0 5071 one\n"
	"_sip._udp.full 60 SRV 2 30 5072 two\n"
	"_sip._udp.full 60 SRV 1 10 5073 one\n"
	"one A 127.0.1.1\n"
	"two A 127.0.1.2\n"
	"two AAAA ::1\n"
	/* SRV alone, of UDP and TCP */
	"_sip._udp.plain SRV 1 1 5080 one\n"
	"_sip._tcp.plain SRV 1 1 5081 two\n"
	/* Neither: the host itself. */
	"bare 7 A 127.0.1.3\n"
	"bare AAAA ::1\n"
	"short 1 A 127.0.1.3\n"
	"alias CNAME bare\n"
	/* A service that is not there, by its own word; a target that is nowhere; a loop of names. */
	"_sip._udp.none SRV 0 0 0 .\n"
	"none A 127.0.1.4\n"
	"_sip._udp.lost SRV 0 0 5060 nowhere\n"
	"loop CNAME pool\n"
	"pool CNAME loop\n"
	"bad A 0.0.0.0\n"
	"bad A 224.0.0.1\n";

static void file_write(const char *name, const char *text)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static uint16_t port_free(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(in);
	int descriptor = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(descriptor, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&in, &length), 0);
	close(descriptor);
	return ntohs(in.sin_port);
}

/* The zone, with a hundred servers of one name and a name of many addresses. */
static void zone_write(void)
{
	static char text[32768];
	struct buffer out = BUFFER_OVER(text);

	buffer_put_text(&out, zone_text);
	for (int i = 0; i < 100; i++)
		buffer_printf(&out, "_sip._udp.many SRV 1 1 %d m%d\nm%d A 127.0.2.%d\ncrowd A 127.0.3.%d\n", 6000 + i,
			      i, i, i + 1, i + 1);
	file_write("zone", buffer_text(&out));
	assert_false(out.overflow);
}

static void server_start(void)
{
	char config[1024], path[200];

	snprintf(config, sizeof(config),
		 "server:\n  ip-address: 127.0.0.1\n  port: %u\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"%s\"\n"
		 "  database: \"\"\n  pidfile: \"%s/pid\"\n  xfrdfile: \"%s/xfrd\"\n  zonelistfile: \"%s/list\"\n"
		 "  cookie-secret-file: \"%s/cookie\"\n  server-count: 1\n  verbosity: 0\nremote-control:\n"
		 "  control-enable: no\nzone:\n  name: example.test\n  zonefile: zone\n",
		 port, directory, directory, directory, directory, directory);
	file_write("nsd.conf", config);
	snprintf(path, sizeof(path), "%s/nsd.conf", directory);
	nsd = fork();
	assert_true(nsd >= 0);
	if (nsd == 0) {
		int nothing = open("/dev/null", O_WRONLY);

		dup2(nothing, 2);
		execl("/usr/sbin/nsd", "nsd", "-d", "-c", path, (char *)NULL);
		_exit(127);
	}
}

static void server_stop(void)
{
	if (nsd <= 0)
		return;
	kill(nsd, SIGTERM);
	waitpid(nsd, NULL, 0);
	nsd = 0;
}

static void on_found(void *context, enum net_finding finding, const struct net_server *servers, uint16_t count,
		     uint32_t ttl_s)
{
	struct found *found = context;

	assert_false(found->said);
	*found = (struct found){.said = true, .finding = finding, .count = count, .ttl_s = ttl_s};
	memcpy(found->servers, servers, count * sizeof(*servers));
}

#define UDP (1u << TRANSPORT_UDP)
#define TCP (1u << TRANSPORT_TCP)
#define TLS (1u << TRANSPORT_TLS)

static struct found ask_for(const struct net_wanted *wanted, const char *server)
{
	char *servers[] = {(char *)(uintptr_t)server, NULL};
	struct event_base *loop = event_base_new();
	struct net_resolver *resolver = net_resolver_new(loop, servers);
	struct found found = {0};
	uint64_t end_us = clock_monotonic_us() + 15000000;

	assert_non_null(resolver);
	assert_non_null(net_lookup_start(resolver, wanted, on_found, &found));
	assert_false(found.said); /* never before it returns */
	while (!found.said && clock_monotonic_us() < end_us)
		event_base_loop(loop, EVLOOP_ONCE);
	assert_true(found.said);
	net_resolver_free(resolver);
	event_base_free(loop);
	return found;
}

static struct found ask(const char *host, struct net_wanted wanted)
{
	wanted.host = span_from(host);
	return ask_for(&wanted, server_text);
}

static void expect(const struct found *found, uint16_t index, const char *address, enum transport transport)
{
	char text[ADDRESS_TEXT_BYTES];

	assert_true(index < found->count);
	assert_string_equal(address_text(&found->servers[index].address, text), address);
	assert_int_equal(found->servers[index].transport, transport);
}

static const struct net_server *server_at(const struct found *found, const char *address)
{
	char text[ADDRESS_TEXT_BYTES];

	for (uint16_t i = 0; i < found->count; i++)
		if (!strcmp(address_text(&found->servers[i].address, text), address))
			return &found->servers[i];
	fail_msg("%s was not found", address);
	return NULL;
}

static void naptr_says_the_transports_in_order(void **state)
{
	struct found found = ask("full.example.test", (struct net_wanted){.reachable = {UDP | TLS, UDP | TLS}});

	(void)state;
	assert_int_equal(found.finding, NET_FOUND);
	assert_int_equal(found.count, 4);
	assert_int_equal(found.ttl_s, 60);
	/* TLS is wanted first, whatever the priorities inside. */
	assert_int_equal(server_at(&found, "127.0.1.1:5071")->transport, TRANSPORT_TLS);
	assert_true(server_at(&found, "127.0.1.1:5071")->priority < server_at(&found, "127.0.1.1:5073")->priority);
	assert_true(server_at(&found, "127.0.1.1:5073")->priority < server_at(&found, "127.0.1.2:5072")->priority);
	assert_int_equal(server_at(&found, "127.0.1.2:5072")->weight, 30);
	assert_int_equal(server_at(&found, "[::1]:5072")->transport, TRANSPORT_UDP);
}

static void sips_is_tls_alone(void **state)
{
	struct found found =
		ask("full.example.test",
		    (struct net_wanted){.secure = true, .transport = TRANSPORT_TLS, .reachable = {UDP | TLS}});

	(void)state;
	assert_int_equal(found.count, 1);
	expect(&found, 0, "127.0.1.1:5071", TRANSPORT_TLS);
}

static void without_naptr_srv_of_what_can_be_used(void **state)
{
	struct found found = ask("plain.example.test", (struct net_wanted){.reachable = {UDP | TCP}});

	(void)state;
	assert_int_equal(found.count, 2);
	assert_true(server_at(&found, "127.0.1.1:5080")->priority < server_at(&found, "127.0.1.2:5081")->priority);
	found = ask("plain.example.test", (struct net_wanted){.reachable = {TCP}});
	assert_int_equal(found.count, 1);
	expect(&found, 0, "127.0.1.2:5081", TRANSPORT_TCP);
	found = ask(
		"plain.example.test",
		(struct net_wanted){.transport_written = true, .transport = TRANSPORT_UDP, .reachable = {UDP | TCP}});
	assert_int_equal(found.count, 1);
	expect(&found, 0, "127.0.1.1:5080", TRANSPORT_UDP);
}

static void without_srv_the_host_itself(void **state)
{
	struct found found = ask("bare.example.test", (struct net_wanted){.reachable = {UDP, UDP}});

	(void)state;
	assert_int_equal(found.count, 2);
	server_at(&found, "127.0.1.3:5060");
	server_at(&found, "[::1]:5060");
	assert_int_equal(found.ttl_s, 7);
	/* Only what a listener reaches. */
	found = ask("bare.example.test", (struct net_wanted){.reachable = {0, TLS}, .transport = TRANSPORT_TLS});
	assert_int_equal(found.count, 1);
	expect(&found, 0, "[::1]:5061", TRANSPORT_TLS);
	found = ask("alias.example.test", (struct net_wanted){.reachable = {UDP}});
	assert_int_equal(found.count, 1);
}

/* RFC 3263 section 4.2: SRV is not asked for. */
static void a_port_that_is_written_stays(void **state)
{
	struct found found = ask("one.example.test", (struct net_wanted){.port = 7777, .reachable = {UDP}});

	(void)state;
	assert_int_equal(found.count, 1);
	expect(&found, 0, "127.0.1.1:7777", TRANSPORT_UDP);
}

static void a_short_life_is_at_least_some_seconds(void **state)
{
	struct found found = ask("short.example.test", (struct net_wanted){.port = 5060, .reachable = {UDP}});

	(void)state;
	assert_int_equal(found.ttl_s, NET_TTL_LEAST_S);
}

static void what_is_not_there_is_known_not_to_be(void **state)
{
	static const char *const names[] = {"missing.example.test", "none.example.test", "lost.example.test",
					    "bad.example.test"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(ask(names[i], (struct net_wanted){.reachable = {UDP, UDP}}).finding,
				 NET_FOUND_NOTHING);
}

static void loops_of_names_end(void **state)
{
	(void)state;
	assert_int_not_equal(ask("loop.example.test", (struct net_wanted){.reachable = {UDP, UDP}}).finding, NET_FOUND);
}

static void many_records_are_bounded(void **state)
{
	struct found found = ask("many.example.test", (struct net_wanted){.reachable = {UDP}});

	(void)state;
	assert_int_equal(found.count, 32);
	found = ask("crowd.example.test", (struct net_wanted){.port = 5060, .reachable = {UDP}});
	assert_int_equal(found.count, NET_SERVERS_MAXIMUM);
}

static void no_name_server_is_not_nothing(void **state)
{
	struct net_wanted wanted = {.host = SPAN("full.example.test"), .reachable = {UDP}};
	char nobody[32];

	(void)state;
	snprintf(nobody, sizeof(nobody), "127.0.0.1:%u", port_free());
	assert_int_equal(ask_for(&wanted, nobody).finding, NET_FOUND_NOBODY);
}

static void a_cancelled_lookup_says_nothing(void **state)
{
	char *servers[] = {server_text, NULL};
	struct event_base *loop = event_base_new();
	struct net_resolver *resolver = net_resolver_new(loop, servers);
	struct net_wanted wanted = {.host = SPAN("full.example.test"), .reachable = {UDP}};
	struct found found = {0};

	(void)state;
	for (int i = 0; i < 20; i++) { /* at every stage */
		struct net_lookup *lookup = net_lookup_start(resolver, &wanted, on_found, &found);

		for (int turn = 0; turn < i && !found.said; turn++) {
			usleep(200);
			event_base_loop(loop, EVLOOP_NONBLOCK);
		}
		if (!found.said)
			net_lookup_cancel(lookup);
		event_base_loop(loop, EVLOOP_NONBLOCK);
		found.said = false;
	}
	net_lookup_start(resolver, &wanted, on_found, &found);
	net_resolver_free(resolver); /* with lookups under way */
	assert_false(found.said);
	event_base_free(loop);
}

/* ---- Every allocation may fail: ours, those of c-ares and of libevent ---- */

static long allocations;

static void *counted_alloc(size_t size)
{
	allocations++;
	return memory_alloc(size);
}

static void *counted_realloc(void *block, size_t size)
{
	allocations++;
	return memory_realloc(block, size);
}

/* One lookup, of which the allocation after so many fails. False: it did not come to be asked. */
static bool attempt(const char *host, long fail_after, struct found *found)
{
	char *servers[] = {server_text, NULL};
	struct net_wanted wanted = {.host = span_from(host), .reachable = {UDP | TLS, UDP | TLS}};
	struct event_base *loop = event_base_new();
	struct net_resolver *resolver;
	struct net_lookup *lookup = NULL;
	uint64_t end_us = clock_monotonic_us() + 20000000;

	*found = (struct found){0};
	assert_non_null(loop);
	allocations = 0;
	memory_fail_after(fail_after);
	resolver = net_resolver_new(loop, servers);
	if (resolver)
		lookup = net_lookup_start(resolver, &wanted, on_found, found);
	while (lookup && !found->said && clock_monotonic_us() < end_us)
		event_base_loop(loop, EVLOOP_ONCE);
	memory_fail_after(-1);
	net_resolver_free(resolver);
	event_base_free(loop);
	return lookup;
}

/* What is found is some of what there is, and none is not taken for the word of the name servers. */
static bool is_sound(const struct found *all, const struct found *found)
{
	if (found->finding != NET_FOUND)
		return found->finding == NET_FOUND_NOBODY;
	for (uint16_t i = 0; i < found->count; i++) {
		bool known = false;

		for (uint16_t j = 0; j < all->count; j++)
			known |= address_equal(&all->servers[j].address, &found->servers[i].address) &&
				 all->servers[j].transport == found->servers[i].transport;
		if (!known)
			return false;
	}
	return found->ttl_s <= 120; /* the longest in the zone */
}

#define WRONG 255

/* Every so many of the failures. WRONG, or how often the addresses were said not to be there: c-ares says so of those that it
 * had no memory to read, with the same status as of those that there are none of. */
static int sweep(const char *host, const struct found *all, long first, long step, long total)
{
	struct found found;
	int denied = 0;

	for (long fail = first; fail < total; fail += step) {
		if (!attempt(host, fail, &found))
			continue;
		if (found.said && found.finding == NET_FOUND_NOTHING) {
			denied++;
		} else if (!found.said || !is_sound(all, &found)) {
			print_error("%s: finding %d when allocation %ld fails\n", host, (int)found.finding, fail);
			return WRONG;
		}
	}
	return denied;
}

#define SWEEPERS 12 /* at the same time, because what they do is wait for a question to be asked again */

static void short_of_memory_nothing_is_made_up(void **state)
{
	static const char *const hosts[] = {"full.example.test", "plain.example.test", "bare.example.test"};

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct found all;
		pid_t sweepers[SWEEPERS];
		int status, denied = 0;
		long total;

		assert_true(attempt(hosts[i], -1, &all));
		total = allocations;
		assert_true(total > 50); /* c-ares' are among them */
		fflush(NULL);
		for (long j = 0; j < SWEEPERS; j++) {
			sweepers[j] = fork();
			assert_true(sweepers[j] >= 0);
			if (sweepers[j] == 0)
				exit(sweep(hosts[i], &all, j, SWEEPERS, total));
		}
		for (long j = 0; j < SWEEPERS; j++) {
			assert_int_equal(waitpid(sweepers[j], &status, 0), sweepers[j]);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) < WRONG);
			denied += WEXITSTATUS(status);
		}
		assert_in_range(denied, 0, 8); /* those of one host */
	}
}

static int start(void **state)
{
	struct found found;

	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/ringwall-dns-XXXXXX");
	assert_non_null(mkdtemp(directory));
	port = port_free();
	snprintf(server_text, sizeof(server_text), "127.0.0.1:%u", port);
	zone_write();
	server_start();
	for (int i = 0; i < 50; i++) {
		found = ask("one.example.test", (struct net_wanted){.port = 5060, .reachable = {UDP}});
		if (found.finding == NET_FOUND)
			return 0;
		usleep(100000);
	}
	return -1;
}

static int stop(void **state)
{
	static const char *const names[] = {"nsd.conf", "zone", "pid", "xfrd", "list", "cookie"};
	char path[200];

	(void)state;
	server_stop();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		unlink(path);
	}
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(naptr_says_the_transports_in_order),
		cmocka_unit_test(sips_is_tls_alone),
		cmocka_unit_test(without_naptr_srv_of_what_can_be_used),
		cmocka_unit_test(without_srv_the_host_itself),
		cmocka_unit_test(a_port_that_is_written_stays),
		cmocka_unit_test(a_short_life_is_at_least_some_seconds),
		cmocka_unit_test(what_is_not_there_is_known_not_to_be),
		cmocka_unit_test(loops_of_names_end),
		cmocka_unit_test(many_records_are_bounded),
		cmocka_unit_test(no_name_server_is_not_nothing),
		cmocka_unit_test(a_cancelled_lookup_says_nothing),
		cmocka_unit_test(short_of_memory_nothing_is_made_up),
	};

	event_set_mem_functions(counted_alloc, counted_realloc, memory_free);
	if (ares_library_init_mem(ARES_LIB_INIT_ALL, counted_alloc, memory_free, counted_realloc))
		return 1;
	return cmocka_run_group_tests(tests, start, stop);
}
