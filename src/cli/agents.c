/* SPDX-License-Identifier: Apache-2.0
 * `testpbx` and `testcall`. */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/agent.h"
#include "base/memory.h"
#include "cli/cli.h"

#define TESTPBX_LISTEN "127.0.0.1:5070"
#define TESTPBX_PORTS "40000-40999"
#define TESTPBX_REALM "testpbx"

/* ---- testpbx ---- */

static void on_signal(evutil_socket_t number, short what, void *context)
{
	(void)number;
	(void)what;
	event_base_loopbreak(context);
}

static bool ports_read(const char *text, uint16_t *low, uint16_t *high)
{
	struct span all = span_from(text);
	ptrdiff_t dash = span_index(all, '-');
	uint64_t first, last;

	if (dash < 0 || span_to_uint(span_slice(all, 0, (size_t)dash), 65535, &first) ||
	    span_to_uint(span_slice(all, (size_t)dash + 1, all.length), 65535, &last) || first < 1024 || first >= last)
		return false;
	*low = (uint16_t)first;
	*high = (uint16_t)last;
	return true;
}

static int testpbx_settings_read(const struct arguments *arguments, struct testpbx_settings *settings, char *password)
{
	bool generated;
	int code;

	if (address_parse(span_from(arguments->listen ? arguments->listen : TESTPBX_LISTEN), &settings->listen) ||
	    !settings->listen.port)
		return complain(EXIT_USAGE, "testpbx: --listen needs ADDRESS:PORT");
	settings->media_address = settings->listen;
	if (arguments->media && address_parse_ip(span_from(arguments->media), &settings->media_address))
		return complain(EXIT_USAGE, "testpbx: --media needs an IP address");
	settings->media_address.port = 0;
	if (!ports_read(arguments->ports ? arguments->ports : TESTPBX_PORTS, &settings->port_low, &settings->port_high))
		return complain(EXIT_USAGE, "testpbx: --ports needs LOW-HIGH");
	if (!arguments->user)
		return 0;
	code = password_obtain(arguments, false, password, &generated);
	settings->user = arguments->user;
	settings->password = password;
	settings->realm = arguments->realm ? arguments->realm : TESTPBX_REALM;
	return code;
}

static int testpbx_serve(const struct arguments *arguments, const struct testpbx_settings *settings)
{
	struct event_base *loop = event_base_new();
	struct event *interrupt = evsignal_new(loop, SIGINT, on_signal, loop);
	struct event *terminate =
		evsignal_new(loop, arguments->with_parent ? PROCESS_END_SIGNAL : SIGTERM, on_signal, loop);
	char error[256] = "", text[ADDRESS_TEXT_BYTES];
	struct testpbx *pbx = testpbx_new(loop, settings, error, sizeof(error));
	int code = EXIT_GOOD;

	signal(SIGPIPE, SIG_IGN);
	if (!pbx) {
		code = complain(EXIT_FAILED, "%s", error);
	} else if (privilege_drop("ringwall")) {
		code = complain(EXIT_FAILED, "root cannot be given up");
	} else {
		event_add(terminate, NULL);
		if (arguments->with_parent) {
			prctl(PR_SET_PDEATHSIG, PROCESS_END_SIGNAL); /* after the change of user, which clears it */
			signal(SIGINT, SIG_IGN);
			signal(SIGTERM, SIG_IGN);
		} else {
			event_add(interrupt, NULL);
			printf("Test PBX on %s (UDP, TCP): 600 echoes, 601 plays a tone%s%s. Ctrl-C ends it.\n",
			       address_text(&settings->listen, text), settings->user ? "; user " : "; any user",
			       settings->user ? settings->user : "");
			fflush(stdout);
		}
		event_base_dispatch(loop);
	}
	testpbx_free(pbx);
	event_free(interrupt);
	event_free(terminate);
	event_base_free(loop);
	return code;
}

int testpbx_command(const struct arguments *arguments)
{
	struct testpbx_settings settings = {0};
	char password[PASSWORD_CAPACITY] = "";
	int code = testpbx_settings_read(arguments, &settings, password);

	log_setup("testpbx", LOG_WARNING);
	if (!code)
		code = testpbx_serve(arguments, &settings);
	memory_wipe(password, sizeof(password));
	return code;
}

/* ---- testcall ---- */

static bool seconds_read(const char *text, uint32_t fallback_s, uint32_t *ms)
{
	uint64_t seconds = fallback_s;

	if (text && (span_to_uint(span_from(text), 3600, &seconds) || seconds == 0))
		return false;
	*ms = (uint32_t)seconds * 1000;
	return true;
}

