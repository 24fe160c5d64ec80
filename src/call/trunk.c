/* SPDX-License-Identifier: Apache-2.0
 * Registering at a provider (RFC 3261 section 10, RFC 6140): one registration for each trunk zone that has an account, kept
 * alive, tried again with patience, and taken back at the end. */
#include "call/trunk.h"
#include "call/dialogs.h"
#include "call/phones.h"

#define START_LONGEST_MS 200   /* not all trunks in one moment */
#define BACKOFF_FIRST_S 10     /* after a failure; doubled for each further one */
#define BACKOFF_REFUSED_S 60   /* after being refused: accounts are locked by who insists */
#define BACKOFF_LONGEST_S 1800 /* RFC 5626 section 4.5 */
#define RETRY_AFTER_LONGEST_S 3600
#define EXPIRES_LONGEST_S 86400
#define REFRESH_MARGIN_S 30
#define CONNECTION_LASTED_US 60000000
#define SERVICE_ROUTE_MAXIMUM 1023 /* bytes */
#define SHORT_S 60                 /* below it half the time must do */

static const char *zone_name(const struct trunk *trunk)
{
	return gateway_zone(trunk->gateway, trunk->zone)->name;
}

/* Between half of it and the whole. */
static uint64_t jittered_ms(const struct trunk *trunk, uint64_t seconds)
{
	uint64_t half_ms = seconds * 500;

	return half_ms + random_u64(trunk->gateway->random) % (half_ms + 1);
}

static void next_in(struct trunk *trunk, uint64_t delay_ms)
{
	trunk->next_us = clock_monotonic_us() + delay_ms * 1000;
	timer_start(trunk->gateway->wheel, &trunk->next, delay_ms);
}

static uint32_t backoff_s(uint32_t first_s, uint32_t failures)
{
	uint64_t delay = (uint64_t)first_s << (failures < 12 ? failures : 12);

	return delay < BACKOFF_LONGEST_S ? (uint32_t)delay : BACKOFF_LONGEST_S;
}

/* ---- What came of it ---- */

static uint32_t header_seconds(const struct sip_message *response, enum sip_header_id id, uint32_t longest)
{
	const struct sip_header *header = response ? sip_message_header(response, id) : NULL;
	size_t digits = 0;
	uint64_t seconds;

	while (header && digits < header->value.length && header->value.data[digits] >= '0' &&
	       header->value.data[digits] <= '9')
		digits++;
	if (!header || span_to_uint(span_slice(header->value, 0, digits), UINT32_MAX, &seconds))
		return 0;
	return seconds < longest ? (uint32_t)seconds : longest;
}

/* In words that an operator understands; nothing of what the provider wrote stands in them. */
static void failure_describe(const struct trunk *trunk, uint16_t status, bool answered, char *out, size_t capacity)
{
	static const struct {
		uint16_t status;
		const char *text;
	} rows[] = {
		{200, "the provider registers the account for no time at all"},
		{401, "user or password are not accepted"},
		{407, "user or password are not accepted"},
		{403, "the provider refuses the account (wrong password, a blocked account or address)"},
		{404, "the provider does not know the account"},
		{420, "the provider does not know bulk registration (RFC 6140)"},
		{423, "the provider wants longer registrations and does not say how long"},
	};
	const char *text = status >= 300 && status < 400 ? "the provider sends us elsewhere, which is not followed"
			   : status >= 500               ? "the provider has trouble"
							 : "the provider refuses";

	if (!answered) {
		snprintf(out, capacity,
			 status == 503 ? "the provider cannot be reached" : "the provider does not answer");
		return;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].status == status)
			text = rows[i].text;
	if ((status == 401 || status == 407) && trunk->refusal)
		snprintf(out, capacity, "the provider's challenge is not answered: %s (%u)", trunk->refusal, status);
	else
		snprintf(out, capacity, "%s (%u %s)", text, status, sip_reason_phrase(status));
}

