/* SPDX-License-Identifier: Apache-2.0
 * Anything arrives before a handshake: at the listener, and at a handshake that we have begun as the client. The input is a row of
 * datagrams, each behind its length in two bytes. Nothing may ever make keys. */
#include "media/dtls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL's names for the numbers of profiles, which are those of our suites. */
#undef SRTP_AEAD_AES_128_GCM
#undef SRTP_AEAD_AES_256_GCM

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dtls_identity *identity;

static struct span pem_of(BIO *bio)
{
	char *data;
	long length = BIO_get_mem_data(bio, &data);

	return (struct span){data, (size_t)length};
}

static void identity_make(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	BIO *certificate_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());

	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	if (!X509_sign(certificate, key, EVP_sha256()) || !PEM_write_bio_X509(certificate_pem, certificate) ||
	    !PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL))
		abort();
	identity = dtls_identity_new(pem_of(certificate_pem), pem_of(key_pem));
	if (!identity)
		abort();
	BIO_free(certificate_pem);
	BIO_free(key_pem);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void waste(void *context, const struct address *peer, const uint8_t *datagram, size_t length)
{
	(void)context;
	(void)peer;
	(void)datagram;
	if (length > 1500)
		abort();
}

static const struct dtls_out out = {waste, NULL};
static const struct media_dtls wanted = {.handshake = MEDIA_HANDSHAKE_BEGIN, .suites = {SRTP_AES_CM_128_HMAC_SHA1_80}};
static const struct address source = {.family = ADDRESS_IPV4, .port = 4000, .ip = {192, 0, 2, 1}};

static void datagram_take(struct dtls_listener *listener, struct dtls *client, const uint8_t *bytes, size_t length)
{
	if (dtls_listen(listener, identity, &source, bytes, length, &out))
		abort(); /* whose cookie? */
	if (dtls_receive(client, bytes, length) == DTLS_KEYED)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dtls_listener *listener = dtls_listener_new();
	struct dtls *client;

	if (!identity)
		identity_make();
	client = dtls_connect(identity, &wanted, &source, &out);
	if (!client || !listener)
		abort();
	for (size_t at = 0; size - at >= 2;) {
		size_t length = (size_t)data[at] << 8 | data[at + 1];

		at += 2;
		if (length > size - at)
			length = size - at;
		datagram_take(listener, client, data + at, length);
		at += length;
	}
	dtls_free(client);
	dtls_listener_free(listener);
	return 0;
}
