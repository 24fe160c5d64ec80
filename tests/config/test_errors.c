/* SPDX-License-Identifier: Apache-2.0
 * Wrong configurations: each fault is named with its line, its key and what would be right, and all of them at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

/* Lines 1 to 4 of most cases: good, and what is under test follows in line 5. */
#define SITE "site: {domain: a.example}\n"
#define PHONES \
	"zones:\n  - {name: phones, kind: access, listen: [\"tls:192.0.2.1:5061\"],\n     media: {ports: " \
	"\"20000-20999\"}}\n"
#define GOOD SITE PHONES

/* A zone with one thing to put in, in one line. */
#define MEDIA "media: {ports: \"30000-30999\"}"
#define ACCESS(more) "  - {name: two, kind: access, listen: [\"tls:192.0.2.2:5061\"], " more "}\n"
#define CORE(more) "  - {name: pbx, kind: core, listen: [\"udp:192.0.2.2:5060\"], " more "}\n"
#define TRUNK(more) "  - {name: line, kind: trunk, listen: [\"tls:192.0.2.2:5061\"], " more "}\n"
#define PBX CORE("peers: [\"sip:192.0.2.9\"], " MEDIA)

struct wrong {
	const char *text;
	const char *begins;   /* of the only error, after the file's name */
	const char *contains; /* what would be right */
};

static const struct wrong unknown_and_missing[] = {
	{GOOD "limit: {calls: 5}\n", "5: limit: is not known", "did you mean \"limits\""},
	{GOOD "limits: {cals: 5}\n", "5: limits.cals: is not known", "did you mean \"calls\""},
	{GOOD "limits: {message-bytes: 5000}\n", "5: limits.message-bytes: is not known",
	 "did you mean \"message_bytes\""},
	{GOOD "ring_timeout: 5\n", "5: ring_timeout: is not known", "belongs to calls, as calls.ring_timeout"},
	{GOOD "bananas: 5\n", "5: bananas: is not known", "ringwall check --explain"},
	{GOOD "<<: {limits: 5}\n", "5: <<: is not known", "remove it"},
	{GOOD "site: {domain: b}\n", "5: site: stands here a second time", "line 1"},
	{GOOD "limits: {calls: 5, calls: 6}\n", "5: limits.calls: stands here a second time", "line 5"},
	{PHONES, "1: site.domain: is missing", "write a domain name"},
	{SITE, "1: zones: is missing", "write a list of maps"},
	{SITE "zones: []\n", "2: zones: has 0 items", "write 1 to 64"},
	{SITE "zones:\n", "2: zones: is not a list", "begun with a hyphen"},
	{SITE "zones: [5]\n", "2: zones: is not a map", "write its keys"},
	{GOOD ACCESS(MEDIA) "  - {kind: access, listen: [\"tls:192.0.2.3:5061\"], media: {ports: \"20000-29999\"}}\n",
	 "6: zones.name: is missing", "write a name"},
	{GOOD "  - {name: two, listen: [\"tls:192.0.2.2:5061\"], " MEDIA "}\n", "5: zones.kind: is missing",
	 "write access, core or trunk"},
	{GOOD "  - {name: two, kind: access, " MEDIA "}\n", "5: zones.listen: is missing", "write a list such as"},
	{GOOD ACCESS("verify: false"), "5: zones.media.ports: is missing", "\"20000-29999\""},
	{GOOD "  - {name: phones, kind: access, listen: [\"tls:192.0.2.2:5061\"], " MEDIA "}\n",
	 "5: zones.name: \"phones\" is the name of the zone in line 3", "write another"},
	{GOOD "routes: [{from: phones}]\n", "5: routes.to: is missing", "the name of a zone"},
	{GOOD "tls: {certificate: /a}\n", "5: tls.certificate: stands without tls.key", "both or neither"},
	{GOOD "tls: {key: /a}\n", "5: tls.key: stands without tls.certificate", "both or neither"},
};

