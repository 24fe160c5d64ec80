/* SPDX-License-Identifier: Apache-2.0
 * The shield process: carries what the gate says into the kernel, tells it who still sends, and keeps the blocks in a file. It has the
 * descriptors of the maps, and no privilege. */
#include "shield/shield.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "roles/nft_runner.h"
#include "roles/role.h"
#include "roles/roles.h"
#include "roles/shield_rules.h"

#define BLOCKS_MAXIMUM SHIELD_BLOCKS_DEFAULT
#define TICK_US 1000000
#define HARVEST_EVERY 5 /* ticks */
#define SAVE_DELAY_US 100000
#define LIST_PATIENCE_MS 10000
#define US_PER_S 1000000ull

int shield_runner = -1;

struct shield_role {
	struct role *role;
	struct shield *shield;
	struct bpf_shield maps;
	struct event *tick, *save;
	char reason[768]; /* why it is not the kernel's program */
	struct shield_ruleset set;
	struct bpf_shield_rate rates[SHIELD_RATES];
	uint64_t key;
	struct shield_prefix never[SHIELD_NEVER_MAXIMUM];
	uint32_t never_count, ticks;
	bool cannot_save;
};

/* ---- To the gate ---- */

static void state_tell(struct shield_role *self)
{
	struct ipc_message message = {.type = IPC_SHIELD_STATE, .descriptor = -1};
	struct shield_statistics statistics;

	if (!self->shield || !role_peer(self->role, IPC_ROLE_GATE))
		return;
	shield_statistics_get(self->shield, &statistics);
	snprintf(message.shield_state.backend, sizeof(message.shield_state.backend), "%s",
		 shield_backend_name(self->shield));
	snprintf(message.shield_state.reason, sizeof(message.shield_state.reason), "%s", self->reason);
	message.shield_state.blocks = statistics.blocks;
	message.shield_state.maximum = statistics.maximum;
	role_tell(self->role, IPC_ROLE_GATE, &message);
}

static void done(struct shield_role *self, uint64_t request, int error, const char *text)
{
	struct ipc_message message = {.type = IPC_BLOCK_DONE, .descriptor = -1};

	message.block_done.request = request;
	message.block_done.error = error ? (uint32_t)-error : 0;
	snprintf(message.block_done.text, sizeof(message.block_done.text), "%s", text);
	role_tell(self->role, IPC_ROLE_GATE, &message);
}

static void on_hit(void *context, const struct shield_entry *entry, uint64_t packets)
{
	struct shield_role *self = context;
	struct ipc_message message = {.type = IPC_BLOCK_HIT, .descriptor = -1};

	message.block_hit.address = entry->prefix.address;
	message.block_hit.bits = entry->prefix.bits;
	message.block_hit.packets = packets;
	if (role_peer(self->role, IPC_ROLE_GATE))
		role_tell_soon(self->role, IPC_ROLE_GATE, &message);
}

/* ---- The file ---- */

static void save(struct shield_role *self)
{
	int error = shield_save(self->shield, AT_FDCWD, clock_monotonic_us(), clock_wall_s());

	event_del(self->save);
	if (error && !self->cannot_save)
		log_write(LOG_ERROR, "shield", "blocks cannot be written down: %s", strerror(-error));
	self->cannot_save = error != 0;
}

static void on_save(evutil_socket_t descriptor, short what, void *context)
{
	(void)descriptor;
	(void)what;
	save(context);
}

/* In the kernel at once, on the disk soon. */
static void changed(struct shield_role *self)
{
	const struct timeval delay = {0, SAVE_DELAY_US};
	int error = shield_flush(self->shield, clock_monotonic_us());

	if (error)
		log_write(LOG_ERROR, "shield", "the kernel does not take all blocks: %s", strerror(-error));
	if (!event_pending(self->save, EV_TIMEOUT, NULL))
		event_add(self->save, &delay);
}

static void on_tick(evutil_socket_t descriptor, short what, void *context)
{
	struct shield_role *self = context;
	uint64_t now_us = clock_monotonic_us();
	static struct log_limit limit;

	(void)descriptor;
	(void)what;
	if (!self->shield)
		return;
	if (shield_expire(self->shield, now_us)) {
		changed(self);
		state_tell(self);
	} else {
		(void)shield_flush(self->shield, now_us); /* what was not taken */
	}
	if (++self->ticks % HARVEST_EVERY)
		return;
	while (shield_harvest(self->shield, now_us) > 0)
		if (clock_monotonic_us() - now_us > TICK_US / 100) {
			log_limited(&limit, LOG_INFO, "shield",
				    "there are so many blocks that they are asked in parts");
			break;
		}
}

/* ---- From the gate ---- */

