/* SPDX-License-Identifier: Apache-2.0
 * Whom the connections of a zone are believed to be: by certificates of its own authorities, also those of clients (RFC 5922
 * section 7.1), and reused for requests to whom they were verified as (RFC 5923). */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "net/private.h"

void net_trust_free(struct net_trust *trust)
{
	if (!trust)
		return;
	for (uint8_t i = 0; i < trust->name_count; i++)
		memory_free(trust->names[i]);
	X509_STORE_free(trust->authorities);
	memory_free(trust);
}

static bool names_take(struct net_trust *trust, const struct span *names, size_t count)
{
	for (size_t i = 0; i < count && i < NET_TRUST_NAMES_MAXIMUM; i++) {
		trust->names[i] = memory_copy_text(names[i]);
		if (!trust->names[i])
			return false;
		trust->name_count++;
	}
	return count <= NET_TRUST_NAMES_MAXIMUM;
}

struct net_trust *net_trust_new(enum net_client_certificate wanted, struct span authorities_pem,
				const struct span *names, size_t name_count, char *error, size_t error_capacity)
{
	struct net_trust *trust = memory_alloc(sizeof(*trust));
	struct buffer text = buffer_over(error, error_capacity);
	int result = trust && names_take(trust, names, name_count) ? 0 : -ENOMEM;

	ERR_clear_error();
	if (!result && authorities_pem.length) {
		trust->authorities = X509_STORE_new();
		result = trust->authorities ? net_tls_authorities(trust->authorities, authorities_pem, &text) : -ENOMEM;
	}
	if (!result) {
		trust->wanted = wanted;
		return trust;
	}
	if (result == -ENOMEM)
		buffer_put_text(&text, "no memory, or too many names");
	if (error_capacity)
		buffer_text(&text);
	net_trust_free(trust);
	return NULL;
}

void net_trust_set(struct net *net, uint8_t zone, struct net_trust *trust)
{
	net_trust_free(net->trusts[zone]);
	net->trusts[zone] = trust;
}

/* What TLS of this connection asks for. The store is the connection's own reference: a reload leaves it. */
bool net_trust_attach(struct net_connection *connection)
{
	static const unsigned char context[] = "ringwall";
	struct net *net = connection->net;
	const struct net_trust *trust = net->trusts[connection->flow.zone];
	X509_STORE *authorities = trust && trust->authorities ? trust->authorities
				  : net->tls.client           ? SSL_CTX_get_cert_store(net->tls.client)
							      : NULL;
	int mode = SSL_VERIFY_PEER;

	if (!trust)
		return true;
	if (authorities && !SSL_set1_verify_cert_store(connection->ssl, authorities))
		return false;
	if (connection->dial || trust->wanted == NET_CLIENT_CERTIFICATE_NONE)
		return true;
	if (trust->wanted == NET_CLIENT_CERTIFICATE_REQUIRE)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	connection->asks_certificate = true;
	SSL_set_verify(connection->ssl, mode, NULL);
	return SSL_set_session_id_context(connection->ssl, context, sizeof(context) - 1) == 1;
}

/* Of an accepted connection: the chain is good, and one of the zone's peers is named in it. Which, is kept. */
bool net_trust_identify(struct net_connection *connection, X509 *certificate)
{
	const struct net_trust *trust = connection->net->trusts[connection->flow.zone];

	for (uint8_t i = 0; trust && i < trust->name_count; i++) {
		if (!net_identity_matches(certificate, trust->names[i], &connection->flow.remote))
			continue;
		connection->identity = memory_copy_text(span_from(trust->names[i]));
		return connection->identity != NULL;
	}
	return false;
}

bool net_flow_identity(const struct net *net, const struct flow *flow, struct span *name)
{
	const struct net_connection *connection = net_connection_find(net, flow->connection);

	if (!connection || !connection->identity)
		return false;
	*name = span_from(connection->identity);
	return true;
}
