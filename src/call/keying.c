/* SPDX-License-Identifier: Apache-2.0
 * Encryption between the gateway and each peer of a call: what is taken of an offer, what is offered on, what an answer agreed to
 * (THREATS M1). Keys by a=crypto (RFC 4568), which travel over TLS alone, or by DTLS-SRTP (RFC 5763, 5764) with the gateway's own
 * certificate, with ICE (RFC 8839) as its lite agent where the peer uses it. */
#include "call/calls.h"
#include "call/sessions.h"

static bool uses_websocket(const struct call *call, uint8_t leg)
{
	return transport_is_websocket(call->legs[leg].flow.transport);
}

/* Over which nobody reads keys. */
static bool is_secret(const struct call *call, uint8_t leg)
{
	return transport_is_secure(call->legs[leg].flow.transport);
}

/* Over which nobody puts another fingerprint in place. Plain WebSockets never leave this machine. */
static bool is_authentic(const struct call *call, uint8_t leg)
{
	return is_secret(call, leg) || call->legs[leg].flow.transport == TRANSPORT_WS;
}

static int refuse(struct call *call, uint8_t leg, const char *why)
{
	call->gateway->counters.calls_refused_encryption++;
	log_write(LOG_INFO, "call", "call %llx refused: zone %s: %s", (unsigned long long)call->id,
		  leg_zone(call, leg)->name, why);
	return 488;
}

/* ---- What stands ---- */

static bool is_dtls(const struct keying *keying)
{
	return keying->dtls.handshake != MEDIA_HANDSHAKE_NONE;
}

static bool is_encrypted(const struct session_stream *stream, uint8_t leg)
{
	return stream->suites[leg] != SDP_SUITE_NONE || is_dtls(&stream->keyings[leg]) || stream->end_to_end;
}

bool keying_stays(const struct call *call, uint8_t leg, const struct session_stream *stream)
{
	return call->state == CALL_ESTABLISHED && stream->active && is_encrypted(stream, leg);
}

bool keying_has_crypto(const struct session_stream *stream, uint8_t leg, enum sdp_suite suite)
{
	return stream->active && suite != SDP_SUITE_NONE && stream->suites[leg] == suite &&
	       !is_dtls(&stream->keyings[leg]);
}

/* ---- DTLS ---- */

/* By its number in both modules; those that have a profile of RFC 5764 or 7714. */
static bool suite_has_profile(uint8_t suite)
{
	return suite == SRTP_AES_CM_128_HMAC_SHA1_80 || suite == SRTP_AES_CM_128_HMAC_SHA1_32 ||
	       suite == SRTP_AEAD_AES_128_GCM || suite == SRTP_AEAD_AES_256_GCM;
}

static uint8_t profiles_of(const struct config_zone *zone, uint8_t suites[MEDIA_SUITES_MAXIMUM])
{
	uint8_t count = 0;

	for (uint8_t i = 0; i < zone->media.suite_count && count < MEDIA_SUITES_MAXIMUM; i++)
		if (suite_has_profile(zone->media.suites[i]))
			suites[count++] = zone->media.suites[i];
	return count;
}

static bool dtls_is_possible(const struct call *call, uint8_t leg)
{
	const struct config_zone *zone = leg_zone(call, leg);
	uint8_t suites[MEDIA_SUITES_MAXIMUM];

	return call->gateway->fingerprint.hash != SDP_HASH_NONE && zone->media.encryption != ENCRYPTION_NONE &&
	       zone->media.keying != KEYING_SDES && profiles_of(zone, suites) &&
	       (zone->media.encryption != ENCRYPTION_REQUIRED || is_authentic(call, leg));
}

static bool has_dtls(const struct sdp_stream *stream)
{
	return stream->fingerprint.hash != SDP_HASH_NONE && stream->setup != SDP_SETUP_NONE &&
	       stream->setup != SDP_SETUP_HOLDCONN;
}

static uint64_t hash_of(const void *bytes, size_t length)
{
	static const uint8_t key[HASH_KEY_BYTES]; /* the same in the next process; nobody gains by a collision */

	return hash_bytes(key, bytes, length);
}

/* The same parties in the same roles are the same association (RFC 8842 section 4). */
static uint32_t association_of(const struct call *call, const struct sdp_stream *peer, uint8_t handshake)
{
	uint64_t parts[] = {hash_of(peer->fingerprint.bytes, sizeof(peer->fingerprint.bytes)),
			    hash_of(peer->tls_id.data ? peer->tls_id.data : "", peer->tls_id.length),
			    hash_of(call->gateway->fingerprint.bytes, sizeof(call->gateway->fingerprint.bytes)),
			    handshake};

	return (uint32_t)hash_of(parts, sizeof(parts)) | 1;
}

