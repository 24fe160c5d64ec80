/* SPDX-License-Identifier: Apache-2.0
 * The opening of a WebSocket: HTTP/1.1 as RFC 9112 has it and nothing looser, for what two parsers read differently is how
 * requests are smuggled past one of them. */
#include "net/upgrade.h"

#include <errno.h>
#include <openssl/evp.h>

#define TARGET_MAXIMUM_BYTES 1024
#define KEY_LENGTH 24 /* sixteen bytes in base64 */

enum field {
	FIELD_HOST,
	FIELD_UPGRADE,
	FIELD_CONNECTION,
	FIELD_KEY,
	FIELD_VERSION,
	FIELD_PROTOCOL,
	FIELD_ORIGIN,
	FIELD_LENGTH,
	FIELD_ENCODING,
	FIELD_COUNT,
};

/* What of a head means something here; the rest is skipped. */
static const struct {
	const char *name;
	bool is_list; /* may come on several lines */
} fields[FIELD_COUNT] = {
	[FIELD_HOST] = {"Host"},
	[FIELD_UPGRADE] = {"Upgrade", true},
	[FIELD_CONNECTION] = {"Connection", true},
	[FIELD_KEY] = {"Sec-WebSocket-Key"},
	[FIELD_VERSION] = {"Sec-WebSocket-Version"},
	[FIELD_PROTOCOL] = {"Sec-WebSocket-Protocol", true},
	[FIELD_ORIGIN] = {"Origin"},
	[FIELD_LENGTH] = {"Content-Length"},
	[FIELD_ENCODING] = {"Transfer-Encoding"},
};

struct head {
	struct net_upgrade *upgrade;
	bool seen[FIELD_COUNT];
	bool upgrades, connects, speaks_sip;
	struct span version;
};

static const struct {
	uint16_t status;
	const char *text;
} answers[] = {
	{400, "400 Bad Request"},
	{403, "403 Forbidden"},
	{405, "405 Method Not Allowed\r\nAllow: GET"},
	{426, "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"},
	{431, "431 Request Header Fields Too Large"},
	{505, "505 HTTP Version Not Supported"},
};

int net_upgrade_refuse(struct net_upgrade *upgrade, uint16_t status, const char *reason)
{
	upgrade->status = status;
	upgrade->reason = reason;
	return -EINVAL;
}

/* RFC 9110 section 5.6.2 */
static bool is_token_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static bool is_token(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (!is_token_byte(text.data[i]))
			return false;
	return text.length > 0;
}

static bool is_visible(struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	return text.length > 0;
}

/* Takes one line. Returns 1; 0: it is not all there; -EINVAL: a control character. */
static int line_take(struct span *rest, struct span *line)
{
	for (size_t i = 0; i < rest->length; i++) {
		unsigned char byte = (unsigned char)rest->data[i];

		if (byte == '\r') {
			if (i + 1 == rest->length)
				return 0;
			if (rest->data[i + 1] != '\n')
				return -EINVAL;
			*line = span_slice(*rest, 0, i);
			*rest = span_slice(*rest, i + 2, rest->length);
			return 1;
		}
		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return -EINVAL;
	}
	return 0;
}

/* Whether one of the elements of a list is `wanted`. */
static bool list_has(struct span list, const char *wanted, bool exactly)
{
	while (list.length) {
		ptrdiff_t comma = span_index(list, ',');
		struct span element = span_trim(span_slice(list, 0, comma < 0 ? list.length : (size_t)comma));

		if (exactly ? span_equal(element, span_from(wanted)) : span_is(element, wanted))
			return true;
		list = comma < 0 ? SPAN_EMPTY : span_slice(list, (size_t)comma + 1, list.length);
	}
	return false;
}

/* RFC 6455 section 4.1: sixteen bytes in base64, whose last character has four bits to spare. */
static bool key_is_good(struct span key)
{
	if (key.length != KEY_LENGTH || key.data[22] != '=' || key.data[23] != '=' || !strchr("AQgw", key.data[21]))
		return false;
	for (size_t i = 0; i < 22; i++) {
		char byte = key.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
		      byte == '+' || byte == '/'))
			return false;
	}
	return true;
}

/* GET /anything HTTP/1.1: the path says nothing in RFC 7118. */
static int request_line_read(struct net_upgrade *upgrade, struct span line)
{
	ptrdiff_t space = span_index(line, ' ');
	struct span method = span_slice(line, 0, space < 0 ? 0 : (size_t)space), rest, target, version;

	if (!is_token(method))
		return net_upgrade_refuse(upgrade, 400, "no HTTP request");
	rest = span_slice(line, method.length + 1, line.length);
	space = span_index(rest, ' ');
	target = span_slice(rest, 0, space < 0 ? 0 : (size_t)space);
	version = span_slice(rest, target.length + 1, rest.length);
	if (!is_visible(target) || *target.data != '/' || target.length > TARGET_MAXIMUM_BYTES)
		return net_upgrade_refuse(upgrade, 400, "a request line that cannot be read");
	if (!span_equal(method, SPAN("GET")))
		return net_upgrade_refuse(upgrade, 405, "a method other than GET");
	if (!span_equal(version, SPAN("HTTP/1.1")))
		return net_upgrade_refuse(upgrade, 505, "a version other than HTTP/1.1");
	return 0;
}

