/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

const struct net_limits generous = {
	.connections_maximum = 100,
	.connections_per_source_maximum = 100,
	.handshakes_maximum = 100,
	.send_queue_maximum_bytes = 256 * 1024,
	.message_maximum_bytes = 100000,
	.handshake_timeout_ms = 8000,
	.first_byte_timeout_ms = 8000,
	.idle_timeout_ms = 8000,
	.connect_timeout_ms = 8000,
};

static void keep(struct world *world, struct span bytes)
{
	if (world->length + bytes.length <= sizeof(world->received)) {
		memcpy(world->received + world->length, bytes.data, bytes.length);
		world->length += bytes.length;
	}
}

static void on_datagram(void *context, const struct flow *flow, struct span bytes)
{
	struct world *world = context;

	world->datagrams++;
	world->flow = *flow;
	keep(world, bytes);
	if (world->on_datagram)
		world->on_datagram(world);
	else if (world->echo)
		assert_int_equal(net_send(world->net, flow, bytes), 0);
}

static ptrdiff_t on_stream(void *context, const struct flow *flow, struct span bytes)
{
	struct world *world = context;
	ptrdiff_t end = world->lines ? span_index(bytes, '\n') + 1 : (ptrdiff_t)bytes.length;

	world->deliveries++;
	world->flow = *flow;
	if (world->refuse < 0)
		return world->refuse;
	if (end > 0)
		keep(world, span_slice(bytes, 0, (size_t)end));
	if (end > 0 && world->on_stream)
		world->on_stream(world);
	else if (end > 0 && world->echo)
		net_send(world->net, flow, span_slice(bytes, 0, (size_t)end));
	return end;
}

static int on_message(void *context, const struct flow *flow, struct span bytes)
{
	struct world *world = context;

	world->deliveries++;
	world->flow = *flow;
	if (world->refuse < 0)
		return (int)world->refuse;
	keep(world, bytes);
	if (world->on_stream)
		world->on_stream(world);
	else if (world->echo)
		net_send(world->net, flow, bytes);
	return 0;
}

static void on_opened(void *context, const struct flow *flow)
{
	struct world *world = context;

	assert_true(flow->proven);
	world->opened++;
	world->flow = *flow;
	if (world->on_opened)
		world->on_opened(world);
}

static void on_closed(void *context, const struct flow *flow, enum net_close_reason reason)
{
	struct world *world = context;

	world->closed++;
	world->flow = *flow;
	world->reason = reason;
	if (world->net)
		assert_false(net_flow_is_open(world->net, flow));
	if (world->on_closed)
		world->on_closed(world);
}

void world_start_beside(struct world *world, struct world *other, const struct net_limits *limits)
{
	const struct net_callbacks callbacks = {on_datagram, on_stream, on_message, on_opened, on_closed, world};

	memset(world, 0, sizeof(*world));
	world->seed = 1;
	world->loop = other ? other->loop : event_base_new();
	assert_non_null(world->loop);
	world->net = net_new(world->loop, limits ? limits : &generous, &callbacks, random_seeded(&world->seed));
	assert_non_null(world->net);
}

void world_start(struct world *world, const struct net_limits *limits)
{
	world_start_beside(world, NULL, limits);
}

/* The world beside is stopped first: the loop goes with its owner. */
void world_stop(struct world *world)
{
	net_free(world->net);
	if (world->loop)
		event_base_free(world->loop);
}

struct address address_of(const char *ip, uint16_t port)
{
	struct address address;

	assert_int_equal(address_parse_ip(span_from(ip), &address), 0);
	address.port = port;
	return address;
}

struct net_statistics statistics_of(const struct world *world)
{
	struct net_statistics statistics;

	net_statistics_get(world->net, &statistics);
	return statistics;
}

struct address world_listen(struct world *world, enum transport transport, const char *ip, uint8_t listener)
{
	struct address local = address_of(ip, 0);
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof(sockaddr);
	int descriptor = net_socket_open(transport, &local);

	assert_true(descriptor >= 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&sockaddr, &length), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&sockaddr, &local), 0);
	assert_int_equal(net_listener_add(world->net, descriptor, transport, 1, listener), 0);
	return local;
}

