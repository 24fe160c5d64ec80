/* SPDX-License-Identifier: Apache-2.0
 * XML bodies, tag by tag: URIs in text and attributes are rewritten, names of dialogs are those of the other side or hidden,
 * session descriptions are left out. Declarations of entities (which make small bodies huge) are refused. */
#include <string.h>

#include "call/body.h"

struct attribute {
	struct span name, value;
	char quote;
};

struct element {
	struct span name; /* with its prefix */
	bool empty;       /* ends in "/>" */
	struct attribute attributes[BODY_ATTRIBUTES_MAXIMUM];
	size_t count;
};

static bool is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void skip_spaces(struct span *rest)
{
	while (rest->length && is_space(rest->data[0]))
		*rest = span_slice(*rest, 1, rest->length);
}

static bool ends_name(char byte)
{
	return is_space(byte) || byte == '=' || byte == '>' || byte == '/' || byte == '<' || byte == '"' ||
	       byte == '\'' || byte == '&';
}

static struct span name_take(struct span *rest)
{
	size_t length = 0;
	struct span name;

	while (length < rest->length && !ends_name(rest->data[length]))
		length++;
	name = span_slice(*rest, 0, length);
	*rest = span_slice(*rest, length, rest->length);
	return name;
}

static bool byte_take(struct span *rest, char byte)
{
	if (!rest->length || rest->data[0] != byte)
		return false;
	*rest = span_slice(*rest, 1, rest->length);
	return true;
}

/* What stands before `mark`, which is stepped over too. False: there is none. */
static bool until_take(struct span *rest, struct span mark, struct span *before)
{
	const char *found = rest->length ? memmem(rest->data, rest->length, mark.data, mark.length) : NULL;

	if (!found)
		return false;
	*before = span_slice(*rest, 0, (size_t)(found - rest->data));
	*rest = span_slice(*rest, before->length + mark.length, rest->length);
	return true;
}

static struct span local_name(struct span name)
{
	ptrdiff_t colon = span_index(name, ':');

	return colon < 0 ? name : span_slice(name, (size_t)colon + 1, name.length);
}

static bool attribute_take(struct span *rest, struct attribute *attribute)
{
	attribute->name = name_take(rest);
	skip_spaces(rest);
	if (!attribute->name.length || !byte_take(rest, '='))
		return false;
	skip_spaces(rest);
	if (!rest->length || (rest->data[0] != '"' && rest->data[0] != '\''))
		return false;
	attribute->quote = rest->data[0];
	*rest = span_slice(*rest, 1, rest->length);
	return until_take(rest, (struct span){&attribute->quote, 1}, &attribute->value) &&
	       span_index(attribute->value, '<') < 0;
}

/* What follows '<'. */
static bool element_take(struct span *rest, struct element *element)
{
	element->name = name_take(rest);
	element->count = 0;
	element->empty = false;
	if (!element->name.length)
		return false;
	for (;;) {
		skip_spaces(rest);
		if (byte_take(rest, '>'))
			return true;
		if (byte_take(rest, '/')) {
			element->empty = true;
			return byte_take(rest, '>');
		}
		if (element->count == BODY_ATTRIBUTES_MAXIMUM ||
		    !attribute_take(rest, &element->attributes[element->count]))
			return false;
		element->count++;
	}
}

/* ---- Names of dialogs ---- */

enum naming { NAMES_NOTHING, NAMES_DIALOG, NAMES_TAG, NAMES_CONTENT };

/* RFC 4235 section 4.1, RFC 3680 section 5.3.2, RFC 4662 section 5.3. */
static const struct {
	const char *attribute, *element; /* element NULL: any */
	enum naming names;
} names[] = {
	{"call-id", NULL, NAMES_DIALOG}, {"callid", NULL, NAMES_DIALOG},
	{"local-tag", NULL, NAMES_TAG},  {"remote-tag", NULL, NAMES_TAG},
	{"cid", NULL, NAMES_CONTENT},    {"id", "dialog", NAMES_DIALOG}, /* many take the Call-ID for it */
};

static enum naming naming_of(const struct element *element, const struct attribute *attribute)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is(local_name(attribute->name), names[i].attribute) &&
		    (!names[i].element || span_is(local_name(element->name), names[i].element)))
			return names[i].names;
	return NAMES_NOTHING;
}

static struct span call_id_of(const struct element *element)
{
	for (size_t i = 0; i < element->count; i++)
		if (span_is(local_name(element->attributes[i].name), "call-id"))
			return element->attributes[i].value;
	return SPAN_EMPTY;
}

void body_name_hide(const uint8_t key[HASH_KEY_BYTES], struct span name, char out[BODY_NAME_CAPACITY])
{
	uint64_t hash = hash_bytes(key, name.data, name.length);
	struct buffer text = buffer_over(out, BODY_NAME_CAPACITY);

	buffer_put_hex(&text, &hash, sizeof(hash));
	buffer_text(&text);
}

