/* SPDX-License-Identifier: Apache-2.0
 * The configuration: one YAML file, described by one table (config/keys.c: path, type, range, default, unit, help), read into an
 * immutable snapshot. `ringwall check`, `check --explain` and docs/configuration.md come from the same table. */
#ifndef RINGWALL_CONFIG_CONFIG_H
#define RINGWALL_CONFIG_CONFIG_H

#include "base/flow.h"
#include "base/log.h"
#include "base/protection.h"

#include <time.h>

#define CONFIG_PATH "/etc/ringwall/ringwall.yaml"
#define CONFIG_ZONES_MAXIMUM 64
#define CONFIG_LISTENERS_MAXIMUM 16 /* of one zone */
#define CONFIG_PEERS_MAXIMUM 64     /* of one zone */
#define CONFIG_ORIGINS_MAXIMUM 32   /* of one zone */
#define CONFIG_ROUTES_MAXIMUM 256
#define CONFIG_REWRITES_MAXIMUM 256

enum zone_kind { ZONE_ACCESS, ZONE_CORE, ZONE_TRUNK };
enum zone_authentication { AUTHENTICATION_NONE, AUTHENTICATION_RELAY, AUTHENTICATION_LOCAL };
enum zone_digest { DIGEST_SHA256, DIGEST_BOTH, DIGEST_MD5 };
enum register_digest {
	REGISTER_STRONGEST, /* what is offered; no MD5 any more once the realm offered SHA-256 */
	REGISTER_SHA256,
	REGISTER_BOTH,
};
enum zone_profile { /* what kind of peer is there: its dialect (call/profile.c) */
		    PROFILE_GENERIC,
		    PROFILE_ASTERISK,
		    PROFILE_FREESWITCH,
		    PROFILE_3CX,
		    PROFILE_TEAMS,
		    PROFILE_LYNC,
};
enum zone_repair {
	REPAIR_CONTACT_NAME,
	REPAIR_CONTACT_USER,
	REPAIR_PREFERRED_IDENTITY,
	REPAIR_REMOTE_PARTY,
	REPAIR_USER_PHONE,
	REPAIR_ONE_SUITE,
	REPAIR_COUNT,
};
enum zone_client_certificate { CLIENT_CERTIFICATE_NONE, CLIENT_CERTIFICATE_ASK, CLIENT_CERTIFICATE_REQUIRE };
enum zone_encryption {
	ENCRYPTION_NONE,     /* plain RTP only */
	ENCRYPTION_OFFERED,  /* SRTP where the peer can, RTP where it cannot (RFC 8643) */
	ENCRYPTION_REQUIRED, /* SRTP, or the call is refused */
};
/* How keys of encrypted media may be agreed on; what is offered to a phone that has not said what it can. */
enum zone_keying {
	KEYING_ANY,  /* what the peer offers; to browsers DTLS, to others SDES */
	KEYING_SDES, /* a=crypto lines (RFC 4568) alone */
	KEYING_DTLS, /* DTLS-SRTP (RFC 5763) alone */
};
/* Unsafe choices that are errors unless the zone acknowledges them by name in `accept_risks`. */
enum zone_risk {
	RISK_UNENCRYPTED_MEDIA,     /* encryption: none on an access zone that others can reach */
	RISK_UNAUTHENTICATED_CALLS, /* authentication: none on such a zone */
};
/* What a zone takes part in of what sends calls elsewhere (THREATS S5, S13). */
enum zone_transfers { TRANSFERS_PASS, TRANSFERS_REFUSE }; /* REFER and Replaces; both zones must say pass */
enum zone_redirects {
	REDIRECTS_FOLLOW, /* the gateway sends the call on by itself */
	REDIRECTS_PASS,   /* the caller is told, without the hosts */
	REDIRECTS_REFUSE,
};
const char *zone_kind_name(enum zone_kind kind);
const char *zone_encryption_name(enum zone_encryption encryption);

struct config_listener {
	enum transport transport;
	struct address address;
	char *text; /* as written: "tls:203.0.113.7:5061" */
};

struct config_peer {
	char *text;             /* as written: a sip URI */
	char *host;             /* name or IP address */
	struct address address; /* of an IP-address host; family NONE for a name, whose servers DNS says (RFC 3263) */
	enum transport transport;
	uint16_t port; /* never 0 */
	bool secure;   /* a sips URI */
	bool port_written, transport_written;
	uint32_t line;
};

