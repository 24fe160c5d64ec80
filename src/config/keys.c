/* SPDX-License-Identifier: Apache-2.0
 * The table: every key of the configuration with its type, range, default, unit and help. The parser, `ringwall check
 * --explain` and docs/configuration.md are all driven by it; a new key is a row here and a field in config.h. */
#include "config/keys.h"

#include <stddef.h>

#define SECOND 1000ull /* durations are in ms */
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

const char *const words_zone_kind[] = {"access", "core", "trunk", NULL};
const char *const words_authentication[] = {"none", "relay", "local", NULL};
const char *const words_digest[] = {"sha256", "both", "md5", NULL};
const char *const words_register_digest[] = {"strongest", "sha256", "both", NULL};
const char *const words_client_certificate[] = {"none", "ask", "require", NULL};
const char *const words_profile[] = {"generic", "asterisk", "freeswitch", "3cx", "teams", "lync", NULL};
const char *const words_repairs[] = {
	"contact_name", "contact_user", "preferred_identity", "remote_party", "user_phone", "one_suite", NULL};
const char *const words_encryption[] = {"none", "offered", "required", NULL};
static const char *const words_keying[] = {"any", "sdes", "dtls", NULL};
const char *const words_risks[] = {"unencrypted_media", "unauthenticated_calls", NULL};
const char *const words_when[] = {"always", "registered", NULL};
static const char *const words_transfers[] = {"pass", "refuse", NULL};
static const char *const words_redirects[] = {"follow", "pass", "refuse", NULL};
const char *const words_direction[] = {"in", "out", NULL};
const char *const words_party[] = {"called", "caller", NULL};
static const char *const words_datapath[] = {"auto", "sockets", "xdp", NULL};
/* In the order of enum detect_record_addresses. */
static const char *const words_addresses[] = {"plain", "prefixes", "hashed", NULL};
/* In the order of enum protection_action. */
const char *const words_verdict[] = {"off", "report", "slow", "refuse", "cut", "lock", "block", NULL};
const char *const words_log_level[] = {"error", "warning", "notice", "info", "debug", NULL};

/* In the order of SDP_SUITES in sdp/sdp.h, which tests/config holds this to; the first is "no suite". */
const char *const words_suites[] = {"",
				    "AES_CM_128_HMAC_SHA1_80",
				    "AES_CM_128_HMAC_SHA1_32",
				    "AES_256_CM_HMAC_SHA1_80",
				    "AES_256_CM_HMAC_SHA1_32",
				    "AEAD_AES_128_GCM",
				    "AEAD_AES_256_GCM",
				    NULL};

#define IN_CONFIG(member) .offset = offsetof(struct config, member)
#define IN_ZONE(member) .offset = offsetof(struct config_zone, member)
#define IN_ROUTE(member) .offset = offsetof(struct config_route, member)
#define IN_REWRITE(member) .offset = offsetof(struct config_rewrite, member)
/* The keys of one control, by the table of base/protection.h. */
#define CHOICE(id, member) IN_CONFIG(protection.controls[CONTROL_##id].member)
#define CONTROL_KEYS(id, name, limit, half_life, action, what, text) \
	{"protection." name, KEY_SECTION, .help = text}, \
		{"protection." name ".threshold", \
		 KEY_INTEGER, \
		 CHOICE(id, threshold), \
		 RANGE(1, 1000000), \
		 .fallback = #limit, \
		 .unit = what, \
		 .help = "How much is too much; the wider whom it would hit, and the better known, the more it takes " \
			 "(docs/decisions/0017-detection.md)."}, \
		{"protection." name ".half_life", \
		 KEY_SECONDS, \
		 CHOICE(id, half_life_s), \
		 RANGE(0, 365 * DAY), \
		 .fallback = #half_life "s", \
		 .help = "After how long half of it is forgotten. 0: as each kind of evidence says."}, \
		{"protection." name ".verdict", \
		 KEY_WORD, \
		 CHOICE(id, verdict), \
		 .words = words_verdict, \
		 .fallback = #action, \
		 .help = "The hardest that follows. Whom it hits may allow less: an account at a host is refused, " \
			 "not blocked."}, \
		{"protection." name ".dry_run", KEY_BOOLEAN, CHOICE(id, dry_run), .fallback = "false", \
		 .help = "Only say what would have been done."},