static void value_write(const struct body_rules *rules, const struct element *element,
			const struct attribute *attribute, struct buffer *out)
{
	struct span value = attribute->value;
	char hidden[BODY_NAME_CAPACITY];

	switch (naming_of(element, attribute)) {
	case NAMES_CONTENT: body_content_id_write(rules, value, out); return;
	case NAMES_TAG:
		if (rules->tag_is_ours(rules->context, call_id_of(element), value)) {
			buffer_put_span(out, value);
			return;
		}
		/* fall through */
	case NAMES_DIALOG:
		/* The same name every time, so that one notification follows on another. */
		body_name_hide(rules->key, value, hidden);
		buffer_put_text(out, value.length ? hidden : "");
		return;
	case NAMES_NOTHING: break;
	}
	if (span_starts_with(attribute->name, SPAN("xmlns")))
		buffer_put_span(out, value);
	else
		body_text_write(rules, value, out);
}

static void element_write(const struct body_rules *rules, const struct element *element, struct buffer *out)
{
	buffer_put_byte(out, '<');
	buffer_put_span(out, element->name);
	for (size_t i = 0; i < element->count; i++) {
		const struct attribute *attribute = &element->attributes[i];

		buffer_put_byte(out, ' ');
		buffer_put_span(out, attribute->name);
		buffer_put_byte(out, '=');
		buffer_put_byte(out, attribute->quote);
		value_write(rules, element, attribute, out);
		buffer_put_byte(out, attribute->quote);
	}
	buffer_put_text(out, element->empty ? "/>" : ">");
}

/* ---- Markup ---- */

/* RFC 4235 section 4.1.6.3: addresses and maybe keys of the other side's media. */
static bool description_skip(struct span *rest, struct span name)
{
	struct span before;

	while (until_take(rest, SPAN("</"), &before)) {
		struct span closed = name_take(rest);

		skip_spaces(rest);
		if (span_equal(closed, name))
			return byte_take(rest, '>');
	}
	return false;
}

static int tag_write(const struct body_rules *rules, struct span *rest, struct buffer *out)
{
	static const char description[] = "session-description";
	struct element element;

	if (byte_take(rest, '/')) {
		struct span name = name_take(rest);

		skip_spaces(rest);
		if (!name.length || !byte_take(rest, '>'))
			return 400;
		buffer_put_text(out, "</");
		buffer_put_span(out, name);
		buffer_put_byte(out, '>');
		return 0;
	}
	if (!element_take(rest, &element))
		return 400;
	if (span_is(local_name(element.name), description))
		return element.empty || description_skip(rest, element.name) ? 0 : 400;
	element_write(rules, &element, out);
	return 0;
}

/* "<?xml …?>": what is not read as ASCII would not be seen here as what it is there. */
static int instruction_write(struct span *rest, struct buffer *out)
{
	static const char *const encodings[] = {"utf-8", "us-ascii", "ascii", "iso-8859-1", NULL};
	struct span instruction, name;
	struct attribute attribute;

	if (!until_take(rest, SPAN("?>"), &instruction))
		return 400;
	name = name_take(&instruction);
	if (!span_equal(name, SPAN("xml")))
		return 0; /* left out */
	for (skip_spaces(&instruction); instruction.length; skip_spaces(&instruction)) {
		size_t i = 0;

		if (!attribute_take(&instruction, &attribute))
			return 400;
		if (!span_is(attribute.name, "encoding"))
			continue;
		while (encodings[i] && !span_is(attribute.value, encodings[i]))
			i++;
		if (!encodings[i])
			return 415;
	}
	buffer_put_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
	return 0;
}

/* What follows "<!": comments are left out; of declarations (RFC 3470 section 4.8) none is taken. */
static int declaration_write(const struct body_rules *rules, struct span *rest, struct buffer *out)
{
	struct span content;

	if (span_starts_with(*rest, SPAN("--"))) {
		*rest = span_slice(*rest, 2, rest->length);
		return until_take(rest, SPAN("-->"), &content) ? 0 : 400;
	}
	if (!span_starts_with(*rest, SPAN("[CDATA[")))
		return 400;
	*rest = span_slice(*rest, 7, rest->length);
	if (!until_take(rest, SPAN("]]>"), &content))
		return 400;
	buffer_put_text(out, "<![CDATA[");
	body_text_write(rules, content, out);
	buffer_put_text(out, "]]>");
	return 0;
}

int body_xml_write(const struct body_rules *rules, struct span text, struct buffer *out)
{
	struct span rest = text, before;
	int status = 0;

	if (span_starts_with(rest, SPAN("\xef\xbb\xbf"))) /* a byte order mark */
		rest = span_slice(rest, 3, rest.length);
	while (!status && !out->overflow && until_take(&rest, SPAN("<"), &before)) {
		body_text_write(rules, before, out);
		if (byte_take(&rest, '!'))
			status = declaration_write(rules, &rest, out);
		else if (byte_take(&rest, '?'))
			status = instruction_write(&rest, out);
		else
			status = tag_write(rules, &rest, out);
	}
	if (!status)
		body_text_write(rules, rest, out);
	return status;
}
