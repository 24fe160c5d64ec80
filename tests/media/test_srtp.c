/* SPDX-License-Identifier: Apache-2.0
 * SRTP against the vectors of its RFCs, and its own promises: replay, roll-over, bounds, failing memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "base/memory.h"
#include "media/srtp_private.h"
#include "packets.h"

static void assert_hex(const uint8_t *bytes, size_t length, const char *text)
{
	uint8_t wanted[512];
	assert_int_equal(hex_read(text, wanted), length);
	assert_memory_equal(bytes, wanted, length);
}

static struct srtp_context *context_new(enum srtp_suite suite)
{
	uint8_t key[SRTP_KEY_MAXIMUM];
	key_make(key, 1);
	struct srtp_context *context = srtp_context_new(suite, key);
	assert_non_null(context);
	return context;
}

static void test_key_derivation_rfc3711_b3(void **state)
{
	(void)state;
	uint8_t master[SRTP_KEY_MAXIMUM];
	struct srtp_keys keys[SRTP_KIND_COUNT];
	hex_read("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6", master);
	assert_int_equal(srtp_keys_derive(srtp_profile_find(SRTP_AES_CM_128_HMAC_SHA1_80), master, keys), 0);
	assert_hex(keys[0].cipher, 16, "C61E7A93744F39EE10734AFE3FF7A087");
	assert_hex(keys[0].salt, 14, "30CBBC08863D8C85D49DB34A9AE1");
	assert_hex(keys[0].auth, 20, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
}

static void test_key_derivation_rfc6188(void **state)
{
	(void)state;
	uint8_t master[SRTP_KEY_MAXIMUM];
	struct srtp_keys keys[SRTP_KIND_COUNT];
	hex_read("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2",
		 master);
	assert_int_equal(srtp_keys_derive(srtp_profile_find(SRTP_AES_256_CM_HMAC_SHA1_80), master, keys), 0);
	assert_hex(keys[0].cipher, 32, "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4");
	assert_hex(keys[0].salt, 14, "fa31791685ca444a9e07c6c64e93");
	assert_hex(keys[0].auth, 20, "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05");
}

/* A crypto whose session keys are given, as the vectors of RFC 3711 B.2 and RFC 7714 give them. */
static void crypto_with(struct srtp_crypto *crypto, enum srtp_suite suite, const char *key, const char *salt)
{
	uint8_t master[SRTP_KEY_MAXIMUM] = {0};
	assert_int_equal(srtp_crypto_setup(crypto, srtp_profile_find(suite), master), 0);
	for (int kind = 0; kind < SRTP_KIND_COUNT; kind++) {
		hex_read(key, crypto->keys[kind].cipher);
		hex_read(salt, crypto->keys[kind].salt);
	}
	EVP_EncryptInit_ex2(crypto->cipher, NULL, crypto->keys[0].cipher, NULL, NULL);
}

