/* SPDX-License-Identifier: Apache-2.0
 * What the net's tests share: a net on a loop that writes down what it is told, and clients on plain
 * sockets beside it, all in one thread. */
#ifndef TESTS_NET_HARNESS_H
#define TESTS_NET_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "base/memory.h"
#include "net/net.h"

struct world {
	struct event_base *loop;
	struct net *net;
	uint64_t seed;
	/* What was told */
	int opened, closed, datagrams, deliveries;
	enum net_close_reason reason; /* of the last `closed` */
	struct flow flow;             /* of the last callback */
	char received[200000];        /* of the last flow: consumed bytes, or datagrams */
	size_t length;
	/* What to do */
	bool lines; /* consume whole lines only */
	bool echo;
	ptrdiff_t refuse; /* returned by the stream callback when negative */
	void (*on_stream)(struct world *world);
	void (*on_datagram)(struct world *world);
	void (*on_opened)(struct world *world);
	void (*on_closed)(struct world *world);
};

extern const struct net_limits generous;

/* A world on `limits` (NULL: generous ones). */
void world_start(struct world *world, const struct net_limits *limits);
/* As that, with its net on another world's loop. */
void world_start_beside(struct world *world, struct world *other, const struct net_limits *limits);
void world_stop(struct world *world);
/* A listener on `ip` and a port of the kernel's choice, which is returned as an address. */
struct address world_listen(struct world *world, enum transport transport, const char *ip, uint8_t listener);
/* Gives the net a certificate for `name`, and writes that certificate to `pem` (4,096 bytes) if not NULL. */
void world_certify(struct world *world, const char *name, char *pem);
/* Runs the loop until `condition` or 10 s have passed. */
#define world_run_until(world, condition) \
	do { \
		uint64_t end_us_ = clock_monotonic_us() + 10000000; \
		bool met_; \
		while (!(met_ = (condition)) && clock_monotonic_us() < end_us_) \
			world_turn(world); \
		if (!met_) \
			fail_msg("waited in vain for %s", #condition); \
	} while (0)
void world_turn(struct world *world); /* until nothing is left to do at the moment */
void world_step(struct world *world); /* one turn of the loop exactly */
void world_run_ms(struct world *world, unsigned ms);

struct address address_of(const char *ip, uint16_t port);
struct net_statistics statistics_of(const struct world *world);

/* Non-blocking client sockets. */
int client_connect(struct world *world, const struct address *remote);
void client_send(struct world *world, int descriptor, const char *text);
/* Waits for exactly `text`. */
void client_expect(struct world *world, int descriptor, const char *text);
/* Waits until the other side closed; whether it did so with RST. */
bool client_is_reset(struct world *world, int descriptor);
void client_reset(int descriptor);

SSL *client_tls(struct world *world, const struct address *remote);
/* NULL when the handshake fails. */
SSL *client_tls_try(struct world *world, int descriptor, SSL_CTX *context);
void client_tls_free(SSL *ssl);
void client_tls_send(struct world *world, SSL *ssl, struct span bytes);
void client_tls_expect(struct world *world, SSL *ssl, struct span bytes);

#endif
