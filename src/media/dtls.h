/* SPDX-License-Identifier: Apache-2.0
 * DTLS-SRTP associations (RFC 5764) over OpenSSL: datagrams in, datagrams out, SRTP keys at the end. Knows no socket. Private to media. */
#ifndef RINGWALL_MEDIA_DTLS_H
#define RINGWALL_MEDIA_DTLS_H

#include "media/media.h"

/* Our certificate, with all that is the same for every association. Shared by threads; counted. */
struct dtls_identity;
struct dtls_identity *dtls_identity_new(struct span certificate,
					struct span key);                  /* PEM; NULL: they are none, or no memory */
struct dtls_identity *dtls_identity_share(struct dtls_identity *identity); /* NULL is allowed */
void dtls_identity_free(struct dtls_identity *identity);                   /* NULL is allowed */

/* A datagram to the peer; called from within the functions below, on their thread. */
struct dtls_out {
	void (*send)(void *context, const struct address *peer, const uint8_t *datagram, size_t length);
	void *context;
};

/* Takes first messages of peers that begin, without keeping anything of them until they have shown, by returning a cookie, that they are
 * where they say (RFC 6347 section 4.2.1). One a thread. */
struct dtls_listener;
struct dtls_listener *dtls_listener_new(void);
void dtls_listener_free(struct dtls_listener *listener); /* NULL is allowed */

struct dtls;
enum dtls_state {
	DTLS_RUNNING,
	DTLS_KEYED,
	DTLS_WRONG_CERTIFICATE, /* not that of the fingerprint */
	DTLS_NO_SUITE,          /* in common */
	DTLS_FAILED,            /* otherwise, or the peer closed it */
};

/* A datagram from a peer that no association knows. When it returns its cookie, it is an association, for which nothing was computed
 * yet; NULL: it is none, or no memory. `out` stays valid as long as the association. */
struct dtls *dtls_listen(struct dtls_listener *listener, struct dtls_identity *identity, const struct address *peer,
			 const uint8_t *datagram, size_t length, const struct dtls_out *out);
/* Answers the message that it began with. */
enum dtls_state dtls_accept(struct dtls *dtls, const struct media_dtls *wanted);
/* One that we begin; its first flight is sent. NULL: no memory. */
struct dtls *dtls_connect(struct dtls_identity *identity, const struct media_dtls *wanted, const struct address *peer,
			  const struct dtls_out *out);
void dtls_free(struct dtls *dtls); /* NULL is allowed */

enum dtls_state dtls_receive(struct dtls *dtls, const uint8_t *datagram, size_t length);
enum dtls_state dtls_tick(struct dtls *dtls); /* a few times a second: flights that were lost are sent again */
const struct address *dtls_peer(const struct dtls *dtls);
void dtls_peer_set(struct dtls *dtls, const struct address *peer); /* it is there now */
/* Once it is DTLS_KEYED. */
void dtls_keys(struct dtls *dtls, struct media_keys *keys);

#endif
