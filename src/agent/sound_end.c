/* SPDX-License-Identifier: Apache-2.0
 * One end of a stream: RTP or SRTP on one socket. */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/sound.h"
#include "base/memory.h"

#define PACKET_BYTES 2048
#define PAYLOAD_BYTES 480
#define PACKETS_A_TURN 32
#define PORT_ATTEMPTS 200

static void packet_receive(struct sound_end *end, uint8_t *packet, size_t length)
{
	struct rtp_header header;

	if (rtcp_is(packet, length))
		return;
	if ((end->in && srtp_unprotect(end->in, packet, &length) != SRTP_OK) || rtp_parse(packet, length, &header)) {
		end->dropped++;
		return;
	}
	end->packet(end->context, &header, packet + header.payload_offset);
}

static void readable(evutil_socket_t descriptor, short events, void *context)
{
	struct sound_end *end = context;
	uint8_t packet[PACKET_BYTES];

	(void)events;
	for (int i = 0; i < PACKETS_A_TURN && end->descriptor >= 0; i++) {
		ssize_t length = recv(descriptor, packet, sizeof(packet), MSG_DONTWAIT);

		if (length < 0)
			return;
		if (end->peer.family != ADDRESS_NONE && end->packet)
			packet_receive(end, packet, (size_t)length);
	}
}

static int bind_port(int descriptor, struct address *address, uint16_t port)
{
	struct sockaddr_storage storage;
	socklen_t length;

	address->port = port;
	length = address_to_sockaddr(address, &storage);
	if (bind(descriptor, (struct sockaddr *)&storage, length))
		return -errno;
	length = sizeof(storage);
	if (getsockname(descriptor, (struct sockaddr *)&storage, &length))
		return -errno;
	return address_from_sockaddr((struct sockaddr *)&storage, address);
}

/* Even ports only: the odd one above is RTCP's (RFC 3550 section 11). */
static int open_even(struct sound_end *end, const struct address *ip, uint16_t low, uint16_t high,
		     struct random_source random)
{
	int family = ip->family == ADDRESS_IPV6 ? AF_INET6 : AF_INET, error = -EADDRINUSE;

	if (!low) {
		low = 20000;
		high = 59998;
	}
	for (int i = 0; i < PORT_ATTEMPTS; i++) {
		uint32_t span = high > low ? (uint32_t)(high - low) / 2 + 1 : 1;
		uint16_t port = (uint16_t)((low & ~1u) + 2 * (random_u64(random) % span));
		int descriptor = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

		if (descriptor < 0)
			return -errno;
		end->local = *ip;
		error = bind_port(descriptor, &end->local, port);
		if (!error) {
			end->descriptor = descriptor;
			return 0;
		}
		close(descriptor);
	}
	return error;
}

int sound_end_open(struct sound_end *end, struct event_base *loop, const struct address *ip, uint16_t low,
		   uint16_t high, struct random_source random)
{
	int error;

	memset(end, 0, sizeof(*end));
	end->descriptor = -1;
	error = open_even(end, ip, low, high, random);
	if (error)
		return error;
	random_fill(random, &end->ssrc, sizeof(end->ssrc));
	random_fill(random, &end->sequence, sizeof(end->sequence));
	random_fill(random, &end->timestamp, sizeof(end->timestamp));
	end->sequence &= 0x7fff; /* the first packets may be lost: not near a roll-over (RFC 3711 section 3.3.1) */
	end->event = event_new(loop, end->descriptor, EV_READ | EV_PERSIST, readable, end);
	if (end->event && !event_add(end->event, NULL))
		return 0;
	sound_end_close(end);
	return -ENOMEM;
}

void sound_end_close(struct sound_end *end)
{
	if (end->event)
		event_free(end->event);
	end->event = NULL;
	if (end->descriptor >= 0)
		close(end->descriptor);
	end->descriptor = -1;
	srtp_context_free(end->in);
	srtp_context_free(end->out);
	end->in = end->out = NULL;
}

int sound_end_connect(struct sound_end *end, const struct address *peer)
{
	struct sockaddr_storage storage;
	socklen_t length;

	if (address_equal(&end->peer, peer))
		return 0;
	end->peer = (struct address){0};
	if (peer->family == ADDRESS_NONE || !peer->port)
		return 0;
	length = address_to_sockaddr(peer, &storage);
	if (connect(end->descriptor, (struct sockaddr *)&storage, length))
		return -errno;
	end->peer = *peer;
	return 0;
}

int sound_end_secure(struct sound_end *end, const struct sdp_crypto *in, const struct sdp_crypto *out)
{
	struct srtp_context *new_in, *new_out;

	if (in->suite == SDP_SUITE_NONE)
		return 0;
	new_in = srtp_context_new((enum srtp_suite)in->suite, in->key);
	new_out = srtp_context_new((enum srtp_suite)out->suite, out->key);
	if (!new_in || !new_out) {
		srtp_context_free(new_in);
		srtp_context_free(new_out);
		return -ENOMEM;
	}
	srtp_context_free(end->in);
	srtp_context_free(end->out);
	end->in = new_in;
	end->out = new_out;
	return 0;
}

static void put_16(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

void sound_end_send(struct sound_end *end, const uint8_t *payload, size_t length, bool marker)
{
	uint8_t packet[12 + PAYLOAD_BYTES + SRTP_OVERHEAD_MAXIMUM] = {0x80};
	size_t packet_length = 12 + length;

	if (length > PAYLOAD_BYTES || end->peer.family == ADDRESS_NONE)
		return;
	packet[1] = (uint8_t)(end->payload_type | (marker ? 0x80 : 0));
	put_16(packet + 2, end->sequence++);
	put_16(packet + 4, end->timestamp >> 16);
	put_16(packet + 6, end->timestamp);
	put_16(packet + 8, end->ssrc >> 16);
	put_16(packet + 10, end->ssrc);
	memcpy(packet + 12, payload, length);
	end->timestamp += (uint32_t)length;
	if (end->out && srtp_protect(end->out, packet, &packet_length) != SRTP_OK)
		return;
	/* What the kernel cannot send is lost, as on any network; the receiver counts it. */
	(void)!send(end->descriptor, packet, packet_length, MSG_DONTWAIT | MSG_NOSIGNAL);
}
