/* SPDX-License-Identifier: Apache-2.0
 * What an idle TLS connection costs: opens many from a child process, lets each exchange a message, and prints
 * bytes a connection as a JSON line: what OpenSSL holds, what the net holds, and what the process grew by.
 * Usage: net_memory [connections] */
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/net.h"

/* The state of the one measurement that this program is. */
static size_t openssl_bytes;
static unsigned wanted, answered;

static void *openssl_alloc(size_t size, const char *file, int line)
{
	void *block = malloc(size);

	(void)file;
	(void)line;
	openssl_bytes += malloc_usable_size(block);
	return block;
}

static void openssl_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	openssl_bytes -= malloc_usable_size(block);
	free(block);
}

static void *openssl_realloc(void *block, size_t size, const char *file, int line)
{
	size_t before = malloc_usable_size(block);
	void *moved = realloc(block, size);

	(void)file;
	(void)line;
	if (moved)
		openssl_bytes += malloc_usable_size(moved) - before;
	return moved;
}

static ptrdiff_t on_stream(void *context, const struct flow *flow, struct span bytes)
{
	net_send(*(struct net **)context, flow, bytes);
	answered++;
	return (ptrdiff_t)bytes.length;
}

static void on_closed(void *context, const struct flow *flow, enum net_close_reason reason)
{
	(void)context;
	(void)flow;
	fprintf(stderr, "a connection ended: %s\n", net_close_reason_text(reason));
	exit(1);
}

/* The phones: connect, send a request's worth of bytes, take the answer, and stay. */
static void phones_run(const struct address *server, unsigned count)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	static char message[1000];

	for (unsigned i = 0; i < count; i++) {
		struct sockaddr_storage sockaddr;
		socklen_t length = address_to_sockaddr(server, &sockaddr);
		int descriptor = socket(sockaddr.ss_family, SOCK_STREAM, 0);
		SSL *ssl = SSL_new(context);

		if (connect(descriptor, (struct sockaddr *)&sockaddr, length) || !SSL_set_fd(ssl, descriptor) ||
		    SSL_connect(ssl) != 1 || SSL_write(ssl, message, sizeof(message)) != sizeof(message) ||
		    SSL_read(ssl, message, sizeof(message)) != sizeof(message)) {
			fprintf(stderr, "phone %u did not get through: %s\n", i, strerror(errno));
			_exit(1);
		}
	}
	pause();
	_exit(0);
}

static size_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static struct address server_start(struct net *net)
{
	char certificate[4096], key[1024], error[200];
	struct buffer certificate_pem = BUFFER_OVER(certificate), key_pem = BUFFER_OVER(key);
	struct span name = SPAN("localhost");
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof(sockaddr);
	struct address local;
	int descriptor;

	address_parse_ip(SPAN("127.0.0.1"), &local);
	descriptor = net_socket_open(TRANSPORT_TLS, &local);
	if (net_certificate_make(&name, 1, &certificate_pem, &key_pem) ||
	    net_tls_set(net, buffer_span(&certificate_pem), buffer_span(&key_pem), SPAN_EMPTY, error, sizeof(error)) ||
	    descriptor < 0 || getsockname(descriptor, (struct sockaddr *)&sockaddr, &length) ||
	    address_from_sockaddr((struct sockaddr *)&sockaddr, &local) ||
	    net_listener_add(net, descriptor, TRANSPORT_TLS, 0, 0)) {
		fprintf(stderr, "the server does not start\n");
		exit(1);
	}
	return local;
}

/* Runs until `count` messages more were answered, and a moment longer. */
static void serve(struct event_base *loop, unsigned count)
{
	const struct timeval moment = {0, 200000};

	wanted = answered + count;
	while (answered < wanted)
		event_base_loop(loop, EVLOOP_ONCE);
	event_base_loopexit(loop, &moment);
	event_base_dispatch(loop);
}

int main(int count, char **arguments)
{
	unsigned connections = count > 1 ? (unsigned)atoi(arguments[1]) : 1000;
	struct rlimit files = {connections + 100, connections + 100};
	struct net_limits limits = {
		.connections_maximum = connections + 1,
		.connections_per_source_maximum = connections + 1,
		.handshakes_maximum = 100,
		.send_queue_maximum_bytes = 65536,
		.handshake_timeout_ms = 60000,
		.first_byte_timeout_ms = 60000,
		.idle_timeout_ms = 600000,
		.connect_timeout_ms = 60000,
	};
	struct event_base *loop;
	struct net *net = NULL;
	struct net_callbacks callbacks = {.stream = on_stream, .closed = on_closed, .context = &net};
	struct address local;
	struct mallinfo2 before, after;
	size_t openssl_before, resident_before, openssl, heap;
	pid_t first, others;

	if (!CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free))
		return 1;
	setrlimit(RLIMIT_NOFILE, &files);
	loop = event_base_new();
	net = net_new(loop, &limits, &callbacks, random_system());
	local = server_start(net);

	first = fork();
	if (!first)
		phones_run(&local, 1);
	serve(loop, 1); /* what the first connection brings for all is not counted */
	before = mallinfo2();
	openssl_before = openssl_bytes;
	resident_before = resident_bytes();
	others = fork();
	if (!others)
		phones_run(&local, connections);
	serve(loop, connections);
	after = mallinfo2();
	openssl = openssl_bytes - openssl_before;
	heap = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
	printf("{\"bench\":\"net_memory\",\"connections\":%u,\"openssl_bytes\":%zu,\"own_bytes\":%zu,\"resident_"
	       "bytes\":%zu}\n",
	       connections, openssl / connections, (heap - openssl) / connections,
	       (resident_bytes() - resident_before) / connections);
	kill(first, SIGTERM);
	kill(others, SIGTERM);
	while (wait(NULL) > 0)
		;
	return 0;
}
