/* SPDX-License-Identifier: Apache-2.0
 * The gate process: wires the gateway to its listeners, to media, to the store and to the control socket. */
#include "roles/gate.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/origin.h"
#include "roles/streams.h"

#define LEAVE_PATIENCE_MS 500

/* ---- From the gateway to media and store ---- */

static void stream_set(void *context, const struct media_stream *stream)
{
	struct gate *gate = context;
	struct ipc_message message;

	stream_to_message(stream, &message);
	role_tell(gate->role, IPC_ROLE_MEDIA, &message);
	memory_wipe(&message.stream_set, sizeof(message.stream_set));
}

static void stream_close(void *context, uint64_t session, uint8_t index)
{
	const struct ipc_message message = {
		.type = IPC_STREAM_CLOSE, .descriptor = -1, .stream_close = {session, index}};
	struct gate *gate = context;

	role_tell(gate->role, IPC_ROLE_MEDIA, &message);
}

static void session_close(void *context, uint64_t session)
{
	const struct ipc_message message = {.type = IPC_SESSION_CLOSE, .descriptor = -1, .session_close = {session}};
	struct gate *gate = context;

	role_tell_soon(gate->role, IPC_ROLE_MEDIA, &message);
}

static void store_tell(void *context, const struct ipc_message *message)
{
	struct gate *gate = context;

	role_tell(gate->role, IPC_ROLE_STORE, message);
}

/* The store may die before it has written this down, or its disk may be full. */
static void binding_change(struct gate *gate, const struct ipc_message *message)
{
	static struct log_limit limit, lost_limit;

	if (journal_add(gate->journal, message))
		log_limited(&limit, LOG_WARNING, "gate", "no memory to keep a registration until it is stored");
	if (journal_dropped(gate->journal))
		log_limited(&lost_limit, LOG_ERROR, "gate",
			    "more registrations wait for the store than there is room for: the oldest are not kept");
	if (role_peer(gate->role, IPC_ROLE_STORE))
		journal_tell(gate->journal, store_tell, gate);
}

static void binding_save(void *context, const struct ipc_binding *binding)
{
	struct ipc_message message = {.type = IPC_BINDING, .descriptor = -1};
	struct gate *gate = context;

	message.binding = *binding;
	binding_change(gate, &message);
}

static void binding_remove(void *context, const char *token)
{
	struct ipc_message message = {.type = IPC_BINDING_REMOVE, .descriptor = -1};
	struct gate *gate = context;

	if (span_copy(span_from(token), message.binding_remove.token, sizeof(message.binding_remove.token)) == 0)
		binding_change(gate, &message);
}

/* Everything that may not be on the disk, from the beginning. */
static void store_tell_again(struct gate *gate)
{
	struct ipc_message message = {.type = IPC_AGAIN, .descriptor = -1, .again = {++gate->store_epoch}};

	if (!role_peer(gate->role, IPC_ROLE_STORE) || role_tell(gate->role, IPC_ROLE_STORE, &message))
		return;
	journal_again(gate->journal);
	journal_tell(gate->journal, store_tell, gate);
}

static void on_again(evutil_socket_t descriptor, short what, void *context)
{
	struct gate *gate = context;

	(void)descriptor;
	(void)what;
	store_tell_again(gate);
}

/* What the store has written, or why it cannot: told once, for it fails again each second. */
static void on_store_state(struct gate *gate, const struct ipc_store_state *state)
{
	const struct timeval later = {1, 0};
	int error = (int)state->error;

	if (state->epoch != gate->store_epoch)
		return;
	if (error && error != gate->store_error)
		log_write(LOG_ERROR, "gate",
			  "the store cannot write: %s; calls and registrations go on, and are kept until it can",
			  strerror(error));
	if (!error && gate->store_error)
		log_write(LOG_NOTICE, "gate", "the store writes again");
	gate->store_error = error;
	if (error) {
		event_add(gate->again, &later);
		return;
	}
	journal_stored(gate->journal, state->stored);
	journal_tell(gate->journal, store_tell, gate);
}

