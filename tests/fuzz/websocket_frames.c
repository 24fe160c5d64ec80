/* SPDX-License-Identifier: Apache-2.0
 * Anything as frames of a WebSocket: no message is longer than it may be, and all at once says the same as byte by byte. */
#include <stdlib.h>

#include "net/frames.h"

#define MESSAGE_MAXIMUM_BYTES 300
#define EVENTS_MAXIMUM 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	uint32_t events;
	uint64_t sum; /* of what was said, in its order */
	bool over;
};

static void listen_to(struct net_frames *frames, struct span bytes, struct heard *heard)
{
	enum net_frames_event event;
	struct span payload;
	uint16_t code = 0;

	net_frames_give(frames, bytes);
	while (!heard->over) {
		payload = SPAN_EMPTY;
		event = net_frames_next(frames, &payload, &code);
		if (event == NET_FRAMES_MORE)
			return;
		heard->over = event == NET_FRAMES_WRONG || event == NET_FRAMES_CLOSE;
		if (!heard->over &&
		    payload.length > (event == NET_FRAMES_MESSAGE ? MESSAGE_MAXIMUM_BYTES : NET_CONTROL_MAXIMUM_BYTES))
			abort();
		heard->sum = heard->sum * 31 + (uint64_t)event + (heard->over ? code : 0);
		for (size_t i = 0; i < payload.length && !heard->over; i++)
			heard->sum = heard->sum * 31 + (uint8_t)payload.data[i];
		heard->events++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net_frames *whole = net_frames_new(MESSAGE_MAXIMUM_BYTES),
			  *bytewise = net_frames_new(MESSAGE_MAXIMUM_BYTES);
	struct heard heard[2] = {{0}};

	if (!whole || !bytewise || size > EVENTS_MAXIMUM)
		goto out;
	listen_to(whole, (struct span){(const char *)data, size}, &heard[0]);
	for (size_t i = 0; i < size; i++)
		listen_to(bytewise, (struct span){(const char *)data + i, 1}, &heard[1]);
	if (heard[0].events != heard[1].events || heard[0].sum != heard[1].sum ||
	    (!heard[0].over && net_frames_midway(whole) != net_frames_midway(bytewise)))
		abort();
out:
	net_frames_free(whole);
	net_frames_free(bytewise);
	return 0;
}
