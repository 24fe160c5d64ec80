/* SPDX-License-Identifier: Apache-2.0
 * AF_XDP at work; see relay_xdp.h. */
#include "media/relay_xdp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

#define RECEIVE_MAXIMUM 256 /* packets of one socket a turn */
#define SEND_ATTEMPTS 64    /* the kernel takes some dozens of packets with each call */
#define AHEAD 2             /* packets whose memory is fetched while the one before is looked at */

/* A queue's empty frames: given to the kernel, and taken back when they were sent. */
struct frame_queue {
	struct ring fill, complete;
};

struct relay_xdp {
	uint8_t *frames;
	size_t frames_bytes;
	uint32_t entries, flow_count;
	struct bpf_socket *sockets; /* all workers' */
	uint32_t socket_count;
	/* shared */
	pthread_mutex_t lock;
	struct frame_queue *queues;
	uint32_t queue_count;
	uint64_t *empty; /* frames that are in no ring */
	uint32_t empty_count;
};

struct xdp_socket {
	struct ring receive, send;
	int descriptor;
	uint8_t device;
	bool has_sent;
	bool is_dead; /* its interface is gone */
};

struct relay_xdp_worker {
	struct relay_xdp *shared;
	struct relay_side **sides; /* by flow */
	struct xdp_socket *sockets;
	uint32_t socket_count;
	struct xdp_socket *by_device[DATAPATH_DEVICES_MAXIMUM]; /* one of those that send there */
	uint64_t *emptied;                                      /* frames to give back */
	uint32_t emptied_count;
};

/* ---- Shared: frames ---- */

static uint64_t frame_of(uint64_t at)
{
	return at & ~(uint64_t)(RING_FRAME_BYTES - 1);
}

static void queue_exchange(struct relay_xdp *xdp, struct frame_queue *queue)
{
	uint32_t sent = ring_waiting(&queue->complete), room = ring_room(&queue->fill);
	for (uint32_t i = 0; i < sent; i++)
		xdp->empty[xdp->empty_count++] = frame_of(ring_frame(&queue->complete, i));
	ring_release(&queue->complete, sent);
	if (room > xdp->empty_count)
		room = xdp->empty_count;
	for (uint32_t i = 0; i < room; i++)
		*ring_frame_place(&queue->fill, i) = xdp->empty[--xdp->empty_count];
	ring_submit(&queue->fill, room);
}

/* Once for all that a turn has emptied. */
static void frames_exchange(struct relay_xdp_worker *own)
{
	struct relay_xdp *xdp = own->shared;
	pthread_mutex_lock(&xdp->lock);
	memcpy(xdp->empty + xdp->empty_count, own->emptied, own->emptied_count * sizeof(own->emptied[0]));
	xdp->empty_count += own->emptied_count;
	for (uint32_t i = 0; i < xdp->queue_count; i++)
		queue_exchange(xdp, &xdp->queues[i]);
	pthread_mutex_unlock(&xdp->lock);
	own->emptied_count = 0;
}

/* ---- Making ---- */

static int frames_map(struct relay_xdp *xdp, int frames)
{
	struct stat about;
	if (fstat(frames, &about) != 0 || about.st_size <= 0)
		return -EINVAL;
	void *memory = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, frames, 0);
	if (memory == MAP_FAILED)
		return -errno;
	xdp->frames = memory;
	xdp->frames_bytes = (size_t)about.st_size;
	uint32_t count = (uint32_t)(xdp->frames_bytes / RING_FRAME_BYTES);
	xdp->empty = memory_alloc(count * sizeof(xdp->empty[0]));
	for (uint32_t i = 0; xdp->empty && i < count; i++)
		xdp->empty[xdp->empty_count++] = (uint64_t)i * RING_FRAME_BYTES;
	return xdp->empty ? 0 : -ENOMEM;
}

