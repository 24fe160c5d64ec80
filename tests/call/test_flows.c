/* SPDX-License-Identifier: Apache-2.0
 * Flows: several ways to one phone (RFC 5626), proxies before it (RFC 3327), its registrar's routes (RFC 3608), GRUU (RFC 5627), push
 * (RFC 8599), and requests to a phone that came back by another connection. */
#include <stdio.h>
#include <string.h>

#include "call/phones.h"
#include "kit.h"
#include "net/private.h"

#define INSTANCE ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\""
#define OUTBOUND "Supported: path, outbound\n"

static void registers(struct kit *kit, struct peer *peer, unsigned cseq, const char *headers)
{
	peer_send(kit, peer,
		  "REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/%s 127.0.0.1:%u;branch=z9hG4bKr%u;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=reg\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: phone-reg-%u\nCSeq: %u REGISTER\n%sContent-Length: 0\n\n",
		  peer->ssl ? "TLS" : "UDP", peer->address.port, cseq, peer->address.port, cseq, headers);
}

/* `peer` registers, the PBX agrees. Returns our token at the PBX. */
static const char *registered(struct kit *kit, struct peer *peer, unsigned cseq, const char *headers,
			      const char *parameters, const char *extra)
{
	const char *token;

	registers(kit, peer, cseq, headers);
	peer_expect(kit, &kit->pbx, "REGISTER ");
	token = token_of(header(&kit->pbx, "Contact"));
	pbx_grants(kit, parameters, extra);
	peer_expect(kit, peer, "SIP/2.0 200");
	return token;
}

static void pbx_invites(struct kit *kit, const char *user, const char *branch)
{
	peer_send(
		kit, &kit->pbx,
		"INVITE sip:%s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bK%s\nMax-Forwards: 70\n"
		"From: <sip:2002@voip.example.org>;tag=bob\nTo: <sip:1001@voip.example.org>\nCall-ID: bob-%s\nCSeq: 1 "
		"INVITE\n"
		"Contact: <sip:2002@127.0.0.1:%u>\nContent-Type: application/sdp\nContent-Length: %%LENGTH%%\n\n%s",
		user, kit->pbx.address.port, branch, branch, kit->pbx.address.port, sdp_plain(5000, "sendrecv"));
}

static void pbx_invites_token(struct kit *kit, const char *token, const char *branch)
{
	char uri[128];

	snprintf(uri, sizeof(uri), "%s@127.0.0.1", token);
	pbx_invites(kit, uri, branch);
}

static const char *contact_line(unsigned port, unsigned reg_id)
{
	static char lines[4][512];
	static unsigned next;
	char *out = lines[next++ % 4];

	snprintf(out, sizeof(lines[0]),
		 "Contact: <sip:1001@127.0.0.1:%u;ob>" INSTANCE ";reg-id=%u;expires=600\n" OUTBOUND, port, reg_id);
	return out;
}

static uint32_t binding_count(struct kit *kit)
{
	struct gateway_status status;

	gateway_status_get(kit->gateway, &status);
	return status.bindings;
}

static void flows_of_a_phone_share_a_contact_at_the_pbx(void **state)
{
	struct kit kit;
	const char *first, *second;

	(void)state;
	kit_start(&kit, "", "none");
	first = registered(&kit, &kit.phone, 1, contact_line(kit.phone.address.port, 1), "", "");
	assert_string_equal(header(&kit.phone, "Require"), "outbound");
	assert_string_equal(header(&kit.phone, "Flow-Timer"), "25");
	assert_non_null(strstr(header(&kit.phone, "Contact"), INSTANCE ";reg-id=1"));
	assert_int_equal(strlen(kit.binding.token), TAG_LENGTH + 2);
	assert_null(strstr(kit.pbx.text, "0A95A0E128")); /* the phone's name is its own */
	second = registered(&kit, &kit.stranger, 2, contact_line(kit.stranger.address.port, 2), "", "");
	assert_string_equal(first, second);
	assert_int_equal(binding_count(&kit), 2);

	/* One of the two flows goes: the PBX keeps the contact, calls come down the other. */
	registers(&kit, &kit.stranger, 3, "Contact: <sip:1001@127.0.0.1:9>" INSTANCE ";reg-id=2;expires=0\n" OUTBOUND);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "expires=3600"));
	pbx_grants(&kit, "", "");
	peer_expect(&kit, &kit.stranger, "SIP/2.0 200");
	assert_int_equal(binding_count(&kit), 1);
	pbx_invites_token(&kit, first, "one");
	peer_expect(&kit, &kit.phone, "INVITE ");

	registers(&kit, &kit.phone, 4, "Contact: <sip:1001@127.0.0.1:9>" INSTANCE ";reg-id=1;expires=0\n" OUTBOUND);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "expires=0"));
	kit_stop(&kit);
}