static void trunk_failed(struct trunk *trunk, const struct sip_message *response, uint16_t status)
{
	bool refused = response && status < 500 && status != 408;
	uint32_t asked_s = header_seconds(response, SIP_HEADER_RETRY_AFTER, RETRY_AFTER_LONGEST_S);
	uint64_t delay_ms =
		jittered_ms(trunk, backoff_s(refused ? BACKOFF_REFUSED_S : BACKOFF_FIRST_S, trunk->failures++));
	bool was_usable = trunk->state == TRUNK_REGISTERED;
	char text[sizeof(trunk->failure)];

	failure_describe(trunk, status, response != NULL, text, sizeof(text));
	if (delay_ms < asked_s * 1000ull)
		delay_ms = asked_s * 1000ull;
	/* Silence leaves what was granted in force until it ends; a refusal does not. */
	if (!was_usable || refused) {
		timer_stop(trunk->gateway->wheel, &trunk->expiry);
		trunk->state = TRUNK_FAILED;
	}
	if (was_usable || strcmp(text, trunk->failure) != 0)
		log_write(LOG_WARNING, "trunk", "zone %s: not registered: %s; next attempt in %u s", zone_name(trunk),
			  text, (unsigned)(delay_ms / 1000));
	memcpy(trunk->failure, text, sizeof(text));
	trunk->failure_status = status;
	trunk->gateway->counters.trunk_registrations_failed++;
	next_in(trunk, delay_ms);
}

static void on_expiry(void *context)
{
	struct trunk *trunk = context;

	trunk->state = TRUNK_FAILED;
	log_write(LOG_WARNING, "trunk", "zone %s: the registration has ended: %s", zone_name(trunk),
		  *trunk->failure ? trunk->failure : "it could not be refreshed");
}

/* RFC 3608: the way of later requests outside dialogs. */
static void service_route_keep(struct trunk *trunk, const struct sip_message *response)
{
	char text[SERVICE_ROUTE_MAXIMUM + 1];

	memory_free(trunk->service_route);
	trunk->service_route = NULL;
	if (flows_routes(response, SIP_HEADER_SERVICE_ROUTE, text, sizeof(text)) && *text)
		trunk->service_route = memory_copy_text(span_from(text));
}

/* What our contact was granted; of a provider that writes it otherwise, what Expires or any contact says. */
static uint32_t granted_s(const struct trunk *trunk, const struct sip_message *response)
{
	struct span value;
	uint64_t seconds;

	if (sip_message_header(response, SIP_HEADER_EXPIRES))
		seconds = header_seconds(response, SIP_HEADER_EXPIRES, EXPIRES_LONGEST_S);
	else
		seconds = trunk->expires_s;
	for (const struct sip_header *header = sip_message_header(response, SIP_HEADER_CONTACT); header;
	     header = sip_message_header_next(response, header)) {
		struct span rest = header->value, element;

		while (sip_list_next(&rest, &element)) {
			struct sip_address address;
			struct address host;

			if (sip_address_parse(element, &address) != SIP_OK || address.unknown_scheme || address.star ||
			    !sip_parameter_get(address.parameters, "expires", &value) ||
			    address_parse_ip(address.uri.host, &host) || !address_equal_ip(&host, &trunk->flow.local))
				continue;
			if (!span_to_uint(value, EXPIRES_LONGEST_S, &seconds))
				return (uint32_t)seconds;
		}
	}
	return (uint32_t)seconds;
}

static void trunk_registered(struct trunk *trunk, const struct sip_message *response)
{
	struct gateway *gateway = trunk->gateway;
	uint32_t expires_s = granted_s(trunk, response), refresh_s;

	if (!expires_s) {
		trunk_failed(trunk, response, response->status);
		return;
	}
	refresh_s = expires_s * 9 / 10;
	if (expires_s > SHORT_S && refresh_s > expires_s - REFRESH_MARGIN_S)
		refresh_s = expires_s - REFRESH_MARGIN_S;
	if (expires_s <= SHORT_S)
		refresh_s = (expires_s + 1) / 2;
	service_route_keep(trunk, response);
	if (trunk->state != TRUNK_REGISTERED) {
		trunk->registered_us = clock_monotonic_us();
		log_write(LOG_NOTICE, "trunk", "zone %s: registered at the provider for %u s", zone_name(trunk),
			  (unsigned)expires_s);
	}
	trunk->state = TRUNK_REGISTERED;
	trunk->failures = 0;
	trunk->brief_seen = false;
	*trunk->failure = 0;
	trunk->expires_us = clock_monotonic_us() + expires_s * 1000000ull;
	timer_start(gateway->wheel, &trunk->expiry, expires_s * 1000ull);
	next_in(trunk, refresh_s * 1000ull);
}

/* RFC 3261 section 10.2.8. False: it does not say what it wants, or came before. */
static bool longer_wanted(struct trunk *trunk, const struct sip_message *response)
{
	uint32_t wanted_s = header_seconds(response, SIP_HEADER_MIN_EXPIRES, EXPIRES_LONGEST_S);

	if (trunk->brief_seen || wanted_s <= trunk->expires_s)
		return false;
	trunk->brief_seen = true;
	trunk->expires_s = wanted_s;
	return true;
}

static bool trunk_ask(struct trunk *trunk);

