/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a description: what parses is written, and what was written parses to the same writing. */
#include <stdlib.h>
#include <string.h>

#include "sdp/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t parse_and_write(struct span text, char *out, size_t capacity, bool must_parse)
{
	static char room[262144];
	struct arena arena = arena_over(room, sizeof(room));
	struct address ours = {.family = ADDRESS_IPV4, .ip = {203, 0, 113, 7}};
	struct sdp_local_stream locals[SDP_STREAMS_MAXIMUM] = {0};
	struct buffer buffer = buffer_over(out, capacity);
	struct sdp_session session;

	if (sdp_parse(text, &arena, &session) != SDP_OK) {
		if (must_parse)
			abort();
		return 0;
	}
	for (uint8_t i = 0; i < session.stream_count; i++) {
		locals[i].rtp = ours;
		locals[i].rtp.port = session.streams[i].port;
		locals[i].protocol = session.streams[i].protocol;
		if (session.streams[i].port) {
			locals[i].crypto_count = session.streams[i].crypto_count;
			for (uint8_t j = 0; j < locals[i].crypto_count; j++)
				locals[i].cryptos[j] = session.streams[i].cryptos[j];
		}
	}
	sdp_write(&buffer, &session, locals, 1, 2, &ours);
	return buffer.overflow ? 0 : buffer.length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char first[SDP_BYTES_MAXIMUM], second[SDP_BYTES_MAXIMUM];
	size_t length = parse_and_write((struct span){(const char *)data, size}, first, sizeof(first), false);

	if (length == 0)
		return 0;
	size_t again = parse_and_write((struct span){first, length}, second, sizeof(second), true);
	if (again != length || memcmp(first, second, length) != 0)
		abort();
	return 0;
}
