/* SPDX-License-Identifier: Apache-2.0
 * Datagrams arrive with both their addresses and answers leave from the right one. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int udp_client(const char *ip)
{
	struct address local = address_of(ip, 0);
	struct sockaddr_storage sockaddr;
	socklen_t length = address_to_sockaddr(&local, &sockaddr);
	int descriptor = socket(sockaddr.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(descriptor >= 0);
	assert_int_equal(bind(descriptor, (struct sockaddr *)&sockaddr, length), 0);
	return descriptor;
}

static void udp_send_to(int descriptor, const struct address *remote, const void *bytes, size_t length)
{
	struct sockaddr_storage sockaddr;
	socklen_t size = address_to_sockaddr(remote, &sockaddr);

	assert_int_equal(sendto(descriptor, bytes, length, 0, (struct sockaddr *)&sockaddr, size), length);
}

/* Sends to `listen` as `to`, and expects the echo to come from there. */
static void echo_once(const char *listen, const char *to)
{
	struct world world;
	struct address local, from;
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof(sockaddr);
	char got[100];
	int descriptor;
	ssize_t size;

	world_start(&world, NULL);
	world.echo = true;
	local = world_listen(&world, TRANSPORT_UDP, listen, 3);
	local = address_of(to, local.port);
	descriptor = udp_client(local.family == ADDRESS_IPV4 ? "127.0.0.1" : "::1");
	udp_send_to(descriptor, &local, "hello", 5);
	world_run_until(&world, world.datagrams == 1);
	assert_true(address_equal(&world.flow.local, &local));
	assert_false(world.flow.proven);
	assert_int_equal(world.flow.zone, 1);
	assert_int_equal(world.flow.listener, 3);
	assert_true(net_flow_is_open(world.net, &world.flow));
	size = recvfrom(descriptor, got, sizeof(got), 0, (struct sockaddr *)&sockaddr, &length);
	assert_int_equal(size, 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&sockaddr, &from), 0);
	assert_true(address_equal(&from, &local));
	close(descriptor);
	world_stop(&world);
}

static void test_echo(void **state)
{
	(void)state;
	echo_once("127.0.0.1", "127.0.0.1");
	echo_once("::1", "::1");
	echo_once("0.0.0.0", "127.0.0.1");
	echo_once("0.0.0.0", "127.0.0.77");
	echo_once("::", "::1");
}

static void test_many_in_bounded_turns(void **state)
{
	struct world world;
	struct address local;
	int descriptor;

	(void)state;
	world_start(&world, NULL);
	local = world_listen(&world, TRANSPORT_UDP, "127.0.0.1", 0);
	descriptor = udp_client("127.0.0.1");
	for (int i = 0; i < 100; i++)
		udp_send_to(descriptor, &local, &i, sizeof(i));
	world_step(&world);
	assert_int_equal(world.datagrams, 32);
	world_run_until(&world, world.datagrams == 100);
	for (int i = 0; i < 100; i++)
		assert_memory_equal(world.received + (size_t)i * sizeof(i), &i, sizeof(i));
	assert_int_equal(statistics_of(&world).datagrams_in, 100);
	close(descriptor);
	world_stop(&world);
}

static void test_sizes(void **state)
{
	static char large[65507 + 1000];
	struct world world;
	struct address local;
	int descriptor;

	(void)state;
	memset(large, 'x', sizeof(large));
	world_start(&world, NULL);
	local = world_listen(&world, TRANSPORT_UDP, "127.0.0.1", 0);
	descriptor = udp_client("127.0.0.1");
	udp_send_to(descriptor, &local, "", 0);
	udp_send_to(descriptor, &local, large, 65507);
	world_run_until(&world, world.datagrams == 1);
	assert_int_equal(world.length, 65507);
	assert_memory_equal(world.received, large, 65507);
	assert_int_equal(statistics_of(&world).datagrams_dropped, 1);
	assert_int_equal(net_send(world.net, &world.flow, (struct span){large, 65508}), -EMSGSIZE);
	assert_int_equal(net_send(world.net, &world.flow, (struct span){large, 65507}), 0);
	close(descriptor);
	world_stop(&world);
}

