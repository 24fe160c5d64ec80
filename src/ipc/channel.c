/* SPDX-License-Identifier: Apache-2.0
 * Channels: one end of a SOCK_SEQPACKET pair on an event loop, with a bounded queue for a slow peer and
 * descriptors passed along (SCM_RIGHTS, unix(7)). */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "ipc/message.h"

#define QUEUE_MAXIMUM_BYTES (16u << 20)
#define SOON_US 20000                  /* what is sent soon waits no longer */
#define MESSAGES_A_TURN 64             /* then the loop's other events have their turn */
#define DESCRIPTORS_ACCEPTED_MAXIMUM 8 /* only to close what a misbehaving peer sends */

struct packet {
	struct list link;
	int descriptor; /* ours; -1 when none */
	size_t length;
	uint8_t bytes[];
};

struct ipc_channel {
	struct event *readable, *writable, *soon;
	struct ipc_callbacks callbacks;
	struct list queue;
	size_t queued_bytes;
	int descriptor;
	enum ipc_role peer;
	bool in_callback, freed; /* freed by its own callback: the memory goes when that returns */
};

/* One message out. Returns 0 or a negative errno; -EAGAIN when the other end is slow. */
static int packet_send(int socket, const uint8_t *bytes, size_t length, int descriptor)
{
	struct iovec part = {(void *)(uintptr_t)bytes, length};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (descriptor >= 0) {
		message.msg_control = control.space;
		message.msg_controllen = sizeof(control.space);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
	}
	while (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return -EAGAIN;
		return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
	}
	return 0;
}

static void packet_free(struct ipc_channel *channel, struct packet *packet)
{
	list_remove(&packet->link);
	channel->queued_bytes -= sizeof(*packet) + packet->length;
	if (packet->descriptor >= 0)
		close(packet->descriptor);
	memory_free_secret(packet, sizeof(*packet) + packet->length);
}

static int packet_queue(struct ipc_channel *channel, const uint8_t *bytes, size_t length, int descriptor)
{
	size_t size = sizeof(struct packet) + length;
	struct packet *packet;

	if (channel->queued_bytes + size > QUEUE_MAXIMUM_BYTES)
		return -ENOBUFS;
	packet = memory_alloc(size);
	if (!packet)
		return -ENOBUFS;
	packet->descriptor = -1;
	if (descriptor >= 0) {
		packet->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
		if (packet->descriptor < 0) {
			memory_free(packet);
			return -ENOBUFS;
		}
	}
	packet->length = length;
	memcpy(packet->bytes, bytes, length);
	list_append(&channel->queue, &packet->link);
	channel->queued_bytes += size;
	return 0;
}

static void queue_watch_end(struct ipc_channel *channel)
{
	event_del(channel->writable);
	event_del(channel->soon);
}

static void queue_drop(struct ipc_channel *channel)
{
	list_each(link, &channel->queue)
		packet_free(channel, list_object(link, struct packet, link));
}

/* Sends from the queue what can be sent without waiting. Returns 0 when it is empty, -EAGAIN, or -EPIPE: a dead peer's
 * queue is dropped; reading tells its end. */
static int queue_flush(struct ipc_channel *channel)
{
	list_each(link, &channel->queue) {
		struct packet *packet = list_object(link, struct packet, link);
		int error = packet_send(channel->descriptor, packet->bytes, packet->length, packet->descriptor);

		if (error == -EAGAIN)
			return error;
		if (error) {
			queue_drop(channel);
			queue_watch_end(channel);
			return -EPIPE;
		}
		packet_free(channel, packet);
	}
	queue_watch_end(channel);
	return 0;
}

static void on_writable(evutil_socket_t socket, short what, void *context)
{
	struct ipc_channel *channel = context;

	(void)socket;
	(void)what;
	if (queue_flush(channel) == -EAGAIN)
		event_add(channel->writable, NULL);
}

/* At once where the other end takes it, or else, and with `delay`, later. */
static int send_or_queue(struct ipc_channel *channel, const struct ipc_message *message, const struct timeval *delay)
{
	uint8_t bytes[IPC_MESSAGE_MAXIMUM];
	ptrdiff_t length;
	int error = -EAGAIN;

	if (channel->freed || channel->descriptor < 0)
		return -EPIPE;
	if ((message->descriptor >= 0) != ipc_type_has_descriptor(message->type))
		return -EINVAL;
	length = ipc_encode(message, bytes, sizeof(bytes));
	if (length < 0)
		return (int)length;

	/* What was to be sent soon goes with it; behind a slow reader's queue it waits. */
	if (!delay && !event_pending(channel->writable, EV_WRITE, NULL))
		error = list_is_empty(&channel->queue) ? 0 : queue_flush(channel);
	if (!error)
		error = packet_send(channel->descriptor, bytes, (size_t)length, message->descriptor);
	if (error == -EAGAIN) {
		error = packet_queue(channel, bytes, (size_t)length, message->descriptor);
		if (!delay)
			event_add(channel->writable, NULL);
		else if (!event_pending(channel->soon, EV_TIMEOUT, NULL))
			event_add(channel->soon, delay);
	}
	memory_wipe(bytes, (size_t)length);
	return error;
}

int ipc_send(struct ipc_channel *channel, const struct ipc_message *message)
{
	return send_or_queue(channel, message, NULL);
}

int ipc_send_soon(struct ipc_channel *channel, const struct ipc_message *message)
{
	static const struct timeval delay = {.tv_usec = SOON_US};

	return send_or_queue(channel, message, &delay);
}

