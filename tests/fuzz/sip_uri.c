/* SPDX-License-Identifier: Apache-2.0
 * URIs, addresses, lists and parameters. A URI equals itself, and one part of it is found where it says. */
#include <stdlib.h>

#include "sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parameters_walk(struct span rest)
{
	struct span name, value;
	size_t before = rest.length;

	while (sip_parameter_next(&rest, &name, &value)) {
		if (rest.length >= before || !name.length)
			abort();
		before = rest.length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = {(const char *)data, size}, rest = text, element;
	struct sip_address address;
	struct sip_uri uri;
	char user[64];

	if (sip_uri_parse(text, &uri) == SIP_OK) {
		if (!sip_uri_equal(&uri, &uri) || !sip_user_equal(uri.user, uri.user))
			abort();
		sip_user_decode(uri.user, user, sizeof(user));
		parameters_walk(uri.parameters);
	}
	if (sip_address_parse(text, &address) == SIP_OK)
		parameters_walk(address.parameters);
	while (sip_list_next(&rest, &element)) {
		if (!element.length)
			abort();
		sip_address_parse(element, &address);
	}
	parameters_walk(text);
	return 0;
}
