/* SPDX-License-Identifier: Apache-2.0
 * What is left of a call for 64*T1 after its end: enough to answer what comes late (an ACK, a crossing BYE, the 2xx of another
 * branch) as RFC 3261 sections 13.2.2.4 and 15.1.2 ask, in a fraction of the call's memory. */
#include "call/calls.h"
#include "call/dialogs.h"

#define LASTS_MS 32000 /* 64*T1: nobody repeats anything for longer */
#define LATE_MAXIMUM 8 /* branches that are remembered to have had their BYE */

struct tombstone_side {
	struct table_link link; /* in gateway->tombstones, by our tag */
	struct tombstone *tombstone;
	char tag[TAG_LENGTH + 1];
	char *call_id, *peer_tag;
	struct flow flow;
};

struct tombstone {
	struct list in_all; /* gateway->all_tombstones, oldest first */
	struct list relays; /* INVITEs whose transactions go on */
	struct gateway *gateway;
	struct timer timer;
	bool linked[2];
	struct tombstone_side sides[2];
	struct leg *callee; /* for late 2xx: only when the INVITE may still get one */
	uint64_t late[LATE_MAXIMUM];
	uint8_t late_count;
};

static bool side_equal(const struct table_link *link, const void *key)
{
	return span_equal(span_from(table_object(link, const struct tombstone_side, link)->tag),
			  *(const struct span *)key);
}

struct table *tombstones_table_new(struct random_source random)
{
	return table_new(side_equal, random);
}

struct pool *tombstones_pool_new(uint32_t maximum)
{
	return pool_new(sizeof(struct tombstone), maximum);
}

void tombstone_free(struct tombstone *tombstone)
{
	struct gateway *gateway = tombstone->gateway;

	timer_stop(gateway->wheel, &tombstone->timer);
	list_each(link, &tombstone->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		list_remove(&relay->in_call);
		relay->tombstone = NULL;
	}
	for (int leg = 0; leg < 2; leg++) {
		if (tombstone->linked[leg])
			table_remove(gateway->tombstones, &tombstone->sides[leg].link);
		memory_free(tombstone->sides[leg].call_id);
		memory_free(tombstone->sides[leg].peer_tag);
	}
	if (tombstone->callee)
		leg_clear(tombstone->callee);
	memory_free(tombstone->callee);
	list_remove(&tombstone->in_all);
	pool_give(gateway->tombstone_pool, tombstone);
}

void tombstones_free(struct gateway *gateway)
{
	list_each(link, &gateway->all_tombstones)
		tombstone_free(list_object(link, struct tombstone, in_all));
}

static void over(void *context)
{
	tombstone_free(context);
}

/* A full pool gives up the oldest, which is the one least likely to be needed. */
static struct tombstone *tombstone_new(struct gateway *gateway)
{
	struct tombstone *tombstone = pool_take(gateway->tombstone_pool);

	if (!tombstone && !list_is_empty(&gateway->all_tombstones)) {
		tombstone_free(list_object(gateway->all_tombstones.next, struct tombstone, in_all));
		tombstone = pool_take(gateway->tombstone_pool);
	}
	if (!tombstone)
		return NULL;
	tombstone->gateway = gateway;
	list_init(&tombstone->relays);
	list_append(&gateway->all_tombstones, &tombstone->in_all);
	tombstone->timer = (struct timer){.fire = over, .context = tombstone};
	timer_start(gateway->wheel, &tombstone->timer, LASTS_MS);
	return tombstone;
}

static void side_take(struct tombstone *tombstone, uint8_t leg, struct call *call)
{
	struct gateway *gateway = tombstone->gateway;
	struct tombstone_side *side = &tombstone->sides[leg];
	const char *tag = leg == CALLER ? call->dialog->caller_tag : call->legs[CALLEE].local_tag;
	char **peer_tag = leg == CALLER ? &call->legs[CALLER].remote_tag : &call->dialog->callee_tag;

	side->tombstone = tombstone;
	side->flow = call->legs[leg].flow;
	memcpy(side->tag, tag, sizeof(side->tag));
	side->call_id = memory_copy_text(span_from(call->legs[leg].call_id));
	side->peer_tag = memory_copy_text(span_from(*peer_tag));
	if (!side->call_id || !side->peer_tag)
		return;
	table_add(gateway->tombstones, &side->link, table_hash(gateway->tombstones, side->tag, TAG_LENGTH));
	tombstone->linked[leg] = true;
}

static bool may_get_a_late_2xx(const struct relay *relay)
{
	return relay->initial && relay->client;
}

static void relays_take(struct tombstone *tombstone, struct call *call)
{
	list_each(link, &call->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->method != SIP_INVITE || (!relay->client && !relay->server))
			continue;
		if (may_get_a_late_2xx(relay) && !tombstone->callee) {
			tombstone->callee = memory_alloc(sizeof(*tombstone->callee));
			if (tombstone->callee) {
				*tombstone->callee = call->legs[CALLEE];
				call->legs[CALLEE] = (struct leg){.zone = tombstone->callee->zone};
			}
		}
		list_remove(&relay->in_call);
		list_append(&tombstone->relays, &relay->in_call);
		relay_uncount(relay);
		relay->call = NULL;
		relay->fork = NULL;
		relay->tombstone = tombstone;
	}
}

void tombstone_bury(struct call *call)
{
	struct tombstone *tombstone;

	if (!call->dialog && list_is_empty(&call->relays))
		return;
	tombstone = tombstone_new(call->gateway);
	if (!tombstone)
		return;
	for (uint8_t leg = 0; leg < 2 && call->dialog; leg++)
		side_take(tombstone, leg, call);
	relays_take(tombstone, call);
}

