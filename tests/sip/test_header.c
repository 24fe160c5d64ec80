/* SPDX-License-Identifier: Apache-2.0
 * The tables, and what stands in headers: addresses, lists, parameters. */
#include "message_fixture.h"
#include "sip/header.h"

static void test_every_header_is_found(void **state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

	(void)state;
	for (unsigned id = 0; id < SIP_HEADER_OTHER; id++) {
		const struct sip_header_row *row = &sip_header_rows[id];
		char name[64];

		assert_int_equal(sip_header_find(row->name), id);
		for (size_t i = 0; i < row->name.length; i++)
			name[i] = row->name.data[i] ^ (strchr(letters, row->name.data[i] | 0x20) ? 0x20 : 0);
		assert_int_equal(sip_header_find((struct span){name, row->name.length}), id);
		if (row->name.length > 2) /* "T" is a compact form */
			assert_int_equal(sip_header_find((struct span){name, row->name.length - 1}), SIP_HEADER_OTHER);
		name[row->name.length] = 'x';
		assert_int_equal(sip_header_find((struct span){name, row->name.length + 1}), SIP_HEADER_OTHER);
		for (size_t i = 0; i < row->name.length; i++) {
			memcpy(name, row->name.data, row->name.length);
			name[i] = '~';
			assert_int_equal(sip_header_find((struct span){name, row->name.length}), SIP_HEADER_OTHER);
		}
		if (row->compact)
			assert_int_equal(sip_header_find((struct span){&row->compact, 1}), id);
		assert_string_equal(sip_header_name((enum sip_header_id)id), row->name.data);
	}
	assert_int_equal(sip_header_find(SPAN("V")), SIP_HEADER_VIA);
	assert_int_equal(sip_header_find(SPAN("z")), SIP_HEADER_OTHER);
	assert_int_equal(sip_header_find(SPAN_EMPTY), SIP_HEADER_OTHER);
}

static void test_methods(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIP_METHOD_OTHER; i++)
		assert_int_equal(sip_method_parse(span_from(sip_method_name((enum sip_method)i))), i);
	assert_int_equal(sip_method_parse(SPAN("invite")), SIP_METHOD_OTHER);
	assert_int_equal(sip_method_parse(SPAN("INVITES")), SIP_METHOD_OTHER);
	assert_int_equal(sip_method_parse(SPAN_EMPTY), SIP_METHOD_OTHER);
	assert_string_equal(sip_method_name(SIP_METHOD_OTHER), "");
}

