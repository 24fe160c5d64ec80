/* SPDX-License-Identifier: Apache-2.0
 * The commands that ask a running gateway. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "control/control.h"

#define PATIENCE_MS 40000 /* a reload may have to look up names */

int configuration_of(const struct arguments *arguments, bool check_files, struct configuration *configuration)
{
	return configuration_load_or_complain(arguments->configuration, check_files, configuration);
}

int gateway_ask(const char *state_directory, json_t *request, bool quiet_when_none, json_t **answer)
{
	int error = control_ask(state_directory, request, PATIENCE_MS, answer);

	json_decref(request);
	if (error == -ENOENT || error == -ECONNREFUSED) {
		if (!quiet_when_none)
			complain(0, "no gateway runs with state directory %s; start one with: ringwall run",
				 state_directory);
		return error;
	}
	if (error) {
		complain(0, "the gateway at %s does not answer: %s", state_directory, strerror(-error));
		return error;
	}
	if (!json_is_true(json_object_get(*answer, "ok"))) {
		const char *text = json_string_value(json_object_get(*answer, "error"));

		complain(0, "%s", text ? text : "the gateway refused");
		json_decref(*answer);
		*answer = NULL;
		return -EPROTO;
	}
	return 0;
}

void json_print(json_t *answer)
{
	json_object_del(answer, "ok");
	json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
	putchar('\n');
}

const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

long long number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

int ask_and_print(const struct arguments *arguments, json_t *request, void (*print)(const json_t *answer))
{
	const char *path = arguments->configuration ? arguments->configuration : CONFIG_PATH;
	char state_directory[1024];
	json_t *answer;
	int error = configuration_state_directory(arguments->configuration, state_directory, sizeof(state_directory));

	if (error) {
		json_decref(request);
		return complain(EXIT_FAILED, "%s: cannot be read: %s", path, strerror(-error));
	}
	if (gateway_ask(state_directory, request, false, &answer))
		return EXIT_FAILED;
	if (arguments->json)
		json_print(answer);
	else
		print(answer);
	json_decref(answer);
	return EXIT_GOOD;
}

const char *duration_text(long long seconds, char out[32])
{
	if (seconds >= 86400)
		snprintf(out, 32, "%lld d %02lld:%02lld:%02lld", seconds / 86400, seconds / 3600 % 24,
			 seconds / 60 % 60, seconds % 60);
	else if (seconds >= 3600)
		snprintf(out, 32, "%02lld:%02lld:%02lld", seconds / 3600, seconds / 60 % 60, seconds % 60);
	else
		snprintf(out, 32, "%02lld:%02lld", seconds / 60, seconds % 60);
	return out;
}

/* ---- status ---- */

static void zones_print(const json_t *zones)
{
	static const char *const headline[] = {"ZONE", "KIND", "MEDIA ENCRYPTION", "LISTENS ON"};
	struct text_table *table = text_table_new(headline, 4);
	const json_t *zone, *listener;
	size_t i, k;

	json_array_foreach(zones, i, zone)
	{
		char listeners[180] = "";
		size_t length = 0;

		json_array_foreach(json_object_get(zone, "listen"), k, listener)
		{
			length += (size_t)snprintf(listeners + length, sizeof(listeners) - length, "%s%s", k ? " " : "",
						   json_string_value(listener));
			if (length >= sizeof(listeners))
				break;
		}
		text_table_cell(table, "%s", text_of(zone, "name"));
		text_table_cell(table, "%s", text_of(zone, "kind"));
		text_table_cell(table, "%s", text_of(zone, "encryption"));
		text_table_cell(table, "%s", listeners);
	}
	text_table_print(table, "");
}

/* What drops the packets of who is blocked, and why it is no better. */
static void shield_print(const json_t *shield)
{
	const char *reason = text_of(shield, "reason");

	printf("  blocks by %s%s%s, %lld in force\n\n", text_of(shield, "by"), *reason ? ": " : "", reason,
	       number_of(shield, "blocks"));
}

/* The accounts at providers: since when, how long yet, and what went wrong last. */
static void trunks_print(const json_t *trunks)
{
	static const char *const headline[] = {"TRUNK", "ACCOUNT", "STATE", "NEXT", "LAST FAILURE"};
	struct text_table *table;
	const json_t *trunk;
	char duration[32];
	size_t i;

	if (!json_array_size(trunks))
		return;
	table = text_table_new(headline, 5);
	json_array_foreach(trunks, i, trunk)
	{
		const char *failure = text_of(trunk, "failure");

		text_table_cell(table, "%s", text_of(trunk, "zone"));
		text_table_cell(table, "%s", text_of(trunk, "user"));
		if (number_of(trunk, "expires_s"))
			text_table_cell(table, "registered %s ago, for %llds",
					duration_text(number_of(trunk, "registered_s"), duration),
					number_of(trunk, "expires_s"));
		else
			text_table_cell(table, "%s", text_of(trunk, "state"));
		text_table_cell(table, "in %s", duration_text(number_of(trunk, "next_s"), duration));
		text_table_cell(table, "%s", *failure ? failure : "-");
	}
	printf("\n");
	text_table_print(table, "");
}

