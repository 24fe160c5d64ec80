/* SPDX-License-Identifier: Apache-2.0
 * A name server that answers with anything: each part of the input (a length in two bytes, then the bytes from the third of the
 * header on, in which 0xff stands for the question) is the answer to one question. Whatever it says, who asked is told once, at
 * most so many servers, and only such as can be reached. */
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/net.h"

#define QUESTION_MARK 0xff
#define IDLE_TURNS 4 /* of the loop, without a question: c-ares did not take the answer and waits for another */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	struct event_base *loop;
	int server;
	char name[32];
	unsigned told;
	uint8_t reachable[2];
} self;

static void begin(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	self.loop = event_base_new();
	self.server = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (!self.loop || self.server < 0 || bind(self.server, (struct sockaddr *)&address, length) ||
	    getsockname(self.server, (struct sockaddr *)&address, &length))
		abort();
	snprintf(self.name, sizeof(self.name), "127.0.0.1:%u", ntohs(address.sin_port));
}

static void on_found(void *context, enum net_finding finding, const struct net_server *servers, uint16_t count,
		     uint32_t ttl_s)
{
	(void)context;
	self.told++;
	if (count > NET_SERVERS_MAXIMUM || (finding == NET_FOUND) != (count > 0) || ttl_s < NET_TTL_LEAST_S ||
	    ttl_s > NET_TTL_LONGEST_S)
		abort();
	for (uint16_t i = 0; i < count; i++)
		if (!servers[i].address.port ||
		    !(self.reachable[servers[i].address.family == ADDRESS_IPV6] & 1u << servers[i].transport))
			abort();
}

/* The part of the input that comes next as an answer to `query`; after the last, that there is no such name. */
static size_t answer_make(const uint8_t **data, size_t *size, const uint8_t *query, size_t query_length,
			  uint8_t *answer, size_t capacity)
{
	static const uint8_t none[] = {0, 12, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0, QUESTION_MARK, 0};
	const uint8_t *from = *size < 2 ? none : *data;
	size_t left = *size < 2 ? sizeof(none) : *size, part = (size_t)(from[0] << 8 | from[1]), length = 2;

	if (part > left - 2)
		part = left - 2;
	memcpy(answer, query, 2);
	for (size_t i = 2; i < part + 2; i++) {
		bool is_question = from[i] == QUESTION_MARK && length == 12;
		size_t more = is_question ? query_length - 12 : 1;

		if (length + more > capacity)
			break;
		memcpy(answer + length, is_question ? query + 12 : from + i, more);
		length += more;
	}
	if (*size >= 2) {
		*data += part + 2;
		*size -= part + 2;
	}
	return length;
}

static bool question_answer(const uint8_t **data, size_t *size)
{
	uint8_t query[512], answer[8192];
	struct sockaddr_in from;
	socklen_t from_length = sizeof(from);
	ssize_t got = recvfrom(self.server, query, sizeof(query), 0, (struct sockaddr *)&from, &from_length);

	if (got < 12)
		return false;
	sendto(self.server, answer, answer_make(data, size, query, (size_t)got, answer, sizeof(answer)), 0,
	       (struct sockaddr *)&from, from_length);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *servers[] = {self.name, NULL};
	struct net_wanted wanted = {.host = SPAN("a.test")};
	struct net_resolver *resolver;

	if (!self.loop)
		begin();
	if (size < 2)
		return 0;
	wanted.secure = data[0] & 1;
	wanted.transport_written = data[0] & 2;
	wanted.port = data[0] & 4 ? 5070 : 0;
	wanted.transport = wanted.secure ? TRANSPORT_TLS : TRANSPORT_UDP;
	self.reachable[0] = wanted.reachable[0] = data[1] & 15;
	self.reachable[1] = wanted.reachable[1] = data[1] >> 4;
	data += 2;
	size -= 2;
	self.told = 0;
	resolver = net_resolver_new(self.loop, servers);
	if (!resolver || !net_lookup_start(resolver, &wanted, on_found, NULL))
		abort();
	for (unsigned idle = 0; idle < IDLE_TURNS && !self.told;) {
		idle = question_answer(&data, &size) ? 0 : idle + 1;
		event_base_loop(self.loop, EVLOOP_NONBLOCK);
	}
	if (self.told > 1)
		abort();
	net_resolver_free(resolver);
	while (recv(self.server, (uint8_t[512]){0}, 512, 0) >= 0) /* what was still asked */
		;
	return 0;
}