static void the_same_flow_again_replaces_the_old_one(void **state)
{
	struct kit kit;
	const char *first, *second;

	(void)state;
	kit_start(&kit, "", "none");
	first = registered(&kit, &kit.phone, 1, contact_line(kit.phone.address.port, 1), "", "");
	/* From another place, with another contact: the phone moved. */
	second = registered(&kit, &kit.stranger, 2, contact_line(kit.stranger.address.port, 1), "", "");
	assert_string_equal(first, second);
	assert_int_equal(binding_count(&kit), 1);
	pbx_invites_token(&kit, first, "moved");
	peer_expect(&kit, &kit.stranger, "INVITE ");
	kit_stop(&kit);
}

static void a_contact_that_begins_to_use_outbound_is_not_rung_twice(void **state)
{
	struct kit kit;
	char line[512];
	const char *first;

	(void)state;
	kit_start(&kit, "", "none");
	snprintf(line, sizeof(line), "Contact: <sip:1001@127.0.0.1:%u;ob>;expires=600\n", kit.phone.address.port);
	first = registered(&kit, &kit.phone, 1, line, "", "");
	assert_string_equal(first, registered(&kit, &kit.phone, 2, contact_line(kit.phone.address.port, 1), "", ""));
	assert_int_equal(binding_count(&kit), 1);
	kit_stop(&kit);
}

static void reg_id_says_nothing_without_outbound(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	registered(&kit, &kit.phone, 1, "Contact: <sip:1001@127.0.0.1:9>" INSTANCE ";reg-id=1\n", "", "");
	assert_false(has_header(&kit.phone, "Require"));
	assert_null(strstr(header(&kit.phone, "Contact"), "reg-id"));
	registered(&kit, &kit.phone, 2, "Contact: <sip:1001@127.0.0.1:10>;reg-id=1\n" OUTBOUND, "", "");
	assert_false(has_header(&kit.phone, "Require"));
	registered(&kit, &kit.phone, 3, "Contact: <sip:1001@127.0.0.1:10>" INSTANCE ";reg-id=0\n" OUTBOUND, "", "");
	assert_false(has_header(&kit.phone, "Require"));
	/* One contact alone has a flow (RFC 5626 section 6). */
	registers(&kit, &kit.phone, 4,
		  "Contact: <sip:1001@127.0.0.1:9>" INSTANCE ";reg-id=1, <sip:1001@127.0.0.1:10>\n" OUTBOUND);
	peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	kit_stop(&kit);
}

static void a_first_hop_that_keeps_no_flow_is_told(void **state)
{
	static const char behind_proxy[] = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKphone\n"
					   "Contact: <sip:1001@127.0.0.1:9>" INSTANCE ";reg-id=1\n" OUTBOUND;
	struct kit kit;
	char headers[1024];

	(void)state;
	kit_start(&kit, "", "none");
	registers(&kit, &kit.phone, 1, behind_proxy);
	peer_expect(&kit, &kit.phone, "SIP/2.0 439");
	snprintf(headers, sizeof(headers), "%sPath: <sip:edge.example.net;lr>\n", behind_proxy);
	registers(&kit, &kit.phone, 2, headers);
	peer_expect(&kit, &kit.phone, "SIP/2.0 439");
	snprintf(headers, sizeof(headers), "%sPath: <sip:next.example.net;lr>, <sip:tok@edge.example.net;lr;ob>\n",
		 behind_proxy);
	registered(&kit, &kit.phone, 3, headers, "", "");
	assert_string_equal(header(&kit.phone, "Require"), "outbound");
	kit_stop(&kit);
}

