/* SPDX-License-Identifier: Apache-2.0
 * The test call against the test PBX, and how clearly it fails. */
#include "agent/ua.h"
#include "agent_fixture.h"

static struct testcall_result call_with(const struct pbx_process *pbx, const char *number,
					struct testcall_settings settings)
{
	struct testcall_result result;
	char target[100];

	snprintf(target, sizeof(target), "sip:%s@127.0.0.1:%u", number, pbx->port);
	settings.target = target;
	settings.duration_ms = 600;
	if (!settings.timeout_ms)
		settings.timeout_ms = 8000;
	assert_int_equal(testcall_run(&settings, &result), 0);
	return result;
}

static void assert_passed(const struct testcall_result *result)
{
	assert_string_equal(result->failure, "");
	assert_true(result->passed && result->answered && result->audio_matches);
	assert_int_equal(result->status, 200);
}

static void assert_failed(const struct testcall_result *result, const char *why)
{
	assert_false(result->passed);
	if (!strstr(result->failure, why))
		fail_msg("\"%s\" does not say \"%s\"", result->failure, why);
}

static void echo_over(enum transport transport)
{
	struct pbx_process pbx = pbx_start(NULL, NULL, NULL);
	struct testcall_result result = call_with(&pbx, "600", (struct testcall_settings){.transport = transport});

	assert_passed(&result);
	assert_false(result.registered || result.encrypted);
	assert_string_equal(result.suite, "none");
	assert_string_equal(result.codec, "PCMU");
	assert_int_equal(result.packets_sent, 30);
	assert_in_range(result.packets_received, 28, 30);
	assert_true(result.round_trip_ms > 0 && result.round_trip_ms < 100);
	assert_true(result.setup_ms < 2000);
	pbx_stop(&pbx);
}

static void echo_over_udp(void **state)
{
	(void)state;
	echo_over(TRANSPORT_UDP);
}

static void echo_over_tcp(void **state)
{
	(void)state;
	echo_over(TRANSPORT_TCP);
}

static void tone(void **state)
{
	struct pbx_process pbx = pbx_start(NULL, NULL, NULL);
	struct testcall_result result = call_with(&pbx, "601", (struct testcall_settings){0});

	(void)state;
	assert_passed(&result);
	assert_in_range(result.packets_received, 20, 60);
	pbx_stop(&pbx);
}

static void encrypted_echo(void **state)
{
	struct pbx_process pbx = pbx_start(NULL, NULL, NULL);
	struct testcall_result result = call_with(&pbx, "600", (struct testcall_settings){.encrypt = true});

	(void)state;
	assert_passed(&result);
	assert_true(result.encrypted);
	assert_string_equal(result.suite, "AEAD_AES_256_GCM");
	pbx_stop(&pbx);
}

static void registered_call_with_digest(void **state)
{
	const struct testcall_settings settings = {
		.user = "alice", .password = "secret", .register_first = true, .transport = TRANSPORT_TCP};
	struct pbx_process pbx = pbx_start("test.example", "alice", "secret");
	struct testcall_result result = call_with(&pbx, "600", settings);

	(void)state;
	assert_passed(&result);
	assert_true(result.registered);
	pbx_stop(&pbx);
}

static void wrong_password_is_said(void **state)
{
	struct testcall_settings settings = {.user = "alice", .password = "wrong", .register_first = true};
	struct pbx_process pbx = pbx_start("test.example", "alice", "secret");
	struct testcall_result result = call_with(&pbx, "600", settings);

	(void)state;
	assert_failed(&result, "the registration was refused with 401: user or password is wrong");
	assert_int_equal(result.status, 401);
	assert_false(result.registered || result.answered);
	settings.register_first = false;
	result = call_with(&pbx, "600", settings);
	assert_failed(&result, "the call was refused with 401: user or password is wrong");
	settings.user = settings.password = NULL;
	result = call_with(&pbx, "600", settings);
	assert_failed(&result, "it asks for a user and password");
	settings.user = "bob"; /* another one's account does not help */
	settings.password = "secret";
	result = call_with(&pbx, "600", settings);
	assert_failed(&result, "401");
	pbx_stop(&pbx);
}

static void unknown_number_is_said(void **state)
{
	struct pbx_process pbx = pbx_start(NULL, NULL, NULL);
	struct testcall_result result = call_with(&pbx, "nobody", (struct testcall_settings){0});

	(void)state;
	assert_failed(&result, "the call was refused with 404 Not Found");
	assert_int_equal(result.status, 404);
	pbx_stop(&pbx);
}

