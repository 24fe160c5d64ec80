/* SPDX-License-Identifier: Apache-2.0
 * Answers to digest challenges (RFC 3261 section 22, RFC 7616, RFC 8760). */
#include <errno.h>
#include <string.h>

#include "agent/ua.h"

/* Whether `auth` is among the offered qualities of protection, a comma list. */
static bool offers_auth(struct span qop)
{
	while (qop.length) {
		ptrdiff_t comma = span_index(qop, ',');
		size_t length = comma < 0 ? qop.length : (size_t)comma;

		if (span_is(span_trim(span_slice(qop, 0, length)), "auth"))
			return true;
		qop = span_slice(qop, length + 1, SIZE_MAX);
	}
	return false;
}

static bool challenge_is_usable(const struct sip_digest *challenge)
{
	return !challenge->unknown_algorithm && (!challenge->qop.length || offers_auth(challenge->qop));
}

static bool challenge_choose(const struct sip_message *response, enum sip_header_id id, struct sip_digest *chosen)
{
	const struct sip_header *header = sip_message_header(response, id);
	struct sip_digest challenge;
	bool found = false;

	for (; header; header = sip_message_header_next(response, header)) {
		if (sip_digest_parse(header->value, &challenge) || !challenge_is_usable(&challenge))
			continue;
		if (!found || challenge.algorithm > chosen->algorithm)
			*chosen = challenge;
		found = true;
	}
	return found;
}

static void write_quoted(struct buffer *out, const char *name, struct span value)
{
	buffer_printf(out, "%s=\"", name);
	buffer_put_span(out, value);
	buffer_put_text(out, "\", ");
}

static void credentials_write(struct buffer *out, const struct sip_digest *digest, const char *response)
{
	buffer_put_text(out, "Digest ");
	write_quoted(out, "username", digest->username);
	write_quoted(out, "realm", digest->realm);
	write_quoted(out, "nonce", digest->nonce);
	write_quoted(out, "uri", digest->uri);
	if (digest->opaque.data)
		write_quoted(out, "opaque", digest->opaque);
	if (digest->qop.length) {
		write_quoted(out, "cnonce", digest->cnonce);
		buffer_put_text(out, "qop=auth, nc=00000001, ");
	}
	buffer_printf(out, "algorithm=%s, response=\"%s\"", digest->algorithm == SIP_DIGEST_SHA256 ? "SHA-256" : "MD5",
		      response);
}

int ua_authorize(struct ua *ua, struct buffer *out, const struct sip_message *response, const char *user,
		 const char *password, struct span method, struct span uri)
{
	bool by_proxy = response->status == 407;
	char ha1[SIP_HA1_CAPACITY], answer[SIP_HA1_CAPACITY], cnonce[17], text[2048];
	struct buffer value = BUFFER_OVER(text);
	struct sip_digest digest = {0};
	int error;

	if (!user || !password || strpbrk(user, "\"\\") ||
	    !challenge_choose(response, by_proxy ? SIP_HEADER_PROXY_AUTHENTICATE : SIP_HEADER_WWW_AUTHENTICATE,
			      &digest))
		return -ENOENT;
	random_token(ua->random, cnonce, sizeof(cnonce) - 1);
	digest.username = span_from(user);
	digest.uri = uri;
	if (digest.qop.length) {
		digest.qop = SPAN("auth");
		digest.nc = SPAN("00000001");
		digest.cnonce = span_from(cnonce);
	}
	error = sip_digest_ha1(digest.algorithm, digest.username, digest.realm, span_from(password), ha1);
	if (!error)
		error = sip_digest_response(&digest, ha1, method, answer);
	memory_wipe(ha1, sizeof(ha1));
	if (error)
		return error;
	credentials_write(&value, &digest, answer);
	if (value.overflow)
		return -ENOENT;
	sip_write_header(out, by_proxy ? SIP_HEADER_PROXY_AUTHORIZATION : SIP_HEADER_AUTHORIZATION,
			 buffer_span(&value));
	return 0;
}