/* ---- What comes late ---- */

static struct tombstone_side *side_find(struct gateway *gateway, const struct flow *flow,
					const struct sip_message *request)
{
	struct span tag = request->to.tag;
	struct table_link *link;
	struct tombstone_side *side;

	if (tag.length != TAG_LENGTH)
		return NULL;
	link = table_find(gateway->tombstones, table_hash(gateway->tombstones, tag.data, tag.length), &tag);
	side = link ? table_object(link, struct tombstone_side, link) : NULL;
	if (!side || !span_equal(request->call_id, span_from(side->call_id)) ||
	    !span_equal(request->from.tag, span_from(side->peer_tag)) || flow->zone != side->flow.zone)
		return NULL;
	/* The peer's own address alone (THREATS S6). */
	return address_equal_ip(&flow->remote, &side->flow.remote) ? side : NULL;
}

bool tombstone_receive(struct gateway *gateway, struct sip_server_transaction *server,
		       const struct sip_message *request)
{
	if (!side_find(gateway, sip_server_flow(server), request))
		return false;
	/* Both hung up at once: each is told that it is done. A NOTIFY tells how a transfer went, after all was said. */
	respond(gateway, server, request->method == SIP_BYE || request->method == SIP_NOTIFY ? 200 : 481, NULL, NULL);
	return true;
}

bool tombstone_ack(struct gateway *gateway, const struct flow *flow, const struct sip_message *ack)
{
	struct tombstone_side *side = side_find(gateway, flow, ack);
	uint8_t leg;

	if (!side)
		return false;
	leg = side == &side->tombstone->sides[CALLER] ? CALLER : CALLEE;
	list_each(link, &side->tombstone->relays) {
		struct relay *relay = list_object(link, struct relay, in_call);

		if (relay->from == leg && relay->server_cseq == ack->cseq && relay->accepted && relay->server)
			sip_server_acknowledge(relay->server);
	}
	return true;
}

/* True when this branch has had its BYE. */
static bool late_remember(struct tombstone *tombstone, struct span tag)
{
	uint64_t hash = table_hash(tombstone->gateway->tombstones, tag.data, tag.length);

	for (uint8_t i = 0; i < tombstone->late_count; i++)
		if (tombstone->late[i] == hash)
			return true;
	if (tombstone->late_count == LATE_MAXIMUM)
		return true; /* each still gets its ACK */
	tombstone->late[tombstone->late_count++] = hash;
	return false;
}

/* Another branch answered after all: acknowledged, and ended at once (RFC 3261 section 13.2.2.4). */
static void late_end(struct relay *relay, const struct sip_message *response)
{
	struct tombstone *tombstone = relay->tombstone;
	struct gateway *gateway = tombstone->gateway;
	struct call shade = {.gateway = gateway, .state = CALL_ENDING, .legs[CALLEE] = *tombstone->callee};
	struct fork fork = {.call = &shade, .callee_tag = memory_copy_text(response->to.tag)};
	struct buffer out = gateway_scratch(gateway);
	char branch[SIP_BRANCH_CAPACITY];

	if (fork.callee_tag) {
		dialog_learn(&shade, &fork, CALLEE, response, true);
		sip_branch_make(gateway->random, branch);
		build_request(&shade, &fork, CALLEE, SIP_ACK, relay->client_cseq, branch, 70, &out);
		sip_write_body(&out, SPAN_EMPTY, SPAN_EMPTY);
		if (!out.overflow)
			transport_send(gateway->transport, &shade.legs[CALLEE].flow, buffer_span(&out));
		if (!late_remember(tombstone, response->to.tag))
			send_own_request(&shade, &fork, CALLEE, SIP_BYE, NULL);
		tombstone->callee->cseq = shade.legs[CALLEE].cseq;
	}
	memory_free(fork.callee_tag);
	memory_free(fork.target);
	memory_free(fork.routes);
}

void tombstone_response(struct relay *relay, const struct sip_message *response)
{
	struct tombstone *tombstone = relay->tombstone;
	const struct tombstone_side *callee = &tombstone->sides[CALLEE];
	bool of_dialog = callee->peer_tag && span_equal(response->to.tag, span_from(callee->peer_tag));

	if (response->status < 200 || response->status >= 300 || !response->to.tag.length)
		return;
	if (relay->ack && (of_dialog || !relay->initial)) /* a copy: our ACK was lost */
		transport_send(relay->gateway->transport, &tombstone->sides[other_leg(relay->from)].flow,
			       (struct span){relay->ack, relay->ack_length});
	else if (relay->initial && !of_dialog && tombstone->callee)
		late_end(relay, response);
}

bool tombstone_is_of(const struct tombstone *tombstone, uint8_t zone)
{
	for (int leg = 0; leg < 2; leg++)
		if (tombstone->linked[leg] && tombstone->sides[leg].flow.zone == zone)
			return true;
	return tombstone->callee && tombstone->callee->zone == zone;
}

void tombstone_flows_each(struct tombstone *tombstone, void (*visit)(void *context, struct flow *flow), void *context)
{
	for (int leg = 0; leg < 2; leg++)
		if (tombstone->linked[leg])
			visit(context, &tombstone->sides[leg].flow);
	if (!tombstone->callee)
		return;
	visit(context, &tombstone->callee->flow);
	tombstone->callee->zone = tombstone->callee->flow.zone;
}

struct tombstone *tombstone_of_link(struct list *link)
{
	return list_object(link, struct tombstone, in_all);
}
