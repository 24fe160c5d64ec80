/* SPDX-License-Identifier: Apache-2.0
 * See dtls.h. OpenSSL reads and writes by a BIO of ours, which hands over one datagram at a time. */
#include "media/dtls.h"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/memory.h"

/* OpenSSL's names for the numbers of profiles, which are those of our suites. */
#undef SRTP_AEAD_AES_128_GCM
#undef SRTP_AEAD_AES_256_GCM

#define COOKIE_BYTES 32
#define LINK_BYTES 1200 /* of a datagram: fits every way on the internet */
#define REPEAT_FIRST_US 400000
#define REPEAT_LAST_US 3000000
#define EXPORTER "EXTRACTOR-dtls_srtp"
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct dtls_identity {
	SSL_CTX *context;
	BIO_METHOD *wire;
	int count;
};

/* What an SSL reads from and writes to. */
struct wire {
	const uint8_t *in;
	size_t in_length;
	struct address peer;
	struct dtls_out out;
	const uint8_t *cookie_secret; /* the listener's, which lives longer */
};

struct dtls {
	struct dtls_identity *identity; /* whose wire the SSL has */
	SSL *ssl;
	struct wire wire;
	struct media_dtls wanted;
	enum dtls_state state;
	bool is_client;
	bool is_wrong; /* the certificate is not the one */
};

struct dtls_listener {
	uint8_t secret[COOKIE_BYTES];
	struct dtls *next; /* takes first messages until one of them returns its cookie */
};

/* ---- The suites of RFC 5764 section 4.1.2 and RFC 7714 section 14.2 ---- */

static const struct profile {
	const char *name;
	uint8_t suite, key_bytes, salt_bytes;
} profiles[] = {
	{"SRTP_AES128_CM_SHA1_80", SRTP_AES_CM_128_HMAC_SHA1_80, 16, 14},
	{"SRTP_AES128_CM_SHA1_32", SRTP_AES_CM_128_HMAC_SHA1_32, 16, 14},
	{"SRTP_AEAD_AES_128_GCM", SRTP_AEAD_AES_128_GCM, 16, 12},
	{"SRTP_AEAD_AES_256_GCM", SRTP_AEAD_AES_256_GCM, 32, 12},
};
#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

static const struct profile *profile_of(const SSL *ssl)
{
	const SRTP_PROTECTION_PROFILE *selected = SSL_get_selected_srtp_profile((SSL *)ssl);
	for (size_t i = 0; selected && i < PROFILES; i++)
		if (strcmp(selected->name, profiles[i].name) == 0)
			return &profiles[i];
	return NULL;
}

/* "A:B", in the order that is wanted. */
static bool profiles_set(SSL *ssl, const struct media_dtls *wanted)
{
	char text[128];
	struct buffer names = BUFFER_OVER(text);
	for (int i = 0; i < MEDIA_SUITES_MAXIMUM && wanted->suites[i] != SRTP_NONE; i++)
		for (size_t k = 0; k < PROFILES; k++)
			if (profiles[k].suite == wanted->suites[i])
				buffer_printf(&names, "%s%s", names.length ? ":" : "", profiles[k].name);
	return names.length && SSL_set_tlsext_use_srtp(ssl, buffer_text(&names)) == 0;
}

/* ---- The wire ---- */

static int wire_read(BIO *bio, char *out, int capacity)
{
	struct wire *wire = BIO_get_data(bio);
	size_t length = wire->in_length < (size_t)capacity ? wire->in_length : (size_t)capacity;
	BIO_clear_retry_flags(bio);
	if (!wire->in) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(out, wire->in, length);
	wire->in = NULL;
	return (int)length;
}

static int wire_write(BIO *bio, const char *bytes, int length)
{
	const struct wire *wire = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	wire->out.send(wire->out.context, &wire->peer, (const uint8_t *)bytes, (size_t)length);
	return length;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH: return 1;
	case BIO_CTRL_DGRAM_QUERY_MTU:
	case BIO_CTRL_DGRAM_GET_FALLBACK_MTU: return LINK_BYTES;
	default: return 0;
	}
}