static int queue_map(struct relay_xdp *xdp, const struct bpf_socket *socket)
{
	struct frame_queue *queue = &xdp->queues[xdp->queue_count++];
	int error = ring_open(&queue->fill, socket->descriptor, RING_FILL, xdp->entries);
	if (!error)
		error = ring_open(&queue->complete, socket->descriptor, RING_COMPLETE, xdp->entries);
	if (!error)
		queue_exchange(xdp, queue);
	return error;
}

static int sockets_keep(struct relay_xdp *xdp, const struct bpf_sockets *sockets)
{
	xdp->sockets = memory_alloc(sockets->count * sizeof(xdp->sockets[0]));
	xdp->queues = memory_alloc(sockets->count * sizeof(xdp->queues[0]));
	if (!xdp->sockets || !xdp->queues)
		return -ENOMEM;
	int error = 0;
	for (uint32_t i = 0; i < sockets->count && !error; i++) {
		struct bpf_socket *kept = &xdp->sockets[i];
		*kept = sockets->list[i];
		kept->descriptor = fcntl(kept->descriptor, F_DUPFD_CLOEXEC, 3);
		if (kept->descriptor < 0 || kept->device >= DATAPATH_DEVICES_MAXIMUM)
			return -EINVAL;
		xdp->socket_count++;
		if (kept->worker == 0)
			error = queue_map(xdp, kept);
	}
	return error;
}

struct relay_xdp *relay_xdp_new(const struct bpf_sockets *sockets, uint32_t flow_count)
{
	bool is_power = sockets->entries && !(sockets->entries & (sockets->entries - 1));
	struct relay_xdp *xdp = sockets->count && is_power ? memory_alloc(sizeof(*xdp)) : NULL;
	if (!xdp)
		return NULL;
	pthread_mutex_init(&xdp->lock, NULL);
	xdp->entries = sockets->entries;
	xdp->flow_count = flow_count;
	if (frames_map(xdp, sockets->frames) == 0 && sockets_keep(xdp, sockets) == 0)
		return xdp;
	relay_xdp_free(xdp);
	return NULL;
}

void relay_xdp_free(struct relay_xdp *xdp)
{
	if (!xdp)
		return;
	for (uint32_t i = 0; i < xdp->queue_count; i++) {
		ring_close(&xdp->queues[i].fill);
		ring_close(&xdp->queues[i].complete);
	}
	for (uint32_t i = 0; i < xdp->socket_count; i++)
		close(xdp->sockets[i].descriptor);
	if (xdp->frames)
		munmap(xdp->frames, xdp->frames_bytes);
	pthread_mutex_destroy(&xdp->lock);
	memory_free(xdp->empty);
	memory_free(xdp->queues);
	memory_free(xdp->sockets);
	memory_free(xdp);
}

static int socket_use(struct relay_xdp_worker *own, struct relay_worker *worker, const struct bpf_socket *from)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = worker};
	struct xdp_socket *socket = &own->sockets[own->socket_count++];
	socket->descriptor = from->descriptor;
	socket->device = from->device;
	int error = ring_open(&socket->receive, from->descriptor, RING_RECEIVE, own->shared->entries);
	if (!error)
		error = ring_open(&socket->send, from->descriptor, RING_SEND, own->shared->entries);
	if (!error && epoll_ctl(worker->epoll, EPOLL_CTL_ADD, from->descriptor, &event) != 0)
		error = -errno;
	if (!own->by_device[from->device])
		own->by_device[from->device] = socket;
	return error;
}

struct relay_xdp_worker *relay_xdp_worker_new(struct relay_xdp *xdp, struct relay_worker *worker, uint32_t number)
{
	struct relay_xdp_worker *own = memory_alloc(sizeof(*own));
	if (!own)
		return NULL;
	own->shared = xdp;
	own->sides = memory_alloc(xdp->flow_count * sizeof(struct relay_side *));
	own->sockets = memory_alloc(xdp->socket_count * sizeof(own->sockets[0]));
	own->emptied = memory_alloc(xdp->frames_bytes / RING_FRAME_BYTES * sizeof(own->emptied[0]));
	int error = own->sides && own->sockets && own->emptied ? 0 : -ENOMEM;
	worker->xdp = own;
	for (uint32_t i = 0; i < xdp->socket_count && !error; i++)
		if (xdp->sockets[i].worker == number)
			error = socket_use(own, worker, &xdp->sockets[i]);
	if (!error && own->socket_count)
		return own;
	worker->xdp = NULL;
	relay_xdp_worker_free(own);
	return NULL;
}

