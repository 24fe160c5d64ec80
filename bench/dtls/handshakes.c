/* SPDX-License-Identifier: Apache-2.0
 * DTLS-SRTP handshakes as the gateway makes them, as the server and as the client, in one thread without sockets. Prints two JSON lines: how
 * many a second one core makes of each part, beside what OpenSSL's own signatures, checks and key agreements alone would allow.
 *   handshakes COUNT SIGNS CHECKS AGREEMENTS     of a second each, as `openssl speed` says for P-256 */
#include "media/dtls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "net/net.h"

#define DATAGRAMS 32
#define DATAGRAM_BYTES 2048

/* Datagrams on their way to one side. */
struct queue {
	uint8_t bytes[DATAGRAMS][DATAGRAM_BYTES];
	size_t lengths[DATAGRAMS];
	unsigned first, count;
};

static void queue_put(void *context, const struct address *peer, const uint8_t *datagram, size_t length)
{
	struct queue *queue = context;
	unsigned place = (queue->first + queue->count) % DATAGRAMS;

	(void)peer;
	if (queue->count == DATAGRAMS || length > DATAGRAM_BYTES)
		abort();
	memcpy(queue->bytes[place], datagram, length);
	queue->lengths[place] = length;
	queue->count++;
}

static double cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct party {
	struct queue queue;
	struct dtls *dtls;
	enum dtls_state state;
	double spent_s;
};

static struct dtls_identity *identity;
static struct media_dtls wanted = {.suites = {SRTP_AEAD_AES_128_GCM}, .association = 1};
static const struct address somewhere = {.family = ADDRESS_IPV4, .port = 4000, .ip = {192, 0, 2, 1}};

/* One side takes what waits for it. */
static void party_turn(struct party *party, struct dtls_listener *listener, const struct dtls_out *out)
{
	double begun_s = cpu_s();

	while (party->queue.count) {
		const uint8_t *datagram = party->queue.bytes[party->queue.first];
		size_t length = party->queue.lengths[party->queue.first];

		party->queue.first = (party->queue.first + 1) % DATAGRAMS;
		party->queue.count--;
		if (party->dtls)
			party->state = dtls_receive(party->dtls, datagram, length);
		else if ((party->dtls = dtls_listen(listener, identity, &somewhere, datagram, length, out)))
			party->state = dtls_accept(party->dtls, &wanted);
	}
	party->spent_s += cpu_s() - begun_s;
}

static void handshake(struct party *client, struct party *server, struct dtls_listener *listener)
{
	const struct dtls_out to_server = {queue_put, &server->queue}, to_client = {queue_put, &client->queue};
	double begun_s = cpu_s();
	struct media_keys keys;

	client->state = server->state = DTLS_RUNNING;
	client->dtls = dtls_connect(identity, &wanted, &somewhere, &to_server);
	client->spent_s += cpu_s() - begun_s;
	while (server->queue.count || client->queue.count) {
		party_turn(server, listener, &to_client);
		party_turn(client, NULL, NULL);
	}
	if (client->state != DTLS_KEYED || server->state != DTLS_KEYED)
		abort();
	begun_s = cpu_s();
	dtls_keys(server->dtls, &keys);
	dtls_free(server->dtls);
	server->spent_s += cpu_s() - begun_s;
	dtls_free(client->dtls);
	client->dtls = server->dtls = NULL;
}

static void identity_make(void)
{
	static const struct span name[] = {SPAN_INIT("media")};
	char certificate_text[4096], key_text[2048];
	struct buffer certificate = BUFFER_OVER(certificate_text), key = BUFFER_OVER(key_text);
	uint8_t fingerprint[32];

	if (net_certificate_make(name, 1, &certificate, &key) ||
	    net_certificate_fingerprint(buffer_span(&certificate), fingerprint))
		abort();
	identity = dtls_identity_new(buffer_span(&certificate), buffer_span(&key));
	memcpy(wanted.fingerprint, fingerprint, sizeof(fingerprint));
	if (!identity)
		abort();
}

static void print(const char *role, double spent_s, unsigned count, double least_s)
{
	printf("{\"work\": \"DTLS-SRTP handshakes a second a core, %s, P-256\", \"unit\": \"\", \"ours\": %.0f, "
	       "\"theirs\": %.0f, "
	       "\"ratio\": %.2f, \"peer\": \"what the signature, the check and the key agreement of openssl speed "
	       "alone allow\"}\n",
	       role, count / spent_s, 1 / least_s, count / spent_s * least_s);
}

int main(int argc, char **argv)
{
	static struct party client, server;
	struct dtls_listener *listener = dtls_listener_new();
	unsigned count = argc == 5 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
	double least_s = 0;

	if (!count || !listener) {
		fprintf(stderr, "handshakes COUNT SIGNS CHECKS AGREEMENTS\n");
		return EXIT_FAILURE;
	}
	for (int i = 2; i < 5; i++)
		least_s += 1 / strtod(argv[i], NULL);
	identity_make();
	for (unsigned i = 0; i < count; i++)
		handshake(&client, &server, listener);
	print("as the server", server.spent_s, count, least_s);
	print("as the client", client.spent_s, count, least_s);
	dtls_listener_free(listener);
	dtls_identity_free(identity);
	return EXIT_SUCCESS;
}
