/* SPDX-License-Identifier: Apache-2.0
 * Anything as the request that opens a WebSocket: what is taken is whole, printable and the same however it was cut. */
#include <stdlib.h>

#include "base/origin.h"
#include "net/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = {(const char *)data, size};
	struct net_upgrade upgrade, part;
	char text[NET_UPGRADE_ANSWER_BYTES];
	struct buffer out = BUFFER_OVER(text);
	struct origin origin;
	ptrdiff_t length = net_upgrade_parse(bytes, &upgrade);

	if (length < 0) {
		net_upgrade_answer(&out, upgrade.status);
		if (!upgrade.reason || upgrade.status < 400 || out.overflow)
			abort();
		return 0;
	}
	for (size_t i = 0; i < size && (!length || i < (size_t)length); i += 1 + size / 64)
		if (net_upgrade_parse(span_slice(bytes, 0, i), &part))
			abort();
	if (!length)
		return 0;
	net_upgrade_accept(&out, upgrade.key);
	if ((size_t)length > size || length > NET_UPGRADE_MAXIMUM_BYTES || upgrade.key.length != 24 || out.overflow)
		abort();
	if (!origin_parse(upgrade.origin, &origin) && (!origin.host.length || !origin.port))
		abort();
	return 0;
}
