/* SPDX-License-Identifier: Apache-2.0 */
#include "base/origin.h"

#include <errno.h>

#include "base/address.h"

#define PORT_HTTP 80
#define PORT_HTTPS 443

static bool host_is_name(struct span host)
{
	for (size_t i = 0; i < host.length; i++) {
		char byte = host.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
		      byte == '-' || byte == '.' || byte == '_'))
			return false;
	}
	return host.length > 0;
}

/* The end of "[…]" or of a name, or -1. */
static ptrdiff_t host_end(struct span rest)
{
	struct address address;
	ptrdiff_t end;

	if (!rest.length || *rest.data != '[') {
		end = span_index(rest, ':');
		end = end < 0 ? (ptrdiff_t)rest.length : end;
		return host_is_name(span_slice(rest, 0, (size_t)end)) ? end : -1;
	}
	end = span_index(rest, ']');
	if (end < 0 || address_parse_ip(span_slice(rest, 1, (size_t)end - 1), &address) ||
	    address.family != ADDRESS_IPV6)
		return -1;
	return end + 1;
}

int origin_parse(struct span text, struct origin *out)
{
	bool secure = span_starts_with(text, SPAN("https://"));
	struct span rest = span_slice(text, secure ? 8 : 7, text.length);
	ptrdiff_t end = host_end(rest);
	uint64_t port = secure ? PORT_HTTPS : PORT_HTTP;

	if (text.length > ORIGIN_MAXIMUM_BYTES || (!secure && !span_starts_with(text, SPAN("http://"))) || end < 0)
		return -EINVAL;
	if ((size_t)end < rest.length &&
	    (rest.data[end] != ':' || span_to_uint(span_slice(rest, (size_t)end + 1, rest.length), UINT16_MAX, &port) ||
	     !port))
		return -EINVAL;
	*out = (struct origin){secure, span_slice(rest, 0, (size_t)end), (uint16_t)port};
	return 0;
}

bool origin_equal(const struct origin *a, const struct origin *b)
{
	return a->secure == b->secure && a->port == b->port && span_equal_nocase(a->host, b->host);
}
