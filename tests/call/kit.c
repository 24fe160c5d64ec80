/* SPDX-License-Identifier: Apache-2.0
 * See kit.h. */
#include "kit.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "call/sessions.h"

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

static int socket_bound(struct address *address, bool six)
{
	struct sockaddr_storage own;
	socklen_t length;
	int descriptor;

	assert_int_equal(address_parse_ip(six ? SPAN("::1") : SPAN("127.0.0.1"), address), 0);
	length = address_to_sockaddr(address, &own);
	descriptor = socket(own.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(descriptor >= 0);
	assert_int_equal(bind(descriptor, (struct sockaddr *)&own, length), 0);
	length = sizeof(own);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&own, &length), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&own, address), 0);
	return descriptor;
}

static struct config *config_make(const struct kit *kit)
{
	static const char both[] = "[127.0.0.1, \"::1\"]";
	char yaml[4096], access[2048], core[1024], spare[512] = "", second[80] = "";
	struct config_errors *errors = config_errors_new();
	struct config *config;
	int length;

	snprintf(access, sizeof(access),
		 "  - name: phones\n"
		 "    kind: access\n"
		 "    listen: [\"udp:%s:%u\", \"tls:127.0.0.1:5061\"]\n"
		 "    media: {address: %s, ports: \"20000-20099\", encryption: %s}\n"
		 "%s",
		 kit->six[0] ? "[::1]" : "127.0.0.1", kit->access.port, kit->six[0] ? both : "127.0.0.1",
		 kit->encryption, kit->zone_extra);
	if (kit->pair)
		snprintf(second, sizeof(second), ", \"sip:127.0.0.1:%u;transport=udp\"", kit->stranger.address.port);
	snprintf(core, sizeof(core),
		 "  - name: pbx\n"
		 "    kind: %s\n"
		 "    listen: [\"udp:%s:%u\"]\n"
		 "    peers: [\"sip:%s:%u;transport=udp\"%s]\n"
		 "%s"
		 "    media: {address: %s, ports: \"21000-21099\", encryption: %s}\n"
		 "%s",
		 kit->trunk_extra && (!kit->pair || strstr(kit->trunk_extra, "register:")) ? "trunk" : "core",
		 kit->six[1] ? "[::1]" : "127.0.0.1", kit->core.port, kit->six[1] ? "[::1]" : "127.0.0.1",
		 kit->pbx.address.port, second,
		 kit->trunk_extra && strstr(kit->trunk_extra, "watch:") ? "" : "    watch: 0\n",
		 kit->six[1] ? both : "127.0.0.1", kit->core_encryption ? kit->core_encryption : "none",
		 kit->trunk_extra ? kit->trunk_extra : "");
	if (kit->apart)
		snprintf(spare, sizeof(spare),
			 "  - name: spare\n"
			 "    kind: trunk\n"
			 "    domain: spare.example.net\n"
			 "    listen: [\"udp:127.0.0.1:%u\"]\n"
			 "    peers: [\"sip:127.0.0.1:%u;transport=udp\"]\n"
			 "    watch: 0\n"
			 "    media: {address: 127.0.0.1, ports: \"22000-22099\", encryption: none}\n",
			 kit->spare.port, kit->stranger.address.port);
	length = snprintf(yaml, sizeof(yaml),
			  "site: {domain: voip.example.org}\n"
			  "state_directory: /tmp\n"
			  "zones:\n"
			  "%s%s%s"
			  "routes:\n"
			  "  - {from: phones, to: %s}\n"
			  "  - {from: pbx, to: phones, when: registered}\n"
			  "%s",
			  kit->access_zone ? core : access, kit->access_zone ? access : core, spare,
			  kit->apart ? "[pbx, spare]" : "pbx", kit->limits);

	config = config_parse((struct span){yaml, (size_t)length}, "test.yaml", false, errors);
	for (uint32_t i = 0; i < config_errors_count(errors); i++)
		print_error("%s\n", config_errors_text(errors, i));
	config_errors_free(errors);
	assert_non_null(config);
	return config;
}

