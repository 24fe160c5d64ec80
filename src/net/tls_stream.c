/* SPDX-License-Identifier: Apache-2.0
 * TLS on a connection: handshake, bytes, verification. OpenSSL reads and writes through a BIO of ours,
 * which knows this turn's allowance and never raises SIGPIPE. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "net/private.h"

static int method_result(BIO *bio, ptrdiff_t length, int retry)
{
	BIO_clear_retry_flags(bio);
	if (length == -EAGAIN)
		BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
	return length < 0 ? -1 : (int)length;
}

static int method_read(BIO *bio, char *out, int capacity)
{
	return method_result(bio, net_connection_receive(BIO_get_data(bio), out, (size_t)capacity), BIO_FLAGS_READ);
}

static int method_write(BIO *bio, const char *data, int length)
{
	struct span bytes = {data, (size_t)length};

	return method_result(bio, net_connection_transmit(BIO_get_data(bio), bytes), BIO_FLAGS_WRITE);
}

static long method_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH; /* nothing is held back */
}

BIO_METHOD *net_tls_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");

	if (!method)
		return NULL;
	BIO_meth_set_read(method, method_read);
	BIO_meth_set_write(method, method_write);
	BIO_meth_set_ctrl(method, method_control);
	return method;
}

/* Who the dialled peer is asked to be (RFC 6066 section 3: names only, never addresses). */
static bool tls_name_server(const struct net_connection *connection)
{
	const char *name = connection->dial->name;
	struct address address;

	if (!*name || !address_parse_ip(span_from(name), &address))
		return true;
	return SSL_set_tlsext_host_name(connection->ssl, name);
}

int net_tls_attach(struct net_connection *connection)
{
	struct net_tls *tls = &connection->net->tls;
	SSL_CTX *context = connection->dial ? tls->client : tls->server;
	BIO *bio;

	if (!context)
		return -ENOENT;
	connection->ssl = SSL_new(context);
	bio = connection->ssl ? BIO_new(tls->method) : NULL;
	if (!bio)
		return -ENOMEM;
	BIO_set_data(bio, connection);
	BIO_set_init(bio, 1);
	SSL_set_bio(connection->ssl, bio, bio);
	if (!SSL_set_app_data(connection->ssl, connection)) /* it may need memory */
		return -ENOMEM;
	if (!net_trust_attach(connection))
		return -ENOMEM;
	if (!connection->dial) {
		SSL_set_accept_state(connection->ssl);
		return 0;
	}
	SSL_set_connect_state(connection->ssl);
	SSL_set_verify(connection->ssl, connection->dial->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	return tls_name_server(connection) ? 0 : -ENOMEM;
}

void net_tls_detach(struct net_connection *connection)
{
	SSL_free(connection->ssl);
	connection->ssl = NULL;
	ERR_clear_error();
}

/* The chain first, then the name, while the handshake can still be refused with an alert. */
int net_tls_verify(X509_STORE_CTX *store, void *context)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct net_connection *connection = SSL_get_app_data(ssl);

	(void)context;
	if (connection->dial && !connection->dial->verify)
		return 1;
	if (X509_verify_cert(store) <= 0)
		return 0;
	if (!connection->dial) {
		if (net_trust_identify(connection, X509_STORE_CTX_get0_cert(store)))
			return 1;
		X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
		return 0;
	}
	if (net_identity_matches(X509_STORE_CTX_get0_cert(store), connection->dial->name, &connection->flow.remote))
		return 1;
	X509_STORE_CTX_set_error(store, *connection->dial->name ? X509_V_ERR_HOSTNAME_MISMATCH
								: X509_V_ERR_IP_ADDRESS_MISMATCH);
	return 0;
}

static void tls_handshake_failed(struct net_connection *connection)
{
	struct net *net = connection->net;
	unsigned long error = ERR_peek_error();
	const char *text = error ? ERR_reason_error_string(error) : "connection closed";
	char remote[ADDRESS_TEXT_BYTES];
	long verified = SSL_get_verify_result(connection->ssl);

	connection->tls_failed = true;
	address_text(&connection->flow.remote, remote);
	if ((connection->dial ? connection->dial->verify : connection->asks_certificate) && verified != X509_V_OK) {
		log_limited(&net->log_certificate, LOG_WARNING, "net", "certificate refused peer=%s name=%s: %s",
			    remote, connection->dial ? connection->dial->name : "(any of the zone's peers)",
			    X509_verify_cert_error_string(verified));
		net_connection_end(connection, NET_CLOSED_CERTIFICATE);
		return;
	}
	log_limited(&net->log_handshake, LOG_INFO, "net", "TLS handshake failed peer=%s: %s", remote,
		    text ? text : "unknown");
	net_connection_end(connection, NET_CLOSED_HANDSHAKE);
}

void net_tls_handshake(struct net_connection *connection)
{
	int result;

	ERR_clear_error();
	connection->receives_left = NET_RECEIVES_PER_TURN;
	result = SSL_do_handshake(connection->ssl);
	if (result == 1 && transport_is_websocket(connection->flow.transport)) {
		net_upgrade_begin(connection); /* which counts as part of the handshake */
		return;
	}
	if (result == 1) {
		net_connection_handshake_done(connection);
		net_stream_opened(connection);
		return;
	}
	switch (SSL_get_error(connection->ssl, result)) {
	case SSL_ERROR_WANT_READ: net_connection_want(connection, EV_READ); break;
	case SSL_ERROR_WANT_WRITE: net_connection_want(connection, EV_WRITE); break;
	default: tls_handshake_failed(connection);
	}
	ERR_clear_error();
}

/* A result of SSL_read or SSL_write that moved nothing, as recv and send would say it. */
static ptrdiff_t tls_error(struct net_connection *connection, int result)
{
	switch (SSL_get_error(connection->ssl, result)) {
	case SSL_ERROR_WANT_READ: return -EAGAIN;
	case SSL_ERROR_WANT_WRITE: connection->tls_wants_write = true; return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN: return 0;
	default:
		connection->tls_failed = true;
		ERR_clear_error();
		return -ECONNRESET;
	}
}

ptrdiff_t net_tls_receive(struct net_connection *connection, char *out, size_t capacity)
{
	size_t length;

	connection->tls_wants_write = false;
	ERR_clear_error();
	if (SSL_read_ex(connection->ssl, out, capacity, &length))
		return (ptrdiff_t)length;
	return tls_error(connection, 0);
}

ptrdiff_t net_tls_send(struct net_connection *connection, struct span bytes)
{
	size_t length;
	ptrdiff_t error;

	ERR_clear_error();
	if (SSL_write_ex(connection->ssl, bytes.data, bytes.length, &length))
		return (ptrdiff_t)length;
	error = tls_error(connection, 0);
	connection->tls_wants_write = false; /* the queue waits for that already */
	return error ? error : -ECONNRESET;
}

void net_tls_shutdown(struct net_connection *connection)
{
	if (connection->tls_failed || !SSL_is_init_finished(connection->ssl) ||
	    SSL_get_shutdown(connection->ssl) & SSL_SENT_SHUTDOWN)
		return;
	ERR_clear_error();
	SSL_shutdown(connection->ssl);
	ERR_clear_error();
}
