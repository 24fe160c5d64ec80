/* SPDX-License-Identifier: Apache-2.0
 * Both ends of many calls, each end in a network namespace of its own: sends G.711-sized RTP or SRTP, evenly spread over time, and
 * counts what comes out at the other side. The calls of a side share a few sockets, so that the ends cost little beside the relay.
 *   rtp_ends PID_A PID_B SUITE_A CALLS RATE PORTS
 * The namespaces are those of the two processes; SUITE_A is a number of enum srtp_suite, for A's side (B has plain RTP); RATE
 * packets a second a call a direction. PORTS is a file: a line a call with A's address, the relay's toward A, B's, the relay's
 * toward B. Then each line of the standard input, "SECONDS WAYS STAMPED", is a turn: WAYS 1: A sends, 2: B does, 3: both; STAMPED 1:
 * the time from sending to the receiver's kernel is taken of every packet. Each turn prints a JSON line. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "media/media.h"

#define PACKET_BYTES 172
#define TICK_US 200   /* phones do not know of each other: no large bursts */
#define SWEEP_US 2000 /* every socket is read so often */
#define BUFFER_BYTES (8 << 20)
#define SOCKETS 32
#define BATCH 32 /* calls side by side that share a socket, and so one system call */
#define DRAIN_US 300000
#define DRAIN_TURNS 60
#define SENT_KEPT 64 /* packets of a stream whose time of sending is known: more than a second */
#define SAMPLES_MAXIMUM (4 << 20)

struct stream {
	struct sockaddr_in relay;
	uint8_t packet[PACKET_BYTES];
	uint32_t count; /* of packets: the sequence number and more */
	struct srtp_context *protect;
	uint64_t sent_ns[SENT_KEPT];
};

struct side {
	struct load *load;
	struct side *other;
	int index; /* 0: A */
	int sockets[SOCKETS];
	struct stream *streams;
	bool sends;
	uint64_t sent, failed, received, wrong;
	uint32_t *samples; /* ns */
	uint32_t sample_count;
};

struct load {
	unsigned calls, rate, suite;
	uint32_t ssrc; /* of call 0, A's; then one for each side of each call */
	bool is_stamped;
	int done; /* sides that have sent all */
	uint64_t start_us, end_us;
	struct side sides[2];
};

/* ---- Setting up ---- */

static int namespace_enter(const char *pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%s/ns/net", pid);
	int descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0 || setns(descriptor, CLONE_NEWNET) != 0)
		return -errno;
	close(descriptor);
	return 0;
}

static int socket_open(const struct address *local)
{
	struct sockaddr_storage storage;
	socklen_t length = address_to_sockaddr(local, &storage);
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), bytes = BUFFER_BYTES;
	if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&storage, length) != 0)
		return -errno;
	/* As much of it as there may be: the ends must not lose what the relay has carried. */
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	return descriptor;
}

static int *socket_of(struct side *side, unsigned call)
{
	return &side->sockets[call / BATCH % SOCKETS];
}

static int stream_set(struct side *side, unsigned call, const char *local_text, const char *relay_text)
{
	static const uint8_t key[SRTP_KEY_MAXIMUM] = {1};
	struct stream *stream = &side->streams[call];
	struct address local, relay;
	struct sockaddr_storage storage;
	uint32_t ssrc = htonl(side->load->ssrc + 2 * call + (unsigned)side->index);
	if (address_parse(span_from(local_text), &local) || address_parse(span_from(relay_text), &relay))
		return -EINVAL;
	address_to_sockaddr(&relay, &storage);
	memcpy(&stream->relay, &storage, sizeof(stream->relay));
	stream->packet[0] = 0x80;
	memcpy(stream->packet + 8, &ssrc, sizeof(ssrc));
	memset(stream->packet + 12, 0xff, PACKET_BYTES - 12);
	if (side->index == 0 && side->load->suite)
		stream->protect = srtp_context_new((enum srtp_suite)side->load->suite, key);
	int *descriptor = socket_of(side, call);
	if (*descriptor < 0)
		*descriptor = socket_open(&local);
	return *descriptor < 0 ? *descriptor : 0;
}

static int ports_read(struct load *load, const char *path, char **pids)
{
	char text[4][64];
	for (int i = 0; i < 2; i++) {
		FILE *file = fopen(path, "r");
		int error = file ? namespace_enter(pids[i]) : -errno;
		for (unsigned call = 0; !error && call < load->calls; call++)
			error = fscanf(file, "%63s %63s %63s %63s", text[0], text[1], text[2], text[3]) == 4
					? stream_set(&load->sides[i], call, text[2 * i], text[2 * i + 1])
					: -EINVAL;
		if (file)
			fclose(file);
		if (error)
			return error;
	}
	return 0;
}