static const struct wrong types[] = {
	{"site: a.example\n" PHONES, "1: site: is not a map", "write its keys"},
	{"- 5\n", "1: yaml: is not a map", "at the left margin"},
	{"site: {domain: [a]}\n" PHONES, "1: site.domain: is a list", "write a domain name"},
	{"site: {domain: }\n" PHONES, "1: site.domain: has no value", "write a domain name"},
	{"site: {domain: \"a b\"}\n" PHONES, "1: site.domain: \"a b\" is not valid", "write a domain name"},
	{"site: {domain: 192.0.2.300}\n" PHONES, "1: site.domain: \"192.0.2.300\" is not valid", "write a domain name"},
	{"site: {domain: \"2001:db8::1\"}\n" PHONES, "1: site.domain: \"2001:db8::1\" is not valid", "[2001:db8::1]"},
	{"site: {domain: a-.example}\n" PHONES, "1: site.domain: \"a-.example\" is not valid", "write a domain name"},
	{"site: {domain: a, country: gb}\n" PHONES, "1: site.country: \"gb\" is not valid", "two capital letters"},
	{"site: {domain: a, emergency: 112}\n" PHONES, "1: site.emergency: is not a list", "[\"112\", \"999\"]"},
	{"site: {domain: a, emergency: [11x]}\n" PHONES, "1: site.emergency: \"11x\" is no number", "2 to 15 digits"},
	{GOOD "state_directory: tmp\n", "5: state_directory: \"tmp\" is not valid", "absolute path of at most 90"},
	{GOOD "user: \"a b\"\n", "5: user: \"a b\" is not valid", "system user"},
	{GOOD "limits: {calls: many}\n", "5: limits.calls: \"many\" is not valid", "whole number from 1 to 1000000"},
	{GOOD "limits: {calls: -1}\n", "5: limits.calls: \"-1\" is not valid", "whole number from 1 to 1000000"},
	{GOOD "limits: {calls: 0}\n", "5: limits.calls: \"0\" is out of range", "whole number from 1 to 1000000"},
	{GOOD "limits: {calls: 1000001}\n", "5: limits.calls: \"1000001\" is out of range", "from 1 to 1000000"},
	{GOOD "limits: {calls: 99999999999999999999}\n", "5: limits.calls: \"99999999999999999999\" is not valid",
	 "1000000"},
	{GOOD "limits: {calls: {}}\n", "5: limits.calls: is a map", "whole number"},
	{GOOD "limits: {connect_timeout: 5w}\n", "5: limits.connect_timeout: \"5w\" is not valid", "from 100ms to 1m"},
	{GOOD "limits: {connect_timeout: 2m}\n", "5: limits.connect_timeout: \"2m\" is out of range",
	 "from 100ms to 1m"},
	{GOOD "calls: {ring_timeout: 10500ms}\n", "5: calls.ring_timeout: \"10500ms\" is not a whole number",
	 "write one"},
	{GOOD "calls: {ring_timeout: s}\n", "5: calls.ring_timeout: \"s\" is not valid", "from 10s to 10m"},
	{GOOD "log: {level: debgu}\n", "5: log.level: \"debgu\" is not known", "did you mean \"debug\""},
	{GOOD "log: {level: loud}\n", "5: log.level: \"loud\" is not known", "error, warning, notice, info or debug"},
	{GOOD ACCESS("verify: yes, authentication: local, " MEDIA), "5: zones.verify: \"yes\" is not valid",
	 "true or false"},
	{GOOD ACCESS("accept_risks: [all], " MEDIA), "5: zones.accept_risks: \"all\" is not known",
	 "unencrypted_media"},
	{GOOD ACCESS("media: {ports: \"30000-30999\", suites: [DES]}"), "5: zones.media.suites: \"DES\" is not known",
	 "AEAD_AES_256_GCM"},
	{GOOD ACCESS("media: {ports: \"30000-30999\", suites: []}"), "5: zones.media.suites: has 0 items",
	 "write 1 to 6"},
	{GOOD ACCESS("media: {ports: \"30000-30999\", suites: [AEAD_AES_128_GCM, AEAD_AES_128_GCM]}"),
	 "5: zones.media.suites: \"AEAD_AES_128_GCM\" stands twice", "write it once"},
	{GOOD "  - {name: 2, kind: access, listen: [\"tls:192.0.2.2:5061\"], " MEDIA "}\n",
	 "5: zones.name: \"2\" is not valid", "a letter first"},
	{GOOD ACCESS("media: {ports: 20000}"), "5: zones.media.ports: \"20000\" is no range", "\"20000-29999\""},
	{GOOD ACCESS("media: {ports: 30999-30000}"), "5: zones.media.ports: \"30999-30000\" is out of range",
	 "lower port first"},
	{GOOD ACCESS("media: {ports: 80-99}"), "5: zones.media.ports: \"80-99\" is out of range", "from 1024 to 65535"},
	{GOOD ACCESS("media: {ports: 30001-30999}"), "5: zones.media.ports: \"30001-30999\" does not hold whole pairs",
	 "even port"},
	{GOOD ACCESS("media: {ports: 30000-30999, address: here}"), "5: zones.media.address: \"here\" is not valid",
	 "203.0.113.7"},
	{GOOD ACCESS("media: {ports: 30000-30999, address: \"192.0.2.1:5\"}"),
	 "5: zones.media.address: \"192.0.2.1:5\" is not valid", "without port"},
	{GOOD ACCESS("media: {ports: 30000-30999, address: [192.0.2.2, 192.0.2.3]}"),
	 "5: zones.media.address: has two addresses of one IP version", "one IPv4 and one IPv6"},
	{GOOD ACCESS("media: {ports: 30000-30999, address: [192.0.2.2, \"2001:db8::1\", \"2001:db8::2\"]}"),
	 "5: zones.media.address: has 3 items", "write 1 to 2"},
	{GOOD ACCESS("media: {ports: 30000-30999, address: [192.0.2.2, there]}"),
	 "5: zones.media.address: \"there\" is not valid", "203.0.113.7"},
	{GOOD ACCESS("media: {ports: 30000-30999, address: \"fe80::1%eth0\"}"),
	 "5: zones.media.address: \"fe80::1%eth0\" is a link-local address", "a global one"},
	{GOOD ACCESS("media: {ports: 30000-30999, address: {a: b}}"), "5: zones.media.address: is a map",
	 "203.0.113.7"},
};