static void on_stopped(void *context)
{
	struct gate *gate = context;

	role_finish(gate->role);
}

/* ---- The configuration ---- */

static bool listener_same(const struct gate_listener *a, const struct handover_listener *b)
{
	return a->zone == b->zone && a->listener == b->listener && a->transport == b->transport &&
	       address_equal(&a->local, &b->local);
}

/* Closes what the new configuration does not have in the same place. */
static void listeners_close_others(struct gate *gate, const struct handover *handover)
{
	for (uint16_t i = 0; i < gate->listener_count; i++) {
		struct gate_listener *old = &gate->listeners[i];

		old->kept = false;
		for (uint16_t k = 0; k < handover->listener_count && !old->kept; k++)
			old->kept = listener_same(old, &handover->listeners[k]);
		if (!old->kept)
			net_listener_remove(gateway_net(gate->gateway), old->zone, old->listener);
	}
}

static bool listener_is_open(const struct gate *gate, const struct handover_listener *wanted)
{
	for (uint16_t i = 0; i < gate->listener_count; i++)
		if (gate->listeners[i].kept && listener_same(&gate->listeners[i], wanted))
			return true;
	return false;
}

/* The supervisor opened them: what may fail is done already, but for memory. `listeners` has room for all. */
static int listeners_take(struct gate *gate, struct handover *handover, struct gate_listener *listeners)
{
	int result = 0;

	listeners_close_others(gate, handover);
	for (uint16_t i = 0; i < handover->listener_count; i++) {
		struct handover_listener *wanted = &handover->listeners[i];
		int error = 0;

		listeners[i] =
			(struct gate_listener){wanted->zone, wanted->listener, wanted->transport, wanted->local, false};
		if (listener_is_open(gate, wanted))
			continue;
		error = net_listener_add(gateway_net(gate->gateway), wanted->descriptor, wanted->transport,
					 wanted->zone, wanted->listener);
		wanted->descriptor = -1;
		if (error) {
			char text[ADDRESS_TEXT_BYTES];

			log_write(LOG_ERROR, "gate", "listener %s:%s cannot be used: %s",
				  transport_name(wanted->transport), address_text(&wanted->local, text),
				  strerror(-error));
			result = error;
		}
	}
	memory_free(gate->listeners);
	gate->listeners = listeners;
	gate->listener_count = handover->listener_count;
	return result;
}

static int tls_set(struct gate *gate, const struct config *config, const struct handover *handover, char *error,
		   size_t error_capacity)
{
	char said[256] = "";
	int result = net_tls_set(gateway_net(gate->gateway), handover_file(handover, IPC_FILE_CERTIFICATE),
				 handover_file(handover, IPC_FILE_KEY), handover_file(handover, IPC_FILE_AUTHORITIES),
				 said, sizeof(said));

	if (result)
		snprintf(error, error_capacity, "%s, %s: certificate and key cannot be used: %s",
			 config->tls.certificate, config->tls.key, said);
	else if (*said)
		log_write(LOG_WARNING, "gate", "%s: %s", config->tls.certificate, said);
	return result;
}

static void trusts_free(struct net_trust **trusts)
{
	for (uint8_t i = 0; i < CONFIG_ZONES_MAXIMUM; i++)
		net_trust_free(trusts[i]);
}

/* Whom the TLS connections of each zone are believed to be. All can be made, or the reason is told. */
static int trusts_make(const struct config *config, const struct handover *handover, struct net_trust **trusts,
		       char *error, size_t error_capacity)
{
	char said[256] = "";

	for (uint8_t i = 0; i < config->zone_count; i++) {
		const struct config_zone *zone = &config->zones[i];
		struct span names[CONFIG_PEERS_MAXIMUM];

		if (zone->client_certificate == CLIENT_CERTIFICATE_NONE && !zone->authorities)
			continue;
		for (uint8_t k = 0; k < zone->peer_count; k++)
			names[k] = span_from(zone->peers[k].host);
		trusts[i] = net_trust_new((enum net_client_certificate)zone->client_certificate,
					  handover_zone_authorities(handover, zone->name), names, zone->peer_count,
					  said, sizeof(said));
		if (!trusts[i]) {
			snprintf(error, error_capacity, "zone %s: %s: %s", zone->name,
				 zone->authorities ? zone->authorities : "authorities", said);
			return -EINVAL;
		}
	}
	return 0;
}

