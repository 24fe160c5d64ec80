/* SPDX-License-Identifier: Apache-2.0
 * Multipart bodies (RFC 2046 section 5.1, RFC 5621): what is found in them, and what is refused. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message_fixture.h"

#define MIXED "multipart/mixed;boundary=b1"
#define SDP "Content-Type: application/sdp\r\n\r\nv=0\r\n"
#define ISUP "Content-Type: application/isup;version=x\r\nContent-Disposition: signal;handling=optional\r\n\r\n\1\2\0\r"

static int find(const char *type, const char *body, size_t length, struct sip_part *part)
{
	char *copy = malloc(length ? length : 1); /* so that a byte read behind it is seen */
	struct span text = {copy, length};
	static char found[256];
	int result;

	memcpy(copy, body, length);
	result = sip_multipart_description(span_from(type), text, part);
	memcpy(found, part->body.length ? part->body.data : "", part->body.length);
	part->body.data = found;
	free(copy);
	return result;
}

static void expect(const char *type, const char *body, const char *wanted)
{
	struct sip_part part;

	assert_int_equal(find(type, body, strlen(body), &part), 0);
	assert_int_equal(part.body.length, strlen(wanted));
	assert_memory_equal(part.body.data, wanted, strlen(wanted));
}

static void expect_refused(const char *type, const char *body, int error)
{
	struct sip_part part;

	assert_int_equal(find(type, body, strlen(body), &part), error);
	assert_int_equal(part.body.length, 0);
}

static void the_description_is_found_wherever_it_stands(void **state)
{
	static const char binary[] = "--b1\r\n" ISUP "\r\n--b1\r\n" SDP "\r\n--b1--\r\n";
	struct sip_part part;

	(void)state;
	expect(MIXED, "--b1\r\n" SDP "\r\n--b1--\r\n", "v=0\r\n");
	expect("Multipart/MIXED ; charset=x; Boundary=\"b1\"", "--b1\r\n" SDP "\r\n--b1--", "v=0\r\n");
	expect(MIXED, "preamble\r\n\r\n--b1 \t\r\n" SDP "\r\n--b1-- \r\nepilogue", "v=0\r\n");
	expect("multipart/related;boundary=b1",
	       "--b1\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n--b1\r\n" SDP "\r\n--b1--", "v=0\r\n");
	assert_int_equal(find(MIXED, binary, sizeof(binary) - 1, &part), 0);
	assert_int_equal(part.body.length, 5);
	/* The CRLF before the delimiter is the delimiter's. */
	expect(MIXED, "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b1--", "v=0");
	/* A part without headers is plain text. */
	expect(MIXED, "--b1\r\n\r\nv=0\r\n--b1--", "");
	expect(MIXED, "--b1\r\nContent-Type: application/sdp\r\n\r\n--b1--", "");
}

static void of_alternatives_the_last_is_taken_and_parts_nest(void **state)
{
	(void)state;
	expect("multipart/alternative;boundary=b1",
	       "--b1\r\nContent-Type: application/sdp\r\n\r\nold\r\n--b1\r\nContent-Type: "
	       "application/sdp\r\n\r\nnew\r\n"
	       "--b1--\r\n",
	       "new");
	/* Lync: alternatives, of which one must be understood, as it is. */
	expect(MIXED,
	       "--b1\r\nContent-Type: multipart/alternative;boundary=b2\r\n\r\n"
	       "--b2\r\nContent-Type: text/x;a=b\r\nContent-Disposition: x;handling=required\r\n\r\nx\r\n"
	       "--b2\r\nContent-Type: application/sdp\r\n\r\nin\r\n--b2--\r\n\r\n--b1--",
	       "in");
	expect_refused(MIXED,
		       "--b1\r\nContent-Type: multipart/mixed;boundary=b2\r\n\r\n--b2\r\nContent-Type: "
		       "multipart/mixed;boundary=b3\r\n\r\n--b3\r\nContent-Type: multipart/mixed;boundary=b4\r\n\r\n"
		       "--b4\r\n\r\nx\r\n--b4--\r\n--b3--\r\n--b2--\r\n--b1--",
		       -EINVAL);
}

