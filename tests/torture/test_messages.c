/* SPDX-License-Identifier: Apache-2.0
 * The torture messages of RFC 4475 and RFC 5118: what the parser says of each, and what the gateway answers to whoever sends it. */
#include "../call/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notation.h"

enum { SILENCE = 0, FORWARDED = 1 }; /* beside the statuses */

/* One row a message: what the parser says, what the sender of the datagram sees. The comment says why where the RFC would have
 * something else, or leaves it open; it asks for no more than "does not break" of many. */
static const struct {
	const char *name;
	enum sip_reject reject;
	uint16_t answer;
} rows[] = {
	{"wsinv", SIP_OK, 481}, /* its To has a tag, of a dialog that nobody has */
	/* Stricter: NUL, BEL and DEL in a quoted pair are refused like anywhere else (with 400 as the RFC lets us). */
	{"intmeth", SIP_REJECT_BYTE, SILENCE},
	{"esc01", SIP_OK, FORWARDED},
	{"escnull", SIP_OK, 403}, /* stricter: no account has a NUL in its name */
	{"esc02", SIP_OK, 501},
	{"lwsdisp", SIP_OK, FORWARDED},
	{"longreq", SIP_OK, FORWARDED},
	{"dblreq", SIP_OK, FORWARDED},
	{"semiuri", SIP_OK, FORWARDED},
	{"transports", SIP_OK, FORWARDED},
	{"mpart01", SIP_OK, 415}, /* MESSAGE carries text only */
	{"unreason", SIP_OK, SILENCE},
	{"noreason", SIP_OK, SILENCE},
	{"badinv01", SIP_REJECT_VIA, SILENCE}, /* no 400: its Via is the fault */
	{"clerr", SIP_REJECT_CONTENT_LENGTH, 400},
	{"ncl", SIP_REJECT_CONTENT_LENGTH, 400},
	{"scalar02", SIP_REJECT_HEADER_VALUE, 400},
	{"scalarlg", SIP_REJECT_HEADER_VALUE, SILENCE},
	{"quotbal", SIP_REJECT_HEADER_VALUE, 400},
	{"ltgtruri", SIP_REJECT_URI, 400},
	{"lwsruri", SIP_REJECT_START_LINE, 400},
	{"lwsstart", SIP_REJECT_START_LINE, 400},
	{"trws", SIP_REJECT_START_LINE, 400},
	{"escruri", SIP_REJECT_URI, 400},
	{"baddate", SIP_OK, FORWARDED}, /* Date is not used */
	{"regbadct", SIP_REJECT_HEADER_VALUE, 400},
	{"badaspec", SIP_REJECT_HEADER_VALUE, 400},
	{"baddn", SIP_REJECT_HEADER_VALUE, 400},
	{"badvers", SIP_REJECT_VERSION, SILENCE},            /* no 505: its Via is of that version too */
	{"mismatch01", SIP_REJECT_METHOD_MISMATCH, SILENCE}, /* a 400 would be larger than what it answers (N4) */
	{"mismatch02", SIP_REJECT_METHOD_MISMATCH, 400},
	{"bigcode", SIP_REJECT_START_LINE, SILENCE},
	{"badbranch", SIP_REJECT_VIA, SILENCE}, /* no 400: who answers whom could not be told */
	{"insuf", SIP_REJECT_HEADER_MISSING, SILENCE},
	{"unkscm", SIP_REJECT_SCHEME, 416},
	{"novelsc", SIP_REJECT_SCHEME, SILENCE}, /* a 416 would be larger than what it answers (N4) */
	{"unksm2", SIP_OK, 403},                 /* an address-of-record is a sip or sips URI */
	{"bext01", SIP_OK, 420},
	{"invut", SIP_OK, 415},
	{"regaut01", SIP_OK, FORWARDED}, /* the registrar challenges */
	{"multi01", SIP_REJECT_HEADER_DUPLICATE, 400},
	{"mcl01", SIP_REJECT_HEADER_DUPLICATE, 400},
	{"bcast", SIP_OK, SILENCE},
	{"zeromf", SIP_OK, 483},
	{"cparam01", SIP_OK, FORWARDED},
	{"cparam02", SIP_OK, FORWARDED},
	{"regescrt", SIP_OK, 400}, /* headers have no place in a registered contact: they would become ours */
	{"sdp01", SIP_OK, 406},
	{"inv2543", SIP_OK, 400}, /* stricter: without Contact there is no dialog (RFC 3261 section 8.1.1.8) */
	{"ipv6-good", SIP_OK, FORWARDED},
	{"ipv6-bad", SIP_REJECT_URI, 400},
	{"port-ambiguous", SIP_OK, FORWARDED},
	{"port-unambiguous", SIP_OK, FORWARDED},
	{"via-received-param-with-delim", SIP_OK, 481},
	{"via-received-param-no-delim", SIP_OK, 200},
	{"ipv6-in-sdp", SIP_REJECT_CONTENT_LENGTH, 400}, /* larger than the body */
	{"ipv6-in-sdp-wire", SIP_OK, FORWARDED},
	{"mult-ip-in-header", SIP_OK, 481},
	{"mult-ip-in-sdp", SIP_OK, FORWARDED},
	{"mult-ip-in-sdp-wire", SIP_OK, FORWARDED},
	{"ipv4-mapped-ipv6", SIP_OK, FORWARDED},
	{"ipv4-mapped-ipv6-wire", SIP_OK, FORWARDED},
	/* Stricter: three colons are no address (RFC 4291 section 2.2); RFC 5118 section 4.10 would have them tolerated for
	 * the sake of RFC 3261's grammar, which since has been corrected (RFC 5954). */
	{"ipv6-bug-abnf-3-colons", SIP_REJECT_URI, 400},
	{"ipv6-correct-abnf-2-colons", SIP_OK, FORWARDED},
};
#define ROWS (sizeof(rows) / sizeof(*rows))

