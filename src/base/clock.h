/* SPDX-License-Identifier: Apache-2.0
 * Time and chance are arguments: modules get them from here so that tests can turn time
 * and repeat chance. */
#ifndef RINGWALL_BASE_CLOCK_H
#define RINGWALL_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Monotonic time since boot, never backwards. */
uint64_t clock_monotonic_us(void);

/* Time of day, since 1970, for what is written down or compared with other machines. */
int64_t clock_wall_s(void);

/* A source of random bytes. random_system() is the kernel's; random_seeded repeats itself and is
 * for tests alone. `fill` never fails: without randomness the process ends. */
struct random_source {
	void (*fill)(void *context, void *out, size_t length_bytes);
	void *context;
};

struct random_source random_system(void);

/* *state is the caller's and must outlive the source. */
struct random_source random_seeded(uint64_t *state);

static inline void random_fill(struct random_source source, void *out, size_t length_bytes)
{
	source.fill(source.context, out, length_bytes);
}

uint64_t random_u64(struct random_source source);

/* Writes `length` characters of [a-z0-9] and a NUL; 5.17 bits a character. `out` has length + 1 bytes. */
void random_token(struct random_source source, char *out, size_t length);

#endif
