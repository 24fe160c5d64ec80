/* SPDX-License-Identifier: Apache-2.0
 * RTP headers and RTCP compounds: what is right passes, every lie about a length is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "packets.h"

static void test_header_fields(void **state)
{
	(void)state;
	uint8_t packet[PACKET_ROOM];
	struct rtp_header header;
	size_t length = rtp_make(packet, 0xdeadbeef, 65534);
	packet[1] = 0x80 | 101;
	assert_int_equal(rtp_parse(packet, length, &header), 0);
	assert_int_equal(header.payload_type, 101);
	assert_true(header.marker);
	assert_int_equal(header.sequence, 65534);
	assert_int_equal(header.timestamp, 65534 * 160);
	assert_int_equal(header.ssrc, 0xdeadbeef);
	assert_int_equal(header.payload_offset, 12);
	assert_int_equal(header.payload_length, 160);
}

static void test_csrc_extension_padding(void **state)
{
	(void)state;
	uint8_t packet[64] = {0xb2, 0, 0, 1};
	struct rtp_header header;
	memcpy(packet + 20, "\xbe\xde\x00\x01\x00\x00\x00\x00", 8);
	packet[39] = 4;
	assert_int_equal(rtp_parse(packet, 40, &header), 0);
	assert_int_equal(header.payload_offset, 28);
	assert_int_equal(header.payload_length, 8);
	packet[39] = 12; /* nothing but padding */
	assert_int_equal(rtp_parse(packet, 40, &header), 0);
	assert_int_equal(header.payload_length, 0);
	packet[39] = 13; /* padding into the header */
	assert_int_equal(rtp_parse(packet, 40, &header), -EINVAL);
	packet[39] = 0;
	assert_int_equal(rtp_parse(packet, 40, &header), -EINVAL);
	assert_int_equal(rtp_parse(packet, 28, &header), -EINVAL); /* the padding flag, and no byte to hold it */
	packet[0] = 0x92;
	for (size_t length = 0; length < 28; length++)
		assert_int_equal(rtp_parse(packet, length, &header), -EINVAL);
	assert_int_equal(rtp_parse(packet, 28, &header), 0);
	packet[22] = 0xff; /* an extension of 255 kB */
	assert_int_equal(rtp_parse(packet, 64, &header), -EINVAL);
}

static void test_version(void **state)
{
	(void)state;
	uint8_t packet[PACKET_ROOM];
	struct rtp_header header;
	size_t length = rtp_make(packet, 1, 1);
	for (int version = 0; version < 4; version++) {
		packet[0] = (uint8_t)(version << 6);
		assert_int_equal(rtp_parse(packet, length, &header), version == 2 ? 0 : -EINVAL);
	}
}

static void test_rtcp_told_apart(void **state)
{
	(void)state;
	uint8_t packet[PACKET_ROOM];
	rtp_make(packet, 1, 1);
	for (int second = 0; second < 256; second++) {
		packet[1] = (uint8_t)second;
		assert_int_equal(rtcp_is(packet, RTP_BYTES), second >= 192 && second <= 223);
	}
	packet[1] = 200;
	assert_false(rtcp_is(packet, 1));
	packet[0] = 0x40;
	assert_false(rtcp_is(packet, 100));
}

/* Truncated anywhere, a compound is refused, except between its parts. */
static void test_rtcp_truncated(void **state)
{
	(void)state;
	uint8_t packet[PACKET_ROOM];
	for (uint8_t text = 0; text < 40; text++) {
		size_t length = rtcp_make(packet, 1, text);
		for (size_t cut = 0; cut < length; cut++) {
			uint8_t *exact = malloc(cut ? cut : 1); /* so that a byte too far is noticed */
			memcpy(exact, packet, cut);
			assert_int_equal(rtcp_check(exact, cut), cut == 32 ? 0 : -EINVAL);
			free(exact);
		}
		assert_int_equal(rtcp_check(packet, length), 0);
	}
}

static const char empty_report[] = "80c90001 00000001 ";

