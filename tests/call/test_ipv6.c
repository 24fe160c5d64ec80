/* SPDX-License-Identifier: Apache-2.0
 * IPv6 and both IP versions: what each side sees of us, and where its media goes. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"

static bool machine_has_ipv6(void)
{
	struct sockaddr_in6 own = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int descriptor = socket(AF_INET6, SOCK_DGRAM, 0);
	bool has = descriptor >= 0 && !bind(descriptor, (struct sockaddr *)&own, sizeof(own));

	if (descriptor >= 0)
		close(descriptor);
	if (!has)
		print_message("this machine has no ::1\n");
	return has;
}

static const char *sdp_on(bool six, uint16_t port)
{
	static char text[4][512];
	static unsigned next;
	char *out = text[next++ % 4];

	snprintf(out, sizeof(text[0]),
		 "v=0\no=- 1 1 IN IP%s\ns=-\nc=IN IP%s\nt=0 0\nm=audio %u RTP/AVP 0\na=rtpmap:0 PCMU/8000\n",
		 six ? "6 ::1" : "4 127.0.0.1", six ? "6 ::1" : "4 127.0.0.1", port);
	return out;
}

static void assert_shows(const struct peer *peer, bool six)
{
	assert_non_null(strstr(body(peer), six ? "c=IN IP6 ::1\r\n" : "c=IN IP4 127.0.0.1\r\n"));
	assert_null(strstr(body(peer), six ? "IN IP4" : "IN IP6")); /* o= and all */
	if (six) {
		assert_null(strstr(header(peer, "Contact"), "127.0.0.1"));
		assert_non_null(strstr(header(peer, "Contact"), "[::1]:"));
	}
}

static void assert_local(const struct media_side *side, bool six)
{
	assert_int_equal(side->local.family, six ? ADDRESS_IPV6 : ADDRESS_IPV4);
	assert_int_equal(side->peer_rtp.family, side->local.family);
	assert_true(address_is_loopback(&side->peer_rtp));
}

static void a_call(bool phones_six, bool pbx_six)
{
	struct kit kit;
	struct side caller, callee;

	kit_start_on(&kit, "", "none", phones_six, pbx_six);
	phone_invites(&kit, &kit.phone, "v6", "", sdp_on(phones_six, 4000));
	peer_expect(&kit, &kit.pbx, "INVITE ");
	assert_shows(&kit.pbx, pbx_six);
	if (pbx_six)
		assert_non_null(strstr(header(&kit.pbx, "Via"), "SIP/2.0/UDP [::1]:"));
	side_of_callee(&callee, &kit.pbx, "pbxtag");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_on(pbx_six, 5000));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_shows(&kit.phone, phones_six);
	if (phones_six) /* RFC 3261 section 20.42: IPv6address, without brackets */
		assert_non_null(strstr(header(&kit.phone, "Via"), ";received=::1;rport="));
	assert_local(&kit.streams[0].sides[0], phones_six);
	assert_local(&kit.streams[0].sides[1], pbx_six);
	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", "");
	peer_expect(&kit, &kit.pbx, "ACK ");
	side_sends(&kit, &callee, "BYE", "", "");
	peer_expect(&kit, &kit.phone, "BYE ");
	if (phones_six)
		assert_non_null(strstr(header(&kit.phone, "Via"), "[::1]:"));
	kit_stop(&kit);
}

static void calls_cross_between_ip_versions(void **state)
{
	(void)state;
	if (!machine_has_ipv6())
		skip();
	a_call(true, true);
	a_call(true, false);
	a_call(false, true);
}

/* A PBX that signals over IPv6 and has its media on IPv4 gets our IPv4 address; a phone's media comes from where it signals. */
static void a_peers_media_may_be_on_the_other_version(void **state)
{
	struct kit kit;

	(void)state;
	if (!machine_has_ipv6())
		skip();
	kit_start_on(&kit, "", "none", true, true);
	peer_send(&kit, &kit.phone,
		  "REGISTER sip:voip.example.org SIP/2.0\nVia: SIP/2.0/UDP [::1]:%u;branch=z9hG4bKr;rport\n"
		  "Max-Forwards: 70\nFrom: <sip:1001@voip.example.org>;tag=reg\nTo: <sip:1001@voip.example.org>\n"
		  "Call-ID: r\nCSeq: 1 REGISTER\nContact: <sip:1001@[::1]:%u>\nContent-Length: 0\n\n",
		  kit.phone.address.port, kit.phone.address.port);
	peer_expect(&kit, &kit.pbx, "REGISTER ");
	assert_non_null(strstr(header(&kit.pbx, "Contact"), "@[::1]:"));
	peer_answer(&kit, &kit.pbx, "200 OK", "t", "Expires: 3600\n", "");
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	kit_stop(&kit);

	kit_start_on(&kit, "", "none", true, true);
	phone_invites(&kit, &kit.phone, "no-offer", "", "");
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_on(false, 5000));
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_shows(&kit.phone, true);
	struct side caller;

	side_of_caller(&caller, &kit.phone);
	side_sends(&kit, &caller, "ACK", "", sdp_on(true, 4000));
	peer_expect(&kit, &kit.pbx, "ACK ");
	assert_non_null(strstr(body(&kit.pbx), "c=IN IP4 127.0.0.1\r\n"));
	assert_local(&kit.streams[0].sides[1], false);
	assert_local(&kit.streams[0].sides[0], true);
	kit_stop(&kit);
}

static void an_address_of_the_other_version_is_no_place_to_send_to(void **state)
{
	struct kit kit;

	(void)state;
	if (!machine_has_ipv6())
		skip();
	kit_start_on(&kit, "", "none", true, false);
	phone_invites(&kit, &kit.phone, "mixed", "",
		      sdp_on(false, 4000)); /* signals over IPv6, names an IPv4 address */
	peer_expect(&kit, &kit.pbx, "INVITE ");
	peer_answer(&kit, &kit.pbx, "200 OK", "pbxtag", "", sdp_on(true, 5000)); /* we have no IPv6 there */
	peer_expect(&kit, &kit.phone, "SIP/2.0 200");
	assert_int_equal(kit.streams[0].sides[0].local.family, ADDRESS_IPV6);
	assert_int_equal(kit.streams[0].sides[0].peer_rtp.family, ADDRESS_NONE); /* to be learned */
	assert_true(address_equal_ip(&kit.streams[0].sides[0].learn_from, &kit.phone.address));
	assert_int_equal(kit.streams[0].sides[1].local.family, ADDRESS_IPV4);
	assert_int_equal(kit.streams[0].sides[1].peer_rtp.family, ADDRESS_NONE);
	kit_stop(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_cross_between_ip_versions),
		cmocka_unit_test(a_peers_media_may_be_on_the_other_version),
		cmocka_unit_test(an_address_of_the_other_version_is_no_place_to_send_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