static void test_key_stream_rfc3711_b2(void **state)
{
	(void)state;
	static uint8_t stream[0xff02 * 16];
	struct srtp_crypto crypto;
	memset(stream, 0, sizeof(stream));
	crypto_with(&crypto, SRTP_AES_CM_128_HMAC_SHA1_80, "2B7E151628AED2A6ABF7158809CF4F3C",
		    "F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
	assert_true(srtp_crypto_counter_mode(&crypto, SRTP_KIND_RTP, 0, 0, stream, sizeof(stream)));
	assert_hex(stream, 48,
		   "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB"
		   "41E95B3BB0A2E8DD477901E4FCA894C0");
	assert_hex(stream + 0xfeff * 16, 48,
		   "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE"
		   "6A2CC3787889374FBEB4C81B17BA6C44");
	srtp_crypto_clear(&crypto);
}

/* RFC 7714 sections 16.1.1 and 16.2.1. */
static void test_gcm_rtp_rfc7714(void **state)
{
	(void)state;
	static const struct {
		enum srtp_suite suite;
		const char *key, *sealed;
	} rows[] = {
		{SRTP_AEAD_AES_128_GCM, "000102030405060708090a0b0c0d0e0f",
		 "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b"
		 "36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce"},
		{SRTP_AEAD_AES_256_GCM, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		 "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f"
		 "1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct srtp_crypto crypto;
		uint8_t packet[128];
		size_t length = hex_read("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976"
					 "69736120 696e2070 61727465 73207472 6573",
					 packet);
		struct srtp_aad aad = {.header = packet, .header_length = 12};
		crypto_with(&crypto, rows[i].suite, rows[i].key, "517569642070726f2071756f");
		assert_true(srtp_crypto_seal(&crypto, SRTP_KIND_RTP, 0x5501a0b2, 0xf17b, &aad, packet + 12, length - 12,
					     packet + length));
		assert_hex(packet, length + 16, rows[i].sealed);
		assert_true(srtp_crypto_open(&crypto, SRTP_KIND_RTP, 0x5501a0b2, 0xf17b, &aad, packet + 12, length - 12,
					     packet + length));
		assert_memory_equal(packet + 12, "Gallia est omnis divisa in partes tres", 38);
		srtp_crypto_clear(&crypto);
	}
}

/* RFC 7714 section 17.1, index 5d4. */
static void test_gcm_rtcp_rfc7714(void **state)
{
	(void)state;
	struct srtp_crypto crypto;
	uint8_t packet[128], tag[16];
	static const uint8_t word[4] = {0x80, 0x00, 0x05, 0xd4};
	size_t length = hex_read("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61"
				 "deadbeef deadbeef deadbeef deadbeef deadbeef",
				 packet);
	struct srtp_aad aad = {packet, word, 8, 4};
	crypto_with(&crypto, SRTP_AEAD_AES_128_GCM, "000102030405060708090a0b0c0d0e0f", "517569642070726f2071756f");
	assert_true(srtp_crypto_seal(&crypto, SRTP_KIND_RTCP, 0x4d617273, 0x5d4, &aad, packet + 8, length - 8, tag));
	assert_hex(packet, length,
		   "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d"
		   "c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b");
	assert_hex(tag, 16, "c84aa458 96cf4d2f c5abf872 45d9eade");
	srtp_crypto_clear(&crypto);
}

static void round_trip(enum srtp_suite suite, size_t length)
{
	struct srtp_context *out = context_new(suite), *in = context_new(suite);
	uint8_t packet[PACKET_ROOM], wanted[PACKET_ROOM];
	for (uint16_t sequence = 0; sequence < 3; sequence++) {
		memset(packet, 0x5a, sizeof(packet));
		rtp_make(packet, 7, sequence);
		memset(packet + length, 0x5a, sizeof(packet) - length);
		memcpy(wanted, packet, length);
		size_t now = length;
		assert_int_equal(srtp_protect(out, packet, &now), SRTP_OK);
		assert_true(now <= length + SRTP_OVERHEAD_MAXIMUM);
		assert_memory_equal(packet, wanted, 12);
		if (length >= 12 + 16)
			assert_memory_not_equal(packet + 12, wanted + 12, length - 12);
		assert_int_equal(packet[now], 0x5a); /* not a byte beyond */
		assert_int_equal(srtp_unprotect(in, packet, &now), SRTP_OK);
		assert_int_equal(now, length);
		assert_memory_equal(packet, wanted, length);
	}
	srtp_context_free(out);
	srtp_context_free(in);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (int suite = SRTP_NONE + 1; suite < SRTP_SUITE_COUNT; suite++) {
		for (size_t length = 172; length < 240; length++)
			round_trip(suite, length);
		round_trip(suite, 12);
		round_trip(suite, 1400);
		round_trip(suite, 2047);
	}
}

static void test_rtcp_round_trip(void **state)
{
	(void)state;
	for (int suite = SRTP_NONE + 1; suite < SRTP_SUITE_COUNT; suite++) {
		struct srtp_context *out = context_new(suite), *in = context_new(suite);
		uint8_t packet[PACKET_ROOM], wanted[PACKET_ROOM];
		for (uint8_t text = 0; text < 200; text++) {
			size_t length = rtcp_make(packet, 7, text), now = length;
			memcpy(wanted, packet, length);
			assert_int_equal(srtcp_protect(out, packet, &now), SRTP_OK);
			assert_int_not_equal(rtcp_check(packet, now), 0); /* what the relay calls CLEAR it is not */
			assert_int_equal(srtcp_unprotect(in, packet, &now), SRTP_OK);
			assert_int_equal(now, length);
			assert_memory_equal(packet, wanted, length);
			/* RTP between RTCP: the cipher changes its key both ways. */
			now = rtp_make(packet, 7, text);
			assert_int_equal(srtp_protect(out, packet, &now), SRTP_OK);
			assert_int_equal(srtp_unprotect(in, packet, &now), SRTP_OK);
		}
		srtp_context_free(out);
		srtp_context_free(in);
	}
}

/* A changed bit anywhere is noticed, and the right packet is still welcome afterwards. */
static void test_forged_changes_nothing(void **state)
{
	(void)state;
	for (int suite = SRTP_NONE + 1; suite < SRTP_SUITE_COUNT; suite++) {
		struct srtp_context *out = context_new(suite), *in = context_new(suite);
		uint8_t sealed[PACKET_ROOM], packet[PACKET_ROOM];
		for (int rtcp = 0; rtcp < 2; rtcp++) {
			size_t length = rtcp ? rtcp_make(sealed, 9, 4) : rtp_make(sealed, 9, 100);
			enum srtp_result (*unprotect)(struct srtp_context *, uint8_t *, size_t *) =
				rtcp ? srtcp_unprotect : srtp_unprotect;
			assert_int_equal((rtcp ? srtcp_protect : srtp_protect)(out, sealed, &length), SRTP_OK);
			for (size_t bit = 0; bit < 8 * length; bit++) {
				size_t now = length;
				memcpy(packet, sealed, length);
				packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
				enum srtp_result result = unprotect(in, packet, &now);
				assert_true(result == SRTP_FORGED || result == SRTP_MALFORMED);
			}
			for (size_t cut = 0; cut < length; cut++) {
				size_t now = cut;
				memcpy(packet, sealed, length);
				assert_int_not_equal(unprotect(in, packet, &now), SRTP_OK);
			}
			memcpy(packet, sealed, length);
			size_t now = length;
			assert_int_equal(unprotect(in, packet, &now), SRTP_OK);
			now = length;
			assert_int_equal(unprotect(in, sealed, &now), SRTP_REPLAYED);
		}
		assert_int_equal(in->stream_count, 1); /* forged SSRCs left nothing behind */
		srtp_context_free(out);
		srtp_context_free(in);
	}
}

static void test_window(void **state)
{
	(void)state;
	struct srtp_window window = {0};
	assert_true(srtp_window_admits(&window, 0));
	srtp_window_mark(&window, 0);
	assert_false(srtp_window_admits(&window, 0));
	srtp_window_mark(&window, 1000);
	assert_false(srtp_window_admits(&window, 1000));
	assert_true(srtp_window_admits(&window, 1000 - 127));
	assert_false(srtp_window_admits(&window, 1000 - 128));
	/* Every step from 1 to beyond the window keeps exactly what was seen. */
	for (uint64_t step = 1; step < 300; step++) {
		window = (struct srtp_window){0};
		uint64_t seen[] = {1000, 999, 990, 940, 937, 936, 935, 900, 874, 873};
		for (size_t i = 0; i < 10; i++)
			srtp_window_mark(&window, seen[i]);
		srtp_window_mark(&window, 1000 + step);
		for (uint64_t index = 1000 + step - 200; index <= 1000 + step; index++) {
			bool was_seen = index == 1000 + step, is_old = 1000 + step - index >= 128;
			for (size_t i = 0; i < 10; i++)
				was_seen |= seen[i] == index;
			assert_int_equal(srtp_window_admits(&window, index), !was_seen && !is_old);
		}
	}
}

static void test_index_estimate(void **state)
{
	(void)state;
	static const struct {
		uint64_t highest;
		uint16_t sequence;
		uint64_t index;
	} rows[] = {
		{100, 101, 101},
		{100, 50, 50},
		{65535, 0, 65536},
		{65535, 32766, 65536 + 32766},
		{65535, 32767, 32767},
		{65536 + 10, 65530, 65530},
		{65536 + 10, 11, 65547},
		{10, 65530, 65530}, /* nothing before the first */
		{32767, 65535, 65535},
		{32768, 65535, 65535},
		{40000, 7000, 65536 + 7000},
		{(UINT64_C(1) << 48) - 1, 0, UINT64_C(1) << 48}, /* beyond the key's life */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct srtp_window window = {0};
		srtp_window_mark(&window, rows[i].highest);
		assert_int_equal(srtp_index_estimate(&window, rows[i].sequence), rows[i].index);
	}
	struct srtp_window fresh = {0};
	assert_int_equal(srtp_index_estimate(&fresh, 65000), 65000);
}

static enum srtp_result feed(struct srtp_context *out, struct srtp_context *in, uint32_t ssrc, uint16_t sequence)
{
	uint8_t packet[PACKET_ROOM], wanted[PACKET_ROOM];
	size_t length = rtp_make(packet, ssrc, sequence);
	rtp_make(wanted, ssrc, sequence);
	enum srtp_result result = srtp_protect(out, packet, &length);
	if (result != SRTP_OK)
		return result;
	result = srtp_unprotect(in, packet, &length);
	if (result == SRTP_OK)
		assert_memory_equal(packet, wanted, RTP_BYTES);
	return result;
}

static void test_roll_over(void **state)
{
	(void)state;
	struct srtp_context *out = context_new(SRTP_AES_CM_128_HMAC_SHA1_80);
	struct srtp_context *in = context_new(SRTP_AES_CM_128_HMAC_SHA1_80);
	uint32_t sequence = 65000;
	for (; sequence < 65000 + 4 * 65536; sequence += 5)
		assert_int_equal(feed(out, in, 1, (uint16_t)sequence), SRTP_OK);
	assert_int_equal(in->streams[0].window[0].highest, sequence - 5);
	srtp_context_free(out);
	srtp_context_free(in);
}

/* An index is never used for two packets, whatever the plain side sends. */
static void test_protect_refuses_repetition(void **state)
{
	(void)state;
	struct srtp_context *out = context_new(SRTP_AEAD_AES_128_GCM);
	uint8_t packet[PACKET_ROOM];
	size_t length = rtp_make(packet, 1, 500);
	assert_int_equal(srtp_protect(out, packet, &length), SRTP_OK);
	length = rtp_make(packet, 1, 500);
	packet[20] ^= 1;
	assert_int_equal(srtp_protect(out, packet, &length), SRTP_REPLAYED);
	length = rtp_make(packet, 1, 300);
	assert_int_equal(srtp_protect(out, packet, &length), SRTP_REPLAYED);
	srtp_context_free(out);
}

static void test_sources_bounded(void **state)
{
	(void)state;
	struct srtp_context *out = context_new(SRTP_AES_CM_128_HMAC_SHA1_80);
	struct srtp_context *in = context_new(SRTP_AES_CM_128_HMAC_SHA1_80);
	struct srtp_context *wide = context_new(SRTP_AES_CM_128_HMAC_SHA1_80);
	for (uint32_t ssrc = 0; ssrc < SRTP_STREAMS_MAXIMUM; ssrc++)
		assert_int_equal(feed(out, in, ssrc, 60000), SRTP_OK);
	assert_int_equal(feed(out, in, 1000, 1), SRTP_TOO_MANY);
	assert_int_equal(feed(wide, in, 1000, 1), SRTP_TOO_MANY);
	/* Those that are known go on, their replays still refused. */
	for (uint32_t ssrc = 0; ssrc < SRTP_STREAMS_MAXIMUM; ssrc++) {
		assert_int_equal(feed(out, in, ssrc, 60001), SRTP_OK);
		assert_int_equal(feed(out, in, ssrc, 60000), SRTP_REPLAYED);
	}
	srtp_context_free(out);
	srtp_context_free(in);
	srtp_context_free(wide);
}

static void test_key_worn(void **state)
{
	(void)state;
	struct srtp_context *context = context_new(SRTP_AES_CM_128_HMAC_SHA1_80);
	uint8_t packet[PACKET_ROOM];
	context->packets[SRTP_KIND_RTP] = (UINT64_C(1) << 48) - 1;
	context->packets[SRTP_KIND_RTCP] = (UINT64_C(1) << 31) - 1;
	size_t length = rtp_make(packet, 1, 1);
	assert_int_equal(srtp_protect(context, packet, &length), SRTP_OK);
	assert_int_equal(srtp_unprotect(context, packet, &length), SRTP_KEY_WORN);
	length = rtp_make(packet, 1, 2);
	assert_int_equal(srtp_protect(context, packet, &length), SRTP_KEY_WORN);
	length = rtcp_make(packet, 1, 4);
	assert_int_equal(srtcp_protect(context, packet, &length), SRTP_OK);
	length = rtcp_make(packet, 1, 4);
	assert_int_equal(srtcp_protect(context, packet, &length), SRTP_KEY_WORN);
	/* The roll-over counter itself ends too. */
	context->packets[SRTP_KIND_RTP] = 0;
	srtp_window_mark(&context->streams[0].window[0], (UINT64_C(1) << 48) - 1);
	length = rtp_make(packet, 1, 0);
	assert_int_equal(srtp_protect(context, packet, &length), SRTP_KEY_WORN);
	srtp_context_free(context);
}

static void test_rekey(void **state)
{
	(void)state;
	struct srtp_context *out = context_new(SRTP_AES_CM_128_HMAC_SHA1_80);
	struct srtp_context *in = context_new(SRTP_AES_CM_128_HMAC_SHA1_80);
	uint8_t key[SRTP_KEY_MAXIMUM];
	assert_int_equal(feed(out, in, 1, 65535), SRTP_OK);
	assert_int_equal(feed(out, in, 1, 0), SRTP_OK);
	/* The same key once more: nothing starts anew. */
	key_make(key, 1);
	assert_int_equal(srtp_context_rekey(out, SRTP_AES_CM_128_HMAC_SHA1_80, key), 0);
	assert_int_equal(srtp_context_rekey(in, SRTP_AES_CM_128_HMAC_SHA1_80, key), 0);
	assert_int_equal(feed(out, in, 1, 0), SRTP_REPLAYED);
	assert_int_equal(feed(out, in, 1, 1), SRTP_OK);
	/* New keys: as a new context. */
	key_make(key, 200);
	assert_int_equal(srtp_context_rekey(out, SRTP_AEAD_AES_256_GCM, key), 0);
	assert_int_equal(feed(out, in, 1, 2), SRTP_FORGED);
	assert_int_equal(srtp_context_rekey(in, SRTP_AEAD_AES_256_GCM, key), 0);
	assert_int_equal(feed(out, in, 1, 3), SRTP_OK);
	assert_int_equal(in->streams[0].window[0].highest, 3);
	srtp_context_free(out);
	srtp_context_free(in);
}

static void test_malformed(void **state)
{
	(void)state;
	struct srtp_context *context = context_new(SRTP_AEAD_AES_128_GCM);
	static uint8_t packet[70000];
	size_t length;
	static const size_t lengths[] = {0, 1, 7, 11, 65536};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		memset(packet, 0x80, sizeof(packet));
		length = lengths[i];
		assert_int_equal(srtp_protect(context, packet, &length), SRTP_MALFORMED);
		assert_int_equal(srtp_unprotect(context, packet, &length), SRTP_MALFORMED);
		if (length == 11)
			continue;
		assert_int_equal(srtcp_protect(context, packet, &length), SRTP_MALFORMED);
		assert_int_equal(srtcp_unprotect(context, packet, &length), SRTP_MALFORMED);
	}
	packet[0] = 0x8f; /* a CSRC list that is longer than the packet */
	length = 60;
	assert_int_equal(srtp_protect(context, packet, &length), SRTP_MALFORMED);
	packet[0] = 0x40; /* version 1 */
	assert_int_equal(srtp_protect(context, packet, &length), SRTP_MALFORMED);
	assert_int_equal(srtcp_protect(context, packet, &length), SRTP_MALFORMED);
	/* Authenticated SRTCP without encryption is not what was agreed. */
	rtcp_make(packet, 1, 4);
	packet[60] = 0;
	length = 64;
	assert_int_equal(srtcp_unprotect(context, packet, &length), SRTP_FORGED);
	srtp_context_free(context);
	assert_null(srtp_context_new(SRTP_NONE, packet));
	assert_null(srtp_context_new(SRTP_SUITE_COUNT, packet));
	assert_int_equal(srtp_key_bytes(SRTP_NONE), 0);
	assert_int_equal(srtp_key_bytes(SRTP_AES_256_CM_HMAC_SHA1_32), 46);
	assert_int_equal(srtp_key_bytes(SRTP_AEAD_AES_128_GCM), 28);
	srtp_context_free(NULL);
}

/* OpenSSL's allocations fail one after the other. */
static long openssl_fails_after = -1;
static bool fails_now(void)
{
	return openssl_fails_after >= 0 && openssl_fails_after-- == 0;
}
static void *failing_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return fails_now() ? NULL : malloc(size);
}
static void *failing_realloc(void *block, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return fails_now() ? NULL : realloc(block, size);
}
static void plain_free(void *block, const char *file, int line)
{
	(void)file, (void)line;
	free(block);
}

