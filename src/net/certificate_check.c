/* SPDX-License-Identifier: Apache-2.0
 * What certificates are good for, told before they are used. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/private.h"

static bool is_held(X509 *certificate, struct span name)
{
	static const struct address nowhere;
	char text[256];

	return !span_copy(name, text, sizeof(text)) && net_identity_matches(certificate, text, &nowhere);
}

int net_certificate_check(struct span certificate_pem, struct span key_pem, const struct span *names, size_t name_count,
			  struct net_certificate_facts *facts, char *error, size_t error_capacity)
{
	struct buffer text = buffer_over(error, error_capacity);
	SSL_CTX *context = NULL;
	X509 *certificate;
	int result;

	*facts = (struct net_certificate_facts){0};
	ERR_clear_error();
	result = net_tls_server_new(certificate_pem, key_pem, &text, &context);
	if (error_capacity)
		buffer_text(&text);
	if (result)
		return result;
	certificate = SSL_CTX_get0_certificate(context);
	for (size_t i = 0; i < name_count; i++)
		facts->names_held += is_held(certificate, names[i]);
	facts->for_servers = X509_check_purpose(certificate, X509_PURPOSE_SSL_SERVER, 0) == 1;
	facts->for_clients = X509_check_purpose(certificate, X509_PURPOSE_SSL_CLIENT, 0) == 1;
	SSL_CTX_free(context);
	ERR_clear_error();
	return 0;
}

static bool has_expired(X509_STORE *store)
{
	STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		if (authority && X509_cmp_current_time(X509_get0_notAfter(authority)) > 0)
			return false;
	}
	return true;
}

int net_authorities_check(struct span authorities_pem, char *error, size_t error_capacity)
{
	struct buffer text = buffer_over(error, error_capacity);
	X509_STORE *store = X509_STORE_new();
	int result = -ENOMEM;

	ERR_clear_error();
	if (store)
		result = net_tls_authorities(store, authorities_pem, &text);
	if (!result && has_expired(store))
		buffer_put_text(&text, "warning: every one of the authorities has expired");
	if (error_capacity)
		buffer_text(&text);
	X509_STORE_free(store);
	return result;
}
