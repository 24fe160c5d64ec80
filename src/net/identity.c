/* SPDX-License-Identifier: Apache-2.0
 * Whether a certificate is for the domain that was dialled: RFC 5922 section 7. Names are compared whole
 * and never with wildcards (section 7.2). */
#include <openssl/x509v3.h>
#include <strings.h>

#include "net/private.h"

static struct span identity_text(const ASN1_STRING *text)
{
	return (struct span){(const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)};
}

/* The host of "sip:host" with nothing else; empty for what is no identity of a domain. A port or
 * parameters name something narrower than a domain, so they do not count either. */
static struct span identity_of_uri(struct span uri)
{
	static const struct span scheme = SPAN_INIT("sip:");
	struct span host = span_slice(uri, scheme.length, uri.length);

	if (!span_equal_nocase(span_slice(uri, 0, scheme.length), scheme))
		return SPAN_EMPTY;
	for (size_t at = 0; at < host.length; at++) {
		if (host.data[at] == '@' || host.data[at] == ':' || host.data[at] == ';' || host.data[at] == '?')
			return SPAN_EMPTY;
	}
	return host;
}

/* Section 7.1 step 1: URIs of scheme sip; DNS names only if there is no such URI. */
static bool identity_in_alternatives(const GENERAL_NAMES *names, struct span name)
{
	bool has_uri = false, uri_matches = false, dns_matches = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *alternative = sk_GENERAL_NAME_value(names, i);

		if (alternative->type == GEN_URI) {
			struct span host = identity_of_uri(identity_text(alternative->d.uniformResourceIdentifier));

			has_uri |= host.length > 0;
			uri_matches |= span_equal_nocase(host, name);
		} else if (alternative->type == GEN_DNS) {
			dns_matches |= span_equal_nocase(identity_text(alternative->d.dNSName), name);
		}
	}
	return has_uri ? uri_matches : dns_matches;
}

/* Section 7.1 step 2: only of a certificate without any alternative name. */
static bool identity_in_common_name(X509 *certificate, struct span name)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0)
		return false;
	return span_equal_nocase(identity_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))), name);
}

bool net_identity_matches(X509 *certificate, const char *name, const struct address *address)
{
	struct address literal = *address;
	struct span wanted = span_from(name);
	GENERAL_NAMES *names;
	int critical;
	bool matches;

	if (!wanted.length || !address_parse_ip(wanted, &literal))
		return X509_check_ip(certificate, literal.ip, literal.family == ADDRESS_IPV6 ? 16 : 4, 0) == 1;

	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
	if (!names)
		return critical == -1 && identity_in_common_name(certificate, wanted);
	matches = identity_in_alternatives(names, wanted);
	GENERAL_NAMES_free(names);
	return matches;
}
