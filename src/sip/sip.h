/* SPDX-License-Identifier: Apache-2.0
 * Application level: SIP messages, addresses, digest and transactions (RFC 3261).
 * No sockets: what is to be sent goes out through a callback. Single-threaded. */
#ifndef RINGWALL_SIP_SIP_H
#define RINGWALL_SIP_SIP_H

#include "base/clock.h"
#include "base/flow.h"
#include "base/memory.h"
#include "base/timer.h"

/* ---- Methods ------------------------------------------------------------------------- */

enum sip_method {
	SIP_INVITE,
	SIP_ACK,
	SIP_BYE,
	SIP_CANCEL,
	SIP_OPTIONS,
	SIP_REGISTER,
	SIP_PRACK,
	SIP_UPDATE,
	SIP_INFO,
	SIP_MESSAGE,
	SIP_SUBSCRIBE,
	SIP_NOTIFY,
	SIP_PUBLISH,
	SIP_REFER,
	SIP_METHOD_OTHER, /* a token that is none of these; the text is in the message */
	SIP_METHOD_COUNT,
};
const char *sip_method_name(enum sip_method method); /* "" for SIP_METHOD_OTHER */
enum sip_method sip_method_parse(struct span token); /* methods are case-sensitive */

/* ---- Reject reasons -------------------------------------------------------------------
 * One table for everything a parser refuses: X(enum, metric name, status to answer, text for the log).
 * Status 0 is silence: what cannot be answered safely is not answered. */
#define SIP_REJECTS(X) \
	X(SIP_OK, "ok", 0, "") \
	X(SIP_NEED_MORE, "need_more", 0, "the message is not complete yet") \
	X(SIP_REJECT_NOT_SIP, "not_sip", 0, "the bytes are not SIP") \
	X(SIP_REJECT_VERSION, "version", 505, "the SIP version is not 2.0") \
	X(SIP_REJECT_START_LINE, "start_line", 400, "the start line is malformed") \
	X(SIP_REJECT_URI, "uri", 400, "a URI is malformed") \
	X(SIP_REJECT_SCHEME, "scheme", 416, "the Request-URI has a scheme that is not served") \
	X(SIP_REJECT_HEADER, "header", 400, "a header line is malformed") \
	X(SIP_REJECT_HEADER_VALUE, "header_value", 400, "a header's value is malformed") \
	X(SIP_REJECT_HEADER_DUPLICATE, "header_duplicate", 400, "a header that may stand once stands twice") \
	X(SIP_REJECT_HEADER_MISSING, "header_missing", 400, "a mandatory header is missing") \
	X(SIP_REJECT_HEADERS_TOO_MANY, "headers_too_many", 400, "there are more headers than the limit") \
	X(SIP_REJECT_LINE_TOO_LONG, "line_too_long", 400, "a line is longer than the limit") \
	X(SIP_REJECT_TOO_LARGE, "too_large", 513, "the message is larger than the limit") \
	X(SIP_REJECT_CONTENT_LENGTH, "content_length", 400, "Content-Length disagrees with the body") \
	X(SIP_REJECT_BYTE, "byte", 400, "a byte is not allowed where it stands (NUL, bare CR or LF, bad UTF-8)") \
	X(SIP_REJECT_METHOD_MISMATCH, "method_mismatch", 400, "the CSeq method is not the request's") \
	X(SIP_REJECT_VIA, "via", 400, "the topmost Via is malformed or not ours") \
	X(SIP_REJECT_MEMORY, "memory", 503, "the message's memory is used up")

enum sip_reject {
#define X(name, metric, status, text) name,
	SIP_REJECTS(X)
#undef X
		SIP_REJECT_COUNT,
};
struct sip_reject_row {
	const char *metric;
	uint16_t status; /* to answer with, or 0 for silence */
	const char *text;
};
const struct sip_reject_row *sip_reject_row(enum sip_reject reject);

/* ---- Limits (RFC 3261 sets none; the configuration does) ----------------------------- */

struct sip_limits {
	uint32_t message_maximum_bytes;
	uint32_t body_maximum_bytes;
	uint32_t line_maximum_bytes;
	uint16_t headers_maximum; /* header fields */
	uint16_t values_maximum;  /* of one header, e.g. Via, Route, Contact */
};
extern const struct sip_limits sip_limits_default; /* 65,535; 61,440; 8,192; 128; 70 */

/* ---- URIs (RFC 3261 section 19.1, RFC 3966) ------------------------------------------ */

