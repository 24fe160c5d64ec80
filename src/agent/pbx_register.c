/* SPDX-License-Identifier: Apache-2.0
 * The test PBX as a registrar (RFC 3261 section 10). It challenges with MD5 alone, which every softphone knows: baresip 1.0
 * gives up when a SHA-256 challenge stands beside it. Credentials of either algorithm are taken. */
#include <errno.h>
#include <string.h>

#include "agent/pbx.h"

#define NONCE_LIFETIME_S 600

/* ---- Authentication ------------------------------------------------------------------------ */

static void challenge(struct testpbx *pbx, struct sip_server_transaction *server, bool stale)
{
	const struct flow *flow = sip_server_flow(server);
	struct buffer out = ua_response_start(&pbx->ua, sip_server_request(server), flow, 401, "");
	char nonce[SIP_NONCE_CAPACITY], text[512];
	struct buffer value = BUFFER_OVER(text);

	sip_nonce_make(pbx->nonce_key, flow, clock_wall_s(), pbx->ua.random, nonce);
	buffer_printf(&value, "Digest realm=\"%s\", nonce=\"%s\", algorithm=MD5, qop=\"auth\"%s", pbx->settings.realm,
		      nonce, stale ? ", stale=true" : "");
	sip_write_header(&out, SIP_HEADER_WWW_AUTHENTICATE, buffer_span(&value));
	ua_response_send(server, 401, &out, SPAN_EMPTY, SPAN_EMPTY);
}

enum verdict { VERDICT_NONE, VERDICT_STALE, VERDICT_RIGHT };

static enum verdict credentials_check(struct testpbx *pbx, const struct flow *flow, const struct sip_message *request,
				      struct span value)
{
	struct sip_digest digest;
	enum sip_nonce_verdict nonce;

	if (sip_digest_parse(value, &digest) || digest.unknown_algorithm ||
	    !span_equal(digest.realm, span_from(pbx->settings.realm)) ||
	    !span_equal(digest.username, span_from(pbx->settings.user)))
		return VERDICT_NONE;
	nonce = sip_nonce_check(pbx->nonce_key, flow, clock_wall_s(), NONCE_LIFETIME_S, digest.nonce);
	if (nonce == SIP_NONCE_FORGED || !sip_digest_verify(&digest, pbx->ha1[digest.algorithm], request->method_text))
		return VERDICT_NONE;
	return nonce == SIP_NONCE_STALE ? VERDICT_STALE : VERDICT_RIGHT;
}

bool pbx_authenticate(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *request,
		      struct span claimed_user)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_AUTHORIZATION);
	enum verdict best = VERDICT_NONE;

	if (!pbx->settings.realm)
		return true;
	for (; header; header = sip_message_header_next(request, header)) {
		enum verdict verdict = credentials_check(pbx, sip_server_flow(server), request, header->value);

		best = verdict > best ? verdict : best;
	}
	if (best != VERDICT_RIGHT) {
		challenge(pbx, server, best == VERDICT_STALE);
		return false;
	}
	if (sip_user_equal(claimed_user, span_from(pbx->settings.user)))
		return true;
	ua_respond(&pbx->ua, server, 403, ""); /* right password, another one's name */
	return false;
}

/* ---- Bindings ------------------------------------------------------------------------------ */

static void binding_free(struct testpbx *pbx, struct pbx_binding *binding)
{
	list_remove(&binding->link);
	pbx->binding_count--;
	memory_free(binding);
}

void pbx_bindings_free(struct testpbx *pbx)
{
	list_each(link, &pbx->bindings)
		binding_free(pbx, list_object(link, struct pbx_binding, link));
}

/* Bindings are few, and those that ended go whenever anybody looks. */
size_t pbx_bindings_find(struct testpbx *pbx, struct span user, struct pbx_binding **out, size_t capacity)
{
	uint64_t now_us = clock_monotonic_us();
	size_t count = 0;

	list_each(link, &pbx->bindings) {
		struct pbx_binding *binding = list_object(link, struct pbx_binding, link);

		if (binding->expires_us <= now_us)
			binding_free(pbx, binding);
		else if (count < capacity && sip_user_equal(span_from(binding->user), user))
			out[count++] = binding;
	}
	return count;
}

int pbx_binding_flow(struct testpbx *pbx, const struct pbx_binding *binding, struct flow *flow)
{
	struct net *net = transport_net(pbx->ua.transport);
	struct net_peer peer = {.transport = TRANSPORT_UDP};
	struct span host, transport;
	struct sip_uri uri;

	*flow = binding->flow;
	if (net_flow_is_open(net, flow))
		return 0;
	if (sip_uri_parse(span_from(binding->uri), &uri))
		return -EINVAL;
	host = uri.host;
	if (host.length > 2 && *host.data == '[')
		host = span_slice(host, 1, host.length - 2);
	if (address_parse_ip(host, &peer.address))
		return -ENOTCONN; /* names are not looked up */
	peer.address.port = uri.port ? uri.port : 5060;
	if (sip_parameter_get(uri.parameters, "transport", &transport) && transport_parse(transport, &peer.transport))
		return -EINVAL;
	return net_flow_open(net, &peer, 0, 0, flow);
}

