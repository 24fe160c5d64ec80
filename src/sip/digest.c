/* SPDX-License-Identifier: Apache-2.0
 * Digest: challenges and credentials taken apart, responses computed and compared.
 * RFC 3261 section 22, RFC 7616, RFC 8760. */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "sip/scan.h"

#define DIGEST_PIECES 12

static const struct {
	const char *name;
	const EVP_MD *(*function)(void);
} algorithms[SIP_DIGEST_COUNT] = {
	[SIP_DIGEST_MD5] = {"MD5", EVP_md5},
	[SIP_DIGEST_SHA256] = {"SHA-256", EVP_sha256},
};

static void algorithm_set(struct sip_digest *digest, struct span name)
{
	digest->unknown_algorithm = true;
	for (int i = 0; i < SIP_DIGEST_COUNT; i++) {
		if (!span_is(name, algorithms[i].name))
			continue;
		digest->algorithm = (enum sip_digest_algorithm)i;
		digest->unknown_algorithm = false;
	}
}

/* What is not known is left out: RFC 7616 section 3.3. */
static void parameter_set(struct sip_digest *digest, struct span name, struct span value)
{
	const struct {
		const char *name;
		struct span *value;
	} texts[] = {
		{"username", &digest->username}, {"realm", &digest->realm},       {"nonce", &digest->nonce},
		{"uri", &digest->uri},           {"response", &digest->response}, {"opaque", &digest->opaque},
		{"cnonce", &digest->cnonce},     {"qop", &digest->qop},           {"nc", &digest->nc},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (span_is(name, texts[i].name)) {
			*texts[i].value = value;
			return;
		}
	}
	if (span_is(name, "algorithm"))
		algorithm_set(digest, value);
	else if (span_is(name, "stale"))
		digest->stale = span_is(value, "true");
}

/* name "=" (token / quoted-string); the quotes are left out of *value, escapes inside stay. */
static bool parameter_take(struct scan *scan, struct span *name, struct span *value)
{
	*name = scan_while(scan, CLASS_TOKEN);
	scan_blanks(scan);
	if (!name->length || !scan_byte(scan, '='))
		return false;
	scan_blanks(scan);
	if (scan_sees(scan, '"')) {
		if (!scan_quoted(scan, value))
			return false;
		*value = span_slice(*value, 1, value->length - 2);
	} else {
		*value = scan_while(scan, CLASS_TOKEN);
		if (!value->length)
			return false;
	}
	scan_blanks(scan);
	return true;
}

/* Eight hexadecimal digits: RFC 7616 section 3.4. */
static bool count_is_valid(struct span nc)
{
	struct scan scan = scan_over(nc);

	return !nc.length || (nc.length == 8 && scan_while(&scan, CLASS_HEX).length == 8);
}

int sip_digest_parse(struct span value, struct sip_digest *digest)
{
	struct scan scan = scan_over(span_trim(value));
	struct span name, text;
	struct name_set names;

	memset(digest, 0, sizeof(*digest));
	name = scan_while(&scan, CLASS_TOKEN);
	if (!name.length || scan.at == scan.end || !byte_is(*scan.at, CLASS_BLANK))
		return -EINVAL;
	if (!span_is(name, "Digest"))
		return -ENOTSUP;
	name_set_init(&names);
	do {
		scan_blanks(&scan);
		if (!parameter_take(&scan, &name, &text) || !name_set_add(&names, name))
			goto malformed;
		parameter_set(digest, name, text);
	} while (scan_byte(&scan, ','));
	if (scan.at != scan.end || !digest->realm.data || !digest->nonce.data || !count_is_valid(digest->nc))
		goto malformed;
	return 0;

malformed:
	memset(digest, 0, sizeof(*digest));
	return -EINVAL;
}

/* The pieces one behind the other, hashed, as lower-case hexadecimal. */
static int hash_hex(enum sip_digest_algorithm algorithm, const struct span *pieces, size_t count,
		    char hex[SIP_HA1_CAPACITY])
{
	struct buffer out = buffer_over(hex, SIP_HA1_CAPACITY);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	bool done;

	done = context && EVP_DigestInit_ex(context, algorithms[algorithm].function(), NULL);
	for (size_t i = 0; i < count && done; i++)
		done = EVP_DigestUpdate(context, pieces[i].data, pieces[i].length);
	done = done && EVP_DigestFinal_ex(context, hash, &length);
	EVP_MD_CTX_free(context); /* cleanses its state */
	if (done)
		buffer_put_hex(&out, hash, length);
	buffer_text(&out);
	memory_wipe(hash, sizeof(hash));
	return done ? 0 : -EIO;
}

int sip_digest_ha1(enum sip_digest_algorithm algorithm, struct span user, struct span realm, struct span password,
		   char ha1[SIP_HA1_CAPACITY])
{
	struct span pieces[] = {user, SPAN(":"), realm, SPAN(":"), password};

	return hash_hex(algorithm, pieces, sizeof(pieces) / sizeof(*pieces), ha1);
}

int sip_digest_response(const struct sip_digest *digest, const char *ha1, struct span method,
			char response[SIP_HA1_CAPACITY])
{
	const struct span colon = SPAN(":");
	char ha2[SIP_HA1_CAPACITY];
	struct span request[] = {method, colon, digest->uri};
	struct span pieces[DIGEST_PIECES] = {span_from(ha1), colon, digest->nonce, colon};
	size_t count = 4;
	int error;

	*response = '\0';
	if (digest->unknown_algorithm || (digest->qop.length && !span_is(digest->qop, "auth")))
		return -ENOTSUP;
	error = hash_hex(digest->algorithm, request, 3, ha2);
	if (error)
		return error;
	if (digest->qop.length) {
		const struct span more[] = {digest->nc, colon, digest->cnonce, colon, digest->qop, colon};

		memcpy(pieces + count, more, sizeof(more));
		count += sizeof(more) / sizeof(*more);
	}
	pieces[count++] = span_from(ha2);
	return hash_hex(digest->algorithm, pieces, count, response);
}

bool sip_digest_verify(const struct sip_digest *credentials, const char *ha1, struct span method)
{
	char expected[SIP_HA1_CAPACITY];
	bool equal;

	/* Without nc and cnonce "auth" is not what it says: RFC 7616 section 3.4. */
	if (credentials->qop.length && (!credentials->nc.length || !credentials->cnonce.length))
		return false;
	if (sip_digest_response(credentials, ha1, method, expected) || credentials->response.length != strlen(expected))
		return false;
	equal = bytes_equal_constant_time(credentials->response.data, expected, credentials->response.length);
	memory_wipe(expected, sizeof(expected));
	return equal;
}
