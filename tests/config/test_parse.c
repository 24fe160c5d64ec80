/* SPDX-License-Identifier: Apache-2.0
 * Good configurations: what is written arrives, what is not written has its default, and memory may run short anywhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "config/config.h"
#include "config/keys.h"
#include "sdp/sdp.h"

static const char office[] =
	"site:\n"
	"  domain: voip.example.org\n"
	"  country: GB\n"
	"  emergency: [\"999\", 112]\n"
	"state_directory: /var/lib/office\n"
	"user: voice\n"
	"tls:\n"
	"  certificate: /etc/office/tls.crt\n"
	"  key: /etc/office/tls.key\n"
	"  authorities: /etc/office/ca.pem\n"
	"routes:                             # before the zones that they name\n"
	"  - {from: phones, to: pbx}\n"
	"  - {from: pbx, to: phones, when: registered}\n"
	"  - {from: pbx, to: carrier}\n"
	"zones:\n"
	"  - name: phones\n"
	"    kind: access\n"
	"    listen: [\"udp:203.0.113.7:5060\", \"tcp:203.0.113.7:5060\", \"wss:203.0.113.7:8443\", "
	"\"tls:203.0.113.7:5061\"]\n"
	"    authentication: local\n"
	"    websocket: {origins: [\"https://phone.example.org\", \"http://127.0.0.1:8080\"], programs: true}\n"
	"    digest: both\n"
	"    media: {address: 203.0.113.7, advertised: 198.51.100.1, ports: \"20000-29999\", encryption: offered,\n"
	"            suites: [AES_256_CM_HMAC_SHA1_32, AES_CM_128_HMAC_SHA1_80]}\n"
	"    registrations: {expires: 300, expires_udp: 60s, registrar_expires: 2h, contacts: 3}\n"
	"  - name: pbx\n"
	"    kind: core\n"
	"    listen: [\"udp:[2001:db8::1]:5060\", \"tcp:[2001:db8::1]:5060\"]\n"
	"    peers: [\"sip:[2001:db8::10]:5062;transport=tcp\", \"sip:pbx.example.org\"]\n"
	"    domain: \"[2001:db8::10]\"\n"
	"    media: {ports: \"30000-39999\"}\n"
	"  - name: carrier\n"
	"    kind: trunk\n"
	"    listen: [\"tls:203.0.113.7:5071\"]\n"
	"    peers: [\"sip:sip.carrier.example;transport=tls\", \"sips:192.0.2.9:5099\"]\n"
	"    verify: false\n"
	"    register: {user: \"441632960000\", password_file: /etc/office/carrier.secret}\n"
	"    media: {address: 203.0.113.7, ports: \"20000-29999\"}\n"
	"limits: {calls: 7, idle_timeout: 20m, message_bytes: 8000, first_byte_timeout: 1500ms}\n"
	"calls: {ring_timeout: 2m, media_silence: 0, maximum_duration: 1d}\n"
	"media: {workers: 3}\n"
	"protection: {dry_run: true, never_block: [192.0.2.7, \"2001:db8::/32\"], subjects: 1000, duration: {first: "
	"5m},\n"
	"  guess: {threshold: 55, half_life: 2h, verdict: off, dry_run: true}}\n"
	"log: {level: debug}\n";

static const char smallest[] = "site: {domain: 192.0.2.1}\n"
			       "state_directory: /tmp/s\n"
			       "zones:\n"
			       "  - name: a\n"
			       "    kind: access\n"
			       "    listen: [\"tls:192.0.2.1:5061\"]\n"
			       "    media: {ports: \"20000-29999\"}\n";

static struct config *read_good(const char *text, uint32_t notes)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse(span_from(text), "good.yaml", false, errors);

	for (uint32_t i = 0; i < config_errors_count(errors); i++)
		print_error("%s\n", config_errors_text(errors, i));
	assert_non_null(config);
	assert_int_equal(config_errors_count(errors), 0);
	assert_int_equal(config_notes_count(errors), notes);
	config_errors_free(errors);
	return config;
}

static void assert_address(const struct address *address, const char *text)
{
	char data[ADDRESS_TEXT_BYTES];

	assert_string_equal(address_text(address, data), text);
}

static void top_level_values_arrive(void **state)
{
	struct config *config = read_good(office, 1);

	(void)state;
	assert_string_equal(config->file, "good.yaml");
	assert_string_equal(config->site.domain, "voip.example.org");
	assert_string_equal(config->site.country, "GB");
	assert_string_equal(config->site.emergency[0], "999");
	assert_string_equal(config->site.emergency[1], "112");
	assert_null(config->site.emergency[2]);
	assert_string_equal(config->state_directory, "/var/lib/office");
	assert_string_equal(config->user, "voice");
	assert_string_equal(config->tls.certificate, "/etc/office/tls.crt");
	assert_string_equal(config->tls.key, "/etc/office/tls.key");
	assert_string_equal(config->tls.authorities, "/etc/office/ca.pem");
	assert_false(config->tls.generate);
	assert_int_equal(config->limits.calls, 7);
	assert_int_equal(config->limits.idle_ms, 1200000);
	assert_int_equal(config->limits.first_byte_ms, 1500);
	assert_int_equal(config->limits.message_bytes, 8000);
	assert_int_equal(config->limits.body_bytes, 8000); /* the default follows the smaller whole */
	assert_int_equal(config->calls.ring_s, 120);
	assert_int_equal(config->calls.media_silence_s, 0);
	assert_int_equal(config->calls.duration_s, 86400);
	assert_int_equal(config->media_workers, 3);
	assert_int_equal(config->log_level, LOG_DEBUG);
	config_free(config);
}