static void remove_listener(struct world *world)
{
	assert_int_equal(net_listener_remove(world->net, 1, 0), 0);
}

static void free_net(struct world *world)
{
	net_free(world->net);
	world->net = NULL;
}

/* A callback that takes away what it is called from: the rest of the batch is not delivered. */
static void test_removed_while_receiving(void **state)
{
	void (*const ways[])(struct world *) = {remove_listener, free_net};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world world;
		struct address local;
		int descriptor = udp_client("127.0.0.1");

		world_start(&world, NULL);
		local = world_listen(&world, TRANSPORT_UDP, "127.0.0.1", 0);
		udp_send_to(descriptor, &local, "1", 1);
		udp_send_to(descriptor, &local, "2", 1);
		world.on_datagram = ways[i];
		world_run_until(&world, world.datagrams);
		world_run_ms(&world, 10);
		assert_int_equal(world.datagrams, 1);
		if (world.net) {
			assert_false(net_flow_is_open(world.net, &world.flow));
			assert_int_equal(net_send(world.net, &world.flow, SPAN("x")), -ENOTCONN);
			assert_int_equal(net_listener_remove(world.net, 1, 0), -ENOENT);
		}
		close(descriptor);
		world_stop(&world);
	}
}

static void test_flow_open(void **state)
{
	struct world world, other;
	struct flow flow;
	struct net_peer peer = {.transport = TRANSPORT_UDP};

	(void)state;
	world_start(&world, NULL);
	world_start_beside(&other, &world, NULL);
	peer.address = world_listen(&other, TRANSPORT_UDP, "127.0.0.5", 0);
	assert_int_equal(net_flow_open(world.net, &peer, 1, 0, &flow), -ENOENT);
	world_listen(&world, TRANSPORT_UDP, "::", 0);
	assert_int_equal(net_flow_open(world.net, &peer, 1, 0, &flow), -ENOENT); /* the other family */
	world_listen(&world, TRANSPORT_UDP, "0.0.0.0", 0);
	assert_int_equal(net_flow_open(world.net, &peer, 1, 0, &flow), 0);
	assert_int_equal(flow.connection, 0);
	assert_true(address_is_loopback(&flow.local)); /* not 0.0.0.0: it stands in Via and Contact */
	assert_int_equal(net_send(world.net, &flow, SPAN("request")), 0);
	world_run_until(&world, other.datagrams == 1);
	assert_true(address_equal(&other.flow.remote, &flow.local));
	assert_int_equal(net_send(other.net, &other.flow, SPAN("answer")), 0);
	world_run_until(&world, world.datagrams == 1);
	assert_true(flow_equal(&world.flow, &flow));
	other.loop = NULL;
	world_stop(&other);
	world_stop(&world);
}

static void test_wrong_descriptors(void **state)
{
	struct world world;
	struct address any = address_of("127.0.0.1", 0);

	(void)state;
	world_start(&world, NULL);
	assert_int_equal(net_listener_add(world.net, open("/dev/null", O_RDONLY), TRANSPORT_UDP, 0, 0), -EINVAL);
	assert_int_equal(net_listener_add(world.net, net_socket_open(TRANSPORT_UDP, &any), TRANSPORT_TCP, 0, 0),
			 -EINVAL);
	assert_int_equal(net_listener_add(world.net, socket(AF_INET, SOCK_STREAM, 0), TRANSPORT_TCP, 0, 0), -EINVAL);
	assert_int_equal(net_listener_add(world.net, socket(AF_INET6, SOCK_DGRAM, 0), TRANSPORT_UDP, 0, 0), -EINVAL);
	any.port = world_listen(&world, TRANSPORT_UDP, "127.0.0.1", 0).port;
	assert_int_equal(net_socket_open(TRANSPORT_UDP, &any), -EADDRINUSE);
	world_stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),      cmocka_unit_test(test_many_in_bounded_turns),
		cmocka_unit_test(test_sizes),     cmocka_unit_test(test_removed_while_receiving),
		cmocka_unit_test(test_flow_open), cmocka_unit_test(test_wrong_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
