/* SPDX-License-Identifier: Apache-2.0
 * A token bucket with a reserve for each class, and a book of when those who were sent away may come again. */
#include "call/admission.h"

#define MILLION 1000000u
#define BURST_S 2             /* what is not used is kept for so long: phones count in whole seconds */
#define PENDING_S 4           /* a registrar that is behind by more than so much work is given no more */
#define LAG_LONGEST_US 500000 /* nor is a loop that is late by more */

/* Hundredths of the bucket that a class leaves to those before it. */
static const uint8_t reserves[ADMISSION_CLASS_COUNT] = {[ADMISSION_KNOWN] = 10, [ADMISSION_UNKNOWN] = 50};

static uint64_t bucket_size(uint32_t rate)
{
	uint64_t size = (uint64_t)rate * BURST_S * MILLION;

	return size < 4 * MILLION ? 4 * MILLION : size; /* also a small one holds one beyond every reserve */
}

static void fill(struct admission *admission, uint32_t rate, uint64_t now_us)
{
	uint64_t size = bucket_size(rate);
	uint64_t passed_us = now_us - admission->filled_us, longest_us = size / rate;
	uint64_t more = !admission->filled_us || passed_us > longest_us ? size : passed_us * rate;

	admission->filled_us = now_us;
	admission->first = size - admission->first < more || admission->first > size ? size : admission->first + more;
	admission->challenged = size - admission->challenged < more || admission->challenged > size
					? size
					: admission->challenged + more;
}

/* The next free place behind all who were sent away and go before, so that they come back no faster than they can go on. */
static uint32_t book(struct admission *admission, uint32_t rate, enum admission_class class, uint64_t now_us,
		     uint32_t chance)
{
	uint64_t place_us = now_us + MILLION, wait_s;

	for (int i = 0; i <= (int)class; i++)
		if (admission->free_us[i] > place_us)
			place_us = admission->free_us[i];
	admission->free_us[class] = place_us + MILLION / rate;
	wait_s = (place_us - now_us + MILLION - 1) / MILLION;
	if (wait_s <= ADMISSION_LONGEST_S)
		return (uint32_t)wait_s;
	/* More than fit into the book: any time of its second half. It does not grow. */
	admission->free_us[class] = place_us;
	return ADMISSION_LONGEST_S - chance % (ADMISSION_LONGEST_S / 2);
}

uint32_t admission_ask(struct admission *admission, uint32_t rate, enum admission_class class, bool answers,
		       const struct admission_load *load, uint64_t now_us, uint32_t chance)
{
	fill(admission, rate, now_us);
	if (answers && admission->challenged >= MILLION) {
		admission->challenged -= MILLION;
		return 0;
	}
	if (load->pending <= (uint64_t)rate * PENDING_S && load->lag_us <= LAG_LONGEST_US &&
	    admission->first >= MILLION + bucket_size(rate) / 100 * reserves[class]) {
		admission->first -= MILLION;
		return 0;
	}
	return book(admission, rate, class, now_us, chance);
}