/* Who leaves the choice to us keeps its role (RFC 8842 section 5.5), or is let begin: its packets then open the way back through its
 * NAT. */
static uint8_t handshake_of(const struct sdp_stream *peer, const struct keying *before)
{
	if (peer->setup == SDP_SETUP_ACTPASS && is_dtls(before))
		return before->dtls.handshake;
	return peer->setup == SDP_SETUP_PASSIVE ? MEDIA_HANDSHAKE_BEGIN : MEDIA_HANDSHAKE_AWAIT;
}

static void dtls_agree(const struct call *call, uint8_t leg, const struct sdp_stream *peer, const struct keying *before,
		       struct media_dtls *dtls)
{
	*dtls = (struct media_dtls){
		.handshake = handshake_of(peer, before),
		.hash = (uint8_t)(peer->fingerprint.hash - SDP_SHA_256),
	};
	memcpy(dtls->fingerprint, peer->fingerprint.bytes, sizeof(dtls->fingerprint));
	profiles_of(leg_zone(call, leg), dtls->suites);
	dtls->association = association_of(call, peer, dtls->handshake);
}

_Static_assert(MEDIA_FINGERPRINT_MAXIMUM == SDP_FINGERPRINT_MAXIMUM, "fingerprints of media and sdp differ");
_Static_assert(SDP_SHA_512 - SDP_SHA_256 == (int)MEDIA_SHA_512, "hashes of media and sdp differ");

/* ---- ICE and RTCP on one port ---- */

static uint64_t ice_hash(const struct sdp_stream *peer)
{
	return hash_of(peer->ice_ufrag.data, peer->ice_ufrag.length) ^
	       hash_of(peer->ice_password.data, peer->ice_password.length) << 1 ^ 1;
}

/* More chance than RFC 8445 section 5.3 asks for. */
static void ice_make(struct gateway *gateway, struct media_ice *ice)
{
	random_token(gateway->random, ice->ufrag, 8);
	random_token(gateway->random, ice->password, 24);
}

/* Ours goes on as long as the peer's does. */
static void ice_agree(struct call *call, const struct sdp_stream *peer, const struct keying *before,
		      struct keying *keying)
{
	keying->rtcp_mux = peer->rtcp_mux;
	if (!peer->ice_ufrag.length)
		return;
	keying->peer_ice = ice_hash(peer);
	if (before->ice.ufrag[0] && before->peer_ice == keying->peer_ice)
		keying->ice = before->ice;
	else
		ice_make(call->gateway, &keying->ice);
}

static void ice_write(const struct keying *keying, struct sdp_local_stream *local)
{
	local->ice_ufrag = span_from(keying->ice.ufrag);
	local->ice_password = span_from(keying->ice.password);
	local->rtcp_mux = keying->rtcp_mux;
}

/* ---- The offer, between the offerer and us ---- */

/* Of the offerer's usable lines the one whose suite the zone wants most. */
static bool crypto_choose(const struct call *call, uint8_t leg, const struct sdp_stream *stream,
			  struct sdp_crypto *chosen)
{
	const struct config_zone *zone = leg_zone(call, leg);

	if (zone->media.encryption == ENCRYPTION_NONE || zone->media.keying == KEYING_DTLS || !is_secret(call, leg))
		return false;
	for (uint8_t wanted = 0; wanted < zone->media.suite_count; wanted++)
		for (uint8_t i = 0; i < stream->crypto_count; i++)
			if (stream->cryptos[i].suite == zone->media.suites[wanted]) {
				*chosen = stream->cryptos[i];
				return true;
			}
	return false;
}

static bool dtls_take(struct call *call, uint8_t leg, const struct sdp_stream *from,
		      const struct session_stream *before, struct keying *taken)
{
	if (!has_dtls(from) || !dtls_is_possible(call, leg))
		return false;
	dtls_agree(call, leg, from, &before->keyings[leg], &taken->dtls);
	ice_agree(call, from, &before->keyings[leg], taken);
	return true;
}

int keying_take(struct call *call, uint8_t leg, const struct sdp_stream *from, const struct session_stream *before,
		struct exchange_stream *out)
{
	bool dtls_first = sdp_protocol_is_dtls(from->protocol) || is_dtls(&before->keyings[leg]);