static BIO_METHOD *wire_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "datagrams");
	if (method && BIO_meth_set_read(method, wire_read) && BIO_meth_set_write(method, wire_write) &&
	    BIO_meth_set_ctrl(method, wire_control))
		return method;
	BIO_meth_free(method);
	return NULL;
}

/* ---- The identity ---- */

static const EVP_MD *digest_of(uint8_t hash)
{
	switch (hash) {
	case MEDIA_SHA_256: return EVP_sha256();
	case MEDIA_SHA_384: return EVP_sha384();
	default: return EVP_sha512();
	}
}

/* The fingerprint that was signalled is all that makes a certificate good (RFC 5763 section 5). */
static int certificate_check(X509_STORE_CTX *store, void *unused)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	struct dtls *dtls = SSL_get_app_data(ssl);
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	(void)unused;
	if (certificate && X509_digest(certificate, digest_of(dtls->wanted.hash), digest, &length) &&
	    length <= MEDIA_FINGERPRINT_MAXIMUM && CRYPTO_memcmp(digest, dtls->wanted.fingerprint, length) == 0)
		return 1;
	dtls->is_wrong = true;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

/* By who it is sent to: it comes back only from where it went. */
static int cookie_make(SSL *ssl, unsigned char *cookie, unsigned *length)
{
	const struct dtls *dtls = SSL_get_app_data(ssl);
	const struct address *peer = &dtls->wire.peer;
	uint8_t text[1 + sizeof(peer->ip) + 2] = {peer->family};
	if (!dtls->wire.cookie_secret)
		return 0;
	memcpy(text + 1, peer->ip, sizeof(peer->ip));
	memcpy(text + 1 + sizeof(peer->ip), &peer->port, 2);
	*length = COOKIE_BYTES;
	return HMAC(EVP_sha256(), dtls->wire.cookie_secret, COOKIE_BYTES, text, sizeof(text), cookie, length) != NULL;
}

static int cookie_check(SSL *ssl, const unsigned char *cookie, unsigned length)
{
	uint8_t right[COOKIE_BYTES];
	unsigned right_length;
	return cookie_make(ssl, right, &right_length) && length == right_length &&
	       CRYPTO_memcmp(cookie, right, length) == 0;
}

static bool context_setup(SSL_CTX *context, struct span certificate, struct span key)
{
	BIO *certificate_bio = BIO_new_mem_buf(certificate.data, (int)certificate.length);
	BIO *key_bio = BIO_new_mem_buf(key.data, (int)key.length);
	X509 *own = certificate_bio ? PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL) : NULL;
	EVP_PKEY *own_key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL) : NULL;
	bool done = own && own_key && SSL_CTX_use_certificate(context, own) == 1 &&
		    SSL_CTX_use_PrivateKey(context, own_key) == 1 && SSL_CTX_check_private_key(context) == 1 &&
		    SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) == 1 &&
		    SSL_CTX_set_cipher_list(context, CIPHERS) == 1;
	X509_free(own);
	EVP_PKEY_free(own_key);
	BIO_free(certificate_bio);
	BIO_free(key_bio);
	SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					     SSL_OP_NO_COMPRESSION | SSL_OP_COOKIE_EXCHANGE);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(context, certificate_check, NULL);
	SSL_CTX_set_cookie_generate_cb(context, cookie_make);
	SSL_CTX_set_cookie_verify_cb(context, cookie_check);
	return done;
}

struct dtls_identity *dtls_identity_new(struct span certificate, struct span key)
{
	struct dtls_identity *identity = memory_alloc(sizeof(*identity));
	if (!identity)
		return NULL;
	identity->count = 1;
	identity->context = SSL_CTX_new(DTLS_method());
	identity->wire = wire_method();
	bool done = identity->context && identity->wire && context_setup(identity->context, certificate, key);
	ERR_clear_error();
	if (done)
		return identity;
	dtls_identity_free(identity);
	return NULL;
}

struct dtls_identity *dtls_identity_share(struct dtls_identity *identity)
{
	if (identity)
		__atomic_add_fetch(&identity->count, 1, __ATOMIC_RELAXED);
	return identity;
}

