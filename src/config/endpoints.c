/* SPDX-License-Identifier: Apache-2.0
 * Values that name ends of communication: listeners, peers and port ranges. */
#include <string.h>

#include "base/memory.h"
#include "config/values.h"

/* ---- Listeners ------------------------------------------------------------------------ */

/* "[fe80::1%eth0]:5060" */
static bool listener_is_link_local(struct span text)
{
	ptrdiff_t end = span_index(text, ']');

	return end > 0 && text.data[0] == '[' && value_is_link_local(span_slice(text, 1, (size_t)end - 1));
}

/* Returns NULL when all is well, or what is wrong and would be right. */
static const char *listener_parse(struct span text, struct config_listener *listener)
{
	ptrdiff_t colon = span_index(text, ':');
	struct span word = span_slice(text, 0, colon < 0 ? text.length : (size_t)colon);
	struct address *address = &listener->address;

	if (colon < 0 || transport_parse(word, &listener->transport))
		return "does not begin with a transport; write udp:, tcp:, tls: or wss: before the address";
	if (listener_is_link_local(span_slice(text, (size_t)colon + 1, text.length)))
		return "is a link-local address, which means another machine on each link; write a global one, or [::]";
	if (address_parse(span_slice(text, (size_t)colon + 1, text.length), address))
		return "has no IP address and port that can be read; write transport:address:port, IPv6 in brackets, "
		       "no names";
	if (!address->port)
		return "has no port; write one (after an IPv6 address in brackets), SIP's are 5060, and 5061 for tls";
	if (address_is_multicast(address))
		return "is a multicast address; write one of this machine";
	return NULL;
}

static void listener_read(struct reader *reader, const struct config_key *key, struct node *item,
			  struct config_listener *listener)
{
	struct config_listener parsed = {0};
	const char *problem;

	if (item->faulty || !value_is_text(reader, key, item))
		return;
	problem = listener_parse(span_from(item->text), &parsed);
	if (problem) {
		reader_error(reader, item, key->path, "\"%.80s\" %s", item->text, problem);
		return;
	}
	parsed.text = memory_copy_text(span_from(item->text));
	if (!parsed.text)
		errors_out_of_memory(reader->errors);
	*listener = parsed;
}

void value_listeners(struct reader *reader, const struct config_key *key, struct node *node, void *record)
{
	struct config_zone *zone = record;
	uint8_t index = 0;

	if (!value_is_list(reader, key, node))
		return;
	zone->listeners = memory_alloc(node->count * sizeof(*zone->listeners));
	if (!zone->listeners) {
		errors_out_of_memory(reader->errors);
		return;
	}
	zone->listener_count = (uint8_t)node->count;
	for (struct node *item = node->children; item; item = item->next)
		listener_read(reader, key, item, &zone->listeners[index++]);
}

/* ---- Peers ---------------------------------------------------------------------------- */

/* Takes "host" or "host:port" apart; *port is text, empty when absent. */
static void authority_split(struct span text, struct span *host, struct span *port)
{
	size_t end = 0;

	if (text.length && text.data[0] == '[') {
		ptrdiff_t bracket = span_index(text, ']');

		end = bracket < 0 ? text.length : (size_t)bracket + 1;
	} else {
		ptrdiff_t colon = span_index(text, ':');

		end = colon < 0 ? text.length : (size_t)colon;
	}
	*host = span_slice(text, 0, end);
	*port = span_slice(text, end, text.length);
}

/* The one parameter that means something for a peer. */
static const char *peer_parameters(struct span text, bool is_sips, enum transport *transport)
{
	struct span value;

	*transport = is_sips ? TRANSPORT_TLS : TRANSPORT_UDP;
	if (!text.length)
		return NULL;
	if (!span_starts_with(text, SPAN(";transport=")))
		return "has something after the address; only ;transport=udp, tcp or tls may stand there";
	value = span_slice(text, sizeof(";transport=") - 1, text.length);
	if (transport_parse(value, transport) || transport_is_websocket(*transport))
		return "has a transport that is not served; write ;transport=udp, tcp or tls";
	if (is_sips && *transport != TRANSPORT_TLS)
		return "is a sips address over a transport without TLS; write sip: or ;transport=tls";
	return NULL;
}