struct config_zone {
	char *name;
	enum zone_kind kind;
	struct config_listener *listeners;
	uint8_t listener_count;
	struct config_peer *peers;
	uint8_t peer_count;
	enum zone_authentication authentication; /* access only; NONE elsewhere */
	enum zone_digest digest;                 /* what local authentication challenges with */
	char *domain; /* host of From, To and Request-URI toward this zone; default site.domain; IPv6 in brackets */
	struct {
		char **origins; /* NULL-terminated; NULL: https and site.domain */
		bool programs;
	} websocket;
	bool verify; /* certificates of TLS peers dialled; default true */
	enum zone_client_certificate client_certificate;
	char *authorities; /* path; NULL: tls.authorities */
	enum zone_profile profile;
	uint32_t repairs;      /* bits by enum zone_repair, beside those of the profile */
	uint32_t accept_risks; /* bits by enum zone_risk */
	enum zone_transfers transfers;
	enum zone_redirects redirects; /* 3xx that come from this zone */
	uint32_t watch_s;              /* how often peers are asked whether they are there; 0: never */
	uint32_t failover_ms;          /* how long a peer may stay silent before the next is tried */
	bool balance;                  /* calls are shared among the peers, rather than all going to the first */
	struct {
		/* Port 0; default: that of the first listener. The second is of the other IP version, with family NONE where the zone
		 * has one version alone: config_media_address chooses. */
		struct address address, address_other;
		char *advertised; /* IP address written into SDP instead, when behind static NAT; NULL: the same */
		struct address advertised_address, advertised_other;
		uint16_t port_low, port_high;
		enum zone_encryption encryption;
		enum zone_keying keying;
		bool end_to_end;   /* DTLS-SRTP between two zones that both say so is left to the peers (THREATS P1) */
		uint8_t suites[8]; /* enum sdp_suite numbers, most wanted first */
		uint8_t suite_count;
		bool suites_from_default;
	} media;
	struct {
		char *user; /* NULL: no registration */
		char *password_file;
		char *login; /* of the credentials; NULL: the user */
		char *realm; /* the only one that is answered; NULL: that of the registrar's first challenge */
		enum register_digest digest;
		uint32_t expires_s;
		bool bulk; /* RFC 6140 */
	} registration;
	struct {
		uint32_t expires_s;           /* told to phones over streams */
		uint32_t expires_udp_s;       /* told to phones on UDP, short to keep NAT open */
		uint32_t registrar_expires_s; /* asked of the PBX */
		uint32_t contacts_maximum;    /* of one account */
	} bindings;
};

enum route_condition { ROUTE_ALWAYS, ROUTE_REGISTERED };
/* Hours of the week, of the machine's time zone. `until` before `from` runs over midnight. */
struct config_hours {
	uint8_t days;         /* bits: 1 << 0 is Sunday */
	uint16_t from, until; /* minutes of the day */
};
#define CONFIG_ROUTE_ZONES_MAXIMUM 8
#define CONFIG_ROUTE_HOURS_MAXIMUM 8
#define CONFIG_PATTERN_MAXIMUM 64 /* bytes */
struct config_route {
	uint8_t from, to;                                /* indices of zones */
	uint8_t further[CONFIG_ROUTE_ZONES_MAXIMUM - 1]; /* tried in this order when `to` fails */
	uint8_t further_count;
	uint32_t shares[CONFIG_ROUTE_ZONES_MAXIMUM]; /* of `to` and `further`: how the load is shared */
	uint8_t share_count;                         /* 0: always `to` first */
	enum route_condition when;
	char **numbers, **callers; /* patterns, NULL-terminated; NULL: all */
	struct config_hours hours[CONFIG_ROUTE_HOURS_MAXIMUM];
	uint8_t hours_count; /* 0: at all times */
};

enum config_direction { DIRECTION_IN, DIRECTION_OUT }; /* from the zone to us; from us into the zone */
enum config_party { PARTY_CALLED, PARTY_CALLER };
struct config_rewrite {
	uint8_t zone;
	enum config_direction direction;
	enum config_party party;
	char *match;    /* a pattern */
	uint32_t strip; /* characters from the front */
	char *prepend;  /* or NULL */
};

enum config_datapath { DATAPATH_AUTO, DATAPATH_SOCKETS, DATAPATH_XDP };

struct config {
	char *file; /* for messages */
	struct {
		char *domain;     /* a name or an IP address; IPv6 in brackets, as in a URI */
		char *country;    /* ISO 3166 alpha-2; NULL when not given */
		char **emergency; /* numbers; NULL-terminated */
	} site;
	char *state_directory;
	char *user; /* whom roles become when started as root */
	struct {
		char *certificate, *key; /* paths; default state_directory/tls/certificate.pem and key.pem */
		char *authorities;       /* path, or NULL: the system's */
		bool generate; /* neither was written, and (if files were checked) no pair is there: one is to be made */
	} tls;
	struct config_zone *zones;
	uint8_t zone_count;
	struct config_route *routes;
	uint16_t route_count;
	struct config_rewrite *rewrites;
	uint16_t rewrite_count;
	struct {
		uint32_t calls, registrations, registrations_per_s, subscriptions;
		uint32_t connections, connections_per_source, handshakes, transactions;
		uint32_t message_bytes, body_bytes, line_bytes, headers;
		uint32_t handshake_ms, first_byte_ms, idle_ms, connect_ms, send_queue_bytes;
	} limits;
	struct {
		uint32_t ring_s;            /* unanswered calls end */
		uint32_t media_silence_s;   /* RTP silence ends a call; 0: never */
		uint32_t duration_s;        /* longest call; 0: no limit */
		uint32_t session_expires_s; /* asked of each peer (RFC 4028); 0: no session timers */
	} calls;
	struct protection protection;
	struct {
		uint32_t findings; /* 0: none are recorded */
		int addresses;     /* enum detect_record_addresses */
	} record;
	char **dns_servers;     /* "address:port", NULL-terminated; NULL: the system's */
	uint32_t media_workers; /* 0: one a core */
	enum config_datapath media_datapath;
	enum log_level log_level;
};

