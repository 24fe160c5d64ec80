/* SPDX-License-Identifier: Apache-2.0
 * Event packages (RFC 6665 section 5): which ones cross, who may ask for them, and what they carry. */
#include "call/events.h"
#include "call/dialogs.h"

#define PHONES (1u << ZONE_ACCESS)
#define PBX (1u << ZONE_CORE)
#define RESOURCE_LIST "application/rlmi+xml", "multipart/related" /* RFC 4662 */

/* clang-format off: a table */
static const struct event_package packages[] = {
	/* name             subscribe     publish unsolicited expires bodies */
	{"presence",
	 PHONES | PBX,
	 PHONES,
	 false,
	 3600, /* RFC 3856, 3863, 5262, 4660 */
	 {"application/pidf+xml", "application/pidf-diff+xml", "application/cpim-pidf+xml", "application/xpidf+xml",
	  "application/simple-filter+xml", RESOURCE_LIST}},
	{"presence.winfo",
	 PHONES | PBX,
	 0,
	 false,
	 3600, /* RFC 3857, 3858 */
	 {"application/watcherinfo+xml"}},
	{"dialog",
	 PHONES | PBX,
	 PHONES,
	 false,
	 3600, /* RFC 4235 */
	 {"application/dialog-info+xml", RESOURCE_LIST}},
	{"message-summary",
	 PHONES | PBX,
	 0,
	 true,
	 3600, /* RFC 3842 */
	 {"application/simple-message-summary", RESOURCE_LIST}},
	{"reg",
	 PHONES | PBX,
	 0,
	 false,
	 3761, /* RFC 3680 */
	 {"application/reginfo+xml"}},
	{"conference",
	 PHONES | PBX,
	 0,
	 false,
	 3600, /* RFC 4575 */
	 {"application/conference-info+xml"}},
	{"call-completion",
	 PHONES | PBX,
	 0,
	 false,
	 3600, /* RFC 6910 */
	 {"application/call-completion"}},
	{"as-feature-event",
	 PHONES,
	 0,
	 false,
	 3600, /* features set on a phone's keys, kept in step with the PBX */
	 {"application/x-as-feature-event+xml"}},
	{"vq-rtcpxr",
	 0,
	 PHONES,
	 false,
	 3600, /* RFC 6035 */
	 {"application/vq-rtcpxr"}},
	{"check-sync", 0, 0, true, 0, {NULL}}, /* a phone is to fetch its configuration, or to restart */
	{"resync", 0, 0, true, 0, {NULL}},
	{"reboot_now", 0, 0, true, 0, {NULL}},
	{"keep-alive", 0, 0, true, 0, {NULL}},
};
/* clang-format on */
#define PACKAGES (sizeof(packages) / sizeof(packages[0]))

static struct span package_name(struct span value)
{
	ptrdiff_t end = span_index(value, ';');

	return span_trim(end < 0 ? value : span_slice(value, 0, (size_t)end));
}

static struct span parameters_of(struct span value)
{
	ptrdiff_t end = span_index(value, ';');

	return end < 0 ? SPAN_EMPTY : span_slice(value, (size_t)end, value.length);
}

const struct event_package *event_named(struct span name)
{
	for (size_t i = 0; i < PACKAGES; i++)
		if (span_is(name, packages[i].name))
			return &packages[i];
	return NULL;
}

const struct event_package *event_find(const struct sip_message *message)
{
	const struct sip_header *header = sip_message_header(message, SIP_HEADER_EVENT);

	return header ? event_named(package_name(header->value)) : NULL;
}

struct span event_id(const struct sip_message *message)
{
	const struct sip_header *header = sip_message_header(message, SIP_HEADER_EVENT);
	struct span id = SPAN_EMPTY;

	if (header)
		sip_parameter_get(parameters_of(header->value), "id", &id);
	return id;
}

bool event_carries(const struct event_package *package, struct span content_type)
{
	for (size_t i = 0; i < EVENT_BODIES_MAXIMUM && package->bodies[i]; i++)
		if (span_is(body_type(content_type), package->bodies[i]))
			return true;
	return false;
}

bool event_body_known(struct span content_type)
{
	for (size_t i = 0; i < PACKAGES; i++)
		if (event_carries(&packages[i], content_type))
			return true;
	return false;
}

void event_refuse(struct gateway *gateway, struct sip_server_transaction *server)
{
	char text[400];
	struct buffer extra = BUFFER_OVER(text);

	for (size_t i = 0; i < PACKAGES; i++)
		if (packages[i].subscribe)
			buffer_printf(&extra, "%s%s", extra.length ? ", " : "Allow-Events: ", packages[i].name);
	buffer_put_text(&extra, "\r\n");
	gateway->counters.subscriptions_refused++;
	respond(gateway, server, 489, NULL, extra.overflow ? NULL : buffer_text(&extra));
}

/* "value;name=value…" with the parameters whose names are given. */
static void write_listed(struct buffer *out, enum sip_header_id id, struct span value, const char *const *listed)
{
	struct span rest = parameters_of(value), name, parameter;
	char text[256];
	struct buffer written = BUFFER_OVER(text);

	buffer_put_span(&written, package_name(value));
	while (sip_parameter_next(&rest, &name, &parameter))
		for (size_t i = 0; listed[i]; i++) {
			if (!span_is(name, listed[i]))
				continue;
			buffer_printf(&written, ";%s", listed[i]);
			if (parameter.length) {
				buffer_put_byte(&written, '=');
				buffer_put_span(&written, parameter);
			}
		}
	if (!written.overflow)
		sip_write_header(out, id, buffer_span(&written));
}

void event_write(struct buffer *out, struct span value)
{
	/* Not those that name dialogs of one side or ask for descriptions of media (RFC 4235 section 3.2). */
	static const char *const parameters[] = {"id", "reboot", "ma", "sla", NULL};

	write_listed(out, SIP_HEADER_EVENT, value, parameters);
}

void event_state_write(struct buffer *out, struct span value)
{
	static const char *const parameters[] = {"expires", "reason", "retry-after", NULL};

	write_listed(out, SIP_HEADER_SUBSCRIPTION_STATE, value, parameters);
}

void event_list_write(struct buffer *out, struct span value)
{
	struct span element;
	char text[256];
	struct buffer list = BUFFER_OVER(text);

	while (sip_list_next(&value, &element)) {
		const struct event_package *package = event_named(element);

		if (package)
			buffer_printf(&list, "%s%s", list.length ? ", " : "", package->name);
	}
	if (list.length && !list.overflow)
		sip_write_header(out, SIP_HEADER_ALLOW_EVENTS, buffer_span(&list));
}