/* Which pages may open WebSockets: by default those of the site itself. */
static struct net_origins *origins_make(const struct config *config, const struct config_zone *zone)
{
	struct span texts[CONFIG_ORIGINS_MAXIMUM];
	char text[ORIGIN_MAXIMUM_BYTES];
	struct buffer own = BUFFER_OVER(text);
	size_t count = 0;

	for (char **origin = zone->websocket.origins; origin && *origin && count < CONFIG_ORIGINS_MAXIMUM; origin++)
		texts[count++] = span_from(*origin);
	if (!count) {
		buffer_put_text(&own, "https://");
		buffer_put_text(&own, config->site.domain);
		texts[count++] = buffer_span(&own);
	}
	return net_origins_new(texts, count, zone->websocket.programs);
}

static void origins_set(struct gate *gate, const struct config *config)
{
	for (uint8_t i = 0; i < CONFIG_ZONES_MAXIMUM; i++) {
		struct net_origins *origins = i < config->zone_count ? origins_make(config, &config->zones[i]) : NULL;

		if (i < config->zone_count && !origins)
			log_write(LOG_ERROR, "gate", "no memory for the origins of zone %s: no page may connect",
				  config->zones[i].name);
		net_origins_set(gateway_net(gate->gateway), i, origins);
	}
}

static struct gateway *gateway_start(struct gate *gate, const struct config *config)
{
	struct gateway_callbacks callbacks = {.stream_set = stream_set,
					      .stream_close = stream_close,
					      .session_close = session_close,
					      .binding_save = binding_save,
					      .binding_remove = binding_remove,
					      .stopped = on_stopped,
					      .call_ended = gate_call_ended,
					      .evidence = gate_evidence,
					      .judge = gate_judge,
					      .context = gate};

	memcpy(callbacks.evidence_key, gate_protection_key(gate), sizeof(callbacks.evidence_key));
	return gateway_new(role_loop(gate->role), config, &callbacks, random_system());
}

/* Before any message is taken, so that each finds its call. Without this memory calls go on, and end with this process. */
static void recover(struct gate *gate, struct handover *handover)
{
	int error = handover->memory < 0
			    ? -ENOENT
			    : checkpoint_attach(handover->memory, handover->memory_records, &gate->checkpoints);

	handover->memory = -1;
	if (error)
		log_write(LOG_ERROR, "gate", "no memory for checkpoints, calls will not outlive this process: %s",
			  strerror(-error));
	else
		gateway_recover(gate->gateway, gate->checkpoints);
}

static int config_take(const struct handover *handover, struct config **config, char *error, size_t error_capacity)
{
	*config = handover_config(handover, error, error_capacity);
	return *config ? 0 : -EINVAL;
}

/* Asks for what is on disk, once: a store that was restarted knows no more than we do. */
static void load(struct gate *gate)
{
	const struct ipc_message message = {.type = IPC_LOAD, .descriptor = -1};

	if (gate->gateway && !gate->loading && role_peer(gate->role, IPC_ROLE_STORE))
		gate->loading = role_tell(gate->role, IPC_ROLE_STORE, &message) == 0;
}

/* To a new media process; or from a new gate, whose calls may be fewer than media has sessions. */
static void sessions_declare(struct gate *gate)
{
	struct ipc_message message = {.type = IPC_SESSIONS_DECLARE, .descriptor = -1};

	if (!role_peer(gate->role, IPC_ROLE_MEDIA))
		return;
	role_tell(gate->role, IPC_ROLE_MEDIA, &message);
	gateway_media_back(gate->gateway);
	message.sessions_declare.done = true;
	role_tell(gate->role, IPC_ROLE_MEDIA, &message);
}

