/* SPDX-License-Identifier: Apache-2.0
 * Many phones at once: every call has a socket of its own that sends G.711-sized RTP through a relay, evenly spread over
 * time; the answering side counts what arrives, on sockets that may serve many calls (a phone's cost of receiving is
 * charged to the relay that sends, so it should be small). Waits a moment for stragglers, then prints one JSON line.
 *   rtp_load CALLS RATE SECONDS BOTH WANTED_SIZE <ports
 * RATE packets a second a call, BOTH 0 or 1 (the answering side sends too), WANTED_SIZE of what arrives (0: any).
 * ports: a line a call: A's address, the relay's toward A, B's address, the relay's toward B. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"

#define PACKET_BYTES 172
#define TICK_US 100   /* phones do not know of each other: no bursts */
#define SWEEP_US 5000 /* every socket is read so often */
#define RECEIVE_BUFFER_BYTES (4 << 20)
#define BATCH 32
#define DRAIN_US 700000

struct end {
	struct address local;
	int descriptor;
	bool is_shared; /* an earlier call's */
	struct sockaddr_storage relay;
	socklen_t relay_length;
	uint8_t packet[PACKET_BYTES];
};

struct load {
	unsigned calls, rate, wanted_size;
	int both;
	struct end *ends;     /* A and B of call 0, of call 1, … */
	struct end **readers; /* those that receive, each socket once */
	unsigned reader_count;
	uint64_t sent, failed, received, wrong_size;
};

static int end_open(struct end *end, const char *local_text, const char *relay_text, uint32_t ssrc)
{
	struct address relay;
	struct sockaddr_storage storage;
	if (address_parse(span_from(local_text), &end->local) || address_parse(span_from(relay_text), &relay))
		return -EINVAL;
	end->relay_length = address_to_sockaddr(&relay, &end->relay);
	end->packet[0] = 0x80;
	memcpy(end->packet + 8, &ssrc, sizeof(ssrc));
	if (end->is_shared)
		return 0;
	socklen_t length = address_to_sockaddr(&end->local, &storage);
	end->descriptor = socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int buffer = RECEIVE_BUFFER_BYTES; /* as much of it as the system grants */
	setsockopt(end->descriptor, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (end->descriptor < 0 || bind(end->descriptor, (struct sockaddr *)&storage, length) != 0)
		return -errno;
	return 0;
}

/* B's socket of an earlier call with the same address. */
static void end_share(struct load *load, unsigned call, const char *local_text)
{
	struct end *end = &load->ends[2 * call + 1];
	struct address local;
	if (address_parse(span_from(local_text), &local) != 0)
		return;
	for (unsigned i = 0; i < call && !end->is_shared; i++) {
		const struct end *earlier = &load->ends[2 * i + 1];
		if (earlier->is_shared || !address_equal(&earlier->local, &local))
			continue;
		end->is_shared = true;
		end->descriptor = earlier->descriptor;
	}
}

static int load_read(struct load *load)
{
	char a[64], relay_a[64], b[64], relay_b[64];
	for (unsigned i = 0; i < load->calls; i++) {
		if (scanf("%63s %63s %63s %63s", a, relay_a, b, relay_b) != 4)
			return -EINVAL;
		/* Sources of this run's own: the same SSRC must not start its sequence numbers again. */
		uint32_t ssrc = (uint32_t)getpid() << 12 | i << 1;
		int error = end_open(&load->ends[2 * i], a, relay_a, ssrc);
		end_share(load, i, b);
		if (!error)
			error = end_open(&load->ends[2 * i + 1], b, relay_b, ssrc | 1);
		if (error)
			return error;
		if (load->both)
			load->readers[load->reader_count++] = &load->ends[2 * i];
		if (!load->ends[2 * i + 1].is_shared)
			load->readers[load->reader_count++] = &load->ends[2 * i + 1];
	}
	return 0;
}

static void end_send(struct load *load, struct end *end)
{
	uint8_t *packet = end->packet;
	uint16_t sequence = (uint16_t)((packet[2] << 8 | packet[3]) + 1);
	uint32_t timestamp = ((uint32_t)packet[4] << 24 | packet[5] << 16 | packet[6] << 8 | packet[7]) + 160;
	packet[2] = (uint8_t)(sequence >> 8);
	packet[3] = (uint8_t)sequence;
	for (int i = 0; i < 4; i++)
		packet[4 + i] = (uint8_t)(timestamp >> (24 - 8 * i));
	if (sendto(end->descriptor, packet, PACKET_BYTES, 0, (struct sockaddr *)&end->relay, end->relay_length) ==
	    PACKET_BYTES)
		load->sent++;
	else
		load->failed++;
}

static void end_receive(struct load *load, struct end *end)
{
	static uint8_t bytes[BATCH][2048];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH];
	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	int count;
	while ((count = recvmmsg(end->descriptor, messages, BATCH, 0, NULL)) > 0) {
		load->received += (unsigned)count;
		for (int i = 0; i < count; i++)
			load->wrong_size += load->wanted_size && messages[i].msg_len != load->wanted_size;
		if (count < BATCH)
			return;
	}
}

static void sweep(struct load *load)
{
	for (unsigned i = 0; i < load->reader_count; i++)
		end_receive(load, load->readers[i]);
}

static void load_run(struct load *load, unsigned seconds)
{
	uint64_t start_us = clock_monotonic_us(), now_us = start_us, end_us = start_us + UINT64_C(1000000) * seconds;
	uint64_t turns = 0, swept_us = start_us;
	while (now_us < end_us) {
		uint64_t due = (now_us - start_us) * load->rate * load->calls / 1000000;
		for (; turns < due; turns++) {
			struct end *ends = &load->ends[2 * (turns % load->calls)];
			end_send(load, &ends[0]);
			if (load->both)
				end_send(load, &ends[1]);
		}
		if (now_us - swept_us >= SWEEP_US) {
			sweep(load);
			swept_us = now_us;
		}
		uint64_t next_us = now_us - now_us % TICK_US + TICK_US;
		now_us = clock_monotonic_us();
		if (now_us < next_us)
			usleep((useconds_t)(next_us - now_us));
		now_us = clock_monotonic_us();
	}
	usleep(DRAIN_US);
	sweep(load);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "rtp_load CALLS RATE SECONDS BOTH WANTED_SIZE <ports\n");
		return EXIT_FAILURE;
	}
	struct load load = {.calls = (unsigned)strtoul(argv[1], NULL, 10),
			    .rate = (unsigned)strtoul(argv[2], NULL, 10),
			    .both = argv[4][0] == '1',
			    .wanted_size = (unsigned)strtoul(argv[5], NULL, 10)};
	load.ends = calloc(2 * (size_t)load.calls, sizeof(load.ends[0]));
	load.readers = calloc(2 * (size_t)load.calls, sizeof(load.readers[0]));
	int error = load.ends && load.readers && load.calls ? load_read(&load) : -EINVAL;
	if (error) {
		fprintf(stderr, "rtp_load: %s\n", strerror(-error));
		return EXIT_FAILURE;
	}
	prctl(PR_SET_TIMERSLACK, 1000UL); /* ns, so that a tick is one */
	load_run(&load, (unsigned)strtoul(argv[3], NULL, 10));
	printf("{\"sent\": %llu, \"failed\": %llu, \"received\": %llu, \"wrong_size\": %llu, \"cpu_s\": %.2f}\n",
	       (unsigned long long)load.sent, (unsigned long long)load.failed, (unsigned long long)load.received,
	       (unsigned long long)load.wrong_size, (double)clock() / CLOCKS_PER_SEC);
	return EXIT_SUCCESS;
}
