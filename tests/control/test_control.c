/* SPDX-License-Identifier: Apache-2.0
 * The control socket: questions, answers now and later, clients that misbehave, sockets left behind. */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "control/line.h"

#define TIMEOUT_MS 5000

struct fixture {
	char directory[64], path[96];
	struct event_base *loop;
	struct control_server *server;
	struct control_request *later;
	pthread_t thread;
	int descriptor;
	bool running;
};

static void handle_echo(void *context, struct control_request *request, const json_t *arguments)
{
	(void)context;
	control_answer(request, json_pack("{s:b, s:O?}", "ok", 1, "text", json_object_get(arguments, "text")));
}

static void handle_refuse(void *context, struct control_request *request, const json_t *arguments)
{
	(void)context;
	(void)arguments;
	control_refuse(request, "there is no call %d", 7);
}

static void answer_later(evutil_socket_t descriptor, short what, void *context)
{
	struct fixture *fixture = context;

	(void)descriptor;
	(void)what;
	control_answer(fixture->later, json_pack("{s:b, s:s}", "ok", 1, "text", "later"));
	fixture->later = NULL;
}

static void handle_later(void *context, struct control_request *request, const json_t *arguments)
{
	const struct timeval delay = {0, 50000};
	struct fixture *fixture = context;

	(void)arguments;
	fixture->later = request;
	event_base_once(fixture->loop, -1, EV_TIMEOUT, answer_later, fixture, &delay);
}

static void handle_large(void *context, struct control_request *request, const json_t *arguments)
{
	json_t *rows = json_array();

	(void)context;
	(void)arguments;
	for (int i = 0; i < 50000; i++)
		json_array_append_new(rows, json_sprintf("call number %d", i));
	control_answer(request, json_pack("{s:b, s:o}", "ok", 1, "rows", rows));
}

/* Ends with a request open, which is answered after its server is gone. */
static void handle_stop(void *context, struct control_request *request, const json_t *arguments)
{
	struct fixture *fixture = context;

	(void)arguments;
	control_server_free(fixture->server);
	control_answer(request, json_pack("{s:b}", "ok", 1));
	event_base_loopexit(fixture->loop, NULL);
}

static const struct control_command commands[] = {
	{"echo", handle_echo},   {"refuse", handle_refuse}, {"later", handle_later},
	{"large", handle_large}, {"stop", handle_stop},     {NULL, NULL},
};

static void *serve(void *context)
{
	struct fixture *fixture = context;

	event_base_dispatch(fixture->loop);
	return NULL;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/ringwall-control-XXXXXX");
	if (!mkdtemp(fixture->directory))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/%s", fixture->directory, CONTROL_SOCKET_NAME);
	fixture->loop = event_base_new();
	*state = fixture;
	return 0;
}

static void start(struct fixture *fixture)
{
	fixture->descriptor = control_socket_open(fixture->directory);
	assert_true(fixture->descriptor >= 0);
	fixture->server = control_server_new(fixture->loop, fixture->descriptor, commands, fixture);
	assert_non_null(fixture->server);
	assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
	fixture->running = true;
}

static json_t *ask(struct fixture *fixture, const char *text)
{
	json_t *request = json_loads(text, 0, NULL), *answer;

	assert_int_equal(control_ask(fixture->directory, request, TIMEOUT_MS, &answer), 0);
	json_decref(request);
	return answer;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->running) {
		json_t *request = json_pack("{s:s}", "command", "stop"), *answer;

		/* The server goes before its answer: the connection just ends. */
		if (control_ask(fixture->directory, request, TIMEOUT_MS, &answer) != -ECONNRESET)
			return -1;
		json_decref(request);
		pthread_join(fixture->thread, NULL);
	}
	if (fixture->later) /* its client and the server are gone; it is answered all the same */
		control_refuse(fixture->later, "too late");
	event_base_free(fixture->loop);
	unlink(fixture->path);
	rmdir(fixture->directory);
	free(fixture);
	return 0;
}

