/* SPDX-License-Identifier: Apache-2.0
 * The test call against the test PBX, and how clearly it fails. */
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
