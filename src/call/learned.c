/* SPDX-License-Identifier: Apache-2.0
 * What media learned of a call and would lose with its process: where a phone behind NAT is, and how far its keys have been
 * used. Kept here, and declared with the stream. */
#include "call/calls.h"
#include "call/sessions.h"

/* The one heard of last stands first; of too many the one that was silent longest goes (its next packets come from where
 * nobody knows, if media should die: a call has one source at a time, and few in its life). */
static void roll_over_keep(struct srtp_roll_over *kept, const struct srtp_roll_over *told)
{
	uint8_t place = 0;

	while (place < SRTP_ROLL_OVERS_MAXIMUM - 1 && kept[place].index && kept[place].ssrc != told->ssrc)
		place++;
	memmove(kept + 1, kept, place * sizeof(*kept));
	kept[0] = *told;
}

/* A handshake may be done before the call is answered: media plays what session_tell_media told it. */
void learned_take(struct call *call, const struct media_event *event)
{
	struct session *session = session_of(call, call->early);
	struct session_stream *stream;
	struct learned *learned;

	if (event->stream >= session->stream_count || event->side > 1)
		return;
	stream = &session->streams[event->stream];
	learned = &stream->learned[event->side];
	if (!stream->active)
		return;
	call_touch(call);
	if (event->kind == MEDIA_KEYED && event->keys.association == stream->keyings[event->side].dtls.association)
		learned_keys_set(stream, event->side, event->keys.suite, event->keys.key_in, event->keys.key_out);
	if (event->kind == MEDIA_LOCKED)
		learned->locked = event->peer;
	else if (event->kind == MEDIA_ROLL_OVER && event->roll_over.index)
		roll_over_keep(event->outward ? learned->out : learned->in, &event->roll_over);
}

static void key_set(uint8_t *place, const uint8_t *key, bool other_suite, struct srtp_roll_over *kept)
{
	/* New keys are used from the start: RFC 3711 section 3.3.1. */
	if (other_suite || memcmp(place, key, SDP_KEY_MAXIMUM) != 0)
		memset(kept, 0, SRTP_ROLL_OVERS_MAXIMUM * sizeof(*kept));
	memcpy(place, key, SDP_KEY_MAXIMUM);
}

void learned_keys_set(struct session_stream *stream, uint8_t leg, uint8_t suite, const uint8_t *key_in,
		      const uint8_t *key_out)
{
	bool other_suite = stream->suites[leg] != suite;

	stream->suites[leg] = suite;
	key_set(stream->keys_in[leg], key_in, other_suite, stream->learned[leg].in);
	key_set(stream->keys_out[leg], key_out, other_suite, stream->learned[leg].out);
}

void learned_peer_set(struct session_stream *stream, uint8_t leg, const struct address *rtp, const struct address *rtcp)
{
	if (!address_equal(&stream->peers[leg], rtp))
		stream->learned[leg].locked = (struct address){0};
	stream->peers[leg] = *rtp;
	stream->peers_rtcp[leg] = *rtcp;
}

void learned_tell(const struct learned *learned, struct media_side *side)
{
	/* Learned from where the signalling came: of another flow it says nothing. With ICE, or keys, it was shown. */
	if (side->ice.ufrag[0] || side->suite_in != SRTP_NONE ||
	    address_equal_ip(&learned->locked, &side->learn_from) || address_equal(&learned->locked, &side->peer_rtp))
		side->locked = learned->locked;
	memcpy(side->roll_overs_in, learned->in, sizeof(side->roll_overs_in));
	memcpy(side->roll_overs_out, learned->out, sizeof(side->roll_overs_out));
}
