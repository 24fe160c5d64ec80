/* SPDX-License-Identifier: Apache-2.0
 * A test PBX in a process of its own, on loopback. */
#ifndef AGENT_FIXTURE_H
#define AGENT_FIXTURE_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <arpa/inet.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"

struct pbx_process {
	pid_t pid;
	uint16_t port;
};

/* A socket on loopback, on any port; *port gets it. */
static int socket_open(int type, uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int descriptor = socket(AF_INET, type, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(descriptor >= 0);
	assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &length), 0);
	*port = ntohs(address.sin_port);
	return descriptor;
}

static void pbx_end(evutil_socket_t descriptor, short events, void *loop)
{
	(void)descriptor;
	(void)events;
	event_base_loopbreak(loop);
}

static void pbx_run(uint16_t port, const char *realm, const char *user, const char *password, int ready)
{
	struct testpbx_settings settings = {
		.port_low = 0, .port_high = 0, .realm = realm, .user = user, .password = password};
	struct event_base *loop = event_base_new();
	struct testpbx *pbx;
	char error[200];

	address_parse(SPAN("127.0.0.1"), &settings.listen);
	settings.media_address = settings.listen;
	settings.listen.port = port;
	pbx = testpbx_new(loop, &settings, error, sizeof(error));
	if (!pbx) {
		fprintf(stderr, "%s\n", error);
		_exit(1);
	}
	struct event *end = evsignal_new(loop, SIGTERM, pbx_end, loop);

	event_add(end, NULL);
	(void)!write(ready, "", 1);
	event_base_dispatch(loop);
	testpbx_free(pbx);
	event_free(end);
	event_base_free(loop);
	exit(0); /* with the sanitizer's last look */
}

/* On a port that was free a moment ago. Returns whether it listens. */
static bool pbx_try(struct pbx_process *pbx, const char *realm, const char *user, const char *password)
{
	int ready[2], probe = socket_open(SOCK_DGRAM, &pbx->port);
	char byte;
	bool listens;

	close(probe);
	assert_int_equal(pipe(ready), 0);
	pbx->pid = fork();
	assert_true(pbx->pid >= 0);
	if (!pbx->pid) {
		alarm(60); /* never left behind */
		pbx_run(pbx->port, realm, user, password, ready[1]);
	}
	close(ready[1]);
	listens = read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	if (!listens)
		waitpid(pbx->pid, NULL, 0);
	return listens;
}

/* Returns when it listens. */
static struct pbx_process pbx_start(const char *realm, const char *user, const char *password)
{
	struct pbx_process pbx;
	int tries = 1;

	while (!pbx_try(&pbx, realm, user, password))
		assert_true(tries++ < 10); /* somebody else took the port meanwhile */
	return pbx;
}

static void pbx_stop(const struct pbx_process *pbx)
{
	int status = 0;

	kill(pbx->pid, SIGTERM);
	assert_int_equal(waitpid(pbx->pid, &status, 0), pbx->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#endif