void relay_xdp_worker_free(struct relay_xdp_worker *own)
{
	if (!own)
		return;
	for (uint32_t i = 0; i < own->socket_count; i++) {
		ring_close(&own->sockets[i].receive);
		ring_close(&own->sockets[i].send);
	}
	memory_free(own->emptied);
	memory_free(own->sockets);
	memory_free((void *)own->sides);
	memory_free(own);
}

void relay_xdp_side_set(struct relay_worker *worker, uint32_t flow, struct relay_side *side)
{
	if (worker->xdp && flow < worker->xdp->shared->flow_count)
		worker->xdp->sides[flow] = side;
}

void relay_xdp_side_clear(struct relay_worker *worker, uint32_t flow, const struct relay_side *side)
{
	if (worker->xdp && flow < worker->xdp->shared->flow_count && worker->xdp->sides[flow] == side)
		worker->xdp->sides[flow] = NULL;
}

/* ---- Headers: bytes in network order, at whatever alignment ---- */

#define ETHERNET_BYTES 14
#define ETHERNET_TYPE 12 /* offsets */
#define IPV4_BYTES 20
#define IPV4_LENGTH 2
#define IPV4_CHECK 10
#define IPV4_ADDRESSES 12
#define IPV6_BYTES 40
#define IPV6_LENGTH 4
#define IPV6_ADDRESSES 8
#define UDP_BYTES 8
#define UDP_LENGTH 4
#define UDP_CHECK 6

struct headers {
	uint8_t *ip, *udp;
	bool is_ipv6;
};