	if (dtls_first && dtls_take(call, leg, from, before, &out->taken))
		return 0;
	if (crypto_choose(call, leg, from, &out->chosen))
		return 0;
	if (!dtls_first && dtls_take(call, leg, from, before, &out->taken))
		return 0;
	if (leg_zone(call, leg)->media.encryption != ENCRYPTION_REQUIRED &&
	    !sdp_protocol_is_encrypted(from->protocol) && !keying_stays(call, leg, before))
		return 0;
	return refuse(call, leg, "no encryption that it allows was offered");
}

/* ---- The offer, between us and who will answer ---- */

static void crypto_make(struct call *call, uint8_t leg, const struct session_stream *stream,
			struct exchange_stream *out)
{
	const struct config_zone *zone = leg_zone(call, leg);

	for (uint8_t i = 0; i < zone->media.suite_count && out->our_count < OFFERED_SUITES_MAXIMUM; i++) {
		struct sdp_crypto *crypto = &out->ours[out->our_count++];

		crypto->tag = out->our_count;
		crypto->suite = zone->media.suites[i];
		/* A suite in force keeps its key, so that its roll-over counter goes on. */
		if (keying_has_crypto(stream, leg, crypto->suite))
			memcpy(crypto->key, stream->keys_out[leg], sizeof(crypto->key));
		else
			random_fill(call->gateway->random, crypto->key, sdp_suite_key_bytes(crypto->suite));
	}
}

/* A peer that has DTLS already keeps it; a browser has nothing else. */
static bool dtls_is_wanted(const struct call *call, uint8_t leg, const struct session_stream *before)
{
	if (!dtls_is_possible(call, leg))
		return false;
	if (before->active && is_encrypted(before, leg))
		return is_dtls(&before->keyings[leg]) || before->end_to_end;
	return uses_websocket(call, leg) || leg_zone(call, leg)->media.keying == KEYING_DTLS;
}

/* Of what only the peers can read no packet proves whence it comes: phones must have shown it by ICE. */
static bool is_found(const struct call *call, uint8_t leg, const struct keying *keying)
{
	return leg_zone(call, leg)->kind != ZONE_ACCESS || keying->ice.ufrag[0];
}

static bool is_end_to_end(const struct call *call, uint8_t leg, const struct exchange_stream *out)
{
	return is_dtls(&out->taken) && leg_zone(call, CALLER)->media.end_to_end &&
	       leg_zone(call, CALLEE)->media.end_to_end && is_found(call, leg, &out->proposed) &&
	       is_found(call, other_leg(leg), &out->taken);
}

static void dtls_propose(struct call *call, uint8_t leg, const struct sdp_stream *from,
			 const struct session_stream *before, struct exchange_stream *out,
			 struct sdp_local_stream *local)
{
	struct keying *proposed = &out->proposed;

	local->protocol =
		uses_websocket(call, leg) ? SDP_UDP_TLS_RTP_SAVPF : sdp_protocol_offer(from->protocol, SDP_KEYING_DTLS);
	proposed->dtls.handshake = MEDIA_HANDSHAKE_AWAIT;
	proposed->rtcp_mux = true;
	if (before->active && before->keyings[leg].ice.ufrag[0])
		proposed->ice = before->keyings[leg].ice;
	else if (uses_websocket(call, leg))
		ice_make(call->gateway, &proposed->ice);
	ice_write(proposed, local);
	out->end_to_end = is_end_to_end(call, leg, out);
	local->fingerprint = out->end_to_end ? from->fingerprint : call->gateway->fingerprint;
	local->setup = out->end_to_end ? from->setup : SDP_SETUP_ACTPASS;
	local->tls_id = out->end_to_end ? from->tls_id : SPAN_EMPTY;
}

/* Sound that comes from a browser has feedback by habit, which no PBX needs, and some refuse. */
static enum sdp_protocol profile_of(const struct sdp_stream *from, enum sdp_keying keying)
{
	if (sdp_protocol_is_dtls(from->protocol) && from->media == SDP_AUDIO)
		return sdp_protocol_offer(SDP_RTP_AVP, keying);
	return sdp_protocol_offer(from->protocol, keying);
}

int keying_propose(struct call *call, uint8_t leg, const struct sdp_stream *from, const struct session_stream *before,
		   struct exchange_stream *out, struct sdp_local_stream *local)
{
	const struct config_zone *zone = leg_zone(call, leg);

