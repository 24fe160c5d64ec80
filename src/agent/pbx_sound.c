/* SPDX-License-Identifier: Apache-2.0
 * The test PBX's own numbers: 600 sends back what it hears, 601 plays a tone. */
#include "agent/pbx.h"

#define TONE_HZ 440
#define TIMER_MS 5
#define FRAMES_AT_ONCE 5

/* ---- Sound --------------------------------------------------------------------------------- */

static void echo_packet(void *context, const struct rtp_header *header, uint8_t *payload)
{
	struct pbx_call *call = context;

	call->last_packet_us = clock_monotonic_us();
	if (call->is_tone || !call->peer_hears || header->payload_type != call->sound.payload_type)
		return;
	sound_end_send(&call->sound, payload, header->payload_length, header->marker);
}

static void tone_send(struct pbx_call *call, uint64_t now_us)
{
	uint64_t due = (now_us - call->started_us) / (SOUND_FRAME_MS * 1000);
	uint8_t frame[SOUND_FRAME];

	if (due > call->frames + FRAMES_AT_ONCE) /* we slept: what was not sent is not made up for */
		call->frames = due - 1;
	for (; call->frames < due; call->frames++) {
		for (int i = 0; i < SOUND_FRAME; i++)
			frame[i] = sound_encode(call->sound.payload_type,
						sound_tone(TONE_HZ, call->frames * SOUND_FRAME + (uint64_t)i));
		sound_end_send(&call->sound, frame, sizeof(frame), call->frames == 0);
	}
}

static void timer_fire(void *context)
{
	struct pbx_call *call = context;
	uint64_t now_us = clock_monotonic_us();

	if (now_us - call->last_packet_us > PBX_SILENCE_US) {
		pbx_sound_end(call, true);
		return;
	}
	if (call->is_tone && call->peer_hears)
		tone_send(call, now_us);
	timer_start(call->pbx->ua.wheel, &call->timer, call->is_tone ? TIMER_MS : 1000);
}

/* ---- Descriptions -------------------------------------------------------------------------- */

static bool crypto_is_same(const struct sdp_crypto *a, const struct sdp_crypto *b)
{
	return a->suite == b->suite && bytes_equal_constant_time(a->key, b->key, sdp_suite_key_bytes(a->suite));
}

static bool peer_use(struct pbx_call *call, const struct sound_peer *peer, const struct sdp_crypto *own)
{
	if (!crypto_is_same(&call->crypto_peer, &peer->crypto) || !crypto_is_same(&call->crypto_own, own)) {
		if (sound_end_secure(&call->sound, &peer->crypto, own))
			return false;
		call->crypto_peer = peer->crypto;
		call->crypto_own = *own;
	}
	call->sound.payload_type = peer->payload_type;
	call->peer_hears = peer->may_send;
	return sound_end_connect(&call->sound, &peer->address) == 0;
}

