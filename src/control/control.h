/* SPDX-License-Identifier: Apache-2.0
 * The control socket: how the `ringwall` commands ask a running gateway. A UNIX stream socket in the state directory, mode 0600;
 * one JSON object a line each way: {"command": "calls", …} and {"ok": true, …} or {"ok": false, "error": "…"}. */
#ifndef RINGWALL_CONTROL_CONTROL_H
#define RINGWALL_CONTROL_CONTROL_H

#include <jansson.h>

#include "base/span.h"

#define CONTROL_LINE_MAXIMUM 65536 /* of a request */
#define CONTROL_CLIENTS_MAXIMUM 16
#define CONTROL_SOCKET_NAME "control.sock"

struct event_base;
struct control_server;
struct control_request;

/* One row a command. `handle` owns `request` and answers it exactly once, now or later. */
struct control_command {
	const char *name;
	void (*handle)(void *context, struct control_request *request, const json_t *arguments);
};

/* Takes over the listening `descriptor`. `commands` ends with a row whose name is NULL and outlives the server. */
struct control_server *control_server_new(struct event_base *loop, int descriptor,
					  const struct control_command *commands, void *context);
void control_server_free(struct control_server *server); /* NULL is allowed; open requests may still be answered */

/* Steals the reference to `answer` and frees the request. control_refuse answers {"ok": false, "error": text}. */
void control_answer(struct control_request *request, json_t *answer);
void control_refuse(struct control_request *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes and binds the socket, replacing one nobody listens on. Returns the listening descriptor, or a negative errno
 * (-EADDRINUSE: a gateway is running). */
int control_socket_open(const char *state_directory);

/* For the command line: asks and waits at most timeout_ms. Returns 0 and *answer (a new reference; may hold ok: false);
 * -ENOENT or -ECONNREFUSED when no gateway runs; another negative errno. */
int control_ask(const char *state_directory, json_t *request, uint32_t timeout_ms, json_t **answer);

#endif