static void test_reject_table(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIP_REJECT_COUNT; i++) {
		const struct sip_reject_row *row = sip_reject_row((enum sip_reject)i);

		assert_true(*row->metric);
		assert_true(i == SIP_OK || *row->text);
		assert_true(!row->status || *sip_reason_phrase(row->status));
	}
	assert_int_equal(sip_reject_row(SIP_REJECT_SCHEME)->status, 416);
	assert_int_equal(sip_reject_row(SIP_REJECT_NOT_SIP)->status, 0);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *display, *uri, *parameters, *tag;
	} rows[] = {
		{"<sip:a@h>", "", "sip:a@h", "", ""},
		{"sip:a@h", "", "sip:a@h", "", ""},
		{"sip:a@h;tag=1", "", "sip:a@h", ";tag=1", "1"},
		{" sip:a@h ; tag = 1 ", "", "sip:a@h", "; tag = 1", "1"},
		{"<sip:a@h;lr>;x;TAG=1", "", "sip:a@h;lr", ";x;TAG=1", "1"},
		{"Bob Jones <sip:a@h>", "Bob Jones", "sip:a@h", "", ""},
		{"caller<sip:a@h>", "caller", "sip:a@h", "", ""},
		{"\"a, <b> \\\" ; c\" <sip:a@h>;q=1", "\"a, <b> \\\" ; c\"", "sip:a@h", ";q=1", ""},
		{"\"\"<sip:a@h>", "\"\"", "sip:a@h", "", ""},
		{"J\xc3\xbcrgen <sip:a@h>", "J\xc3\xbcrgen", "sip:a@h", "", ""},
		{"<sip:a,b@h>", "", "sip:a,b@h", "", ""},
		{"<sip:a@h?x=y>;z=\"a,b;c\"", "", "sip:a@h?x=y", ";z=\"a,b;c\"", ""},
	};
	static const char *const refused[] = {
		"",
		" ",
		"<",
		">",
		"<>",
		"<sip:a@h",
		"sip:a@h>",
		"< sip:a@h>",
		"<sip:a@h >",
		"\"a <sip:a@h>",
		"\"a\" sip:a@h",
		"a sip:a@h",
		"a, b <sip:a@h>",
		"(a) <sip:a@h>",
		"<sip:a@h>x",
		"<sip:a@h>;",
		"<sip:a@h>;;x",
		"<sip:a@h>;=x",
		"<sip:a@h>;x=",
		"<sip:a@h>;x=\"",
		"<sip:a@h>;x;X",
		"<sip:a@h> <sip:b@h>",
		"sip:a@h?x=y",
		"sip:a,b@h",
		"<sip:a@h>;tag=",
		"<sip:a@h>;tag",
		"<sip:a@h>;tag=a b",
		"\"a\"\"b\" <sip:a@h>",
		"<sip:a@h>, <sip:b@h>",
		"sip:a@h tag=1",
		"\"a\\\" <sip:a@h>",
		"**",
	};
	struct sip_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (sip_address_parse(span_from(rows[i].text), &address) != SIP_OK)
			fail_msg("refused: %s", rows[i].text);
		assert_span(address.display, rows[i].display);
		assert_span(address.uri.text, rows[i].uri);
		assert_span(address.parameters, rows[i].parameters);
		assert_span(address.tag, rows[i].tag);
		assert_false(address.star || address.unknown_scheme);
	}
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		if (sip_address_parse(span_from(refused[i]), &address) != SIP_REJECT_HEADER_VALUE)
			fail_msg("not refused: %s", refused[i]);
		assert_int_equal(address.text.length, 0);
	}
	assert_int_equal(sip_address_parse(SPAN(" * "), &address), SIP_OK);
	assert_true(address.star);
	assert_int_equal(sip_address_parse(SPAN("<urn:service:sos>;x=1"), &address), SIP_OK);
	assert_true(address.unknown_scheme);
	assert_span(address.uri.text, "urn:service:sos");
}

static void test_lists(void **state)
{
	static const struct {
		const char *text;
		int count;
		bool sound;
	} rows[] = {
		{"", 0, true},
		{"  ", 0, true},
		{"a", 1, true},
		{" a , b,c ", 3, true},
		{"\"a,b\" <sip:c,d@h>, e", 2, true},
		{"\"a\\\",b\", c", 2, true},
		{",", 0, false},
		{",a", 0, false},
		{"a,", 1, false},
		{"a, ", 1, false},
		{"a,,b", 1, false},
		{"a, \"b", 1, false},
		{"a, <b", 1, false},
		{"\"a\\", 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct span rest = span_from(rows[i].text), element;
		int count = 0;

		while (sip_list_next(&rest, &element)) {
			assert_true(element.length > 0);
			count++;
		}
		assert_int_equal(count, rows[i].count);
		assert_int_equal(rest.length == 0, rows[i].sound);
	}
}

static void test_parameters(void **state)
{
	struct span parameters = SPAN("; a ;b = c;d=\"e;f=g\";h=[::1]"), name, value;

	(void)state;
	assert_true(sip_parameter_get(parameters, "A", &value));
	assert_int_equal(value.length, 0);
	assert_true(sip_parameter_get(parameters, "b", &value));
	assert_span(value, "c");
	assert_true(sip_parameter_get(parameters, "d", &value));
	assert_span(value, "\"e;f=g\"");
	assert_true(sip_parameter_get(parameters, "h", NULL));
	assert_false(sip_parameter_get(parameters, "f", &value));
	assert_false(sip_parameter_get(SPAN_EMPTY, "a", &value));
	assert_true(sip_parameter_get(SPAN(";transport=tcp;x=%3b/:&+$"), "x", &value));
	assert_span(value, "%3b/:&+$");
	assert_false(sip_parameter_next(&(struct span){";", 1}, &name, &value));
	assert_false(sip_parameter_next(&(struct span){"a", 1}, &name, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_header_is_found),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_reject_table),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