/* Of media's certificate, which stands in descriptions (RFC 8122). */
static void fingerprint_set(struct gate *gate, const struct handover *handover)
{
	uint8_t fingerprint[32];

	if (net_certificate_fingerprint(handover_file(handover, IPC_FILE_MEDIA_CERTIFICATE), fingerprint) == 0)
		gateway_fingerprint_set(gate->gateway, fingerprint);
	else
		log_write(LOG_WARNING, "gate", "there is no certificate of media: no call has DTLS-SRTP");
}

/* Everything that can fail comes before anything changes. */
static int on_apply(void *context, struct handover *handover, char *error, size_t error_capacity)
{
	struct gate_listener *listeners = memory_alloc((handover->listener_count + 1u) * sizeof(*listeners));
	struct gate *gate = context;
	struct config *config = NULL, *before = gate->config;
	struct net_trust *trusts[CONFIG_ZONES_MAXIMUM] = {NULL};
	bool first = !gate->gateway;
	int result;

	snprintf(error, error_capacity, "no memory");
	result = listeners ? config_take(handover, &config, error, error_capacity) : -ENOMEM;
	if (!result)
		result = trusts_make(config, handover, trusts, error, error_capacity);
	if (!result && first)
		result = gate_protection_apply(gate, config);
	if (!result && first) {
		gate->gateway = gateway_start(gate, config);
		result = gate->gateway ? 0 : -ENOMEM;
	}
	if (!result)
		result = tls_set(gate, config, handover, error, error_capacity);
	if (result) {
		if (first) {
			gateway_free(gate->gateway);
			gate->gateway = NULL;
		}
		trusts_free(trusts);
		config_free(config);
		memory_free(listeners);
		return result;
	}

	log_setup("gate", config->log_level);
	if (!first) {
		gateway_configure(gate->gateway, config);
		if (gate_protection_apply(gate, config))
			log_write(LOG_ERROR, "gate", "the protection goes on as it was configured before");
	}
	gate->config = config;
	config_free(before);
	for (uint8_t i = 0; i < CONFIG_ZONES_MAXIMUM; i++)
		net_trust_set(gateway_net(gate->gateway), i, trusts[i]);
	origins_set(gate, config);
	listeners_take(gate, handover, listeners);
	gateway_passwords_set(gate->gateway, handover_file(handover, IPC_FILE_PASSWORDS));
	fingerprint_set(gate, handover);
	if (first) {
		recover(gate, handover);
		gate->control = control_server_new(role_loop(gate->role), handover->control, gate_commands, gate);
		handover->control = -1;
		sessions_declare(gate);
	}
	gate_protection_tell_again(gate);
	load(gate);
	return 0;
}

/* ---- From the other processes ---- */

static void on_peer(void *context, enum ipc_role peer, struct ipc_channel *channel)
{
	struct gate *gate = context;

	if (!channel)
		gate_waiting_refuse(gate, peer, "the process that was asked ended; please ask again");
	if (!channel && peer == IPC_ROLE_MEDIA)
		gate_ended_settle(gate);
	if (!gate->gateway)
		return;
	if (peer == IPC_ROLE_STORE && channel)
		store_tell_again(gate);
	if (peer == IPC_ROLE_STORE && !gate->loaded) {
		gate->loading = false;
		load(gate);
	}
	if (peer == IPC_ROLE_MEDIA && channel)
		sessions_declare(gate);
	if (peer == IPC_ROLE_SHIELD && channel)
		gate_protection_tell_again(gate);
}

static void on_loaded(struct gate *gate)
{
	if (gate->loaded)
		return;
	gate->loaded = true;
	gateway_loaded(gate->gateway);
	log_write(LOG_NOTICE, "gate", "registrations and accounts are loaded");
}

