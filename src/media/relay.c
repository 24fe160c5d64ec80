/* SPDX-License-Identifier: Apache-2.0
 * The relay's control side: the table of sessions, and commands to the workers. */
#include "media/media.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/memory.h"
#include "media/dtls.h"
#include "media/relay_offload.h"
#include "media/relay_xdp.h"

#define WORKERS_MAXIMUM 64

struct media_relay {
	struct table *sessions;
	uint32_t sessions_maximum, worker_count;
	struct relay_worker *workers;
	struct relay_offload *offload;
	struct relay_xdp *xdp; /* NULL: none */
};

const char *media_drop_name(enum media_drop drop)
{
	static const char *const names[MEDIA_DROP_COUNT] = {
		[MEDIA_DROP_SOURCE] = "source",
		[MEDIA_DROP_MALFORMED] = "malformed",
		[MEDIA_DROP_FORGED] = "forged",
		[MEDIA_DROP_REPLAYED] = "replayed",
		[MEDIA_DROP_DIRECTION] = "direction",
		[MEDIA_DROP_NO_PEER] = "no_peer",
		[MEDIA_DROP_KEY] = "key",
		[MEDIA_DROP_SIZE] = "size",
		[MEDIA_DROP_SEND] = "send",
		[MEDIA_DROP_CLEAR] = "clear",
		[MEDIA_DROP_REPORT] = "report",
		[MEDIA_DROP_BYE] = "bye",
		[MEDIA_DROP_PART] = "part",
		[MEDIA_DROP_PAYLOAD] = "payload",
		[MEDIA_DROP_RATE] = "rate",
		[MEDIA_DROP_STUN] = "stun",
		[MEDIA_DROP_DTLS] = "dtls",
	};
	return (size_t)drop < MEDIA_DROP_COUNT ? names[drop] : "unknown";
}

static bool session_equal(const struct table_link *link, const void *key)
{
	return table_object(link, struct relay_session, table_link)->id == *(const uint64_t *)key;
}

/* As many as this process may run on. */
static uint32_t core_count(void)
{
	cpu_set_t cores;
	if (sched_getaffinity(0, sizeof(cores), &cores) != 0 || CPU_COUNT(&cores) < 1)
		return 1;
	return (uint32_t)CPU_COUNT(&cores);
}

uint32_t media_worker_count(uint32_t wanted)
{
	uint32_t count = wanted ? wanted : core_count();
	return count < WORKERS_MAXIMUM ? count : WORKERS_MAXIMUM;
}

struct media_relay *media_relay_new(uint32_t workers, uint32_t sessions_maximum,
				    const struct media_callbacks *callbacks)
{
	if (workers > WORKERS_MAXIMUM)
		return NULL;
	struct media_relay *relay = memory_alloc(sizeof(*relay));
	if (!relay)
		return NULL;
	relay->sessions_maximum = sessions_maximum;
	relay->worker_count = media_worker_count(workers);
	relay->sessions = table_new(session_equal, random_system());
	relay->workers = memory_alloc(relay->worker_count * sizeof(relay->workers[0]));
	bool done = relay->sessions && relay->workers;
	uint32_t started = 0;
	while (done && started < relay->worker_count)
		done = relay_worker_start(&relay->workers[started++], callbacks) == 0;
	if (done)
		return relay;
	relay->worker_count = started;
	media_relay_free(relay);
	return NULL;
}

void media_relay_free(struct media_relay *relay)
{
	if (!relay)
		return;
	if (relay->sessions)
		media_sessions_clear(relay);
	for (uint32_t i = 0; i < relay->worker_count && relay->workers; i++)
		relay_worker_stop(&relay->workers[i]);
	relay_xdp_free(relay->xdp);
	relay_offload_free(relay->offload);
	memory_free(relay->workers);
	table_free(relay->sessions);
	memory_free(relay);
}

int media_relay_offload(struct media_relay *relay, int flows, int sites, const struct bpf_sockets *sockets)
{
	if (table_count(relay->sessions) || relay->offload)
		return -EBUSY;
	relay->offload = relay_offload_new(flows, sites);
	if (!relay->offload)
		return -ENOTSUP;
	if (sockets && sockets->count)
		relay->xdp = relay_xdp_new(sockets, relay_offload_flow_count(relay->offload));
	for (uint32_t i = 0; i < relay->worker_count; i++) {
		relay->workers[i].offload = relay->offload;
		relay->workers[i].number = i;
		if (relay->xdp)
			relay->workers[i].xdp = relay_xdp_worker_new(relay->xdp, &relay->workers[i], i);
	}
	return 0;
}