static const struct wrong endpoints[] = {
	{GOOD "  - {name: two, kind: access, " MEDIA
	      ",\n     listen: [\"tls:192.0.2.2:5061\",\n              \"tls:voip:5061\"]}\n",
	 "7: zones.listen: \"tls:voip:5061\" has no IP address", "no names"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"tls:[fe80::1%eth0]:5061\"]}\n",
	 "5: zones.listen: \"tls:[fe80::1%eth0]:5061\" is a link-local address", "[::]"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"tls:[fe80::1]:5061\"]}\n",
	 "5: zones.listen: \"tls:[fe80::1]:5061\" is a link-local address", "a global one"},
	{GOOD CORE("peers: [\"sip:[fe80::9]\"], " MEDIA), "5: zones.peers: \"sip:[fe80::9]\" is a link-local address",
	 "the peer's global one"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"tls:192.0.2.2\"]}\n",
	 "5: zones.listen: \"tls:192.0.2.2\" has no port", "5060, and 5061 for tls"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"tls:192.0.2.2:0\"]}\n",
	 "5: zones.listen: \"tls:192.0.2.2:0\" has no IP address and port", "transport:address:port"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"sctp:192.0.2.2:5060\"]}\n",
	 "5: zones.listen: \"sctp:192.0.2.2:5060\" does not begin with a transport", "udp:, tcp:, tls: or wss:"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"192.0.2.2:5060\"]}\n",
	 "5: zones.listen: \"192.0.2.2:5060\" does not begin with a transport", "udp:, tcp:, tls: or wss:"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"tls:2001:db8::1:5060\"]}\n",
	 "5: zones.listen: \"tls:2001:db8::1:5060\" has no port", "in brackets"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"tls:224.0.0.1:5061\"]}\n",
	 "5: zones.listen: \"tls:224.0.0.1:5061\" is a multicast address", "one of this machine"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: tls}\n", "5: zones.listen: is not a list",
	 "write a list"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"wss:192.0.2.2:8443\", \"ws:192.0.2.2:8080\"]}\n",
	 "5: zones.listen: \"ws:192.0.2.2:8080\" is not encrypted", "write wss:"},
	{GOOD "  - {name: two, kind: core, " MEDIA ", listen: [\"tls:192.0.2.2:5061\", \"wss:192.0.2.2:8443\"], peers: "
	      "[\"sips:10.0.0.1\"]}\n",
	 "5: zones.listen: \"wss:192.0.2.2:8443\" is for browsers", "remove it"},
	{GOOD ACCESS("websocket: {programs: true}, " MEDIA), "5: zones.websocket: does nothing, as zone two has no wss",
	 "add one"},
	{GOOD "  - {name: two, kind: access, " MEDIA ", listen: [\"wss:192.0.2.2:8443\"], websocket: {origins: "
	      "[\"https://a.example/\"]}}\n",
	 "5: zones.websocket.origins: \"https://a.example/\" is no origin", "write https://"},
	{GOOD "  - {name: two, kind: access, " MEDIA
	      ", listen: [\"wss:192.0.2.2:8443\"], websocket: {origins: [\"*\"]}}\n",
	 "5: zones.websocket.origins: \"*\" is no origin", "write https://"},
	{GOOD CORE("peers: [\"sip:10.0.0.1;transport=ws\"], " MEDIA),
	 "5: zones.peers: \"sip:10.0.0.1;transport=ws\" has a transport that is not served", "udp, tcp or tls"},
	{GOOD CORE("peers: [\"10.0.0.1:5060\"], " MEDIA),
	 "5: zones.peers: \"10.0.0.1:5060\" does not begin with sip:", "sip:host:port"},
	{GOOD CORE("peers: [\"sip:bob@10.0.0.1\"], " MEDIA), "5: zones.peers: \"sip:bob@10.0.0.1\" names a user",
	 "host alone"},
	{GOOD CORE("peers: [\"sip:10.0.0.1;transport=sctp\"], " MEDIA),
	 "5: zones.peers: \"sip:10.0.0.1;transport=sctp\" has a transport that is not served", "udp, tcp or tls"},
	{GOOD CORE("peers: [\"sip:10.0.0.1;lr\"], " MEDIA), "5: zones.peers: \"sip:10.0.0.1;lr\" has something after",
	 ";transport="},
	{GOOD CORE("peers: [\"sip:10.0.0.1:0\"], " MEDIA),
	 "5: zones.peers: \"sip:10.0.0.1:0\" has no port that can be read", "1 to 65535"},
	{GOOD CORE("peers: [\"sip:10.0.0.1:70000\"], " MEDIA), "5: zones.peers: \"sip:10.0.0.1:70000\" has no port",
	 "1 to 65535"},
	{GOOD CORE("peers: [\"sip:10.0.0.1:\"], " MEDIA), "5: zones.peers: \"sip:10.0.0.1:\" has no port",
	 "1 to 65535"},
	{GOOD CORE("peers: [\"sip:\"], " MEDIA), "5: zones.peers: \"sip:\" has no host", "a name"},
	{GOOD CORE("peers: [\"sip:[2001:db8::1\"], " MEDIA), "5: zones.peers: \"sip:[2001:db8::1\" has no host",
	 "in brackets"},
	{GOOD CORE("peers: [\"sip:10.0.0.300\"], " MEDIA), "5: zones.peers: \"sip:10.0.0.300\" has no host", "IPv4"},
	{GOOD CORE("peers: [\"sip:0.0.0.0\"], " MEDIA), "5: zones.peers: \"sip:0.0.0.0\" is not the address of one",
	 "peer's own"},
	{GOOD CORE("peers: [\"sips:10.0.0.1;transport=udp\"], " MEDIA),
	 "5: zones.peers: \"sips:10.0.0.1;transport=udp\" is a sips", "transport=tls"},
	{GOOD CORE("peers: [], " MEDIA), "5: zones.peers: has 0 items", "write 1 to 64"},
};