static void block(struct shield_role *self, const struct ipc_block *wanted)
{
	const struct shield_prefix prefix = {wanted->address, wanted->bits};
	uint64_t now_us = clock_monotonic_us();
	uint64_t until_us = wanted->seconds ? now_us + wanted->seconds * US_PER_S : SHIELD_FOR_GOOD;
	const char *why;
	int error = shield_add(self->shield, &prefix, wanted->by_hand ? SHIELD_BY_HAND : SHIELD_BY_VERDICT, until_us,
			       span_from(wanted->reason), now_us, &why);

	if (!error)
		changed(self);
	done(self, wanted->request, error, why);
	if (!error)
		state_tell(self);
}

static void unblock(struct shield_role *self, const struct ipc_unblock *wanted)
{
	const struct shield_prefix prefix = {wanted->address, wanted->bits};
	int error = shield_remove(self->shield, &prefix, clock_monotonic_us());

	if (!error)
		changed(self);
	done(self, wanted->request, error, error ? "it is not blocked" : "it is blocked no longer");
	if (!error)
		state_tell(self);
}

struct listing {
	struct shield_role *self;
	uint64_t request, now_us;
};

static uint32_t seconds_of(uint64_t us)
{
	return us / US_PER_S < UINT32_MAX ? (uint32_t)(us / US_PER_S) : UINT32_MAX;
}

static bool list_one(void *context, const struct shield_entry *entry)
{
	const struct listing *listing = context;
	struct ipc_channel *gate = role_peer(listing->self->role, IPC_ROLE_GATE);
	struct ipc_message message = {.type = IPC_BLOCKED, .descriptor = -1};
	int error;

	message.blocked = (struct ipc_blocked){
		.request = listing->request,
		.address = entry->prefix.address,
		.bits = entry->prefix.bits,
		.by_hand = entry->origin == SHIELD_BY_HAND,
		.for_good = entry->until_us == SHIELD_FOR_GOOD,
		.since_s = seconds_of(listing->now_us - entry->since_us),
		.left_s = entry->until_us > listing->now_us ? seconds_of(entry->until_us - listing->now_us) : 0,
		.hits = entry->hits,
		.hit_s = entry->last_us ? seconds_of(listing->now_us - entry->last_us) : UINT32_MAX,
	};
	memcpy(message.blocked.reason, entry->reason, sizeof(message.blocked.reason));
	error = gate ? ipc_send(gate, &message) : -EPIPE;
	if (error == -ENOBUFS && ipc_drain(gate, LIST_PATIENCE_MS) == 0)
		error = ipc_send(gate, &message);
	return error == 0;
}

static void list(struct shield_role *self, uint64_t request)
{
	struct listing listing = {self, request, clock_monotonic_us()};

	shield_each(self->shield, list_one, &listing);
	done(self, request, 0, "");
}

static void proven(struct shield_role *self, const struct ipc_proven *proven)
{
	if (self->maps.maps[BPF_SHIELD_PROVEN] < 0)
		return;
	if (proven->seconds)
		(void)bpf_shield_prove(&self->maps, &proven->source, clock_monotonic_us() + proven->seconds * US_PER_S);
	else
		(void)bpf_shield_disprove(&self->maps, &proven->source);
}

static int rules_apply(struct shield_role *self)
{
	int error;

	memcpy(self->set.rules.rates, self->rates, sizeof(self->rates));
	self->set.rules.key = self->key;
	error = shield_rules_set(self->shield, &self->set.rules);
	if (error && error != -ENOTSUP)
		log_write(LOG_ERROR, "shield", "the kernel does not take the rules: %s", strerror(-error));
	return error == -ENOTSUP ? 0 : error;
}

static void rate(struct shield_role *self, const struct ipc_shield_rate *rate)
{
	if (rate->kind >= SHIELD_RATES)
		return;
	self->rates[rate->kind] = (struct bpf_shield_rate){rate->per_second, rate->burst};
	(void)rules_apply(self);
}

/* Peers, and whom the gate named. */
static int never_apply(struct shield_role *self)
{
	uint32_t peers = self->set.rules.peer_count, count = self->never_count;
	struct shield_prefix *all = memory_alloc((size_t)(peers + count + 1) * sizeof(*all));
	int error = all ? 0 : -ENOMEM;

	if (!error) {
		memcpy(all, self->never, count * sizeof(*all));
		memcpy(all + count, self->set.never, peers * sizeof(*all));
		count = count + peers < SHIELD_NEVER_MAXIMUM ? count + peers : SHIELD_NEVER_MAXIMUM;
		error = shield_never_set(self->shield, all, count, clock_monotonic_us());
	}
	memory_free(all);
	if (error)
		log_write(LOG_ERROR, "shield", "the never-block list is not taken: %s", strerror(-error));
	else
		changed(self);
	return error;
}

static void never(struct shield_role *self, const struct ipc_never *never)
{
	if (never->first)
		self->never_count = 0;
	if (never->address.family != ADDRESS_NONE && self->never_count < SHIELD_NEVER_MAXIMUM)
		self->never[self->never_count++] = (struct shield_prefix){never->address, never->bits};
	if (never->last)
		(void)never_apply(self);
}

