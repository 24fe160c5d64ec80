/* SPDX-License-Identifier: Apache-2.0
 * See kit.h. */
#include "kit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static void on_stream_set(void *context, const struct media_stream *stream)
{
	struct kit *kit = context;

	kit->streams_set++;
	kit->streams[stream->index % KIT_STREAMS] = *stream;
}

static void on_stream_close(void *context, uint64_t session, uint8_t index)
{
	(void)context;
	(void)session;
	(void)index;
}

static void on_session_close(void *context, uint64_t session)
{
	(void)session;
	((struct kit *)context)->sessions_closed++;
}

static void on_binding_save(void *context, const struct ipc_binding *binding)
{
	struct kit *kit = context;

	kit->bindings_saved++;
	kit->binding = *binding;
}

static void on_binding_remove(void *context, const char *token)
{
	(void)token;
	((struct kit *)context)->bindings_removed++;
}

static void on_stopped(void *context)
{
	((struct kit *)context)->stopped = true;
}

static int socket_bound(struct address *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(in);
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	assert_true(descriptor >= 0);
	assert_int_equal(bind(descriptor, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&in, &length), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&in, address), 0);
	return descriptor;
}

static struct config *config_make(const struct kit *kit, const char *zone_extra, const char *encryption)
{
	char yaml[4096];
	struct config_errors *errors = config_errors_new();
	struct config *config;
	int length = snprintf(yaml, sizeof(yaml),
			      "site: {domain: voip.example.org}\n"
			      "state_directory: /tmp\n"
			      "zones:\n"
			      "  - name: phones\n"
			      "    kind: access\n"
			      "    listen: [\"udp:127.0.0.1:%u\", \"tls:127.0.0.1:5061\"]\n"
			      "    media: {address: 127.0.0.1, ports: \"20000-20099\", encryption: %s}\n"
			      "%s"
			      "  - name: pbx\n"
			      "    kind: core\n"
			      "    listen: [\"udp:127.0.0.1:%u\"]\n"
			      "    peers: [\"sip:127.0.0.1:%u;transport=udp\"]\n"
			      "    media: {address: 127.0.0.1, ports: \"21000-21099\", encryption: none}\n"
			      "routes:\n"
			      "  - {from: phones, to: pbx}\n"
			      "  - {from: pbx, to: phones, when: registered}\n",
			      kit->access.port, encryption, zone_extra, kit->core.port, kit->pbx.address.port);

	config = config_parse((struct span){yaml, (size_t)length}, "test.yaml", false, errors);
	for (uint32_t i = 0; i < config_errors_count(errors); i++)
		print_error("%s\n", config_errors_text(errors, i));
	config_errors_free(errors);
	assert_non_null(config);
	return config;
}

void kit_start(struct kit *kit, const char *zone_extra, const char *encryption)
{
	struct gateway_callbacks callbacks = {.stream_set = on_stream_set,
					      .stream_close = on_stream_close,
					      .session_close = on_session_close,
					      .binding_save = on_binding_save,
					      .binding_remove = on_binding_remove,
					      .stopped = on_stopped,
					      .context = kit};

	memset(kit, 0, sizeof(*kit));
	kit->phone.descriptor = socket_bound(&kit->phone.address);
	kit->pbx.descriptor = socket_bound(&kit->pbx.address);
	kit->stranger.descriptor = socket_bound(&kit->stranger.address);
	kit->listeners[0] = socket_bound(&kit->access);
	kit->listeners[1] = socket_bound(&kit->core);
	kit->config = config_make(kit, zone_extra, encryption);
	kit->loop = event_base_new();
	kit->gateway = gateway_new(kit->loop, kit->config, &callbacks, random_system());
	assert_non_null(kit->gateway);
	assert_int_equal(net_listener_add(gateway_net(kit->gateway), kit->listeners[0], TRANSPORT_UDP, 0, 0), 0);
	assert_int_equal(net_listener_add(gateway_net(kit->gateway), kit->listeners[1], TRANSPORT_UDP, 1, 0), 0);
	gateway_loaded(kit->gateway);
}

void kit_stop(struct kit *kit)
{
	gateway_free(kit->gateway);
	event_base_free(kit->loop);
	config_free(kit->config);
	close(kit->phone.descriptor);
	close(kit->pbx.descriptor);
	close(kit->stranger.descriptor);
}

void kit_pump(struct kit *kit, uint32_t milliseconds)
{
	uint64_t end = clock_monotonic_us() + milliseconds * 1000ull;

	while (clock_monotonic_us() < end)
		event_base_loop(kit->loop, EVLOOP_NONBLOCK);
}

static size_t crlf(const char *from, char *to, size_t capacity)
{
	size_t length = 0;

	for (; *from && length + 2 < capacity; from++) {
		if (*from == '\n')
			to[length++] = '\r';
		to[length++] = *from;
	}
	to[length] = 0;
	return length;
}