static void protection_arrives(void **state)
{
	struct config *config = read_good(office, 1);
	const struct protection *protection = &config->protection;
	struct protection defaults;

	(void)state;
	protection_default(&defaults);
	assert_true(protection->dry_run);
	assert_int_equal(protection->never_count, 2);
	assert_int_equal(protection->never[0].bits, 32);
	assert_int_equal(protection->never[1].bits, 32);
	assert_int_equal(protection->never[1].address.family, ADDRESS_IPV6);
	assert_int_equal(protection->subjects, 1000);
	assert_int_equal(protection->expiry.first_s, 300);
	assert_int_equal(protection->expiry.maximum_s, defaults.expiry.maximum_s);
	assert_int_equal(protection->controls[CONTROL_GUESS].threshold, 55);
	assert_int_equal(protection->controls[CONTROL_GUESS].half_life_s, 7200);
	assert_int_equal(protection->controls[CONTROL_GUESS].verdict, ACTION_OFF);
	assert_true(protection->controls[CONTROL_GUESS].dry_run);
	assert_memory_equal(&protection->controls[CONTROL_SCAN], &defaults.controls[CONTROL_SCAN],
			    sizeof(defaults.controls[CONTROL_SCAN]));
	config_free(config);
}

/* One table, two ways to its defaults. */
static void protection_not_written_is_the_tables_own(void **state)
{
	struct config *config = read_good(smallest, 2);
	struct protection defaults;

	(void)state;
	protection_default(&defaults);
	assert_memory_equal(&config->protection, &defaults, sizeof(defaults));
	for (int i = 0; i < ACTION_COUNT; i++)
		assert_string_equal(words_verdict[i], protection_action_name((enum protection_action)i));
	config_free(config);
}

static void access_zone_arrives(void **state)
{
	struct config *config = read_good(office, 1);
	const struct config_zone *zone = &config->zones[0];

	(void)state;
	assert_int_equal(config->zone_count, 3);
	assert_string_equal(zone->name, "phones");
	assert_int_equal(zone->kind, ZONE_ACCESS);
	assert_int_equal(zone->listener_count, 4);
	assert_int_equal(zone->listeners[0].transport, TRANSPORT_UDP);
	assert_address(&zone->listeners[0].address, "203.0.113.7:5060");
	assert_int_equal(zone->listeners[2].transport, TRANSPORT_WSS);
	assert_int_equal(zone->listeners[3].transport, TRANSPORT_TLS);
	assert_string_equal(zone->listeners[3].text, "tls:203.0.113.7:5061");
	assert_string_equal(zone->websocket.origins[0], "https://phone.example.org");
	assert_string_equal(zone->websocket.origins[1], "http://127.0.0.1:8080");
	assert_null(zone->websocket.origins[2]);
	assert_true(zone->websocket.programs);
	assert_null(config->zones[1].websocket.origins);
	assert_false(config->zones[1].websocket.programs);
	assert_int_equal(zone->peer_count, 0);
	assert_int_equal(zone->authentication, AUTHENTICATION_LOCAL);
	assert_int_equal(zone->digest, DIGEST_BOTH);
	assert_true(zone->verify);
	assert_string_equal(zone->domain, "voip.example.org");
	assert_address(&zone->media.address, "203.0.113.7");
	assert_string_equal(zone->media.advertised, "198.51.100.1");
	assert_address(&zone->media.advertised_address, "198.51.100.1");
	assert_int_equal(zone->media.port_low, 20000);
	assert_int_equal(zone->media.port_high, 29999);
	assert_int_equal(zone->media.encryption, ENCRYPTION_OFFERED);
	assert_int_equal(zone->media.suite_count, 2);
	assert_int_equal(zone->media.suites[0], SDP_AES_256_CM_HMAC_SHA1_32);
	assert_int_equal(zone->media.suites[1], SDP_AES_CM_128_HMAC_SHA1_80);
	assert_false(zone->media.suites_from_default);
	assert_int_equal(zone->bindings.expires_s, 300);
	assert_int_equal(zone->bindings.expires_udp_s, 60);
	assert_int_equal(zone->bindings.registrar_expires_s, 7200);
	assert_int_equal(zone->bindings.contacts_maximum, 3);
	config_free(config);
}