/* What the URI asks for: sips or transport=tls, transport=tcp, else UDP. The agent checks the URI itself. */
static enum transport transport_of(const char *uri)
{
	const char *parameter = strcasestr(uri, ";transport=");
	enum transport transport;

	if (strncasecmp(uri, "sips:", 5) == 0)
		return TRANSPORT_TLS;
	if (parameter) {
		const char *name = parameter + strlen(";transport=");

		if (transport_parse((struct span){name, strcspn(name, ";?>")}, &transport) == 0)
			return transport;
	}
	return TRANSPORT_UDP;
}

static int testcall_settings_read(const struct arguments *arguments, struct testcall_settings *settings, char *password)
{
	bool generated;
	int code = 0;

	settings->target = arguments->words[0];
	settings->user = arguments->user;
	settings->proxy = arguments->proxy;
	settings->authorities = arguments->authorities;
	settings->verify = !arguments->insecure;
	settings->register_first = arguments->user && !arguments->no_register;
	settings->transport = transport_of(settings->target);
	if ((arguments->transport && transport_parse(span_from(arguments->transport), &settings->transport)) ||
	    transport_is_websocket(settings->transport))
		return complain(EXIT_USAGE, "testcall: --transport is one of udp, tcp, tls");
	settings->encrypt = arguments->encrypt || (settings->transport == TRANSPORT_TLS && !arguments->no_encrypt);
	if (arguments->local && address_parse(span_from(arguments->local), &settings->local_address))
		return complain(EXIT_USAGE, "testcall: --local needs an IP address");
	if (!seconds_read(arguments->duration, 3, &settings->duration_ms) ||
	    !seconds_read(arguments->timeout, settings->duration_ms / 1000 + 20, &settings->timeout_ms))
		return complain(EXIT_USAGE, "testcall: --duration and --timeout need seconds, 1 to 3600");
	if (arguments->user) {
		code = password_obtain(arguments, false, password, &generated);
		settings->password = password;
	}
	return code;
}

static void result_print(const struct testcall_settings *settings, const struct testcall_result *result)
{
	if (settings->register_first)
		printf("Registered   %s", result->registered ? "yes" : "no\n");
	if (settings->register_first && result->registered)
		printf(", after %u ms\n", result->register_ms);
	printf("Answered     %s", result->answered ? "yes" : "no\n");
	if (result->answered)
		printf(", after %u ms\n"
		       "Encryption   %s\n"
		       "Codec        %s\n"
		       "Packets      %u sent, %u received, %.1f %% lost\n"
		       "Jitter       %.1f ms\n"
		       "Round trip   %.1f ms\n"
		       "Sound        %s\n",
		       result->setup_ms, result->encrypted ? result->suite : "none", result->codec ? result->codec : "",
		       result->packets_sent, result->packets_received, result->loss_percent, result->jitter_ms,
		       result->round_trip_ms,
		       result->audio_matches ? "came back as it was sent, or as a tone" : "is not what was expected");
	if (result->passed)
		printf("PASSED\n");
	else if (result->status)
		printf("FAILED       %s (last SIP status %u)\n", result->failure, result->status);
	else
		printf("FAILED       %s\n", result->failure);
}

static void result_print_json(const struct testcall_result *r)
{
	json_t *answer = json_pack(
		"{s:b, s:b, s:b, s:b, s:b, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:i, s:s}", "passed", r->passed,
		"registered", r->registered, "answered", r->answered, "encrypted", r->encrypted, "audio_matches",
		r->audio_matches, "suite", r->suite ? r->suite : "none", "codec", r->codec ? r->codec : "",
		"register_ms", r->register_ms, "setup_ms", r->setup_ms, "packets_sent", r->packets_sent,
		"packets_received", r->packets_received, "loss_percent", r->loss_percent, "jitter_ms", r->jitter_ms,
		"round_trip_ms", r->round_trip_ms, "status", r->status, "failure", r->passed ? "" : r->failure);

	json_print(answer);
	json_decref(answer);
}

int testcall_command(const struct arguments *arguments)
{
	struct testcall_settings settings = {0};
	struct testcall_result result = {0};
	char password[PASSWORD_CAPACITY] = "";
	int error, code = testcall_settings_read(arguments, &settings, password);

	if (code)
		return code;
	log_setup("testcall", LOG_WARNING);
	signal(SIGPIPE, SIG_IGN);
	error = testcall_run(&settings, &result);
	memory_wipe(password, sizeof(password));
	if (error)
		return complain(EXIT_FAILED, "the test call cannot be made: %s",
				*result.failure ? result.failure : strerror(-error));
	if (arguments->json)
		result_print_json(&result);
	else
		result_print(&settings, &result);
	return result.passed ? EXIT_GOOD : EXIT_FAILED;
}
