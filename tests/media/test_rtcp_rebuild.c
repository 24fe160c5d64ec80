/* SPDX-License-Identifier: Apache-2.0
 * RTCP built anew: THREATS M5, packets made to break phones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "media/rtcp_rebuild.h"
#include "packets.h"

static const uint8_t name_key[HASH_KEY_BYTES] = "0123456789abcde";
static struct rtcp_sources own, heard;
static struct rtcp_refused refused;

/* The sender is source 1; of source 2 it was sent 100 packets, the last numbered 1000. */
static struct rtcp_view view_make(bool is_proven)
{
	own = heard = (struct rtcp_sources){0};
	rtcp_source_add(&own, 1);
	rtcp_source_add(&heard, 9);
	rtcp_source_add(&heard, 2);
	return (struct rtcp_view){.own = &own,
				  .heard = &heard,
				  .ssrc = 2,
				  .highest = 1000,
				  .expected = 100,
				  .is_proven = is_proven,
				  .name_key = name_key};
}

static size_t rebuild(const char *text, bool is_proven, uint8_t out[PACKET_ROOM])
{
	uint8_t packet[PACKET_ROOM];
	size_t length = hex_read(text, packet);
	struct rtcp_view view = view_make(is_proven);
	uint8_t *exact = malloc(length); /* so that a byte too far is noticed */
	memcpy(exact, packet, length);
	assert_int_equal(rtcp_check(exact, length), 0);
	length = rtcp_rebuild(exact, length, &view, out, PACKET_ROOM, &refused);
	free(exact);
	return length;
}

static void assert_becomes(const char *text, bool is_proven, const char *wanted)
{
	uint8_t out[PACKET_ROOM], expected[PACKET_ROOM];
	size_t length = rebuild(text, is_proven, out), expected_length = hex_read(wanted, expected);
	if (length != expected_length || memcmp(out, expected, length) != 0)
		fail_msg("%s: not %s", text, wanted);
}

#define RR "80c90001 00000001 "
#define BLOCK(ssrc, lost, highest) ssrc lost highest "00000000 00000000 00000000 "

static void test_m5_reports(void **state)
{
	(void)state;
#define RR1 "81c90007 00000001 "
	/* Possible: as it is. */
	assert_becomes(RR1 BLOCK("00000002 ", "10000005 ", "000003e8 "), false,
		       RR1 BLOCK("00000002 ", "10000005 ", "000003e8 "));
	assert_becomes(RR1 BLOCK("00000002 ", "00fffffe ", "000003e8 "), false, /* doubled ones */
		       RR1 BLOCK("00000002 ", "00fffffe ", "000003e8 "));
	assert_int_equal(refused.reports, 0);
	/* A source of before: its counts are not known. */
	assert_becomes(RR1 BLOCK("00000009 ", "00ffffff ", "0000ffff "), false,
		       RR1 BLOCK("00000009 ", "00ffffff ", "0000ffff "));
	/* False: more lost than sent, heard before it was sent, nobody's. */
	assert_becomes(RR1 BLOCK("00000002 ", "ff000065 ", "000003e8 "), true, RR);
	assert_becomes(RR1 BLOCK("00000002 ", "00000000 ", "000003e9 "), true, RR);
	assert_becomes(RR1 BLOCK("00000003 ", "00000000 ", "00000001 "), true, RR);
	assert_int_equal(refused.reports, 1);
	/* One false among two, and a profile's extension behind them. */
	assert_becomes("82c9000e 00000001 " BLOCK("00000003 ", "00000000 ", "00000001 ")
			       BLOCK("00000002 ", "00000000 ", "00000001 ") "deadbeef",
		       false, RR1 BLOCK("00000002 ", "00000000 ", "00000001 "));
	/* The sender's own part stays; padding goes. */
	assert_becomes("a0c80007 00000001 00000002 00000003 00000004 00000005 00000006 00000004", false,
		       "80c80006 00000001 00000002 00000003 00000004 00000005 00000006");
}

static void test_m5_bye(void **state)
{
	(void)state;
	assert_becomes(RR "81cb0001 00000001", false, RR);
	assert_int_equal(refused.byes, 1);
	assert_becomes(RR "81cb0001 00000002", true, RR); /* the other's */
	assert_int_equal(refused.byes, 1);
	assert_becomes(RR "82cb0004 00000001 00000002 05686868 68680000", true, RR "81cb0001 00000001");
	assert_int_equal(refused.byes, 1);
	assert_becomes(RR "80cb0000", true, RR);
}