static void nobody_there_is_said(void **state)
{
	struct pbx_process nobody;
	struct testcall_result result;

	(void)state;
	close(socket_open(SOCK_STREAM, &nobody.port));
	result = call_with(&nobody, "600", (struct testcall_settings){.transport = TRANSPORT_TCP});
	assert_failed(&result, "the connection was lost");
	result = call_with(&nobody, "600", (struct testcall_settings){.timeout_ms = 300});
	assert_failed(&result, "not answered in time");
}

static void bad_settings_are_said(void **state)
{
	struct testcall_settings settings = {.target = "mailto:a@b", .timeout_ms = 1000};
	struct testcall_result result;

	(void)state;
	assert_int_equal(testcall_run(&settings, &result), 0);
	assert_failed(&result, "no sip: or sips: address");
	settings.target = "sips:600@127.0.0.1";
	assert_int_equal(testcall_run(&settings, &result), 0);
	assert_failed(&result, "needs TLS");
	settings.target = "sip:600@127.0.0.1";
	settings.proxy = "127.0.0.1:port";
	assert_int_equal(testcall_run(&settings, &result), 0);
	assert_failed(&result, "no host:port");
	settings.proxy = NULL;
	settings.transport = TRANSPORT_TLS;
	settings.authorities = "/nonexistent";
	assert_int_equal(testcall_run(&settings, &result), 0);
	assert_failed(&result, "/nonexistent");
}

/* ---- TLS: a server with a certificate of its own that answers 404 to everything ---------------------- */

static struct ua tls_server;

static void on_request(void *context, struct sip_server_transaction *server, const struct sip_message *request)
{
	(void)request;
	ua_respond(context, server, 404, "");
}

static void on_gone(void *context, struct sip_server_transaction *server)
{
	(void)context;
	(void)server;
}

/* Writes its certificate to `path` and serves for ever. */
static void tls_serve(const char *path, int ready)
{
	const struct sip_transaction_callbacks callbacks = {
		.request = on_request, .server_gone = on_gone, .context = &tls_server};
	const struct span names[] = {SPAN("127.0.0.1")};
	char certificate_bytes[4096], key_bytes[1024], error[200];
	struct buffer certificate = BUFFER_OVER(certificate_bytes), key = BUFFER_OVER(key_bytes);
	struct event_base *loop = event_base_new();
	struct address local;
	FILE *file = fopen(path, "w");

	address_parse(SPAN("127.0.0.1"), &local);
	if (!file || net_certificate_make(names, 1, &certificate, &key) ||
	    ua_start(&tls_server, loop, &callbacks, NULL, NULL) ||
	    net_tls_set(transport_net(tls_server.transport), buffer_span(&certificate), buffer_span(&key), SPAN_EMPTY,
			error, sizeof(error)) ||
	    ua_listen(&tls_server, TRANSPORT_TLS, &local))
		_exit(1);
	fwrite(certificate.data, 1, certificate.length, file);
	fclose(file);
	(void)!write(ready, &local.port, sizeof(local.port));
	event_base_dispatch(loop);
	_exit(0);
}

static void server_certificates_are_verified_unless_told_not_to(void **state)
{
	struct testcall_settings settings = {.transport = TRANSPORT_TLS, .verify = true};
	struct testcall_result result;
	char path[] = "/tmp/ringwall-test-XXXXXX";
	struct pbx_process server;
	int ready[2];

	(void)state;
	close(mkstemp(path));
	assert_int_equal(pipe(ready), 0);
	server.pid = fork();
	if (!server.pid) {
		alarm(60);
		tls_serve(path, ready[1]);
	}
	assert_int_equal(read(ready[0], &server.port, sizeof(server.port)), sizeof(server.port));
	close(ready[0]);
	close(ready[1]);

	result = call_with(&server, "600", settings);
	assert_failed(&result, "certificate");
	settings.authorities = path;
	result = call_with(&server, "600", settings);
	assert_failed(&result, "404");
	settings.authorities = NULL;
	settings.verify = false;
	result = call_with(&server, "600", settings);
	assert_failed(&result, "404");

	unlink(path);
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echo_over_udp),
		cmocka_unit_test(echo_over_tcp),
		cmocka_unit_test(tone),
		cmocka_unit_test(encrypted_echo),
		cmocka_unit_test(registered_call_with_digest),
		cmocka_unit_test(wrong_password_is_said),
		cmocka_unit_test(unknown_number_is_said),
		cmocka_unit_test(nobody_there_is_said),
		cmocka_unit_test(bad_settings_are_said),
		cmocka_unit_test(server_certificates_are_verified_unless_told_not_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
