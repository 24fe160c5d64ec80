/* SPDX-License-Identifier: Apache-2.0
 * Payload types and budgets out of descriptions. Generous: a budget is there against floods and tunnels, and no honest phone may
 * come near it. */
#include "call/budget.h"

#include <string.h>

#define COMFORT_NOISE 13  /* RFC 3389; sent by some who did not say so */
#define PACKET_TIME_MS 10 /* of who does not say; most send half as often */
#define OTHER_KBPS \
	2000 /* a sound of a codec that is not in the table: as much as two channels of 16 bits and 48 kHz need */
#define PICTURE_KBPS 20000 /* where no bandwidth is said */
#define PICTURE_LEAST 4000 /* some say less than a key frame takes */
#define PICTURE_MOST 50000
#define PICTURE_PACKETS 4000
#define HEADER_BYTES 100 /* RTP, tag, padding */
#define LONGEST_PACKET_MS 300

/* The most a codec sends, in kbit/s. */
static const struct {
	struct span name;
	uint16_t kbps;
} codecs[] = {
	{SPAN_INIT("PCMU"), 64}, {SPAN_INIT("PCMA"), 64},           {SPAN_INIT("G722"), 64},  {SPAN_INIT("G729"), 8},
	{SPAN_INIT("G723"), 7},  {SPAN_INIT("G726-32"), 32},        {SPAN_INIT("GSM"), 14},   {SPAN_INIT("iLBC"), 16},
	{SPAN_INIT("AMR"), 13},  {SPAN_INIT("AMR-WB"), 24},         {SPAN_INIT("speex"), 45}, {SPAN_INIT("opus"), 512},
	{SPAN_INIT("CN"), 8},    {SPAN_INIT("telephone-event"), 8},
};

static uint32_t codec_kbps(struct span codec)
{
	ptrdiff_t slash = span_index(codec, '/');
	struct span name = slash < 0 ? codec : span_slice(codec, 0, (size_t)slash);

	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (span_equal_nocase(name, codecs[i].name))
			return codecs[i].kbps;
	return OTHER_KBPS;
}

static struct media_budget sound_budget(const struct sdp_stream *described)
{
	uint32_t ptime_ms =
		described->ptime_ms && described->ptime_ms < PACKET_TIME_MS ? described->ptime_ms : PACKET_TIME_MS;
	struct media_budget budget = {.packets_per_s = 2 * 1000 / ptime_ms + 50};
	uint32_t codec = 0, kbps;

	for (uint8_t i = 0; i < described->format_count; i++) {
		kbps = codec_kbps(sdp_format_codec(described, described->formats[i]));
		codec = kbps > codec ? kbps : codec;
	}
	budget.kbps = 2 * codec + budget.packets_per_s * HEADER_BYTES * 8 / 1000;
	budget.packet_bytes = codec * LONGEST_PACKET_MS / 8 + 2 * HEADER_BYTES;
	return budget;
}

static struct media_budget picture_budget(const struct sdp_stream *described)
{
	uint32_t said = described->bandwidth_kbps < PICTURE_MOST ? described->bandwidth_kbps : PICTURE_MOST;
	uint32_t kbps = said ? 4 * said : PICTURE_KBPS;

	if (kbps > PICTURE_MOST) /* whatever a description says */
		kbps = PICTURE_MOST;
	return (struct media_budget){.packets_per_s = PICTURE_PACKETS + kbps / 4, /* of 500 bytes, and small ones */
				     .kbps = kbps > PICTURE_LEAST ? kbps : PICTURE_LEAST,
				     .packet_bytes = UINT32_MAX};
}

static void types_add(struct media_budget *budget, const struct sdp_stream *described)
{
	for (uint8_t i = 0; i < described->format_count; i++) {
		uint64_t type;

		if (span_to_uint(described->formats[i], 127, &type) == 0)
			budget->payload_types[type / 8] |= (uint8_t)(1u << type % 8);
	}
	if (described->media == SDP_AUDIO)
		budget->payload_types[COMFORT_NOISE / 8] |= 1u << COMFORT_NOISE % 8;
}

/* "opus/48000/2": 48,000. A format of which nothing is said has no clock. */
static uint8_t codec_clock(struct span codec)
{
	ptrdiff_t slash = span_index(codec, '/'), end;
	struct span rate = slash < 0 ? SPAN_EMPTY : span_slice(codec, (size_t)slash + 1, codec.length);
	uint64_t number;

	end = span_index(rate, '/');
	if (end >= 0)
		rate = span_slice(rate, 0, (size_t)end);
	return media_clock_code(span_to_uint(rate, UINT32_MAX, &number) == 0 ? (uint32_t)number : 0);
}

bool clocks_learn(uint8_t clocks[MEDIA_TYPES], const struct sdp_stream *described)
{
	bool changed = false;

	if (!described->port || !sdp_protocol_is_rtp(described->protocol))
		return false;
	for (uint8_t i = 0; i < described->format_count; i++) {
		uint8_t code = codec_clock(sdp_format_codec(described, described->formats[i]));
		uint64_t type;

		if (span_to_uint(described->formats[i], MEDIA_TYPES - 1, &type) || clocks[type] == code)
			continue;
		clocks[type] = code;
		changed = true;
	}
	return changed;
}

static void budget_join(struct media_budget *budget, const struct media_budget *more)
{
#define LARGER(member) budget->member = more->member > budget->member ? more->member : budget->member
	LARGER(packets_per_s);
	LARGER(kbps);
	LARGER(packet_bytes);
#undef LARGER
	for (size_t i = 0; i < sizeof(budget->payload_types); i++)
		budget->payload_types[i] |= more->payload_types[i];
}

static struct media_budget budget_of(const struct sdp_stream *described)
{
	struct media_budget budget = {0};

	if (!described->port || !sdp_protocol_is_rtp(described->protocol))
		return budget;
	budget = described->media == SDP_AUDIO ? sound_budget(described) : picture_budget(described);
	types_add(&budget, described);
	return budget;
}

bool budget_extend(struct media_budget *budget, const struct sdp_stream *described)
{
	struct media_budget before = *budget, more = budget_of(described);

	budget_join(budget, &more);
	return !budget_equal(&before, budget);
}

bool budget_equal(const struct media_budget *a, const struct media_budget *b)
{
	return memcmp(a->payload_types, b->payload_types, sizeof(a->payload_types)) == 0 &&
	       a->packets_per_s == b->packets_per_s && a->kbps == b->kbps && a->packet_bytes == b->packet_bytes;
}

static bool types_within(const struct media_budget *budget, const struct media_budget *all)
{
	for (size_t i = 0; i < sizeof(budget->payload_types); i++)
		if (budget->payload_types[i] & ~all->payload_types[i])
			return false;
	return true;
}

void budget_agree(struct media_budget *agreed, const struct media_budget *offered, const struct sdp_stream *answer)
{
	struct media_budget budget = budget_of(answer), pace = *offered;

	if (!budget.packets_per_s)
		return;
	if (types_within(&budget, offered)) {
		memset(pace.payload_types, 0, sizeof(pace.payload_types));
		if (answer->media == SDP_AUDIO) { /* how often is the offerer's wish, but codecs it must do without */
			uint32_t more = pace.packets_per_s > budget.packets_per_s
						? pace.packets_per_s - budget.packets_per_s
						: 0;

			pace.kbps = budget.kbps + more * HEADER_BYTES * 8 / 1000;
			pace.packet_bytes = 0;
		}
	}
	budget_join(&budget, &pace);
	*agreed = budget;
}