/* Takes the descriptors out of a received message. Returns how many there were; only the first is kept. */
static unsigned descriptors_take(struct msghdr *message, int *first)
{
	unsigned count = 0;

	*first = -1;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= part->cmsg_len; at += sizeof(int)) {
			int descriptor;

			memcpy(&descriptor, CMSG_DATA(part) + at, sizeof(int));
			if (count++ == 0)
				*first = descriptor;
			else
				close(descriptor);
		}
	}
	return count;
}

/* One message in. Returns 1 with *message filled in; 0: nothing there; -EPIPE: the end; -EPROTO: misbehaviour. */
static int message_receive(struct ipc_channel *channel, struct ipc_message *message)
{
	uint8_t bytes[IPC_MESSAGE_MAXIMUM];
	struct iovec part = {bytes, sizeof(bytes)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(DESCRIPTORS_ACCEPTED_MAXIMUM * sizeof(int))];
	} control;
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(channel->descriptor, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int error = -EPROTO, descriptor;
	unsigned count;

	/* ECONNRESET only says that the other end left something unread; what it sent before is still to be had. */
	if (length < 0)
		return errno == EAGAIN || errno == EINTR || errno == ECONNRESET ? 0 : -EPIPE;
	if (length == 0)
		return -EPIPE;

	count = descriptors_take(&header, &descriptor);
	if (!(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		error = ipc_decode(bytes, (size_t)length, channel->peer, message);
	if (!error && count != (ipc_type_has_descriptor(message->type) ? 1u : 0u))
		error = -EPROTO;
	memory_wipe(bytes, (size_t)length);
	if (error) {
		if (descriptor >= 0)
			close(descriptor);
		return error;
	}
	message->descriptor = descriptor;
	return 1;
}

static void channel_release(struct ipc_channel *channel)
{
	event_free(channel->readable);
	event_free(channel->writable);
	event_free(channel->soon);
	memory_free(channel);
}

/* No more reading or writing; the owner hears of it, and frees. */
static void channel_end(struct ipc_channel *channel, int error)
{
	if (error == -EPROTO)
		log_write(LOG_ERROR, "ipc", "the %s role sent a malformed or forbidden message: its channel ends",
			  ipc_role_name(channel->peer));
	queue_drop(channel);
	event_del(channel->readable);
	queue_watch_end(channel);
	close(channel->descriptor);
	channel->descriptor = -1;
	channel->callbacks.closed(channel->callbacks.context, channel);
}

static void on_readable(evutil_socket_t socket, short what, void *context)
{
	struct ipc_channel *channel = context;
	struct ipc_message message;

	(void)socket;
	(void)what;
	channel->in_callback = true;
	for (int i = 0; i < MESSAGES_A_TURN && !channel->freed; i++) {
		int result = message_receive(channel, &message);

		if (result == 0)
			break;
		if (result < 0) {
			channel_end(channel, result);
			break;
		}
		channel->callbacks.message(channel->callbacks.context, channel, &message);
		ipc_message_wipe(&message);
	}
	channel->in_callback = false;
	if (channel->freed)
		channel_release(channel);
}

struct ipc_channel *ipc_channel_new(struct event_base *loop, int descriptor, enum ipc_role peer,
				    const struct ipc_callbacks *callbacks)
{
	struct ipc_channel *channel = memory_alloc(sizeof(*channel));

	if (!channel)
		goto failed;
	channel->readable = event_new(loop, descriptor, EV_READ | EV_PERSIST, on_readable, channel);
	channel->writable = event_new(loop, descriptor, EV_WRITE | EV_PERSIST, on_writable, channel);
	channel->soon = evtimer_new(loop, on_writable, channel);
	if (!channel->readable || !channel->writable || !channel->soon || event_add(channel->readable, NULL) < 0)
		goto failed;
	list_init(&channel->queue);
	channel->descriptor = descriptor;
	channel->peer = peer;
	channel->callbacks = *callbacks;
	return channel;
failed:
	if (channel && channel->readable)
		event_free(channel->readable);
	if (channel && channel->writable)
		event_free(channel->writable);
	if (channel && channel->soon)
		event_free(channel->soon);
	memory_free(channel);
	close(descriptor);
	return NULL;
}

void ipc_channel_free(struct ipc_channel *channel)
{
	if (!channel || channel->freed)
		return;
	if (channel->descriptor >= 0) {
		queue_flush(channel);
		queue_drop(channel);
		event_del(channel->readable);
		queue_watch_end(channel);
		close(channel->descriptor);
		channel->descriptor = -1;
	}
	channel->freed = true;
	if (!channel->in_callback)
		channel_release(channel);
}

int ipc_drain(struct ipc_channel *channel, uint32_t timeout_ms)
{
	uint64_t deadline_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;

	while (!channel->freed && channel->descriptor >= 0) {
		struct pollfd ready = {channel->descriptor, POLLOUT, 0};
		uint64_t now_us = clock_monotonic_us();
		int error = queue_flush(channel);

		if (error != -EAGAIN)
			return error;
		if (now_us >= deadline_us)
			return -ETIMEDOUT;
		poll(&ready, 1, (int)((deadline_us - now_us + 999) / 1000));
	}
	return -EPIPE;
}

int ipc_channel_descriptor(const struct ipc_channel *channel)
{
	return channel->descriptor;
}

enum ipc_role ipc_channel_peer(const struct ipc_channel *channel)
{
	return channel->peer;
}

int ipc_pair(int descriptors[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, descriptors) < 0 ? -errno : 0;
}
