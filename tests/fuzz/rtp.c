/* SPDX-License-Identifier: Apache-2.0
 * Anything as RTP and as RTCP: what the parsers say must lie within the packet. */
#include <stdlib.h>

#include "media/media.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rtp_header header;
	if (rtp_parse(data, size, &header) == 0 &&
	    (header.payload_offset > size || header.payload_length > size - header.payload_offset))
		abort();
	if (rtcp_check(data, size) == 0 && !rtcp_is(data, size))
		abort();
	return 0;
}
