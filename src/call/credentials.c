/* SPDX-License-Identifier: Apache-2.0
 * Answering a provider's challenges (RFC 3261 section 22, RFC 7616, RFC 8760): only a peer of the zone whose account it is, only
 * for its realm (CVE-2021-41158), at most twice for a request (CVE-2020-28242), never weaker than before. */
#include "call/trunk.h"

#define CNONCE_LENGTH 16

/* Whether `flow` leads to one of the zone's own peers: what was sent on elsewhere, after a redirect say, is not theirs. */
static struct trunk *trunk_of(struct gateway *gateway, const struct flow *flow)
{
	struct trunk *trunk = flow->zone < CONFIG_ZONES_MAXIMUM ? gateway->trunks[flow->zone] : NULL;

	return trunk && servers_admit(gateway, flow->zone, &flow->remote) ? trunk : NULL;
}

/* Never 0. */
static uint64_t nonce_hash(const struct gateway *gateway, struct span nonce)
{
	return hash_bytes(gateway->nonce_key, nonce.data, nonce.length) | 1;
}

/* ---- Taking a challenge ---- */

/* Whether "auth" is among what the challenge offers. Without qop it is RFC 2069's way, which old servers still go. */
static bool offers_auth(struct span qop)
{
	struct span rest = qop, element;

	if (!qop.length)
		return true;
	while (sip_list_next(&rest, &element))
		if (span_is(span_trim(element), "auth"))
			return true;
	return false;
}

/* What keeps this challenge from being answered, in words; NULL: nothing. */
static const char *obstacle(const struct trunk *trunk, const struct sip_digest *digest)
{
	if (*trunk->realm && !span_equal(digest->realm, span_from(trunk->realm)))
		return "it is for another realm than the account's";
	if (digest->unknown_algorithm)
		return "its algorithm is neither SHA-256 nor MD5";
	if (!offers_auth(digest->qop))
		return "it asks for a protection (qop) that is not supported";
	if (!digest->realm.length || digest->realm.length >= sizeof(trunk->realm) ||
	    digest->nonce.length >= sizeof(trunk->challenges[0].nonce) ||
	    digest->opaque.length >= sizeof(trunk->challenges[0].opaque))
		return "its realm, nonce or opaque is too long";
	return NULL;
}

/* The strongest that can be answered (RFC 8760 section 2.3 lets us choose). NULL: it is in *out. */
static const char *challenge_choose(struct trunk *trunk, const struct sip_message *response, struct sip_digest *out)
{
	enum sip_header_id id = response->status == 401 ? SIP_HEADER_WWW_AUTHENTICATE : SIP_HEADER_PROXY_AUTHENTICATE;
	const char *reason = "it holds no digest challenge";
	bool found = false;

	*out = (struct sip_digest){0};
	for (const struct sip_header *header = sip_message_header(response, id); header;
	     header = sip_message_header_next(response, header)) {
		struct sip_digest digest;
		const char *against;

		if (sip_digest_parse(header->value, &digest))
			continue;
		against = obstacle(trunk, &digest);
		if (against) {
			reason = found ? reason : against;
		} else if (!found || digest.algorithm > out->algorithm) {
			*out = digest;
			found = true;
		}
	}
	if (!found)
		return reason;
	if (out->algorithm == SIP_DIGEST_SHA256)
		trunk->sha256_seen = true;
	else if (trunk->digest == REGISTER_SHA256)
		return "it offers MD5 only, and register.digest wants SHA-256";
	else if (trunk->sha256_seen && trunk->digest != REGISTER_BOTH)
		return "it offers MD5 only, after SHA-256 was offered before";
	return NULL;
}

static void challenge_keep(struct challenge *challenge, const struct sip_digest *digest, bool is_proxy)
{
	*challenge = (struct challenge){
		.is_set = true,
		.is_proxy = is_proxy,
		.has_qop = digest->qop.length > 0,
		.has_opaque = digest->opaque.data != NULL,
		.algorithm = (uint8_t)digest->algorithm,
	};
	span_copy(digest->nonce, challenge->nonce, sizeof(challenge->nonce));
	span_copy(digest->opaque, challenge->opaque, sizeof(challenge->opaque));
}

static bool refuse(struct trunk *trunk, const struct flow *flow, const struct sip_digest *digest, const char *reason)
{
	char source[ADDRESS_TEXT_BYTES];

	trunk->gateway->counters.trunk_challenges_refused++;
	trunk->refusal = reason;
	log_limited(&trunk->refused_limit, LOG_WARNING, "trunk", "zone %s: a challenge of %s is not answered: %s%s%.*s",
		    gateway_zone(trunk->gateway, trunk->zone)->name, address_text(&flow->remote, source), reason,
		    digest ? "; its realm is " : "", SPAN_PRINT(digest ? digest->realm : SPAN_EMPTY));
	return false;
}

/* The realm that a refused challenge names, for the log: printable, and not longer than one may be. */
static const struct sip_digest *first_challenge(const struct sip_message *response, struct sip_digest *digest)
{
	enum sip_header_id id = response->status == 401 ? SIP_HEADER_WWW_AUTHENTICATE : SIP_HEADER_PROXY_AUTHENTICATE;
	const struct sip_header *header = sip_message_header(response, id);

	if (!header || sip_digest_parse(header->value, digest))
		return NULL;
	digest->realm = span_slice(digest->realm, 0, TRUNK_TEXT_CAPACITY - 1);
	return digest;
}

