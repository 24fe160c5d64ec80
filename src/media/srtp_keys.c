/* SPDX-License-Identifier: Apache-2.0
 * SRTP's suites and the derivation of session keys. */
#include "media/srtp_private.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

/* clang-format off */
static const struct srtp_profile profiles[SRTP_SUITE_COUNT] = {
	/*                                 key salt tag rtcp aead */
	[SRTP_AES_CM_128_HMAC_SHA1_80] = { 16, 14, 10, 10, false },
	[SRTP_AES_CM_128_HMAC_SHA1_32] = { 16, 14,  4, 10, false }, /* RFC 4568 section 6.2.2: SRTCP keeps 80 bits */
	[SRTP_AES_256_CM_HMAC_SHA1_80] = { 32, 14, 10, 10, false },
	[SRTP_AES_256_CM_HMAC_SHA1_32] = { 32, 14,  4, 10, false },
	[SRTP_AEAD_AES_128_GCM]        = { 16, 12, 16, 16, true },
	[SRTP_AEAD_AES_256_GCM]        = { 32, 12, 16, 16, true },
};
/* clang-format on */

const struct srtp_profile *srtp_profile_find(enum srtp_suite suite)
{
	return suite > SRTP_NONE && suite < SRTP_SUITE_COUNT ? &profiles[suite] : NULL;
}

uint8_t srtp_key_bytes(enum srtp_suite suite)
{
	const struct srtp_profile *profile = srtp_profile_find(suite);
	return profile ? profile->cipher_key_bytes + profile->salt_bytes : 0;
}

/* `length` bytes of the AES-CM key stream for one label: counter blocks under the master key. The key derivation
 * rate is 0, so the label alone is mixed into the salt. RFC 3711 section 4.3.3. */
static bool derive(EVP_CIPHER_CTX *cipher, const uint8_t *salt, uint8_t label, uint8_t *out, size_t length)
{
	uint8_t blocks[SRTP_CIPHER_KEY_BYTES] = {0};
	int written;
	for (size_t i = 0; i < sizeof(blocks) / 16; i++) {
		memcpy(blocks + 16 * i, salt, SRTP_SALT_BYTES);
		blocks[16 * i + 7] ^= label;
		blocks[16 * i + 15] = (uint8_t)i;
	}
	bool done = EVP_EncryptUpdate(cipher, blocks, &written, blocks, sizeof(blocks)) == 1;
	memcpy(out, blocks, length);
	memory_wipe(blocks, sizeof(blocks));
	return done;
}

int srtp_keys_derive(const struct srtp_profile *profile, const uint8_t *master, struct srtp_keys keys[SRTP_KIND_COUNT])
{
	uint8_t salt[SRTP_SALT_BYTES] = {0}; /* GCM's 12 bytes are followed by zeroes: RFC 7714 section 11 */
	memcpy(salt, master + profile->cipher_key_bytes, profile->salt_bytes);

	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *aes = profile->cipher_key_bytes == 32 ? EVP_aes_256_ecb() : EVP_aes_128_ecb();
	bool done = cipher && EVP_EncryptInit_ex2(cipher, aes, master, NULL, NULL) == 1;
	for (uint8_t kind = 0; done && kind < SRTP_KIND_COUNT; kind++) {
		uint8_t label = 3 * kind; /* RFC 3711 section 4.3.2: cipher, authentication, salt */
		done = derive(cipher, salt, label, keys[kind].cipher, profile->cipher_key_bytes) &&
		       derive(cipher, salt, label + 1, keys[kind].auth, SRTP_AUTH_KEY_BYTES) &&
		       derive(cipher, salt, label + 2, keys[kind].salt, profile->salt_bytes);
	}
	EVP_CIPHER_CTX_free(cipher);
	memory_wipe(salt, sizeof(salt));
	return done ? 0 : -ENOMEM;
}
