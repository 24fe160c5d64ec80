/* SPDX-License-Identifier: Apache-2.0
 * What the message tests share: parsing from memory that ends where the bytes end, so that the sanitizer sees a
 * step too far; and a handful of sound messages. */
#ifndef MESSAGE_FIXTURE_H
#define MESSAGE_FIXTURE_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sip/sip.h"

#define ARENA_BYTES 16384

struct parsed {
	struct sip_message message;
	enum sip_reject reject;
	size_t consumed;
	char *bytes, *memory;
};

static inline struct parsed parse_limited(struct span text, bool is_stream, const struct sip_limits *limits,
					  size_t arena_bytes)
{
	struct parsed parsed = {.bytes = malloc(text.length ? text.length : 1),
				.memory = malloc(arena_bytes ? arena_bytes : 1)};
	struct arena arena = arena_over(parsed.memory, arena_bytes);

	assert_non_null(parsed.bytes);
	assert_non_null(parsed.memory);
	if (text.length)
		memcpy(parsed.bytes, text.data, text.length);
	parsed.reject = sip_message_parse((struct span){parsed.bytes, text.length}, is_stream, limits, &arena,
					  &parsed.message, &parsed.consumed);
	return parsed;
}

static inline struct parsed parse(struct span text, bool is_stream)
{
	return parse_limited(text, is_stream, &sip_limits_default, ARENA_BYTES);
}

static inline struct parsed parse_text(const char *text)
{
	return parse(span_from(text), false);
}

static inline void parsed_free(struct parsed *parsed)
{
	free(parsed->bytes);
	free(parsed->memory);
}

static inline bool span_within(struct span part, struct span whole)
{
	return !part.length || (part.data >= whole.data && part.data + part.length <= whole.data + whole.length);
}

/* What holds of a message after any result: everything it points to lies in the received bytes, and what is there is
 * there in full. Whether all of it can be read is the sanitizer's to say. */
static inline void check_sound(const struct parsed *parsed, size_t length)
{
	const struct sip_message *message = &parsed->message;
	struct span whole = {parsed->bytes, length};

	assert_true(parsed->consumed <= length);
	assert_true(span_within(message->bytes, whole));
	assert_true(span_within(message->body, whole));
	assert_true(span_within(message->via.text, whole));
	assert_true(span_within(message->from.text, whole));
	assert_true(span_within(message->to.text, whole));
	assert_true(span_within(message->call_id, whole));
	assert_true(span_within(message->contact.text, whole));
	for (unsigned i = 0; i < message->header_count; i++) {
		assert_true(span_within(message->headers[i].name, whole));
		assert_true(span_within(message->headers[i].value, whole));
		assert_true(message->headers[i].id < SIP_HEADER_COUNT);
	}
	if (parsed->reject != SIP_OK)
		return;
	assert_true(message->via.host.length > 0 && message->from.text.length > 0 && message->to.text.length > 0);
	assert_true(message->call_id.length > 0 && message->cseq <= 0x7fffffff && message->method_text.length > 0);
	assert_true(message->is_request ? message->request_uri.text.length > 0 : message->status >= 100);
	assert_int_equal(sip_message_is_answerable(message), message->is_request && message->method != SIP_ACK);
}

#define assert_span(value, text) \
	do { \
		struct span value_ = (value); \
		char copy_[4096]; \
		assert_int_equal(span_copy(value_, copy_, sizeof(copy_)), 0); \
		assert_string_equal(copy_, text); \
	} while (0)

static const char invite_text[] =
	"INVITE sip:+441632960083@sbc.example.com;user=phone SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 192.0.2.14:5062;rport;branch=z9hG4bKPj3f2a7c1e9d5b4860\r\n"
	"Max-Forwards: 70\r\n"
	"From: \"Alice, \\\"L\\\"\" <sip:alice@pbx.example.com>;tag=8b1f2e6c7d\r\n"
	"To: <sip:+441632960083@sbc.example.com;user=phone>\r\n"
	"Contact: <sip:alice@192.0.2.14:5062;ob>;expires=3600;+sip.instance=\"<urn:uuid:3c0e7a52>\"\r\n"
	"Call-ID: 6f0b1b8e4a6d4c5c9f2e@192.0.2.14\r\n"
	"CSeq: 21314 INVITE\r\n"
	"Route: <sip:sbc.example.com;lr>, \"Two, three\" <sips:[2001:db8::1]:5061;lr>\r\n"
	"Supported: replaces, 100rel,timer\r\n"
	"k: norefersub\r\n"
	"X-Own: anything; at, all\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length: 5\r\n"
	"\r\n"
	"v=0\r\n";

static const char response_text[] = "SIP/2.0 180 Ringing\r\n"
				    "Via: SIP/2.0/TLS sbc.example.com;branch=z9hG4bK77,SIP/2.0/UDP 192.0.2.14\r\n"
				    "v: SIP / 2.0 / TCP [2001:db8::9] : 5070 ; branch = z9hG4bK1\r\n"
				    "f: sip:alice@pbx.example.com;tag=8b1f2e6c7d\r\n"
				    "t: <tel:+44-1632-960083;phone-context=+44>;tag=99\r\n"
				    "i: 6f0b1b8e\r\n"
				    "CSeq: 21314 INVITE\r\n"
				    "RSeq: 4294967295\r\n"
				    "l: 0\r\n"
				    "\r\n";

static const char register_text[] =
	"REGISTER sips:pbx.example.com SIP/2.0\r\n"
	"Via: SIP/2.0/TLS phone.example.com;branch=z9hG4bKa;received=192.0.2.9;rport=4242\r\n"
	"From: <sips:bob@example.com>;tag=1\r\n"
	"To: Bob Jones <sips:bob@example.com>\r\n"
	"Call-ID: 1\r\n"
	"CSeq: 0 REGISTER\r\n"
	"Contact: *\r\n"
	"Expires: 0\r\n"
	"Subject: folded\r\n"
	"\tby a tab\r\n"
	"  and blanks \r\n"
	"Content-Length: 0\r\n"
	"\r\n";

static const char *const sound_texts[] = {invite_text, response_text, register_text};
#define SOUND_COUNT (sizeof(sound_texts) / sizeof(*sound_texts))

#endif
