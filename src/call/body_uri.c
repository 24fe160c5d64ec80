/* SPDX-License-Identifier: Apache-2.0
 * URIs in running text: found by their scheme, written anew with our domain in place of their host. What is left of a URI is its
 * scheme, its user and `user=phone`: ports, parameters and headers say where things stand inside. */
#include "call/body.h"

enum uri_kind {
	URI_SIP, /* sip, sips, pres, im: user@host (RFC 3261, 3859, 3860) */
	URI_TEL, /* RFC 3966: the number alone */
	URI_WEB, /* RFC 3986 with an authority */
};

static const struct scheme {
	struct span name;
	enum uri_kind kind;
} schemes[] = {
	{SPAN_INIT("sip:"), URI_SIP},     {SPAN_INIT("sips:"), URI_SIP}, {SPAN_INIT("pres:"), URI_SIP},
	{SPAN_INIT("im:"), URI_SIP},      {SPAN_INIT("tel:"), URI_TEL},  {SPAN_INIT("http://"), URI_WEB},
	{SPAN_INIT("https://"), URI_WEB},
};

static bool is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_one_of(char byte, const char *set)
{
	for (; *set; set++)
		if (*set == byte)
			return true;
	return false;
}

static const struct scheme *scheme_at(struct span text)
{
	if (!text.length || !is_one_of((char)(text.data[0] | 0x20), "spith"))
		return NULL;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (span_equal_nocase(span_slice(text, 0, schemes[i].name.length), schemes[i].name))
			return &schemes[i];
	return NULL;
}

/* A character reference that ends a URI where text is quoted in XML; of the others "&amp;" stands within. */
static bool is_quoted_delimiter(struct span text)
{
	static const struct span references[] = {SPAN_INIT("&lt;"), SPAN_INIT("&gt;"), SPAN_INIT("&quot;"),
						 SPAN_INIT("&apos;")};

	for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++)
		if (span_starts_with(text, references[i]))
			return true;
	return false;
}

/* How far a URI may reach at most: to the first byte that cannot stand in one, and to the next URI of a list. */
static struct span uri_extent(struct span text)
{
	size_t length = 0;

	for (; length < text.length; length++) {
		char byte = text.data[length];
		struct span rest = span_slice(text, length, text.length);

		if ((unsigned char)byte <= ' ' || is_one_of(byte, "<>\"'`\\^{}|") ||
		    (byte == '&' && is_quoted_delimiter(rest)) ||
		    (byte == ',' && scheme_at(span_slice(rest, 1, rest.length))))
			break;
	}
	return span_slice(text, 0, length);
}

static size_t host_length(struct span text)
{
	size_t length = 0;

	while (length < text.length && (is_letter(text.data[length]) || is_digit(text.data[length]) ||
					is_one_of(text.data[length], ".-_:[]%") || (text.data[length] & 0x80)))
		length++;
	return length;
}

static bool is_ip_address(struct span host)
{
	size_t i = 0;

	while (i < host.length && (is_digit(host.data[i]) || host.data[i] == '.'))
		i++;
	return host.length && (host.data[0] == '[' || i == host.length);
}

static bool says_phone(struct span parameters)
{
	static const struct span phone = SPAN_INIT(";user=phone");

	for (size_t i = 0; i + phone.length <= parameters.length; i++)
		if (span_equal_nocase(span_slice(parameters, i, phone.length), phone))
			return true;
	return false;
}

/* What stands behind the host, which goes: parameters and headers. A full stop or bracket of the sentence stays. */
static size_t tail_length(struct span text)
{
	return text.length && is_one_of(text.data[0], ";?/") ? text.length : 0;
}

static size_t sip_write(const struct body_rules *rules, struct span text, struct buffer *out)
{
	struct span extent = uri_extent(text);
	ptrdiff_t at = span_index(extent, '@');
	struct span user = span_slice(extent, 0, at < 0 ? 0 : (size_t)at);
	struct span behind = span_slice(extent, at < 0 ? 0 : (size_t)at + 1, extent.length);
	ptrdiff_t colon = span_index(user, ':'); /* a password */
	struct span host = span_slice(behind, 0, host_length(behind));
	struct span tail = span_slice(behind, host.length, behind.length);

	if (!extent.length || (at < 0 && !host.length))
		return 0;
	tail.length = tail_length(tail);
	if (user.length) {
		buffer_put_span(out, colon < 0 ? user : span_slice(user, 0, (size_t)colon));
		buffer_put_byte(out, '@');
	}
	buffer_put_text(out, span_is(host, "anonymous.invalid") ? "anonymous.invalid" : rules->domain);
	if (says_phone(tail))
		buffer_put_text(out, ";user=phone");
	return (size_t)(behind.data - text.data) + host.length + tail.length;
}

static size_t tel_write(struct span text, struct buffer *out)
{
	struct span extent = uri_extent(text), tail;
	size_t digits = 0;

	while (digits < extent.length && (is_digit(extent.data[digits]) || is_one_of(extent.data[digits], "+-.()*#")))
		digits++;
	tail = span_slice(extent, digits, extent.length);
	buffer_put_span(out, span_slice(extent, 0, digits));
	return digits ? digits + tail_length(tail) : 0;
}

static size_t web_write(const struct body_rules *rules, struct span text, struct buffer *out)
{
	struct span extent = uri_extent(text), authority = extent, host;
	ptrdiff_t at;

	for (size_t i = 0; i < extent.length; i++)
		if (is_one_of(extent.data[i], "/?#")) {
			authority = span_slice(extent, 0, i);
			break;
		}
	at = span_index(authority, '@');
	host = at < 0 ? authority : span_slice(authority, (size_t)at + 1, authority.length);
	if (host.length && host.data[0] != '[' && span_index(host, ':') >= 0)
		host.length = (size_t)span_index(host, ':');
	if (at < 0 && !is_ip_address(host) && !rules->host_is_inner(rules->context, host))
		return 0; /* as it stands: most of them are names of XML namespaces */
	buffer_put_text(out, rules->domain);
	return authority.length;
}

/* Whether a scheme may begin behind this byte. */
static bool is_boundary(char byte)
{
	return !is_letter(byte) && !is_digit(byte) && !is_one_of(byte, "-_+.%");
}

void body_text_write(const struct body_rules *rules, struct span text, struct buffer *out)
{
	size_t i = 0;

	while (i < text.length && !out->overflow) {
		struct span rest = span_slice(text, i, text.length);
		const struct scheme *scheme = i && !is_boundary(text.data[i - 1]) ? NULL : scheme_at(rest);

		if (!scheme) {
			buffer_put_byte(out, text.data[i++]);
			continue;
		}
		buffer_put_span(out, span_slice(rest, 0, scheme->name.length));
		i += scheme->name.length;
		rest = span_slice(text, i, text.length);
		switch (scheme->kind) {
		case URI_SIP: i += sip_write(rules, rest, out); break;
		case URI_TEL: i += tel_write(rest, out); break;
		case URI_WEB: i += web_write(rules, rest, out); break;
		}
	}
}

void body_content_id_write(const struct body_rules *rules, struct span id, struct buffer *out)
{
	ptrdiff_t at = span_index(id, '@');

	if (at < 0) {
		buffer_put_span(out, id);
		return;
	}
	buffer_put_span(out, span_slice(id, 0, (size_t)at + 1));
	buffer_put_text(out, rules->domain);
}