void peer_send(struct kit *kit, struct peer *peer, const char *format, ...)
{
	char raw[8192], wire[8192], number[16];
	const struct address *to = peer == &kit->pbx ? &kit->core : &kit->access;
	struct sockaddr_storage sockaddr;
	socklen_t sockaddr_length = address_to_sockaddr(to, &sockaddr);
	va_list arguments;
	size_t length;
	char *mark, *end;

	va_start(arguments, format);
	vsnprintf(raw, sizeof(raw), format, arguments);
	va_end(arguments);
	length = crlf(raw, wire, sizeof(wire));
	mark = strstr(wire, "%LENGTH%");
	if (mark) {
		end = strstr(wire, "\r\n\r\n");
		assert_non_null(end);
		snprintf(number, sizeof(number), "%8zu", length - (size_t)(end + 4 - wire));
		memcpy(mark, number, 8);
	}
	assert_int_equal(sendto(peer->descriptor, wire, length, 0, (struct sockaddr *)&sockaddr, sockaddr_length),
			 length);
	kit_pump(kit, 2);
}

static bool receive(struct kit *kit, struct peer *peer, uint64_t until_us)
{
	while (clock_monotonic_us() < until_us) {
		ssize_t length = recv(peer->descriptor, peer->text, sizeof(peer->text) - 1, 0);

		if (length > 0) {
			peer->text[length] = 0;
			return true;
		}
		kit_pump(kit, 1);
	}
	return false;
}

const char *peer_expect(struct kit *kit, struct peer *peer, const char *start)
{
	uint64_t until = clock_monotonic_us() + 2000000;

	while (receive(kit, peer, until))
		if (!strncmp(peer->text, start, strlen(start)))
			return peer->text;
	receive(kit, &kit->phone, clock_monotonic_us() + 1000);
	print_error("the phone's last message was:\n%s\n", kit->phone.text);
	fail_msg("nothing that begins with \"%s\" came; the last message was:\n%s", start, peer->text);
	return NULL;
}

void peer_expect_nothing(struct kit *kit, struct peer *peer, const char *start)
{
	uint64_t until = clock_monotonic_us() + 300000;

	while (receive(kit, peer, until))
		if (!strncmp(peer->text, start, strlen(start)))
			fail_msg("this was not to come:\n%s", peer->text);
}

static const char *header_find(const struct peer *peer, const char *name, size_t *length)
{
	size_t name_length = strlen(name);

	for (const char *line = strstr(peer->text, "\r\n"); line && strncmp(line, "\r\n\r\n", 4);
	     line = strstr(line + 2, "\r\n")) {
		const char *start = line + 2;

		if (!strncasecmp(start, name, name_length) && start[name_length] == ':') {
			start += name_length + 1;
			while (*start == ' ')
				start++;
			*length = (size_t)(strstr(start, "\r\n") - start);
			return start;
		}
	}
	return NULL;
}

bool has_header(const struct peer *peer, const char *name)
{
	size_t length;

	return header_find(peer, name, &length) != NULL;
}

const char *header(const struct peer *peer, const char *name)
{
	static char values[8][1024];
	static unsigned next;
	char *out = values[next++ % 8];
	size_t length = 0;
	const char *found = header_find(peer, name, &length);

	if (!found)
		fail_msg("no %s in:\n%s", name, peer->text);
	snprintf(out, sizeof(values[0]), "%.*s", (int)length, found);
	return out;
}

const char *tag(const struct peer *peer, const char *name)
{
	const char *value = strstr(header(peer, name), ";tag=");
	static char tags[4][128];
	static unsigned next;
	char *out = tags[next++ % 4];

	assert_non_null(value);
	snprintf(out, sizeof(tags[0]), "%.*s", (int)strcspn(value + 5, ";>"), value + 5);
	return out;
}

const char *body(const struct peer *peer)
{
	const char *end = strstr(peer->text, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

/* Every Via of the request, in order, as an answer must carry them. */
static void vias(const struct peer *peer, char *out, size_t capacity)
{
	size_t used = 0;

	out[0] = 0;
	for (const char *line = strstr(peer->text, "\r\nVia:"); line; line = strstr(line + 2, "\r\nVia:")) {
		const char *end = strstr(line + 2, "\r\n");

		used += (size_t)snprintf(out + used, capacity - used, "%.*s\n", (int)(end - line - 2), line + 2);
	}
}

void peer_answer(struct kit *kit, struct peer *peer, const char *status, const char *to_tag, const char *extra,
		 const char *description)
{
	char via[2048], to[1024];
	const char *to_value = header(peer, "To");

	vias(peer, via, sizeof(via));
	snprintf(to, sizeof(to), "%s%s%s", to_value, *to_tag && !strstr(to_value, ";tag=") ? ";tag=" : "",
		 strstr(to_value, ";tag=") ? "" : to_tag);
	peer_send(kit, peer,
		  "SIP/2.0 %s\n%sFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %s\nContact: <sip:peer@127.0.0.1:%u>\n%s%s"
		  "Content-Length: %%LENGTH%%\n\n%s",
		  status, via, header(peer, "From"), to, header(peer, "Call-ID"), header(peer, "CSeq"),
		  peer->address.port, extra, *description ? "Content-Type: application/sdp\n" : "", description);
}

const char *sdp_plain(uint16_t port, const char *direction)
{
	static char text[4][512];
	static unsigned next;
	char *out = text[next++ % 4];

	snprintf(out, sizeof(text[0]),
		 "v=0\no=secretname 123 1 IN IP4 127.0.0.1\ns=inner\nc=IN IP4 127.0.0.1\nt=0 0\n"
		 "m=audio %u RTP/AVP 0 101\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n"
		 "a=x-inner:10.9.8.7\na=%s\n",
		 port, direction);
	return out;
}
