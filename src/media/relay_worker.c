/* SPDX-License-Identifier: Apache-2.0
 * A worker: a thread with an epoll set of its sessions' sockets. A turn handles one datagram for each of at most
 * EVENTS_MAXIMUM ready sockets, then a few commands, then the tick. */
#include "media/relay_private.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "media/dtls.h"
#include "media/relay_offload.h"
#include "media/relay_xdp.h"

#define EVENTS_MAXIMUM 128
#define COMMANDS_MAXIMUM 32 /* a turn: opening sockets takes longer than passing packets on */
#define TICK_MS 200
#define SEND_AGAIN_MS 1
#define PACE_US 1000 /* a busy worker's turns start at least so far apart: fewer wake-ups, more packets in each */
#define PACE_WINDOW_US 10000 /* busy is who had, in the last window, */
#define PACE_PACKETS 40      /* so many packets */
#define ROLL_OVER_PACE_US 200000

struct dtls_identity *relay_worker_identity(struct relay_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	struct dtls_identity *identity = dtls_identity_share(worker->identity);
	pthread_mutex_unlock(&worker->lock);
	return identity;
}

void relay_worker_identity_set(struct relay_worker *worker, struct dtls_identity *identity)
{
	pthread_mutex_lock(&worker->lock);
	struct dtls_identity *before = worker->identity;
	worker->identity = identity;
	pthread_mutex_unlock(&worker->lock);
	dtls_identity_free(before);
}

void relay_worker_event(const struct relay_worker *worker, enum media_event_kind kind, const struct relay_side *side,
			const struct address *peer)
{
	struct media_event event = {.session = side->stream->session->id,
				    .kind = (uint8_t)kind,
				    .stream = side->stream->index,
				    .side = side->index,
				    .peer = *peer};
	if (worker->callbacks.event)
		worker->callbacks.event(worker->callbacks.context, &event);
}

/* A sender who leaps through its sequence numbers is not worth more messages: what is not told now is told with a later
 * packet. */
void relay_worker_roll_over(const struct relay_worker *worker, struct relay_side *side, bool outward,
			    struct srtp_context *context)
{
	if (side->told_us[outward] && worker->now_us - side->told_us[outward] < ROLL_OVER_PACE_US)
		return;
	side->told_us[outward] = worker->now_us;
	struct media_event event = {.session = side->stream->session->id,
				    .kind = MEDIA_ROLL_OVER,
				    .stream = side->stream->index,
				    .side = side->index,
				    .outward = outward,
				    .roll_over = srtp_roll_over_take(context)};
	if (worker->callbacks.event)
		worker->callbacks.event(worker->callbacks.context, &event);
}

static void session_free(struct relay_session *session)
{
	list_each(link, &session->opened)
		relay_stream_free(list_object(link, struct relay_stream, link));
	list_remove(&session->link);
	memory_free(session);
}

static void run_set(struct relay_worker *worker, struct relay_set *set)
{
	struct relay_session *session = set->command.session;
	struct relay_stream *stream = set->command.stream;
	if (!session->is_known) {
		session->is_known = true;
		list_append(&worker->sessions, &session->link);
	}
	if (!stream->is_applied)
		list_append(&session->opened, &stream->link);
	relay_stream_apply(worker, stream, &set->wanted);
	memory_free_secret(set, sizeof(*set));
}

/* The command is gone afterwards. */
static void run_command(struct relay_worker *worker, struct relay_command *command)
{
	switch (command->kind) {
	case RELAY_STREAM_SET: run_set(worker, (struct relay_set *)command); break;
	case RELAY_STREAM_CLOSE: relay_stream_free(command->stream); break;
	case RELAY_SESSION_CLOSE: session_free(command->session); break;
	case RELAY_STOP: worker->is_stopping = true; break;
	}
}

static struct relay_command *command_take(struct relay_worker *worker)
{
	struct relay_command *command = NULL;
	pthread_mutex_lock(&worker->lock);
	if (!list_is_empty(&worker->commands)) {
		command = list_object(worker->commands.next, struct relay_command, link);
		list_remove(&command->link);
	}
	pthread_mutex_unlock(&worker->lock);
	return command;
}