static void listen_udp(struct kit *kit)
{
	for (uint8_t i = 0; i < 2; i++)
		assert_int_equal(net_listener_add(gateway_net(kit->gateway), dup(kit->listeners[i]), TRANSPORT_UDP,
						  kit->access_zone ^ i, 0),
				 0);
	if (kit->apart)
		assert_int_equal(
			net_listener_add(gateway_net(kit->gateway), dup(kit->listeners[2]), TRANSPORT_UDP, 2, 0), 0);
}

void kit_reload(struct kit *kit)
{
	struct config *before = kit->config;

	kit->access_zone ^= 1;
	kit->config = config_make(kit);
	gateway_configure(kit->gateway, kit->config);
	config_free(before);
	for (uint8_t zone = 0; zone < 2; zone++)
		net_listener_remove(gateway_net(kit->gateway), zone, 0);
	listen_udp(kit);
}

static void gateway_start(struct kit *kit)
{
	struct gateway_callbacks callbacks = {.stream_set = on_stream_set,
					      .stream_close = on_stream_close,
					      .session_close = on_session_close,
					      .binding_save = on_binding_save,
					      .binding_remove = on_binding_remove,
					      .stopped = on_stopped,
					      .context = kit};
	uint8_t fingerprint[32];

	kit->gateway = gateway_new(kit->loop, kit->config, &callbacks, random_system());
	assert_non_null(kit->gateway);
	for (int i = 0; i < 32; i++)
		fingerprint[i] = (uint8_t)(0xa0 + i); /* KIT_FINGERPRINT */
	gateway_fingerprint_set(kit->gateway, fingerprint);
	listen_udp(kit);
}

#define KIT_RECORDS 64

static void area_take(struct kit *kit)
{
	assert_int_equal(checkpoint_attach(dup(kit->memory), KIT_RECORDS, &kit->area), 0);
	gateway_recover(kit->gateway, kit->area);
}

void kit_keep(struct kit *kit)
{
	kit->memory = checkpoint_file_make(KIT_RECORDS);
	assert_true(kit->memory > 0);
	area_take(kit);
}

void kit_die(struct kit *kit)
{
	gateway_free(kit->gateway);
	checkpoint_free(kit->area);
	kit->gateway = NULL;
	kit->area = NULL;
	kit->ahead_us = 0;
}

void kit_follow(struct kit *kit)
{
	config_free(kit->config);
	kit->access_zone ^= 1;
	kit->config = config_make(kit);
	gateway_start(kit);
	area_take(kit);
	if (kit->bindings_saved)
		gateway_binding_loaded(kit->gateway, &kit->binding);
	gateway_loaded(kit->gateway);
	gateway_media_back(kit->gateway);
}

void kit_kill(struct kit *kit)
{
	kit_die(kit);
	kit_follow(kit);
}

/* What is wanted of it is set already. */
static void start(struct kit *kit)
{
	kit->phone.descriptor = socket_bound(&kit->phone.address, kit->six[0]);
	kit->pbx.descriptor = socket_bound(&kit->pbx.address, kit->six[1]);
	kit->stranger.descriptor = socket_bound(&kit->stranger.address, kit->six[0]);
	kit->listeners[0] = socket_bound(&kit->access, kit->six[0]);
	kit->listeners[1] = socket_bound(&kit->core, kit->six[1]);
	kit->listeners[2] = socket_bound(&kit->spare, false);
	kit->config = config_make(kit);
	kit->loop = event_base_new();
	gateway_start(kit);
	gateway_loaded(kit->gateway);
}

static void clear(struct kit *kit, const char *zone_extra, const char *encryption)
{
	memset(kit, 0, sizeof(*kit));
	kit->zone_extra = zone_extra;
	kit->encryption = encryption;
	kit->limits = "";
}

void kit_start(struct kit *kit, const char *zone_extra, const char *encryption)
{
	clear(kit, zone_extra, encryption);
	start(kit);
}

void kit_start_core(struct kit *kit, const char *encryption, const char *core_encryption)
{
	clear(kit, "", encryption);
	kit->core_encryption = core_encryption;
	start(kit);
}

void kit_start_trunk(struct kit *kit, const char *zone_extra, const char *encryption, const char *trunk_extra)
{
	clear(kit, zone_extra, encryption);
	kit->trunk_extra = trunk_extra;
	start(kit);
}