/* The servers of core and trunk zones. */
static void peers_print(const json_t *peers)
{
	static const char *const headline[] = {"ZONE", "PEER", "SERVER", "STATE", "SINCE", "ROUND TRIP", "WHY"};
	struct text_table *table;
	const json_t *peer;
	char duration[32];
	size_t i;

	if (!json_array_size(peers))
		return;
	table = text_table_new(headline, 7);
	json_array_foreach(peers, i, peer)
	{
		double round_trip = json_real_value(json_object_get(peer, "round_trip_ms"));
		bool known = *text_of(peer, "address");

		text_table_cell(table, "%s", text_of(peer, "zone"));
		text_table_cell(table, "%s", text_of(peer, "peer"));
		text_table_cell(table, "%s%s%s", text_of(peer, "transport"), known ? ":" : "-",
				text_of(peer, "address"));
		text_table_cell(table, "%s", text_of(peer, "state"));
		text_table_cell(table, "%s", known ? duration_text(number_of(peer, "since_s"), duration) : "-");
		if (round_trip > 0)
			text_table_cell(table, "%.1f ms", round_trip);
		else
			text_table_cell(table, "-");
		text_table_cell(table, "%s", *text_of(peer, "reason") ? text_of(peer, "reason") : "-");
	}
	printf("\n");
	text_table_print(table, "");
}

/* Only what happened: a list of zeros hides the one that is not. */
static void counters_print(const json_t *answer, const char *member, const char *prefix)
{
	const json_t *number;
	const char *name;

	json_object_foreach(json_object_get(answer, member), name, number)
	{
		if (json_integer_value(number) == 0)
			continue;
		printf("  %s", prefix);
		for (const char *at = name; *at; at++)
			putchar(*at == '_' ? ' ' : *at);
		printf("%*s%lld\n", (int)(34 - strlen(prefix) - strlen(name)), "",
		       (long long)json_integer_value(number));
	}
}

static void status_print(const json_t *answer)
{
	char uptime[32];

	printf("Ringwall %s for %s: %s, up %s\n\n", text_of(answer, "version"), text_of(answer, "domain"),
	       json_is_true(json_object_get(answer, "ready")) ? "ready" : "starting",
	       duration_text(number_of(answer, "uptime_s"), uptime));
	if (!json_is_true(json_object_get(answer, "media")))
		printf("The media process is down: it is being restarted.\n\n");
	if (!json_is_true(json_object_get(answer, "store")))
		printf("The store process is down: it is being restarted.\n\n");
	if (*text_of(answer, "store_error"))
		printf("The store cannot write: %s. Calls and registrations go on; %lld changes wait for it.\n\n",
		       text_of(answer, "store_error"), number_of(answer, "store_waiting"));
	printf("  calls %lld   registrations %lld   subscriptions %lld   accounts %lld   connections %lld   "
	       "transactions "
	       "%lld\n\n",
	       number_of(answer, "calls"), number_of(answer, "registrations"), number_of(answer, "subscriptions"),
	       number_of(answer, "accounts"), number_of(answer, "connections"), number_of(answer, "transactions"));
	printf("  media by %s\n", text_of(answer, "datapath"));
	shield_print(json_object_get(answer, "shield"));
	zones_print(json_object_get(answer, "zones"));
	peers_print(json_object_get(answer, "peers"));
	trunks_print(json_object_get(answer, "trunks"));
	printf("\nSince the start\n");
	counters_print(answer, "counters", "");
	counters_print(answer, "network", "");
	counters_print(answer, "rejects", "rejected: ");
	counters_print(answer, "evidence", "evidence: ");
}

int status_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s}", "command", "status"), status_print);
}

/* ---- calls, registrations ---- */

#define SOUND_TEXT_BYTES 96

static const char *sound_text(const json_t *media, double lost_percent, char text[SOUND_TEXT_BYTES])
{
	const json_t *jitter = json_object_get(media, "jitter_ms");
	const json_t *round_trip = json_object_get(media, "round_trip_ms"),
		     *score = json_object_get(media, "opinion_score");
	struct buffer out = buffer_over(text, SOUND_TEXT_BYTES);

	buffer_printf(&out, "%.1f %% lost", lost_percent);
	if (jitter)
		buffer_printf(&out, ", %.1f ms jitter", json_real_value(jitter));
	if (round_trip)
		buffer_printf(&out, ", %.0f ms away", json_real_value(round_trip));
	if (score)
		buffer_printf(&out, ", MOS %.1f", json_real_value(score));
	return buffer_text(&out);
}

