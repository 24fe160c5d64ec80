/* SPDX-License-Identifier: Apache-2.0
 * URIs in running text: found by their scheme, written anew with our domain in place of their host. What is left of a SIP URI is
 * its scheme, its user and `user=phone`: ports, parameters and headers say where things stand inside. Of other schemes only what is
 * of the inside is written anew. */
#include "call/body.h"

#define SCHEME_MAXIMUM 32

enum uri_kind {
	URI_SIP,  /* user@host, whatever host (RFC 3261, 3859, 3860, 3508) */
	URI_TEL,  /* the number alone (RFC 3966) */
	URI_MAIL, /* a host, or users at hosts (RFC 6068, 5122, 7064, 7065) */
	URI_WEB,  /* an authority (RFC 3986): whatever has "//" behind its scheme, such as http, ws, msrp (RFC 4975) */
};

static const struct scheme {
	struct span name;
	enum uri_kind kind;
} schemes[] = {
	{SPAN_INIT("sip:"), URI_SIP},    {SPAN_INIT("sips:"), URI_SIP},    {SPAN_INIT("pres:"), URI_SIP},
	{SPAN_INIT("im:"), URI_SIP},     {SPAN_INIT("h323:"), URI_SIP},    {SPAN_INIT("tel:"), URI_TEL},
	{SPAN_INIT("xmpp:"), URI_MAIL},  {SPAN_INIT("mailto:"), URI_MAIL}, {SPAN_INIT("stun:"), URI_MAIL},
	{SPAN_INIT("stuns:"), URI_MAIL}, {SPAN_INIT("turn:"), URI_MAIL},   {SPAN_INIT("turns:"), URI_MAIL},
};

/* Domains of nobody in the internet: RFC 6761, RFC 6762 with its appendix G, RFC 8375. */
static const struct span inner_domains[] = {
	SPAN_INIT("local"), SPAN_INIT("localhost"), SPAN_INIT("localdomain"), SPAN_INIT("internal"),
	SPAN_INIT("lan"),   SPAN_INIT("intranet"),  SPAN_INIT("private"),     SPAN_INIT("corp"),
	SPAN_INIT("home"),  SPAN_INIT("home.arpa"),
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

/* The scheme that begins the text; without a name when none does. */
static struct scheme scheme_at(struct span text)
{
	size_t length = 0;

	if (!text.length || !is_letter(text.data[0]))
		return (struct scheme){.name = SPAN_EMPTY};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (span_equal_nocase(span_slice(text, 0, schemes[i].name.length), schemes[i].name))
			return schemes[i];
	while (length < text.length && length < SCHEME_MAXIMUM &&
	       (is_letter(text.data[length]) || is_digit(text.data[length]) || is_one_of(text.data[length], "+-.")))
		length++;
	if (!span_starts_with(span_slice(text, length, text.length), SPAN("://")))
		return (struct scheme){.name = SPAN_EMPTY};
	return (struct scheme){span_slice(text, 0, length + 3), URI_WEB};
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
		    (byte == ',' && scheme_at(span_slice(rest, 1, rest.length)).name.length))
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

/* Without the port and the dots behind a name. */
static struct span host_alone(struct span host)
{
	if (host.length && host.data[0] != '[' && span_index(host, ':') >= 0)
		host.length = (size_t)span_index(host, ':');
	while (host.length && host.data[host.length - 1] == '.')
		host.length--;
	return host;
}

/* The last label is a number, of whatever base: all of it is an IPv4 address in one of its many notations. */
static bool is_ip_address(struct span host)
{
	size_t start = host.length;

	while (start && host.data[start - 1] != '.')
		start--;
	for (size_t i = start; i < host.length; i++)
		if (!is_digit(host.data[i]))
			return i == start + 1 && host.data[start] == '0' && (host.data[i] | 0x20) == 'x';
	return start < host.length;
}

/* In the domain, or its name. */
static bool is_within(struct span host, struct span domain)
{
	size_t before = host.length - domain.length;

	return host.length >= domain.length && (!before || host.data[before - 1] == '.') &&
	       span_equal_nocase(span_slice(host, before, domain.length), domain);
}

/* Addresses, names that only the inside resolves, and the inside's own; and what is escaped, for it may be any of them. */
static bool is_inner(const struct body_rules *rules, struct span host)
{
	host = host_alone(host);
	if (!host.length)
		return false;
	if (host.data[0] == '[' || is_ip_address(host) || span_index(host, '%') >= 0 || span_index(host, '.') < 0)
		return true;
	for (size_t i = 0; i < sizeof(inner_domains) / sizeof(inner_domains[0]); i++)
		if (is_within(host, inner_domains[i]))
			return true;
	return rules->host_is_inner(rules->context, host);
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
	host.length = host_length(host);
	if (at < 0 && !is_inner(rules, host))
		return 0; /* as it stands: most of them are names of XML namespaces */
	buffer_put_text(out, rules->domain);
	return authority.length;
}

/* "//user@host/…" or "user@host,user@host?…" or "host:port?…": what follows an inner host, up to the next separator, goes with it. */
static size_t mail_write(const struct body_rules *rules, struct span text, struct buffer *out)
{
	struct span extent = uri_extent(text);
	bool at_host = true; /* a host may stand here */
	size_t i = 0;

	while (i < extent.length) {
		struct span rest = span_slice(extent, i, extent.length);
		struct span host = span_slice(rest, 0, at_host ? host_length(rest) : 0);
		bool is_user = host.length < rest.length && !is_one_of(rest.data[host.length], "/?,;&");

		if (host.length && !is_user && is_inner(rules, host)) {
			buffer_put_text(out, rules->domain);
			for (i += host.length; i < extent.length && !is_one_of(extent.data[i], "?,;&"); i++)
				;
			at_host = false;
			continue;
		}
		at_host = rest.data[0] == '@' || (rest.data[0] == '/' && i < 2);
		buffer_put_byte(out, rest.data[0]);
		i++;
	}
	return extent.length;
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
		struct scheme scheme = {.name = SPAN_EMPTY};

		if (!i || is_boundary(text.data[i - 1]))
			scheme = scheme_at(rest);
		if (!scheme.name.length) {
			buffer_put_byte(out, text.data[i++]);
			continue;
		}
		buffer_put_span(out, span_slice(rest, 0, scheme.name.length));
		i += scheme.name.length;
		rest = span_slice(text, i, text.length);
		switch (scheme.kind) {
		case URI_SIP: i += sip_write(rules, rest, out); break;
		case URI_TEL: i += tel_write(rest, out); break;
		case URI_MAIL: i += mail_write(rules, rest, out); break;
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