static void peer_zones_arrive(void **state)
{
	struct config *config = read_good(office, 1);
	const struct config_zone *pbx = &config->zones[1], *carrier = &config->zones[2];

	(void)state;
	assert_int_equal(pbx->kind, ZONE_CORE);
	assert_int_equal(pbx->authentication, AUTHENTICATION_NONE);
	assert_int_equal(pbx->media.encryption, ENCRYPTION_NONE);
	assert_string_equal(pbx->domain, "[2001:db8::10]");
	assert_address(&pbx->media.address, "[2001:db8::1]");
	assert_int_equal(pbx->peer_count, 2);
	assert_string_equal(pbx->peers[0].text, "sip:[2001:db8::10]:5062;transport=tcp");
	assert_string_equal(pbx->peers[0].host, "2001:db8::10");
	assert_int_equal(pbx->peers[0].transport, TRANSPORT_TCP);
	assert_int_equal(pbx->peers[0].port, 5062);
	assert_address(&pbx->peers[0].address, "[2001:db8::10]:5062");
	assert_int_equal(pbx->peers[1].transport, TRANSPORT_UDP);
	assert_int_equal(pbx->peers[1].port, 5060);
	assert_int_equal(pbx->peers[1].address.family, ADDRESS_NONE);

	assert_int_equal(carrier->kind, ZONE_TRUNK);
	assert_int_equal(carrier->media.encryption, ENCRYPTION_REQUIRED);
	assert_false(carrier->verify);
	assert_int_equal(carrier->peers[0].transport, TRANSPORT_TLS);
	assert_int_equal(carrier->peers[0].port, 5061);
	assert_int_equal(carrier->peers[1].transport, TRANSPORT_TLS);
	assert_int_equal(carrier->peers[1].port, 5099);
	assert_string_equal(carrier->registration.user, "441632960000");
	assert_string_equal(carrier->registration.password_file, "/etc/office/carrier.secret");
	config_free(config);
}

static void routes_keep_their_order(void **state)
{
	struct config *config = read_good(office, 1);

	(void)state;
	assert_int_equal(config->route_count, 3);
	assert_int_equal(config->routes[0].from, 0);
	assert_int_equal(config->routes[0].to, 1);
	assert_int_equal(config->routes[0].when, ROUTE_ALWAYS);
	assert_int_equal(config->routes[1].to, 0);
	assert_int_equal(config->routes[1].when, ROUTE_REGISTERED);
	assert_int_equal(config->routes[2].from, 1);
	assert_int_equal(config->routes[2].to, 2);
	config_free(config);
}

