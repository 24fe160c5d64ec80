/* SPDX-License-Identifier: Apache-2.0
 * A phone that speaks DTLS-SRTP. */
#include "dtls_peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>

#undef SRTP_AEAD_AES_128_GCM
#undef SRTP_AEAD_AES_256_GCM

static void pem_take(BIO *bio, char *out, size_t room)
{
	int length = BIO_read(bio, out, (int)room - 1);
	assert_true(length > 0);
	out[length] = 0;
	BIO_free(bio);
}

void peer_identity_make(struct peer_identity *identity)
{
	X509 *made = identity->certificate = X509_new();
	identity->key = EVP_EC_gen("P-256");
	assert_true(made && identity->key);
	ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
	X509_gmtime_adj(X509_getm_notBefore(made), -60);
	X509_gmtime_adj(X509_getm_notAfter(made), 3600);
	X509_set_pubkey(made, identity->key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC, (const uint8_t *)"phone", -1, -1,
				   0);
	X509_set_issuer_name(made, X509_get_subject_name(made));
	assert_true(X509_sign(made, identity->key, EVP_sha256()) > 0);

	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(bio, made), 1);
	pem_take(bio, identity->certificate_pem, sizeof(identity->certificate_pem));
	bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey(bio, identity->key, NULL, NULL, 0, NULL, NULL), 1);
	pem_take(bio, identity->key_pem, sizeof(identity->key_pem));
}

void peer_identity_free(struct peer_identity *identity)
{
	X509_free(identity->certificate);
	EVP_PKEY_free(identity->key);
}

struct media_dtls peer_agreement(const struct peer_identity *identity, enum media_handshake handshake,
				 enum srtp_suite suite)
{
	struct media_dtls dtls = {.handshake = (uint8_t)handshake,
				  .hash = MEDIA_SHA_256,
				  .suites = {SRTP_AEAD_AES_256_GCM, SRTP_AEAD_AES_128_GCM, SRTP_AES_CM_128_HMAC_SHA1_80,
					     SRTP_AES_CM_128_HMAC_SHA1_32},
				  .association = 1};
	unsigned int length;
	assert_int_equal(X509_digest(identity->certificate, EVP_sha256(), dtls.fingerprint, &length), 1);
	if (suite != SRTP_NONE) {
		memset(dtls.suites, 0, sizeof(dtls.suites));
		dtls.suites[0] = (uint8_t)suite;
	}
	return dtls;
}

static int accept_any(X509_STORE_CTX *store, void *context)
{
	(void)store;
	(void)context;
	return 1;
}

void peer_open(struct peer *peer, int socket, const struct address *to, const struct peer_identity *identity,
	       bool is_client, const char *profiles)
{
	struct sockaddr_storage storage;
	socklen_t length = address_to_sockaddr(to, &storage);
	*peer = (struct peer){.socket = socket, .rules = SSL_CTX_new(DTLS_method())};
	assert_int_equal(connect(socket, (struct sockaddr *)&storage, length), 0);
	fcntl(socket, F_SETFL, O_NONBLOCK);
	SSL_CTX_set_verify(peer->rules, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(peer->rules, accept_any, NULL);
	assert_int_equal(SSL_CTX_use_certificate(peer->rules, identity->certificate), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(peer->rules, identity->key), 1);
	if (profiles)
		assert_int_equal(SSL_CTX_set_tlsext_use_srtp(peer->rules, profiles), 0);
	peer->ssl = SSL_new(peer->rules);
	BIO *bio = BIO_new_dgram(socket, BIO_NOCLOSE);
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &storage);
	SSL_set_bio(peer->ssl, bio, bio);
	SSL_set_options(peer->ssl, SSL_OP_NO_QUERY_MTU);
	SSL_set_mtu(peer->ssl, 1200);
	if (is_client)
		SSL_set_connect_state(peer->ssl);
	else
		SSL_set_accept_state(peer->ssl);
}

void peer_close(struct peer *peer)
{
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->rules);
}

bool peer_step(struct peer *peer, int wait_ms)
{
	struct pollfd waiting = {.fd = peer->socket, .events = POLLIN};
	if (SSL_do_handshake(peer->ssl) == 1)
		return true;
	ERR_clear_error();
	(void)poll(&waiting, 1, wait_ms);
	DTLSv1_handle_timeout(peer->ssl);
	return false;
}

bool peer_shake(struct peer *peer, int wait_ms)
{
	for (; wait_ms > 0; wait_ms -= 10)
		if (peer_step(peer, 10))
			return true;
	return false;
}

bool peers_shake(struct peer *a, struct peer *b, int wait_ms)
{
	bool done_a = false, done_b = false;
	for (; wait_ms > 0 && !(done_a && done_b); wait_ms -= 10) {
		done_a = done_a || peer_step(a, 5);
		done_b = done_b || peer_step(b, 5);
	}
	return done_a && done_b;
}

static enum srtp_suite suite_of(const char *name)
{
	if (strcmp(name, "SRTP_AES128_CM_SHA1_80") == 0)
		return SRTP_AES_CM_128_HMAC_SHA1_80;
	if (strcmp(name, "SRTP_AES128_CM_SHA1_32") == 0)
		return SRTP_AES_CM_128_HMAC_SHA1_32;
	return strcmp(name, "SRTP_AEAD_AES_128_GCM") == 0 ? SRTP_AEAD_AES_128_GCM : SRTP_AEAD_AES_256_GCM;
}

enum srtp_suite peer_keys(struct peer *peer, struct kit_call *call, int side)
{
	const SRTP_PROTECTION_PROFILE *profile = SSL_get_selected_srtp_profile(peer->ssl);
	uint8_t made[2 * SRTP_KEY_MAXIMUM], keys[2][SRTP_KEY_MAXIMUM];
	assert_non_null(profile);
	enum srtp_suite suite = suite_of(profile->name);
	size_t salt = suite == SRTP_AEAD_AES_128_GCM || suite == SRTP_AEAD_AES_256_GCM ? 12 : 14;
	size_t key = srtp_key_bytes(suite) - salt;
	assert_int_equal(
		SSL_export_keying_material(peer->ssl, made, 2 * (key + salt), "EXTRACTOR-dtls_srtp", 19, NULL, 0, 0),
		1);
	for (int i = 0; i < 2; i++) { /* client's, server's */
		memcpy(keys[i], made + (size_t)i * key, key);
		memcpy(keys[i] + key, made + 2 * key + (size_t)i * salt, salt);
	}
	bool is_server = SSL_is_server(peer->ssl);
	srtp_context_free(call->to_relay[side]);
	srtp_context_free(call->from_relay[side]);
	call->to_relay[side] = srtp_context_new(suite, keys[is_server]);
	call->from_relay[side] = srtp_context_new(suite, keys[!is_server]);
	assert_true(call->to_relay[side] && call->from_relay[side]);
	return suite;
}

bool peer_sees(struct peer *peer, const struct peer_identity *identity)
{
	X509 *shown = SSL_get0_peer_certificate(peer->ssl);
	return shown && X509_cmp(shown, identity->certificate) == 0;
}
