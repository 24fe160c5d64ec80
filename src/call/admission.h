/* SPDX-License-Identifier: Apache-2.0
 * How many registrations go on to the registrar when all phones come back at once: those it has known longest first, the
 * others told when to come again. Pure: clock and chance are arguments. Nothing but registrations is ever asked about. */
#ifndef RINGWALL_CALL_ADMISSION_H
#define RINGWALL_CALL_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

/* The first goes first: it takes what is left when the next finds nothing any more. */
enum admission_class {
	ADMISSION_URGENT,  /* a phone that is registered from this address, and is not much longer */
	ADMISSION_KNOWN,   /* a phone that is registered from this address */
	ADMISSION_UNKNOWN, /* anybody else */
	ADMISSION_CLASS_COUNT,
};
#define ADMISSION_URGENT_S 30    /* what a registration must still last, at least, to wait with the others */
#define ADMISSION_LONGEST_S 1800 /* nobody is told to stay away for longer */

struct admission {
	uint64_t filled_us;                      /* when the buckets below were filled last; 0: never, they are full */
	uint64_t first, challenged;              /* millionths of a registration that may go on now */
	uint64_t free_us[ADMISSION_CLASS_COUNT]; /* when the next who is sent away may come again */
};

/* How the gateway fares. */
struct admission_load {
	uint32_t pending; /* registrations that wait for the registrar's answer */
	uint64_t lag_us;  /* by how much the event loop is late */
};

/* Whether a registration may go on: 0; or after how many seconds it is to come again, at most ADMISSION_LONGEST_S. `rate` is how
 * many go on in a second. `answers`: it answers a challenge, so the registration that was challenged went on already, and
 * was counted: such have a bucket of their own, as large. `chance`: any 32 random bits. */
uint32_t admission_ask(struct admission *admission, uint32_t rate, enum admission_class class, bool answers,
		       const struct admission_load *load, uint64_t now_us, uint32_t chance);

#endif
