/* SPDX-License-Identifier: Apache-2.0
 * SRTP against libsrtp2, a second opinion on every suite: what one protects the other opens, byte for byte, through
 * loss, reordering, replay and roll-over; and against the vectors of RFC 7714 where their files are at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "media/srtp_private.h"
#include "oracle.h"
#include "packets.h"

/* Both ends of both directions, one key. */
struct ends {
	struct srtp_context *our_sender, *our_receiver;
	struct oracle *their_sender, *their_receiver;
};

static struct ends ends_new(int suite)
{
	uint8_t key[SRTP_KEY_MAXIMUM];
	key_make(key, (uint8_t)(77 + suite));
	struct ends ends = {srtp_context_new(suite, key), srtp_context_new(suite, key), oracle_new(suite, key, false),
			    oracle_new(suite, key, true)};
	assert_true(ends.our_sender && ends.our_receiver && ends.their_sender && ends.their_receiver);
	return ends;
}

static void ends_free(struct ends *ends)
{
	srtp_context_free(ends->our_sender);
	srtp_context_free(ends->our_receiver);
	oracle_free(ends->their_sender);
	oracle_free(ends->their_receiver);
}

static enum srtp_result our_protect(struct ends *ends, bool rtcp, uint8_t *packet, size_t *length)
{
	return (rtcp ? srtcp_protect : srtp_protect)(ends->our_sender, packet, length);
}

static enum srtp_result our_unprotect(struct ends *ends, bool rtcp, uint8_t *packet, size_t *length)
{
	return (rtcp ? srtcp_unprotect : srtp_unprotect)(ends->our_receiver, packet, length);
}

/* One packet each way; both come out as they went in. */
static void exchange(struct ends *ends, bool rtcp, const uint8_t *plain, size_t plain_length)
{
	uint8_t packet[PACKET_ROOM];
	size_t length = plain_length;
	memcpy(packet, plain, plain_length);
	assert_int_equal(our_protect(ends, rtcp, packet, &length), SRTP_OK);
	assert_int_equal(oracle_unprotect(ends->their_receiver, rtcp, packet, &length), ORACLE_OK);
	assert_int_equal(length, plain_length);
	assert_memory_equal(packet, plain, length);

	assert_int_equal(oracle_protect(ends->their_sender, rtcp, packet, &length), ORACLE_OK);
	assert_int_equal(our_unprotect(ends, rtcp, packet, &length), SRTP_OK);
	assert_int_equal(length, plain_length);
	assert_memory_equal(packet, plain, length);
}

#define EACH_SUITE(suite) for (int suite = SRTP_NONE + 1; suite < SRTP_SUITE_COUNT; suite++)

static void test_every_length_both_ways(void **state)
{
	(void)state;
	EACH_SUITE(suite)
	{
		struct ends ends = ends_new(suite);
		uint8_t packet[PACKET_ROOM];
		uint16_t sequence = 1;
		for (size_t length = 13; length < 1500; length += length < 200 ? 1 : 61, sequence++) {
			memset(packet, 0xa5, sizeof(packet));
			rtp_make(packet, 0x12345678, sequence);
			exchange(&ends, false, packet, length);
		}
		for (uint8_t text = 0; text < 100; text++)
			exchange(&ends, true, packet, rtcp_make(packet, 0x12345678, text));
		ends_free(&ends);
	}
}

/* A CSRC list and an extension stay readable, and authenticated. */
static void test_header_with_csrc_and_extension(void **state)
{
	(void)state;
	EACH_SUITE(suite)
	{
		struct ends ends = ends_new(suite);
		uint8_t packet[PACKET_ROOM];
		rtp_make(packet, 5, 9);
		packet[0] = 0x93;
		memcpy(packet + 24, "\xbe\xde\x00\x02\x10\x01\x02\x03\x04\x05\x06\x07", 12);
		exchange(&ends, false, packet, RTP_BYTES);
		ends_free(&ends);
	}
}

static void test_roll_over_both_ways(void **state)
{
	(void)state;
	EACH_SUITE(suite)
	{
		struct ends ends = ends_new(suite);
		uint8_t packet[PACKET_ROOM];
		for (uint32_t sequence = 64000; sequence < 64000 + 2 * 65536 + 3000; sequence += 17)
			exchange(&ends, false, packet, rtp_make(packet, 3, (uint16_t)sequence));
		ends_free(&ends);
	}
}