static void what_is_not_written_is_safe(void **state)
{
	struct config *config = read_good(smallest, 2); /* no routes; nobody to relay to */
	const struct config_zone *zone = &config->zones[0];
	static const uint8_t suites[] = {SDP_AEAD_AES_256_GCM, SDP_AEAD_AES_128_GCM, SDP_AES_256_CM_HMAC_SHA1_80,
					 SDP_AES_CM_128_HMAC_SHA1_80, SDP_AES_CM_128_HMAC_SHA1_32};

	(void)state;
	assert_int_equal(zone->authentication, AUTHENTICATION_RELAY);
	assert_int_equal(zone->media.encryption, ENCRYPTION_REQUIRED);
	assert_int_equal(zone->media.suite_count, sizeof(suites));
	assert_memory_equal(zone->media.suites, suites, sizeof(suites));
	assert_true(zone->media.suites_from_default);
	assert_null(zone->media.advertised);
	assert_address(&zone->media.address, "192.0.2.1");
	assert_int_equal(zone->bindings.expires_udp_s, 90);
	assert_int_equal(zone->bindings.registrar_expires_s, 3600);
	assert_int_equal(zone->bindings.contacts_maximum, 10);
	assert_true((uint64_t)zone->bindings.expires_s * 1000 < config->limits.idle_ms);
	assert_int_equal(zone->accept_risks, 0);
	assert_string_equal(config->user, "ringwall");
	assert_string_equal(config->site.emergency[0], "112");
	assert_null(config->site.country);
	assert_true(config->tls.generate);
	assert_string_equal(config->tls.certificate, "/tmp/s/tls/certificate.pem");
	assert_string_equal(config->tls.key, "/tmp/s/tls/key.pem");
	assert_null(config->tls.authorities);
	assert_int_equal(config->limits.calls, 10000);
	assert_int_equal(config->limits.registrations, 100000);
	assert_int_equal(config->limits.connections, 20000);
	assert_int_equal(config->limits.connections_per_source, 100);
	assert_int_equal(config->limits.handshakes, 200);
	assert_int_equal(config->limits.idle_ms, 900000);
	assert_int_equal(config->calls.ring_s, 180);
	assert_int_equal(config->calls.media_silence_s, 60);
	assert_int_equal(config->calls.session_expires_s, 1800);
	assert_int_equal(config->media_workers, 0);
	assert_int_equal(config->log_level, LOG_INFO);
	config_free(config);
}

static void risks_are_accepted_by_name(void **state)
{
	static const char text[] = "site: {domain: a.example}\n"
				   "zones:\n"
				   "  - name: lab\n"
				   "    kind: access\n"
				   "    listen: [\"udp:192.0.2.1:5060\"]\n"
				   "    authentication: none\n"
				   "    accept_risks: [unencrypted_media, unauthenticated_calls]\n"
				   "    media: {ports: \"20000-29999\", encryption: none}\n"
				   "routes: [{from: lab, to: lab}]\n";
	struct config *config = read_good(text, 0);

	(void)state;
	assert_int_equal(config->zones[0].accept_risks,
			 1u << RISK_UNENCRYPTED_MEDIA | 1u << RISK_UNAUTHENTICATED_CALLS);
	config_free(config);
}

/* The shape that users know: one of each kind of zone, wss among the listeners, a trunk with an account. */
static void the_documented_shape_is_accepted(void **state)
{
	static const char text[] =
		"site:\n"
		"  domain: voip.example.org          # what phones are told\n"
		"  country: GB\n"
		"  emergency: [\"999\", \"112\", \"18000\"]\n"
		"state_directory: /var/lib/ringwall\n"
		"tls:\n"
		"  certificate: /etc/ringwall/tls.crt\n"
		"  key: /etc/ringwall/tls.key\n"
		"zones:\n"
		"  - name: phones\n"
		"    kind: access\n"
		"    listen: [\"udp:203.0.113.7:5060\", \"tls:203.0.113.7:5061\", \"wss:203.0.113.7:8443\"]\n"
		"    authentication: relay\n"
		"    media: {address: 203.0.113.7, ports: \"20000-29999\", encryption: required}   # required, "
		"offered, none\n"
		"  - name: pbx\n"
		"    kind: core\n"
		"    listen: [\"udp:10.0.0.1:5060\"]\n"
		"    peers: [\"sip:10.0.0.10:5060;transport=udp\"]\n"
		"    media: {address: 10.0.0.1, ports: \"30000-39999\", encryption: none}\n"
		"  - name: carrier\n"
		"    kind: trunk\n"
		"    listen: [\"tls:203.0.113.7:5071\"]\n"
		"    peers: [\"sip:sip.carrier.example;transport=tls\"]\n"
		"    register: {user: \"441632960000\", password_file: /etc/ringwall/carrier.secret}\n"
		"    media: {address: 203.0.113.7, ports: \"20000-29999\", encryption: required}\n"
		"routes:\n"
		"  - {from: phones, to: pbx}\n"
		"  - {from: carrier, to: pbx}\n"
		"  - {from: pbx, to: phones, when: registered}\n"
		"  - {from: pbx, to: carrier}\n";
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse(span_from(text), "x.yaml", false, errors);

	(void)state;
	assert_non_null(config);
	assert_int_equal(config_notes_count(errors), 0);
	assert_string_equal(config_notes_text(errors, 0), "");
	config_errors_free(errors);
	config_free(config);
}