static void assert_part(const char *part, int wanted)
{
	uint8_t packet[256];
	size_t length = hex_read(empty_report, packet);
	length += hex_read(part, packet + length);
	uint8_t *exact = malloc(length);
	memcpy(exact, packet, length);
	int result = rtcp_check(exact, length);
	free(exact);
	if (result != wanted)
		fail_msg("%s: %d, not %d", part, result, wanted);
}

static void test_rtcp_parts(void **state)
{
	(void)state;
	static const struct {
		const char *part;
		int wanted;
	} rows[] = {
		{"80c90001 00000001", 0},
		{"81c90001 00000001", -EINVAL},                                        /* a block that is not there */
		{"80c80006 00000001 00000002 00000003 00000004 00000005 00000006", 0}, /* SR */
		{"80c80005 00000001 00000002 00000003 00000004 00000005", -EINVAL},    /* a word short */
		{"81c80006 00000001 00000002 00000003 00000004 00000005 00000006", -EINVAL},
		{"81ca0002 00000001 00000000", 0}, /* SDES without items */
		{"80ca0000", 0},
		{"80ca0002 00000001 00000000", -EINVAL}, /* no chunk announced */
		{"82ca0002 00000001 00000000", -EINVAL}, /* two announced */
		{"82ca0004 00000001 00000000 00000002 00000000", 0},
		{"81ca0002 00000001 01027878", -EINVAL}, /* never ends */
		{"81ca0002 00000001 01ff7878", -EINVAL}, /* text beyond the end */
		{"81ca0003 00000001 01027878 00000000", 0},
		{"81ca0003 00000001 01017800 00000000", -EINVAL}, /* a word nobody announced */
		{"81cb0001 00000001", 0},                         /* BYE */
		{"80cb0000", 0},
		{"82cb0001 00000001", -EINVAL},
		{"9fcb0001 00000001", -EINVAL},
		{"81cb0002 00000001 03627965", 0},
		{"81cb0002 00000001 04627965", -EINVAL}, /* reason beyond the end */
		{"81cc0002 00000001 41424344", 0},       /* APP */
		{"81cc0001 00000001", -EINVAL},
		{"81cd0003 00000001 00000002 00010000", 0}, /* NACK */
		{"81ce0002 00000001 00000002", 0},          /* PLI */
		{"81ce0001 00000001", -EINVAL},
		{"80cf0004 00000001 04000002 00000000 00000000", 0}, /* XR */
		{"80cf0004 00000001 04000003 00000000 00000000", -EINVAL},
		{"80d00000", 0},       /* unknown, well-formed */
		{"80e00000", -EINVAL}, /* not RTCP */
		{"40ca0000", -EINVAL}, /* version 1 */
		{"80ca0001", -EINVAL},
		{"80caffff 00000000", -EINVAL},
		{"a0c90002 00000001 00000004", 0},       /* padded, last */
		{"a0c90002 00000001 00000008", -EINVAL}, /* padding into the report */
		{"a0c90002 00000001 00000000", -EINVAL},
		{"a0c90002 00000001 00000003", -EINVAL},
		{"a0c90002 00000001 000000ff", -EINVAL},
		{"a0c90002 00000001 00000004 80cb0000", -EINVAL}, /* padded, not last */
		{"a0cb0000", -EINVAL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_part(rows[i].part, rows[i].wanted);
}

static void test_rtcp_first_is_a_report(void **state)
{
	(void)state;
	uint8_t packet[64];
	assert_int_equal(rtcp_check(packet, hex_read("81ca0002 00000001 00000000", packet)), -EINVAL);
	assert_int_equal(rtcp_check(packet, hex_read("81cb0001 00000001", packet)), -EINVAL);
	assert_int_equal(rtcp_check(packet, hex_read("80c90001 00000001", packet)), 0);
	assert_int_equal(rtcp_check(packet, hex_read("80c80001 00000001", packet)), -EINVAL);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(srtp_result_text(SRTP_FORGED), "forged");
	assert_string_equal(srtp_result_text((enum srtp_result)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_csrc_extension_padding),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_rtcp_told_apart),
		cmocka_unit_test(test_rtcp_truncated),
		cmocka_unit_test(test_rtcp_parts),
		cmocka_unit_test(test_rtcp_first_is_a_report),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