/* Writes our answer, or an offer when the request had none. Returns the status to answer with. */
static uint16_t describe(struct pbx_call *call, const struct sip_message *request, struct buffer *sdp)
{
	struct sdp_crypto own = call->crypto_own;
	struct sound_peer peer = {.crypto = call->crypto_peer};
	bool ok;

	call->version++;
	if (!request->body.length) {
		sound_offer_write(sdp, &call->sound, NULL, 0, call->version);
		call->awaits_answer = true;
		return sdp->overflow ? 500 : 200;
	}
	if (!span_is(request->content_type, "application/sdp"))
		return 415;
	if (sound_answer_make(request->body, &call->sound, call->pbx->ua.random, call->version, &peer, &own, sdp))
		return 488;
	ok = peer_use(call, &peer, &own) && !sdp->overflow;
	memory_wipe(&own, sizeof(own));
	memory_wipe(&peer, sizeof(peer));
	return ok ? 200 : 500;
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* Answers INVITE, re-INVITE and UPDATE. */
static uint16_t respond_described(struct pbx_call *call, struct sip_server_transaction *server,
				  const struct sip_message *request)
{
	struct testpbx *pbx = call->pbx;
	char text[4096];
	struct buffer sdp = BUFFER_OVER(text), out;
	uint16_t status = describe(call, request, &sdp);
	bool described = status == 200;

	out = ua_response_start(&pbx->ua, request, sip_server_flow(server), status, call->legs[0].local_tag);
	if (described) {
		sip_write_header(&out, SIP_HEADER_CONTACT, span_from(call->legs[0].contact));
		sip_write_header(&out, SIP_HEADER_ALLOW, SPAN(PBX_ALLOW));
		if (request->method == SIP_INVITE)
			call->server = server;
	}
	ua_response_send(server, status, &out, described ? SPAN("application/sdp") : SPAN_EMPTY,
			 described ? buffer_span(&sdp) : SPAN_EMPTY);
	memory_wipe(text, sizeof(text));
	return status;
}

/* A PBX that listens on every address names the one that the caller reached. */
static struct address media_address(const struct testpbx *pbx, const struct flow *flow)
{
	const struct address *set = &pbx->settings.media_address;
	struct address local = flow->local;

	local.port = 0;
	return set->family == ADDRESS_NONE || address_is_any(set) ? local : *set;
}

/* Takes the call over; NULL when there is no port for it. */
static struct pbx_call *sound_open(struct pbx_call *call, const struct pbx_extension *extension)
{
	struct testpbx *pbx = call->pbx;
	struct address media = media_address(pbx, &call->legs[0].flow);

	if (sound_end_open(&call->sound, pbx->ua.loop, &media, pbx->settings.port_low, pbx->settings.port_high,
			   pbx->ua.random)) {
		call->ended = true;
		pbx_call_release(call);
		return NULL;
	}
	call->is_sound = true;
	call->is_tone = extension->is_tone;
	call->refers_to = extension->refers_to;
	call->replaces = extension->replaces;
	call->sound.packet = echo_packet;
	call->sound.context = call;
	call->started_us = call->last_packet_us = clock_monotonic_us();
	call->timer = (struct timer){.fire = timer_fire, .context = call};
	timer_start(pbx->ua.wheel, &call->timer, TIMER_MS);
	return call;
}

static void mailbox_change(struct testpbx *pbx, const struct pbx_extension *extension)
{
	if (extension->messages < 0)
		pbx->messages = 0;
	else if (extension->messages && pbx->messages < PBX_MESSAGES_MAXIMUM)
		pbx->messages++;
}

void pbx_sound_invite(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *invite,
		      const struct pbx_extension *extension)
{
	struct pbx_call *call = pbx_call_new(pbx, sip_server_flow(server), invite);

	if (call)
		call = sound_open(call, extension);
	if (!call)
		ua_respond(&pbx->ua, server, 503, "");
	else if (respond_described(call, server, invite) != 200)
		pbx_sound_end(call, false);
	else
		mailbox_change(pbx, extension);
}

struct pbx_call *pbx_sound_new(struct testpbx *pbx, const struct ua_dialog *peer, const struct pbx_extension *extension)
{
	struct pbx_call *call = pbx_call_joined(pbx, peer);

	return call ? sound_open(call, extension) : NULL;
}

void pbx_sound_offer(struct pbx_call *call, struct buffer *sdp)
{
	sound_offer_write(sdp, &call->sound, NULL, 0, ++call->version);
}

/* The offer was plain: an answer that is not would be none. */
bool pbx_sound_answered(struct pbx_call *call, struct span sdp)
{
	const struct sdp_crypto none = {0};
	struct sound_peer peer;

	return !sound_answer_read(sdp, &peer) && !peer.encrypted && peer_use(call, &peer, &none);
}

void pbx_sound_replace(struct pbx_call *call, struct sip_server_transaction *server, const struct sip_message *invite)
{
	struct testpbx *pbx = call->pbx;
	struct ua_dialog before = call->legs[0];

	if (call->references || !ua_dialog_accept(&pbx->ua, &call->legs[0], sip_server_flow(server), invite)) {
		call->legs[0] = before;
		ua_respond(&pbx->ua, server, 491, "");
	} else if (respond_described(call, server, invite) != 200) {
		call->legs[0] = before;
	} else {
		call->refers_to = NULL;
		pbx_bye(pbx, &before);
	}
}

void pbx_sound_end(struct pbx_call *call, bool say_bye)
{
	if (call->ended)
		return;
	if (say_bye)
		pbx_bye(call->pbx, &call->legs[0]);
	call->ended = true;
	pbx_call_release(call);
}

/* How the transfer that the caller was sent on goes (RFC 3515). Once it is over, this call is. */
static void notified(struct pbx_call *call, struct sip_server_transaction *server, const struct sip_message *notify)
{
	const struct sip_header *state = sip_message_header(notify, SIP_HEADER_SUBSCRIPTION_STATE);

	ua_respond(&call->pbx->ua, server, 200, call->legs[0].local_tag);
	if (state && span_starts_with(state->value, SPAN("terminated")))
		pbx_sound_end(call, true);
}

void pbx_sound_request(struct pbx_call *call, struct sip_server_transaction *server, const struct sip_message *request)
{
	struct testpbx *pbx = call->pbx;
	const char *tag = call->legs[0].local_tag;

	switch (request->method) {
	case SIP_BYE:
		if (call->server)
			sip_server_acknowledge(call->server); /* the ACK was lost */
		ua_respond(&pbx->ua, server, 200, tag);
		pbx_sound_end(call, false);
		return;
	case SIP_INVITE:
	case SIP_UPDATE:
		if (request->method == SIP_UPDATE && !request->body.length) {
			ua_respond(&pbx->ua, server, 200, tag);
			return;
		}
		ua_dialog_retarget(&call->legs[0], request);
		respond_described(call, server, request);
		return;
	case SIP_REFER: ua_respond(&pbx->ua, server, 603, tag); return; /* a tone calls nobody */
	case SIP_NOTIFY: notified(call, server, request); return;
	case SIP_INFO:
	case SIP_MESSAGE:
	case SIP_OPTIONS: ua_respond(&pbx->ua, server, 200, tag); return;
	default: ua_respond(&pbx->ua, server, 405, tag); return;
	}
}

void pbx_sound_ack(struct pbx_call *call, const struct sip_message *ack)
{
	if (call->server)
		sip_server_acknowledge(call->server);
	if (call->awaits_answer && ack->body.length) {
		call->awaits_answer = false;
		if (!pbx_sound_answered(call, ack->body)) {
			pbx_sound_end(call, true);
			return;
		}
	}
	if (call->refers_to)
		pbx_refer_send(call);
}