static void questions_are_answered(void **state)
{
	struct fixture *fixture = *state;
	json_t *answer;

	start(fixture);
	answer = ask(fixture, "{\"command\": \"echo\", \"text\": \"a\\nb\"}");
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_string_equal(json_string_value(json_object_get(answer, "text")), "a\nb");
	json_decref(answer);

	answer = ask(fixture, "{\"command\": \"refuse\"}");
	assert_true(json_is_false(json_object_get(answer, "ok")));
	assert_string_equal(json_string_value(json_object_get(answer, "error")), "there is no call 7");
	json_decref(answer);

	answer = ask(fixture, "{\"command\": \"later\"}");
	assert_string_equal(json_string_value(json_object_get(answer, "text")), "later");
	json_decref(answer);

	answer = ask(fixture, "{\"command\": \"large\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "rows")), 50000);
	json_decref(answer);

	answer = ask(fixture, "{\"command\": \"none such\"}");
	assert_string_equal(json_string_value(json_object_get(answer, "error")), "there is no such command");
	json_decref(answer);
}

static int client_connect(struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval timeout = {TIMEOUT_MS / 1000, 0};
	int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, fixture->path);
	assert_int_equal(connect(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
	setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return descriptor;
}

/* Reads until `lines` lines are there, or the end. Returns the text. */
static const char *client_read_lines(int descriptor, unsigned lines, char *out, size_t capacity)
{
	size_t length = 0;

	while (lines && length < capacity - 1 && recv(descriptor, out + length, 1, 0) == 1)
		if (out[length++] == '\n')
			lines--;
	out[length] = 0;
	return out;
}

static void requests_come_whole_in_parts_and_together(void **state)
{
	static const char request[] = "{\"command\":\"echo\",\"text\":1}\n{\"command\":\"later\"}\n"
				      "{\"command\":\"echo\",\"text\":3}\n";
	struct fixture *fixture = *state;
	char text[512];
	int descriptor;

	start(fixture);
	descriptor = client_connect(fixture);
	for (size_t i = 0; i < strlen(request); i++) /* byte by byte */
		assert_int_equal(send(descriptor, request + i, 1, MSG_NOSIGNAL), 1);
	assert_string_equal(client_read_lines(descriptor, 3, text, sizeof(text)),
			    "{\"ok\":true,\"text\":1}\n{\"ok\":true,\"text\":\"later\"}\n{\"ok\":true,\"text\":3}\n");
	close(descriptor);

	descriptor = client_connect(fixture);
	assert_int_equal(send(descriptor, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	assert_string_equal(client_read_lines(descriptor, 3, text, sizeof(text)),
			    "{\"ok\":true,\"text\":1}\n{\"ok\":true,\"text\":\"later\"}\n{\"ok\":true,\"text\":3}\n");
	close(descriptor);
}

static void misbehaving_clients_are_told_and_closed(void **state)
{
	static const struct {
		const char *request, *answer;
	} cases[] = {
		{"nonsense\n", "{\"ok\":false,\"error\":\"this is no JSON object\"}\n"},
		{"[]\n", "{\"ok\":false,\"error\":\"this is no JSON object\"}\n"},
		{"{\"command\":\"echo\",\"command\":\"stop\"}\n",
		 "{\"ok\":false,\"error\":\"this is no JSON object\"}\n"},
		{"{}\n", "{\"ok\":false,\"error\":\"the member \\\"command\\\" is missing or no text\"}\n"},
	};
	struct fixture *fixture = *state;
	char text[512], *large = calloc(1, CONTROL_LINE_MAXIMUM + 2);
	int descriptor;

	start(fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		descriptor = client_connect(fixture);
		send(descriptor, cases[i].request, strlen(cases[i].request), MSG_NOSIGNAL);
		assert_string_equal(client_read_lines(descriptor, 9, text, sizeof(text)), cases[i].answer);
		close(descriptor);
	}
	memset(large, ' ', CONTROL_LINE_MAXIMUM + 1);
	descriptor = client_connect(fixture);
	send(descriptor, large, CONTROL_LINE_MAXIMUM + 1, MSG_NOSIGNAL);
	assert_string_equal(client_read_lines(descriptor, 9, text, sizeof(text)),
			    "{\"ok\":false,\"error\":\"the request is too long\"}\n");
	close(descriptor);

	descriptor = client_connect(fixture); /* gone before its answer */
	send(descriptor, "{\"command\":\"later\"}\n", 20, MSG_NOSIGNAL);
	close(descriptor);
	free(large);
}

/* Others let line ends of one into the protocol of the other: what is asked with them stays in its place, and is answered in a line. */
static void line_ends_in_requests_make_no_lines(void **state)
{
	static const struct {
		const char *request;
		size_t length;
		const char *answer;
	} cases[] = {
#define CASE(request, answer) {request, sizeof(request) - 1, answer}
		CASE("{\"command\":\"echo\",\"text\":\"a\\r\\n{\\\"ok\\\":true}\\n\"}\r\n",
		     "{\"ok\":true,\"text\":\"a\\r\\n{\\\"ok\\\":true}\\n\"}\n"),
		CASE("{\"command\":\"echo\",\"text\":\"\\u001b[2J\\u009b\"}\n",
		     "{\"ok\":true,\"text\":\"\\u001B[2J\\u009B\"}\n"),
		CASE("{\"command\":\"echo\\r\\nstop\"}\n", "{\"ok\":false,\"error\":\"there is no such command\"}\n"),
		CASE("{\"command\":\"echo\\u0000\"}\n", "{\"ok\":false,\"error\":\"this is no JSON object\"}\n"),
		CASE("{\"command\":\"echo\0\"}\n", "{\"ok\":false,\"error\":\"this is no JSON object\"}\n"),
		CASE("{\"command\":\"echo\r\"}\n", "{\"ok\":false,\"error\":\"this is no JSON object\"}\n"),
		CASE("{\"command\":\"echo\",\"text\":\"\xff\"}\n",
		     "{\"ok\":false,\"error\":\"this is no JSON object\"}\n"),
#undef CASE
	};
	struct fixture *fixture = *state;
	char text[512];

	start(fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int descriptor = client_connect(fixture);

		assert_int_equal(send(descriptor, cases[i].request, cases[i].length, MSG_NOSIGNAL), cases[i].length);
		assert_string_equal(client_read_lines(descriptor, 1, text, sizeof(text)), cases[i].answer);
		close(descriptor);
	}
}

static void too_many_clients_are_refused(void **state)
{
	struct fixture *fixture = *state;
	int clients[CONTROL_CLIENTS_MAXIMUM], one_more;
	char text[512];
	json_t *answer;

	start(fixture);
	for (int i = 0; i < CONTROL_CLIENTS_MAXIMUM; i++) {
		clients[i] = client_connect(fixture);
		send(clients[i], "{\"command\":\"echo\",\"text\":1}\n", 28, MSG_NOSIGNAL);
		client_read_lines(clients[i], 1, text, sizeof(text));
	}
	one_more = client_connect(fixture);
	assert_string_equal(client_read_lines(one_more, 9, text, sizeof(text)),
			    "{\"ok\":false,\"error\":\"too many commands at a time\"}\n");
	close(one_more);
	for (int i = 0; i < CONTROL_CLIENTS_MAXIMUM; i++)
		close(clients[i]);
	usleep(50000);
	answer = ask(fixture, "{\"command\": \"echo\"}");
	assert_true(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
}

static void the_socket_is_the_owners_and_replaced_when_left_behind(void **state)
{
	struct fixture *fixture = *state;
	json_t *request = json_pack("{s:s}", "command", "echo"), *answer;
	struct stat status;
	char deep[160];

	assert_int_equal(control_ask(fixture->directory, request, TIMEOUT_MS, &answer), -ENOENT);
	close(control_socket_open(fixture->directory)); /* killed: the file stays */
	assert_int_equal(control_ask(fixture->directory, request, TIMEOUT_MS, &answer), -ECONNREFUSED);
	assert_null(answer);

	start(fixture);
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(control_socket_open(fixture->directory), -EADDRINUSE);

	memset(deep, 'd', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = 0;
	assert_int_equal(control_socket_open(deep), -ENAMETOOLONG);
	assert_int_equal(control_ask(deep, request, TIMEOUT_MS, &answer), -ENAMETOOLONG);
	json_decref(request);
}

static void a_silent_gateway_is_not_waited_for(void **state)
{
	struct fixture *fixture = *state;
	json_t *request = json_pack("{s:s}", "command", "echo"), *answer;
	int descriptor = control_socket_open(fixture->directory); /* nobody accepts */

	assert_int_equal(control_ask(fixture->directory, request, 100, &answer), -ETIMEDOUT);
	close(descriptor);
	json_decref(request);
}

static void failing_memory_is_survived(void **state)
{
	struct fixture *fixture = *state;

	fixture->descriptor = control_socket_open(fixture->directory);
	memory_fail_after(0);
	assert_null(control_server_new(fixture->loop, fixture->descriptor, commands, fixture));
	memory_fail_after(-1);
	control_server_free(NULL);
}

static void lines_are_read_strictly(void **state)
{
	const char *command, *error;
	json_t *request;

	(void)state;
	request = control_line_parse(SPAN("{\"command\":\"calls\",\"x\":1}"), &command, &error);
	assert_non_null(request);
	assert_string_equal(command, "calls");
	json_decref(request);
	assert_null(control_line_parse(SPAN("{\"command\":1}"), &command, &error));
	assert_null(control_line_parse(SPAN("{\"command\":\"calls\"} trailing"), &command, &error));
	assert_null(control_line_parse(SPAN_EMPTY, &command, &error));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(questions_are_answered),
		TEST(requests_come_whole_in_parts_and_together),
		TEST(misbehaving_clients_are_told_and_closed),
		TEST(line_ends_in_requests_make_no_lines),
		TEST(too_many_clients_are_refused),
		TEST(the_socket_is_the_owners_and_replaced_when_left_behind),
		TEST(a_silent_gateway_is_not_waited_for),
		TEST(failing_memory_is_survived),
		cmocka_unit_test(lines_are_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
