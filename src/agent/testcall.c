/* SPDX-License-Identifier: Apache-2.0
 * The test call: runs it to its end on a loop of its own, sends sound, and judges what came back. */
#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "agent/call.h"

#define SOUND_TIMER_MS 5
#define DRAIN_US 500000   /* for what is still on its way */
#define AFTERMATH_MS 3000 /* to hang up properly when the time is over */
#define LOSS_ALLOWED 5.0  /* per cent */
#define FRAMES_AT_ONCE 10

/* ---- Sound --------------------------------------------------------------------------------- */

static void on_packet(void *context, const struct rtp_header *header, uint8_t *payload)
{
	struct testcall *call = context;

	if (call->stage == CALL_TALKS || call->stage == CALL_DRAINS)
		measure_packet(&call->measure, header, payload, clock_monotonic_us());
}

static void sound_fire(void *context)
{
	struct testcall *call = context;
	uint64_t now_us = clock_monotonic_us();
	uint64_t due = (now_us - call->sound_started_us) / (SOUND_FRAME_MS * 1000) + 1;
	uint8_t frame[SOUND_FRAME];

	for (int i = 0; i < FRAMES_AT_ONCE && call->measure.frames_sent < due; i++) {
		bool first = call->measure.frames_sent == 0;

		if (!measure_frame(&call->measure, call->sound.payload_type, now_us, frame))
			break;
		sound_end_send(&call->sound, frame, sizeof(frame), first);
	}
	if (call->stage == CALL_TALKS && call->measure.frames_sent == call->measure.frames_maximum) {
		call->stage = CALL_DRAINS;
		call->sound_ended_us = now_us;
	}
	if (call->stage == CALL_DRAINS && now_us - call->sound_ended_us > DRAIN_US)
		call_hang_up(call);
	else
		timer_start(call->ua.wheel, &call->sound_timer, SOUND_TIMER_MS);
}

void call_sound_start(struct testcall *call)
{
	call->stage = CALL_TALKS;
	call->sound.packet = on_packet;
	call->sound.context = call;
	call->sound_started_us = clock_monotonic_us();
	call->sound_timer = (struct timer){.fire = sound_fire, .context = call};
	timer_start(call->ua.wheel, &call->sound_timer, 0);
}

/* ---- The whole ----------------------------------------------------------------------------- */

static void whole_fire(void *context)
{
	static const char *const texts[] = {
#define X(name, text) text,
		CALL_STAGES(X)
#undef X
	};
	struct testcall *call = context;
	bool was_leaving = call->stage >= CALL_HANGS_UP;

	call_fail(call, "%s", texts[call->stage]);
	if (was_leaving) {
		call->stage = CALL_DONE;
		return;
	}
	call_give_up(call);
	timer_start(call->ua.wheel, &call->whole_timer, AFTERMATH_MS);
}

static void on_ack(void *context, const struct flow *flow, const struct sip_message *ack)
{
	(void)context;
	(void)flow;
	(void)ack;
}

static void on_cancelled(void *context, struct sip_server_transaction *server, const struct sip_message *cancel)
{
	struct testcall *call = context;

	(void)cancel;
	ua_respond(&call->ua, server, 487, "");
}

static void on_server_gone(void *context, struct sip_server_transaction *server)
{
	(void)context;
	(void)server;
}

static void judge(struct testcall *call)
{
	struct testcall_result *result = call->result;
	struct measure *measure = &call->measure;

	result->packets_sent = measure->frames_sent;
	result->packets_received = (uint32_t)measure->packets;
	result->encrypted = measure->packets && call->sound.in;
	result->loss_percent = measure_loss_percent(measure);
	result->jitter_ms = measure_jitter_ms(measure);
	result->round_trip_ms = measure_round_trip_ms(measure);
	result->audio_matches = measure_is_echo(measure) || measure_is_tone(measure);
	if (result->answered && !measure->packets)
		call_fail(call, call->sound.dropped ? "no packet of what came back could be decrypted and read"
						    : "no sound came back");
	else if (result->answered && !result->audio_matches)
		call_fail(call, "what came back is neither the sound that was sent nor a %u Hz tone", MEASURE_TONE_HZ);
	else if (result->answered && result->loss_percent > LOSS_ALLOWED)
		call_fail(call, "%.1f%% of the packets were lost", result->loss_percent);
	result->passed = result->answered && !result->failure[0];
}

static int run(struct testcall *call, struct event_base *loop)
{
	const struct sip_transaction_callbacks callbacks = {
		.request = call_on_request,
		.ack = on_ack,
		.cancelled = on_cancelled,
		.response = call_on_response,
		.failed = call_on_failed,
		.server_gone = on_server_gone,
		.client_gone = call_on_client_gone,
		.context = call,
	};

	if (call_setup(call, loop, &callbacks, call_on_closed))
		return call->result->failure[0] ? 0 : -ENOMEM;
	call->whole_timer = (struct timer){.fire = whole_fire, .context = call};
	timer_start(call->ua.wheel, &call->whole_timer, call->settings->timeout_ms);
	call_start(call);
	while (call->stage != CALL_DONE) {
		if (event_base_loop(loop, EVLOOP_ONCE))
			return -EIO;
	}
	judge(call);
	return 0;
}

int testcall_run(const struct testcall_settings *settings, struct testcall_result *result)
{
	struct testcall *call = memory_alloc(sizeof(*call));
	struct event_base *loop = event_base_new();
	int error = -ENOMEM;

	memset(result, 0, sizeof(*result));
	result->suite = "none";
	result->codec = "none";
	result->loss_percent = 100;
	if (call && loop) {
		call->settings = settings;
		call->result = result;
		call->sound.descriptor = -1;
		error = run(call, loop);
		sound_end_close(&call->sound);
		measure_stop(&call->measure);
		memory_free(call->ack);
		ua_stop(&call->ua);
	}
	memory_free_secret(call, sizeof(*call));
	if (loop)
		event_base_free(loop);
	return error;
}
