/* SPDX-License-Identifier: Apache-2.0
 * G.711, and sounds that can be told again. */
#include <math.h>

#include "agent/sound.h"

#define ULAW_BIAS 33
#define PI 3.14159265358979323846

/* Position of the highest set bit, counted from `lowest`. */
static int segment_of(int magnitude, int lowest)
{
	int segment = 0;

	for (magnitude >>= lowest + 1; magnitude; magnitude >>= 1)
		segment++;
	return segment;
}

static uint8_t ulaw_encode(int sample)
{
	int sign = sample < 0 ? 0x80 : 0, magnitude = (sample < 0 ? -sample : sample) >> 2;
	int segment;

	magnitude = (magnitude > 8158 ? 8158 : magnitude) + ULAW_BIAS;
	segment = segment_of(magnitude, 5);
	return (uint8_t) ~(sign | segment << 4 | (magnitude >> (segment + 1) & 15));
}

static int ulaw_decode(uint8_t byte)
{
	int segment = (uint8_t)~byte >> 4 & 7, step = (uint8_t)~byte & 15;
	int magnitude = ((step * 2 + ULAW_BIAS) << segment) - ULAW_BIAS;

	return byte & 0x80 ? magnitude * 4 : -magnitude * 4;
}

static uint8_t alaw_encode(int sample)
{
	int sign = sample < 0 ? 0 : 0x80, magnitude = (sample < 0 ? -sample - 1 : sample) >> 3;
	int segment = segment_of(magnitude, 4);
	int step = magnitude >> (segment ? segment : 1) & 15; /* the lowest two have the same step */

	return (uint8_t)((sign | segment << 4 | step) ^ 0x55);
}

static int alaw_decode(uint8_t byte)
{
	int code = byte ^ 0x55, segment = code >> 4 & 7, step = code & 15;
	int magnitude = segment ? (step * 2 + 33) << (segment - 1) : step * 2 + 1;

	return code & 0x80 ? magnitude * 8 : -magnitude * 8;
}

uint8_t sound_encode(uint8_t payload_type, int16_t sample)
{
	return payload_type == SOUND_PCMA ? alaw_encode(sample) : ulaw_encode(sample);
}

int16_t sound_decode(uint8_t payload_type, uint8_t byte)
{
	return (int16_t)(payload_type == SOUND_PCMA ? alaw_decode(byte) : ulaw_decode(byte));
}

/* SplitMix64 of the index: noise without state. */
static int noise(uint32_t seed, uint64_t index)
{
	uint64_t word = (index + 1) * 0x9e3779b97f4a7c15ull + seed;

	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ull;
	word = (word ^ word >> 27) * 0x94d049bb133111ebull;
	return (int)((word ^ word >> 31) & 0x3fff) - 0x2000;
}

int16_t sound_signal(uint32_t seed, uint64_t index)
{
	return (int16_t)((noise(seed, index) + 2 * noise(seed, index + 1) + noise(seed, index + 2)) / 4);
}

int16_t sound_tone(uint32_t hertz, uint64_t index)
{
	return (int16_t)(16000 * sin(2 * PI * hertz * (double)(index % SOUND_RATE) / SOUND_RATE));
}

double sound_correlation(const int16_t *a, const int16_t *b, size_t count)
{
	double product = 0, of_a = 0, of_b = 0;

	for (size_t i = 0; i < count; i++) {
		product += (double)a[i] * b[i];
		of_a += (double)a[i] * a[i];
		of_b += (double)b[i] * b[i];
	}
	return of_a > 0 && of_b > 0 ? product / sqrt(of_a * of_b) : 0;
}

double sound_tone_share(const int16_t *samples, size_t count, uint32_t hertz)
{
	double real = 0, imaginary = 0, energy = 0;

	for (size_t i = 0; i < count; i++) {
		double angle = 2 * PI * hertz * (double)i / SOUND_RATE;

		real += samples[i] * cos(angle);
		imaginary += samples[i] * sin(angle);
		energy += (double)samples[i] * samples[i];
	}
	return energy > 0 ? 2 * (real * real + imaginary * imaginary) / ((double)count * energy) : 0;
}
