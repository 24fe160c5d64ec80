/* SPDX-License-Identifier: Apache-2.0
 * The server's side: few clients, one request of each at a time, answered now or later. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/line.h"

#define CLIENT_TIMEOUT_S 30 /* to send a request, and to take the answer */
#define ANSWER_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII)

struct control_server {
	struct event_base *loop;
	struct event *acceptor;
	const struct control_command *commands;
	void *context;
	struct list clients;
	unsigned client_count;
	int descriptor;
};

struct client {
	struct list link;
	struct control_server *server;
	struct bufferevent *stream;
	struct control_request *request; /* under way: nothing is read meanwhile */
	bool ending;                     /* closed once the answer is sent */
};

struct control_request {
	struct client *client; /* NULL when it is gone */
	json_t *arguments;
};

static void client_close(struct client *client)
{
	if (client->request)
		client->request->client = NULL;
	list_remove(&client->link);
	client->server->client_count--;
	bufferevent_free(client->stream);
	memory_free(client);
}

static int write_part(const char *part, size_t length, void *context)
{
	return evbuffer_add(context, part, length);
}

static void client_write(struct client *client, json_t *answer)
{
	struct evbuffer *out = bufferevent_get_output(client->stream);

	if (!json_dump_callback(answer, write_part, out, ANSWER_FLAGS) && !evbuffer_add(out, "\n", 1))
		return;
	client->ending = true; /* no memory: half an answer is worse than none */
	bufferevent_trigger_event(client->stream, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
}

static json_t *refusal(const char *text)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", text);
}

/* Says why, and closes once that is sent. */
static void client_refuse_and_end(struct client *client, const char *text)
{
	json_t *answer = refusal(text);

	client->ending = true;
	bufferevent_disable(client->stream, EV_READ);
	client_write(client, answer);
	json_decref(answer);
}

static void request_start(struct client *client, struct span line)
{
	const struct control_command *command = client->server->commands;
	struct control_request *request;
	const char *name = NULL, *error;
	json_t *arguments = control_line_parse(line, &name, &error);

	if (!arguments) {
		client_refuse_and_end(client, error);
		return;
	}
	while (command->name && strcmp(command->name, name) != 0)
		command++;
	request = memory_alloc(sizeof(*request));
	if (!command->name || !request) {
		client_refuse_and_end(client, request ? "there is no such command" : "no memory");
		memory_free(request);
		json_decref(arguments);
		return;
	}
	request->client = client;
	request->arguments = arguments;
	client->request = request;
	bufferevent_disable(client->stream, EV_READ);
	command->handle(client->server->context, request, arguments);
}

/* Starts the next request when a whole line is there and none is under way. */
static void client_read(struct bufferevent *stream, void *context)
{
	struct client *client = context;
	struct evbuffer *in = bufferevent_get_input(stream);
	struct evbuffer_ptr end = evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF);
	size_t length = end.pos < 0 ? evbuffer_get_length(in) : (size_t)end.pos;
	char *line;

	if (client->request || client->ending)
		return;
	if (length > CONTROL_LINE_MAXIMUM) {
		client_refuse_and_end(client, "the request is too long");
		return;
	}
	if (end.pos < 0)
		return;
	line = (char *)evbuffer_pullup(in, end.pos + 1);
	if (!line) {
		client_refuse_and_end(client, "no memory");
		return;
	}
	request_start(client, (struct span){line, length});
	/* Requests hold what a password is worth. The client lives: it is closed only by its own events. */
	memory_wipe(line, length);
	evbuffer_drain(in, length + 1);
}

static void client_written(struct bufferevent *stream, void *context)
{
	struct client *client = context;

	(void)stream;
	if (client->ending)
		client_close(client);
}

static void client_event(struct bufferevent *stream, short what, void *context)
{
	(void)stream;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
		client_close(context);
}

static bool client_new(struct control_server *server, int descriptor)
{
	const struct timeval timeout = {CLIENT_TIMEOUT_S, 0};
	struct client *client = memory_alloc(sizeof(*client));

	if (!client)
		return false;
	client->stream = bufferevent_socket_new(server->loop, descriptor, BEV_OPT_CLOSE_ON_FREE);
	if (!client->stream) {
		memory_free(client);
		return false;
	}
	client->server = server;
	list_append(&server->clients, &client->link);
	server->client_count++;
	bufferevent_setcb(client->stream, client_read, client_written, client_event, client);
	bufferevent_setwatermark(client->stream, EV_READ, 0, CONTROL_LINE_MAXIMUM + 2);
	bufferevent_set_timeouts(client->stream, &timeout, &timeout);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
	if (server->client_count > CONTROL_CLIENTS_MAXIMUM)
		client_refuse_and_end(client, "too many commands at a time");
	return true;
}

static void on_acceptable(evutil_socket_t descriptor, short what, void *context)
{
	int accepted = accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct control_server *server = context;

	(void)what;
	if (accepted < 0)
		return;
	/* Beyond the maximum, as many again are told so; then nothing is said. */
	if (server->client_count >= 2 * CONTROL_CLIENTS_MAXIMUM || !client_new(server, accepted))
		close(accepted);
}

struct control_server *control_server_new(struct event_base *loop, int descriptor,
					  const struct control_command *commands, void *context)
{
	struct control_server *server = memory_alloc(sizeof(*server));

	if (!server)
		goto failed;
	server->loop = loop;
	server->commands = commands;
	server->context = context;
	server->descriptor = descriptor;
	list_init(&server->clients);
	evutil_make_socket_nonblocking(descriptor);
	server->acceptor = event_new(loop, descriptor, EV_READ | EV_PERSIST, on_acceptable, server);
	if (!server->acceptor || event_add(server->acceptor, NULL) < 0)
		goto failed;
	return server;
failed:
	if (server && server->acceptor)
		event_free(server->acceptor);
	memory_free(server);
	close(descriptor);
	return NULL;
}

void control_server_free(struct control_server *server)
{
	if (!server)
		return;
	list_each(link, &server->clients)
		client_close(list_object(link, struct client, link));
	event_free(server->acceptor);
	close(server->descriptor);
	memory_free(server);
}

void control_answer(struct control_request *request, json_t *answer)
{
	struct client *client = request->client;

	if (client) {
		client->request = NULL;
		client_write(client, answer);
		if (!client->ending) { /* perhaps the next request is there already */
			bufferevent_enable(client->stream, EV_READ);
			bufferevent_trigger(client->stream, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
		}
	}
	json_decref(answer);
	json_decref(request->arguments);
	memory_free(request);
}

void control_refuse(struct control_request *request, const char *format, ...)
{
	char text[4200];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	control_answer(request, refusal(text));
}