static void empty_sections_have_defaults(void **state)
{
	char text[1024];
	struct buffer out = BUFFER_OVER(text);
	struct config *config;

	(void)state;
	buffer_printf(&out, "%slimits:\n  # calls: 5\nroutes:\ntls:\n", smallest);
	config = read_good(buffer_text(&out), 2);
	assert_int_equal(config->limits.calls, 10000);
	config_free(config);
}

static void embedded_is_good(const char *address, const char *beside)
{
	char text[CONFIG_EMBEDDED_BYTES];
	struct buffer out = BUFFER_OVER(text);
	struct config *config;
	struct address parsed, other = {0};

	assert_int_equal(address_parse_ip(span_from(address), &parsed), 0);
	if (beside)
		assert_int_equal(address_parse_ip(span_from(beside), &other), 0);
	config_embedded(&out, &parsed, beside ? &other : NULL, "/tmp/a \"quoted\\one\"");
	assert_false(out.overflow);
	config = read_good(buffer_text(&out), 0);
	assert_string_equal(config->state_directory, "/tmp/a \"quoted\\one\"");
	assert_int_equal(config->zones[0].listener_count, beside ? 6 : 3);
	assert_true(address_equal_ip(&config->zones[0].listeners[0].address, &parsed));
	assert_true(address_equal_ip(&config->zones[0].media.address, &parsed));
	assert_true(address_equal_ip(&config->zones[0].media.address_other, &other));
	assert_int_equal(config->zones[0].media.encryption, ENCRYPTION_REQUIRED);
	assert_int_equal(config->zones[1].kind, ZONE_CORE);
	assert_address(&config->zones[1].peers[0].address, "127.0.0.1:5070");
	assert_int_equal(config->route_count, 2);
	config_free(config);
}

static void embedded_configuration_is_good(void **state)
{
	(void)state;
	embedded_is_good("203.0.113.7", NULL);
	embedded_is_good("127.0.0.1", "::1");
	embedded_is_good("2001:db8::7", NULL);
	embedded_is_good("203.0.113.7", "2001:db8::7");
}

#define DUAL(media) \
	"site: {domain: a.example}\nzones: [{name: a, kind: access, listen: [\"tls:203.0.113.7:5061\", " \
	"\"udp:[2001:db8::7]:5060\", \"udp:[2001:db8::8]:5060\"], media: {" media "ports: \"20000-29999\"}}]\n"

