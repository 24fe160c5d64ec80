/* SPDX-License-Identifier: Apache-2.0
 * Local authentication: the gateway challenges phones itself (RFC 3261 section 22, RFC 8760). Known and unknown users
 * get the same answers (THREATS S2). */
#include "call/dialogs.h"
#include "call/findings.h"
#include "call/phones.h"

#define NONCE_LIFETIME_S 300

/* What a zone's challenges offer and its credentials may use, strongest first. */
static const struct {
	enum sip_digest_algorithm algorithm;
	const char *name;
	enum zone_digest not_when;
} digests[] = {
	{SIP_DIGEST_SHA256, "SHA-256", DIGEST_MD5},
	{SIP_DIGEST_MD5, "MD5", DIGEST_SHA256},
};
#define DIGESTS (sizeof(digests) / sizeof(digests[0]))

static bool zone_takes(const struct config_zone *zone, enum sip_digest_algorithm algorithm)
{
	for (size_t i = 0; i < DIGESTS; i++)
		if (digests[i].algorithm == algorithm)
			return zone->digest != digests[i].not_when;
	return false;
}

static void challenge(struct gateway *gateway, struct sip_server_transaction *server, bool stale)
{
	const struct sip_message *request = sip_server_request(server);
	const struct config_zone *zone = gateway_zone(gateway, sip_server_flow(server)->zone);
	bool is_register = request->method == SIP_REGISTER;
	char nonce[SIP_NONCE_CAPACITY], text[1200];
	struct buffer extra = BUFFER_OVER(text);

	sip_nonce_make(gateway->nonce_key, sip_server_flow(server), clock_wall_s(), gateway->random, nonce);
	for (size_t i = 0; i < DIGESTS; i++)
		if (zone->digest != digests[i].not_when)
			buffer_printf(&extra, "%s: Digest realm=\"%s\", nonce=\"%s\", algorithm=%s, qop=\"auth\"%s\r\n",
				      is_register ? "WWW-Authenticate" : "Proxy-Authenticate",
				      gateway->config->site.domain, nonce, digests[i].name,
				      stale ? ", stale=true" : "");
	gateway->counters.challenges_sent++;
	respond(gateway, server, is_register ? 401 : 407, NULL, extra.overflow ? NULL : buffer_text(&extra));
}

/* ---- Nonces that were used (THREATS S3) ---- */

#define USE_WAYS 4

/* A nonce that brought credentials that were right, and the highest count (nc) they came with. */
struct nonce_use {
	uint64_t hash;
	uint32_t count, expires_s;
};

struct nonce_uses {
	uint64_t mask; /* sets less one */
	struct nonce_use sets[][USE_WAYS];
};

struct nonce_uses *nonce_uses_new(uint32_t wanted)
{
	uint64_t sets = 16;
	struct nonce_uses *uses;

	while (sets * USE_WAYS < wanted && sets < (1u << 18))
		sets *= 2;
	uses = memory_alloc(sizeof(*uses) + sets * sizeof(uses->sets[0]));
	if (uses)
		uses->mask = sets - 1;
	return uses;
}

void nonce_uses_free(struct nonce_uses *uses)
{
	memory_free(uses);
}

/* False: these credentials, or later ones of the same nonce, came already (RFC 7616 section 3.4, nc). What a full set forgets
 * is the nonce that ends first. */
static bool nonce_take(struct gateway *gateway, const struct sip_digest *credentials, int64_t now_s)
{
	uint64_t hash = hash_bytes(gateway->nonce_key, credentials->nonce.data, credentials->nonce.length);
	struct nonce_use *set = gateway->nonces->sets[hash & gateway->nonces->mask], *use = &set[0];
	uint32_t count = 0;

	for (size_t i = 0; i < credentials->nc.length; i++) {
		char digit = credentials->nc.data[i];

		count = count << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
	}
	for (int i = 0; i < USE_WAYS; i++) {
		if (set[i].hash == hash && set[i].expires_s) {
			use = &set[i];
			if (count <= use->count)
				return false;
			break;
		}
		if (set[i].expires_s < use->expires_s)
			use = &set[i];
	}
	*use = (struct nonce_use){hash, count, (uint32_t)now_s + NONCE_LIFETIME_S};
	return true;
}

/* Credentials are for one place to call (RFC 3261 section 22.4): who overheard them cannot call another with them. Hosts and
 * parameters are written in many ways, the user in one. */
static bool uri_is_of(const struct sip_digest *credentials, const struct sip_message *request)
{
	struct sip_uri uri;

	return sip_uri_parse(credentials->uri, &uri) == SIP_OK && sip_user_equal(uri.user, request->request_uri.user);
}