static bool binding_set(struct testpbx *pbx, struct span user, struct span uri, const struct flow *flow,
			uint32_t expires_s)
{
	struct pbx_binding *bindings[PBX_BINDINGS_OF_USER], *binding = NULL;
	size_t count = pbx_bindings_find(pbx, user, bindings, PBX_BINDINGS_OF_USER);

	for (size_t i = 0; i < count && !binding; i++)
		binding = span_equal(span_from(bindings[i]->uri), uri) ? bindings[i] : NULL;
	if (!expires_s) {
		if (binding)
			binding_free(pbx, binding);
		return true;
	}
	if (!binding) {
		if (count == PBX_BINDINGS_OF_USER || pbx->binding_count == PBX_BINDINGS_MAXIMUM)
			return false;
		binding = memory_alloc(sizeof(*binding));
		if (!binding)
			return false;
		list_append(&pbx->bindings, &binding->link);
		pbx->binding_count++;
	}
	binding->flow = *flow;
	binding->expires_us = clock_monotonic_us() + (uint64_t)expires_s * 1000000;
	if (!span_copy(user, binding->user, sizeof(binding->user)) &&
	    !span_copy(uri, binding->uri, sizeof(binding->uri)))
		return true;
	binding_free(pbx, binding);
	return false;
}

static uint32_t expires_of(const struct sip_message *request, const struct sip_address *contact)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_EXPIRES);
	uint64_t value = PBX_EXPIRES_DEFAULT_S;
	struct span text;

	if (header)
		span_to_uint(header->value, UINT32_MAX, &value);
	if (sip_parameter_get(contact->parameters, "expires", &text))
		span_to_uint(text, UINT32_MAX, &value);
	return value > PBX_EXPIRES_MAXIMUM_S ? PBX_EXPIRES_MAXIMUM_S : (uint32_t)value;
}

static void bindings_remove(struct testpbx *pbx, struct span user)
{
	struct pbx_binding *bindings[PBX_BINDINGS_OF_USER];
	size_t count = pbx_bindings_find(pbx, user, bindings, PBX_BINDINGS_OF_USER);

	for (size_t i = 0; i < count; i++)
		binding_free(pbx, bindings[i]);
}

/* Returns the status that answers the request. */
static uint16_t contacts_apply(struct testpbx *pbx, const struct flow *flow, const struct sip_message *request)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_CONTACT);
	struct span user = request->to.uri.user, rest, element;
	struct sip_address contact;

	for (; header; header = sip_message_header_next(request, header)) {
		rest = header->value;
		while (sip_list_next(&rest, &element)) {
			if (sip_address_parse(element, &contact) || contact.unknown_scheme)
				return 400;
			if (contact.star)
				bindings_remove(pbx, user);
			else if (!binding_set(pbx, user, contact.uri.text, flow, expires_of(request, &contact)))
				return 503;
		}
	}
	return 200;
}

static void contacts_write(struct testpbx *pbx, struct buffer *out, struct span user)
{
	struct pbx_binding *bindings[PBX_BINDINGS_OF_USER];
	size_t count = pbx_bindings_find(pbx, user, bindings, PBX_BINDINGS_OF_USER);
	uint64_t now_us = clock_monotonic_us();
	char text[UA_URI_BYTES + 40];

	for (size_t i = 0; i < count; i++) {
		struct buffer value = BUFFER_OVER(text);

		buffer_printf(&value, "<%s>;expires=%u", bindings[i]->uri,
			      (unsigned)((bindings[i]->expires_us - now_us + 999999) / 1000000));
		sip_write_header(out, SIP_HEADER_CONTACT, buffer_span(&value));
	}
}

void pbx_register(struct testpbx *pbx, struct sip_server_transaction *server, const struct sip_message *request)
{
	struct span user = request->to.uri.user;
	struct buffer out;
	uint16_t status;

	if (!user.length) {
		ua_respond(&pbx->ua, server, 404, "");
		return;
	}
	if (!pbx_authenticate(pbx, server, request, user))
		return;
	status = contacts_apply(pbx, sip_server_flow(server), request);
	out = ua_response_start(&pbx->ua, request, sip_server_flow(server), status, "");
	if (status == 200)
		contacts_write(pbx, &out, user);
	ua_response_send(server, status, &out, SPAN_EMPTY, SPAN_EMPTY);
}