static void on_answer(void *context, const struct sip_message *response, uint16_t status)
{
	struct trunk *trunk = context;

	trunk->cseq = trunk->request->cseq;
	trunk->request = NULL;
	timer_stop(trunk->gateway->wheel, &trunk->patience);
	if ((!response || status == 503) && trunk_ask(trunk)) /* RFC 3263 section 4.3 */
		return;
	if (response && status < 300)
		trunk_registered(trunk, response);
	else if (response && status == 423 && longer_wanted(trunk, response))
		next_in(trunk, 1);
	else
		trunk_failed(trunk, response, status);
}

/* ---- Asking ---- */

static void write_contact(struct trunk *trunk, uint32_t expires_s, struct buffer *out)
{
	const struct config_zone *zone = gateway_zone(trunk->gateway, trunk->zone);
	char text[600];
	struct buffer value = BUFFER_OVER(text);

	buffer_put_text(&value, "<sip:");
	if (!zone->registration.bulk) {
		build_user(&value, span_from(zone->registration.user));
		buffer_put_byte(&value, '@');
	}
	build_host(trunk->gateway, &value, &trunk->flow);
	if (trunk->flow.transport != TRANSPORT_UDP)
		buffer_printf(&value, ";transport=%s", transport_name(trunk->flow.transport));
	/* RFC 6140 section 5.2: no user part, and "bnc" for all the numbers. */
	buffer_printf(&value, "%s>;expires=%u", zone->registration.bulk ? ";bnc" : "", (unsigned)expires_s);
	sip_write_header(out, SIP_HEADER_CONTACT, buffer_span(&value));
	if (zone->registration.bulk) {
		sip_write_header(out, SIP_HEADER_REQUIRE, SPAN("gin"));
		sip_write_header(out, SIP_HEADER_PROXY_REQUIRE, SPAN("gin"));
	}
	sip_write_header(out, SIP_HEADER_SUPPORTED, SPAN("path"));
	sip_write_header_number(out, SIP_HEADER_EXPIRES, expires_s);
}

static struct own_request *register_send(struct trunk *trunk, uint32_t expires_s, own_answer *answer)
{
	const struct config_zone *zone = gateway_zone(trunk->gateway, trunk->zone);
	const char *domain = route_domain(trunk->gateway, trunk->zone);
	char uri_text[300], to_text[800], from_text[900], extra_text[1200];
	struct buffer uri = BUFFER_OVER(uri_text), to = BUFFER_OVER(to_text), from = BUFFER_OVER(from_text),
		      extra = BUFFER_OVER(extra_text);
	struct own_texts texts = {.call_id = trunk->call_id};

	buffer_printf(&uri, "sip:%s", domain);
	buffer_put_text(&to, "<sip:");
	build_user(&to, span_from(zone->registration.user));
	buffer_printf(&to, "@%s>", domain);
	buffer_printf(&from, "%.*s;tag=%s", SPAN_PRINT(buffer_span(&to)), trunk->tag);
	write_contact(trunk, expires_s, &extra);
	if (uri.overflow || to.overflow || from.overflow || extra.overflow)
		return NULL;
	texts.uri = buffer_text(&uri);
	texts.to = buffer_text(&to);
	texts.from = buffer_text(&from);
	texts.extra = buffer_text(&extra);
	return own_request_send(trunk->gateway, &trunk->flow, SIP_REGISTER, ++trunk->cseq, &texts, answer, trunk);
}

/* Asks the best of the provider's servers that was not asked yet. False: there is none, or it cannot be sent to. */
static bool trunk_ask(struct trunk *trunk)
{
	struct gateway *gateway = trunk->gateway;
	uint64_t connection = trunk->flow.connection;

	trunk->refusal = NULL;
	while (!trunk->request && !servers_route(gateway, trunk->zone, &trunk->tried, &trunk->flow))
		trunk->request = register_send(trunk, trunk->expires_s, on_answer);
	if (trunk->flow.connection != connection)
		trunk->connected_us = clock_monotonic_us();
	if (trunk->request)
		timer_start(gateway->wheel, &trunk->patience, gateway_zone(gateway, trunk->zone)->failover_ms);
	return trunk->request != NULL;
}

/* Silence: the next one is asked; without one, this one is waited for as long as RFC 3261 has it. */
static void on_patience(void *context)
{
	struct trunk *trunk = context;
	struct own_request *waiting = trunk->request;
	struct flow silent = trunk->flow;

	if (!waiting)
		return;
	trunk->cseq = waiting->cseq;
	trunk->request = NULL;
	if (!trunk_ask(trunk)) {
		trunk->request = waiting;
		return;
	}
	own_request_forget(waiting);
	servers_failed(trunk->gateway, &silent, true);
}