static const struct wrong combinations[] = {
	/* Eavesdropping and keys in the clear: THREATS M1. */
	{GOOD ACCESS("media: {ports: 30000-30999, encryption: none}"),
	 "5: zones.media.encryption: none lets anybody on the way listen", "accept_risks: [unencrypted_media]"},
	{GOOD "  - {name: two, kind: access, listen: [\"udp:192.0.2.2:5060\"], " MEDIA "}\n",
	 "5: zones.media.encryption: is required, but zone two has no tls listener", "add one to listen"},
	{GOOD "  - {name: two, kind: access, listen: [\"udp:192.0.2.2:5060\"],\n     media: {ports: 30000-30999, "
	      "encryption: offered}}\n",
	 "6: zones.media.encryption: is offered, but zone two has no tls listener", "add one to listen"},
	{GOOD "  - {name: line, kind: trunk, listen: [\"udp:192.0.2.2:5060\"], peers: [\"sip:192.0.2.9\"], " MEDIA
	      "}\n",
	 "5: zones.peers: \"sip:192.0.2.9\" is reached over udp, so the keys of required encryption", "transport=tls"},
	{GOOD CORE("peers: [\"sip:192.0.2.9\"],\n    media: {ports: 30000-30999, encryption: required}"),
	 "5: zones.peers: \"sip:192.0.2.9\" is reached over udp, so the keys", "encryption: offered or none"},
	/* Who may speak: THREATS N7, S13. */
	{GOOD CORE(MEDIA), "5: zones.peers: zone pbx is core and has none", "sip:10.0.0.10:5060"},
	{GOOD TRUNK(MEDIA), "5: zones.peers: zone line is trunk and has none", "sip:10.0.0.10:5060"},
	{GOOD ACCESS("peers: [\"sip:10.0.0.1\"], " MEDIA), "5: zones.peers: zone two is access", "remove the peers"},
	{GOOD ACCESS("authentication: none, " MEDIA), "5: zones.authentication: none lets anybody call",
	 "accept_risks: [unauthenticated_calls]"},
	{GOOD ACCESS("authentication: none, accept_risks: [unencrypted_media], " MEDIA),
	 "5: zones.authentication: none lets anybody call", "accept_risks: [unauthenticated_calls]"},
	{GOOD CORE("authentication: local, peers: [\"sip:192.0.2.9\"], " MEDIA),
	 "5: zones.authentication: zone pbx is core", "remove it"},
	{GOOD ACCESS("digest: both, " MEDIA), "5: zones.digest: does nothing", "authentication: local"},
	/* Ends that cannot meet. */
	{GOOD CORE("peers: [\"sip:192.0.2.9;transport=tcp\"], " MEDIA),
	 "5: zones.peers: \"sip:192.0.2.9;transport=tcp\" needs a tcp listener on an IPv4 address", "zone pbx"},
	{GOOD CORE("peers: [\"sip:[2001:db8::9]\"], " MEDIA),
	 "5: zones.peers: \"sip:[2001:db8::9]\" needs a udp listener on an IPv6", "zone pbx"},
	{GOOD "  - {name: pbx, kind: core, listen: [\"tls:192.0.2.2:5061\"], " MEDIA
	      ",\n     peers: [\"sips:192.0.2.9\",\n"
	      "             \"sips:192.0.2.2\"]}\n",
	 "7: zones.peers: \"sips:192.0.2.2\" is this gateway itself (listener in line 5)", "the other side's"},
	{GOOD "  - {name: two, kind: access, listen: [\"tls:192.0.2.1:5061\"], media: {ports: 20000-20999}}\n",
	 "5: zones.listen: \"tls:192.0.2.1:5061\" is on the same port as \"tls:192.0.2.1:5061\" in line 3",
	 "another port"},
	{GOOD "  - {name: two, kind: access, listen: [\"tls:192.0.2.2:5061\", \"tcp:192.0.2.2:5061\"], " MEDIA "}\n",
	 "5: zones.listen: \"tcp:192.0.2.2:5061\" is on the same port as \"tls:192.0.2.2:5061\" in line 5",
	 "another port"},
	{GOOD "  - {name: two, kind: access, listen: [\"tls:0.0.0.0:5061\"], media: {ports: 30000-30999, address: "
	      "192.0.2.1}}\n",
	 "5: zones.listen: \"tls:0.0.0.0:5061\" is on the same port as \"tls:192.0.2.1:5061\" in line 3",
	 "another port"},
	{GOOD "  - {name: two, kind: access, listen: [\"tls:192.0.2.2:5061\", \"wss:192.0.2.1:5061\"], " MEDIA "}\n",
	 "5: zones.listen: \"wss:192.0.2.1:5061\" is on the same port", "another port"},
	/* Media. */
	{GOOD ACCESS("media: {ports: 30000-30999, address: 0.0.0.0}"),
	 "5: zones.media.address: is not the address of one machine", "media.advertised"},
	{GOOD "  - {name: two, kind: access, listen: [\"tls:0.0.0.0:5062\"], " MEDIA "}\n",
	 "5: zones.media.address: is not written, and the first listener has an any-address", "this machine's address"},
	{GOOD ACCESS("media: {ports: 30000-30999, advertised: \"2001:db8::1\"}"),
	 "5: zones.media.advertised: is not of the same IP version", "that stands for that one"},
	{GOOD ACCESS("media: {ports: 30000-30999, advertised: 0.0.0.0}"),
	 "5: zones.media.advertised: is not the address", "of the NAT"},
	{GOOD ACCESS("media: {ports: 20500-21999, address: [\"2001:db8::1\", 192.0.2.1]}"),
	 "5: zones.media.ports: 20500-21999 overlaps 20000-20999 in line 4", "the same range or one apart"},
	{GOOD ACCESS("media: {ports: 20500-21999, address: 192.0.2.1}"),
	 "5: zones.media.ports: 20500-21999 overlaps 20000-20999 in line 4", "the same range or one apart"},
	{GOOD "  - {name: two, kind: access, listen: [\"tls:192.0.2.2:5061\", \"udp:192.0.2.2:30600\"], " MEDIA "}\n",
	 "5: zones.media.ports: 30000-30999 holds the port of \"udp:192.0.2.2:30600\"", "a range without it"},
	/* Registrations. */
	{GOOD ACCESS("register: {user: a, password_file: /a}, " MEDIA), "5: zones.register: is for trunks",
	 "remove it"},
	{GOOD TRUNK("register: {password_file: /a}, peers: [\"sips:192.0.2.9\"], " MEDIA),
	 "5: zones.register.user: is missing", "user part"},
	{GOOD TRUNK("register: {user: a}, peers: [\"sips:192.0.2.9\"], " MEDIA),
	 "5: zones.register.password_file: is missing", "absolute path"},
	{GOOD TRUNK("register: {user: a, password_file: /a, login: \"a\\\"b\"}, peers: [\"sips:192.0.2.9\"], " MEDIA),
	 "5: zones.register.login:", "without quotes"},
	/* Dialects. */
	{GOOD ACCESS("profile: teams, " MEDIA), "5: zones.profile: is for core and trunk", "remove it"},
	{GOOD ACCESS("repairs: [user_phone], " MEDIA), "5: zones.repairs: is for core and trunk", "remove it"},
	{GOOD CORE("profile: teams, peers: [\"sip:192.0.2.9\"], " MEDIA),
	 "5: zones.peers: \"sip:192.0.2.9\" is reached over udp", "speaks TLS alone"},
	{GOOD CORE("profile: lync, peers: [\"sip:192.0.2.9\"], " MEDIA),
	 "5: zones.peers: \"sip:192.0.2.9\" is reached over udp", "TLS or TCP alone"},
	/* Certificates of who connects. */
	{GOOD ACCESS("client_certificate: require, " MEDIA), "5: zones.client_certificate: is for core and trunk",
	 "remove it"},
	{GOOD ACCESS("authorities: /a.pem, " MEDIA), "5: zones.authorities: is for core and trunk", "remove it"},
	{GOOD CORE("client_certificate: ask, peers: [\"sip:192.0.2.9\"], " MEDIA),
	 "5: zones.client_certificate: does nothing", "no tls listener"},
	{GOOD CORE("client_certificate: require, peers: [\"sip:192.0.2.9\"], " MEDIA),
	 "5: zones.client_certificate: is require, and over \"udp:", "or write ask"},
	{GOOD ACCESS("registrations: {registrar_expires: 5m}, " MEDIA),
	 "5: zones.registrations.registrar_expires: is 300 s", "at least 600s"},
	{GOOD ACCESS("registrations: {expires: 20m}, " MEDIA), "5: zones.registrations.expires: is 1200 s",
	 "limits.idle_timeout"},
	/* Limits. */
	{GOOD "limits: {message_bytes: 5000, body_bytes: 6000}\n",
	 "5: limits.body_bytes: is 6000, more than limits.message_bytes", "no more than that"},
	{GOOD "limits: {connections: 50, connections_per_source: 51}\n", "5: limits.connections_per_source: is 51",
	 "no more"},
	/* Protection. */
	{GOOD "protection: {never_block: [192.0.2.0/24, 192.0.2.1/24]}\n",
	 "5: protection.never_block: \"192.0.2.1/24\" is no address or prefix", "zeros behind"},
	{GOOD "protection: {never_block: 192.0.2.1}\n", "5: protection.never_block: is not a list", "2001:db8::/32"},
	{GOOD "protection: {scan: {verdict: ban}}\n", "5: protection.scan.verdict: \"ban\" is not known",
	 "off, report, slow, refuse, cut, lock or block"},
	{GOOD "protection: {scan: {threshold: 0}}\n", "5: protection.scan.threshold: \"0\" is out of range",
	 "1 to 1000000"},
	{GOOD "protection: {gues: {dry_run: true}}\n", "5: protection.gues: is not known", "\"guess\""},
	{GOOD "protection: {duration: {first: 2h, maximum: 1h}}\n", "5: protection.duration.maximum: is 3600 seconds",
	 "at least that"},
	/* Routes. */
	{GOOD "routes: [{from: phonse, to: phones}]\n", "5: routes.from: there is no zone \"phonse\"",
	 "did you mean \"phones\""},
	{GOOD "routes: [{from: phones, to: elsewhere}]\n", "5: routes.to: there is no zone \"elsewhere\"",
	 "under `zones`"},
	{GOOD PBX "routes:\n  - {from: phones, to: pbx}\n  - {from: pbx, to: phones}\n  - {from: phones, to: phones}\n",
	 "9: routes: this route from phones is never reached, the one in line 7 takes all", "put it before"},
	{GOOD PBX "routes:\n  - {from: phones, to: pbx, when: registered}\n",
	 "7: routes.when: nobody registers in zone pbx", "when: always"},
};