static uint16_t get(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static bool headers_find(uint8_t *frame, size_t length, struct headers *headers)
{
	uint16_t type = length > ETHERNET_BYTES ? get(frame + ETHERNET_TYPE) : 0;
	headers->is_ipv6 = type == ETH_P_IPV6;
	headers->ip = frame + ETHERNET_BYTES;
	headers->udp = headers->ip + (headers->is_ipv6 ? IPV6_BYTES : IPV4_BYTES);
	return (type == ETH_P_IP || type == ETH_P_IPV6) && headers->udp + UDP_BYTES < frame + length &&
	       headers->udp + get(headers->udp + UDP_LENGTH) == frame + length;
}

/* The Internet checksum (RFC 1071), in the machine's order. */
static uint64_t sum_add(uint64_t sum, const uint8_t *bytes, size_t length)
{
	for (uint64_t word = 0; length; word = 0) {
		size_t step = length < sizeof(word) ? length : sizeof(word);
		memcpy(&word, bytes, step);
		sum += word;
		sum += sum < word; /* the carry comes back in */
		bytes += step;
		length -= step;
	}
	return sum;
}

static uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Over addresses, header with its checksum, and payload (RFC 768, RFC 8200 section 8.1). */
static uint16_t udp_sum(const struct headers *headers)
{
	uint16_t length = get(headers->udp + UDP_LENGTH);
	uint64_t sum = (uint64_t)htons(IPPROTO_UDP) + htons(length);
	if (headers->is_ipv6)
		sum = sum_add(sum, headers->ip + IPV6_ADDRESSES, 32);
	else
		sum = sum_add(sum, headers->ip + IPV4_ADDRESSES, 8);
	return sum_fold(sum_add(sum, headers->udp, length));
}

/* No network stack has looked at it; the program has kept its sum true. Without one is IPv4's privilege. */
static bool sum_is_right(const struct headers *headers)
{
	return get(headers->udp + UDP_CHECK) ? udp_sum(headers) == 0xffff : !headers->is_ipv6;
}

static void sum_write(uint8_t *at, uint16_t sum)
{
	memcpy(at, &sum, sizeof(sum));
}

static void lengths_write(const struct headers *headers, size_t payload)
{
	put(headers->udp + UDP_LENGTH, UDP_BYTES + payload);
	if (headers->is_ipv6) {
		put(headers->ip + IPV6_LENGTH, UDP_BYTES + payload);
	} else {
		put(headers->ip + IPV4_LENGTH, IPV4_BYTES + UDP_BYTES + payload);
		put(headers->ip + IPV4_CHECK, 0);
		sum_write(headers->ip + IPV4_CHECK, (uint16_t)~sum_fold(sum_add(0, headers->ip, IPV4_BYTES)));
	}
	put(headers->udp + UDP_CHECK, 0);
	uint16_t sum = (uint16_t)~udp_sum(headers);
	sum_write(headers->udp + UDP_CHECK, sum ? sum : 0xffff);
}

/* ---- In ---- */

static void source_write(const struct datapath_note *note, bool is_ipv6, union relay_sockaddr *source)
{
	memset(source, 0, sizeof(*source));
	if (!is_ipv6) {
		source->ipv4.sin_family = AF_INET;
		source->ipv4.sin_port = note->source_port;
		memcpy(&source->ipv4.sin_addr, note->source_ip, sizeof(source->ipv4.sin_addr));
	} else {
		source->ipv6.sin6_family = AF_INET6;
		source->ipv6.sin6_port = note->source_port;
		memcpy(&source->ipv6.sin6_addr, note->source_ip, sizeof(source->ipv6.sin6_addr));
	}
}

static bool flow_is_unchanged(const struct relay_side *side, uint32_t generation)
{
	return side->flow && __atomic_load_n(&side->flow->generation, __ATOMIC_RELAXED) == generation;
}

/* False: its frame is empty again. */
static bool packet_take(const struct relay_xdp_worker *own, const struct xdp_desc *what, struct relay_passage *passage)
{
	const struct relay_xdp *xdp = own->shared;
	uint8_t *frame = xdp->frames + what->addr;
	const struct datapath_note *note = (const struct datapath_note *)frame - 1;
	struct relay_side *side = note->flow < xdp->flow_count ? own->sides[note->flow] : NULL;
	struct headers headers;
	if (!side || !headers_find(frame, what->len, &headers) || !sum_is_right(&headers))
		return false;
	size_t used = what->addr % RING_FRAME_BYTES + what->len;
	if (used + SRTP_OVERHEAD_MAXIMUM > RING_FRAME_BYTES)
		return false;
	passage->from = &side->ports[0];
	passage->packet = headers.udp + UDP_BYTES;
	passage->length = (size_t)get(headers.udp + UDP_LENGTH) - UDP_BYTES;
	passage->frame = frame;
	passage->device = note->device;
	passage->generation = note->generation;
	passage->is_rtcp = passage->is_proven = passage->is_taken = false;
	passage->is_checked = side->ports[0].locked && flow_is_unchanged(side, note->generation);
	if (!passage->is_checked)
		source_write(note, headers.is_ipv6, &passage->source);
	return true;
}

static void frame_empty(struct relay_xdp_worker *own, const uint8_t *frame)
{
	own->emptied[own->emptied_count++] = frame_of((uint64_t)(frame - own->shared->frames));
}

/* What the n-th packet needs, if there is one: first its head, then the side that it names. */
static void prefetch(const struct relay_xdp_worker *own, const struct ring *ring, uint32_t n, uint32_t count)
{
	if (n + AHEAD < count)
		relay_prefetch(own->shared->frames + ring_packet(ring, n + AHEAD)->addr - CACHE_LINE_BYTES,
			       2 * CACHE_LINE_BYTES);
	if (n + 1 >= count)
		return;
	const uint8_t *frame = own->shared->frames + ring_packet(ring, n + 1)->addr;
	uint32_t flow = ((const struct datapath_note *)frame - 1)->flow;
	if (flow < own->shared->flow_count && own->sides[flow])
		relay_prefetch(own->sides[flow], RELAY_SIDE_HOT_BYTES);
}

static void socket_receive(struct relay_worker *worker, struct xdp_socket *socket)
{
	struct relay_xdp_worker *own = worker->xdp;
	uint32_t count = ring_waiting(&socket->receive);
	if (count > RECEIVE_MAXIMUM)
		count = RECEIVE_MAXIMUM;
	for (uint32_t i = 0; i < count; i++) {
		const struct xdp_desc *what = ring_packet(&socket->receive, i);
		prefetch(own, &socket->receive, i, count);
		if (!packet_take(own, what, &worker->passages[worker->passage_count]))
			frame_empty(own, own->shared->frames + what->addr);
		else if (++worker->passage_count == RELAY_BATCH)
			relay_batch_relay(worker);
	}
	ring_release(&socket->receive, count);
	worker->window_packets += count;
}

/* ---- Out ---- */

bool relay_xdp_send(struct relay_worker *worker, struct relay_passage *passage)
{
	struct relay_xdp_worker *own = worker->xdp;
	struct relay_side *from = passage->from->side;
	struct xdp_socket *socket = passage->device < DATAPATH_DEVICES_MAXIMUM ? own->by_device[passage->device] : NULL;
	if (!socket || socket->is_dead || passage->to->is_rtcp || !flow_is_unchanged(from, passage->generation) ||
	    !ring_room(&socket->send))
		return false;
	size_t before = (size_t)(passage->packet - passage->frame);
	lengths_write(&(struct headers){.ip = passage->frame + ETHERNET_BYTES,
					.udp = passage->packet - UDP_BYTES,
					.is_ipv6 = get(passage->frame + ETHERNET_TYPE) == ETH_P_IPV6},
		      passage->length);
	*ring_packet_place(&socket->send, 0) = (struct xdp_desc){
		.addr = (uint64_t)(passage->frame - own->shared->frames), .len = (uint32_t)(before + passage->length)};
	ring_submit(&socket->send, 1);
	socket->has_sent = true;
	passage->frame = NULL; /* the kernel's, until it comes back by COMPLETE */
	return true;
}

void relay_xdp_done(struct relay_worker *worker, struct relay_passage *passage)
{
	if (passage->frame)
		frame_empty(worker->xdp, passage->frame);
	passage->frame = NULL;
}

/* Until the kernel has taken all, or cannot for now. */
static void socket_flush(struct xdp_socket *socket)
{
	for (int i = 0; socket->has_sent && !socket->is_dead && i < SEND_ATTEMPTS; i++) {
		bool is_taken = sendto(socket->descriptor, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0;
		if (!is_taken && (errno == ENETDOWN || errno == ENXIO || errno == EBADF))
			socket->is_dead = true;
		if (is_taken || errno != EAGAIN)
			socket->has_sent = ring_waiting(&socket->send) > 0;
	}
}

void relay_xdp_error(struct relay_worker *worker)
{
	for (uint32_t i = 0; i < worker->xdp->socket_count; i++) {
		struct xdp_socket *socket = &worker->xdp->sockets[i];
		int error = 0;
		socklen_t length = sizeof(error);
		if (getsockopt(socket->descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error)
			socket->is_dead = true;
	}
}

bool relay_xdp_settle(struct relay_worker *worker)
{
	struct relay_xdp_worker *own = worker->xdp;
	bool waits = false;
	for (uint32_t i = 0; i < own->socket_count; i++) {
		socket_flush(&own->sockets[i]);
		waits = waits || (own->sockets[i].has_sent && !own->sockets[i].is_dead);
	}
	frames_exchange(own);
	return waits;
}

void relay_xdp_receive(struct relay_worker *worker)
{
	struct relay_xdp_worker *own = worker->xdp;
	for (uint32_t i = 0; i < own->socket_count; i++)
		socket_receive(worker, &own->sockets[i]);
	relay_batch_relay(worker);
}