/* A SIP URI without user, of the form sip:host[:port][;transport=…]. Returns NULL when all is well. */
static const char *peer_parse(struct span text, struct config_peer *peer, struct span *host)
{
	bool is_sips = span_starts_with(text, SPAN("sips:"));
	struct span rest, authority, port;
	const char *problem;
	ptrdiff_t semicolon;
	uint64_t number;

	peer->secure = is_sips;
	if (!is_sips && !span_starts_with(text, SPAN("sip:")))
		return "does not begin with sip: or sips:; write sip:host:port;transport=udp, tcp or tls";
	rest = span_slice(text, is_sips ? 5 : 4, text.length);
	if (span_index(rest, '@') >= 0)
		return "names a user; write the host alone";
	semicolon = span_index(rest, ';');
	authority = span_slice(rest, 0, semicolon < 0 ? rest.length : (size_t)semicolon);
	problem = peer_parameters(span_slice(rest, authority.length, rest.length), is_sips, &peer->transport);
	if (problem)
		return problem;
	peer->transport_written = rest.length > authority.length;

	authority_split(authority, host, &port);
	if (host->length > 2 && host->data[0] == '[' && value_is_link_local(span_slice(*host, 1, host->length - 2)))
		return "is a link-local address, which means another machine on each link; write the peer's global one";
	if (!host_parse(*host, &peer->address))
		return "has no host that can be read; write a name, an IPv4 address, or an IPv6 address in brackets";
	if (peer->address.family && (address_is_any(&peer->address) || address_is_multicast(&peer->address)))
		return "is not the address of one machine; write the peer's own";
	peer->port = peer->transport == TRANSPORT_TLS ? 5061 : 5060; /* RFC 3261 section 19.1.2 */
	if (port.length) {
		if (port.data[0] != ':' || span_to_uint(span_slice(port, 1, port.length), 65535, &number) || !number)
			return "has no port that can be read; write a number from 1 to 65535, or none";
		peer->port = (uint16_t)number;
		peer->port_written = true;
	}
	if (peer->address.family)
		peer->address.port = peer->port;
	return NULL;
}

static void peer_read(struct reader *reader, const struct config_key *key, struct node *item, struct config_peer *peer)
{
	struct config_peer parsed = {.line = item->line};
	struct span host = SPAN_EMPTY;
	const char *problem;

	if (item->faulty || !value_is_text(reader, key, item))
		return;
	problem = peer_parse(span_from(item->text), &parsed, &host);
	if (problem) {
		reader_error(reader, item, key->path, "\"%.80s\" %s", item->text, problem);
		return;
	}
	if (host.data[0] == '[')
		host = span_slice(host, 1, host.length - 2);
	parsed.text = memory_copy_text(span_from(item->text));
	parsed.host = memory_copy_text(host);
	if (!parsed.text || !parsed.host)
		errors_out_of_memory(reader->errors);
	*peer = parsed;
}

void value_peers(struct reader *reader, const struct config_key *key, struct node *node, void *record)
{
	struct config_zone *zone = record;
	uint8_t index = 0;

	if (!value_is_list(reader, key, node))
		return;
	zone->peers = memory_alloc(node->count * sizeof(*zone->peers));
	if (!zone->peers) {
		errors_out_of_memory(reader->errors);
		return;
	}
	zone->peer_count = (uint8_t)node->count;
	for (struct node *item = node->children; item; item = item->next)
		peer_read(reader, key, item, &zone->peers[index++]);
}

/* ---- Port ranges ---------------------------------------------------------------------- */

void value_ports(struct reader *reader, const struct config_key *key, struct node *node, void *record)
{
	struct config_zone *zone = record;
	uint64_t low, high;
	struct span text;
	ptrdiff_t hyphen;

	if (!value_is_text(reader, key, node))
		return;
	text = span_from(node->text);
	hyphen = span_index(text, '-');
	if (hyphen < 0 || span_to_uint(span_trim(span_slice(text, 0, (size_t)hyphen)), 65535, &low) ||
	    span_to_uint(span_trim(span_slice(text, (size_t)hyphen + 1, text.length)), 65535, &high)) {
		reader_error(reader, node, key->path,
			     "\"%.40s\" is no range of ports; write two numbers with a hyphen, such as \"20000-29999\"",
			     node->text);
		return;
	}
	if (low < key->minimum || high > key->maximum || low >= high) {
		reader_error(reader, node, key->path,
			     "\"%.40s\" is out of range; write the lower port first, from %u to %u", node->text,
			     (unsigned)key->minimum, (unsigned)key->maximum);
		return;
	}
	if (low % 2 || high % 2 == 0) {
		/* RTP on an even port, its RTCP on the next: RFC 3550 section 11. */
		reader_error(reader, node, key->path,
			     "\"%.40s\" does not hold whole pairs; begin with an even port and end with an odd one",
			     node->text);
		return;
	}
	zone->media.port_low = (uint16_t)low;
	zone->media.port_high = (uint16_t)high;
}
