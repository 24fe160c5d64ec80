/* SPDX-License-Identifier: Apache-2.0
 * Numbers and times: patterns, rewriting, and which route a request takes. Pure: a configuration and a moment in, an answer out. */
#include "config/config.h"

#include <errno.h>
#include <string.h>

static bool is_dialled(char byte)
{
	return (byte >= '0' && byte <= '9') || byte == '*' || byte == '#' || byte == '+';
}

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* Steps over one element of a pattern: a character, x, or [0-9]. NULL: it is none. */
static const char *element_end(const char *at)
{
	if (*at != '[')
		return is_dialled(*at) || *at == 'x' ? at + 1 : NULL;
	at++;
	if (*at == ']')
		return NULL;
	for (; *at && *at != ']'; at++)
		if (!is_digit(*at) && !(*at == '-' && is_digit(at[-1]) && is_digit(at[1]) && at[-1] < at[1]))
			return NULL;
	return *at ? at + 1 : NULL;
}

static bool set_holds(const char *at, const char *end, char byte)
{
	for (; at < end; at++) {
		if (at[1] == '-' && at + 2 < end) {
			if (byte >= at[0] && byte <= at[2])
				return true;
			at += 2;
		} else if (*at == byte) {
			return true;
		}
	}
	return false;
}

static bool element_matches(const char *at, const char *end, char byte)
{
	if (*at == 'x')
		return is_digit(byte);
	return *at == '[' ? set_holds(at + 1, end - 1, byte) : *at == byte;
}

bool config_pattern_is_valid(const char *pattern)
{
	if (strlen(pattern) > CONFIG_PATTERN_MAXIMUM || !*pattern)
		return false;
	while (*pattern && !(*pattern == '$' && !pattern[1])) {
		pattern = element_end(pattern);
		if (!pattern)
			return false;
	}
	return true;
}

bool config_pattern_matches(const char *pattern, struct span number)
{
	for (size_t i = 0; *pattern; i++) {
		const char *end;

		if (*pattern == '$')
			return i == number.length;
		end = element_end(pattern);
		if (i >= number.length || !end || !element_matches(pattern, end, number.data[i]))
			return false;
		pattern = end;
	}
	return true;
}

static bool any_matches(char *const *patterns, struct span number)
{
	if (!patterns)
		return true;
	for (; *patterns; patterns++)
		if (config_pattern_matches(*patterns, number))
			return true;
	return false;
}

/* ---- Times ---- */

static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static int day_take(struct span *rest)
{
	for (int day = 0; day < 7; day++)
		if (span_starts_with(*rest, span_from(days[day]))) {
			*rest = span_slice(*rest, 3, rest->length);
			return day;
		}
	return -1;
}

static bool byte_take(struct span *rest, char byte)
{
	if (!rest->length || rest->data[0] != byte)
		return false;
	*rest = span_slice(*rest, 1, rest->length);
	return true;
}

/* "Mon-Fri", "Sat,Sun", or nothing: every day. */
static bool days_take(struct span *rest, uint8_t *bits)
{
	if (!rest->length || is_digit(rest->data[0])) {
		*bits = 0x7f;
		return true;
	}
	do {
		int first = day_take(rest), last = first;

		if (first >= 0 && byte_take(rest, '-'))
			last = day_take(rest);
		if (first < 0 || last < 0)
			return false;
		for (int day = first;; day = (day + 1) % 7) {
			*bits |= (uint8_t)(1u << day);
			if (day == last)
				break;
		}
	} while (byte_take(rest, ','));
	return true;
}

/* "08:00"; 24:00 is the end of the day. */
static bool minute_take(struct span *rest, uint16_t *minute)
{
	const char *at = rest->data;

	if (rest->length < 5 || !is_digit(at[0]) || !is_digit(at[1]) || at[2] != ':' || !is_digit(at[3]) ||
	    !is_digit(at[4]) || at[3] > '5')
		return false;
	*minute = (uint16_t)(((at[0] - '0') * 10 + at[1] - '0') * 60 + (at[3] - '0') * 10 + at[4] - '0');
	*rest = span_slice(*rest, 5, rest->length);
	return *minute <= 24 * 60;
}