static void check(const struct wrong *wrong)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse(span_from(wrong->text), "x.yaml", false, errors);
	const char *text = config_errors_text(errors, 0);
	char begins[256];

	snprintf(begins, sizeof(begins), "x.yaml:%s", wrong->begins);
	if (config || strncmp(text, begins, strlen(begins)) != 0 ||
	    (wrong->contains && !strstr(text, wrong->contains)) ||
	    (wrong->contains && config_errors_count(errors) != 1)) {
		print_error("%s\nshould say: %s … %s\n", wrong->text, begins, wrong->contains ? wrong->contains : "");
		for (uint32_t i = 0; i < config_errors_count(errors); i++)
			print_error("says: %s\n", config_errors_text(errors, i));
		config_free(config);
		config_errors_free(errors);
		fail();
	}
	assert_string_equal(config_errors_text(errors, config_errors_count(errors)), "");
	config_errors_free(errors);
}

#define CHECK_ALL(rows) \
	static void rows##_are_named(void **state) \
	{ \
		(void)state; \
		for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++) \
			check(&(rows)[i]); \
	}
CHECK_ALL(unknown_and_missing)
CHECK_ALL(types)
CHECK_ALL(endpoints)
CHECK_ALL(combinations)

static void assert_error(const struct config_errors *errors, uint32_t index, const char *begins)
{
	if (strncmp(config_errors_text(errors, index), begins, strlen(begins)) != 0)
		fail_msg("error %u is \"%s\", not \"%s…\"", (unsigned)index, config_errors_text(errors, index), begins);
}