/* A random journey of packets: lost, late, doubled, changed on the way, across several roll-overs. Both receivers say
 * the same of every one of them. */
static void test_same_verdicts_on_a_bad_network(void **state)
{
	(void)state;
	enum { DELAYED = 200 };
	static struct {
		uint8_t bytes[PACKET_ROOM];
		size_t length;
	} late[DELAYED];
	EACH_SUITE(suite)
	{
		struct ends ends = ends_new(suite);
		uint32_t chance = 12345u + (uint32_t)suite, sequence = 65000;
		int counts[4] = {0};
		for (int i = 0; i < DELAYED; i++)
			late[i].length = 0;
		for (int step = 0; step < 20000; step++) {
			chance = chance * 1664525 + 1013904223;
			uint32_t slot = chance >> 8 & 0xff, change = chance >> 16 & 0x3f;
			sequence += chance >> 22 & 0x1f; /* now and then the same again */
			uint8_t ours[PACKET_ROOM], theirs[PACKET_ROOM];
			size_t length = rtp_make(ours, 8, (uint16_t)sequence);
			bool made = oracle_protect(ends.their_sender, false, ours, &length) == ORACLE_OK;
			if (slot < DELAYED) { /* swap with one that waited */
				uint8_t swap[PACKET_ROOM];
				size_t swap_length = late[slot].length;
				memcpy(swap, late[slot].bytes, swap_length);
				if (made && (chance & 0x700)) {
					memcpy(late[slot].bytes, ours, length);
					late[slot].length = length;
				}
				if (!swap_length)
					continue;
				memcpy(ours, swap, swap_length);
				length = swap_length;
			} else if (!made) {
				continue;
			}
			if (change == 1)
				ours[chance % length] ^= 0x10;
			memcpy(theirs, ours, length);
			size_t their_length = length;
			enum oracle_verdict verdict =
				oracle_unprotect(ends.their_receiver, false, theirs, &their_length);
			enum srtp_result result = srtp_unprotect(ends.our_receiver, ours, &length);
			counts[verdict]++;
			if (change != 1)
				assert_int_equal(result, verdict == ORACLE_OK         ? SRTP_OK
							 : verdict == ORACLE_REPLAYED ? SRTP_REPLAYED
										      : SRTP_FORGED);
			else
				assert_int_equal(result == SRTP_OK, verdict == ORACLE_OK);
			if (result == SRTP_OK)
				assert_memory_equal(ours, theirs, their_length);
		}
		assert_true(counts[ORACLE_OK] > 2000 && counts[ORACLE_REPLAYED] > 500 && counts[ORACLE_FORGED] > 20);
		ends_free(&ends);
	}
}

/* What a gate keeps of one direction with one source. */
static void hear(struct srtp_context *context, struct srtp_roll_over *told)
{
	if (srtp_roll_over_changed(context))
		*told = srtp_roll_over_take(context);
}

/* As exchange, and listens to what is told. */
static void exchange_and_listen(struct ends *ends, uint16_t sequence, struct srtp_roll_over told[2])
{
	uint8_t plain[PACKET_ROOM];
	exchange(ends, false, plain, rtp_make(plain, 3, sequence));
	hear(ends->our_sender, &told[0]);
	hear(ends->our_receiver, &told[1]);
}

static void crash(struct ends *ends, int suite, const struct srtp_roll_over told[2])
{
	uint8_t key[SRTP_KEY_MAXIMUM];
	srtp_context_free(ends->our_sender);
	srtp_context_free(ends->our_receiver);
	key_make(key, (uint8_t)(77 + suite));
	ends->our_sender = srtp_context_new(suite, key);
	ends->our_receiver = srtp_context_new(suite, key);
	assert_int_equal(srtp_roll_over_start(ends->our_sender, &told[0], 1), 0);
	assert_int_equal(srtp_roll_over_start(ends->our_receiver, &told[1], 1), 0);
}

/* Our contexts are lost at any moment, and up to 16,000 packets pass while nobody is there: the peers go on with the same
 * keys and notice nothing. Without the roll-over counter they would hear nothing after the first 65,536 packets. */
