/* SPDX-License-Identifier: Apache-2.0
 * Responses: what every one carries, and where it goes. RFC 3261 sections 8.2.6 and 18.2, RFC 3581. */
#include <string.h>

#include "sip/scan.h"

#define SIP_PORT 5060

/* Whether the sent-by is the very address the request came from. */
static bool host_is_source(struct span host, const struct address *source)
{
	struct address address;

	if (host.length > 2 && *host.data == '[')
		host = span_slice(host, 1, host.length - 2);
	return address_parse_ip(host, &address) == 0 && address_equal_ip(&address, source);
}

/* The topmost value with `received` and `rport` as we saw them, whatever its sender claimed. */
static void write_via_top(struct buffer *out, const struct sip_via *via, const struct flow *flow)
{
	struct span parameters = via->parameters, name, value;

	buffer_put_text(out, "SIP/2.0/");
	buffer_put_span(out, via->transport_text);
	buffer_put_byte(out, ' ');
	buffer_put_span(out, via->host);
	if (via->port) {
		buffer_put_byte(out, ':');
		buffer_put_uint(out, via->port);
	}
	while (sip_parameter_next(&parameters, &name, &value)) {
		if (span_is(name, "received") || span_is(name, "rport"))
			continue;
		buffer_put_byte(out, ';');
		buffer_put_span(out, name);
		if (value.data) {
			buffer_put_byte(out, '=');
			buffer_put_span(out, value);
		}
	}
	if (via->rport || !host_is_source(via->host, &flow->remote)) {
		buffer_put_text(out, ";received=");
		address_write_ip(out, &flow->remote, false);
	}
	if (via->rport) {
		buffer_put_text(out, ";rport=");
		buffer_put_uint(out, flow->remote.port);
	}
}

static void write_vias(struct buffer *out, const struct sip_message *request, const struct flow *flow)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_VIA);
	const char *rest = request->via.text.data + request->via.text.length;

	if (header && flow) {
		buffer_put_text(out, "Via: ");
		write_via_top(out, &request->via, flow);
		/* what stands behind the topmost value in the same line, its comma first */
		buffer_put_span(out, span_trim(span_between(rest, header->value.data + header->value.length)));
		buffer_put_text(out, "\r\n");
		header = sip_message_header_next(request, header);
	}
	for (; header; header = sip_message_header_next(request, header))
		sip_write_header(out, SIP_HEADER_VIA, header->value);
}

/* Whether a To that could not be read may have a tag: a second one would be as wrong as none. */
static bool mentions_tag(struct span written)
{
	for (size_t i = 0; i + 4 <= written.length; i++)
		if (span_equal_nocase(span_slice(written, i, 4), SPAN("tag=")))
			return true;
	return false;
}

void sip_write_response_start(struct buffer *out, const struct sip_message *request, uint16_t status,
			      struct span reason, struct span to_tag, const struct flow *flow)
{
	const struct sip_header *header = sip_message_header(request, SIP_HEADER_CSEQ);
	struct span cseq = header ? header->value : request->cseq_written;
	struct span from = request->from.text.length ? request->from.text : request->from_written;
	struct span to[] = {request->to.text.length ? request->to.text : request->to_written, SPAN(";tag="), to_tag};
	bool tagged = request->to.tag.length || (!request->to.text.length && mentions_tag(request->to_written));

	if (!request->via.text.length || !from.length || !to[0].length || !request->call_id.length || !cseq.length) {
		out->overflow = true;
		return;
	}
	sip_write_status_line(out, status, reason);
	write_vias(out, request, flow);
	sip_write_header(out, SIP_HEADER_FROM, from);
	sip_write_header_pieces(out, SIP_HEADER_TO, to, to_tag.length && !tagged ? 3 : 1);
	sip_write_header(out, SIP_HEADER_CALL_ID, request->call_id);
	sip_write_header(out, SIP_HEADER_CSEQ, cseq);
}

void sip_response_target(const struct sip_message *request, const struct flow *came_on, struct flow *target)
{
	*target = *came_on;
	if (transport_is_stream((enum transport)came_on->transport) || request->via.rport)
		return;
	target->remote.port = request->via.port ? request->via.port : SIP_PORT;
}
