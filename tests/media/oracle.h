/* SPDX-License-Identifier: Apache-2.0
 * libsrtp2 behind names of its own: some of its functions are called as ours are, so it is loaded at run time. */
#ifndef RINGWALL_TESTS_MEDIA_ORACLE_H
#define RINGWALL_TESTS_MEDIA_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum oracle_verdict { ORACLE_OK, ORACLE_REPLAYED, ORACLE_FORGED, ORACLE_OTHER };

struct oracle;

/* Loads and initialises the library; false when that fails. */
bool oracle_load(void);

/* One direction. `suite` counts as enum srtp_suite does. NULL when the library refuses. */
struct oracle *oracle_new(int suite, const uint8_t *key, bool receives);
void oracle_free(struct oracle *oracle);

enum oracle_verdict oracle_protect(struct oracle *oracle, bool rtcp, uint8_t *packet, size_t *length);
enum oracle_verdict oracle_unprotect(struct oracle *oracle, bool rtcp, uint8_t *packet, size_t *length);

#endif