static void a_path_is_the_route_to_the_phone_down_its_own_flow(void **state)
{
	struct kit kit;
	char headers[512], path[128];
	const char *token;

	(void)state;
	kit_start(&kit, "", "none");
	/* The path names a machine that the phone would have us talk to: it is a Route, and no more. */
	snprintf(path, sizeof(path), "<sip:tok@127.0.0.1:%u;lr>, <sip:edge.example.net;lr>", kit.stranger.address.port);
	snprintf(headers, sizeof(headers), "Contact: <sip:1001@127.0.0.1:9>;expires=600\nPath: %s\n", path);
	registers(&kit, &kit.phone, 1, headers);
	peer_expect(&kit, &kit.phone, "SIP/2.0 420");
	assert_string_equal(header(&kit.phone, "Unsupported"), "path");
	strcat(headers, "Supported: path\n");
	token = registered(&kit, &kit.phone, 2, headers, "", "");
	assert_string_equal(header(&kit.phone, "Path"), path);
	assert_false(has_header(&kit.pbx, "Path"));
	assert_string_equal(kit.binding.path, path);
	pbx_invites_token(&kit, token, "path");
	peer_expect(&kit, &kit.phone, "INVITE sip:1001@127.0.0.1:9 ");
	assert_string_equal(header(&kit.phone, "Route"), path);
	peer_expect_nothing(&kit, &kit.stranger, "INVITE");
	kit_stop(&kit);
}

static void what_is_no_path_is_refused(void **state)
{
	static const char *const paths[] = {"<sip:edge.example.net>", "<tel:+4930>", "<sip:a@b;lr?X=y>",
					    "<http://edge.example.net/;lr>"};
	struct kit kit;
	char headers[2048];
	size_t length;

	(void)state;
	kit_start(&kit, "", "none");
	for (unsigned i = 0; i < 4; i++) {
		snprintf(headers, sizeof(headers), "Contact: <sip:1001@127.0.0.1:9>\nSupported: path\nPath: %s\n",
			 paths[i]);
		registers(&kit, &kit.phone, i + 1, headers);
		peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	}
	length = (size_t)snprintf(headers, sizeof(headers), "Contact: <sip:1001@127.0.0.1:9>\nSupported: path\n");
	for (int i = 0; i < 9; i++)
		length += (size_t)snprintf(headers + length, sizeof(headers) - length,
					   "Path: <sip:e%d.example.net;lr>\n", i);
	registers(&kit, &kit.phone, 9, headers);
	peer_expect(&kit, &kit.phone, "SIP/2.0 400");
	assert_int_equal(binding_count(&kit), 0);
	kit_stop(&kit);
}