/* ---- Verifying ---- */

static const struct account *account_find(struct gateway *gateway, const char *user)
{
	struct table_link *link =
		table_find(gateway->accounts, table_hash(gateway->accounts, user, strlen(user)), user);

	return link ? table_object(link, struct account, link) : NULL;
}

/* Verifies against the account or, where there is none, against a digest of nothing, so that both take as long. */
static const struct account *verify(struct gateway *gateway, const struct sip_message *request,
				    const struct sip_digest *credentials)
{
	static const char nothing[] = "0000000000000000000000000000000000000000000000000000000000000000";
	const struct account *account = NULL;
	const char *ha1 = nothing;
	char user[128];

	if (!sip_user_decode(credentials->username, user, sizeof(user)))
		account = account_find(gateway, user);
	if (account)
		ha1 = credentials->algorithm == SIP_DIGEST_SHA256 ? account->record.ha1_sha256
								  : account->record.ha1_md5;
	if (!*ha1) { /* this account has no such digest */
		ha1 = nothing;
		account = NULL;
	}
	return sip_digest_verify(credentials, ha1, request->method_text) ? account : NULL;
}

/* The credentials for our realm, whose algorithm the zone allows. */
static bool credentials_find(struct gateway *gateway, const struct config_zone *zone, const struct sip_message *request,
			     struct sip_digest *out)
{
	enum sip_header_id id =
		request->method == SIP_REGISTER ? SIP_HEADER_AUTHORIZATION : SIP_HEADER_PROXY_AUTHORIZATION;

	for (const struct sip_header *header = sip_message_header(request, id); header;
	     header = sip_message_header_next(request, header))
		if (!sip_digest_parse(header->value, out) && !out->unknown_algorithm && out->qop.length &&
		    zone_takes(zone, out->algorithm) && span_equal(out->realm, span_from(gateway->config->site.domain)))
			return true;
	return false;
}

static bool account_is(struct gateway *gateway, struct span username)
{
	char user[128];

	return !sip_user_decode(username, user, sizeof(user)) && account_find(gateway, user);
}

void authentication_refused(struct gateway *gateway, const struct flow *flow, struct span user)
{
	char source[ADDRESS_TEXT_BYTES];

	gateway->counters.authentication_failed++;
	log_limited(&gateway->refused_limit, LOG_NOTICE, "call", "authentication failed: source=%s user=%.*s",
		    address_text(&flow->remote, source), SPAN_PRINT(user));
}

bool authenticate(struct gateway *gateway, struct sip_server_transaction *server, const struct sip_message *request,
		  const struct account **user)
{
	const struct flow *flow = sip_server_flow(server);
	const struct config_zone *zone = gateway_zone(gateway, flow->zone);
	struct sip_digest credentials;
	enum sip_nonce_verdict verdict;

	*user = NULL;
	if (zone->kind != ZONE_ACCESS || zone->authentication != AUTHENTICATION_LOCAL)
		return true;
	if (!credentials_find(gateway, zone, request, &credentials)) {
		challenge(gateway, server, false);
		return false;
	}
	verdict = sip_nonce_check(gateway->nonce_key, flow, clock_wall_s(), NONCE_LIFETIME_S, credentials.nonce);
	if (verdict == SIP_NONCE_FRESH) /* it went there, and to nobody else */
		transport_source_prove(gateway->transport, flow, PROOF_LIFETIME_S);
	*user = verify(gateway, request, &credentials);
	if (verdict != SIP_NONCE_FRESH || !*user || !uri_is_of(&credentials, request)) {
		if (verdict == SIP_NONCE_FRESH) {
			bool exists = account_is(gateway, credentials.username);

			authentication_refused(gateway, flow, credentials.username);
			finding_tell(gateway, exists ? EVIDENCE_CALL_PASSWORD : EVIDENCE_CALL_USER, flow,
				     exists ? credentials.username : SPAN_EMPTY,
				     exists ? SPAN_EMPTY : credentials.username);
		}
		challenge(gateway, server, verdict == SIP_NONCE_STALE && *user);
		return false;
	}
	if (!nonce_take(gateway, &credentials, clock_wall_s())) {
		challenge(gateway, server, true); /* an honest phone asks again with the new nonce, by itself */
		return false;
	}
	/* Who authenticated is who is named, and nobody else (THREATS S11). */
	if (!sip_user_equal(request->from.uri.user, span_from((*user)->record.user))) {
		request_refuse(gateway, server, 403, NULL);
		return false;
	}
	return true;
}
