/* SPDX-License-Identifier: Apache-2.0
 * `route`: which route a number would take, by the configuration alone. Nothing is asked of a running gateway. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/cli.h"

#define NUMBER_CAPACITY 128

/* The question as it is asked, and as `rewrite` makes it on the way in. */
struct asked {
	char called[NUMBER_CAPACITY], caller[NUMBER_CAPACITY];
	struct config_question question;
};

static void number_set(const struct config *config, uint8_t zone, enum config_direction direction,
		       enum config_party party, const char *number, char out[NUMBER_CAPACITY])
{
	if (!config_rewrite(config, zone, direction, party, span_from(number), out, NUMBER_CAPACITY))
		snprintf(out, NUMBER_CAPACITY, "%s", number);
}

static int zone_of(const struct config *config, const char *name)
{
	for (uint8_t i = 0; i < config->zone_count; i++)
		if (!strcmp(config->zones[i].name, name))
			return i;
	return -1;
}

/* The zone that was named; without a name, the only one that has routes. */
static int zone_asked(const struct config *config, const char *name)
{
	int zone = -1;

	if (name)
		return zone_of(config, name);
	for (uint16_t i = 0; i < config->route_count; i++) {
		if (zone >= 0 && config->routes[i].from != zone)
			return -1;
		zone = config->routes[i].from;
	}
	return zone;
}

/* "Mon 09:30": a day and a minute. */
static int time_read(const char *text, struct tm *out)
{
	struct config_hours hours;
	char window[32];

	if (strlen(text) != 9 || text[3] != ' ')
		return -1;
	/* The same words as in a route, read by the same reader. */
	snprintf(window, sizeof(window), "%s-%s", text, strcmp(text + 4, "24:00") ? "24:00" : "00:00");
	if (config_hours_parse(span_from(window), &hours))
		return -1;
	*out = (struct tm){.tm_hour = hours.from / 60, .tm_min = hours.from % 60};
	while (!(hours.days & 1u << out->tm_wday))
		out->tm_wday++;
	return 0;
}

static int asked_read(const struct arguments *arguments, const struct config *config, struct asked *asked)
{
	int zone = zone_asked(config, arguments->from);
	time_t now = (time_t)clock_wall_s();

	if (zone < 0 && arguments->from)
		return complain(EXIT_USAGE, "there is no zone %s", arguments->from);
	if (zone < 0)
		return complain(EXIT_USAGE, "several zones have routes: name one with --from");
	if (strlen(arguments->words[0]) >= NUMBER_CAPACITY ||
	    (arguments->caller && strlen(arguments->caller) >= NUMBER_CAPACITY))
		return complain(EXIT_USAGE, "a number has at most %d characters", NUMBER_CAPACITY - 1);
	localtime_r(&now, &asked->question.now);
	if (arguments->time && time_read(arguments->time, &asked->question.now))
		return complain(EXIT_USAGE, "--time is a day and a time, such as \"Mon 09:30\"");
	asked->question.from = (uint8_t)zone;
	number_set(config, asked->question.from, DIRECTION_IN, PARTY_CALLED, arguments->words[0], asked->called);
	number_set(config, asked->question.from, DIRECTION_IN, PARTY_CALLER, arguments->caller ? arguments->caller : "",
		   asked->caller);
	asked->question.called = span_from(asked->called);
	asked->question.caller = span_from(asked->caller);
	return EXIT_GOOD;
}

/* One zone that would be tried, with what it is told. */
static json_t *zone_json(const struct config *config, uint8_t zone, const struct asked *asked)
{
	char called[NUMBER_CAPACITY], caller[NUMBER_CAPACITY];
	json_t *peers = json_array();

	number_set(config, zone, DIRECTION_OUT, PARTY_CALLED, asked->called, called);
	number_set(config, zone, DIRECTION_OUT, PARTY_CALLER, asked->caller, caller);
	for (uint8_t i = 0; i < config->zones[zone].peer_count; i++)
		json_array_append_new(peers, json_string(config->zones[zone].peers[i].text));
	return json_pack("{s:s, s:s, s:s, s:o}", "zone", config->zones[zone].name, "called", called, "caller", caller,
			 "peers", peers);
}

static json_t *route_json(const struct config *config, uint16_t index, const struct asked *asked)
{
	const struct config_route *route = &config->routes[index];
	json_t *zones = json_array();

	json_array_append_new(zones, zone_json(config, route->to, asked));
	for (uint8_t i = 0; i < route->further_count; i++)
		json_array_append_new(zones, zone_json(config, route->further[i], asked));
	return json_pack("{s:i, s:b, s:b, s:o}", "route", index + 1, "shared", route->share_count > 0,
			 "only_registered", config->zones[route->to].kind == ZONE_ACCESS, "zones", zones);
}

static void route_print(json_t *route)
{
	const char *how = json_boolean_value(json_object_get(route, "only_registered")) ? ", if registered there"
			  : json_boolean_value(json_object_get(route, "shared"))        ? ", the load shared"
											: "";
	json_t *zone, *peer;
	size_t i, k;

	printf("route %lld%s\n", json_integer_value(json_object_get(route, "route")), how);
	json_array_foreach(json_object_get(route, "zones"), i, zone)
	{
		printf("  %s to %s, called %s", i ? "then" : "    ", json_string_value(json_object_get(zone, "zone")),
		       json_string_value(json_object_get(zone, "called")));
		if (*json_string_value(json_object_get(zone, "caller")))
			printf(", caller %s", json_string_value(json_object_get(zone, "caller")));
		putchar('\n');
		json_array_foreach(json_object_get(zone, "peers"), k, peer)
			printf("         %s\n", json_string_value(peer));
	}
}

/* Routes to phones come first where the called one is registered, which the configuration cannot tell: the next is shown, too. */
static json_t *routes_json(const struct config *config, const struct asked *asked)
{
	json_t *routes = json_array();

	for (int i = 0; (i = config_route_next(config, &asked->question, (uint16_t)i)) >= 0; i++) {
		json_array_append_new(routes, route_json(config, (uint16_t)i, asked));
		if (config->zones[config->routes[i].to].kind != ZONE_ACCESS)
			break;
	}
	return routes;
}

static int routes_tell(const struct arguments *arguments, const struct config *config, const struct asked *asked)
{
	json_t *routes = routes_json(config, asked), *route;
	size_t i, count = json_array_size(routes);

	if (arguments->json) {
		json_t *answer = json_pack("{s:s, s:s, s:O}", "from", config->zones[asked->question.from].name,
					   "called", asked->called, "routes", routes);

		json_print(answer);
		json_decref(answer);
	} else {
		json_array_foreach(routes, i, route) route_print(route);
		if (!count)
			printf("no route: calls from %s to %s are refused\n", config->zones[asked->question.from].name,
			       asked->called);
	}
	json_decref(routes);
	return count ? EXIT_GOOD : EXIT_FAILED;
}

int route_command(const struct arguments *arguments)
{
	struct configuration configuration;
	struct asked asked = {0};
	int result = configuration_of(arguments, false, &configuration);

	if (result)
		return result;
	result = asked_read(arguments, configuration.config, &asked);
	if (!result)
		result = routes_tell(arguments, configuration.config, &asked);
	configuration_clear(&configuration);
	return result;
}