static struct notation all;

static struct span text_of(const char *name)
{
	const struct notation_message *message = notation_find(&all, name);

	if (!message)
		fail_msg("no message %s", name);
	return (struct span){message->bytes, message->length};
}

struct parsed {
	struct sip_message message;
	enum sip_reject reject;
	char *bytes, *memory;
};

/* From memory that ends where the message does. */
static struct parsed parse(struct span text, bool is_stream)
{
	struct parsed parsed = {.bytes = malloc(text.length), .memory = malloc(16384)};
	struct arena arena = arena_over(parsed.memory, 16384);
	size_t consumed;

	assert_non_null(parsed.bytes);
	memcpy(parsed.bytes, text.data, text.length);
	parsed.reject = sip_message_parse((struct span){parsed.bytes, text.length}, is_stream, &sip_limits_default,
					  &arena, &parsed.message, &consumed);
	return parsed;
}

static void parsed_free(struct parsed *parsed)
{
	free(parsed->bytes);
	free(parsed->memory);
}

static void test_every_message_has_its_row(void **state)
{
	(void)state;
	assert_int_equal(all.count, ROWS);
	for (size_t i = 0; i < ROWS; i++)
		assert_true(text_of(rows[i].name).length > 200);
}

static void test_what_the_parser_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		struct parsed parsed = parse(text_of(rows[i].name), false);

		if (parsed.reject != rows[i].reject)
			fail_msg("%s: %s", rows[i].name, sip_reject_row(parsed.reject)->metric);
		parsed_free(&parsed);
	}
}

/* RFC 4475 section 3.1.2.2: over a stream the rest of the body may still come. */
static void test_a_stream_waits_for_the_length_that_was_said(void **state)
{
	struct parsed parsed = parse(text_of("clerr"), true);

	(void)state;
	assert_int_equal(parsed.reject, SIP_NEED_MORE);
	parsed_free(&parsed);
}

static void test_tortuous_invite_in_detail(void **state)
{
	struct parsed parsed = parse(text_of("wsinv"), true);
	const struct sip_message *message = &parsed.message;

	(void)state;
	assert_int_equal(parsed.reject, SIP_OK);
	assert_true(span_is(message->to.tag, "1918181833n"));
	assert_true(span_is(message->from.tag, "98asjd8"));
	assert_true(span_equal(message->from.display, SPAN("\"J Rosenberg \\\\\\\"\"")));
	assert_true(span_equal(message->contact.display, SPAN("\"Quoted string \\\"\\\"\"")));
	assert_int_equal(message->max_forwards, 68);
	assert_int_equal(message->cseq, 9);
	assert_true(span_is(message->via.host, "192.0.2.2"));
	assert_true(span_is(message->via.branch, "390skdjuw"));
	assert_int_equal(message->body.length, 150);
	parsed_free(&parsed);
}

/* Beyond the controls in its quoted pairs, "intmeth" is accepted in all its width. */
static void test_wide_range_of_characters(void **state)
{
	struct span text = text_of("intmeth");
	char bytes[NOTATION_BYTES];
	struct parsed parsed;

	(void)state;
	memcpy(bytes, text.data, text.length);
	for (size_t i = 0; i < text.length; i++)
		if (bytes[i] == '\0' || bytes[i] == '\x07' || bytes[i] == '\x7f')
			bytes[i] = 'x';
	parsed = parse((struct span){bytes, text.length}, false);
	assert_int_equal(parsed.reject, SIP_OK);
	assert_int_equal(parsed.message.method, SIP_METHOD_OTHER);
	parsed_free(&parsed);
}