static void sweep_openssl(enum srtp_suite suite)
{
	uint8_t key[SRTP_KEY_MAXIMUM];
	struct srtp_context *context = NULL;
	key_make(key, 1);
	for (long after = 0; !context; after++) {
		openssl_fails_after = after;
		context = srtp_context_new(suite, key);
		assert_true(after < 1000);
	}
	enum srtp_result result = SRTP_KEY_WORN;
	for (long after = 0; result != SRTP_OK; after++) {
		uint8_t packet[PACKET_ROOM];
		size_t length = rtp_make(packet, 1, 1);
		openssl_fails_after = after;
		result = srtp_protect(context, packet, &length);
		assert_true(result == SRTP_OK || result == SRTP_KEY_WORN);
	}
	openssl_fails_after = -1;
	struct srtp_context *in = context_new(suite);
	assert_int_equal(feed(context, in, 1, 2), SRTP_OK);
	srtp_context_free(in);
	srtp_context_free(context);
}

static void test_memory_fails(void **state)
{
	(void)state;
	uint8_t key[SRTP_KEY_MAXIMUM], packet[PACKET_ROOM];
	for (int suite = SRTP_NONE + 1; suite < SRTP_SUITE_COUNT; suite++) {
		sweep_openssl(suite);
		key_make(key, 1);
		memory_fail_after(0);
		assert_null(srtp_context_new(suite, key));
		struct srtp_context *context = context_new(suite), *out = context_new(suite);
		memory_fail_after(0);
		assert_int_equal(srtp_context_rekey(context, suite, key), -ENOMEM);
		size_t length = rtp_make(packet, 1, 1);
		memory_fail_after(0);
		assert_int_equal(srtp_protect(out, packet, &length), SRTP_TOO_MANY);
		length = rtp_make(packet, 1, 1);
		assert_int_equal(srtp_protect(out, packet, &length), SRTP_OK);
		memory_fail_after(0);
		assert_int_equal(srtp_unprotect(context, packet, &length), SRTP_TOO_MANY);
		memory_fail_after(-1);
		srtp_context_free(context);
		srtp_context_free(out);
	}
}

