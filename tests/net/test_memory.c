/* SPDX-License-Identifier: Apache-2.0
 * Every allocation may fail, ours and OpenSSL's: nothing crashes, nothing leaks, and the next one succeeds. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends {
	struct net *server, *client;
	struct event_base *loop;
	int received;
	uint64_t patience_us;
	bool lost; /* something ended that should not have */
};

static void on_datagram(void *context, const struct flow *flow, struct span bytes)
{
	struct ends *ends = context;

	(void)flow;
	ends->received += bytes.length == 5;
}

/* Half a line must wait, so that memory is needed for it. */
static ptrdiff_t on_stream(void *context, const struct flow *flow, struct span bytes)
{
	struct ends *ends = context;
	ptrdiff_t end = span_index(bytes, '\n');

	(void)flow;
	if (end < 0)
		return 0;
	ends->received++;
	return end + 1;
}

static void on_closed(void *context, const struct flow *flow, enum net_close_reason reason)
{
	struct ends *ends = context;

	(void)flow;
	(void)reason;
	ends->lost = true;
}

static const struct net_limits limits = {
	.connections_maximum = 10,
	.connections_per_source_maximum = 10,
	.handshakes_maximum = 10,
	.send_queue_maximum_bytes = 100000,
	.handshake_timeout_ms = 5000,
	.first_byte_timeout_ms = 5000,
	.idle_timeout_ms = 5000,
	.connect_timeout_ms = 5000,
};

static int listen_on(struct ends *ends, enum transport transport, uint8_t index, struct address *local)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof(sockaddr);
	int descriptor;

	*local = (struct address){.family = ADDRESS_IPV4, .ip = {127, 0, 0, 1}};
	descriptor = net_socket_open(transport, local);
	if (descriptor < 0)
		return descriptor;
	getsockname(descriptor, (struct sockaddr *)&sockaddr, &length);
	address_from_sockaddr((struct sockaddr *)&sockaddr, local);
	return net_listener_add(ends->server, descriptor, transport, 0, index);
}

/* Every message in two parts, the second when the first had time to arrive. */
static void exchange(struct ends *ends, const struct flow *flows, int count)
{
	uint64_t end_us = clock_monotonic_us() + ends->patience_us;
	int turn = 0;

	for (int i = 0; i < count; i++) {
		if (net_send(ends->client, &flows[i], SPAN("begin")))
			return;
	}
	while (!ends->lost && ends->received < 2 * count - 1 && clock_monotonic_us() < end_us) {
		event_base_loop(ends->loop, EVLOOP_NONBLOCK);
		if (turn++ > 20 && turn % 20 == 0) {
			for (int i = 1; i < count; i++)
				net_send(ends->client, &flows[i], SPAN("and end\n"));
		}
	}
}

/* Everything once: UDP, TCP and TLS, listening and dialling. Returns whether all of it worked. */
static bool scenario(struct ends *ends, struct span certificate, struct span key)
{
	const struct net_callbacks callbacks = {
		.datagram = on_datagram, .stream = on_stream, .closed = on_closed, .context = ends};
	struct net_peer peers[3] = {{.transport = TRANSPORT_UDP},
				    {.transport = TRANSPORT_TCP},
				    {.transport = TRANSPORT_TLS, .name = SPAN("sip.example.org"), .verify = true}};
	struct flow flows[3];
	uint64_t seed = 3;
	char error[100];
	bool worked = false;
	int opened = 0;

	ends->server = net_new(ends->loop, &limits, &callbacks, random_seeded(&seed));
	ends->client = net_new(ends->loop, &limits, &callbacks, random_seeded(&seed));
	if (!ends->server || !ends->client ||
	    net_tls_set(ends->server, certificate, key, certificate, error, sizeof(error)) ||
	    net_tls_set(ends->client, SPAN_EMPTY, SPAN_EMPTY, certificate, error, sizeof(error)))
		goto out;
	for (int i = 0; i < 3; i++) {
		if (listen_on(ends, peers[i].transport, (uint8_t)i, &peers[i].address))
			goto out;
	}
	if (net_listener_add(ends->client, net_socket_open(TRANSPORT_UDP, &(struct address){ADDRESS_IPV4}),
			     TRANSPORT_UDP, 0, 0))
		goto out;
	while (opened < 3 && !net_flow_open(ends->client, &peers[opened], 0, 0, &flows[opened]))
		opened++;
	if (opened == 3)
		exchange(ends, flows, 3);
	worked = !ends->lost && ends->received >= 3;
out:
	net_free(ends->server);
	net_free(ends->client);
	return worked;
}

static bool attempt(struct span certificate, struct span key, long fail_after)
{
	/* What must work may take its time on a busy machine. */
	struct ends ends = {.loop = event_base_new(), .patience_us = fail_after < 0 ? 5000000 : 200000};
	bool worked;

	assert_non_null(ends.loop);
	memory_fail_after(fail_after);
	worked = scenario(&ends, certificate, key);
	memory_fail_after(-1);
	event_base_free(ends.loop);
	return worked;
}

static long allocations;

static void *counted_alloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations++;
	return memory_alloc(size);
}

static void *counted_realloc(void *block, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	allocations++;
	return memory_realloc(block, size);
}

static void counted_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	memory_free(block);
}

static void test_sweep(void **state)
{
	char certificate[4096], key[1024];
	struct buffer certificate_pem = BUFFER_OVER(certificate), key_pem = BUFFER_OVER(key);
	long total;
	int failed = 0;

	(void)state;
	assert_int_equal(net_certificate_make(&SPAN("sip.example.org"), 1, &certificate_pem, &key_pem), 0);
	/* Twice, so that OpenSSL has made what it keeps for the life of the process. */
	assert_true(attempt(buffer_span(&certificate_pem), buffer_span(&key_pem), -1));
	allocations = 0;
	assert_true(attempt(buffer_span(&certificate_pem), buffer_span(&key_pem), -1));
	total = allocations;
	assert_true(total > 1000); /* OpenSSL's are among them */
	/* All of the beginning, some of what OpenSSL does to make a context, and most from the first connection on. */
	for (long i = 0; i < total + 60; i += i < 100 ? 1 : i < total * 7 / 10 ? 101 : 13)
		failed += !attempt(buffer_span(&certificate_pem), buffer_span(&key_pem), i);
	assert_in_range(failed, 60, 100000);
	assert_true(attempt(buffer_span(&certificate_pem), buffer_span(&key_pem), -1));
}

static void test_certificate_sweep(void **state)
{
	int made = 0;

	(void)state;
	for (long i = 0; i < 5000 && made < 20; i += 1 + i / 100) {
		char certificate[4096], key[1024];
		struct buffer certificate_pem = BUFFER_OVER(certificate), key_pem = BUFFER_OVER(key);
		int result;

		memory_fail_after(i);
		result = net_certificate_make(&SPAN("sip.example.org"), 1, &certificate_pem, &key_pem);
		memory_fail_after(-1);
		if (!result)
			assert_true(certificate_pem.length > 0 && key_pem.length > 0);
		made += !result;
	}
	assert_int_equal(made, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweep), cmocka_unit_test(test_certificate_sweep)};

	/* Before OpenSSL allocates anything. */
	if (!CRYPTO_set_mem_functions(counted_alloc, counted_realloc, counted_free))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
