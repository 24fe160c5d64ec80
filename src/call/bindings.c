/* SPDX-License-Identifier: Apache-2.0
 * Bindings: where registered phones are reached. A contact belongs to the flow that registered it (THREATS S4). */
#include "call/phones.h"

#define GRACE_S 15 /* a phone that refreshes at the last moment is not late */

struct binding *binding_by_token(struct gateway *gateway, struct span token)
{
	struct table_link *link;

	if (token.length != TAG_LENGTH)
		return NULL;
	link = table_find(gateway->bindings, table_hash(gateway->bindings, token.data, token.length), &token);
	if (!link)
		return NULL;

	struct binding *best = table_object(link, struct binding, by_token);

	list_each(other, &best->owner->bindings) {
		struct binding *binding = list_object(other, struct binding, in_owner);

		if (!strcmp(binding->token, best->token) && binding_is_better(binding, best))
			best = binding;
	}
	return best;
}

struct binding *binding_by_flow_id(struct gateway *gateway, const char *token, uint32_t reg_id)
{
	struct binding *any = binding_by_token(gateway, span_from(token));

	if (!any)
		return NULL;
	list_each(link, &any->owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (binding->reg_id == reg_id && !strcmp(binding->token, token))
			return binding;
	}
	return NULL;
}

struct binding *binding_by_instance(struct owner *owner, uint8_t zone, struct span instance, uint32_t reg_id)
{
	struct binding *found = NULL;

	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (binding->zone != zone || !binding->reg_id || !span_is(instance, binding->instance))
			continue;
		if (binding->reg_id == reg_id)
			return binding;
		found = binding;
	}
	return found;
}

struct owner *owner_find(struct gateway *gateway, const char *account)
{
	struct table_link *link =
		table_find(gateway->owners, table_hash(gateway->owners, account, strlen(account)), account);

	return link ? table_object(link, struct owner, link) : NULL;
}

bool binding_reachable(const struct binding *binding)
{
	return net_flow_is_open(gateway_net(binding->gateway), &binding->flow);
}

bool binding_is_better(const struct binding *a, const struct binding *b)
{
	bool reachable = binding_reachable(a);

	return reachable == binding_reachable(b) ? a->expires_at_s > b->expires_at_s : reachable;
}

struct binding *binding_by_account(struct gateway *gateway, struct span user)
{
	char account[256];
	struct owner *owner = sip_user_decode(user, account, sizeof(account)) ? NULL : owner_find(gateway, account);
	struct binding *best = NULL;

	if (!owner)
		return NULL;
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);

		if (!best || !binding_is_better(best, binding)) /* of two alike the later one */
			best = binding;
	}
	return best;
}

struct binding *binding_by_contact(struct owner *owner, uint8_t zone, const struct sip_uri *contact)
{
	list_each(link, &owner->bindings) {
		struct binding *binding = list_object(link, struct binding, in_owner);
		struct sip_uri uri;

		/* Where outbound is in use the instance says which it is, and the URI nothing (RFC 5626 section 6). */
		if (binding->zone == zone && !binding->reg_id &&
		    sip_uri_parse(span_from(binding->contact), &uri) == SIP_OK && sip_uri_equal(&uri, contact))
			return binding;
	}
	return NULL;
}

bool binding_flow_is_of(struct gateway *gateway, const struct flow *flow, const char *account)
{
	struct owner *owner = owner_find(gateway, account);

	if (!owner)
		return false;
	list_each(link, &owner->bindings)
		if (flow_equal(&list_object(link, struct binding, in_owner)->flow, flow))
			return true;
	return false;
}

static struct owner *owner_get(struct gateway *gateway, const char *account)
{
	struct owner *owner = owner_find(gateway, account);
	size_t length = strlen(account);

	if (owner)
		return owner;
	owner = memory_alloc(sizeof(*owner) + length + 1);
	if (!owner)
		return NULL;
	owner->account = (char *)(owner + 1);
	memcpy(owner->account, account, length);
	list_init(&owner->bindings);
	table_add(gateway->owners, &owner->link, table_hash(gateway->owners, account, length));
	return owner;
}

