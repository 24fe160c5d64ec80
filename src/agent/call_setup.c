/* SPDX-License-Identifier: Apache-2.0
 * The test call before its first message: target, address, certificate authorities, sockets. */
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/call.h"

#define AUTHORITIES_BYTES (1024 * 1024)

/* "host", "host:port", "[v6]:port". */
static bool host_port_split(struct span text, struct span *host, uint16_t *port)
{
	ptrdiff_t colon;
	uint64_t value;

	*host = text;
	*port = 0;
	if (text.length && *text.data == '[') {
		ptrdiff_t end = span_index(text, ']');

		if (end < 0)
			return false;
		*host = span_slice(text, 1, (size_t)end - 1);
		text = span_slice(text, (size_t)end + 1, SIZE_MAX);
		if (!text.length)
			return true;
		colon = 0;
	} else {
		colon = span_index(text, ':');
		if (colon < 0)
			return host->length;
		*host = span_slice(text, 0, (size_t)colon);
	}
	if (text.data[colon] != ':' || span_to_uint(span_slice(text, (size_t)colon + 1, SIZE_MAX), 65535, &value))
		return false;
	*port = (uint16_t)value;
	return host->length && *port;
}

static int resolve(struct testcall *call, struct span host, uint16_t port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	struct addrinfo *found = NULL;
	char name[256];
	int error;

	if (span_copy(host, name, sizeof(name)) || getaddrinfo(name, NULL, &hints, &found) || !found) {
		call_fail(call, "the name %.*s cannot be resolved", SPAN_PRINT(host));
		return -ENOENT;
	}
	error = address_from_sockaddr(found->ai_addr, &call->server.address);
	freeaddrinfo(found);
	call->server.address.port = port;
	return error;
}

static int target_parse(struct testcall *call)
{
	const struct testcall_settings *settings = call->settings;
	struct span host, user = span_from(settings->user ? settings->user : "anonymous");
	struct buffer aor = BUFFER_OVER(call->aor), registrar = BUFFER_OVER(call->registrar);
	uint16_t port;

	if (sip_uri_parse(span_from(settings->target), &call->target) || !call->target.host.length) {
		call_fail(call, "%s is no sip: or sips: address", settings->target);
		return -EINVAL;
	}
	if (call->target.scheme == SIP_SCHEME_SIPS && !transport_is_secure(settings->transport)) {
		call_fail(call, "a sips: address needs TLS");
		return -EINVAL;
	}
	buffer_printf(&registrar, "%s:%.*s", call->target.scheme == SIP_SCHEME_SIPS ? "sips" : "sip",
		      SPAN_PRINT(call->target.host));
	buffer_printf(&aor, "%s:%.*s@%.*s", call->target.scheme == SIP_SCHEME_SIPS ? "sips" : "sip", SPAN_PRINT(user),
		      SPAN_PRINT(call->target.host));
	if (settings->proxy && !host_port_split(span_from(settings->proxy), &host, &port)) {
		call_fail(call, "%s is no host:port", settings->proxy);
		return -EINVAL;
	}
	if (!settings->proxy) {
		host = call->target.host;
		port = call->target.port;
		if (host.length > 2 && *host.data == '[')
			host = span_slice(host, 1, host.length - 2);
	}
	if (!port)
		port = transport_is_secure(settings->transport) ? 5061 : 5060;
	buffer_text(&aor);
	buffer_text(&registrar);
	call->server.transport = settings->transport;
	call->server.verify = settings->verify;
	/* RFC 5922: the certificate is for the host that was asked for. An address is checked as such. */
	if (address_parse_ip(host, &call->server.address))
		call->server.name = host;
	return aor.overflow || registrar.overflow ? -EINVAL : resolve(call, host, port);
}

/* The address that the kernel would send from: a connected UDP socket tells, without a packet. */
static int local_find(struct testcall *call, struct address *local)
{
	struct sockaddr_storage storage;
	socklen_t length = address_to_sockaddr(&call->server.address, &storage);
	int descriptor, error = 0;

	*local = call->settings->local_address;
	if (local->family != ADDRESS_NONE)
		return 0;
	descriptor = socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0)
		return -errno;
	if (connect(descriptor, (struct sockaddr *)&storage, length))
		error = -errno;
	length = sizeof(storage);
	if (!error && getsockname(descriptor, (struct sockaddr *)&storage, &length))
		error = -errno;
	close(descriptor);
	if (!error)
		error = address_from_sockaddr((struct sockaddr *)&storage, local);
	local->port = 0;
	return error;
}

static int authorities_load(struct testcall *call)
{
	const char *path = call->settings->authorities;
	char *pem = NULL, reason[200] = "";
	size_t length = 0;
	int error;
	FILE *file;

	if (path) {
		pem = memory_alloc(AUTHORITIES_BYTES);
		file = pem ? fopen(path, "re") : NULL;
		if (!file) {
			call_fail(call, "the authorities in %s cannot be read: %s", path, strerror(errno));
			memory_free(pem);
			return -ENOENT;
		}
		length = fread(pem, 1, AUTHORITIES_BYTES, file);
		fclose(file);
	}
	error = net_tls_set(transport_net(call->ua.transport), SPAN_EMPTY, SPAN_EMPTY, (struct span){pem, length},
			    reason, sizeof(reason));
	memory_free(pem);
	if (error)
		call_fail(call, "%s", reason);
	return error;
}

static int sockets_open(struct testcall *call, struct address *local)
{
	struct address media = *local;
	int error = 0;

	if (call->settings->transport == TRANSPORT_UDP || call->settings->local_address.family != ADDRESS_NONE)
		error = ua_listen(&call->ua, TRANSPORT_UDP, local);
	if (!error && transport_is_secure(call->settings->transport) && authorities_load(call))
		return -EINVAL;
	if (!error)
		error = net_flow_open(transport_net(call->ua.transport), &call->server, 0, 0, &call->flow);
	if (!error)
		error = sound_end_open(&call->sound, call->ua.loop, &media, 0, 0, call->ua.random);
	if (error)
		call_fail(call, "no socket could be opened: %s", strerror(-error));
	if (call->flow.local.family == ADDRESS_NONE)
		call->flow.local = *local;
	return error;
}

int call_setup(struct testcall *call, struct event_base *loop, const struct sip_transaction_callbacks *callbacks,
	       void (*closed)(void *context, const struct flow *flow))
{
	struct address local;
	uint32_t seed;
	int error = target_parse(call);

	if (error)
		return error;
	error = ua_start(&call->ua, loop, callbacks, call, closed);
	if (!error)
		error = local_find(call, &local);
	if (error) {
		call_fail(call, "there is no way to %s: %s", call->settings->target, strerror(-error));
		return error;
	}
	random_fill(call->ua.random, &seed, sizeof(seed));
	error = measure_start(&call->measure, call->settings->duration_ms / SOUND_FRAME_MS, seed);
	return error ? error : sockets_open(call, &local);
}
