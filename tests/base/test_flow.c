/* SPDX-License-Identifier: Apache-2.0
 * Flows: names of transports, and what makes two flows the same way. */
#include "base/flow.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_names(void **state)
{
	enum transport transport;

	(void)state;
	for (int i = 0; i < TRANSPORT_COUNT; i++) {
		assert_int_equal(transport_parse(span_from(transport_name((enum transport)i)), &transport), 0);
		assert_int_equal(transport, i);
	}
	assert_int_equal(transport_parse(SPAN("TLS"), &transport), 0); /* as in Via */
	assert_int_equal(transport, TRANSPORT_TLS);
	assert_int_equal(transport_parse(SPAN("sctp"), &transport), -EINVAL);
	assert_int_equal(transport_parse(SPAN("tl"), &transport), -EINVAL);
	assert_int_equal(transport_parse(SPAN_EMPTY, &transport), -EINVAL);
	assert_string_equal(transport_name(TRANSPORT_COUNT), "unknown");
	assert_string_equal(transport_uri_name(TRANSPORT_WSS, false), "ws"); /* RFC 7118 section 5.2.2 */
	assert_string_equal(transport_uri_name(TRANSPORT_WS, true), "ws");
	assert_string_equal(transport_uri_name(TRANSPORT_TLS, true), "tcp");
	assert_string_equal(transport_uri_name(TRANSPORT_TLS, false), "tls");
	assert_true(transport_is_secure(TRANSPORT_WSS) && !transport_is_secure(TRANSPORT_WS));
}

static void test_properties(void **state)
{
	(void)state;
	assert_false(transport_is_stream(TRANSPORT_UDP));
	assert_true(transport_is_stream(TRANSPORT_TCP));
	assert_true(transport_is_stream(TRANSPORT_TLS));
	assert_false(transport_is_secure(TRANSPORT_UDP));
	assert_false(transport_is_secure(TRANSPORT_TCP));
	assert_true(transport_is_secure(TRANSPORT_TLS));
}

static void test_equal(void **state)
{
	struct flow a = {.transport = TRANSPORT_TCP, .zone = 1, .listener = 2, .connection = 3}, b;

	(void)state;
	assert_int_equal(address_parse(SPAN("192.0.2.1:5060"), &a.local), 0);
	assert_int_equal(address_parse(SPAN("192.0.2.2:49152"), &a.remote), 0);
	b = a;
	b.proven = true; /* what is known of the peer does not make it another way */
	assert_true(flow_equal(&a, &b));
	b = a, b.transport = TRANSPORT_TLS;
	assert_false(flow_equal(&a, &b));
	b = a, b.zone = 2;
	assert_false(flow_equal(&a, &b));
	b = a, b.listener = 1;
	assert_false(flow_equal(&a, &b));
	b = a, b.connection = 4;
	assert_false(flow_equal(&a, &b));
	b = a, b.local.port++;
	assert_false(flow_equal(&a, &b));
	b = a, b.remote.port++;
	assert_false(flow_equal(&a, &b));
	b = a, b.remote.ip[3]++;
	assert_false(flow_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