static void owner_release(struct gateway *gateway, struct owner *owner)
{
	if (!list_is_empty(&owner->bindings))
		return;
	table_remove(gateway->owners, &owner->link);
	memory_free(owner);
}

static void expired(void *context)
{
	struct binding *binding = context;

	log_write(LOG_INFO, "call", "binding of %s expired", binding->owner->account);
	binding_drop(binding, true);
}

struct binding *binding_add(struct gateway *gateway, const char *account, const char *token)
{
	struct binding *binding = pool_take(gateway->binding_pool);

	if (!binding)
		return NULL;
	binding->owner = owner_get(gateway, account);
	if (!binding->owner || span_copy(span_from(token), binding->token, sizeof(binding->token))) {
		if (binding->owner)
			owner_release(gateway, binding->owner);
		pool_give(gateway->binding_pool, binding);
		return NULL;
	}
	binding->gateway = gateway;
	binding->instance = binding->path = binding->service_route = binding->gruu = "";
	binding->expiry.fire = expired;
	binding->expiry.context = binding;
	list_append(&binding->owner->bindings, &binding->in_owner);
	binding->owner->count++;
	table_add(gateway->bindings, &binding->by_token,
		  table_hash(gateway->bindings, binding->token, strlen(binding->token)));
	return binding;
}

/* The store's name of a binding: the token, and which flow of the phone it is. */
#define STORE_KEY_CAPACITY sizeof(((struct ipc_binding *)0)->token)
static void store_key(const struct binding *binding, char key[STORE_KEY_CAPACITY])
{
	struct buffer out = buffer_over(key, STORE_KEY_CAPACITY);

	buffer_put_text(&out, binding->token);
	if (binding->reg_id)
		buffer_printf(&out, ".%u", binding->reg_id);
	buffer_text(&out);
}

void binding_drop(struct binding *binding, bool tell_store)
{
	struct gateway *gateway = binding->gateway;
	struct owner *owner = binding->owner;

	if (tell_store) {
		char key[STORE_KEY_CAPACITY];

		store_key(binding, key);
		gateway->callbacks.binding_remove(gateway->callbacks.context, key);
	}
	timer_stop(gateway->wheel, &binding->expiry);
	table_remove(gateway->bindings, &binding->by_token);
	list_remove(&binding->in_owner);
	owner->count--;
	owner_release(gateway, owner);
	memory_free((char *)(uintptr_t)binding->contact); /* and what follows it */
	pool_give(gateway->binding_pool, binding);
}

bool binding_texts_set(struct binding *binding, const struct binding_texts *texts)
{
	const char *const from[] = {texts->contact, texts->call_id,       texts->user_agent, texts->instance,
				    texts->path,    texts->service_route, texts->gruu};
	const char **const to[] = {&binding->contact, &binding->call_id,       &binding->user_agent, &binding->instance,
				   &binding->path,    &binding->service_route, &binding->gruu};
	const char *before = binding->contact;
	size_t length = 0;
	char *at;

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		length += strlen(from[i]) + 1;
	at = memory_alloc(length);
	if (!at)
		return false;
	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		size_t bytes = strlen(from[i]) + 1;

		memcpy(at, from[i], bytes);
		*to[i] = at;
		at += bytes;
	}
	memory_free((char *)(uintptr_t)before); /* last: a text may be one of those that stood */
	return true;
}

void binding_expire_at(struct binding *binding, uint64_t expires_at_s)
{
	int64_t left = (int64_t)expires_at_s - clock_wall_s();

	binding->expires_at_s = expires_at_s;
	timer_stop(binding->gateway->wheel, &binding->expiry);
	timer_start(binding->gateway->wheel, &binding->expiry, (uint64_t)((left > 0 ? left : 0) + GRACE_S) * 1000);
	if (left > 0)
		transport_source_prove(binding->gateway->transport, &binding->flow, (uint32_t)left + GRACE_S);
}