static void test_m5_parts(void **state)
{
	(void)state;
	static const struct {
		const char *part;
		bool passes;
	} rows[] = {
		{"80cc0002 00000001 41424344", false},                  /* APP */
		{"80d00000", false},                                    /* nobody knows what */
		{"81cd0003 00000001 00000002 00010000", true},          /* NACK */
		{"81cd0003 00000001 00000003 00010000", false},         /* of what it does not hear */
		{"81cd0002 00000001 00000002", false},                  /* of nothing */
		{"8fcd0004 00000001 00000002 00010000 00000000", true}, /* transport-wide */
		{"82cd0003 00000001 00000002 00010000", false},         /* format unknown */
		{"81ce0002 00000001 00000002", true},                   /* PLI */
		{"81ce0002 00000001 00000000", false},
		{"81ce0003 00000001 00000002 00000000", false},
		{"84ce0004 00000001 00000000 00000002 01000000", true},          /* FIR */
		{"84ce0003 00000001 00000000 00000002", false},                  /* half */
		{"8fce0005 00000001 00000000 52454d42 01000000 00000002", true}, /* REMB */
		{"80cf0004 00000001 04000002 00000000 00000000", true},          /* receiver reference time */
		{"80cf0003 00000001 04000001 00000000", false},                  /* short */
		{"80cf0002 00000001 63000000", false},
		{"80cf0001 00000001", false},
		{"80cf0004 00000001 01000002 00000000 00000000", false}, /* loss of each packet */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char whole[200];
		snprintf(whole, sizeof(whole), RR "%s", rows[i].part);
		assert_becomes(whole, false, rows[i].passes ? whole : RR);
	}
}