static void leg_print(struct text_table *table, const json_t *leg, const char *which)
{
	char sound[SOUND_TEXT_BYTES];
	const json_t *media = json_object_get(leg, "media");
	long long packets = number_of(media, "packets_in"), lost = number_of(media, "lost");

	text_table_cell(table, "%s", which);
	text_table_cell(table, "%s", text_of(leg, "zone"));
	text_table_cell(table, "%s", text_of(leg, "user"));
	text_table_cell(table, "%s", text_of(leg, "transport"));
	text_table_cell(table, "%s", text_of(leg, "peer"));
	text_table_cell(table, "%s", text_of(leg, "codec"));
	text_table_cell(table, strcmp(text_of(leg, "keying"), "dtls") ? "%s" : "DTLS, %s", text_of(leg, "encryption"));
	if (packets + lost > 0)
		text_table_cell(table, "%s", sound_text(media, 100.0 * (double)lost / (double)(packets + lost), sound));
	else
		text_table_cell(table, "%s", media ? "silent" : "");
}

static void time_cell(struct text_table *table, time_t at)
{
	char text[32];
	struct tm local;

	if (!localtime_r(&at, &local) || !strftime(text, sizeof(text), "%F %T", &local))
		*text = 0;
	text_table_cell(table, "%s", text);
}

static void rows_print(const json_t *answer, bool ended)
{
	const char *headline[] = {"CALL",
				  ended ? "ENDED" : "STATE",
				  ended ? "BEGAN" : "",
				  "TIME",
				  "PAID BY",
				  "LEG",
				  "ZONE",
				  "USER",
				  "VIA",
				  "PEER",
				  "CODEC",
				  "ENCRYPTION",
				  "SOUND RECEIVED"};
	struct text_table *table;
	const json_t *call;
	char duration[32];
	size_t i;

	if (!ended)
		memmove(&headline[2], &headline[3], 10 * sizeof(headline[0]));
	table = text_table_new(headline, ended ? 13 : 12);
	json_array_foreach(json_object_get(answer, "calls"), i, call)
	{
		text_table_cell(table, "%s", text_of(call, "id"));
		text_table_cell(table, "%s", text_of(call, ended ? "ended" : "state"));
		if (ended)
			time_cell(table, (time_t)number_of(call, "started_at_s"));
		text_table_cell(table, "%s", duration_text(number_of(call, "duration_s"), duration));
		text_table_cell(table, "%s", text_of(call, "payer"));
		leg_print(table, json_object_get(call, "caller"), "caller");
		for (int k = 0; k < (ended ? 5 : 4); k++)
			text_table_cell(table, "%s", "");
		leg_print(table, json_object_get(call, "callee"), "callee");
	}
	text_table_print(table, ended ? "No call has ended." : "No calls.");
}

static void calls_print(const json_t *answer)
{
	rows_print(answer, false);
}

static void ended_print(const json_t *answer)
{
	rows_print(answer, true);
}

int calls_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s, s:b}", "command", "calls", "ended", arguments->ended),
			     arguments->ended ? ended_print : calls_print);
}

static void registrations_print(const json_t *answer)
{
	static const char *const headline[] = {"ACCOUNT",    "ZONE",      "VIA",  "PHONE AT",
					       "EXPIRES IN", "REACHABLE", "PHONE"};
	struct text_table *table = text_table_new(headline, 7);
	const json_t *row;
	char expires[32];
	size_t i;

	json_array_foreach(json_object_get(answer, "registrations"), i, row)
	{
		text_table_cell(table, "%s", text_of(row, "account"));
		text_table_cell(table, "%s", text_of(row, "zone"));
		text_table_cell(table, "%s", text_of(row, "transport"));
		text_table_cell(table, "%s", text_of(row, "remote"));
		text_table_cell(table, "%s", duration_text(number_of(row, "expires_s"), expires));
		text_table_cell(table, "%s", json_is_true(json_object_get(row, "reachable")) ? "yes" : "no");
		text_table_cell(table, "%s", text_of(row, "user_agent"));
	}
	text_table_print(table, "No phone is registered.");
}

int registrations_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s}", "command", "registrations"), registrations_print);
}

/* ---- hangup, reload ---- */

static void hangup_print(const json_t *answer)
{
	(void)answer;
	printf("The call was ended.\n");
}

int hangup_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s, s:s}", "command", "hangup", "call", arguments->words[0]),
			     hangup_print);
}

static void reload_print(const json_t *answer)
{
	char text[4400];

	snprintf(text, sizeof(text), "%s", text_of(answer, "text"));
	printf("%s\n", text_tame(text));
}

/* The file may be the one that is wrong, and then says by itself what; but where the gateway is asked must be known. */
int reload_command(const struct arguments *arguments)
{
	return ask_and_print(arguments, json_pack("{s:s}", "command", "reload"), reload_print);
}
