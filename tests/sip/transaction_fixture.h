/* SPDX-License-Identifier: Apache-2.0
 * What the transaction tests share: a clock turned by hand, and everything the layer does written down as one
 * line of text, each event with its time in milliseconds: "0:send INVITE 500:send INVITE 32000:failed timeout". */
#ifndef TRANSACTION_FIXTURE_H
#define TRANSACTION_FIXTURE_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sip/sip.h"

#define START_US 1000000000ull

struct fixture {
	struct timer_wheel *wheel;
	struct sip_transactions *layer;
	uint64_t now_us, zero_us, seed;
	char events[8192];
	size_t events_length;
	char sent[4096]; /* the last message */
	struct flow sent_flow;
	int send_error;
	struct sip_server_transaction *server; /* the last one begun */
	struct flow flow;
	uint16_t answer_at_once; /* status to answer new requests with, in the callback */
	struct sip_message message;
	char text[4096], arena[16384];
};

static void fixture_log(struct fixture *fixture, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fixture_log(struct fixture *fixture, const char *format, ...)
{
	struct buffer out = buffer_over(fixture->events, sizeof(fixture->events));
	char line[100];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	out.length = fixture->events_length;
	buffer_printf(&out, "%s%llu:%s", out.length ? " " : "",
		      (unsigned long long)(fixture->now_us - fixture->zero_us) / 1000, line);
	fixture->events_length = out.length;
	buffer_text(&out);
}

/* Compares what happened since the last call, and starts a new page with the time at zero. */
#define expect(fixture, text) \
	do { \
		assert_string_equal((fixture)->events, text); \
		fixture_page(fixture); \
	} while (0)

static void fixture_page(struct fixture *fixture)
{
	fixture->events[0] = 0;
	fixture->events_length = 0;
	fixture->zero_us = fixture->now_us;
}

static void fixture_pass(struct fixture *fixture, uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i++) {
		fixture->now_us += 1000;
		timer_wheel_advance(fixture->wheel, fixture->now_us);
	}
}

static const char *fixture_response(const char *top, const char *extra, uint16_t status, const char *cseq, char *out,
				    size_t capacity)
{
	snprintf(out, capacity,
		 "SIP/2.0 %u X\r\nVia: %s\r\nFrom: <sip:a@example.com>;tag=from\r\n"
		 "To: <sip:b@example.com>;tag=to\r\nCall-ID: call\r\nCSeq: %s\r\n%sContent-Length: 0\r\n\r\n",
		 status, top, cseq, extra);
	return out;
}

static void on_request(void *context, struct sip_server_transaction *server, const struct sip_message *request)
{
	struct fixture *fixture = context;
	char text[600];

	fixture->server = server;
	fixture_log(fixture, "request %.*s", SPAN_PRINT(request->method_text));
	if (!fixture->answer_at_once)
		return;
	fixture_response("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-1", "", fixture->answer_at_once, "1 INVITE", text,
			 sizeof(text));
	sip_server_respond(server, fixture->answer_at_once, span_from(text));
}

static void on_ack(void *context, const struct flow *flow, const struct sip_message *ack)
{
	(void)flow;
	(void)ack;
	fixture_log(context, "ack");
}

static void on_cancelled(void *context, struct sip_server_transaction *server, const struct sip_message *cancel)
{
	(void)cancel;
	assert_ptr_equal(((struct fixture *)context)->server, server);
	fixture_log(context, "cancelled");
}

static void on_response(void *context, struct sip_client_transaction *client, const struct sip_message *response)
{
	(void)client;
	fixture_log(context, "response %u", response->status);
}

static void on_failed(void *context, struct sip_client_transaction *client, enum sip_failure failure)
{
	(void)client;
	fixture_log(context, "failed %s", failure == SIP_FAILURE_TIMEOUT ? "timeout" : "transport");
}

static void on_unacknowledged(void *context, struct sip_server_transaction *server)
{
	(void)server;
	fixture_log(context, "unacknowledged");
}

static void on_server_gone(void *context, struct sip_server_transaction *server)
{
	struct fixture *fixture = context;

	if (fixture->server == server)
		fixture->server = NULL;
	fixture_log(fixture, "gone");
}

static void on_client_gone(void *context, struct sip_client_transaction *client)
{
	(void)client;
	fixture_log(context, "gone");
}

/* Logs the method or the status. */
static int on_send(void *context, const struct flow *flow, struct span bytes)
{
	struct fixture *fixture = context;
	struct span what = bytes;

	assert_true(bytes.length < sizeof(fixture->sent));
	memcpy(fixture->sent, bytes.data, bytes.length);
	fixture->sent[bytes.length] = 0;
	fixture->sent_flow = *flow;
	if (span_starts_with(what, SPAN("SIP/2.0 ")))
		what = span_slice(what, 8, 3);
	else
		what.length = (size_t)span_index(what, ' ');
	fixture_log(fixture, "send %.*s", SPAN_PRINT(what));
	return fixture->send_error;
}

static struct flow fixture_flow(enum transport transport, const char *remote)
{
	struct flow flow = {.transport = transport, .connection = transport == TRANSPORT_UDP ? 0 : 7};

	flow.proven = transport != TRANSPORT_UDP;
	assert_int_equal(address_parse(span_from(remote), &flow.remote), 0);
	assert_int_equal(address_parse(SPAN("192.0.2.1:5060"), &flow.local), 0);
	return flow;
}

/* Returns false when memory is short (the allocation sweeps). */
static bool fixture_start(struct fixture *fixture, enum transport transport, uint32_t maximum)
{
	const struct sip_transaction_callbacks callbacks = {
		.request = on_request,
		.ack = on_ack,
		.cancelled = on_cancelled,
		.response = on_response,
		.failed = on_failed,
		.unacknowledged = on_unacknowledged,
		.server_gone = on_server_gone,
		.client_gone = on_client_gone,
		.send = on_send,
		.send_context = fixture,
		.context = fixture,
	};
	const struct sip_transaction_limits limits = {maximum, maximum, 500, 4000, 5000};

	memset(fixture, 0, sizeof(*fixture));
	fixture->now_us = fixture->zero_us = START_US;
	fixture->flow = fixture_flow(transport, "192.0.2.9:5060");
	fixture->wheel = timer_wheel_new(START_US);
	if (!fixture->wheel)
		return false;
	fixture->layer = sip_transactions_new(&limits, fixture->wheel, &callbacks, random_seeded(&fixture->seed));
	return fixture->layer != NULL;
}

static void fixture_stop(struct fixture *fixture)
{
	sip_transactions_free(fixture->layer);
	timer_wheel_free(fixture->wheel);
}

/* Parses `text` and gives it in, on `flow`. */
static void fixture_receive_on(struct fixture *fixture, const struct flow *flow, const char *text)
{
	struct arena arena = arena_over(fixture->arena, sizeof(fixture->arena));
	size_t length = strlen(text), consumed;

	if (text != fixture->text)
		memcpy(fixture->text, text, length + 1);
	assert_int_equal(sip_message_parse((struct span){fixture->text, length}, false, &sip_limits_default, &arena,
					   &fixture->message, &consumed),
			 SIP_OK);
	sip_transactions_receive(fixture->layer, flow, &fixture->message);
	memset(fixture->text, 'x', sizeof(fixture->text)); /* the network's buffer is used again at once */
	memset(fixture->arena, 0, sizeof(fixture->arena));
}

static struct sip_transaction_statistics fixture_statistics(const struct fixture *fixture)
{
	struct sip_transaction_statistics statistics;

	sip_transactions_statistics(fixture->layer, &statistics);
	return statistics;
}

#endif