static void the_registrars_route_is_taken_and_never_shown(void **state)
{
	static const char route[] = "<sip:orig@127.0.0.1:5999;lr>, <sip:home.inner.example;lr>";
	struct kit kit;
	char contact[128], extra[256];

	(void)state;
	kit_start(&kit, "", "none");
	snprintf(contact, sizeof(contact), "Contact: <sip:1001@127.0.0.1:%u>\n", kit.phone.address.port);
	snprintf(extra, sizeof(extra), "Service-Route: %s\n", route);
	registered(&kit, &kit.phone, 1, contact, "", extra);
	assert_null(strstr(kit.phone.text, "inner"));
	phone_invites(&kit, &kit.phone, "sr", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE sip:600@voip.example.org"); /* at the PBX, not at the route's address */
	assert_string_equal(header(&kit.pbx, "Route"), route);
	peer_answer(&kit, &kit.pbx, "486 Busy Here", "b", "", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 486");
	assert_null(strstr(kit.phone.text, "inner"));
	/* Somebody else who says to be this account is not its phone. */
	phone_invites(&kit, &kit.stranger, "other", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "INVITE sip:600");
	assert_false(has_header(&kit.pbx, "Route"));
	peer_answer(&kit, &kit.pbx, "486 Busy Here", "b", "", "");
	/* Of what is no route nothing is taken. */
	registered(&kit, &kit.phone, 2, "Contact: <sip:1001@127.0.0.1:9>\n", "",
		   "Service-Route: <sip:strict.example>\n");
	assert_string_equal(kit.binding.service_route, "");
	kit_stop(&kit);
}

static void a_phone_gets_a_name_at_our_domain_for_that_at_the_pbx(void **state)
{
	struct kit kit;
	char gruu[256], uri[600];
	const char *start;

	(void)state;
	kit_start(&kit, "", "none");
	registered(&kit, &kit.phone, 1, "Contact: <sip:1001@127.0.0.1:9>" INSTANCE "\nSupported: gruu\n",
		   ";pub-gruu=\"sip:1001@pbx.inner;gr=urn:uuid:inside\";temp-gruu=\"sip:t@pbx.inner;gr\"", "");
	assert_string_equal(header(&kit.pbx, "Supported"), "path, gruu");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), ";+sip.instance=\"<urn:uuid:"));
	assert_null(strstr(kit.pbx.text, "0A95A0E128"));
	assert_null(strstr(kit.phone.text, "inner"));
	assert_string_equal(kit.binding.gruu, "sip:1001@pbx.inner;gr=urn:uuid:inside");
	start = strstr(header(&kit.phone, "Contact"), ";pub-gruu=\"sip:1001@voip.example.org;gr=urn:uuid:");
	assert_non_null(start);
	start = strstr(start, "sip:");
	snprintf(gruu, sizeof(gruu), "%.*s", (int)strcspn(start, "\""), start);

	/* From inside: the very phone, by its contact. From outside: as the PBX calls it. */
	pbx_invites(&kit, gruu + 4, "gruu");
	peer_expect(&kit, &kit.phone, "INVITE sip:1001@127.0.0.1:9 ");
	pbx_invites(&kit, "1001@voip.example.org;gr=urn:uuid:another", "nobody");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 404");
	snprintf(uri, sizeof(uri),
		 "MESSAGE %s SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKm1;rport\nMax-Forwards: 70\n"
		 "From: <sip:1002@voip.example.org>;tag=m\nTo: <sip:1001@voip.example.org>\n",
		 gruu, kit.stranger.address.port);
	peer_send(&kit, &kit.stranger, "%sCall-ID: m\nCSeq: 1 MESSAGE\nContent-Length: 0\n\n", uri);
	peer_expect(&kit, &kit.pbx, "MESSAGE sip:1001@pbx.inner;gr=urn:uuid:inside SIP/2.0");

	/* Linphone calls with its GRUU as Contact: in-dialog requests find it. */
	peer_send(&kit, &kit.phone,
		  "INVITE sip:600@voip.example.org SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.1:%u;branch=z9hG4bKg;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=g\nTo: <sip:600@voip.example.org>\n"
		  "Call-ID: g\nCSeq: 7 INVITE\nContact: <%s>\nContent-Type: application/sdp\n"
		  "Content-Length: %%LENGTH%%\n\n%s",
		  kit.phone.address.port, gruu, sdp_plain(4000, "sendrecv"));
	struct side caller, callee;

	peer_expect(&kit, &kit.pbx, "INVITE sip:600");
	side_of_callee(&callee, &kit.pbx, "pbxtag");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_plain(5000, "sendrecv"));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "BYE sip:1001@127.0.0.1:9 ");
	kit_stop(&kit);
}

