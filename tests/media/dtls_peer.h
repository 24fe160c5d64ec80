/* SPDX-License-Identifier: Apache-2.0
 * A phone that speaks DTLS-SRTP, with OpenSSL's own datagram sockets. */
#ifndef RINGWALL_TESTS_MEDIA_DTLS_PEER_H
#define RINGWALL_TESTS_MEDIA_DTLS_PEER_H

#include "relay_kit.h"

#include <openssl/types.h>

struct peer_identity {
	X509 *certificate;
	EVP_PKEY *key;
	char certificate_pem[2048], key_pem[2048];
};
void peer_identity_make(struct peer_identity *identity);
void peer_identity_free(struct peer_identity *identity);

/* What a side of the relay is told of it. `suite` SRTP_NONE: all four. */
struct media_dtls peer_agreement(const struct peer_identity *identity, enum media_handshake handshake,
				 enum srtp_suite suite);

#define PEER_PROFILES "SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32:SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM"
struct peer {
	int socket; /* not its own */
	SSL_CTX *rules;
	SSL *ssl;
};

/* profiles NULL: no SRTP. */
void peer_open(struct peer *peer, int socket, const struct address *to, const struct peer_identity *identity,
	       bool is_client, const char *profiles);
void peer_close(struct peer *peer);

/* One step, and the whole: true once it is done. */
bool peer_step(struct peer *peer, int wait_ms);
bool peer_shake(struct peer *peer, int wait_ms);

/* Two at once, each with the other. */
bool peers_shake(struct peer *a, struct peer *b, int wait_ms);

/* The keys as the phone of `side` uses them, made anew; the suite they are for. */
enum srtp_suite peer_keys(struct peer *peer, struct kit_call *call, int side);

/* The certificate that the other showed. */
bool peer_sees(struct peer *peer, const struct peer_identity *identity);

#endif