static void test_crash_at_any_sequence_number(void **state)
{
	(void)state;
	EACH_SUITE(suite)
	{
		struct ends ends = ends_new(suite);
		struct srtp_roll_over told[2] = {{0}};
		uint32_t chance = 99u + (uint32_t)suite, crashes = 0;
		for (uint32_t sequence = 65400; sequence < 5 * 65536;) {
			exchange_and_listen(&ends, (uint16_t)sequence, told);
			assert_true(told[0].index && told[1].index);
			chance = chance * 1664525 + 1013904223;
			uint32_t left = 0x8000 - 3 - sequence % 0x8000, step = 1 + (chance >> 8) % 200;
			bool near = (sequence + 3) % 0x8000 < 6;
			if (near || left < step)
				step = near ? 1 : left;
			if (near || (chance >> 20) % 16 == 0) {
				crash(&ends, suite, told);
				crashes++;
				step += near || chance >> 30 ? 0 : (chance >> 8) % 0x3f00;
			}
			sequence += step;
		}
		assert_true(crashes > 50);
		ends_free(&ends);
	}
}

/* The receiver finds its place also when nobody was there for a whole round of sequence numbers; forged packets that come
 * first do not mislead it, and what was told to be seen is not taken again. */
static void test_crash_and_long_absence(void **state)
{
	(void)state;
	EACH_SUITE(suite)
	{
		struct ends ends = ends_new(suite);
		struct srtp_roll_over told[2] = {{0}};
		uint8_t packet[PACKET_ROOM], old[PACKET_ROOM], forged[PACKET_ROOM];
		size_t length, old_length = rtp_make(old, 3, 65000);
		assert_int_equal(oracle_protect(ends.their_sender, false, old, &old_length), ORACLE_OK);
		for (uint32_t sequence = 65001; sequence < 65700; sequence++)
			exchange_and_listen(&ends, (uint16_t)sequence, told);
		for (uint32_t sequence = 65700; sequence < 65700 + 90000; sequence += 500) {
			length = rtp_make(packet, 3, (uint16_t)sequence);
			assert_int_equal(oracle_protect(ends.their_sender, false, packet, &length), ORACLE_OK);
		}
		crash(&ends, suite, told);
		size_t copy_length = old_length;
		memcpy(forged, old, old_length);
		assert_int_equal(srtp_unprotect(ends.our_receiver, forged, &copy_length), SRTP_REPLAYED);
		for (int i = 0; i < 3; i++) {
			copy_length = length;
			memcpy(forged, packet, length);
			forged[40] ^= 1;
			assert_int_equal(srtp_unprotect(ends.our_receiver, forged, &copy_length), SRTP_FORGED);
		}
		assert_int_equal(srtp_unprotect(ends.our_receiver, packet, &length), SRTP_OK);
		hear(ends.our_receiver, &told[1]);
		assert_int_equal(told[1].index >> 16, 2);
		ends_free(&ends);
	}
}

static void test_replay_refused_by_both(void **state)
{
	(void)state;
	EACH_SUITE(suite)
	{
		struct ends ends = ends_new(suite);
		for (int rtcp = 0; rtcp < 2; rtcp++) {
			uint8_t packet[PACKET_ROOM], copy[PACKET_ROOM];
			size_t length = rtcp ? rtcp_make(packet, 4, 10) : rtp_make(packet, 4, 65535);
			assert_int_equal(our_protect(&ends, rtcp, packet, &length), SRTP_OK);
			for (int time = 0; time < 2; time++) {
				size_t now = length;
				memcpy(copy, packet, length);
				assert_int_equal(oracle_unprotect(ends.their_receiver, rtcp, copy, &now),
						 time ? ORACLE_REPLAYED : ORACLE_OK);
				now = length;
				memcpy(copy, packet, length);
				assert_int_equal(our_unprotect(&ends, rtcp, copy, &now),
						 time ? SRTP_REPLAYED : SRTP_OK);
			}
		}
		ends_free(&ends);
	}
}

/* ---- The files of RFC 7714 ------------------------------------------------------------- */

static FILE *vectors_open(const char *name)
{
	char path[1024];
	const char *folder = getenv("RINGWALL_VECTORS");
	snprintf(path, sizeof(path), "%s/srtp-gcm/%s", folder ? folder : SOURCE_ROOT "/../shared/vectors", name);
	return fopen(path, "r");
}