static void all_errors_come_at_once_by_line(void **state)
{
	static const char text[] = "site: {country: GBR}\n"
				   "zones:\n"
				   "  - name: phones\n"
				   "    kind: acess\n"
				   "    listen: [\"udp:192.0.2.1\"]\n"
				   "  - kind: trunk\n"
				   "    listen: [\"udp:192.0.2.1:5060\"]\n"
				   "    media: {ports: \"20000-29999\"}\n"
				   "routes:\n"
				   "  - {from: phones, to: nowhere}\n"
				   "limits: {calls: none}\n"
				   "colour: blue\n";
	struct config_errors *errors = config_errors_new();

	(void)state;
	assert_null(config_parse(span_from(text), "x.yaml", false, errors));
	assert_error(errors, 0, "x.yaml:1: site.domain: ");
	assert_error(errors, 1, "x.yaml:1: site.country: ");
	assert_error(errors, 2, "x.yaml:3: zones.media.ports: ");
	assert_error(errors, 3, "x.yaml:4: zones.kind: ");
	assert_error(errors, 4, "x.yaml:5: zones.listen: ");
	assert_error(errors, 5, "x.yaml:6: zones.name: ");
	assert_error(errors, 6, "x.yaml:6: zones.peers: ");
	assert_error(errors, 7, "x.yaml:10: routes.to: ");
	assert_error(errors, 8, "x.yaml:11: limits.calls: ");
	assert_error(errors, 9, "x.yaml:12: colour: ");
	assert_int_equal(config_errors_count(errors), 10);
	config_errors_free(errors);
}