static void no_name_is_offered_where_the_pbx_has_none(void **state)
{
	struct kit kit;

	(void)state;
	kit_start(&kit, "", "none");
	registered(&kit, &kit.phone, 1, "Contact: <sip:1001@127.0.0.1:9>" INSTANCE "\nSupported: gruu\n", "", "");
	assert_null(strstr(header(&kit.phone, "Contact"), "gruu"));
	registered(&kit, &kit.phone, 2, "Contact: <sip:1001@127.0.0.1:11>" INSTANCE "\nSupported: gruu\n",
		   ";pub-gruu=\"tel:+49\"", "");
	assert_null(strstr(header(&kit.phone, "Contact"), "gruu"));
	/* And none to who does not ask. */
	registered(&kit, &kit.phone, 3, "Contact: <sip:1001@127.0.0.1:10>" INSTANCE "\n",
		   ";pub-gruu=\"sip:1001@pbx.inner;gr=urn:uuid:inside\"", "");
	assert_null(strstr(kit.phone.text, "gruu"));
	assert_null(strstr(header(&kit.pbx, "Contact"), "sip.instance"));
	kit_stop(&kit);
}

static void push_parameters_reach_the_pbx_and_its_features_the_phone(void **state)
{
	struct kit kit;
	char headers[1024];
	const char *contact;

	(void)state;
	kit_start(&kit, "", "none");
	registered(
		&kit, &kit.phone, 1,
		"Contact: <sip:1001@127.0.0.1:9;pn-provider=acme;pn-prid=ZTY4ZDJlMzODE1NmUgKi;pn-param=a.b;x-own=1>\n",
		"", "Feature-Caps: *;+sip.pns=\"acme\";+sip.pnsreg=\"121\";+g.inner=\"10.9.8.7\"\n");
	contact = header(&kit.pbx, "Contact");
	assert_non_null(strstr(contact, ";pn-provider=acme;pn-param=a.b;pn-prid=ZTY4ZDJlMzODE1NmUgKi>;expires="));
	assert_null(strstr(contact, "x-own"));
	assert_string_equal(header(&kit.phone, "Feature-Caps"), "*;+sip.pns=\"acme\";+sip.pnsreg=\"121\"");
	/* The PBX that pushes sees every refresh (RFC 8599 section 5.3). */
	registered(
		&kit, &kit.phone, 2,
		"Contact: <sip:1001@127.0.0.1:9;pn-provider=acme;pn-prid=ZTY4ZDJlMzODE1NmUgKi;pn-param=a.b;x-own=1>\n",
		"", "");
	snprintf(headers, sizeof(headers), "Contact: <sip:1001@127.0.0.1:9;pn-prid=%0600d>\n", 1);
	registers(&kit, &kit.phone, 3, headers);
	peer_expect(&kit, &kit.phone, "SIP/2.0 403");
	kit_stop(&kit);
}

static void a_flow_read_back_from_the_store_is_the_same_flow(void **state)
{
	struct kit kit;
	struct ipc_binding first, second;
	const char *token;

	(void)state;
	kit_start(&kit, "", "none");
	registered(&kit, &kit.phone, 1, contact_line(kit.phone.address.port, 1), "", "");
	first = kit.binding;
	registered(&kit, &kit.phone, 2, contact_line(kit.phone.address.port, 2), "", "");
	second = kit.binding;
	kit_stop(&kit);
	assert_string_not_equal(first.token, second.token); /* two rows */

	kit_start(&kit, "", "none");
	gateway_binding_loaded(kit.gateway, &first);
	gateway_binding_loaded(kit.gateway, &second);
	gateway_binding_loaded(kit.gateway, &second);
	assert_int_equal(binding_count(&kit), 2);
	token = registered(&kit, &kit.phone, 3, contact_line(kit.phone.address.port, 2), "", "");
	assert_memory_equal(token, first.token, TAG_LENGTH);
	assert_int_equal(binding_count(&kit), 2);
	kit_stop(&kit);
}