void binding_save(struct binding *binding)
{
	struct gateway *gateway = binding->gateway;
	struct ipc_binding record = {
		.cseq = binding->cseq,
		.reg_id = binding->reg_id,
		.transport = binding->flow.transport,
		.local = binding->flow.local,
		.remote = binding->flow.remote,
		.expires_at_s = binding->expires_at_s,
		.registrar_expires_at_s = binding->registrar_expires_at_s,
	};
	const struct config_zone *zone = gateway_zone(gateway, binding->zone);

	store_key(binding, record.token);
	span_copy(span_from(zone->name), record.zone, sizeof(record.zone));
	span_copy(span_from(binding->owner->account), record.account, sizeof(record.account));
	span_copy(span_from(binding->contact), record.contact, sizeof(record.contact));
	span_copy(span_from(binding->call_id), record.call_id, sizeof(record.call_id));
	span_copy(span_from(binding->user_agent), record.user_agent, sizeof(record.user_agent));
	span_copy(span_from(binding->instance), record.instance, sizeof(record.instance));
	span_copy(span_from(binding->path), record.path, sizeof(record.path));
	span_copy(span_from(binding->service_route), record.service_route, sizeof(record.service_route));
	span_copy(span_from(binding->gruu), record.gruu, sizeof(record.gruu));
	gateway->callbacks.binding_save(gateway->callbacks.context, &record);
}

static int zone_by_name(const struct config *config, const char *name)
{
	for (uint8_t i = 0; i < config->zone_count; i++)
		if (!strcmp(config->zones[i].name, name))
			return i;
	return -1;
}

/* The listener a flow of before the restart came in by, so that a UDP phone is reached by the same way. */
static void flow_restore(const struct config_zone *zone, struct flow *flow)
{
	for (uint8_t i = 0; i < zone->listener_count; i++)
		if (zone->listeners[i].transport == flow->transport &&
		    zone->listeners[i].address.port == flow->local.port) {
			flow->listener = i;
			return;
		}
}

void gateway_binding_loaded(struct gateway *gateway, const struct ipc_binding *record)
{
	struct span token = span_slice(span_from(record->token), 0, TAG_LENGTH); /* the flow's number follows */
	const struct binding_texts texts = {record->contact,  record->call_id, record->user_agent,
					    record->instance, record->path,    record->service_route,
					    record->gruu};
	int zone = zone_by_name(gateway->config, record->zone);
	struct binding *binding, *twin = binding_by_token(gateway, token);
	char text[TAG_LENGTH + 1];

	/* A stream of before the restart is gone with it, but its phone is known: 480 until it is back, not 404. */
	if (zone < 0 || token.length != TAG_LENGTH || span_copy(token, text, sizeof(text)) ||
	    binding_by_flow_id(gateway, text, record->reg_id) ||
	    (twin && strcmp(twin->owner->account, record->account)))
		return;
	binding = binding_add(gateway, record->account, text);
	if (!binding)
		return;
	binding->zone = (uint8_t)zone;
	binding->flow = (struct flow){.transport = record->transport,
				      .zone = (uint8_t)zone,
				      .local = record->local,
				      .remote = record->remote};
	flow_restore(gateway_zone(gateway, binding->zone), &binding->flow);
	binding->cseq = record->cseq;
	binding->reg_id = record->reg_id;
	binding->registrar_expires_at_s = record->registrar_expires_at_s;
	if (!binding_texts_set(binding, &texts)) {
		binding_drop(binding, false);
		return;
	}
	binding_expire_at(binding, record->expires_at_s);
}

static void forget(void *context, struct table_link *link)
{
	(void)context;
	binding_drop(table_object(link, struct binding, by_token), false);
}

void bindings_free(struct gateway *gateway)
{
	if (gateway->bindings)
		table_each(gateway->bindings, forget, NULL);
}
