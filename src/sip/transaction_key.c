/* SPDX-License-Identifier: Apache-2.0
 * What requests are matched to server transactions by (RFC 3261 section 17.2.3), as canonical bytes that are hashed with
 * a secret and compared in full.
 *
 * The branch is compared byte by byte: section 7.3.1 makes tokens case-insensitive, but a retransmission, a
 * CANCEL and an ACK are made from the INVITE's own bytes, and clients use base64 branches that differ in case
 * alone. The source's zone, transport and IP address belong to the key: nobody can reach another one's
 * transaction with a guessed branch (THREATS S6), nor take a branch away from two phones that stand behind two NATs
 * under the same private address. */
#include "sip/transaction.h"

#include <string.h>

#define KEY_ZONE 2 /* its place in a key */

static const struct span magic_cookie = SPAN_INIT("z9hG4bK");

static void key_put_number(struct buffer *out, uint32_t number)
{
	buffer_put(out, &number, sizeof(number));
}

/* Lengths stand before texts, so that no two lists of texts give the same bytes. */
static void key_put_text(struct buffer *out, struct span text)
{
	key_put_number(out, (uint32_t)text.length);
	buffer_put_span(out, text);
}

static void key_put_host(struct buffer *out, struct span host)
{
	key_put_number(out, (uint32_t)host.length);
	for (size_t i = 0; i < host.length; i++) {
		char byte = host.data[i];

		buffer_put_byte(out, byte >= 'A' && byte <= 'Z' ? (char)(byte + 'a' - 'A') : byte);
	}
}

/* A branch of RFC 2543 is not unique: the request's own fields stand in for it. The To tag is left out, as an ACK has the
 * response's; a request inside a dialog has another CSeq anyway. */
static void key_put_old(struct buffer *out, const struct sip_message *message)
{
	key_put_text(out, message->request_uri.text);
	key_put_text(out, message->from.tag);
	key_put_text(out, message->call_id);
	key_put_number(out, message->cseq);
	key_put_text(out, message->via.parameters);
}

bool transaction_key_write(const struct sip_transactions *transactions, const struct flow *flow,
			   const struct sip_message *message, enum sip_method method, char *out, size_t capacity,
			   struct transaction_key *key)
{
	struct buffer buffer = buffer_over(out, capacity);
	const struct sip_via *via = &message->via;
	bool is_old = !span_starts_with(via->branch, magic_cookie);
	const char head[] = {(char)method, (char)flow->transport, (char)flow->zone, (char)flow->remote.family,
			     (char)is_old};

	buffer_put(&buffer, head, sizeof(head));
	buffer_put(&buffer, flow->remote.ip, sizeof(flow->remote.ip));
	key_put_number(&buffer, via->port);
	key_put_host(&buffer, via->host);
	key_put_text(&buffer, via->branch);
	if (method == SIP_METHOD_OTHER)
		key_put_text(&buffer, message->method_text);
	if (is_old)
		key_put_old(&buffer, message);
	if (buffer.overflow)
		return false;

	key->bytes = out;
	key->length = (uint32_t)buffer.length;
	key->hash = table_hash(transactions->servers, out, buffer.length);
	return true;
}

void transaction_key_zone_set(const struct sip_transactions *transactions, struct transaction_key *key, uint8_t zone)
{
	key->bytes[KEY_ZONE] = (char)zone;
	key->hash = table_hash(transactions->servers, key->bytes, key->length);
}

bool transaction_server_equal(const struct table_link *link, const void *key)
{
	const struct sip_server_transaction *server = table_object(link, struct sip_server_transaction, link);
	const struct transaction_key *wanted = key;

	return server->key.length == wanted->length && !memcmp(server->key.bytes, wanted->bytes, wanted->length);
}
