/* SPDX-License-Identifier: Apache-2.0
 * Private to the test call: its state, shared by signalling and by the one who runs it. */
#ifndef RINGWALL_AGENT_CALL_H
#define RINGWALL_AGENT_CALL_H

#include "agent/agent.h"
#include "agent/measure.h"
#include "agent/ua.h"

#define CALL_CRYPTOS 3

/* X(enum, what is said when the time runs out in it) */
#define CALL_STAGES(X) \
	X(CALL_REGISTERS, "the registration was not answered in time") \
	X(CALL_RINGS, "the call was not answered in time") \
	X(CALL_TALKS, "the time ran out during the call") \
	X(CALL_DRAINS, "the time ran out during the call") \
	X(CALL_HANGS_UP, "the BYE was not answered in time") \
	X(CALL_UNREGISTERS, "the end of the registration was not answered in time") \
	X(CALL_DONE, "")

enum call_stage {
#define X(name, text) name,
	CALL_STAGES(X)
#undef X
};

struct testcall {
	const struct testcall_settings *settings;
	struct testcall_result *result;
	struct ua ua;
	enum call_stage stage;
	struct sip_uri target;
	struct net_peer server;
	struct flow flow;
	char aor[UA_URI_BYTES], registrar[UA_URI_BYTES];
	struct ua_dialog registration, call;
	bool is_registered, has_dialog;
	struct sip_client_transaction *invite; /* until it is gone */
	uint8_t challenges;                    /* answered for the request under way */
	uint64_t request_us;
	char *ack; /* for copies of the 2xx */
	size_t ack_length;
	struct sound_end sound;
	struct sdp_crypto cryptos[CALL_CRYPTOS];
	struct measure measure;
	struct timer sound_timer, whole_timer;
	uint64_t sound_started_us, sound_ended_us;
	bool connection_lost;
};

/* call_setup.c: everything before the first message. 0, or a negative error with result->failure set. */
int call_setup(struct testcall *call, struct event_base *loop, const struct sip_transaction_callbacks *callbacks,
	       void (*closed)(void *context, const struct flow *flow));

/* call_signal.c */
void call_start(struct testcall *call); /* registers or calls */
void call_hang_up(struct testcall *call);
void call_give_up(struct testcall *call); /* the time is over: ends what there is, properly */
void call_fail(struct testcall *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
void call_on_request(void *context, struct sip_server_transaction *server, const struct sip_message *request);
void call_on_response(void *context, struct sip_client_transaction *client, const struct sip_message *response);
void call_on_failed(void *context, struct sip_client_transaction *client, enum sip_failure failure);
void call_on_client_gone(void *context, struct sip_client_transaction *client);
void call_on_closed(void *context, const struct flow *flow);

/* testcall.c */
void call_sound_start(struct testcall *call);

#endif
