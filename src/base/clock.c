/* SPDX-License-Identifier: Apache-2.0
 * Time and chance of the system, and the repeatable chance of tests. */
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/memory.h"

uint64_t clock_monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t clock_wall_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

/* Bytes of the kernel fetched ahead, because a token for each request must not cost a system call.
 * Part of the system's random source, one for each thread; what is used is wiped at once. */
#define AHEAD_BYTES 512

static _Thread_local struct {
	size_t left; /* unused bytes, at the end */
	unsigned char bytes[AHEAD_BYTES];
} ahead;

static pthread_once_t ahead_once = PTHREAD_ONCE_INIT;

static void forget_ahead(void)
{
	memory_wipe(&ahead, sizeof(ahead));
}

/* A child must not hand out the same bytes as its parent. */
static void guard_fork(void)
{
	if (pthread_atfork(NULL, NULL, forget_ahead))
		abort();
}

static void fill_from_kernel(unsigned char *out, size_t length_bytes)
{
	while (length_bytes) {
		ssize_t got = getrandom(out, length_bytes, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* nothing that follows would be safe */
		out += got;
		length_bytes -= (size_t)got;
	}
}

static void fill_system(void *context, void *out, size_t length_bytes)
{
	unsigned char *from;

	(void)context;
	if (length_bytes > AHEAD_BYTES / 4) {
		fill_from_kernel(out, length_bytes);
		return;
	}
	if (ahead.left < length_bytes) {
		pthread_once(&ahead_once, guard_fork);
		fill_from_kernel(ahead.bytes, AHEAD_BYTES);
		ahead.left = AHEAD_BYTES;
	}
	if (length_bytes == 0)
		return;
	from = ahead.bytes + AHEAD_BYTES - ahead.left;
	memcpy(out, from, length_bytes);
	memory_wipe(from, length_bytes);
	ahead.left -= length_bytes;
}

struct random_source random_system(void)
{
	return (struct random_source){fill_system, NULL};
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_seeded(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void fill_seeded(void *context, void *out, size_t length_bytes)
{
	unsigned char *to = out;

	while (length_bytes) {
		uint64_t value = next_seeded(context);
		size_t part = length_bytes < sizeof(value) ? length_bytes : sizeof(value);

		memcpy(to, &value, part);
		to += part;
		length_bytes -= part;
	}
}

struct random_source random_seeded(uint64_t *state)
{
	return (struct random_source){fill_seeded, state};
}

uint64_t random_u64(struct random_source source)
{
	uint64_t value;

	random_fill(source, &value, sizeof(value));
	return value;
}

void random_token(struct random_source source, char *out, size_t length)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const unsigned count = sizeof(letters) - 1;
	unsigned char bytes[32];
	size_t written = 0;

	while (written < length) {
		size_t want = length - written < sizeof(bytes) ? length - written : sizeof(bytes);

		random_fill(source, bytes, want);
		for (size_t i = 0; i < want; i++) {
			/* The last values would favour the first letters. */
			if (bytes[i] < 256 / count * count)
				out[written++] = letters[bytes[i] % count];
		}
	}
	memory_wipe(bytes, sizeof(bytes));
	out[length] = '\0';
}