static void loopback_needs_no_acknowledgement(void **state)
{
	static const char text[] =
		SITE "zones: [{name: lab, kind: access, listen: [\"udp:127.0.0.1:5060\", \"udp:[::1]:5060\"],\n"
		     "  authentication: none, media: {ports: \"20000-29999\", encryption: none}}]\n";
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse(span_from(text), "x.yaml", false, errors);

	(void)state;
	assert_non_null(config);
	config_free(config);
	config_errors_free(errors);
}

static void hopeless_files_do_not_flood(void **state)
{
	struct config_errors *errors = config_errors_new();
	static char text[64 * 1024];
	struct buffer out = BUFFER_OVER(text);

	(void)state;
	buffer_put_text(&out, "site: {domain: a}\nroutes:\n");
	for (int i = 0; i < 200; i++)
		buffer_printf(&out, "  - {from: x, too: y, bad: z}\n");
	assert_null(config_parse(span_from(buffer_text(&out)), "x.yaml", false, errors));
	assert_int_equal(config_errors_count(errors), 257);
	assert_string_equal(config_errors_text(errors, 256), "there are more errors than are shown: mend these first");
	config_errors_free(errors);
}

/* What an error quotes is cut, and what is cut is still text. */
static void errors_are_clean_text(void **state)
{
	struct config_errors *errors = config_errors_new();
	char text[512] = GOOD "log: {level: \"";
	const char *error;

	(void)state;
	strcat(text, "x");
	for (int i = 0; i < 60; i++)
		strcat(text, "é");
	strcat(text, "\"}\n");
	assert_null(config_parse(span_from(text), "na\nme\xff.yaml", false, errors));
	error = config_errors_text(errors, 0);
	assert_non_null(strstr(error, "na?me?.yaml:5: log.level: \"xé"));
	assert_non_null(strstr(error, "é?…\" is not known"));
	config_errors_free(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_and_missing_are_named),
		cmocka_unit_test(types_are_named),
		cmocka_unit_test(endpoints_are_named),
		cmocka_unit_test(combinations_are_named),
		cmocka_unit_test(all_errors_come_at_once_by_line),
		cmocka_unit_test(loopback_needs_no_acknowledgement),
		cmocka_unit_test(hopeless_files_do_not_flood),
		cmocka_unit_test(errors_are_clean_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