static void trunk_register(struct trunk *trunk)
{
	if (trunk->request)
		return;
	trunk->tried = (struct tried){0};
	if (!trunk_ask(trunk))
		trunk_failed(trunk, NULL, 503);
}

static void on_next(void *context)
{
	trunk_register(context);
}

/* Takes back what was granted; nobody waits for the answer. */
static void trunk_unregister(struct trunk *trunk)
{
	own_request_forget(trunk->request);
	trunk->request = NULL;
	timer_stop(trunk->gateway->wheel, &trunk->next);
	timer_stop(trunk->gateway->wheel, &trunk->expiry);
	timer_stop(trunk->gateway->wheel, &trunk->patience);
	if (trunk->state == TRUNK_REGISTERED)
		register_send(trunk, 0, NULL);
	trunk->state = TRUNK_STARTING;
}

/* ---- The trunks of a configuration ---- */

/* What makes it this account. */
static char *account_text(const struct gateway *gateway, uint8_t zone_index)
{
	const struct config_zone *zone = gateway_zone(gateway, zone_index);
	char text[2048];
	struct buffer out = BUFFER_OVER(text);

	buffer_printf(&out, "%s\n%s\n%s\n%s\n%u %u %u", zone->registration.user,
		      zone->registration.login ? zone->registration.login : "",
		      zone->registration.realm ? zone->registration.realm : "", route_domain(gateway, zone_index),
		      zone->registration.digest, (unsigned)zone->registration.expires_s, zone->registration.bulk);
	for (uint8_t i = 0; i < zone->peer_count; i++)
		buffer_printf(&out, "\n%.100s", zone->peers[i].text);
	return memory_copy_text((struct span){out.data, out.length});
}

static void trunk_free(struct trunk *trunk)
{
	if (!trunk)
		return;
	own_request_forget(trunk->request);
	timer_stop(trunk->gateway->wheel, &trunk->next);
	timer_stop(trunk->gateway->wheel, &trunk->expiry);
	timer_stop(trunk->gateway->wheel, &trunk->patience);
	memory_free(trunk->account);
	memory_free(trunk->service_route);
	memory_free_secret(trunk, sizeof(*trunk));
}

static struct trunk *trunk_new(struct gateway *gateway, uint8_t zone_index, char *account, struct span password)
{
	const struct config_zone *zone = gateway_zone(gateway, zone_index);
	const char *login = zone->registration.login ? zone->registration.login : zone->registration.user;
	struct trunk *trunk = memory_alloc(sizeof(*trunk));

	if (!trunk)
		return NULL;
	trunk->gateway = gateway;
	trunk->zone = zone_index;
	trunk->account = account;
	trunk->digest = zone->registration.digest;
	trunk->expires_s = zone->registration.expires_s;
	span_copy(span_from(login), trunk->login, sizeof(trunk->login));
	span_copy(span_from(zone->registration.realm), trunk->realm, sizeof(trunk->realm));
	span_copy(password, trunk->password, sizeof(trunk->password));
	random_token(gateway->random, trunk->call_id, TAG_LENGTH);
	random_token(gateway->random, trunk->tag, TAG_LENGTH);
	trunk->next = (struct timer){.fire = on_next, .context = trunk};
	trunk->expiry = (struct timer){.fire = on_expiry, .context = trunk};
	trunk->patience = (struct timer){.fire = on_patience, .context = trunk};
	next_in(trunk, 1 + random_u64(gateway->random) % START_LONGEST_MS);
	return trunk;
}

/* "zone password" a line. */
static struct span password_of(struct span passwords, const char *zone)
{
	while (passwords.length) {
		ptrdiff_t end = span_index(passwords, '\n');
		struct span line = span_slice(passwords, 0, end < 0 ? passwords.length : (size_t)end);
		ptrdiff_t blank = span_index(line, ' ');

		if (blank > 0 && span_equal(span_slice(line, 0, (size_t)blank), span_from(zone)))
			return span_slice(line, (size_t)blank + 1, line.length);
		passwords = span_slice(passwords, line.length + 1, passwords.length);
	}
	return SPAN_EMPTY;
}

static bool trunk_is_same(const struct trunk *trunk, const char *account, struct span password)
{
	return !strcmp(trunk->account, account) && span_equal(span_from(trunk->password), password);
}