void world_certify(struct world *world, const char *name, char *pem)
{
	char certificate[4096], key[1024], error[200];
	struct span names[] = {span_from(name)};
	struct buffer certificate_pem = BUFFER_OVER(certificate), key_pem = BUFFER_OVER(key);

	assert_int_equal(net_certificate_make(names, 1, &certificate_pem, &key_pem), 0);
	assert_int_equal(net_tls_set(world->net, buffer_span(&certificate_pem), buffer_span(&key_pem), SPAN_EMPTY,
				     error, sizeof(error)),
			 0);
	assert_string_equal(error, "");
	if (pem)
		strcpy(pem, buffer_text(&certificate_pem));
}

void world_turn(struct world *world)
{
	/* The clients' OpenSSL may raise SIGPIPE; the net may not. */
	signal(SIGPIPE, SIG_DFL);
	event_base_loop(world->loop, EVLOOP_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
}

void world_step(struct world *world)
{
	event_base_loop(world->loop, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

void world_run_ms(struct world *world, unsigned ms)
{
	uint64_t end_us = clock_monotonic_us() + (uint64_t)ms * 1000;

	while (clock_monotonic_us() < end_us)
		world_turn(world);
}

int client_connect(struct world *world, const struct address *remote)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = address_to_sockaddr(remote, &sockaddr);
	int descriptor = socket(sockaddr.ss_family, SOCK_STREAM, 0);
	int on = 1;

	assert_true(descriptor >= 0);
	assert_int_equal(connect(descriptor, (struct sockaddr *)&sockaddr, length), 0);
	assert_int_equal(fcntl(descriptor, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	world_turn(world);
	return descriptor;
}

void client_send(struct world *world, int descriptor, const char *text)
{
	assert_int_equal(send(descriptor, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	world_turn(world);
}

void client_expect(struct world *world, int descriptor, const char *text)
{
	char got[4096];
	size_t wanted = strlen(text), length = 0;

	assert_true(wanted < sizeof(got));
	world_run_until(world, ({
				ssize_t more = recv(descriptor, got + length, wanted - length, 0);
				length += more > 0 ? (size_t)more : 0;
				length == wanted;
			}));
	assert_memory_equal(got, text, wanted);
}

bool client_is_reset(struct world *world, int descriptor)
{
	char got[4096];
	ssize_t length;

	world_run_until(world, ({
				do
					length = recv(descriptor, got, sizeof(got), 0);
				while (length > 0);
				length == 0 || errno != EAGAIN;
			}));
	return length < 0 && errno == ECONNRESET;
}

void client_reset(int descriptor)
{
	struct linger linger = {.l_onoff = 1};

	assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(descriptor);
}

SSL *client_tls_try(struct world *world, int descriptor, SSL_CTX *context)
{
	SSL *ssl = SSL_new(context);
	int result = -1;

	assert_non_null(ssl);
	assert_true(SSL_set_fd(ssl, descriptor));
	world_run_until(world, ({
				result = SSL_connect(ssl);
				int error = SSL_get_error(ssl, result);
				result == 1 || (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE);
			}));
	if (result == 1)
		return ssl;
	SSL_free(ssl);
	close(descriptor);
	return NULL;
}

SSL *client_tls(struct world *world, const struct address *remote)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = client_tls_try(world, client_connect(world, remote), context);

	assert_non_null(ssl);
	SSL_CTX_free(context);
	return ssl;
}

void client_tls_free(SSL *ssl)
{
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
}

void client_tls_send(struct world *world, SSL *ssl, struct span bytes)
{
	int result;

	world_run_until(world, (result = SSL_write(ssl, bytes.data, (int)bytes.length)) > 0);
	assert_int_equal(result, bytes.length);
	world_turn(world);
}

void client_tls_expect(struct world *world, SSL *ssl, struct span bytes)
{
	char *got = malloc(bytes.length);
	size_t length = 0;

	assert_non_null(got);
	world_run_until(world, ({
				int more = SSL_read(ssl, got + length, (int)(bytes.length - length));
				length += more > 0 ? (size_t)more : 0;
				length == bytes.length;
			}));
	assert_memory_equal(got, bytes.data, bytes.length);
	free(got);
}