int config_hours_parse(struct span text, struct config_hours *out)
{
	struct span rest = span_trim(text);

	*out = (struct config_hours){.until = 24 * 60};
	if (!rest.length || !days_take(&rest, &out->days))
		return -EINVAL;
	rest = span_trim(rest);
	if (!rest.length)
		return 0;
	if (!minute_take(&rest, &out->from) || !byte_take(&rest, '-') || !minute_take(&rest, &out->until) ||
	    rest.length || out->from == out->until)
		return -EINVAL;
	return 0;
}

/* Hours that end before they begin run over midnight, and belong to the day on which they began. */
static bool hours_hold(const struct config_hours *hours, const struct tm *now)
{
	uint16_t minute = (uint16_t)(now->tm_hour * 60 + now->tm_min);
	bool today = hours->days & 1u << now->tm_wday, yesterday = hours->days & 1u << ((now->tm_wday + 6) % 7);

	if (hours->from < hours->until)
		return today && minute >= hours->from && minute < hours->until;
	return (today && minute >= hours->from) || (yesterday && minute < hours->until);
}

static bool any_hours_hold(const struct config_route *route, const struct tm *now)
{
	for (uint8_t i = 0; i < route->hours_count; i++)
		if (hours_hold(&route->hours[i], now))
			return true;
	return !route->hours_count;
}

/* ---- Routes ---- */

int config_route_next(const struct config *config, const struct config_question *question, uint16_t start)
{
	for (uint16_t i = start; i < config->route_count; i++) {
		const struct config_route *route = &config->routes[i];

		if (route->from == question->from && any_matches(route->numbers, question->called) &&
		    any_matches(route->callers, question->caller) && any_hours_hold(route, &question->now))
			return i;
	}
	return -ENOENT;
}

/* With shares the first is drawn by them, and the others follow in the order that they are written in. */
uint8_t config_route_zones(const struct config_route *route, uint64_t chance, uint8_t out[CONFIG_ROUTE_ZONES_MAXIMUM])
{
	uint8_t count = (uint8_t)(1 + route->further_count), first = 0;
	uint64_t sum = 0, drawn;

	for (uint8_t i = 0; i < route->share_count; i++)
		sum += route->shares[i];
	drawn = sum ? chance % sum : 0;
	while (sum && first + 1 < count && drawn >= route->shares[first])
		drawn -= route->shares[first++];
	out[0] = first ? route->further[first - 1] : route->to;
	for (uint8_t i = 0, at = 1; i < count; i++)
		if (i != first)
			out[at++] = i ? route->further[i - 1] : route->to;
	return count;
}

/* ---- Rewriting ---- */

/* An emergency number stays what it is, unless a row names just it. */
static bool may_rewrite(const struct config *config, const struct config_rewrite *row, struct span number)
{
	size_t length = strlen(row->match);

	for (char **emergency = config->site.emergency; emergency && *emergency; emergency++)
		if (span_equal(number, span_from(*emergency)))
			return length && row->match[length - 1] == '$';
	return true;
}

bool config_rewrite(const struct config *config, uint8_t zone, enum config_direction direction, enum config_party party,
		    struct span number, char *out, size_t capacity)
{
	for (uint16_t i = 0; i < config->rewrite_count; i++) {
		const struct config_rewrite *row = &config->rewrites[i];
		struct buffer text = buffer_over(out, capacity);

		if (row->zone != zone || row->direction != direction || row->party != party ||
		    !config_pattern_matches(row->match, number) || !may_rewrite(config, row, number))
			continue;
		buffer_put_text(&text, row->prepend ? row->prepend : "");
		buffer_put_span(&text, span_slice(number, row->strip, number.length));
		buffer_text(&text);
		return text.length && !text.overflow;
	}
	return false;
}