static void what_must_be_understood_and_is_not_refuses(void **state)
{
	(void)state;
	expect_refused(MIXED,
		       "--b1\r\n" SDP "\r\n--b1\r\nContent-Type: application/isup\r\n"
		       "Content-Disposition: signal;handling=required\r\n\r\nx\r\n--b1--",
		       -ENOTSUP);
	expect(MIXED, "--b1\r\n" SDP "\r\n--b1\r\nContent-Type: application/isup\r\n\r\nx\r\n--b1--", "v=0\r\n");
	expect_refused(MIXED, "--b1\r\n" SDP "\r\n--b1\r\n" SDP "\r\n--b1--", -ENOTSUP);
	/* An encoding that is not undone is not understood. */
	expect(MIXED,
	       "--b1\r\nContent-Transfer-Encoding: base64\r\nContent-Type: application/sdp\r\n\r\ndj0w\r\n--b1--", "");
}

static void what_is_malformed_is_refused(void **state)
{
	static const char *const types[] = {
		"multipart/mixed",
		"multipart/mixed;boundary=",
		"multipart/mixed;boundary=\"\"",
		"multipart/mixed;boundary=\"b1 \"",
		"multipart/mixed;boundary=b\1",
		"multipart/mixed;boundary=0123456789012345678901234567890123456789012345678901234567890123456789x",
		"application/sdp;boundary=b1",
		"",
	};
	static const char *const bodies[] = {
		"",
		"--",
		"--b1",
		"--b1--",
		"--b1\r\n",
		"--b1\r\n" SDP,
		"--b1\r\n" SDP "\r\n--b1", /* the closing delimiter is cut */
		"--b1\r\n" SDP "\r\n--b1-",
		"--b1\r\n" SDP "\r\n--b1x--",
		"--b1\r\n" SDP "\r\n --b1--",
		"--b1\n" SDP "\n--b1--",
		"--b1\r\nContent-Type: application/sdp\r\n--b1--",
		"--b1\r\nContent-Type: application/sdp\r\n folded\r\n\r\nx\r\n--b1--",
		"--b1\r\n: x\r\n\r\nx\r\n--b1--",
		"--b1\r\nContent-Type: a/b\r\nContent-type: application/sdp\r\n\r\nx\r\n--b1--",
		"--b1\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: "
		"b\r\n"
		"A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\nx\r\n--b1--",
	};
	char many[1024] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		expect_refused(types[i], "--b1\r\n" SDP "\r\n--b1--", -EINVAL);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		expect_refused(MIXED, bodies[i], -EINVAL);
	for (int i = 0; i < 17; i++)
		strcat(many, "--b1\r\n\r\nx\r\n");
	expect_refused(MIXED, strcat(many, "--b1--"), -EINVAL);
}

/* A longer boundary is not this one: a fault that others had. */
static void a_boundary_is_compared_whole(void **state)
{
	(void)state;
	expect(MIXED, "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b12\r\n--b1--", "v=0\r\n--b12");
	expect(MIXED, "--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b1-\r\n--b1--", "v=0\r\n--b1-");
}

/* Cut anywhere nothing is found and nothing is read behind the end: others scanned for the boundary past it. */
static void a_body_cut_anywhere_is_refused(void **state)
{
	static const char whole[] = "--b1\r\n" SDP "\r\n--b1\r\n" ISUP "\r\n--b1--\r\n";
	struct sip_part part;

	(void)state;
	for (size_t length = 0; length < sizeof(whole) - 3; length++)
		assert_int_equal(find(MIXED, whole, length, &part), -EINVAL);
	assert_int_equal(find(MIXED, whole, sizeof(whole) - 3, &part), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_description_is_found_wherever_it_stands),
		cmocka_unit_test(of_alternatives_the_last_is_taken_and_parts_nest),
		cmocka_unit_test(what_must_be_understood_and_is_not_refuses),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(a_boundary_is_compared_whole),
		cmocka_unit_test(a_body_cut_anywhere_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
