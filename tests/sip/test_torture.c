/* SPDX-License-Identifier: Apache-2.0
 * The torture messages of RFC 4475 and RFC 5118, and messages of call flows and deployed systems, read from
 * RINGWALL_VECTORS or beside the source tree; without them the tests are skipped. */
#include <dirent.h>

#include "message_fixture.h"

/* What becomes of each as a datagram. Where we are stricter than the RFC asks, the comment says why. A refusal that
 * `answers` has its status; the others are silence, since a response needs a valid Via, From, To, Call-ID and CSeq. */
static const struct {
	const char *name;
	enum sip_reject reject;
	bool answers;
} rows[] = {
	{"wsinv.dat", SIP_OK, true},
	/* Stricter: NUL, BEL and DEL in a quoted pair are refused like anywhere else. */
	{"intmeth.dat", SIP_REJECT_BYTE, false},
	{"esc01.dat", SIP_OK, true},
	{"escnull.dat", SIP_OK, true},
	{"esc02.dat", SIP_OK, true},
	{"lwsdisp.dat", SIP_OK, true},
	{"longreq.dat", SIP_OK, true},
	{"dblreq.dat", SIP_OK, true},
	{"semiuri.dat", SIP_OK, true},
	{"transports.dat", SIP_OK, true},
	{"mpart01.dat", SIP_OK, true},
	{"unreason.dat", SIP_OK, false},
	{"noreason.dat", SIP_OK, false},
	{"badinv01.dat", SIP_REJECT_VIA, false}, /* no 400: its Via is the fault */
	{"clerr.dat", SIP_REJECT_CONTENT_LENGTH, true},
	{"ncl.dat", SIP_REJECT_CONTENT_LENGTH, true},
	{"scalar02.dat", SIP_REJECT_HEADER_VALUE, false}, /* no 400: its CSeq is a fault */
	{"scalarlg.dat", SIP_REJECT_HEADER_VALUE, false},
	{"quotbal.dat", SIP_REJECT_HEADER_VALUE, false}, /* no 400: its To is the fault */
	{"ltgtruri.dat", SIP_REJECT_URI, true},
	{"lwsruri.dat", SIP_REJECT_START_LINE, true},
	{"lwsstart.dat", SIP_REJECT_START_LINE, true},
	{"trws.dat", SIP_REJECT_START_LINE, true},
	{"escruri.dat", SIP_REJECT_URI, true},
	{"baddate.dat", SIP_OK, true}, /* Date is not used */
	{"regbadct.dat", SIP_REJECT_HEADER_VALUE, true},
	{"badaspec.dat", SIP_REJECT_HEADER_VALUE, false},         /* no 400: To */
	{"baddn.dat", SIP_REJECT_HEADER_VALUE, false},            /* no 400: From and To */
	{"baddn-terminated.dat", SIP_REJECT_HEADER_VALUE, false}, /* the same */
	{"badvers.dat", SIP_REJECT_VERSION, false},               /* no 505: its Via is of that version too */
	{"mismatch01.dat", SIP_REJECT_METHOD_MISMATCH, true},
	{"mismatch02.dat", SIP_REJECT_METHOD_MISMATCH, true},
	{"bigcode.dat", SIP_REJECT_START_LINE, false},
	{"badbranch.dat", SIP_REJECT_VIA, false}, /* no 400: who answers whom could not be told */
	{"insuf.dat", SIP_REJECT_HEADER_MISSING, false},
	{"unkscm.dat", SIP_REJECT_SCHEME, true},
	{"novelsc.dat", SIP_REJECT_SCHEME, true},
	{"unksm2.dat", SIP_OK, true},
	{"bext01.dat", SIP_OK, true},
	{"invut.dat", SIP_OK, true},
	{"regaut01.dat", SIP_OK, true},
	{"multi01.dat", SIP_REJECT_HEADER_DUPLICATE, true},
	{"mcl01.dat", SIP_REJECT_HEADER_DUPLICATE, true},
	{"bcast.dat", SIP_OK, false},
	{"zeromf.dat", SIP_OK, true},
	{"cparam01.dat", SIP_OK, true},
	{"cparam02.dat", SIP_OK, true},
	{"regescrt.dat", SIP_OK, true},
	{"sdp01.dat", SIP_OK, true},
	{"inv2543.dat", SIP_OK, true},
	{"ipv6-good.dat", SIP_OK, true},
	{"ipv6-bad.dat", SIP_REJECT_URI, true},
	{"port-ambiguous.dat", SIP_OK, true},
	{"port-unambiguous.dat", SIP_OK, true},
	{"via-received-param-with-delim.dat", SIP_OK, true},
	{"via-received-param-no-delim.dat", SIP_OK, true},
	{"ipv6-in-sdp.dat", SIP_REJECT_CONTENT_LENGTH, true}, /* the file's own is larger than its body */
	{"ipv6-in-sdp-wire.dat", SIP_OK, true},
	{"mult-ip-in-header.dat", SIP_OK, true},
	{"mult-ip-in-sdp.dat", SIP_OK, true},
	{"mult-ip-in-sdp-wire.dat", SIP_OK, true},
	{"ipv4-mapped-ipv6.dat", SIP_OK, true},
	{"ipv4-mapped-ipv6-wire.dat", SIP_OK, true},
	/* Stricter: three colons are no address (RFC 4291 section 2.2); RFC 5118 section 4.10 would have them
	 * tolerated for the sake of RFC 3261's grammar, which since has been corrected. */
	{"ipv6-bug-abnf-3-colons.dat", SIP_REJECT_URI, false},
	{"ipv6-correct-abnf-2-colons.dat", SIP_OK, true},
	{"test.dat", SIP_REJECT_NOT_SIP, false},
};