/* What speaks of a source that neither side has. */
static void test_m5_sources(void **state)
{
	(void)state;
	static const struct {
		const char *part, *becomes;
		uint32_t reports;
	} rows[] = {
		{"81cd0003 00000001 00000003 00010000", "", 1},          /* NACK */
		{"81ce0002 00000001 00000003", "", 1},                   /* PLI */
		{"84ce0004 00000001 00000003 00000002 01000000", "", 1}, /* FIR */
		{"84ce0004 00000001 00000000 00000003 01000000", "", 1},
		{"84ce0006 00000001 00000000 00000003 01000000 00000009 02000000",
		 "84ce0004 00000001 00000000 00000009 02000000", 1},
		{"83cd0004 00000001 00000000 00000003 00000000", "", 1},           /* TMMBR */
		{"8fce0006 00000001 00000000 52454d42 02000000 00000003 00000002", /* REMB: one */
		 "8fce0006 00000001 00000000 52454d42 02000000 00000003 00000002", 0},
		{"8fce0005 00000001 00000000 52454d42 01000000 00000003", "", 1},
		{"81ca0003 00000007 01026162 00000000", "", 1},
		{"80cf000b 00000001 06000009 00000003 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
		 "00000000",
		 "", 1}, /* summary */
		{"80cf000b 00000001 06000009 00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
		 "00000000",
		 "80cf000b 00000001 06000009 00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
		 "00000000",
		 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char whole[300], wanted[300];
		snprintf(whole, sizeof(whole), RR "%s", rows[i].part);
		snprintf(wanted, sizeof(wanted), RR "%s", rows[i].becomes);
		assert_becomes(whole, true, wanted);
		assert_int_equal(refused.reports, rows[i].reports);
		assert_int_equal(refused.parts, 0);
	}
	/* A sender report of what it does not send keeps what it heard. */
#define SR(ssrc) "81c8000c " ssrc "00000002 00000003 00000004 00000005 00000006 "
	assert_becomes(SR("00000001 ") BLOCK("00000002 ", "00000000 ", "000003e8 "), true,
		       SR("00000001 ") BLOCK("00000002 ", "00000000 ", "000003e8 "));
	assert_int_equal(refused.reports, 0);
	assert_becomes(SR("00000007 ") BLOCK("00000002 ", "00000000 ", "000003e8 "), true,
		       "81c90007 00000007 " BLOCK("00000002 ", "00000000 ", "000003e8 "));
	assert_int_equal(refused.reports, 1);
}

/* The first report may overtake the first packet of sound. */
static void test_report_before_sound(void **state)
{
	(void)state;
	uint8_t packet[PACKET_ROOM], out[PACKET_ROOM];
	struct rtcp_view view = view_make(false);
	own = (struct rtcp_sources){0};
	size_t length = hex_read("80c80006 00000007 00000002 00000003 00000004 00000005 00000006", packet);
	assert_int_equal(rtcp_rebuild(packet, length, &view, out, sizeof(out), &refused), 28);
	assert_memory_equal(packet, out, 28);
	assert_int_equal(refused.reports, 0);
	rtcp_source_add(&own, 6);
	assert_int_equal(rtcp_rebuild(packet, length, &view, out, sizeof(out), &refused), 8);
	assert_int_equal(refused.reports, 1);
	rtcp_source_add(&own, 7); /* one of several */
	assert_int_equal(rtcp_rebuild(packet, length, &view, out, sizeof(out), &refused), 28);
	assert_int_equal(refused.reports, 0);
}

/* The name says nothing, and is the same in all streams of a call. */
static void test_m5_names(void **state)
{
	(void)state;
	uint8_t packet[PACKET_ROOM], out[PACKET_ROOM], again[PACKET_ROOM];
	struct rtcp_view view = view_make(false);
	for (uint8_t letters = 0; letters < 255; letters += 5) {
		size_t length = rtcp_make(packet, 1, letters);
		length = rtcp_rebuild(packet, length, &view, out, sizeof(out), &refused);
		assert_int_equal(rtcp_check(out, length), 0);
		assert_int_equal(length, 32 + 4 + 24);
		assert_int_equal(out[32 + 9], 16);
		for (int i = 0; i < 16; i++)
			assert_true(out[32 + 10 + i] >= 'a' && out[32 + 10 + i] <= 'p');
	}
	/* NAME, PHONE and LOC do not pass, nor a chunk without a CNAME. */
	assert_becomes(RR "81ca0004 00000001 02036263 64040131 05013200", false, RR);
	/* Another call, another name. */
	static const uint8_t other_key[HASH_KEY_BYTES] = "another";
	size_t length = rtcp_make(packet, 1, 9);
	rtcp_rebuild(packet, length, &view, out, sizeof(out), &refused);
	rtcp_rebuild(packet, length, &view, again, sizeof(again), &refused);
	assert_memory_equal(out, again, 60);
	view.name_key = other_key;
	rtcp_rebuild(packet, length, &view, again, sizeof(again), &refused);
	assert_memory_not_equal(out + 42, again + 42, 16);
}

/* What does not fit is not cut. */
static void test_m5_capacity(void **state)
{
	(void)state;
	uint8_t packet[PACKET_ROOM];
	struct rtcp_view view = view_make(false);
	size_t length = rtcp_make(packet, 1, 3);
	for (size_t capacity = 0; capacity <= 60; capacity++) {
		uint8_t *out = malloc(capacity ? capacity : 1);
		assert_int_equal(rtcp_rebuild(packet, length, &view, out, capacity, &refused), capacity < 60 ? 0 : 60);
		free(out);
	}
	for (length = 0; length < 33 * 8; length += 8)
		hex_read(RR, packet + length);
	assert_int_equal(rtcp_check(packet, length), 0);
	uint8_t out[PACKET_ROOM];
	assert_int_equal(rtcp_rebuild(packet, length, &view, out, sizeof(out), &refused), 0);
	assert_int_equal(rtcp_rebuild(packet, length - 8, &view, out, sizeof(out), &refused), 32 * 8);
}

/* Cut anywhere: refused by the check, or whole parts. */
static void test_m5_truncated(void **state)
{
	(void)state;
	uint8_t packet[PACKET_ROOM], out[PACKET_ROOM];
	struct rtcp_view view = view_make(true);
	size_t length = rtcp_make(packet, 1, 11);
	length += hex_read("81cb0001 00000001 81ce0002 00000001 00000002", packet + length);
	for (size_t cut = 0; cut <= length; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);
		memcpy(exact, packet, cut);
		if (rtcp_check(exact, cut) == 0) {
			size_t built = rtcp_rebuild(exact, cut, &view, out, sizeof(out), &refused);
			assert_int_equal(rtcp_check(out, built), 0);
		}
		free(exact);
	}
}

static void test_sources(void **state)
{
	(void)state;
	struct rtcp_sources sources = {0};
	for (uint32_t ssrc = 1; ssrc <= RTCP_SOURCES + 1; ssrc++) {
		rtcp_source_add(&sources, ssrc);
		rtcp_source_add(&sources, ssrc);
	}
	assert_false(rtcp_source_knows(&sources, 1)); /* the oldest has gone */
	for (uint32_t ssrc = 2; ssrc <= RTCP_SOURCES + 1; ssrc++)
		assert_true(rtcp_source_knows(&sources, ssrc));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_m5_reports),
		cmocka_unit_test(test_m5_bye),
		cmocka_unit_test(test_m5_parts),
		cmocka_unit_test(test_m5_names),
		cmocka_unit_test(test_m5_capacity),
		cmocka_unit_test(test_m5_truncated),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_m5_sources),
		cmocka_unit_test(test_report_before_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
