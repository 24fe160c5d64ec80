/* SPDX-License-Identifier: Apache-2.0
 * Private: the one table that describes every key of the configuration. */
#ifndef RINGWALL_CONFIG_KEYS_H
#define RINGWALL_CONFIG_KEYS_H

#include "config/config.h"

enum key_type {
	KEY_SECTION,  /* a map of further keys */
	KEY_SECTIONS, /* a list of such maps */
	KEY_NAME,     /* of a zone */
	KEY_ZONE,     /* the name of a zone, held as its index */
	KEY_ZONES,    /* of a route: one or a list of them */
	KEY_SHARES,   /* of a route: numbers beside its zones */
	KEY_HOURS,    /* of a route: one or a list */
	KEY_PATTERN,  /* of numbers */
	KEY_PATTERNS, /* one or a list of them */
	KEY_DIALLED,  /* digits, + * # */
	KEY_USER,     /* of the system */
	KEY_ACCOUNT,  /* user part of a SIP address */
	KEY_TEXT,     /* that may stand in quotes as it is */
	KEY_HOST,     /* a name or IP address as it stands in a SIP URI */
	KEY_COUNTRY,
	KEY_PATH,      /* absolute */
	KEY_ADDRESSES, /* one, or a list of two, one of each IP version */
	KEY_LISTENERS,
	KEY_PEERS,
	KEY_NUMBERS,  /* list of telephone numbers */
	KEY_ORIGINS,  /* list of web origins, as texts */
	KEY_SERVERS,  /* list of addresses with or without port, as texts */
	KEY_PREFIXES, /* list of address prefixes; taken into the protection */
	KEY_PORTS,    /* "low-high" */
	KEY_WORD,     /* one of `words`, held as its index */
	KEY_WORDS,    /* list of those, held as bits by index */
	KEY_SUITES,   /* list of those, held as bytes in order */
	KEY_BOOLEAN,
	KEY_INTEGER,
	KEY_SECONDS,      /* a duration, held in seconds */
	KEY_MILLISECONDS, /* a duration, held in milliseconds */
	KEY_TYPE_COUNT,
};

#define KEY_MANDATORY 1u /* must be written (in a section that is there) */
#define KEY_OPTIONAL 2u  /* a section that may be left out with all that is mandatory in it */

struct config_key {
	const char *path; /* "zones.media.ports" */
	enum key_type type;
	unsigned flags;
	size_t offset; /* in struct config; below zones in struct config_zone; below routes in struct config_route, and so on */
	uint64_t minimum, maximum; /* of a number; of a duration in ms; items of a list */
	const char *const *words;
	const char *fallback; /* the default as it would be written; NULL: none, or as fallback_words say */
	const char *fallback_core, *fallback_trunk; /* where the kind of the zone changes it */
	const char *fallback_words;                 /* the default in words, where it is found out */
	const char *unit;
	const char *help;
};

extern const struct config_key config_keys[]; /* sections before what they hold, in the order of the reference */
extern const size_t config_keys_count;

/* Words by enum value, NULL-terminated. An empty word cannot be written. */
/* clang-format off */
extern const char *const words_zone_kind[];
extern const char *const words_authentication[];
extern const char *const words_digest[];
extern const char *const words_register_digest[];
extern const char *const words_client_certificate[];
extern const char *const words_profile[];
extern const char *const words_repairs[];
extern const char *const words_encryption[];
extern const char *const words_suites[];
extern const char *const words_risks[];
extern const char *const words_when[];
extern const char *const words_direction[];
extern const char *const words_party[];
extern const char *const words_verdict[];
extern const char *const words_log_level[];
/* clang-format on */

/* The row of a whole path; or NULL. */
const struct config_key *keys_find(struct span path);

/* The row of `name` in the section `prefix` ("" is the root); or NULL. */
const struct config_key *keys_child(const char *prefix, struct span name);

/* Whether `key` stands directly in the section `prefix`. */
bool keys_is_child(const struct config_key *key, const char *prefix);

/* The last part of its path. */
const char *keys_name(const struct config_key *key);

/* The default for a zone of `kind` (any kind, outside zones), as it would be written; or NULL. */
const char *keys_fallback(const struct config_key *key, enum zone_kind kind);

/* The most similar name in the section; or, when another section holds just this name, that whole path; or NULL. */
const char *keys_suggest(const char *prefix, struct span name);

/* The index of `word`, or -1; and the most similar of `words`, or NULL. */
int words_find(const char *const *words, struct span word);
const char *words_suggest(const char *const *words, struct span word);

/* Writes "a, b or c". */
void words_write(struct buffer *out, const char *const *words);

/* "a number from 1 to 5", "a list of listeners such as …": what the key takes, in words. */
void keys_write_expected(struct buffer *out, const struct config_key *key);

/* A duration in ms as it would be written: "90 s", "12 h". */
void keys_write_duration(struct buffer *out, uint64_t ms);

#endif
