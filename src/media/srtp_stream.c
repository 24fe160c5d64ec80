/* SPDX-License-Identifier: Apache-2.0
 * The SSRCs of one direction: indices, roll-over and replay windows (RFC 3711 sections 3.3.1 and 3.3.2). */
#include "media/srtp_private.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

#define STREAMS_AT_FIRST 2

bool srtp_window_admits(const struct srtp_window *window, uint64_t index)
{
	if (srtp_window_is_taken_over(window))
		return index + SRTP_WINDOW_BITS > window->highest;
	if (srtp_window_is_new(window) || index > window->highest)
		return true;
	uint64_t age = window->highest - index;
	return age < SRTP_WINDOW_BITS && !(window->seen[age / 64] >> (age % 64) & 1);
}

void srtp_window_mark(struct srtp_window *window, uint64_t index)
{
	if (!srtp_window_is_new(window) && index <= window->highest) {
		uint64_t age = window->highest - index;
		window->seen[age / 64] |= UINT64_C(1) << (age % 64);
		return;
	}
	uint64_t step = index - window->highest;
	if (srtp_window_is_new(window) || step >= SRTP_WINDOW_BITS) {
		window->seen[0] = window->seen[1] = 0;
	} else if (step >= 64) {
		window->seen[1] = window->seen[0] << (step - 64);
		window->seen[0] = 0;
	} else {
		window->seen[1] = window->seen[1] << step | window->seen[0] >> (64 - step);
		window->seen[0] <<= step;
	}
	window->seen[0] |= 1;
	window->highest = index;
}

/* Somewhere behind `highest`, which was told when it began a half of the sequence space: most likely within that half, or as
 * far into the next as packets came while nobody was here. */
static uint64_t estimate_taken_over(const struct srtp_window *window, uint16_t sequence)
{
	uint64_t middle = window->highest + 0x4000;
	uint64_t index = (middle & ~UINT64_C(0xffff)) | sequence;

	if (index + 0x8000 < middle)
		return index + 0x10000;
	return index >= middle + 0x8000 && index >= 0x10000 ? index - 0x10000 : index;
}

uint64_t srtp_index_estimate(const struct srtp_window *window, uint16_t sequence)
{
	if (srtp_window_is_taken_over(window))
		return estimate_taken_over(window, sequence);
	if (srtp_window_is_new(window))
		return sequence;
	uint64_t roll_over = window->highest >> 16;
	uint16_t last = (uint16_t)window->highest;
	if (last < 0x8000) {
		/* Before the first roll-over there is nothing to go back to: then the source has leapt ahead. */
		if (sequence - last > 0x8000 && roll_over)
			roll_over--;
	} else if (last - 0x8000 > sequence) {
		roll_over++;
	}
	return roll_over << 16 | sequence;
}

struct srtp_stream *srtp_stream_find(struct srtp_context *context, uint32_t ssrc)
{
	if (context->stream_last < context->stream_count && context->streams[context->stream_last].ssrc == ssrc)
		return &context->streams[context->stream_last];
	for (uint32_t i = 0; i < context->stream_count; i++) {
		if (context->streams[i].ssrc == ssrc) {
			context->stream_last = i;
			return &context->streams[i];
		}
	}
	return NULL;
}

struct srtp_stream *srtp_stream_add(struct srtp_context *context, uint32_t ssrc)
{
	if (context->stream_count == context->stream_capacity) {
		uint32_t capacity = context->stream_capacity ? 2 * context->stream_capacity : STREAMS_AT_FIRST;
		if (capacity > SRTP_STREAMS_MAXIMUM)
			return NULL;
		struct srtp_stream *streams = memory_realloc(context->streams, capacity * sizeof(context->streams[0]));
		if (!streams)
			return NULL;
		context->streams = streams;
		context->stream_capacity = capacity;
	}
	context->stream_last = context->stream_count++;
	struct srtp_stream *stream = &context->streams[context->stream_last];
	*stream = (struct srtp_stream){.ssrc = ssrc};
	return stream;
}

static uint32_t half_of(uint64_t index)
{
	return (uint32_t)(index >> 15) + 1;
}

int srtp_roll_over_start(struct srtp_context *context, const struct srtp_roll_over *known, uint8_t count)
{
	for (uint8_t i = 0; i < count; i++) {
		if (!known[i].index || known[i].index >= SRTP_RTP_LIFETIME || srtp_stream_find(context, known[i].ssrc))
			continue;
		struct srtp_stream *stream = srtp_stream_add(context, known[i].ssrc);
		if (!stream)
			return -ENOMEM;
		stream->window[SRTP_KIND_RTP].highest = known[i].index;
		stream->told = half_of(known[i].index);
	}
	return 0;
}

bool srtp_roll_over_changed(const struct srtp_context *context)
{
	return context->is_untold;
}

struct srtp_roll_over srtp_roll_over_take(struct srtp_context *context)
{
	struct srtp_stream *stream = &context->streams[context->stream_last];
	uint64_t highest = stream->window[SRTP_KIND_RTP].highest;

	stream->told = half_of(highest);
	context->is_untold = false;
	return (struct srtp_roll_over){stream->ssrc, highest};
}

void srtp_roll_over_retell(struct srtp_context *context)
{
	for (uint32_t i = 0; i < context->stream_count; i++)
		context->streams[i].told = 0;
}

enum srtp_result srtp_stream_accept(struct srtp_context *context, struct srtp_stream *stream, uint32_t ssrc,
				    enum srtp_kind kind, uint64_t index)
{
	if (!stream)
		stream = srtp_stream_add(context, ssrc);
	if (!stream)
		return SRTP_TOO_MANY;
	srtp_window_mark(&stream->window[kind], index);
	context->packets[kind]++;
	if (kind == SRTP_KIND_RTP)
		context->is_untold = stream->told != half_of(stream->window[kind].highest);
	return SRTP_OK;
}
