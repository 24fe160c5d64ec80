/* SPDX-License-Identifier: Apache-2.0
 * TLS contexts: what listeners show and how dialled peers are verified. Parameters after RFC 9325
 * (BCP 195): TLS 1.2 with forward secrecy and authenticated encryption, TLS 1.3, nothing else. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

#include "net/private.h"

#define TLS_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TLS_GROUPS "X25519:P-256:P-384"
/* Read now and whole: the process may be confined by the time that a peer is verified. */
#define TLS_SYSTEM_AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"

/* Why something failed: our words, and OpenSSL's reason if it has one. Returns -EINVAL. */
static int tls_error(struct buffer *error, const char *text)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	buffer_put_text(error, text);
	if (reason)
		buffer_printf(error, ": %s", reason);
	ERR_clear_error();
	return -EINVAL;
}

/* A key behind a password cannot be used; without this OpenSSL would ask on the terminal. */
static int tls_no_password(char *out, int capacity, int writing, void *context)
{
	(void)out;
	(void)capacity;
	(void)writing;
	(void)context;
	return -1;
}

static SSL_CTX *tls_context_new(const SSL_METHOD *method)
{
	SSL_CTX *context = SSL_CTX_new(method);

	if (!context)
		return NULL;
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	/* Buffers only while bytes move: an idle phone holds none. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1); /* a record in one system call, not two */
	if (!SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) || !SSL_CTX_set_cipher_list(context, TLS_CIPHERS) ||
	    !SSL_CTX_set1_groups_list(context, TLS_GROUPS)) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

static int tls_use_key(SSL_CTX *context, X509 *certificate, struct span pem, struct buffer *error)
{
	BIO *bio = BIO_new_mem_buf(pem.data ? pem.data : "", (int)pem.length);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, tls_no_password, NULL) : NULL;
	int result = 0;

	BIO_free(bio);
	if (!key)
		return tls_error(error, "the key cannot be read (PEM without a password is expected)");
	if (!X509_check_private_key(certificate, key)) {
		ERR_clear_error();
		result = tls_error(error, "the key does not match the certificate");
	} else if (SSL_CTX_use_PrivateKey(context, key) != 1) {
		result = tls_error(error, "the key cannot be used");
	}
	EVP_PKEY_free(key);
	return result;
}

/* Whether the end of the file was reached, rather than something unreadable in it. */
static bool tls_pem_ended(void)
{
	unsigned long code = ERR_peek_last_error();
	bool ended = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;

	if (ended)
		ERR_clear_error();
	return ended;
}

static int tls_use_chain(SSL_CTX *context, BIO *bio, struct buffer *error)
{
	X509 *link;

	while ((link = PEM_read_bio_X509(bio, NULL, tls_no_password, NULL))) {
		if (!SSL_CTX_add0_chain_cert(context, link)) {
			X509_free(link);
			return tls_error(error, "the certificate chain cannot be used");
		}
	}
	return tls_pem_ended() ? 0 : tls_error(error, "the certificate chain cannot be read");
}

/* Not a failure: with the wrong time or an old certificate, phones that do not check still get through. */
static void tls_warn_of_dates(const X509 *certificate, struct buffer *error)
{
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
		buffer_put_text(error, "warning: the certificate has expired");
	else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
		buffer_put_text(error, "warning: the certificate is not valid yet");
}

static int tls_use_certificate(SSL_CTX *context, struct span certificate_pem, struct span key_pem, struct buffer *error)
{
	BIO *bio = BIO_new_mem_buf(certificate_pem.data, (int)certificate_pem.length);
	X509 *certificate = bio ? PEM_read_bio_X509_AUX(bio, NULL, tls_no_password, NULL) : NULL;
	int result;

	if (!certificate)
		result = tls_error(error, "the certificate cannot be read");
	else if (SSL_CTX_use_certificate(context, certificate) != 1)
		result = tls_error(error, "the certificate cannot be used");
	else
		result = tls_use_chain(context, bio, error);
	if (!result)
		result = tls_use_key(context, certificate, key_pem, error);
	if (!result)
		tls_warn_of_dates(certificate, error);
	X509_free(certificate);
	BIO_free(bio);
	return result;
}

int net_tls_authorities(X509_STORE *store, struct span pem, struct buffer *error)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.length);
	X509 *authority;
	bool added = true;
	int count = 0;

	while (added && bio && (authority = PEM_read_bio_X509_AUX(bio, NULL, tls_no_password, NULL))) {
		added = X509_STORE_add_cert(store, authority);
		X509_free(authority);
		count++;
	}
	BIO_free(bio);
	if (!added || !bio || !tls_pem_ended())
		return tls_error(error, "the authorities cannot be read");
	return count ? 0 : tls_error(error, "the authorities hold no certificate");
}

/* Both set *out only when they return 0. */
static int tls_client_new(struct span certificate_pem, struct span key_pem, struct span authorities_pem,
			  struct buffer *error, SSL_CTX **out)
{
	SSL_CTX *context = tls_context_new(TLS_client_method());
	int result = 0;

	if (!context)
		return tls_error(error, "no TLS context");
	SSL_CTX_set_cert_verify_callback(context, net_tls_verify, NULL);
	/* Shown when a peer asks who we are (mutual TLS). */
	if (certificate_pem.length || key_pem.length)
		result = tls_use_certificate(context, certificate_pem, key_pem, error);
	if (result)
		; /* said already */
	else if (authorities_pem.length)
		result = net_tls_authorities(SSL_CTX_get_cert_store(context), authorities_pem, error);
	else if (access(TLS_SYSTEM_AUTHORITIES, R_OK) || !SSL_CTX_load_verify_file(context, TLS_SYSTEM_AUTHORITIES))
		SSL_CTX_set_default_verify_paths(context);
	ERR_clear_error();
	if (result)
		SSL_CTX_free(context);
	else
		*out = context;
	return result;
}

int net_tls_server_new(struct span certificate_pem, struct span key_pem, struct buffer *error, SSL_CTX **out)
{
	SSL_CTX *context = tls_context_new(TLS_server_method());
	int result;

	if (!context)
		return tls_error(error, "no TLS context");
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(context, net_tls_verify, NULL);
	result = tls_use_certificate(context, certificate_pem, key_pem, error);
	if (result)
		SSL_CTX_free(context);
	else
		*out = context;
	return result;
}

int net_tls_set(struct net *net, struct span certificate_pem, struct span key_pem, struct span authorities_pem,
		char *error, size_t error_capacity)
{
	struct buffer text = buffer_over(error, error_capacity);
	SSL_CTX *server = NULL, *client = NULL;
	int result;

	ERR_clear_error();
	if (!net->tls.method)
		net->tls.method = net_tls_method_new();
	if (!net->tls.method)
		result = tls_error(&text, "no memory");
	else if (certificate_pem.length > INT32_MAX || key_pem.length > INT32_MAX || authorities_pem.length > INT32_MAX)
		result = tls_error(&text, "the certificate, key or authorities are too long");
	else
		result = tls_client_new(certificate_pem, key_pem, authorities_pem, &text, &client);
	text.length = result ? text.length : 0; /* the same warning comes for the listeners' */
	if (!result && (certificate_pem.length || key_pem.length))
		result = net_tls_server_new(certificate_pem, key_pem, &text, &server);
	if (error_capacity)
		buffer_text(&text);
	if (result) {
		SSL_CTX_free(client);
		return result;
	}
	SSL_CTX_free(net->tls.server); /* connections that are up hold their own reference */
	SSL_CTX_free(net->tls.client);
	net->tls.server = server;
	net->tls.client = client;
	return 0;
}