static int side_prepare(struct load *load, int index)
{
	struct side *side = &load->sides[index];
	side->load = load;
	side->index = index;
	side->other = &load->sides[1 - index];
	for (int i = 0; i < SOCKETS; i++)
		side->sockets[i] = -1;
	side->streams = calloc(load->calls, sizeof(side->streams[0]));
	side->samples = calloc(SAMPLES_MAXIMUM, sizeof(side->samples[0]));
	return side->streams && side->samples ? 0 : -ENOMEM;
}

/* ---- Sending ---- */

static uint64_t real_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The stream's next packet, as it goes out. Returns its length, 0 when it could not be protected. */
static size_t packet_make(struct stream *stream, uint8_t *out, uint64_t now_ns)
{
	uint8_t *packet = stream->packet;
	uint16_t sequence = (uint16_t)++stream->count, sequence_out = htons(sequence);
	uint32_t timestamp = htonl(160 * stream->count);
	size_t length = PACKET_BYTES;
	memcpy(packet + 2, &sequence_out, sizeof(sequence_out));
	memcpy(packet + 4, &timestamp, sizeof(timestamp));
	memcpy(out, packet, PACKET_BYTES);
	__atomic_store_n(&stream->sent_ns[sequence % SENT_KEPT], now_ns, __ATOMIC_RELAXED);
	if (stream->protect && srtp_protect(stream->protect, out, &length) != SRTP_OK)
		return 0;
	return length;
}

static void batch_send(struct side *side, unsigned first, unsigned count)
{
	static __thread uint8_t bytes[BATCH][PACKET_BYTES + SRTP_OVERHEAD_MAXIMUM];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	uint64_t now_ns = side->load->is_stamped ? real_ns() : 0;
	for (unsigned i = 0; i < count; i++) {
		struct stream *stream = &side->streams[first + i];
		parts[i] = (struct iovec){bytes[i], packet_make(stream, bytes[i], now_ns)};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &stream->relay,
						      .msg_namelen = sizeof(stream->relay),
						      .msg_iov = &parts[i],
						      .msg_iovlen = 1};
	}
	for (unsigned done = 0; done < count;) {
		int sent = sendmmsg(*socket_of(side, first), messages + done, count - done, 0);
		side->sent += sent > 0 ? (unsigned)sent : 0;
		side->failed += sent <= 0;
		done += sent > 0 ? (unsigned)sent : 1;
	}
}

/* All that is due and was not sent yet; `turns` packets were. */
static uint64_t send_due(struct side *side, uint64_t turns, uint64_t now_us)
{
	const struct load *load = side->load;
	uint64_t due = (now_us - load->start_us) * load->rate * load->calls / 1000000;
	while (turns < due) {
		unsigned first = (unsigned)(turns % load->calls);
		uint64_t count = BATCH - first % BATCH;
		if (count > load->calls - first)
			count = load->calls - first;
		if (count > due - turns)
			count = due - turns;
		batch_send(side, first, (unsigned)count);
		turns += count;
	}
	return turns;
}

/* ---- Receiving ---- */

static void sample_take(struct side *side, const uint8_t *packet, struct msghdr *message)
{
	struct timespec at;
	uint32_t number;
	memcpy(&number, packet + 8, sizeof(number));
	number = ntohl(number) - side->load->ssrc;
	const struct cmsghdr *control = CMSG_FIRSTHDR(message);
	if (!control || control->cmsg_type != SCM_TIMESTAMPNS || number / 2 >= side->load->calls ||
	    side->sample_count == SAMPLES_MAXIMUM)
		return;
	memcpy(&at, CMSG_DATA(control), sizeof(at));
	const struct stream *stream = &side->other->streams[number / 2];
	unsigned place = (unsigned)(packet[2] << 8 | packet[3]) % SENT_KEPT;
	uint64_t sent_ns = __atomic_load_n(&stream->sent_ns[place], __ATOMIC_RELAXED);
	uint64_t came_ns = (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
	side->samples[side->sample_count++] = came_ns > sent_ns ? (uint32_t)(came_ns - sent_ns) : 0;
}

static size_t size_wanted(const struct side *side)
{
	static const uint8_t tags[SRTP_SUITE_COUNT] = {0, 10, 4, 10, 4, 16, 16}; /* of enum srtp_suite */
	return PACKET_BYTES + (side->index == 0 ? tags[side->load->suite] : 0);
}

static void socket_read(struct side *side, int descriptor, size_t wanted)
{
	static __thread uint8_t bytes[BATCH][512];
	static __thread char controls[BATCH][64];
	struct iovec parts[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	int count;
	do {
		for (int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
			messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i],
							      .msg_iovlen = 1,
							      .msg_control = controls[i],
							      .msg_controllen = sizeof(controls[i])};
		}
		count = recvmmsg(descriptor, messages, BATCH, 0, NULL);
		for (int i = 0; i < count; i++) {
			side->wrong += messages[i].msg_len != wanted;
			if (side->load->is_stamped)
				sample_take(side, bytes[i], &messages[i].msg_hdr);
		}
		side->received += count > 0 ? (unsigned)count : 0;
	} while (count == BATCH);
}