static void on_message(void *context, struct ipc_channel *channel, struct ipc_message *message)
{
	struct gate *gate = context;
	struct media_event event;
	struct evidence evidence;

	(void)channel;
	if (message->type == IPC_DATAPATH_STATE)
		gate->datapath = message->datapath_state;
	if (!gate->gateway)
		return;
	switch (message->type) {
	case IPC_SESSION_EVENT:
		if (event_from_message(&message->session_event, &event))
			gateway_media_event(gate->gateway, &event);
		break;
	case IPC_KEYED:
		if (event_from_keyed(&message->keyed, &event))
			gateway_media_event(gate->gateway, &event);
		memory_wipe(&event.keys, sizeof(event.keys));
		break;
	case IPC_EVIDENCE:
		if (evidence_from_message(&message->evidence, &evidence))
			gate_evidence(gate, &evidence);
		break;
	case IPC_SHIELD_STATE: gate->shield = message->shield_state; break;
	case IPC_BLOCK_HIT: gate_shield_on_hit(gate, &message->block_hit); break;
	case IPC_BLOCKED: gate_shield_on_blocked(gate, &message->blocked); break;
	case IPC_BLOCK_DONE: gate_shield_on_done(gate, &message->block_done); break;
	case IPC_COUNTERS: gate_on_counters(gate, &message->counters); break;
	case IPC_BINDING: gateway_binding_loaded(gate->gateway, &message->binding); break;
	case IPC_ACCOUNT: gateway_account_set(gate->gateway, &message->account); break;
	case IPC_LOADED: on_loaded(gate); break;
	case IPC_STORED: gate_on_stored(gate, &message->stored); break;
	case IPC_STORE_STATE: on_store_state(gate, &message->store_state); break;
	case IPC_RELOADED: gate_on_reloaded(gate, &message->reloaded); break;
	case IPC_UPGRADED: gate_on_upgraded(gate, &message->upgraded); break;
	case IPC_UPGRADE_STATE: gate->upgrade = message->upgrade_state; break;
	default: break;
	}
}

static void on_stop(void *context)
{
	struct gate *gate = context;

	gate->stopping = true;
	if (gate->gateway)
		gateway_stop(gate->gateway);
	else
		role_finish(gate->role);
}

/* Ended without having been told to stop: another gate takes our place, and must find everything as it is. Nobody is told that
 * calls are over; only what the store has not heard yet is said. */
static void leave(const struct gate *gate)
{
	if (role_peer(gate->role, IPC_ROLE_STORE))
		ipc_drain(role_peer(gate->role, IPC_ROLE_STORE), LEAVE_PATIENCE_MS);
	_exit(0);
}

static void destroy(void *context)
{
	struct gate *gate = context;

	if (gate->gateway && !gate->stopping)
		leave(gate);
	for (int role = 0; role < IPC_ROLE_COUNT; role++)
		gate_waiting_refuse(gate, role, "the gateway stops");
	control_server_free(gate->control);
	gateway_free(gate->gateway);
	checkpoint_free(gate->checkpoints);
	config_free(gate->config);
	journal_free(gate->journal);
	if (gate->again)
		event_free(gate->again);
	gate_protection_free(gate);
	gate_ended_free(gate->ended);
	memory_free(gate->listeners);
	memory_free(gate);
}

static void *create(struct role *role)
{
	struct gate *gate = memory_alloc(sizeof(*gate));

	if (!gate)
		return NULL;
	gate->role = role;
	gate->started_us = clock_monotonic_us();
	list_init(&gate->waiting);
	gate->journal = journal_new(random_system());
	gate->again = evtimer_new(role_loop(role), on_again, gate);
	if (gate->journal && gate->again)
		return gate;
	destroy(gate);
	return NULL;
}

int gate_main(int descriptor)
{
	static const struct role_operations operations = {on_apply, on_peer, on_message, on_stop};

	/* While the system's configuration of OpenSSL and its time zone can still be read. */
	tzset();
	OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	return role_main(IPC_ROLE_GATE, descriptor, &operations, create, destroy);
}