bool trunk_challenge_take(struct gateway *gateway, const struct flow *flow, const struct sip_message *response,
			  struct trunk_answered *answered)
{
	struct trunk *trunk = trunk_of(gateway, flow);
	struct sip_digest digest = {0}, first;
	const char *reason;

	if ((response->status != 401 && response->status != 407) || !trunk)
		return false;
	if (!*trunk->realm && response->method != SIP_REGISTER)
		return refuse(trunk, flow, first_challenge(response, &first),
			      "the registrar has not named its realm yet");
	reason = challenge_choose(trunk, response, &digest);
	if (reason)
		return refuse(trunk, flow, first_challenge(response, &first), reason);
	/* The very nonce that these credentials were made with: they are wrong, and would be again. */
	if (answered->nonce == nonce_hash(gateway, digest.nonce) && !digest.stale)
		return refuse(trunk, flow, NULL, "user or password are not accepted");
	if (answered->count >= TRUNK_ANSWERS_MAXIMUM)
		return refuse(trunk, flow, NULL, "user or password are not accepted, or the challenge changes forever");
	if (!*trunk->realm)
		span_copy(digest.realm, trunk->realm, sizeof(trunk->realm));
	challenge_keep(trunk_challenge(trunk, response->method), &digest, response->status == 407);
	answered->count++;
	trunk->refusal = NULL;
	gateway->counters.trunk_challenges_answered++;
	return true;
}

/* ---- Writing credentials ---- */

/* Of the request line that is in `out` already: what the digest covers is what is sent. */
static struct span request_uri(const struct buffer *out)
{
	struct span line = {out->data, out->length};
	ptrdiff_t from = span_index(line, ' '), length;

	if (from < 0 || out->overflow)
		return SPAN_EMPTY;
	line = span_slice(line, (size_t)from + 1, line.length);
	length = span_index(line, ' ');
	return span_slice(line, 0, length < 0 ? 0 : (size_t)length);
}

static void put_quoted(struct buffer *out, const char *name, struct span value)
{
	buffer_put_text(out, name);
	buffer_put_text(out, "=\"");
	buffer_put_span(out, value);
	buffer_put_byte(out, '"');
}

static bool response_compute(const struct trunk *trunk, const struct sip_digest *digest, enum sip_method method,
			     char response[SIP_HA1_CAPACITY])
{
	char ha1[SIP_HA1_CAPACITY];
	int error = sip_digest_ha1(digest->algorithm, span_from(trunk->login), span_from(trunk->realm),
				   span_from(trunk->password), ha1);

	if (!error)
		error = sip_digest_response(digest, ha1, span_from(sip_method_name(method)), response);
	memory_wipe(ha1, sizeof(ha1));
	return !error;
}

static void credentials_put(const struct sip_digest *digest, bool has_opaque, const char *response, struct buffer *out)
{
	put_quoted(out, "Digest username", digest->username);
	put_quoted(out, ", realm", digest->realm);
	put_quoted(out, ", nonce", digest->nonce);
	put_quoted(out, ", uri", digest->uri);
	put_quoted(out, ", response", span_from(response));
	buffer_printf(out, ", algorithm=%s", digest->algorithm == SIP_DIGEST_SHA256 ? "SHA-256" : "MD5");
	if (has_opaque)
		put_quoted(out, ", opaque", digest->opaque);
	if (!digest->qop.length)
		return;
	buffer_printf(out, ", qop=auth, nc=%.*s", SPAN_PRINT(digest->nc));
	put_quoted(out, ", cnonce", digest->cnonce);
}

void trunk_credentials_write(struct gateway *gateway, const struct flow *flow, enum sip_method method,
			     struct trunk_answered *answered, struct buffer *out)
{
	struct trunk *trunk = trunk_of(gateway, flow);
	struct challenge *challenge = trunk ? trunk_challenge(trunk, method) : NULL;
	char cnonce[CNONCE_LENGTH + 1], count[9], response[SIP_HA1_CAPACITY], text[3072];
	struct buffer value = BUFFER_OVER(text);
	struct sip_digest digest;

	answered->nonce = 0;
	if (!trunk || !challenge->is_set || method == SIP_ACK || method == SIP_CANCEL)
		return;
	random_token(gateway->random, cnonce, CNONCE_LENGTH);
	snprintf(count, sizeof(count), "%08x", ++challenge->count);
	digest = (struct sip_digest){
		.username = span_from(trunk->login),
		.realm = span_from(trunk->realm),
		.nonce = span_from(challenge->nonce),
		.uri = request_uri(out),
		.opaque = span_from(challenge->opaque),
		.cnonce = span_from(cnonce),
		.qop = challenge->has_qop ? SPAN("auth") : SPAN_EMPTY,
		.nc = span_from(count),
		.algorithm = challenge->algorithm,
	};
	if (!response_compute(trunk, &digest, method, response))
		return;
	credentials_put(&digest, challenge->has_opaque, response, &value);
	if (value.overflow)
		return;
	answered->nonce = nonce_hash(gateway, digest.nonce);
	sip_write_header(out, challenge->is_proxy ? SIP_HEADER_PROXY_AUTHORIZATION : SIP_HEADER_AUTHORIZATION,
			 buffer_span(&value));
}