#define RANGE(low, high) .minimum = (low), .maximum = (high)

/* clang-format off */
const struct config_key config_keys[] = {
	{"site", KEY_SECTION, .help = "Who runs this gateway and where."},
	{"site.domain", KEY_HOST, KEY_MANDATORY, IN_CONFIG(site.domain),
	 .help = "The name or address that phones are told, and that the certificate must hold. Inner names never leave."},
	{"site.country", KEY_COUNTRY, IN_CONFIG(site.country), .fallback_words = "none: numbers are taken as they are",
	 .help = "The country by whose rules national numbers are read."},
	{"site.emergency", KEY_NUMBERS, IN_CONFIG(site.emergency), RANGE(0, 32), .fallback = "[\"112\", \"911\"]",
	 .help = "Numbers of emergency services. Calls to them are taken however loaded the gateway is."},

	{"state_directory", KEY_PATH, IN_CONFIG(state_directory), RANGE(1, 90),
	 .fallback_words = "/var/lib/ringwall for root; else $XDG_STATE_HOME/ringwall, or ~/.local/state/ringwall",
	 .help = "Where everything is kept that is written at run time: database, self-made certificate, control socket."},
	{"user", KEY_USER, IN_CONFIG(user), .fallback = "ringwall",
	 .help = "The system user that the processes become when started as root."},

	{"tls", KEY_SECTION, .help = "The certificate that TLS listeners show, and whom dialled peers are verified by."},
	{"tls.certificate", KEY_PATH, IN_CONFIG(tls.certificate), RANGE(1, 1024),
	 .fallback_words = "a self-signed pair is made in state_directory/tls",
	 .help = "File with the certificate and its chain, PEM. Goes together with `tls.key`."},
	{"tls.key", KEY_PATH, IN_CONFIG(tls.key), RANGE(1, 1024),
	 .fallback_words = "a self-signed pair is made in state_directory/tls",
	 .help = "File with the private key, PEM. Must be readable by its owner only (chmod 600)."},
	{"tls.authorities", KEY_PATH, IN_CONFIG(tls.authorities), RANGE(1, 1024), .fallback_words = "those of the system",
	 .help = "File with the authorities, PEM, by which certificates of dialled peers are verified."},

	{"zones", KEY_SECTIONS, KEY_MANDATORY, IN_CONFIG(zones), RANGE(1, CONFIG_ZONES_MAXIMUM),
	 .help = "The sides of the gateway, each with one trust. Phones are one, the PBX is another, each provider is one."},
	{"zones.name", KEY_NAME, KEY_MANDATORY, IN_ZONE(name),
	 .help = "What routes, logs and commands call it."},
	{"zones.kind", KEY_WORD, KEY_MANDATORY, IN_ZONE(kind), .words = words_zone_kind,
	 .help = "Who is there: `access` phones and softphones, anybody can send; `core` the PBX; `trunk` a provider. To the "
		 "last two only listed peers may speak. The kind chooses the defaults below."},
	{"zones.listen", KEY_LISTENERS, KEY_MANDATORY, IN_ZONE(listeners), RANGE(1, CONFIG_LISTENERS_MAXIMUM),
	 .help = "Where the gateway receives SIP from this zone: transport (udp, tcp, tls; wss for browsers, "
		 "and ws on loopback), address, port."},
	{"zones.peers", KEY_PEERS, IN_ZONE(peers), RANGE(1, CONFIG_PEERS_MAXIMUM),
	 .fallback_words = "none; mandatory for core and trunk, not allowed for access",
	 .help = "Who is on the other side of a core or trunk zone: requests go to the first that is there, and nobody but them may send. A name stands for all servers that DNS says. The port may be left out (5060, or 5061 for tls), and so may the transport (udp, or tls for sips)."},
	{"zones.authentication", KEY_WORD, IN_ZONE(authentication), .words = words_authentication, .fallback = "relay",
	 .fallback_core = "none", .fallback_trunk = "none",
	 .help = "Who asks callers of an access zone for their password: `relay` the PBX behind does, `local` the gateway does "
		 "(`ringwall account add`), `none` nobody."},
	{"zones.digest", KEY_WORD, IN_ZONE(digest), .words = words_digest, .fallback = "sha256",
	 .help = "What local authentication challenges with (RFC 8760): `sha256`; `both` for old phones beside new ones, the strongest "
		 "first; `md5` for phones that stop at a challenge they do not know, such as baresip 1.0."},
	{"zones.domain", KEY_HOST, IN_ZONE(domain), .fallback_words = "site.domain",
	 .help = "The host that stands in From, To and Request-URI of what is sent into this zone."},
	{"zones.verify", KEY_BOOLEAN, IN_ZONE(verify), .fallback = "true",
	 .help = "Certificates of TLS peers that are dialled must be valid and hold the peer's name (RFC 5922)."},
	{"zones.websocket", KEY_SECTION, .help = "Who may connect to this zone's wss and ws listeners."},
	{"zones.websocket.origins", KEY_ORIGINS, IN_ZONE(websocket.origins), RANGE(1, CONFIG_ORIGINS_MAXIMUM),
	 .fallback_words = "https://, and `site.domain`",
	 .help = "The web sites whose pages may connect, as browsers write them: scheme, host, and the port unless it is the scheme's. "
		 "All others are refused (403)."},
	{"zones.websocket.programs", KEY_BOOLEAN, IN_ZONE(websocket.programs), .fallback = "false",
	 .help = "Also who names no origin may connect. No browser does so; softphones and other programs may."},
	{"zones.authorities", KEY_PATH, IN_ZONE(authorities), RANGE(1, 1024), .fallback_words = "tls.authorities",
	 .help = "File with the authorities, PEM, by which certificates of this core or trunk zone's peers are verified."},
	{"zones.client_certificate", KEY_WORD, IN_ZONE(client_certificate), .words = words_client_certificate,
	 .fallback = "none",
	 .help = "Whether a core or trunk zone's peer that connects over TLS must show a certificate (mutual TLS): `require`; `ask`, "
		 "where one without is let in by its address alone. It must hold the name of one of `peers` (RFC 5922). Its "
		 "connection is then used for requests to it, if it says so (RFC 5923)."},
	{"zones.profile", KEY_WORD, IN_ZONE(profile), .words = words_profile, .fallback = "generic",
	 .help = "What kind of PBX or provider is in this core or trunk zone, where it speaks a dialect of SIP. docs/profiles.md says "
		 "what each changes."},
	{"zones.repairs", KEY_WORDS, IN_ZONE(repairs), RANGE(0, REPAIR_COUNT), .words = words_repairs, .fallback = "[]",
	 .help = "Single repairs of a dialect, beside those of `profile`; see docs/profiles.md."},
	{"zones.accept_risks", KEY_WORDS, IN_ZONE(accept_risks), RANGE(0, 8), .words = words_risks, .fallback = "[]",
	 .help = "Names the unsafe choices that the owner knows of and accepts for this zone. Without it they are errors: "
		 "`unencrypted_media` is `media.encryption: none`, `unauthenticated_calls` is `authentication: none`, each on an "
		 "access zone that listens on more than loopback."},
	{"zones.transfers", KEY_WORD, IN_ZONE(transfers), .words = words_transfers, .fallback = "pass",
	 .fallback_core = "pass", .fallback_trunk = "refuse",
	 .help = "Whether calls are transferred from and to this zone (REFER, Replaces): `pass` where both zones of the call say so, "
		 "`refuse` answers 403. The transferred call is charged to who transfers."},
	{"zones.redirects", KEY_WORD, IN_ZONE(redirects), .words = words_redirects, .fallback = "follow",
	 .fallback_core = "follow", .fallback_trunk = "refuse",
	 .help = "When this zone answers a call with \"moved\" (3xx): `follow` sends the call on, where the routes lead, and charges it to "
		 "the phone that redirected; `pass` tells the caller the number, and no host; `refuse` answers 480."},
	{"zones.watch", KEY_SECONDS, IN_ZONE(watch_s), RANGE(0, HOUR), .fallback = "30s",
	 .help = "How often each server of a core or trunk zone is asked with OPTIONS whether it is there. One that is not is passed over "
		 "until it answers again. 0: never asked."},
	{"zones.failover", KEY_MILLISECONDS, IN_ZONE(failover_ms), RANGE(500, 32 * SECOND), .fallback = "4s",
	 .help = "How long a server of a core or trunk zone may leave a request without any answer before it is sent to the next one."},
	{"zones.balance", KEY_BOOLEAN, IN_ZONE(balance), .fallback = "false",
	 .help = "Requests are shared evenly among the `peers`, rather than going to the first as long as it answers."},
	{"zones.media", KEY_SECTION, .help = "Voice and video of this zone."},
	{"zones.media.address", KEY_ADDRESSES, IN_ZONE(media.address), RANGE(1, 2),
	 .fallback_words = "the address of the first listener, and of the first on the other IP version",
	 .help = "The address of this machine on which media is sent and received. Two, one IPv4 and one IPv6, where peers of both "
		 "are served: each is shown the one of the IP version it signals over."},
	{"zones.media.advertised", KEY_ADDRESSES, IN_ZONE(media.advertised_address), RANGE(1, 2),
	 .fallback_words = "media.address",
	 .help = "The address written into SDP instead, where a static NAT stands before the gateway. Two, where both IP versions "
		 "are translated."},
	{"zones.media.ports", KEY_PORTS, KEY_MANDATORY, IN_ZONE(media), RANGE(1024, 65535),
	 .help = "The UDP ports of media, two for each stream: the first even, the last odd. Zones on one address share a "
		 "range or have separate ones."},
	{"zones.media.encryption", KEY_WORD, IN_ZONE(media.encryption), .words = words_encryption, .fallback = "required",
	 .fallback_core = "none", .fallback_trunk = "required",
	 .help = "`required`: SRTP, or the call is refused. `offered`: SRTP where the peer can, RTP where it cannot. `none`: RTP. "
		 "Keys travel only over TLS."},
	{"zones.media.keying", KEY_WORD, IN_ZONE(media.keying), .words = words_keying, .fallback = "any",
	 .help = "How the keys of SRTP are agreed on: `sdes` in the description of the call (RFC 4568), `dtls` between the media ports "
		 "themselves (DTLS-SRTP), `any` as the peer offers; then browsers are offered DTLS, all others SDES."},
	{"zones.media.end_to_end", KEY_BOOLEAN, IN_ZONE(media.end_to_end), .fallback = "true",
	 .help = "Between two zones that both say so, a call that uses DTLS-SRTP on either side, and ICE where phones are, is encrypted from one peer to the other: "
		 "the gateway has no keys, and checks no more than what is in the clear."},
	{"zones.media.suites", KEY_SUITES, IN_ZONE(media.suites), RANGE(1, 6), .words = words_suites,
	 .fallback = "[AEAD_AES_256_GCM, AEAD_AES_128_GCM, AES_256_CM_HMAC_SHA1_80, AES_CM_128_HMAC_SHA1_80, "
		     "AES_CM_128_HMAC_SHA1_32]",
	 .help = "SRTP suites that are offered and accepted, the most wanted first (RFC 4568, 6188, 7714)."},
	{"zones.register", KEY_SECTION, KEY_OPTIONAL,
	 .help = "The gateway's own account at the provider of a trunk zone: it registers there as `sip:USER@DOMAIN` (the "
		 "zone's `domain`), and answers the provider's challenges, also to calls."},
	{"zones.register.user", KEY_ACCOUNT, KEY_MANDATORY, IN_ZONE(registration.user), .help = "The account's name."},
	{"zones.register.login", KEY_TEXT, IN_ZONE(registration.login), RANGE(1, 128), .fallback_words = "register.user",
	 .help = "The name that goes with the password, where the provider gave another one than the account's."},
	{"zones.register.password_file", KEY_PATH, KEY_MANDATORY, IN_ZONE(registration.password_file), RANGE(1, 1024),
	 .help = "File with nothing but the password. Must be readable by its owner only (chmod 600)."},
	{"zones.register.realm", KEY_TEXT, IN_ZONE(registration.realm), RANGE(1, 128),
	 .fallback_words = "that of the first challenge to a registration",
	 .help = "The only realm whose challenges are answered with this password. Anybody else's are refused and logged."},
	{"zones.register.digest", KEY_WORD, IN_ZONE(registration.digest), .words = words_register_digest,
	 .fallback = "strongest",
	 .help = "`strongest`: what the provider offers, but MD5 no more once it offered SHA-256. `sha256`: never MD5. `both`: for "
		 "providers whose servers differ."},
	{"zones.register.expires", KEY_SECONDS, IN_ZONE(registration.expires_s), RANGE(MINUTE, DAY), .fallback = "1h",
	 .help = "How long a registration is asked for. What the provider grants counts."},
	{"zones.register.bulk", KEY_BOOLEAN, IN_ZONE(registration.bulk), .fallback = "false",
	 .help = "One registration for all numbers of the trunk (RFC 6140). The provider must know of it."},
	{"zones.registrations", KEY_SECTION, .help = "How phones of an access zone are kept registered."},
	{"zones.registrations.expires", KEY_SECONDS, IN_ZONE(bindings.expires_s), RANGE(MINUTE, DAY), .fallback = "10m",
	 .help = "How long a registration over TCP or TLS is good for. Shorter than `limits.idle_timeout`, so that a phone that "
		 "sends no keep-alives stays connected."},
	{"zones.registrations.expires_udp", KEY_SECONDS, IN_ZONE(bindings.expires_udp_s), RANGE(30 * SECOND, HOUR),
	 .fallback = "90s", .help = "How long a registration over UDP is good for. Short, so that a NAT on the way stays open."},
	{"zones.registrations.registrar_expires", KEY_SECONDS, IN_ZONE(bindings.registrar_expires_s), RANGE(MINUTE, 7 * DAY),
	 .fallback = "1h", .help = "What is asked of the PBX. At least as long as what phones are told."},
	{"zones.registrations.contacts", KEY_INTEGER, IN_ZONE(bindings.contacts_maximum), RANGE(1, 100), .fallback = "10",
	 .unit = "devices", .help = "How many devices may be registered on one account at a time."},

	{"routes", KEY_SECTIONS, IN_CONFIG(routes), RANGE(0, CONFIG_ROUTES_MAXIMUM), .fallback_words = "none: no call passes",
	 .help = "Which zone's requests go to which other. The first that matches wins."},
	{"routes.from", KEY_ZONE, KEY_MANDATORY, IN_ROUTE(from), .help = "The zone that a request comes from."},
	{"routes.to", KEY_ZONES, KEY_MANDATORY, IN_ROUTE(to), RANGE(1, CONFIG_ROUTE_ZONES_MAXIMUM),
	 .help = "The zone that it goes to; or a list of core or trunk zones, of which each is tried when the one before it fails."},
	{"routes.share", KEY_SHARES, IN_ROUTE(shares), RANGE(2, CONFIG_ROUTE_ZONES_MAXIMUM),
	 .fallback_words = "none: always the first of `to`, the others when it fails",
	 .help = "How calls are shared between the zones of `to`: a number beside each, such as [2, 1] for two thirds and one third. "
		 "When one fails the others are tried all the same."},
	{"routes.number", KEY_PATTERNS, IN_ROUTE(numbers), RANGE(1, 64), .fallback_words = "all",
	 .help = "Only for these called numbers: the beginning of a number, `x` for any digit, `[1-3]` for some, `$` for its end."},
	{"routes.caller", KEY_PATTERNS, IN_ROUTE(callers), RANGE(1, 64), .fallback_words = "all",
	 .help = "Only for these callers, in the same form."},
	{"routes.time", KEY_HOURS, IN_ROUTE(hours), RANGE(1, CONFIG_ROUTE_HOURS_MAXIMUM), .fallback_words = "always",
	 .help = "Only at these hours, by the clock of this machine."},
	{"routes.when", KEY_WORD, IN_ROUTE(when), .words = words_when, .fallback = "always",
	 .help = "`registered`: only if the called user is registered through this gateway in the zone it goes to."},

	{"rewrite", KEY_SECTIONS, IN_CONFIG(rewrites), RANGE(0, CONFIG_REWRITES_MAXIMUM), .fallback_words = "none: numbers stay",
	 .help = "How numbers are written on each side. For each number the first row that fits is used. `site.emergency` stays as it "
		 "is unless a row names the whole number (`112$`)."},
	{"rewrite.zone", KEY_ZONE, KEY_MANDATORY, IN_REWRITE(zone), .help = "The zone whose way of writing it is."},
	{"rewrite.direction", KEY_WORD, IN_REWRITE(direction), .words = words_direction, .fallback = "out",
	 .help = "`in`: what comes from the zone, before a route is looked for. `out`: what goes into it."},
	{"rewrite.number", KEY_WORD, IN_REWRITE(party), .words = words_party, .fallback = "called",
	 .help = "Whose number."},
	{"rewrite.match", KEY_PATTERN, KEY_MANDATORY, IN_REWRITE(match), .help = "Which numbers, in the form of `routes.number`."},
	{"rewrite.strip", KEY_INTEGER, IN_REWRITE(strip), RANGE(0, 32), .fallback = "0", .unit = "characters",
	 .help = "How much is taken off the front."},
	{"rewrite.prepend", KEY_DIALLED, IN_REWRITE(prepend), RANGE(1, 32), .fallback_words = "nothing",
	 .help = "What is put before the rest."},

	{"limits", KEY_SECTION, .help = "How much of everything there may be. What is over a limit is refused; what is established stays."},
	{"limits.calls", KEY_INTEGER, IN_CONFIG(limits.calls), RANGE(1, 1000000), .fallback = "10000", .unit = "calls",
	 .help = "Calls at a time. The next is answered 503."},
	{"limits.registrations", KEY_INTEGER, IN_CONFIG(limits.registrations), RANGE(1, 10000000), .fallback = "100000",
	 .unit = "registrations", .help = "Devices registered at a time."},
	{"limits.registrations_per_second", KEY_INTEGER, IN_CONFIG(limits.registrations_per_s), RANGE(1, 1000000),
	 .fallback = "500", .unit = "registrations",
	 .help = "Registrations that go on to the PBX in a second; refreshes that it need not see do not count. Who comes too many is "
		 "answered 503 and told when to come again: registered phones before others. No more than the PBX can do."},
	{"limits.subscriptions", KEY_INTEGER, IN_CONFIG(limits.subscriptions), RANGE(1, 10000000), .fallback = "100000",
	 .unit = "subscriptions", .help = "Subscriptions to presence, lines, message waiting and the like at a time. The next is answered 503, as is that of a phone whose "
		 "account holds a sixteenth of them (256 at least)."},
	{"limits.connections", KEY_INTEGER, IN_CONFIG(limits.connections), RANGE(1, 1000000), .fallback = "20000",
	 .unit = "connections", .help = "TCP and TLS connections at a time."},
	{"limits.connections_per_source", KEY_INTEGER, IN_CONFIG(limits.connections_per_source), RANGE(1, 1000000),
	 .fallback = "100", .unit = "connections", .help = "Of them, accepted from one IP address. An office behind one NAT needs one for each phone."},
	{"limits.handshakes", KEY_INTEGER, IN_CONFIG(limits.handshakes), RANGE(1, 100000), .fallback = "200",
	 .unit = "handshakes", .help = "TLS handshakes under way at a time."},
	{"limits.transactions", KEY_INTEGER, IN_CONFIG(limits.transactions), RANGE(16, 10000000), .fallback = "100000",
	 .unit = "transactions", .help = "SIP transactions at a time, of each side (client and server)."},
	{"limits.message_bytes", KEY_INTEGER, IN_CONFIG(limits.message_bytes), RANGE(1500, 65535), .fallback = "65535",
	 .unit = "bytes", .help = "Longest SIP message."},
	{"limits.body_bytes", KEY_INTEGER, IN_CONFIG(limits.body_bytes), RANGE(0, 65535), .fallback = "61440", .unit = "bytes",
	 .help = "Longest body of a SIP message."},
	{"limits.line_bytes", KEY_INTEGER, IN_CONFIG(limits.line_bytes), RANGE(256, 65535), .fallback = "8192",
	 .unit = "bytes", .help = "Longest line of a SIP message's head."},
	{"limits.headers", KEY_INTEGER, IN_CONFIG(limits.headers), RANGE(16, 1024), .fallback = "128", .unit = "headers",
	 .help = "Header fields of one SIP message."},
	{"limits.handshake_timeout", KEY_MILLISECONDS, IN_CONFIG(limits.handshake_ms), RANGE(100, MINUTE), .fallback = "5s",
	 .help = "How long a TLS handshake may take."},
	{"limits.first_byte_timeout", KEY_MILLISECONDS, IN_CONFIG(limits.first_byte_ms), RANGE(100, 10 * MINUTE),
	 .fallback = "10s", .help = "How long a new connection may stay silent, and how long a begun message may stay incomplete."},
	{"limits.idle_timeout", KEY_MILLISECONDS, IN_CONFIG(limits.idle_ms), RANGE(10 * SECOND, 7 * DAY), .fallback = "15m",
	 .help = "A connection on which nothing was received for so long is closed."},
	{"limits.connect_timeout", KEY_MILLISECONDS, IN_CONFIG(limits.connect_ms), RANGE(100, MINUTE), .fallback = "5s",
	 .help = "How long a peer that is dialled has to accept the connection."},
	{"limits.send_queue", KEY_INTEGER, IN_CONFIG(limits.send_queue_bytes), RANGE(65536, 67108864), .fallback = "262144",
	 .unit = "bytes", .help = "What may wait to be sent on one connection. A peer that reads no faster is disconnected."},

	{"calls", KEY_SECTION, .help = "How long calls may ring, be silent and last."},
	{"calls.ring_timeout", KEY_SECONDS, IN_CONFIG(calls.ring_s), RANGE(10 * SECOND, 10 * MINUTE), .fallback = "3m",
	 .help = "A call that nobody answers ends."},
	{"calls.media_silence", KEY_SECONDS, IN_CONFIG(calls.media_silence_s), RANGE(0, DAY), .fallback = "60s",
	 .help = "A call on which no media came from either side for so long ends. 0: never."},
	{"calls.maximum_duration", KEY_SECONDS, IN_CONFIG(calls.duration_s), RANGE(0, 30 * DAY), .fallback = "12h",
	 .help = "The longest call. 0: no limit."},
	{"calls.session_expires", KEY_SECONDS, IN_CONFIG(calls.session_expires_s), RANGE(0, DAY), .fallback = "30m",
	 .help = "Each side of a call shows within this time that it is still there, or the call ends (session timers, "
		 "RFC 4028); where the peer can, at least 90 seconds. 0: never asked."},

	{"protection", KEY_SECTION, .help = "Attackers: what counts as an attack, and what is done. Each control has a section below."},
	{"protection.dry_run", KEY_BOOLEAN, IN_CONFIG(protection.dry_run), .fallback = "false",
	 .help = "Nothing is done to anybody; what would be is said."},
	{"protection.never_block", KEY_PREFIXES, IN_CONFIG(protection), RANGE(0, PROTECTION_NEVER_MAXIMUM), .fallback = "[]",
	 .help = "Addresses to which nothing is done whatever they send, beside the peers of core and trunk zones."},
	{"protection.subjects", KEY_INTEGER, IN_CONFIG(protection.subjects), RANGE(64, 67108864), .fallback = "65536",
	 .unit = "subjects", .help = "How many addresses, accounts, connections and the like are remembered at a time, each in 160 bytes; a phone needs "
		 "two. When there are more, those go first that would be forgotten first. Takes effect at start."},
	{"protection.verdicts", KEY_INTEGER, IN_CONFIG(protection.verdicts), RANGE(64, 16777216), .fallback = "16384",
	 .unit = "verdicts", .help = "How many verdicts are remembered at a time, those that are over among them. Takes effect at start."},
	{"protection.record", KEY_SECTION, .help = "The last findings, in a file of the state directory (store/evidence.record), for `ringwall replay`."},
	{"protection.record.findings", KEY_INTEGER, IN_CONFIG(record.findings), RANGE(0, 67108864), .fallback = "100000", .unit = "findings",
	 .help = "How many the file holds, the newest, each in 88 bytes. 0: none are kept. Takes effect at start."},
	{"protection.record.addresses", KEY_WORD, IN_CONFIG(record.addresses), .words = words_addresses, .fallback = "plain",
	 .help = "`plain`: as they were. `prefixes`: others in their place, by a key that nobody has after the gateway's end; who shared a "
		 "prefix still does. `hashed`: others, and prefixes are not kept either. Names are never in it. Takes effect at start."},
	{"protection.duration", KEY_SECTION, .help = "How long verdicts hold. Pacing holds for the first time alone; a locked account, and whatever hits somebody known, for the second at most."},
	{"protection.duration.first", KEY_SECONDS, IN_CONFIG(protection.expiry.first_s), RANGE(SECOND, 30 * DAY), .fallback = "1m",
	 .help = "The first time."},
	{"protection.duration.factor", KEY_INTEGER, IN_CONFIG(protection.expiry.factor), RANGE(1, 1000), .fallback = "10", .unit = "times",
	 .help = "Each time so much longer than the last."},
	{"protection.duration.maximum", KEY_SECONDS, IN_CONFIG(protection.expiry.maximum_s), RANGE(SECOND, 365 * DAY), .fallback = "1d",
	 .help = "The longest; after as long without a verdict, the next is the first again."},
	PROTECTION_CONTROLS(CONTROL_KEYS)

	{"dns", KEY_SECTION, .help = "How names of peers are looked up (RFC 3263: NAPTR, SRV, A, AAAA)."},
	{"dns.servers", KEY_SERVERS, IN_CONFIG(dns_servers), RANGE(1, 8), .fallback_words = "those of /etc/resolv.conf",
	 .help = "Name servers to ask instead, each an address or address:port."},

	{"media", KEY_SECTION, .help = "The media process."},
	{"media.workers", KEY_INTEGER, IN_CONFIG(media_workers), RANGE(0, 64), .fallback = "0", .unit = "threads",
	 .help = "Threads that carry media. 0: one a core."},
	{"media.datapath", KEY_WORD, IN_CONFIG(media_datapath), .words = words_datapath, .fallback = "auto",
	 .help = "`auto`: where that can be had, plain RTP is relayed by the kernel at the network card (XDP), and SRTP passes its network "
		 "stack (AF_XDP); all else goes by sockets; the log and `ringwall status` say which and why. `sockets`: always. "
		 "`xdp`: the gateway does not start without XDP. Takes effect at start."},

	{"log", KEY_SECTION, .help = "What is written to standard error."},
	{"log.level", KEY_WORD, IN_CONFIG(log_level), .words = words_log_level, .fallback = "info",
	 .help = "The least important lines that are still written. Secrets and whole messages never are."},
};
/* clang-format on */
const size_t config_keys_count = sizeof(config_keys) / sizeof(config_keys[0]);
