/* SPDX-License-Identifier: Apache-2.0
 * Nonces that need no memory: the time, a random part, and a keyed hash over both and over who asked. A nonce that
 * comes back from the address it was sent to also proves that address. RFC 7616 section 3.3, THREATS S3. */
#include <string.h>

#include "base/table.h"
#include "sip/scan.h"

#define TIME_DIGITS 8
#define RANDOM_BYTES 8
#define HASH_BYTES 8
#define NONCE_LENGTH (TIME_DIGITS + 2 * RANDOM_BYTES + 2 * HASH_BYTES)
#define CLOCK_BACK_S 5 /* the wall clock may be set back a little between challenge and answer */

/* `stamp` is the nonce's first part, as text. The port is left out: behind a NAT it may change between the two
 * requests, and it proves no more than the address does. */
static void nonce_seal(const uint8_t key[16], const struct flow *flow, const char *stamp, struct buffer *out)
{
	uint8_t bytes[TIME_DIGITS + 2 * RANDOM_BYTES + sizeof(flow->remote.ip) + 3];
	uint8_t *at = bytes;
	uint64_t hash;
	uint8_t text[HASH_BYTES];

	memcpy(at, stamp, TIME_DIGITS + 2 * RANDOM_BYTES);
	at += TIME_DIGITS + 2 * RANDOM_BYTES;
	memcpy(at, flow->remote.ip, sizeof(flow->remote.ip));
	at += sizeof(flow->remote.ip);
	*at++ = flow->remote.family;
	*at++ = flow->transport;
	*at++ = flow->zone;
	hash = hash_bytes(key, bytes, sizeof(bytes));
	for (int i = 0; i < HASH_BYTES; i++)
		text[i] = (uint8_t)(hash >> (8 * i));
	buffer_put_hex(out, text, sizeof(text));
}

void sip_nonce_make(const uint8_t key[16], const struct flow *flow, int64_t now_s, struct random_source random,
		    char nonce[SIP_NONCE_CAPACITY])
{
	struct buffer out = buffer_over(nonce, SIP_NONCE_CAPACITY);
	uint8_t chance[RANDOM_BYTES];

	random_fill(random, chance, sizeof(chance));
	buffer_printf(&out, "%08x", (unsigned)now_s);
	buffer_put_hex(&out, chance, sizeof(chance));
	nonce_seal(key, flow, nonce, &out);
	buffer_text(&out);
}

static uint32_t time_read(const char *digits)
{
	uint32_t value = 0;

	for (int i = 0; i < TIME_DIGITS; i++) {
		char digit = digits[i];

		value = value << 4 | (uint32_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
	}
	return value;
}

enum sip_nonce_verdict sip_nonce_check(const uint8_t key[16], const struct flow *flow, int64_t now_s,
				       uint32_t lifetime_s, struct span nonce)
{
	char seal[2 * HASH_BYTES + 1];
	struct buffer out = BUFFER_OVER(seal);
	int32_t age_s;

	if (nonce.length != NONCE_LENGTH)
		return SIP_NONCE_FORGED;
	nonce_seal(key, flow, nonce.data, &out);
	if (!bytes_equal_constant_time(seal, nonce.data + NONCE_LENGTH - 2 * HASH_BYTES, 2 * HASH_BYTES))
		return SIP_NONCE_FORGED;
	/* Sealed, so ours: the digits are lower-case hexadecimal. The difference survives the year 2106. */
	age_s = (int32_t)((uint32_t)now_s - time_read(nonce.data));
	if (age_s < -CLOCK_BACK_S || (age_s > 0 && (uint32_t)age_s > lifetime_s))
		return SIP_NONCE_STALE;
	return SIP_NONCE_FRESH;
}