	if (dtls_is_wanted(call, leg, before)) {
		dtls_propose(call, leg, from, before, out, local);
		return 0;
	}
	if (zone->media.encryption != ENCRYPTION_NONE && zone->media.keying != KEYING_DTLS && is_secret(call, leg))
		crypto_make(call, leg, before, out);
	local->protocol =
		profile_of(from, zone->media.encryption == ENCRYPTION_REQUIRED ? SDP_KEYING_SDES : SDP_KEYING_NONE);
	memcpy(local->cryptos, out->ours, sizeof(out->ours));
	local->crypto_count = out->our_count;
	if (zone->media.encryption == ENCRYPTION_REQUIRED && !out->our_count)
		return refuse(call, leg, "it requires encryption, and the peer is not reached over TLS");
	return 0;
}

/* ---- The answer, between us and who answered ---- */

/* The line of ours that the answer took. */
static const struct sdp_crypto *crypto_taken(const struct exchange_stream *exchange, const struct sdp_stream *answer)
{
	if (answer->crypto_count != 1)
		return NULL; /* RFC 4568 section 5.1.2: an answer has exactly one */
	for (uint8_t i = 0; i < exchange->our_count; i++)
		if (exchange->ours[i].tag == answer->cryptos[0].tag &&
		    exchange->ours[i].suite == answer->cryptos[0].suite)
			return &exchange->ours[i];
	return NULL;
}

static int crypto_accept(struct call *call, uint8_t leg, const struct exchange_stream *exchange,
			 const struct sdp_stream *answer, struct session_stream *stream)
{
	const struct sdp_crypto *ours = crypto_taken(exchange, answer);
	bool required = leg_zone(call, leg)->media.encryption == ENCRYPTION_REQUIRED ||
			sdp_protocol_is_encrypted(answer->protocol) || keying_stays(call, leg, stream);

	/* An answer with keys that fit none of our lines is not taken for one without. */
	if (!ours && (required || (exchange->our_count && answer->crypto_count)))
		return refuse(call, leg, "the answer is not encrypted as offered");
	stream->keyings[leg] = (struct keying){0};
	if (ours)
		learned_keys_set(stream, leg, (uint8_t)ours->suite, answer->cryptos[0].key, ours->key);
	else
		stream->suites[leg] = SDP_SUITE_NONE;
	return 0;
}

void keying_forget(struct session_stream *stream)
{
	static const uint8_t none[SDP_KEY_MAXIMUM];

	for (uint8_t leg = 0; leg < 2; leg++) {
		learned_keys_set(stream, leg, SDP_SUITE_NONE, none, none);
		stream->keyings[leg] = (struct keying){0};
	}
	stream->end_to_end = false;
}

/* In force from now on. Keys of another association, or of none, are over. */
static void keying_set(struct session_stream *stream, uint8_t leg, const struct keying *keying)
{
	static const uint8_t none[SDP_KEY_MAXIMUM];

	if (!is_dtls(keying) || stream->keyings[leg].dtls.association != keying->dtls.association)
		learned_keys_set(stream, leg, SDP_SUITE_NONE, none, none);
	if (strcmp(stream->keyings[leg].ice.ufrag, keying->ice.ufrag) != 0)
		stream->learned[leg].locked = (struct address){0};
	stream->keyings[leg] = *keying;
}

static int dtls_accept(struct call *call, uint8_t leg, const struct exchange_stream *exchange,
		       const struct sdp_stream *answer, struct session_stream *stream)
{
	struct keying keying = {.rtcp_mux = answer->rtcp_mux};

	if (!has_dtls(answer) || answer->setup == SDP_SETUP_ACTPASS || !sdp_protocol_is_encrypted(answer->protocol))
		return refuse(call, leg, "the answer has no certificate, as was offered");
	if (exchange->proposed.ice.ufrag[0] && answer->ice_ufrag.length) {
		keying.ice = exchange->proposed.ice;
		keying.peer_ice = ice_hash(answer);
	}
	if (exchange->end_to_end && !is_found(call, leg, &keying))
		return refuse(call, leg, "the answer has no ICE, as was offered");
	if (!exchange->end_to_end)
		dtls_agree(call, leg, answer, &stream->keyings[leg], &keying.dtls);
	keying_set(stream, leg, &keying);
	return 0;
}

