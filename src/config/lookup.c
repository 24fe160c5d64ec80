/* SPDX-License-Identifier: Apache-2.0
 * Questions to the table: rows by path, words by enum, and what somebody probably meant. */
#include <string.h>

#include "config/keys.h"

#define SIMILAR_LENGTH_MAXIMUM 40 /* no name or word of the table is longer */

const struct config_key *keys_find(struct span path)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (span_equal(span_from(config_keys[i].path), path))
			return &config_keys[i];
	return NULL;
}

const char *keys_name(const struct config_key *key)
{
	const char *dot = strrchr(key->path, '.');

	return dot ? dot + 1 : key->path;
}

bool keys_is_child(const struct config_key *key, const char *prefix)
{
	size_t length = strlen(prefix);
	size_t parent = (size_t)(keys_name(key) - key->path);

	if (!length)
		return parent == 0;
	return parent == length + 1 && !strncmp(key->path, prefix, length);
}

const struct config_key *keys_child(const char *prefix, struct span name)
{
	for (size_t i = 0; i < config_keys_count; i++)
		if (keys_is_child(&config_keys[i], prefix) && span_equal(span_from(keys_name(&config_keys[i])), name))
			return &config_keys[i];
	return NULL;
}

const char *keys_fallback(const struct config_key *key, enum zone_kind kind)
{
	if (kind == ZONE_CORE && key->fallback_core)
		return key->fallback_core;
	if (kind == ZONE_TRUNK && key->fallback_trunk)
		return key->fallback_trunk;
	return key->fallback;
}

static bool byte_is_same(char a, char b)
{
	a |= a >= 'A' && a <= 'Z' ? 0x20 : 0;
	b |= b >= 'A' && b <= 'Z' ? 0x20 : 0;
	return a == b || ((a == '-' || a == '_') && (b == '-' || b == '_'));
}

/* How many letters must be put in, taken out or replaced (Levenshtein), one row of the matrix at a time. */
static unsigned distance(struct span written, const char *word)
{
	unsigned row[SIMILAR_LENGTH_MAXIMUM + 1];
	size_t length = strlen(word);

	if (written.length > SIMILAR_LENGTH_MAXIMUM || length > SIMILAR_LENGTH_MAXIMUM)
		return SIMILAR_LENGTH_MAXIMUM;
	for (unsigned j = 0; j <= length; j++)
		row[j] = j;
	for (size_t i = 0; i < written.length; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < length; j++) {
			unsigned best = diagonal + !byte_is_same(written.data[i], word[j]);

			diagonal = row[j + 1];
			if (diagonal + 1 < best)
				best = diagonal + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[length];
}

/* Whether `word` is near enough to be meant, and nearer than what *nearest says so far. */
static bool is_nearer(struct span written, const char *word, unsigned *nearest)
{
	unsigned far = distance(written, word);

	if (far > 1 + strlen(word) / 4 || far >= *nearest || far >= strlen(word))
		return false;
	*nearest = far;
	return true;
}

const char *keys_suggest(const char *prefix, struct span name)
{
	unsigned nearest = SIMILAR_LENGTH_MAXIMUM;
	const char *found = NULL;

	for (size_t i = 0; i < config_keys_count; i++)
		if (keys_is_child(&config_keys[i], prefix) && is_nearer(name, keys_name(&config_keys[i]), &nearest))
			found = keys_name(&config_keys[i]);
	if (found)
		return found;
	for (size_t i = 0; i < config_keys_count; i++)
		if (span_equal(span_from(keys_name(&config_keys[i])), name))
			return config_keys[i].path;
	return NULL;
}

int words_find(const char *const *words, struct span word)
{
	for (int i = 0; words[i]; i++)
		if (word.length && span_equal(span_from(words[i]), word))
			return i;
	return -1;
}

const char *words_suggest(const char *const *words, struct span word)
{
	unsigned nearest = SIMILAR_LENGTH_MAXIMUM;
	const char *found = NULL;

	for (int i = 0; words[i]; i++)
		if (is_nearer(word, words[i], &nearest))
			found = words[i];
	return found;
}

void words_write(struct buffer *out, const char *const *words)
{
	bool first = true;

	for (int i = 0; words[i]; i++) {
		if (!*words[i])
			continue;
		if (!first)
			buffer_put_text(out, words[i + 1] ? ", " : " or ");
		buffer_put_text(out, words[i]);
		first = false;
	}
}