void kit_start_trunk_routed(struct kit *kit, const char *trunk_extra, const char *more)
{
	clear(kit, "", "none");
	kit->trunk_extra = trunk_extra;
	kit->limits = more;
	start(kit);
}

void kit_start_pair(struct kit *kit, const char *zone_extra, const char *core_extra)
{
	clear(kit, zone_extra, "none");
	kit->trunk_extra = core_extra;
	kit->pair = true;
	start(kit);
}

void kit_start_apart(struct kit *kit, const char *core_extra, const char *more)
{
	clear(kit, "", "none");
	kit->apart = true;
	kit->trunk_extra = *core_extra ? core_extra : NULL;
	kit->limits = more;
	start(kit);
}

void kit_start_limited(struct kit *kit, const char *zone_extra, const char *encryption, const char *limits)
{
	clear(kit, zone_extra, encryption);
	kit->limits = limits;
	start(kit);
}

void kit_start_on(struct kit *kit, const char *zone_extra, const char *encryption, bool phones_six, bool pbx_six)
{
	clear(kit, zone_extra, encryption);
	kit->six[0] = phones_six;
	kit->six[1] = pbx_six;
	start(kit);
}

static void tls_listen(struct kit *kit)
{
	struct span name = SPAN("voip.example.org");
	char certificate[4096], key[1024], error[256];
	struct buffer certificate_pem = BUFFER_OVER(certificate), key_pem = BUFFER_OVER(key);
	struct address local = {.family = ADDRESS_IPV4, .ip = {127, 0, 0, 1}};
	int descriptor = net_socket_open(TRANSPORT_TLS, &local);
	struct sockaddr_in in;
	socklen_t length = sizeof(in);

	assert_true(descriptor >= 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&in, &length), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&in, &kit->access_tls), 0);
	assert_int_equal(net_certificate_make(&name, 1, &certificate_pem, &key_pem), 0);
	assert_int_equal(net_tls_set(gateway_net(kit->gateway), buffer_span(&certificate_pem), buffer_span(&key_pem),
				     SPAN_EMPTY, error, sizeof(error)),
			 0);
	assert_int_equal(net_listener_add(gateway_net(kit->gateway), descriptor, TRANSPORT_TLS, 0, 1), 0);
	kit->tls = SSL_CTX_new(TLS_client_method());
	assert_non_null(kit->tls);
}

void kit_connect_tls(struct kit *kit, struct peer *peer)
{
	struct sockaddr_storage sockaddr;
	struct sockaddr_in in;
	socklen_t length = sizeof(in);
	SSL *ssl;

	if (!kit->tls)
		tls_listen(kit);
	memset(peer, 0, sizeof(*peer));
	peer->descriptor = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(peer->descriptor >= 0);
	assert_int_equal(connect(peer->descriptor, (struct sockaddr *)&sockaddr,
				 address_to_sockaddr(&kit->access_tls, &sockaddr)),
			 0);
	assert_int_equal(getsockname(peer->descriptor, (struct sockaddr *)&in, &length), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&in, &peer->address), 0);
	evutil_make_socket_nonblocking(peer->descriptor);
	peer->ssl = ssl = SSL_new(kit->tls);
	SSL_set_fd(ssl, peer->descriptor);
	for (int i = 0; i < 2000 && SSL_connect(ssl) != 1; i++)
		kit_pump(kit, 1);
	assert_true(SSL_is_init_finished(ssl));
}

void peer_close(struct peer *peer)
{
	SSL_free(peer->ssl);
	close(peer->descriptor);
}

void kit_stop(struct kit *kit)
{
	gateway_free(kit->gateway);
	checkpoint_free(kit->area);
	if (kit->memory)
		close(kit->memory);
	SSL_CTX_free(kit->tls);
	event_base_free(kit->loop);
	config_free(kit->config);
	close(kit->listeners[0]);
	close(kit->listeners[1]);
	close(kit->listeners[2]);
	close(kit->phone.descriptor);
	close(kit->pbx.descriptor);
	close(kit->stranger.descriptor);
}

void kit_pump(struct kit *kit, uint32_t milliseconds)
{
	uint64_t end = clock_monotonic_us() + milliseconds * 1000ull;

	do {
		event_base_loop(kit->loop, EVLOOP_NONBLOCK);
		if (kit->ahead_us)
			timer_wheel_advance(kit->gateway->wheel, clock_monotonic_us() + kit->ahead_us);
	} while (clock_monotonic_us() < end);
}