static const char *folder(const char *name, char out[1024])
{
	const char *vectors = getenv("RINGWALL_VECTORS");

	snprintf(out, 1024, "%s/%s", vectors ? vectors : SOURCE_ROOT "/../shared/vectors", name);
	return out;
}

static struct span file_read(const char *directory, const char *name, char *out, size_t capacity)
{
	char path[2048];
	size_t length = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (file) {
		length = fread(out, 1, capacity, file);
		fclose(file);
	}
	return (struct span){out, length};
}

static void test_torture(void **state)
{
	char directory[1024], bytes[8192];

	(void)state;
	folder("torture", directory);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct span text = file_read(directory, rows[i].name, bytes, sizeof(bytes));
		struct parsed parsed;

		if (!text.length)
			skip();
		parsed = parse(text, false);
		if (parsed.reject != rows[i].reject || sip_message_is_answerable(&parsed.message) != rows[i].answers)
			fail_msg("%s: %s, %s", rows[i].name, sip_reject_row(parsed.reject)->metric,
				 sip_message_is_answerable(&parsed.message) ? "answered" : "not answered");
		check_sound(&parsed, text.length);
		parsed_free(&parsed);
	}
}

/* Beyond the controls in its quoted pairs, "intmeth" is accepted in all its width. */
static void test_wide_range_of_characters(void **state)
{
	char directory[1024], bytes[8192];
	struct span text = file_read(folder("torture", directory), "intmeth.dat", bytes, sizeof(bytes));
	struct parsed parsed;

	(void)state;
	if (!text.length)
		skip();
	for (size_t i = 0; i < text.length; i++) {
		if (bytes[i] == '\0' || bytes[i] == '\x07' || bytes[i] == '\x7f')
			bytes[i] = 'x';
	}
	parsed = parse(text, false);
	assert_int_equal(parsed.reject, SIP_OK);
	assert_int_equal(parsed.message.method, SIP_METHOD_OTHER);
	parsed_free(&parsed);
}

static void test_tortuous_invite_in_detail(void **state)
{
	char directory[1024], bytes[8192];
	struct span text = file_read(folder("torture", directory), "wsinv.dat", bytes, sizeof(bytes));
	struct parsed parsed;

	(void)state;
	if (!text.length)
		skip();
	parsed = parse(text, true);
	assert_int_equal(parsed.reject, SIP_OK);
	assert_span(parsed.message.to.tag, "1918181833n");
	assert_span(parsed.message.from.display, "\"J Rosenberg \\\\\\\"\"");
	assert_span(parsed.message.from.tag, "98asjd8");
	assert_int_equal(parsed.message.max_forwards, 68);
	assert_int_equal(parsed.message.cseq, 9);
	assert_span(parsed.message.via.host, "192.0.2.2");
	assert_span(parsed.message.via.branch, "390skdjuw");
	assert_span(parsed.message.contact.display, "\"Quoted string \\\"\\\"\"");
	assert_int_equal(parsed.message.body.length, 150);
	parsed_free(&parsed);
}

/* In pieces, cut and turned, whatever they are; and as a stream each piece of a sound one asks for more. */
static void sweep(struct span text)
{
	struct parsed whole = parse(text, true), parsed;
	char *copy = malloc(text.length);

	assert_non_null(copy);
	for (size_t cut = 0; cut < text.length; cut++) {
		parsed = parse((struct span){text.data, cut}, true);
		if (whole.reject == SIP_OK && cut < whole.consumed)
			assert_int_equal(parsed.reject, SIP_NEED_MORE);
		check_sound(&parsed, cut);
		parsed_free(&parsed);
		parsed = parse((struct span){text.data, cut}, false);
		check_sound(&parsed, cut);
		parsed_free(&parsed);

		memcpy(copy, text.data, text.length);
		copy[cut] ^= (char)(1 << (cut % 8));
		parsed = parse((struct span){copy, text.length}, false);
		check_sound(&parsed, text.length);
		parsed_free(&parsed);
	}
	free(copy);
	parsed_free(&whole);
}

static void check_folder(const char *name, size_t *count, size_t *sound, size_t *swept)
{
	char directory[1024];
	static char bytes[70000];
	DIR *listing = opendir(folder(name, directory));
	struct dirent *entry;

	while (listing && (entry = readdir(listing))) {
		struct span text;
		struct parsed parsed;

		if (!strstr(entry->d_name, ".sip") && !strstr(entry->d_name, ".dat"))
			continue;
		text = file_read(directory, entry->d_name, bytes, sizeof(bytes));
		parsed = parse(text, false);
		check_sound(&parsed, text.length);
		*sound += parsed.reject == SIP_OK;
		parsed_free(&parsed);
		if (text.length && *swept) {
			sweep(text);
			--*swept;
		}
		++*count;
	}
	if (listing)
		closedir(listing);
}

static void test_messages_of_call_flows(void **state)
{
	size_t count = 0, sound = 0, swept = 30;

	(void)state;
	check_folder("callflows", &count, &sound, &swept);
	if (!count)
		skip();
	/* Two have "(whatever URI)" in Refer-To, some are printed without headers that are mandatory. */
	assert_true(sound * 100 >= count * 94);
}

static void test_messages_of_deployed_systems(void **state)
{
	size_t count = 0, sound = 0, swept = 30;

	(void)state;
	check_folder("real", &count, &sound, &swept);
	check_folder("torture", &count, &sound, &swept);
	if (!count)
		skip();
	assert_true(sound > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torture),
		cmocka_unit_test(test_wide_range_of_characters),
		cmocka_unit_test(test_tortuous_invite_in_detail),
		cmocka_unit_test(test_messages_of_call_flows),
		cmocka_unit_test(test_messages_of_deployed_systems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
