/* SPDX-License-Identifier: Apache-2.0
 * Replaces (RFC 3891): the dialog it names is one of ours, named as the sender knows it; on the other side it has other names. */
#include "call/calls.h"
#include "call/dialogs.h"
#include "call/events.h"
#include "call/peers.h"

/* A word of RFC 3261 section 25.1 that may stand in a Call-ID, or one joined to it by '@', but without what would end it for
 * poor parsers. */
static bool is_call_id(struct span text)
{
	static const char marks[] = "-.!%*_+`'~()<>:\\/[]?{}@";

	for (size_t i = 0; i < text.length; i++) {
		char byte = text.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
		      (byte && strchr(marks, byte))))
			return false;
	}
	return text.length && text.length <= 255;
}

static bool is_tag(struct span text)
{
	static const char marks[] = "-.!%*_+`'~";

	for (size_t i = 0; i < text.length; i++) {
		char byte = text.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
		      (byte && strchr(marks, byte))))
			return false;
	}
	return text.length && text.length <= 128;
}

bool replaces_parse(struct span value, struct replaces *out)
{
	ptrdiff_t semicolon = span_index(value, ';');
	struct span rest, name, parameter;

	*out = (struct replaces){0};
	if (semicolon < 0)
		return false;
	out->call_id = span_trim(span_slice(value, 0, (size_t)semicolon));
	rest = span_slice(value, (size_t)semicolon, value.length);
	while (sip_parameter_next(&rest, &name, &parameter)) {
		if (span_is(name, "to-tag") && !out->to_tag.length)
			out->to_tag = parameter;
		else if (span_is(name, "from-tag") && !out->from_tag.length)
			out->from_tag = parameter;
		else if (span_is(name, "early-only"))
			out->early_only = true;
		else if (span_is(name, "to-tag") || span_is(name, "from-tag"))
			return false; /* RFC 3891 section 6.1: each exactly once */
	}
	return !span_trim(rest).length && is_call_id(out->call_id) && is_tag(out->to_tag) && is_tag(out->from_tag);
}

void replaces_write(const struct replaces *replaces, struct buffer *out)
{
	buffer_put_span(out, replaces->call_id);
	buffer_put_text(out, ";to-tag=");
	buffer_put_span(out, replaces->to_tag);
	buffer_put_text(out, ";from-tag=");
	buffer_put_span(out, replaces->from_tag);
	if (replaces->early_only)
		buffer_put_text(out, ";early-only");
}

int replaces_find(struct gateway *gateway, const struct replaces *replaces, struct dialog *out)
{
	const struct call *call;

	/* RFC 3891 section 3: the to-tag is that of who receives the INVITE, which is us in place of the other side. */
	if (!dialog_named(gateway, replaces->call_id, replaces->to_tag, replaces->from_tag, out))
		return 481;
	call = out->call;
	if (call->state == CALL_ENDING)
		return 603;
	if (call->state == CALL_ESTABLISHED)
		return out->fork != call->dialog ? 481 : replaces->early_only ? 486 : 0;
	return 0;
}

bool replaces_allowed(struct gateway *gateway, const struct dialog *named, const struct flow *flow, const char *account)
{
	const struct leg *leg = &named->call->legs[named->leg];

	if (!leg_admits_flow(gateway, leg, flow))
		return false;
	/* Behind one NAT all phones have one address: there the account tells them apart. */
	return gateway_zone(gateway, leg->zone)->kind != ZONE_ACCESS ||
	       (account && leg->account && !strcmp(account, leg->account));
}

void replaces_across(const struct dialog *named, bool early_only, struct replaces *out)
{
	const struct call *call = named->call;
	bool to_caller = named->leg == CALLEE;
	const char *ours = to_caller ? named->fork->caller_tag : call->legs[CALLEE].local_tag;
	const char *peers = to_caller ? call->legs[CALLER].remote_tag : named->fork->callee_tag;

	*out = (struct replaces){
		.call_id = span_from(call->legs[other_leg(named->leg)].call_id),
		.to_tag = span_from(peers),
		.from_tag = span_from(ours),
		.early_only = early_only,
	};
}

/* Whether the INVITE goes to who is on the other side of the named dialog. */
bool replaces_leads_to(const struct dialog *named, const struct route_target *target)
{
	const struct leg *leg = &named->call->legs[other_leg(named->leg)];

	return leg->zone == target->zone &&
	       (!target->binding || (leg->account && !strcmp(leg->account, target->binding->owner->account)));
}

/* What the PBX told phones of its dialogs (RFC 4235) has names of ours, which nobody knows who was not told: whether this phone
 * may take the call is the PBX's to say. False: there is no such dialog. */
static bool replaces_told(struct gateway *gateway, const struct route_target *target, struct replaces *replaces)
{
	struct dialog_names names;

	if (gateway_zone(gateway, target->zone)->kind != ZONE_CORE ||
	    !dialog_hidden_find(gateway, target->zone, replaces->call_id, replaces->to_tag, replaces->from_tag, &names))
		return false;
	replaces->call_id = span_from(names.call_id);
	replaces->to_tag = span_from(names.to_is_ours ? names.our_tag : names.peer_tag);
	replaces->from_tag = span_from(names.to_is_ours ? names.peer_tag : names.our_tag);
	return true;
}

/* The names on the other side, in place. 0, or the status to refuse with. */
static int replaces_map(struct gateway *gateway, const struct flow *flow, const char *account,
			const struct route_target *target, struct replaces *replaces)
{
	struct dialog named;
	int status = replaces_find(gateway, replaces, &named);

	if (status == 481)
		return replaces_told(gateway, target, replaces) ? 0 : 481;
	/* As if there were no such dialog: who may not know of it learns nothing. */
	if (!replaces_allowed(gateway, &named, flow, account) || !replaces_leads_to(&named, target))
		return 481;
	if (!status)
		replaces_across(&named, replaces->early_only, replaces);
	return status;
}

int replaces_forward(struct gateway *gateway, const struct flow *flow, const struct sip_message *invite,
		     const struct route_target *target, struct buffer *out)
{
	const struct sip_header *header = sip_message_header(invite, SIP_HEADER_REPLACES);
	char account[256], text[REPLACES_CAPACITY];
	struct buffer value = BUFFER_OVER(text);
	struct replaces replaces;
	int status;

	if (!header)
		return 0;
	if (!replaces_parse(header->value, &replaces))
		return 400;
	if (!transfer_allowed(gateway, flow->zone, target->zone))
		return 403;
	if (sip_user_decode(invite->from.uri.user, account, sizeof(account)))
		return 400;
	status = replaces_map(gateway, flow, account, target, &replaces);
	if (status)
		return status;
	replaces_write(&replaces, &value);
	out->overflow |= value.overflow;
	sip_write_header(out, SIP_HEADER_REPLACES, buffer_span(&value));
	return 0;
}