int media_relay_identity(struct media_relay *relay, struct span certificate, struct span key)
{
	struct dtls_identity *identity = dtls_identity_new(certificate, key);
	if (!identity)
		return -EINVAL;
	for (uint32_t i = 0; i < relay->worker_count; i++)
		relay_worker_identity_set(&relay->workers[i], dtls_identity_share(identity));
	dtls_identity_free(identity);
	return 0;
}

static bool is_peer_for(const struct address *peer, const struct address *local)
{
	return peer->family == ADDRESS_NONE || (peer->family == local->family && peer->port);
}

static bool is_text(const char *text, size_t capacity)
{
	return memchr(text, 0, capacity) != NULL;
}

/* Keys are made in one way, or not by us. */
static bool is_keying_valid(const struct media_stream *stream, const struct media_side *side)
{
	if (side->suite_in >= SRTP_SUITE_COUNT || side->suite_out >= SRTP_SUITE_COUNT ||
	    side->dtls.handshake >= MEDIA_HANDSHAKE_COUNT || side->dtls.hash >= MEDIA_HASH_COUNT ||
	    !is_text(side->ice.ufrag, sizeof(side->ice.ufrag)) ||
	    !is_text(side->ice.password, sizeof(side->ice.password)))
		return false;
	if (side->dtls.handshake && side->suite_in != side->suite_out)
		return false;
	bool has_keys = side->suite_in || side->suite_out || side->dtls.handshake;
	return !has_keys || (stream->kind == MEDIA_RTP && !stream->end_to_end);
}

/* Also refuses peers that are this stream's own ports: a packet would go round for ever. */
static bool is_side_valid(const struct media_stream *stream, const struct media_side *side)
{
	if (!is_keying_valid(stream, side))
		return false;
	if (side->local.family == ADDRESS_NONE || !side->local.port ||
	    (stream->kind == MEDIA_RTP && side->local.port % 2))
		return false;
	if (!is_peer_for(&side->peer_rtp, &side->local) || !is_peer_for(&side->peer_rtcp, &side->local) ||
	    !is_peer_for(&side->locked, &side->local))
		return false;
	for (int i = 0; i < 2; i++) {
		struct address own = stream->sides[i].local;
		for (int port = 0; port < RELAY_PORTS; port++, own.port++)
			if (address_equal(&side->peer_rtp, &own) || address_equal(&side->peer_rtcp, &own) ||
			    address_equal(&side->locked, &own))
				return false;
	}
	return true;
}

static struct relay_session *session_find(const struct media_relay *relay, uint64_t id)
{
	struct table_link *link = table_find(relay->sessions, table_hash(relay->sessions, &id, sizeof(id)), &id);
	return link ? table_object(link, struct relay_session, table_link) : NULL;
}

/* Where the session's stream of that index hangs, or would. */
static struct relay_stream **stream_place(struct relay_session *session, uint8_t index)
{
	struct relay_stream **place = &session->streams;
	while (*place && (*place)->index != index)
		place = &(*place)->next;
	return place;
}

static struct relay_worker *worker_choose(struct media_relay *relay)
{
	struct relay_worker *chosen = &relay->workers[0];
	for (uint32_t i = 1; i < relay->worker_count; i++)
		if (relay->workers[i].session_count < chosen->session_count)
			chosen = &relay->workers[i];
	return chosen;
}

static struct relay_session *session_new(struct media_relay *relay, uint64_t id)
{
	if (table_count(relay->sessions) >= relay->sessions_maximum)
		return NULL;
	struct relay_session *session = memory_alloc(sizeof(*session));
	if (!session)
		return NULL;
	session->id = id;
	random_fill(random_system(), session->name_key, sizeof(session->name_key));
	session->worker = worker_choose(relay);
	session->worker->session_count++;
	list_init(&session->link);
	list_init(&session->opened);
	table_add(relay->sessions, &session->table_link, table_hash(relay->sessions, &id, sizeof(id)));
	return session;
}

