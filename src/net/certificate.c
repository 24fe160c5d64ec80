/* SPDX-License-Identifier: Apache-2.0
 * Self-signed certificates, for who has none yet. */
#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "net/private.h"

#define CERTIFICATE_DAYS 3652
#define CERTIFICATE_NAMES_MAXIMUM 100
#define COMMON_NAME_MAXIMUM 64 /* RFC 5280 appendix A.1, ub-common-name */

static bool dns_name_is_valid(struct span name)
{
	if (!name.length || name.length > 253)
		return false;
	for (size_t i = 0; i < name.length; i++) {
		unsigned char byte = (unsigned char)name.data[i];

		if (!isalnum(byte) && byte != '-' && byte != '.' && byte != '_')
			return false;
	}
	return true;
}

/* The alternative name for a DNS name or an IP address, or NULL. `address` is NULL for a DNS name. */
static GENERAL_NAME *alternative_new(struct span name, const struct address *address)
{
	bool is_address = address != NULL;
	GENERAL_NAME *alternative = GENERAL_NAME_new();
	ASN1_STRING *value = is_address ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	const void *bytes = is_address ? (const void *)address->ip : name.data;
	int length = is_address ? (address->family == ADDRESS_IPV6 ? 16 : 4) : (int)name.length;

	if (!alternative || !value || !ASN1_STRING_set(value, bytes, length)) {
		GENERAL_NAME_free(alternative);
		ASN1_STRING_free(value);
		return NULL;
	}
	GENERAL_NAME_set0_value(alternative, is_address ? GEN_IPADD : GEN_DNS, value);
	return alternative;
}

static int alternative_add(GENERAL_NAMES *alternatives, struct span name, const struct address *address)
{
	GENERAL_NAME *alternative = alternative_new(name, address);

	if (alternative && sk_GENERAL_NAME_push(alternatives, alternative))
		return 0;
	GENERAL_NAME_free(alternative);
	return -ENOMEM;
}

static int certificate_add_names(X509 *certificate, const struct span *names, size_t count)
{
	GENERAL_NAMES *alternatives = GENERAL_NAMES_new();
	int result = -ENOMEM;

	for (size_t i = 0; alternatives && i < count; i++) {
		struct address address;
		bool is_address = !address_parse_ip(names[i], &address);

		if (is_address && alternative_add(alternatives, names[i], &address))
			goto out;
		/* mbedTLS 2, and so Linphone, compares an address with DNS names alone. */
		if ((!is_address || address.family == ADDRESS_IPV4) && alternative_add(alternatives, names[i], NULL))
			goto out;
	}
	if (alternatives && X509_add1_ext_i2d(certificate, NID_subject_alt_name, alternatives, 0, 0) == 1)
		result = 0;
out:
	GENERAL_NAMES_free(alternatives);
	return result;
}

static const struct {
	int kind;
	const char *value;
} certificate_extensions[] = {
	/* Not an authority: who imports it trusts this gateway, and not whatever its key would sign. */
	{NID_basic_constraints, "critical,CA:FALSE"},
	{NID_key_usage, "critical,digitalSignature"},
	{NID_ext_key_usage, "serverAuth,clientAuth"},
	{NID_subject_key_identifier, "hash"},
};

static int certificate_add_extensions(X509 *certificate)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	for (size_t i = 0; i < sizeof(certificate_extensions) / sizeof(*certificate_extensions); i++) {
		X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, certificate_extensions[i].kind,
								certificate_extensions[i].value);
		int added = extension && X509_add_ext(certificate, extension, -1);

		X509_EXTENSION_free(extension);
		if (!added)
			return -ENOMEM;
	}
	return 0;
}

/* RFC 5280 section 4.1.2.2: positive, at most 20 bytes; random so that two made by the same host differ. */
static int certificate_set_serial(X509 *certificate)
{
	unsigned char bytes[16];
	BIGNUM *number;
	int result = -ENOMEM;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -EIO;
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	if (number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)))
		result = 0;
	BN_free(number);
	return result;
}

static int certificate_fill(X509 *certificate, EVP_PKEY *key, const struct span *names, size_t count)
{
	/* The names that count are the alternative ones; this one is for people. */
	struct span common = names[0].length <= COMMON_NAME_MAXIMUM ? names[0] : SPAN("SIP server");
	X509_NAME *subject = X509_get_subject_name(certificate);
	int64_t now_s = clock_wall_s();
	time_t from = (time_t)(now_s - 3600); /* for phones whose clock is a little behind */
	time_t until = (time_t)(now_s + (int64_t)CERTIFICATE_DAYS * 24 * 3600);

	if (certificate_set_serial(certificate) || !X509_set_version(certificate, X509_VERSION_3) ||
	    !X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, (const unsigned char *)common.data,
					(int)common.length, -1, 0) ||
	    !X509_set_issuer_name(certificate, subject) || !ASN1_TIME_set(X509_getm_notBefore(certificate), from) ||
	    !ASN1_TIME_set(X509_getm_notAfter(certificate), until) || !X509_set_pubkey(certificate, key) ||
	    certificate_add_names(certificate, names, count) || certificate_add_extensions(certificate) ||
	    !X509_sign(certificate, key, EVP_sha256()))
		return -ENOMEM;
	return 0;
}

/* Copies what a memory BIO holds, and wipes it there. */
static int pem_copy(BIO *bio, struct buffer *out)
{
	char *data = NULL;
	long length = BIO_get_mem_data(bio, &data);

	buffer_put(out, data, (size_t)length);
	memory_wipe(data, (size_t)length);
	return out->overflow ? -ENOSPC : 0;
}

static int pem_write(X509 *certificate, EVP_PKEY *key, struct buffer *certificate_pem, struct buffer *key_pem)
{
	BIO *certificate_bio = BIO_new(BIO_s_mem());
	BIO *key_bio = BIO_new(BIO_s_secmem());
	int result = -ENOMEM;

	if (certificate_bio && key_bio && PEM_write_bio_X509(certificate_bio, certificate) &&
	    PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL)) {
		result = pem_copy(certificate_bio, certificate_pem);
		if (!result)
			result = pem_copy(key_bio, key_pem);
	}
	BIO_free(certificate_bio);
	BIO_free(key_bio);
	return result;
}

int net_certificate_make(const struct span *names, size_t name_count, struct buffer *certificate_pem,
			 struct buffer *key_pem)
{
	struct address address;
	EVP_PKEY *key;
	X509 *certificate;
	int result = -ENOMEM;

	if (!name_count || name_count > CERTIFICATE_NAMES_MAXIMUM)
		return -EINVAL;
	for (size_t i = 0; i < name_count; i++) {
		if (address_parse_ip(names[i], &address) && !dns_name_is_valid(names[i]))
			return -EINVAL;
	}
	key = EVP_EC_gen("P-256");
	certificate = X509_new();
	if (key && certificate)
		result = certificate_fill(certificate, key, names, name_count);
	if (!result)
		result = pem_write(certificate, key, certificate_pem, key_pem);
	X509_free(certificate);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return result;
}

int net_certificate_fingerprint(struct span certificate_pem, uint8_t fingerprint[32])
{
	BIO *bio = BIO_new_mem_buf(certificate_pem.data, (int)certificate_pem.length);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool done = certificate && X509_digest(certificate, EVP_sha256(), fingerprint, NULL) == 1;

	X509_free(certificate);
	BIO_free(bio);
	ERR_clear_error();
	return done ? 0 : -EINVAL;
}
