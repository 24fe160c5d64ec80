/* SPDX-License-Identifier: Apache-2.0
 * The relay of src/media alone, for measuring: sets up the calls of its standard input, says "ready", and relays until it
 * is ended by a signal.
 *   rtp_relay WORKERS SUITE_A SUITE_B
 * Suites are numbers of enum srtp_suite. A line a call: A's address, the relay's toward A, B's, the relay's toward B. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "media/media.h"

#define CALLS_MAXIMUM 50000

static void event(void *context, const struct media_event *event)
{
	(void)context;
	if (event->kind == MEDIA_PORT_UNAVAILABLE)
		fprintf(stderr, "rtp_relay: call %llu: port unavailable\n", (unsigned long long)event->session);
}

static int side_read(struct media_side *side, const char *peer, const char *local, uint8_t suite)
{
	if (address_parse(span_from(peer), &side->peer_rtp) || address_parse(span_from(local), &side->local))
		return -1;
	side->peer_rtcp = side->peer_rtp;
	side->peer_rtcp.port++;
	side->suite_in = side->suite_out = suite;
	side->may_send = true;
	memset(side->key_in, 1, sizeof(side->key_in));
	memset(side->key_out, 2, sizeof(side->key_out));
	return 0;
}

int main(int argc, char **argv)
{
	char a[64], relay_a[64], b[64], relay_b[64];
	struct media_callbacks callbacks = {.event = event};
	if (argc != 4)
		return EXIT_FAILURE;
	struct media_relay *relay = media_relay_new((uint32_t)strtoul(argv[1], NULL, 10), CALLS_MAXIMUM, &callbacks);
	if (!relay)
		return EXIT_FAILURE;
	size_t before = mallinfo2().uordblks;
	uint64_t calls = 0;
	while (scanf("%63s %63s %63s %63s", a, relay_a, b, relay_b) == 4) {
		struct media_stream stream = {.session = ++calls, .silence_timeout_ms = 60000};
		if (side_read(&stream.sides[0], a, relay_a, (uint8_t)strtoul(argv[2], NULL, 10)) ||
		    side_read(&stream.sides[1], b, relay_b, (uint8_t)strtoul(argv[3], NULL, 10)) ||
		    media_stream_set(relay, &stream) != 0) {
			fprintf(stderr, "rtp_relay: call %llu refused\n", (unsigned long long)calls);
			return EXIT_FAILURE;
		}
		if (calls % 100 == 0)
			usleep(10000); /* the workers open sockets meanwhile */
	}
	usleep(300000);
	printf("ready %llu calls, %zu bytes a call\n", (unsigned long long)calls,
	       (mallinfo2().uordblks - before) / (calls ? calls : 1));
	fflush(stdout);
	pause(); /* a signal ends the process */
	return EXIT_SUCCESS;
}