static void on_message(void *context, struct ipc_channel *channel, struct ipc_message *message)
{
	struct shield_role *self = context;

	(void)channel;
	if (message->type == IPC_DATAPATH_STATE)
		memcpy(self->reason, message->datapath_state.text, sizeof(self->reason));
	if (!self->shield)
		return;
	switch (message->type) {
	case IPC_BLOCK: block(self, &message->block); break;
	case IPC_UNBLOCK: unblock(self, &message->unblock); break;
	case IPC_BLOCKS_GET: list(self, message->blocks_get.request); break;
	case IPC_PROVEN: proven(self, &message->proven); break;
	case IPC_SHIELD_RATE: rate(self, &message->shield_rate); break;
	case IPC_NEVER: never(self, &message->never); break;
	default: break;
	}
}

static void on_peer(void *context, enum ipc_role peer, struct ipc_channel *channel)
{
	(void)peer;
	if (channel)
		state_tell(context);
}

/* ---- The beginning and the end ---- */

static int shield_start(struct shield_role *self, struct handover *handover)
{
	const struct shield_options options = {BLOCKS_MAXIMUM, random_system(), on_hit, self};
	char why[sizeof(self->reason)], given[sizeof(self->reason)];
	const struct shield_nft nft = {nft_runner_run, &shield_runner};
	struct shield_backend backend;
	int error;

	self->maps = handover->shield;
	handover->shield = BPF_SHIELD_NONE;
	memcpy(given, self->reason, sizeof(given));
	error = shield_backend_choose(&self->maps, given, &nft, &backend, why, sizeof(why));
	if (error)
		return error;
	memcpy(self->reason, why, sizeof(self->reason));
	self->shield = shield_new(&options, &backend);
	if (!self->shield)
		return -ENOMEM;
	log_write(LOG_NOTICE, "shield", "blocks go by %s%s%s", shield_backend_name(self->shield), *why ? ": " : "",
		  why);
	error = shield_load(self->shield, AT_FDCWD, clock_monotonic_us(), clock_wall_s());
	if (error)
		log_write(LOG_ERROR, "shield", "blocks that were written down cannot be read: %s", strerror(-error));
	return 0;
}

static int on_apply(void *context, struct handover *handover, char *error_text, size_t error_capacity)
{
	struct shield_role *self = context;
	struct config *config = handover_config(handover, error_text, error_capacity);
	struct shield_ruleset set;
	bool is_first = !self->shield;
	int error;

	if (!config)
		return -EINVAL;
	log_setup("shield", config->log_level);
	error = shield_rules_make(config, &set);
	config_free(config);
	if (!error && is_first)
		error = shield_start(self, handover);
	if (error) {
		shield_rules_free(&set);
		snprintf(error_text, error_capacity, "%s", strerror(-error));
		return error;
	}
	shield_rules_free(&self->set);
	self->set = set;
	/* What it cannot do in the kernel the gate does by itself: no reason not to run. */
	(void)never_apply(self);
	(void)rules_apply(self);
	if (is_first)
		(void)shield_tidy(self->shield);
	state_tell(self);
	return 0;
}

static void on_stop(void *context)
{
	struct shield_role *self = context;

	if (self->shield) {
		save(self);
		/* The gateway ends: what it blocked is not blocked for others on this machine. */
		shield_free(self->shield, true);
		self->shield = NULL;
	}
	role_finish(self->role);
}

static void destroy(void *context)
{
	struct shield_role *self = context;

	if (self->shield && event_pending(self->save, EV_TIMEOUT, NULL))
		save(self);
	shield_free(self->shield, false);
	shield_rules_free(&self->set);
	bpf_shield_close(&self->maps);
	event_free(self->tick);
	event_free(self->save);
	memory_free(self);
}

static void *create(struct role *role)
{
	const struct timeval tick = {TICK_US / 1000000, TICK_US % 1000000};
	struct shield_role *self = memory_alloc(sizeof(*self));

	if (!self)
		return NULL;
	self->role = role;
	self->maps = BPF_SHIELD_NONE;
	self->key = random_u64(random_system());
	self->tick = event_new(role_loop(role), -1, EV_PERSIST, on_tick, self);
	self->save = evtimer_new(role_loop(role), on_save, self);
	if (self->tick && self->save && event_add(self->tick, &tick) == 0)
		return self;
	if (self->tick)
		event_free(self->tick);
	if (self->save)
		event_free(self->save);
	memory_free(self);
	return NULL;
}

int shield_main(int descriptor)
{
	static const struct role_operations operations = {
		.apply = on_apply, .peer = on_peer, .message = on_message, .stop = on_stop};

	bpf_shield_prepare();
	return role_main(IPC_ROLE_SHIELD, descriptor, &operations, create, destroy);
}