/* A phone that lost its connection in a call used to miss the BYE, and its call stayed up for ever. */
static void a_phone_that_reconnects_in_a_call_gets_its_bye(void **state)
{
	struct kit kit;
	struct peer phone = {.descriptor = -1};
	struct side caller, callee;

	(void)state;
	kit_start(&kit, "", "none");
	kit_connect_tls(&kit, &phone);
	registered(&kit, &phone, 1, contact_line(phone.address.port, 1), "", "");
	assert_string_equal(header(&phone, "Flow-Timer"), "120");
	kit_establish(&kit, &phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	peer_close(&phone);
	kit_pump(&kit, 50);
	kit_connect_tls(&kit, &phone);
	registered(&kit, &phone, 2, contact_line(phone.address.port, 1), "", "");
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	peer_expect(&kit, &phone, "BYE ");
	peer_close(&phone);
	kit_stop(&kit);
}

/* RFC 5626 section 4.4.1: a phone that is gone without a word was called for as long as anything was sent to it. */
static void a_connection_without_keep_alives_is_closed(void **state)
{
	struct kit kit;
	struct peer phone = {.descriptor = -1};
	struct side caller, callee;

	(void)state;
	kit_start(&kit, "", "none");
	gateway_net(kit.gateway)->deadlines.durations_us[NET_DEADLINE_ALIVE] = 500000; /* for 150 s */
	kit_connect_tls(&kit, &phone);
	registered(&kit, &phone, 1, contact_line(phone.address.port, 1), "", "");
	kit_establish(&kit, &phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	assert_true(binding_reachable(binding_by_account(kit.gateway, SPAN("1001"))));
	for (uint32_t i = 0; i < 8; i++) {
		side_sends(&kit, &callee, "INFO", "", "");
		kit_pump(&kit, 100);
	}
	assert_false(binding_reachable(binding_by_account(kit.gateway, SPAN("1001"))));
	peer_close(&phone);
	kit_stop(&kit);
}

static void a_call_never_moves_to_a_clear_flow_nor_to_another_phone(void **state)
{
	struct kit kit;
	struct peer phone = {.descriptor = -1};
	struct side caller, callee;

	(void)state;
	kit_start(&kit, "", "none");
	kit_connect_tls(&kit, &phone);
	registered(&kit, &phone, 1, contact_line(phone.address.port, 1), "", "");
	kit_establish(&kit, &phone, &caller, &callee, sdp_plain(4000, "sendrecv"), sdp_plain(5000, "sendrecv"));
	peer_close(&phone);
	kit_pump(&kit, 50);
	/* The same phone in the clear, and another phone of the account over TLS. */
	registered(&kit, &kit.phone, 2, contact_line(kit.phone.address.port, 1), "", "");
	kit_connect_tls(&kit, &phone);
	registered(&kit, &phone, 3,
		   "Contact: <sip:1001@127.0.0.1:9>;+sip.instance=\"<urn:uuid:another>\";reg-id=1\n" OUTBOUND, "", "");
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	peer_expect_nothing(&kit, &kit.phone, "BYE");
	peer_expect_nothing(&kit, &phone, "BYE");
	peer_close(&phone);
	kit_stop(&kit);
}

/* The proxy before the phone says 430, or the connection goes while the INVITE waits: the phone's other flow rings. */
static void a_call_goes_down_the_next_flow_when_one_failed(void **state)
{
	struct kit kit;
	struct peer phone = {.descriptor = -1};
	const char *token;

	(void)state;
	kit_start(&kit, "", "none");
	registered(&kit, &kit.phone, 1, contact_line(kit.phone.address.port, 1), "", "");
	kit_skip(&kit, 0);
	token = registered(&kit, &kit.stranger, 2, contact_line(kit.stranger.address.port, 2), "", "");
	pbx_invites_token(&kit, token, "failover");
	struct peer *first = peer_receive(&kit, &kit.phone, 100) ? &kit.phone : &kit.stranger;
	struct peer *second = first == &kit.phone ? &kit.stranger : &kit.phone;

	if (first == &kit.stranger)
		peer_expect(&kit, first, "INVITE ");
	peer_answer(&kit, first, "430 Flow Failed", "gone", "", "");
	peer_expect(&kit, second, "INVITE ");
	assert_int_equal(binding_count(&kit), 1);
	/* When that one is gone too, the PBX hears no more than that nobody is there. */
	peer_answer(&kit, second, "430 Flow Failed", "gone", "", "");
	peer_expect(&kit, &kit.pbx, "SIP/2.0 480");
	assert_int_equal(binding_count(&kit), 0);
	kit_stop(&kit);

	kit_start(&kit, "", "none");
	registered(&kit, &kit.phone, 1, contact_line(kit.phone.address.port, 1), "", "");
	kit_connect_tls(&kit, &phone);
	token = registered(&kit, &phone, 2, contact_line(phone.address.port, 2), "", "");
	pbx_invites_token(&kit, token, "cut"); /* the connection, which lasts longer, comes first */
	peer_expect(&kit, &phone, "INVITE ");
	peer_close(&phone);
	kit_skip(&kit, 20);
	peer_expect(&kit, &kit.phone, "INVITE ");
	peer_answer(&kit, &kit.phone, "200 OK", "answer", "", sdp_plain(4000, "sendrecv"));
	peer_expect(&kit, &kit.pbx, "SIP/2.0 200");
	kit_stop(&kit);
}

static void without_memory_a_flow_is_refused_and_nothing_leaks(void **state)
{
	struct kit kit;
	char headers[1024];

	(void)state;
	kit_start(&kit, "", "none");
	for (unsigned fails = 0; fails < 24; fails++) {
		snprintf(headers, sizeof(headers), "%sPath: <sip:edge.example.net;lr;ob>\n",
			 contact_line(kit.phone.address.port, 1 + fails % 3));
		kit.hasty = true;
		memory_fail_after((long)fails);
		registers(&kit, &kit.phone, fails + 1, headers);
		kit_pump(&kit, 5);
		memory_fail_after(-1);
		if (peer_receive(&kit, &kit.pbx, 2) && !strncmp(kit.pbx.text, "REGISTER", 8)) {
			memory_fail_after((long)fails / 4);
			pbx_grants(&kit, "", "Service-Route: <sip:home.example.net;lr>\n");
			kit_pump(&kit, 5);
			memory_fail_after(-1);
		}
		while (peer_receive(&kit, &kit.phone, 0))
			;
	}
	kit.hasty = false;
	registered(&kit, &kit.phone, 99, contact_line(kit.phone.address.port, 1), "", "");
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_of_a_phone_share_a_contact_at_the_pbx),
		cmocka_unit_test(the_same_flow_again_replaces_the_old_one),
		cmocka_unit_test(a_contact_that_begins_to_use_outbound_is_not_rung_twice),
		cmocka_unit_test(reg_id_says_nothing_without_outbound),
		cmocka_unit_test(a_first_hop_that_keeps_no_flow_is_told),
		cmocka_unit_test(a_path_is_the_route_to_the_phone_down_its_own_flow),
		cmocka_unit_test(what_is_no_path_is_refused),
		cmocka_unit_test(the_registrars_route_is_taken_and_never_shown),
		cmocka_unit_test(a_phone_gets_a_name_at_our_domain_for_that_at_the_pbx),
		cmocka_unit_test(no_name_is_offered_where_the_pbx_has_none),
		cmocka_unit_test(push_parameters_reach_the_pbx_and_its_features_the_phone),
		cmocka_unit_test(a_flow_read_back_from_the_store_is_the_same_flow),
		cmocka_unit_test(a_phone_that_reconnects_in_a_call_gets_its_bye),
		cmocka_unit_test(a_connection_without_keep_alives_is_closed),
		cmocka_unit_test(a_call_never_moves_to_a_clear_flow_nor_to_another_phone),
		cmocka_unit_test(a_call_goes_down_the_next_flow_when_one_failed),
		cmocka_unit_test(without_memory_a_flow_is_refused_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