static void a_zone_has_a_media_address_for_each_ip_version(void **state)
{
	static const struct {
		const char *media, *four, *six, *shown_four, *shown_six;
	} cases[] = {
		{"", "203.0.113.7", "[2001:db8::7]", "203.0.113.7", "[2001:db8::7]"},
		{"address: [\"2001:db8::9\", 203.0.113.9], ", "203.0.113.9", "[2001:db8::9]", "203.0.113.9",
		 "[2001:db8::9]"},
		{"advertised: \"2001:db8::a\", ", "203.0.113.7", "[2001:db8::7]", "203.0.113.7", "[2001:db8::a]"},
		{"advertised: [\"2001:db8::a\", 198.51.100.1], ", "203.0.113.7", "[2001:db8::7]", "198.51.100.1",
		 "[2001:db8::a]"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[600];
		struct config *config;
		const struct config_zone *zone;

		snprintf(text, sizeof(text), DUAL("%s"), cases[i].media);
		config = read_good(text, 2);
		zone = &config->zones[0];
		assert_address(config_media_address(zone, ADDRESS_IPV4), cases[i].four);
		assert_address(config_media_address(zone, ADDRESS_IPV6), cases[i].six);
		assert_address(config_media_shown(zone, ADDRESS_IPV4), cases[i].shown_four);
		assert_address(config_media_shown(zone, ADDRESS_IPV6), cases[i].shown_six);
		config_free(config);
	}

	/* One alone serves both, which the owner is told. */
	struct config *config = read_good(DUAL("address: 203.0.113.7, "), 3);

	assert_address(config_media_address(&config->zones[0], ADDRESS_IPV6), "203.0.113.7");
	assert_address(config_media_shown(&config->zones[0], ADDRESS_IPV6), "203.0.113.7");
	config_free(config);
}

static void state_directory_follows_the_user(void **state)
{
	static const char text[] =
		"site: {domain: a.example}\nzones: [{name: a, kind: access, listen: [\"tls:127.0.0.1:5061\"], "
		"media: {ports: \"20000-29999\"}}]\n";
	struct config *config;

	(void)state;
	setenv("XDG_STATE_HOME", "/home/somebody/state", 1);
	config = read_good(text, 2);
	/* Root has the system's directory whatever the environment says. */
	assert_true(!strcmp(config->state_directory, "/var/lib/ringwall") ||
		    !strcmp(config->state_directory, "/home/somebody/state/ringwall"));
	config_free(config);
}

/* Every allocation fails once: no crash, no leak, no configuration, and an error that says why. */
static void memory_may_run_short_anywhere(void **state)
{
	struct config *config = NULL;
	long count = 0;

	(void)state;
	while (!config) {
		struct config_errors *errors = config_errors_new();

		assert_non_null(errors);
		memory_fail_after(count++);
		config = config_parse(span_from(office), "good.yaml", false, errors);
		memory_fail_after(-1);
		/* A note that found no memory counts too: nothing is left out silently. */
		assert_int_equal(config == NULL, config_errors_count(errors) > 0);
		config_errors_free(errors);
		assert_true(count < 2000);
	}
	assert_true(count > 100);
	config_free(config);
}

/* The same where every allocation beyond the first has something to complain about. */
static void errors_survive_short_memory(void **state)
{
	static const char text[] =
		"site: {domian: a, country: gb}\n"
		"zones:\n"
		"  - {name: a, kind: acess, listen: [\"udp:192.0.2.1\", \"udp:0.0.0.0:5060\"], media: {ports: 5}}\n"
		"  - {name: a, kind: core, listen: [\"udp:192.0.2.1:5060\"], peers: [\"sip:192.0.2.1:5060\"],\n"
		"     media: {ports: 20000-29999, suites: [A], encryption: required}}\n"
		"  - {kind: trunk, register: {}, accept_risks: [x]}\n"
		"routes: [{from: b, to: a}, {from: a, to: a, when: x}]\n";

	(void)state;
	for (long count = 0; count < 400; count++) {
		struct config_errors *errors = config_errors_new();

		memory_fail_after(count);
		assert_null(config_parse(span_from(text), "bad.yaml", false, errors));
		memory_fail_after(-1);
		assert_true(config_errors_count(errors) > 0);
		assert_true(*config_errors_text(errors, config_errors_count(errors) - 1));
		config_errors_free(errors);
	}
}

static void test_state_directory_of_a_faulty_file(void **state)
{
	char out[200];

	(void)state;
	assert_int_equal(config_state_directory(SPAN("nonsense: 1\nstate_directory: /srv/rw\n"), out, sizeof(out)), 0);
	assert_string_equal(out, "/srv/rw");
	assert_int_equal(config_state_directory(SPAN("nonsense: 1\nstate_directory: /srv/rw\n"), out, 4), -ENOENT);
	assert_int_equal(setenv("XDG_STATE_HOME", "/srv/state", 1), 0);
	assert_int_equal(config_state_directory(SPAN("[["), out, sizeof(out)), 0);
	assert_string_equal(out, geteuid() == 0 ? "/var/lib/ringwall" : "/srv/state/ringwall");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_directory_of_a_faulty_file),
		cmocka_unit_test(top_level_values_arrive),
		cmocka_unit_test(protection_arrives),
		cmocka_unit_test(protection_not_written_is_the_tables_own),
		cmocka_unit_test(access_zone_arrives),
		cmocka_unit_test(peer_zones_arrive),
		cmocka_unit_test(routes_keep_their_order),
		cmocka_unit_test(what_is_not_written_is_safe),
		cmocka_unit_test(risks_are_accepted_by_name),
		cmocka_unit_test(the_documented_shape_is_accepted),
		cmocka_unit_test(empty_sections_have_defaults),
		cmocka_unit_test(embedded_configuration_is_good),
		cmocka_unit_test(a_zone_has_a_media_address_for_each_ip_version),
		cmocka_unit_test(state_directory_follows_the_user),
		cmocka_unit_test(memory_may_run_short_anywhere),
		cmocka_unit_test(errors_survive_short_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
