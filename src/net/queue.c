/* SPDX-License-Identifier: Apache-2.0
 * Bytes that wait to be sent or to become a whole message. */
#include <errno.h>
#include <string.h>

#include "net/private.h"

#define QUEUE_FIRST_BYTES 1024

/* Moves what waits to the front, in memory that holds `needed` bytes. */
static int queue_make_room(struct net_queue *queue, size_t needed)
{
	size_t capacity = queue->capacity ? queue->capacity : QUEUE_FIRST_BYTES;
	char *data;

	if (queue->start) {
		memmove(queue->data, queue->data + queue->start, queue->length);
		queue->start = 0;
	}
	if (needed <= queue->capacity)
		return 0;
	while (capacity < needed)
		capacity *= 2;
	data = memory_realloc(queue->data, capacity);
	if (!data)
		return -ENOMEM;
	queue->data = data;
	queue->capacity = (uint32_t)capacity;
	return 0;
}

int net_queue_append(struct net_queue *queue, struct span bytes, size_t maximum)
{
	size_t needed = queue->length + bytes.length;

	if (needed > maximum || needed > UINT32_MAX / 2)
		return -ENOBUFS;
	if (!bytes.length)
		return 0;
	if (queue->start + needed > queue->capacity && queue_make_room(queue, needed))
		return -ENOMEM;
	memcpy(queue->data + queue->start + queue->length, bytes.data, bytes.length);
	queue->length = (uint32_t)needed;
	return 0;
}

void net_queue_drop(struct net_queue *queue, size_t length)
{
	if (length >= queue->length) {
		net_queue_clear(queue);
		return;
	}
	queue->start += (uint32_t)length;
	queue->length -= (uint32_t)length;
}

void net_queue_clear(struct net_queue *queue)
{
	/* Messages hold keys (SDES), so they are not left behind in the heap. */
	memory_free_secret(queue->data, queue->capacity);
	*queue = (struct net_queue){0};
}
