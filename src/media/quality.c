/* SPDX-License-Identifier: Apache-2.0
 * How a call sounds: the E-model (ITU-T G.107) with its default values, but for what is known here: the codec, how many packets were
 * lost, and the delay. */
#include <string.h>
#include <strings.h>

#include "media/media.h"

#define RATING_DEFAULT 93.2          /* of a connection without delay, loss and compression: G.107 section 7.7 */
#define SPEAKING_AND_PLAYING_MS 30.0 /* a packet of 20 ms filled, and what the devices take */
#define DELAY_NOTICED_MS 177.3

/* ITU-T G.113, Appendix I: what the codec itself costs (Ie), and how well it bears loss (Bpl). */
static const struct codec_impairment {
	const char *name;
	double equipment, robustness;
} impairments[] = {
	{"PCMU", 0, 25.1}, /* with packet loss concealment, as phones have it */
	{"PCMA", 0, 25.1}, {"G729", 11, 19.0}, {"G723", 15, 16.1}, {"GSM-EFR", 5, 10.0}, {"AMR", 5, 10.0},
};
/* Of codecs that the appendix does not know: no better than plain speech, for the scale ends there. */
static const struct codec_impairment plain = {"", 0, 25.1};

static const struct codec_impairment *impairment_of(const char *codec)
{
	size_t length = strcspn(codec, "/");

	for (size_t i = 0; i < sizeof(impairments) / sizeof(impairments[0]); i++)
		if (strlen(impairments[i].name) == length && !strncasecmp(impairments[i].name, codec, length))
			return &impairments[i];
	return &plain;
}

/* Ie,eff of G.107 section 7.5 for losses that come by chance. */
static double loss_impairment(const struct codec_impairment *codec, double loss_percent)
{
	return codec->equipment + (95 - codec->equipment) * loss_percent / (loss_percent + codec->robustness);
}

/* Id of G.107 section 7.4, by the approximation of Cole and Rosenbluth (2001) for connections without echo. */
static double delay_impairment(double delay_ms)
{
	double noticed_ms = delay_ms > DELAY_NOTICED_MS ? delay_ms - DELAY_NOTICED_MS : 0;

	return 0.024 * delay_ms + 0.11 * noticed_ms;
}

double media_quality_rating(const struct media_quality *quality)
{
	double sent = (double)(quality->received + quality->lost);
	double loss_percent = sent > 0 ? 100.0 * (double)quality->lost / sent : 0;
	double delay_ms = SPEAKING_AND_PLAYING_MS + quality->round_trip_us / 2000.0 + 2 * quality->jitter_us / 1000.0;
	double rating = RATING_DEFAULT - delay_impairment(delay_ms) -
			loss_impairment(impairment_of(quality->codec), loss_percent);

	return rating < 0 ? 0 : rating;
}

double media_quality_opinion(double rating)
{
	if (rating <= 0)
		return 1;
	if (rating >= 100)
		return 4.5;
	/* G.107 annex B; it dips below 1 for the worst. */
	double opinion = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6;
	return opinion < 1 ? 1 : opinion;
}