void dtls_identity_free(struct dtls_identity *identity)
{
	if (!identity || __atomic_sub_fetch(&identity->count, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	SSL_CTX_free(identity->context);
	BIO_meth_free(identity->wire);
	memory_free(identity);
}

/* ---- Associations ---- */

/* A call waits for it: sooner than after the second that RFC 6347 section 4.2.4.1 suggests. */
static unsigned repeat_after_us(SSL *ssl, unsigned before_us)
{
	(void)ssl;
	if (!before_us)
		return REPEAT_FIRST_US;
	return before_us < REPEAT_LAST_US / 2 ? before_us * 2 : REPEAT_LAST_US;
}

static struct dtls *dtls_new(struct dtls_identity *identity, const struct media_dtls *wanted)
{
	struct dtls *dtls = memory_alloc(sizeof(*dtls));
	BIO *bio = dtls ? BIO_new(identity->wire) : NULL;
	if (!bio) {
		memory_free(dtls);
		return NULL;
	}
	BIO_set_data(bio, &dtls->wire);
	BIO_set_init(bio, 1);
	dtls->ssl = SSL_new(identity->context);
	if (!dtls->ssl) {
		BIO_free(bio);
		memory_free(dtls);
		return NULL;
	}
	dtls->identity = dtls_identity_share(identity);
	SSL_set_bio(dtls->ssl, bio, bio);
	SSL_set_app_data(dtls->ssl, dtls);
	DTLS_set_link_mtu(dtls->ssl, LINK_BYTES);
	DTLS_set_timer_cb(dtls->ssl, repeat_after_us);
	if (wanted)
		dtls->wanted = *wanted;
	return dtls;
}

void dtls_free(struct dtls *dtls)
{
	if (!dtls)
		return;
	SSL_free(dtls->ssl);
	dtls_identity_free(dtls->identity);
	memory_free_secret(dtls, sizeof(*dtls));
}

static enum dtls_state failure_of(const struct dtls *dtls)
{
	if (dtls->is_wrong)
		return DTLS_WRONG_CERTIFICATE;
	return SSL_is_init_finished(dtls->ssl) && !profile_of(dtls->ssl) ? DTLS_NO_SUITE : DTLS_FAILED;
}

/* What SSL_do_handshake and SSL_read return. */
static enum dtls_state state_after(struct dtls *dtls, int result)
{
	int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(dtls->ssl, result);
	ERR_clear_error();
	if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		return dtls->state = failure_of(dtls);
	if (SSL_is_init_finished(dtls->ssl))
		dtls->state = profile_of(dtls->ssl) ? DTLS_KEYED : DTLS_NO_SUITE;
	return dtls->state;
}

static enum dtls_state advance(struct dtls *dtls)
{
	uint8_t unwanted[256];
	/* Nothing but the handshake is spoken here; reading answers flights that come again. */
	if (SSL_is_init_finished(dtls->ssl))
		return state_after(dtls, SSL_read(dtls->ssl, unwanted, sizeof(unwanted)));
	return state_after(dtls, SSL_do_handshake(dtls->ssl));
}

enum dtls_state dtls_receive(struct dtls *dtls, const uint8_t *datagram, size_t length)
{
	dtls->wire.in = datagram;
	dtls->wire.in_length = length;
	enum dtls_state state = advance(dtls);
	dtls->wire.in = NULL;
	return state;
}

enum dtls_state dtls_tick(struct dtls *dtls)
{
	if (dtls->state == DTLS_RUNNING && DTLSv1_handle_timeout(dtls->ssl) < 0)
		dtls->state = failure_of(dtls);
	ERR_clear_error();
	return dtls->state;
}

const struct address *dtls_peer(const struct dtls *dtls)
{
	return &dtls->wire.peer;
}

void dtls_peer_set(struct dtls *dtls, const struct address *peer)
{
	dtls->wire.peer = *peer;
}

struct dtls *dtls_connect(struct dtls_identity *identity, const struct media_dtls *wanted, const struct address *peer,
			  const struct dtls_out *out)
{
	struct dtls *dtls = dtls_new(identity, wanted);
	if (!dtls)
		return NULL;
	dtls->is_client = true;
	dtls->wire.peer = *peer;
	dtls->wire.out = *out;
	SSL_set_connect_state(dtls->ssl);
	if (profiles_set(dtls->ssl, wanted) && advance(dtls) == DTLS_RUNNING)
		return dtls;
	dtls_free(dtls);
	return NULL;
}

/* Client's key, server's key, client's salt, server's salt (RFC 5764 section 4.2). */
static void keys_split(const uint8_t *exported, const struct profile *profile, bool is_client, struct media_keys *keys)
{
	uint8_t *of_client = is_client ? keys->key_out : keys->key_in;
	uint8_t *of_server = is_client ? keys->key_in : keys->key_out;
	const uint8_t *salts = exported + 2 * profile->key_bytes;
	memcpy(of_client, exported, profile->key_bytes);
	memcpy(of_server, exported + profile->key_bytes, profile->key_bytes);
	memcpy(of_client + profile->key_bytes, salts, profile->salt_bytes);
	memcpy(of_server + profile->key_bytes, salts + profile->salt_bytes, profile->salt_bytes);
}

void dtls_keys(struct dtls *dtls, struct media_keys *keys)
{
	const struct profile *profile = profile_of(dtls->ssl);
	uint8_t exported[2 * SRTP_KEY_MAXIMUM];
	*keys = (struct media_keys){.association = dtls->wanted.association};
	if (!profile)
		return;
	size_t length = 2u * (profile->key_bytes + profile->salt_bytes);
	if (SSL_export_keying_material(dtls->ssl, exported, length, EXPORTER, strlen(EXPORTER), NULL, 0, 0) == 1) {
		keys->suite = profile->suite;
		keys_split(exported, profile, dtls->is_client, keys);
	}
	memory_wipe(exported, sizeof(exported));
}

/* ---- The listener ---- */

struct dtls_listener *dtls_listener_new(void)
{
	struct dtls_listener *listener = memory_alloc(sizeof(*listener));
	if (listener && RAND_bytes(listener->secret, sizeof(listener->secret)) == 1)
		return listener;
	memory_free(listener);
	return NULL;
}

static void listener_clear(struct dtls_listener *listener)
{
	dtls_free(listener->next);
	listener->next = NULL;
}

void dtls_listener_free(struct dtls_listener *listener)
{
	if (!listener)
		return;
	listener_clear(listener);
	memory_free_secret(listener, sizeof(*listener));
}

static bool listener_ready(struct dtls_listener *listener, struct dtls_identity *identity)
{
	if (listener->next && listener->next->identity == identity)
		return true;
	listener_clear(listener);
	listener->next = dtls_new(identity, NULL);
	return listener->next != NULL;
}

struct dtls *dtls_listen(struct dtls_listener *listener, struct dtls_identity *identity, const struct address *peer,
			 const uint8_t *datagram, size_t length, const struct dtls_out *out)
{
	if (!listener_ready(listener, identity))
		return NULL;
	struct dtls *dtls = listener->next;
	dtls->wire = (struct wire){datagram, length, *peer, *out, listener->secret};
	BIO_ADDR *unused = BIO_ADDR_new();
	int result = unused ? DTLSv1_listen(dtls->ssl, unused) : -1;
	BIO_ADDR_free(unused);
	ERR_clear_error();
	dtls->wire.in = NULL;
	if (result < 0) /* nothing of one message may reach the next */
		listener_clear(listener);
	if (result <= 0)
		return NULL;
	listener->next = NULL;
	return dtls;
}

enum dtls_state dtls_accept(struct dtls *dtls, const struct media_dtls *wanted)
{
	dtls->wanted = *wanted;
	DTLS_set_timer_cb(dtls->ssl, repeat_after_us); /* listening has cleared it */
	if (!profiles_set(dtls->ssl, wanted))
		return dtls->state = DTLS_FAILED;
	return advance(dtls);
}