enum sip_scheme { SIP_SCHEME_SIP, SIP_SCHEME_SIPS, SIP_SCHEME_TEL };

/* All spans point into the parsed text. Hosts are checked (name, IPv4 or [IPv6] reference) but not resolved. */
struct sip_uri {
	enum sip_scheme scheme;
	struct span text; /* the whole URI */
	struct span user; /* as written, escapes kept; of tel: the number */
	struct span password;
	struct span host;       /* IPv6 with brackets; empty for tel */
	uint16_t port;          /* 0 when absent */
	struct span parameters; /* what follows the host, with its leading ';', without headers */
	struct span headers;    /* what follows '?', without it */
};

/* The whole of `text` must be one URI. Returns SIP_OK, SIP_REJECT_URI or SIP_REJECT_SCHEME. */
enum sip_reject sip_uri_parse(struct span text, struct sip_uri *uri);

/* RFC 3261 section 19.1.4. */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);

/* Whether the user parts are equal after undoing %-escapes. */
bool sip_user_equal(struct span a, struct span b);

/* The user part with its %-escapes undone, into `out` as a NUL-terminated text; refuses control
 * characters. Returns 0, -EINVAL or -ENOSPC. */
int sip_user_decode(struct span user, char *out, size_t capacity);

/* ---- Parameters ";name=value" --------------------------------------------------------- */

/* Finds `name` (in either case) among ";a;b=c;d=\"e\"". Returns true if there; *value gets its value
 * as written, quotes included, empty without one. value may be NULL. */
bool sip_parameter_get(struct span parameters, const char *name, struct span *value);

/* Walks parameters: *rest starts as the whole. False at the end. */
bool sip_parameter_next(struct span *rest, struct span *name, struct span *value);

/* ---- Headers ---------------------------------------------------------------------------
 * One row a header: X(id, name, compact form or 0, kind, flags). What is not in the table is
 * SIP_HEADER_OTHER. Kinds say how the value is checked when parsing. Which headers cross from one
 * zone to another is call's policy table, not here. */
enum sip_header_kind {
	SIP_KIND_TEXT,      /* any text (TEXT-UTF8-TRIM) */
	SIP_KIND_TOKENS,    /* comma list of tokens, maybe with parameters */
	SIP_KIND_NUMBER,    /* decimal, 32 bits */
	SIP_KIND_ADDRESS,   /* one name-addr or addr-spec with parameters */
	SIP_KIND_ADDRESSES, /* comma list of those */
	SIP_KIND_VIA,
	SIP_KIND_CSEQ,
	SIP_KIND_CALL_ID,
	SIP_KIND_CREDENTIALS, /* a challenge or credentials: scheme and comma list of name=value */
	SIP_KIND_MEDIA_TYPE,
	SIP_KIND_RACK,
};

#define SIP_ONCE 1u      /* may stand once: a second one is an error */
#define SIP_MANDATORY 2u /* in every message */