/* RFC 4475 section 3.1.1.11: a part of any bytes ends where its boundary stands, and not before. */
static void test_binary_part_is_whole(void **state)
{
	static const unsigned char sequence[] = {0x30, 0x81};
	struct parsed parsed = parse(text_of("mpart01"), true);
	struct sip_multipart walk;
	struct sip_part part;
	const unsigned char *binary;

	(void)state;
	assert_int_equal(parsed.reject, SIP_OK);
	assert_int_equal(sip_multipart_begin(parsed.message.content_type, parsed.message.body, &walk), 0);
	assert_int_equal(sip_multipart_next(&walk, &part), 1);
	assert_true(span_is(part.content_type, "text/plain") && span_is(part.body, "Hello"));
	assert_int_equal(sip_multipart_next(&walk, &part), 1);
	assert_true(span_is(part.content_type, "application/octet-stream") && span_is(part.encoding, "binary"));
	binary = (const unsigned char *)part.body.data;
	assert_memory_equal(binary, sequence, sizeof(sequence));
	assert_int_equal(part.body.length, 3 + binary[2]); /* as its DER says */
	assert_int_equal(binary[part.body.length - 1], 0xff);
	assert_int_equal(sip_multipart_next(&walk, &part), 0);
	parsed_free(&parsed);
}

/* ---- What the gateway does ---- */

/* A socket where answers go to, by the topmost Via: our address, its port (RFC 3261 section 18.2.2). */
static void sender_bind(struct kit *kit, struct span text)
{
	struct parsed parsed = parse(text, false);
	struct address address = {.family = ADDRESS_IPV4, .ip = {127, 0, 47, 5}, .port = 5060};
	struct sockaddr_storage sockaddr;
	socklen_t length;

	if (parsed.message.via.port)
		address.port = (uint16_t)parsed.message.via.port;
	parsed_free(&parsed);
	close(kit->phone.descriptor);
	kit->phone.descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	length = address_to_sockaddr(&address, &sockaddr);
	assert_int_equal(bind(kit->phone.descriptor, (struct sockaddr *)&sockaddr, length), 0);
	kit->phone.address = address;
}

/* What came of the message: a status, FORWARDED or SILENCE. */
static uint16_t outcome(struct kit *kit)
{
	if (peer_receive(kit, &kit->pbx, 30))
		return FORWARDED;
	while (peer_receive(kit, &kit->phone, 30)) {
		int status = atoi(kit->phone.text + strlen("SIP/2.0 "));

		if (status != 100)
			return (uint16_t)status;
	}
	return SILENCE;
}

/* Whoever calls next notices nothing. */
static void expect_alive(struct kit *kit)
{
	peer_send(kit, &kit->stranger,
		  "OPTIONS sip:voip.example.org SIP/2.0\n"
		  "Via: SIP/2.0/UDP 127.0.0.1:%u;rport;branch=z9hG4bKalive\n"
		  "From: <sip:1001@voip.example.org>;tag=a\n"
		  "To: <sip:voip.example.org>\n"
		  "Call-ID: alive\n"
		  "CSeq: 1 OPTIONS\n"
		  "Max-Forwards: 70\n"
		  "Content-Length: 0\n\n",
		  kit->stranger.address.port);
	peer_expect(kit, &kit->stranger, "SIP/2.0 200");
}

static void test_what_the_gateway_answers(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		struct span text = text_of(rows[i].name);
		struct kit kit;
		uint16_t seen;

		kit_start(&kit, "", "offered");
		sender_bind(&kit, text);
		peer_send_bytes(&kit, &kit.phone, text.data, text.length);
		seen = outcome(&kit);
		if (seen != rows[i].answer) {
			print_error("%s: %u, expected %u\n", rows[i].name, seen, rows[i].answer);
			wrong++;
		}
		expect_alive(&kit);
		kit_stop(&kit);
	}
	assert_int_equal(wrong, 0);
}

/* What others archived, where it is at hand: that we wrote them as they are, but for the body that is our own. */
static void test_as_others_have_them(void **state)
{
	const char *vectors = getenv("RINGWALL_VECTORS");
	size_t compared = 0;

	(void)state;
	for (size_t i = 0; i < all.count; i++) {
		static char bytes[NOTATION_BYTES];
		char path[1024];
		size_t length;
		FILE *file;

		if (!strcmp(all.messages[i].name, "mpart01"))
			continue;
		snprintf(path, sizeof(path), "%s/torture/%s.dat", vectors ? vectors : SOURCE_ROOT "/../shared/vectors",
			 strcmp(all.messages[i].name, "baddn") ? all.messages[i].name : "baddn-terminated");
		file = fopen(path, "rb");
		if (!file)
			continue;
		length = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		compared++;
		if (length != all.messages[i].length || memcmp(bytes, all.messages[i].bytes, length) != 0)
			fail_msg("%s is written otherwise", all.messages[i].name);
	}
	if (!compared)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_message_has_its_row),
		cmocka_unit_test(test_what_the_parser_says),
		cmocka_unit_test(test_a_stream_waits_for_the_length_that_was_said),
		cmocka_unit_test(test_tortuous_invite_in_detail),
		cmocka_unit_test(test_wide_range_of_characters),
		cmocka_unit_test(test_binary_part_is_whole),
		cmocka_unit_test(test_what_the_gateway_answers),
		cmocka_unit_test(test_as_others_have_them),
	};

	if (notation_read(SOURCE_ROOT "/tests/torture/rfc4475.txt", &all) ||
	    notation_read(SOURCE_ROOT "/tests/torture/rfc5118.txt", &all))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