static void wake(const struct relay_worker *worker)
{
	uint64_t one = 1;
	while (write(worker->wakeup, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void run_commands(struct relay_worker *worker)
{
	uint64_t count;
	(void)!read(worker->wakeup, &count, sizeof(count));
	for (int i = 0; i < COMMANDS_MAXIMUM; i++) {
		struct relay_command *command = command_take(worker);
		if (!command)
			return;
		run_command(worker, command);
	}
	wake(worker); /* the rest after the next packets */
}

/* The shortest time that any stream which should have packets grants; 0: none should. */
static uint64_t silence_timeout_us(const struct relay_session *session)
{
	uint32_t shortest_ms = 0;
	list_each(link, &session->opened) {
		const struct relay_stream *stream = list_object(link, struct relay_stream, link);
		if ((stream->sides[0].may_send || stream->sides[1].may_send) && stream->silence_timeout_ms &&
		    (!shortest_ms || stream->silence_timeout_ms < shortest_ms))
			shortest_ms = stream->silence_timeout_ms;
	}
	return UINT64_C(1000) * shortest_ms;
}

static uint64_t session_last_packet_us(const struct relay_session *session)
{
	uint64_t last_us = session->expected_since_us;
	list_each(link, &session->opened) {
		const struct relay_stream *stream = list_object(link, struct relay_stream, link);
		for (int i = 0; i < 2; i++)
			if (stream->sides[i].last_packet_us > last_us)
				last_us = stream->sides[i].last_packet_us;
	}
	return last_us;
}

static void session_tick(struct relay_worker *worker, struct relay_session *session)
{
	list_each(link, &session->opened) {
		struct relay_stream *stream = list_object(link, struct relay_stream, link);
		relay_stream_retry(worker, stream);
		relay_offload_harvest(worker, stream);
		for (int i = 0; i < 2; i++)
			relay_dtls_tick(worker, &stream->sides[i]);
	}

	uint64_t timeout_us = silence_timeout_us(session);
	if (!timeout_us || worker->now_us - session_last_packet_us(session) < timeout_us) {
		session->is_silent = false;
		return;
	}
	if (session->is_silent)
		return;
	session->is_silent = true;
	struct media_event event = {.session = session->id, .kind = MEDIA_SILENCE};
	if (worker->callbacks.event)
		worker->callbacks.event(worker->callbacks.context, &event);
}

static int tick(struct relay_worker *worker)
{
	if (worker->now_us >= worker->next_tick_us) {
		worker->next_tick_us = worker->now_us + UINT64_C(1000) * TICK_MS;
		list_each(link, &worker->sessions)
			session_tick(worker, list_object(link, struct relay_session, link));
		relay_findings_tell(worker);
	}
	return (int)((worker->next_tick_us - worker->now_us + 999) / 1000);
}

/* A wake-up for each packet costs a tenth more CPU than one for what a millisecond brings; a call does not hear a
 * millisecond. Idle workers answer at once, overloaded ones (`is_full`) do not wait. */
static void pace(struct relay_worker *worker, uint32_t count, bool is_full)
{
	worker->window_packets += count;
	if (worker->now_us - worker->window_start_us >= PACE_WINDOW_US) {
		worker->is_busy = worker->window_packets >= PACE_PACKETS;
		worker->window_start_us = worker->now_us;
		worker->window_packets = 0;
	}
	uint64_t spent_us = clock_monotonic_us() - worker->now_us;
	if (!worker->is_busy || is_full || spent_us >= PACE_US)
		return;
	struct timespec rest = {.tv_nsec = (long)(1000 * (PACE_US - spent_us))};
	nanosleep(&rest, NULL);
}

/* Among thousands of calls the next one's memory is cold: fetched while the current datagram is received. The side
 * stands in front of its RTP port; for an RTCP port this is too early by one port, and does no harm. */
static void side_prefetch(const struct relay_port *port)
{
	if (port)
		relay_prefetch((const char *)port - offsetof(struct relay_side, ports), RELAY_SIDE_HOT_BYTES);
}

static void turn(struct relay_worker *worker, int wait_ms)
{
	struct epoll_event events[EVENTS_MAXIMUM];
	bool has_commands = false, has_frames = false;
	int count = epoll_wait(worker->epoll, events, EVENTS_MAXIMUM, wait_ms);
	worker->now_us = clock_monotonic_us();
	for (int i = 0; i < count; i++) {
		if (i + 1 < count && events[i + 1].data.ptr != worker)
			side_prefetch(events[i + 1].data.ptr);
		if (events[i].data.ptr == worker) {
			has_frames = true;
			if (events[i].events & EPOLLERR)
				relay_xdp_error(worker);
		} else if (events[i].data.ptr) {
			relay_batch_receive(worker, events[i].data.ptr);
		} else {
			has_commands = true;
		}
	}
	if (has_frames)
		relay_xdp_receive(worker);
	relay_batch_relay(worker);
	if (has_frames || worker->waits_to_send || worker->now_us >= worker->next_tick_us)
		worker->waits_to_send = worker->xdp && relay_xdp_settle(worker);
	/* Last: a command may close sockets that stand among the events. */
	if (has_commands)
		run_commands(worker);
	pace(worker, count > 0 ? (uint32_t)count : 0, count == EVENTS_MAXIMUM);
}

static void *worker_main(void *context)
{
	struct relay_worker *worker = context;
	worker->now_us = clock_monotonic_us();
	while (!worker->is_stopping) {
		int wait_ms = tick(worker);
		turn(worker, worker->waits_to_send ? SEND_AGAIN_MS : wait_ms);
	}
	return NULL;
}

/* The thread takes no signals: those are the process's main loop's. */
static int thread_start(struct relay_worker *worker)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker->is_started = error == 0;
	return -error;
}

int relay_worker_start(struct relay_worker *worker, const struct media_callbacks *callbacks)
{
	if (callbacks)
		worker->callbacks = *callbacks;
	list_init(&worker->sessions);
	list_init(&worker->commands);
	pthread_mutex_init(&worker->lock, NULL);
	worker->wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	if (worker->wakeup < 0 || worker->epoll < 0 ||
	    epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->wakeup, &event) != 0)
		return -errno;
	return thread_start(worker);
}

void relay_worker_push(struct relay_worker *worker, struct relay_command *command)
{
	pthread_mutex_lock(&worker->lock);
	bool was_empty = list_is_empty(&worker->commands);
	list_append(&worker->commands, &command->link);
	pthread_mutex_unlock(&worker->lock);
	if (was_empty)
		wake(worker);
}

void relay_worker_stop(struct relay_worker *worker)
{
	if (worker->is_started) {
		worker->stop.kind = RELAY_STOP;
		relay_worker_push(worker, &worker->stop);
		pthread_join(worker->thread, NULL);
	}
	relay_xdp_worker_free(worker->xdp);
	dtls_listener_free(worker->listener);
	dtls_identity_free(worker->identity);
	if (worker->wakeup >= 0)
		close(worker->wakeup);
	if (worker->epoll >= 0)
		close(worker->epoll);
	pthread_mutex_destroy(&worker->lock);
}
