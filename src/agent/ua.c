/* SPDX-License-Identifier: Apache-2.0
 * The user agent's ground: loop, clock, listeners, and messages outside and inside dialogs. See ua.h. */
#include "agent/ua.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/time.h>
#include <unistd.h>

#define TICK_US 5000
#define USER_AGENT SPAN("ringwall-agent")

static const struct transport_settings default_settings = {
	.transactions = {10000, 10000, 500, 4000, 5000},
	.net = {.connections_maximum = 1000,
		.connections_per_source_maximum = 1000,
		.handshakes_maximum = 100,
		.send_queue_maximum_bytes = 1 << 20,
		.handshake_timeout_ms = 10000,
		.first_byte_timeout_ms = 30000,
		.idle_timeout_ms = 3600000,
		.connect_timeout_ms = 10000},
};

static void tick(evutil_socket_t descriptor, short events, void *context)
{
	struct ua *ua = context;

	(void)descriptor;
	(void)events;
	timer_wheel_advance(ua->wheel, clock_monotonic_us());
}

/* The agents speak among themselves and with the gateway. */
static bool all_known(void *context, const struct flow *flow)
{
	(void)context;
	(void)flow;
	return true;
}

int ua_start(struct ua *ua, struct event_base *loop, const struct sip_transaction_callbacks *callbacks, void *context,
	     void (*closed)(void *context, const struct flow *flow))
{
	const struct transport_callbacks transport_callbacks = {
		.closed = closed,
		.known = all_known,
		.transactions = *callbacks,
		.context = context,
	};
	struct transport_settings settings = default_settings;
	const struct timeval every = {0, TICK_US};

	settings.sip = sip_limits_default;
	ua->loop = loop;
	ua->random = random_system();
	ua->wheel = timer_wheel_new(clock_monotonic_us());
	ua->message = memory_alloc(UA_MESSAGE_BYTES);
	ua->tick = event_new(loop, -1, EV_PERSIST, tick, ua);
	if (!ua->wheel || !ua->message || !ua->tick || event_add(ua->tick, &every))
		return -ENOMEM;
	ua->transport = transport_new(loop, ua->wheel, &settings, &transport_callbacks, ua->random);
	return ua->transport ? 0 : -ENOMEM;
}

void ua_stop(struct ua *ua)
{
	transport_free(ua->transport);
	if (ua->tick)
		event_free(ua->tick);
	timer_wheel_free(ua->wheel);
	memory_free(ua->message);
	ua->transport = NULL;
	ua->tick = NULL;
	ua->wheel = NULL;
	ua->message = NULL;
}

int ua_listen(struct ua *ua, enum transport transport, struct address *address)
{
	struct sockaddr_storage bound;
	socklen_t length = sizeof(bound);
	int descriptor = net_socket_open(transport, address);

	if (descriptor < 0)
		return descriptor;
	if (getsockname(descriptor, (struct sockaddr *)&bound, &length) ||
	    address_from_sockaddr((struct sockaddr *)&bound, address)) {
		int error = -errno;

		close(descriptor);
		return error;
	}
	return net_listener_add(transport_net(ua->transport), descriptor, transport, 0, 0);
}

struct buffer ua_request_start(struct ua *ua, const struct ua_dialog *dialog, struct span method, uint32_t cseq,
			       char branch[SIP_BRANCH_CAPACITY])
{
	struct buffer out = buffer_over(ua->message, UA_MESSAGE_BYTES);
	char via_text[256], cseq_text[80];
	struct buffer via = BUFFER_OVER(via_text), number = BUFFER_OVER(cseq_text);

	sip_branch_make(ua->random, branch);
	transport_write_via(&via, &dialog->flow, SPAN_EMPTY, branch);
	buffer_printf(&number, "%u ", cseq);
	buffer_put_span(&number, method);

	sip_write_request_line(&out, method, span_from(dialog->target));
	sip_write_header(&out, SIP_HEADER_VIA, buffer_span(&via));
	sip_write_header_number(&out, SIP_HEADER_MAX_FORWARDS, 70);
	if (*dialog->routes)
		sip_write_header(&out, SIP_HEADER_ROUTE, span_from(dialog->routes));
	sip_write_address(&out, SIP_HEADER_FROM, SPAN_EMPTY, span_from(dialog->local_uri), SPAN_EMPTY,
			  span_from(dialog->local_tag));
	sip_write_address(&out, SIP_HEADER_TO, SPAN_EMPTY, span_from(dialog->remote_uri), SPAN_EMPTY,
			  span_from(dialog->remote_tag));
	sip_write_header(&out, SIP_HEADER_CALL_ID, span_from(dialog->call_id));
	sip_write_header(&out, SIP_HEADER_CSEQ, buffer_span(&number));
	sip_write_header(&out, SIP_HEADER_USER_AGENT, USER_AGENT);
	return out;
}

struct sip_client_transaction *ua_request_send(struct ua *ua, const struct ua_dialog *dialog, enum sip_method method,
					       const char *branch, struct buffer *out, struct span content_type,
					       struct span body, void *user)
{
	sip_write_body(out, content_type, body);
	if (out->overflow)
		return NULL;
	return sip_client_start(transport_transactions(ua->transport), &dialog->flow, method, branch, buffer_span(out),
				user);
}

struct buffer ua_response_start(struct ua *ua, const struct sip_message *request, const struct flow *flow,
				uint16_t status, const char *to_tag)
{
	struct buffer out = buffer_over(ua->message, UA_MESSAGE_BYTES);
	const struct sip_header *route = sip_message_header(request, SIP_HEADER_RECORD_ROUTE);
	char tag[17];

	if (!*to_tag) {
		random_token(ua->random, tag, sizeof(tag) - 1);
		to_tag = tag;
	}
	sip_write_response_start(&out, request, status, SPAN_EMPTY, span_from(to_tag), flow);
	for (; route && status < 300; route = sip_message_header_next(request, route))
		sip_write_header(&out, SIP_HEADER_RECORD_ROUTE, route->value);
	sip_write_header(&out, SIP_HEADER_SERVER, USER_AGENT);
	return out;
}

int ua_response_send(struct sip_server_transaction *server, uint16_t status, struct buffer *out,
		     struct span content_type, struct span body)
{
	sip_write_body(out, content_type, body);
	return out->overflow ? -ENOSPC : sip_server_respond(server, status, buffer_span(out));
}

int ua_respond(struct ua *ua, struct sip_server_transaction *server, uint16_t status, const char *to_tag)
{
	struct buffer out = ua_response_start(ua, sip_server_request(server), sip_server_flow(server), status, to_tag);

	return ua_response_send(server, status, &out, SPAN_EMPTY, SPAN_EMPTY);
}