int media_stream_set(struct media_relay *relay, const struct media_stream *wanted)
{
	if (wanted->index >= MEDIA_STREAMS_MAXIMUM || wanted->kind > MEDIA_DATAGRAM ||
	    !is_side_valid(wanted, &wanted->sides[0]) || !is_side_valid(wanted, &wanted->sides[1]))
		return -EINVAL;

	struct relay_set *set = memory_alloc(sizeof(*set));
	struct relay_session *session = session_find(relay, wanted->session);
	struct relay_stream *stream = session ? *stream_place(session, wanted->index) : NULL;
	struct relay_stream *fresh = stream ? NULL : memory_alloc(sizeof(*fresh));
	if (!set || (!stream && !fresh))
		goto full;
	if (!session)
		session = session_new(relay, wanted->session);
	if (!session)
		goto full;
	if (fresh) {
		stream = *stream_place(session, wanted->index) = fresh;
		relay_stream_init(stream, session, wanted->index);
	}
	session->set_since |= (uint16_t)(1u << wanted->index);
	set->command = (struct relay_command){.kind = RELAY_STREAM_SET, .session = session, .stream = stream};
	set->wanted = *wanted;
	relay_worker_push(session->worker, &set->command);
	return 0;

full:
	memory_free(fresh);
	memory_free(set);
	return -ENOSPC;
}

static void stream_close(struct relay_session *session, uint8_t index)
{
	struct relay_stream **place = stream_place(session, index), *stream = *place;
	if (!stream)
		return;
	*place = stream->next;
	stream->close = (struct relay_command){.kind = RELAY_STREAM_CLOSE, .stream = stream};
	relay_worker_push(session->worker, &stream->close);
}

void media_stream_close(struct media_relay *relay, uint64_t id, uint8_t index)
{
	struct relay_session *session = session_find(relay, id);
	if (session)
		stream_close(session, index);
}

static void session_close(struct media_relay *relay, struct relay_session *session)
{
	table_remove(relay->sessions, &session->table_link);
	session->worker->session_count--;
	session->close = (struct relay_command){.kind = RELAY_SESSION_CLOSE, .session = session};
	relay_worker_push(session->worker, &session->close); /* and with it its streams */
}

void media_session_close(struct media_relay *relay, uint64_t id)
{
	struct relay_session *session = session_find(relay, id);
	if (session)
		session_close(relay, session);
}

static void visit_close(void *relay, struct table_link *link)
{
	session_close(relay, table_object(link, struct relay_session, table_link));
}

void media_sessions_clear(struct media_relay *relay)
{
	table_each(relay->sessions, visit_close, relay);
}

static void visit_mark(void *context, struct table_link *link)
{
	(void)context;
	table_object(link, struct relay_session, table_link)->set_since = 0;
}

void media_sessions_mark(struct media_relay *relay)
{
	table_each(relay->sessions, visit_mark, relay);
}

static void visit_sweep(void *relay, struct table_link *link)
{
	struct relay_session *session = table_object(link, struct relay_session, table_link);
	if (!session->set_since) {
		session_close(relay, session);
		return;
	}
	for (uint8_t i = 0; i < MEDIA_STREAMS_MAXIMUM; i++)
		if (!(session->set_since >> i & 1))
			stream_close(session, i);
}

void media_sessions_sweep(struct media_relay *relay)
{
	table_each(relay->sessions, visit_sweep, relay);
	relay_offload_sweep(relay->offload);
}

int media_counters(struct media_relay *relay, uint64_t id, uint8_t index, uint8_t side, struct media_side_counters *out)
{
	struct relay_session *session = session_find(relay, id);
	const struct relay_stream *stream = session ? *stream_place(session, index) : NULL;
	if (!stream || side > 1)
		return -ENOENT;
	const struct media_side_counters *live = &stream->sides[side].counters;
#define COPY(member) out->member = __atomic_load_n(&live->member, __ATOMIC_RELAXED)
	COPY(packets_in);
	COPY(bytes_in);
	COPY(packets_out);
	COPY(rtcp_in);
	COPY(lost);
	COPY(jitter_us);
	COPY(round_trip_us);
	for (int i = 0; i < MEDIA_DROP_COUNT; i++)
		COPY(drops[i]);
#undef COPY
	return 0;
}

uint32_t media_sessions_alive(const struct media_relay *relay)
{
	return table_count(relay->sessions);
}