void gateway_passwords_set(struct gateway *gateway, struct span passwords)
{
	for (uint8_t i = 0; i < gateway->config->zone_count; i++) {
		const struct config_zone *zone = gateway_zone(gateway, i);
		struct trunk **place = &gateway->trunks[i];
		struct span password = password_of(passwords, zone->name);
		bool wanted = zone->registration.user && !gateway->stopping;
		char *account = wanted ? account_text(gateway, i) : NULL;

		if (*place && account && trunk_is_same(*place, account, password)) {
			memory_free(account);
			continue;
		}
		if (*place)
			trunk_unregister(*place);
		trunk_free(*place);
		*place = account ? trunk_new(gateway, i, account, password) : NULL;
		if (!*place)
			memory_free(account);
	}
}

void trunks_zones_leave(struct gateway *gateway, const uint8_t to[256])
{
	for (uint8_t i = 0; i < CONFIG_ZONES_MAXIMUM; i++) {
		if (!gateway->trunks[i] || to[i] != NET_ZONE_NONE)
			continue;
		trunk_unregister(gateway->trunks[i]);
		trunk_free(gateway->trunks[i]);
		gateway->trunks[i] = NULL;
	}
}

void trunks_zones_map(struct gateway *gateway, const uint8_t to[256])
{
	struct trunk *moved[CONFIG_ZONES_MAXIMUM] = {NULL};

	for (uint8_t i = 0; i < CONFIG_ZONES_MAXIMUM; i++) {
		if (!gateway->trunks[i])
			continue;
		gateway->trunks[i]->zone = to[i];
		gateway->trunks[i]->flow.zone = to[i];
		moved[to[i]] = gateway->trunks[i];
	}
	memcpy(gateway->trunks, moved, sizeof(moved));
}

void trunks_stop(struct gateway *gateway)
{
	for (uint8_t i = 0; i < CONFIG_ZONES_MAXIMUM; i++)
		if (gateway->trunks[i])
			trunk_unregister(gateway->trunks[i]);
}

void trunks_free(struct gateway *gateway)
{
	for (uint8_t i = 0; i < CONFIG_ZONES_MAXIMUM; i++) {
		trunk_free(gateway->trunks[i]);
		gateway->trunks[i] = NULL;
	}
}

/* The provider reaches us over the connection that we registered by: a new one is made soon, each time with more patience
 * when they do not last. */
void trunks_flow_closed(struct gateway *gateway, const struct flow *flow)
{
	struct trunk *trunk = flow->zone < CONFIG_ZONES_MAXIMUM ? gateway->trunks[flow->zone] : NULL;

	if (!trunk || trunk->request || gateway->stopping || trunk->state != TRUNK_REGISTERED ||
	    !transport_is_stream(trunk->flow.transport) || trunk->flow.connection != flow->connection)
		return;
	if (clock_monotonic_us() - trunk->connected_us > CONNECTION_LASTED_US)
		trunk->losses = 0;
	next_in(trunk, jittered_ms(trunk, backoff_s(2, trunk->losses++)));
}

bool trunk_is_usable(const struct gateway *gateway, uint8_t zone)
{
	const struct trunk *trunk = zone < CONFIG_ZONES_MAXIMUM ? gateway->trunks[zone] : NULL;

	return !trunk || trunk->state == TRUNK_REGISTERED;
}

const char *trunk_service_route(const struct gateway *gateway, uint8_t zone)
{
	const struct trunk *trunk = zone < CONFIG_ZONES_MAXIMUM ? gateway->trunks[zone] : NULL;

	return trunk && trunk->state == TRUNK_REGISTERED ? trunk->service_route : NULL;
}

static uint32_t until_s(uint64_t at_us, uint64_t now_us)
{
	return at_us > now_us ? (uint32_t)((at_us - now_us) / 1000000) : 0;
}

void gateway_trunks_each(struct gateway *gateway, void (*visit)(void *context, const struct gateway_trunk_view *view),
			 void *context)
{
	static const char *const states[] = {"starting", "registered", "not registered"};
	uint64_t now_us = clock_monotonic_us();

	for (uint8_t i = 0; i < gateway->config->zone_count; i++) {
		const struct trunk *trunk = gateway->trunks[i];
		bool registered = trunk && trunk->state == TRUNK_REGISTERED;
		struct gateway_trunk_view view;

		if (!trunk)
			continue;
		view = (struct gateway_trunk_view){
			.zone = zone_name(trunk),
			.user = gateway_zone(gateway, i)->registration.user,
			.state = states[trunk->state],
			.failure = trunk->failure,
			.registered_s = registered ? (uint32_t)((now_us - trunk->registered_us) / 1000000) : 0,
			.expires_s = registered ? until_s(trunk->expires_us, now_us) : 0,
			.next_s = until_s(trunk->next_us, now_us),
		};
		visit(context, &view);
	}
}