void kit_skip(struct kit *kit, uint32_t milliseconds)
{
	kit->ahead_us += milliseconds * 1000ull;
	kit_pump(kit, kit->hasty ? 0 : 1);
}

static uint32_t ports_free(struct kit *kit, uint8_t zone)
{
	struct gateway *gateway = kit->gateway;
	struct port_pool *pool = port_pools_get(gateway->ports, gateway_zone(gateway, zone),
						&gateway_zone(gateway, zone)->media.address, gateway->random);
	uint16_t ports[100];
	uint32_t count = 0;

	while (count < 100 && (ports[count] = port_take(pool)))
		count++;
	for (uint32_t i = 0; i < count; i++)
		port_give(pool, ports[i]);
	return count;
}

void kit_expect_nothing_left(struct kit *kit)
{
	struct gateway *gateway = kit->gateway;
	struct sip_transaction_statistics statistics;

	assert_int_equal(table_count(gateway->calls), 0);
	assert_int_equal(table_count(gateway->dialogs), 0);
	assert_int_equal(pool_alive(gateway->call_pool), 0);
	assert_int_equal(pool_alive(gateway->tombstone_pool), 0);
	assert_int_equal(table_count(gateway->tombstones), 0);
	assert_int_equal(pool_alive(gateway->fork_pool), 0);
	assert_int_equal(pool_alive(gateway->transfer_pool), 0);
	assert_int_equal(pool_alive(gateway->subscription_pool), 0);
	assert_int_equal(ports_free(kit, 0), 50);
	assert_int_equal(ports_free(kit, 1), 50);
	sip_transactions_statistics(gateway_transactions(gateway), &statistics);
	assert_int_equal(statistics.servers_alive, 0);
	assert_int_equal(statistics.clients_alive, 0);
	assert_int_equal(pool_alive(gateway->relay_pool), 0);
	if (kit->area) {
		struct checkpoint_statistics kept;

		checkpoint_statistics_get(kit->area, &kept);
		assert_int_equal(kept.records, 0);
		assert_int_equal(kept.blocks, 0);
	}
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

void peer_send_bytes(struct kit *kit, struct peer *peer, const char *bytes, size_t length)
{
	bool is_inside = peer == &kit->pbx || (kit->pair && peer == &kit->stranger);
	const struct address *to = kit->apart && peer == &kit->stranger ? &kit->spare
				   : is_inside                          ? &kit->core
									: &kit->access;
	struct sockaddr_storage sockaddr;
	socklen_t sockaddr_length = address_to_sockaddr(to, &sockaddr);

	memmove(kit->sent, bytes, length);
	kit->sent_length = length;
	if (peer->ssl)
		assert_int_equal(SSL_write(peer->ssl, bytes, (int)length), (int)length);
	else
		assert_int_equal(
			sendto(peer->descriptor, bytes, length, 0, (struct sockaddr *)&sockaddr, sockaddr_length),
			length);
}

void peer_send(struct kit *kit, struct peer *peer, const char *format, ...)
{
	static char raw[KIT_MESSAGE], wire[KIT_MESSAGE];
	char number[16];
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
	peer_send_bytes(kit, peer, wire, length);
	kit_pump(kit, kit->hasty ? 0 : 2);
}

/* Everything the gateway sends is read by the parser that reads what it receives. */
static void check_sound(const char *text, size_t length)
{
	static char copy[KIT_MESSAGE], memory[65536];
	struct arena arena = arena_over(memory, sizeof(memory));
	struct sip_message message;
	enum sip_reject reject;
	size_t consumed;

	memcpy(copy, text, length);
	reject = sip_message_parse((struct span){copy, length}, true, &sip_limits_default, &arena, &message, &consumed);
	/* A refusal of the parser repeats the From, To and CSeq of what it refuses, which may be the fault (RFC 4475 section 3.1.2.15). */
	if (reject == SIP_REJECT_HEADER_VALUE &&
	    (!strncmp(text, "SIP/2.0 400 ", 12) || !strncmp(text, "SIP/2.0 416 ", 12) ||
	     !strncmp(text, "SIP/2.0 505 ", 12) || !strncmp(text, "SIP/2.0 513 ", 12)))
		return;
	if (reject != SIP_OK || consumed != length)
		fail_msg("the gateway sent what is not sound (%s):\n%s", sip_reject_row(reject)->text, text);
	if (message.is_request && message.method != SIP_ACK && message.method != SIP_CANCEL && message.max_forwards < 0)
		fail_msg("the gateway sent a request without Max-Forwards:\n%s", text);
}

static ssize_t receive_stream(struct peer *peer)
{
	size_t length = 0;
	char *end;

	/* Byte by byte to the end of the head, then the body: no more than one message. */
	while (length + 1 < sizeof(peer->text)) {
		int got = SSL_read(peer->ssl, peer->text + length, 1);

		if (got <= 0 && !length)
			return got;
		length += got > 0;
		peer->text[length] = 0;
		end = length >= 4 && !strcmp(peer->text + length - 4, "\r\n\r\n") ? peer->text + length : NULL;
		if (end) {
			size_t left = strtoul(strstr(peer->text, "Content-Length: ") + 16, NULL, 10);

			while (left && length + 1 < sizeof(peer->text)) {
				got = SSL_read(peer->ssl, peer->text + length, (int)left);
				length += got > 0 ? (size_t)got : 0;
				left -= got > 0 ? (size_t)got : 0;
			}
			return (ssize_t)length;
		}
	}
	return 0;
}

static bool receive(struct kit *kit, struct peer *peer, uint64_t until_us)
{
	do {
		ssize_t length = peer->ssl ? receive_stream(peer)
					   : recv(peer->descriptor, peer->text, sizeof(peer->text) - 1, 0);

		if (length > 0) {
			peer->text[length] = 0;
			check_sound(peer->text, (size_t)length);
			return true;
		}
		kit_pump(kit, kit->hasty ? 0 : 1);
	} while (clock_monotonic_us() < until_us);
	return false;
}

bool peer_receive(struct kit *kit, struct peer *peer, uint32_t milliseconds)
{
	return receive(kit, peer, clock_monotonic_us() + milliseconds * 1000ull);
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

const char *kit_type(const char *text)
{
	static char type[128];
	int length = (int)strcspn(text, "\n") - 2;

	if (strncmp(text, "--", 2) != 0)
		return *text ? "Content-Type: application/sdp\n" : "";
	snprintf(type, sizeof(type), "Content-Type: multipart/%.*s;boundary=\"%.*s\"\n", length, text + 2, length,
		 text + 2);
	return type;
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
		  peer->address.port, extra, kit_type(description), description);
}

void peer_agrees(struct kit *kit, struct peer *asked, const char *start_, const char *to_tag, struct peer *asker)
{
	peer_expect(kit, asked, start_);
	peer_answer(kit, asked, "200 OK", to_tag, "", "");
	peer_expect(kit, asker, "SIP/2.0 200");
}

void pbx_grants(struct kit *kit, const char *parameters, const char *extra)
{
	const char *contact = header(&kit->pbx, "Contact");
	char lines[2048];

	snprintf(lines, sizeof(lines), "Contact: %s%s\n%s", contact, parameters, extra);
	peer_answer(kit, &kit->pbx, "200 OK", "regtag", *contact == '*' ? extra : lines, "");
}

void peer_registers(struct kit *kit, struct peer *peer, const char *user)
{
	peer_send(
		kit, peer,
		"REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKreg-%s;rport\n"
		"Max-Forwards: 70\nFrom: <sip:%s@voip.example.org>;tag=reg\nTo: <sip:%s@voip.example.org>\n"
		"Call-ID: reg-%s\nCSeq: 1 REGISTER\nContact: <sip:%s@127.0.0.1:%u>;expires=600\nContent-Length: 0\n\n",
		peer->address.port, user, user, user, user, user, peer->address.port);
	peer_expect(kit, &kit->pbx, "REGISTER ");
	pbx_grants(kit, "", "");
	peer_expect(kit, peer, "SIP/2.0 200");
}

void kit_account(struct kit *kit, const char *user, const char *password)
{
	struct ipc_account account = {.realm = "voip.example.org"};

	snprintf(account.user, sizeof(account.user), "%s", user);
	assert_int_equal(sip_digest_ha1(SIP_DIGEST_SHA256, span_from(user), span_from(account.realm),
					span_from(password), account.ha1_sha256),
			 0);
	gateway_account_set(kit->gateway, &account);
}

const char *token_of(const char *contact)
{
	static char tokens[4][64];
	static unsigned next;
	char *out = tokens[next++ % 4];
	const char *begin = strstr(contact, "<sip:");

	assert_non_null(begin);
	snprintf(out, sizeof(tokens[0]), "%.*s", (int)strcspn(begin + 5, "@"), begin + 5);
	return out;
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

void side_of_caller(struct side *side, struct peer *peer)
{
	side->peer = peer;
	snprintf(side->from, sizeof(side->from), "%s", header(peer, "From"));
	snprintf(side->to, sizeof(side->to), "%s", header(peer, "To"));
	snprintf(side->call_id, sizeof(side->call_id), "%s", header(peer, "Call-ID"));
	side->cseq = (unsigned)strtoul(header(peer, "CSeq"), NULL, 10);
}

void side_of_callee(struct side *side, struct peer *peer, const char *own_tag)
{
	side->peer = peer;
	snprintf(side->from, sizeof(side->from), "%s;tag=%s", header(peer, "To"), own_tag);
	snprintf(side->to, sizeof(side->to), "%s", header(peer, "From"));
	snprintf(side->call_id, sizeof(side->call_id), "%s", header(peer, "Call-ID"));
	side->cseq = 0;
}

void side_sends(struct kit *kit, struct side *side, const char *method, const char *extra, const char *description)
{
	static unsigned count;
	const char *transport = side->peer->ssl ? "TLS" : "UDP";

	side->cseq += strcmp(method, "ACK") != 0;
	peer_send(kit, side->peer,
		  "%s sip:gw@127.0.0.1 SIP/2.0\nVia: SIP/2.0/%s 127.0.0.1:%u;branch=z9hG4bKside%u;rport\n"
		  "Max-Forwards: 70\nFrom: %s\nTo: %s\nCall-ID: %s\nCSeq: %u %s\nContact: <sip:peer@127.0.0.1:%u>\n"
		  "%s%sContent-Length: %%LENGTH%%\n\n%s",
		  method, transport, side->peer->address.port, count++, side->from, side->to, side->call_id, side->cseq,
		  method, side->peer->address.port, extra, strstr(extra, "Content-Type") ? "" : kit_type(description),
		  description);
}

void phone_invites(struct kit *kit, struct peer *phone, const char *name, const char *extra, const char *description)
{
	peer_send(kit, phone,
		  "INVITE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/%s 127.0.0.1:%u;branch=z9hG4bK%s;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=%s\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: %s\nCSeq: 7 INVITE\nContact: <sip:1001@127.0.0.1:%u>\n%s%sContent-Length: "
		  "%%LENGTH%%\n\n%s",
		  phone->ssl ? "TLS" : "UDP", phone->address.port, name, name, name, phone->address.port, extra,
		  kit_type(description), description);
}

void phone_calls(struct kit *kit, const char *name, uint16_t port)
{
	phone_invites(kit, &kit->phone, name, "", sdp_plain(port, "sendrecv"));
	peer_expect(kit, &kit->pbx, "INVITE ");
}

void kit_establish(struct kit *kit, struct peer *phone, struct side *caller, struct side *callee,
		   const char *description, const char *answer)
{
	phone_invites(kit, phone, "call", "", description);
	peer_expect(kit, &kit->pbx, "INVITE ");
	side_of_callee(callee, &kit->pbx, "pbxtag");
	peer_answer(kit, &kit->pbx, "200 OK", "pbxtag", "", answer);
	peer_expect(kit, phone, "SIP/2.0 200");
	side_of_caller(caller, phone);
	side_sends(kit, caller, "ACK", "", "");
	peer_expect(kit, &kit->pbx, "ACK ");
}

void kit_silence(struct kit *kit)
{
	for (int i = 0; i < 70; i++) {
		kit_skip(kit, 4000);
		while (peer_receive(kit, &kit->phone, 0) || peer_receive(kit, &kit->pbx, 0))
			;
	}
	kit_expect_nothing_left(kit);
}