#define SIP_HEADERS(X) \
	X(VIA, "Via", 'v', SIP_KIND_VIA, SIP_MANDATORY) \
	X(FROM, "From", 'f', SIP_KIND_ADDRESS, SIP_ONCE | SIP_MANDATORY) \
	X(TO, "To", 't', SIP_KIND_ADDRESS, SIP_ONCE | SIP_MANDATORY) \
	X(CALL_ID, "Call-ID", 'i', SIP_KIND_CALL_ID, SIP_ONCE | SIP_MANDATORY) \
	X(CSEQ, "CSeq", 0, SIP_KIND_CSEQ, SIP_ONCE | SIP_MANDATORY) \
	X(MAX_FORWARDS, "Max-Forwards", 0, SIP_KIND_NUMBER, SIP_ONCE) \
	X(CONTACT, "Contact", 'm', SIP_KIND_ADDRESSES, 0) \
	X(ROUTE, "Route", 0, SIP_KIND_ADDRESSES, 0) \
	X(RECORD_ROUTE, "Record-Route", 0, SIP_KIND_ADDRESSES, 0) \
	X(PATH, "Path", 0, SIP_KIND_ADDRESSES, 0) \
	X(SERVICE_ROUTE, "Service-Route", 0, SIP_KIND_ADDRESSES, 0) \
	X(FLOW_TIMER, "Flow-Timer", 0, SIP_KIND_NUMBER, SIP_ONCE) \
	X(FEATURE_CAPS, "Feature-Caps", 0, SIP_KIND_TEXT, 0) \
	X(CONTENT_LENGTH, "Content-Length", 'l', SIP_KIND_NUMBER, SIP_ONCE) \
	X(CONTENT_TYPE, "Content-Type", 'c', SIP_KIND_MEDIA_TYPE, SIP_ONCE) \
	X(CONTENT_ENCODING, "Content-Encoding", 'e', SIP_KIND_TOKENS, 0) \
	X(CONTENT_DISPOSITION, "Content-Disposition", 0, SIP_KIND_TOKENS, SIP_ONCE) \
	X(CONTENT_LANGUAGE, "Content-Language", 0, SIP_KIND_TOKENS, 0) \
	X(EXPIRES, "Expires", 0, SIP_KIND_NUMBER, SIP_ONCE) \
	X(MIN_EXPIRES, "Min-Expires", 0, SIP_KIND_NUMBER, SIP_ONCE) \
	X(SESSION_EXPIRES, "Session-Expires", 'x', SIP_KIND_TEXT, SIP_ONCE) \
	X(MIN_SE, "Min-SE", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(SUPPORTED, "Supported", 'k', SIP_KIND_TOKENS, 0) \
	X(REQUIRE, "Require", 0, SIP_KIND_TOKENS, 0) \
	X(PROXY_REQUIRE, "Proxy-Require", 0, SIP_KIND_TOKENS, 0) \
	X(UNSUPPORTED, "Unsupported", 0, SIP_KIND_TOKENS, 0) \
	X(ALLOW, "Allow", 0, SIP_KIND_TOKENS, 0) \
	X(ALLOW_EVENTS, "Allow-Events", 'u', SIP_KIND_TOKENS, 0) \
	X(EVENT, "Event", 'o', SIP_KIND_TOKENS, SIP_ONCE) \
	X(SUBSCRIPTION_STATE, "Subscription-State", 0, SIP_KIND_TOKENS, SIP_ONCE) \
	X(ACCEPT, "Accept", 0, SIP_KIND_TEXT, 0) \
	X(ACCEPT_ENCODING, "Accept-Encoding", 0, SIP_KIND_TEXT, 0) \
	X(ACCEPT_LANGUAGE, "Accept-Language", 0, SIP_KIND_TEXT, 0) \
	X(WWW_AUTHENTICATE, "WWW-Authenticate", 0, SIP_KIND_CREDENTIALS, 0) \
	X(PROXY_AUTHENTICATE, "Proxy-Authenticate", 0, SIP_KIND_CREDENTIALS, 0) \
	X(AUTHORIZATION, "Authorization", 0, SIP_KIND_CREDENTIALS, 0) \
	X(PROXY_AUTHORIZATION, "Proxy-Authorization", 0, SIP_KIND_CREDENTIALS, 0) \
	X(AUTHENTICATION_INFO, "Authentication-Info", 0, SIP_KIND_TEXT, 0) \
	X(RSEQ, "RSeq", 0, SIP_KIND_NUMBER, SIP_ONCE) \
	X(RACK, "RAck", 0, SIP_KIND_RACK, SIP_ONCE) \
	X(REFER_TO, "Refer-To", 'r', SIP_KIND_ADDRESS, SIP_ONCE) \
	X(REFERRED_BY, "Referred-By", 'b', SIP_KIND_ADDRESS, SIP_ONCE) \
	X(REFER_SUB, "Refer-Sub", 0, SIP_KIND_TOKENS, SIP_ONCE) \
	X(REPLACES, "Replaces", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(REASON, "Reason", 0, SIP_KIND_TEXT, 0) \
	X(RETRY_AFTER, "Retry-After", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(WARNING, "Warning", 0, SIP_KIND_TEXT, 0) \
	X(SUBJECT, "Subject", 's', SIP_KIND_TEXT, SIP_ONCE) \
	X(PRIORITY, "Priority", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(ALERT_INFO, "Alert-Info", 0, SIP_KIND_TEXT, 0) \
	X(CALL_INFO, "Call-Info", 0, SIP_KIND_TEXT, 0) \
	X(ERROR_INFO, "Error-Info", 0, SIP_KIND_TEXT, 0) \
	X(DATE, "Date", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(TIMESTAMP, "Timestamp", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(MIME_VERSION, "MIME-Version", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(USER_AGENT, "User-Agent", 0, SIP_KIND_TEXT, 0) \
	X(SERVER, "Server", 0, SIP_KIND_TEXT, 0) \
	X(ORGANIZATION, "Organization", 0, SIP_KIND_TEXT, 0) \
	X(REPLY_TO, "Reply-To", 0, SIP_KIND_ADDRESS, 0) \
	X(IN_REPLY_TO, "In-Reply-To", 0, SIP_KIND_TEXT, 0) \
	X(PRIVACY, "Privacy", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(P_ASSERTED_IDENTITY, "P-Asserted-Identity", 0, SIP_KIND_ADDRESSES, 0) \
	X(P_PREFERRED_IDENTITY, "P-Preferred-Identity", 0, SIP_KIND_ADDRESSES, 0) \
	X(REMOTE_PARTY_ID, "Remote-Party-ID", 0, SIP_KIND_TEXT, 0) \
	X(IDENTITY, "Identity", 'y', SIP_KIND_TEXT, 0) \
	X(DIVERSION, "Diversion", 0, SIP_KIND_TEXT, 0) \
	X(HISTORY_INFO, "History-Info", 0, SIP_KIND_TEXT, 0) \
	X(ACCEPT_CONTACT, "Accept-Contact", 'a', SIP_KIND_TEXT, 0) \
	X(REJECT_CONTACT, "Reject-Contact", 'j', SIP_KIND_TEXT, 0) \
	X(REQUEST_DISPOSITION, "Request-Disposition", 'd', SIP_KIND_TEXT, 0) \
	X(INFO_PACKAGE, "Info-Package", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(RECV_INFO, "Recv-Info", 0, SIP_KIND_TEXT, 0) \
	X(SIP_ETAG, "SIP-ETag", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(SIP_IF_MATCH, "SIP-If-Match", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(SUPPRESS_IF_MATCH, "Suppress-If-Match", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(JOIN, "Join", 0, SIP_KIND_TEXT, SIP_ONCE) \
	X(GEOLOCATION, "Geolocation", 0, SIP_KIND_TEXT, 0) \
	X(P_ACCESS_NETWORK_INFO, "P-Access-Network-Info", 0, SIP_KIND_TEXT, 0)

enum sip_header_id {
#define X(id, name, compact, kind, flags) SIP_HEADER_##id,
	SIP_HEADERS(X)
#undef X
		SIP_HEADER_OTHER,
	SIP_HEADER_COUNT,
};
const char *sip_header_name(enum sip_header_id id); /* long form; "" for OTHER */

/* One header field line, unfolded in place (a folded line's CRLF became spaces). */
struct sip_header {
	uint16_t id;       /* enum sip_header_id */
	struct span name;  /* as written */
	struct span value; /* trimmed */
};

/* A name-addr or addr-spec (From, To, Contact, Route …). For a Contact "*", `star` is set and the rest is empty. */
struct sip_address {
	struct span text;    /* the whole value */
	struct span display; /* as written, quotes included */
	struct sip_uri uri;
	bool unknown_scheme; /* a URI of another scheme than sip, sips, tel: only uri.text is set */
	bool star;
	struct span parameters; /* header parameters, with leading ';' */
	struct span tag;        /* of From and To; empty without one */
};
enum sip_reject sip_address_parse(struct span text, struct sip_address *address);

/* Walks a comma list ("Route: <a>, <b>"): *rest starts as a header's value. Returns false at the end
 * (*rest is then empty) or on malformed text (*rest is not). Commas in quotes and in <> do not part. */
bool sip_list_next(struct span *rest, struct span *element);

struct sip_via {
	struct span text; /* the whole value; the header may hold more values behind it */
	enum transport transport;
	bool unknown_transport; /* e.g. SCTP, WS: `transport_text` tells */
	struct span transport_text;
	struct span host; /* IPv6 with brackets */
	uint16_t port;    /* 0 when absent */
	struct span parameters;
	struct span branch, received;
	bool rport;           /* the parameter stands, with or without a value */
	uint16_t rport_value; /* 0 without one */
};

/* ---- Messages ------------------------------------------------------------------------- */

/* A parsed message. Spans point into the received bytes, arrays into the arena given to
 * sip_message_parse; both must live as long as the message. Everything a gateway needs of every
 * message is already taken apart and checked. */
struct sip_message {
	bool is_request;
	enum sip_method method; /* of a response: the CSeq method */
	struct span method_text;
	uint16_t status; /* responses: 100 to 699 */
	struct span reason;
	struct sip_uri request_uri; /* requests */
	struct sip_via via;         /* topmost */
	struct sip_address from, to;
	struct span call_id;
	uint32_t cseq;              /* below 2^31 */
	int32_t max_forwards;       /* -1 when absent */
	struct sip_address contact; /* the first one; text empty when absent */
	struct span content_type;   /* empty when absent */
	struct span body;
	struct span from_written, to_written, cseq_written; /* after a reject: of malformed ones, to answer with */
	struct sip_header *headers;                         /* in the order they stood */
	uint16_t header_count;
	struct span bytes; /* the whole message as received */
};

/* Parses one message from the start of `bytes` (writable: folded lines are unfolded in place).
 * Datagram: the message is all of it; Content-Length may be absent or smaller than the rest (the
 * surplus is cut off) but not larger. Stream: Content-Length is mandatory, *consumed_bytes says
 * where the next message starts; leading CRLFs are skipped.
 * Returns SIP_OK; SIP_NEED_MORE (streams; *consumed_bytes may still be >0 for skipped CRLFs); or a reject
 * reason. After a reject other than NOT_SIP, `message` holds what was understood so far: via, from, to,
 * call_id, cseq are each either wholly valid or empty, so that an answer may be built if all are there;
 * headers that are malformed or surplus are not in `headers`. After a reject on a stream, *consumed_bytes is the
 * message's end if that is certain, else everything: what follows cannot be trusted, the connection is to be closed.
 * NOT_SIP, LINE_TOO_LONG, HEADERS_TOO_MANY and TOO_LARGE may come before the whole message has.
 * Allocates one array from `arena` (a struct sip_header a line, or SIP_REJECT_MEMORY) and copies no text.
 * What RFC 3261 would let pass and this does not: controls in quoted pairs, invalid UTF-8, the branch "z9hG4bK" alone,
 * names ending in a number, more than 32 parameters on one URI or value; tests/sip/test_torture.c has the examples.
 * What it lets pass beyond the RFC: unquoted UTF-8 in display names, underscores in host names.
 * RFC 3261 sections 7, 18.3, 25. */
enum sip_reject sip_message_parse(struct span bytes, bool is_stream, const struct sip_limits *limits,
				  struct arena *arena, struct sip_message *message, size_t *consumed_bytes);

/* The first header with `id`, or NULL. For SIP_HEADER_OTHER use the array. */
const struct sip_header *sip_message_header(const struct sip_message *message, enum sip_header_id id);

/* The next one with the same id after `header`, or NULL. */
const struct sip_header *sip_message_header_next(const struct sip_message *message, const struct sip_header *header);

/* Whether a token stands in any of the comma-list headers `id` (Supported, Require, Allow …). */
bool sip_message_has_token(const struct sip_message *message, enum sip_header_id id, const char *token);

/* Whether a reject can be answered: it was a request other than ACK and the headers a response needs are valid. */
bool sip_message_is_answerable(const struct sip_message *message);

/* ---- Multipart bodies (RFC 2046 section 5.1, RFC 5621) ----------------------------------- */

/* One part; spans into the body. Values of its headers, empty when absent. */
struct sip_part {
	struct span content_type, disposition, encoding;
	struct span body;
};
struct sip_multipart { /* a walk over the parts; its fields are the walk's own */
	struct span boundary, rest;
	unsigned parts;
	bool begun, ended;
};

/* Whether a Content-Type value is a multipart one. */
bool sip_multipart_is(struct span content_type);

/* Starts a walk. Returns 0; or -EINVAL: no multipart type, or its boundary is missing or malformed. */
int sip_multipart_begin(struct span content_type, struct span body, struct sip_multipart *walk);

/* Returns 1 and the next part; 0 after the closing delimiter; -EINVAL when malformed (no closing delimiter, a part without the
 * empty line, a header folded or twice); -E2BIG after 16 parts. */
int sip_multipart_next(struct sip_multipart *walk, struct sip_part *part);

/* The one application/sdp part, of an alternative the last, three levels deep at most; part->body is empty when there is
 * none. Returns 0; -EINVAL when malformed; -ENOTSUP when another part has handling=required, or there are several
 * descriptions. A part that says nothing of its handling is optional here, against RFC 5621 section 8.3: ISUP and
 * location often stand in calls that everybody takes. */
int sip_multipart_description(struct span content_type, struct span body, struct sip_part *part);

/* ---- Writing ---------------------------------------------------------------------------
 * Messages are always built, into a buffer of the caller's; an overflow is seen at the end.
 * Values must not hold CR, LF or NUL: such a header is refused by setting overflow. */

void sip_write_request_line(struct buffer *out, struct span method, struct span uri);
void sip_write_status_line(struct buffer *out, uint16_t status, struct span reason); /* empty reason: the RFC's */
void sip_write_header(struct buffer *out, enum sip_header_id id, struct span value);
void sip_write_header_named(struct buffer *out, struct span name, struct span value);
void sip_write_header_number(struct buffer *out, enum sip_header_id id, uint32_t value);

/* A value written from `count` pieces, one behind the other. */
void sip_write_header_pieces(struct buffer *out, enum sip_header_id id, const struct span *pieces, size_t count);

/* A quoted-string: quotes around, '"' and '\\' escaped. For display names that are not taken as written. */
void sip_write_quoted(struct buffer *out, struct span text);

/* "From: display <uri>parameters;tag=tag". `display` as written (quotes included), `parameters` with its leading
 * ';'; display, parameters and tag may be empty. */
void sip_write_address(struct buffer *out, enum sip_header_id id, struct span display, struct span uri,
		       struct span parameters, struct span tag);

/* Content-Type (unless empty), Content-Length and the body; ends the message. */
void sip_write_body(struct buffer *out, struct span content_type, struct span body);
const char *sip_reason_phrase(uint16_t status); /* RFC 3261 section 21 and the registry */

/* The status line and what RFC 3261 section 8.2.6.2 makes every response carry (all Via with the
 * top one's received and rport as `flow` says, From, To with `to_tag` added if it had none, Call-ID,
 * CSeq). The caller goes on with its own headers and ends with sip_write_body.
 * to_tag may be empty for 100. flow may be NULL (Via unchanged). */
void sip_write_response_start(struct buffer *out, const struct sip_message *request, uint16_t status,
			      struct span reason, struct span to_tag, const struct flow *flow);

/* Where a response to a request with this Via goes on UDP: RFC 3261 section 18.2.2 with RFC 3581.
 * Only the source address of the request may be answered (N4): a Via without rport changes the port only. */
void sip_response_target(const struct sip_message *request, const struct flow *came_on, struct flow *target);

/* ---- Digest (RFC 3261 section 22, RFC 7616, RFC 8760) --------------------------------- */

enum sip_digest_algorithm { SIP_DIGEST_MD5, SIP_DIGEST_SHA256, SIP_DIGEST_COUNT };
#define SIP_HA1_CAPACITY 65 /* hexadecimal and NUL, for the longest algorithm */

/* The parameters of one challenge or of credentials; unquoted, spans into the header's value. */
struct sip_digest {
	struct span username, realm, nonce, uri, response, opaque, cnonce, qop, nc;
	enum sip_digest_algorithm algorithm;
	bool unknown_algorithm; /* neither MD5 nor SHA-256, or a -sess form */
	bool stale;
};

/* `value` of Authorization, Proxy-Authorization, WWW-Authenticate or Proxy-Authenticate. Returns 0; -EINVAL
 * when malformed, a parameter stands twice, or realm or nonce is missing; -ENOTSUP for another scheme than Digest. */
int sip_digest_parse(struct span value, struct sip_digest *digest);

/* HA1 of user, realm and password, as lower-case hexadecimal. Returns 0 or -EIO. */
int sip_digest_ha1(enum sip_digest_algorithm algorithm, struct span user, struct span realm, struct span password,
		   char ha1[SIP_HA1_CAPACITY]);

/* The response value for credentials (qop auth when digest->qop is set, else RFC 2069's). Returns 0; -ENOTSUP for an
 * unknown algorithm or another qop than auth; or -EIO. */
int sip_digest_response(const struct sip_digest *digest, const char *ha1, struct span method,
			char response[SIP_HA1_CAPACITY]);

/* Compares in constant time. False for everything sip_digest_response refuses, and for qop without nc or cnonce. */
bool sip_digest_verify(const struct sip_digest *credentials, const char *ha1, struct span method);

/* Nonces that need no memory: time, random bytes, and a keyed hash over both, source address (not its port),
 * transport and zone. A nonce that comes back from another address is forged. Lower-case hexadecimal. */
#define SIP_NONCE_CAPACITY 64
void sip_nonce_make(const uint8_t key[16], const struct flow *flow, int64_t now_s, struct random_source random,
		    char nonce[SIP_NONCE_CAPACITY]);
enum sip_nonce_verdict { SIP_NONCE_FRESH, SIP_NONCE_STALE, SIP_NONCE_FORGED };
enum sip_nonce_verdict sip_nonce_check(const uint8_t key[16], const struct flow *flow, int64_t now_s,
				       uint32_t lifetime_s, struct span nonce);

/* ---- Transactions (RFC 3261 section 17, RFC 6026, RFC 4320) --------------------------- */

struct sip_transactions;
struct sip_server_transaction;
struct sip_client_transaction;

struct sip_transaction_limits {
	uint32_t server_maximum, client_maximum;
	uint32_t t1_ms, t2_ms, t4_ms; /* 500, 4,000, 5,000; tests turn them down */
};

enum sip_failure {
	SIP_FAILURE_TIMEOUT,   /* timer B or F: treat as 408 */
	SIP_FAILURE_TRANSPORT, /* could not be sent: treat as 503 */
};

/* Called inside sip_transactions_receive and timer_wheel_advance only, so that no transaction goes
 * while a call of the user's into the layer runs. */
struct sip_transaction_callbacks {
	/* A new request, never ACK or CANCEL. Not answering in the call is fine; the transaction sends 100
	 * by itself for an INVITE that waits 200 ms. The user may set its own pointer. */
	void (*request)(void *context, struct sip_server_transaction *transaction, const struct sip_message *request);

	/* The ACK of a 2xx (every copy), matched to no transaction: dialog matching is the user's. */
	void (*ack)(void *context, const struct flow *flow, const struct sip_message *ack);

	/* A CANCEL for this INVITE server transaction, not finally answered yet; 200 to the CANCEL is already
	 * sent. The user answers the INVITE (487), now or later. */
	void (*cancelled)(void *context, struct sip_server_transaction *transaction, const struct sip_message *cancel);

	/* A response: every provisional one, the first final one, and every 2xx (copies included) to INVITE. */
	void (*response)(void *context, struct sip_client_transaction *transaction, const struct sip_message *response);

	/* No final response will come. */
	void (*failed)(void *context, struct sip_client_transaction *transaction, enum sip_failure failure);

	/* An INVITE server transaction that was answered with a non-2xx got no ACK in time (timer H), or a 2xx
	 * whose retransmission the user asked for got none in 64*T1. May be NULL. */
	void (*unacknowledged)(void *context, struct sip_server_transaction *transaction);

	/* The transaction's memory goes after this call: the user's last chance to drop its pointer. */
	void (*server_gone)(void *context, struct sip_server_transaction *transaction);
	void (*client_gone)(void *context, struct sip_client_transaction *transaction);

	/* Sends bytes on a flow, with `send_context`. Returns 0 or a negative error (a failed transport). */
	int (*send)(void *send_context, const struct flow *flow, struct span bytes);
	void *send_context;

	void *context;
};

/* NULL when memory is short. `wheel` outlives the transactions. */
struct sip_transactions *sip_transactions_new(const struct sip_transaction_limits *limits, struct timer_wheel *wheel,
					      const struct sip_transaction_callbacks *callbacks,
					      struct random_source random);
void sip_transactions_free(struct sip_transactions *transactions); /* without callbacks; NULL is allowed */

/* Gives a valid message in. A full table answers 503 with Retry-After statelessly (never larger than the request
 * when the source is unproven); from three quarters on it refuses unproven sources outside a dialog, from
 * seven eighths on all but proven ones inside a dialog; but before it refuses, it gives up the oldest request other than
 * INVITE of an unproven source (server_gone is called), for all but INVITEs of unproven sources.
 * Server transactions are matched by branch (byte by byte), sent-by, method, and the source's zone, transport and IP address;
 * responses must come from where the request went (on streams: that host). */
void sip_transactions_receive(struct sip_transactions *transactions, const struct flow *flow,
			      const struct sip_message *message);

/* Answers. `bytes` is the whole response, copied for retransmission; `status` must be its status.
 * To other requests than INVITE, provisional responses and 408 are not sent (RFC 4320); the layer sends 100 itself when due.
 * A 2xx to INVITE is kept and sent again on UDP and streams alike (T1 doubling to T2) until sip_server_acknowledge or
 * 64*T1, then `unacknowledged`. Reliable provisional responses (RFC 3262) are sent again by the user's side: the
 * gateway relays them end to end. Never calls back. Returns 0; or, the transaction going on all the same, -ENOMEM (sent, but
 * cannot be sent again) or a send error; -EINVAL after a final response. */
int sip_server_respond(struct sip_server_transaction *transaction, uint16_t status, struct span bytes);

/* The ACK of a 2xx has come: stop sending it. */
void sip_server_acknowledge(struct sip_server_transaction *transaction);

/* The user's pointer, NULL at first. */
void sip_server_user_set(struct sip_server_transaction *transaction, void *user);
void *sip_server_user(const struct sip_server_transaction *transaction);
const struct flow *sip_server_flow(const struct sip_server_transaction *transaction);

/* The request as it was received, in the transaction's own copy, valid until server_gone. */
const struct sip_message *sip_server_request(const struct sip_server_transaction *transaction);

/* The user needs the request no more: its memory (some 2.5 kB) goes now and not with the transaction, which stays for 32 s on
 * UDP. sip_server_request then returns NULL. For after the final response. */
void sip_server_request_release(struct sip_server_transaction *transaction);
/* The body that the user sees from now on: a part of the request's own, by spans into it. */
void sip_server_body_set(struct sip_server_transaction *transaction, struct span content_type, struct span body);
bool sip_server_is_answered(const struct sip_server_transaction *transaction); /* finally */

/* A new branch for the topmost Via: the magic cookie and 20 random characters. */
#define SIP_BRANCH_CAPACITY 32
void sip_branch_make(struct random_source random, char branch[SIP_BRANCH_CAPACITY]);

/* Sends a request whose bytes (copied) have a topmost Via with `branch`. Never ACK of a 2xx (which belongs to
 * no transaction). NULL: table full or memory short; a transport error comes as `failed` later, not here. */
struct sip_client_transaction *sip_client_start(struct sip_transactions *transactions, const struct flow *flow,
						enum sip_method method, const char *branch, struct span bytes,
						void *user);

/* The two halves of sip_client_start, for who writes down what it is about to send: nothing is sent before sip_client_send,
 * which must follow at once with the same bytes. */
struct sip_client_transaction *sip_client_prepare(struct sip_transactions *transactions, const struct flow *flow,
						  enum sip_method method, const char *branch, struct span bytes,
						  void *user);
void sip_client_send(struct sip_client_transaction *transaction, struct span bytes);

/* Cancels an INVITE (RFC 3261 section 9.1): at once if a provisional response came, else when the first comes;
 * no CANCEL if a final one comes first. The CANCEL is built from the INVITE. Safe to call twice. */
void sip_client_cancel(struct sip_client_transaction *transaction);

/* The same, saying why: `reason` is the value of the CANCEL's Reason header (RFC 3326), copied; empty: none. Without memory the
 * CANCEL goes without it. */
void sip_client_cancel_for(struct sip_client_transaction *transaction, struct span reason);
void *sip_client_user(const struct sip_client_transaction *transaction);
/* The user of the transaction whose request carries this branch; NULL: none. */
void *sip_client_user_of(const struct sip_transactions *transactions, enum sip_method method, struct span branch);
void sip_client_user_set(struct sip_client_transaction *transaction, void *user);
const struct flow *sip_client_flow(const struct sip_client_transaction *transaction);
enum sip_method sip_client_method(const struct sip_client_transaction *transaction);

/* A stream is gone: client transactions on it that wait fail, at the next timer_wheel_advance. */
void sip_transactions_transport_failed(struct sip_transactions *transactions, const struct flow *flow);

/* After a reload: transactions of zone i belong to zones[i] from now on. */
void sip_transactions_zones_map(struct sip_transactions *transactions, const uint8_t zones[256]);

/* A transaction as it can be carried over to the layer of another process (docs/decisions/0007-checkpoints.md). Spans point into
 * the transaction, valid until it changes. */
struct sip_server_state {
	struct flow flow, target;
	struct span key, request,
		response; /* request: empty when it was released; response: when it need not go again */
	uint8_t state, method;
	bool cancelled, acknowledged;
};
struct sip_client_state {
	struct flow flow;
	char branch[SIP_BRANCH_CAPACITY];
	struct span bytes;
	uint8_t state, method;
};
void sip_server_state_get(const struct sip_server_transaction *transaction, struct sip_server_state *out);
void sip_client_state_get(const struct sip_client_transaction *transaction, struct sip_client_state *out);

/* Makes the transaction again, as it was; all spans are copied and nothing is sent. Timers begin anew: a state lasts longer than it
 * should by as much as it had lasted, and what is sent again is so from T1 on. An INVITE that was cancelled is to be
 * cancelled again. `flow`s must be this process's. NULL: the state cannot be right, the table is full, or no memory. */
struct sip_server_transaction *sip_server_resume(struct sip_transactions *transactions,
						 const struct sip_server_state *state, void *user);
struct sip_client_transaction *sip_client_resume(struct sip_transactions *transactions,
						 const struct sip_client_state *state, void *user);

struct sip_transaction_statistics {
	uint32_t servers_alive, clients_alive;
	uint64_t refused_full, evicted, retransmissions_in, retransmissions_out, strays;
};
void sip_transactions_statistics(const struct sip_transactions *transactions, struct sip_transaction_statistics *out);

#endif