static int field_take(struct head *head, enum field field, struct span value)
{
	struct net_upgrade *upgrade = head->upgrade;

	if (head->seen[field] && !fields[field].is_list)
		return net_upgrade_refuse(upgrade, 400, "a header that is there twice");
	head->seen[field] = true;
	switch (field) {
	case FIELD_HOST: return is_visible(value) ? 0 : net_upgrade_refuse(upgrade, 400, "a Host that cannot be read");
	case FIELD_UPGRADE: head->upgrades |= list_has(value, "websocket", false); return 0;
	case FIELD_CONNECTION: head->connects |= list_has(value, "upgrade", false); return 0;
	case FIELD_KEY: upgrade->key = value; return 0;
	case FIELD_VERSION: head->version = value; return 0;
	case FIELD_PROTOCOL: head->speaks_sip |= list_has(value, "sip", true); return 0;
	case FIELD_ORIGIN:
		upgrade->origin = value;
		return is_visible(value) ? 0 : net_upgrade_refuse(upgrade, 400, "an Origin that cannot be read");
	case FIELD_LENGTH:
		return span_equal(value, SPAN("0")) ? 0 : net_upgrade_refuse(upgrade, 400, "a request with a body");
	default: return net_upgrade_refuse(upgrade, 400, "a request with a body");
	}
}

static int header_read(struct head *head, struct span line)
{
	ptrdiff_t colon = span_index(line, ':');
	struct span name = span_slice(line, 0, colon < 0 ? 0 : (size_t)colon);

	/* No blank before the colon, and no folded lines (RFC 9112 sections 5.1 and 5.2). */
	if (!is_token(name))
		return net_upgrade_refuse(head->upgrade, 400, "a header that cannot be read");
	for (enum field field = 0; field < FIELD_COUNT; field++)
		if (span_is(name, fields[field].name))
			return field_take(head, field, span_trim(span_slice(line, name.length + 1, line.length)));
	return 0;
}

/* RFC 6455 section 4.2.1 */
static int head_check(struct head *head)
{
	struct net_upgrade *upgrade = head->upgrade;

	if (!head->seen[FIELD_HOST])
		return net_upgrade_refuse(upgrade, 400, "no Host");
	if (!head->upgrades || !head->connects)
		return net_upgrade_refuse(upgrade, 426, "no WebSocket is asked for");
	if (!span_equal(head->version, SPAN("13")))
		return net_upgrade_refuse(upgrade, 426, "a version of WebSocket other than 13");
	if (!key_is_good(upgrade->key))
		return net_upgrade_refuse(upgrade, 400, "a Sec-WebSocket-Key that is none");
	if (!head->speaks_sip)
		return net_upgrade_refuse(upgrade, 400, "the subprotocol sip is not offered");
	return 0;
}

ptrdiff_t net_upgrade_parse(struct span bytes, struct net_upgrade *out)
{
	struct span rest = span_slice(bytes, 0, NET_UPGRADE_MAXIMUM_BYTES), line = SPAN_EMPTY;
	struct head head = {.upgrade = out};
	int result, lines = 0;

	memset(out, 0, sizeof(*out));
	while ((result = line_take(&rest, &line)) == 1) {
		if (lines && !line.length) {
			result = head_check(&head);
			return result ? result : rest.data - bytes.data;
		}
		if (lines > NET_UPGRADE_HEADERS_MAXIMUM)
			return net_upgrade_refuse(out, 431, "too many headers");
		result = lines++ ? header_read(&head, line) : request_line_read(out, line);
		if (result)
			return result;
	}
	if (result)
		return net_upgrade_refuse(out, 400, "no HTTP request");
	if (bytes.length >= NET_UPGRADE_MAXIMUM_BYTES)
		return net_upgrade_refuse(out, 431, "headers that are too long");
	return 0;
}

void net_upgrade_accept(struct buffer *out, struct span key)
{
	/* RFC 6455 section 4.2.2: the digest proves that the request was understood; it is no secret's. */
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char digest[EVP_MAX_MD_SIZE], proof[2 * EVP_MAX_MD_SIZE];
	char text[KEY_LENGTH + sizeof(guid)];
	struct buffer proven = BUFFER_OVER(text);
	unsigned int length = 0;

	buffer_put_span(&proven, key);
	buffer_put(&proven, guid, sizeof(guid) - 1);
	if (!EVP_Digest(text, proven.length, digest, &length, EVP_sha1(), NULL)) {
		out->overflow = true;
		return;
	}
	EVP_EncodeBlock(proof, digest, (int)length);
	buffer_put_text(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			     "Sec-WebSocket-Accept: ");
	buffer_put_text(out, (const char *)proof);
	buffer_put_text(out, "\r\nSec-WebSocket-Protocol: sip\r\n\r\n");
}

void net_upgrade_answer(struct buffer *out, uint16_t status)
{
	const char *text = answers[0].text;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].status == status)
			text = answers[i].text;
	buffer_put_text(out, "HTTP/1.1 ");
	buffer_put_text(out, text);
	buffer_put_text(out, "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
}