static void sweep(struct side *side)
{
	for (int i = 0; i < SOCKETS; i++)
		if (side->sockets[i] >= 0)
			socket_read(side, side->sockets[i], size_wanted(side));
}

/* ---- A turn ---- */

/* Until the other side, which may be late, has sent all of its own, and for some time after. */
static void drain(struct side *side)
{
	struct load *load = side->load;
	__atomic_add_fetch(&load->done, 1, __ATOMIC_SEQ_CST);
	for (int left = DRAIN_TURNS; left; left--) {
		if (__atomic_load_n(&load->done, __ATOMIC_SEQ_CST) < 2)
			left = DRAIN_TURNS;
		usleep(DRAIN_US / DRAIN_TURNS);
		sweep(side);
	}
}

static void *side_run(void *argument)
{
	struct side *side = argument;
	const struct load *load = side->load;
	uint64_t turns = 0, now_us = load->start_us, swept_us = now_us;
	unsigned step_us = side->sends ? TICK_US : SWEEP_US;
	prctl(PR_SET_TIMERSLACK, 1000UL); /* ns, so that a tick is one */
	while (now_us < load->end_us) {
		if (side->sends)
			turns = send_due(side, turns, now_us);
		if (now_us - swept_us >= SWEEP_US) {
			sweep(side);
			swept_us = now_us;
		}
		uint64_t next_us = now_us - now_us % step_us + step_us;
		now_us = clock_monotonic_us();
		if (now_us < next_us)
			usleep((useconds_t)(next_us - now_us));
		now_us = clock_monotonic_us();
	}
	drain(side);
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* Of both sides' samples, which are put behind the first side's. */
static void delays_print(struct load *load)
{
	struct side *a = &load->sides[0], *b = &load->sides[1];
	uint32_t count = a->sample_count;
	for (uint32_t i = 0; i < b->sample_count && count < SAMPLES_MAXIMUM; i++)
		a->samples[count++] = b->samples[i];
	qsort(a->samples, count, sizeof(a->samples[0]), by_size);
	if (count)
		printf(", \"p50_us\": %.2f, \"p99_us\": %.2f", a->samples[count / 2] / 1e3,
		       a->samples[(uint64_t)count * 99 / 100] / 1e3);
}

static void turn_prepare(struct load *load, unsigned ways, unsigned stamped)
{
	load->is_stamped = stamped != 0;
	load->done = 0;
	for (int i = 0; i < 2; i++) {
		struct side *side = &load->sides[i];
		int on = load->is_stamped;
		side->sends = ways >> i & 1;
		side->sent = side->failed = side->received = side->wrong = side->sample_count = 0;
		for (int j = 0; j < SOCKETS; j++)
			if (side->sockets[j] >= 0)
				setsockopt(side->sockets[j], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	}
}

static int turn(struct load *load, unsigned seconds, unsigned ways, unsigned stamped)
{
	pthread_t threads[2];
	const struct side *a = &load->sides[0], *b = &load->sides[1];
	clock_t cpu = clock();
	turn_prepare(load, ways, stamped);
	load->start_us = clock_monotonic_us();
	load->end_us = load->start_us + UINT64_C(1000000) * seconds;
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, side_run, &load->sides[i]) != 0)
			return -EAGAIN;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("{\"sent\": %llu, \"failed\": %llu, \"received\": %llu, \"wrong_size\": %llu, \"ends_s\": %.4f",
	       (unsigned long long)(a->sent + b->sent), (unsigned long long)(a->failed + b->failed),
	       (unsigned long long)(a->received + b->received), (unsigned long long)(a->wrong + b->wrong),
	       (double)(clock() - cpu) / CLOCKS_PER_SEC);
	if (stamped)
		delays_print(load);
	puts("}");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	char line[64];
	unsigned seconds, ways, stamped;
	if (argc != 7) {
		fprintf(stderr, "rtp_ends PID_A PID_B SUITE_A CALLS RATE PORTS\n");
		return EXIT_FAILURE;
	}
	struct load load = {.suite = (unsigned)strtoul(argv[3], NULL, 10),
			    .calls = (unsigned)strtoul(argv[4], NULL, 10),
			    .rate = (unsigned)strtoul(argv[5], NULL, 10),
			    .ssrc = (uint32_t)getpid() << 13};
	int error = load.suite < SRTP_SUITE_COUNT && load.calls ? 0 : -EINVAL;
	for (int i = 0; !error && i < 2; i++)
		error = side_prepare(&load, i);
	if (!error)
		error = ports_read(&load, argv[6], argv + 1);
	while (!error && fgets(line, sizeof(line), stdin))
		error = sscanf(line, "%u %u %u", &seconds, &ways, &stamped) == 3 ? turn(&load, seconds, ways, stamped)
										 : -EINVAL;
	if (error)
		fprintf(stderr, "rtp_ends: %s\n", strerror(-error));
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