/* Appends the bytes of a line that is nothing but hexadecimal digits; 0 when it is not. */
static size_t hex_line(const char *line, uint8_t *out, size_t length)
{
	if (strspn(line, " 0123456789abcdef\n") != strlen(line) || strlen(line) < 5)
		return 0;
	char text[256];
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
	return hex_read(text, out + length);
}

struct vector {
	uint8_t plain[256], key[64], sealed[256];
	size_t plain_length, key_length, sealed_length;
};

static void vector_run(const struct vector *vector, bool rtcp)
{
	uint8_t master[SRTP_KEY_MAXIMUM] = {0}, packet[256];
	struct srtp_crypto crypto;
	enum srtp_suite suite = vector->key_length == 32 ? SRTP_AEAD_AES_256_GCM : SRTP_AEAD_AES_128_GCM;
	enum srtp_kind kind = rtcp ? SRTP_KIND_RTCP : SRTP_KIND_RTP;
	assert_int_equal(srtp_crypto_setup(&crypto, srtp_profile_find(suite), master), 0);
	memcpy(crypto.keys[kind].cipher, vector->key, vector->key_length);
	memcpy(crypto.keys[kind].salt, "Quid pro quo", 12);
	crypto.keyed = SRTP_KIND_COUNT; /* neither: the key is put in anew */
	memcpy(packet, vector->plain, vector->plain_length);
	const uint8_t *word = vector->sealed + vector->sealed_length - 4;
	struct srtp_aad aad = {packet, word, rtcp ? 8 : 12, rtcp ? 4 : 0};
	assert_true(srtp_crypto_seal(&crypto, kind, rtcp ? 0x4d617273 : 0x5501a0b2, rtcp ? 0x5d4 : 0xf17b, &aad,
				     packet + aad.header_length, vector->plain_length - aad.header_length,
				     packet + vector->plain_length));
	assert_int_equal(vector->sealed_length, vector->plain_length + 16 + aad.trailer_length);
	assert_memory_equal(packet, vector->sealed, vector->plain_length + 16);
	srtp_crypto_clear(&crypto);
}

static int vectors_run(FILE *file, bool rtcp)
{
	struct vector vector = {0};
	uint8_t *into = NULL;
	size_t *into_length = NULL;
	int run = 0;
	char line[256];
	while (fgets(line, sizeof(line), file)) {
		const char *key = strstr(line, "  Key: ");
		size_t bytes = into ? hex_line(line, into, *into_length) : 0;
		if (bytes) {
			*into_length += bytes;
		} else if (strstr(line, "Encrypting the following packet:")) {
			vector = (struct vector){0};
			into = vector.plain, into_length = &vector.plain_length;
		} else if (key && vector.plain_length) {
			vector.key_length = hex_line(key + 7, vector.key, 0);
			into = vector.key, into_length = &vector.key_length;
		} else if (strstr(line, "Encrypted and tagged packet:") && vector.key_length) {
			into = vector.sealed, into_length = &vector.sealed_length;
		} else if (strspn(line, " \n") != strlen(line)) {
			if (vector.sealed_length) {
				vector_run(&vector, rtcp);
				vector = (struct vector){0};
				run++;
			}
			into = NULL;
		}
	}
	return run;
}

static void test_rfc7714_files(void **state)
{
	(void)state;
	FILE *rtp = vectors_open("rtp-vectors.txt"), *rtcp = vectors_open("rtcp-vectors.txt");
	if (rtp && rtcp) {
		assert_int_equal(vectors_run(rtp, false), 2);
		assert_int_equal(vectors_run(rtcp, true), 1);
	} else {
		print_message("no vector files here\n");
	}
	if (rtp)
		fclose(rtp);
	if (rtcp)
		fclose(rtcp);
}

int main(void)
{
	if (!oracle_load()) {
		print_error("libsrtp2.so.1 is not here\n");
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length_both_ways),
		cmocka_unit_test(test_header_with_csrc_and_extension),
		cmocka_unit_test(test_roll_over_both_ways),
		cmocka_unit_test(test_same_verdicts_on_a_bad_network),
		cmocka_unit_test(test_crash_at_any_sequence_number),
		cmocka_unit_test(test_crash_and_long_absence),
		cmocka_unit_test(test_replay_refused_by_both),
		cmocka_unit_test(test_rfc7714_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