/* Two contexts of one key, as before and after a crash: the second starts where the first never was. */
static void test_rtcp_index_starts_where_told(void **state)
{
	(void)state;
	uint8_t key[SRTP_KEY_MAXIMUM] = {1}, packet[64] = {0x80, 200, 0, 6};
	struct srtp_context *context = srtp_context_new(SRTP_AES_CM_128_HMAC_SHA1_80, key);
	size_t length = 28;

	srtcp_index_start(context, 70000);
	assert_int_equal(srtcp_protect(context, packet, &length), SRTP_OK);
	/* The index word stands before the tag of ten bytes. */
	assert_memory_equal(packet + length - 14, "\x80\x01\x11\x70", 4);
	srtp_context_free(context);
}

int main(void)
{
	/* Before anything of OpenSSL runs. */
	if (CRYPTO_set_mem_functions(failing_malloc, failing_realloc, plain_free) != 1)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_derivation_rfc3711_b3),
		cmocka_unit_test(test_key_derivation_rfc6188),
		cmocka_unit_test(test_key_stream_rfc3711_b2),
		cmocka_unit_test(test_gcm_rtp_rfc7714),
		cmocka_unit_test(test_gcm_rtcp_rfc7714),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_rtcp_round_trip),
		cmocka_unit_test(test_rtcp_index_starts_where_told),
		cmocka_unit_test(test_forged_changes_nothing),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_index_estimate),
		cmocka_unit_test(test_roll_over),
		cmocka_unit_test(test_protect_refuses_repetition),
		cmocka_unit_test(test_sources_bounded),
		cmocka_unit_test(test_key_worn),
		cmocka_unit_test(test_rekey),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_memory_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