/* Collects errors; each is "file:line: key: what is wrong, what would be right". */
struct config_errors;
struct config_errors *config_errors_new(void);
void config_errors_free(struct config_errors *errors);
uint32_t config_errors_count(const struct config_errors *errors);
const char *config_errors_text(const struct config_errors *errors, uint32_t index);

/* What is accepted but will not do what its owner may expect ("calls with it are never encrypted"). Same form as
 * errors; shown by `check` and logged at start; never a reason to refuse. Out of range gives "". */
uint32_t config_notes_count(const struct config_errors *errors);
const char *config_notes_text(const struct config_errors *errors, uint32_t index);

/* Parses `text` (at most 1 MiB); `file` is for messages. All errors at once, sorted by line. Returns a snapshot owned by the
 * caller, or NULL when there is any error. Touches no file but what the text names, and these only when `check_files`:
 * certificate, key, authorities and password files must be readable, and of the secret ones only by their owner. Whether
 * certificate and key agree is not seen here. */
struct config *config_parse(struct span text, const char *file, bool check_files, struct config_errors *errors);
void config_free(struct config *config); /* NULL is allowed */

/* The same with files checked, and then looked into by who understands them: `inspect` is called once, with whatever was understood
 * of the text (what is wrong is NULL or a default), and complains of what it finds. The rest is as above. */
struct config_check;
typedef void config_inspect(const struct config *config, struct config_check *check);
struct config *config_parse_inspected(struct span text, const char *file, config_inspect *inspect,
				      struct config_errors *errors);

/* An error, or else a note, at the line of `key` ("tls.key"), of zone number `zone` when that is not CONFIG_NO_ZONE ("authorities"). */
#define CONFIG_NO_ZONE 255
void config_complain(struct config_check *check, bool is_error, uint8_t zone, const char *key, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Whether that file was found good, as far as that can be said without looking into it. */
bool config_file_is_good(const struct config_check *check, const char *path);

/* Where the state of a gateway with this configuration is, whatever else is wrong with `text`: for commands that ask a running
 * one. Empty text gives the default. Returns 0; or -ENOENT when there is no default or it does not fit. */
int config_state_directory(struct span text, char *out, size_t capacity);

/* The embedded default, as YAML: one access zone on this machine's address, the test PBX as core. The text is
 * written into `out` (CONFIG_EMBEDDED_BYTES are enough). `address` is what phones reach us at, and `beside` what they do over IPv6 (NULL:
 * they do not); `state_directory` is quoted into it. The PBX is expected at 127.0.0.1:5070 on UDP. */
#define CONFIG_EMBEDDED_BYTES 8192
void config_embedded(struct buffer *out, const struct address *address, const struct address *beside,
		     const char *state_directory);

/* The zone's media address for peers of an IP version (ADDRESS_IPV4 or ADDRESS_IPV6), and what SDP shows instead of it. A zone that has
 * none of this version has the other alone: that is returned. */
const struct address *config_media_address(const struct config_zone *zone, uint8_t family);
const struct address *config_media_shown(const struct config_zone *zone, uint8_t family);

/* ---- Numbers and routes: pure ---- */

/* A pattern is a prefix of digits, `+`, `*` and `#`, where `x` is any digit and `[1-3]` or `[257]` some; with `$` at its end
 * it is the whole number. */
bool config_pattern_is_valid(const char *pattern);
bool config_pattern_matches(const char *pattern, struct span number);

/* "Mon-Fri 08:00-18:00", "Sat,Sun", "22:00-06:00". Returns 0 or -EINVAL. */
int config_hours_parse(struct span text, struct config_hours *out);

struct config_question {
	uint8_t from;               /* zone */
	struct span called, caller; /* user parts */
	struct tm now;              /* local time */
};
/* The first route from `start` on that fits, as its index; or -ENOENT. Whether the called user is registered (`when`) is the
 * caller's to ask. */
int config_route_next(const struct config *config, const struct config_question *question, uint16_t start);

/* The route's zones in the order in which they are to be tried; `chance` is any random number. Returns how many. */
uint8_t config_route_zones(const struct config_route *route, uint64_t chance, uint8_t out[CONFIG_ROUTE_ZONES_MAXIMUM]);

/* A number by the first row of `rewrite` that fits. False: it stays as it is. */
bool config_rewrite(const struct config *config, uint8_t zone, enum config_direction direction, enum config_party party,
		    struct span number, char *out, size_t capacity);

/* From the table: explanation of one key ("zones.media.encryption"; a prefix explains its section) and the whole reference
 * as Markdown (docs/configuration.md). CONFIG_REFERENCE_BYTES are enough for both. explain returns 0; or -ENOENT, with a
 * suggestion in `out` if there is a similar key. */
#define CONFIG_REFERENCE_BYTES 65536
int config_explain(const char *key, struct buffer *out);
void config_reference(struct buffer *out);

#endif