int keying_accept(struct call *call, uint8_t leg, const struct exchange_stream *exchange,
		  const struct sdp_stream *answer, struct session_stream *stream)
{
	if (!sdp_protocol_is_rtp(answer->protocol)) {
		stream->suites[leg] = SDP_SUITE_NONE;
		stream->keyings[leg] = (struct keying){0};
		return 0;
	}
	return (is_dtls(&exchange->proposed) ? dtls_accept : crypto_accept)(call, leg, exchange, answer, stream);
}

/* ---- The answer, between us and the offerer ---- */

static enum sdp_setup setup_of(const struct keying *keying)
{
	return keying->dtls.handshake == MEDIA_HANDSHAKE_BEGIN ? SDP_SETUP_ACTIVE : SDP_SETUP_PASSIVE;
}

static void dtls_answer(struct call *call, uint8_t offerer, const struct exchange_stream *exchange,
			const struct sdp_stream *answer, struct session_stream *stream, struct sdp_local_stream *local)
{
	struct keying keying = exchange->taken;

	ice_write(&exchange->taken, local);
	local->fingerprint = exchange->end_to_end ? answer->fingerprint : call->gateway->fingerprint;
	local->setup = exchange->end_to_end ? answer->setup : setup_of(&keying);
	local->tls_id = exchange->end_to_end ? answer->tls_id : SPAN_EMPTY;
	if (exchange->end_to_end)
		keying.dtls = (struct media_dtls){0};
	keying_set(stream, offerer, &keying);
}

void keying_answer(struct call *call, uint8_t offerer, const struct exchange_stream *exchange,
		   const struct sdp_stream *answer, struct session_stream *stream, struct sdp_local_stream *local)
{
	stream->end_to_end = exchange->end_to_end;
	if (is_dtls(&exchange->taken)) {
		dtls_answer(call, offerer, exchange, answer, stream, local);
		return;
	}
	stream->keyings[offerer] = (struct keying){0};
	learned_keys_set(stream, offerer, (uint8_t)exchange->chosen.suite, exchange->chosen.key,
			 exchange->key_to_offerer);
	if (!exchange->chosen.suite)
		return;
	local->cryptos[0] = (struct sdp_crypto){.tag = exchange->chosen.tag, .suite = exchange->chosen.suite};
	memcpy(local->cryptos[0].key, exchange->key_to_offerer, SDP_KEY_MAXIMUM);
	local->crypto_count = 1;
}

/* ---- The same again ---- */

bool keying_reaffirm(const struct call *call, uint8_t leg, const struct sdp_stream *answer,
		     struct session_stream *stream, bool *changed)
{
	const struct keying *keying = &stream->keyings[leg];

	if (stream->end_to_end || is_dtls(keying)) {
		if (!has_dtls(answer) || (keying->ice.ufrag[0] && ice_hash(answer) != keying->peer_ice))
			return false;
		return stream->end_to_end ||
		       association_of(call, answer, keying->dtls.handshake) == keying->dtls.association;
	}
	if (stream->suites[leg] == SDP_SUITE_NONE)
		return true;
	/* What is encrypted stays so, under the suite in force (THREATS M1). */
	if (answer->crypto_count != 1 || answer->cryptos[0].suite != stream->suites[leg])
		return false;
	*changed |= memcmp(stream->keys_in[leg], answer->cryptos[0].key, SDP_KEY_MAXIMUM) != 0;
	memcpy(stream->keys_in[leg], answer->cryptos[0].key, SDP_KEY_MAXIMUM);
	return true;
}

/* ---- To media ---- */

void keying_tell(const struct session_stream *stream, uint8_t leg, struct media_side *side)
{
	const struct keying *keying = &stream->keyings[leg];

	side->suite_in = side->suite_out = stream->suites[leg];
	memcpy(side->key_in, stream->keys_in[leg], sizeof(side->key_in));
	memcpy(side->key_out, stream->keys_out[leg], sizeof(side->key_out));
	side->dtls = keying->dtls;
	side->ice = keying->ice;
	side->rtcp_mux = keying->rtcp_mux;
	if (!keying->ice.ufrag[0])
		return;
	/* Who passes a check is the peer, wherever its signalling comes from. */
	side->peer_rtp = side->peer_rtcp = side->learn_from = (struct address){0};
}

void gateway_fingerprint_set(struct gateway *gateway, const uint8_t fingerprint[32])
{
	gateway->fingerprint = (struct sdp_fingerprint){.hash = SDP_SHA_256};
	memcpy(gateway->fingerprint.bytes, fingerprint, 32);
}
